"""Kill a command at random, again and again, and see what is left, how it goes on, and what comes out in the end."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.robustness.victims import HalfReadError, Look, Victim

_POLL = 0.002  # s
_AFTER_AIM = 0.08  # s: as long as what is aimed at takes
_PATIENCE = 20  # a start that takes so many times as long as an undisturbed one hangs
_AT_LEAST = 120.0  # s, on a busy machine
_ORPHANS = 30.0  # s: a kernel looks every second whether its parent is there


class UndisturbedError(RuntimeError):
    """An undisturbed command failed: there is nothing to compare with."""


@dataclass(frozen=True)
class Outcome:
    """One start: whether it came to its end by itself and with which exit codes, when it was killed, what it said."""

    ended: bool
    codes: tuple[int, ...]
    seconds: float
    said: str = ""


def undisturbed(victim: Victim, folder: Path) -> dict[str, Any]:
    """Run a command in peace: `seconds`, and the checksums of its `result`.

    Raises UndisturbedError if it fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    outcome = start(victim, folder)
    if any(outcome.codes):
        raise UndisturbedError(f"{victim.name} ended with {outcome.codes}:\n{outcome.said}")
    found = {"seconds": outcome.seconds, "result": victim.result(folder)}
    shutil.rmtree(folder)
    return found


@dataclass
class Tally:
    """What came of a part of the kills of one victim; the fields are those of `harness.robustness.record.Victim`."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    ends: int = 0
    half_read: int = 0
    lost: int = 0
    refused: int = 0
    compared: int = 0
    differing: int = 0
    troubles: list[str] = field(default_factory=list)

    def compare(self, result: dict[str, str], expected: dict[str, str]) -> None:
        """Count an end; a search may have run a trial more than it was asked for."""
        self.ends += 1
        differing = [name for name, checksum in expected.items() if result.get(name) != checksum]
        self.compared += len(expected)
        self.differing += len(differing)
        self.troubles += [f"differs: {name}" for name in differing]


def disturb(
    victim: Victim,
    times: int,
    expected: dict[str, Any],
    folder: Path,
    rng: random.Random,
    say: Callable[[str], None],
    *,
    always_aim: bool = False,
) -> Tally:
    """Kill a command so many times, starting it again in the same folder, and let it come to its end.

    Parameters
    ----------
    victim
        The command.
    times
        How many kills. A command that comes to its end in between is compared and begins anew.
    expected
        What `undisturbed` found.
    folder
        Where it runs; anything there is removed first, and afterwards.
    rng
        Draws the moments.
    say
        Is told of each kill.
    always_aim
        Kill in the middle of something alone; otherwise every second moment is drawn from the whole run.
    """
    tally, before = Tally(), Look()
    shutil.rmtree(folder, ignore_errors=True)
    while True:
        moment = _draw(victim, expected["seconds"], rng, always_aim) if len(tally.kills) < times else None
        outcome = start(victim, folder, moment, limit=max(_AT_LEAST, _PATIENCE * expected["seconds"]))
        if outcome.ended and any(outcome.codes):
            tally.refused += 1
            tally.troubles.append(f"ended with {outcome.codes}: {outcome.said}")
        try:
            after = victim.look(folder)
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
                f"{victim.name}: kill {len(tally.kills)} of {times} after {outcome.seconds:.1f} s: "
                f"{len(before.whole)} whole files, {epochs} epochs in checkpoints, {before.unfinished} unfinished"
            )
            continue
        if not any(outcome.codes):
            tally.compare(victim.result(folder), expected["result"])
        shutil.rmtree(folder)
        before = Look()
        if len(tally.kills) >= times or tally.refused:
            return tally


@dataclass(frozen=True)
class Moment:
    """When to kill: `after` seconds from the start, or from when the `aim` appears; and whom."""

    after: float
    aim: str
    all_processes: bool


def _draw(victim: Victim, seconds: float, rng: random.Random, always_aim: bool) -> Moment:
    aim = rng.choice(victim.aims) if always_aim or rng.random() < 0.5 else ""
    after = rng.uniform(0, _AFTER_AIM) if aim else rng.uniform(0, seconds)
    return Moment(after, aim, all_processes=not victim.can_die_alone or rng.random() < 0.5)


def start(victim: Victim, folder: Path, moment: Moment | None = None, *, limit: float = float("inf")) -> Outcome:
    """Start a command and wait for its end, or kill it at a moment.

    With several commands, half of the kills leave one of them alive, which is then left to come to its end: the others
    have to go on with what it did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen = _stamps(folder, moment.aim) if moment else {}
    began = time.monotonic()
    processes = victim.start(folder)
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
        return Outcome(ended=True, codes=codes, seconds=time.monotonic() - began, said=victim.said(folder))
    finally:
        _kill_all(processes)


def _killed(processes: list[subprocess.Popen[bytes]], moment: Moment, seconds: float) -> Outcome:
    if moment.all_processes:
        _kill_all(processes)
    else:
        # The command alone: its children have to notice by themselves.
        children = _children(processes[:1])
        processes[0].kill()
        for process in processes:
            process.wait()
        _, alive = psutil.wait_procs(children, timeout=_ORPHANS)
        for process in alive:
            process.kill()
    return Outcome(ended=False, codes=(), seconds=seconds)


def _kill_all(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGKILL for the processes that still run, and for all that these started, at once."""
    victims = [*processes, *_children(processes)]
    for process in victims:
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
