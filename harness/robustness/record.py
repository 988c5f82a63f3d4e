"""The record of what was done to the compendium on purpose, and of what came of it.

`python -m harness.robustness` writes the record; nothing is killed or fed here. It tells of commands that were killed
at random (`Victim`), of machines that lack something (`Strait`), of damaged or impossible input (`Feed`), and of many
records and little memory (`Load`, `StudyMemory`).
"""

import os
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from analysis.runs.measured import Frozen, Git, Machine, read
from analysis.runs.records import results_folder

SCHEMA_VERSION = 1

VictimName = Literal["study", "cache", "search", "notebook", "book"]
VICTIMS: tuple[VictimName, ...] = get_args(VictimName)
"""Training and recording, the cache of QM9, a search with two workers, papermill, the build of the book."""

StraitName = Literal[
    "full-disk-run",
    "full-disk-cache",
    "full-disk-search",
    "read-only-results",
    "read-only-cache",
    "no-home",
    "unknown-user",
    "cut-off-installation",
]
STRAITS: tuple[StraitName, ...] = get_args(StraitName)

FeedName = Literal[
    "csv",
    "extxyz",
    "database",
    "cache",
    "config",
    "description",
    "record",
    "checkpoint",
    "sweep",
    "parameters",
    "geometry",
    "smiles",
]
FEEDS: tuple[FeedName, ...] = get_args(FeedName)


class RobustnessError(RuntimeError):
    """There is no record, or one that can't be trusted; the message names the file and what to do."""


class Kill(Frozen):
    """One SIGKILL, `after` seconds from the start.

    `aim` is what had to appear on the disk first, "" for a moment drawn from the time of an undisturbed run. What stood
    on the disk afterwards: `whole` records or files, `epochs` in checkpoints, and `unfinished` things under temporary
    names. `all_processes` tells whether its children died with it, or were left to notice by themselves.
    """

    after: NonNegativeFloat
    aim: str
    all_processes: bool
    whole: NonNegativeInt
    epochs: NonNegativeInt
    unfinished: NonNegativeInt


class Victim(Frozen):
    """One kind of command: killed, started again, killed again, until it came to its end.

    `seconds` is how long an undisturbed one took. Of the `kills`, `half_read` left something half-written in the place
    of something whole, `lost` took something that had been recorded or checkpointed, and after `refused` the next start
    ended with an error. In the end `compared` files were held against those of the undisturbed one; `differing` were
    not the same to the bit.
    """

    name: VictimName
    seconds: NonNegativeFloat
    kills: tuple[Kill, ...]
    ends: PositiveInt
    half_read: NonNegativeInt
    lost: NonNegativeInt
    refused: NonNegativeInt
    compared: PositiveInt
    differing: NonNegativeInt


class Strait(Frozen):
    """A command on a machine that lacks something: `tries` of it, with `exit_codes` and the last line that they `said`.

    `left` counts what they left behind that is no whole record or file. `went_on` tells whether the same command came
    to the undisturbed result, to the bit, once the machine was mended; None where nothing was to be mended.
    """

    name: StraitName
    tries: PositiveInt
    exit_codes: tuple[int, ...] = Field(min_length=1)
    said: str
    left: NonNegativeInt
    went_on: bool | None


class Feed(Frozen):
    """One kind of input, `fed` so many times with something changed at random.

    `refused` were answered with one message; `same` were taken because nothing that counts was changed, and `other`
    because what came out is valid too. `wrong` are all the rest, errors that nobody meant to raise among them. `said`
    is the message of one.
    """

    name: FeedName
    fed: PositiveInt
    refused: NonNegativeInt
    same: NonNegativeInt
    other: NonNegativeInt
    wrong: NonNegativeInt
    said: str


class Load(Frozen):
    """Many records: seconds to list `records` of them, and to run a notebook that lists them (`notebook_seconds`).

    `start_seconds` is what the same command takes without a record. `memory` (bytes) is the highest resident memory of
    a training on all of QM9, epochs `epochs`, under a limit of `memory_limit`.
    """

    records: PositiveInt
    list_seconds: NonNegativeFloat
    start_seconds: NonNegativeFloat
    notebook_seconds: NonNegativeFloat
    memory: PositiveInt
    memory_limit: PositiveInt
    epochs: PositiveInt


class Robustness(Frozen):
    """The whole record; a `quick` one is a check that the harness runs, which is no result."""

    schema_version: Literal[1] = SCHEMA_VERSION
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    seed: NonNegativeInt
    quick: bool
    victims: tuple[Victim, ...]
    straits: tuple[Strait, ...]
    feeds: tuple[Feed, ...]
    load: Load | None

    @property
    def kills(self) -> int:
        """How many kills there were in all."""
        return sum(len(victim.kills) for victim in self.victims)


class StudyMemory(Frozen):
    """The study in little memory: `runs` trainings, each configuration once, on all of QM9, in one process.

    Each took `epochs` epochs (and as many of fine-tuning), at least two where batches grow. `memory` (bytes) is the
    highest resident memory, and `memory_limit` what the system let it have, None for no limit. A `quick` one is no
    result.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    quick: bool
    runs: PositiveInt
    epochs: PositiveInt
    memory: PositiveInt
    memory_limit: PositiveInt | None


def default_path() -> Path:
    """Where the record that the book shows lies."""
    return results_folder() / "robustness" / "robustness.json"


def memory_path() -> Path:
    """Where the record of the study's memory that the book shows lies."""
    return default_path().with_name("memory.json")


def load(path: str | os.PathLike[str] | None = None) -> Robustness:
    """Read the record (by default the one that the book shows) and check it.

    Raises RobustnessError, which names the file and what is wrong with it.
    """
    return read(Path(path or default_path()), Robustness, RobustnessError, "make kills")


def load_memory(path: str | os.PathLike[str] | None = None) -> StudyMemory:
    """As `load`, of the study's memory."""
    return read(Path(path or memory_path()), StudyMemory, RobustnessError, "python -m harness.robustness memory")


def warnings_path() -> Path:
    """Where the record of the warnings that the book shows lies."""
    return default_path().with_name("warnings.csv")


def load_warnings(path: Path | None = None) -> pd.DataFrame:
    """A row per kind of geometry: how many there are, how many are refused, and how many each warning names.

    Raises RobustnessError, which names the file, if it can't be read.
    """
    path = path or warnings_path()
    try:
        return pd.read_csv(path, index_col="geometries")
    except (OSError, ValueError) as error:
        raise RobustnessError(
            f"{path} can't be read ({error}): restore it, or make it with `python -m harness.robustness warnings`"
        ) from error


def troubles(record: Robustness) -> list[str]:
    """All that should not have happened, in words; nothing if the compendium held."""
    found = [
        f"{victim.name}: {getattr(victim, what)} {words}"
        for victim in record.victims
        for what, words in _TROUBLES.items()
        if getattr(victim, what)
    ]
    for strait in record.straits:
        if strait.left:
            found.append(f"{strait.name}: {strait.left} things left behind")
        if strait.went_on is False:
            found.append(f"{strait.name}: it did not go on to the undisturbed result")
    found += [f"{feed.name}: {feed.wrong} of {feed.fed} went wrong" for feed in record.feeds if feed.wrong]
    if record.load is not None and record.load.memory > record.load.memory_limit:
        found.append(f"a training took {record.load.memory} bytes")
    return found


_TROUBLES = {
    "half_read": "half-written things in the place of whole ones",
    "lost": "kills after which something recorded was gone",
    "refused": "starts that ended with an error",
    "differing": "files that differ from the undisturbed ones",
}
