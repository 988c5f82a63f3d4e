"""The harness as a list of jobs, and the record they make; after a stop it goes on with the next job."""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from analysis.data import qm9
from analysis.runs import checkout, measured
from analysis.runs.config import RunConfig, adjust
from analysis.training import loop, recording
from harness.benchmark.plan import versions
from harness.kept import Kept
from harness.machine import Machine
from harness.robustness import faults, fuzzing, kills, load, processes
from harness.robustness.processes import ProcessUnderTest
from harness.robustness.record import FAULTS, FUZZ_TARGETS, Robustness

Job = dict[str, Any]

TIMES = {"study": 20, "cache": 10, "search": 12, "notebook": 10, "book": 6}
"""Kills of each process under test; some spare its child processes."""
_PART = 5  # kills per job: the most that a stopped harness loses
_INPUTS = {"parameters": 300}
_INPUTS_ELSE = 1000
_RECORDS = 10_000
_EPOCHS = 2
_SMALL = adjust(
    RunConfig(experiment="fuzz"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 2, "learning_rate": 1e-3},
)


class RobustnessFailedError(RuntimeError):
    """The harness can't go on; the message says why."""


def jobs(*, quick: bool) -> Iterator[Job]:
    """Everything to do, in order; a `quick` harness does a little of each kind, and builds no book."""
    for name, times in TIMES.items():
        if quick and name == "book":
            continue
        yield {"kind": "undisturbed", "process": name}
        sizes = [2] if quick else [_PART] * (times // _PART) + [times % _PART] * bool(times % _PART)
        for part, size in enumerate(sizes):
            yield {"kind": "kills", "process": name, "part": part, "times": size}
    for name in FAULTS:
        yield {"kind": "fault", "name": name}
    for name in FUZZ_TARGETS:
        yield {"kind": "fuzz", "name": name, "times": 20 if quick else _INPUTS.get(name, _INPUTS_ELSE)}
    yield {"kind": "load", "records": 200 if quick else _RECORDS, "epochs": 1 if quick else _EPOCHS}


def carry_out(out: Path, *, quick: bool, seed: int, minutes: float, say: Callable[[str], None]) -> Robustness | None:
    """Do what is not done yet and write the record to `out`; None if time ran out first.

    Parameters
    ----------
    out
        The record; interim results are kept in a folder beside it.
    quick
        Only check that everything runs.
    seed
        Of the moments of the kills, and of the mutations.
    minutes
        After this long, no further job is started.
    say
        Called with a line about each kill and each job.

    Raises
    ------
    RobustnessFailedError
        `out` exists already.
    harness.kept.ForeignError
        The interim results belong to another seed or another state of the code.
    kills.UndisturbedError
        A command failed undisturbed.
    """
    if out.exists():
        raise RobustnessFailedError(f"{out} exists: name another file with --out, or remove it")
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(folder, {"quick": quick, "seed": seed, "git": checkout.git_state(), "versions": versions()})
    everything = list(jobs(quick=quick))
    over = time.monotonic() + 60 * minutes
    for number, job in enumerate(everything, start=1):
        if kept.get(job) is not None:
            continue
        if time.monotonic() > over:
            say(f"{minutes:g} minutes are over: the same command goes on with job {number} of {len(everything)}")
            return None
        expected = kept.get({"kind": "undisturbed", "process": job.get("process")})
        result = kept.keep(job, _do(job, expected, seed, say))
        say(f"[{number}/{len(everything)}] {_words(job, result)}")
        for trouble in result.get("troubles", ()):
            say(f"    {trouble}")
    record = Robustness.model_validate_json(json.dumps(_content(kept, everything)))
    measured.write(out, record)
    shutil.rmtree(folder)
    return record


def _process(name: str) -> ProcessUnderTest:
    every = (processes.STUDY, processes.CACHE, processes.SEARCH, processes.NOTEBOOK, processes.BOOK)
    return next(process for process in every if process.name == name)


def _do(job: Job, expected: dict[str, Any] | None, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "here"
        match job["kind"]:
            case "undisturbed":
                # Two workers may run one trial more than asked for; the reference is what a single one does.
                process = processes.searching(workers=1) if job["process"] == "search" else _process(job["process"])
                return kills.undisturbed(process, folder)
            case "kills":
                rng = random.Random(f"{seed}-{job['process']}-{job['part']}")  # noqa: S311 - no secret
                return vars(kills.disturb(_process(job["process"]), job["times"], expected, folder, rng, say))
            case "fault":
                return faults.inject(job["name"])
            case "fuzz":
                molecules = qm9.load()
                record = recording.load_or_train(_SMALL, molecules, results=folder / "results")
                loop.train(_SMALL, molecules, folder / "training", logger=None)
                checkpoint = folder / "training" / loop.CHECKPOINT
                targets = fuzzing.FuzzTargets(folder / "targets", molecules, record.folder, checkpoint)
                return fuzzing.fuzz(targets, job["name"], job["times"], str(seed))
            case "load":
                return load.measure(job["records"], job["epochs"])
    raise ValueError(job["kind"])


def _words(job: Job, result: dict[str, Any]) -> str:
    match job["kind"]:
        case "undisturbed":
            return f"{job['process']}, undisturbed: {result['seconds']:.0f} s, {len(result['result'])} files to compare"
        case "kills":
            counts = {key: result[key] for key in ("half_read", "lost", "refused", "differing", "compared")}
            return f"{job['process']}: {len(result['kills'])} kills, {counts}"
        case "fault":
            return f"{job['name']}: exit codes {result['exit_codes']}, went on: {result['went_on']}: {result['said']}"
        case "fuzz":
            return f"{job['name']}: { ({key: result[key] for key in ('inputs', 'refused', 'same', 'other', 'wrong')}) }"
    return str(result)


def _content(kept: Kept, everything: list[Job]) -> dict[str, Any]:
    found = {"processes": [], "faults": [], "fuzz_targets": []}
    for name in TIMES:
        parts = [kept.get(job) for job in everything if job["kind"] == "kills" and job["process"] == name]
        if not parts:
            continue
        sums = ("ends", "half_read", "lost", "refused", "compared", "differing")
        found["processes"].append(
            {
                "name": name,
                "seconds": kept.get({"kind": "undisturbed", "process": name})["seconds"],
                "kills": [kill for part in parts for kill in part["kills"]],
                **{key: sum(part[key] for part in parts) for key in sums},
            }
        )
    for job in everything:
        result = kept.get(job)
        if (of := {"fault": "faults", "fuzz": "fuzz_targets"}.get(job["kind"])) is not None:
            found[of].append({key: value for key, value in result.items() if key != "troubles"})
    machine = Machine.here().model_dump(exclude={"processor"})
    return kept.header | found | {"machine": machine, "load": kept.get(everything[-1])}
