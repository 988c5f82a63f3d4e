"""What drives the error of one model, computed from its runs."""

import importlib.metadata
import platform
from collections.abc import Callable, Sequence

import pandas as pd

from analysis.data import descriptors
from analysis.data.molecules import Molecules
from analysis.evaluation.error_sources import classes, explain, seeds, size, trees
from analysis.evaluation.error_sources.record import DIGITS, SCHEMA_VERSION, ErrorSources
from analysis.evaluation.verdicts.intervals import Estimate
from analysis.runs import selection
from analysis.runs.records import Record

WORST = 20
"""How many of the worst-predicted molecules are explained."""
_PACKAGES = ("numpy", "pandas", "rdkit", "scikit-learn", "scipy")
_SIZE = "n_atoms"  # also the name of its group: it is the first of the descriptors


def analyse(
    model: str, records: Sequence[Record], molecules: Molecules, *, progress: Callable[[str], None] = lambda _: None
) -> ErrorSources:
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
    train = selection.training_part(molecules, records[0].config.data)
    table = descriptors.table(molecules, train, position)
    progress("importance")
    correlation = explain.correlations(table)
    grouped = explain.groups(correlation)
    important = explain.summarised(trees.importance(table, errors, grouped, refit=[_SIZE]))
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
        "repeated": round(seeds.repeated(errors), DIGITS),
        "worst_share": {str(share): round(seeds.worst_share(errors, share), DIGITS) for share in (0.01, 0.1)},
        "mean_error": [round(value, DIGITS) for value in errors.mean().tolist()],
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    return ErrorSources(
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
