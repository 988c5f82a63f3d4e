"""Captions and numbers for tables that a page's cells make: the directive ``caption`` right before the cell.

    :::{caption} What the table shows, with {term}`terms` and numbers.
    :name: tab-name-en
    :::

The table is then numbered with the others, and ``numref`` finds it by its name. MyST-NB has captions for pictures
alone.
"""

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.locale import get_translation
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

_ = get_translation("bilingual")


class CaptionedTable(nodes.General, nodes.Element):
    """A caption, and the output of the cell after it."""


class TableCaption(nodes.Part, nodes.TextElement):
    """The words over a table."""


class Caption(SphinxDirective):
    """Words for the table that the next cell makes."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"name": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """A captioned table without its table; `JoinTables` puts it there."""
        words, messages = self.state.inline_text(self.arguments[0], self.lineno)
        table = CaptionedTable("", TableCaption(self.arguments[0], "", *words))
        self.set_source_info(table)
        self.add_name(table)
        return [table, *messages]


class JoinTables(SphinxTransform):
    """Put each caption over the output of the cell that follows it (before labels are collected)."""

    default_priority = 400

    def apply(self, **_kwargs: Any) -> None:
        """Join what belongs together; what shows nothing has no caption. Raises ExtensionError if no cell follows."""
        for table in list(self.document.findall(CaptionedTable)):
            cell = table.next_node(descend=False, siblings=True)
            if not isinstance(cell, nodes.container) or cell.get("nb_element") != "cell_code":
                raise ExtensionError(f"{self.env.docname}:{table.line}: no cell follows this caption")
            table.parent.remove(table)
            output = cell.children[-1]
            if output.get("nb_element") != "cell_code_output":
                continue
            table += output.children
            output.children = []
            output += table


def title_of(table: nodes.Node) -> str:
    """What a reference without words of its own would say."""
    return table[0].astext()


def visit_table(self: HTML5Translator, node: CaptionedTable) -> None:
    """Begin the place of a table with its caption."""
    self.body.append(self.starttag(node, "div", CLASS="captioned-table"))


def depart_table(self: HTML5Translator, _node: CaptionedTable) -> None:
    """End it."""
    self.body.append("</div>\n")


def visit_caption(self: HTML5Translator, node: TableCaption) -> None:
    """Number and words."""
    self.body.append('<p class="table-caption">')
    self.add_fignumber(node.parent)
    self.body.append('<span class="caption-text">')


def depart_caption(self: HTML5Translator, node: TableCaption) -> None:
    """The link to the table, as other tables have it."""
    self.body.append("</span>")
    if node.parent["ids"]:
        self.add_permalink_ref(node.parent, _("Link to this table"))
    self.body.append("</p>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_directive("caption", Caption)
    app.add_enumerable_node(CaptionedTable, "table", title_of, html=(visit_table, depart_table))
    app.add_node(TableCaption, html=(visit_caption, depart_caption))
    app.add_transform(JoinTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
