# ruff: noqa: E402
"""The book's page that predicts, as the harness measures it: a short run, and the record that the book shows."""

import random
import sys
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Error
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from analysis.figures.words import LANGUAGES
from harness.robustness import figures, page
from harness.robustness import record as robustness
from harness.robustness.__main__ import app as harness


class Silent:
    """A page of a browser that is never asked."""

    def on(self, *_: object) -> None:
        pass

    def evaluate(self, _: str) -> None:
        pass


@pytest.fixture
def targets(tmp_path) -> page.PageTargets:
    return page.PageTargets(Silent(), tmp_path)


def test_a_short_measurement_finds_nothing_wrong_and_comes_back(tmp_path):
    out = tmp_path / "page.json"
    result = CliRunner().invoke(harness, ["page", "--quick", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = robustness.load_page(out)
    assert found.quick
    assert [(one.name, one.inputs, one.wrong) for one in found.answers] == [("smiles", 20, 0), ("xyz", 20, 0)]
    assert all(one.refused + one.same + one.other == one.inputs for one in found.answers)
    assert any(one.refused for one in found.answers)
    steps = {(one.what, one.slowdown) for one in found.times}
    assert steps == set(product(("open", "geometry", "networks", "slider"), page.SLOWDOWNS))
    out.write_text(out.read_text().replace('"inputs": 20', '"inputs": 0'))
    with pytest.raises(robustness.RobustnessError, match=r"run `python -m harness\.robustness page` again"):
        robustness.load_page(out)


@pytest.mark.parametrize("said", ["", " \n", "U0\n– eV", "NaN eV", "Refused: it has {count} atoms", "undefined"])
def test_an_answer_that_says_nothing_is_wrong(targets, monkeypatch, said):
    monkeypatch.setattr(targets, "say", lambda _name, _text: said)
    assert targets.fuzz("smiles", random.Random(0))[0] == "wrong"


def test_a_page_that_fails_or_hangs_is_noticed(targets, monkeypatch):
    def fails(_name, _text):
        targets.errors.append("TypeError: x is null")
        return "Refused: it has no atoms"

    def hangs(_name, _text):
        raise Error("Timeout")

    for misbehaves, said in ((fails, "x is null"), (hangs, "Timeout")):
        monkeypatch.setattr(targets, "say", misbehaves)
        answer, words = targets.fuzz("xyz", random.Random(0))
        assert answer == "wrong"
        assert said in words


def test_what_is_refused_and_what_is_predicted_are_told_apart(targets, monkeypatch):
    answers = iter(["Refused: it has no atoms\nGive a number all the same", "C₂H₆O\n33.0 eV", "C₂H₆O\n33.0 eV"])
    monkeypatch.setattr(targets, "say", lambda _name, _text: next(answers))
    assert targets.fuzz("smiles", random.Random(0)) == ("refused", "it has no atoms")
    assert targets.fuzz("smiles", random.Random(0)) == ("same", "")


def test_the_committed_record_is_whole_and_nothing_went_wrong():
    found = robustness.load_page()
    assert not found.quick
    assert found.git.clean
    assert [(one.name, one.wrong) for one in found.answers] == [("smiles", 0), ("xyz", 0)]
    assert min(one.inputs for one in found.answers) == page._INPUTS


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_tables_show_the_record(lang):
    record, found = robustness.load(), robustness.load_page()
    table = figures.page_table(found, lang=lang)
    assert table.shape == (4, len(page.SLOWDOWNS))
    assert table.notna().all(axis=None)
    rows = figures.fuzzing_table(record, found, lang=lang)
    assert len(rows) == len(record.fuzz_targets) + len(found.answers)
    inputs = sum(one.inputs for one in (*record.fuzz_targets, *found.answers))
    said = figures.facts(record, found, lang=lang)["inputs"]
    assert int(said.replace(".", "").replace(",", "")) == inputs
