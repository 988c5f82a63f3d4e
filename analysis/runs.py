"""The record of one run: load it, or train and record it.

A record is a folder ``<results>/<experiment>/<run id>`` with `run.json` (what was run, on what, how long, and a
checksum of each other file), `history.csv`, `steps.parquet`, `errors.parquet`, `groups.csv` and `model.safetensors`.
It is written beside its place and renamed, so that it is there whole or not at all, and it is never overwritten. What
the loggers write is no part of it: that lies in ``<results>/logs/<experiment>/<run id>``.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError
from pytorch_lightning.callbacks import Callback
from safetensors.torch import load_file, save

from analysis import errors, training
from analysis.callbacks import CheckpointError, read_checkpoint
from analysis.config import LOGS, RunConfig
from analysis.molecules import Molecules, naming, to_disk
from analysis.offsets import Offsets
from analysis.qm9 import ATOMIC_REFERENCES_U0
from analysis.subsets import Split

SCHEMA_VERSION = 3
"""2: `run.json` without a checksum of its own. 1: also without `steps.parquet`, and with other phases of the time."""
RESULTS_VARIABLE = "COMPENDIUM_RESULTS"
_FILES = ("history.csv", "steps.parquet", "errors.parquet", "groups.csv", "model.safetensors")
_COLUMNS = {
    "history.csv": {"epoch", "train_loss", "validation_loss", "lowest", "highest"},
    "steps.parquet": {"step", "epoch", "loss", "lowest", "highest"},
    "errors.parquet": {"index", "n_atoms", "test", "error"},
    "groups.csv": {"kind", "group", "part", "molecules", "sum_e", "sum_ee", "sum_en", "sum_nn", "shift"},
}
_DESCRIPTION = "run.json"
_BLANK = "0" * 64
_VERSION_WITHOUT_OWN_SUM = 2  # which is read as well
_PACKAGES = ("schnetpack", "torch", "pytorch-lightning", "numpy", "numba", "ase", "qm9pack")
_ID = re.compile("[0-9a-f]{12}")
_log = logging.getLogger(__name__)


def results_folder() -> Path:
    """Where records lie: the checkout's `results/`, or the folder that COMPENDIUM_RESULTS names."""
    named = os.environ.get(RESULTS_VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parent.parent / "results"


class RecordError(RuntimeError):
    """A record that is there but can't be trusted; the message names the file and what to do."""


class _Part(BaseModel):
    """A part of `run.json`: what it has to hold, whatever else stands there. Old records lack what has a default."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Counts(_Part):
    train: PositiveInt
    validation: PositiveInt
    test: PositiveInt
    left_out: NonNegativeInt = 0


class _Seconds(_Part):
    data: NonNegativeFloat
    training: NonNegativeFloat
    validation: NonNegativeFloat
    evaluation: NonNegativeFloat


class _LastEpoch(_Part):
    train_loss: NonNegativeFloat
    validation_loss: NonNegativeFloat


class _Machine(_Part):
    processor: str = ""
    cores: NonNegativeInt
    threads: PositiveInt
    device: str


class _Git(_Part):
    commit: str
    clean: bool


class _Described(_Part):
    id: str
    config: RunConfig
    molecules_fingerprint: str
    molecules: _Counts
    last_epoch: _LastEpoch | None = None
    seconds: _Seconds
    versions: dict[str, str]
    machine: _Machine
    git: _Git | None = None
    sha256: dict[str, str]


@dataclass(frozen=True)
class Outline:
    """What `run.json` alone says of a record; `about` is its content."""

    folder: Path
    config: RunConfig
    about: dict

    @property
    def id(self) -> str:
        """The run's id, which is its folder's name."""
        return self.folder.name

    @property
    def seconds(self) -> float:
        """Wall time of all phases, s."""
        return float(sum(self.about["seconds"].values()))

    @cached_property
    def validation_loss(self) -> float | None:
        """Of the last epoch, eV²; None if it can't be read.

        A record whose `run.json` does not say it is of an older version: its history is looked at.
        """
        if "last_epoch" in self.about:
            return float(self.about["last_epoch"]["validation_loss"])
        try:
            return float(pd.read_csv(self.folder / "history.csv")["validation_loss"].iloc[-1])
        except (OSError, ValueError, KeyError, IndexError):
            return None


@dataclass(frozen=True)
class Record:
    """One recorded run.

    `history` has a row per epoch (losses in eV²); `steps` the learning curve per step, averaged over blocks of steps
    (see `callbacks.LearningCurves.steps`); `errors` a row per held-out molecule (QM9 index, number of atoms,
    part, error in eV); `groups` the sums that both protocols need (see `errors.group_sums`); `about` is `run.json`.
    """

    folder: Path
    config: RunConfig
    about: dict
    history: pd.DataFrame
    steps: pd.DataFrame
    errors: pd.DataFrame
    groups: pd.DataFrame

    @property
    def id(self) -> str:
        """The run's id, which is its folder's name."""
        return self.folder.name

    def offsets(self) -> Offsets:
        """The offsets that the model was trained with, as its weights file holds them."""
        state = self.state_dict()
        table = state["postprocessors.1.atomref"]
        return Offsets(
            mean=float(state["postprocessors.1.mean"]),
            references={z: float(table[z]) for z in ATOMIC_REFERENCES_U0},
            removes_mean=self.config.training.offsets == "references-mean",
        )

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights and offsets, with SchNetPack's own names; raises RecordError if the file can't be read."""
        with _reading(path := self.folder / "model.safetensors"):
            return load_file(path)


def load_or_train(
    config: RunConfig,
    molecules: Molecules,
    *,
    results: Path | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    logger: training.LoggerName | None = "csv",
) -> Record:
    """The record of a run: loaded if it is there, trained and recorded if not.

    A run that was killed goes on from its last finished epoch. Two processes that ask for the same run take turns: the
    second waits and loads what the first recorded.

    Parameters
    ----------
    config
        The run.
    molecules
        The whole database.
    results
        Where records lie, by default `results_folder()`.
    progress
        Show how far the training is.
    callbacks
        Further Lightning callbacks of a training, see `training.train`; a record that is loaded calls none.
    logger
        "csv", "tensorboard", "wandb" (offline) or None: what a training logs, see `training.train`.

    Raises
    ------
    RecordError
        There is a record, but a damaged or foreign one.
    callbacks.TrainingDivergedError
        The loss became infinite or NaN, or exploded; nothing is recorded.
    callbacks.CheckpointError
        The checkpoint of an earlier start can't be taken up.
    OSError
        Something can't be written; the next start goes on after the last finished epoch.
    weights.WeightError
        A loss weight is not finite, or negative; nothing is recorded.
    training.LoggerError
        There is no such logger, or its package is not installed.
    """
    run_id = config.run_id(molecules.fingerprint())
    results = results or results_folder()
    folder = results / config.experiment / run_id
    partial = _partial(folder)
    if folder.exists():
        shutil.rmtree(partial, ignore_errors=True)  # a kill right after the recording leaves it
        return load(folder, expected=config)
    locks = results / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{config.experiment}-{run_id}"):
        if not folder.exists():
            _log.info("training run %s of %s", run_id, config.experiment)
            with naming(folder):
                partial.mkdir(parents=True, exist_ok=True)
                trained = training.train(
                    config,
                    molecules,
                    partial,
                    progress=progress,
                    callbacks=callbacks,
                    logger=logger,
                    logs=results / LOGS / config.experiment / run_id,
                )
                _record(config, molecules, trained, partial, folder)
            shutil.rmtree(partial, ignore_errors=True)
    return load(folder, expected=config)


def outline(folder: Path, *, expected: RunConfig | None = None) -> Outline:
    """Read a record's `run.json` alone and check it: schema version, id, and the config if one is expected.

    Raises RecordError, which names the file, if anything does not fit.
    """
    about, config = _read_about(folder)
    if config.run_id(about["molecules_fingerprint"]) != folder.name or about["id"] != folder.name:
        raise RecordError(
            f"{folder / _DESCRIPTION} does not describe run {folder.name}: it was edited or moved; restore or delete it"
        )
    if expected is not None and config != expected:
        raise RecordError(f"{folder} holds another run than the one asked for: {config} instead of {expected}")
    return Outline(folder, config, about)


def load(folder: Path, *, expected: RunConfig | None = None) -> Record:
    """Read a record and check it: what `outline` checks, and the checksums of all files.

    Raises RecordError, which names the file, if anything does not fit.
    """
    found = outline(folder, expected=expected)
    config, about = found.config, found.about
    for name in _FILES:
        _check_file(folder / name, about["sha256"][name])
    tables = {name.partition(".")[0]: _read_table(folder / name) for name in _COLUMNS}
    return Record(folder=folder, config=config, about=about, **tables)


def recorded_folders(results: Path) -> list[Path]:
    """The folder of every record in `results`, damaged ones included, by experiment and id; the files are not read."""
    if not results.is_dir():
        return []
    experiments = sorted(
        path for path in results.iterdir() if path.is_dir() and path.name != LOGS and not path.name.startswith(".")
    )
    return [path for experiment in experiments for path in sorted(experiment.iterdir()) if _ID.fullmatch(path.name)]


def finished_epochs(folder: Path) -> int | None:
    """How many epochs a run whose record is to be `folder` has finished; None if it was never started.

    Raises callbacks.CheckpointError if its checkpoint can't be read.
    """
    partial = _partial(folder)
    if not partial.is_dir():
        return None
    path = partial / training.CHECKPOINT
    try:
        return int(read_checkpoint(path)["epoch"]) + 1
    except FileNotFoundError:
        return 0
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not say how far the run is; delete {partial} to train it from the beginning"
        ) from error


def _partial(folder: Path) -> Path:
    """Where the checkpoint lies of a run whose record is to be `folder`."""
    return folder.with_name(f".{folder.name}.partial")


def _read_about(folder: Path) -> tuple[dict, RunConfig]:
    path = folder / _DESCRIPTION
    try:
        text = path.read_text(encoding="utf-8")
        about = json.loads(text)
        version = about["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(
            f"{path} can't be read as a run's description ({error}); restore it or delete {folder}"
        ) from error
    if version not in (SCHEMA_VERSION, _VERSION_WITHOUT_OWN_SUM):
        raise RecordError(
            f"{path} has schema version {version}, this code reads {_VERSION_WITHOUT_OWN_SUM} and {SCHEMA_VERSION}: "
            f"use the version of the code that wrote it, or delete {folder} to train the run again"
        )
    try:
        described = _Described.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        said = f"lacks {where}" if first["type"] == "missing" else f"is wrong in {where}: {first['msg']}"
        raise RecordError(f"{path} {said}; restore it or delete {folder}") from error
    own = described.sha256.get(_DESCRIPTION)
    if version != _VERSION_WITHOUT_OWN_SUM and (not own or own != _sum_of_text(*text.rpartition(own)[::2])):
        raise RecordError(f"{path} was edited (its own checksum differs); restore it or delete {folder}")
    if missing := set(_FILES) - described.sha256.keys():
        raise RecordError(f"{path} lacks the checksum of {', '.join(sorted(missing))}; restore it or delete {folder}")
    return about, described.config


def description(about: dict) -> str:
    """The text of a `run.json`: `about`, whose "sha256" gets a checksum of the text itself, taken with zeros for it."""
    sums = {name: value for name, value in about["sha256"].items() if name != _DESCRIPTION} | {_DESCRIPTION: _BLANK}
    before, _, after = (json.dumps(about | {"sha256": sums}, indent=2) + "\n").rpartition(_BLANK)
    return f"{before}{_sum_of_text(before, after)}{after}"


def _sum_of_text(before: str, after: str) -> str:
    return hashlib.sha256(f"{before}{_BLANK}{after}".encode()).hexdigest()


def _read_table(path: Path) -> pd.DataFrame:
    with _reading(path):
        frame = pd.read_csv(path, dtype={"group": str}) if path.suffix == ".csv" else pd.read_parquet(path)
        if missing := _COLUMNS[path.name] - set(frame.columns):
            raise ValueError(f"no column {', '.join(sorted(missing))}")
    return frame


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise RecordError for whatever the readers of tables and tensors stumble over."""
    try:
        yield
    except Exception as error:
        raise RecordError(f"{path} can't be read ({error}); restore it or delete {path.parent}") from error


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise RecordError(f"{path} is missing; restore it or delete {path.parent}")
    if _sha256(path) != expected:
        raise RecordError(f"{path} is not what was recorded (its checksum differs); restore it or delete {path.parent}")


def _record(config: RunConfig, molecules: Molecules, trained: training.Trained, partial: Path, folder: Path) -> None:
    start = time.perf_counter()
    parts = trained.parts
    found = {
        "train": (parts.train, training.predict_errors(trained.model, trained.packed, parts.train)),
        "held_out": (parts.held_out, training.predict_errors(trained.model, trained.packed, parts.held_out)),
    }
    if len(trained.left_out):
        found["left_out"] = (
            trained.left_out,
            training.predict_errors(trained.model, trained.packed, trained.left_out),
        )
    groups = errors.group_sums(trained.molecules, found, trained.offsets)
    seconds = {**trained.seconds, "evaluation": time.perf_counter() - start}

    whole = partial / "record"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    trained.history.to_csv(whole / "history.csv", index=False)
    write_table(trained.steps, whole / "steps.parquet")
    groups.to_csv(whole / "groups.csv", index=False)
    write_table(_held_out_errors(trained.molecules, parts, found["held_out"]), whole / "errors.parquet")
    weights = {name: value.contiguous() for name, value in trained.model.state_dict().items()}
    (whole / "model.safetensors").write_bytes(save(weights))
    about = {
        "schema_version": SCHEMA_VERSION,
        "id": folder.name,
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
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "machine": machine(),
        "git": _git_state(),
        "sha256": {name: _sha256(whole / name) for name in _FILES},
    }
    (whole / _DESCRIPTION).write_text(description(about), encoding="utf-8")
    for path in whole.iterdir():
        to_disk(path)  # a power cut would otherwise leave the folder in its place with nothing in its files
    whole.rename(folder)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table of int32, float32 and smaller columns as Parquet in half the space that it takes by default.

    Rising integers are kept as their differences, floats byte by byte (their high bytes are alike); all is exact.
    """
    encodings = {"i": "DELTA_BINARY_PACKED", "f": "BYTE_STREAM_SPLIT"}
    encoding = {name: encodings[dtype.kind] for name, dtype in frame.dtypes.items() if dtype in (np.int32, np.float32)}
    frame.to_parquet(
        path,
        compression="zstd",
        column_encoding=encoding,
        use_dictionary=[name for name in frame if name not in encoding],
    )


def _held_out_errors(molecules: Molecules, parts: Split, held_out: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    positions, e = held_out
    frame = pd.DataFrame(
        {
            "index": molecules.index[positions].astype(np.int32),
            "n_atoms": molecules.n_atoms[positions].astype(np.int8),
            "test": np.isin(positions, parts.test),
            "error": e.astype(np.float32),
        }
    )
    return frame.sort_values("index", ignore_index=True)


def machine() -> dict[str, str | int | float]:
    """What decides how fast this machine is and how it rounds; "threads" are torch's."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(pages / 2**30, 1),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _processor() -> str:
    """The processor's model: two of one architecture may round differently. Empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _git_state() -> dict[str, str | bool] | None:
    """The commit that made the record and whether the package was as committed; None outside a git checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    home = Path(__file__).resolve().parent
    commit = subprocess.run([git, "rev-parse", "HEAD"], cwd=home, capture_output=True, text=True, check=False)  # noqa: S603
    if commit.returncode != 0:
        return None
    changed = subprocess.run(  # noqa: S603
        [git, "status", "--porcelain", "--", "."], cwd=home, capture_output=True, text=True, check=True
    )
    return {"commit": commit.stdout.strip(), "clean": not changed.stdout.strip()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
