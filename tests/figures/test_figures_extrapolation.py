"""The figure, table and numbers of errors above the heavy atoms that a model was trained on, from made-up records."""

import pytest
from extrapolated import extrapolated
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis.evaluation.extrapolation import extrapolates
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


def test_the_facts_and_the_claims_say_what_the_verdicts_do(arms, qm9_molecules):
    verdicts = extrapolates(arms, qm9_molecules, resamples=100)
    one, two = (extrapolation.facts(arms, qm9_molecules, verdicts, lang=lang) for lang in LANGUAGES)
    assert one.keys() == two.keys()
    assert two["unbiased_default"].startswith("2.50 [")  # beside the random control
    assert two["unbiased_custom"].startswith("5.00 [")  # beside all of its own
    assert two["seeds"] == "3"
    table = extrapolation.claims(verdicts, lang="en")
    assert table.index.tolist() == ["Default", "Custom"]
    assert table.iloc[0, 0].startswith("confirmed: ")
