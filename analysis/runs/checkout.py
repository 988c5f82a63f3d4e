"""The checkout that the package is run from, and its commit; an installed package has neither, but brings models."""

import importlib.metadata
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import analysis

_PACKAGE = Path(analysis.__file__).resolve().parent
_HOME = _PACKAGE.parent
PROJECT = "schnet-qm9-compendium"
"""The name under which pip knows the package."""
MODELS = _PACKAGE / "models"
"""The records of the models that an installed package brings, laid out as `results/` is; not there in a checkout."""


def folder() -> Path | None:
    """The folder of the checkout (a clone, or an unpacked archive); None if the package is installed without it."""
    return _HOME if (_HOME / "pyproject.toml").is_file() else None


def version() -> str:
    """The version of this code; from a checkout with the commit, and whether anything was changed since."""
    if (home := folder()) is None:
        return importlib.metadata.version(PROJECT)
    number = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if (git := git_state()) is None:
        return number
    return f"{number} (commit {git['commit']}{'' if git['clean'] else ', changed'})"


def git_state() -> dict[str, str | bool] | None:
    """The commit of this code, and whether all but `results/` is as committed there; None if no repository tracks it.

    An archive that was unpacked inside another project's repository has no commit: that repository does not know it.
    """
    git = shutil.which("git")
    if git is None:
        return None
    # A hook, or a rebase, names its own repository there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def ask(*words: str) -> str | None:
        asked = [git, "--no-optional-locks", *words]
        done = subprocess.run(  # noqa: S603
            asked, cwd=_HOME, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    # What is only staged is in no commit.
    if not ask("ls-tree", "HEAD", "--", Path(__file__).resolve().relative_to(_HOME).as_posix()):
        return None
    commit = ask("rev-parse", "HEAD")
    clean = ask("status", "--porcelain", "--", ":/", ":(exclude)results") == ""
    return {"commit": commit, "clean": clean} if commit else None
