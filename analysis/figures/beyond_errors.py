"""Where the error of the model "Beyond" comes from: few molecules make most of its square.

Errors are those of the test part.
"""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from analysis.data.descriptors import structure
from analysis.data.molecules import Molecules
from analysis.evaluation import accuracy
from analysis.evaluation.between_splits import BetweenSplits
from analysis.figures import style
from analysis.figures.beyond import whole_or_tenths
from analysis.figures.words import messages, say
from analysis.runs import selection
from analysis.runs.records import Record

LARGEST = 10
"""So many molecules are looked at apart: those with the largest squared error, mean over seeds."""
_KINDS = messages(
    {
        "all": "all",
        "up_to_7": "7 heavy atoms or fewer",
        "8": "8 heavy atoms",
        "9": "9 heavy atoms",
        "zwitterions": "zwitterions",
        "others": "all but zwitterions",
        "largest": "the {number} largest errors",
        "rest": "all but these {number}",
        "twins": "with a twin in the training part",
    }
)


def kinds(records: Sequence[Record], molecules: Molecules) -> dict[str, np.ndarray]:
    """Which test molecules are of each kind: bool [n], by the kind's key.

    A zwitterion is one by `descriptors.structure`. A twin is a training molecule by its canonical SMILES: the same
    bonds in another geometry, which QM9 has where an aromatic ring is written in two ways.
    """
    tested = molecules.select(accuracy.test_positions(records[0], molecules))
    heavy = tested.heavy_atoms
    squared = (accuracy.test_errors(records) ** 2).mean(axis=0)
    largest = np.isin(np.arange(len(tested)), np.argsort(squared)[-LARGEST:])
    charged = np.flatnonzero(np.char.find(tested.smiles, "+") >= 0)  # no other can be one
    zwitterions = np.zeros(len(tested), bool)
    zwitterions[charged] = structure(tested.select(charged))["zwitterion"] == 1
    trained = molecules.smiles[selection.training_part(molecules, records[0].config.data)]
    known = set(map(Chem.CanonSmiles, trained[_may_be_aromatic(trained)].tolist()))
    twins = _may_be_aromatic(tested.smiles)
    twins[twins] = [Chem.CanonSmiles(one) in known for one in tested.smiles[twins].tolist()]
    return {
        "all": np.ones(len(tested), bool),
        "up_to_7": heavy <= 7,
        "8": heavy == 8,
        "9": heavy == 9,
        "zwitterions": zwitterions,
        "others": ~zwitterions,
        "largest": largest,
        "rest": ~largest,
        "twins": twins,
    }


def table(records: Sequence[Record], molecules: Molecules, *, lang: str) -> style.WordTable:
    """A row per kind of test molecules: how many, errors over seeds, and their share of the squared error."""
    errors = 1e3 * accuracy.test_errors(records)
    rows = {}
    for name, inside in kinds(records, molecules).items():
        label = say(_KINDS[name], lang, number=style.number(LARGEST, lang))
        mae, rmse = np.abs(errors[:, inside]).mean(axis=1), np.sqrt((errors[:, inside] ** 2).mean(axis=1))
        rows[label] = {
            say("Molecules", lang): style.number(inside.sum(), lang),
            say("MAE (meV)", lang): style.mean_and_deviation(mae, lang, 1),
            say("RMSE (meV)", lang): style.mean_and_deviation(rmse, lang, 1),
            say("Share of the squared error", lang): style.percent(_share(errors, inside), lang),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Test molecules", lang))


def facts(records: Sequence[Record], molecules: Molecules, *, lang: str) -> dict[str, str]:
    """The numbers that the book's prose quotes, means over seeds; the same keys in both languages.

    Of each kind `errors_number_…`, `errors_mae_…` and `errors_rmse_…`, meV, and `errors_share_…` of the squared error;
    `errors_sampling` is the standard error, meV, that the draw of the test molecules gives the mean absolute error.
    """
    errors = 1e3 * accuracy.test_errors(records)
    drawn = np.abs(errors).mean(axis=0)
    seven = molecules.select(accuracy.test_positions(records[0], molecules)).heavy_atoms == 7
    found = {"errors_sampling": style.number(float(drawn.std(ddof=1) / np.sqrt(len(drawn))), lang, 2)}
    found["errors_mae_7"] = whole_or_tenths(float(drawn[seven].mean()), lang)
    for name, inside in kinds(records, molecules).items():
        found[f"errors_number_{name}"] = style.number(inside.sum(), lang)
        found[f"errors_mae_{name}"] = whole_or_tenths(float(np.abs(errors[:, inside]).mean()), lang)
        rmse = float(np.sqrt((errors[:, inside] ** 2).mean(axis=1)).mean())
        found[f"errors_rmse_{name}"] = whole_or_tenths(rmse, lang)
        found[f"errors_share_{name}"] = style.percent(_share(errors, inside), lang)
    return found


def splits(found: BetweenSplits, *, lang: str) -> style.WordTable:
    """A row per split: its mean absolute error over the test part, and the standard error that the draw gives it."""
    rows = {
        say("Split {seed}", lang, seed=style.number(split, lang)): {
            say("MAE (meV)", lang): style.number(style.MEV * mae, lang, 2),
            say("Standard error (meV)", lang): style.number(style.MEV * found.sampling[split], lang, 2),
        }
        for split, mae in found.mae.items()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Test molecules", lang))


def splits_facts(found: BetweenSplits, *, lang: str) -> dict[str, str]:
    """`splits_mean` over the splits, meV, with the standard error `splits_error`; `splits_seeds`, meV; `splits_p`."""
    values = {"mean": found.mean, "error": found.error, "seeds": found.seeds}
    told = {f"splits_{key}": style.number(style.MEV * value, lang, 2) for key, value in values.items()}
    return told | {"splits_p": style.number(found.p, lang, 2), "splits_number": style.number(len(found.mae), lang)}


def _may_be_aromatic(smiles: np.ndarray) -> np.ndarray:
    """Which have a ring and two double bonds or more: only these can be written with other double bonds."""
    return (np.char.find(smiles, "1") >= 0) & (np.char.count(smiles, "=") >= 2)


def _share(errors: np.ndarray, inside: np.ndarray) -> float:
    return float((errors[:, inside] ** 2).sum() / (errors**2).sum())
