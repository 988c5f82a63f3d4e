"""What it is worth to relax on networks with forces, where there is a SMILES alone: `python -m harness.relaxation`.

Errors are of U0 as `predict` gives it from a conformer, and as `predict --relax` does: predicted − true, meV. The true
U0 is QM9's, or for molecules that QM9 lacks that of `evaluation.reference`.
"""

import os
from pathlib import Path
from typing import Literal, Self

import numpy as np
import scipy  # its statistics, which take half a second to import, come with their first use
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from analysis.data.errors import UserError
from analysis.evaluation.prediction_intervals import default_folder
from analysis.evaluation.verdicts.intervals import LEVEL
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git

WAYS = ("conformer", "relaxed")
"""A conformer by ETKDG and MMFF94, and the minimum of the models with forces that it leads to."""
PLACES = ("reference", *WAYS)
"""Where a molecule that QM9 lacks is predicted: at the minimum of B3LYP/6-31G(2df,p), and from its SMILES alone."""
_NAME = "relaxation.json"
_LACKING = "relaxation_g2.json"
_MEV = 1000  # meV per eV


class RelaxationError(UserError, RuntimeError):
    """Too few molecules to compare, or a record that is missing or damaged; the message says what to do."""


class Mean(Frozen):
    """Mean and median of some numbers, meV, each with the ends of its interval (bootstrap over molecules)."""

    mean: float
    mean_interval: tuple[float, float]
    median: float
    median_interval: tuple[float, float]

    @classmethod
    def over(cls, values: np.ndarray) -> Self:
        """Those of values, eV."""
        found = {}
        for name, statistic in (("mean", np.mean), ("median", np.median)):
            ends = scipy.stats.bootstrap(
                (_MEV * values,),
                statistic,
                confidence_level=LEVEL,
                method="percentile",
                rng=np.random.default_rng(0),
            ).confidence_interval
            found |= {
                name: round(float(statistic(_MEV * values)), 2),
                f"{name}_interval": (round(float(ends.low), 2), round(float(ends.high), 2)),
            }
        return cls(**found)


class _Measured(Frozen):
    """Where a record comes from: `models` predict, `relaxed_on` are those with forces, both by their runs' ids."""

    schema_version: Literal[1] = 1
    processor: str
    git: Git | None
    versions: dict[str, str]
    models: list[str]
    relaxed_on: list[str]


class Relaxation(_Measured):
    """Errors of U0 with and without relaxation.

    Over the `compared` molecules, `absolute` is that of |predicted − true| by way, `signed` that of predicted − true,
    and `change` that of what relaxation adds to the absolute error. `errors`, predicted − true, meV, by way and QM9's
    index, are those of every molecule that is answered, and `refused` says by way and index why another is not.
    `seconds`, processor time, is what relaxing and predicting takes per molecule, all models together.
    """

    part: Literal["validation", "test"]
    drawn: PositiveInt
    seed: NonNegativeInt
    compared: PositiveInt
    absolute: dict[str, Mean]
    signed: dict[str, Mean]
    change: Mean
    seconds: NonNegativeFloat
    errors: dict[str, dict[str, float]]
    refused: dict[str, dict[str, str]]

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """The record; raises RelaxationError if it is missing or damaged."""
        return measured.read(Path(path or default_path()), cls, RelaxationError, "python -m harness.relaxation")


class Answer(Frozen):
    """What is said of a molecule: `error` is predicted − true U0, meV, with `--outside` if there is no other.

    `refused` says why nothing is answered without `--outside`, "" if something is, and `numberless` why there is no
    error at all. `interval` holds the ends of an answer's interval, less the true U0, meV: if it holds 0, it is right.
    """

    error: float | None
    refused: str
    numberless: str
    interval: tuple[float, float] | None = None


class Lacking(Frozen):
    """A molecule that QM9 lacks: its SMILES, and what is said of it at each of `PLACES`."""

    smiles: str
    answers: dict[str, Answer]


class RelaxationLacking(_Measured):
    """The molecules of G2 that QM9 lacks, by name, whose U0 is in `evaluation.reference`'s record."""

    molecules: dict[str, Lacking]

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """The record; raises RelaxationError if it is missing or damaged."""
        path = Path(path or default_path(lacking=True))
        return measured.read(path, cls, RelaxationError, "python -m harness.relaxation --g2")


def default_path(*, lacking: bool = False) -> Path:
    """Where the record lies, or that of the molecules that QM9 lacks."""
    return default_folder() / (_LACKING if lacking else _NAME)
