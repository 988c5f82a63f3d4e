import io
import os
import pickle
import re
import struct
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.runs import console, failures
from analysis.runs.config import RunConfig, adjust
from analysis.training import callbacks, loop

SMALL = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 60, "held_out_molecules": 20},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 20, "epochs": 6, "learning_rate": 2e-3},
)
LINE = re.compile(r"epoch (\d)/6: train (\S+) eV², validation (\S+) eV², \d+ s elapsed, \d+ s to go")


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=40).map(lambda values: np.array(values, np.float32)))
def test_the_extremes_are_the_means_of_the_five_smallest_and_largest(losses):
    lowest, highest = callbacks.extremes(losses)
    ordered = np.sort(losses).astype(np.float64)
    assert lowest == pytest.approx(ordered[:5].mean(), rel=1e-12)
    assert highest == pytest.approx(ordered[-5:].mean(), rel=1e-12)


def test_fewer_than_five_molecules_are_all_taken():
    assert callbacks.extremes(np.array([1, 2, 6], np.float32)) == (3, 3)
    assert callbacks.extremes(np.array([5, 1, 2, 3, 4, 12], np.float32)) == (3, 5.2)


def test_the_curve_per_step_is_thinned_by_means_over_equal_blocks(qm9_molecules, tmp_path, monkeypatch):
    every = loop.train(SMALL, qm9_molecules, tmp_path / "every")
    monkeypatch.setattr(callbacks, "MOST_ROWS", 5)
    thinned = loop.train(SMALL, qm9_molecules, tmp_path / "thinned")
    assert every.steps["step"].tolist() == list(range(1, 19))
    assert thinned.steps["step"].tolist() == [4, 8, 12, 16, 18]  # 18 steps: blocks of 4, and the rest
    for column in ("loss", "lowest", "highest"):
        blocks = np.split(every.steps[column].to_numpy(np.float64), [4, 8, 12, 16])
        np.testing.assert_allclose(thinned.steps[column], [block.mean() for block in blocks], rtol=1e-6)
    np.testing.assert_allclose(thinned.steps["epoch"], thinned.steps["step"] / 3, rtol=1e-6)
    pd.testing.assert_frame_equal(thinned.history, every.history, check_exact=True)


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "block", "rows"), [(1047, 30, 16, 1964), (40, 30, 1, 1200), (205, 22, 3, 1504)]
)
def test_no_curve_has_more_than_2000_rows(steps_per_epoch, epochs, block, rows):
    class Trainer:
        global_step = 0
        max_epochs = epochs
        current_epoch = 0

    class Squared:
        @staticmethod
        def numpy(*, force):
            return np.ones(8, np.float32) if force else None

    curves = callbacks.LearningCurves([steps_per_epoch] * epochs)
    curves.on_train_start(Trainer)
    for step in range(steps_per_epoch * epochs):
        curves.on_train_batch_end(Trainer, None, {callbacks.SQUARED_ERRORS: Squared}, None, step)
    found = curves.steps()
    assert (found["step"][0], len(found)) == (block, rows)
    assert found["step"].iloc[-1] == steps_per_epoch * epochs
    assert (found["loss"] == 1).all()


def test_a_validation_loss_that_is_not_finite_stops_the_training():
    class Trainer:
        current_epoch = 2
        callback_metrics = {"val_loss": float("nan")}  # noqa: RUF012

    with pytest.raises(failures.TrainingDivergedError, match="the validation loss became nan in epoch 3"):
        callbacks.LearningCurves([1]).on_train_epoch_end(Trainer)


class Squared:
    """What a step hands on: one molecule's squared error."""

    def __init__(self, value: float) -> None:
        self._value = np.array([value], np.float32)

    def numpy(self, *, force):  # noqa: ARG002
        return self._value


def test_a_loss_that_grew_ten_thousandfold_has_exploded():
    class Trainer:
        global_step = current_epoch = 0
        callback_metrics = {"val_loss": 5e4}  # noqa: RUF012

    curves = callbacks.LearningCurves([4])
    for step, loss in enumerate([4.0, 0.1, 3.9e4]):
        curves.on_train_batch_end(Trainer, None, {callbacks.SQUARED_ERRORS: Squared(loss)}, {}, step)
    resumed = callbacks.LearningCurves([4])
    resumed.load_state_dict(curves.state_dict())
    for each in (curves, resumed):
        with pytest.raises(
            failures.TrainingDivergedError, match=r"the loss exploded from 4 to 4.1e.04 eV² in epoch 1, st"
        ):
            each.on_train_batch_end(Trainer, None, {callbacks.SQUARED_ERRORS: Squared(4.1e4)}, {}, 3)
        with pytest.raises(
            failures.TrainingDivergedError, match=r"validation loss exploded from 4 to 5e.04 eV² in epoch"
        ):
            each.on_train_epoch_end(Trainer)


def test_the_heaviest_molecule_of_a_step_is_named():
    batch = {"loss_weight": torch.tensor([1.0, 3.25, 2.0]), "_n_atoms": torch.tensor([17, 21, 25])}
    assert callbacks._largest_weight(batch) == "where the largest loss weight was 3.25, of a molecule of 21 atoms"
    batch["loss_weight"][0] = torch.nan
    assert callbacks._largest_weight(batch) == "where the largest loss weight was nan, of a molecule of 17 atoms"


# ---- checkpoints ---------------------------------------------------------------------------------------------------


CONTENT = {"epoch": 3, "weights": torch.arange(1000.0), "rows": [{"loss": 0.5}]}


def test_a_checkpoint_comes_back_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "new" / "last.ckpt"
    for epoch in (2, 3):
        callbacks.WholeCheckpoints().save_checkpoint(CONTENT | {"epoch": epoch}, path)
    found = callbacks.WholeCheckpoints().load_checkpoint(path, weights_only=False)
    assert found["epoch"] == 3
    assert torch.equal(found["weights"], CONTENT["weights"])
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_is_written_beside_its_place_and_nowhere_else(tmp_path, monkeypatch):
    """Lightning's own goes by way of the system's temporary folder, from where it is copied if that is another disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(path.name for path in (tmp_path / "run").iterdir()))
    callbacks.WholeCheckpoints().save_checkpoint(CONTENT, tmp_path / "run" / "last.ckpt")
    name, *after = seen  # the file, then its folder with the file in its place
    assert re.fullmatch(r"\.last\.ckpt\..*\.partial", name)
    assert after == ["last.ckpt"]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, full_disk):
    path = tmp_path / "last.ckpt"
    callbacks.WholeCheckpoints().save_checkpoint(CONTENT, path)
    before = path.read_bytes()
    with full_disk(2000), pytest.raises(OSError, match=str(path)):
        callbacks.WholeCheckpoints().save_checkpoint(CONTENT | {"epoch": 4}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Hostile:
    """A pickle of it runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("wrapped", [True, False], ids=["as torch writes it", "a bare pickle"])
def test_loading_a_checkpoint_executes_nothing(tmp_path, wrapped):
    path, touched = tmp_path / "last.ckpt", tmp_path / "touched"
    hostile = {"epoch": 1, "callbacks": Hostile(f"touch {touched}")}
    if wrapped:
        torch.save(hostile, path)
    else:
        path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(failures.CheckpointError, match=f"{path} can't be read .*; delete {tmp_path} to train"):
        callbacks.read_checkpoint(path)
    assert not touched.exists()
    torch.load(path, weights_only=False) if wrapped else pickle.loads(path.read_bytes())  # noqa: S301 - it is hostile
    assert touched.exists()


def test_a_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    """torch takes the weights as they are."""
    path = tmp_path / "last.ckpt"
    callbacks.WholeCheckpoints().save_checkpoint(CONTENT, path)
    content = bytearray(path.read_bytes())
    where = content.find(struct.pack("<3f", 500, 501, 502))
    content[where] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], CONTENT["weights"])
    with pytest.raises(failures.CheckpointError, match="checksum of"):
        callbacks.read_checkpoint(path)


def test_a_missing_checkpoint_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        callbacks.read_checkpoint(tmp_path / "last.ckpt")


# ---- the progress display ------------------------------------------------------------------------------------------


def test_a_log_file_gets_one_plain_line_per_epoch(qm9_molecules, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(callbacks, "_LINE_SECONDS", 0)
    trained = loop.train(SMALL, qm9_molecules, tmp_path, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "\r" not in shown.err
    assert "\x1b" not in shown.err
    matches = [LINE.fullmatch(line) for line in shown.err.splitlines()]
    assert [int(match[1]) for match in matches] == [1, 2, 3, 4, 5, 6]
    for match, row in zip(matches, trained.history.itertuples(), strict=True):
        assert float(match[2]) == pytest.approx(row.train_loss, rel=1e-3)
        assert float(match[3]) == pytest.approx(row.validation_loss, rel=1e-3)
    assert matches[-1].string.endswith(" 0 s to go")


def test_fast_epochs_do_not_fill_a_log_file(qm9_molecules, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(callbacks, "_LINE_SECONDS", 3600)
    loop.train(SMALL, qm9_molecules, tmp_path, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert [LINE.fullmatch(line)[1] for line in lines] == ["1", "6"]


def test_without_progress_nothing_is_printed(qm9_molecules, tmp_path, capfd):
    loop.train(SMALL, qm9_molecules, tmp_path)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_bar(qm9_molecules, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(callbacks, "_BAR_SECONDS", 0)
    loop.train(SMALL, qm9_molecules, tmp_path, progress=True)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert shown.count("\n") == 1  # it stays, and the prompt begins on a line of its own
    last = shown.rstrip("\n").split("\r")[-1]
    assert last.startswith("100%|")
    assert LINE.search(last)[1] == "6"


def test_a_bar_is_not_drawn_at_every_step(qm9_molecules, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(callbacks, "_BAR_SECONDS", 3600)
    loop.train(SMALL, qm9_molecules, tmp_path, progress=True)
    assert terminal.getvalue().count("%|") <= 4  # at the start, the first step, the end, and when it is closed


def test_a_notebook_gets_one_line_that_is_replaced(tmp_path):
    """In a real kernel: the output that stays in the file is a single line, with the state at the end."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    source = f"""
from pathlib import Path
from analysis.data import qm9
from analysis.training import callbacks, loop as training
from analysis.runs.config import RunConfig
callbacks._DISPLAY_SECONDS = 0
config = RunConfig.model_validate_json({SMALL.model_dump_json()!r})
trained = training.train(config, qm9.load(), Path({str(tmp_path)!r}), progress=True)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert LINE.fullmatch(output.data["text/plain"])[1] == "6"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (5280, "1 h 28 min")],
)
def test_times_are_readable(seconds, said):
    assert console.clock(seconds) == said
