"""Words in both languages: the English text is the message, as in gettext, and `ca.po` has the Catalan one.

`tests/figures/test_words.py` finds the messages in the sources: they stand literally in `say`, `mark` or `messages`.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from babel.messages.pofile import read_po

Language = Literal["ca", "en"]
LANGUAGES: tuple[str, ...] = get_args(Language)

CATALOGUE = Path(__file__).with_name("ca.po")


def say(message: str, lang: str, **values: str) -> str:
    """A message in `lang`, its placeholders filled with `values`.

    Raises ValueError for a language other than "ca" and "en", and LookupError, in either, for a message that the
    catalogue does not have.
    """
    check_language(lang)
    if message not in catalan():
        raise LookupError(f"{CATALOGUE.name} has no Catalan for {message!r}: add it there")
    return (catalan()[message] if lang == "ca" else message).format(**values)


def counted(forms: Mapping[str, str], count: int, lang: str, **values: str) -> str:
    """The form of a message that a number asks for, of `messages` for "none", "one" and "many"."""
    return say(forms["none" if count == 0 else "one" if count == 1 else "many"], lang, **values)


def mark(message: str) -> str:
    """The message as it is: for one that stands in a table and is said elsewhere."""
    return message


def messages[Role](by_role: Mapping[Role, str]) -> Mapping[Role, str]:
    """A table of messages by what they are for, to be said elsewhere."""
    return MappingProxyType(by_role)


@cache
def catalan() -> Mapping[str, str]:
    """Each message of the catalogue and its Catalan text."""
    with CATALOGUE.open("rb") as file:
        return MappingProxyType({entry.id: entry.string for entry in read_po(file, abort_invalid=True) if entry.id})


def check_language(lang: str) -> None:
    """Raise ValueError unless `lang` is one of the languages that figures are drawn in."""
    if lang not in LANGUAGES:
        raise ValueError(f"lang = {lang!r}: figures and tables are in 'ca' (Catalan) or 'en' (English)")
