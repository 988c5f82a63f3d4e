"""What `fused.choice` tries: the loops in each way of working, on made-up molecules of QM9's size."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from fused import _kernels, equivariant
from fused.choice import BLOCKS, Kind, Way, candidates, forced
from fused.convolution import Dense, Grid, HalfList, Interaction, interact

_ATOMS, _PAIRS = 18, 141  # of a molecule of QM9, the pairs nearer than 5 Å
_GAUSSIANS, _INTERVALS, _END = 20, 320, 5.0
_REPEATS = 7
_LAYERS = 3
_MARGIN = 0.95  # of the first way's time: what is nearly as fast is not worth another way


def tiles(width: int) -> Way:
    """Of the candidates, the one whose products and loops over pairs take the least time at this width."""
    ways = candidates()
    return _best(ways, [_loops(way, width) for way in ways])


@torch.inference_mode(False)  # a first network may be one that only predicts, without gradients
@torch.enable_grad()
def block(kind: Kind, width: int, way: Way) -> Way:
    """The way with the block that makes a step of a whole network the fastest."""
    ways = [replace(way, block=size) for size in BLOCKS]
    return _best(ways, [_step(kind, width, way) for way in ways])


def _best(ways: Sequence[Way], works: Sequence[Callable[[], object]]) -> Way:
    """The way whose work takes the least time; the first one if no other is clearly faster.

    What counts is processor time, the least of several repeats, in which the ways take turns, so that other processes
    have little influence.
    """
    for work in works:
        work()  # compiles
    times = np.full((_REPEATS, len(works)), np.inf)
    for repeat in range(_REPEATS):
        for k, work in enumerate(works):
            start = time.thread_time()
            work()
            times[repeat, k] = time.thread_time() - start
    least = times.min(axis=0)
    best = int(least.argmin())
    return ways[best if least[best] < _MARGIN * least[0] else 0]


def _loops(way: Way, width: int) -> Callable[[], None]:
    """A layer of SchNet on a block, forward and backward: six products and three for the matrices, and the pairs."""
    molecules = max(1, way.block // (_ATOMS + _PAIRS))
    count = molecules * _ATOMS
    first, second, distance = _pairs(molecules)
    draw = np.random.default_rng(0)

    def matrix(rows: int) -> np.ndarray:
        return _kernels.padded(way, draw.normal(size=(rows, width)).astype(np.float32))

    x, y, g, h = (matrix(count + _kernels.ROWS) for _ in range(4))
    w, bias, table, d_table = matrix(width), matrix(1), matrix(_INTERVALS + 1), matrix(_INTERVALS + 1)
    d_w = matrix(_kernels.padded_rows(width))

    def work() -> None:
        with way.running():
            _kernels.layer_on_trial(way, x, w, bias, y, g, h, d_w, table, d_table, first, second, distance, _END, count)

    return work


def _step(kind: Kind, width: int, way: Way) -> Callable[[], None]:
    """A step of a network, of some blocks of molecules."""
    molecules = 2 * max(BLOCKS) // (_ATOMS + _PAIRS) // (1 if kind == "schnet" else 4) + 1
    first, second, distance = (torch.from_numpy(array) for array in _pairs(molecules))
    draw = torch.Generator().manual_seed(0)
    size = way.block if kind == "schnet" else way.block // equivariant.PER_BLOCK
    offsets = torch.arange(molecules + 1)
    pairs = HalfList.share_out(
        first, second, distance, atoms=offsets * _ATOMS, pairs=offsets * _PAIRS, threads=1, block=size
    )

    def tensor(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=draw) / shape[-1] ** 0.5).requires_grad_()

    embedding, numbers = tensor(10, width), torch.arange(molecules * _ATOMS) % 10
    if kind == "schnet":
        square, row = (width, width), (width,)
        shapes = [(width, _GAUSSIANS), row, square, row, square, row, square, row, square]
        layers = [Interaction.of([tensor(*shape) for shape in shapes]) for _ in range(_LAYERS)]
        grid = Grid(tensor(_INTERVALS + 1, _GAUSSIANS).detach(), torch.ones(_INTERVALS + 1), _END)

        def work() -> None:
            with forced(way):
                interact(embedding, numbers, layers, pairs, grid).sum().backward()
    else:
        matrices = [[tensor(*shape) for shape in equivariant.shapes(width)] for _ in range(_LAYERS)]
        dense = [[Dense(w, b) for w, b in zip(m[:5], (*m[5:7], None, *m[7:]), strict=True)] for m in matrices]
        layers = [equivariant.Layer(*five) for five in dense]
        tables, positions = tensor(_LAYERS, _INTERVALS + 1, 3 * width), tensor(len(numbers), 3).detach()

        def work() -> None:
            with forced(way):
                found = equivariant.interact(
                    embedding, numbers, positions, layers, tables, pairs, end=_END, epsilon=1e-8
                )
                found.sum().backward()

    return work


def _pairs(molecules: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and second atoms, and distances, Å."""
    i, j = (index[:_PAIRS].astype(np.int32) for index in np.triu_indices(_ATOMS, 1))
    start = np.arange(molecules, dtype=np.int32)[:, None] * _ATOMS
    distance = np.random.default_rng(0).uniform(1, _END, molecules * _PAIRS)
    return (start + i).ravel(), (start + j).ravel(), distance
