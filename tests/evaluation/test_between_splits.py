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


def test_seeds_of_one_split_are_no_other_splits(seeds):
    found = between_splits({0: seeds[:2], 1: seeds[2:4]})
    assert not found.differ
    assert found.mean == pytest.approx(np.mean(list(found.mae.values())))
    maes = [one.errors["error"][one.errors["test"]].abs().mean() for one in seeds[:4]]
    within = np.mean([np.var(maes[:2], ddof=1), np.var(maes[2:], ddof=1)])
    assert found.seeds == pytest.approx(np.sqrt(within), rel=1e-2)
    assert found.mae[0] == pytest.approx(np.mean(maes[:2]), rel=1e-3)
    of_test = seeds[0].errors["test"]
    both = np.mean([one.errors["error"][of_test].abs() for one in seeds[:2]], axis=0)
    assert found.sampling[0] == pytest.approx(both.std(ddof=1) / np.sqrt(len(both)), rel=1e-3)


def test_a_split_that_is_harder_is_found_out(seeds):
    harder = [times(one, 1.2) for one in seeds[2:4]]
    found = between_splits({0: seeds[:2], 1: harder})
    assert found.differ
    assert found.mae[1] > 1.1 * found.mae[0]


def test_one_split_or_seed_has_no_scatter(seeds):
    with pytest.raises(ValueError, match="1 splits"):
        between_splits({0: seeds})
    with pytest.raises(ValueError, match="two seeds of each"):
        between_splits({0: seeds, 1: seeds[:1]})
