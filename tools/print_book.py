"""Print the pages that Sphinx's builder `singlehtml` made, one PDF per language: part of `make pdf`."""

import multiprocessing
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml
from PIL import Image, ImageChops
from playwright.sync_api import Browser
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from tools import browsers

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "book" / "_build"
READY = "async () => { await document.fonts.ready; if (window.MathJax) await MathJax.startup.promise; }"
HEADINGS = """headings => headings.map((heading) => {
  const words = heading.cloneNode(true);
  words.querySelectorAll(".headerlink").forEach((link) => link.remove());
  return words.textContent.replace(/\\s+/g, " ").trim();
})"""
PAGE_NUMBER = (
    '<div style="width: 100%; font: 8pt sans-serif; text-align: center;"><span class="pageNumber"></span></div>'
)


def print_page(browser: Browser, page: Path, pdf: Path) -> None:
    """Print one page of HTML, with page numbers, an outline of its headings, and tags for screen readers.

    Raises
    ------
    RuntimeError
        If the outline that Chromium made does not have the page's headings, or qpdf is not installed.
    """
    window = browser.new_page()
    window.goto(page.as_uri())
    window.evaluate(READY)
    pdf.parent.mkdir(parents=True, exist_ok=True)
    window.pdf(
        path=pdf,
        prefer_css_page_size=True,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=PAGE_NUMBER,
        outline=True,
        tagged=True,
    )
    headings = window.eval_on_selector_all("main :is(h1, h2, h3, h4, h5, h6)", HEADINGS)
    author = window.get_attribute('meta[name="author"]', "content")
    window.close()
    correct(pdf, headings, author)
    pack(pdf)


def correct(pdf: Path, headings: list[str], author: str) -> None:
    """Write headings into the outline as they are and who wrote the book, not when; give pictures back their palettes.

    Chromium takes a heading's words from where they are drawn: it says those twice that begin a page, and drops the
    space at which a line is broken. Its date and its random identifier are outside the document's root.
    """
    reader, writer = PdfReader(pdf), PdfWriter()
    writer.clone_reader_document_root(reader)
    entries = list(entries_of(writer.root_object["/Outlines"]))
    if len(entries) != len(headings):
        raise RuntimeError(f"{pdf} has {len(entries)} entries in its outline, its page {len(headings)} headings")
    for entry, heading in zip(entries, headings, strict=True):
        entry[NameObject("/Title")] = TextStringObject(heading)
    writer.metadata = {"/Title": reader.metadata.title, "/Author": author}
    for page in writer.pages:
        for drawn in (page["/Resources"].get("/XObject") or {}).values():
            give_palette(drawn.get_object())
    writer.write(pdf)


def give_palette(picture: StreamObject) -> None:
    """Write a picture of up to 256 colours as the figure's file has it, in a third of the bytes that Chromium needs."""
    if picture.get("/Subtype") != "/Image":
        return
    size, space, content = (picture["/Width"], picture["/Height"]), picture["/ColorSpace"], picture.get_data()
    if picture["/BitsPerComponent"] != 8 or len(content) != 3 * size[0] * size[1]:
        return
    whole = Image.frombytes("RGB", size, content)
    colours = whole.getcolors(256)
    if colours is None:
        return
    found = whole.quantize(len(colours), dither=Image.Dither.NONE)
    if ImageChops.difference(whole, found.convert("RGB")).getbbox():
        return
    palette = ByteStringObject(bytes(found.getpalette())[: 3 * len(colours)])
    kind = [NameObject("/Indexed"), space, NumberObject(len(colours) - 1), palette]
    picture[NameObject("/ColorSpace")] = ArrayObject(kind)
    picture.set_data(found.tobytes())


def pack(pdf: Path) -> None:
    """Put the many small objects, such as the tags for screen readers, into compressed streams.

    Raises
    ------
    RuntimeError
        If qpdf is not installed.
    """
    if shutil.which("qpdf") is None:
        raise RuntimeError("no qpdf found: run `make system`, or install it and run this again")
    subprocess.run(["qpdf", "--object-streams=generate", "--deterministic-id", "--replace-input", pdf], check=True)  # noqa: S603, S607


def entries_of(outline: DictionaryObject) -> Iterator[DictionaryObject]:
    """The entries of an outline, in the order of the pages."""
    entry = outline.get("/First")
    while entry is not None:
        entry = entry.get_object()
        yield entry
        yield from entries_of(entry)
        entry = entry.get("/Next")


def print_language(language: str, name: str) -> None:
    """Print the book in one language."""
    with browsers.started() as browser:
        print_page(browser, BUILD / "singlehtml" / f"{language}.html", BUILD / "pdf" / f"{name}.{language}.pdf")


def main() -> None:
    """Print every language, side by side: each takes one core."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    with multiprocessing.Pool() as pool:
        pool.starmap(print_language, [(language, config["printed_name"]) for language in config["bilingual_languages"]])


if __name__ == "__main__":
    main()
