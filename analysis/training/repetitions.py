"""The records of repetitions: which recorded runs were trained again from scratch, where, and what came of it.

`python -m analysis verify … --out` makes one (`repetition.repetition`); nothing is trained here.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import results_folder

SCHEMA_VERSION = 2
_COMMAND = "python -m analysis verify RUN --out FILE"


class RepetitionError(RuntimeError):
    """A record of a repetition that can't be trusted; the message names the file and what to do."""


class Training(Frozen):
    """One training of the run: on which processor, with how many threads, by which code, and how it ended.

    `seconds` is the wall time of training and validation, `mae` the mean absolute error over the test part, eV.
    """

    processor: str
    threads: PositiveInt
    seconds: PositiveFloat
    git: Git | None
    mae: NonNegativeFloat


class Repetition(Frozen):
    """A recorded run, `id` of `experiment`, and the same trained again.

    `differences` has ‖again − recorded‖ / ‖recorded‖ of each part of a record, None where the two can't be compared;
    `surroundings` says in words what was different around the two. `identical` is to the bit, and `within_tolerance`
    what the tolerance of `reproduction` says.
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


def default_folder() -> Path:
    """Where the repetitions that the book shows lie."""
    return results_folder() / "repetitions"


def load_all(folder: str | os.PathLike[str] | None = None) -> list[Repetition]:
    """The repetitions in a folder (by default those that the book shows), in the order of their files' names.

    Raises RepetitionError, which names the file and what is wrong with it, or the folder if it holds none.
    """
    folder = Path(folder or default_folder())
    found = [read(path, Repetition, RepetitionError, _COMMAND) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise RepetitionError(f"{folder} holds no repetition: `{_COMMAND}` makes one")
    return found
