"""Words: every message of the sources has its Catalan in the catalogue, and the catalogue holds no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from analysis.figures import words

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for part in ("analysis", "harness", "book/_ext")
    for path in sorted((ROOT / part).rglob("*.py"))
    if "from analysis.figures.words import" in path.read_text(encoding="utf-8")
]
SAME = {
    "(a) SchNetPack",
    "B3LYP/6-31G(2df,p)",
    "(c) PyTorch Geometric",
    "Beyond",
    "Custom",
    "Default",
    "Descriptor",
    "Element",
    "MAE (meV)",
    "MSE (eV²)",
    "Model",
    "N, nitrogen",
} | {
    "32 bytes / 64 bytes",
    "GFN2-xTB",
    "H4",
    "Geometries",
    "Models",
    "No",
    "PaiNN",
    "QM9 (cm⁻¹)",
    "RMSE (meV)",
    "SMILES",
    "SchNet",
    "Error",
    "Error (meV)",
    "U0",
    "Zwitterions",
    "commit {commit}",
    "zwitterions",
    "no",
    "{value} meV",
}
"""Messages that are the same in Catalan."""


def literal(node: ast.expr) -> Iterator[str]:
    """The messages that stand in an argument: one, one of two, or a table's."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*literal(node.body), *literal(node.orelse))
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from literal(value)


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_the_messages_of_the_sources_are_those_of_the_catalogue():
    found = {
        text for path in SOURCES for call in calls(path, "say", "mark", "messages") for text in literal(call.args[0])
    }
    assert found - set(words.catalan()) == set(), "add these to ca.po"
    assert set(words.catalan()) - found == set(), "nothing says these: delete them from ca.po"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_entry_of_a_table_of_messages_is_a_message(path):
    for call in calls(path, "mark", "messages"):
        (given,) = call.args
        parts = given.values if isinstance(given, ast.Dict) else [given]
        assert all(list(literal(part)) for part in parts), ast.unparse(call)
    assert not [ast.unparse(call) for call in calls(path, "say") if isinstance(call.args[0], ast.JoinedStr)]


def test_both_texts_of_a_message_are_whole_and_have_the_same_places_to_fill():
    for english, catalan in words.catalan().items():
        assert all(text.strip() == text and text for text in (english, catalan)), english
        assert placeholders(english) == placeholders(catalan), english
        assert english.count("%s") == catalan.count("%s"), english
    assert {english for english, catalan in words.catalan().items() if english == catalan} == SAME


def test_alternative_texts_are_sentences_that_hold_no_number():
    alts = [
        text
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "alt" and isinstance(node.value, ast.Call)
        for text in literal(node.value.args[0])
    ]
    assert len(alts) > 40
    for english in alts:
        for text in (english, words.catalan()[english]):
            assert text.endswith("."), text
            assert len(text) > 80, text
            assert not re.search(r"\d", text), text


def test_a_message_is_said_with_its_places_filled():
    assert words.say("threshold: {share}", "ca", share="1 %") == "llindar: 1 %"
    assert words.say("threshold: {share}", "en", share="1%") == "threshold: 1%"


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_a_message_without_catalan_is_refused_in_either_language(lang):
    with pytest.raises(LookupError, match=r"ca\.po has no Catalan for 'no such message'"):
        words.say("no such message", lang)


def test_tables_of_messages_cannot_be_changed():
    table = words.messages({"one": "Model"})
    for mapping in (table, words.catalan()):
        with pytest.raises(TypeError):
            mapping["one"] = "Run"
