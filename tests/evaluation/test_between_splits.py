"""Whether splits differ by more than their draws and seeds: on records of known errors."""

from dataclasses import replace

import numpy as np
import pytest

from analysis import study
from analysis.evaluation.between_splits import between_splits


@pytest.fixture(scope="module")
def seeds(qm9_molecules):
    return study.recorded(study.BeyondParameters(budgets=[]), qm9_molecules).of("minutes").popitem()[1]


def times(record, factor):
    return replace(record, errors=record.errors.assign(error=factor * record.errors["error"]))


def test_one_seed_of_a_split_beside_others_of_it_is_no_other_split(seeds):
    found = between_splits(dict(enumerate(seeds[:3])), seeds)
    assert not found.differ
    assert found.mean == pytest.approx(np.mean(list(found.mae.values())))
    assert found.seeds == pytest.approx(np.std([between_splits({0: one, 1: one}, seeds).mean for one in seeds], ddof=1))
    of_test = seeds[0].errors["test"]
    absolute = seeds[0].errors["error"][of_test].abs()
    assert found.mae[0] == pytest.approx(absolute.mean(), rel=1e-3)
    assert found.sampling[0] == pytest.approx(absolute.sem(), rel=1e-3)


def test_a_split_that_is_harder_is_found_out(seeds):
    found = between_splits({0: seeds[0], 1: times(seeds[1], 1.2), 2: seeds[2]}, seeds)
    assert found.differ
    assert found.mae[1] > 1.1 * found.mae[0]


def test_one_split_or_seed_has_no_scatter(seeds):
    with pytest.raises(ValueError, match="1 splits and 5 seeds"):
        between_splits({0: seeds[0]}, seeds)
