"""Neighbour pairs of many molecules, found once, where SchNetPack builds a list for each molecule in each epoch."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fused import _lists


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of atoms nearer than `cutoff` (Å), each once (i < j), packed molecule by molecule.

    `first` and `second` are uint16 [P], the atoms' places in their molecule; `distance` is float32 [P], Å; `offsets`
    is int64 [M + 1]: the pairs of molecule m are offsets[m]:offsets[m + 1], ordered by first, then second atom.
    """

    cutoff: float
    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.first, self.second, self.distance, self.offsets):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.distance)

    @classmethod
    def within(cls, cutoff: float, n_atoms: np.ndarray, positions: np.ndarray) -> Self:
        """All pairs of atoms of one molecule whose distance is smaller than `cutoff`.

        Distances are compared in the positions' precision, and a pair at the cut-off itself is left out: the convention
        of all of SchNetPack's neighbour lists (ASE, matscipy, vesin). Rounded to float32 a distance may still equal the
        cut-off.

        Parameters
        ----------
        cutoff
            Radius, Å.
        n_atoms
            Each molecule's number of atoms, int [M].
        positions
            Of all atoms, molecule by molecule, float [A, 3], Å.

        Raises
        ------
        ValueError
            The cut-off is no positive, finite number, the numbers of atoms don't add up to that of positions, or a
            molecule has more than 65,536 atoms.
        """
        if not (np.isfinite(cutoff) and cutoff > 0):
            raise ValueError(f"the cut-off must be a positive distance in Å, not {cutoff}")
        if np.sum(n_atoms) != len(positions):
            raise ValueError(f"molecules of {np.sum(n_atoms)} atoms in all, but {len(positions)} positions")
        place = np.empty(0, np.uint16)
        if np.max(n_atoms, initial=0) > np.iinfo(place.dtype).max + 1:
            raise ValueError(f"a molecule of {np.max(n_atoms)} atoms, more than a packed list can count")
        atoms = np.concatenate([[0], np.cumsum(n_atoms, dtype=np.int64)])
        return cls(float(cutoff), *_lists.within(np.ascontiguousarray(positions), atoms, float(cutoff), place))
