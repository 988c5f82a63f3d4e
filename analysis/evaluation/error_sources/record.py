"""The record of what drives the error of one model: written, read and checked; `compute` makes it from the runs.

A record is a folder ``results/drivers/<model>`` (the committed records keep that name) with `about.json` and `TABLES`.
"""

import json
import os
import shutil
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from analysis.data.errors import UserError
from analysis.data.files import put_folder, reason
from analysis.runs.records import results_folder, sha256

MODELS = ("default", "custom")
SCHEMA_VERSION = 1

DIGITS = 6
"""Of the numbers in a record's files."""


class ErrorSourcesError(UserError, RuntimeError):
    """A missing record, or one that can't be trusted; the message names the file and what to do."""


@dataclass(frozen=True)
class ErrorSources:
    """What drives the error of one model.

    - `parts`: share, low and high of the mean squared error's `parts` (see `seeds.parts`).
    - `sizes`: `seeds.by_size`. `correlations`: Spearman's, of each descriptor with each. `importance`:
      `explain.summarised`. `ranks`: `explain.rank_correlations`. `size_effects`, `unsaturation`: `size.size_effects`
      and `size.by_unsaturation`.
    - `classes`: `classes.class_ratios` over all held-out molecules; `validation_classes` over the validation half.
    - `worst`: the worst-predicted molecules, worst first, under their QM9 index: `absolute` and `signed`, the mean
      over seeds of |e| and e (eV), `deviation` of e over seeds, `smiles`, and all descriptors. `reasons`:
      `classes.reasons` of each, a row per reason.
    - `about`: `model`, `groups` of descriptors, `weak_group`, `repeated` (see `seeds.repeated`), `worst_share` (of the
      squared error, borne by the worst 1 and 10 % of the molecules), `mean_error` (eV, per seed), `molecules`, the
      `runs` that it was computed from with the checksums of their errors, and the versions that computed it.
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


TABLES = tuple(part.name for part in fields(ErrorSources) if part.name != "about")
"""The tables of a record, a CSV file each."""


def save(sources: ErrorSources, folder: str | os.PathLike[str]) -> None:
    """Write a record into a folder of its own, replacing what was there."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in TABLES:
        table = getattr(sources, name)
        table.to_csv(
            partial / f"{name}.csv", float_format=f"%.{DIGITS}g", index=not isinstance(table.index, pd.RangeIndex)
        )
    about = sources.about | {"sha256": {name: sha256(partial / f"{name}.csv") for name in TABLES}}
    (partial / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    put_folder(partial, folder)


def load(model: str, *, folder: str | os.PathLike[str] | None = None) -> ErrorSources:
    """Read a model's record in a folder (by default the one that the book shows) and check it.

    Raises ErrorSourcesError, which names the file, if it is missing, of another version, or not as it was written.
    """
    folder = Path(folder or results_folder() / "drivers") / model
    path = folder / "about.json"
    again = f"`python -m analysis error-sources {model}` makes it"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version, checksums = about["schema_version"], about["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ErrorSourcesError(f"{path} can't be read ({reason(error)}): {again}") from error
    if version != SCHEMA_VERSION:
        raise ErrorSourcesError(f"{path} has schema version {version}, this code reads {SCHEMA_VERSION}: {again} anew")
    tables = {}
    for name in TABLES:
        table = folder / f"{name}.csv"
        if not table.is_file() or sha256(table) != checksums.get(name):
            raise ErrorSourcesError(f"{table} is missing or not what was written: {again} anew")
        tables[name] = pd.read_csv(table, index_col=_INDEX.get(name), keep_default_na=False, na_values=["nan"])
    return ErrorSources(about=about, **tables)


_INDEX = {"importance": [0, 1, 2]} | dict.fromkeys(
    ("parts", "correlations", "ranks", "classes", "validation_classes", "worst"), 0
)
"""Columns of the CSV files that make the index; the other tables have none."""
