"""The errors that others published, and the rows of the page that shows them."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis import study
from analysis.figures import published, state_of_the_art, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs.records import Record
from analysis.study import search, sweeps

ROOT = Path(__file__).resolve().parents[2]
EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> list[Record]:
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


@pytest.fixture(scope="module")
def searched(qm9_molecules) -> list[Record]:
    stage = search.load_or_search(sweeps.load_sweep("stage1"), search.SearchParameters(), qm9_molecules)
    return stage.chosen


def test_models_come_with_the_largest_error_first_and_a_source_that_is_in_the_bibliography():
    errors = [model.mae for model in published.MODELS.values()]
    assert errors == sorted(errors, reverse=True)
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    for name, model in published.MODELS.items():
        assert {model.source, model.read_in} - {None} <= entries.keys(), name
        if model.year is not None:
            assert re.search(rf"year\s*=\s*\{{{model.year}\}}", entries[model.source]), name
    assert pytest.approx(43.364, abs=1e-3) == published.CHEMICAL_ACCURACY


@EACH_LANGUAGE
def test_the_page_has_a_row_per_model_with_its_own_sources(lang):
    page = (ROOT / "book" / lang / "appendix.md").read_text(encoding="utf-8")
    prefix = "en-" if lang == "en" else ""
    table = page.partition(f":name: tab-published-{lang}\n")[2].partition(":::")[0]
    rows = [row.split("\n  - ") for row in table.split("\n* - ")[2:]]
    assert len(rows) == len(published.MODELS)
    for (name, model), (called, mae, molecules, training, source) in zip(published.MODELS.items(), rows, strict=True):
        assert called.startswith(model.model.partition(",")[0])
        assert model.year is None or str(model.year) in called
        cells = (("mae", mae), ("molecules", molecules), ("training", training))
        assert [cell for _, cell in cells] == [f"{{glue:text}}`{lang}-published_{name}_{key}`" for key, _ in cells]
        keys = dict.fromkeys(key for key in (model.source, model.read_in) if key)
        assert source.strip() == ", ".join(f"{{cite}}`{prefix}{key}`" for key in keys)  # in one role they are sorted


def test_the_facts_of_the_table():
    ca, en = (published.facts(lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (ca["allegro_mae"], en["allegro_mae"]) == ("4,7 ± 0,2", "4.7 ± 0.2")
    assert (en["mace_mae"], en["tensornet_mae"], en["schnet_mae"]) == ("4.1*", "3.9", "14")
    assert (ca["schnet_molecules"], en["physnet_molecules"]) == ("110.000", "–")
    assert en["equiformer_2_training"] == "300 epochs, 137 GPU hours (A6000)"
    assert ca["torchmd_net_training"] == "com a màxim 3.000 èpoques"
    assert (en["painn_training"], en["accuracy"]) == ("–", "43")


@EACH_LANGUAGE
def test_our_own_errors_are_those_of_the_records(records, searched, lang):
    facts = state_of_the_art.own_facts(records, searched, lang=lang)
    tables = [record.errors for record in records]
    errors = [1000 * table["error"].to_numpy(float)[table["test"].to_numpy(bool)] for table in tables]
    assert facts["mae"] == style.mean_and_deviation([np.abs(e).mean() for e in errors], lang, 0)
    assert facts["rmse"] == style.mean_and_deviation([np.sqrt((e**2).mean()) for e in errors], lang, 0)
    found = []
    for record in searched:
        table = record.errors
        found.append(1000 * np.abs(table["error"].to_numpy(float)[table["test"].to_numpy(bool)]).mean())
    assert facts["searched_mae"] == style.mean_and_deviation(found, lang, 0)
    assert (facts["searched_lowest"], facts["searched_highest"]) == tuple(
        style.number(value, lang) for value in (min(found), max(found))
    )
    assert facts["searched_batch"] == style.number(searched[0].config.training.batch_size, lang)
    assert facts["searched_rate"] == {"ca": "0,0024", "en": "0.0024"}[lang]
    assert (facts["epochs"], facts["updates"]) == ("30", style.number(31_410, lang))


@EACH_LANGUAGE
def test_the_figure_has_a_row_per_model_and_ours_on_top(records, searched, lang):
    figure = state_of_the_art.beside_ours(records, searched, lang=lang)
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[:3] == [
        say("Default, this book", lang),
        say("the search’s choice", lang),
        "Cormorant (2019)",
    ]
    assert len(names) == 2 + len(published.MODELS)
    ours, chosen, *others, accuracy = axes.get_lines()
    assert len(chosen.get_xdata()) == len(searched)
    tested = [record.errors[record.errors["test"]] for record in records]
    assert list(ours.get_xdata()) == [pytest.approx(1000 * each["error"].astype(float).abs().mean()) for each in tested]
    for model, line in zip(published.MODELS.values(), others, strict=True):
        assert list(line.get_xdata()) == [model.mae]
        assert (line.get_markerfacecolor() == "white") == (model.read_in is None)
    assert set(accuracy.get_xdata()) == {published.CHEMICAL_ACCURACY}
    assert axes.yaxis_inverted()
    assert axes.get_xscale() == "log"


def test_what_the_page_says_of_training_holds_in_the_records(records, searched):
    facts = state_of_the_art.own_facts(records, searched, lang="en")
    ours, best = float(facts["mae"].split()[0]), float(facts["searched_lowest"])
    assert best < 0.8 * ours  # "two numbers of the training"
    assert best > published.CHEMICAL_ACCURACY
    assert all(model.mae < published.CHEMICAL_ACCURACY for model in published.MODELS.values())
    same = [(record.config.model, record.config.training.epochs) for record in (*records, *searched)]
    assert all(each == same[0] for each in same)


def test_points_have_a_source_that_is_in_the_bibliography():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    for name, point in published.POINTS.items():
        assert {point.source, point.read_in} - {None} <= entries.keys(), name
        assert re.search(rf"year\s*=\s*\{{{point.year}\}}", entries[point.source]), name
        assert name.endswith(f"_{point.molecules}"), name


def test_of_each_model_more_molecules_give_a_smaller_error():
    points = list(published.POINTS.values())
    assert [point.year for point in points] == sorted(point.year for point in points)
    for model in {point.model for point in points}:
        own = [point for point in points if point.model == model]
        for fewer, more in pairwise(own):
            assert fewer.molecules < more.molecules
            assert fewer.mae > more.mae


def test_errors_are_in_mev_whatever_the_unit_of_the_text():
    points = published.POINTS
    assert points["hip_nn_110426"].mae == pytest.approx(0.256 * published.CHEMICAL_ACCURACY)
    assert points["schnet_50000"].mae == pytest.approx(0.59 * published.CHEMICAL_ACCURACY, rel=2e-3)  # as in Schutt2017
    assert points["schnet_110462"].mae == pytest.approx(0.31 * published.CHEMICAL_ACCURACY, rel=5e-3)
    assert points["dtnn_50000"].mae == pytest.approx(40.8, abs=0.05)  # Lu2019 gives it in eV


def test_the_facts_of_published_curves():
    ca, en = (published.curve_facts(lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (en["schnet_50000"], en["schnet_110462"], en["dtnn_50000"]) == ("26", "13", "41")
    assert (ca["hip_nn_110426_epochs"], en["hip_nn_110426_epochs"]) == ("1.000–2.000", "1,000–2,000")
    assert (en["hip_nn_110426_hours"], en["enn_s2s_110462_epochs"]) == ("17–33", "540")


@EACH_LANGUAGE
def test_what_the_page_says_of_data_holds(lang):
    points = published.POINTS
    page = (ROOT / "book" / lang / "beyond-recipe.md").read_text(encoding="utf-8")
    shown = set(re.findall(rf"\{{glue:text\}}`{lang}-curve_(\w+)`", page))
    assert shown <= published.curve_facts(lang=lang).keys()
    assert {"schnet_50000", "schnet_100000", "schnet_110462"} <= shown
    # "would still be far below ours", which does not come to chemical accuracy
    assert points["schnet_50000"].mae < 0.7 * published.CHEMICAL_ACCURACY
