"""A stopwatch for a training: to the first batch, over a warm-up, and over a window of whole steps."""

import statistics
import time
from typing import Any

import psutil
import torch


class WindowClosedError(Exception):
    """Enough was seen: ends the training from within."""


class Window:
    """Times a training from now on; call `network` first, `batch_in_hand` and `step_done` as it goes.

    Parameters
    ----------
    warm_up
        Steps that are left out.
    min_steps, seconds
        The window closes once it has seen both; `step_done` then raises WindowClosedError.
    """

    def __init__(self, *, warm_up: int, min_steps: int, seconds: float) -> None:
        self.warm_up = warm_up
        self.min_steps = min_steps
        self.seconds = seconds
        self._start = time.perf_counter()
        self._first_batch = self._first_step = self._opened = self._last = 0.0
        self._losses: list[float] = []
        self._durations: list[float] = []
        self._molecules = 0
        self._fresh = False
        self._parameters = 0
        self._workers_memory = 0
        self._others = set(psutil.Process().children(recursive=True))  # which were there before, and are no workers

    def network(self, model: torch.nn.Module) -> None:
        """Note the size of the network that is trained."""
        self._parameters = sum(parameter.numel() for parameter in model.parameters())

    def epoch_begins(self) -> None:
        """The next step also holds what an epoch's end and start cost: it is no typical step."""
        self._fresh = True

    def batch_in_hand(self) -> None:
        """The loader has given a batch."""
        if not self._first_batch:
            self._first_batch = time.perf_counter() - self._start

    def step_done(self, molecules: int, loss: float) -> None:
        """The optimiser has made a step on this number of molecules; the loss is in eV²."""
        now = time.perf_counter()
        self._losses.append(loss)
        steps = len(self._losses)
        if steps == 1:
            self._first_step = now - self._start
        if steps == self.warm_up:
            self._opened = now
        elif steps > self.warm_up:
            self._molecules += molecules
            if not self._fresh:
                self._durations.append(now - self._last)
        self._last, self._fresh = now, False
        if steps - self.warm_up >= self.min_steps and now - self._opened >= self.seconds:
            # The workers are gone once training has ended. What they share with this process isn't theirs.
            workers = set(psutil.Process().children(recursive=True)) - self._others
            self._workers_memory = sum(worker.memory_full_info().uss for worker in workers)
            raise WindowClosedError

    def result(self) -> dict[str, Any]:
        """What was seen, under the names of `harness.benchmark.record.Steps`."""
        return {
            "molecules": self._molecules,
            "seconds": self._last - self._opened,
            "steps": len(self._losses) - self.warm_up,
            "step_seconds": statistics.median(self._durations),
            "first_batch": self._first_batch,
            "first_step": self._first_step,
            "parameters": self._parameters,
            "workers_memory": self._workers_memory,
            "first_loss": self._losses[0],
            "last_loss": self._losses[-1],
        }
