"""The bibliography in Catalan: the style ``alpha-ca`` is pybtex's ``alpha`` with Catalan words between the fields.

Titles stay in the language they were published in. A field ``note_ca`` of an entry is its note in Catalan. Only the
kinds of entry that `references.bib` has are translated: articles, papers in proceedings, and miscellanea.
"""

from typing import Any

from pybtex.database import Entry, Person
from pybtex.plugin import register_plugin
from pybtex.richtext import Text
from pybtex.style import FormattedEntry
from pybtex.style.formatting import toplevel
from pybtex.style.formatting.alpha import Style
from pybtex.style.formatting.unsrt import pages
from pybtex.style.template import Node, field, names, optional, optional_field, sentence, together, words
from sphinx.application import Sphinx

NAME = "alpha-ca"
OTHERS = "others"  # BibTeX's name for the authors left out


class CatalanStyle(Style):
    """As `alpha`, in Catalan."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        plain = self.format_name

        def format_name(person: Person, abbreviate: bool = False) -> Node | Text:
            return Text("altres") if str(person) == OTHERS else plain(person, abbreviate)

        self.format_name = format_name  # pybtex sets it on the instance too

    def format_entry(self, label: str, entry: Entry, bib_data: Any = None) -> FormattedEntry:
        """An entry, with its note in Catalan if it has one; the entry itself also serves the other bibliography."""
        if "note_ca" in entry.fields:
            own = Entry(entry.type, {**entry.fields, "note": entry.fields["note_ca"]}, entry.persons)
            own.key = entry.key
            return super().format_entry(label, own, bib_data)
        return super().format_entry(label, entry, bib_data)

    def format_names(self, role: str, as_sentence: bool = True) -> Node:
        """The authors: "A, B i C"."""
        formatted = names(role, sep=", ", sep2=" i ", last_sep=" i ")
        return sentence[formatted] if as_sentence else formatted

    def format_volume_and_series(self, _e: Entry, as_sentence: bool = True) -> Node:
        """The volume and the series that it belongs to."""
        volume = together["Volum" if as_sentence else "volum", field("volume")]
        found = optional[words[volume, optional[words["de", field("series")]]]]
        return sentence[found] if as_sentence else found

    def get_inproceedings_template(self, e: Entry) -> Node:
        """A paper in proceedings."""
        where = sentence[
            self.format_btitle(e, "booktitle", as_sentence=False),
            self.format_volume_and_series(e, as_sentence=False),
            optional[pages],
        ]
        return toplevel[
            self.format_names("author"),
            self.format_title(e, "title"),
            words["Dins", where, self.format_address_organization_publisher_date(e)],
            sentence[optional_field("note")],
            self.format_web_refs(e),
        ]


def setup(_app: Sphinx) -> dict[str, bool]:
    """Register the style, under a name that the directive ``bibliography`` takes as its ``:style:``."""
    register_plugin("pybtex.style.formatting", NAME, CatalanStyle, force=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
