"""A molecule tried on models with forces: springs stand for the models, since what these say is tested elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import units
from springs import OwnSprings

from analysis.data.frames import FramesError
from analysis.predict import simulation
from analysis.predict.dynamics import DynamicsError
from analysis.predict.simulation import STAGES, Simulation

PROPANOL = 22  # in QM9


class Spring(OwnSprings):
    """Springs of the first molecule's own lengths, as two models that agree."""

    def __init__(self, models):
        assert [one.id for one in models] == ["one", "other"]
        super().__init__()


@pytest.fixture(autouse=True)
def _springs(monkeypatch):
    monkeypatch.setattr(simulation, "ForceCalculator", Spring)
    monkeypatch.setattr(simulation.selection, "training_part", lambda molecules, _: np.arange(3, len(molecules)))


@pytest.fixture(scope="module")
def few(qm9_molecules):
    return qm9_molecules.select(qm9_molecules.index <= 24)


def tried(molecules, molecule: int | str = PROPANOL, **changes) -> Simulation:
    models = [SimpleNamespace(id=name, config=SimpleNamespace(data=None)) for name in ("one", "other")]
    given = {"temperature": 300.0, "ps": 0.1, "timestep": 0.25} | changes
    return Simulation(molecule=molecule, models=models, molecules=molecules, **given)


def test_a_molecule_of_qm9_has_its_geometry_and_its_frequencies(few):
    done = tried(few)
    (place,) = np.flatnonzero(few.index == PROPANOL)
    np.testing.assert_array_equal(done.start.positions, few.positions[few.offsets[place] : few.offsets[place + 1]])
    about = done.about()
    assert (about["formula"], about["atoms"], about["at_rest"], about["steps"]) == ("C3H8O", 12, True, 0)
    assert about["learnt_from"]
    assert about["like_them"]
    table = done.frequencies()
    assert len(table) == 3 * 12 - 6
    assert (table["qm9"].diff()[1:] >= 0).all()
    assert table["qm9"].iloc[-1] > 3500  # of O–H
    np.testing.assert_array_equal(table["network"], done.vibrations.frequencies)
    assert about["zero_point"] == pytest.approx(table["network"].sum() * units.invcm / 2)
    assert table["hydrogen"].between(0, 1).all()
    assert table["hydrogen"].iloc[-1] > 0.5


def test_the_share_of_hydrogen_is_that_of_the_kinetic_energy(few):
    water = tried(few, 3)
    modes, masses = water.vibrations.modes, water.start.get_masses()
    oxygen = [mass * (mode**2).sum() for mode, mass in zip(modes[:, 0], np.full(3, masses[0]), strict=True)]
    every = [(masses[:, None] * mode**2).sum() for mode in modes]
    np.testing.assert_allclose(1 - water.frequencies()["hydrogen"], np.divide(oxygen, every))


def test_a_smiles_gets_a_conformer_and_neither_a_part_nor_frequencies_of_qm9(few):
    done = tried(few, "CCO")
    assert done.start.get_chemical_formula() == "C2H6O"
    assert done.about()["learnt_from"] is None
    assert done.frequencies()["qm9"].isna().all()


def test_it_is_moved_with_a_thermostat_and_goes_on_from_there_at_constant_energy(few):
    done = tried(few)
    heated, free = (done.trajectories[stage] for stage in STAGES)
    assert (heated.thermostat, free.thermostat) == (True, False)
    np.testing.assert_array_equal(free.positions[0], heated.positions[-1])
    health = done.health()
    assert list(health.index) == list(STAGES)
    assert np.isnan(health.loc[STAGES[0], ["drift", "drift_error", "rms"]].astype(float)).all()
    assert abs(health.loc[STAGES[1], "drift"]) < 5
    assert health["whole"].all()
    assert (health["spread"] == 0.02).all()
    course = done.course()
    assert course["time_ps"].is_monotonic_increasing
    assert course["time_ps"].max() == pytest.approx(0.2)
    assert set(course["run"]) == {"one other"}
    means = course.groupby("stage")["total_energy_meV_per_atom"].mean()
    np.testing.assert_allclose(means, 0, atol=1e-6)
    spectrum = done.spectrum()
    assert spectrum["density"].sum() * spectrum["per_cm"][1] == pytest.approx(1)
    again = tried(few).course()
    np.testing.assert_array_equal(again["temperature_K"], course["temperature_K"])
    assert tried(few, seed=1).course()["temperature_K"][0] != course["temperature_K"][0]


def test_what_breaks_is_not_moved_further_and_said(few, monkeypatch):
    monkeypatch.setattr(Spring, "k", 0.05)
    done = tried(few, temperature=2000.0, ps=5.0)
    health = done.health()
    assert list(health.index) == [STAGES[0]]
    assert not health["whole"].any()
    assert health["ps"].item() < 5
    assert done.spectrum().empty


def test_a_molecule_that_reacts_is_tried_as_it_was_given(few, monkeypatch):
    monkeypatch.setattr(simulation.dynamics, "relax_all", lambda *_, **__: ["the bond C1–H2 breaks"])
    done = tried(few)
    about = done.about()
    assert (about["at_rest"], about["steps"]) == (False, 0)
    assert done.relaxed.atoms is done.start


def test_that_it_is_like_the_training_molecules_is_told_where_it_can_be(few, monkeypatch):
    monkeypatch.setattr(Spring, "unlike", staticmethod(lambda _: ("it holds F",)))
    assert tried(few).about()["like_them"] is False

    def untold(_):
        raise FramesError("no frames")

    monkeypatch.setattr(Spring, "unlike", staticmethod(untold))
    assert tried(few).about()["like_them"] is None


@pytest.mark.parametrize(
    ("molecule", "why"),
    [
        (0, "QM9 has no molecule 0: choose one out of 1 to 24, or a SMILES"),
        ("CC(", "refused: CC(: RDKit reads no structure"),
        ("S", "refused: S: it holds S"),
        ("C.C", "it is several molecules"),
    ],
)
def test_a_molecule_that_cannot_be_tried_is_refused_in_a_line(few, molecule, why):
    with pytest.raises(DynamicsError) as error:
        tried(few, molecule).about()
    assert why in str(error.value)
    assert "\n" not in str(error.value)
