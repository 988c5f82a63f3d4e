"""What drives the error of one model, computed from its runs."""

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.data import descriptors
from analysis.data.molecules import Molecules
from analysis.evaluation.error_sources import classes, explain, seeds, size, trees
from analysis.evaluation.error_sources.record import DIGITS, SCHEMA_VERSION, ErrorSources
from analysis.runs import selection
from analysis.runs.measured import versions
from analysis.runs.records import Record

WORST = 20
"""How many of the worst-predicted molecules are explained."""
_PACKAGES = ("numpy", "pandas", "rdkit", "scikit-learn", "scipy")
_SIZE = "n_atoms"  # also the name of its group: it is the first of the descriptors


def analyse(
    model: str, records: Sequence[Record], molecules: Molecules, *, progress: Callable[[str], None] = lambda _: None
) -> ErrorSources:
    """Compute everything: minutes on two cores.

    `model` is what to call it, `records` are one per seed of one configuration, trained on all molecules that it
    selects, `molecules` is the database; `progress` is called with the name of what is computed next.
    """
    errors = seeds.errors_by_seed(records)
    position = pd.Index(molecules.index).get_indexer(errors.index)
    progress("descriptors")
    train = selection.training_part(molecules, records[0].config.data)
    table = descriptors.table(molecules, train, position)
    progress("importance")
    correlation = table.corr(method="spearman")
    grouped = explain.groups(correlation)
    important = explain.summarised(trees.importance(table, errors, grouped, refit=[_SIZE]))
    ranks = explain.rank_correlations(table, errors, grouped)
    progress("size")
    effects = size.size_effects(table, errors)
    progress("classes")
    ratios = classes.class_ratios(table, errors)
    validation = (~records[0].errors.set_index("index")["test"].loc[errors.index]).to_numpy()
    on_validation = classes.class_ratios(table[validation], errors[validation])
    absolute = errors.abs().mean(axis=1)
    worst = absolute.sort_values(ascending=False, kind="stable").index[:WORST]
    described = {"absolute": absolute, "signed": errors.mean(axis=1), "deviation": errors.std(axis=1, ddof=1)}
    parts = {name: (one.value, *one.interval()) for name, one in seeds.parts(errors).items()}
    smiles = molecules.smiles[pd.Index(molecules.index).get_indexer(worst)]
    why = [(index, *reason) for index in worst for reason in classes.reasons(index, table, ratios, grouped)]
    about = {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "molecules": len(errors),
        "molecules_fingerprint": molecules.fingerprint(),
        "training_molecules": len(train),
        "runs": [
            {
                "experiment": record.config.experiment,
                "id": record.id,
                "seed": record.config.seed,
                "errors_sha256": record.about["sha256"]["errors.parquet"],
            }
            for record in records
        ],
        "groups": list(grouped.values()),
        "weak_group": classes.weak_group(on_validation),
        "repeated": round(seeds.repeated(errors), DIGITS),
        "worst_share": {str(share): round(seeds.worst_share(errors, share), DIGITS) for share in (0.01, 0.1)},
        "mean_error": [round(value, DIGITS) for value in errors.mean().tolist()],
        "versions": versions(_PACKAGES),
    }
    return ErrorSources(
        about=about,
        parts=pd.DataFrame(parts, index=["value", "low", "high"]).T.rename_axis("part"),
        sizes=seeds.by_size(errors, table["n_atoms"]),
        correlations=correlation,
        importance=important,
        ranks=ranks,
        size_effects=effects,
        unsaturation=size.by_unsaturation(table, errors),
        classes=ratios,
        validation_classes=on_validation,
        worst=pd.DataFrame(described).loc[worst].assign(smiles=smiles).join(table),
        reasons=pd.DataFrame(why, columns=["index", *classes.Reason._fields]),
    )
