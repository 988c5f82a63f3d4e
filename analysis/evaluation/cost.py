"""What an energy with its forces costs on one core, by method and size: `python -m harness.cost` measures it."""

import os
from pathlib import Path
from typing import Literal, Self

import pandas as pd
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.evaluation.reference import default_folder
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git

_NAME = "cost.json"


class CostError(UserError, RuntimeError):
    """The record is missing or damaged; the message says what to do."""


class Cost(Frozen):
    """One molecule, by its SMILES, by one method: processor time of an energy with its forces, s, each repeat's mean.

    `load` is the machine's load average when it was measured.
    """

    method: str
    molecule: str
    atoms: PositiveInt
    seconds: tuple[PositiveFloat, ...] = Field(min_length=1)
    load: NonNegativeFloat


class Costs(Frozen):
    """The whole record, of one machine."""

    schema_version: Literal[1] = 1
    processor: str
    git: Git | None
    versions: dict[str, str]
    costs: tuple[Cost, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """The record; raises CostError if it is missing or damaged."""
        return measured.read(Path(path or default_path()), cls, CostError, "python -m harness.cost")

    def table(self) -> pd.DataFrame:
        """A row per repeat: method, molecule, atoms and seconds."""
        return pd.DataFrame(
            [
                {"method": one.method, "molecule": one.molecule, "atoms": one.atoms, "seconds": seconds}
                for one in self.costs
                for seconds in one.seconds
            ]
        )


def default_path() -> Path:
    """Where the record lies."""
    return default_folder() / _NAME
