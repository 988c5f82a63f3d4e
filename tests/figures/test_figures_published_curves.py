"""The errors that others published for several numbers of training molecules."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.figures import published, published_curves
from analysis.figures.words import LANGUAGES

ROOT = Path(__file__).resolve().parents[2]


def test_points_have_a_source_that_is_in_the_bibliography():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    for name, point in published_curves.POINTS.items():
        assert {point.source, point.read_in} - {None} <= entries.keys(), name
        assert re.search(rf"year\s*=\s*\{{{point.year}\}}", entries[point.source]), name
        assert name.endswith(f"_{point.molecules}"), name


def test_of_each_model_more_molecules_give_a_smaller_error():
    points = list(published_curves.POINTS.values())
    assert [point.year for point in points] == sorted(point.year for point in points)
    for model in {point.model for point in points}:
        own = [point for point in points if point.model == model]
        for fewer, more in pairwise(own):
            assert fewer.molecules < more.molecules
            assert fewer.mae > more.mae


def test_errors_are_in_mev_whatever_the_unit_of_the_text():
    points = published_curves.POINTS
    assert points["hip_nn_110426"].mae == pytest.approx(0.256 * published.CHEMICAL_ACCURACY)
    assert points["schnet_50000"].mae == pytest.approx(0.59 * published.CHEMICAL_ACCURACY, rel=2e-3)  # as in Schutt2017
    assert points["schnet_110462"].mae == pytest.approx(0.31 * published.CHEMICAL_ACCURACY, rel=5e-3)
    assert points["dtnn_50000"].mae == pytest.approx(40.8, abs=0.05)  # Lu2019 gives it in eV


def test_the_facts_of_the_page():
    ca, en = (published_curves.facts(lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (en["schnet_50000"], en["schnet_110462"], en["dtnn_50000"]) == ("26", "13", "41")
    assert (ca["hip_nn_110426_epochs"], en["hip_nn_110426_epochs"]) == ("1.000–2.000", "1,000–2,000")
    assert (en["hip_nn_110426_hours"], en["enn_s2s_110462_epochs"]) == ("17–33", "540")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_the_page_says_of_data_holds(lang):
    points = published_curves.POINTS
    page = (ROOT / "book" / lang / "state-of-the-art.md").read_text(encoding="utf-8")
    shown = set(re.findall(rf"\{{glue:text\}}`{lang}-curve_(\w+)`", page))
    assert shown <= published_curves.facts(lang=lang).keys()
    assert {"schnet_50000", "schnet_100000", "schnet_110462"} <= shown
    # "would still be far below ours", which does not come to chemical accuracy
    assert points["schnet_50000"].mae < 0.7 * published.CHEMICAL_ACCURACY
