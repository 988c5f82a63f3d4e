"""Molecules to ASE databases and back: ours, SchNetPack's, foreign and damaged ones."""

import os
import pickle
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import ase.db
import ase.units
import numpy as np
import pytest
import schnetpack.units
from ase.build import molecule as g2_molecule
from schnetpack.data import ASEAtomsData, AtomsDataFormat, create_dataset, load_dataset
from schnetpack.datasets import QM9
from test_molecules import assert_same

from analysis.data import databases, qm9
from analysis.data.molecules import Molecules, MoleculesError


def test_units_are_those_of_schnetpack():
    assert schnetpack.units.convert_units("Ha", "eV") == ase.units.Hartree
    for name, factor in databases._ENERGY_UNITS.items():
        if name != "meV":  # ASE, whose units SchNetPack takes, has none
            assert schnetpack.units.convert_units(name, "eV") == pytest.approx(factor, rel=1e-15)
    for name, factor in databases._LENGTH_UNITS.items():
        if name != "a0":
            assert schnetpack.units.convert_units(name, "Ang") == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize("unit", ["Ha", "eV", "kcal/mol"])
def test_our_database_comes_back(few_molecules: Molecules, tmp_path: Path, unit: str):
    path = tmp_path / "a.db"
    databases.write(path, few_molecules, energy_unit=unit)
    back = databases.read(path)
    assert_same(back, few_molecules, except_for=("energy",))
    np.testing.assert_allclose(back.energy, few_molecules.energy, rtol=1e-15)
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize("unit", ["Ha", "eV"])
def test_schnetpack_reads_our_database(few_molecules: Molecules, tmp_path: Path, unit: str):
    path = tmp_path / "a.db"
    databases.write(path, few_molecules, energy_unit=unit)
    dataset = load_dataset(str(path), AtomsDataFormat.ASE, property_units={"energy_U0": "eV"}, distance_unit="Ang")
    assert len(dataset) == len(few_molecules)
    assert dataset.available_properties == ["energy_U0"]
    for m in range(0, len(few_molecules), 7):
        properties = dataset[m]
        inside = slice(few_molecules.offsets[m], few_molecules.offsets[m + 1])
        assert properties["energy_U0"].item() == pytest.approx(few_molecules.energy[m], rel=1e-15)
        assert properties["_atomic_numbers"].tolist() == few_molecules.numbers[inside].tolist()
        np.testing.assert_allclose(properties["_positions"].numpy(), few_molecules.positions[inside], rtol=1e-15)
    references = dataset.atomrefs["energy_U0"].numpy()
    assert references.shape == (100,)
    assert {z: references[z] for z in np.flatnonzero(references)} == pytest.approx(dict(qm9.ATOMIC_REFERENCES_U0))


def test_schnetpacks_qm9_module_takes_our_database(few_molecules: Molecules, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # SchNetPack leaves a lock file in the working folder
    path = tmp_path / "qm9.db"
    databases.write(path, few_molecules)
    module = QM9(
        str(path),
        batch_size=10,
        num_train=100,
        num_val=20,
        num_test=20,
        split_file=None,
        remove_uncharacterized=True,
        load_properties=[QM9.U0],
        property_units={QM9.U0: "eV"},
        num_workers=0,
    )
    module.prepare_data()
    module.setup()
    assert len(module.train_dataset) == 100
    (batch,) = [batch for number, batch in enumerate(module.val_dataloader()) if number == 0]
    known = dict(zip(few_molecules.energy.round(6).tolist(), few_molecules.n_atoms.tolist(), strict=True))
    for energy, n_atoms in zip(batch[QM9.U0].double().numpy().round(6), batch["_n_atoms"].tolist(), strict=True):
        assert known[float(energy)] == n_atoms


def create_with_schnetpack(path: Path, energy_unit: str = "Ha", distance_unit: str = "Ang", **factors) -> ASEAtomsData:
    """Water and methane as SchNetPack's QM9 module writes them, with another property beside U0."""
    dataset = create_dataset(
        datapath=str(path),
        format=AtomsDataFormat.ASE,
        distance_unit=distance_unit,
        property_unit_dict={"zpve": "Ha", "energy_U0": energy_unit},
        atomrefs={"energy_U0": [0.0] * 100},
    )
    systems = []
    for name, energy in (("H2O", -76.404702), ("CH4", -40.47893)):
        atoms = g2_molecule(name)
        systems.append(
            {
                "zpve": np.array([0.02]),
                "energy_U0": np.array([energy]) / factors.get("energy", 1),
                "_atomic_numbers": atoms.numbers,
                "_positions": atoms.positions / factors.get("length", 1),
                "_cell": atoms.cell,
                "_pbc": atoms.pbc,
            }
        )
    dataset.add_systems(systems)
    return dataset


@pytest.mark.parametrize(
    ("energy_unit", "distance_unit", "factors"),
    [
        ("Ha", "Ang", {}),
        ("Hartree", "Bohr", {"length": ase.units.Bohr}),
        ("eV", "nm", {"energy": 1 / ase.units.Hartree, "length": 10}),
        ("kcal / mol", "Angstrom", {"energy": ase.units.kcal / ase.units.mol / ase.units.Hartree}),
    ],
)
def test_we_read_what_schnetpack_wrote(tmp_path: Path, energy_unit: str, distance_unit: str, factors: dict):
    create_with_schnetpack(tmp_path / "a.db", energy_unit, distance_unit, **factors)
    molecules = databases.read(tmp_path / "a.db")
    assert molecules.index.tolist() == [1, 2]
    assert molecules.n_atoms.tolist() == [3, 5]
    assert molecules.smiles.tolist() == ["", ""]
    np.testing.assert_allclose(molecules.energy, np.array([-76.404702, -40.47893]) * ase.units.Hartree, rtol=1e-14)
    np.testing.assert_allclose(molecules.positions[:3], g2_molecule("H2O").positions, atol=1e-14)
    zpve = databases.read(tmp_path / "a.db", energy_property="zpve")
    np.testing.assert_allclose(zpve.energy, 0.02 * ase.units.Hartree)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"_property_unit_dict": None}, "no SchNetPack metadata: _property_unit_dict missing"),
        ({"_distance_unit": None}, "no SchNetPack metadata: _distance_unit missing"),
        ({"_distance_unit": "furlong"}, "unknown unit of length: furlong; known are Ang"),
        ({"_distance_unit": "eV"}, "unknown unit of length: eV"),
        ({"_property_unit_dict": {"energy_U0": "Ang"}}, "unknown unit of energy: Ang; known are eV"),
        ({"_property_unit_dict": {"energy_U0": None}}, "unknown unit of energy: None"),
        ({"_property_unit_dict": {"zpve": "Ha"}}, "has no property energy_U0; it has zpve"),
        ({"_property_unit_dict": {}}, "has no property energy_U0; it has none"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path: Path, metadata: dict, message: str):
    create_with_schnetpack(tmp_path / "a.db")
    with ase.db.connect(tmp_path / "a.db") as database:
        changed = database.metadata | metadata
    database.metadata = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(MoleculesError, match=message):
        databases.read(tmp_path / "a.db")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"molecule 3: its energy_U0 is \[\]"),
        ({"energy_U0": np.array([1.0, 2.0])}, r"molecule 3: its energy_U0 is \[1.0, 2.0\]"),
        ({"energy_U0": "low"}, "molecule 3: its energy_U0 is low"),
        ({"energy_U0": np.array([np.nan])}, "molecule 3: its energy is nan"),
    ],
)
def test_a_row_without_its_energy_is_refused(tmp_path: Path, data: dict, message: str):
    create_with_schnetpack(tmp_path / "a.db")
    ase.db.connect(tmp_path / "a.db").write(g2_molecule("NH3"), data=data)
    with pytest.raises(MoleculesError, match=message):
        databases.read(tmp_path / "a.db")


def test_wrong_rows_are_refused(tmp_path: Path):
    create_with_schnetpack(tmp_path / "a.db")
    database = ase.db.connect(tmp_path / "a.db")
    data = {"energy_U0": np.array([-56.0])}
    number = database.write(g2_molecule("NH3", cell=[5, 5, 5], pbc=True), data=data)
    with pytest.raises(MoleculesError, match="molecule 3: it is periodic"):
        databases.read(tmp_path / "a.db")
    del database[number]
    database.write(g2_molecule("NH3"), data=data, key_value_pairs={"molecule_index": 2})
    with pytest.raises(MoleculesError, match="molecule 2: 2 molecules have this index"):
        databases.read(tmp_path / "a.db")


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "a.db"
    with pytest.raises(FileNotFoundError, match="there is no database"):
        databases.read(path)
    assert not path.exists()
    for content in (b"", b"no database " * 1000):
        path.write_bytes(content)
        with pytest.raises(MoleculesError, match="is no ASE database"):
            databases.read(path)
        assert path.read_bytes() == content


def test_a_database_without_molecules_is_refused(tmp_path: Path, few_molecules: Molecules):
    databases.write(tmp_path / "a.db", few_molecules.select([0]))
    database = ase.db.connect(tmp_path / "a.db")
    del database[1]
    with pytest.raises(MoleculesError, match="holds no molecules"):
        databases.read(tmp_path / "a.db")


def test_a_database_that_would_execute_something_does_not(tmp_path: Path, few_molecules: Molecules):
    """A pickle where ASE keeps a row's data: ASE's own format has none."""
    path, touched = tmp_path / "a.db", tmp_path / "touched"
    databases.write(path, few_molecules.select([0]))

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {touched}",)

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE systems SET data = ?", (pickle.dumps(Hostile()),))
        connection.commit()
    with pytest.raises(MoleculesError, match="or a damaged one"):
        databases.read(path)
    assert not touched.exists()


def test_a_truncated_database_is_refused(tmp_path: Path, few_molecules: Molecules):
    path = tmp_path / "a.db"
    databases.write(path, few_molecules)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(MoleculesError, match=r"a\.db is no ASE database, or a damaged one"):
        databases.read(path)


def test_databases_are_not_overwritten(tmp_path: Path, few_molecules: Molecules):
    (tmp_path / "a.db").write_text("mine")
    with pytest.raises(FileExistsError, match="remove it first"):
        databases.write(tmp_path / "a.db", few_molecules)
    assert (tmp_path / "a.db").read_text() == "mine"
    with pytest.raises(ValueError, match=r"ends in \.db"):
        databases.write(tmp_path / "a.sqlite", few_molecules)
    with pytest.raises(ValueError, match="unknown unit of energy: furlong"):
        databases.write(tmp_path / "b.db", few_molecules, energy_unit="furlong")


def test_the_order_of_a_database_is_kept(tmp_path: Path, few_molecules: Molecules):
    backwards = few_molecules.select(np.arange(len(few_molecules))[::-1])
    databases.write(tmp_path / "a.db", replace(backwards, smiles=np.full(len(backwards), "")))
    back = databases.read(tmp_path / "a.db")
    assert_same(back, backwards, except_for=("energy", "smiles"))


@pytest.mark.parametrize("unit", ["Ang", "Bohr"])
def test_a_molecule_torn_by_its_cell_is_put_together(tmp_path: Path, unit: str):
    length = {"Ang": 1.0, "Bohr": ase.units.Bohr}[unit]
    create_with_schnetpack(tmp_path / "a.db", distance_unit=unit, length=length)
    whole = g2_molecule("C2H4", cell=[7, 7, 7], pbc=True)
    torn = whole.copy()
    torn.wrap()
    torn.pbc = False
    torn.set_cell(torn.cell / length, scale_atoms=True)
    ase.db.connect(tmp_path / "a.db").write(torn, data={"energy_U0": np.array([-78.5])})
    positions = databases.read(tmp_path / "a.db").positions[-len(whole) :]
    found = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.testing.assert_allclose(found, whole.get_all_distances(), atol=1e-9)
