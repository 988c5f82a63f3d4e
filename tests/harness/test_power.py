"""What a power cut may leave of a record, a checkpoint, the cache and a search's storage: whole or nothing."""
# ruff: noqa: E402

import re
import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from analysis.runs import records
from analysis.training.callbacks import read_checkpoint
from harness.robustness.power import Call, Crashes, PowerError, State, _Reading, recorded_calls

PROGRAM = """
import sys
from pathlib import Path

import numpy as np
from pytorch_lightning.callbacks import Callback

from analysis.data import qm9
from analysis.runs.config import RunConfig, adjust
from analysis.study import search, sweeps
from analysis.training import recording
from harness.robustness.power import mark

root = Path(sys.argv[1])
molecules = qm9.load().select(np.arange(0, 130_000, 1000))
qm9.write_cache(root / "cache.safetensors", molecules.select([0, 1]), "0")
mark("cache")


class Marks(Callback):
    def on_train_epoch_start(self, trainer, *_):
        mark(f"epochs {trainer.current_epoch}")


config = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 40, "held_out_molecules": 20},
    model={"n_atom_basis": 4, "n_interactions": 1, "n_rbf": 4},
    training={"batch_size": 20, "epochs": 2, "learning_rate": 1e-3},
)
record = recording.load_or_train(config, molecules, results=root, callbacks=[Marks()], logger=None)
mark("record")
recording.load_or_train = lambda *_, **__: record
mark("search")
census = search._census


def counted(study):  # before each trial and after the last: what is done then can no longer be lost
    found = census(study)
    mark(f"answers {found[-1]}")
    return found


search._census = counted
search.search(sweeps.load_sweep("stage1").fitting("full"), molecules, trials=2, results=root)
mark("searched")
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> tuple[Path, list[Call]]:
    folder = tmp_path_factory.mktemp("power")
    root = folder / "results"
    root.mkdir()
    command = [sys.executable, "-c", PROGRAM, str(root)]
    return root, recorded_calls(command, root, folder / "calls", left_out=(".locks", "logs"), cwd=ROOT)


def test_what_was_recorded_is_what_the_program_left(disk):
    """Nothing that it wrote went unseen, through a map of the memory for instance."""
    root, calls = disk
    there = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    seen = {path: content for path, content in Crashes(calls, bool).last().items() if not path.endswith("/")}
    assert seen == {path: there[path] for path in there if not path.startswith(".locks")}


def put(state: State, folder: Path) -> Path:
    """The state as a folder of files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in state.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(content)
    return folder


def read(state: State, folder: Path) -> tuple[bool, bool, int]:
    """Whether the cache and the record are there, and how many epochs the checkpoint has; all of it read whole."""
    put(state, folder)
    (there,) = [records.load(one) for one in records.recorded_folders(folder)] or [None]
    if there is not None:
        there.state_dict()
    with suppress(FileNotFoundError):
        (path,) = list(folder.glob("tests/.*.partial/last.ckpt")) or [folder / "last.ckpt"]
        return "cache.safetensors" in state, there is not None, read_checkpoint(path)["epoch"] + 1
    return "cache.safetensors" in state, there is not None, 0


READ = re.compile(r"tests/[0-9a-f]{12}/.*|tests/\.\w+\.partial/last\.ckpt|cache\.safetensors")
"""What is looked at when a run is asked for; its record comes into its place under another name."""


def crashes(calls: list[Call]) -> Crashes:
    of_runs = [call.name for call in calls].index("search")
    return Crashes(calls[:of_runs], lambda path: READ.fullmatch(path) is not None)


def test_after_a_power_cut_nothing_is_read_half_and_nothing_recorded_is_lost(disk, tmp_path):
    root, calls = disk
    found = crashes(calls)
    whole = (root / "cache.safetensors").read_bytes()
    seen = set()
    for marks, state in found.all():
        assert state.get("cache.safetensors") in (None, whole)
        cache, record, epochs = read(state, tmp_path / "state")
        begun = max((int(mark.split()[1]) for mark in marks if mark.startswith("epochs")), default=0)
        assert cache or "cache" not in marks
        assert record or "record" not in marks
        assert record or epochs >= begun
        seen.add((cache, record, epochs))
    # before and after each of the five
    assert {(False, False, 0), (True, False, 0), (True, False, 1), (True, False, 2), (True, True, 0)} <= seen
    assert found.states > len(seen)


def test_a_forgotten_sync_is_found(disk, tmp_path):
    """Of a file: its record is read half. Of the folder: a record is lost."""
    _, calls = disk
    node = next(call.node for call in calls if call.what == "make" and call.place[1] == "run.json")
    forgotten = [call for call in calls if (call.what, call.node) != ("sync", node)]
    states = crashes(forgotten).all()
    with pytest.raises(records.RecordError, match=r"run\.json"):
        sum(read(state, tmp_path / "state")[1] for _, state in states)
    (move,) = (call for call in calls if call.what == "move" and call.place[1].startswith("record-"))
    forgotten = [call for call in calls if (call.what, call.node) != ("sync", move.target[0])]
    states = crashes(forgotten).all()
    assert any(not read(state, tmp_path / "state")[1] for marks, state in states if "record" in marks)


def test_after_a_power_cut_a_searchs_storage_is_whole_and_has_every_trial_that_was_answered(disk, tmp_path):
    _, calls = disk
    first = [call.name for call in calls].index("answers 1")
    found = Crashes(calls, lambda path: path.startswith("search.db"), since=first)
    done = set()
    for marks, state in found.all():
        storage = sqlite3.connect(put(state, tmp_path / "state") / "search.db")
        try:
            assert storage.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            ((complete,),) = storage.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchall()
        finally:
            storage.close()
        assert complete >= (2 if "answers 2" in marks else 1)
        done.add(complete)
    assert done == {1, 2}
    assert found.states > 100


def test_what_is_not_understood_is_no_certainty(tmp_path):
    path = "".join(f"\\x{byte:02x}" for byte in bytes(tmp_path / "a"))
    log = [f"1 fallocate(3<{path}>, 0, 0, 10) = 0"]
    with pytest.raises(PowerError, match="fallocate"):
        _Reading(tmp_path, ()).calls(iter(log))
