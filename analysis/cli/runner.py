"""What the commands do that train: the runs that are missing, or a recorded run once more."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytorch_lightning as pl
import typer
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from analysis import study
from analysis.data import qm9
from analysis.data.files import check_output
from analysis.data.molecules import Molecules
from analysis.runs import measured
from analysis.runs.config import RunConfig, adjust
from analysis.runs.console import INTERRUPTED, clock, complain, one_line
from analysis.runs.devices import accelerator
from analysis.runs.failures import CheckpointError, StartError, TrainingDivergedError, UnderWayError
from analysis.runs.records import Record, RecordError
from analysis.training import recording, repetition
from analysis.training.loop import LoggerName, check_logger

_LINE_SECONDS = 600.0  # in a log file, between two estimates of one run
_POLL_SECONDS = 2.0  # while other processes train what is left


def logger_named(name: str) -> LoggerName | None:
    """The logger that an option names; raises loop.LoggerError if it is neither "none" nor a logger that we have."""
    logger = None if name == "none" else name
    check_logger(logger)
    return logger


def run(
    configs: Sequence[RunConfig],
    molecules: Molecules,
    results: str | os.PathLike[str],
    *,
    profile: str,
    logger: LoggerName | None,
) -> None:
    """Train and record those of the runs that are missing, in this order; ends the command if one of them fails.

    Several processes that are given the same runs share them, see `recording.load_or_train`: each takes the next that
    none trains, and in the end waits for those that others train.
    """
    accelerator()
    results = Path(results)
    results.mkdir(parents=True, exist_ok=True)
    data = molecules.fingerprint()
    found = [study.status(config, data, results) for config in configs]
    to_do = [one for one in found if one.state not in ("recorded", "damaged")]
    troubles = [one.problem for one in found if one.state == "damaged"]
    recorded = len(found) - len(to_do) - len(troubles)
    overall = Overall(to_do, molecules, profile)
    trained = by_others = waits = 0
    try:
        with closing(overall):
            while to_do:
                left = []
                for one in to_do:
                    if one.folder.exists():
                        by_others += 1
                        overall.drop(one)
                        continue
                    begins_later = any(one.config.start == f"{of.folder.parent.name}/{of.folder.name}" for of in to_do)
                    if recording.held(one.folder) or (begins_later and not (results / one.config.start).is_dir()):
                        left.append(one)
                        continue
                    with overall.run(one):
                        try:
                            recording.load_or_train(
                                one.config,
                                molecules,
                                results=results,
                                progress=True,
                                callbacks=[overall],
                                logger=logger,
                                wait=False,
                            )
                            trained += 1
                        except UnderWayError:
                            left.append(one)
                        except (TrainingDivergedError, CheckpointError, RecordError, StartError) as error:
                            troubles.append(f"run {one.folder.name} of {one.folder.parent.name}: {one_line(error)}")
                            tqdm.write(f"error: {troubles[-1]}; going on with the others", file=sys.stderr)
                to_do = left
                if to_do:
                    if not waits:
                        tqdm.write(f"waiting for {len(to_do)} runs that other processes train", file=sys.stderr)
                    waits += 1
                    time.sleep(_POLL_SECONDS)
    # Lightning makes an exit of a Ctrl-C during training.
    except (KeyboardInterrupt, SystemExit) as stop:
        complain("stopped: the same command goes on after the last finished epoch of the run under way")
        raise typer.Exit(INTERRUPTED) from stop
    except OSError as error:  # a full disk, a folder that may not be written
        complain(f"error: {one_line(error)}; once that is mended, the same command continues")
        raise typer.Exit(1) from error
    shared = f"{by_others} by other processes, " if by_others else ""
    counted = f"{trained} trained, {shared}{recorded} recorded before, {len(troubles)} failed"
    typer.echo(f"{len(found)} runs: {counted}")
    for trouble in troubles:
        complain(f"failed: {trouble}")
    if troubles:
        raise typer.Exit(1)


def verify(recorded: Record, name: str, *, threads: int | None, out: str | os.PathLike[str] | None = None) -> None:
    """Train a recorded run again and say how far the two are apart; ends the command if it is too far.

    `name` is how the run is called in what is said. What was found is kept in `out` (see `repetition`), a new file.
    """
    accelerator()
    out = None if out is None else Path(out)
    if out is not None:
        if out.exists():
            raise repetition.RepetitionError(f"{out} exists: name another file, or remove it")
        out.parent.mkdir(parents=True, exist_ok=True)
        check_output(out)
    typer.echo(f"training {name} again; recorded in {clock(recorded.seconds)}")
    try:
        with repetition.trained_again(recorded, qm9.load(), threads=threads, progress=True) as again:
            compared = repetition.compare(recorded, again)
            found = repetition.repetition(recorded, again, compared)
            typer.echo(f"trained again in {clock(again.seconds)}")
    except (KeyboardInterrupt, SystemExit) as stop:
        complain("stopped: the record is as it was, and nothing is left of the repetition")
        raise typer.Exit(INTERRUPTED) from stop
    for words in compared.surroundings:
        typer.echo(f"different around it: {words}")
    for words in _told(compared):
        typer.echo(words)
    if out is not None:
        measured.write(out, found)
    if not compared.within_tolerance:
        names = ", ".join(part.part for part in compared.parts if not part.none)
        why = (
            f"by more than the tolerance of {_allowed(compared)}"
            if compared.surroundings
            else "and nothing around it does"
        )
        raise repetition.RepetitionError(f"{recorded.folder} is not what the run gives here: {names} differ, {why}")


def _told(compared: repetition.Comparison) -> Iterator[str]:
    if compared.identical:
        yield "the same bits: history, learning curve, held-out errors, group sums, weights and offsets"
        return
    for part in compared.parts:
        unit = f" {part.unit}" if part.unit else ""
        far = f"{part.relative:.2g} of its size, a single number by {part.largest:.2g}{unit}"
        yield f"{part.part}: " + ("the same bits" if part.none else f"differs most in {part.where}: {far}")
    if (score := compared.score) is not None:
        yield f"{score.part}: {score.relative:.2g} of its size apart, {score.largest:.2g} {score.unit}"
    if compared.within_tolerance:
        yield f"not the same bits, but within the tolerance of {_allowed(compared)}"


def _allowed(compared: repetition.Comparison) -> str:
    return f"{compared.allowed} for another machine, other versions or another number of threads"


class Overall(Callback):
    """Which run of how many is trained, and how long all that are left take at the pace of this session so far.

    In a terminal that is a bar above the run's own; in a log file a line when a run begins, one when the pace is first
    known, and one every 10 min. `to_do` are the runs, in their order; `molecules` is the whole database.
    """

    def __init__(self, to_do: Sequence[study.Status], molecules: Molecules, profile: str) -> None:
        # Of what is left of a run; never nothing: an evaluation always is.
        left = [max(1, one.config.epochs - (one.epochs or 0)) for one in to_do]
        changed = [adjust(one.config, training={"epochs": n}) for one, n in zip(to_do, left, strict=True)]
        self._works = [study.work(config, molecules) for config in changed]
        self._profile = profile
        self._places = {one.folder: place for place, one in enumerate(to_do)}
        self._place = 0
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
    def run(self, one: study.Status) -> Iterator[None]:
        """Within it, this run is trained."""
        self._place = self._places[one.folder]
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
        self._share = 0.0
        self.drop(one)

    def drop(self, one: study.Status) -> None:
        """Nothing is left of this run, whoever trained it."""
        self._works[self._places[one.folder]] = 0.0
        if self._bar is not None:
            self._show()

    def seconds_left(self) -> float | None:
        """For this run and all after it, s; None as long as no epoch is done."""
        under_way = self._works[self._place] * self._share
        works = self._done_works + under_way
        if not works:
            return None
        seconds = self._done_seconds + (time.perf_counter() - self._start if under_way else 0.0)
        return seconds / works * (sum(self._works) - under_way)

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Note where this session takes up the run, and when: compiling, before it, happens once."""
        if self._first_epoch is None:
            self._start, self._first_epoch = time.perf_counter(), trainer.current_epoch

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
