"""How far a prediction may be off, by the kind of its geometry: intervals fitted on molecules that no model has seen.

An interval is split-conformal (Papadopoulos et al., Lect. Notes Comput. Sci. 2430, 345 (2002); Vovk et al.,
Algorithmic Learning in a Random World (2005)). An error counts in units of the models' spread plus a floor, and the
interval is what lies between two quantiles of that number over calibration molecules: those of the validation part, at
the same kind of geometry and of the same taxon (Mondrian conformal prediction, ch. 4 of that book). It holds as often
as it says for molecules of a taxon drawn as these were, with no assumption on the errors; of others nothing follows. So
a molecule that the applicability domain warns of has no interval, nor has one on which the models differ more than on
all but one in two hundred calibration molecules at its kind of geometry: of the validation molecules beyond that, at
QM9's own geometries, an interval would hold for half.

The taxa are molecules with fluorine; of the others, those with three rings or more; and the rest. The test part had
been looked at once, by group, when they were chosen, with models that had seen QM9's own geometries alone. What is left
of the gap with those that have seen others, in the validation part alone: fitted on half of it and tried on the other,
intervals with one pair of quantiles for all molecules hold for some 94, 91 and 100 % of those with fluorine (B3LYP,
GFN2-xTB and MMFF94; of the last two there are 29), and for 85, 89 and 84 % of those with three rings or more.

Rings are counted in the bonds that the applicability domain sees, so that a taxon follows from elements and positions.
Atoms that are near without being bonded may close one (of QM9's molecules with two rings in their SMILES, one in
eighteen has three), but no ring is missed. Calibration counts them at QM9's own geometry, whatever the kind: of 300
conformers that were compared with it, one belongs to another taxon.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.data.neighbours import cyclomatic_numbers
from analysis.data.tables import write_table
from analysis.runs import measured
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import Record, results_folder

Kind = Literal["dft", "xtb", "mmff"]
KINDS = get_args(Kind)
"""Of geometries: B3LYP/6-31G(2df,p) as QM9's, GFN2-xTB, and a conformer by ETKDG and MMFF94 from SMILES."""
DFT: Kind = "dft"
MMFF: Kind = "mmff"
RELAXED = "relaxed"
"""A minimum of models that were trained on forces, found from a conformer."""
UNKNOWN = "unknown"
"""What nobody says the kind of: it may be QM9's own too, and is predicted as what is not (see `Ensemble.at`)."""
CALIBRATED = (*KINDS, RELAXED, UNKNOWN)
"""What there is a scale for; that of the unknown kind is for QM9's own geometries."""
LEVEL = 0.9
BEYOND = 0.005
"""Share of the calibration molecules whose spread is too large for an interval."""
TAXA = ("fluorine", "rings", "others")
RINGS = 3
"""So many or more are the taxon "rings"."""
FEWEST = 19
"""Molecules that have a quantile of 5 %, and one of 95 %."""
COLUMNS = ("index", "part", "geometry", "error", "spread", "warnings", "untaught")
"""Of the errors that intervals are fitted on: QM9's index, part of the split, one of `CALIBRATED`, predicted − true U0
and the models' standard deviation (eV), the kinds of warnings, with a space between two, and what the error would be of
the models that have seen QM9's own geometries alone (eV)."""

FOLDER = "prediction"
"""Of the record, beside the experiments."""
_NAME, _ERRORS = "intervals.json", "errors.parquet"
_FLOORS = np.geomspace(1e-4, 1.0, 41)  # eV
_AGAIN = "python -m harness.calibration"


class IntervalError(UserError, RuntimeError):
    """There are no intervals, or their record was damaged; the message names the file."""


class Quantiles(Frozen):
    """Errors of a taxon lie between `low` and `high`, in units; fitted on so many `molecules`."""

    low: float
    high: float
    molecules: PositiveInt


class Scale(Frozen):
    """The intervals at one kind of geometry: `quantiles` by taxon, in units of the spread plus `floor`, eV.

    They are given for a spread up to `widest`, eV; `mae` is the mean absolute error of all its molecules, eV.
    """

    floor: PositiveFloat
    widest: PositiveFloat
    mae: PositiveFloat
    quantiles: dict[str, Quantiles]

    def around(self, taxon: str, energy: float, spread: float) -> tuple[float, float]:
        """Where the true energy lies, eV."""
        unit, ends = spread + self.floor, self.quantiles[taxon]
        return energy - ends.high * unit, energy - ends.low * unit


class About(Frozen):
    """Where the errors come from; `missing` is how many molecules had no geometry, by part and kind.

    `models` are the runs that predict at QM9's own geometries, `approximate` those for all others.
    """

    git: Git
    versions: dict[str, str]
    models: list[str]
    approximate: list[str]
    missing: dict[str, int]


class _Sourced(BaseModel):
    """What stays of a record of any version."""

    about: About


class Intervals(Frozen):
    """Intervals of the runs in `about`: a scale for each of `CALIBRATED`, and the level they hold at."""

    schema_version: Literal[4] = 4
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
        ids = sorted(record.id for record in records)
        return found if ids in (sorted(found.about.models), sorted(found.about.approximate)) else None

    def _of_kind(self, kind: str) -> list[Scale]:
        """The scales that it may be: for an unknown kind those of all that is predicted as it is."""
        may_be = [name for name in self.scales if name != DFT] if kind == UNKNOWN else [kind]
        return [self.scales[name] for name in may_be if name in self.scales]

    def widest(self, kind: str) -> float:
        """The largest spread, eV, that has an interval; of an unknown kind, the largest of any.

        Infinite for a kind that was not calibrated: there the spread decides nothing.
        """
        return max((scale.widest for scale in self._of_kind(kind)), default=math.inf)

    def of(self, kind: str, taxon: str, energy: float, spread: float) -> tuple[float, float] | None:
        """Where U0 lies, eV, for a molecule without a warning; of an unknown kind, whatever any kind allows.

        None where the models differ too much, and for a kind, or a taxon at it, that was not calibrated.
        """
        scales = self._of_kind(kind)
        if not scales or spread > self.widest(kind) or any(taxon not in scale.quantiles for scale in scales):
            return None
        ends = [scale.around(taxon, energy, spread) for scale in scales]
        return min(low for low, _ in ends), max(high for _, high in ends)


def default_folder() -> Path:
    """Where the record lies."""
    return results_folder() / FOLDER


def taxa(molecules: Molecules) -> np.ndarray:
    """The one of `TAXA` that each molecule belongs to, str [M], from its elements and positions."""
    fluorine = molecules.element_counts((9,))[:, 0] > 0
    return np.select([fluorine, cyclomatic_numbers(molecules) >= RINGS], TAXA[:2], TAXA[2])


def fitted(errors: pd.DataFrame) -> Scale:
    """The intervals that hold for a share `LEVEL` of molecules like these of each taxon, which have no warning.

    `errors` has the columns `error` and `spread`, eV, and `taxon`; those beyond the widest spread are left out. Every
    other molecule chooses the floor, by the smallest mean width with one pair of quantiles for all; the others give the
    quantiles of each taxon, each tail the same share. Where fewer than `FEWEST` of a taxon are left, all of it give
    them: the floor is one number, chosen mostly on others. A taxon of fewer molecules altogether has none.
    """
    widest = float(errors["spread"].astype(float).quantile(1 - BEYOND))
    errors = errors[errors["spread"] <= widest]
    e, s, taxon = errors["error"].to_numpy(float), errors["spread"].to_numpy(float), errors["taxon"].to_numpy(str)
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
    quantiles = {}
    for name in np.unique(taxon).tolist():
        members = fitting[taxon[fitting] == name]
        if len(members) < FEWEST:
            members = np.flatnonzero(taxon == name)
        if len(members) >= FEWEST:
            low, high = ends(floor, members)
            quantiles[name] = Quantiles(low=low, high=high, molecules=len(members))
    return Scale(floor=floor, widest=widest, mae=float(np.abs(e).mean()), quantiles=quantiles)


def calibrated(errors: pd.DataFrame) -> dict[str, Scale]:
    """The scale of each kind of geometry, from the validation part of errors as `load_errors` gives them."""
    known = errors[(errors["part"] == "validation") & (errors["warnings"] == "")]
    return {kind: fitted(of_kind) for kind, of_kind in known.groupby("geometry")}


def scales_of(errors: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.DataFrame:
    """`floor`, `widest`, `low` and `high` at each row's kind and taxon, the rows' index; NaN where none was fitted."""
    of_each = {
        (kind, taxon): {"floor": scale.floor, "widest": scale.widest, "low": ends.low, "high": ends.high}
        for kind, scale in scales.items()
        for taxon, ends in scale.quantiles.items()
    }
    asked = pd.MultiIndex.from_frame(errors[["geometry", "taxon"]])
    return pd.DataFrame(of_each).T.reindex(asked).set_axis(errors.index)


def told(errors: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.Series:
    """Whether each row of errors has an interval: bool, the rows' index."""
    return (errors["warnings"] == "") & (errors["spread"].astype(float) <= scales_of(errors, scales)["widest"])


def inside(errors: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.Series:
    """Whether the interval of each row of errors holds: bool, the rows' index. Whether there is one is `told`."""
    scale = scales_of(errors, scales)
    ratio = errors["error"].astype(float) / (errors["spread"].astype(float) + scale["floor"])
    return ratio.between(scale["low"], scale["high"])


def write(folder: str | os.PathLike[str], errors: pd.DataFrame, about: About, molecules: Molecules) -> None:
    """Record errors and the intervals that follow from them; `molecules` is the whole database."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(errors.loc[:, list(COLUMNS)], folder / _ERRORS)
    fit(folder, molecules, about)


def fit(folder: str | os.PathLike[str], molecules: Molecules, about: About | None = None) -> None:
    """Record the intervals that follow from a folder's errors; by default they stay `about` the same.

    Raises IntervalError if the errors, or without `about` the record, are missing or damaged.
    """
    path = Path(folder) / _NAME
    about = about or read(path, _Sourced, IntervalError, _AGAIN).about
    scales = calibrated(load_errors(molecules, folder))
    measured.write(path, Intervals(level=LEVEL, scales=scales, about=about))


def load_errors(molecules: Molecules, folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The recorded errors, with the `taxon` of each molecule out of the whole database, `molecules`.

    Raises IntervalError if they are missing or damaged.
    """
    path = Path(folder or default_folder()) / _ERRORS
    try:
        errors = pd.read_parquet(path, columns=list(COLUMNS))
    except (OSError, ValueError) as error:
        raise IntervalError(f"{path} can't be read: `{_AGAIN}` makes it anew") from error
    of_each = molecules.select(np.flatnonzero(np.isin(molecules.index, errors["index"])))
    return errors.assign(taxon=errors["index"].map(pd.Series(taxa(of_each), of_each.index)))
