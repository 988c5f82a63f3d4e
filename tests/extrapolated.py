"""Records of an experiment that trains on few heavy atoms, made up of those of another experiment."""

from dataclasses import replace

import numpy as np

from analysis import study
from analysis.data.molecules import Molecules
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.config import adjust

LIMIT = 8


def extrapolated(molecules: Molecules, above: float = 5.0, shift: float = 1.0) -> Arms:
    """Two models; trained on few heavy atoms their errors double, above them `above`-fold, `shift` eV up."""
    compared = study.recorded(study.FinalComparisonParameters(seeds=[0, 1, 2]), molecules)
    heavy = dict(zip(molecules.index.tolist(), molecules.heavy_atoms.tolist(), strict=True))

    def few(record, above, shift):
        errors = record.errors
        large = np.array([heavy[one] > LIMIT for one in errors["index"]])
        changed = np.where(large, above * errors["error"] + shift, 2 * errors["error"])
        selection = record.config.data.selection.model_copy(update={"most_heavy": LIMIT}).model_dump()
        config = adjust(record.config, data={"selection": selection})
        return replace(record, errors=errors.assign(error=changed), config=config)

    found = {}
    for arm in (DEFAULT, CUSTOM):
        found[arm] = compared[arm]
        small = Arm(arm.role, f"to {LIMIT} heavy atoms", same_updates=True)
        found[small] = [few(record, above, shift) for record in compared[arm]]
        if arm == DEFAULT:
            control = Arm(arm.role, small.value, random=True, same_updates=True)
            found[control] = [few(record, 2, 0.0) for record in compared[arm]]
    return Arms("made up", found)
