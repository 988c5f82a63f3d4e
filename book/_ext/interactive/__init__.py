"""Parts of a page that a reader can touch, wholly offline: the directive ``{interactive} NAME``.

The page gets a place for the part and its words, and only such pages load scripts, style and data of theirs. All of
them are classic scripts and the data is one too, since a page read from a disk may neither fetch nor import. A
Content-Security-Policy on these pages forbids every connection: nothing that a reader gives them leaves. The data is
made from the records when the book is built; paper and browsers without JavaScript have the figure beside it.

``:figure: NAME`` gives the part the data of a figure on the page, those that the figure offers as CSV. What the
directive holds gives way to the part where scripts run. ``:lang:`` is the language of its words on a page that holds
several; with ``:brief:`` it says what to do, and folds its tables up.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from io import StringIO
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Any

import bilingual
import figure_data
import pandas as pd
from docutils import nodes
from docutils.nodes import Node
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxTranslator

from analysis import study
from analysis.data import qm9
from analysis.evaluation.dynamics import Watched
from analysis.figures import explorer, final_comparison, forces_dynamics
from analysis.figures.words import say
from analysis.predict import exported
from analysis.predict.ensemble import Ensemble, default_records
from analysis.runs.records import Record
from analysis.study import trials
from interactive.words import PARTS, WITHOUT_SCRIPTS

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
FOLDER = "interactive"  # of scripts, style and data below the built book's _static
STYLE = "interactive.css"
OPENCHEMLIB = ("openchemlib/openchemlib.js", "openchemlib/resources.js")
"""Structures, drawing, conformers and MMFF94 (BSD-3-Clause): made by `openchemlib.sh`, checksums beside it."""
POLICY = "connect-src 'none'"
"""Content-Security-Policy of these pages."""


@dataclass(frozen=True)
class Part:
    """What a part needs: scripts of `static/interactive`, in order, and the script that holds its data."""

    scripts: tuple[str, ...]
    data: Callable[[], Mapping[str, Any]] | None = None

    def files(self, name: str) -> list[str]:
        """All of its scripts, in the order in which they have to be loaded."""
        return [*([f"{name}-data.js"] if self.data else []), *self.scripts, f"{name}.js"]


@cache
def models() -> dict[str, list[Record]]:
    """The records of Default, Custom and Beyond, one per seed."""
    compared = study.recorded(study.FinalComparisonParameters(), qm9.load())
    return {**final_comparison.by_model(compared), "beyond": default_records()}


@cache
def ensemble() -> Ensemble:
    """The networks that `predict` takes."""
    return Ensemble(default_records())


NEEDS: Mapping[str, Part] = MappingProxyType(
    {
        "slider": Part(("core.js", "chart.js"), lambda: explorer.slider(models(), qm9.load())),
        "explorer": Part(("core.js", "view.js"), lambda: explorer.explorer(models(), qm9.load())),
        "weights": Part(("core.js", "chart.js")),
        "caps": Part(("core.js", "chart.js")),
        "trials": Part(("core.js", "chart.js", "pointing.js"), lambda: {"tolerance": trials.TOLERANCE}),
        "epochs": Part(("core.js", "chart.js", "pointing.js")),
        "budget": Part(("core.js", "chart.js", "pointing.js")),
        "trajectory": Part(("core.js", "view.js"), lambda: forces_dynamics.to_watch(Watched.load())),
        "molecule": Part(
            (*OPENCHEMLIB, "core.js", "view.js", "painn.js", "domain.js", "prediction.js"),
            lambda: {"networks": exported.networks(ensemble()), "limits": exported.limits(ensemble())},
        ),
    }
)
"""The parts by name."""


class interactive(nodes.General, nodes.Element):
    """The place of a part: `part` is its name, `key` unique on its page; the data of `figure` are its `rows`."""


class Interactive(SphinxDirective):
    """``{interactive} NAME``: a part that can be touched stands here, before what the directive holds."""

    required_arguments = 1
    has_content = True
    option_spec = {"lang": directives.unchanged, "figure": directives.unchanged, "brief": directives.flag}  # noqa: RUF012

    def run(self) -> list[Node]:
        """Put the place there; an unknown name is an error of the page."""
        name = self.arguments[0]
        if name not in NEEDS:
            raise self.error(f"there is no part {name!r} to touch: there are {', '.join(NEEDS)}")
        language = bilingual.language_of(self.env.app, self.env.docname) or self.config.bilingual_languages[0]
        figure = self.options.get("figure", "")
        place = interactive(
            part=name,
            key="-".join(filter(None, [name, figure.removeprefix("fig-"), self.options.get("lang")])),
            language=self.options.get("lang", language),
            figure=figure,
            rows=None,
            brief="brief" in self.options,
        )
        otherwise = nodes.container(classes=["otherwise"])
        otherwise += self.parse_content_to_nodes()
        return [place, otherwise] if self.content else [place]


def take_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give each part that shows a figure's data these as its `rows`."""
    for place in [one for one in doctree.findall(interactive) if one["figure"]]:
        figure = next((one for one in doctree.findall(nodes.figure) if place["figure"] in one["ids"]), None)
        data = figure_data.of_figure(app, figure) if figure else None
        if data is None:
            log.warning("%s is no figure with data on this page", place["figure"], location=place)
        else:
            place["rows"] = rows(data)


def rows(data: str) -> dict[str, list]:
    """A figure's CSV for scripts: `columns` are its names, `data` its rows; None where a cell is empty."""
    table = pd.read_csv(StringIO(data), dtype={"run": str})
    return json.loads(table.to_json(orient="split", index=False))


def place(name: str, lang: str, *, key: str = "", rows: Mapping[str, list] | None = None, brief: bool = False) -> str:
    """The HTML of a part: empty and hidden, its scripts fill it and show it; beside it its words and rows."""
    key = f"interactive-{key or name}"
    given = {"words": {word: unfilled(message, lang) for word, message in PARTS[name].items()}}
    if rows is not None:
        given["rows"] = rows
    marks = f'class="interactive" id="{key}" data-part="{name}" data-language="{lang}"{" data-brief" if brief else ""}'
    scripts = [
        f'<script type="application/json" id="{key}-{what}">{_written(content)}</script>'
        for what, content in given.items()
    ]
    without = f"<noscript><p><em>{escape(say(WITHOUT_SCRIPTS['here'], lang))}</em></p></noscript>"
    return "\n".join([f"<div {marks} hidden></div>", *scripts, without, ""])


ALONE = """<!doctype html>
<html lang="{lang}" data-theme="light"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="stylesheet" href="{folder}/{style}">{scripts}</head>
<body><main><h1>{name}</h1>{place}</main></body></html>
"""


def alone(folder: Path, name: str, lang: str, data: str | None = None) -> Path:
    """Write a page in `folder` that has a part and nothing else, to try it without the book: `NAME-LANG.html`.

    `data` is the CSV of the figure whose data it shows, if it does. Returns the page's path.
    """
    shutil.copytree(HERE / "static" / FOLDER, folder / FOLDER, dirs_exist_ok=True)
    if NEEDS[name].data:
        (folder / FOLDER / f"{name}-data.js").write_text(data_script(name), encoding="utf-8")
    page = folder / f"{name}-{lang}.html"
    words = {
        "scripts": "".join(f'<script defer src="{FOLDER}/{file}"></script>' for file in NEEDS[name].files(name)),
        "place": place(name, lang, rows=None if data is None else rows(data)),
    }
    page.write_text(ALONE.format(lang=lang, name=name, policy=POLICY, folder=FOLDER, style=STYLE, **words), "utf-8")
    return page


def _written(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def unfilled(message: str, lang: str) -> str:
    """A message in a language, its places left for a script to fill."""
    return say(message, lang, **{name: f"{{{name}}}" for _, name, _, _ in Formatter().parse(message) if name})


@cache
def data_script(name: str) -> str:
    """The script that holds a part's data: `SLIDER_DATA = …`."""
    content = json.dumps(NEEDS[name].data(), separators=(",", ":"))
    return f"globalThis.{name.upper()}_DATA = {content};\n"


def write_place(self: SphinxTranslator, node: interactive) -> None:
    """Write the place into a page of the book; on paper and elsewhere there is nothing to touch."""
    if self.builder.name == "html":
        about = {name: node[name] for name in ("key", "rows", "brief")}
        self.body.append(place(node["part"], node["language"], **about))
    raise nodes.SkipNode


def add_scripts(
    app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load what a page's parts need on this page, and forbid it every connection."""
    if doctree is None or app.builder.name != "html":
        return
    names = list(dict.fromkeys(node["part"] for node in doctree.findall(interactive)))
    if not names:
        return
    policy = f'\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}" />'
    context["metatags"] = context.get("metatags", "") + policy
    app.add_css_file(f"{FOLDER}/{STYLE}")
    for name in names:
        if NEEDS[name].data:
            path = Path(app.outdir, "_static", FOLDER, f"{name}-data.js")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(data_script(name), encoding="utf-8")
    for file in dict.fromkeys(file for name in names for file in NEEDS[name].files(name)):
        app.add_js_file(f"{FOLDER}/{file}", loading_method="defer")


def add_paths(_app: Sphinx, config: Config) -> None:
    """Register our scripts (late, so that Jupyter Book does not load them on every page)."""
    config.html_static_path.append(str(HERE / "static"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    visitors = (write_place, None)
    app.add_node(interactive, html=visitors, text=visitors, latex=visitors)
    app.add_directive("interactive", Interactive)
    app.connect("config-inited", add_paths)
    app.connect("doctree-read", take_figures, priority=400)  # before Sphinx copies the pictures
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
