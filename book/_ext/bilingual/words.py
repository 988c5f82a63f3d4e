"""The interface's words: Sphinx's and the themes' catalogues, and ours where they lack a word or have a poor one."""

from collections.abc import Iterable
from gettext import NullTranslations, translation
from importlib.util import find_spec
from pathlib import Path

from analysis.figures.words import catalan, mark

# Each language in its own words: the switch's text and what it promises.
NAMES = {"ca": "Català", "en": "English"}
READ_IN = {"ca": "Llegeix aquesta pàgina en català", "en": "Read this page in English"}

# Catalogue name and folder of everything that brings translations, strongest first.
CATALOGUES = (
    ("sphinx", "pydata_sphinx_theme", "locale"),
    ("booktheme", "sphinx_book_theme", "theme/sphinx_book_theme/static/locales"),
    ("sphinx", "sphinx", "locale"),
)

SHOW_CODE, HIDE_CODE = mark("Show the code"), mark("Hide the code")
SHOW_OUTPUT, HIDE_OUTPUT = mark("Show the output"), mark("Hide the output")
SHOW_CELL, HIDE_CELL = mark("Show the code and its output"), mark("Hide the code and its output")

# What the catalogues lack or say poorly: the Catalan is that of `analysis.figures.words`.
OWN = (
    mark("Contents"),
    mark("Data (CSV)"),
    mark("Download notebook file"),
    mark("Download source file"),
    mark("Download this page"),
    mark("Figure %s"),
    mark("Fullscreen mode"),
    mark("Link to this code"),
    mark("Link to this definition"),
    mark("Link to this equation"),
    mark("Link to this heading"),
    mark("Link to this image"),
    mark("Link to this table"),
    mark("Link to this term"),
    mark("Link to this toctree"),
    mark("Listing %s"),
    mark("Notebook"),
    mark("Runs"),
    mark("Search"),
    mark("Section %s"),
    mark("Table %s"),
    mark("Toggle primary sidebar"),
    mark("Toggle secondary sidebar"),
    mark("code"),
    SHOW_CODE,
    HIDE_CODE,
    SHOW_OUTPUT,
    HIDE_OUTPUT,
    SHOW_CELL,
    HIDE_CELL,
)


class _OwnFirst(NullTranslations):
    """One language: our words, then those of the catalogues (`add_fallback`), then English."""

    def __init__(self, own: dict[str, str]) -> None:
        super().__init__()
        self._own = own

    def gettext(self, message: str) -> str:
        return self._own.get(message) or super().gettext(message)


class PageWords(NullTranslations):
    """Words in the language of the page that is being written.

    Sphinx has one translator per project; this one asks for the page's `language` each time. With `language` None (a
    page that holds every language) the words come in all of them: "Cerca · Search".
    """

    def __init__(self, languages: Iterable[str]) -> None:
        super().__init__()
        self.language: str | None = None
        self._words = {language: _words_in(language) for language in languages}

    def gettext(self, message: str) -> str:
        """Say a message in the page's language; what has a gap to be filled is said in one language only."""
        if self.language:
            return self._words[self.language].gettext(message)
        said = list(dict.fromkeys(words.gettext(message) for words in self._words.values()))
        return said[0] if "%" in message else " · ".join(said)


def catalogue_folder(package: str, folder: str) -> Path:
    """Folder of an installed package's translations, found without importing the package."""
    return Path(find_spec(package).origin).parent / folder


def _words_in(language: str) -> NullTranslations:
    words = _OwnFirst({message: catalan()[message] for message in OWN} if language == "ca" else {})
    for name, package, folder in CATALOGUES:
        words.add_fallback(translation(name, catalogue_folder(package, folder), [language], fallback=True))
    return words
