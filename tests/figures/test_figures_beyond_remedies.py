from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of, only
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.data import descriptors
from analysis.evaluation import accuracy
from analysis.figures import beyond_remedies
from analysis.figures.words import LANGUAGES, say
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SEEDS = [0, 1, 2]
# By how much each remedy is taken to multiply the errors: up to 17 atoms, and above.
FACTORS = {"none": (1, 1), "size_10": (1.5, 0.8), "per_atom_2": (0.9, 1.2), "cap_4000": (2, 2), "fine_tuned": (1.1, 1)}


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """Every run, as if the remedies had multiplied the baseline's errors by FACTORS, a little more in later seeds."""
    whole = study.recorded(study.BaselineParameters(seeds=SEEDS), qm9_molecules)["default"]

    def record(arm: Arm, config: RunConfig) -> Record:
        errors = whole[config.seed].errors
        small, large = FACTORS[beyond_remedies._key(arm)]
        factors = np.where(errors["n_atoms"] > 17, large, small) ** (1 + 0.02 * config.seed)
        errors = errors.assign(error=(errors["error"] * factors).astype(np.float32))
        return replace(whole[config.seed], config=config, errors=errors)

    return arms_of(study.BeyondRemediesParameters(seeds=SEEDS), qm9_molecules, record)


def test_every_remedy_is_told_apart_and_has_all_seeds(records):
    found = beyond_remedies.by_remedy(records, lang="en")
    assert list(found) == list(FACTORS)
    assert all([record.config.seed for record in group.records] == SEEDS for group in found.values())
    names = [group.name for group in found.values()]
    assert names == [
        "Beyond",
        "size weight, r = 10",
        "loss per atom, N⁻²",
        "at most 4,000 of each size",
        "fine-tuned, 3 rings or more",
    ]


def test_without_the_plain_model_there_is_nothing_to_compare(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'plain', only of size 10; per-atom 2; cap 4000"):
        beyond_remedies.by_remedy(only(records, lambda arm: arm != "plain"), lang="en")


def test_the_groups_are_those_of_the_test_molecules(records, qm9_molecules):
    inside = beyond_remedies.members(records["plain"][0], qm9_molecules)
    of_test = records["plain"][0].errors[records["plain"][0].errors["test"]]
    assert inside["all"].sum() == len(of_test)
    np.testing.assert_array_equal(inside["above"], of_test["n_atoms"] > 17)
    np.testing.assert_array_equal(inside["up_to"], ~inside["above"])
    by_index = dict(zip(qm9_molecules.index, descriptors.ring_counts(qm9_molecules), strict=True))
    np.testing.assert_array_equal(inside["rings"], [by_index[index] >= 3 for index in of_test["index"]])


def test_the_ratio_is_that_to_the_plain_model_of_the_same_seed(records, qm9_molecules):
    found = beyond_remedies.by_remedy(records, lang="en")
    inside = beyond_remedies.members(records["plain"][0], qm9_molecules)
    value, low, high = beyond_remedies.ratio(found["size_10"], found["none"], inside["above"])
    assert value == pytest.approx(0.8**1.02, rel=1e-5)
    assert low < value < high < 1
    alone = replace(found["size_10"], records=found["size_10"].records[:1])
    value, low, high = beyond_remedies.ratio(alone, found["none"], inside["above"])
    assert value == pytest.approx(0.8, rel=1e-5)
    assert (low, high) == (0, np.inf)


@EACH_LANGUAGE
def test_the_table_has_the_errors_of_each_group(records, qm9_molecules, lang):
    table = beyond_remedies.summary(records, qm9_molecules, lang=lang)
    assert len(table) == len(FACTORS)
    of_seeds = [1000 * np.abs(accuracy.test_errors([record])).mean() for record in records["plain"]]
    assert float(table.iloc[0, 0].partition(" ± ")[0].replace(",", ".")) == pytest.approx(np.mean(of_seeds), abs=0.06)


@EACH_LANGUAGE
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_is_readable_and_carries_its_data(records, qm9_molecules, lang, seeds):
    shown = only(records, lambda _: True, seeds=seeds)
    figure = beyond_remedies.ratios(shown, qm9_molecules, lang=lang)
    assert_readable(figure)
    data = figure.data
    assert len(data) == 4 * (len(FACTORS) - 1)
    first = data[data["group"] == "above"].iloc[0]
    assert first["ratio"] == pytest.approx(0.8 if seeds == 1 else 0.8**1.02, rel=1e-5)
    plain = beyond_remedies.by_remedy(shown, lang=lang)["none"].records
    assert first["run"].split() == [record.id for record in (*shown["size 10"], *plain)]


@EACH_LANGUAGE
def test_the_facts_of_the_prose(records, qm9_molecules, lang):
    found = beyond_remedies.facts(records, qm9_molecules, lang=lang)
    assert found.keys() == beyond_remedies.facts(records, qm9_molecules, lang="en").keys()
    assert found["remedies_seeds"] == "3"
    assert found["remedies_epochs"] == str(study.EPOCHS_OF_BUDGET[5])
    assert found["remedy_above_size_10"].replace(",", ".") == "0.80"
    names = {key: group.name for key, group in beyond_remedies.by_remedy(records, lang=lang).items()}
    lowers, raise_it = "one remedy clearly lowers the error ({remedies})", "some clearly raise it ({remedies})"
    assert found["remedies_helped_above"] == say(lowers, lang, remedies=names["size_10"])
    assert found["remedies_helped_up_to"] == say(lowers, lang, remedies=names["per_atom_2"])
    both = "; ".join((names["per_atom_2"], names["cap_4000"]))
    assert found["remedies_hurt_above"] == say(raise_it, lang, remedies=both)
