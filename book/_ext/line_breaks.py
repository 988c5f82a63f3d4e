"""Where a line may not end: inside a number from a cell, before a unit, after a formula that punctuation follows.

Nor inside "Figure 2.1", nor at the sign of "r = 10" in a table from a cell. Browsers break a line before and after a
formula whatever stands there, so that a full stop may begin a line. What is to stay together gets the class
``unbroken``, which the style sheet knows, or a no-break space.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

CLASS = "unbroken"
SHORT = 30  # characters: what fits on the line of a phone
SPACE = "\N{NO-BREAK SPACE}"
# "0.03 ± 0.01 meV" has none and is a number; "300 epochs, 137 GPU hours" is prose, and "10–17 and 19" a list
_WORDS = re.compile(r"[^\W\d_]{4,}|[,;] | (?:and|i) ")
_UNIT = r"(?:m?eV²?|Å|K|[GM]i?B|min|ms|s|m|h|%|kcal/mol|kJ/mol)(?![\w/’'])"
_BEFORE_UNIT = re.compile(rf"(?<=\d) (?={_UNIT})")
_DASH = re.compile(r"(?<=\d)–(?=\d)")
_EQUALS = re.compile(r"(?<=\w) = (?=[−\d])")
_CELL_TEXT = re.compile(r">[^<>]+<")
_UNIT_FIRST = re.compile(rf"^ (?={_UNIT})")
_AFTER = re.compile(rf"(?:[ {SPACE}]{_UNIT})?[.,;:!?)\]’”»]*")
_BEFORE = re.compile(r"[(\[‘“«]+$")


def keep_together(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Mark the numbers from cells, references to figures, and each inline formula with the punctuation that touches it.

    Units get a no-break space before them.
    """
    for inline in doctree.findall(nodes.inline):
        number = "pasted-text" in inline["classes"] and _is_number(inline.astext())
        if number or "std-numref" in inline["classes"]:
            inline["classes"].append(CLASS)
        elif "pasted-text" in inline["classes"]:
            for place, text in enumerate(inline.children):
                if isinstance(text, nodes.Text):
                    inline[place] = nodes.Text(_DASH.sub("–\N{WORD JOINER}", text))
    for parent in list(doctree.findall(nodes.Element)):
        _keep_units(parent)
    for raw in doctree.findall(nodes.raw):
        if 'class="dataframe' in raw.astext():
            raw[0] = nodes.Text(_CELL_TEXT.sub(_keep_cell, raw.astext()))
    for formula in list(doctree.findall(nodes.math)):
        together = nodes.inline("", "", classes=[CLASS])
        parent, place = formula.parent, formula.parent.index(formula)
        before, after = parent[place - 1] if place else None, parent[place + 1] if place + 1 < len(parent) else None
        opening = _BEFORE.search(before) if isinstance(before, nodes.Text) else None
        closing = _AFTER.match(after) if isinstance(after, nodes.Text) else None
        if not (opening or (closing and closing[0])):
            continue
        parent[place] = together
        if opening:
            parent[place - 1] = nodes.Text(before[: opening.start()])
            together += nodes.Text(opening[0])
        together += formula
        if closing:
            parent[place + 1] = nodes.Text(after[closing.end() :])
            together += nodes.Text(closing[0])


def _is_number(text: str) -> bool:
    return len(text) <= SHORT and not _WORDS.search(text)


def _keep_units(parent: nodes.Element) -> None:
    """By place: equal texts are one to `index` and `replace`, and some extensions leave a text without its parent."""
    if isinstance(parent, (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.math_block, nodes.raw)):
        return
    for place, text in enumerate(parent.children):
        if not isinstance(text, nodes.Text):
            continue
        kept = _BEFORE_UNIT.sub(SPACE, text)
        before = parent[place - 1] if place else None
        if isinstance(before, nodes.inline) and "pasted-text" in before["classes"]:
            kept = _UNIT_FIRST.sub(SPACE, kept)
        if kept != text:
            parent[place] = nodes.Text(kept)


def _keep_cell(text: re.Match[str]) -> str:
    return _EQUALS.sub(f"{SPACE}={SPACE}", _BEFORE_UNIT.sub(SPACE, text[0]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
