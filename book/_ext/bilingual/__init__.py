"""One book in several languages: a folder per language, the same file names in each (``ca/x`` and ``en/x`` are twins).

- ``<html lang>``, the interface's words, "Figura 2.1", the book's title: in the language of the page.
- A switch to the same section of the twin page, ``hreflang`` links for search engines, and a warning where a twin is
  missing.
- Figures and tables are counted afresh in each language; previous and next stop at its border; the sidebar shows the
  parts of the page's language and those that belong to none, whose captions hold the words of every language
  ("Quaderns · Notebooks"); each language has a search page of its own.
- Pages outside the language folders (landing page, notebooks) hold every language: their interface does so too, and
  the switch leads to the first page in a language. Their text is taken to be in the first language, save paragraphs
  that begin with another's name in bold ("**English.** ..."), cells tagged ``language-en`` and what has that class
  (docutils makes ``lang`` of it). Who comes to a notebook from a page in a language reads it in that one, and the
  switch changes it there.

Pages have to be written one after the other, as Jupyter Book does it: Sphinx has one translator for all of them.

Configuration: ``bilingual_languages`` (first: the main one), ``bilingual_home`` (first page in each),
``bilingual_context`` (variables for the templates, such as ``docstitle``, per language; ``mul`` for pages that hold
every language).
"""

import posixpath
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.locale import get_translation, get_translator, translators
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from bilingual import words
from bilingual.words import NAMES, READ_IN, PageWords

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
CATALOGUE = "bilingual"
SEARCH = "search"
EVERY_LANGUAGE = "mul"  # ISO 639-2: several languages
_ = get_translation(CATALOGUE)

# Hidden part of a cell (MyST-NB's `hide_mode`): what its button says, closed and open.
PROMPTS = {
    "input": (words.SHOW_CODE, words.HIDE_CODE),
    "output": (words.SHOW_OUTPUT, words.HIDE_OUTPUT),
    "all": (words.SHOW_CELL, words.HIDE_CELL),
}


# ---- pages and their languages ---------------------------------------------------------------------------------------


def language_of(app: Sphinx, docname: str) -> str | None:
    """Language of a page: that of its folder, or None if the page holds every language."""
    folder = docname.partition("/")[0]
    for language in app.config.bilingual_languages:
        if folder == language or docname == search_page(language):
            return language
    return None


def search_page(language: str) -> str:
    """Search page in a language: beside Sphinx's own, because its results link from the book's root."""
    return f"{SEARCH}-{language}"


def in_language(app: Sphinx, docname: str, language: str) -> str:
    """Name that a page has, or should have, in a language; the language's first page for one that holds them all."""
    if is_search(docname):
        return search_page(language)
    if language_of(app, docname) is None:
        return f"{language}/{app.config.bilingual_home}"
    return f"{language}/{docname.partition('/')[2]}"


def is_search(docname: str) -> bool:
    """Whether this is a search page: Sphinx makes them, so that they are not among the documents found."""
    return docname.partition("-")[0] == SEARCH


def versions(app: Sphinx, docname: str) -> dict[str, str]:
    """Existing page for each language."""
    pages = {language: in_language(app, docname, language) for language in app.config.bilingual_languages}
    return {language: page for language, page in pages.items() if page in app.env.found_docs or is_search(page)}


def alternates(app: Sphinx, docname: str) -> dict[str, str]:
    """Page for each value of ``hreflang``; empty for a page that holds every language, save the landing page.

    ``x-default``, for readers of any other language, is the landing page where there is a choice to make (there and on
    the first pages) and the version in the last language elsewhere.
    """
    root = app.config.root_doc
    if language_of(app, docname) is None and docname != root:
        return {}
    pages = versions(app, docname)
    if not pages:
        return {}
    return pages | {"x-default": root if pages == versions(app, root) else list(pages.values())[-1]}


def warn_of_missing_twins(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each page that lacks a version, unless the book is built in one language alone."""
    pages = {docname for docname in env.found_docs if language_of(app, docname)}
    if len({language_of(app, docname) for docname in pages}) < 2:
        return
    for docname in sorted(pages):
        for language in app.config.bilingual_languages:
            twin = in_language(app, docname, language)
            if twin not in pages:
                log.warning(
                    "this page has no twin: expected %s", twin, location=docname, type=CATALOGUE, subtype="twin"
                )


# ---- numbers ---------------------------------------------------------------------------------------------------------


def number_figures_per_language(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Count figures, tables and listings afresh in each language.

    Chapters are numbered per part, so that two chapters have the same number, but Sphinx counts on within it: without
    this the first figure of the English chapter 2 would follow the last one of the Catalan chapter 2.
    """
    counted = defaultdict(list)
    for docname, kinds in env.toc_fignumbers.items():
        for kind, numbers in kinds.items():
            for name, number in numbers.items():
                counted[language_of(app, docname), kind, number[:-1]].append((number[-1], docname, name))
    for (_language, kind, chapter), figures in counted.items():
        for count, (_number, docname, name) in enumerate(sorted(figures), start=1):
            env.toc_fignumbers[docname][kind][name] = (*chapter, count)
    return []


def name_numbers(_app: Sphinx, config: Config) -> None:
    """Give figures and the like names that are translated when they are used, page by page."""
    kinds = {"figure": "Figure %s", "table": "Table %s", "code-block": "Listing %s", "section": "Section %s"}
    config.numfig_format = {kind: _(name) for kind, name in kinds.items()} | config.numfig_format


# ---- words -----------------------------------------------------------------------------------------------------------


def install_words(app: Sphinx) -> None:
    """Put one translator, which knows the page's language, in the place of Sphinx's and the themes' own."""
    page_words = PageWords(app.config.bilingual_languages)
    for catalogue in {CATALOGUE, *(name for name, *_folder in words.CATALOGUES)}:
        translators["general", catalogue] = page_words
    templates = getattr(app.builder, "templates", None)
    if templates:
        templates.environment.install_gettext_translations(page_words)


def speak(app: Sphinx, docname: str) -> None:
    """Use the language of this page from here on."""
    get_translator(CATALOGUE).language = language_of(app, docname)


class SpeakPageLanguage(SphinxPostTransform):
    """Before a page's references are resolved and its text is written: choose its language."""

    default_priority = 1

    def run(self, **_kwargs: Any) -> None:
        """Choose the language, say it of paragraphs that have their own, word the buttons of hidden cells."""
        speak(self.app, self.env.docname)
        if language_of(self.app, self.env.docname) is None:
            self.mark_languages()
        self.word_buttons()

    def mark_languages(self) -> None:
        """Give cells tagged with a language, and paragraphs that begin with its name in bold, that language."""
        for cell in self.document.findall(nodes.container):
            tags = cell.get("cell_metadata", {}).get("tags", [])
            cell["classes"] += [tag for tag in tags if tag.startswith("language-")]
        languages = {name: language for language, name in NAMES.items()}
        for paragraph in self.document.findall(nodes.paragraph):
            start = next((child for child in paragraph if child.astext()), None)
            name = start.astext().rstrip(".:") if isinstance(start, nodes.strong) else None
            if name in languages:
                paragraph["classes"].append(f"language-{languages[name]}")

    def word_buttons(self) -> None:
        """Word the buttons of hidden cells, except where the page has its own words."""
        defaults = {self.config.nb_code_prompt_show, self.config.nb_code_prompt_hide}
        for cell in self.document.findall(nodes.container):
            if cell.get("prompt_show") not in defaults or cell.get("prompt_hide") not in defaults:
                continue
            show, hide = PROMPTS.get(cell.get("hide_mode"), PROMPTS["all"])
            cell["prompt_show"], cell["prompt_hide"] = _(show), _(hide)


# ---- the page's frame ------------------------------------------------------------------------------------------------


def frame_page(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: nodes.document) -> None:
    """Fill in what the templates say about the page's language, before the themes do their part."""
    speak(app, pagename)
    language = language_of(app, pagename)
    context["language"] = language or app.config.bilingual_languages[0]
    context["metatags"] = context.get("metatags", "") + hreflang_tags(app, pagename, context["pathto"])
    context["language_links"] = [
        {"language": other, "url": context["pathto"](page), "name": NAMES[other], "title": READ_IN[other]}
        for other, page in versions(app, pagename).items()
        if other != language
    ]
    for key, neighbour in zip(("prev", "next"), neighbours(app, pagename), strict=True):
        if neighbour is None or language_of(app, neighbour) != language:
            context[key] = None
    context["toctree"] = without_other_languages(app, context["toctree"], language, pagename)
    context["pathto"] = to_own_search(context["pathto"], language)
    add_scripts(app, pagename, context["language"])


def finish_frame(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: nodes.document) -> None:
    """After the themes: the template variables that the project sets per language."""
    context.update(app.config.bilingual_context.get(language_of(app, pagename) or EVERY_LANGUAGE, {}))
    if is_search(pagename):
        context["pagename"] = SEARCH  # by this name the theme's template knows that it is a search page


def hreflang_tags(app: Sphinx, pagename: str, pathto: Callable[..., str]) -> str:
    """Tags that name the page's versions, by full addresses if the book has one, relative to the page otherwise."""

    def address(docname: str) -> str:
        target = app.builder.get_target_uri(docname)
        if app.config.html_baseurl:
            return posixpath.join(app.config.html_baseurl, target)
        return posixpath.basename(target) if docname == pagename else pathto(docname)

    return "".join(
        f'\n    <link rel="alternate" hreflang="{hreflang}" href="{address(docname)}" />'
        for hreflang, docname in alternates(app, pagename).items()
    )


def neighbours(app: Sphinx, pagename: str) -> tuple[str | None, str | None]:
    """Pages before and after this one in the table of contents."""
    _parent, before, after = getattr(app.builder, "relations", {}).get(pagename, (None, None, None))
    return before, after


def without_other_languages(
    app: Sphinx, toctree: Callable[..., str], language: str | None, pagename: str
) -> Callable[..., str]:
    """Let the sidebar leave out the parts of other languages, and words of theirs in the captions of shared parts."""
    if language is None:
        return toctree

    def own_toctree(**options: Any) -> str:
        parts = BeautifulSoup(toctree(**options) or "", "html.parser")
        caption = None
        for element in parts.find_all(recursive=False):
            if "caption" in element.get("class", ()):
                caption = element
                continue
            shown = language_of_part(element, language, pagename)
            if shown is None:
                for shared in filter(None, (caption, element)):
                    say_in(shared, language)
            elif shown not in (None, language):
                for dropped in (caption, element):
                    if dropped:
                        dropped.decompose()
            caption = None
        return str(parts)

    def language_of_part(part: Tag, own: str, page: str) -> str | None:
        """Language of a list of links in the sidebar; a lone link to the page itself has no address of its own."""
        link = next((each["href"] for each in part.select("a[href]") if each["href"] != "#"), None)
        folder = own if link is None else urljoin(f"/{page}", link).strip("/").partition("/")[0]
        return folder if folder in NAMES else None

    def say_in(part: Tag, own: str) -> None:
        """Keep those of the words "in one · in the other" that are in this language."""
        for text in part.find_all(string=True):
            link, said = text.find_parent("a"), text.split(" · ")
            is_title = (
                link is not None and Path(link["href"]).stem == app.config.root_doc
            )  # of the book, in no language
            if len(said) == len(NAMES) and not is_title:
                text.replace_with(said[list(NAMES).index(own)])

    return own_toctree


def to_own_search(pathto: Callable[..., str], language: str | None) -> Callable[..., str]:
    """Let links to the search page lead to the one in the page's language."""

    def own_pathto(target: str, *args: Any, **kwargs: Any) -> str:
        return pathto(search_page(language) if language and target == SEARCH else target, *args, **kwargs)

    return own_pathto


def make_search_pages(app: Sphinx) -> list[tuple[str, dict[str, Any], str]]:
    """One more search page in each language."""
    return [(search_page(language), {}, "search.html") for language in app.config.bilingual_languages]


# ---- scripts ---------------------------------------------------------------------------------------------------------


def add_paths(_app: Sphinx, config: Config) -> None:
    """Register our templates and scripts (late, so that Jupyter Book does not load the scripts on every page)."""
    config.templates_path.insert(0, str(HERE / "templates"))  # before the themes: two of theirs are replaced
    config.html_static_path.append(str(HERE / "static"))


def script_catalogue(language: str) -> Path:
    """Sphinx's own words for its scripts in a language."""
    return words.catalogue_folder("sphinx", "locale") / language / "LC_MESSAGES" / "sphinx.js"


def copy_script_catalogues(app: Sphinx) -> None:
    """Copy Sphinx's words for its scripts into the built book: by itself it takes those of one language."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    for language in app.config.bilingual_languages:
        if script_catalogue(language).is_file():
            shutil.copyfile(script_catalogue(language), static / f"translations-{language}.js")


def add_scripts(app: Sphinx, pagename: str, language: str) -> None:
    """Load a language's words on this page, after the scripts that use them (English is what these come with)."""
    app.add_js_file("language-switch.js", priority=900)
    if language_of(app, pagename):
        app.add_js_file("remember-language.js", priority=900)
    elif pagename in app.env.found_docs and pagename != app.config.root_doc:
        app.add_js_file("shared-page.js", priority=900)
    if is_search(pagename):
        app.add_js_file("search-page.js", priority=900)
    if language == "en":
        return
    if script_catalogue(language).is_file():
        app.add_js_file(f"translations-{language}.js", priority=900)
    if (HERE / "static" / f"interface-{language}.js").is_file():
        app.add_js_file(f"interface-{language}.js", priority=900)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("bilingual_languages", ["ca", "en"], "env", list)
    app.add_config_value("bilingual_home", "index", "html", str)
    app.add_config_value("bilingual_context", {}, "html", dict)
    app.connect("config-inited", add_paths)
    app.connect("config-inited", name_numbers)
    app.connect("builder-inited", install_words, priority=900)
    app.connect("builder-inited", copy_script_catalogues)
    app.connect("env-get-updated", number_figures_per_language, priority=900)  # after Sphinx has numbered them
    app.connect("env-check-consistency", warn_of_missing_twins)
    app.connect("html-collect-pages", make_search_pages)
    app.connect("html-page-context", frame_page, priority=1)
    app.connect("html-page-context", finish_frame, priority=900)
    app.add_post_transform(SpeakPageLanguage)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
