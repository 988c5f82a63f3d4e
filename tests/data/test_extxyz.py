"""Extended XYZ files, written and read back; QM9's own; damaged ones, given to training and to prediction."""

from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_molecules import assert_same, tables, water_and_methane, with_room

from analysis.data import extxyz
from analysis.data.molecules import Molecules, MoleculesError, to_ase
from analysis.predict import geometries
from harness.robustness import fuzzing


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
    with pytest.raises(MoleculesError, match=r"a\.extxyz, line \d, molecule \d of the file: [a-z]"):
        extxyz.read(path)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (
            "species:S:1:pos:R:3000000000",
            "line 1, molecule 1 of the file: its Properties declare more than 1,000 columns",
        ),
        ("species:S:1:pos:R:three", "molecule 1 of the file: it can't be read"),
        ("species:R:1:pos:R:3", "molecule 1 of the file: it can't be read"),
    ],
)
def test_impossible_columns_are_refused_before_memory_is_allocated(tmp_path: Path, properties, reason):
    path = tmp_path / "a.extxyz"
    path.write_text(f"1\nProperties={properties} energy=-13.6\n1 0 0 0\n")
    with pytest.raises(MoleculesError, match=reason):
        extxyz.read(path)


@pytest.mark.parametrize("lines", [2, 4, 6, 7, 9, 10, 11])
def test_a_truncated_extxyz_is_refused(tmp_path: Path, lines: int):
    path = tmp_path / "a.extxyz"
    extxyz.write(path, water_and_methane())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(MoleculesError, match=r"a\.extxyz, line \d, molecule \d of the file: its number of atoms is"):
        extxyz.read(path)


def test_an_empty_extxyz_is_refused(tmp_path: Path):
    (tmp_path / "a.extxyz").write_text("")
    with pytest.raises(MoleculesError, match=r"a\.extxyz holds no molecules"):
        extxyz.read(tmp_path / "a.extxyz")


def test_no_extxyz_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        extxyz.read(tmp_path / "none.extxyz")


# ---- every line is used, or said why not -----------------------------------------------------------------------------

HERE = Path(__file__).parents[1] / "xyz"
METHANE = "C -0.01 1.08 0.0\nH 0.0 0.0 0.0\nH 1.01 1.46 0.0\nH -0.54 1.45 -0.88\nH -0.52 1.44 0.91\n"


def methane(comment: str = "energy=-1101.5", count: int = 5) -> str:
    return f"{count}\n{comment}\n{METHANE}"


@pytest.mark.parametrize("name", ["three_frames_blank_line.extxyz", "three_frames_space_line.extxyz"])
def test_a_blank_line_between_molecules_ends_nothing(name: str):
    assert extxyz.read(HERE / name).index.tolist() == [1, 2, 3]
    assert [one.atoms.info["index"] for one in geometries.read_file(HERE / name)] == [1, 2, 3]


def test_blank_lines_between_molecules_to_predict():
    found = list(geometries.read_file(HERE / "blank_between.xyz"))
    assert [list(one.atoms.info) for one in found] == [["a"], ["b"]]


def test_text_after_the_molecules_is_refused_with_its_line():
    path = HERE / "two_frames_then_text.extxyz"
    reason = "its number of atoms is expected in place of 'remarks: frame 3 was removed'"
    with pytest.raises(MoleculesError) as refused:
        extxyz.read(path)
    assert str(refused.value) == f"{path}, line 16, molecule 3 of the file: {reason}"
    first, second, third = geometries.read_file(path)
    assert first.atoms == second.atoms
    assert (third.name, third.trouble) == (f"{path}, molecule 3", f"line 16: {reason}")


def test_blank_lines_before_and_after_are_nothing(tmp_path: Path):
    path = tmp_path / "a.xyz"
    path.write_text(f"\n \n{methane()}\n\n\t\n{methane()}\n\n")
    assert [frame.first for frame in extxyz.frames(path)] == [3, 13]
    assert len(extxyz.read(path)) == 2


@pytest.mark.parametrize("count", [4, 6, 0, 50])
def test_a_wrong_number_of_atoms_takes_no_other_molecule_along(tmp_path: Path, count: int):
    """With a number too small, a molecule that nobody wrote down would be predicted."""
    path = tmp_path / "a.xyz"
    path.write_text(methane("1") + methane("2", count) + methane("3"))
    first, second, third = geometries.read_file(path)
    assert first.atoms == third.atoms
    assert len(first.atoms) == 5
    assert f"line 8: its number of atoms is {count}, " in second.trouble
    with pytest.raises(MoleculesError, match=f"line 8, molecule 2 of the file: its number of atoms is {count}"):
        extxyz.read(path)


@given(st.lists(st.sampled_from(["", " ", "2", "5", "x", "H 0 0 0", "H 0 0 1", "VEC1 9 0 0", "H 0 0 1.5\x0c"])))
def test_each_line_that_is_not_blank_is_in_a_frame(tmp_path_factory: pytest.TempPathFactory, lines: list[str]):
    path = tmp_path_factory.getbasetemp() / "lines.xyz"
    path.write_text("\n".join(lines))
    starts = [frame.first - 1 for frame in extxyz.frames(path)]
    blocks = list(extxyz._blocks(iter(lines)))
    assert [line for block in blocks for line in block] == lines
    firsts = np.cumsum([0, *map(len, blocks)])[:-1].tolist()
    assert starts == [first for first, block in zip(firsts, blocks, strict=True) if block[0].strip()]
    assert all(len(block) == 1 for block in blocks if not block[0].strip())


def test_a_cell_behind_the_atoms_belongs_to_the_molecule(tmp_path: Path):
    """VEC1 to VEC3: files of the Amsterdam Modeling Suite."""
    path = tmp_path / "a.xyz"
    path.write_text(f"{methane()}VEC1 9 0 0\nVEC2 0 9 0\nVEC3 0 0 9\n{methane()}")
    first, second = geometries.read_file(path)
    assert first.atoms.cell.lengths().tolist() == [9, 9, 9]
    assert not second.atoms.cell.any()


# ---- letters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bom.xyz", "latin1.xyz", "form_feed.xyz"])
def test_whatever_letters_a_comment_holds_the_molecule_is_read(name: str):
    (found,) = geometries.read_file(HERE / name)
    assert found.atoms.get_chemical_formula() == "CH4", found.trouble


@pytest.mark.parametrize(
    "content",
    [
        ("\ufeff" + methane() + "\ufeff" + methane()).encode(),  # two files of a Windows editor, one after the other
        (methane("energy=-1101.5 d=1.09\xc5") + methane()).encode("latin-1"),
        (methane("energy=-1101.5 page\x0c \x0b \x1c \x85 \u2028 \u2029") + methane()).encode(),
        (methane() + methane()).replace("\n", "\r\n").encode(),
        (methane() + methane()).replace("\n", "\r").encode(),
        (methane() + methane()).encode("utf-16"),
    ],
    ids=["byte-order marks", "Latin-1", "separators", "CR LF", "CR", "UTF-16"],
)
def test_letters_and_line_ends_are_those_of_any_editor(tmp_path: Path, content: bytes):
    path = tmp_path / "a.xyz"
    path.write_bytes(content)
    assert extxyz.read(path).energy.tolist() == [-1101.5, -1101.5]
    assert [len(one.atoms) for one in geometries.read_file(path)] == [5, 5]


@pytest.mark.parametrize("letter", ["\xe9", "\u0661", "\x0c", "\u2028", "\x00"])
def test_an_atoms_line_is_plain(tmp_path: Path, letter: str):
    """An Arabic one would be read as a number, a form feed as a blank."""
    path = tmp_path / "a.xyz"
    path.write_text(methane().replace("1.08", f"1.08{letter}"), encoding="utf-8")
    with pytest.raises(MoleculesError, match=r"a\.xyz, line 1, molecule 1 of the file: 'C .*' holds signs that only"):
        extxyz.read(path)
    (found,) = geometries.read_file(path)
    assert "holds signs that only a comment may hold" in found.trouble


def test_damaged_utf16_is_refused(tmp_path: Path):
    (tmp_path / "a.xyz").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MoleculesError, match=r"a\.xyz: it can't be read"):
        extxyz.read(tmp_path / "a.xyz")
    (found,) = geometries.read_file(tmp_path / "a.xyz")
    assert "it can't be read" in found.trouble


# ---- QM9's own files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qm9_raw_000001.xyz", "qm9_raw_exp.xyz"])
def test_qm9s_own_file_is_the_molecule_that_qm9pack_has(name: str, qm9_molecules: Molecules):
    read = extxyz.read(HERE / name)
    methane = qm9_molecules.select(qm9_molecules.index == 1)
    assert_same(read, methane, except_for=("positions",))
    np.testing.assert_allclose(read.positions, methane.positions, rtol=0, atol=1e-7)
    (found,) = geometries.read_file(HERE / name)
    np.testing.assert_array_equal(found.atoms.positions, read.positions)
    assert not found.atoms.get_initial_charges().any()


def test_molecules_of_qm9_in_its_own_layout(tmp_path: Path, few_molecules: Molecules):
    """Several in a file, and a file for each in a folder."""
    texts = fuzzing.in_qm9s_layout(few_molecules)
    assert "*^-6" in "".join(texts)
    (tmp_path / "all.xyz").write_text("".join(texts))
    folder = tmp_path / "dsgdb9nsd"
    folder.mkdir()
    for index, text in zip(few_molecules.index, texts, strict=True):
        (folder / f"dsgdb9nsd_{index:06}.xyz").write_text(text)
    (folder / "readme.txt").write_text("not a molecule")
    for path in (tmp_path / "all.xyz", folder):
        read = extxyz.read(path)
        assert_same(read, few_molecules, except_for=("positions", "energy"))
        np.testing.assert_allclose(read.positions, few_molecules.positions, rtol=0, atol=1e-10)
        np.testing.assert_allclose(read.energy, few_molecules.energy, rtol=1e-15)
        assert [len(one.atoms) for one in geometries.read_file(path)] == few_molecules.n_atoms.tolist()


def test_qm9s_files_without_what_follows_the_atoms_are_read_and_cut_ones_are_not(tmp_path: Path):
    lines = (HERE / "qm9_raw_000001.xyz").read_text().splitlines(keepends=True)
    path = tmp_path / "a.xyz"
    path.write_text("".join(lines[:7]))
    assert extxyz.read(path).energy == pytest.approx(-40.47893 * ase.units.Hartree)
    for length in (6, 8, 9):
        path.write_text("".join(lines[:length]))
        with pytest.raises(MoleculesError, match="its number of atoms is 5, "):
            extxyz.read(path)
    path.write_text("".join(lines).replace("-40.47893\t", "low\t", 1))
    with pytest.raises(MoleculesError, match="it can't be read"):
        extxyz.read(path)


def test_a_folder_without_molecules_is_refused(tmp_path: Path):
    with pytest.raises(MoleculesError, match=r"holds no file whose name ends in \.xyz or \.extxyz"):
        extxyz.read(tmp_path)
    (found,) = geometries.read_file(tmp_path)
    assert "holds no file whose name ends in .xyz, .extxyz, .sdf" in found.trouble
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(MoleculesError, match=r"a\.xyz holds no molecules"):
        extxyz.read(tmp_path)
