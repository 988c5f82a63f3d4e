"""Many records, little memory: how long ten thousand records take to list, and the memory that training needs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from analysis.data import qm9
from analysis.runs import checkout, records
from analysis.runs.config import RunConfig
from analysis.runs.records import SCHEMA_VERSION
from harness.benchmark.plan import versions
from harness.machine import Machine
from harness.robustness.processes import ROOT
from harness.robustness.record import StudyMemory

MEMORY_LIMIT = 4 * 10**9
"""Bytes."""
_NOTEBOOK = """\
from pathlib import Path
import pandas as pd
from analysis.runs.records import outline, recorded_folders
records = [outline(folder) for folder in recorded_folders(Path({results!r}))]
frame = pd.DataFrame([{{"run": one.id, "seed": one.config.seed, "loss": one.validation_loss}} for one in records])
frame.describe()
"""
_TRAIN = """\
import sys
from pathlib import Path
from analysis.data import qm9
from analysis.training import recording as runs
from analysis.runs.config import RunConfig, adjust
config = adjust(RunConfig(experiment="load"), training={"epochs": int(sys.argv[2])})
runs.load_or_train(config, qm9.load(), results=Path(sys.argv[1]))
"""
_STUDY = """\
import sys
from pathlib import Path
from analysis import study
from analysis.data import qm9
from analysis.training import recording as runs
from analysis.runs.config import adjust
folder, epochs, few = Path(sys.argv[1]), *map(int, sys.argv[2:])
molecules = qm9.load()
configs = study.plan(molecules, profile="smoke" if few else "full", seeds=[0])
for config in configs[:few] if few else configs:
    least = 2 if config.training.batch_growth > 1 else 1  # batches that grow do so in the second half
    short = adjust(config, training={"epochs": max(epochs, least)})
    if short.fine_tuning is not None:
        short = adjust(short, fine_tuning={"epochs": epochs})
    runs.load_or_train(short, molecules, results=folder, logger=None)
"""
_NO_LIMIT = 2**60  # bytes; version 1 of control groups writes no limit as a number a little below 2**63
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


class StudyMemoryError(RuntimeError):
    """The study could not be trained, for lack of memory or for another reason that was printed."""


def make_up(results: Path, count: int) -> None:
    """Make `count` records that have only `run.json`, all the listing reads: one smoke run under other seeds."""
    _, about = smoke_record(results)
    for seed in range(1, count):
        config = RunConfig.model_validate_json(json.dumps(about["config"] | {"seed": seed}))
        changed = about | {
            "config": config.model_dump(mode="json"),
            "id": config.run_id(about["molecules_fingerprint"]),
        }
        folder = records.folder_of(config, about["molecules_fingerprint"], results)
        folder.mkdir()
        (folder / "run.json").write_text(records.description(changed), encoding="utf-8")


def smoke_record(results: Path) -> tuple[Path, dict[str, Any]]:
    """A record of the smallest run, and its description."""
    words = [sys.executable, "-m", "analysis", "run", "baseline", "--profile", "smoke", "--seeds", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COMPENDIUM_RESULTS": str(results)}
    subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=True)  # noqa: S603
    (folder,) = records.recorded_folders(results)
    about = records.load(folder).about
    assert about["schema_version"] == SCHEMA_VERSION
    return folder, about


def _list(results: Path) -> float:
    """How long the command takes to list `results`, seconds."""
    words = [sys.executable, "-m", "analysis", "list", "--seeds", "0", "--results", str(results)]
    began = time.monotonic()
    subprocess.run(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)  # noqa: S603
    return time.monotonic() - began


def _open(results: Path) -> float:
    """Seconds to run a notebook that reads the description of every record."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(_NOTEBOOK.format(results=str(results)))],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    began = time.monotonic()
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(ROOT)}}).execute()
    return time.monotonic() - began


def memory_of_training(folder: Path, epochs: int) -> int:
    """The peak resident memory of a process that trains Default on all of QM9 and records it, bytes."""
    words = [sys.executable, "-c", _TRAIN, str(folder), str(epochs)]
    code, memory = _watched(words)
    if code:
        raise RuntimeError(f"the training ended with status {code}")
    return memory


def _watched(words: list[str]) -> tuple[int, int]:
    """Run a command; its exit code, and its peak resident memory, bytes."""
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it can no longer find out by itself
    return process.returncode, used.ru_maxrss * _RSS_UNIT


def memory_of_study(epochs: int, *, few: int | None = None) -> StudyMemory:
    """Train each configuration of the study once, seed 0, for `epochs` epochs, all in one process; measure its memory.

    Enforcing a limit is the system's job: start this in a container or a control group that has one, and the limit is
    recorded. `few` takes only that many configurations, in the smoke profile, for a check that is no result. Raises
    StudyMemoryError if a training fails, for lack of memory or otherwise.
    """
    qm9.load()  # so that the cache exists
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        asked = [folder, str(epochs), str(few or 0)]
        code, memory = _watched([sys.executable, "-c", _STUDY, *asked])
        done = len(records.recorded_folders(Path(folder)))
    if code:
        raise StudyMemoryError(f"a training ended with status {code} after {done} that were recorded")
    machine = Machine.here().model_dump(exclude={"processor"})
    content = {
        "git": checkout.git_state(),
        "versions": versions(),
        "machine": machine,
        "quick": few is not None,
        "runs": done,
        "epochs": epochs,
        "memory": memory,
        "memory_limit": memory_limit(),
    }
    return StudyMemory.model_validate_json(json.dumps(content))


def memory_limit() -> int | None:
    """The limit of this process's control group (either of Linux's versions), bytes; None if there is none."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    for _, controllers, path in (line.split(":", 2) for line in lines):
        name = {"memory": "memory/{}/memory.limit_in_bytes", "": "{}/memory.max"}.get(controllers)
        file = None if name is None else Path("/sys/fs/cgroup") / name.format(path.strip("/"))
        if file is not None and file.is_file() and (said := file.read_text(encoding="utf-8").strip()) != "max":
            return int(said) if int(said) < _NO_LIMIT else None
    return None


def measure(count: int, epochs: int) -> dict[str, Any]:
    """The content of `harness.robustness.record.Load`."""
    qm9.load()  # so that the cache exists
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        results, empty = Path(folder) / "results", Path(folder) / "empty"
        empty.mkdir()
        make_up(results, count)
        start = _list(empty)
        return {
            "records": count,
            "list_seconds": max(0.0, _list(results) - start),
            "start_seconds": start,
            "notebook_seconds": _open(results),
            "memory": memory_of_training(Path(folder) / "whole", epochs),
            "memory_limit": MEMORY_LIMIT,
            "epochs": epochs,
        }
