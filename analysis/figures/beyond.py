"""Beyond the report: what the model "Beyond" reaches, and what it costs.

Errors are those of the test part, which no choice looked at. Functions take records of `study.BeyondParameters` unless
they say otherwise; "main" are those of the longest budget that all seeds have.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from analysis import study
from analysis.data import thesis
from analysis.data.molecules import Molecules
from analysis.evaluation import accuracy
from analysis.figures import baseline, final_comparison, published, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

DEMANDS = {"first": (14.0, 25), "second": (10.0, 106)}
"""What was to be reached: a mean absolute error, meV, within so many minutes on two cores."""

LOOK = (style.GREEN, "D")
"""Colour and marker of "Beyond"."""
_LOOKS = {**final_comparison.MODELS, "beyond": LOOK}  # Default and Custom as in the final comparison
_NAMES = {**final_comparison.NAMES, "beyond": mark("Beyond")}
_SCORES = messages({"mae": "MAE (meV)", "rmse": "RMSE (meV)", "worst": "Worst 1% (meV)"})
WHOLE = 30  # meV: errors from here on are written without decimals
_BETTER = messages(
    {
        "size": "better than Default and Custom at every size from 10 to 25 atoms",
        "element": "better than Default and Custom for every element",
    }
)
_COMPARED_TO = ("schnet", "painn")  # published errors that are drawn as lines


def minutes(record: Record) -> float:
    """Wall time of training and validation."""
    seconds = record.about["seconds"]
    return (seconds["training"] + seconds["validation"]) / 60


def mev(records: Sequence[Record], measure: str = "mae") -> list[float]:
    """A measure of `accuracy.scores` per run, meV."""
    return [style.MEV * getattr(accuracy.scores(record), measure) for record in records]


def scores(records: Sequence[Record], lang: str) -> dict[str, list[float]]:
    """Errors per run, meV, by the heading of their column."""
    return {say(name, lang): mev(records, measure) for measure, name in _SCORES.items()}


def whole_or_tenths(error: float, lang: str) -> str:
    """An error in meV, with a decimal if it is small."""
    return style.number(error, lang, 1 if error < WHOLE else 0)


def main(records: Arms[Record]) -> list[Record]:
    """The records of the budget that has the most seeds, the longest of those."""
    return _budgets(records)[-1]


def brief(records: Arms[Record]) -> list[Record]:
    """The records of the shortest budget that as many seeds have as any; the main ones, if there is no other."""
    return _budgets(records)[0]


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per seed of the main budget and one for all: errors over the test part, and minutes."""
    shown = main(records)
    columns = scores(shown, lang) | {say("Training and validation (min)", lang): list(map(minutes, shown))}
    return baseline.by_run(shown, {name: (1, values) for name, values in columns.items()}, lang=lang)


def facts(records: Arms[Record], others: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the main budget quotes; the same keys in both languages.

    Errors are in meV, over the test part; `mae_up_to` and `mae_above` are of molecules with at most 17 atoms
    and with more. `times_…` is how many times as large the error of another model is; `scale` what the seeds' spread
    has to be multiplied with to be as large as the error of their mean, `flagged` the part of the worst hundredth among
    the tenth with the largest spread. With one seed, those of the ensemble are "–".
    """
    shown = main(records)
    config, about, models = shown[0].config, shown[0].about, final_comparison.by_model(others)
    model, training = config.model, config.training
    times, rmse = list(map(minutes, shown)), float(np.mean(mev(shown, "rmse")))
    found = {
        "seeds": style.number(len(shown), lang),
        "epochs": style.number(training.epochs, lang),
        "parameters": style.number(about["parameters"], lang),
        "train": style.number(about["molecules"]["train"], lang),
        "test": style.number(about["molecules"]["test"], lang),
        "minutes": style.number(float(np.mean(times)), lang, 1),
        "minutes_most": style.number(max(times), lang, 1),
        "times_report": style.number(style.MEV * float(np.sqrt(thesis.MSE["default"])) / rmse, lang),
        "minutes_report": style.number(thesis.MINUTES["default"], lang),
        "demanded_minutes": style.number(DEMANDS["second"][1], lang),
        "features": style.number(model.n_atom_basis, lang),
        "interactions": style.number(model.n_interactions, lang),
        "gaussians": style.number(model.n_rbf, lang),
        "cutoff": style.plain_number(model.training_cutoff, lang),
        "batch": style.number(training.batch_size, lang),
        "rate": style.plain_number(training.learning_rate, lang),
        "warm_up": style.percent(training.warm_up, lang),
        "delta": style.plain_number(config.loss.huber_delta, lang),
        "boundary": style.number(thesis.LARGE, lang),
    }
    sizes = shown[0].errors["n_atoms"][shown[0].errors["test"]].to_numpy()
    for side, members in {"up_to": sizes <= thesis.LARGE, "above": sizes > thesis.LARGE}.items():
        of_seeds = style.MEV * np.abs(accuracy.test_errors(shown))[:, members].mean(axis=1)
        found[f"mae_{side}"] = style.mean_and_deviation(of_seeds, lang, 1)
    found |= {measure: style.mean_and_deviation(mev(shown, measure), lang, 1) for measure in _SCORES}
    for name, of_model in models.items():
        found[f"mae_{name}"] = style.mean_and_deviation(mev(of_model), lang, 0)
        found[f"times_{name}"] = style.number(_mean_mae(of_model) / _mean_mae(shown), lang)
    found |= {f"published_{name}": style.plain_number(published.MODELS[name].mae, lang) for name in _COMPARED_TO}
    return found | _ensemble_facts(shown, lang)


def _ensemble_facts(shown: Sequence[Record], lang: str) -> dict[str, str]:
    if len(shown) < 2:
        return dict.fromkeys(("mae_ensemble", "rmse_ensemble", "correlation", "scale", "flagged"), "–")
    one = accuracy.ensemble(shown)
    return {
        "mae_ensemble": style.number(style.MEV * float(np.abs(one.error).mean()), lang, 1),
        "rmse_ensemble": style.number(style.MEV * float(np.sqrt(np.mean(one.error**2))), lang, 1),
        "correlation": style.number(one.rank_correlation(), lang, 2),
        "scale": style.number(one.scale(), lang, 1),
        "flagged": style.percent(one.flagged(0.1), lang),
    }


def demands(records: Arms[Record], others: Arms[Record], molecules: Molecules, *, lang: str) -> style.WordTable:
    """What was to be reached, what was measured, and whether it holds.

    `others` are records of "Default" and "Custom" (`study.FinalComparisonParameters`). An error within a time holds if
    every seed of a budget that all seeds have is within both; measured is the shortest such budget, or else the best of
    those within the time. Better than both models, if at every size from 10 to 25 and for every element the whole
    interval lies below both of theirs, of the mean absolute and of the mean squared error alike.
    """
    demanded, measured, met = (say(heading, lang) for heading in (mark("Demand"), mark("Measured"), mark("Met")))
    rows = {}
    for largest, most in DEMANDS.values():
        within = [one for one in _budgets(records) if max(map(minutes, one)) <= most]
        enough = [one for one in within if max(mev(one)) <= largest]
        shown = enough[0] if enough else min(within, key=_mean_mae, default=None)
        limits = {"error": style.plain_number(largest, lang), "minutes": style.number(most, lang)}
        rows[say("MAE of {error} meV or less in {minutes} minutes or less", lang, **limits)] = {
            measured: "–" if shown is None else _measured(shown, lang),
            met: say("yes" if enough else "no", lang),
        }
    for kind, demand in _BETTER.items():
        touching = not_better(records, others, molecules, kind)
        names = [say(baseline.ELEMENTS[group], lang) if kind == "element" else str(group) for group in touching]
        rows[say(demand, lang)] = {
            measured: ", ".join(names) or say("intervals wholly below everywhere (MAE and MSE)", lang),
            met: say("no" if touching else "yes", lang),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(index=demanded)


def not_better(records: Arms[Record], others: Arms[Record], molecules: Molecules, kind: str) -> list[int | str]:
    """The sizes or elements at which an interval of "Beyond" touches one of "Default" or "Custom", or lies above."""
    tables = _tables(records, others, molecules, kind)
    ours = tables.pop("beyond")
    return [
        group
        for group in ours.index
        if any(
            not ours.loc[group, f"{measure}_high"] < table.loc[group, f"{measure}_low"]
            for table in tables.values()
            for measure in ("mae", "mse")
        )
    ]


def error_by_size(records: Arms[Record], others: Arms[Record], molecules: Molecules, *, lang: str) -> style.BookFigure:
    """Mean absolute error by number of atoms of the three models; bands are 95 % intervals."""
    tables = _tables(records, others, molecules, "size")
    alt = mark(
        "Line chart of the mean absolute error by number of atoms on a log scale, a line with its band for each "
        "model: Beyond lies far below Default and Custom at every size."
    )
    with style.figure(say(alt, lang), _data(tables, others, records, lang), height=4.2, legend=3) as figure:
        axes = figure.subplots()
        for name, table in tables.items():
            (colour, marker), errors = _LOOKS[name], style.MEV * table
            axes.fill_between(table.index, errors["mae_low"], errors["mae_high"], color=colour, alpha=0.25, linewidth=0)
            axes.plot(errors["mae"], color=colour, marker=marker, markersize=4, label=say(_NAMES[name], lang))
        style.size_axis(axes, lang)
        error_axis(axes, lang)
    return figure


def error_by_element(
    records: Arms[Record], others: Arms[Record], molecules: Molecules, *, lang: str
) -> style.BookFigure:
    """Mean absolute error by element of the three models, rarest element last; bars are 95 % intervals."""
    tables = _tables(records, others, molecules, "element")
    order = tables["beyond"]["molecules"].sort_values(ascending=False, kind="stable").index
    alt = mark(
        "Points with bars of the mean absolute error by element on a log scale, a point per model: Beyond lies far "
        "below Default and Custom for every element."
    )
    with style.figure(say(alt, lang), _data(tables, others, records, lang), height=3.8, legend=3) as figure:
        axes = figure.subplots()
        for (name, table), shift in zip(tables.items(), (-0.15, 0, 0.15), strict=True):
            colour, marker = _LOOKS[name]
            rows = table.loc[order]
            bars = style.MEV * np.array([rows["mae"] - rows["mae_low"], rows["mae_high"] - rows["mae"]])
            look = {"color": colour, "marker": marker, "linestyle": "", "capsize": 4, "label": say(_NAMES[name], lang)}
            axes.errorbar(np.arange(len(order)) + shift, style.MEV * rows["mae"], yerr=bars, **look)
        axes.set_xticks(np.arange(len(order)), [say(baseline.ELEMENTS[element], lang) for element in order])
        axes.tick_params(axis="x", labelsize=10)
        error_axis(axes, lang)
    return figure


def budget(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Errors over the test part against minutes of training, a point per run, beside the report and published models.

    Above, the mean absolute error, with published ones: as lines, and as points where it is known what their training
    took. Below, the mean squared error, with the report's. The minutes of others are those of a GPU.
    """
    data = baseline.of_runs(
        sorted(records.runs, key=minutes),
        lambda record: {
            "epochs": [record.config.training.epochs],
            "minutes": [minutes(record)],
            "mae_meV": mev([record]),
            "mse_eV2": [accuracy.scores(record).rmse ** 2],
        },
    )
    means = data.groupby("epochs")[["minutes", "mae_meV", "mse_eV2"]].mean()
    # Published models of which the text says what the training took: hours of a GPU, from and to.
    spent = [one for one in (*published.POINTS.values(), *published.MODELS.values()) if one.gpu_hours]
    lines = [published.MODELS[key] for key in _COMPARED_TO]
    theirs = [{"series": one.name, "mae_meV": one.mae} for one in (*spent, *lines)]
    for row, one in zip(theirs, spent, strict=False):
        row |= {"minutes": 60 * one.gpu_hours[0], "most_minutes": 60 * one.gpu_hours[-1]}
    report = {"minutes": thesis.MINUTES["default"], "mse_eV2": thesis.MSE["default"]}
    theirs.append({"series": say("thesis, on a GPU", lang)} | report)
    everything = pd.concat([data.assign(series=say("Beyond", lang)), pd.DataFrame(theirs)], ignore_index=True)
    colour, marker = LOOK
    alt = mark(
        "Two plots against minutes of training, both on log scales: above, the mean absolute error, which falls to "
        "near the lines of published models; below, the mean squared error, far below the thesis’s star."
    )
    with style.figure(say(alt, lang), everything, height=6.2, legend=2) as figure:
        plots = figure.subplots(2, sharex=True)
        for axes, column in zip(plots, ("mae_meV", "mse_eV2"), strict=True):
            axes.plot(means["minutes"], means[column], color=colour, linewidth=1)
            axes.plot(data["minutes"], data[column], marker, color=colour, label=say("Beyond", lang))
            axes.set_xscale("log")
        for one, line in zip(lines, ("--", ":"), strict=True):
            said = say("{model} ({year}), published", lang, model=one.model, year=str(one.year))
            plots[0].axhline(one.mae, color=style.BLUE, linestyle=line, label=said)
        for one, marker in zip(spent, ("v", "s"), strict=True):
            first, last = 60 * one.gpu_hours[0], 60 * one.gpu_hours[-1]
            middle = float(np.sqrt(first * last))
            look = {"color": style.PURPLE, "marker": marker, "markersize": 6, "linestyle": "", "capsize": 3}
            ends, said = [[middle - first], [last - middle]], say("{model}, on a GPU", lang, model=one.name)
            plots[0].errorbar(middle, one.mae, xerr=ends, label=said, **look)
        look = {"color": style.VERMILION, "markersize": 12, "label": say("thesis, on a GPU", lang)}
        plots[1].plot(*report.values(), "*", **look)
        style.log_axis(plots[0], lang, name=say("MAE (meV)", lang), ticks=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
        style.log_axis(plots[1], lang, name=say("MSE (eV²)", lang))
        ticks = [*study.EPOCHS_OF_BUDGET, 1000, 10_000]
        plots[1].set_xticks(ticks, [style.number(tick, lang) for tick in ticks])
        plots[1].xaxis.set_minor_formatter(NullFormatter())
        plots[1].set_xlabel(say("Minutes of training (Beyond, on two cores)", lang))
    return figure


def budget_facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on budgets quotes; the same keys in both languages.

    For each of `study.EPOCHS_OF_BUDGET` that has records, its mean absolute and root mean squared error over the test
    part and that of the worst hundredth (meV), `mae_after_…`, `rmse_after_…` and `worst_after_…`, the minutes that it
    took, `minutes_of_…`, and its epochs, `epochs_of_…`.
    """
    found = {}
    for arm, of in records.of("minutes").items():
        for measure in _SCORES:
            found[f"{measure}_after_{arm.value}"] = style.number(float(np.mean(mev(of, measure))), lang, 1)
        found[f"minutes_of_{arm.value}"] = style.number(float(np.mean(list(map(minutes, of)))), lang, 1)
        found[f"epochs_of_{arm.value}"] = style.number(of[0].config.training.epochs, lang)
    return found


def calibration(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """What the spread of the main budget's seeds knows of the error of their mean, over the test part.

    On the left, molecules by rising spread in bins of equal numbers; on the right, how many of the worst hundredth are
    among those with the largest spread.
    """
    shown = main(records)
    found = accuracy.ensemble(shown)
    binned = style.MEV * found.binned()
    looked_at = np.linspace(0, 1, 101)
    seen = np.array([found.flagged(share) for share in looked_at])
    of_bins = binned.rename(columns={"spread": "spread_meV", "rmse": "rmse_meV"}).assign(series="bins")
    worst = pd.DataFrame({"looked_at": looked_at, "found": seen, "series": "worst"})
    data = pd.concat([of_bins, worst]).assign(run=" ".join(record.id for record in shown))
    alt = mark(
        "Two plots. On the left the error of the seeds’ mean rises with their spread, above the diagonal. On the "
        "right a curve far above the diagonal: most of the worst molecules are among those of the largest spread."
    )
    with style.figure(say(alt, lang), data, height=3.7) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(binned["spread"], binned["rmse"], "o-", color=style.GREEN, markersize=4)
        ends = [binned.to_numpy().min() / 1.2, binned.to_numpy().max() * 1.2]
        left.plot(ends, ends, "--", color=style.BLACK, linewidth=1, label=say("spread = error", lang))
        for which in ("x", "y"):
            style.log_axis(left, lang, which)
        left.set(xlabel=say("Spread of the seeds (meV)", lang), ylabel=say("RMSE of their mean (meV)", lang))
        right.plot(looked_at, seen, color=style.GREEN)
        right.plot([0, 1], [0, 1], "--", color=style.BLACK, linewidth=1, label=say("by chance", lang))
        for axis in (right.xaxis, right.yaxis):
            axis.set_major_formatter(style.percent_axis(lang))
        right.set(xlabel=say("Molecules looked at", lang), ylabel=say("Part found of the worst 1%", lang))
        for axes in (left, right):
            axes.grid(visible=True, axis="both")
            axes.legend(loc="lower right", fontsize=10)
    return figure


def _budgets(records: Arms[Record]) -> list[list[Record]]:
    """The budgets that have the most seeds, the shortest first."""
    budgets = records.of("minutes").values()
    return [of for of in budgets if len(of) == max(map(len, budgets))]


def _mean_mae(records: Sequence[Record]) -> float:
    return float(np.mean(mev(records)))


def _measured(records: Sequence[Record], lang: str) -> str:
    return say(
        "{error} meV (worst of {seeds} seeds: {worst}) in {minutes} minutes at most",
        lang,
        error=style.mean_and_deviation(mev(records), lang, 1),
        worst=style.number(max(mev(records)), lang, 1),
        minutes=style.number(max(map(minutes, records)), lang, 1),
        seeds=style.number(len(records), lang),
    )


def _models(records: Arms[Record], others: Arms[Record]) -> dict[str, list[Record]]:
    return {**final_comparison.by_model(others), "beyond": main(records)}


def _tables(records: Arms[Record], others: Arms[Record], molecules: Molecules, kind: str) -> dict[str, pd.DataFrame]:
    """`accuracy.by_group` of each model, for the sizes that the report shows or the elements."""
    tables = {name: accuracy.by_group(of, molecules, kind) for name, of in _models(records, others).items()}
    if kind == "size":
        return {name: table.reindex(thesis.COMMON_SIZES).dropna() for name, table in tables.items()}
    return tables


def _data(tables: dict[str, pd.DataFrame], others: Arms[Record], records: Arms[Record], lang: str) -> pd.DataFrame:
    units = {"mae": "eV", "mse": "eV2"}
    parts = []
    for name, of in _models(records, others).items():
        runs = " ".join(record.id for record in of)
        parts.append(tables[name].rename_axis("group").reset_index().assign(series=say(_NAMES[name], lang), run=runs))
    data = pd.concat(parts)
    return data.rename(columns=lambda column: f"{column}_{units[column[:3]]}" if column[:3] in units else column)


def error_axis(axes: Axes, lang: str) -> None:
    """Name and ticks of a logarithmic axis of mean absolute errors."""
    style.log_axis(axes, lang, name=say("MAE (meV)", lang), ticks=(1.0, 2.0, 3.0, 5.0))
