from types import SimpleNamespace

import numpy as np
import pytest

from analysis.data import frames, geometries, splits
from analysis.data.errors import UserError
from analysis.runs import records, selection
from analysis.runs.config import Data, Selection


def test_molecules_without_the_geometry_asked_for_are_in_no_part(few_molecules, monkeypatch):
    usual = selection.choose_molecules(few_molecules, Data())
    gone = np.concatenate([part[:2] for part in (usual.parts.train, usual.parts.validation, usual.parts.test)])
    gone = usual.molecules.index[gone]
    monkeypatch.setattr(geometries, "mixed", lambda given: given.select(~np.isin(given.index, gone)))
    chosen = selection.choose_molecules(few_molecules, Data(geometries="mixed"))
    assert not np.isin(gone, chosen.molecules.index).any()
    for part in ("train", "validation", "test"):
        before = usual.molecules.index[getattr(usual.parts, part)]
        after = chosen.molecules.index[getattr(chosen.parts, part)]
        np.testing.assert_array_equal(after, before[~np.isin(before, gone)])
    monkeypatch.setattr(geometries, "mixed", lambda given: given.select(usual.parts.train))
    with pytest.raises(ValueError, match="no validation molecule has geometries 'mixed'"):
        selection.choose_molecules(few_molecules, Data(geometries="mixed"))


def test_the_split_of_a_database_is_drawn_once_for_all_runs(few_molecules, monkeypatch):
    draw, drawn = splits.split, []
    monkeypatch.setattr(splits, "split", lambda *given: drawn.append(given[1:]) or draw(*given))
    database = few_molecules.select(np.arange(len(few_molecules)))
    for data in (Data(), Data(selection=Selection(smallest=10)), Data(split_seed=1)):
        chosen = selection.choose_molecules(database, data)
        trained_on = database.index[selection.training_part(database, data)]
        np.testing.assert_array_equal(chosen.molecules.index[chosen.parts.train], trained_on)
    assert drawn == [(0, 0.2), (1, 0.2)]


@pytest.fixture
def framed(few_molecules, monkeypatch, tmp_path):
    """Says which molecules have a frame in a results folder of a name, and makes that folder the one in use."""
    database, known = few_molecules.select(np.arange(len(few_molecules))), {}

    def read(folder, _, molecules):
        return SimpleNamespace(molecules=molecules.select(np.isin(molecules.index, known[folder])))

    def use(name: str, index: np.ndarray):
        monkeypatch.setenv(records.RESULTS_VARIABLE, str(tmp_path / name))
        known[tmp_path / name / "frames"] = index
        return database

    monkeypatch.setattr(frames, "read", read)
    return use


def test_frames_are_those_of_the_results_folder_in_use(few_molecules, framed):
    for name, index in (("one", few_molecules.index[::2]), ("other", few_molecules.index[1::2])):
        database = framed(name, index)
        train = database.index[selection.training_part(database, Data(geometries="xtb-md"))]
        assert len(train) > 50
        assert np.isin(train, index).all()


def test_too_few_molecules_with_a_frame_are_an_error_that_the_user_can_mend(few_molecules, framed):
    database = framed("some", few_molecules.index[::2])
    for data, why in (
        (Data(geometries="xtb-md", held_out_molecules=100), "held_out_molecules 100: half of them can't be drawn from"),
        (Data(geometries="xtb-md", train_molecules=500), "fewer than the 500 to be drawn"),
    ):
        with pytest.raises(UserError, match=why):
            selection.choose_molecules(database, data)
    train = splits.split(database).train
    database = framed("none", database.index[train])
    with pytest.raises(UserError, match="no molecule of the validation part has a frame of xtb-md in "):
        selection.training_part(database, Data(geometries="xtb-md"))
