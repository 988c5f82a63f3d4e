"""The book's extensions, on a small book of their own that is built with the real configuration."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
CHAPTER = """---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3, language: python}}
---
({0}-chapter)=
# {1}

## Section

:::{{figure}} ../dot.png
:alt: dot
:name: fig-{0}-one

One
:::

:::{{figure}} ../dot.png
:alt: dot
:name: fig-{0}-two

Two, see {{numref}}`fig-{0}-one`.
:::

:::{{list-table}} Three
:name: tbl-{0}

* - $E = mc^2$
:::

:::{{note}}
Text.
:::

```{{code-cell}} python
:tags: [hide-input]
print(1)
```

```{{code-cell}} python
---
tags: [hide-input]
mystnb: {{code_prompt_show: "{2}"}}
---
print(2)
```
"""
NOTE = ":::{note}\nText.\n:::\n"
NOTEBOOK = """# Quadern · Notebook

**Català.** Text en català.

**English.** Text in English.
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """Built book and what the build said: landing page, two chapters in each language, a notebook, one twin missing."""
    book = tmp_path_factory.mktemp("book")
    pages = {"index": "# Llibre · Book", "notebooks/one": NOTEBOOK, "ca/alone": "# Sense parella"}
    pages |= {"ca/abstract": f"# Resum\n\n{NOTE}", "en/abstract": f"# Abstract\n\n{NOTE}"}
    pages |= {
        "ca/chapter": CHAPTER.format("ca", "Capítol", "La meva"),
        "en/chapter": CHAPTER.format("en", "Chapter", "Mine"),
    }
    pages |= {f"{language}/later": CHAPTER.format(f"{language}-later", "2", "3") for language in ("ca", "en")}
    for name, text in pages.items():
        path = book / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (book / "dot.png").write_bytes(PNG)
    (book / "references.bib").touch()
    for linked in ("_ext", "_static"):
        (book / linked).symlink_to(ROOT / "book" / linked)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] = {"execute_notebooks": "off"}
    toc = {
        "format": "jb-book",
        "root": "index",
        "parts": [
            {"caption": "Català", "chapters": [{"file": "ca/abstract"}]},
            {"caption": "I. Part", "numbered": 2, "chapters": [{"file": "ca/chapter"}]},
            {
                "caption": "II. Una altra",
                "numbered": 2,
                "restart_numbering": False,
                "chapters": [{"file": "ca/later"}, {"file": "ca/alone"}],
            },
            {"caption": "English", "chapters": [{"file": "en/abstract"}]},
            {"caption": "I. Part one", "numbered": 2, "chapters": [{"file": "en/chapter"}]},
            {"caption": "II. Part two", "numbered": 2, "restart_numbering": False, "chapters": [{"file": "en/later"}]},
            {"caption": "Quaderns · Notebooks", "chapters": [{"file": "notebooks/one"}]},
        ],
    }
    for name, content in (("_config.yml", config), ("_toc.yml", toc)):
        (book / name).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", book, "-W", "--keep-going", "-n", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (book / "_build/html/index.html").is_file(), done.stderr
    return book / "_build/html", done


@pytest.fixture(scope="module")
def page(build):
    """Parsed page of the built book, by its name."""
    return lambda name: BeautifulSoup((build[0] / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def leads_to(name: str, link) -> str:
    """Page of the book that a link on page `name` leads to."""
    return urljoin(f"/{name}.html", link["href"]).removeprefix("/").removesuffix(".html")


def switch(page, name: str) -> dict[str, str]:
    return {link["hreflang"]: leads_to(name, link) for link in page(name).select("a.language-switch")}


def alternates(page, name: str) -> dict[str, str]:
    return {link["hreflang"]: leads_to(name, link) for link in page(name).select('link[rel="alternate"]')}


def test_a_missing_twin_is_the_one_warning_and_fails_a_strict_build(build):
    _html, done = build
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING:" in line]
    assert len(warnings) == 1, done.stderr
    assert re.search(r"ca/alone.*no twin: expected en/alone", warnings[0])
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("name", "language"),
    [("ca/chapter", "ca"), ("en/chapter", "en"), ("search-ca", "ca"), ("search-en", "en"), ("notebooks/one", "ca")],
)
def test_a_page_says_its_language(page, name, language):
    assert page(name).html["lang"] == language


def test_paragraphs_of_a_page_in_both_languages_say_theirs(page):
    said = {paragraph["lang"]: paragraph.get_text() for paragraph in page("notebooks/one").select("article p[lang]")}
    assert said == {"ca": "Català. Text en català.", "en": "English. Text in English."}


def test_twins_name_each_other(page):
    both = {"ca": "ca/chapter", "en": "en/chapter", "x-default": "en/chapter"}
    assert alternates(page, "ca/chapter") == alternates(page, "en/chapter") == both
    door = {"ca": "ca/abstract", "en": "en/abstract", "x-default": "index"}
    assert alternates(page, "index") == alternates(page, "en/abstract") == door
    assert alternates(page, "ca/alone") == {"ca": "ca/alone", "x-default": "ca/alone"}
    assert alternates(page, "notebooks/one") == {}


def test_the_switch_leads_to_the_twin_and_from_other_pages_to_the_start(page):
    assert switch(page, "ca/chapter") == {"en": "en/chapter"}
    assert switch(page, "en/chapter") == {"ca": "ca/chapter"}
    assert switch(page, "search-ca") == {"en": "search-en"}
    assert switch(page, "ca/alone") == {}
    for name in ("index", "notebooks/one"):
        assert switch(page, name) == {"ca": "ca/abstract", "en": "en/abstract"}


@pytest.mark.parametrize(("language", "figure", "table"), [("ca", "Figura", "Taula"), ("en", "Figure", "Table")])
def test_figures_are_named_and_counted_in_each_language(page, language, figure, table):
    chapter = page(f"{language}/chapter")
    numbers = [number.get_text(strip=True) for number in chapter.select(".caption-number")]
    assert numbers == [f"{figure} 1.1", f"{figure} 1.2", f"{table} 1.1"]
    assert chapter.select_one(".std-numref").get_text() == f"{figure} 1.1"


@pytest.mark.parametrize("language", ["ca", "en"])
def test_chapters_are_counted_through_the_parts_of_a_language(page, language):
    later = page(f"{language}/later")
    assert later.select_one("h1 .section-number").get_text().startswith("2.")
    assert later.select_one("h2 .section-number").get_text().startswith("2.1.")
    assert later.select_one(".caption-number").get_text().split()[1] == "2.1"
    links = [link.get_text(strip=True) for link in page(f"{language}/chapter").select(".bd-docs-nav a")]
    assert [link[:2] for link in links if link[:1].isdigit()] == ["1.", "2.", "3."][: 3 if language == "ca" else 2]


WORDS = {
    "dialog input[placeholder]": {"ca": "Cerca...", "en": "Search..."},
    ".search-button__default-text": {"ca": "Cerca", "en": "Search"},
    ".theme-switch-button": {"ca": "Mode de color", "en": "Color mode"},
    ".primary-toggle": {"ca": "Mostra o amaga l'índex", "en": "Toggle primary sidebar"},
    ".prev-next-subtitle": {"ca": "anterior", "en": "previous"},
    ".onthispage": {"ca": "Continguts", "en": "Contents"},
    ".admonition.note > .admonition-title": {"ca": "Nota", "en": "Note"},
    "h2 .headerlink": {"ca": "Enllaç a aquest títol", "en": "Link to this heading"},
    ".logo__title": {"ca": "SchNet a QM9", "en": "SchNet on QM9"},
    ".colophon": {
        "ca": "Els autors del compendi. CC BY 4.0 (text), MIT (codi).",
        "en": "The compendium’s authors. CC BY 4.0 (text), MIT (code).",
    },
}


def words_of(element) -> str:
    attributes = ("placeholder", "aria-label", "title")
    return next((element[name] for name in attributes if element.get(name)), element.get_text(" ", strip=True))


@pytest.mark.parametrize("language", ["ca", "en"])
@pytest.mark.parametrize("selector", WORDS)
def test_the_interface_speaks_the_pages_language(page, selector, language):
    assert words_of(page(f"{language}/chapter").select_one(selector)) == WORDS[selector][language]


def test_the_first_page_of_a_language_speaks_it(page):
    """It is written right after a page in another language, or first of all."""
    titles = [page(f"{language}/abstract").select_one(".admonition-title").get_text() for language in ("ca", "en")]
    assert titles == ["Nota", "Note"]


def test_a_page_in_both_languages_has_the_interface_in_both(page):
    notebook = page("notebooks/one")
    assert words_of(notebook.select_one(".search-button__default-text")) == "Cerca · Search"
    assert words_of(notebook.select_one(".colophon")) == (
        "Els autors del compendi · The compendium’s authors. CC BY 4.0 (text), MIT (codi · code)."
    )


@pytest.mark.parametrize(
    ("language", "show", "hide", "own"),
    [("ca", "Mostra el codi", "Amaga el codi", "La meva"), ("en", "Show the code", "Hide the code", "Mine")],
)
def test_hidden_code_is_shown_in_the_pages_words_or_in_its_own(page, language, show, hide, own):
    first, second = page(f"{language}/chapter").select("details.hide summary")
    assert first.get_text("|", strip=True) == f"{show}|{hide}"
    assert second.select_one(".collapsed").get_text(strip=True) == own


def test_previous_and_next_stop_at_the_border(page):
    def steps(name):
        return [leads_to(name, link) for link in page(name).select(".prev-next-area a")]

    assert steps("ca/abstract") == ["ca/chapter"]
    assert steps("ca/alone") == ["ca/later"]
    assert steps("en/abstract") == ["en/chapter"]
    assert steps("en/chapter") == ["en/abstract", "en/later"]
    assert steps("index") == steps("notebooks/one") == []


def test_the_sidebar_shows_the_pages_language_and_what_belongs_to_none(page):
    def shown(name):
        return [leads_to(name, link) for link in page(name).select(".bd-docs-nav a") if link["href"] != "#"]

    def captions(name):
        return [caption.get_text(strip=True) for caption in page(name).select(".bd-docs-nav .caption")]

    assert shown("ca/abstract") == ["index", "ca/chapter", "ca/later", "ca/alone", "notebooks/one"]
    assert captions("ca/abstract") == ["Català", "I. Part", "II. Una altra", "Quaderns"]
    assert shown("en/abstract") == ["index", "en/chapter", "en/later", "notebooks/one"]
    assert captions("en/later") == ["English", "I. Part one", "II. Part two", "Notebooks"]
    links = [link.get_text(strip=True) for link in page("en/later").select(".bd-docs-nav a")]
    assert "Notebook" in links  # and not "Quadern · Notebook"
    catalan = ["ca/abstract", "ca/chapter", "ca/later", "ca/alone"]
    assert shown("index") == [*catalan, "en/abstract", "en/chapter", "en/later", "notebooks/one"]
    assert captions("index")[-1] == "Quaderns · Notebooks"


def test_each_language_searches_on_its_own_page(page):
    def target(name):
        return leads_to(name, {"href": page(name).select_one("form.bd-search")["action"]})

    assert target("ca/chapter") == "search-ca"
    assert target("en/chapter") == "search-en"
    assert target("notebooks/one") == "search"
    for name, title in (("search-ca", "Cerca"), ("search-en", "Search"), ("search", "Cerca · Search")):
        search = page(name)
        assert search.h1.get_text() == title
        scripts = [script["src"].partition("?")[0] for script in search.select("script[src]")]
        assert scripts.count("_static/searchtools.js") == 1  # a second time, it would stop with an error
        assert "_static/search-page.js" in scripts


def test_only_catalan_pages_load_catalan_words_for_scripts(page):
    def scripts(name):
        return {Path(script["src"].partition("?")[0]).name for script in page(name).select("script[src]")}

    catalan = {"interface-ca.js", "translations-ca.js"}
    assert catalan <= scripts("ca/chapter")
    assert not catalan & scripts("en/chapter")


def test_nothing_is_loaded_from_the_network(build, page):
    html, _done = build
    names = [
        path.relative_to(html).with_suffix("").as_posix()
        for path in html.rglob("*.html")
        if "_static" not in path.parts
    ]
    assert len(names) == 13
    for name in names:
        loaded = page(name).select("script[src], img, iframe, source") + page(name).select('link[rel~="stylesheet"]')
        outside = [tag.get("src") or tag.get("href") for tag in loaded]
        assert not [address for address in outside if re.match(r"(https?:)?//", address)]
    mathjax = html / "_static/mathjax"
    assert (mathjax / "tex-chtml.js").stat().st_size > 1_000_000
    assert len(list((mathjax / "output/chtml/fonts/woff-v2").glob("*.woff"))) > 20
    assert "Apache License" in (mathjax / "LICENSE").read_text(encoding="utf-8")
    assert page("ca/chapter").select_one('script[src^="../_static/mathjax/tex-chtml.js"]')


@pytest.fixture
def extension(monkeypatch):
    """Module of the book's extensions, by its name."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    return importlib.import_module


def test_words_with_gaps_are_said_in_one_language_only(extension):
    words = extension("bilingual.words").PageWords(["ca", "en"])
    assert words.gettext("next page") == "pàgina següent · next page"
    assert words.gettext("Figure %s") == "Figura %s"
    assert words.gettext("not a word of the interface") == "not a word of the interface"
    words.language = "en"
    assert words.gettext("Figure %s") == "Figure %s"


def test_a_missing_mathjax_is_reported(extension, monkeypatch):
    offline_math = extension("offline_math")
    assert (offline_math.installed_mathjax() / "es5/tex-chtml.js").is_file()
    monkeypatch.setattr(offline_math, "find_spec", lambda _name: None)
    with pytest.raises(ExtensionError, match="pip install django-static-mathjax"):
        offline_math.installed_mathjax()
