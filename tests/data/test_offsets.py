from pathlib import Path

import numpy as np
import pytest
import torch
from schnetpack import properties
from schnetpack.data import ASEAtomsData, AtomsLoader, calculate_stats, estimate_atomrefs
from schnetpack.transform import RemoveOffsets

from analysis.data import databases, offsets, qm9
from analysis.data.molecules import Molecules
from analysis.training import networks

KEY = "energy_U0"


@pytest.fixture(scope="module")
def schnetpack_dataset(few_molecules: Molecules, tmp_path_factory: pytest.TempPathFactory) -> ASEAtomsData:
    path = tmp_path_factory.mktemp("db") / "few.db"
    databases.write(path, few_molecules)
    return ASEAtomsData(str(path), load_properties=[KEY], property_units={KEY: "eV"})


@pytest.fixture(scope="module")
def atomrefs(schnetpack_dataset) -> torch.Tensor:
    """The database's references in float64: SchNetPack hands them out in float32, 10⁻⁴ eV off."""
    table = torch.tensor(schnetpack_dataset.metadata["atomrefs"][KEY], dtype=torch.float64)
    return table * schnetpack_dataset.conversions[KEY]


def test_the_mean_is_the_one_that_schnetpack_computes(few_molecules, schnetpack_dataset, atomrefs):
    stats = calculate_stats(
        AtomsLoader(schnetpack_dataset, batch_size=20),
        divide_by_atoms={KEY: True},
        atomref={KEY: atomrefs},
    )
    ours = offsets.fit(few_molecules, np.arange(len(few_molecules)))
    assert ours.mean == pytest.approx(float(stats[KEY][0]), abs=1e-9)


def test_what_is_removed_is_what_remove_offsets_removes(few_molecules, schnetpack_dataset, atomrefs):
    ours = offsets.fit(few_molecules, np.arange(100))
    remove = RemoveOffsets(
        KEY,
        remove_mean=True,
        remove_atomrefs=True,
        atomrefs=atomrefs,
        property_mean=torch.tensor([ours.mean], dtype=torch.float64),
    )
    theirs = [float(remove(schnetpack_dataset[m])[KEY]) for m in range(len(few_molecules))]
    np.testing.assert_allclose(few_molecules.energy - ours.of(few_molecules), theirs, atol=1e-8)


def test_the_postprocessors_add_back_what_was_removed(few_molecules):
    ours = offsets.fit(few_molecules, np.arange(len(few_molecules)))
    targets = few_molecules.energy - ours.of(few_molecules)
    batch = {
        KEY: torch.from_numpy(targets).float(),
        properties.Z: torch.from_numpy(few_molecules.numbers.astype(np.int64)),
        properties.n_atoms: torch.from_numpy(few_molecules.n_atoms.copy()),
        properties.idx_m: torch.from_numpy(np.repeat(np.arange(len(few_molecules)), few_molecules.n_atoms)),
    }
    for postprocessor in networks.postprocessors(ours, KEY):
        batch = postprocessor(batch)
    assert batch[KEY].dtype == torch.float64
    # the targets went through float32 once; a float32 sum near −10⁴ eV would be wrong by 10⁻³
    np.testing.assert_allclose(batch[KEY].numpy(), few_molecules.energy, atol=1e-5)


def test_qm9s_mean_atomisation_energy_per_atom(qm9_molecules):
    everything = offsets.fit(qm9_molecules, np.arange(len(qm9_molecules)))
    assert everything.mean == pytest.approx(-4.243, abs=5e-4)


def test_an_empty_set_is_refused(few_molecules):
    with pytest.raises(ValueError, match="the set is empty"):
        offsets.fit(few_molecules, np.array([], dtype=np.int64))


def test_an_element_without_reference_is_refused_with_its_molecule(few_molecules):
    numbers = few_molecules.numbers.copy()
    numbers[few_molecules.offsets[3]] = 14
    changed = Molecules(
        index=few_molecules.index,
        n_atoms=few_molecules.n_atoms,
        numbers=numbers,
        positions=few_molecules.positions,
        energy=few_molecules.energy,
        smiles=few_molecules.smiles,
    )
    with pytest.raises(ValueError, match=f"molecule {few_molecules.index[3]}: no atomic reference"):
        offsets.reference_energies(changed)


def test_the_folder_of_a_database_is_left_clean(schnetpack_dataset):
    names = sorted(path.name for path in Path(schnetpack_dataset.datapath).parent.iterdir())
    assert names == ["few.db"]


def test_least_squares_leave_less_than_any_other_energies_per_element(few_molecules):
    """Optimal: nothing of what is left goes with the number of any element's atoms."""
    everything = np.arange(len(few_molecules))
    fitted = offsets.fit(few_molecules, everything, "least-squares")
    left = few_molecules.energy - fitted.of(few_molecules)
    for z in (1, 6, 7, 8, 9):
        counts = np.add.reduceat(few_molecules.numbers == z, few_molecules.offsets[:-1])
        assert abs(left @ counts) < 1e-6 * np.abs(left).sum() * counts.max()
    with_mean = few_molecules.energy - offsets.fit(few_molecules, everything).of(few_molecules)
    assert left.std() < with_mean.std() / 3


def test_least_squares_are_schnetpacks_estimate(few_molecules, schnetpack_dataset):
    theirs = estimate_atomrefs(AtomsLoader(schnetpack_dataset, batch_size=20), is_extensive={KEY: True})[KEY]
    ours = offsets.fit(few_molecules, np.arange(len(few_molecules)), "least-squares")
    for z, energy in ours.references.items():
        assert energy == pytest.approx(float(theirs[z]), abs=0.05)  # theirs is solved in single precision


def test_an_element_that_no_molecule_holds_keeps_its_reference(few_molecules):
    without = np.flatnonzero(~np.logical_or.reduceat(few_molecules.numbers == 9, few_molecules.offsets[:-1]))
    fitted = offsets.fit(few_molecules, without, "least-squares")
    assert fitted.references[9] == qm9.ATOMIC_REFERENCES_U0[9]
    assert fitted.references[6] != qm9.ATOMIC_REFERENCES_U0[6]


def test_no_offsets_leave_the_energy_as_it_is(few_molecules):
    assert (offsets.fit(few_molecules, np.arange(3), "none").of(few_molecules) == 0).all()
    references = offsets.fit(few_molecules, np.arange(3), "references")
    np.testing.assert_allclose(references.of(few_molecules), offsets.reference_energies(few_molecules))
    assert not references.removes_mean
