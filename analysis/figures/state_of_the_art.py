"""What QM9 holds, by element and by size, and the errors that others have published beside ours.

Tables are data frames of strings, written as the language writes numbers.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from pydantic import Field

from analysis.data import statistics, thesis
from analysis.data.molecules import Molecules
from analysis.figures import baseline, published, style
from analysis.figures.baseline import minutes
from analysis.figures.beyond import mev
from analysis.figures.words import mark, messages, say
from analysis.runs.records import Record
from analysis.study.parameters import NotebookParameters

_SMALLEST_SHARE = 1e-4  # of a row of the heat map: below, colours no longer change
# Means, drawn over dark and light cells alike.
_MEANS = {"color": "black", "markerfacecolor": "white", "markersize": 5}

_QUANTITIES = messages({"heavy_atoms": "Heavy atoms", "hydrogens": "Hydrogens", "hydrogen_share": "Share of hydrogen"})


class CensusParameters(NotebookParameters):
    """The parameters of notebook 01."""

    share: float = Field(0.01, gt=0, lt=1, description="a share between 0 and 1, such as 0.01")


def element_table(molecules: Molecules, *, lang: str) -> pd.DataFrame:
    """Molecules with and without each element, and the share beside the report's (Table 1)."""
    shares = statistics.element_share(molecules)
    rows = [
        {
            say("With the element", lang): style.number(count, lang),
            say("Without it", lang): style.number(len(molecules) - count, lang),
            say("Share", lang): style.number(share, lang, 3),
            say("Thesis", lang): style.number(thesis.ELEMENT_SHARES[element], lang, 2),
        }
        for element, count, share in shares.itertuples()
    ]
    return baseline.by_group(rows, shares.index, "element", lang=lang)


def size_shift_table(molecules: Molecules, *, lang: str) -> pd.DataFrame:
    """How far each element's sizes are from the whole database's (`statistics.size_shift`)."""
    shifts = statistics.size_shift(molecules)
    rows = [
        {
            say("Size with the element", lang): style.number(shift.mean_with, lang, 1),
            say("Size without it", lang): style.number(shift.mean_without, lang, 1),
            say("Total variation", lang): style.number(shift.total_variation, lang, 3),
        }
        for shift in shifts.itertuples()
    ]
    return baseline.by_group(rows, shifts.index, "element", lang=lang)


def correlation_table(molecules: Molecules, *, lang: str) -> pd.DataFrame:
    """Spearman's correlation of the size with what it is confounded with (`statistics.size_correlations`)."""
    correlations = statistics.size_correlations(molecules).rename(lambda quantity: say(_QUANTITIES[quantity], lang))
    table = correlations.map(lambda value: style.number(value, lang, 2)).to_frame(say("Spearman with size", lang))
    return table.rename_axis(index=None, columns=say("Quantity", lang))


def census_facts(molecules: Molecules, *, lang: str, share: float = 0.01) -> dict[str, str]:
    """Every number that the book's prose on the census quotes, as the language writes it.

    The keys are the same in both languages; the pages glue them with the language as prefix. Per element (`_H` … `_F`):
    `with`, `without`, `share`, `report`, `mean_with`, `mean_without`, `variation`, `variation_percent`. Raises
    ValueError if no size makes up more than `share`.
    """
    sizes, common = statistics.size_counts(molecules), statistics.common_sizes(molecules, share)
    by_size = statistics.composition_by_size(molecules)["hydrogen_share_mean"]
    heavy = statistics.heavy_by_size(molecules).sum(axis=1)
    correlations = statistics.size_correlations(molecules)
    largest_three = sizes["molecules"].nlargest(3)
    frequent = common.index[common["common"]]
    if frequent.empty:
        raise ValueError(f"no size makes up more than {share:g} of the {len(molecules)} molecules")
    facts = {
        "molecules": style.number(len(molecules), lang),
        "smallest": style.number(sizes.index[0], lang),
        "largest": style.number(sizes.index[-1], lang),
        "empty": style.ranges(sizes.index[sizes["molecules"] == 0], lang),
        "top_sizes": style.ranges(largest_three.index, lang),
        "top_share": style.percent(largest_three.sum() / len(molecules), lang),
        "threshold": style.threshold(share, lang),
        "common": style.ranges(frequent, lang),
        "claimed": style.ranges(thesis.COMMON_SIZES, lang),
        "claimed_rare": style.ranges(common.index[common["in_report"] & ~common["common"]], lang),
        "max_heavy": style.number(heavy.index[-1], lang),
        "max_heavy_share": style.percent(heavy.iloc[-1] / len(molecules), lang),
        "first_common": style.number(frequent[0], lang),
        "last_common": style.number(frequent[-1], lang),
        "hydrogen_share_first": style.percent(by_size[frequent[0]], lang),
        "hydrogen_share_last": style.percent(by_size[frequent[-1]], lang),
    }
    facts |= {f"rank_{quantity}": style.number(value, lang, 2) for quantity, value in correlations.items()}
    for element, count, fraction in statistics.element_share(molecules).itertuples():
        facts[f"with_{element}"] = style.number(count, lang)
        facts[f"without_{element}"] = style.number(len(molecules) - count, lang)
        facts[f"share_{element}"] = style.number(fraction, lang, 3)
        facts[f"percent_{element}"] = style.percent(fraction, lang, 1)
        facts[f"report_{element}"] = style.number(thesis.ELEMENT_SHARES[element], lang, 2)
    for shift in statistics.size_shift(molecules).itertuples():
        facts[f"mean_with_{shift.Index}"] = style.number(shift.mean_with, lang, 1)
        facts[f"mean_without_{shift.Index}"] = style.number(shift.mean_without, lang, 1)
        facts[f"variation_{shift.Index}"] = style.number(shift.total_variation, lang, 2)
        facts[f"variation_percent_{shift.Index}"] = style.percent(shift.total_variation, lang)
    return facts


def size_histogram(molecules: Molecules, *, lang: str, share: float = 0.01) -> style.BookFigure:
    """Molecules by number of atoms, sizes above `share` told apart (Figure 1 of the report)."""
    sizes = statistics.size_counts(molecules)
    common = sizes["share"] > share
    data = sizes.assign(above_threshold=common, normal_law=statistics.normal_counts(molecules)).reset_index()
    alt = mark(
        "Histogram of the molecules by number of atoms: they pile up in the middle and the tails almost vanish. "
        "Sizes above the threshold and sizes below it have different colours. A normal curve follows the left side "
        "of the histogram but not the saw teeth on its right."
    )
    with style.figure(say(alt, lang), data, legend=3) as figure:
        axes = figure.subplots()
        limit = style.threshold(share, lang)
        axes.bar(sizes.index[common], sizes["molecules"][common], color=style.BLUE, label=f"> {limit}")
        axes.bar(sizes.index[~common], sizes["molecules"][~common], color=style.VERMILION, label=f"≤ {limit}")
        normal = say("normal law, same mean and deviation", lang)
        axes.plot(statistics.normal_counts(molecules), "--", color=style.BLACK, label=normal)
        axes.set_ylabel(say("Molecules", lang))
        axes.yaxis.set_major_formatter(style.number_axis(lang))
        style.size_axis(axes, lang, major=5)
    return figure


def common_sizes(molecules: Molecules, *, lang: str, share: float = 0.01) -> style.BookFigure:
    """Which sizes are above `share`, on a log scale, beside those that the report names."""
    table = statistics.common_sizes(molecules, share)
    held = table[table["molecules"] > 0]
    alt = mark(
        "Number of molecules of each size on a log scale, with a horizontal line at the threshold and a band that "
        "marks the sizes that the thesis calls frequent. Near both ends of the band some points lie below the line."
    )
    with style.figure(say(alt, lang), table.reset_index(), legend=2) as figure:
        axes = figure.subplots()
        report = thesis.COMMON_SIZES
        named = say("sizes in the thesis ({range})", lang, range=style.ranges(report, lang))
        limit = style.threshold(share, lang)
        axes.axvspan(report[0] - 0.5, report[-1] + 0.5, color="#E8EEF3", label=named)
        threshold = say("threshold: {share}", lang, share=limit)
        axes.axhline(share * len(molecules), color=style.BLACK, linestyle="--", label=threshold)
        axes.plot(held["molecules"][held["common"]], "o", color=style.BLUE, label=f"> {limit}")
        axes.plot(held["molecules"][~held["common"]], "s", color=style.VERMILION, label=f"≤ {limit}")
        wrong = held[held["common"] != held["in_report"]]
        for size, count in wrong["molecules"].items():
            # Where the counts rise, the point before stands below.
            rising = size < held["molecules"].idxmax()
            look = {"xytext": (5, -3) if rising else (0, -8), "ha": "left" if rising else "center", "va": "top"}
            axes.annotate(str(size), (size, count), textcoords="offset points", **look)
        axes.set(yscale="log", ylim=(0.8, 3 * held["molecules"].max()), ylabel=say("Molecules (log scale)", lang))
        axes.yaxis.set_major_formatter(style.number_axis(lang))
        style.size_axis(axes, lang, major=5)
    return figure


def element_size_heatmap(molecules: Molecules, *, lang: str) -> style.BookFigure:
    """Sizes of the molecules with each element, each row on its own (appendix Figure 5 of the report).

    Beside the elements' rows, that of the whole database; a mark at each row's mean.
    """
    database = statistics.size_counts(molecules)["share"]
    rows = pd.concat([database.to_frame().T, statistics.element_by_size(molecules)])
    means = [molecules.n_atoms.mean(), *statistics.size_shift(molecules)["mean_with"]]
    data = rows.set_axis(["all", *statistics.ELEMENTS]).rename_axis(index="element", columns="n_atoms")
    data = data.reset_index().melt("element", value_name="share_of_row")
    alt = mark(
        "Heat map with one row per element and one for the whole database: colour tells which share of the row’s "
        "molecules has each number of atoms. The rows of hydrogen, carbon and oxygen look like that of the whole "
        "database; nitrogen’s leans towards smaller molecules and fluorine’s far more so."
    )
    with style.figure(say(alt, lang), data, height=3.6, legend=2) as figure:
        axes, places = figure.subplots(), np.arange(len(rows))
        mesh = _cells(axes, rows.set_axis(places), smallest=_SMALLEST_SHARE)
        axes.axhline(0.5, color="white", linewidth=5)
        look = {"color": style.BLACK, "linestyle": "--", "linewidth": 1}
        axes.axvline(means[0], label=say("mean of the whole database", lang), **look)
        axes.plot(means, places, "D", **_MEANS, label=say("mean of the row", lang))
        axes.set_yticks(places, [say("All", lang), *statistics.ELEMENTS])
        axes.invert_yaxis()
        axes.grid(visible=False)
        style.size_axis(axes, lang, major=5)
        means_axis = axes.secondary_yaxis("right")
        means_axis.set_yticks(places, [style.number(mean, lang, 1) for mean in means])
        means_axis.set_ylabel(say("Mean", lang))
        shares = FuncFormatter(lambda share, _: style.threshold(share, lang))
        name = say("Share of the row", lang)
        figure.colorbar(mesh, ax=axes, extend="min", pad=0.02, aspect=18, label=name, format=shares)
    return figure


def composition(molecules: Molecules, *, lang: str) -> style.BookFigure:
    """Heavy atoms (above) and share of hydrogen (below) against size: what size is confounded with in QM9."""
    heavy = statistics.heavy_by_size(molecules)
    table = statistics.composition_by_size(molecules)
    counts = heavy.reset_index().melt("heavy_atoms", value_name="molecules")
    data = counts[counts["molecules"] > 0].merge(table.drop(columns="molecules").reset_index(), on="n_atoms")
    alt = mark(
        "Two plots with the number of atoms on the horizontal axis. Above, the heavy atoms of the molecules: nearly "
        "all pile up in the row of the maximum. Below, the share of hydrogen, which, but for the smallest "
        "molecules, grows steadily with size."
    )
    with style.figure(say(alt, lang), data, height=5.4) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        mesh = _cells(upper, heavy, smallest=1)
        upper.plot(table["heavy_atoms_mean"], "D-", linewidth=1, **_MEANS, label=say("mean", lang))
        upper.grid(visible=False)
        upper.set_ylabel(say("Heavy atoms", lang))
        upper.set_ylim(bottom=0)
        upper.yaxis.set_major_locator(MaxNLocator(integer=True))
        upper.legend(loc="lower right")
        numbers = style.number_axis(lang)
        figure.colorbar(mesh, ax=upper, pad=0.02, aspect=12, label=say("Molecules", lang), format=numbers)
        look = {"color": style.SKY, "alpha": 0.5, "linewidth": 0, "label": say("5th to 95th percentile", lang)}
        lower.fill_between(table.index, table["hydrogen_share_low"], table["hydrogen_share_high"], **look)
        look = {"color": style.BLUE, "linewidth": 2, "markersize": 4, "label": say("mean", lang)}
        lower.plot(table["hydrogen_share_mean"], "o-", **look)
        lower.set_ylabel(say("Share of hydrogen", lang))
        lower.set_ylim(0, 1)
        lower.yaxis.set_major_formatter(style.percent_axis(lang))
        lower.legend(loc="upper left")
        style.size_axis(lower, lang, major=5)
    return figure


def own_facts(records: Sequence[Record], searched: Sequence[Record], *, lang: str) -> dict[str, str]:
    """Our own errors, to stand beside the published ones; the same keys in both languages.

    Of the baseline's `records`, one per seed: `mae` and `rmse` over the test half (meV), `times_published` how many
    times SchNet's published error that is, `epochs`, `updates`, `minutes`. Of the same network with what the
    hyperparameter search chose, `searched`, one per seed: `searched_mae`, `searched_lowest` and `searched_highest` of
    the errors over the test half (meV), and `searched_…` the settings.
    """
    mae, rmse, found = mev(records), mev(records, "rmse"), mev(searched)
    config, chosen = records[0].config, searched[0].config.training
    return {
        "mae": style.mean_and_deviation(mae, lang, 0),
        "rmse": style.mean_and_deviation(rmse, lang, 0),
        "times_published": style.number(float(np.mean(mae)) / published.MODELS["schnet"].mae, lang),
        "epochs": style.number(config.training.epochs, lang),
        "updates": style.number(int(records[0].steps["step"].iloc[-1]), lang),
        "minutes": style.number(float(np.mean([minutes(record) for record in records])), lang),
        "searched_mae": style.mean_and_deviation(found, lang, 0),
        "searched_lowest": style.number(min(found), lang),
        "searched_highest": style.number(max(found), lang),
        "searched_rate": style.plain_number(float(f"{chosen.learning_rate:.2g}"), lang),
        "searched_batch": style.number(chosen.batch_size, lang),
        "searched_epochs": style.number(chosen.epochs, lang),
    }


def beside_ours(records: Sequence[Record], searched: Sequence[Record], *, lang: str) -> style.BookFigure:
    """Published mean absolute errors on a log scale, largest above, beside ours and chemical accuracy.

    Parameters are those of `own_facts`. Of ours, a point is a seed.
    """
    rows = [(say("Default, this book", lang), mev(records), "own")]
    rows.append((say("the search’s choice", lang), mev(searched), "own"))
    rows += [(one.name, [one.mae], "read" if one.read_in else "unread") for one in published.MODELS.values()]
    looks = {
        "own": {"color": style.VERMILION, "marker": "D", "label": say("this book", lang)},
        "read": {"color": style.BLUE, "marker": "o", "label": say("published", lang)},
    }
    looks["unread"] = looks["read"] | {"markerfacecolor": "white", "label": say("published, not checked", lang)}
    data = [
        {"series": name, "run": record.id, "seed": record.config.seed, "mae_meV": value}
        for of_name, (name, values, _) in zip((records, searched), rows, strict=False)
        for record, value in zip(of_name, values, strict=True)
    ]
    data += [{"series": one.name, "mae_meV": one.mae} for one in published.MODELS.values()]
    alt = mark(
        "Mean absolute errors on a log scale, a model per row: those of this book far to the right, above chemical "
        "accuracy; the published ones all below it, from the largest to the smallest."
    )
    with style.figure(say(alt, lang), pd.DataFrame(data), height=0.27 * len(rows) + 1.2, legend=2) as figure:
        axes = figure.subplots()
        for place, (_, values, kind) in enumerate(rows):
            axes.plot(values, [place] * len(values), linestyle="", markersize=6, **looks[kind])
        accuracy = say("chemical accuracy", lang)
        axes.axvline(published.CHEMICAL_ACCURACY, color=style.BLACK, linestyle="--", linewidth=1, label=accuracy)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set(xscale="log", xlabel=say("Mean absolute error of U₀ (meV)", lang))
        ticks = [value for value in (3, 10, 30, 100, 300) if value < 2 * max(max(values) for _, values, _ in rows)]
        axes.set_xticks(ticks, [style.number(tick, lang) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    return figure


def _cells(axes: Axes, table: pd.DataFrame, *, smallest: float) -> QuadMesh:
    """Values above 0 as colours, on a log scale from `smallest` on."""
    values = np.ma.masked_where(~(table.to_numpy() > 0), table)
    look = {"norm": LogNorm(smallest, values.max()), "edgecolors": "white", "linewidth": 0.5}
    return axes.pcolormesh(table.columns, table.index, values, **look)
