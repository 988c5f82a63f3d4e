from itertools import pairwise

import pandas as pd
import pytest
from pydantic import ValidationError

from analysis import study
from analysis.runs import records, selection
from analysis.runs.config import Data, FineTuning, Loss, RunConfig, Selection, adjust
from analysis.runs.failures import TrainingDivergedError
from analysis.study.parameters import ParameterError
from analysis.training import loop, recording


def sizes_of(config: RunConfig, molecules) -> list[int]:
    return molecules.n_atoms[selection.training_part(molecules, config.data)]


@pytest.mark.parametrize("parameters", study.EXPERIMENTS.values())
def test_every_experiments_runs_differ_and_stand_under_its_name_or_anothers(parameters, qm9_molecules):
    configs = parameters(profile="full").configs(qm9_molecules)
    data = qm9_molecules.fingerprint()
    assert len({config.run_id(data) for config in configs}) == len(configs)
    assert parameters.experiment in {config.experiment for config in configs} <= set(study.EXPERIMENTS)
    thinned = {config.experiment for config in configs if config.data.train_molecules is not None}
    assert thinned <= {"learning-curve", "geometries"}
    seeds = [config.seed for config in configs]
    assert sorted(seeds) == seeds
    assert len(set(seeds)) >= 3


@pytest.mark.parametrize("parameters", study.EXPERIMENTS.values())
def test_a_profile_thins_every_run(parameters, qm9_molecules):
    for config in parameters(profile="smoke", seeds=[3]).configs(qm9_molecules):
        assert len(sizes_of(config, qm9_molecules)) == config.data.train_molecules == 200
        assert config.seed == 3


ARMS = {
    "baseline": "default",
    "balancing": "default; cap 2000; cap 2000, random control; cap 2000, same updates",
    "loss-modification": "unweighted; size 2; size 4; size 6; size 8; size 10; size-frequency 2; size-frequency 4; "
    "size-frequency 6; size-frequency 8; size-frequency 10; inverse-frequency 0.5; inverse-frequency 1",
    "directed-training": "default; more than 17; more than 17, random control; more than 17, same updates; "
    "more than 17, random control, same updates",
    "final-comparison": "default; custom",
    "confirmation": "default; more than 17; more than 17, random control; more than 17, same updates; "
    "more than 17, random control, same updates; custom; cap 2000; cap 2000, random control; cap 2000, same updates; "
    "unweighted; size 2; size 10; size-frequency 10; "
    + "; ".join(
        f"{arm}, split {split}"
        for split in (11, 12)
        for arm in (
            "default",
            "more than 17",
            "more than 17, random control",
            "more than 17, same updates",
            "more than 17, random control, same updates",
            "custom",
        )
    ),
    "extrapolation": "default; default to 8 heavy atoms, same updates; "
    "default to 8 heavy atoms, random control, same updates; custom; custom to 8 heavy atoms, same updates; "
    "beyond; beyond to 8 heavy atoms, same updates; beyond to 8 heavy atoms, random control, same updates",
    "default-to-custom": "default; large; batch; features; cutoff; custom; custom, same updates",
    "sensitivity": "default; custom; default split 1; custom split 1; default split 2; custom split 2; "
    "default offsets least-squares; custom offsets least-squares; default offsets none",
    "large-molecules": "default; more than 17, same updates; fine-tuned, share 0.2; fine-tuned, share 0.5; per-atom 2; "
    "inverse-frequency 1; size 10; size-frequency 10; stratified",
    "recipe": "default; "
    + "; ".join([*(f"step {name}" for name in study.RECIPE), *(f"variation {name}" for name in study.VARIATIONS)]),
    "beyond": "minutes 25; minutes 5; minutes 2; minutes 10; minutes 50; minutes 106",
    "beyond-splits": "beyond; beyond, split 1; beyond, split 2",
    "learning-curve": "; ".join(f"molecules {n}" for n in (1000, 2000, 5000, 10000, 20000, 50000, 104664)),
    "beyond-remedies": "plain; size 10; per-atom 2; cap 4000, same updates; fine-tuned, rings 3",
    "geometries": "beyond; mixed",
    "forces": "painn; schnet; energies alone",
}


@pytest.mark.parametrize("parameters", study.EXPERIMENTS.values())
def test_an_experiment_names_its_arms(parameters, qm9_molecules):
    asked = parameters(caps=[2000]) if parameters.experiment == "balancing" else parameters()
    by_arm = asked.by_arm(qm9_molecules)
    assert "; ".join(by_arm) == ARMS[parameters.experiment]
    of_all = [seeds for seeds in ([config.seed for config in of] for of in by_arm.values()) if len(seeds) > 1]
    some = {tuple(asked.split_seeds)} if parameters.experiment == "confirmation" else set()
    assert {tuple(seeds) for seeds in of_all} == {tuple(asked.seeds), *some}
    assert {config for of in by_arm.values() for config in of} == set(asked.configs(qm9_molecules))


def test_other_geometries_begin_with_beyond_of_the_same_seed(qm9_molecules):
    arms = study.GeometriesParameters(seeds=[3], passes=2, rate=1e-4).by_arm(qm9_molecules)
    (beyond,), (tuned,) = arms.values()
    assert beyond == study.BeyondParameters().trained_for(25, seed=3)
    assert tuned.start == f"beyond/{beyond.run_id(qm9_molecules.fingerprint())}"
    assert tuned.data.geometries == "mixed"
    assert (tuned.model, tuned.loss, tuned.seed) == (beyond.model, beyond.loss, 3)
    assert (tuned.training.epochs, tuned.training.learning_rate) == (2, 1e-4)
    smoke = study.GeometriesParameters(profile="smoke").by_arm(qm9_molecules)
    assert smoke["mixed"][0].epochs == smoke["beyond"][0].epochs


def test_the_baseline_is_the_model_default_on_everything(qm9_molecules):
    (config,) = study.BaselineParameters(seeds=[5]).configs(qm9_molecules)
    assert config == RunConfig(experiment="baseline", seed=5)


def test_balancing_has_both_controls(qm9_molecules):
    whole, capped, drawn, longer = study.BalancingParameters(seeds=[0], caps=[2000]).configs(qm9_molecules)
    assert whole == RunConfig(experiment="baseline", seed=0)
    assert max(map(list(sizes_of(capped, qm9_molecules)).count, range(3, 30))) == 2000
    assert len(sizes_of(drawn, qm9_molecules)) == len(sizes_of(capped, qm9_molecules))
    assert longer.data == capped.data
    per_epoch = -(-len(sizes_of(longer, qm9_molecules)) // 100)
    baseline = 30 * -(-104_664 // 100)
    assert abs(longer.training.epochs * per_epoch - baseline) <= per_epoch / 2
    alone = study.BalancingParameters(seeds=[0], caps=[2000], controls=False).configs(qm9_molecules)
    assert alone == [whole, capped]


def test_matched_updates_follow_the_epochs_and_the_profile_asked_for(qm9_molecules):
    *_, few = study.BalancingParameters(seeds=[0], caps=[2000], epochs=3).configs(qm9_molecules)
    *_, many = study.BalancingParameters(seeds=[0], caps=[2000], epochs=30).configs(qm9_molecules)
    assert few.training.epochs == pytest.approx(many.training.epochs / 10, abs=1)
    # thinned to one size, all make the same updates already
    quick = study.BalancingParameters(seeds=[0], caps=[2000], profile="quick").configs(qm9_molecules)
    assert {config.training.epochs for config in quick} == {30}


def test_the_loss_modification_has_one_unmodified_run_per_seed(qm9_molecules):
    configs = study.LossModificationParameters(seeds=[0, 1]).configs(qm9_molecules)
    assert sum(config.loss == Loss() for config in configs) == 2
    assert len(configs) == 2 * (1 + 5 + 5 + 2)
    assert {tuple(sorted(set(sizes_of(config, qm9_molecules)))) for config in configs[:1]} == {tuple(range(13, 24))}
    unmodified, weighted = study.LossModificationParameters(
        seeds=[0], rates=[12], weightings=["size"], alphas=[]
    ).configs(qm9_molecules)
    assert (unmodified.loss, weighted.loss.rate) == (Loss(), 12)


def test_a_rate_whose_weight_is_undefined_is_refused_before_anything_is_trained(qm9_molecules, tmp_path):
    parameters = study.LossModificationParameters(rates=[10], floor=None, seeds=[0])
    with pytest.raises(ParameterError, match=r"rates = \[10.0\], floor = None: .* at s = 1[34] atoms and rate r = 10"):
        study.load_or_train(parameters, qm9_molecules, results=tmp_path)
    assert not list(tmp_path.iterdir())


def updates(config: RunConfig, molecules) -> int:
    return config.training.epochs * -(-len(sizes_of(config, molecules)) // config.training.batch_size)


def test_directed_training_has_controls_as_large_and_as_long(qm9_molecules):
    whole, directed, control, longer, longer_control = study.DirectedTrainingParameters(seeds=[0]).configs(
        qm9_molecules
    )
    assert whole == RunConfig(experiment="baseline", seed=0)
    assert sizes_of(directed, qm9_molecules).min() == 18
    assert sizes_of(control, qm9_molecules).min() < 18
    assert len(sizes_of(directed, qm9_molecules)) == len(sizes_of(control, qm9_molecules))
    for short, long in ((directed, longer), (control, longer_control)):
        assert adjust(long, training={"epochs": 30}) == short
        assert updates(long, qm9_molecules) == pytest.approx(updates(whole, qm9_molecules), rel=0.01)


def test_the_extrapolation_trains_on_few_heavy_atoms_with_controls_as_large_and_as_long(qm9_molecules):
    arms = study.ExtrapolationParameters(seeds=[1]).by_arm(qm9_molecules)
    steps = {arm: config.epochs * study.steps_per_epoch(config, qm9_molecules) for arm, (config,) in arms.items()}
    heavy = qm9_molecules.heavy_atoms
    chosen = {arm: selection.training_part(qm9_molecules, config.data) for arm, (config,) in arms.items()}
    for model in ("default", "custom", "beyond"):
        few = f"{model} to 8 heavy atoms, same updates"
        assert heavy[chosen[few]].max() == 8
        assert steps[few] == pytest.approx(steps[model], rel=0.02)
        assert set(chosen[few]) == {place for place in chosen[model] if heavy[place] <= 8}
        if (control := f"{model} to 8 heavy atoms, random control, same updates") in chosen:
            assert len(chosen[control]) == len(chosen[few])
            assert heavy[chosen[control]].max() == 9
            assert steps[control] == steps[few]
    assert qm9_molecules.n_atoms[chosen["custom to 8 heavy atoms, same updates"]].min() == 18


def test_a_selection_by_heavy_atoms_that_leaves_none_is_refused(qm9_molecules):
    data = Data(selection=Selection(smallest=27, most_heavy=8))
    with pytest.raises(ValueError, match="no training molecule has at most 8 heavy atoms; the least is 9"):
        selection.training_part(qm9_molecules, data)


def test_from_default_to_custom_there_is_one_change_more_in_each_run(qm9_molecules):
    configs = study.DefaultToCustomParameters(seeds=[1]).configs(qm9_molecules)
    *path, longer = configs
    default, custom = study.FinalComparisonParameters(seeds=[1]).configs(qm9_molecules)
    assert (path[0], path[-1]) == (default, custom)
    changes = []
    for before, after in pairwise(path):
        flat = [pd.json_normalize(each.model_dump()).iloc[0].drop("experiment").to_dict() for each in (before, after)]
        changes.append({name for name in flat[0] if flat[0][name] != flat[1][name]})
    assert changes == [
        {"data.selection.smallest"},
        {"training.batch_size"},
        {"model.n_atom_basis"},
        {"model.data_cutoff"},
        {"loss.weighting", "loss.rate"},
    ]
    assert adjust(longer, training={"epochs": 30}) == custom.model_copy(update={"experiment": "default-to-custom"})
    assert updates(longer, qm9_molecules) == pytest.approx(updates(default, qm9_molecules), rel=0.01)


def test_the_sensitivity_changes_the_split_or_the_offsets_and_nothing_else(qm9_molecules):
    configs = study.SensitivityParameters(seeds=[1]).configs(qm9_molecules)
    default, custom = configs[:2]
    assert default in study.BaselineParameters(seeds=[1]).configs(qm9_molecules)
    assert custom in study.FinalComparisonParameters(seeds=[1]).configs(qm9_molecules)
    found = []
    for config in configs[2:]:
        model = default if config.training.batch_size == default.training.batch_size else custom
        changed = {"data": {"split_seed": config.data.split_seed}, "training": {"offsets": config.training.offsets}}
        assert adjust(model, **changed) == config.model_copy(update={"experiment": model.experiment})
        found.append((model is default, config.data.split_seed, config.training.offsets))
    usual = "references-mean"
    splits = [(default, split, usual) for split in (1, 2) for default in (True, False)]
    assert found == [
        *splits,
        (True, 0, "least-squares"),
        (False, 0, "least-squares"),
        (True, 0, "none"),
    ]


def test_what_might_help_large_molecules_takes_the_baselines_updates(qm9_molecules):
    configs = study.LargeMoleculesParameters(seeds=[2]).configs(qm9_molecules)
    baseline, directed, *others = configs
    assert directed in study.DirectedTrainingParameters(seeds=[2]).configs(qm9_molecules)
    steps = study.steps_per_epoch(baseline, qm9_molecules)
    large = int((qm9_molecules.n_atoms[selection.training_part(qm9_molecules, baseline.data)] > 17).sum())
    of_large = -(-large // baseline.training.batch_size)
    for config in others:
        updates = config.training.epochs * steps + (config.fine_tuning.epochs * of_large if config.fine_tuning else 0)
        assert abs(updates - baseline.training.epochs * steps) <= of_large / 2
        assert config.data == baseline.data
    tuned = [config for config in others if config.fine_tuning]
    assert [(config.training.epochs, config.fine_tuning.smallest) for config in tuned] == [(24, 18), (15, 18)]
    kinds = [(c.loss.weighting, c.loss.rate, c.training.sampling) for c in others if not c.fine_tuning]
    assert kinds == [
        ("per-atom", 2, "shuffled"),
        ("inverse-frequency", 1, "shuffled"),
        ("size", 10, "shuffled"),
        ("size-frequency", 10, "shuffled"),
        ("none", 0, "stratified"),
    ]


def test_the_recipe_goes_from_default_to_beyond_a_change_at_a_time(qm9_molecules):
    configs = study.RecipeParameters(seeds=[2]).configs(qm9_molecules)
    steps, variations = configs[: len(study.RECIPE) + 1], configs[len(study.RECIPE) + 1 :]
    assert steps[0] == RunConfig(experiment="baseline", seed=2)
    assert steps[1] in study.SensitivityParameters(seeds=[2]).configs(qm9_molecules)
    beyond = study.BeyondParameters(seeds=[2], epochs=30).configs(qm9_molecules)[0]
    assert steps[-1] == beyond.model_copy(update={"experiment": "recipe"})
    assert len(variations) == len(study.VARIATIONS)
    for change, config in zip(study.VARIATIONS.values(), variations, strict=True):
        assert adjust(steps[-1], **change) == config != steps[-1]
    assert {config.training.epochs for config in configs} == {30}
    some = study.RecipeParameters(seeds=[2], variations=["cutoff", "adamw"]).configs(qm9_molecules)
    place = dict(zip(study.VARIATIONS, variations, strict=True))
    assert some == [*steps, place["cutoff"], place["adamw"]]
    with pytest.raises(ValidationError, match=r"should be .*'cutoff'.*cut-off"):
        study.RecipeParameters(variations=["cut-off"])


def test_beyond_trains_all_seeds_for_two_budgets_and_some_for_the_others(qm9_molecules):
    configs = study.BeyondParameters().configs(qm9_molecules)
    epochs = [(config.seed, config.training.epochs) for config in configs]
    of = study.EPOCHS_OF_BUDGET
    others = [(0, of[minutes]) for minutes in (2, 10, 50, 106)]
    assert epochs[:6] == [(0, of[25]), (0, of[5]), *others]
    assert epochs[6:] == [(seed, of[minutes]) for seed in (1, 2, 3, 4) for minutes in (25, 5)]
    short = study.BeyondParameters(main=5, budgets=[5, 2], budget_seeds=[1], seeds=[0, 1]).configs(qm9_molecules)
    assert [(c.seed, c.training.epochs) for c in short] == [(0, of[5]), (1, of[5]), (1, of[2])]
    alone = study.BeyondParameters(brief=None, budgets=[], seeds=[3]).configs(qm9_molecules)
    assert [(c.seed, c.training.epochs) for c in alone] == [(3, of[25])]
    assert {c.training.epochs for c in study.BeyondParameters(profile="smoke").configs(qm9_molecules)} == {2}
    others = study.BeyondParameters(profile="smoke", seeds=[7], learning_rate=1e-4, epochs=3).compared_with()
    assert others == study.FinalComparisonParameters(profile="smoke", seeds=[7], epochs=3)


def test_the_learning_curve_ends_with_beyond_on_everything(qm9_molecules):
    *few, whole = study.LearningCurveParameters(seeds=[3]).configs(qm9_molecules)
    assert whole in study.BeyondParameters().configs(qm9_molecules)
    assert [len(sizes_of(config, qm9_molecules)) for config in few] == [1000, 2000, 5000, 10_000, 20_000, 50_000]
    updates = [study.steps_per_epoch(config, qm9_molecules) * config.training.epochs for config in (*few, whole)]
    assert updates == sorted(updates)
    for config in few:
        same = adjust(config, data=whole.data, training={"epochs": whole.training.epochs})
        assert same.model_copy(update={"experiment": "beyond"}) == whole
    thinned = study.LearningCurveParameters(seeds=[3], profile="smoke", molecules=[150, 5000]).configs(qm9_molecules)
    assert [config.data.train_molecules for config in thinned] == [150, 200]


def test_the_remedies_on_beyond_make_as_many_updates(qm9_molecules):
    plain, *remedies = study.BeyondRemediesParameters(seeds=[1]).configs(qm9_molecules)
    assert plain in study.BeyondParameters().configs(qm9_molecules)
    steps = study.steps_per_epoch(plain, qm9_molecules) * plain.training.epochs
    for config in remedies:
        made = study.steps_per_epoch(config, qm9_molecules) * config.training.epochs
        allowed = study.steps_per_epoch(config, qm9_molecules) / 2
        if (fine := config.fine_tuning) is not None:
            train = selection.training_part(qm9_molecules, config.data)
            each = -(-len(selection.fine_tuned(qm9_molecules, train, fine)) // config.training.batch_size)
            made, allowed = made + fine.epochs * each, each / 2
        assert abs(made - steps) <= allowed
        assert config.model == plain.model
    kinds = [(c.loss.weighting, c.data.selection.cap_per_size, c.fine_tuning is not None) for c in remedies]
    assert kinds == [("size", None, False), ("per-atom", None, False), ("none", 4000, False), ("none", None, True)]
    assert remedies[-1].fine_tuning.rings == 3


def test_the_final_comparison_is_default_against_custom(qm9_molecules):
    default, custom = study.FinalComparisonParameters(seeds=[4]).configs(qm9_molecules)
    assert default == RunConfig(experiment="baseline", seed=4)
    assert custom.data.selection == Selection(smallest=18)
    assert (custom.model.n_atom_basis, custom.model.data_cutoff, custom.model.training_cutoff) == (38, 4.0, 5.0)
    assert (custom.training.batch_size, custom.training.learning_rate, custom.training.epochs) == (128, 1e-4, 30)
    assert custom.loss == Loss(weighting="size", rate=10.0)


@pytest.mark.parametrize(
    ("parameters", "given", "said"),
    [
        (study.BalancingParameters, {"caps": []}, "at least 1 item"),
        (study.BalancingParameters, {"caps": [100, 100]}, "twice"),
        (study.BalancingParameters, {"caps": [0]}, "greater than 0"),
        (study.LossModificationParameters, {"rates": [-1]}, "greater than or equal to 0"),
        (study.LossModificationParameters, {"weightings": ["sise"]}, "sise"),
        (study.DirectedTrainingParameters, {"more_than": [0]}, "greater than 0"),
        (study.FinalComparisonParameters, {"seeds": []}, "at least 1 item"),
        (study.SensitivityParameters, {"offsets": ["mean"]}, r"should be 'least-squares', .*mean"),
        (study.LargeMoleculesParameters, {"shares": [0.5, 1.0]}, "less than 1"),
        (study.BeyondParameters, {"main": 7}, r"should be 2, 5, .* or 106.*=7"),
        (study.BeyondParameters, {"brief": 3}, r"should be 2, 5, .* or 106.*=3"),
        (study.BeyondParameters, {"budgets": [2, 3]}, r"should be 2, 5, .* or 106.*=3"),
        (study.BeyondRemediesParameters, {"minutes": 1}, r"should be 2, 5, .* or 106.*=1"),
    ],
)
def test_impossible_parameters_are_refused(parameters, given, said):
    with pytest.raises(ValidationError, match=said):
        parameters(**given)


@pytest.mark.parametrize(
    ("parameters", "given", "said"),
    [
        (study.LossModificationParameters, {"smallest": 24}, "^smallest = 24: .* at least 24 and at most 23 atoms$"),
        (
            study.LossModificationParameters,
            {"smallest": 30, "largest": 40},
            "^smallest = 30, largest = 40: no training",
        ),
        (study.LargeMoleculesParameters, {"more_than": 29}, r"^more_than = 29: no training molecule has"),
        (
            study.LearningCurveParameters,
            {"molecules": [200_000]},
            r"^molecules = \[200000\]: 200,000 training molecules",
        ),
        (study.BeyondRemediesParameters, {"rings": 9}, "^rings = 9: no training molecule to fine-tune on has 9 rings"),
        (study.DirectedTrainingParameters, {"more_than": [29]}, r"^more_than = \[29\]: no training molecule has"),
        (
            study.BalancingParameters,
            {"lang": "en", "profile": "smoke", "caps": [5]},
            r"^profile = 'smoke', caps = \[5\]: the selection leaves 124 training molecules, fewer than the 200 ",
        ),
        (
            study.BaselineParameters,
            {"worst_of": 28},
            "^worst_of = 28: no molecule has 28 atoms; there are some of 3, 4,",
        ),
        (study.BaselineParameters, {"profile": "smoke", "batch_size": 201}, "batch_size 201 is larger than the 200"),
        (study.BaselineParameters, {"batch_size": 200_000}, "batch_size 200,000 is larger than the 104,664 training"),
    ],
)
def test_parameters_that_do_not_fit_each_other_or_the_molecules_are_refused_in_a_line(
    parameters, given, said, qm9_molecules
):
    defaults = {name: field.default for name, field in parameters.model_fields.items()}  # a notebook gives them all
    with pytest.raises(ParameterError, match=said) as refused:
        parameters(**(defaults | given)).configs(qm9_molecules)
    assert "\n" not in str(refused.value)


def test_work_grows_with_epochs_molecules_and_width(qm9_molecules):
    one = RunConfig(experiment="tests")
    base = study.work(one, qm9_molecules)
    assert study.work(adjust(one, training={"epochs": 60}), qm9_molecules) == pytest.approx(2 * base)
    assert study.work(adjust(one, model={"n_atom_basis": 128}), qm9_molecules) > 2 * base
    assert study.work(adjust(one, data={"train_molecules": 1000}), qm9_molecules) < base / 50
    assert study.work(adjust(one, training={"batch_size": 1000}), qm9_molecules) < base


def test_a_log_file_gets_lines_and_no_bar(qm9_molecules, tmp_path, capfd):
    study.load_or_train(
        study.BaselineParameters(profile="smoke", seeds=[0, 1], epochs=1), qm9_molecules, results=tmp_path
    )
    said = capfd.readouterr().err
    assert "\r" not in said
    assert said.count("epoch 1/1") == 2


def test_records_come_in_order_and_are_trained_once(qm9_molecules, tmp_path, monkeypatch):
    parameters = study.BaselineParameters(profile="smoke", seeds=[1, 0], epochs=1)
    first = study.load_or_train(parameters, qm9_molecules, results=tmp_path)
    assert [record.config.seed for record in first["default"]] == [1, 0]
    monkeypatch.setattr(loop, "train", lambda *_, **__: pytest.fail("trained again"))
    again = study.load_or_train(parameters, qm9_molecules, results=tmp_path)
    assert [record.id for record in again["default"]] == [record.id for record in first["default"]]


def test_a_run_that_diverges_keeps_none_of_the_others_from_being_trained(qm9_molecules, tmp_path, monkeypatch):
    parameters = study.BaselineParameters(profile="smoke", seeds=[0, 1, 2], epochs=1)
    wild = parameters.configs(qm9_molecules)[1]
    original = recording.load_or_train

    def wild_second(config, *given, **settings):
        rate = 1e20 if config == wild else 1e-3
        return original(adjust(config, training={"learning_rate": rate}), *given, **settings)

    monkeypatch.setattr(recording, "load_or_train", wild_second)
    with pytest.raises(TrainingDivergedError, match=r"1 of 3 runs diverged, .* recorded:\n1 epochs, seed 1: the loss"):
        study.load_or_train(parameters, qm9_molecules, results=tmp_path)
    assert {records.load(folder).config.seed for folder in records.recorded_folders(tmp_path)} == {0, 2}


def test_every_run_of_the_study_is_described_in_words_of_its_own(qm9_molecules):
    configs = study.plan(qm9_molecules)
    assert {config.experiment for config in configs} == set(study.EXPERIMENTS)
    described = {(study.describe(config), config.seed) for config in configs}
    assert len(described) == len(set(configs)) == len(configs)


def test_every_setting_has_its_words():
    described = {"data", "model", "training"}
    for part in described:
        fields = type(getattr(RunConfig(experiment="tests"), part)).model_fields
        assert {name for name, setting in fields.items() if setting.description is None} <= {"selection"}
    assert described | {"experiment", "seed", "loss", "fine_tuning", "start"} == set(RunConfig.model_fields)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "the model Default on all training molecules"),
        ({"data": {"selection": Selection(cap_per_size=2000)}}, "at most 2,000 molecules per size"),
        ({"data": {"selection": Selection(smallest=13, largest=23)}}, "13 to 23 atoms"),
        ({"data": {"selection": Selection(largest=9)}}, "9 atoms or fewer"),
        ({"data": {"selection": Selection(smallest=18, most_heavy=8)}}, "18 atoms or more; 8 heavy atoms or fewer"),
        (
            {"data": {"selection": Selection(smallest=18, random_control=True)}},
            "random control, as many molecules as: 18 atoms or more",
        ),
        ({"loss": {"weighting": "size-frequency", "rate": 4.0}}, "loss weighted by size and frequency, rate 4"),
        ({"loss": Loss(weighting="size", rate=2.5, floor=None)}, "loss weighted by size, rate 2.5, no floor"),
        ({"loss": {"weighting": "inverse-frequency", "rate": 0.5}}, "loss weighted by inverse frequency, exponent 0.5"),
        ({"loss": {"weighting": "per-atom", "rate": 2.0}}, "loss weighted by size to a negative power, exponent 2"),
        ({"loss": Loss(form="huber", huber_delta=0.2)}, "Huber's loss, delta 0.2 eV"),
        (
            {"fine_tuning": FineTuning(smallest=18, epochs=3, learning_rate=1e-5)},
            "then 3 epochs on 18 atoms or more, learning rate 1e-05",
        ),
        (
            {"training": {"sampling": "stratified", "warm_up": 0.05}},
            "warm-up over 5% of the steps; stratified sampling",
        ),
        ({"data": {"train_molecules": 4000}}, "4,000 training molecules"),
        ({"model": {"data_cutoff": 4.0, "convolution": "stock"}}, "data cut-off 4 Å; stock convolution"),
    ],
)
def test_a_run_is_described_by_how_it_differs_from_the_baseline(parts, words):
    assert study.describe(adjust(RunConfig(experiment="tests", seed=3), **parts)) == words


def test_what_a_profile_changes_is_left_out_of_a_description(qm9_molecules):
    (quick,) = study.plan(qm9_molecules, "baseline", profile="quick", seeds=[0])
    assert study.describe(quick, "quick") == "the model Default on all training molecules"
    assert study.describe(quick) == "4,000 training molecules; 4,000 held-out molecules; learning rate 0.001"
    assert "all training molecules" in study.describe(RunConfig(experiment="tests"), "quick")


def test_the_plan_holds_each_run_once_and_goes_seed_by_seed(qm9_molecules):
    configs = study.plan(qm9_molecules, profile="smoke", seeds=[7, 3])
    assert len(set(configs)) == len(configs)
    assert (
        sum(config == study.plan(qm9_molecules, "baseline", profile="smoke", seeds=[7])[0] for config in configs) == 1
    )
    ordered = study.seed_by_seed(configs)
    assert [config.seed for config in ordered] == [7] * (len(configs) // 2) + [3] * (len(configs) // 2)
    assert [config for config in ordered if config.seed == 7] == [config for config in configs if config.seed == 7]
    assert {config.seed for config in study.plan(qm9_molecules, "final-comparison", profile="smoke")} == set(range(5))


def test_recorded_runs_are_loaded_and_missing_ones_named(qm9_molecules, tmp_path):
    parameters = study.BaselineParameters(profile="smoke", seeds=[1, 0], epochs=1)
    said = r"2 of the 2 runs of baseline are not recorded in .*: `python -m analysis run baseline` .* \(default\);"
    with pytest.raises(study.StudyError, match=said):
        study.recorded(parameters, qm9_molecules, results=tmp_path)
    study.load_or_train(parameters, qm9_molecules, results=tmp_path)
    found = study.recorded(parameters, qm9_molecules, results=tmp_path)
    assert [record.config.seed for record in found["default"]] == [1, 0]
