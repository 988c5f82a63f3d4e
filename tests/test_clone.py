"""A clone as Git for Windows makes it by default has our line endings, and the build makes the links that it lacks."""

import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.evaluation import error_sources
from analysis.runs import records
from tools import links

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path("results/beyond/3fcb6de57a53")
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """Of a repository of the files here, with the settings of Git for Windows; of the records it has a few."""
    links.make()
    folder = tmp_path_factory.mktemp("clones")
    git(folder, "init", "--quiet", "--bare", "original")
    ours = (
        "-c",
        "core.bare=false",
        "-c",
        "core.autocrlf=false",
        f"--git-dir={folder / 'original'}",
        f"--work-tree={ROOT}",
    )
    git(ROOT, *ours, "add", "--", ".", ":(exclude)results")
    git(ROOT, *ours, "add", "--", str(RECORD), "results/drivers")
    git(ROOT, *ours, *AUTHOR, "commit", "--quiet", "--no-verify", "--message", "all")
    git(folder, "clone", "--quiet", "-c", "core.autocrlf=true", "-c", "core.symlinks=false", "original", "clone")
    return folder / "clone"


def test_every_file_is_the_same_to_the_byte(clone):
    found = [Path(name) for name in git(clone, "ls-files", "-z").split("\0")[:-1]]
    assert {path.suffix for path in found} >= {".csv", ".json", ".parquet", ".safetensors", ".png", ".sh", ".py"}
    regular = [path for path in found if path.parent != Path("book") or path.name not in links.TARGETS]
    assert len(regular) == len(found) - 3
    assert len(regular) > 300
    assert not [path for path in regular if (clone / path).read_bytes() != (ROOT / path).read_bytes()]


def test_the_records_are_read(clone):
    assert records.load(clone / RECORD).id == RECORD.name
    assert error_sources.load("default", folder=clone / "results" / "drivers")


def test_the_build_makes_the_links_and_git_sees_no_change(clone):
    for name, target in links.TARGETS.items():
        assert (clone / "book" / name).read_text() == target
    links.make(clone / "book")
    for name in links.TARGETS:
        assert (clone / "book" / name).samefile(clone / name)
    assert git(clone, "status", "--porcelain") == ""
    links.make(clone / "book")


def test_a_copy_in_place_of_a_link_is_refused_and_left_alone(tmp_path):
    (tmp_path / "_config.yml").write_text("title: edited in place\n")
    with pytest.raises(links.LinkError, match=r"_config.yml is a copy where a link to \.\./_config.yml has to be"):
        links.make(tmp_path)
    assert (tmp_path / "_config.yml").read_text() == "title: edited in place\n"


def test_a_disk_without_links_is_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(links.LinkError, match=r"can't be made here .*privilege.*: build on a disk that has such links"):
        links.make(tmp_path)


def test_a_record_whose_line_endings_were_changed_is_told_from_a_damaged_one(tmp_path):
    copy = tmp_path / RECORD.name
    shutil.copytree(ROOT / RECORD, copy)
    table = copy / "history.csv"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(
        records.RecordError, match=r"history.csv has other line endings than recorded.*check it out again"
    ):
        records.load(copy)
