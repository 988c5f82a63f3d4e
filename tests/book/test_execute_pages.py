"""`tools.execute_pages`, on a small book of its own: what its pages say to whom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_cache import get_cache

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
def executed(tmp_path):
    """Execute pages with these cells for a user whose home folder can't be written; gives what was said."""

    def execute(**cells: str) -> str:
        book = tmp_path / "book"
        book.mkdir()
        (tmp_path / "_config.yml").write_text("execute: {timeout: 300}\n")
        chapters = "".join(f"  - file: {name}\n" for name in cells)
        (book / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
        (book / "index.md").write_text("# Book\n")
        for name, source in cells.items():
            (book / f"{name}.md").write_text(PAGE.format(source))
        homes = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR")
        environment = {name: value for name, value in os.environ.items() if name not in homes}
        code = f"import pathlib, tools.execute_pages as e; e.BOOK = pathlib.Path({str(book)!r}); e.main()"
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment | {"HOME": f"{os.devnull}/home", "IPYTHONDIR": str(ROOT / "tools" / "ipython")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert get_cache(book / "_build" / ".jupyter_cache").list_unexecuted() == []
        return run.stderr

    return execute


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
