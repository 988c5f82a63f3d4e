from pathlib import Path

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from analysis.runs.config import RunConfig
from analysis.study import sweeps
from analysis.study.sweeps import SweepError

CONTENT = {
    "program": "analysis/study/search.py",
    "method": "random",
    "metric": {"name": "validation_loss", "goal": "minimize"},
    "run_cap": 3,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.01},
        "batch_size": {"values": [25, 50]},
        "epochs": {"value": 2},
    },
}


def written(folder: Path, *, name: str = "mine.yaml", **changes: object) -> Path:
    path = folder / name
    content = CONTENT | changes
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def test_the_shipped_stages_hold_the_designs_spaces():
    stage1, stage2 = sweeps.load_sweep("stage1"), sweeps.load_sweep("stage2")
    assert stage1.space == {
        "batch_size": CategoricalDistribution([64, 128, 256, 512, 1024]),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    }
    assert stage1.constants == {"epochs": 30}
    assert stage2.space == {
        "data_cutoff": CategoricalDistribution([3.0, 4.0, 5.0, 6.0]),
        "training_cutoff": CategoricalDistribution([4.0, 5.0, 6.0]),
        "n_atom_basis": IntDistribution(20, 64),
    }
    assert stage2.constants == {"batch_size": 512, "learning_rate": 1e-3, "epochs": 22}
    assert (stage1.experiment, stage2.experiment) == ("search-stage1", "search-stage2")
    assert stage1.run_cap >= 20
    assert stage2.run_cap >= 20


def test_every_parameter_of_a_sweep_is_a_setting_of_a_run():
    config = RunConfig(experiment="tests")
    for name, (part, kind) in sweeps.PARAMETERS.items():
        assert type(getattr(getattr(config, part), name)) is kind
    assert sweeps.parameters_of(config)["n_atom_basis"] == 30


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        ("n_atom_basis", {"min": 20, "max": 64}, IntDistribution(20, 64)),
        ("n_atom_basis", {"distribution": "q_uniform", "min": 24, "max": 64, "q": 8}, IntDistribution(24, 64, step=8)),
        (
            "n_atom_basis",
            {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 1},
            IntDistribution(8, 64, log=True),
        ),
        ("learning_rate", {"min": 0.0, "max": 0.5}, FloatDistribution(0.0, 0.5)),
        ("data_cutoff", {"min": 3, "max": 6}, FloatDistribution(3.0, 6.0, step=1)),
        (
            "data_cutoff",
            {"distribution": "q_uniform", "min": 3.0, "max": 6.0, "q": 0.5},
            FloatDistribution(3.0, 6.0, step=0.5),
        ),
        ("data_cutoff", {"distribution": "categorical", "values": [4, 5]}, CategoricalDistribution([4.0, 5.0])),
    ],
)
def test_the_distributions_of_weights_and_biases(parameter, given, expected, tmp_path):
    found = sweeps.load_sweep(written(tmp_path, parameters={parameter: given}))
    assert found.space == {parameter: expected}


def parameters(**changes: object) -> dict[str, object]:
    return {"parameters": CONTENT["parameters"] | changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "hyperband"}, r"mine.yaml: method = 'hyperband': .*'grid', 'random' or 'bayes'"),
        ({"metric": {"name": "test_loss", "goal": "minimize"}}, r"metric.name = 'test_loss': .*'validation_loss'"),
        ({"metric": {"name": "validation_loss", "goal": "maximize"}}, r"metric.goal = 'maximize': .*'minimize'"),
        ({"metric": None}, r"metric: Field required"),
        ({"parameters": {}}, r"parameters: .*at least 1 item"),
        ({"parameters": {"epochs": {"value": 2}}}, r"nothing is left to search"),
        ({"run_cap": 0}, r"run_cap = 0: .*greater than 0"),
        ({"early_terminate": {"type": "hyperband"}}, r"early_terminate: Extra inputs"),
        (parameters(lr={"values": [0.1]}), r"parameters.lr.values: unknown parameter 'lr'; .*learning_rate"),
        (parameters(seed={"value": 1}), r"unknown parameter 'seed'"),
        (parameters(batch_size={"values": []}), r"parameters.batch_size.values = \[\]: .*at least 1 item"),
        (parameters(batch_size={"values": [25, 25]}), r"parameters.batch_size: .*twice"),
        (parameters(batch_size={"values": [25.5]}), r"batch_size.values: .*whole numbers, not 25.5"),
        (parameters(batch_size={"values": [True]}), r"batch_size.values.0 = True: no number"),
        (parameters(batch_size={}), r"batch_size: give one of value, values, or min and max"),
        (parameters(batch_size={"value": 1, "values": [2]}), r"batch_size: give one of"),
        (parameters(learning_rate={"min": 0.1}), r"learning_rate: min and max go together"),
        (parameters(learning_rate={"min": 0.1, "max": 0.1}), r"min 0.1 is not below max 0.1"),
        (
            parameters(learning_rate={"values": ["1e-4", 0.01]}),
            r"learning_rate.values.0 = '1e-4': no number; write \[0.0001, 0.01\] \(YAML takes 1e-4 for text\)",
        ),
        (parameters(learning_rate={"min": "1e-6", "max": 0.01}), r"learning_rate.min = '1e-6': .*write 1.0e-06 "),
        (parameters(batch_size={"values": 64}), r"batch_size.values = 64: .*list; write \[64\]"),
        (parameters(batch_sise={"values": [64]}), r"unknown parameter 'batch_sise'; .*did you mean batch_size\?"),
        (parameters(learning_rate={"values": [float("nan")]}), r"learning_rate.values.0 = nan: not finite"),
        (
            parameters(learning_rate={"distribution": "normal", "min": 0.1, "max": 0.2}),
            r"parameters.learning_rate.distribution = 'normal': .*'log_uniform_values'",
        ),
        (
            parameters(learning_rate={"distribution": "log_uniform_values", "min": 0.0, "max": 0.2}),
            r"min 0.0 has no logarithm",
        ),
        (parameters(learning_rate={"distribution": "categorical", "min": 0.1, "max": 0.2}), r"does not go with"),
        (parameters(learning_rate={"distribution": "uniform", "min": 0.1, "max": 0.2, "q": 0.1}), r"q goes with"),
        (parameters(data_cutoff={"distribution": "q_uniform", "min": 3.0, "max": 6.0}), r"they need it"),
        (
            parameters(data_cutoff={"distribution": "q_uniform", "min": 3.0, "max": 6.0, "q": 0.7}),
            r"parameters.data_cutoff: min and max have to be multiples of q 0.7",
        ),
        (parameters(n_rbf={"min": 10.0, "max": 20.0}), r"n_rbf.distribution: .*not uniform; use int_uniform"),
        (
            parameters(n_rbf={"distribution": "log_uniform_values", "min": 10, "max": 20}),
            r"use q_log_uniform_values with q: 1",
        ),
        ({"method": "grid"}, r"parameters.learning_rate: method grid needs values"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(changes, said, tmp_path):
    with pytest.raises(SweepError, match=said) as caught:
        sweeps.load_sweep(written(tmp_path, **changes))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("- 1\n", "holds no keys"), ("a: [\n", "can't be read"), (None, "can't be read")]
)
def test_a_file_that_is_no_sweep_is_named(text, said, tmp_path):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SweepError, match=rf"mine.yaml.*{said}"):
        sweeps.load_sweep(path)


def test_an_unknown_name_or_one_that_is_no_experiments_is_refused(tmp_path):
    with pytest.raises(SweepError, match=r"no sweep 'stage3': give one of stage1, stage2"):
        sweeps.load_sweep("stage3")
    with pytest.raises(SweepError, match="lower-case"):
        sweeps.load_sweep(written(tmp_path, name="My sweep.yaml"))


def test_a_profile_changes_constants_but_not_what_is_searched_or_fixed():
    sweep = sweeps.load_sweep("stage1")
    values = {"batch_size": 64, "learning_rate": 5e-4}
    full, smoke = sweep.config(values), sweep.config(values, profile="smoke", seed=3)
    assert (full.training.batch_size, full.training.learning_rate, full.training.epochs) == (64, 5e-4, 30)
    assert (smoke.training.batch_size, smoke.training.learning_rate, smoke.training.epochs) == (64, 5e-4, 2)
    assert smoke.data.train_molecules == 200
    assert smoke.seed == 3
    assert sweep.fixing({"epochs": 7}).config(values, profile="smoke").training.epochs == 7
    # the agent of Weights & Biases hands on the constants too
    assert sweep.config(values | {"epochs": 30}, profile="smoke", seed=3) == smoke
    assert sweep.config(values | {"epochs": 31}).training.epochs == 31


def test_batch_sizes_that_a_profile_has_no_molecules_for_are_left_out(tmp_path):
    assert sweeps.load_sweep("stage1").fitting("full") == sweeps.load_sweep("stage1")
    assert sweeps.load_sweep("stage1").fitting("smoke").space["batch_size"].choices == (64, 128)
    assert sweeps.load_sweep("stage2").fitting("smoke").constants["batch_size"] == 200
    large = sweeps.load_sweep(written(tmp_path, **parameters(batch_size={"values": [512]})))
    assert large.fitting("smoke").space["batch_size"].choices == (200,)
    ranged = sweeps.load_sweep(written(tmp_path, **parameters(batch_size={"min": 10, "max": 300})))
    with pytest.raises(SweepError, match=r"batch_size.max 300 is larger than the 200"):
        ranged.fitting("smoke")
    with pytest.raises(SweepError, match=r"batch_size 512.*smoke.*larger than the 200"):
        large.fixing({"batch_size": 512}).config({"learning_rate": 1e-3}, profile="smoke")


def test_fixing_takes_a_parameter_out_of_the_search():
    fixed = sweeps.load_sweep("stage2").fixing({"batch_size": 128, "n_atom_basis": 38})
    assert set(fixed.space) == {"data_cutoff", "training_cutoff"}
    config = fixed.config({"data_cutoff": 4.0, "training_cutoff": 5.0})
    assert (config.training.batch_size, config.model.n_atom_basis, config.training.epochs) == (128, 38, 22)
    with pytest.raises(SweepError, match="nothing is left to search"):
        fixed.fixing({"data_cutoff": 4, "training_cutoff": 5})
    with pytest.raises(SweepError, match="unknown parameter 'width'"):
        fixed.fixing({"width": 3})
    with pytest.raises(SweepError, match="whole numbers"):
        fixed.fixing({"epochs": 2.5})


def test_a_grid_has_every_value_of_every_range(tmp_path):
    content = {
        "method": "grid",
        "parameters": {
            "n_rbf": {"min": 10, "max": 12},
            "data_cutoff": {"distribution": "q_uniform", "min": 4.5, "max": 6.0, "q": 0.5},
        },
    }
    found = sweeps.load_sweep(written(tmp_path, **content))
    assert found.grid() == {"n_rbf": [10, 11, 12], "data_cutoff": [4.5, 5.0, 5.5, 6.0]}
