"""A path is a text or a Path, at every door: whoever has one of them should not need to know which."""

import ast
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_molecules import water_and_methane

from analysis.data import databases, extxyz, frames, qm9
from analysis.data.files import check_output, naming, to_disk, whole_file
from analysis.data.molecules import Molecules
from analysis.data.tables import write_table
from analysis.evaluation import error_sources
from analysis.predict import geometries
from analysis.runs import measured, records
from analysis.study import sweeps
from analysis.training import callbacks, repetition

PACKAGE = Path(__file__).resolve().parents[2] / "analysis"
PATH = "str | os.PathLike[str]"
ALLOWED = {PATH, f"{PATH} | None", f"Iterable[{PATH}]", f"Collection[{PATH}]"}
NAMES = {"path", "paths", "file", "folder", "results", "logs", "cache_dir"}
"""What a path is called, also where its annotation knows a text alone."""


def public_functions(nodes: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in nodes:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}.{node.name}")
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield f"{prefix}.{node.name}", node


def path_parameters(function: ast.FunctionDef) -> list[ast.arg]:
    if any("command" in ast.unparse(decorator) for decorator in function.decorator_list):
        return []  # typer makes its Paths
    given = function.args
    return [
        one
        for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)
        if one.annotation is not None
        and ("Path" in (kind := ast.unparse(one.annotation)) or (one.arg in NAMES and kind.startswith("str")))
    ]


DOORS = {
    name: function
    for file in sorted(PACKAGE.rglob("*.py"))
    for name, function in public_functions(
        ast.parse(file.read_text(encoding="utf-8")).body,
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts),
    )
    if path_parameters(function)
}


def test_there_are_doors():
    assert len(DOORS) > 40
    assert any(name.endswith("databases.read") for name in DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_a_public_path_is_text_or_path(name: str):
    for one in path_parameters(DOORS[name]):
        assert ast.unparse(one.annotation) in ALLOWED, f"{name}: {one.arg}: write {PATH}"


@pytest.mark.parametrize("name", DOORS)
def test_a_text_becomes_a_path_before_it_is_asked_for_anything(name: str):
    """`path.name` and `path / "a"` stand behind `path = Path(path)`; so does a call of a private function."""
    function = DOORS[name]
    for one in path_parameters(function):
        for statement in function.body:
            made = [node for node in ast.walk(statement) if is_path_of(node, one.arg)]
            if isinstance(statement, ast.Assign) and made and one.arg in ast.unparse(statement.targets[0]):
                break
            assert not (wrong := uses(statement, one.arg)), f"{name}: {one.arg} may be a text in {wrong[0]}"


def is_path_of(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Path"
        and any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
    )


def uses(statement: ast.stmt, name: str) -> list[str]:
    """Where a text would not do."""

    def is_it(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == name

    found = []
    for node in ast.walk(statement):
        asked = isinstance(node, ast.Attribute) and is_it(node.value)
        joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and is_it(node.left)
        private = (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2].startswith("_")
            and any(map(is_it, node.args))
        )
        if asked or joined or private:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("as_given", [str, Path])
def test_molecules_are_written_and_read_by_text_and_by_path(tmp_path: Path, as_given: type):
    molecules = water_and_methane()
    database, xyz = as_given(tmp_path / "a.db"), as_given(tmp_path / "a.xyz")
    databases.write(database, molecules, energy_unit="eV")
    extxyz.write(xyz, molecules)
    for read in (databases.read(database), extxyz.read(xyz), extxyz.read(as_given(tmp_path))):
        np.testing.assert_array_equal(read.energy, molecules.energy)
    assert [len(one.atoms) for one in geometries.read_file(xyz)] == [3, 5]
    qm9.write_cache(as_given(tmp_path / "a.safetensors"), molecules, "1")
    assert qm9.read_cache(as_given(tmp_path / "a.safetensors"), "1").fingerprint() == molecules.fingerprint()
    with pytest.raises(FileNotFoundError):
        qm9.read_csv_parts([as_given(tmp_path / "none.csv")])
    with whole_file(as_given(tmp_path / "a.txt")) as partial:
        partial.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def write_a_line(path: str) -> None:
    with whole_file(path) as partial:
        partial.write_text("whole")


READERS = {
    "databases.read": databases.read,
    "extxyz.frames": lambda path: list(extxyz.frames(path)),
    "extxyz.read": extxyz.read,
    "frames.read": lambda path: frames.read(path, "some", water_and_methane()),
    "frames.about": frames.about,
    "qm9.read_csv_parts": lambda path: qm9.read_csv_parts([path]),
    "geometries.read_file": lambda path: said_of(geometries.read_file(f"{path}.xyz")),
    "error_sources.load": lambda path: error_sources.load("default", folder=path),
    "records.outline": records.outline,
    "records.load": records.load,
    "records.sha256": records.sha256,
    "measured.read": lambda path: measured.read(path, measured.Git, ValueError, "make it"),
    "repetition.load_all": repetition.load_all,
    "sweeps.load_sweep": lambda path: sweeps.load_sweep(f"{path}.yaml"),
    "callbacks.read_checkpoint": callbacks.read_checkpoint,
    "files.to_disk": to_disk,
}
WRITERS = {
    "databases.write": lambda path: databases.write(f"{path}.db", water_and_methane()),
    "extxyz.write": lambda path: extxyz.write(path, water_and_methane()),
    "frames.write": lambda path: write_frames(path, water_and_methane()),
    "qm9.write_cache": lambda path: qm9.write_cache(path, water_and_methane(), "1"),
    "tables.write_table": lambda path: write_table(pd.DataFrame({"a": [1]}), path),
    "files.whole_file": write_a_line,
    "files.check_output": check_output,
}


def write_frames(path: str, own: Molecules) -> None:
    placed = replace(own, positions=frames.rounded(own.positions))
    labelled = frames.Labelled(placed, np.zeros(own.positions.shape), "none")
    frames.write(path, labelled, own, np.zeros(len(own)), protocol={}, versions={})


def said_of(found: Iterator[geometries.Geometry]) -> None:
    first = next(found)
    raise OSError(f"{first.name}: {first.trouble}")


def refused(door: Callable[[str], object], path: Path) -> str:
    with pytest.raises(Exception, match=re.escape(str(path))) as error:
        door(str(path))
    said = str(error.value)
    assert "Errno" not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", READERS)
def test_a_missing_path_is_named_in_words(name: str, tmp_path: Path):
    refused(READERS[name], tmp_path / "none")
    refused(READERS[name], tmp_path / "folder" / "none")


@pytest.mark.parametrize("name", WRITERS)
def test_an_unwritable_path_is_refused_in_words_with_advice(name: str, tmp_path: Path):
    assert f"there is no folder {tmp_path / 'none'}: make it" in refused(WRITERS[name], tmp_path / "none" / "one")
    (tmp_path / "file").write_text("")
    assert "lies within a file" in refused(WRITERS[name], tmp_path / "file" / "one")
    for ending in ("", ".db"):
        (tmp_path / f"folder{ending}").mkdir()
    assert "folder" in refused(WRITERS[name], tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder", "folder.db"]


def test_a_full_disk_and_missing_rights_are_said_in_words(tmp_path: Path):
    for code, words in ((errno.ENOSPC, "the disk is full: make room"), (errno.EACCES, "no permission to")):
        with pytest.raises(OSError, match=f"one: {words}") as error, naming(tmp_path / "one"):
            raise OSError(code, os.strerror(code))
        assert type(error.value) is type(OSError(code, ""))
