"""Numbers that put the networks' errors in proportion: what each method is, and that the record follows from it."""

import sys
from dataclasses import replace
from pathlib import Path

import ase.units
import numpy as np
import pytest
import typer
from qmllib.kernels import get_local_kernels
from qmllib.representations import generate_fchl19
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis.data import offsets, splits
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


def test_what_an_atom_is_known_by_does_not_turn_with_its_molecule(few_molecules):
    turned = few_molecules.positions @ Rotation.random(rng=np.random.default_rng(1)).as_matrix().T + 3.0
    other = replace(few_molecules, positions=turned)
    of_atoms = baselines.environments(few_molecules)
    assert len(of_atoms) == len(few_molecules.numbers)
    np.testing.assert_allclose(baselines.environments(other), of_atoms, atol=1e-8)


def test_the_kernels_are_qmllibs(few_molecules):
    rows, columns = few_molecules.select(np.arange(3, 9)), few_molecules.select(np.arange(0, 200, 23))
    settings = {"elements": [1, 6, 7, 8, 9], "pad": 29}
    padded, numbers = [], []
    for molecules in (rows, columns):
        each = list(zip(molecules.offsets[:-1], molecules.offsets[1:], strict=True))
        numbers.append([molecules.numbers[start:end].astype(int) for start, end in each])
        places = [molecules.positions[start:end] for start, end in each]
        padded.append(np.array([generate_fchl19(z, r, **settings) for z, r in zip(numbers[-1], places, strict=True)]))
    # It gives the molecules of the second argument first, whatever its documentation says.
    expected = get_local_kernels(padded[1], padded[0], numbers[1], numbers[0], list(baselines.WIDTHS))
    found = baselines.local_kernels(rows, baselines.environments(rows), columns, baselines.environments(columns))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


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


def test_the_kernels_weights_solve_the_whole_equations(some, monkeypatch):
    molecules, parts = some
    monkeypatch.setattr(baselines, "REGULARISATIONS", (1e-4,))
    monkeypatch.setattr(baselines, "_ROWS", 30)  # more blocks than one, the last of them smaller
    found = baselines.kernel_regression(molecules, parts, draw=1)[0]
    order = np.random.default_rng(1).permutation(parts.train)[:40]
    test = splits.random_subset(parts.test, 40, seed=0)
    learnt, asked = molecules.select(order), molecules.select(test)
    known, of_asked = baselines.environments(learnt), baselines.environments(asked)
    place = baselines.WIDTHS.index(found.chosen["width"])
    own = baselines.local_kernels(learnt, known, learnt, known)[place]
    left = molecules.energy - offsets.fit(molecules, order, "least-squares").of(molecules)
    weights = np.linalg.solve(own + 1e-4 * np.eye(40), left[order])
    errors = baselines.local_kernels(asked, of_asked, learnt, known)[place] @ weights - left[test]
    assert found.mae == pytest.approx(np.abs(errors).mean(), rel=1e-6)


def test_a_setting_that_rounding_leaves_no_kernel_is_left_out(some, monkeypatch):
    monkeypatch.setattr(baselines, "REGULARISATIONS", (-1e3, 1e-5))  # the first is below the least eigenvalue
    assert {one.chosen["regularisation"] for one in baselines.kernel_regression(*some, draw=0)} == {1e-5}


def test_a_run_goes_on_after_a_kill_and_leaves_a_record_of_every_method(some, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines.qm9, "load", lambda: some[0])
    monkeypatch.setattr(baselines, "DRAWS", (0, 1))
    done = []

    def xtb(*_):
        done.append("xtb")
        if len(done) == 1:
            raise KeyboardInterrupt
        return [baselines.scored("xtb", np.array([1.0, 2.0]), 0)]

    monkeypatch.setattr(baselines, "xtb", xtb)
    out = tmp_path / "baselines.json"
    with pytest.raises(KeyboardInterrupt):
        baselines.main(out)
    assert not out.exists()
    monkeypatch.setattr(baselines, "kernel_regression", lambda *_: pytest.fail("this was kept"))
    baselines.main(out)
    record = baselines.read_record(out)
    assert [(one.method, one.draw, one.molecules) for one in record.results] == [
        ("composition", 0, 480),
        ("pairs", 0, 480),
        *[("fchl19", draw, number) for draw in (0, 1) for number in (40, 160)],
        ("xtb", 0, 0),
    ]
    assert record.split_fingerprint == some[1].fingerprint(some[0])
    assert list(tmp_path.iterdir()) == [out]


def test_a_record_that_is_there_is_not_computed_again(tmp_path, capsys):
    out = tmp_path / "baselines.json"
    out.write_text("{}")
    with pytest.raises(typer.Exit):
        baselines.main(out)
    assert capsys.readouterr().err == f"error: {out} exists: name another file, or remove it to compute it again\n"
    assert out.read_text() == "{}"
