"""The continuous-filter convolution of SchNet as one differentiable operator, and the network around it.

In SchNet (Schütt et al., J. Chem. Phys. 148, 241722 (2018), section II.B) each atom collects its neighbours' features,
weighted feature by feature with a filter that depends on the distance alone: y_i = Σ_j h_j ∘ W(d_ij). SchNetPack
evaluates the filter network for every pair and writes several arrays of pairs × features to memory. Here

- the filter is tabulated once per step on a grid of K intervals and interpolated with cubic polynomials through four
  nodes (Lagrange). For a grid step s the error is at most s⁴/24 · max |W⁗|, and 3s⁴/128 · max |W⁗| away from the ends;
- each pair is visited once for both directions, because W(d_ij) = W(d_ji);
- nothing of size pairs × features is kept: the gradient with respect to the features is the same convolution, that with
  respect to the table collects in one table per thread;
- `interact` goes from the embedding through all interaction blocks, filter networks and dense layers included, and
  `energies` reads the network out; both take a few molecules at a time, which then stay in the processor's cache.

On the CPU numba compiles the loops, and each thread takes a share of the molecules. On CUDA tensors, packed pure torch
does the same with arrays of pairs × features; it is the reference that the fast path is tested against. Nobody has run
the CUDA path on a GPU yet.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from fused import _kernels, choice
from fused.fineness import MIN_INTERVALS
from fused.forces import Atoms, Link, Pass, of_positions

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
        if self.first.device.type != "cpu":
            return self._stray_pair_reference()
        stray = _kernels.stray_pair(self.first.numpy(), self.second.numpy(), self.blocks.numpy())
        return None if stray < 0 else stray

    def _stray_pair_reference(self) -> int | None:
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
        block: int = choice.BLOCKS[0],
    ) -> Self:
        """A list for up to `threads` threads, in blocks with about equally much work each.

        `atoms` and `pairs`, int64 [M + 1], say where each molecule's atoms and pairs begin: blocks are cut between
        molecules only. `block` is about how many of both a block has.
        """
        work = atoms + pairs
        threads = max(1, min(threads, len(atoms) - 1))
        total = int(work[-1])
        n_blocks = threads * -(-total // (threads * block)) if total else threads
        goals = torch.arange(n_blocks + 1, device=work.device) * total // n_blocks
        cuts = torch.searchsorted(work, goals)
        return cls(first, second, distance, torch.stack([atoms[cuts], pairs[cuts]], dim=1), threads)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and second atoms, and distances in float64, so that loops are compiled for one type."""
        return self.first.numpy(), self.second.numpy(), self.distance.double().numpy()

    def shares(self) -> list[np.ndarray]:
        """Each thread's blocks, int64 [b + 1, 2]."""
        blocks = self.blocks.numpy()
        ends = np.arange(self.threads + 1) * (len(blocks) - 1) // self.threads
        return [blocks[start : stop + 1] for start, stop in pairwise(ends)]


@dataclass(frozen=True, eq=False)
class Grid:
    """The distances that filters are tabulated at: K + 1 equidistant ones from 0 to `end`, Å.

    Parameters
    ----------
    basis
        The radial basis functions there, [K + 1, G].
    cutoff
        The cut-off function there, [K + 1].
    end
        The last distance. A pair farther apart adds nothing.
    """

    basis: torch.Tensor
    cutoff: torch.Tensor
    end: float


@dataclass(frozen=True, eq=False)
class Dense:
    """A layer's matrix, [n_out, n_in], and bias, [n_out] or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's values, [n, n_out], from [n, n_in]."""
        return functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class Interaction:
    """What one interaction block of SchNet computes with: x + f2out(Σ_j in2f(x_j) ∘ W(d_ij)).

    Parameters
    ----------
    filter_hidden, filter_output
        The filter network W: a layer [F, G] with a shifted softplus, a layer [F, F]; times the cut-off function.
    in2f
        The layer [F, F] before the convolution, without a bias.
    hidden, output
        f2out: the layers [F, F] after the convolution, with a shifted softplus between them.
    """

    filter_hidden: Dense
    filter_output: Dense
    in2f: Dense
    hidden: Dense
    output: Dense

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All matrices and biases."""
        layers = (self.filter_hidden, self.filter_output, self.hidden, self.output)
        return (*(tensor for layer in layers for tensor in (layer.weight, layer.bias)), self.in2f.weight)

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Self:
        """The block that gives these `tensors()`."""
        filter_hidden, filter_output, hidden, output = (Dense(*tensors[k : k + 2]) for k in range(0, 8, 2))
        return cls(filter_hidden, filter_output, Dense(tensors[8]), hidden, output)

    def table(self, grid: Grid) -> torch.Tensor:
        """The filter at the grid's distances, [K + 1, F]."""
        return self.filter_output(_shifted_softplus(self.filter_hidden(grid.basis))) * grid.cutoff[:, None]


class Spare:
    """Memory of past forward passes, for the next ones: fresh memory costs as much time as the computation."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """A float32 array of at least `size` numbers, not set to anything."""
        try:
            array = self._free.pop()
        except IndexError:
            array = _kernels.zeros((0,), np.float32)
        return array if len(array) >= size else _kernels.zeros((size + size // 8,), np.float32)

    def give(self, array: np.ndarray) -> None:
        """Take back what `take` gave."""
        self._free.append(array)

    def __deepcopy__(self, memo: dict) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple:
        return type(self), ()


def can_interact(embedding: torch.Tensor) -> bool:
    """Whether features of this kind go through compiled layers: on the CPU, in float32."""
    return embedding.device.type == "cpu" and embedding.dtype == torch.float32


def interact(
    embedding: torch.Tensor,
    numbers: torch.Tensor,
    layers: Sequence[Interaction],
    pairs: HalfList,
    grid: Grid,
    *,
    positions: torch.Tensor | None = None,
    spare: Spare | None = None,
    link: Link | None = None,
) -> torch.Tensor:
    """Atoms' features after all interaction blocks of SchNet, [A, F], differentiable in `embedding` and `layers`.

    With `positions` that need a gradient they are differentiable in these, too, and that derivative once more.

    Parameters
    ----------
    embedding
        Features that atoms begin with, float32 or float64 [N, F].
    numbers
        Each atom's row of `embedding`, int64 [A].
    layers
        The blocks, from the first to the last.
    pairs
        Which atoms see each other.
    grid
        Where filters are tabulated; it has no gradient.
    positions
        float32 or float64 [A, 3], Å, which the distances of `pairs` are of. Gradients with respect to them are for
        features in float32 on the CPU.
    spare
        Memory to use again, if passes follow each other.
    link
        Takes the pass through compiled layers, if there is one.

    Raises
    ------
    ValueError
        As for `convolve`; also layers that don't fit together, or none, a grid that needs a gradient, and positions
        that need one where there is none.
    IndexError
        A number that `embedding` has no row for.
    """
    _check_layers(embedding, numbers, layers, pairs, grid)
    forces = positions is not None and positions.requires_grad
    if can_interact(embedding):
        tensors, link = [tensor for layer in layers for tensor in layer.tensors()], link or Link()
        where = positions.detach() if forces else None
        x = _Interactions.apply(embedding, numbers, where, pairs, grid, spare or Spare(), link, *tensors)
        return of_positions(x, positions, link) if forces else x
    if forces:
        raise ValueError(f"no gradient with respect to positions for {embedding.dtype} on {embedding.device}")
    x = functional.embedding(numbers, embedding)
    for layer in layers:
        y = convolve(layer.in2f(x), layer.table(grid), pairs, end=grid.end)
        x = x + layer.output(_shifted_softplus(layer.hidden(y)))
    return x


def energies(
    features: torch.Tensor, n_atoms: torch.Tensor, hidden: Dense, output: Dense, *, threads: int
) -> torch.Tensor:
    """Each molecule's energy as SchNetPack's `Atomwise` sums it up: Σ_a output(silu(hidden(x_a))), [M].

    Differentiable in features and layers.

    Parameters
    ----------
    features
        x, float32 or float64 [A, F].
    n_atoms
        The molecules' numbers of atoms, int64 [M], which lie one after the other in `features`.
    hidden, output
        The layers [H, F] and [1, H].
    threads
        How many threads share the molecules.

    Raises
    ------
    ValueError
        Tensors that don't fit together.
    """
    offsets = torch.cat([n_atoms.new_zeros(1), n_atoms.cumsum(0)])
    if int(offsets[-1]) != len(features) or bool((n_atoms < 0).any()):
        raise ValueError(f"features of {len(features)} atoms, but molecules of {int(offsets[-1])}")
    width = len(hidden.weight)
    _check_layer("hidden", hidden, features, (width, features.shape[1]))
    _check_layer("output", output, features, (1, width))
    if features.device.type == "cpu" and features.dtype == torch.float32 and len(n_atoms):
        tensors = hidden.weight, hidden.bias, output.weight, output.bias
        return _Energies.apply(features, offsets, min(threads, len(n_atoms)), *tensors)
    atomic = output(functional.silu(hidden(features)))[:, 0]
    molecule = torch.arange(len(n_atoms), device=n_atoms.device).repeat_interleave(n_atoms)
    return atomic.new_zeros(len(n_atoms)).index_add(0, molecule, atomic)


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
    if features.device.type == "cpu":
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


def _shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """log(1 + eˣ) − log 2, SchNet's activation function."""
    return functional.softplus(x) - _LOG2


def _check_layers(
    embedding: torch.Tensor, numbers: torch.Tensor, layers: Sequence[Interaction], pairs: HalfList, grid: Grid
) -> None:
    if not layers:
        raise ValueError("there must be at least one interaction block")
    if grid.basis.requires_grad or grid.cutoff.requires_grad:
        raise ValueError("a grid has no gradient; use `convolve` for trainable basis functions")
    if grid.basis.shape[:-1] != grid.cutoff.shape or grid.cutoff.ndim != 1:
        raise ValueError(f"basis {list(grid.basis.shape)} and cut-off {list(grid.cutoff.shape)} must be of one grid")
    if not grid.basis.dtype == grid.cutoff.dtype == embedding.dtype:
        raise ValueError(f"the grid ({grid.basis.dtype}, {grid.cutoff.dtype}) must be of type {embedding.dtype}")
    n_rbf, width = grid.basis.shape[1], embedding.shape[1]
    _check_grid(len(numbers), len(grid.cutoff), pairs, grid.end)
    shapes = [(width, n_rbf), *[(width, width)] * 4]
    for layer in layers:
        given = layer.filter_hidden, layer.filter_output, layer.in2f, layer.hidden, layer.output
        for name, dense, shape in zip((field.name for field in fields(layer)), given, shapes, strict=True):
            _check_layer(name, dense, embedding, shape, with_bias=name != "in2f")
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(embedding):
        raise IndexError(
            f"atoms of kinds {int(numbers.min())} … {int(numbers.max())}, but an embedding of {len(embedding)} rows"
        )


def _check_layer(
    name: str, layer: Dense, features: torch.Tensor, shape: tuple[int, ...], *, with_bias: bool = True
) -> None:
    for tensor, expected in ((layer.weight, shape), (layer.bias, shape[:1])):
        if tensor is None and not with_bias:
            continue
        if tensor is None or tensor.shape != expected or tensor.dtype != features.dtype:
            found = "none" if tensor is None else f"{list(tensor.shape)} ({tensor.dtype})"
            raise ValueError(
                f"layer {name}: {found}, where features {list(features.shape)} ({features.dtype}) need {list(expected)}"
            )


def _check(features: torch.Tensor, table: torch.Tensor, pairs: HalfList, end: float) -> None:
    if features.ndim != 2 or table.ndim != 2 or features.shape[1] != table.shape[1]:
        raise ValueError(f"features {list(features.shape)} and table {list(table.shape)} must have one width")
    if features.dtype != table.dtype or features.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"features ({features.dtype}) and table ({table.dtype}) must both be float32 or float64")
    _check_grid(len(features), len(table), pairs, end)


def _check_grid(n_atoms: int, rows: int, pairs: HalfList, end: float) -> None:
    if rows <= MIN_INTERVALS:
        raise ValueError(f"a table of {rows} rows is too short to interpolate in: at least {MIN_INTERVALS + 1}")
    if not end > 0:
        raise ValueError(f"the table must end at a positive distance, not {end}")
    if n_atoms != pairs.n_atoms:
        raise ValueError(f"features of {n_atoms} atoms, but pairs of {pairs.n_atoms}")
    if pairs.distance.requires_grad:
        raise ValueError(
            "the convolution has no gradient with respect to distances; hand `interact` the positions that they are of"
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
        way = choice.way("schnet", features.shape[1])
        h, grid = (_kernels.padded(way, matrix.detach().numpy()) for matrix in (features, table))
        ctx.given = way, h, grid, pairs, end
        out = _kernels.convolve(way, h, grid, pairs.arrays(), pairs.shares(), end)
        return torch.from_numpy(out[:, : features.shape[1]].copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        way, h, grid, pairs, end = ctx.given
        g = _kernels.padded(way, gradient.detach().numpy())
        d_h, d_table = _kernels.convolve_gradients(way, h, grid, g, pairs.arrays(), pairs.shares(), end)
        width = gradient.shape[1]
        return torch.from_numpy(d_h[:, :width].copy()), torch.from_numpy(d_table[:, :width].copy()), None, None


class _Blocks:
    """Interaction blocks as the compiled loops take them, and filters tabulated; see `forces.Layers`."""

    def __init__(
        self, embedding: torch.Tensor, grid: Grid, tensors: Sequence[torch.Tensor], pairs: HalfList, spare: Spare
    ) -> None:
        size = len(Interaction.__dataclass_fields__) * 2 - 1
        layers = [Interaction.of(tensors[start : start + size]) for start in range(0, len(tensors), size)]
        self._end, self._last, self._spare = _rounded(grid.end, pairs), len(grid.cutoff) - 1, spare
        self._way = way = choice.way("schnet", embedding.shape[1])

        def stacked(matrices: Sequence) -> np.ndarray:
            """Matrices, or lists of them, of one shape, in one array as the compiled loops need it."""
            return _kernels.padded(way, np.array(matrices))

        basis = _kernels.padded(way, _array(grid.basis), more_rows=_kernels.ROWS - 1)
        cutoff = _array(grid.cutoff)
        expand = stacked([_array(layer.filter_hidden.weight).T for layer in layers])
        output = [_array(layer.filter_output.weight) for layer in layers]
        filter_biases = stacked([_biases(layer.filter_hidden, layer.filter_output) for layer in layers])
        found = _kernels.tabulate(
            way, basis, cutoff, expand, stacked([matrix.T for matrix in output]), filter_biases, pairs.threads
        )
        matrices = [[_array(dense.weight) for dense in (layer.in2f, layer.hidden, layer.output)] for layer in layers]
        self._embedding = _array(embedding)
        self._into = stacked([[matrix.T for matrix in three] for three in matrices])
        self._biases = stacked([_biases(layer.in2f, layer.hidden, layer.output) for layer in layers])
        self._filters = basis, cutoff, stacked(output), found
        self._back, self._n_rbf = stacked(matrices), grid.basis.shape[1]

    def forward(self, atoms: Atoms) -> tuple[np.ndarray, "_Loan"]:
        tables, shares = self._filters[-1][0], atoms.pairs.shares()
        kept = _Loan(self._spare, _kernels.kept_shapes(shares, len(tables), tables.shape[2]))
        out = _kernels.interact(
            self._way,
            self._embedding,
            atoms.numbers,
            tables,
            self._last,
            self._into,
            self._biases,
            atoms.pairs.arrays(),
            shares,
            self._end,
            kept.arrays,
        )
        return out, kept

    def backward(
        self, atoms: Atoms, kept: "_Loan", gradient: np.ndarray, *, parameters: bool, positions: bool
    ) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
        basis, cutoff, filter_back, found = self._filters
        of_parameters, of_positions = _kernels.interact_gradients(
            self._way,
            gradient,
            atoms.numbers,
            atoms.positions if positions else None,
            len(self._embedding),
            found[0],
            self._last,
            self._back,
            atoms.pairs.arrays(),
            atoms.pairs.shares(),
            self._end,
            kept.arrays,
            parameters=parameters,
        )
        if of_parameters is None:
            return None, of_positions
        d_embedding, d_tables, d_matrices, d_biases = of_parameters
        d_expand, d_into, d_filter_biases = _kernels.tabulate_gradients(
            self._way, d_tables, basis, cutoff, filter_back, found, atoms.pairs.threads
        )
        f, n_rbf = gradient.shape[1], self._n_rbf
        gradients = [d_embedding]
        for k in range(len(self._back)):
            gradients += [d_expand[k, :f, :n_rbf], d_filter_biases[k, 0, 0, :f]]
            gradients += [d_into[k, :f, :f], d_filter_biases[k, 1, 0, :f]]
            gradients += [d_matrices[k, 1, :f, :f], d_biases[k, 1, 0, :f]]
            gradients += [d_matrices[k, 2, :f, :f], d_biases[k, 2, 0, :f], d_matrices[k, 0, :f, :f]]
        return gradients, of_positions


class _Interactions(torch.autograd.Function):
    """The compiled interaction blocks as a node of torch's graph."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        embedding: torch.Tensor,
        numbers: torch.Tensor,
        positions: torch.Tensor | None,
        pairs: HalfList,
        grid: Grid,
        spare: Spare,
        link: Link,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        link.only = Pass(_Blocks(embedding, grid, tensors, pairs, spare), Atoms.of(numbers, positions, pairs))
        ctx.link = link
        return torch.from_numpy(link.only.out)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        d_embedding, *gradients = map(torch.from_numpy, ctx.link.parameters(_array(gradient)))
        return d_embedding, None, None, None, None, None, None, *gradients


class _Energies(torch.autograd.Function):
    """The compiled readout as a node of torch's graph."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: torch.Tensor,
        offsets: torch.Tensor,
        threads: int,
        hidden: torch.Tensor,
        hidden_bias: torch.Tensor,
        output: torch.Tensor,
        output_bias: torch.Tensor,
    ) -> torch.Tensor:
        x, molecules = _array(features), _array(offsets)
        way, matrix = choice.way("schnet", x.shape[1]), _array(hidden)
        given = matrix.T, matrix, _array(hidden_bias)[None], _array(output)
        into, back, biases, (weights,) = (_kernels.padded(way, array) for array in given)
        goals = np.arange(threads + 1) * len(x) // threads
        shares = np.searchsorted(molecules, goals)
        shares[-1] = len(molecules) - 1
        total, slope, sums = _kernels.energies(way, x, molecules, into, biases, weights, shares)
        ctx.given = way, x, molecules, back, weights, shares, slope, sums
        total += np.diff(molecules).astype(x.dtype) * output_bias.item()
        return torch.from_numpy(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        way, x, molecules, back, weights, shares, slope, sums = ctx.given
        g, width = _array(gradient), len(back)
        d_x, d_hidden, d_bias = _kernels.energies_gradients(way, g, x, molecules, back, weights, shares, slope)
        # In double precision: sums over all molecules, and over all atoms.
        with np.errstate(over="ignore"):  # of a training that explodes; the losses say so
            d_output = (g.astype(float) @ sums[:, :width]).astype(x.dtype)
        d_output_bias = np.array([g.astype(float) @ np.diff(molecules)]).astype(x.dtype)
        found = d_x, None, None, d_hidden[:width, : x.shape[1]], d_bias[:width], d_output[None], d_output_bias
        return tuple(None if array is None else torch.from_numpy(array) for array in found)


class _Loan:
    """Arrays of some shapes in spare memory, given back when nobody refers to them any more."""

    def __init__(self, spare: Spare, shapes: list[tuple[int, ...]]) -> None:
        sizes = [int(np.prod(shape)) for shape in shapes]
        memory = spare.take(sum(sizes))
        weakref.finalize(self, spare.give, memory).atexit = False
        ends = np.cumsum(sizes)
        self.arrays = [
            memory[end - size : end].reshape(shape) for shape, size, end in zip(shapes, sizes, ends, strict=True)
        ]


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's numbers, C-ordered."""
    return tensor.detach().contiguous().numpy()


def _biases(*layers: Dense) -> list[np.ndarray]:
    """The layers' biases as rows [1, F]; zeros for none."""
    return [
        np.zeros((1, len(layer.weight)), np.float32) if layer.bias is None else _array(layer.bias)[None]
        for layer in layers
    ]
