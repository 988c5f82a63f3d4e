"""The study from the command line: what is recorded, train what is missing, train a run again, show a record."""

import difflib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pandas as pd
import pytorch_lightning as pl
import typer
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from analysis import drivers, errors, qm9, reproduction, runs, study, sweeps, training, trials, verdicts, weights
from analysis.callbacks import CheckpointError, TrainingDivergedError, clock
from analysis.config import RunConfig, adjust
from analysis.console import INTERRUPTED, complain, errors_in_one_line, one_line
from analysis.molecules import Molecules, MoleculesError
from analysis.parameters import ParameterError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help=__doc__, rich_markup_mode=None, pretty_exceptions_enable=False
)

_LINE_SECONDS = 600.0  # in a log file, between two estimates of one run
_NAMED = 10  # as many records are named for a prefix that fits several
_EXPECTED = (
    study.StudyError,
    ParameterError,
    MoleculesError,
    qm9.QM9NotInstalledError,
    runs.RecordError,
    CheckpointError,
    TrainingDivergedError,
    training.LoggerError,
    weights.WeightError,
    reproduction.OtherMoleculesError,
    OSError,
)

_Experiment = Annotated[str, typer.Argument(help=f"{', '.join(study.EXPERIMENTS)}, or all.")]
_Profile = Annotated[str, typer.Option(help="smoke, quick or full.")]
_Seeds = Annotated[str | None, typer.Option(help="Numbers with commas between them; by default each experiment's own.")]
_Results = Annotated[Path | None, typer.Option(help="Where records lie; by default the checkout's results/.")]
_RunId = Annotated[str, typer.Argument(help="A run's id, or its beginning; experiment/id if several have it.")]


@app.command("list")
def list_runs(
    experiment: _Experiment = "all",
    profile: _Profile = "full",
    seeds: _Seeds = None,
    results: _Results = None,
    check: Annotated[bool, typer.Option("--check", help="Read all files of each record and check them.")] = False,
) -> None:
    """List every run of the study, or of one experiment, and records that are none of these."""
    with errors_in_one_line(*_EXPECTED):
        results = results or runs.results_folder()
        molecules = qm9.load()
        configs = study.plan(molecules, experiment, profile=profile, seeds=_numbers(seeds))
        data = molecules.fingerprint()
        found = [study.standing(config, data, results, whole=check) for config in configs]
        searches, others = [], []
        if experiment == "all":
            searches = [_over(sweeps.load_sweep(name), results) for name in sweeps.shipped()]
            ours = {one.folder for one in found}
            ours |= {results / sweep.experiment / run for sweep, over, _ in searches for run in over["run"]}
            ours |= {record.folder for _, _, repeats in searches for record in repeats}
            others = study.other_records(ours, results, whole=check)
        typer.echo(_table(found, profile))
        states = [one.state for one in found]
        counted = ", ".join(f"{states.count(state)} {state}" for state in ("recorded", "under way", "missing"))
        damaged = [one for one in found + others if one.state == "damaged"]
        typer.echo(f"\n{len(found)} runs: {counted}, {states.count('damaged')} damaged")
        for sweep, over, repeats in searches:
            seeds = f"; {len(repeats)} records of points in several seeds" if repeats else ""
            said = f"{len(over)} trials are over, {sweep.run_cap} were asked for: {_count(over)}{seeds}"
            typer.echo(f"{sweep.experiment}: {said}")
        if others:
            typer.echo(f"\n{len(others)} other records, of none of these experiments or with other parameters:\n")
            typer.echo(_table(others, profile))
        for one in damaged:
            complain(f"damaged: {one.trouble}")
        if damaged:
            raise typer.Exit(1)


@app.command()
def run(
    experiment: _Experiment = "all",
    profile: _Profile = "full",
    seeds: _Seeds = None,
    logger: Annotated[str, typer.Option(help="csv, tensorboard, wandb (offline) or none.")] = "csv",
    results: _Results = None,
) -> None:
    """Train and record what is missing, seed by seed; started again after a kill or Ctrl-C, it goes on where it was."""
    with errors_in_one_line(*_EXPECTED):
        results = results or runs.results_folder()
        log = None if logger == "none" else logger
        training.check_logger(log)
        molecules = qm9.load()
        configs = study.seed_by_seed(study.plan(molecules, experiment, profile=profile, seeds=_numbers(seeds)))
        results.mkdir(parents=True, exist_ok=True)
        data = molecules.fingerprint()
        found = [study.standing(config, data, results) for config in configs]
        to_do = [one for one in found if one.state in ("missing", "under way")]
        troubles = [one.trouble for one in found if one.state == "damaged"]
        recorded = len(found) - len(to_do) - len(troubles)
        overall = Overall(to_do, molecules, profile)
        trained = 0
        try:
            for one in to_do:
                with overall.run(one):
                    try:
                        runs.load_or_train(
                            one.config, molecules, results=results, progress=True, callbacks=[overall], logger=log
                        )
                        trained += 1
                    except (TrainingDivergedError, CheckpointError, runs.RecordError) as error:
                        troubles.append(f"run {one.folder.name} of {one.folder.parent.name}: {one_line(error)}")
                        tqdm.write(f"error: {troubles[-1]}; going on with the others", file=sys.stderr)
        # Lightning makes an exit of a Ctrl-C during training.
        except (KeyboardInterrupt, SystemExit) as stop:
            overall.close()
            complain("stopped: the same command goes on after the last finished epoch of the run under way")
            raise typer.Exit(INTERRUPTED) from stop
        except OSError as error:  # a full disk, a folder that may not be written
            overall.close()
            complain(f"error: {one_line(error)}; once that is mended, the same command goes on where it was")
            raise typer.Exit(1) from error
        finally:
            overall.close()
        typer.echo(f"{len(found)} runs: {trained} trained, {recorded} recorded before, {len(troubles)} failed")
        for trouble in troubles:
            complain(f"failed: {trouble}")
        if troubles:
            raise typer.Exit(1)


@app.command()
def verify(
    run_id: _RunId,
    results: _Results = None,
    threads: Annotated[int | None, typer.Option(min=1, help="By default as many as the record's.")] = None,
) -> None:
    """Train a recorded run again, in a temporary folder, and compare; the record is not touched."""
    with errors_in_one_line(*_EXPECTED):
        recorded = runs.load(_find(run_id, results or runs.results_folder()))
        typer.echo(f"training {_name(recorded)} again; recorded in {clock(_seconds(recorded.about))}")
        try:
            with reproduction.trained_again(recorded, qm9.load(), threads=threads, progress=True) as again:
                compared = reproduction.compare(recorded, again)
                typer.echo(f"trained again in {clock(_seconds(again.about))}")
        except (KeyboardInterrupt, SystemExit) as stop:
            complain("stopped: the record is as it was, and nothing is left of the repetition")
            raise typer.Exit(INTERRUPTED) from stop
        for words in compared.surroundings:
            typer.echo(f"different around it: {words}")
        if compared.identical:
            typer.echo("the same bits: history, learning curve, held-out errors, group sums, weights and offsets")
            return
        for part in compared.parts:
            typer.echo(f"{part.part}: {_words(part)}")
        allowed = f"{reproduction.TOLERANCE:.0%} for another machine, other versions or another number of threads"
        if compared.within_tolerance:
            typer.echo(f"not the same bits, but within the tolerance of {allowed}")
            return
        names = ", ".join(part.part for part in compared.parts if not part.none)
        why = f"by more than the tolerance of {allowed}" if compared.surroundings else "and nothing around it does"
        complain(f"error: {recorded.folder} is not what the run gives here: {names} differ, {why}")
        raise typer.Exit(1)


@app.command()
def show(run_id: _RunId, results: _Results = None) -> None:
    """Show a record: configuration, data, times, versions, machine, losses, and errors under both protocols."""
    with errors_in_one_line(*_EXPECTED):
        record = runs.load(_find(run_id, results or runs.results_folder()))
        about = record.about
        typer.echo(f"run {_name(record)}\n{record.folder}")
        special, usual = _settings(record.config)
        _section("settings that differ from the default", special or {"": "none"})
        _section("settings at the default", usual)
        _section("molecules", about["molecules"] | {"fingerprint": about["molecules_fingerprint"]})
        _section("wall time", {phase: clock(seconds) for phase, seconds in about["seconds"].items()})
        _section("versions", about["versions"])
        git = about.get("git") or {}
        code = {"code": git.get("commit", "outside a git checkout") + ("" if git.get("clean", True) else ", changed")}
        _section("machine", about["machine"] | code)
        last = record.history.iloc[-1].drop("epoch")
        _section(
            f"after {len(record.history)} epochs, eV²",
            {name.replace("_", " "): f"{value:.5g}" for name, value in last.items()},
        )
        for kind, title in (("all", "mean squared error, eV²"), ("size", "mean squared error by number of atoms, eV²")):
            typer.echo(f"\n{title}")
            typer.echo(_mse(record, kind))


@app.command("verdicts")
def judge(results: _Results = None) -> None:
    """Judge every claim of the report by the records: verdict, effect, interval, under both protocols."""
    with errors_in_one_line(*_EXPECTED):
        molecules = qm9.load()
        stage2 = sweeps.load_sweep("stage2")
        over = trials.known(stage2, results=results)
        evidence = verdicts.Evidence(
            {
                name: study.recorded(parameters(), molecules, results=results)
                for name, parameters in study.EXPERIMENTS.items()
                if any(name in claim.experiments for claim in verdicts.CLAIMS.values())
            },
            molecules,
            over if len(over) >= stage2.run_cap else None,
            trials.repeated(stage2, results=results),
        )
        found = verdicts.all_claims(evidence)
        rows = [("claim", "section", "the report", "protocol", "verdict", "effect", "95 % interval", "seeds")]
        rows += [_verdict_row(verdict) for verdict in found]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if any(verdict.verdict != verdict.verdict_in_table for verdict in found):
            typer.echo("* does not stand after Holm's correction over the whole table")
        if evidence.trials is None or not evidence.repeats:
            typer.echo(
                "stage2 is not judged: its search is not over (python -m analysis.search run stage2), or none of its "
                "points is recorded in several seeds (the notebook 02_hyperparameter_search runs them)"
            )
        for name in dict.fromkeys(verdict.claim for verdict in found):
            rule = next(verdict.rule for verdict in found if verdict.claim == name)
            typer.echo(f"\n{name}: {rule}")


@app.command("drivers")
def find_drivers(
    model: Annotated[str, typer.Argument(help=f"{', '.join(drivers.MODELS)}, or all.")] = "all",
    results: _Results = None,
) -> None:
    """Compute what drives the error of a model from its recorded runs, and record it in results/drivers (minutes)."""
    with errors_in_one_line(*_EXPECTED):
        if model not in (*drivers.MODELS, "all"):
            raise study.StudyError(f"there is no model {model!r}: choose one of {', '.join(drivers.MODELS)}, or all")
        molecules = qm9.load()
        for name in drivers.MODELS if model == "all" else (model,):
            records = drivers.records_of(name, molecules, results=results)
            found = drivers.analyse(
                name, records, molecules, progress=lambda what, name=name: typer.echo(f"{name}: {what}", err=True)
            )
            folder = (results or runs.results_folder()) / "drivers" / name
            drivers.save(found, folder)
            shares = ", ".join(f"{part} {row.value:.0%}" for part, row in found.parts.iterrows())
            typer.echo(f"{folder}: squared error: {shares}; weak group: {found.about['weak_group'] or 'none'}")


def _verdict_row(verdict: verdicts.Verdict) -> tuple[str, ...]:
    claim = verdicts.CLAIMS[verdict.claim]
    star = "" if verdict.verdict == verdict.verdict_in_table else "*"
    low, high = verdict.interval
    interval = f"{low:.3g} to {high:.3g}"
    words = (verdict.claim, claim.section, claim.said, verdict.protocol, verdict.verdict + star)
    return (*words, f"{verdict.effect:.3g}", interval, str(verdict.n_seeds))


class Overall(Callback):
    """Which run of how many is trained, and how long all that are left take at the pace of this session so far.

    In a terminal that is a bar above the run's own; in a log file a line when a run begins, one when the pace is first
    known, and one every 10 min. All of it goes to the standard error.

    Parameters
    ----------
    to_do
        The runs, in the order in which they are trained.
    molecules
        The whole database.
    profile
        That of the runs.
    """

    def __init__(self, to_do: Sequence[study.Standing], molecules: Molecules, profile: str) -> None:
        self._works = [_work_left(one, molecules) for one in to_do]
        self._profile = profile
        self._place = -1
        self._done_works, self._done_seconds = 0.0, 0.0  # of the runs that this session trained
        self._start = self._said = 0.0
        self._share = 0.0  # of what was left of the run under way
        self._first_epoch: int | None = None
        self._bar = None
        if to_do and sys.stderr.isatty():
            self._bar = tqdm(
                total=sum(self._works), bar_format="{desc} |{bar}| {percentage:3.0f}%", dynamic_ncols=True, leave=False
            )

    @contextmanager
    def run(self, one: study.Standing) -> Iterator[None]:
        """Within it, the next run is trained."""
        self._place += 1
        self._start, self._share, self._first_epoch = time.perf_counter(), 0.0, None
        what = study.describe(one.config, self._profile)
        left = self.seconds_left()
        estimate = "" if left is None else f" ({clock(left)} left for all)"
        tqdm.write(
            f"[{self._place + 1}/{len(self._works)}] {one.folder.parent.name} {one.folder.name}, seed "
            f"{one.config.seed}: {what}{estimate}",
            file=sys.stderr,
        )
        self._said = time.perf_counter() if left is not None else -_LINE_SECONDS
        self._show()
        yield
        # A run that another process recorded meanwhile says nothing about the pace.
        if self._share:
            self._done_works += self._works[self._place] * self._share
            self._done_seconds += time.perf_counter() - self._start
        self._share, self._works[self._place] = 0.0, 0.0
        if self._bar is not None:
            self._show()

    def seconds_left(self) -> float | None:
        """For this run and all after it, s; None as long as no epoch is done."""
        under_way = self._works[self._place] * self._share
        works = self._done_works + under_way
        if not works:
            return None
        seconds = self._done_seconds + (time.perf_counter() - self._start if under_way else 0.0)
        return seconds / works * (sum(self._works[self._place :]) - under_way)

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Note where this session takes up the run."""
        if self._first_epoch is None:
            self._first_epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """One epoch more."""
        self._share = (trainer.current_epoch + 1 - self._first_epoch) / (trainer.max_epochs - self._first_epoch)
        self._show()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        left = self.seconds_left()
        if self._bar is not None:
            self._bar.n = self._bar.total - sum(self._works) + self._works[self._place] * self._share
            estimate = "" if left is None else f", {clock(left)} left"
            self._bar.set_description_str(f"run {self._place + 1} of {len(self._works)}{estimate}")
        elif left and time.perf_counter() - self._said >= _LINE_SECONDS and len(self._works) > 1:
            self._said = time.perf_counter()
            tqdm.write(f"[{self._place + 1}/{len(self._works)}] {clock(left)} left for all", file=sys.stderr)


def _work_left(one: study.Standing, molecules: Molecules) -> float:
    """What is left of a run, in the unit of `study.work`; never nothing: an evaluation always is."""
    left = max(1, one.config.epochs - (one.epochs or 0))
    return study.work(adjust(one.config, training={"epochs": left}), molecules)


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise study.StudyError(f"{text!r} is no list of seeds: write whole numbers with commas, as in 0,1,2") from error


def _find(wanted: str, results: Path) -> Path:
    """The folder of the one record whose id begins so; `experiment/id` names it among several."""
    folders = {f"{folder.parent.name}/{folder.name}": folder for folder in runs.recorded_folders(results)}
    if not folders:
        raise study.StudyError(f"there are no records in {results}")
    fitting = [name for name in folders if (name if "/" in wanted else folders[name].name).startswith(wanted)]
    if len(fitting) > 1:
        more = f" and {len(fitting) - _NAMED} more" if len(fitting) > _NAMED else ""
        raise study.StudyError(f"{wanted!r} fits several records: {', '.join(fitting[:_NAMED])}{more}")
    if not fitting:
        ids = sorted({folder.name for folder in folders.values()})
        nearest = difflib.get_close_matches(wanted.rpartition("/")[2], ids, n=3, cutoff=0.0)
        raise study.StudyError(f"no record {wanted!r} in {results}; the nearest ids are {', '.join(nearest)}")
    return folders[fitting[0]]


def _name(record: runs.Record) -> str:
    return f"{record.id} ({record.folder.parent.name}, seed {record.config.seed}: {study.describe(record.config)})"


def _seconds(about: dict) -> float:
    return sum(about["seconds"].values())


def _table(found: Sequence[study.Standing], profile: str) -> str:
    rows = [("run", "experiment", "seed", "state", "validation, eV²", "time", "what is special")]
    rows += [_row(one, profile) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )


def _over(sweep: sweeps.Sweep, results: Path) -> tuple[sweeps.Sweep, pd.DataFrame, list[runs.Record]]:
    """A search, its trials that are over, and its points in several seeds.

    None of either if a record is damaged, which is then listed with the others.
    """
    try:
        return sweep, trials.known(sweep, results=results), trials.repeated(sweep, results=results)
    except runs.RecordError:
        return sweep, trials.trials_of([]), []


def _count(over: pd.DataFrame) -> str:
    states = {"complete": "recorded", "failed": "diverged", "pruned": "stopped"}
    return ", ".join(f"{(over['state'] == state).sum()} {word}" for state, word in states.items())


def _row(one: study.Standing, profile: str) -> tuple[str, ...]:
    state, loss, seconds = str(one.state), "", ""
    if one.outline is not None:
        value = one.outline.validation_loss
        loss = "?" if value is None else f"{value:.4g}"
        seconds = clock(one.outline.seconds)
    elif one.state == "under way":
        state = f"under way, epoch {one.epochs} of {one.config.epochs}"
    seed, what = ("?", "?") if one.config is None else (str(one.config.seed), study.describe(one.config, profile))
    return one.folder.name, one.folder.parent.name, seed, state, loss, seconds, what


def _words(part: reproduction.Difference) -> str:
    if part.none:
        return "the same bits"
    unit = f" {part.unit}" if part.unit else ""
    return f"differs most in {part.where}: {part.relative:.2g} of its size, a single number by {part.largest:.2g}{unit}"


def _settings(config: RunConfig) -> tuple[dict[str, object], dict[str, object]]:
    """Settings that differ from the default, and those that don't, by their full name."""
    default = _flat(RunConfig(experiment=config.experiment).model_dump())
    given = _flat(config.model_dump())
    special = {name: value for name, value in given.items() if value != default[name] or name == "experiment"}
    return special, {name: value for name, value in given.items() if name not in special}


def _flat(content: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for name, value in content.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _section(title: str, content: dict[str, object]) -> None:
    typer.echo(f"\n{title}")
    width = max(map(len, content), default=0)
    for name, value in content.items():
        typer.echo(f"  {name.ljust(width)}  {value}".rstrip())


def _mse(record: runs.Record, kind: str) -> str:
    table = errors.mse(record.groups, kind).rename_axis(None)
    table.columns = ["molecules held out", "held out", "as reported"]
    with pd.option_context("display.max_rows", None):
        return table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-")
