"""Training on forces: what a batch holds, what the loss is, what is recorded, and that all of it is the network's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import platformdirs
import pytest
import torch
from pydantic import ValidationError
from schnetpack import properties
from schnetpack.transform import ASENeighborList

from analysis import study
from analysis.data import frames, qm9, splits
from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.predict.dynamics import ForceCalculator
from analysis.predict.ensemble import Ensemble, PredictError
from analysis.runs import records, selection
from analysis.runs.config import RunConfig, adjust
from analysis.training import loop, networks, recording, repetition
from analysis.training.batches import ENERGY, FORCES, PackedMolecules

SMALL = RunConfig(
    experiment="forces",
    data={"geometries": "xtb-md"},
    model={"representation": "painn", "n_atom_basis": 16, "n_interactions": 2},
    training={"offsets": "least-squares", "batch_size": 16, "epochs": 6, "learning_rate": 3e-3},
    loss={"forces": 0.9},
)


def of_pairs(molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
    """A potential that is known: exp(−d) of each pair, eV, and its forces, eV/Å."""
    energy, forces = np.zeros(len(molecules)), np.zeros_like(molecules.positions)
    for one, (start, stop) in enumerate(zip(molecules.offsets, molecules.offsets[1:], strict=False)):
        apart = molecules.positions[start:stop, None] - molecules.positions[None, start:stop]
        d = np.linalg.norm(apart, axis=2) + np.eye(stop - start)
        of_pair = np.exp(-d) * (1 - np.eye(stop - start))
        energy[one] = of_pair.sum() / 2
        forces[start:stop] = (of_pair[..., None] * apart / d[..., None]).sum(axis=1)
    return energy, forces


@pytest.fixture(scope="module")
def some(few_molecules):
    """A hundred molecules."""
    return few_molecules.select(np.arange(0, len(few_molecules), 2))


@pytest.fixture(scope="module")
def labelled(some, tmp_path_factory):
    """All but every tenth of them have a frame, which lies where runs look for it."""
    own = some.select(np.flatnonzero(np.arange(len(some)) % 10 != 0))
    moved = np.random.default_rng(0).normal(scale=0.05, size=own.positions.shape)
    where = Molecules(
        index=own.index,
        n_atoms=own.n_atoms,
        numbers=own.numbers,
        positions=frames.rounded(own.positions + moved),
        energy=own.energy,
        smiles=own.smiles,
    )
    energy, forces = of_pairs(where)
    found = frames.Labelled(
        Molecules(where.index, where.n_atoms, where.numbers, where.positions, energy, where.smiles), forces, "of pairs"
    )
    folder = tmp_path_factory.mktemp("results")
    (folder / "frames").mkdir()
    frames.write(
        folder / "frames" / "xtb-md-00.parquet", found, own, np.ones(len(own)), protocol={"by": "a test"}, versions={}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(records.RESULTS_VARIABLE, str(folder))
        yield found
    selection._split.cache_clear()


@pytest.fixture(scope="module")
def record(some, labelled):
    del labelled
    return recording.load_or_train(SMALL, some, logger=None)


def test_a_batch_has_the_forces_of_its_atoms(labelled):
    molecules = labelled.molecules
    packed = PackedMolecules(
        molecules, neighbour_pairs(molecules, 5.0), targets=molecules.energy, forces=labelled.forces
    )
    for stock in (False, True):
        batch = packed.batch(np.array([7, 3]), stock=stock)
        of_both = [labelled.forces[molecules.offsets[m] : molecules.offsets[m + 1]] for m in (7, 3)]
        assert np.array_equal(batch[FORCES], np.concatenate(of_both).astype(np.float32))
    with pytest.raises(ValueError, match="atoms"):
        PackedMolecules(molecules, packed.pairs, targets=molecules.energy, forces=labelled.forces[1:])


def test_only_molecules_with_a_frame_are_chosen_each_in_the_part_that_the_database_gives_it(some, labelled):
    chosen = selection.choose_molecules(some, SMALL.data)
    whole = splits.split(some, SMALL.data.split_seed, SMALL.data.held_out)
    for part in ("train", "validation", "test"):
        ours = chosen.molecules.index[getattr(chosen.parts, part)]
        expected = np.intersect1d(some.index[getattr(whole, part)], labelled.molecules.index)
        assert sorted(ours) == sorted(expected)
    place = np.searchsorted(labelled.molecules.index, chosen.molecules.index)
    again = labelled.select(place)
    assert np.array_equal(chosen.molecules.positions, again.molecules.positions)
    assert np.array_equal(chosen.molecules.energy, again.molecules.energy)
    assert np.abs(chosen.forces - again.forces).max() <= frames.FORCE / 2 + 1e-9


@pytest.mark.parametrize("convolution", ["fused", "stock"])
def test_the_loss_is_what_its_definition_says(some, labelled, convolution):
    del labelled
    config = adjust(SMALL, model={"convolution": convolution})
    chosen, _, packed = loop.pack(config, some)
    torch.manual_seed(0)
    model = networks.build_from(config.model, forces=True)
    task = loop.EnergyTask(model, loop.WeightedOutput(ENERGY, share=0.1), settings=config.training, forces=0.9)
    batch = packed.batch(np.arange(8), stock=convolution == "stock")
    true = {key: batch[key].numpy().astype(float) for key in (ENERGY, FORCES)}
    found = task.predict_without_postprocessing(dict(batch))
    off = {key: found[key].detach().numpy() - values for key, values in true.items()}
    expected = 0.1 * np.mean(off[ENERGY] ** 2) + 0.9 * np.mean(off[FORCES] ** 2)
    assert float(task.batch_loss(dict(batch)).detach()) == pytest.approx(expected, rel=1e-5)
    del chosen


@pytest.mark.parametrize("representation", ["painn", "schnet"])
def test_recorded_errors_of_forces_are_those_of_schnetpacks_own_network_in_double_precision(
    some, labelled, representation
):
    config = adjust(SMALL, model={"representation": representation}, training={"epochs": 2})
    record = recording.load_or_train(config, some, logger=None)
    model = networks.build_from(config.model, fused=False, forces=True).double()
    model.load_state_dict(
        {
            name: torch.from_numpy(value)
            for name, value in record.state_dict().items()
            if not name.startswith("postprocessors")
        }
    )
    model.eval()
    offsets, neighbours = record.offsets(), ASENeighborList(config.model.data_cutoff)
    for index, of_molecule in list(record.forces.groupby("index"))[:6]:
        (place,) = np.flatnonzero(labelled.molecules.index == index)
        one = labelled.select(np.array([place]))
        atoms = one.molecules
        batch = neighbours(
            {
                properties.Z: torch.from_numpy(atoms.numbers.astype(np.int64)),
                properties.R: torch.from_numpy(atoms.positions.copy()),
                properties.cell: torch.zeros(3, 3, dtype=torch.float64),
                properties.pbc: torch.zeros(3, dtype=torch.bool),
            }
        )
        batch |= {
            properties.n_atoms: torch.tensor([len(atoms.numbers)]),
            properties.idx_m: torch.zeros(len(atoms.numbers), dtype=torch.int64),
        }
        found = model(batch)
        off = np.abs(found[FORCES].detach().numpy() - one.forces).sum(axis=1)
        for row in of_molecule.itertuples():
            of_element = off[atoms.numbers == row.element]
            assert row.atoms == len(of_element)
            # forces in the file are rounded by half of `frames.FORCE` at most
            assert row.absolute == pytest.approx(of_element.sum(), abs=2e-3 * 3 * row.atoms)
        error = record.errors.set_index("index").loc[index, "error"]
        learnt = atoms.energy - offsets.of(atoms)
        assert error == pytest.approx(float(found[ENERGY].detach()[0] - learnt[0]), abs=1e-4)


def test_its_energies_are_not_taken_for_u0(record):
    with pytest.raises(PredictError, match=rf"{record.id} .*\(xtb-md\), which are not U0"):
        Ensemble([record])


def test_a_repetition_is_compared_in_its_forces_too(record):
    assert repetition.compare(record, record).identical
    other = replace(record, forces=record.forces.assign(squared=2 * record.forces["squared"]))
    differing = [part.part for part in repetition.compare(record, other).parts if not part.none]
    assert differing == ["sums of the forces' errors"]


def test_forces_are_learnt(some, record):
    """From the labels, and much less from the same frames' energies."""
    untrained = recording.load_or_train(adjust(SMALL, training={"epochs": 1, "learning_rate": 1e-8}), some, logger=None)
    errors = {run.id: run.forces["squared"].sum() for run in (record, untrained)}
    assert errors[record.id] < 0.3 * errors[untrained.id]
    alone = recording.load_or_train(adjust(SMALL, loss={"forces": 0.0}), some, logger=None)
    assert alone.forces["squared"].sum() > errors[record.id]


def test_the_record_has_a_row_per_held_out_molecule_and_element(some, record):
    chosen = selection.choose_molecules(some, SMALL.data)
    held_out = chosen.molecules.select(chosen.parts.held_out)
    assert set(record.forces["index"]) == set(held_out.index)
    atoms = record.forces.groupby("index")["atoms"].sum()
    assert (atoms.loc[held_out.index] == held_out.n_atoms).all()
    assert not record.forces.duplicated(["index", "element"]).any()
    assert isinstance(record.forces, pd.DataFrame)
    assert (record.forces[["absolute", "squared"]] >= 0).all(axis=None)


def test_validation_and_training_losses_are_the_whole_losses(record):
    history = record.history
    assert (history["validation_loss"] > 0).all()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    held_out = record.forces.merge(record.errors[["index", "test"]], on="index")
    validation = held_out[~held_out["test"]]
    of_forces = validation["squared"].sum() / (3 * validation["atoms"].sum())
    errors = record.errors[~record.errors["test"]]["error"]
    expected = 0.1 * float((errors**2).mean()) + 0.9 * of_forces
    assert history["validation_loss"].iloc[-1] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": {"geometries": "qm9"}}, "no forces to learn"),
        ({"training": {"offsets": "references-mean"}}, "least-squares"),
        ({"training": {"settled": 0.1}}, "two ends"),
        ({"loss": {"form": "huber"}}, "squared"),
        ({"loss": {"weighting": "size", "rate": 2.0}}, "squared"),
    ],
)
def test_what_can_not_be_trained_is_refused(changes, reason):
    with pytest.raises(ValidationError, match=reason):
        adjust(SMALL, **changes)


def test_a_calculator_knows_the_frames_that_its_models_have_learnt_from(some, record, monkeypatch, tmp_path):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_: tmp_path)
    monkeypatch.setattr(qm9, "load", lambda: some)
    domain = ForceCalculator([record]).domain
    chosen = selection.choose_molecules(some, SMALL.data)
    for part, all_known in ((chosen.parts.train, True), (chosen.parts.held_out, False)):
        molecules = chosen.molecules.select(part)
        warned = domain.warnings_by_kind(molecules, np.full(len(molecules), np.nan))
        assert (warned == [{}] * len(molecules)) == all_known
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(frames, "fingerprint", lambda *_: "of other frames")
    ForceCalculator([record]).domain  # noqa: B018
    assert {kept} < set(tmp_path.iterdir())


def test_the_frames_in_the_repository_can_be_trained_on(qm9_molecules, monkeypatch):
    monkeypatch.delenv(records.RESULTS_VARIABLE, raising=False)
    config = study.ForcesParameters(profile="smoke", seeds=[0]).configs(qm9_molecules)[0]
    chosen, _, packed = loop.pack(config, qm9_molecules)
    assert (len(chosen.parts.train), len(chosen.parts.held_out)) == (200, 300)
    assert 0.5 < np.abs(packed.targets).mean() < 20  # eV: what atoms by themselves do not explain
    assert 0.5 < np.sqrt((chosen.forces**2).mean()) < 3  # eV/Å
