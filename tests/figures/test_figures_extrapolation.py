"""Errors above the heavy atoms that a model was trained on, from records made up of those of other experiments."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.figures import extrapolation
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.config import adjust

LIMIT = 8


@pytest.fixture(scope="module")
def arms(qm9_molecules) -> Arms:
    """Two models; trained on small molecules their errors are two, above the limit five times as large, and 1 eV up."""
    compared = study.recorded(study.FinalComparisonParameters(seeds=[0, 1]), qm9_molecules)
    heavy = dict(zip(qm9_molecules.index.tolist(), qm9_molecules.heavy_atoms.tolist(), strict=True))

    def few(record, above, shift):
        errors = record.errors
        large = np.array([heavy[one] > LIMIT for one in errors["index"]])
        changed = np.where(large, above * errors["error"] + shift, 2 * errors["error"])
        selection = record.config.data.selection.model_copy(update={"most_heavy": LIMIT}).model_dump()
        config = adjust(record.config, data={"selection": selection})
        return replace(record, errors=errors.assign(error=changed), config=config)

    found = {}
    for arm in (DEFAULT, CUSTOM):
        found[arm] = compared[arm]
        small = Arm(arm.role, f"to {LIMIT} heavy atoms", same_updates=True)
        found[small] = [few(record, 5, 1.0) for record in compared[arm]]
        if arm == DEFAULT:
            control = Arm(arm.role, small.value, random=True, same_updates=True)
            found[control] = [few(record, 2, 0.0) for record in compared[arm]]
    return Arms("made up", found)


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


@pytest.mark.parametrize("lang", LANGUAGES)
def test_figure_and_table_show_every_model_and_set(arms, qm9_molecules, lang):
    figure = extrapolation.by_model(arms, qm9_molecules, lang=lang)
    assert len(figure.data) == 2 * len(arms.runs)
    figure.png()
    assert_readable(figure)
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert {"Default", "Custom"} <= texts
    table = extrapolation.table(arms, qm9_molecules, lang=lang)
    assert table.shape == (5, 5)
    assert table.index.is_unique
    assert not table.isna().any(axis=None)


def test_the_facts_compare_with_as_many_molecules_where_there_are_some(arms, qm9_molecules):
    one, two = (extrapolation.facts(arms, qm9_molecules, lang=lang) for lang in LANGUAGES)
    assert one.keys() == two.keys()
    assert two["unbiased_default"] == "2.5"  # beside the random control
    assert two["unbiased_custom"] == "5.0"  # beside all of its own
    assert two["seeds"] == "2"
