"""The book on paper: both PDFs open, are in their language and whole, with every letter that the pages hold."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

pytestmark = pytest.mark.built_book

ROOT = Path(__file__).resolve().parent.parent
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


def test_it_says_its_language_and_its_title(pdf, language):
    assert pdf.trailer["/Root"]["/Lang"] == language
    assert pdf.metadata.title == CONFIG["bilingual_context"][language]["docstitle"]


def test_its_outline_is_the_books(pdf, html, language):
    headings = [heading.find(string=True, recursive=False) for heading in html.select("main h1")]
    assert len(headings) == len(chapters(language))
    outline = [entry for entry in pdf.outline if not isinstance(entry, list)]
    titles = [re.sub(r"^[\d.]+\s*", "", entry.title) for entry in outline]
    assert [title.strip() for title in titles] == [str(heading).strip() for heading in headings]
    assert len([entry for entry in pdf.outline if isinstance(entry, list)]) > 10
    pages = [pdf.get_destination_page_number(entry) for entry in outline]
    assert pages == sorted(pages)
    assert len(set(pages)) == len(pages), "each chapter begins on a page of its own"


def test_it_has_as_many_pages_as_a_book_of_this_length(pdf, texts, html):
    words = len(html.main.get_text().split())
    assert words / 450 < len(pdf.pages) < words / 100
    assert not [number for number, text in enumerate(texts, start=1) if len(text.split()) < 2], "empty pages"
    assert [text.split()[-1] for text in texts[2:]] == [str(number) for number in range(3, len(texts) + 1)]


def test_no_letter_is_missing(texts, html):
    printed = {letter for text in texts for letter in unicodedata.normalize("NFKC", text)}
    hidden = "script, style, .headerlink, details.hide, .math, a.download"
    for element in html.select(hidden):
        element.decompose()
    written = {letter for letter in unicodedata.normalize("NFKC", html.body.get_text()) if letter.isprintable()}
    assert len(written) > 90
    assert not written - printed
    assert not {"\0", "\N{REPLACEMENT CHARACTER}"} & printed


def test_catalan_is_set_right(texts, language):
    text = "\n".join(texts)
    words = {"ca": ["molècules", "cel·la", "època", "què", "mida", "reproduïda"], "en": ["molecules", "Schütt", "Å"]}
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
    """At least 200 dots per inch at the width in which they are printed."""
    figures = html.select("main figure img")
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
