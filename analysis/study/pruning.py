"""The callback that ends a trial of a search that is neither quick nor good."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import optuna
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from analysis.study.trials import Pruning
from analysis.training.callbacks import LearningCurves, Stopwatch


class StopHopeless(Callback):
    """Ends a run that is neither quick nor good, after an epoch, by raising `optuna.TrialPruned`.

    Optuna's own pruners serve one objective only. With two, a run may have a high loss if it is quick. So a run is
    measured against its rivals: the finished trials that took no longer than it will take (its time so far, continued
    to its last epoch). It is stopped if its lowest validation loss so far is above the median of theirs at the same
    epoch: half of them were then both quicker and better. Seconds are compared as they are, so that pruning is for
    machines of one kind.

    `curve` (validation losses, eV²) and `seconds` are those of the run so far.
    """

    def __init__(self, rule: Pruning, finished: Callable[[], Iterable[tuple[Sequence[float], float]]]) -> None:
        self.curve: list[float] = []
        self.seconds = 0.0
        self._rule = rule
        self._finished = finished

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Look at the epoch that was closed: the learning curves come before this callback."""
        curves = next(callback for callback in trainer.callbacks if isinstance(callback, LearningCurves))
        watch = next(callback for callback in trainer.callbacks if isinstance(callback, Stopwatch))
        self.curve = [row["validation_loss"] for row in curves.rows]
        self.seconds = sum(watch.seconds.values())
        done = len(self.curve)
        if done < self._rule.epochs or done == trainer.max_epochs:
            return
        expected = self.seconds / done * trainer.max_epochs
        rivals = [
            min(curve[:done]) for curve, seconds in self._finished() if len(curve) >= done and seconds <= expected
        ]
        if len(rivals) >= self._rule.rivals and min(self.curve) > np.median(rivals):
            raise optuna.TrialPruned(
                f"after epoch {done} the validation loss was {min(self.curve):.4g} eV², and {np.median(rivals):.4g} "
                f"eV² the median of {len(rivals)} trials that are as quick"
            )
