"""Room for columns of words: on a phone a browser makes them towers of single words before it lets a table scroll.

Which column holds words no style sheet can tell: its cells get the class ``wordy`` here, and a table from a cell whose
rows have long names the class ``long-names``.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

LONG = 20  # characters: more than a column of numbers holds
LONG_NAME = 14  # characters: a longer name of a row takes three lines on a phone
_ROW_NAME = re.compile(r"<tr>\s*<th>([^<]*)</th>\s*<td")


def mark_words(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Mark the cells of columns of words, and the tables from cells with long names of rows."""
    for body in doctree.findall(nodes.tbody):
        rows = list(body.parent.findall(nodes.row))
        wordy = {
            column for row in body.children for column, cell in enumerate(row.children) if len(cell.astext()) > LONG
        }
        for row in rows:
            for column in wordy & set(range(len(row))):
                row[column]["classes"].append("wordy")
    for raw in doctree.findall(nodes.raw):
        if any(len(name) > LONG_NAME for name in _ROW_NAME.findall(raw.astext())):
            raw[0] = nodes.Text(raw.astext().replace('class="dataframe', 'class="dataframe long-names', 1))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-resolved", mark_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
