"""`tools.execute_pages`, on a small book of its own: what its pages say to whom, and its notebooks in English."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from tools import execute_pages  # noqa: E402

PAGE = """---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3, language: python}}
---
# Page

```{{code-cell}} ipython3
{0}
```
"""
SAYS = "import sys\nsys.stderr.write('one of ours: /home/me')\nprint('on the page')"
CACHES = "import matplotlib.font_manager\nfrom analysis.data import qm9\nprint(len(qm9.load()))"


@pytest.fixture
def run(tmp_path):
    """Execute pages with these cells, and a notebook if there is one, for a user whose home folder can't be written."""

    def execute(notebook: str = "", **cells: str) -> subprocess.CompletedProcess[str]:
        book = tmp_path / "book"
        (book / "notebooks").mkdir(parents=True, exist_ok=True)
        (tmp_path / "_config.yml").write_text("execute: {timeout: 300}\n")
        if notebook:
            kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            given = new_code_cell('lang: str = "ca"  # language', metadata={"tags": ["parameters"]})
            committed = [given, new_code_cell(notebook, outputs=[new_output("stream", text="committed")])]
            nbformat.write(new_notebook(cells=committed, metadata=kernel), book / "notebooks" / "one.ipynb")
        chapters = "".join(f"  - file: {name}\n" for name in (*cells, "notebooks/one"))
        (book / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
        (book / "index.md").write_text("# Book\n")
        for name, source in cells.items():
            (book / f"{name}.md").write_text(PAGE.format(source))
        homes = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR")
        environment = {name: value for name, value in os.environ.items() if name not in homes}
        code = f"import pathlib, tools.execute_pages as e; e.BOOK = pathlib.Path({str(book)!r}); e.main()"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment | {"HOME": f"{os.devnull}/home", "IPYTHONDIR": str(ROOT / "tools" / "ipython")},
            capture_output=True,
            text=True,
            check=False,
        )

    return execute


@pytest.fixture
def executed(run, tmp_path):
    """The same, for what has to go well; gives what was said of pages.

    On a machine at work a kernel that is stopped may say so on the standard error too.
    """

    def execute(**given: str) -> str:
        done = run(**given)
        assert done.returncode == 0, done.stderr
        assert get_cache(tmp_path / "book" / "_build" / ".jupyter_cache").list_unexecuted() == []
        return "".join(line for line in done.stderr.splitlines(keepends=True) if re.match(r"\S+\.(md|ipynb)\b", line))

    return execute


def outputs(book: Path) -> list[str]:
    notebook = nbformat.read(book / "_build" / "notebooks" / "en" / "one.ipynb", as_version=4)
    return [output.text for cell in notebook.cells for output in cell.outputs]


def test_a_notebook_is_executed_in_english_once(executed, tmp_path):
    count = tmp_path / "count"
    cell = f"print(lang)\nwith open({str(count)!r}, 'a') as file: print(lang, file=file)"
    for _ in range(2):  # the second build finds it in the cache
        assert executed(notebook=cell) == ""
        assert outputs(tmp_path / "book") == ["en\n"]
    assert count.read_text() == "en\n"
    assert "committed" in (tmp_path / "book" / "notebooks" / "one.ipynb").read_text()


def test_a_notebook_that_fails_in_english_ends_the_build_with_its_name(run, tmp_path):
    done = run(notebook="print(1 / (lang != 'en'))")
    assert done.returncode == 1
    assert 'error: notebooks/one.ipynb fails with lang: str = "en"' in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert outputs(tmp_path / "book") == []


def test_standard_error_of_the_pages_is_shown_once_when_the_book_is_built(executed):
    assert executed(one=SAYS, two=SAYS, three="print(3)") == "one.md, two.md: one of ours: /home/me\n"


def test_pages_keep_their_caches_with_the_book_where_the_home_folder_may_not_be_written(executed, tmp_path):
    assert executed(one=CACHES) == ""
    kept = tmp_path / "book" / "_build" / ".caches"
    assert list(kept.rglob("qm9.safetensors"))
    assert list(kept.glob("fontlist-*.json"))


def test_a_checkout_in_whose_path_the_cache_would_get_lost_is_refused(tmp_path, monkeypatch):
    """It is a library that makes the URL, of the path as it is."""
    monkeypatch.setattr(execute_pages, "BOOK", tmp_path / "what?" / "book")
    with pytest.raises(SystemExit, match=r"error: in .*what\?/book .*without a question mark"):
        execute_pages.main()
    assert list(tmp_path.iterdir()) == []
