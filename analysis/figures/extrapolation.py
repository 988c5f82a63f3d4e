"""Trained up to a number of heavy atoms, tested above it: each model beside itself with such molecules in its training.

Every function takes the records of `study.ExtrapolationParameters` and the molecules. Errors are those of held-out
molecules, with the offsets of each training's own molecules.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.data.molecules import Molecules
from analysis.figures import final_comparison, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record, held_out_errors

_BEYOND = "beyond"
_SETS = messages({"whole": "All sizes", "random": "As many at random", "few": "Up to {heavy} heavy atoms"})
_LOOKS: Mapping[str, Mapping[str, object]] = {
    "whole": {"color": style.GREY, "marker": "o"},
    "random": {"color": style.BLUE, "marker": "s"},
    "few": {"color": style.VERMILION, "marker": "D"},
}
_SIDES = messages({"within": "Up to {heavy} heavy atoms", "above": "More than {heavy} heavy atoms"})


@dataclass(frozen=True)
class Errors:
    """Errors of one arm of one model on one side of the limit: meV [S, n], a row per record."""

    model: str
    trained_on: str
    side: str
    records: tuple[Record, ...]
    errors: np.ndarray

    @property
    def mae(self) -> np.ndarray:
        """Mean absolute error, meV [S]."""
        return np.abs(self.errors).mean(axis=1)

    @property
    def bias(self) -> np.ndarray:
        """Mean error, prediction less reference, meV [S]."""
        return self.errors.mean(axis=1)

    @property
    def mae_without(self) -> np.ndarray:
        """Mean absolute error after the mean error was taken out, meV [S]."""
        return np.abs(self.errors - self.errors.mean(axis=1, keepdims=True)).mean(axis=1)


def found(arms: Arms[Record], molecules: Molecules) -> list[Errors]:
    """Errors of each model, training set and side of the limit, in the order of the experiment."""
    return list(_found(arms, molecules))


def _found(arms: Arms[Record], molecules: Molecules) -> Iterator[Errors]:
    limit = heavy(arms)
    counted = pd.Series(molecules.heavy_atoms, index=molecules.index)
    for arm, records in arms.items():
        errors = 1e3 * held_out_errors(records)
        few = counted.loc[records[0].errors["index"]].to_numpy() <= limit
        trained_on = "whole" if arm.value is None else "random" if arm.random else "few"
        for side, inside in (("within", few), ("above", ~few)):
            yield Errors(arm.role, trained_on, side, tuple(records), np.compress(inside, errors, axis=1))


def heavy(arms: Arms[Record]) -> int:
    """The most heavy atoms that the small training sets have."""
    (limit,) = {record.config.data.selection.most_heavy for arm in arms for record in arms[arm]} - {None}
    return limit


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


def facts(arms: Arms[Record], molecules: Molecules, *, lang: str) -> dict[str, str]:
    """The numbers of the prose, the same keys in both languages.

    `mae_<model>_<set>` above the limit, meV, `ratio_<model>` of the small set's to that of as many at random (for a
    model without that control to that of all its own), and `unbiased_<model>`, the same ratio without the mean errors.
    """
    above = {(one.model, one.trained_on): one for one in found(arms, molecules) if one.side == "above"}
    limit, whole = heavy(arms), next(iter(above.values()))
    result = {
        "heavy": style.number(limit, lang),
        "seeds": style.number(len(whole.records), lang),
        "above": style.number(whole.errors.shape[1], lang),
    }
    for (model, trained_on), one in above.items():
        result[f"mae_{model}_{trained_on}"] = _spread(one.mae, lang)
        result[f"bias_{model}_{trained_on}"] = _spread(one.bias, lang)
        if trained_on == "few":
            control = above.get((model, "random"), above[model, "whole"])
            result[f"ratio_{model}"] = style.number(one.mae.mean() / control.mae.mean(), lang, 1)
            result[f"unbiased_{model}"] = style.number(one.mae_without.mean() / control.mae_without.mean(), lang, 1)
    return result


def _spread(values: np.ndarray, lang: str) -> str:
    return style.mean_and_deviation(values, lang, 0 if np.abs(values).mean() >= 20 else 1)


_NAMES = {**final_comparison.NAMES, _BEYOND: mark("Beyond")}
