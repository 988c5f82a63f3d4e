"""Reading what is recorded starts quickly; that imports point down is held by `make lint` (import-linter)."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis.figures
from tools import links, rooms

ROOT = Path(__file__).resolve().parent.parent

SLOW = ("torch", "pytorch_lightning", "schnetpack", "sklearn")
"""They take seconds to import, and serve to train and to compute alone."""
SHARED = {
    "boxes",
    "exercises",
    "groups",
    "provenance",
    "published",
    "simulation",
    "social_card",
    "structures",
    "style",
    "words",
}
"""The modules of figures that are named by their job: several pages or notebooks use them, or none."""
TRAINING = {"state_of_the_art_network"}
"""The figures that look into a network."""
READING = [
    "analysis.runs.records",
    "analysis.study",
    "analysis.data.qm9",
    "analysis.study.trials",
    "analysis.study.search",
    "analysis.training.recording",
    "analysis.training.repetition",
    "analysis.evaluation.verdicts",
    "analysis.evaluation.error_sources",
    "analysis.predict.applicability",
    "analysis.predict.geometries",
    "analysis.cli.commands",
    "harness.benchmark.figures",
    "harness.robustness.figures",
    *(f"analysis.figures.{found.name}" for found in pkgutil.iter_modules(analysis.figures.__path__)),
]


def slow_modules_after(code: str, slow: tuple[str, ...] = SLOW) -> list[str]:
    asked = f"import sys\n{code}\nprint('after:', *(name for name in {slow!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def test_reading_what_is_recorded_imports_nothing_slow():
    read = [module for module in READING if module.rsplit(".", 1)[1] not in TRAINING]
    found = slow_modules_after("".join(f"import {module}\n" for module in read))
    assert not found, (
        f"a module of READING imports {', '.join(found)}: find it with `python -X importtime -c 'import …'`"
    )


def test_the_molecules_are_there_without_the_readers_of_ases_files():
    """They bring half of SciPy along, in each of the book's pages."""
    assert (
        slow_modules_after(
            "from analysis import study\nfrom analysis.data import qm9\nfrom analysis.figures import style",
            ("ase.io", "ase.db"),
        )
        == []
    )


@pytest.mark.parametrize(
    "arguments", [["list", "baseline", "--seeds", "0"], ["show", "{id}"]], ids=lambda given: given[0]
)
def test_commands_that_read_import_nothing_slow(arguments):
    run_id = next((ROOT / "results" / "baseline").iterdir()).name
    given = [argument.format(id=run_id) for argument in arguments]
    found = slow_modules_after(f"from analysis.cli.commands import app\napp({given!r}, standalone_mode=False)")
    assert not found, f"`python -m analysis {' '.join(given)}` imports {', '.join(found)}"


def test_records_are_read_for_a_notebook_without_anything_slow():
    found = slow_modules_after(
        "from analysis import study\nfrom analysis.data import qm9\n"
        "assert study.load_or_train(study.BaselineParameters(), qm9.load())"
    )
    assert not found, f"`study.load_or_train` of recorded runs imports {', '.join(found)}"


def test_files_of_figures_are_named_as_the_pages_that_show_them():
    pages = {page.stem.replace("-", "_"): page.read_text(encoding="utf-8") for page in ROOT.glob("book/en/*.md")}
    modules = {found.name for found in pkgutil.iter_modules(analysis.figures.__path__)}
    for module in modules - SHARED:
        shown = [page for page in pages if module == page or module.startswith(f"{page}_")]
        assert shown, f"analysis/figures/{module}.py: no page has that name"
        page = max(shown, key=len)
        assert f"{module}." in pages[page] or f"import {module} " in pages[page], f"{page} does not use {module}"


@pytest.mark.parametrize("name", links.TARGETS)
def test_the_book_links_to_the_one_copy_at_the_top(name):
    links.make()  # refuses a copy: `sed -i` and some editors write over a link
    assert (ROOT / "book" / name).samefile(ROOT / name)


def test_the_picture_of_the_rooms_shows_todays_imports():
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), "draw it anew: python -m tools.rooms"
