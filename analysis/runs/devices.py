"""Where runs are trained: on the CPU, or on a GPU.

It is no part of a run's configuration: on either the same run gives the same errors within `repetition.TOLERANCE`, and
its record says which it was.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast, get_args

from analysis.data.errors import UserError

Device = Literal["auto", "cpu", "cuda"]
"""A GPU that torch can use if there is one ("auto"), or one of the two whatever there is."""

VARIABLE = "COMPENDIUM_DEVICE"
"""The environment variable that says so where nothing else does."""

_chosen: list[str] = []


class DeviceError(UserError, RuntimeError):
    """A device that there is not."""


def asked() -> Device:
    """What was asked for: by `using`, or else by `VARIABLE`; raises DeviceError if that is no device."""
    name = _chosen[-1] if _chosen else os.environ.get(VARIABLE) or "auto"
    if name not in get_args(Device):
        raise DeviceError(f"there is no device {name!r}: write {', '.join(get_args(Device))}")
    return cast("Device", name)


@contextmanager
def using(device: str) -> Iterator[None]:
    """Within it runs are trained there; "auto" leaves what was asked for before. Raises DeviceError if it is none."""
    if device == "auto":
        asked()
        yield
        return
    _chosen.append(device)
    try:
        asked()
        yield
    finally:
        _chosen.pop()


def accelerator() -> Literal["cpu", "cuda"]:
    """Where runs are trained now; raises DeviceError if that has to be a GPU and torch can use none."""
    import torch  # takes seconds to import

    device, there = asked(), torch.cuda.is_available()
    if device == "cuda" and not there:
        build = torch.version.cuda or "no CUDA at all"
        raise DeviceError(f"torch can use no GPU here (it was built for {build}): leave the device out, or write cpu")
    return "cuda" if there and device != "cpu" else "cpu"
