"""The examples run as a reader would run them, with nothing but SchNetPack, and show what they say that they show."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TRAP = ROOT / "examples" / "trap.py"


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> str:
    """What the trap prints."""
    folder = tmp_path_factory.mktemp("elsewhere")
    found = subprocess.run([sys.executable, TRAP], cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 0, found.stderr
    assert list(folder.iterdir()) == [], "it leaves something behind"
    return found.stdout


@pytest.fixture(scope="module")
def shown(printed) -> tuple[np.ndarray, list[float]]:
    """A row per size (atoms, molecules, own mean, training mean, offset), and the numbers of the last line."""
    heading, *rows, last = printed.splitlines()
    assert heading.split()[:4] == ["atoms", "molecules", "own", "mean"]
    return np.array([[float(word) for word in row.split()] for row in rows]), [
        float(word) for word in last.split() if word.replace(".", "").isdigit()
    ]


def test_the_book_shows_what_it_prints(printed):
    """But for the last digits, which another processor may round in another way."""
    recorded = (ROOT / "results" / "trap" / "trap.txt").read_text(encoding="utf-8")
    number = re.compile(r"\d+\.?\d*")
    assert number.sub("", printed).split() == number.sub("", recorded).split()
    ours, theirs = ([float(found) for found in number.findall(text)] for text in (printed, recorded))
    assert ours == pytest.approx(theirs, rel=0.05, abs=0.005)


def test_the_own_mean_adds_the_offset_and_nothing_else(shown):
    table, _ = shown
    size, _, own, training, offset = table.T
    assert len(size) > 5
    # The cross term is 2·N·Δ·mean(e), and the mean of e is at most its root mean square.
    assert (np.abs(own - training - offset) <= 2 * np.sqrt(offset * training) + 0.002).all()
    assert own.max() > 10 * training[own.argmax()]


def test_with_the_training_mean_the_parts_average_to_the_whole_and_with_their_own_they_do_not(shown):
    table, (own, training, whole) = shown
    assert np.average(table[:, 2], weights=table[:, 1]) == pytest.approx(own, abs=0.001)
    assert training == pytest.approx(whole, abs=0.002)
    assert own > 2 * whole


def test_it_needs_schnetpack_alone_and_is_short():
    """Some forty lines, but for imports, docstrings, comments and what is empty."""
    tree = ast.parse(TRAP.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # All of these come with SchNetPack, or with Python.
    allowed = {"ase", "numpy", "pytorch_lightning", "schnetpack", "torch", *sys.stdlib_module_names}
    assert {name.split(".")[0] for name in imported} <= allowed
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            header = getattr(node, "body", None)
            last = header[0].lineno - 1 if header else node.end_lineno
            lines |= set() if is_text else set(range(node.lineno, last + 1))
    assert len(lines) <= 44
