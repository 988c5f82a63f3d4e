"""The record of one run: load it, or train and record it.

Torch, whose import takes seconds, is imported only where something is trained.
"""

import gc
import logging
import os
import platform
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from analysis.data.files import naming, to_disk
from analysis.data.molecules import Molecules
from analysis.runs import checkout, protocols, records
from analysis.runs.config import Model, RunConfig
from analysis.runs.failures import CheckpointError, StartError
from analysis.runs.measured import versions
from analysis.runs.records import Record

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback
    from schnetpack.model import NeuralNetworkPotential

    from analysis.training.loop import LoggerName, Trained

_PACKAGES = ("schnetpack", "torch", "pytorch-lightning", "numpy", "numba", "ase", "qm9pack")
_log = logging.getLogger(__name__)


def load_or_train(
    config: RunConfig,
    molecules: Molecules,
    *,
    results: str | os.PathLike[str] | None = None,
    progress: bool = False,
    callbacks: Sequence["Callback"] = (),
    logger: "LoggerName | None" = "csv",
) -> Record:
    """The record of a run: loaded if it is there, trained and recorded if not.

    A run that was killed goes on from its last finished epoch. Two processes that ask for the same run take turns: the
    second waits and loads what the first recorded. `molecules` is the whole database, `results` by default
    `records.results_folder()`; the other parameters are those of `loop.train`, without effect if nothing is trained.

    Raises records.RecordError for a record that is damaged or another run's; failures.StartError if the run begins with
    another that is not there; failures.CheckpointError for a checkpoint
    that can't be resumed; failures.TrainingDivergedError, weights.WeightError and loop.LoggerError as `loop.train`
    (nothing is then recorded); and OSError if something can't be written: the next start goes on after the last
    finished epoch.
    """
    results = Path(results or records.results_folder())
    data = molecules.fingerprint()
    if (record := records.find(config, data, results)) is not None:
        return record
    folder = records.folder_of(config, data, results)
    lock = _lock(folder)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if (record := records.find(config, data, results)) is not None:  # another process recorded it meanwhile
            return record
        _log.info("training run %s of %s", folder.name, config.experiment)
        try:
            with naming(folder):
                options = {"progress": progress, "callbacks": callbacks, "logger": logger}
                _train_and_record(config, molecules, folder, start=start_of(config, results), **options)
        finally:
            # A trainer and what it trained refer to each other: a study of many runs grew beyond 4 GB.
            gc.collect()
        return records.find(config, data, results)  # type: ignore[return-value] # which has just been recorded


def start_of(config: RunConfig, results: str | os.PathLike[str]) -> Record | None:
    """The record that a run begins with; None for one that begins by itself.

    Raises StartError if it is not in `results`, or has another network than the run.
    """
    if config.start is None:
        return None
    folder = Path(results) / config.start
    if not folder.is_dir():
        raise StartError(f"the run begins with {config.start}, which is not recorded in {results}: train it first")
    start = records.load(folder)
    if start.config.model != config.model:
        raise StartError(f"the run begins with {config.start}, whose network has other settings than its own")
    return start


def _train_and_record(config: RunConfig, molecules: Molecules, folder: Path, **options: Any) -> None:
    """In a function of its own: when it has ended, nothing refers to the training any more."""
    from analysis.training import loop

    partial = records.partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    trained = loop.train(config, molecules, partial, logs=records.log_folder(folder), **options)
    _evaluate_and_record(config, molecules, trained, folder, partial)


def _evaluate_and_record(
    config: RunConfig, molecules: Molecules, trained: "Trained", folder: Path, partial: Path, **beside: object
) -> None:
    start = time.perf_counter()
    tables = _tables(trained, trained.model)
    trained.seconds["evaluation"] = time.perf_counter() - start
    if trained.settled is not None:
        tables = records.two_ends(tables, _tables(trained, trained.settled))
    _record(config, molecules, trained, tables, partial / "record", **beside).rename(folder)


def record(
    config: RunConfig, molecules: Molecules, trained: "Trained", folder: str | os.PathLike[str], **beside: object
) -> Record:
    """Make a record of a model that was trained elsewhere; `beside` is what its `run.json` says further."""
    folder = Path(folder)
    partial = records.partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    with naming(folder):
        _evaluate_and_record(config, molecules, trained, folder, partial, **beside)
    shutil.rmtree(partial)
    return records.load(folder, expected=config)


def _tables(trained: "Trained", model: "NeuralNetworkPotential") -> dict[str, pd.DataFrame]:
    """What a record holds of the errors of a model on the run's molecules, by the name of the table."""
    from analysis.training.loop import predict_errors

    parts = {"train": trained.parts.train, "held_out": trained.parts.held_out, "left_out": trained.left_out}
    errors = {
        part: (positions, predict_errors(model, trained.packed, positions))
        for part, positions in parts.items()
        if len(positions)
    }
    positions, e = errors["held_out"]
    held_out = pd.DataFrame(
        {
            "index": trained.molecules.index[positions].astype(np.int32),
            "n_atoms": trained.molecules.n_atoms[positions].astype(np.int8),
            "test": np.isin(positions, trained.parts.test),
            "error": e.astype(np.float32),
        }
    )
    return {
        "errors": held_out.sort_values("index", ignore_index=True),
        "groups": protocols.group_sums(trained.molecules, errors, trained.offsets),
    }


def _lock(folder: Path) -> Path:
    """The file that a process locks as long as it trains the run whose record is to be `folder`."""
    return folder.parents[1] / ".locks" / f"{folder.parent.name}-{folder.name}"


def under_way(folder: str | os.PathLike[str]) -> bool:
    """Whether a process on this machine trains the run whose record is to be `folder`."""
    lock = _lock(Path(folder))
    if not lock.exists():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # nobody trains in results that may not be written
        return False


def finished_epochs(folder: str | os.PathLike[str]) -> int | None:
    """How many epochs a run whose record is to be `folder` has finished; None if it was never started.

    Raises failures.CheckpointError if its checkpoint can't be read.
    """
    partial = records.partial_folder(folder)
    if not partial.is_dir():
        return None
    from analysis.training.callbacks import read_checkpoint
    from analysis.training.loop import CHECKPOINT

    path = partial / CHECKPOINT
    try:
        return int(read_checkpoint(path)["epoch"]) + 1  # type: ignore[call-overload] # whatever it is
    except FileNotFoundError:
        return 0
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not say how far the run is; delete {partial} to train it from the beginning"
        ) from error


def _record(
    config: RunConfig,
    molecules: Molecules,
    trained: "Trained",
    tables: dict[str, pd.DataFrame],
    whole: Path,
    **beside: object,
) -> Path:
    """Write the record to the folder `whole`."""
    from safetensors.torch import save

    parts, files, steps = trained.parts, records.files_of(config), trained.steps
    if config.training.settled:
        steps = steps.groupby(np.ceil(steps["epoch"])).tail(1)
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    trained.history.to_csv(whole / "history.csv", index=False)
    records.write_table(steps, whole / "steps.parquet")
    tables["groups"].to_csv(whole / "groups.csv", index=False)
    records.write_table(tables["errors"], whole / "errors.parquet")
    if records.WEIGHTS in files:
        weights = {name: value.contiguous() for name, value in trained.model.state_dict().items()}
        (whole / records.WEIGHTS).write_bytes(save(weights))
    about = {
        "schema_version": records.SCHEMA_VERSION,
        "id": config.run_id(molecules.fingerprint()),
        "config": config.model_dump(mode="json"),
        "molecules_fingerprint": molecules.fingerprint(),
        "split_fingerprint": parts.fingerprint(trained.molecules),
        "parameters": sum(value.numel() for value in trained.model.parameters()),
        "molecules": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "left_out": len(trained.left_out),
        },
        "last_epoch": {name: float(trained.history[name].iloc[-1]) for name in ("train_loss", "validation_loss")},
        "seconds": {phase: round(value, 3) for phase, value in trained.seconds.items()},
        "preparation_seconds": round(trained.preparation_seconds, 3),
        "versions": versions(_PACKAGES),
        "machine": machine(config.model),
        "git": checkout.git_state(),
        **beside,
        "sha256": {name: records.sha256(whole / name) for name in files},
    }
    (whole / records.DESCRIPTION).write_text(records.description(about), encoding="utf-8")
    for path in whole.iterdir():
        to_disk(path)  # a power cut would otherwise leave the folder in its place with nothing in its files
    return whole


def machine(model: Model | None = None) -> dict[str, str | int | float]:
    """What decides how fast this machine is and how it rounds; "threads" are torch's.

    Of a model with compiled loops also how they work here, see `fused.choice`.
    """
    import torch

    from fused import choice

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    found: dict[str, str | int | float] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": choice.processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(pages / 2**30, 1),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
    if model is not None and model.convolution == "fused" and not torch.cuda.is_available():
        found["loops"] = str(choice.way(model.representation, model.n_atom_basis))
    return found
