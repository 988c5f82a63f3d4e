"""Conformers in place of QM9's geometries: the molecules stay what they are, and are made once."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from analysis.data import geometries
from analysis.data.molecules import Molecules, check_separation


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
    monkeypatch.setattr(geometries, "_made", lambda _: pytest.fail("made again"))
    again = geometries.mmff94(few, cache_dir=folder)
    assert again.fingerprint() == found.fingerprint()
    part = geometries.mmff94(few.select([2, 1]), cache_dir=folder)
    np.testing.assert_array_equal(part.index, few.index[[2, 1]])


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_file_is_made_anew_with_a_warning(damage, few, made, tmp_path, monkeypatch, caplog):
    _, folder = made
    path = tmp_path / "geometries-mmff94.safetensors"
    whole = (folder / path.name).read_bytes()
    path.write_bytes(whole[:-7] if damage == "cut" else whole)
    if damage == "foreign":
        monkeypatch.setattr(geometries, "_version", lambda: "rdkit 1999.01")
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
    monkeypatch.setattr(geometries, "_made", lambda given: [geometries._NONE] * len(given))
    with pytest.raises(geometries.GeometriesError, match="for none of 2 molecules"):
        geometries.mmff94(few.select([0, 1]), cache_dir=tmp_path)
