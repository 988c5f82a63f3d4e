"""Many molecules moved at once by models that have learnt forces: each step is one batch of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units

from analysis.predict.dynamics import MOST_SPREAD, Bonds, hottest
from analysis.runs.records import Record
from fused.potential import Potential


@dataclass(frozen=True, eq=False)
class Moved:
    """How M molecules fared, at the T frames that were looked at; lengths in Å, energies in eV.

    `times` [T], fs; `total` [T, M], potential (without offsets) and kinetic energy, and `change` [T, M], to how many
    times its length the bond had come by then that had changed most: NaN after a molecule was stopped. `bonds` know
    which that was, and its last change; `spread` [M] is the largest disagreement of models about a force, eV/Å, NaN for
    a single one.
    `stopped` says what stopped a molecule, "bond", "heat" or "spread" as `dynamics.simulate` has them, "" if nothing
    did; it moved for `until` [M], fs.
    """

    times: np.ndarray
    total: np.ndarray
    change: np.ndarray
    bonds: list[Bonds]
    spread: np.ndarray
    stopped: list[str]
    until: np.ndarray


def potentials(models: Sequence[Record], threads: int | None = None) -> list[Potential]:
    """The recorded networks; by default with as many threads as there are cores."""
    return [Potential(one.state_dict(), cutoff=one.config.model.data_cutoff, threads=threads) for one in models]


def move(
    moving: Sequence[Atoms],
    networks: Sequence[Potential],
    steps: int,
    *,
    temperature: float,
    timestep: float = 0.5,
    friction: float = 0.0,
    rngs: Sequence[np.random.Generator] = (),
    every: int = 4,
    starts: Sequence[Atoms] | None = None,
    most_spread: float = MOST_SPREAD,
) -> Moved:
    """Move molecules for so many steps of `timestep` fs by the mean forces; positions and momenta are changed in place.

    Without `friction`, 1/ps, by velocity Verlet; with it by Langevin's equation at `temperature`, K, in the splitting
    BAOAB (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34), where each molecule has its own of `rngs` and
    its centre of mass stays at rest. So no molecule's path depends on which others are in the batch.

    One frame in `every` steps is looked at, the start included. A molecule leaves the batch for the reasons for which
    `dynamics.simulate` stops; lengths of bonds count from `starts`, by default the positions given.
    """
    bonds = [Bonds(one) for one in starts or [one.copy() for one in moving]]
    limits = [hottest(temperature, 3 * len(one) - 3) for one in moving]
    times = timestep * np.arange(0, steps + 1, every)
    total, change = (np.full((len(times), len(moving)), np.nan) for _ in range(2))
    stopped, until = [""] * len(moving), np.full(len(moving), steps * timestep)
    widest = np.full(len(moving), np.nan)
    batch = _Batch(moving, networks)
    decay, half = np.exp(-friction * timestep / 1000), timestep * units.fs / 2

    def stop(places: Sequence[int], why: str, step: int) -> None:
        for place in places:
            stopped[place], until[place] = why, step * timestep
        batch.drop(places)

    for step in range(steps + 1):
        if not batch.places:
            break
        if step:
            batch.velocities += half * batch.accelerations
            batch.positions += half * batch.velocities
            if friction:
                batch.shake(decay, temperature, [rngs[place] for place in batch.places])
            batch.positions += half * batch.velocities
        # Before forces are asked for: of what has flown apart the networks could say nothing.
        looked_at = zip(batch.places, batch.parts(batch.positions), strict=True)
        stop([place for place, positions in looked_at if bonds[place].look(positions)], "bond", step)
        if not batch.places:
            break
        potential, spread = batch.pull()
        if step:
            batch.velocities += half * batch.accelerations
        kinetic, freedom = batch.kinetic(), 3 * batch.n_atoms - 3
        kelvin = 2 * kinetic / (units.kB * np.maximum(freedom, 1))
        widest[batch.places] = np.fmax(widest[batch.places], spread)
        if step % every == 0:
            total[step // every, batch.places] = potential + kinetic
            change[step // every, batch.places] = [bonds[place].change for place in batch.places]
        hot = ~(kelvin <= [limits[place] for place in batch.places])  # NaN is
        gone = {"heat": hot, "spread": ~hot & (spread > most_spread)}
        for why, places in [(why, np.array(batch.places)[which]) for why, which in gone.items()]:
            stop(places.tolist(), why, step)
    batch.drop(list(batch.places))
    return Moved(times, total, change, bonds, widest, stopped, until)


class _Batch:
    """Those of some molecules that still move, by their `places`; arrays of atoms are packed, in ASE's units."""

    def __init__(self, moving: Sequence[Atoms], networks: Sequence[Potential]) -> None:
        self._moving, self._networks = moving, networks
        self.places = list(range(len(moving)))
        self.n_atoms = np.array([len(one) for one in moving])
        self.numbers = np.concatenate([one.numbers for one in moving])
        self.masses = np.concatenate([one.get_masses() for one in moving])[:, None]
        self.positions = np.concatenate([one.get_positions() for one in moving])
        self.velocities = np.concatenate([one.get_velocities() for one in moving])
        self.accelerations = np.zeros_like(self.positions)

    @property
    def _first(self) -> np.ndarray:
        return np.cumsum(self.n_atoms) - self.n_atoms

    def parts(self, of_atoms: np.ndarray) -> list[np.ndarray]:
        """Those of each molecule."""
        return np.split(of_atoms, self._first[1:])

    def pull(self) -> tuple[np.ndarray, np.ndarray]:
        """Find the accelerations; energies [m], eV, and by how much models differ about a force [m], eV/Å."""
        found = [network.with_forces(self.numbers, self.positions, self.n_atoms) for network in self._networks]
        forces = np.array([forces for _, forces in found])
        self.accelerations = forces.mean(axis=0) / self.masses
        energies = np.mean([energies for energies, _ in found], axis=0, dtype=np.float64)
        if len(forces) == 1:
            return energies, np.full(len(energies), np.nan)
        return energies, np.maximum.reduceat(np.sqrt(forces.var(axis=0, ddof=1).sum(axis=1)), self._first)

    def kinetic(self) -> np.ndarray:
        """Kinetic energies, eV [m]."""
        return np.add.reduceat((self.masses * self.velocities**2).sum(axis=1) / 2, self._first)

    def shake(self, decay: float, temperature: float, rngs: Sequence[np.random.Generator]) -> None:
        """What friction and a heat bath do to velocities in a step, whose share `decay` is left."""
        drawn = np.concatenate(
            [rng.standard_normal((number, 3)) for rng, number in zip(rngs, self.n_atoms, strict=True)]
        )
        self.velocities *= decay
        self.velocities += np.sqrt((1 - decay**2) * units.kB * temperature / self.masses) * drawn
        momenta, masses = (
            np.add.reduceat(of_atoms, self._first) for of_atoms in (self.masses * self.velocities, self.masses)
        )
        self.velocities -= np.repeat(momenta / masses, self.n_atoms, axis=0)

    def drop(self, places: Sequence[int]) -> None:
        """Write these molecules back, and go on without them."""
        if not places:
            return
        for place, *state in zip(self.places, self.parts(self.positions), self.parts(self.velocities), strict=True):
            if place in places:
                self._moving[place].positions = state[0]
                self._moving[place].set_velocities(state[1])
        stay = ~np.isin(self.places, places)
        atoms = np.repeat(stay, self.n_atoms)
        self.places = np.array(self.places)[stay].tolist()
        self.n_atoms = self.n_atoms[stay]
        for name in ("numbers", "masses", "positions", "velocities", "accelerations"):
            setattr(self, name, getattr(self, name)[atoms])
