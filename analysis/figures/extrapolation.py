"""Trained up to a number of heavy atoms, tested above it: each model beside itself with such molecules in its training.

Functions take the records of `study.ExtrapolationParameters`, the molecules, and the verdicts of `extrapolates`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.data.molecules import Molecules
from analysis.evaluation.extrapolation import Errors, found, heavy
from analysis.evaluation.verdicts import FACTOR, Verdict
from analysis.figures import final_comparison, replication, style
from analysis.figures.confirmation import SQUARE
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

_BEYOND = "beyond"
_SETS = messages({"whole": "All sizes", "random": "As many at random", "few": "Up to {heavy} heavy atoms"})
_LOOKS: Mapping[str, Mapping[str, object]] = {
    "whole": {"color": style.GREY, "marker": "o"},
    "random": {"color": style.BLUE, "marker": "s"},
    "few": {"color": style.VERMILION, "marker": "D"},
}
_SIDES = messages({"within": "Up to {heavy} heavy atoms", "above": "More than {heavy} heavy atoms"})


def by_model(arms: Arms[Record], molecules: Molecules, *, lang: str) -> style.BookFigure:
    """Mean absolute error of each model by what it was trained on, on either side of the limit; a mark per seed."""
    limit, of_arms = heavy(arms), found(arms, molecules)
    models = list(dict.fromkeys(one.model for one in of_arms))
    rows = [
        {
            "model": one.model,
            "trained_on": one.trained_on,
            "heavy_atoms": f"<= {limit}" if one.side == "within" else f"> {limit}",
            "run": record.id,
            "mae_meV": mae,
            "mean_error_meV": bias,
        }
        for one in of_arms
        for record, mae, bias in zip(one.records, one.mae, one.bias, strict=True)
    ]
    alt = mark(
        "Mean absolute errors on a log scale, two panels: held-out molecules within the limit of heavy atoms and above "
        "it; a row per model, a mark per seed, in three colours for what it was trained on."
    )
    height = 0.75 * len(models) + 1.6
    with style.figure(say(alt, lang), pd.DataFrame(rows), height=height, legend=3) as figure:
        panels = dict(zip(_SIDES, figure.subplots(1, 2, sharey=True), strict=True))
        for one in of_arms:
            place = models.index(one.model) + {"whole": -0.22, "random": 0.0, "few": 0.22}[one.trained_on]
            panels[one.side].plot(
                one.mae,
                np.full(len(one.mae), place),
                linestyle="",
                label=say(_SETS[one.trained_on], lang, heavy=limit),
                alpha=0.8,
                **_LOOKS[one.trained_on],
            )
        for side, axes in panels.items():
            axes.set_title(say(_SIDES[side], lang, heavy=limit), fontsize=11)
            style.log_axis(axes, lang, "x", name=say("MAE (meV)", lang), ticks=(1, 2, 5))
            axes.grid(axis="x")
        panels["within"].set_yticks(range(len(models)), [say(_NAMES[model], lang) for model in models])
        panels["within"].invert_yaxis()
    return figure


def table(arms: Arms[Record], molecules: Molecules, *, lang: str) -> style.WordTable:
    """A row per model and training set: how many molecules, and errors on either side of the limit, over seeds."""
    limit, rows = heavy(arms), {}
    for one in found(arms, molecules):
        name = f"{say(_NAMES[one.model], lang)} · {say(_SETS[one.trained_on], lang, heavy=limit)}"
        trained = style.number(one.records[0].about["molecules"]["train"], lang)
        row = rows.setdefault(name, {say("Trained on", lang): trained})
        row[f"{say('MAE (meV)', lang)}: {say(_SIDES[one.side], lang, heavy=limit).lower()}"] = _spread(one.mae, lang)
        if one.side == "above":
            row[say("Its mean error", lang)] = _spread(one.bias, lang)
            row[say("MAE without it", lang)] = _spread(one.mae_without, lang)
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Model and training set", lang))


def claims(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per model: its verdict with effect and interval, and the effect without the mean errors."""
    rows = {
        say(_NAMES[_model(one)], lang): {
            say("Larger molecules raise its error by a tenth or more", lang): replication.cell_or_same(one, lang),
            say("Ratio without the mean errors", lang): replication.effect(one.parts[1], lang),
            say("Seeds", lang): style.number(one.n_seeds, lang),
        }
        for one in verdicts
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Model", lang))


def facts(arms: Arms[Record], molecules: Molecules, verdicts: Sequence[Verdict], *, lang: str) -> dict[str, str]:
    """The numbers of the prose, the same keys in both languages.

    `mae_<model>_<set>` and `bias_<model>_<set>` above the limit, meV, `within_<model>_<set>` up to it; `effect_<model>`
    of the verdicts with its interval and `unbiased_<model>`, the same without the mean errors.
    """
    of_sides = {side: [one for one in found(arms, molecules) if one.side == side] for side in _SIDES}
    whole = of_sides["above"][0]
    result = {
        "heavy": style.number(heavy(arms), lang),
        "seeds": style.number(len(whole.records), lang),
        "factor": style.number(FACTOR, lang, 1),
        "above": style.number(whole.errors.shape[1], lang),
        "trained": style.number(_few(of_sides["above"], "default").records[0].about["molecules"]["train"], lang),
    }
    for one in of_sides["above"]:
        result[f"mae_{one.model}_{one.trained_on}"] = _spread(one.mae, lang)
        result[f"bias_{one.model}_{one.trained_on}"] = _spread(one.bias, lang)
    result |= {f"within_{one.model}_{one.trained_on}": _spread(one.mae, lang) for one in of_sides["within"]}
    for one in verdicts:
        result[f"effect_{_model(one)}"] = replication.effect(one, lang).translate(SQUARE)
        result[f"unbiased_{_model(one)}"] = replication.effect(one.parts[1], lang).translate(SQUARE)
    return result


def _few(errors: Sequence[Errors], model: str) -> Errors:
    return next(one for one in errors if (one.model, one.trained_on) == (model, "few"))


def _model(verdict: Verdict) -> str:
    return verdict.claim.rpartition("_")[2]


def _spread(values: np.ndarray, lang: str) -> str:
    return style.mean_and_deviation(values, lang, 0 if np.abs(values).mean() >= 30 else 1)


_NAMES = {**final_comparison.NAMES, _BEYOND: mark("Beyond")}
