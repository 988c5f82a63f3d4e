"""The figure, table and numbers of errors above the heavy atoms that a model was trained on, from made-up records."""

import pytest
from extrapolated import extrapolated
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.evaluation.extrapolation import extrapolates, found
from analysis.evaluation.verdicts import FACTOR
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


def test_the_chapter_says_what_the_records_say(qm9_molecules):
    """Each worded statement of the chapter; a record that ends otherwise changes the chapter."""
    recorded = study.recorded(study.ExtrapolationParameters(), qm9_molecules)
    default, custom, beyond = extrapolates(recorded, qm9_molecules)
    assert (default.verdict, custom.verdict, beyond.verdict) == ("undecided", "undecided", "confirmed")
    assert beyond.interval[1] < 1.5  # "and not much"
    assert beyond.parts[1].interval[0] > FACTOR  # "no single number is missing"
    errors = {(one.model, one.trained_on, one.side): one for one in found(recorded, qm9_molecules)}
    whole, random, few = (errors["beyond", name, "above"].mae.mean() for name in ("whole", "random", "few"))
    assert random - whole > few - random > 0  # fewer molecules cost more than that none is large
    of_default = [errors["default", name, "above"].mae for name in ("whole", "random", "few")]
    means = [mae.mean() for mae in of_default]
    assert max(means) - min(means) < 2 * max(mae.std(ddof=1) for mae in of_default)  # "much the same error"
    assert default.interval[0] < 1 / FACTOR or default.interval[1] > FACTOR  # a tenth can't be excluded
    assert abs(errors["custom", "whole", "above"].bias.mean()) > 100
    fewer, within = (errors["beyond", name, "within"].mae.mean() for name in ("random", "few"))
    assert 0 < fewer - within < few - random  # small molecules alone help on them, by less than they cost above
