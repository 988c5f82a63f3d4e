import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import PoissonRegressor
from typer.testing import CliRunner

from analysis import study
from analysis.cli import commands
from analysis.data import descriptors, qm9, splits
from analysis.evaluation import error_sources
from analysis.evaluation.error_sources import classes, compute, explain, record, seeds, size, trees
from analysis.runs import selection
from analysis.runs.records import Record, results_folder

SEEDS = [0, 1, 2, 3, 4]


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def errors_of(scale: np.ndarray, rng: np.random.Generator, n_seeds: int = 2) -> pd.DataFrame:
    """Errors with this standard deviation per molecule, independent in each seed."""
    return pd.DataFrame(scale[:, None] * normal(rng, len(scale), n_seeds), index=np.arange(1, len(scale) + 1))


# ---- seeds


def test_the_parts_of_the_error_are_found_where_they_are_known():
    """Molecules, a shift per seed and noise, with variances 4, 2.5 (of these very shifts) and 1."""
    rng = np.random.default_rng(0)
    shifts = np.array([-2, -1, 0, 1, 2])  # variance 2.5
    e = 2 * normal(rng, 20_000, 1) + shifts + normal(rng, 20_000, 5)
    found = seeds.parts(pd.DataFrame(e, columns=SEEDS))
    whole = 4 + 2 + 1  # the mean over these seeds of a squared shift is 2
    assert sum(one.value for one in found.values()) == pytest.approx(1)
    # Unbiased for seeds drawn at random: what the shifts' variance over-counts is taken from what molecules share.
    assert found["shift"].value == pytest.approx(2.5 / whole, rel=0.02)
    assert found["molecules"].value == pytest.approx((4 - 0.5) / whole, rel=0.03)
    assert found["rest"].value == pytest.approx(1 / whole, rel=0.03)


def test_pure_noise_is_not_repeated_between_seeds():
    rng = np.random.default_rng(1)
    e = pd.DataFrame(normal(rng, 5_000, 5))
    found = seeds.parts(e)
    low, high = found["molecules"].interval()
    assert low < 0 < high
    assert found["molecules"].value == pytest.approx(0, abs=0.03)  # a mean over seeds, squared, would give a fifth
    assert seeds.repeated(e) == pytest.approx(0, abs=0.03)
    assert seeds.repeated(pd.DataFrame({0: e[0], 1: -2 * e[0]})) == pytest.approx(1, abs=1e-3)


def test_two_seeds_are_too_few():
    with pytest.raises(ValueError, match="2 seeds: it takes three"):
        seeds.parts(pd.DataFrame(np.ones((4, 2))))


def test_the_share_of_the_worst_molecules():
    e = pd.DataFrame({0: [1.0] * 90 + [3.0] * 10, 1: [-1.0] * 90 + [3.0] * 10})
    assert seeds.worst_share(e, 0.1) == pytest.approx(90 / 180)
    assert seeds.worst_share(e, 1.0) == pytest.approx(1)


def test_errors_by_size():
    e = pd.DataFrame({7: [1.0, -3.0, 2.0], 8: [0.0, 1.0, -2.0]}, index=[10, 11, 12])
    table = seeds.by_size(e, pd.Series([4, 4, 8], index=[10, 11, 12])).set_index(["n_atoms", "seed"])
    assert table.loc[(4, 7)].to_dict() == {"molecules": 2, "mse": 5.0, "median": 2.0, "per_atom": 0.5}
    assert table.loc[(8, 8)].to_dict() == {"molecules": 1, "mse": 4.0, "median": 2.0, "per_atom": 0.25}


# ---- explain


def synthetic(rng: np.random.Generator, count: int = 3_000) -> pd.DataFrame:
    """Size and hydrogens nearly the same; unsaturation falls with size, less strictly; rings are independent."""
    n_atoms = normal(rng, count)
    return pd.DataFrame(
        {
            "n_atoms": n_atoms,
            "hydrogens": n_atoms + 0.2 * normal(rng, count),
            "unsaturation": -0.4 * n_atoms + 0.9 * normal(rng, count),
            "rings": normal(rng, count),
        },
        index=np.arange(1, count + 1),
    )


def test_descriptors_that_go_together_are_one_group():
    table = synthetic(np.random.default_rng(0))
    grouped = explain.groups(table.corr(method="spearman"))
    assert grouped == {"n_atoms": ["n_atoms", "hydrogens"], "unsaturation": ["unsaturation"], "rings": ["rings"]}
    assert len(explain.groups(table.corr(method="spearman"), least=0.3)) == 2
    assert len(explain.groups(table.corr(method="spearman"), least=0.999)) == 4


@pytest.mark.parametrize("cause", ["n_atoms", "unsaturation"])
def test_the_cause_is_distinguished_from_its_correlates(cause):
    """The error depends on one of two correlated descriptors: only this one matters, whichever it is."""
    rng = np.random.default_rng(3)
    table = synthetic(rng)
    errors = errors_of(np.exp(0.8 * table[cause].to_numpy()), rng)
    grouped = explain.groups(table.corr(method="spearman"))
    found = explain.summarised(trees.importance(table, errors, grouped, refit=["n_atoms", "unsaturation"]))
    (bystander,) = {"n_atoms", "unsaturation"} - {cause}
    for target in error_sources.TARGETS:
        of = found.loc[target]
        assert of.loc[("score", "")]["value"] > 0.15
        for way in ("permuted", "without"):
            assert of.loc[(way, cause)]["low"] > 0.05
            assert abs(of.loc[(way, bystander)]["value"]) < 0.1 * of.loc[(way, cause)]["value"]
        assert of.loc[("permuted", "rings")]["low"] < 0.01
        # By itself the bystander tells something: that is why it must not be looked at by itself.
        assert of.loc[("alone", bystander)]["value"] > 0.005
        assert of.loc[("alone", cause)]["value"] > of.loc[("alone", bystander)]["value"]
    ranks = explain.rank_correlations(table, errors, grouped)
    assert abs(ranks.loc[bystander, "plain"]) > 0.1
    assert ranks.loc[bystander, "partial_low"] < 0.02
    assert ranks.loc[bystander, "partial_high"] > -0.02
    assert abs(ranks.loc[cause, "partial"]) > 0.3


def test_twins_permuted_one_by_one_would_hide_each_other():
    """Why descriptors are permuted in groups: alone, size would seem to matter less than half of what it does."""
    rng = np.random.default_rng(4)
    table = synthetic(rng)
    table["hydrogens"] = table["n_atoms"]
    errors = errors_of(np.exp(0.8 * table["n_atoms"].to_numpy()), rng, n_seeds=1)
    together = explain.groups(table.corr(method="spearman"))
    singly = {name: [name] for name in table}
    as_group, alone = (
        explain.summarised(trees.importance(table, errors, grouped, refit=["n_atoms"], folds=3)).loc[
            ("squared", "without", "n_atoms")
        ]["value"]
        for grouped in (together, singly)
    )
    assert as_group > 0.1
    assert abs(alone) < 0.01


def test_importance_has_a_row_for_everything():
    rng = np.random.default_rng(5)
    table = synthetic(rng, 400)
    errors = errors_of(np.ones(400), rng, n_seeds=2)
    grouped = {"n_atoms": ["n_atoms", "hydrogens"], "rings": ["rings", "unsaturation"]}
    rows = trees.importance(table, errors, grouped, refit=["rings"], folds=4)
    assert len(rows) == 2 * 2 * 4 * (1 + 2 + 2)
    found = explain.summarised(rows)
    values = rows[(rows["target"] == "typical") & (rows["what"] == "score")]["value"]
    score = found.loc[("typical", "score", "")]
    half = 2.364624 * np.sqrt((1 / 8 + 1 / 3) * values.var(ddof=1))  # t of 7 degrees of freedom
    assert score["value"] == pytest.approx(values.mean())
    assert score["high"] - score["value"] == pytest.approx(half, rel=1e-5)


def test_importance_is_the_same_each_time():
    """With this many molecules the trees set some aside at random for early stopping."""
    rng = np.random.default_rng(7)
    table = synthetic(rng, 20_500)
    errors = errors_of(np.exp(0.3 * table["rings"].to_numpy()), rng, n_seeds=1)
    first, again = (trees.importance(table, errors, {"rings": ["rings"]}, folds=2) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_a_partial_correlation_is_that_of_the_residuals():
    rng = np.random.default_rng(6)
    table = synthetic(rng, 500)
    errors = errors_of(np.exp(table["rings"].to_numpy()), rng, n_seeds=2)
    found = explain.rank_correlations(table, errors, {name: [name] for name in table})
    ranks = table.rank()
    design = np.column_stack([np.ones(500), ranks.drop(columns="rings")])
    of_seeds = []
    for seed in errors:
        ys = (ranks["rings"], errors[seed].abs().rank())
        one, two = (y - design @ np.linalg.lstsq(design, y, rcond=None)[0] for y in ys)
        of_seeds.append(np.corrcoef(one, two)[0, 1])
    assert found.loc["rings", "partial"] == pytest.approx(np.mean(of_seeds))
    plain = [table["rings"].corr(errors[seed].abs(), method="spearman") for seed in errors]
    assert found.loc["rings", "plain"] == pytest.approx(np.mean(plain))


# ---- size


def homologous(rng: np.random.Generator, count: int = 8_000) -> pd.DataFrame:
    """Carbons and unsaturation at random, hydrogens as they follow."""
    carbons, unsaturation = rng.integers(4, 10, count), rng.integers(0, 5, count)
    return pd.DataFrame(
        {
            "n_atoms": 3 * carbons + 2 - 2 * unsaturation,
            "heavy_atoms": carbons,
            "carbons": carbons,
            "unsaturation": unsaturation,
            "nitrogens": 0,
            "oxygens": 0,
            "fluorines": 0,
        },
        index=np.arange(1, count + 1),
    )


FIXED = {name: size.COMPARISONS[name] for name in ("nothing", "heavy", "skeleton", "saturation")}


def test_an_error_of_unsaturation_is_not_an_effect_of_size():
    """Unsaturation alone makes e² grow: more atoms help where it may fall with them and do nothing where it may not."""
    rng = np.random.default_rng(0)
    table = homologous(rng)
    errors = errors_of(np.exp(0.3 * table["unsaturation"].to_numpy()), rng)
    found = size.size_effects(table, errors, FIXED).set_index(["target", "comparison"])
    for target in error_sources.TARGETS:
        of = found.loc[target]
        assert of.loc["nothing", "high"] < 1
        per_atom = np.exp(-0.3) if target == "squared" else np.exp(-0.15)  # two atoms fewer per degree; e² is e twice
        for name in ("heavy", "skeleton"):
            assert of.loc[name, "low"] < per_atom < of.loc[name, "high"]
        assert of.loc["saturation", "low"] < 1 < of.loc["saturation", "high"]


def test_an_error_of_size_is_found_however_molecules_grow():
    rng = np.random.default_rng(1)
    table = homologous(rng)
    errors = errors_of(np.exp(0.05 * table["n_atoms"].to_numpy()), rng)
    found = size.size_effects(table, errors, FIXED)
    for row in found.itertuples():
        truth = np.exp(0.1 if row.target == "squared" else 0.05)
        assert row.low < truth < row.high
        assert row.value == pytest.approx(truth, rel=0.03)


def test_the_poisson_slope_is_scikit_learns():
    rng = np.random.default_rng(2)
    strata, x = rng.integers(0, 6, 900), rng.integers(5, 25, 900).astype(float)
    y = rng.gamma(0.5, np.exp(0.04 * x + 0.3 * strata))
    weights = rng.standard_exponential(900)
    design = np.column_stack([x - x.mean(), np.eye(6)[strata]])
    library = PoissonRegressor(alpha=0, fit_intercept=False, tol=1e-10, max_iter=10_000)
    library.fit(design, y, sample_weight=weights)
    assert size._poisson_slope(x, y, strata, weights) == pytest.approx(library.coef_[0], abs=1e-5)


def test_strata_of_one_size_say_nothing():
    rng = np.random.default_rng(3)
    table = homologous(rng, 500)
    table.loc[table["unsaturation"] == 0, "nitrogens"] = np.arange((table["unsaturation"] == 0).sum())
    found = size.size_effects(table, errors_of(np.ones(500), rng), {"saturation": size.COMPARISONS["saturation"]})
    assert set(found["molecules"]) == {(table["unsaturation"] > 0).sum()}


def test_the_curves_by_unsaturation():
    table = homologous(np.random.default_rng(4), 2_000)
    errors = pd.DataFrame({0: table["unsaturation"] * 1.0, 1: table["unsaturation"] * 2.0})
    curves = size.by_unsaturation(table, errors, least=60)
    count = table.groupby(["heavy_atoms", "unsaturation"]).size()
    assert len(curves) == 2 * (count >= 60).sum() < 2 * len(count)
    assert (curves["mse"] == (curves["unsaturation"] * (1 + curves["seed"])) ** 2).all()
    assert (curves["molecules"] >= 60).all()


# ---- classes


@pytest.fixture
def few() -> pd.DataFrame:
    """A hundred molecules: the first four zwitterions, the first twenty with four rings, ten with fluorine."""
    place = np.arange(100)
    columns = {"zwitterion": place < 4, "rings": np.where(place < 20, 4, 1), "fluorines": (place >= 90).astype(int)}
    zeros = ("three_rings", "four_rings", "aromatic_atoms", "triple_bonds", "hetero_bonds")
    table = pd.DataFrame(
        columns | dict.fromkeys(zeros, 0) | {"heavy_atoms": 9, "longest_bond": 1}, index=place + 1
    ).astype(int)
    return table.assign(n_atoms=np.where(place == 50, 10, 18), distance=place / 100)


def test_ratios_and_attributable_shares_are_those_of_the_sums(few):
    e = pd.DataFrame({0: np.where(few["rings"] == 4, 2.0, 1.0), 1: np.where(few["rings"] == 4, -4.0, 1.0)}, few.index)
    found = classes.class_ratios(few, e)
    rings = found.loc["three_or_more_rings"]
    assert rings["molecules"] == 20
    assert rings["share"] == 0.2
    assert rings["mse"] == 10
    assert rings["ratio"] == pytest.approx(np.sqrt(4 * 16))  # the mean over seeds of its logarithm
    assert rings["share_of_error"] == pytest.approx(200 / 280)
    assert rings["attributable"] == pytest.approx((280 - 100) / 280)
    assert rings["low"] < rings["ratio"] < rings["high"]
    # Classes without a molecule, or whose descriptors are not there, are left out.
    assert found.index.tolist() == ["zwitterions", "three_or_more_rings", "fluorine", "infrequent_sizes", "farthest"]
    assert found.loc["infrequent_sizes", "molecules"] == 1
    assert found.loc["farthest", "molecules"] == 10


def test_the_interval_of_a_ratio_covers_the_truth_as_often_as_it_claims(few):
    rng = np.random.default_rng(7)
    table = pd.concat([few] * 5, ignore_index=True)
    inside = (table["rings"] == 4).to_numpy()
    hits = 0
    for _ in range(100):
        hard = normal(rng, 500, 1) * np.where(inside, 2, 1)[:, None]  # in every seed
        e = pd.DataFrame(0.8 * hard + 0.6 * normal(rng, 500, 3) * np.where(inside, 2, 1)[:, None])
        found = classes.class_ratios(table[["rings"]], e, resamples=100).loc["three_or_more_rings"]
        hits += found["low"] < 4 < found["high"]
    assert hits >= 90


def test_the_weak_group_has_the_largest_attributable_error():
    columns = ["low", "ratio", "attributable"]
    rows = {
        "zwitterions": (20.0, 30.0, 0.05),  # very bad, but few
        "three_or_more_rings": (1.9, 2.3, 0.25),
        "four_rings": (1.08, 1.4, 0.4),  # not surely more than 1.1
        "farthest": (3.0, 4.0, 0.5),  # not a class by itself
    }
    ratios = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    assert classes.weak_classes(ratios) == ["three_or_more_rings", "zwitterions"]
    assert classes.weak_group(ratios) == "three_or_more_rings"
    assert classes.weak_group(ratios.drop(index="three_or_more_rings")) == "zwitterions"
    assert classes.weak_group(ratios.loc[["four_rings", "farthest"]]) is None


def test_reasons_are_weak_classes_then_rare_values_one_per_group(few):
    table = few.assign(
        rings=np.where(few.index == 1, 6, few["rings"]), triple_bonds=few.index == 1, unsaturation=few.index
    )
    ratios = pd.DataFrame.from_dict(
        {"three_or_more_rings": (2.0, 2.5, 0.3), "zwitterions": (20.0, 30.0, 0.1)},
        orient="index",
        columns=["low", "ratio", "attributable"],
    )
    grouped = {name: [name] for name in table if name not in ("rings", "unsaturation")} | {
        "rings": ["rings", "unsaturation"]
    }
    first = classes.reasons(1, table, ratios, grouped)
    assert [(one.kind, one.name) for one in first[:2]] == [("class", "zwitterions"), ("class", "three_or_more_rings")]
    assert {(one.kind, one.name, one.value, one.beyond) for one in first[2:]} == {
        ("high", "triple_bonds", 1, 0.01),
        ("high", "rings", 6, 0.01),  # unsaturation, as rare, goes with it
        ("low", "distance", 0, 0.01),
    }
    assert [one.name for one in classes.reasons(51, table, ratios, grouped)] == ["n_atoms"]
    assert classes.reasons(60, table, ratios, grouped) == []


# ---- the record


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(results_folder() / "drivers", tmp_path / "drivers")
    return tmp_path / "drivers"


@pytest.mark.parametrize("model", error_sources.MODELS)
def test_a_record_reads_back_what_was_written(model, tmp_path):
    found = error_sources.load(model)
    error_sources.save(found, tmp_path / model)
    again = error_sources.load(model, folder=tmp_path)
    assert again.about == found.about
    for name in record.TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))


def test_a_record_that_cant_be_trusted_is_refused(folder):
    with pytest.raises(
        error_sources.ErrorSourcesError, match=r"nothing/about\.json can't be read .* `python -m analysis error-sources"
    ):
        error_sources.load("nothing", folder=folder)
    about = folder / "default" / "about.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps(content | {"schema_version": 0}))
    with pytest.raises(error_sources.ErrorSourcesError, match="schema version 0"):
        error_sources.load("default", folder=folder)
    about.write_text(json.dumps(content))
    table = folder / "default" / "classes.csv"
    table.write_text(table.read_text().replace("zwitterions", "zwitterion"))
    with pytest.raises(error_sources.ErrorSourcesError, match=r"classes\.csv is missing or not what was written"):
        error_sources.load("default", folder=folder)


@pytest.fixture(scope="module", params=error_sources.MODELS)
def recorded(request, qm9_molecules) -> tuple[error_sources.ErrorSources, list[Record]]:
    return error_sources.load(request.param), study.recorded(study.FinalComparisonParameters(), qm9_molecules)[
        request.param
    ]


@pytest.fixture(scope="module")
def described(qm9_molecules) -> pd.DataFrame:
    """Structure of all held-out molecules."""
    return descriptors.structure(qm9_molecules.select(splits.split(qm9_molecules).held_out))


def test_a_record_is_of_the_runs_that_the_final_comparison_has(recorded, qm9_molecules):
    found, records = recorded
    made_of = [(one["id"], one["seed"], one["errors_sha256"]) for one in found.about["runs"]]
    assert made_of == [(one.id, one.config.seed, one.about["sha256"]["errors.parquet"]) for one in records]
    assert found.about["molecules_fingerprint"] == qm9_molecules.fingerprint()
    assert found.about["training_molecules"] == records[0].about["molecules"]["train"]


def test_the_quick_parts_come_out_as_recorded(recorded, described):
    """Everything that needs neither the training set nor trees, recomputed from the runs."""
    found, records = recorded
    errors = error_sources.errors_by_seed(records)
    again = {name: one.value for name, one in seeds.parts(errors, resamples=2).items()}
    assert again == pytest.approx(found.parts["value"].to_dict(), rel=1e-4)
    assert seeds.repeated(errors) == pytest.approx(found.about["repeated"], rel=1e-4)
    table = described.loc[errors.index]
    close = {"rtol": 1e-4, "check_dtype": False}
    pd.testing.assert_frame_equal(seeds.by_size(errors, table["n_atoms"]), found.sizes, **close)
    pd.testing.assert_frame_equal(size.by_unsaturation(table, errors), found.unsaturation, **close)
    effects = size.size_effects(table, errors, resamples=2)
    pd.testing.assert_frame_equal(
        effects.drop(columns=["low", "high"]), found.size_effects.drop(columns=["low", "high"]), **close
    )
    correlation = table.corr(method="spearman")
    pd.testing.assert_frame_equal(correlation, found.correlations.loc[list(table), list(table)], **close)
    ratios = classes.class_ratios(table, errors, resamples=2).drop(columns=["low", "high"])
    pd.testing.assert_frame_equal(ratios, found.classes.loc[ratios.index, list(ratios)], **close)
    worst = errors.abs().mean(axis=1).nlargest(compute.WORST)
    assert worst.index.tolist() == found.worst.index.tolist()
    assert worst.to_numpy() == pytest.approx(found.worst["absolute"].to_numpy(), rel=1e-4)
    pd.testing.assert_frame_equal(table.loc[worst.index], found.worst[list(table)], check_names=False, **close)


def test_the_trees_reach_the_recorded_scores(recorded, described):
    """For one seed, without the descriptors that need the training set, learnt from half of the molecules."""
    found, records = recorded
    errors = error_sources.errors_by_seed(records[:1])
    rows = trees.importance(described.loc[errors.index], errors, {"n_atoms": ["n_atoms"]}, folds=2)
    for target, score in rows[rows["what"] == "score"].groupby("target")["value"].mean().items():
        assert score == pytest.approx(found.importance.loc[(target, "score", ""), "value"], abs=0.15)


def test_the_worst_are_as_far_from_the_training_set_as_recorded(recorded, qm9_molecules):
    found, records = recorded
    train = selection.training_part(qm9_molecules, records[0].config.data)[::20]
    position = np.flatnonzero(np.isin(qm9_molecules.index, found.worst.index))
    fewer = descriptors.novelty(qm9_molecules, train, position).loc[found.worst.index]
    # A part of the training set is never nearer, and holds no environment more often.
    assert (fewer["distance"] >= found.worst["distance"] - 1e-3).all()
    assert (fewer["distance"] < 3 * found.worst["distance"]).all()
    assert (fewer["rarest_environment"] <= found.worst["rarest_environment"]).all()


def test_groups_and_weak_group_follow_from_the_tables_recorded(recorded):
    found, _ = recorded
    assert list(explain.groups(found.correlations).values()) == found.about["groups"]
    assert classes.weak_group(found.validation_classes) == found.about["weak_group"]
    assert found.validation_classes["molecules"].max() < found.about["molecules"] / 2
    weak = set(classes.weak_classes(found.classes))
    assert set(found.reasons.loc[found.reasons["kind"] == "class", "name"]) <= weak
    assert set(found.reasons["index"]) <= set(found.worst.index)
    assert (found.reasons.loc[found.reasons["kind"] != "class", "beyond"] <= 0.01).all()


def test_what_the_page_error_drivers_says_of_the_molecules(described):
    """Three rings share atoms; zwitterions and stretched bonds are rarer above 18 atoms; fluorine is in small ones."""
    assert (described.loc[described["rings"] >= 3, "shared_ring_atoms"] > 0).mean() > 0.95
    assert (described.loc[described["fluorines"] > 0, "n_atoms"] <= 17).mean() > 0.9
    large = described["n_atoms"] > 18
    for name in ("zwitterions", "stretched_bond"):
        mask = classes.CLASSES[name](described)
        assert mask[large].mean() < 0.5 * mask[~large].mean()
    assert (described["heavy_atoms"] == 9).mean() > 0.8
    assert described["hydrogen_share"].corr(described["n_atoms"], method="spearman") > 0.9


# ---- the command


@pytest.mark.parametrize("model", ["custom", "all"])
def test_the_command_records_what_was_computed(model, tmp_path, monkeypatch, qm9_molecules):
    asked = []
    of_the_book = study.recorded

    def recorded(parameters, molecules, *, results):
        assert results == tmp_path
        return of_the_book(parameters, molecules)

    def analyse(name, records, molecules, *, progress):
        asked.append((name, [one.config.seed for one in records]))
        assert molecules is qm9_molecules
        progress("descriptors")
        return error_sources.load(name, folder=results_folder() / "drivers")

    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules)
    monkeypatch.setattr(compute, "analyse", analyse)
    monkeypatch.setattr(study, "recorded", recorded)
    result = CliRunner().invoke(commands.app, ["error-sources", model, "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    models = ["custom"] if model == "custom" else ["default", "custom"]
    assert asked == [(name, SEEDS) for name in models]
    assert sorted(path.name for path in (tmp_path / "drivers").iterdir()) == sorted(models)
    assert error_sources.load("custom", folder=tmp_path / "drivers").about == error_sources.load("custom").about
    assert "custom: descriptors" in result.stderr
    assert "weak group: aromatic" in result.stdout


@pytest.mark.parametrize(
    ("model", "said"),
    [("best", "there is no model 'best': choose one of default, custom, or all"), ("default", "not recorded")],
)
def test_the_command_refuses_unknown_models_and_missing_runs(model, said, tmp_path, monkeypatch, qm9_molecules):
    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules)
    result = CliRunner().invoke(commands.app, ["error-sources", model, "--results", str(tmp_path)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "drivers").exists()
