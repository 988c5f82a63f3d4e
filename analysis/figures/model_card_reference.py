"""What `predict` says of the molecules of G2, beside B3LYP as QM9 computed it."""

import numpy as np
import pandas as pd

from analysis.evaluation.reference import Reference, computed, inside
from analysis.figures import style
from analysis.figures.words import mark, messages, say

TEN = ("CO", "N2", "HF", "H2O2", "N2H4", "C2H4", "H2CF2", "H3CNH2", "HCOOH", "CH3NO2")
"""Molecules that QM9 lacks, for the table; one that is not computed yet is left out."""
LARGE = 0.3
"""eV: an error that no user may meet without a word."""
_FATES = messages({"inside": "in its interval", "off": "not in its interval", "refused": "refused"})
_LOOKS = {"inside": (style.BLUE, "o"), "off": (style.BLACK, "X"), "refused": (style.ORANGE, "s")}


def fates(compared: pd.DataFrame) -> pd.Series:
    """Of each molecule "inside" its interval, "off", or "refused"."""
    answered = np.where(inside(compared), "inside", "off")
    return pd.Series(np.where(compared["refused"] != "", "refused", answered), index=compared.index)


def facts(compared: pd.DataFrame, reference: Reference, *, lang: str) -> dict[str, str]:
    """The numbers that the book's prose quotes; the same keys in both languages.

    `whole` and `known`, molecules of G2, and those with a reference; of these `lacking`, which QM9 lacks. Of the ones
    lacking, `refused`, and `answered`, of which `held` lie in their interval; `large`, of all, those that are missed by
    more than `LARGE`, of which `large_refused` are refused and `large_off` lie outside an interval that was given.
    """
    strange = computed(compared)
    fate, every = fates(strange), fates(compared)
    large = compared["error_eV"].abs() > LARGE
    counts = {
        "whole": len(reference.molecules) + len(reference.missing),
        "known": len(compared),
        "lacking": len(strange),
        "refused": (fate == "refused").sum(),
        "answered": (fate != "refused").sum(),
        "held": (fate == "inside").sum(),
        "large": large.sum(),
        "large_refused": (large & (every == "refused")).sum(),
        "large_off": (large & (every == "off")).sum(),
    }
    return {key: style.number(int(value), lang) for key, value in counts.items()} | {
        "limit": style.number(LARGE, lang, 1)
    }


def ten(compared: pd.DataFrame, *, lang: str) -> style.WordTable:
    """A row per molecule of `TEN`: U0 by B3LYP and predicted, their difference, the spread, and what `predict` does."""
    by_name = compared.set_index("molecule")
    fate, rows = fates(by_name), {}
    for name in (name for name in TEN if name in by_name.index):
        row = by_name.loc[name]
        rows[name] = {
            say("By B3LYP (eV)", lang): style.number(row["U0_eV"], lang, 3),
            say("Predicted (eV)", lang): style.number(row["predicted_eV"], lang, 3),
            say("Predicted − B3LYP (meV)", lang): style.number(style.MEV * row["error_eV"], lang),
            say("Spread (meV)", lang): style.number(style.MEV * row["spread_eV"], lang),
            say("Answer", lang): say(_FATES[fate[name]], lang),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Molecule of G2", lang))


def errors(compared: pd.DataFrame, *, runs: list[str], lang: str) -> style.BookFigure:
    """The error of each molecule of G2, those that QM9 holds beside those that it lacks; the interval as a bar."""
    alt = mark(
        "Two plots with the error of each small molecule in order, on a scale that is linear around zero and "
        "logarithmic beyond: most molecules that the database holds lie near zero, in their intervals; those that it "
        "lacks lie far from it, and the largest errors are drawn as refused."
    )
    shown = compared.dropna(subset=["predicted_eV"])
    shown = shown.assign(fate=fates(shown), held=shown["source"] == "QM9").sort_values(["held", "error_eV"])
    data = pd.DataFrame(
        {
            "molecule": shown["molecule"],
            "in_qm9": shown["held"],
            "part": shown["part"],
            "error_meV": (style.MEV * shown["error_eV"]).round(1),
            "interval_from_meV": (style.MEV * (shown["predicted_eV"] - shown["high_eV"])).round(1),
            "interval_to_meV": (style.MEV * (shown["predicted_eV"] - shown["low_eV"])).round(1),
            "fate": shown["fate"],
            "run": " ".join(runs),
        }
    ).reset_index(drop=True)
    with style.figure(say(alt, lang), data, height=3.8) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        titles = (say("QM9 holds them", lang), say("QM9 lacks them", lang))
        for axes, held, title in zip(panels, (True, False), titles, strict=True):
            of_panel = data[data["in_qm9"] == held].reset_index(drop=True)
            axes.axhline(0, color=style.BLACK, linewidth=0.8)
            axes.vlines(
                of_panel.index,
                of_panel["interval_from_meV"],
                of_panel["interval_to_meV"],
                color=style.GREY,
                linewidth=3,
            )
            for fate, (colour, marker) in _LOOKS.items():
                chosen = of_panel[of_panel["fate"] == fate]
                axes.plot(
                    chosen.index, chosen["error_meV"], marker, color=colour, markersize=4, label=say(_FATES[fate], lang)
                )
            axes.set_yscale("symlog", linthresh=10)
            axes.yaxis.set_major_formatter(style.number_axis(lang))
            axes.set_xticks([])
            axes.set_title(title, fontsize=10)
        panels[0].set_ylabel(say("Predicted − B3LYP (meV)", lang))
        panels[1].legend(fontsize=8, loc="upper left")
        figure.supxlabel(say("Molecules of G2, by error", lang), fontsize=11)
    return figure
