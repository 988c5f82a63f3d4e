import json
import multiprocessing
import os
import re
import struct
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import ase.units
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lightning_fabric.utilities.rank_zero import _get_rank
from lightning_utilities.core.rank_zero import rank_zero_only
from numba.core.dispatcher import Dispatcher
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from pytorch_optimizer import SOAP
from schnetpack import properties
from schnetpack.data.sampler import StratifiedSampler
from schnetpack.interfaces import AtomsConverter
from schnetpack.transform import MatScipyNeighborList
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record

from analysis.data import databases, descriptors, offsets, qm9
from analysis.data.molecules import MoleculesError, to_ase
from analysis.data.offsets import OffsetsKind
from analysis.runs import failures, selection, weights
from analysis.runs.config import Data, FineTuning, Loss, Model, RunConfig, Selection, Training, adjust
from analysis.training import callbacks, loop, networks, recording
from analysis.training.batches import ENERGY

SMALL = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 120, "held_out_molecules": 60},
    model={"n_atom_basis": 16, "n_interactions": 2},
    training={"batch_size": 20, "epochs": 3, "learning_rate": 2e-3},
)
STOCK = adjust(SMALL, model={"convolution": "stock"})
WEIGHTED = adjust(SMALL, loss={"weighting": "size", "rate": 10})


@pytest.fixture(scope="module")
def trained(qm9_molecules, tmp_path_factory) -> loop.Trained:
    return loop.train(SMALL, qm9_molecules, tmp_path_factory.mktemp("run"))


def test_training_learns(trained):
    losses = trained.history["train_loss"]
    assert list(trained.history["epoch"]) == [1, 2, 3]
    assert losses.iloc[-1] < losses.iloc[0] / 2
    assert trained.seconds.keys() == {"data", "training", "validation"}


def test_the_validation_loss_is_the_mse_of_the_last_model(trained):
    e = loop.predict_errors(trained.model, trained.packed, trained.parts.validation)
    assert trained.history["validation_loss"].iloc[-1] == pytest.approx(np.mean(e**2), rel=1e-5)


def test_the_offsets_come_from_the_training_molecules_alone(trained):
    assert trained.offsets == offsets.fit(trained.molecules, trained.parts.train)


def test_a_trained_model_predicts_total_energies_as_schnetpack_would_ask_it(trained):
    """One molecule from ASE through SchNetPack's own converter and neighbour list, postprocessors on."""
    converter = AtomsConverter(neighbor_list=MatScipyNeighborList(cutoff=5.0), dtype=torch.float32)
    positions = trained.parts.test[:5]
    e = loop.predict_errors(trained.model, trained.packed, positions)
    trained.model.eval()
    for position, expected in zip(positions, e, strict=True):
        one = trained.molecules.select([position])
        energy = trained.model(converter(to_ase(one)[0]))[ENERGY].detach()
        assert energy.item() - one.energy[0] == pytest.approx(expected, abs=2e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(trained, qm9_molecules, tmp_path):
    again = loop.train(SMALL, qm9_molecules, tmp_path / "again")
    pd.testing.assert_frame_equal(again.history, trained.history, check_exact=True)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    other = loop.train(SMALL.model_copy(update={"seed": 1}), qm9_molecules, tmp_path / "other")
    assert not other.history.equals(trained.history)


def test_training_leaves_the_callers_random_state_alone(qm9_molecules, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    loop.train(adjust(SMALL, training={"epochs": 1}), qm9_molecules, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


class Interrupt(Callback):
    """As Ctrl-C would, in the second step of the third epoch."""

    def on_train_batch_end(self, trainer, *others):
        if trainer.current_epoch == 2 and others[-1] == 1:
            raise KeyboardInterrupt


class Epochs(Callback):
    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, *_):
        self.seen.append(trainer.current_epoch)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        WEIGHTED,
        adjust(SMALL, training={"schedule": "cosine", "warm_up": 0.1, "sampling": "stratified"}),
        # 3 epochs of 6 steps each; the sizes up to 29 are all of them
        adjust(SMALL, training={"epochs": 1}, fine_tuning=FineTuning(largest=29, epochs=2, learning_rate=1e-3)),
        adjust(SMALL, model={"representation": "painn"}, training={"optimizer": "soap", "averaging": 0.9}),
        adjust(SMALL, training={"settled": 0.5}),
    ],
    ids=["unweighted", "weighted", "scheduled and stratified", "fine-tuned", "PaiNN, SOAP, averaged", "two ends"],
)
def test_a_run_resumes_from_its_checkpoint_with_the_same_bits(config, qm9_molecules, tmp_path, monkeypatch):
    """Stopped in its third epoch; the second start does the third epoch alone."""
    monkeypatch.setattr(callbacks, "MOST_ROWS", 4)  # blocks of 5 steps, 6 steps an epoch: one is open at the stop
    whole = loop.train(config, qm9_molecules, tmp_path / "whole")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        loop.train(config, qm9_molecules, tmp_path / "stopped", callbacks=[Interrupt()])
    epochs = Epochs()
    resumed = loop.train(config, qm9_molecules, tmp_path / "stopped", callbacks=[epochs])
    assert epochs.seen == [2]
    assert list(whole.steps["step"]) == [5, 10, 15, 18]
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)
    for one, again in ((whole.model, resumed.model), (whole.settled, resumed.settled)):
        for name, value in one.state_dict().items() if one else ():
            assert torch.equal(value, again.state_dict()[name]), name


def test_a_run_that_was_killed_after_its_last_epoch_is_taken_as_it_is(qm9_molecules, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "MOST_ROWS", 4)
    whole = loop.train(SMALL, qm9_molecules, tmp_path)
    counted = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)["callbacks"]["Stopwatch"]
    epochs = Epochs()
    again = loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[epochs])
    assert epochs.seen == []
    pd.testing.assert_frame_equal(again.history, whole.history, check_exact=True)
    pd.testing.assert_frame_equal(again.steps, whole.steps, check_exact=True)
    assert again.seconds["training"] >= counted["training"] > 0
    assert again.seconds["validation"] == counted["validation"] > 0
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_a_checkpoint_of_another_version_is_refused_with_what_to_do(qm9_molecules, tmp_path):
    loop.train(SMALL, qm9_molecules, tmp_path)
    path = tmp_path / loop.CHECKPOINT
    content = torch.load(path, weights_only=True)
    del content["callbacks"]["LearningCurves"]["blocks"]
    torch.save(content, path)
    with pytest.raises(failures.CheckpointError, match=rf"{path} can't be resumed \(KeyError: 'blocks'\).* delete it"):
        loop.train(SMALL, qm9_molecules, tmp_path)
    del content["callbacks"]["LearningCurves"]
    torch.save(content, path)
    with pytest.raises(failures.CheckpointError, match=f"done 18 steps, but .* holds 0.* delete {path}"):
        loop.train(SMALL, qm9_molecules, tmp_path)
    del content["optimizer_states"][0]["param_groups"]
    torch.save(content, path)
    with pytest.raises(failures.CheckpointError, match=f"{path} can't be resumed .*delete it to train from the"):
        loop.train(SMALL, qm9_molecules, tmp_path)


def test_a_checkpoint_of_another_run_is_refused_with_what_to_do(qm9_molecules, tmp_path):
    """Its tensors would fit."""
    loop.train(adjust(SMALL, training={"epochs": 1}), qm9_molecules, tmp_path)
    other = SMALL.run_id(qm9_molecules.fingerprint())
    with pytest.raises(failures.CheckpointError, match=rf"of run [0-9a-f]{{12}}, not of {other}; delete it to train"):
        loop.train(SMALL, qm9_molecules, tmp_path)


def test_an_error_of_the_training_itself_is_not_laid_on_the_checkpoint(qm9_molecules, tmp_path):
    class Fails(Callback):
        def on_train_batch_end(self, *_):
            raise LookupError("a callback's own")

    with pytest.raises(LookupError):
        loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[Fails()])
    loop.train(adjust(SMALL, training={"epochs": 1}), qm9_molecules, tmp_path / "first")
    checkpoint = torch.load(tmp_path / "first" / loop.CHECKPOINT, weights_only=True)
    checkpoint["callbacks"]["KeepLast"]["run"] = SMALL.run_id(qm9_molecules.fingerprint())
    torch.save(checkpoint, tmp_path / loop.CHECKPOINT)
    with pytest.raises(LookupError):
        loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[Fails()])


class Seen(Callback):
    """The batches and what each step handed on."""

    def __init__(self):
        self.order, self.weights, self.losses, self.squared = {}, {}, [], []

    def on_train_batch_end(self, trainer, _module, outputs, batch, _step):
        positions = batch[properties.idx].tolist()
        self.order.setdefault(trainer.current_epoch, []).extend(positions)
        self.losses.append(float(outputs["loss"]))
        self.squared.append(outputs[callbacks.SQUARED_ERRORS].numpy())
        if loop.LOSS_WEIGHT in batch:
            self.weights |= dict(zip(positions, batch[loop.LOSS_WEIGHT].tolist(), strict=True))


def test_every_epoch_has_an_order_of_its_own_and_all_molecules(qm9_molecules, tmp_path):
    seen = Seen()
    trained = loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[seen])
    assert len({tuple(order) for order in seen.order.values()}) == 3
    assert all(sorted(order) == sorted(trained.parts.train) for order in seen.order.values())
    assert not seen.weights


def test_the_curves_are_the_unweighted_losses_of_the_steps(qm9_molecules, tmp_path):
    seen = Seen()
    trained = loop.train(WEIGHTED, qm9_molecules, tmp_path, callbacks=[seen])
    assert trained.steps["step"].tolist() == list(range(1, 19))
    np.testing.assert_allclose(trained.steps["epoch"], np.arange(1, 19) / 6, rtol=1e-6)
    np.testing.assert_allclose(trained.steps["loss"], [squared.mean() for squared in seen.squared], rtol=1e-6)
    by_size = [np.sort(squared) for squared in seen.squared]
    np.testing.assert_allclose(trained.steps["lowest"], [squared[:5].mean() for squared in by_size], rtol=1e-6)
    np.testing.assert_allclose(trained.steps["highest"], [squared[-5:].mean() for squared in by_size], rtol=1e-6)
    assert (trained.steps.dtypes[["epoch", "loss", "lowest", "highest"]] == np.float32).all()
    first = np.concatenate(seen.squared[:6])
    assert trained.history["train_loss"][0] == pytest.approx(first.mean(dtype=np.float64), rel=1e-12)
    assert trained.history["highest"][2] == pytest.approx(trained.steps["highest"][12:].mean(), rel=1e-6)
    assert np.mean(seen.losses[:6]) > 1.2 * trained.history["train_loss"][0]  # the loss itself is weighted


def test_the_batches_carry_the_weight_of_each_molecules_size(qm9_molecules, tmp_path):
    seen = Seen()
    trained = loop.train(WEIGHTED, qm9_molecules, tmp_path, callbacks=[seen])
    assert seen.weights.keys() == set(trained.parts.train.tolist())
    for position, weight in seen.weights.items():
        expected = max(1, weights.size_based(trained.molecules.n_atoms[position], 10))
        assert weight == pytest.approx(expected, rel=1e-6)
    assert len(set(seen.weights.values())) > 5


@pytest.mark.parametrize("weighting", ["size", "size-frequency", "inverse-frequency", "per-atom"])
def test_the_gradient_of_the_weighted_loss_is_that_of_the_formula(trained, weighting):
    """Against plain torch: the mean over molecules of v·(E − U0)², through SchNetPack's own modules in float64."""
    rate = 2 if weighting in weights.UNGUARDED else 6
    positions = trained.parts.train[:40]
    sizes = trained.molecules.n_atoms[trained.parts.train]
    v = selection.loss_weights(Loss(weighting=weighting, rate=rate), sizes)
    loader = loop.PackedLoader(trained.packed, trained.parts.train, batch_size=40, beside={loop.LOSS_WEIGHT: v})
    batch = next(iter(loader))
    assert batch[properties.idx].tolist() == positions.tolist()
    task = loop.EnergyTask(
        networks.build_from(
            Model(n_atom_basis=16, n_interactions=2),
            postprocessors=networks.postprocessors(trained.offsets, ENERGY),
        ),
        loop.WeightedOutput(ENERGY),
        settings=Training(learning_rate=1e-3),
    )
    task.model.load_state_dict(trained.model.state_dict())
    found = task.batch_loss(batch)
    found.backward()

    by_hand = networks.build_from(Model(n_atom_basis=16, n_interactions=2), fused=False)
    state = {name: value for name, value in trained.model.state_dict().items() if "postprocessors" not in name}
    by_hand.load_state_dict(state)
    by_hand.double()
    stock = trained.packed.batch(positions, stock=True)
    stock[properties.R] = stock[properties.R].double()
    stock[properties.offsets] = stock[properties.offsets].double()
    loss = 0
    energies = by_hand(stock)[ENERGY]
    for energy, position, weight in zip(energies, positions, v, strict=False):
        loss = loss + float(weight) * (energy - trained.packed.targets[position]) ** 2 / len(positions)
    loss.backward()
    squared = (energies.detach().numpy() - trained.packed.targets[positions]) ** 2
    np.testing.assert_allclose(task.outputs[0].squared_errors, squared, rtol=1e-3, atol=1e-5)
    assert found.item() == pytest.approx(loss.item(), rel=1e-4)
    theirs = dict(by_hand.named_parameters())
    for name, parameter in task.model.named_parameters():
        exact = theirs[name].grad
        assert (parameter.grad - exact).abs().max() <= 2e-4 * exact.abs().max(), name


def test_weights_of_one_change_no_bit(trained, qm9_molecules, tmp_path):
    """Rate 0 goes through the weighted loss, with weights that are all 1."""
    seen = Seen()
    config = adjust(SMALL, loss={"weighting": "size", "rate": 0.0})
    ones = loop.train(config, qm9_molecules, tmp_path, callbacks=[seen])
    assert set(seen.weights.values()) == {1.0}
    pd.testing.assert_frame_equal(ones.history, trained.history, check_exact=True)
    pd.testing.assert_frame_equal(ones.steps, trained.steps, check_exact=True)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, ones.model.state_dict()[name]), name


def test_the_validation_loss_is_never_weighted(qm9_molecules, tmp_path):
    weighted = loop.train(WEIGHTED, qm9_molecules, tmp_path)
    e = loop.predict_errors(weighted.model, weighted.packed, weighted.parts.validation)
    assert weighted.history["validation_loss"].iloc[-1] == pytest.approx(np.mean(e**2), rel=1e-5)


def test_a_weight_that_cannot_be_stops_the_training_before_it_begins(qm9_molecules, tmp_path):
    config = adjust(SMALL, loss=Loss(weighting="size-frequency", rate=10, floor=None))
    with pytest.raises(weights.WeightError, match=r"(undefined|negative) .* at s = \d+ atoms and rate r = 10"):
        loop.train(config, qm9_molecules, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_molecule_without_a_weight_makes_the_loss_nan(trained):
    """Should a batch ever hold one, the training stops instead of learning from a made-up weight."""
    ones = np.ones(len(trained.parts.train))
    loader = loop.PackedLoader(trained.packed, trained.parts.train, batch_size=8, beside={loop.LOSS_WEIGHT: ones})
    loader.positions = trained.parts.test
    assert all(torch.isnan(batch[loop.LOSS_WEIGHT]).all() for batch in loader)


def test_hubers_loss_is_that_of_the_formula(trained):
    delta = 1.0
    batch = trained.packed.batch(trained.parts.train[:40])
    output = loop.WeightedOutput(ENERGY, huber_delta=delta)
    task = loop.EnergyTask(trained.model, output, settings=Training(learning_rate=1e-3))
    found = task.batch_loss(batch).item()
    error = np.abs(loop.predict_errors(trained.model, trained.packed, trained.parts.train[:40]))
    expected = np.where(error < delta, error**2 / 2, delta * (error - delta / 2))
    assert (error < delta).any()
    assert (error > delta).any()
    assert found == pytest.approx(expected.mean(), rel=1e-4)
    np.testing.assert_allclose(output.squared_errors, error**2, rtol=1e-3, atol=1e-6)


def test_the_learning_rate_rises_and_falls_as_asked(qm9_molecules, tmp_path):
    class Rates(Callback):
        seen = []  # noqa: RUF012

        def on_train_batch_end(self, trainer, *_):
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    config = adjust(SMALL, training={"schedule": "cosine", "warm_up": 0.2}, data={"train_molecules": 100})
    loop.train(config, qm9_molecules, tmp_path, callbacks=[Rates()])
    peak = config.training.learning_rate
    assert len(Rates.seen) == 15
    np.testing.assert_allclose(Rates.seen[:3], [peak / 3, 2 * peak / 3, peak])
    np.testing.assert_allclose(Rates.seen[3:], peak * (1 + np.cos(np.pi * np.arange(12) / 12)) / 2)


def test_fine_tuning_goes_on_with_the_molecules_and_the_learning_rate_asked_for(qm9_molecules, tmp_path):
    seen = Seen()
    fine = FineTuning(smallest=18, epochs=2, learning_rate=1e-5)
    config = adjust(SMALL, training={"epochs": 1}, fine_tuning=fine, loss={"weighting": "per-atom", "rate": 0.0})
    trained = loop.train(config, qm9_molecules, tmp_path, callbacks=[seen])
    train = trained.parts.train
    large = train[trained.molecules.n_atoms[train] >= 18]
    assert 20 < len(large) < len(train)
    steps = [6, -(-len(large) // 20), -(-len(large) // 20)]
    assert list(trained.history["epoch"]) == [1, 2, 3]
    assert len(seen.squared) == sum(steps) == trained.steps["step"].iloc[-1]
    assert sum(map(len, seen.squared)) == len(train) + 2 * len(large)
    np.testing.assert_allclose(trained.steps["epoch"].iloc[np.cumsum(steps) - 1], [1, 2, 3], rtol=1e-6)
    part = selection.fine_tuned(trained.molecules, train, fine)
    assert part.tolist() == large.tolist()
    course = loop.learning_rate_schedule([loop.Phase((range(6),), 2e-3), loop.Phase((range(4),) * 2, 1e-5)], Training())
    assert [course(step) for step in range(14)] == [2e-3] * 6 + [1e-5] * 8


def test_a_batch_grows_in_the_second_half_of_the_epochs(qm9_molecules, tmp_path):
    config = adjust(SMALL, training={"epochs": 3, "batch_growth": 4, "schedule": "cosine"})
    size, molecules = config.training.batch_size, config.data.train_molecules
    steps = [-(-molecules // batch) for batch in (size, size, 4 * size)]
    seen = _Steps()
    grown = loop.train(config, qm9_molecules, tmp_path, callbacks=[seen])
    assert seen.of_epochs == steps
    np.testing.assert_allclose(grown.history["epoch"], [1, 2, 3])
    course = loop.learning_rate_schedule(loop._phases(config, grown.packed, grown.parts.train), config.training)
    share = (1 + np.cos(np.pi * np.arange(sum(steps)) / sum(steps))) / 2
    np.testing.assert_allclose([course(step) for step in range(sum(steps))], share * config.training.learning_rate)


class _Steps(Callback):
    """How many steps each epoch had."""

    def __init__(self):
        self.of_epochs = []

    def on_train_epoch_start(self, *_):
        self.of_epochs.append(0)

    def on_train_batch_end(self, *_):
        self.of_epochs[-1] += 1


class _Weights(Callback):
    """One of the model's tensors after each step, and while it is validated."""

    def __init__(self):
        self.after_steps, self.validated = [], []

    def on_train_batch_end(self, _, task, *__):
        self.after_steps.append(task.model.representation.embedding.weight.detach().clone())

    def on_validation_batch_end(self, _, task, *__):
        self.validated.append(task.model.representation.embedding.weight.detach().clone())


def test_averaged_weights_are_those_of_the_formula(qm9_molecules, tmp_path):
    """An exponential moving average that begins with the first step's weights; the training itself is as without."""
    decay, seen, plain = 0.8, _Weights(), _Weights()
    config = adjust(SMALL, training={"epochs": 2, "averaging": decay})
    averaged = loop.train(config, qm9_molecules, tmp_path / "mean", callbacks=[seen])
    loop.train(adjust(config, training={"averaging": 0.0}), qm9_molecules, tmp_path / "last", callbacks=[plain])
    for ours, theirs in zip(seen.after_steps, plain.after_steps, strict=True):
        assert torch.equal(ours, theirs)
    mean = seen.after_steps[0].double()
    means = [mean]
    for weights_ in seen.after_steps[1:]:
        mean = decay * mean + (1 - decay) * weights_.double()
        means.append(mean)
    per_epoch = len(means) // 2
    torch.testing.assert_close(seen.validated[0].double(), means[per_epoch - 1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen.validated[-1].double(), means[-1], rtol=1e-5, atol=1e-6)
    final = averaged.model.representation.embedding.weight.detach()
    assert torch.equal(final, seen.validated[-1])
    assert not torch.equal(final, seen.after_steps[-1])


def test_the_settled_end_is_the_mean_weight_of_the_last_steps_and_the_other_is_as_without(qm9_molecules, tmp_path):
    seen = _Weights()
    config = adjust(SMALL, training={"epochs": 2, "settled": 0.25})
    both = loop.train(config, qm9_molecules, tmp_path / "both", callbacks=[seen])
    alone = loop.train(adjust(config, training={"settled": 0.0}), qm9_molecules, tmp_path / "alone")
    assert alone.settled is None
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, both.model.state_dict()[name]), name
    last = seen.after_steps[-round(len(seen.after_steps) / 4) :]
    assert 1 < len(last) < len(seen.after_steps)
    mean = torch.stack(last).double().mean(dim=0)
    settled = both.settled.representation.embedding.weight.detach().double()
    torch.testing.assert_close(settled, mean, rtol=1e-5, atol=1e-7)
    assert not torch.equal(settled, last[-1].double())


def test_soap_takes_its_steps_as_documented(qm9_molecules, tmp_path, monkeypatch):
    """The weights of a whole epoch against a loop of our own around the library's SOAP, with the published settings.

    In float64: where a gradient has no component, SOAP divides rounding by its own size, which nobody can repeat. That
    of float64 vanishes beside its epsilon.
    """
    config = adjust(SMALL, model={"convolution": "stock"}, training={"optimizer": "soap", "epochs": 1})
    build = networks.build_from
    monkeypatch.setattr(networks, "build_from", lambda *arguments, **settings: build(*arguments, **settings).double())
    seen = []

    class Look(Callback):
        def on_train_end(self, _trainer, module):
            seen.extend(module.optimizers().optimizer.param_groups)

    trained = loop.train(config, qm9_molecules, tmp_path, callbacks=[Look()])
    torch.manual_seed(config.seed)
    model = networks.build_from(config.model)
    settings = {"betas": (0.95, 0.95), "weight_decay": 0.0, "precondition_frequency": 10, "max_precondition_dim": 256}
    optimizer = SOAP(model.parameters(), lr=2e-3, **settings)
    loader = loop._phases(config, trained.packed, trained.parts.train)[0].of_epochs[0]
    for batch in loader:
        target = batch[ENERGY]
        optimizer.zero_grad()
        (model(batch)[ENERGY] - target).square().mean().backward()
        optimizer.step()
    documented, used = (
        [{name: value for name, value in group.items() if name != "params"} for group in groups]
        for groups in (optimizer.param_groups, seen)
    )
    assert used == documented
    found = trained.model.state_dict()
    for name, value in model.state_dict().items():
        # Six steps of 2e-3, each times a rounding of 1e-16 of a gradient below 1e2 over an epsilon of 1e-8.
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-8)


def test_fine_tuning_takes_molecules_with_rings(qm9_molecules):
    train = np.arange(20_000, 30_000)
    found = selection.fine_tuned(qm9_molecules, train, FineTuning(rings=3, largest=18, epochs=1))
    inside = descriptors.structure(qm9_molecules.select(train)).reset_index()
    expected = train[(inside["rings"] >= 3) & (inside["n_atoms"] <= 18)]
    np.testing.assert_array_equal(found, expected)
    assert 0 < len(found) < len(train)


def test_fine_tuning_on_no_molecules_is_refused(qm9_molecules, tmp_path):
    config = adjust(SMALL, fine_tuning=FineTuning(largest=2, epochs=1))
    with pytest.raises(ValueError, match="no training molecule to fine-tune on has between 1 and 2 atoms"):
        loop.train(config, qm9_molecules, tmp_path)


def test_a_stratified_epoch_gives_every_range_of_sizes_its_share(qm9_molecules):
    """As SchNetPack's sampler does, on its own terms: ten equal ranges of the number of atoms."""
    sizes = qm9_molecules.n_atoms
    chances = loop.stratified(sizes)
    ranges = np.minimum((sizes - sizes.min()) * 10 // (sizes.max() - sizes.min()), 9)
    held = np.unique(ranges)
    np.testing.assert_allclose([chances[ranges == one].sum() for one in held], 1 / len(held))
    theirs = StratifiedSampler(None, lambda _: sizes, num_samples=5, verbose=False)
    np.testing.assert_allclose(chances, theirs.weights / theirs.weights.sum())


@pytest.mark.parametrize("kind", get_args(OffsetsKind))
def test_a_model_with_other_offsets_predicts_total_energies_too(kind, qm9_molecules, tmp_path):
    config = adjust(SMALL, training={"offsets": kind, "epochs": 1})
    trained = loop.train(config, qm9_molecules, tmp_path)
    positions = trained.parts.test[:20]
    e = loop.predict_errors(trained.model, trained.packed, positions)
    energies = trained.model(trained.packed.batch(positions))[ENERGY].detach().numpy()
    np.testing.assert_allclose(energies - trained.molecules.energy[positions], e, atol=2e-3)


def test_stock_and_fused_training_agree(trained, qm9_molecules, tmp_path):
    stock = loop.train(STOCK, qm9_molecules, tmp_path)
    for column in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(stock.history[column], trained.history[column], rtol=1e-3)


def test_stock_and_fused_training_agree_with_weights(qm9_molecules, tmp_path):
    fused = loop.train(WEIGHTED, qm9_molecules, tmp_path / "fused")
    stock = loop.train(adjust(WEIGHTED, model={"convolution": "stock"}), qm9_molecules, tmp_path / "stock")
    for column in ("train_loss", "validation_loss", "lowest", "highest"):
        np.testing.assert_allclose(stock.history[column], fused.history[column], rtol=2e-3)


@pytest.mark.parametrize(
    ("config", "rate", "said"),
    [
        (
            SMALL,
            1e20,
            r"the loss became (inf|nan) in epoch 1, step [23], all molecules weighing the same; try a smaller",
        ),
        (
            SMALL,
            10.0,
            r"the loss (exploded from \S+ to \S+ eV²|became inf) in epoch 1, step [234], "
            r"all molecules weighing the same;",
        ),
        (
            WEIGHTED,
            1e20,
            r"in epoch 1, step [23], where the largest loss weight was (\S+), of a molecule of (\d+) atoms;",
        ),
    ],
)
def test_a_diverging_run_stops_at_once_and_names_step_and_weight(config, rate, said, qm9_molecules, tmp_path):
    config = adjust(config, training={"learning_rate": rate})
    with pytest.raises(failures.TrainingDivergedError, match=said) as stopped:
        loop.train(config, qm9_molecules, tmp_path)
    found = re.search(said, str(stopped.value))
    if config.loss.rate:
        expected = weights.loss_weights("size", np.array([int(found[2])]), 10, floor=1)[0]
        assert float(found[1]) == pytest.approx(expected, rel=1e-3)
    assert list(tmp_path.glob("*.ckpt")) == []


def test_molecules_in_other_units_are_not_trained_on(few_molecules, tmp_path):
    config = adjust(SMALL, data=Data(held_out=0.3), training={"batch_size": 20})
    wrong = replace(few_molecules, energy=few_molecules.energy / ase.units.Hartree)
    with pytest.raises(MoleculesError, match=r"energies seem to be in hartree: .* multiply them by 27\.211"):
        loop.train(config, wrong, tmp_path)


def test_the_parts_are_thinned_from_the_split(qm9_molecules):
    some = selection.choose_molecules(qm9_molecules, Data(train_molecules=500, held_out_molecules=101))
    assert (len(some.parts.train), len(some.parts.validation), len(some.parts.test)) == (500, 50, 51)
    assert len(some.molecules) == 601
    whole = selection.choose_molecules(qm9_molecules, Data())
    assert len(whole.molecules) == len(qm9_molecules)
    assert len(some.left_out) == len(whole.left_out) == 0
    for part in ("train", "validation", "test"):
        thinned = some.molecules.index[getattr(some.parts, part)]
        assert set(thinned) <= set(whole.molecules.index[getattr(whole.parts, part)])


def test_a_selection_changes_the_training_part_alone(qm9_molecules):
    whole = selection.choose_molecules(qm9_molecules, Data())
    large = selection.choose_molecules(qm9_molecules, Data(selection=Selection(smallest=18)))
    assert len(large.molecules) == len(qm9_molecules)
    sizes = large.molecules.n_atoms
    assert sizes[large.parts.train].min() == 18
    assert sizes[large.left_out].max() == 17
    np.testing.assert_array_equal(np.union1d(large.parts.train, large.left_out), whole.parts.train)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(large.parts, part), getattr(whole.parts, part))
    middle = selection.training_part(qm9_molecules, Data(selection=Selection(smallest=13, largest=23)))
    assert set(qm9_molecules.n_atoms[middle]) == set(range(13, 24))


def test_a_cap_leaves_no_size_more_than_it_and_its_control_is_as_large(qm9_molecules):
    capped = selection.training_part(qm9_molecules, Data(selection=Selection(cap_per_size=2000)))
    counts = np.bincount(qm9_molecules.n_atoms[capped])
    whole = np.bincount(qm9_molecules.n_atoms[selection.training_part(qm9_molecules, Data())])
    np.testing.assert_array_equal(counts, np.minimum(whole, 2000))
    control = selection.training_part(qm9_molecules, Data(selection=Selection(cap_per_size=2000, random_control=True)))
    assert len(control) == len(capped)
    share = np.bincount(qm9_molecules.n_atoms[control]) / len(control)
    np.testing.assert_allclose(share, whole / whole.sum(), atol=0.01)


def test_a_thinned_selection_is_a_miniature_of_it_and_leaves_nobody_out(qm9_molecules):
    data = Data(selection=Selection(cap_per_size=2000), train_molecules=1000, held_out_molecules=100)
    chosen = selection.choose_molecules(qm9_molecules, data)
    assert len(chosen.molecules) == 1100
    assert len(chosen.left_out) == 0
    capped = selection.training_part(qm9_molecules, Data(selection=Selection(cap_per_size=2000)))
    assert set(chosen.molecules.index[chosen.parts.train]) <= set(qm9_molecules.index[capped])


def test_a_selection_that_leaves_no_molecules_is_refused(qm9_molecules):
    with pytest.raises(ValueError, match="between 30 and any number of atoms; they have 3 to 29"):
        selection.choose_molecules(qm9_molecules, Data(selection=Selection(smallest=30)))


def test_more_molecules_than_there_are_is_refused(qm9_molecules):
    with pytest.raises(ValueError, match="leaves 104,664 training molecules, fewer than the 200,000"):
        selection.choose_molecules(qm9_molecules, Data(train_molecules=200_000))


def test_molecules_from_another_source_train_too(few_molecules, tmp_path):
    databases.write(tmp_path / "few.db", few_molecules)
    molecules = databases.read(tmp_path / "few.db")
    config = adjust(SMALL, training={"epochs": 1})
    config = config.model_copy(update={"data": Data()})
    trained = loop.train(config, molecules, tmp_path)
    assert np.isfinite(trained.history["validation_loss"]).all()
    assert properties.idx in next(iter(trained_batches(trained)))


def trained_batches(trained):
    return loop.PackedLoader(trained.packed, trained.parts.test, batch_size=8)


def test_callbacks_of_the_caller_are_called(qm9_molecules, tmp_path):
    """A bar and a checkpoint of Lightning's own among them, and one that stops the training."""
    stop = EarlyStopping("val_loss", min_delta=1e9, patience=1)
    keep = ModelCheckpoint(tmp_path / "kept", monitor="val_loss")
    trained = loop.train(
        SMALL, qm9_molecules, tmp_path, callbacks=[stop, keep, TQDMProgressBar(refresh_rate=0)], logger=None
    )
    assert len(trained.history) == 2
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".ckpt"]


def test_the_last_checkpoint_holds_what_other_callbacks_did_in_its_epoch(qm9_molecules, tmp_path):
    class Counter(Callback):
        count = 0

        def on_train_epoch_end(self, *_):
            self.count += 1

        def state_dict(self):
            return {"count": self.count}

    loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[Counter()])
    content = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    (state,) = [state for key, state in content["callbacks"].items() if "Counter" in key]
    assert state == {"count": 3}


def expected_log(trained) -> pd.DataFrame:
    return trained.history.assign(learning_rate=2e-3, step=[6, 12, 18])


def test_the_csv_log_is_the_history(qm9_molecules, tmp_path):
    trained = loop.train(SMALL, qm9_molecules, tmp_path)
    log = pd.read_csv(tmp_path / "logs" / "version_0" / "metrics.csv")
    expected = expected_log(trained)
    pd.testing.assert_frame_equal(log[expected.columns], expected, check_exact=True)
    assert set(log.columns) == set(expected.columns)
    hyperparameters = yaml.safe_load((tmp_path / "logs" / "version_0" / "hparams.yaml").read_text())
    assert RunConfig.model_validate(hyperparameters) == SMALL


def test_each_start_of_a_run_has_a_log_of_its_own(qm9_molecules, tmp_path):
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[Interrupt()])
    loop.train(SMALL, qm9_molecules, tmp_path)
    logs = [pd.read_csv(tmp_path / "logs" / f"version_{n}" / "metrics.csv") for n in (0, 1)]
    assert [list(log["epoch"]) for log in logs] == [[1, 2], [3]]


def test_the_tensorboard_log_is_the_history(qm9_molecules, tmp_path):
    logs = tmp_path / "elsewhere"
    trained = loop.train(SMALL, qm9_molecules, tmp_path / "run", logger="tensorboard", logs=logs)
    events = EventAccumulator(str(logs / "version_0")).Reload()
    expected = expected_log(trained)
    for name in set(expected.columns) - {"step"}:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [6, 12, 18]
        np.testing.assert_allclose([scalar.value for scalar in scalars], expected[name], rtol=1e-6)


def wandb_records(path) -> list[Record]:
    """A .wandb file of less than one block: LevelDB's log format after a header of 7 bytes."""
    content = path.read_bytes()
    assert content.startswith(b":W&B")
    assert len(content) < 2**15
    records, place = [], 7
    while place + 7 <= len(content):
        length, kind = struct.unpack_from("<HB", content, place + 4)
        assert kind == 1, "a whole record"
        records.append(Record.FromString(content[place + 7 : place + 7 + length]))
        place += 7 + length
    return records


def test_the_wandb_log_stays_on_the_machine_and_holds_the_history(qm9_molecules, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody answers there
    trained = loop.train(SMALL, qm9_molecules, tmp_path, logger="wandb")
    loop.train(SMALL.model_copy(update={"seed": 1}), qm9_molecules, tmp_path / "other", logger="wandb")
    assert "WANDB_MODE" not in os.environ
    assert capfd.readouterr().err == ""
    (path,) = (tmp_path / "logs" / "wandb").glob("offline-run-*/*.wandb")
    assert len(list((tmp_path / "other" / "logs" / "wandb").glob("offline-run-*/*.wandb"))) == 1

    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in wandb_records(path)
        if record.HasField("history")
    ]
    expected = expected_log(trained)
    for name in set(expected.columns) - {"step"}:
        np.testing.assert_allclose([row[name] for row in rows], expected[name], rtol=1e-12)
    assert [row["trainer/global_step"] for row in rows] == [6, 12, 18]


def test_no_logger_writes_nothing(qm9_molecules, tmp_path):
    loop.train(adjust(SMALL, training={"epochs": 1}), qm9_molecules, tmp_path, logger=None)
    assert [path.name for path in tmp_path.iterdir()] == [loop.CHECKPOINT]


def test_an_unknown_logger_is_refused_before_anything_runs(qm9_molecules, tmp_path, monkeypatch):
    with pytest.raises(loop.LoggerError, match="no logger 'mlflow': choose one of csv, tensorboard, wandb"):
        loop.train(SMALL, qm9_molecules, tmp_path, logger="mlflow")
    monkeypatch.setattr(loop.importlib.util, "find_spec", lambda _name: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(loop.LoggerError, match=rf"needs the package {name}, .* pip install -e '\.\[loggers\]'"):
            loop.train(SMALL, qm9_molecules, tmp_path, logger=name)
    assert list(tmp_path.iterdir()) == []


def test_the_time_is_that_of_the_phases(qm9_molecules, tmp_path, monkeypatch):
    now = 0.0

    class Slow(Callback):
        def on_validation_batch_start(self, *_):
            nonlocal now
            now += 100

        def on_train_batch_start(self, *_):
            nonlocal now
            now += 1

    def late(*arguments):
        nonlocal now
        now += 7
        return selection.choose_molecules(*arguments)

    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now)
    monkeypatch.setattr(loop, "choose_molecules", late)
    trained = loop.train(SMALL, qm9_molecules, tmp_path, callbacks=[Slow()])
    assert trained.seconds == {"data": 7, "training": 18, "validation": 300}
    assert trained.preparation_seconds == 0


# ---- whatever the surroundings say -----------------------------------------------------------------------------------

SURROUNDINGS = {
    "SLURM, four tasks": {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "study", "SLURM_JOB_ID": "7", "SLURM_PROCID": "0"},
    "SLURM, its third task": {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "study", "SLURM_JOB_ID": "7", "SLURM_PROCID": "2"}
    | {"SLURM_LOCALID": "2", "SLURM_NODEID": "0", "SLURM_NODELIST": "node[1-2]"},
    "torchrun": {"TORCHELASTIC_RUN_ID": "7", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3", "GROUP_RANK": "1"}
    | {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "29400"},
    "LSF": {"LSB_JOBID": "7", "LSB_DJOB_RANKFILE": "no/such/file", "LSB_HOSTS": "batch one two"}
    | {"JSM_NAMESPACE_SIZE": "4", "JSM_NAMESPACE_RANK": "2", "JSM_NAMESPACE_LOCAL_RANK": "2"},
    "Kubeflow": {"KUBERNETES_PORT": "tcp://192.0.2.1:443", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "23456"}
    | {"WORLD_SIZE": "2", "RANK": "1"},
    "Open MPI": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "2"},
    "MPICH": {"PMI_SIZE": "4", "PMI_RANK": "2", "MPI_LOCALRANKID": "2"},
    "settings of Lightning's": {"PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_PRECISION": "bf16-true"}
    | {"PL_TRAINER_DEVICES": "4", "PL_TRAINER_NUM_NODES": "2", "PL_TRAINER_LIMIT_VAL_BATCHES": "0"},
}


@pytest.mark.parametrize("where", SURROUNDINGS)
def test_a_run_is_one_process_on_one_device_wherever_it_is_started(
    where, trained, qm9_molecules, tmp_path, monkeypatch
):
    for name, value in SURROUNDINGS[where].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", _get_rank() or 0)  # which Lightning finds out at its import
    again = loop.train(SMALL, qm9_molecules, tmp_path)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    log = pd.read_csv(tmp_path / "logs" / "version_0" / "metrics.csv")
    np.testing.assert_array_equal(log["validation_loss"], trained.history["validation_loss"])


def _first_calls(configs: list[RunConfig], results: Path) -> list[tuple[str, int]]:
    """How many loops had been called first when each phase of each training began and ended, and at its end."""
    seen, counts, compile_one, timed = [], [], Dispatcher.compile, loop._timed

    def compiled(self, kinds):
        if tuple(kinds) not in self.overloads:
            seen.append(kinds)
        return compile_one(self, kinds)

    @contextmanager
    def watched(seconds, phase):
        counts.append((f"{phase} begins", len(seen)))
        with timed(seconds, phase):
            yield
        counts.append((phase, len(seen)))

    Dispatcher.compile, loop._timed = compiled, watched
    for config in configs:
        recording.load_or_train(config, qm9.load(), results=results)
        counts.append(("end", len(seen)))
    return counts


def test_nothing_is_compiled_while_the_time_of_a_phase_is_taken(tmp_path):
    """In a process that has not trained yet each loop is compiled when it is called first, or read if it is kept."""
    configs = [SMALL, adjust(SMALL, model={"representation": "painn"}, training={"optimizer": "soap"})]
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        counts = pool.apply(_first_calls, (configs, tmp_path))
    whens, found = zip(("start", 0), *counts, strict=True)
    grown = [when for when, before, after in zip(whens[1:], found, found[1:], strict=False) if after > before]
    assert set(grown) == {"preparation"}
    assert len(grown) >= len(configs)
