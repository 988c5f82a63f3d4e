"""Groups of runs that differ in one thing, side by side: the error by size, and what sums it up.

A group's records are those of its seeds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.data import statistics, thesis
from analysis.figures import baseline, style
from analysis.figures.words import counted, messages, say
from analysis.runs import protocols
from analysis.runs.arms import DEFAULT, Arms
from analysis.runs.records import Record

SIDES = {"up_to": range(1, thesis.LARGE + 1), "above": range(thesis.LARGE + 1, statistics.LARGEST_SIZE + 1)}
"""The sizes up to 17, and those above."""
MSE = messages({"up_to": "MSE, up to {atoms} atoms (eV²)", "above": "MSE, more than {atoms} atoms (eV²)"})
COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
MARKERS = ("s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Group:
    """Records of one configuration, one per seed; its name as the language says it, and how it is drawn."""

    name: str
    records: Sequence[Record]
    colour: str
    marker: str
    line: str = "-"

    def __post_init__(self) -> None:
        if not self.records:
            raise ValueError(f"there is no record of {self.name!r}: nothing to compare")

    def draw(self, axes: Axes, protocol: str, **look: object) -> None:
        """MSE by number of atoms: the mean over seeds, and a band from the best to the worst."""
        table = baseline.by_seed(self.records, "size", protocol).reindex(thesis.COMMON_SIZES).dropna()
        look = {"color": self.colour, "marker": self.marker, "linestyle": self.line, "markersize": 4} | look
        style.band(axes, table, label=self.name, **look)


def of_baseline(records: Arms[Record], *, lang: str) -> Group:
    """The baseline's records among these."""
    return Group(say("the whole training part", lang), records[DEFAULT], style.BLACK, "o")


def with_baseline(records: Arms[Record], by_value: Mapping[int, Mapping[str, Group]], *, lang: str) -> list[Group]:
    """The baseline's group and every other, in order."""
    return [of_baseline(records, lang=lang), *(group for kinds in by_value.values() for group in kinds.values())]


def error_by_size(groups: Sequence[Group], *, alt: str, lang: str, columns: int = 2) -> style.BookFigure:
    """MSE by number of atoms, a plot per protocol and a line per group; bands reach from the best to the worst seed."""
    height = 5.9 + 0.24 * -(-len(groups) // columns)
    with style.figure(alt, mse_by_size(groups), height=height, legend=columns) as figure:
        plots = figure.subplots(2, sharex=True)
        for axes, protocol in zip(plots, baseline.PROTOCOLS, strict=True):
            for group in groups:
                group.draw(axes, protocol)
            axes.set_title(say(baseline.NAMES[protocol], lang), fontsize=11)
            style.log_axis(axes, lang, name=say("MSE (eV²)", lang))
        style.size_axis(plots[-1], lang)
    return figure


def mse_by_size(groups: Sequence[Group]) -> pd.DataFrame:
    """`baseline.mse_of_runs` of each group, for the sizes that the report shows."""
    return of_groups(groups, lambda group: baseline.mse_of_runs(group.records, "size", thesis.COMMON_SIZES))


def of_groups(groups: Sequence[Group], table: Callable[[Group], pd.DataFrame]) -> pd.DataFrame:
    """A table of each group, one below the other, with the group's name in front: the data behind a figure."""
    return pd.concat({group.name: table(group) for group in groups}, names=["series"]).reset_index("series")


def of_sizes(records: Sequence[Record], sizes: Collection[int], protocol: str = "held_out") -> list[float]:
    """MSE over the molecules of these sizes, taken as one set, eV², per seed; NaN if there are none."""
    return [float(protocols.mse_of_sizes(record.groups, sizes)[protocol]) for record in records]


def spread(records: Sequence[Record], protocol: str) -> list[float]:
    """How uneven the error is, per seed: the standard deviation over sizes of the decimal logarithm of the MSE."""
    table = np.log10(baseline.by_seed(records, "size", protocol).reindex(thesis.COMMON_SIZES).dropna())
    return table.std(axis=0, ddof=0).tolist()


def lower_at(group: Group, other: Group, protocol: str, sizes: Collection[int] = thesis.COMMON_SIZES) -> list[int]:
    """The sizes at which a group's mean MSE over seeds is below another's."""
    means = [baseline.by_seed(each.records, "size", protocol).mean(axis=1).reindex(sizes) for each in (group, other)]
    return means[0].index[means[0] < means[1]].tolist()


BETTER = messages(
    {
        "none": "is better at no size",
        "one": "is better at size {sizes}",
        "many": "is better at sizes {sizes}",
    }
)
FALLS = messages(
    {
        "none": "falls at no size",
        "one": "falls at size {sizes}",
        "many": "falls at sizes {sizes}",
    }
)
"""What is said of a group, and of its error, at the sizes of `lower_at`."""


def lower_in_words(
    group: Group,
    other: Group,
    protocol: str,
    lang: str,
    *,
    forms: Mapping[str, str] = BETTER,
    sizes: Collection[int] = thesis.COMMON_SIZES,
) -> str:
    """The predicate of a sentence: at which sizes a group's mean MSE over seeds is below another's."""
    found = lower_at(group, other, protocol, sizes)
    return counted(forms, len(found), lang, sizes=style.ranges(found, lang))


def better(group: Group, other: Group, protocol: str, lang: str) -> str:
    """The sizes of `lower_at`, as the language says them."""
    return style.ranges(lower_at(group, other, protocol), lang) or say("none", lang)


def of_both_sides(
    records: Sequence[Record], lang: str, decimals: int = 3, sides: Mapping[str, Collection[int]] = SIDES
) -> dict[str, str]:
    """MSE over held-out molecules up to 17 atoms and above, over seeds: cells of a table by their heading."""
    atoms = style.number(thesis.LARGE, lang)
    return {
        say(MSE[side], lang, atoms=atoms): style.mean_and_deviation(of_sizes(records, sizes), lang, decimals)
        for side, sizes in sides.items()
    }


def trained_on(records: Sequence[Record], lang: str) -> dict[str, str]:
    """Training molecules and epochs: cells of a table by their heading."""
    return {
        say("Molecules", lang): style.number(training_molecules(records), lang),
        say("Epochs", lang): style.number(records[0].config.training.epochs, lang),
    }


def training_molecules(records: Sequence[Record]) -> int:
    """How many molecules these runs trained on."""
    return int(records[0].about["molecules"]["train"])
