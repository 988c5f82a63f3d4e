"""Kinds of molecules: how badly each is predicted, which is the weak one, and why a molecule is among the worst."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis.evaluation.error_sources.explain import Groups
from analysis.evaluation.verdicts.claims import FACTOR
from analysis.evaluation.verdicts.intervals import RESAMPLES, over_seeds, resampled_means

STRUCTURAL: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = {
    "zwitterions": lambda d: d["zwitterion"] == 1,
    "three_or_more_rings": lambda d: d["rings"] >= 3,
    "three_rings": lambda d: d["three_rings"] > 0,
    "four_rings": lambda d: d["four_rings"] > 0,
    "aromatic": lambda d: d["aromatic_atoms"] > 0,
    "triple_bonds": lambda d: d["triple_bonds"] > 0,
    "hetero_bonds": lambda d: d["hetero_bonds"] > 0,
    "stretched_bond": lambda d: d["longest_bond"] > 1.1,
    "fluorine": lambda d: d["fluorines"] > 0,
    "few_heavy_atoms": lambda d: d["heavy_atoms"] < 9,
}
"""Classes that a molecule belongs to by itself, training molecules too: masks from `descriptors.structure`.

A bond counts as stretched if it is more than a tenth longer than the atoms' covalent radii together.
"""

RELATIVE: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = {
    "infrequent_sizes": lambda d: d["n_atoms"].map(d["n_atoms"].value_counts(normalize=True)) <= 0.01,
    "farthest": lambda d: d["distance"] >= d["distance"].quantile(0.9),
    "rarest": lambda d: d["rarest_environment"] <= d["rarest_environment"].quantile(0.1),
}
"""Classes that depend on the other molecules, or on the training set: sizes of at most 1 % of the molecules (as in
section 5.3 of the report), the tenth that is farthest from the training set, and the tenth whose rarest environment is
the rarest."""

CLASSES = {**STRUCTURAL, **RELATIVE}

_RARE = 0.01


def class_ratios(descriptors: pd.DataFrame, errors: pd.DataFrame, *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The error of each class against that of all other molecules.

    `descriptors` has a row per molecule; classes whose descriptors are missing are left out. `errors` has the same
    rows, a column per seed, eV. The result has a row per class that holds some of the molecules and not all:
    `molecules`; `share` of the molecules; `share_of_error`, of the sum of e² (mean over seeds); `mse` of the class,
    eV²; `ratio` of its MSE to that of the rest with its interval `low` to `high` (over seeds and molecules as in
    `verdicts`, on the logarithm); and `attributable`: the share of the total MSE that would disappear if the class were
    predicted as well as the rest.
    """
    squared = (errors**2).to_numpy()
    found = {name: mask.to_numpy() for name, mask in _masks(descriptors).items() if 0 < mask.sum() < len(mask)}
    both = [np.flatnonzero(side) for inside in found.values() for side in (inside, ~inside)]
    draws = np.log(resampled_means(squared[:, None], both, resamples)[:, :, 0]).mean(axis=2)
    rows = {}
    for place, (name, inside) in enumerate(found.items()):
        mse, of_rest = squared[inside].mean(axis=0), squared[~inside].mean(axis=0)
        over_molecules = (draws[:, 2 * place] - draws[:, 2 * place + 1]).var(ddof=1)
        ratio, low, high = over_seeds(np.log(mse / of_rest), over_molecules, resamples - 1).factor()
        rows[name] = {
            "molecules": int(inside.sum()),
            "share": inside.mean(),
            "share_of_error": squared[inside].sum() / squared.sum(),
            "mse": mse.mean(),
            "ratio": ratio,
            "low": low,
            "high": high,
            "attributable": 1 - of_rest.mean() / squared.mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class").astype({"molecules": int})


def weak_classes(ratios: pd.DataFrame) -> list[str]:
    """The structural classes whose MSE is clearly larger than that of the rest, most attributable error first.

    Clearly larger: the whole interval of the ratio lies above 1.1, the smallest difference that counts in `verdicts`.
    """
    structural = ratios[ratios.index.isin(list(STRUCTURAL)) & (ratios["low"] > FACTOR)]
    return structural.sort_values("attributable", ascending=False, kind="stable").index.tolist()


def weak_group(ratios: pd.DataFrame) -> str | None:
    """The weak group of a model: the class that a training aimed at one kind of molecules should take.

    Rule: the first of `weak_classes`. A class with a huge ratio that is so small that it hardly counts is passed over,
    and so is a large one that is hardly worse. As the group is chosen for what comes after, `ratios` are to be those of
    the validation half alone. None if there is no such class.
    """
    return next(iter(weak_classes(ratios)), None)


class Reason(NamedTuple):
    """Something unusual about a molecule.

    `kind` is "class" (it belongs to the weak class `name`), "high" or "low" (its descriptor `name` has a `value` that
    at most one in a hundred molecules reaches on that side; `beyond` is their share).
    """

    kind: Literal["class", "high", "low"]
    name: str
    value: float
    beyond: float


def reasons(index: int, descriptors: pd.DataFrame, ratios: pd.DataFrame, grouped: Groups) -> list[Reason]:
    """What is unusual about one molecule: the weak classes that it belongs to, then its rare values.

    `index` is its QM9 index and `descriptors` those of all molecules that it is compared with, itself among them. A
    class of `ratios` (`class_ratios` of these molecules) is a reason if it is one of `weak_classes`, largest ratio
    first. Of each group of `grouped` (`explain.groups`) the rarest value is given, the rarest of all first. Zwitterions
    are named by the class alone, stretched bonds by their length alone.
    """
    weak = ratios.loc[weak_classes(ratios)].sort_values("ratio", ascending=False, kind="stable")
    weak = weak.index.drop("stretched_bond", errors="ignore")
    masks = _masks(descriptors)
    found = [Reason("class", name, 1.0, float(masks[name].mean())) for name in weak if masks[name][index]]
    rare = []
    for names in grouped.values():
        of_group = [_tail(name, descriptors[name], index) for name in names if name != "zwitterion"]
        rare += sorted((one for one in of_group if one.beyond <= _RARE), key=lambda one: one.beyond)[:1]
    return found + sorted(rare, key=lambda one: one.beyond)


def _tail(name: str, values: pd.Series, index: int) -> Reason:
    value = values[index]
    high, low = float((values >= value).mean()), float((values <= value).mean())
    return Reason("high" if high <= low else "low", name, float(value), min(high, low))


def _masks(descriptors: pd.DataFrame) -> dict[str, pd.Series]:
    """The classes whose descriptors are there."""
    found = {}
    for name, mask in CLASSES.items():
        with suppress(KeyError):
            found[name] = mask(descriptors)
    return found
