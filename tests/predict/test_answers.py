"""Molecules relaxed before they are predicted: what becomes of each, and what is refused."""

from dataclasses import replace

import pytest
from ase import Atoms
from ase.build import molecule
from springs import Springs, Swelling

from analysis.evaluation.prediction_intervals import RELAXED
from analysis.predict import dynamics
from analysis.predict.answers import answered, relaxed
from analysis.predict.ensemble import Prediction
from analysis.predict.geometries import Geometry

WATER = Geometry("water", molecule("H2O"), ("a conformer of ETKDG's alone",), kind="mmff")
FLUORIDE = Geometry("fluoride", Atoms("CFH3", molecule("CH3Cl").positions), kind="xtb")
SULPHIDE = Geometry("sulphide", molecule("SH2"))
LOST = Geometry("lost", trouble="RDKit reads no structure from this SMILES")


class Ensemble:
    """Says of each molecule that its energy is its largest distance, with an interval."""

    def answers(self, given, names, geometries, *, outside):
        assert outside in (True, False)
        return [
            Prediction(name, str(atoms.symbols), atoms.get_all_distances().max(), 1.0, 0.1, (), kind, (0.0, 9.0))
            for atoms, name, kind in zip(given, names, geometries, strict=True)
        ]


def test_each_molecule_is_at_the_minimum_that_its_geometry_leads_to_or_says_why_it_is_not():
    found = relaxed([WATER, LOST, FLUORIDE, SULPHIDE], Swelling(1.02))
    assert [one.name for one in found] == ["water", "lost", "fluoride", "sulphide"]
    water, lost, fluoride, sulphide = found
    assert water.kind == RELAXED
    assert water.notes == ()  # the conformer is left behind
    assert water.atoms.get_all_distances() == pytest.approx(1.02 * WATER.atoms.get_all_distances(), abs=1e-3)
    assert water.atoms.calc is None
    assert lost.trouble == LOST.trouble
    assert fluoride.trouble == "outside what the models know: it holds F"
    assert sulphide.trouble.startswith("it holds S")
    _, _, fluoride, _ = relaxed([WATER, LOST, FLUORIDE, SULPHIDE], Swelling(1.02), outside=True)
    assert (fluoride.trouble, fluoride.notes) == ("", ("it holds F",))


def test_what_reacts_or_comes_to_no_rest_is_refused(monkeypatch):
    monkeypatch.setattr(Springs, "unlike", lambda *_: (), raising=False)
    monoxide = Geometry("monoxide", Atoms("CO", [[0, 0, 0], [0, 0, 1.13]]))
    (found,) = relaxed([monoxide], Springs({(0, 1): (5.0, 2.6)}))
    assert found.trouble == "the bond C1–O2 breaks when it is relaxed: it is then another molecule"
    (found,) = relaxed([monoxide], Springs({(0, 1): (5.0, 1.9)}))  # nearer than bonds of other atoms are long
    assert found.trouble == "the bond C1–O2 breaks when it is relaxed: it is then another molecule"
    (found,) = relaxed([monoxide], Springs({(0, 1): (5.0, 0.6)}))
    assert found.trouble == "the bond C1–O2 collapses when it is relaxed: it is then another molecule"
    patient = dynamics.relax_all
    monkeypatch.setattr(dynamics, "relax_all", lambda *given: patient(*given, steps=1))
    (found,) = relaxed([WATER], Swelling(1.1))
    assert found.trouble == "it is not at rest after 1 steps"


def test_a_relaxed_molecule_is_predicted_where_it_has_come_to_rest():
    given = [WATER, FLUORIDE, LOST]
    (where, water), (_, fluoride), (_, lost) = answered(Ensemble(), given, relax=Swelling(1.02))
    assert (water.geometry, water.interval, water.outside) == (RELAXED, (0.0, 9.0), False)
    assert water.energy == where.atoms.get_all_distances().max()
    assert fluoride == "outside what the models know: it holds F"
    assert lost == LOST.trouble
    _, (_, fluoride), _ = answered(Ensemble(), given, relax=Swelling(1.02), outside=True)
    assert (fluoride.warnings, fluoride.interval, fluoride.outside) == (("it holds F",), None, True)


def test_without_relaxation_a_geometry_unlike_the_calibrations_is_outside():
    usual = replace(WATER, notes=())
    (where, refused), (_, water) = answered(Ensemble(), [WATER, usual])
    assert where is WATER
    assert refused == "outside what the models know: a conformer of ETKDG's alone"
    assert (water.geometry, water.interval) == ("mmff", (0.0, 9.0))
    ((_, water),) = answered(Ensemble(), [WATER], outside=True)
    assert (water.warnings, water.interval, water.outside) == (WATER.notes, None, True)
