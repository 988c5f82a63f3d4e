"""Execute the book's pages, as many at a time as there are cores: part of `make book` and `make pdf`.

The build would execute them one after the other, and most of that time is imports. It finds them in its cache then. A
page that fails here is executed again by the build, which says where it failed.

The notebooks are shown as they were committed, with outputs in Catalan. They are executed here in English: the book
shows readers the outputs in their language (`book/_ext/notebook_outputs.py`).
"""

import logging
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
import platformdirs
import yaml
from jupyter_cache import get_cache
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, ProcessData
from sphinx_external_toc.parsing import parse_toc_yaml

BOOK = Path(__file__).resolve().parent.parent / "book"
READER = {"name": "myst_nb_md", "type": "plugin"}
# Begun last, one of these would leave the other cores with nothing to do at the end.
LONGEST = ("predictions", "artefact", "state-of-the-art", "replication", "index", "abstract")
COMMITTED, OTHER = "ca", "en"  # languages of the notebooks' outputs
PARAMETER = 'lang: str = "{}"'


def pages() -> list[Path]:
    """The book's pages with cells, those that take longest first."""
    found = [BOOK / f"{page}.md" for page in parse_toc_yaml(BOOK / "_toc.yml")]
    found = [page for page in found if page.exists() and "{code-cell}" in page.read_text(encoding="utf-8")]
    return sorted(found, key=lambda page: LONGEST.index(page.stem) if page.stem in LONGEST else len(LONGEST))


def notebooks() -> list[Path]:
    """The book's notebooks, copied to the build without outputs, and with `lang` set to the other language."""
    folder = BOOK / "_build" / "notebooks" / OTHER
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for path in (BOOK / f"{page}.ipynb" for page in parse_toc_yaml(BOOK / "_toc.yml")):
        if not path.exists():
            continue
        notebook = nbformat.read(path, as_version=4)
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            cell.source = cell.source.replace(PARAMETER.format(COMMITTED), PARAMETER.format(OTHER))
            cell.outputs = []
        copies.append(folder / path.name)
        nbformat.write(notebook, copies[-1])
    return copies


def keep_outputs(cache: JupyterCacheBase, notebook: Path) -> None:
    """Write what a copy of a notebook showed into it; end the build if it failed."""
    try:
        _, executed = cache.merge_match_into_notebook(nbformat.read(notebook, as_version=4))
    except KeyError:
        why = cache.get_project_record(str(notebook)).traceback
        sys.exit(f"error: notebooks/{notebook.name} fails with {PARAMETER.format(OTHER)}\n{why}")
    nbformat.write(executed, notebook)


def keep_caches_with_the_book() -> None:
    """Where the user's cache folder may not be written, let the pages keep what they would keep there beside the book.

    Each would read QM9 from its CSV files and look for fonts, and say so.
    """
    try:
        with tempfile.TemporaryDirectory(dir=platformdirs.user_cache_path(ensure_exists=True)):
            return
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        caches = BOOK / "_build" / ".caches"
        caches.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("MPLCONFIGDIR", str(caches))
        os.environ["XDG_CACHE_HOME"] = str(caches)


def written_to_stderr(cache: JupyterCacheBase, pks: Iterable[int]) -> dict[str, list[str]]:
    """What cells of these pages wrote to the standard error, each with the pages that did; the book leaves it out."""
    found: dict[str, list[str]] = {}
    for pk in pks:
        page = cache.get_project_record(pk)
        executed = cache.get_cached_project_nb(pk)
        if executed is None:
            continue  # it failed
        cells = cache.get_cache_bundle(executed.pk).nb.cells
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        for text in (output.text for output in outputs if output.get("name") == "stderr"):
            found.setdefault(text.strip(), []).append(Path(page.uri).relative_to(BOOK).as_posix())
    return found


def main() -> None:
    """Execute every page that is not in the cache as it is."""
    if "?" in str(BOOK):  # jupyter-cache pastes the path into a URL
        sys.exit(
            f"error: in {BOOK} the book's cache would end up beside the checkout: give the folder a name without a "
            "question mark"
        )
    keep_caches_with_the_book()
    settings = yaml.safe_load((BOOK.parent / "_config.yml").read_text(encoding="utf-8"))["execute"]
    cache = get_cache(BOOK / "_build" / ".jupyter_cache")
    in_other_language = notebooks()
    for page in pages():
        cache.add_nb_to_project(str(page), read_data=READER)
    for notebook in in_other_language:
        cache.add_nb_to_project(str(notebook))
    pending = {record.uri: record.pk for record in cache.list_unexecuted()}
    multiprocessing.get_logger().setLevel(logging.CRITICAL)
    work = [
        ProcessData(pending[str(page)], str(page), cache, settings["timeout"], allow_errors=False)
        for page in (*pages(), *in_other_language)
        if str(page) in pending
    ]
    # One page at a time: the cache's own executor hands them out in fours, and the cores do not end together.
    with multiprocessing.Pool() as pool:
        pool.map(ExecutionWorkerLocalMProc(), work, chunksize=1)
    for text, names in written_to_stderr(cache, [one.pk for one in work]).items():
        sys.stderr.write(f"{', '.join(dict.fromkeys(names))}: {text}\n")
    for notebook in in_other_language:
        keep_outputs(cache, notebook)


if __name__ == "__main__":
    main()
