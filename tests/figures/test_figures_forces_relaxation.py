"""What relaxing is worth is shown over the molecules that both ways answer."""

import moving_records as made_up
import numpy as np
import pytest
from test_figures_state_of_the_art import assert_readable

from analysis.figures import forces_relaxation as figures
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@EACH_LANGUAGE
def test_the_curves_are_those_of_molecules_that_both_ways_answer(lang):
    record = made_up.relaxation()
    figure = figures.distribution(record, lang=lang)
    figure.png()
    assert_readable(figure)
    assert len(figure.data) == record.compared == 60 - 6
    np.testing.assert_allclose(figure.data["conformer_error_meV"], 2 * figure.data["relaxed_error_meV"], atol=0.02)
    for line, way in zip(figure.axes[0].lines, ("conformer", "relaxed"), strict=False):
        sizes, shares = line.get_data()
        assert sizes.tolist() == sorted(figure.data[f"{way}_error_meV"].abs())
        assert shares[-1] == 1


@EACH_LANGUAGE
def test_the_table_and_the_facts_say_what_is_recorded(lang):
    record = made_up.relaxation()
    table, found = figures.table(record, lang=lang), figures.facts(record, lang=lang)
    assert found.keys() == figures.facts(record, lang="en").keys()
    column = table[say("MAE (meV)", lang)]
    for place, way in enumerate(("conformer", "relaxed")):
        assert column.iloc[place].startswith(f"{record.absolute[way].mean:.0f} (")
        assert found[f"relaxing_mae_{way}"] == f"{record.absolute[way].mean:.0f}"
    assert table[say("Refused", lang)].tolist() == ["3", "3"]
    assert found["relaxing_change"].startswith(f"−{-record.change.mean:.0f} (−")
