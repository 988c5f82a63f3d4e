import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from waiting import PATIENCE

from analysis import study
from analysis.data.molecules import to_ase
from analysis.figures import structures
from analysis.figures.words import LANGUAGES, say
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def records(qm9_molecules) -> list[Record]:
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


def test_the_worst_are_those_of_largest_absolute_error_over_seeds(records, qm9_molecules):
    table = structures.worst(records, qm9_molecules, lang="en", count=5)
    errors = np.array([record.errors.set_index("index")["error"].astype(float) for record in records])
    index = records[0].errors["index"].to_numpy()
    order = np.argsort(-np.abs(errors).mean(axis=0), kind="stable")[:5]
    assert table.index.tolist() == [str(value) for value in index[order]]
    for place, said in zip(order, table["Prediction − reference (meV)"], strict=True):
        mean, deviation = 1000 * errors[:, place].mean(), 1000 * errors[:, place].std(ddof=1)
        assert said == f"{mean:,.0f} ± {deviation:,.0f}".replace("-", "−")
    absolute = 1000 * np.abs(errors[:, order]).mean(axis=0)
    assert table["Mean absolute error (meV)"].tolist() == [f"{value:,.0f}" for value in absolute]


def test_a_size_picks_its_molecules_and_shows_its_neighbours(records, qm9_molecules):
    table = structures.worst(records, qm9_molecules, lang="en", size=18, count=3)
    assert table["Number of atoms"].tolist() == ["18"] * 3
    errors, sizes = [record.errors["error"].astype(float).abs() for record in records], records[0].errors["n_atoms"]
    medians = {size: 1000 * np.median(np.mean(errors, axis=0)[sizes == size]) for size in (17, 18, 19)}
    said = " · ".join(f"{size}: {median:.0f}" for size, median in medians.items())
    assert set(table["Median absolute error by size (meV)"]) == {said}
    largest = structures.worst(records, qm9_molecules, lang="en", size=29, count=100)
    assert len(largest) == (sizes == 29).sum() < 100
    assert re.fullmatch(r"27: \d+ · 29: \d+", largest["Median absolute error by size (meV)"].iloc[0])


def test_only_molecules_that_every_record_holds_out_are_looked_at(records, qm9_molecules):
    worst = structures.worst(records, qm9_molecules, lang="en", count=1).index[0]
    less = records[1].errors[records[1].errors["index"] != int(worst)]
    others = [records[0], replace(records[1], errors=less)]
    assert worst not in structures.worst(others, qm9_molecules, lang="en", count=50).index
    none = replace(records[1], errors=records[1].errors.iloc[:0])
    with pytest.raises(ValueError, match="no molecule is held out in all of the 2 records"):
        structures.worst([records[0], none], qm9_molecules, lang="en")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 28}, "size = 28: no held-out molecule has that many atoms; there are some of 5–27 and 29 atoms"),
        ({"count": 0}, "count = 0: it must be at least 1"),
        ({"lang": "fr"}, "'fr'"),
    ],
)
@pytest.mark.parametrize("function", [structures.worst, structures.drawings, structures.viewer])
def test_what_is_missing_is_reported(function, settings, said, records, qm9_molecules):
    with pytest.raises(ValueError, match=said):
        function(records, qm9_molecules, **({"lang": "en"} | settings))
    with pytest.raises(ValueError, match="there is no record"):
        function([], qm9_molecules, lang="en")


def test_molecules_of_another_database_are_refused(records, few_molecules):
    with pytest.raises(ValueError, match="of the records is not among the molecules"):
        structures.worst(records, few_molecules, lang="en")


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own


@EACH_LANGUAGE
def test_the_drawing_has_each_molecule_with_its_caption(records, qm9_molecules, lang):
    table = structures.worst(records, qm9_molecules, lang=lang, size=18, count=6)
    drawn = structures.drawings(records, qm9_molecules, lang=lang, size=18, count=6)
    shown = texts(drawn.svg)
    for index, row in table.iterrows():
        place = shown.index(f"QM9 {index}")
        assert shown[place + 1] == row[say("Formula", lang)]
        assert shown[place + 2] == f"{row[say('Prediction − reference (meV)', lang)]} meV"
    root = ElementTree.fromstring(drawn.svg)  # noqa: S314 - our own
    assert [int(number) for number in root.attrib["viewBox"].split()[2:]] == [720, 2 * 218]  # four in a row
    assert len(root.findall(f"{SVG}path")) > 6 * 5
    assert drawn.svg.isascii()


def test_each_molecule_is_in_its_own_place_on_white(records, qm9_molecules):
    root = ElementTree.fromstring(structures.drawings(records, qm9_molecules, lang="en", count=6).svg)  # noqa: S314 - our own
    starts = [re.match(r"M ?([\d.]+)[ ,]([\d.]+)", path.attrib["d"]) for path in root.iter(f"{SVG}path")]
    places = {(float(start[1]) // 180, float(start[2]) // 218) for start in starts}
    assert places == {(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1)}
    (ground,) = root.findall(f"{SVG}rect")
    assert "fill:#FFFFFF" in ground.attrib["style"]
    assert (float(ground.attrib["width"]), float(ground.attrib["height"])) == (720, 2 * 218)


def test_the_drawing_is_the_same_bytes_each_time_and_says_itself_in_words(records, qm9_molecules):
    one, two = (structures.drawings(records, qm9_molecules, lang="en", count=4) for _ in "ab")
    assert one.svg == two.svg
    data, metadata = one._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/svg+xml"]["alt"] == one.alt
    assert data["image/svg+xml"] == one.picture() == two.picture()
    ElementTree.fromstring(one.picture())  # noqa: S314 - our own


def test_the_drawing_carries_the_error_of_each_molecule_in_each_seed(records, qm9_molecules):
    data = structures.drawings(records, qm9_molecules, lang="en", count=4).data
    assert data["run"].tolist() == [record.id for record in records for _ in range(4)]
    for record in records:
        errors = record.errors.set_index("index")["error"]
        of_run = data[data["run"] == record.id].set_index("index")
        np.testing.assert_allclose(of_run["error_eV"], errors.loc[of_run.index])


@EACH_LANGUAGE
def test_a_structure_that_is_not_read_leaves_its_place_empty_and_says_so(records, qm9_molecules, lang, capfd):
    worst = structures.worst(records, qm9_molecules, lang=lang, count=2).index.astype(int)
    smiles = qm9_molecules.smiles.copy()
    smiles[np.isin(qm9_molecules.index, worst)] = ["", "C1CC"]
    drawn = structures.drawings(records, replace(qm9_molecules, smiles=smiles), lang=lang, count=2)
    assert texts(drawn.svg).count(say("no drawing", lang)) == 2
    assert "SMILES Parse Error" not in capfd.readouterr().err


def test_the_viewer_holds_the_same_molecules_with_their_geometry(records, qm9_molecules):
    table = structures.worst(records, qm9_molecules, lang="en", size=10, count=3)
    shown = structures.viewer(records, qm9_molecules, lang="en", size=10, count=3)
    properties = json.loads(shown.value)["properties"]
    assert properties["QM9 index"]["values"] == [int(index) for index in table.index]
    absolute = properties["Mean absolute error (meV)"]["values"]
    assert [f"{value:,.0f}" for value in absolute] == table["Mean absolute error (meV)"].tolist()
    for index, found in zip(table.index, shown._structures_cache.values(), strict=True):
        (expected,) = to_ase(qm9_molecules.select(np.flatnonzero(qm9_molecules.index == int(index))))
        assert found["names"] == expected.get_chemical_symbols()
        np.testing.assert_array_equal(np.transpose([found[axis] for axis in "xyz"]), expected.positions)


# What anywidget does, as far as the viewer needs it.
PAGE = """<!doctype html><meta charset="utf-8"><div id="here"></div><script type="module">
import widget from "./widget.mjs";
const {state, structures} = await (await fetch("./state.json")).json();
const listeners = {};
const model = {
  get: (key) => state[key], set: (key, value) => { state[key] = value; }, save_changes() {}, off() {},
  on(event, call) { (listeners[event] ??= []).push(call); },
  send({requestId, data}) {
    const reply = {type: "load-structure-result", requestId, data, structure: structures[data]};
    setTimeout(() => (listeners["msg:custom"] ?? []).forEach((call) => call(reply, [])));
  },
};
const made = typeof widget === "function" ? await widget() : widget;
await made.initialize?.({model});
await made.render({model, el: document.getElementById("here")});
window.rendered = true;
</script>"""
DRAWN = """() => { const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ?
  all(one.shadowRoot) : [])]); return window.rendered && all(document).some((one) => one.tagName === "CANVAS"); }"""
OURS = "http://viewer.test/"


def test_the_viewer_asks_nothing_of_the_network(records, qm9_molecules):
    shown = structures.viewer(records, qm9_molecules, lang="en", count=2)
    names = ("mode", "value", "has_metadata", "settings", "warning_timeout", "selected_ids", "active_viewer")
    state = {"state": {name: getattr(shown, name) for name in names}, "structures": shown._structures_cache}
    files = {
        "": ("text/html", PAGE),
        "widget.mjs": ("text/javascript", shown._esm),
        "state.json": ("application/json", json.dumps(state)),
    }
    asked = []

    def answer(route):
        name = route.request.url.removeprefix(OURS)
        if name in files:
            route.fulfill(content_type=files[name][0], body=files[name][1])
        else:
            asked.append(route.request.url)
            route.abort()

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "no Chromium found: install it (on Debian: apt-get install chromium) and run this again"
    options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=options) as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.route("**/*", answer)
        page.goto(OURS)
        page.wait_for_function(DRAWN)
    assert asked == []


def test_a_chemiscope_that_reports_otherwise_is_refused(tmp_path):
    path = tmp_path / "widget.mjs"
    path.write_text("nothing known", encoding="utf-8")
    with pytest.raises(RuntimeError, match="reports views in a way not known here"):
        structures._without_report(path)


def test_the_viewer_is_loaded_only_when_asked_for():
    code = "import sys; from analysis.figures import structures; sys.exit('chemiscope' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
