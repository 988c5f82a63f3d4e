"""What the book's extensions add to a page, on a small book of their own that is built with the real configuration.

The two languages are `test_bilingual.py`'s business.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import nbformat
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from built import window
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect
from pybtex.database import parse_string
from pybtex.plugin import find_plugin
from pypdf import PdfReader
from waiting import PATIENCE

from analysis.figures.style import DATA_CHUNK, Drawings
from tools import print_book

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://example.org/some/book"
DATA = "run,n_atoms,mse_eV2\n0123456789ab,9,0.5\nfedcba987654 0123456789ab,10,0.25\n"
CHAPTER = """---
myst:
  html_meta:
    "description lang={0}": '{2}'
---
({0}-chapter)=
# {1}

A first paragraph.

## Section

:::{{figure}} ../drawing.png
:alt: drawing
:name: fig-drawing-{0}

Without data; see {{numref}}`fig-dots-{0}`.
:::

{{doc}}`../notebooks/two`, {{ref}}`{0}-abstract`, $E = mc^2$.

```{{interactive}} weights
```

## Another

:::{{figure}} ../data.png
:alt: dots
:name: fig-dots-{0}

With data.
:::

```{{interactive}} budget
:figure: fig-dots-{0}
```

{{doc}}`../notebooks/one`.

## The last

{{doc}}`../notebooks/two`, {{term}}`{3}`, {{cite}}`{4}One2000`.

:::{{glossary}}
{3}
  {3}: *10⁻¹⁰* m.
:::

:::{{bibliography}}
{5}
:::
"""
REFERENCE = "@misc{One2000, author = {One, A. and Two, B.}, title = {Of it}, year = 2000}"
PREVIEWS = {
    "ca": ("llavor", "llavor: 10⁻¹⁰ m.", "A. One i B. Two. Of it. 2000."),
    "en": ("seed", "seed: 10⁻¹⁰ m.", "A. One and B. Two. Of it. 2000."),
}
PAGES = {
    "index": "# Llibre · Book\n\n```{interactive} weights\n:lang: en\n:brief:\n\nA picture.\n```",
    "notebooks/one": "# U · One",
    "notebooks/two": '# Dos · Two\n\nA notebook that has <no> "description" & ' + "so many words " * 40,
    "ca/abstract": "(ca-abstract)=\n# Resum\n\nText.",
    "en/abstract": "(en-abstract)=\n# Abstract\n\nText.",
    "ca/chapter": CHAPTER.format("ca", "Capítol", 'La "descripció"', "llavor", "", ":style: alpha-ca"),
    "en/chapter": CHAPTER.format("en", "Chapter", 'The "description"', "seed", "en-", ":keyprefix: en-"),
}
PICTURES = {
    "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
    "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' width='2' height='2'/>",
}
CAPTION = """# Taula · Table {0}

See {{numref}}`tab-one-{0}`.

:::{{caption}} Words with *emphasis* and {{numref}}`fig-dots-{0}`.
:name: tab-one-{0}
:::"""
TABLE = {"text/html": '<table class="dataframe"><tbody><tr><td>1</td></tr></tbody></table>', "text/plain": "1"}
LATER = """
import datetime, time
import sphinx.util.i18n
from jupyter_book.cli.main import main

class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(days=400)

sphinx.util.i18n.datetime = Later
clock, local, universal = time.time, time.localtime, time.gmtime
time.time = lambda: clock() + 400 * 86400
time.localtime = lambda seconds=None: local(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: universal(time.time() if seconds is None else seconds)
main()
"""
PARTS = [
    {"caption": "Català", "chapters": [{"file": "ca/abstract"}]},
    {"numbered": 2, "chapters": [{"file": "ca/chapter"}, {"file": "ca/tables"}]},
    {"caption": "English", "chapters": [{"file": "en/abstract"}]},
    {"numbered": 2, "chapters": [{"file": "en/chapter"}, {"file": "en/tables"}]},
    {"caption": "Quaderns", "chapters": [{"file": f"notebooks/{name}"} for name in ("one", "two", "three", "four")]},
]
SHOWN = {"ca": "molècules", "en": "molecules"}


def write(book: Path) -> None:
    """Write the small book's sources."""
    for name, text in PAGES.items():
        path = book / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    chunks = PngInfo()
    chunks.add_itxt(DATA_CHUNK, DATA, zip=True)
    Image.new("RGB", (2, 2)).save(book / "data.png", pnginfo=chunks)
    Image.new("RGB", (2, 2)).save(book / "drawing.png")
    (book / "references.bib").write_text(REFERENCE, encoding="utf-8")
    for linked in ("_ext", "_static"):
        (book / linked).symlink_to(ROOT / "book" / linked)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] |= {"execute_notebooks": "off"}
    outputs = [new_output("stream", name=name, text=f"on {name}") for name in ("stdout", "stderr")]
    pictures = [
        new_output("display_data", {kind: content}, metadata={kind: {"alt": f'What the {kind} & its "lines" show.'}})
        for kind, content in PICTURES.items()
    ]
    cells = [new_markdown_cell("# Tres · Three"), new_code_cell("2 + 2", outputs=outputs + pictures)]
    notebook = new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(notebook, book / "notebooks" / "three.ipynb")
    in_english = book / "_build" / "notebooks" / "en"
    in_english.mkdir(parents=True)
    for language, folder in (("ca", book / "notebooks"), ("en", in_english)):
        cells = [
            new_markdown_cell("# Quatre · Four"),
            new_code_cell(f'lang = "{language}"'),
            new_code_cell("words", outputs=[new_output("stream", name="stdout", text=SHOWN[language])]),
            new_code_cell("table", outputs=[new_output("display_data", TABLE)]),
        ]
        notebook = new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
        nbformat.write(notebook, folder / "four.ipynb")
    for language in ("ca", "en"):
        cells = [
            new_markdown_cell(CAPTION.format(language)),
            new_code_cell("table", outputs=[new_output("display_data", TABLE)]),
        ]
        tables = new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
        nbformat.write(tables, book / language / "tables.ipynb")
    for name, content in (("_config", config), ("_toc", {"format": "jb-book", "root": "index", "parts": PARTS})):
        (book / f"{name}.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def build(book: Path, *program: str | Path, **environment: str) -> Path:
    """Build the small book: one page per language, then HTML, with the PDF of one language there; where it is."""
    pdf = book / "_build" / "pdf" / "schnet-qm9.ca.pdf"
    pdf.parent.mkdir(parents=True)
    pdf.write_bytes(b"%PDF")
    for builder in ("singlehtml", "html"):
        run = subprocess.run(
            [*program, "build", book, "--builder", builder, "-W", "-n", "-q"],
            env=os.environ | {"BOOK_URL": ADDRESS} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
    return book / "_build"


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """Folder of the small book's builds."""
    book = tmp_path_factory.mktemp("book")
    write(book)
    return build(book, Path(sys.executable).with_name("jupyter-book"))


@pytest.fixture(scope="module")
def elsewhere(book, tmp_path_factory) -> Path:
    """The same in another folder, more than a year later, in another time zone, and with another order of sets."""
    other = tmp_path_factory.mktemp("another") / "llibre"
    shutil.copytree(book.parent, other, symlinks=True, ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(book / "notebooks", other / "_build" / "notebooks")  # what `tools.execute_pages` leaves there
    surroundings = {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"}
    return build(other, sys.executable, "-c", LATER, **surroundings)


@pytest.fixture(scope="module")
def page(book):
    """Parsed page of a build, by its name."""
    return lambda name: BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("folder", ["html", "singlehtml", "figure-data"])
def test_another_folder_day_and_locale_give_the_same_bytes(book, elsewhere, folder):
    here, there = (
        {path.relative_to(of): path.read_bytes() for path in of.rglob("*") if path.is_file()}
        for of in (book / folder, elsewhere / folder)
    )
    assert here
    assert [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)] == []


@pytest.fixture
def extension(monkeypatch):
    """Module of the book's extensions, by its name."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    return importlib.import_module


@pytest.mark.parametrize(("language", "weight"), [("ca", "Pes v"), ("en", "Weight v")])
def test_what_can_be_touched_is_loaded_by_its_page_alone(page, language, weight):
    chapter, other = (page(f"html/{language}/{name}") for name in ("chapter", "abstract"))
    ours = [path.rpartition("/")[2].partition("?")[0] for path in loaded(chapter) if "/interactive/" in path]
    assert ours == ["core.js", "chart.js", "weights.js", "pointing.js", "budget.js"]
    assert chapter.select_one("#interactive-weights").has_attr("hidden")
    assert json.loads(chapter.select_one("#interactive-weights-words").string)["weight"] == weight
    policies = [each.select('meta[http-equiv="Content-Security-Policy"]') for each in (chapter, other)]
    assert [[one["content"] for one in of_page] for of_page in policies] == [["connect-src 'none'"], []]
    assert len(chapter.select('link[href*="interactive.css"]')) == 1
    assert "interactive" not in " ".join(loaded(other)) + str(other.head.select("link"))
    assert not page(f"singlehtml/{language}").select('[id^="interactive"]')


@pytest.mark.parametrize("language", ["ca", "en"])
def test_a_part_has_the_data_that_its_figure_offers(page, language):
    written = page(f"html/{language}/chapter").select_one(f"#interactive-budget-dots-{language}-rows").string
    assert json.loads(written) == {
        "columns": ["run", "n_atoms", "mse_eV2"],
        "data": [["0123456789ab", 9, 0.5], ["fedcba987654 0123456789ab", 10, 0.25]],
    }


def test_a_figure_that_a_part_cannot_draw_is_said(extension, monkeypatch):
    interactive, said = extension("interactive"), []
    monkeypatch.setattr(interactive.log, "warning", lambda message, *values, **_: said.append(message % values))
    document = new_document("page")
    document += interactive.interactive(part="budget", figure="fig-elsewhere", rows=None)
    interactive.take_figures(None, document)
    assert said == ["fig-elsewhere is no figure with data on this page"]


def test_on_a_page_of_both_languages_a_part_speaks_its_own_and_takes_a_pictures_place(page):
    landing = page("html/index")
    place = landing.select_one("#interactive-weights-en")
    assert place["data-language"] == "en"
    assert place.has_attr("data-brief")
    assert json.loads(landing.select_one("#interactive-weights-en-words").string)["weight"] == "Weight v"
    assert landing.select_one("#interactive-weights-en ~ .otherwise").get_text(strip=True) == "A picture."


def test_without_scripts_what_a_part_holds_stands_in_its_place(book, browser):
    for scripts in (False, True):
        context = browser.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto((book / "html" / "index.html").as_uri())
        if scripts:
            page.wait_for_selector("#interactive-weights-en[data-ready]")
        assert page.is_visible("#interactive-weights-en") is scripts
        assert page.is_visible(".otherwise") is not scripts
        assert ("With JavaScript" in page.inner_text("main")) is not scripts
        page.emulate_media(media="print")
        assert page.is_visible(".otherwise")
        context.close()


def loaded(of: BeautifulSoup) -> list[str]:
    return [script["src"] for script in of.select("script[src]")]


def test_what_a_cell_wrote_to_the_standard_error_is_left_out(page):
    text = page("html/notebooks/three").get_text()
    assert "on stdout" in text
    assert "on stderr" not in text


# ---- previews


@pytest.mark.parametrize("language", ["ca", "en"])
def test_a_term_and_a_reference_are_shown_beside_their_links(book, browser, language):
    term, *texts = PREVIEWS[language]
    with window(browser) as reader:
        page = reader.page
        page.clock.install()
        page.goto((book / "html" / language / "chapter.html").as_uri())
        tip = page.get_by_role("tooltip")
        links = page.get_by_role("link", name=term, exact=True), page.locator(".bibtex-citation a")
        for link, text in zip(links, texts, strict=True):
            assert link.get_attribute("title") is None  # or a browser would show that too
            link.hover()
            expect(tip).to_have_text(text)
            tip.hover()
            page.clock.run_for(1000)
            expect(tip).to_be_visible()
            page.keyboard.press("Escape")
            expect(tip).to_be_hidden()
            page.mouse.move(0, 0)
            link.focus()
            expect(tip).to_have_text(text)
            assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
            box = tip.bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= page.viewport_size["width"]
            link.blur()
            expect(tip).to_be_hidden()
            assert link.get_attribute("aria-describedby") is None
        ours = [one for one in reader.seen.errors if '"NaN"' not in one]  # the part beside has made-up data
        assert ours == reader.seen.outside == []


@pytest.mark.parametrize("language", ["ca", "en"])
def test_a_language_has_the_previews_of_its_pages_and_paper_none(book, page, language):
    script = (book / "html" / "_static" / f"previews-{language}.js").read_text(encoding="utf-8")
    texts = json.loads(script.removeprefix("const Previews = ").rstrip(";\n"))
    assert sorted(texts.values()) == sorted(PREVIEWS[language][1:])
    assert all(address.startswith(f"{language}/chapter.html#") for address in texts)
    assert "previews.js" in " ".join(loaded(page(f"html/{language}/chapter")))
    assert "previews" not in " ".join(loaded(page("html/notebooks/one")) + loaded(page(f"singlehtml/{language}")))


# ---- notebook_outputs


def test_what_a_notebook_shows_stands_in_both_languages_unless_it_is_the_same_in_both(page):
    article = page("html/notebooks/four").article
    shown = [(each.get("lang"), each.get_text(strip=True)) for each in article.select(".cell:has(.cell_output)")]
    assert shown == [*SHOWN.items(), (None, "table1")]
    assert [code.get_text().strip() for code in article.select(".cell_input")] == ['lang = "ca"', "words", "table"]


# ---- figure_data


@pytest.mark.parametrize(
    ("language", "data", "notebook", "runs"),
    [("ca", "Dades (CSV)", "Quadern", "Execucions"), ("en", "Data (CSV)", "Notebook", "Runs")],
)
def test_under_a_figure_stand_its_data_notebook_and_runs(book, page, language, data, notebook, runs):
    figure = page(f"html/{language}/chapter").select_one(f"#fig-dots-{language}")
    download, link = figure.select(".figure-data a")
    assert download.get_text() == data
    path = Path(urljoin(f"/{language}/chapter.html", download["href"]))
    assert path.name == f"dots-{language}.csv"
    assert (book / "html" / path.relative_to("/")).read_text(encoding="utf-8") == DATA
    # The nearest one, not the page's first or last.
    assert (link.get_text(), link["href"]) == (f"{notebook} one", "../notebooks/one.html")
    assert figure.summary.get_text() == f"{runs} (2)"
    assert [code.get_text() for code in figure.select("details code")] == ["0123456789ab", "fedcba987654"]
    about = json.loads((book / "figure-data" / f"dots-{language}.json").read_text(encoding="utf-8"))
    assert about.pop("caption")
    assert about == {
        "page": f"{language}/chapter",
        "notebook": "notebooks/one",
        "runs": ["0123456789ab", "fedcba987654"],
    }


def test_a_figure_without_data_is_left_as_it_is(page):
    figure = page("html/ca/chapter").select_one("#fig-drawing-ca")
    assert figure.img
    assert not figure.select(".figure-data")


def test_a_drawing_carries_its_data_too(extension, tmp_path):
    figure_data, path = extension("figure_data"), tmp_path / "a.svg"
    data = pd.DataFrame({"run": ["0123456789ab"], "smiles": ["C<&>à"], "error_eV": [0.5]})
    path.write_text(Drawings("<svg><text>x</text></svg>", "x", data).picture(), encoding="ascii")
    assert figure_data.data_of(str(path)) == "run,smiles,error_eV\n0123456789ab,C<&>à,0.5\n"
    path.write_text(Drawings("<svg></svg>", "x").picture(), encoding="ascii")
    assert figure_data.data_of(str(path)) is None


def test_data_that_come_from_no_run_name_none(extension):
    figure_data = extension("figure_data")
    assert figure_data.runs("n_atoms,molecules\n9,3\n") == []
    assert figure_data.runs("run,x\n,1\n") == []


# ---- table_captions


@pytest.mark.parametrize(("language", "table", "figure"), [("ca", "Taula", "Figura"), ("en", "Table", "Figure")])
def test_the_table_of_a_cell_has_its_caption_and_a_number(page, language, table, figure):
    chapter = page(f"html/{language}/tables")
    place = chapter.select_one(f"#tab-one-{language}")
    caption = place.select_one(".table-caption")
    assert caption.select_one(".caption-number").get_text(strip=True) == f"{table} 2.1"
    assert caption.select_one(".caption-text").get_text() == f"Words with emphasis and {figure} 1.2."
    assert place.select_one(".text_html table td").get_text() == "1"
    assert chapter.select_one("article p a.reference").get_text() == f"{table} 2.1"


# ---- search_excerpts


def test_the_texts_for_excerpts_from_disk_have_every_page_and_section(book):
    script = (book / "html/_static/search-texts.js").read_text(encoding="utf-8")
    texts = json.loads(script.removeprefix("const SearchTexts = ").rstrip(";\n"))
    assert {"ca/chapter", "en/chapter", "notebooks/two", "index"} <= texts.keys()
    assert "\x02another\x03" in texts["en/chapter"]
    assert "A first paragraph." in texts["en/chapter"]


# ---- folded_search


@pytest.mark.parametrize(
    ("text", "words", "stems"),
    [
        ("potencial atòmic", ["potencial", "atòmic"], ["potenci", "atom"]),
        ("Cel·la, COL·LECCIÓ", ["Cel·la", "COL·LECCIÓ"], ["cella", "colleccio"]),
        ("ca · en, 3·4, l·", ["ca", "en", "3", "4", "l"], ["ca", "en", "3", "4", "l"]),
        ("eV² d'Å Schütt", ["eV²", "d", "Å", "Schütt"], ["ev2", "d", "a", "schutt"]),
    ],
)
def test_words_lose_accents_and_the_dot_of_the_geminate_l(extension, text, words, stems):
    search = extension("folded_search").FoldedSearch({})
    assert search.split(text) == words
    assert [search.stem(word) for word in words] == stems


def test_index_and_script_know_the_words_without_accents(book):
    assert '"descripcio"' not in (book / "html/searchindex.js").read_text(
        encoding="utf-8"
    )  # meta: not part of the text
    assert '"capitol"' in (book / "html/searchindex.js").read_text(encoding="utf-8")
    assert "NFKD" in (book / "html/_static/language_data.js").read_text(encoding="utf-8")


# ---- hosting


def tags(page, kind: str) -> dict[str, str]:
    return {tag[kind]: tag["content"] for tag in page.select(f"head meta[{kind}]")}


@pytest.mark.parametrize(
    ("language", "said", "site"),
    [("ca", 'La "descripció"', "SchNet a QM9"), ("en", 'The "description"', "SchNet on QM9")],
)
def test_a_page_has_a_card_with_its_own_description_and_full_addresses(page, language, said, site):
    chapter = page(f"html/{language}/chapter")
    card = tags(chapter, "property")
    assert card["og:description"] == said
    assert card["og:site_name"] == site
    assert card["og:title"] == chapter.h1.find(string=True, recursive=False).strip() or card["og:title"].startswith(
        "1."
    )
    assert card["og:url"] == f"{ADDRESS}/{language}/chapter.html"
    assert card["og:image"] == f"{ADDRESS}/_static/social-card.png"
    assert card["og:locale"] == {"ca": "ca_ES", "en": "en_GB"}[language]
    assert "og:locale:alternate" not in card
    assert [tag["content"] for tag in chapter.select('head meta[name="description"]')] == [said]


def test_a_page_without_a_description_is_described_by_its_first_paragraph(page):
    notebook = page("html/notebooks/two")
    (description,) = [tag["content"] for tag in notebook.select('head meta[name="description"]')]
    assert description.startswith("A notebook that has <no> “description” & so many words so")
    assert description.endswith(" …")
    assert len(description) <= 302
    card = tags(notebook, "property")
    assert card["og:description"] == description
    assert (card["og:locale"], card["og:locale:alternate"]) == ("ca_ES", "en_GB")


def test_a_cells_picture_has_the_alternative_text_that_its_output_brings(page):
    said = [image["alt"] for image in page("html/notebooks/three").select("article img")]
    assert said == [f'What the {kind} & its "lines" show.' for kind in PICTURES]


def test_the_page_for_lost_readers_has_full_addresses_alone(page):
    lost = page("html/404")
    assert lost.select_one('[lang="en"] a')["href"] == f"{ADDRESS}/en/abstract.html"
    addresses = [element.get("href") or element.get("src") for element in lost.select("[href], [src]")]
    assert len(addresses) > 20
    assert not [address for address in addresses if not re.match(rf"#|{ADDRESS}/|https://", address)]
    assert lost.form["action"].startswith(ADDRESS)
    assert lost.html["data-content_root"] == f"{ADDRESS}/"


# ---- line_breaks


@pytest.mark.parametrize("language", ["ca", "en"])
def test_a_formula_stays_with_the_full_stop_after_it(page, language):
    together = page(f"html/{language}/chapter").select_one("span.unbroken:has(span.math)")
    assert together.select_one("span.math").get_text() == r"\(E = mc^2\)"
    assert together.get_text() == r"\(E = mc^2\)."
    assert together.next_sibling is None or not str(together.next_sibling).startswith(".")


def test_brackets_stay_with_their_formula_and_short_numbers_from_cells_in_one_piece(extension):
    doctree = new_document("page")
    short = nodes.inline("", "0.031 ± 0.002", classes=["pasted-text"])
    long = nodes.inline("", "many words " * 5, classes=["pasted-text"])
    alone = nodes.math("", "c")
    doctree += nodes.paragraph()
    doctree[0] += [
        nodes.Text("Of ("),
        nodes.math("", "a"),
        nodes.Text("), or"),
        short,
        long,
        alone,
        nodes.Text(" and more"),
    ]
    extension("line_breaks").keep_together(None, doctree, "page")
    assert [each.astext() for each in doctree.findall(nodes.inline) if "unbroken" in each["classes"]] == [
        "(a),",
        short.astext(),
    ]
    assert doctree.astext() == f"Of (a), or{short.astext()}{long.astext()}c and more"


def test_units_stay_with_their_numbers_and_a_figure_with_its_own(extension):
    doctree = new_document("page")
    doctree += nodes.paragraph()
    doctree[0] += [
        nodes.Text("Up to 4 Å and 0.1 eV, of 5 models; "),
        nodes.literal("", "4 s"),
        nodes.inline("", "0.03", classes=["pasted-text"]),
        nodes.Text(" eV² and "),
        nodes.inline("", "300 epochs, 137 GPU hours", classes=["pasted-text"]),
        nodes.inline("", "Figure 2.1", classes=["std", "std-numref"]),
        nodes.math("", "10^{-15}"),
        nodes.Text(" s), so"),
    ]
    extension("line_breaks").keep_together(None, doctree, "page")
    text = doctree.astext()
    assert [text[i - 2 : i + 3] for i, each in enumerate(text) if each == "\N{NO-BREAK SPACE}"] == [
        " 4\N{NO-BREAK SPACE}Å ",
        ".1\N{NO-BREAK SPACE}eV",
        "03\N{NO-BREAK SPACE}eV",
    ]
    together = [each.astext() for each in doctree.findall(nodes.inline) if "unbroken" in each["classes"]]
    assert together == ["0.03", "Figure 2.1", "10^{-15} s),"]


def test_equal_texts_are_told_apart_and_a_text_needs_no_parent(extension):
    doctree = new_document("page")
    doctree += nodes.paragraph()
    doctree[0] += [
        nodes.Text("2 Å ("),
        nodes.literal("", "a"),
        nodes.Text("2 Å ("),
        nodes.math("", "b"),
        nodes.Text(")"),
    ]
    doctree[0][0].parent = None
    extension("line_breaks").keep_together(None, doctree, "page")
    assert doctree.astext() == "2\N{NO-BREAK SPACE}Å (a2\N{NO-BREAK SPACE}Å (b)"
    assert [each.astext() for each in doctree.findall(nodes.inline)] == ["(b)"]


def test_a_list_of_numbers_may_break_between_them_and_a_cell_of_a_table_not_inside_its_number(extension):
    doctree = new_document("page")
    numbers = ["−13, −56", "10–17 and 19–25", "10–17 i 19", "0.83 (0.74 – 0.93)"]
    doctree += [nodes.inline("", number, classes=["pasted-text"]) for number in numbers]
    table = '<table class="dataframe"><tr title="r = 10"><th>r = 10, up to 4 Å</th><td>a = b</td></tr></table>'
    doctree += [nodes.raw("", table, format="html"), nodes.raw("", "<p>r = 10</p>", format="html")]
    extension("line_breaks").keep_together(None, doctree, "page")
    assert [each.astext() for each in doctree.findall(nodes.inline) if "unbroken" in each["classes"]] == numbers[3:]
    kept = table.replace(">r = 10, up to 4 Å", ">r\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}10, up to 4\N{NO-BREAK SPACE}Å")
    assert [raw.astext() for raw in doctree.findall(nodes.raw)] == [kept, "<p>r = 10</p>"]
    assert doctree[1].astext() == "10–\N{WORD JOINER}17 and 19–\N{WORD JOINER}25"


# ---- table_columns


def test_columns_of_words_and_tables_with_long_names_of_rows_are_marked(extension):
    doctree = new_document("page")
    cells = [["Part", "Share"], ["what the network does not know", "12 %"]]
    rows = [nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in row)) for row in cells]
    group = nodes.tgroup("", nodes.thead("", rows[0]), nodes.tbody("", rows[1]), cols=2)
    doctree += nodes.table("", group)
    names = ["at most", "at most 2,000 molecules of each size"]
    tables = [f'<table class="dataframe"><tr>\n<th>{name}</th>\n<td>{"1" * 30}</td></tr></table>' for name in names]
    doctree += [nodes.raw("", table, format="html") for table in tables]
    extension("table_columns").mark_words(None, doctree, "page")
    assert [["wordy" in cell["classes"] for cell in row] for row in rows] == [[True, False], [True, False]]
    assert ["long-names" in raw.astext() for raw in doctree.findall(nodes.raw)] == [False, True]


# ---- catalan_references


def test_references_in_catalan_have_catalan_words_and_leave_the_english_ones_alone(extension):
    extension("catalan_references").setup(None)
    entries = """@inproceedings{a, author = {One, A. and Two, B. and others}, title = {T}, booktitle = {P}, year = 2000,
        volume = 7, series = {S}, note = {A note}, note_ca = {Una nota}}"""
    said = {}
    database = parse_string(entries, "bibtex")  # one for both bibliographies
    for style in ("alpha-ca", "alpha"):
        formatting = find_plugin("pybtex.style.formatting", style)()
        (entry,) = formatting.format_entries(database.entries.values())
        said[style] = entry.text.render(find_plugin("pybtex.backends", "plaintext")())
    assert said == {
        "alpha-ca": "A. One, B. Two i altres. T. Dins P, volum 7 de S. 2000. Una nota.",
        "alpha": "A. One, B. Two, and others. T. In P, volume 7 of S. 2000. A note.",
    }


# ---- printed


@pytest.mark.parametrize(("language", "first", "second"), [("ca", "Resum", "Capítol"), ("en", "Abstract", "Chapter")])
def test_a_language_is_on_one_page_with_a_table_of_contents(page, language, first, second):
    printed = page(f"singlehtml/{language}")
    assert printed.html["lang"] == language
    titles = [heading.get_text().rstrip("#") for heading in printed.select("main h1")]
    assert [re.sub(r"^[\d.]+\s*", "", title) for title in titles] == [first, second, f"Taula · Table {language}"]
    entries = printed.select(".book-contents a")
    assert [entry.get_text() for entry in entries] == [first, f"1. {second}", f"2. Taula · Table {language}"]
    inside = {element["id"] for element in printed.select("[id]")}
    links = [link["href"] for link in printed.select("a[href^='#']")]
    assert {f"#{language}-abstract", f"#fig-dots-{language}"} <= set(links)
    assert not [link for link in links if link[1:] not in inside]
    numbers = [number.get_text(strip=True) for number in printed.select(".caption-number")]
    assert [number.split()[-1] for number in numbers] == ["1.1", "1.2", "2.1"]
    assert {link["href"] for link in printed.select("main a[href*=notebooks]")} == {
        f"{ADDRESS}/notebooks/{name}.html" for name in ("one", "two")
    }


def test_printed_again_elsewhere_it_is_the_same_file(book, elsewhere, browser, tmp_path):
    paths = [tmp_path / "here.pdf", tmp_path / "there.pdf"]
    for built, path in zip((book, elsewhere), paths, strict=True):
        print_book.print_page(browser, built / "singlehtml" / "ca.html", path)
    here, there = (path.read_bytes() for path in paths)
    assert len(here) > 10_000
    assert here == there
    assert PdfReader(paths[0]).metadata == {"/Title": "SchNet a QM9", "/Author": "Els autors del compendi"}


def test_the_book_links_to_the_existing_pdfs(book, page):
    assert [link["href"] for link in page("html/ca/chapter").select(".colophon a")] == ["../pdf/schnet-qm9.ca.pdf"]
    assert [link["href"] for link in page("html/index").select(".colophon a")] == ["pdf/schnet-qm9.ca.pdf"]
    assert not page("html/en/chapter").select(".colophon a")
    assert (book / "html/pdf/schnet-qm9.ca.pdf").read_bytes() == b"%PDF"


# ---- api_reference


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("the mean |e|, |Δ| and W⁗", r"the mean \|e\|, \|Δ\| and W⁗"),
        ("names that begin with pair_ or end_.", r"names that begin with pair\_ or end\_."),
        ("`pair_ | |e|` and ``|e|`` are code, |e| is not", r"`pair_ | |e|` and ``|e|`` are code, \|e\| is not"),
        (r":param pair\_: int | None of n_atoms", r":param pair\_: int \| None of n_atoms"),
    ],
)
def test_signs_of_a_docstring_are_no_markup(extension, written, kept):
    lines = [written, "", written]
    extension("api_reference").keep_signs(None, "function", "f", None, {}, lines)
    assert lines == [kept, "", kept]


def test_every_room_has_its_page_of_the_api(extension):
    public_modules = extension("api_reference").public_modules
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "book/api").glob("*.rst")}
    shown = {
        name
        for text in pages.values()
        for name in re.findall(r"^\.\. (?:api-reference|automodule):: (.+)$", text, re.M)
    }
    rooms = {name for name in public_modules("analysis") if name.count(".") < 2}
    assert shown == rooms | {"fused"}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert {name for name in listed if name.startswith("api/")} == {f"api/{name}" for name in pages}


def test_private_modules_have_no_section(extension):
    found = list(extension("api_reference").public_modules("fused"))
    assert {"fused", "fused.schnet"} <= set(found)
    assert not [name for name in found if "._" in name]
