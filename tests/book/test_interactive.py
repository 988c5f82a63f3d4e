"""The parts of a page that can be touched, in each browser, on pages of their own that are made without the book."""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import moving_records
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
from analysis.evaluation.dynamics import Watched
from analysis.evaluation.prediction_intervals import KINDS, TAXA, UNKNOWN, taxa
from analysis.figures import balancing, beyond, final_comparison, hyperparameters
from analysis.figures.style import BookFigure
from analysis.figures.words import LANGUAGES, say
from analysis.predict.ensemble import Ensemble, default_records, without_energies
from analysis.runs import weights
from analysis.runs.records import Record
from analysis.study import search, sweeps, trials

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SIZES = list(thesis.COMMON_SIZES)
SHOWN = "{interactive} trajectory"
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
def stage(qm9_molecules) -> trials.Stage:
    """The first stage of the hyperparameter search."""
    return search.load_or_search(sweeps.load_sweep("stage1"), search.SearchParameters(), qm9_molecules)


@pytest.fixture(scope="module")
def drawn(qm9_molecules, stage) -> dict[tuple[str, str], BookFigure]:
    """The figures whose data parts show, by the part's name and the language."""
    balanced = study.recorded(study.BalancingParameters(), qm9_molecules)
    trained = study.recorded(study.BeyondParameters(), qm9_molecules)
    figures = {
        "caps": lambda lang: balancing.capped_sizes(balanced, lang=lang),
        "trials": lambda lang: hyperparameters.pareto(stage, "batch_size", lang=lang),
        "epochs": lambda lang: hyperparameters.curves(stage, lang=lang),
        "budget": lambda lang: beyond.budget(trained, lang=lang),
    }
    return {(name, lang): draw(lang) for name, draw in figures.items() for lang in LANGUAGES}


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """The recorded trajectory; a made-up one in its place as long as no page shows it."""
    with pytest.MonkeyPatch.context() as patch:
        if not any(SHOWN in page.read_text(encoding="utf-8") for page in (ROOT / "book" / "en").glob("*.md")):
            patch.setattr(Watched, "load", moving_records.watched)
        yield Watched.load()


@pytest.fixture(scope="module")
def site(interactive, drawn, watched, tmp_path_factory) -> Path:
    """A folder with a page for each part and language."""
    assert watched.frames
    site = tmp_path_factory.mktemp("site")
    for name in interactive.NEEDS:
        for lang in LANGUAGES:
            interactive.alone(site, name, lang, drawn[name, lang].csv() if (name, lang) in drawn else None)
    return site


@pytest.fixture(scope="module")
def opened(each_browser: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    """The page of a part, one for all tests; what goes wrong on it, and any request elsewhere, is a failure."""
    windows: dict[tuple[str, str], Window] = {}

    def open_page(name: str, lang: str = "en") -> Page:
        if (name, lang) not in windows:
            window = windows[name, lang] = Window(each_browser.new_page(viewport=NARROW))
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
    page.fill("#interactive-slider-share", str(position))


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
    page.focus("#interactive-slider-share")
    for key in ("Home", "End"):
        page.keyboard.press(key)
        correlation.append(numeral(cells(page, "#interactive-slider .numbers table")[0][3]))
    assert page.get_attribute("#interactive-slider-share", "aria-valuetext").startswith("100%")
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
    for answer, found, atoms, kind in zip(answers, shown, given, kinds, strict=True):
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
            (taxon,) = taxa(without_energies([atoms])).tolist()
            expected = ensemble.intervals.of(kind, taxon, found["energy"], found["spread"])
            assert found["interval"] == pytest.approx(list(expected), abs=1e-9)
            seen[taxon] += 1
        else:
            assert found["interval"] is None
    assert len(set(seen) & set(KEYS)) >= 4
    assert len(set(seen) & set(REFUSED)) >= 3
    assert seen.keys() >= set(TAXA)


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
        ("[OH-]", "its charge is −1"),
        ("[2H]O[2H]", "2H; the models know only the usual isotopes"),
        ("[Fe]", "it holds Fe"),
        ("<b>CC</b>", "OpenChemLib reads no structure"),
        ("c1ccccc", "OpenChemLib reads no structure"),
        ("C" * 90, "90 atoms other than hydrogen, too many for the page"),
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
        ("H 0 0 nan\nH 0 0 0", "line 1: an element and three coordinates are expected"),
        ("H 1e999 0 0\nH 0 0 0.74", "the position of its atom 1 is no number, or too far away"),
        ("99999999999\n\nH 0 0 0", "it says 99,999,999,999 atoms and has 1"),
        ("H 0 0 0\nH 0 0 0", "its atoms 1 and 2 are"),
        ("He 0 0 0\nHe 0 0 3", "it holds He"),
        ("O 0 0 0.0119\nH 0 0.0763 -0.0477\nH 0 -0.0763 -0.0477", "they seem to be in nm"),
    ],
)
def test_a_geometry_that_cannot_be_read_says_why(opened, text, said):
    page = opened("molecule")
    page.evaluate("document.getElementById('molecule-geometry').open = true")
    page.fill("#molecule-xyz", text)
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("#molecule-geometry form button")
    assert said in answer(page)


@pytest.mark.parametrize(
    ("form", "text", "formula"),
    [
        ("smiles", "  CCO ", "C₂H₆O"),
        ("smiles", "C1=CC=CC=C1", "C₆H₆"),
        ("xyz", "\ufeff3\r\n\r\nO\t0\t0\t1.19D-1\r\nH 0 0.763 -4.77*^-1\r\nH 0 -0.763 -0.477\r\n\r\n", "H₂O"),
        ("xyz", "8 0 0 0.119 -0.8\n1 0 0.763 -0.477 0.4\nh 0 -0.763 -0.477 0.4", "H₂O"),
    ],
)
def test_what_looks_odd_and_is_right_is_predicted(opened, form, text, formula):
    page = opened("molecule")
    page.evaluate("document.getElementById('molecule-geometry').open = true")
    page.fill(f"#molecule-{form}", text)
    page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
    page.click("form.wide button" if form == "smiles" else "#molecule-geometry form button")
    assert answer(page).startswith(formula)


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


# ---- figures that answer "and if?" -----------------------------------------------------------------------------------


def point(page: Page, part: str, mark: str) -> str:
    """What the chart of a part says of a mark when the mouse is over it."""
    page.locator(f"#interactive-{part} svg.points").scroll_into_view_if_needed()
    box = page.locator(f"#interactive-{part} circle{mark}").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return page.inner_text(f"#interactive-{part} .pointed")


def test_a_cap_leaves_what_the_runs_with_it_were_trained_on(opened, drawn):
    page, data = opened("caps"), drawn["caps", "en"].data
    for button, (_, of_cap) in zip(
        page.locator("#interactive-caps button").all(), list(data.groupby("series", sort=False))[1:], strict=True
    ):
        button.click()
        left = [numeral(row[2]) for row in cells(page, "#interactive-caps details table")]
        assert left == of_cap["training_molecules"].tolist()
        assert page.inner_text("#interactive-caps [role=status]").startswith(f"{sum(map(int, left)):,} of ")


def test_a_cap_that_nobody_trained_with_trims_the_sizes_above_it(opened, drawn):
    page, data = opened("caps"), drawn["caps", "en"].data
    whole = data[data["series"] == data["series"].iloc[0]]
    page.fill("#interactive-caps-cap", "8800")
    left = np.minimum(whole["training_molecules"], 8800)
    assert [numeral(row[2]) for row in cells(page, "#interactive-caps details table")] == left.tolist()
    said = page.inner_text("#interactive-caps [role=status]")
    trimmed = (whole["training_molecules"] > 8800).sum()
    mean = (left * whole["n_atoms"]).sum() / left.sum()
    assert f"of {mean:.1f} atoms on average" in said
    assert f"{trimmed} of {len(whole)} sizes" in said


@pytest.mark.parametrize("percent", [0, 10, 50, 300])
def test_the_rule_takes_what_the_package_takes_whatever_its_tolerance(opened, stage, percent):
    page = opened("trials")
    page.fill("#interactive-trials-tolerance", str(percent))
    taken = trials.choose(stage.trials, tolerance=percent / 100)
    said = page.locator("#interactive-trials [role=status]").last.inner_text()
    assert f"(run {taken['run']})" in said
    within = stage.trials.drop_duplicates("run")["validation_mse"] <= (1 + percent / 100) * (
        stage.trials["validation_mse"].min()
    )
    assert f"of the {within.sum()} within it" in said


def test_the_rules_tolerance_is_the_first_that_is_shown(interactive):
    assert interactive.NEEDS["trials"].data() == {"tolerance": trials.TOLERANCE}


def test_each_trial_says_what_it_was_to_the_mouse_and_to_the_keyboard(opened, drawn):
    page, data = opened("trials"), drawn["trials", "en"].data.sort_values("wall_time_s")
    assert page.locator("#interactive-trials circle:not(.ring)").count() == len(data)
    said = page.locator("#interactive-trials .pointed")
    page.focus("#interactive-trials svg.points")
    for key, row in (("End", data.iloc[-1]), ("Home", data.iloc[0]), ("ArrowRight", data.iloc[1])):
        page.keyboard.press(key)
        assert f"(run {row['run']})" in said.inner_text()
        assert f"Batch size: {row['batch_size']:,}" in said.inner_text()
    assert page.locator("#interactive-trials .ring").count() == 1
    report = data[data["series"] == say(hyperparameters.SERIES["report_choice"], "en")]["run"].item()
    assert f"(run {report})" in point(page, "trials", ".of-default")
    page.select_option("#interactive-trials-axis", "learning_rate")
    page.focus("#interactive-trials svg.points")
    page.keyboard.press("End")
    assert f"(run {data.loc[data['learning_rate'].idxmax(), 'run']})" in said.inner_text()
    page.select_option("#interactive-trials-axis", "minutes")


@pytest.mark.parametrize("epoch", [1, thesis.STAGE1_EPOCHS, 30])
def test_stopped_after_an_epoch_the_runs_have_reached_what_is_recorded(opened, drawn, epoch):
    page, data = opened("epochs"), drawn["epochs", "en"].data
    page.fill("#interactive-epochs-stop", str(epoch))
    reached = data[data["epoch"] == epoch].groupby("series", sort=False)["validation_loss_eV2"]
    shown = {row[0]: [numeral(cell) for cell in row[1:]] for row in cells(page, "#interactive-epochs table")}
    assert list(shown) == list(reached.groups)
    for series, values in reached:
        expected = [len(values), values.mean(), values.min(), values.max()]
        np.testing.assert_allclose(shown[series], expected, rtol=6e-3)


def test_a_curve_says_which_run_it_is(opened, drawn):
    page, data = opened("epochs"), drawn["epochs", "en"].data
    page.fill("#interactive-epochs-stop", "30")
    assert page.locator("#interactive-epochs path.thin").count() == len(data.groupby(["series", "run"]))
    said = point(page, "epochs", ".of-custom >> nth=0")
    run = re.search(r"seed (\d+): (.+) eV² after epoch 30 \(run (\w+)\)", said)
    row = data[(data["run"] == run[3]) & (data["epoch"] == 30)].iloc[0]
    assert row["seed"] == int(run[1])
    assert numeral(run[2]) == pytest.approx(row["validation_loss_eV2"], rel=6e-3)
    assert page.locator("#interactive-epochs path.curve").count() == 1


@pytest.mark.parametrize("column", ["mae_meV", "mse_eV2"])
def test_so_many_minutes_buy_the_best_that_every_seed_has_in_that_time(opened, drawn, column):
    page, data = opened("budget"), drawn["budget", "en"].data
    page.select_option("#interactive-budget-measure", column.partition("_")[0])
    lengths = data.dropna(subset="run").groupby("epochs")
    for power in (0.5, 1.0, 1.5, 2.0):
        page.fill("#interactive-budget-minutes", str(power))
        done = lengths["minutes"].max()[lambda longest, most=10**power: longest <= most].index
        said = page.locator("#interactive-budget [role=status]").last.inner_text()
        if not len(done):
            assert "no training was done" in said
            continue
        best = lengths[column].mean()[done].idxmin()
        assert f"{best:.0f} epochs" in said
        error = re.search(r"\): ([\d.,]+),", said)[1].rstrip(",.")
        assert numeral(error) == pytest.approx(lengths[column].mean()[best], rel=6e-3)
    page.select_option("#interactive-budget-measure", "mae")


def test_every_run_of_beyond_and_what_others_report_can_be_pointed_at(opened, drawn):
    page, data = opened("budget"), drawn["budget", "en"].data
    runs = data.dropna(subset="run").sort_values("minutes")
    timed = data[data["run"].isna() & data["minutes"].notna() & data["mae_meV"].notna()]
    assert page.locator("#interactive-budget circle:not(.ring)").count() == len(runs) + len(timed)
    page.focus("#interactive-budget svg.points")
    page.keyboard.press("Home")
    assert f"(run {runs['run'].iloc[0]})" in page.inner_text("#interactive-budget .pointed")
    page.keyboard.press("End")
    assert page.inner_text("#interactive-budget .pointed").startswith(tuple(timed["series"]))


# ---- a trajectory ----------------------------------------------------------------------------------------------------


def frame(page: Page, k: int) -> list[str]:
    """What is said of a frame."""
    page.fill("#interactive-trajectory-time", str(k))
    return page.locator("#interactive-trajectory dd").all_inner_texts()


def test_each_frame_is_shown_with_its_energies_and_its_longest_bond(opened, watched):
    page = opened("trajectory")
    bonds = page.evaluate(
        """([numbers, positions]) => MoleculeView.bonds(numbers, positions, TRAJECTORY_DATA)""",
        [list(watched.numbers), watched.positions[1].tolist()],
    )
    assert len(bonds) >= len(watched.numbers) - 1
    first, second = np.transpose(bonds)
    lengths = np.linalg.norm(watched.positions[:, first] - watched.positions[:, second], axis=2)
    for k in (0, 7, len(watched.frames) // 2, len(watched.frames) - 1):
        *energies, bond = frame(page, k)
        assert page.get_attribute("#interactive-trajectory-time", "aria-valuetext") == f"{watched.times[k]:.0f} fs"
        expected = [watched.potential[k], watched.kinetic[k], watched.potential[k] + watched.kinetic[k]]
        assert [numeral(one.removesuffix(" eV")) for one in energies] == pytest.approx(expected, abs=6e-4)
        stretch = lengths[k + 1] / lengths[0]
        most = int(stretch.argmax())
        symbols = Atoms(watched.numbers).symbols
        assert bond.startswith("–".join(f"{symbols[a]}{a + 1}" for a in bonds[most]))
        said = [numeral(one) for one in re.search(r", (.+) Å: (.+)% of", bond).groups()]
        assert said == pytest.approx([lengths[k + 1, most], 100 * stretch[most]], abs=0.051)


def test_the_molecule_moves_and_stays_turned(opened):
    page = opened("trajectory")
    places = "all => all.map((one) => [one.textContent, one.cx.baseVal.value, one.cy.baseVal.value])"

    def balls() -> dict[str, list[float]]:
        found = page.eval_on_selector_all("#interactive-trajectory svg.molecule circle", places)
        return {title: place for title, *place in found}

    def at(k: int) -> dict[str, list[float]]:
        frame(page, k)
        return balls()

    def turn(key: str) -> None:
        page.focus("#interactive-trajectory svg.molecule")
        for _ in range(5):
            page.keyboard.press(key)

    def farthest(one: dict[str, list[float]], other: dict[str, list[float]]) -> float:
        return max(np.hypot(*np.subtract(one[atom], other[atom])) for atom in one)

    before = [at(0), at(5)]
    turn("ArrowLeft")
    after = [at(0), at(5)]
    for one, other in (before, after):
        assert 0.01 < farthest(one, other) < 1
    for one, other in zip(before, after, strict=True):
        assert farthest(one, other) > 0.2
    turn("ArrowRight")
    assert farthest(balls(), before[1]) < 1e-5


def test_it_plays_by_the_keyboard_alone_and_begins_again_at_its_end(opened, watched):
    page = opened("trajectory")
    time, button = page.locator("#interactive-trajectory-time"), page.locator("#interactive-trajectory button")
    frame(page, len(watched.frames) - 2)
    page.wait_for_timeout(300)
    assert time.input_value() == str(len(watched.frames) - 2)  # it does not start by itself
    button.focus()
    page.keyboard.press("Enter")
    assert button.inner_text() == "Pause"
    assert page.get_attribute("#interactive-trajectory dl", "aria-live") == "off"
    page.wait_for_function(f"document.getElementById('interactive-trajectory-time').value < {len(watched.frames) // 2}")
    page.keyboard.press("Enter")
    assert button.inner_text() == "Play"
    now = time.input_value()
    page.wait_for_timeout(200)
    assert time.input_value() == now
    time.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#interactive-trajectory-time", "aria-valuetext") == f"{watched.every:.0f} fs"


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
