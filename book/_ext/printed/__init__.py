"""The book on paper: one page of HTML per language, to be printed, and links from the book to what was printed.

It takes the place of Sphinx's builder `singlehtml`, which makes one page of all languages and notebooks: here `ca.html`
and `en.html` hold the chapters of a language, with a title page and a table of contents. Links to what a PDF does not
hold lead to the hosted book, if its address is known, and are plain words otherwise. It reads what the builder `html`
has read, so that no cell is executed a second time.

Configuration: ``printed_name`` (the PDFs' name, before language and suffix).
"""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import bilingual
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.singlehtml import SingleFileHTMLBuilder
from sphinx.config import Config
from sphinx.util.console import darkgreen
from sphinx.util.nodes import inline_all_toctrees

HERE = Path(__file__).parent
FOLDER = "pdf"  # of the PDFs: beside the built book, and in it
OUTSIDE = "#outside-"
TITLES = {"ca": "El llibre en PDF", "en": "The book as a PDF"}


class OnePagePerLanguage(SingleFileHTMLBuilder):
    """The chapters of each language on one page."""

    # Sphinx's writers look for this name where chapters are put together.
    name = "singlehtml"
    language = ""

    def write(self, *_ignored: object) -> None:
        """Write a page per language."""
        self.prepare_writing(self.env.all_docs)
        # Put together first: what is written looks numbers up under the name of the page that it is written to.
        (sections,), (figures,) = self.assemble_toc_secnumbers().values(), self.assemble_toc_fignumbers().values()
        for language in self.config.bilingual_languages:
            self.language = language
            self.globalcontext["parts"] = self.contents()
            tree = self.assemble_doctree()
            self.env.toc_secnumbers[language] = sections
            self.env.toc_fignumbers[language] = figures
            self.write_doc_serialized(language, tree)
            self.write_doc(language, tree)

    def chapters_of(self, part: addnodes.toctree) -> list[str]:
        """The language's chapters in a part of the table of contents."""
        return [name for name in part["includefiles"] if bilingual.language_of(self.app, name) == self.language]

    def contents(self) -> list[dict[str, Any]]:
        """Caption of each part with chapters in the language, and title (with its number) and address of these."""
        root = self.env.get_doctree(self.config.root_doc)
        return [
            {
                "caption": part.get("caption"),
                "chapters": [
                    {"title": self.render_partial(self.env.titles[name])["title"], "address": f"#document-{name}"}
                    for name in chapters
                ],
            }
            for part in root.findall(addnodes.toctree)
            if (chapters := self.chapters_of(part))
        ]

    def assemble_doctree(self) -> nodes.document:
        """All chapters of the language, in the order of the table of contents."""
        tree = self.env.get_doctree(self.config.root_doc)
        parts = [part.deepcopy() for part in tree.findall(addnodes.toctree)]
        tree.clear()
        for part in parts:
            part["includefiles"] = self.chapters_of(part)
            tree += part
        tree = inline_all_toctrees(self, set(), self.language, tree, darkgreen, [])
        tree["docname"] = self.language
        self.env.resolve_references(tree, self.language, self)
        self.fix_refuris(tree)
        return tree

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:  # noqa: ARG002 - Sphinx's own signature
        """Address of a chapter on this page; of what is not on it, in the hosted book or nowhere."""
        if docname not in self.env.all_docs:
            return docname + self.out_suffix
        if bilingual.language_of(self.app, docname) == self.language:
            return f"#document-{docname}"
        address = self.config.html_baseurl
        return urljoin(address, docname + self.link_suffix) if address else OUTSIDE + docname

    def fix_refuris(self, tree: nodes.Node) -> None:
        """Keep the last fragment of an address on this page; replace links that lead nowhere by their words."""
        for link in list(tree.findall(nodes.reference)):
            address = link.get("refuri", "")
            if address.startswith(OUTSIDE):
                link.replace_self(link.children)
            elif address.startswith("#") and address.count("#") > 1:
                link["refuri"] = "#" + address.rpartition("#")[2]

    def handle_page(self, pagename: str, addctx: dict, templatename: str = "page.html", **more: Any) -> None:
        """Write a page with a template of its own: a sheet of paper has no sidebar."""
        super().handle_page(pagename, addctx, "printed.html" if templatename == "page.html" else templatename, **more)


# ---- links to the PDFs -----------------------------------------------------------------------------------------------


def printed_books(app: Sphinx) -> dict[str, Path]:
    """The PDFs that there are, by language."""
    folder = Path(app.outdir).parent / FOLDER
    paths = {each: folder / f"{app.config.printed_name}.{each}.pdf" for each in app.config.bilingual_languages}
    return {language: path for language, path in paths.items() if path.is_file()}


def link_to_printed_books(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: nodes.document
) -> None:
    """Tell the templates where the PDF in the page's language is; all of them on a page that holds every language."""
    language = bilingual.language_of(app, pagename)
    context["printed"] = [
        {"language": each, "title": TITLES[each], "url": context["pathto"](f"{FOLDER}/{path.name}", resource=True)}
        for each, path in printed_books(app).items()
        if language in (None, each)
    ]


def copy_printed_books(app: Sphinx, failed: Exception | None) -> None:
    """Put the PDFs into the built book."""
    if failed or app.builder.name != "html":
        return
    target = Path(app.outdir, FOLDER)
    shutil.rmtree(target, ignore_errors=True)
    for path in printed_books(app).values():
        target.mkdir(exist_ok=True)
        shutil.copy2(path, target)


def add_paths(_app: Sphinx, config: Config) -> None:
    """Register our template and style sheet (late, so that Jupyter Book does not load it on every page)."""
    config.templates_path.append(str(HERE / "templates"))
    config.html_static_path.append(str(HERE / "static"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("printed_name", "book", "html", str)
    app.add_builder(OnePagePerLanguage, override=True)
    app.connect("config-inited", add_paths)
    app.connect("html-page-context", link_to_printed_books)
    app.connect("build-finished", copy_printed_books)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
