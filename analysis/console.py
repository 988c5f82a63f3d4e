"""What a command says when something is wrong that its user can do something about: one line, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130
"""The exit code that a shell gives a command that Ctrl-C ended."""


def complain(text: str) -> None:
    """Write a line to the standard error."""
    typer.echo(text, err=True)


def one_line(error: Exception) -> str:
    """What an error says, without line ends."""
    return " ".join(str(error).split())


@contextmanager
def errors_in_one_line(*expected: type[Exception]) -> Iterator[None]:
    """End a command with one line on the standard error and exit code 1 if it raises one of these."""
    try:
        yield
    except BrokenPipeError:
        raise  # … | head
    except expected as error:
        complain(f"error: {one_line(error)}")
        raise typer.Exit(1) from error
