"""Figures and tables of the directed training: all molecules, only the large ones, and as many at random.

Every function takes the records of `study.DirectedTrainingParameters`, the baseline's among them.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.figures import groups, style
from analysis.figures.groups import Group
from analysis.figures.labels import alt, label
from analysis.runs import Record

_LARGEST = 29  # atoms of QM9's largest molecule


def by_training_set(records: Sequence[Record], *, lang: str) -> list[Group]:
    """The whole training part; then, for each least size, the molecules from there on and their random control.

    Raises ValueError if records of the baseline, or of any directed training, are missing.
    """
    whole = [record for record in records if record.config.experiment == "baseline"]
    found = [Group(label("whole_part", lang), whole, style.BLACK, "o")]
    least = sorted({record.config.data.selection.smallest or 0 for record in records} - {0})
    if not least:
        raise ValueError("there is no record of a directed training")
    for number, smallest in enumerate(least):
        chosen = [record for record in records if record.config.data.selection.smallest == smallest]
        for control, name, line in ((False, "large_only", "-"), (True, "random_control", "--")):
            of_kind = [record for record in chosen if record.config.data.selection.random_control == control]
            if control and not of_kind:
                continue
            place = 2 * number + control
            look = groups.COLOURS[place % len(groups.COLOURS)], groups.MARKERS[place % len(groups.MARKERS)], line
            found.append(Group(label(name, lang, atoms=style.number(smallest - 1, lang)), of_kind, *look))
    return found


def error_by_size(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of every training set, a plot per protocol (Figure 9 of the report)."""
    return groups.error_by_size(
        by_training_set(records, lang=lang), alt=alt("directed_training", lang), lang=lang, columns=1
    )


def summary(records: Sequence[Record], *, lang: str, boundary: int = 17) -> pd.DataFrame:
    """A row per training set: its molecules, and the MSE over held-out molecules up to `boundary` atoms and above."""
    atoms = style.number(boundary, lang)
    rows = {
        group.name: {
            label("train_molecules", lang): style.number(groups.training_molecules(group.records), lang),
            label("mse_whole", lang): style.mean_and_deviation(groups.general(group.records), lang, 3),
        }
        | {
            label(key, lang, atoms=atoms): style.mean_and_deviation(groups.of_sizes(group.records, sizes), lang, 3)
            for key, sizes in _sides(boundary).items()
        }
        for group in by_training_set(records, lang=lang)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=label("training_set", lang))


def facts(records: Sequence[Record], *, lang: str, boundary: int = 17) -> dict[str, str]:
    """Every number that the book's prose on directed training quotes; the same keys in both languages.

    They are about the first of the least sizes: `above_…` and `below_…` are the MSE over held-out molecules on either
    side of `boundary`, `…_better_…` the sizes at which the directed training has the smaller mean MSE.
    """
    whole, large, control = by_training_set(records, lang=lang)[:3]
    found = {
        "seeds": style.number(len(large.records), lang),
        "train_whole": style.number(groups.training_molecules(whole.records), lang),
        "train_large": style.number(groups.training_molecules(large.records), lang),
    }
    means = {}
    for name, group in {"whole": whole, "large": large, "control": control}.items():
        for side, sizes in zip(("below", "above"), _sides(boundary).values(), strict=True):
            values = groups.of_sizes(group.records, sizes)
            means[name, side] = sum(values) / len(values)
            found[f"{side}_{name}"] = style.mean_and_deviation(values, lang, 3)
    found["ratio_whole"] = style.number(means["large", "above"] / means["whole", "above"], lang, 1)
    found["ratio_control"] = style.number(means["large", "above"] / means["control", "above"], lang, 2)
    for name, other in {"whole": whole, "control": control}.items():
        for protocol in ("held_out", "as_reported"):
            better = groups.lower_at(large, other, protocol)
            found[f"better_{name}_{protocol}"] = style.ranges(better, lang) or label("none", lang)
    return found


def _sides(boundary: int) -> dict[str, range]:
    """The sizes up to a number of atoms, and those above."""
    return {"mse_up_to": range(1, boundary + 1), "mse_above": range(boundary + 1, max(_LARGEST, boundary) + 1)}
