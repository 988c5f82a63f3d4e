"""Errors above the heavy atoms that a model was trained on, and how they are judged, on records of known truth."""

import numpy as np
import pytest
from extrapolated import LIMIT, extrapolated

from analysis.evaluation import extrapolation
from analysis.evaluation.verdicts import rule_of
from analysis.runs.arms import DEFAULT, Arms

QUICK = {"resamples": 100}


@pytest.fixture(scope="module")
def arms(qm9_molecules) -> Arms:
    return extrapolated(qm9_molecules)


def test_errors_are_parted_at_the_limit_and_the_mean_error_is_told_apart(arms, qm9_molecules):
    found = {(one.model, one.trained_on, one.side): one for one in extrapolation.found(arms, qm9_molecules)}
    whole, few = (found["default", name, "above"] for name in ("whole", "few"))
    assert few.errors.shape == whole.errors.shape
    counted = len(arms[DEFAULT][0].errors)
    assert whole.errors.shape[1] + found["default", "whole", "within"].errors.shape[1] == counted
    held_out = qm9_molecules.select(np.isin(qm9_molecules.index, arms[DEFAULT][0].errors["index"]))
    assert whole.errors.shape[1] == (held_out.heavy_atoms > LIMIT).sum()
    np.testing.assert_allclose(few.bias, 5 * whole.bias + 1000, rtol=1e-4)
    np.testing.assert_allclose(few.mae_without, 5 * whole.mae_without, rtol=1e-4)
    np.testing.assert_allclose(found["default", "few", "within"].mae, 2 * found["default", "whole", "within"].mae)


def test_a_model_that_errs_more_where_it_saw_nothing_is_found_out(arms, qm9_molecules):
    default, custom = extrapolation.extrapolates(arms, qm9_molecules, **QUICK)
    assert (default.claim, custom.claim) == ("extrapolates_default", "extrapolates_custom")
    assert (default.verdict, custom.verdict) == ("confirmed", "confirmed")
    of_default = {part.name: part.effect for part in default.parts}
    assert of_default["above"] > 5 / 2  # 1 eV up, beside a control with twice the errors
    assert of_default["without_mean_error"] == pytest.approx(5 / 2, rel=1e-4)
    assert {part.name: part.effect for part in custom.parts}["without_mean_error"] == pytest.approx(5, rel=1e-4)
    assert "trained on the molecules within it" in rule_of(extrapolation.extrapolates)


def test_what_is_no_worse_than_its_control_is_rejected_and_a_shift_alone_is_no_control_effect(qm9_molecules):
    alike, _ = extrapolation.extrapolates(extrapolated(qm9_molecules, above=2, shift=0), qm9_molecules, **QUICK)
    assert alike.verdict == "rejected"
    assert alike.no_difference
    shifted, _ = extrapolation.extrapolates(extrapolated(qm9_molecules, above=2, shift=1), qm9_molecules, **QUICK)
    assert shifted.verdict == "confirmed"
    assert [part.verdict for part in shifted.parts if part.family == "controls"] == ["rejected"]
    assert shifted.parts[1].effect == pytest.approx(1)
