"""Rerun a notebook through papermill, and show in the terminal what it says while it runs: what `make rerun` calls."""

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import click
import yaml
from papermill.cli import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillException, PapermillExecutionError, strip_color

from analysis.runs.console import INTERRUPTED, complain, one_line

NOTEBOOKS = Path("notebooks")
_LINE_SECONDS = 10.0  # in a log file, between two lines of one training
_PARAMETERS = "-p epochs 3, or -y 'epochs: 3' with a space after the colon, or name a file of such lines after -f"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = re.compile(r"\|[^|]*\|")  # between tqdm's per cent and its numbers, as wide as the terminal allows


def notebook_named(wanted: str) -> Path:
    """The notebook that is meant by its number, its name with or without it, the beginning of one, or its path.

    Raises LookupError, whose message lists the notebooks, if that is none or more than one.
    """
    path, there = Path(wanted), sorted(NOTEBOOKS.glob("*.ipynb"))
    name = path.name.removesuffix(".ipynb").lower().replace("-", "_")
    number, _, words = name.partition("_")
    parts = {one: one.stem.partition("_") for one in there}
    # The first of these that fits anything decides.
    ways = (
        [one for one in there if one.stem == name],
        [one for one in there if number.isdecimal() and _is(parts[one], int(number), words)],
        [one for one in there if parts[one][2] == name],
        [one for one in there if name and parts[one][2].startswith(name)],
    )
    fitting = next(filter(None, ways), [])
    if path.parent.resolve() not in (Path.cwd(), NOTEBOOKS.resolve()):
        fitting = []
    if len(fitting) != 1:
        said = f"{wanted!r} is " + ("more than one notebook" if fitting else "no notebook") if wanted else "which one?"
        raise LookupError(f"{said}: give one of {', '.join(one.stem for one in fitting or there)}")
    return fitting[0]


def _is(parts: tuple[str, str, str], number: int, words: str) -> bool:
    return int(parts[0]) == number and parts[2].startswith(words)


class Shown:
    """What a notebook says while it runs: where it is in a terminal's last line, all else above it.

    A log file gets a line of a training's progress now and then, and the last one.

    Parameters
    ----------
    out
        The terminal or the file.
    cells
        How many cells of code there are.
    """

    def __init__(self, out: TextIO, cells: int) -> None:
        self._out = out
        self._cells = cells
        self._cell = 0
        self._text = ""  # the line that is not at its end
        self._display: str | None = None
        self._progress = ""
        self._written = time.monotonic()
        self._standing = False

    def begin_cell(self) -> None:
        """One cell more."""
        self.end_cell()
        self._cell += 1
        self._stand()

    def end_cell(self) -> None:
        """Leave the last state of what the cell said standing."""
        self._line(self._progress)
        self._line(_last(self._text))
        self._progress = self._text = ""
        self._display = None

    def say(self, text: str) -> None:
        """What was written to the standard output or error; a carriage return begins the line anew."""
        *lines, self._text = (self._text + _ESCAPE.sub("", text)).split("\n")
        for line in lines:
            self._line(_last(line))
        self._stand()

    def progress(self, display: str, text: str) -> None:
        """A line that a notebook shows, and replaces."""
        if display != self._display:
            self._line(self._progress)
        self._display, self._progress = display, text
        if not self._out.isatty() and time.monotonic() - self._written >= _LINE_SECONDS:
            self._line(text)
        self._stand()

    def close(self) -> None:
        """Nothing more comes."""
        self.end_cell()
        self._clear()

    def _line(self, text: str) -> None:
        if text.strip():
            self._clear()
            self._out.write(f"{text}\n")
            self._out.flush()
            self._written = time.monotonic()

    def _stand(self) -> None:
        if self._out.isatty():
            bar = _BAR.sub(" ", _last(self._text))
            parts = (f"cell {self._cell} of {self._cells}", bar, self._progress)
            columns = shutil.get_terminal_size().columns
            self._clear()
            self._out.write(" · ".join(filter(None, parts))[: columns - 1])
            self._out.flush()
            self._standing = True

    def _clear(self) -> None:
        if self._standing:
            self._out.write("\r\x1b[K")
            self._standing = False


def _last(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2].rstrip()


class _Client(PapermillNotebookClient):
    """papermill's, which keeps what is said in the notebook; here it is shown as well."""

    shown: Shown

    def process_message(self, msg: dict[str, Any], *where: Any) -> Any:
        content = msg["content"]
        match msg["msg_type"]:
            case "execute_input":
                self.shown.begin_cell()
            case "stream":
                self.shown.say(content["text"])
            case "display_data" | "update_display_data" if content["data"].keys() == {"text/plain"}:
                if display := (content.get("transient") or {}).get("display_id"):
                    self.shown.progress(display, content["data"]["text/plain"])
        return super().process_message(msg, *where)


class _NotAParameterError(ValueError):
    """A name that can't be a parameter's."""


class _Engine(NBClientEngine):
    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **_: Any,
    ) -> None:
        if wrong := [name for name in nb_man.nb.metadata.papermill.parameters if not str(name).isidentifier()]:
            raise _NotAParameterError(f"no parameter is called {wrong[0]!r}")
        client = _Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout=execution_timeout)
        client.shown = Shown(sys.stderr, sum(cell.cell_type == "code" for cell in nb_man.nb.cells))
        try:
            client.execute()
        finally:
            client.shown.close()


def main(arguments: list[str], out: Path = Path("reruns")) -> int:
    """Rerun the notebook that the first argument names, with papermill's options after it; gives the exit code."""
    wanted, *options = arguments
    said = " ".join(" ".join(options).split())
    try:
        notebook = notebook_named(wanted)
    except LookupError as error:
        complain(f"error: NOTEBOOK: {error.args[0]}")
        return 1
    rerun = out / notebook.name
    papermill_engines.register("shown", _Engine)
    ours = ["--cwd", str(NOTEBOOKS), "--engine", "shown", "--no-progress-bar", "--log-level", "ERROR"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        papermill.main([str(notebook), str(rerun), *ours, *options], standalone_mode=False)
    except PapermillExecutionError as error:
        # An error that is said in a line comes with that line in place of a traceback.
        told = strip_color("\n".join(error.traceback))
        complain(told if len(error.traceback) == 1 else f"{told}\n{rerun} shows what came before")
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain("stopped: the same command goes on after the last finished epoch of the run under way")
        return INTERRUPTED
    except (yaml.YAMLError, TypeError, ValueError) as error:
        # YAML that is no mapping of names to values fails in papermill with words of Python's.
        words = error if isinstance(error, _NotAParameterError) else "no parameter with a value"
        why = getattr(error, "problem", None) or words
        complain(f"error: {said}: {why}; write {_PARAMETERS}")
        return 1
    except (PapermillException, OSError) as error:
        complain(f"error: {said}: {one_line(error)}")
        return 1
    complain(f"Rerun: {rerun}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [""]))
