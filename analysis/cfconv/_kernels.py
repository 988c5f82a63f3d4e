"""The convolution's inner loops, compiled by numba for the processor at hand.

A pair costs a few dozen vector operations, and the two rows that it adds to may be any two rows of one array. A
compiler that cannot rule out that they overlap checks it at run time for each pair, or works number by number. So
the loops over features are written out here as vector instructions of LLVM, 32 numbers at a time, then 16, eight,
four, two and one: no width needs padding, and none is slow.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import intrinsic

_LANES = 32  # two registers of AVX-512, four of AVX2; LLVM splits it to fit the processor
_NODES = 4
# A product and a sum may become one instruction. Nothing else may be reordered, or results would depend on LLVM.
_CONTRACT = ("contract",)


class _Vectors:
    """Writes the instructions for `lanes` neighbouring columns of matrix rows."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, itemsize: int) -> None:
        self.builder = builder
        self.element = element
        self.itemsize = itemsize
        self.lanes = 1
        self.column: ir.Value | None = None

    def _address(self, row: ir.Value) -> ir.Value:
        place = self.builder.gep(row, [self.column])
        return self.builder.bitcast(place, ir.VectorType(self.element, self.lanes).as_pointer())

    def load(self, row: ir.Value) -> ir.Value:
        return self.builder.load(self._address(row), align=self.itemsize)

    def store(self, vector: ir.Value, row: ir.Value) -> None:
        self.builder.store(vector, self._address(row), align=self.itemsize)

    def spread(self, scalar: ir.Value) -> ir.Value:
        """The same number in all lanes."""
        empty = ir.Constant(ir.VectorType(self.element, self.lanes), ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, empty, everywhere)

    def multiply(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fmul(a, b, flags=_CONTRACT)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.builder.fadd(c, self.multiply(a, b), flags=_CONTRACT)

    def filter(self, weights: Sequence[ir.Value], rows: Sequence[ir.Value]) -> ir.Value:
        """The filter between the nodes of the grid: a weighted sum of rows of the table."""
        value = self.multiply(self.spread(weights[0]), self.load(rows[0]))
        for weight, row in zip(weights[1:], rows[1:], strict=True):
            value = self.multiply_add(self.spread(weight), self.load(row), value)
        return value


class _Emitter:
    """What an intrinsic needs to know of its arguments, by name."""

    def __init__(
        self, context: BaseContext, builder: ir.IRBuilder, signature: Signature, names: str, values: Sequence[ir.Value]
    ) -> None:
        self.context = context
        self.builder = builder
        self._arguments = dict(zip(names.split(), zip(signature.args, values, strict=True), strict=True))

    def row(self, matrix: str, index: str, shift: int = 0) -> ir.Value:
        """Address of row `index` + `shift` of a C-ordered matrix."""
        kind, value = self._arguments[matrix]
        index_kind, index_value = self._arguments[index]
        array = self.context.make_array(kind)(self.context, self.builder, value)
        position = self.context.cast(self.builder, index_value, index_kind, types.intp)
        position = self.builder.add(position, ir.Constant(position.type, shift))
        return self.builder.gep(array.data, [self.builder.mul(position, self._width(matrix))])

    def rows(self, matrix: str, index: str) -> list[ir.Value]:
        """Addresses of the rows of a grid's nodes, from row `index` on."""
        return [self.row(matrix, index, shift) for shift in range(_NODES)]

    def weights(self, name: str, matrix: str) -> list[ir.Value]:
        """The nodes' weights, as numbers of the matrix's type."""
        kind, value = self._arguments[name]
        element = self._arguments[matrix][0].dtype
        parts = cgutils.unpack_tuple(self.builder, value)
        return [self.context.cast(self.builder, part, kind.dtype, element) for part in parts]

    def _width(self, matrix: str) -> ir.Value:
        kind, value = self._arguments[matrix]
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return cgutils.unpack_tuple(self.builder, array.shape)[1]

    def across_columns(self, matrix: str, emit: Callable[[_Vectors], None]) -> None:
        """Write a loop over all columns of `matrix`, `_LANES` at a time, and then what is left over by halves."""
        builder, width = self.builder, self._width(matrix)
        dtype = self._arguments[matrix][0].dtype
        vectors = _Vectors(builder, self.context.get_data_type(dtype), dtype.bitwidth // 8)

        def constant(number: int) -> ir.Constant:
            return ir.Constant(width.type, number)

        def write(lanes: int, column: ir.Value) -> None:
            vectors.lanes, vectors.column = lanes, column
            emit(vectors)

        done = builder.and_(width, constant(-_LANES))
        with cgutils.for_range_slice(builder, constant(0), done, constant(_LANES)) as (column, _):
            write(_LANES, column)
        lanes = _LANES // 2
        while lanes:
            left = builder.and_(width, constant(lanes))
            with builder.if_then(builder.icmp_unsigned("!=", left, constant(0))):
                write(lanes, done)
            done = builder.add(done, left)
            lanes //= 2


@intrinsic
def _add_pair(typingctx, features, table, out, i, j, node, weights):  # noqa: ARG001
    """out[i] += W * features[j] and out[j] += W * features[i], with W interpolated in the table."""
    names = "features table out i j node weights"

    def codegen(context, builder, signature, values):
        emitter = _Emitter(context, builder, signature, names, values)
        feature_i, feature_j = emitter.row("features", "i"), emitter.row("features", "j")
        out_i, out_j = emitter.row("out", "i"), emitter.row("out", "j")
        nodes, shares = emitter.rows("table", "node"), emitter.weights("weights", "table")

        def emit(v: _Vectors) -> None:
            w = v.filter(shares, nodes)
            sum_i = v.multiply_add(w, v.load(feature_j), v.load(out_i))
            sum_j = v.multiply_add(w, v.load(feature_i), v.load(out_j))
            v.store(sum_i, out_i)
            v.store(sum_j, out_j)

        emitter.across_columns("features", emit)
        return context.get_dummy_value()

    return types.void(features, table, out, i, j, node, weights), codegen


@intrinsic
def _add_pair_gradients(typingctx, features, table, gradient, d_features, d_table, i, j, node, weights):  # noqa: ARG001
    """What a pair adds to the gradients with respect to the features and the table."""
    names = "features table gradient d_features d_table i j node weights"

    def codegen(context, builder, signature, values):
        emitter = _Emitter(context, builder, signature, names, values)
        feature_i, feature_j = emitter.row("features", "i"), emitter.row("features", "j")
        gradient_i, gradient_j = emitter.row("gradient", "i"), emitter.row("gradient", "j")
        d_i, d_j = emitter.row("d_features", "i"), emitter.row("d_features", "j")
        nodes, d_nodes = emitter.rows("table", "node"), emitter.rows("d_table", "node")
        shares = emitter.weights("weights", "table")

        def emit(v: _Vectors) -> None:
            w = v.filter(shares, nodes)
            g_i, g_j = v.load(gradient_i), v.load(gradient_j)
            sum_i = v.multiply_add(w, g_j, v.load(d_i))
            sum_j = v.multiply_add(w, g_i, v.load(d_j))
            d_w = v.multiply_add(g_i, v.load(feature_j), v.multiply(g_j, v.load(feature_i)))
            d_sums = [
                v.multiply_add(v.spread(share), d_w, v.load(row)) for share, row in zip(shares, d_nodes, strict=True)
            ]
            v.store(sum_i, d_i)
            v.store(sum_j, d_j)
            for d_sum, row in zip(d_sums, d_nodes, strict=True):
                v.store(d_sum, row)

        emitter.across_columns("features", emit)
        return context.get_dummy_value()

    return types.void(features, table, gradient, d_features, d_table, i, j, node, weights), codegen


@njit(cache=True, nogil=True)
def _stencil(coordinate: float, last: int):
    """First of the four nodes around a coordinate, and Lagrange's cubic weights of the four."""
    node = min(max(int(coordinate) - 1, 0), last - 3)
    a = coordinate - node
    b, c, d = a - 1.0, a - 2.0, a - 3.0
    return node, (b * c * d / -6.0, a * c * d / 2.0, a * b * d / -2.0, a * b * c / 6.0)


@njit(cache=True, nogil=True)
def _add_pairs(features, table, first, second, distance, start, stop, end, out) -> None:
    last = table.shape[0] - 1
    scale = last / end
    for p in range(start, stop):
        if distance[p] <= end:
            node, weights = _stencil(distance[p] * scale, last)
            _add_pair(features, table, out, first[p], second[p], node, weights)


@njit(cache=True, nogil=True)
def _add_gradients(features, table, gradient, first, second, distance, start, stop, end, d_features, d_table) -> None:
    last = table.shape[0] - 1
    scale = last / end
    for p in range(start, stop):
        if distance[p] <= end:
            node, weights = _stencil(distance[p] * scale, last)
            i, j = first[p], second[p]
            _add_pair_gradients(features, table, gradient, d_features, d_table, i, j, node, weights)


def forward(
    features: np.ndarray,
    table: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    distance: np.ndarray,
    chunks: np.ndarray,
    end: float,
    out: np.ndarray,
) -> None:
    """Add the convolution to `out`, one chunk of pairs per thread; no atom may be in two chunks.

    All arrays are C-ordered.
    """

    def work(_: int, start: int, stop: int) -> None:
        _add_pairs(features, table, first, second, distance, start, stop, end, out)

    _share_out(work, chunks)


def backward(
    features: np.ndarray,
    table: np.ndarray,
    gradient: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    distance: np.ndarray,
    chunks: np.ndarray,
    end: float,
    d_features: np.ndarray,
    d_tables: np.ndarray,
) -> None:
    """Add the gradients to `d_features` and, each chunk to a table of its own, to `d_tables` [C, K + 1, F]."""

    def work(chunk: int, start: int, stop: int) -> None:
        d_table = d_tables[chunk]
        _add_gradients(features, table, gradient, first, second, distance, start, stop, end, d_features, d_table)

    _share_out(work, chunks)


def _share_out(work: Callable[[int, int, int], None], chunks: np.ndarray) -> None:
    """Do each chunk in a thread of its own, the first one in the caller's.

    The loops let go of Python's lock. Threads of numba's own would come with a second OpenMP beside torch's: on few
    cores each of the two then waits, spinning, for the cores that the other one has.
    """
    (own, *others) = [(chunk, int(start), int(stop)) for chunk, (start, stop) in enumerate(pairwise(chunks))]
    waiting = [_helpers(os.getpid(), len(others)).submit(work, *other) for other in others]
    work(*own)
    for future in waiting:
        future.result()


@lru_cache(maxsize=1)
def _helpers(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001 (threads do not survive a fork)
    return ThreadPoolExecutor(threads, thread_name_prefix="cfconv")
