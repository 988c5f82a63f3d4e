"""What each group of descriptors adds to the prediction of an error: boosted trees, and permutations.

For the `typical` error trees are fitted with squared loss and scored by R², for the `squared` error with the Poisson
deviance, which lets the squared error multiply, and scored by the share of it that they explain, D². Permuting one of
several descriptors that stand in for each other finds none of them important, so a group is permuted as one (Strobl et
al., BMC Bioinformatics 9, 307 (2008), show what happens otherwise).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.model_selection import KFold

from analysis.evaluation.error_sources.explain import TARGETS, Groups
from analysis.evaluation.error_sources.seeds import logarithm

FOLDS = 5
_REPEATS = 5

_SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "typical": r2_score,
    "squared": lambda true, found: d2_tweedie_score(true, found, power=1),
}
_LOSS = {"typical": "squared_error", "squared": "poisson"}


def importance(
    descriptors: pd.DataFrame, errors: pd.DataFrame, grouped: Groups, *, refit: Sequence[str] = (), folds: int = FOLDS
) -> pd.DataFrame:
    """What each group of descriptors adds to the prediction of the error, cross-validated.

    Molecules are dealt into `folds` folds; for every target, seed of the models and fold, trees learn from the other
    folds and are scored on this one. `descriptors` has a row per molecule, `errors` the same rows, a column per seed,
    eV; `grouped` (`explain.groups`) are permuted together. The result has a row per `target`, `seed`, `fold`, `group`
    and `what`:

    - "score": the trees' score with all descriptors (`group` is "").
    - "permuted": how far it falls when the group is permuted over the fold's molecules (mean over five permutations).
    - "alone": the score of trees that know only the group (groups of `refit`).
    - "without": how far the score of trees that know all but the group lies below that with all (groups of `refit`).
    """
    x = descriptors.to_numpy(dtype=float)
    columns = {name: [descriptors.columns.get_loc(member) for member in members] for name, members in grouped.items()}
    y = {"typical": logarithm(errors).to_numpy(), "squared": (errors**2).to_numpy()}
    rng = np.random.default_rng(0)
    rows = []
    for fold, (learn, test) in enumerate(KFold(folds, shuffle=True, random_state=0).split(x)):
        for target in TARGETS:
            for place, of in enumerate(errors.columns):
                scores = _scores(x, y[target][:, place], learn, test, columns, refit, target, rng)
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
) -> Iterator[tuple[str, str, float]]:
    def fitted(used: list[int]) -> HistGradientBoostingRegressor:
        # The seed draws the tenth that early stopping is decided on.
        trees = HistGradientBoostingRegressor(
            loss=_LOSS[target], max_leaf_nodes=15, min_samples_leaf=50, random_state=0
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
