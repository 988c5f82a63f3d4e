"""The record of one run: load it, or train and record it.

Torch, whose import takes seconds, is imported only where something is trained.
"""

import functools
import gc
import logging
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import SoftFileLease, Timeout

from analysis.data.files import make_folder, naming, put_folder
from analysis.data.molecules import Molecules
from analysis.data.tables import write_table
from analysis.runs import checkout, protocols, records
from analysis.runs.config import Model, RunConfig
from analysis.runs.devices import accelerator
from analysis.runs.failures import CheckpointError, LeaseLostError, StartError, UnderWayError
from analysis.runs.measured import versions
from analysis.runs.records import Record

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback
    from schnetpack.model import NeuralNetworkPotential

    from analysis.training.loop import LoggerName, Trained

_PACKAGES = ("schnetpack", "torch", "pytorch-lightning", "numpy", "numba", "ase", "qm9pack")
_log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
"""After so long without a sign of life another process takes a run over; there is one every third of it."""

_POLL_SECONDS = 1.0  # while another process trains the run that is asked for


def load_or_train(
    config: RunConfig,
    molecules: Molecules,
    *,
    results: str | os.PathLike[str] | None = None,
    progress: bool = False,
    callbacks: Sequence["Callback"] = (),
    logger: "LoggerName | None" = "csv",
    wait: bool = True,
) -> Record:
    """The record of a run: loaded if it is there, trained and recorded if not.

    A run that was killed goes on from its last finished epoch. Processes that ask for the same run, on as many machines
    as share `results`, take turns: one has the run's lease, the others wait and load what it recorded. They take the
    run over when its process died or, on another machine, gave no sign of life for `LEASE_SECONDS`. One that only
    seemed dead stops when it finds out, and a run has one record whatever happens: it comes into its place whole, and
    never in place of another.

    `molecules` is the whole database, `results` by default `records.results_folder()`; without `wait` a run that
    another process trains is refused; the other parameters are those of `loop.train`, without effect if nothing is
    trained.

    Raises records.RecordError for a record that is damaged or another run's; failures.UnderWayError without `wait`;
    failures.StartError if the run begins with another that is not there; failures.CheckpointError for a checkpoint
    that can't be resumed; failures.TrainingDivergedError, weights.WeightError and loop.LoggerError as `loop.train`
    (nothing is then recorded); devices.DeviceError if there is no such device; and OSError if something can't be
    written: the next start goes on after the last finished epoch.
    """
    results = Path(results or records.results_folder())
    data = molecules.fingerprint()
    if (record := records.find(config, data, results)) is not None:
        return record
    accelerator()
    folder = records.folder_of(config, data, results)
    lease = _lease(folder)
    Path(lease.lock_file).parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            lease.acquire(blocking=wait)
        except Timeout as error:
            owner = lease.owner
            where = "another process" if owner is None else f"process {owner.pid} on {owner.hostname.partition('?')[0]}"
            raise UnderWayError(f"run {folder.name} of {config.experiment} is trained by {where}") from error
        try:
            if (record := records.find(config, data, results)) is not None:  # another process recorded it meanwhile
                return record
            _log.info("training run %s of %s", folder.name, config.experiment)
            with naming(folder):
                options = {"progress": progress, "callbacks": callbacks, "logger": logger}
                _train_and_record(config, molecules, folder, lease, start=start_of(config, results), **options)
            return records.find(config, data, results)  # type: ignore[return-value] # which has just been recorded
        except (LeaseLostError, FileNotFoundError) as error:  # whoever records the run removes its checkpoint
            if lease.compromise is None and not folder.exists():
                raise
            _log.warning("run %s of %s was taken over: %s", folder.name, config.experiment, error)
        finally:
            lease.release()
            # A trainer and what it trained refer to each other: a study of many runs grew beyond 4 GB.
            gc.collect()


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


def _train_and_record(
    config: RunConfig, molecules: Molecules, folder: Path, lease: SoftFileLease, **options: Any
) -> None:
    """In a function of its own: when it has ended, nothing refers to the training any more."""
    from analysis.training import loop
    from analysis.training.callbacks import KeepLease

    partial = records.partial_folder(folder)
    make_folder(partial)
    options["callbacks"] = [KeepLease(lease), *options["callbacks"]]
    trained = loop.train(config, molecules, partial, logs=records.log_folder(folder), **options)
    _evaluate_and_record(config, molecules, trained, folder, partial)


def _evaluate_and_record(
    config: RunConfig, molecules: Molecules, trained: "Trained", folder: Path, partial: Path, **beside: object
) -> None:
    start = time.perf_counter()
    tables = _tables(config, trained, trained.model)
    trained.seconds["evaluation"] = time.perf_counter() - start
    if trained.settled is not None:
        tables = records.two_ends(tables, _tables(config, trained, trained.settled))
    # Under a name of its own: a process that took the run over may be writing its record too.
    whole = _record(config, molecules, trained, tables, partial / f"record-{secrets.token_hex(4)}", **beside)
    try:
        put_folder(whole, folder)
    except FileExistsError:
        _log.warning("run %s of %s was recorded by another process meanwhile", folder.name, config.experiment)


def record(
    config: RunConfig, molecules: Molecules, trained: "Trained", folder: str | os.PathLike[str], **beside: object
) -> Record:
    """Make a record of a model that was trained elsewhere; `beside` is what its `run.json` says further."""
    folder = Path(folder)
    partial = records.partial_folder(folder)
    with naming(folder):
        make_folder(partial)
        _evaluate_and_record(config, molecules, trained, folder, partial, **beside)
    shutil.rmtree(partial)
    return records.load(folder, expected=config)


def _tables(config: RunConfig, trained: "Trained", model: "NeuralNetworkPotential") -> dict[str, pd.DataFrame]:
    """What a record holds of the errors of a model on the run's molecules, by the name of the table."""
    from analysis.training.loop import force_errors, predict_errors

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
    tables = {
        "errors": held_out.sort_values("index", ignore_index=True),
        "groups": protocols.group_sums(trained.molecules, errors, trained.offsets),
    }
    if records.has_forces(config):
        molecules = trained.molecules.select(positions)
        tables["forces"] = protocols.force_sums(molecules, force_errors(model, trained.packed, positions))
    return tables


@functools.cache  # one that waits measures how long the other gave no sign of life
def _lease(folder: Path) -> SoftFileLease:
    """What a process has as long as it trains the run whose record is to be `folder`.

    It is a file that is created exclusively, which network file systems do reliably; locks of the system often end at
    the machine. No clocks of two machines are compared.
    """
    path = folder.parents[1] / ".locks" / f"{folder.parent.name}-{folder.name}.lease"
    return SoftFileLease(path, lease_duration=LEASE_SECONDS, poll_interval=_POLL_SECONDS)


def held(folder: str | os.PathLike[str]) -> bool:
    """Whether another process has the lease of the run whose record is to be `folder`, dead ones included.

    Asked again and again it finds out that a process on another machine is dead, after `LEASE_SECONDS`.
    """
    lease = _lease(Path(folder))
    if lease.is_locked:
        return True
    if not Path(lease.lock_file).exists():
        return False
    try:
        with lease.acquire(blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # nobody trains in results that may not be written
        return False


def under_way(folder: str | os.PathLike[str]) -> bool:
    """Whether a process trains the run whose record is to be `folder`, here or on a machine that shares the folder."""
    if not held(folder):
        return False
    path = Path(_lease(Path(folder)).lock_file)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as new:  # what time it is by the clock of the file system
            return os.fstat(new.fileno()).st_mtime - path.stat().st_mtime < LEASE_SECONDS
    except OSError:  # released meanwhile
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
    whole.mkdir()
    trained.history.to_csv(whole / "history.csv", index=False)
    write_table(steps, whole / "steps.parquet")
    tables["groups"].to_csv(whole / "groups.csv", index=False)
    write_table(tables["errors"], whole / "errors.parquet")
    if records.FORCES in files:
        write_table(tables["forces"], whole / records.FORCES)
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
    return whole


def machine(model: Model | None = None) -> dict[str, str | int | float]:
    """What decides how fast this machine is and how it rounds; "threads" are torch's.

    Of a model with compiled loops also how they work here, see `fused.choice`.
    """
    import torch

    from fused import choice

    on_gpu = accelerator() == "cuda"
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    found: dict[str, str | int | float] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": choice.processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(pages / 2**30, 1),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
    }
    if model is not None and model.convolution == "fused" and not on_gpu:
        found["loops"] = str(choice.way(model.representation, model.n_atom_basis))
    return found
