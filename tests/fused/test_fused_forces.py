"""Forces of accelerated models, and training on them: SchNetPack's own layers in float64 are the oracle."""

import copy
import gc

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from ase import units
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet
from hypothesis import given, settings
from hypothesis import strategies as st
from schnetpack import properties
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.task import AtomisticTask, ModelOutput
from schnetpack.transform import ASENeighborList
from torch import nn
from torch.nn import functional

import fused
from analysis.data.molecules import to_ase
from fused import convolution, equivariant, forces

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

ENERGY, FORCES = "energy", "forces"
WIDTH, CUTOFF = 16, 5.0
KINDS = [SchNet, PaiNN]
LISTS = [ASENeighborList, fused.HalfNeighborList]
NEAR = 1e-3
"""Of a gradient's length: what a training notices nothing of. Measured are some 1e-4, see `forces.STEP`."""
SAME = 1e-4
"""Of the forces' length: what interpolating in tables costs."""


def build(kind: type[nn.Module], *others: nn.Module, seed: int = 0) -> NeuralNetworkPotential:
    torch.manual_seed(seed)
    return NeuralNetworkPotential(
        representation=kind(WIDTH, 2, GaussianRBF(20, CUTOFF), cutoff_fn=CosineCutoff(CUTOFF)),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(WIDTH, output_key=ENERGY), *others, Forces()],
    )


def both(kind: type[nn.Module], *others: nn.Module) -> tuple[NeuralNetworkPotential, NeuralNetworkPotential]:
    """An accelerated model in float32, and SchNetPack's own in float64."""
    stock = build(kind, *others)
    model = copy.deepcopy(stock)
    assert not fused.accelerate(model).left
    return model, stock.double()


def batch_of(atoms, neighbour_list=ASENeighborList, dtype=torch.float32, cutoff=CUTOFF) -> dict[str, torch.Tensor]:
    return AtomsConverter(neighbor_list=neighbour_list(cutoff), dtype=dtype)(atoms)


def exact(atoms, **settings) -> dict[str, torch.Tensor]:
    return batch_of(atoms, dtype=torch.float64, **settings)


def of(model: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return model({key: tensor.clone() for key, tensor in batch.items()})


def numbers(model: nn.Module, atoms) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces."""
    found = of(model, batch_of(atoms))
    return found[ENERGY].detach().double().numpy(), found[FORCES].detach().double().numpy()


def huber(results: dict[str, torch.Tensor]) -> torch.Tensor:
    """A loss of energies and forces whose targets are none of them right."""
    energy, found = results[ENERGY], results[FORCES]
    targets = torch.linspace(-0.3, 0.4, found.numel(), dtype=found.dtype).reshape(found.shape)
    return 0.01 * functional.huber_loss(energy, energy.detach() + 1) + functional.huber_loss(found, targets, delta=0.1)


def squared(results: dict[str, torch.Tensor]) -> torch.Tensor:
    energy, found = results[ENERGY], results[FORCES]
    targets = torch.linspace(0.3, -0.4, found.numel(), dtype=found.dtype).reshape(found.shape)
    return 0.05 * (energy - 2).square().mean() + (found - targets).square().mean()


def forces_alone(results: dict[str, torch.Tensor]) -> torch.Tensor:
    return results[FORCES].pow(4).sum()


def gradient(model: nn.Module, loss: torch.Tensor, **settings: bool) -> torch.Tensor:
    """With respect to all parameters, in a row; 0 where a parameter is of no importance."""
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, **settings)
    parts = [torch.zeros_like(p) if g is None else g for p, g in zip(model.parameters(), found, strict=True)]
    return torch.cat([part.flatten().double() for part in parts])


def assert_near(found: torch.Tensor, expected: torch.Tensor, tolerance: float = NEAR) -> None:
    """Within a part of the expected one's length."""
    assert float((found.detach().double() - expected.detach()).norm()) <= tolerance * float(expected.detach().norm())


@pytest.fixture(scope="module")
def some_atoms(few_molecules):
    """Molecules of QM9 of all sizes and ethanol, out of their minima and symmetries, and an atom alone."""
    found = [*to_ase(few_molecules.select(np.arange(0, len(few_molecules), 17))), molecule("CH3CH2OH"), molecule("H")]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.1, seed=seed)
    return found


@pytest.fixture
def stock_ways(monkeypatch) -> list[str]:
    """Who computes as SchNetPack does, in order."""
    taken = []
    for kind in KINDS:
        original = kind.forward
        monkeypatch.setattr(kind, "forward", lambda self, given, of=original: taken.append("stock") or of(self, given))
    return taken


# ---- the same forces, and the same gradients ---------------------------------------------------------------------


@pytest.mark.parametrize("neighbour_list", LISTS)
@pytest.mark.parametrize("kind", KINDS)
def test_energies_and_forces_are_schnetpacks(kind, neighbour_list, some_atoms, stock_ways):
    model, stock = both(kind)
    for training in (True, False):
        found = of(model.train(training), batch_of(some_atoms, neighbour_list))
        assert found[FORCES].dtype == torch.float32
        assert stock_ways == []
        expected = of(stock, exact(some_atoms))
        stock_ways.clear()
        assert_near(found[ENERGY], expected[ENERGY], 1e-5)
        assert_near(found[FORCES], expected[FORCES], SAME)


@pytest.mark.parametrize("loss", [huber, squared, forces_alone])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_loss_are_schnetpacks(kind, loss, some_atoms):
    model, stock = both(kind)
    expected = gradient(stock, loss(of(stock, exact(some_atoms))))
    for neighbour_list in LISTS:
        found = gradient(model, loss(of(model, batch_of(some_atoms, neighbour_list))))
        assert_near(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_displacement_is_neither_too_small_nor_too_large(kind, some_atoms, monkeypatch):
    """Half of it and twice as much are both within what is promised."""
    model, stock = both(kind)
    expected = gradient(stock, squared(of(stock, exact(some_atoms))))
    for factor in (0.5, 2):
        monkeypatch.setattr(forces, "STEP", factor * forces.STEP)
        assert_near(gradient(model, squared(of(model, batch_of(some_atoms)))), expected)
        monkeypatch.undo()
    monkeypatch.setattr(forces, "STEP", 0.3)
    with pytest.raises(AssertionError):
        assert_near(gradient(model, squared(of(model, batch_of(some_atoms)))), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cutoff", [0.3, 2.0, 7.0])
def test_lists_of_another_radius_than_the_networks(kind, cutoff, some_atoms):
    """With 0.3 Å no atom has a neighbour, and there are no forces."""
    model, stock = both(kind)
    found, expected = of(model, batch_of(some_atoms, cutoff=cutoff)), of(stock, exact(some_atoms, cutoff=cutoff))
    assert_near(found[FORCES], expected[FORCES], SAME)
    assert_near(gradient(model, squared(found)), gradient(stock, squared(expected)))


@pytest.mark.parametrize("kind", KINDS)
def test_one_molecule_at_a_time(kind):
    model, stock = both(kind)
    for name in ("H", "H2O", "CH3CH2OH"):
        atoms = molecule(name)
        atoms.rattle(0.1, seed=0)
        found, expected = of(model, batch_of(atoms)), of(stock, exact(atoms))
        assert_near(found[FORCES], expected[FORCES], SAME)
        assert_near(gradient(model, squared(found)), gradient(stock, squared(expected)))


@pytest.mark.parametrize("kind", KINDS)
def test_many_blocks_and_threads(kind, some_atoms):
    model, stock = both(kind)
    expected = of(stock, exact(some_atoms))
    model.representation.threads = 5
    found = of(model, batch_of(some_atoms))
    assert_near(found[FORCES], expected[FORCES], SAME)
    assert_near(gradient(model, squared(found)), gradient(stock, squared(expected)))


# ---- what must be so whatever the parameters ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_net_force_and_no_torque(kind, some_atoms):
    model, _ = both(kind)
    for atoms in some_atoms:
        _, found = numbers(model, atoms)
        scale = np.abs(found).sum() + 1e-6
        assert np.abs(found.sum(axis=0)).max() <= 1e-5 * scale
        arms = atoms.positions - atoms.positions.mean(axis=0)
        assert np.abs(np.cross(arms, found).sum(axis=0)).max() <= 1e-5 * scale * (1 + np.abs(arms).max())


@settings(max_examples=10)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: sum(x * x for x in axis) > 0.01),
    angle=st.floats(0, 360),
    shift=st.tuples(*[st.floats(-10, 10)] * 3),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("kind", KINDS)
def test_moved_turned_and_renumbered(kind, axis, angle, shift, seed):
    model, _ = both(kind)
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=seed)
    energy, before = numbers(model, atoms)
    order = np.random.default_rng(seed).permutation(len(atoms))
    other, turned = atoms[order], molecule("CH3CH2OH")
    other.rotate(angle, axis)
    other.translate(shift)
    turned.positions = before
    turned.rotate(angle, axis)
    moved, after = numbers(model, other)
    np.testing.assert_allclose(moved, energy, rtol=0, atol=1e-4 * np.abs(energy).max())
    np.testing.assert_allclose(after, turned.positions[order], rtol=0, atol=1e-4 * np.abs(before).max())


class Potential(Calculator):
    implemented_properties = ("energy", "forces")

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        energy, found = numbers(self.model, atoms)
        self.results = {"energy": float(energy[0]), "forces": found}


@pytest.mark.parametrize("kind", KINDS)
def test_energy_is_conserved_as_well_as_the_integrator_does(kind):
    """Velocity Verlet's total energy goes up and down by the step's square: half the step, a quarter of it."""
    model, _ = both(kind)
    with torch.no_grad():
        for parameter in model.output_modules[0].outnet[1].parameters():
            parameter *= 0.3  # or this network's random slopes make it as hot as a plasma
    spread = []
    for step in (1.0, 0.5):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.1, seed=0)
        atoms.calc = Potential(model.eval())
        run, energies = VelocityVerlet(atoms, step * units.fs), []
        run.attach(lambda atoms=atoms, energies=energies: energies.append(atoms.get_total_energy()))
        run.run(int(24 / step))
        spread.append(np.std(energies))
    assert spread[0] > 1e-4  # far above the rounding of energies
    assert 3.5 < spread[0] / spread[1] < 4.5


# ---- training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, fused.GroupedSOAP], ids=["AdamW", "SOAP"])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_training_lead_where_schnetpacks_lead(kind, optimiser, some_atoms):
    losses = []
    for model, batch in zip(both(kind), (batch_of(some_atoms), exact(some_atoms)), strict=True):
        descent, of_model = optimiser(model.parameters(), lr=1e-3), []
        for _ in range(6):
            descent.zero_grad()
            loss = huber(of(model, batch))
            loss.backward()
            descent.step()
            of_model.append(loss.item())
        losses.append(of_model)
    assert np.ptp(losses[1]) > 0.01 * losses[1][0]
    # SOAP turns what is nearly nothing in a gradient, rounding included, into steps as large as any other.
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3 if optimiser is torch.optim.AdamW else 1e-2)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_schnetpacks_own_task_trains_on_forces(kind, some_atoms, tmp_path):
    """With Lightning: energies and forces with a weight each, validation included."""
    found = []
    for accelerated in (True, False):
        batch = batch_of(some_atoms)
        batch |= {ENERGY: torch.ones(len(some_atoms)), FORCES: torch.full_like(batch[properties.R], 0.1)}
        outputs = [ModelOutput(key, nn.MSELoss(), w, metrics={}) for key, w in ((ENERGY, 0.01), (FORCES, 0.99))]
        task = AtomisticTask(build(kind), outputs, torch.optim.AdamW, {"lr": 1e-3})
        losses = []

        class Losses(pl.Callback):
            def on_train_batch_end(self, *given, losses=losses):
                losses.append(given[2]["loss"].item())

            def on_validation_end(self, *given, losses=losses):
                losses.append(float(given[0].callback_metrics["val_loss"]))

        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=2,
            callbacks=[Losses(), *([fused.Accelerate()] if accelerated else [])],
            logger=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loaders = (torch.utils.data.DataLoader([dict(batch)], batch_size=None) for _ in range(2))
        trainer.fit(task, *loaders)
        found.append(losses)
    assert len(found[0]) == len(found[1])
    np.testing.assert_allclose(*found, rtol=1e-3)


# ---- torch's graph -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_with_respect_to_positions(kind):
    found = []
    for model, make in zip(both(kind), (batch_of, exact), strict=True):
        batch = make(molecule("CH3CH2OH"))
        along = torch.linspace(-1, 1, len(batch[properties.R]) * 3, dtype=batch[properties.R].dtype).reshape(-1, 3)
        (curvature,) = torch.autograd.grad((model(batch)[FORCES] * along).sum(), batch[properties.R])
        found.append(curvature)
    assert found[0].dtype == torch.float32
    assert_near(*found, 5e-3)  # of the tables' polynomials, whose curvature is coarser than their slope


def test_forces_of_two_energies_from_one_pass(some_atoms):
    """Each has its own displaced molecules; torch may want them together, alone, or again."""
    more = Atomwise(WIDTH, output_key="other"), Forces(energy_key="other", force_key="other_forces")
    (model, stock), parts = both(SchNet, *more), []
    for each, batch in ((model, batch_of(some_atoms)), (stock, exact(some_atoms))):
        results = of(each, batch)
        one, two = results[FORCES].square().sum(), results["other_forces"].pow(4).sum() * 30
        readout = each.output_modules[0].outnet[0].weight
        (alone,) = torch.autograd.grad(one, readout, retain_graph=True)  # leaves the network's own gradients out
        parts.append([alone, *(gradient(each, loss, retain_graph=True) for loss in (one, two, one + two, two))])
    for found, expected in zip(*parts, strict=True):
        assert_near(found, expected)


def test_a_gradient_of_the_energy_with_positions_that_need_one(some_atoms):
    """The parameters' and the positions' in one go, with no forces trained on."""
    found = []
    for model, batch in zip(both(PaiNN), (batch_of(some_atoms), exact(some_atoms)), strict=True):
        model.zero_grad()
        model(batch)[ENERGY].square().sum().backward()
        found.append(torch.cat([batch[properties.R].grad.flatten(), *(p.grad.flatten() for p in model.parameters())]))
    assert_near(*found, 1e-4)


def test_frozen_parameters(some_atoms):
    found = []
    for model, batch in zip(both(SchNet), (batch_of(some_atoms), exact(some_atoms)), strict=True):
        model.representation.requires_grad_(False)
        squared(of(model, batch)).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.output_modules[0].outnet[0].parameters()]))
    assert_near(*found)


def test_there_are_no_third_derivatives():
    model, _ = both(SchNet)
    batch = batch_of(molecule("CH3CH2OH"))
    with pytest.raises(RuntimeError, match="no third"):
        torch.autograd.grad(model(batch)[FORCES].pow(3).sum(), batch[properties.R], create_graph=True)


def test_forces_again_and_again_from_one_pass_are_refused():
    model, _ = both(SchNet)
    batch = model.initialize_derivatives(batch_of(molecule("H2O")))
    energy = model.output_modules[0](model.representation(batch))[ENERGY].sum()
    for _ in range(forces._MOST):
        torch.autograd.grad(energy, batch[properties.R], create_graph=True)
    with pytest.raises(RuntimeError, match="from one pass through the compiled layers"):
        torch.autograd.grad(energy, batch[properties.R], create_graph=True)


def test_what_is_no_number_stays_none(some_atoms):
    """A training that diverged must be seen to."""
    model, _ = both(PaiNN)
    found, bad = (
        gradient(model, factor * forces_alone(of(model, batch_of(some_atoms)))) for factor in (1, float("nan"))
    )
    assert found.any()
    assert not torch.isfinite(bad[found != 0]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_used_again(kind, some_atoms):
    """A step takes room for the molecules, and for the displaced ones."""
    model, _ = both(kind)
    for _ in range(3):
        squared(of(model, batch_of(some_atoms))).backward()
    assert len(model.representation._spare._free) == 2


# ---- predictions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_leave_no_pass_behind(kind, some_atoms):
    """Nor do those through layers that were prepared before, whose graph is made when somebody asks for it."""

    def passes() -> int:
        gc.collect()
        return sum(type(one) is forces.Pass for one in gc.get_objects())

    model, before = both(kind)[0].eval(), passes()
    for _ in range(3):
        of(model, batch_of(some_atoms))
    assert passes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_follow_the_parameters(kind, some_atoms):
    """What is prepared for one prediction serves the next ones only as long as it is true."""
    model, stock = both(kind)
    model.eval()
    for change in (lambda _: None, lambda _: None, lambda p: p.data.mul_(1.1), lambda p: p.data.add_(0.01)):
        for each in (model, stock):
            for parameter in each.representation.parameters():
                change(parameter)
        found, expected = of(model, batch_of(some_atoms)), of(stock, exact(some_atoms))
        assert_near(found[ENERGY], expected[ENERGY], 1e-5)
        assert_near(found[FORCES], expected[FORCES], SAME)
    for cutoff in (3.0, 5.0):
        found, expected = of(model, batch_of(some_atoms, cutoff=cutoff)), of(stock, exact(some_atoms, cutoff=cutoff))
        assert_near(found[FORCES], expected[FORCES], SAME)
    model.representation.intervals_per_gaussian = 2
    with pytest.raises(AssertionError):
        assert_near(of(model, batch_of(some_atoms))[FORCES], expected[FORCES], SAME)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_prepared_once(kind, some_atoms, monkeypatch):
    model, _ = both(kind)
    home, prepared = (convolution, []) if kind is SchNet else (equivariant, [])
    name = "_Blocks" if kind is SchNet else "_PaiNN"
    original = getattr(home, name)
    monkeypatch.setattr(home, name, lambda *given: prepared.append(name) or original(*given))
    for _ in range(3):
        of(model.eval(), batch_of(some_atoms))
    assert len(prepared) == 1
    of(copy.deepcopy(model), batch_of(some_atoms))
    of(model.train(), batch_of(some_atoms))
    assert len(prepared) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_in_a_network_that_is_not_trained_now(kind, some_atoms):
    """Of energies, and of forces made by hand; the first pass prepares layers, the second one has them."""
    model, stock = (each.eval() for each in both(kind))
    found = []
    for each, batch in ((model, batch_of(some_atoms)), (stock, exact(some_atoms))):
        for _ in range(2):
            batch[properties.R].requires_grad_()
            energy = each.output_modules[0](each.representation(each.input_modules[0](dict(batch))))[ENERGY]
            (slope,) = torch.autograd.grad(energy.sum(), batch[properties.R], create_graph=True)
            loss = squared({ENERGY: energy, FORCES: -slope})
            found.append(torch.cat([gradient(each, energy.sum(), retain_graph=True), gradient(each, loss)]))
    assert_near(found[0], found[2])
    assert_near(found[1], found[3])


def test_atoms_without_an_embedding_are_refused_by_prepared_layers_too():
    model, _ = both(SchNet)
    batch = batch_of(molecule("H2O"))
    of(model.eval(), batch)
    batch[properties.Z][0] = 5000
    with pytest.raises(IndexError, match="kinds 1 … 5000, but an embedding of"):
        of(model, batch)


# ---- what users do with a model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_files_have_the_same_forces(kind, some_atoms, tmp_path):
    model, _ = both(kind)
    batch = batch_of(some_atoms)
    expected = of(model, batch)[FORCES]
    torch.save(model, tmp_path / "best_model")
    loaded = torch.load(tmp_path / "best_model", weights_only=False)
    assert type(loaded.representation) is kind
    assert_near(expected, of(loaded, batch)[FORCES], SAME)
    fused.accelerate(loaded)
    other = build(kind, seed=1)
    fused.accelerate(other)
    other.load_state_dict(model.state_dict())
    for each in (copy.deepcopy(model), loaded, other):
        assert torch.equal(of(each, batch)[FORCES], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_double_precision_is_computed_as_before(kind, some_atoms, stock_ways):
    model, stock = both(kind)
    model = model.double()
    for neighbour_list in LISTS:
        found, expected = of(model, exact(some_atoms, neighbour_list=neighbour_list)), of(stock, exact(some_atoms))
        assert stock_ways == ["stock", "stock"]
        stock_ways.clear()
        torch.testing.assert_close(found[FORCES], expected[FORCES])


def test_a_network_that_is_not_the_papers_has_forces_as_before(some_atoms, stock_ways):
    """If they were added after it was accelerated."""
    torch.manual_seed(0)
    representation = SchNet(WIDTH, 2, GaussianRBF(20, CUTOFF, trainable=True), cutoff_fn=CosineCutoff(CUTOFF))
    stock = NeuralNetworkPotential(representation, [PairwiseDistances()], [Atomwise(WIDTH, output_key=ENERGY)])
    model = copy.deepcopy(stock)
    fused.accelerate(model)
    for each in (model, stock):
        each.output_modules.append(Forces())
        each.collect_derivatives()
        each.collect_outputs()
    found, expected = (of(each, batch_of(some_atoms)) for each in (model, stock))
    assert stock_ways == ["stock", "stock"]
    torch.testing.assert_close(found[FORCES], expected[FORCES], rtol=1e-4, atol=1e-5)
