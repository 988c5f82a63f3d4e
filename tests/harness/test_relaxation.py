"""What relaxing first is worth is measured over the molecules that both ways answer."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from springs import Swelling
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

import typer

from analysis.data import splits
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
    ("arguments", "why"),
    [
        (["{folder}/relaxation.json"], "no models that have learnt forces are recorded in"),
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
