from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import study
from analysis.evaluation import accuracy


@pytest.fixture(scope="module")
def defaults(qm9_molecules):
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


def made_up(errors: np.ndarray, test: np.ndarray | None = None, index: np.ndarray | None = None) -> SimpleNamespace:
    n = len(errors)
    columns = {
        "index": np.arange(1, n + 1) if index is None else index,
        "test": np.ones(n, bool) if test is None else test,
        "error": errors.astype(np.float32),
    }
    return SimpleNamespace(id="made-up", errors=pd.DataFrame(columns))


def test_scores_cover_only_the_test_part():
    e = np.concatenate([np.linspace(-1, 1, 201), np.full(100, 50.0)])
    found = accuracy.scores(made_up(e, np.arange(301) < 201))
    assert found.mae == pytest.approx(np.abs(e[:201]).mean())
    assert found.rmse == pytest.approx(np.sqrt(np.mean(e[:201] ** 2)))
    assert found.worst == pytest.approx(1)  # the two ends


def test_scores_of_several_are_those_of_their_mean_prediction():
    one, other = np.linspace(-1, 1, 201), np.linspace(1, -1, 201)
    assert accuracy.scores(made_up(one), made_up(other)).mae == pytest.approx(0, abs=1e-6)
    assert accuracy.scores(made_up(one), made_up(one)) == accuracy.scores(made_up(one))


def test_errors_of_other_molecules_are_refused():
    one, other = made_up(np.zeros(5)), made_up(np.zeros(5), index=np.arange(2, 7))
    with pytest.raises(ValueError, match="runs made-up and made-up hold out different molecules"):
        accuracy.test_errors([one, other])


def test_groups_of_the_baseline_agree_with_a_plain_loop(defaults, qm9_molecules):
    for kind, group in (("size", 18), ("element", "F")):
        found = accuracy.by_group(defaults, qm9_molecules, kind).loc[group]
        means = []
        for record in defaults:
            rows = record.errors[record.errors["test"]]
            atoms = dict(zip(qm9_molecules.index, np.arange(len(qm9_molecules)), strict=True))
            inside = [
                qm9_molecules.n_atoms[atoms[i]] == 18
                if kind == "size"
                else 9 in qm9_molecules.numbers[slice(*qm9_molecules.offsets[atoms[i] : atoms[i] + 2])]
                for i in rows["index"]
            ]
            means.append(np.abs(rows["error"].to_numpy(float)[inside]).mean())
        assert found["molecules"] == sum(inside)
        assert found["mae"] == pytest.approx(stats.gmean(means))
        assert found["mae_low"] < min(means) + np.std(means)
        assert found["mae_low"] < found["mae"] < found["mae_high"]


def test_an_interval_covers_the_truth_as_often_as_it_claims():
    """Seeds and molecules both vary: of many repetitions the interval misses the true mean in some 5 %."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        molecules = rng.normal(5, 1, 200)
        values = molecules + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.5, (5, 200))
        _, low, high = accuracy.estimate(values)
        missed += not low < 5 < high
    assert stats.binom.cdf(missed, 400, 0.05) > 0.001
    assert stats.binom.sf(missed - 1, 400, 0.05) > 0.001


def test_a_spread_that_tells_the_error_exactly_and_one_that_tells_nothing():
    rng = np.random.default_rng(1)
    scale = rng.lognormal(0, 1, 20_000)
    e = rng.normal(0, scale, (5, 20_000)) + rng.normal(0, scale / np.sqrt(5))
    telling = accuracy.ensemble([made_up(row) for row in e])
    assert telling.rank_correlation() > 0.4
    assert telling.flagged(0.1) > 0.7
    binned = telling.binned()
    assert (binned["spread"].diff().dropna() > 0).all()
    assert binned["rmse"].corr(binned["spread"]) > 0.95
    blind = accuracy.ensemble([made_up(row) for row in rng.normal(0, 1, (5, 20_000))])
    assert abs(blind.rank_correlation()) < 0.05
    assert blind.flagged(0.1) < 0.25
    assert blind.flagged(1.0) == 1
    assert blind.scale() == pytest.approx(1 / np.sqrt(5), rel=0.05)


def test_one_model_is_not_an_ensemble():
    with pytest.raises(ValueError, match="at least two models, not 1"):
        accuracy.ensemble([made_up(np.zeros(3))])


def test_positions_are_those_of_the_test_molecules(defaults, qm9_molecules):
    positions = accuracy.test_positions(defaults[0], qm9_molecules)
    rows = defaults[0].errors[defaults[0].errors["test"]]
    np.testing.assert_array_equal(qm9_molecules.index[positions], rows["index"])
    np.testing.assert_array_equal(qm9_molecules.n_atoms[positions], rows["n_atoms"])
