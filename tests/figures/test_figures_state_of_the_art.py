import base64
import inspect
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

import jupytext
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import _pylab_helpers
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from analysis.data import statistics
from analysis.figures import introduction, style
from analysis.figures import state_of_the_art as figures
from analysis.figures.words import LANGUAGES
from analysis.study import parameters

ROOT = Path(__file__).resolve().parents[2]
DRAWN = [figures.size_histogram, figures.common_sizes, figures.element_size_heatmap, figures.composition]
TABLES = [figures.element_table, figures.size_shift_table, figures.correlation_table]
EACH_LANGUAGE = pytest.mark.parametrize("lang", ["ca", "en"])
EACH_FIGURE = pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)

SHARP = 200  # dots per inch
PAPER_WIDTH = 6.7  # inches: A4 between its margins
PHONE_WIDTH = 360  # px
SMALLEST_TEXT = 8  # px


def watched[T](draw: Callable[[], T]) -> tuple[T, list[Text]]:
    """What is drawn, and its texts: a figure holds others, such as ticks outside its limits."""
    write = RendererAgg.draw_text
    with mock.patch.object(RendererAgg, "draw_text", autospec=True, side_effect=write) as draw_text:
        result = draw()
    return result, [call.kwargs.get("mtext") or call.args[-1] for call in draw_text.call_args_list]


def shown(figure: style.BookFigure) -> list[Text]:
    """The texts of a figure that are drawn."""
    return watched(figure.png)[1]


def assert_readable(figure: style.BookFigure, texts: list[Text] | None = None) -> None:
    """Its words are within it, and large enough on a phone; `texts` are those that are drawn unless given."""
    texts = shown(figure) if texts is None else texts
    assert len(texts) > 10
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= figure.bbox.height + 1, text
        assert text.get_fontsize() / 72 * PHONE_WIDTH / style.WIDTH >= SMALLEST_TEXT, text


@dataclass(frozen=True)
class Drawn:
    """A figure drawn once for all that is asked of it."""

    figure: style.BookFigure
    bundle: tuple[dict, dict]
    texts: list[Text]

    @property
    def picture(self) -> bytes:
        return base64.b64decode(self.bundle[0]["image/png"])


@pytest.fixture(scope="module")
def drawn(qm9_molecules) -> Callable[[Callable, str], Drawn]:
    @cache
    def draw_once(draw: Callable, lang: str) -> Drawn:
        figure = draw(qm9_molecules, lang=lang)
        return Drawn(figure, *watched(figure._repr_mimebundle_))

    return draw_once


# ---- words


@pytest.mark.parametrize("lang", ["es", "EN", "", "ca-ES"])
@pytest.mark.parametrize("draw", [*DRAWN, *TABLES, figures.census_facts], ids=lambda draw: draw.__name__)
def test_another_language_is_refused(draw, lang, few_molecules):
    with pytest.raises(ValueError, match=rf"lang = '{lang}': .*'ca' .*'en'"):
        draw(few_molecules, lang=lang)


def test_every_figure_is_tested():
    names = {
        name
        for name, function in inspect.getmembers(figures, inspect.isfunction)
        if inspect.signature(function).return_annotation is style.BookFigure
    }
    elsewhere = {"beside_ours"}  # in `test_figures_published`
    assert names == {draw.__name__ for draw in DRAWN} | elsewhere


# ---- numbers


@pytest.mark.parametrize(
    ("value", "decimals", "ca", "en"),
    [
        (130_831, 0, "130.831", "130,831"),
        (0.85, 2, "0,85", "0.85"),
        (-1234.5, 1, "−1.234,5", "−1,234.5"),
        (0, 0, "0", "0"),
        (math.nan, 2, "–", "–"),
    ],
)
def test_a_number_is_written_as_the_language_writes_it(value, decimals, ca, en):
    assert style.number(value, "ca", decimals) == ca
    assert style.number(value, "en", decimals) == en


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.integers(0, 6), st.sampled_from(["ca", "en"]))
def test_a_written_number_reads_back(value, decimals, lang):
    point, thousands = (",", ".") if lang == "ca" else (".", ",")
    written = style.number(value, lang, decimals).replace(thousands, "").replace(point, ".").replace("−", "-")
    half = 0.5 * 10.0**-decimals
    assert float(written) == pytest.approx(value, abs=half + 1e-12 * max(half, abs(value)))  # a tie is half a unit off


@pytest.mark.parametrize(
    ("share", "ca", "en"),
    [(0.01, "1\xa0%", "1%"), (0.07, "7\xa0%", "7%"), (0.0025, "0,25\xa0%", "0.25%"), (0.1, "10\xa0%", "10%")],
)
def test_a_threshold_has_the_decimals_that_it_needs(share, ca, en):
    assert style.threshold(share, "ca") == ca
    assert style.threshold(share, "en") == en


@pytest.mark.parametrize(
    ("integers", "ca", "en"),
    [
        ([*range(12, 24), 25], "12–23 i 25", "12–23 and 25"),
        ([24, 11, 10], "10, 11 i 24", "10, 11 and 24"),
        ([17, 19, 18], "17–19", "17–19"),
        ([3], "3", "3"),
        ([], "", ""),
    ],
)
def test_ranges(integers, ca, en):
    assert style.ranges(integers, "ca") == ca
    assert style.ranges(integers, "en") == en


@settings(deadline=None)
@given(st.sets(st.integers(1, 60)))
def test_ranges_lose_no_integer(integers):
    found = set()
    for part in re.split(r", | and ", style.ranges(integers, "en")):
        ends = [int(end) for end in part.split("–") if end]
        found |= set(range(ends[0], ends[-1] + 1)) if ends else set()
    assert found == integers


# ---- figures


@EACH_LANGUAGE
@EACH_FIGURE
def test_a_figure_is_a_small_png_with_its_alternative_text(draw, lang, drawn, qm9_molecules):
    once = drawn(draw, lang)
    data, metadata = once.bundle
    assert data["text/plain"] == metadata["image/png"]["alt"] == once.figure.alt
    assert len(once.picture) < 150_000
    with Image.open(io.BytesIO(once.picture)) as image:
        assert image.format == "PNG"
        assert image.width >= SHARP * PAPER_WIDTH
    assert draw(qm9_molecules, lang=lang).png() == once.picture


@EACH_FIGURE
def test_a_figures_picture_carries_its_data_the_same_in_both_languages(draw, drawn):
    catalan, english = (drawn(draw, lang).figure for lang in LANGUAGES)
    assert catalan.csv() == english.csv()
    with Image.open(io.BytesIO(drawn(draw, "ca").picture)) as image:
        assert image.text == {style.DATA_CHUNK: catalan.csv()}
    read = pd.read_csv(io.StringIO(catalan.csv()))
    assert read.columns.tolist() == catalan.data.columns.tolist()
    pd.testing.assert_frame_equal(read, catalan.data, check_dtype=False, rtol=1e-5)


def test_a_drawing_carries_no_data():
    with style.figure("a drawing", None) as figure:
        figure.text(0.5, 0.5, "A")
    assert figure.csv() == ""
    with Image.open(io.BytesIO(figure.png())) as image:
        assert image.text == {}


def test_the_data_of_the_census_are_what_is_drawn(drawn, qm9_molecules):
    counts = statistics.size_counts(qm9_molecules)["molecules"]
    histogram = drawn(figures.size_histogram, "ca").figure.data.set_index("n_atoms")
    assert histogram["molecules"].to_dict() == counts.to_dict()
    assert histogram.index[histogram["above_threshold"]].tolist() == [*range(12, 24), 25]
    shares = drawn(figures.element_size_heatmap, "ca").figure.data
    assert shares.groupby("element")["share_of_row"].sum().to_dict() == pytest.approx(
        dict.fromkeys(["all", *"HCNOF"], 1)
    )
    composition = drawn(figures.composition, "ca").figure.data
    assert composition["molecules"].sum() == len(qm9_molecules)
    assert composition.groupby("n_atoms")["hydrogen_share_mean"].nunique().max() == 1


@EACH_LANGUAGE
@EACH_FIGURE
def test_every_text_is_inside_the_picture_and_readable_on_a_phone(draw, lang, drawn):
    once = drawn(draw, lang)
    assert_readable(once.figure, once.texts)


@EACH_FIGURE
def test_the_two_languages_share_no_word(draw, drawn):
    """A word that is in both would be one that was typed into the figure."""
    words = [
        {word for text in drawn(draw, lang).texts for word in re.findall(r"[^\W\d_]{2,}", text.get_text())}
        for lang in LANGUAGES
    ]
    assert all(words)
    assert not words[0] & words[1] - {"normal"}


@EACH_FIGURE
def test_drawing_leaves_no_trace_and_ignores_the_readers_settings(draw, few_molecules):
    before = dict(mpl.rcParams)
    plain = draw(few_molecules, lang="ca").png()
    assert dict(mpl.rcParams) == before
    assert not _pylab_helpers.Gcf.figs
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "figure.figsize": (2, 2)}):
        assert draw(few_molecules, lang="ca").png() == plain


@EACH_FIGURE
def test_figures_draw_any_set_of_molecules(draw, qm9_molecules):
    assert draw(qm9_molecules.select(np.arange(12)), lang="en").png()


def test_the_histogram_is_the_census(qm9_molecules):
    figure = figures.size_histogram(qm9_molecules, lang="ca", share=0.05)
    (axes,) = figure.axes
    bars = {round(bar.get_x() + bar.get_width() / 2): bar for bar in axes.patches}
    counts = statistics.size_counts(qm9_molecules)
    assert {size: bar.get_height() for size, bar in bars.items()} == counts["molecules"].to_dict()
    colours = {size: to_hex(bar.get_facecolor()).upper() for size, bar in bars.items()}
    assert {size for size, colour in colours.items() if colour == style.BLUE} == {14, 15, 16, 17, 18, 19, 20, 21}
    assert {colour for size, colour in colours.items() if not 14 <= size <= 21} == {style.VERMILION}
    assert axes.lines[0].get_ydata() == pytest.approx(statistics.normal_counts(qm9_molecules).to_numpy())
    assert {"5.000", "Nombre d’àtoms", "> 5\xa0%", "≤ 5\xa0%"} <= {text.get_text() for text in shown(figure)}


def test_the_sizes_on_which_thesis_and_count_disagree_carry_their_number(drawn):
    figure = drawn(figures.common_sizes, "en").figure
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["10", "11", "24"]
    line, above, below = axes.lines
    assert line.get_ydata() == pytest.approx([1308.31] * 2)
    assert (above.get_ydata() > 1308.31).all()
    assert (below.get_ydata() <= 1308.31).all()
    assert sorted([*above.get_xdata(), *below.get_xdata()]) == [*range(3, 28), 29]
    assert axes.get_yscale() == "log"


def test_the_heat_map_has_a_row_per_element_and_the_whole_databases_on_top(drawn, qm9_molecules):
    once = drawn(figures.element_size_heatmap, "ca")
    axes = once.figure.axes[0]
    cells = axes.collections[0].get_array().filled(0).reshape(6, -1)
    assert cells.sum(axis=1) == pytest.approx(np.ones(6))
    assert cells[0] == pytest.approx(statistics.size_counts(qm9_molecules)["share"].to_numpy())
    assert cells[5].argmax() + 3 == 14
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Totes", "H", "C", "N", "O", "F"]
    assert axes.yaxis_inverted()
    marks = axes.lines[-1].get_xdata()
    assert marks == pytest.approx([qm9_molecules.n_atoms.mean(), *statistics.size_shift(qm9_molecules)["mean_with"]])
    assert {"18,0", "13,5"} <= {text.get_text() for text in once.texts}


def test_the_composition_figure_is_the_census(drawn, qm9_molecules):
    upper, lower, _ = drawn(figures.composition, "ca").figure.axes
    table = statistics.composition_by_size(qm9_molecules)
    for axes, quantity in ((upper, "heavy_atoms"), (lower, "hydrogen_share")):
        assert axes.lines[0].get_ydata() == pytest.approx(table[f"{quantity}_mean"].to_numpy(), nan_ok=True)
    cells = upper.collections[0].get_array().filled(0).reshape(10, -1)
    assert cells.sum() == len(qm9_molecules)


# ---- tables, facts, parameters


def test_table_1_stands_beside_the_report(qm9_molecules):
    table = figures.element_table(qm9_molecules, lang="ca")
    assert table.loc["F, fluor"].tolist() == ["1.923", "128.908", "0,015", "0,02"]
    assert table.loc["H, hidrogen"].tolist() == ["130.789", "42", "1,000", "1,00"]
    english = figures.element_table(qm9_molecules, lang="en")
    assert english.loc["N, nitrogen"].tolist() == ["79,879", "50,952", "0.611", "0.62"]
    assert table.columns.name == english.columns.name == "Element"


def test_the_tables_of_shifts_and_correlations(qm9_molecules):
    shifts = figures.size_shift_table(qm9_molecules, lang="en")
    assert shifts.loc["F, fluorine"].tolist() == ["13.5", "18.1", "0.652"]
    correlations = figures.correlation_table(qm9_molecules, lang="ca")
    assert correlations.iloc[:, 0].to_dict() == {
        "Àtoms pesants": "0,29",
        "Hidrògens": "0,99",
        "Proporció d’hidrogen": "0,93",
    }


@EACH_LANGUAGE
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_table_is_text_and_the_same_each_time(table, lang, few_molecules):
    frame = table(few_molecules, lang=lang)
    assert frame.map(lambda cell: isinstance(cell, str)).all(axis=None)
    assert frame._repr_html_() == table(few_molecules, lang=lang)._repr_html_()


def test_the_facts_of_the_prose(qm9_molecules):
    ca, en = (figures.census_facts(qm9_molecules, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (ca["molecules"], en["molecules"]) == ("130.831", "130,831")
    assert (ca["smallest"], ca["largest"], ca["empty"]) == ("3", "29", "28")
    assert (ca["common"], en["common"]) == ("12–23 i 25", "12–23 and 25")
    assert (ca["claimed"], ca["claimed_rare"]) == ("10–25", "10, 11 i 24")
    assert (ca["top_sizes"], ca["top_share"]) == ("17–19", "40\xa0%")
    assert (en["max_heavy"], en["max_heavy_share"]) == ("9", "83%")
    assert (en["first_common"], en["hydrogen_share_first"]) == ("12", "31%")
    assert (en["last_common"], en["hydrogen_share_last"]) == ("25", "64%")
    assert (ca["variation_F"], ca["variation_percent_F"]) == ("0,65", "65\xa0%")
    with pytest.raises(ValueError, match=r"no size makes up more than 0\.5"):
        figures.census_facts(qm9_molecules, lang="ca", share=0.5)


def test_the_facts_of_the_energy(qm9_molecules):
    ca, en = (introduction.facts(qm9_molecules, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (ca["example_u0"], en["example_atoms"], en["example_bound"]) == ("−1.101,5", "−1,084.3", "−17.2")
    assert (en["example_share"], ca["lowest"], ca["highest"]) == ("1.6%", "−19.444", "−1.101")
    assert (en["bound_mean"], en["bound_deviation"]) == ("−4.24", "0.19")
    with pytest.raises(ValueError, match="no molecule has the SMILES 'CCCCCCCCCCCC'"):
        introduction.facts(qm9_molecules, lang="ca", example="C" * 12)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"lang": "fr", "share": 0.01}, "lang = 'fr': .*'ca' or 'en'"),
        ({"lang": "ca", "share": 1.0}, r"share = 1\.0: .*between 0 and 1"),
        ({"lang": "ca", "share": "0.01"}, r"share = '0\.01'"),
        ({"lang": "ca", "shares": 0.01}, "unknown parameter 'shares'; this notebook takes lang, share"),
    ],
)
def test_the_notebooks_parameters_are_checked(given_, said):
    with pytest.raises(parameters.ParameterError, match=said):
        parameters.check(figures.CensusParameters, given_)


PAGES = ["notebooks/01_dataset.ipynb", "book/ca/state-of-the-art.md", "book/en/state-of-the-art.md"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_every_figure(page):
    book = jupytext.read(ROOT / page, fmt="ipynb" if page.endswith(".ipynb") else "md:myst")
    lang = "settings.lang" if page.endswith(".ipynb") else f'"{page.split("/")[1]}"'
    called = "\n".join(cell.source for cell in book.cells)
    assert all(f"state_of_the_art.{draw.__name__}(molecules, lang={lang}" in called for draw in DRAWN)
