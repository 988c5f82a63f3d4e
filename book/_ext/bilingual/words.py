"""The interface's words: Sphinx's and the themes' catalogues, and ours where they lack a word or have a poor one."""

from collections.abc import Iterable
from gettext import NullTranslations, translation
from importlib.util import find_spec
from pathlib import Path

# Each language in its own words: the switch's text and what it promises.
NAMES = {"ca": "Català", "en": "English"}
READ_IN = {"ca": "Llegeix aquesta pàgina en català", "en": "Read this page in English"}

# Catalogue name and folder of everything that brings translations, strongest first.
CATALOGUES = (
    ("sphinx", "pydata_sphinx_theme", "locale"),
    ("booktheme", "sphinx_book_theme", "theme/sphinx_book_theme/static/locales"),
    ("sphinx", "sphinx", "locale"),
)

SHOW_CODE, HIDE_CODE = "Show the code", "Hide the code"
SHOW_OUTPUT, HIDE_OUTPUT = "Show the output", "Hide the output"
SHOW_CELL, HIDE_CELL = "Show the code and its output", "Hide the code and its output"

OWN = {
    "ca": {
        "Contents": "Continguts",
        "Data (CSV)": "Dades (CSV)",
        "Download notebook file": "Baixa el quadern",
        "Download source file": "Baixa el fitxer font",
        "Download this page": "Baixa aquesta pàgina",
        "Figure %s": "Figura %s",
        "Fullscreen mode": "Pantalla completa",
        "Link to this code": "Enllaç a aquest codi",
        "Link to this definition": "Enllaç a aquesta definició",
        "Link to this equation": "Enllaç a aquesta equació",
        "Link to this heading": "Enllaç a aquest títol",
        "Link to this image": "Enllaç a aquesta imatge",
        "Link to this table": "Enllaç a aquesta taula",
        "Link to this term": "Enllaç a aquest terme",
        "Link to this toctree": "Enllaç a aquest índex",
        "Listing %s": "Llistat %s",
        "Notebook": "Quadern",
        "Runs": "Execucions",
        "Search": "Cerca",
        "Section %s": "Secció %s",
        "Table %s": "Taula %s",
        "Toggle primary sidebar": "Mostra o amaga l'índex",
        "Toggle secondary sidebar": "Mostra o amaga els continguts de la pàgina",
        "code": "codi",
        SHOW_CODE: "Mostra el codi",
        HIDE_CODE: "Amaga el codi",
        SHOW_OUTPUT: "Mostra la sortida",
        HIDE_OUTPUT: "Amaga la sortida",
        SHOW_CELL: "Mostra el codi i la sortida",
        HIDE_CELL: "Amaga el codi i la sortida",
    }
}


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
    words = _OwnFirst(OWN.get(language, {}))
    for name, package, folder in CATALOGUES:
        words.add_fallback(translation(name, catalogue_folder(package, folder), [language], fallback=True))
    return words
