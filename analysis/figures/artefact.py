"""Figures and tables of the artefact: the error as reported, term by term."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.data import statistics, thesis
from analysis.evaluation import decomposition
from analysis.figures import baseline, final_comparison, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

SIZES = thesis.COMMON_SIZES

_TERMS = {
    "held_out": (style.BLUE, "o", mark("held-out molecules")),
    "offset": (style.VERMILION, "s", mark("offset term")),
    "cross": (style.PURPLE, "^", mark("cross term, absolute value")),
    "leakage": (style.GREEN, "D", mark("leakage, absolute value")),
}

_SHARES = messages({"held_out": "Held out", "leakage": "Leakage", "left_out": "Left out", "moved": "Offset"})


def decomposed(records: Sequence[Record], kind: str) -> pd.DataFrame:
    """`decomposition.decompose` of each seed, under each other: an index of seed and group."""
    parts = {record.config.seed: decomposition.decompose(record.groups, kind) for record in records}
    return pd.concat(parts, names=["seed", "group"])


def terms_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The terms of the error as reported by number of atoms, a plot for Default and one for Custom.

    Takes the records of the final comparison. Lines are means over seeds, bands reach over all of them; of terms that
    may be negative the absolute value is drawn, with a hollow marker where the mean is negative.
    """
    models = {say(final_comparison.NAMES[name], lang): of for name, of in final_comparison.by_model(records).items()}
    data = pd.concat([_terms_of_runs(of_model).assign(series=name) for name, of_model in models.items()])
    alt = mark(
        "Two plots by number of atoms on a log scale, one for Default and one for Custom, with a line per term of "
        "the error with the set’s own mean: the offset term makes a valley and the whole error clings to it nearly "
        "everywhere; the error of the held-out molecules falls gently and lies far below but for the bottom of the "
        "valley; leakage is the lowest line."
    )
    with style.figure(say(alt, lang), data, height=7.0) as figure:
        plots = figure.subplots(2, sharex=True, sharey=True)
        for axes, (name, of_model) in zip(plots, models.items(), strict=True):
            parts = decomposed(of_model, "size")
            _term(axes, parts["as_reported"], style.BLACK, "", say("error with the set’s own mean", lang), width=3.0)
            for term, (colour, marker, said) in _TERMS.items():
                _term(axes, parts[term], colour, marker, say(said, lang))
            axes.set_title(name, fontsize=11)
            style.log_axis(axes, lang, name=say("MSE (eV²)", lang), every=1)
            axes.set_ylim(bottom=3e-5)
        style.size_axis(plots[-1], lang)
        figure.legend(*plots[1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _terms_of_runs(records: Sequence[Record]) -> pd.DataFrame:
    """The terms of each run by size: the data of a figure."""

    def table(record: Record) -> pd.DataFrame:
        parts = decomposition.decompose(record.groups, "size").loc[list(SIZES)].rename_axis("n_atoms")
        units = {name: f"{name}_eV2" for name in parts if name not in ("molecules", "shift")}
        return parts.rename(columns=units | {"shift": "shift_eV_per_atom"}).reset_index()

    return baseline.of_runs(records, table)


def _term(axes: Axes, values: pd.Series, colour: str, marker: str, name: str, *, width: float = 1.5) -> None:
    table = pd.concat({seed: values.xs(seed) for seed in values.index.unique("seed")}, axis=1).loc[SIZES]
    table = table.where(table != 0)  # a term that a run lacks altogether
    if table.isna().all(axis=None):
        return
    mean, size = table.mean(axis=1), table.abs()
    axes.fill_between(table.index, size.min(axis=1), size.max(axis=1), color=colour, alpha=0.2, linewidth=0)
    axes.plot(mean.abs(), color=colour, linewidth=width, marker=marker, markersize=4.5, label=name)
    axes.plot(mean.abs()[mean < 0], color=colour, linestyle="", marker=marker, markersize=4.5, markerfacecolor="white")


def terms_table(records: Sequence[Record], *, lang: str, kind: str = "size") -> pd.DataFrame:
    """A row per size (or element): Δ, the error as reported, and which share of it each effect explains.

    Takes the records of one configuration; means over seeds. Negative shares are those of terms that lower the error.
    """
    shown = SIZES if kind == "size" else statistics.ELEMENTS
    mean = decomposed(records, kind).groupby(level="group").mean().loc[list(shown)]
    share = decomposition.shares(mean).round(3) + 0.0  # there is no −0.0 %
    columns = {
        say("Δ (meV per atom)", lang): [style.number(1000 * value, lang, 1) for value in mean["shift"]],
        say("MSE, own mean (eV²)", lang): [style.number(value, lang, 3) for value in mean["as_reported"]],
    }
    for effect, name in _SHARES.items():
        if effect != "left_out" or (mean["left_out"] != 0).any():
            columns[say(name, lang)] = [style.percent(value, lang, 1) for value in share[effect]]
    return baseline.by_group(columns, shown, kind, lang=lang)


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the terms quotes; the same keys in both languages.

    Takes the records of the final comparison; of Default and Custom, over the sizes that the report shows, means over
    seeds.

    `curve_…` is the share of the curve that the offset brings (both of its terms), `least_…` its smallest share of a
    size and `least_size_…` that size, `mostly_…` the sizes of which it brings nine tenths, `cross_…` the largest share
    that its cross term has of a size; `leak_…` the largest share that leakage has of a size, and `leak_errors_…` how
    many standard errors it reaches at most. `average_…` is the mean of the errors as reported of all sizes, weighted
    with their molecules, and `general_…` the error over held-out molecules (eV²). `fluorine` and `nitrogen` are the
    offset's shares of Default's error on the molecules with these elements.
    """
    found = {}
    models = final_comparison.by_model(records)
    for name, of_model in models.items():
        sizes = decomposed(of_model, "size").groupby(level="group").mean()
        shown = sizes.loc[list(SIZES)]
        share = decomposition.shares(shown)
        leak = decomposition.leakage_in_errors([r.groups for r in of_model], [r.errors for r in of_model])
        found |= {
            f"curve_{name}": style.percent(decomposition.share_of_curve(shown), lang, 1),
            f"least_{name}": style.percent(share["moved"].min(), lang),
            f"least_size_{name}": str(share["moved"].idxmin()),
            f"mostly_{name}": style.ranges(shown.index[share["moved"] >= 0.9], lang),
            f"cross_{name}": style.percent((shown["cross"].abs() / shown["as_reported"]).max(), lang),
            f"leak_{name}": style.percent(share["leakage"].abs().max(), lang, 1),
            f"leak_errors_{name}": style.number(leak[leak.index.isin(SIZES)].abs().max(), lang, 1),
            f"average_{name}": style.number(np.average(sizes["as_reported"], weights=sizes["molecules"]), lang, 2),
            f"general_{name}": style.number(float(np.mean(baseline.general(of_model))), lang, 3),
        }
    elements = decomposition.shares(decomposed(models["default"], "element").groupby(level="group").mean())["moved"]
    return found | {
        "fluorine": style.percent(elements["F"], lang, 1),
        "nitrogen": style.percent(elements["N"], lang, 1),
    }
