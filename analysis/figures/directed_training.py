"""Figures and tables of the directed training: all molecules, only the large ones, and their controls.

Every function takes the records of `study.DirectedTrainingParameters`, the baseline's among them.
"""

from collections.abc import Collection

import pandas as pd

from analysis.data import thesis
from analysis.figures import groups, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arm, Arms
from analysis.runs.records import Record

KINDS = {
    "chosen": {},
    "random": {"random": True},
    "chosen_longer": {"same_updates": True},
    "random_longer": {"random": True, "same_updates": True},
}
"""The large molecules; as many drawn at random; and both with as many updates as the baseline."""

_NAMES = messages(
    {
        "chosen": "more than {atoms} atoms",
        "random": "random, as many as with more than {atoms}",
        "chosen_longer": "more than {atoms} atoms, same updates",
        "random_longer": "random, as many as with more than {atoms}, same updates",
    }
)


def by_training_set(
    records: Arms[Record], *, lang: str, kinds: Collection[str] = ("chosen",)
) -> dict[int, dict[str, groups.Group]]:
    """For each least number of atoms, in ascending order, the groups of `KINDS`; those of `kinds` must be there."""
    found = {}
    for number, atoms in enumerate(dict.fromkeys(arm.value for arm in records.of("more than"))):
        found[atoms + 1] = {}
        for place, (kind, control) in enumerate(KINDS.items(), start=len(KINDS) * number):
            arm = Arm("more than", atoms, **control)
            if arm in records or kind in kinds:
                look = groups.COLOURS[place % len(groups.COLOURS)], groups.MARKERS[place % len(groups.MARKERS)]
                name = say(_NAMES[kind], lang, atoms=style.number(atoms, lang))
                found[atoms + 1][kind] = groups.Group(name, records[arm], *look, "--" if arm.random else "-")
    return found


def error_by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of every training set, a plot per protocol (Figure 9 of the report)."""
    alt = mark(
        "Two plots of mean squared error by number of atoms on a log scale, with five curves: the whole training "
        "part, large molecules alone, the random control, and the last two with as many updates as the first. With "
        "held-out molecules both curves of the large molecules climb at the small sizes; at the large ones all "
        "fall, and those that make as many updates as the first run together below the other two. With each size’s "
        "own mean, the whole part and the controls make one and the same valley, and the large molecules another, "
        "farther to the right, whatever the updates."
    )
    shown = groups.with_baseline(records, by_training_set(records, lang=lang), lang=lang)
    return groups.error_by_size(shown, alt=say(alt, lang), lang=lang, columns=1)


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per training set: molecules, epochs, and MSE over held-out molecules up to 17 atoms and above."""
    rows = {
        group.name: groups.trained_on(group.records, lang) | groups.of_both_sides(group.records, lang)
        for group in groups.with_baseline(records, by_training_set(records, lang=lang), lang=lang)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Training set", lang))


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on directed training quotes; the same keys in both languages.

    They are about the first of the least sizes, with its controls: `above_…` and `below_…` are the MSE over held-out
    molecules on either side of 17 atoms, `near_…` and `far_…` on either side of 19 above it, `ratio_…` the
    means' ratio of the directed training to another above it, at as many epochs or (`longer`) updates, and `better_…`
    the sizes at which it has the smaller mean MSE.
    """
    (large, *_) = by_training_set(records, lang=lang, kinds=KINDS).values()
    shown = {"whole": groups.of_baseline(records, lang=lang)} | large
    whole, chosen, longer = (shown[name].records for name in ("whole", "chosen", "chosen_longer"))
    counts = {
        "seeds": len(chosen),
        "train_whole": groups.training_molecules(whole),
        "train_large": groups.training_molecules(chosen),
        "epochs": chosen[0].config.training.epochs,
        "epochs_longer": longer[0].config.training.epochs,
    }
    found = {name: style.number(count, lang) for name, count in counts.items()}
    means = {}
    for name, group in shown.items():
        below, above = groups.SIDES.values()
        near, far = range(above.start, thesis.CROSSOVER + 1), range(thesis.CROSSOVER + 1, above.stop)
        for side, sizes in {"below": below, "above": above, "near": near, "far": far}.items():
            values = groups.of_sizes(group.records, sizes)
            means[name, side] = sum(values) / len(values)
            found[f"{side}_{name}"] = style.mean_and_deviation(values, lang, 3)
    compared = {"chosen": ("whole", "random"), "chosen_longer": ("whole", "random_longer")}
    for name, other in ((name, other) for name, others in compared.items() for other in others):
        found[f"ratio_{name}_{other}"] = style.number(means[name, "above"] / means[other, "above"], lang, 2)
        for protocol in ("held_out", "as_reported"):
            found[f"better_{name}_{other}_{protocol}"] = groups.lower_in_words(
                shown[name], shown[other], protocol, lang
            )
    return found
