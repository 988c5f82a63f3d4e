"""Waiting for what happens and not for a clock, so that a slow or busy machine is no failure.

A process that can no longer bring about what is waited for is known by its end.
"""

import multiprocessing.connection
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

PATIENCE = 300_000
"""ms after which a browser is given up, in whose page nothing ends that could be seen: the one clock of the tests. Much
more than any page needs on a slow and busy machine, and little enough for a run of all tests to tell what it found."""


def join_all(processes: Sequence[BaseProcess]) -> None:
    """Wait until all have ended well. If one fails, so does this, and the others, which may wait for it, are killed."""
    running = {process.sentinel: process for process in processes}
    try:
        while running:
            for sentinel in multiprocessing.connection.wait(list(running)):
                ended = running.pop(sentinel)
                ended.join()
                assert ended.exitcode == 0, f"{ended.name} ended with status {ended.exitcode}"
    finally:
        for process in running.values():
            process.kill()
            process.join()
