"""What the page on the preregistered runs shows of their verdicts, which are made up here."""

import re

import pytest
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis.evaluation import verdicts
from analysis.evaluation.verdicts import confirmation
from analysis.figures import confirmation as figures
from analysis.figures.words import LANGUAGES

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
PLAN = confirmation.load_plan()


def made_up(claim: str, protocol: str, effect: float, said: str, *, width: float = 1.5) -> verdicts.Verdict:
    """A verdict with the side and threshold that the plan has for the claim's first comparison."""
    unit, side = (
        ("correlation", "below") if claim == "h1" else ("ratio", "above" if claim == "general_mse" else "below")
    )
    interval = (effect - 0.2, effect + 0.2) if unit == "correlation" else (effect / width, effect * width)
    threshold = {"below": 1 / verdicts.FACTOR, "above": verdicts.FACTOR}[side]
    part = verdicts.Part("part", effect, interval, threshold, side, unit, 1.0, 1.0)
    return verdicts.Verdict(
        claim,
        protocol,
        said,
        effect,
        interval,
        unit,
        threshold,
        side,
        0.001,
        8,
        100,
        "",
        parts=(part,),
        p_in_table=0.01,
    )


@pytest.fixture(scope="module")
def found() -> dict[str, list[verdicts.Verdict]]:
    def of_end(factor):
        return [
            made_up("h1", "held_out", 0.1, "rejected"),
            made_up("h1", "as_reported", -0.8, "confirmed"),
            made_up("h4", "held_out", factor, "undecided", width=1.05),
            made_up("h4", "as_reported", 0.3, "confirmed"),
            made_up("general_mse", "held_out", 3.0, "confirmed"),
            made_up("custom_by_size", "held_out", 2.0, "rejected"),
            made_up("directed_by_size", "held_out", 2.0, "rejected"),
            made_up("directed_crossing", "held_out", 0.5, "confirmed"),
            made_up("means_alone", "independent", 0.95, "confirmed"),
        ]

    return {"last": of_end(1.4), "settled": of_end(1.0)}


@EACH_LANGUAGE
def test_every_claim_has_its_verdict_at_both_ends_and_the_planned_chance(found, lang):
    table = figures.claims(found, PLAN, "held_out", lang=lang)
    assert len(table) == 7
    assert table.shape[1] == 4
    chances = [confirmation.planned_chance(PLAN.claims["h4"], end) for end in found]
    h4 = table.iloc[1]
    assert [int(re.match(r"\d+", h4.iloc[place])[0]) for place in (1, 3)] == [round(100 * chance) for chance in chances]
    same = {"ca": "cap diferència", "en": "no difference"}[lang]
    assert same not in h4.iloc[0]
    assert same in h4.iloc[2]
    assert figures.claims(found, PLAN, "as_reported", lang=lang).shape == (2, 2)


@EACH_LANGUAGE
def test_what_counts_against_us_is_said_with_what_was_found(found, lang):
    table = figures.failures(found, PLAN, lang=lang)
    assert len(table) == len(PLAN.failures)
    came = table.iloc[:, 1].tolist()
    yes = {"ca": "Sí", "en": "Yes"}[lang]
    assert [name for name, word in zip(PLAN.failures, came, strict=True) if word == yes] == ["directed_crossing"]


@EACH_LANGUAGE
def test_the_facts_count_the_reports_claims_alone(found, lang):
    facts = figures.facts(found, PLAN, lang=lang)
    assert facts["judged_last_held_out"] == "5"  # not our two
    assert (facts["open_last_held_out"], facts["open_settled_held_out"]) == ("1", "0")
    assert facts["same_settled_held_out"] == "1"
    assert (facts["confirmed_last_held_out"], facts["rejected_last_held_out"]) == ("1", "3")
    assert (facts["failures_came"], facts["failures"]) == ("1", "5")


@EACH_LANGUAGE
def test_a_changed_verdict_has_a_row_and_no_other(found, lang):
    before = [made_up("h1", "held_out", 0.1, "rejected"), made_up("general_mse", "held_out", 1.2, "undecided")]
    table = figures.changed(before, found, lang=lang)
    assert len(table) == 1
    assert table.shape[1] == 3


@EACH_LANGUAGE
def test_splits_stand_side_by_side(found, lang):
    table = figures.splits({11: found, 12: found}, lang=lang)
    assert table.shape == (12, 2)
    assert [name.rpartition(" · ")[0] for name in table.index[:2]] == [table.index[0].rpartition(" · ")[0]] * 2


@EACH_LANGUAGE
def test_the_forest_turns_every_claim_to_the_left(found, lang):
    figure = figures.forest(found, lang=lang)
    data = figure.data.set_index(["end", "claim"])
    assert "h1" not in data.index.get_level_values("claim")
    assert data.loc[("last", "general_mse"), "effect"] == pytest.approx(1 / 3)
    assert data.loc[("last", "general_mse"), "threshold"] == pytest.approx(1 / verdicts.FACTOR)
    assert data.loc[("settled", "h4"), "effect"] == pytest.approx(1.0)
    assert (data["low"] < data["effect"]).all()
    assert (data["effect"] < data["high"]).all()
    figure.png()
    assert_readable(figure)


def test_the_two_languages_have_the_same_data(found):
    one, two = (figures.forest(found, lang=lang) for lang in LANGUAGES)
    assert one.data.equals(two.data)
    texts = [{text.get_text() for text in figure.findobj(Text)} for figure in (one, two)]
    assert "H4" in texts[0] & texts[1]
    assert "H2: fluorine" not in texts[0]
