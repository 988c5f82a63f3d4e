"""What the page on the preregistration shows of the plan, the drift and the ends of a training."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis import study
from analysis.evaluation.drift import drift
from analysis.evaluation.verdicts import confirmation
from analysis.figures import preregistration as figures
from analysis.figures.words import LANGUAGES
from harness import endings

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
PLAN = confirmation.load_plan()


@pytest.fixture(scope="module")
def experiments(qm9_molecules):
    names = ("final-comparison", "directed-training", "balancing", "beyond")
    return [study.recorded(study.EXPERIMENTS[name](), qm9_molecules) for name in names]


@pytest.fixture(scope="module")
def drawn(experiments):
    return {lang: figures.drift_by_arm(figures.drifting(*experiments, lang=lang), lang=lang) for lang in LANGUAGES}


@EACH_LANGUAGE
def test_every_claim_of_the_plan_has_a_row_with_its_rule(lang):
    table = figures.claims(PLAN, lang=lang)
    assert len(table) == len(PLAN.claims)
    assert not table.isna().any(axis=None)
    assert table.iloc[:, 0].is_unique
    assert table.iloc[:, -1].tolist() == [str(len(claim.seeds)) for claim in PLAN.claims.values()]


@EACH_LANGUAGE
def test_every_comparison_has_its_chances_at_both_ends_and_the_plans_seeds(lang):
    table = figures.power(PLAN, lang=lang)
    planned = [one for claim in PLAN.claims.values() for one in claim.power]
    assert len(table) == len(planned) / 2
    assert not table.isna().any(axis=None)
    settled = [one for one in planned if one.end == "settled"]
    for cell, one in zip(table.iloc[:, -1], settled, strict=True):
        confirmed, rejected = (int(share) / 100 for share in re.findall(r"\d+", cell))
        assert (confirmed, rejected) == pytest.approx(one.chances[str(len(PLAN.seeds))], abs=0.0051)


def test_the_figure_shows_both_parts_of_each_arms_drift(experiments, drawn):
    arms = figures.drifting(*experiments, lang="en")
    assert list(arms)[::8] == ["Default", "Beyond"]
    assert len(arms["Default"]) == 5  # of the final comparison, not of the experiments that take three
    (axes,) = drawn["en"].axes
    marks = {name: {} for name in ("One error per atom in common", "The rest")}
    for line in axes.get_lines():
        if line.get_label() in marks:
            marks[line.get_label()][int(line.get_ydata()[0])] = float(line.get_xdata()[0])
    for place, records in enumerate(arms.values()):
        found = drift(records)
        assert marks["One error per atom in common"][place] == pytest.approx(1e3 * np.sqrt(found.common))
        assert marks["The rest"][place] == pytest.approx(1e3 * np.sqrt(found.rest))


@EACH_LANGUAGE
def test_the_figure_is_readable(drawn, lang):
    drawn[lang].png()
    assert_readable(drawn[lang])


def test_the_two_languages_say_it_in_words_of_their_own_and_have_the_same_data(drawn):
    catalan, english = (
        {word for text in drawn[lang].findobj(Text) for word in re.findall(r"[^\W\d_]{3,}", text.get_text())}
        for lang in LANGUAGES
    )
    assert catalan & english == {"Default", "Custom", "Beyond", "meV", "error", "per"}
    one, two = (drawn[lang].data.drop(columns="arm") for lang in LANGUAGES)
    assert one.equals(two)


def test_the_drift_is_told_of_the_large_molecules(experiments):
    arms = figures.drifting(*experiments, lang="en")
    mse = [
        (record.errors["error"].astype(float) ** 2)[record.errors["n_atoms"] > 17].mean() for record in arms["Default"]
    ]
    facts = figures.drift_facts(arms, lang="en")
    assert facts["drift_factor"] == f"{max(mse) / min(mse):.2f}"
    assert float(facts["drift_factor_without"]) < float(facts["drift_factor"])
    assert (facts["drift_fewest"], facts["drift_most"]) == ("3", "5")


@EACH_LANGUAGE
def test_the_facts_of_the_plan(lang):
    facts = figures.facts(PLAN, 140, lang=lang)
    assert facts["seeds"] == str(len(PLAN.seeds))
    assert facts["runs"] == "140"
    assert confirmation.REGISTERED.startswith(facts["commit"])


@EACH_LANGUAGE
def test_the_ends_of_a_training_have_a_row_each(lang):
    record = endings.read_record()
    table = endings.table(record, lang=lang)
    assert len(table) == len(endings.SHARES) + 2
    last = np.mean([of_seed["last"]["mse"] for of_seed in record.results["default"].values()])
    assert float(table.iloc[0, 0].split(" ± ")[0].replace(",", ".")) == pytest.approx(last, abs=5e-5)
