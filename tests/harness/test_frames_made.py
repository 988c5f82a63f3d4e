"""Frames are made of classical mechanics on GFN2-xTB's surface, and each is its molecule's alone."""

import subprocess
import sys
from pathlib import Path

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from filelock import FileLock
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis.data import frames as stored
from analysis.data import splits
from analysis.data.molecules import Molecules, to_ase
from harness import frames

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def small(qm9_molecules) -> Molecules:
    """Twelve molecules of at most eight atoms, two of them linear (acetylene and hydrogen cyanide)."""
    places = np.flatnonzero(qm9_molecules.n_atoms <= 8)
    return qm9_molecules.select(places[:12])


@pytest.fixture(scope="module")
def made(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    frames.make(small, folder, number=10, shard=4)
    return folder


def test_the_first_of_a_random_order_get_a_frame_near_its_molecule(small, made, qm9_molecules):
    assert sorted(path.name for path in made.glob("*.parquet")) == [f"xtb-md-{k:02d}.parquet" for k in range(3)]
    found = stored.read(made, "xtb-md", qm9_molecules)
    chosen = small.select(np.sort(frames.order(len(small))[:10]))
    np.testing.assert_array_equal(found.molecules.index, chosen.index)
    shift = np.linalg.norm(found.molecules.positions - chosen.positions, axis=1)
    assert 0.02 < np.sqrt((shift**2).mean()) < 0.7
    assert 0.5 < np.sqrt((found.forces**2).mean()) < 5
    at_rest = frames.made(chosen.select([0]))[0].molecules  # the same again, whoever is beside it
    np.testing.assert_array_equal(at_rest.positions, found.molecules.select([0]).positions)


def test_the_order_has_nothing_to_do_with_how_the_database_is_split(qm9_molecules):
    first = frames.order(len(qm9_molecules))[:1000]
    assert np.isin(first, splits.split(qm9_molecules, frames.SEED, 0.2).train).mean() == pytest.approx(0.8, abs=0.05)


def test_a_file_says_what_was_done(made):
    about = stored.about(made / "xtb-md-02.parquet")
    assert about.level == "GFN2-xTB"
    assert about.protocol == frames.protocol(8, 10)
    assert about.versions.keys() >= {"tblite", "ase", "python"}
    assert about.left_out == []


def test_forces_are_minus_the_slope_of_the_labels_energy(small, made):
    """Central differences over 0.001 Å: the third derivative adds 1e-4 eV/Å or so, the file's rounding 5e-4."""
    found = stored.read(made, "xtb-md", small)
    place = int(found.molecules.n_atoms.argmax())
    (atoms,) = to_ase(found.molecules.select([place]))
    forces = found.forces[slice(*found.molecules.offsets[place : place + 2])]
    for atom, axis in ((0, 0), (len(atoms) - 1, 2)):
        energies = []
        for sign in (1, -1):
            displaced = frames.heated(atoms, np.random.default_rng(0))
            displaced.positions[atom, axis] += sign * 1e-3
            energies.append(displaced.get_potential_energy())
        assert (energies[1] - energies[0]) / 2e-3 == pytest.approx(forces[atom, axis], abs=1e-3)
    assert frames.heated(atoms, np.random.default_rng(0)).get_potential_energy() == pytest.approx(
        found.molecules.energy[place], abs=1e-6
    )


def test_a_molecule_has_the_same_frame_in_any_order_and_another_with_another_seed(small):
    some = small.select([1, 4, 6])
    found, times, left_out = frames.made(some)
    again, other_times, _ = frames.made(some.select([2, 0, 1]))
    assert again.select([1, 2, 0]).molecules.fingerprint() == found.molecules.fingerprint()
    np.testing.assert_array_equal(again.select([1, 2, 0]).forces, found.forces)
    np.testing.assert_array_equal(other_times[[1, 2, 0]], times)
    assert left_out == []
    assert set(times) <= {15.0, 30.0, 45.0}
    another = frames.made(some, seed=1)[0]
    assert (another.molecules.energy != found.molecules.energy).all()


def test_all_times_are_drawn(small, monkeypatch):
    monkeypatch.setattr(frames, "moved", lambda atoms, _: atoms)
    (water,) = to_ase(small.select(np.flatnonzero(small.smiles == "O")))
    times = [frames.frame(water, index)[1] for index in range(60)]
    assert [times.count(steps) > 8 for steps in frames.STEPS] == [True, True, True]


def test_a_second_start_goes_on_with_what_is_missing(small, made, tmp_path, monkeypatch, capsys):
    for number in (0, 2):
        (tmp_path / f"xtb-md-{number:02d}.parquet").write_bytes((made / f"xtb-md-{number:02d}.parquet").read_bytes())
    true, asked = frames.made, []
    monkeypatch.setattr(frames, "made", lambda molecules, seed: asked.append(len(molecules)) or true(molecules, seed))
    frames.make(small, tmp_path, number=10, shard=4)
    assert asked == [4]
    assert capsys.readouterr().out.startswith("xtb-md-01.parquet: 4 molecules, 0 left out, ")
    for number in range(3):
        assert (tmp_path / f"xtb-md-{number:02d}.parquet").read_bytes() == (
            made / f"xtb-md-{number:02d}.parquet"
        ).read_bytes()


def test_a_file_made_in_another_way_is_not_gone_on_with(small, made):
    for change in ({"shard": 5}, {"seed": 1, "shard": 4}, {"number": 9, "shard": 4}):
        with pytest.raises(frames.OtherFramesError, match="was made in another way"):
            frames.make(small, made, **{"number": 10} | change)


def test_a_shard_that_another_process_makes_is_left_to_it(small, made, tmp_path, capsys, monkeypatch):
    (tmp_path / ".locks").mkdir()
    monkeypatch.setattr(frames, "made", lambda *_: pytest.fail("made twice"))
    with FileLock(tmp_path / ".locks" / "xtb-md-00.lock"):
        frames.make(small, tmp_path, number=4, shard=4)
    assert capsys.readouterr().out == "xtb-md-00.parquet: another process makes it\n"
    (tmp_path / "xtb-md-00.parquet").write_bytes((made / "xtb-md-00.parquet").read_bytes())
    frames.make(small, tmp_path, number=4, shard=4)


def test_two_processes_share_the_work(small, made, tmp_path):
    assert small.index[-1] == len(small)  # the first of QM9
    code = (
        "from pathlib import Path\nfrom analysis.data import qm9\nfrom harness import frames\n"
        f"frames.make(qm9.load().select(range({len(small)})), Path({str(tmp_path)!r}), number=10, shard=4)"
    )
    working = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [one.wait() for one in working] == [0, 0]
    for path in made.glob("*.parquet"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_molecules_whose_cycles_fail_or_that_no_file_can_hold_are_left_out_and_counted(
    small, tmp_path, monkeypatch, capsys
):
    true = frames.frame
    chosen = small.select(frames.order(len(small))[:4])
    fails, explodes = chosen.index[1], chosen.index[3]

    def frame(atoms: Atoms, index: int, seed: int) -> tuple[Atoms, int]:
        if index == fails:
            raise CalculationFailed("SCF not converged\nin 250 cycles")
        found, steps = true(atoms, index, seed)
        if index == explodes:
            found.calc.results["forces"] = 40 + found.get_forces()
        return found, steps

    monkeypatch.setattr(frames, "frame", frame)
    frames.make(small, tmp_path, number=4, shard=4)
    said = capsys.readouterr()
    assert "xtb-md-00.parquet: 2 molecules, 2 left out, " in said.out
    assert f"molecule {fails}: SCF not converged in 250 cycles\n" in said.err
    assert f"molecule {explodes}: it is too far from its start, or its forces are too large\n" in said.err
    assert stored.about(tmp_path / "xtb-md-00.parquet").left_out == sorted([fails, explodes])
    found = stored.read(tmp_path, "xtb-md", small)
    assert found.molecules.index.tolist() == sorted(chosen.index[[0, 2]])


def test_velocities_are_maxwell_and_boltzmanns_and_the_molecule_rests_as_a_whole(small):
    """Each degree of freedom that is no translation or rotation has kT/2: equal to within four standard errors."""
    rng = np.random.default_rng(0)
    kinetic, free = [], []
    for atoms in to_ase(small):
        heated = [frames.heated(atoms, rng) for _ in range(60)]
        assert np.abs([one.get_momenta().sum(axis=0) for one in heated]).max() < 1e-9
        assert np.abs([one.get_angular_momentum() for one in heated]).max() < 1e-9
        linear = atoms.get_moments_of_inertia()[0] < 1e-3
        kinetic += [one.get_kinetic_energy() for one in heated]
        free += [3 * len(atoms) - (5 if linear else 6)] * len(heated)
    assert sum(small.n_atoms) * 3 * 60 - sum(free) < 6 * 60 * len(small)  # some are linear
    temperature = 2 * sum(kinetic) / (ase.units.kB * sum(free))
    assert temperature == pytest.approx(frames.TEMPERATURE, rel=4 * np.sqrt(2 / sum(free)))


def test_energy_is_conserved_to_the_square_of_the_step(small):
    """As velocity Verlet promises; at 1 fs it goes up and down by some hundredths of the kinetic energy at most."""
    (atoms,) = to_ase(small.select(np.flatnonzero(small.smiles == "CO")))
    worst, half = {}, None
    for step in (1.0, 0.5):
        one = frames.heated(atoms, np.random.default_rng(1))
        start, kinetic = one.get_total_energy(), one.get_kinetic_energy()
        off = []
        for _ in range(round(30 / step)):
            frames.moved(one, 1, step)
            off.append(one.get_total_energy() - start)
        worst[step] = np.abs(off).max()
        half = one.get_kinetic_energy() / kinetic if step == 0.5 else half
    assert worst[1.0] < 0.05 * kinetic
    assert 3 < worst[1.0] / worst[0.5] < 5
    assert half < 0.9  # the other part stretches bonds


def test_the_command_makes_what_is_asked_for_and_refuses_in_a_line(small, made, tmp_path, monkeypatch):
    monkeypatch.setattr(frames.qm9, "load", lambda: small)
    asked = ["xtb-md", "--molecules", "3", "--shard", "3"]
    done = CliRunner().invoke(frames.app, [*asked, "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.startswith("xtb-md-00.parquet: 3 molecules, 0 left out, ")
    assert len(stored.read(tmp_path, "xtb-md", small)) == 3
    refused = CliRunner().invoke(frames.app, [*asked, "--out", str(made)])
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {made / 'xtb-md-00.parquet'} was made in another way")
    (path := tmp_path / "xtb-md-00.parquet").write_bytes(b"damaged")
    refused = CliRunner().invoke(frames.app, [*asked, "--out", str(tmp_path)])
    assert refused.exit_code == 1
    assert f"error: {path} can't be read" in refused.stderr
