"""The command `md`: a molecule of springs in place of the models, since what they say is tested elsewhere."""

import json
from types import SimpleNamespace

import ase.io
import pytest
from ase.build import molecule
from PIL import Image
from springs import OwnSprings
from typer.testing import CliRunner

from analysis.cli import commands, dynamics
from analysis.data.frames import FramesError


class TwoModels(OwnSprings):
    """Springs of a molecule's own lengths, as two models that agree."""

    records = (SimpleNamespace(id="one"), SimpleNamespace(id="other"))

    def __init__(self, models):
        assert models == ["recorded"]
        super().__init__()


@pytest.fixture(autouse=True)
def _two_models(monkeypatch):
    monkeypatch.setattr(dynamics, "default_records", lambda results: ["recorded"])  # noqa: ARG005
    monkeypatch.setattr(dynamics, "ForceCalculator", TwoModels)


@pytest.fixture
def water(tmp_path):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    return tmp_path / "water.xyz"


def md(*arguments: object):
    return CliRunner().invoke(commands.app, ["md", *map(str, arguments)])


def test_a_molecule_is_simulated_written_and_drawn(water, tmp_path):
    out, plot = tmp_path / "trajectory.extxyz", tmp_path / "health.png"
    done = md(water, "--ps", 0.5, "--timestep", 0.25, "--every", 20, "--relax", "--out", out, "--plot", plot)
    assert done.exit_code == 0, done.output
    said = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    said = {name: text.strip() for name, text in said.items()}
    assert said["molecule"].endswith("water.xyz (H2O, 3 atoms)")
    assert said["simulated"] == "0.5 of 0.5 ps in steps of 0.25 fs, at constant energy"
    assert said["models"] == "2, at most 0.02 eV/Å apart"
    assert said["relaxed"] == "in 0 steps"
    assert said["temperature"].endswith(" K on average, velocities drawn for 300 K")
    assert said["drift"].endswith("meV per atom and ps")
    assert said["bond that changed most"].startswith(("O1–H2, to ", "O1–H3, to "))
    assert said["verdict"].startswith("sound: whole, its energy conserved")
    assert [one.info["time_fs"] for one in ase.io.read(out, ":")] == [5.0 * k for k in range(101)]
    with Image.open(plot) as picture:
        columns, *rows = picture.text["Data"].splitlines()
    assert columns == "time_ps,total_energy_meV_per_atom,temperature_K"
    assert len(rows) == 101


def test_programs_get_json(water):
    done = md(water, "--ps", 0.1, "--langevin", "--json", "--seed", 3, "--temperature", 200)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["models"] == ["one", "other"]
    assert said["settings"] == {
        "ps": 0.1, "timestep": 0.5, "temperature": 200, "thermostat": "langevin", "friction": 2, "seed": 3, "every": 4
    }  # fmt: skip
    assert said["simulated_ps"] == pytest.approx(0.1)
    assert said["relaxed"] is None
    assert said["stopped"] == ""
    assert said["verdict"].startswith("sound: whole, at ")


def test_a_molecule_unlike_those_that_the_models_have_learnt_from_is_warned_of(water, monkeypatch):
    monkeypatch.setattr(TwoModels, "unlike", staticmethod(lambda _: ("3 atoms; they have 9", "and more")))
    done = md(water, "--ps", 0.01)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "warning: outside what the models know: 3 atoms; they have 9 (and 1 more)"

    def untold(_):
        raise FramesError("no frames")

    monkeypatch.setattr(TwoModels, "unlike", staticmethod(untold))
    (warning,) = json.loads(md(water, "--ps", 0.01, "--json").stdout)["warnings"]
    assert warning == "whether the models have learnt from molecules like it can't be told: no frames"


def test_a_simulation_that_is_stopped_ends_with_one_and_is_written_so_far(water, tmp_path, monkeypatch):
    monkeypatch.setattr(TwoModels, "k", 0.05)
    done = md(water, "--ps", 5, "--out", tmp_path / "trajectory.xyz", "--temperature", 2000)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("stopped after 0.")
    assert "times as long as before" in line
    assert 2 < len(ase.io.read(tmp_path / "trajectory.xyz", ":")) < 2500


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "md takes one molecule: name a file, or give a --smiles"),
        (["{water}", "--smiles", "O"], "md takes one molecule"),
        (["{two}"], "there are several"),
        (["{none}"], "there is no such file"),
        (["--smiles", "S"], "it holds S"),
        (["{water}", "--out", "frames.csv"], "must end in .xyz or .extxyz"),
        (["{water}", "--plot", "health.pdf"], "must end in .png"),
        (["{water}", "--plot", "/nowhere/health.png"], "no folder /nowhere"),
        (["{water}", "--ps", "-1"], "ps is -1: it must be positive"),
        (["{water}", "--run", "abc", "--results", "{folder}"], "there are no records in"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(arguments, why, water, tmp_path):
    two = tmp_path / "two.xyz"
    two.write_text(2 * water.read_text())
    named = {"water": water, "two": two, "none": tmp_path / "none.xyz", "folder": tmp_path}
    done = md(*(argument.format(**named) for argument in arguments))
    assert done.exit_code == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert why in line


def test_without_recorded_models_it_is_said_what_trains_them(water, tmp_path, monkeypatch):
    from analysis.predict.dynamics import default_records

    monkeypatch.setattr(dynamics, "default_records", default_records)
    done = md(water, "--results", tmp_path)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no models that have learnt forces are recorded in ")
    assert line.endswith("`python -m analysis run forces` trains them")
