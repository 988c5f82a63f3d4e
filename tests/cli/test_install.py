"""The package, installed without the checkout: it brings the models that `predict` takes, and writes nothing there."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from analysis.predict import dynamics, ensemble
from analysis.runs import records

ROOT = Path(__file__).resolve().parents[2]
PIP = ("--quiet", "--no-deps", "--no-index")


def python(*words: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", records.RESULTS_VARIABLE)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=env | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """What a wheel is built from: builds leave things behind, which the checkout is spared."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("analysis", "fused", "results/beyond", "results/geometries", "results/forces", "results/prediction"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return folder


@pytest.fixture(scope="module")
def wheel(source) -> Path:
    done = python("-m", "pip", "wheel", *PIP, "--no-build-isolation", "--wheel-dir", "out", ".", folder=source)
    assert done.returncode == 0, done.stderr
    (found,) = (source / "out").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = python("-m", "pip", "install", *PIP, "--target", folder, wheel, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def standing(folder: Path) -> set[Path]:
    """All files but compiled code, which Python and numba keep beside its source."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_records_of_the_models_and_no_others(wheel, qm9_molecules):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("analysis/models/")]
        sizes = {name: archive.getinfo(name).file_size for name in names}
    predicting = ensemble.Ensemble(ensemble.default_records(qm9_molecules), qm9_molecules)
    asked = [*predicting.records, *predicting.approximate.records, *dynamics.default_records()]
    of_runs = {
        f"analysis/models/{one.config.experiment}/{one.id}/{name}": (one.folder / name).stat().st_size
        for one in asked
        for name in (*records.files_of(one.config), records.DESCRIPTION)
    }
    assert set(names) == of_runs.keys() | {"analysis/models/prediction/intervals.json"}
    assert of_runs.items() <= sizes.items()
    assert not (ROOT / "analysis" / "models").exists()


def test_the_wheel_says_that_its_packages_are_typed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert {"analysis/py.typed", "fused/py.typed"} <= set(archive.namelist())


def test_a_source_distribution_holds_them_too(source):
    done = python("setup.py", "--quiet", "sdist", "--formats", "zip", folder=source)
    assert done.returncode == 0, done.stderr
    (found,) = (source / "dist").glob("*.zip")
    with zipfile.ZipFile(found) as archive:
        names = archive.namelist()
    models = [name for name in names if re.search(r"/results/(beyond|geometries|forces)/\w+/model.safetensors$", name)]
    assert len(models) == 15
    assert any(name.endswith("/results/prediction/intervals.json") for name in names)


def test_an_editable_installation_warns_of_nothing(source, tmp_path):
    code = "from setuptools import build_meta; build_meta.build_editable(__import__('sys').argv[1])"
    done = python("-W", "error", "-c", code, tmp_path, folder=source)
    assert done.returncode == 0, done.stderr
    assert not (source / "analysis" / "models").exists()


def test_predict_works_anywhere(installed, tmp_path):
    before = standing(installed)
    command = installed / "bin" / "schnet-qm9"
    done = python(command, "predict", "--smiles", "CCO", folder=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^CCO +C2H6O +-421[67]\.\d{3} ", done.stdout, re.MULTILINE)
    assert standing(installed) == before
    assert list(tmp_path.iterdir()) == []


INVOKED = """
import json, sys
from typer.testing import CliRunner
from analysis.cli.commands import app
from analysis.runs import checkout, records
invoked = [CliRunner().invoke(app, words, env=environment) for words, environment in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.stderr) for one in invoked]))
print(records.results_folder(), checkout.git_state())
"""


def test_reading_and_writing_elsewhere_is_reported_in_one_line(installed, tmp_path):
    here, there = tmp_path / "results", ROOT / "results"
    asked = [
        (["show", "3fcb6d"], {}),
        (["show", "3fcb6d"], {"COMPENDIUM_RESULTS": str(there)}),
        (["verdicts"], {}),
        (["run", "baseline", "--seeds", "0"], {"COMPENDIUM_RESULTS": str(there)}),  # which is recorded
    ]
    done = python("-W", "ignore", "-c", INVOKED, json.dumps(asked), folder=tmp_path, PYTHONPATH=str(installed))
    said, place = done.stdout.splitlines()
    missing, shown, unjudged, recorded = map(tuple, json.loads(said))
    names = "--results, or COMPENDIUM_RESULTS, names"
    assert missing == (1, f"error: there are no records in {here}: {names} the folder that holds them\n")
    assert shown == (0, "")
    code, line = unjudged
    assert (code, line.count("\n")) == (1, 1)
    assert f"are not recorded in {here}: " in line
    assert names in line
    assert recorded == (0, f"records go to {there}\n")
    assert (place, done.stderr) == (f"{here} None", "")
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_says_its_version(wheel, installed, tmp_path):
    done = python(installed / "bin" / "schnet-qm9", "--version", folder=tmp_path, PYTHONPATH=str(installed))
    version = wheel.name.split("-")[1]  # without a commit: the package that is asked is the installed one
    assert (done.returncode, done.stdout) == (0, f"schnet-qm9-compendium {version}\n"), done.stderr
