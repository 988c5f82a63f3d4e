"""Neighbour pairs of many molecules, found once, where SchNetPack builds a list for each molecule in each epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import ase.units
import numpy as np

from analysis.data.molecules import Molecules, MoleculesError, packed_starts, ranges

_COINCIDENT = 0.05  # Å; no bond is shorter than a tenth of the hydrogen molecule's
_ORGANIC = (1, 6, 7, 8, 9)
_LONGEST_BOND = 1.7  # Å; of these elements. The short ones of water, 0.96 Å, are 1.81 bohr.
_KCAL, _KJ = ase.units.kcal / ase.units.mol, ase.units.kJ / ase.units.mol
_OTHER_UNITS = MappingProxyType(
    {"hartree": ase.units.Hartree, "rydberg": ase.units.Rydberg, "kcal/mol": _KCAL, "kJ/mol": _KJ, "meV": 1e-3}
)
_NEAR_ENOUGH = 0.1  # how far a unit's energies may be from those of the formula: it is 8 % off for hydrogen
_MAX_ATOMS = np.iinfo(np.uint16).max + 1
_BLOCK = 1_000_000  # pairs looked at in one go: some 50 MB


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


def neighbour_pairs(molecules: Molecules, cutoff: float) -> Pairs:
    """All pairs of atoms of one molecule whose distance is smaller than `cutoff`.

    Distances are compared in float64, and a pair at the cut-off itself is left out: the convention of all of
    SchNetPack's neighbour lists (ASE, matscipy, vesin). Rounded to float32 a distance may still equal the cut-off.

    `cutoff`, Å, is the report's "data cut-off" (section 5.2.1). Raises ValueError unless it is a positive, finite
    number, and MoleculesError if two atoms of a molecule are at one place, or there are more than the list can count.
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"the cut-off must be a positive distance in Å, not {cutoff}")
    count = np.zeros(len(molecules), np.int64)
    blocks = [_block_pairs(molecules, block, cutoff, count) for block in _blocks(molecules)]
    offsets = packed_starts(count)
    first, second = np.empty(offsets[-1], np.uint16), np.empty(offsets[-1], np.uint16)
    distance = np.empty(offsets[-1], np.float32)
    while blocks:
        block, block_first, block_second, block_distance = blocks.pop()
        where = ranges(offsets[block], count[block])
        first[where], second[where], distance[where] = block_first, block_second, block_distance
    return Pairs(float(cutoff), first, second, distance, offsets)


def _blocks(molecules: Molecules) -> Iterator[np.ndarray]:
    """Positions of molecules with one number of atoms, few enough for their pairs to be looked at in one go."""
    order = np.argsort(molecules.n_atoms, kind="stable")
    sizes, starts = np.unique(molecules.n_atoms[order], return_index=True)
    for size, members in zip(sizes, np.split(order, starts[1:]), strict=True):
        if size > _MAX_ATOMS:
            raise MoleculesError(
                f"molecule {molecules.index[members[0]]}: {size} atoms, more than the {_MAX_ATOMS} that the packed "
                "neighbour list can count; leave the molecule out"
            )
        step = max(1, _BLOCK // max(1, int(size) * (int(size) - 1) // 2))
        yield from (members[start : start + step] for start in range(0, len(members), step))


def _block_pairs(
    molecules: Molecules, block: np.ndarray, cutoff: float, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of molecules that all have the same number of atoms; writes how many each has into `count`."""
    size = int(molecules.n_atoms[block[0]])
    atoms = molecules.offsets[block] + np.arange(size)[:, None]
    first, second = (places.astype(np.uint16) for places in np.triu_indices(size, 1))
    squared = np.zeros((len(first), len(block)))
    for axis in range(3):
        coordinate = molecules.positions[:, axis][atoms]
        squared += (coordinate[first] - coordinate[second]) ** 2
    distance = np.sqrt(squared, out=squared).T  # molecule by molecule
    if distance.size and distance.min() < _COINCIDENT:
        place, pair = np.unravel_index(distance.argmin(), distance.shape)
        raise MoleculesError(
            f"molecule {molecules.index[block[place]]}: its atoms {first[pair] + 1} and {second[pair] + 1} are "
            f"{distance[place, pair]:.3g} Å apart, closer than atoms can be; correct its coordinates or leave it out"
        )
    near = distance < cutoff
    count[block] = near.sum(axis=1)
    pair = np.nonzero(near)[1]
    return block, first[pair], second[pair], distance[near].astype(np.float32)


def check_units(molecules: Molecules, pairs: Pairs) -> None:
    """Refuse molecules most of which can't be in Å and eV.

    Lengths: molecules of H, C, N, O and F no two atoms of which are as near as a bond (coordinates in bohr or
    picometres; nanometres are refused by `molecules.check_separation`). Energies: as many hartrees, rydbergs, kcal/mol,
    kJ/mol or meV as the free atoms have by Schwinger's formula (Phys. Rev. A 24, 2353, 1981), which comes within 2 % of
    QM9's energies. Energies that are not those of all electrons pass.

    Raises MoleculesError, which says what they seem to be.
    """
    organic = np.logical_and.reduceat(np.isin(molecules.numbers, _ORGANIC), molecules.offsets[:-1])
    organic &= molecules.n_atoms > 1
    bonded = np.zeros(len(molecules), bool)
    has_pairs = np.diff(pairs.offsets) > 0
    bonded[has_pairs] = np.minimum.reduceat(pairs.distance, pairs.offsets[:-1][has_pairs]) < _LONGEST_BOND
    if pairs.cutoff > _LONGEST_BOND and organic.any() and np.mean(bonded[organic]) < 0.5:
        raise MoleculesError(
            f"most molecules have no two atoms nearer than {_LONGEST_BOND} Å, molecule "
            f"{molecules.index[organic & ~bonded][0]} among them: their coordinates are not in Å (in bohr?)"
        )
    z = molecules.numbers.astype(np.float64)
    free = (-0.768745 * z ** (7 / 3) + z**2 / 2 - 0.269900 * z ** (5 / 3)) * ase.units.Hartree
    ratio = float(np.median(molecules.energy / np.add.reduceat(free, molecules.offsets[:-1])))
    for unit, in_ev in _OTHER_UNITS.items():
        if abs(ratio * in_ev - 1) < _NEAR_ENOUGH:
            raise MoleculesError(
                f"the molecules' energies seem to be in {unit}: molecule {molecules.index[0]} has "
                f"{molecules.energy[0]:.6g}; multiply them by {in_ev:.8g} for eV"
            )
