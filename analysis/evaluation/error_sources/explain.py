"""Which descriptors explain an error: groups of them, and ranks with the rest held fixed.

Two sides of the error are looked at (`TARGETS`). `typical` is log₁₀ |e|, to which each molecule counts the same;
`squared` is e² (eV²), whose mean is the MSE and which few molecules dominate. What boosted trees make of both is in
`trees`. Descriptors that go together can stand in for each other, so they are grouped by their correlation.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy  # its statistics, which take half a second to import, come with their first use

from analysis.evaluation.verdicts.intervals import LEVEL, Estimate, over_seeds

TARGETS = ("typical", "squared")
LEAST_CORRELATION = 0.5

Groups = Mapping[str, Sequence[str]]
"""Descriptors that are permuted as one, by the name of the first."""


def groups(correlation: pd.DataFrame, least: float = LEAST_CORRELATION) -> dict[str, list[str]]:
    """Descriptors joined as long as the mean |ρ| between two groups is at least `least` (average linkage).

    `correlation` is Spearman's of each descriptor with each. Groups and their members stand in the order of the
    descriptors; a group is named after its first member.
    """
    apart = 1 - correlation.abs().to_numpy()
    np.fill_diagonal(apart, 0)
    tree = scipy.cluster.hierarchy.linkage(scipy.spatial.distance.squareform(apart, checks=False), "average")
    clusters = scipy.cluster.hierarchy.fcluster(tree, 1 - least, "distance")
    found: dict[int, list[str]] = {}
    for name, group in zip(correlation.columns, clusters, strict=True):
        found.setdefault(int(group), []).append(name)
    return {members[0]: members for members in found.values()}


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of 95 % of `trees.importance`, by `target`, `what` and `group`: `value`, `low`, `high`.

    Folds share molecules, and seeds share folds, so that the values are no independent sample. Their variance is
    therefore raised by the ratio of tested to learnt molecules (Nadeau and Bengio, Machine Learning 52, 239 (2003)).
    """
    values = rows.groupby(["target", "what", "group"], sort=False)["value"]
    n, folds = values.size(), rows["fold"].nunique()
    half = np.sqrt((1 / n + 1 / (folds - 1)) * values.var(ddof=1)) * scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1)
    return pd.DataFrame({"value": values.mean(), "low": values.mean() - half, "high": values.mean() + half})


def rank_correlations(descriptors: pd.DataFrame, errors: pd.DataFrame, grouped: Groups) -> pd.DataFrame:
    """Spearman's correlation of each descriptor with |e|, plain and with the descriptors outside its group held fixed.

    Held fixed means that what a linear model in the ranks of those others explains is subtracted from both ranks first.
    A row per descriptor: `group`, and for "plain" and "partial" the mean over seeds with its interval (`…_low`,
    `…_high`), seeds and molecules both in it (1/M is the variance of a correlation of M molecules).
    """
    ranks, target = _standard_ranks(descriptors), _standard_ranks(errors.abs())
    rows = {}
    for name, members in grouped.items():
        others = ranks.drop(columns=list(members)).to_numpy()
        given = ranks[list(members)].to_numpy()
        left = np.hstack([given, target.to_numpy()])
        if others.size:
            left -= others @ np.linalg.lstsq(others, left, rcond=None)[0]
        for place, member in enumerate(members):
            plain = over_seeds(_correlation(given[:, place], target.to_numpy()), 1 / len(ranks), len(ranks))
            partial = over_seeds(_correlation(left[:, place], left[:, len(members) :]), 1 / len(ranks), len(ranks))
            rows[member] = {"group": name, **_columns("plain", plain), **_columns("partial", partial)}
    return pd.DataFrame.from_dict(rows, orient="index").reindex(descriptors.columns)


def _standard_ranks(table: pd.DataFrame) -> pd.DataFrame:
    ranks = table.rank()
    return (ranks - ranks.mean()) / ranks.std(ddof=0)


def _correlation(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pearson's, of [M] with each column of [M, S] (all of mean 0); 0 where nothing is left of `one`."""
    size = np.linalg.norm(one) * np.linalg.norm(others, axis=0)
    if np.linalg.norm(one) < 1e-8 * np.sqrt(len(one)):
        return np.zeros(others.shape[1])
    return (one @ others) / size


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
