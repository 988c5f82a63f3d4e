"""pyproject.toml, constraints.txt, environment.yml and what is installed say the same."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINUX_ONLY = re.compile(r"^(nvidia-|cuda-|triton$)")


def outside_make() -> dict[str, str]:
    """The environment without what `make test` hands on: a make inside a make says so on its output."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


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
    if sys.platform != "linux":
        pinned = {name: version for name, version in pinned.items() if not LINUX_ONLY.match(name)}
    # a build like torch 2.15.0+cpu satisfies the pin 2.15.0
    assert {name: version.split("+")[0] for name, version in installed.items()} == pinned


def test_conda_users_get_the_same_pins():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, packages = content["dependencies"]
    assert python == "python=" + (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert pip == "pip=" + pins()["pip"]
    assert packages == {"pip": ["--constraint constraints.txt", "--editable .[dev]"]}


def test_python_version_file_fits_the_package():
    assert PROJECT["requires-python"] == ">=" + (ROOT / ".python-version").read_text(encoding="utf-8").strip()


def test_make_alone_lists_every_target():
    listed = subprocess.run(["make"], cwd=ROOT, env=outside_make(), capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"^make (\S+) +\S", listed, re.MULTILINE) == targets
    assert {"book", "test", "env", "lint", "clean"} <= set(targets)


@pytest.fixture
def fresh_folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "constraints.txt", "pyproject.toml", ".python-version"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_no_fitting_python_is_one_line_that_says_what_to_do(fresh_folder: Path):
    tools = fresh_folder / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "sed", "cmp", "awk", "find", "rm"):
        (tools / name).symlink_to(shutil.which(name))
    make = shutil.which("make")
    run = subprocess.run(
        [make, "env"], cwd=fresh_folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if "make" not in line.split(":")[0]]
    assert len(said) == 1
    assert said[0].startswith("No Python 3.12 or newer found: install one")
    assert not (fresh_folder / ".venv").exists()


def test_nothing_is_installed_twice(fresh_folder: Path):
    (fresh_folder / ".venv").mkdir()
    pins_rule = "{ cat constraints.txt; sed -n '/^\\[project/,/^\\[tool/p' pyproject.toml; }"
    subprocess.run(["bash", "-c", f"{pins_rule} > .venv/.pins"], cwd=fresh_folder, check=True)
    run = subprocess.run(
        ["make", "env", "PYTHON=false"],
        cwd=fresh_folder,
        env=outside_make(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout + run.stderr == ""
