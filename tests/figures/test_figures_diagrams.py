"""The two drawings of boxes and arrows: the network and the path of the data."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis import study
from analysis.data import splits
from analysis.figures import boxes, methodology, state_of_the_art_network, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs.config import Data, Model
from analysis.training import networks

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SVG = "{http://www.w3.org/2000/svg}"
CUSTOM = Model(n_atom_basis=38, data_cutoff=4.0, training_cutoff=5.0, n_interactions=2, n_rbf=25)


@pytest.fixture(scope="module")
def draw(qm9_molecules) -> dict[str, Callable[[str], style.Drawings]]:
    return {
        "architecture": lambda lang: state_of_the_art_network.diagram(Model(), qm9_molecules, lang=lang),
        "pipeline": lambda lang: methodology.diagram(Data(), qm9_molecules, lang=lang),
    }


def texts(drawing: style.Drawings) -> list[str]:
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]  # noqa: S314 - our own


# ---- the network


@pytest.mark.parametrize("model", [Model(), CUSTOM], ids=["default", "custom"])
def test_the_counts_of_a_part_are_those_of_its_parameters(model, few_molecules):
    found = state_of_the_art_network.parts(model, few_molecules)
    built = networks.build_from(model)
    modules = dict(built.named_modules())
    assert found.keys() == modules.keys()
    for path, part in found.items():
        assert part.parameters == sum(p.numel() for p in modules[path].parameters()), path


def test_the_network_drawn_is_the_one_in_the_record(qm9_molecules):
    record = study.recorded(study.BaselineParameters(), qm9_molecules)["default"][0]
    found = state_of_the_art_network.parts(record.config.model, qm9_molecules)
    weights = {path: value for path, value in record.state_dict().items() if re.search(r"(weight|bias)$", path)}
    assert sum(value.size for value in weights.values()) == found[""].parameters
    for path in ("representation.embedding", "output_modules.0", "representation.interactions.2.f2out.0"):
        own = sum(value.size for name, value in weights.items() if name.startswith(f"{path}."))
        assert own == found[path].parameters


def test_the_shapes_are_those_of_the_layers(few_molecules):
    found = state_of_the_art_network.parts(CUSTOM, few_molecules)
    block = "representation.interactions.1"
    expected = {
        "input_modules.0": ((), ("P", 3)),
        "representation.radial_basis": (("P",), ("P", 25)),
        "representation.cutoff_fn": (("P",), ("P",)),
        "representation.embedding": (("A",), ("A", 38)),
        f"{block}.filter_network.0": (("P", 25), ("P", 38)),
        f"{block}.in2f": (("A", 38), ("A", 38)),
        f"{block}.f2out": (("A", 38), ("A", 38)),
        "representation": ((), ("A", 38)),
        "output_modules.0.outnet.0": (("A", 38), ("A", 19)),
        "output_modules.0.outnet.1": (("A", 19), ("A", 1)),
        "output_modules.0": ((), ("M",)),
    }
    assert {path: (found[path].takes, found[path].gives) for path in expected} == expected
    assert [found[f"{block}.f2out.{n}"].activation for n in (0, 1)] == ["shifted_softplus", ""]
    assert found["output_modules.0.outnet.0"].activation == "silu"
    with pytest.raises(ValueError, match="2 molecules: shapes are found by comparing"):
        state_of_the_art_network.parts(CUSTOM, few_molecules.select(np.arange(2)))


@EACH_LANGUAGE
def test_the_drawing_has_every_count_and_shape(lang, few_molecules):
    found = state_of_the_art_network.parts(CUSTOM, few_molecules)
    said = " | ".join(texts(state_of_the_art_network.diagram(CUSTOM, few_molecules, lang=lang)))
    for path in ("", "representation", "representation.embedding", "output_modules.0"):
        assert style.number(found[path].parameters, lang) in said
    assert f"SchNetInteraction × 2 | {say('X: features {shape}', lang, shape='[A × 38]')}" in said
    block = found["representation.interactions.0"]
    assert f"2 × {style.number(block.parameters, lang)}" in said
    assert f"Dense | 25 → 38 | softplus | {25 * 38 + 38} |" in said
    assert f"Dense | 38 → 19 | SiLU | {38 * 19 + 19} |" in said


@EACH_LANGUAGE
def test_the_facts_of_the_network(lang, qm9_molecules):
    assert state_of_the_art_network.facts(Model(), qm9_molecules, lang=lang) == {
        "parameters": style.number(16_441, lang),
        "interactions": "3",
        "gaussians": "20",
        "features": "30",
        "rows": "100",
        "elements": "5",
        "unused": style.number(2_850, lang),
    }


# ---- the path of the data


@EACH_LANGUAGE
def test_the_path_has_the_numbers_of_the_split(lang, few_molecules):
    data, odd = Data(split_seed=3, held_out=0.4), few_molecules.select(np.arange(101))
    said = texts(methodology.diagram(data, odd, lang=lang))
    split = splits.split(odd, 3, 0.4)
    for name, members in (("Training", split.train), ("Validation", split.validation), ("Test", split.test)):
        place = said.index(say(name, lang))
        assert said[place + 1] == say("{count} molecules", lang, count=style.number(len(members), lang))
    assert {say("held-out molecules", lang), say("own mean", lang)} <= set(said)


# ---- both


@EACH_LANGUAGE
@pytest.mark.parametrize(
    ("name", "title"), [("architecture", "The model, module by module"), ("pipeline", "The path of the data")]
)
def test_a_drawing_says_what_it_is_and_stays_within_its_edges(name, title, lang, draw):
    drawing = draw[name](lang)
    assert drawing.svg == draw[name](lang).svg
    assert drawing.svg.isascii()
    root = ElementTree.fromstring(drawing.svg)  # noqa: S314 - our own
    assert root.attrib["role"] == "img"
    named = {element.attrib["id"]: element.text for element in root if "id" in element.attrib}
    assert named == {"title": say(title, lang), "desc": drawing.alt}
    assert root.attrib["aria-labelledby"].split() == list(named)
    data, metadata = drawing._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/svg+xml"]["alt"] == drawing.alt
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    for element in root.findall(f"{SVG}rect"):
        place = {key: float(element.attrib.get(key, 0)) for key in ("x", "y", "width", "height")}
        assert place["x"] >= 0
        assert place["y"] >= 0
        assert place["x"] + place["width"] <= width
        assert place["y"] + place["height"] <= height
    for element in root.iter(f"{SVG}text"):
        assert 0 < float(element.attrib["y"]) < height
        assert int(element.attrib["font-size"]) * 360 / width >= 8


@pytest.mark.parametrize("name", ["architecture", "pipeline"])
def test_the_two_languages_of_a_drawing_share_no_word_but_names(name, draw):
    words = [
        {word for text in texts(draw[name](lang)) for word in re.findall(r"[^\W\d_]{2,}", text)} for lang in LANGUAGES
    ]
    names = {"PairwiseDistances", "SchNet", "GaussianRBF", "CosineCutoff", "Embedding", "SchNetInteraction", "Atomwise"}
    names |= {"Dense", "softplus", "SiLU", "eV", "as", "reported", "held", "out", "QM", "U₀", "Rᵥ"}
    names |= {"vectors", "per", "experiment", "element", "Figures", "errors"}  # the same word in both
    assert words[0] & words[1] <= names


def test_words_wider_than_their_box_are_refused():
    canvas = boxes.Canvas("title")
    width = boxes.text_width("a word", boxes.LARGE, bold=True)
    assert canvas.box(0, 0, width + 17, ["a word"]).bottom > 0
    with pytest.raises(boxes.DoesNotFitError, match="'a word' is"):
        canvas.box(0, 0, width + 15, ["a word"])
    assert boxes.text_width("wider still", 16) > boxes.text_width("wide", 16) > boxes.text_width("wide", 12)


def test_a_frame_lies_under_what_it_holds():
    canvas = boxes.Canvas("title")
    inside = canvas.box(20, 50, 100, ["inside"])
    frame = canvas.frame(0, 0, 200, inside.bottom + 10, "frame", under=0)
    drawn = canvas.finish(300, "alt").svg
    assert drawn.index(">frame<") < drawn.index(">inside<")
    assert (frame.y, frame.bottom) == (0, inside.bottom + 10)


def test_markup_in_words_is_escaped():
    canvas = boxes.Canvas("a < b")
    canvas.text(100, 100, "x < y & z")
    assert texts(canvas.finish(200, "p > q")) == ["x < y & z"]
