"""`fused` is a project of its own: a wheel, used where there is SchNetPack and nothing of this repository."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fused

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "fused" / "pyproject.toml").read_text(encoding="utf-8"))["project"]

ALONE = """
import copy, importlib.util
import torch
from ase.build import molecule
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import SchNet
from schnetpack.transform import ASENeighborList

assert importlib.util.find_spec("analysis") is None
import fused

network = SchNet(16, 2, GaussianRBF(20, 5.0), CosineCutoff(5.0))
stock = NeuralNetworkPotential(network, [PairwiseDistances()], [Atomwise(16, output_key="energy")])
model = copy.deepcopy(stock)
print(fused.accelerate(model))
atoms = [molecule("C6H6"), molecule("H2O")]
expected = stock(AtomsConverter(ASENeighborList(5.0))(atoms))["energy"]
for neighbour_list in (ASENeighborList(5.0), fused.HalfNeighborList(5.0)):
    found = model(AtomsConverter(neighbour_list)(atoms))["energy"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
print(fused.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What the wheel holds, as pip would install it."""
    folder = tmp_path_factory.mktemp("wheel")
    built = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT / "fused", folder / "fused", ignore=built)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    words += ["--wheel-dir", folder, folder / "fused"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"schnet_fused-{PROJECT['version']}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_the_engine_and_nothing_else(installed):
    modules = {path.name for path in (ROOT / "fused").glob("*.py")}
    assert {path.name for path in (installed / "fused").iterdir()} == modules | {"py.typed"}
    assert [path.name for path in installed.iterdir() if path.suffix != ".dist-info"] == ["fused"]


def test_it_makes_schnetpacks_model_fast_where_there_is_schnetpack_alone(installed, tmp_path):
    paths = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    done = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", ALONE],  # without the links to this checkout in site-packages
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *said, place = done.stdout.splitlines()
    assert said[0] == "representation: SchNet, accelerated"
    assert Path(place).parent == installed / "fused"


def test_what_a_type_checker_sees_is_what_is_there():
    seen = ast.parse((ROOT / "fused" / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module.removeprefix("fused.")
        for node in ast.walk(seen)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fused.")
        for alias in node.names
    }
    assert imported == fused._PLACES
    assert sorted(fused.__all__) == sorted(imported)


def test_it_asks_for_what_it_imports():
    imported = set()
    for path in (ROOT / "fused").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    extras = PROJECT["optional-dependencies"].values()
    asked = {Requirement(text).name for texts in (PROJECT["dependencies"], *extras) for text in texts}
    brought = {"fused", "llvmlite"}  # the latter by numba
    assert imported - sys.stdlib_module_names - brought <= {name.replace("-", "_") for name in asked}
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert asked <= {Requirement(text).name for text in whole["dependencies"]}
    assert PROJECT["requires-python"] == whole["requires-python"]
