"""The runs of the study: planned, trained, read, and how it stands with each."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from tqdm import tqdm

from analysis.data.molecules import Molecules
from analysis.runs import records
from analysis.runs.arms import Arms
from analysis.runs.config import RunConfig
from analysis.runs.console import in_notebook, one_line
from analysis.runs.failures import CheckpointError, TrainingDivergedError
from analysis.runs.records import Record
from analysis.study.base import ExperimentParameters, each_once
from analysis.study.description import describe
from analysis.study.experiments import EXPERIMENTS
from analysis.study.parameters import check


class StudyError(ValueError):
    """Something was asked for that the study does not have; the message says what there is."""


def load_or_train(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Arms[Record]:
    """The records of an experiment's arms, one per seed; a progress bar counts them if one has to be trained.

    `results` is where records lie, by default `records.results_folder()`; errors are those of `runs.load_or_train`. A
    run that diverges does not keep the others from being trained: its error is raised when they are.
    """
    by_arm = parameters.by_arm(molecules)
    configs = each_once(by_arm)
    results = Path(results or records.results_folder())
    data = molecules.fingerprint()
    recorded = [(results / config.experiment / config.run_id(data)).exists() for config in configs]
    # In a log file the runs' own lines are all; a bar would fill it with carriage returns.
    seen = sys.stderr.isatty() or in_notebook()
    bar = tqdm(configs, desc="runs", unit="run", disable=all(recorded) or not seen)
    found, diverged = {}, []
    for config in bar:
        try:
            record = records.find(config, data, results)
            if record is None:
                record = _runs().load_or_train(config, molecules, results=results, progress=True)
            found[config] = record
        except TrainingDivergedError as error:
            diverged.append(f"{describe(config, parameters.profile)}, seed {config.seed}: {error}")
    if diverged:
        raise TrainingDivergedError(
            "\n".join([f"{len(diverged)} of {len(configs)} runs diverged, the others are recorded:", *diverged])
        )
    return Arms(parameters.experiment, {arm: [found[config] for config in of_arm] for arm, of_arm in by_arm.items()})


def _runs() -> ModuleType:
    """The module `analysis.training.recording`, for what is not recorded yet."""
    # Training needs torch, which takes seconds to import; reading records, which most want, does not.
    from analysis.training import recording

    return recording


def recorded(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Arms[Record]:
    """The records of an experiment's arms, one per seed; nothing is trained.

    Raises
    ------
    StudyError
        Some of the runs are not recorded.
    records.RecordError
        A record is damaged.
    """
    results, data = Path(results or records.results_folder()), molecules.fingerprint()
    by_arm = parameters.by_arm(molecules)
    folders = {config: results / config.experiment / config.run_id(data) for config in each_once(by_arm)}
    if missing := [config for config, folder in folders.items() if not folder.exists()]:
        arms = [arm for arm, configs in by_arm.items() if not set(configs).isdisjoint(missing)]
        raise StudyError(
            f"{len(missing)} of the {len(folders)} runs of {parameters.experiment} are not recorded in {results}: "
            f"`python -m analysis run {parameters.experiment}` trains them ({'; '.join(arms)}); --results, or "
            f"{records.RESULTS_VARIABLE}, names another folder"
        )
    found = {config: records.load(folder, expected=config) for config, folder in folders.items()}
    return Arms(parameters.experiment, {arm: [found[config] for config in of_arm] for arm, of_arm in by_arm.items()})


State = Literal["recorded", "under way", "cut off", "missing", "damaged"]


@dataclass(frozen=True)
class Standing:
    """How it stands with one run.

    `config` is None for a damaged record that does not say what was run; `outline` what is recorded, if it is; `epochs`
    how many epochs a run without a record has finished, None if it was never started, and `trained` whether a process
    is at it; `trouble` what is wrong with a damaged record or checkpoint.
    """

    folder: Path
    config: RunConfig | None
    outline: records.Outline | None = None
    epochs: int | None = None
    trained: bool = False
    trouble: str = ""

    @property
    def state(self) -> State:
        """In a word."""
        if self.trouble:
            return "damaged"
        if self.outline is not None:
            return "recorded"
        if self.epochs is None:
            return "missing"
        return "under way" if self.trained else "cut off"


def plan(
    molecules: Molecules, experiment: str | None = None, *, profile: str = "full", seeds: Sequence[int] | None = None
) -> list[RunConfig]:
    """The runs of one experiment, or of all, each once, in the order of the report.

    Parameters
    ----------
    molecules
        The whole database.
    experiment
        A key of `EXPERIMENTS`; None and "all" mean all of them.
    profile
        "smoke", "quick" or "full".
    seeds
        Seeds of every configuration, each once; None for each experiment's own.

    Raises
    ------
    StudyError
        There is no such experiment.
    ParameterError
        There is no such profile, or a seed is negative or stands there twice.
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


def standing(
    config: RunConfig, data_fingerprint: str, results: str | os.PathLike[str], *, whole: bool = False
) -> Standing:
    """How it stands with a run: from its `run.json` alone, or (`whole`) with the checksums of all its files."""
    results = Path(results)
    folder = results / config.experiment / config.run_id(data_fingerprint)
    try:
        if folder.exists():
            return Standing(folder, config, outline=_outline(folder, config, whole=whole))
        if not records.partial_folder(folder).is_dir():
            return Standing(folder, config)
        epochs, trained = _runs().finished_epochs(folder), _runs().under_way(folder)
        return Standing(folder, config, epochs=epochs, trained=trained)
    except (records.RecordError, CheckpointError) as error:
        return Standing(folder, config, trouble=one_line(error))


def other_records(
    known: Collection[str | os.PathLike[str]], results: str | os.PathLike[str], *, whole: bool = False
) -> list[Standing]:
    """The records in `results` whose folders are not among `known`: of other profiles, seeds or experiments."""
    found, left_out = [], {Path(one) for one in known}
    for folder in records.recorded_folders(results):
        if folder in left_out:
            continue
        try:
            outline = _outline(folder, None, whole=whole)
            found.append(Standing(folder, outline.config, outline=outline))
        except records.RecordError as error:
            found.append(Standing(folder, None, trouble=one_line(error)))
    return found


def _outline(folder: Path, expected: RunConfig | None, *, whole: bool) -> records.Outline:
    if whole:
        record = records.load(folder, expected=expected)
        return records.Outline(folder, record.config, record.about)
    return records.outline(folder, expected=expected)
