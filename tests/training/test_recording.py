import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from analysis.data import offsets, splits
from analysis.data.neighbours import neighbour_pairs
from analysis.runs import failures, protocols, records, selection
from analysis.runs.config import RunConfig, adjust
from analysis.training import callbacks, loop, networks, recording, repetition
from analysis.training.batches import ENERGY, PackedMolecules
from fused import choice as fused_choice

PACKAGE = Path(recording.__file__).parents[1]
CONFIG = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 2, "learning_rate": 1e-3},
)


@pytest.fixture(scope="module")
def recorded(qm9_molecules, tmp_path_factory) -> records.Record:
    return recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path_factory.mktemp("results"))


@pytest.fixture
def copy(recorded, tmp_path) -> Path:
    """The record's folder, free to be damaged."""
    return Path(shutil.copytree(recorded.folder, tmp_path / "tests" / recorded.id))


def test_a_record_is_loaded_and_not_trained_again(recorded, qm9_molecules, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "train", refuse)
    again = recording.load_or_train(CONFIG, qm9_molecules, results=recorded.folder.parent.parent)
    pd.testing.assert_frame_equal(again.errors, recorded.errors)
    pd.testing.assert_frame_equal(again.history, recorded.history)
    pd.testing.assert_frame_equal(again.steps, recorded.steps)


def test_nothing_is_left_beside_the_record(recorded):
    assert [path.name for path in recorded.folder.parent.iterdir()] == [recorded.id]
    names = {path.name for path in recorded.folder.iterdir()}
    assert names == {
        "run.json",
        "history.csv",
        "steps.parquet",
        "errors.parquet",
        "groups.csv",
        "model.safetensors",
    }


def test_the_log_lies_beside_the_experiments(recorded):
    results = recorded.folder.parent.parent
    log = pd.read_csv(results / "logs" / "tests" / recorded.id / "version_0" / "metrics.csv")
    np.testing.assert_array_equal(log["validation_loss"], recorded.history["validation_loss"])


def test_what_a_run_trained_with_is_freed_when_it_has_ended(qm9_molecules, tmp_path):
    """Else a study of many runs fills the memory; by itself the collector comes too seldom."""

    def alive() -> int:
        return sum(type(each) in (pl.Trainer, PackedMolecules) for each in gc.get_objects())

    gc.collect()
    before = alive()
    gc.disable()
    try:
        recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path, logger=None)
        assert alive() == before
    finally:
        gc.enable()


def begun_with(recorded: records.Record, **training) -> RunConfig:
    going_on = recorded.config.model_copy(update={"experiment": "going-on", "start": f"tests/{recorded.id}"})
    return adjust(going_on, training={"epochs": 1, **training})


def test_a_run_begins_with_the_weights_and_offsets_of_the_record_it_names(recorded, qm9_molecules, tmp_path):
    results = shutil.copytree(recorded.folder.parents[1], tmp_path / "results")
    still = recording.load_or_train(begun_with(recorded, learning_rate=1e-12), qm9_molecules, results=results)
    np.testing.assert_allclose(still.errors["error"], recorded.errors["error"], atol=1e-5)
    assert still.offsets() == recorded.offsets()
    # Trained again it is the same, though its folder is another.
    with repetition.trained_again(still, qm9_molecules) as again:
        assert repetition.compare(still, again).within_tolerance


def test_a_run_whose_beginning_is_missing_or_of_another_network_is_refused(recorded, qm9_molecules, tmp_path):
    config = begun_with(recorded)
    with pytest.raises(failures.StartError, match=f"tests/{recorded.id}, which is not recorded in .*: train it first"):
        recording.load_or_train(config, qm9_molecules, results=tmp_path)
    wider = adjust(config, model={"n_atom_basis": 16})
    with pytest.raises(failures.StartError, match="whose network has other settings"):
        recording.load_or_train(wider, qm9_molecules, results=recorded.folder.parents[1])
    assert not list(tmp_path.rglob("run.json"))


def test_callbacks_and_logger_reach_the_training(qm9_molecules, tmp_path):
    class Counter(callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, *_):
            self.steps += 1

    counter = Counter()
    recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path, callbacks=[counter], logger=None)
    assert counter.steps == 8
    assert not (tmp_path / "logs").exists()
    with pytest.raises(loop.LoggerError, match="no logger 'mlflow'"):
        recording.load_or_train(CONFIG.model_copy(update={"seed": 1}), qm9_molecules, results=tmp_path, logger="mlflow")


def test_the_learning_curve_per_step_is_recorded(recorded):
    assert list(recorded.steps.columns) == ["step", "epoch", "loss", "lowest", "highest"]
    assert recorded.steps["step"].tolist() == list(range(1, 9))
    assert (recorded.steps["lowest"] <= recorded.steps["loss"]).all()
    assert (recorded.steps["loss"] <= recorded.steps["highest"]).all()
    per_epoch = recorded.steps["loss"].to_numpy().reshape(2, 4).mean(axis=1)
    np.testing.assert_allclose(per_epoch, recorded.history["train_loss"], rtol=1e-6)


def test_a_record_of_the_first_schema_is_refused_with_what_to_do(copy, qm9_molecules):
    """They had no learning curve per step."""

    def downgrade(about):
        about["schema_version"] = 1
        del about["sha256"]["steps.parquet"]

    edit(copy / "run.json", downgrade)
    (copy / "steps.parquet").unlink()
    with pytest.raises(records.RecordError, match=r"schema version 1, this code reads 2 and 3: .* delete .* to train"):
        recording.load_or_train(CONFIG, qm9_molecules, results=copy.parent.parent)


def test_run_json_says_what_was_run(recorded, qm9_molecules):
    about = recorded.about
    assert about["id"] == recorded.id == CONFIG.run_id(qm9_molecules.fingerprint())
    assert RunConfig.model_validate_json(json.dumps(about["config"])) == CONFIG == recorded.config
    assert about["molecules"] == {"train": 100, "validation": 25, "test": 25, "left_out": 0}
    assert about["seconds"].keys() == {"data", "training", "validation", "evaluation"}
    assert {"python", "torch", "schnetpack"} <= about["versions"].keys()
    assert about["machine"]["cores"] >= 1
    assert about["machine"].keys() >= {"processor", "architecture", "threads"}
    assert about["machine"]["loops"] == str(fused_choice.default())
    assert about["last_epoch"]["validation_loss"] == recorded.history["validation_loss"].iloc[-1]
    assert about["schema_version"] == records.SCHEMA_VERSION


def test_the_outline_needs_run_json_alone(recorded, tmp_path):
    folder = tmp_path / "tests" / recorded.id
    folder.mkdir(parents=True)
    shutil.copy(recorded.folder / "run.json", folder)
    outline = records.outline(folder, expected=CONFIG)
    assert (outline.id, outline.config, outline.about) == (recorded.id, CONFIG, recorded.about)
    assert outline.seconds == pytest.approx(sum(recorded.about["seconds"].values()))
    assert outline.validation_loss == recorded.history["validation_loss"].iloc[-1]
    with pytest.raises(records.RecordError, match="another run"):
        records.outline(folder, expected=adjust(CONFIG, training={"epochs": 3}))


def test_recorded_folders_are_those_of_records(tmp_path):
    for name in (
        "b/0123456789ab",
        "a/ffffffffffff",
        "a/.0123456789ab.partial",
        "logs/000000000000",
        "a/other",
        ".locks/000000000000",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "search.db").write_text("")
    assert records.recorded_folders(tmp_path) == [tmp_path / "a/ffffffffffff", tmp_path / "b/0123456789ab"]
    assert records.recorded_folders(tmp_path / "none") == []


def test_the_finished_epochs_of_a_run_under_way(recorded, tmp_path):
    folder = tmp_path / "tests" / recorded.id
    assert recording.finished_epochs(folder) is None
    partial = folder.with_name(f".{recorded.id}.partial")
    partial.mkdir(parents=True)
    assert recording.finished_epochs(folder) == 0
    torch.save({"epoch": 1}, partial / "last.ckpt")
    assert recording.finished_epochs(folder) == 2
    torch.save([], partial / "last.ckpt")
    with pytest.raises(failures.CheckpointError, match=r"last\.ckpt can't be read"):
        recording.finished_epochs(folder)


def test_the_errors_are_those_of_the_held_out_molecules(recorded, qm9_molecules):
    held_out = splits.split(qm9_molecules).held_out
    assert set(recorded.errors["index"]) <= set(qm9_molecules.index[held_out])
    assert len(recorded.errors) == 50
    assert recorded.errors["test"].sum() == 25
    sizes = dict(zip(qm9_molecules.index, qm9_molecules.n_atoms, strict=True))
    assert all(
        sizes[row.index_] == row.n_atoms for row in recorded.errors.rename(columns={"index": "index_"}).itertuples()
    )
    general = protocols.mse(recorded.groups, "all").loc["all", "held_out"]
    assert np.mean(recorded.errors["error"].astype(float) ** 2) == pytest.approx(general, rel=1e-6)


def test_the_recorded_model_gives_the_recorded_errors(recorded, qm9_molecules):
    trained = selection.choose_molecules(qm9_molecules, CONFIG.data).molecules
    model = networks.build_from(CONFIG.model, postprocessors=networks.postprocessors(recorded.offsets(), ENERGY))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in recorded.state_dict().items()})
    held_out = trained.select(np.isin(trained.index, recorded.errors["index"]))
    targets = held_out.energy - recorded.offsets().of(held_out)
    packed = loop.PackedMolecules(held_out, loop.neighbour_pairs(held_out, 5.0), targets=targets)
    e = loop.predict_errors(model, packed, np.arange(len(held_out)))
    np.testing.assert_allclose(e, recorded.errors["error"], atol=1e-5)


def test_the_weights_are_plain_tensors(recorded):
    state = recorded.state_dict()
    assert sum(value.size for name, value in state.items() if "postprocessors" not in name) >= 100
    assert all(isinstance(value, np.ndarray) for value in state.values())
    assert (recorded.folder / "model.safetensors").stat().st_size < 200_000


def edit(path: Path, change) -> None:
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "history.csv").unlink(), "history.csv is missing"),
        (lambda folder: (folder / "steps.parquet").unlink(), "steps.parquet is missing"),
        (lambda folder: (folder / "errors.parquet").write_bytes(b"PAR1"), "errors.parquet is not what was recorded"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json can't be read"),
        (lambda folder: (folder / "run.json").unlink(), "run.json can't be read"),
        (lambda folder: edit(folder / "run.json", lambda a: a.update(schema_version=99)), "schema version 99"),
        (lambda folder: edit(folder / "run.json", lambda a: a["config"].update(seed=9)), "run.json was edited"),
        (
            lambda folder: edit(folder / "run.json", lambda a: a["config"].update(sed=9)),
            r"is wrong in config\.sed: Extra inputs",
        ),
        (lambda folder: edit(folder / "run.json", lambda a: a.pop("sha256")), "lacks .*sha256"),
    ],
)
def test_a_damaged_record_is_named_and_refused(copy, qm9_molecules, damage, said):
    damage(copy)
    with pytest.raises(records.RecordError, match=said) as caught:
        recording.load_or_train(CONFIG, qm9_molecules, results=copy.parent.parent)
    assert copy.name in str(caught.value)
    assert copy.exists()


def test_a_record_under_another_runs_id_is_refused(copy, qm9_molecules):
    other = CONFIG.model_copy(update={"seed": 1})
    copy.rename(copy.with_name(other.run_id(qm9_molecules.fingerprint())))
    with pytest.raises(records.RecordError, match="was edited or moved"):
        recording.load_or_train(other, qm9_molecules, results=copy.parent.parent)


def test_a_run_that_fails_leaves_no_record(qm9_molecules, tmp_path):
    with pytest.raises(failures.TrainingDivergedError):
        recording.load_or_train(adjust(CONFIG, training={"learning_rate": 1e20}), qm9_molecules, results=tmp_path)
    assert [path.name for path in (tmp_path / "tests").iterdir() if not path.name.startswith(".")] == []


def _record_in_process(results: Path, molecules) -> str:
    return recording.load_or_train(CONFIG, molecules, results=results).id


def test_two_processes_that_ask_for_one_run_share_its_record(tmp_path, qm9_molecules):
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        ids = pool.starmap(
            _record_in_process, [(tmp_path, qm9_molecules.select(np.arange(0, len(qm9_molecules), 50)))] * 2
        )
    assert len(set(ids)) == 1
    assert [path.name for path in (tmp_path / "tests").iterdir()] == [ids[0]]


# ---- what users, laptops and time do to a record -------------------------------------------------------------------


def values_of(about: object, path: tuple = ()) -> list[tuple]:
    """The place of every value in what JSON holds."""
    if isinstance(about, dict):
        return [place for key, value in about.items() for place in values_of(value, (*path, key))]
    return [path]


def test_a_value_of_run_json_that_was_edited_is_refused_whichever_it_is(copy):
    about = json.loads((copy / "run.json").read_text())
    places = values_of(about)
    assert len(places) > 50
    for *where, key in places:
        edited = json.loads(json.dumps(about))
        part = edited
        for name in where:
            part = part[name]
        part[key] = part[key] + 1 if isinstance(part[key], int | float) else f"{part[key]} "
        (copy / "run.json").write_text(json.dumps(edited))
        with pytest.raises(records.RecordError, match=copy.name):
            records.outline(copy)


def test_a_record_whose_weights_were_taken_out_is_read_without_them(copy):
    about = json.loads((copy / "run.json").read_text())
    (copy / "model.safetensors").unlink()
    with pytest.raises(records.RecordError, match=r"model\.safetensors"):
        records.load(copy)
    del about["sha256"]["model.safetensors"]
    (copy / "run.json").write_text(records.description(about))
    found = records.load(copy)
    assert not found.has_weights
    with pytest.raises(records.RecordError, match="only its errors are compared"):
        found.state_dict()
    assert "weights" not in {one.part for one in repetition.compare(found, found).parts}
    del about["sha256"]["errors.parquet"]
    (copy / "run.json").write_text(records.description(about))
    with pytest.raises(records.RecordError, match=r"lacks the checksum of errors\.parquet"):
        records.load(copy)


def test_a_record_of_before_run_json_had_a_checksum_is_read(copy):
    def downgrade(about):
        about["schema_version"] = 2
        del about["sha256"]["run.json"]

    edit(copy / "run.json", downgrade)
    assert records.load(copy).config == CONFIG
    edit(copy / "run.json", lambda about: about["seconds"].update(training="quick"))
    with pytest.raises(records.RecordError, match=r"run\.json is wrong in seconds\.training: Input should be"):
        records.load(copy)


def test_every_file_of_a_record_is_on_the_disk_before_the_record_is_in_place(qm9_molecules, tmp_path, monkeypatch):
    seen = []

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append((path.name, path.parent.name, any(records.recorded_folders(tmp_path))))

    monkeypatch.setattr(os, "fsync", fsync)
    record = recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path)
    written = {path.name for path in record.folder.iterdir()}
    of_record = [(name, recorded) for name, folder, recorded in seen if folder.startswith("record-")]
    assert {name for name, _ in of_record} == written
    assert not any(recorded for _, recorded in of_record)
    assert seen[-1] == ("tests", tmp_path.name, True)  # and its own name is when it is there


def test_a_full_disk_leaves_no_record_and_the_next_start_goes_on(recorded, qm9_molecules, tmp_path, full_disk):
    """It fills up when the last epoch is done: the checkpoint is whole, the weights are too large."""

    class Fills(callbacks.Callback):
        def on_fit_end(self, *_):
            limits.enter_context(full_disk((recorded.folder / "model.safetensors").stat().st_size - 1))

    with ExitStack() as limits, pytest.raises(OSError, match=str(tmp_path)):
        recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path, callbacks=[Fills()], logger=None)
    assert records.recorded_folders(tmp_path) == []
    assert recording.finished_epochs(tmp_path / "tests" / recorded.id) == 2
    again = recording.load_or_train(CONFIG, qm9_molecules, results=tmp_path, logger=None)
    for name in records.FILES:
        assert (again.folder / name).read_bytes() == (recorded.folder / name).read_bytes(), name


def test_a_training_with_two_ends_is_recorded_for_comparisons(recorded, qm9_molecules, tmp_path):
    """The last end is that of the run without a second one; the other is what its own weights predict."""
    config, seen = adjust(CONFIG, training={"settled": 0.5}), {}

    class Look(callbacks.Callback):
        def on_fit_end(self, _, task):
            seen["model"] = task.settled.module

    both = recording.load_or_train(config, qm9_molecules, results=tmp_path, callbacks=[Look()], logger=None)
    assert {path.name for path in both.folder.iterdir()} == {"run.json", *records.FILES} - {"model.safetensors"}
    assert both.id != recorded.id
    assert both.at("last") is both
    np.testing.assert_allclose(both.errors["error"], recorded.errors["error"], atol=records.ROUNDED / 2 + 1e-6)
    shared = ["index", "n_atoms", "test"]
    pd.testing.assert_frame_equal(both.errors[shared], recorded.errors[shared])
    pd.testing.assert_frame_equal(both.groups[recorded.groups.columns], recorded.groups)
    assert list(both.steps["epoch"]) == [1, 2]
    assert both.steps["step"].iloc[-1] == recorded.steps["step"].iloc[-1]

    settled = both.at("settled")
    assert set(settled.errors) == set(recorded.errors)
    assert set(settled.groups) == set(recorded.groups)
    assert not np.allclose(settled.errors["error"], recorded.errors["error"], atol=1e-3)
    of_all = settled.groups.query("kind == 'all' and part == 'held_out'").iloc[0]
    assert of_all["sum_ee"] == pytest.approx((settled.errors["error"].astype(float) ** 2).sum(), rel=1e-2)
    chosen = selection.choose_molecules(qm9_molecules, config.data)
    pairs = neighbour_pairs(chosen.molecules, config.model.data_cutoff)
    target = chosen.molecules.energy - offsets.fit(chosen.molecules, chosen.parts.train).of(chosen.molecules)
    packed = PackedMolecules(chosen.molecules, pairs, targets=target)
    order = chosen.parts.held_out[np.argsort(chosen.molecules.index[chosen.parts.held_out])]
    expected = loop.predict_errors(seen["model"], packed, order)
    np.testing.assert_allclose(settled.errors["error"], expected, atol=records.ROUNDED / 2 + 1e-6)

    with pytest.raises(records.RecordError, match="without weights"):
        both.state_dict()
    with pytest.raises(records.RecordError, match="one end"):
        recorded.at("settled")
    assert repetition.compare(both, recording.load_or_train(config, qm9_molecules, results=tmp_path)).identical


def test_what_a_kill_right_after_the_recording_leaves_is_removed(copy, qm9_molecules):
    partial = copy.with_name(f".{copy.name}.partial")
    partial.mkdir()
    (partial / "last.ckpt").write_bytes(b"half")
    recording.load_or_train(CONFIG, qm9_molecules, results=copy.parent.parent)
    assert list(copy.parent.iterdir()) == [copy]


def test_loading_a_record_executes_nothing(copy):
    """Every file of it replaced by a pickle that would run a command, with checksums that fit."""
    touched = copy.parent / "touched"
    hostile = pickle.dumps(Hostile(f"touch {touched}"))
    about = json.loads((copy / "run.json").read_text())

    def put(name: str, content: bytes) -> None:
        (copy / name).write_bytes(content)
        about["sha256"][name] = hashlib.sha256(content).hexdigest()
        (copy / "run.json").write_text(records.description(about))

    for name in records.FILES:
        whole = (copy / name).read_bytes()
        put(name, hostile)
        with pytest.raises(records.RecordError, match=f"{name} can't be read"):
            records.load(copy).state_dict()
        put(name, whole)
        records.load(copy)
    assert not touched.exists()


class Hostile:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_nothing_in_the_package_reads_or_writes_what_could_be_executed():
    """Only torch's reader is left, told to make tensors and plain values alone."""
    executes = re.compile(
        r"\b(?:pickle|joblib|marshal|shelve|allow_pickle|torch\.load|yaml\.load)\b|(?<!\.)\b(?:eval|exec)\("
    )
    lines = [line for path in PACKAGE.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    found = {line.strip() for line in lines if executes.search(line) and not line.strip().startswith("#")}
    readers = {line for line in found if "torch.load(" in line}
    assert readers
    assert all("weights_only=True)" in line for line in readers)
    # The error that torch's reader raises; and an array's file, told not to hold objects.
    harmless = re.compile(r"^import pickle$|\bpickle\.UnpicklingError\b|\ballow_pickle=False\b")
    assert [line for line in found - readers if not harmless.search(line)] == []
