"""A recorded run trained again, how far the two are apart, and what is kept of it for the book.

On the machine of the record, with its versions and its number of threads, the bits are to be the same. Elsewhere sums
are rounded in another order: then the tolerance applies. SOAP turns its axes by eigenvectors, and the least rounding
turns those of nearly equal eigenvalues by any angle: elsewhere such a run ends as one with another seed would, and what
can be compared is how large its errors are.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import Record, results_folder
from analysis.training import recording

SCHEMA_VERSION = 2
_COMMAND = "python -m analysis verify RUN --out FILE"

TOLERANCE = 0.02
"""Largest relative difference of a part of a record on another machine, or with other threads or versions."""
SCORE_TOLERANCE = 0.05
"""The same for the mean absolute error of a run with SOAP, whose single numbers can't be compared there."""

_SURROUNDINGS = ("system", "architecture", "processor", "device", "threads", "loops")


class OtherMoleculesError(UserError, ValueError):
    """The record was made from other molecules than those that are here."""


class RepetitionError(UserError, RuntimeError):
    """A kept repetition that can't be trusted; the message names the file and what to do."""


class Training(Frozen):
    """One training of a run: on which processor, with how many threads, by which code, and how it ended.

    `seconds` is the wall time of training and validation, `mae` the mean absolute error over the test part, eV.
    """

    processor: str
    threads: PositiveInt
    seconds: PositiveFloat
    git: Git | None
    mae: NonNegativeFloat


class Repetition(Frozen):
    """What is kept of a recorded run, `id` of `experiment`, and the same trained again: see `compare`.

    `differences` has ‖again − recorded‖ / ‖recorded‖ of each part of a record, None where the two can't be compared.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    experiment: str
    id: str
    seed: NonNegativeInt
    epochs: PositiveInt
    recorded: Training
    again: Training
    differences: dict[str, NonNegativeFloat | None]
    surroundings: tuple[str, ...]
    identical: bool
    within_tolerance: bool


@dataclass(frozen=True)
class Difference:
    """One part of a record against its repetition.

    `where` names the column or tensor that differs most, "" if all are the same bits; `relative` is ‖repeated −
    recorded‖ / ‖recorded‖ there, infinite where the two can't be compared, and `largest` the largest difference of a
    single number, in `unit`.
    """

    part: str
    where: str = ""
    relative: float = 0.0
    largest: float = 0.0
    unit: str = ""

    @property
    def none(self) -> bool:
        """Whether the two are the same bits."""
        return not self.where


@dataclass(frozen=True)
class Comparison:
    """A record against its repetition: the parts, and what was different around the two (words, empty if nothing).

    `score` is the mean absolute error over the held-out molecules, where it is what counts on another machine.
    """

    parts: list[Difference]
    surroundings: list[str]
    score: Difference | None = None

    @property
    def identical(self) -> bool:
        """Whether every number is the same, to the bit."""
        return all(part.none for part in self.parts)

    @property
    def within_tolerance(self) -> bool:
        """Whether all differences are small; without a reason around the two none is allowed."""
        if self.identical or not self.surroundings:
            return self.identical
        if self.score is None:
            return all(part.relative <= TOLERANCE for part in self.parts)
        # Found from the molecules alone, offsets don't depend on the course of the training.
        comparable = all(np.isfinite(part.relative) for part in self.parts)
        offsets = all(part.relative <= TOLERANCE for part in self.parts if part.part == "offsets")
        return comparable and offsets and self.score.relative <= SCORE_TOLERANCE

    @property
    def allowed(self) -> str:
        """The tolerance, for a message."""
        if self.score is None:
            return f"{TOLERANCE:.0%}"
        return f"{SCORE_TOLERANCE:.0%} of the mean absolute error, of a training with SOAP,"


@contextmanager
def trained_again(
    record: Record, molecules: Molecules, *, threads: int | None = None, progress: bool = False
) -> Iterator[Record]:
    """The same run trained again in a temporary folder, which is removed afterwards; the record is only read.

    `molecules` is the whole database (another than the record's raises OtherMoleculesError), and `threads` torch's, by
    default those of the record.
    """
    if molecules.fingerprint() != record.about["molecules_fingerprint"]:
        raise OtherMoleculesError(
            f"run {record.id} was recorded on other molecules than the {len(molecules):,} here (their fingerprints "
            "differ): it can be trained again with those alone"
        )
    import torch  # it takes seconds, and most only read what was kept

    before = torch.get_num_threads()
    torch.set_num_threads(threads or record.about["machine"]["threads"])
    try:
        with tempfile.TemporaryDirectory(prefix="again-") as folder:
            if (start := recording.start_of(record.config, record.folder.parents[1])) is not None:
                (beside := Path(folder) / record.config.start).parent.mkdir()
                beside.symlink_to(start.folder.resolve())
            yield recording.load_or_train(
                record.config, molecules, results=Path(folder), progress=progress, logger=None
            )
    finally:
        torch.set_num_threads(before)


def compare(recorded: Record, again: Record) -> Comparison:
    """How far two records of one run are apart, part by part."""
    return Comparison(
        [
            _of_tables("history", "eV²", recorded.history, again.history),
            _of_tables("learning curve per step", "eV²", recorded.steps, again.steps),
            _of_tables("held-out errors", "eV", recorded.errors, again.errors),
            _of_tables("group sums", "in the sum's unit", recorded.groups, again.groups, _bounds(recorded.groups)),
            *(
                [_of_tables("sums of the forces' errors", "in the sum's unit", recorded.forces, again.forces)]
                if recorded.forces is not None
                else []
            ),
            *(_of_weights(recorded.state_dict(), again.state_dict()) if recorded.has_weights else []),
        ],
        _surroundings(recorded.about, again.about),
        _of_scores(recorded.errors, again.errors) if recorded.config.training.optimizer == "soap" else None,
    )


def repetition(recorded: Record, again: Record, compared: Comparison) -> Repetition:
    """What is to be kept of two records of one run and their comparison."""
    return Repetition(
        experiment=recorded.config.experiment,
        id=recorded.id,
        seed=recorded.config.seed,
        epochs=recorded.config.epochs,
        recorded=_training(recorded),
        again=_training(again),
        differences={part.part: part.relative if np.isfinite(part.relative) else None for part in compared.parts},
        surroundings=tuple(compared.surroundings),
        identical=compared.identical,
        within_tolerance=compared.within_tolerance,
    )


def load_all(folder: str | os.PathLike[str] | None = None) -> list[Repetition]:
    """The repetitions in a folder (by default those that the book shows), in the order of their files' names.

    Raises RepetitionError, which names the file and what is wrong with it, or the folder if it holds none.
    """
    folder = Path(folder or results_folder() / "repetitions")
    found = [read(path, Repetition, RepetitionError, _COMMAND) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise RepetitionError(f"{folder} holds no repetition: `{_COMMAND}` makes one")
    return found


def _training(record: Record) -> Training:
    about, errors = record.about, record.errors
    return Training(
        processor=about["machine"].get("processor", "not recorded"),
        threads=about["machine"]["threads"],
        seconds=about["seconds"]["training"] + about["seconds"]["validation"],
        git=Git(**about["git"]) if about.get("git") else None,
        mae=float(errors["error"][errors["test"]].abs().mean()),
    )


def _bounds(groups: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the sums of signed errors can be at most: they may cancel, and a share of next to nothing says little."""
    found = {}
    for end in ("sum", "settled"):
        if f"{end}_ee" in groups:
            found[f"{end}_e"] = np.sqrt(groups["molecules"] * groups[f"{end}_ee"]).to_numpy()
            found[f"{end}_en"] = np.sqrt(groups[f"{end}_ee"] * groups["sum_nn"]).to_numpy()
    return found


def _of_tables(
    part: str, unit: str, one: pd.DataFrame, two: pd.DataFrame, scales: Mapping[str, np.ndarray] | None = None
) -> Difference:
    if list(one.columns) != list(two.columns) or len(one) != len(two):
        return Difference(part, "its rows or columns", np.inf, np.inf, unit)
    columns = ({name: frame[name].to_numpy() for name in frame} for frame in (one, two))
    return _largest(part, unit, *columns, scales or {})


def _of_scores(one: pd.DataFrame, two: pd.DataFrame) -> Difference:
    recorded, again = (float(errors["error"].abs().mean()) if "error" in errors else np.nan for errors in (one, two))
    apart = abs(again - recorded)
    relative = apart / recorded if np.isfinite(apart) and recorded else np.inf
    return Difference("mean absolute error", "error", relative, apart, "eV")


def _of_weights(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> list[Difference]:
    """The network's weights as one vector (a bias near zero would differ from itself by a lot), and the offsets."""
    parts = []
    for part, keep, unit in (("weights", False, ""), ("offsets", True, "eV")):
        first, second = (
            {name: value.astype(float) for name, value in state.items() if name.startswith("postprocessors") is keep}
            for state in (one, two)
        )
        if {name: value.shape for name, value in first.items()} != {n: v.shape for n, v in second.items()}:
            parts.append(Difference(part, "its tensors' names or shapes", np.inf, np.inf, unit))
            continue
        most = max(first, key=lambda name: np.abs(second[name] - first[name]).max(initial=0.0))
        whole = ({most: np.concatenate([state[name].ravel() for name in first])} for state in (first, second))
        parts.append(_largest(part, unit, *whole, {}))
    return parts


def _largest(
    part: str, unit: str, one: dict[str, np.ndarray], two: dict[str, np.ndarray], scales: Mapping[str, np.ndarray]
) -> Difference:
    """The largest difference of arrays of one shape, relative to the recorded one or what `scales` has for it.

    Floats may differ by a little, but nothing else may, as what says which row is which; NaN equals NaN.
    """
    worst = Difference(part)
    for name, a in one.items():
        b = two[name]
        floats = a.dtype.kind == b.dtype.kind == "f"
        if np.array_equal(a, b, equal_nan=floats):
            continue
        if not (floats and np.isfinite(a).all() and np.isfinite(b).all()):
            return Difference(part, name, np.inf, np.inf, unit)
        a, b = a.astype(np.float64), b.astype(np.float64)
        apart, norm = np.linalg.norm(b - a), np.linalg.norm(scales.get(name, a))
        relative = float(apart / norm) if norm else np.inf
        if worst.none or relative > worst.relative:
            worst = Difference(part, name, relative, float(np.abs(b - a).max()), unit)
    return worst


def _surroundings(recorded: dict, again: dict) -> list[str]:
    """In words, what was different around two runs of one configuration."""
    words = []
    for kind, names in (("machine", _SURROUNDINGS), ("versions", sorted(recorded["versions"] | again["versions"]))):
        for name in names:
            then, now = (about[kind].get(name, "not recorded") for about in (recorded, again))
            if then != now:
                words.append(f"{name} {then}, here {now}")
    then, now = (git["commit"][:7] if (git := about.get("git")) else "outside git" for about in (recorded, again))
    if then != now:
        words.append(f"code {then}, here {now}")
    elif not all((about.get("git") or {}).get("clean", True) for about in (recorded, again)):
        words.append("code that was not as committed")
    return words
