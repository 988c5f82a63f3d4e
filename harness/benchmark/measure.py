"""One measurement in a process of its own: ``python -m harness.benchmark.measure JOB SETTINGS FOLDER RESULT``.

Libraries are imported before the clock starts, and only those that the job needs, so that they count in nobody else's
memory. The result is a JSON file.
"""

import json
import logging
import math
import resource
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from harness.benchmark.record import VARIANTS, Settings
from harness.machine import Machine

_TESTED = 100  # molecules that `spktrain` has left to test on
_KIBIBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


def main() -> None:
    """Read the job from the command line, do it, and write what was measured."""
    job, settings, folder, result = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    found = run(json.loads(job), Settings.model_validate_json(settings), Path(folder))
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def run(job: dict[str, Any], settings: Settings, folder: Path) -> Any:
    """What a job finds: values of the classes of `harness.benchmark.record`.

    `folder` holds what `prepare` wrote; runs put their checkpoints into folders of their own in it.
    """
    kinds = {
        "prepare": prepare,
        "steps": steps,
        "lightning": lightning,
        "floor": floor,
        "scaling": scaling,
        "full": full,
        "programs": prepare_programs,
        "program": program,
    }
    values = {key: value for key, value in job.items() if key != "kind"}
    return kinds[job["kind"]](settings, folder, **values)


def prepare(settings: Settings, folder: Path) -> dict[str, Any]:
    """Write the inputs that are made once, outside every timing; tell machine and sizes."""
    from analysis.data import qm9
    from harness.benchmark import contestants

    molecules = qm9.load()
    for count in {settings.molecules, *settings.scaling_schnetpack}:
        contestants.write_database(folder, molecules, count)
    atoms, pairs = write_edges(folder, molecules, settings)
    return {
        "machine": Machine.here().model_dump(),
        "neighbour_list": contestants.NEIGHBOUR_LIST.__name__,
        "atoms": atoms,
        "pairs": pairs,
    }


def write_edges(folder: Path, molecules: Any, settings: Settings) -> tuple[float, float]:
    """Write the training molecules with their edges, both directions, for (c); the means of atoms and pairs."""
    import numpy as np

    from analysis.data.neighbours import neighbour_pairs
    from harness.benchmark import contestants

    used, parts, targets = contestants.chosen(molecules, settings.molecules)
    loop = used.select(parts.train)
    pairs = neighbour_pairs(loop, settings.cutoff)
    # Molecule by molecule: all its pairs one way, then the other way.
    counts = np.diff(pairs.offsets)
    whose = np.repeat(np.arange(len(loop)), counts)
    order = np.argsort(np.concatenate([whose, whose]), kind="stable")
    first, second = pairs.first.astype(np.int32), pairs.second.astype(np.int32)
    np.savez(
        _edges(folder),
        numbers=loop.numbers,
        n_atoms=loop.n_atoms,
        targets=targets[parts.train].astype(np.float32),
        n_edges=2 * counts,
        edges=np.stack([np.concatenate([first, second])[order], np.concatenate([second, first])[order]]),
        distances=np.concatenate([pairs.distance, pairs.distance])[order],
    )
    return float(loop.n_atoms.mean()), float(counts.mean())


def steps(settings: Settings, folder: Path, *, contestant: str, width: int, batch: int, repeat: int) -> dict[str, Any]:
    """Train for a while; see `harness.benchmark.record.Steps`."""
    from harness.benchmark.window import Window, WindowClosedError

    if contestant == "geometric":
        from harness.benchmark import geometric
    else:
        from harness.benchmark import contestants
    imports_memory = psutil.Process().memory_info().rss
    sizes = {"width": width, "batch": batch}
    # What is kept in memory is read in the first epoch.
    first_epoch = math.ceil(settings.molecules / batch) if contestant == "in_memory" else 0
    window = Window(warm_up=first_epoch + settings.warm_up, min_steps=settings.min_steps, seconds=settings.seconds)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, suppress(WindowClosedError):
        if contestant == "geometric":
            geometric.train(settings, _edges(folder), window=window, **sizes)
        elif contestant in VARIANTS:
            clock = [contestants.Clock(window)]
            contestants.schnetpack(
                settings, folder, molecules=settings.molecules, callbacks=clock, variant=contestant, **sizes
            )
        else:
            train = {"packed": contestants.packed, "ours": contestants.ours}[contestant]
            train(settings, Path(scratch), callbacks=[contestants.Clock(window)], **sizes)
    measured = window.result() | {"memory": _peak_memory(), "imports_memory": imports_memory}
    if contestant in {*VARIANTS[1:], "ours"}:
        from fused import choice

        measured["way"] = str(choice.way("schnet", width))
    return {"contestant": contestant, **sizes, "repeat": repeat} | measured


def lightning(settings: Settings, folder: Path, *, width: int, batch: int, repeat: int) -> dict[str, Any]:
    """Train by turns with and without Lightning; see `harness.benchmark.record.Turns`."""
    from harness.benchmark import contestants
    from harness.benchmark.window import WindowClosedError

    sizes = {"width": width, "batch": batch}
    turns = contestants.Turns(contestants.bare(settings, **sizes), steps=10 if settings.quick else 300)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, suppress(WindowClosedError):
        contestants.ours(settings, Path(scratch), callbacks=[turns], **sizes)
    return {
        **sizes,
        "repeat": repeat,
        "steps": min(len(turns.with_lightning), len(turns.bare)),
        "with_lightning": statistics.median(turns.with_lightning),
        "bare": statistics.median(turns.bare),
    }


def floor(settings: Settings, folder: Path, *, repeat: int, atoms: float, pairs: float) -> list[dict[str, Any]]:  # noqa: ARG001
    """The floor of every width and batch; see `harness.benchmark.floor`."""
    from harness.benchmark import floor as terms

    each = 0.02 if settings.quick else 0.15  # s; a product of the smallest batch takes some 0.1 ms
    rate = terms.multiply_add_rate(seconds=10 * each)
    return [
        {"repeat": repeat}
        | terms.measure(
            width=width,
            batch=batch,
            n_interactions=settings.n_interactions,
            atoms=atoms,
            pairs=pairs,
            rate=rate,
            seconds=each,
        )
        for batch in settings.batches
        for width in settings.widths
    ]


def scaling(settings: Settings, folder: Path, *, contestant: str, molecules: int, repeat: int) -> dict[str, Any]:
    """One training on a given number of molecules; see `harness.benchmark.record.Scaling`."""
    from analysis.data import qm9
    from analysis.training import loop
    from harness.benchmark import contestants

    times = contestants.EpochTimes()
    sizes = {"width": settings.scaling_width, "batch": min(settings.scaling_batch, molecules)}
    if contestant == "schnetpack":
        start = time.perf_counter()
        contestants.schnetpack(settings, folder, molecules=molecules, callbacks=[times], epochs=1, **sizes)
        load, prepare_seconds = 0.0, times.first_batch - start
    else:
        start = time.perf_counter()
        everything = qm9.load()
        load = time.perf_counter() - start
        config = contestants.config_of(settings, molecules=molecules, epochs=2, **sizes)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            trained = loop.train(config, everything, Path(scratch), callbacks=[times])
        prepare_seconds = trained.seconds["data"]
    return {
        "contestant": contestant,
        "molecules": molecules,
        "repeat": repeat,
        "load": load,
        "prepare": prepare_seconds,
        "epoch": times.seconds[-1],
    }


def full(settings: Settings, folder: Path) -> dict[str, Any]:
    """A whole run through the package's front door; see `harness.benchmark.record.Full`."""
    from analysis.data import qm9
    from analysis.runs.config import Data
    from analysis.training import recording
    from harness.benchmark import contestants

    start = time.perf_counter()
    molecules = qm9.load()
    load = time.perf_counter() - start
    sizes = {"width": settings.scaling_width, "batch": settings.scaling_batch}
    config = contestants.config_of(settings, molecules=settings.molecules, epochs=settings.full_epochs, **sizes)
    config = config.model_copy(update={"data": Data(train_molecules=settings.full_molecules)})
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        record = recording.load_or_train(config, molecules, results=Path(scratch))
    return {
        "molecules": record.about["molecules"]["train"],
        "validation": record.about["molecules"]["validation"],
        "epochs": settings.full_epochs,
        **sizes,
        "phases": {"load": load, "preparation": record.about["preparation_seconds"], **record.about["seconds"]},
        "memory": _peak_memory(),
        "validation_loss": float(record.history["validation_loss"].iloc[-1]),
    }


def prepare_programs(settings: Settings, folder: Path) -> dict[str, Any]:
    """Write the database of SchNetPack's programs, and choose how the loops work; tell the machine."""
    from fused import choice
    from harness.benchmark import plan, programs

    known = plan.programs(quick=settings.quick)
    programs.write_database(folder, max(one.train + one.validation for one in known) + _TESTED)
    for one in known:
        choice.way(one.network, one.width)
    return {"machine": Machine.here().model_dump()}


def program(
    settings: Settings,  # noqa: ARG001
    folder: Path,
    *,
    program: str,
    network: str,
    contestant: str,
    repeat: int,
    **sizes: int,
) -> dict[str, Any]:
    """Train with one of SchNetPack's programs; see `harness.benchmark.record.Training`."""
    from harness.benchmark import programs

    names = {"program": program, "network": network, "contestant": contestant}
    found = programs.run(folder, **names, **sizes, seed=repeat)
    first, *epochs = found["seconds"]
    return {
        **names,
        "repeat": repeat,
        "first": first,
        "epochs": epochs,
        "validation_loss": found["validation_loss"],
    }


def _edges(folder: Path) -> Path:
    return folder / "edges.npz"


def _peak_memory() -> int:
    """The highest resident memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE


if __name__ == "__main__":
    main()
