"""What all errors have in common that a user can mend."""


class UserError(Exception):
    """Its message says what was wrong and what to do: a command shows it in a line, a notebook without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
