"""The baseline's figures and tables, on the committed records."""

import io
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from analysis import study
from analysis.data import statistics, thesis
from analysis.figures import baseline, social_card
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.records import Record

ROOT = Path(__file__).resolve().parents[2]
DRAWN = [baseline.learning_curves, baseline.error_by_size, baseline.error_by_element]
TABLES = [baseline.summary, baseline.size_table, baseline.element_table]
EACH_LANGUAGE = pytest.mark.parametrize("lang", ["ca", "en"])


@pytest.fixture(scope="module")
def records(qm9_molecules) -> list[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


def test_the_recorded_runs_are_five_seeds_on_one_split(records):
    assert [record.config.seed for record in records] == [0, 1, 2, 3, 4]
    assert len({record.about["split_fingerprint"] for record in records}) == 1
    assert all(record.about["git"]["clean"] for record in records)


@EACH_LANGUAGE
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_a_figure_is_the_same_picture_each_time(draw, lang, records):
    first = draw(records, lang=lang)
    assert first.png() == draw(records, lang=lang).png()


@EACH_LANGUAGE
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_table_is_text(table, lang, records):
    frame = table(records, lang=lang)
    assert frame.map(lambda cell: isinstance(cell, str)).all(axis=None)
    assert not frame.map(lambda cell: ("." if lang == "ca" else ",") in cell and "±" in cell).any(axis=None)


def test_the_size_curves_are_the_mean_over_seeds(records):
    axes = baseline.error_by_size(records, lang="en").axes[0]
    for line, protocol in zip(axes.lines, ("held_out", "as_reported"), strict=True):
        each = [protocols.mse(record.groups, "size")[protocol] for record in records]
        expected = np.mean([mse.reindex(thesis.COMMON_SIZES) for mse in each], axis=0)
        np.testing.assert_allclose(line.get_ydata(), expected)
        assert list(line.get_xdata()) == list(thesis.COMMON_SIZES)
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == [
        say("held-out molecules, the training set’s mean", "en"),
        say("the whole set, with its own mean", "en"),
    ]
    data = axes.figure.data
    np.testing.assert_allclose(data.groupby("n_atoms")["mse_as_reported_eV2"].mean(), axes.lines[1].get_ydata())
    assert data["run"].unique().tolist() == [record.id for record in records]
    assert data["held_out_molecules"].sum() < len(records) * 26_167


def test_the_element_figure_has_a_point_per_seed_rarest_element_last(records):
    axes = baseline.error_by_element(records, lang="ca").axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()][-1] == "F, fluor"
    assert len(axes.get_xticks()) == len(statistics.ELEMENTS)
    fluorine = [protocols.mse(record.groups, "element").loc["F", "as_reported"] for record in records]
    assert list(axes.lines[1].get_ydata()[-len(records) :]) == fluorine
    data = axes.figure.data
    assert data.loc[data["element"] == "F", "mse_as_reported_eV2"].tolist() == fluorine


def test_the_learning_curves_are_the_histories(records):
    axes = baseline.learning_curves(records, lang="en").axes[0]
    expected = [record.history[which] for which in ("train_loss", "validation_loss") for record in records]
    for line, curve in zip(axes.lines, expected, strict=True):
        np.testing.assert_allclose(line.get_ydata(), curve)
    assert axes.figure.data["validation_loss_eV2"].tolist() == [
        loss for curve in expected[len(records) :] for loss in curve
    ]


def test_the_summary_has_a_row_per_seed_and_their_mean(records):
    table = baseline.summary(records, lang="en")
    assert list(table["Run"][:-1]) == [record.id for record in records]
    mse = [np.mean(record.errors["error"].astype(float) ** 2) for record in records]
    assert list(table["MSE (eV²)"][:-1]) == [f"{value:.4f}" for value in mse]
    assert table["MSE (eV²)"].iloc[-1] == f"{np.mean(mse):.4f} ± {np.std(mse, ddof=1):.4f}"
    assert list(table["RMSE (meV)"][:-1]) == [f"{1000 * value**0.5:.0f}" for value in mse]
    assert baseline.summary(records[:1], lang="en")["MSE (eV²)"].iloc[-1] == f"{mse[0]:.4f}"


def test_the_tables_hold_both_protocols(records):
    table = baseline.size_table(records, lang="ca")
    assert list(table.index) == [str(size) for size in thesis.COMMON_SIZES]
    of_18 = [protocols.mse(record.groups, "size").loc[18] for record in records]
    own = [row["as_reported"] for row in of_18]
    expected = f"{np.mean(own):.3f} ± {np.std(own, ddof=1):.3f}".replace(".", ",")
    assert table.loc["18", "MSE, mitjana pròpia (eV²)"] == expected
    assert table.loc["18", "Reservades"] == f"{of_18[0]['molecules']:,.0f}".replace(",", ".")


def test_the_facts_of_the_prose(records):
    ca, en = (baseline.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (ca["runs"], ca["train"], en["train"]) == ("5", "104.664", "104,664")
    by_size = np.mean([protocols.mse(record.groups, "size")["as_reported"] for record in records], axis=0)
    sizes = protocols.mse(records[0].groups, "size").index
    shown = {size: mse for size, mse in zip(sizes, by_size, strict=True) if size in thesis.COMMON_SIZES}
    assert en["best_as_reported"] == str(min(shown, key=shown.get))
    assert en["span_as_reported"] == f"{max(shown.values()) / min(shown.values()):.0f}"


@pytest.mark.parametrize("page", ["notebooks/03_baseline.ipynb", "book/ca/baseline.md", "book/en/baseline.md"])
def test_a_page_shows_every_figure(page):
    book = jupytext.read(ROOT / page, fmt="ipynb" if page.endswith(".ipynb") else "md:myst")
    lang = "settings.lang" if page.endswith(".ipynb") else f'"{page.split("/")[1]}"'
    called = "\n".join(cell.source for cell in book.cells)
    assert all(
        re.search(rf"^(?:\w+ = )?baseline\.{draw.__name__}\(.*lang={lang}", called, re.MULTILINE) for draw in DRAWN
    )


@pytest.mark.parametrize("name", ["error-by-size", "error-by-size-ca", "social-card"])
def test_the_pictures_of_the_readme_the_landing_page_and_the_card_are_the_recorded_ones(records, name):
    lang = "ca" if name.endswith("-ca") else "en"
    figure = social_card.picture(records) if name == "social-card" else baseline.error_by_size(records, lang=lang)
    drawn = Image.open(io.BytesIO(figure.png())).convert("L")
    committed = Image.open(ROOT / "book" / "_static" / f"{name}.png").convert("L")
    shown = "".join((ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "_config.yml", "book/index.md"))
    assert f"{name}.png" in shown
    difference = np.abs(np.asarray(drawn, float) - np.asarray(committed, float))
    assert difference.mean() < 0.5, "run `make notebooks`"


def test_the_card_has_the_size_that_sites_ask_for_and_both_titles(records):
    figure = social_card.picture(records)
    with Image.open(io.BytesIO(figure.png())) as image:
        assert image.size == social_card.SIZE
    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    title = "Neural network potentials on QM9: a thesis reproduced and put to the test"
    assert all(say(title, lang) in texts for lang in LANGUAGES)
