"""How good models are on molecules that no choice has looked at: the test part of the split.

Everything here is about errors e = predicted − true U0 in eV, of records that share one test part. Intervals cover both
the variation from seed to seed and the sampling of the test molecules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.data import splits
from analysis.data.molecules import Molecules
from analysis.evaluation.verdicts.intervals import over_seeds
from analysis.runs.records import Record, held_out_errors

WORST = 0.01
"""The share of the test molecules, those with the largest errors, over which `Scores.worst` is the mean."""


@dataclass(frozen=True)
class Scores:
    """Over the test part, eV: mean absolute error, root of the mean squared error, and `mae` of the `WORST` share."""

    mae: float
    rmse: float
    worst: float


def scores(*records: Record) -> Scores:
    """The scores of a record's model, or of the mean prediction of several.

    Raises ValueError if the records hold out different molecules.
    """
    e = np.abs(test_errors(records).mean(axis=0))
    return Scores(
        float(e.mean()), float(np.sqrt(np.mean(e**2))), float(np.sort(e)[-max(1, round(WORST * len(e))) :].mean())
    )


def test_errors(records: Sequence[Record]) -> np.ndarray:
    """Errors of the same test molecules in the same order (by their QM9 index), a row per record: float64 [S, n], eV.

    Raises ValueError if the records hold out different molecules.
    """
    return np.compress(records[0].errors["test"], held_out_errors(records), axis=1)


def test_positions(record: Record, molecules: Molecules) -> np.ndarray:
    """Where in `molecules` the test molecules of `test_errors` are: int64 [n]."""
    return pd.Index(molecules.index).get_indexer(record.errors["index"][record.errors["test"]])


def by_group(records: Sequence[Record], molecules: Molecules, kind: str) -> pd.DataFrame:
    """Mean absolute and mean squared error over the test molecules of each size or with each element.

    `records` are of one configuration, one per seed; `molecules` is the whole database; `kind` is "size" or "element".
    The frame is indexed by group (sizes as integers) with `molecules`, and for both measures, in eV and eV², the mean
    and the ends of its 95 % interval (see `estimate`): `mae`, `mae_low`, `mae_high`, `mse`, `mse_low`, `mse_high`.
    """
    of_test = molecules.select(test_positions(records[0], molecules))
    groups = {"size": splits.by_size, "element": splits.by_element}[kind](of_test)
    e = np.abs(test_errors(records))
    rows = {}
    for group, members in groups.items():
        row: dict[str, float] = {"molecules": len(members)}
        for measure, values in (("mae", e[:, members]), ("mse", e[:, members] ** 2)):
            row |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), estimate(values), strict=True))
        rows[group] = row
    return pd.DataFrame.from_dict(rows, orient="index").astype({"molecules": np.int64})


def estimate(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of positive values [S, n], a row per seed and a column per molecule, and its 95 % interval.

    Both on a logarithmic scale, since errors are never negative and rare large ones skew them: the geometric mean over
    seeds of their means over molecules, with the variances over seeds and, by the delta method, over molecules.
    """
    n, means = values.shape[1], values.mean(axis=1)
    of_molecules = values.mean(axis=0) / means.mean()
    over_molecules = float(of_molecules.var(ddof=1)) / n if n > 1 else np.inf
    return over_seeds(np.log(means), over_molecules, max(1, n - 1)).factor()


@dataclass(frozen=True)
class Ensemble:
    """The mean prediction of several models over the test part, and what their spread tells about its error.

    `error` is that of the mean and `spread` the standard deviation of the models' predictions, both float64 [n], eV.
    """

    error: np.ndarray
    spread: np.ndarray

    def rank_correlation(self) -> float:
        """Spearman's correlation of the spread with the absolute error."""
        spread, size = (pd.Series(values).rank() for values in (self.spread, np.abs(self.error)))
        return float(spread.corr(size))

    def binned(self, bins: int = 20) -> pd.DataFrame:
        """Molecules by increasing spread in bins of equal size: `spread` and `rmse` of each, root mean squares, eV."""
        parts = np.array_split(np.argsort(self.spread, kind="stable"), bins)
        found = [[np.sqrt(np.mean(values[part] ** 2)) for values in (self.spread, self.error)] for part in parts]
        return pd.DataFrame(found, columns=["spread", "rmse"])

    def scale(self) -> float:
        """What the spread has to be multiplied with to be as large as the error, both as root mean squares."""
        return float(np.sqrt(np.mean(self.error**2) / np.mean(self.spread**2)))

    def flagged(self, looked_at: float) -> float:
        """The part of the `WORST` share of molecules that is among the share `looked_at` with the largest spread."""
        n = len(self.error)
        bad = np.argsort(np.abs(self.error), kind="stable")[n - max(1, round(WORST * n)) :]
        seen = np.argsort(self.spread, kind="stable")[n - round(looked_at * n) :]
        return float(np.isin(bad, seen).mean())


def ensemble(records: Sequence[Record]) -> Ensemble:
    """The ensemble of several records; raises ValueError for fewer than two, or that hold out different molecules."""
    if len(records) < 2:
        raise ValueError(f"an ensemble needs at least two models, not {len(records)}")
    e = test_errors(records)
    return Ensemble(e.mean(axis=0), e.std(axis=0, ddof=1))
