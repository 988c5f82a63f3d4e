"""The errors that end a training without a record."""

from analysis.data.errors import UserError


class TrainingDivergedError(UserError, RuntimeError):
    """The loss stopped being a finite number, or exploded; the message says at which step and with which weight."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that is damaged, or belongs to another run or another version of the code."""


class StartError(UserError, RuntimeError):
    """The record that a run begins with is missing, or of another network; the message names it."""


class UnderWayError(UserError, RuntimeError):
    """Another process trains the run; the message says which one and where."""


class LeaseLostError(RuntimeError):
    """Another process took the run over: this one gave no sign of life, or could not reach the file of its lease."""
