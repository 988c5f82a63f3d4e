"""Numbers that put the networks' errors in proportion: what each method is, and that the record follows from it."""

import sys
from dataclasses import replace
from pathlib import Path

import ase.units
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis.data import splits
from analysis.data.neighbours import neighbour_pairs
from harness import baselines


@pytest.fixture
def some(qm9_molecules, monkeypatch):
    """A database of 600 molecules and its split, on which every method takes seconds."""
    monkeypatch.setattr(baselines, "TESTED", 40)
    monkeypatch.setattr(baselines, "VALIDATED", 40)
    monkeypatch.setattr(baselines, "KERNEL_MOLECULES", (40, 160))
    monkeypatch.setattr(baselines, "XTB_MOLECULES", 60)
    drawn = np.sort(np.random.default_rng(0).choice(len(qm9_molecules), 600, replace=False))
    molecules = qm9_molecules.select(drawn)
    return molecules, splits.split(molecules)


def test_pairs_are_counted_by_elements_and_distance(few_molecules):
    counts = baselines.pair_counts(few_molecules)
    pairs = np.diff(neighbour_pairs(few_molecules, 8.0).offsets)
    np.testing.assert_array_equal(counts[:, :5].sum(axis=1), few_molecules.n_atoms)
    np.testing.assert_array_equal(counts[:, 5:].sum(axis=1), pairs)
    carbons = few_molecules.element_counts((6,))[:, 0]
    within = counts[:, 5:].reshape(len(few_molecules), 15, -1)[:, 5].sum(axis=1)  # H has five kinds before C and C
    assert (within <= carbons * (carbons - 1) / 2).all()
    assert within.max() > 0


def test_what_a_molecule_is_known_by_does_not_turn_with_it(few_molecules):
    turned = few_molecules.positions @ Rotation.random(rng=np.random.default_rng(1)).as_matrix().T + 3.0
    other = replace(few_molecules, positions=turned)
    np.testing.assert_allclose(
        baselines.representations(other)[0], baselines.representations(few_molecules)[0], atol=1e-8
    )


def test_the_kernel_learns_more_from_more_molecules_and_more_than_the_composition(some):
    few, more = baselines.kernel_regression(*some, draw=0)
    assert (few.molecules, more.molecules) == (40, 160)
    alone = baselines.composition(*some)
    assert more.mae < few.mae < alone.mae
    assert more.chosen.keys() == {"width", "regularisation"}


def test_pairs_tell_more_than_the_composition(some):
    assert baselines.pair_regression(*some).mae < baselines.composition(*some).mae


def test_tight_binding_has_its_published_energy_and_an_energy_per_element_brings_it_nearer(some):
    water = baselines._xtb(np.array([8, 1, 1]), np.array([[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]]))
    assert water / ase.units.Hartree == pytest.approx(-5.070, abs=0.002)  # xtb's own documentation
    as_it_is, corrected = baselines.xtb(*some)
    assert corrected.mae < 0.3 * as_it_is.mae
    assert as_it_is.molecules == 0
