"""What is kept in the cache folder: found there another time, made anew if it won't do, and never needed."""

import os

import numpy as np
import platformdirs
import pytest

from analysis.data import qm9
from analysis.predict import ensemble as predict
from analysis.predict import kept

ARRAYS = {"codes": np.arange(5), "distances": np.array([True, False])}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of its own, not there yet."""
    path = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_: path)
    return path


class Counted:
    """Makes the arrays, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return ARRAYS


def same(found: dict[str, np.ndarray]) -> bool:
    return found.keys() == ARRAYS.keys() and all(
        found[name].dtype == array.dtype and np.array_equal(found[name], array) for name, array in ARRAYS.items()
    )


def test_arrays_are_made_once_for_each_key(folder, caplog):
    make = Counted()
    assert all(same(kept.kept("domain", key, make)) for key in ("one", "other", "one"))
    assert make.times == 2
    assert len(list(folder.iterdir())) == 2
    assert caplog.text == ""


@pytest.mark.parametrize("damage", ["cut", "a byte", "of another key", "no safetensors", "without a checksum"])
def test_what_is_damaged_is_made_anew_with_a_warning(damage, folder, caplog):
    kept.kept("domain", "one", Counted())
    (path,) = folder.iterdir()
    content = path.read_bytes()
    if damage == "of another key":
        kept.write_cache(path, ARRAYS, "other")
    elif damage == "without a checksum":
        kept.save_file(ARRAYS, path)
    else:
        changed = {"cut": content[:-1], "a byte": content[:-1] + b"\x07", "no safetensors": b"nothing"}
        path.write_bytes(changed[damage])
    make = Counted()
    assert same(kept.kept("domain", "one", make))
    assert make.times == 1
    assert f"what {path} holds is found anew: " in caplog.text
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_costs_a_warning(folder, caplog):
    folder.write_text("a file in its place")
    make = Counted()
    for times in (1, 2):
        assert same(kept.kept("domain", "one", make))
        assert make.times == times
    assert f"the domain can't be kept in {folder}" in caplog.text
    assert folder.read_text() == "a file in its place"


def test_a_full_disk_leaves_nothing_half_written(folder, full_disk, caplog):
    with full_disk(50):
        assert same(kept.kept("domain", "one", Counted()))
    assert "can't be kept in" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home_has_it_all_the_same(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    monkeypatch.chdir(tmp_path)
    assert same(kept.kept("domain", "one", Counted()))
    assert "this user has no home folder" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_domain_is_made_of_qm9_once(folder, qm9_molecules, monkeypatch):
    """The second ensemble is told apart from no other by what it says, and QM9 is not read for it."""
    records = predict.default_records()
    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules)
    first = predict.Ensemble(records).domain
    monkeypatch.setattr(qm9, "load", lambda: pytest.fail("QM9 was read"))
    again = predict.Ensemble(records).domain
    assert (first.atoms, first.heavy_atoms, first.spread) == (again.atoms, again.heavy_atoms, again.spread)
    assert first.atoms == (3, 29)
    assert first.heavy_atoms == (1, 9)
    assert np.array_equal(first.codes, again.codes)
    assert np.array_equal(first.distances, again.distances)
    assert len(list(folder.iterdir())) == 1


def test_a_domain_is_made_of_the_molecules_that_the_models_were_trained_on(folder, few_molecules, monkeypatch):
    monkeypatch.setattr(qm9, "load", lambda: few_molecules)
    with pytest.raises(predict.PredictError, match="was made with other molecules than the"):
        predict.Ensemble(predict.default_records()).domain  # noqa: B018
    assert not folder.exists()
