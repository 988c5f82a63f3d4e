"""Callbacks of a training: learning curves, time per phase, the last checkpoint, loggers and the progress display.

A step takes some ten milliseconds, so what is done in each is kept to a few microseconds. What has to survive a kill is
in the callbacks' `state_dict`, as tensors and plain values alone, and the checkpoint is written last.
"""

import importlib
import io
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from filelock import SoftFileLease
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from schnetpack import properties
from tqdm import tqdm

from analysis.data.files import make_folder, reason, whole_file
from analysis.runs.console import clock, complain, in_notebook
from analysis.runs.failures import CheckpointError, LeaseLostError, TrainingDivergedError
from analysis.runs.weights import LOSS_WEIGHT

SQUARED_ERRORS = "squared_errors"
"""Key of what a training step returns beside its loss: float32 [B], eV², the batch's squared errors, unweighted."""

EXTREMES = 5
"""How many of a step's smallest and largest losses are averaged, as in the report's learning curves."""
MOST_ROWS = 2000
"""The learning curve per step is thinned to at most so many rows."""
EXPLOSION = 1e4
"""A training whose loss is so many times that of its first step has exploded; of the recorded runs none reached 4."""

_BAR_SECONDS = 0.2  # between two refreshes of a terminal's bar
_DISPLAY_SECONDS = 1.0  # … of a notebook's line
_LINE_SECONDS = 5.0  # between two lines in a log file


class LearningCurves(Callback):
    """The losses per epoch and, thinned, per step: squared errors in eV², unweighted whatever the loss.

    `rows` has one entry per finished epoch: `epoch`, `train_loss` (mean over the molecules that the epoch has seen),
    `validation_loss`, and `lowest` and `highest`: the mean over its steps of the mean of the 5 smallest and of the 5
    largest per-molecule losses of a step (of all molecules in a batch of fewer). `steps()` has the same per step,
    averaged over blocks of consecutive steps. `steps_of_epochs` is the number of steps of each epoch of the training.

    Raises TrainingDivergedError at the first step whose losses are not finite or have grown `EXPLOSION`-fold since the
    first step, or when the validation loss is not finite or has.
    """

    def __init__(self, steps_of_epochs: Sequence[int]) -> None:
        self.rows: list[dict[str, float]] = []
        self._starts = np.concatenate([[0], np.cumsum(steps_of_epochs, dtype=np.int64)])  # of epochs, and the end
        self._block = max(1, -(-self.all_steps // MOST_ROWS))
        self._done = 0  # steps
        self._blocks: list[np.ndarray] = []  # of float64 [3]: loss, lowest, highest
        self._open = np.zeros(3)  # sums of the block under way
        self._first: float | None = None  # the first step's loss
        self._start_epoch()

    @property
    def all_steps(self) -> int:
        """Of the whole training."""
        return int(self._starts[-1])

    def _start_epoch(self) -> None:
        self._sum, self._molecules = 0.0, 0
        self._epoch_extremes = np.zeros(2)
        self._epoch_steps = 0

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Check that a checkpoint's curve goes as far as its training."""
        if self._done != trainer.global_step:
            raise CheckpointError(
                f"the checkpoint has done {trainer.global_step} steps, but its learning curve holds {self._done}: it "
                f"was written by another version of the code; delete {trainer.ckpt_path} to train from the beginning"
            )

    on_fit_end = on_train_start  # where nothing was left to train

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the epoch's means."""
        self._start_epoch()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, step: int) -> None:  # noqa: ARG002
        """Add one batch."""
        squared = outputs[SQUARED_ERRORS].numpy(force=True)  # the one copy off an accelerator in a step
        total = float(squared.sum(dtype=np.float64))
        loss = total / len(squared)
        if self._first is None:
            self._first = loss
        if self._diverged(loss):
            where = f"in epoch {trainer.current_epoch + 1}, step {step + 1}, {_largest_weight(batch)}"
            raise self._error("loss", loss, where)
        lowest, highest = extremes(squared)
        self._sum += total
        self._molecules += len(squared)
        self._epoch_steps += 1
        self._epoch_extremes += (lowest, highest)
        self._open += (loss, lowest, highest)
        self._done += 1
        if self._done % self._block == 0:
            self._blocks.append(self._open / self._block)
            self._open = np.zeros(3)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Close the epoch, which Lightning has validated by now."""
        validation_loss = float(trainer.callback_metrics["val_loss"])
        if self._diverged(validation_loss):
            raise self._error("validation loss", validation_loss, f"in epoch {trainer.current_epoch + 1}")
        row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": self._sum / self._molecules,
            "validation_loss": validation_loss,
        }
        means = (self._epoch_extremes / self._epoch_steps).tolist()
        self.rows.append(row | dict(zip(("lowest", "highest"), means, strict=True)))

    def _diverged(self, loss: float) -> bool:
        return not np.isfinite(loss) or loss > EXPLOSION * self._first

    def _error(self, what: str, loss: float, where: str) -> TrainingDivergedError:
        became = f"exploded from {self._first:.3g} to {loss:.3g} eV²" if np.isfinite(loss) else f"became {loss}"
        return TrainingDivergedError(f"the {what} {became} {where}; try a smaller learning rate")

    def steps(self) -> pd.DataFrame:
        """The learning curve per step, averaged over equal blocks of consecutive steps: at most 2,000 rows.

        `step` (int32) is the last step of the block, counted from 1, so that the first row's is the block's length
        (the last block holds what is left over); `epoch` is how many epochs were done by then, as a fraction;
        `loss`, `lowest` and `highest` (eV²) are means over the block's steps. All but `step` are float32.
        """
        blocks, ends = list(self._blocks), [self._block * (n + 1) for n in range(len(self._blocks))]
        left_over = self._done - self._block * len(blocks)
        if left_over:
            blocks.append(self._open / left_over)
            ends.append(self._done)
        step = np.array(ends, np.int32)
        done = np.searchsorted(self._starts, step, side="right") - 1  # whole epochs
        lengths = np.append(np.diff(self._starts), 1)
        epoch = (done + (step - self._starts[done]) / lengths[done]).astype(np.float32)
        values = np.array(blocks, np.float64).reshape(-1, 3).astype(np.float32)
        losses = dict(zip(("loss", "lowest", "highest"), values.T, strict=True))
        return pd.DataFrame({"step": step, "epoch": epoch} | losses)

    def state_dict(self) -> dict[str, object]:
        """What the checkpoint keeps."""
        return {
            "rows": self.rows,
            "done": self._done,
            "block": self._block,
            "blocks": torch.from_numpy(np.array(self._blocks, np.float64).reshape(-1, 3)),
            "open": torch.from_numpy(self._open.copy()),
            "first": self._first,
        }

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume the curves where the checkpoint left them."""
        self.rows = list(state_dict["rows"])
        self._done = state_dict["done"]
        self._block = state_dict["block"]
        self._blocks = list(state_dict["blocks"].numpy())
        self._open = state_dict["open"].numpy().copy()
        self._first = state_dict["first"]


def _largest_weight(batch: dict[str, torch.Tensor]) -> str:
    """The largest loss weight of a batch and the size of its molecule, for a message."""
    if LOSS_WEIGHT not in batch:
        return "all molecules weighing the same"
    heaviest = int(batch[LOSS_WEIGHT].argmax())  # NaN, should there be one, counts as the largest
    weight, atoms = float(batch[LOSS_WEIGHT][heaviest]), int(batch[properties.n_atoms][heaviest])
    return f"where the largest loss weight was {weight:.4g}, of a molecule of {atoms} atoms"


def extremes(losses: np.ndarray) -> tuple[float, float]:
    """Mean of the 5 smallest and mean of the 5 largest values of float [n], n ≥ 1; of all of them if n < 5."""
    n = len(losses)
    if n <= EXTREMES:
        mean = float(losses.mean(dtype=np.float64))
        return mean, mean
    parted = np.partition(losses, (EXTREMES - 1, n - EXTREMES))
    return float(parted[:EXTREMES].mean(dtype=np.float64)), float(parted[-EXTREMES:].mean(dtype=np.float64))


class Stopwatch(Callback):
    """Wall time of a training, s: `seconds` of `validation`, and of `training`, which is all the rest.

    A run that was killed and resumed counts what its checkpoint had counted.
    """

    def __init__(self) -> None:
        self.seconds = {"training": 0.0, "validation": 0.0}
        self._mark = 0.0

    def _count(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] += now - self._mark
        self._mark = now

    def on_fit_start(self, *_: object) -> None:
        """Start."""
        self._mark = time.perf_counter()

    def on_validation_start(self, *_: object) -> None:
        """Training so far."""
        self._count("training")

    on_fit_end = on_validation_start

    def on_validation_end(self, *_: object) -> None:
        """Validation so far."""
        self._count("validation")

    def state_dict(self) -> dict[str, float]:
        """What the checkpoint keeps."""
        self._count("training")
        return dict(self.seconds)

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on counting from the checkpoint."""
        self.seconds = dict(state_dict)


class WholeCheckpoints(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints here: each whole or not at all, and nothing in one is executed.

    Lightning itself writes to the system's temporary folder and moves the file. Where that is another disk, moving is
    copying, and a kill leaves half a checkpoint.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, object],
        path: str | os.PathLike[str],
        storage_options: object = None,  # noqa: ARG002 - Lightning's
    ) -> None:
        """Replace the checkpoint at `path`, which stays as it was if that fails."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        make_folder(Path(path).parent)
        with whole_file(Path(path)) as temporary:
            temporary.write_bytes(content.getvalue())

    def load_checkpoint(self, path: str | os.PathLike[str], *_: object, **__: object) -> dict[str, object]:
        """Read a checkpoint, see `read_checkpoint`."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, object]:
    """What a checkpoint holds: tensors, on the CPU, and plain values; no other object is ever made.

    Raises FileNotFoundError if there is none, and CheckpointError if it is damaged (its checksums are compared, which
    torch does not do) or holds something else.
    """
    path = Path(path)
    try:
        return _checked(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: {reason(error)}") from error
    except Exception as error:  # of any kind, from zipfile or torch's reader
        why = reason(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path} can't be read ({why}); delete {path.parent} to train the run from the beginning"
        ) from error


def _checked(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as parts:
        if damaged := parts.testzip():
            raise zipfile.BadZipFile(f"the checksum of {damaged} differs")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise TypeError(f"a checkpoint is a dict, not a {type(content).__name__}")
    return content


class KeepLast(Checkpoint):
    """A checkpoint after each epoch, in place of the one before; Lightning calls it after all other callbacks.

    It holds its run's id: raises CheckpointError for that of another run.
    """

    def __init__(self, path: str | os.PathLike[str], run_id: str) -> None:
        self._path = Path(path)
        self._run_id = run_id
        self._resumed = False

    @contextmanager
    def resuming(self) -> Iterator[None]:
        """Within it Lightning may resume the checkpoint; what fails before it trains is the checkpoint's fault."""
        there = self._path.exists()
        try:
            yield
        except CheckpointError:
            raise
        except Exception as error:
            if not there or self._resumed:
                raise
            raise CheckpointError(
                f"{self._path} can't be resumed ({type(error).__name__}: {str(error).partition('\n')[0]}): it was "
                "written by another version of the code, or changed; delete it to train from the beginning"
            ) from error

    def on_train_start(self, *_: object) -> None:
        """All is as the checkpoint has it."""
        self._resumed = True

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Replace the checkpoint."""
        trainer.save_checkpoint(self._path)

    def state_dict(self) -> dict[str, str]:
        """What the checkpoint keeps."""
        return {"run": self._run_id}

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        """Check that the checkpoint is this run's."""
        if state_dict["run"] != self._run_id:
            raise CheckpointError(
                f"{self._path} is the checkpoint of run {state_dict['run']}, not of {self._run_id}; delete it to train "
                "from the beginning"
            )


class KeepLease(Callback):
    """Stops a training whose run another process took over: raises LeaseLostError at the end of an epoch."""

    def __init__(self, lease: SoftFileLease) -> None:
        self._lease = lease

    def on_train_epoch_end(self, *_: object) -> None:
        """Look at the lease."""
        if (lost := self._lease.compromise) is not None:
            raise LeaseLostError(f"{lost.lock_file} is no longer this process's ({lost.reason})")

    on_fit_end = on_train_epoch_end


class EpochLog(Callback):
    """Hands every logger a row per epoch: the learning curves' means (eV²) and the learning rate."""

    def __init__(self, curves: LearningCurves) -> None:
        self._curves = curves

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Log the epoch that was closed, and write it out."""
        row = self._curves.rows[-1] | {"learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step)
            logger.save()


class Progress(Callback):
    """How far a training is: a bar in a terminal, a line that is replaced in a notebook, plain lines in a log file.

    A log file gets a line after the first and the last epoch, and in between at most one every 5 s. All of it goes to
    the standard error.
    """

    def __init__(self, curves: LearningCurves) -> None:
        self._curves = curves
        self._close: Callable[[], None] = lambda: None

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Find out where the display goes."""
        self._start, self._last = time.perf_counter(), -np.inf
        self._resumed = trainer.global_step
        self._show: Callable[[str], None] = complain
        self._interval, self._per_epoch = _LINE_SECONDS, True
        if in_notebook():
            display = importlib.import_module("IPython.display").display  # there in every kernel, and only there
            handle = display({"text/plain": "training …"}, raw=True, display_id=True)
            self._interval, self._per_epoch = _DISPLAY_SECONDS, False
            self._show = lambda text: handle.update({"text/plain": text}, raw=True)
        elif sys.stderr.isatty():
            form = "{percentage:3.0f}%|{bar}| {desc}"
            bar = tqdm(total=self._curves.all_steps, leave=None, dynamic_ncols=True, bar_format=form)
            self._interval, self._per_epoch = _BAR_SECONDS, False

            def show(text: str) -> None:
                bar.n = trainer.global_step
                bar.set_description_str(text)

            self._show, self._close = show, bar.close

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """One step more; shown if it is time."""
        if not self._per_epoch:
            self._update(len(self._curves.rows) + 1, trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """One epoch more; shown if it is time, and the last one always."""
        epoch = len(self._curves.rows)
        self._update(epoch, trainer, always=epoch == trainer.max_epochs)

    def on_train_end(self, *_: object) -> None:
        """Leave the last state on the screen; what follows begins on a line of its own."""
        self._close()

    on_exception = on_train_end

    def _update(self, epoch: int, trainer: pl.Trainer, *, always: bool = False) -> None:
        now = time.perf_counter()
        if now - self._last < self._interval and not always:
            return
        self._last, elapsed, step = now, now - self._start, trainer.global_step
        to_go = elapsed / max(1, step - self._resumed) * (self._curves.all_steps - step)
        losses = ""
        if self._curves.rows:
            row = self._curves.rows[-1]
            losses = f"train {row['train_loss']:.4g} eV², validation {row['validation_loss']:.4g} eV², "
        self._show(f"epoch {epoch}/{trainer.max_epochs}: {losses}{clock(elapsed)} elapsed, {clock(to_go)} to go")
