"""The runs of the study: planned, trained, read, and the state of each."""

import os
import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.runs import devices, records
from analysis.runs.arms import Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.console import in_notebook, one_line
from analysis.runs.failures import CheckpointError, TrainingDivergedError
from analysis.runs.records import Record
from analysis.study.base import ExperimentParameters, each_once, work
from analysis.study.description import describe
from analysis.study.experiments import EXPERIMENTS
from analysis.study.parameters import check
from analysis.training import recording

_NAMED = 4  # so many arms are named that lack runs


class StudyError(UserError, ValueError):
    """Something was asked for that the study does not have; the message says what it has."""


def load_or_train(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Arms[Record]:
    """The records of an experiment's arms, one per seed; a progress bar counts them if one has to be trained.

    `results` is where records lie, by default `records.results_folder()`; errors are those of `runs.load_or_train`. A
    run that diverges does not keep the others from being trained: its error is raised when they are.
    """
    by_arm = parameters.by_arm(molecules)
    results = Path(results or records.results_folder())
    found = {config: records.find(config, molecules.fingerprint(), results) for config in each_once(by_arm)}
    missing = [config for config, record in found.items() if record is None]
    # In a log file the runs' own lines are all; a bar would fill it with carriage returns.
    hidden = not missing or not (sys.stderr.isatty() or in_notebook())
    diverged = []
    for config in tqdm(missing, desc="runs", unit="run", disable=hidden, initial=len(found) - len(missing)):
        try:
            with devices.using(parameters.device):
                found[config] = recording.load_or_train(config, molecules, results=results, progress=True)
        except TrainingDivergedError as error:
            diverged.append(f"{describe(config, parameters.profile)}, seed {config.seed}: {error}")
    if diverged:
        raise TrainingDivergedError(
            "\n".join([f"{len(diverged)} of {len(found)} runs diverged, the others are recorded:", *diverged])
        )
    return _arms(parameters, by_arm, found)


def _arms(
    parameters: ExperimentParameters, by_arm: Mapping[Arm, Sequence[RunConfig]], found: Mapping[RunConfig, Record]
) -> Arms[Record]:
    return Arms(parameters.experiment, {arm: [found[config] for config in of_arm] for arm, of_arm in by_arm.items()})


def recorded(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Arms[Record]:
    """The records of an experiment's arms, one per seed; nothing is trained.

    Raises StudyError if some of the runs are not recorded, and records.RecordError if a record is damaged.
    """
    return recorded_arms(parameters, parameters.by_arm(molecules), molecules.fingerprint(), results=results)


def recorded_arms(
    parameters: ExperimentParameters,
    by_arm: Mapping[Arm, Sequence[RunConfig]],
    data_fingerprint: str,
    *,
    results: str | os.PathLike[str] | None = None,
) -> Arms[Record]:
    """`recorded` for some arms of an experiment, whose runs are known, on the database of this fingerprint."""
    results = Path(results or records.results_folder())
    found = {config: records.find(config, data_fingerprint, results) for config in each_once(by_arm)}
    if missing := [config for config, record in found.items() if record is None]:
        arms = [arm for arm, configs in by_arm.items() if not set(configs).isdisjoint(missing)]
        named = "; ".join(arms[:_NAMED]) + (f"; and {len(arms) - _NAMED} arms more" if len(arms) > _NAMED else "")
        raise StudyError(
            f"{len(missing)} of the {len(found)} runs of {parameters.experiment} are not recorded in {results}: "
            f"`python -m analysis run {parameters.experiment}` trains them ({named}); --results, or "
            f"{records.RESULTS_VARIABLE}, names another folder"
        )
    return _arms(parameters, by_arm, found)


State = Literal["recorded", "under way", "cut off", "missing", "damaged"]


@dataclass(frozen=True)
class Status:
    """The state of one run.

    `config` is None for a damaged record that does not say what was run; `outline` what is recorded, if it is; `epochs`
    how many epochs a run without a record has finished, None if it was never started, and `trained` whether a process
    is training it; `problem` what is wrong with a damaged record or checkpoint.
    """

    folder: Path
    config: RunConfig | None
    outline: records.Outline | None = None
    epochs: int | None = None
    trained: bool = False
    problem: str = ""

    @property
    def state(self) -> State:
        """As one word or two."""
        if self.problem:
            return "damaged"
        if self.outline is not None:
            return "recorded"
        if self.epochs is None:
            return "missing"
        return "under way" if self.trained else "cut off"


def plan(
    molecules: Molecules, experiment: str | None = None, *, profile: str = "full", seeds: Sequence[int] | None = None
) -> list[RunConfig]:
    """The runs of one experiment, or of all (None, "all"), each once, in the order of the report.

    `profile` is "smoke", "quick" or "full"; `seeds` are those of every configuration, None for each experiment's own.

    Raises StudyError if the experiment is unknown, and ParameterError if the profile is, or if a seed is negative or
    given twice.
    """
    if experiment in (None, "all"):
        chosen = list(EXPERIMENTS.values())
    elif experiment in EXPERIMENTS:
        chosen = [EXPERIMENTS[experiment]]
    else:
        raise StudyError(f"there is no experiment {experiment!r}: choose one of {', '.join(EXPERIMENTS)}, or all")
    given = {"profile": profile} | ({} if seeds is None else {"seeds": list(seeds)})
    asked = [check(parameters, given) for parameters in chosen]
    return list(dict.fromkeys(config for parameters in asked for config in parameters.configs(molecules)))


def status(config: RunConfig, data_fingerprint: str, results: str | os.PathLike[str], *, whole: bool = False) -> Status:
    """The state of a run: from its `run.json` alone, or (`whole`) with the checksums of all its files."""
    folder = records.folder_of(config, data_fingerprint, results)
    try:
        outline = records.find(config, data_fingerprint, results, read=partial(records.outline, whole=whole))
        if outline is not None:
            return Status(folder, config, outline=outline)
        return Status(folder, config, epochs=recording.finished_epochs(folder), trained=recording.under_way(folder))
    except (records.RecordError, CheckpointError) as error:
        return Status(folder, config, problem=one_line(error))


def expected_seconds(found: Sequence[Status], molecules: Molecules) -> list[float | None]:
    """How long each run takes from beginning to end, s: as its record says, or else as others of its size took.

    That is at the median pace of the runs that are recorded among `found`; None where none is.
    """
    works = [None if one.config is None else work(one.config, molecules) for one in found]
    paces = [one.outline.seconds / its for one, its in zip(found, works, strict=True) if one.outline is not None]
    pace = statistics.median(paces) if paces else None
    return [
        one.outline.seconds if one.outline is not None else None if None in (pace, its) else pace * its
        for one, its in zip(found, works, strict=True)
    ]


def other_records(
    known: Collection[str | os.PathLike[str]], results: str | os.PathLike[str], *, whole: bool = False
) -> list[Status]:
    """The records in `results` whose folders are not among `known`: of other profiles, seeds or experiments."""
    found, left_out = [], {Path(one) for one in known}
    for folder in records.recorded_folders(results):
        if folder in left_out:
            continue
        try:
            outline = records.outline(folder, whole=whole)
            found.append(Status(folder, outline.config, outline=outline))
        except records.RecordError as error:
            found.append(Status(folder, None, problem=one_line(error)))
    return found
