"""Molecules as packed arrays, and the doors to and from ASE and JARVIS. Lengths in Å, energies in eV."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from ase import Atom, Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cell import Cell
from ase.data import covalent_radii

from analysis.data.errors import UserError

if TYPE_CHECKING:
    from jarvis.core.atoms import Atoms as JarvisAtoms

# SchNetPack's embedding holds 100 rows, the first of which is not an element.
MAX_ATOMIC_NUMBER = 99

# Two thirds of the shortest bond there is (H2, 0.74 Å). Coordinates in nm by mistake fall below it too.
MIN_SEPARATION = 0.5

FARTHEST = 1e6
"""Å, a tenth of a millimetre. Coordinates beyond it are a damaged file's: float32, in which networks compute, ends."""

# Vacuum on each side of a molecule in a JARVIS box, Å: periodic images stay out of reach of a cutoff of 10 Å.
_VACUUM = 5.0

BOND = 1.3
"""Two atoms count as bonded that are nearer than so many times the sum of their covalent radii."""

_FLATTEST, _WIDEST = 1.0, 1e6  # a cell that a molecule may be in, Å


class MoleculesError(UserError, ValueError):
    """Molecules that can't be right; the message names the molecule's index and the reason."""


@dataclass(frozen=True, eq=False)
class Molecules:
    """M molecules with A atoms in all, as packed read-only arrays.

    `index`, int64 [M], are the source's own numbers, each once (QM9's begin at 1); `n_atoms`, int64 [M], at least 1
    each; `numbers`, uint8 [A], atomic numbers 1 … 99; `positions`, float64 [A, 3], Å; `energy`, float64 [M], the total
    energy at 0 K (U0), eV; `smiles`, str [M], "" where unknown.

    Raises MoleculesError for shapes, types or counts that don't fit together, an index twice, a molecule without atoms,
    an unknown element, a coordinate or an energy that is not finite. Distances: see `check_separation`.
    """

    index: np.ndarray
    n_atoms: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    energy: np.ndarray
    smiles: np.ndarray

    def __post_init__(self):
        for name, (kinds, dtype, shape) in _COLUMNS.items():
            object.__setattr__(self, name, _frozen(name, getattr(self, name), kinds, dtype, shape))
        self._check()
        object.__setattr__(self, "numbers", _read_only(self.numbers.astype(np.uint8, copy=False)))

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64 [M + 1]: the atoms of molecule m are `offsets[m]:offsets[m + 1]`."""
        return _read_only(np.concatenate([np.zeros(1, np.int64), self.n_atoms.cumsum()]))

    @property
    def heavy_atoms(self) -> np.ndarray:
        """Each molecule's number of atoms other than hydrogen: int64 [M]."""
        return self.n_atoms - self.element_counts((1,))[:, 0]

    def select(self, which: np.ndarray) -> Self:
        """Some of the molecules, in the order asked for.

        `which` is a boolean mask [M], or integer positions (not indices) in any order, each at most once. Raises
        IndexError for a mask of another length, or a position outside 0 … M − 1.
        """
        positions = self._positions_of(np.asarray(which))
        n_atoms = self.n_atoms[positions]
        # How far each molecule's atoms lie, here, from where they will.
        moved = self.offsets[positions] - (n_atoms.cumsum() - n_atoms)
        atoms = np.repeat(moved, n_atoms) + np.arange(n_atoms.sum())
        return type(self)(
            index=self.index[positions],
            n_atoms=n_atoms,
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            energy=self.energy[positions],
            smiles=self.smiles[positions],
        )

    def element_counts(self, elements: Sequence[int] = (1, 6, 7, 8, 9)) -> np.ndarray:
        """Atoms of each element in each molecule: int64 [M, len(elements)]; elements by atomic number."""
        if not len(self):
            return np.zeros((0, len(elements)), dtype=np.int64)
        columns = [np.add.reduceat(self.numbers == z, self.offsets[:-1], dtype=np.int64) for z in elements]
        return np.stack(columns, axis=1)

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of the content of all arrays, the same on every platform."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name)
            if array.dtype.kind == "U":
                content: bytes | memoryview = "\0".join(array.tolist()).encode()
            else:
                content = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).data
            digest.update(f"{field.name} {array.shape} ".encode())
            digest.update(content)
        return digest.hexdigest()

    def _positions_of(self, which: np.ndarray) -> np.ndarray:
        if which.dtype == bool:
            if which.shape != (len(self),):
                raise IndexError(f"a mask of shape {which.shape} does not fit {len(self)} molecules")
            return np.flatnonzero(which)
        if which.size == 0:
            return np.zeros(0, dtype=np.int64)
        if which.dtype.kind not in "iu" or which.ndim != 1:
            raise IndexError(f"select takes a mask or a row of integers, not {which.dtype} {which.shape}")
        outside = which[(which < 0) | (which >= len(self))]
        if len(outside):
            raise IndexError(f"there is no position {outside[0]} among {len(self)} molecules")
        return which

    def _check(self) -> None:
        for name in ("n_atoms", "energy", "smiles"):
            if len(getattr(self, name)) != len(self):
                raise MoleculesError(f"{len(self)} indices but {len(getattr(self, name))} values of {name}")
        index, count = np.unique(self.index, return_counts=True)
        if (count > 1).any():
            raise MoleculesError(f"molecule {index[count > 1][0]}: {count[count > 1][0]} molecules have this index")
        self._refuse(self.n_atoms < 1, lambda m: f"it has {self.n_atoms[m]} atoms; a molecule needs at least one")
        if len(self.numbers) != len(self.positions):
            raise MoleculesError(f"{len(self.numbers)} atomic numbers but {len(self.positions)} positions")
        if self.offsets[-1] != len(self.numbers):
            raise MoleculesError(
                f"the molecules' atom counts add up to {self.offsets[-1]}, but there are {len(self.numbers)} atoms"
                + (f"; the last molecule is {self.index[-1]}" if len(self) else "")
            )
        self._refuse_atom(
            (self.numbers < 1) | (self.numbers > MAX_ATOMIC_NUMBER),
            lambda a: f"unknown element {self.numbers[a]} (atomic numbers 1 to {MAX_ATOMIC_NUMBER} are known)",
        )
        self._refuse_atom(
            ~np.isfinite(self.positions).all(axis=1),
            lambda a: f"its position {self.positions[a].tolist()} is not finite",
        )
        self._refuse_atom(
            (np.abs(self.positions) > FARTHEST).any(axis=1),
            lambda a: f"its position {self.positions[a].tolist()} is beyond {FARTHEST:g} Å",
        )
        self._refuse(~np.isfinite(self.energy), lambda m: f"its energy is {self.energy[m]}")

    def _refuse(self, wrong: np.ndarray, reason: Callable[[int], str]) -> None:
        if wrong.any():
            molecule = int(wrong.argmax())
            raise MoleculesError(f"molecule {self.index[molecule]}: {reason(molecule)}")

    def _refuse_atom(self, wrong: np.ndarray, reason: Callable[[int], str]) -> None:
        if wrong.any():
            atom = int(wrong.argmax())
            molecule = int(np.searchsorted(self.offsets, atom, side="right") - 1)
            number = atom - self.offsets[molecule] + 1
            raise MoleculesError(f"molecule {self.index[molecule]}, atom {number}: {reason(atom)}")


# Kinds of number taken, the type kept, and the shape. Atomic numbers are narrowed once their range is known.
_COLUMNS = {
    "index": ("iu", np.int64, (-1,)),
    "n_atoms": ("iu", np.int64, (-1,)),
    "numbers": ("iu", None, (-1,)),
    "positions": ("iuf", np.float64, (-1, 3)),
    "energy": ("iuf", np.float64, (-1,)),
    "smiles": ("U", None, (-1,)),
}


def _frozen(name: str, values: np.ndarray, kinds: str, dtype: type | None, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0 and array.dtype.kind not in kinds:
        array = array.astype(dtype or {"numbers": np.uint8, "smiles": str}[name])
    if array.dtype.kind not in kinds:
        raise MoleculesError(f"{name} must not be of type {array.dtype}")
    if array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        expected = ", ".join("any" if size == -1 else str(size) for size in shape)
        raise MoleculesError(f"{name} must have shape ({expected}), not {array.shape}")
    array = array if dtype is None else array.astype(dtype, copy=False)
    # A caller who keeps a writable array could change a frozen table behind its back.
    return _read_only(array.copy() if array.flags.writeable and np.may_share_memory(array, values) else array)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def check_separation(molecules: Molecules) -> Molecules:
    """The same molecules, if no two atoms of one are closer than `MIN_SEPARATION` (0.5 Å).

    The readers of this package call it. It is no part of `Molecules`, as it takes longer than everything else there.
    Raises MoleculesError, which names the molecule, the two atoms and their distance.
    """
    for size in np.unique(molecules.n_atoms):
        members = np.flatnonzero(molecules.n_atoms == size)
        x = molecules.positions[molecules.offsets[members][:, None] + np.arange(size)]
        # Atom i against atom i + shift, round the ring: half the shifts meet every pair.
        for shift in range(1, size // 2 + 1):
            d = x - np.roll(x, -shift, axis=1)
            square = np.einsum("mik,mik->mi", d, d)
            if square.min() < MIN_SEPARATION**2:
                m, i = np.unravel_index(square.argmin(), square.shape)
                raise MoleculesError(
                    f"molecule {molecules.index[members[m]]}: its atoms {i + 1} and {(i + shift) % size + 1} are "
                    f"{np.sqrt(square[m, i]):.3f} Å apart, less than {MIN_SEPARATION} Å; are its coordinates in Å?"
                )
    return molecules


def kind(given: object) -> str:
    """What someone has handed in as a molecule, in words, and what takes such things."""
    if isinstance(given, Atoms):
        return "ASE's Atoms (molecules.from_ase takes them)"
    if isinstance(given, Mapping):
        return "a dictionary (molecules.from_jarvis takes those of JARVIS)"
    if type(given).__module__.startswith("jarvis."):
        return f"JARVIS's {type(given).__name__} (molecules.from_jarvis takes its Atoms)"
    if isinstance(given, str | os.PathLike):
        return f"{given!r} (extxyz.read and databases.read take files)"
    if isinstance(given, Atom):
        return "a single atom (a list of molecules is taken)"
    return f"of type {type(given).__name__}"


def from_ase(
    atoms: Iterable[Atoms], energy_key: str = "energy_U0", index: Sequence[int] | np.ndarray | None = None
) -> Molecules:
    """Molecules from ASE's `Atoms`.

    They are in vacuum or in a box (see `unwrapped`). U0, eV, is `info[energy_key]` or, without that key, the energy
    that the calculator already holds. `index` is by default `info["index"]` where all have it, otherwise 1, 2, 3 …
    Raises MoleculesError for a periodic structure, a molecule without an energy, or anything that `unwrapped`,
    `Molecules` or `check_separation` refuses.
    """
    atoms = list(atoms)
    for place, molecule in enumerate(atoms, start=1):
        if not isinstance(molecule, Atoms):
            raise MoleculesError(f"molecule number {place} is {kind(molecule)}, not ASE's Atoms")
    index = _indices(atoms, index)
    positions, energy, smiles = [np.zeros((0, 3))], [], []
    for number, molecule in zip(index, atoms, strict=True):
        with _naming(number):
            if molecule.pbc.any():
                raise MoleculesError("it is periodic; for a molecule in a box, set its pbc to False")
            positions.append(unwrapped(molecule).positions)
            energy.append(_energy(molecule, energy_key))
            smiles.append(molecule.info.get("smiles", ""))
            if not isinstance(smiles[-1], str):
                raise MoleculesError(f"its SMILES is {smiles[-1]!r}; a text is needed")
    return check_separation(
        Molecules(
            index=index,
            n_atoms=np.array([len(molecule) for molecule in atoms], dtype=np.int64),
            numbers=np.concatenate([np.zeros(0, np.int64), *(molecule.numbers for molecule in atoms)]),
            positions=np.concatenate(positions),
            energy=np.array(energy, dtype=float),
            smiles=np.array(smiles, dtype=str),
        )
    )


def unwrapped(atoms: Atoms) -> Atoms:
    """A molecule in one piece: atoms that were moved into its cell, across a face of it, are moved back to the others.

    Two atoms are bonded that are nearer than 1.3 times the sum of their covalent radii. A molecule without a cell is
    left as it is; so is, with `pbc` off, one that bonds across the faces would not make more of a whole.

    Raises MoleculesError if it is torn into pieces that this cell does not join; with `pbc` on, if it is of several
    pieces, or there are bonds between images.
    """
    if atoms.cell.rank == 0 or not len(atoms):
        return atoms
    known = (atoms.numbers >= 0) & (atoms.numbers < len(covalent_radii)) & np.isfinite(atoms.positions).all(axis=1)
    if not known.all():
        return atoms
    alone, periodic = _bonded(atoms), atoms.pbc.any()
    if alone.pieces == 1 and not periodic:
        return atoms
    boxed = _bonded(atoms, _roomy(atoms.cell))
    if boxed.pieces == alone.pieces and not periodic:
        return atoms
    if boxed.pieces > 1:
        raise MoleculesError(f"it falls apart into {boxed.pieces} pieces, which no bond across its cell's faces joins")
    if boxed.endless:
        raise MoleculesError(
            "it is bonded to its own images across its cell's faces: a crystal, or the cell is too small"
        )
    if not boxed.moves.any():
        return atoms
    whole = atoms.copy()
    whole.positions += boxed.moves @ atoms.cell.array
    return whole


def _roomy(cell: Cell) -> Cell:
    """The cell, if a molecule may be in it; neighbours in a tiny one would fill the memory."""
    if (np.abs(cell.array) < _WIDEST).all():
        full = cell.complete()
        areas = np.linalg.norm([np.cross(full[k - 2], full[k - 1]) for k in range(3)], axis=1)
        if (full.volume >= _FLATTEST * areas[cell.any(axis=1)]).all():
            return cell
    raise MoleculesError(f"its cell {cell.tolist()} is no box for a molecule, {_FLATTEST:g} to {_WIDEST:g} Å wide")


@dataclass(frozen=True)
class _Bonded:
    """By how many cells each atom is moved to the others of its piece, int [A, 3]; whether it bonds to its images."""

    pieces: int
    moves: np.ndarray
    endless: bool


def _bonded(atoms: Atoms, cell: Cell | None = None) -> _Bonded:
    # Not needed to read records, and few molecules are in a box.
    from matscipy.neighbours import neighbour_list
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    first, second, cells = neighbour_list(
        "ijS",
        positions=atoms.positions,
        cutoff=BOND * covalent_radii[atoms.numbers],
        cell=np.eye(3) if cell is None else cell.complete().array,
        pbc=np.zeros(3, dtype=bool) if cell is None else cell.any(axis=1),
    )
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms))).tocsr()
    pieces, piece = connected_components(graph)
    of_bond = dict(zip(zip(first, second, strict=True), cells, strict=True))
    moves = np.zeros((len(atoms), 3), dtype=np.int64)
    for start in np.unique(piece, return_index=True)[1]:
        order, before = breadth_first_order(graph, start)
        for atom in order[1:]:
            moves[atom] = moves[before[atom]] + of_bond[before[atom], atom]
    return _Bonded(pieces, moves, bool((moves[second] != moves[first] + cells).any()))


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Within it, a refusal names the molecule."""
    try:
        yield
    except MoleculesError as error:
        raise MoleculesError(f"molecule {number}: {error}") from error


def to_ase(molecules: Molecules) -> list[Atoms]:
    """ASE's `Atoms`, with U0 (eV) as their calculator's energy and `index` and `smiles` in `info`."""
    result = []
    for m in range(len(molecules)):
        inside = slice(*molecules.offsets[m : m + 2])
        info: dict[str, int | str] = {"index": int(molecules.index[m])}
        if molecules.smiles[m]:
            info["smiles"] = str(molecules.smiles[m])
        atoms = Atoms(numbers=molecules.numbers[inside], positions=molecules.positions[inside], info=info)
        atoms.calc = SinglePointCalculator(atoms, energy=float(molecules.energy[m]))
        result.append(atoms)
    return result


def from_jarvis(
    atoms: Iterable["JarvisAtoms | Mapping[str, Any]"],
    energy: Sequence[float] | np.ndarray,
    index: Sequence[int] | np.ndarray | None = None,
) -> Molecules:
    """Molecules from JARVIS `Atoms` and a column of U0 (eV), one value per molecule.

    The dictionaries of JARVIS are taken as well: those of `Atoms.to_dict`, and the entries of `jarvis.db.figshare` that
    hold such a one as `atoms`. Each is taken as a molecule in a box (see `unwrapped`), whose lattice is dropped.
    Without `index` the molecules are numbered 1, 2, 3 …

    Raises MoleculesError for another number of energies than of molecules, something that is neither JARVIS `Atoms` nor
    such a dictionary, a crystal, a molecule that falls apart, or what `from_ase` refuses.
    """
    atoms = list(atoms)
    if len(energy) != len(atoms):
        raise MoleculesError(f"{len(atoms)} JARVIS molecules but {len(energy)} energies")
    index = np.arange(1, len(atoms) + 1) if index is None else _indices(atoms, index)
    molecules = []
    for number, one, value in zip(index, atoms, energy, strict=True):
        with _naming(number):
            molecule = unwrapped(_of_jarvis(one))
        molecule.set_cell(None)
        molecule.pbc = False
        molecule.info["energy_U0"] = float(value)
        molecules.append(molecule)
    return from_ase(molecules, index=index)


def _of_jarvis(one: "JarvisAtoms | Mapping[str, Any]") -> Atoms:
    """As ASE's, periodic."""
    if isinstance(one, Mapping):
        one = one["atoms"] if isinstance(one.get("atoms"), Mapping) else one
        if missing := {"lattice_mat", "coords", "elements", "cartesian"} - one.keys():
            raise MoleculesError(f"no dictionary of JARVIS Atoms: it has no {', '.join(sorted(missing))}")
        place = {"positions" if one["cartesian"] else "scaled_positions": one["coords"]}
        elements, lattice = one["elements"], one["lattice_mat"]
    elif all(hasattr(one, name) for name in ("elements", "cart_coords", "lattice_mat")):
        place, elements, lattice = {"positions": one.cart_coords}, one.elements, one.lattice_mat
    else:
        raise MoleculesError(f"it is {kind(one)}, neither JARVIS Atoms nor a dictionary of one")
    try:
        return Atoms(list(elements), cell=lattice, pbc=True, **place)
    except KeyError as error:
        raise MoleculesError(f"unknown element {error.args[0]}") from error
    except (ValueError, TypeError) as error:
        raise MoleculesError(f"its lattice, elements and coordinates do not fit ({error})") from error


def to_jarvis(molecules: Molecules) -> list["JarvisAtoms"]:
    """JARVIS `Atoms`, each in a cubic box with 5 Å of vacuum on every side; their energies are `molecules.energy`.

    Coordinates are left as they are, not moved into the box. Raises ImportError, with what to install, where
    jarvis-tools is missing.
    """
    try:
        from jarvis.core.atoms import Atoms as JarvisAtoms
    except ImportError as error:
        raise ImportError(
            "JARVIS Atoms need the package jarvis-tools: pip install 'schnet-qm9-compendium[jarvis]'"
        ) from error
    return [
        JarvisAtoms(
            lattice_mat=np.eye(3) * (np.ptp(atoms.positions, axis=0).max() + 2 * _VACUUM),
            coords=atoms.positions.copy(),
            elements=atoms.get_chemical_symbols(),
            cartesian=True,
        )
        for atoms in to_ase(molecules)
    ]


def _indices(atoms: "list[Atoms] | list[JarvisAtoms]", index: Sequence[int] | np.ndarray | None) -> np.ndarray:
    if index is not None:
        if len(index) != len(atoms):
            raise MoleculesError(f"{len(atoms)} molecules but {len(index)} indices")
        return np.asarray(index)
    known = ["index" in molecule.info for molecule in atoms]
    if not any(known):
        return np.arange(1, len(atoms) + 1)
    if not all(known):
        raise MoleculesError(f'molecule number {known.index(False) + 1} has no info["index"], though others have one')
    return np.array([molecule.info["index"] for molecule in atoms])


def _energy(atoms: Atoms, key: str) -> float:
    energy = atoms.info.get(key)
    if key not in atoms.info and atoms.calc is not None and "energy" in atoms.calc.results:
        # Only what is already known: asking the molecule itself could start a calculation.
        energy = atoms.calc.get_property("energy", atoms, allow_calculation=False)
    if energy is None:
        raise MoleculesError(f'it has no energy, neither info["{key}"] nor one of its calculator')
    if np.size(energy) != 1 or np.asarray(energy).dtype.kind not in "iuf":
        raise MoleculesError(f"its energy is {energy!r}; one number in eV is needed")
    return float(np.asarray(energy).item())
