"""Many molecules at once move as each would alone."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from small_networks import made_up_record
from springs import PackedSprings, Springs

from analysis.predict.batched import move, potentials
from analysis.predict.dynamics import ForceCalculator, simulate, thermal

WATER, DIOXIDE = molecule("H2O"), Atoms("OCO", [[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]])
MONOXIDE = Atoms("CO", [[0, 0, 0], [0, 0, 1.13]])


def heated(atoms: Atoms, seed: int, temperature: float = 300.0) -> Atoms:
    found = atoms.copy()
    found.set_momenta(thermal(found, temperature, np.random.default_rng(seed))[0])
    return found


def test_without_friction_each_goes_the_way_that_ase_takes_it():
    given = [heated(WATER, 3), heated(DIOXIDE, 4)]
    found = move(given, [PackedSprings([WATER, DIOXIDE])], 100, temperature=300, every=2)
    for place, (one, seed) in enumerate(((WATER, 3), (DIOXIDE, 4))):
        alone = simulate(one, Springs.at_rest(one), ps=0.05, seed=seed, every=2)
        np.testing.assert_allclose(given[place].positions, alone.positions[-1], atol=1e-9)
        np.testing.assert_allclose(given[place].get_velocities() * units.fs, alone.velocities[-1], atol=1e-9)
        np.testing.assert_allclose(found.total[:, place], alone.total, atol=1e-9)
        assert found.bonds[place].name == alone.health.bond
        assert found.change[-1, place] == found.bonds[place].change == pytest.approx(alone.health.bond_change)
    np.testing.assert_allclose(found.times, alone.times)
    assert found.stopped == ["", ""]
    assert found.until.tolist() == [50, 50]
    assert np.isnan(found.spread).all()


def test_no_path_depends_on_the_company_even_when_some_leave():
    def gone(*molecules: tuple[Atoms, Springs]) -> dict[str, Atoms]:
        given = [heated(one, 1) for one, _ in molecules]
        springs = PackedSprings([one for one, _ in molecules], [of for _, of in molecules])
        rngs = [np.random.default_rng(len(one)) for one in given]
        found = move(given, [springs], 200, temperature=300, friction=5.0, rngs=rngs)
        assert found.stopped == ["" if len(one) == 3 else "bond" for one in given]
        return {one.get_chemical_formula(): one for one in given}

    loose = MONOXIDE, Springs({(0, 1): (0.3, 2.6)})
    firm = [(one, Springs.at_rest(one)) for one in (WATER, DIOXIDE)]
    together = gone(firm[0], loose, firm[1])
    for one, of in (*firm, loose):
        alone = gone((one, of))[one.get_chemical_formula()]
        np.testing.assert_allclose(alone.positions, together[one.get_chemical_formula()].positions, atol=1e-9)


def test_under_langevin_each_degree_of_freedom_has_its_half_of_kt_and_the_centre_rests():
    given = [heated(WATER, 0)]
    springs = PackedSprings([WATER], [Springs.at_rest(WATER, k=5.0)])
    kept = {"temperature": 300, "timestep": 1.0, "friction": 100.0, "rngs": [np.random.default_rng(1)], "every": 1}
    found = move(given, [springs], 6000, **kept)
    # 9 degrees of freedom, forgotten in some 10 fs: the standard error is a few per cent
    assert found.total.mean() == pytest.approx(9 / 2 * units.kB * 300, rel=0.15)
    assert np.abs(given[0].get_momenta().sum(axis=0)).max() < 1e-9
    np.testing.assert_allclose(given[0].get_center_of_mass(), WATER.get_center_of_mass(), atol=1e-9)


def test_what_stops_a_molecule_stops_it_alone():
    loose = Springs({(0, 1): (0.3, 2.6)})
    start = MONOXIDE.copy()
    given = [start, heated(WATER, 0), heated(DIOXIDE, 0)]
    one, other = (
        PackedSprings([MONOXIDE, WATER, DIOXIDE], [loose, Springs.at_rest(WATER), Springs.at_rest(DIOXIDE, k=k)])
        for k in (30.0, 34.0)
    )
    found = move(given, [one, other], 400, temperature=300, every=4, most_spread=0.05)
    alone = simulate(MONOXIDE, loose, ps=0.2, temperature=0)
    assert found.stopped[:2] == ["bond", ""]
    assert found.bonds[0].change == pytest.approx(alone.health.bond_change)
    assert found.until[:2].tolist() == [alone.times[-1], 200]
    np.testing.assert_allclose(start.positions, alone.positions[-1], atol=1e-9)
    last = int(found.until[0] / 2)
    assert np.isfinite(found.total[:last, 0]).all()
    assert np.isnan(found.total[last + 1 :, 0]).all()
    assert found.stopped[2] == "spread"
    assert found.spread[2] > 0.05
    assert found.spread[1] < 1e-6
    hot = move([MONOXIDE.copy()], [PackedSprings([MONOXIDE], [Springs({(0, 1): (300.0, 1.32)})])], 400, temperature=300)
    assert hot.stopped == ["heat"]
    assert 0 < hot.until[0] < 20


def test_bonds_may_count_from_another_start():
    stretched = MONOXIDE.copy()
    stretched.positions[1, 2] = 1.5
    springs = PackedSprings([MONOXIDE], [Springs({(0, 1): (1.0, 1.5)})])
    assert move([stretched.copy()], [springs], 4, temperature=0).change[0] == [1.0]
    counted = move([stretched.copy()], [springs], 4, temperature=0, starts=[MONOXIDE])
    assert counted.change[0] == pytest.approx([1.5 / 1.13])


def test_energies_and_spread_are_those_of_the_force_calculator():
    records = [made_up_record(seed) for seed in (0, 1)]
    given = [molecule("CH3CH2OH") for _ in range(2)]
    for seed, one in enumerate(given):
        one.rattle(0.05, seed=seed)
    found = move([one.copy() for one in given], potentials(records), 0, temperature=0)
    energies, spreads = [], []
    for one in given:
        one.calc = ForceCalculator(records)
        energies.append(one.get_potential_energy())
        spreads.append(one.calc.results["forces_spread"])
    assert found.total[0, 1] - found.total[0, 0] == pytest.approx(energies[1] - energies[0], abs=1e-4)
    assert found.spread == pytest.approx(spreads, abs=1e-5)
