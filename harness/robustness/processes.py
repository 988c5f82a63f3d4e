"""The processes under test: each kind of command, what it leaves on disk, and what must be equal in the end."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from analysis.data import qm9
from analysis.runs import records
from analysis.runs.failures import CheckpointError
from analysis.training import recording
from harness.robustness.record import ProcessName

ROOT = Path(__file__).resolve().parent.parent.parent
_SWEEP = """\
program: analysis/study/search.py
method: random
run_cap: 6
metric: {name: validation_loss, goal: minimize}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.0003, max: 0.003}
  batch_size: {values: [20, 50, 100]}
  n_atom_basis: {value: 16}
  epochs: {value: 6}
"""
_SAID = 2000  # characters
# A dead worker is noticed after four heartbeats: with the 15 s of real searches we would do nothing but wait.
_SEARCH = "from analysis.study import search; search.HEARTBEAT_SECONDS = 1; search.app()"


class HalfReadError(RuntimeError):
    """Something half-written is where something whole should be, or is taken for it."""


@dataclass(frozen=True)
class Look:
    """What is on the disk: checksums of `whole` files, finished `epochs` by run, and how much is `unfinished`."""

    whole: dict[str, str] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0

    def lost(self, later: "Look") -> bool:
        """Whether anything seen here is gone or changed in a later look; a recorded run has all its epochs."""
        gone = {path for path, checksum in self.whole.items() if later.whole.get(path) != checksum}
        recorded = {str(Path(path).parent) for path in later.whole}
        behind = {run for run, done in self.epochs.items() if run not in recorded and later.epochs.get(run, -1) < done}
        return bool(gone or behind)


@dataclass(frozen=True)
class ProcessUnderTest:
    """A kind of command that runs in a folder of its own.

    `commands` are the processes that run at once; `aims` are glob patterns of files being written, when a kill tells
    more than at a random moment; `look` raises HalfReadError; `result` gives the checksums of what must be equal in the
    end. `can_die_alone` tells whether child processes notice its death.
    """

    name: ProcessName
    prepare: Callable[[Path], None]
    commands: Callable[[Path], list[list[str]]]
    environment: Callable[[Path], dict[str, str]]
    aims: tuple[str, ...]
    look: Callable[[Path], Look]
    result: Callable[[Path], dict[str, str]]
    working_folder: Callable[[Path], Path] = lambda _: ROOT
    can_die_alone: bool = True

    def start(self, folder: Path) -> list[subprocess.Popen[bytes]]:
        """Start its processes; their output goes to `said-<n>.txt` in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.prepare(folder)
        processes = []
        for number, words in enumerate(self.commands(folder)):
            with (folder / f"said-{number}.txt").open("wb") as said:
                started = subprocess.Popen(  # noqa: S603
                    words,
                    cwd=self.working_folder(folder),
                    env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | self.environment(folder),
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            processes.append(started)
        return processes

    def said(self, folder: Path) -> str:
        """The end of its processes' output."""
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("said-*.txt"))]
        return "\n".join(text[-_SAID:] for text in texts)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- records -----------------------------------------------------------------------------------------------------

_RECORDING = (
    "results/*/.*.partial/last.ckpt",
    "results/*/.*.partial/.last.ckpt.*",
    "results/*/.*.partial/record-*/*.parquet",
    "results/*/.*.partial/record-*/run.json",
)


def look_at_records(folder: Path) -> Look:
    """Every record in `folder/results`, read with all its checksums, and every checkpoint.

    Raises HalfReadError for one that its reader refuses: a kill must leave whole ones only.
    """
    results = folder / "results"
    whole, epochs, unfinished = {}, {}, 0
    try:
        for record in records.recorded_folders(results):
            records.load(record)
            whole |= {str(path.relative_to(results)): _sha256(path) for path in record.iterdir()}
        for partial in results.glob("*/.*.partial"):
            record = partial.with_name(partial.name[1:].removesuffix(".partial"))
            unfinished += 1
            epochs[str(record.relative_to(results))] = recording.finished_epochs(record) or 0
    except (records.RecordError, CheckpointError) as error:
        raise HalfReadError(str(error)) from error
    return Look(whole, epochs, unfinished)


def numbers_of_records(folder: Path) -> dict[str, str]:
    """Checksums of every file of every record but `run.json`, which holds wall times."""
    return {path: checksum for path, checksum in look_at_records(folder).whole.items() if not path.endswith(".json")}


def _in_results(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "COMPENDIUM_RESULTS": str(folder / "results")}


def _nothing(_: Path) -> None:
    """Nothing to prepare."""


def training(experiment: str) -> ProcessUnderTest:
    """The runs of an experiment in its smallest profile, trained and recorded one after the other."""
    return ProcessUnderTest(
        name="study",
        prepare=_nothing,
        commands=lambda _: [
            [sys.executable, "-m", "analysis", "run", experiment, "--profile", "smoke", "--seeds", "0"]
        ],
        environment=_in_results,
        aims=_RECORDING,
        look=look_at_records,
        result=numbers_of_records,
    )


STUDY = training("loss-modification")


# ---- the cache ---------------------------------------------------------------------------------------------------


def _look_at_cache(folder: Path) -> Look:
    """The cache of QM9, read as the package reads it: a damaged one would be written again."""
    path = folder / "cache" / "schnet-qm9-compendium" / "qm9.safetensors"
    unfinished = len(list(path.parent.glob(".*.partial")))
    if not path.exists():
        return Look(unfinished=unfinished)
    before = path.stat().st_ino
    fingerprint = qm9.load(path.parent).fingerprint()
    if path.stat().st_ino != before:
        raise HalfReadError(f"{path} was damaged")
    return Look({"qm9.safetensors": fingerprint}, unfinished=unfinished)


CACHE = ProcessUnderTest(
    name="cache",
    prepare=_nothing,
    commands=lambda _: [[sys.executable, "-c", "from analysis.data import qm9; qm9.load()"]],
    environment=lambda folder: {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
    aims=("cache/schnet-qm9-compendium/.*.partial",),
    look=_look_at_cache,
    result=lambda folder: _look_at_cache(folder).whole,
)


# ---- the search --------------------------------------------------------------------------------------------------


def _write_sweep(folder: Path) -> None:
    (folder / "killed.yaml").write_text(_SWEEP, encoding="utf-8")


def _look_at_search(folder: Path) -> Look:
    database = folder / "results" / "search.db"
    if database.exists():
        with closing(sqlite3.connect(database)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise HalfReadError(f"{database}: {said}")
    return look_at_records(folder)


def searching(workers: int) -> ProcessUnderTest:
    """A search of six trials shared by `workers` processes."""
    return ProcessUnderTest(
        name="search",
        prepare=_write_sweep,
        commands=lambda folder: (
            [[sys.executable, "-c", _SEARCH, "run", str(folder / "killed.yaml"), "--profile", "smoke"]] * workers
        ),
        environment=_in_results,
        aims=(*_RECORDING, "results/search.db-journal"),
        look=_look_at_search,
        result=numbers_of_records,
    )


SEARCH = searching(workers=2)


# ---- notebooks ---------------------------------------------------------------------------------------------------


def _papermill(folder: Path) -> list[list[str]]:
    notebooks = ROOT / "notebooks"
    given = ["-p", "profile", "smoke", "-p", "seeds", "[0, 1]", "-p", "epochs", "6"]
    words = [str(notebooks / "03_baseline.ipynb"), str(folder / "out.ipynb"), *given, "--cwd", str(notebooks)]
    return [[sys.executable, "-m", "papermill", *words]]


def _result_of_notebook(folder: Path) -> dict[str, str]:
    """Checksums of the records, and whether every cell of the notebook was run."""
    out = nbformat.read(folder / "out.ipynb", as_version=4)
    run = [cell.execution_count is not None for cell in out.cells if cell.cell_type == "code"]
    return numbers_of_records(folder) | {"cells run": str(run)}


NOTEBOOK = ProcessUnderTest(
    name="notebook",
    prepare=_nothing,
    commands=_papermill,
    environment=lambda folder: _in_results(folder) | {"IPYTHONDIR": str(ROOT / "tools" / "ipython")},
    aims=(*_RECORDING, "out.ipynb"),
    look=look_at_records,
    result=_result_of_notebook,
)


# ---- the book ----------------------------------------------------------------------------------------------------


_MADE_HERE = (".*", "__pycache__", "_build", "logs", "reruns", "search.db*")


def _copy_checkout(folder: Path) -> None:
    """Copy the working tree without build products, sharing its environment: the build leaves our own tree alone."""
    copy = folder / "checkout"
    if copy.exists():
        return
    beside = folder / "half-copied"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(ROOT, beside, symlinks=True, ignore=shutil.ignore_patterns(*_MADE_HERE))
    (beside / ".venv").symlink_to(Path(sys.prefix))
    beside.rename(copy)


def _result_of_book(folder: Path) -> dict[str, str]:
    html = folder / "checkout" / "book" / "_build" / "html"
    return {str(path.relative_to(html)): _sha256(path) for path in html.rglob("*.html")}


BOOK = ProcessUnderTest(
    name="book",
    prepare=_copy_checkout,
    # The environment is there: it runs this. Making it is a fault of its own (`cut_off_installation`).
    commands=lambda _: [["make", "--assume-old", "env", "book"]],
    environment=lambda folder: {"PYTHONPATH": str(folder / "checkout")},
    aims=("checkout/book/_build/.jupyter_cache/executed/*",),
    look=lambda folder: Look(unfinished=int((folder / "checkout" / "book" / "_build" / ".building").exists())),
    result=_result_of_book,
    working_folder=lambda folder: folder / "checkout",
    can_die_alone=False,
)
