"""The Dockerfile and the development container: what they install is what the Makefile needs, from the same pins."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON_OF_DEBIAN = {"13": "3.13"}


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, by name, each with what follows it on one line."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    return [(name, " ".join(words.split())) for name, _, words in (line.partition(" ") for line in text.splitlines())]


@pytest.fixture(scope="module")
def said(instructions):
    def of(name: str) -> list[str]:
        return [words for one, words in instructions if one == name]

    return of


@pytest.fixture(scope="module")
def packages(said) -> set[str]:
    (words,) = re.findall(r"apt-get install ((?:--\S+ )*)([a-z0-9 .+-]+) &&", said("RUN")[0])
    return set(words[1].split())


def test_it_is_a_plain_debian_whose_python_is_new_enough(said):
    (image,) = said("FROM")
    release = re.fullmatch(r"debian:(\d+)-slim", image)[1]
    least = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert tuple(map(int, PYTHON_OF_DEBIAN[release].split("."))) >= tuple(map(int, least.split(".")))


def test_the_packages_are_those_that_the_commands_need(packages):
    found = re.findall(r'missing="(?:\$missing )?([a-z -]+)"', (ROOT / "tools" / "system.sh").read_text())
    asked = {name for words in found for name in words.split()}
    assert {"hunspell", "chromium"} <= asked
    assert asked <= packages
    assert {"git", "make", "python3", "python3-venv", "ca-certificates"} <= packages  # README: Python, git and make


def test_python_packages_come_from_the_lock_alone(said):
    assert "make env" in said("RUN")
    assert not [words for words in said("RUN") if "pip" in words or "curl" in words or "wget" in words]
    assert not [words for words in said("ENV") if "HASHES" in words]


def test_it_is_as_repo2docker_wants_it(instructions, said):
    names = [name for name, _ in instructions if name]
    assert {"NB_USER", "NB_UID"} == {words.partition("=")[0] for words in said("ARG")}
    assert "--uid ${NB_UID}" in said("RUN")[1]
    assert said("COPY") == ["--chown=${NB_UID} . ${HOME}"]
    assert said("WORKDIR") == ["${HOME}"]
    assert said("USER") == ["${NB_UID}"]
    assert names.index("COPY") < names.index("USER") < names.index("EXPOSE")
    assert said("ENTRYPOINT") == []
    assert "HOME=/home/${NB_USER}" in said("ENV")[0]
    assert said("ENV")[1] == "PATH=${HOME}/.venv/bin:${PATH}"


def test_its_commands_are_the_makefiles_targets(said):
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    (command,) = map(json.loads, said("CMD"))
    assert command[0] == "make"
    assert {"env", command[1]} <= set(targets)


def test_nothing_that_git_ignores_is_copied():
    """What is left of it would be from another machine."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for name in (".venv", ".venv.lock", "book/_build/", "reruns/", "schnet_qm9_compendium.egg-info/", "fused/build/"):
        asked = subprocess.run(["git", "check-ignore", "--quiet", name], cwd=ROOT, check=False)
        assert asked.returncode == 0, name
        assert any(Path(name).match(pattern) for pattern in ignored), name


def test_the_development_container_is_the_same_one(said):
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    folder = ROOT / ".devcontainer"
    assert (folder / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / container["build"]["context"]).resolve() == ROOT
    user = dict(words.split("=") for words in said("ARG"))["NB_USER"]
    assert container["remoteUser"] == user
    assert f"/home/{user}/.venv " in container["postCreateCommand"]
    assert container["forwardPorts"] == [int(port) for port in said("EXPOSE")]
