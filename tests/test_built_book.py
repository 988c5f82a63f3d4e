"""The built book as a reader has it: opened from disk, without a network, in Chromium, wide and narrow."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Request, sync_playwright

pytestmark = pytest.mark.built_book

HTML = Path(__file__).resolve().parent.parent / "book" / "_build" / "html"
LANGUAGES = ("ca", "en")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
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
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"


@dataclass
class Seen:
    """What the browser saw on one page."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    overflow: dict[int, int] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def pages() -> dict[str, BeautifulSoup]:
    """Every page of the book, parsed, by its path below the book's root."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run `make book` first")
    paths = [path for path in sorted(HTML.rglob("*.html")) if "_static" not in path.parts]
    return {path.relative_to(HTML).as_posix(): parsed(path) for path in paths}


def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def language_of(name: str) -> str | None:
    return next((each for each in LANGUAGES if name.startswith(f"{each}/") or name == f"search-{each}.html"), None)


def twins(pages: Iterable[str]) -> dict[str, str]:
    """English page for each Catalan one (what has no twin is another test's business)."""
    return {name: twin_of(name) for name in pages if language_of(name) == "ca" and twin_of(name) in pages}


def twin_of(name: str) -> str:
    first, second = LANGUAGES if language_of(name) == LANGUAGES[0] else LANGUAGES[::-1]
    return name.replace(f"-{first}.", f"-{second}.") if name.startswith("search") else name.replace(first, second, 1)


def target(name: str, address: str) -> tuple[str, str] | None:
    """File below the book's root and fragment that an address on page `name` leads to; None if outside the book."""
    if address.startswith(("http:", "https:", "mailto:", "data:", "javascript:")):
        return None
    path, fragment = urldefrag(address.partition("?")[0] or "")
    path = os.path.normpath(os.path.join(os.path.dirname(name), unquote(path))) if path else name  # noqa: PTH118, PTH120
    return path, unquote(fragment)


# ---- the files -------------------------------------------------------------------------------------------------------


def test_every_page_says_its_language(pages):
    said = {name: page.html.get("lang") for name, page in pages.items()}
    assert said == {name: language_of(name) or LANGUAGES[0] for name in pages}


def test_both_languages_have_the_same_pages(pages):
    files = [
        {twin_of(name) if each == "en" else name for name in pages if language_of(name) == each} for each in LANGUAGES
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 15


@pytest.mark.parametrize(
    "selector", ["h1, h2, h3, h4", "figure", "table", "div.math", "details.hide", "div.admonition"]
)
def test_twin_pages_have_the_same_structure(pages, selector):
    def structure(name):
        return [element.name for element in pages[name].main.select(selector)]

    different = {name: (structure(name), structure(twin)) for name, twin in twins(pages).items()}
    assert not {name: both for name, both in different.items() if both[0] != both[1]}


def test_every_link_and_image_leads_somewhere(pages):
    anchors = {name: {element["id"] for element in page.select("[id]")} for name, page in pages.items()}
    lost = set()
    for name, page in pages.items():
        for element in page.select("[href], [src]"):
            address = element.get("href") or element.get("src")
            found = target(name, address)
            if found is None:
                continue
            path, fragment = found
            if not (HTML / path).exists() or (fragment and path in anchors and fragment not in anchors[path]):
                lost.add((name, address))
    assert not lost


def test_versions_of_a_page_name_each_other(pages):
    alternates = {
        name: {
            link["hreflang"]: target(name, link["href"])[0] for link in page.select('link[rel="alternate"][hreflang]')
        }
        for name, page in pages.items()
    }
    for name, versions in alternates.items():
        if language_of(name) is None:
            assert not versions or set(versions) == {*LANGUAGES, "x-default"}
    for name, twin in twins(pages).items():
        default = "index.html" if name == "ca/abstract.html" else twin
        assert alternates[name] == alternates[twin] == {"ca": name, "en": twin, "x-default": default}


def test_every_image_says_what_it_shows(pages):
    silent = [(name, image["src"]) for name, page in pages.items() for image in page.main.select("img:not([alt])")]
    assert not silent


# ---- the browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        pytest.fail("no Chromium found: install it (on Debian: apt-get install chromium) and run this again")
    quiet = ("background-networking", "component-update", "sync")
    options = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{each}" for each in quiet)]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=options)
        yield started
        started.close()


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
    page = browser.new_page(viewport=WIDE, **options)
    yield Window(page)
    page.close()


@pytest.fixture(scope="module")
def seen(browser, pages) -> dict[str, Seen]:
    """What the browser saw on every page, in a wide and in a narrow window."""
    everything = {}
    with window(browser) as reader:
        for name in pages:
            reader.page.set_viewport_size(WIDE)
            here = everything[name] = reader.open(name)
            here.look = reader.page.evaluate(LOOK)
            for size in (WIDE, NARROW):
                reader.page.set_viewport_size(size)
                here.overflow[size["width"]] = reader.page.evaluate(TOO_WIDE)
    return everything


def where(seen: dict[str, Seen], what) -> dict[str, Any]:
    return {name: found for name, here in seen.items() if (found := what(here))}


def test_no_request_leaves_the_book(seen):
    assert not where(seen, lambda here: here.outside)


def test_nothing_goes_wrong_on_any_page(seen):
    assert not where(seen, lambda here: here.errors)


def test_images_are_drawn(seen):
    assert not where(seen, lambda here: here.look["broken"])


def test_formulas_are_set(seen):
    assert not where(seen, lambda here: here.look["unset"])
    assert not where(seen, lambda here: here.look["wrong"])
    assert sum(here.look["formulas"] for here in seen.values()) > 20


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_window(seen, width):
    assert not where(seen, lambda here: max(here.overflow[width], 0))


def test_twin_pages_share_no_word_of_the_interface(seen):
    """A tooltip or label that is the same on both pages has not been translated."""
    words = {name: set(here.look["words"]) for name, here in seen.items()}
    assert min(map(len, words.values())) > 5
    shared = {name: words[name] & words[twin] for name, twin in twins(seen).items()}
    assert not {name: same for name, same in shared.items() if same}


@pytest.mark.parametrize("name", ["ca/abstract.html", "ca/state-of-the-art.html", "search-ca.html"])
def test_the_switch_leads_to_the_twin_and_back(browser, name):
    with window(browser) as reader:
        reader.open(name)
        page = reader.page
        page.click("a.language-switch")
        page.wait_for_url(f"**/{twin_of(name)}")
        assert page.evaluate("document.documentElement.lang") == "en"
        page.click("a.language-switch")
        page.wait_for_url(f"**/{name}")
        assert page.evaluate("document.documentElement.lang") == "ca"


@pytest.mark.parametrize(
    ("language", "query", "title", "status"),
    [
        ("ca", "QM9", "Resultats de la cerca", "Cerca acabada"),
        ("en", "QM9", "Search Results", "Search finished"),
    ],
)
def test_search_finds_the_pages_of_its_language_first(browser, pages, language, query, title, status):
    with window(browser) as reader:
        seen = reader.open(f"search-{language}.html?q={query}")
        page = reader.page
        page.wait_for_selector(f"#search-results p:has-text('{status}')")
        assert page.text_content("#search-results h2") == title
        links = page.eval_on_selector_all(
            "#search-results li a", "links => links.map(link => link.getAttribute('href'))"
        )
        found = [language_of(target("search.html", link)[0]) == language for link in links]
        assert found.count(True) > 3
        assert found == sorted(found, reverse=True)
        assert all(target("search.html", link)[0] in pages for link in links)
        assert not seen.errors


def test_figures_stay_on_a_light_ground_in_dark_mode(browser, pages):
    name = next(name for name, page in pages.items() if page.main.find("img"))
    with window(browser, color_scheme="dark") as reader:
        reader.open(name)
        page = reader.page
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        ground = "element => getComputedStyle(element).backgroundColor"
        assert page.eval_on_selector("body", ground) == "rgb(18, 18, 18)"
        assert page.eval_on_selector("article img", ground) == "rgb(250, 250, 250)"
        assert page.eval_on_selector("article img", "element => getComputedStyle(element).filter") == "none"


@pytest.mark.parametrize(("language", "word"), [("ca", "Copia"), ("en", "Copy")])
def test_the_copy_button_speaks_the_pages_language(browser, pages, language, word):
    name = next(name for name, page in pages.items() if language_of(name) == language and page.main.find("pre"))
    with window(browser) as reader:
        reader.open(name)
        assert reader.page.get_attribute("button.copybtn >> nth=0", "data-tooltip") == word
