"""Which molecules go where: the split, sets by size and by element, caps and controls of equal size.

A subset is a sorted array of positions in a `Molecules` table (int64). Everything random comes from a seed, through
NumPy's PCG64; a smaller draw with the same seed is part of a larger one.
"""

import hashlib
import math
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
from ase.data import chemical_symbols

from analysis.data.molecules import Molecules

# Second words of the seeds, so that draws with one seed are independent of the split and of each other. Sizes take
# their own number of atoms.
_RANDOM_SUBSET = 1_000_000


@dataclass(frozen=True, eq=False)
class Split:
    """The three parts of a database, as sorted positions. Choices look at `validation`, the final figures at `test`.

    Raises ValueError if a part is empty or not sorted, or if two parts share a molecule.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self):
        for field in fields(self):
            part = np.array(getattr(self, field.name))
            if part.ndim != 1 or len(part) == 0 or part.dtype.kind not in "iu":
                raise ValueError(f"{field.name}: a part of a split is a row of at least one position, not {part!r}")
            if part[0] < 0 or (np.diff(part) <= 0).any():
                raise ValueError(f"{field.name}: positions must be 0 or more, sorted, each once")
            part = part.astype(np.int64, copy=False)
            part.flags.writeable = False
            object.__setattr__(self, field.name, part)
        everything = np.concatenate([self.train, self.validation, self.test])
        position, count = np.unique(everything, return_counts=True)
        if (count > 1).any():
            raise ValueError(f"position {position[count > 1][0]} is in more than one part of the split")

    @property
    def held_out(self) -> np.ndarray:
        """`validation` and `test` together, sorted."""
        return np.sort(np.concatenate([self.validation, self.test]))

    def fingerprint(self, molecules: Molecules) -> str:
        """SHA-256 (hexadecimal) of the indices of the molecules of each part, the same on every platform."""
        digest = hashlib.sha256()
        for field in fields(self):
            index = np.sort(molecules.index[getattr(self, field.name)]).astype("<i8")
            digest.update(f"{field.name} {len(index)} ".encode())
            digest.update(index.tobytes())
        return digest.hexdigest()


def split(molecules: Molecules, seed: int = 0, held_out: float = 0.2) -> Split:
    """Split at random into training, validation and test part.

    Of M molecules ⌈held_out · M⌉ are held out (the share is taken as the decimal that it is written as), the smaller
    half of them for validation. QM9 gives 104,664 + 13,083 + 13,084.

    Raises ValueError if `held_out` is not between 0 and 1, or a part would be empty.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out:g}; it must be between 0 and 1")
    n_held_out = math.ceil(Fraction(repr(float(held_out))) * len(molecules))
    n_validation = n_held_out // 2
    if n_validation == 0 or n_held_out == len(molecules):
        raise ValueError(f"{len(molecules)} molecules can't be split with {held_out:g} held out: a part would be empty")
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(molecules))
    validation, test, train = np.split(shuffled, [n_validation, n_held_out])
    return Split(train=np.sort(train), validation=np.sort(validation), test=np.sort(test))


def by_size(molecules: Molecules, among: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """The molecules of each number of atoms, in rising order; sizes without molecules are left out."""
    positions = np.arange(len(molecules)) if among is None else np.sort(among)
    n_atoms = molecules.n_atoms[positions]
    return {int(size): positions[n_atoms == size] for size in np.unique(n_atoms)}


def by_element(molecules: Molecules) -> dict[str, np.ndarray]:
    """The molecules that hold at least one atom of an element, by its symbol, in the order of atomic numbers.

    The sets overlap: a molecule is in one for each of its elements.
    """
    present = np.unique(molecules.numbers).tolist()
    of_elements = molecules.element_counts(present).T
    return {chemical_symbols[z]: np.flatnonzero(counts) for z, counts in zip(present, of_elements, strict=True)}


def cap_per_size(molecules: Molecules, cap: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
    """At most `cap` molecules of each size, drawn at random (section 5.3.2 of the report takes 2,000, 4,000 and 6,000).

    What is drawn of one size depends on the seed and on the molecules of that size alone.

    Raises ValueError if `cap` is below 1 or if there are no molecules.
    """
    sizes = _to_cap(molecules, cap, among)
    return np.sort(np.concatenate([_draw(members, cap, seed, size) for size, members in sizes.items()]))


def first_per_size(molecules: Molecules, cap: int) -> np.ndarray:
    """The first `cap` molecules of each size in the database's order: what a loop that counts and stops keeps.

    QM9's order is that of GDB-17's enumeration, not a random one: the first molecules of a size differ from the rest.

    Raises ValueError if `cap` is below 1 or if there are no molecules.
    """
    return np.sort(np.concatenate([members[:cap] for members in _to_cap(molecules, cap).values()]))


def random_subset(among: np.ndarray, n: int, seed: int) -> np.ndarray:
    """`n` of the positions `among`, drawn at random: the control of equal size for any other subset.

    Raises ValueError if `n` is below 1 or more than there are.
    """
    if not 1 <= n <= len(among):
        raise ValueError(f"{n} molecules can't be drawn from {len(among)}")
    return np.sort(_draw(np.sort(among), n, seed, _RANDOM_SUBSET))


def _to_cap(molecules: Molecules, cap: int, among: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """`by_size`, or ValueError where there is nothing to keep."""
    if cap < 1:
        raise ValueError(f"a cap of {cap} molecules per size leaves none; it must be at least 1")
    sizes = by_size(molecules, among)
    if not sizes:
        raise ValueError("there are no molecules to draw from")
    return sizes


def _draw(positions: np.ndarray, n: int, seed: int, stream: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([seed, stream])).permutation(positions)[:n]
