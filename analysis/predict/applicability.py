"""Where models can be believed: what is refused, and what a training set is unlike. Lengths in Å, energies in eV.

A warning says that no training molecule is like this one, or that the models differ more than on all but one in a
thousand of their held-out molecules. For "Beyond" the root-mean-square error of held-out molecules is 0.02 eV; of those
with an atom that no training molecule has it is 0.29 eV, of those with such a distance 0.6 eV, of those with the
largest spread 0.42 eV. How many good geometries each warning names, and which wrong ones, is measured by
`python -m harness.robustness warnings`.

Forces are no sign: the models were not trained on them, and at QM9's own geometries, where true forces vanish, the
largest one of a molecule is 2 to 6 eV/Å; with all distances stretched by a tenth it is 3 to 7.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import scipy
from ase import Atoms
from ase.data import chemical_symbols
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from analysis.data import frames, neighbours, splits
from analysis.data.molecules import FARTHEST, MIN_SEPARATION, Molecules, MoleculesError, kind, unwrapped
from analysis.data.neighbours import LONGEST_BOND, neighbour_pairs
from analysis.data.qm9 import ATOMIC_REFERENCES_U0
from analysis.predict import electrons
from analysis.predict.kept import kept
from analysis.runs import selection
from analysis.runs.config import LABELLED, Data
from analysis.runs.records import Record

LARGEST = 1000
"""Atoms. Whatever is larger is not looked at: it is 30 times the size of the largest molecule that a model has seen."""
BEYOND = 0.001
"""Share of the held-out molecules whose spread is beyond its limit."""
REACH = 2.5
"""Å: distances up to it are compared with the training molecules': bonds, and what the angles between them give."""
WIDTH = 0.02
"""Å: distances are counted in steps of it; a step and both its neighbours count as one distance.

With single steps, 29 in 100 geometries that are 1 % too small, as another method's may be, would be unlike all.
"""

KINDS = ("atoms", "heavy_atoms", "parts", "environment", "distance", "spread")
"""What may be out of the ordinary about a molecule."""

_ELEMENTS = np.array(sorted(ATOMIC_REFERENCES_U0))
_PLACE = np.full(len(chemical_symbols), -1)
_PLACE[_ELEMENTS] = np.arange(len(_ELEMENTS))
_STEPS = round(REACH / WIDTH)
_MOST_BONDS = 15
# A number for each element with so many bonds, and for an atom itself: their sums tell environments apart.
_CODES = np.random.default_rng(0).integers(2**62, size=(len(_ELEMENTS), _MOST_BONDS + 2))

_UNITS = (  # the median distance of an atom to its nearest neighbour, if coordinates are in another unit
    (0.05, 0.17, "they seem to be in nm: multiply them by 10"),
    (LONGEST_BOND, 3.2, "they seem to be in bohr: multiply them by 0.529177"),
    (50.0, 170.0, "they seem to be in pm: divide them by 100"),
)


def refusal(atoms: Atoms) -> str:
    """Why a molecule can't be predicted at all, in a line; "" if it can.

    What `refused_anywhere` says; coordinates that are no numbers or beyond 10⁶ Å; periodicity; pieces that the cell
    does not join (see `molecules.unwrapped`); two atoms nearer than 0.5 Å; lengths that can't be in Å; something else
    than ASE's `Atoms`.
    """
    if not isinstance(atoms, Atoms):
        return f"it is {kind(atoms)}, not ASE's Atoms"
    if why := refused_anywhere(atoms):
        return why
    placed = (np.abs(atoms.positions) <= FARTHEST).all(axis=1)  # NaN is not
    if not placed.all():
        atom = int(placed.argmin())
        return f"the position of its atom {atom + 1} is {atoms.positions[atom].tolist()}"
    if atoms.pbc.any():
        return "it is periodic; for a molecule in a box, set its pbc to False"
    try:
        return _lengths(unwrapped(atoms))
    except MoleculesError as error:
        return str(error)


def refused_anywhere(atoms: Atoms) -> str:
    """Why a molecule can't be predicted wherever its atoms may be.

    No atoms or far too many; an element other than H, C, N, O and F; what is no neutral closed shell (see `electrons`).
    """
    if not len(atoms):
        return "it has no atoms"
    if len(atoms) > LARGEST:
        return f"it has {len(atoms):,} atoms, more than {LARGEST:,}"
    if foreign := sorted(set(atoms.numbers.tolist()) - set(_ELEMENTS.tolist())):
        symbols = ", ".join(
            chemical_symbols[number] if 0 <= number < len(chemical_symbols) else f"element {number}"
            for number in foreign
        )
        return f"it holds {symbols}; the models know only H, C, N, O and F"
    return electrons.refusal(atoms)


def _lengths(atoms: Atoms) -> str:
    if len(atoms) == 1:
        return ""
    distance = pdist(atoms.positions)
    if MIN_SEPARATION <= distance.min() < LONGEST_BOND:
        return ""
    distance = squareform(distance)
    np.fill_diagonal(distance, np.inf)
    typical = float(np.median(distance.min(axis=1)))
    for low, high, said in _UNITS:
        if low < typical < high and (distance.min() >= LONGEST_BOND or typical < MIN_SEPARATION):
            return f"its coordinates can't be in Å (neighbours are {typical:.3g} apart): {said}"
    first, second = np.unravel_index(distance.argmin(), distance.shape)
    if distance.min() < MIN_SEPARATION:
        return f"its atoms {first + 1} and {second + 1} are {distance.min():.3g} Å apart, less than {MIN_SEPARATION} Å"
    if distance.min() >= LONGEST_BOND:
        return f"no two of its atoms are nearer than {distance.min():.3g} Å: it is no molecule, or not in Å"
    return ""


@dataclass(frozen=True, eq=False)
class Domain:
    """What the training molecules of some models hold.

    An atom's environment is its element and, of each atom bonded to it, the element and the number of bonds; two atoms
    are bonded that are nearer than 1.3 times the sum of their covalent radii (see `neighbours.bonded`).

    A bond stretched or squeezed falls where the training molecules have no distance of these two elements, whose
    lengths have gaps, and not just a smallest and a largest one. It does not if the atoms come to lie as unbonded atoms
    do; then the environments of both are new.

    `atoms` and `heavy_atoms` are the smallest and largest number of atoms, and of atoms other than hydrogen; `codes`,
    int64 [E], the environments; `distances`, bool [25 · 125], says whether two atoms of each two elements are as far
    apart as each step of `WIDTH` up to `REACH`, or a step beside it; above a standard deviation of `spread`, eV, of the
    models' predictions comes a warning (NaN for a single model).
    """

    atoms: tuple[int, int]
    heavy_atoms: tuple[int, int]
    codes: np.ndarray
    distances: np.ndarray
    spread: float = np.nan

    @classmethod
    def of(cls, records: Sequence[Record], molecules: Callable[[], Molecules]) -> Self:
        """The domain of models that were trained on the same molecules, out of the whole database, `molecules()`.

        Molecules that were trained on with labels of their own have the geometries of these frames. What they all hold
        takes seconds to find, and is then kept in the user's cache folder for this project: another time the database
        is not asked for. Models' recorded errors give the spread: errors of one molecule differ as its predictions do.

        Raises frames.FramesError if such frames are missing.
        """
        first = records[0]
        data = first.config.data
        labels = frames.fingerprint(selection.frames_folder(), data.geometries) if data.geometries in LABELLED else ""
        key = f"{first.about['molecules_fingerprint']} {data.model_dump_json()} {labels}{_code()}"
        held = kept("domain", key, lambda: _held(molecules(), data))
        found = cls(
            atoms=(int(held["atoms"][0]), int(held["atoms"][1])),
            heavy_atoms=(int(held["heavy_atoms"][0]), int(held["heavy_atoms"][1])),
            codes=held["codes"],
            distances=held["distances"],
        )
        return found.with_spread_of(records)

    def with_spread_of(self, records: Sequence[Record]) -> Self:
        """The same with the spread of some models; NaN for a single one."""
        alike = records[0].errors["n_atoms"].between(*self.atoms).to_numpy()
        every = np.stack([record.errors["error"].to_numpy()[alike] for record in records])
        usual = float(np.quantile(every.std(axis=0, ddof=1), 1 - BEYOND)) if len(records) > 1 else np.nan
        return replace(self, spread=usual)

    def warnings(self, molecules: Molecules, spread: np.ndarray) -> list[tuple[str, ...]]:
        """What is out of the ordinary about each molecule, in words; spread: float [M], eV, NaN for a single model."""
        return [tuple(words.values()) for words in self.warnings_by_kind(molecules, spread)]

    def warnings_by_kind(self, molecules: Molecules, spread: np.ndarray) -> list[dict[str, str]]:
        """`warnings`, each under the one of `KINDS` that it is."""
        looked = _Looked.at(molecules)
        new_atom, new_pair = ~np.isin(looked.codes, self.codes), ~self.distances[looked.steps]
        parts, heavy = looked.parts(), molecules.heavy_atoms
        said = []
        for m in range(len(molecules)):
            atoms = slice(*molecules.offsets[m : m + 2])
            pairs = slice(*looked.offsets[m : m + 2])
            n_parts = len(np.unique(parts[atoms]))
            words = (
                _outside(int(molecules.n_atoms[m]), self.atoms, "atoms"),
                _outside(int(heavy[m]), self.heavy_atoms, "atoms other than hydrogen"),
                f"{n_parts} parts that no bond holds together; the training molecules are one" if n_parts > 1 else "",
                _new_atom(molecules, looked, atoms, new_atom[atoms]),
                _new_distance(molecules, looked, atoms, pairs, new_pair[pairs]),
                f"the models differ more than usual: by {spread[m]:.3f} eV, above {self.spread:.3f} eV"
                if spread[m] > self.spread
                else "",
            )
            said.append({kind: one for kind, one in zip(KINDS, words, strict=True) if one})
        return said


@dataclass(frozen=True, eq=False)
class _Looked:
    """Environments and distances of packed molecules; atoms are counted through all of them.

    `codes` and `bonds` (how many an atom has), int64 [A]; `steps`, `distance` [P] and `ends` [2, P] of the pairs up to
    `REACH`, those of molecule m at offsets[m]:offsets[m + 1]; `first` and `second` [B] of the bonds.
    """

    codes: np.ndarray
    bonds: np.ndarray
    steps: np.ndarray
    distance: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def at(cls, molecules: Molecules) -> Self:
        pairs = neighbour_pairs(molecules, REACH)
        ends = neighbours.ends(molecules, pairs)
        first, second = ends[:, neighbours.bonded(molecules, pairs)]
        elements = _PLACE[molecules.numbers]
        bonds = np.bincount(np.concatenate([first, second]), minlength=len(elements))
        as_neighbour = _CODES[elements, np.minimum(bonds, _MOST_BONDS)]
        codes = _CODES[elements, _MOST_BONDS + 1]
        np.add.at(codes, first, as_neighbour[second])  # overflows wrap, and tell apart as well
        np.add.at(codes, second, as_neighbour[first])
        one, other = elements[ends]
        kind = np.maximum(one, other) * len(_ELEMENTS) + np.minimum(one, other)
        # float32 of a distance just below the reach may be the reach itself
        step = np.minimum((pairs.distance / WIDTH).astype(np.int64), _STEPS - 1)
        return cls(codes, bonds, kind * _STEPS + step, pairs.distance, ends, pairs.offsets, first, second)

    def parts(self) -> np.ndarray:
        """Int [A]: a number for all atoms that bonds hold together."""
        n = len(self.bonds)
        bonds = coo_array((np.ones(len(self.first)), (self.first, self.second)), shape=(n, n))
        return connected_components(bonds, directed=False)[1]


def _held(molecules: Molecules, data: Data) -> dict[str, np.ndarray]:
    """What the training molecules hold: the fields of `Domain`, as arrays, but for the spread."""
    train = molecules.select(selection.training_part(molecules, data))
    if data.geometries in LABELLED:
        train = frames.read(selection.frames_folder(), data.geometries, train).molecules
    looked = _Looked.at(train)
    sizes, heavy = train.n_atoms, train.heavy_atoms
    steps = np.zeros((len(_ELEMENTS) ** 2, _STEPS), dtype=bool)
    steps.flat[looked.steps] = True
    return {
        "atoms": np.array([sizes.min(), sizes.max()]),
        "heavy_atoms": np.array([heavy.min(), heavy.max()]),
        "codes": np.unique(looked.codes),
        "distances": scipy.ndimage.binary_dilation(steps, [[1, 1, 1]]).ravel(),
    }


def _code() -> str:
    """A checksum of the code that says what training molecules hold."""
    files = (__file__, frames.__file__, neighbours.__file__, selection.__file__, splits.__file__)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def _new_atom(molecules: Molecules, looked: _Looked, atoms: slice, new: np.ndarray) -> str:
    if not new.any():
        return ""
    # Of several, the one with the fewest bonds: a lost atom is new, and so are those that have lost it.
    atom = atoms.start + int(np.lexsort([looked.bonds[atoms], ~new])[0])
    ends = np.concatenate([looked.second[looked.first == atom], looked.first[looked.second == atom]])
    around = sorted(f"{chemical_symbols[molecules.numbers[end]]}{looked.bonds[end]}" for end in ends)
    return (
        f"{chemical_symbols[molecules.numbers[atom]]} bonded to {', '.join(around) or 'nothing'} "
        f"(atom {atom - atoms.start + 1}; a digit is the neighbour's number of bonds): no training molecule has "
        "such an atom"
    )


def _new_distance(molecules: Molecules, looked: _Looked, atoms: slice, pairs: slice, new: np.ndarray) -> str:
    if not new.any():
        return ""
    pair = pairs.start + int(new.argmax())
    ends = looked.ends[:, pair]
    one, other = (chemical_symbols[z] for z in molecules.numbers[ends])
    places = " and ".join(str(end - atoms.start + 1) for end in ends)
    return (
        f"{one} and {other} {looked.distance[pair]:.3f} Å apart (atoms {places}): no training molecule has such a "
        "distance; is the geometry relaxed?"
    )


def _outside(number: int, limits: tuple[int, int], what: str) -> str:
    low, high = limits
    return "" if low <= number <= high else f"{number} {what}; the training molecules have {low} to {high}"
