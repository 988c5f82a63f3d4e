"""SchNetPack's models without torch: the numbers are the models', and what is none is refused."""

import json
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from safetensors.numpy import load_file
from schnetpack.atomistic import Forces
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.transform import ASENeighborList

from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.runs import records
from analysis.runs.config import Model
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused import Potential, choice

ROOT = Path(__file__).resolve().parents[2]
FLOAT32 = 6e-5  # eV, of a sum over some twenty atoms


def architectures() -> dict[str, Path]:
    """A record of each of the networks that are recorded with weights, the seed and the data left out."""
    found = {}
    for folder in records.recorded_folders(ROOT / "results"):
        about = json.loads((folder / records.DESCRIPTION).read_text(encoding="utf-8"))
        if records.WEIGHTS in about["sha256"]:
            settings = Model.model_validate(about["config"]["model"])
            found.setdefault(str(settings), folder)
    return found


RECORDED = architectures()


def of_torch(model, molecules: Molecules, cutoff: float, *, stock: bool) -> np.ndarray:
    packed = PackedMolecules(molecules, neighbour_pairs(molecules, cutoff))
    with torch.no_grad():
        return model(packed.batch(np.arange(len(molecules)), stock=stock))[ENERGY].numpy()


def without_torch(potential: Potential, molecules: Molecules) -> np.ndarray:
    return potential(molecules.numbers, molecules.positions, molecules.n_atoms)


def arrays(model) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_architecture_gives_the_numbers_of_the_model(name, few_molecules):
    folder = RECORDED[name]
    settings = records.outline(folder).config.model
    state = load_file(folder / records.WEIGHTS)
    model = networks.build_from(settings, fused=True)
    tensors = {key: torch.from_numpy(array) for key, array in state.items() if not key.startswith("postprocessors.")}
    model.load_state_dict(tensors)
    found = without_torch(Potential(state, cutoff=settings.data_cutoff), few_molecules)
    expected = of_torch(model.eval(), few_molecules, settings.data_cutoff, stock=False)
    assert np.std(expected) > 1
    assert found == pytest.approx(expected, abs=FLOAT32)


@pytest.mark.parametrize(
    "settings",
    [
        {"representation": "schnet"},
        {"representation": "painn"},
        {"representation": "schnet", "shared_interactions": True, "training_cutoff": 4.0},
        {"representation": "painn", "n_atom_basis": 21, "n_interactions": 2, "shared_interactions": True},
    ],
    ids=str,
)
def test_it_is_schnetpacks_own_model(settings, few_molecules):
    torch.manual_seed(0)
    settings = Model(**settings)
    model = networks.build_from(settings, fused=False).eval()
    expected = of_torch(model, few_molecules, settings.data_cutoff, stock=True)
    found = without_torch(Potential(arrays(model), cutoff=settings.data_cutoff), few_molecules)
    assert found == pytest.approx(expected, abs=FLOAT32)


@pytest.fixture(scope="module", params=["schnet", "painn"])
def state(request) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return arrays(networks.build_from(Model(representation=request.param), fused=False))


@pytest.mark.parametrize("way", choice.candidates()[1:], ids=str)
def test_each_way_to_work_gives_the_same(way, state, few_molecules):
    expected = without_torch(Potential(state), few_molecules)
    with choice.forced(way):
        assert without_torch(Potential(state), few_molecules) == pytest.approx(expected, abs=FLOAT32)


def test_batches_and_threads_change_nothing(state, few_molecules):
    one_by_one = Potential(state)
    each = [without_torch(one_by_one, few_molecules.select([m]))[0] for m in range(len(few_molecules))]
    for threads in (1, 3):
        found = without_torch(Potential(state, threads=threads), few_molecules)
        assert found == pytest.approx(np.array(each), abs=FLOAT32)


def test_the_cut_off_is_the_networks_own_unless_another_list_was_used(state, few_molecules):
    whole = without_torch(Potential(state), few_molecules)
    assert without_torch(Potential(state, cutoff=5.0), few_molecules) == pytest.approx(whole, abs=FLOAT32)
    assert np.abs(without_torch(Potential(state, cutoff=3.0), few_molecules) - whole).max() > 0.01


def test_far_from_the_origin_is_as_near_it(state):
    water = molecule("H2O")
    near, far = (Potential(state)(water.numbers, water.positions + shift, [3]) for shift in (0.0, 1e5))
    assert far == pytest.approx(near, abs=FLOAT32)


def test_atoms_alone_and_no_molecules_at_all(state):
    alone = Potential(state)([1, 6], np.zeros((2, 3)), [1, 1])
    assert np.isfinite(alone).all()
    assert alone[0] != alone[1]
    assert len(Potential(state)([], np.zeros((0, 3)), [])) == 0


TOGETHER = Atoms("OHH", [[0, 0, 0], [0, 0, 0.96], [0, 0, 0.96]])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"numbers": [8, 1]}, r"\(2,\) numbers and \(6, 3\) positions, for 2 molecules"),
        ({"n_atoms": [6, 0]}, "at least one atom each"),
        ({"positions": np.zeros((6, 2))}, r"\(6, 2\) positions"),
        ({"positions": np.full((6, 3), np.nan)}, "must be finite"),
        ({"numbers": [8, 1, 1, 8, 1, 100]}, "atomic numbers are 0 to 99, not .*100"),
        ({"positions": np.concatenate([molecule("H2O").positions, TOGETHER.positions])}, "two atoms of molecule 1 are"),
    ],
)
def test_what_is_no_molecule_is_refused(changes, why, state):
    twice = {
        "numbers": [8, 1, 1, 8, 1, 1],
        "positions": np.concatenate([molecule("H2O").positions] * 2),
        "n_atoms": [3, 3],
    }
    assert len(Potential(state)(**twice)) == 2
    with pytest.raises(ValueError, match=why):
        Potential(state)(**twice | changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: dict.fromkeys(state.keys() & {"representation.cutoff_fn.cutoff"}, np.ones(1)),
        lambda state: {name: array for name, array in state.items() if "radial_basis" not in name},
        lambda state: {name: array for name, array in state.items() if "outnet.1.bias" not in name},
        lambda state: {name: array for name, array in state.items() if "interactions.1." not in name},
        lambda state: state | {"representation.embedding.weight": np.zeros((100, 7), np.float32)},
        lambda state: state | {"output_modules.0.outnet.0.weight": np.zeros((15, 64), np.float32)},
        lambda state: state | {"representation.radial_basis.offsets": np.zeros(3, np.float32)},
    ],
    ids=[
        "a cut-off alone",
        "no Gaussians",
        "no readout",
        "a layer less",
        "another width",
        "another readout",
        "other Gaussians",
    ],
)
def test_arrays_of_another_model_are_refused(change, state):
    with pytest.raises(ValueError, match="these are not the arrays of a SchNet or PaiNN with an Atomwise"):
        Potential(change(state))


def test_torch_is_not_imported():
    code = "import sys; from fused import Potential; sys.exit(' '.join({'torch', 'schnetpack'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    "settings",
    [
        {"representation": "schnet"},
        {"representation": "painn"},
        {"representation": "painn", "n_atom_basis": 21, "n_interactions": 2, "shared_interactions": True},
    ],
    ids=str,
)
def test_forces_are_those_of_schnetpacks_own_model_in_double_precision(settings, few_molecules):
    torch.manual_seed(0)
    model = networks.build_from(Model(**settings), fused=False).eval()
    potential = Potential(arrays(model))
    # At a symmetric geometry a norm of PaiNN's has a kink; nobody's molecule moves there.
    moved = few_molecules.positions + np.random.default_rng(0).normal(scale=0.05, size=few_molecules.positions.shape)
    given = few_molecules.numbers, moved, few_molecules.n_atoms
    energies, forces = potential.with_forces(*given)
    assert energies == pytest.approx(potential(*given), abs=FLOAT32)
    of_stock = NeuralNetworkPotential(
        representation=model.representation,
        input_modules=list(model.input_modules),
        output_modules=[*model.output_modules, Forces(energy_key=ENERGY)],
    ).double()
    molecules = [
        Atoms(few_molecules.numbers[first:last], moved[first:last])
        for first, last in pairwise(few_molecules.offsets.tolist())
    ]
    batch = AtomsConverter(neighbor_list=ASENeighborList(5.0), dtype=torch.float64)(molecules)
    expected = of_stock(batch)["forces"].detach().numpy()
    assert np.abs(expected).max() > 0.1
    assert forces == pytest.approx(expected, abs=1e-4)
    for first, last in pairwise(few_molecules.offsets):
        assert forces[first:last].sum(axis=0) == pytest.approx(0, abs=1e-4)


def test_forces_of_molecules_do_not_depend_on_batches_and_threads(state, few_molecules):
    given = few_molecules.numbers, few_molecules.positions, few_molecules.n_atoms
    expected = Potential(state, threads=1).with_forces(*given)[1]
    assert Potential(state, threads=3).with_forces(*given)[1] == pytest.approx(expected, abs=1e-5)
    alone = Potential(state)
    first = few_molecules.select([0])
    found = alone.with_forces(first.numbers, first.positions, first.n_atoms)[1]
    assert found == pytest.approx(expected[: len(first.numbers)], abs=1e-5)


def test_a_potential_can_be_pickled(state):
    water = molecule("H2O")
    given = water.numbers, water.positions, [3]
    again = pickle.loads(pickle.dumps(Potential(state)))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.with_forces(*given)[1], Potential(state).with_forces(*given)[1])
