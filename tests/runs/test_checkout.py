"""Which commit made a record: that of a repository that tracks the package, and of no other."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.runs import checkout

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
OTHERS = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


def git(folder: Path, *words: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in OTHERS} | AUTHOR
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """Another project's repository, with a commit of its own."""
    folder = tmp_path / "outer"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "theirs.txt").write_text("theirs")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "theirs")
    return folder


@pytest.fixture
def unpacked(outer: Path) -> Path:
    """What the state is asked of, unpacked inside that repository."""
    folder = outer / "compendium"
    (folder / "analysis" / "runs").mkdir(parents=True)
    (folder / "tools").mkdir()
    (folder / "analysis" / "__init__.py").touch()
    (folder / "analysis" / "runs" / "__init__.py").touch()
    (folder / "tools" / "tool.py").touch()
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(checkout.__file__, folder / "analysis" / "runs")
    return folder


@pytest.fixture
def state(unpacked: Path) -> Callable[..., dict[str, str | bool] | None]:
    def ask(**environment: str) -> dict[str, str | bool] | None:
        words = [
            sys.executable,
            "-c",
            "import json; from analysis.runs import checkout as c; print(json.dumps(c.git_state()))",
        ]
        env = os.environ | {"PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        done = subprocess.run(words, cwd=unpacked.parent, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return ask


def test_a_repository_that_does_not_track_the_package_says_nothing(outer, state):
    assert state() is None
    (outer / ".gitignore").write_text("compendium\n")
    assert state() is None
    # nor does one that the environment names, as in a hook of another repository
    assert state(GIT_DIR=str(outer / ".git"), GIT_WORK_TREE=str(outer)) is None


def test_one_that_tracks_it_says_its_commit_and_whether_anything_else_changed(outer, unpacked, state):
    git(outer, "add", "--all")
    assert state() is None  # no commit has it yet
    git(outer, "commit", "--quiet", "--message", "vendored")
    committed = {"commit": git(outer, "rev-parse", "HEAD"), "clean": True}
    assert state() == committed
    (unpacked / "results" / "mine").mkdir(parents=True)
    (unpacked / "results" / "mine" / "run.json").touch()
    assert state() == committed
    for changed in (
        unpacked / "tools" / "tool.py",
        unpacked / "pyproject.toml",
        unpacked / "new.py",
        outer / "theirs.txt",
    ):
        before = changed.read_bytes() if changed.exists() else None
        changed.write_bytes(b"x = 1\n")
        assert state() == committed | {"clean": False}, changed
        changed.unlink() if before is None else changed.write_bytes(before)
    assert state() == committed


def test_a_repository_without_a_commit_says_nothing(outer, state):
    shutil.rmtree(outer / ".git")
    git(outer, "init", "--quiet")
    git(outer, "add", "--all")
    assert state() is None


def test_this_checkout_is_found():
    assert checkout.folder() == ROOT
