"""What drives the error of held-out molecules: size, composition, structure, or distance to the training set.

Held-out molecules alone are looked at, with the offsets of the training set (protocol `held_out`); the error of each is
known for every seed.

`seeds` tells what all seeds repeat from their noise. `explain` asks which descriptors explain the error, `size` how
it changes with the number of atoms while the rest is held fixed, `classes` which kinds of molecules are predicted worse
than the others. `record` holds the answers for one model; `python -m analysis drivers` makes it.
"""

from analysis.drivers.classes import (
    CLASSES,
    RELATIVE,
    STRUCTURAL,
    Reason,
    class_ratios,
    members,
    reasons,
    weak_classes,
    weak_group,
)
from analysis.drivers.explain import TARGETS, correlations, groups, importance, rank_correlations, summarised
from analysis.drivers.record import (
    MODELS,
    Drivers,
    DriversError,
    analyse,
    default_folder,
    load,
    records_of,
    save,
)
from analysis.drivers.seeds import by_size, errors_by_seed, parts, repeated, worst_share
from analysis.drivers.size import COMPARISONS, by_unsaturation, size_effects

__all__ = [
    "CLASSES",
    "COMPARISONS",
    "MODELS",
    "RELATIVE",
    "STRUCTURAL",
    "TARGETS",
    "Drivers",
    "DriversError",
    "Reason",
    "analyse",
    "by_size",
    "by_unsaturation",
    "class_ratios",
    "correlations",
    "default_folder",
    "errors_by_seed",
    "groups",
    "importance",
    "load",
    "members",
    "parts",
    "rank_correlations",
    "reasons",
    "records_of",
    "repeated",
    "save",
    "size_effects",
    "summarised",
    "weak_classes",
    "weak_group",
    "worst_share",
]
