"""How much two workers on one machine gain over one: the same runs, trained by processes that share them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from analysis.runs import checkout, measured
from harness.benchmark import plan
from harness.benchmark.record import WorkerTimes
from harness.machine import Machine

_RUNS = 8  # so many that the end, where one worker has nothing left to do, weighs little


def measure(out: Path, *, repeats: int, profile: str, say: Callable[[str], None]) -> WorkerTimes:
    """Train the runs from nothing with one worker and with two, by turns, and write the record to `out`.

    Each worker has one thread, so that two have no more of the machine than it has cores.
    """
    turns, load = [], os.getloadavg()[0]  # later it is our own
    _seconds(1, profile, runs=1)  # compiles the loops and finds their quickest way, as happens once per machine
    for repeat in range(repeats):
        for workers in (1, 2):
            seconds = _seconds(workers, profile)
            turns.append({"workers": workers, "repeat": repeat, "seconds": seconds})
            say(f"{workers} at once: {seconds:.0f} s for {_RUNS} runs")
    content = {
        "machine": Machine.here().model_dump(),
        "versions": plan.versions(),
        "git": checkout.git_state(),
        "profile": profile,
        "runs": _RUNS,
        "load": load,
        "turns": turns,
    }
    record = WorkerTimes.model_validate_json(json.dumps(content))
    measured.write(out, record)
    return record


def _seconds(workers: int, profile: str, runs: int = _RUNS) -> float:
    """From the start of the first to the end of the last."""
    with tempfile.TemporaryDirectory() as results:
        seeds = ",".join(map(str, range(runs)))
        asked = ["run", "baseline", "--profile", profile, "--seeds", seeds, "--results", results, "--logger", "none"]
        surroundings = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        start = time.perf_counter()
        started = [
            subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "analysis", *asked],
                env=surroundings,
                cwd=plan.ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(workers)
        ]
        codes = [one.wait() for one in started]
        if any(codes):
            raise plan.BenchmarkFailedError(f"a worker failed: python -m analysis {' '.join(asked)}")
        return time.perf_counter() - start
