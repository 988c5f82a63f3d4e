"""How finely a network's filters are tabulated."""

from types import MappingProxyType

INTERVALS_PER_GAUSSIAN = MappingProxyType({"schnet": 32, "painn": 16})
"""Default fineness of a filter's table: the grid step is the training cut-off by this and by the number of Gaussians.

The interpolation error is then at most 1.2e-7 of a Gaussian's height for SchNet, 6.7e-8 away from the ends: float32's
own rounding. For PaiNN it is at most 1.9e-6.
"""

MIN_INTERVALS = 3
"""Intervals that a table must have at least: a cubic polynomial needs four nodes."""

_FEWEST_GAUSSIANS = 8  # with very wide Gaussians it is the cut-off function and the filter network that bend the filter


def number_of_intervals(per_gaussian: int, gaussians: int, end: float, training_cutoff: float) -> int:
    """How many intervals a table has that ends at `end`, Å."""
    per_cutoff = per_gaussian * max(gaussians, _FEWEST_GAUSSIANS)
    return max(MIN_INTERVALS, -int(-per_cutoff * end // training_cutoff))
