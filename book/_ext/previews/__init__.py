"""What a link to a term of the glossary or to a reference leads to, shown in place.

A script per language holds the text of every definition and reference, by its address below the book's root; another
loads it and shows a text beside a link under the mouse, or reached by keyboard. Both are classic scripts, so that it
works from disk.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import bilingual
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).parent

_texts: defaultdict[str, dict[str, str]] = defaultdict(dict)


def take_texts(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Keep the definitions and references of a page."""
    language = bilingual.language_of(app, docname)
    if language is None or app.builder.name != "html":
        return
    items = [item for part in doctree.findall(addnodes.glossary) for item in part.findall(nodes.definition_list_item)]
    found = [(term["ids"], item[-1]) for item in items for term in item.findall(nodes.term)]
    found += [(entry["ids"], entry[-1]) for entry in doctree.findall(nodes.citation)]
    for ids, text in found:
        for name in ids:
            _texts[language][f"{app.builder.get_target_uri(docname)}#{name}"] = " ".join(text.astext().split())


def write_texts(app: Sphinx, failed: Exception | None) -> None:
    """Write the scripts that hold the texts."""
    if not failed and app.builder.name == "html":
        for language in app.config.bilingual_languages:
            script = f"const Previews = {json.dumps(_texts[language], ensure_ascii=False)};\n"
            Path(app.outdir, "_static", f"previews-{language}.js").write_text(script, encoding="utf-8")
    _texts.clear()


def add_script(app: Sphinx, pagename: str, _template: str, _context: dict[str, Any], doctree: nodes.document) -> None:
    """Load the script that shows them on the pages of a language."""
    if bilingual.language_of(app, pagename) and doctree is not None:
        app.add_js_file("previews.js", priority=900)


def add_paths(_app: Sphinx, config: Config) -> None:
    """Register our script (late, so that Jupyter Book does not load it on every page)."""
    config.html_static_path.append(str(HERE / "static"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", add_paths)
    app.connect("doctree-resolved", take_texts)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
