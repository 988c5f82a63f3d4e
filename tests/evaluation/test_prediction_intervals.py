"""Intervals hold as often as they say, at each kind of geometry."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.evaluation import prediction_intervals as intervals
from analysis.evaluation.prediction_intervals import KINDS, LEVEL, RELAXED, UNKNOWN, IntervalError, Intervals


@pytest.fixture(scope="module")
def recorded() -> Intervals:
    return Intervals.load()


@pytest.fixture(scope="module")
def errors() -> pd.DataFrame:
    return intervals.load_errors()


def made_up(n: int, seed: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Errors whose size follows the spread, with the tails of Student's t."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(np.log(0.01), 0.8, n))
    error = shift + (spread + 0.005) * rng.standard_t(4, n)
    return pd.DataFrame({"error": error, "spread": spread, "geometry": "dft"})


@pytest.mark.parametrize("shift", [0.0, -0.2])
def test_an_interval_holds_as_often_as_it_says_whatever_the_errors(shift):
    """On average over calibrations, at least at the level, and hardly above: that is what split-conformal promises."""
    fresh = made_up(20_000, 0, shift=shift)
    held = []
    for seed in range(1, 21):
        scale = intervals.fitted(made_up(400, seed, shift=shift))
        given = intervals.told(fresh.assign(warnings=""), {"dft": scale})
        held.append(intervals.inside(fresh[given], {"dft": scale}).mean())
    # 200 molecules give the quantiles: the share has a deviation of about 0.02 over calibrations.
    assert LEVEL - 0.015 < np.mean(held) < LEVEL + 0.025


def test_errors_to_one_side_give_an_interval_to_one_side():
    scale = intervals.fitted(made_up(2000, 0, shift=-0.5))
    low, high = scale.around(-100.0, 0.01)
    assert -100.0 < low < -99.5 < high


def test_a_larger_spread_gives_a_wider_interval():
    scale = intervals.fitted(made_up(2000, 0))
    (low, high), (lower, higher) = scale.around(0.0, 0.01), scale.around(0.0, 0.1)
    assert lower < low < 0 < high < higher


def test_a_few_molecules_give_the_widest_interval_that_they_can():
    """Of 20 fitting molecules the extreme ones are the quantiles of 5 %."""
    few = made_up(40, 3)
    scale = intervals.fitted(few)
    few = few[few["spread"] <= scale.widest]
    ratio = few["error"] / (few["spread"] + scale.floor)
    assert ratio.min() <= scale.low < scale.high <= ratio.max()


# ---- the record


def test_the_record_has_the_intervals_that_follow_from_its_errors(recorded, errors):
    assert recorded.level == LEVEL
    assert recorded.scales.keys() == set(KINDS)
    for kind, scale in intervals.calibrated(errors).items():
        assert scale.model_dump() == pytest.approx(recorded.scales[kind].model_dump())


@pytest.mark.parametrize("kind", KINDS)
def test_on_molecules_that_neither_models_nor_intervals_have_seen_they_hold(recorded, errors, kind):
    """Between 88 and 92 of 100; the binomial deviation of the draw is below 0.7 of 100."""
    test = errors[(errors["part"] == "test") & (errors["geometry"] == kind) & intervals.told(errors, recorded.scales)]
    assert len(test) > 1800
    assert 0.88 <= intervals.inside(test, recorded.scales).mean() <= 0.92


def test_parts_and_molecules_are_what_they_are_called(errors, qm9_molecules):
    from analysis.data import splits

    parts = splits.split(qm9_molecules, 0)
    for part, positions in (("validation", parts.validation), ("test", parts.test)):
        of_part = errors[errors["part"] == part]
        assert set(of_part["index"]) <= set(qm9_molecules.index[positions])
        assert not of_part.duplicated(["index", "geometry"]).any()
        assert (of_part["geometry"] == "dft").sum() == len(positions)


def test_an_unknown_geometry_is_allowed_what_any_kind_is(recorded):
    ends = [recorded.of(kind, -1000.0, 0.01) for kind in KINDS]
    assert recorded.of(UNKNOWN, -1000.0, 0.01) == (min(low for low, _ in ends), max(high for _, high in ends))
    dft, mmff = (high - low for low, high in (recorded.of("dft", 0.0, 0.01), recorded.of("mmff", 0.0, 0.01)))
    assert dft < mmff / 5  # what someone who has but a SMILES pays


def test_a_kind_that_was_not_calibrated_has_no_interval_however_little_the_models_differ(recorded):
    assert recorded.of(RELAXED, -1000.0, 1e-6) is None
    assert recorded.widest(RELAXED) == np.inf
    as_dft = recorded.model_copy(update={"scales": {**recorded.scales, RELAXED: recorded.scales["dft"]}})
    assert as_dft.of(RELAXED, -1000.0, 0.01) == recorded.of("dft", -1000.0, 0.01)


@pytest.mark.parametrize("kind", [*KINDS, UNKNOWN])
def test_where_the_models_differ_too_much_there_is_no_interval(recorded, errors, kind):
    widest = recorded.widest(kind)
    assert recorded.of(kind, -1000.0, widest) is not None
    assert recorded.of(kind, -1000.0, np.nextafter(widest, 1)) is None
    if kind == UNKNOWN:
        assert widest == max(scale.widest for scale in recorded.scales.values())
        return
    test = errors[(errors["part"] == "test") & (errors["geometry"] == kind) & (errors["warnings"] == "")]
    given = intervals.told(test, recorded.scales)
    assert (test["spread"] <= widest).equals(given)
    assert 0.99 < given.mean() < 0.998
    if kind == "dft":  # where it was chosen for: an interval would hold for half of them
        assert intervals.inside(test[~given], recorded.scales).mean() < 0.7


def test_a_worse_spread_is_a_worse_error(errors):
    """What the units of an interval rest on."""
    for _, of_kind in errors.groupby("geometry"):
        assert stats.spearmanr(of_kind["spread"], of_kind["error"].abs()).statistic > 0.1


def test_a_missing_or_damaged_record_is_said_in_one_line(tmp_path):
    with pytest.raises(IntervalError, match=r"intervals\.json is missing: run `python -m harness\.calibration`"):
        Intervals.load(tmp_path)
    (tmp_path / "intervals.json").write_text("{}")
    with pytest.raises(IntervalError, match="damaged"):
        Intervals.load(tmp_path)
    with pytest.raises(IntervalError, match=r"errors\.parquet can't be read"):
        intervals.load_errors(tmp_path)
