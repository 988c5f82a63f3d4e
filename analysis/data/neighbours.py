"""Neighbour pairs of the molecules, and whether their lengths and energies can be in Å and eV."""

from types import MappingProxyType
from typing import TYPE_CHECKING

import ase.units
import numpy as np
from ase.data import covalent_radii

from analysis.data.molecules import BOND, Molecules, MoleculesError

if TYPE_CHECKING:
    from fused.pairs import Pairs

_COINCIDENT = 0.05  # Å; no bond is shorter than a tenth of the hydrogen molecule's
_ORGANIC = (1, 6, 7, 8, 9)
LONGEST_BOND = 1.7  # Å; of these elements. The short ones of water, 0.96 Å, are 1.81 bohr.
_KCAL, _KJ = ase.units.kcal / ase.units.mol, ase.units.kJ / ase.units.mol
_OTHER_UNITS = MappingProxyType(
    {"hartree": ase.units.Hartree, "rydberg": ase.units.Rydberg, "kcal/mol": _KCAL, "kJ/mol": _KJ, "meV": 1e-3}
)
_NEAR_ENOUGH = 0.1  # how far a unit's energies may be from those of the formula: it is 8 % off for hydrogen
_MAX_ATOMS = np.iinfo(np.uint16).max + 1


def neighbour_pairs(molecules: Molecules, cutoff: float) -> "Pairs":
    """All pairs of atoms of one molecule whose distance is smaller than `cutoff`; see `Pairs.within`.

    `cutoff`, Å, is the report's "data cut-off" (section 5.2.1). Raises ValueError unless it is a positive, finite
    number, and MoleculesError if two atoms of a molecule are at one place, or there are more than the list can count.
    """
    from fused.pairs import Pairs  # numba's import takes half a second

    if (large := molecules.n_atoms > _MAX_ATOMS).any():
        raise MoleculesError(
            f"molecule {molecules.index[large][0]}: {molecules.n_atoms[large][0]} atoms, more than the {_MAX_ATOMS} "
            "that the packed neighbour list can count; leave the molecule out"
        )
    pairs = Pairs.within(cutoff, molecules.n_atoms, molecules.positions)
    if len(pairs) and pairs.distance.min() < _COINCIDENT:
        pair = pairs.distance.argmin()
        molecule = np.searchsorted(pairs.offsets, pair, side="right") - 1
        raise MoleculesError(
            f"molecule {molecules.index[molecule]}: its atoms {pairs.first[pair] + 1} and {pairs.second[pair] + 1} are "
            f"{pairs.distance[pair]:.3g} Å apart, closer than atoms can be; correct its coordinates or leave it out"
        )
    return pairs


def ends(molecules: Molecules, pairs: "Pairs") -> np.ndarray:
    """Both atoms of each pair, counted through all molecules: int64 [2, P]."""
    starts = np.repeat(molecules.offsets[:-1], np.diff(pairs.offsets))
    return np.stack([starts + pairs.first, starts + pairs.second])


def bonded(molecules: Molecules, pairs: "Pairs") -> np.ndarray:
    """Which pairs are bonded: nearer than `BOND` times the sum of the covalent radii, bool [P].

    The radii are those of Cordero et al., Dalton Trans. 2832 (2008).
    """
    return pairs.distance < BOND * covalent_radii[molecules.numbers[ends(molecules, pairs)]].sum(axis=0)


def cyclomatic_numbers(molecules: Molecules) -> np.ndarray:
    """Independent rings of each molecule in one part, by its bonds (see `bonded`) and not its SMILES: int64 [M]."""
    pairs = neighbour_pairs(molecules, 2 * BOND * covalent_radii[molecules.numbers].max())
    bonds = np.concatenate([[0], np.cumsum(bonded(molecules, pairs))])
    return np.diff(bonds[pairs.offsets]) - molecules.n_atoms + 1


def check_units(molecules: Molecules, pairs: "Pairs") -> None:
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
    bonded[has_pairs] = np.minimum.reduceat(pairs.distance, pairs.offsets[:-1][has_pairs]) < LONGEST_BOND
    if pairs.cutoff > LONGEST_BOND and organic.any() and np.mean(bonded[organic]) < 0.5:
        raise MoleculesError(
            f"most molecules have no two atoms nearer than {LONGEST_BOND} Å, molecule "
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
