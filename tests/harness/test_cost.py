"""What energies with forces cost is measured on the same molecules by every method, and goes on after a kill."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from ase import Atoms
from ase.build import molecule
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from harness import cost

WATER, METHANE = (Atoms(molecule(name).numbers, molecule(name).positions) for name in ("H2O", "CH4"))


def test_molecules_are_alkanes_and_others_of_each_size(qm9_molecules):
    found = cost.chosen(qm9_molecules)
    assert [len(one) for one in found.values()] == sorted([11, 14, 17, 23, 29, *cost.SIZES])
    assert set(cost.ALKANES) < found.keys()
    assert sum(set(one.numbers.tolist()) == {1, 6} for one in found.values()) < len(found)


def test_both_ways_of_the_network_give_the_same_forces():
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.05, seed=0)  # at a symmetric geometry a norm of PaiNN's has a kink
    found = []
    for name in ("network", "schnetpack"):
        torch.manual_seed(0)
        found.append(cost.METHODS[name]()(ethanol))
    assert np.abs(found[0]).max() > 1e-3
    assert found[0] == pytest.approx(found[1], abs=1e-3 * float(np.abs(found[1]).max()))


def test_what_is_measured_is_recorded_and_a_second_start_measures_what_is_missing(tmp_path, monkeypatch):
    called = []

    def counting(name):
        return lambda: lambda atoms: called.append((name, len(atoms))) or sum(range(1000))

    monkeypatch.setattr(cost, "METHODS", {name: counting(name) for name in ("xtb", "network")})
    monkeypatch.setattr(cost.timeit.Timer, "autorange", lambda timer: (2, timer.timeit(2) + 1.0))
    out, molecules = tmp_path / "cost.json", {"O": WATER, "C": METHANE}
    threads = torch.get_num_threads()
    cost.measure(out, {"O": WATER}, ["xtb"])
    assert called == [("xtb", 3)] * (1 + 2 + 2 * cost.REPEATS)
    called.clear()
    cost.measure(out, molecules, ["xtb", "network"])
    assert called.count(("xtb", 3)) == 1  # compiled once more
    assert {one: called.count(one) for one in (("xtb", 5), ("network", 5))} == dict.fromkeys(
        (("xtb", 5), ("network", 5)), 2 + 2 * cost.REPEATS
    )
    record = cost.Costs.load(out)
    table = record.table()
    assert table.groupby(["method", "molecule"]).size().to_dict() == {
        (method, name): cost.REPEATS for method in ("xtb", "network") for name in molecules
    }
    assert (table["seconds"] > 0).all()
    assert table.groupby("molecule")["atoms"].first().to_dict() == {"O": 3, "C": 5}
    assert torch.get_num_threads() == threads


def test_what_takes_long_is_computed_once(monkeypatch):
    monkeypatch.setattr(cost.timeit.Timer, "autorange", lambda _: (1, 2 * cost._SLOW))
    assert cost.seconds(lambda _: pytest.fail("it was called"), WATER) == [2 * cost._SLOW]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{folder}/cost.json", "--methods", "xtb,mp2"], "there is no method 'mp2': choose out of network, "),
        (["{folder}/nowhere/cost.json"], "no folder"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(arguments, why, tmp_path):
    app = typer.Typer()
    app.command()(cost.main)
    done = CliRunner().invoke(app, [one.format(folder=tmp_path) for one in arguments])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert why in line
    with pytest.raises(cost.CostError, match=r"is missing: run `python -m harness\.cost`"):
        cost.Costs.load(tmp_path / "none.json")
