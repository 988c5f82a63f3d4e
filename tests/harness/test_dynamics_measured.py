"""What `python -m harness.dynamics` measures, on springs and on GFN2-xTB, where the outcome is known."""

import sys
from pathlib import Path
from types import SimpleNamespace

import moving_records as made_up
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from small_networks import made_up_record
from springs import PackedSprings, Springs
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation import dynamics as recorded
from analysis.evaluation.dynamics import MEAN, XTB
from analysis.predict.dynamics import ForceCalculator
from analysis.runs import measured
from harness import dynamics
from harness.kept import Kept

WATER = molecule("H2O")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture
def small(qm9_molecules, monkeypatch) -> Molecules:
    """Twenty molecules of different compositions in QM9's place, and two models in that of the recorded ones."""
    counts, first = np.unique(qm9_molecules.element_counts()[:200], axis=0, return_index=True)
    chosen = qm9_molecules.select(np.sort(first[counts.sum(axis=1) > 3])[:20])
    monkeypatch.setattr(dynamics.qm9, "load", lambda: chosen)
    monkeypatch.setattr(dynamics, "default_records", lambda: [made_up_record(seed) for seed in (0, 1)])
    return chosen


@pytest.fixture
def springs(small, monkeypatch) -> PackedSprings:
    """Springs in the networks' place."""
    atoms = to_ase(small)
    found = PackedSprings(atoms, [Springs.at_rest(one, k=5.0) for one in atoms])
    monkeypatch.setattr(dynamics, "potentials", lambda _: [found])
    return found


def run(*arguments: object) -> str:
    done = CliRunner().invoke(dynamics.app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


# ---- vibrations ------------------------------------------------------------------------------------------------------


def test_at_rest_a_molecule_is_as_long_as_its_springs():
    longer = Springs({(0, 1): (60.0, 1.2)})
    about, rest = dynamics.at_rest(Atoms("CO", [[0, 0, 0], [0, 0, 1.1]]), longer)
    assert about["force"] == pytest.approx(6.0)
    assert rest.get_distance(0, 1) == pytest.approx(1.2, abs=1e-4)
    assert about["displacement"] == pytest.approx(0.05, abs=1e-4)
    assert len(about["frequencies"]) == 1
    about, rest = dynamics.at_rest(Atoms("CO", [[0, 0, 0], [0, 0, 1.1]]), Springs({(0, 1): (5.0, 2.6)}))
    assert rest is None
    assert "the bond C1–O2 breaks" in about["trouble"]


def test_what_does_not_come_to_rest_says_so(monkeypatch):
    monkeypatch.setattr(dynamics, "STEPS", 1)
    about, rest = dynamics.at_rest(Atoms("CO", [[0, 0, 0], [0, 0, 1.1]]), Springs({(0, 1): (60.0, 1.2)}))
    assert rest is None
    assert about == {"force": pytest.approx(6.0), "trouble": "it is not at rest after 1 steps"}


def test_gfn2_xtb_beside_itself_differs_in_nothing():
    found = dynamics.vibrating(WATER, {MEAN: dynamics.xtb(), "broken": Springs({(0, 1): (5.0, 2.6)})})
    for name in (XTB, MEAN):
        one = recorded.Rest.model_validate(found[name] | {"frequencies": tuple(found[name]["frequencies"])})
        assert len(one.frequencies) == 3
        assert one.energy_error == pytest.approx(0, abs=1e-6)
        assert one.above == pytest.approx(0, abs=1e-5)
        assert 0 < one.displacement < 0.1
    assert found[MEAN]["frequencies"] == pytest.approx(found[XTB]["frequencies"], abs=1)
    assert found["broken"].keys() == {"force", "trouble"}


@pytest.mark.usefixtures("small")
def test_molecules_without_frequencies_of_qm9_are_left_out(tmp_path, monkeypatch):
    chosen = dynamics.begin(recorded.Frequencies, tmp_path / "none.json", 0).drawn(2)
    known, unknown = chosen.index.tolist()
    asked = []
    monkeypatch.setattr(dynamics.qm9, "harmonic_frequencies", lambda _: {known: np.array([1000.0, 2000.0])})
    monkeypatch.setattr(dynamics, "vibrating", lambda atoms, of: asked.append(len(atoms)) or rest(of))

    def rest(of: dict) -> dict:
        return {name: {"force": 0.1, "frequencies": [1010.0, 2000.0]} for name in (XTB, *of)}

    run("frequencies", out := tmp_path / "frequencies.json", "--molecules", 2)
    record = recorded.Frequencies.load(tmp_path)
    assert [one.index for one in record.molecules] == [known]
    assert unknown != known
    assert asked == [record.molecules[0].n_atoms]
    assert record.models == {"painn": ("record-0", "record-1")}
    assert record.molecules[0].rest.keys() == {XTB, MEAN, "record-0", "record-1"}
    assert record.differences(MEAN, recorded.QM9).tolist() == [5.0]
    assert not list(tmp_path.glob("*.partial"))
    refused = CliRunner().invoke(dynamics.app, ["frequencies", str(out), "--molecules", "2"])
    assert refused.exit_code == 1
    assert refused.stderr == f"error: {out} exists: name another file, or remove it to measure it again\n"


# ---- survival --------------------------------------------------------------------------------------------------------


def test_molecules_of_the_test_part_move_until_the_end_or_break(springs, tmp_path):
    loose = dynamics.begin(recorded.Survival, tmp_path / "none.json", 0).drawn(1)
    (first,) = to_ase(loose)
    own = springs.springs[first.numbers.tobytes()]
    own.length *= 2.5
    own.k *= 0.1
    said = run("survival", tmp_path / "survival.json", "--molecules", 2, "--ps", 0.35, "--nve", 0.2, "--fluorine", 0)
    record = recorded.Survival.load(tmp_path)
    assert "0.35 of 0.35 ps: 1 move on" in said
    by_index = {one.index: one for one in record.molecules}
    broken = by_index.pop(int(loose.index[0]))
    (whole,) = by_index.values()
    assert broken.stopped
    assert broken.drift is None
    assert 0 < broken.until < 350
    assert (whole.stopped, whole.until) == ("", pytest.approx(550))
    assert abs(whole.drift) < 10 * whole.drift_error
    assert 1 < max(whole.bond_change, 1 / whole.bond_change) < 1.6
    assert whole.spread is None
    assert (record.ps, record.nve_ps, record.friction) == (0.35, 0.2, 2.0)


def test_bonds_count_from_the_start_in_each_piece():
    start, now = Atoms("CO", [[0, 0, 0], [0, 0, 1.13]]), Atoms("CO", [[0, 0, 0], [0, 0, 1.4]])
    one = dynamics.Walk(start, now, dict(dynamics._UNMOVED), [])
    still = PackedSprings([start], [Springs({(0, 1): (0.1, 1.4)})])
    dynamics.walk([one], [still], 20.0, 0.0, [None])
    assert one.about["bond_change"] == pytest.approx(1.4 / 1.13, rel=1e-6)
    assert (one.about["bond"], one.about["stopped"], one.about["until"]) == ("C1–O2", "", 20.0)
    assert len(one.total) == 3
    dynamics.walk([one], [still], 20.0, 0.0, [None])
    assert len(one.total) == 5
    assert one.about["until"] == 40


@pytest.mark.usefixtures("springs")
def test_after_a_kill_it_goes_on_to_the_same_record(tmp_path, monkeypatch):
    given = ("--molecules", 2, "--ps", 0.5, "--nve", 0.3, "--fluorine", 0)
    run("survival", tmp_path / "survival.json", *given)
    whole = recorded.Survival.load(tmp_path)
    true, kept = Kept.keep, []

    def killed(self, job, result):
        if len(kept) == 3:
            raise KeyboardInterrupt
        kept.append(job)
        return true(self, job, result)

    (other := tmp_path / "other").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Kept, "keep", killed)
        CliRunner().invoke(dynamics.app, ["survival", str(other / "survival.json"), *map(str, given)])
    assert len(kept) == 3
    assert not (other / "survival.json").exists()
    run("survival", other / "survival.json", *given)
    assert recorded.Survival.load(other) == whole


@pytest.mark.usefixtures("springs")
def test_fluorine_is_drawn_beside_the_others(qm9_molecules, tmp_path, monkeypatch):
    every = qm9_molecules.select(np.flatnonzero(qm9_molecules.element_counts()[:, 4])[:60])
    monkeypatch.setattr(dynamics.qm9, "load", lambda: every)
    monkeypatch.setattr(dynamics, "walk", lambda *_: None)
    run("survival", tmp_path / "survival.json", "--molecules", 3, "--fluorine", 2, "--ps", 0.1, "--nve", 0)
    record = recorded.Survival.load(tmp_path)
    assert [one.drawn for one in record.molecules] == ["random"] * 3 + ["fluorine"] * 2
    assert len({one.index for one in record.molecules}) == 5
    assert len(record.at_random) == 3


# ---- control ---------------------------------------------------------------------------------------------------------


def test_what_is_let_go_breaks_where_nothing_holds_it(monkeypatch):
    rest, apart = Atoms("CO", [[0, 0, 0], [0, 0, 1.13]]), Atoms("NO", [[0, 0, 0], [0, 0, 1.15]])
    given = PackedSprings([rest, apart], [Springs.at_rest(rest), Springs({(0, 1): (3.0, 2.6)})])
    monkeypatch.setattr(dynamics, "potentials", lambda _: [given])
    still, broken = dynamics.released([rest, apart], [], 100.0)
    assert still["broken"] is None
    assert still["change"] == [1.0] * 101
    assert 10 < broken["broken"] < 100
    assert broken["bond"] == "N1–O2"
    assert len(broken["change"]) == pytest.approx(broken["broken"], abs=2)
    assert broken["energy_change"] < 0.02
    assert np.diff(broken["change"]).min() >= 0


@pytest.mark.usefixtures("springs")
def test_the_control_has_three_kinds_of_models(tmp_path, monkeypatch):
    arms = {name: [made_up_record(0)] for name in ("energies alone", "painn")}
    asked = []
    parameters = SimpleNamespace(by_arm=lambda _: {"painn": [1], "schnet": [2], "energies alone": [3]})
    monkeypatch.setattr(dynamics.study, "ForcesParameters", lambda: parameters)
    monkeypatch.setattr(dynamics.study, "recorded_arms", lambda _, by_arm, *__: asked.append(set(by_arm)) or arms)
    monkeypatch.setattr(dynamics.ensemble, "default_records", lambda _: [made_up_record(1)])
    run("control", tmp_path / "control.json", "--molecules", 2, "--length", 10)
    record = recorded.Control.load(tmp_path)
    assert asked == [{"painn", "energies alone"}]
    assert record.models == {"beyond": ("record-1",), "energies alone": ("record-0",), "painn": ("record-0",)}
    assert [len(record.of(arm)) for arm in record.models] == [2, 2, 2]
    assert {len(one.change) for one in record.runs} == {11}


# ---- speed and torsion -----------------------------------------------------------------------------------------------


def test_stock_schnetpack_has_the_forces_of_the_network():
    record = made_up_record(0)
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.05, seed=0)
    ours, theirs = ethanol.copy(), ethanol.copy()
    ours.calc, theirs.calc = ForceCalculator([record]), dynamics.stock(record)
    assert theirs.get_forces() == pytest.approx(ours.get_forces(), abs=1e-4)
    assert np.abs(ours.get_forces()).max() > 0.01


@pytest.mark.usefixtures("small")
def test_all_contestants_move_the_molecule_and_are_timed(tmp_path, monkeypatch):
    test = dynamics.begin(recorded.Speed, tmp_path / "none.json", 0).drawn(99)
    monkeypatch.setattr(dynamics, "SIZES", (int(test.n_atoms[0]),))
    monkeypatch.setattr(dynamics, "seconds_per_step", lambda step, _: (step(2), 1e-3)[1])
    run("speed", tmp_path / "speed.json", "--repeats", 2, "--copies", 3)
    record = recorded.Speed.load(tmp_path)
    assert {(one.contestant, one.copies) for one in record.times} == {
        ("network", 1),
        ("batch", 3),
        ("xtb", 1),
        ("schnetpack", 1),
    }
    assert len(record.times) == 2 * 4 * 2
    assert record.ns_per_day("CCO", "xtb") == pytest.approx([43.2, 43.2])
    assert record.ns_per_day("CCO", "batch") == pytest.approx([3 * 43.2, 3 * 43.2])
    assert record.models == {"painn": ("record-0",)}


def test_what_breaks_is_not_timed():
    with pytest.raises(dynamics.DynamicsError, match="H2O breaks while it is timed"):
        dynamics.steppers(dynamics._heated(WATER, 0, 0), made_up_record(0), 2)["batch"](400)


def test_the_time_of_a_step_is_that_of_one_of_many(monkeypatch):
    asked = []
    monkeypatch.setattr(dynamics.time, "process_time", lambda: 0.3 * sum(asked))
    assert dynamics.seconds_per_step(asked.append, 2.0) == pytest.approx(0.3)
    assert asked == [1, 2, 4, 8]


def test_butane_has_two_barriers_and_a_minimum_between_them():
    energies = np.array(dynamics.profile(dynamics.xtb()), float)
    by_angle = dict(zip(dynamics.ANGLES, energies - energies[0], strict=True))
    assert by_angle[180] == 0
    assert max(by_angle, key=by_angle.get) == 0
    between = {angle: energy for angle, energy in by_angle.items() if 90 <= angle <= 150}
    assert max(between, key=between.get) in (105, 120, 135)
    assert 0.05 < max(between.values()) < 0.25
    gauche = min((angle for angle in by_angle if 30 <= angle <= 90), key=by_angle.get)
    assert gauche in (60, 75)
    assert 0 < by_angle[gauche] < 0.06


@pytest.mark.usefixtures("small")
def test_a_profile_that_finds_no_rest_says_so(tmp_path, monkeypatch):
    profiles = iter([[1.0, 1.5], [2.0, None], [None, 3.0], [0.5, 0.25]])
    monkeypatch.setattr(dynamics, "profile", lambda _: next(profiles))
    run("torsion", tmp_path / "torsion.json")
    record = recorded.Torsion.load(tmp_path)
    assert record.energies == {XTB: (0.0, 0.5), MEAN: (0.0, None), "record-0": (None, None), "record-1": (0.0, -0.25)}
    assert record.angles == dynamics.ANGLES


# ---- a trajectory ----------------------------------------------------------------------------------------------------


@pytest.fixture
def at_a_minimum(small, monkeypatch) -> dict[str, Springs]:
    """A held-out molecule whose springs, stiffer in GFN2-xTB's place, are at rest at its geometry."""
    chosen = dynamics.begin(recorded.Watched, Path("none.json"), 0).drawn(1)
    assert chosen.index[0] in small.index
    ((about, atoms),) = dynamics.described(chosen)
    by = {MEAN: Springs.at_rest(atoms, 5.0), XTB: Springs.at_rest(atoms, 5.5)}
    monkeypatch.setattr(dynamics, "ForceCalculator", lambda _: by[MEAN])
    monkeypatch.setattr(dynamics, "xtb", lambda: by[XTB])
    monkeypatch.setattr(dynamics.qm9, "harmonic_frequencies", lambda _: {about["index"]: np.array([1000.0, 2000.0])})
    return about | by


WATCH = ("--thermal-ps", 0.05, "--ps", 1, "--frames", 30)


def test_a_molecule_is_watched_as_its_springs_move_it(at_a_minimum, small, tmp_path):
    run("trajectory", tmp_path / "trajectory.json", "--smiles", at_a_minimum["smiles"], *WATCH)
    record = recorded.Watched.load(tmp_path)
    (atoms,) = to_ase(small.select(np.flatnonzero(small.index == at_a_minimum["index"])))
    assert record.molecule.index == at_a_minimum["index"]
    assert record.molecule.qm9 == (1000.0, 2000.0)
    assert record.numbers == tuple(atoms.numbers)
    minimum, *frames = record.positions
    np.testing.assert_allclose(minimum, atoms.positions, atol=0.0006)
    assert len(frames) == len(record.potential) == len(record.kinetic) == len(record.times) == 30
    assert record.times[:3].tolist() == [0.0, 1.0, 2.0]
    for positions, potential in zip(frames, record.potential, strict=True):
        expected = Atoms(atoms.numbers, positions, calculator=at_a_minimum[MEAN]).get_potential_energy()
        assert potential == pytest.approx(expected, abs=0.02)  # of positions that were rounded
    assert np.ptp(np.add(record.potential, record.kinetic)) < 0.02 * max(record.kinetic)
    for name in (MEAN, XTB):
        of, waves = record.moving[name], np.array(record.wavenumbers)
        within = (waves < 1.1 * max(record.molecule.frequencies(name))) * np.diff(waves)[0]
        assert (of.density * within).sum() == pytest.approx(1, abs=0.05)
        assert 30 < of.temperature < 600  # few atoms, hardly warm
        assert abs(of.drift) < 1
    ratio = np.divide(record.molecule.frequencies(XTB), record.molecule.frequencies(MEAN))
    assert ratio == pytest.approx(np.sqrt(1.1), rel=0.01)
    means = [np.average(record.wavenumbers, weights=record.moving[name].density) for name in (MEAN, XTB)]
    assert means[1] > means[0]


def test_a_trajectory_goes_on_after_a_kill_to_the_same_record(at_a_minimum, tmp_path, monkeypatch):
    given = ("trajectory", tmp_path / "trajectory.json", "--smiles", at_a_minimum["smiles"], *WATCH)
    true = dynamics.moved
    with monkeypatch.context() as patch:
        patch.setattr(dynamics, "xtb", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        CliRunner().invoke(dynamics.app, [str(one) for one in given])
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(dynamics, "moved", lambda *of: asked.append(of[1]) or true(*of))
        patch.setattr(dynamics, "watched", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        CliRunner().invoke(dynamics.app, [str(one) for one in given])
        assert asked == [at_a_minimum[MEAN]] * 2
        patch.undo()
        patch.setattr(dynamics, "moved", lambda *of: asked.append(of[1]) or true(*of))
        run(*given)
    assert asked[2:] == [at_a_minimum[MEAN], at_a_minimum[XTB]]  # it is warm already
    (other := tmp_path / "other").mkdir()
    run(given[0], other / "trajectory.json", *given[2:])
    assert recorded.Watched.load(tmp_path) == recorded.Watched.load(other)


def test_what_breaks_or_was_learnt_from_is_not_watched(at_a_minimum, small, tmp_path, monkeypatch):
    def refused(*arguments: object) -> str:
        done = CliRunner().invoke(dynamics.app, ["trajectory", str(tmp_path / "none.json"), *map(str, arguments)])
        assert done.exit_code == 1
        assert not (tmp_path / "none.json").exists()
        return done.stderr

    held = dynamics.begin(recorded.Watched, tmp_path / "none.json", 0).drawn(99)
    learnt = next(one for one in small.smiles if one not in held.smiles)
    assert refused("--smiles", learnt) == f"error: no held-out molecule is {learnt}: choose another\n"
    assert refused("--atoms", 99) == "error: no held-out molecule is of 99 atoms: choose another\n"
    monkeypatch.setattr(dynamics, "TEMPERATURE", 30_000.0)
    said = refused("--smiles", at_a_minimum["smiles"], *WATCH)
    assert "stopped after" in said
    assert "the bond" in said


# ---- records ---------------------------------------------------------------------------------------------------------


def test_a_part_is_found_again_by_the_networks_that_made_it(tmp_path):
    measured.write(tmp_path / "survival.json", made_up.survival())
    networks = [SimpleNamespace(id=one) for one in (*made_up.IDS, "c" * 12)]
    assert recorded.Survival.made_with(networks, tmp_path) == made_up.survival()
    assert recorded.Survival.made_with(networks[1:], tmp_path) is None
    assert recorded.Speed.made_with(networks, tmp_path) is None


@pytest.mark.parametrize("kind", recorded.PARTS, ids=lambda kind: kind.__name__)
def test_a_missing_or_damaged_record_is_said_in_one_line(kind, tmp_path):
    name = kind.part()
    with pytest.raises(recorded.DynamicsRecordError, match=rf"missing: run `python -m harness\.dynamics {name} "):
        kind.load(tmp_path)
    (tmp_path / f"{name}.json").write_text('{"schema_version": 1}')
    with pytest.raises(recorded.DynamicsRecordError, match=rf"{name}\.json is damaged or of another version"):
        kind.load(tmp_path)
    assert name in {one.name or one.callback.__name__ for one in dynamics.app.registered_commands}
