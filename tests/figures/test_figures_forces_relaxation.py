"""What relaxing is worth is shown over the molecules that both ways answer."""

import moving_records as made_up
import numpy as np
import pytest
from test_figures_state_of_the_art import assert_readable

from analysis.figures import forces_relaxation as figures
from analysis.figures import style
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


@EACH_LANGUAGE
def test_what_is_said_of_molecules_that_qm9_lacks_is_told_with_its_refusal(lang):
    table = figures.lacking(made_up.lacking(), lang=lang)
    assert table.index.tolist() == ["C", "CC", "CCC"]
    assert table[say("Molecule of G2", lang)].tolist() == ["near", "far", "lost"]
    refused = say("refused", lang)
    thousand = style.number(1000, lang)
    assert table.iloc[:, 1].tolist() == ["50 (40 – 60)", f"299 ({refused})", f"−310 ({refused})"]
    assert table.iloc[1:, 3].tolist() == [f"−{thousand} ({refused})", refused]
    assert table.iloc[0, 3] == "500"


@EACH_LANGUAGE
def test_the_facts_of_molecules_that_qm9_lacks_are_counts_of_the_record(lang):
    found = figures.lacking_facts(made_up.lacking(), lang=lang)
    assert found.pop("lacking_limit") == style.number(0.3, lang, 1)
    assert {key.removeprefix("lacking_"): int(value) for key, value in found.items()} == {
        "whole": 3,
        "answered_conformer": 1,
        "answered_relaxed": 1,
        "worst_conformer": 400,
        "lost": 1,
        "both": 2,
        "nearer": 1,
        "large": 5,
        "large_reference": 1,
        "large_refused": 3,
    }
