"""The figure, table and numbers of errors above the heavy atoms that a model was trained on, from made-up records."""

import pytest
from extrapolated import extrapolated
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis.figures import extrapolation
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import Arms


@pytest.fixture(scope="module")
def arms(qm9_molecules) -> Arms:
    return extrapolated(qm9_molecules)


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
    assert two["seeds"] == "3"
