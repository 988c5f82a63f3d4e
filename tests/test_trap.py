"""The trap of section 7 of the design, with SchNetPack's own classes: a data module per size brings its own mean.

A small model is trained on real molecules by our pipeline, with SchNetPack's stock modules, and its record says what
the error of each size is under both protocols. Then SchNetPack alone, from an ASE database to Lightning's validation,
has to come to the same numbers.
"""

import warnings

import numpy as np
import pytest
import torch
from schnetpack import transform
from schnetpack.data import AtomsDataFormat, AtomsDataModule
from schnetpack.task import AtomisticTask, ModelOutput

from analysis.data import databases, offsets, qm9
from analysis.data.molecules import Molecules
from analysis.runs import protocols, records, selection
from analysis.runs.config import RunConfig, adjust
from analysis.training import loop, networks, recording
from analysis.training.batches import ENERGY

CONFIG = adjust(
    RunConfig(experiment="trap"),
    data={"train_molecules": 300, "held_out_molecules": 300},
    model={"n_atom_basis": 16, "n_interactions": 2, "convolution": "stock"},
    training={"batch_size": 20, "epochs": 8, "learning_rate": 3e-3},
)
SIZES = [14, 17, 21]
FLOAT32 = 4e-3  # eV; SchNetPack adds up references in float32, whose step is 10⁻³ eV near U0, for mean and target


@pytest.fixture(scope="module")
def record(qm9_molecules, tmp_path_factory) -> records.Record:
    return recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path_factory.mktemp("results"), logger=None)


@pytest.fixture(scope="module")
def molecules(qm9_molecules) -> Molecules:
    """Those of the run, of all parts."""
    return selection.choose_molecules(qm9_molecules, CONFIG.data).molecules


def of_size(molecules: Molecules, size: int, record: records.Record, *, held_out: bool = False) -> Molecules:
    keep = molecules.n_atoms == size
    if held_out:
        keep &= np.isin(molecules.index, record.errors["index"])
    return molecules.select(keep)


def validated_by_schnetpack(
    record: records.Record, molecules: Molecules, folder, remove: transform.RemoveOffsets
) -> float:
    """The val_loss, eV², of SchNetPack's data module, task and Lightning's trainer on a set of molecules."""
    databases.write(folder / "set.db", molecules)
    everything = np.arange(len(molecules))
    # The set is what the statistics are of and what is validated: SchNetPack's mean comes from the training part.
    np.savez(folder / "split.npz", train_idx=everything, val_idx=everything, test_idx=everything[:0])
    data = AtomsDataModule(
        str(folder / "set.db"),
        batch_size=20,
        split_file=str(folder / "split.npz"),
        format=AtomsDataFormat.ASE,
        load_properties=[ENERGY],
        property_units={ENERGY: "eV"},
        distance_unit="Ang",
        transforms=[remove, transform.MatScipyNeighborList(cutoff=CONFIG.model.data_cutoff), transform.CastTo32()],
        num_workers=0,
    )
    postprocessors = networks.postprocessors(record.offsets(), ENERGY)
    model = networks.build_from(CONFIG.model, fused=False, postprocessors=postprocessors)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in record.state_dict().items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and on what a checkpoint holds
        task = AtomisticTask(
            model,
            outputs=[ModelOutput(ENERGY, loss_fn=torch.nn.MSELoss(), metrics={})],
            optimizer_args={"lr": CONFIG.training.learning_rate},
        )
        trainer = loop.lone_trainer(
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        (found,) = trainer.validate(task, datamodule=data, verbose=False)
    return found["val_loss"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # SchNetPack leaves its splitting.lock where it is
    return tmp_path


def own_offsets() -> transform.RemoveOffsets:
    """As in SchNetPack's tutorial: mean and references come from the data module."""
    return transform.RemoveOffsets(ENERGY, remove_mean=True, remove_atomrefs=True)


def training_offsets(record: records.Record) -> transform.RemoveOffsets:
    table = torch.zeros(100, dtype=torch.float64)  # SchNetPack's data module would give float32, 10⁻⁴ eV off per atom
    for number, energy in qm9.ATOMIC_REFERENCES_U0.items():
        table[number] = energy
    return transform.RemoveOffsets(
        ENERGY,
        remove_mean=True,
        remove_atomrefs=True,
        atomrefs=table,
        property_mean=torch.tensor([record.offsets().mean], dtype=torch.float64),
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_data_module_per_size_gives_the_number_as_reported(record, molecules, folder, size):
    chosen = of_size(molecules, size, record)
    remove = own_offsets()
    found = validated_by_schnetpack(record, chosen, folder, remove)
    expected = protocols.mse(record.groups, "size").loc[size]
    assert np.sqrt(found) == pytest.approx(np.sqrt(expected["as_reported"]), abs=FLOAT32)
    own = offsets.fit(chosen, np.arange(len(chosen))).mean
    assert float(remove.mean) == pytest.approx(own, abs=FLOAT32 / size)
    assert size * abs(own - record.offsets().mean) > 100 * FLOAT32


@pytest.mark.parametrize("size", SIZES)
def test_with_the_training_offsets_it_gives_the_number_held_out(record, molecules, folder, size):
    chosen = of_size(molecules, size, record, held_out=True)
    found = validated_by_schnetpack(record, chosen, folder, training_offsets(record))
    expected = protocols.mse(record.groups, "size").loc[size]
    assert len(chosen) == expected["molecules"]
    assert found == pytest.approx(expected["held_out"], rel=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_the_offset_is_all_that_lies_between_the_two(record, molecules, folder, size):
    """On the same molecules: mean((e + N·Δ)²) = mean(e²) + 2·N·Δ·mean(e) + (N·Δ)², Δ the difference of the means."""
    chosen = of_size(molecules, size, record)
    found = validated_by_schnetpack(record, chosen, folder, training_offsets(record))
    sums = record.groups[(record.groups["kind"] == "size") & (record.groups["group"] == str(size))]
    count, mean_e = sums["molecules"].sum(), sums["sum_e"].sum() / sums["molecules"].sum()
    assert count == len(chosen)
    shift = offsets.fit(chosen, np.arange(len(chosen))).mean - record.offsets().mean
    moved = size * shift
    reported = protocols.mse(record.groups, "size").loc[size, "as_reported"]
    assert found + 2 * moved * mean_e + moved**2 == pytest.approx(reported, rel=1e-3)
    assert abs(found - reported) > 0.05 * reported
