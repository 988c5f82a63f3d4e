"""How far a prediction may be off, by the kind of its geometry: intervals fitted on molecules that no model has seen.

An interval is split-conformal (Papadopoulos et al., Lect. Notes Comput. Sci. 2430, 345 (2002); Vovk et al.,
Algorithmic Learning in a Random World (2005)). An error counts in units of the models' spread plus a floor, and the
interval is what lies between two quantiles of that number over calibration molecules: those of the validation part, at
the same kind of geometry. It holds as often as it says for molecules drawn as these were, with no assumption on the
errors; of others nothing follows. So a molecule that the applicability domain warns of has no interval, nor has one on
which the models differ more than on all but one in two hundred calibration molecules at its kind of geometry: of the
validation molecules beyond that, at QM9's own geometries, an interval would hold for half.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.data.tables import write_table
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import Record, results_folder

Kind = Literal["dft", "xtb", "mmff"]
KINDS = get_args(Kind)
"""Of geometries: B3LYP/6-31G(2df,p) as QM9's, GFN2-xTB, and a conformer by ETKDG and MMFF94 from SMILES."""
MMFF: Kind = "mmff"
RELAXED = "relaxed"
"""A minimum of models that were trained on forces: a kind for which nothing was calibrated."""
UNKNOWN = "unknown"
LEVEL = 0.9
BEYOND = 0.005
"""Share of the calibration molecules whose spread is too large for an interval."""
COLUMNS = ("index", "part", "geometry", "error", "spread", "warnings")
"""Of the errors that intervals are fitted on: QM9's index, part of the split, kind of geometry, predicted − true U0 and
the models' standard deviation (eV), and the kinds of warnings, with a space between two."""

FOLDER = "prediction"
"""Of the record, beside the experiments."""
_NAME = "intervals.json"
_FLOORS = np.geomspace(1e-4, 1.0, 41)  # eV
_AGAIN = "python -m harness.calibration"


class IntervalError(UserError, RuntimeError):
    """There are no intervals, or their record was damaged; the message names the file."""


class Scale(Frozen):
    """The interval at one kind of geometry: errors between `low` and `high` times the spread plus `floor`, eV.

    It is given for a spread up to `widest`, eV. Fitted on so many `molecules`, whose mean absolute error is `mae`, eV.
    """

    floor: PositiveFloat
    widest: PositiveFloat
    low: float
    high: float
    molecules: PositiveInt
    mae: PositiveFloat

    def around(self, energy: float, spread: float) -> tuple[float, float]:
        """Where the true energy lies, eV."""
        unit = spread + self.floor
        return energy - self.high * unit, energy - self.low * unit


class About(Frozen):
    """Where the errors come from; `missing` is how many molecules had no geometry, by part and kind."""

    git: Git
    versions: dict[str, str]
    models: list[str]
    missing: dict[str, int]


class Intervals(Frozen):
    """Intervals of the ensemble of the runs in `about`: a scale per kind of geometry, and the level they hold at."""

    schema_version: Literal[2] = 2
    level: float
    scales: dict[str, Scale]
    about: About

    @classmethod
    def load(cls, folder: str | os.PathLike[str] | None = None) -> Self:
        """Those of the record; raises IntervalError if it is missing or damaged."""
        return read(Path(folder or default_folder()) / _NAME, cls, IntervalError, _AGAIN)

    @classmethod
    def of_models(cls, records: Sequence[Record]) -> Self | None:
        """Those of an ensemble, which lie beside its experiment's records; None if there are none for these models.

        Raises IntervalError if they are damaged.
        """
        folder = records[0].folder.parents[1] / FOLDER
        if not (folder / _NAME).is_file():
            return None
        found = cls.load(folder)
        return found if sorted(found.about.models) == sorted(record.id for record in records) else None

    def _of_kind(self, kind: str) -> list[Scale]:
        """Every scale for an unknown kind; none for a kind that was not calibrated."""
        return [scale for name, scale in self.scales.items() if kind in (name, UNKNOWN)]

    def widest(self, kind: str) -> float:
        """The largest spread, eV, that has an interval; of an unknown kind, the largest of any.

        Infinite for a kind that was not calibrated: there the spread decides nothing.
        """
        return max((scale.widest for scale in self._of_kind(kind)), default=math.inf)

    def of(self, kind: str, energy: float, spread: float) -> tuple[float, float] | None:
        """Where U0 lies, eV, for a molecule without a warning; of an unknown kind, whatever any kind allows.

        None where the models differ too much, and for a kind that was not calibrated.
        """
        ends = [scale.around(energy, spread) for scale in self._of_kind(kind)]
        if not ends or spread > self.widest(kind):
            return None
        return min(low for low, _ in ends), max(high for _, high in ends)


def default_folder() -> Path:
    """Where the record lies."""
    return results_folder() / FOLDER


def fitted(errors: pd.DataFrame) -> Scale:
    """The interval that holds for a share `LEVEL` of molecules like these, which have no warning.

    `errors` has the columns `error` and `spread`, eV; those beyond the widest spread are left out. Every other molecule
    chooses the floor, by the smallest mean width; the others give the quantiles, each tail the same share.
    """
    widest = float(errors["spread"].astype(float).quantile(1 - BEYOND))
    errors = errors[errors["spread"] <= widest]
    e, s = errors["error"].to_numpy(float), errors["spread"].to_numpy(float)
    order = np.random.default_rng(0).permutation(len(e))
    choosing, fitting = order[::2], order[1::2]

    def ends(floor: float, molecules: np.ndarray) -> tuple[float, float]:
        ranked = np.sort(e[molecules] / (s[molecules] + floor))
        tail = math.ceil((1 - (1 - LEVEL) / 2) * (len(ranked) + 1))  # of a finite sample
        return float(ranked[len(ranked) - tail]), float(ranked[tail - 1])

    def width(floor: float) -> float:
        low, high = ends(floor, choosing)
        return float((high - low) * (s[choosing] + floor).mean())

    floor = float(min(_FLOORS, key=width))
    low, high = ends(floor, fitting)
    mae = float(np.abs(e).mean())
    return Scale(floor=floor, widest=widest, low=low, high=high, molecules=len(fitting), mae=mae)


def calibrated(errors: pd.DataFrame) -> dict[str, Scale]:
    """The scale of each kind of geometry, from the validation part of errors as in `COLUMNS`."""
    known = errors[(errors["part"] == "validation") & (errors["warnings"] == "")]
    return {kind: fitted(of_kind) for kind, of_kind in known.groupby("geometry")}


def told(errors: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.Series:
    """Whether each row of errors has an interval: bool, the rows' index."""
    widest = errors["geometry"].map({kind: scale.widest for kind, scale in scales.items()})
    return (errors["warnings"] == "") & (errors["spread"].astype(float) <= widest)


def inside(errors: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.Series:
    """Whether the interval of each row of errors holds: bool, the rows' index. Whether there is one is `told`."""
    found = pd.Series(data=False, index=errors.index)
    for kind, of_kind in errors.groupby("geometry"):
        unit = of_kind["spread"].astype(float) + scales[kind].floor
        ratio = of_kind["error"].astype(float) / unit
        found[of_kind.index] = ratio.between(scales[kind].low, scales[kind].high)
    return found


def write(folder: str | os.PathLike[str], errors: pd.DataFrame, about: About) -> None:
    """Record errors and the intervals that follow from them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(errors.loc[:, list(COLUMNS)], folder / "errors.parquet")
    measured.write(folder / _NAME, Intervals(level=LEVEL, scales=calibrated(errors), about=about))


def load_errors(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The recorded errors; raises IntervalError if they are missing or damaged."""
    path = Path(folder or default_folder()) / "errors.parquet"
    try:
        return pd.read_parquet(path, columns=list(COLUMNS))
    except (OSError, ValueError) as error:
        raise IntervalError(f"{path} can't be read: `{_AGAIN}` makes it anew") from error
