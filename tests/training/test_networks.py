import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from schnetpack import properties
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import ASENeighborList
from scipy.spatial.transform import Rotation

from analysis.data.molecules import Molecules, to_ase
from analysis.data.neighbours import neighbour_pairs
from analysis.runs.config import Model
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused import schnet as engine
from fused.halflist import PAIR_FIRST
from fused.painn import FusedPaiNN
from fused.threads import own_threads


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def build(seed: int = 0, *, cutoff: float = 5.0, fused: bool = True, **settings) -> NeuralNetworkPotential:
    torch.manual_seed(seed)
    return networks.build_from(Model(training_cutoff=cutoff, **settings), fused=fused)


def pack(molecules: Molecules, cutoff: float = 5.0) -> PackedMolecules:
    targets = np.random.default_rng(0).normal(size=len(molecules))
    return PackedMolecules(molecules, neighbour_pairs(molecules, cutoff), targets=targets)


@pytest.fixture(scope="module")
def packed(few_molecules) -> PackedMolecules:
    return pack(few_molecules)


def changed(molecules: Molecules, *, numbers: np.ndarray | None = None, positions: np.ndarray) -> Molecules:
    return Molecules(
        index=molecules.index,
        n_atoms=molecules.n_atoms,
        numbers=molecules.numbers if numbers is None else numbers,
        positions=positions,
        energy=molecules.energy,
        smiles=molecules.smiles,
    )


def predict(model: NeuralNetworkPotential, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(dict(batch))[ENERGY]


def energies_and_gradients(model: NeuralNetworkPotential, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Energies, then the gradient of the MSE with respect to each parameter, as float64."""
    model.zero_grad()
    energy = model(dict(batch))[ENERGY]
    (energy - batch[ENERGY]).square().mean().backward()
    return [energy.detach().double()] + [p.grad.double().clone() for p in model.parameters()]


def in_float64(packed: PackedMolecules, positions: np.ndarray) -> dict[str, torch.Tensor]:
    """A stock batch with the positions that float32 has not touched."""
    batch = packed.batch(positions, stock=True)
    double = {key: t.double() if t.is_floating_point() else t for key, t in batch.items()}
    double[properties.R] = torch.from_numpy(packed.molecules.select(positions).positions.copy())
    return double


# ---- the same network as SchNetPack's --------------------------------------------------------------------------

SHAPES = [
    {},
    {"n_atom_basis": 38, "n_interactions": 1, "n_rbf": 7},
    {"n_atom_basis": 16, "n_interactions": 4, "shared_interactions": True, "cutoff": 4.0},
    {"representation": "painn"},
    {"representation": "painn", "n_atom_basis": 38, "n_interactions": 1, "n_rbf": 7},
    {"representation": "painn", "n_atom_basis": 16, "n_interactions": 2, "shared_interactions": True, "cutoff": 4.0},
]
REPRESENTATIONS = ["schnet", "painn"]


@pytest.mark.parametrize("settings", SHAPES)
def test_one_seed_gives_schnetpacks_own_weights_and_they_go_both_ways(settings):
    given = {
        "n_atom_basis": 30,
        "n_interactions": 3,
        "n_rbf": 20,
        "cutoff": 5.0,
        "shared_interactions": False,
    } | settings
    torch.manual_seed(3)
    stock = (PaiNN if settings.get("representation") == "painn" else SchNet)(
        n_atom_basis=given["n_atom_basis"],
        n_interactions=given["n_interactions"],
        radial_basis=GaussianRBF(given["n_rbf"], given["cutoff"]),
        cutoff_fn=CosineCutoff(given["cutoff"]),
        shared_interactions=given["shared_interactions"],
    )
    ours = build(3, **settings).representation
    assert isinstance(ours, type(stock))
    assert ours.state_dict().keys() == stock.state_dict().keys()
    for name, weight in stock.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in stock.named_parameters()]
    other = build(4, **settings).representation
    stock.load_state_dict(other.state_dict(), strict=True)
    ours.load_state_dict(stock.state_dict(), strict=True)
    for name, weight in other.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_the_whole_potential_has_the_stock_potentials_state(packed, kind):
    fused, stock = build(fused=True, representation=kind), build(seed=1, fused=False, representation=kind)
    assert networks.is_fused(fused)
    assert not networks.is_fused(stock)
    stock.load_state_dict(fused.state_dict(), strict=True)
    positions = np.arange(0, len(packed), 7)
    theirs, ours = predict(stock, packed.batch(positions, stock=True)), predict(fused, packed.batch(positions))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_the_fast_path_is_taken_and_makes_no_pair_vectors(packed, monkeypatch, kind):
    model, batch = build(representation=kind), packed.batch(np.arange(5))
    monkeypatch.setattr(
        PaiNN if kind == "painn" else SchNet, "forward", lambda *_: pytest.fail("the stock path was taken")
    )
    model(batch)
    assert properties.Rij not in batch
    assert properties.idx_i not in batch


@pytest.mark.parametrize(
    ("settings", "compiled"),
    [
        ({}, True),
        ({"n_hidden": 7}, True),
        ({"aggregation_mode": "avg"}, False),
        ({"n_layers": 3}, False),
        ({"activation": torch.tanh}, False),
        ({"n_out": 2}, False),
        ({"per_atom_output_key": "atomic"}, False),
    ],
)
def test_any_readout_gives_what_schnetpacks_does(packed, monkeypatch, settings, compiled):
    ways = []
    original = engine.energies
    monkeypatch.setattr(engine, "energies", lambda *x, **named: (ways.append("compiled"), original(*x, **named))[1])
    found = []
    for kind in (Atomwise, engine.Readout):
        model = build(n_atom_basis=16)
        torch.manual_seed(5)
        model.output_modules[0] = kind(n_in=16, output_key=ENERGY, **settings)
        found.append(model(packed.batch(np.arange(20))))
    torch.testing.assert_close(found[0][ENERGY], found[1][ENERGY], rtol=1e-5, atol=1e-5)
    assert found[0].keys() == found[1].keys()
    assert ways == ["compiled"] * compiled


@pytest.mark.parametrize("layer", [0, 1])
def test_a_readout_without_a_bias_agrees_with_stock_too(packed, layer):
    found = []
    for fused in (True, False):
        model = build(n_atom_basis=16, fused=fused)
        model.output_modules[0].outnet[layer].bias = None
        found.append(energies_and_gradients(model, packed.batch(np.arange(20), stock=not fused)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


class Charge(torch.nn.Module):
    """An electronic embedding that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.row = torch.nn.Parameter(torch.ones(16))

    def forward(self, x: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return x * self.row + inputs[properties.Z][:, None]


def unlike_the_paper(model: NeuralNetworkPotential, what: str) -> None:
    representation = model.representation
    for interaction in representation.interactions:
        if what == "activation":
            interaction.f2out[0].activation = torch.tanh
        elif what == "filter activation":
            interaction.filter_network[0].activation = torch.tanh
        elif what == "no bias":
            interaction.f2out[1].bias = None
        elif what == "bias":
            interaction.in2f.bias = torch.nn.Parameter(torch.ones(16))
    if what == "electronic embedding":
        representation.electronic_embeddings.append(Charge())


@pytest.mark.parametrize("what", ["activation", "filter activation", "no bias", "bias", "electronic embedding"])
def test_a_network_unlike_the_papers_agrees_with_stock_too(packed, what):
    found = []
    for fused in (True, False):
        model = build(n_atom_basis=16, fused=fused)
        unlike_the_paper(model, what)
        found.append(energies_and_gradients(model, packed.batch(np.arange(20), stock=not fused)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("settings", SHAPES)
@pytest.mark.parametrize(("data_cutoff", "cutoff"), [(5.0, 5.0), (4.0, 5.0), (6.0, 4.0), (2.03, 6.0)])
def test_every_shape_and_pair_of_cutoffs_agrees_with_stock(few_molecules, settings, data_cutoff, cutoff):
    packed = pack(few_molecules, data_cutoff)
    settings = settings | {"cutoff": cutoff}
    positions = np.arange(0, len(packed), 3)
    stock = energies_and_gradients(build(fused=False, **settings), packed.batch(positions, stock=True))
    fused = energies_and_gradients(build(**settings), packed.batch(positions))
    for ours, theirs in zip(fused, stock, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    ("width", "data_cutoff", "cutoff", "intervals", "sharpness"),
    [
        (16, 5.0, 5.0, None, 1.0),
        (30, 4.0, 5.0, None, 1.0),
        (38, 5.0, 5.0, None, 1.0),
        (38, 4.0, 5.0, 48, 3.0),
        (38, 6.0, 4.0, None, 1.0),
        (64, 5.0, 5.0, None, 3.0),
        (128, 4.0, 5.0, 64, 1.0),
    ],
)
def test_no_farther_from_float64_than_twice_stock_float32(
    qm9_molecules, width, data_cutoff, cutoff, intervals, sharpness
):
    """Energy and every parameter's gradient, over random batches; `sharpness` bends the filters as training does."""
    rng = np.random.default_rng(width)
    molecules = qm9_molecules.select(rng.choice(len(qm9_molecules), 400, replace=False))
    packed = pack(molecules, data_cutoff)
    distances: dict[str, list[np.ndarray]] = {"stock": [], "fused": []}
    for seed in range(10):
        model = build(seed, n_atom_basis=width, cutoff=cutoff)
        if intervals is not None:
            model.representation.intervals_per_gaussian = intervals
        with torch.no_grad():
            for interaction in model.representation.interactions:
                for layer in interaction.filter_network:
                    layer.weight *= sharpness
        positions = rng.choice(len(packed), 48, replace=False)
        exact = energies_and_gradients(copy.deepcopy(model).double(), in_float64(packed, positions))
        for name in distances:
            found = energies_and_gradients(model, packed.batch(positions, stock=name == "stock"))
            distances[name].append(np.array([float((f - e).norm()) for f, e in zip(found, exact, strict=True)]))
    stock, fused = (np.sqrt(np.square(distances[name]).sum(axis=0)) for name in ("stock", "fused"))
    names = ["energy"] + [name for name, _ in model.named_parameters()]
    ratio = dict(zip(names, fused / stock, strict=True))
    assert max(ratio.values()) <= 2, ratio
    assert stock.min() > 0


def test_a_coarse_table_is_seen_by_the_same_measure(packed):
    """The test above can fail: four intervals per Gaussian are too few."""
    positions = np.arange(0, len(packed), 5)
    model = build(n_atom_basis=16)
    exact = energies_and_gradients(copy.deepcopy(model).double(), in_float64(packed, positions))
    stock = energies_and_gradients(model, packed.batch(positions, stock=True))
    model.representation.intervals_per_gaussian = 4
    fused = energies_and_gradients(model, packed.batch(positions))
    assert float((fused[0] - exact[0]).norm()) > 10 * float((stock[0] - exact[0]).norm())


def test_a_model_in_float64_agrees_to_the_tables_error(packed):
    model = build(n_atom_basis=24).double()
    positions = np.arange(0, len(packed), 5)
    stock = predict(model, in_float64(packed, positions))
    fused = predict(model, packed.batch(positions))
    assert fused.dtype == torch.float64
    torch.testing.assert_close(fused, stock, rtol=1e-6, atol=2e-6)


def test_trainable_gaussians_get_their_gradient(packed):
    torch.manual_seed(0)
    basis = GaussianRBF(20, 5.0, trainable=True)
    model = build()
    model.representation.radial_basis = basis
    positions = np.arange(0, len(packed), 5)
    fused = energies_and_gradients(model, packed.batch(positions))
    stock = energies_and_gradients(model, packed.batch(positions, stock=True))
    assert basis.offsets.grad.abs().max() > 0
    for ours, theirs in zip(fused, stock, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def test_steps_of_training_follow_the_stock_path(packed):
    curves = {}
    for name in ("stock", "fused"):
        model = build(n_atom_basis=16, fused=name == "fused")
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        curves[name] = []
        for step in range(8):
            batch = packed.batch(np.random.default_rng(step).choice(len(packed), 32), stock=name == "stock")
            optimiser.zero_grad()
            target = batch[ENERGY]
            loss = (model(batch)[ENERGY] - target).square().mean()
            loss.backward()
            optimiser.step()
            curves[name].append(loss.item())
    np.testing.assert_allclose(curves["fused"], curves["stock"], rtol=1e-4)


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_a_repetition_gives_the_same_bits(packed, kind):
    batch = packed.batch(np.arange(0, len(packed), 2))
    once, again = (energies_and_gradients(build(representation=kind), batch) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("representation", [engine.FusedSchNet, FusedPaiNN])
def test_a_table_without_intervals_is_refused(representation):
    with pytest.raises(ValueError, match="at least one interval per Gaussian"):
        representation(8, 1, GaussianRBF(20, 5.0), CosineCutoff(5.0), intervals_per_gaussian=0)


# ---- edges of the data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", [[[0, 0, 0]], [[0, 0, 0], [9, 0, 0]], [[0, 0, 0], [np.nextafter(5, 0), 0, 0]]])
def test_one_atom_no_pair_and_a_pair_at_the_cutoff(positions):
    one = Molecules(
        index=np.array([1]),
        n_atoms=np.array([len(positions)]),
        numbers=np.array([6, 8][: len(positions)], np.uint8),
        positions=np.array(positions, float),
        energy=np.zeros(1),
        smiles=np.array([""]),
    )
    packed = pack(one)
    for cutoff in (5.0, 6.0):
        fused = energies_and_gradients(build(cutoff=cutoff), packed.batch(np.array([0])))
        stock = energies_and_gradients(build(cutoff=cutoff, fused=False), packed.batch(np.array([0]), stock=True))
        for ours, theirs in zip(fused, stock, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


# ---- threads ---------------------------------------------------------------------------------------------------


def test_the_fast_path_has_torchs_threads_unless_told_otherwise(packed, monkeypatch):
    seen = []
    original = engine.interact
    monkeypatch.setattr(
        engine,
        "interact",
        lambda embedding, numbers, layers, pairs, *rest, **named: (
            seen.append((pairs.threads, torch.get_num_threads())),
            original(embedding, numbers, layers, pairs, *rest, **named),
        )[1],
    )
    model, batch = build(), packed.batch(np.arange(9))
    model(dict(batch))
    with own_threads(model):
        model(dict(batch))
    model(dict(batch))
    model.representation.threads = 3
    with own_threads(model):
        model(dict(batch))
    assert seen == [(2, 2), (2, 1), (2, 2), (3, 1)]
    assert torch.get_num_threads() == 2
    assert model.representation.threads == 3


def test_a_stock_model_keeps_torchs_threads():
    with own_threads(build(fused=False)):
        assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error():
    model = build()
    with pytest.raises(KeyError), own_threads(model):
        raise KeyError
    assert torch.get_num_threads() == 2
    assert model.representation.threads is None


# ---- invariances -----------------------------------------------------------------------------------------------

MODELS = pytest.mark.parametrize("kind", [{"n_atom_basis": 24, "representation": kind} for kind in REPRESENTATIONS])
coordinates = st.floats(-50, 50, allow_nan=False)
quaternions = hnp.arrays(float, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)


@MODELS
@given(shift=hnp.arrays(float, 3, elements=coordinates), quaternion=quaternions, mirror=st.booleans())
@settings(max_examples=25, deadline=None)
def test_translation_rotation_and_reflection_change_nothing(few_molecules, kind, shift, quaternion, mirror):
    molecules = few_molecules.select(np.arange(0, len(few_molecules), 9))
    moved = Rotation.from_quat(quaternion).apply(molecules.positions) * ([1, 1, -1] if mirror else [1, 1, 1]) + shift
    everyone = np.arange(len(molecules))
    before = predict(build(**kind), pack(molecules).batch(everyone))
    after = predict(build(**kind), pack(changed(molecules, positions=moved)).batch(everyone))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@MODELS
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_order_of_atoms_changes_nothing(few_molecules, kind, seed):
    molecules = few_molecules.select(np.arange(0, len(few_molecules), 9))
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [start + rng.permutation(n) for start, n in zip(molecules.offsets[:-1], molecules.n_atoms, strict=True)]
    )
    shuffled = changed(molecules, numbers=molecules.numbers[order], positions=molecules.positions[order])
    everyone = np.arange(len(molecules))
    before, after = (predict(build(**kind), pack(m).batch(everyone)) for m in (molecules, shuffled))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@MODELS
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_molecule_has_one_energy_in_whatever_company(packed, kind, data):
    positions = np.array(data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=40)))
    together = predict(build(**kind), packed.batch(positions))
    alone = torch.cat([predict(build(**kind), packed.batch(positions[[k]])) for k in range(0, len(positions), 7)])
    torch.testing.assert_close(together[::7], alone, rtol=1e-5, atol=1e-5)


# ---- derivatives with respect to positions ---------------------------------------------------------------------


def with_forces(potential: NeuralNetworkPotential) -> NeuralNetworkPotential:
    return NeuralNetworkPotential(
        representation=potential.representation,
        input_modules=list(potential.input_modules),
        output_modules=[*potential.output_modules, Forces(energy_key=ENERGY)],
    )


@MODELS
def test_forces_are_those_of_the_stock_model(packed, kind):
    positions = np.arange(0, len(packed), 11)
    ours = with_forces(build(**kind))(packed.batch(positions))
    theirs = with_forces(build(fused=False, **kind))(packed.batch(positions, stock=True))
    largest = float(theirs[properties.forces].detach().abs().max())
    assert largest > 1e-3
    torch.testing.assert_close(ours[ENERGY], theirs[ENERGY], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[properties.forces], theirs[properties.forces], rtol=0, atol=1e-3 * largest)


def test_a_batch_whose_positions_need_a_gradient_gets_one(packed):
    batch = packed.batch(np.array([3, 150]))
    batch[properties.R].requires_grad_()
    energy = build()(batch)[ENERGY].sum()
    assert torch.autograd.grad(energy, batch[properties.R])[0].abs().max() > 0


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_molecules_from_ase_through_schnetpacks_converter(packed, few_molecules):
    converter = AtomsConverter(neighbor_list=ASENeighborList(5.0), dtype=torch.float32)
    positions = np.array([0, 60, 120])
    batch = converter(to_ase(few_molecules.select(positions)))
    assert PAIR_FIRST not in batch
    torch.testing.assert_close(predict(build(), batch), predict(build(), packed.batch(positions)), rtol=1e-5, atol=1e-5)


def test_stock_modules_can_be_put_around_the_fused_representation(packed):
    """SchNetPack's own PairwiseDistances in front is fine for stock batches."""
    fused = build(n_atom_basis=24)
    mixed = NeuralNetworkPotential(
        representation=fused.representation,
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(24, output_key=ENERGY)],
    )
    mixed.output_modules.load_state_dict(fused.output_modules.state_dict())
    batch = packed.batch(np.arange(9), stock=True)
    torch.testing.assert_close(predict(mixed, batch), predict(fused, packed.batch(np.arange(9))), rtol=1e-5, atol=1e-5)
