"""The record of what was done to the compendium on purpose, and of what came of it.

`python -m harness.robustness` writes the record; this module describes and reads it. It covers commands killed at
random (`ProcessUnderTest`), injected faults (`Fault`), damaged or impossible input (`FuzzTarget`), many records
with little memory (`Load`, `StudyMemory`), and the book's page that predicts (`PageRecord`).
"""

import os
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from analysis.data.errors import UserError
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import results_folder
from harness.machine import Machine

SCHEMA_VERSION = 1

ProcessName = Literal["study", "cache", "search", "notebook", "book"]
PROCESSES: tuple[ProcessName, ...] = get_args(ProcessName)
"""Training and recording, the cache of QM9, a search with two workers, papermill, the build of the book."""

FaultName = Literal[
    "full-disk-run",
    "full-disk-cache",
    "full-disk-search",
    "read-only-results",
    "read-only-cache",
    "no-home",
    "unknown-user",
    "cut-off-installation",
]
FAULTS: tuple[FaultName, ...] = get_args(FaultName)

FuzzTargetName = Literal[
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
FUZZ_TARGETS: tuple[FuzzTargetName, ...] = get_args(FuzzTargetName)


# The aliases are the keys of the committed record, which was written under these names and must not change.
_ALIASED = ConfigDict(validate_by_name=True, serialize_by_alias=True)


class RobustnessError(UserError, RuntimeError):
    """There is no record, or one that can't be trusted; the message names the file and what to do."""


class Kill(Frozen):
    """One SIGKILL, `after` seconds from the start.

    `aim` is what had to appear on the disk first, "" for a moment drawn from the time of an undisturbed run. Left on
    the disk afterwards: `whole` records or files, `epochs` in checkpoints, and `unfinished` work under temporary names.
    `all_processes` tells whether the child processes were killed too, or had to notice for themselves.
    """

    after: NonNegativeFloat
    aim: str
    all_processes: bool
    whole: NonNegativeInt
    epochs: NonNegativeInt
    unfinished: NonNegativeInt


class ProcessUnderTest(Frozen):
    """One kind of command, killed and restarted until it finished; it finished `ends` times.

    `seconds` is how long it took undisturbed. Of the `kills`, `half_read` left something half-written in place of
    something whole, `lost` destroyed something already recorded or checkpointed, and after `refused` the next start
    failed. `compared` final files were checked against those of the undisturbed run; `differing` were not identical to
    the bit.
    """

    name: ProcessName
    seconds: NonNegativeFloat
    kills: tuple[Kill, ...]
    ends: PositiveInt
    half_read: NonNegativeInt
    lost: NonNegativeInt
    refused: NonNegativeInt
    compared: PositiveInt
    differing: NonNegativeInt


class Fault(Frozen):
    """A command run under an injected fault: `tries`, their `exit_codes`, and the last line printed (`said`).

    `left` counts what they left behind other than whole records or files. `went_on` tells whether the same command
    reached the undisturbed result, to the bit, once the fault was removed; None where there was nothing to remove.
    """

    name: FaultName
    tries: PositiveInt
    exit_codes: tuple[int, ...] = Field(min_length=1)
    said: str
    left: NonNegativeInt
    went_on: bool | None


class FuzzTarget(Frozen):
    """One kind of input, mutated at random `inputs` times.

    `refused` were answered with one message; `same` were accepted because nothing that counts was changed, and `other`
    because the result is valid too. `wrong` are all the rest, unintended exceptions among them. `said` is one of the
    messages.
    """

    model_config = _ALIASED

    name: FuzzTargetName
    inputs: PositiveInt = Field(alias="fed")
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
    """The whole record; a `quick` one only checks that the harness runs, and is no result."""

    model_config = _ALIASED

    schema_version: Literal[1] = SCHEMA_VERSION
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    seed: NonNegativeInt
    quick: bool
    processes: tuple[ProcessUnderTest, ...] = Field(alias="victims")
    faults: tuple[Fault, ...] = Field(alias="straits")
    fuzz_targets: tuple[FuzzTarget, ...] = Field(alias="feeds")
    load: Load | None

    @property
    def kills(self) -> int:
        """How many kills there were in all."""
        return sum(len(process.kills) for process in self.processes)


class StudyMemory(Frozen):
    """The study in little memory: `runs` trainings, each configuration once, on all of QM9, in one process.

    Each took `epochs` epochs (and as many of fine-tuning), at least two where batches grow. `memory` (bytes) is the
    highest resident memory, and `memory_limit` what the system allowed, None for no limit. A `quick` one is no
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


PageTargetName = Literal["smiles", "xyz"]
PageStep = Literal["open", "geometry", "networks", "slider"]


class PageAnswers(Frozen):
    """What the page that predicts said of `inputs` texts changed at random; the rest is as in `FuzzTarget`."""

    name: PageTargetName
    inputs: PositiveInt
    refused: NonNegativeInt
    same: NonNegativeInt
    other: NonNegativeInt
    wrong: NonNegativeInt
    said: str


class PageTimes(Frozen):
    """Seconds that a step took each time, on a processor that the browser makes `slowdown` times slower.

    "open" ends when the page is ready, "geometry" goes from a SMILES to a relaxed conformer, "networks" is the
    prediction that follows, and "slider" a move of the slider of the means.
    """

    what: PageStep
    slowdown: PositiveInt
    seconds: tuple[NonNegativeFloat, ...] = Field(min_length=1)


class PageRecord(Frozen):
    """What `page.measure` finds; `load` is what else the machine did (its average), and a `quick` one is no result."""

    schema_version: Literal[1] = SCHEMA_VERSION
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    load: NonNegativeFloat
    seed: NonNegativeInt
    quick: bool
    answers: tuple[PageAnswers, ...]
    times: tuple[PageTimes, ...]


def default_path() -> Path:
    """The record that the book shows."""
    return results_folder() / "robustness" / "robustness.json"


def memory_path() -> Path:
    """The record of the study's memory that the book shows."""
    return default_path().with_name("memory.json")


def load(path: str | os.PathLike[str] | None = None) -> Robustness:
    """Read the record (by default the one that the book shows) and check it.

    Raises RobustnessError, which names the file and what is wrong with it.
    """
    return read(Path(path or default_path()), Robustness, RobustnessError, "make kills")


def load_memory(path: str | os.PathLike[str] | None = None) -> StudyMemory:
    """Like `load`, for the study's memory."""
    return read(Path(path or memory_path()), StudyMemory, RobustnessError, "python -m harness.robustness memory")


def page_path() -> Path:
    """The record of the page that the book shows."""
    return default_path().with_name("page.json")


def load_page(path: str | os.PathLike[str] | None = None) -> PageRecord:
    """Like `load`, for the page that predicts."""
    return read(Path(path or page_path()), PageRecord, RobustnessError, "python -m harness.robustness page")


def warnings_path() -> Path:
    """The record of the warnings that the book shows."""
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
    """What should not have happened, in words; empty if the compendium held."""
    found = [
        f"{process.name}: {getattr(process, what)} {words}"
        for process in record.processes
        for what, words in _TROUBLES.items()
        if getattr(process, what)
    ]
    for fault in record.faults:
        if fault.left:
            found.append(f"{fault.name}: {fault.left} things left behind")
        if fault.went_on is False:
            found.append(f"{fault.name}: it did not go on to the undisturbed result")
    found += [
        f"{target.name}: {target.wrong} of {target.inputs} went wrong" for target in record.fuzz_targets if target.wrong
    ]
    if record.load is not None and record.load.memory > record.load.memory_limit:
        found.append(f"a training took {record.load.memory} bytes")
    return found


_TROUBLES = {
    "half_read": "half-written things in the place of whole ones",
    "lost": "kills after which something recorded was gone",
    "refused": "starts that ended with an error",
    "differing": "files that differ from the undisturbed ones",
}
