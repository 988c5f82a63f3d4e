"""The compiled loops of the convolution and of the rest of SchNet, and how threads share them.

A molecule's atoms see only each other. So a thread takes some of the molecules, block by block, through all
interactions before the next block: what it works on stays in its own cache, and threads wait for each other once per
pass.

A compiler that cannot rule out that two rows of an array overlap works number by number, or checks it at run time for
each row. And no BLAS serves matrices that are thousands of atoms high and a few dozen features wide at the processor's
full rate. So the four inner loops of SchNet are written out as LLVM instructions, tile by tile: a tile is a few
neighbouring vectors of columns, whose sums stay in registers. All matrices are C-ordered, all have the same number of
columns, which `padded_width` rounds up: no loop has a remainder to look after.

One file on purpose: numba's cache of compiled loops notices changes in the file that a loop stands in, and in no
other.
"""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import NativeValue, intrinsic, models, overload, register_model, typeof_impl, unbox

from fused.choice import Way
from fused.compiled import compiled

NODES = 4
"""Nodes of the grid that a filter is interpolated from."""

_LOG2_HIGH, _LOG2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_PER_LOG2 = np.float32(1.4426950408889634)
_PART = 64  # rows that are summed before their sum goes to the others: long sums in float32 lose digits
_FEW = 16  # and fewer where nothing but a sum is made: what comes with different signs loses more of them
_TOGETHER = 32  # molecules that are read out at a time: they fit into a core's cache
_TINY = np.float32(80)  # exp(-80) is nothing beside 1, and still a normal number
# A product and a sum may become one instruction. Nothing else may be reordered, or results would depend on LLVM.
_CONTRACT = ("contract",)


ROWS = 8
"""Rows that a product may write beyond the last one asked for."""
_LINE = 64  # bytes of a line of the cache, which is also the widest vector
_ROOM = 16  # numbers that lie before the first line in an array's memory, at most


def padded_rows(count: int) -> int:
    """The number of rows that a matrix of `count` rows needs here to be added to."""
    return -(-count // ROWS) * ROWS


def padded_width(way: Way, width: int, itemsize: int) -> int:
    """The number of columns that a matrix of `width` columns needs for a way to work."""
    unit = max(way.vector // itemsize, ROWS)
    return -(-width // unit) * unit


class _WayType(types.Type):
    """A `Way` as a type: loops are compiled for each one apart. The value is the address of the library's SGEMM."""

    def __init__(self, way: Way) -> None:
        self.way = way
        super().__init__(f"Way({way})")


@register_model(_WayType)
class _WayModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, ir.IntType(types.intp.bitwidth))


@typeof_impl.register(Way)
def _type_of_way(way: Way, context) -> _WayType:  # noqa: ARG001
    return _type_without_block(way)


@cache
def _type_without_block(way: Way) -> _WayType:
    return _WayType(replace(way, block=0))


@unbox(_WayType)
def _unbox_way(kind, obj, c) -> NativeValue:  # noqa: ARG001
    address = c.pyapi.object_getattr_string(obj, "sgemm")
    value = c.pyapi.long_as_longlong(address)
    c.pyapi.decref(address)
    return NativeValue(value)


@intrinsic
def for_products(typingctx, way):  # noqa: ARG001
    """A way as far as dense products depend on it: what differs elsewhere alone has the same compiled loops."""
    return _narrowed(way, pairs=1)


@intrinsic
def for_pairs(typingctx, way):  # noqa: ARG001
    """A way as far as loops over pairs or rows depend on it."""
    return _narrowed(way, rows=ROWS, columns=1, library=False)


def _narrowed(kind: _WayType, **fixed: int) -> tuple:
    def codegen(context, builder, signature, values):  # noqa: ARG001
        return values[0]

    return _WayType(replace(kind.way, **fixed))(kind), codegen


class _Tiles:
    """Writes instructions tile by tile: for `vectors` neighbouring vectors of columns of the matrices named.

    The first argument named is the way to work; the second is a matrix of the numbers that all vectors hold.

    What is written within `columns` is written once for each width that a tile can have.
    """

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
        self.vectors, self._column, self._width = 0, None, None
        self.way: Way = signature.args[0].way
        like = names.split()[1]
        self._itemsize = self._arguments[like][0].dtype.bitwidth // 8
        self.lanes = self.way.vector // self._itemsize
        self.type = ir.VectorType(self._element[like], self.lanes)

    def columns(self, matrix: str, widest: int) -> Iterator[None]:
        """A loop over all columns of a matrix: tiles of the `widest`, then one as wide as what is left."""
        builder = self.builder
        self._width = width = cgutils.unpack_tuple(builder, self._arrays[matrix].shape)[1]
        step = self.number(widest * self.lanes)
        left = builder.srem(width, step)
        whole = builder.sub(width, left)
        self.vectors = widest
        with cgutils.for_range_slice(builder, self.number(0), whole, step) as (self._column, _):
            yield
        self._column = whole
        for self.vectors in range(1, widest):
            with builder.if_then(builder.icmp_signed("==", left, self.number(self.vectors * self.lanes))):
                yield

    def rows(self, count: ir.Value) -> Iterator[list[ir.Value]]:
        """A loop over rows, as many at a time as leave their sums in registers; up to ROWS − 1 too many."""
        together = ROWS if self.vectors == 1 else self.way.rows
        with cgutils.for_range_slice(self.builder, self.number(0), count, self.number(together)) as (row, _):
            yield [self.builder.add(row, self.number(r)) for r in range(together)]

    def length(self, array: str) -> ir.Value:
        """Number of an array's rows."""
        return cgutils.unpack_tuple(self.builder, self._arrays[array].shape)[0]

    def integer(self, name: str) -> ir.Value:
        """An argument as a machine integer."""
        kind, value = self._arguments[name]
        return self._context.cast(self.builder, value, kind, types.intp)

    def item(self, array: str, *indices: ir.Value) -> ir.Value:
        """One number of an array."""
        value = self.builder.load(self._place(array, *indices))
        kind = self._arguments[array][0].dtype
        return self._context.cast(self.builder, value, kind, types.intp) if isinstance(kind, types.Integer) else value

    def load(self, matrix: str, row: ir.Value, part: int = 0) -> list[ir.Value]:
        """The tile's columns of one row, in the matrix's `part` of as many columns as the loop goes over."""
        return [self.builder.load(place, align=self._itemsize) for place in self._places(matrix, row, part)]

    def store(self, vectors: list[ir.Value], matrix: str, row: ir.Value, part: int = 0) -> None:
        """Write the tile's columns of one row."""
        for vector, place in zip(vectors, self._places(matrix, row, part), strict=True):
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

    def sum(self, a: list[ir.Value], b: list[ir.Value]) -> list[ir.Value]:
        return [self.builder.fadd(*two) for two in zip(a, b, strict=True)]

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

    def stencil(self, pair: ir.Value, weights: str = "weights") -> tuple[ir.Value, list[ir.Value]]:
        """A pair's first node, and the nodes' weights (spread)."""
        return self.item("node", pair), [self.spread(self.item(weights, pair, self.number(q))) for q in range(NODES)]

    def filter(self, node: ir.Value, weights: list[ir.Value], part: int = 0) -> list[ir.Value]:
        """The filter between the nodes, in a part of the table."""
        rows = [self.load("table", self.builder.add(node, self.number(q)), part) for q in range(NODES)]
        value = [self.multiply(weights[0], column) for column in rows[0]]
        for weight, row in zip(weights[1:], rows[1:], strict=True):
            value = [self.multiply_add(weight, column, sum_) for column, sum_ in zip(row, value, strict=True)]
        return value

    def add_to_nodes(self, gradient: list[ir.Value], node: ir.Value, weights: list[ir.Value], part: int = 0) -> None:
        """Add a filter's gradient to that of the table."""
        for q, weight in enumerate(weights):
            row = self.builder.add(node, self.number(q))
            sums = zip(gradient, self.load("d_table", row, part), strict=True)
            self.store([self.multiply_add(weight, value, sum_) for value, sum_ in sums], "d_table", row, part)

    def given(self, name: str) -> bool:
        """Whether an argument that may be None is an array."""
        return name in self._arrays

    def add_total(self, terms: list[ir.Value], matrix: str, *indices: ir.Value) -> None:
        """Add the sum over all columns of a tile to one number of a matrix."""
        total, lanes = terms[0], self.lanes
        for term in terms[1:]:
            total = self.builder.fadd(total, term)
        while lanes > 1:
            lanes //= 2
            low, high = (
                ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(start, start + lanes)))
                for start in (0, lanes)
            )
            empty = ir.Constant(total.type, ir.Undefined)
            halves = (self.builder.shuffle_vector(total, empty, half) for half in (low, high))
            total = self.builder.fadd(*halves)
        total = self.builder.extract_element(total, ir.Constant(ir.IntType(32), 0))
        place = self._place(matrix, *indices)
        self.builder.store(self.builder.fadd(self.builder.load(place), total), place)

    def number(self, value: int) -> ir.Constant:
        return ir.Constant(ir.IntType(types.intp.bitwidth), value)

    def for_pairs(
        self,
        held: list[tuple[str, int, list[ir.Value]]],
        written: list[tuple[str, int, list[ir.Value]]],
        body: Callable[[ir.Value, ir.Value], None],
    ) -> None:
        """A loop over pairs which holds rows of the first atom in registers as long as it stays the same.

        `held` and `written` are matrices, parts of them, and their variables; the `written` ones are written back.
        """
        builder = self.builder
        start, stop = self.integer("start"), self.integer("stop")
        current = cgutils.alloca_once(builder, start.type)

        def take(atom: ir.Value) -> None:
            builder.store(atom, current)
            for matrix, part, variables in held + written:
                self.write(self.load(matrix, atom, part), variables)

        def put_back() -> None:
            atom = builder.load(current)
            for matrix, part, variables in written:
                self.store(self.read(variables), matrix, atom, part)

        with builder.if_then(builder.icmp_signed("<", start, stop)):
            take(self.item("first", start))
            with cgutils.for_range_slice(builder, start, stop, self.number(1)) as (pair, _):
                atom = self.item("first", pair)
                with builder.if_then(builder.icmp_signed("!=", atom, builder.load(current)), likely=False):
                    put_back()
                    take(atom)
                body(pair, self.item("second", pair))
            put_back()

    def panel(self, room: str) -> Callable[[ir.Value], list[ir.Value]]:
        """Where the tile's columns of a row stand in an array in which they follow each other, from a line on."""
        builder = self.builder
        address = builder.ptrtoint(self._arrays[room].data, self.number(0).type)
        address = builder.and_(builder.add(address, self.number(_LINE - 1)), self.number(-_LINE))
        start = builder.inttoptr(address, self.type.as_pointer())
        vectors = self.vectors

        def places(row: ir.Value) -> list[ir.Value]:
            first = builder.mul(row, self.number(vectors))
            return [builder.gep(start, [builder.add(first, self.number(v))]) for v in range(vectors)]

        return places

    def add_library_product(self, a: str, b: str, out: str, depth: ir.Value, *, transposed: bool) -> None:
        """Add a b, or aᵀ b, to out, over `depth` columns of a (or rows); matrices of float32, by SGEMM.

        It knows columns that follow each other, not rows: there, our matrices are their own transposes.
        """
        builder, integer = self.builder, ir.IntType(32)
        rows = self.length(out) if transposed else self.integer("count")
        sizes = [cgutils.unpack_tuple(builder, self._arrays[name].shape)[1] for name in (out, b, a, out)]
        n_columns, of_b, of_a, of_out = (self._kept(builder.trunc(size, integer)) for size in sizes)
        n_rows, n_depth = (self._kept(builder.trunc(size, integer)) for size in (rows, depth))
        one = self._kept(ir.Constant(ir.FloatType(), 1))
        plain, turned = (self._kept(ir.Constant(ir.IntType(8), ord(letter))) for letter in "NT")
        how = turned if transposed else plain
        data = {name: self._arrays[name].data for name in (a, b, out)}
        given = plain, how, n_columns, n_rows, n_depth, one, data[b], of_b, data[a], of_a, one, data[out], of_out
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(self._arguments["way"][1], kind.as_pointer()), given)

    def _kept(self, value: ir.Value) -> ir.Value:
        """The address of a value, as Fortran wants it."""
        return cgutils.alloca_once_value(self.builder, value)

    def _place(self, array: str, *indices: ir.Value) -> ir.Value:
        offset = indices[0]
        if len(indices) == 2:
            width = cgutils.unpack_tuple(self.builder, self._arrays[array].shape)[1]
            offset = self.builder.add(self.builder.mul(offset, width), indices[1])
        return self.builder.gep(self._arrays[array].data, [offset])

    def _places(self, matrix: str, row: ir.Value, part: int) -> list[ir.Value]:
        column = self.builder.add(self._column, self.builder.mul(self.number(part), self._width))
        first = self._place(matrix, row, column)
        return [
            self.builder.bitcast(self.builder.gep(first, [self.number(v * self.lanes)]), self.type.as_pointer())
            for v in range(self.vectors)
        ]


@intrinsic
def _product_tiles(typingctx, way, x, w, bias, out, count, room, residual):  # noqa: ARG001
    """out[a] = bias[0] + Σ_k x[a, k] w[k] for a < count, up to ROWS − 1 rows more; added to out if `residual`.

    `room` takes a tile's columns of w, one row right after the other: in w itself they would lie so far apart that a
    cache can't hold all of them.
    """

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way x w bias out count room residual")
        added = values[-1]
        if tiles.way.library:
            for _ in tiles.columns("out", tiles.way.columns):
                with cgutils.for_range(builder, tiles.integer("count")) as loop:
                    bias_ = tiles.load("bias", tiles.number(0))
                    with builder.if_else(added) as (then, otherwise):
                        with then:
                            tiles.store(tiles.sum(tiles.load("out", loop.index), bias_), "out", loop.index)
                        with otherwise:
                            tiles.store(bias_, "out", loop.index)
            tiles.add_library_product("x", "w", "out", tiles.length("w"), transposed=False)
            return context.get_dummy_value()
        for _ in tiles.columns("w", tiles.way.columns):
            panel = tiles.panel("room")
            with cgutils.for_range(builder, tiles.length("w")) as loop:
                for vector, place in zip(tiles.load("w", loop.index), panel(loop.index), strict=True):
                    builder.store(vector, place, align=tiles.way.vector)
            for rows in tiles.rows(tiles.integer("count")):
                sums = [tiles.variables() for _ in rows]
                for variables in sums:
                    tiles.write(tiles.load("bias", tiles.number(0)), variables)
                with cgutils.for_range(builder, tiles.length("w")) as loop:
                    weights = [builder.load(place, align=tiles.way.vector) for place in panel(loop.index)]
                    for row, variables in zip(rows, sums, strict=True):
                        value = tiles.spread(tiles.item("x", row, loop.index))
                        terms = zip(weights, tiles.read(variables), strict=True)
                        tiles.write([tiles.multiply_add(value, weight, sum_) for weight, sum_ in terms], variables)
                with builder.if_then(added):
                    for row, variables in zip(rows, sums, strict=True):
                        tiles.write(tiles.sum(tiles.load("out", row), tiles.read(variables)), variables)
                for row, variables in zip(rows, sums, strict=True):
                    tiles.store(tiles.read(variables), "out", row)
        return context.get_dummy_value()

    return types.void(way, x, w, bias, out, count, room, residual), codegen


@intrinsic
def _outer_tiles(typingctx, way, g, x, out, count):  # noqa: ARG001
    """out[r] += Σ_a g[a, r] x[a], over a < count; `out` has a multiple of ROWS rows."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way g x out count")
        count = tiles.integer("count")
        if tiles.way.library:
            tiles.add_library_product("g", "x", "out", count, transposed=True)
            return context.get_dummy_value()
        with cgutils.for_range_slice(builder, tiles.number(0), count, tiles.number(_PART)) as (start, _):
            end = builder.add(start, tiles.number(_PART))
            end = builder.select(builder.icmp_signed("<", end, count), end, count)
            for _ in tiles.columns("out", tiles.way.columns):
                for rows in tiles.rows(tiles.length("out")):
                    sums = [tiles.variables() for _ in rows]
                    for variables in sums:
                        tiles.write(tiles.zeros(), variables)
                    with cgutils.for_range_slice(builder, start, end, tiles.number(1)) as (atom, _):
                        features = tiles.load("x", atom)
                        for row, variables in zip(rows, sums, strict=True):
                            value = tiles.spread(tiles.item("g", atom, row))
                            added = zip(features, tiles.read(variables), strict=True)
                            tiles.write([tiles.multiply_add(value, f, sum_) for f, sum_ in added], variables)
                    for row, variables in zip(rows, sums, strict=True):
                        tiles.store(tiles.sum(tiles.load("out", row), tiles.read(variables)), "out", row)
        return context.get_dummy_value()

    return types.void(way, g, x, out, count), codegen


@intrinsic
def _convolution_tiles(typingctx, way, h, table, out, first, second, node, weights, start, stop):  # noqa: ARG001
    """out[i] += W ∘ h[j] and out[j] += W ∘ h[i] for the pairs start:stop, with W interpolated in the table."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way h table out first second node weights start stop")
        for _ in tiles.columns("h", tiles.way.pairs):
            h_i, out_i = tiles.variables(), tiles.variables()

            def body(pair: ir.Value, j: ir.Value, h_i=h_i, out_i=out_i) -> None:
                w = tiles.filter(*tiles.stencil(pair))
                h_j, out_j = tiles.load("h", j), tiles.load("out", j)
                tiles.write([tiles.multiply_add(*x) for x in zip(w, h_j, tiles.read(out_i), strict=True)], out_i)
                tiles.store([tiles.multiply_add(*x) for x in zip(w, tiles.read(h_i), out_j, strict=True)], "out", j)

            tiles.for_pairs([("h", 0, h_i)], [("out", 0, out_i)], body)
        return context.get_dummy_value()

    return types.void(way, h, table, out, first, second, node, weights, start, stop), codegen


@intrinsic
def _convolution_gradient_tiles(
    typingctx,  # noqa: ARG001
    way,
    h,
    table,
    g,
    d_h,
    d_table,
    d_distance,
    first,
    second,
    node,
    weights,
    slopes,
    start,
    stop,
):
    """What the pairs start:stop add to the gradients with respect to h and to the table and the distances, if given."""

    def codegen(context, builder, signature, values):
        names = "way h table g d_h d_table d_distance first second node weights slopes start stop"
        tiles = _Tiles(context, builder, signature, values, names)
        for _ in tiles.columns("h", tiles.way.pairs):
            h_i, g_i, d_i = tiles.variables(), tiles.variables(), tiles.variables()

            def body(pair: ir.Value, j: ir.Value, h_i=h_i, g_i=g_i, d_i=d_i) -> None:
                node, weights = tiles.stencil(pair)
                w = tiles.filter(node, weights)
                h_j, g_j = tiles.load("h", j), tiles.load("g", j)
                tiles.write([tiles.multiply_add(*x) for x in zip(w, g_j, tiles.read(d_i), strict=True)], d_i)
                d_j = [tiles.multiply_add(*x) for x in zip(w, tiles.read(g_i), tiles.load("d_h", j), strict=True)]
                tiles.store(d_j, "d_h", j)
                at_j = [tiles.multiply(*x) for x in zip(g_j, tiles.read(h_i), strict=True)]
                d_w = [tiles.multiply_add(*x) for x in zip(tiles.read(g_i), h_j, at_j, strict=True)]
                if tiles.given("d_table"):
                    tiles.add_to_nodes(d_w, node, weights)
                if tiles.given("d_distance"):
                    slope = tiles.filter(*tiles.stencil(pair, "slopes"))
                    terms = [tiles.multiply(*x) for x in zip(d_w, slope, strict=True)]
                    tiles.add_total(terms, "d_distance", pair)

            tiles.for_pairs([("h", 0, h_i), ("g", 0, g_i)], [("d_h", 0, d_i)], body)
        return context.get_dummy_value()

    arguments = way, h, table, g, d_h, d_table, d_distance, first, second, node, weights, slopes, start, stop
    return types.void(*arguments), codegen


@intrinsic
def _float_from_bits(typingctx, bits):  # noqa: ARG001
    """The float32 with these 32 bits."""

    def codegen(context, builder, signature, values):  # noqa: ARG001
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.int32), codegen


# ---- one pair, one row ---------------------------------------------------------------------------------------------


@compiled()
def _stencils(first, second, distance, start, stop, shift, end, last, near_first, near_second, node, weights) -> int:
    """Take the pairs up to `end`, counting atoms from `shift` on; how many there are.

    Writes each one's first node on a grid of `last` intervals and Lagrange's cubic weights of its four nodes.
    """
    scale = last / end
    n = 0
    for p in range(start, stop):
        if distance[p] <= end:
            coordinate = distance[p] * scale
            q = min(max(int(coordinate) - 1, 0), last - 3)
            a = coordinate - q
            b, c, d = a - 1.0, a - 2.0, a - 3.0
            near_first[n], near_second[n], node[n] = first[p] - shift, second[p] - shift, q
            weights[n, 0], weights[n, 1] = b * c * d / -6.0, a * c * d / 2.0
            weights[n, 2], weights[n, 3] = a * b * d / -2.0, a * b * c / 6.0
            n += 1
    return n


@compiled()
def _slopes(positions, shift, first, second, count, end, last, node, slopes) -> None:
    """The derivatives of the weights of `_stencils` with respect to the distance, 1/Å, for `count` of its pairs."""
    scale = last / end
    for p in range(count):
        square = 0.0
        for c in range(3):
            square += (positions[shift + second[p], c] - positions[shift + first[p], c]) ** 2
        a = np.sqrt(square) * scale - node[p]
        b, c, d = a - 1.0, a - 2.0, a - 3.0
        slopes[p, 0], slopes[p, 1] = (c * d + b * d + b * c) * scale / -6.0, (c * d + a * d + a * c) * scale / 2.0
        slopes[p, 2], slopes[p, 3] = (b * d + a * d + a * b) * scale / -2.0, (b * c + a * c + a * b) * scale / 6.0


@compiled()
def _add_along(positions, shift, first, second, count, d_distance, d_positions) -> None:
    """Add what pairs' distances, [n], give to the gradient with respect to positions."""
    unit = np.empty(3)
    for p in range(count):
        i, j = shift + first[p], shift + second[p]
        square = 0.0
        for c in range(3):
            unit[c] = positions[j, c] - positions[i, c]
            square += unit[c] * unit[c]
        share = d_distance[p] / np.sqrt(square)
        for c in range(3):
            d_positions[j, c] += share * unit[c]
            d_positions[i, c] -= share * unit[c]


def _of_layer(arrays, layer):
    """One layer's array, or None if there are none."""


@overload(_of_layer)
def _of_layer_compiled(arrays, layer):  # noqa: ARG001
    if isinstance(arrays, types.NoneType):
        return lambda arrays, layer: None  # noqa: ARG005
    return lambda arrays, layer: arrays[layer]


@compiled()
def stray_pair(first, second, blocks) -> int:
    """The first pair with an atom outside its block, or −1."""
    for b in range(blocks.shape[0] - 1):
        start, stop = blocks[b, 0], blocks[b + 1, 0]
        lowest, highest = start, start
        for p in range(blocks[b, 1], blocks[b + 1, 1]):
            lowest = min(lowest, first[p], second[p])
            highest = max(highest, first[p], second[p])
        if lowest < start or highest >= stop:
            for p in range(blocks[b, 1], blocks[b + 1, 1]):
                if min(first[p], second[p]) < start or max(first[p], second[p]) >= stop:
                    return p
    return -1


@compiled()
def _convolve(way, h, table, out, first, second, node, weights, start, stop) -> None:
    _convolution_tiles(way, h, table, out, first, second, node, weights, start, stop)


@compiled()
def _convolve_gradients(
    way, h, table, g, d_h, d_table, d_distance, first, second, node, weights, slopes, start, stop
) -> None:
    _convolution_gradient_tiles(
        way, h, table, g, d_h, d_table, d_distance, first, second, node, weights, slopes, start, stop
    )


@compiled()
def _product(way, x, w, bias, out, count, residual) -> None:
    """Out = bias + x w for `count` rows and up to ROWS − 1 more; added to out if `residual`."""
    _product_tiles(way, x, w, bias, out, count, np.empty(w.size + _ROOM, w.dtype), residual)


@compiled()
def _add_outer(way, g, x, out, count) -> None:
    """Add gᵀ x, over `count` rows, to `out`."""
    _outer_tiles(way, g, x, out, count)


@compiled()
def _add_rows(g, out, count) -> None:
    """Add the sum of `count` rows of g to `out`."""
    part, whole = np.empty_like(out), np.zeros(len(out))
    for start in range(0, count, _FEW):
        part[:] = 0
        for a in range(start, min(start + _FEW, count)):
            for f in range(out.shape[0]):
                part[f] += g[a, f]
        whole += part
    out += whole


@njit(inline="always")
def _exp_minus(t):
    """e^−t of a float32 t ≥ 0, to rounding: 2⁻ⁿ e^r with |r| ≤ ½ log 2 by a polynomial."""
    t = min(t, _TINY)
    n = np.int32(t * _PER_LOG2 + np.float32(0.5))
    r = (n * _LOG2_HIGH - t) + n * _LOG2_LOW
    u = np.float32(1 / 5040)
    u = u * r + np.float32(1 / 720)
    u = u * r + np.float32(1 / 120)
    u = u * r + np.float32(1 / 24)
    u = u * r + np.float32(1 / 6)
    u = u * r + np.float32(0.5)
    u = u * r + np.float32(1)
    u = u * r + np.float32(1)
    return u * _float_from_bits(np.int32((np.int32(127) - n) << np.int32(23)))


@compiled(error_model="numpy", fastmath={"contract"})
def _silu(x, y, slope) -> None:
    """Y = x σ(x), with σ(x) = 1/(1 + e^−x), and its slope, number by number; three different arrays."""
    for a in range(x.shape[0]):
        value = x[a]
        u = _exp_minus(abs(value))
        sigma = (np.float32(1) if value >= 0 else u) / (np.float32(1) + u)
        y[a] = value * sigma
        slope[a] = sigma * (np.float32(1) + value * (np.float32(1) - sigma))


@compiled(error_model="numpy", fastmath={"contract"})
def _shifted_softplus(x, y, slope) -> None:
    """Y = log(1 + eˣ) − log 2, and its slope eˣ/(1 + eˣ), number by number; three different arrays.

    To rounding in float32, and exactly 0 at 0: with u = e^−|x|, log(1 + u) − log 2 = 2 artanh((u − 1)/(u + 3)) by a
    polynomial.
    """
    for a in range(x.shape[0]):
        value = x[a]
        u = _exp_minus(abs(value))
        s = (u - np.float32(1)) / (u + np.float32(3))
        z = s * s
        log = np.float32(1 / 15)
        log = log * z + np.float32(1 / 13)
        log = log * z + np.float32(1 / 11)
        log = log * z + np.float32(1 / 9)
        log = log * z + np.float32(1 / 7)
        log = log * z + np.float32(1 / 5)
        log = log * z + np.float32(1 / 3)
        log = log * z + np.float32(1)
        y[a] = max(value, np.float32(0)) + np.float32(2) * s * log
        slope[a] = (np.float32(1) if value >= 0 else u) / (np.float32(1) + u)


@compiled()
def _scale(x, y) -> None:
    for a in range(x.shape[0]):
        x[a] *= y[a]


# ---- filters -------------------------------------------------------------------------------------------------------


@compiled()
def _tabulate(way, basis, cutoff, expand, into, biases, hidden, slope, table) -> None:
    """A filter network's values at all distances: of the Gaussians `basis` [R, G], times `cutoff` [K + 1].

    `expand` [n_rbf, W] and `into` [F, W] are its matrices from input to output, `biases` [2, 1, W]. The hidden layer's
    values and slopes are kept for the backward pass.
    """
    count = len(cutoff)
    _product(for_products(way), basis, expand, biases[0], table, count, False)
    _shifted_softplus(table[:count].reshape(-1), hidden[:count].reshape(-1), slope[:count].reshape(-1))
    _product(for_products(way), hidden, into, biases[1], table, count, False)
    for row in range(count):
        for f in range(table.shape[1]):
            table[row, f] *= cutoff[row]


@compiled()
def _tabulate_gradient(way, d_table, basis, cutoff, back, hidden, slope, inner, d_expand, d_into, d_biases) -> None:
    """The backward pass of `_tabulate`; overwrites `d_table`. `back` [F, W] is the matrix from output to input."""
    count = len(cutoff)
    for row in range(count):
        for f in range(d_table.shape[1]):
            d_table[row, f] *= cutoff[row]
    _add_outer(for_products(way), d_table, hidden, d_into, count)
    _add_rows(d_table, d_biases[1, 0], count)
    _product(for_products(way), d_table, back, np.zeros((1, back.shape[1]), back.dtype), inner, count, False)
    _scale(inner[:count].reshape(-1), slope[:count].reshape(-1))
    _add_outer(for_products(way), inner, basis, d_expand, count)
    _add_rows(inner, d_biases[0, 0], count)


# ---- one thread's share --------------------------------------------------------------------------------------------


@compiled()
def _convolution_share(way, h, table, out, first, second, distance, start, stop, end) -> None:
    n = stop - start
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), h.dtype)
    last = table.shape[0] - 1
    n = _stencils(first, second, distance, start, stop, 0, end, last, near_first, near_second, node, weights)
    _convolve(for_pairs(way), h, table, out, near_first, near_second, node, weights, 0, n)


@compiled()
def _gradient_share(way, h, table, g, d_h, d_table, first, second, distance, start, stop, end) -> None:
    n = stop - start
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), h.dtype)
    last = table.shape[0] - 1
    n = _stencils(first, second, distance, start, stop, 0, end, last, near_first, near_second, node, weights)
    near = near_first, near_second, node, weights
    _convolve_gradients(for_pairs(way), h, table, g, d_h, d_table, None, *near, None, 0, n)


@compiled()
def _largest_step(blocks, column) -> int:
    largest = 0
    for b in range(blocks.shape[0] - 1):
        largest = max(largest, blocks[b + 1, column] - blocks[b, column])
    return largest


@compiled()
def _interactions_share(
    way, embedding, numbers, tables, last, into, biases, first, second, distance, blocks, end, kept, inner, out
) -> None:
    """All interactions for one thread's blocks of molecules, from each atom's row of the embedding on.

    `into` [L, 3, F, W] holds in2f's and f2out's matrices from input to output, `biases` [L, 3, 1, W]; `kept`
    [5 L + 1, R, W] takes, for the backward pass, each layer's input, features to convolve, convolution, and the hidden
    layer's value and slope; in the end, the result. `inner` is room for one block's features.
    """
    of_pairs, of_products = for_pairs(way), for_products(way)
    width, layers = embedding.shape[1], tables.shape[0]
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), embedding.dtype)
    origin = blocks[0, 0]
    for b in range(blocks.shape[0] - 1):
        shift, stop = blocks[b, 0], blocks[b + 1, 0]
        count = stop - shift
        low, high = shift - origin, stop - origin + ROWS
        pairs = _stencils(
            first,
            second,
            distance,
            blocks[b, 1],
            blocks[b + 1, 1],
            shift,
            end,
            last,
            near_first,
            near_second,
            node,
            weights,
        )
        start = kept[0][low:high]
        start[:, width:] = 0
        for a in range(count):
            for f in range(width):
                start[a, f] = embedding[numbers[shift + a], f]
        for layer in range(layers):
            k = 5 * layer
            value, h, y = kept[k][low:high], kept[k + 1][low:high], kept[k + 2][low:high]
            hidden, slope = kept[k + 3][low:high], kept[k + 4][low:high]
            _product(of_products, value, into[layer, 0], biases[layer, 0], h, count, False)
            y[:count] = 0
            _convolve(of_pairs, h, tables[layer], y, near_first, near_second, node, weights, 0, pairs)
            _product(of_products, y, into[layer, 1], biases[layer, 1], inner, count, False)
            _shifted_softplus(inner[:count].reshape(-1), hidden[:count].reshape(-1), slope[:count].reshape(-1))
            result = kept[k + 5][low:high]
            result[:count] = value[:count]
            _product(of_products, hidden, into[layer, 2], biases[layer, 2], result, count, True)
        out[shift:stop] = kept[5 * layers][low : low + count, :width]


@compiled()
def _interactions_gradient_share(
    way,
    g_out,
    numbers,
    positions,
    tables,
    last,
    back,
    first,
    second,
    distance,
    blocks,
    end,
    kept,
    room,
    slopes,
    d_distance,
    d_embedding,
    d_tables,
    d_matrices,
    d_biases,
    d_positions,
) -> None:
    """The backward pass of `_interactions_share`; `back` [L, 3, F, W] holds the matrices from output to input.

    `room`, zeros [4, R, W], is for one block's gradients, `slopes` and `d_distance` for its pairs. Without gradients of
    parameters the four of them are None; without those of positions these, `slopes` and `d_distance`. Each case is
    compiled apart.
    """
    of_pairs, of_products = for_pairs(way), for_products(way)
    width, layers = g_out.shape[1], tables.shape[0]
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), g_out.dtype)
    g, inner, through, d_h = room[0], room[1], room[2], room[3]
    no_bias = np.zeros((1, tables.shape[2]), g_out.dtype)
    origin = blocks[0, 0]
    for b in range(blocks.shape[0] - 1):
        shift, stop = blocks[b, 0], blocks[b + 1, 0]
        count = stop - shift
        low, high = shift - origin, stop - origin + ROWS
        pairs = _stencils(
            first,
            second,
            distance,
            blocks[b, 1],
            blocks[b + 1, 1],
            shift,
            end,
            last,
            near_first,
            near_second,
            node,
            weights,
        )
        if d_positions is not None:
            _slopes(positions, shift, near_first, near_second, pairs, end, last, node, slopes)
            d_distance[:pairs] = 0
        g[:count, :width] = g_out[shift:stop]
        for layer in range(layers - 1, -1, -1):
            k = 5 * layer
            value, h, y = kept[k][low:high], kept[k + 1][low:high], kept[k + 2][low:high]
            hidden, slope = kept[k + 3][low:high], kept[k + 4][low:high]
            if d_biases is not None:
                _add_outer(of_products, g, hidden, d_matrices[layer, 2], count)
                _add_rows(g, d_biases[layer, 2, 0], count)
            _product(of_products, g, back[layer, 2], no_bias, inner, count, False)
            _scale(inner[:count].reshape(-1), slope[:count].reshape(-1))
            if d_biases is not None:
                _add_outer(of_products, inner, y, d_matrices[layer, 1], count)
                _add_rows(inner, d_biases[layer, 1, 0], count)
            _product(of_products, inner, back[layer, 1], no_bias, through, count, False)
            d_h[:count] = 0
            _convolve_gradients(
                of_pairs,
                h,
                tables[layer],
                through,
                d_h,
                _of_layer(d_tables, layer),
                d_distance,
                near_first,
                near_second,
                node,
                weights,
                slopes,
                0,
                pairs,
            )
            if d_biases is not None:
                _add_outer(of_products, d_h, value, d_matrices[layer, 0], count)
            if d_biases is not None or layer > 0:
                _product(of_products, d_h, back[layer, 0], no_bias, g, count, True)
        if d_positions is not None:
            _add_along(positions, shift, near_first, near_second, pairs, d_distance, d_positions)
        if d_biases is not None:
            part = np.zeros_like(d_embedding)  # a block's sum, see _PART
            for a in range(count):
                for f in range(width):
                    part[numbers[shift + a], f] += g[a, f]
            d_embedding += part


@compiled()
def layer_on_trial(way, x, w, bias, y, g, h, d_w, table, d_table, first, second, distance, end, count) -> None:
    """What one layer has to do for one block, forward and backward, with one matrix for all: to be timed."""
    n, last = len(distance), table.shape[0] - 1
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), x.dtype)
    n = _stencils(first, second, distance, 0, n, 0, end, last, near_first, near_second, node, weights)
    _product(for_products(way), x, w, bias, h, count, False)
    _convolve(for_pairs(way), h, table, y, near_first, near_second, node, weights, 0, n)
    _product(for_products(way), y, w, bias, g, count, False)
    _shifted_softplus(g[:count].reshape(-1), y[:count].reshape(-1), h[:count].reshape(-1))
    _product(for_products(way), y, w, bias, g, count, True)
    for _ in range(3):
        _add_outer(for_products(way), x, y, d_w, count)
        _product(for_products(way), x, w, bias, g, count, False)
    _scale(g[:count].reshape(-1), h[:count].reshape(-1))
    y[:count] = 0
    near = near_first, near_second, node, weights
    _convolve_gradients(for_pairs(way), h, table, x, y, d_table, None, *near, None, 0, n)
    d_table[:] = 0
    d_w[:] = 0


@compiled()
def _energies_share(way, x, offsets, into, biases, output, start, stop, features, room, slope, sums, energies) -> None:
    """Energies of the molecules start:stop, some at a time, see `energies`."""
    before, after = room[0], room[1]
    for m in range(start, stop, _TOGETHER):
        end = min(m + _TOGETHER, stop)
        low, high = offsets[m], offsets[end]
        count = high - low
        features[:count] = x[low:high]
        _product(for_products(way), features, into, biases, before, count, False)
        _silu(before[:count].reshape(-1), after[:count].reshape(-1), slope[low:high].reshape(-1))
        for k in range(m, end):
            for a in range(offsets[k] - low, offsets[k + 1] - low):
                for f in range(len(output)):
                    sums[k, f] += after[a, f]
            energy = 0.0
            for f in range(len(output)):
                energy += sums[k, f] * output[f]
            energies[k] = energy


@compiled()
def _energies_gradient_share(
    way, g, x, offsets, back, output, start, stop, slope, inner, room, d_x, d_matrix, d_bias
) -> None:
    """The backward pass of `_energies_share`; `room` are zeros."""
    width = x.shape[1]
    features, through = room[0], room[1]
    no_bias = np.zeros((1, back.shape[1]), x.dtype)
    for m in range(start, stop, _TOGETHER):
        end = min(m + _TOGETHER, stop)
        low, high = offsets[m], offsets[end]
        count = high - low
        features[:count, :width] = x[low:high]
        for k in range(m, end):
            for a in range(offsets[k], offsets[k + 1]):
                for f in range(len(output)):
                    inner[a - low, f] = g[k] * output[f] * slope[a, f]
        _add_outer(for_products(way), inner, features, d_matrix, count)
        _add_rows(inner, d_bias, count)
        _product(for_products(way), inner, back, no_bias, through, count, False)
        d_x[low:high] = through[:count, :width]


# ---- all threads ---------------------------------------------------------------------------------------------------


def convolve(
    way: Way, h: np.ndarray, table: np.ndarray, pairs: tuple[np.ndarray, ...], shares: list[np.ndarray], end: float
) -> np.ndarray:
    """The convolution of padded features, [A, W]; `pairs` are first and second atoms and distances."""
    out = zeros(h.shape, h.dtype)

    def work(share: int) -> None:
        blocks = shares[share]
        _convolution_share(way, h, table, out, *pairs, blocks[0, 1], blocks[-1, 1], end)

    _each(way, work, len(shares))
    return out


def convolve_gradients(
    way: Way,
    h: np.ndarray,
    table: np.ndarray,
    g: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Its gradients with respect to the features, [A, W], and to the table, [K + 1, W]."""
    d_h, d_tables = zeros(h.shape, h.dtype), zeros((len(shares), *table.shape), table.dtype)

    def work(share: int) -> None:
        blocks = shares[share]
        _gradient_share(way, h, table, g, d_h, d_tables[share], *pairs, blocks[0, 1], blocks[-1, 1], end)

    _each(way, work, len(shares))
    # The sums over threads go in their order, so that a repetition gives the same bits.
    return d_h, d_tables.sum(axis=0)


def kept_shapes(shares: list[np.ndarray], layers: int, width: int) -> list[tuple[int, int, int]]:
    """What each share's forward pass keeps for the backward pass."""
    return [(5 * layers + 1, int(blocks[-1, 0] - blocks[0, 0]) + ROWS, width) for blocks in shares]


def tabulate(
    way: Way,
    basis: np.ndarray,
    cutoff: np.ndarray,
    expand: np.ndarray,
    into: np.ndarray,
    biases: np.ndarray,
    threads: int,
) -> np.ndarray:
    """The filters of L networks and what the backward pass needs: tables, hidden values and slopes, [3, L, R, W].

    `basis` [R, G] has the Gaussians of K + 1 distances and ROWS − 1 rows more, as have the results; `cutoff` [K + 1].
    `expand` [L, n_rbf, W], `into` [L, F, W] and `biases` [L, 2, 1, W] are the networks'.
    """
    found = zeros((3, len(into), len(basis), into.shape[2]), into.dtype)
    tables, hidden, slope = found

    def work(share: int) -> None:
        for k in range(share, len(into), threads):
            _tabulate(way, basis, cutoff, expand[k], into[k], biases[k], hidden[k], slope[k], tables[k])

    _each(way, work, threads)
    return found


def tabulate_gradients(
    way: Way,
    d_tables: np.ndarray,
    basis: np.ndarray,
    cutoff: np.ndarray,
    back: np.ndarray,
    found: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients with respect to the networks: both matrices, [L, W', G] and [L, W', W], and biases [L, 2, 1, W].

    W' is the width rounded up to ROWS. `found` is `tabulate`'s result, `back` [L, F, W] the second matrices from
    output to input.
    """
    layers, depth, width = back.shape
    rows = padded_rows(depth)
    d_expand, d_into = zeros((layers, rows, basis.shape[1]), back.dtype), zeros((layers, rows, width), back.dtype)
    d_biases = zeros((layers, 2, 1, width), back.dtype)
    inner = zeros(d_tables.shape, back.dtype)
    _, hidden, slope = found

    def work(share: int) -> None:
        for k in range(share, layers, threads):
            given = d_tables[k], basis, cutoff, back[k], hidden[k], slope[k], inner[k]
            _tabulate_gradient(way, *given, d_expand[k], d_into[k], d_biases[k])

    _each(way, work, threads)
    return d_expand, d_into, d_biases


def interact(
    way: Way,
    embedding: np.ndarray,
    numbers: np.ndarray,
    tables: np.ndarray,
    last: int,
    into: np.ndarray,
    biases: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
) -> np.ndarray:
    """The features after all interactions, [A, F]; `kept`, of `kept_shapes`, takes what the backward pass needs.

    `embedding` [N, F] has a row for each of `numbers`, int64 [A]; `tables` [L, R, W] have `last` intervals.
    """
    out = np.empty((len(numbers), embedding.shape[1]), embedding.dtype)
    rooms = [_room(blocks, (), tables) for blocks in shares]

    def work(share: int) -> None:
        given = embedding, numbers, tables, last, into, biases, *pairs, shares[share], end
        _interactions_share(way, *given, kept[share], rooms[share], out)

    _each(way, work, len(shares))
    return out


def interact_gradients(
    way: Way,
    g: np.ndarray,
    numbers: np.ndarray,
    positions: np.ndarray | None,
    n_rows: int,
    tables: np.ndarray,
    last: int,
    back: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
    *,
    parameters: bool = True,
) -> tuple[tuple[np.ndarray, ...] | None, np.ndarray | None]:
    """Gradients with respect to the parameters, unless told not to, and to positions, float64 [A, 3], if given.

    Those of parameters: embedding [n_rows, F], tables [L, R, W], matrices [L, 3, W', W] and biases [L, 3, 1, W]. W' is
    the width F rounded up to ROWS.
    """
    layers, _, width = tables.shape
    shapes = (n_rows, g.shape[1]), tables.shape, (layers, 3, padded_rows(g.shape[1]), width), (layers, 3, 1, width)
    found = [zeros((len(shares), *shape), g.dtype) if parameters else None for shape in shapes]
    d_positions = None if positions is None else np.zeros_like(positions)
    rooms = [_room(blocks, (4,), tables) for blocks in shares]

    def work(share: int) -> None:
        blocks = shares[share]
        given = g, numbers, positions, tables, last, back, *pairs, blocks, end, kept[share], rooms[share]
        of_share = (array[share] if parameters else None for array in found)
        _interactions_gradient_share(way, *given, *room_for_pairs(blocks, g, positions), *of_share, d_positions)

    _each(way, work, len(shares))
    if not parameters:
        return None, d_positions
    d_embedding, d_tables, d_matrices, d_biases = found
    # The sums over threads go in their order, so that a repetition gives the same bits.
    return (d_embedding.sum(axis=0), _sum(d_tables), d_matrices.sum(axis=0), d_biases.sum(axis=0)), d_positions


def energies(
    way: Way,
    x: np.ndarray,
    offsets: np.ndarray,
    into: np.ndarray,
    biases: np.ndarray,
    output: np.ndarray,
    shares: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each molecule's sum over atoms of silu(x into + bias) · output, [M]; and what the backward pass needs.

    `x` [A, F], `offsets` int64 [M + 1], `into` [F, W], `biases` [1, W], `output` [W]; `shares` int64 [threads + 1]
    molecules. What is kept: the hidden layer's slope [A, W] and, summed over each molecule, its values [M, W].
    """
    width = into.shape[1]
    total, sums = np.empty(len(offsets) - 1, x.dtype), zeros((len(offsets) - 1, width), x.dtype)
    slope = zeros((len(x), width), x.dtype)
    rows = _most_atoms(offsets, shares) + ROWS

    def work(share: int) -> None:
        features = zeros((rows, x.shape[1]), x.dtype)
        room = zeros((2, rows, width), x.dtype)
        given = x, offsets, into, biases, output, *shares[share : share + 2], features, room
        _energies_share(way, *given, slope, sums, total)

    _each(way, work, len(shares) - 1)
    return total, slope, sums


def energies_gradients(
    way: Way,
    g: np.ndarray,
    x: np.ndarray,
    offsets: np.ndarray,
    back: np.ndarray,
    output: np.ndarray,
    shares: np.ndarray,
    slope: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients, given those of the energies, [M]: features [A, F], matrix [H', W(F)] and bias [W] of the hidden layer.

    `back` [H, W(F)] is the matrix from output to input; H' is the hidden layer's width rounded up to ROWS.
    """
    threads = len(shares) - 1
    d_x = np.empty_like(x)
    d_matrix = zeros((threads, padded_rows(len(back)), back.shape[1]), x.dtype)
    d_bias = zeros((threads, len(output)), x.dtype)
    rows = _most_atoms(offsets, shares) + ROWS

    def work(share: int) -> None:
        inner = zeros((rows, len(output)), x.dtype)
        room = zeros((2, rows, back.shape[1]), x.dtype)
        given = g, x, offsets, back, output, *shares[share : share + 2], slope, inner, room
        _energies_gradient_share(way, *given, d_x, d_matrix[share], d_bias[share])

    _each(way, work, threads)
    return d_x, d_matrix.sum(axis=0), d_bias.sum(axis=0)


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Zeros which start where a vector register's bytes do.

    NumPy's own start anywhere, and then each vector of a padded row lies in two lines of the cache: that took the
    convolution's gradient 1.9 times as long.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _sum(arrays: np.ndarray) -> np.ndarray:
    """The sum of an array's parts, in their order, in the first one's place."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a training that explodes; the losses say so
        for part in arrays[1:]:
            arrays[0] += part
    return arrays[0]


def _most_atoms(offsets: np.ndarray, shares: np.ndarray) -> int:
    """Atoms in the largest group of _TOGETHER molecules, counted from the start of a share, or more of them."""
    if shares[-1] - shares[0] <= _TOGETHER:  # a single molecule's energy would spend a tenth of its time below
        return int(offsets[shares[-1]] - offsets[shares[0]])
    groups = [np.append(offsets[start:stop:_TOGETHER], offsets[stop]) for start, stop in pairwise(shares)]
    return max(int(np.diff(group).max(initial=0)) for group in groups)


def _room(blocks: np.ndarray, times: tuple[int, ...], tables: np.ndarray) -> np.ndarray:
    """Room for the features of any of one share's blocks."""
    return zeros((*times, int(np.diff(blocks[:, 0]).max()) + ROWS, tables.shape[2]), tables.dtype)


def room_for_pairs(
    blocks: np.ndarray, like: np.ndarray, positions: np.ndarray | None, *parts: int
) -> tuple[np.ndarray | None, ...]:
    """Room for slopes and distances' gradients of any of one share's blocks; None without positions."""
    most = int(np.diff(blocks[:, 1]).max())
    shapes = (most, NODES), (most, *parts)
    return tuple(None if positions is None else np.empty(shape, like.dtype) for shape in shapes)


def padded(way: Way, matrix: np.ndarray, *, more_rows: int = 0) -> np.ndarray:
    """A C-ordered copy with as many columns as the loops need, and maybe some rows more; the new ones zero."""
    *outer, rows, columns = matrix.shape
    copy = zeros((*outer, rows + more_rows, padded_width(way, columns, matrix.itemsize)), matrix.dtype)
    copy[..., :rows, :columns] = matrix
    return copy


def _each(way: Way, work: Callable[[int], None], shares: int) -> None:
    """Do each share in a thread of its own, the first one in the caller's.

    The loops let go of Python's lock. Threads of numba's own would come with a second OpenMP beside torch's: on few
    cores each of the two then waits, spinning, for the cores that the other one has.
    """
    with way.running():
        waiting = [_helpers(os.getpid(), shares - 1).submit(work, share) for share in range(1, shares)]
        work(0)
        for future in waiting:
            future.result()


@lru_cache(maxsize=1)
def _helpers(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001 (threads do not survive a fork)
    return ThreadPoolExecutor(threads, thread_name_prefix="cfconv")
