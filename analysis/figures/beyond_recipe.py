"""How the model "Beyond" was found: the validation error after each change of the thesis's model "Default".

Every function takes the records of `study.RecipeParameters`. Their errors are those of the validation part, on which
the changes were chosen.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import baseline, groups, style
from analysis.figures.beyond import minutes, whole_or_tenths
from analysis.figures.groups import Group
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

_MEV = 1000  # meV per eV

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
    rows = {
        step.group.name: {
            say("Validation MAE (meV)", lang): style.mean_and_deviation(step.errors, lang, 1),
            say("Left of the error before", lang): "" if step.before is None else style.percent(step.left, lang),
        }
        for step in _steps(records, lang)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Change", lang))


def waterfall(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Mean absolute error over the validation part after each change from "Default" to "Beyond": a point per run.

    A bar goes from the error before the change to the one after it, in another colour where the error grows. Below a
    line, what was tried in place of a setting of the last step; there the bars begin at that step.
    """
    shown = _steps(records, lang)
    data = groups.of_groups(
        [step.group for step in shown],
        lambda group: baseline.of_runs(
            group.records, lambda record: {"validation_mae_meV": [_error(record)], "minutes": [minutes(record)]}
        ),
    )
    changes = sum(step.arm.role != "variation" for step in shown)
    alt = mark(
        "Waterfall of the validation error on a log scale: each bar goes from the error before a change to the one "
        "after it, from Default at the top right to Beyond at the bottom left."
    )
    with style.figure(say(alt, lang), data, height=0.34 * len(shown) + 1.4) as figure:
        axes = figure.subplots()
        before = [step.mean if step.before is None else step.before for step in shown]
        widths = [step.mean - start for step, start in zip(shown, before, strict=True)]
        colours = [style.GREEN if width <= 0 else style.VERMILION for width in widths]
        axes.barh(range(len(shown)), widths, left=before, color=colours, alpha=0.45)
        for place, (step, start) in enumerate(zip(shown, before, strict=True)):
            axes.plot(step.errors, [place] * len(step.errors), "o", color=style.BLACK, markersize=4)
            end = max(*step.errors, start)
            said = whole_or_tenths(step.mean, lang)
            axes.annotate(said, (end, place), (6, 0), textcoords="offset points", va="center", fontsize=10)
        if changes < len(shown):
            axes.axhline(changes - 0.5, color=style.BLACK, linewidth=1)
        axes.set_yticks(range(len(shown)), [step.group.name for step in shown])
        axes.invert_yaxis()
        style.log_axis(axes, lang, "x", name=say("Validation MAE (meV)", lang))
        axes.grid(axis="x")
        every = [error for step in shown for error in step.errors]
        axes.set_xlim(min(every) / 1.3, max(every) * 1.6)
    return figure


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the recipe quotes; the same keys in both languages.

    `recipe_…` is the mean absolute error over the validation part (meV) with each change, `recipe_share_…` what is left
    of the error without it: for a step the one before, for a variation the last step.
    """
    shown = _steps(records, lang)
    found = {
        "recipe_seeds": style.number(min(len(step.errors) for step in shown), lang),
        "recipe_epochs": style.number(shown[0].group.records[0].config.training.epochs, lang),
    }
    for step in shown:
        found[f"recipe_{_key(step.arm)}"] = whole_or_tenths(step.mean, lang)
        if step.before is not None:
            found[f"recipe_share_{_key(step.arm)}"] = style.percent(step.left, lang)
    return found


@dataclass(frozen=True)
class _Step:
    """A change or variation: its errors, meV, and the mean of the step that it is set beside, None for the first."""

    arm: Arm
    group: Group
    errors: list[float]
    before: float | None

    @property
    def mean(self) -> float:
        return float(np.mean(self.errors))

    @property
    def left(self) -> float:
        return self.mean / self.before


def _steps(records: Arms[Record], lang: str) -> list[_Step]:
    found, before = [], None
    for arm, group in by_change(records, lang=lang).items():
        found.append(_Step(arm, group, [_error(record) for record in group.records], before))
        before = before if arm.role == "variation" else found[-1].mean
    return found


def _error(record: Record) -> float:
    return _MEV * float(record.errors["error"][~record.errors["test"]].astype(float).abs().mean())


def _key(arm: Arm) -> str:
    """The name of a change or variation; "default" for where it all begins."""
    return arm.value or arm.role
