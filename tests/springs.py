"""A molecule of springs: an ASE calculator whose forces are the exact derivative of its energy; many in a batch."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class Springs(Calculator):
    """Between pairs of atoms: ½·k·(r − r₀)², k in eV/Å² and r₀ in Å. `calls` counts the geometries."""

    implemented_properties = ("energy", "forces")

    def __init__(self, springs: Mapping[tuple[int, int], tuple[float, float]]) -> None:
        super().__init__()
        self.pairs = np.array(list(springs), int).reshape(-1, 2)
        self.k, self.length = np.array(list(springs.values()), float).reshape(-1, 2).T
        self.calls = 0

    @classmethod
    def at_rest(cls, atoms: Atoms, k: float = 30.0) -> "Springs":
        """Between all atoms, with their distances for lengths."""
        ends = zip(*np.triu_indices(len(atoms), 1), strict=True)
        return cls({(int(a), int(b)): (k, atoms.get_distance(a, b)) for a, b in ends})

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        first, second = self.pairs.T
        arm = atoms.positions[first] - atoms.positions[second]
        distance = np.linalg.norm(arm, axis=1)
        stretch = distance - self.length
        pull = -(self.k * stretch / distance)[:, None] * arm
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, pull)
        np.add.at(forces, second, -pull)
        self.results = {"energy": float((self.k * stretch**2).sum() / 2), "forces": forces}


class OwnSprings(Springs):
    """Springs of the first molecule's own lengths, as models that agree: in place of `ForceCalculator`."""

    k = 30.0
    unlike = staticmethod(lambda _: ())

    def __init__(self) -> None:
        super().__init__({})

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if not len(self.pairs):
            of = Springs.at_rest(atoms)
            self.pairs, self.k, self.length = of.pairs, 0 * of.k + type(self).k, of.length
        super().calculate(atoms, properties, system_changes)
        self.results["forces_spread"] = 0.02


class PackedSprings:
    """Molecules of different compositions, each with its own springs, asked for as a `fused.Potential` is."""

    def __init__(self, molecules: Sequence[Atoms], springs: Sequence[Springs] | None = None) -> None:
        springs = [Springs.at_rest(one) for one in molecules] if springs is None else springs
        self.springs = {one.numbers.tobytes(): of for one, of in zip(molecules, springs, strict=True)}

    def with_forces(self, numbers, positions, n_atoms):
        cuts, found = np.cumsum(n_atoms)[:-1], []
        for elements, places in zip(np.split(numbers, cuts), np.split(positions, cuts), strict=True):
            atoms = Atoms(elements, places, calculator=self.springs[elements.tobytes()])
            found.append((atoms.get_potential_energy(), atoms.get_forces()))
        energies, forces = zip(*found, strict=True)
        return np.array(energies), np.concatenate(forces)


class Swelling(Calculator):
    """In place of models with forces: a molecule is at rest when it has swollen by so much since it came first."""

    implemented_properties = ("energy", "forces")

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.records = factor, (SimpleNamespace(id="one"), SimpleNamespace(id="other"))
        self.springs: dict[bytes, Springs] = {}

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        which = atoms.numbers.tobytes()
        if which not in self.springs:
            self.springs[which] = Springs.at_rest(atoms)
            self.springs[which].length *= self.factor
        self.springs[which].calculate(atoms)
        self.results = self.springs[which].results

    def unlike(self, atoms: Atoms) -> tuple[str, ...]:
        """Molecules with fluorine are."""
        return ("it holds F",) if 9 in atoms.numbers else ()
