"""The book on paper: both PDFs open, are in their language and whole, with every letter that the pages hold."""

import re
import unicodedata
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader
from pypdf.generic import Destination

pytestmark = pytest.mark.built_book

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "book" / "_build"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
LANGUAGES = tuple(CONFIG["bilingual_languages"])


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pdf(language) -> PdfReader:
    path = BUILD / "pdf" / f"{CONFIG['printed_name']}.{language}.pdf"
    if not path.is_file():
        pytest.fail("the book is not printed: run `make pdf` first")
    return PdfReader(path)


@pytest.fixture(scope="module")
def texts(pdf) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in pdf.pages]


@pytest.fixture(scope="module")
def html(language) -> BeautifulSoup:
    """What was printed."""
    return BeautifulSoup((BUILD / "singlehtml" / f"{language}.html").read_text(encoding="utf-8"), "html.parser")


def chapters(language: str) -> list[str]:
    files = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
    return [file for file in files if file.startswith(f"{language}/")]


def test_it_says_its_language_title_and_author(pdf, language):
    assert pdf.trailer["/Root"]["/Lang"] == language
    words = CONFIG["bilingual_context"][language]
    assert (pdf.metadata.title, pdf.metadata.author) == (words["docstitle"], words["author"])
    assert "/StructTreeRoot" in pdf.trailer["/Root"], "no tags for screen readers"


def test_its_outline_has_every_heading_and_a_chapter_begins_a_page(pdf, texts, html, language):
    headings = copy(html.main).select("h1, h2, h3, h4")
    for heading in headings:
        heading.select_one(".headerlink").decompose()
    entries = list(flat(pdf.outline))
    assert [entry.title for entry in entries] == [" ".join(heading.get_text().split()) for heading in headings]
    first = [heading.name == "h1" for heading in headings]
    assert sum(first) == len(chapters(language))
    numbers = [pdf.get_destination_page_number(entry) for entry in entries]
    assert numbers == sorted(numbers)
    of_chapters = [number for number, is_chapter in zip(numbers, first, strict=True) if is_chapter]
    assert len(set(of_chapters)) == len(of_chapters)
    for number, entry in zip(numbers, entries, strict=True):
        assert entry.title.split()[0] in texts[number]


def flat(outline: list) -> Iterator[Destination]:
    for entry in outline:
        if isinstance(entry, list):
            yield from flat(entry)
        else:
            yield entry


def test_it_has_as_many_pages_as_a_book_of_this_length(pdf, texts, html):
    words = len(html.main.get_text().split())
    assert words / 450 < len(pdf.pages) < words / 100
    empty = [number for number, text in enumerate(texts) if len(text.split()) < 2 and not pdf.pages[number].images]
    assert not empty
    assert [text.split()[-1] for text in texts[2:]] == [str(number) for number in range(3, len(texts) + 1)]


def test_no_letter_is_missing(texts, html):
    printed = {letter for text in texts for letter in unicodedata.normalize("NFKC", text)}
    shown = copy(html.body)
    for hidden in shown.select("script, style, .headerlink, details.hide, .math, a.download"):
        hidden.decompose()
    written = {letter for letter in unicodedata.normalize("NFKC", shown.get_text()) if letter.isprintable()}
    assert len(written) > 90
    assert not written - printed
    assert not {"\0", "\N{REPLACEMENT CHARACTER}"} & printed


def test_catalan_is_set_right(texts, language):
    text = "\n".join(texts)
    words = {"ca": ["molècules", "cel·la", "època", "què", "mida", "reproduït"], "en": ["molecules", "Schütt", "Å"]}
    assert not [word for word in words[language] if word not in text]


def test_every_font_is_in_the_file(pdf):
    fonts = {}
    for page in pdf.pages:
        for name, reference in (page["/Resources"].get("/Font") or {}).items():
            font = reference.get_object()
            descendants = [each.get_object() for each in font.get("/DescendantFonts", [font])]
            for each in descendants:
                descriptor = each.get("/FontDescriptor", {})
                embedded = {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor) or font["/Subtype"] == "/Type3"
                fonts[name, str(each.get("/BaseFont"))] = bool(embedded)
    assert fonts
    assert all(fonts.values()), fonts


def test_figures_are_there_and_sharp(pdf, html):
    """At least 200 dots per inch at the width in which they are printed; drawings have no dots."""
    figures = html.select("main figure img:not([src$='.svg'])")
    assert len(figures) > 12
    widths = [image.image.width for page in pdf.pages for image in page.images]
    assert len([width for width in widths if width >= 200 * 6.2]) >= len(figures)


def test_links_stay_in_the_book_or_lead_to_the_network(pdf, html):
    inside = {element["id"] for element in html.select("[id]")}
    lost = [link["href"] for link in html.select("main a[href^='#']") if link["href"][1:] not in inside]
    assert not lost
    addresses = [
        annotation.get_object()["/A"].get("/URI", "")
        for page in pdf.pages
        for annotation in page.get("/Annots", [])
        if "/A" in annotation.get_object()
    ]
    assert not [address for address in addresses if not re.match(r"https?://|mailto:|$", str(address))]
