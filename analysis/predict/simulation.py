"""A molecule tried on models that have learnt forces, as notebook 13 does it: at rest, vibrating and moving.

Lengths in Å, energies in eV, times in ps, but where a column says otherwise.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from analysis.data import qm9
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules, to_ase
from analysis.predict import dynamics
from analysis.predict.applicability import refusal
from analysis.predict.dynamics import DynamicsError, ForceCalculator, Relaxed, Trajectory, Vibrations
from analysis.predict.geometries import all_from_smiles
from analysis.runs import selection
from analysis.runs.records import Record

FMAX = 0.003
"""eV/Å: the largest force on an atom of a molecule at rest; slow vibrations ask for less than `dynamics.relax` does."""
STAGES = ("langevin", "constant energy")
_MEV = 1000  # meV per eV


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """A molecule, by its number in QM9, whose geometry it then has, or a conformer of its SMILES; and `models`.

    `molecules` are QM9. It comes to rest, and from there it is moved for `ps` at `temperature`, K, by Langevin's
    equation with `friction`, 1/ps; where that ends it goes on at constant energy, with velocities drawn anew, for as
    long again. `timestep` is in fs. Each part is computed when it is asked for first.

    Its parts raise DynamicsError for a molecule that isn't in QM9, can't be read or is refused, and for settings that
    can't be. What poor models do to a molecule raises nothing: the tables say it.
    """

    molecule: int | str
    models: Sequence[Record]
    molecules: Molecules
    temperature: float
    ps: float
    timestep: float = 0.5
    friction: float = 2.0
    seed: int = 0

    @cached_property
    def calculator(self) -> ForceCalculator:
        """The mean of the models."""
        return ForceCalculator(self.models)

    @cached_property
    def start(self) -> Atoms:
        """The molecule as it is given."""
        if isinstance(self.molecule, int):
            found = self.molecules.select(np.flatnonzero(self.molecules.index == self.molecule))
            if not len(found):
                last = self.molecules.index.max()
                raise DynamicsError(f"QM9 has no molecule {self.molecule}: choose one out of 1 to {last}, or a SMILES")
            (atoms,) = to_ase(found)
            return Atoms(atoms.numbers, atoms.positions)
        (given,) = all_from_smiles([self.molecule])
        if given.atoms is None or (why := refusal(given.atoms)):
            raise DynamicsError(f"refused: {given.name}: {given.trouble or why}")
        return given.atoms

    @cached_property
    def relaxed(self) -> Relaxed:
        """The molecule at rest or, if it reacts on the way, as it was given, and not at rest."""
        (found,) = self._quietly(lambda: dynamics.relax_all([self.start], self.calculator, fmax=FMAX))
        return Relaxed(self.start, False, 0) if isinstance(found, str) else found

    @cached_property
    def vibrations(self) -> Vibrations:
        """The harmonic vibrations there."""
        return dynamics.frequencies(self.relaxed.atoms, self.calculator)

    @cached_property
    def trajectories(self) -> dict[str, Trajectory]:
        """The simulations by their names in `STAGES`; the first alone, if it was stopped."""
        first, second = STAGES
        settings: dict[str, Any] = {"ps": self.ps, "timestep": self.timestep, "temperature": self.temperature}

        def moved() -> dict[str, Trajectory]:
            heated = dynamics.simulate(
                self.relaxed.atoms,
                self.calculator,
                thermostat="langevin",
                friction=self.friction,
                seed=self.seed,
                **settings,
            )
            if heated.health.stopped:
                return {first: heated}
            there = heated.atoms.copy()
            there.positions = heated.positions[-1]
            return {first: heated, second: dynamics.simulate(there, self.calculator, seed=self.seed + 1, **settings)}

        return self._quietly(moved)

    # ---- tables --------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What is known of it: `learnt_from`, whether the models were trained on it (None for a SMILES), `like_them`.

        `like_them` is whether it is like what they were trained on (None if that can't be told), `at_rest` whether it
        came to rest in so many `steps`, `zero_point` half a quantum of each vibration, eV, and `imaginary` how many of
        them are.
        """
        learnt_from = None
        if isinstance(self.molecule, int):
            trained = selection.training_part(self.molecules, self.models[0].config.data)
            learnt_from = self.molecule in self.molecules.index[trained]
        try:
            like_them = not self.calculator.unlike(self.start)
        except UserError:  # what the models have learnt from is not here
            like_them = None
        return {
            "formula": self.start.get_chemical_formula(),
            "atoms": len(self.start),
            "learnt_from": learnt_from,
            "like_them": like_them,
            "at_rest": self.relaxed.converged,
            "steps": self.relaxed.steps,
            "zero_point": self.vibrations.zero_point_energy,
            "imaginary": int((self.vibrations.frequencies < 0).sum()),
        }

    def frequencies(self) -> pd.DataFrame:
        """A row per vibration, ascending: `network` and `qm9`, cm⁻¹, `hydrogen`, its share of the kinetic energy.

        `qm9` is NaN for a SMILES, and where QM9 has no list, or one of another length.
        """
        waves, modes = self.vibrations.frequencies, self.vibrations.modes
        known = qm9.harmonic_frequencies([self.molecule]) if isinstance(self.molecule, int) else {}
        (theirs,) = known.values() or [np.empty(0)]
        energy = (modes**2).sum(axis=2) * self.start.get_masses()
        return pd.DataFrame(
            {
                "network": waves,
                "qm9": theirs if len(theirs) == len(waves) else np.full(len(waves), np.nan),
                "hydrogen": energy[:, self.start.numbers == 1].sum(axis=1) / energy.sum(axis=1),
            }
        )

    def health(self) -> pd.DataFrame:
        """A row per simulation: its `dynamics.Health`, its length `ps` and mean `temperature`, K.

        `drift`, its error and `rms` are those at constant energy alone, NaN with the thermostat; `whole` is whether it
        was not stopped.
        """
        rows = {}
        for stage, done in self.trajectories.items():
            health = done.health
            conserved = (health.drift, health.drift_error, health.rms) if not done.thermostat else (np.nan,) * 3
            rows[stage] = {
                "ps": done.times[-1] / 1000,
                "temperature": done.temperature.mean(),
                **dict(zip(("drift", "drift_error", "rms"), conserved, strict=True)),
                "bond": health.bond,
                "bond_change": health.bond_change,
                "spread": health.forces_spread,
                "whole": not health.stopped,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def course(self) -> pd.DataFrame:
        """A row per frame: `time_ps`, from the first simulation on, `total_energy_meV_per_atom`, `temperature_K`.

        Energies are above the mean of their simulation, `stage`; `run` are the ids of the models.
        """
        begun, found = 0.0, []
        for stage, done in self.trajectories.items():
            energy = _MEV * (done.total - done.total.mean()) / len(done.atoms)
            table = {"time_ps": begun + done.times / 1000, "total_energy_meV_per_atom": energy}
            found.append(pd.DataFrame({"stage": stage, **table, "temperature_K": done.temperature}))
            begun += done.times[-1] / 1000
        return pd.concat(found, ignore_index=True).assign(run=self.ids)

    def spectrum(self) -> pd.DataFrame:
        """The vibrational density of states at constant energy: `per_cm` and `density`, see `dynamics.spectrum`.

        Empty if it never came to that, or for too short a time.
        """
        found: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))
        try:
            if STAGES[1] in self.trajectories:
                found = dynamics.spectrum(self.trajectories[STAGES[1]])
        except DynamicsError:  # too few frames
            pass
        return pd.DataFrame({"per_cm": found[0], "density": found[1]}).assign(run=self.ids)

    @property
    def ids(self) -> str:
        """Those of the models, with a space between two."""
        return " ".join(one.id for one in self.models)

    def _quietly[Made](self, make: Callable[[], Made]) -> Made:
        """What is made without the calculator's warnings, which `about` says."""
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return make()
