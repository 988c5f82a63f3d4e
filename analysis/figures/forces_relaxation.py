"""What relaxing on networks with forces is worth, where there is a SMILES alone: records of `evaluation.relaxation`."""

import numpy as np
import pandas as pd

from analysis.evaluation.relaxation import PLACES, WAYS, Answer, Relaxation, RelaxationLacking
from analysis.figures import style
from analysis.figures.model_card_reference import LARGE
from analysis.figures.words import mark, messages, say

DEMANDED = 30.0
"""meV: the mean absolute error that was demanded from SMILES."""
_LOOKS = {"conformer": (style.VERMILION, "--"), "relaxed": (style.BLUE, "-")}
_NAMES = messages({"conformer": "at the conformer", "relaxed": "relaxed on the networks"})
_PLACES = messages(
    {"reference": "B3LYP’s minimum (meV)", "conformer": "Conformer (meV)", "relaxed": "Relaxed on the networks (meV)"}
)


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


def lacking(record: RelaxationLacking, *, lang: str) -> style.WordTable:
    """A row per molecule that QM9 lacks: its error at each of `PLACES`, meV, with its interval or its refusal."""
    rows = {
        one.smiles: {say("Molecule of G2", lang): name.partition("_")[0]}
        | {say(_PLACES[place], lang): _told(one.answers[place], lang) for place in PLACES}
        for name, one in record.molecules.items()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("SMILES", lang))


def _told(answer: Answer, lang: str) -> str:
    if answer.error is None:
        return say("refused", lang)
    error = style.number(answer.error, lang)
    if answer.refused:
        return f"{error} ({say('refused', lang)})"
    return _with_ends(answer.error, answer.interval, lang) if answer.interval else error


def lacking_facts(record: RelaxationLacking, *, lang: str) -> dict[str, str]:
    """The numbers of the prose on molecules that QM9 lacks; the same keys in both languages.

    `lacking_whole` molecules, of which `lacking_answered_<way>` are answered, the worst off by
    `lacking_worst_conformer`, meV; `lacking_lost` have a number at the conformer and none relaxed, and of the
    `lacking_both` with both, relaxing brings `lacking_nearer` nearer. `lacking_large`, of all errors, those of more
    than `lacking_limit`, eV: at B3LYP's minima `lacking_large_reference`, refused `lacking_large_refused`.
    """
    every = [one.answers for one in record.molecules.values()]
    errors = pd.DataFrame([{place: answers[place].error for place in PLACES} for answers in every], dtype=float).abs()
    refused = pd.DataFrame([{place: bool(answers[place].refused) for place in PLACES} for answers in every])
    large = errors > style.MEV * LARGE
    both = errors[list(WAYS)].notna().all(axis=1)
    counts = {
        "whole": len(every),
        **{f"answered_{way}": (~refused[way]).sum() for way in WAYS},
        "worst_conformer": errors["conformer"][~refused["conformer"]].max(),
        "lost": (errors["conformer"].notna() & errors["relaxed"].isna()).sum(),
        "both": both.sum(),
        "nearer": (errors["relaxed"] < errors["conformer"]).sum(),
        "large": large.to_numpy().sum(),
        "large_reference": large["reference"].sum(),
        "large_refused": (large & refused).to_numpy().sum(),
    }
    found = {f"lacking_{key}": style.number(float(value), lang) for key, value in counts.items()}
    return found | {"lacking_limit": style.number(LARGE, lang, 1)}


def _with_ends(value: float, interval: tuple[float, float], lang: str) -> str:
    low, high = (style.number(end, lang) for end in interval)
    return f"{style.number(value, lang)} ({low} – {high})"
