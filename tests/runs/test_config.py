import pytest
from pydantic import ValidationError

from analysis.runs import records
from analysis.runs.config import Loss, RunConfig, Training, adjust, apply_profile

DATA = "0" * 64


def test_the_default_is_the_reports_default_model():
    config = RunConfig(experiment="baseline")
    assert (config.model.n_atom_basis, config.model.data_cutoff, config.model.training_cutoff) == (30, 5.0, 5.0)
    training = config.training
    assert (training.learning_rate, training.batch_size, training.epochs) == (1e-4, 100, 30)
    assert (config.data.held_out, config.data.split_seed, config.data.train_molecules) == (0.2, 0, None)


def test_the_id_is_stable_over_versions_of_the_code():
    """Should this id change, every record that was made before would be orphaned: raise the schema version."""
    assert RunConfig(experiment="baseline").run_id(DATA) == "24f470d5dd93"
    changed = adjust(RunConfig(experiment="baseline", seed=2), training={"epochs": 22})
    assert changed.run_id(DATA) == "f1aaafada226"


def test_the_recorded_runs_keep_their_ids(qm9_molecules):
    data = qm9_molecules.fingerprint()
    quick = [apply_profile(RunConfig(experiment="baseline", seed=seed), "quick") for seed in (0, 1, 2)]
    assert [config.run_id(data) for config in quick] == ["296e6b606e85", "5e81a25a34ff", "9ad31bd29ba6"]
    assert all(records.folder_of(config, data, records.results_folder()).is_dir() for config in quick)


def test_the_id_follows_what_changes_the_result_and_nothing_else():
    config = RunConfig(experiment="baseline")
    assert RunConfig(experiment="final-comparison").run_id(DATA) == config.run_id(DATA)
    others = [
        config.run_id("1" * 64),
        config.model_copy(update={"seed": 1}).run_id(DATA),
        adjust(config, model={"n_atom_basis": 38}).run_id(DATA),
        adjust(config, training={"epochs": 31}).run_id(DATA),
        adjust(config, data={"split_seed": 1}).run_id(DATA),
        adjust(config, loss={"weighting": "size", "rate": 2}).run_id(DATA),
        adjust(config, loss={"weighting": "size", "rate": 4}).run_id(DATA),
        adjust(config, loss={"weighting": "size", "rate": 4, "floor": 0.5}).run_id(DATA),
        adjust(config, loss=Loss(weighting="size", rate=4, floor=None)).run_id(DATA),
    ]
    assert len({config.run_id(DATA), *others}) == len(others) + 1


def test_a_config_survives_json():
    config = adjust(RunConfig(experiment="baseline", seed=3), model={"training_cutoff": 4})
    config = adjust(config, loss=Loss(weighting="size-frequency", rate=10, floor=None))
    assert config.loss.floor is None
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_the_loss_is_unmodified_unless_asked():
    loss = RunConfig(experiment="baseline").loss
    assert (loss.weighting, loss.rate, loss.floor) == ("none", 0, 1)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"rate": 2}, "rate 2 without a weighting: say which"),
        ({"floor": 0.5}, "floor 0.5 with weighting 'none', which ignores it"),
        ({"weighting": "inverse-frequency", "rate": 1, "floor": 0.5}, "floor 0.5 with weighting 'inverse-frequency'"),
    ],
)
def test_settings_of_the_loss_that_contradict_each_other_are_refused(loss, said):
    with pytest.raises(ValidationError, match=said):
        adjust(RunConfig(experiment="baseline"), loss=loss)


def test_profiles_scale_down_and_hand_settings_go_on_top():
    full = RunConfig(experiment="baseline")
    assert apply_profile(full, "full") == full
    quick = apply_profile(full, "quick")
    assert quick.data.train_molecules == 4000
    assert adjust(quick, training={"epochs": 5, "batch_size": None}).training.epochs == 5
    assert adjust(quick, training={"epochs": 5, "batch_size": None}).training.batch_size == full.training.batch_size
    smoke = apply_profile(full, "smoke")
    assert smoke.data.train_molecules < quick.data.train_molecules
    assert smoke.training.epochs < quick.training.epochs


def test_a_batch_cannot_grow_within_one_epoch():
    with pytest.raises(ValidationError, match="batch_growth 4 needs two epochs"):
        RunConfig(experiment="tests", training=Training(epochs=1, batch_growth=4))


@pytest.mark.parametrize(
    ("part", "setting", "value"),
    [
        ("training", "epochs", 0),
        ("training", "epochs", "30"),
        ("training", "learning_rate", -1e-3),
        ("training", "learning_rate", float("nan")),
        ("training", "batch_size", 2.5),
        ("training", "momentum", 0.9),
        ("model", "n_rbf", 1),
        ("model", "training_cutoff", 0.0),
        ("model", "training_cutoff", 0.9),
        ("model", "data_cutoff", 0.5),
        ("model", "data_cutoff", float("inf")),
        ("model", "convolution", "quick"),
        ("model", "representation", "nequip"),
        ("training", "optimizer", "sgd"),
        ("training", "averaging", 1.0),
        ("training", "batch_growth", 0),
        ("loss", "weighting", "frequency"),
        ("loss", "rate", -1.0),
        ("loss", "rate", float("inf")),
        ("loss", "floor", -0.1),
        ("loss", "exponent", 2.0),
        ("data", "held_out", 1.0),
        ("data", "split_seed", -1),
        ("data", "split_seed", 2**32),
        ("data", "train_molecules", 50),
    ],
)
def test_impossible_settings_are_refused_by_name(part, setting, value):
    with pytest.raises(ValidationError, match=setting if setting != "train_molecules" else "batch_size 100 is larger"):
        adjust(RunConfig(experiment="baseline"), **{part: {setting: value}})


@pytest.mark.parametrize("experiment", ["../elsewhere", "Baseline", "", "a b", "logs"])
def test_an_experiment_is_a_plain_folder_name(experiment):
    with pytest.raises(ValidationError, match="experiment"):
        RunConfig(experiment=experiment)


def test_a_config_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig(experiment="baseline").seed = 1
