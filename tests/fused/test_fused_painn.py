"""What is PaiNN's own; what it shares with SchNet is tested there for both (test_schnet)."""

import copy
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from schnetpack import properties
from schnetpack.nn.embedding import NuclearEmbedding
from schnetpack.representation import PaiNN
from torch.nn import functional

from analysis.data.neighbours import neighbour_pairs
from analysis.runs.config import Model
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused import _equivariant, _kernels, choice, equivariant
from fused.convolution import Dense, HalfList


def build(seed: int = 0, *, fused: bool = True, **settings):
    torch.manual_seed(seed)
    shape = {"representation": "painn", "n_atom_basis": 24, "n_interactions": 2} | settings
    return networks.build_from(Model(**shape), fused=fused)


@pytest.fixture(scope="module")
def packed(few_molecules) -> PackedMolecules:
    targets = np.random.default_rng(0).normal(size=len(few_molecules))
    return PackedMolecules(few_molecules, neighbour_pairs(few_molecules, 5.0), targets=targets)


def energies_and_gradients(model, batch) -> list[torch.Tensor]:
    model.zero_grad()
    energy = model(dict(batch))[ENERGY]
    (energy - batch[ENERGY]).square().mean().backward()
    return [energy.detach().double(), *(p.grad.double().clone() for p in model.parameters())]


def in_float64(packed, positions):
    batch = packed.batch(positions, stock=True)
    double = {key: t.double() if t.is_floating_point() else t for key, t in batch.items()}
    double[properties.R] = torch.from_numpy(packed.molecules.select(positions).positions.copy())
    return double


def far_from_float64(packed, width: int, intervals: int, seeds: int = 6) -> dict[str, float]:
    """How many times as far from float64 as stock float32, energy and gradient by gradient.

    Nobody promises to be nearer than a few roundings of a gradient's size; stock is at times, and by how much depends
    on the machine.
    """
    rng = np.random.default_rng(width)
    squares = {"stock": 0.0, "fused": 0.0}
    sizes = 0.0
    for seed in range(seeds):
        model = build(seed, n_atom_basis=width, n_interactions=3)
        model.representation.intervals_per_gaussian = intervals
        positions = rng.choice(len(packed), 48, replace=False)
        exact = energies_and_gradients(copy.deepcopy(model).double(), in_float64(packed, positions))
        sizes = sizes + np.array([float(e.square().sum()) for e in exact])
        for name in squares:
            found = energies_and_gradients(model, packed.batch(positions, stock=name == "stock"))
            squares[name] = squares[name] + np.array(
                [float((f - e).square().sum()) for f, e in zip(found, exact, strict=True)]
            )
    names = ["energy", *(name for name, _ in model.named_parameters())]
    # In the last layer nobody asks for the vectors that are handed on: their gradient is 0 in both.
    few_roundings = (4 * np.finfo(np.float32).eps) ** 2 * sizes
    ratio = np.sqrt(squares["fused"] / np.maximum(np.maximum(squares["stock"], few_roundings), 1e-30))
    return dict(zip(names, ratio, strict=True))


@pytest.mark.parametrize("width", [16, 30, 64])
def test_no_farther_from_float64_than_a_few_times_stock_float32(packed, width):
    ratio = far_from_float64(packed, width, 16)
    assert max(ratio.values()) <= 4, ratio


@pytest.mark.parametrize("way", choice.candidates()[1:], ids=str)
def test_each_way_to_work_is_as_near(packed, way):
    with choice.forced(way):
        test_no_farther_from_float64_than_a_few_times_stock_float32(packed, 38)


def test_a_coarse_table_is_seen_by_the_same_measure(packed):
    assert max(far_from_float64(packed, 16, 2, seeds=2).values()) > 4


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads(packed, threads):
    batch = packed.batch(np.arange(0, len(packed), 2))
    found = []
    for number in (1, threads):
        model = build()
        model.representation.threads = number
        found.append(energies_and_gradients(model, batch))
    for one, many in zip(*found, strict=True):
        torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-6 * float(one.abs().max()))


def test_shared_filters_agree_with_stock(packed):
    """One filter network's table serves all layers, and gets the sum of their gradients."""
    found = []
    for fused in (True, False):
        model = build(fused=fused)
        torch.manual_seed(5)
        rest = {"radial_basis": model.representation.radial_basis, "cutoff_fn": model.representation.cutoff_fn}
        model.representation = type(model.representation)(24, 2, shared_filters=True, **rest)
        found.append(energies_and_gradients(model, packed.batch(np.arange(30), stock=not fused)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("what", ["activation", "embedding", "float64"])
def test_what_the_loops_cannot_do_takes_the_stock_path(packed, what, monkeypatch):
    """From a batch with nothing but the half list."""
    model = build()
    if what == "activation":
        for block in model.representation.interactions:
            block.interatomic_context_net[0].activation = functional.relu
    if what == "embedding":
        model.representation.embedding = NuclearEmbedding(101, 24)
    batch, stock = packed.batch(np.arange(20)), packed.batch(np.arange(20), stock=True)
    if what == "float64":
        model, stock = model.double(), in_float64(packed, np.arange(20))
        batch = {key: t.double() if t.is_floating_point() else t for key, t in batch.items()}
        batch[properties.R] = stock[properties.R]
    taken = []
    whole = PaiNN.forward
    monkeypatch.setattr(PaiNN, "forward", lambda *given: taken.append(True) or whole(*given))
    ours = model(batch)[ENERGY]
    assert taken
    torch.testing.assert_close(ours, model(stock)[ENERGY], rtol=1e-5, atol=1e-6)


def test_a_backward_pass_can_be_repeated_and_memory_is_used_again(packed):
    model, batch = build(), packed.batch(np.arange(10))
    energy = model(dict(batch))[ENERGY].sum()
    (first,) = torch.autograd.grad(energy, model.representation.embedding.weight, retain_graph=True)
    other = model(packed.batch(np.arange(50, 60)))[ENERGY].sum()  # must not take the first pass's memory
    (second,) = torch.autograd.grad(energy, model.representation.embedding.weight)
    assert torch.equal(first, second)
    del energy, other
    assert len(model.representation._spare._free) == 2


def test_an_explosion_raises_nothing(packed):
    """Whoever looks at the losses says that training diverged; the loops go on with what is no number."""
    model = build()
    with torch.no_grad():
        model.representation.embedding.weight.fill_(1e38)
    found = energies_and_gradients(model, packed.batch(np.arange(5)))
    assert not torch.isfinite(found[0]).all()


GIVEN = {
    "embedding": torch.zeros(10, 8),
    "numbers": torch.tensor([6, 1]),
    "positions": torch.tensor([[0.0, 0, 0], [1, 0, 0]]),
    "tables": torch.zeros(1, 9, 24),
    "end": 5.0,
    "epsilon": 1e-8,
}


def layer(width: int = 8) -> equivariant.Layer:
    dense = [Dense(torch.zeros(r * width, c * width), torch.zeros(r * width)) for r, c in equivariant.PARTS]
    return equivariant.Layer(*dense[:2], replace(dense[2], bias=None), *dense[3:])


def one_pair() -> HalfList:
    first, second, distance = torch.tensor([0]).int(), torch.tensor([1]).int(), torch.ones(1)
    return HalfList(first, second, distance, torch.tensor([[0, 0], [2, 1]]))


def test_what_fits_is_taken():
    assert equivariant.interact(**GIVEN, layers=[layer()], pairs=one_pair()).shape == (2, 8)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"embedding": torch.zeros(10, 8).double()}, ValueError, "float32 on the CPU, not torch.float64"),
        ({"numbers": torch.tensor([6, 10])}, IndexError, "kinds 6 … 10, but an embedding of 10 rows"),
        ({"numbers": torch.tensor([6])}, ValueError, "1 atoms, but pairs of 2"),
        ({"positions": torch.zeros(2, 2)}, ValueError, r"positions \[2, 2\]"),
        ({"positions": torch.zeros(2, 3, requires_grad=True)}, ValueError, "no gradient with respect to positions"),
        ({"tables": torch.zeros(1, 9, 16)}, ValueError, r"tables \[1, 9, 16\] of 1 layers with 8 features"),
        ({"tables": torch.zeros(1, 3, 24)}, ValueError, "3 rows are too few"),
        ({"end": 0.0}, ValueError, "must end at a positive distance"),
        ({"layers": []}, ValueError, "at least one layer"),
        ({"layers": [layer(16)]}, ValueError, r"a layer has \[16, 16\] .* where 8 features need \[8, 8\]"),
        ({"layers": [replace(layer(), context=Dense(torch.zeros(24, 8)))]}, ValueError, "a layer has none"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, error, match):
    given = {"layers": [layer()], "pairs": one_pair()} | GIVEN | change
    with pytest.raises(error, match=match):
        equivariant.interact(**given)


def test_the_cache_of_compiled_loops_notices_changes_in_what_is_built_in():
    """numba looks at `_equivariant.py` alone: this line there must change with `_kernels.py`."""
    expected = hashlib.sha256(Path(_kernels.__file__).read_bytes()).hexdigest()
    assert expected == _equivariant.BUILT_IN, f'write BUILT_IN = "{expected}" in _equivariant.py'
