"""The variance between seeds, and what of it is one error per atom."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import study
from analysis.evaluation.drift import Drift, drift


def record(errors: np.ndarray, sizes: np.ndarray, first: int = 0) -> SimpleNamespace:
    index = np.arange(first, first + len(sizes))
    return SimpleNamespace(id="made-up", errors=pd.DataFrame({"index": index, "n_atoms": sizes, "error": errors}))


def share(found: Drift) -> float:
    """Of the variance between seeds, what the common error per atom makes."""
    return found.common / (found.common + found.rest)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_two_parts_add_up_to_the_variance_between_seeds(seeds, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 30, 40)
    errors = rng.normal(size=(seeds, 40)) * rng.lognormal(size=40) + rng.normal(size=(seeds, 1)) * sizes
    found = drift([record(one, sizes) for one in errors])
    assert found.common + found.rest == pytest.approx(errors.var(axis=0, ddof=1).mean(), rel=1e-9)
    assert 0 <= share(found) <= 1
    assert found.mse == pytest.approx((errors**2).mean(axis=1))
    assert (found.mse_without <= found.mse * (1 + 1e-12)).all()


def test_errors_that_differ_by_a_bias_per_atom_have_no_rest():
    sizes = np.array([3, 9, 18, 25])
    shared = np.array([0.1, -0.2, 0.05, 0.3])
    found = drift([record(shared + per_atom * sizes, sizes) for per_atom in (0.01, -0.02, 0.03)])
    assert share(found) == pytest.approx(1)
    assert found.per_atom - found.per_atom.mean() == pytest.approx(np.array([0.01, -0.02, 0.03]) - 0.02 / 3)
    assert found.of_seeds == pytest.approx(np.zeros(3), abs=1e-12)


def test_it_can_be_asked_of_large_molecules_alone():
    sizes, errors = np.array([3, 9, 18, 25]), np.random.default_rng(0).normal(size=(3, 4))
    found = drift([record(one, sizes) for one in errors], more_than=17)
    alone = drift([record(one[2:], sizes[2:]) for one in errors])
    assert found.mse == pytest.approx(alone.mse)
    assert (found.common, found.rest) == pytest.approx((alone.common, alone.rest))
    assert found.mse[0] == pytest.approx((errors[0, 2:] ** 2).mean())


def test_what_cannot_be_compared_is_refused():
    sizes = np.array([3, 9])
    with pytest.raises(ValueError, match="two of them"):
        drift([record(np.zeros(2), sizes)])
    with pytest.raises(ValueError, match="different molecules"):
        drift([record(np.zeros(2), sizes), record(np.zeros(2), sizes, first=5)])


def test_a_schedule_ends_the_drift(qm9_molecules):
    """The report's models end at a constant learning rate, "Beyond" at none: its seeds share no bias worth the name."""
    models = study.recorded(study.FinalComparisonParameters(), qm9_molecules)
    beyond = study.recorded(study.BeyondParameters(), qm9_molecules)["minutes 25"]
    shares = {name: share(drift(models[name])) for name in ("default", "custom")}
    assert min(shares.values()) > 2 * share(drift(beyond))
