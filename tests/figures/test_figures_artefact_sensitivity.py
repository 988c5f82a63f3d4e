from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of, only
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.figures import artefact_sensitivity, baseline, groups
from analysis.figures.words import LANGUAGES
from analysis.runs import protocols
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
# By how much another split or other offsets are taken to multiply the squared errors of both models.
FACTORS = {"split_0": 1.0, "split_1": 1.5, "split_2": 0.8, "least-squares": 0.7, "none": 1e6}


@pytest.fixture(scope="module")
def recorded(qm9_molecules) -> Arms[Record]:
    """Default's and Custom's records."""
    return study.recorded(study.FinalComparisonParameters(), qm9_molecules)


@pytest.fixture(scope="module")
def records(recorded, qm9_molecules) -> Arms[Record]:
    """Every run of the study, as if splits and offsets had multiplied squared errors by FACTORS."""

    def record(arm: Arm, config: RunConfig) -> Record:
        found = recorded[arm.role][config.seed]
        groups = found.groups.assign(sum_ee=found.groups["sum_ee"] * FACTORS[artefact_sensitivity._variant(arm)])
        return replace(found, config=config, groups=groups)

    return arms_of(study.SensitivityParameters(), qm9_molecules, record)


def test_every_variant_is_told_apart_and_has_both_models_but_for_one(records):
    found = artefact_sensitivity.by_variant(records, lang="en")
    assert list(found) == list(FACTORS)
    assert [list(models) for models in found.values()] == [["default", "custom"]] * 4 + [["default"]]
    for models in found.values():
        assert len({(group.name, group.colour, group.marker) for group in models.values()}) == 1
        assert all([r.config.seed for r in group.records] == [0, 1, 2] for group in models.values())
    assert len({models["default"].colour for models in found.values()}) == len(found)
    assert [models["default"].name for models in found.values()] == [
        "split 0",
        "split 1",
        "split 2",
        "least squares",
        "nothing subtracted",
    ]


def test_without_the_report_s_own_there_is_nothing_to_compare(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'default', only of custom; default split 1"):
        artefact_sensitivity.by_variant(only(records, lambda arm: arm != "default"), lang="en")


def test_the_table_has_the_errors_on_both_sides_and_who_wins(records, recorded):
    table = artefact_sensitivity.summary(records, lang="en")
    squared = []
    for seed in (0, 1, 2):
        atoms = recorded["default"][seed].errors["n_atoms"].to_numpy()
        squared.append(np.mean(recorded["default"][seed].errors["error"].to_numpy(float)[atoms <= 17] ** 2))
    expected = np.array([np.mean(squared) * factor for factor in FACTORS.values()])
    cells = [float(cell.split()[0].replace(",", "")) for cell in table["Default, up to 17 atoms (eV²)"]]
    np.testing.assert_allclose(cells[:4], expected[:4], atol=1e-3)
    assert cells[4] == pytest.approx(expected[4], abs=1)
    assert table["Custom, more than 17 atoms (eV²)"].iloc[-1] == "–"
    assert table["Custom better, held-out molecules"].tolist() == ["none"] * 4 + ["–"]


def test_the_facts_of_the_prose(records):
    ca, en = (artefact_sensitivity.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    shown = artefact_sensitivity.by_variant(records, lang="en")
    means = [np.mean(baseline.general(shown[f"split_{n}"]["default"].records)) for n in (0, 1, 2)]
    assert en["between_splits"] == f"{np.std(means, ddof=1):.3f}"
    ratios = {en[f"ratio_{name}"] for name in ("split_0", "split_1", "split_2", "least_squares")}
    assert len(ratios) == 1  # both models' errors were multiplied by the same
    assert "ratio_none" not in en
    assert "mse_custom_none" not in en


@EACH_LANGUAGE
def test_the_figure_has_a_plot_per_model_and_readable_words_within_it(records, lang):
    figure = artefact_sensitivity.error_by_size(records, lang=lang)
    found = artefact_sensitivity.by_variant(records, lang=lang)
    assert [axes.get_title() for axes in figure.axes] == ["Default", "Custom"]
    for axes, model in zip(figure.axes, ("default", "custom"), strict=True):
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == [found[name][model].name for name in list(FACTORS)[:4]]
        for line, name in zip(lines, FACTORS, strict=False):
            of_seeds = [protocols.mse(r.groups, "size").loc[10:25, "held_out"] for r in found[name][model].records]
            np.testing.assert_allclose(line.get_ydata(), np.mean(of_seeds, axis=0))
    assert figure.data["model"].unique().tolist() == ["default", "custom"]
    assert figure.png() == artefact_sensitivity.error_by_size(records, lang=lang).png()
    assert_readable(figure)


# ---- what the page says of the real records


@pytest.fixture(scope="module")
def studied(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.SensitivityParameters(), qm9_molecules)


def test_what_the_page_says_of_splits_and_references_holds_in_the_records(studied):
    found = artefact_sensitivity.by_variant(studied, lang="en")
    assert list(found) == list(FACTORS)
    facts = artefact_sensitivity.facts(studied, lang="en")
    splits = ("split_0", "split_1", "split_2")
    for name in splits:
        assert float(facts[f"ratio_{name}"]) > 2  # Custom's error is larger with each
        reported = groups.lower_at(found[name]["custom"], found[name]["default"], "as_reported")
        assert {21, 22, 23, 24, 25} <= set(reported)
        assert min(reported) in (19, 20)
        assert set(groups.lower_at(found[name]["custom"], found[name]["default"], "held_out")) <= {24, 25}
    # Without a mean that a set could have of its own there is no crossing, and Custom stays behind.
    assert float(facts["ratio_least_squares"]) > 2
    fitted = found["least-squares"]
    for protocol in ("held_out", "as_reported"):
        assert not groups.lower_at(fitted["custom"], fitted["default"], protocol)
    usual, other = (np.array(baseline.general(found[name]["default"].records)) for name in ("split_0", "least-squares"))
    assert abs(np.log(other / usual).mean()) < np.log(1.25)  # by no more than the seed changes
    assert np.min(baseline.general(found["none"]["default"].records)) > 1000
