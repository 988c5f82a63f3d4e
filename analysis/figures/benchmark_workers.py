"""How long the whole study takes with more workers, by the seconds of its records: a simulation, and what limits it.

A worker is a machine like the one that a record comes from. It takes the next run of the list as soon as it is free, as
`python -m analysis run` does; the list is in the command's order, or has the longest runs first.
"""

import heapq
import math
from collections.abc import Sequence

import pandas as pd

from analysis.figures import style
from analysis.figures.words import mark, say
from analysis.study import Status

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_HOUR = 3600.0  # s
_QUOTED = (4, 64, 256)  # numbers of workers


def recorded_seconds(found: Sequence[Status]) -> pd.Series:
    """How long each recorded run took, s, by its id, in their order; the preparation is in it."""
    outlines = [one.outline for one in found if one.outline is not None]
    seconds = [one.seconds + (one.about.get("preparation_seconds") or 0.0) for one in outlines]
    return pd.Series(seconds, index=[one.folder.name for one in outlines], dtype=float)


def time_with(workers: int, seconds: Sequence[float]) -> float:
    """When the last of the runs is done, s, each of which the first free worker takes."""
    free = [0.0] * workers
    for of_run in seconds:
        heapq.heapreplace(free, free[0] + of_run)
    return max(free)


def simulated(seconds: pd.Series) -> pd.DataFrame:
    """A row per number of workers: hours with the list as it is and with the longest runs first, and the least hours.

    The least is that of the longest run, or of all the work shared out evenly.
    """
    longest_first = seconds.sort_values(ascending=False)
    rows = [
        {
            "workers": workers,
            "listed_h": time_with(workers, seconds) / _HOUR,
            "longest_first_h": time_with(workers, longest_first) / _HOUR,
            "least_h": max(seconds.sum() / workers, seconds.max()) / _HOUR,
        }
        for workers in WORKERS
    ]
    return pd.DataFrame(rows)


def table(seconds: pd.Series, *, lang: str) -> pd.DataFrame:
    """A row per number of workers: hours, how many times faster than one, and how much of the time they are busy."""
    found = simulated(seconds).set_index("workers")
    alone = found["listed_h"].loc[1]
    rows = {
        style.number(workers, lang): {
            say("Hours", lang): style.number(row["listed_h"], lang, 1),
            say("Times as fast", lang): style.number(alone / row["listed_h"], lang, 1),
            say("Busy", lang): style.percent(alone / row["listed_h"] / workers, lang),
            say("Hours, longest runs first", lang): style.number(row["longest_first_h"], lang, 1),
            say("Least hours possible", lang): style.number(row["least_h"], lang, 1),
        }
        for workers, row in found.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Workers", lang))


def hours(seconds: pd.Series, *, lang: str) -> style.BookFigure:
    """Hours against workers, for both orders, and the longest run."""
    data = simulated(seconds)
    alt = mark(
        "Plot of the hours that the study takes against the number of workers, both on log scales: they halve as "
        "workers double, and level off at the length of the longest run."
    )
    with style.figure(say(alt, lang), data, height=4.0, legend=2) as figure:
        axes = figure.subplots()
        axes.plot(data["workers"], data["listed_h"], "o-", color=style.BLUE, label=say("In the list’s order", lang))
        axes.plot(
            data["workers"], data["longest_first_h"], "s--", color=style.ORANGE, label=say("Longest runs first", lang)
        )
        longest = seconds.max() / _HOUR
        axes.axhline(longest, color=style.BLACK, linestyle=":", linewidth=1, label=say("The longest run alone", lang))
        style.log_axis(axes, lang, "y", name=say("Hours", lang), ticks=(1.0, 2.0, 5.0))
        axes.set_xscale("log", base=2)
        axes.set_xticks(WORKERS)
        axes.xaxis.set_major_formatter(style.number_axis(lang))
        axes.set_xlabel(say("Workers", lang))
    return figure


def facts(seconds: pd.Series, *, lang: str) -> dict[str, str]:
    """Every number that the prose quotes; the same keys in both languages.

    `workers_enough` is from how many workers on the longest run takes longer than all the work shared out evenly, and
    `workers_hours_…` the hours with so many workers.
    """
    found = simulated(seconds).set_index("workers")
    return {
        "workers_runs": style.number(len(seconds), lang),
        "workers_total": style.number(seconds.sum() / _HOUR, lang, 1),
        "workers_longest": style.number(seconds.max() / 60, lang),
        "workers_enough": style.number(math.ceil(seconds.sum() / seconds.max()), lang),
    } | {f"workers_hours_{workers}": style.number(found["listed_h"][workers], lang, 1) for workers in _QUOTED}
