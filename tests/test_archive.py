"""`make archive`: one file that is the same each time, and says where each figure comes from."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from rocrate.rocrate import ROCrate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from tools import archive  # noqa: E402

RUNS = ("results/beyond/3fcb6de57a53", "results/baseline/141dc8907d24")
ABOUT = {"page": "en/beyond", "caption": "Errors by size", "notebook": "notebooks/08_beyond"}
BUILT = {
    "html/en/beyond.html": "<p>",
    "html/en/baseline.html": "<p>",
    "pdf/book.ca.pdf": "%PDF",
    "pdf/book.en.pdf": "%PDF",
    "figure-data/beyond-en.csv": "run,mse_eV2\n3fcb6de57a53,0.1\n",
    "figure-data/beyond-en.json": json.dumps(ABOUT | {"runs": ["3fcb6de57a53"]}),
    "figure-data/census-en.csv": "n_atoms,molecules\n9,3\n",
    "figure-data/census-en.json": json.dumps(ABOUT | {"page": "en/baseline", "notebook": None, "runs": []}),
}


def git(folder: Path, *words: str) -> str:
    words = ("git", "-c", "user.name=a", "-c", "user.email=a@b", *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A repository with what the description speaks of, and a book of two pages that is built there."""
    folder = tmp_path / "checkout"
    for name in (*archive.FILES, "pyproject.toml", "Makefile", "notebooks/08_beyond.ipynb", "book/en/baseline.md"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for run in RUNS:
        (folder / run).mkdir(parents=True)
        shutil.copy(ROOT / run / "run.json", folder / run)
    (folder / ".gitignore").write_text("book/_build/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    for name, text in BUILT.items():
        path = folder / archive.BUILT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name.partition("/")[2]: file.read(name) for name in file.namelist()}


def test_it_holds_the_commit_the_book_and_what_describes_them(checkout, tmp_path):
    (checkout / "untracked.txt").touch()
    found = content(archive.make(checkout, tmp_path / "out"))
    written = {archive.METADATA, "codecheck.yml", "codemeta.json"}
    built = {f"book/_build/{name}" for name in BUILT}
    assert set(found) == set(git(checkout, "ls-files").splitlines()) | built | written
    assert found["Makefile"] == (ROOT / "Makefile").read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["schnet-qm9-compendium-0.1.0.zip"]


def test_made_again_it_is_the_same_file(checkout, tmp_path):
    first = archive.make(checkout, tmp_path / "first").read_bytes()
    other = Path(shutil.copytree(checkout, tmp_path / "elsewhere", symlinks=True))
    for path in sorted((other / "book").rglob("*"), reverse=True):
        path.touch()
    time.sleep(2)  # the least that a ZIP file's dates differ by
    assert archive.make(other, tmp_path / "second").read_bytes() == first
    assert archive.make(other, tmp_path / "third", epoch=10**9).read_bytes() != first


@pytest.fixture
def crate(checkout, tmp_path) -> ROCrate:
    with zipfile.ZipFile(archive.make(checkout, tmp_path / "out")) as file:
        file.extractall(tmp_path / "crate")
    (folder,) = (tmp_path / "crate").iterdir()
    return ROCrate(folder)


def test_it_says_of_a_figure_which_notebook_and_records_and_of_a_record_which_commit(crate):
    figure = crate.get("#figure-beyond-en")
    assert figure["instrument"].id == "notebooks/08_beyond.ipynb"
    record = figure["object"]
    assert (record.id, record["identifier"]) == (f"{RUNS[0]}/", "3fcb6de57a53")
    about = json.loads((ROOT / RUNS[0] / "run.json").read_text(encoding="utf-8"))
    training = crate.get("#training-beyond-3fcb6de57a53")
    assert training["result"] == record
    assert training["instrument"]["version"] == about["git"]["commit"]
    assert f"torch {about['versions']['torch']}," in training["description"]
    assert crate.get("#figure-census-en")["instrument"].id == "book/en/baseline.md"
    assert figure["result"]["name"] == "Errors by size"


def test_it_is_a_workflow_run_crate(crate):
    profiles = {one.id for one in crate.root_dataset["conformsTo"]}
    assert profiles == set(archive.PROFILES)
    assert "ComputationalWorkflow" in crate.mainEntity.type
    assert crate.get("#book")["instrument"] == crate.mainEntity
    assert {one.id for one in crate.root_dataset["license"]} == {
        "https://spdx.org/licenses/MIT",
        "https://spdx.org/licenses/CC-BY-4.0",
    }
    assert {"#book", "#figure-beyond-en"} <= {one.id for one in crate.root_dataset["mentions"]}


def test_the_doi_is_written_once(checkout, tmp_path):
    path = checkout / "CITATION.cff"
    path.write_text(path.read_text(encoding="utf-8") + "doi: 10.5281/zenodo.42\n", encoding="utf-8")
    git(checkout, "commit", "--quiet", "--all", "--message", "doi")
    found = content(archive.make(checkout, tmp_path / "out"))
    doi = "https://doi.org/10.5281/zenodo.42"
    (root,) = [one for one in json.loads(found[archive.METADATA])["@graph"] if one["@id"] == "./"]
    checked = yaml.safe_load(found["codecheck.yml"])
    assert (root["identifier"], checked["paper"]["reference"]) == (doi, doi)
    assert json.loads(found["codemeta.json"])["identifier"] == doi
    assert {one["file"] for one in checked["manifest"]} == {
        "book/_build/figure-data/beyond-en.csv",
        "book/_build/figure-data/census-en.csv",
    }
    assert found["codecheck.yml"].startswith(b"---\n")


def _change(folder: Path) -> None:
    (folder / "Makefile").write_text("")


def _other_run(folder: Path) -> None:
    (folder / archive.FIGURES / "beyond-en.json").write_text(json.dumps(ABOUT | {"runs": ["0123456789ab"]}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_change, "tracked files are not as committed"),
        (lambda folder: (folder / archive.PDF / "book.ca.pdf").unlink(), "`make pdf book` builds them"),
        (lambda folder: shutil.rmtree(folder / archive.HTML), "`make pdf book` builds them"),
        (_other_run, "names the run 0123456789ab, not recorded"),
        (lambda folder: shutil.rmtree(folder / ".git"), "an archive is made from a git checkout"),
    ],
)
def test_what_is_not_whole_is_not_archived(spoil, said, checkout, tmp_path):
    spoil(checkout)
    with pytest.raises(archive.ArchiveError, match=said) as refused:
        archive.make(checkout, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
