import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable, watched

from analysis import study
from analysis.evaluation import error_sources
from analysis.figures import error_drivers as figures
from analysis.figures import style
from analysis.figures.words import LANGUAGES, say

ROOT = Path(__file__).resolve().parents[2]
EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
ONE = [figures.errors_by_size, figures.unsaturation, figures.correlations, figures.importance]
BOTH = [figures.size_effects, figures.classes]
EACH_FIGURE = pytest.mark.parametrize("draw", ONE + BOTH, ids=lambda draw: draw.__name__)


@pytest.fixture(scope="module")
def found() -> dict[str, error_sources.ErrorSources]:
    """What the book shows."""
    return {model: error_sources.load(model) for model in error_sources.MODELS}


def draw_new(draw, found, lang) -> style.BookFigure:
    return draw(found["default"] if draw in ONE else found, lang=lang)


@pytest.fixture(scope="module")
def drawn(found) -> Callable[[Callable, str], tuple[style.BookFigure, list[Text], bytes]]:
    """A figure, its texts and its picture, drawn once for all that is asked of it."""

    @cache
    def draw_once(draw: Callable, lang: str) -> tuple[style.BookFigure, list[Text], bytes]:
        figure = draw_new(draw, found, lang)
        picture, texts = watched(figure.png)
        # Those of more than one line are drawn line by line.
        longer = [text for text in figure.findobj(Text) if text.get_visible() and "\n" in text.get_text()]
        return figure, [text for text in texts if isinstance(text, Text)] + longer, picture

    return draw_once


@EACH_LANGUAGE
@EACH_FIGURE
def test_a_figure_is_readable_and_the_same_picture_each_time(draw, lang, drawn, found):
    figure, texts, picture = drawn(draw, lang)
    assert len(picture) < 300_000
    assert draw_new(draw, found, lang).png() == picture
    assert_readable(figure, texts)


@EACH_FIGURE
def test_the_two_languages_share_no_word(draw, drawn):
    words = [
        {word for text in drawn(draw, lang)[1] for word in re.findall(r"[^\W\d_]{3,}", text.get_text())}
        for lang in LANGUAGES
    ]
    assert all(words)
    same = {"Default", "Custom", "MSE", "Spearman", "Zwitterions", "Error", "error", "Factor", "log", "per", "triple"}
    same |= {"meV", "eV²", "CH₂", "sp³"}
    assert not (words[0] & words[1]) - same


@EACH_FIGURE
def test_a_figure_carries_its_data_the_same_in_both_languages_with_its_runs(draw, drawn, found):
    catalan, english = (drawn(draw, lang)[0] for lang in LANGUAGES)
    assert catalan.csv() == english.csv()
    assert catalan.data.columns[0] == "run"
    assert catalan.data.notna().all(axis=None)
    models = ["default"] if draw in ONE else error_sources.MODELS
    expected = {one["id"] for model in models for one in found[model].about["runs"]}
    assert set(" ".join(catalan.data["run"]).split()) == expected
    if "seed" in catalan.data:
        by_seed = {one["seed"]: one["id"] for one in found["default"].about["runs"]}
        assert (catalan.data["seed"].map(by_seed) == catalan.data["run"]).all()


# ---- what the figures show


def over_seeds(drawn_from: error_sources.ErrorSources, column: str) -> np.ndarray:
    table = drawn_from.sizes[drawn_from.sizes["molecules"] >= 30]
    return table.groupby("n_atoms")[column].mean().to_numpy()


def test_the_errors_by_size_are_those_of_the_record(drawn, found):
    (axes,) = drawn(figures.errors_by_size, "en")[0].axes
    _, median, per_atom = axes.lines
    assert median.get_ydata() == pytest.approx(1000 * over_seeds(found["default"], "median"))
    assert per_atom.get_ydata() == pytest.approx(1000 * over_seeds(found["default"], "per_atom"))
    assert axes.get_yscale() == "log"


def test_the_curves_by_unsaturation_have_a_line_per_value_held_fixed(drawn, found):
    left, right = drawn(figures.unsaturation, "en")[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["7 heavy", "8 heavy", "9 heavy"]
    table = found["default"].unsaturation
    table = table[table["molecules"] >= 50]
    nine = table[table["heavy_atoms"] == 9].groupby("unsaturation")["mse"].mean()
    assert left.lines[-1].get_xdata().tolist() == nine.index.tolist()
    assert left.lines[-1].get_ydata() == pytest.approx(nine.to_numpy())
    three = table[table["unsaturation"] == 3].groupby("heavy_atoms")["mse"].mean()
    named = {text.get_text(): line for text, line in zip(right.get_legend().get_texts(), right.lines, strict=True)}
    assert named["unsaturation 3"].get_ydata() == pytest.approx(three.to_numpy())


def test_factors_are_for_three_atoms_and_stand_beside_one(drawn, found):
    (axes,) = drawn(figures.size_effects, "en")[0].axes
    rows = [text.get_text().split(":")[0] for text in axes.get_yticklabels()]
    assert rows[:2] == ["nothing", "number of heavy atoms"]
    for container, model in zip(axes.containers, error_sources.MODELS, strict=True):
        table = found[model].size_effects.set_index(["target", "comparison"]).loc["squared"]
        expected = table["value"].loc[list(error_sources.COMPARISONS)].to_numpy() ** 3
        assert container.lines[0].get_xdata() == pytest.approx(expected)
        (bars,) = container.lines[2]
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        assert ends[:, 1] == pytest.approx(table["high"].loc[list(error_sources.COMPARISONS)].to_numpy() ** 3)


def test_the_heat_map_frames_its_groups(drawn, found):
    axes = drawn(figures.correlations, "en")[0].axes[0]
    groups = found["default"].about["groups"]
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [patch.get_width() for patch in frames] == [len(group) for group in groups if len(group) > 1]
    assert len(axes.get_xticklabels()) == sum(map(len, groups)) == len(found["default"].correlations)
    cells = np.asarray(axes.collections[0].get_array()).reshape(len(axes.get_xticklabels()), -1)
    np.testing.assert_allclose(np.diag(cells), 1)
    np.testing.assert_allclose(cells, cells.T)


def test_importance_comes_from_the_group_that_matters_most_down(drawn, found):
    left, right = drawn(figures.importance, "en")[0].axes
    lost = right.containers[0].lines[0]
    assert (np.diff(lost.get_xdata()) <= 0).all()
    assert (np.diff(lost.get_ydata()) > 0).all()
    assert right.yaxis_inverted()
    first = left.get_yticklabels()[0].get_text()
    names = {members[0]: figures._DESCRIPTORS[members[0]] for members in found["default"].about["groups"]}
    most = found["default"].importance.loc["squared"].loc["permuted"]["value"].idxmax()
    assert first.startswith(names[most])


def test_classes_stand_from_the_worst_down(drawn, found):
    (axes,) = drawn(figures.classes, "en")[0].axes
    default, custom = (container.lines[0] for container in axes.containers)
    assert (np.diff(default.get_xdata()) <= 0).all()
    order = found["default"].classes.sort_values("ratio", ascending=False).index
    assert custom.get_xdata() == pytest.approx(found["custom"].classes.loc[order, "ratio"].to_numpy())
    assert [text.get_text() for text in axes.get_yticklabels()] == [figures._CLASSES[key] for key in order]


# ---- tables and facts


@EACH_LANGUAGE
def test_the_worst_molecules_have_their_error_and_what_is_out_of_the_ordinary(found, lang):
    table = figures.worst_table(found["default"], lang=lang, reasons=3)
    worst = found["default"].worst
    assert table.index.tolist() == [f"{index} {smiles}" for index, smiles in worst["smiles"].items()]
    for index, (_, cells) in zip(worst.index, table.iterrows(), strict=True):
        row = worst.loc[index]
        error = f"{1000 * row['signed']:,.0f} ± {1000 * row['deviation']:,.0f}".replace("-", "−")
        said = cells[say("Prediction − reference (meV)", lang)].replace("\N{NO-BREAK SPACE}", " ")
        assert said == (error.replace(",", ".") if lang == "ca" else error)
        why = found["default"].reasons[found["default"].reasons["index"] == index]
        said = cells[say("What is out of the ordinary", lang)].split("; ")
        assert len(said) == max(1, min(3, len(why)))
        if row["zwitterion"]:
            assert said[0] == say("it is a zwitterion", lang)
        if why.empty:
            assert said == [say("nothing", lang)]


def test_the_other_tables_have_a_row_per_class_and_per_descriptor(found):
    table = figures.class_table(found["default"], lang="en")
    assert set(table.index) == set(figures._CLASSES.values())
    assert table.loc["Zwitterions", "Molecules"] == f"{found['default'].classes.loc['zwitterions', 'molecules']}"
    assert len(figures.rank_table(found["default"], lang="ca")) == len(found["default"].correlations)


def test_the_facts_have_the_same_keys_in_both_languages(found):
    ca, en = (figures.facts(found, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert ca != en
    assert en["molecules"] == "26,167"


@EACH_LANGUAGE
@pytest.mark.parametrize("draw", [*ONE, *BOTH, figures.facts], ids=lambda draw: draw.__name__)
def test_the_page_shows_every_figure(draw, lang):
    page = jupytext.read(ROOT / "book" / lang / "error-drivers.md", fmt="md:myst")
    calls = [cell for cell in page.cells if re.search(rf"\bfigures\.{draw.__name__}\(.*lang=\"{lang}\"", cell.source)]
    assert calls


# ---- what the page says


def of_class(found, model: str, name: str):
    return found[model].classes.loc[name]


def factor(found, model: str, comparison: str):
    table = found[model].size_effects.set_index(["target", "comparison"])
    return table.loc[("squared", comparison)]


def test_what_the_page_says_of_seeds_and_of_the_usual_molecule(found):
    """Most of the squared error repeats; few molecules bear much of it; its mean falls with size, the median hardly."""
    default = found["default"]
    assert default.parts.loc["molecules", "value"] > 0.5
    assert default.parts.loc["shift", "low"] < 0  # poorly known
    assert default.about["worst_share"]["0.01"] > 0.2
    assert default.about["worst_share"]["0.1"] > 0.5
    sizes = default.sizes.groupby("n_atoms")[["mse", "median", "per_atom"]].mean().loc[[10, 25]]
    rmse, median, per_atom = (np.sqrt(sizes["mse"]), sizes["median"], sizes["per_atom"])
    assert rmse[25] < 0.75 * rmse[10]
    assert median[25] > 0.75 * median[10]
    assert per_atom[25] < 0.4 * per_atom[10]
    assert abs(default.ranks.loc["n_atoms", "plain"]) < 0.1
    assert default.ranks[["plain", "partial"]].abs().max(axis=None) < 0.15  # none is large


def test_what_the_page_says_of_the_descriptors(found):
    """Little of the typical error is explained, much of e²; rings and stretched bonds matter most, then zwitterions."""
    default = found["default"]
    table = default.importance["value"]
    assert table[("typical", "score", "")] < 0.15
    assert default.about["repeated"] < 0.3
    assert table[("squared", "score", "")] > 0.3
    for target in error_sources.TARGETS:
        assert table[target]["permuted"].idxmax() == "rings"
    assert table["squared"]["permuted"].sort_values().index[-2] == "zwitterion"
    (rings,) = [group for group in default.about["groups"] if group[0] == "rings"]
    assert "longest_bond" in rings
    assert "unsaturation" in default.about["groups"][0]
    without = default.importance.loc[("squared", "without", "n_atoms")]
    assert without["low"] < 0 < 0.05 < default.importance.loc[("squared", "alone", "n_atoms"), "value"]


def test_what_the_page_says_of_size(found):
    """The error falls with size only where unsaturation may fall with it; for Custom it falls all the same."""
    for comparison in ("nothing", "heavy", "skeleton"):
        assert factor(found, "default", comparison)["high"] < 1
        assert factor(found, "custom", comparison)["high"] < 1
    for comparison in ("saturation", "structure"):
        assert factor(found, "default", comparison)["value"] > 1
        assert factor(found, "default", comparison)["high"] > 1
        assert factor(found, "default", comparison)["low"] > 0.97
        assert factor(found, "custom", comparison)["high"] < 1
    curves = found["default"].unsaturation.groupby(["heavy_atoms", "unsaturation"])["mse"].mean()
    assert curves[9].loc[1:6].corr(curves[9].loc[1:6].index.to_series(), method="spearman") > 0.9
    for degree in (1, 2, 3):
        assert curves[9][degree] > curves[8][degree]


def test_what_the_page_says_of_the_classes(found):
    zwitterions, stretched = (of_class(found, "default", name) for name in ("zwitterions", "stretched_bond"))
    assert zwitterions["ratio"] > stretched["ratio"] > 10
    assert stretched["molecules"] < zwitterions["molecules"]
    cages = of_class(found, "default", "three_or_more_rings")
    assert cages["low"] > 2
    assert cages["attributable"] == found["default"].classes["attributable"].max()
    for name in ("infrequent_sizes", "fluorine"):
        row = of_class(found, "default", name)
        assert row["low"] < 1 < row["high"]
        assert of_class(found, "custom", name)["low"] > 2
    for name in ("rarest", "farthest"):
        assert of_class(found, "default", name)["low"] > 1.5
    assert found["default"].about["weak_group"] == "three_or_more_rings"


def test_what_the_page_says_of_the_twenty_worst(found):
    """Zwitterions, cages and stretched bonds, most of them predicted too low; none without a reason."""
    worst, reasons = found["default"].worst, found["default"].reasons
    named = reasons.groupby("name")["index"].agg(set)
    assert len(named["zwitterions"] | named["three_or_more_rings"]) >= 0.85 * len(worst)
    assert len(named["zwitterions"]) > len(named["three_or_more_rings"]) >= 5
    assert set(worst.index) == named["zwitterions"] | named["three_or_more_rings"] | named["longest_bond"]
    assert (worst["signed"] < 0).mean() >= 0.85


def test_what_the_page_says_of_custom(found):
    alone = {model: one.importance.loc[("squared", "alone", "n_atoms"), "value"] for model, one in found.items()}
    assert alone["custom"] > 3 * alone["default"]
    groups = {model: one.about["groups"][0] for model, one in found.items()}
    assert "distance" in groups["custom"]
    assert "distance" not in groups["default"]


def test_what_falls_with_size_are_the_worst_errors(qm9_molecules):
    """From the small to the large sizes: the worst hundredth falls by a third, the median by less than a quarter."""
    errors = error_sources.errors_by_seed(
        study.recorded(study.FinalComparisonParameters(), qm9_molecules)["default"]
    ).abs()
    n_atoms = pd.Series(qm9_molecules.n_atoms, qm9_molecules.index).loc[errors.index]
    small, large = (errors[n_atoms.between(*sizes)].to_numpy() for sizes in ((10, 14), (23, 25)))
    assert np.quantile(large, 0.99) < 0.67 * np.quantile(small, 0.99)
    assert np.median(large) > 0.75 * np.median(small)
