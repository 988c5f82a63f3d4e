"""The book's pages: the same in both languages but for the words, and the words spelt right.

The pages are read with MyST's own parser, so that prose is told from code, mathematics, roles and options as it is in
the built book.
"""

import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import yaml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from analysis.figures.words import CATALOGUE, LANGUAGES, catalan

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
WORD_LISTS = ROOT / "tests" / "spelling"
NAMES = sorted({path.name for lang in LANGUAGES for path in (BOOK / lang).glob("*.md")})

# Whichever of these are installed must agree; the project's lists hold the words that one of them lacks.
DICTIONARIES = {"ca": ("ca",), "en": ("en_GB", "en_US")}
PACKAGES = {"ca": "hunspell hunspell-ca", "en": "hunspell hunspell-en-gb"}

EXTENSIONS = {"amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath", "substitution"}
EQUATIONS = {"math_block", "math_block_label", "amsmath"}
TABLE_DIRECTIVES = {"table", "list-table", "csv-table", "caption"}
FIGURE_DIRECTIVES = {"figure", "image"}
LITERAL_DIRECTIVES = {"code-cell", "code-block", "code", "math", "bibliography", "raw"}
LINK_ROLES = {"ref", "numref", "eq", "doc"}
AMERICAN = re.compile(
    r"\b(?:\w{3,}iz(?:e|es|ed|er|ing|ations?)|\w*(?:behavi|col|fav|neighb|lab|hon)ors?|centers?|centered|modeling|labeled"
    r"|sulfur|catalogs?|gray|fibers?|analyzed?)\b",
    re.IGNORECASE,
)


@dataclass
class Page:
    """What one page holds; labels, links, citations and glue keys with their language taken off."""

    description: str = ""
    headings: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)
    code_cells: int = 0
    links: Counter[str] = field(default_factory=Counter)
    citations: Counter[str] = field(default_factory=Counter)
    glue: Counter[str] = field(default_factory=Counter)
    term_links: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    paragraphs: int = 0
    prose: list[str] = field(default_factory=list)


class Reader:
    """Reads one page of one language into a `Page`."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.page = Page()
        self.parser = create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)

    def read(self, text: str) -> Page:
        self._block(text)
        return self.page

    def neutral(self, name: str) -> str:
        """A label, link or glue key without its language; another language's, or none, is an error."""
        for pattern in (rf"{self.lang}[-_](.+)", rf"(.+)[-_]{self.lang}"):
            if match := re.fullmatch(pattern, name):
                return match[1]
        raise AssertionError(f"{name!r} does not begin or end with its page's language, {self.lang!r}")

    def _block(self, text: str) -> None:
        for token in self.parser.parse(text):
            self._token(token)

    def _token(self, token: Token) -> None:
        page = self.page
        match token.type:
            case "front_matter":
                meta = yaml.safe_load(token.content)["myst"]["html_meta"] or {}
                page.description = meta.get(f"description lang={self.lang}", "")
                page.prose.append(page.description)
            case "heading_open":
                page.headings.append(token.tag)
            case "myst_target":
                page.labels.append(self.neutral(token.content))
            case "paragraph_open":
                page.paragraphs += 1
            case "table_open":
                page.tables.append("")
            case "fence" | "colon_fence":
                self._fence(token)
            case "inline":
                self._inline(token)
            case kind if kind in EQUATIONS:
                page.equations.append(self.neutral(token.info) if token.info else "")

    def _fence(self, token: Token) -> None:
        directive = re.fullmatch(r"\{([\w:-]+)\}\s*(.*)", token.info.strip(), re.DOTALL)
        if not directive:
            return
        name, argument = directive.groups()
        options, body = split_options(token.content)
        page = self.page
        label = options.get("name") or options.get("label")
        if name == "code-cell":
            page.code_cells += 1
            output = options.get("mystnb") or {}
            for part in ("figure", "image"):
                self._output(part, output.get(part) or {})
        elif name == "math":
            page.equations.append(self.neutral(label) if label else "")
        elif name in TABLE_DIRECTIVES:
            page.tables.append(self.neutral(label) if label else "")
            self._block(argument)
        elif name in FIGURE_DIRECTIVES:
            page.figures.append(self.neutral(label) if label else "")
            page.prose.append(str(options.get("alt", "")))
        elif name == "glossary":
            page.terms += [line for line in body.splitlines() if line and not line.startswith(" ")]
            body = re.sub(r"^ +", "", body, flags=re.MULTILINE)
        elif name.startswith("glue"):
            page.glue[self.neutral(argument)] += 1
        if name not in LITERAL_DIRECTIVES:
            self._block(body)

    def _output(self, part: str, options: dict[str, str]) -> None:
        """The figure that a code cell shows: its caption and alternative text are prose."""
        if part == "figure" and options:
            self.page.figures.append(self.neutral(options["name"]) if "name" in options else "")
            self._block(str(options.get("caption", "")))
        self.page.prose.append(str(options.get("alt", "")))

    def _inline(self, token: Token) -> None:
        words = []
        for child in token.children or []:
            match child.type:
                case "text":
                    words.append(child.content)
                case "softbreak" | "hardbreak" | "code_inline" | "math_inline":
                    words.append(" ")
                case "image":
                    self.page.figures.append("")
                    words.append(child.content)
                case "myst_role":
                    words.append(self._role(child.meta["name"], child.content))
        self.page.prose.append("".join(words))

    def _role(self, name: str, content: str) -> str:
        """Count a role; give back the words of it that are prose."""
        page = self.page
        if name.startswith("cite"):
            for key in content.split(","):
                page.citations[self.citation(key.strip())] += 1
            return " "
        if name.startswith("glue"):
            page.glue[self.neutral(content.split("::")[-1].split(":")[0])] += 1
            return " "
        titled = re.fullmatch(r"(.+?)\s*<(.+)>", content, re.DOTALL)
        shown, target = titled.groups() if titled else ("", content)
        if name == "term":
            page.term_links.append(target)
            return shown or target
        if name in LINK_ROLES:
            # The notebooks and the API hold both languages.
            shared = target.startswith(("../notebooks/", "../api/"))
            page.links[f"{name} {target if shared else self.neutral(target)}"] += 1
        return shown

    def citation(self, key: str) -> str:
        if self.lang == "ca":
            assert not key.startswith("en-"), f"{key!r}: a Catalan page cites without a prefix"
            return key
        assert key.startswith("en-"), f"{key!r}: an English page cites with the prefix 'en-'"
        return key.removeprefix("en-")


def split_options(content: str) -> tuple[dict, str]:
    """A directive's options, in either of MyST's two spellings, and its body."""
    if content.startswith("---\n"):
        options, _, body = content[4:].partition("\n---")
        return yaml.safe_load(options) or {}, body
    lines = content.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith(":")), len(lines))
    options = "\n".join(line[1:] for line in lines[:count])
    return yaml.safe_load(options) or {}, "\n".join(lines[count:])


@cache
def page_of(lang: str, name: str) -> Page:
    path = BOOK / lang / name
    assert path.is_file(), f"book/{lang}/{name} is missing: every page stands in both languages"
    return Reader(lang).read(path.read_text(encoding="utf-8"))


def prose_of(lang: str) -> dict[str, str]:
    """The words of each page, and those of the catalogue, without its symbols and places to fill."""
    pages = {path.name: "\n".join(page_of(lang, path.name).prose) for path in sorted((BOOK / lang).glob("*.md"))}
    said = "\n".join(catalan().values() if lang == "ca" else catalan())
    return pages | {CATALOGUE.name: re.sub(r"\{\w+\}|\w+[₀-₉ᵥ²³]+|\b\w\b", " ", said)}


# ---- the same in both languages ------------------------------------------------------------------------------


def test_there_are_pages():
    assert {"abstract.md", "replication.md", "glossary.md", "references.md"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "part",
    ["headings", "labels", "figures", "tables", "equations", "code_cells", "links", "citations", "glue", "paragraphs"],
)
def test_same_in_both_languages(name, part):
    assert getattr(page_of("ca", name), part) == getattr(page_of("en", name), part)


@pytest.mark.parametrize("name", NAMES)
def test_page_links_the_same_glossary_terms_in_both_languages(name):
    used = []
    for lang in LANGUAGES:
        glossary = [term.casefold() for term in page_of(lang, "glossary.md").terms]
        used.append(Counter(glossary.index(term.casefold()) for term in page_of(lang, name).term_links))
    assert used[0] == used[1]


def test_glossaries_have_as_many_terms_and_share_none():
    catalan, english = ({term.casefold() for term in page_of(lang, "glossary.md").terms} for lang in LANGUAGES)
    assert len(catalan) == len(english) > 0
    assert not catalan & english, "a term in both glossaries is ambiguous to Sphinx"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_page_has_a_title_with_a_label_a_description_and_a_paragraph(lang, name):
    page = page_of(lang, name)
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    assert page.labels[0] == Path(name).stem
    assert len(page.description.split()) >= 5
    assert max(len(text.split()) for text in page.prose) >= 20


@pytest.mark.parametrize(
    ("lang", "table", "figure", "appendix"),
    [
        ("ca", "Taula {}", "Figura {}", "Figura {} de l'apèndix"),
        ("en", "Table {}", "Figure {}", "Figure {} of the appendix"),
    ],
)
def test_the_correspondence_has_every_figure_and_table_of_the_report(lang, table, figure, appendix):
    text = (BOOK / lang / "correspondence.md").read_text(encoding="utf-8")
    rows = text.partition(f":name: tab-figure-map-{lang}\n")[2].partition(":::")[0].split("\n* - ")[2:]
    found = {cells[0]: cells[1] for cells in (row.split("\n  - ") for row in rows)}
    expected = [table.format(1), *(figure.format(n) for n in range(1, 11)), *(appendix.format(n) for n in range(1, 7))]
    assert set(expected) <= found.keys()
    assert len(found) == len(expected) + 1  # the table of results has no number
    assert all(re.search(rf"\{{numref\}}`(?:fig|tab)-[\w-]+-{lang}`", here) for here in found.values())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_objectives_are_all_there_and_lead_somewhere(lang):
    text = (BOOK / lang / "objectives.md").read_text(encoding="utf-8")
    rows = [row.split("\n  - ") for row in text.partition(":header-rows: 1")[2].partition(":::")[0].split("\n* - ")[2:]]
    objectives = ["O1", "O2", "O3.1", "O3.2", "O3.3", "O3.4", "O4.1", "O4.2", "O4.2.1", "O4.2.2", "O4.3"]
    assert [row[0] for row in rows] == objectives
    assert all(len(row) == 4 and "{ref}" in row[2] for row in rows)


JUDGING = {"hyperparameters", "baseline", "balancing", "loss-modification", "directed-training", "final-comparison"}
OPENING = {
    "artefact",
    "predictions",
    "error-drivers",
    "extrapolation",
    "large-molecules",
    "preregistration",
    "beyond",
    "beyond-recipe",
}
"""Chapters that open with the claims they judge, and with a sentence in short; all of them close with what follows."""


@pytest.mark.parametrize(
    ("lang", "short", "follows"), [("ca", "En resum", "Què se'n"), ("en", "In short", "What follows")]
)
def test_chapters_say_first_what_came_out_and_last_what_follows(lang, short, follows):
    for name in sorted(
        JUDGING | OPENING | {"model-card", "benchmark", "methodology", "state-of-the-art", "replication"}
    ):
        text = (BOOK / lang / f"{name}.md").read_text(encoding="utf-8")
        opening = text.partition("\n# ")[2].split("\n\n")[1:3]
        if name in JUDGING:
            assert opening[0].startswith(":::{caption}"), name
            assert "tags: [remove-input, claim-box]" in opening[1], name
        elif name in OPENING:
            assert opening[0].startswith(f"**{short}.** "), name
        assert re.findall("^## (.*)", text, re.MULTILINE)[-1].startswith(follows), name


# ---- citations -----------------------------------------------------------------------------------------------


def bibliography() -> dict[str, str]:
    """Each entry's key and text."""
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    return dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))


def test_citations_and_bibliography_agree():
    cited = set().union(*(page_of("ca", name).citations for name in NAMES))
    assert cited == set(bibliography())


def test_every_reference_has_a_doi():
    # The thesis is unpublished; a page of a program's documentation and a discussion have an address.
    without = {key for key, text in bibliography().items() if not re.search(r"doi\s*=\s*\{10\.\d{4,}/\S+\}", text)}
    assert without == {"DeepChem2024", "SchNetPack2021", "Tibau2023"}


# ---- numbers -------------------------------------------------------------------------------------------------

_UNIT = (
    r"%|meV|eV²|eV|kcal/mol|kJ/mol|min|h|s|GB|GiB|MB|minutes?|minuts?|hours?|hor(?:a|es)|seconds?|segons?|times|vegades"
)
_WORDS = {
    "en": "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand",
    "ca": "tres|quatre|cinc|sis|set|vuit|nou|deu|onze|dotze|vint|trenta|quaranta|cinquanta|cent|mil",
}
QUOTED = {
    "95%": "the level of every interval",
    "80%": "the split: training",
    "20%": "the split: held out",
    "10%": "the split: validation and test",
    "100%": "a share by definition",
    "1%": "what is called infrequent, and the worst hundredth",
    "0.0643 eV²": "the thesis's error of Default",
    "0.0925 eV²": "the thesis's error of Custom",
    "254 meV": "the root of the thesis's error of Default",
    "1 h": "the thesis's times, both of an hour and some minutes",
    "46 min": "the thesis's time of Default",
    "28 min": "the thesis's time of Custom",
    "1 kcal/mol": "chemical accuracy, by definition",
    "43 meV": "chemical accuracy in another unit",
    "23.06 kcal/mol": "an electronvolt in another unit",
    "96.5 kJ/mol": "an electronvolt in another unit",
    "62%": "the thesis's shares of nitrogen and fluorine, among its errata",
    "2%": "the thesis's shares of nitrogen and fluorine, among its errata",
    "12 meV": "published: SchNet of SchNetPack 1.0",
    "14 meV": "published: SchNet",
    "0.1 eV": "a thought experiment",
    "1 eV": "a thought experiment, and an electronvolt in other units",
    "1 eV²": "a thought experiment",
    "4 eV²": "a thought experiment",
}
"""What prose may say in digits with a unit: settings, definitions and what others wrote, each with its reason."""


def written_numbers(lang: str, text: str) -> set[str]:
    """Numbers with a unit that could be a result, as English writes them; words for numbers where they are factors."""
    digits = re.findall(rf"(?<![\w.,])(\d[\d.,]*)[ \u00a0]?({_UNIT})(?!\w)", text)
    swap = str.maketrans(".,", ",.") if lang == "ca" else {}
    found = {f"{number.translate(swap)}{'' if unit == '%' else ' '}{unit}" for number, unit in digits}
    return found | set(re.findall(rf"\b(?:{_WORDS[lang]}) (?:times|vegades)\b", text))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_result_is_typed_into_prose(lang):
    """Results come from the records: what has a unit and stands in a page's own text is none of ours."""
    factors = {"introduction.md", "baseline.md", "conclusions.md"}  # laws of growth, a question, models elsewhere
    found = {}
    for path in sorted((BOOK / lang).glob("*.md")):
        for text in page_of(lang, path.name).prose:
            for number in written_numbers(lang, text) - QUOTED.keys():
                if not (path.name in factors and number[0].isalpha()):
                    found.setdefault(number, path.name)
    assert not found, "a result is glued from the records; what is none has its reason in QUOTED"


def test_a_typed_result_would_be_seen():
    assert written_numbers("en", "It errs by 5.4 meV, 21% less, in 25 minutes, ten times less.") == {
        "5.4 meV",
        "21%",
        "25 minutes",
        "ten times",
    }
    assert written_numbers("ca", "S'erra de 5,4 meV, un 21 % menys, en 25 minuts, deu vegades menys.") == {
        "5.4 meV",
        "21%",
        "25 minuts",
        "deu vegades",
    }
    assert written_numbers("en", "QM9 has SchNet2, 6-31G(2df,p) and 17 atoms in 2023.") == set()


_COUNTED = {"en": ["a|one", "two", "three", "four"], "ca": ["un|una", "dos|dues", "tres", "quatre"]}
_PARTS = {
    "en": ["thirds?", "quarters?", "fifths?", "sixths?", "sevenths?", "eighths?", "ninths?", "tenths?"],
    "ca": [
        "terç(?:os)?|tercera part|terceres parts",
        "quarts?|quarta part|quartes parts",
        *(f"{part}a part|{part}es parts" for part in ("cinquen", "sisen", "seten", "vuiten", "noven", "desen")),
    ],
}
_HALF = {"en": "half", "ca": "la meitat"}
_OF = {
    "en": r"(?: (?:of|the|as|more|less|smaller|larger|better|worse|longer|shorter)\b)",
    "ca": r"(?: (?:d'|de|del|dels|més|menys|pitjor|millor)\b)",
}
QUOTED_SHARES = {
    ("artefact", Fraction(4, 5)): "the split: training",
    ("beyond", Fraction(1, 10)): "a setting: the learning rate of the fine-tuning",
    ("confirmation", Fraction(1, 10)): "the margin of no difference",
    ("error-drivers", Fraction(1, 2)): "the half of the held-out molecules that is validated on",
    ("error-drivers", Fraction(1, 10)): "a threshold",
    ("error-drivers", Fraction(4, 5)): "the folds of a cross-validation",
    ("hyperparameters", Fraction(1, 2)): "a median",
    ("large-molecules", Fraction(1, 2)): "a setting: how long the fine-tuning takes",
    ("model-card", Fraction(1, 2)): "half the width of an interval",
    ("predictions", Fraction(1, 10)): "a threshold that an exercise asks about",
    ("preregistration", Fraction(1, 2)): "molecules cut in two",
}
"""Shares that a page may say in words: settings, thresholds and definitions, each with its reason."""


def written_shares(lang: str, text: str) -> set[Fraction]:
    """The fractions that a text says in words of something, or by which it says that something changes.

    "The tenth with the largest spread" names a set, and "nearly all" could not be told from a manner of speaking:
    neither counts.
    """
    words = [(Fraction(1, 2), _HALF[lang])] + [
        (Fraction(count, parts), f"(?:{counted}) (?:{part})")
        for count, counted in enumerate(_COUNTED[lang], 1)
        for parts, part in enumerate(_PARTS[lang], 3)
    ]
    by = {"en": r"\bby ", "ca": r"\ben "}[lang]
    return {
        share
        for share, word in words
        if re.search(rf"\b(?:{word})(?={_OF[lang]})|(?<={by})(?:{word})\b", text, re.IGNORECASE)
    }


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_share_is_typed_into_prose_in_words(lang):
    found = {
        (path.stem, share): text
        for path in sorted((BOOK / lang).glob("*.md"))
        for text in page_of(lang, path.name).prose
        for share in written_shares(lang, text)
        if (path.stem, share) not in QUOTED_SHARES
    }
    assert not found, "a share is glued from the records; what is none has its reason in QUOTED_SHARES"


def test_a_typed_share_would_be_seen():
    said = {
        "en": ["It takes half of the time.", "Two thirds of the claims fall.", "The error shrinks by a quarter."],
        "ca": ["Triga la meitat del temps.", "Dos terços de les afirmacions cauen.", "Baixa en una quarta part."],
    }
    for lang, texts in said.items():
        assert [written_shares(lang, text) for text in texts] == [{Fraction(1, 2)}, {Fraction(2, 3)}, {Fraction(1, 4)}]
    assert written_shares("en", "A third cause; the tenth with the largest spread; half-way; the third step.") == set()
    assert written_shares("ca", "Una tercera causa; la desena part amb més dispersió; a mig camí.") == set()


# ---- spelling ------------------------------------------------------------------------------------------------


def words_of(lang: str, text: str) -> set[str]:
    """The words of a text; none with digits, and without Catalan's elided articles and the English genitive."""
    tokens = (token.strip("'-·") for token in re.findall(r"[\w'·-]+", text.replace("’", "'")))
    affix = r"^[dlmnst]'" if lang == "ca" else r"'s?$"
    return {re.sub(affix, "", token, flags=re.IGNORECASE) for token in tokens if not re.search(r"\d", token)} - {""}


def hunspell(dictionary: str, words: set[str]) -> subprocess.CompletedProcess[str]:
    command = ["hunspell", "-l", "-i", "utf-8", "-d", dictionary]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    text = "\n".join(sorted(words))
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", env=environment, check=False)


def misspelt(lang: str, text: str) -> set[str]:
    """The words of a text that one or more of the language's installed dictionaries do not hold."""
    words = words_of(lang, text)
    try:
        results = [hunspell(dictionary, words) for dictionary in DICTIONARIES[lang]]
    except FileNotFoundError:
        results = []
    found = [set(result.stdout.split()) for result in results if result.returncode == 0]
    if not found:
        pytest.fail(f"no hunspell or no dictionary: apt-get install {PACKAGES[lang]}", pytrace=False)
    return set().union(*found)


def word_list(name: str) -> list[str]:
    return (WORD_LISTS / f"words-{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]


def holds(text: str, word: str) -> bool:
    capital = re.escape(word[0].upper()) + re.escape(word[1:])
    return re.search(rf"(?<!\w)(?:{re.escape(word)}|{capital})(?!\w)", text) is not None


@pytest.mark.parametrize("lang", LANGUAGES)
def test_spelling(lang):
    prose = prose_of(lang)
    listed = {*word_list(lang), *word_list("both")}
    # A sentence may begin with a listed word.
    listed |= {word[0].upper() + word[1:] for word in listed}
    unknown = misspelt(lang, "\n".join(prose.values())) - listed
    found = {word: [name for name, words in prose.items() if holds(words, word)] for word in sorted(unknown)}
    assert not found, f"correct these, or add them to tests/spelling/words-{lang}.txt if they are words: {found}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_spelling_check_sees_an_error(lang):
    right, wrong = {"ca": ("molècules", "moleculas"), "en": ("molecules", "molecluse")}[lang]
    assert misspelt(lang, f"{right} {wrong}") == {wrong}


@pytest.mark.parametrize("name", ["ca", "en", "both"])
def test_word_list_is_sorted_and_every_word_is_used(name):
    words = word_list(name)
    assert words == sorted(set(words), key=str.casefold)
    text = "\n".join("\n".join(prose_of(lang).values()) for lang in (LANGUAGES if name == "both" else [name]))
    assert [word for word in words if not holds(text, word)] == []


def test_english_is_british():
    found = {name: AMERICAN.findall(text) for name, text in prose_of("en").items()}
    assert {name: words for name, words in found.items() if words} == {}
