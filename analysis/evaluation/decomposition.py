"""What the error as reported is made of, and how much of it follows from the data alone.

With e = predicted − true U0 (eV, the training set's offsets), N a molecule's number of atoms and Δ how far a set's own
mean per atom lies from the training set's (see `errors`), the mean over the n molecules of a set is

    mean((e + N·Δ)²) = mean(e²) + 2Δ·mean(e·N) + Δ²·mean(N²)

and, since those n are held out, trained on or left out by a run that trains on a selection,

    mean(e²) = MSE of the held-out members                          `held_out`
               + n_train / n · (MSE of the trained − `held_out`)    `leakage`
               + n_left_out / n · (MSE of the left out − `held_out`)  `left_out`

Both are identities: the five terms of `TERMS` add up to the error as reported but for rounding, whatever the network.

- `leakage` is the effect of training molecules in the validation set: negative where they are known by heart, and
  chance alone if the network does as well on unseen molecules (`leakage_in_errors` tells the two apart).
- `left_out` is 0 for a run without selection. Of a single size these are held-out molecules in all but name, and the
  term is chance. In a set of several sizes a selection by size leaves out other molecules than it trains on, and this
  term and `leakage` also contain the difference between small and large molecules.
- `cross`, 2Δ·mean(e·N), is the mean signed error of the network times the offset; either sign.
- `offset`, Δ²·mean(N²), involves no network: `offset_of` computes it from energies and a training set alone. For a
  model trained without a mean both are 0.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.data import offsets
from analysis.data.molecules import Molecules
from analysis.runs import protocols
from analysis.runs.config import Data, Selection
from analysis.runs.selection import training_part

TERMS = ("held_out", "leakage", "left_out", "cross", "offset")
"""The parts of the error as reported, each in eV²."""


def decompose(sums: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The error as reported of each group of one kind, term by term.

    `sums` are a record's, as `protocols.group_sums` gives them; `kind` is "all", "size" or "element". The frame is
    indexed as that of `protocols.mse`: `molecules` (all members of the set), `shift` Δ in eV per atom, the columns of
    `TERMS` in eV², and `as_reported` in eV², which is `protocols.mse`'s. A set without held-out molecules has NaN in
    `held_out`, `leakage` and `left_out`. Raises ValueError if the sums hold no group of this kind.
    """
    reported = protocols.mse(sums, kind)["as_reported"]
    rows = sums[sums["kind"] == kind]
    if kind == "size":
        rows = rows.assign(group=rows["group"].astype(int))
    parts = {part: of_part.set_index("group").loc[reported.index] for part, of_part in rows.groupby("part")}
    whole = sum(part[["molecules", "sum_en", "sum_nn"]] for part in parts.values())
    molecules, shift = whole["molecules"], parts["held_out"]["shift"]
    count = parts["held_out"]["molecules"]
    held_out = parts["held_out"]["sum_ee"] / count.where(count > 0)

    def excess(part: str) -> pd.Series:
        """What a part of the set adds to the mean over held-out molecules, eV²; nothing if the run has no such part."""
        if part not in parts:
            return 0 * held_out
        return (parts[part]["sum_ee"] - parts[part]["molecules"] * held_out) / molecules

    return pd.DataFrame(
        {
            "molecules": molecules,
            "shift": shift,
            "held_out": held_out,
            "leakage": excess("train"),
            "left_out": excess("left_out"),
            "cross": 2 * shift * whole["sum_en"] / molecules,
            "offset": shift**2 * whole["sum_nn"] / molecules,
            "as_reported": reported,
        }
    )


def with_mean_at(sums: pd.DataFrame, kind: str, share: float) -> pd.Series:
    """The error of each whole set, eV², with a mean a share of the way from the training set's to the set's own.

    At 1 it is the error as reported; at 0 that of the same molecules, those trained on included, with the training
    set's mean. Parameters and groups as for `decompose`.
    """
    parts = decompose(sums, kind)
    network = parts["as_reported"] - parts["cross"] - parts["offset"]
    return (network + share * parts["cross"] + share**2 * parts["offset"]).rename("mse")


def shares(parts: pd.DataFrame) -> pd.DataFrame:
    """Which share of the error as reported each effect explains: rows as in `decompose`, columns that add up to 1.

    `held_out`, `leakage`, `left_out`, and `moved` for the two terms that the offset brings, `cross` and `offset`. A
    share is negative, or above 1, where terms of both signs cancel.
    """
    effects = parts[["held_out", "leakage", "left_out"]].assign(moved=parts["cross"] + parts["offset"])
    return effects.div(parts["as_reported"], axis=0)


def share_of_curve(parts: pd.DataFrame) -> float:
    """The share of a whole curve, all its sets counted alike, that the offset brings (`cross` and `offset`)."""
    return float((parts["cross"] + parts["offset"]).sum() / parts["as_reported"].sum())


def leakage_in_errors(sums: Sequence[pd.DataFrame], held_out: Sequence[pd.DataFrame]) -> pd.Series:
    """How far the error on trained molecules lies from that on held-out ones, per size, in standard errors.

    Both parts of a size are random draws from the same molecules, so that without any effect of training the difference
    of the two means of e² has mean 0 and, by Welch's formula with the held-out variance for both, a known deviation.
    Beyond ±2 is what chance gives one time in twenty; learning by heart is far below.

    `sums` are the `groups` of the records of one configuration, one per seed, all on the same split; e² is averaged
    over them. `held_out` are their `errors` in the same order: QM9 index, `n_atoms` and `error` in eV per held-out
    molecule. The result is indexed by size; sizes without a trained molecule or with fewer than two held out are
    missing.
    """
    squared = pd.concat([each.set_index("index")["error"].astype(float) ** 2 for each in held_out], axis=1).mean(axis=1)
    by_size = squared.groupby(held_out[0].set_index("index")["n_atoms"].astype(int))
    trained = [each[(each["kind"] == "size") & (each["part"] == "train")].set_index("group") for each in sums]
    count = trained[0]["molecules"].rename(int)
    mean = (sum(each["sum_ee"] for each in trained) / len(trained)).rename(int) / count.where(count > 0)
    deviation = by_size.std() * np.sqrt(1 / by_size.size() + 1 / count)
    return ((mean - by_size.mean()) / deviation).dropna().sort_index()


def sets_of(molecules: Molecules, kind: str) -> pd.DataFrame:
    """The sets that a model is evaluated on, as far as the offset depends on them.

    `molecules` is the whole database; `kind` is "all", "size" or "element" (ValueError for any other). The frame is
    indexed by group like `decompose`'s and holds `molecules`, `mean` (the set's own mean of (U0 − references) / N, eV
    per atom) and `mean_nn` (mean of N²).
    """
    groups = {group: members for each, group, members in protocols.groups_of(molecules) if each == kind}
    if not groups:
        raise ValueError(f"there are no sets of kind {kind!r}: it is 'all', 'size' or 'element'")
    per_atom = offsets.Offsets().left_per_atom(molecules)
    squared = molecules.n_atoms.astype(float) ** 2
    rows = [[len(members), per_atom[members].mean(), squared[members].mean()] for members in groups.values()]
    return pd.DataFrame(rows, index=list(groups), columns=["molecules", "mean", "mean_nn"]).astype({"molecules": int})


def training_mean(molecules: Molecules, selection: Selection | None = None, *, split_seed: int = 0) -> float:
    """The mean per atom, eV, of the molecules that a run with this selection trains on; without one, of all of them.

    Raises ValueError if the selection leaves none.
    """
    data = Data(split_seed=split_seed, selection=selection or Selection())
    return offsets.fit(molecules, training_part(molecules, data)).mean


def offset_of(sets: pd.DataFrame, training_mean: float) -> pd.Series:
    """The offset term Δ²·mean(N²) of each of `sets_of`, eV²: the error as reported of a network that makes none.

    `training_mean` is the mean per atom of the training molecules, eV.
    """
    return ((sets["mean"] - training_mean) ** 2 * sets["mean_nn"]).rename("offset")


def crossings(one: pd.Series, other: pd.Series) -> list[float]:
    """Where two curves over sizes cross: numbers of atoms, the logarithm of their ratio a straight line between sizes.

    Sizes that one of the two lacks, or where one is not positive, are passed over.
    """
    both = pd.concat([one, other], axis=1, join="inner").sort_index()
    both = both[(both > 0).all(axis=1)]
    ratio = np.log(both.iloc[:, 0] / both.iloc[:, 1]).to_numpy()
    sizes = both.index.to_numpy(dtype=float)
    found = [
        sizes[k] + (sizes[k + 1] - sizes[k]) * ratio[k] / (ratio[k] - ratio[k + 1])
        for k in np.flatnonzero(ratio[:-1] * ratio[1:] < 0)
    ]
    return [float(size) for size in sorted([*found, *sizes[ratio == 0]])]
