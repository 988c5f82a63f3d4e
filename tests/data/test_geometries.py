"""Conformers in place of QM9's geometries: the molecules stay what they are, and are made once."""

import logging
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from filelock import FileLock

from analysis.data import geometries
from analysis.data.molecules import Molecules, check_separation, to_ase


@pytest.fixture(scope="module")
def few(qm9_molecules) -> Molecules:
    """With rings, stereocentres and double bonds, and a strained cage."""
    places = np.flatnonzero(np.char.count(qm9_molecules.smiles, "1") == 2)[20000:60000:8000]
    cage = np.flatnonzero(qm9_molecules.smiles == "C1NC11CC2NC12")[:1]
    return qm9_molecules.select(np.unique([0, 5, 100, *places, *cage]))


@pytest.fixture(scope="module")
def made(few, tmp_path_factory) -> tuple[Molecules, object]:
    folder = tmp_path_factory.mktemp("cache")
    return geometries.mmff94(few, cache_dir=folder), folder


def mirrored(molecules: Molecules) -> Molecules:
    return replace(molecules, positions=-molecules.positions)


def test_a_conformer_has_the_molecules_atoms_energy_and_stereochemistry(few, made):
    found, _ = made
    kept = few.select(np.isin(few.index, found.index))
    assert len(kept) >= len(few) - 1
    np.testing.assert_array_equal(found.energy, kept.energy)
    np.testing.assert_array_equal(found.element_counts(), kept.element_counts())
    check_separation(found)
    wanted = geometries.stereo_smiles(kept)
    assert any("@" in smiles for smiles in wanted)
    # Atoms lie in the order of the one SMILES, or of the other where RDKit found none with stereochemistry.
    orders = [replace(found, smiles=np.array(smiles)) for smiles in (wanted, kept.smiles.tolist())]
    images = [geometries.stereo_smiles(image) for order in orders for image in (order, mirrored(order))]
    assert all(one in either for one, *either in zip(wanted, *images, strict=True))


def test_stereochemistry_is_that_of_the_geometry(few):
    chiral = few.select(np.array(["@" in smiles for smiles in geometries.stereo_smiles(few)]))
    one, other = geometries.stereo_smiles(chiral), geometries.stereo_smiles(mirrored(chiral))
    assert any(a != b for a, b in zip(one, other, strict=True))
    torn = replace(chiral, positions=3 * chiral.positions)  # no bond is as long as that: nothing is said
    assert geometries.stereo_smiles(torn) == chiral.smiles.tolist()


def test_what_was_made_is_not_made_again(few, made, monkeypatch):
    found, folder = made
    monkeypatch.setattr(geometries, "_made", lambda *_: pytest.fail("made again"))
    again = geometries.mmff94(few, cache_dir=folder)
    assert again.fingerprint() == found.fingerprint()
    with FileLock(folder / "geometries-mmff94.lock"):  # someone makes others
        part = geometries.mmff94(few.select([2, 1]), cache_dir=folder)
    np.testing.assert_array_equal(part.index, few.index[[2, 1]])


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_file_is_made_anew_with_a_warning(damage, few, made, tmp_path, monkeypatch, caplog):
    _, folder = made
    path = tmp_path / "geometries-mmff94.safetensors"
    whole = (folder / path.name).read_bytes()
    path.write_bytes(whole[:-7] if damage == "cut" else whole)
    if damage == "foreign":
        other = replace(geometries._CONFORMERS, made_by=lambda: "rdkit 1999.01")
        monkeypatch.setattr(geometries, "_CONFORMERS", other)
    with caplog.at_level(logging.WARNING):
        found = geometries.mmff94(few.select([0]), cache_dir=tmp_path)
    assert len(found) == 1
    assert "are made anew" in caplog.text
    assert len(geometries.mmff94(few.select([0]), cache_dir=tmp_path)) == 1


def test_without_a_place_to_keep_them_they_are_made_every_time(few, tmp_path):
    (blocked := tmp_path / "file").write_text("")
    told = []
    found = geometries.mmff94(few.select([0]), cache_dir=blocked / "folder", told=told.append)
    assert len(found) == 1
    assert any("can't be kept" in line for line in told)


def test_none_at_all_is_an_error_that_says_so(few, tmp_path, monkeypatch):
    monkeypatch.setattr(geometries, "_made", lambda _, given: [geometries._NONE] * len(given))
    with pytest.raises(geometries.GeometriesError, match="for none of 2 molecules"):
        geometries.mmff94(few.select([0, 1]), cache_dir=tmp_path)


def test_a_minimum_of_xtb_is_the_molecule_at_rest(few, tmp_path):
    from tblite.ase import TBLite

    found = geometries.gfn2_xtb(few.select([2, 0]), cache_dir=tmp_path)
    np.testing.assert_array_equal(found.index, few.index[[2, 0]])
    np.testing.assert_array_equal(found.numbers, few.select([2, 0]).numbers)
    for one in to_ase(found):
        one.calc = TBLite(method="GFN2-xTB", verbosity=0)
        assert np.linalg.norm(one.get_forces(), axis=1).max() < 2 * geometries.FORCE  # kept in single precision


def test_without_tblite_a_minimum_is_refused_with_what_to_install(few, tmp_path, monkeypatch):
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(geometries, "version", missing)
    monkeypatch.setattr(geometries, "_made", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(geometries.GeometriesError, match="pip install tblite"):
        geometries.gfn2_xtb(few.select([0]), cache_dir=tmp_path)


def test_mixed_geometries_are_those_of_each_source_whichever_molecules_are_asked_for(qm9_molecules, monkeypatch):
    def moved(by: float):
        return lambda given, **_: replace(given, positions=given.positions + by)

    monkeypatch.setattr(geometries, "mmff94", moved(1.0))
    monkeypatch.setattr(geometries, "gfn2_xtb", moved(2.0))
    given = qm9_molecules.select(np.arange(20_000)[::-1])
    mixed = geometries.mixed(given)
    np.testing.assert_array_equal(mixed.index, given.index)
    by = np.round(mixed.positions - given.positions).astype(int)[given.offsets[:-1], 0]
    shares = np.bincount(by) / len(given)
    np.testing.assert_allclose(shares, [geometries.SHARES["qm9"], 0.9, geometries.SHARES["gfn2-xtb"]], atol=0.01)
    few = given.select([7, 4000, 5])
    np.testing.assert_array_equal(geometries.mixed(few).positions, mixed.select([7, 4000, 5]).positions)
