"""PaiNN's layers as one differentiable operator.

In PaiNN (Schütt, Unke, Gastegger, ICML 2021, section 3 and figure 2; arXiv:2102.03150) an atom has scalar features and
vectors. Each layer sends messages, which are continuous-filter convolutions of both, and then mixes an atom's scalars
with its vectors. As in `fused.convolution`, filters are tabulated once per step, each pair is visited once for both
directions, nothing of size pairs × features is kept, and a few molecules at a time go through all layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from fused import _equivariant, _kernels, choice
from fused._equivariant import PARTS
from fused.choice import Way
from fused.convolution import MIN_INTERVALS, Dense, HalfList, Spare, _array, _Loan, _rounded, can_interact
from fused.forces import Atoms, Link, Pass, of_positions


@dataclass(frozen=True, eq=False)
class Layer:
    """What one layer of PaiNN computes with.

    Parameters
    ----------
    context_hidden, context
        The network before the messages: layers [F, F] with a SiLU and [3 F, F].
    mixture
        The layer [2 F, F] that makes V and W of the vectors, without a bias.
    mixing_hidden, mixing
        The network of scalars and norms ‖V‖: layers [F, 2 F] with a SiLU and [3 F, F].
    """

    context_hidden: Dense
    context: Dense
    mixture: Dense
    mixing_hidden: Dense
    mixing: Dense

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The five matrices, then the four biases."""
        layers = self.context_hidden, self.context, self.mixture, self.mixing_hidden, self.mixing
        biases = (layer.bias for layer in layers if layer is not self.mixture)
        return (*(layer.weight for layer in layers), *biases)


_BIASED = (0, 1, 3, 4)
PER_BLOCK = 4  # PaiNN keeps five times as much of each atom as SchNet


def interact(
    embedding: torch.Tensor,
    numbers: torch.Tensor,
    positions: torch.Tensor,
    layers: Sequence[Layer],
    tables: torch.Tensor,
    pairs: HalfList,
    *,
    end: float,
    epsilon: float,
    spare: Spare | None = None,
    link: Link | None = None,
) -> torch.Tensor:
    """Atoms' scalar features after all layers of PaiNN, [A, F], differentiable in `embedding`, `layers` and `tables`.

    If positions need a gradient they are differentiable in these, too, and that derivative once more.

    Parameters
    ----------
    embedding
        Features that atoms begin with, float32 [N, F] on the CPU (see `can_interact`); vectors begin with 0.
    numbers
        Each atom's row of `embedding`, int64 [A].
    positions
        float32 or float64 [A, 3], Å, which the distances of `pairs` are of.
    layers
        From the first to the last.
    tables
        Each layer's filters at K + 1 equidistant distances from 0 to `end`, [L, K + 1, 3 F].
    pairs
        Which atoms see each other. A pair farther apart than `end` adds nothing.
    end
        The last distance of the tables, Å.
    epsilon
        What is added to the square of a norm.
    spare
        Memory to use again, if passes follow each other.
    link
        Takes the pass through the compiled layers.

    Raises
    ------
    ValueError
        Shapes or types that don't fit together.
    IndexError
        A number that `embedding` has no row for.
    """
    _check(embedding, numbers, positions, layers, tables, pairs)
    if not end > 0:
        raise ValueError(f"the tables must end at a positive distance, not {end}")
    width = embedding.shape[1]
    way = choice.way("painn", width)
    full = _kernels.padded_width(way, width, embedding.itemsize)
    stacked = [torch.stack(tensors) for tensors in zip(*(layer.tensors() for layer in layers), strict=True)]
    matrices = [
        _widened(matrix.reshape(-1, rows, width, columns, width), full).reshape(-1, rows * full, columns * full)
        for matrix, (rows, columns) in zip(stacked[:5], PARTS, strict=True)
    ]
    biases = [
        functional.pad(bias.reshape(-1, PARTS[k][0], width), (0, full - width)).reshape(-1, 1, PARTS[k][0] * full)
        for k, bias in zip(_BIASED, stacked[5:], strict=True)
    ]
    wide_tables = functional.pad(tables.reshape(*tables.shape[:2], 3, width), (0, full - width)).flatten(2)
    wide_embedding = functional.pad(embedding, (0, full - width))
    settings, link = (way, _rounded(end, pairs), epsilon, spare or Spare()), link or Link()
    atoms = Atoms.of(numbers, positions, pairs)
    x = _Layers.apply(wide_embedding, wide_tables, settings, atoms, link, *matrices, *biases)
    return (of_positions(x, positions, link) if positions.requires_grad else x)[:, :width]


def share_out(
    first: torch.Tensor,
    second: torch.Tensor,
    distance: torch.Tensor,
    *,
    atoms: torch.Tensor,
    pairs: torch.Tensor,
    threads: int,
    width: int,
) -> HalfList:
    """`HalfList.share_out`, in blocks that suit PaiNN with so many features."""
    block = choice.way("painn", width).block // PER_BLOCK
    return HalfList.share_out(first, second, distance, atoms=atoms, pairs=pairs, threads=threads, block=block)


def _widened(matrices: torch.Tensor, full: int) -> torch.Tensor:
    """Matrices [L, r, F, c, F] with zeros after each part: [L, r, W, c, W]."""
    more = full - matrices.shape[2]
    return functional.pad(matrices, (0, more, 0, 0, 0, more)) if more else matrices


def _check(
    embedding: torch.Tensor,
    numbers: torch.Tensor,
    positions: torch.Tensor,
    layers: Sequence[Layer],
    tables: torch.Tensor,
    pairs: HalfList,
) -> None:
    if not can_interact(embedding):
        raise ValueError(f"features must be float32 on the CPU, not {embedding.dtype} on {embedding.device}")
    width = embedding.shape[1]
    if not layers:
        raise ValueError("there must be at least one layer")
    if tables.ndim != 3 or len(tables) != len(layers) or tables.shape[2] != 3 * width:
        raise ValueError(f"tables {list(tables.shape)} of {len(layers)} layers with {width} features")
    if tables.shape[1] <= MIN_INTERVALS:
        raise ValueError(f"{tables.shape[1]} rows are too few to interpolate in: at least {MIN_INTERVALS + 1}")
    if len(numbers) != pairs.n_atoms or positions.shape != (len(numbers), 3):
        raise ValueError(f"{len(numbers)} atoms, but pairs of {pairs.n_atoms} and positions {list(positions.shape)}")
    if pairs.distance.requires_grad:
        raise ValueError("distances have no gradient: the positions that they are of have one")
    for layer in layers:
        for tensor, shape in zip(layer.tensors(), shapes(width), strict=True):
            if tensor is None or tensor.shape != shape or tensor.dtype != embedding.dtype:
                found = "none" if tensor is None else f"{list(tensor.shape)} ({tensor.dtype})"
                raise ValueError(f"a layer has {found}, where {width} features need {list(shape)} ({embedding.dtype})")
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(embedding):
        raise IndexError(
            f"atoms of kinds {int(numbers.min())} … {int(numbers.max())}, but an embedding of {len(embedding)} rows"
        )


def shapes(width: int) -> list[tuple[int, ...]]:
    """Of a layer's five matrices, then of its four biases."""
    matrices = [(rows * width, columns * width) for rows, columns in PARTS]
    return [*matrices, *((PARTS[k][0] * width,) for k in _BIASED)]


class _PaiNN:
    """Layers as the compiled loops take them, of the widths that these need; see `forces.Layers`."""

    def __init__(
        self,
        embedding: torch.Tensor,
        tables: torch.Tensor,
        tensors: Sequence[torch.Tensor],
        way: Way,
        end: float,
        epsilon: float,
        spare: Spare,
    ) -> None:
        self._way, self._end, self._epsilon, self._spare = way, end, epsilon, spare
        self._back = tuple(_aligned(matrix) for matrix in tensors[:5])
        self._into = tuple(_aligned(matrix.transpose(1, 2)) for matrix in tensors[:5])
        no_bias = _kernels.zeros((len(tables), 1, 2 * embedding.shape[1]), np.float32)
        biases = [_aligned(bias) for bias in tensors[5:]]
        self._biases = *biases[:2], no_bias, *biases[2:]
        self._embedding, self._tables = _array(embedding), _aligned(tables)

    def forward(self, atoms: Atoms) -> tuple[np.ndarray, _Loan]:
        shares, width = atoms.pairs.shares(), self._embedding.shape[1]
        kept = _Loan(self._spare, _equivariant.kept_shapes(shares, len(self._tables), width))
        given = atoms.numbers, atoms.positions, self._tables, self._into, self._biases, self._epsilon
        pairs = atoms.pairs.arrays(), shares, self._end
        return _equivariant.interact(self._way, self._embedding, *given, *pairs, kept.arrays), kept

    def backward(
        self, atoms: Atoms, kept: _Loan, gradient: np.ndarray, *, parameters: bool, positions: bool
    ) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
        given = atoms.numbers, atoms.positions, len(self._embedding), self._tables, self._back
        pairs = atoms.pairs.arrays(), atoms.pairs.shares(), self._end
        return _equivariant.interact_gradients(
            self._way, gradient, *given, *pairs, kept.arrays, parameters=parameters, moving=positions
        )


class _Layers(torch.autograd.Function):
    """The compiled layers as a node of torch's graph; widths are those that the loops need."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        embedding: torch.Tensor,
        tables: torch.Tensor,
        settings: tuple[Way, float, float, Spare],
        atoms: Atoms,
        link: Link,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        ctx.link = link
        link.only = Pass(_PaiNN(embedding, tables, tensors, *settings), atoms)
        return torch.from_numpy(link.only.out)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        d_embedding, d_tables, *found = map(torch.from_numpy, ctx.link.parameters(_array(gradient)))
        return d_embedding, d_tables, None, None, None, *found


def _aligned(tensor: torch.Tensor) -> np.ndarray:
    array = tensor.detach().numpy()
    copy = _kernels.zeros(array.shape, array.dtype)
    copy[...] = array
    return copy
