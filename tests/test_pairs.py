import tracemalloc
from dataclasses import replace

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from schnetpack import properties
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.data import ASEAtomsData, AtomsLoader
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN
from schnetpack.transform import ASENeighborList, CastTo32, MatScipyNeighborList, VesinNeighborList

from analysis import pairs
from analysis.batches import ENERGY, PackedLoader, PackedMolecules
from analysis.molecules import Molecules, MoleculesError, to_ase
from analysis.offsets import reference_energies
from analysis.pairs import check_units, neighbour_pairs

# SchNetPack 2.2 hands tensors to ASE, which NumPy 2 warns about.
tensors_to_ase = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def molecules_from(*positions: list, index: int = 1) -> Molecules:
    """Hydrogen atoms at the given positions, one list per molecule."""
    n_atoms = np.array([len(p) for p in positions])
    return Molecules(
        index=np.arange(index, index + len(positions)),
        n_atoms=n_atoms,
        numbers=np.ones(n_atoms.sum(), np.uint8),
        positions=np.concatenate([np.asarray(p, float) for p in positions]),
        energy=np.zeros(len(positions)),
        smiles=np.array([""] * len(positions)),
    )


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("hartree", 1 / ase.units.Hartree),
        ("rydberg", 1 / ase.units.Rydberg),
        ("kcal/mol", ase.units.mol / ase.units.kcal),
        ("kJ/mol", ase.units.mol / ase.units.kJ),
        ("meV", 1000.0),
    ],
)
def test_energies_in_other_units_are_refused_by_the_units_name(few_molecules, unit, factor):
    wrong = replace(few_molecules, energy=few_molecules.energy * factor)
    with pytest.raises(MoleculesError, match=f"energies are in {unit}, it seems: .* by {1 / factor:.8g} to"):
        check_units(wrong, neighbour_pairs(wrong, 5.0))


@pytest.mark.parametrize("factor", [1 / ase.units.Bohr, 100.0], ids=["bohr", "picometres"])
def test_coordinates_in_other_units_are_refused(few_molecules, factor):
    wrong = replace(few_molecules, positions=few_molecules.positions * factor)
    with pytest.raises(MoleculesError, match=r"have no two atoms nearer than 1\.7 Å, molecule .* not in Å"):
        check_units(wrong, neighbour_pairs(wrong, 5.0))


def test_right_units_pass_and_so_does_what_cannot_be_told(qm9_molecules, few_molecules):
    check_units(qm9_molecules, neighbour_pairs(qm9_molecules, 2.0))
    atomisation = few_molecules.energy - reference_energies(few_molecules)
    check_units(replace(few_molecules, energy=atomisation), neighbour_pairs(few_molecules, 5.0))
    iodine = molecules_from([[0, 0, 0], [2.67, 0, 0]])
    check_units(replace(iodine, numbers=np.array([53, 53], np.uint8)), neighbour_pairs(iodine, 5.0))
    check_units(few_molecules, neighbour_pairs(few_molecules, 1.0))  # a cut-off below a bond


@pytest.fixture(scope="module")
def packed(few_molecules) -> PackedMolecules:
    return PackedMolecules(few_molecules, neighbour_pairs(few_molecules, 5.0), targets=few_molecules.energy)


# ---- neighbour pairs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [1.2, 4.0, 5.0, 20.0])
def test_the_pairs_are_those_of_ase(few_molecules, cutoff):
    found = neighbour_pairs(few_molecules, cutoff)
    for m, atoms in enumerate(to_ase(few_molecules)):
        i, j, d = neighbor_list("ijd", atoms, cutoff)
        half = np.lexsort((j[i < j], i[i < j]))
        own = slice(found.offsets[m], found.offsets[m + 1])
        assert found.first[own].tolist() == i[i < j][half].tolist()
        assert found.second[own].tolist() == j[i < j][half].tolist()
        np.testing.assert_allclose(found.distance[own], d[i < j][half], rtol=6e-8)


def test_all_of_qm9_has_as_many_pairs_as_the_design_counted_in_little_memory(qm9_molecules):
    tracemalloc.start()
    try:
        found = neighbour_pairs(qm9_molecules, 5.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == found.offsets[-1] == 18_375_621
    assert peak < 4e8


def test_a_list_cut_into_small_blocks_is_the_same(few_molecules, monkeypatch):
    whole = neighbour_pairs(few_molecules, 5.0)
    monkeypatch.setattr(pairs, "_BLOCK", 500)
    cut = neighbour_pairs(few_molecules, 5.0)
    for name in ("first", "second", "distance", "offsets"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))


@tensors_to_ase
@pytest.mark.parametrize("schnetpack_list", [ASENeighborList, MatScipyNeighborList, VesinNeighborList])
@pytest.mark.parametrize("distance", [np.nextafter(5, 0), 5.0, np.nextafter(5, 9)])
def test_a_pair_at_the_cutoff_is_treated_as_by_schnetpack(schnetpack_list, distance):
    positions = [[0, 0, 0], [distance, 0, 0]]
    inputs = {
        properties.Z: torch.ones(2, dtype=torch.long),
        properties.R: torch.tensor(positions, dtype=torch.float64),
        properties.cell: torch.zeros(1, 3, 3, dtype=torch.float64),
        properties.pbc: torch.zeros(3, dtype=torch.bool),
    }
    expected = len(schnetpack_list(5.0)(inputs)[properties.idx_i]) // 2
    assert len(neighbour_pairs(molecules_from(positions), 5.0)) == expected


def test_molecules_without_pairs_have_an_empty_stretch():
    lonely, couple, apart = [[0, 0, 0]], [[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [9, 0, 0]]
    found = neighbour_pairs(molecules_from(lonely, couple, apart, lonely), 5.0)
    assert found.offsets.tolist() == [0, 0, 1, 1, 1]
    assert found.distance.tolist() == [1.0]


def test_two_atoms_at_one_place_are_refused_by_the_molecules_index():
    good, bad = [[0, 0, 0], [0, 0, 1], [0, 2, 0]], [[0, 0, 0], [1, 0, 0], [1, 0, 0.01]]
    with pytest.raises(MoleculesError, match=r"molecule 42: its atoms 2 and 3 are 0\.01 Å apart"):
        neighbour_pairs(molecules_from(good, bad, index=41), 5.0)


def test_a_molecule_too_large_to_count_is_refused():
    line = np.zeros((65_537, 3))
    line[:, 0] = np.arange(len(line))
    with pytest.raises(MoleculesError, match="molecule 7: 65537 atoms"):
        neighbour_pairs(molecules_from(line, index=7), 1.5)


def test_more_than_256_atoms_are_counted_right():
    line = np.zeros((300, 3))
    line[:, 0] = np.arange(len(line))
    found = neighbour_pairs(molecules_from(line), 1.5)
    assert found.first.tolist() == list(range(299))
    assert found.second.tolist() == list(range(1, 300))


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_a_cutoff_that_is_no_distance_is_refused(few_molecules, cutoff):
    with pytest.raises(ValueError, match="cut-off must be a positive distance"):
        neighbour_pairs(few_molecules, cutoff)


def test_pairs_can_not_be_changed(packed):
    with pytest.raises(ValueError, match="read-only"):
        packed.pairs.distance[0] = 1


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
    first, second = batch[pairs.PAIR_FIRST].long(), batch[pairs.PAIR_SECOND].long()
    distance = (batch[properties.R][first] - batch[properties.R][second]).norm(dim=1)
    torch.testing.assert_close(batch[pairs.PAIR_DISTANCE], distance, rtol=1e-6, atol=1e-6)
    molecule = batch[properties.idx_m][first]
    assert torch.equal(molecule, batch[properties.idx_m][second])
    counts = torch.bincount(molecule, minlength=4)
    assert torch.equal(batch[pairs.PAIR_OFFSETS].diff(), counts)
    assert batch[pairs.PAIR_CUTOFF].item() == 5.0


def test_a_fused_batch_does_without_the_directed_list(packed):
    batch = packed.batch(np.arange(3))
    assert pairs.has_half_list(batch)
    assert not batch.keys() & {properties.idx_i, properties.idx_j, properties.offsets, properties.Rij}
    assert not pairs.has_half_list(packed.batch(np.arange(3), stock=True))


def test_targets_reach_the_batch_in_order(packed, few_molecules):
    positions = np.array([5, 1, 100])
    batch = packed.batch(positions)
    np.testing.assert_array_equal(batch[ENERGY], few_molecules.energy[positions].astype(np.float32))
    np.testing.assert_array_equal(batch[properties.idx], positions)
    assert ENERGY not in PackedMolecules(few_molecules, packed.pairs).batch(positions)


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
        PackedMolecules(few_molecules.select(np.arange(5)), packed.pairs)
    with pytest.raises(ValueError, match=r"targets of shape \(3,\)"):
        PackedMolecules(few_molecules, packed.pairs, targets=np.zeros(3))
    targets = few_molecules.energy.copy()
    targets[17] = np.nan
    with pytest.raises(ValueError, match=f"molecule {few_molecules.index[17]}: its target is nan"):
        PackedMolecules(few_molecules, packed.pairs, targets=targets)


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


def test_an_empty_set_or_batch_is_refused(packed):
    with pytest.raises(ValueError, match="the set is empty"):
        PackedLoader(packed, np.array([], int), batch_size=4)
    with pytest.raises(ValueError, match="at least 1"):
        PackedLoader(packed, np.arange(4), batch_size=0)


def test_molecules_from_ase_outside_qm9_go_the_same_way():
    water = Atoms("H2O", positions=[[0, 0.76, 0], [0, -0.76, 0], [0, 0, 0.59]])
    found = neighbour_pairs(molecules_from(water.positions), 5.0)
    np.testing.assert_allclose(found.distance, water.get_all_distances()[np.triu_indices(3, 1)], rtol=1e-6)
