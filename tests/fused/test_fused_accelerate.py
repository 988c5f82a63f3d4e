"""`fused.accelerate` with SchNetPack's own models, batches and tools."""

import copy
import io
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from ase.build import bulk, molecule
from schnetpack import properties
from schnetpack.atomistic import Aggregation, Atomwise, DipoleMoment, Forces, PairwiseDistances
from schnetpack.data import ASEAtomsData, AtomsDataFormat, AtomsDataModule
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import AtomisticModel, NeuralNetworkPotential
from schnetpack.nn import BesselRBF, CosineCutoff, GaussianRBF
from schnetpack.nn.embedding import NuclearEmbedding
from schnetpack.representation import PaiNN, SchNet, SO3net
from schnetpack.task import AtomisticTask, ModelOutput
from schnetpack.transform import (
    ASENeighborList,
    CastTo32,
    MatScipyNeighborList,
    RemoveOffsets,
    TorchNeighborList,
    VesinNeighborList,
)
from torch import nn
from torch.nn import functional

import fused
from analysis.data import databases
from analysis.data.molecules import to_ase
from fused import painn, schnet, tables
from fused.callback import InMemory
from fused.halflist import PairVectors
from fused.standin import StandIn

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

ENERGY = "energy_U0"
WIDTH = 24
KINDS = [SchNet, PaiNN]


def build(kind: type[nn.Module] = SchNet, *, after: tuple[nn.Module, ...] = (), **settings) -> NeuralNetworkPotential:
    """A potential as SchNetPack's tutorials make it."""
    torch.manual_seed(0)
    given = {"radial_basis": GaussianRBF(20, 5.0), "cutoff_fn": CosineCutoff(5.0)} | settings
    return NeuralNetworkPotential(
        representation=kind(n_atom_basis=WIDTH, n_interactions=2, **given),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(WIDTH, output_key=ENERGY), *after],
    )


def both(kind: type[nn.Module] = SchNet, **settings) -> tuple[NeuralNetworkPotential, NeuralNetworkPotential]:
    """An accelerated model, and the same one as it was."""
    stock = build(kind, **settings)
    model = copy.deepcopy(stock)
    fused.accelerate(model)
    return model, stock


def batch_of(atoms, neighbour_list=None, *, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return AtomsConverter(neighbor_list=neighbour_list or ASENeighborList(5.0), dtype=dtype)(atoms)


@pytest.fixture(scope="module")
def some_atoms(few_molecules):
    """Forty molecules of all sizes, and an atom alone."""
    return [*to_ase(few_molecules.select(np.arange(0, len(few_molecules), 5))), molecule("H")]


@pytest.fixture(scope="module")
def batch(some_atoms) -> dict[str, torch.Tensor]:
    return batch_of(some_atoms)


def energies_and_gradients(model: nn.Module, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    model.zero_grad()
    energy = model(dict(batch))[ENERGY]
    energy.square().mean().backward()
    return [energy.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


def assert_same(ours: list[torch.Tensor], theirs: list[torch.Tensor], tolerance: float = 1e-4) -> None:
    for found, expected in zip(ours, theirs, strict=True):
        assert found.dtype == expected.dtype
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=0.1 * tolerance * scale)


@pytest.fixture
def ways(monkeypatch) -> list[str]:
    """Which way each network and readout went, in order."""
    taken = []

    def watch(home, name: str, note: str) -> None:
        original = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *given, **named: (taken.append(note), original(*given, **named))[1])

    for home in (schnet, painn):
        watch(home, "interact", "fast")
    watch(schnet, "convolve", "convolution")
    watch(schnet, "energies", "fast readout")
    for kind, note in ((SchNet, "stock"), (PaiNN, "stock"), (Atomwise, "stock readout")):
        watch(kind, "forward", note)
    return taken


# ---- the same numbers, fast ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "neighbour_list", [ASENeighborList, MatScipyNeighborList, VesinNeighborList, fused.HalfNeighborList]
)
@pytest.mark.parametrize("kind", KINDS)
def test_energies_and_gradients_are_schnetpacks(kind, neighbour_list, few_molecules, ways):
    atoms = to_ase(few_molecules.select(np.arange(0, len(few_molecules), 5)))
    model, stock = both(kind)
    ours = energies_and_gradients(model, batch_of(atoms, neighbour_list(5.0)))
    assert ways == ["fast", "fast readout"]
    assert_same(ours, energies_and_gradients(stock, batch_of(atoms)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["H", "H2", "C6H6"])
def test_one_molecule_at_a_time(kind, name, ways):
    model, stock = both(kind)
    for neighbour_list in (ASENeighborList(5.0), fused.HalfNeighborList(5.0)):
        ways.clear()
        ours = energies_and_gradients(model, batch_of(molecule(name), neighbour_list))
        assert ways == ["fast", "fast readout"]
        assert_same(ours, energies_and_gradients(stock, batch_of(molecule(name))))


def test_a_list_of_schnetpacks_torch_in_no_order(ways):
    """It does not sort the neighbours of an atom; lists without pairs, it can't make."""
    atoms = [molecule(name) for name in ("C6H6", "CH3CH2OH", "H2O")]
    model, stock = both()
    given = batch_of(atoms, TorchNeighborList(5.0))
    order = torch.randperm(len(given[properties.idx_i]), generator=torch.Generator().manual_seed(0))
    for key in (properties.idx_i, properties.idx_j, properties.offsets):
        given[key] = given[key][order]
    assert_same(energies_and_gradients(model, given), energies_and_gradients(stock, given))
    assert ways[:2] == ["fast", "fast readout"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cutoff", [0.3, 2.0, 7.0])
@pytest.mark.parametrize("neighbour_list", [ASENeighborList, fused.HalfNeighborList])
def test_lists_of_another_radius_than_the_networks(kind, cutoff, neighbour_list, some_atoms, ways):
    """With 0.3 Å no atom has a neighbour."""
    model, stock = both(kind)
    ours = energies_and_gradients(model, batch_of(some_atoms[::4], neighbour_list(cutoff)))
    assert ways == ["fast", "fast readout"]
    assert_same(ours, energies_and_gradients(stock, batch_of(some_atoms[::4], ASENeighborList(cutoff))))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SchNet, {"n_filters": 16}),
        (SchNet, {"radial_basis": GaussianRBF(20, 5.0, trainable=True)}),
        (SchNet, {"radial_basis": BesselRBF(12, 5.0)}),
        (SchNet, {"activation": functional.silu}),
        (SchNet, {"nuclear_embedding": NuclearEmbedding(101, WIDTH)}),
        (SchNet, {"shared_interactions": True}),
        (PaiNN, {"radial_basis": GaussianRBF(20, 5.0, trainable=True)}),
        (PaiNN, {"radial_basis": BesselRBF(12, 5.0)}),
        (PaiNN, {"shared_filters": True, "shared_interactions": True}),
    ],
)
def test_other_settings(kind, settings, batch, ways):
    model, stock = both(kind, **settings)
    ours = energies_and_gradients(model, batch)
    assert set(ways) <= {"fast", "convolution", "fast readout"}
    assert_same(ours, energies_and_gradients(stock, batch))


def test_the_same_batch_with_moved_atoms_has_other_energies(batch):
    """Nothing of a pass stays in the batch."""
    model, stock = both()
    given = dict(batch)
    model(given)
    given[properties.R] = given[properties.R] * 1.1
    given.pop(properties.Rij, None)
    assert_same([model(dict(given))[ENERGY]], [stock(dict(given))[ENERGY]])


def test_any_atomistic_model(batch, ways):
    class Own(AtomisticModel):
        def __init__(self) -> None:
            super().__init__(postprocessors=[])
            self.distances, self.network = PairwiseDistances(), build().representation
            self.readout = Atomwise(WIDTH, output_key=ENERGY, n_layers=3)
            self.collect_derivatives()

        def forward(self, inputs):
            return self.readout(self.network(self.distances(self.initialize_derivatives(inputs))))

    stock = Own()
    model = copy.deepcopy(stock)
    report = fused.accelerate(model)
    assert report.accelerated == {"distances": "PairwiseDistances", "network": "SchNet"}
    assert "readout: left as it is, it is not the sum over atoms of two dense layers" in str(report)
    ours = energies_and_gradients(model, batch)
    assert ways == ["fast", "stock readout"]
    assert_same(ours, energies_and_gradients(stock, batch))


def test_training_steps_lead_to_the_same_parameters(batch):
    found = []
    for model in both():
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(5):
            energies_and_gradients(model, batch)
            optimiser.step()
        found.append([parameter.detach() for parameter in model.parameters()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


# ---- what it can't take ----------------------------------------------------------------------------------------


def without_one_direction(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = torch.ones(len(batch[properties.idx_i]), dtype=torch.bool)
    kept[7] = False
    keys = (properties.idx_i, properties.idx_j, properties.offsets)
    return batch | {key: batch[key][kept] for key in keys}


def between_molecules(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    last = len(batch[properties.Z]) - 1
    more = {properties.idx_i: [0, last], properties.idx_j: [last, 0]}
    joined = {key: torch.cat([batch[key], torch.tensor(value)]) for key, value in more.items()}
    return batch | joined | {properties.offsets: torch.cat([batch[properties.offsets], torch.zeros(2, 3)])}


def filtered(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As SchNetPack's FilterShortRange leaves it: vectors, and offsets of other pairs."""
    whole = PairwiseDistances()(dict(batch))
    near = whole[properties.Rij].norm(dim=1) < 3
    return whole | {key: whole[key][near] for key in (properties.idx_i, properties.idx_j, properties.Rij)}


@pytest.mark.parametrize("change", [without_one_direction, between_molecules, filtered])
@pytest.mark.parametrize("kind", KINDS)
def test_other_lists_are_computed_as_before(kind, change, batch, ways):
    model, stock = both(kind)
    if change is filtered:
        model.input_modules = stock.input_modules = nn.ModuleList()
    given = change(batch)
    ours = energies_and_gradients(model, given)
    assert ways[:1] == ["stock"]
    assert_same(ours, energies_and_gradients(stock, given))


@pytest.mark.parametrize("kind", KINDS)
def test_crystals_are_computed_as_before(kind, ways):
    model, stock = both(kind)
    given = batch_of([bulk("NaCl", "rocksalt", a=5.6), molecule("H2O")], MatScipyNeighborList(5.0))
    ours = energies_and_gradients(model, given)
    assert ways[:1] == ["stock"]
    assert_same(ours, energies_and_gradients(stock, given))


@pytest.mark.parametrize("kind", KINDS)
def test_double_precision(kind, some_atoms):
    model, stock = (each.double() for each in both(kind))
    given = batch_of(some_atoms, dtype=torch.float64)
    assert_same(energies_and_gradients(model, given), energies_and_gradients(stock, given))
    half = batch_of(some_atoms, fused.HalfNeighborList(5.0), dtype=torch.float64)
    assert_same(energies_and_gradients(model, half), energies_and_gradients(stock, given))
    single = batch_of(some_atoms)
    assert_same(energies_and_gradients(model, single), energies_and_gradients(stock, single))


@pytest.mark.parametrize("kind", KINDS)
def test_another_device(kind, batch):
    """On the meta device there are shapes only: enough to see that nobody reads a number."""
    model, stock = (each.to("meta") for each in both(kind))
    given = {key: tensor.to("meta") for key, tensor in batch.items()}
    with pytest.raises(Exception, match="meta"):
        stock(dict(given))  # the readout asks for the number of molecules
    features = model.representation(PairwiseDistances()(dict(given)))["scalar_representation"]
    assert features.device.type == "meta"
    model.to_empty(device="cpu")
    model.load_state_dict(build(kind).state_dict())
    assert_same(energies_and_gradients(model, batch), energies_and_gradients(build(kind), batch))


# ---- derivatives that somebody else asks for; forces have tests of their own -------------------------------------


def with_forces(model: NeuralNetworkPotential) -> NeuralNetworkPotential:
    """As one adds them to a model that is trained."""
    model.output_modules.append(Forces(energy_key=ENERGY))
    model.collect_derivatives()
    model.collect_outputs()
    return model


@pytest.mark.parametrize("which", [properties.R, properties.Rij])
def test_positions_that_need_a_gradient_are_noticed(which, batch, ways):
    model, stock = both()
    model.input_modules = nn.ModuleList()
    gradients = []
    for each in (model, stock):
        given = PairwiseDistances()(dict(batch))
        if which == properties.Rij:
            given[properties.Rij].requires_grad_()
        else:
            given[properties.R] = given[properties.R].clone().requires_grad_()
            given = PairwiseDistances()(given)
        each.input_modules = nn.ModuleList()
        (gradient,) = torch.autograd.grad(each(given)[ENERGY].sum(), given[which])
        gradients.append(gradient)
    assert ways[0] == "stock"
    assert_same(gradients[:1], gradients[1:])  # torch adds up in no fixed order


# ---- what is said about a model --------------------------------------------------------------------------------


def test_what_is_accelerated_is_said_and_again_when_asked_twice():
    model = build()
    said = "representation: SchNet, accelerated\ninput_modules.0: PairwiseDistances, accelerated\n"
    for _ in range(2):
        report = fused.accelerate(model)
        assert str(report) == said + "output_modules.0: Atomwise, accelerated"
        assert not report.left


class Changed(SchNet):
    pass


class Steps(nn.Module):
    """A radial basis with jumps."""

    n_rbf = 8

    def forward(self, distance):
        return (distance[..., None] > torch.arange(8) / 2).to(distance.dtype)


class Reader(nn.Module):
    def forward(self, inputs):
        return inputs


def changed_block() -> nn.Module:
    model = build()
    model.representation.interactions[1].f2out[0] = nn.Linear(WIDTH, WIDTH)
    return model


@pytest.mark.parametrize(
    ("model", "where", "why"),
    [
        (nn.Linear(1, 1), "", "Linear holds no AtomisticModel"),
        (build(after=(Forces(calc_stress=True, energy_key=ENERGY),)), "", "derivatives with respect to strain"),
        (
            build(n_filters=16, after=(Forces(energy_key=ENERGY),)),
            "representation",
            "forces are for the paper's blocks",
        ),
        (
            NeuralNetworkPotential(
                SO3net(8, 1, 2, GaussianRBF(5, 5.0), cutoff_fn=CosineCutoff(5.0)), [PairwiseDistances()], [Atomwise(8)]
            ),
            "",
            "SO3net, is neither SchNet nor PaiNN",
        ),
        (build(Changed), "representation", "Changed is a SchNet changed"),
        (changed_block(), "representation", "a Linear stands in the place of a Dense"),
        (build(PaiNN, activation=functional.relu), "representation", "its activation is not the paper's"),
        (build(PaiNN, nuclear_embedding=NuclearEmbedding(101, WIDTH)), "representation", "its embedding or"),
        (build(PaiNN, after=(Reader(),)), "representation", "Reader may read its vectors"),
        (
            build(PaiNN, after=(DipoleMoment(WIDTH, use_vector_representation=True),)),
            "representation",
            "DipoleMoment may read its vectors",
        ),
        (build(radial_basis=Steps()), "representation", "can't be tabulated finely enough"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_stays_as_it_is_is_said_with_its_reason(model, where, why):
    before = {name: type(part) for name, part in model.named_modules()}
    report = fused.accelerate(model)
    assert not report.accelerated
    assert why in report.left[where]
    assert str(report).startswith(f"{where or 'the model'}: left as it is, ")
    assert {name: type(part) for name, part in model.named_modules()} == before


def test_other_modules_find_the_vectors_between_atoms(batch):
    """Only a model whose modules are all known does without them."""

    class Vectors(nn.Module):
        def forward(self, inputs):
            inputs[ENERGY] = inputs[ENERGY] + inputs[properties.Rij].square().sum()
            return inputs

    model, stock = both(after=(Vectors(),))
    assert isinstance(model.input_modules[0], PairVectors)
    assert_same(energies_and_gradients(model, batch), energies_and_gradients(stock, batch))


def test_other_outputs_beside_the_energy(batch, ways):
    after = (DipoleMoment(WIDTH), Atomwise(WIDTH, output_key="other", aggregation_mode="avg"))
    after += (Aggregation([ENERGY, "other"], output_key="sum"),)
    model, stock = both(PaiNN, after=after)
    ours, theirs = ([each(dict(batch))[key] for key in ("dipole_moment", "other", "sum")] for each in (model, stock))
    assert ways[:3] == ["fast", "fast readout", "stock readout"]
    assert_same(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_watches_a_layer_still_sees_it(kind, batch, ways):
    model, stock = both(kind)
    seen = []
    handle = model.representation.interactions[0].register_forward_hook(lambda *_: seen.append(True))
    assert_same([model(dict(batch))[ENERGY]], [stock(dict(batch))[ENERGY]])
    assert seen == [True]
    handle.remove()
    ways.clear()
    model(dict(batch))
    assert ways == ["fast", "fast readout"]


# ---- what users do with a model --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_dict_is_schnetpacks(kind):
    model, stock = both(kind)
    state = stock.state_dict()
    assert list(model.state_dict()) == list(state)
    torch.manual_seed(7)
    other = build(kind)
    other.load_state_dict(model.state_dict())
    model.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_is_fast_and_shares_nothing(kind, batch, ways):
    model, stock = both(kind)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    ours = energies_and_gradients(other, batch)
    assert ways == ["fast", "fast readout"]
    assert_same(ours, energies_and_gradients(stock, batch))


ALONE = """
import sys, torch
sys.modules["fused"] = sys.modules["analysis"] = None
for path in sys.argv[1:]:
    model = torch.load(path, weights_only=False)
    print(type(model.representation).__module__, len(model.state_dict()))
"""


@pytest.fixture(scope="module")
def saved(batch, tmp_path_factory) -> dict[type, Path]:
    """Where each kind of accelerated model was saved, after it was used."""
    folder, found = tmp_path_factory.mktemp("saved"), {}
    for kind in KINDS:
        model, _ = both(kind)
        energies_and_gradients(model, batch)
        found[kind] = folder / kind.__name__
        torch.save(model, found[kind])
    return found


def test_saved_models_are_schnetpacks_own(saved):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, *saved.values()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = [f"{kind.__module__} {len(both(kind)[1].state_dict())}" for kind in saved]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_can_be_accelerated_again(kind, batch, saved):
    _, stock = both(kind)
    again = torch.load(saved[kind], weights_only=False)
    assert not any(isinstance(part, StandIn) for part in again.modules())
    fused.accelerate(again)
    assert_same(energies_and_gradients(again, batch), energies_and_gradients(stock, batch))


@pytest.mark.parametrize("kind", KINDS)
def test_torchscript_takes_the_network_alone(kind, batch):
    """As a test of SchNetPack's own does; the model stays fast."""
    model, stock = both(kind)
    given = PairwiseDistances()(dict(batch))
    scripted = torch.jit.script(model.representation)(dict(given))["scalar_representation"]
    torch.testing.assert_close(scripted, stock.representation(dict(given))["scalar_representation"])
    assert isinstance(model.representation, StandIn)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_spkdeploy(kind, some_atoms):
    """SchNetPack's command for LAMMPS, which takes models with forces."""
    model, stock = map(with_forces, both(kind))
    command = runpy.run_path(str(Path(sysconfig.get_path("scripts")) / "spkdeploy"))
    file = io.BytesIO()
    command["save_jit_model"](model, file)
    file.seek(0)
    deployed = torch.jit.load(file)
    for each in (deployed, model):
        results, expected = (network.eval()(batch_of(some_atoms)) for network in (each, stock))
        torch.testing.assert_close(results["forces"], expected["forces"], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(results[ENERGY], expected[ENERGY], rtol=1e-5, atol=1e-5)


# ---- the half list as a transform ------------------------------------------------------------------------------


def test_half_neighbour_lists_are_for_molecules():
    with pytest.raises(ValueError, match="periodic: HalfNeighborList is for molecules"):
        batch_of(bulk("Cu"), fused.HalfNeighborList(5.0))


def test_without_its_own_list_a_model_makes_schnetpacks(some_atoms, batch):
    """The very same, in the same order."""
    half = PairVectors()(batch_of(some_atoms, fused.HalfNeighborList(5.0)))
    order = np.lexsort((batch[properties.idx_j], batch[properties.idx_i]))
    for key in (properties.idx_i, properties.idx_j, properties.offsets):
        assert torch.equal(half[key], batch[key][order])


# ---- tables ----------------------------------------------------------------------------------------------------


def test_a_basis_other_than_gaussians_gets_as_fine_a_table_as_it_takes():
    cutoff = CosineCutoff(5.0)
    assert tables.fine_enough(GaussianRBF(20, 5.0), cutoff, 32) == 32
    assert tables.fine_enough(GaussianRBF(20, 5.0), cutoff, 16) == 16
    assert tables.fine_enough(BesselRBF(20, 5.0), cutoff, 16) == 32
    assert tables.fine_enough(Steps(), cutoff, 32) is None


def test_the_package_is_there_at_once():
    code = "import fused, sys\nassert 'torch' not in sys.modules and 'accelerate' in dir(fused)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'acelerate'"):
        fused.acelerate  # noqa: B018


# ---- with Lightning --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(few_molecules, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ase") / "few.db"
    databases.write(path, few_molecules)
    return path


def train(database: Path, folder: Path, neighbour_list, *callbacks) -> tuple[AtomisticTask, list[float]]:
    """Four epochs as in SchNetPack's tutorial on QM9, of one batch, whose order is none; the task, and the losses."""
    np.savez(folder / "split.npz", train_idx=np.arange(120), val_idx=np.arange(120, 160), test_idx=np.arange(160, 170))
    data = AtomsDataModule(
        str(database),
        batch_size=120,
        split_file=str(folder / "split.npz"),
        format=AtomsDataFormat.ASE,
        load_properties=[ENERGY],
        property_units={ENERGY: "eV"},
        distance_unit="Ang",
        num_workers=0,
        transforms=[neighbour_list, RemoveOffsets(ENERGY, remove_mean=True, remove_atomrefs=True), CastTo32()],
    )
    task = AtomisticTask(
        build(),
        outputs=[ModelOutput(ENERGY, loss_fn=nn.MSELoss(), metrics={})],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": 1e-3},
    )

    class Losses(pl.Callback):
        def on_train_batch_end(self, *given):
            losses.append(given[2]["loss"].item())

    losses = []
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=4,
        callbacks=[Losses(), *callbacks],
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, datamodule=data)
    return task, losses


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_callback_accelerates_a_training_and_its_checkpoint_is_schnetpacks(
    database, tmp_path, monkeypatch, in_memory
):
    monkeypatch.chdir(tmp_path)
    _, expected = train(database, tmp_path, ASENeighborList(5.0))
    callback = fused.Accelerate(in_memory=in_memory)
    task, found = train(database, tmp_path, fused.HalfNeighborList(5.0), callback)
    assert len(found) == 4
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert isinstance(task.model.representation, StandIn)
    loaded = AtomisticTask.load_from_checkpoint(task.trainer.checkpoint_callback.best_model_path, weights_only=False)
    assert type(loaded.model.representation) is SchNet


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_training_in_memory_reads_each_molecule_twice_whatever_the_epochs(database, tmp_path, monkeypatch):
    """SchNetPack's own statistics, which read the training molecules first, leave a loader behind."""
    monkeypatch.chdir(tmp_path)
    reads = []
    read = ASEAtomsData.__getitem__
    monkeypatch.setattr(ASEAtomsData, "__getitem__", lambda data, index: reads.append(index) or read(data, index))
    train(database, tmp_path, fused.HalfNeighborList(5.0), fused.Accelerate(in_memory=True))
    assert len(reads) == 120 + 120 + 40


def test_what_is_kept_in_memory_is_read_once():
    class Counted(list):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            return {"a": super().__getitem__(index)}

    source = Counted([1, 2])
    kept = InMemory(source)
    first = kept[1]
    first["more"] = 0
    assert kept[1] == {"a": 2}
    assert (len(kept), source.reads, kept.reads) == (2, 1, 1)
    assert len(copy.deepcopy(kept)) == 2
