"""Atomic references and mean energies per atom: fitted on a set, removed, added back.

A network learns what is left of U0 once they are taken away. The mean belongs to the set it was computed on: that is
the heart of the two evaluation protocols (see `protocols`). By default `fit` does what the report and SchNetPack's
tutorial do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from analysis.data.molecules import Molecules
from analysis.data.qm9 import ATOMIC_REFERENCES_U0

OffsetsKind = Literal["references-mean", "references", "least-squares", "none"]
"""What `fit` may take from U0."""

Z_MAX = 100
"""Length of a table of energies by atomic number: that of SchNetPack's own."""


def reference_energies(molecules: Molecules, references: Mapping[int, float] = ATOMIC_REFERENCES_U0) -> np.ndarray:
    """Sum of the reference energies of a molecule's atoms: float64 [M], eV.

    `references` is an energy per atomic number, eV; by default the free atoms' U0 (QM9's `atomref.txt`). Raises
    ValueError, which names a molecule, if an element has none.
    """
    table = np.full(Z_MAX, np.nan)
    table[list(references)] = list(references.values())
    per_atom = table[molecules.numbers]
    if np.isnan(per_atom).any():
        molecule = int(np.searchsorted(molecules.offsets, np.isnan(per_atom).argmax(), side="right") - 1)
        raise ValueError(
            f"molecule {molecules.index[molecule]}: no atomic reference energy for one of its elements; "
            f"there are references for Z = {sorted(references)}"
        )
    return np.add.reduceat(per_atom, molecules.offsets[:-1])


@dataclass(frozen=True)
class Offsets:
    """Offsets of one set: `references`, an energy per atomic number, and `mean`, per atom of any element; both in eV.

    `removes_mean` tells whether a mean was fitted at all: a model trained without one has none to mix up.
    """

    mean: float = 0.0
    references: Mapping[int, float] = ATOMIC_REFERENCES_U0
    removes_mean: bool = True

    def of(self, molecules: Molecules) -> np.ndarray:
        """What is removed from each molecule's U0 before training: float64 [M], eV."""
        return reference_energies(molecules, self.references) + self.mean * molecules.n_atoms

    def left_per_atom(self, molecules: Molecules) -> np.ndarray:
        """What the references leave of each molecule's U0, per atom: float64 [M], eV. `fit`'s mean is a mean of it."""
        return (molecules.energy - reference_energies(molecules, self.references)) / molecules.n_atoms


def fit(molecules: Molecules, positions: np.ndarray, kind: OffsetsKind = "references-mean") -> Offsets:
    """The offsets of the molecules at `positions` (int [n]).

    - "references-mean": the free atoms' energies, and the mean of what they leave as SchNetPack's `RemoveOffsets` finds
      it, over molecules of the energy per atom, so that a small molecule counts as much as a large one
      (`schnetpack.data.calculate_stats`).
    - "references": the free atoms' energies and no mean: what is left is minus the energy of atomisation, some −4 eV
      per atom.
    - "least-squares": an energy per element such that their sums come nearest to U0, and no mean; as with SchNetPack's
      `estimate_atomref`. An element that none of the molecules holds keeps the free atom's energy.
    - "none": nothing is removed: the network has to learn U0 itself, some −10⁴ eV.

    Raises ValueError for an empty set.
    """
    if len(positions) == 0:
        raise ValueError("offsets need at least one molecule; the set is empty")
    if kind == "references-mean":
        return Offsets(mean=float(np.mean(Offsets().left_per_atom(molecules)[positions])))
    references = dict(ATOMIC_REFERENCES_U0)
    if kind == "least-squares":
        chosen = molecules.select(np.sort(positions))
        elements = np.unique(chosen.numbers).tolist()
        counts = chosen.element_counts(elements).astype(np.float64)
        # Of what the free atoms leave: better conditioned, and elements that rise and fall together share the rest.
        solved = np.linalg.lstsq(counts, chosen.energy - reference_energies(chosen), rcond=None)[0]
        references |= {z: references[z] + float(e) for z, e in zip(elements, solved, strict=True)}
    elif kind == "none":
        references = dict.fromkeys(references, 0.0)
    return Offsets(references=MappingProxyType(references), removes_mean=False)
