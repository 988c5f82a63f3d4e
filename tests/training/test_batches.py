import numpy as np
import pytest

from analysis.data.neighbours import neighbour_pairs
from analysis.training.batches import ENERGY, PackedMolecules


def test_a_target_that_is_no_number_is_refused_with_its_molecule(few_molecules):
    pairs, targets = neighbour_pairs(few_molecules, 5.0), few_molecules.energy.copy()
    targets[17] = np.nan
    with pytest.raises(ValueError, match=f"molecule {few_molecules.index[17]}: its target is nan"):
        PackedMolecules(few_molecules, pairs, targets=targets)


def test_without_targets_molecules_can_be_predicted(few_molecules):
    packed = PackedMolecules(few_molecules, neighbour_pairs(few_molecules, 5.0))
    assert ENERGY not in packed.batch(np.arange(3))
    with_targets = PackedMolecules(few_molecules, packed.pairs, targets=few_molecules.energy)
    np.testing.assert_array_equal(with_targets.batch(np.arange(3))[ENERGY], few_molecules.energy[:3].astype(np.float32))
