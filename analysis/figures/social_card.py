"""The picture that other sites show for a link to the book, in both languages at once."""

from collections.abc import Sequence

from analysis.data import thesis
from analysis.figures import baseline, style
from analysis.figures.words import LANGUAGES, mark, say
from analysis.runs.records import Record

SIZE = (1200, 630)
"""Width and height in pixels: what Open Graph and Twitter ask for."""
_TITLE = "SchNet · QM9"


def picture(records: Sequence[Record]) -> style.BookFigure:
    """The book's title over the baseline's error by number of atoms, under both protocols."""
    title = mark("Neural network potentials on QM9: a thesis reproduced and put to the test")
    titles = [say(title, lang) for lang in LANGUAGES]
    data = baseline.mse_of_runs(records, "size", thesis.COMMON_SIZES)
    width, height = (pixels / style.DPI for pixels in SIZE)
    with style.figure("\n".join([_TITLE, *titles]), data, width=width, height=height) as figure:
        upper, lower = figure.subfigures(2, height_ratios=[5, 6])
        upper.text(0.04, 0.62, _TITLE, fontsize=19, fontweight="bold", va="center")
        upper.text(0.04, 0.2, "\n".join(titles), fontsize=7.6, linespacing=1.5, va="center")
        axes = lower.subplots()
        for protocol, (colour, marker) in baseline.PROTOCOLS.items():
            means = baseline.by_seed(records, "size", protocol).reindex(thesis.COMMON_SIZES).dropna()
            axes.plot(means.mean(axis=1), f"{marker}-", color=colour, markersize=3.5)
        style.log_axis(axes, "en")
        axes.set_axis_off()
    return figure
