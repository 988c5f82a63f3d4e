import re

import numpy as np
import pytest

from analysis import study
from analysis.data import thesis
from analysis.evaluation import decomposition
from analysis.figures import artefact, final_comparison, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.arms import Arms
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SIZES = list(thesis.COMMON_SIZES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.FinalComparisonParameters(), qm9_molecules)


@pytest.fixture(scope="module")
def models(records) -> dict[str, list[Record]]:
    return final_comparison.by_model(records)


@pytest.fixture(scope="module")
def facts(records) -> dict[str, str]:
    return artefact.facts(records, lang="en")


def mean_over_seeds(of: list[Record], column: str) -> np.ndarray:
    return np.mean([protocols.mse(record.groups, "size").loc[SIZES, column] for record in of], axis=0)


def sizes_in(text: str) -> set[int]:
    """What `style.ranges` wrote."""
    parts = re.split(r", | and ", text)
    ends = [[int(number) for number in part.split("–")] for part in parts if part != "none"]
    return {size for first, *last in ends for size in range(first, (last or [first])[0] + 1)}


# ---- the terms


@EACH_LANGUAGE
def test_the_figure_of_the_terms_has_them_all_for_both_models(records, models, lang):
    figure = artefact.terms_by_size(records, lang=lang)
    assert [axes.get_title() for axes in figure.axes] == ["Default", "Custom"]
    for axes, of_model in zip(figure.axes, models.values(), strict=True):
        assert axes.get_yscale() == "log"
        lines = {line.get_label(): line for line in axes.get_lines()}
        reported = lines[say("error with the set’s own mean", lang)]
        np.testing.assert_allclose(reported.get_ydata(), mean_over_seeds(of_model, "as_reported"))
        held_out = lines[say("held-out molecules", lang)]
        np.testing.assert_allclose(held_out.get_ydata(), mean_over_seeds(of_model, "held_out"))
        for term, name in (
            ("offset", "offset term"),
            ("cross", "cross term, absolute value"),
            ("leakage", "leakage, absolute value"),
        ):
            parts = [decomposition.decompose(record.groups, "size").loc[SIZES, term] for record in of_model]
            drawn = lines[say(name, lang)].get_ydata()
            expected = np.abs(np.mean(parts, axis=0))
            np.testing.assert_allclose(drawn, np.where(expected > 0, expected, np.nan))
    data = figure.data.groupby(["series", "n_atoms"])["as_reported_eV2"].mean()
    for axes in figure.axes:
        np.testing.assert_allclose(data[axes.get_title()], axes.get_lines()[0].get_ydata())
    assert set(figure.data["run"]) == {record.id for record in records.runs}


def test_negative_terms_have_hollow_markers(records, models):
    figure = artefact.terms_by_size(records, lang="en")
    hollow = [line for line in figure.axes[0].get_lines() if line.get_markerfacecolor() == "white"]
    purple = next(line for line in hollow if line.get_color() == style.PURPLE)
    cross = np.mean([decomposition.decompose(r.groups, "size").loc[SIZES, "cross"] for r in models["default"]], axis=0)
    assert list(purple.get_xdata()) == [size for size, value in zip(SIZES, cross, strict=True) if value < 0]


def test_the_shares_of_a_row_add_up(models):
    for name, columns in (("default", 3), ("custom", 4)):
        table = artefact.terms_table(models[name], lang="en")
        assert table.index.tolist() == [str(size) for size in SIZES]
        shares = table.iloc[:, 2:].map(lambda text: float(text.rstrip("%").replace("−", "-")))
        assert shares.shape[1] == columns
        assert (shares.sum(axis=1) - 100).abs().max() < 0.25
        assert not table.map(lambda text: text.startswith("−0.0")).any(axis=None)
        means = mean_over_seeds(models[name], "as_reported")
        assert table["MSE, own mean (eV²)"].tolist() == [f"{value:.3f}" for value in means]
    table = artefact.terms_table(models["default"], lang="ca", kind="element")
    assert table.index[0] == "H, hidrogen"
    assert "," in table.iloc[0, 0]


def test_the_facts_of_the_prose(records, facts):
    ca = artefact.facts(records, lang="ca")
    assert ca.keys() == facts.keys()
    assert ca["fluorine"] == facts["fluorine"].replace(".", ",").replace("%", "\N{NO-BREAK SPACE}%")


# ---- what the page says holds in the records


def test_what_the_page_says_of_the_parts_holds_in_the_records(models, facts):
    """The offset makes nearly all of both curves, but at the bottom of each valley; of the elements, N and F."""
    for name, of_model in models.items():
        assert float(facts[f"curve_{name}"].rstrip("%")) > 98
        assert 50 < float(facts[f"least_{name}"].rstrip("%")) < 80
        bottom = SIZES[mean_over_seeds(of_model, "as_reported").argmin()]
        assert facts[f"least_size_{name}"] == str(bottom)
        offset = np.mean([decomposition.decompose(r.groups, "size").loc[SIZES, "offset"] for r in of_model], axis=0)
        assert SIZES[offset.argmin()] == bottom  # the valley is the offset's
        assert len(sizes_in(facts[f"mostly_{name}"])) >= 14
    assert float(facts["fluorine"].rstrip("%")) > 99
    assert float(facts["nitrogen"].rstrip("%")) > 80
    table = artefact.terms_table(models["default"], lang="en", kind="element")["Offset"]
    assert all(abs(float(text.rstrip("%").replace("−", "-"))) < 2 for text in table.iloc[[0, 1, 3]])


def test_what_the_page_says_of_leakage_holds_in_the_records(models, facts):
    """No size's error is moved beyond chance by its training molecules, nor its error as reported by more than 2 %."""
    for name, of_model in models.items():
        assert float(facts[f"leak_errors_{name}"]) < 2
        assert float(facts[f"leak_{name}"].rstrip("%")) < 2
        parts = artefact.decomposed(of_model, "size").groupby(level="group").mean().loc[SIZES]
        assert (parts["leakage"].abs() < parts["held_out"]).all()
        below = parts.loc[10:17]
        assert (below["leakage"] == 0).all() == (name == "custom")
        assert (below["left_out"].abs() < 0.3 * below["held_out"]).all()


def test_what_the_page_says_of_sums_holds(models, facts):
    """With own means the errors of the parts do not average to the error of the whole."""
    for name in models:
        assert float(facts[f"average_{name}"]) > 40 * float(facts[f"general_{name}"])
