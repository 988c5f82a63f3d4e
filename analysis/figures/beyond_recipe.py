"""How the model "Beyond" was found: the validation error after each change of the thesis's model "Default".

Every function takes the records of `study.RecipeParameters`. Their errors are those of the validation part, on which
the changes were chosen.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.figures import baseline, groups, style
from analysis.figures.beyond import minutes, whole_or_tenths
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

_CHANGES = messages(
    {
        "default": "Default",
        "offsets": "+ energies per element",
        "loss": "+ Huber’s loss",
        "schedule": "+ rate 0.002, warm-up, cosine",
        "batch": "+ batches of 128",
        "size": "+ 64 features, 4 blocks, 32 Gaussians",
        "optimizer": "+ SOAP in place of AdamW",
        "representation": "+ PaiNN in place of SchNet",
        "adamw": "AdamW in place of SOAP",
        "squared": "squared loss",
        "averaging": "averaged weights",
        "batch-growth": "batches 4 times as large halfway",
        "cutoff": "cutoff of 4 Å",
        "gaussians": "40 Gaussians in place of 20",
        "layers": "2 blocks in place of 3",
        "width": "32 features in place of 64",
    }
)


def by_change(records: Arms[Record], *, lang: str) -> dict[Arm, groups.Group]:
    """The records of `study.RecipeParameters` by the last change that they have, then by what is varied in the last."""
    return {arm: groups.Group(say(_CHANGES[_key(arm)], lang), of, style.GREEN, "o") for arm, of in records.items()}


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per change: mean absolute error over the validation part (meV), over seeds, and what is left of it.

    What is left is next to the step before; for a variation, next to the last step.
    """
    shown = by_change(records, lang=lang)
    errors, means = _errors(shown)
    rows = {
        shown[arm].name: {
            say("Validation MAE (meV)", lang): style.mean_and_deviation(errors[arm], lang, 1),
            say("Left of the error before", lang): "" if before is None else style.percent(means[arm] / before, lang),
        }
        for arm, before in _set_beside(means).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Change", lang))


def waterfall(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Mean absolute error over the validation part after each change from "Default" to "Beyond": a point per run.

    A bar goes from the error before the change to the one after it, in another colour where the error grows. Below a
    line, what was tried in place of a setting of the last step; there the bars begin at that step.
    """
    shown = by_change(records, lang=lang)
    errors, means = _errors(shown)
    data = groups.of_groups(
        list(shown.values()),
        lambda group: baseline.of_runs(
            group.records, lambda record: {"validation_mae_meV": [_error(record)], "minutes": [minutes(record)]}
        ),
    )
    changes = sum(arm.role != "variation" for arm in shown)
    alt = mark(
        "Waterfall of the validation error on a log scale: each bar goes from the error before a change to the one "
        "after it, from Default at the top right to Beyond at the bottom left."
    )
    with style.figure(say(alt, lang), data, height=0.34 * len(shown) + 1.4) as figure:
        axes = figure.subplots()
        for place, (arm, before) in enumerate(_set_beside(means).items()):
            mean, start = means[arm], means[arm] if before is None else before
            colour = style.GREEN if mean <= start else style.VERMILION
            axes.barh(place, mean - start, left=start, color=colour, alpha=0.45)
            axes.plot(errors[arm], [place] * len(errors[arm]), "o", color=style.BLACK, markersize=4)
            where = {"xy": (max(*errors[arm], start), place), "xytext": (6, 0), "textcoords": "offset points"}
            axes.annotate(whole_or_tenths(mean, lang), **where, va="center", fontsize=10)
        if changes < len(shown):
            axes.axhline(changes - 0.5, color=style.BLACK, linewidth=1)
        axes.set_yticks(range(len(shown)), [group.name for group in shown.values()])
        axes.invert_yaxis()
        style.log_axis(axes, lang, "x", name=say("Validation MAE (meV)", lang))
        axes.grid(axis="x")
        every = [error for of_runs in errors.values() for error in of_runs]
        axes.set_xlim(min(every) / 1.3, max(every) * 1.6)
    return figure


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the recipe quotes; the same keys in both languages.

    `recipe_…` is the mean absolute error over the validation part (meV) with each change, `recipe_share_…` what is left
    of the error without it: for a step the one before, for a variation the last step.
    """
    shown = by_change(records, lang=lang)
    errors, means = _errors(shown)
    found = {
        "recipe_seeds": style.number(min(map(len, errors.values())), lang),
        "recipe_epochs": style.number(next(iter(shown.values())).records[0].config.training.epochs, lang),
    }
    for arm, before in _set_beside(means).items():
        found[f"recipe_{_key(arm)}"] = whole_or_tenths(means[arm], lang)
        if before is not None:
            found[f"recipe_share_{_key(arm)}"] = style.percent(means[arm] / before, lang)
    return found


def _set_beside(means: Mapping[Arm, float]) -> dict[Arm, float | None]:
    """The mean of the step before each change or, for a variation, of the last step; None for where it all begins."""
    found, before = {}, None
    for arm, mean in means.items():
        found[arm] = before
        before = before if arm.role == "variation" else mean
    return found


def _errors(shown: Mapping[Arm, groups.Group]) -> tuple[dict[Arm, list[float]], dict[Arm, float]]:
    """Errors over the validation part per run, and their means, meV."""
    errors = {arm: [_error(record) for record in group.records] for arm, group in shown.items()}
    return errors, {arm: float(np.mean(of_runs)) for arm, of_runs in errors.items()}


def _error(record: Record) -> float:
    return style.MEV * float(record.errors["error"][~record.errors["test"]].astype(float).abs().mean())


def _key(arm: Arm) -> str:
    """The name of a change or variation; "default" for where it all begins."""
    return arm.value or arm.role
