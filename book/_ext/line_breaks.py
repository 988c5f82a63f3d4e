"""Where a line may not end: inside a number that a cell put into the prose, and between a formula and its punctuation.

Browsers break a line before and after a formula whatever stands there, so that a full stop may begin a line. What is to
stay together gets the class ``unbroken``; the style sheet does the rest.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

CLASS = "unbroken"
SHORT = 30  # characters: what fits on the line of a phone
_AFTER = re.compile(r"[.,;:!?)\]’”»]+")
_BEFORE = re.compile(r"[(\[‘“«]+$")


def keep_together(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Mark the short texts from cells, and each inline formula with the punctuation that touches it."""
    for pasted in doctree.findall(nodes.inline):
        if "pasted-text" in pasted["classes"] and len(pasted.astext()) <= SHORT:
            pasted["classes"].append(CLASS)
    for formula in list(doctree.findall(nodes.math)):
        together = nodes.inline("", "", classes=[CLASS])
        parent, place = formula.parent, formula.parent.index(formula)
        before, after = parent[place - 1] if place else None, parent[place + 1] if place + 1 < len(parent) else None
        opening = _BEFORE.search(before) if isinstance(before, nodes.Text) else None
        closing = _AFTER.match(after) if isinstance(after, nodes.Text) else None
        if not (opening or closing):
            continue
        parent[place] = together
        if opening:
            parent.replace(before, nodes.Text(before[: opening.start()]))
            together += nodes.Text(opening[0])
        together += formula
        if closing:
            parent.replace(after, nodes.Text(after[closing.end() :]))
            together += nodes.Text(closing[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
