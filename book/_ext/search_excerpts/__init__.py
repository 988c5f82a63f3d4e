"""Excerpts on the search pages: the words found as the index has them, and from disk too.

Sphinx looks for the stem of a query's word in a page's text as it is; that of an accented word is nowhere in it, and
the excerpt would be the page's beginning. And it fetches the pages of the results, which a browser refuses where the
book is opened from disk. Here a script looks word by word, and each page's text lies in a script that search pages
load from disk alone.
"""

import json
from pathlib import Path
from typing import Any

import bilingual
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).parent
TEXTS = "search-texts.js"
SECTION, TITLE = "\x02{}\x03", "section[id], h1 span[id], h2 span[id], section > span[id], dt[id]"
LEFT_OUT = ".headerlink, script, style, .cell_input, details, .figure-data, .math"

_texts: dict[str, str] = {}


def take_text(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Keep a page's text; before each section stands its id between two control characters."""
    if doctree is not None and app.builder.name == "html":
        page = BeautifulSoup(context["body"], "html.parser")
        for element in page.select(LEFT_OUT):
            element.decompose()
        for element in page.select(TITLE):
            element.insert(0, SECTION.format(element["id"]))
        _texts[pagename] = " ".join(page.get_text(" ").split(" "))
    if bilingual.is_search(pagename):
        app.add_js_file("search-excerpts.js", priority=950)


def write_texts(app: Sphinx, failed: Exception | None) -> None:
    """Write the script that holds the texts."""
    if not failed and app.builder.name == "html":
        script = f"const SearchTexts = {json.dumps(_texts, ensure_ascii=False)};\n"
        Path(app.outdir, "_static", TEXTS).write_text(script, encoding="utf-8")
    _texts.clear()


def add_paths(_app: Sphinx, config: Config) -> None:
    """Register our script (late, so that Jupyter Book does not load it on every page)."""
    config.html_static_path.append(str(HERE / "static"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", add_paths)
    app.connect("html-page-context", take_text)
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
