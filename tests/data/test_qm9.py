import ast
import csv
import importlib.util
import logging
import os
import shutil
import sqlite3
import sys
from pathlib import Path

import ase.db
import ase.units
import numpy as np
import pytest
from ase.build import molecule as g2_molecule
from safetensors.numpy import load_file, save_file
from test_molecules import assert_same

from analysis.data import databases, extxyz, qm9
from analysis.data.molecules import Molecules, MoleculesError

INSTALLED = Path(importlib.util.find_spec("qm9pack").submodule_search_locations[0]) / "data"

# The records are named after this content: a change of it makes every record another one.

# Counted by the design of this project before this code was written.
SIZES = {10: 483, 11: 1053, 12: 2189, 13: 4027, 14: 6758, 15: 10216, 16: 13824, 17: 16969, 18: 17442, 19: 18146}
SIZES |= {20: 12403, 21: 13166, 22: 4428, 23: 6362, 24: 712, 25: 1923, 26: 59, 27: 356, 29: 35}

WATER = {
    "XYZ_file": "dsgdb9nsd_000003.xyz",
    "Index": "3",
    "SMILES": "O",
    "N_atoms": "3",
    "Elements": "['O','H','H']",
    "XYZ_Ang": "[[0.0,0.0,0.119262],[0.0,0.763239,-0.477047],[0.0,-0.763239,-4.77047E-1]]",
    "InternalEnergy_0K_au": "-76.404702",
}
METHANE = {
    "XYZ_file": "dsgdb9nsd_000001.xyz",
    "Index": "1",
    "SMILES": "C",
    "N_atoms": "5",
    "Elements": "['C', 'H', 'H', 'H', 'H']",
    "XYZ_Ang": "[[0,0,0], [.63,.63,.63], [-.63,-.63,.63], [.63,-.63,-.63], [-.63,.63,-.63]]",
    "InternalEnergy_0K_au": "-40.47893",
}


def write_csv(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


# ---- QM9 itself ------------------------------------------------------------------------------------------------------


def test_all_of_qm9_is_there(qm9_molecules: Molecules):
    assert len(qm9_molecules) == 133_885 - 3_054
    assert (np.diff(qm9_molecules.index) > 0).all()
    assert (qm9_molecules.index[0], qm9_molecules.index[-1]) == (1, 133_885)


def test_the_content_is_the_one_of_the_records(qm9_molecules: Molecules):
    assert qm9_molecules.fingerprint() == qm9.FINGERPRINT


def test_counts_per_size_are_the_designs(qm9_molecules: Molecules):
    sizes, counts = np.unique(qm9_molecules.n_atoms, return_counts=True)
    found = dict(zip(sizes.tolist(), counts.tolist(), strict=True))
    assert {size: count for size, count in found.items() if size >= 10} == SIZES
    assert sum(count for size, count in found.items() if size < 10) == len(qm9_molecules) - sum(SIZES.values()) == 280
    assert (min(found), max(found)) == (3, 29)


def test_element_shares_are_the_designs(qm9_molecules: Molecules):
    shares = (qm9_molecules.element_counts() > 0).mean(axis=0)
    np.testing.assert_allclose(shares, [0.9997, 0.99998, 0.6106, 0.8509, 0.0147], atol=5.1e-5)
    assert set(np.unique(qm9_molecules.numbers)) == {1, 6, 7, 8, 9}
    assert qm9_molecules.element_counts((6, 7, 8, 9)).sum(axis=1).max() == 9  # QM9: up to nine heavy atoms


def test_mean_atomisation_energy_is_the_designs(qm9_molecules: Molecules):
    references = np.array([qm9.ATOMIC_REFERENCES_U0[z] for z in (1, 6, 7, 8, 9)])
    atomisation = qm9_molecules.energy - qm9_molecules.element_counts() @ references
    assert (atomisation < 0).all()
    assert np.mean(atomisation / qm9_molecules.n_atoms) == pytest.approx(-4.243, abs=5e-4)


def test_atomic_references_are_those_of_pytorch_geometric():
    """`torch_geometric.datasets.qm9.atomrefs`, eV, to its eight decimals."""
    theirs = {1: -13.61312172, 6: -1029.86312267, 7: -1485.30251237, 8: -2042.61123593, 9: -2713.48485589}
    assert dict(qm9.ATOMIC_REFERENCES_U0) == pytest.approx(theirs, abs=5.1e-9, rel=0)


def test_published_molecules(qm9_molecules: Molecules):
    """Ramakrishnan et al. 2014: number 1 is methane, U0 −40.47893 Ha; the last has number 133885."""
    methane = qm9_molecules.select(qm9_molecules.index == 1)
    assert methane.smiles.tolist() == ["C"]
    assert methane.numbers.tolist() == [6, 1, 1, 1, 1]
    assert methane.energy[0] / ase.units.Hartree == pytest.approx(-40.47893, abs=1e-12)
    # The bond of B3LYP/6-31G(2df,p), which gave QM9's geometries.
    np.testing.assert_allclose(np.linalg.norm(methane.positions[1:] - methane.positions[0], axis=1), 1.092, atol=1e-3)


@pytest.mark.parametrize("part", qm9._PARTS)
def test_molecules_are_those_of_a_plain_reader(qm9_molecules: Molecules, part: str):
    place = {index: m for m, index in enumerate(qm9_molecules.index.tolist())}
    numbers = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
    with (INSTALLED / part).open(newline="") as file:
        rows = [row for number, row in enumerate(csv.DictReader(file)) if number % 500 == 0 or row["Index"] == "212"]
    assert len(rows) > 80
    for row in rows:
        m = place[int(row["Index"])]
        inside = slice(qm9_molecules.offsets[m], qm9_molecules.offsets[m + 1])
        assert qm9_molecules.n_atoms[m] == int(row["N_atoms"])
        assert qm9_molecules.numbers[inside].tolist() == [numbers[s] for s in ast.literal_eval(row["Elements"])]
        assert qm9_molecules.positions[inside].tolist() == ast.literal_eval(row["XYZ_Ang"])
        assert qm9_molecules.energy[m] == float(row["InternalEnergy_0K_au"]) * ase.units.Hartree
        assert qm9_molecules.smiles[m] == row["SMILES"]


# ---- CSV files -------------------------------------------------------------------------------------------------------


def test_small_csv_files_are_read_by_index(tmp_path: Path):
    parts = [write_csv(tmp_path / "a.csv", WATER), write_csv(tmp_path / "b.csv", METHANE)]
    molecules = qm9.read_csv_parts(parts)
    assert molecules.index.tolist() == [1, 3]
    assert molecules.numbers.tolist() == [6, 1, 1, 1, 1, 8, 1, 1]
    assert molecules.smiles.tolist() == ["C", "O"]
    np.testing.assert_array_equal(molecules.energy, np.array([-40.47893, -76.404702]) * ase.units.Hartree)
    np.testing.assert_allclose(molecules.positions[5:], g2_molecule("H2O").positions, atol=1e-12)
    assert_same(qm9.read_csv_parts([write_csv(tmp_path / "c.csv", WATER, METHANE)]), molecules)


def test_an_atom_alone_and_a_two_letter_element(tmp_path: Path):
    helium = METHANE | {"N_atoms": "1", "Elements": "['He']", "XYZ_Ang": "[[0,0,0]]", "SMILES": ""}
    molecules = qm9.read_csv_parts([write_csv(tmp_path / "a.csv", WATER, helium)])
    assert molecules.numbers.tolist() == [2, 8, 1, 1]
    assert molecules.smiles.tolist() == ["", "O"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"N_atoms": "4"}, "molecule 3: its N_atoms is 4, but Elements holds 3 atoms"),
        ({"N_atoms": "3.5"}, "molecule 3: its N_atoms '3.5' is not a number"),
        ({"N_atoms": ""}, "molecule 3: its N_atoms '' is not a number"),
        ({"Elements": "['O','H']"}, "molecule 3: its N_atoms is 3, but Elements holds 2 atoms"),
        ({"Elements": "['O','H','Qq']"}, "molecule 3: unknown element 'Qq'"),
        ({"Elements": "['O','H','']"}, "molecule 3: unknown element ''"),
        ({"Elements": "['O','H','Fm']"}, "molecule 3, atom 3: unknown element 100"),
        ({"Elements": ""}, "molecule 3: Elements is not a list"),
        ({"Elements": "['O','H','H'"}, "molecule 3: Elements is not a list"),
        ({"XYZ_Ang": "[[0,0,0],[1,0,0]]"}, "molecule 3: its N_atoms is 3, but XYZ_Ang holds 2 atoms"),
        ({"XYZ_Ang": "[[0,0,0],[1,0,0],[2,0,0],[3,0,0]]"}, "molecule 3: its N_atoms is 3, but XYZ_Ang holds 4 atoms"),
        ({"XYZ_Ang": "[[0,0,0],[1,0],[2,0,0]]"}, "molecule 3: XYZ_Ang holds 2 coordinates for one atom"),
        ({"XYZ_Ang": "[[0,0,0],[1,0],[2,0,0,0]]"}, "molecule 3: XYZ_Ang holds 2 coordinates for one atom"),
        (
            {"XYZ_Ang": "[[0,0,0],[1,nan,0],[2,0,0]]"},
            r"molecule 3, atom 2: its position \[1.0, nan, 0.0\] is not finite",
        ),
        ({"XYZ_Ang": "[[0,0,0],[1,0,1E999],[2,0,0]]"}, "molecule 3, atom 2: its position .* is not finite"),
        ({"XYZ_Ang": "[[0,0,0],[1,one,0],[2,0,0]]"}, "molecule 3: in XYZ_Ang, coordinate 'one' is not a number"),
        ({"XYZ_Ang": "[[0,0,0],[1,,0],[2,0,0]]"}, "molecule 3: in XYZ_Ang, coordinate '' is not a number"),
        ({"XYZ_Ang": "[[0,0,0],[1,0,0],[2,0,"}, "molecule 3: XYZ_Ang is not a list"),
        ({"XYZ_Ang": "[[0,0,0],[1,0,0],[1,0,0.2]]"}, r"molecule 3: its atoms 2 and 3 are 0\.200 Å apart"),
        ({"InternalEnergy_0K_au": ""}, "molecule 3: its InternalEnergy_0K_au '' is not a number"),
        ({"InternalEnergy_0K_au": "nan"}, "molecule 3: its energy is nan"),
        ({"InternalEnergy_0K_au": "low"}, "molecule 3: its InternalEnergy_0K_au 'low' is not a number"),
        ({"Index": "1"}, "molecule 1: 2 molecules have this index"),
        ({"Index": "three"}, r"a\.csv, molecule number 2 of the file: its Index 'three' is not a number"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, changes: dict[str, str], message: str):
    path = write_csv(tmp_path / "a.csv", METHANE, WATER | changes)
    with pytest.raises(MoleculesError, match=message):
        qm9.read_csv_parts([path])


@pytest.mark.parametrize("column", ["Index", "SMILES", "N_atoms", "Elements", "XYZ_Ang", "InternalEnergy_0K_au"])
def test_a_missing_column_is_refused(tmp_path: Path, column: str):
    path = write_csv(tmp_path / "a.csv", {name: value for name, value in WATER.items() if name != column})
    with pytest.raises(MoleculesError, match=rf"a\.csv is truncated or not in qm9pack's layout: .*{column}"):
        qm9.read_csv_parts([path])


def test_a_csv_cut_anywhere_inside_a_line_is_refused(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv", METHANE, WATER)
    content = path.read_bytes()
    whole_lines = {n + 1 for n, byte in enumerate(content) if byte == ord("\n")}
    for length in sorted(set(range(len(content))) - whole_lines):
        path.write_bytes(content[:length])
        with pytest.raises(MoleculesError, match=r"a\.csv is truncated"):
            qm9.read_csv_parts([path])


def test_a_csv_whose_last_line_lacks_columns_is_refused(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv", METHANE, WATER)
    path.write_text(path.read_text() + '"dsgdb9nsd_000002.xyz","2"\n')
    with pytest.raises(MoleculesError, match=r"a\.csv is truncated or not in qm9pack's layout: .*Expected 7 columns"):
        qm9.read_csv_parts([path])


def test_csv_files_without_a_row_are_refused(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv", WATER)
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(MoleculesError, match="the CSV files hold no molecules"):
        qm9.read_csv_parts([path])


def test_blank_lines_and_a_byte_order_mark_cost_no_molecule_and_text_after_them_is_refused(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv", METHANE, WATER)
    whole = path.read_text()
    path.write_text("\ufeff" + whole.replace("\n", "\n\n"), encoding="utf-8")
    assert qm9.read_csv_parts([path]).index.tolist() == [1, 3]
    path.write_text(whole + "remarks: one molecule was removed\n")
    with pytest.raises(MoleculesError, match=r"a\.csv is truncated or not in qm9pack's layout: .*remarks"):
        qm9.read_csv_parts([path])


def test_no_csv_files():
    with pytest.raises(MoleculesError, match="no CSV file"):
        qm9.read_csv_parts([])


def test_a_missing_csv_file(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        qm9.read_csv_parts([tmp_path / "none.csv"])


# ---- frequencies -----------------------------------------------------------------------------------------------------


def test_frequencies_are_qm9s_own_and_give_its_zero_point_energy():
    found = qm9.harmonic_frequencies([3, 1, 4])
    assert found.keys() == {1, 3, 4}
    np.testing.assert_array_equal(found[3], [1671.4222, 3803.6305, 3907.698])
    assert found[1].shape == (9,)
    assert (np.diff(found[1]) >= 0).all()
    assert len(found[4]) == 7  # acetylene is linear


@pytest.mark.parametrize(
    ("cell", "zero_point", "kept"),
    [
        ("[3000.,1000.,2000.]", 0.0136691, True),
        ("[1000.,2000.]", 0.0136691, False),
        ("[1000.,2000.,3000.1]", 0.0137, False),
    ],
)
def test_a_list_that_does_not_give_the_zero_point_energy_is_left_out(cell, zero_point, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(qm9, "_installed", lambda: tmp_path)
    monkeypatch.setattr(qm9, "_PARTS", ("a.csv",))
    write_csv(tmp_path / "a.csv", {"Index": "7", "Harmonic_Freq_cmi": cell, "ZPVE_au": str(zero_point)})
    found = qm9.harmonic_frequencies([7, 8])
    assert [(index, waves.tolist()) for index, waves in found.items()] == [(7, [1000, 2000, 3000])] * kept


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"Index": "7", "Harmonic_Freq_cmi": "[1,x]", "ZPVE_au": "0.1"}, "could not convert"),
        ({"Index": "7", "ZPVE_au": "0.1"}, "Harmonic_Freq_cmi"),
    ],
)
def test_frequencies_that_cannot_be_read_are_refused_with_their_file(row, why, tmp_path, monkeypatch):
    monkeypatch.setattr(qm9, "_installed", lambda: tmp_path)
    monkeypatch.setattr(qm9, "_PARTS", ("a.csv",))
    write_csv(tmp_path / "a.csv", row)
    with pytest.raises(MoleculesError, match=rf"a\.csv has no harmonic frequencies that can be read: .*{why}"):
        qm9.harmonic_frequencies([7])


# ---- the installed package and the cache -----------------------------------------------------------------------------


def test_cold_and_cached_are_the_same(qm9_molecules: Molecules, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    cold = qm9.load(tmp_path / "new" / "folder")
    cached = qm9.load(tmp_path / "new" / "folder")
    assert cold.fingerprint() == cached.fingerprint() == qm9_molecules.fingerprint()
    assert_same(cold, cached)
    assert not caplog.records
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["qm9.safetensors"]


@pytest.fixture
def small_qm9pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed qm9pack of 400 real molecules that can't be imported, as the real one can't; its data folder."""
    site = tmp_path / "site"
    data = site / "qm9pack" / "data"
    data.mkdir(parents=True)
    (site / "qm9pack" / "__init__.py").write_text("raise ImportError('qm9pack must not be imported')\n")
    (site / "qm9pack-1.0.3.dist-info").mkdir()
    (site / "qm9pack-1.0.3.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: qm9pack\nVersion: 1.0.3\n")
    for part, rows in zip(qm9._PARTS, (200, 150, 50), strict=True):
        with (INSTALLED / part).open() as file:
            (data / part).write_text("".join(line for _, line in zip(range(rows + 1), file, strict=False)))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(qm9, "N_MOLECULES", 400)
    return data


def test_the_small_package_stands_in(small_qm9pack: Path, qm9_molecules: Molecules, tmp_path: Path):
    molecules = qm9.load(tmp_path / "cache")
    assert len(molecules) == 400
    assert_same(molecules, qm9_molecules.select(np.isin(qm9_molecules.index, molecules.index)))
    shutil.rmtree(small_qm9pack)
    assert_same(qm9.load(tmp_path / "cache"), molecules)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_file(path: Path) -> None:
    path.write_text("not a cache " * 100)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_smiles(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b'"C#N"') == 1
    path.write_bytes(content.replace(b'"C#N"', b'"C#O"'))


def rewrite(path: Path, metadata: dict[str, str] | None = None, without: str | None = None, **arrays) -> None:
    tensors = load_file(path) | arrays
    tensors.pop(without, None)
    save_file(tensors, path, metadata or {"format": "1", "source": "qm9pack 1.0.3", "sha256": "0" * 64})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "it can't be read"),
        (empty, "it can't be read"),
        (other_file, "it can't be read"),
        (flip, "its content does not match its checksum|it can't be read"),
        (flip_smiles, "its content does not match its checksum"),
        (rewrite, "its content does not match its checksum"),
        (lambda path: rewrite(path, without="energy"), "it can't be read"),
        (lambda path: rewrite(path, n_atoms=np.arange(3)), "it can't be read"),
        (lambda path: rewrite(path, {"source": "qm9pack 1.0.3"}), "its format is None, not 1"),
        (lambda path: rewrite(path, {"format": "0"}), "its format is 0, not 1"),
        (
            lambda path: rewrite(path, {"format": "1", "source": "qm9pack 1.0.2"}),
            "it was made from qm9pack 1.0.2, installed is qm9pack 1.0.3",
        ),
    ],
    ids=["cut", "empty", "other", "flip", "smiles", "sha", "no energy", "lengths", "no format", "format", "source"],
)
@pytest.mark.usefixtures("small_qm9pack")
def test_a_damaged_cache_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, reason: str):
    cache = tmp_path / "cache"
    whole = qm9.load(cache)
    damage(cache / "qm9.safetensors")
    assert_same(qm9.load(cache), whole)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name == "analysis.data.qm9"
    assert any(part in record.getMessage() for part in reason.split("|"))
    caplog.clear()
    assert_same(qm9.load(cache), whole)
    assert not caplog.records


@pytest.mark.usefixtures("small_qm9pack")
def test_a_file_where_the_cache_folder_should_be(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "cache").write_text("mine")
    assert len(qm9.load(tmp_path / "cache")) == 400
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "can't be kept in" in caplog.text
    assert (tmp_path / "cache").read_text() == "mine"


@pytest.mark.usefixtures("small_qm9pack")
def test_a_user_without_a_home_gets_the_molecules_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Whom the system does not know, and whose environment names no home."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert len(qm9.load()) == 400
    assert "this user has no home folder" in caplog.text
    assert set(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("small_qm9pack")
def test_what_a_killed_process_left_of_the_cache_does_not_stay(tmp_path: Path):
    """The cache is whole: a kill can come while another process writes it."""
    cache = tmp_path / "cache"
    qm9.load(cache)
    leftover = cache / ".qm9.safetensors.1-abcd.partial"
    leftover.write_bytes(b"half")
    qm9.load(cache)
    assert leftover.exists()  # somebody may be writing it
    os.utime(leftover, (0, 0))
    qm9.load(cache)
    assert [path.name for path in cache.iterdir()] == ["qm9.safetensors"]


@pytest.mark.usefixtures("small_qm9pack")
def test_a_full_disk_costs_the_cache_only(tmp_path: Path, caplog: pytest.LogCaptureFixture, full_disk):
    with full_disk(50_000):
        assert len(qm9.load(tmp_path / "cache")) == 400
    assert "can't be kept in" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("small_qm9pack")
def test_a_kept_cache_survives_a_failed_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def write_half(tensors: dict, path: Path, metadata: dict) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(f"no space for {len(tensors)} arrays and {len(metadata)} notes")

    path = tmp_path / "cache" / "qm9.safetensors"
    qm9.load(tmp_path / "cache")
    flip(path)
    before = path.read_bytes()
    monkeypatch.setattr(qm9, "save_file", write_half)
    assert len(qm9.load(tmp_path / "cache")) == 400
    assert "no space for 6 arrays and 3 notes" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_full_disk_leaves_no_half_file(few_molecules: Molecules, tmp_path: Path, full_disk):
    with full_disk(50_000):
        with pytest.raises(OSError, match="too large"):
            extxyz.write(tmp_path / "a.extxyz", few_molecules)
        with pytest.raises(sqlite3.OperationalError):
            databases.write(tmp_path / "a.db", few_molecules)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_installation_is_refused(small_qm9pack: Path, tmp_path: Path):
    last = small_qm9pack / "qm9_part3.csv"
    last.write_text("".join(last.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(MoleculesError, match=r"holds 399 molecules instead of 400; .*truncated"):
        qm9.load(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_an_installation_that_lacks_a_file(small_qm9pack: Path, tmp_path: Path):
    (small_qm9pack / "qm9_part2.csv").unlink()
    with pytest.raises(qm9.QM9NotInstalledError, match=r"qm9_part2\.csv.*pip install --force-reinstall qm9pack"):
        qm9.load(tmp_path / "cache")


def test_no_qm9pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(qm9.QM9NotInstalledError, match="pip install qm9pack"):
        qm9.load(tmp_path)


def test_half_removed_qm9pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "qm9pack-1.0.3.dist-info").mkdir()
    (tmp_path / "qm9pack-1.0.3.dist-info" / "METADATA").write_text("Name: qm9pack\nVersion: 1.0.3\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(qm9.QM9NotInstalledError, match="files are missing"):
        qm9.load(tmp_path)
