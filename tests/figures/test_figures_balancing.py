from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import arms_of, only

from analysis import study
from analysis.figures import balancing, baseline, groups
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

KINDS = ("capped set", "as many molecules, at random", "capped, as many updates as the baseline")
EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
CAPS = [2000, 6000]


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """The baseline's, and as if caps had brought every size's error nearer to 0.1 eV² and controls changed nothing."""
    whole = study.recorded(study.BaselineParameters(), qm9_molecules)["default"]

    def record(arm: Arm, config: RunConfig) -> Record:
        even = whole[config.seed].groups.copy()
        if arm.role == "cap" and not (arm.random or arm.same_updates):
            even["sum_ee"] = (
                0.1 * even["molecules"] * (even["sum_ee"] / even["molecules"] / 0.1) ** (arm.value / 10_000)
            )
        return replace(whole[config.seed], config=config, groups=even)

    return arms_of(study.BalancingParameters(caps=CAPS), qm9_molecules, record)


def test_each_cap_has_its_kinds_and_each_kind_its_seeds(records):
    caps = balancing.by_cap(records, lang="en")
    assert list(caps) == CAPS
    for kinds in caps.values():
        assert list(kinds) == list(balancing.KINDS)
        assert all([record.config.seed for record in group.records] == [0, 1, 2] for group in kinds.values())
        assert all(record.config.training.epochs > 30 for record in kinds["same_updates"].records)
    assert caps[2000]["capped"].name == "at most 2,000 per size"


def test_an_arm_that_is_missing_is_named(records):
    plain = only(records, lambda arm: not (arm.random or arm.same_updates))
    assert list(balancing.by_cap(plain, lang="en")[2000]) == ["capped"]
    controls = only(records, lambda arm: arm.random)
    with pytest.raises(MissingArmError, match="no record of the arm 'cap 2000', only of cap 2000, random control"):
        balancing.by_cap(controls, lang="en")
    with pytest.raises(MissingArmError, match=r"the arm 'default'.*: `python -m analysis run balancing` trains"):
        balancing.summary(only(records, lambda arm: arm.role == "cap"), lang="en")


def test_longer_runs_alone_are_not_taken_for_the_capped_ones(records):
    """They were, by their number of epochs, and the facts asked for an arm that nobody had recorded."""
    longer = only(records, lambda arm: arm.same_updates or arm == "default")
    with pytest.raises(MissingArmError, match="no record of the arm 'cap 2000', only of"):
        balancing.by_cap(longer, lang="en")
    without = only(records, lambda arm: not arm.same_updates)
    with pytest.raises(MissingArmError, match="no record of the arm 'cap 2000, same updates'"):
        balancing.facts(without, lang="en")


def test_the_spread_is_the_deviation_of_the_logarithms(records):
    whole = groups.of_baseline(records, lang="en")
    for record, spread in zip(whole.records, groups.spread(whole.records, "held_out"), strict=True):
        table = protocols.mse(record.groups, "size").loc[10:25, "held_out"]
        assert spread == pytest.approx(np.std(np.log10(table)))
    capped = balancing.by_cap(records, lang="en")[2000]["capped"]
    ratio = np.array(groups.spread(capped.records, "held_out")) / groups.spread(whole.records, "held_out")
    np.testing.assert_allclose(ratio, 0.2)


def test_the_table_and_the_facts(records):
    table = balancing.summary(records, lang="en")
    assert len(table) == 1 + 3 * len(CAPS)
    assert int(table.loc["at most 2,000, same updates", "Epochs"]) > 30
    assert table["Spread, held out"].iloc[0] == table["Spread, held out"].iloc[2]
    ca, en = (balancing.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert en["cap"] == "2,000"
    assert en["spread_held_out_random_same"] == en["spread_held_out_whole"] != en["spread_held_out_capped"]


@EACH_LANGUAGE
def test_the_figures(records, lang):
    by_size = balancing.error_by_size(records, lang=lang)
    assert [len(axes.get_lines()) for axes in by_size.axes] == [5, 5]
    assert [line.get_linestyle() for line in by_size.axes[0].get_lines()] == ["-", "-", "-", "--", ":"]
    figure = balancing.unevenness(records, lang=lang)
    for axes in figure.axes:
        mean, *kinds = axes.get_lines()
        assert mean.get_label() == say("the whole training part", lang)
        assert [len(line.get_xdata()) for line in kinds] == [3 * len(CAPS)] * 3
        assert [line.get_label() for line in kinds] == [say(name, lang) for name in KINDS]
    held_out, _ = figure.axes
    assert figure.data["cap_per_size"].isna().sum() == 3  # the baseline's runs
    drawn = [value for line in held_out.get_lines()[1:] for value in line.get_ydata()]
    assert sorted(figure.data["spread_held_out"].iloc[3:]) == sorted(drawn)


# ---- the recorded runs


@pytest.fixture(scope="module")
def recorded(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.BalancingParameters(), qm9_molecules)


@EACH_LANGUAGE
def test_the_histograms_show_each_size_up_to_the_cap(recorded, lang):
    figure = balancing.capped_sizes(recorded, lang=lang)
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    table = recorded["default"][0].groups.query("kind == 'size' and part == 'train'")
    whole = table.set_index(table["group"].astype(int))["molecules"].sort_index().tolist()
    assert sum(whole) == 104_664
    for cap, bars in zip((2000, 4000, 6000), heights, strict=True):
        assert bars == [*whole, *(min(count, cap) for count in whole if count)]


def test_what_the_page_says_of_the_cost_holds_in_the_records(recorded):
    """Fewer molecules cost little, fewer updates much, and capping as much as drawing at random."""
    caps = balancing.by_cap(recorded, lang="en")
    whole = np.mean(baseline.general(groups.of_baseline(recorded, lang="en").records))
    capped, drawn, longer = (np.mean(baseline.general(caps[2000][kind].records)) for kind in balancing.KINDS)
    assert capped > 2 * whole
    assert drawn == pytest.approx(capped, rel=0.15)
    assert whole < longer < 1.15 * whole


def test_what_the_page_says_of_the_balance_holds_in_the_records(recorded):
    facts = balancing.facts(recorded, lang="en")
    caps = balancing.by_cap(recorded, lang="en")
    spreads = {
        cap: [np.mean(groups.spread(kinds[kind].records, "held_out")) for kind in ("capped", "random_same")]
        for cap, kinds in caps.items()
    }
    assert facts["more_even"] == "2,000"
    assert [cap for cap, (capped, drawn) in spreads.items() if capped < drawn] == [2000]
    whole = np.mean(groups.spread(groups.of_baseline(recorded, lang="en").records, "held_out"))
    assert all(capped > whole for capped, _ in spreads.values())
    assert facts["better_random_same_held_out"] == "is better at sizes 10–13"
    for kinds in caps.values():  # the error falls with size, whatever the distribution
        means = pd.concat([protocols.mse(r.groups, "size")["held_out"] for r in kinds["capped"].records], axis=1).mean(
            axis=1
        )
        assert means.loc[10:13].min() > means.loc[23:25].max()


def test_what_the_page_says_of_the_report_holds_in_the_records(recorded):
    """The cap helps on the side of the small molecules, under the own means alone: they are nearer."""
    facts = balancing.facts(recorded, lang="en")
    assert facts["better_whole_held_out"] == "is better at no size"
    assert facts["better_whole_as_reported"] == "is better at sizes 10–17"
    assert facts["better_longer_held_out"] == "is better at sizes 10–14 and 22–25"
    whole = groups.of_baseline(recorded, lang="en").records[0]
    capped = balancing.by_cap(recorded, lang="en")[2000]["capped"].records[0]
    shift = [
        record.groups[record.groups["kind"] == "size"].drop_duplicates("group").set_index("group")["shift"].abs()
        for record in (whole, capped)
    ]
    assert all(shift[1][str(size)] < shift[0][str(size)] for size in range(10, 18))
    assert all(shift[1][str(size)] > shift[0][str(size)] for size in range(19, 26))
