"""The trials of hyperparameter searches: those of Optuna's study or of the records, the best, and the chosen one.

A trial has two objectives, both to be small: the validation loss after the last epoch (eV²) and the wall time of
training and validation (s).
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.trial import TrialState

from analysis.runs import records
from analysis.runs.config import Profile, RunConfig
from analysis.runs.records import Record
from analysis.study.sweeps import PARAMETERS, Sweep, SweepError, parameters_of

TOLERANCE = 0.1
"""How much worse than the best a chosen run's validation loss may be, as a fraction of the best; see `choose`."""

WITHOUT_RECORD = "trials.csv"
"""Beside the records of a full search: all its trials, for the sake of those without a record."""


@dataclass(frozen=True)
class Stage:
    """A sweep's trials, and two of its points in several seeds.

    `trials` has a row per trial, see `trials_of`, and one for the report's point even if the sampler did not try it.
    `records` are those of the complete trials, by run id. `report` are the records of the report's values, one per
    seed, that of the trials first: none if the report has no values for this sweep, or if a thinned profile has fewer
    molecules than its batch. `chosen` are the same of the trial that `choose` takes.
    """

    trials: pd.DataFrame
    records: Mapping[str, Record]
    report: Sequence[Record]
    chosen: Sequence[Record]

    @property
    def runs(self) -> list[Record]:
        """All records, each once."""
        every = [*self.records.values(), *self.report, *self.chosen]
        return list({record.id: record for record in every}.values())


@dataclass(frozen=True)
class Pruning:
    """No trial is stopped before `epochs` are done, nor while it has fewer than `rivals`: see `pruning`."""

    epochs: int = 5
    rivals: int = 5


def objectives(record: Record) -> tuple[float, float]:
    """A run's validation loss after the last epoch, eV², and the wall time of its training and validation, s."""
    seconds = record.about["seconds"]
    return float(record.history["validation_loss"].iloc[-1]), float(seconds["training"] + seconds["validation"])


def is_answer(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial is over for good: a failed one is only if it diverged."""
    if trial.state is TrialState.FAIL:
        return "said" in trial.user_attrs
    return trial.state.is_finished()


def recorded(
    sweep: Sweep, *, profile: Profile = "full", seed: int | None = 0, results: str | os.PathLike[str] | None = None
) -> list[Record]:
    """The records of a sweep's trials, sorted by run id; those of another profile, seed or sweep are left out.

    `seed` None means any seed. Every run of the sweep's space counts as a trial, even one trained by itself. Raises
    records.RecordError for a damaged record.
    """
    found = []
    for about in sorted((Path(results or records.results_folder()) / sweep.experiment).glob("*/run.json")):
        record = records.load(about.parent)
        values = parameters_of(record.config)
        try:
            belongs = sweep.config(
                {name: values[name] for name in sweep.space},
                profile=profile,
                seed=record.config.seed if seed is None else seed,
            )
        except SweepError:
            continue
        if belongs == record.config:
            found.append(record)
    return found


def repeated(
    sweep: Sweep, *, profile: Profile = "full", results: str | os.PathLike[str] | None = None
) -> list[list[Record]]:
    """The records of each of a sweep's points that was run in more than one seed; errors are those of `recorded`."""
    points: dict[RunConfig, list[Record]] = {}
    for record in recorded(sweep, profile=profile, seed=None, results=results):
        points.setdefault(record.config.model_copy(update={"seed": 0}), []).append(record)
    return [of_point for of_point in points.values() if len(of_point) > 1]


def known(
    sweep: Sweep, *, profile: Profile = "full", seed: int = 0, results: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """A row per record of a sweep's trials; of a full search also one per trial that has no record of its own.

    Those failed, were stopped, or asked for values that an earlier trial had. The columns are those of `trials_of`.
    Raises records.RecordError for a damaged record.
    """
    results = Path(results or records.results_folder())
    found = trials_of(recorded(sweep, profile=profile, seed=seed, results=results))
    beside = results / sweep.experiment / WITHOUT_RECORD
    if profile != "full" or not beside.is_file():
        return found
    ended = pd.read_csv(beside, keep_default_na=False, na_values={"validation_mse": "", "seconds": ""})
    without = ended["state"].isin(["failed", "pruned"])
    again = ended.duplicated("run") & ended["run"].isin(found["run"])
    return pd.concat([found, ended[without | again]], ignore_index=True)


def trials_of(source: optuna.Study | Iterable[Record]) -> pd.DataFrame:
    """A row per trial of a study, or per record; trials that were queued again are left out.

    `number` is the trial's, or the record's place; `state` is "complete", "pruned", "failed", "running" or "waiting";
    a column for each of `sweeps.PARAMETERS` (cut-offs in Å); `validation_mse` (eV², after the last epoch) and `seconds`
    (training and validation) are NaN but for complete ones; `done` is the number of epochs that were trained, `run`
    the run's id, and `said` what a failed or pruned one said.
    """
    if isinstance(source, optuna.Study):
        trials = source.get_trials(deepcopy=False)
        rows = [_row(trial) for trial in trials if trial.state is not TrialState.FAIL or is_answer(trial)]
    else:
        rows = [
            {
                "number": number,
                "state": "complete",
                **parameters_of(record.config),
                **dict(zip(("validation_mse", "seconds"), objectives(record), strict=True)),
                "done": len(record.history),
                "run": record.id,
                "said": "",
            }
            for number, record in enumerate(source)
        ]
    columns = ["number", "state", *PARAMETERS, "validation_mse", "seconds", "done", "run", "said"]
    return pd.DataFrame(rows, columns=columns).astype({"validation_mse": float, "seconds": float})


def _row(trial: optuna.trial.FrozenTrial) -> dict[str, object]:
    known = trial.user_attrs
    mse, seconds = trial.values if trial.state is TrialState.COMPLETE else (np.nan, np.nan)  # noqa: PD011 - no DataFrame
    return {
        "number": trial.number,
        "state": "failed" if trial.state is TrialState.FAIL else trial.state.name.lower(),
        **known.get("parameters", {}),
        "validation_mse": mse,
        "seconds": seconds,
        "done": len(known.get("curve", ())),
        "run": known.get("run", ""),
        "said": known.get("said", ""),
    }


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """The complete trials than which no other is both as quick and as good, quickest first, each once."""
    complete = frame[frame["state"] == "complete"].drop_duplicates("run")
    ordered = complete.sort_values(["seconds", "validation_mse"], kind="stable")
    best = ordered["validation_mse"].cummin()  # of those that are as quick
    first = ordered.groupby(best)["seconds"].transform("min")
    return ordered[(ordered["validation_mse"] == best) & (ordered["seconds"] == first)]


def choose(frame: pd.DataFrame, *, tolerance: float = TOLERANCE) -> pd.Series:
    """The trial to go on with: the quickest whose validation loss is at most `tolerance` above the best of all.

    The report chose "the greatest balance of good results and low time" by eye; this rule was written before any trial
    was seen: a tenth, because smaller differences of the validation loss say little.

    Raises ValueError if no trial is complete, or for a negative tolerance.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance {tolerance:g} is negative")
    front = pareto_front(frame)
    if front.empty:
        raise ValueError("no trial is complete: there is nothing to choose from")
    return front[front["validation_mse"] <= (1 + tolerance) * front["validation_mse"].min()].iloc[0]
