import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from schnetpack import properties
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.data import ASEAtomsData, AtomsLoader
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import ASENeighborList, CastTo32, MatScipyNeighborList
from scipy.spatial.distance import pdist

from analysis.data.molecules import Molecules, to_ase
from fused import Packed, PackedLoader, Pairs, accelerate
from fused.halflist import PAIR_CUTOFF, PAIR_DISTANCE, PAIR_FIRST, PAIR_OFFSETS, PAIR_SECOND, has_half_list

# SchNetPack 2.2 hands tensors to ASE, which NumPy 2 warns about.
tensors_to_ase = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

ENERGY = "energy_U0"


def pack(molecules: Molecules, pairs: Pairs | None = None, targets: dict[str, np.ndarray] | None = None) -> Packed:
    pairs = pairs or Pairs.within(5.0, molecules.n_atoms, molecules.positions)
    return Packed(molecules.numbers, molecules.n_atoms, molecules.positions, pairs, targets or {})


@pytest.fixture(scope="module")
def packed(few_molecules) -> Packed:
    return pack(few_molecules, targets={ENERGY: few_molecules.energy})


# ---- batches ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schnetpack_batch(few_molecules, tmp_path_factory):
    """A function: the batch that SchNetPack's own database, neighbour list and loader make of the same molecules."""
    path = tmp_path_factory.mktemp("ase") / "few.db"
    units = {ENERGY: "eV"}
    data = ASEAtomsData.create(str(path), distance_unit="Ang", property_unit_dict=units, atomrefs={})
    data.add_systems([{ENERGY: np.array([energy])} for energy in few_molecules.energy], to_ase(few_molecules))

    def load(positions: np.ndarray) -> dict[str, torch.Tensor]:
        chosen = ASEAtomsData(
            str(path), transforms=[ASENeighborList(5.0), CastTo32()], subset_idx=[int(p) for p in positions]
        )
        chosen.transforms = chosen.transforms
        return next(iter(AtomsLoader(chosen, batch_size=len(positions))))

    return load


@tensors_to_ase
def test_a_stock_batch_is_what_schnetpacks_loader_gives(packed, schnetpack_batch):
    positions = np.random.default_rng(0).choice(len(packed), 40, replace=False)
    theirs, ours = schnetpack_batch(positions), packed.batch(positions, stock=True)
    order = np.lexsort((theirs[properties.idx_j], theirs[properties.idx_i]))
    for key in (properties.idx_i, properties.idx_j, properties.lidx_i, properties.lidx_j, properties.offsets):
        theirs[key] = theirs[key][order]
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype, key
        assert torch.equal(ours[key], tensor), key


@tensors_to_ase
def test_painn_sees_no_difference_between_our_batches_and_schnetpacks(packed, schnetpack_batch):
    torch.manual_seed(0)
    model = NeuralNetworkPotential(
        representation=PaiNN(16, 2, GaussianRBF(20, 5.0), CosineCutoff(5.0)),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(16, output_key=ENERGY)],
    )
    positions = np.arange(0, len(packed), 5)
    with torch.no_grad():
        theirs = model(schnetpack_batch(positions))[ENERGY]
        ours = model(packed.batch(positions, stock=True))[ENERGY]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_half_list_counts_atoms_through_the_batch(packed):
    batch = packed.batch(np.array([150, 3, 150, 77]))
    first, second = batch[PAIR_FIRST].long(), batch[PAIR_SECOND].long()
    distance = (batch[properties.R][first] - batch[properties.R][second]).norm(dim=1)
    torch.testing.assert_close(batch[PAIR_DISTANCE], distance, rtol=1e-6, atol=1e-6)
    molecule = batch[properties.idx_m][first]
    assert torch.equal(molecule, batch[properties.idx_m][second])
    counts = torch.bincount(molecule, minlength=4)
    assert torch.equal(batch[PAIR_OFFSETS].diff(), counts)
    assert batch[PAIR_CUTOFF].item() == 5.0


def test_a_fused_batch_does_without_the_directed_list(packed):
    batch = packed.batch(np.arange(3))
    assert has_half_list(batch)
    assert not batch.keys() & {properties.idx_i, properties.idx_j, properties.offsets, properties.Rij}
    assert not has_half_list(packed.batch(np.arange(3), stock=True))


def test_targets_reach_the_batch_in_order(packed, few_molecules):
    positions = np.array([5, 1, 100])
    batch = packed.batch(positions)
    np.testing.assert_array_equal(batch[ENERGY], few_molecules.energy[positions].astype(np.float32))
    np.testing.assert_array_equal(batch[properties.idx], positions)
    assert ENERGY not in pack(few_molecules).batch(positions)


@pytest.mark.parametrize(
    ("positions", "error", "match"),
    [
        ([], ValueError, "at least one integer"),
        ([0.5], ValueError, "at least one integer"),
        ([[1]], ValueError, "at least one integer"),
        ([0, 10**6], IndexError, "do not all lie in"),
        ([-1], IndexError, "do not all lie in"),
    ],
)
def test_positions_that_choose_no_molecules_are_refused(packed, positions, error, match):
    with pytest.raises(error, match=match):
        packed.batch(np.array(positions))


def test_what_does_not_belong_together_is_refused(few_molecules, packed):
    with pytest.raises(ValueError, match=r"pairs of .* molecules, but there are 5"):
        pack(few_molecules.select(np.arange(5)), packed.pairs)
    with pytest.raises(ValueError, match=r"targets of shape \(3,\)"):
        pack(few_molecules, packed.pairs, {ENERGY: np.zeros(3)})
    one = few_molecules.select(np.arange(1))
    pairs = Pairs.within(5.0, one.n_atoms, one.positions)
    with pytest.raises(ValueError, match=r"2 numbers and positions"):
        Packed(one.numbers[:2], one.n_atoms, one.positions, pairs)
    with pytest.raises(ValueError, match=r"positions \(2, 3\) of"):
        Packed(one.numbers, one.n_atoms, one.positions[:2], pairs)


# ---- loader ----------------------------------------------------------------------------------------------------


def seen(loader: PackedLoader) -> list[int]:
    return torch.cat([batch[properties.idx] for batch in loader]).tolist()


def test_an_epoch_holds_every_molecule_once_and_the_last_batch_what_is_left(packed):
    positions = np.arange(10, 60)
    loader = PackedLoader(packed, positions, batch_size=16, shuffle=True)
    sizes = [len(batch[properties.n_atoms]) for batch in loader]
    assert sizes == [16, 16, 16, 2]
    assert len(loader) == 4
    assert sorted(seen(loader)) == positions.tolist()


def test_the_order_depends_on_seed_and_epoch_alone(packed):
    def order(seed: int, epoch: int) -> list[int]:
        loader = PackedLoader(packed, np.arange(50), batch_size=7, shuffle=True, seed=seed)
        loader.epoch = epoch
        return seen(loader)

    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_without_shuffling_the_order_is_the_callers(packed):
    positions = np.array([9, 2, 5, 30, 4])
    assert seen(PackedLoader(packed, positions, batch_size=2)) == positions.tolist()


def test_a_stock_loader_gives_stock_batches(packed):
    batch = next(iter(PackedLoader(packed, np.arange(9), batch_size=4, stock=True)))
    assert properties.idx_i in batch


def test_a_loader_can_be_gone_through_again(packed):
    loader = PackedLoader(packed, np.arange(20), batch_size=8, shuffle=True, seed=5)
    first = seen(loader)
    assert seen(loader) == first
    loader.epoch = 1
    assert seen(loader) != first
    assert seen(loader) == loader.order().tolist()


def test_a_molecule_far_from_the_origin_keeps_its_shape_in_float32(few_molecules):
    few = few_molecules.select(np.arange(3))
    shift = np.repeat([[0.0, 0, 0], [1e4, -3e4, 7], [0, 0, -25]], few.n_atoms, axis=0)
    moved = replace(few, positions=few.positions + shift)
    found = pack(moved).batch(np.arange(3))[properties.R].numpy()
    inside = [slice(*few.offsets[m : m + 2]) for m in range(3)]
    np.testing.assert_array_equal(found[inside[0]], few.positions[inside[0]].astype(np.float32))
    for atoms in inside[1:]:
        np.testing.assert_allclose(pdist(found[atoms]), pdist(few.positions[atoms]), atol=2e-6)
        assert np.abs(found[atoms].mean(axis=0)).max() < 1e-5


def test_an_empty_set_or_batch_is_refused(packed):
    with pytest.raises(ValueError, match="the set is empty"):
        PackedLoader(packed, np.array([], int), batch_size=4)
    with pytest.raises(ValueError, match="at least 1"):
        PackedLoader(packed, np.arange(4), batch_size=0)


def test_further_numbers_of_the_loaders_molecules_are_in_its_batches(packed):
    positions = np.array([9, 2, 5, 30, 4])
    loader = PackedLoader(packed, positions, batch_size=2, beside={"weight": positions / 2})
    found = torch.cat([batch["weight"] for batch in loader])
    assert found.dtype == torch.float32
    assert found.tolist() == (positions / 2).tolist()


def test_a_network_trains_on_packed_molecules_as_on_schnetpacks_own_batches():
    """In a script with nothing but SchNetPack: ASE's molecules, packed, through an accelerated model and stock one."""
    atoms = [molecule(name) for name in ("C6H6", "H2O", "CH3CH2OH")]
    n_atoms = np.array([len(one) for one in atoms])
    positions = np.concatenate([one.positions for one in atoms])
    numbers = np.concatenate([one.numbers for one in atoms])
    loader = PackedLoader(
        Packed(numbers, n_atoms, positions, Pairs.within(5.0, n_atoms, positions)), np.arange(3), batch_size=3
    )
    torch.manual_seed(0)
    stock = NeuralNetworkPotential(
        SchNet(16, 2, GaussianRBF(20, 5.0), CosineCutoff(5.0)), [PairwiseDistances()], [Atomwise(16, output_key=ENERGY)]
    )
    model = copy.deepcopy(stock)
    accelerate(model)
    expected = stock(AtomsConverter(MatScipyNeighborList(5.0), dtype=torch.float32)(atoms))[ENERGY]
    (batch,) = loader
    torch.testing.assert_close(model(batch)[ENERGY], expected, rtol=1e-5, atol=1e-5)


# ---- pairs -----------------------------------------------------------------------------------------------------


def test_pairs_of_what_does_not_fit_are_refused():
    with pytest.raises(ValueError, match="molecules of 3 atoms in all, but 2 positions"):
        Pairs.within(5.0, np.array([3]), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="a molecule of 65537 atoms"):
        Pairs.within(5.0, np.array([65_537]), np.zeros((65_537, 3)))
