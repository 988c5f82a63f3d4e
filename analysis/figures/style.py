"""One look for every figure: colours, sizes, and numbers as each language writes them."""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from xml.sax.saxutils import escape

import matplotlib.style
import numpy as np
import pandas as pd
from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullFormatter
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from analysis.figures.words import check_language, say

# Okabe and Ito's palette, told apart by readers with any common colour blindness (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#767676"
COLOUR_MAP = "cividis"

# A page column is some 730 px wide and a phone 360: at this width 11 pt text is 18 px in the one and 9 px in the other.
WIDTH = 6.2  # inches
DPI = 240  # sharp on paper, where a page is 6.7 inches wide between its margins, and on screens with fine pixels

_RC = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: figures look the same on every machine
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.cmap": COLOUR_MAP,
}

MEV = 1000
"""meV per eV."""

DATA_CHUNK = "Data"
"""Keyword of the text chunk of a figure's PNG that holds the numbers behind it, as CSV."""

_UNSEEN = 10
"""Difference of 255 shades that no eye sees in the colour of a point."""

_LOCALES = {"ca": Locale("ca"), "en": Locale("en", "GB")}  # British lists: no comma before "and"


class BookFigure(Figure):
    """A figure that shows itself in Jupyter as a PNG, with its alternative text, and without pyplot.

    The PNG carries the numbers behind the figure, so that they go wherever the picture goes; the book's extension
    `figure_data` offers them for download and names their runs.
    """

    def __init__(self, *args: object, alt: str, data: pd.DataFrame | None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.alt = alt
        self.data = data

    def csv(self) -> str:
        """The numbers behind the figure, one row each; with a decimal point in every language."""
        return "" if self.data is None else _csv(self.data)

    def png(self) -> bytes:
        """The picture as a PNG file, the same bytes each time; its text chunk `DATA_CHUNK` holds `csv()`."""
        drawn, small, chunks = io.BytesIO(), io.BytesIO(), PngInfo()
        if self.data is not None:
            chunks.add_itxt(DATA_CHUNK, self.csv(), zip=True)
        with _look():
            self.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
        with Image.open(drawn) as picture:
            _in_few_colours(picture.convert("RGB")).save(small, "png", optimize=True, dpi=(DPI, DPI), pnginfo=chunks)
        return small.getvalue()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        picture = base64.b64encode(self.png()).decode("ascii")
        return {"image/png": picture, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def _in_few_colours(picture: Image.Image) -> Image.Image:
    """The picture with a palette of 256 colours, a third of the bytes; as it is if that would be seen."""
    found = picture.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    difference = ImageChops.difference(picture, found.convert("RGB"))
    return found if max(most for _, most in difference.getextrema()) <= _UNSEEN else picture


@dataclass(frozen=True)
class Drawings:
    """A picture that shows itself in Jupyter as SVG, with its alternative text.

    `svg` is plain ASCII, so that it reads the same in whatever encoding it is written to a file; `data` the numbers
    behind it, if there are any, which it carries as CSV in an element `metadata` whose id is `DATA_CHUNK`.
    """

    svg: str
    alt: str
    data: pd.DataFrame | None = None

    def picture(self) -> str:
        """The SVG with its data."""
        if self.data is None:
            return self.svg
        inside = escape(_csv(self.data)).encode("ascii", "xmlcharrefreplace").decode("ascii")
        return self.svg.replace("</svg>", f'<metadata id="{DATA_CHUNK}">{inside}</metadata></svg>')

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        return {"image/svg+xml": self.picture(), "text/plain": self.alt}, {"image/svg+xml": {"alt": self.alt}}


def _csv(data: pd.DataFrame) -> str:
    return data.to_csv(index=False, float_format="%.6g", lineterminator="\n")


class WordTable(pd.DataFrame):
    """A table whose cells hold words: Jupyter shows them whole, and the book wraps them (`book.css`).

    Numbers stay in one piece: no line ends at the sign of "0.03 ± 0.01" or after the dash of "20–25". Headings begin
    with a capital, whatever they are in figures, and stand in one row: the index's name is the first of them.
    """

    @property
    def _constructor(self) -> type["WordTable"]:
        return WordTable

    def _repr_html_(self) -> str:
        shown = self.rename(columns=lambda name: name[:1].upper() + name[1:])
        if shown.index.name:
            shown = shown.rename_axis(index=None, columns=shown.index.name)
        with pd.option_context("display.max_colwidth", None):
            html = shown.to_html(classes="words", border=0)
        html = html.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
        return re.sub(r"(?<=\d)–(?=\d)", "–\N{WORD JOINER}", html)


@contextmanager
def figure(
    alt: str, data: pd.DataFrame | None, *, height: float = 3.4, width: float = WIDTH, legend: int = 0
) -> Iterator[BookFigure]:
    """Draw a figure in the book's look, whatever the reader's own Matplotlib settings are.

    `alt` is its alternative text, in words that hold no number of the data. `data` is what it shows: a row per seed and
    point rather than means over seeds, plain numbers with their units in the columns' names, which are the same in
    every language, and a column `run` that says which run a row comes from; None only for a drawing that shows no data.
    `height` and `width` are in inches. A legend above the axes has `legend` columns and says each name once; 0: none.
    """
    with _look():
        drawn = BookFigure(figsize=(width, height), dpi=DPI, layout="constrained", alt=alt, data=data)
        yield drawn
        if legend:
            shown: dict[str, object] = {}
            for axes in drawn.axes:
                for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                    shown.setdefault(name, handle)
            drawn.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=legend)
        # Laid out once: the engine starts from its last result, so that each drawing would move things a little.
        drawn.draw_without_rendering()
        drawn.set_layout_engine("none")


def day(value: date, lang: str) -> str:
    """A date in words."""
    return format_date(value, "long", locale=_LOCALES[lang])


def number(value: float, lang: str, decimals: int = 0) -> str:
    """A number as the language writes it: 130.831 and 0,85 in Catalan, 130,831 and 0.85 in English."""
    check_language(lang)
    if not np.isfinite(value):
        return "–"
    rounded = Decimal(f"{value:.{decimals}f}")
    return format_decimal(rounded, f"#,##0.{'0' * decimals}", _LOCALES[lang]).replace("-", "−")


def plain_number(value: float, lang: str) -> str:
    """A round number with the decimals that it needs and no more: "30", "0,003"."""
    exact = Decimal(f"{value:.6g}").normalize()
    return number(value, lang, decimals=max(0, -int(exact.as_tuple().exponent)))


def percent(share: float, lang: str, decimals: int = 0) -> str:
    """A share (0 to 1) in per cent, as the language writes it: "1,5 %" and "1.5%"."""
    return number(100 * share, lang, decimals) + (_per_cent(lang) if np.isfinite(share) else "")


def threshold(share: float, lang: str) -> str:
    """A round share in per cent, with the decimals that it needs and no more: "1 %", "0,25 %"."""
    return plain_number(100 * share, lang) + _per_cent(lang)


def _per_cent(lang: str) -> str:
    return _LOCALES[lang].percent_formats[None].suffix[0]


def number_axis(lang: str, decimals: int = 0) -> FuncFormatter:
    """Tick labels through `number`."""
    return FuncFormatter(lambda value, _: number(value, lang, decimals))


def percent_axis(lang: str) -> FuncFormatter:
    """Tick labels through `percent`."""
    return FuncFormatter(lambda value, _: percent(value, lang))


def mean_and_deviation(values: Iterable[float], lang: str, decimals: int) -> str:
    """Mean ± standard deviation of a sample, as the language writes it; of one value, the value alone."""
    values = list(values)
    mean = number(float(np.mean(values)), lang, decimals)
    if len(values) < 2:
        return mean
    return f"{mean} ± {number(float(np.std(values, ddof=1)), lang, decimals)}"


def log_axis(
    axes: Axes, lang: str, which: str = "y", *, name: str = "", every: int = 0, ticks: Sequence[float] = (1.0, 3.0)
) -> None:
    """A logarithmic axis, "x" or "y", with `ticks` in each power of ten; or, if long, one in `every` so many powers."""
    axes.set(**{f"{which}scale": "log"} | ({f"{which}label": name} if name else {}))
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axis.set_major_locator(LogLocator(base=10.0**every) if every else LogLocator(subs=ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value, lang)))
    axis.set_minor_formatter(NullFormatter())


def size_axis(axes: Axes, lang: str, *, major: int = 2, minor: int | None = 1) -> None:
    """An x axis of numbers of atoms, with a number at each `major` one and a tick at each `minor` one."""
    axes.set_xlabel(say("Number of atoms", lang))
    axes.xaxis.set_major_locator(MultipleLocator(major))
    if minor:
        axes.xaxis.set_minor_locator(MultipleLocator(minor))


def band(axes: Axes, table: pd.DataFrame, *, alpha: float = 0.25, **look: object) -> None:
    """The mean of each row as a line, and a band from the least to the largest of its values: columns are seeds."""
    axes.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=look["color"], alpha=alpha, linewidth=0)
    axes.plot(table.mean(axis=1), **look)


def ranges(integers: Iterable[int], lang: str) -> str:
    """Integers in ascending order, runs of three and more shortened: "12–23 i 25", "10, 11 and 24"."""
    ordered = sorted(set(integers))
    runs = ([value for _, value in run] for _, run in groupby(enumerate(ordered), key=lambda item: item[1] - item[0]))
    parts = [
        part for run in runs for part in ([f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(value) for value in run])
    ]
    return listed(parts, lang)


def listed(parts: Sequence[str], lang: str) -> str:
    """A list as the language writes it: "a, b i c", "a, b and c"."""
    return format_list(parts, locale=_LOCALES[lang])


def _look() -> AbstractContextManager[None]:
    return matplotlib.style.context(["default", _RC])
