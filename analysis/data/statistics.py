"""What a database of molecules holds: frequency tables by element and by size.

Size is the number of atoms of a molecule, as in section 3.2.1 of the report. Tables cover every size between the
smallest and the largest, those that no molecule has included.
"""

import numpy as np
import pandas as pd
import scipy  # its statistics, which take half a second to import, come with their first use

from analysis.data import thesis
from analysis.data.molecules import Molecules

ELEMENTS = ("H", "C", "N", "O", "F")

LARGEST_SIZE = 29
"""Atoms of QM9's largest molecule."""


def element_share(molecules: Molecules) -> pd.DataFrame:
    """How many molecules hold each element: rows H C N O F, columns `molecules` and `share` (Table 1 of the report)."""
    counts = _holds(molecules).sum(axis=0)
    return pd.DataFrame(
        {"molecules": counts, "share": counts / len(molecules)}, index=pd.Index(ELEMENTS, name="element")
    )


def size_counts(molecules: Molecules) -> pd.DataFrame:
    """How many molecules have each size: columns `molecules` and `share` (Figure 1 of the report)."""
    sizes = _sizes(molecules)
    counts = np.bincount(molecules.n_atoms - sizes[0])
    return pd.DataFrame({"molecules": counts, "share": counts / len(molecules)}, index=sizes)


def normal_counts(molecules: Molecules) -> pd.Series:
    """Molecules per size if sizes were normal, with the database's mean and standard deviation.

    The report (section 3.2.1, Figure 1) calls the sizes normally distributed. A size takes the normal law's
    probability between half an atom below and half an atom above. Raises ValueError if all sizes are equal.
    """
    sizes = _sizes(molecules)
    if len(sizes) == 1:
        raise ValueError(f"no normal law fits one size: every molecule has {sizes[0]} atoms")
    law = scipy.stats.norm(molecules.n_atoms.mean(), molecules.n_atoms.std())
    probability = law.cdf(sizes + 0.5) - law.cdf(sizes - 0.5)
    return pd.Series(probability * len(molecules), index=sizes, name="molecules")


def common_sizes(molecules: Molecules, share: float = 0.01) -> pd.DataFrame:
    """Which sizes make up more than `share` of the molecules, beside the report's list (section 5.3).

    Columns `molecules`, `share`, `common` and `in_report`; rows reach over the report's sizes too. Raises ValueError
    unless 0 < share < 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share = {share!r}: a share of the molecules lies between 0 and 1, both excluded")
    counts = size_counts(molecules)
    first, last = min(counts.index[0], thesis.COMMON_SIZES[0]), max(counts.index[-1], thesis.COMMON_SIZES[-1])
    table = counts.reindex(pd.RangeIndex(first, last + 1, name=counts.index.name), fill_value=0)
    return table.assign(common=table["share"] > share, in_report=table.index.isin(thesis.COMMON_SIZES))


def element_by_size(molecules: Molecules) -> pd.DataFrame:
    """Sizes of the molecules that hold each element: each row sums to 1 (appendix Figure 5 of the report).

    Rows H C N O F, one column per size. The row of an element that no molecule holds is NaN.
    """
    sizes = _sizes(molecules)
    shares = [pd.Series(molecules.n_atoms[holds]).value_counts(normalize=True) for holds in _holds(molecules).T]
    found = pd.DataFrame([share.reindex(sizes, fill_value=0 if len(share) else np.nan) for share in shares])
    return found.set_axis(pd.Index(ELEMENTS, name="element"))


def size_shift(molecules: Molecules) -> pd.DataFrame:
    """How far the sizes of the molecules with an element are from those of the whole database.

    Rows H C N O F; columns `mean_with` and `mean_without` (mean number of atoms of the molecules with and without the
    element, NaN where there is none) and `total_variation`: half the sum of absolute differences between the
    element's row of `element_by_size` and the shares of the whole database, 0 where both are the same and 1 where
    they have no size in common.
    """
    holds = _holds(molecules)
    database = size_counts(molecules)["share"]
    distance = (element_by_size(molecules) - database).abs().sum(axis=1, skipna=False) / 2
    return pd.DataFrame(
        {
            "mean_with": [pd.Series(molecules.n_atoms[column]).mean() for column in holds.T],
            "mean_without": [pd.Series(molecules.n_atoms[~column]).mean() for column in holds.T],
            "total_variation": distance,
        },
        index=distance.index,
    )


def heavy_by_size(molecules: Molecules) -> pd.DataFrame:
    """Number of molecules by heavy atoms (rows, from 0) and size (columns); heavy is every atom but hydrogen."""
    found = _composition(molecules)
    rows = pd.RangeIndex(found["heavy_atoms"].max() + 1, name="heavy_atoms")
    counts = pd.crosstab(found["heavy_atoms"], found["n_atoms"])
    return counts.reindex(index=rows, columns=_sizes(molecules), fill_value=0)


def composition_by_size(molecules: Molecules) -> pd.DataFrame:
    """Heavy atoms and share of hydrogen among the atoms, per size: means and the middle nine tenths.

    Columns `molecules`, then `heavy_atoms_…` and `hydrogen_share_…` with `mean`, `low` (5th percentile) and `high`
    (95th); NaN where no molecule has the size.
    """
    per_molecule = _composition(molecules).groupby("n_atoms")
    table = size_counts(molecules)[["molecules"]]
    for quantity in ("heavy_atoms", "hydrogen_share"):
        table[f"{quantity}_mean"] = per_molecule[quantity].mean()
        table[f"{quantity}_low"] = per_molecule[quantity].quantile(0.05)
        table[f"{quantity}_high"] = per_molecule[quantity].quantile(0.95)
    return table


def size_correlations(molecules: Molecules) -> pd.Series:
    """Spearman's correlation of the size with the number of heavy atoms, of hydrogens, and the share of hydrogen.

    Where one of them is near 1, an effect of size cannot be told from an effect of that quantity. NaN where a quantity
    is the same in every molecule.
    """
    correlations = _composition(molecules).corr(method="spearman")["n_atoms"]
    return correlations.drop("n_atoms").rename("spearman")


def _composition(molecules: Molecules) -> pd.DataFrame:
    _require_molecules(molecules)
    found = pd.DataFrame({"n_atoms": molecules.n_atoms, "heavy_atoms": molecules.heavy_atoms})
    found["hydrogens"] = found["n_atoms"] - found["heavy_atoms"]
    return found.assign(hydrogen_share=found["hydrogens"] / found["n_atoms"])


def _holds(molecules: Molecules) -> np.ndarray:
    _require_molecules(molecules)
    return molecules.element_counts() > 0


def _sizes(molecules: Molecules) -> pd.RangeIndex:
    _require_molecules(molecules)
    return pd.RangeIndex(int(molecules.n_atoms.min()), int(molecules.n_atoms.max()) + 1, name="n_atoms")


def _require_molecules(molecules: Molecules) -> None:
    if len(molecules) == 0:
        raise ValueError("there are no molecules to count")
