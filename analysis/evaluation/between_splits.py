"""Whether a model's error depends on the split by more than its draw of test molecules and its seed explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from analysis.evaluation import accuracy
from analysis.runs.records import Record

ALPHA = 0.05


@dataclass(frozen=True)
class BetweenSplits:
    """Mean absolute errors over test parts, eV, by the split's seed, and what their scatter says.

    Each is the mean over seeds. `sampling` is the standard error that the draw of the test molecules gives it, `seeds`
    the standard deviation between seeds within a split. `mean` is that of the splits, `error` its standard error from
    their scatter; `p` is that of a scatter as large as this if splits differed by nothing else.
    """

    mae: Mapping[int, float]
    sampling: Mapping[int, float]
    seeds: float
    mean: float
    error: float
    p: float

    @property
    def differ(self) -> bool:
        """Whether splits differ by more than their draws and seeds: the rule of `between_splits`."""
        return self.p <= ALPHA


def between_splits(by_split: Mapping[int, Sequence[Record]]) -> BetweenSplits:
    """Compare the records of several seeds on each split.

    Rule: Cochran's Q of the mean absolute errors (Biometrics 10, 101 (1954)), each with the variance of its draw of
    molecules and that between seeds. Splits differ if its p is at most 5 %; else what is seen is what draws and seeds
    do, and three splits cannot tell less than about twice that. The rule was committed before the further splits'
    networks were trained. Raises ValueError for fewer than two splits, or two seeds of one.
    """
    if len(by_split) < 2 or min(map(len, by_split.values())) < 2:
        raise ValueError(f"{len(by_split)} splits: their scatter takes two, and two seeds of each")
    absolute = {split: np.abs(accuracy.test_errors(records)) for split, records in by_split.items()}  # [S, M]
    mae = {split: float(of.mean()) for split, of in absolute.items()}
    sampling = {split: float(of.mean(axis=0).std(ddof=1) / np.sqrt(of.shape[1])) for split, of in absolute.items()}
    deviation = float(np.sqrt(np.mean([of.mean(axis=1).var(ddof=1) for of in absolute.values()])))
    values = np.array(list(mae.values()))
    weights = 1 / np.array([sampling[split] ** 2 + deviation**2 / len(of) for split, of in by_split.items()])
    q = float((weights * (values - np.average(values, weights=weights)) ** 2).sum())
    return BetweenSplits(
        mae=mae,
        sampling=sampling,
        seeds=deviation,
        mean=float(values.mean()),
        error=float(values.std(ddof=1) / np.sqrt(len(values))),
        p=float(scipy.stats.chi2.sf(q, len(values) - 1)),
    )
