"""The benchmark as a list of measurements, each in a process of its own, and the record that they make.

Within a repeat, the contestants follow each other at each size, so that a machine that slows down for a while does so
for all of them. What was measured is kept line by line in a folder beside the record; a benchmark that was killed goes
on from there. The record is written in one piece at the end.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from analysis.runs import checkout, measured
from harness.benchmark.record import CONTESTANTS, VARIANTS, Benchmark, Frozen, Program, Programs, Settings, load
from harness.kept import ForeignError, Kept

ROOT = Path(__file__).resolve().parent.parent.parent
LIGHTNING_WIDTHS = (38, 64)
"""Widths at which Lightning's share is measured, with the largest batch."""

_PACKAGES = ("schnetpack", "torch", "torch-geometric", "pytorch-lightning", "numpy", "numba", "vesin", "ase", "qm9pack")
_SLEEPERS = ("schnetpack", "accelerated", "half_list")
"""Contestants whose waiting threads are told to sleep: those that share the cores with the loader's two workers;
SchNetPack's give 906 molecules/s so and 621 spinning. For all others spinning, OpenMP's default, is the faster."""
_EPOCHS = {"tutorial": 6, "spktrain": 4}
"""Of a training with one of SchNetPack's programs; the tutorial itself makes three."""
_TIME_LIMIT = 1800  # s for one measurement: far more than any takes
_SAID = 2000  # characters of a failed process's last words

Job = dict[str, Any]


class BenchmarkFailedError(RuntimeError):
    """A measurement failed, or what is there is in the way; the message says what to do."""


def settings(*, quick: bool = False, **changes: object) -> Settings:
    """The whole benchmark's settings, or those of a check of a few minutes; what is not None in `changes` on top."""
    chosen = {
        "quick": quick,
        "repeats": 3,
        "seconds": 4.0,
        "min_steps": 6,
        "warm_up": 3,
        "widths": (30, 38, 64, 128),
        "batches": (100, 128, 512),
        "variants": ((38, 512), (128, 512)),
        "molecules": 20_000,
        "scaling": (1_000, 3_000, 10_000, 30_000, 104_664, 130_000),
        "scaling_schnetpack": (1_000, 3_000, 10_000),
    }
    if quick:
        chosen |= {
            "repeats": 1,
            "seconds": 0.5,
            "min_steps": 2,
            "warm_up": 1,
            "widths": (38,),
            "batches": (512,),
            "variants": ((38, 512),),
            "molecules": 3_000,
            "scaling": (1_000, 3_000),
            "scaling_schnetpack": (1_000,),
            "full_molecules": 3_000,
            "full_epochs": 2,
        }
    return Settings.model_validate(chosen | {key: value for key, value in changes.items() if value is not None})


def jobs(asked: Settings) -> Iterator[Job]:
    """Every measurement after `prepare`, in order."""
    for repeat in range(asked.repeats):
        yield {"kind": "floor", "repeat": repeat}
        for batch in asked.batches:
            for width in asked.widths:
                for contestant in _contestants(asked, width, batch):
                    job = {"kind": "steps", "contestant": contestant, "width": width, "batch": batch}
                    yield job | {"repeat": repeat}
    yield from _lightning_jobs(asked)
    for molecules in asked.scaling:
        who = [name for name in ("schnetpack", "ours") if name == "ours" or molecules in asked.scaling_schnetpack]
        for contestant in who:
            yield {"kind": "scaling", "contestant": contestant, "molecules": molecules, "repeat": 0}
    yield {"kind": "full"}


def _contestants(asked: Settings, width: int, batch: int) -> list[str]:
    left_out = () if (width, batch) in asked.variants else VARIANTS[2:]
    return [name for name in CONTESTANTS if name not in left_out]


def _lightning_jobs(asked: Settings) -> Iterator[Job]:
    for repeat in range(asked.repeats):
        for width in LIGHTNING_WIDTHS:
            yield {"kind": "lightning", "width": width, "batch": max(asked.batches), "repeat": repeat}


def measure_lightning(path: Path, *, say: Callable[[str], None]) -> Benchmark:
    """Measure Lightning's share again, with the settings of the record at `path`, and put it in that record.

    Raises record.BenchmarkError for a record that can't be read, and BenchmarkFailedError if a measurement fails.
    """
    record = load(path)
    git, turns = checkout.git_state(), []
    with tempfile.TemporaryDirectory() as folder:
        for job in _lightning_jobs(record.settings):
            turns.append(_run(job, record.settings, Path(folder)))
            say(_words(job, turns[-1]))
    content = record.model_dump(mode="json") | {"lightning": {"git": git, "turns": turns}}
    return _written(path, content)


def measure(out: Path, asked: Settings, *, say: Callable[[str], None]) -> Benchmark:
    """Measure whatever is not measured yet, and write the record to `out`.

    `say` is told of each measurement. Raises BenchmarkFailedError if `out` exists, if what was kept of an earlier start
    belongs to other settings or to another state of the code, or if a measurement fails.
    """
    found, folder = _started(out, {"settings": asked.model_dump(mode="json")})
    prepared = found.get({"kind": "prepare"}) or found.keep(
        {"kind": "prepare"}, _run({"kind": "prepare"}, asked, folder)
    )
    everything = list(jobs(asked))
    for number, job in enumerate(everything, start=1):
        if found.get(job) is None:
            extra = {key: prepared[key] for key in ("atoms", "pairs")} if job["kind"] == "floor" else {}
            found.keep(job, _run(job | extra, asked, folder))
            say(f"[{number}/{len(everything)}] {_words(job, found.get(job))}")
    by_kind = {kind: [found.get(job) for job in everything if job["kind"] == kind] for kind in ("steps", "scaling")}
    content = found.header | {
        "machine": prepared["machine"],
        "neighbour_list": prepared["neighbour_list"],
        **by_kind,
        "floor": [one for job in everything if job["kind"] == "floor" for one in found.get(job)],
        "full": found.get({"kind": "full"}),
        "lightning": {
            "git": found.header["git"],
            "turns": [found.get(job) for job in everything if job["kind"] == "lightning"],
        },
    }
    record = _written(out, content)
    shutil.rmtree(folder)
    return record


def programs(*, quick: bool = False) -> list[Program]:
    """SchNetPack's programs as the record describes them: sizes are theirs, but for the molecules of `spktrain`.

    Its experiment has PaiNN; SchNet is the other that `accelerate` knows.
    """
    few = {"train": 100, "validation": 50} if quick else {}
    tutorial = {"width": 30, "n_interactions": 3, "batch": 100, "workers": 1, "train": 1000, "validation": 1000}
    spktrain = {"width": 128, "batch": 100, "workers": 8, "train": 1000, "validation": 500}
    return [
        Program(program="tutorial", network="schnet", **tutorial | few),
        Program(program="spktrain", network="painn", n_interactions=3, **spktrain | few),
        Program(program="spktrain", network="schnet", n_interactions=6, **spktrain | few),
    ]


def program_jobs(*, repeats: int, quick: bool) -> Iterator[Job]:
    """Every training with a program, the variants of a program by turns within a repeat."""
    for repeat in range(repeats):
        for one in programs(quick=quick):
            for variant in VARIANTS:
                job = one.model_dump(include={"program", "network", "train", "validation"})
                epochs = 2 if quick else _EPOCHS[one.program]
                yield {"kind": "program", **job, "contestant": variant, "repeat": repeat, "epochs": epochs}


def measure_programs(out: Path, *, repeats: int, quick: bool, say: Callable[[str], None]) -> Programs:
    """Measure SchNetPack's own programs, whatever is not measured yet, and write the record to `out`.

    `say` is told of each training. Raises BenchmarkFailedError as `measure` does.
    """
    found, folder = _started(out, {"repeats": repeats, "quick": quick})
    first = {"kind": "programs"}
    prepared = found.get(first) or found.keep(first, _run(first, settings(quick=quick), folder))
    everything = list(program_jobs(repeats=repeats, quick=quick))
    for number, job in enumerate(everything, start=1):
        if found.get(job) is None:
            found.keep(job, _run(job, settings(quick=quick), folder))
            say(f"[{number}/{len(everything)}] {_words(job, found.get(job))}")
    content = found.header | {
        "machine": prepared["machine"],
        "programs": [one.model_dump() for one in programs(quick=quick)],
        "trainings": [found.get(job) for job in everything],
    }
    record = _written(out, content, Programs)
    shutil.rmtree(folder)
    return record


def _started(out: Path, asked: dict[str, Any]) -> tuple[Kept, Path]:
    """What was measured of this before, under a header with the code's state and versions; and the folder beside."""
    if out.exists():
        raise BenchmarkFailedError(f"{out} exists: name another file, or remove it to measure it again")
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Kept(folder, asked | {"git": checkout.git_state(), "versions": versions()}), folder
    except ForeignError as error:
        raise BenchmarkFailedError(str(error)) from error


def _written[R: Frozen](path: Path, content: dict[str, Any], kind: type[R] = Benchmark) -> R:
    record = kind.model_validate_json(json.dumps(content))
    measured.write(path, record)
    return record


def _run(job: Job, asked: Settings, folder: Path) -> Any:
    """Do a job in a fresh process; its working folder is `folder`, where SchNetPack leaves a lock."""
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        words = [json.dumps(job), asked.model_dump_json(), str(folder.resolve()), str(result)]
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-W", "ignore", "-m", "harness.benchmark.measure", *words],
                cwd=folder,
                env=_environment(job),
                capture_output=True,
                text=True,
                timeout=_TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchmarkFailedError(f"{job} was not done after {_TIME_LIMIT} s") from error
        if done.returncode != 0 or not result.exists():
            raise BenchmarkFailedError(f"{job} ended with status {done.returncode}:\n{done.stderr[-_SAID:]}")
        return json.loads(result.read_text(encoding="utf-8"))


def _environment(job: Job) -> dict[str, str]:
    """The process's environment: no GPU, which Lightning alone would take, and the wait that suits the contestant."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    env.pop("OMP_WAIT_POLICY", None)
    return env | ({"OMP_WAIT_POLICY": "PASSIVE"} if job.get("contestant") in _SLEEPERS else {})


def versions() -> dict[str, str]:
    """Of Python and the packages that decide the speed and the numbers."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def _words(job: Job, result: Any) -> str:
    """A measurement in a line."""
    match job["kind"]:
        case "steps":
            rate = result["molecules"] / result["seconds"]
            memory = (result["memory"] + result["workers_memory"]) / 1e6
            what = f"{job['contestant']:<11} {job['width']:>3} features, batch {job['batch']:>3}"
            return f"{what}: {rate:>8,.0f} molecules/s, first batch {result['first_batch']:.1f} s, {memory:,.0f} MB"
        case "scaling":
            return f"{job['contestant']:<11} {job['molecules']:>7,} molecules: {result['epoch']:.2f} s per epoch"
        case "lightning":
            share = 100 * (result["with_lightning"] / result["bare"] - 1)
            return f"Lightning   {job['width']:>3} features, batch {job['batch']:>3}: {share:+.1f} % of a step"
        case "program":
            epoch = statistics.median(result["epochs"])
            return f"{job['program']:<8} {job['network']:<6} {job['contestant']:<11} {epoch:.2f} s per epoch"
        case "full":
            return f"whole run: {sum(result['phases'].values()):.0f} s, {result['memory'] / 1e6:,.0f} MB"
    return f"floor, repeat {job['repeat'] + 1}"
