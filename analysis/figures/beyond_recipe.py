"""How the model "Beyond" was found: the validation error after each change of the thesis's model "Default".

Every function takes the records of `study.RecipeParameters`. Their errors are those of the validation part, on which
the changes were chosen.
"""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figures import groups, style
from analysis.figures.beyond import minutes
from analysis.figures.groups import Group
from analysis.figures.words import messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

_MEV = 1000  # meV per eV
_WHOLE = 30  # meV: errors from here on are written without decimals

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


def by_change(records: Arms[Record], *, lang: str) -> dict[Arm, Group]:
    """The records of `study.RecipeParameters` by the last change that they have, then by what is varied in the last."""
    return {arm: Group(say(_CHANGES[_key(arm)], lang), of, style.GREEN, "o") for arm, of in records.items()}


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per change: mean absolute error over the validation part (meV), over seeds, and what is left of it.

    What is left is next to the step before; for a variation, next to the last step.
    """
    rows, before = {}, None
    for arm, group in by_change(records, lang=lang).items():
        errors = _errors(group)
        mean = float(np.mean(errors))
        rows[group.name] = {
            say("Validation MAE (meV)", lang): style.mean_and_deviation(errors, lang, 1),
            say("Left of the error before", lang): "" if before is None else style.percent(mean / before, lang),
        }
        if arm.role != "variation":
            before = mean
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Change", lang))


def waterfall(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Mean absolute error over the validation part after each change from "Default" to "Beyond": a point per run.

    A bar goes from the error before the change to the one after it, in another colour where the error grows. Below a
    line, what was tried in place of a setting of the last step; there the bars begin at that step.
    """
    shown = by_change(records, lang=lang)
    values = {key: _errors(group) for key, group in shown.items()}
    data = groups.of_groups(
        list(shown.values()),
        lambda group: pd.DataFrame(
            {
                "run": [record.id for record in group.records],
                "seed": [record.config.seed for record in group.records],
                "validation_mae_meV": _errors(group),
                "minutes": [minutes(record) for record in group.records],
            }
        ),
    )
    steps = sum(arm.role != "variation" for arm in shown)
    alt = say(
        "Waterfall of the validation error on a log scale: each bar goes from the error before a change to the one "
        "after it, from Default at the top right to Beyond at the bottom left.",
        lang,
    )
    with style.figure(alt, data, height=0.34 * len(shown) + 1.4) as figure:
        axes = figure.subplots()
        means = [float(np.mean(each)) for each in values.values()]
        before = [means[0], *means[: steps - 1], *[means[steps - 1]] * (len(shown) - steps)]
        colours = [
            style.GREEN if after <= start else style.VERMILION for after, start in zip(means, before, strict=True)
        ]
        axes.barh(range(len(shown)), np.subtract(means, before), left=before, color=colours, alpha=0.45)
        for place, each in enumerate(values.values()):
            axes.plot(each, [place] * len(each), "o", color=style.BLACK, markersize=4)
            text = style.number(means[place], lang, 1 if means[place] < _WHOLE else 0)
            end = max(*each, before[place])
            axes.annotate(text, (end, place), (6, 0), textcoords="offset points", va="center", fontsize=10)
        if steps < len(shown):
            axes.axhline(steps - 0.5, color=style.BLACK, linewidth=1)
        axes.set_yticks(range(len(shown)), [group.name for group in shown.values()])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel(say("Validation MAE (meV)", lang))
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.plain_number(value, lang)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x")
        every = [error for each in values.values() for error in each]
        axes.set_xlim(min(every) / 1.3, max(every) * 1.6)
    return figure


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the recipe quotes; the same keys in both languages.

    `recipe_…` is the mean absolute error over the validation part (meV) with each change, `recipe_share_…` what is left
    of the error without it: for a step the one before, for a variation the last step.
    """
    shown = by_change(records, lang=lang)
    means = {arm: float(np.mean(_errors(of))) for arm, of in shown.items()}
    found = {
        "recipe_seeds": style.number(min(len(group.records) for group in shown.values()), lang),
        "recipe_epochs": style.number(next(iter(shown.values())).records[0].config.training.epochs, lang),
    }
    before = None
    for arm, mean in means.items():
        key = _key(arm)
        found[f"recipe_{key}"] = style.number(mean, lang, 1 if mean < _WHOLE else 0)
        if before is not None:
            found[f"recipe_share_{key}"] = style.percent(mean / before, lang)
        if arm.role != "variation":
            before = mean
    return found


def _errors(group: Group) -> list[float]:
    of_validation = [record.errors["error"][~record.errors["test"]].astype(float) for record in group.records]
    return [_MEV * float(errors.abs().mean()) for errors in of_validation]


def _key(arm: Arm) -> str:
    """The name of a change or variation; "default" for where it all begins."""
    return arm.value or arm.role
