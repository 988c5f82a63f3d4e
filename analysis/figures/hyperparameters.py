"""Figures and tables of the hyperparameter search: quality against time, and what each hyperparameter does.

Every function takes the trials of one sweep, as `trials.trials_of` gives them.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib import colormaps

from analysis.figures import style
from analysis.figures.labels import alt, label
from analysis.trials import choose, pareto_front

REPORT = MappingProxyType(
    {
        "stage1": MappingProxyType({"batch_size": 512, "learning_rate": 1e-3}),
        "stage2": MappingProxyType({"data_cutoff": 4.0, "training_cutoff": 5.0, "n_atom_basis": 38}),
    }
)
"""What the report chose in each stage (section 5.2.1); the epochs of the first are read off the learning curves."""

_LOGARITHMIC = ("batch_size", "learning_rate")


def pareto(trials: pd.DataFrame, chosen_by_report: Mapping[str, float], *, lang: str) -> style.BookFigure:
    """Validation MSE against wall time, a point per trial, its colour the first of the report's hyperparameters.

    A line joins the trials than which no other is both as quick and as good; marks show the one that our rule chooses
    (`trials.choose`) and, if it was tried, the report's.
    """
    complete, front = _complete(trials), pareto_front(trials)
    coloured = next(iter(chosen_by_report))
    values = sorted(complete[coloured].unique())
    with style.figure(alt("pareto", lang), height=4.6) as figure:
        axes = figure.subplots()
        for place, value in enumerate(values):
            points = complete[complete[coloured] == value]
            colour = colormaps["cividis"](place / max(1, len(values) - 1))
            name = f"{label(coloured, lang)}: {style.plain_number(value, lang)}"
            axes.plot(points["seconds"] / 60, points["validation_mse"], "o", color=colour, markersize=6, label=name)
        steps = {"color": style.GREY, "linewidth": 1.2, "drawstyle": "steps-post", "zorder": 0}
        axes.plot(front["seconds"] / 60, front["validation_mse"], label=label("front", lang), **steps)
        choices = {
            "our_choice": (choose(trials).to_frame().T, "o", style.VERMILION),
            "report_choice": (of_report(trials, chosen_by_report), "s", style.BLUE),
        }
        ring = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.8, "linestyle": ""}
        for name, (chosen, marker, colour) in choices.items():
            if len(chosen):
                look = ring | {"marker": marker, "markeredgecolor": colour, "label": label(name, lang)}
                axes.plot(chosen["seconds"] / 60, chosen["validation_mse"], **look)
        axes.set_xlabel(label("minutes", lang))
        axes.set_ylabel(label("validation_mse", lang))
        axes.xaxis.set_major_formatter(style.number_axis(lang, 1))
        style.log_axis(axes, lang)
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def effects(trials: pd.DataFrame, names: Sequence[str], *, lang: str) -> style.BookFigure:
    """Validation MSE against each of some hyperparameters, a point per trial; the other hyperparameters vary too."""
    complete = _complete(trials)
    with style.figure(alt("effects", lang), height=3.0) as figure:
        plots = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(plots, names, strict=True):
            axes.plot(complete[name], complete["validation_mse"], "o", color=style.BLUE, markersize=5, alpha=0.7)
            axes.set_xlabel(label(name, lang), fontsize=9.5)
            if name in _LOGARITHMIC:
                axes.set_xscale("log")
            style.log_axis(axes, lang)
        plots[0].set_ylabel(label("validation_mse", lang))
    return figure


def front_table(trials: pd.DataFrame, names: Sequence[str], *, lang: str) -> pd.DataFrame:
    """A row per trial on the Pareto front, quickest first: its hyperparameters, time and validation MSE."""
    front = pareto_front(trials)
    rows = [
        {label(name, lang): style.plain_number(trial[name], lang) for name in names}
        | {
            label("minutes", lang): style.number(trial["seconds"] / 60, lang, 1),
            label("validation_mse", lang): style.number(trial["validation_mse"], lang, 4),
        }
        for _, trial in front.iterrows()
    ]
    return pd.DataFrame(rows, index=front["run"].tolist()).rename_axis(columns=label("run", lang))


def of_report(trials: pd.DataFrame, chosen_by_report: Mapping[str, float]) -> pd.DataFrame:
    """The complete trials with the report's hyperparameters."""
    complete = _complete(trials)
    same = np.ones(len(complete), dtype=bool)
    for name, value in chosen_by_report.items():
        same &= np.isclose(complete[name].astype(float), value, rtol=1e-6)
    return complete[same]


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["state"] == "complete"].drop_duplicates("run")
