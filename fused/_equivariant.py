"""The compiled loops of PaiNN: messages with directions, and the mixing of scalars and vectors.

As in `_kernels`, a thread takes some of the molecules, block by block, through all layers. An atom's vectors stand in
one row, x, y and z after each other, so that the three are also three rows for a dense layer. Matrices have as many
columns as a few vector registers hold numbers, or two, three or six times as many: "parts".

numba's cache of compiled loops notices changes in this file, and none in `_kernels`, whose loops are built in here:
`BUILT_IN` changes this file with that one. A test says what to write.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fused._kernels import (
    NODES,
    ROWS,
    _add_outer,
    _add_rows,
    _each,
    _largest_step,
    _of_layer,
    _product,
    _scale,
    _silu,
    _slopes,
    _stencils,
    _sum,
    _Tiles,
    for_pairs,
    for_products,
    room_for_pairs,
    zeros,
)
from fused.choice import Way
from fused.compiled import compiled

BUILT_IN = "17374e9156e73c03445d42bb6bf3b6922a19fc40d8c8e9c62937f75ec24557d1"
"""SHA-256 of `_kernels.py`."""

KEPT = (1, 3, 1, 1, 3, 2, 3, 6, 1, 1, 1, 3)
"""Parts of what each layer keeps for the backward pass, in the order of `_names`."""

PARTS = ((1, 1), (3, 1), (2, 1), (1, 2), (3, 1))
"""Of each matrix that `interact` takes: rows and columns, from output to input, as multiples of the width."""

_WIDEST = 1  # vectors in a tile of the loops over pairs: a pair needs some twenty rows at once


@intrinsic
def _message_tiles(typingctx, way, like, x, mu, table, q_out, mu_out, first, second, node, weights, unit, start, stop):  # noqa: ARG001
    """Add the messages of the pairs start:stop to scalars and vectors."""

    def codegen(context, builder, signature, values):
        names = "way like x mu table q_out mu_out first second node weights unit start stop"
        tiles = _Tiles(context, builder, signature, values, names)
        for _ in tiles.columns("like", _WIDEST):
            x_i, mu_i = _variables(tiles, 3), _variables(tiles, 3)
            q_i, out_i = tiles.variables(), _variables(tiles, 3)

            def body(pair: ir.Value, j: ir.Value, x_i=x_i, mu_i=mu_i, q_i=q_i, out_i=out_i) -> None:
                stencil, direction = tiles.stencil(pair), _direction(tiles, pair)
                w = tiles.filter(*stencil)
                tiles.write(_multiply_add(tiles, w, tiles.load("x", j), tiles.read(q_i)), q_i)
                tiles.store(_multiply_add(tiles, w, tiles.read(x_i[0]), tiles.load("q_out", j)), "q_out", j)
                w = tiles.filter(*stencil, 1)
                along_i, along_j = _multiply(tiles, w, tiles.load("x", j, 1)), _multiply(tiles, w, tiles.read(x_i[1]))
                w = tiles.filter(*stencil, 2)
                share_i, share_j = _multiply(tiles, w, tiles.load("x", j, 2)), _multiply(tiles, w, tiles.read(x_i[2]))
                for c in range(3):
                    there, back = [direction[c]] * tiles.vectors, [builder.fneg(direction[c])] * tiles.vectors
                    to_i = _multiply_add(tiles, there, along_i, tiles.read(out_i[c]))
                    tiles.write(_multiply_add(tiles, share_i, tiles.load("mu", j, c), to_i), out_i[c])
                    to_j = _multiply_add(tiles, back, along_j, tiles.load("mu_out", j, c))
                    tiles.store(_multiply_add(tiles, share_j, tiles.read(mu_i[c]), to_j), "mu_out", j, c)

            held = [*_parts("x", x_i), *_parts("mu", mu_i)]
            tiles.for_pairs(held, [("q_out", 0, q_i), *_parts("mu_out", out_i)], body)
        return context.get_dummy_value()

    return types.void(way, like, x, mu, table, q_out, mu_out, first, second, node, weights, unit, start, stop), codegen


@intrinsic
def _message_gradient_tiles(
    typingctx,  # noqa: ARG001
    way,
    like,
    x,
    mu,
    table,
    g,
    g_mu,
    d_x,
    d_mu,
    d_table,
    d_pair,
    first,
    second,
    node,
    weights,
    slopes,
    unit,
    start,
    stop,
):
    """Add what the pairs start:stop add to the gradients with respect to x and mu, and to the table, if given.

    If `d_pair` is given, [n, 4], also to those with respect to each pair's distance and unit vector.
    """

    def codegen(context, builder, signature, values):
        names = "way like x mu table g g_mu d_x d_mu d_table d_pair first second node weights slopes unit start stop"
        tiles = _Tiles(context, builder, signature, values, names)
        for _ in tiles.columns("like", _WIDEST):
            x_i, mu_i, g_i = _variables(tiles, 3), _variables(tiles, 3), _variables(tiles, 4)
            d_x_i, d_mu_i = _variables(tiles, 3), _variables(tiles, 3)

            def body(pair: ir.Value, j: ir.Value, x_i=x_i, mu_i=mu_i, g_i=g_i, d_x_i=d_x_i, d_mu_i=d_mu_i) -> None:
                stencil, direction = tiles.stencil(pair), _direction(tiles, pair)
                moving = tiles.stencil(pair, "slopes") if tiles.given("d_pair") else None
                of_distance = [tiles.zeros()]

                def through(part: int, w: list, x_j: list, to_i: list, to_j: list) -> None:
                    """Gradients of the factor w·x: `to_i` is that of the message to atom i, from atom j."""
                    tiles.store(_multiply_add(tiles, w, to_i, tiles.load("d_x", j, part)), "d_x", j, part)
                    tiles.write(_multiply_add(tiles, w, to_j, tiles.read(d_x_i[part])), d_x_i[part])
                    d_w = _multiply_add(tiles, to_i, x_j, _multiply(tiles, to_j, tiles.read(x_i[part])))
                    if tiles.given("d_table"):
                        tiles.add_to_nodes(d_w, *stencil, part)
                    if moving:
                        of_distance[0] = _multiply_add(tiles, d_w, tiles.filter(*moving, part), of_distance[0])

                through(0, tiles.filter(*stencil), tiles.load("x", j), tiles.read(g_i[3]), tiles.load("g", j))
                to_i, to_j = tiles.zeros(), tiles.zeros()
                for c in range(3):
                    there, back = [direction[c]] * tiles.vectors, [builder.fneg(direction[c])] * tiles.vectors
                    to_i = _multiply_add(tiles, there, tiles.read(g_i[c]), to_i)
                    to_j = _multiply_add(tiles, back, tiles.load("g_mu", j, c), to_j)
                w, x_j = tiles.filter(*stencil, 1), tiles.load("x", j, 1)
                through(1, w, x_j, to_i, to_j)
                if moving:
                    along_i, along_j = _multiply(tiles, w, x_j), _multiply(tiles, w, tiles.read(x_i[1]))
                    for c in range(3):
                        back = [builder.fneg(value) for value in _multiply(tiles, along_j, tiles.load("g_mu", j, c))]
                        terms = _multiply_add(tiles, along_i, tiles.read(g_i[c]), back)
                        tiles.add_total(terms, "d_pair", pair, tiles.number(1 + c))
                w, x_j = tiles.filter(*stencil, 2), tiles.load("x", j, 2)
                share_i, share_j = _multiply(tiles, w, x_j), _multiply(tiles, w, tiles.read(x_i[2]))
                to_i, to_j = tiles.zeros(), tiles.zeros()
                for c in range(3):
                    g_j, mu_j, at_i = tiles.load("g_mu", j, c), tiles.load("mu", j, c), tiles.read(g_i[c])
                    tiles.store(_multiply_add(tiles, share_i, at_i, tiles.load("d_mu", j, c)), "d_mu", j, c)
                    tiles.write(_multiply_add(tiles, share_j, g_j, tiles.read(d_mu_i[c])), d_mu_i[c])
                    to_i = _multiply_add(tiles, mu_j, at_i, to_i)
                    to_j = _multiply_add(tiles, tiles.read(mu_i[c]), g_j, to_j)
                through(2, w, x_j, to_i, to_j)
                if moving:
                    tiles.add_total(of_distance[0], "d_pair", pair, tiles.number(0))

            held = [*_parts("x", x_i), *_parts("mu", mu_i), *_parts("g_mu", g_i[:3]), ("g", 0, g_i[3])]
            tiles.for_pairs(held, [*_parts("d_x", d_x_i), *_parts("d_mu", d_mu_i)], body)
        return context.get_dummy_value()

    of_gradients = d_x, d_mu, d_table, d_pair
    of_pairs = first, second, node, weights, slopes, unit, start, stop
    return types.void(way, like, x, mu, table, g, g_mu, *of_gradients, *of_pairs), codegen


@intrinsic
def _norm_tiles(typingctx, way, products, vw, c, epsilon, count):  # noqa: ARG001
    """Write √(Σ V² + ε) into the second part of c, and Σ V·W."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way products vw c epsilon count")
        kind = ir.FunctionType(tiles.type, [tiles.type])
        name = f"llvm.sqrt.v{tiles.lanes}{tiles.type.element.intrinsic_name}"
        root = cgutils.get_or_insert_function(builder.module, kind, name)
        for _ in tiles.columns("products", tiles.way.pairs):
            with cgutils.for_range(builder, tiles.integer("count")) as loop:
                squares = [tiles.spread(tiles.item("epsilon", tiles.number(0)))] * tiles.vectors
                products_ = tiles.zeros()
                for axis in range(3):
                    v, w = tiles.load("vw", loop.index, 2 * axis), tiles.load("vw", loop.index, 2 * axis + 1)
                    squares = _multiply_add(tiles, v, v, squares)
                    products_ = _multiply_add(tiles, v, w, products_)
                tiles.store([builder.call(root, [square]) for square in squares], "c", loop.index, 1)
                tiles.store(products_, "products", loop.index)
        return context.get_dummy_value()

    return types.void(way, products, vw, c, epsilon, count), codegen


@intrinsic
def _mixing_tiles(typingctx, way, products, y, vw, c, mu, q_out, mu_out, count):  # noqa: ARG001
    """What a layer hands on: q + y₀ + y₂ Σ V·W, with q the first part of c, and μ + y₁ W."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way products y vw c mu q_out mu_out count")
        for _ in tiles.columns("products", tiles.way.pairs):
            with cgutils.for_range(builder, tiles.integer("count")) as loop:
                row = loop.index
                q = [builder.fadd(*two) for two in zip(tiles.load("c", row), tiles.load("y", row), strict=True)]
                q = _multiply_add(tiles, tiles.load("y", row, 2), tiles.load("products", row), q)
                tiles.store(q, "q_out", row)
                scale = tiles.load("y", row, 1)
                for axis in range(3):
                    w, before = tiles.load("vw", row, 2 * axis + 1), tiles.load("mu", row, axis)
                    tiles.store(_multiply_add(tiles, scale, w, before), "mu_out", row, axis)
        return context.get_dummy_value()

    return types.void(way, products, y, vw, c, mu, q_out, mu_out, count), codegen


@intrinsic
def _mixing_gradient_tiles(typingctx, way, g, g_mu, y, vw, products, g_y, g_vw, count):  # noqa: ARG001
    """Gradients of `_mixing_tiles` with respect to y and, norms aside, V and W."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way g g_mu y vw products g_y g_vw count")
        for _ in tiles.columns("g", tiles.way.pairs):
            with cgutils.for_range(builder, tiles.integer("count")) as loop:
                row = loop.index
                g_q, scale = tiles.load("g", row), tiles.load("y", row, 1)
                through = _multiply(tiles, g_q, tiles.load("y", row, 2))
                tiles.store(g_q, "g_y", row)
                tiles.store(_multiply(tiles, g_q, tiles.load("products", row)), "g_y", row, 2)
                of_scale = tiles.zeros()
                for axis in range(3):
                    v, w = tiles.load("vw", row, 2 * axis), tiles.load("vw", row, 2 * axis + 1)
                    at = tiles.load("g_mu", row, axis)
                    of_scale = _multiply_add(tiles, at, w, of_scale)
                    tiles.store(_multiply(tiles, through, w), "g_vw", row, 2 * axis)
                    of_w = _multiply_add(tiles, through, v, _multiply(tiles, at, scale))
                    tiles.store(of_w, "g_vw", row, 2 * axis + 1)
                tiles.store(of_scale, "g_y", row, 1)
        return context.get_dummy_value()

    return types.void(way, g, g_mu, y, vw, products, g_y, g_vw, count), codegen


@intrinsic
def _norm_gradient_tiles(typingctx, way, g, g_c, c, vw, g_vw, count):  # noqa: ARG001
    """Add the gradient of c's first part to g, and that of the norms to V's."""

    def codegen(context, builder, signature, values):
        tiles = _Tiles(context, builder, signature, values, "way g g_c c vw g_vw count")
        for _ in tiles.columns("g", tiles.way.pairs):
            with cgutils.for_range(builder, tiles.integer("count")) as loop:
                row = loop.index
                added = zip(tiles.load("g", row), tiles.load("g_c", row), strict=True)
                tiles.store([builder.fadd(*two) for two in added], "g", row)
                of_norm = zip(tiles.load("g_c", row, 1), tiles.load("c", row, 1), strict=True)
                share = [builder.fdiv(*two) for two in of_norm]
                for axis in range(3):
                    v, before = tiles.load("vw", row, 2 * axis), tiles.load("g_vw", row, 2 * axis)
                    tiles.store(_multiply_add(tiles, share, v, before), "g_vw", row, 2 * axis)
        return context.get_dummy_value()

    return types.void(way, g, g_c, c, vw, g_vw, count), codegen


def _variables(tiles: _Tiles, number: int) -> list[list[ir.Value]]:
    return [tiles.variables() for _ in range(number)]


def _parts(matrix: str, variables: list[list[ir.Value]]) -> list[tuple[str, int, list[ir.Value]]]:
    return [(matrix, part, of_part) for part, of_part in enumerate(variables)]


def _direction(tiles: _Tiles, pair: ir.Value) -> list[ir.Value]:
    return [tiles.spread(tiles.item("unit", pair, tiles.number(c))) for c in range(3)]


def _multiply(tiles: _Tiles, a: list[ir.Value], b: list[ir.Value]) -> list[ir.Value]:
    return [tiles.multiply(*two) for two in zip(a, b, strict=True)]


def _multiply_add(tiles: _Tiles, a: list[ir.Value], b: list[ir.Value], c: list[ir.Value]) -> list[ir.Value]:
    return [tiles.multiply_add(*three) for three in zip(a, b, c, strict=True)]


@compiled()
def _messages(way, like, x, mu, table, q_out, mu_out, first, second, node, weights, unit, stop) -> None:
    _message_tiles(way, like, x, mu, table, q_out, mu_out, first, second, node, weights, unit, 0, stop)


@compiled()
def _message_gradients(
    way, like, x, mu, table, g, g_mu, d_x, d_mu, d_table, d_pair, first, second, node, weights, slopes, unit, stop
) -> None:
    of_gradients = d_x, d_mu, d_table, d_pair
    of_pairs = first, second, node, weights, slopes, unit
    _message_gradient_tiles(way, like, x, mu, table, g, g_mu, *of_gradients, *of_pairs, 0, stop)


@compiled()
def _norms(way, products, vw, c, epsilon, count) -> None:
    _norm_tiles(way, products, vw, c, epsilon, count)


@compiled()
def _mix(way, products, y, vw, c, mu, q_out, mu_out, count) -> None:
    _mixing_tiles(way, products, y, vw, c, mu, q_out, mu_out, count)


@compiled()
def _mix_gradients(way, g, g_mu, y, vw, products, g_y, g_vw, count) -> None:
    _mixing_gradient_tiles(way, g, g_mu, y, vw, products, g_y, g_vw, count)


@compiled()
def _norm_gradients(way, g, g_c, c, vw, g_vw, count) -> None:
    _norm_gradient_tiles(way, g, g_c, c, vw, g_vw, count)


@compiled()
def _directions(positions, shift, first, second, count, unit) -> None:
    """The unit vectors from the first to the second atom of each pair; atoms are counted from `shift` on."""
    for p in range(count):
        square = 0.0
        for c in range(3):
            unit[p, c] = positions[shift + second[p], c] - positions[shift + first[p], c]
            square += unit[p, c] * unit[p, c]
        length = np.sqrt(square)
        for c in range(3):
            unit[p, c] /= length


@compiled()
def _add_turning(positions, shift, first, second, count, d_pair, d_positions) -> None:
    """Add what pairs' distances and unit vectors, [n, 4], give to the gradient with respect to positions."""
    unit = np.empty(3)
    for p in range(count):
        i, j = shift + first[p], shift + second[p]
        square = 0.0
        for c in range(3):
            unit[c] = positions[j, c] - positions[i, c]
            square += unit[c] * unit[c]
        length, along = np.sqrt(square), 0.0
        for c in range(3):
            unit[c] /= length
            along += unit[c] * d_pair[p, 1 + c]
        for c in range(3):
            share = d_pair[p, 0] * unit[c] + (d_pair[p, 1 + c] - along * unit[c]) / length
            d_positions[j, c] += share
            d_positions[i, c] -= share


@compiled()
def _forward_share(
    way,
    embedding,
    numbers,
    positions,
    tables,
    last,
    into,
    biases,
    epsilon,
    first,
    second,
    distance,
    blocks,
    end,
    kept,
    out,
) -> None:
    """All layers for one thread's blocks of molecules, see `interact`."""
    of_pairs, of_products = for_pairs(way), for_products(way)
    width, layers = embedding.shape[1], tables.shape[0]
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights, unit = np.empty((n, NODES), embedding.dtype), np.empty((n, 3), embedding.dtype)
    inner = np.empty((_largest_step(blocks, 0) + ROWS, width), embedding.dtype)
    origin = blocks[0, 0]
    w_1, w_2, w_mix, w_3, w_4 = into
    b_1, b_2, b_mix, b_3, b_4 = biases
    k_q, k_mu, k_hidden, k_slope, k_x, k_c, k_between, k_vw, k_products, k_mixed, k_mixed_slope, k_y = kept
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
        _directions(positions, shift, near_first, near_second, pairs, unit)
        k_mu[0, low : high - ROWS] = 0
        for a in range(count):
            for f in range(width):
                k_q[0, low + a, f] = embedding[numbers[shift + a], f]
        for layer in range(layers):
            q, mu, x, c = k_q[layer, low:high], k_mu[layer, low:high], k_x[layer, low:high], k_c[layer, low:high]
            hidden, slope = k_hidden[layer, low:high], k_slope[layer, low:high]
            between, vw, products = k_between[layer, low:high], k_vw[layer, low:high], k_products[layer, low:high]
            mixed, mixed_slope, y = k_mixed[layer, low:high], k_mixed_slope[layer, low:high], k_y[layer, low:high]
            _product(of_products, q, w_1[layer], b_1[layer], inner, count, False)
            _silu(inner[:count].reshape(-1), hidden[:count].reshape(-1), slope[:count].reshape(-1))
            _product(of_products, hidden, w_2[layer], b_2[layer], x, count, False)
            c[:count, :width] = q[:count]
            between[:count] = mu[:count]
            _messages(
                of_pairs,
                inner,
                x,
                mu,
                tables[layer],
                c,
                between,
                near_first,
                near_second,
                node,
                weights,
                unit,
                pairs,
            )
            _product(
                of_products,
                between.reshape(-1, width),
                w_mix[layer],
                b_mix[layer],
                vw.reshape(-1, 2 * width),
                3 * count,
                False,
            )
            _norms(of_pairs, products, vw, c, epsilon, count)
            _product(of_products, c, w_3[layer], b_3[layer], inner, count, False)
            _silu(inner[:count].reshape(-1), mixed[:count].reshape(-1), mixed_slope[:count].reshape(-1))
            _product(of_products, mixed, w_4[layer], b_4[layer], y, count, False)
            _mix(of_pairs, products, y, vw, c, between, k_q[layer + 1, low:high], k_mu[layer + 1, low:high], count)
        out[shift:stop] = k_q[layers, low : low + count]


@compiled()
def _backward_share(
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
    d_pair,
    d_embedding,
    d_tables,
    d_matrices,
    d_biases,
    d_positions,
) -> None:
    """The backward pass of `_forward_share`, see `interact_gradients`.

    Without gradients of parameters the four of them are None; without those of positions these, `slopes` and `d_pair`.
    Each case is compiled apart.
    """
    of_pairs, of_products = for_pairs(way), for_products(way)
    width, layers = g_out.shape[1], tables.shape[0]
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights, unit = np.empty((n, NODES), g_out.dtype), np.empty((n, 3), g_out.dtype)
    nothing = np.zeros((1, 2 * width), g_out.dtype)
    nothing_1 = np.zeros((1, width), g_out.dtype)
    origin = blocks[0, 0]
    v_1, v_2, v_mix, v_3, v_4 = back
    if d_tables is not None:
        d_1, d_2, d_mix, d_3, d_4 = d_matrices
        e_1, e_2, e_3, e_4 = d_biases
    g, g_mu, d_mu, d_x, g_c, g_vw, g_y, inner = room
    k_q, k_mu, k_hidden, k_slope, k_x, k_c, k_between, k_vw, k_products, k_mixed, k_mixed_slope, k_y = kept
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
        _directions(positions, shift, near_first, near_second, pairs, unit)
        if d_positions is not None:
            _slopes(positions, shift, near_first, near_second, pairs, end, last, node, slopes)
            d_pair[:pairs] = 0
        g[:count] = g_out[shift:stop]
        g_mu[:count] = 0
        for layer in range(layers - 1, -1, -1):
            q, mu, x, c = k_q[layer, low:high], k_mu[layer, low:high], k_x[layer, low:high], k_c[layer, low:high]
            hidden, slope = k_hidden[layer, low:high], k_slope[layer, low:high]
            between, vw, products = k_between[layer, low:high], k_vw[layer, low:high], k_products[layer, low:high]
            mixed, mixed_slope, y = k_mixed[layer, low:high], k_mixed_slope[layer, low:high], k_y[layer, low:high]
            _mix_gradients(of_pairs, g, g_mu, y, vw, products, g_y, g_vw, count)
            if d_tables is not None:
                _add_outer(of_products, g_y, mixed, d_4[layer], count)
                _add_rows(g_y, e_4[layer, 0], count)
            _product(of_products, g_y, v_4[layer], nothing_1, inner, count, False)
            _scale(inner[:count].reshape(-1), mixed_slope[:count].reshape(-1))
            if d_tables is not None:
                _add_outer(of_products, inner, c, d_3[layer], count)
                _add_rows(inner, e_3[layer, 0], count)
            _product(of_products, inner, v_3[layer], nothing, g_c, count, False)
            _norm_gradients(of_pairs, g, g_c, c, vw, g_vw, count)
            of_vectors, vectors = g_vw.reshape(-1, 2 * width), between.reshape(-1, width)
            if d_tables is not None:
                _add_outer(of_products, of_vectors, vectors, d_mix[layer], 3 * count)
            _product(of_products, of_vectors, v_mix[layer], nothing_1, g_mu.reshape(-1, width), 3 * count, True)
            d_x[:count] = 0
            d_mu[:count] = g_mu[:count]
            _message_gradients(
                of_pairs,
                inner,
                x,
                mu,
                tables[layer],
                g,
                g_mu,
                d_x,
                d_mu,
                _of_layer(d_tables, layer),
                d_pair,
                near_first,
                near_second,
                node,
                weights,
                slopes,
                unit,
                pairs,
            )
            g_mu[:count] = d_mu[:count]
            if d_tables is not None:
                _add_outer(of_products, d_x, hidden, d_2[layer], count)
                _add_rows(d_x, e_2[layer, 0], count)
            if d_tables is not None or layer > 0:
                _product(of_products, d_x, v_2[layer], nothing_1, inner, count, False)
                _scale(inner[:count].reshape(-1), slope[:count].reshape(-1))
            if d_tables is not None:
                _add_outer(of_products, inner, q, d_1[layer], count)
                _add_rows(inner, e_1[layer, 0], count)
            if d_tables is not None or layer > 0:
                _product(of_products, inner, v_1[layer], nothing_1, g, count, True)
        if d_positions is not None:
            _add_turning(positions, shift, near_first, near_second, pairs, d_pair, d_positions)
        if d_tables is not None:
            part = np.zeros_like(d_embedding)
            for a in range(count):
                for f in range(width):
                    part[numbers[shift + a], f] += g[a, f]
            d_embedding += part


def kept_shapes(shares: list[np.ndarray], layers: int, width: int) -> list[tuple[int, int, int]]:
    """What the forward pass keeps for the backward pass: for each share, arrays with the parts `KEPT`."""
    rows = [int(blocks[-1, 0] - blocks[0, 0]) + ROWS for blocks in shares]
    return [(layers + 1, n, parts * width) for n in rows for parts in KEPT]


def interact(
    way: Way,
    embedding: np.ndarray,
    numbers: np.ndarray,
    positions: np.ndarray,
    tables: np.ndarray,
    into: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    epsilon: float,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
) -> np.ndarray:
    """Atoms' scalar features after all layers, [A, W].

    `embedding` [N, W] has a row for each of `numbers`, int64 [A]; `positions` [A, 3]; `tables` [L, K + 1, 3 W]. `into`
    are the layers' five matrices from input to output, each [L, …]: both of the network before the messages, that of
    the vectors, both of the mixing network; `biases` theirs, [L, 1, …]. `kept`, of `kept_shapes`, takes what the
    backward pass needs.
    """
    out = np.empty((len(numbers), embedding.shape[1]), embedding.dtype)
    last = tables.shape[1] - 1
    small = np.array([epsilon], embedding.dtype)

    def work(share: int) -> None:
        of_share = tuple(kept[share * len(KEPT) : (share + 1) * len(KEPT)])
        given = embedding, numbers, positions, tables, last, into, biases, small, *pairs, shares[share], end
        _forward_share(way, *given, of_share, out)

    _each(way, work, len(shares))
    return out


def interact_gradients(
    way: Way,
    g: np.ndarray,
    numbers: np.ndarray,
    positions: np.ndarray,
    n_rows: int,
    tables: np.ndarray,
    back: tuple[np.ndarray, ...],
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
    *,
    parameters: bool = True,
    moving: bool = False,
) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
    """Gradients with respect to the parameters, unless told not to, and to positions, float64 [A, 3], if `moving`.

    Those of parameters: embedding [n_rows, W], tables, the five matrices from output to input as `back`, four biases.
    """
    layers, last, width = len(tables), tables.shape[1] - 1, g.shape[1]
    threads = len(shares)
    d_embedding = d_tables = d_positions = None
    d_matrices, d_biases = [], []
    if parameters:
        d_embedding = zeros((threads, n_rows, width), g.dtype)
        d_tables = zeros((threads, *tables.shape), g.dtype)
        d_matrices = [zeros((threads, *matrix.shape), g.dtype) for matrix in back]
        d_biases = [zeros((threads, layers, 1, parts * width), g.dtype) for parts in (1, 3, 1, 3)]
    if moving:
        d_positions = np.zeros_like(positions)

    def work(share: int) -> None:
        of_share = tuple(kept[share * len(KEPT) : (share + 1) * len(KEPT)])
        rows = int(np.diff(shares[share][:, 0]).max()) + ROWS
        room = tuple(zeros((rows, parts * width), g.dtype) for parts in (1, 3, 3, 3, 2, 6, 3, 1))
        given = g, numbers, positions, tables, last, back, *pairs, shares[share], end, of_share, room
        of_pairs = room_for_pairs(shares[share], g, d_positions, 4)
        found = None, None, None, None
        if parameters:
            matrices, biases = (tuple(array[share] for array in arrays) for arrays in (d_matrices, d_biases))
            found = d_embedding[share], d_tables[share], matrices, biases
        _backward_share(way, *given, *of_pairs, *found, d_positions)

    _each(way, work, threads)
    if not parameters:
        return None, d_positions
    # The sums over threads go in their order, so that a repetition gives the same bits.
    return [
        d_embedding.sum(axis=0),
        _sum(d_tables),
        *(array.sum(axis=0) for array in d_matrices + d_biases),
    ], d_positions
