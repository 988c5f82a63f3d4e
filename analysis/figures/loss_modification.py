"""Figures and tables of the loss modification: the report's two weight functions at each rate, and inverse frequency.

Every function takes the records of `study.LossModificationParameters`. All of them are trained on the same molecules;
their errors are never weighted.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from analysis.data import thesis
from analysis.figures import baseline, groups, style
from analysis.figures.words import mark, messages, say
from analysis.runs import weights
from analysis.runs.arms import Arms
from analysis.runs.records import Record
from analysis.runs.selection import loss_weights
from analysis.runs.weights import UNGUARDED

WEIGHTINGS = messages(
    {"size": "size", "size-frequency": "size and frequency", "inverse-frequency": "inverse frequency"}
)
_MAP = colormaps["cividis"]
_LEGEND = {"ncols": 2, "handlelength": 1.2, "columnspacing": 0.8, "labelspacing": 0.3}


def by_rate(records: Arms[Record], weighting: str, *, lang: str) -> dict[float, groups.Group]:
    """The records of one weight function by its rate, in ascending order; the unmodified loss is rate 0.

    Raises MissingArmError if there is none of either.
    """
    arms = {0.0: records["unweighted"]} | {arm.value: of_arm for arm, of_arm in records.of(weighting).items()}
    found = {}
    for place, (rate, of_rate) in enumerate(arms.items()):
        marker = groups.MARKERS[(place - 1) % len(groups.MARKERS)] if rate else "o"
        colour = _MAP(0.95 * place / (len(arms) - 1)) if rate else style.BLACK
        name = style.plain_number(rate, lang) if rate else say("unweighted", lang)
        found[rate] = groups.Group(name, of_rate, colour, marker)
    return found


def weight_curves(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The weight of a molecule by its number of atoms at each rate of the records (appendix Figure 2 of the report).

    The report's two functions are drawn as printed over all sizes of its experiments, where they are defined; a dashed
    line is the floor that guards them. Inverse frequency is drawn at the sizes that the runs were trained on.
    """
    present = _present(records, lang)
    trained = _training_sizes(records["unweighted"][0])
    curves = {
        (weighting, rate): _weights_by_size(weighting, rate, trained)
        for weighting, rates in present.items()
        for rate in rates
    }
    data = pd.concat(curves, names=["weighting", "rate", "n_atoms"]).rename("weight").reset_index()
    alt = mark(
        "Three plots of a molecule’s weight by number of atoms, with a line per exponent. The weight by size hardly "
        "moves at the small molecules and shoots up at the large ones. The weight by size and frequency does not "
        "exist, or lies below the floor, at the small ones. That by inverse frequency is a valley, lowest at the "
        "most frequent sizes."
    )
    with style.figure(say(alt, lang), data, height=2.7 * len(present) + 0.3) as figure:
        plots = figure.subplots(len(present), sharex=True, squeeze=False)[:, 0]
        for axes, (weighting, rates) in zip(plots, present.items(), strict=True):
            for rate, group in rates.items():
                _line(axes, curves[weighting, rate], group)
            floors = {of_arm[0].config.loss.floor for of_arm in records.of(weighting).values()}
            if weighting not in UNGUARDED:
                for floor in sorted(floors - {None}):
                    axes.axhline(floor, color=style.GREY, linestyle="--", label=say("floor of the weight", lang))
            if weighting == "size":
                style.log_axis(axes, lang)
            else:
                axes.yaxis.set_major_formatter(style.number_axis(lang, 1))
            axes.set_ylabel(f"{say(WEIGHTINGS[weighting], lang)}\n{say('Weight v', lang)}")
            axes.legend(title=_rate_name(weighting), loc="best", **_LEGEND)
        style.size_axis(plots[-1], lang, minor=None)
    return figure


def error_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms at each rate: a row per function, a column per protocol (Figures 7 and 8 of the report).

    Lines are means over seeds.
    """
    present, sizes = _present(records, lang), _sizes(records)
    alt = mark(
        "A row of plots per weight function and a column per protocol: mean squared error by number of atoms on a "
        "log scale, with a line per exponent, from dark to light as it grows, and a black one for the unweighted "
        "loss."
    )
    with style.figure(say(alt, lang), _data(records, sizes), height=2.9 * len(present) + 0.4) as figure:
        rows = figure.subplots(len(present), 2, sharex=True, sharey="col", squeeze=False)
        for (weighting, rates), row in zip(present.items(), rows, strict=True):
            for axes, protocol in zip(row, baseline.PROTOCOLS, strict=True):
                for group in rates.values():
                    _line(axes, baseline.by_seed(group.records, "size", protocol).reindex(sizes).mean(axis=1), group)
                axes.set_title(say(baseline.SHORT_NAMES[protocol], lang), fontsize=11)
                style.log_axis(axes, lang)
            row[0].set_ylabel(f"{say(WEIGHTINGS[weighting], lang)}\n{say('MSE (eV²)', lang)}")
            # The lower left corner is free: errors of held-out molecules fall with size.
            row[0].legend(title=_rate_name(weighting), loc="lower left", **_LEGEND)
        for axes in rows[-1]:
            style.size_axis(axes, lang, minor=None)
    return figure


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per function and rate: MSE over held-out molecules of the trained sizes, on either side of 17 atoms."""
    sides, letter = _sides(_sizes(records)), say("r\N{NO-BREAK SPACE}or\N{NO-BREAK SPACE}α", lang)
    rows, names = [], []
    for weighting, rates in _present(records, lang).items():
        for rate, group in rates.items():
            if not rate and names:
                continue  # the unmodified loss stands in the first row
            names.append(say(WEIGHTINGS[weighting], lang) if rate else say("unweighted", lang))
            rate_in_words = style.plain_number(rate, lang) if rate else "–"
            rows.append({letter: rate_in_words} | groups.of_both_sides(group.records, lang, 4, sides))
    return pd.DataFrame(rows, index=names).rename_axis(columns=say("Weight function", lang))


def best_rates(records: Arms[Record], weighting: str, protocol: str) -> list[float]:
    """The rate with the smallest error above 17 atoms, the unmodified loss (0) included: of all, then per seed.

    The error is, with held-out molecules, the MSE over all of those sizes; as reported, the mean over the sizes of the
    logarithm of the MSE with each size's own mean, which is what a reader of the report's figures compares. The first
    rate is that of the smallest mean over seeds.
    """
    large = _sides(_sizes(records))["above"]
    found = {}
    for rate, group in by_rate(records, weighting, lang="en").items():
        if protocol == "held_out":
            values = groups.of_sizes(group.records, large)
        else:
            values = np.log10(baseline.by_seed(group.records, "size", protocol).reindex(large)).mean()
        seeds = [record.config.seed for record in group.records]
        found[rate] = pd.Series(np.asarray(values, dtype=float), index=seeds)
    table = pd.DataFrame(found)  # a row per seed, a column per rate
    return [float(table.mean().idxmin()), *map(float, table.idxmin(axis=1))]


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the loss modification quotes; the same keys in both languages.

    For each function with records: `best_…` the rate with the smallest error above 17 atoms with held-out
    molecules, and `best_reported_…` with each size's own mean (`best_rates`); `mse_…` the MSE of the first,
    `highest_…` the largest rate and `mse_highest_…` its MSE, all over the held-out molecules of those sizes; `helped_…`
    the trained sizes at which it has a smaller mean held-out MSE than the unmodified loss, `effective_…` its effective
    sample size.
    """
    large = _sides(_sizes(records))["above"]
    plain = records["unweighted"]
    found = {
        "seeds": style.number(len(plain), lang),
        "train": style.number(groups.training_molecules(plain), lang),
        "mse_plain": style.mean_and_deviation(groups.of_sizes(plain, large), lang, 4),
    }
    for weighting, rates in _present(records, lang).items():
        key, last = weighting.replace("-", "_"), max(rates)
        best, reported = (best_rates(records, weighting, each)[0] for each in baseline.PROTOCOLS)
        found[f"best_{key}"] = style.plain_number(best, lang)
        found[f"best_reported_{key}"] = style.plain_number(reported, lang)
        found[f"mse_{key}"] = style.mean_and_deviation(groups.of_sizes(rates[best].records, large), lang, 4)
        found[f"highest_{key}"] = style.plain_number(last, lang)
        found[f"mse_highest_{key}"] = style.mean_and_deviation(groups.of_sizes(rates[last].records, large), lang, 4)
        found[f"effective_{key}"] = style.percent(_effective(rates[last].records[0]), lang)
        found[f"helped_{key}"] = groups.lower_in_words(
            rates[last], rates[0.0], "held_out", lang, forms=groups.FALLS, sizes=_sizes(records)
        )
    return found


def _data(records: Arms[Record], sizes: range) -> pd.DataFrame:
    """MSE of each run by size, with its weight function and rate."""
    by_seed = sorted(records.runs, key=lambda record: record.config.seed)
    losses = [{"weighting": record.config.loss.weighting, "rate": record.config.loss.rate} for record in by_seed]
    tables = [baseline.mse_of_runs([record], "size", sizes) for record in by_seed]
    return pd.concat([table.assign(**loss) for table, loss in zip(tables, losses, strict=True)], ignore_index=True)


def _effective(record: Record) -> float:
    """The effective size of the weighted training set, (Σv)² / Σv², as a share of its molecules."""
    v = loss_weights(record.config.loss, _training_sizes(record))
    return 1.0 if v is None else float(v.sum() ** 2 / (v @ v) / len(v))


def _training_sizes(record: Record) -> np.ndarray:
    """The number of atoms of each molecule that a run was trained on."""
    of_sizes = baseline.training_sizes(record)
    return np.repeat(of_sizes.index.to_numpy(), of_sizes)


def _weights_by_size(weighting: str, rate: float, trained: np.ndarray) -> pd.Series:
    """A function as printed, NaN where it is undefined; of inverse frequency, its value at each trained size."""
    if weighting in UNGUARDED:
        sizes, first = np.unique(trained, return_index=True)
        return pd.Series(weights.loss_weights(weighting, trained, rate)[first], index=sizes)
    sizes = np.asarray(thesis.COMMON_SIZES)
    formula = {"size": weights.size_based, "size-frequency": weights.size_and_frequency_based}[weighting]
    return pd.Series(formula(sizes, rate), index=sizes)


def _present(records: Arms[Record], lang: str) -> dict[str, dict[float, groups.Group]]:
    """`by_rate` of each weight function that there are records of."""
    roles = {arm.role for arm in records}
    return {weighting: by_rate(records, weighting, lang=lang) for weighting in WEIGHTINGS if weighting in roles}


def _line(axes: Axes, values: pd.Series, group: groups.Group) -> None:
    axes.plot(values, color=group.colour, marker=group.marker, markersize=3.5, label=group.name)


def _rate_name(weighting: str) -> str:
    """The letter of a function's rate, as the report and the chapter have it."""
    return "α" if weighting in UNGUARDED else "r"


def _sizes(records: Arms[Record]) -> range:
    """The sizes that the runs were trained on."""
    selection = records["unweighted"][0].config.data.selection
    return range(selection.smallest, selection.largest + 1)


def _sides(sizes: range) -> dict[str, range]:
    return {
        "up_to": range(sizes.start, min(thesis.LARGE + 1, sizes.stop)),
        "above": range(max(thesis.LARGE + 1, sizes.start), sizes.stop),
    }
