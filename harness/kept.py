"""Interim results of a long job, in a file that grows line by line: a kill costs one line at most."""

import json
import os
from pathlib import Path
from typing import Any

from analysis.data.errors import UserError


class ForeignError(UserError, RuntimeError):
    """The kept results belong to other settings or to another state of the code; the message says what to do."""


class Kept:
    """Results by job, both of them any JSON value, in a file in `folder`.

    The `header` is what all results depend on: settings, versions, state of the code. Raises ForeignError if the file
    was started with another one.
    """

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.header = header
        self._path = folder / "measured.jsonl"
        self._results: dict[str, Any] = {}
        if not self._path.exists():
            self._append(header)
        first, *lines = self._path.read_text(encoding="utf-8").splitlines()
        if first != json.dumps(header):
            raise ForeignError(
                f"{folder} holds what was started with other settings or another state of the code; remove that folder "
                "to start afresh"
            )
        for line in lines:
            try:
                kept = json.loads(line)
            except json.JSONDecodeError:
                continue  # cut by a kill: that job is done again
            self._results[self._key(kept["job"])] = kept["result"]

    def get(self, job: dict[str, Any]) -> Any:
        """The result of a job, or None."""
        return self._results.get(self._key(job))

    def keep(self, job: dict[str, Any], result: Any) -> Any:
        """Write down the result of a job, and return it."""
        self._append({"job": job, "result": result})
        self._results[self._key(job)] = result
        return result

    def _append(self, content: Any) -> None:
        # The new line comes first, so that a line that was cut spoils no other.
        with self._path.open("a", encoding="utf-8") as file:
            file.write(("\n" if file.tell() else "") + json.dumps(content))
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _key(job: dict[str, Any]) -> str:
        return json.dumps(job, sort_keys=True)
