"""The record of what drives the error of one model: computed once from its runs, written, read and checked.

A record is a folder ``results/drivers/<model>`` with `about.json` and the tables of `TABLES`.
"""

import hashlib
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import choice, descriptors, study
from analysis.drivers import classes, explain, seeds, size
from analysis.molecules import Molecules
from analysis.records import Record, results_folder
from analysis.verdicts.intervals import Estimate

MODELS = ("default", "custom")
SCHEMA_VERSION = 1
WORST = 20
"""So many of the worst-predicted molecules are explained."""

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
_PACKAGES = ("numpy", "pandas", "rdkit", "scikit-learn", "scipy")
_DIGITS = 6
_SIZE = "n_atoms"  # also the name of its group: it is the first of the descriptors


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
      `runs` that it was made of with the checksums of their errors, and the versions and `code` that made it.
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


def records_of(model: str, molecules: Molecules, *, results: Path | None = None) -> list[Record]:
    """The runs of "default" or "custom", one per seed, as the final comparison has them.

    Raises ValueError for another name, and what `study.recorded` raises.
    """
    if model not in MODELS:
        raise ValueError(f"there is no model {model!r}: choose one of {', '.join(MODELS)}")
    found = study.recorded(study.FinalComparisonParameters(), molecules, results=results)
    return [record for record in found if (record.config.experiment == "baseline") == (model == "default")]


def analyse(
    model: str, records: Sequence[Record], molecules: Molecules, *, progress: Callable[[str], None] = lambda _: None
) -> Drivers:
    """Compute everything: minutes on two cores.

    Parameters
    ----------
    model
        What to call it.
    records
        One per seed of one configuration, trained on all molecules that it selects.
    molecules
        The database that the runs were made with.
    progress
        Called with the name of what is computed next.
    """
    errors = seeds.errors_by_seed(records)
    position = pd.Index(molecules.index).get_indexer(errors.index)
    progress("descriptors")
    train = choice.training_part(molecules, records[0].config.data)
    table = descriptors.table(molecules, train, position)
    progress("importance")
    correlation = explain.correlations(table)
    grouped = explain.groups(correlation)
    important = explain.summarised(explain.importance(table, errors, grouped, refit=[_SIZE]))
    ranks = explain.rank_correlations(table, errors, grouped)
    progress("size")
    effects = size.size_effects(table, errors)
    progress("classes")
    ratios = classes.class_ratios(table, errors)
    validation = (~records[0].errors.set_index("index")["test"].loc[errors.index]).to_numpy()
    on_validation = classes.class_ratios(table[validation], errors[validation])
    worst = errors.abs().mean(axis=1).sort_values(ascending=False, kind="stable").index[:WORST]
    smiles = molecules.smiles[pd.Index(molecules.index).get_indexer(worst)]
    why = [(index, *reason) for index in worst for reason in classes.reasons(index, table, ratios, grouped)]
    about = {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "molecules": len(errors),
        "molecules_fingerprint": molecules.fingerprint(),
        "training_molecules": len(train),
        "runs": [_source(record) for record in records],
        "groups": list(grouped.values()),
        "weak_group": classes.weak_group(on_validation),
        "repeated": round(seeds.repeated(errors), _DIGITS),
        "worst_share": {str(share): round(seeds.worst_share(errors, share), _DIGITS) for share in (0.01, 0.1)},
        "mean_error": [round(value, _DIGITS) for value in errors.mean().tolist()],
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "code": {path.name: _sha256(path) for path in _code()},
    }
    return Drivers(
        about=about,
        parts=_estimates(seeds.parts(errors)),
        sizes=seeds.by_size(errors, table["n_atoms"]),
        correlations=correlation,
        importance=important,
        ranks=ranks,
        size_effects=effects,
        unsaturation=size.by_unsaturation(table, errors),
        classes=ratios,
        validation_classes=on_validation,
        worst=_described(errors.loc[worst]).assign(smiles=smiles).join(table),
        reasons=pd.DataFrame(why, columns=["index", *classes.Reason._fields]),
    )


def default_folder() -> Path:
    """Where the records lie that the book shows, a folder per model."""
    return results_folder() / "drivers"


def save(drivers: Drivers, folder: Path) -> None:
    """Write a record into a folder of its own, in place of what was there before."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in TABLES:
        table = getattr(drivers, name)
        table.to_csv(partial / f"{name}.csv", float_format=f"%.{_DIGITS}g", index=not _is_plain(table))
    about = drivers.about | {"sha256": {name: _sha256(partial / f"{name}.csv") for name in TABLES}}
    (partial / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load(model: str, *, folder: Path | None = None) -> Drivers:
    """Read a model's record and check it.

    Raises DriversError, which names the file, if it is missing, of another version, or not as it was written.
    """
    folder = (folder or default_folder()) / model
    path = folder / "about.json"
    again = f"`python -m analysis drivers {model}` makes it"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version, checksums = about["schema_version"], about["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DriversError(f"{path} can't be read ({error}): {again}") from error
    if version != SCHEMA_VERSION:
        raise DriversError(f"{path} has schema version {version}, this code reads {SCHEMA_VERSION}: {again} anew")
    tables = {}
    for name in TABLES:
        table = folder / f"{name}.csv"
        if not table.is_file() or _sha256(table) != checksums.get(name):
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


def _source(record: Record) -> dict[str, object]:
    return {
        "experiment": record.config.experiment,
        "id": record.id,
        "seed": record.config.seed,
        "errors_sha256": record.about["sha256"]["errors.parquet"],
    }


def _estimates(found: dict[str, Estimate]) -> pd.DataFrame:
    rows = {name: (one.value, *one.interval()) for name, one in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"]).rename_axis("part")


def _described(errors: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"absolute": errors.abs().mean(axis=1), "signed": errors.mean(axis=1), "deviation": errors.std(axis=1, ddof=1)}
    )


def _code() -> list[Path]:
    """The modules that compute what a record holds."""
    here = Path(__file__).resolve().parent
    return [here.parent / "descriptors.py", *sorted(here.glob("[a-z]*.py"))]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
