"""Molecular dynamics against what theory promises, and the models' forces against their energies."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import InputError
from ase.calculators.morse import MorsePotential
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_networks import made_up_record
from springs import Springs

from analysis import study
from analysis.data.molecules import to_ase
from analysis.data.qm9 import ATOMIC_REFERENCES_U0
from analysis.predict import applicability, dynamics
from analysis.predict.applicability import Domain
from analysis.predict.dynamics import (
    DynamicsError,
    ForceCalculator,
    Relaxed,
    forces_of,
    frequencies,
    relax,
    relax_all,
    simulate,
    spectrum,
)
from analysis.predict.ensemble import PredictError
from analysis.runs import records, selection
from analysis.runs.config import Data, Model, RunConfig
from fused.potential import Potential

ALONE = Atoms("C")
CARBON_MONOXIDE = Atoms("CO", [[0, 0, 0], [0, 0, 1.13]])
CARBON_DIOXIDE = Atoms("OCO", [[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]])
WATER = molecule("H2O")


@pytest.fixture(scope="module")
def two() -> ForceCalculator:
    calculator = ForceCalculator([made_up_record(0), made_up_record(1)])
    calculator.domain = SimpleNamespace(warnings_by_kind=lambda molecules, _: [{}] * len(molecules))  # all are like it
    return calculator


@pytest.fixture
def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)  # at a symmetric geometry a norm of PaiNN's has a kink
    return atoms


# ---- forces of models ------------------------------------------------------------------------------------------------


def test_forces_are_the_slope_of_the_energy(two, ethanol):
    ethanol.calc = two
    forces, step = ethanol.get_forces(), 5e-3
    assert np.abs(forces).max() > 0.05
    for atom, axis in [(0, 0), (1, 2), (2, 1), (8, 2)]:
        energies = []
        for sign in (1, -1):
            moved = ethanol.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = two
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=2e-3)


def test_energy_and_forces_are_means_and_the_spread_is_that_of_the_worst_atom(two, ethanol):
    ethanol.calc = two
    mean, forces = ethanol.get_potential_energy(), ethanol.get_forces()
    energies, each = [], []
    for record in two.records:
        ethanol.calc = ForceCalculator([record])
        network = Potential(record.state_dict())(ethanol.numbers, ethanol.positions, [len(ethanol)])
        references = sum(ATOMIC_REFERENCES_U0[z] for z in ethanol.numbers.tolist())
        energies.append(float(network[0]) + references + len(ethanol) * record.offsets().mean)
        each.append(ethanol.get_forces())
        assert np.isnan(ethanol.calc.results["forces_spread"])
    assert two.results["energy_contributions"] == pytest.approx(energies, abs=1e-4)
    assert mean == pytest.approx(np.mean(two.results["energy_contributions"]), abs=1e-9)
    assert forces == pytest.approx(np.mean(each, axis=0), abs=1e-9)
    apart = np.linalg.norm(each[0] - each[1], axis=1).max() / np.sqrt(2)  # n − 1 of two models
    assert two.results["forces_spread"] == pytest.approx(apart)
    assert apart > 0.01


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), shift=st.tuples(*3 * [st.floats(-100, 100)]))
def test_where_a_molecule_stands_changes_nothing_but_the_directions(seed, shift, two):
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    turn = Rotation.random(rng=seed).as_matrix()
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T + shift
    atoms.calc = moved.calc = two
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert moved.get_potential_energy() == pytest.approx(energy, abs=1e-5)
    assert moved.get_forces() == pytest.approx(forces @ turn.T, abs=1e-4)
    assert forces.sum(axis=0) == pytest.approx(0, abs=1e-4)


def test_many_geometries_at_once_are_each_alone(two, ethanol):
    several = ethanol.positions + np.random.default_rng(0).normal(scale=0.05, size=(5, len(ethanol), 3))
    found = forces_of(ethanol, two, several)
    for positions, forces in zip(several, found, strict=True):
        alone = Atoms(ethanol.numbers, positions, calculator=two)
        assert forces == pytest.approx(alone.get_forces(), abs=1e-5)


@pytest.mark.parametrize(
    ("models", "error", "why"),
    [
        ([], PredictError, "at least one"),
        ([made_up_record(0), made_up_record(0)], PredictError, "the same seed"),
        ([made_up_record(0, forces=0.0)], DynamicsError, "record record-0 has learnt no forces"),
    ],
)
def test_models_without_forces_or_that_are_no_ensemble_are_refused(models, error, why):
    with pytest.raises(error, match=why):
        ForceCalculator(models)


@pytest.mark.parametrize(
    ("atoms", "why"),
    [
        (molecule("SH2"), "it holds S"),
        (Atoms("OH", [[0, 0, 0], [0, 0, 1]]), "odd number"),
        (Atoms("H2O", np.full((3, 3), np.nan)), "the position of its atom 1"),
    ],
    ids=["sulphur", "radical", "nowhere"],
)
def test_what_the_models_cannot_know_is_refused(atoms, why, two):
    atoms.calc = two
    for _ in range(2):
        with pytest.raises(InputError, match=why):
            atoms.get_forces()
    with pytest.raises(InputError, match=why):
        forces_of(atoms, two, atoms.positions[None])
    with pytest.raises(InputError, match=why):
        relax(atoms, two)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
def test_a_molecule_unlike_those_that_the_models_have_learnt_from_is_warned_of_wherever_its_atoms_are(few_molecules):
    held = applicability._held(few_molecules, Data())
    domain = Domain(tuple(held["atoms"]), tuple(held["heavy_atoms"]), held["codes"], held["distances"])
    calculator = ForceCalculator([made_up_record(0)])
    calculator.domain = domain
    for atoms in to_ase(few_molecules.select(selection.training_part(few_molecules, Data())[::20])):
        shaken = Atoms(atoms.numbers, atoms.positions * 1.03, calculator=calculator)
        assert calculator.unlike(shaken) == ()
        shaken.get_potential_energy()
    water = Atoms(WATER.numbers, WATER.positions)
    two_waters = water + Atoms(water.numbers, water.positions + [0, 0, 4])  # noqa: RUF005 - atoms, and not lists
    two_waters.calc = calculator
    (why,) = calculator.unlike(two_waters)
    assert why.startswith("2 parts that no bond holds together")
    with pytest.warns(UserWarning, match="outside what the models know: 2 parts"):
        two_waters.get_potential_energy()


def test_several_molecules_at_once_are_each_alone(two, ethanol):
    several = [ethanol, WATER, CARBON_DIOXIDE]
    found = two.forces_of_all(several)
    assert [one.shape for one in found] == [(9, 3), (3, 3), (3, 3)]
    for atoms, forces in zip(several, found, strict=True):
        assert forces == pytest.approx(Atoms(atoms.numbers, atoms.positions, calculator=two).get_forces(), abs=1e-5)


def test_the_default_models_are_the_seeds_of_painn_on_all_molecules(tmp_path, monkeypatch):
    with pytest.raises(study.StudyError, match="`python -m analysis run forces` trains them"):
        dynamics.default_records(tmp_path)
    thin = {"data": RunConfig(experiment="forces").data.model_copy(update={"train_molecules": 100})}
    made = {f"painn-{seed}": made_up_record(seed).config for seed in (1, 0)}
    made |= {
        "energies": made_up_record(2, forces=0.0).config,
        **{f"thin-{seed}": made_up_record(seed).config.model_copy(update=thin) for seed in (0, 1, 2)},
        "schnet": made_up_record(2).config.model_copy(update={"model": Model()}),
    }
    for name in made:
        (tmp_path / "forces" / name).mkdir(parents=True)
    monkeypatch.setattr(records, "recorded_folders", lambda folder: sorted(Path(folder).glob("*/*")))
    monkeypatch.setattr(records, "outline", lambda path: SimpleNamespace(folder=path, config=made[path.name]))
    monkeypatch.setattr(records, "load", lambda path: path.name)
    assert dynamics.default_records(tmp_path) == ["painn-0", "painn-1"]


# ---- at rest ---------------------------------------------------------------------------------------------------------


def test_a_relaxed_molecule_has_the_lengths_of_its_springs():
    moved = WATER.copy()
    moved.rattle(0.1, seed=1)
    before = moved.positions.copy()
    found = relax(moved, Springs.at_rest(WATER), fmax=1e-3)
    assert found.converged
    assert 0 < found.steps < 100
    assert found.atoms.get_all_distances() == pytest.approx(WATER.get_all_distances(), abs=1e-4)
    np.testing.assert_array_equal(moved.positions, before)
    assert not relax(moved, Springs.at_rest(WATER), fmax=1e-3, steps=1).converged


def test_a_bond_that_breaks_or_forms_is_refused():
    with pytest.raises(DynamicsError, match="the bond C1–O2 breaks"):
        relax(CARBON_MONOXIDE, Springs({(0, 1): (5.0, 2.6)}))
    apart = Atoms("CO", [[0, 0, 0], [0, 0, 2.4]])
    with pytest.raises(DynamicsError, match="the bond C1–O2 forms"):
        relax(apart, Springs({(0, 1): (5.0, 1.2)}))


def test_several_molecules_are_relaxed_in_a_batch_as_each_alone(two, ethanol, monkeypatch):
    monkeypatch.setattr(dynamics, "_reaction", lambda *_: "")  # weights that were drawn break bonds at once
    together = relax_all([ethanol, WATER], two, steps=3)
    for one, atoms in zip(together, (ethanol, WATER), strict=True):
        alone = relax(atoms, two, steps=3)
        assert (one.converged, one.steps) == (alone.converged, alone.steps)
        assert one.atoms.positions == pytest.approx(alone.atoms.positions, abs=1e-4)
        assert np.abs(one.atoms.positions - atoms.positions).max() > 1e-3
    assert relax_all([], two) == []


def test_a_molecule_that_reacts_takes_no_other_along():
    stretched, wide = (Atoms("CO", [[0, 0, 0], [0, 0, length]]) for length in (1.2, 2.4))
    found = relax_all([stretched, wide, CARBON_MONOXIDE], Springs({(0, 1): (5.0, 1.15)}))
    assert [type(one) for one in found] == [Relaxed, str, Relaxed]
    assert found[1] == "the bond C1–O2 forms when it is relaxed: it is then another molecule"
    assert [one.atoms.get_distance(0, 1) for one in found[::2]] == pytest.approx([1.15, 1.15], abs=0.005)


class Failing(Springs):
    """From the `after`-th geometry on, `results` are changed by `how`."""

    after, how = 5, staticmethod(dict)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        if self.calls > self.after:
            self.results |= self.how()


def failing(how, *, after: int = 5, at: Atoms = WATER) -> Failing:
    made = Failing.at_rest(at)
    made.after, made.how = after, how
    return made


def test_forces_that_are_no_numbers_end_a_relaxation_in_a_sentence():
    moved = WATER.copy()
    moved.rattle(0.1, seed=1)
    with pytest.raises(DynamicsError, match="it can't be relaxed"):
        relax(moved, failing(lambda: {"forces": np.full((3, 3), np.nan)}, after=2))


def test_a_diatomic_vibrates_as_the_textbook_says():
    k, masses = 118.0, CARBON_MONOXIDE.get_masses()
    found = frequencies(CARBON_MONOXIDE, Springs({(0, 1): (k, 1.13)}))
    reduced = masses.prod() / masses.sum() * units._amu
    hertz = np.sqrt(k * units._e * 1e20 / reduced) / (2 * np.pi)
    assert found.frequencies == pytest.approx([hertz / (100 * units._c)], rel=1e-3)
    assert found.zero_point_energy == pytest.approx(units._hplanck * hertz / units._e / 2, rel=1e-3)
    (mode,) = found.modes
    assert masses @ mode == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(mode) == pytest.approx(1)


def test_an_anharmonic_bond_has_the_frequency_of_its_curvature():
    depth, length, steepness = 11.0, 1.13, 2.6
    morse = MorsePotential(epsilon=depth, r0=length, rho0=steepness)
    springs = Springs({(0, 1): (2 * depth * (steepness / length) ** 2, length)})
    found, expected = (frequencies(CARBON_MONOXIDE, of).frequencies for of in (morse, springs))
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_linear_molecule_has_the_stretches_of_the_textbook_and_two_bends():
    k, (oxygen, carbon, _) = 100.0, CARBON_DIOXIDE.get_masses()
    bonds = {(0, 1): (k, 1.16), (1, 2): (k, 1.16)}
    found = frequencies(CARBON_DIOXIDE, Springs(bonds)).frequencies
    unit = units._hbar * 1e10 / np.sqrt(units._e * units._amu) / units.invcm
    stretches = unit * np.sqrt([k / oxygen, k / oxygen * (1 + 2 * oxygen / carbon)])
    assert len(found) == 4
    assert found[2:] == pytest.approx(stretches, rel=1e-3)
    assert np.abs(found[:2]).max() < 0.02 * stretches[0]
    pressed = Springs(dict.fromkeys(bonds, (k, 1.2)))
    assert (frequencies(CARBON_DIOXIDE, pressed).frequencies[:2] < -100).all()  # it bends of itself


def test_all_geometries_are_computed_in_one_batch():
    asked = []

    class Batched(Springs):
        def forces_of(self, atoms, positions):
            asked.append(positions.shape)
            return forces_of(atoms, Springs.at_rest(WATER), positions)

    found = frequencies(WATER, Batched.at_rest(WATER))
    assert asked == [(18, 3, 3)]
    assert len(found.frequencies) == 3
    assert (found.frequencies > 1000).all()


# ---- molecular dynamics ----------------------------------------------------------------------------------------------


def test_the_error_of_velocity_verlet_falls_with_the_square_of_the_step():
    given = {"ps": 0.2, "temperature": 600, "seed": 3, "every": 1}
    errors = [simulate(WATER, Springs.at_rest(WATER), timestep=step, **given).health.rms for step in (0.8, 0.4, 0.2)]
    assert [coarse / fine for coarse, fine in pairwise(errors)] == pytest.approx([4, 4], rel=0.15)


def test_what_the_start_has_not_never_comes():
    found = simulate(WATER, Springs.at_rest(WATER), ps=0.1, temperature=500)
    momenta = found.velocities * WATER.get_masses()[:, None]
    assert momenta.sum(axis=1) == pytest.approx(0, abs=1e-9)
    assert np.cross(found.positions - WATER.get_center_of_mass(), momenta).sum(axis=1) == pytest.approx(0, abs=1e-9)
    assert found.kinetic == pytest.approx(found.freedom / 2 * units.kB * found.temperature)
    assert found.freedom == 3


def test_velocities_are_drawn_for_the_temperature():
    drawn = [
        simulate(WATER, Springs.at_rest(WATER), ps=0.001, timestep=1.0, temperature=400, seed=seed).temperature[0]
        for seed in range(300)
    ]
    assert np.mean(drawn) == pytest.approx(400, abs=4 * 400 * np.sqrt(2 / 3 / 300))  # χ² of three degrees of freedom
    assert np.std(drawn) == pytest.approx(400 * np.sqrt(2 / 3), rel=0.25)


def test_under_langevin_each_degree_of_freedom_has_its_half_of_kt():
    given = {"ps": 6, "timestep": 1.0, "temperature": 300, "thermostat": "langevin", "friction": 100, "seed": 1}
    found = simulate(WATER, Springs.at_rest(WATER, k=5.0), **given)
    assert not found.health.stopped
    assert found.freedom == 6
    # 6 degrees of freedom, forgotten in some 10 fs: the standard error is about 10 K
    assert found.temperature.mean() == pytest.approx(300, abs=40)
    assert found.potential.mean() == pytest.approx(3 / 2 * units.kB * 300, rel=0.25)
    of_oxygen, of_hydrogen = (
        (mass * (found.velocities[:, atom] / units.fs) ** 2).sum(axis=-1).mean() / units.kB
        for atom, mass in zip((0, 1), WATER.get_masses()[:2], strict=True)
    )
    total = WATER.get_masses().sum()  # with the centre of mass at rest, a heavy atom has less
    assert of_oxygen == pytest.approx(3 * 300 * (1 - WATER.get_masses()[0] / total), rel=0.25)
    assert of_hydrogen == pytest.approx(3 * 300 * (1 - WATER.get_masses()[1] / total), rel=0.25)
    centres = (found.positions * WATER.get_masses()[:, None]).sum(axis=1) / total
    assert centres == pytest.approx(np.tile(centres[0], (len(centres), 1)), abs=1e-9)
    assert found.verdict.startswith("sound: whole, at ")


@pytest.mark.parametrize("thermostat", [None, "langevin"])
@pytest.mark.parametrize(
    ("atoms", "freedom"), [(ALONE, 0), (CARBON_MONOXIDE, 1), (CARBON_DIOXIDE, 4), (WATER, 3)], ids=str
)
def test_molecules_of_any_shape_move(atoms, freedom, thermostat):
    found = simulate(atoms, Springs.at_rest(atoms), ps=0.02, thermostat=thermostat)
    assert not found.health.stopped
    assert found.times == pytest.approx(np.arange(0, 21, 2))
    assert found.freedom == (freedom if thermostat is None else 3 * len(atoms) - 3)
    assert np.isfinite(found.total).all()
    assert bool(found.health.bond) == (len(atoms) > 1)
    assert found.verdict
    vibrations = frequencies(atoms, Springs.at_rest(atoms))
    assert len(vibrations.frequencies) == freedom


class Drifting(Springs):
    """Each geometry's energy is higher by so many meV than the last one's."""

    slope = 0.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] += self.slope * self.calls / 1000


def test_a_drift_is_found_with_its_size_and_none_where_there_is_none():
    calculator = Drifting.at_rest(WATER)
    sound = simulate(WATER, calculator, ps=0.4, timestep=0.25)
    assert abs(sound.health.drift) <= 4 * sound.health.drift_error
    assert sound.verdict.startswith("sound: whole, its energy conserved")
    calculator = Drifting.at_rest(WATER)
    calculator.slope = 0.03  # meV per step, of three atoms and 0.25 fs
    drifting = simulate(WATER, calculator, ps=0.4, timestep=0.25)
    assert drifting.health.drift == pytest.approx(0.03 / 3 / 0.25e-3, rel=0.02)
    assert drifting.health.drift_error < 0.02 * drifting.health.drift
    assert drifting.health.rms == pytest.approx(sound.health.rms, rel=0.1)
    heats = 0.04 * 0.4 * 3 / (3 * units.kB)  # 40 meV per atom and ps, for kB of each degree of freedom
    assert f"{heats:+.2g} K in 0.4 ps" in drifting.verdict
    assert drifting.verdict.startswith("its energy is not conserved")


def test_the_standard_error_of_a_drift_is_that_of_energies_that_are_not_independent():
    rng, times, ratios = np.random.default_rng(0), np.arange(1000) / 1000, []
    for _ in range(300):
        noise = np.convolve(rng.standard_normal(1020), np.ones(20) / 20, "valid")[:1000]
        slope, error, _ = dynamics.drift(times, 0.5 * times + noise)
        ratios.append((slope - 0.5) / error)
    assert np.std(ratios) == pytest.approx(1.1, abs=0.2)  # Student's t of 18 degrees of freedom, blocks not quite apart


@pytest.mark.parametrize(
    ("calculator", "why"),
    [
        (Springs({(0, 1): (0.3, 2.6)}), "the bond C1–O2 is 1.6[0-9] times as long as before"),
        (Springs({(0, 1): (1.0, 0.5)}), "the bond C1–O2 is 0.5[0-9] times as long as before"),
        (Springs({(0, 1): (300.0, 1.32)}), "it is at [0-9]{4,5} K, of 300 K"),
        (failing(lambda: {"energy": np.nan}, at=CARBON_MONOXIDE), "its energy is no number"),
        (failing(lambda: 1 / 0, at=CARBON_MONOXIDE), None),
        (failing(lambda: [].index(1), at=CARBON_MONOXIDE), "no energy: .* not in list"),
        (failing(lambda: {"forces_spread": 1.2}, at=CARBON_MONOXIDE), "the models differ by 1.2 eV/Å about a force"),
    ],
)
def test_it_stops_with_a_sentence_and_keeps_what_was_simulated(calculator, why, tmp_path):
    out = tmp_path / "trajectory.extxyz"
    given = {"ps": 0.2, "every": 2, "out": out}
    if why is None:  # an error of another kind is none of the molecule's, and nothing is written
        with pytest.raises(ZeroDivisionError):
            simulate(CARBON_MONOXIDE, calculator, **given)
        assert not list(tmp_path.iterdir())
        return
    found = simulate(CARBON_MONOXIDE, calculator, **given)
    assert found.health.stopped
    assert found.verdict.startswith("stopped after ")
    assert pytest.approx(found.times[-1] / 1000, rel=0.01) == float(found.verdict.split()[2])
    assert re.search(why, found.verdict)
    assert 2 <= len(found.times) < 200
    assert np.isfinite(found.total).all()
    assert len(ase.io.read(out, ":")) == len(found.times)


def test_a_few_degrees_of_freedom_may_be_hot_for_a_while():
    assert dynamics.hottest(300, 81) == 900
    assert dynamics.hottest(300, 1) > 20 * 300
    assert dynamics.hottest(300, 0) == dynamics.hottest(0, 3) == np.inf


def test_the_trajectory_is_written_whole_with_energies_and_momenta(tmp_path):
    out, told = tmp_path / "trajectory.xyz", []
    found = simulate(WATER, Springs.at_rest(WATER), ps=0.02, every=10, seed=5, out=out, watch=told.append)
    frames = ase.io.read(out, ":")
    assert told == found.times.tolist() == [one.info["time_fs"] for one in frames] == [0, 5, 10, 15, 20]
    for k, one in enumerate(frames):
        assert one.positions == pytest.approx(found.positions[k], abs=1e-7)
        assert one.get_velocities() * units.fs == pytest.approx(found.velocities[k], abs=1e-7)
        assert one.get_potential_energy() == pytest.approx(found.potential[k], abs=1e-7)
    assert found.kinetic == pytest.approx([one.get_kinetic_energy() for one in frames], abs=1e-6)
    again = simulate(WATER, Springs.at_rest(WATER), ps=0.02, every=10, seed=5)
    np.testing.assert_array_equal(again.positions, found.positions)
    untouched = Springs.at_rest(WATER)
    with pytest.raises(FileNotFoundError, match="no folder"):
        simulate(WATER, untouched, ps=0.02, out=tmp_path / "none" / "trajectory.xyz")
    assert untouched.calls == 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"ps": 0}, "ps is 0: it must be positive"),
        ({"ps": np.nan}, "ps is nan"),
        ({"timestep": -1}, "timestep is -1"),
        ({"timestep": 2000}, "must not be longer than the 1000 fs"),
        ({"temperature": -5}, "temperature is -5 K"),
        ({"thermostat": "berendsen"}, "no thermostat 'berendsen'"),
        ({"friction": np.inf}, "friction is inf"),
        ({"every": 0}, "every is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, why):
    with pytest.raises(DynamicsError, match=why):
        simulate(WATER, Springs.at_rest(WATER), **{"ps": 1, **wrong})


def test_a_start_without_an_energy_is_refused():
    with pytest.raises(DynamicsError, match="the energy of the start is no number"):
        simulate(WATER, failing(lambda: {"energy": np.nan}, after=0), ps=1)


def test_the_spectrum_of_a_diatomic_is_its_frequency():
    calculator = Springs.at_rest(CARBON_MONOXIDE, k=118.0)
    (expected,) = frequencies(CARBON_MONOXIDE, calculator).frequencies
    found = simulate(CARBON_MONOXIDE, calculator, ps=2, temperature=100)
    wavenumbers, density = spectrum(found)
    assert wavenumbers[1] == pytest.approx(1 / (units._c * 100 * 2e-12), rel=0.01)
    assert wavenumbers[density.argmax()] == pytest.approx(expected, abs=1.5 * wavenumbers[1])
    assert density.sum() * wavenumbers[1] == pytest.approx(1)
    near = np.abs(wavenumbers - expected) < 3 * wavenumbers[1]
    assert density[near].sum() * wavenumbers[1] > 0.99


def test_a_line_leaks_as_little_into_the_rest_as_through_hanns_window():
    """A wave between two of the periodogram's: without the window 4% of it lie more than five of them away."""
    short = simulate(CARBON_MONOXIDE, Springs.at_rest(CARBON_MONOXIDE), ps=0.01)
    number = 400
    wave = np.cos(2 * np.pi * 40.5 * np.arange(number) / number)
    velocities = wave[:, None, None] * np.array([[0, 0, 1.0], [0, 0, -1.0]])
    wavenumbers, density = spectrum(replace(short, times=2.0 * np.arange(number), velocities=velocities))
    far = np.abs(wavenumbers / wavenumbers[1] - 40.5) > 5
    assert density[far].sum() / density.sum() < 1e-3


def test_where_nothing_moves_there_is_no_spectrum():
    with pytest.raises(DynamicsError, match="nothing moves"):
        spectrum(simulate(ALONE, Springs.at_rest(ALONE), ps=0.1))
    with pytest.raises(DynamicsError, match="too few"):
        spectrum(simulate(WATER, Springs.at_rest(WATER), ps=0.001))
