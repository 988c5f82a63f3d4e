"""Parts of a page that a reader can touch, wholly offline: the directive ``{interactive} NAME``.

The page gets a place for the part and its words, and only such pages load scripts, style and data of theirs. All of
them are classic scripts and the data is one too, since a page read from a disk may neither fetch nor import. A
Content-Security-Policy on these pages forbids every connection: nothing that a reader gives them leaves. The data is
made from the records when the book is built; paper and browsers without JavaScript have the figure beside it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Any

import bilingual
from docutils import nodes
from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective, SphinxTranslator

from analysis import study
from analysis.data import qm9
from analysis.figures import explorer, final_comparison
from analysis.figures.words import say
from analysis.predict import exported
from analysis.predict.ensemble import Ensemble, default_records
from analysis.runs.records import Record
from interactive.words import PARTS, WITHOUT_SCRIPTS

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
        "molecule": Part(
            (*OPENCHEMLIB, "core.js", "view.js", "painn.js", "domain.js", "prediction.js"),
            lambda: {"networks": exported.networks(ensemble()), "limits": exported.limits(ensemble())},
        ),
    }
)
"""The parts by name."""


class interactive(nodes.General, nodes.Element):
    """The place of a part: `part` is its name, `language` that of its words."""


class Interactive(SphinxDirective):
    """``{interactive} NAME``: a part that can be touched stands here."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Put the place there; an unknown name is an error of the page."""
        name = self.arguments[0]
        if name not in NEEDS:
            raise self.error(f"there is no part {name!r} to touch: there are {', '.join(NEEDS)}")
        language = bilingual.language_of(self.env.app, self.env.docname)
        return [interactive(part=name, language=language or self.config.bilingual_languages[0])]


def place(name: str, lang: str) -> str:
    """The HTML of a part: empty and hidden, its scripts fill it and show it; beside it its words."""
    words = {key: unfilled(message, lang) for key, message in PARTS[name].items()}
    written = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<div class="interactive" id="interactive-{name}" hidden></div>\n'
        f'<script type="application/json" id="interactive-{name}-words">{written}</script>\n'
        f"<noscript><p><em>{escape(say(WITHOUT_SCRIPTS['here'], lang))}</em></p></noscript>\n"
    )


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
        self.body.append(place(node["part"], node["language"]))
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
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
