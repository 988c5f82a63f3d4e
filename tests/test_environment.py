"""pyproject.toml, constraints.txt, requirements.lock, environment.yml and what is installed say the same."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINUX_ONLY = re.compile(r"^(nvidia-|cuda-|triton$)")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;=]+", line) for line in pinned)
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in pinned)}


def test_every_dependency_is_pinned():
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    asked = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"] + extras}
    assert asked - {PROJECT["name"]} <= pins().keys()


def test_what_is_installed_is_what_is_pinned():
    installed = {canonicalize_name(dist.name): dist.version for dist in importlib.metadata.distributions()}
    installed.pop(PROJECT["name"])
    pinned = pins()
    if sys.platform != "linux" or installed["torch"].endswith("+cpu"):
        pinned = {name: version for name, version in pinned.items() if not LINUX_ONLY.match(name)}
    # a build like torch 2.15.0+cpu satisfies the pin 2.15.0, and asks for nothing that GPUs need
    assert {name: version.split("+")[0] for name, version in installed.items()} == pinned


def test_the_lock_has_the_same_pins_and_hashes_of_their_files():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {}
    for block in re.findall(r"^[^#\s](?:.*\\\n)*.*", text, re.MULTILINE):
        requirement = Requirement(block.partition("\\")[0].strip())
        assert re.findall(r"--hash=(\w+):[0-9a-f]{64}(?:\s|$)", block) == ["sha256"] * block.count("--hash=")
        assert "--hash=" in block
        (only,) = requirement.specifier
        locked[canonicalize_name(requirement.name)] = (only.version, requirement.marker)
    pinned = pins()
    assert {name: version for name, (version, _) in locked.items() if name in pinned} == pinned
    # what this system does not need, and is not pinned here
    elsewhere = [marker for name, (_, marker) in locked.items() if name not in pinned]
    assert not [marker for marker in elsewhere if marker is None or marker.evaluate({"sys_platform": "linux"})]


def test_conda_users_get_the_same_pins():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, packages = content["dependencies"]
    assert python == "python=" + (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert pip == "pip=" + pins()["pip"]
    assert packages == {"pip": ["--requirement requirements.lock"]}


def test_python_version_file_fits_the_package():
    assert PROJECT["requires-python"] == ">=" + (ROOT / ".python-version").read_text(encoding="utf-8").strip()
