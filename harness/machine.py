"""The machine that something was measured on."""

from typing import Self

from pydantic import PositiveFloat, PositiveInt

from analysis.runs.measured import Frozen


class Machine(Frozen):
    """The machine, by what decides its speed; `threads` is torch's. Old records don't name the processor."""

    processor: str = ""

    system: str
    architecture: str
    cores: PositiveInt
    memory_gib: PositiveFloat
    threads: PositiveInt

    @classmethod
    def here(cls) -> Self:
        """That of this process."""
        from analysis.training import recording  # only where something is measured

        about = recording.machine()
        return cls(**{key: about[key] for key in cls.model_fields})
