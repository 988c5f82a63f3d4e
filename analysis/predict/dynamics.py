"""What models that have learnt forces are for: relaxed geometries, vibrations and molecular dynamics of molecules.

Lengths in Å, energies in eV, forces in eV/Å, times in fs. All but `ForceCalculator` takes any ASE calculator that gives
energies and forces.
"""

import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, CalculatorError, InputError, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCom
from ase.data import covalent_radii
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from scipy.special import chdtri

from analysis import study
from analysis.data.errors import UserError
from analysis.data.files import check_output, whole_file
from analysis.data.molecules import unwrapped
from analysis.predict import electrons
from analysis.predict.applicability import Domain, refusal
from analysis.predict.ensemble import check_alike, domain_of, outside_of, without_energies
from analysis.runs import checkout, records
from analysis.runs.records import Outline, Record
from fused.potential import Potential

EXPERIMENT = "forces"
"""Whose models are taken if none are named."""
MOST_SPREAD = 1.0
"""eV/Å: where models differ by more on some atom, a simulation stops.

A bond to hydrogen, of some 30 eV/Å², feels √(k·kB·T) = 0.9 eV/Å at 300 K: models that differ by as much do not know the
forces that drive the motion.
"""
LONGEST, SHORTEST = 1.6, 0.6
"""Times its length at the start: beyond them a bond is broken, or something else than a bond."""
HOTTEST = 3.0
"""Times the temperature that was asked for; for few degrees of freedom more, see `hottest`."""
_CHANCE = 1e-7  # that a Maxwell-Boltzmann draw is called too hot
_BOND = 1.3  # as in `applicability`: two atoms are bonded that are nearer than so many sums of their covalent radii
_BROKEN, _FORMED = 1.4, 1.2  # of them: what stays near `_BOND` is no other bond
_LINEAR = 1e-3  # a rotation that moves atoms by less than so much of the rest is none
_BLOCKS = 20  # of a trajectory, whose means are taken for independent
_CONSERVED = 0.01  # of the temperature: as much may a drift heat or cool in all


class DynamicsError(UserError, ValueError):
    """Models without forces, settings that can't be, or a molecule that reacts; the message says which and why."""


# ---- forces ----------------------------------------------------------------------------------------------------------


def default_records(results: str | os.PathLike[str] | None = None) -> list[Record]:
    """The recorded runs of `EXPERIMENT` on all its molecules, one per seed: PaiNN, trained on forces.

    They lie in `results`, by default `records.results_folder()` or, where there are none, in the installed package.
    Raises StudyError if there are none, and records.RecordError if one is damaged.
    """
    folder = os.fspath(results or records.results_folder())
    if not (found := _recorded(folder)) and results is None and checkout.MODELS.is_dir():
        found = _recorded(checkout.MODELS)
    if not found:
        raise study.StudyError(
            f"no models that have learnt forces are recorded in {folder}: `python -m analysis run {EXPERIMENT}` trains "
            "them"
        )
    return [records.load(one.folder) for one in sorted(found, key=lambda one: one.config.seed)]


def _recorded(folder: str | os.PathLike[str]) -> list[Outline]:
    """The most runs that differ in their seed alone."""
    alike: dict[str, list[Outline]] = {}
    for path in records.recorded_folders(folder):
        if path.parent.name != EXPERIMENT:
            continue
        one = records.outline(path)
        config = one.config
        if config.loss.forces and config.data.train_molecules is None and config.model.representation == "painn":
            alike.setdefault(config.model_copy(update={"seed": 0}).model_dump_json(), []).append(one)
    return max(alike.values(), key=len, default=[])


class ForceCalculator(Calculator):
    """Energy and forces of recorded models that were trained on forces: the means over them.

    `results` also holds `energy_contributions` [n], each model's energy (ASE's name for them; its `energies` are those
    of atoms), and `forces_spread`, the largest over atoms of the standard deviation (n − 1) between models of the force
    on it; NaN for a single model. Offsets are added in float64.

    Raises PredictError for what is no ensemble (see `ensemble.check_alike`), and DynamicsError for models that were
    trained without forces. A molecule that `applicability.refusal` refuses is ASE's InputError, and one that is
    `unlike` those that the models have learnt from a Python warning, if that can be told; both are looked at when a
    molecule comes for the first time, and not each time that its atoms have moved.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, models: Sequence[Record]) -> None:
        super().__init__()
        check_alike(models)
        if not models[0].config.loss.forces:
            raise DynamicsError(
                f"record {models[0].id} has learnt no forces (its loss.forces is 0), and the derivative of its energy "
                f"breaks molecules: `python -m analysis run {EXPERIMENT}` trains models that have"
            )
        cutoff = models[0].config.model.data_cutoff
        self.records = tuple(models)
        self._models = [Potential(one.state_dict(), cutoff=cutoff) for one in models]
        self._offsets = [one.offsets() for one in models]
        self._known: tuple[bytes, np.ndarray] | None = None

    def calculate(
        self, atoms: Atoms, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Fill `results`."""
        if set(system_changes) - {"positions"}:
            if why := refusal(atoms):
                self.reset()  # or else ASE takes it for a molecule that has been looked at
                raise InputError(why)
            said = list(electrons.doubts(atoms))
            with suppress(UserError):  # what the models have learnt from is not here
                if unlike := self.unlike(atoms):
                    said.append(outside_of(unlike))
            for one in said:
                warnings.warn(one, stacklevel=2)
        super().calculate(atoms, properties, system_changes)
        energies, forces = self.of_each(atoms.numbers, unwrapped(atoms).positions[None])
        alone = len(forces) == 1
        self.results = {
            "energy": float(energies.mean()),
            "forces": forces[:, 0].mean(axis=0),
            "energy_contributions": energies[:, 0],
            "forces_spread": np.nan if alone else float(np.sqrt(forces[:, 0].var(axis=0, ddof=1).sum(axis=-1)).max()),
        }

    @cached_property
    def domain(self) -> Domain:
        """What the molecules hold that the models have learnt from, at their frames: see `ensemble.domain_of`."""
        return domain_of(self.records)

    def unlike(self, atoms: Atoms) -> tuple[str, ...]:
        """Why a molecule is unlike all that the models have learnt from, in words, wherever its atoms have moved to.

        Raises what `ensemble.domain_of` raises.
        """
        (found,) = self.domain.warnings_by_kind(without_energies([atoms]), np.full(1, np.nan))
        return tuple(words for kind, words in found.items() if kind != "distance")

    def of_each(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each model's energies [n, K] and forces [n, K, A, 3] of geometries [K, A, 3] of one molecule, in one batch.

        Raises ValueError for positions that are not finite, and two atoms in the same place; nothing else is refused.
        """
        count, n_atoms, _ = positions.shape
        if self._known is None or self._known[0] != numbers.tobytes():
            molecule = without_energies([Atoms(numbers, positions[0])])
            self._known = numbers.tobytes(), np.array([one.of(molecule) for one in self._offsets])
        given = np.tile(numbers, count), positions.reshape(-1, 3), np.full(count, n_atoms)
        energies, forces = zip(*(model.with_forces(*given) for model in self._models), strict=True)
        return np.array(energies, np.float64) + self._known[1], np.array(forces).reshape(-1, count, n_atoms, 3)

    def forces_of(self, atoms: Atoms, positions: np.ndarray) -> np.ndarray:
        """Mean forces [K, A, 3] of a molecule at many geometries [K, A, 3], in one batch."""
        if why := refusal(atoms):
            raise InputError(why)
        return self.of_each(atoms.numbers, positions)[1].mean(axis=0)

    def forces_of_all(self, several: Sequence[Atoms]) -> list[np.ndarray]:
        """Mean forces [A, 3] of each of several molecules, in one batch; nothing is refused here, as in `of_each`."""
        n_atoms = np.array([len(one) for one in several])
        numbers = np.concatenate([one.numbers for one in several])
        positions = np.concatenate([one.positions for one in several])
        mean = np.mean([model.with_forces(numbers, positions, n_atoms)[1] for model in self._models], axis=0)
        return np.split(mean, np.cumsum(n_atoms)[:-1])


def forces_of(atoms: Atoms, calculator: Calculator, positions: np.ndarray) -> np.ndarray:
    """Forces [K, A, 3] of a molecule at many geometries [K, A, 3], in one batch if the calculator has `forces_of`."""
    if hasattr(calculator, "forces_of"):
        return np.asarray(calculator.forces_of(atoms, positions))
    moved = _with(atoms, calculator)
    found = np.empty(positions.shape)
    for place, one in enumerate(positions):
        moved.positions = one
        found[place] = moved.get_forces()
    return found


def _with(atoms: Atoms, calculator: Calculator) -> Atoms:
    """A copy in one piece, without constraints and momenta."""
    copy = unwrapped(atoms).copy()
    copy.set_constraint()
    copy.arrays.pop("momenta", None)
    copy.calc = calculator
    return copy


# ---- relaxed geometries and vibrations -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relaxed:
    """A geometry at rest: `converged` if no force on an atom is larger than was asked for, after so many `steps`."""

    atoms: Atoms
    converged: bool
    steps: int


def relax(atoms: Atoms, calculator: Calculator, *, fmax: float = 0.01, steps: int = 500) -> Relaxed:
    """Move atoms to where no force is larger than `fmax`, eV/Å, by BFGS, in at most so many steps.

    Raises DynamicsError if a bond of the start breaks or collapses, or one forms: it is then another molecule.
    """
    (found,) = relax_all([atoms], calculator, fmax=fmax, steps=steps)
    if isinstance(found, str):
        raise DynamicsError(found)
    return found


def relax_all(
    several: Sequence[Atoms], calculator: Calculator, *, fmax: float = 0.01, steps: int = 500
) -> list[Relaxed | str]:
    """`relax` of several molecules, or in a line why it raises; each step in one batch, by `ForceCalculator`.

    Raises ASE's InputError for a molecule that such a calculator refuses.
    """
    if not (fmax > 0 and steps >= 0):
        raise DynamicsError(f"fmax {fmax:g} eV/Å, {steps} steps: both must be positive")
    together = getattr(calculator, "forces_of_all", None)
    for atoms in several if together else ():
        if why := refusal(atoms):
            raise InputError(why)
    searches = [BFGS(_with(atoms, calculator), logfile=None) for atoms in several]
    found: dict[int, Relaxed | str] = {}
    for step in range(steps + 1):
        places = [place for place in range(len(several)) if place not in found]
        if not places:
            break
        moved = [searches[place].atoms for place in places]
        forces = together(moved) if together else [forces_of(one, calculator, one.positions[None])[0] for one in moved]
        for place, one, pull in zip(places, moved, forces, strict=True):
            at_rest = bool(np.linalg.norm(pull, axis=1).max() < fmax)
            if at_rest or step == steps:
                one.calc = calculator
                found[place] = _reaction(several[place], one) or Relaxed(one, at_rest, step)
            elif not _moved(searches[place], pull):
                found[place] = _reaction(several[place], one) or "it can't be relaxed: a force on it is no number"
    return [found[place] for place in range(len(several))]


def _moved(search: BFGS, forces: np.ndarray) -> bool:
    """Whether the next step could be made."""
    if not np.isfinite(forces).all():
        return False
    search.atoms.calc = SinglePointCalculator(search.atoms, forces=forces)
    with suppress(np.linalg.LinAlgError):
        search.step()
        return bool(np.isfinite(search.atoms.positions).all())
    return False


def _reaction(start: Atoms, end: Atoms) -> str:
    """That a bond of the start is broken or collapsed at the end, or one has formed; "" if none has."""
    before, after = _nearness(start.numbers, unwrapped(start).positions), _nearness(end.numbers, end.positions)
    for what, changed in (
        ("breaks", (before < _BOND) & ((after > _BROKEN) | (after > LONGEST * before))),
        ("collapses", (before < _BOND) & (after < SHORTEST * before)),
        ("forms", (before > _BOND) & (after < _FORMED)),
    ):
        if changed.any():
            pair = np.argwhere(changed)[0].tolist()
            return f"the bond {_named(start, pair)} {what} when it is relaxed: it is then another molecule"
    return ""


@dataclass(frozen=True, eq=False)
class Vibrations:
    """Harmonic vibrations: `frequencies` [V], cm⁻¹, ascending, imaginary ones negative; `modes` [V, A, 3].

    There are 3A − 6 of them, 3A − 5 for a linear molecule. Modes are displacements of unit length, of atoms and not of
    what their masses weigh.
    """

    frequencies: np.ndarray
    modes: np.ndarray

    @property
    def zero_point_energy(self) -> float:
        """Half a quantum of each vibration, eV; imaginary ones have none."""
        return float(self.frequencies.clip(min=0).sum() * units.invcm / 2)


def frequencies(atoms: Atoms, calculator: Calculator, *, step: float = 0.01) -> Vibrations:
    """Harmonic vibrations about a geometry at rest: central differences of forces, all 6A geometries in one batch.

    Translations and rotations are projected out of the mass-weighted Hessian, so that what forces a geometry is not
    quite free of does not mix with slow vibrations.
    """
    at = _with(atoms, calculator)
    n = 3 * len(at)
    moves = (step * np.eye(n)).reshape(n, len(at), 3)
    forces = forces_of(at, calculator, at.positions + np.concatenate([moves, -moves])).reshape(2, n, n)
    roots = np.repeat(np.sqrt(at.get_masses()), 3)
    hessian = (forces[1] - forces[0]) / (2 * step) / np.outer(roots, roots)
    inner = _motions(at)[1]
    squares, vectors = np.linalg.eigh(inner.T @ (hessian + hessian.T) / 2 @ inner)
    to_wavenumbers = units._hbar * units.m / np.sqrt(units._e * units._amu) / units.invcm
    modes = (inner @ vectors).T / roots
    modes /= np.linalg.norm(modes, axis=1, keepdims=True)
    return Vibrations(to_wavenumbers * np.sign(squares) * np.sqrt(np.abs(squares)), modes.reshape(-1, len(at), 3))


def _motions(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal motions, mass-weighted: rigid ones [3A, 6], 5 if linear, 3 of a single atom; and all others."""
    roots = np.sqrt(atoms.get_masses())[:, None]
    arms = atoms.positions - atoms.get_center_of_mass()
    axes = np.eye(3)
    rigid = [roots * axis for axis in axes] + [roots * np.cross(axis, arms) for axis in axes]
    vectors, lengths, _ = np.linalg.svd(np.reshape(rigid, (6, -1)).T)
    rank = int((lengths > _LINEAR * lengths[0]).sum())
    return vectors[:, :rank], vectors[:, rank:]


def _nearness(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Distances [A, A] in sums of covalent radii; the upper triangle, the rest is NaN."""
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    found = distance / (covalent_radii[numbers][:, None] + covalent_radii[numbers])
    found[np.tril_indices(len(numbers))] = np.nan
    return found


def _named(atoms: Atoms, pair: Sequence[int]) -> str:
    return "–".join(f"{atoms.symbols[atom]}{atom + 1}" for atom in pair)


# ---- molecular dynamics ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """Whether a simulation can be believed.

    `drift` is the slope of the least-squares line through the total energy, meV per atom and ps, `drift_error` its
    standard error (from means over blocks, since neighbouring energies are not independent; NaN if there are too few),
    and `rms` what is left about the line, meV per atom. With a thermostat, total energy is not conserved and none of
    the three a fault. `bond` is the one whose length changed most from its start, and `bond_change` to how many times
    that; "" and 1 without a bond. `forces_spread` is the largest of all steps, eV/Å, NaN if the calculator has none.
    `stopped` says why it ended before its time; "" if it did not.
    """

    drift: float
    drift_error: float
    rms: float
    bond: str
    bond_change: float
    forces_spread: float
    stopped: str = ""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A simulation: arrays with a row per frame, `positions` and `velocities` (Å/fs) [T, A, 3]; `atoms` is the start.

    `times` are in fs, `total`, `potential` and `kinetic` energies in eV, `temperature` in K, by the `freedom`, the
    number of degrees of freedom that move. `asked` is the temperature that was asked for.
    """

    atoms: Atoms
    times: np.ndarray
    potential: np.ndarray
    kinetic: np.ndarray
    temperature: np.ndarray
    positions: np.ndarray = field(repr=False)
    velocities: np.ndarray = field(repr=False)
    freedom: int
    asked: float
    thermostat: bool
    health: Health

    @property
    def total(self) -> np.ndarray:
        """Potential and kinetic energy together, eV."""
        return self.potential + self.kinetic

    @property
    def verdict(self) -> str:
        """The health in words."""
        ps = self.times[-1] / 1000
        if self.health.stopped:
            return f"stopped after {ps:.3g} ps: {self.health.stopped}"
        mean = f"{self.temperature.mean():.0f} K"
        if self.thermostat:
            return f"sound: whole, at {mean} on average by its thermostat, which exchanges energy with it"
        if not self.freedom:
            return "sound: nothing moves"
        # What is gained is shared by kinetic and potential energy: half of kB for each degree of freedom.
        to_kelvin = len(self.atoms) / 1000 / (self.freedom * units.kB) * ps
        heated, error = self.health.drift * to_kelvin, self.health.drift_error * to_kelvin
        said, allowed = f"{heated:+.2g} K in {ps:.3g} ps", _CONSERVED * self.temperature.mean()
        if abs(heated) + 2 * error <= allowed:
            return f"sound: whole, its energy conserved (drift {said}), at {mean} on average"
        if abs(heated) > max(2 * error, allowed):
            return f"its energy is not conserved, the drift amounts to {said}: take a shorter time step"
        return f"whole, but whether its energy is conserved is undecided ({said}): simulate for longer"


def simulate(
    atoms: Atoms,
    calculator: Calculator,
    *,
    ps: float,
    timestep: float = 0.5,
    temperature: float = 300.0,
    thermostat: Literal["langevin"] | None = None,
    friction: float = 2.0,
    seed: int = 0,
    every: int = 4,
    out: str | os.PathLike[str] | None = None,
    watch: Callable[[float], object] | None = None,
    most_spread: float = MOST_SPREAD,
) -> Trajectory:
    """Move a molecule for so many ps, with steps of `timestep` fs, by velocity Verlet or Langevin's equation.

    Velocities at the start are drawn for `temperature`, K (Maxwell and Boltzmann), without momentum and rotation. At
    constant energy, half of what is drawn at a geometry at rest becomes potential energy: the molecule is then at half
    that temperature. `friction`, 1/ps, is the thermostat's, which leaves the centre of mass where it is.

    One frame in `every` steps is kept, and `watch` is told its time, fs. `out` is an extended XYZ file with their
    energies and momenta (ASE's units), which is written at the end, whole or not at all.

    It stops, and `Health.stopped` says why, when a bond is longer than `LONGEST` or shorter than `SHORTEST` times its
    start, when it is hotter than `HOTTEST` times `temperature`, when an energy is no number or there is none, and when
    models differ by more than `most_spread`, eV/Å. What was simulated until then is kept.

    Raises DynamicsError for settings that can't be, and the calculator's own error for a start that it refuses.
    """
    steps = _steps(ps, timestep, temperature, thermostat, friction, every)
    if out is not None:
        check_output(out)
    rng = np.random.default_rng(seed)
    moving = _with(atoms, calculator)
    start = moving.copy()
    momenta, freedom = thermal(moving, temperature, rng)
    moving.set_momenta(momenta)
    if thermostat is None:
        dynamics = VelocityVerlet(moving, timestep * units.fs)
    else:
        freedom = 3 * len(moving) - 3  # it brings rotations to its temperature too
        moving.set_constraint(FixCom())
        gamma = friction / (1000 * units.fs)
        dynamics = Langevin(
            moving, timestep * units.fs, temperature_K=temperature, friction=gamma, fixcm=False, rng=rng
        )
    bonds = Bonds(start)
    frames = _Frames()
    limit, stopped, spread = hottest(temperature, freedom), "", np.nan
    moved = dynamics.irun(steps)
    for step in itertools.count():
        try:
            if next(moved, None) is None:
                break
            potential = float(moving.get_potential_energy())
        except (CalculatorError, ValueError) as error:
            if step == 0:
                raise
            stopped = f"no energy: {error}"
            break
        kinetic = float(moving.get_kinetic_energy())
        if not np.isfinite(potential + kinetic):
            if step == 0:
                raise DynamicsError("the energy of the start is no number")
            stopped = "its energy is no number"
            break
        kelvin = 2 * kinetic / (freedom * units.kB) if freedom else 0.0
        differs = float(calculator.results.get("forces_spread", np.nan))
        spread = np.fmax(spread, differs)
        stopped = bonds.look(moving.positions)
        if kelvin > limit:
            stopped = stopped or f"it is at {kelvin:.0f} K, of {temperature:g} K that were asked for"
        if differs > most_spread:
            stopped = (
                stopped or f"the models differ by {differs:.2g} eV/Å about a force, more than {most_spread:g} eV/Å"
            )
        if step % every == 0 or stopped:
            frames.add(step * timestep, potential, kinetic, kelvin, moving)
            if watch is not None:
                watch(step * timestep)
        if stopped:
            break
    times, potentials, kinetics, temperatures = np.array(frames.numbers).T
    trajectory = Trajectory(
        atoms=start,
        times=times,
        potential=potentials,
        kinetic=kinetics,
        temperature=temperatures,
        positions=np.array(frames.positions),
        velocities=np.array(frames.velocities),
        freedom=freedom,
        asked=temperature,
        thermostat=thermostat is not None,
        health=Health(
            *drift(times / 1000, 1000 * (potentials + kinetics) / len(start)),
            bonds.name,
            bonds.change,
            float(spread),
            stopped,
        ),
    )
    if out is not None:
        with whole_file(out) as temporary:
            ase.io.write(temporary, list(_as_atoms(trajectory)), format="extxyz")
    return trajectory


def _steps(ps: float, timestep: float, temperature: float, thermostat: str | None, friction: float, every: int) -> int:
    """How many steps there are; raises DynamicsError for settings that can't be."""
    for name, value in (("ps", ps), ("timestep", timestep), ("friction", friction), ("every", every)):
        if not 0 < value < np.inf:
            raise DynamicsError(f"{name} is {value:g}: it must be positive")
    if not 0 <= temperature < np.inf:
        raise DynamicsError(f"temperature is {temperature:g} K: it must not be negative")
    if thermostat not in (None, "langevin"):
        raise DynamicsError(f"there is no thermostat {thermostat!r}: it is 'langevin', or None")
    if timestep > 1000 * ps:
        raise DynamicsError(f"timestep is {timestep:g} fs: it must not be longer than the {1000 * ps:g} fs in all")
    return round(1000 * ps / timestep)


def thermal(atoms: Atoms, temperature: float, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Momenta [A, 3] (ASE's units) drawn for so many K, of a molecule that neither moves nor turns as a whole.

    Also how many degrees of freedom then move.
    """
    rigid, inner = _motions(atoms)
    drawn = np.sqrt(temperature * units.kB) * rng.standard_normal(3 * len(atoms))
    drawn -= rigid @ (rigid.T @ drawn)
    return np.sqrt(atoms.get_masses())[:, None] * drawn.reshape(-1, 3), inner.shape[1]


def hottest(temperature: float, freedom: int) -> float:
    """Above it a molecule is too hot, K: `HOTTEST` times what was asked for.

    A few degrees of freedom alone are hotter now and then, one of them beyond three times in one case of twelve: for
    them it is what one draw in ten million exceeds.
    """
    if not (temperature and freedom):
        return np.inf
    return temperature * max(HOTTEST, float(chdtri(freedom, _CHANCE)) / freedom)


class Bonds:
    """The bonds of a start: which of them has changed most so far, and to how many times its length."""

    def __init__(self, start: Atoms) -> None:
        self._start = start
        self._pairs = np.argwhere(_nearness(start.numbers, start.positions) < _BOND)
        self._lengths = self._now(start.positions)
        self.name, self.change = "", 1.0

    def _now(self, positions: np.ndarray) -> np.ndarray:
        first, second = self._pairs.T
        return np.linalg.norm(positions[first] - positions[second], axis=1)

    def look(self, positions: np.ndarray) -> str:
        """That a bond is too long or too short, if one is."""
        if not len(self._pairs):
            return ""
        changes = self._now(positions) / self._lengths
        most = int(np.abs(np.log(changes)).argmax())
        if not self.name or abs(np.log(changes[most])) > abs(np.log(self.change)):
            self.name, self.change = _named(self._start, self._pairs[most].tolist()), float(changes[most])
        if SHORTEST <= changes[most] <= LONGEST:
            return ""
        return (
            f"the bond {_named(self._start, self._pairs[most].tolist())} is {changes[most]:.2f} times as long as before"
        )


class _Frames:
    """What is kept of a simulation under way."""

    def __init__(self) -> None:
        self.numbers: list[tuple[float, ...]] = []
        self.positions: list[np.ndarray] = []
        self.velocities: list[np.ndarray] = []

    def add(self, time: float, potential: float, kinetic: float, kelvin: float, moving: Atoms) -> None:
        self.numbers.append((time, potential, kinetic, kelvin))
        self.positions.append(moving.get_positions())
        self.velocities.append(moving.get_velocities() * units.fs)


def drift(times: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """The slope of the least-squares line, its standard error, and the root mean square about the line; see `Health`.

    NaN for fewer than three values.
    """
    if len(times) < 3:
        return np.nan, np.nan, np.nan
    slope, level = np.polyfit(times - times.mean(), values, 1)
    residues = values - level - slope * (times - times.mean())
    blocks = np.array_split(np.arange(len(times)), min(_BLOCKS, len(times)))
    middles = np.array([times[block].mean() for block in blocks])
    scatter = np.array([residues[block].mean() for block in blocks])
    error = np.sqrt((scatter**2).sum() / (len(blocks) - 2) / ((middles - middles.mean()) ** 2).sum())
    return float(slope), float(error), float(np.sqrt((residues**2).mean()))


def _as_atoms(trajectory: Trajectory) -> Iterator[Atoms]:
    """The frames, with what was found of each in their `info` and calculators."""
    for k, time in enumerate(trajectory.times.tolist()):
        atoms = trajectory.atoms.copy()
        atoms.positions = trajectory.positions[k]
        atoms.set_velocities(trajectory.velocities[k] / units.fs)
        atoms.info = {"time_fs": time, "temperature_K": float(trajectory.temperature[k])}
        atoms.calc = SinglePointCalculator(atoms, energy=float(trajectory.potential[k]))
        yield atoms


def spectrum(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """The vibrational density of states: wavenumbers, cm⁻¹, and the share of the kinetic energy per cm⁻¹ at each.

    It is the periodogram of the mass-weighted velocities with Hann's window. Lines are some 2 / (c·t) wide, 7 cm⁻¹ for
    t = 10 ps. Velocity Verlet brings them too high, by (ω·Δt)² / 24: 10 cm⁻¹ at 3,000 cm⁻¹ for steps of 0.5 fs.

    Raises DynamicsError if there are fewer than four frames, or nothing moves.
    """
    velocities = trajectory.velocities
    if len(velocities) > 2 and not np.isclose(np.ptp(trajectory.times[-3:]), 2 * trajectory.times[1]):
        velocities = velocities[:-1]  # the one at which it was stopped
    if len(velocities) < 4:
        raise DynamicsError(f"{len(velocities)} frames are too few for a spectrum: simulate for longer")
    weighted = velocities * np.sqrt(trajectory.atoms.get_masses())[:, None]
    window = np.hanning(len(weighted) + 1)[:-1, None, None]
    density = (np.abs(np.fft.rfft(window * weighted, axis=0)) ** 2).sum(axis=(1, 2))
    if not density.sum() > 0:
        raise DynamicsError("nothing moves: there is no spectrum")
    per_cm = units._c * 1e-13  # periods in a fs, of a wave of 1 cm⁻¹
    wavenumbers = np.fft.rfftfreq(len(weighted), trajectory.times[1]) / per_cm
    return wavenumbers, density / (density.sum() * wavenumbers[1])
