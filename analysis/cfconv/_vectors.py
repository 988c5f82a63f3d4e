"""Loops over vector registers, written as LLVM instructions for numba.

A compiler that cannot rule out that two rows of an array overlap works number by number, or checks it at run time for
each row. And no BLAS serves matrices that are thousands of atoms high and a few dozen features wide at the processor's
full rate. So the four inner loops of SchNet are written out here, tile by tile: a tile is a few neighbouring vectors of
columns, whose sums stay in registers.

All matrices are C-ordered, all have the same number of columns, which is a multiple of `padded_width`'s unit: no loop
has a remainder to look after.
"""

from collections.abc import Callable

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

NODES = 4
"""Nodes of the grid that a filter is interpolated from."""

# A product and a sum may become one instruction. Nothing else may be reordered, or results would depend on LLVM.
_CONTRACT = ("contract",)


def _registers() -> tuple[int, int]:
    """Bytes and number of this processor's vector registers, as far as they matter here."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx"):
        return 32, 16
    return 16, 32 if features.get("neon") else 16


VECTOR_BYTES, _NUMBER = _registers()
WIDEST_TILE = 4 if _NUMBER == 32 else 2
"""Vectors in a tile at most: with eight or four rows of sums, more would not fit the registers."""
ROWS = 8
"""Rows that a product may write beyond the last one asked for."""


def padded_width(width: int, itemsize: int) -> int:
    """The number of columns that a matrix of `width` columns needs here."""
    unit = max(VECTOR_BYTES // itemsize, ROWS)
    return -(-width // unit) * unit


class _Tile:
    """Writes instructions for `vectors` neighbouring vectors of columns, from `column` on, of the matrices named."""

    def __init__(self, context, builder, signature, values, names: str) -> None:
        self.builder = builder
        self._arguments = dict(zip(names.split(), zip(signature.args, values, strict=True), strict=True))
        self._arrays = {
            name: context.make_array(kind)(context, builder, value)
            for name, (kind, value) in self._arguments.items()
            if isinstance(kind, types.Array)
        }
        self._element = {name: context.get_data_type(self._arguments[name][0].dtype) for name in self._arrays}
        self._context = context
        self.vectors = self.constant("vectors")
        self._itemsize = self._arguments[names.split()[0]][0].dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self._itemsize
        self.type = ir.VectorType(self._element[names.split()[0]], self.lanes)

    def constant(self, name: str) -> int:
        """A literal argument."""
        return self._arguments[name][0].literal_value

    def integer(self, name: str) -> ir.Value:
        """An argument as a machine integer."""
        kind, value = self._arguments[name]
        return self._context.cast(self.builder, value, kind, types.intp)

    def item(self, array: str, *indices: ir.Value) -> ir.Value:
        """One number of an array."""
        value = self.builder.load(self._place(array, *indices))
        kind = self._arguments[array][0].dtype
        return self._context.cast(self.builder, value, kind, types.intp) if isinstance(kind, types.Integer) else value

    def load(self, matrix: str, row: ir.Value) -> list[ir.Value]:
        """The tile's part of one row."""
        return [self.builder.load(place, align=self._itemsize) for place in self._places(matrix, row)]

    def store(self, vectors: list[ir.Value], matrix: str, row: ir.Value) -> None:
        """Write the tile's part of one row."""
        for vector, place in zip(vectors, self._places(matrix, row), strict=True):
            self.builder.store(vector, place, align=self._itemsize)

    def spread(self, scalar: ir.Value) -> ir.Value:
        """The same number in all lanes."""
        empty = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, empty, everywhere)

    def multiply(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fmul(a, b, flags=_CONTRACT)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.builder.fadd(c, self.multiply(a, b), flags=_CONTRACT)

    def zeros(self) -> list[ir.Value]:
        return [ir.Constant(self.type, None)] * self.vectors

    def variables(self) -> list[ir.Value]:
        """Places for a tile's part of one row, which LLVM keeps in registers."""
        return [cgutils.alloca_once(self.builder, self.type) for _ in range(self.vectors)]

    def read(self, variables: list[ir.Value]) -> list[ir.Value]:
        return [self.builder.load(variable) for variable in variables]

    def write(self, vectors: list[ir.Value], variables: list[ir.Value]) -> None:
        for vector, variable in zip(vectors, variables, strict=True):
            self.builder.store(vector, variable)

    def filter(self, pair: ir.Value) -> tuple[ir.Value, list[ir.Value], list[ir.Value]]:
        """A pair's first node, the nodes' weights (spread), and the filter between the nodes."""
        node = self.item("node", pair)
        weights = [self.spread(self.item("weights", pair, self.number(q))) for q in range(NODES)]
        rows = [self.load("table", self.builder.add(node, self.number(q))) for q in range(NODES)]
        value = [self.multiply(weights[0], column) for column in rows[0]]
        for weight, row in zip(weights[1:], rows[1:], strict=True):
            value = [self.multiply_add(weight, column, sum_) for column, sum_ in zip(row, value, strict=True)]
        return node, weights, value

    def number(self, value: int) -> ir.Constant:
        return ir.Constant(ir.IntType(types.intp.bitwidth), value)

    def for_pairs(self, held: list[tuple[str, list[ir.Value]]], body: Callable[[ir.Value, ir.Value], None]) -> None:
        """A loop over pairs which holds rows of the first atom in registers as long as it stays the same.

        `held` are matrices and their variables; the last one is written back.
        """
        builder = self.builder
        start, stop = self.integer("start"), self.integer("stop")
        current = cgutils.alloca_once(builder, start.type)

        def take(atom: ir.Value) -> None:
            builder.store(atom, current)
            for matrix, variables in held:
                self.write(self.load(matrix, atom), variables)

        def put_back() -> None:
            matrix, variables = held[-1]
            self.store(self.read(variables), matrix, builder.load(current))

        with builder.if_then(builder.icmp_signed("<", start, stop)):
            take(self.item("first", start))
            with cgutils.for_range_slice(builder, start, stop, self.number(1)) as (pair, _):
                atom = self.item("first", pair)
                with builder.if_then(builder.icmp_signed("!=", atom, builder.load(current)), likely=False):
                    put_back()
                    take(atom)
                body(pair, self.item("second", pair))
            put_back()

    def _place(self, array: str, *indices: ir.Value) -> ir.Value:
        offset = indices[0]
        if len(indices) == 2:
            width = cgutils.unpack_tuple(self.builder, self._arrays[array].shape)[1]
            offset = self.builder.add(self.builder.mul(offset, width), indices[1])
        return self.builder.gep(self._arrays[array].data, [offset])

    def _places(self, matrix: str, row: ir.Value) -> list[ir.Value]:
        first = self._place(matrix, row, self.integer("column"))
        return [
            self.builder.bitcast(self.builder.gep(first, [self.number(v * self.lanes)]), self.type.as_pointer())
            for v in range(self.vectors)
        ]


@intrinsic(prefer_literal=True)
def product_tile(typingctx, x, w, bias, out, row, column, depth, vectors, rows, residual):  # noqa: ARG001
    """out[row + r] = bias[0] + Σ_k x[row + r, k] w[k], for r < rows and k < depth; added to out if `residual` is 1."""

    def codegen(context, builder, signature, values):
        tile = _Tile(context, builder, signature, values, "x w bias out row column depth vectors rows residual")
        places = [builder.add(tile.integer("row"), tile.number(r)) for r in range(tile.constant("rows"))]
        sums = [tile.variables() for _ in places]
        for variables in sums:
            tile.write(tile.load("bias", tile.number(0)), variables)
        with cgutils.for_range(builder, tile.integer("depth")) as loop:
            weights = tile.load("w", loop.index)
            for place, variables in zip(places, sums, strict=True):
                value = tile.spread(tile.item("x", place, loop.index))
                added = zip(weights, tile.read(variables), strict=True)
                tile.write([tile.multiply_add(value, weight, sum_) for weight, sum_ in added], variables)
        for place, variables in zip(places, sums, strict=True):
            result = tile.read(variables)
            if tile.constant("residual"):
                result = [builder.fadd(a, b) for a, b in zip(tile.load("out", place), result, strict=True)]
            tile.store(result, "out", place)
        return context.get_dummy_value()

    return types.void(x, w, bias, out, row, column, depth, vectors, rows, residual), codegen


@intrinsic(prefer_literal=True)
def outer_tile(typingctx, g, x, out, row, column, count, vectors, rows):  # noqa: ARG001
    """out[row + r] += Σ_a g[a, row + r] x[a], for r < rows and a < count."""

    def codegen(context, builder, signature, values):
        tile = _Tile(context, builder, signature, values, "g x out row column count vectors rows")
        places = [builder.add(tile.integer("row"), tile.number(r)) for r in range(tile.constant("rows"))]
        sums = [tile.variables() for _ in places]
        for variables in sums:
            tile.write(tile.zeros(), variables)
        with cgutils.for_range(builder, tile.integer("count")) as loop:
            features = tile.load("x", loop.index)
            for place, variables in zip(places, sums, strict=True):
                value = tile.spread(tile.item("g", loop.index, place))
                added = zip(features, tile.read(variables), strict=True)
                tile.write([tile.multiply_add(value, feature, sum_) for feature, sum_ in added], variables)
        for place, variables in zip(places, sums, strict=True):
            added = zip(tile.load("out", place), tile.read(variables), strict=True)
            tile.store([builder.fadd(a, b) for a, b in added], "out", place)
        return context.get_dummy_value()

    return types.void(g, x, out, row, column, count, vectors, rows), codegen


@intrinsic(prefer_literal=True)
def convolution_tile(typingctx, h, table, out, first, second, node, weights, start, stop, column, vectors):  # noqa: ARG001
    """out[i] += W ∘ h[j] and out[j] += W ∘ h[i] for the pairs start:stop, with W interpolated in the table."""
    names = "h table out first second node weights start stop column vectors"

    def codegen(context, builder, signature, values):
        tile = _Tile(context, builder, signature, values, names)
        h_i, out_i = tile.variables(), tile.variables()

        def body(pair: ir.Value, j: ir.Value) -> None:
            _, _, w = tile.filter(pair)
            h_j, out_j = tile.load("h", j), tile.load("out", j)
            tile.write([tile.multiply_add(*x) for x in zip(w, h_j, tile.read(out_i), strict=True)], out_i)
            tile.store([tile.multiply_add(*x) for x in zip(w, tile.read(h_i), out_j, strict=True)], "out", j)

        tile.for_pairs([("h", h_i), ("out", out_i)], body)
        return context.get_dummy_value()

    return types.void(h, table, out, first, second, node, weights, start, stop, column, vectors), codegen


@intrinsic(prefer_literal=True)
def convolution_gradient_tile(
    typingctx,  # noqa: ARG001
    h,
    table,
    g,
    d_h,
    d_table,
    first,
    second,
    node,
    weights,
    start,
    stop,
    column,
    vectors,
):
    """What the pairs start:stop add to the gradients with respect to h and the table."""
    names = "h table g d_h d_table first second node weights start stop column vectors"

    def codegen(context, builder, signature, values):
        tile = _Tile(context, builder, signature, values, names)
        h_i, g_i, d_i = tile.variables(), tile.variables(), tile.variables()

        def body(pair: ir.Value, j: ir.Value) -> None:
            node, weights, w = tile.filter(pair)
            h_j, g_j = tile.load("h", j), tile.load("g", j)
            tile.write([tile.multiply_add(*x) for x in zip(w, g_j, tile.read(d_i), strict=True)], d_i)
            d_j = [tile.multiply_add(*x) for x in zip(w, tile.read(g_i), tile.load("d_h", j), strict=True)]
            tile.store(d_j, "d_h", j)
            at_j = [tile.multiply(*x) for x in zip(g_j, tile.read(h_i), strict=True)]
            d_w = [tile.multiply_add(*x) for x in zip(tile.read(g_i), h_j, at_j, strict=True)]
            for q, weight in enumerate(weights):
                row = builder.add(node, tile.number(q))
                sums = zip(d_w, tile.load("d_table", row), strict=True)
                tile.store([tile.multiply_add(weight, value, sum_) for value, sum_ in sums], "d_table", row)

        tile.for_pairs([("h", h_i), ("g", g_i), ("d_h", d_i)], body)
        return context.get_dummy_value()

    kinds = (h, table, g, d_h, d_table, first, second, node, weights, start, stop, column, vectors)
    return types.void(*kinds), codegen


@intrinsic
def float_from_bits(typingctx, bits):  # noqa: ARG001
    """The float32 with these 32 bits."""

    def codegen(context, builder, signature, values):  # noqa: ARG001
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.int32), codegen
