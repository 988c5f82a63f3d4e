"""Figures and tables of the balancing: at most so many molecules of each size, and the two controls of each cap.

Every function takes the records of `study.BalancingParameters`, the baseline's among them.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from analysis.figures import baseline, groups, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

KINDS = messages(
    {
        "capped": "at most {cap} per size",
        "random_same": "random, as many as with {cap}",
        "same_updates": "at most {cap}, same updates",
    }
)
"""The capped set; as many molecules drawn at random; the capped set with as many updates as the baseline."""

_SPREADS = messages({"held_out": "Spread, held out", "as_reported": "Spread, own mean"})


def by_cap(
    records: Arms[Record], *, lang: str, kinds: Collection[str] = ("capped",)
) -> dict[int, dict[str, groups.Group]]:
    """For each cap, in ascending order, the groups that there are of `KINDS`; those of `kinds` must be there."""
    found = {}
    for number, cap in enumerate(dict.fromkeys(arm.value for arm in records.of("cap"))):
        arms = (Arm("cap", cap), Arm("cap", cap, random=True), Arm("cap", cap, same_updates=True))
        look = groups.COLOURS[number % len(groups.COLOURS)], groups.MARKERS[number % len(groups.MARKERS)]
        found[cap] = {
            kind: groups.Group(say(KINDS[kind], lang, cap=style.number(cap, lang)), records[arm], *look, line)
            for kind, arm, line in zip(KINDS, arms, ("-", "--", ":"), strict=True)
            if arm in records or kind in kinds
        }
    return found


def capped_sizes(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Training molecules by number of atoms at each cap, over those of the whole part (Figure 5 of the report).

    Those of the first record of each set are counted: a cap leaves as many of each size whatever the seed.
    """
    shown = _capped(records, lang)
    data = groups.of_groups(
        shown, lambda group: baseline.of_runs(group.records[:1], lambda run: baseline.training_sizes(run).reset_index())
    )
    alt = mark(
        "A histogram of the training molecules by number of atoms for each cap, over that of the whole training "
        "part: the top is cut off at the height of the cap, and the sizes below it stay as they were."
    )
    with style.figure(say(alt, lang), data, height=1.5 * len(shown[1:]) + 1.1, legend=2) as figure:
        whole, *capped = shown
        plots = figure.subplots(len(capped), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, group in zip(plots, capped, strict=True):
            of_whole, of_capped = (baseline.training_sizes(each.records[0]) for each in (whole, group))
            axes.bar(of_whole.index, of_whole, color="#DDDDDD", label=whole.name if axes is plots[0] else None)
            axes.bar(of_capped.index, of_capped, color=group.colour, label=group.name)
            axes.yaxis.set_major_formatter(style.number_axis(lang))
            axes.yaxis.set_major_locator(MaxNLocator(4))
        plots[len(plots) // 2].set_ylabel(say("Molecules", lang))
        style.size_axis(plots[-1], lang, major=5, minor=None)
    return figure


def error_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of the baseline and of each capped set, a plot per protocol (Figure 6 of the report).

    Of the strictest cap also its controls, broken lines in its colour.
    """
    alt = mark(
        "Two plots of mean squared error by number of atoms on a log scale, one per protocol, with a line for the "
        "whole training part, one for each cap on the molecules per size, and broken lines for the controls of the "
        "strictest cap."
    )
    strictest, *_ = by_cap(records, lang=lang).values()
    controls = [group for kind, group in strictest.items() if kind != "capped"]
    return groups.error_by_size([*_capped(records, lang), *controls], alt=say(alt, lang), lang=lang)


def unevenness(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The spread of the error over sizes, a plot per protocol: a point per seed, a column per cap, a mark per kind."""
    looks = {
        "capped": (style.BLUE, "s", mark("capped set")),
        "random_same": (style.ORANGE, "o", mark("as many molecules, at random")),
        "same_updates": (style.GREEN, "^", mark("capped, as many updates as the baseline")),
    }
    whole, caps = groups.of_baseline(records, lang=lang), by_cap(records, lang=lang)
    data = groups.of_groups(groups.with_baseline(records, caps, lang=lang), _spreads)
    alt = mark(
        "Two plots, one per protocol, of the spread of the error over sizes by the cap on the molecules per size: a "
        "point per seed of the capped set and of its two controls, and a line and a band for the whole training "
        "part."
    )
    with style.figure(say(alt, lang), data, height=5.4, legend=2) as figure:
        plots = figure.subplots(2, sharex=True)
        for axes, protocol in zip(plots, baseline.PROTOCOLS, strict=True):
            of_all = groups.spread(whole.records, protocol)
            axes.axhspan(min(of_all), max(of_all), color=style.GREY, alpha=0.25, linewidth=0)
            axes.axhline(np.mean(of_all), color=style.GREY, label=whole.name)
            for kind, shift in zip(KINDS, (-0.2, 0, 0.2), strict=True):
                colour, marker, name = looks[kind]
                points = [
                    (place + shift, value)
                    for place, kinds in enumerate(caps.values())
                    if kind in kinds
                    for value in groups.spread(kinds[kind].records, protocol)
                ]
                look = {"color": colour, "marker": marker, "linestyle": "", "markersize": 6, "alpha": 0.8}
                axes.plot(*zip(*points, strict=True), label=say(name, lang), **look) if points else None
            axes.set_title(say(baseline.NAMES[protocol], lang), fontsize=11)
            axes.set_ylabel(say("Spread of log₁₀ MSE", lang))
            axes.yaxis.set_major_formatter(style.number_axis(lang, 2))
        plots[-1].set_xticks(range(len(caps)), [style.number(cap, lang) for cap in caps])
        plots[-1].set_xlabel(say("Cap on molecules per size", lang))
    return figure


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per training set: molecules, epochs, MSE over the held-out molecules, and the spread over sizes."""
    general = say("MSE, the whole 20% (eV²)", lang)
    rows = {
        group.name: groups.trained_on(group.records, lang)
        | {general: style.mean_and_deviation(baseline.general(group.records), lang, 3)}
        | {
            say(name, lang): style.mean_and_deviation(groups.spread(group.records, protocol), lang, 2)
            for protocol, name in _SPREADS.items()
        }
        for group in groups.with_baseline(records, by_cap(records, lang=lang), lang=lang)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Training set", lang))


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the balancing quotes; the same keys in both languages.

    They are about the lowest cap: `spread_…_…` is the unevenness by protocol, `better_…` the sizes at which the capped
    set has a smaller mean MSE than the baseline, by protocol, and than its random control, and (`longer`) at which it
    has one with the baseline's number of updates. `more_even` are the caps, of all, whose mean spread over held-out
    molecules is below that of their random control.
    """
    caps = by_cap(records, lang=lang, kinds=KINDS)
    more_even = [
        style.number(cap, lang)
        for cap, kinds in caps.items()
        if np.mean(groups.spread(kinds["capped"].records, "held_out"))
        < np.mean(groups.spread(kinds["random_same"].records, "held_out"))
    ]
    whole, (cap, kinds) = groups.of_baseline(records, lang=lang), next(iter(caps.items()))
    shown = {"whole": whole} | kinds
    found = {
        "seeds": style.number(len(kinds["capped"].records), lang),
        "cap": style.number(cap, lang),
        "caps": style.number(len(caps), lang),
        "train": style.number(groups.training_molecules(kinds["capped"].records), lang),
        "more_even": style.listed(more_even, lang) or say("none", lang),
        "epochs_same_updates": style.number(kinds["same_updates"].records[0].config.training.epochs, lang),
    }
    for name, group in shown.items():
        found[f"mse_{name}"] = style.mean_and_deviation(baseline.general(group.records), lang, 3)
        for protocol in baseline.PROTOCOLS:
            values = groups.spread(group.records, protocol)
            found[f"spread_{protocol}_{name}"] = style.mean_and_deviation(values, lang, 2)
    for protocol in baseline.PROTOCOLS:
        for name, other in {"whole": whole, "random_same": kinds["random_same"]}.items():
            found[f"better_{name}_{protocol}"] = groups.lower_in_words(kinds["capped"], other, protocol, lang)
        found[f"better_longer_{protocol}"] = groups.lower_in_words(kinds["same_updates"], whole, protocol, lang)
    return found


def _capped(records: Arms[Record], lang: str) -> list[groups.Group]:
    return [groups.of_baseline(records, lang=lang), *(each["capped"] for each in by_cap(records, lang=lang).values())]


def _spreads(group: groups.Group) -> pd.DataFrame:
    return baseline.of_runs(
        group.records,
        lambda record: (
            {"cap_per_size": [record.config.data.selection.cap_per_size]}
            | {f"spread_{protocol}": groups.spread([record], protocol) for protocol in baseline.PROTOCOLS}
        ),
    )
