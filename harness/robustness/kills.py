"""Kill a command at random, again and again; see what is left, how it resumes, and what comes out in the end."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.robustness.processes import HalfReadError, Look, ProcessUnderTest

_POLL = 0.002  # s
_AFTER_AIM = 0.08  # s: about as long as one write takes
_PATIENCE = 20  # a start that takes this many times as long as an undisturbed one hangs
_AT_LEAST = 120.0  # s, on a busy machine
_ORPHANS = 30.0  # s: a kernel checks every second that its parent is alive


class UndisturbedError(RuntimeError):
    """An undisturbed command failed: there is nothing to compare with."""


@dataclass(frozen=True)
class Outcome:
    """One start: whether it ended by itself, with which exit codes, after how many seconds, and what it printed."""

    ended: bool
    codes: tuple[int, ...]
    seconds: float
    said: str = ""


def undisturbed(tested: ProcessUnderTest, folder: Path) -> dict[str, Any]:
    """Run a command without killing it: the `seconds` it took, and the checksums of its `result`.

    Raises UndisturbedError if it fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    outcome = start(tested, folder)
    if any(outcome.codes):
        raise UndisturbedError(f"{tested.name} ended with {outcome.codes}:\n{outcome.said}")
    found = {"seconds": outcome.seconds, "result": tested.result(folder)}
    shutil.rmtree(folder)
    return found


@dataclass
class Tally:
    """What came of some kills of one command; the fields are those of `harness.robustness.record.ProcessUnderTest`."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    ends: int = 0
    half_read: int = 0
    lost: int = 0
    refused: int = 0
    compared: int = 0
    differing: int = 0
    troubles: list[str] = field(default_factory=list)

    def compare(self, result: dict[str, str], expected: dict[str, str]) -> None:
        """Count a finished run; files beyond the expected don't count: a search may run a trial more than asked."""
        self.ends += 1
        differing = [name for name, checksum in expected.items() if result.get(name) != checksum]
        self.compared += len(expected)
        self.differing += len(differing)
        self.troubles += [f"differs: {name}" for name in differing]


def disturb(
    tested: ProcessUnderTest,
    times: int,
    expected: dict[str, Any],
    folder: Path,
    rng: random.Random,
    say: Callable[[str], None],
    *,
    always_aim: bool = False,
) -> Tally:
    """Kill a command `times` times, restarting it in the same folder each time, then let it finish.

    Parameters
    ----------
    times
        How many kills. A command that finishes in between is compared and begins anew.
    expected
        What `undisturbed` found.
    folder
        Where it runs; removed before and afterwards.
    rng
        Draws the moments.
    say
        Called with a line about each kill.
    always_aim
        Kill only while something is being written; otherwise half of the moments are drawn from the whole run.
    """
    tally, before = Tally(), Look()
    shutil.rmtree(folder, ignore_errors=True)
    while True:
        moment = _draw(tested, expected["seconds"], rng, always_aim) if len(tally.kills) < times else None
        outcome = start(tested, folder, moment, limit=max(_AT_LEAST, _PATIENCE * expected["seconds"]))
        if outcome.ended and any(outcome.codes):
            tally.refused += 1
            tally.troubles.append(f"ended with {outcome.codes}: {outcome.said}")
        try:
            after = tested.look(folder)
            if before.lost(after):
                tally.lost += 1
                tally.troubles.append(f"lost something of {before}: {after}")
            before = after
        except HalfReadError as error:
            tally.half_read += 1
            tally.troubles.append(str(error))
        if not outcome.ended:
            epochs = sum(before.epochs.values())
            kill = {
                "after": round(outcome.seconds, 3),
                "aim": moment.aim,
                "all_processes": moment.all_processes,
                "whole": len(before.whole),
                "epochs": epochs,
                "unfinished": before.unfinished,
            }
            tally.kills.append(kill)
            say(
                f"{tested.name}: kill {len(tally.kills)} of {times} after {outcome.seconds:.1f} s: "
                f"{len(before.whole)} whole files, {epochs} epochs in checkpoints, {before.unfinished} unfinished"
            )
            continue
        if not any(outcome.codes):
            tally.compare(tested.result(folder), expected["result"])
        shutil.rmtree(folder)
        before = Look()
        if len(tally.kills) >= times or tally.refused:
            return tally


@dataclass(frozen=True)
class Moment:
    """When to kill, `after` seconds from the start or from when the `aim` appears, and which processes."""

    after: float
    aim: str
    all_processes: bool


def _draw(tested: ProcessUnderTest, seconds: float, rng: random.Random, always_aim: bool) -> Moment:
    aim = rng.choice(tested.aims) if always_aim or rng.random() < 0.5 else ""
    after = rng.uniform(0, _AFTER_AIM) if aim else rng.uniform(0, seconds)
    return Moment(after, aim, all_processes=not tested.can_die_alone or rng.random() < 0.5)


def start(
    tested: ProcessUnderTest, folder: Path, moment: Moment | None = None, *, limit: float = float("inf")
) -> Outcome:
    """Start a command and wait for it to end, or kill it at a moment.

    Of several processes, half of the kills spare all but the first, which then run to their end: the next start has to
    go on from what they did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen = _stamps(folder, moment.aim) if moment else {}
    began = time.monotonic()
    processes = tested.start(folder)
    try:
        appeared = None if moment is None or moment.aim else began
        while any(process.poll() is None for process in processes):
            now = time.monotonic()
            if moment and appeared is None and _stamps(folder, moment.aim) != seen:
                appeared = now
            if moment and appeared is not None and now - appeared >= moment.after:
                return _killed(processes, moment, now - began)
            if now - began > limit:
                _kill_all(processes)
                return Outcome(ended=True, codes=(-9,), seconds=now - began, said="it hangs")
            time.sleep(_POLL)
        codes = tuple(process.returncode for process in processes)
        return Outcome(ended=True, codes=codes, seconds=time.monotonic() - began, said=tested.said(folder))
    finally:
        _kill_all(processes)


def _killed(processes: list[subprocess.Popen[bytes]], moment: Moment, seconds: float) -> Outcome:
    if moment.all_processes:
        _kill_all(processes)
    else:
        # The command alone: its children have to notice for themselves.
        children = _children(processes[:1])
        processes[0].kill()
        for process in processes:
            process.wait()
        _, alive = psutil.wait_procs(children, timeout=_ORPHANS)
        for process in alive:
            process.kill()
    return Outcome(ended=False, codes=(), seconds=seconds)


def _kill_all(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGKILL the processes that still run, and all their descendants, at once."""
    doomed = [*processes, *_children(processes)]
    for process in doomed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    for process in processes:
        process.wait()


def _children(processes: list[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    found = []
    for process in (one for one in processes if one.poll() is None):
        try:
            found += psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    return found


def _stamps(folder: Path, pattern: str) -> dict[Path, int]:
    """When each file of a pattern was last written."""
    found = {}
    if pattern:
        for path in folder.glob(pattern):
            try:
                found[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
    return found
