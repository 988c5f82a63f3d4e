"""Molecules beside B3LYP/6-31G(2df,p) as QM9 computed it: U0 by the reference itself, and what `predict` says of them.

`python -m harness.reference` makes both records. U0 is the electronic energy at the minimum of B3LYP and the zero-point
vibrations of its harmonic frequencies, as QM9's (Ramakrishnan et al., Sci. Data 1, 140022 (2014)). Lengths in Å,
energies in eV.
"""

import os
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from ase import Atoms
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from analysis.data.errors import UserError
from analysis.data.files import whole_file
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import results_folder

FOLDER = "reference"
"""Of the records, beside the experiments."""
COLUMNS = (
    *("molecule", "formula", "source", "qm9_index", "part", "U0_eV", "predicted_eV", "error_eV"),
    *("spread_eV", "low_eV", "high_eV", "refused"),
)
"""Of the comparison: `source` as in `Found`; `part` of the split where QM9 holds the molecule; `error_eV`, predicted
− reference; the interval's ends, empty if there is none; `refused`, why `predict` refuses the molecule, or empty."""
_NAME = "g2.json"
_TABLE = "g2.csv"
_AGAIN = "python -m harness.reference"


class ReferenceRecordError(UserError, RuntimeError):
    """A record of the reference is missing or was damaged; the message names the file."""


class Found(Frozen):
    """One molecule at the minimum of B3LYP: its geometry, U0 and what U0 is made of.

    Of a molecule that QM9 holds (`source` "QM9") the geometry and U0 are the database's; `electronic` and `zpve` are
    then 0 and nothing was computed. `frequencies`, cm⁻¹, are harmonic, the imaginary ones negative; `force`, eV/Å, is
    the largest on an atom that is left.
    """

    source: Literal["computed", "QM9"]
    qm9_index: NonNegativeInt = 0
    numbers: list[PositiveInt]
    positions: list[list[float]]
    U0: float
    electronic: float = 0.0
    zpve: NonNegativeFloat = 0.0
    frequencies: list[float]
    force: NonNegativeFloat = 0.0
    seconds: NonNegativeFloat = 0.0
    git: Git
    versions: dict[str, str]

    @property
    def atoms(self) -> Atoms:
        """The geometry."""
        return Atoms(self.numbers, self.positions)


class Reference(Frozen):
    """What is known of a set of molecules, by name; `missing` are those that are still to be computed."""

    schema_version: Literal[1] = 1
    level: str
    start: str
    processor: str
    molecules: dict[str, Found]
    missing: list[str]

    @classmethod
    def load(cls, folder: str | os.PathLike[str] | None = None) -> Self:
        """That of the record; raises ReferenceRecordError if it is missing or damaged."""
        return read(Path(folder or default_folder()) / _NAME, cls, ReferenceRecordError, _AGAIN)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Record it, whole or not at all."""
        measured.write(Path(folder) / _NAME, self)


def default_folder() -> Path:
    """Where the records lie."""
    return results_folder() / FOLDER


def write_compared(folder: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Record a comparison, with the columns of `COLUMNS`."""
    with whole_file(Path(folder) / _TABLE) as partial:
        table.loc[:, list(COLUMNS)].to_csv(partial, index=False, float_format="%.6f")


def load_compared(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The recorded comparison; raises ReferenceRecordError if it is missing or damaged."""
    path = Path(folder or default_folder()) / _TABLE
    try:
        found = pd.read_csv(path, usecols=list(COLUMNS), keep_default_na=False, na_values={"low_eV": "", "high_eV": ""})
    except (OSError, ValueError) as error:
        raise ReferenceRecordError(f"{path} can't be read: `{_AGAIN}` makes it anew") from error
    return found.astype({"U0_eV": float, "predicted_eV": float, "error_eV": float, "spread_eV": float})


def inside(compared: pd.DataFrame) -> pd.Series:
    """Whether the reference lies in the interval; False where there is none."""
    return compared["U0_eV"].between(compared["low_eV"], compared["high_eV"])


def computed(compared: pd.DataFrame) -> pd.DataFrame:
    """The molecules that QM9 lacks."""
    return compared[compared["source"] == "computed"]


def distances(atoms: Atoms) -> np.ndarray:
    """All distances, Å, those of each pair of elements together in their order: the same however atoms are counted."""
    first, second = np.triu_indices(len(atoms), 1)
    low = np.minimum(atoms.numbers[first], atoms.numbers[second])
    high = np.maximum(atoms.numbers[first], atoms.numbers[second])
    apart = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    return apart[np.lexsort((apart, high, low))]
