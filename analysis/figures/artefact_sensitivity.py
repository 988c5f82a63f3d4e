"""How much hangs on the split of the molecules and on the offsets taken from U0 before training.

Every function takes the records of `study.SensitivityParameters`: the models Default and Custom, each with other splits
or other offsets.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.data import statistics, thesis
from analysis.figures import baseline, groups, style
from analysis.figures.final_comparison import NAMES
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import DEFAULT, Arm, Arms
from analysis.runs.records import Record

_MODELS = ("default", "custom")

_SIDES = messages({"up_to": "up to {atoms} atoms (eV²)", "above": "more than {atoms} atoms (eV²)"})
_VARIANTS = messages(
    {"least-squares": "least squares", "references": "free atoms, no mean", "none": "nothing subtracted"}
)


def by_variant(records: Arms[Record], *, lang: str) -> dict[str, dict[str, groups.Group]]:
    """The records of each variant and, in it, of each model that was trained with it.

    "split_0", "split_1" … with the report's offsets, then "least-squares", "references" and "none" with split 0.
    """
    found: dict[str, dict[str, list[Record]]] = {}
    for arm, of_arm in ({DEFAULT: records[DEFAULT]} | records).items():
        found.setdefault(_variant(arm), {})[arm.role] = of_arm
    looks = [(style.BLACK, "o"), *zip(groups.COLOURS, groups.MARKERS, strict=True)]
    return {
        variant: {
            model: groups.Group(_name(variant, lang), models[model], *looks[place % len(looks)])
            for model in _MODELS
            if model in models
        }
        for place, (variant, models) in enumerate(found.items())
    }


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per variant: MSE over held-out molecules of both models, on both sides of 17 atoms, and who wins where.

    `better_…` are the sizes, among those that the report shows, at which Custom's mean MSE is the smaller one.
    """
    atoms = style.number(thesis.LARGE, lang)
    rows = {}
    for models in by_variant(records, lang=lang).values():
        row = {}
        for model in _MODELS:
            for side, sizes in groups.SIDES.items():
                title = f"{say(NAMES[model], lang)}, {say(_SIDES[side], lang, atoms=atoms)}"
                row[title] = _mse(models[model].records, sizes, lang) if model in models else "–"
        for protocol in baseline.PROTOCOLS:
            title = f"{say('Custom better', lang)}, {say(baseline.SHORT_NAMES[protocol], lang)}"
            both = "custom" in models
            row[title] = groups.better(models["custom"], models["default"], protocol, lang) if both else "–"
        rows[models["default"].name] = row
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("What differs", lang))


def error_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE of held-out molecules by number of atoms, a plot per model; the variants' means over seeds, and their bands.

    Without the variant "none", whose errors are of another order.
    """
    shown = {name: models for name, models in by_variant(records, lang=lang).items() if name != "none"}
    of_models = {model: [models[model] for models in shown.values() if model in models] for model in _MODELS}
    tables = {model: groups.mse_by_size(variants) for model, variants in of_models.items()}
    data = pd.concat(tables, names=["model"]).reset_index("model")
    alt = mark(
        "Two plots of the mean squared error of held-out molecules by number of atoms on a log scale, one for "
        "Default and one for Custom, with a curve per split and per way of subtracting reference energies."
    )
    with style.figure(say(alt, lang), data, height=5.9, legend=2) as figure:
        plots = figure.subplots(2, sharex=True)
        for axes, model in zip(plots, _MODELS, strict=True):
            for group in of_models[model]:
                group.draw(axes, "held_out", alpha=0.2)
            axes.set_title(say(NAMES[model], lang), fontsize=11)
            style.log_axis(axes, lang, name=say("MSE (eV²)", lang))
        style.size_axis(plots[-1], lang, minor=None)
    return figure


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the sensitivity quotes; the same keys in both languages.

    `mse_…_…` is the general MSE (eV²) of a model in a variant, `ratio_…` Custom's mean over Default's, `better_…` the
    sizes at which Custom is better; `between_splits` and `between_seeds` are standard deviations of Default's general
    MSE: of the splits' means, and over seeds within a split.
    """
    shown = by_variant(records, lang=lang)
    found = {"seeds": style.number(min(len(g.records) for models in shown.values() for g in models.values()), lang)}
    splits = [baseline.general(models["default"].records) for name, models in shown.items() if name.startswith("split")]
    between_seeds = np.sqrt(np.mean([np.var(each, ddof=1) for each in splits if len(each) > 1]))
    found["between_splits"] = style.number(np.std([np.mean(each) for each in splits], ddof=1), lang, 3)
    found["between_seeds"] = style.number(between_seeds, lang, 3)
    for name, models in shown.items():
        key = name.replace("-", "_")
        means = {model: float(np.mean(baseline.general(group.records))) for model, group in models.items()}
        for model, group in models.items():
            found[f"mse_{model}_{key}"] = _mse(group.records, range(1, statistics.LARGEST_SIZE + 1), lang)
        if "custom" in models:
            found[f"ratio_{key}"] = style.number(means["custom"] / means["default"], lang, 1)
            for protocol in baseline.PROTOCOLS:
                better = groups.lower_in_words(models["custom"], models["default"], protocol, lang)
                found[f"better_{key}_{protocol}"] = better
    return found


def _mse(records: Sequence[Record], sizes: range, lang: str) -> str:
    values = groups.of_sizes(records, sizes)
    return style.mean_and_deviation(values, lang, 3 if np.mean(values) < 10 else 0)


def _variant(arm: Arm) -> str:
    kind, _, value = (arm.value or "split 0").partition(" ")
    return f"split_{value}" if kind == "split" else value


def _name(variant: str, lang: str) -> str:
    if variant.startswith("split_"):
        return say("split {number}", lang, number=style.number(int(variant.removeprefix("split_")), lang))
    return say(_VARIANTS[variant], lang)
