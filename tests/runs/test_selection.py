import numpy as np
import pytest

from analysis.data import geometries, splits
from analysis.runs import selection
from analysis.runs.config import Data, Selection


def test_molecules_without_the_geometry_asked_for_are_in_no_part(few_molecules, monkeypatch):
    usual = selection.choose_molecules(few_molecules, Data())
    gone = np.concatenate([part[:2] for part in (usual.parts.train, usual.parts.validation, usual.parts.test)])
    gone = usual.molecules.index[gone]
    monkeypatch.setattr(geometries, "mmff94", lambda given: given.select(~np.isin(given.index, gone)))
    chosen = selection.choose_molecules(few_molecules, Data(geometries="mmff94"))
    assert not np.isin(gone, chosen.molecules.index).any()
    for part in ("train", "validation", "test"):
        before = usual.molecules.index[getattr(usual.parts, part)]
        after = chosen.molecules.index[getattr(chosen.parts, part)]
        np.testing.assert_array_equal(after, before[~np.isin(before, gone)])
    monkeypatch.setattr(geometries, "mmff94", lambda given: given.select(usual.parts.train))
    with pytest.raises(ValueError, match="no validation molecule has a geometry by mmff94"):
        selection.choose_molecules(few_molecules, Data(geometries="mmff94"))


def test_the_split_of_a_database_is_drawn_once_for_all_runs(few_molecules, monkeypatch):
    draw, drawn = splits.split, []
    monkeypatch.setattr(splits, "split", lambda *given: drawn.append(given[1:]) or draw(*given))
    database = few_molecules.select(np.arange(len(few_molecules)))
    for data in (Data(), Data(selection=Selection(smallest=10)), Data(split_seed=1)):
        chosen = selection.choose_molecules(database, data)
        trained_on = database.index[selection.training_part(database, data)]
        np.testing.assert_array_equal(chosen.molecules.index[chosen.parts.train], trained_on)
    assert drawn == [(0, 0.2), (1, 0.2)]
