import numpy as np
import pandas as pd
import pytest
import torch
from schnetpack import properties
from schnetpack.interfaces import AtomsConverter
from schnetpack.transform import MatScipyNeighborList

from analysis import offsets, qm9, training
from analysis.config import Data, RunConfig, adjust
from analysis.molecules import to_ase
from analysis.pairs import ENERGY

SMALL = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 120, "held_out_molecules": 60},
    model={"n_atom_basis": 16, "n_interactions": 2},
    training={"batch_size": 20, "epochs": 3, "learning_rate": 2e-3},
)
STOCK = adjust(SMALL, model={"convolution": "stock"})


@pytest.fixture(scope="module")
def trained(qm9_molecules, tmp_path_factory) -> training.Trained:
    return training.train(SMALL, qm9_molecules, tmp_path_factory.mktemp("run"))


def test_training_learns(trained):
    losses = trained.history["train_loss"]
    assert list(trained.history["epoch"]) == [1, 2, 3]
    assert losses.iloc[-1] < losses.iloc[0] / 2
    assert trained.seconds.keys() == {"data", "training"}


def test_the_validation_loss_is_the_mse_of_the_last_model(trained):
    e = training.predict_errors(trained.model, trained.packed, trained.parts.validation)
    assert trained.history["validation_loss"].iloc[-1] == pytest.approx(np.mean(e**2), rel=1e-5)


def test_the_offsets_come_from_the_training_molecules_alone(trained):
    assert trained.offsets == offsets.fit(trained.molecules, trained.parts.train)


def test_a_trained_model_predicts_total_energies_as_schnetpack_would_ask_it(trained):
    """One molecule from ASE through SchNetPack's own converter and neighbour list, postprocessors on."""
    converter = AtomsConverter(neighbor_list=MatScipyNeighborList(cutoff=5.0), dtype=torch.float32)
    positions = trained.parts.test[:5]
    e = training.predict_errors(trained.model, trained.packed, positions)
    trained.model.eval()
    for position, expected in zip(positions, e, strict=True):
        one = trained.molecules.select([position])
        energy = trained.model(converter(to_ase(one)[0]))[ENERGY].detach()
        assert energy.item() - one.energy[0] == pytest.approx(expected, abs=2e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(trained, qm9_molecules, tmp_path):
    again = training.train(SMALL, qm9_molecules, tmp_path / "again")
    pd.testing.assert_frame_equal(again.history, trained.history, check_exact=True)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    other = training.train(SMALL.model_copy(update={"seed": 1}), qm9_molecules, tmp_path / "other")
    assert not other.history.equals(trained.history)


def test_training_leaves_the_callers_random_state_alone(qm9_molecules, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    training.train(adjust(SMALL, training={"epochs": 1}), qm9_molecules, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_resumes_from_its_checkpoint_with_the_same_bits(trained, qm9_molecules, tmp_path, monkeypatch):
    """Stopped in its third epoch; the second start does the third epoch alone."""
    steps = []
    original = training.History.on_train_batch_end

    def stop_in_third_epoch(self, trainer, *rest):
        steps.append(trainer.current_epoch)
        if trainer.current_epoch == 2 and steps.count(2) == 2:
            raise KeyboardInterrupt
        return original(self, trainer, *rest)

    monkeypatch.setattr(training.History, "on_train_batch_end", stop_in_third_epoch)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        training.train(SMALL, qm9_molecules, tmp_path)
    steps.clear()
    monkeypatch.setattr(
        training.History,
        "on_train_batch_end",
        lambda self, t, *r: (steps.append(t.current_epoch), original(self, t, *r)),
    )
    resumed = training.train(SMALL, qm9_molecules, tmp_path)
    assert set(steps) == {2}
    pd.testing.assert_frame_equal(resumed.history, trained.history, check_exact=True)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_every_epoch_has_an_order_of_its_own_and_all_molecules(qm9_molecules, tmp_path, monkeypatch):
    seen: dict[int, list[int]] = {}
    original = training.History.on_train_batch_end

    def note(self, trainer, module, outputs, batch, step):
        seen.setdefault(trainer.current_epoch, []).extend(batch[properties.idx].tolist())
        original(self, trainer, module, outputs, batch, step)

    monkeypatch.setattr(training.History, "on_train_batch_end", note)
    trained = training.train(SMALL, qm9_molecules, tmp_path)
    assert len({tuple(order) for order in seen.values()}) == 3
    assert all(sorted(order) == sorted(trained.parts.train) for order in seen.values())


def test_stock_and_fused_training_agree(trained, qm9_molecules, tmp_path):
    stock = training.train(STOCK, qm9_molecules, tmp_path)
    for column in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(stock.history[column], trained.history[column], rtol=1e-3)


def test_a_diverging_run_stops_at_once(qm9_molecules, tmp_path):
    config = adjust(SMALL, training={"learning_rate": 1e20})
    with pytest.raises(training.TrainingDivergedError, match=r"in epoch \d, step \d+; try a smaller learning rate"):
        training.train(config, qm9_molecules, tmp_path)


def test_the_parts_are_thinned_from_the_split(qm9_molecules):
    molecules, parts = training.choose_molecules(qm9_molecules, Data(train_molecules=500, held_out_molecules=101))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (500, 50, 51)
    assert len(molecules) == 601
    whole, split = training.choose_molecules(qm9_molecules, Data())
    assert len(whole) == len(qm9_molecules)
    for part in ("train", "validation", "test"):
        thinned = molecules.index[getattr(parts, part)]
        assert set(thinned) <= set(whole.index[getattr(split, part)])


def test_more_molecules_than_there_are_is_refused(qm9_molecules):
    with pytest.raises(ValueError, match="200000"):
        training.choose_molecules(qm9_molecules, Data(train_molecules=200_000))


def test_molecules_from_another_source_train_too(few_molecules, tmp_path):
    qm9.write_schnetpack_database(tmp_path / "few.db", few_molecules)
    molecules = qm9.read_schnetpack_database(tmp_path / "few.db")
    config = adjust(SMALL, training={"epochs": 1})
    config = config.model_copy(update={"data": Data()})
    trained = training.train(config, molecules, tmp_path)
    assert np.isfinite(trained.history["validation_loss"]).all()
    assert properties.idx in next(iter(trained_batches(trained)))


def trained_batches(trained):
    return training.PackedLoader(trained.packed, trained.parts.test, batch_size=8)
