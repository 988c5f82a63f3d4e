"""Predictions written for others to read: CSV, JSON and extended XYZ; energies in eV."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import ase.io
import pandas as pd
from ase import Atoms

from analysis import study
from analysis.data.errors import UserError
from analysis.data.files import check_output, whole_file
from analysis.runs.records import Record

if TYPE_CHECKING:  # numba, which the networks need, takes a third of a second
    from analysis.predict import ensemble
    from analysis.predict.ensemble import Prediction

type Refused = Sequence[tuple[str, str]]
"""Names of molecules that were refused, and why."""
type Write = Callable[[Sequence["Prediction"], Sequence[Atoms], Refused], object]


class OutputError(UserError, ValueError):
    """A file whose name says no format that predictions are written in."""


@dataclass(frozen=True)
class Models:
    """What predicted: the records' ids, how they were trained, and how far their mean misses the test part, eV.

    That is said of QM9's own test molecules at QM9's own geometries, and of no other: those have their intervals.
    `approximate` are the ids of the models that predict at all other geometries, if there are any, and `relaxed_on` of
    those on which geometries were relaxed, if they were.
    """

    records: tuple[str, ...]
    description: str
    dft_test_molecules: int
    dft_test_mae_eV: float  # noqa: N815 - as in the JSON
    dft_test_rmse_eV: float  # noqa: N815
    approximate: tuple[str, ...] = ()
    relaxed_on: tuple[str, ...] = ()

    @classmethod
    def of(cls, models: "ensemble.Ensemble", relaxed_on: Sequence[Record] = ()) -> Self:
        """Those of an ensemble."""
        first, scores = models.records[0], models.scores
        others = models.approximate
        return cls(
            records=_ids(models.records),
            description=study.describe(first.config),
            dft_test_molecules=int(first.errors["test"].sum()),
            dft_test_mae_eV=scores.mae,
            dft_test_rmse_eV=scores.rmse,
            approximate=_ids(others.records) if others else (),
            relaxed_on=_ids(relaxed_on),
        )


def _ids(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(record.id for record in records)


def table(predicted: Sequence["Prediction"]) -> pd.DataFrame:
    """A row per molecule, units in the columns' names, the warnings as one text."""
    return pd.DataFrame(one.row() | {"warnings": "; ".join(one.warnings)} for one in predicted)


def json_of(predicted: Sequence["Prediction"], refused: Refused, models: Models) -> str:
    """Models, predictions and what was refused, as one JSON object; the spread of a single model is null."""
    rows: list[dict[str, object]] = [
        {**one.row(), "spread_eV": None if math.isnan(one.spread) else one.spread, "warnings": list(one.warnings)}
        for one in predicted
    ]
    content = {
        "models": asdict(models),
        "predictions": rows,
        "refused": [{"molecule": name, "reason": why} for name, why in refused],
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def check(path: str | os.PathLike[str]) -> None:
    """Raise, before the work, the OutputError or OSError that `writing` would."""
    if Path(path).suffix.lower() not in _WRITERS:
        raise OutputError(f"{path}: predictions are written to files whose names end in {ENDINGS}")
    check_output(path)


@contextmanager
def writing(path: str | os.PathLike[str], models: Models) -> Iterator[Write]:
    """Give a function that writes some predictions, their atoms and what was refused; the file is there at the end.

    The format is what the file's name says. CSV and XYZ hold what is predicted, and JSON what is refused too.
    """
    check(path)
    with whole_file(path) as partial, _WRITERS[Path(path).suffix.lower()](partial, models) as write:
        yield write


@contextmanager
def _csv(path: Path, _: Models) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda predicted, *_: predicted and table(predicted).to_csv(file, index=False, header=file.tell() == 0)


@contextmanager
def _json(path: Path, models: Models) -> Iterator[Write]:
    predicted: list[Prediction] = []
    refused: list[tuple[str, str]] = []
    yield lambda some, _, others: (predicted.extend(some), refused.extend(others))
    path.write_text(json_of(predicted, refused, models) + "\n", encoding="utf-8")


@contextmanager
def _xyz(path: Path, _: Models) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(predicted: Sequence["Prediction"], atoms: Sequence[Atoms], _: Refused) -> None:
            images = [Atoms(one.numbers, one.positions) for one in atoms]
            for image, row in zip(images, table(predicted).to_dict("records"), strict=True):
                known = {name: value for name, value in row.items() if not pd.isna(value)}
                image.info = {"name": known.pop("molecule"), **known}
            if images:
                ase.io.write(file, images, format="extxyz")

        yield write


_WRITERS: Mapping[str, Callable[[Path, Models], AbstractContextManager[Write]]] = {
    ".csv": _csv,
    ".json": _json,
    ".xyz": _xyz,
    ".extxyz": _xyz,
}
ENDINGS = ", ".join(_WRITERS)
"""How the names of files end that predictions are written to."""
