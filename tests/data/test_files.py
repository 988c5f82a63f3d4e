import os
from pathlib import Path

import pytest

from analysis.data.files import make_folder, put_folder, remove_leftovers, whole_file


def test_a_file_is_on_the_disk_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.txt"
    seen = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append((os.fstat(file).st_size, path.exists())))
    with whole_file(path) as temporary:
        temporary.write_text("whole")
    assert seen[0] == (5, False)
    assert [there for _, there in seen] == [False, True]  # its name in the folder comes last
    assert path.read_text() == "whole"


@pytest.mark.parametrize("before", [None, "what was there"])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, before: str | None):
    path = tmp_path / "a.txt"
    if before is not None:
        path.write_text(before)
    with pytest.raises(RuntimeError, match="half way"), whole_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert [file.read_text() for file in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_folder_comes_into_its_place_whole_and_never_in_anothers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, path, synced = tmp_path / "new", tmp_path / "a" / "record", []
    make_folder(path.parent)
    whole.mkdir()
    (whole / "one").write_text("1")
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    put_folder(whole, path)
    assert synced == [whole / "one", whole, path.parent]
    whole.mkdir()
    (whole / "one").write_text("2")
    with pytest.raises(FileExistsError, match="record: it is there already"):
        put_folder(whole, path)
    assert (path / "one").read_text() == "1"


def test_what_killed_processes_left_is_removed_when_nobody_can_be_writing_it(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("whole")
    names = [f".a.txt.{number}-00.partial" for number in (1, 2)] + [".b.txt.1-00.partial"]
    for name in names:
        (tmp_path / name).write_text("half")
    for name in (names[0], names[2]):
        os.utime(tmp_path / name, (0, 0))
    remove_leftovers(path)
    assert {file.name for file in tmp_path.iterdir()} == {"a.txt", *names[1:]}


def test_a_full_disk_says_what_was_being_written(tmp_path: Path, full_disk):
    with full_disk(10), pytest.raises(OSError, match=str(tmp_path / "a.txt")), whole_file(tmp_path / "a.txt") as half:
        half.write_text("more than ten letters")
    assert list(tmp_path.iterdir()) == []
