"""Means over seeds with intervals, resampled molecules, rank correlations and deciles: the numbers behind verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # its statistics, which take half a second to import, come with their first use

LEVEL = 0.95
RESAMPLES = 1000
_PERMUTATIONS = 9999
_BATCH = 50  # draws of all molecules' weights at a time: some MB

Side = Literal["below", "above"]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """Student's, with `LEVEL`; infinite for one seed."""
        half = self.error * scipy.stats.t.ppf((1 + LEVEL) / 2, self.freedom)
        return self.value - half, self.value + half

    def factor(self) -> tuple[float, float, float]:
        """The exponentials of the mean and of the ends of its interval: of a mean of logarithms, a factor."""
        value, low, high = np.exp([self.value, *self.interval()])
        return float(value), float(low), float(high)

    def p(self, threshold: float, side: Side) -> float:
        """Twice the one-sided p of the null that the mean is not on this side of the threshold, at most 1."""
        beyond = (self.value - threshold) * (1 if side == "above" else -1)
        t = beyond / self.error if self.error else np.copysign(np.inf, beyond) if beyond else 0.0
        return float(min(1.0, 2 * scipy.stats.t.sf(t, self.freedom)))


def over_seeds(of_seeds: np.ndarray, over_molecules: float = 0.0, molecules_freedom: float = 1.0) -> Estimate:
    """The mean over seeds, with Satterthwaite's degrees of freedom for the sum of both variances."""
    n = len(of_seeds)
    value = float(of_seeds.mean())
    if n < 2:
        return Estimate(value, np.inf, 1)
    over_seeds = float(of_seeds.var(ddof=1)) / n
    both = over_seeds + over_molecules
    if both == 0:
        return Estimate(value, 0.0, n - 1)
    freedom = both**2 / (over_seeds**2 / (n - 1) + over_molecules**2 / molecules_freedom)
    return Estimate(value, float(np.sqrt(both)), freedom)


def resampled_means(squared: np.ndarray, members: list[np.ndarray], resamples: int) -> np.ndarray:
    """Means over each group of [M, C, S] with random weights of the molecules: [B, G, C, S]."""
    rng = np.random.default_rng(0)
    flat = squared.reshape(len(squared), -1)
    draws = np.empty((resamples, len(members), flat.shape[1]))
    for start in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - start)
        weights = rng.standard_exponential((size, len(flat)))
        for place, positions in enumerate(members):
            of_group = weights[:, positions]
            draws[start : start + size, place] = (of_group @ flat[positions]) / of_group.sum(axis=1, keepdims=True)
    return draws.reshape(resamples, len(members), *squared.shape[1:])


def spearman(given: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Spearman's correlation of [G] with each of [..., G, S]: [..., S]."""
    ranks = scipy.stats.rankdata(given)
    ranks = (ranks - ranks.mean()) / ranks.std()
    others = scipy.stats.rankdata(curve, axis=-2)
    others = others - others.mean(axis=-2, keepdims=True)
    return np.einsum("g,...gs->...s", ranks, others) / len(ranks) / others.std(axis=-2)


def permutation_p(given: np.ndarray, curve: np.ndarray) -> float:
    """One-sided p of a mean correlation over seeds this low, of [G] with [G, S]; exact for up to seven groups."""

    def statistic(permuted: np.ndarray, axis: int) -> np.ndarray:
        return (np.moveaxis(permuted, axis, -1) * ranks).sum(axis=-1)

    # Ranks of single seeds scaled alike: the mean correlation is linear in their sum.
    ranks = scipy.stats.rankdata(curve, axis=0)
    ranks = ((ranks - ranks.mean(axis=0)) / ranks.std(axis=0)).mean(axis=1)
    found = scipy.stats.permutation_test(
        (scipy.stats.rankdata(given),),
        statistic,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        alternative="less",
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def deciles_apart(logs: np.ndarray, axis: int = -1) -> np.ndarray:
    """The ninth decile less the first."""
    first, ninth = np.quantile(logs, [0.1, 0.9], axis=axis)
    return ninth - first


def bca(
    sample: np.ndarray, statistic: Callable[..., np.ndarray], threshold: float, resamples: int
) -> tuple[tuple[float, float], dict[Side, float]]:
    """Bias-corrected and accelerated bootstrap interval of a statistic of [n] (Efron, JASA 82, 171 (1987)).

    Also the p-values of lying below and above a threshold: the largest 1 − level at which the interval still contains
    the threshold, found by bisection.
    """
    settings = {"statistic": statistic, "vectorized": True, "method": "BCa", "rng": np.random.default_rng(0)}
    bootstrap = scipy.stats.bootstrap
    found = bootstrap((sample,), n_resamples=resamples, confidence_level=LEVEL, **settings)

    def ends(level: float) -> tuple[float, float]:
        again = bootstrap((sample,), n_resamples=0, bootstrap_result=found, confidence_level=level, **settings)
        return again.confidence_interval.low, again.confidence_interval.high

    p: dict[Side, float] = {}
    sides: tuple[Side, ...] = ("below", "above")
    for side in sides:
        least, most = 1 / resamples, 1.0
        while most - least > 1e-4:
            middle = (least + most) / 2
            end_low, end_high = ends(1 - middle)
            beyond = end_high < threshold if side == "below" else end_low > threshold
            least, most = (least, middle) if beyond else (middle, most)
        p[side] = most
    low, high = found.confidence_interval
    return (float(low), float(high)), p
