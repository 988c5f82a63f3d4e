"""Hyperparameter search: Optuna over the spaces of sweep files in the format of Weights & Biases.

Objectives are those of `trials`. Every trial is a run of the experiment ``search-<sweep>`` and is recorded like any
other, so that a trial whose run is there already is loaded, and the Pareto front follows from the records alone. The
test half is never used. Optuna's database only says which trials were run and what comes next; it can be thrown away.

``python -m analysis.study.search run stage1`` searches; several processes or machines that are given the same
``--storage`` share the work. ``wandb sweep analysis/study/sweeps/stage1.yaml`` reads the same file; its agent calls
``python -m analysis.study.search trial stage1 --batch_size=… --learning_rate=… --epochs=…``.
"""

import datetime
import hashlib
import json
import logging
import os
import platform
import re
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import optuna
import pandas as pd
import sqlalchemy
import typer
from filelock import SoftFileLease
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from pydantic import Field, NonNegativeInt, PositiveInt
from sqlalchemy.exc import IntegrityError, ProgrammingError, SAWarning, SQLAlchemyError
from tqdm import tqdm

from analysis.data import qm9, thesis
from analysis.data.errors import UserError
from analysis.data.files import make_folder, whole_file
from analysis.data.molecules import Molecules
from analysis.runs import devices, records
from analysis.runs.config import Profile
from analysis.runs.console import INTERRUPTED, OneLineErrors, complain
from analysis.runs.devices import Device
from analysis.runs.failures import TrainingDivergedError
from analysis.study import sweeps
from analysis.study.parameters import NotebookParameters, check, parsed
from analysis.study.sweeps import Sweep, SweepError, load_sweep, parameters_of
from analysis.study.trials import (
    WITHOUT_RECORD,
    Pruning,
    Stage,
    choose,
    is_answer,
    known,
    objectives,
    pareto_front,
    recorded,
    trials_of,
)
from analysis.training import recording

HEARTBEAT_SECONDS = 15
"""How often a process says that its trial is alive; after four times as long without a word another takes it over."""

_GRACE_HEARTBEATS = 4
_POLL_SECONDS = 2.0  # while other processes finish their trials
_ATTEMPTS = 20  # to make the tables while another machine does
_SQLITE_SECONDS = 60  # to wait for another process's transaction
_DEFAULT_DATABASE = "search.db"
_URLS = "give a URL like sqlite:///file.db or postgresql+psycopg://user:password@host/name"
_MACHINE = "machine"  # the attribute that says who runs a trial
_STILLBORN_SECONDS = 5.0  # far more than lies between the birth of a trial and this attribute
_POINT_OF_GRID = "grid_id"  # Optuna's
_AGAIN = "again"  # the attribute of a trial that was queued again: the number of the one that died
_log = logging.getLogger(__name__)


class StorageError(UserError, RuntimeError):
    """Optuna's database can't be opened or written."""


class _PerTrial:
    """A new sampler of this kind for each trial, seeded with (seed, place of the trial).

    A single sampler would restart its random numbers in each process: a resumed search and a second worker would draw
    the first trials' values again. The place is the trial's number, less the trials before it that will never finish
    or that only replace another: a search that is killed draws what it would have drawn.
    """

    def __init__(self, kind: type[optuna.samplers.BaseSampler], seed: int) -> None:
        self._kind = kind
        self._seed = seed

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """What Optuna calls first for every trial."""
        seed = np.random.SeedSequence([self._seed, _place(study, trial)]).generate_state(1)[0]
        self._sampler = self._kind(seed=int(seed))
        self._sampler.before_trial(study, trial)

    def __getattr__(self, name: str) -> object:
        """All else is the trial's own sampler's."""
        if name == "_sampler":  # no trial has begun
            raise AttributeError(name)
        return getattr(self._sampler, name)


def search(
    sweep: Sweep,
    molecules: Molecules,
    *,
    profile: Profile = "full",
    seed: int = 0,
    trials: int | None = None,
    storage: str | None = None,
    pruning: Pruning | None = None,
    results: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Run a sweep's trials, or what is left of them, and wait until those of other processes are done too.

    The study in the database belongs to what is asked for (space, method, profile, seed, molecules): the same call
    takes the search up again where it was, on as many machines at once as share the storage, and a changed sweep
    starts another study, in which runs that are recorded are loaded. A trial whose process died or was stopped is run
    again, from its run's last finished epoch if that machine has it; one whose training diverged counts as failed
    and is not. Several processes may run a trial or two more than asked for. Wall times are comparable only between
    trials that had the machine to themselves.

    `profile` scales every trial down, see `config.apply_profile`; batch sizes that don't fit are left out. `seed` is
    that of the runs and of the sampler: trial k draws from (seed, k) and the trials that are finished by then. `trials`
    is how many, by default the sweep's `run_cap`; a grid ends when it is done. `storage` is the URL of Optuna's
    database (SQLite, PostgreSQL, MySQL), by default `search.db` in the folder of the records. `pruning` says when to
    stop hopeless trials. Off by default, and for the book's study: whole curves are worth more than the minutes. A
    stopped trial has no record; its checkpoint is beside the records: training the run finishes it.

    Returns a row per trial, see `trials_of`. With profile "full" it is written to
    ``<results>/<experiment>/trials.csv`` too, for the trials that have no record.

    Raises SweepError if the sweep does not say how many trials, or a trial's values make no valid run, StorageError if
    the database can't be opened or written, and records.RecordError for a damaged record.
    """
    asked, sweep = sweep, sweep.fitting(profile)
    results = Path(results or records.results_folder())
    cap = _cap(sweep, trials)
    data = molecules.fingerprint()
    objective = partial(_objective, asked, molecules, profile, seed, pruning, results=results, progress=progress)
    with _opened(_study_name(sweep, profile, seed, data), _sampler(sweep, seed), storage, results) as study:
        with tqdm(total=cap, desc="trials", unit="trial", disable=not progress) as bar:
            while True:
                waiting, under_way, done = _census(study)
                bar.update(min(done, cap) - bar.n)
                if waiting or done + under_way < cap:
                    study.optimize(objective, n_trials=1, catch=(TrainingDivergedError,))
                elif under_way:
                    time.sleep(_POLL_SECONDS)
                else:
                    break
        frame = trials_of(study)
    if profile == "full":
        path = results / sweep.experiment / WITHOUT_RECORD
        make_folder(path.parent)
        with whole_file(path) as temporary:
            frame.to_csv(temporary, index=False)
    return frame


def _objective(
    sweep: Sweep,
    molecules: Molecules,
    profile: Profile,
    seed: int,
    pruning: Pruning | None,
    trial: optuna.Trial,
    **options: object,
) -> tuple[float, float]:
    trial.set_user_attr(_MACHINE, f"{platform.node()}, process {os.getpid()}")
    space = sweep.fitting(profile).space
    values = {name: _suggest(trial, name, distribution) for name, distribution in space.items()}
    config = sweep.config(values, profile=profile, seed=seed)
    trial.set_user_attr("parameters", parameters_of(config))
    trial.set_user_attr("run", config.run_id(molecules.fingerprint()))
    watching = []
    if pruning is not None:
        from analysis.study.pruning import StopHopeless  # its import of torch takes seconds

        watching = [StopHopeless(pruning, partial(_finished, trial.study))]
    try:
        record = recording.load_or_train(config, molecules, callbacks=watching, **options)
    except TrainingDivergedError as error:
        trial.set_user_attr("said", str(error))
        raise
    except optuna.TrialPruned as pruned:
        trial.set_user_attr("said", str(pruned))
        trial.set_user_attr("curve", watching[0].curve)
        trial.set_user_attr("seconds", watching[0].seconds)
        raise
    except SystemExit as stopped:  # Lightning's answer to an interrupt, which Optuna does not know
        raise KeyboardInterrupt from stopped
    trial.set_user_attr("curve", record.history["validation_loss"].tolist())
    return objectives(record)


def _finished(study: optuna.Study) -> list[tuple[list[float], float]]:
    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return [(trial.user_attrs["curve"], trial.values[1]) for trial in done]  # noqa: PD011 - no DataFrame


def _suggest(trial: optuna.Trial, name: str, of: BaseDistribution) -> float:
    if isinstance(of, CategoricalDistribution):
        return trial.suggest_categorical(name, of.choices)
    suggest = trial.suggest_int if isinstance(of, IntDistribution) else trial.suggest_float
    return suggest(name, of.low, of.high, step=of.step, log=of.log)


def _cap(sweep: Sweep, trials: int | None) -> int:
    asked = trials or sweep.run_cap
    if sweep.method == "grid":
        size = int(np.prod([len(values) for values in sweep.grid().values()]))
        return min(size, asked or size)
    if asked is None:
        raise SweepError(f"{sweep.file}: method {sweep.method} never ends: give run_cap, or the number of trials")
    return asked


def _sampler(sweep: Sweep, seed: int) -> optuna.samplers.BaseSampler:
    if sweep.method == "grid":
        return optuna.samplers.GridSampler(sweep.grid(), seed=seed)
    kinds = {"random": optuna.samplers.RandomSampler, "bayes": optuna.samplers.TPESampler}
    return _PerTrial(kinds[sweep.method], seed)


def _study_name(sweep: Sweep, profile: Profile, seed: int, data: str) -> str:
    """With a hash of all that decides what the trials are."""
    content = {
        "method": sweep.method,
        "constants": sweep.constants,
        "fixed": sweep.fixed,
        "space": {name: optuna.distributions.distribution_to_json(found) for name, found in sweep.space.items()},
        "profile": profile,
        "seed": seed,
        "data": data,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{sweep.experiment}-{digest[:8]}"


def _census(study: optuna.Study) -> tuple[int, int, int]:
    """How many trials are queued, under way and done, after those of dead processes were queued again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    waiting = sum(trial.state is TrialState.WAITING for trial in trials)
    under_way = sum(trial.state is TrialState.RUNNING and _MACHINE in trial.user_attrs for trial in trials)
    # Two that ask at once may be given one point of a grid: it is done once.
    done = {trial.system_attrs.get(_POINT_OF_GRID, ("trial", trial.number)) for trial in trials if is_answer(trial)}
    return waiting, under_way, len(done)


def _stillborn(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial's process died before it named its machine: it has no heartbeat either, and will never finish."""
    if trial.state is not TrialState.RUNNING or _MACHINE in trial.user_attrs:
        return False
    return (datetime.datetime.now() - trial.datetime_start).total_seconds() > _STILLBORN_SECONDS  # noqa: DTZ005 - Optuna's


def _place(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
    """The place of a trial among those that replace no other, or of the first one that it replaces."""
    trials = {one.number: one for one in study.get_trials(deepcopy=False)}
    while _AGAIN in trial.user_attrs:
        trial = trials[trial.user_attrs[_AGAIN]]
    before = [one for one in trials.values() if one.number < trial.number]
    return sum(_AGAIN not in one.user_attrs and not _stillborn(one) for one in before)


def _queue_forgotten(study: optuna.Study) -> None:
    """Queue the trials again that failed without a result."""
    trials = study.get_trials(deepcopy=False)
    queued = {trial.user_attrs.get(_AGAIN) for trial in trials}
    for trial in trials:
        if trial.state is TrialState.FAIL and not is_answer(trial) and trial.number not in queued:
            _queue_again(study, trial)


def _queue_again(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Queue a trial that its process did not finish, with the values that it had; if not all, it draws them again."""
    whole = "parameters" in trial.user_attrs
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params if whole else {},
            distributions=trial.distributions if whole else {},
            user_attrs={_AGAIN: trial.number},
            system_attrs=trial.system_attrs,  # a grid's trial has its point there
        )
    )


@contextmanager
def _opened(name: str, sampler: optuna.samplers.BaseSampler, url: str | None, results: Path) -> Iterator[optuna.Study]:
    path = results / ".locks" / "search-storage.lease"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = SoftFileLease(path, lease_duration=recording.LEASE_SECONDS)
    named, url = _storage(url, results)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # a line per trial, and a traceback per failed one
    storage = None
    try:
        # Two processes that create the tables or queue trials at once get in each other's way.
        with lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("error", SAWarning)  # a part of the URL is ignored
            try:
                storage = _connected(url)
                if url.startswith("sqlite"):
                    # A trial that is done stays so after a power cut: SQLite's default leaves that to the disk.
                    sqlalchemy.event.listen(storage.engine, "connect", _synchronous)
                    storage.engine.dispose()  # of connections from before
                study = optuna.create_study(
                    storage=storage,
                    sampler=sampler,
                    study_name=name,
                    directions=["minimize", "minimize"],
                    load_if_exists=True,
                )
                _queue_forgotten(study)
            except (ImportError, SQLAlchemyError, SAWarning, optuna.exceptions.OptunaError) as error:
                raise StorageError(
                    f"the storage {named} can't be opened ({_reason(error)}); {_URLS}, and install its driver"
                ) from error
        _log.info("study %s in %s", name, named)
        try:
            yield study
        except BaseException:
            # Stopped by hand, or by something like a full disk: the trial has yet to be run.
            with lock:
                _queue_forgotten(study)
            raise
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise StorageError(
            f"the storage {named} failed ({_reason(error)}); once that is mended, the same search "
            "goes on with it, or without it from the records"
        ) from error
    finally:
        optuna.logging.set_verbosity(verbosity)
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _connected(url: str) -> optuna.storages.RDBStorage:
    """Optuna's storage, with its tables made; another machine may be making them at the same moment, one by one."""
    attempts = 0
    while True:
        try:
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": {"timeout": _SQLITE_SECONDS}} if url.startswith("sqlite") else None,
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=_GRACE_HEARTBEATS * HEARTBEAT_SECONDS,
                heartbeat_stale_trial_callback=_queue_again,
            )
        except (IntegrityError, ProgrammingError):
            attempts += 1
            if attempts == _ATTEMPTS:
                raise
            time.sleep(_POLL_SECONDS / 10)


def _synchronous(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = EXTRA")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error).partition("\n")[0]


def _storage(url: str | None, results: Path) -> tuple[str, str]:
    """What the database is called in messages, without its password, and its URL, as Optuna wants it."""
    if url is None:
        path = (results / _DEFAULT_DATABASE).resolve()
        # In a URL of SQLAlchemy's no path can have a question mark; in a URI of SQLite's it is escaped.
        named, found = str(path), sqlalchemy.URL.create("sqlite", database=path.as_uri(), query={"uri": "true"})
    else:
        try:
            found = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError as error:
            raise StorageError(f"the storage is not a URL; {_URLS}") from error
        if "?" in url and not found.query:
            raise StorageError(
                f"the storage {url.partition('?')[0]} is followed by ? and no name=value; for a file with ? in its "
                "path give sqlite:///file:///the/path.db?uri=true, and %3F for it"
            )
        named = found.render_as_string()
    # Optuna formats it.
    return named, re.sub(r"[{}]", r"\g<0>\g<0>", found.render_as_string(hide_password=False))


class SearchParameters(NotebookParameters):
    """Parameters of `02_hyperparameter_search`."""

    profile: Profile = Field("full", description='"smoke", "quick" or "full"')
    seed: NonNegativeInt = Field(0, description="0 or a positive whole number")
    trials: PositiveInt | None = Field(None, description="a positive whole number, or None for the sweep file's")
    more_seeds: list[NonNegativeInt] = Field([1, 2], description="whole numbers of 0 or more; or an empty list")
    device: Device = Field("auto", description='"auto", "cpu" or "cuda"')


def load_or_search(
    sweep: Sweep, parameters: SearchParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Stage:
    """A stage of the search: what is recorded of it is loaded, what is missing is run and recorded.

    First the trials, unless as many as asked for are recorded; then the report's own point in each of the seeds, which
    makes it one more trial; then, in each of the seeds, the trial that `choose` takes.

    Raises ValueError if no trial is complete, failures.TrainingDivergedError if the report's point or the chosen one
    diverged in some seed, and what `search` raises.
    """
    with devices.using(parameters.device):
        return _load_or_search(sweep, parameters, molecules, Path(results or records.results_folder()))


def _load_or_search(sweep: Sweep, parameters: SearchParameters, molecules: Molecules, results: Path) -> Stage:
    asked = {"profile": parameters.profile, "seed": parameters.seed, "results": results}
    found = known(sweep, **asked)
    if len(found) < _cap(sweep.fitting(parameters.profile), parameters.trials):
        search(sweep, molecules, trials=parameters.trials, progress=True, **asked)
    seeds = list(dict.fromkeys([parameters.seed, *parameters.more_seeds]))

    def in_seeds(values: Mapping[str, float]) -> list[records.Record]:
        configs = [sweep.config(values, profile=parameters.profile, seed=seed) for seed in seeds]
        return [recording.load_or_train(config, molecules, results=results, progress=True) for config in configs]

    report = []
    if sweep.name in thesis.STAGES:
        with suppress(SweepError):  # a thinned profile has fewer molecules than the report's batch
            report = in_seeds(thesis.STAGES[sweep.name])
    found = known(sweep, **asked)
    best = choose(found)
    return Stage(
        trials=found,
        records={record.id: record for record in recorded(sweep, **asked)},
        report=report,
        chosen=in_seeds({name: sweeps.typed(name, best[name], sweep.file) for name in sweep.space}),
    )


_Device = Annotated[str, typer.Option(help="Where runs are trained: auto (a GPU if there is one), cpu or cuda.")]

app = typer.Typer(cls=OneLineErrors, add_completion=False, no_args_is_help=True, help=__doc__.partition("\n\n")[0])


def _values(texts: Iterable[str], file: str) -> dict[str, float]:
    """Numbers from `name=value`, with or without two hyphens before it."""
    values = {}
    for text in texts:
        name, equals, value = text.removeprefix("--").partition("=")
        if not equals:
            raise SweepError(f"{file}: {text}: write it as name=number")
        values[name] = sweeps.typed(name, parsed(value), f"{file}: {text}")
    return values


@app.command("run")
def _run(
    sweep: Annotated[str, typer.Argument(help="stage1, stage2, or a sweep file (.yaml).")],
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "full",
    seed: Annotated[int, typer.Option(min=0, help="Of the runs and the sampler.")] = 0,
    trials: Annotated[int | None, typer.Option(min=1, help="How many; by default the sweep's run_cap.")] = None,
    storage: Annotated[str | None, typer.Option(help="URL of Optuna's database; by default results/search.db.")] = None,
    fix: Annotated[list[str] | None, typer.Option(help="Set a parameter instead: --fix batch_size=512.")] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Stop hopeless trials.")] = False,
    device: _Device = "auto",
) -> None:
    """Search. Started again it goes on; started several times with one storage, the processes share the trials."""
    found = load_sweep(sweep)
    if fix:
        found = found.fixing(_values(fix, found.file))
    try:
        with devices.using(device):
            frame = search(
                found,
                qm9.load(),
                profile=_profile(profile),
                seed=seed,
                trials=trials,
                storage=storage,
                pruning=Pruning() if prune else None,
                progress=True,
            )
    except KeyboardInterrupt as stop:
        complain("stopped: the same command goes on with the trial under way, after its last finished epoch")
        raise typer.Exit(INTERRUPTED) from stop
    typer.echo(
        f"{len(frame)} trials: " + ", ".join(f"{n} {state}" for state, n in frame["state"].value_counts().items())
    )
    front = pareto_front(frame)
    if not front.empty:
        shown = [*found.space, "validation_mse", "seconds", "run"]
        typer.echo(f"Pareto front (eV², s):\n{front[shown].to_string(index=False)}")
        typer.echo(f"chosen: {choose(frame)['run']}")


@app.command("trial", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _trial(
    context: typer.Context,
    sweep: Annotated[str, typer.Argument(help="stage1, stage2, or a sweep file (.yaml).")],
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "full",
    seed: Annotated[int, typer.Option(min=0, help="Of the run.")] = 0,
    device: _Device = "auto",
) -> None:
    """Run one trial with the parameters given as --name=value: what the agent of Weights & Biases calls."""
    found = load_sweep(sweep)
    config = found.config(_values(context.args, found.file), profile=_profile(profile), seed=seed)
    with devices.using(device):
        record = recording.load_or_train(config, qm9.load(), progress=True)
    mse, seconds = objectives(record)
    if "WANDB_SWEEP_ID" in os.environ:
        import wandb  # the import of a package that few need takes a second

        with wandb.init() as run:  # only now, so that a run that was loaded counts as well
            for row in record.history.to_dict("records"):
                run.log(row)
            run.summary["seconds"], run.summary["run"] = seconds, record.id
    typer.echo(f"run {record.id}: validation loss {mse:.4g} eV², {seconds:.1f} s")


def _profile(name: str) -> Profile:
    return check(SearchParameters, {"profile": name}).profile


if __name__ == "__main__":
    app()
