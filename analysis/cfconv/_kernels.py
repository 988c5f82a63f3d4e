"""The compiled loops of the convolution and of SchNet's interaction blocks, and how threads share them.

A molecule's atoms see only each other. So a thread takes some of the molecules, block by block, through all
interactions before the next block: what it works on stays in its own cache, and threads wait for each other once per
pass.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numba import njit

from analysis.cfconv._vectors import (
    NODES,
    ROWS,
    VECTOR_BYTES,
    WIDEST_TILE,
    convolution_gradient_tile,
    convolution_tile,
    float_from_bits,
    outer_tile,
    padded_width,
    product_tile,
)

_LOG2_HIGH, _LOG2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_PER_LOG2 = np.float32(1.4426950408889634)
_PART = 64  # rows that are summed before their sum goes to the others: long sums in float32 lose digits
_TINY = np.float32(80)  # exp(-80) is nothing beside 1, and still a normal number

# ---- one pair, one row ---------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def stray_pair(first, second, blocks) -> int:
    """The first pair with an atom outside its block, or −1."""
    for b in range(blocks.shape[0] - 1):
        start, stop = blocks[b, 0], blocks[b + 1, 0]
        for p in range(blocks[b, 1], blocks[b + 1, 1]):
            if min(first[p], second[p]) < start or max(first[p], second[p]) >= stop:
                return p
    return -1


@njit(cache=True, nogil=True)
def _convolve(h, table, out, first, second, node, weights, start, stop) -> None:
    lanes = VECTOR_BYTES // h.itemsize
    column = 0
    while column < h.shape[1]:
        vectors = min((h.shape[1] - column) // lanes, WIDEST_TILE)
        if vectors == 1:
            convolution_tile(h, table, out, first, second, node, weights, start, stop, column, 1)
        elif vectors == 2:
            convolution_tile(h, table, out, first, second, node, weights, start, stop, column, 2)
        elif vectors == 3:
            convolution_tile(h, table, out, first, second, node, weights, start, stop, column, 3)
        else:
            convolution_tile(h, table, out, first, second, node, weights, start, stop, column, 4)
        column += vectors * lanes


@njit(cache=True, nogil=True)
def _convolve_gradients(h, table, g, d_h, d_table, first, second, node, weights, start, stop) -> None:
    lanes = VECTOR_BYTES // h.itemsize
    column = 0
    while column < h.shape[1]:
        vectors = min((h.shape[1] - column) // lanes, WIDEST_TILE)
        if vectors == 1:
            convolution_gradient_tile(h, table, g, d_h, d_table, first, second, node, weights, start, stop, column, 1)
        elif vectors == 2:
            convolution_gradient_tile(h, table, g, d_h, d_table, first, second, node, weights, start, stop, column, 2)
        elif vectors == 3:
            convolution_gradient_tile(h, table, g, d_h, d_table, first, second, node, weights, start, stop, column, 3)
        else:
            convolution_gradient_tile(h, table, g, d_h, d_table, first, second, node, weights, start, stop, column, 4)
        column += vectors * lanes


@njit(cache=True, nogil=True)
def _product(x, w, bias, out, count) -> None:
    """Out = bias + x w for `count` rows and up to ROWS − 1 more."""
    lanes, depth = VECTOR_BYTES // x.itemsize, w.shape[0]
    column = 0
    while column < w.shape[1]:
        vectors = min((w.shape[1] - column) // lanes, WIDEST_TILE)
        if vectors == 1:
            for row in range(0, count, 8):
                product_tile(x, w, bias, out, row, column, depth, 1, 8, 0)
        elif vectors == 2:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 2, 4, 0)
        elif vectors == 3:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 3, 4, 0)
        else:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 4, 4, 0)
        column += vectors * lanes


@njit(cache=True, nogil=True)
def _add_product(x, w, bias, out, count) -> None:
    """Out += bias + x w for `count` rows and up to ROWS − 1 more."""
    lanes, depth = VECTOR_BYTES // x.itemsize, w.shape[0]
    column = 0
    while column < w.shape[1]:
        vectors = min((w.shape[1] - column) // lanes, WIDEST_TILE)
        if vectors == 1:
            for row in range(0, count, 8):
                product_tile(x, w, bias, out, row, column, depth, 1, 8, 1)
        elif vectors == 2:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 2, 4, 1)
        elif vectors == 3:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 3, 4, 1)
        else:
            for row in range(0, count, 4):
                product_tile(x, w, bias, out, row, column, depth, 4, 4, 1)
        column += vectors * lanes


@njit(cache=True, nogil=True)
def _add_outer(g, x, out, count) -> None:
    """Add gᵀ x, over `count` rows, to `out`."""
    lanes = VECTOR_BYTES // x.itemsize
    for start in range(0, count, _PART):
        rows = min(start + _PART, count) - start
        column = 0
        while column < out.shape[1]:
            vectors = min((out.shape[1] - column) // lanes, WIDEST_TILE)
            if vectors == 1:
                for row in range(0, out.shape[0], 8):
                    outer_tile(g[start:], x[start:], out, row, column, rows, 1, 8)
            elif vectors == 2:
                for row in range(0, out.shape[0], 4):
                    outer_tile(g[start:], x[start:], out, row, column, rows, 2, 4)
            elif vectors == 3:
                for row in range(0, out.shape[0], 4):
                    outer_tile(g[start:], x[start:], out, row, column, rows, 3, 4)
            else:
                for row in range(0, out.shape[0], 4):
                    outer_tile(g[start:], x[start:], out, row, column, rows, 4, 4)
            column += vectors * lanes


@njit(cache=True, nogil=True)
def _add_rows(g, out, count) -> None:
    """Add the sum of `count` rows of g to `out`."""
    part, whole = np.empty_like(out), np.zeros_like(out)
    for start in range(0, count, _PART):
        part[:] = 0
        for a in range(start, min(start + _PART, count)):
            for f in range(out.shape[0]):
                part[f] += g[a, f]
        whole += part
    out += whole


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _shifted_softplus(x, y, slope) -> None:
    """Y = log(1 + eˣ) − log 2, and its slope eˣ/(1 + eˣ), number by number; three different arrays.

    To rounding in float32, and exactly 0 at 0: e^−|x| = u = 2⁻ⁿ e^r with |r| ≤ ½ log 2 by a polynomial, and
    log(1 + u) − log 2 = 2 artanh((u − 1)/(u + 3)) by another.
    """
    for a in range(x.shape[0]):
        value = x[a]
        t = min(abs(value), _TINY)
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
        u *= float_from_bits(np.int32((np.int32(127) - n) << np.int32(23)))
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


@njit(cache=True, nogil=True)
def _scale(x, y) -> None:
    for a in range(x.shape[0]):
        x[a] *= y[a]


# ---- one thread's share --------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _convolution_share(h, table, out, first, second, distance, start, stop, end) -> None:
    n = stop - start
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), h.dtype)
    last = table.shape[0] - 1
    n = _stencils(first, second, distance, start, stop, 0, end, last, near_first, near_second, node, weights)
    _convolve(h, table, out, near_first, near_second, node, weights, 0, n)


@njit(cache=True, nogil=True)
def _gradient_share(h, table, g, d_h, d_table, first, second, distance, start, stop, end) -> None:
    n = stop - start
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), h.dtype)
    last = table.shape[0] - 1
    n = _stencils(first, second, distance, start, stop, 0, end, last, near_first, near_second, node, weights)
    _convolve_gradients(h, table, g, d_h, d_table, near_first, near_second, node, weights, 0, n)


@njit(cache=True, nogil=True)
def _largest_step(blocks, column) -> int:
    largest = 0
    for b in range(blocks.shape[0] - 1):
        largest = max(largest, blocks[b + 1, column] - blocks[b, column])
    return largest


@njit(cache=True, nogil=True)
def _interactions_share(x, tables, into, biases, first, second, distance, blocks, end, kept, out) -> None:
    """All interactions for one thread's blocks of molecules.

    `into` [L, 3, F, W] holds in2f's and f2out's matrices from input to output, `biases` [L, 3, 1, W]; `kept`
    [5 L + 1, R, W] takes, for the backward pass, each layer's input, features to convolve, convolution, and the hidden
    layer's value and slope; in the end, the result.
    """
    width, layers, last = x.shape[1], tables.shape[0], tables.shape[1] - 1
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), x.dtype)
    inner = np.empty((_largest_step(blocks, 0) + ROWS, tables.shape[2]), x.dtype)
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
        start[:count, :width] = x[shift:stop]
        for layer in range(layers):
            k = 5 * layer
            value, h, y = kept[k][low:high], kept[k + 1][low:high], kept[k + 2][low:high]
            hidden, slope = kept[k + 3][low:high], kept[k + 4][low:high]
            _product(value, into[layer, 0], biases[layer, 0], h, count)
            y[:count] = 0
            _convolve(h, tables[layer], y, near_first, near_second, node, weights, 0, pairs)
            _product(y, into[layer, 1], biases[layer, 1], inner, count)
            _shifted_softplus(inner[:count].reshape(-1), hidden[:count].reshape(-1), slope[:count].reshape(-1))
            result = kept[k + 5][low:high]
            result[:count] = value[:count]
            _add_product(hidden, into[layer, 2], biases[layer, 2], result, count)
        out[shift:stop] = kept[5 * layers][low : low + count, :width]


@njit(cache=True, nogil=True)
def _interactions_gradient_share(
    g_out, tables, back, first, second, distance, blocks, end, kept, d_x, d_tables, d_matrices, d_biases
) -> None:
    """The backward pass of `_interactions_share`; `back` [L, 3, F, W] holds the matrices from output to input."""
    width, layers, last = g_out.shape[1], tables.shape[0], tables.shape[1] - 1
    n = _largest_step(blocks, 1)
    near_first, near_second, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    weights = np.empty((n, NODES), g_out.dtype)
    rows = _largest_step(blocks, 0) + ROWS
    g = np.zeros((rows, tables.shape[2]), g_out.dtype)
    inner, through, d_h = np.empty_like(g), np.empty_like(g), np.empty_like(g)
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
        g[:count, :width] = g_out[shift:stop]
        for layer in range(layers - 1, -1, -1):
            k = 5 * layer
            value, h, y = kept[k][low:high], kept[k + 1][low:high], kept[k + 2][low:high]
            hidden, slope = kept[k + 3][low:high], kept[k + 4][low:high]
            _add_outer(g, hidden, d_matrices[layer, 2], count)
            _add_rows(g, d_biases[layer, 2, 0], count)
            _product(g, back[layer, 2], no_bias, inner, count)
            _scale(inner[:count].reshape(-1), slope[:count].reshape(-1))
            _add_outer(inner, y, d_matrices[layer, 1], count)
            _add_rows(inner, d_biases[layer, 1, 0], count)
            _product(inner, back[layer, 1], no_bias, through, count)
            d_h[:count] = 0
            _convolve_gradients(
                h, tables[layer], through, d_h, d_tables[layer], near_first, near_second, node, weights, 0, pairs
            )
            _add_outer(d_h, value, d_matrices[layer, 0], count)
            _add_product(d_h, back[layer, 0], no_bias, g, count)
        d_x[shift:stop] = g[:count, :width]


# ---- all threads ---------------------------------------------------------------------------------------------------


def convolve(
    h: np.ndarray, table: np.ndarray, pairs: tuple[np.ndarray, ...], shares: list[np.ndarray], end: float
) -> np.ndarray:
    """The convolution of padded features, [A, W]; `pairs` are first and second atoms and distances."""
    out = np.zeros_like(h)

    def work(share: int) -> None:
        blocks = shares[share]
        _convolution_share(h, table, out, *pairs, blocks[0, 1], blocks[-1, 1], end)

    _each(work, len(shares))
    return out


def convolve_gradients(
    h: np.ndarray,
    table: np.ndarray,
    g: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Its gradients with respect to the features, [A, W], and to the table, [K + 1, W]."""
    d_h, d_tables = np.zeros_like(h), np.zeros((len(shares), *table.shape), table.dtype)

    def work(share: int) -> None:
        blocks = shares[share]
        _gradient_share(h, table, g, d_h, d_tables[share], *pairs, blocks[0, 1], blocks[-1, 1], end)

    _each(work, len(shares))
    # The sums over threads go in their order, so that a repetition gives the same bits.
    return d_h, d_tables.sum(axis=0)


def kept_shapes(shares: list[np.ndarray], layers: int, width: int) -> list[tuple[int, int, int]]:
    """What each share's forward pass keeps for the backward pass."""
    return [(5 * layers + 1, int(blocks[-1, 0] - blocks[0, 0]) + ROWS, width) for blocks in shares]


def interact(
    x: np.ndarray,
    tables: np.ndarray,
    into: np.ndarray,
    biases: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
) -> np.ndarray:
    """The features after all interactions, [A, F]; `kept`, of `kept_shapes`, takes what the backward pass needs."""
    out = np.empty_like(x)

    def work(share: int) -> None:
        _interactions_share(x, tables, into, biases, *pairs, shares[share], end, kept[share], out)

    _each(work, len(shares))
    return out


def interact_gradients(
    g: np.ndarray,
    tables: np.ndarray,
    back: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    shares: list[np.ndarray],
    end: float,
    kept: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients with respect to the features [A, F], tables, matrices [L, 3, W, W] and biases [L, 3, 1, W]."""
    layers, _, width = tables.shape
    d_x = np.empty_like(g)
    d_tables = np.zeros((len(shares), *tables.shape), g.dtype)
    d_matrices = np.zeros((len(shares), layers, 3, width, width), g.dtype)
    d_biases = np.zeros((len(shares), layers, 3, 1, width), g.dtype)

    def work(share: int) -> None:
        _interactions_gradient_share(
            g,
            tables,
            back,
            *pairs,
            shares[share],
            end,
            kept[share],
            d_x,
            d_tables[share],
            d_matrices[share],
            d_biases[share],
        )

    _each(work, len(shares))
    return d_x, d_tables.sum(axis=0), d_matrices.sum(axis=0), d_biases.sum(axis=0)


def shifted_softplus(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shifted softplus of float32 numbers, and its slope."""
    y, slope = np.empty_like(x), np.empty_like(x)
    _shifted_softplus(x.reshape(-1), y.reshape(-1), slope.reshape(-1))
    return y, slope


def padded(matrix: np.ndarray) -> np.ndarray:
    """A C-ordered copy with as many columns as the loops need, the new ones zero."""
    copy = np.zeros((*matrix.shape[:-1], padded_width(matrix.shape[-1], matrix.itemsize)), matrix.dtype)
    copy[..., : matrix.shape[-1]] = matrix
    return copy


def _each(work: Callable[[int], None], shares: int) -> None:
    """Do each share in a thread of its own, the first one in the caller's.

    The loops let go of Python's lock. Threads of numba's own would come with a second OpenMP beside torch's: on few
    cores each of the two then waits, spinning, for the cores that the other one has.
    """
    waiting = [_helpers(os.getpid(), shares - 1).submit(work, share) for share in range(1, shares)]
    work(0)
    for future in waiting:
        future.result()


@lru_cache(maxsize=1)
def _helpers(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001 (threads do not survive a fork)
    return ThreadPoolExecutor(threads, thread_name_prefix="cfconv")
