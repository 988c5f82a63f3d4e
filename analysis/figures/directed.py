"""Figures and tables of the directed training: all molecules, only the large ones, and their controls.

Every function takes the records of `study.DirectedTrainingParameters`, the baseline's among them.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.figures import groups, style
from analysis.figures.groups import Group
from analysis.figures.labels import alt, label
from analysis.records import Record

CROSSOVER = 19
"""The report sees its directed training help above so many atoms, and not yet at 18 and 19 (section 5.3.4)."""
_LARGEST = 29  # atoms of QM9's largest molecule


def by_training_set(records: Sequence[Record], *, lang: str) -> dict[int, dict[str, Group]]:
    """For each least number of atoms, in ascending order, the groups that there are of `groups.by_control`.

    Raises ValueError if there is no directed training, or a control alone.
    """
    least = sorted({record.config.data.selection.smallest or 0 for record in records} - {0})
    if not least:
        raise ValueError("there is no record of a directed training")
    found = {}
    for number, smallest in enumerate(least):
        of_size = groups.by_control([r for r in records if r.config.data.selection.smallest == smallest])
        found[smallest] = {}
        for place, (kind, of_kind) in enumerate(of_size.items(), start=len(of_size) * number):
            if of_kind or kind == "chosen":
                look = groups.COLOURS[place % len(groups.COLOURS)], groups.MARKERS[place % len(groups.MARKERS)]
                line = "--" if kind.startswith("random") else "-"
                name = label(f"large_{kind}", lang, atoms=style.number(smallest - 1, lang))
                found[smallest][kind] = Group(name, of_kind, *look, line)
    return found


def error_by_size(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of every training set, a plot per protocol (Figure 9 of the report)."""
    return groups.error_by_size(_all(records, lang), alt=alt("directed_training", lang), lang=lang, columns=1)


def summary(records: Sequence[Record], *, lang: str, boundary: int = 17) -> pd.DataFrame:
    """A row per training set: molecules, epochs, and MSE over held-out molecules up to `boundary` atoms and above."""
    atoms = style.number(boundary, lang)
    rows = {
        group.name: {
            label("train_molecules", lang): style.number(groups.training_molecules(group.records), lang),
            label("epochs", lang): style.number(group.records[0].config.training.epochs, lang),
        }
        | {
            label(key, lang, atoms=atoms): style.mean_and_deviation(groups.of_sizes(group.records, sizes), lang, 3)
            for key, sizes in _sides(boundary).items()
        }
        for group in _all(records, lang)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=label("training_set", lang))


def facts(records: Sequence[Record], *, lang: str, boundary: int = 17) -> dict[str, str]:
    """Every number that the book's prose on directed training quotes; the same keys in both languages.

    They are about the first of the least sizes, with its controls: `above_…` and `below_…` are the MSE over held-out
    molecules on either side of `boundary`, `near_…` and `far_…` on either side of `CROSSOVER` above it, `ratio_…` the
    means' ratio of the directed training to another above it, at as many epochs or (`longer`) updates, and `better_…`
    the sizes at which it has the smaller mean MSE.
    """
    shown = {"whole": groups.of_baseline(records, lang=lang)} | next(iter(by_training_set(records, lang=lang).values()))
    found = {
        "seeds": style.number(len(shown["chosen"].records), lang),
        "train_whole": style.number(groups.training_molecules(shown["whole"].records), lang),
        "train_large": style.number(groups.training_molecules(shown["chosen"].records), lang),
        "epochs": style.number(shown["chosen"].records[0].config.training.epochs, lang),
        "epochs_longer": style.number(shown["chosen_longer"].records[0].config.training.epochs, lang),
    }
    means = {}
    for name, group in shown.items():
        below, above = _sides(boundary).values()
        near, far = range(above.start, CROSSOVER + 1), range(CROSSOVER + 1, above.stop)
        for side, sizes in {"below": below, "above": above, "near": near, "far": far}.items():
            values = groups.of_sizes(group.records, sizes)
            means[name, side] = sum(values) / len(values)
            found[f"{side}_{name}"] = style.mean_and_deviation(values, lang, 3)
    compared = (
        ("chosen", "whole"),
        ("chosen", "random"),
        ("chosen_longer", "whole"),
        ("chosen_longer", "random_longer"),
    )
    for name, other in compared:
        found[f"ratio_{name}_{other}"] = style.number(means[name, "above"] / means[other, "above"], lang, 2)
        for protocol in ("held_out", "as_reported"):
            better = groups.lower_at(shown[name], shown[other], protocol)
            found[f"better_{name}_{other}_{protocol}"] = style.ranges(better, lang) or label("none", lang)
    return found


def _all(records: Sequence[Record], lang: str) -> list[Group]:
    found = [groups.of_baseline(records, lang=lang)]
    return found + [group for kinds in by_training_set(records, lang=lang).values() for group in kinds.values()]


def _sides(boundary: int) -> dict[str, range]:
    """The sizes up to a number of atoms, and those above."""
    return {"mse_up_to": range(1, boundary + 1), "mse_above": range(boundary + 1, max(_LARGEST, boundary) + 1)}
