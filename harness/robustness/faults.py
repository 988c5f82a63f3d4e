"""Fault injection: a full disk, no permission to write, no home, an unknown user, half of an installation.

Permissions don't bind root: its commands run in a user namespace, as an unprivileged user unknown to the system. A
small disk is a tmpfs; without the right to mount one, a limit on the size of each file exercises the same code.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.robustness import processes
from harness.robustness.processes import ROOT

_NOBODY = 54_321  # a user unknown to the system: no rights, no home
_SHARES = (0.03, 0.3, 0.6, 0.9)  # of the room that an undisturbed run takes
_ENOUGH = 400 << 20  # bytes
_CACHE_ROOM = 20 << 20  # bytes: less than QM9 takes
_LIMIT = 600.0  # s
_RUN = [sys.executable, "-m", "analysis", "run", "baseline", "--profile", "smoke", "--seeds", "0"]
_LIST = [sys.executable, "-m", "analysis", "list", "baseline", "--profile", "smoke"]
_SEARCH = [sys.executable, "-m", "analysis.study.search", "run"]


@dataclass
class Found:
    """What came of one fault; the fields are those of `harness.robustness.record.Fault`."""

    name: str
    exit_codes: list[int] = field(default_factory=list)
    said: str = ""
    left: int = 0
    went_on: bool | None = None

    def heard(self, done: subprocess.CompletedProcess[str], places: dict[str, str]) -> None:
        """Note a command's exit code and its last line, without this machine's paths."""
        self.exit_codes.append(done.returncode)
        lines = done.stderr.strip().splitlines() or [""]
        self.said = lines[-1]
        for path, word in places.items():
            self.said = self.said.replace(path, word)
        # A refusal is one line; a traceback counts as left behind.
        self.left += any(line.startswith("Traceback") for line in lines)

    def content(self) -> dict[str, Any]:
        """For the record."""
        return {
            "name": self.name,
            "tries": len(self.exit_codes),
            "exit_codes": self.exit_codes,
            "said": self.said,
            "left": self.left,
            "went_on": self.went_on,
        }


def run(
    words: list[str], folder: Path, *, without: tuple[str, ...] = (), limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout, without some variables, and with no file larger than `limit` bytes."""
    env = {name: value for name, value in os.environ.items() if name not in without}
    env |= {"PYTHONPATH": str(ROOT), "COMPENDIUM_RESULTS": str(folder / "results")} | environment

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(  # noqa: S603
        words,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
        preexec_fn=restrict,
    )


def unprivileged(words: list[str]) -> list[str]:
    """The same command as a user whom permissions bind: as it is, unless we are root."""
    if os.geteuid() != 0:
        return words
    return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", *words]


@dataclass(frozen=True)
class Disk:
    """A folder with little room; `mend` makes more; `limit` is for `run`."""

    folder: Path
    limit: int | None
    mend: Callable[[], None]


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[Disk]:
    """A disk of `room` bytes at `folder`: a tmpfs if one may be mounted, else a limit on the size of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={max(room, 4096)}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:  # noqa: S603
        yield Disk(folder, room // 2, lambda: None)
        return
    try:
        grow = ["mount", "-o", f"remount,size={_ENOUGH}", str(folder)]
        yield Disk(folder, None, lambda: subprocess.run(grow, check=True) and None)  # noqa: S603
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


def _used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# ---- full disks --------------------------------------------------------------------------------------------------


def full_disk_run(folder: Path) -> Found:
    """A run whose disk is full at once, in the log, at a checkpoint, in the record; then room is made."""
    whole = folder / "whole"
    if run(_RUN, whole).returncode != 0:
        raise RuntimeError("an undisturbed run failed")
    expected, room = processes.numbers_of_records(whole), _used(whole)
    found = Found("full-disk-run", went_on=True)
    for number, share in enumerate(_SHARES):
        with small_disk(folder / f"small-{number}", int(share * room)) as disk:
            done = run(_RUN, disk.folder, limit=disk.limit)
            found.heard(done, {str(disk.folder): "…"})
            found.left += len(processes.look_at_records(disk.folder).whole)
            disk.mend()
            again = run(_RUN, disk.folder)
            found.went_on &= again.returncode == 0 and processes.numbers_of_records(disk.folder) == expected
    return found


def full_disk_cache(folder: Path) -> Found:
    """No room for the cache of QM9: the molecules are read all the same."""
    found = Found("full-disk-cache")
    with small_disk(folder / "small", _CACHE_ROOM) as disk:
        done = run(_LIST, folder, limit=disk.limit, XDG_CACHE_HOME=str(disk.folder))
        found.heard(done, {str(disk.folder): "…"})
        found.left += sum(path.is_file() for path in disk.folder.glob("schnet-qm9-compendium/*"))
    return found


def full_disk_search(folder: Path) -> Found:
    """A search with no room for its database, or for its records."""
    sweep = folder / "killed.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    processes.SEARCH.prepare(folder)
    asked = [*_SEARCH, str(sweep), "--profile", "smoke", "--trials", "2"]
    whole = folder / "whole"
    if run(asked, whole).returncode != 0:
        raise RuntimeError("an undisturbed search failed")
    expected, room = processes.numbers_of_records(whole), _used(whole)
    found = Found("full-disk-search", went_on=True)
    for number, share in enumerate((0.1, 0.7)):
        with small_disk(folder / f"small-{number}", int(share * room)) as disk:
            found.heard(run(asked, disk.folder, limit=disk.limit), {str(disk.folder): "…"})
            disk.mend()
            again = run(asked, disk.folder)
            result = processes.numbers_of_records(disk.folder)
            found.went_on &= again.returncode == 0 and all(result.get(name) == sum_ for name, sum_ in expected.items())
    return found


# ---- no permission to write -------------------------------------------------------------------------------------


def read_only_results(folder: Path) -> Found:
    """Results that may be read but not written: nothing is trained, and existing runs are listed."""
    found = Found("read-only-results")
    results = folder / "results"
    results.mkdir(parents=True)
    results.chmod(0o555)
    found.left += run(unprivileged(_LIST), folder).returncode  # reading is still allowed
    found.heard(run(unprivileged(_RUN), folder), {str(folder): "…"})
    found.left += len(list(results.iterdir()))
    results.chmod(0o755)
    return found


def read_only_cache(folder: Path) -> Found:
    """A cache folder that may not be written: QM9 is read from its CSV files each time."""
    found = Found("read-only-cache")
    cache = folder / "cache"
    cache.mkdir(parents=True)
    cache.chmod(0o555)
    found.heard(run(unprivileged(_LIST), folder, HOME=str(folder), XDG_CACHE_HOME=str(cache)), {str(folder): "…"})
    found.left += len(list(cache.iterdir()))
    return found


def no_home(folder: Path) -> Found:
    """A user whose home doesn't exist and can't be created: a run is recorded all the same."""
    found = Found("no-home")
    (folder / "results").mkdir(parents=True)
    (folder / "results").chmod(0o777)
    found.heard(run(unprivileged(_RUN), folder, without=("XDG_CACHE_HOME",), HOME="/proc/none"), {str(folder): "…"})
    found.left += not processes.numbers_of_records(folder)
    return found


def unknown_user(folder: Path) -> Found:
    """A user unknown to the system, and no HOME: this is reported, and no folder called "~" is created."""
    found = Found("unknown-user")
    folder.mkdir(parents=True)
    before = set(ROOT.iterdir())
    found.heard(run(unprivileged(_LIST), folder, without=("HOME", "XDG_CACHE_HOME")), {str(folder): "…"})
    found.left = len(set(ROOT.iterdir()) - before)  # no `+=`: without a home the import ends in a traceback
    return found


# ---- half of an installation ----------------------------------------------------------------------------------------

_STANDS_IN = """\
#!{shell}
# Stands in for an interpreter and its pip, and leaves half-done what a real one would. At the step named in the file
# `kill-at` it is killed, together with the make that called it.
set -eu
dies_at() {{ if [ -e kill-at ] && grep -qx "$1" kill-at; then kill -KILL 0; fi; }}
case "$*" in
  -c*) exit 0 ;;
  --version) echo Python ;;
  tools/*) exec {python} "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; dies_at venv ;;
  *requirements.lock*) site=$(dirname "$0")/../site; mkdir -p "$site"; echo half > "$site/package"; dies_at packages
    echo whole > "$site/package" ;;
  *--require-hashes*) dies_at pip ;;
  *) ;;
esac
"""


def cut_off_installation(folder: Path) -> Found:
    """`make env`, killed at each step: the next start begins anew instead of taking half a package for a whole one."""
    found = Found("cut-off-installation", went_on=True)
    (folder / "tools").mkdir(parents=True)
    for name in (
        "Makefile",
        "constraints.txt",
        "requirements.lock",
        "pyproject.toml",
        "tools/environment.sh",
        "tools/locked.py",
    ):
        shutil.copy(ROOT / name, folder / name)
    python = folder / "python"
    python.write_text(_STANDS_IN.format(shell=shutil.which("bash"), python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    package, pins = folder / ".venv" / "site" / "package", folder / ".venv" / ".pins"
    asked = ["make", "env", f"PYTHON={python}"]
    # A make inside a make says so on its output.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    for step in ("venv", "pip", "packages"):
        shutil.rmtree(folder / ".venv", ignore_errors=True)
        (folder / "kill-at").write_text(f"{step}\n", encoding="utf-8")
        killed = subprocess.run(  # noqa: S603
            asked, cwd=folder, env=environment, capture_output=True, check=False, start_new_session=True
        )
        (folder / "kill-at").unlink()
        found.left += pins.exists() or killed.returncode != -signal.SIGKILL
        again = subprocess.run(asked, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        found.exit_codes.append(again.returncode)
        found.said = again.stdout.strip().splitlines()[0]
        found.went_on &= package.read_text(encoding="utf-8") == "whole\n" and pins.exists()
    return found


FAULTS: dict[str, Callable[[Path], Found]] = {
    "full-disk-run": full_disk_run,
    "full-disk-cache": full_disk_cache,
    "full-disk-search": full_disk_search,
    "read-only-results": read_only_results,
    "read-only-cache": read_only_cache,
    "no-home": no_home,
    "unknown-user": unknown_user,
    "cut-off-installation": cut_off_installation,
}


def inject(name: str) -> dict[str, Any]:
    """Run a command under one fault, in a temporary folder that anyone may enter; the result is for the record."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        Path(folder).chmod(0o755)
        return FAULTS[name](Path(folder) / "here").content()
