"""The parts of a page that can be touched, in Chromium, on pages of their own that are made without the book."""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from axe_playwright_python.base import AXE_SCRIPT
from built import NARROW, ROOT, Window
from playwright.sync_api import Browser, Page
from scipy import stats
from waiting import PATIENCE

from analysis import study
from analysis.data import descriptors, thesis
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation import accuracy, decomposition
from analysis.evaluation.prediction_intervals import KINDS, UNKNOWN
from analysis.figures import final_comparison
from analysis.figures.words import LANGUAGES, say
from analysis.predict.ensemble import Ensemble, default_records
from analysis.runs import weights
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SIZES = list(thesis.COMMON_SIZES)
PAGE = """<!doctype html>
<html lang="{lang}" data-theme="light"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="stylesheet" href="interactive/interactive.css">{scripts}</head>
<body><main><h1>{name}</h1>{place}</main></body></html>
"""
HINDERED = """async () => {
  const found = (await axe.run(document, {preload: false, resultTypes: ["violations"]})).violations;
  return found.map((one) => `${one.id}: ${one.nodes[0].html}`);
}"""


@pytest.fixture(scope="module")
def interactive() -> Iterator[ModuleType]:
    """The book's extension."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import interactive

    yield interactive
    sys.path.pop(0)


@pytest.fixture(scope="module")
def models(qm9_molecules) -> dict[str, list[Record]]:
    compared = study.recorded(study.FinalComparisonParameters(), qm9_molecules)
    return {**final_comparison.by_model(compared), "beyond": default_records()}


@pytest.fixture(scope="module")
def site(interactive, tmp_path_factory) -> Path:
    """A folder with a page for each part and language."""
    site = tmp_path_factory.mktemp("site")
    (site / "interactive").symlink_to(tmp_path_factory.mktemp("scripts"))
    for file in (interactive.HERE / "static" / "interactive").iterdir():
        (site / "interactive" / file.name).symlink_to(file)
    for name, part in interactive.NEEDS.items():
        if part.data:
            (site / "interactive" / f"{name}-data.js").write_text(interactive.data_script(name), encoding="utf-8")
        scripts = "".join(f'<script defer src="interactive/{file}"></script>' for file in part.files(name))
        for lang in LANGUAGES:
            place = interactive.place(name, lang)
            page = PAGE.format(lang=lang, name=name, policy=interactive.POLICY, scripts=scripts, place=place)
            (site / f"{name}-{lang}.html").write_text(page, encoding="utf-8")
    return site


@pytest.fixture(scope="module")
def opened(browser: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    """The page of a part, one for all tests; what goes wrong on it, and any request elsewhere, is a failure."""
    windows: dict[tuple[str, str], Window] = {}

    def open_page(name: str, lang: str = "en") -> Page:
        if (name, lang) not in windows:
            window = windows[name, lang] = Window(browser.new_page(viewport=NARROW))
            window.page.set_default_timeout(PATIENCE)
            window.page.goto(f"{site.as_uri()}/{name}-{lang}.html")
            window.page.wait_for_selector(f"#interactive-{name}[data-ready]")
        return windows[name, lang].page

    yield open_page
    for window in windows.values():
        window.page.close()
        assert window.seen.errors == []
        assert window.seen.outside == []


def cells(page: Page, table: str) -> list[list[str]]:
    """The texts of a table's rows, without its headings."""
    return page.eval_on_selector_all(
        f"{table} tbody tr", "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def numeral(text: str) -> float:
    """What a number means that a page writes in English."""
    return float(text.replace("−", "-").replace(",", ""))


def slide(page: Page, position: int) -> None:
    page.fill("#slider-share", str(position))


# ---- the slider ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 37, 100])
def test_the_slider_shows_the_recorded_error_with_its_mean(opened, models, qm9_molecules, position):
    page = opened("slider")
    slide(page, position)
    shown = np.array([[numeral(cell) for cell in row] for row in cells(page, "#interactive-slider details table")])
    share = position / 100
    curves = (
        [decomposition.with_mean_at(record.groups, "size", share).loc[SIZES] for record in models[name]]
        for name in final_comparison.MODELS
    )
    expected = [np.mean(of_model, axis=0) for of_model in curves]
    np.testing.assert_array_equal(shown[:, 0], SIZES)
    np.testing.assert_allclose(shown[:, 2:].T, expected, rtol=6e-3)  # written with three digits
    count = [(qm9_molecules.n_atoms == size).sum() for size in SIZES]
    np.testing.assert_array_equal(shown[:, 1], count)
    for row, curve in zip(cells(page, "#interactive-slider .numbers:not(details *) table"), expected, strict=True):
        assert row[1] == str(SIZES[int(np.argmin(curve))])
        assert abs(numeral(row[3]) - stats.spearmanr(count, curve).statistic) < 0.0051


def test_the_valley_appears_under_the_keyboard(opened):
    page = opened("slider")
    correlation = []
    page.focus("#slider-share")
    for key in ("Home", "End"):
        page.keyboard.press(key)
        correlation.append(numeral(cells(page, "#interactive-slider .numbers table")[0][3]))
    assert page.get_attribute("#slider-share", "aria-valuetext").startswith("100%")
    assert correlation[1] < -0.5 < correlation[0]


# ---- the explorer ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tested(models, qm9_molecules):
    """The test molecules, and each model's mean errors, eV."""
    place = accuracy.test_positions(models["beyond"][0], qm9_molecules)
    return qm9_molecules.select(place), {name: accuracy.test_errors(of).mean(axis=0) for name, of in models.items()}


def test_the_explorer_shows_the_recorded_errors_of_every_molecule(opened, models, tested):
    molecules, errors = tested
    page = opened("explorer")
    for model, of_model in errors.items():
        page.select_option("#explorer-model", model)
        assert page.text_content("[role=status]") == interactive_count(page, of_model)
        worst = int(molecules.index[np.abs(of_model).argmax()])
        choose(page, worst)
        assert page.get_attribute("#interactive-explorer", "data-chosen") == str(worst)
        at = int(np.flatnonzero(molecules.index == worst)[0])
        size = int(molecules.n_atoms[at])
        rows = {row[0]: [numeral(cell) for cell in row[1:]] for row in cells(page, ".about > table")}
        for name, of_name in errors.items():
            shift = decomposition.decompose(models[name][0].groups, "size").loc[size, "shift"]
            expected = [1e3 * of_name[at], 1e3 * (of_name[at] + size * shift)]
            assert rows[name.capitalize()] == pytest.approx(expected, abs=0.11)
        recorded = [(row[1], numeral(row[2])) for row in cells(page, ".about details:last-child table")]
        each = np.concatenate([accuracy.test_errors(of)[:, at] for of in models.values()])
        assert [run for run, _ in recorded] == [record.id for of in models.values() for record in of]
        np.testing.assert_allclose([error for _, error in recorded], 1e3 * each, atol=0.11)


def choose(page: Page, index: int) -> None:
    page.fill("#explorer-index", str(index))
    page.click("#interactive-explorer form button")


def interactive_count(page: Page, errors: np.ndarray) -> str:
    """What the explorer says of so many molecules, in English."""
    mae, rmse = 1e3 * np.abs(errors).mean(), 1e3 * np.sqrt((errors**2).mean())
    written = page.evaluate("values => values.map((value) => Interactive.short(value, 3))", [mae, rmse])
    return say(
        "{count} molecules: mean absolute error {mae} meV, root mean square {rmse} meV",
        "en",
        count=f"{len(errors):,}",
        mae=written[0],
        rmse=written[1],
    )


def test_filters_leave_the_molecules_that_they_say(opened, tested):
    molecules, errors = tested
    page = opened("explorer")
    page.select_option("#explorer-model", "beyond")
    page.select_option("#explorer-element", "9")
    fluorine = molecules.element_counts((9,))[:, 0] > 0
    assert page.text_content("[role=status]").startswith(f"{fluorine.sum()} ")
    page.fill("#explorer-above", "1")  # 10 meV
    left = fluorine & (np.abs(errors["beyond"]) >= 0.01)
    assert page.text_content("[role=status]").startswith(f"{left.sum()} ")
    page.fill("#explorer-above", "4")
    assert page.text_content("[role=status]") == "No molecule is like this."
    page.fill("#explorer-above", "-1")
    page.select_option("#explorer-element", "")


def test_the_molecules_most_alike_are_those_of_the_descriptors(opened, tested):
    molecules, _ = tested
    page = opened("explorer")
    choose(page, int(molecules.index[0]))
    index = int(page.get_attribute("#interactive-explorer", "data-chosen"))
    roots = np.sqrt(descriptors._pair_counts(molecules))
    at = int(np.flatnonzero(molecules.index == index)[0])
    distance = np.sqrt(((roots - roots[at]) ** 2).sum(axis=1) / 2)
    nearest = np.argsort(distance)[1:5]
    rows = cells(page, ".about details:first-of-type table")
    assert [int(row[0]) for row in rows] == molecules.index[nearest].tolist()
    np.testing.assert_allclose([numeral(row[2]) for row in rows], distance[nearest], atol=0.011)
    page.click(".about details:first-of-type summary")
    page.click(".about details:first-of-type button >> nth=0")
    assert page.get_attribute("#interactive-explorer", "data-chosen") == rows[0][0]


def test_a_click_shows_the_molecule_and_keys_turn_it(opened):
    page = opened("explorer")
    before = page.get_attribute("#interactive-explorer", "data-chosen")
    page.click("canvas", position={"x": 200, "y": 250})
    assert page.get_attribute("#interactive-explorer", "data-chosen") != before
    drawn = page.inner_html("svg.molecule")
    page.focus("svg.molecule")
    page.keyboard.press("ArrowLeft")
    turned = page.inner_html("svg.molecule")
    assert turned != drawn
    page.mouse.move(*(box := centre(page, "svg.molecule")))
    page.mouse.down()
    page.mouse.move(box[0] + 40, box[1] + 10)
    page.mouse.up()
    assert page.inner_html("svg.molecule") not in (drawn, turned)


def centre(page: Page, selector: str) -> tuple[float, float]:
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_molecule_is_not_shown_as_its_mirror_image(opened):
    page = opened("explorer")
    # With x to the right and y up, N, O and F go against the clock as seen from the front, however little it is turned.
    page.evaluate(
        """() => MoleculeView.show(document.querySelector("svg.molecule"), {
          numbers: [7, 8, 9], positions: [[1, 0, 0], [0, 1, 0], [-1, -1, 0]], bonds: [], titles: ["N", "O", "F"],
          label: "three atoms" })"""
    )
    places = page.eval_on_selector_all(
        "svg.molecule circle", "all => all.map((one) => [one.textContent, one.cx.baseVal.value, one.cy.baseVal.value])"
    )
    (n, o, f) = (np.array([x, -y]) for _, x, y in sorted(places, key=lambda one: "NOF".index(one[0])))
    assert np.linalg.det([o - n, f - n]) > 0


# ---- a molecule of the reader's --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble(default_records())


PREDICT = """async (molecules) => {
  const { predict } = await Prediction.predictor(MOLECULE_DATA);
  const words = JSON.parse(document.getElementById("interactive-molecule-words").textContent);
  return molecules.map(([numbers, positions, kind]) => {
    const given = { numbers, positions, kind, doubts: [] }, first = predict(given);
    const found = first.canBeAsked ? predict(given, true) : first;
    if (found.refused) return { refused: found.refused.key };
    return { ...found, keys: found.warnings.map((one) => one.key), outside: Boolean(first.canBeAsked) };
  });
}"""
"""What the page's scripts say of molecules: arrays of atomic numbers and positions, and the kind of geometry."""
KEYS = {
    "atomsOutside": "atoms;",
    "heavyOutside": "other than hydrogen",
    "parts": "no bond holds together",
    "environment": "no training molecule has such an atom",
    "alone": "bonded to nothing",
    "distance": "no training molecule has such a distance",
    "spread": "the models differ more than usual",
    "divided": "no interval holds at such geometries",
}
"""What a warning of the package says, by the page's key of it."""
REFUSED = {
    "empty": "no atoms",
    "foreign": "the models know only H, C, N, O and F",
    "odd": "an odd number",
    "lost": "the position of its atom",
    "close": "Å apart, less than",
    "nanometres": "in nm",
    "bohr": "in bohr",
    "picometres": "in pm",
    "apart": "it is no molecule",
    "unbound": "of its atomisation",
}


def geometries(molecules: Molecules, seed: int) -> list[Atoms]:
    """Molecules as they are, and what may be wrong about others: stretched, atoms lost or moved, units, elements."""
    rng = np.random.default_rng(seed)
    found = to_ase(molecules)
    for atoms in list(found):
        kind = rng.integers(7)
        changed = atoms.copy()
        if kind == 0:
            changed.positions *= rng.choice([0.1, 0.9, 0.97, 1.03, 1.2, 1.8897, 100])
        elif kind == 1:
            changed.positions += rng.normal(scale=rng.choice([0.02, 0.1, 0.3]), size=changed.positions.shape)
        elif kind == 2:
            del changed[rng.choice(len(changed), size=min(2, len(changed)), replace=False)]
        elif kind == 3:
            other = atoms.copy()
            other.translate([rng.uniform(1.5, 9), 0, 0])
            changed += other
        elif kind == 4:
            changed.numbers[rng.integers(len(changed))] = rng.choice([7, 8, 9, 16, 17])
        elif kind == 5:
            changed.positions[-1] = changed.positions[0] + rng.uniform(0, 0.6, 3)
        else:
            changed.rotate(rng.uniform(0, 360), rng.normal(size=3))
        found.append(changed)
    return found


def test_the_page_predicts_what_the_package_predicts(opened, ensemble, few_molecules):
    """Energies, spreads and intervals; refusals and warnings, of good geometries and of wrong ones."""
    given = geometries(few_molecules.select(np.arange(0, len(few_molecules), 6)), seed=4)
    kinds = [(*KINDS, UNKNOWN)[k % 4] for k in range(len(given))]
    answers = ensemble.answers(given, [""] * len(given), kinds, outside=True)
    asked = [[one.numbers.tolist(), one.positions.tolist(), kind] for one, kind in zip(given, kinds, strict=True)]
    shown = opened("molecule").evaluate(PREDICT, asked)
    seen = Counter()
    for answer, found, atoms in zip(answers, shown, given, strict=True):
        if isinstance(answer, str):
            assert REFUSED[found["refused"]] in answer
            seen[found["refused"]] += 1
            continue
        near = 3e-4 + 2e-3 * answer.spread  # of a wrong geometry, on which networks differ, sixteen bits say less
        assert found["energy"] == pytest.approx(answer.energy, abs=near)
        assert found["spread"] == pytest.approx(answer.spread, abs=near)
        assert found["atomisation"] == pytest.approx(answer.atomisation_energy, abs=near)
        assert sum(each["share"] for each in found["atoms"]) == pytest.approx(found["atomisation"], abs=1e-6)
        assert len(found["atoms"]) == len(atoms)
        assert found["outside"] == answer.outside
        assert len(found["keys"]) == len(answer.warnings)
        assert all(KEYS[key] in said for key, said in zip(found["keys"], answer.warnings, strict=True))
        seen.update(found["keys"])
        if answer.interval:
            assert found["interval"] == pytest.approx(list(answer.interval), abs=12 * near)  # some ten times the spread
        else:
            assert found["interval"] is None
    assert len(set(seen) & set(KEYS)) >= 4
    assert len(set(seen) & set(REFUSED)) >= 3


def answer(page: Page) -> str:
    """What the page says when it is done."""
    page.wait_for_function(
        "document.getElementById('interactive-molecule').dataset.state !== 'working'", timeout=60_000
    )
    return page.inner_text(".told")


def test_refusals_and_warnings_are_in_the_words_of_the_package(opened, ensemble, few_molecules):
    page = opened("molecule")
    given = geometries(few_molecules.select(np.arange(1, len(few_molecules), 23)), seed=1)
    for atoms in given:
        lines = [
            f"{symbol} {' '.join(map(repr, map(float, place)))}"
            for symbol, place in zip(atoms.symbols, atoms.positions, strict=True)
        ]
        page.evaluate("document.getElementById('molecule-geometry').open = true")
        page.fill("#molecule-xyz", "\n".join([str(len(atoms)), "", *lines]))
        page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
        page.click("#molecule-geometry form button")
        text = answer(page).replace("’", "'")
        (said,) = ensemble.answers([atoms], [""], [UNKNOWN])
        expected = [f"Refused: {said}"] if isinstance(said, str) else [f"Warning: {one}" for one in said.warnings]
        shown = [line for line in text.splitlines() if line.startswith(("Refused", "Warning"))]
        assert [re.sub(r"[−\-+]?\d+\.\d+", "·", line) for line in shown] == [
            re.sub(r"[−\-+]?\d+\.\d+", "·", line) for line in expected
        ]


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("", "there is no SMILES"),
        ("not a molecule", "ends at the first space"),
        ("C1CC", "OpenChemLib reads no structure"),
        ("*C", "OpenChemLib reads no structure"),
        ("CÇ", "no SMILES holds Ç"),
        ("C.C", "several molecules"),
        ("[NH4+]", "its charge is +1"),
        ("[CH3]", "a radical"),
        ("[C]", "unusual valence"),
        ("[13CH4]", "13C; the models know only the usual isotopes"),
        ("CCl", "it holds Cl"),
        ("CC(C)(C)(C)C", "finds no geometry"),
    ],
)
def test_a_smiles_that_cannot_be_predicted_says_why(opened, smiles, said):
    page = opened("molecule")
    page.fill("#molecule-smiles", smiles)
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("form.wide button")
    text = answer(page)
    assert text.startswith("Refused: ")
    assert said in text
    assert not page.is_visible("#interactive-molecule svg.molecule")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no atoms"),
        ("2\n\nH 0 0 0", "it says 2 atoms and has 1"),
        ("1\n\nHe 0 0 0\nH 0 0 1", "line 4: there is more than the 1 atoms"),
        ("O 0 0 0\nH 0 0", "line 2: an element and three coordinates are expected"),
        ("Q 0 0 0", "line 1: there is no element Q"),
        ("2\ncharge=1\nH 0 0 0\nF 0 0 0.92", "its charge is 1"),
        ("2\nProperties=species:S:1:pos:R:3 multiplicity=3\nO 0 0 0\nO 0 0 1.2", "its multiplicity is 3"),
    ],
)
def test_a_geometry_that_cannot_be_read_says_why(opened, text, said):
    page = opened("molecule")
    page.evaluate("document.getElementById('molecule-geometry').open = true")
    page.fill("#molecule-xyz", text)
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("#molecule-geometry form button")
    assert said in answer(page)


def test_a_smiles_a_file_and_a_drawing_are_predicted(opened, ensemble):
    page = opened("molecule")
    page.fill("#molecule-smiles", "CO")
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("form.wide button")
    text = answer(page)
    assert "CH₄O" in text
    assert "OpenChemLib’s, relaxed with MMFF94" in text
    page.fill("#molecule-smiles", "NC(Cc1ccccc1)C(=O)O")
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("form.wide button")
    assert answer(page).startswith("Refused: outside what the models know: 12 atoms other than hydrogen")
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click(".told button")
    text = answer(page)
    assert "C₉H₁₁NO₂" in text
    assert "it may be nonsense" in text
    (expected,) = ensemble.predict([read(ROOT / "examples" / "ethanol.xyz")], geometry="dft")
    page.evaluate("document.getElementById('molecule-geometry').open = true")
    page.select_option("#molecule-kind", "dft")
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.set_input_files("#molecule-file", ROOT / "examples" / "ethanol.xyz")
    page.wait_for_function("document.getElementById('molecule-xyz').value.includes('C')")
    page.wait_for_function("document.querySelector('.told').innerText.includes('C₂H₆O')")
    text = answer(page)
    assert f"−{-expected.energy:,.3f} eV" in text
    assert f"{expected.atomisation_energy:.3f} eV" in text
    assert f"−{-expected.interval[0]:,.3f} to −{-expected.interval[1]:,.3f} eV" in text
    page.evaluate("document.getElementById('molecule-drawing').open = true")
    page.wait_for_function(
        "document.querySelector('.editor').shadowRoot || document.querySelector('.editor').children.length"
    )


def test_the_vendored_library_is_what_its_checksums_say(interactive):
    folder = interactive.HERE / "static" / "interactive" / "openchemlib"
    lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    said = dict(line.split("  ")[::-1] for line in lines)
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in said} == said
    assert set(said) | {"SHA256SUMS"} == {path.name for path in folder.iterdir()}
    assert "Redistribution and use" in (folder / "LICENSE").read_text(encoding="utf-8")


# ---- the weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 0.5, 2, 10, 20])
def test_the_weights_are_those_of_the_package(opened, rate):
    page = opened("weights")
    page.fill("#weights-rate", str(rate))
    rows = cells(page, "#interactive-weights details table")
    sizes = np.array([int(row[0]) for row in rows])
    for column, formula in ((1, weights.size_based), (2, weights.size_and_frequency_based)):
        expected = formula(sizes, rate)
        shown = [np.nan if row[column] == "undefined" else numeral(row[column]) for row in rows]
        np.testing.assert_allclose(shown, expected, atol=6e-4)
    crosses = page.locator("#interactive-weights .alike > div:nth-child(2) .cross").count()
    assert crosses == np.isnan(weights.size_and_frequency_based(sizes, rate)).sum()


# ---- all of them -----------------------------------------------------------------------------------------------------


@EACH_LANGUAGE
def test_nothing_hinders_a_reader_and_nothing_is_too_wide(opened, interactive, lang):
    for name in interactive.NEEDS:
        page = opened(name, lang)
        page.eval_on_selector_all("details", "all => all.forEach((one) => (one.open = true))")
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(HINDERED) == [], name
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name


@EACH_LANGUAGE
def test_every_word_is_in_the_pages_language(opened, interactive, lang):
    other = LANGUAGES[1 - LANGUAGES.index(lang)]
    for name, words in interactive.PARTS.items():
        text = opened(name, lang).inner_text("main")
        foreign = {interactive.unfilled(word, other) for word in words.values()}
        foreign -= {interactive.unfilled(word, lang) for word in words.values()}
        assert [word for word in foreign if "{" not in word and re.search(rf"\b{re.escape(word)}\b", text)] == []


def test_without_scripts_a_page_says_what_is_missing(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{site.as_uri()}/slider-en.html")
    assert "JavaScript" in page.inner_text("main")
    assert not page.is_visible("#interactive-slider")
    context.close()
