"""Under each figure that a page's cell draws: its data as a CSV file, its notebook and the ids of its runs.

Beside the CSV file lies what is known of it as JSON, for `make archive`.

The figure's file carries the data, a PNG in a text chunk and an SVG in an element (`analysis.figures.style`), so that
nothing has to be said in the page. The notebook is the one that the page names nearest to the figure. The runs are
those of the data's column `run`; a row that is a mean over several runs names all of them. A figure without data is
left as it is.
"""

import csv
import io
import json
import os
import posixpath
import re
from html import escape, unescape
from pathlib import Path

import bilingual
from docutils import nodes
from PIL import Image
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.locale import get_translation

from analysis.figures.style import DATA_CHUNK

NOTEBOOKS = "notebooks"  # folder of the book's notebooks
FOLDER = "figure-data"  # beside the built book: Sphinx copies from there what pages link to
_METADATA = re.compile(f'<metadata id="{DATA_CHUNK}">(.*?)</metadata>', re.DOTALL)
_ = get_translation(bilingual.CATALOGUE)


def add_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Put a legend under each figure that holds data (before Sphinx looks for the files to be downloaded)."""
    docname = app.env.docname
    bilingual.speak(app, docname)
    for figure in list(doctree.findall(nodes.figure)):
        data = of_figure(app, figure)
        if data is None:
            continue
        picture = next(figure.findall(nodes.image))
        name = figure["ids"][0].removeprefix("fig-") if figure["ids"] else Path(picture["uri"]).stem
        path = Path(app.outdir).parent / FOLDER / f"{name}.csv"
        write_if_new(path, data)
        links = nodes.paragraph("", "", download(f"/{os.path.relpath(path, app.srcdir)}"))
        if notebook := notebook_of(app, figure):
            links += link_to(notebook, docname)
        figure += nodes.legend("", links, *runs(data), classes=["figure-data"])
        caption = figure.next_node(nodes.caption)
        about = {"page": docname, "caption": caption.astext() if caption else "", "notebook": notebook}
        write_if_new(path.with_suffix(".json"), json.dumps(about | {"runs": runs_of(data)}, indent=2) + "\n")


def of_figure(app: Sphinx, figure: nodes.figure) -> str | None:
    """The data that a figure of the page being read carries, as CSV; None if it carries none."""
    picture = next(figure.findall(nodes.image), None)
    return data_of(app.env.relfn2path(picture["uri"], app.env.docname)[1]) if picture else None


def data_of(picture: str) -> str | None:
    """The data that a picture carries, as CSV; None if it is neither PNG nor SVG or carries none."""
    if not Path(picture).is_file():
        return None
    if picture.endswith(".svg"):
        found = _METADATA.search(Path(picture).read_text(encoding="utf-8"))
        return unescape(found[1]) if found else None
    if not picture.endswith(".png"):
        return None
    with Image.open(picture) as image:
        return image.text.get(DATA_CHUNK)


def write_if_new(path: Path, text: str) -> None:
    """Leave a file that is the same as it is: Sphinx would read the page again for its date."""
    content = text.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def download(place: str) -> addnodes.download_reference:
    """Link that downloads a file below the book's sources."""
    return addnodes.download_reference("", "", nodes.inline("", _("Data (CSV)")), reftarget=place, refdoc="")


def notebook_of(app: Sphinx, figure: nodes.figure) -> str | None:
    """The notebook that is linked to nearest to the figure: in the smallest part of the page that names one."""
    part = figure.parent
    while part is not None:
        for link in part.findall(addnodes.pending_xref):
            page = posixpath.normpath(posixpath.join(posixpath.dirname(app.env.docname), link["reftarget"]))
            if link["reftype"] == "doc" and posixpath.dirname(page) == NOTEBOOKS:
                return page
        part = part.parent
    return None


def link_to(notebook: str, docname: str) -> addnodes.pending_xref:
    """Link to a notebook, by its file's name."""
    words = nodes.inline("", f"{_('Notebook')} {posixpath.basename(notebook)}")
    about = {"refdomain": "std", "reftype": "doc", "refexplicit": True, "refwarn": True}
    return addnodes.pending_xref("", words, reftarget=f"/{notebook}", refdoc=docname, **about)


def runs_of(data: str) -> list[str]:
    """The ids of the runs behind the data, each once, in the order of its rows."""
    ids = [name for row in csv.DictReader(io.StringIO(data)) for name in (row.get("run") or "").split()]
    return list(dict.fromkeys(ids))


def runs(data: str) -> list[nodes.raw]:
    """The ids of the runs behind the data, in the order of its rows, folded up; nothing if it comes from no run."""
    distinct = runs_of(data)
    if not distinct:
        return []
    names = " ".join(f"<code>{escape(name)}</code>" for name in distinct)
    summary = f"{escape(_('Runs'))} ({len(distinct)})"
    return [nodes.raw("", f"<details><summary>{summary}</summary><p>{names}</p></details>", format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", add_sources, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
