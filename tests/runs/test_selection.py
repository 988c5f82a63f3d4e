import numpy as np

from analysis.data import splits
from analysis.runs import selection
from analysis.runs.config import Data, Selection


def test_the_split_of_a_database_is_drawn_once_for_all_runs(few_molecules, monkeypatch):
    draw, drawn = splits.split, []
    monkeypatch.setattr(splits, "split", lambda *given: drawn.append(given[1:]) or draw(*given))
    database = few_molecules.select(np.arange(len(few_molecules)))
    for data in (Data(), Data(selection=Selection(smallest=10)), Data(split_seed=1)):
        chosen = selection.choose_molecules(database, data)
        trained_on = database.index[selection.training_part(database, data)]
        np.testing.assert_array_equal(chosen.molecules.index[chosen.parts.train], trained_on)
    assert drawn == [(0, 0.2), (1, 0.2)]
