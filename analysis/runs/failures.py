"""The errors that end a training without a record."""


class TrainingDivergedError(RuntimeError):
    """The loss stopped being a finite number, or exploded; the message says at which step and with which weight.

    IPython shows the message alone, without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"TrainingDivergedError: {self}"]


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged, or belongs to another run or another version of the code."""
