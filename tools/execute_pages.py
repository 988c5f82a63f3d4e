"""Execute the book's pages, as many at a time as there are cores: part of `make book` and `make pdf`.

The build would execute them one after the other, and most of that time is imports. It finds them in its cache then. A
page that fails here is executed again by the build, which says where it failed.
"""

import logging
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from sphinx_external_toc.parsing import parse_toc_yaml

BOOK = Path(__file__).resolve().parent.parent / "book"
READER = {"name": "myst_nb_md", "type": "plugin"}


def pages() -> list[Path]:
    """The book's pages with cells; its notebooks are shown as they were committed."""
    found = [BOOK / f"{page}.md" for page in parse_toc_yaml(BOOK / "_toc.yml")]
    return [page for page in found if page.exists() and "{code-cell}" in page.read_text(encoding="utf-8")]


def main() -> None:
    """Execute every page that is not in the cache as it is."""
    settings = yaml.safe_load((BOOK.parent / "_config.yml").read_text(encoding="utf-8"))["execute"]
    cache = get_cache(BOOK / "_build" / ".jupyter_cache")
    records = [cache.add_nb_to_project(str(page), read_data=READER) for page in pages()]
    logger = logging.getLogger(__name__)
    logger.setLevel(logging.CRITICAL)
    executor = load_executor("local-parallel", cache, logger)
    executor.run_and_cache(filter_uris=[record.uri for record in records], timeout=settings["timeout"])


if __name__ == "__main__":
    main()
