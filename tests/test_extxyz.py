"""Molecules to extended XYZ files and back; damaged ones."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from hypothesis import given
from test_molecules import assert_same, tables, water_and_methane, with_room

from analysis import extxyz
from analysis.molecules import (
    Molecules,
    MoleculesError,
    to_ase,
)


def test_extxyz_comes_back_to_the_last_digit(few_molecules: Molecules, tmp_path: Path):
    path = tmp_path / "few.extxyz"
    extxyz.write(path, few_molecules)
    assert_same(extxyz.read(path), few_molecules)
    assert [file.name for file in tmp_path.iterdir()] == ["few.extxyz"]


@given(tables().map(with_room))
def test_any_molecules_to_extxyz_and_back(tmp_path_factory: pytest.TempPathFactory, molecules: Molecules):
    path = tmp_path_factory.mktemp("any") / "any.extxyz"
    extxyz.write(path, molecules)
    assert_same(extxyz.read(path), molecules)


@pytest.mark.parametrize("smiles", ["F", "T", "123", "1 2", r"C\C=C/F", '"', "\\", "_JSON 1", "[NH3+]CC([O-])=O", ""])
def test_smiles_that_look_like_something_else_come_back(tmp_path: Path, smiles: str):
    molecules = water_and_methane(smiles=np.array(["O", smiles]))
    extxyz.write(tmp_path / "a.extxyz", molecules)
    assert_same(extxyz.read(tmp_path / "a.extxyz"), molecules)


def test_ase_reads_our_extxyz(tmp_path: Path):
    molecules = water_and_methane()
    extxyz.write(tmp_path / "a.extxyz", molecules)
    for read, made in zip(ase.io.read(tmp_path / "a.extxyz", ":"), to_ase(molecules), strict=True):
        np.testing.assert_array_equal(read.numbers, made.numbers)
        np.testing.assert_array_equal(read.positions, made.positions)
        assert read.get_potential_energy() == made.get_potential_energy()
        assert read.info == made.info
        assert not read.pbc.any()


def test_we_read_the_extxyz_of_ase(few_molecules: Molecules, tmp_path: Path):
    ase.io.write(tmp_path / "a.extxyz", to_ase(few_molecules), format="extxyz")
    read = extxyz.read(tmp_path / "a.extxyz")
    np.testing.assert_array_equal(read.index, few_molecules.index)
    np.testing.assert_array_equal(read.numbers, few_molecules.numbers)
    np.testing.assert_allclose(read.positions, few_molecules.positions, atol=5.1e-9)  # eight decimals
    np.testing.assert_allclose(read.energy, few_molecules.energy, rtol=1e-15)


def test_an_energy_under_another_key(tmp_path: Path):
    (tmp_path / "a.xyz").write_text('1\nProperties=species:S:1:pos:R:3 total=-13.6 pbc="F F F"\nH 0 0 0\n')
    assert extxyz.read(tmp_path / "a.xyz", energy_key="total").energy.tolist() == [-13.6]
    with pytest.raises(MoleculesError, match="molecule 1: it has no energy"):
        extxyz.read(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("old", "new"),
    [("C 0.0 ", "Xx 0.0 "), ("C 0.0 ", "C zero "), ("\n5\n", "\n6\n"), ("\n5\n", "\nfive\n")],
    ids=["unknown element", "no number", "too few atoms", "no count"],
)
def test_a_damaged_extxyz_is_refused(tmp_path: Path, old: str, new: str):
    path = tmp_path / "a.extxyz"
    extxyz.write(path, water_and_methane())
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(MoleculesError, match=r"a\.extxyz, molecule \d of the file: it can't be read"):
        extxyz.read(path)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ("species:S:1:pos:R:3000000000", r"line 2: it can't be read \(its Properties declare more than 1,000 columns"),
        ("species:S:1:pos:R:three", r"line 2: it can't be read"),
        ("species:R:1:pos:R:3", r"molecule 1 of the file: it can't be read"),
    ],
)
def test_columns_that_cannot_be_are_refused_before_there_is_room_made_for_them(tmp_path: Path, properties, reason):
    path = tmp_path / "a.extxyz"
    path.write_text(f"1\nProperties={properties} energy=-13.6\n1 0 0 0\n")
    with pytest.raises(MoleculesError, match=reason):
        extxyz.read(path)


@pytest.mark.parametrize("lines", [2, 4, 6, 7, 9, 10, 11])
def test_a_truncated_extxyz_is_refused(tmp_path: Path, lines: int):
    path = tmp_path / "a.extxyz"
    extxyz.write(path, water_and_methane())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(MoleculesError, match="it can't be read"):
        extxyz.read(path)


def test_an_empty_extxyz_is_refused(tmp_path: Path):
    (tmp_path / "a.extxyz").write_text("")
    with pytest.raises(MoleculesError, match=r"a\.extxyz holds no molecules"):
        extxyz.read(tmp_path / "a.extxyz")


def test_no_extxyz_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        extxyz.read(tmp_path / "none.extxyz")
