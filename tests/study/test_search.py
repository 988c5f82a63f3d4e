import multiprocessing
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from optuna.trial import TrialState
from waiting import join_all

from analysis.data import thesis
from analysis.runs.records import RESULTS_VARIABLE, RecordError, load, results_folder
from analysis.study import pruning, search, sweeps, trials
from analysis.study.sweeps import SweepError, load_sweep
from analysis.training import callbacks, loop, recording

SMALL = {"n_atom_basis": {"value": 8}, "n_interactions": {"value": 1}, "epochs": {"value": 1}}
RANGE = {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.01}


def written(folder: Path, *, method: str = "grid", run_cap: int | None = None, **parameters: object) -> Path:
    content = {
        "program": "analysis/study/search.py",
        "method": method,
        "metric": {"name": "validation_loss", "goal": "minimize"},
        "parameters": SMALL | parameters,
    }
    if run_cap is not None:
        content["run_cap"] = run_cap
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def results(tmp_path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def no_training(monkeypatch) -> list[dict[str, float]]:
    """Runs answer at once, from their parameters; the list holds what was asked for, in order."""
    asked = []

    def answer(config, molecules, **_settings):
        found = sweeps.parameters_of(config)
        asked.append({name: found[name] for name in ("batch_size", "learning_rate")})
        losses = [1.0, abs(found["learning_rate"] - 1e-3) * found["batch_size"]]
        return SimpleNamespace(
            id=config.run_id(molecules.fingerprint()),
            history=pd.DataFrame({"validation_loss": losses}),
            about={"seconds": {"data": 50.0, "training": 100.0 / found["batch_size"], "validation": 1.0}},
        )

    monkeypatch.setattr(recording, "load_or_train", answer)
    return asked


# ---- real runs ---------------------------------------------------------------------------------------------------


def test_trials_are_runs_that_are_recorded_and_loaded(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, batch_size={"values": [25, 50]}, learning_rate={"values": [0.001, 0.003]}))
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    assert frame["state"].tolist() == ["complete"] * 4
    assert len({(row.batch_size, row.learning_rate) for row in frame.itertuples()}) == 4
    records = trials.recorded(sweep, profile="smoke", results=results)
    assert {record.id for record in records} == set(frame["run"])
    for record in records:
        row = frame.set_index("run").loc[record.id]
        assert row["validation_mse"] == record.history["validation_loss"].iloc[-1]
        assert row["seconds"] == record.about["seconds"]["training"] + record.about["seconds"]["validation"]
        assert record.config.experiment == "search-tiny"
    # from the records alone, without a database
    alone = trials.trials_of(records)
    shared = ["run", "validation_mse", "seconds", "batch_size", "learning_rate", "n_atom_basis", "epochs", "done"]
    pd.testing.assert_frame_equal(
        alone[shared].sort_values("run", ignore_index=True),
        frame[shared].sort_values("run", ignore_index=True),
        check_dtype=False,
    )
    assert trials.choose(alone)["run"] == trials.choose(frame)["run"]
    assert trials.recorded(sweep, profile="quick", results=results) == []
    assert trials.recorded(sweep, profile="smoke", seed=1, results=results) == []

    monkeypatch.setattr(loop, "train", lambda *_, **__: pytest.fail("trained again"))
    again = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    pd.testing.assert_frame_equal(again, frame)
    (results / "search.db").unlink()
    anew = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    pd.testing.assert_frame_equal(anew, frame)


def test_a_diverged_trial_fails_and_the_search_goes_on(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [0.001, 1e20]}))
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    assert sorted(frame["state"]) == ["complete", "failed"]
    failed = frame[frame["state"] == "failed"].iloc[0]
    assert failed["learning_rate"] == 1e20
    assert "became" in failed["said"]
    assert pd.isna(failed["validation_mse"])
    assert len(trials.recorded(sweep, profile="smoke", results=results)) == 1
    monkeypatch.setattr(recording, "load_or_train", lambda *_, **__: pytest.fail("asked for again"))
    assert len(search.search(sweep, qm9_molecules, profile="smoke", results=results)) == 2


@pytest.mark.parametrize(("seconds", "stopped"), [(0.0, True), (1e6, False)])
def test_only_runs_that_are_no_slower_can_stop_a_run(seconds, stopped, qm9_molecules, tmp_path, results):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [1e-8]})).fixing({"epochs": 4})
    config = sweep.config({"learning_rate": 1e-8}, profile="smoke")
    callback = pruning.StopHopeless(trials.Pruning(epochs=2, rivals=1), lambda: [([1e-9] * 4, seconds)])
    if not stopped:
        recording.load_or_train(config, qm9_molecules, results=results, callbacks=[callback])
        assert len(callback.curve) == 4
        return
    with pytest.raises(optuna.TrialPruned, match=r"after epoch 2 .* median of 1 trials"):
        recording.load_or_train(config, qm9_molecules, results=results, callbacks=[callback])
    assert len(callback.curve) == 2
    assert callback.seconds > 0


@pytest.mark.parametrize(
    ("rule", "finished"),
    [
        (trials.Pruning(epochs=2, rivals=2), [([1e-9] * 4, 0.0)]),  # too few
        (trials.Pruning(epochs=4, rivals=1), [([1e-9] * 4, 0.0)]),  # the last epoch is not worth it
        (trials.Pruning(epochs=2, rivals=1), [([1e9] * 4, 0.0)]),  # worse
        (trials.Pruning(epochs=2, rivals=1), [([1e-9], 0.0)]),  # too short
    ],
)
def test_a_run_with_a_chance_is_not_stopped(rule, finished):
    curves, watch = pruning.LearningCurves([1] * 4), pruning.Stopwatch()
    watch.seconds = {"training": 1.0, "validation": 1.0}
    callback = pruning.StopHopeless(rule, lambda: finished)
    trainer = SimpleNamespace(callbacks=[curves, watch, callback], max_epochs=4)
    for loss in (5.0, 4.0, 3.0, 2.0):
        curves.rows.append({"validation_loss": loss})
        callback.on_train_epoch_end(trainer)
    assert callback.curve == [5.0, 4.0, 3.0, 2.0]


def test_a_pruned_trial_keeps_its_curve_and_has_no_record(qm9_molecules, tmp_path, results, monkeypatch):
    whole = trials.objectives
    monkeypatch.setattr(search, "objectives", lambda record: (whole(record)[0], 0.0))  # all are rivals
    path = written(tmp_path, learning_rate={"values": [0.01, 1e-9, 1e-8]}, epochs={"value": 3})
    sweep = load_sweep(path).fixing({"epochs": 3})
    frame = search.search(
        sweep, qm9_molecules, profile="smoke", seed=0, pruning=trials.Pruning(epochs=1, rivals=1), results=results
    )
    stopped = frame[frame["state"] == "pruned"]
    assert len(stopped) >= 1
    assert (stopped["done"] == 1).all()
    assert stopped["said"].str.contains("median").all()
    assert stopped["validation_mse"].isna().all()
    recorded = {record.id for record in trials.recorded(sweep, profile="smoke", results=results)}
    assert recorded == set(frame.loc[frame["state"] == "complete", "run"])
    assert not recorded & set(stopped["run"])


def _die_after_an_epoch(path: Path, results: Path) -> None:
    keep = callbacks.KeepLast.on_train_epoch_end

    def keep_and_die(*arguments):
        keep(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    callbacks.KeepLast.on_train_epoch_end = keep_and_die
    search.HEARTBEAT_SECONDS = 1
    sweep = load_sweep(path).fixing({"epochs": 2})
    search.search(sweep, search.qm9.load(), profile="smoke", trials=1, results=results)


def test_a_killed_search_takes_its_trial_up_again(qm9_molecules, tmp_path, results, monkeypatch):
    path = written(tmp_path, method="random", learning_rate=RANGE)
    child = multiprocessing.get_context("forkserver").Process(target=_die_after_an_epoch, args=(path, results))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    (partial,) = [folder.name for folder in (results / "search-tiny").iterdir()]
    monkeypatch.setattr(search, "HEARTBEAT_SECONDS", 1)
    sweep = load_sweep(path).fixing({"epochs": 2})
    frame = search.search(sweep, qm9_molecules, profile="smoke", trials=1, results=results)
    assert frame["state"].tolist() == ["complete"]
    assert frame["number"].tolist() == [1]
    assert partial == f".{frame['run'].item()}.partial"


def _work(path: Path, results: Path, url: str, barrier) -> None:
    train, met = recording.load_or_train, []

    def when_both_have_a_trial(*arguments, **settings):
        if not met:
            met.append(barrier.wait())
        return train(*arguments, **settings)

    recording.load_or_train = when_both_have_a_trial
    search.search(load_sweep(path), search.qm9.load(), profile="smoke", storage=url, results=results)


def test_two_processes_share_a_search(qm9_molecules, tmp_path, results):
    path = written(tmp_path, learning_rate={"values": [n / 1000 for n in range(1, 9)]})
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(2)
    workers = [context.Process(target=_work, args=(path, results, url, barrier)) for _ in range(2)]
    for worker in workers:
        worker.start()
    join_all(workers)
    recorded = trials.recorded(load_sweep(path), profile="smoke", results=results)
    assert len(recorded) == 8
    frame = search.search(load_sweep(path), qm9_molecules, profile="smoke", storage=url, results=results)
    assert set(frame["run"]) == {record.id for record in recorded}
    assert set(frame["state"]) == {"complete"}
    assert not (results / "search.db").exists()
    study = optuna.load_study(study_name=None, storage=url)
    assert len({trial.user_attrs["machine"] for trial in study.trials}) == 2
    study._storage._backend.engine.dispose()


@pytest.mark.usefixtures("no_training")
def test_a_point_of_a_grid_that_two_processes_were_given_at_once_counts_once(qm9_molecules, tmp_path, results):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [0.001, 0.002, 0.003]}))
    search.search(sweep, qm9_molecules, profile="smoke", trials=1, results=results)
    (name,) = optuna.get_all_study_names(f"sqlite:///{results / 'search.db'}")
    with search._opened(name, search._sampler(sweep, 0), None, results) as study:
        study.add_trial(study.trials[0])
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    assert set(frame["learning_rate"]) == {0.001, 0.002, 0.003}
    assert len(frame) == 4


# ---- what is tried, in which order -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["grid", "random", "bayes"])
def test_a_search_that_is_stopped_tries_the_same_as_one_that_is_not(
    method, qm9_molecules, tmp_path, results, no_training
):
    rates = {"values": [n / 1000 for n in range(1, 9)]} if method == "grid" else RANGE
    sweep = load_sweep(
        written(tmp_path, method=method, run_cap=14, learning_rate=rates, batch_size={"values": [10, 20]})
    )
    whole = search.search(sweep, qm9_molecules, profile="smoke", results=results / "whole")
    expected = list(no_training)
    assert len(expected) == len(whole) == 14
    no_training.clear()
    search.search(sweep, qm9_molecules, profile="smoke", trials=3, results=results / "parts")
    search.search(sweep, qm9_molecules, profile="smoke", trials=12, results=results / "parts")
    parts = search.search(sweep, qm9_molecules, profile="smoke", results=results / "parts")
    assert len(parts) == 14
    assert no_training == expected
    assert len(set(map(str, expected))) == 14


@pytest.mark.parametrize("method", ["grid", "random"])
def test_another_seed_tries_in_another_order(method, qm9_molecules, tmp_path, results, no_training):
    rates = {"values": [n / 1000 for n in range(1, 7)]} if method == "grid" else RANGE
    sweep = load_sweep(written(tmp_path, method=method, run_cap=6, learning_rate=rates))
    search.search(sweep, qm9_molecules, profile="smoke", seed=1, results=results)
    search.search(sweep, qm9_molecules, profile="smoke", seed=2, results=results)
    assert no_training[:6] != no_training[6:]


@pytest.mark.usefixtures("no_training")
def test_the_sweeps_own_number_of_trials_holds_unless_another_is_given(qm9_molecules, tmp_path, results):
    sweep = load_sweep(written(tmp_path, method="random", run_cap=2, learning_rate=RANGE))
    assert len(search.search(sweep, qm9_molecules, profile="smoke", results=results)) == 2
    assert len(search.search(sweep, qm9_molecules, profile="smoke", trials=5, results=results)) == 5
    endless = load_sweep(written(tmp_path, method="random", learning_rate=RANGE))
    with pytest.raises(SweepError, match="run_cap"):
        search.search(endless, qm9_molecules, profile="smoke", results=results)


@pytest.mark.usefixtures("no_training")
def test_a_changed_sweep_is_another_study(qm9_molecules, tmp_path, results):
    for values in ([0.001, 0.002], [0.001, 0.003]):
        sweep = load_sweep(written(tmp_path, learning_rate={"values": values}))
        frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
        assert sorted(frame["learning_rate"]) == values


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_a_trial_that_was_stopped_is_run_again_with_its_values(stop, qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, method="random", run_cap=3, learning_rate=RANGE))
    answer, tried = recording.load_or_train, []

    def stopped(config, *_, **__):
        tried.append(config.training.learning_rate)
        raise stop

    monkeypatch.setattr(recording, "load_or_train", stopped)
    with pytest.raises(KeyboardInterrupt if isinstance(stop, SystemExit) else type(stop)):
        search.search(sweep, qm9_molecules, profile="smoke", results=results)
    monkeypatch.setattr(recording, "load_or_train", answer)
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    assert frame["state"].tolist() == ["complete"] * 3
    assert frame["learning_rate"].tolist()[0] == tried[0]
    peace = search.search(sweep, qm9_molecules, profile="smoke", results=results / "peace")
    assert set(frame["learning_rate"]) == set(peace["learning_rate"])


@pytest.mark.usefixtures("no_training")
def test_a_trial_whose_end_could_not_be_written_is_run_again(qm9_molecules, tmp_path, results, monkeypatch):
    """The disk is full: the run fails, and the database takes no other trial in its place."""
    sweep = load_sweep(written(tmp_path, method="random", run_cap=3, learning_rate=RANGE))
    answer, queue_again = recording.load_or_train, search._queue_again

    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(recording, "load_or_train", full)
    monkeypatch.setattr(search, "_queue_again", full)
    with pytest.raises(OSError, match="disk full"):
        search.search(sweep, qm9_molecules, profile="smoke", results=results)
    monkeypatch.setattr(recording, "load_or_train", answer)
    monkeypatch.setattr(search, "_queue_again", queue_again)
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    peace = search.search(sweep, qm9_molecules, profile="smoke", results=results / "peace")
    assert frame["state"].tolist() == ["complete"] * 3
    assert set(frame["learning_rate"]) == set(peace["learning_rate"])


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("died", ["before its machine was said", "before its values were drawn", "between its values"])
def test_a_search_whose_process_died_tries_what_it_would_have(died, qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(
        written(tmp_path, method="random", run_cap=4, learning_rate=RANGE, batch_size={"values": [10, 20, 40]})
    )
    peace = search.search(sweep, qm9_molecules, profile="smoke", results=results / "peace")
    search.search(sweep, qm9_molecules, profile="smoke", trials=1, results=results)
    (name,) = optuna.get_all_study_names(f"sqlite:///{results / 'search.db'}")
    with search._opened(name, search._sampler(sweep, 0), None, results) as study:
        with pytest.warns(UserWarning, match="Heartbeat of storage is supposed"):
            trial = study.ask()
        if died != "before its machine was said":
            trial.set_user_attr("machine", "gone")
        if died == "between its values":
            search._suggest(trial, "learning_rate", sweep.space["learning_rate"])
        if died != "before its machine was said":  # what the next start does when the heartbeat is missing
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    monkeypatch.setattr(search, "_STILLBORN_SECONDS", -1.0)
    frame = search.search(sweep, qm9_molecules, profile="smoke", results=results)
    tried = frame[frame["state"] == "complete"]
    assert set(tried["learning_rate"]) == set(peace["learning_rate"])


def test_a_full_disk_is_one_line_of_the_storage(tmp_path, results, monkeypatch, capsys, full_disk, no_training):  # noqa: ARG001
    monkeypatch.setenv("COMPENDIUM_RESULTS", str(results))
    path = written(tmp_path, method="random", run_cap=2, learning_rate=RANGE)
    with full_disk(50_000):
        code, _, err = call(monkeypatch, capsys, "run", path, "--profile", "smoke")
    assert code == 1
    assert re.match(r"error: the storage \S+search\.db (failed|can't be opened) ", err.splitlines()[-1])


@pytest.mark.usefixtures("no_training")
def test_ctrl_c_is_one_line_that_says_how_it_goes_on(tmp_path, results, monkeypatch, capsys):
    monkeypatch.setenv("COMPENDIUM_RESULTS", str(results))

    def stopped(*_, **__):
        raise SystemExit(1)  # as Lightning does

    monkeypatch.setattr(recording, "load_or_train", stopped)
    path = written(tmp_path, method="random", run_cap=2, learning_rate=RANGE)
    code, _, err = call(monkeypatch, capsys, "run", path, "--profile", "smoke")
    assert code == 130
    assert err.splitlines()[-1].startswith("stopped: the same command goes on with the trial under way")


def test_a_damaged_record_is_one_line(tmp_path, results, monkeypatch, capsys):
    monkeypatch.setenv("COMPENDIUM_RESULTS", str(results))

    def damaged(*_, **__):
        raise RecordError("run.json can't be read")

    monkeypatch.setattr(recording, "load_or_train", damaged)
    path = written(tmp_path, method="random", run_cap=2, learning_rate=RANGE)
    code, _, err = call(monkeypatch, capsys, "run", path, "--profile", "smoke")
    assert code == 1
    assert err.splitlines()[-1] == "error: run.json can't be read"


@pytest.mark.usefixtures("no_training")
def test_the_trials_of_a_full_search_are_written_beside_its_records(qm9_molecules, tmp_path, results):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [0.001, 0.002]}))
    frame = search.search(sweep, qm9_molecules, results=results)
    read = pd.read_csv(results / "search-tiny" / "trials.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)
    assert [path.name for path in (results / "search-tiny").iterdir()] == ["trials.csv"]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere", "is not a URL; give a URL like sqlite:///file.db"),
        ("me:secret@host", "is not a URL"),
        ("sqlite:////nowhere/at/all.db", r"sqlite:////nowhere/at/all.db can't be opened \(unable to open"),
        ("sqlite:////nowhere/at?all.db", r"sqlite:////nowhere/at is followed by \? .* %3F"),
        ("sqlite:////nowhere/at?all=b", r"sqlite:////nowhere/at\?all=b can't be opened \(.*'all'"),
        ("postgresql+nodriver://me:secret@host/name", r"me:\*\*\*@host/name can't be opened"),
        ("postgresql+nodriver://me:se{cr}et@host/name", r"me:\*\*\*@host/name can't be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_reported_without_its_password(url, said, qm9_molecules, tmp_path, results):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [0.001, 0.002]}))
    with pytest.raises(search.StorageError, match=said) as caught:
        search.search(sweep, qm9_molecules, profile="smoke", storage=url, results=results)
    assert "secret" not in str(caught.value)
    assert "cr}et" not in str(caught.value)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "50%", "a b", "à·é", "a&b=c", "{0}", "a;b", "a@b:c"])
def test_whatever_the_results_folder_is_called_the_database_lies_in_it(name, qm9_molecules, tmp_path):
    sweep = load_sweep(written(tmp_path, learning_rate={"values": [0.001, 0.002]}))
    results = tmp_path / name / "results"
    for _ in range(2):
        search.search(sweep, qm9_molecules, profile="smoke", results=results)
    assert {path.name for path in tmp_path.iterdir()} == {name, "tiny.yaml"}
    assert [path.name for path in (tmp_path / name).iterdir()] == ["results"]
    assert {path.name for path in results.iterdir()} == {".locks", "search.db"}


# ---- command line ------------------------------------------------------------------------------------------------


def test_what_is_recorded_is_not_searched_again(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, batch_size={"values": [25, 50]}))
    asked = search.SearchParameters(profile="smoke", more_seeds=[])
    first = search.load_or_search(sweep, asked, qm9_molecules, results=results)
    assert first.trials["state"].tolist() == ["complete"] * 2
    assert set(first.records) == set(first.trials["run"])
    assert first.report == []
    with monkeypatch.context() as patched:
        patched.setattr(search, "search", lambda *_, **__: pytest.fail("searched again"))
        again = search.load_or_search(sweep, asked, qm9_molecules, results=results)
    pd.testing.assert_frame_equal(again.trials, first.trials)
    shutil.rmtree(next(record.folder for run, record in first.records.items() if run != first.chosen[0].id))
    called = []
    monkeypatch.setattr(search, "search", lambda *_, **given: called.append(given))
    search.load_or_search(sweep, asked, qm9_molecules, results=results)
    assert called[0]["profile"] == "smoke"


def test_a_trial_that_asks_for_an_earlier_ones_values_is_one_more_trial(qm9_molecules):
    """The recorded second stage has some: its 30 trials are fewer runs."""
    sweep = load_sweep("stage2")
    listed = pd.read_csv(results_folder() / "search-stage2" / "trials.csv")
    found = trials.known(sweep)
    assert len(listed) == sweep.run_cap > listed["run"].nunique()
    assert found["run"].isin(listed["run"]).sum() == sweep.run_cap
    assert trials.pareto_front(found)["run"].is_unique
    reported = search.load_or_search(sweep, search.SearchParameters(), qm9_molecules).report
    assert {*found["run"]} - {*listed["run"]} <= {record.id for record in reported}


def test_the_choice_and_the_reports_point_are_run_in_every_seed(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, batch_size={"values": [25, 50]}))
    monkeypatch.setattr(thesis, "STAGES", {"tiny": {"batch_size": 40}})
    asked = search.SearchParameters(profile="smoke", seed=4, more_seeds=[7, 4])
    found = search.load_or_search(sweep, asked, qm9_molecules, results=results)
    assert [(r.config.seed, r.config.training.batch_size) for r in found.report] == [(4, 40), (7, 40)]
    assert sorted(found.trials["batch_size"]) == [25, 40, 50]
    best = trials.choose(found.trials)
    assert [record.config.seed for record in found.chosen] == [4, 7]
    assert found.chosen[0].id == best["run"]
    assert {record.config.training.batch_size for record in found.chosen} == {best["batch_size"]}

    repeats = trials.repeated(sweep, profile="smoke", results=results)
    both = {record.id for record in [*found.report, *found.chosen]}
    assert {record.id for point in repeats for record in point} == both
    assert trials.recorded(sweep, profile="smoke", seed=7, results=results) != []
    everything = trials.recorded(sweep, profile="smoke", seed=None, results=results)
    assert {record.id for record in everything} == both | set(found.records)
    assert trials.repeated(sweep, profile="quick", results=results) == []

    monkeypatch.setattr(loop, "train", lambda *_, **__: pytest.fail("trained again"))
    again = search.load_or_search(sweep, asked, qm9_molecules, results=results)
    pd.testing.assert_frame_equal(again.trials, found.trials)
    assert [record.id for record in again.chosen] == [record.id for record in found.chosen]


def test_the_reports_batch_is_not_run_with_fewer_molecules(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, batch_size={"values": [50]}))
    monkeypatch.setattr(thesis, "STAGES", {"tiny": {"batch_size": 512}})
    asked = search.SearchParameters(profile="smoke", more_seeds=[])
    found = search.load_or_search(sweep, asked, qm9_molecules, results=results)
    assert found.report == []
    assert found.trials["batch_size"].tolist() == [50]


def test_trials_without_a_record_count_as_tried(qm9_molecules, tmp_path, results, monkeypatch):
    sweep = load_sweep(written(tmp_path, method="random", run_cap=1, batch_size={"values": [25, 50]}))
    failed = {"number": 0, "state": "failed", "batch_size": 25, "validation_mse": None, "seconds": None, "run": ""}
    failed["said"] = "NaN"
    folder = results / "search-tiny"
    folder.mkdir(parents=True)
    pd.DataFrame([failed]).to_csv(folder / "trials.csv", index=False)
    monkeypatch.setattr(search, "search", lambda *_, **__: pytest.fail("searched again"))
    found = trials.known(sweep, results=results)
    assert (found["state"].tolist(), found["said"].tolist()) == (["failed"], ["NaN"])
    assert np.isnan(found["validation_mse"].iloc[0])
    with pytest.raises(ValueError, match="nothing to choose from"):
        search.load_or_search(sweep, search.SearchParameters(), qm9_molecules, results=results)


def call(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        search.app()
    said = capsys.readouterr()
    return left.value.code or 0, said.out, said.err


@pytest.fixture
def in_results(results, monkeypatch, qm9_molecules) -> Path:
    monkeypatch.setenv(RESULTS_VARIABLE, str(results))
    monkeypatch.setattr(search.qm9, "load", lambda: qm9_molecules)
    return results


@pytest.mark.usefixtures("in_results")
def test_run_shows_the_front_and_the_choice(monkeypatch, capsys, no_training):
    given = ("run", "stage1", "--profile", "smoke", "--trials", 4, "--fix", "batch_size=50", "--fix", "epochs=1")
    code, out, _ = call(monkeypatch, capsys, *given)
    assert code == 0
    assert "4 trials: 4 complete" in out
    assert "chosen: " in out
    assert {asked["batch_size"] for asked in no_training} == {50}


def test_trial_runs_what_the_agent_of_weights_and_biases_asks_for(in_results, monkeypatch, capsys):
    told = SimpleNamespace(rows=[], summary={})

    class Run:
        summary = told.summary

        def __enter__(self):
            return self

        def __exit__(self, *_):
            told.finished = True

        def log(self, row):
            told.rows.append(row)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=Run))
    given = ("trial", "stage1", "--profile", "smoke", "--batch_size=50", "--epochs=30", "--learning_rate=0.002")
    code, out, _ = call(monkeypatch, capsys, *given)
    assert code == 0
    assert told.rows == []  # no sweep asked
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    assert call(monkeypatch, capsys, *given) == (0, out, "")
    (folder,) = [path for path in (in_results / "search-stage1").iterdir() if not path.name.startswith(".")]
    record = load(folder)
    assert sweeps.parameters_of(record.config)["learning_rate"] == 0.002
    assert [row["validation_loss"] for row in told.rows] == record.history["validation_loss"].tolist()
    assert told.summary["run"] == record.id
    assert told.finished


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("run", "stage9"), "no sweep 'stage9'"),
        (("run", "stage1", "--profile", "tiny"), "profile = 'tiny': Input should be 'smoke', 'quick' or 'full'"),
        (("run", "stage1", "--fix", "lr=1"), "unknown parameter 'lr'"),
        (("run", "stage1", "--fix", "Batch-Size=1"), "did you mean batch_size?"),
        (("run", "stage1", "--fix", "batch_size"), "batch_size: write it as name=number"),
        (("trial", "stage1", "--batch_size=many"), "--batch_size=many: 'many' is no number"),
        (("trial", "stage1", "--batch_size=1e999"), "--batch_size=1e999: inf is not finite"),
        (("trial", "stage1", "--epochs=0"), "greater than 0"),
    ],
)
@pytest.mark.usefixtures("in_results")
def test_wrong_arguments_are_one_line(given, said, monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, *given)
    assert code == 1
    assert said in err
    assert err.count("\n") == 1
