"""Messages on a terminal or in a notebook."""

import sys
from collections.abc import Sequence
from typing import ClassVar

import typer
from tabulate import tabulate
from typer.core import TyperGroup

from analysis.data.errors import UserError
from analysis.data.files import reason
from fused.choice import WayError

INTERRUPTED = 130
"""The exit code that a shell gives a command that Ctrl-C ended."""


def complain(text: str) -> None:
    """Write a line to the standard error."""
    typer.echo(text, err=True)


def one_line(error: Exception) -> str:
    """What an error says, without line ends; an OSError's in our words, and not the system's."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"{error.filename}: {reason(error)}"
    return reason(error)


def aligned(rows: Sequence[Sequence[str]], *, right: int = 0) -> str:
    """Rows of texts as a table, the same in a terminal and in a pipe; its last `right` columns are flush right."""
    columns = ["left"] * (len(rows[0]) - right) + ["right"] * right
    return tabulate(rows, tablefmt="plain", colalign=columns, disable_numparse=True)


class OneLineErrors(TyperGroup):
    """Commands that end with one line on the standard error and exit code 1 if their user can mend what is wrong."""

    expected: ClassVar[tuple[type[Exception], ...]] = (UserError, OSError, WayError)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # a Context of typer's own
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # … | head
        except self.expected as error:
            complain(f"error: {one_line(error)}")
            raise typer.Exit(1) from error


def clock(seconds: float) -> str:
    """Seconds as `12 s`, `3 min 05 s` or `1 h 28 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config
