"""What a hosted book needs: cards for those who link to a page, and a page for addresses that lead nowhere.

- Each page says its title, description and picture in Open Graph's and Twitter's terms. The description is the page's
  own (`html_meta`); a page without one is described by its first paragraph.
- `404.html`, in every language. A server shows it at any depth: with `html_baseurl` set, its links hold everywhere.
- Where a page has moved, its old address leads on to the new one.
- Of what the themes bring, maps to their sources and fonts in a second format, which no reader loads, are left out.
- The environment variable `BOOK_URL` sets `html_baseurl`, so that whoever hosts the book changes no file.
- Nothing is left in it that tells of the machine that built it.

Configuration: ``hosting_card`` (picture, below the built book's root; width and height in pixels; what it shows),
``hosting_moved`` (the address of each page that has moved, below the built book's root, by its old name).
"""

import os
import posixpath
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import bilingual
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

ADDRESS = "BOOK_URL"
NOT_FOUND = "404"
LOCALES = {"ca": "ca_ES", "en": "en_GB"}
LONGEST = 300  # characters of a description: sites cut what is longer
TEMPLATES = Path(__file__).parent / "templates"


def take_address(_app: Sphinx, config: Config) -> None:
    """Take the book's address from the environment, and find our templates."""
    if address := os.environ.get(ADDRESS, config.html_baseurl):
        config.html_baseurl = address.rstrip("/") + "/"
    config.templates_path.append(str(TEMPLATES))


# ---- cards -----------------------------------------------------------------------------------------------------------


def add_card(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Say what the page is in the terms of sites that show a card for a link (after the themes: they set the title)."""
    own, first = described(doctree, context["language"]) if doctree else ("", "")
    tags = [] if own or not first else [("name", "description", first)]
    tags += card(app, pagename, context, own or first)
    lines = (f'<meta {kind}="{name}" content="{escape(content)}" />' for kind, name, content in tags)
    context["metatags"] = "\n    ".join([context.get("metatags", ""), *lines])


def described(doctree: nodes.document, language: str) -> tuple[str, str]:
    """The page's own description in a language, and its first paragraph, shortened; either may be empty."""
    metas = (meta for meta in doctree.findall(nodes.meta) if meta.get("name") == "description")
    own = next((meta["content"] for meta in metas if meta.get("lang", language) == language), "")
    first = next((paragraph.astext() for paragraph in doctree.findall(nodes.paragraph)), "")
    words = " ".join(first.split())
    return own, words if len(words) <= LONGEST else words[:LONGEST].rsplit(" ", 1)[0] + " …"


def card(app: Sphinx, pagename: str, context: dict[str, Any], description: str) -> Iterator[tuple[str, str, str]]:
    """The tags of a page's card; addresses are full ones if the book has one, relative to the page otherwise."""
    picture, width, height, shows = app.config.hosting_card
    address = app.config.html_baseurl
    yield "property", "og:type", "article"
    site = context.get("docstitle") or app.config.html_title
    yield "property", "og:site_name", site
    yield "property", "og:title", BeautifulSoup(context.get("title") or site, "html.parser").get_text()
    if description:
        yield "property", "og:description", description
    language = bilingual.language_of(app, pagename)
    for one in [language] if language else app.config.bilingual_languages:
        yield "property", "og:locale" if one == context["language"] else "og:locale:alternate", LOCALES[one]
    if address:
        yield "property", "og:url", urljoin(address, app.builder.get_target_uri(pagename))
    yield "property", "og:image", urljoin(address, picture) if address else context["pathto"](picture, resource=True)
    yield "property", "og:image:width", str(width)
    yield "property", "og:image:height", str(height)
    yield "property", "og:image:alt", shows
    yield "name", "twitter:card", "summary_large_image"


# ---- the page for addresses that lead nowhere ------------------------------------------------------------------------


def make_not_found(_app: Sphinx) -> list[tuple[str, dict[str, Any], str]]:
    """The page, whose title says it in every language."""
    return [(NOT_FOUND, {"title": "Pàgina no trobada · Page not found"}, "404.html")]


def make_links_absolute(app: Sphinx, failed: Exception | None) -> None:
    """Let the page's links hold at any depth, if the book's address is known."""
    path, address = Path(app.outdir, f"{NOT_FOUND}.html"), app.config.html_baseurl
    if failed or not address or not path.is_file():
        return
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for name in ("href", "src", "action", "data-content_root"):
        for element in page.select(f"[{name}]"):
            if not element[name].startswith("#") and not urlsplit(element[name]).scheme:
                element[name] = urljoin(address, element[name])
    path.write_text(str(page), encoding="utf-8")


# ---- pages that have moved -------------------------------------------------------------------------------------------

MOVED = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8" /><title>{address}</title>
<link rel="canonical" href="{address}" /><meta http-equiv="refresh" content="0; url={address}" /></head>
<body><p><a href="{address}">{address}</a></p></body></html>
"""


def lead_on(app: Sphinx, failed: Exception | None) -> None:
    """Write a page at each old address that leads to the new one."""
    if failed or app.builder.name != "html":
        return
    for old, new in app.config.hosting_moved.items():
        if new.partition(".html")[0] not in app.env.found_docs:
            continue  # another book, or a part of it
        address = posixpath.relpath(new, posixpath.dirname(old))
        language = bilingual.language_of(app, old) or app.config.bilingual_languages[0]
        page = Path(app.outdir, f"{old}.html")
        page.write_text(MOVED.format(language=language, address=escape(address)), encoding="utf-8")


def forget_machine(app: Sphinx, _failed: Exception | None) -> None:
    """Remove Sphinx's note of its settings, which name folders; `make book` writes every page without looking at it."""
    Path(app.outdir, ".buildinfo").unlink(missing_ok=True)


# ---- what no reader loads --------------------------------------------------------------------------------------------

UNREAD = ("*.map", "*.ttf")
"""Of the themes: from compressed scripts and styles to their sources, 3 MB; and fonts that are there as WOFF2, too."""


def leave_out(app: Sphinx, failed: Exception | None) -> None:
    """Take away what the themes bring that no reader loads."""
    if failed or app.builder.name != "html":
        return
    for path in [one for pattern in UNREAD for one in Path(app.outdir, "_static").rglob(pattern)]:
        path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("hosting_card", None, "html", list)
    app.add_config_value("hosting_moved", {}, "html", dict)
    app.connect("config-inited", take_address)
    app.connect("html-page-context", add_card, priority=950)  # after bilingual's last word
    app.connect("html-collect-pages", make_not_found)
    app.connect("build-finished", make_links_absolute)
    app.connect("build-finished", lead_on)
    app.connect("build-finished", forget_machine)
    app.connect("build-finished", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
