"""Does what the report tried help the model "Beyond"? Remedies at equal updates, group by group of molecules.

Every function takes the records of `study.BeyondRemediesParameters`, those of the plain model among them. Errors are
mean absolute errors over the test part; the groups are all its molecules, those with at most 17 atoms, those
with more, and those with three or more rings.
"""

from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator
from matplotlib.transforms import blended_transform_factory

from analysis.data import descriptors, thesis
from analysis.data.molecules import Molecules
from analysis.evaluation import accuracy
from analysis.evaluation.verdicts.intervals import over_seeds
from analysis.figures import groups, style
from analysis.figures.large_molecules import same_seeds, weighting_name
from analysis.figures.words import counted, mark, messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

_RINGS = 3
_PLAIN = "none"
_NEAR = 2  # ratios below it are told apart by more ticks
_NEAR_TICKS, _TICKS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5), (0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
_LOOKS = MappingProxyType(
    {"all": (style.BLACK, "o"), "up_to": (style.SKY, "v"), "above": (style.BLUE, "^"), "rings": (style.VERMILION, "D")}
)

_GROUPS = messages(
    {
        "all": "all molecules",
        "up_to": "up to {atoms} atoms",
        "above": "more than {atoms} atoms",
        "rings": "three rings or more",
    }
)


def by_remedy(records: Arms[Record], *, lang: str) -> dict[str, groups.Group]:
    """The records of each remedy, in the order of the study; "none" is the plain model.

    Raises MissingArmError if the plain model is not among them.
    """
    arms = {Arm("plain"): records["plain"]} | records
    return {_key(arm): groups.Group(_name(arm, lang), of, style.BLACK, "o") for arm, of in arms.items()}


def ratio(group: groups.Group, plain: groups.Group, members: np.ndarray) -> tuple[float, float, float]:
    """MAE over the test molecules `members` next to the plain model's of the same seed: mean ratio, lower, upper end.

    A geometric mean over the seeds that both have, with a 95 % interval for what differs from seed to seed and for the
    molecules being a sample; of one seed, it is infinitely wide.
    """
    both = same_seeds(group, plain)
    ours, theirs = (np.abs(accuracy.test_errors(side.records))[:, members] for side in both)
    logs = np.log(ours.mean(axis=1) / theirs.mean(axis=1))
    of_molecules = (ours / ours.mean(axis=1, keepdims=True) - theirs / theirs.mean(axis=1, keepdims=True)).mean(axis=0)
    n = len(of_molecules)
    return over_seeds(logs, float(of_molecules.var(ddof=1)) / n, n - 1).factor()


def members(record: Record, molecules: Molecules) -> dict[str, np.ndarray]:
    """Which of a record's test molecules, in the order of `accuracy.test_errors`, are in each group: bool [n] each."""
    of_test = molecules.select(accuracy.test_positions(record, molecules))
    return {
        "all": np.ones(len(of_test), dtype=bool),
        "up_to": of_test.n_atoms <= thesis.LARGE,
        "above": of_test.n_atoms > thesis.LARGE,
        "rings": descriptors.ring_counts(of_test) >= _RINGS,
    }


def summary(records: Arms[Record], molecules: Molecules, *, lang: str) -> pd.DataFrame:
    """A row per remedy: mean absolute error of each group (meV), over seeds."""
    shown = by_remedy(records, lang=lang)
    inside = members(records["plain"][0], molecules)
    rows = {}
    for group in shown.values():
        errors = style.MEV * np.abs(accuracy.test_errors(group.records))
        mae = {_group_name(key, lang): errors[:, chosen].mean(axis=1) for key, chosen in inside.items()}
        rows[group.name] = {name: style.mean_and_deviation(of_seeds, lang, 1) for name, of_seeds in mae.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("MAE (meV), at the same updates", lang))


def ratios(records: Arms[Record], molecules: Molecules, *, lang: str) -> style.BookFigure:
    """Each remedy's error next to the plain model's, a row per remedy and a column of points per group of molecules."""
    shown = by_remedy(records, lang=lang)
    plain = shown.pop(_PLAIN)
    inside = members(records["plain"][0], molecules)
    data = groups.of_groups(list(shown.values()), lambda group: _data(group, plain, inside))
    alt = mark(
        "Points with bars, a row per remedy and a point per group of molecules: the mean absolute error over that "
        "of the plain model, on a log scale, on both sides of a vertical line that marks equality."
    )
    with style.figure(say(alt, lang), data, height=0.75 * len(shown) + 1.5, legend=2) as figure:
        axes = figure.subplots()
        for shift, (key, (colour, marker)) in zip((-0.27, -0.09, 0.09, 0.27), _LOOKS.items(), strict=True):
            found = np.array([ratio(group, plain, inside[key]) for group in shown.values()])
            bars = np.array([found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]])
            look = {"color": colour, "marker": marker, "markersize": 5, "linestyle": "", "capsize": 3}
            places = np.arange(len(shown)) + shift
            drawn = axes.errorbar(found[:, 0], places, xerr=np.where(np.isfinite(bars), bars, 0), **look)
            drawn.lines[0].set_label(_group_name(key, lang))  # the caps would hide the marker in the legend
        axes.axvline(1, color=style.BLACK, linewidth=1)
        where = blended_transform_factory(axes.transData, axes.transAxes)
        for text, side in ((mark("← better"), "right"), (mark("worse →"), "left")):
            shift = (-6 if side == "right" else 6, 0)
            axes.annotate(say(text, lang), (1, 0.02), shift, where, "offset points", ha=side, va="bottom", fontsize=10)
        axes.set_yticks(range(len(shown)), [group.name for group in shown.values()])
        axes.set_ylim(len(shown) - 0.35, -0.6)
        ticks = _NEAR_TICKS if data["ratio"].max() < _NEAR else _TICKS
        style.log_axis(axes, lang, "x", name=say("MAE over that of plain Beyond", lang), ticks=ticks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(axis="x")
    return figure


_HELPED = messages(
    {
        "none": "no remedy clearly lowers the error",
        "one": "one remedy clearly lowers the error ({remedies})",
        "many": "some remedies clearly lower the error ({remedies})",
    }
)
_HURT = messages(
    {
        "none": "none clearly raises it",
        "one": "one clearly raises it ({remedies})",
        "many": "some clearly raise it ({remedies})",
    }
)


def facts(records: Arms[Record], molecules: Molecules, *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on these remedies quotes; the same keys in both languages.

    `remedy_<group>_<remedy>` is the ratio of a group's error to the plain model's; `remedies_helped_<group>` the
    remedies whose whole interval lies below 1 there, `remedies_hurt_<group>` those whose whole interval lies above.
    """
    shown = by_remedy(records, lang=lang)
    plain = shown.pop(_PLAIN)
    found = {
        "remedies_seeds": style.number(min(len(group.records) for group in shown.values()), lang),
        "remedies_epochs": style.number(plain.records[0].config.training.epochs, lang),
    }
    for key, inside in members(records["plain"][0], molecules).items():
        ratios = {remedy: ratio(group, plain, inside) for remedy, group in shown.items()}
        found |= {f"remedy_{key}_{remedy}": style.number(value, lang, 2) for remedy, (value, _, _) in ratios.items()}
        helped = [shown[remedy].name for remedy, (_, _, high) in ratios.items() if high < 1]
        hurt = [shown[remedy].name for remedy, (_, low, _) in ratios.items() if low > 1]
        found[f"remedies_helped_{key}"] = counted(_HELPED, len(helped), lang, remedies="; ".join(helped))
        found[f"remedies_hurt_{key}"] = counted(_HURT, len(hurt), lang, remedies="; ".join(hurt))
    return found


def _data(group: groups.Group, plain: groups.Group, inside: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [(key, int(chosen.sum()), *ratio(group, plain, chosen)) for key, chosen in inside.items()]
    return pd.DataFrame(rows, columns=["group", "molecules", "ratio", "low", "high"]).assign(
        run=" ".join(record.id for record in (*group.records, *plain.records))
    )


def _group_name(key: str, lang: str) -> str:
    return say(_GROUPS[key], lang, atoms=style.number(thesis.LARGE, lang))


def _key(arm: Arm) -> str:
    named = {"plain": _PLAIN, "fine-tuned, rings": "fine_tuned"}
    return named.get(arm.role) or f"{arm.role.replace('-', '_')}_{arm.value:g}"


def _name(arm: Arm, lang: str) -> str:
    if arm.role == "plain":
        return say("Beyond", lang)
    if arm.role == "fine-tuned, rings":
        return say("fine-tuned, {rings} rings or more", lang, rings=style.number(arm.value, lang))
    if arm.role == "cap":
        return say("at most {cap} of each size", lang, cap=style.number(arm.value, lang))
    return weighting_name(arm, lang)
