"""The floor: the least time that one training step can take with the products of torch's library on this machine.

An exact implementation of SchNet's training must do three things for a batch of A atoms, P pairs (each counted once),
F features and L interactions:

1. Dense products of the atoms: in each interaction three of [A, F] with [F, F] (`in2f`, and the two of `f2out`), and
   the head's two, [A, F] with [F, F/2] and [A, F/2] with [F/2, 1]; each once forward and twice backward (gradients
   with respect to input and weights). They are timed with torch.mm on arrays of these shapes.
2. The convolution's arithmetic: for each interaction, pair and feature two multiply-adds forward (each atom of the pair
   hears the other) and four backward (the two features' gradients, and the filter's from both directions), at the rate
   of multiply-adds that a large torch.mm reaches.
3. The convolution's memory traffic: for each interaction the features are read and the result is written, [A, F] each;
   backward, the features and the result's gradient are read and the features' gradient is written. The list of pairs,
   12 bytes each, is read once. All at the rate of a copy of arrays that are as large in total.

`harness.benchmark.record.Floor.seconds` puts them together and says what is left out.
"""

import time
from collections.abc import Callable

import torch

_PAIR_BYTES = 12  # two int32 and a float32
_FLOAT = 4  # bytes
_LARGE = 1536  # rows of the square matrices whose product gives the rate of multiply-adds


def best_seconds(work: Callable[[], object], *, seconds: float, least: int = 3) -> float:
    """The shortest of many runs within about `seconds`, after one that is not counted."""
    work()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def products(atoms: int, width: int, n_interactions: int, *, seconds: float) -> float:
    """Seconds for the dense products of a step, each the best of many runs within `seconds`."""
    half = width // 2
    squares = 3 * n_interactions * _layer(atoms, width, width, seconds)
    return squares + _layer(atoms, width, half, seconds) + _layer(atoms, half, 1, seconds)


def product_multiply_adds(atoms: float, width: int, n_interactions: int) -> float:
    """Multiply-adds of the dense products of a step, forward and twice backward."""
    half = width // 2
    return 3 * atoms * (3 * n_interactions * width**2 + width * half + half)


def multiply_add_rate(*, seconds: float) -> float:
    """Multiply-adds per second of a large product."""
    a, b, out = (torch.rand(_LARGE, _LARGE) for _ in range(3))
    return _LARGE**3 / best_seconds(lambda: torch.mm(a, b, out=out), seconds=seconds)


def copy_rate(moved: int, *, seconds: float) -> float:
    """Bytes per second, read and written, of a copy that moves about `moved` bytes."""
    source = torch.rand(max(1, moved // (2 * _FLOAT)))
    target = torch.empty_like(source)
    return 2 * source.nbytes / best_seconds(lambda: target.copy_(source), seconds=seconds)


def measure(
    *, width: int, batch: int, n_interactions: int, atoms: float, pairs: float, rate: float, seconds: float
) -> dict[str, float]:
    """Every term of one step, under the names of `harness.benchmark.record.Floor`.

    `atoms` and `pairs` are means per molecule, `rate` is `multiply_add_rate`; each timing takes about `seconds`.
    """
    atoms, pairs = atoms * batch, pairs * batch
    moved = n_interactions * 5 * atoms * width * _FLOAT + pairs * _PAIR_BYTES
    return {
        "width": width,
        "batch": batch,
        "atoms": atoms,
        "pairs": pairs,
        "product_multiply_adds": product_multiply_adds(atoms, width, n_interactions),
        "products": products(round(atoms), width, n_interactions, seconds=seconds),
        "multiply_adds": n_interactions * 6 * pairs * width,
        "multiply_add_rate": rate,
        "moved": moved,
        "copy_rate": copy_rate(int(moved), seconds=seconds),
    }


def _layer(rows: int, inputs: int, outputs: int, seconds: float) -> float:
    """Seconds for one dense layer's product forward and its two backward."""
    x, weight, gradient = torch.rand(rows, inputs), torch.rand(outputs, inputs), torch.rand(rows, outputs)
    y, dx, dw = torch.empty_like(gradient), torch.empty_like(x), torch.empty_like(weight)
    return sum(
        best_seconds(work, seconds=seconds)
        for work in (
            lambda: torch.mm(x, weight.T, out=y),
            lambda: torch.mm(gradient, weight, out=dx),
            lambda: torch.mm(gradient.T, x, out=dw),
        )
    )
