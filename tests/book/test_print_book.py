"""Printing a page, on one of its own: what Chromium made of it is put right, and takes few bytes."""

import random

import pytest
from PIL import Image
from pypdf import PdfReader

from tools import print_book

HEADINGS = ["A heading that is so long that it goes on after the line at which it has to be broken " * 2, "Short"]
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Book</title>
<meta name="author" content="A. U. Thor"></head>
<body><main><h1>{}</h1><img src="few.png" alt="few colours"><h2>{}</h2><img src="many.png" alt="many colours">
<table>{}</table></main></body></html>"""


@pytest.fixture(scope="module")
def printed(browser, tmp_path_factory):
    """The folder, and the PDF of a page with two pictures and a long table."""
    folder = tmp_path_factory.mktemp("printed")
    rng = random.Random(0)
    few = Image.new("RGB", (300, 200), "white")
    few.paste((200, 30, 60), (20, 20, 120, 90))
    few.paste((0, 114, 178), (90, 60, 250, 150))
    few.save(folder / "few.png")
    Image.frombytes("RGB", (64, 64), rng.randbytes(3 * 64 * 64)).save(folder / "many.png")
    rows = "".join(f"<tr><td>{number}</td><td>{rng.random()}</td></tr>" for number in range(400))
    (folder / "page.html").write_text(PAGE.format(*HEADINGS, rows), encoding="utf-8")
    print_book.print_page(browser, folder / "page.html", folder / "book.pdf")
    return folder


def test_it_says_its_author_and_its_headings_as_they_are(printed):
    pdf = PdfReader(printed / "book.pdf")
    assert (pdf.metadata.title, pdf.metadata.author) == ("Book", "A. U. Thor")
    first, (second,) = pdf.outline
    assert [first.title, second.title] == [" ".join(heading.split()) for heading in HEADINGS]


def test_pictures_are_as_they_were_and_those_of_few_colours_have_a_palette(printed):
    pictures = {}
    for page in PdfReader(printed / "book.pdf").pages:
        for image in page.images:
            space = image.indirect_reference.get_object()["/ColorSpace"]
            pictures[image.image.size] = space[0] if isinstance(space, list) else space, image.image.convert("RGB")
    for name, kind in (("few", "/Indexed"), ("many", "/ICCBased")):
        with Image.open(printed / f"{name}.png") as whole:
            space, picture = pictures[whole.size]
            assert space == kind
            assert picture.tobytes() == whole.convert("RGB").tobytes()


def test_the_tags_for_screen_readers_are_there_and_packed(printed):
    content = (printed / "book.pdf").read_bytes()
    assert b"/ObjStm" in content
    assert b"/StructElem" not in content  # but in the compressed streams
    assert PdfReader(printed / "book.pdf").trailer["/Root"]["/StructTreeRoot"]["/K"]


def test_without_qpdf_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="no qpdf found: run `make system`"):
        print_book.pack(tmp_path / "book.pdf")
