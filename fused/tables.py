"""The distances that a network's filters are tabulated at."""

import copy

import torch

from fused.convolution import Grid
from fused.fineness import number_of_intervals

_TOLERANCE = 4e-6
_NEAREST = 0.3  # Å; no two atoms are nearer


def checked_fineness(intervals_per_gaussian: int) -> int:
    """The same number; raises ValueError if a table can't be that coarse."""
    if intervals_per_gaussian < 1:
        raise ValueError(f"the table needs at least one interval per Gaussian, not {intervals_per_gaussian}")
    return intervals_per_gaussian


def grid(
    radial_basis: torch.nn.Module,
    cutoff_fn: torch.nn.Module,
    *,
    data_cutoff: float,
    intervals_per_gaussian: int,
    like: torch.Tensor,
) -> Grid:
    """The distances to tabulate filters at: a pair farther apart than the last would add nothing.

    Parameters
    ----------
    radial_basis, cutoff_fn
        SchNetPack's, of the representation; the latter's radius is the training cut-off, Å.
    data_cutoff
        Radius of the neighbour list, Å.
    intervals_per_gaussian
        The grid step is the training cut-off divided by this number and by the number of Gaussians.
    like
        A tensor of the type and on the device that the grid should have.
    """
    training_cutoff = cutoff_fn.cutoff.item()
    end = min(data_cutoff, training_cutoff)
    intervals = number_of_intervals(intervals_per_gaussian, radial_basis.n_rbf, end, training_cutoff)
    distances = torch.linspace(0, end, intervals + 1, dtype=torch.float64, device=like.device).to(like.dtype)
    return Grid(_without_tails(radial_basis(distances)), cutoff_fn(distances), end)


def fine_enough(radial_basis: torch.nn.Module, cutoff_fn: torch.nn.Module, intervals_per_gaussian: int) -> int | None:
    """The same fineness, or as many times as much as a basis other than Gaussians takes; None if none will do.

    The table of each basis function times the cut-off function is compared, between its nodes, with the function
    itself, for distances that two atoms can have. It will do if they differ by no more than 4e-6 of the largest value.
    """
    basis, cutoff = copy.deepcopy(radial_basis).cpu().double(), copy.deepcopy(cutoff_fn).cpu().double()
    end, like = cutoff_fn.cutoff.item(), torch.zeros(1, dtype=torch.float64)
    for fineness in (intervals_per_gaussian << k for k in range(4)):
        with torch.no_grad():
            found = grid(basis, cutoff, data_cutoff=end, intervals_per_gaussian=fineness, like=like)
            values = found.basis * found.cutoff[:, None]
            between = (torch.arange(1, len(values) - 2) + 0.5).double() * end / (len(values) - 1)
            exact = basis(between) * cutoff(between)[:, None]
        cubic = (9 * (values[1:-2] + values[2:-1]) - values[:-3] - values[3:]) / 16
        error = (cubic - exact)[between > _NEAREST].abs().max()
        if error <= _TOLERANCE * exact.abs().max():  # never true of what is no number
            return fineness
    return None


def _without_tails(values: torch.Tensor) -> torch.Tensor:
    """The values, with zeros for the smallest, in a Gaussian's tail: no sum of theirs notices at 1e-19 of its height.

    Their products can be too small for all digits, and some processors take a hundred times as long for each of those.
    """
    return values.masked_fill(values.abs() < torch.finfo(values.dtype).tiny ** 0.5, 0)
