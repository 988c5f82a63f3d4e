"""The continuous-filter convolution of SchNet as one differentiable operator.

In SchNet (Schütt et al., J. Chem. Phys. 148, 241722 (2018), section II.B) each atom collects its neighbours' features,
weighted feature by feature with a filter that depends on the distance alone: y_i = Σ_j h_j ∘ W(d_ij). SchNetPack
evaluates the filter network for every pair and writes several arrays of pairs × features to memory. Here

- the filter is tabulated once per step on a grid of K intervals and interpolated with cubic polynomials through four
  nodes (Lagrange). For a grid step s the error is at most s⁴/24 · max |W⁗|, and 3s⁴/128 · max |W⁗| away from the ends;
- each pair is visited once for both directions, because W(d_ij) = W(d_ji);
- nothing of size pairs × features is kept: the gradient with respect to the features is the same convolution, that with
  respect to the table collects in one table per thread.

On the CPU numba compiles the loops, and each thread takes a share of the molecules. On CUDA tensors, and where numba is
missing, packed pure torch does the same with arrays of pairs × features; it is the reference that the fast path is
tested against. Nobody has run the CUDA path on a GPU yet.
"""

import importlib.util
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch.autograd.function import FunctionCtx, once_differentiable

if HAS_NUMBA := importlib.util.find_spec("numba") is not None:
    from analysis.cfconv import _kernels

MIN_INTERVALS = 3
"""Intervals that a table must have at least: a cubic polynomial needs four nodes."""


@dataclass(frozen=True, eq=False)
class HalfList:
    """P pairs of atoms, each once, packed molecule by molecule, and how they are shared out among threads.

    Parameters
    ----------
    first, second
        int32 [P], the atoms of each pair: two different rows of the features.
    distance
        float32 or float64 [P], Å.
    chunks
        int64 [C + 1]: pairs chunks[c]:chunks[c + 1] are one thread's work. No atom may be in pairs of two chunks.
    n_atoms
        Number of rows of the features.

    Raises
    ------
    ValueError
        Lengths that don't fit together, or atoms that are not there.
    """

    first: torch.Tensor
    second: torch.Tensor
    distance: torch.Tensor
    chunks: torch.Tensor
    n_atoms: int

    def __post_init__(self) -> None:
        n_pairs = len(self.distance)
        if not len(self.first) == len(self.second) == n_pairs:
            raise ValueError(f"{n_pairs} distances, but {len(self.first)} first and {len(self.second)} second atoms")
        if self.chunks[0] != 0 or self.chunks[-1] != n_pairs or (self.chunks.diff() < 0).any():
            raise ValueError(f"chunks {self.chunks.tolist()} do not share out {n_pairs} pairs")
        # The compiled loops trust these numbers.
        for atoms in (self.first, self.second) if n_pairs else ():
            lowest, highest = atoms.aminmax()
            if lowest < 0 or highest >= self.n_atoms:
                raise ValueError(f"pairs of atoms {int(lowest)} … {int(highest)}, but there are {self.n_atoms} atoms")

    @classmethod
    def share_out(
        cls, first: torch.Tensor, second: torch.Tensor, distance: torch.Tensor, *, offsets: torch.Tensor, n_atoms: int
    ) -> Self:
        """A list in as many chunks as torch has threads, with about equally many pairs each.

        `offsets`, int64 [M + 1], says where each molecule's pairs begin: chunks are cut between molecules only.
        """
        threads = max(1, min(torch.get_num_threads(), len(offsets) - 1))
        goals = torch.arange(threads + 1, device=offsets.device) * len(first) // threads
        return cls(first, second, distance, offsets[torch.searchsorted(offsets, goals)], n_atoms)

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """First and second atoms, distances and chunks."""
        return self.first, self.second, self.distance, self.chunks


def convolve(features: torch.Tensor, table: torch.Tensor, pairs: HalfList, *, end: float) -> torch.Tensor:
    """The continuous-filter convolution y_i = Σ_j h_j ∘ W(d_ij), differentiable in features and table.

    The result does not depend on the number of threads, nor does the gradient with respect to the features; that with
    respect to the table does by rounding only. All are the same bits in a repetition with the same number of threads.

    Parameters
    ----------
    features
        h, float32 or float64 [A, F].
    table
        The filter W at K + 1 equidistant distances from 0 to `end`, [K + 1, F], of the features' type.
    pairs
        Which atoms see each other. A pair farther apart than `end` adds nothing.
    end
        The last distance of the table, Å: no filter may reach farther.

    Raises
    ------
    ValueError
        Shapes or types that don't fit together, fewer than MIN_INTERVALS intervals, or distances that need a gradient.
    """
    _check(features, table, pairs, end)
    # As the distances are rounded, so is the end: a distance up to the end stays so, whatever their type.
    end = torch.tensor(end, dtype=pairs.distance.dtype).item()
    if HAS_NUMBA and features.device.type == "cpu":
        return _Convolution.apply(features, table, pairs, end)
    return convolve_reference(features, table, pairs, end=end)


def convolve_reference(features: torch.Tensor, table: torch.Tensor, pairs: HalfList, *, end: float) -> torch.Tensor:
    """The same in pure torch, on any device, with arrays of pairs × features in memory."""
    last = len(table) - 1
    within = (pairs.distance <= end).nonzero()[:, 0]
    first, second = pairs.first[within], pairs.second[within]
    coordinate = pairs.distance[within].double() * (last / end)
    node = (coordinate.long() - 1).clamp(0, last - 3)
    a = coordinate - node
    b, c, d = a - 1, a - 2, a - 3
    weights = torch.stack([b * c * d / -6, a * c * d / 2, a * b * d / -2, a * b * c / 6]).to(features.dtype)
    filters = sum(weights[q, :, None] * table.index_select(0, node + q) for q in range(4))
    to_first = filters * features.index_select(0, second)
    to_second = filters * features.index_select(0, first)
    return torch.zeros_like(features).index_add(0, first, to_first).index_add(0, second, to_second)


def _check(features: torch.Tensor, table: torch.Tensor, pairs: HalfList, end: float) -> None:
    if features.ndim != 2 or table.ndim != 2 or features.shape[1] != table.shape[1]:
        raise ValueError(f"features {list(features.shape)} and table {list(table.shape)} must have one width")
    if features.dtype != table.dtype or features.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"features ({features.dtype}) and table ({table.dtype}) must both be float32 or float64")
    if len(table) <= MIN_INTERVALS:
        raise ValueError(f"a table of {len(table)} rows is too short to interpolate in: at least {MIN_INTERVALS + 1}")
    if not end > 0:
        raise ValueError(f"the table must end at a positive distance, not {end}")
    if len(features) != pairs.n_atoms:
        raise ValueError(f"features of {len(features)} atoms, but pairs of {pairs.n_atoms}")
    if pairs.distance.requires_grad:
        raise ValueError(
            "the convolution has no gradient with respect to distances; use SchNetPack's own path for forces"
        )


class _Convolution(torch.autograd.Function):
    """The numba kernels as a node of torch's graph."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, features: torch.Tensor, table: torch.Tensor, pairs: HalfList, end: float
    ) -> torch.Tensor:
        ctx.save_for_backward(features, table, *pairs.tensors())
        ctx.end = end
        out = torch.zeros_like(features, memory_format=torch.contiguous_format)
        _kernels.forward(*_arrays(features, table, *pairs.tensors()), end, out.numpy())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        features, table, *pairs = ctx.saved_tensors
        d_features = torch.zeros_like(features, memory_format=torch.contiguous_format)
        d_tables = table.new_zeros((len(pairs[-1]) - 1, *table.shape))
        arrays = _arrays(features, table, gradient, *pairs)
        _kernels.backward(*arrays, ctx.end, d_features.numpy(), d_tables.numpy())
        # The sum goes through the chunks in their order, so that a repetition gives the same bits.
        return d_features, d_tables.sum(dim=0), None, None


def _arrays(*tensors: torch.Tensor) -> list[np.ndarray]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]
