"""SchNetPack's SchNet and PaiNN, fast on a CPU."""

from importlib import import_module

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
__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """What is asked for, imported then: torch takes seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
