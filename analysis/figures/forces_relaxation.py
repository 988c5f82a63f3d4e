"""What relaxing on networks with forces is worth, where there is a SMILES alone: `evaluation.relaxation.Relaxation`."""

import numpy as np
import pandas as pd

from analysis.evaluation.relaxation import WAYS, Relaxation
from analysis.figures import style
from analysis.figures.words import mark, messages, say

DEMANDED = 30.0
"""meV: the mean absolute error that was demanded from SMILES."""
_LOOKS = {"conformer": (style.VERMILION, "--"), "relaxed": (style.BLUE, "-")}
_NAMES = messages({"conformer": "at the conformer", "relaxed": "relaxed on the networks"})


def distribution(record: Relaxation, *, lang: str) -> style.BookFigure:
    """The share of the molecules that both ways answer whose absolute error is at most so large, a curve per way."""
    both = sorted(set.intersection(*(set(record.errors[way]) for way in WAYS)), key=int)
    errors = pd.DataFrame({way: [record.errors[way][index] for index in both] for way in WAYS}, index=both)
    data = errors.add_suffix("_error_meV").rename_axis("index").reset_index()
    alt = mark(
        "Share of the molecules with an absolute error up to each value, on a log scale: a rising curve for "
        "predictions at the conformer and one for those that were relaxed first, beside a dotted line for what was "
        "demanded."
    )
    runs = " ".join([*record.models, *record.relaxed_on])
    with style.figure(say(alt, lang), data.assign(run=runs), height=3.6, legend=1) as figure:
        axes = figure.subplots()
        for way in WAYS:
            colour, line = _LOOKS[way]
            sizes = np.sort(errors[way].abs())
            shares = np.arange(1, len(sizes) + 1) / len(sizes)
            axes.step(sizes, shares, line, where="post", color=colour, label=say(_NAMES[way], lang))
        demanded = say("demanded of the mean", lang)
        axes.axvline(DEMANDED, color=style.BLACK, linewidth=0.8, linestyle=":", label=demanded)
        axes.set_ylabel(say("Molecules", lang))
        axes.yaxis.set_major_formatter(style.percent_axis(lang))
        style.log_axis(axes, lang, "x", name=say("Absolute error of U0 (meV)", lang), ticks=(1.0, 3.0))
    return figure


def table(record: Relaxation, *, lang: str) -> style.WordTable:
    """A row per way: mean and median absolute error and mean error with their intervals, meV; how many it refuses."""
    rows = {}
    for way in WAYS:
        absolute, signed = record.absolute[way], record.signed[way]
        rows[say(_NAMES[way], lang)] = {
            say("MAE (meV)", lang): _with_ends(absolute.mean, absolute.mean_interval, lang),
            say("Median (meV)", lang): _with_ends(absolute.median, absolute.median_interval, lang),
            say("Mean error (meV)", lang): _with_ends(signed.mean, signed.mean_interval, lang),
            say("Refused", lang): style.number(len(record.refused[way]), lang),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Prediction", lang))


def facts(record: Relaxation, *, lang: str) -> dict[str, str]:
    """The numbers of the prose: `…_<way>` and `relaxing_change`, meV, with its interval; the same keys in both."""
    found = {
        "relaxing_compared": style.number(record.compared, lang),
        "relaxing_drawn": style.number(record.drawn, lang),
        "relaxing_demanded": style.number(DEMANDED, lang),
        "relaxing_seconds": style.number(record.seconds, lang, 1),
        "relaxing_change": _with_ends(record.change.mean, record.change.mean_interval, lang),
    }
    for way in WAYS:
        of_way = record.absolute[way], record.signed[way]
        found |= {
            f"relaxing_mae_{way}": style.number(of_way[0].mean, lang),
            f"relaxing_median_{way}": style.number(of_way[0].median, lang),
            f"relaxing_signed_{way}": style.number(of_way[1].mean, lang),
            f"relaxing_refused_{way}": style.number(len(record.refused[way]), lang),
        }
    return found


def _with_ends(value: float, interval: tuple[float, float], lang: str) -> str:
    low, high = (style.number(end, lang) for end in interval)
    return f"{style.number(value, lang)} ({low} – {high})"
