"""What relaxing first is worth is measured over the molecules that both ways answer."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import molecule
from springs import Swelling
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

import typer

from analysis.data import splits
from analysis.data.molecules import to_ase
from analysis.evaluation.reference import Found, Reference
from analysis.predict import dynamics
from analysis.predict.ensemble import Ensemble, default_records
from analysis.runs import measured
from harness import relaxation


def table(errors: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"error": errors, "refused": ["" if np.isfinite(one) else "no" for one in errors]})


def test_molecules_that_one_way_refuses_are_not_compared():
    errors = np.random.default_rng(0).normal(scale=0.1, size=60)
    relaxed = errors / 2
    relaxed[:10] = np.nan
    both = relaxation.compared({"conformer": table(errors.tolist()), "relaxed": table(relaxed.tolist())})
    assert both["conformer"].tolist() == errors[10:].tolist()
    assert both["relaxed"].tolist() == relaxed[10:].tolist()
    relaxed[:45] = np.nan
    with pytest.raises(relaxation.RelaxationError, match="both ways answer 15 molecules"):
        relaxation.compared({"conformer": table(errors.tolist()), "relaxed": table(relaxed.tolist())})


def test_a_mean_and_a_median_have_intervals_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(0.1, 0.05, size=400)
    found = relaxation.Mean.over(values)
    assert (found.mean, found.median) == pytest.approx((1000 * values.mean(), 1000 * np.median(values)), abs=0.01)
    error = 1000 * values.std() / np.sqrt(400)
    for value, (low, high), times in (
        (found.mean, found.mean_interval, 1.0),
        (found.median, found.median_interval, np.sqrt(np.pi / 2)),
    ):
        assert low < value < high
        assert (high - low) / 2 == pytest.approx(1.96 * times * error, rel=0.25)


def test_both_ways_are_recorded_with_what_they_refuse(tmp_path, qm9_molecules):
    ensemble = Ensemble(default_records(qm9_molecules), qm9_molecules)
    test = splits.split(qm9_molecules).test
    drawn = qm9_molecules.select(splits.random_subset(test, 40, seed=3))
    found = relaxation.measure(ensemble, Swelling(1.002), drawn, part="test", seed=3)
    assert found.relaxed_on == ["one", "other"]
    assert found.compared >= relaxation._FEWEST
    conformer, relaxed = (found.errors[way] for way in relaxation.WAYS)
    common = conformer.keys() & relaxed.keys()
    assert len(common) == found.compared
    for way in relaxation.WAYS:
        assert sorted(found.errors[way] | found.refused[way], key=int) == [str(index) for index in drawn.index]
        absolute = np.mean([abs(found.errors[way][index]) for index in common])
        assert found.absolute[way].mean == pytest.approx(absolute, abs=0.05)
        assert 30 < absolute < 2000
        assert found.signed[way].mean == pytest.approx(
            np.mean([found.errors[way][index] for index in common]), abs=0.05
        )
    change = found.absolute["relaxed"].mean - found.absolute["conformer"].mean
    assert found.change.mean == pytest.approx(change, abs=0.05)
    assert found.errors["relaxed"] != found.errors["conformer"]
    measured.write(tmp_path / "relaxation.json", found)
    assert relaxation.Relaxation.load(tmp_path / "relaxation.json") == found


@pytest.mark.parametrize(
    ("name", "smiles"),
    [("CO", "[C-]#[O+]"), ("O3", "O=[O+][O-]"), ("CH3NO2", "C[N+](=O)[O-]"), ("C3H4_D2d", "C=C=C"), ("H2", "[H][H]")],
)
def test_a_smiles_is_seen_in_the_geometry(name, smiles):
    assert relaxation.perceived(molecule(name)) == smiles


def test_coordinates_of_almost_nothing_are_seen():
    assert relaxation.perceived(Atoms("HF", [[1e-6, 0, -2e-7], [0.92, 0, 0]])) == "F"


def a_reference(**molecules: tuple[Atoms, float, str]) -> Reference:
    """Of molecules with their U0, eV, and source."""
    git = {"commit": "0" * 40, "clean": True}
    every = {
        name: Found(
            source=source,
            numbers=atoms.numbers.tolist(),
            positions=atoms.positions.tolist(),
            U0=energy,
            frequencies=[],
            git=git,
            versions={},
        )
        for name, (atoms, energy, source) in molecules.items()
    }
    return Reference(level="", start="", processor="", molecules=every, missing=[])


def test_what_qm9_lacks_is_predicted_at_three_geometries_and_what_is_refused_with_its_number(tmp_path, qm9_molecules):
    ensemble = Ensemble(default_records(qm9_molecules), qm9_molecules)
    (ethane,) = to_ase(qm9_molecules.select(np.flatnonzero(qm9_molecules.index == 7)))
    true = ethane.get_potential_energy()
    reference = a_reference(
        ethane=(ethane, true - 0.1, "computed"),
        held=(ethane, true, "QM9"),
        difluoromethane=(molecule("H2CF2"), -6502.0, "computed"),
        methylene=(molecule("CH2_s1A1d"), -1064.0, "computed"),
    )
    found = relaxation.lacking(ensemble, Swelling(1.002), reference)
    assert found.relaxed_on == ["one", "other"]
    written = {name: one.smiles for name, one in found.molecules.items()}
    assert written == {"ethane": "CC", "difluoromethane": "FCF", "methylene": "[CH2]"}
    known, foreign, radical = (one.answers for one in found.molecules.values())
    assert list(known) == list(foreign) == list(radical) == ["reference", "conformer", "relaxed"]
    assert not any(one.refused or one.numberless for one in known.values())
    assert len({one.error for one in known.values()}) == 3  # each at its own geometry
    assert known["reference"].error == pytest.approx(100, abs=30)
    low, high = known["reference"].interval
    assert 0 < low < known["reference"].error < high  # the truth, which was moved, is not in it
    low, high = known["conformer"].interval
    assert low < known["conformer"].error < high
    assert known["relaxed"].interval is not None
    assert all(one.refused and not one.numberless and abs(one.error) > 300 for one in foreign.values())
    assert foreign["relaxed"].refused.endswith("it holds F")
    assert not any(one.interval for one in foreign.values())
    assert radical["conformer"].error is radical["relaxed"].error is None
    assert "multiplicity is 3" in radical["conformer"].numberless
    measured.write(tmp_path / "relaxation_g2.json", found)
    assert relaxation.RelaxationLacking.load(tmp_path / "relaxation_g2.json") == found


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{folder}/relaxation.json"], "no models that have learnt forces are recorded in"),
        (["{folder}/relaxation_g2.json", "--g2"], "no models that have learnt forces are recorded in"),
        (["{folder}/relaxation.json", "--part", "train"], "there is no part 'train'"),
        (["{folder}/nowhere/relaxation.json"], "no folder"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(arguments, why, tmp_path, monkeypatch):
    recorded = dynamics.default_records
    monkeypatch.setattr(dynamics, "default_records", lambda: recorded(tmp_path))
    app = typer.Typer()
    app.command()(relaxation.main)
    done = CliRunner().invoke(app, [one.format(folder=tmp_path) for one in arguments])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert why in line


def test_a_record_that_is_missing_or_damaged_is_said_in_one_line(tmp_path):
    with pytest.raises(relaxation.RelaxationError, match=r"is missing: run `python -m harness\.relaxation`"):
        relaxation.Relaxation.load(tmp_path / "none.json")
    with pytest.raises(relaxation.RelaxationError, match=r"is missing: run `python -m harness\.relaxation --g2`"):
        relaxation.RelaxationLacking.load(tmp_path / "none.json")
