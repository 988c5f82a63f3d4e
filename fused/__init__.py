"""SchNetPack's SchNet and PaiNN, fast on a CPU."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fused.acceleration import Report, accelerate
    from fused.callback import Accelerate
    from fused.halflist import HalfNeighborList
    from fused.packed import Packed, PackedLoader
    from fused.painn import FusedPaiNN
    from fused.pairs import Pairs
    from fused.potential import Potential
    from fused.schnet import FusedSchNet
    from fused.soap import GroupedSOAP
    from fused.threads import own_threads

_PLACES = {
    "Accelerate": "callback",
    "FusedPaiNN": "painn",
    "FusedSchNet": "schnet",
    "GroupedSOAP": "soap",
    "HalfNeighborList": "halflist",
    "Packed": "packed",
    "PackedLoader": "packed",
    "Pairs": "pairs",
    "Potential": "potential",
    "Report": "acceleration",
    "accelerate": "acceleration",
    "own_threads": "threads",
}
__all__ = [
    "Accelerate",
    "FusedPaiNN",
    "FusedSchNet",
    "GroupedSOAP",
    "HalfNeighborList",
    "Packed",
    "PackedLoader",
    "Pairs",
    "Potential",
    "Report",
    "accelerate",
    "own_threads",
]


def __getattr__(name: str) -> object:
    """What is asked for, imported then: torch takes seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
