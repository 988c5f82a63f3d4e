"""Markup that assistive technology would stumble over, put right where it is written."""

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_render_image = NbElementRenderer.render_image


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Begin an entry of a bibliography: an item of the list around it (docutils gives it a deprecated role)."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def render_image(self: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
    """A cell's picture, with the alternative text that its output brings (MyST-NB would have it said in the page)."""
    images = _render_image(self, data)
    if alt := data.output_metadata.get(data.mime_type, {}).get("alt"):
        images[0]["alt"] = alt
    return images


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation))
    NbElementRenderer.render_image = render_image
    return {"parallel_read_safe": True, "parallel_write_safe": True}
