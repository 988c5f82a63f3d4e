"""Atomic references and mean energies per atom: fitted on a set, removed, added back.

A network learns what is left of U0 once the energies of the free atoms and a mean per atom are taken away. The mean
belongs to the set it was computed on: that is the heart of the two evaluation protocols (see `errors`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from schnetpack.transform import AddOffsets, CastTo64

from analysis.molecules import Molecules
from analysis.qm9 import ATOMIC_REFERENCES_U0

_Z_MAX = 100  # as long as SchNetPack's own tables


def reference_energies(molecules: Molecules) -> np.ndarray:
    """Sum of the free atoms' U0 per molecule, float64 [M], eV (QM9's `atomref.txt`)."""
    table = np.full(_Z_MAX, np.nan)
    table[list(ATOMIC_REFERENCES_U0)] = list(ATOMIC_REFERENCES_U0.values())
    per_atom = table[molecules.numbers]
    if np.isnan(per_atom).any():
        molecule = int(np.searchsorted(molecules.offsets, np.isnan(per_atom).argmax(), side="right") - 1)
        raise ValueError(
            f"molecule {molecules.index[molecule]}: no atomic reference energy for one of its elements; "
            f"there are references for Z = {sorted(ATOMIC_REFERENCES_U0)}"
        )
    return np.add.reduceat(per_atom, molecules.offsets[:-1])


@dataclass(frozen=True)
class Offsets:
    """Offsets of one set: the atomic references and `mean`, the set's mean of (U0 − references) / N, eV per atom."""

    mean: float

    def of(self, molecules: Molecules) -> np.ndarray:
        """What is removed from each molecule's U0 before training: float64 [M], eV."""
        return reference_energies(molecules) + self.mean * molecules.n_atoms

    def postprocessors(self, energy_key: str) -> list[torch.nn.Module]:
        """SchNetPack's own transforms that add the offsets back, in float64: U0 needs eight digits."""
        atomrefs = torch.zeros(_Z_MAX, dtype=torch.float64)
        for number, energy in ATOMIC_REFERENCES_U0.items():
            atomrefs[number] = energy
        add = AddOffsets(
            energy_key,
            add_mean=True,
            add_atomrefs=True,
            atomrefs=atomrefs,
            property_mean=torch.tensor([self.mean], dtype=torch.float64),
        )
        return [CastTo64(), add]


def fit(molecules: Molecules, positions: np.ndarray) -> Offsets:
    """Offsets of the molecules at `positions`, as SchNetPack's `RemoveOffsets` finds them.

    The mean is over molecules of the energy per atom, so that a small molecule counts as much as a large one
    (`schnetpack.data.calculate_stats`). Raises ValueError for an empty set.
    """
    if len(positions) == 0:
        raise ValueError("offsets need at least one molecule; the set is empty")
    residual = molecules.energy - reference_energies(molecules)
    return Offsets(mean=float(np.mean((residual / molecules.n_atoms)[positions])))
