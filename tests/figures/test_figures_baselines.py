"""What the baseline's page shows of methods other than networks: the record, figure, table and every claim in words."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text
from test_figures_state_of_the_art import assert_readable

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis import study
from analysis.evaluation import accuracy
from analysis.figures import beyond
from analysis.figures.words import LANGUAGES
from harness import baselines

ROOT = Path(__file__).resolve().parents[2]
EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def record():
    return baselines.read_record()


@pytest.fixture(scope="module")
def networks(qm9_molecules):
    return {
        "default": study.recorded(study.BaselineParameters(), qm9_molecules)["default"],
        "beyond": beyond.main(study.recorded(study.BeyondParameters(), qm9_molecules)),
    }


@pytest.fixture(scope="module")
def drawn(record, networks):
    return {lang: baselines.comparison(record, networks, lang=lang) for lang in LANGUAGES}


def test_the_record_is_whole_and_of_the_networks_split(record, networks):
    assert [(one.method, one.draw, one.molecules) for one in record.results] == [
        ("composition", 0, 104_664),
        ("pairs", 0, 104_664),
        *[("fchl19", draw, number) for draw in baselines.DRAWS for number in baselines.KERNEL_MOLECULES],
        ("xtb", 0, 0),
        ("xtb-corrected", 0, baselines.XTB_MOLECULES),
    ]
    assert {of.about["split_fingerprint"] for each in networks.values() for of in each} == {record.split_fingerprint}
    assert record.git.clean


def test_no_setting_that_was_chosen_is_the_last_of_those_tried(record):
    """Otherwise a better one may lie beyond; less regularisation than the least would change nothing."""
    for one in record.results:
        if one.method == "fchl19":
            assert min(baselines.WIDTHS) < one.chosen["width"] < max(baselines.WIDTHS)
            assert one.chosen["regularisation"] < max(baselines.REGULARISATIONS)
        if one.method == "pairs":
            assert min(baselines.PENALTIES) < one.chosen["penalty"] < max(baselines.PENALTIES)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "damaged or of another version: the file: "),
        (lambda text: text.replace('"mae"', '"mean"', 1), r"damaged .*: results\.0\.mae: Field required"),
        (lambda text: text.replace('"tested": 1000', '"tested": 0'), "tested: Input should be greater than 0"),
    ],
)
def test_a_damaged_record_is_refused_in_a_line_that_names_the_file(damage, says, record, tmp_path):
    path = tmp_path / "baselines.json"
    path.write_text(damage(record.model_dump_json(indent=1)), encoding="utf-8")
    with pytest.raises(baselines.BaselinesError, match=says) as raised:
        baselines.read_record(path)
    assert str(raised.value).startswith(str(path))
    assert str(raised.value).endswith("restore it, or run `python -m harness.baselines` again")
    assert "\n" not in str(raised.value)


def test_a_missing_record_says_how_to_make_one(tmp_path):
    with pytest.raises(baselines.BaselinesError, match=r"b\.json is missing: run `python -m harness\.baselines` to"):
        baselines.read_record(tmp_path / "b.json")


def test_networks_and_methods_are_compared_by_the_same_measures(record, networks):
    data = baselines.compared(record, networks)
    for one, (_, row) in zip(record.results, data.iterrows(), strict=False):
        assert row["mae_meV"] == pytest.approx(1e3 * one.mae)
        assert row["run"] == ""
    for network in (of for of_model in networks.values() for of in of_model):
        (row,) = (row for _, row in data.iterrows() if row["run"] == network.id)
        assert row["mae_meV"] == pytest.approx(1e3 * accuracy.scores(network).mae)
        assert row["rmse_meV"] == pytest.approx(1e3 * accuracy.scores(network).rmse)
        assert (row["draw_or_seed"], row["test_molecules"]) == (network.config.seed, 13_084)


def test_the_figure_and_its_data_have_every_method_that_learns(drawn, record, networks):
    whole = baselines.compared(record, networks)
    read = pd.read_csv(io.StringIO(drawn["en"].csv()), keep_default_na=False)
    assert len(read) == len(whole) - 1
    assert set(whole["method"]) - set(read["method"]) == {"xtb"}
    (axes,) = drawn["en"].axes
    points = {tuple(point) for line in axes.lines if line.get_linestyle() == "None" for point in line.get_xydata()}
    assert points == set(whole.query("training_molecules > 0")[["training_molecules", "mae_meV"]].itertuples(index=0))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@EACH_LANGUAGE
def test_the_figures_names_are_readable_and_apart(drawn, lang):
    drawn[lang].png()
    assert_readable(drawn[lang])
    (axes,) = drawn[lang].axes
    boxes = [text.get_window_extent() for text in axes.findobj(Annotation)]
    assert len(boxes) == 6
    assert all(axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1 for box in boxes)
    assert not [1 for i, one in enumerate(boxes) for other in boxes[:i] if one.overlaps(other)]
    points = np.concatenate([axes.transData.transform(line.get_xydata()) for line in axes.lines])
    assert not [1 for box in boxes for x, y in points if box.contains(x, y)]


def test_the_two_languages_say_it_in_words_of_their_own_and_have_the_same_data(drawn):
    catalan, english = (
        {word for text in drawn[lang].findobj(Text) for word in re.findall(r"[^\W\d_]{3,}", text.get_text())}
        for lang in LANGUAGES
    )
    assert catalan & english == {"Default", "Beyond", "FCHL", "GFN", "xTB", "element", "per", "meV"}
    assert drawn["ca"].csv() == drawn["en"].csv()


@EACH_LANGUAGE
def test_the_table_has_a_row_for_each_with_its_most_molecules(record, networks, lang):
    table = baselines.table(record, networks, lang=lang)
    assert len(table) == 7
    assert table.map(lambda cell: isinstance(cell, str)).all(axis=None)
    most = [one.mae for one in record.results if one.molecules == 4000]
    deviation = np.std(most, ddof=1)
    assert table.iloc[2, 1] == f"{1e3 * np.mean(most):.0f} ± {1e3 * deviation:.0f}"
    assert table.index[2].endswith("FCHL19")


def test_the_number_of_molecules_that_is_as_good_as_default_lies_on_a_line_between_two(record, networks):
    halved = {250: 400.0, 500: 200.0, 1000: 100.0, 2000: 50.0, 4000: 25.0}  # a line on log scales
    results = tuple(
        one.model_copy(update={"mae": halved[one.molecules] / 1e3}) if one.method == "fchl19" else one
        for one in record.results
    )
    default = np.mean([1e3 * accuracy.scores(of).mae for of in networks["default"]])
    facts = baselines.facts(record.model_copy(update={"results": results}), networks, lang="en")
    assert facts["baseline_as_default"] == f"{float(f'{250 * 400 / default:.2g}'):,.0f}"
    assert facts["baseline_share"] == f"{float(f'{104_664 * default / 250 / 400:.2g}'):,.0f}"


@EACH_LANGUAGE
def test_the_page_shows_figure_and_table_and_quotes_facts_alone(record, networks, lang):
    text = (ROOT / "book" / lang / "baseline.md").read_text(encoding="utf-8")
    quoted = set(re.findall(rf"\{{glue:text\}}`{lang}-(baseline_\w+)`", text))
    facts = baselines.facts(record, networks, lang=lang)
    assert quoted <= set(facts)
    assert len(quoted) > 10
    for function in ("comparison", "table"):
        assert f'baselines.{function}(compared, networks, lang="{lang}")' in text


def test_what_the_page_says_in_words_holds(record, networks):
    mae = baselines.compared(record, networks).groupby(["method", "training_molecules"])["mae_meV"].mean()
    default, pairs, composition = (mae[name].iloc[0] for name in ("default", "pairs", "composition"))
    corrected = mae["xtb-corrected"].iloc[0]
    assert mae["fchl19"][250] > default > mae["fchl19"][4000]  # the number as good as Default lies between two
    assert default < pairs < 2 * default  # "ahead of …, but not by far"
    assert mae["beyond"].iloc[0] < default / 10  # "a long way"
    assert 0.5 < corrected / composition < 0.6  # "little more than half of what composition alone leaves"
    assert corrected > 2 * pairs  # "more than twice as much"
    assert mae["xtb"].iloc[0] > 10 * composition
