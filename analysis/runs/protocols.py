"""Per-molecule errors grouped by size and by element, under both evaluation protocols.

The error of a molecule is e = predicted − true U0, eV, with the offsets of the *training* set.

- `held_out`: e over the molecules of a set that were not trained on.
- `as_reported`: every molecule of the set, training ones included, and the set's *own* mean per atom removed from the
  target. This is what SchNetPack computes when a model is validated on a data module per set with
  ``RemoveOffsets(remove_mean=True)``: each target moves by N·Δ, with Δ = (the set's mean) − (the training mean), and
  the error becomes e + N·Δ.

Both follow from four sums per set and part, so a record keeps the sums and not every molecule.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from analysis.data import offsets, splits
from analysis.data.molecules import Molecules

PARTS = ("train", "held_out", "left_out")
"""Trained on; held out; of the training part, but left out by a run that trains on a selection of it."""

_SUMS = ["molecules", "sum_e", "sum_ee", "sum_en", "sum_nn"]


def group_sums(
    molecules: Molecules, errors: dict[str, tuple[np.ndarray, np.ndarray]], fitted: offsets.Offsets
) -> pd.DataFrame:
    """Sums of errors per size and per element of the whole database, training and held-out part apart.

    `errors` has, for each of `PARTS` that a run has, the positions of its molecules [n] and their errors e [n], eV;
    `fitted` are the offsets that the model was trained with.

    A row per group ("all"; "size" 3 … 29; "element" H … F) and part, with the number of molecules, Σe, Σe², ΣeN, ΣN²
    and `shift` = Δ, eV per atom: the mean of the group's molecules in all parts less the training mean; 0 for a model
    that was trained without a mean, where a set's own offsets are the training set's.
    """
    left = fitted.left_per_atom(molecules)
    parts = [part for part in PARTS if part in errors]
    used = np.concatenate([errors[part][0] for part in parts])
    rows = []
    for kind, group, members in groups_of(molecules):
        inside = np.zeros(len(molecules), dtype=bool)
        inside[members] = True
        of_group = used[inside[used]]
        if len(of_group) == 0:
            continue
        shift = float(left[of_group].mean()) - fitted.mean if fitted.removes_mean else 0.0
        for part in parts:
            positions, e = errors[part]
            keep = inside[positions]
            e, n = e[keep], molecules.n_atoms[positions[keep]]
            sums = [len(e), e.sum(), (e * e).sum(), (e * n).sum(), (n * n).sum()]
            rows.append([kind, str(group), part, *map(float, sums), shift])
    frame = pd.DataFrame(rows, columns=["kind", "group", "part", *_SUMS, "shift"])
    return frame.astype({"molecules": np.int64})


def force_sums(molecules: Molecules, errors: np.ndarray) -> pd.DataFrame:
    """Sums of the errors of forces, [A, 3] in eV/Å, per molecule and element.

    A row per molecule and element in it, by `index`, then atomic number: `element`, its `atoms`, and the sums over
    their components of absolute errors, eV/Å, and of squared ones, (eV/Å)².
    """
    owner = np.repeat(molecules.index, molecules.n_atoms)
    table = pd.DataFrame(
        {
            "index": owner.astype(np.int32),
            "element": molecules.numbers.astype(np.int8),
            "atoms": np.ones(len(owner), np.int8),
            "absolute": np.abs(errors).sum(axis=1),
            "squared": np.square(errors).sum(axis=1),
        }
    )
    summed = table.groupby(["index", "element"], as_index=False).sum()
    return summed.astype({"atoms": np.int8, "absolute": np.float32, "squared": np.float32})


def mse(sums: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Mean squared error per group of one kind ("all", "size" or "element") under both protocols, from `group_sums`.

    A frame indexed by group (sizes as integers, in order) with `molecules` (held out), `held_out` and `as_reported`
    in eV². A group without held-out molecules has NaN in `held_out`.

    Raises ValueError if there is no group of this kind.
    """
    rows = sums[sums["kind"] == kind]
    if rows.empty:
        raise ValueError(f"no groups of kind {kind!r}; there are {sorted(sums['kind'].unique())}")
    held_out = rows[rows["part"] == "held_out"].set_index("group")
    whole = rows.groupby("group", sort=False)[_SUMS].sum()
    shift = held_out["shift"]
    shifted = whole["sum_ee"] + 2 * shift * whole["sum_en"] + shift**2 * whole["sum_nn"]
    frame = pd.DataFrame(
        {
            "molecules": held_out["molecules"],
            "held_out": held_out["sum_ee"] / held_out["molecules"].where(held_out["molecules"] > 0),
            "as_reported": shifted / whole["molecules"],
        }
    )
    if kind == "size":
        frame.index = frame.index.astype(int)
        frame = frame.sort_index()
    return frame


def mse_of_sizes(sums: pd.DataFrame, sizes: Collection[int]) -> pd.Series:
    """Mean squared error over the molecules of several sizes taken as one set, under both protocols.

    `molecules` (held out), `held_out` and `as_reported` in eV², as `mse` has them for a single group; the set's own
    mean is that of all the sizes' molecules together. Sizes that no molecule has are ignored; NaN if none is left.
    """
    rows = sums[(sums["kind"] == "size") & sums["group"].isin([str(size) for size in sizes])]
    shift = (rows["shift"] * rows["molecules"]).sum() / max(1, rows["molecules"].sum())
    one = rows.groupby("part", sort=False)[_SUMS].sum().reset_index().assign(kind="sizes", group="sizes", shift=shift)
    if not (one["part"] == "held_out").any():
        return pd.Series({"molecules": 0, "held_out": np.nan, "as_reported": np.nan})
    return mse(one, "sizes").loc["sizes"]


def groups_of(molecules: Molecules) -> list[tuple[str, str | int, np.ndarray]]:
    """The sets that errors are grouped by: kind ("all", "size", "element"), group (its size or symbol) and positions.

    An element's set holds every molecule with the element, so that a molecule is in several.
    """
    by_size = [("size", size, members) for size, members in splits.by_size(molecules).items()]
    by_element = [("element", symbol, members) for symbol, members in splits.by_element(molecules).items()]
    return [("all", "all", np.arange(len(molecules))), *by_size, *by_element]
