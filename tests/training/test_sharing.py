"""Several processes, on one machine or on several, that train the runs of one folder."""

import multiprocessing
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from pytorch_lightning.callbacks import Callback

from analysis.data.molecules import Molecules
from analysis.runs import failures, records
from analysis.runs.config import RunConfig, adjust
from analysis.training import recording
from tests.waiting import join_all

CONFIG = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 3, "learning_rate": 1e-3},
)
SHORT_LEASE = 1.5


@pytest.fixture(scope="module")
def molecules(qm9_molecules) -> Molecules:
    return qm9_molecules.select(np.arange(0, len(qm9_molecules), 100))


@pytest.fixture(scope="module")
def alone(molecules, tmp_path_factory) -> records.Record:
    """The run as one process records it."""
    return recording.load_or_train(CONFIG, molecules, results=tmp_path_factory.mktemp("alone"), logger=None)


def same(one: records.Record, other: records.Record) -> bool:
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in records.FILES)


class StopIn(Callback):
    """Says that the second epoch has begun, and waits."""

    def __init__(self, reached) -> None:
        self.reached = reached

    def on_train_epoch_start(self, trainer, *_) -> None:
        if trainer.current_epoch == 1:
            self.reached.set()
            time.sleep(3600)


def _train(results: Path, molecules: Molecules, lease: float, host: str | None, reached=None) -> None:
    recording.LEASE_SECONDS, recording._POLL_SECONDS = lease, 0.05
    if host is not None:
        socket.gethostname = lambda: host
    watching = [] if reached is None else [StopIn(reached)]
    recording.load_or_train(CONFIG, molecules, results=results, callbacks=watching, logger=None)


@pytest.mark.parametrize("elsewhere", [None, "node7"])
def test_a_killed_process_is_followed_by_another_that_goes_on_where_it_was(
    elsewhere, molecules, alone, tmp_path, monkeypatch
):
    """On its own machine at once, though the lease lasts an hour; on another when it gave no sign of life."""
    monkeypatch.setattr(recording, "LEASE_SECONDS", SHORT_LEASE if elsewhere else 3600.0)
    context = multiprocessing.get_context("forkserver")
    reached = context.Event()
    first = context.Process(
        target=_train, args=(tmp_path, molecules, recording.LEASE_SECONDS, elsewhere, reached), name="first"
    )
    first.start()
    while not reached.wait(0.1):
        assert first.is_alive()
    folder = tmp_path / "tests" / alone.id
    assert recording.under_way(folder)
    with pytest.raises(failures.UnderWayError, match=f"process {first.pid} on {elsewhere or socket.gethostname()}"):
        recording.load_or_train(CONFIG, molecules, results=tmp_path, wait=False)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second = context.Process(target=_train, args=(tmp_path, molecules, recording.LEASE_SECONDS, None), name="second")
    second.start()
    join_all([second])
    (record,) = records.recorded_folders(tmp_path)
    assert same(records.load(record), alone)
    assert not recording.under_way(folder)


def test_two_that_both_believe_to_have_the_run_leave_one_whole_record(molecules, alone, tmp_path, monkeypatch):
    """While this process evaluates, another records the run: what it recorded stays."""
    folder = tmp_path / "tests" / alone.id
    record = recording._record

    def slow(*arguments) -> Path:
        whole = record(*arguments)
        shutil.copytree(alone.folder, folder)
        return whole

    monkeypatch.setattr(recording, "_record", slow)
    before = (alone.folder / "run.json").read_bytes()
    found = recording.load_or_train(CONFIG, molecules, results=tmp_path, logger=None)
    assert (found.folder / "run.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == [alone.id]


def test_a_process_that_was_taken_over_stops_and_loads_what_the_other_recorded(molecules, alone, tmp_path, monkeypatch):
    """It stands still in the first epoch as if the machine had slept; meanwhile the other records the run."""
    monkeypatch.setattr(recording, "LEASE_SECONDS", 0.3)
    folder = tmp_path / "tests" / alone.id
    epochs = []

    class Sleeps(Callback):
        def on_train_epoch_start(self, trainer, *_) -> None:
            epochs.append(trainer.current_epoch)
            lease = Path(recording._lease(folder).lock_file)
            lease.unlink()  # as one does that takes it over
            shutil.copytree(alone.folder, folder)
            while recording._lease(folder).compromise is None:
                time.sleep(0.01)

    found = recording.load_or_train(CONFIG, molecules, results=tmp_path, callbacks=[Sleeps()], logger=None)
    assert epochs == [0]
    assert same(found, alone)
    assert (found.folder / "run.json").read_bytes() == (alone.folder / "run.json").read_bytes()
    assert not records.partial_folder(folder).exists()


def test_a_lease_on_a_machine_that_is_gone_is_told_from_a_living_one(alone, tmp_path):
    folder = tmp_path / "tests" / alone.id
    lease = Path(recording._lease(folder).lock_file)
    lease.parent.mkdir()
    with recording._lease(folder):
        written = lease.read_text()
    lease.write_text(written.replace(socket.gethostname(), "node7"))
    assert recording.under_way(folder)
    long_ago = time.time() - 2 * recording.LEASE_SECONDS
    os.utime(lease, (long_ago, long_ago))
    assert not recording.under_way(folder)
    assert recording.held(folder)  # until it was watched for as long
