"""What was measured of networks that have learnt forces, from vibrations and survival to speed and a trajectory.

`python -m harness.dynamics PART` makes the record of each part. Lengths in Å, energies in eV, forces in eV/Å, times in
fs, frequencies in cm⁻¹, imaginary ones negative. Networks are told apart by the ids of their runs; `MEAN` is the mean
over them, as `predict.dynamics.ForceCalculator` has it, and `XTB` GFN2-xTB, the level of the labels.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, get_args

import numpy as np
import scipy  # its statistics, which take half a second to import, come with their first use
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git
from analysis.runs.records import Record, results_folder

FOLDER = "dynamics"
"""Of the records, beside the experiments."""
MEAN, XTB, QM9 = "mean", "xtb", "qm9"
LEVEL = 0.95
"""Of intervals of fractions."""

LENGTH_STEP = 1e-3
"""Å: positions of frames are whole numbers of it."""

Frame = Annotated[str, Field(pattern=r"^-?\d+( -?\d+)*$")]
Contestant = Literal["network", "batch", "xtb", "schnetpack"]
CONTESTANTS: tuple[Contestant, ...] = get_args(Contestant)
"""One network, one molecule at a time through ASE; copies of the molecule in one batch; xTB and stock SchNetPack."""


class DynamicsRecordError(UserError, RuntimeError):
    """A record of dynamics is missing or was damaged; the message names the file."""


class Fraction(NamedTuple):
    """So many of `of`, and Wilson's interval of the fraction (J. Am. Stat. Assoc. 22, 209 (1927)) with `LEVEL`."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def among(cls, counted: Sequence[bool]) -> Self:
        """How many are true; of none at all, anything between 0 and 1."""
        if not len(counted):
            return cls(0, 0, 0.0, 1.0)
        interval = scipy.stats.binomtest(sum(counted), len(counted)).proportion_ci(LEVEL, method="wilson")
        return cls(sum(counted), len(counted), float(interval.low), float(interval.high))


class Molecule(Frozen):
    """A molecule of QM9 that was held out."""

    index: NonNegativeInt
    smiles: str
    n_atoms: PositiveInt
    elements: tuple[str, ...]


class Made(Frozen):
    """What every part says of itself: `models` are the runs' ids by arm, a seed each; `seed` is that of all draws."""

    schema_version: Literal[1] = 1
    git: Git | None
    versions: dict[str, str]
    processor: str
    models: dict[str, tuple[str, ...]]
    seed: NonNegativeInt

    @property
    def ids(self) -> str:
        """Those of all runs, with a space between two."""
        return " ".join(one for of_arm in self.models.values() for one in of_arm)

    @classmethod
    def part(cls) -> str:
        """What its command and its file are called."""
        return cls.__name__.lower()

    @classmethod
    def load(cls, folder: str | os.PathLike[str] | None = None) -> Self:
        """The record of this part; raises DynamicsRecordError if it is missing or damaged."""
        path = Path(folder or results_folder() / FOLDER) / f"{cls.part()}.json"
        return measured.read(path, cls, DynamicsRecordError, f"python -m harness.dynamics {cls.part()} {path}")

    @classmethod
    def made_with(cls, networks: Sequence[Record], folder: str | os.PathLike[str] | None = None) -> Self | None:
        """The same, or None if there is no such record or it is of others than these networks."""
        folder = Path(folder or results_folder() / FOLDER)
        found = cls.load(folder) if (folder / f"{cls.part()}.json").exists() else None
        return found if found and set(found.ids.split()) <= {one.id for one in networks} else None


# ---- vibrations ------------------------------------------------------------------------------------------------------


class Rest(Frozen):
    """A molecule relaxed by one method from QM9's geometry, and its harmonic `frequencies` there, ascending.

    `force` is the largest on an atom at QM9's geometry, and `displacement` how far atoms have moved, as the root of the
    mean square with the two geometries laid upon each other. At the geometry that was found, `energy_error` is the
    method's energy less GFN2-xTB's, and `above` GFN2-xTB's less that at its own minimum. `trouble` says why there is no
    such geometry; all but `force` is then empty.
    """

    force: NonNegativeFloat
    displacement: NonNegativeFloat | None = None
    frequencies: tuple[float, ...] = ()
    energy_error: float | None = None
    above: float | None = None
    trouble: str = ""


class Vibrating(Molecule):
    """A molecule with QM9's own frequencies, and at rest by each method: `XTB`, `MEAN` and each network."""

    qm9: tuple[float, ...]
    rest: dict[str, Rest]

    def frequencies(self, of: str) -> tuple[float, ...]:
        """Those of a method, or of `QM9`."""
        return self.qm9 if of == QM9 else self.rest[of].frequencies


class Frequencies(Made):
    """Harmonic frequencies at each method's own minimum: where no force on an atom was above `fmax`."""

    fmax: PositiveFloat
    step: PositiveFloat
    molecules: tuple[Vibrating, ...]

    def differences(self, of: str, reference: str) -> np.ndarray:
        """The mean absolute difference of each molecule's frequencies, in ascending order: cm⁻¹ [M].

        NaN where one of the two has none, or another number of them (one is linear and the other is not).
        """
        both = [(one.frequencies(of), one.frequencies(reference)) for one in self.molecules]
        return np.array(
            [np.abs(np.subtract(*pair)).mean() if len(pair[0]) == len(pair[1]) > 0 else np.nan for pair in both]
        )

    def imaginary(self, of: str) -> list[int]:
        """How many imaginary frequencies each molecule has that has any frequencies."""
        every = [one.frequencies(of) for one in self.molecules]
        return [int((np.array(waves) < 0).sum()) for waves in every if waves]

    def at_rest(self, of: str, what: Literal["force", "displacement", "energy_error", "above"]) -> np.ndarray:
        """A number of `Rest` for each molecule, NaN where there is none: [M]."""
        return np.array([getattr(one.rest[of], what) for one in self.molecules], dtype=float)


# ---- survival --------------------------------------------------------------------------------------------------------


class Simulated(Molecule):
    """A molecule that was simulated until it was `stopped`, for the reason said (see `predict.batched.Moved`), or not.

    `drawn` says from which molecules: all that are held out, or those of them with fluorine. `bond_change` is to how
    many times its length the bond came that changed most, and `spread` the largest disagreement of the models about a
    force. `drift` and its standard error are in meV per atom and ps, at constant energy; None if it never came to that.
    """

    drawn: Literal["random", "fluorine"]
    stopped: Literal["", "bond", "heat", "spread"]
    until: NonNegativeFloat
    bond: str
    bond_change: PositiveFloat
    spread: NonNegativeFloat | None
    drift: float | None = None
    drift_error: NonNegativeFloat | None = None


class Survival(Made):
    """Held-out molecules moved from QM9's geometry for `ps` by Langevin's equation, then for `nve_ps` without it.

    Forces are the mean over the models. `temperature` is in K, `friction` in 1/ps, `timestep` in fs.
    """

    ps: PositiveFloat
    nve_ps: NonNegativeFloat
    timestep: PositiveFloat
    temperature: PositiveFloat
    friction: PositiveFloat
    molecules: tuple[Simulated, ...]

    @property
    def at_random(self) -> list[Simulated]:
        """Those drawn from all held-out molecules."""
        return [one for one in self.molecules if one.drawn == "random"]

    def whole_at(self, times: np.ndarray) -> np.ndarray:
        """The fraction of those drawn at random that have not been stopped before each time, fs: [T]."""
        ends = np.array([one.until if one.stopped else np.inf for one in self.at_random])
        return (ends[:, None] > times).mean(axis=0)


# ---- control ---------------------------------------------------------------------------------------------------------


class Released(Molecule):
    """A molecule let go at rest at QM9's geometry, by the mean over the models of an `arm`.

    `broken` is when a bond was too long or too short; None if none was. Until then the total energy was never farther
    than `energy_change` from its first value, and `change` is to how many times its length the bond had come, at each
    frame, that had changed most.
    """

    arm: Literal["beyond", "energies alone", "painn"]
    bond: str
    broken: NonNegativeFloat | None
    energy_change: NonNegativeFloat
    change: tuple[PositiveFloat, ...]


class Control(Made):
    """The same molecules let go by models of energies alone and by some that have learnt forces.

    They moved for `length` fs at constant energy, a frame every `every` fs; a bond is broken at `longest` times its
    length.
    """

    length: PositiveFloat
    longest: PositiveFloat
    every: PositiveFloat
    timestep: PositiveFloat
    runs: tuple[Released, ...]

    def of(self, arm: str) -> list[Released]:
        """The molecules of an arm."""
        return [one for one in self.runs if one.arm == arm]


# ---- speed and torsion -----------------------------------------------------------------------------------------------


class Timed(Frozen):
    """So many `copies` of a molecule moved at once; `seconds` of processor time per step of them all, one thread."""

    molecule: str
    n_atoms: PositiveInt
    contestant: Contestant
    copies: PositiveInt
    repeat: NonNegativeInt
    seconds: PositiveFloat


class Speed(Made):
    """How fast molecules move, by turns; `highest_load` is the machine's load average at its highest."""

    timestep: PositiveFloat
    highest_load: NonNegativeFloat
    times: tuple[Timed, ...]

    def ns_per_day(self, molecule: str, contestant: Contestant) -> np.ndarray:
        """Nanoseconds of one molecule's, or of all copies', dynamics per day, by repeat: [R]."""
        chosen = [one for one in self.times if (one.molecule, one.contestant) == (molecule, contestant)]
        chosen.sort(key=lambda one: one.repeat)
        return np.array([86_400e-6 * self.timestep * one.copies / one.seconds for one in chosen])


class Torsion(Made):
    """Butane's energy as it is turned about its middle bond, all else relaxed: above that at 180°, eV, at `angles`, °.

    `energies` are those of `XTB`, `MEAN` and each network, None where the rest did not come to rest.
    """

    molecule: str
    angles: tuple[float, ...]
    energies: dict[str, tuple[float | None, ...]]


# ---- a trajectory ----------------------------------------------------------------------------------------------------


class Moving(Frozen):
    """How one method moved a molecule at constant energy.

    `density` is the share of the kinetic energy per cm⁻¹ (see `predict.dynamics.spectrum`), `temperature` the mean, K;
    `drift` and its standard error are in meV per atom and ps.
    """

    density: tuple[NonNegativeFloat, ...]
    temperature: PositiveFloat
    drift: float
    drift_error: NonNegativeFloat


class Watched(Made):
    """A held-out molecule moved by the mean of the networks, and by GFN2-xTB from the same start.

    The start is where it was after `thermal_ps` at `temperature` by Langevin's equation and by the networks, from their
    minimum near QM9's geometry, with velocities drawn anew, so that it doesn't turn. From there each method moved it
    for `ps` at constant energy, in `moving` by name; densities are means about `wavenumbers`. `frames` are the
    networks' first ones, one every `every` fs, and `minimum` is theirs: all atoms' coordinates in `LENGTH_STEP`.
    `potential` is above that at the minimum. `molecule.qm9` is empty if QM9 does not hold its frequencies whole.
    """

    thermal_ps: PositiveFloat
    ps: PositiveFloat
    timestep: PositiveFloat
    temperature: PositiveFloat
    friction: PositiveFloat
    fmax: PositiveFloat
    every: PositiveFloat
    molecule: Vibrating
    numbers: tuple[PositiveInt, ...]
    wavenumbers: tuple[NonNegativeFloat, ...]
    moving: dict[Literal["mean", "xtb"], Moving]
    minimum: Frame
    frames: tuple[Frame, ...]
    potential: tuple[float, ...]
    kinetic: tuple[NonNegativeFloat, ...]

    @classmethod
    def part(cls) -> str:
        """A trajectory: the name of the class is that of simulations elsewhere."""
        return "trajectory"

    @property
    def positions(self) -> np.ndarray:
        """Those of the minimum, and then of each frame: Å [1 + T, A, 3]."""
        rows = [[int(one) for one in frame.split()] for frame in (self.minimum, *self.frames)]
        return LENGTH_STEP * np.array(rows).reshape(len(rows), -1, 3)

    @property
    def times(self) -> np.ndarray:
        """Those of the frames, fs [T]."""
        return self.every * np.arange(len(self.frames))


PARTS: tuple[type[Made], ...] = (Frequencies, Survival, Control, Speed, Torsion, Watched)
