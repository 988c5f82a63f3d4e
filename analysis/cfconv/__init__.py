"""The continuous-filter convolution of SchNet as one differentiable operator, and the interaction blocks around it.

In SchNet (Schütt et al., J. Chem. Phys. 148, 241722 (2018), section II.B) each atom collects its neighbours' features,
weighted feature by feature with a filter that depends on the distance alone: y_i = Σ_j h_j ∘ W(d_ij). SchNetPack
evaluates the filter network for every pair and writes several arrays of pairs × features to memory. Here

- the filter is tabulated once per step on a grid of K intervals and interpolated with cubic polynomials through four
  nodes (Lagrange). For a grid step s the error is at most s⁴/24 · max |W⁗|, and 3s⁴/128 · max |W⁗| away from the ends;
- each pair is visited once for both directions, because W(d_ij) = W(d_ji);
- nothing of size pairs × features is kept: the gradient with respect to the features is the same convolution, that with
  respect to the table collects in one table per thread;
- `interact` does whole interaction blocks, dense layers included, for a few molecules at a time: what it works on stays
  in the processor's cache.

On the CPU numba compiles the loops, and each thread takes a share of the molecules. On CUDA tensors, and where numba is
missing, packed pure torch does the same with arrays of pairs × features; it is the reference that the fast path is
tested against. Nobody has run the CUDA path on a GPU yet.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

if HAS_NUMBA := importlib.util.find_spec("numba") is not None:
    from analysis.cfconv import _kernels

MIN_INTERVALS = 3
"""Intervals that a table must have at least: a cubic polynomial needs four nodes."""

_BLOCK = 4096  # pairs and atoms that a thread takes through all layers at a time: some 30 molecules of QM9
_LOG2 = float(np.log(2))


@dataclass(frozen=True, eq=False)
class HalfList:
    """P pairs of atoms, each once, packed molecule by molecule, and how they are shared out among threads.

    Parameters
    ----------
    first, second
        int32 [P], the atoms of each pair: two different rows of the features.
    distance
        float32 or float64 [P], Å.
    blocks
        int64 [B + 1, 2]: block b has the atoms blocks[b, 0]:blocks[b + 1, 0] and the pairs blocks[b, 1]:
        blocks[b + 1, 1]. No pair may reach out of its block.
    threads
        How many threads share the blocks, at least one each.

    Raises
    ------
    ValueError
        Lengths that don't fit together, or atoms that are not in the block of their pair.
    """

    first: torch.Tensor
    second: torch.Tensor
    distance: torch.Tensor
    blocks: torch.Tensor
    threads: int = 1

    def __post_init__(self) -> None:
        n_pairs, blocks = len(self.distance), self.blocks
        if not len(self.first) == len(self.second) == n_pairs:
            raise ValueError(f"{n_pairs} distances, but {len(self.first)} first and {len(self.second)} second atoms")
        if blocks[0].any() or blocks[-1, 1] != n_pairs or (blocks.diff(dim=0) < 0).any():
            raise ValueError(f"blocks {blocks.tolist()} do not share out {n_pairs} pairs")
        if not 1 <= self.threads < len(blocks):
            raise ValueError(f"{self.threads} threads can't share {len(blocks) - 1} blocks, at least one each")
        # The compiled loops trust these numbers.
        stray = self._stray_pair()
        if stray is not None:
            block = int(torch.searchsorted(blocks[:, 1].contiguous(), stray, right=True)) - 1
            raise ValueError(
                f"pair {stray} is of atoms {int(self.first[stray])} and {int(self.second[stray])}, but its block has "
                f"the atoms {int(blocks[block, 0])} … {int(blocks[block + 1, 0]) - 1}"
            )

    def _stray_pair(self) -> int | None:
        """The first pair with an atom outside its block."""
        if HAS_NUMBA and self.first.device.type == "cpu":
            stray = _kernels.stray_pair(self.first.numpy(), self.second.numpy(), self.blocks.numpy())
            return None if stray < 0 else stray
        ends = self.blocks[:, 0].repeat_interleave(torch.cat([self.blocks[:, 1].diff(), self.blocks.new_zeros(1)]))
        beyond = self.blocks[1:, 0].repeat_interleave(self.blocks[:, 1].diff())
        low, high = torch.minimum(self.first, self.second), torch.maximum(self.first, self.second)
        stray = ((low < ends) | (high >= beyond)).nonzero()
        return int(stray[0]) if len(stray) else None

    @property
    def n_atoms(self) -> int:
        """Number of rows of the features."""
        return int(self.blocks[-1, 0])

    @classmethod
    def share_out(
        cls,
        first: torch.Tensor,
        second: torch.Tensor,
        distance: torch.Tensor,
        *,
        atoms: torch.Tensor,
        pairs: torch.Tensor,
        threads: int,
    ) -> Self:
        """A list for up to `threads` threads, in blocks with about equally much work each.

        `atoms` and `pairs`, int64 [M + 1], say where each molecule's atoms and pairs begin: blocks are cut between
        molecules only.
        """
        work = atoms + pairs
        threads = max(1, min(threads, len(atoms) - 1))
        total = int(work[-1])
        n_blocks = threads * -(-total // (threads * _BLOCK)) if total else threads
        goals = torch.arange(n_blocks + 1, device=work.device) * total // n_blocks
        cuts = torch.searchsorted(work, goals)
        return cls(first, second, distance, torch.stack([atoms[cuts], pairs[cuts]], dim=1), threads)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and second atoms, and distances."""
        return self.first.numpy(), self.second.numpy(), self.distance.numpy()

    def shares(self) -> list[np.ndarray]:
        """Each thread's blocks, int64 [b + 1, 2]."""
        blocks = self.blocks.numpy()
        ends = np.arange(self.threads + 1) * (len(blocks) - 1) // self.threads
        return [blocks[start : stop + 1] for start, stop in pairwise(ends)]


@dataclass(frozen=True, eq=False)
class Interaction:
    """What one interaction block of SchNet computes with: x + f2out(Σ_j in2f(x_j) ∘ W(d_ij)).

    Parameters
    ----------
    table
        The filter W at K + 1 equidistant distances from 0 on, [K + 1, F].
    in2f
        Matrix [F, F] of the layer before the convolution.
    hidden, hidden_bias
        Matrix [F, F] and bias [F] of the layer after it, which a shifted softplus follows.
    output, output_bias
        Matrix and bias of the last layer.
    """

    table: torch.Tensor
    in2f: torch.Tensor
    hidden: torch.Tensor
    hidden_bias: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All of them, in this order."""
        return self.table, self.in2f, self.hidden, self.hidden_bias, self.output, self.output_bias


class Spare:
    """Memory of past forward passes, for the next ones: fresh memory costs as much time as the computation."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """A float32 array of at least `size` numbers, not set to anything."""
        try:
            array = self._free.pop()
        except IndexError:
            array = np.empty(0, np.float32)
        return array if len(array) >= size else np.empty(size + size // 8, np.float32)

    def give(self, array: np.ndarray) -> None:
        """Take back what `take` gave."""
        self._free.append(array)

    def __deepcopy__(self, memo: dict) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple:
        return type(self), ()


def interact(
    x: torch.Tensor, layers: Sequence[Interaction], pairs: HalfList, *, end: float, spare: Spare | None = None
) -> torch.Tensor:
    """Atoms' features after all interaction blocks of SchNet, differentiable in the features and all of `layers`.

    Parameters
    ----------
    x
        Features, float32 or float64 [A, F].
    layers
        The blocks, from the first to the last.
    pairs
        Which atoms see each other. A pair farther apart than `end` adds nothing.
    end
        The last distance of the tables, Å.
    spare
        Memory to use again, if passes follow each other.

    Raises
    ------
    ValueError
        As for `convolve`; also tables of different lengths, and no layer.
    """
    if not layers:
        raise ValueError("there must be at least one interaction block")
    for layer in layers:
        _check(x, layer.table, pairs, end)
        for tensor in layer.tensors()[1:]:
            if tensor.dtype != x.dtype or set(tensor.shape) != {x.shape[1]}:
                raise ValueError(f"a layer's tensor {list(tensor.shape)} ({tensor.dtype}) does not fit {list(x.shape)}")
    if len({len(layer.table) for layer in layers}) > 1:
        raise ValueError("all tables must have the same length")
    if HAS_NUMBA and x.device.type == "cpu" and x.dtype == torch.float32:
        tensors = [tensor for layer in layers for tensor in layer.tensors()]
        return _Interactions.apply(x, pairs, _rounded(end, pairs), spare or Spare(), *tensors)
    for layer in layers:
        y = convolve(functional.linear(x, layer.in2f), layer.table, pairs, end=end)
        hidden = functional.softplus(functional.linear(y, layer.hidden, layer.hidden_bias)) - _LOG2
        x = x + functional.linear(hidden, layer.output, layer.output_bias)
    return x


def shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """log(1 + eˣ) − log 2, SchNet's activation function; float32 on the CPU is compiled."""
    if HAS_NUMBA and x.device.type == "cpu" and x.dtype == torch.float32:
        return _ShiftedSoftplus.apply(x)
    return functional.softplus(x) - _LOG2


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
    if HAS_NUMBA and features.device.type == "cpu":
        return _Convolution.apply(features, table, pairs, _rounded(end, pairs))
    return convolve_reference(features, table, pairs, end=end)


def convolve_reference(features: torch.Tensor, table: torch.Tensor, pairs: HalfList, *, end: float) -> torch.Tensor:
    """The same in pure torch, on any device, with arrays of pairs × features in memory."""
    end = _rounded(end, pairs)
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


def _rounded(end: float, pairs: HalfList) -> float:
    """The end, rounded as the distances are: a distance up to the end stays so, whatever their type."""
    return torch.tensor(end, dtype=pairs.distance.dtype).item()


class _Convolution(torch.autograd.Function):
    """The compiled convolution as a node of torch's graph."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, features: torch.Tensor, table: torch.Tensor, pairs: HalfList, end: float
    ) -> torch.Tensor:
        h, grid = _padded(features), _padded(table)
        ctx.given = h, grid, pairs, end
        out = _kernels.convolve(h, grid, pairs.arrays(), pairs.shares(), end)
        return torch.from_numpy(out[:, : features.shape[1]].copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        h, grid, pairs, end = ctx.given
        d_h, d_table = _kernels.convolve_gradients(h, grid, _padded(gradient), pairs.arrays(), pairs.shares(), end)
        width = gradient.shape[1]
        return torch.from_numpy(d_h[:, :width].copy()), torch.from_numpy(d_table[:, :width].copy()), None, None


class _Interactions(torch.autograd.Function):
    """The compiled interaction blocks as a node of torch's graph."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: torch.Tensor, pairs: HalfList, end: float, spare: Spare, *tensors: torch.Tensor
    ) -> torch.Tensor:
        width, layers = x.shape[1], [tensors[start : start + 6] for start in range(0, len(tensors), 6)]
        tables = np.stack([_padded(table) for table, *_ in layers])
        into, back = (
            np.stack([[_padded(turn(m)) for m in (in2f, hidden, output)] for _, in2f, hidden, _, output, _ in layers])
            for turn in (torch.t, torch.Tensor.detach)
        )
        biases = np.zeros((len(layers), 3, 1, tables.shape[2]), tables.dtype)
        for row, (_, _, _, hidden_bias, _, output_bias) in zip(biases, layers, strict=True):
            row[1, 0, :width] = hidden_bias.detach()
            row[2, 0, :width] = output_bias.detach()
        features = x.detach().contiguous().numpy()
        shares = pairs.shares()
        kept = _Loan(spare, _kernels.kept_shapes(shares, len(layers), tables.shape[2]))
        ctx.given = tables, back, pairs, end, kept
        out = _kernels.interact(features, tables, into, biases, pairs.arrays(), shares, end, kept.arrays)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tables, back, pairs, end, kept = ctx.given
        g, width = gradient.contiguous().numpy(), gradient.shape[1]
        found = _kernels.interact_gradients(g, tables, back, pairs.arrays(), pairs.shares(), end, kept.arrays)
        d_x, d_tables, d_matrices, d_biases = (torch.from_numpy(array) for array in found)
        gradients: list[torch.Tensor] = []
        for d_table, (d_in2f, d_hidden, d_output), d_bias in zip(d_tables, d_matrices, d_biases, strict=True):
            square = slice(width), slice(width)
            gradients += [d_table[:, :width], d_in2f[square], d_hidden[square], d_bias[1, 0, :width]]
            gradients += [d_output[square], d_bias[2, 0, :width]]
        return d_x, None, None, None, *gradients


class _Loan:
    """Arrays of some shapes in spare memory, given back when nobody refers to them any more."""

    def __init__(self, spare: Spare, shapes: list[tuple[int, ...]]) -> None:
        sizes = [int(np.prod(shape)) for shape in shapes]
        self._spare, self._memory = spare, spare.take(sum(sizes))
        ends = np.cumsum(sizes)
        self.arrays = [
            self._memory[end - size : end].reshape(shape) for shape, size, end in zip(shapes, sizes, ends, strict=True)
        ]

    def __del__(self) -> None:
        self._spare.give(self._memory)


class _ShiftedSoftplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        y, slope = _kernels.shifted_softplus(x.detach().contiguous().numpy())
        ctx.save_for_backward(torch.from_numpy(slope))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        (slope,) = ctx.saved_tensors
        return gradient * slope


def _padded(matrix: torch.Tensor) -> np.ndarray:
    return _kernels.padded(matrix.detach().numpy())
