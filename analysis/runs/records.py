"""What is recorded of a run, and how it is read.

A record is a folder ``<results>/<experiment>/<run id>`` with `run.json` (what was run, on what, how long, and a
checksum of each other file), `history.csv`, `steps.parquet`, `errors.parquet`, `groups.csv` and `model.safetensors`;
where the molecules have forces (`config.LABELLED`), `forces.parquet` too.
A run whose training has two ends (`config.Training.settled`) is recorded for comparisons alone, in half the space:
without weights, with one row of `steps.parquet` per epoch, and with errors to 2⁻¹³ eV (0.12 meV). Of some other
records the weights were taken out later, and their checksum with them: those that nothing loads. A record
exists whole or not at all, and it is never overwritten. What the loggers write is not part of it: that lies in
``<results>/logs/<experiment>/<run id>``.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError
from safetensors.numpy import load_file

from analysis.data.errors import UserError
from analysis.data.files import naming, reason
from analysis.data.offsets import Offsets
from analysis.data.qm9 import ATOMIC_REFERENCES_U0
from analysis.runs import checkout
from analysis.runs.config import LABELLED, LOGS, RunConfig
from analysis.runs.measured import Git

SCHEMA_VERSION = 3
"""2: `run.json` without a checksum of its own. 1: also without `steps.parquet`, and with other phases of the time."""
RESULTS_VARIABLE = "COMPENDIUM_RESULTS"
WEIGHTS = "model.safetensors"
FORCES = "forces.parquet"
FILES = ("history.csv", "steps.parquet", "errors.parquet", "groups.csv", WEIGHTS)
"""Of a usual record; see `files_of`."""
_COLUMNS = {
    "history.csv": {"epoch", "train_loss", "validation_loss", "lowest", "highest"},
    "steps.parquet": {"step", "epoch", "loss", "lowest", "highest"},
    "errors.parquet": {"index", "n_atoms", "test", "error"},
    "groups.csv": {"kind", "group", "part", "molecules", "sum_e", "sum_ee", "sum_en", "sum_nn", "shift"},
    FORCES: {"index", "element", "atoms", "absolute", "squared"},
}
_OF_SETTLED = {
    "errors": {"settled": "error"},
    "groups": {"settled_e": "sum_e", "settled_ee": "sum_ee", "settled_en": "sum_en"},
}  # columns of a record with two ends, and what they are of the second end
End = Literal["last", "settled"]
"""The weights of a training's last step, as the report takes them, or the mean over those of its last steps."""
ENDS: tuple[End, ...] = get_args(End)
DESCRIPTION = "run.json"
ROUNDED = 2.0**-13
"""eV. The errors of a training with two ends are recorded as multiples of it, 0.12 meV."""
_BLANK = "0" * 64
_WITHOUT_WEIGHTS = "only its errors are compared; training a run with `settled` 0 again gives them"
_VERSION_WITHOUT_OWN_SUM = 2  # which is read as well
_ID = re.compile("[0-9a-f]{12}")


def results_folder() -> Path:
    """The folder that COMPENDIUM_RESULTS names, or `results/` in the checkout or, without one, the working folder."""
    named = os.environ.get(RESULTS_VARIABLE)
    return Path(named) if named else (checkout.folder() or Path.cwd()) / "results"


class RecordError(UserError, RuntimeError):
    """A record that can't be trusted; the message names the file and what to do."""


class _Part(BaseModel):
    """A part of `run.json`: what it has to hold, whatever else it holds. Old records lack what has a default."""

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


class _Described(_Part):
    id: str
    config: RunConfig
    molecules_fingerprint: str
    molecules: _Counts
    last_epoch: _LastEpoch | None = None
    seconds: _Seconds
    preparation_seconds: NonNegativeFloat | None = None
    versions: dict[str, str]
    machine: _Machine
    git: Git | None = None
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
    def has_weights(self) -> bool:
        """Whether the record holds the network itself."""
        return WEIGHTS in self.about["sha256"]

    @property
    def seconds(self) -> float:
        """Wall time of all phases, s."""
        return float(sum(self.about["seconds"].values()))

    @property
    def validation_loss(self) -> float | None:
        """Of the last epoch, eV²; None if it can't be read."""
        if "last_epoch" in self.about:
            return float(self.about["last_epoch"]["validation_loss"])
        try:  # older records have it in their history alone
            return float(pd.read_csv(self.folder / "history.csv")["validation_loss"].iloc[-1])
        except (OSError, ValueError, KeyError, IndexError):
            return None


@dataclass(frozen=True)
class Record(Outline):
    """One recorded run.

    `history` has a row per epoch (losses in eV²); `steps` the learning curve per step, averaged over blocks of steps
    (see `callbacks.LearningCurves.steps`); `errors` a row per held-out molecule (QM9 index, number of atoms,
    part, error in eV); `groups` the sums that both protocols need (see `protocols.group_sums`); `about` is `run.json`.
    Of a run with two ends these are the last step's, and `at` gives those of the other. `forces`, where there are any,
    has a row per held-out molecule and element (see `protocols.force_sums`).
    """

    history: pd.DataFrame
    steps: pd.DataFrame
    errors: pd.DataFrame
    groups: pd.DataFrame
    forces: pd.DataFrame | None = None

    def at(self, end: End) -> "Record":
        """The run at one of its ends; raises RecordError if it was recorded with the last one alone."""
        if end == "last":
            return self
        if not self.config.training.settled:
            raise RecordError(f"{self.folder} has one end, the last step: no mean of weights was kept")
        settled = {
            name: getattr(self, name).drop(columns=list(columns.values())).rename(columns=columns)
            for name, columns in _OF_SETTLED.items()
        }
        return replace(self, **settled)

    def offsets(self) -> Offsets:
        """The offsets that the model was trained with, as its weights file holds them."""
        state = self.state_dict()
        table = state["postprocessors.1.atomref"]
        return Offsets(
            mean=state["postprocessors.1.mean"].item(),
            references={z: table[z].item() for z in ATOMIC_REFERENCES_U0},
            removes_mean=self.config.training.offsets == "references-mean",
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Weights and offsets, with SchNetPack's own names; raises RecordError if the file can't be read."""
        if not self.has_weights:
            raise RecordError(f"{self.folder} is recorded without weights: {_WITHOUT_WEIGHTS}")
        with _reading(path := self.folder / WEIGHTS):
            return load_file(path)


def outline(folder: str | os.PathLike[str], *, expected: RunConfig | None = None, whole: bool = False) -> Outline:
    """Read a record's `run.json` and check it: schema version, id, the config if one is expected; `whole`: all files.

    Raises RecordError, which names the file, if anything does not fit.
    """
    folder = Path(folder)
    about, config = _read_about(folder)
    if config.run_id(about["molecules_fingerprint"]) != folder.name or about["id"] != folder.name:
        raise RecordError(
            f"{folder / DESCRIPTION} does not describe run {folder.name}: it was edited or moved; restore or delete it"
        )
    if expected is not None and config != expected:
        raise RecordError(f"{folder} holds another run than the one asked for: {config} instead of {expected}")
    found = Outline(folder, config, about)
    if whole:
        for name in files_of(config):
            if name != WEIGHTS or found.has_weights:
                _check_file(folder / name, about["sha256"][name])
    return found


def load(folder: str | os.PathLike[str], *, expected: RunConfig | None = None) -> Record:
    """Read a record and check it: what `outline` checks, and the checksums of all files.

    Raises RecordError, which names the file, if anything does not fit.
    """
    folder = Path(folder)
    found = outline(folder, expected=expected, whole=True)
    tables = {}
    for name, columns in _COLUMNS.items():
        if name not in files_of(found.config):
            continue
        table = name.partition(".")[0]
        second = _OF_SETTLED.get(table, {}).keys() if found.config.training.settled else set()
        tables[table] = _read_table(folder / name, columns | second)
    if found.config.training.settled:
        tables["errors"] = _from_steps(tables["errors"])
    return Record(folder, found.config, found.about, **tables)


def files_of(config: RunConfig) -> tuple[str, ...]:
    """The files that a run is recorded in, beside its description; of some, the weights were taken out later."""
    usual = tuple(name for name in FILES if name != WEIGHTS or not config.training.settled)
    return (*usual, FORCES) if has_forces(config) else usual


def has_forces(config: RunConfig) -> bool:
    """Whether a run's molecules have forces, which its model is then compared with."""
    return config.data.geometries in LABELLED


def folder_of(config: RunConfig, data_fingerprint: str, results: str | os.PathLike[str]) -> Path:
    """Where the record of a run on the database of this fingerprint lies, whether it is recorded or not."""
    return Path(results) / config.experiment / config.run_id(data_fingerprint)


def find[Read: Outline | Record](
    config: RunConfig,
    data_fingerprint: str,
    results: str | os.PathLike[str],
    *,
    read: Callable[..., Read] = load,  # type: ignore[assignment] # which reads a Record
) -> Read | None:
    """The record of a run on the database of this fingerprint; None if `results` has none.

    `read` is `load`, or `outline` for `run.json` alone; errors are theirs.
    """
    folder = folder_of(config, data_fingerprint, results)
    if not folder.exists():
        return None
    shutil.rmtree(partial_folder(folder), ignore_errors=True)  # a kill right after the recording leaves it
    return read(folder, expected=config)


def held_out_errors(records: Sequence[Record]) -> np.ndarray:
    """Errors of the same held-out molecules, in the order of `Record.errors`, a row per record: float64 [S, n], eV.

    Raises ValueError, which names two of the runs, if they hold out different molecules.
    """
    first = records[0]
    for record in records[1:]:
        if not np.array_equal(record.errors["index"], first.errors["index"]):
            raise ValueError(f"runs {first.id} and {record.id} hold out different molecules: they can't be compared")
    return np.array([record.errors["error"].to_numpy(dtype=float) for record in records])


def recorded_folders(results: str | os.PathLike[str]) -> list[Path]:
    """The folder of every record in `results`, damaged ones included, by experiment and id; the files are not read."""
    results = Path(results)
    if not results.is_dir():
        return []
    experiments = sorted(
        path for path in results.iterdir() if path.is_dir() and path.name != LOGS and not path.name.startswith(".")
    )
    return [path for experiment in experiments for path in sorted(experiment.iterdir()) if _ID.fullmatch(path.name)]


def partial_folder(folder: str | os.PathLike[str]) -> Path:
    """Where the checkpoint lies of a run whose record is to be `folder`."""
    folder = Path(folder)
    return folder.with_name(f".{folder.name}.partial")


def log_folder(folder: str | os.PathLike[str]) -> Path:
    """Where loggers write of a run whose record is to be `folder`."""
    folder = Path(folder)
    return folder.parents[1] / LOGS / folder.parent.name / folder.name


def two_ends(last: dict[str, pd.DataFrame], settled: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables "errors" and "groups" of a training with two ends as its record holds them, from those of each end.

    Errors are whole multiples of `ROUNDED`, the settled end's as their distance from the last's: the bits below say
    nothing, and take half of the file.
    """
    both = {
        name: last[name].assign(**{ours: settled[name][theirs] for ours, theirs in columns.items()})
        for name, columns in _OF_SETTLED.items()
    }
    errors = both["errors"]
    steps = {end: np.round(errors[end] / ROUNDED).astype(np.int32) for end in ("error", "settled")}
    steps["settled"] -= steps["error"]
    return both | {"errors": errors.assign(**steps)}


def _from_steps(errors: pd.DataFrame) -> pd.DataFrame:
    """The errors of both ends, eV, from what `two_ends` makes of them."""
    steps = {"error": errors["error"], "settled": errors["error"] + errors["settled"]}
    return errors.assign(**{end: (ROUNDED * of_end).astype(np.float32) for end, of_end in steps.items()})


def _read_about(folder: Path) -> tuple[dict, RunConfig]:
    path = folder / DESCRIPTION
    try:
        text = path.read_text(encoding="utf-8")
        about = json.loads(text)
        version = about["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(
            f"{path} can't be read as a run's description ({reason(error)}); restore it or delete {folder}"
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
    own = described.sha256.get(DESCRIPTION)
    if version != _VERSION_WITHOUT_OWN_SUM and (not own or own != _sum_of_text(*text.rpartition(own)[::2])):
        raise RecordError(f"{path} was edited (its own checksum differs); restore it or delete {folder}")
    if missing := set(files_of(described.config)) - described.sha256.keys() - {WEIGHTS}:
        raise RecordError(f"{path} lacks the checksum of {', '.join(sorted(missing))}; restore it or delete {folder}")
    return about, described.config


def description(about: dict) -> str:
    """The text of a `run.json`: `about`, whose "sha256" gets a checksum of the text itself, taken with zeros for it."""
    sums = {name: value for name, value in about["sha256"].items() if name != DESCRIPTION} | {DESCRIPTION: _BLANK}
    before, _, after = (json.dumps(about | {"sha256": sums}, indent=2) + "\n").rpartition(_BLANK)
    return f"{before}{_sum_of_text(before, after)}{after}"


def _sum_of_text(before: str, after: str) -> str:
    return hashlib.sha256(f"{before}{_BLANK}{after}".encode()).hexdigest()


def _read_table(path: Path, columns: set[str]) -> pd.DataFrame:
    with _reading(path):
        frame = pd.read_csv(path, dtype={"group": str}) if path.suffix == ".csv" else pd.read_parquet(path)
        if missing := columns - set(frame.columns):
            raise ValueError(f"no column {', '.join(sorted(missing))}")
    return frame


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise RecordError for whatever the readers of tables and tensors can't read."""
    try:
        yield
    except Exception as error:
        raise RecordError(f"{path} can't be read ({reason(error)}); restore it or delete {path.parent}") from error


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise RecordError(f"{path} is missing; restore it or delete {path.parent}")
    if sha256(path) == expected:
        return
    if hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() == expected:
        raise RecordError(
            f"{path} has other line endings than recorded (git's core.autocrlf changes them): check it out again"
        )
    raise RecordError(f"{path} is not what was recorded (its checksum differs); restore it or delete {path.parent}")


def sha256(path: str | os.PathLike[str]) -> str:
    """The checksum of a file, in hexadecimal."""
    with naming(path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
