import tracemalloc
from dataclasses import replace

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from schnetpack import properties
from schnetpack.transform import ASENeighborList, MatScipyNeighborList, VesinNeighborList

from analysis.data.molecules import Molecules, MoleculesError, to_ase
from analysis.data.neighbours import check_units, neighbour_pairs
from analysis.data.offsets import reference_energies

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
    with pytest.raises(MoleculesError, match=f"energies seem to be in {unit}: .* by {1 / factor:.8g} for"):
        check_units(wrong, neighbour_pairs(wrong, 5.0))


@pytest.mark.parametrize("factor", [1 / ase.units.Bohr, 100.0], ids=["bohr", "picometres"])
def test_coordinates_in_other_units_are_refused(few_molecules, factor):
    wrong = replace(few_molecules, positions=few_molecules.positions * factor)
    with pytest.raises(MoleculesError, match=r"have no two atoms nearer than 1\.7 Å, molecule .* not in Å"):
        check_units(wrong, neighbour_pairs(wrong, 5.0))


def test_right_units_pass_and_so_do_undecidable_ones(qm9_molecules, few_molecules):
    check_units(qm9_molecules, neighbour_pairs(qm9_molecules, 2.0))
    atomisation = few_molecules.energy - reference_energies(few_molecules)
    check_units(replace(few_molecules, energy=atomisation), neighbour_pairs(few_molecules, 5.0))
    iodine = molecules_from([[0, 0, 0], [2.67, 0, 0]])
    check_units(replace(iodine, numbers=np.array([53, 53], np.uint8)), neighbour_pairs(iodine, 5.0))
    check_units(few_molecules, neighbour_pairs(few_molecules, 1.0))  # a cut-off below a bond


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


def test_pairs_can_not_be_changed(few_molecules):
    with pytest.raises(ValueError, match="read-only"):
        neighbour_pairs(few_molecules, 5.0).distance[0] = 1


def test_molecules_from_ase_outside_qm9_go_the_same_way():
    water = Atoms("H2O", positions=[[0, 0.76, 0], [0, -0.76, 0], [0, 0, 0.59]])
    found = neighbour_pairs(molecules_from(water.positions), 5.0)
    np.testing.assert_allclose(found.distance, water.get_all_distances()[np.triu_indices(3, 1)], rtol=1e-6)
