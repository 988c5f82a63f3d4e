"""SchNetPack's command line trains an exported run as we do, and what it leaves becomes a record."""

import json
import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.runs import records
from analysis.runs.config import RunConfig, adjust
from analysis.training import recording, spktrain

# One step an epoch: SchNetPack draws the batches in another order.
CONFIG = adjust(
    RunConfig(experiment="tests", seed=3),
    data={"train_molecules": 40, "held_out_molecules": 20},
    model={"n_atom_basis": 16, "n_interactions": 2, "data_cutoff": 4.0, "convolution": "stock"},
    training={"batch_size": 40, "epochs": 3, "learning_rate": 1e-3},
)


@pytest.fixture(scope="module")
def ours(qm9_molecules, tmp_path_factory) -> records.Record:
    return recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def trained(qm9_molecules, tmp_path_factory) -> Path:
    """What `export` wrote, and what its script then left there."""
    folder = tmp_path_factory.mktemp("exported") / "run"
    script = spktrain.export(CONFIG, qm9_molecules, folder)
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    words = ["sh", script, "data.num_workers=0", "+trainer.enable_progress_bar=false"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def theirs(trained, qm9_molecules, tmp_path_factory) -> records.Record:
    return spktrain.record(trained, qm9_molecules, results=tmp_path_factory.mktemp("theirs"))


def test_both_have_the_same_learning_curve(ours, theirs):
    # SchNetPack rounds the atoms' reference energies to float32.
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(theirs.history[name], ours.history[name], rtol=1e-3)
    np.testing.assert_allclose(theirs.steps["loss"], ours.steps["loss"], rtol=1e-3)
    assert theirs.steps["epoch"].tolist() == ours.steps["epoch"].tolist() == [1, 2, 3]
    assert ours.history["validation_loss"].is_monotonic_decreasing  # and they have learnt something


def test_what_it_leaves_is_a_record_with_the_same_model_and_the_same_errors(ours, theirs):
    assert (theirs.folder.parent.name, theirs.id) == ("spktrain", ours.id)
    assert theirs.about["trained_with"] == "spktrain"
    assert theirs.about["seconds"]["training"] > 0
    expected, found = ours.state_dict(), theirs.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    assert theirs.errors["index"].equals(ours.errors["index"])
    np.testing.assert_allclose(theirs.errors["error"], ours.errors["error"], atol=5e-3)  # of some eV


def test_settings_that_schnetpack_lacks_are_refused_by_name(qm9_molecules, tmp_path):
    config = adjust(CONFIG, training={"optimizer": "soap", "schedule": "cosine"}, loss={"form": "huber"})
    said = "training.optimizer 'soap', training.schedule 'cosine', loss.form 'huber'"
    with pytest.raises(spktrain.SpktrainError, match=f"no counterpart of {said}: export a run without"):
        spktrain.export(config, qm9_molecules, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


DAMAGES = {
    "no model": (lambda run: (run / "best_model").unlink(), "best_model can't be read"),
    "a model cut": (lambda run: _cut(run / "best_model"), "best_model can't be read"),
    "something hostile": (
        lambda run: torch.save({"model": Hostile()}, run / "best_model"),
        r"best_model holds more than a model of SchNetPack's \(\w+\.mkdir\): it is not loaded",
    ),
    "no end": (lambda run: _edit(run / "cli.log", "Starting testing.", ""), "cli.log does not say that a training"),
    "no log": (lambda run: shutil.rmtree(run / "csv"), "csv has no log of the losses"),
    "another network": (
        lambda run: _edit(run.parents[1] / "run.json", '"n_atom_basis": 16', '"n_atom_basis": 8'),
        "best_model is of another network",
    ),
    "other molecules": (
        lambda run: _edit(run.parents[1] / "run.json", '"molecules_fingerprint": "', '"molecules_fingerprint": "0'),
        "run.json is of other molecules",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_not_what_spktrain_leaves_is_refused(damage, trained, qm9_molecules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    change, said = DAMAGES[damage]
    change(folder / "runs" / "trained")
    with pytest.raises(spktrain.SpktrainError, match=said) as refused:
        spktrain.record(folder, qm9_molecules, results=tmp_path / "results")
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_the_script_says_whose_run_it_trains(trained, ours):
    script = (trained / "train.sh").read_text(encoding="utf-8")
    assert f"# Run {ours.id} of tests, seed 3." in script
    words = shlex.split(script.partition("exec spktrain")[2].replace("\\\n", " "))
    assert {"data.num_train=40", "data.num_val=10", "+data.num_test=10", "data.batch_size=40"} <= set(words)
    assert json.loads((trained / "run.json").read_text())["config"]["experiment"] == "spktrain"
