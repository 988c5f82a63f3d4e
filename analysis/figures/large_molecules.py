"""What might help large molecules, side by side: the error on them against the error on the others.

Every function takes the records of `study.LargeMoleculesParameters`, the baseline's and the directed training's among
them; all make as many updates. Errors are those of held-out molecules, with the offsets of the training part.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import pandas as pd

from analysis.data import thesis
from analysis.evaluation.verdicts.intervals import over_seeds
from analysis.figures import baseline, groups, style
from analysis.figures.words import counted, mark, messages, say
from analysis.runs.arms import DEFAULT, Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

_COLOURS = (style.VERMILION, style.SKY, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.GREY, style.BLUE)
_MARKERS = ("s", "^", "v", "D", "P", "X", "*", "p")
_SUPERSCRIPTS = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FAR = 100  # beyond this times more or less, a ratio's digits say nothing

_REMEDIES = messages(
    {
        "default": "none (the baseline)",
        "more than": "only those of more than {atoms} atoms",
        "stratified": "stratified sampling",
        "per-atom": "loss per atom, N{power}",
        "inverse-frequency": "inverse frequency, α = {rate}",
        "size": "size weight, r = {rate}",
        "size-frequency": "size and frequency weight, r = {rate}",
    }
)
_RATIOS = messages({"up_to": "Ratio, up to {atoms}", "above": "Ratio, more than {atoms}"})
_NAMED = {"default": "none", "more than": "directed", "stratified": "stratified"}


def by_remedy(records: Arms[Record], *, lang: str) -> dict[str, groups.Group]:
    """The records of each remedy, in the order of the study; "none" is the baseline, "directed" large molecules alone.

    Raises MissingArmError if the baseline is not among them.
    """
    arms = {DEFAULT: records[DEFAULT]} | records
    looks = cycle([(style.BLACK, "o"), *zip(_COLOURS, _MARKERS, strict=True)])
    return {
        _key(arm, of[0].config): groups.Group(_name(arm, of[0].config, lang), of, *look)
        for (arm, of), look in zip(arms.items(), looks, strict=False)
    }


def trade_off(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE above 17 atoms against MSE up to it: the mean over seeds, and bars from the best to the worst seed.

    A line joins the remedies than which no other is better on both sides (on the means).
    """
    shown = by_remedy(records, lang=lang)
    errors = {key: _both_sides(group) for key, group in shown.items()}
    front = pareto({key: values.mean(axis=1) for key, values in errors.items()})
    data = groups.of_groups(list(shown.values()), _data)
    alt = mark(
        "Scatter plot: the mean squared error of the large molecules against that of the others, both on log "
        "scales, with a point per remedy and bars from the best seed to the worst; a line joins the remedies that "
        "no other beats on both errors at once."
    )
    with style.figure(say(alt, lang), data, height=5.6) as figure:
        axes = figure.subplots()
        corners = np.array([errors[key].mean(axis=1) for key in front])
        axes.plot(*corners.T, color=style.GREY, linewidth=1.2, zorder=0, label=say("Pareto front", lang))
        for key, group in shown.items():
            rest, large = errors[key]
            bars = [[[values.mean() - values.min()], [values.max() - values.mean()]] for values in (rest, large)]
            look = {"color": group.colour, "marker": group.marker, "markersize": 8, "linestyle": "", "capsize": 3}
            drawn = axes.errorbar(rest.mean(), large.mean(), xerr=bars[0], yerr=bars[1], **look)
            drawn.lines[0].set_label(group.name)  # the caps would hide the marker in the legend
        for side, label in (("up_to", axes.set_xlabel), ("above", axes.set_ylabel)):
            label(say(groups.MSE[side], lang, atoms=style.number(thesis.LARGE, lang)))
        axes.grid(visible=True, axis="both")
        axes.margins(0.08)
        for which in ("x", "y"):
            style.log_axis(axes, lang, which, ticks=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def pareto(errors: dict[str, np.ndarray]) -> list[str]:
    """Those than which no other is at least as good on both sides and better on one, by the first side.

    `errors` are float [2] each.
    """
    ordered = sorted(errors, key=lambda key: tuple(errors[key]))
    return [
        key
        for key in ordered
        if not any((errors[other] <= errors[key]).all() and (errors[other] < errors[key]).any() for other in errors)
    ]


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per remedy: MSE on both sides of 17 atoms, and both as a ratio to the baseline's of the same seed.

    The ratios are geometric means over seeds with 95 % intervals (Student's t on their logarithms).
    """
    shown = by_remedy(records, lang=lang)
    atoms = style.number(thesis.LARGE, lang)
    rows = {}
    for key, group in shown.items():
        ratios = {
            say(name, lang, atoms=atoms): "1" if key == "none" else _interval_in_words(found, lang)
            for name, found in zip(_RATIOS.values(), ratio(group, shown["none"]), strict=True)
        }
        rows[group.name] = groups.of_both_sides(group.records, lang) | ratios
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Remedy, at the same updates", lang))


def ratio(group: groups.Group, plain: groups.Group) -> list[tuple[float, float, float]]:
    """Error next to the baseline's of the same seed, up to 17 atoms and above: mean ratio, lower, upper end.

    Geometric means over the seeds that both have, with 95 % intervals; of one seed, infinitely wide ones.
    """
    ours, theirs = (_both_sides(side) for side in same_seeds(group, plain))
    return [over_seeds(logs).factor() for logs in np.log(ours / theirs)]


def same_seeds(group: groups.Group, other: groups.Group) -> tuple[groups.Group, groups.Group]:
    """Both groups with the seeds that both have alone, in the same order."""
    of_other = {record.config.seed: record for record in other.records}
    own = [record for record in group.records if record.config.seed in of_other]
    return replace(group, records=own), replace(other, records=[of_other[record.config.seed] for record in own])


_BELOW_ONE = messages(
    {
        "none": "no interval of the last column lies below 1 as a whole",
        "one": "one interval of the last column lies below 1 as a whole ({remedies})",
        "many": "some intervals of the last column lie below 1 as a whole ({remedies})",
    }
)


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the remedies quotes; the same keys in both languages.

    `ratio_up_to_…` and `ratio_above_…` per remedy, `helped` the remedies whose error above 17 atoms is lower than the
    baseline's with the whole interval, and `hurt` those whose error up to it is higher.
    """
    shown = by_remedy(records, lang=lang)
    found = {
        "seeds": style.number(min(len(group.records) for group in shown.values()), lang),
        "updates": style.number(float(shown["none"].records[0].steps["step"].iloc[-1]), lang),
    }
    for side, values in zip(groups.SIDES, _both_sides(shown["none"]), strict=True):
        found[f"{side}_none"] = style.mean_and_deviation(values, lang, 3)
    ratios = {key: ratio(group, shown["none"]) for key, group in shown.items() if key != "none"}
    for key, sides in ratios.items():
        for side, (middle, _, _) in zip(groups.SIDES, sides, strict=True):
            found[f"ratio_{side}_{key}"] = style.number(middle, lang, 2)
    helped = [shown[key].name for key, (_, (_, _, high)) in ratios.items() if high < 1]
    hurt = [shown[key].name for key, ((_, low, _), _) in ratios.items() if low > 1]
    return found | {
        "helped": counted(_BELOW_ONE, len(helped), lang, remedies="; ".join(helped)),
        "hurt": listed(hurt, lang),
    }


def listed(names: Sequence[str], lang: str) -> str:
    """The names of remedies, or that there is none."""
    return "; ".join(names) or say("none", lang)


def _interval_in_words(found: tuple[float, float, float], lang: str) -> str:
    value, low, high = (_ratio_in_words(each, lang) for each in found)
    return f"{value} ({low} – {high})"


def _ratio_in_words(ratio: float, lang: str) -> str:
    if ratio > _FAR:
        return f"> {style.number(_FAR, lang)}" if np.isfinite(ratio) else "∞"
    return f"< {style.number(1 / _FAR, lang, 2)}" if 0 < ratio < 1 / _FAR else style.number(ratio, lang, 2)


def _both_sides(group: groups.Group) -> np.ndarray:
    """MSE up to 17 atoms and above it, per seed: float [2, seeds], eV²."""
    return np.array([groups.of_sizes(group.records, sizes) for sizes in groups.SIDES.values()])


def _data(group: groups.Group) -> pd.DataFrame:
    names = {side: f"mse_{side}_{thesis.LARGE}_atoms_eV2" for side in groups.SIDES}
    return baseline.of_runs(
        group.records,
        lambda record: {names[side]: groups.of_sizes([record], sizes) for side, sizes in groups.SIDES.items()},
    )


def _key(arm: Arm, config: RunConfig) -> str:
    if arm.role == "fine-tuned, share":
        return f"fine_tuned_{config.fine_tuning.epochs}"
    return _NAMED.get(arm.role) or f"{arm.role.replace('-', '_')}_{arm.value:g}"


def _name(arm: Arm, config: RunConfig, lang: str) -> str:
    if arm.role == "fine-tuned, share":
        whole, fine = config.training.epochs, config.fine_tuning.epochs
        epochs = {"whole": style.number(whole, lang), "fine": style.number(fine, lang)}
        return say("{whole} epochs on all, {fine} on the large ones", lang, **epochs)
    if arm.role in _NAMED:
        return say(_REMEDIES[arm.role], lang, atoms=style.number(arm.value or 0, lang))
    return weighting_name(arm, lang)


def weighting_name(arm: Arm, lang: str) -> str:
    """What a weighting of the loss is called, with its rate."""
    rate = style.plain_number(arm.value, lang)
    power = f"−{rate}".translate(_SUPERSCRIPTS)
    return say(_REMEDIES[arm.role], lang, rate=rate, power=power)
