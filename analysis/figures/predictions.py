"""Figures and tables of what the data alone predict of the report's curves, beside the records and the report.

Functions that take molecules want, with them, the records of several experiments by the experiment's name, as
`replication` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from scipy import stats

from analysis.data import offsets, splits, statistics, thesis
from analysis.data.molecules import Molecules
from analysis.evaluation import decomposition
from analysis.evaluation.explanations import STATEMENTS
from analysis.figures import baseline, loss_modification, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.config import Selection
from analysis.runs.records import Record

SIZES = thesis.COMMON_SIZES

SELECTIONS = {
    "default": Selection(),
    "sizes_13_23": Selection(smallest=thesis.MODIFIED_SIZES[0], largest=thesis.MODIFIED_SIZES[1]),
    **{f"cap_{cap}": Selection(cap_per_size=cap) for cap in thesis.CAPS},
    "large": Selection(smallest=thesis.LARGE + 1),
    "custom": Selection(smallest=thesis.LARGE + 1),
}
"""What each experiment of the report trains on, by the name that it has here."""

COLUMNS = messages({"predicted": "data alone", "as_reported": "own mean", "held_out": "held-out molecules"})
"""What a statement of the report is set beside: the offset alone, and our records under both protocols."""

SPLITS = range(10)
"""Seeds of the splits over which a prediction is repeated: the report's own is not known."""

_SEEN = {
    "as_reported": {"color": style.BLACK, "marker": "o", "markerfacecolor": "none", "markersize": 5},
    "held_out": {"color": style.BLUE, "marker": ".", "markersize": 5},
}

_BELOW, _ABOVE = range(SIZES.start, thesis.CAP_HELPS_ABOVE), thesis.BETTER["cap"]  # as far as the report shows

_CASES = messages(
    {
        "default": "Default",
        "custom": "Custom",
        "cap": "at most {cap} per size",
        "in_order": "the first {cap} of each size",
        "sizes_13_23": "13 to 23 atoms",
        "large": "more than 17 atoms",
    }
)

_ROWS = messages(
    {
        "fig3_correlation": "Figure 3: correlation of frequency with error",
        "fig3_best": "Figure 3: size of the smallest error",
        "fig4_order": "Figure 4: elements, from worst to best",
        "fig6_cap": "Figure 6: sizes at which the strictest cap beats Default (at random)",
        "fig6_cap_change": "Figure 6: what each cap does to the error above 18 atoms (at random)",
        "fig6_in_order": "Figure 6: the sizes, with the database’s first ones",
        "fig6_in_order_change": "Figure 6: each cap, with the database’s first ones",
        "fig7": "Figure 7: best r, weights by size",
        "fig8": "Figure 8: best r, weights by size and frequency",
        "fig9_better": "Figure 9: sizes at which training on more than 17 atoms beats Default",
        "fig9_crossing": "Figure 9: where the curves cross",
        "fig10_better": "Figure 10: sizes at which Custom beats Default",
        "fig10_crossing": "Figure 10: where the curves cross",
        "best_sizes": "Size of the smallest error: caps of 2,000, 4,000 and 6,000, more than 17 atoms, Custom",
        "last_table": "Last table: Custom’s general error (eV²)",
    }
)

_STATED = messages(
    {
        "fig3_correlation": "Figure 3: the error falls as the frequency rises",
        "fig3_best": "Figure 3: the smallest error is at 17 to 19 atoms",
        "fig4_order": "Figure 4: F is the worst, then N, then O",
        "fig6_cap": "Figure 6: the cap of 2,000 is better at each size above 18 atoms",
        "fig6_cap_change": "Figure 6: of the caps, only that of 2,000 shows",
        "fig7": "Figure 7: r = 10 is the best, weights by size",
        "fig8": "Figure 8: r = 10 is the best, weights by size and frequency",
        "fig9_better": "Figure 9: large molecules alone are better above 19 atoms and worse below",
        "fig9_crossing": "Figure 9: the curves cross once, at 19 atoms",
        "fig10_better": "Figure 10: Custom is better above 19 atoms and worse below",
        "fig10_crossing": "Figure 10: the curves cross once, at 19 atoms",
        "last_table": "Last table: Custom has the larger general error",
    }
)

_EXPLANATIONS = messages(
    {
        "networks": "the networks",
        "updates": "the networks, as many updates",
        "weighted": "the networks, weights in the validation",
        "means": "the means",
        "in_order": "the means, caps in the database’s order",
    }
)

_SEEN_NAMES = messages({"as_reported": "records, own mean", "held_out": "records, held-out molecules"})


@dataclass(frozen=True)
class Case:
    """One curve of the report: its training mean (eV per atom) and the records that redo it, none if there are none."""

    name: str
    training_mean: float
    records: Sequence[Record]


def cases(records: Mapping[str, Arms[Record]], molecules: Molecules, *, lang: str) -> dict[str, Case]:
    """The report's curves by the keys of `SELECTIONS`, and `in_order_…`, whose caps keep a size's first molecules.

    The latter cap the whole database, as the report's Figure 5 does, and have no records.
    """
    of_case = {
        "default": records["final-comparison"][DEFAULT],
        "sizes_13_23": records["loss-modification"]["unweighted"],
        **{f"cap_{cap}": records["balancing"][Arm("cap", cap)] for cap in thesis.CAPS},
        "large": records["directed-training"][Arm("more than", thesis.LARGE)],
        "custom": records["final-comparison"][CUSTOM],
    }
    found = {
        key: Case(_name(key, lang), decomposition.training_mean(molecules, SELECTIONS[key]), of)
        for key, of in of_case.items()
    }
    for cap in thesis.CAPS:
        first = splits.first_per_size(molecules, cap)
        key = f"in_order_{cap}"
        found[key] = Case(_name(key, lang), offsets.fit(molecules, first).mean, ())
    return found


def predicted_curves(records: Mapping[str, Arms[Record]], molecules: Molecules, *, lang: str) -> style.BookFigure:
    """What the data alone predict, and what the records show, for every curve of the report: small multiples."""
    found, sets = cases(records, molecules, lang=lang), _sets(molecules)
    alt = mark(
        "Eight small plots on a log scale, one per curve of the report: a line for what the data predict, circles "
        "for the records with each set’s own mean and dots for the held-out molecules. The circles follow the line "
        "everywhere but at the bottom of each valley, where they stop at the height of the dots, which make no "
        "valley."
    )
    with style.figure(say(alt, lang), _curves_of_runs(found, sets), height=9.4) as figure:
        plots = figure.subplots(4, 2, sharey=True).ravel()
        _draw_elements(plots[1], found["default"].records, _curves(found, sets, "default", "element"), lang)
        of_sizes = [axes for number, axes in enumerate(plots) if number != 1]
        for axes, key in zip(of_sizes, SELECTIONS, strict=True):
            _draw_sizes(axes, found[key].records, _curves(found, sets, key), lang)
            if key.startswith("cap_"):
                first = _curves(found, sets, key.replace("cap", "in_order"))["predicted"]
                axes.plot(first, color=style.GREY, linestyle="--", label=say("the same, the first of each size", lang))
            axes.set_title(found[key].name, fontsize=10.5)
        for axes in plots:
            style.log_axis(axes, lang, every=1)
            axes.set_ylim(0.008, 120)
        for axes in plots[::2]:
            axes.set_ylabel(say("MSE (eV²)", lang))
        for axes in plots[-2:]:
            axes.set_xlabel(say("Number of atoms", lang))
        figure.legend(*plots[3].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _curves_of_runs(found: Mapping[str, Case], sets: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each run's error by size, and Default's by element, beside what the data alone predict: the data of a figure."""

    def table(key: str, kind: str, groups: Sequence) -> pd.DataFrame:
        rows = baseline.mse_of_runs(found[key].records, kind, groups).assign(series=found[key].name)
        group = rows["n_atoms" if kind == "size" else kind]
        rows["predicted_eV2"] = group.map(_curves(found, sets, key, kind)["predicted"])
        if key.startswith("cap_"):
            first = _curves(found, sets, key.replace("cap", "in_order"), kind)["predicted"]
            rows["predicted_in_order_eV2"] = group.map(first)
        return rows

    of_sizes = [table(key, "size", SIZES) for key in SELECTIONS]
    return pd.concat([*of_sizes, table("default", "element", statistics.ELEMENTS)], ignore_index=True)


def _draw_sizes(axes: Axes, records: Sequence[Record], curves: Mapping[str, pd.Series], lang: str) -> None:
    axes.plot(curves["predicted"], color=style.VERMILION, label=say("predicted from the data alone", lang))
    for protocol, look in _SEEN.items():
        table = baseline.by_seed(records, "size", protocol).loc[list(SIZES)]
        reach = np.abs(np.stack([table.min(axis=1), table.max(axis=1)]) - curves[protocol].to_numpy())
        axes.errorbar(SIZES, curves[protocol], reach, linestyle="", **look, label=say(_SEEN_NAMES[protocol], lang))
    axes.xaxis.set_major_locator(MultipleLocator(5))
    axes.xaxis.set_minor_locator(MultipleLocator(1))


def _draw_elements(axes: Axes, records: Sequence[Record], curves: Mapping[str, pd.Series], lang: str) -> None:
    order = baseline.by_frequency(records)
    places = np.arange(len(order))
    axes.plot(places, curves["predicted"][order], "_", color=style.VERMILION, markersize=18, markeredgewidth=2)
    for protocol, look in _SEEN.items():
        table = baseline.by_seed(records, "element", protocol).loc[order]
        axes.plot(np.repeat(places, table.shape[1]), table.to_numpy().ravel(), linestyle="", **look)
    axes.set_xticks(places, order)
    axes.set_title(say("Default, by element", lang), fontsize=10.5)


@dataclass(frozen=True)
class Statement:
    """A statement of the report beside what the data alone predict of it and what the records show, in words.

    `cells` has the words by column: "predicted", "as_reported", "held_out", those that there are. `agrees` says whether
    the prediction is what the report says; None where one of the two says nothing ("–" for the report).
    """

    key: str
    report: str
    cells: Mapping[str, str]
    agrees: bool | None


def predictions(records: Mapping[str, Arms[Record]], molecules: Molecules, *, lang: str) -> style.WordTable:
    """A row per statement of the report: what it says, what the data alone predict, and what the records show."""
    agrees = messages({True: "yes", False: "no", None: "they say nothing"})
    rows = {
        say(_ROWS[each.key], lang): {
            say("Thesis", lang): each.report,
            **{say(name, lang): each.cells.get(column, "–") for column, name in COLUMNS.items()},
            say("Do the data predict it?", lang): "–" if each.report == "–" else say(agrees[each.agrees], lang),
        }
        for each in statements(records, molecules, lang=lang)
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("What the report speaks of", lang))


def statements(records: Mapping[str, Arms[Record]], molecules: Molecules, *, lang: str) -> list[Statement]:
    """What the report says of its figures and its last table, in their order."""
    sets = _sets(molecules)
    found = cases(records, molecules, lang=lang)
    curves_of, tables_of = partial(_curves, found, sets), partial(_tables, found, sets)
    return [
        *_of_figures_3_and_4(curves_of, tables_of, sets, lang),
        *_of_figure_6(curves_of, tables_of, sets, lang),
        *_of_figures_7_and_8(records["loss-modification"], lang),
        *_of_figures_9_and_10(curves_of, tables_of, sets, lang),
        _of_best_sizes(curves_of),
        _of_the_last_table(curves_of, lang),
    ]


_Curves = Callable[..., dict[str, pd.Series]]
"""`_curves` of a case by its key and, if it isn't "size", the kind of sets."""
_Tables = Callable[..., dict[str, pd.DataFrame]]
"""`_tables` of a case likewise."""


def _of_figures_3_and_4(
    curves_of: _Curves, tables_of: _Tables, sets: Mapping[str, pd.DataFrame], lang: str
) -> list[Statement]:
    curves, elements = (curves_of("default", kind) for kind in ("size", "element"))
    frequency = sets["size"]["molecules"].loc[list(SIZES)]
    frequent = say("a frequent one ({sizes})", lang, sizes=style.ranges(thesis.FREQUENT_SIZES, lang))
    correlations = {
        column: style.number(np.mean([stats.spearmanr(frequency, table[seed]).statistic for seed in table]), lang, 2)
        for column, table in tables_of("default").items()
    }
    sizes = {column: str(curve.idxmin()) for column, curve in curves.items()}
    orders = {column: ", ".join(curve.sort_values(ascending=False).index) for column, curve in elements.items()}

    def true(key: str) -> bool:
        kind = STATEMENTS[key].kind
        return STATEMENTS[key].true_of(sets[kind]["molecules"], curves_of("default", kind)["predicted"])

    return [
        Statement(key, report, cells, true(key))
        for key, report, cells in (
            ("fig3_correlation", say("clear and inverse", lang), correlations),
            ("fig3_best", frequent, sizes),
            ("fig4_order", say("F, N, O, then H and C", lang), orders),
        )
    ]


def _of_figure_6(
    curves_of: _Curves, tables_of: _Tables, sets: Mapping[str, pd.DataFrame], lang: str
) -> list[Statement]:
    claimed, strictest = thesis.BETTER["cap"], thesis.CAPS[0]
    default, of_default = curves_of("default"), tables_of("default")
    said = []
    for draw in ("cap", "in_order"):
        curves = {cap: curves_of(f"{draw}_{cap}") for cap in thesis.CAPS}
        tables = {cap: tables_of(f"{draw}_{cap}") for cap in thesis.CAPS}
        better = {column: _below(table, of_default[column]) for column, table in tables[strictest].items()}
        change = {column: [_change(of[column], of_default[column]) for of in tables.values()] for column in better}
        alone = [curve["predicted"] for curve in curves.values()]
        visible, claimed_too = (
            STATEMENTS[key].true_of(sets["size"]["molecules"], *compared, default["predicted"])
            for key, compared in (("fig6_cap_change", alone), ("fig6_cap", alone[:1]))
        )
        sizes = {column: _sizes_in_words(found, lang) for column, found in better.items()}
        factors = {
            column: "; ".join(f"×\N{NO-BREAK SPACE}{style.number(value, lang, 2)}" for value in values)
            for column, values in change.items()
        }
        one = say("only that of {cap} shows, for the better", lang, cap=style.number(strictest, lang))
        said.append(Statement(f"fig6_{draw}", style.ranges(claimed, lang), sizes, claimed_too))
        said.append(Statement(f"fig6_{draw}_change", one, factors, visible))
    return said


def _of_figures_7_and_8(weighted: Arms[Record], lang: str) -> list[Statement]:
    said = []
    for figure, weighting in (("fig7", "size"), ("fig8", "size-frequency")):
        best = {p: loss_modification.best_rates(weighted, weighting, p)[0] for p in baseline.PROTOCOLS}
        cells = {protocol: style.plain_number(rate, lang) for protocol, rate in best.items()}
        cells["predicted"] = say("all the same", lang)
        said.append(Statement(figure, style.plain_number(thesis.BEST_RATE, lang), cells, None))
    return said


def _of_figures_9_and_10(
    curves_of: _Curves, tables_of: _Tables, sets: Mapping[str, pd.DataFrame], lang: str
) -> list[Statement]:
    default, of_default = curves_of("default"), tables_of("default")
    said = []
    for figure, case in ((9, "large"), (10, "custom")):
        curves = curves_of(case)
        pairs = {column: _paired(table, of_default[column]) for column, table in tables_of(case).items()}
        claimed = thesis.BETTER["directed" if case == "large" else "custom"]
        sizes = {column: _sizes_in_words(_below(*pair), lang) for column, pair in pairs.items()}
        places = {}
        for column, pair in pairs.items():
            crossings = decomposition.crossings(*(each.mean(axis=1) for each in pair))
            places[column] = ", ".join(style.number(size, lang, 1) for size in crossings) or say("none", lang)
        for what, report, cells in (
            ("better", style.ranges(claimed, lang), sizes),
            ("crossing", str(thesis.CROSSOVER), places),
        ):
            key = f"fig{figure}_{what}"
            alone = STATEMENTS[key].true_of(sets["size"]["molecules"], curves["predicted"], default["predicted"])
            said.append(Statement(key, report, cells, alone))
    return said


def _of_best_sizes(curves_of: _Curves) -> Statement:
    """Of the caps, in their order, the directed training and Custom: where their curves are lowest."""
    curves = [curves_of(key) for key in (*(f"cap_{cap}" for cap in thesis.CAPS), "large", "custom")]
    best = {column: "; ".join(str(each[column].idxmin()) for each in curves) for column in COLUMNS}
    return Statement("best_sizes", "–", best, None)


def _of_the_last_table(curves_of: _Curves, lang: str) -> Statement:
    whole = {column: float(curve["all"]) for column, curve in curves_of("custom", "all").items()}
    reported = thesis.MSE["custom"]
    cells = {column: style.number(value, lang, 4 if value < 1 else 2) for column, value in whole.items()}
    return Statement("last_table", style.number(reported, lang, 4), cells, whole["predicted"] <= reported)


def explained(scores: pd.DataFrame, *, lang: str) -> style.WordTable:
    """In which share of trainings each statement of the report is true, by explanation; below, the surprise in all.

    Takes `explanations.scores`. What an explanation was not asked has a dash, and so has its surprise then.
    """
    keys, names = (list(scores.index.unique(level)) for level in ("statement", "explanation"))
    pairs = scores.reindex(pd.MultiIndex.from_product([keys, names]))
    rows = {
        say(_STATED[key], lang): {
            say(_EXPLANATIONS[name], lang): "–" if np.isnan(share) else style.percent(share, lang)
            for name, share in pairs.loc[key, "share"].items()
        }
        for key in keys
    }
    rows[say("Surprise in all (bits)", lang)] = {
        say(_EXPLANATIONS[name], lang): style.number(pairs["surprise"].xs(name, level=1).sum(skipna=False), lang, 1)
        for name in names
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("What the report says", lang))


def explained_facts(scores: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Of `explanations.scores`: `bits_…` of each explanation, `share_…` of each statement and explanation.

    `fewest` and `most` are how many trainings a curve has.
    """
    trained = scores[scores["trainings"] > 1]["trainings"]
    bits = scores.groupby("explanation")["surprise"].sum()
    return {
        "fewest": style.number(trained.min(), lang),
        "most": style.number(trained.max(), lang),
        **{f"bits_{name}": style.number(value, lang, 1) for name, value in bits.items()},
        **{f"share_{key}_{name}": style.percent(value, lang) for (key, name), value in scores["share"].items()},
    }


def _sets(molecules: Molecules) -> dict[str, pd.DataFrame]:
    """`decomposition.sets_of` of every kind."""
    return {kind: decomposition.sets_of(molecules, kind) for kind in ("all", "size", "element")}


def _curves(
    found: Mapping[str, Case], sets: Mapping[str, pd.DataFrame], key: str, kind: str = "size"
) -> dict[str, pd.Series]:
    """The error of each set, eV², by column: the offset alone, and mean over seeds under both protocols if recorded."""
    return {column: table.mean(axis=1) for column, table in _tables(found, sets, key, kind).items()}


def _tables(
    found: Mapping[str, Case], sets: Mapping[str, pd.DataFrame], key: str, kind: str = "size"
) -> dict[str, pd.DataFrame]:
    """The same with a column per seed; the offset alone has one."""
    case = found[key]
    tables = {"predicted": decomposition.offset_of(sets[kind], case.training_mean).to_frame("none")}
    for protocol in baseline.PROTOCOLS if case.records else ():
        tables[protocol] = baseline.by_seed(case.records, kind, protocol)
    return {column: table.loc[list(SIZES)] if kind == "size" else table for column, table in tables.items()}


def _paired(one: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both with the seeds that both have: what seeds differ in must not decide which is better."""
    seeds = one.columns.intersection(other.columns)
    return one[seeds], other[seeds]


def _below(one: pd.DataFrame, other: pd.DataFrame) -> list[int]:
    """The sizes at which the mean of one, over the seeds of both, is below that of the other."""
    first, second = (each.mean(axis=1) for each in _paired(one, other))
    return first.index[first < second].tolist()


def _change(one: pd.DataFrame, other: pd.DataFrame, sizes: range = _ABOVE) -> float:
    """One curve over another, geometric mean over sizes and the seeds that both have, as the verdicts compare them."""
    first, second = _paired(one, other)
    return float(np.exp(np.log(first / second).loc[list(sizes)].to_numpy().mean()))


def _sizes_in_words(sizes: Sequence[int], lang: str) -> str:
    return style.ranges(sizes, lang) or say("none", lang)


def _name(key: str, lang: str) -> str:
    """A case in words; the number that its key ends in is a cap."""
    kind, _, number = key.rpartition("_")
    if kind in ("cap", "in_order"):
        return say(_CASES[kind], lang, cap=style.number(int(number), lang))
    return say(_CASES[key], lang)


def _facts_of_means(found: Mapping[str, Case], sets: Mapping[str, pd.DataFrame], lang: str) -> dict[str, str]:
    """Means per atom, eV: of training sets, of the size at which the report's curves cross, and half-way between two.

    `half_way` is between Default's and Custom's; `moved_…` how far a cap moves that of Default, in meV.
    `in_order_above` and `in_order_below` are what the strictest cap does to the offset term on either side of 18 atoms
    if it keeps each size's first molecules: a factor, geometric mean over the sizes that the report shows.
    """
    means = {key: case.training_mean for key, case in found.items()}
    strictest = f"in_order_{thesis.CAPS[0]}"
    first, default = (_tables(found, sets, key)["predicted"] for key in (strictest, "default"))
    return {
        "in_order_above": style.number(_change(first, default), lang, 2),
        "in_order_below": style.number(_change(first, default, _BELOW), lang, 2),
        "crossing_size": str(thesis.CROSSOVER),
        "mean_default": style.number(means["default"], lang, 3),
        "mean_custom": style.number(means["custom"], lang, 3),
        "half_way": style.number((means["default"] + means["custom"]) / 2, lang, 3),
        "mean_crossing": style.number(sets["size"].loc[thesis.CROSSOVER, "mean"], lang, 3),
        **{
            f"moved_{key}": style.number(1000 * (mean - means["default"]), lang, 1)
            for key, mean in means.items()
            if key.startswith(("cap", "in_order"))
        },
    }


def _facts_of_splits(molecules: Molecules, sets: Mapping[str, pd.DataFrame], lang: str) -> dict[str, str]:
    """What is predicted over many splits, since the report's own is not known.

    `crossing_…` (the least and the largest) is where Default's and Custom's curves cross, `best_default` and
    `best_custom` the sizes of the smallest offset term, and `cap_better` the sizes at which the strictest cap, drawn at
    random from the training part or from the whole database before it is split, is below Default in any of them.
    """
    crossing, best, better = [], {"default": set(), "custom": set()}, set()
    for seed in SPLITS:
        means = {
            key: decomposition.training_mean(molecules, SELECTIONS[key], split_seed=seed)
            for key in ("default", "custom", f"cap_{thesis.CAPS[0]}")
        }
        means["cap_first"] = offsets.fit(molecules, splits.cap_per_size(molecules, thesis.CAPS[0], seed)).mean
        curve = {key: decomposition.offset_of(sets["size"].loc[list(SIZES)], mean) for key, mean in means.items()}
        crossing += decomposition.crossings(curve["default"], curve["custom"])
        for name, sizes in best.items():
            sizes.add(int(curve[name].idxmin()))
        for capped in (f"cap_{thesis.CAPS[0]}", "cap_first"):
            better |= set(curve[capped].index[curve[capped] < curve["default"]])
    return {
        "splits": style.number(len(SPLITS), lang),
        "crossing_low": style.number(min(crossing), lang, 2),
        "crossing_high": style.number(max(crossing), lang, 2),
        "best_default": style.ranges(best["default"], lang),
        "best_custom": style.ranges(best["custom"], lang),
        "cap_better": _sizes_in_words(sorted(better), lang),
    }


def facts(records: Mapping[str, Arms[Record]], molecules: Molecules, *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the predictions quotes; the same keys in both languages."""
    found, sets = cases(records, molecules, lang=lang), _sets(molecules)
    return _facts_of_means(found, sets, lang) | _facts_of_splits(molecules, sets, lang)
