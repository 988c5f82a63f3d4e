"""The built book: where it is, its pages and their twins, and a window on it in Chromium."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
expect.set_options(timeout=PATIENCE)

HTML = ROOT / "book" / "_build" / "html"
LANGUAGES = ("ca", "en")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

# What a page looks like once fonts and formulas are there.
LOOK = """async () => {
  await document.fonts.ready;
  if (window.MathJax) await MathJax.startup.promise;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const words = ["title", "aria-label", "placeholder", "data-bs-title", "data-bs-original-title", "data-tooltip"];
  return {
    formulas: all(".math").length,
    unset: all(".math").filter((formula) => !formula.querySelector("mjx-container")).map((one) => one.textContent),
    // Formulas that MathJax refused, and commands that it does not know: those it writes in red.
    wrong: all("mjx-merror, mjx-mtext[style*='color: red']").map((one) => one.closest("mjx-container").outerHTML),
    broken: [...document.images].filter((image) => !image.complete || !image.naturalWidth).map((image) => image.src),
    words: all("body :is(" + words.map((name) => `[${name}]`) + ")")
      .filter((element) => !element.closest(".prev-next-area, .language-switch") && !element.matches("a.reference"))
      .flatMap((element) => words.map((name) => element.getAttribute(name)).filter(Boolean)),
  };
}"""

# What axe-core finds wrong, as far as it hinders a reader (https://github.com/dequelabs/axe-core, "impact").
AXE = """async ([theme, rules]) => {
  if (theme) Object.assign(document.documentElement.dataset, { theme, mode: theme });
  const options = { preload: false, resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
  const found = (await axe.run(document, options)).violations.filter((one) => /serious|critical/.test(one.impact));
  return found.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`));
}"""

# A colour on its way from one mode to the other has no contrast to speak of.
STILL = "* { transition: none !important; animation: none !important; }"


def page_names() -> list[str]:
    """Every page's path below the book's root, but for the old addresses of pages that have moved."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run `make book` first")
    paths = [path for path in sorted(HTML.rglob("*.html")) if "_static" not in path.parts]
    paths = [path for path in paths if 'http-equiv="refresh"' not in path.read_text(encoding="utf-8")]
    return [path.relative_to(HTML).as_posix() for path in paths]


def language_of(name: str) -> str | None:
    return next((each for each in LANGUAGES if name.startswith(f"{each}/") or name == f"search-{each}.html"), None)


def twins(pages: Iterable[str]) -> dict[str, str]:
    """English page for each Catalan one (what has no twin is another test's business)."""
    return {name: twin_of(name) for name in pages if language_of(name) == "ca" and twin_of(name) in pages}


def twin_of(name: str) -> str:
    first, second = LANGUAGES if language_of(name) == LANGUAGES[0] else LANGUAGES[::-1]
    return name.replace(f"-{first}.", f"-{second}.") if name.startswith("search") else name.replace(first, second, 1)


@dataclass
class Seen:
    """What the browser saw on one page."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    overflow: dict[int, int] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)
    barriers: dict[str, list[str]] = field(default_factory=dict)


class Window:
    """A window of the browser, and what went wrong on the page that is open in it."""

    def __init__(self, page: Page):
        self.page = page
        self.seen = Seen()
        page.on("request", self.note_request)
        page.on("requestfailed", lambda request: self.seen.errors.append(f"{request.url}: {request.failure}"))
        page.on("pageerror", lambda error: self.seen.errors.append(str(error)))
        page.on("console", lambda said: self.seen.errors.append(said.text) if said.type == "error" else None)

    def note_request(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.seen.outside.append(request.url)

    def open(self, name: str) -> Seen:
        self.seen = Seen()
        self.page.goto(f"{HTML.as_uri()}/{name}")
        return self.seen


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[Window]:
    page = browser.new_page(**{"viewport": WIDE} | options)
    page.set_default_timeout(PATIENCE)
    yield Window(page)
    page.close()
