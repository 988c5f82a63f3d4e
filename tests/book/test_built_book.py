"""The built book as a reader has it: its files, and a reader's ways through it, from disk, without a network."""

import importlib
import json
import os
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlencode

import pandas as pd
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from bs4 import BeautifulSoup, Tag
from built import (
    AXE,
    HTML,
    LANGUAGES,
    LOOK,
    NARROW,
    ROOT,
    STILL,
    WIDE,
    Window,
    language_of,
    page_names,
    twin_of,
    twins,
    window,
)
from PIL import Image
from playwright.sync_api import Page, expect
from waiting import PATIENCE

pytestmark = pytest.mark.built_book

TEXTS = ("introduction", "glossary", "references")  # pages with many different words
EACH_WIDTH = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


@pytest.fixture(scope="module")
def pages() -> dict[str, BeautifulSoup]:
    """Every page of the book, parsed, by its path below the book's root."""
    return {name: parsed(HTML / name) for name in page_names()}


def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


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


def test_the_book_with_its_pdfs_grows_no_further(pages):
    """45 MB were demanded; above them are mostly the committed notebooks' figures, and the second five networks."""
    assert all((HTML / name).is_file() for name in pages)
    largest = sorted(((path.stat().st_size, path) for path in HTML.rglob("*") if path.is_file()), reverse=True)
    assert sum(size for size, _ in largest) <= 55e6, largest[:20]


def test_what_cells_wrote_to_the_standard_error_is_not_published(pages):
    assert {name: said for name, page in pages.items() if (said := page.select(".output.stderr"))} == {}


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
    # Without a text Sphinx writes the file's own name.
    silent = [
        (name, image["src"])
        for name, page in pages.items()
        for image in page.main.select("img")
        if image.get("alt") is None or image["alt"].endswith((".png", ".svg"))
    ]
    assert not silent


def test_every_public_module_is_in_the_api(pages):
    modules = set()
    for package in ("analysis", "fused"):
        for path in (ROOT / package).rglob("*.py"):
            names = path.relative_to(ROOT).with_suffix("").parts
            names = names[:-1] if names[-1] == "__init__" else names
            if not any(name.startswith("_") for name in names):
                modules.add(".".join(names))
    shown = [
        place["id"].removeprefix("module-")
        for name, page in pages.items()
        if name.startswith("api/")
        for place in page.select('[id^="module-"]')
    ]
    assert sorted(shown) == sorted(modules)


def test_what_the_api_shows_is_public_and_the_packages_own(pages):
    names = {place["id"] for name, page in pages.items() if name.startswith("api/") for place in page.select("dt.sig")}
    assert len(names) > 300
    assert not [name for name in names if any(part.startswith("_") for part in name.split("."))]
    assert {name.partition(".")[0] for name in names} == {"analysis", "fused"}
    assert {"analysis.data.molecules.Molecules", "fused.schnet.FusedSchNet"} <= names
    assert "analysis.figures.style.BookFigure.set" not in names  # matplotlib's


# ---- figures and their sources -------------------------------------------------------------------------------------


DRAWINGS = {
    f"fig-{name}-{lang}": why
    for lang in LANGUAGES
    for name, why in {
        "architecture": "its numbers are in the drawing, as words",
        "pipeline": "says what is done, not what comes out",
    }.items()
}
"""Figures without data, by name, and why they have none."""
WITHOUT_NOTEBOOK = {
    "artefact": "takes recorded runs apart; `python -m analysis run sensitivity` trains those of other references",
    "benchmark": "is measured by a tool, `make bench`",
    "confirmation": "judges runs that `python -m analysis run confirmation` trains",
    "error-drivers": "is computed by `python -m analysis error-sources`, which records it in results/drivers",
    "extrapolation": "compares runs that `python -m analysis run extrapolation` trains",
    "large-molecules": "compares runs that `python -m analysis run large-molecules` trains",
    "predictions": "sets the records of all experiments beside what the data alone predict, and trains nothing itself",
    "preregistration": "compares runs of other pages; `python -m analysis run confirmation` trains those that it plans",
}
"""Pages whose figures no notebook makes, and why."""
WITHOUT_RUNS = {
    "benchmark": "shows results/benchmark, which is no run of the study",
    "state-of-the-art": "counts QM9's molecules: nothing is trained, but for the figure below",
}
"""Pages whose figures show no run, and why."""
OF_RUNS = {f"fig-published-{lang}" for lang in LANGUAGES}
"""Figures of runs on a page that has none otherwise."""
OF_NO_RUNS = {f"fig-{name}-{lang}" for lang in LANGUAGES for name in ("weight-curves", "forest", "cost")}
"""On pages of runs: figures of formulas, of other methods, and of verdicts, each of which follows from several arms."""
WORDS = {"ca": ("Dades (CSV)", "Execucions", "Quadern"), "en": ("Data (CSV)", "Runs", "Notebook")}


@pytest.fixture(scope="module")
def sources(pages) -> dict[tuple[str, str], tuple[Tag, tuple[str, str, str]]]:
    """What stands under every figure with data, and the words expected there, by the figure's page and name."""
    found = {}
    for name, page in pages.items():
        for figure in page.main.select("figure"):
            if figure.get("id") not in DRAWINGS:
                legend = figure.select_one(".figure-data")
                assert legend, f"{name}, {figure.get('id')}: give its data to style.figure, or say in DRAWINGS why not"
                found[name, figure["id"]] = legend, WORDS[language_of(name)]
    assert len(found) > 25
    return found


def test_every_figure_offers_its_data(sources):
    for (name, label), (legend, (words, _, _)) in sources.items():
        link = legend.select_one("a.download")
        assert link.get_text() == words
        path, _ = target(name, link["href"])
        assert Path(path).name == f"{label.removeprefix('fig-')}.csv"
        table = pd.read_csv(HTML / path)
        assert len(table) > 1, (name, label)
        assert table.select_dtypes("number").notna().any(axis=None)
        assert table.columns.is_unique


def test_every_figure_names_its_runs_and_they_are_recorded(sources):
    recorded = {path.parent.name for path in (ROOT / "results").glob("*/*/run.json")}
    for (name, label), (legend, (_, words, _)) in sources.items():
        ids = [code.get_text() for code in legend.select("details code")]
        expected = label not in OF_NO_RUNS and (Path(name).stem not in WITHOUT_RUNS or label in OF_RUNS)
        assert bool(ids) == expected, (name, label)
        assert set(ids) <= recorded
        assert len(ids) == len(set(ids))
        assert not ids or legend.summary.get_text() == f"{words} ({len(ids)})"


def test_every_figure_links_to_its_notebook(sources):
    for (name, label), (legend, (_, _, words)) in sources.items():
        links = legend.select('a[href*="notebooks/"]')
        assert bool(links) != (Path(name).stem in WITHOUT_NOTEBOOK), (name, label)
        for link in links:
            path, _ = target(name, link["href"])
            assert (HTML / path).is_file()
            assert link.get_text() == f"{words} {Path(path).stem}"


# ---- what other sites show of a page ---------------------------------------------------------------------------------


def test_every_page_has_a_description_and_a_card(pages):
    for name, page in pages.items():
        said = {tag["property"]: tag["content"] for tag in page.select("head meta[property]")}
        assert said["og:title"].strip(), name
        assert page.select_one('head meta[name="twitter:card"]')["content"] == "summary_large_image"
        if not name.startswith("search") and name != "404.html":
            assert len(page.select_one('head meta[name="description"]')["content"].split()) >= 5, name
            assert len(said["og:description"].split()) >= 5, name
        if language_of(name):
            assert said["og:locale"] == {"ca": "ca_ES", "en": "en_GB"}[language_of(name)]
        picture = said["og:image"]
        with Image.open(HTML / picture[picture.index("_static/") :]) as image:
            assert [str(pixels) for pixels in image.size] == [said["og:image:width"], said["og:image:height"]]


def test_the_page_for_lost_readers_leads_on_in_both_languages(pages):
    page = pages["404.html"]
    blocks = page.main.select("article [lang]")
    assert {block["lang"] for block in blocks} == set(LANGUAGES)
    links = {link.get_text() for link in page.main.select("article a[href]")}
    assert {"Comença el llibre en català", "Start the book in English"} <= links


# ---- the browser -----------------------------------------------------------------------------------------------------


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


def test_the_switch_keeps_the_section(browser):
    with window(browser) as reader:
        reader.open("en/methodology.html")
        page = reader.page
        page.evaluate("document.querySelector('#data-split').scrollIntoView({ behavior: 'instant' })")
        # Playwright's own click would scroll first, since it takes the bar that stays in view for one that may not be.
        page.evaluate("document.querySelector('a.language-switch').click()")
        page.wait_for_url(re.compile(r"ca/methodology\.html#"))
        place = "document.querySelector('#ca-split').closest('section, div').getBoundingClientRect().top"
        page.wait_for_function(f"Math.abs({place}) < innerHeight / 3")


PLACES_OF_A_NOTEBOOK = ("article p[lang={}]", "article .cell[lang={}] img", "article .cell[lang={}] table")


def speaks(page: Page, language: str, other: str) -> None:
    """A page that both languages share shows what is in one of them alone."""
    for place in PLACES_OF_A_NOTEBOOK:
        expect(page.locator(place.format(language)).first).to_be_visible()
        expect(page.locator(place.format(other)).filter(visible=True)).to_have_count(0)
    assert "·" not in page.locator("article h1").inner_text()
    assert page.evaluate("document.documentElement.lang") == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notebook_speaks_the_language_that_the_reader_comes_from(browser, language):
    with window(browser) as reader:
        page = reader.page
        reader.open("notebooks/09_recipe.html")
        assert "·" in page.locator("article h1").inner_text()
        for each in LANGUAGES:
            for place in PLACES_OF_A_NOTEBOOK:
                expect(page.locator(place.format(each)).first).to_be_visible()
        reader.open(f"{language}/balancing.html")
        reader.open("notebooks/09_recipe.html")
        other = next(each for each in LANGUAGES if each != language)
        speaks(page, language, other)
        links = page.locator(".bd-docs-nav a").filter(visible=True)
        folders = {Path(address).parent.name for address in links.evaluate_all("all => all.map(one => one.pathname)")}
        assert language in folders
        assert other not in folders
        page.click(f"a.language-switch[lang={other}]")
        page.wait_for_function(f"document.documentElement.lang == '{other}'")
        assert page.url.endswith("notebooks/09_recipe.html")
        speaks(page, other, language)


def test_the_api_which_is_in_english_is_there_for_readers_of_catalan(browser):
    with window(browser) as reader:
        reader.open("ca/balancing.html")
        reader.open("api/runs.html")
        expect(reader.page.locator("article section[lang=en]").first).to_be_visible()
        expect(reader.page.locator("article p[lang=en]").first).to_be_hidden()


def test_a_shared_page_that_knew_no_language_follows_the_first_page_that_has_one(browser):
    """So it does where a browser's process tells another too late what the reader reads."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE)
    shared, other = context.new_page(), context.new_page()
    shared.goto(f"{HTML.as_uri()}/api/runs.html")
    expect(shared.locator("article p[lang=en]").first).to_be_visible()
    other.goto(f"{HTML.as_uri()}/ca/balancing.html")
    expect(shared.locator("article p[lang=en]").first).to_be_hidden()
    context.close()


def test_every_notebook_has_its_outputs_in_both_languages(pages):
    for name, page in pages.items():
        if name.startswith("notebooks/"):
            shown = [[one.name for one in page.select(f".cell[lang={each}] :is(img, table)")] for each in LANGUAGES]
            assert shown[0] == shown[1], name
            assert "img" in shown[0], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_old_address_leads_to_the_section_that_the_page_has_become(browser, language):
    with window(browser) as reader:
        reader.open(f"{language}/sensitivity.html")
        reader.page.wait_for_url(f"**/{language}/artefact.html#{language}-sensitivity")
        expect(reader.page.locator(f"#{language}-sensitivity")).to_have_count(1)


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


def found_by(reader: Window, language: str, query: str) -> list[str]:
    """The pages that a search finds, sorted."""
    reader.open(f"search-{language}.html?{urlencode({'q': query})}")
    reader.page.wait_for_function("document.querySelector('#search-results p')?.textContent")
    links = reader.page.eval_on_selector_all(
        "#search-results li a", "all => all.map(link => link.getAttribute('href'))"
    )
    return sorted({urldefrag(link)[0].partition("?")[0] for link in links})


@pytest.mark.parametrize(
    ("language", "written", "page"),
    [
        ("ca", ["potencials interatòmics", "potencials interatomics", "POTENCIALS INTERATÒMICS"], "ca/abstract.html"),
        ("ca", ["cel·la", "cella", "cel.la", "CEL·LA"], "ca/rerun.html"),
        ("en", ["Schütt", "Schutt", "schütt"], "en/references.html"),
        ("en", ["molècula", "molecula"], "ca/introduction.html"),
    ],
)
def test_search_finds_words_with_and_without_accents(browser, language, written, page):
    with window(browser) as reader:
        found = [found_by(reader, language, query) for query in written]
    assert page in found[0]
    assert all(pages == found[0] for pages in found)


def test_the_browser_looks_for_words_as_the_index_has_them(browser, pages, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    search = importlib.import_module("folded_search").FoldedSearch({})
    text = " ".join(pages[f"{language}/{name}.html"].main.get_text() for language in LANGUAGES for name in TEXTS)
    with window(browser) as reader:
        reader.open("search-ca.html")
        split = reader.page.evaluate("text => splitQuery(text)", text.replace(".", " "))
        assert split == search.split(text)
        words = sorted({word.lower() for word in split})
        assert len(words) > 500
        stems = reader.page.evaluate("words => words.map((word) => new Stemmer().stemWord(word))", words)
    # Not the same of "assembly", which Sphinx's two stemmers cut in two ways; but a part of a word is found, too.
    indexed = [search.stem(word) for word in words]
    assert not [(ours, theirs) for ours, theirs in zip(indexed, stems, strict=True) if not ours.startswith(theirs)]
    assert sum(map(str.__eq__, indexed, stems)) > 0.99 * len(words)


@pytest.fixture
def hosted() -> Iterator[str]:
    """Address of the book on a server of its own."""
    handler = partial(SimpleHTTPRequestHandler, directory=HTML)
    handler.log_message = lambda *_words: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("hosts", [True, False], ids=["hosted", "from disk"])
def test_an_excerpt_shows_the_word_that_was_looked_for(browser, hosted, hosts):
    with window(browser) as reader:
        page = reader.page
        page.goto(f"{hosted if hosts else HTML.as_uri()}/search-ca.html?{urlencode({'q': 'epoques'})}")
        page.wait_for_selector("#search-results p:has-text('Cerca acabada')")
        chapter = page.locator("#search-results li", has=page.locator("a[href*='hyperparameters']")).first
        expect(chapter.locator("p.context .highlighted").first).to_have_text(
            re.compile("^[èe]po(ca|ques)$", re.IGNORECASE)
        )
        assert 100 < len(chapter.locator("p.context").inner_text()) < 300


def test_on_a_phone_each_claim_is_a_card_with_its_verdicts(browser):
    with window(browser, viewport=NARROW) as reader:
        reader.open("en/replication.html")
        card = reader.page.locator("table.cards tbody tr").first
        for cell in card.locator("td").all():
            box = cell.bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= NARROW["width"]
            assert cell.get_attribute("data-label")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_table_has_a_number_and_a_caption(pages, language):
    of_language = {name: page for name, page in pages.items() if name.startswith(f"{language}/")}
    bare = [
        (name, table.get_text(" ", strip=True)[:60])
        for name, page in of_language.items()
        for table in page.main.select("article table")
        if not (table.caption or table.find_parent(class_="captioned-table"))
    ]
    assert bare == []
    numbers = [
        number.get_text(strip=True)
        for page in of_language.values()
        for number in page.main.select(".table-caption .caption-number, table .caption-number")
    ]
    assert len(numbers) > 40
    assert len(set(numbers)) == len(numbers)


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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_term_under_the_mouse_or_in_focus_is_explained_and_hinders_no_reader(browser, language, theme):
    with window(browser) as reader:
        seen = reader.open(f"{language}/introduction.html")
        tip = reader.page.get_by_role("tooltip")
        for kind in (".std-term", ".bibtex-citation"):
            link = reader.page.locator(f"article a:has({kind}), article {kind} a").first
            link.hover()
            expect(tip).to_have_text(re.compile(r"\w+ \w+"))
            reader.page.keyboard.press("Escape")
            link.focus()
            expect(tip).to_be_visible()
            reader.page.add_style_tag(content=STILL)
            reader.page.evaluate(AXE_SCRIPT)
            assert reader.page.evaluate(AXE, [theme, None]) == []
            reader.page.keyboard.press("Escape")
        assert not seen.errors


def test_every_term_and_reference_has_its_preview(pages):
    for language in LANGUAGES:
        script = (HTML / "_static" / f"previews-{language}.js").read_text(encoding="utf-8")
        texts = json.loads(script.removeprefix("const Previews = ").rstrip(";\n"))
        assert not [text for text in texts.values() if len(text.split()) < 4 or "\\" in text]
        links = {
            "#".join(target(name, link["href"]))
            for name, page in pages.items()
            if language_of(name) == language
            for link in page.main.select("a:has(.std-term), .bibtex-citation a")
        }
        assert len(links) > 60
        assert links <= texts.keys()


@pytest.mark.parametrize(("language", "word"), [("ca", "Copia"), ("en", "Copy")])
def test_the_copy_button_speaks_the_pages_language(browser, pages, language, word):
    name = next(name for name, page in pages.items() if language_of(name) == language and page.main.find("pre"))
    with window(browser) as reader:
        reader.open(name)
        assert reader.page.get_attribute("button.copybtn >> nth=0", "data-tooltip") == word


# ---- tables ----------------------------------------------------------------------------------------------------------


PLACES = """() => [".text_html:has(table)", ".pst-scrollable-table-container"]
  .flatMap((selector) => [...document.querySelectorAll(`.bd-article ${selector}`)])
  .map((place) => [place.scrollWidth > place.clientWidth, ...["role", "aria-label"].map((a) => place.getAttribute(a))])
"""


@pytest.mark.parametrize(("language", "word"), [("ca", "Taula: "), ("en", "Table: ")])
def test_wide_tables_are_regions_that_scroll_by_keyboard(browser, language, word):
    with window(browser, viewport=NARROW) as reader:
        reader.open(f"{language}/benchmark.html")
        reader.page.evaluate(LOOK)
        places = reader.page.evaluate(PLACES)
        assert sum(wide for wide, _, _ in places) > 1
        for wide, role, name in places:
            assert role == ("region" if wide else None)
            assert bool(wide) == bool(name and name.startswith(word) and len(name) > len(word))
        region = reader.page.locator(".text_html[role=region]").first
        region.focus()
        reader.page.keyboard.press("ArrowRight")
        reader.page.wait_for_function("document.activeElement.scrollLeft > 0")
        assert "goes-on" in region.get_attribute("class")
        reader.page.evaluate("document.activeElement.scrollLeft = 9999")
        reader.page.wait_for_function("!document.activeElement.classList.contains('goes-on')")
        reader.page.set_viewport_size({"width": 3000, "height": 900})
        expect(reader.page.locator(".text_html[role=region]")).to_have_count(0)


def test_code_that_goes_on_has_a_shadow_until_its_end(browser):
    with window(browser, viewport=NARROW) as reader:
        reader.open("ca/artefact.html")
        code = reader.page.locator(".bd-article div.highlight > pre").filter(visible=True)
        of_each = "places => places.map(place => [place.scrollWidth > place.clientWidth, place.className])"
        wide = [is_wide for is_wide, _ in code.evaluate_all(of_each)]
        assert any(wide)
        code.evaluate_all("places => places.forEach(place => (place.scrollLeft = 0))")
        shadows = reader.page.locator(".bd-article div.highlight > pre.goes-on").filter(visible=True)
        expect(shadows).to_have_count(sum(wide))
        assert ["goes-on" in name for _, name in code.evaluate_all(of_each)] == wide
        code.evaluate_all("places => places.forEach(place => (place.scrollLeft = 9999))")
        expect(shadows).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_table_is_sorted_by_its_headings_with_numbers_as_the_language_writes_them(browser, language):
    point, thousands = (",", ".") if language == "ca" else (".", ",")
    with window(browser) as reader:
        seen = reader.open(f"{language}/benchmark.html")
        table = reader.page.locator("table.dataframe:has(thead button)").first
        headings = table.locator("thead th")

        def column(number: int) -> list[float]:
            texts = table.locator(f"tbody tr > :nth-child({number + 1})").all_text_contents()
            return [float(text.strip().replace(thousands, "").replace(point, ".")) for text in texts]

        rates = next(place for place, said in enumerate(headings.all_text_contents()) if "compendi" in said)
        written = column(rates)
        assert len(written) >= 5
        assert written not in (sorted(written), sorted(written, reverse=True))
        button = headings.nth(rates).locator("button")
        for order, expected in (
            ("ascending", sorted(written)),
            ("descending", sorted(written, reverse=True)),
            (None, written),
        ):
            button.focus()
            reader.page.keyboard.press("Enter")
            assert headings.nth(rates).get_attribute("aria-sort") == order
            assert table.locator("th[aria-sort]").count() == (1 if order else 0)
            assert column(rates) == expected
        assert not seen.errors


def test_words_sort_as_words_what_is_missing_comes_last_and_a_sum_stays_at_the_end(browser, tmp_path):
    values = {"a": "−1,5 ± 0,1", "b": "1.200", "c": "–", "d": "12 %", "e": "0,003", "": "2"}
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in values.items())
    table = f"<table class=dataframe><thead><tr><th></th><th>x</th></tr></thead><tbody>{rows}</tbody></table>"
    script = f'<script src="{(HTML / "_static" / "tables.js").as_uri()}"></script>'
    path = tmp_path / "table.html"
    path.write_text(f'<html lang="ca"><meta charset="utf-8">{script}<article class="bd-article">{table}', "utf-8")
    with window(browser) as reader:
        reader.page.goto(path.as_uri())
        assert reader.page.locator("button").count() == 1  # nothing to click above the names
        for expected in (["a", "e", "d", "b", "c", ""], ["b", "d", "e", "a", "c", ""], list(values)):
            reader.page.click("button")
            assert reader.page.locator("tbody th").all_text_contents() == expected


# ---- a reader's ways -------------------------------------------------------------------------------------------------


@EACH_WIDTH
def test_a_reader_finds_the_way_to_a_figures_notebook_and_back(browser, size):
    """Landing page, Catalan chapter, English, figure, notebook, and back."""
    with window(browser, viewport=size) as reader:
        seen = reader.open("index.html")
        page = reader.page
        page.get_by_role("link", name="Llegeix el llibre en català").click()
        page.wait_for_url("**/ca/abstract.html")
        if size is NARROW:
            page.get_by_role("button", name="Mostra o amaga l'índex").click()
        page.get_by_role("navigation").get_by_role("link", name=re.compile(r"^\d+\. Equilibri")).click()
        page.wait_for_url("**/ca/balancing.html")
        page.get_by_role("link", name="English").click()
        page.wait_for_url("**/en/balancing.html")
        figure = page.locator("figure#fig-balancing-en")
        figure.scroll_into_view_if_needed()
        box = figure.locator("img").bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= size["width"]
        figure.get_by_role("link", name="Notebook").click()
        page.wait_for_url("**/notebooks/04_balancing.html")
        expect(page.locator("article .cell[lang=en] img").first).to_be_visible()
        page.go_back()
        page.wait_for_url("**/en/balancing.html")
        expect(figure).to_be_visible()
        runs = figure.locator("details")
        expect(runs.locator("code").first).to_be_hidden()
        runs.locator("summary").click()
        expect(runs.locator("code").first).to_be_visible()
        assert not seen.errors


def test_the_keyboard_goes_to_the_text_first(browser):
    with window(browser) as reader:
        reader.open("ca/balancing.html")
        reader.page.keyboard.press("Tab")
        assert reader.page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
        expect(reader.page.locator(":focus")).to_be_visible()
        reader.page.keyboard.press("Enter")
        assert reader.page.url.endswith("#main-content")


def test_only_the_text_is_printed(browser):
    with window(browser) as reader:
        reader.open("en/balancing.html")
        reader.page.emulate_media(media="print")
        for unprintable in (
            "#pst-primary-sidebar",
            ".bd-header-article",
            ".figure-data a.download",
            "details.hide",
            ".prev-next-area",
        ):
            assert not [one for one in reader.page.locator(unprintable).all() if one.is_visible()], unprintable
        expect(reader.page.locator("figure img").first).to_be_visible()
