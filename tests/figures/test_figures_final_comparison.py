from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from made_up import arms_of, only

from analysis import study
from analysis.data import thesis
from analysis.figures import final_comparison, groups
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.FinalComparisonParameters(), qm9_molecules)


def test_both_models_have_five_seeds(records):
    models = final_comparison.by_model(records)
    assert {name: [r.config.seed for r in of_model] for name, of_model in models.items()} == {
        "default": [0, 1, 2, 3, 4],
        "custom": [0, 1, 2, 3, 4],
    }
    assert {record.config.model.n_atom_basis for record in models["custom"]} == {38}


def test_one_model_alone_is_no_comparison(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'custom', only of default"):
        final_comparison.error_by_size(only(records, lambda arm: arm == "default"), lang="en")


def test_the_summary_holds_the_whole_and_the_test_part(records):
    table = final_comparison.summary(records, lang="en")
    for name, of_model in final_comparison.by_model(records).items():
        squared = [record.errors["error"].astype(float) ** 2 for record in of_model]
        test = [s[record.errors["test"]].mean() for s, record in zip(squared, of_model, strict=True)]
        row = table.loc[name.capitalize()]
        assert row["MSE, the whole 20% (eV²)"].split(" ± ")[0] == f"{np.mean([s.mean() for s in squared]):.4f}"
        assert row["MSE, test part (eV²)"] == f"{np.mean(test):.4f} ± {np.std(test, ddof=1):.4f}"
    assert "," in final_comparison.summary(records, lang="ca").iloc[0, 0]


def test_the_facts_of_the_prose(records):
    ca, en = (final_comparison.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert en["seeds"] == "5"
    models = final_comparison.by_model(records)
    for protocol in ("held_out", "as_reported"):
        better = []
        for size in thesis.COMMON_SIZES:
            means = {
                name: np.mean([protocols.mse(record.groups, "size").loc[size, protocol] for record in of_model])
                for name, of_model in models.items()
            }
            if means["custom"] < means["default"]:
                better.append(size)
        said = en[f"better_{protocol}"]
        assert (said == "is better at no size") == (not better)
        assert not better or (str(min(better)) in said and str(max(better)) in said)
    assert en["minutes_ratio"].endswith("%")


@EACH_LANGUAGE
def test_the_figure_has_both_protocols_and_both_models(records, lang):
    figure = final_comparison.error_by_size(records, lang=lang)
    upper, lower = figure.axes
    assert upper.get_title() == say("held-out molecules, the training set’s mean", lang)
    assert lower.get_title() == say("the whole set, with its own mean", lang)
    for axes in (upper, lower):
        assert [line.get_label() for line in axes.get_lines()] == ["Default", "Custom"]
        assert axes.get_yscale() == "log"
    custom = final_comparison.by_model(records)["custom"]
    means = np.mean([protocols.mse(record.groups, "size").loc[10:25, "as_reported"] for record in custom], axis=0)
    np.testing.assert_allclose(lower.get_lines()[1].get_ydata(), means)
    data = figure.data.groupby(["series", "n_atoms"])["mse_as_reported_eV2"].mean()
    np.testing.assert_allclose(data["Custom"], means)
    assert set(figure.data["run"]) == {record.id for record in records.runs}


def test_the_stability_is_that_of_the_recorded_steps(records):
    figure = final_comparison.stability(records, lang="en")
    for axes, of_model in zip(figure.axes, final_comparison.by_model(records).values(), strict=True):
        (line,) = axes.get_lines()
        np.testing.assert_allclose(line.get_ydata(), np.mean([record.steps["loss"] for record in of_model], axis=0))
        ((band,),) = [axes.collections]
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx(np.mean([r.steps["highest"] for r in of_model], axis=0).max())
        assert heights.min() == pytest.approx(np.mean([r.steps["lowest"] for r in of_model], axis=0).min())
    default, custom = (figure.data[figure.data["series"] == name] for name in ("Default", "Custom"))
    np.testing.assert_allclose(default["loss_eV2"], figure.axes[0].get_lines()[0].get_ydata())
    assert {name for text in (default["run"].iloc[0], custom["run"].iloc[0]) for name in text.split()} == {
        record.id for record in records.runs
    }
    assert len(figure.csv()) < 1_000_000  # Pillow reads no longer text chunk


def test_what_the_page_says_about_stability_holds_in_the_records(records):
    """Neither of the report's two observations: sooner by less than the spread, and a narrower band in Default."""
    facts = final_comparison.facts(records, lang="en")
    settled = {}
    for name, of_model in final_comparison.by_model(records).items():
        losses = [record.history["validation_loss"].to_numpy() for record in of_model]
        settled[name] = [int(np.argmax(loss <= 1.5 * loss.min())) + 1 for loss in losses]
        assert facts[f"settled_{name}"] == f"{np.mean(settled[name]):.1f} ± {np.std(settled[name], ddof=1):.1f}"
        gaps = [r.history["highest"].iloc[-1] - r.history["lowest"].iloc[-1] for r in of_model]
        assert facts[f"gap_{name}"] == f"{np.mean(gaps):.2f} ± {np.std(gaps, ddof=1):.2f}"
    difference = abs(np.mean(settled["default"]) - np.mean(settled["custom"]))
    assert difference < np.std(settled["default"], ddof=1)
    assert float(facts["gap_custom"].split()[0]) > float(facts["gap_default"].split()[0])


@pytest.fixture(scope="module")
def path(records, qm9_molecules) -> Arms[Record]:
    """A record for each step from Default to Custom, two seeds: Custom's, as if each step had its own squared error."""

    def record(arm: Arm, config: RunConfig) -> Record:
        custom = records["custom"][config.seed]
        factor = 1.0 + list(final_comparison.STEPS.values()).index(arm)
        groups = custom.groups.assign(sum_ee=custom.groups["sum_ee"] * factor)
        return replace(custom, config=config, groups=groups)

    return arms_of(study.DefaultToCustomParameters(seeds=[0, 1]), qm9_molecules, record)


def test_the_steps_from_default_to_custom_are_told_apart_and_named(path):
    steps = final_comparison.by_step(path, lang="en")
    assert list(steps) == list(final_comparison.STEPS)
    assert [len(group.records) for group in steps.values()] == [2] * len(steps)
    assert [group.name for group in steps.values()] == [
        "Default",
        "+ more than 17 atoms",
        "+ batches of 128",
        "+ 38 features",
        "+ data up to 4 Å",
        "+ weights, r = 10 (Custom)",
        "Custom, Default’s updates",
    ]
    with pytest.raises(MissingArmError, match="no record of the arm 'default'"):
        final_comparison.by_step(only(path, lambda arm: arm != "default"), lang="en")


def test_the_table_and_the_facts_of_the_steps(path):
    table = final_comparison.steps_table(path, lang="en")
    assert len(table) == len(final_comparison.STEPS)
    first, second = (float(text.split()[0]) for text in table["MSE, the whole 20% (eV²)"].iloc[:2])
    assert second == pytest.approx(2 * first, abs=2e-3)
    ca, en = (final_comparison.step_facts(path, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (en["seeds"], en["times_large"], en["times_batch"]) == ("2", "2.00", "1.50")


@EACH_LANGUAGE
def test_the_figure_of_the_steps_has_a_point_per_seed_in_each_row(path, lang):
    figure = final_comparison.steps(path, lang=lang)
    for axes in figure.axes:
        means, *points = axes.get_lines()
        assert len(means.get_xdata()) == len(final_comparison.STEPS)
        assert [len(line.get_xdata()) for line in points] == [2] * len(final_comparison.STEPS)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [group.name for group in final_comparison.by_step(path, lang=lang).values()]
    for text in (*figure.axes[0].get_yticklabels(), *(axes.xaxis.label for axes in figure.axes)):
        box = text.get_window_extent()
        assert -1 <= box.x0 < box.x1 <= figure.bbox.width + 1, text
    assert figure.axes[0].yaxis_inverted()
    assert figure.data["series"].drop_duplicates().tolist() == names
    for axes, column in zip(figure.axes, ("mse_eV2", "mse_above_17_atoms_eV2"), strict=True):
        points = [value for line in axes.get_lines()[1:] for value in line.get_xdata()]
        assert figure.data[column].tolist() == points


def test_what_the_page_says_of_the_steps_holds_in_the_records(qm9_molecules):
    """No change lowers the error above 17 atoms; the first and the last cost most, and longer training saves half."""
    steps = final_comparison.by_step(study.recorded(study.DefaultToCustomParameters(), qm9_molecules), lang="en")
    above = {step: np.mean(groups.of_sizes(group.records, range(18, 30))) for step, group in steps.items()}
    times = {step: above[step] / above[before] for before, step in pairwise(final_comparison.STEPS)}
    assert all(times[step] > 0.98 for step in list(times)[:-1])
    assert sorted(times, key=times.get)[-2:] in (["large", "custom"], ["custom", "large"])
    assert times["custom_longer"] < 0.7
    assert above["custom_longer"] > 1.5 * above["default"]
