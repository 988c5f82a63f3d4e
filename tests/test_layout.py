"""The house is easy to see: a module of `analysis` imports only from the floors below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools import links

PACKAGE = Path(__file__).resolve().parent.parent / "analysis"
FLOORS = {
    "checkout": 0,
    "molecules": 1,
    "arms": 1,
    "thesis": 1,
    "weights": 1,
    "soap": 1,
    "console": 1,
    "conformers": 1,
    "electrons": 1,
    "failures": 1,
    "stretches": 1,
    "parameters": 1,
    "qm9": 2,
    "pairs": 2,
    "subsets": 2,
    "extxyz": 2,
    "benchmark": 2,
    "databases": 3,
    "geometries": 6,
    "batches": 3,
    "census": 3,
    "descriptors": 3,
    "offsets": 3,
    "callbacks": 3,
    "config": 3,
    "robustness": 3,
    "repetitions": 3,
    "choice": 4,
    "errors": 4,
    "records": 4,
    "sweeps": 4,
    "decomposition": 5,
    "domain": 5,
    "schnet": 5,
    "training": 6,
    "trials": 5,
    "verdicts": 5,
    "accuracy": 6,
    "runs": 7,
    "pruning": 7,
    "reproduction": 8,
    "search": 8,
    "study": 8,
    "drivers": 9,
    "predict": 9,
    "calculator": 10,
    "figures": 10,
    "runner": 10,
    "commands": 11,
    "__main__": 12,
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("analysis.")}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "analysis":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("analysis."):
            found.add(node.module.split(".")[1])
        else:
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return found


ENGINE = sorted((PACKAGE.parent / "fused").rglob("*.py"))
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path):
    assert room(path) in FLOORS, f"{path} is on no floor: give it one in FLOORS and in design order"
    here = FLOORS[room(path)]
    upward = {name for name in imported_rooms(path) - {room(path)} if FLOORS[name] >= here}
    assert not upward, f"{path} imports {sorted(upward)} from its own floor or above"


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_the_engine_knows_nothing_of_the_analysis(path: Path):
    assert "analysis" not in path.read_text(encoding="utf-8")


def test_every_floor_has_its_room():
    assert {room(path) for path in MODULES} == set(FLOORS)


SLOW = ("torch", "pytorch_lightning", "schnetpack", "sklearn")
"""They take seconds to import, and serve to train and to compute alone."""
TRAINING = {"architecture"}
"""The figures that look into a network."""
READING = [
    "analysis.runs.records",
    "analysis.study",
    "analysis.data.qm9",
    "analysis.study.trials",
    "analysis.evaluation.verdicts",
    "analysis.evaluation.error_sources",
    "analysis.predict.applicability",
    "analysis.predict.geometries",
    "analysis.study.search",
    "analysis.cli.commands",
    *sorted(f"analysis.figures.{path.stem}" for path in PACKAGE.glob("figures/[a-z]*.py") if path.stem not in TRAINING),
]


def slow_modules_after(code: str, slow: tuple[str, ...] = SLOW) -> list[str]:
    asked = f"import sys\n{code}\nprint('after:', *(name for name in {slow!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("module", READING)
def test_reading_what_is_recorded_imports_nothing_slow(module):
    found = slow_modules_after(f"import {module}")
    assert not found, f"`import {module}` imports {', '.join(found)}: see `python -X importtime -c 'import {module}'`"


def test_the_molecules_are_there_without_the_readers_of_ases_files():
    """They bring half of SciPy along, in each of the book's pages."""
    assert (
        slow_modules_after("from analysis import qm9, study\nfrom analysis.figures import style", ("ase.io", "ase.db"))
        == []
    )


@pytest.mark.parametrize(
    "arguments", [["list", "baseline", "--seeds", "0"], ["show", "{id}"]], ids=lambda given: given[0]
)
def test_commands_that_read_import_nothing_slow(arguments):
    run_id = next((PACKAGE.parent / "results" / "baseline").iterdir()).name
    given = [argument.format(id=run_id) for argument in arguments]
    found = slow_modules_after(f"from analysis.cli.commands import app\napp({given!r}, standalone_mode=False)")
    assert not found, f"`python -m analysis {' '.join(given)}` imports {', '.join(found)}"


def test_records_are_read_for_a_notebook_without_anything_slow():
    found = slow_modules_after(
        "from analysis import qm9, study\nassert study.load_or_train(study.BaselineParameters(), qm9.load())"
    )
    assert not found, f"`study.load_or_train` of recorded runs imports {', '.join(found)}"


@pytest.mark.parametrize("name", links.TARGETS)
def test_the_book_links_to_the_one_copy_at_the_top(name):
    links.make()  # refuses a copy: `sed -i` and some editors write over a link
    assert (PACKAGE.parent / "book" / name).samefile(PACKAGE.parent / name)
