"""The record of what drives the error of one model: written, read and checked; `compute` makes it from the runs.

A record is a folder ``results/drivers/<model>`` with `about.json` and the tables of `TABLES`.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.data.molecules import reason
from analysis.runs.records import results_folder

MODELS = ("default", "custom")
SCHEMA_VERSION = 1

TABLES = (
    "parts",
    "sizes",
    "correlations",
    "importance",
    "ranks",
    "size_effects",
    "unsaturation",
    "classes",
    "validation_classes",
    "worst",
    "reasons",
)
DIGITS = 6
"""Of the numbers in a record's files."""


class DriversError(RuntimeError):
    """There is no record, or one that can't be trusted; the message names the file and what to do."""


@dataclass(frozen=True)
class Drivers:
    """What drives the error of one model.

    - `parts`: share, low and high of the mean squared error's `parts` (see `seeds.parts`).
    - `sizes`: `seeds.by_size`. `correlations`: `explain.correlations`. `importance`: `explain.summarised`.
      `ranks`: `explain.rank_correlations`. `size_effects`, `unsaturation`: `size.size_effects` and
      `size.by_unsaturation`.
    - `classes`: `classes.class_ratios` over all held-out molecules; `validation_classes` over the validation half.
    - `worst`: the worst-predicted molecules, worst first, under their QM9 index: `absolute` and `signed`, the mean
      over seeds of |e| and e (eV), `deviation` of e over seeds, `smiles`, and all descriptors. `reasons`:
      `classes.reasons` of each, a row per reason.
    - `about`: `model`, `groups` of descriptors, `weak_group`, `repeated` (see `seeds.repeated`), `worst_share` (of the
      squared error, borne by the worst 1 and 10 % of the molecules), `mean_error` (eV, per seed), `molecules`, the
      `runs` that it was made of with the checksums of their errors, and the versions that made it.
    """

    about: dict
    parts: pd.DataFrame
    sizes: pd.DataFrame
    correlations: pd.DataFrame
    importance: pd.DataFrame
    ranks: pd.DataFrame
    size_effects: pd.DataFrame
    unsaturation: pd.DataFrame
    classes: pd.DataFrame
    validation_classes: pd.DataFrame
    worst: pd.DataFrame
    reasons: pd.DataFrame


def default_folder() -> Path:
    """Where the records lie that the book shows, a folder per model."""
    return results_folder() / "drivers"


def save(drivers: Drivers, folder: str | os.PathLike[str]) -> None:
    """Write a record into a folder of its own, in place of what was there before."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in TABLES:
        table = getattr(drivers, name)
        table.to_csv(partial / f"{name}.csv", float_format=f"%.{DIGITS}g", index=not _is_plain(table))
    about = drivers.about | {"sha256": {name: sha256(partial / f"{name}.csv") for name in TABLES}}
    (partial / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load(model: str, *, folder: str | os.PathLike[str] | None = None) -> Drivers:
    """Read a model's record and check it.

    Raises DriversError, which names the file, if it is missing, of another version, or not as it was written.
    """
    folder = Path(folder or default_folder()) / model
    path = folder / "about.json"
    again = f"`python -m analysis error-sources {model}` makes it"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version, checksums = about["schema_version"], about["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DriversError(f"{path} can't be read ({reason(error)}): {again}") from error
    if version != SCHEMA_VERSION:
        raise DriversError(f"{path} has schema version {version}, this code reads {SCHEMA_VERSION}: {again} anew")
    tables = {}
    for name in TABLES:
        table = folder / f"{name}.csv"
        if not table.is_file() or sha256(table) != checksums.get(name):
            raise DriversError(f"{table} is missing or not what was written: {again} anew")
        tables[name] = pd.read_csv(table, index_col=_INDEX.get(name), keep_default_na=False, na_values=["nan"])
    return Drivers(about=about, **tables)


_INDEX = {
    "parts": 0,
    "correlations": 0,
    "importance": [0, 1, 2],
    "ranks": 0,
    "classes": 0,
    "validation_classes": 0,
    "worst": 0,
}
"""Columns of the CSV files that make the index; the other tables have none."""


def _is_plain(table: pd.DataFrame) -> bool:
    return isinstance(table.index, pd.RangeIndex)


def sha256(path: str | os.PathLike[str]) -> str:
    """The checksum of a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
