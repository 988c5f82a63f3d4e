"""Run a command as soon as no other process holds a lock: ``python tools/locked.py FILE NAME COMMAND …``.

The lock dies with the command, however that ends, as the system keeps it: the file itself says nothing. It needs the
standard library alone, as `make env` comes before any package.
"""

import fcntl
import os
import sys
from pathlib import Path


def main(path: str, name: str, *command: str) -> None:
    """Become the command, with the lock in its hands and in those of the processes that it starts."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stdout.write(f"Waiting for another `{name}` in this folder to end\n")
        sys.stdout.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks, as some clusters have: as good as alone
    os.execvp(command[0], command)  # noqa: S606 - the caller's own command


if __name__ == "__main__":
    main(*sys.argv[1:])
