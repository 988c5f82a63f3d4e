"""Figures and tables of the hyperparameter search: quality against time, and what each hyperparameter does.

Functions take a stage of the search as `search.load_or_search` gives it, or its trials.
"""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.stats import spearmanr

from analysis.data import thesis
from analysis.evaluation.verdicts import Verdict
from analysis.evaluation.verdicts.intervals import deciles_apart
from analysis.figures import baseline, groups, style
from analysis.figures.replication import VERDICTS
from analysis.figures.words import counted, mark, messages, say
from analysis.runs.records import Record
from analysis.study.sweeps import parameters_of
from analysis.study.trials import TOLERANCE, Stage, objectives, pareto_front

_TICKS = (1.0, 2.0, 3.0, 5.0)
_OUTSIDE = 10.0
"""A trial whose validation loss is so many times the median is drawn at the upper edge, with its value beside it."""
_POINTS = {"our_choice": ("o", style.VERMILION), "report_choice": ("s", style.BLUE)}
_BESIDE = ("number", "state", "done", "said")
"""Columns of the trials that say nothing of a complete one."""
UNITS = {
    "data_cutoff": "data_cutoff_angstrom",
    "training_cutoff": "training_cutoff_angstrom",
    "validation_mse": "validation_mse_eV2",
    "validation_loss": "validation_loss_eV2",
    "seconds": "wall_time_s",
}
"""What columns are called in the figures' data, with their units."""
_LAST = 5
"""How many of a run's last epochs tell how much its validation loss jumps."""

NAMES = messages(
    {
        "batch_size": "Batch size",
        "learning_rate": "Learning rate",
        "data_cutoff": "Data cutoff (Å)",
        "training_cutoff": "Training cutoff (Å)",
        "n_atom_basis": "Features",
    }
)
SERIES = messages(
    {"our_choice": "the rule’s choice", "report_choice": "the thesis’s values", "front_runs": "trials on the front"}
)


def pareto(stage: Stage, coloured: str, *, lang: str) -> style.BookFigure:
    """Validation MSE against wall time, a point per trial, its colour and mark the value of `coloured`.

    A line joins the trials than which no other is both as quick and as good; marks show the one that our rule chooses
    (`trials.choose`) and the report's. Other seeds are not shown: what else the machine did when they ran, rather than
    the seed, would decide their place.
    """
    complete, front = _complete(stage.trials), pareto_front(stage.trials)
    values = sorted(complete[coloured].unique())
    outside = _outside(complete)
    marked = {records[0].id: say(SERIES[name], lang) for name, records in _points(stage).items()}
    data = complete.drop(columns=_BESIDE, errors="ignore").assign(
        on_front=complete["run"].isin(front["run"]),
        series=complete["run"].map(marked).fillna(say("a trial", lang)),
    )
    alt = mark(
        "Validation mean squared error against the time of a run, with a point per trial, a colour and a mark per "
        "value of a hyperparameter; a stepped line joins the trials that no other beats in both time and error, and "
        "two frames mark the rule’s choice and the thesis’s values."
    )
    with style.figure(say(alt, lang), data.rename(columns=UNITS), height=4.6, legend=2) as figure:
        axes = figure.subplots()
        for place, value in enumerate(values):
            points = complete[(complete[coloured] == value) & ~outside]
            colour = colormaps["cividis"](place / max(1, len(values) - 1))
            name = f"{say(NAMES[coloured], lang)}: {_value(value, lang)}"
            look = {"color": colour, "marker": groups.MARKERS[place % len(groups.MARKERS)], "markersize": 6}
            axes.plot(points["seconds"] / 60, points["validation_mse"], linestyle="", **look, label=name)
        steps = {"color": style.GREY, "linewidth": 1.2, "drawstyle": "steps-post", "zorder": 0}
        axes.plot(front["seconds"] / 60, front["validation_mse"], label=say("Pareto front", lang), **steps)
        for name, records in _points(stage).items():
            mse, seconds = objectives(records[0])
            axes.plot([seconds / 60], [mse], label=say(SERIES[name], lang), **_mark(name, 13))
        _at_the_edge(axes, complete.loc[outside, "seconds"] / 60, complete.loc[outside, "validation_mse"], lang)
        axes.set(xlabel=say("Time (min)", lang), ylabel=say("Validation MSE (eV²)", lang))
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(style.number_axis(lang, 1))
        style.log_axis(axes, lang, ticks=_TICKS)
    return figure


def effects(stage: Stage, names: Sequence[str], *, lang: str) -> style.BookFigure:
    """Validation MSE against each of some hyperparameters, a point per trial; the other hyperparameters vary too.

    Marks show the trial that our rule chooses and the report's, each in all of its seeds.
    """
    complete, shown = _complete(stage.trials), ["run", *names, "validation_mse", "series"]
    outside = _outside(complete)
    inside = complete[~outside]
    points = {
        point: pd.DataFrame([parameters_of(record.config) for record in records]).assign(
            run=[record.id for record in records], validation_mse=_losses(records), series=say(SERIES[point], lang)
        )
        for point, records in _points(stage).items()
    }
    data = pd.concat([complete.assign(series=say("a trial", lang)), *points.values()])
    alt = mark(
        "A plot per hyperparameter with the validation mean squared error on a log scale and a point per trial; two "
        "kinds of frame mark the rule’s choice and the thesis’s values, one per seed."
    )
    with style.figure(say(alt, lang), data[shown].rename(columns=UNITS), height=3.6, legend=3) as figure:
        plots = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(plots, names, strict=True):
            look = {"color": style.GREY, "markersize": 5, "alpha": 0.7, "label": say("a trial", lang)}
            axes.plot(inside[name], inside["validation_mse"], "o", **look)
            for point, rows in points.items():
                axes.plot(rows[name], rows["validation_mse"], label=say(SERIES[point], lang), **_mark(point, 9))
            _at_the_edge(axes, complete.loc[outside, name], complete.loc[outside, "validation_mse"], lang)
            axes.set_xlabel(fill(say(NAMES[name], lang), 60 // len(names)), fontsize=9.5)
            if name == "learning_rate":
                axes.set_xscale("log")
            elif name == "batch_size":
                axes.set_xscale("log", base=2)
                axes.set_xticks(sorted(complete[name].unique()))
                axes.xaxis.set_major_formatter(style.number_axis(lang))
            style.log_axis(axes, lang, ticks=_TICKS)
        plots[0].set_ylabel(say("Validation MSE (eV²)", lang))
    return figure


def curves(stage: Stage, *, lang: str) -> style.BookFigure:
    """Validation loss by epoch: the runs on the Pareto front, and the rule's choice and the report's in all seeds.

    A vertical line marks the report's number of epochs where a run has more.
    """
    front = pareto_front(stage.trials)["run"]
    shown = {"front_runs": [stage.records[run] for run in front]} | _points(stage)
    data = [
        baseline.of_runs(records, lambda record: record.history[["epoch", "validation_loss"]]).assign(
            series=say(SERIES[name], lang)
        )
        for name, records in shown.items()
    ]
    alt = mark(
        "Validation mean squared error by epoch on a log scale: a thin line per trial on the Pareto front, and a "
        "thick one per seed of the rule’s choice and of the thesis’s values. All fall, and jump up and down from "
        "one epoch to the next."
    )
    with style.figure(say(alt, lang), pd.concat(data).rename(columns=UNITS), height=4.2, legend=2) as figure:
        axes = figure.subplots()
        looks = {"front_runs": {"color": style.GREY, "linewidth": 0.9, "zorder": 1}}
        looks |= {name: {"color": colour, "linewidth": 1.6} for name, (_, colour) in _POINTS.items()}
        for name, record in ((name, record) for name, records in shown.items() for record in records):
            history, said = record.history, say(SERIES[name], lang)
            axes.plot(history["epoch"], history["validation_loss"], label=said, **looks[name])
        if _longer(stage):
            axes.axvline(thesis.STAGE1_EPOCHS, color=style.BLACK, linestyle=":", label=say("the thesis’s epochs", lang))
        axes.set_xlabel(say("Epoch", lang))
        style.log_axis(axes, lang, name=say("Validation MSE (eV²)", lang), ticks=_TICKS)
    return figure


def front_table(trials: pd.DataFrame, names: Sequence[str], *, lang: str) -> pd.DataFrame:
    """A row per trial on the Pareto front, quickest first: its hyperparameters, time and validation MSE."""
    front = pareto_front(trials)
    digits = {name: max((len(_value(v, "en").partition(".")[2]) for v in front[name]), default=0) for name in names}
    rows = [
        {say(NAMES[name], lang): style.number(_rounded(trial[name]), lang, digits[name]) for name in names}
        | {
            say("Time (min)", lang): style.number(trial["seconds"] / 60, lang, 1),
            say("Validation MSE (eV²)", lang): style.number(trial["validation_mse"], lang, 4),
        }
        for _, trial in front.iterrows()
    ]
    return pd.DataFrame(rows, index=front["run"].tolist()).rename_axis(columns=say("Run", lang))


def value_table(trials: pd.DataFrame, name: str, *, lang: str) -> pd.DataFrame:
    """A row per value of a hyperparameter: number of trials, median time, median and lowest validation MSE."""
    rows = {
        _value(value, lang): {
            say("Trials", lang): style.number(len(of_value), lang),
            say("Time, median (min)", lang): style.number(of_value["seconds"].median() / 60, lang, 1),
            say("Validation MSE, median (eV²)", lang): style.number(of_value["validation_mse"].median(), lang, 4),
            say("Lowest (eV²)", lang): style.number(of_value["validation_mse"].min(), lang, 4),
        }
        for value, of_value in _complete(trials).groupby(name)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say(NAMES[name], lang))


def seeds_table(stage: Stage, names: Sequence[str], *, lang: str) -> pd.DataFrame:
    """A row for the report's point and one for the rule's choice: hyperparameters, and validation MSE over seeds.

    If the runs have more epochs than the report chose, the validation MSE after as many stands beside the last one.
    There is no time: the seeds were run while the machine did this and that.
    """
    longer, rows = _longer(stage), {}
    for name, records in reversed(_points(stage).items()):
        values = parameters_of(records[0].config)
        row = {say(NAMES[each], lang): _value(values[each], lang) for each in names}
        row[say("Seeds", lang)] = style.number(len(records), lang)
        if longer:
            after = say("Validation MSE, epoch {epoch} (eV²)", lang, epoch=style.number(thesis.STAGE1_EPOCHS, lang))
            row[after] = style.mean_and_deviation(map(_after_report, records), lang, 4)
        row[say("Validation MSE (eV²)", lang)] = style.mean_and_deviation(_losses(records), lang, 4)
        rows[say(SERIES[name], lang)] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Values", lang))


def parameters_table(verdict: Verdict, *, lang: str) -> pd.DataFrame:
    """A row per hyperparameter: whether the validation loss goes with it (`verdicts.stage2`), corrected by Holm."""
    rows = {
        say(NAMES[part.name], lang): {
            say("Spearman with MSE", lang): style.number(part.effect, lang, 2),
            say("p by permutation", lang): style.number(part.p_rejected, lang, 4),
            say("Goes with it", lang): say("yes" if part.verdict == "rejected" else "not seen", lang),
        }
        for part in verdict.parts
        if part.family == "parameters"
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Hyperparameter", lang))


_HAVE = messages({"none": "none has", "one": "one has", "many": "{number} have"})


def facts(stage: Stage, *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on a stage quotes; the same keys in both languages.

    - `report…`, `chosen…`: of the report's point and of the rule's choice, over their seeds. `chosen_first` is the loss
      by which the trial was chosen, `chosen_others` that of the seeds which had no part in it, and `times` the report's
      mean over that of these; `…_range` is the largest loss over the smallest.
    - `of_batch`: how many other trials have the report's batch size; `better_of_batch`: how many of these have a lower
      loss than the mean of its seeds.
    - `…_batch_minutes`: the median time of the trials with its batch size, by which times can be compared, since other
      work ran on the machine; `same_work` is the largest ratio of the times of two trials of one batch size.
    - `jump`: by what factor a run's validation loss varies over its last epochs; `over_lowest`: what the last is over
      the lowest; `lowest_at`: the epoch of the lowest (medians over trials).
    - `spread`: the ratio of the ninth to the first decile over trials of the last loss; `spread_smooth`: that of the
      geometric mean over the last epochs.
    - `correlation_…`: Spearman's, of a hyperparameter that varies with the last loss.
    """
    complete, front = _complete(stage.trials), pareto_front(stage.trials)
    losses = [stage.records[run].history["validation_loss"].to_numpy() for run in complete["run"]]
    smooth = np.array([np.log(each[-_LAST:]).mean() for each in losses])
    ours = _losses(stage.chosen)
    best, worst = (complete.loc[getattr(complete["validation_mse"], which)()] for which in ("idxmin", "idxmax"))
    by_batch = complete.groupby("batch_size")["seconds"]
    found = {
        "trials": style.number(len(complete), lang),
        "front": style.number(len(front), lang),
        "seeds": style.number(len(stage.chosen), lang),
        "epochs": style.number(max(map(len, losses)), lang),
        "tolerance": style.percent(TOLERANCE, lang),
        "best": style.number(best["validation_mse"], lang, 4),
        "worst": style.number(worst["validation_mse"], lang, 2),
        "quickest": style.number(complete["seconds"].min() / 60, lang, 1),
        "slowest": style.number(complete["seconds"].max() / 60, lang, 1),
        "same_work": style.number((by_batch.max() / by_batch.min()).max(), lang, 1),
        "chosen": style.mean_and_deviation(ours, lang, 4),
        "chosen_range": style.number(max(ours) / min(ours), lang, 1),
        "chosen_batch_minutes": _minutes_of_batch(complete, stage.chosen[0], lang),
        "chosen_first": style.number(ours[0], lang, 4),
        "last": style.number(_LAST, lang),
        "jump": style.number(float(np.median([each[-_LAST:].max() / each[-_LAST:].min() for each in losses])), lang, 1),
        "over_lowest": style.number(float(np.median([each[-1] / each.min() for each in losses])), lang, 2),
        "spread": style.number(np.exp(deciles_apart(np.log([each[-1] for each in losses]))), lang, 1),
        "spread_smooth": style.number(np.exp(deciles_apart(smooth)), lang, 1),
        "lowest_at": style.number(float(np.median([each.argmin() + 1 for each in losses])), lang),
    }
    for name, value in parameters_of(stage.chosen[0].config).items():
        if (complete[name] != value).any():
            found[f"chosen_{name}"] = _value(value, lang)
            found[f"worst_{name}"] = _value(worst[name], lang)
            correlation = spearmanr(complete[name], complete["validation_mse"]).statistic
            found[f"correlation_{name}"] = style.number(float(correlation), lang, 2)
    if ours[1:]:
        found["chosen_others"] = style.mean_and_deviation(ours[1:], lang, 4)
    if stage.report:
        reports = _losses(stage.report)
        found |= {
            "report": style.mean_and_deviation(reports, lang, 4),
            "report_range": style.number(max(reports) / min(reports), lang, 1),
            "report_epochs": style.number(thesis.STAGE1_EPOCHS, lang),
            "report_after": style.mean_and_deviation(map(_after_report, stage.report), lang, 4),
            "report_batch_minutes": _minutes_of_batch(complete, stage.report[0], lang),
        }
        same = complete["batch_size"] == stage.report[0].config.training.batch_size
        of_batch = complete[same & (complete["run"] != stage.report[0].id)]["validation_mse"]
        found["of_batch"] = style.number(len(of_batch), lang)
        better = int((of_batch < np.mean(reports)).sum())
        found["better_of_batch"] = counted(_HAVE, better, lang, number=style.number(better, lang))
        if ours[1:]:
            found["times"] = style.number(float(np.mean(reports) / np.mean(ours[1:])), lang, 1)
    return found


def default_facts(stage: Stage, default: Sequence[Record], *, lang: str) -> dict[str, str]:
    """The model Default's validation loss, eV², and whether a stage's report point has a lower one (means)."""
    losses = _losses(default)
    better = float(np.mean(_losses(stage.report))) < float(np.mean(losses))
    return {
        "mse": style.mean_and_deviation(losses, lang, 4),
        "compared": say("less than" if better else "no less than", lang),
    }


def verdict_facts(verdict: Verdict, *, lang: str) -> dict[str, str]:
    """What the prose quotes of a verdict on the second stage; the same keys in both languages.

    `ratio` is that of the ninth to the first decile of the validation loss, from `low` to `high`; `by_seeds` is what
    seeds alone would give, and `limit` what the claim allows.
    """
    low, high = verdict.interval
    ratios = {"ratio": verdict.effect, "low": low, "high": high, "limit": verdict.threshold}
    ratios["by_seeds"] = verdict.details["ratio_by_seeds"]
    found = {name: style.number(value, lang, 2) for name, value in ratios.items()}
    return {"verdict": say(VERDICTS[verdict.verdict], lang)} | found


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["state"] == "complete"].drop_duplicates("run")


def _points(stage: Stage) -> dict[str, Sequence[Record]]:
    """The records of the rule's choice and of the report's point, by their label; none of the latter if there is none.

    The report's alone if the rule chooses it.
    """
    if stage.report and stage.report[0].id == stage.chosen[0].id:
        return {"report_choice": stage.report}
    found = {"our_choice": stage.chosen, "report_choice": stage.report}
    return {name: records for name, records in found.items() if records}


def _minutes_of_batch(complete: pd.DataFrame, record: Record, lang: str) -> str:
    same = complete[complete["batch_size"] == record.config.training.batch_size]
    return style.number(same["seconds"].median() / 60, lang, 1)


def _outside(complete: pd.DataFrame) -> pd.Series:
    return complete["validation_mse"] > _OUTSIDE * complete["validation_mse"].median()


def _at_the_edge(axes: Axes, places: pd.Series, losses: pd.Series, lang: str) -> None:
    """Trials outside a plot: an arrow at its upper edge, and the validation loss, eV²."""
    for place, loss in zip(places, losses, strict=True):
        where = (place, 1), (0, -16), ("data", "axes fraction"), "offset points"
        arrow = {"arrowstyle": "->", "color": style.GREY}
        axes.annotate(style.number(loss, lang, 1), *where, arrow, ha="center", va="top", fontsize=9)
        axes.axvline(place, linewidth=0)  # the x axis reaches as far


def _mark(point: str, size: float) -> dict[str, object]:
    marker, colour = _POINTS[point]
    edge = {"markeredgecolor": colour, "markeredgewidth": 1.8}
    return {"marker": marker, "markerfacecolor": "none", "markersize": size, "linestyle": ""} | edge


def _value(value: float, lang: str) -> str:
    """A hyperparameter's value: whole numbers in full, others with three significant digits."""
    return style.plain_number(_rounded(value), lang)


def _rounded(value: float) -> float:
    return value if float(value).is_integer() else float(f"{value:.3g}")


def _losses(records: Sequence[Record]) -> list[float]:
    return [objectives(record)[0] for record in records]


def _longer(stage: Stage) -> bool:
    """Whether the runs have more epochs than the report chose."""
    return max(len(record.history) for record in stage.chosen) > thesis.STAGE1_EPOCHS


def _after_report(record: Record) -> float:
    """A run's validation loss after as many epochs as the report chose, or its last if it has fewer, eV²."""
    return float(record.history["validation_loss"].iloc[: thesis.STAGE1_EPOCHS].iloc[-1])
