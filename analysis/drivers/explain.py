"""Which descriptors explain an error: boosted trees with permutations, and ranks with the rest held fixed.

Two sides of the error are looked at (`TARGETS`). `typical` is log₁₀ |e|, to which each molecule counts the same; trees
are fitted with squared loss and scored by R². `squared` is e² (eV²), whose mean is the MSE and which few molecules
dominate; trees are fitted with the Poisson deviance, which lets the squared error multiply, and scored by the share of
the deviance that they explain, D².

Descriptors that go together can stand in for each other, and permuting one of them alone finds none of them important.
So descriptors are grouped by their correlation, and a group is permuted as one (Strobl et al., BMC Bioinformatics 9,
307 (2008), show what happens otherwise).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.model_selection import KFold

from analysis.drivers.seeds import logarithm
from analysis.verdicts.intervals import LEVEL, Estimate, over_seeds

TARGETS = ("typical", "squared")
FOLDS = 5
LEAST_CORRELATION = 0.5
_REPEATS = 5

_SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = MappingProxyType(
    {"typical": r2_score, "squared": lambda true, found: d2_tweedie_score(true, found, power=1)}
)
_LOSS = MappingProxyType({"typical": "squared_error", "squared": "poisson"})

Groups = Mapping[str, Sequence[str]]
"""Descriptors that are permuted as one, by the name of the first."""


def correlations(descriptors: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of each descriptor with each."""
    return descriptors.corr(method="spearman")


def groups(correlation: pd.DataFrame, least: float = LEAST_CORRELATION) -> dict[str, list[str]]:
    """Descriptors joined as long as the mean |ρ| between two groups is at least `least` (average linkage).

    Groups and their members stand in the order of the descriptors; a group is named after its first member.
    """
    apart = 1 - correlation.abs().to_numpy()
    np.fill_diagonal(apart, 0)
    tree = hierarchy.linkage(squareform(apart, checks=False), "average")
    found: dict[int, list[str]] = {}
    for name, group in zip(correlation.columns, hierarchy.fcluster(tree, 1 - least, "distance"), strict=True):
        found.setdefault(int(group), []).append(name)
    return {members[0]: members for members in found.values()}


def importance(
    descriptors: pd.DataFrame,
    errors: pd.DataFrame,
    grouped: Groups,
    *,
    refit: Sequence[str] = (),
    folds: int = FOLDS,
    seed: int = 0,
) -> pd.DataFrame:
    """What each group of descriptors adds to the prediction of the error, cross-validated.

    Molecules are dealt into `folds` folds; for every target, seed of the models and fold, trees learn from the other
    folds and are scored on this one.

    Parameters
    ----------
    descriptors
        A row per molecule.
    errors
        The same rows, a column per seed, eV.
    grouped
        What to permute together: `groups`.
    refit
        Names of the groups that other trees are fitted for, with them alone and without them.
    folds, seed
        Number of folds, and the seed of folds, permutations and trees.

    Returns
    -------
    A row per `target`, `seed`, `fold`, `group` and `what`:

    - "score": the trees' score with all descriptors (`group` is "").
    - "permuted": how far it falls when the group is permuted over the fold's molecules (mean over five permutations).
    - "alone": the score of other trees that know nothing but the group (groups of `refit`).
    - "without": how far the score of trees that know everything but the group lies below that with all (the same).
    """
    x = descriptors.to_numpy(dtype=float)
    columns = {name: [descriptors.columns.get_loc(member) for member in members] for name, members in grouped.items()}
    y = {"typical": logarithm(errors).to_numpy(), "squared": (errors**2).to_numpy()}
    rng = np.random.default_rng(seed)
    rows = []
    for fold, (learn, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(x)):
        for target in TARGETS:
            for place, of in enumerate(errors.columns):
                scores = _scores(x, y[target][:, place], learn, test, columns, refit, target, rng, seed)
                rows += [(target, of, fold, group, what, score) for group, what, score in scores]
    return pd.DataFrame(rows, columns=["target", "seed", "fold", "group", "what", "value"])


def _scores(
    x: np.ndarray,
    y: np.ndarray,
    learn: np.ndarray,
    test: np.ndarray,
    columns: Mapping[str, list[int]],
    refit: Sequence[str],
    target: str,
    rng: np.random.Generator,
    seed: int,
) -> Iterator[tuple[str, str, float]]:
    def fitted(used: list[int]) -> HistGradientBoostingRegressor:
        # The seed decides on which tenth of what is learnt it is watched whether more trees help.
        trees = HistGradientBoostingRegressor(
            loss=_LOSS[target], max_leaf_nodes=15, min_samples_leaf=50, random_state=seed
        )
        return trees.fit(x[np.ix_(learn, used)], y[learn])

    def score(trees: HistGradientBoostingRegressor, given: np.ndarray) -> float:
        return float(_SCORES[target](y[test], trees.predict(given)))

    everything = list(range(x.shape[1]))
    trees = fitted(everything)
    whole = score(trees, x[test])
    yield "", "score", whole
    for name, members in columns.items():
        fallen = []
        for _ in range(_REPEATS):
            mixed = x[test].copy()
            mixed[:, members] = mixed[np.ix_(rng.permutation(len(test)), members)]
            fallen.append(whole - score(trees, mixed))
        yield name, "permuted", float(np.mean(fallen))
    for name in refit:
        members = columns[name]
        yield name, "alone", score(fitted(members), x[np.ix_(test, members)])
        others = [column for column in everything if column not in members]
        yield name, "without", whole - score(fitted(others), x[np.ix_(test, others)])


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of 95 % of what `importance` gave, by `target`, `what` and `group`: `value`, `low`, `high`.

    Folds share molecules, and seeds share folds, so that the values are no independent sample. Their variance is
    therefore raised by the ratio of tested to learnt molecules (Nadeau and Bengio, Machine Learning 52, 239 (2003)).
    """
    values = rows.groupby(["target", "what", "group"], sort=False)["value"]
    n, folds = values.size(), rows["fold"].nunique()
    half = np.sqrt((1 / n + 1 / (folds - 1)) * values.var(ddof=1)) * stats.t.ppf((1 + LEVEL) / 2, n - 1)
    return pd.DataFrame({"value": values.mean(), "low": values.mean() - half, "high": values.mean() + half})


def rank_correlations(descriptors: pd.DataFrame, errors: pd.DataFrame, grouped: Groups) -> pd.DataFrame:
    """Spearman's correlation of each descriptor with |e|, plain and with the descriptors outside its group held fixed.

    Held fixed means that what a linear model in the ranks of those others explains is taken from both ranks first.

    Returns
    -------
    A row per descriptor: `group`, and for "plain" and "partial" the mean over seeds with its interval (`…_low`,
    `…_high`), seeds and molecules both in it (1/M is the variance of a correlation of M molecules).
    """
    ranks = descriptors.rank()
    ranks = (ranks - ranks.mean()) / ranks.std(ddof=0)
    target = errors.abs().rank()
    target = (target - target.mean()) / target.std(ddof=0)
    rows = {}
    for name, members in grouped.items():
        others = ranks.drop(columns=list(members)).to_numpy()
        given = ranks[list(members)].to_numpy()
        left = _left_over(others, np.hstack([given, target.to_numpy()]))
        for place, member in enumerate(members):
            plain = over_seeds(_correlation(given[:, place], target.to_numpy()), 1 / len(ranks), len(ranks))
            partial = over_seeds(_correlation(left[:, place], left[:, len(members) :]), 1 / len(ranks), len(ranks))
            rows[member] = {"group": name, **_columns("plain", plain), **_columns("partial", partial)}
    return pd.DataFrame.from_dict(rows, orient="index").reindex(descriptors.columns)


def _left_over(others: np.ndarray, of: np.ndarray) -> np.ndarray:
    if others.shape[1] == 0:
        return of
    return of - others @ np.linalg.lstsq(others, of, rcond=None)[0]


def _correlation(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pearson's, of [M] with each column of [M, S] (all of mean 0); 0 where nothing is left of `one`."""
    size = np.linalg.norm(one) * np.linalg.norm(others, axis=0)
    if np.linalg.norm(one) < 1e-8 * np.sqrt(len(one)):
        return np.zeros(others.shape[1])
    return (one @ others) / size


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
