"""The molecules of a run as the engine packs them, for batches with SchNetPack's keys."""

import numpy as np

from analysis.data.molecules import Molecules
from fused.packed import Packed
from fused.pairs import Pairs

ENERGY = "energy_U0"
"""Key of the target and of the prediction, as SchNetPack's QM9 data module names U0."""
FORCES = "forces"
"""Key of the forces, as SchNetPack names them."""


class PackedMolecules(Packed):
    """M molecules, their neighbour pairs and their targets, ready to be put together in batches.

    `pairs` are those of `neighbours.neighbour_pairs`. `targets`, float64 [M] in eV, are what the network learns: U0
    without its offsets, in the batches under `ENERGY`; None for molecules to predict only. `forces`, [A, 3] in eV/Å,
    are there under `FORCES`, if they are learnt too.

    Raises ValueError if molecules, pairs and targets do not belong together, or a target is not a finite number.
    """

    def __init__(
        self,
        molecules: Molecules,
        pairs: Pairs,
        *,
        targets: np.ndarray | None = None,
        forces: np.ndarray | None = None,
    ) -> None:
        learnt = {} if targets is None else {ENERGY: targets}
        of_atoms = {} if forces is None else {FORCES: forces}
        super().__init__(molecules.numbers, molecules.n_atoms, molecules.positions, pairs, learnt, of_atoms)
        if targets is not None and not np.isfinite(targets).all():
            molecule = int(np.argmin(np.isfinite(targets)))
            raise ValueError(f"molecule {molecules.index[molecule]}: its target is {targets[molecule]}")
        self.molecules = molecules
        self.targets = targets
