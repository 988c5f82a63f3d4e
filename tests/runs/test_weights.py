import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.runs import weights
from analysis.runs.weights import WeightError

SIZES = np.arange(3, 30)
REPORT_RATES = [2, 4, 6, 8, 10]
sizes_of_molecules = st.lists(st.integers(3, 29), min_size=1, max_size=200).map(np.array)


def domain(function, rate: float, sizes: np.ndarray) -> np.ndarray:
    """For which sizes a formula gives a weight that is finite and positive."""
    v = function(sizes, rate)
    return np.isfinite(v) & (v > 0)


def test_the_size_based_formula_is_as_printed():
    # By hand: 16^10 = 1 099 511 627 776; (−4)^2 = 16.
    assert weights.size_based(23, 10) == pytest.approx(1 + 10.99511627776)
    assert weights.size_based(3, 2) == pytest.approx(1.016)
    assert weights.size_based(7, 6) == 1
    np.testing.assert_allclose(weights.size_based(SIZES, 4), (SIZES - 7.0) ** 4 / 1e5 + 1)


def test_the_size_and_frequency_formula_is_as_printed_with_the_natural_logarithm():
    # By hand: 20^10 / 10^11 = 102.4; ln(102.4 − 10 / 4.5) = ln 100.1777…
    assert weights.size_and_frequency_based(20, 10) == pytest.approx(4.606947, abs=1e-6)
    argument = SIZES**2 / 1e3 - 2 / 4.5
    expected = np.log(np.where(argument > 0, argument, np.nan))
    np.testing.assert_allclose(weights.size_and_frequency_based(SIZES, 2), expected)


@pytest.mark.parametrize("function", [weights.size_based, weights.size_and_frequency_based, weights.inverse_frequency])
def test_rate_zero_is_the_unmodified_loss(function):
    assert (function(SIZES, 0) == 1).all()


@pytest.mark.parametrize("weighting", ["size", "size-frequency", "inverse-frequency"])
def test_rate_zero_is_weight_one_whatever_the_floor(weighting):
    for floor in (None, 0.0, 1.0, 3.0):
        assert (weights.loss_weights(weighting, SIZES, 0, floor=floor) == 1).all()


def test_where_the_logarithm_of_rate_10_fails():
    """The trap of the report's second formula: undefined up to 13 atoms, negative at 14, positive from 15 on."""
    v = weights.size_and_frequency_based(SIZES, 10)
    assert np.isnan(v[SIZES <= 13]).all()
    assert (v[SIZES == 14] < 0).all()
    assert (v[SIZES >= 15] > 0).all()
    np.testing.assert_array_equal(domain(weights.size_and_frequency_based, 10, SIZES), SIZES >= 15)


def test_the_size_based_formula_is_defined_for_every_size_of_qm9():
    for rate in REPORT_RATES:
        assert domain(weights.size_based, rate, SIZES).all()
    # A rate that is not whole is a power of a negative number below 7 atoms.
    np.testing.assert_array_equal(domain(weights.size_based, 2.5, SIZES), SIZES >= 7)


@pytest.mark.parametrize("rate", REPORT_RATES)
@pytest.mark.parametrize("weighting", ["size", "size-frequency"])
def test_the_guard_raises_what_is_low_or_undefined_to_the_floor_and_leaves_the_rest(weighting, rate):
    function = {"size": weights.size_based, "size-frequency": weights.size_and_frequency_based}[weighting]
    printed = function(SIZES, rate)
    for floor in (0.0, 1.0, 2.5):
        guarded = weights.loss_weights(weighting, SIZES, rate, floor=floor)
        with np.errstate(invalid="ignore"):
            above = printed > floor
        np.testing.assert_array_equal(guarded[above], printed[above])
        assert (guarded[~above] == floor).all()


@pytest.mark.parametrize(
    ("size", "said"),
    [(13, r"undefined \(nan\) at s = 13 atoms and rate r = 10"), (14, r"negative \(-0\.\d+\) at s = 14 .* r = 10")],
)
def test_without_a_guard_a_weight_outside_the_domain_is_an_error(size, said):
    with pytest.raises(WeightError, match=said):
        weights.loss_weights("size-frequency", np.array([20, size, 21]), 10, floor=None)
    assert issubclass(WeightError, ValueError)


def test_a_weight_that_single_precision_cannot_hold_is_an_error_guard_or_not():
    for floor in (None, 1.0):
        with pytest.raises(WeightError, match=r"too large .* at s = 29 atoms and rate r = 150: take a smaller rate"):
            weights.loss_weights("size", np.array([10, 29]), 150, floor=floor)


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("weighting", ["size", "size-frequency", "inverse-frequency"])
def test_an_impossible_rate_is_refused(weighting, rate):
    with pytest.raises(WeightError, match="rate of a loss weight must be a finite number"):
        weights.loss_weights(weighting, SIZES, rate)


@pytest.mark.parametrize("floor", [-1.0, float("nan"), float("inf")])
def test_an_impossible_floor_is_refused(floor):
    with pytest.raises(WeightError, match=r"the floor .* must be a finite number"):
        weights.loss_weights("size", SIZES, 2, floor=floor)


def test_the_inverse_frequency_of_qm9_gives_every_size_the_same_share(qm9_molecules):
    sizes = qm9_molecules.n_atoms
    v = weights.inverse_frequency(sizes, 1)
    shares = np.bincount(sizes, weights=v)[np.unique(sizes)] / len(sizes)
    np.testing.assert_allclose(shares, 1 / len(np.unique(sizes)))
    frequency = np.bincount(sizes)[sizes]
    np.testing.assert_allclose(
        v / v[np.argmax(frequency)], frequency.max() / frequency, err_msg="(f_max / f(s))^1 but for one factor"
    )


@pytest.mark.parametrize("rate", REPORT_RATES)
@pytest.mark.parametrize("weighting", ["size", "size-frequency", "inverse-frequency"])
def test_every_molecule_of_qm9_has_a_weight_at_the_reports_rates(qm9_molecules, weighting, rate):
    v = weights.loss_weights(weighting, qm9_molecules.n_atoms, rate)
    assert v.shape == qm9_molecules.n_atoms.shape
    assert np.isfinite(v).all()
    assert v.min() >= (0 if weighting == "inverse-frequency" else 1)


@given(sizes_of_molecules, st.floats(0, 20))
def test_the_inverse_frequency_has_mean_one_and_rarer_sizes_weigh_more(sizes, alpha):
    v = weights.inverse_frequency(sizes, alpha)
    assert v.mean() == pytest.approx(1)
    frequency = np.bincount(sizes)[sizes]
    order = np.argsort(frequency)
    assert (np.diff(v[order]) <= 1e-9 * v.max()).all()


@given(sizes_of_molecules, st.floats(0, 60), st.sampled_from(["size", "size-frequency"]), st.floats(0, 10))
def test_no_guarded_weight_is_below_its_floor_or_depends_on_the_other_molecules(sizes, rate, weighting, floor):
    v = weights.loss_weights(weighting, sizes, rate, floor=floor)
    assert np.isfinite(v.astype(np.float32)).all()
    assert rate == 0 or (v >= floor).all()
    np.testing.assert_array_equal(v[:1], weights.loss_weights(weighting, sizes[:1], rate, floor=floor))


@given(st.integers(3, 29), st.floats(0, 60), st.sampled_from(["size", "size-frequency"]))
def test_without_a_guard_only_weights_of_the_domain_come_through(size, rate, weighting):
    function = {"size": weights.size_based, "size-frequency": weights.size_and_frequency_based}[weighting]
    sizes = np.array([size])
    if domain(function, rate, sizes).all():
        assert weights.loss_weights(weighting, sizes, rate, floor=None) > 0
    elif function(sizes, rate) != 0:
        with pytest.raises(WeightError, match=f"s = {size} atoms and rate r"):
            weights.loss_weights(weighting, sizes, rate, floor=None)
