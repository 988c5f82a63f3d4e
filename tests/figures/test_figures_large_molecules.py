from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of, only
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.figures import large_molecules
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
NAMES = ["none", "directed", "fine_tuned_10", "fine_tuned_26", "per_atom_2", "inverse_frequency_1", "size_10"]
NAMES += ["size_frequency_10", "stratified"]
# By how much each remedy is taken to multiply the squared errors: up to 17 atoms and above.
FACTORS = dict.fromkeys(NAMES[1:], (1.2, 1.1)) | {"directed": (2.0, 0.9), "per_atom_2": (0.5, 2.0)}


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """Every run of the study, as if the remedies had multiplied the baseline's squared errors by FACTORS."""
    whole = study.recorded(study.BaselineParameters(), qm9_molecules)["default"]

    def record(arm: Arm, config: RunConfig) -> Record:
        factors = FACTORS.get(large_molecules._key(arm, config), (1, 1))
        groups = whole[config.seed].groups.copy()
        sizes = groups["group"].where(groups["kind"] == "size", "0").astype(int)
        groups.loc[sizes.between(1, 17), "sum_ee"] *= factors[0]
        groups.loc[sizes > 17, "sum_ee"] *= factors[1]
        return replace(whole[config.seed], config=config, groups=groups)

    return arms_of(study.LargeMoleculesParameters(), qm9_molecules, record)


def test_every_remedy_is_told_apart_and_has_all_seeds(records):
    found = large_molecules.by_remedy(records, lang="en")
    assert list(found) == NAMES
    assert all([record.config.seed for record in group.records] == [0, 1, 2] for group in found.values())
    assert len({(group.colour, group.marker) for group in found.values()}) == len(found)
    assert len({group.name for group in found.values()}) == len(found)
    assert found["directed"].name == "only those of more than 17 atoms"
    assert found["fine_tuned_26"].name == "15 epochs on all, 26 on the large ones"


def test_without_the_baseline_there_is_nothing_to_compare(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'default', only of more than 17, same updates"):
        large_molecules.by_remedy(only(records, lambda arm: arm != "default"), lang="en")


def test_the_ratios_are_those_to_the_baseline_of_the_same_seed(records):
    found = large_molecules.by_remedy(records, lang="en")
    for name, factors in FACTORS.items():
        for (mean, low, high), factor in zip(large_molecules.ratio(found[name], found["none"]), factors, strict=True):
            np.testing.assert_allclose([mean, low, high], factor)
    # From here on the seeds differ: 1, 2 and 4 times the baseline's error, with a mean of 2 on the logarithms.
    spread = [
        replace(record, groups=record.groups.assign(sum_ee=record.groups["sum_ee"] * 2.0**seed))
        for seed, record in enumerate(found["none"].records)
    ]
    for mean, low, high in large_molecules.ratio(replace(found["none"], records=spread), found["none"]):
        assert mean == pytest.approx(2)
        assert np.log(high / mean) == pytest.approx(np.log(mean / low))
        assert np.log(high / mean) == pytest.approx(4.302653 * np.log(2) / np.sqrt(3), rel=1e-5)  # t with 2 degrees
    (_, low, high), _ = large_molecules.ratio(replace(found["none"], records=spread[:1]), found["none"])
    assert (low, high) == (0, np.inf)


def test_the_table_and_the_facts_say_who_helped_and_who_hurt(records):
    table = large_molecules.summary(records, lang="en")
    assert table.index.tolist() == [group.name for group in large_molecules.by_remedy(records, lang="en").values()]
    assert table["Ratio, up to 17"].iloc[:2].tolist() == ["1", "2.00 (2.00 – 2.00)"]
    assert table["Ratio, more than 17"].iloc[1] == "0.90 (0.90 – 0.90)"
    ca, en = (large_molecules.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert en["helped"] == "one interval of the last column lies below 1 as a whole (only those of more than 17 atoms)"
    assert "loss per atom" not in en["hurt"]
    assert en["hurt"].count(";") == len(NAMES) - 3
    assert (ca["ratio_up_to_directed"], en["ratio_above_per_atom_2"]) == ("2,00", "2.00")


def test_the_ends_of_a_wide_interval_are_only_said_to_be_far():
    assert large_molecules._interval_in_words((5.294, 0.0063, 4454.4), "ca") == "5,29 (< 0,01 – > 100)"
    assert large_molecules._interval_in_words((2.0, 0.0, np.inf), "en") == "2.00 (0.00 – ∞)"


def test_the_front_holds_those_that_no_other_beats():
    errors = {"a": (1.0, 5.0), "b": (2.0, 2.0), "worse": (3.0, 2.0), "c": (4.0, 1.0), "worst": (9.0, 9.0)}
    assert large_molecules.pareto({key: np.array(pair) for key, pair in errors.items()}) == ["a", "b", "c"]
    tie = {"a": np.array([1.0, 1.0]), "b": np.array([1.0, 1.0])}
    assert large_molecules.pareto(tie) == ["a", "b"]


@EACH_LANGUAGE
def test_the_figure_has_a_point_per_remedy_and_readable_words_within_it(records, lang):
    figure = large_molecules.trade_off(records, lang=lang)
    (axes,) = figure.axes
    found = large_molecules.by_remedy(records, lang=lang)
    points = [tuple(container[0].get_xydata()[0]) for container in axes.containers]
    for point, group in zip(points, found.values(), strict=True):
        np.testing.assert_allclose(point, large_molecules._both_sides(group).mean(axis=1))
    front = axes.get_lines()[0].get_xydata()
    np.testing.assert_allclose(front, [points[NAMES.index(key)] for key in ("per_atom_2", "none", "directed")])
    assert len(figure.data) == len(records.runs)
    assert figure.png() == large_molecules.trade_off(records, lang=lang).png()
    assert_readable(figure)


# ---- what the page says of the real records


@pytest.fixture(scope="module")
def recorded(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.LargeMoleculesParameters(), qm9_molecules)


def test_what_the_page_says_of_the_remedies_holds_in_the_records(recorded):
    found = large_molecules.by_remedy(recorded, lang="en")
    assert list(found) == NAMES
    rest, large = (
        {name: large_molecules.ratio(group, found["none"])[side] for name, group in found.items() if name != "none"}
        for side in (0, 1)
    )
    # Nothing helps for certain; the longer fine-tuning most, large molecules alone less and at a higher price.
    assert not [name for name, (_, _, high) in large.items() if high < 1]
    assert min(large, key=lambda name: large[name][0]) == "fine_tuned_26"
    assert large["fine_tuned_26"][0] < large["directed"][0] < 1
    assert rest["directed"][0] > rest["fine_tuned_26"][0] > 1
    # Three hurt those that they favour, the inverse frequency most and least alike from seed to seed.
    hurt = ["inverse_frequency_1", "size_10", "stratified"]
    assert sorted(name for name, (mean, _, _) in large.items() if mean > 1.3) == hurt
    assert max(large, key=lambda name: large[name][0]) == "inverse_frequency_1"
    widths = {name: np.log(high / low) for name, (_, low, high) in large.items()}
    assert max(widths, key=widths.get) == "inverse_frequency_1"
    assert all(rest[name][0] > 1.3 for name in hurt)
    for side in (rest, large):
        assert 1 < side["size_frequency_10"][0] < side["size_10"][0]
    # The loss per atom costs the others nothing, and what it does to the large ones can't be told.
    assert rest["per_atom_2"][0] < 1
    assert [name for name, (mean, _, _) in rest.items() if mean < 1] == ["per_atom_2"]
    assert large["per_atom_2"][1] < 1 < large["per_atom_2"][2]
    errors = {name: large_molecules._both_sides(group).mean(axis=1) for name, group in found.items()}
    assert large_molecules.pareto(errors) == ["per_atom_2", "none", "fine_tuned_26"]
    rest_of_baseline, large_of_baseline = errors["none"]
    assert large_of_baseline < 0.8 * rest_of_baseline
