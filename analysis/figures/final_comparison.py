"""Figures and tables of the final comparison: the model "Default" against the model "Custom".

Functions take the records of `study.FinalComparisonParameters` and show all seeds of both models; those on the steps
between the two take the records of `study.DefaultToCustomParameters`.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.data import thesis
from analysis.figures import baseline, groups, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, Arm, Arms
from analysis.runs.records import Record

MODELS = {"default": (style.ORANGE, "o"), "custom": (style.BLUE, "s")}
"""Colour, as in Figure 10 of the report, and marker."""
NAMES = messages({"default": "Default", "custom": "Custom"})

STEPS = {step: Arm(step) for step in ("default", "large", "batch", "features", "cutoff", "custom")}
STEPS["custom_longer"] = Arm("custom", same_updates=True)
"""From Default to Custom, a change more in each, and Custom with as many updates as Default."""

_STEPS = messages(
    {
        "default": "Default",
        "large": "+ more than {atoms} atoms",
        "batch": "+ batches of {batch}",
        "features": "+ {features} features",
        "cutoff": "+ data up to {cutoff} Å",
        "custom": "+ weights, r = {rate} (Custom)",
        "custom_longer": "Custom, Default’s updates",
    }
)


def by_model(records: Arms[Record]) -> dict[str, list[Record]]:
    """The records of each model."""
    return {name: records[name] for name in MODELS}


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per model: general MSE over all held-out molecules and over the test part, and the time of a run."""
    rows = {
        say(NAMES[name], lang): {
            say("MSE, the whole 20% (eV²)", lang): style.mean_and_deviation(baseline.general(of_model), lang, 4),
            say("MSE, test part (eV²)", lang): style.mean_and_deviation(map(_test, of_model), lang, 4),
            say("Time (min)", lang): style.mean_and_deviation(map(baseline.minutes, of_model), lang, 1),
        }
        for name, of_model in by_model(records).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Model", lang))


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the final comparison quotes; the same keys in both languages.

    `better_…` are the sizes, among those that the report shows, at which Custom's mean MSE is the smaller one; `gap_…`
    what lies between the five largest and the five smallest squared errors of a batch in the last epoch (eV²);
    `settled_…` the first epoch whose validation loss is at most one and a half times the lowest.
    """
    models = by_model(records)
    general = {name: float(np.mean(baseline.general(of_model))) for name, of_model in models.items()}
    minutes = {name: float(np.mean(list(map(baseline.minutes, of_model)))) for name, of_model in models.items()}
    found = {
        "seeds": style.number(min(map(len, models.values())), lang),
        "mse_ratio": style.number(general["custom"] / general["default"], lang, 1),
        "minutes_ratio": style.percent(minutes["custom"] / minutes["default"], lang),
    }
    for name, of_model in models.items():
        found[f"mse_{name}"] = style.mean_and_deviation(baseline.general(of_model), lang, 3)
        found[f"minutes_{name}"] = style.number(minutes[name], lang, 1)
        found[f"gap_{name}"] = style.mean_and_deviation(_gap(of_model), lang, 2)
        found[f"settled_{name}"] = style.mean_and_deviation(_settled(of_model), lang, 1)
    shown = _groups(records, lang=lang)
    for protocol in baseline.PROTOCOLS:
        found[f"better_{protocol}"] = groups.lower_in_words(shown["custom"], shown["default"], protocol, lang)
    return found


def error_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of both models (Figure 10 of the report), a plot per protocol; bands over seeds."""
    shown = list(_groups(records, lang=lang).values())
    alt = mark(
        "Two plots of mean squared error by number of atoms on a log scale, with a curve for Default and one for "
        "Custom: with held-out molecules both fall with size; with each size’s own mean both are valleys, that of "
        "Custom farther to the right."
    )
    return groups.error_by_size(shown, alt=say(alt, lang), lang=lang)


def stability(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """How even learning is (Figures 3 and 4 of the report's appendix): a plot per model, means over seeds.

    The loss, and a band from the mean of the five smallest squared errors of a batch to that of the five largest.
    """
    means = {name: _mean_steps(of_model) for name, of_model in by_model(records).items()}
    data = [steps.assign(series=say(NAMES[name], lang)) for name, steps in means.items()]
    units = {name: f"{name}_eV2" for name in ("loss", "lowest", "highest")}
    alt = mark(
        "Two plots of squared error by epoch on a log scale, one per model: the mean of the batch falls fast at "
        "first and slowly later, inside a band from the smallest errors to the largest that spans several powers of "
        "ten. Custom’s lies somewhat higher."
    )
    of_band = {"alpha": 0.35, "linewidth": 0, "label": say("from the five smallest to the five largest", lang)}
    of_mean = {"color": style.BLACK, "linewidth": 1, "label": say("mean of the batch", lang)}
    with style.figure(say(alt, lang), pd.concat(data).rename(columns=units), height=3.8, legend=2) as figure:
        plots = figure.subplots(1, 2, sharey=True)
        for axes, (name, steps) in zip(plots, means.items(), strict=True):
            axes.fill_between(steps["epoch"], steps["lowest"], steps["highest"], color=MODELS[name][0], **of_band)
            axes.plot(steps["epoch"], steps["loss"], **of_mean)
            axes.set_title(say(NAMES[name], lang), fontsize=11)
            axes.set_xlabel(say("Epoch", lang))
            style.log_axis(axes, lang, every=2)
        plots[0].set_ylabel(say("Squared error (eV²)", lang))
    return figure


def by_step(records: Arms[Record], *, lang: str) -> dict[str, groups.Group]:
    """The records of `study.DefaultToCustomParameters` by the last change that they have, from Default to Custom."""
    config = records[CUSTOM][0].config
    values = {
        "atoms": style.number((config.data.selection.smallest or 1) - 1, lang),
        "batch": style.number(config.training.batch_size, lang),
        "features": style.number(config.model.n_atom_basis, lang),
        "cutoff": style.plain_number(config.model.data_cutoff, lang),
        "rate": style.plain_number(config.loss.rate, lang),
    }
    return {
        step: groups.Group(say(_STEPS[step], lang, **values), records[arm], style.BLUE, "o")
        for step, arm in STEPS.items()
    }


def steps(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """What each change from Default to Custom does to the MSE over held-out molecules: a point per seed and step.

    A plot for all of them and one for those of more than 17 atoms.
    """
    shown = by_step(records, lang=lang)
    places = np.arange(len(shown))
    panels, columns = _panels(lang), ("mse_eV2", f"mse_above_{thesis.LARGE}_atoms_eV2")

    def of_run(record: Record) -> dict[str, list[float]]:
        return {name: of([record]) for name, of in zip(columns, panels.values(), strict=True)}

    data = groups.of_groups(list(shown.values()), lambda group: baseline.of_runs(group.records, of_run))
    alt = mark(
        "Two dot plots with a row per accumulated change, from Default to Custom, and the mean squared error on a "
        "log scale, one for all held-out molecules and one for the large ones: a point per seed and a line that "
        "joins the means."
    )
    with style.figure(say(alt, lang), data, height=4.0) as figure:
        plots = figure.subplots(1, 2, sharey=True)
        for axes, (title, of) in zip(plots, panels.items(), strict=True):
            values = [of(group.records) for group in shown.values()]
            axes.plot([np.mean(each) for each in values], places, "-", color=style.GREY, linewidth=1)
            for place, each in zip(places, values, strict=True):
                axes.plot(each, [place] * len(each), "o", color=style.BLUE, markersize=6, alpha=0.8)
            axes.set_xlabel(title.replace(" (", "\n("), fontsize=10)  # on one line it is wider than its plot
            style.log_axis(axes, lang, "x", ticks=(1.0, 2.0, 5.0))
            axes.grid(axis="x")
        plots[0].set_yticks(places, [group.name for group in shown.values()])
        plots[0].invert_yaxis()
    return figure


def steps_table(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per change from Default to Custom: updates, and MSE over held-out molecules, all and above 17 atoms."""
    rows = {
        group.name: {say("Updates", lang): style.number(group.records[0].steps["step"].iloc[-1], lang)}
        | {name: style.mean_and_deviation(of(group.records), lang, 3) for name, of in _panels(lang).items()}
        for group in by_step(records, lang=lang).values()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Changes, one after the other", lang))


def step_facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the prose on the steps quotes: their MSE above 17 atoms and over all, the same keys in both.

    `times_…` is the mean MSE above 17 atoms over that of the step before, as a factor.
    """
    shown = by_step(records, lang=lang)
    above = {step: _above(group.records) for step, group in shown.items()}
    found = {"seeds": style.number(min(map(len, above.values())), lang)}
    for step, group in shown.items():
        found[f"whole_{step}"] = style.mean_and_deviation(baseline.general(group.records), lang, 3)
        found[f"above_{step}"] = style.mean_and_deviation(above[step], lang, 3)
    for before, after in pairwise(STEPS):
        found[f"times_{after}"] = style.number(float(np.mean(above[after]) / np.mean(above[before])), lang, 2)
    return found


def _mean_steps(records: Sequence[Record]) -> pd.DataFrame:
    """The learning curve by step, mean over the runs, which `run` names."""
    return (sum(record.steps for record in records) / len(records)).assign(run=" ".join(r.id for r in records))


def _above(records: Sequence[Record]) -> list[float]:
    return groups.of_sizes(records, groups.SIDES["above"])


def _panels(lang: str) -> dict[str, Callable[[Sequence[Record]], list[float]]]:
    """The MSE over all held-out molecules and over the large ones, by its name."""
    above = say(groups.MSE["above"], lang, atoms=style.number(thesis.LARGE, lang))
    return {say("MSE, the whole 20% (eV²)", lang): baseline.general, above: _above}


def _gap(records: Sequence[Record]) -> list[float]:
    """What lies between the five largest and the five smallest squared errors in the last epoch, eV², per seed."""
    return [float(record.history["highest"].iloc[-1] - record.history["lowest"].iloc[-1]) for record in records]


def _settled(records: Sequence[Record]) -> list[int]:
    """The first epoch, per seed, whose validation loss is at most one and a half times the lowest."""
    losses = [record.history.set_index("epoch")["validation_loss"] for record in records]
    return [int((loss <= 1.5 * loss.min()).idxmax()) for loss in losses]


def _groups(records: Arms[Record], *, lang: str) -> dict[str, groups.Group]:
    return {name: groups.Group(say(NAMES[name], lang), of, *MODELS[name]) for name, of in by_model(records).items()}


def _test(record: Record) -> float:
    return float(np.mean(record.errors.loc[record.errors["test"], "error"].astype(float) ** 2))
