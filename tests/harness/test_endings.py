"""Which end of a training is settled: the ends are what they are called, and the record says so."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the harness is no part of the installed package

from analysis import study
from analysis.runs.config import RunConfig, adjust
from analysis.study.experiments import SETTLED
from analysis.training import loop
from harness import endings

SMALL = adjust(
    RunConfig(experiment="endings"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 4, "learning_rate": 1e-3},
)


class Weights(Callback):
    """The weights after every step, and the validation loss of every epoch."""

    def __init__(self) -> None:
        self.steps, self.losses, self.of_epochs = [], [], []

    def on_train_batch_end(self, _, module, *__):
        self.steps.append(module.model.representation.embedding.weight.detach().clone())

    def on_train_epoch_end(self, trainer, module):
        self.losses.append(float(trainer.callback_metrics["val_loss"]))
        self.of_epochs.append(module.model.representation.embedding.weight.detach().clone())


def test_each_end_is_what_it_is_called(qm9_molecules, tmp_path):
    kept, seen = endings.Ends(), Weights()
    loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[kept, seen], logger=None)
    for share, mean in kept.means.items():
        last = torch.stack(seen.steps[round(len(seen.steps) * (1 - share)) :]).double().mean(dim=0)
        weights = mean.module.representation.embedding.weight.detach().double()
        torch.testing.assert_close(weights, last, rtol=1e-5, atol=1e-7)
    best = seen.of_epochs[int(np.argmin(seen.losses))]
    assert torch.equal(kept.best["representation.embedding.weight"], best)


def test_a_summary_has_the_error_that_all_share():
    sizes = np.array([3, 18, 20])
    found = endings.summary(0.01 * sizes, sizes)
    assert found["per_atom"] == pytest.approx(0.01)
    assert found["mse"] == pytest.approx(np.mean((0.01 * sizes) ** 2))
    assert found["mse_large"] == pytest.approx(np.mean((0.01 * sizes[1:]) ** 2))


def test_a_record_holds_each_end_of_each_training(qm9_molecules, tmp_path, monkeypatch):
    monkeypatch.setattr(endings, "SEEDS", (1, 2))
    monkeypatch.setattr(endings, "MODELS", {"default": {}})
    monkeypatch.setattr(endings.qm9, "load", lambda: qm9_molecules)
    monkeypatch.setattr(endings, "RunConfig", lambda **given: adjust(SMALL.model_copy(update=given)))
    endings.main(tmp_path / "endings.json")
    results = json.loads((tmp_path / "endings.json").read_text())["results"]
    assert set(results) == {"default"}
    assert set(results["default"]) == {"1", "2"}
    assert set(results["default"]["1"]) == {"last", "best epoch", *map(endings.name_of, endings.SHARES)}
    assert results["default"]["1"] != results["default"]["2"]


def test_the_confirmations_runs_have_the_end_that_was_chosen():
    record = endings.read_record()
    assert endings.chosen(record) == endings.name_of(SETTLED)
    assert not {int(seed) for of_model in record.results.values() for seed in of_model} & set(
        study.ConfirmationParameters().seeds
    )
