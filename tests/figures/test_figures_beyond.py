from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of, each, only
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.evaluation import accuracy
from analysis.figures import beyond
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
FACTS = ("mae_after", "rmse_after", "worst_after", "minutes_of", "epochs_of")
FACTOR = 0.05  # Beyond's errors are taken to be so many times Default's


@pytest.fixture(scope="module")
def others(qm9_molecules) -> Arms[Record]:
    """Default and Custom."""
    return study.recorded(study.FinalComparisonParameters(), qm9_molecules)


def scaled(record: Record, config, factor: float, minutes: float) -> Record:
    """The record as if its run had been another one, with errors so many times as large."""
    errors = record.errors.assign(error=(record.errors["error"] * factor).astype(np.float32))
    seconds = record.about["seconds"] | {"training": 55 * minutes, "validation": 5 * minutes}
    return replace(record, config=config, errors=errors, about=record.about | {"seconds": seconds})


@pytest.fixture(scope="module")
def records(others, qm9_molecules) -> Arms[Record]:
    """All runs of the experiment, the longer the better."""

    def record(arm: Arm, config: RunConfig) -> Record:
        return scaled(others["default"][config.seed], config, FACTOR * (25 / arm.value) ** 0.5, 0.9 * arm.value)

    return arms_of(study.BeyondParameters(), qm9_molecules, record)


@pytest.fixture(scope="module")
def alone(records) -> Arms[Record]:
    """The main budget with one seed."""
    return only(records, lambda arm: arm == "minutes 25", seeds=1)


def test_the_main_budget_is_the_longest_of_all_seeds(records):
    for given in (records, Arms("beyond", dict(reversed(records.items())))):
        assert {record.config.training.epochs for record in beyond.main(given)} == {study.EPOCHS_OF_BUDGET[25]}
    assert [record.config.seed for record in beyond.main(records)] == [0, 1, 2, 3, 4]
    assert [record.config.seed for record in beyond.brief(records)] == [0, 1, 2, 3, 4]
    assert {record.config.training.epochs for record in beyond.brief(records)} == {study.EPOCHS_OF_BUDGET[5]}
    with pytest.raises(MissingArmError, match="the arm 'minutes', only of none: `python -m analysis run beyond`"):
        beyond.main(Arms("beyond", {}))


@EACH_LANGUAGE
def test_the_table_has_the_scores_of_each_seed(records, lang):
    table = beyond.summary(records, lang=lang)
    assert list(table.index) == ["0", "1", "2", "3", "4", ""]
    found = accuracy.scores(beyond.main(records)[1])
    written = [float(cell.replace(",", ".")) for cell in table.iloc[1, 1:]]
    assert written == pytest.approx([1000 * found.mae, 1000 * found.rmse, 1000 * found.worst, 22.5], abs=0.06)


@EACH_LANGUAGE
def test_the_facts_of_the_prose(records, alone, others, lang):
    found = beyond.facts(records, others, lang=lang)
    assert found.keys() == beyond.facts(alone, others, lang="en").keys()
    assert found["seeds"] == "5"
    assert found["times_default"] == "20"
    assert found["epochs"] == "55"
    of_one = beyond.facts(alone, others, lang=lang)
    assert of_one["seeds"] == "1"
    assert of_one["correlation"] == "–"
    known = accuracy.ensemble(beyond.main(records))
    assert float(found["correlation"].replace(",", ".")) == pytest.approx(known.rank_correlation(), abs=0.005)
    assert float(found["rmse_ensemble"].replace(",", ".")) == pytest.approx(
        1000 * np.sqrt(np.mean(known.error**2)), abs=0.06
    )


@EACH_LANGUAGE
def test_the_facts_of_the_budgets(records, alone, lang):
    found = beyond.budget_facts(records, lang=lang)
    assert found.keys() == {f"{key}_{b}" for b in study.EPOCHS_OF_BUDGET for key in FACTS}
    assert found["epochs_of_50"] == "110"
    assert found["minutes_of_10"].replace(",", ".") == "9.0"
    (fifty,) = records["minutes 50"]
    for measure in ("mae", "rmse", "worst"):
        expected = 1000 * getattr(accuracy.scores(fifty), measure)
        assert float(found[f"{measure}_after_50"].replace(",", ".")) == pytest.approx(expected, abs=0.06)
    assert beyond.budget_facts(alone, lang=lang).keys() == {f"{key}_25" for key in FACTS}


def test_a_demand_holds_only_if_every_seed_is_within_it(records, others, qm9_molecules):
    def held(given: Arms[Record]) -> list[str]:
        return beyond.demands(given, others, qm9_molecules, lang="en")["Met"].tolist()

    assert held(records) == ["yes", "yes", "yes", "yes"]
    slow = each(records, lambda r: scaled(r, r.config, 1, 26) if r.config.seed == 3 else r)
    assert held(slow)[:2] == ["no", "yes"]
    worse = each(records, lambda r: scaled(r, r.config, 1.4, 22) if r.config.seed == 3 else r)
    assert held(worse)[:2] == ["yes", "no"]
    bad = each(records, lambda r: scaled(r, r.config, 40, 22))
    assert held(bad) == ["no", "no", "no", "no"]


def test_a_demand_shows_the_shortest_training_that_meets_it(records, others, qm9_molecules):
    """And if none does, the best within the time."""

    def shown(given: Arms[Record]) -> list[str]:
        cells = beyond.demands(given, others, qm9_molecules, lang="en")["Measured"].tolist()[:2]
        return [cell.split(" in ")[-1] for cell in cells]

    better = each(records, lambda r: scaled(r, r.config, 0.7, beyond.minutes(r)))
    assert shown(better) == ["4.5 minutes at most", "22.5 minutes at most"]
    worse = each(records, lambda r: scaled(r, r.config, 3, beyond.minutes(r)))
    assert shown(worse) == ["22.5 minutes at most"] * 2


def test_a_size_at_which_intervals_touch_is_named(records, others, qm9_molecules):
    def poor_at_12(record: Record) -> Record:
        errors = record.errors.copy()
        errors.loc[errors["n_atoms"] == 12, "error"] *= np.float32(1 / FACTOR)
        return replace(record, errors=errors)

    worse = each(records, poor_at_12)
    assert beyond.not_better(worse, others, qm9_molecules, "size") == [12]
    assert "12" in beyond.demands(worse, others, qm9_molecules, lang="ca").iloc[2, 0]


@EACH_LANGUAGE
@pytest.mark.parametrize("name", ["error_by_size", "error_by_element", "budget", "calibration"])
def test_figures_are_readable_and_carry_their_data(records, others, qm9_molecules, name, lang):
    compared = name.startswith("error")
    figure = getattr(beyond, name)(records, *((others, qm9_molecules) if compared else ()), lang=lang)
    assert_readable(figure)
    data = figure.data
    assert {"run"} <= set(data)
    if compared:
        ours = data[data["series"] == "Beyond"].set_index("group")
        expected = accuracy.by_group(beyond.main(records), qm9_molecules, name.removeprefix("error_by_"))
        np.testing.assert_allclose(ours["mae_eV"], expected.loc[ours.index, "mae"])
    if name == "budget":
        ours = data[data["series"] == "Beyond"]
        assert len(ours) == len(records.runs)
        assert ours["minutes"].is_monotonic_increasing
        assert set(data["series"]) >= {"SchNet (2018)", "PaiNN (2021)", "HIP-NN (2018)", "EquiformerV2 (2024)"}
    if name == "calibration":
        worst = data[data["series"] == "worst"]
        assert worst["found"].iloc[[0, -1]].tolist() == [0, 1]
