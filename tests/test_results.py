"""The committed records: whole, of the molecules that are here, and made by training."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.special import huber

from analysis import study
from analysis.data import frames
from analysis.runs import protocols, records, selection
from analysis.runs.config import LABELLED, Data
from analysis.training import repetition

FRAMES = {"xtb-md": "0bccc3dcd648603cff84361602bfac78bf0f08b7e661f3e6d31865b7fd4710b3"}
"""What their names mean: a run's id holds the name alone, so that other frames need another one."""
FOLDERS = sorted(path.parent for path in records.results_folder().glob("*/*/run.json"))


def test_there_are_records_and_they_stay_small():
    assert {folder.parent.name for folder in FOLDERS} >= {"baseline", "final-comparison"}
    # Git keeps all of them; those that are made to compare errors alone have no weights
    assert sum(path.stat().st_size for folder in FOLDERS for path in folder.iterdir()) < 120e6


@pytest.mark.parametrize("name", LABELLED)
def test_frames_are_those_that_runs_of_this_name_learn_from(name, qm9_molecules):
    labelled = frames.read(selection.frames_folder(), name, qm9_molecules)
    assert labelled.molecules.fingerprint() == FRAMES[name]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def record(request) -> records.Record:
    """Each record in turn, loaded once for all that is asked of it."""
    record = records.load(request.param)  # schema, id and checksums
    assert record.config.experiment == request.param.parent.name
    return record


@pytest.fixture(scope="module")
def split_of(qm9_molecules) -> Callable[[Data], tuple[str, np.ndarray]]:
    """The split's fingerprint and the held-out molecules' indices, drawn once for all runs that share a split."""

    @cache
    def drawn(data: Data) -> tuple[str, np.ndarray]:
        chosen = selection.choose_molecules(qm9_molecules, data)
        return chosen.parts.fingerprint(chosen.molecules), np.sort(chosen.molecules.index[chosen.parts.held_out])

    return drawn


def test_a_record_is_whole_and_of_these_molecules(record, qm9_molecules, split_of):
    assert record.about["molecules_fingerprint"] == qm9_molecules.fingerprint()
    assert len(record.history) == record.config.epochs
    if record.config.data.geometries == "mixed":  # which molecules have one takes an hour to find
        _, drawn = split_of(record.config.data.model_copy(update={"geometries": "qm9"}))
        assert np.isin(record.errors["index"], drawn).all()
        assert len(record.errors) > 0.95 * len(drawn)
        return
    fingerprint, held_out = split_of(record.config.data)
    assert record.about["split_fingerprint"] == fingerprint
    np.testing.assert_array_equal(held_out, record.errors["index"])


def test_a_records_errors_and_sums_tell_the_same(record):
    by_size = protocols.mse(record.groups, "size")["held_out"].dropna()
    squared = record.errors["error"].astype(float) ** 2
    rounded = records.ROUNDED if record.config.training.settled else 0.0
    largest = record.errors["error"].abs().groupby(record.errors["n_atoms"]).max().to_numpy()
    apart = np.abs(squared.groupby(record.errors["n_atoms"]).mean() - by_size)
    assert (apart <= 1e-5 * by_size + rounded * largest + rounded**2).all()
    losses, loss = squared, record.config.loss
    if loss.form == "huber":
        losses = huber(loss.huber_delta, record.errors["error"].astype(float))
    here = ~record.errors["test"]
    validation, tolerance = losses[here].mean(), 1e-3 if rounded else 1e-4
    if loss.forces:
        of_forces = record.forces[record.forces["index"].isin(record.errors["index"][here])]
        squared_force = of_forces["squared"].sum() / (3 * of_forces["atoms"].sum())
        validation = (1 - loss.forces) * validation + loss.forces * squared_force
        tolerance = 1e-3  # its batches have as many molecules, and not as many atoms
    assert record.history["validation_loss"].iloc[-1] == pytest.approx(validation, rel=tolerance)


def test_the_tiny_record_is_what_training_it_again_gives(qm9_molecules):
    """Bit for bit where the record was made; elsewhere processors round in another way, within a tolerance."""
    (config,) = study.BaselineParameters(profile="smoke", seeds=[0]).configs(qm9_molecules)
    folder = records.folder_of(config, qm9_molecules.fingerprint(), records.results_folder())
    record = records.load(folder, expected=config)
    with repetition.trained_again(record, qm9_molecules) as again:
        found = repetition.compare(record, again)
    assert found.within_tolerance, found
