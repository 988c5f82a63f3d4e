"""A notebook's outputs in both languages: those that were committed, and those of the same notebook in the other one.

The latter are made when the book is built, by `tools/execute_pages.py`, and lie in a folder per language beside the
built book. Each cell is followed by its outputs in one language and in the other, tagged with it for `bilingual`;
outputs that are the same in both stay where they are. Without that folder the committed outputs are shown alone.
"""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from sphinx.application import Sphinx

FOLDER = "notebooks"  # of the book, and beside the built book


def outputs_in_both(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the outputs in the second language beside those of a notebook, before it is parsed."""
    folder, _, name = docname.partition("/")
    first, second = app.config.bilingual_languages
    path = Path(app.outdir).parent / FOLDER / second / f"{name}.ipynb"
    if folder != FOLDER or not path.is_file():
        return
    notebook, other = nbformat.reads(source[0], as_version=4), nbformat.read(path, as_version=4)
    cells = []
    for cell, twin in zip(notebook.cells, other.cells, strict=True):
        cells.append(cell)
        if cell.cell_type == "code" and said(cell) != said(twin):
            cells += [outputs_alone(cell, first), outputs_alone(twin, second)]
            cell.outputs = []
    notebook.cells = cells
    source[0] = nbformat.writes(notebook)


def said(cell: NotebookNode) -> list[NotebookNode]:
    """What a cell showed."""
    return [output.get("data", output) for output in cell.outputs]


def outputs_alone(cell: NotebookNode, language: str) -> NotebookNode:
    """A cell that shows what another showed, in a language, and not its code (MyST-NB leaves out cells without any)."""
    tags = ["remove-input", f"language-{language}"]
    return new_code_cell(cell.source, outputs=cell.outputs, metadata={"tags": tags})


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", outputs_in_both)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
