"""Execute the book's pages, as many at a time as there are cores: part of `make book` and `make pdf`.

The build would execute them one after the other, and most of that time is imports. It finds them in its cache then. A
page that fails here is executed again by the build, which says where it failed.
"""

import logging
import multiprocessing
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, ProcessData
from sphinx_external_toc.parsing import parse_toc_yaml

BOOK = Path(__file__).resolve().parent.parent / "book"
READER = {"name": "myst_nb_md", "type": "plugin"}
# Begun last, one of these would leave the other cores with nothing to do at the end.
LONGEST = ("artefact", "state-of-the-art", "replication")


def pages() -> list[Path]:
    """The book's pages with cells, those that take longest first; its notebooks are shown as they were committed."""
    found = [BOOK / f"{page}.md" for page in parse_toc_yaml(BOOK / "_toc.yml")]
    found = [page for page in found if page.exists() and "{code-cell}" in page.read_text(encoding="utf-8")]
    return sorted(found, key=lambda page: LONGEST.index(page.stem) if page.stem in LONGEST else len(LONGEST))


def main() -> None:
    """Execute every page that is not in the cache as it is."""
    settings = yaml.safe_load((BOOK.parent / "_config.yml").read_text(encoding="utf-8"))["execute"]
    cache = get_cache(BOOK / "_build" / ".jupyter_cache")
    for page in pages():
        cache.add_nb_to_project(str(page), read_data=READER)
    pending = {record.uri: record.pk for record in cache.list_unexecuted()}
    multiprocessing.get_logger().setLevel(logging.CRITICAL)
    work = [
        ProcessData(pending[str(page)], str(page), cache, settings["timeout"], allow_errors=False)
        for page in pages()
        if str(page) in pending
    ]
    # One page at a time: the cache's own executor hands them out in fours, and the cores do not end together.
    with multiprocessing.Pool() as pool:
        pool.map(ExecutionWorkerLocalMProc(), work, chunksize=1)


if __name__ == "__main__":
    main()
