import io
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from filelock import SoftFileLease
from safetensors.numpy import save_file
from typer.testing import CliRunner

from analysis import study
from analysis.cli import commands, runner
from analysis.data import qm9
from analysis.evaluation import verdicts
from analysis.runs import checkout, protocols
from analysis.runs.config import RunConfig, adjust
from analysis.runs.records import FILES, Record, description, load, recorded_folders, sha256
from analysis.study import trials
from analysis.training import loop, recording, repetition

SMOKE = ["--profile", "smoke"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _loaded_once(qm9_molecules, monkeypatch):
    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules)


@pytest.fixture(autouse=True)
def _ctrl_c():
    """Lightning leaves the signal switched off once it was interrupted."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def config(qm9_molecules) -> RunConfig:
    (only,) = study.plan(qm9_molecules, "baseline", profile="smoke", seeds=[0])
    return only


@pytest.fixture(scope="module")
def recorded(config, qm9_molecules, tmp_path_factory) -> Record:
    return recording.load_or_train(config, qm9_molecules, results=tmp_path_factory.mktemp("results"))


@pytest.fixture
def results(recorded, tmp_path) -> Path:
    """One record, free to be damaged."""
    shutil.copytree(recorded.folder.parent.parent, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def folder(results, recorded) -> Path:
    return results / "baseline" / recorded.id


def invoke(*arguments: object):
    return CliRunner().invoke(commands.app, list(map(str, arguments)))


def refused(*arguments: object, code: int = 1) -> str:
    """The one line that a command ends with on the standard error."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    return line


def edit(folder: Path, change) -> None:
    """Change run.json, with checksums that fit the other files."""
    about = json.loads((folder / "run.json").read_text())
    change(about)
    about["sha256"] = {name: sha256(folder / name) for name in FILES}
    (folder / "run.json").write_text(description(about))


def stop_in_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C would."""
    original = runner.Overall.on_train_epoch_start

    def interrupt(self, trainer, *others):
        original(self, trainer, *others)
        if trainer.current_epoch == epoch - 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(runner.Overall, "on_train_epoch_start", interrupt)


# ---- list ------------------------------------------------------------------------------------------------------------


def test_list_names_every_run_with_its_state(results, recorded, monkeypatch):
    with monkeypatch.context() as patched:
        stop_in_epoch(2, patched)
        assert invoke("run", "baseline", *SMOKE, "--seeds", 1, "--results", results).exit_code == 130
    result = invoke("list", "baseline", *SMOKE, "--results", results)
    assert result.exit_code == 0
    first, second, third = (line.split(maxsplit=3) for line in result.stdout.splitlines()[1:4])
    assert first[:3] == [recorded.id, "baseline", "0"]
    loss = recorded.history["validation_loss"].iloc[-1]
    assert re.match(rf"recorded +{re.escape(f'{loss:.4g}')} +\d+ s +the model Default", first[3])
    assert second[3].startswith("cut off, 1 of 2 epochs done ")
    assert third[3].startswith("missing ")
    *_, counted, advice = result.stdout.splitlines()
    assert counted == "5 runs: 1 recorded, 0 under way, 1 cut off, 3 missing, 0 damaged"
    assert advice == "`python -m analysis run` continues what was cut off after its last finished epoch"


def test_a_run_that_a_process_trains_is_told_from_one_whose_process_ended(config, qm9_molecules, tmp_path):
    run_id = config.run_id(qm9_molecules.fingerprint())
    (tmp_path / "baseline" / f".{run_id}.partial").mkdir(parents=True)
    (tmp_path / ".locks").mkdir()
    hold = (
        "import filelock, sys\nwith filelock.SoftFileLease(sys.argv[1], lease_duration=120): print(flush=True); input()"
    )
    listing = ["list", "baseline", *SMOKE, "--seeds", "0", "--results", tmp_path]
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / ".locks" / f"baseline-{run_id}.lease")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        assert "under way, 0 of 2 epochs done" in (shown := invoke(*listing).stdout)
        assert shown.endswith("1 runs: 0 recorded, 1 under way, 0 cut off, 0 missing, 0 damaged\n")
    assert "cut off, 0 of 2 epochs done" in invoke(*listing).stdout


def test_list_takes_in_all_experiments_and_other_records(results, recorded, qm9_molecules):
    result = invoke("list", "--seeds", "0", "--results", results)
    assert result.exit_code == 0
    configs = study.plan(qm9_molecules, seeds=[0])
    data = qm9_molecules.fingerprint()
    assert all(f"\n{one.run_id(data)}  {one.experiment} " in result.stdout for one in configs)
    assert f" 0 recorded, 0 under way, 0 cut off, {len(configs)} missing, 0 damaged" in result.stdout
    ours, others = result.stdout.split("1 other records, of none of these experiments or with other parameters:")
    assert recorded.id in others
    assert recorded.id not in ours
    assert "200 training molecules" in others


def test_list_counts_the_trials_of_the_searches_and_does_not_list_them(results, recorded, monkeypatch):
    shutil.copytree(recorded.folder, results / "search-stage2" / recorded.id)
    shown = invoke("list", "--seeds", "0", "--results", results).stdout
    assert "search-stage1: 0 trials are over, 30 were asked for: 0 recorded, 0 diverged, 0 stopped\n" in shown
    assert "2 other records" in shown  # a record in the folder of a search that is none of its trials

    def known(sweep, *, results):  # noqa: ARG001
        rows = [("complete", recorded.id), ("failed", "")] if sweep.name == "stage2" else []
        return pd.DataFrame(rows, columns=["state", "run"])

    monkeypatch.setattr(trials, "known", known)
    shown = invoke("list", "--seeds", "0", "--results", results).stdout
    said = "search-stage2: 2 trials are over, 30 were asked for: 1 recorded, 1 diverged, 0 stopped"
    assert said in shown
    assert "1 other records" in shown

    other = shutil.copytree(recorded.folder, results / "search-stage2" / "ffffffffffff")
    monkeypatch.setattr(
        trials, "repeated", lambda sweep, **_: [[replace(recorded, folder=other)]] if sweep.name == "stage2" else []
    )
    shown = invoke("list", "--seeds", "0", "--results", results).stdout
    assert f"{said}; 1 records of points in several seeds" in shown
    assert "1 other records" in shown


def test_a_damaged_trial_is_listed_with_the_other_records(results, recorded):
    folder = results / "search-stage1" / recorded.id
    shutil.copytree(recorded.folder, folder)
    damage_history(folder)
    shown = invoke("list", "--seeds", "0", "--check", "--results", results)
    assert shown.exit_code == 1
    assert "search-stage1: 0 trials are over" in shown.stdout
    assert f"damaged: {folder / 'history.csv'}" in shown.stderr


def damage_history(folder: Path) -> None:
    (folder / "history.csv").write_text("epoch\n1\n")


def test_a_damaged_record_is_named_and_the_exit_code_says_so(results, folder):
    listing = ["list", "baseline", *SMOKE, "--seeds", "0", "--results", results]
    (folder / "run.json").write_text("{")
    result = invoke(*listing)
    assert result.exit_code == 1
    assert "1 runs: 0 recorded, 0 under way, 0 cut off, 0 missing, 1 damaged" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"damaged: {folder / 'run.json'} can't be read")
    # one that belongs to no experiment counts too
    assert invoke("list", "--results", results, "--seeds", 0).exit_code == 1


def test_list_looks_at_the_other_files_if_asked_to(results, folder):
    listing = ["list", "baseline", *SMOKE, "--seeds", "0", "--results", results]
    damage_history(folder)
    assert invoke(*listing).exit_code == 0
    result = invoke(*listing, "--check")
    assert result.exit_code == 1
    assert "history.csv is not what was recorded" in result.stderr


def test_a_broken_checkpoint_is_damage(tmp_path, config, qm9_molecules):
    run_id = config.run_id(qm9_molecules.fingerprint())
    partial = tmp_path / "baseline" / f".{run_id}.partial"
    partial.mkdir(parents=True)
    listing = ["list", "baseline", *SMOKE, "--seeds", "0", "--results", tmp_path]
    assert "cut off, 0 of 2 epochs done" in invoke(*listing).stdout
    for content in (b"", b"no checkpoint"):
        (partial / "last.ckpt").write_bytes(content)
        result = invoke(*listing)
        assert result.exit_code == 1
        assert "last.ckpt can't be read (" in result.stderr
        assert f"); delete {partial} to train" in result.stderr


def test_a_thousand_records_are_listed_from_their_run_json_alone(recorded, tmp_path):
    about = recorded.about | {"last_epoch": {"train_loss": 1.0, "validation_loss": 0.125}}
    ids = []
    for seed in range(1000):
        one = RunConfig(experiment="made-up", seed=seed)
        ids.append(one.run_id(about["molecules_fingerprint"]))
        folder = tmp_path / "made-up" / ids[-1]
        folder.mkdir(parents=True)
        changed = about | {"id": ids[-1], "config": one.model_dump(mode="json")}
        (folder / "run.json").write_text(description(changed))
    result = invoke("list", "--seeds", "0", "--results", tmp_path)
    assert result.exit_code == 0
    assert "1000 other records" in result.stdout
    lines = result.stdout.splitlines()[-1000:]
    assert {line.split()[0] for line in lines} == set(ids)
    assert all(" recorded  0.125 " in line for line in lines)


def test_a_record_that_does_not_hold_its_last_loss_is_asked_for_its_history(results, folder, recorded):
    edit(folder, lambda about: about.pop("last_epoch"))
    listing = ["list", "baseline", *SMOKE, "--seeds", "0", "--results", results]
    assert f"{recorded.history['validation_loss'].iloc[-1]:.4g}" in invoke(*listing).stdout
    (folder / "history.csv").unlink()
    assert re.search(r"recorded +\? ", invoke(*listing).stdout)


# ---- run -------------------------------------------------------------------------------------------------------------


def test_export_hands_a_run_to_spktrain_and_record_asks_for_its_training(results, recorded, tmp_path):
    folder = tmp_path / "exported"
    done = invoke("export", recorded.id[:6], folder, "--results", results)
    assert done.exit_code == 0, done.output
    script = folder / "train.sh"
    said = f"`sh {script}` trains it, `python -m analysis record {folder}` then makes a record of it\n"
    assert (done.stdout, script.is_file()) == (said, True)
    log = folder / "runs" / "trained" / "cli.log"
    missing = f"error: {log} does not say that a training has ended: run train.sh to its end"
    assert refused("record", folder, "--results", results) == missing


def test_run_trains_what_is_missing_and_nothing_else(results, monkeypatch):
    asked = ["run", "baseline", *SMOKE, "--seeds", "0,1", "--results", results]
    result = invoke(*asked)
    assert result.exit_code == 0
    assert result.stdout == "2 runs: 1 trained, 1 recorded before, 0 failed\n"
    first, *others = result.stderr.splitlines()
    assert re.fullmatch(r"\[1/1\] baseline [0-9a-f]{12}, seed 1: the model Default on all training molecules", first)
    assert others[-1].startswith("epoch 2/2: ")
    assert len(list((results / "logs" / "baseline").iterdir())) == 2
    monkeypatch.setattr(loop, "train", lambda *_, **__: pytest.fail("trained again"))
    assert invoke(*asked).stdout == "2 runs: 0 trained, 2 recorded before, 0 failed\n"


def test_run_without_a_logger_writes_no_log(tmp_path):
    result = invoke("run", "baseline", *SMOKE, "--seeds", 0, "--logger", "none", "--results", tmp_path)
    assert result.exit_code == 0
    assert not (tmp_path / "logs").exists()


def test_loops_that_cannot_be_asked_for_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FUSED_LOOPS", "quick")
    result = invoke("run", "baseline", *SMOKE, "--seeds", 0, "--results", tmp_path)
    assert result.exit_code == 1
    assert re.fullmatch(
        r"error: FUSED_LOOPS = .quick. describes no way of working: .*",
        result.stderr.splitlines()[-1],
    )


def test_a_diverging_run_is_reported_and_the_rest_goes_on(config, tmp_path, monkeypatch):
    bad = adjust(config, training={"learning_rate": 1e20})
    monkeypatch.setattr(study, "plan", lambda *_, **__: [bad, config])
    result = invoke("run", "--results", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == "2 runs: 1 trained, 0 recorded before, 1 failed\n"
    assert re.search(r"^error: run \w+ of baseline: the loss became .*; going on", result.stderr, re.MULTILINE)
    assert re.match(r"failed: run \w+ of baseline: the loss became ", result.stderr.splitlines()[-1])
    assert [path.name for path in recorded_folders(tmp_path)] != []


def test_a_damaged_record_does_not_keep_the_others_from_being_trained(results, folder):
    (folder / "run.json").write_text("{")
    result = invoke("run", "baseline", *SMOKE, "--seeds", "0,1", "--results", results)
    assert result.exit_code == 1
    assert result.stdout == "2 runs: 1 trained, 0 recorded before, 1 failed\n"
    assert result.stderr.splitlines()[-1].startswith(f"failed: {folder / 'run.json'} can't be read")


def test_ctrl_c_ends_in_one_line_and_the_next_start_goes_on(recorded, tmp_path, monkeypatch):
    asked = ["run", "baseline", *SMOKE, "--seeds", 0, "--results", tmp_path]
    with monkeypatch.context() as patched:
        stop_in_epoch(2, patched)
        stopped = invoke(*asked)
    assert stopped.exit_code == 130
    assert stopped.stderr.splitlines()[-1].startswith("stopped: the same command goes on after the last finished epoch")
    assert "Traceback" not in stopped.output
    epochs = []
    original = runner.Overall.on_train_epoch_end
    monkeypatch.setattr(
        runner.Overall,
        "on_train_epoch_end",
        lambda self, trainer, *others: (epochs.append(trainer.current_epoch), original(self, trainer, *others)),
    )
    assert invoke(*asked).exit_code == 0
    assert epochs == [1]
    (again,) = recorded_folders(tmp_path)
    pd.testing.assert_frame_equal(load(again).history, recorded.history, check_exact=True)


def test_a_run_that_is_none_of_these_is_refused(tmp_path):
    said = refused("run", "baseline", *SMOKE, "--run", "0123456789ab", "--results", tmp_path)
    assert said == "error: no run of these has the id 0123456789ab: `python -m analysis list` says which do"


def test_other_programs_get_the_list_as_data(results, recorded):
    """A run that is not recorded is expected to take as long for its work as those that are."""
    shown = invoke("list", "baseline", *SMOKE, "--seeds", "0,1", "--results", results, "--json")
    first, second = json.loads(shown.stdout)
    assert (first["id"], first["experiment"], first["seed"], first["state"]) == (recorded.id, "baseline", 0, "recorded")
    assert first["seconds"] == first["expected_seconds"] == pytest.approx(recorded.seconds)
    assert (second["state"], second["seconds"], second["epochs_done"]) == ("missing", None, None)
    assert second["expected_seconds"] == pytest.approx(recorded.seconds)


def test_workers_that_are_given_the_same_command_share_the_runs_and_wait_for_the_last(results, monkeypatch):
    """The other worker trains seed 1 of three while this one trains seed 2 and is then asked whether it is done."""
    asked = ["run", "baseline", *SMOKE, "--results"]
    elsewhere = results.parent / "elsewhere"
    shutil.copytree(results, elsewhere)
    assert invoke(*asked, elsewhere, "--seeds", 1).exit_code == 0
    (theirs,) = {one.name for one in recorded_folders(elsewhere)} - {one.name for one in recorded_folders(results)}
    lease = SoftFileLease(
        results / ".locks" / f"baseline-{theirs}.lease", lease_duration=recording.LEASE_SECONDS, thread_local=False
    )
    Path(lease.lock_file).parent.mkdir(exist_ok=True)
    lease.acquire()
    asleep = []

    def sleep(_: float) -> None:
        asleep.append({one.name for one in recorded_folders(results)})
        shutil.copytree(elsewhere / "baseline" / theirs, results / "baseline" / theirs)
        lease.release()

    monkeypatch.setattr(runner.time, "sleep", sleep)
    result = invoke(*asked, results, "--seeds", "0,1,2")
    assert result.stdout == "3 runs: 1 trained, 1 by other processes, 1 recorded before, 0 failed\n"
    assert [len(known) for known in asleep] == [2]
    assert "[2/2] baseline" in result.stderr
    assert "[1/2]" not in result.stderr
    assert "waiting for 1 runs that other processes train" in result.stderr


# ---- the estimate ----------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(runner.time, "perf_counter", lambda: clock.now)
    return clock


def epoch(overall, clock, number: int, of: int, seconds: float) -> None:
    trainer = SimpleNamespace(current_epoch=number - 1, max_epochs=of)
    overall.on_train_epoch_start(trainer)
    clock.now += seconds
    overall.on_train_epoch_end(trainer)


def test_the_estimate_follows_the_pace_of_this_session(config, qm9_molecules, clock, capsys):
    longer = adjust(config, training={"epochs": 4})
    to_do = [
        study.Status(Path("baseline/a"), config, epochs=1),
        study.Status(Path("baseline/b"), config),
        study.Status(Path("baseline/c"), longer),
    ]
    overall = runner.Overall(to_do, qm9_molecules, "smoke")
    with overall.run(to_do[0]):
        assert overall.seconds_left() is None
        epoch(overall, clock, 2, 2, 10)
        assert overall.seconds_left() == pytest.approx(10 * (2 + 4))
    with overall.run(to_do[1]):  # recorded by another process meanwhile
        clock.now += 1000
    assert overall.seconds_left() == pytest.approx(10 * 4)
    with overall.run(to_do[2]):
        epoch(overall, clock, 1, 4, 30)
        assert overall.seconds_left() == pytest.approx((10 + 30) / 2 * 3)
        epoch(overall, clock, 2, 4, 700)
    overall.close()
    lines = capsys.readouterr().err.splitlines()
    assert [
        re.sub(r", seed .*: .* on all training molecules|; 4 epochs|, seed 0: 4 epochs", "", line) for line in lines
    ] == [
        "[1/3] baseline a",
        "[1/3] 1 min 00 s left for all",
        "[2/3] baseline b (1 min 00 s left for all)",
        "[3/3] baseline c (40 s left for all)",
        "[3/3] 8 min 13 s left for all",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_a_bar_shows_the_estimate(config, qm9_molecules, clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    to_do = [study.Status(Path(f"baseline/{name}"), config) for name in "ab"]
    overall = runner.Overall(to_do, qm9_molecules, "smoke")
    with overall.run(to_do[0]):
        epoch(overall, clock, 1, 2, 60)
    overall.close()
    shown = re.split("[\r\n]", sys.stderr.getvalue())
    assert any(line.startswith("run 1 of 2, 3 min 00 s left |") and line.rstrip().endswith("25%") for line in shown)


# ---- verify ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def _same_code(monkeypatch, folder):
    """The record and its repetition from one commit, whatever is being edited in this checkout."""
    git = {"commit": "0" * 40, "clean": True}
    monkeypatch.setattr(checkout, "git_state", lambda: git)
    edit(folder, lambda about: about.update(git=git))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change_weights(folder: Path, factor: float) -> None:
    state = load(folder).state_dict()
    name = "representation.embedding.weight"
    save_file(state | {name: state[name] * factor}, folder / "model.safetensors")
    edit(folder, lambda _about: None)


@pytest.mark.usefixtures("_same_code")
def test_verify_finds_the_same_bits_and_touches_nothing(results, folder, recorded):
    before = content(folder)
    result = invoke("verify", recorded.id[:6], "--results", results)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].startswith("the same bits: history")
    assert "different around it" not in result.stdout
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [recorded.id]


@pytest.mark.usefixtures("_same_code")
def test_verify_names_what_was_tampered_with(results, folder):
    change_weights(folder, 1.0001)
    result = invoke("verify", folder.name, "--results", results)
    assert result.exit_code == 1
    assert "held-out errors: the same bits" in result.stdout
    assert "weights: differs most in representation.embedding.weight: " in result.stdout
    assert result.stderr.splitlines()[-1] == (
        f"error: {folder} is not what the run gives here: weights differ, and nothing around it does"
    )


def test_verify_allows_another_machine_a_little_and_no_more(results, folder):
    edit(folder, lambda about: about["machine"].update(processor="an abacus"))
    change_weights(folder, 1.0001)
    result = invoke("verify", folder.name, "--results", results)
    assert result.exit_code == 0, result.output
    assert "different around it: processor an abacus, here " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("not the same bits, but within the tolerance of 2% for another")
    change_weights(folder, 1.5)
    result = invoke("verify", folder.name, "--results", results)
    assert result.exit_code == 1
    assert "weights differ, by more than the tolerance of 2% for" in result.stderr.splitlines()[-1]


def test_verify_writes_what_it_found_to_a_new_file(results, folder, recorded, tmp_path):
    edit(folder, lambda about: about["machine"].update(processor="an abacus"))
    change_weights(folder, 1.5)
    out = tmp_path / "repetitions" / "one.json"
    assert invoke("verify", folder.name, "--results", results, "--out", out).exit_code == 1
    (found,) = repetition.load_all(out.parent)
    assert (found.id, found.recorded.processor, found.identical) == (recorded.id, "an abacus", False)
    assert found.again.processor != "an abacus"
    assert (found.seed, found.epochs) == (recorded.config.seed, recorded.config.epochs)
    assert not found.within_tolerance
    assert found.recorded.mae == found.again.mae > 0
    assert found.differences["weights"] > found.differences["held-out errors"] == 0
    kept = out.read_bytes()
    refusal = refused("verify", folder.name, "--results", results, "--out", out)
    assert refusal == f"error: {out} exists: name another file, or remove it"
    assert out.read_bytes() == kept
    assert [path.name for path in out.parent.iterdir()] == ["one.json"]


def test_verify_takes_the_records_number_of_threads_or_another(results, folder, recorded):
    threads = recorded.about["machine"]["threads"]
    result = invoke("verify", folder.name, "--results", results, "--threads", threads + 1)
    assert result.exit_code == 0, result.output
    assert f"different around it: threads {threads}, here {threads + 1}" in result.stdout


def test_verify_needs_the_records_molecules(results, folder, qm9_molecules, monkeypatch):
    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules.select(range(1000)))
    result = invoke("verify", folder.name, "--results", results)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: run {folder.name} was recorded on other molecules than the 1,000 here")


def test_ctrl_c_leaves_nothing_of_a_repetition(results, folder, monkeypatch):
    def interrupt(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", interrupt)
    before = content(folder)
    assert refused("verify", folder.name, "--results", results, code=130).startswith("stopped: the record is as it was")
    assert content(folder) == before


# ---- show ------------------------------------------------------------------------------------------------------------


def test_show_tells_all_about_a_record(results, recorded):
    result = invoke("show", recorded.id[:4], "--results", results)
    assert result.exit_code == 0
    text = result.stdout
    special, usual = text.split("settings at the default")
    assert "data.train_molecules     200" in special
    assert "training.epochs" in special
    assert "model.n_atom_basis" in usual
    assert "model.n_atom_basis" not in special
    assert re.search(r"train +200", usual)
    assert all(phase in usual for phase in ("data", "training", "validation", "evaluation"))
    assert recorded.about["versions"]["torch"] in usual
    assert "after 2 epochs, eV²" in usual
    assert f"{recorded.history['validation_loss'].iloc[-1]:.5g}" in usual
    sizes = usual.split("by number of atoms, eV²")[1].splitlines()
    assert sizes[1].split() == ["molecules", "held", "out", "held", "out", "as", "reported"]
    table = protocols.mse(recorded.groups, "size")
    assert len(sizes) == 2 + len(table)
    row = next(line for line in sizes if line.startswith("17 ")).split()
    assert row[1:] == [
        str(table.loc[17, "molecules"]),
        f"{table.loc[17, 'held_out']:.4g}",
        f"{table.loc[17, 'as_reported']:.4g}",
    ]


def test_settings_within_one_that_is_empty_by_default_are_shown_as_special():
    result = invoke("show", "beyond-remedies/22dc3671141f", "--results", ROOT / "results")
    special, _ = result.stdout.split("settings at the default")
    assert re.search(r"\n  fine_tuning\.\w+ +\S", special)


def test_a_record_is_found_by_the_beginning_of_its_id_if_no_other_has_it(results, folder):
    other = "0" * 12 if not folder.name.startswith("0") else "f" * 12
    shutil.copytree(folder, folder.with_name(other))
    assert invoke("show", folder.name[:1], "--results", results).exit_code == 0
    shutil.copytree(folder, results / "elsewhere" / folder.name)
    line = refused("show", folder.name[:3], "--results", results)
    assert line == (f"error: '{folder.name[:3]}' fits several records: baseline/{folder.name}, elsewhere/{folder.name}")
    assert invoke("show", f"baseline/{folder.name[:3]}", "--results", results).exit_code == 0


def test_an_unknown_id_is_refused_with_the_nearest_ones(results, folder):
    wrong = folder.name[:-1] + ("0" if folder.name[-1] != "0" else "1")
    line = refused("show", wrong, "--results", results)
    assert line == f"error: no record '{wrong}' in {results}; the nearest ids are {folder.name}"


@pytest.mark.parametrize("wanted", ["../elsewhere", "/etc/passwd", "baseline/../elsewhere", ".", "~", "*", "\n"])
@pytest.mark.parametrize("command", ["show", "verify"])
def test_an_id_is_no_path(command, wanted, results):
    elsewhere = results.parent / "elsewhere"
    shutil.copytree(results / "baseline", elsewhere)
    line = refused(command, wanted, "--results", results)
    assert line.startswith("error: no record ")
    assert str(elsewhere) not in line


@pytest.mark.parametrize("command", ["show", "verify"])
def test_no_run_is_found_where_nothing_is_recorded(command, tmp_path):
    assert refused(command, "abc", "--results", tmp_path / "none") == (
        f"error: there are no records in {tmp_path / 'none'}: "
        "--results, or COMPENDIUM_RESULTS, names the folder that holds them"
    )


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_damaged_record_is_neither_shown_nor_verified(command, results, folder):
    damage_history(folder)
    line = refused(command, folder.name, "--results", results)
    assert line.startswith(f"error: {folder / 'history.csv'} is not what was recorded")


# ---- what does not exist ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["list", "run"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["balance"], "there is no experiment 'balance': choose one of baseline, balancing, loss-modification, "),
        (["--profile", "tiny"], "profile = 'tiny': Input should be 'smoke', 'quick' or 'full'"),
        (["--profile", "Quick"], '; write "quick"'),
        (["--seeds", "1,x"], "seeds.0 = '1,x': Input should be a valid integer (at least one, each once)"),
        (["--seeds", "0 1"], "seeds.0 = '0 1': Input should be a valid integer (at least one, each once); write [0"),
        (["--seeds", "[1, 2.0]"], "seeds.1 = 2.0: Input should be a valid integer (at least one, each once); write [1"),
        (["--seeds", "1,1"], "a value is given twice: [1, 1]"),
        (["--seeds", "-1"], "seeds.0 = -1: Input should be greater than or equal to 0"),
    ],
)
def test_unknown_names_are_refused_in_one_line(command, arguments, said, tmp_path):
    line = refused(command, *arguments, "--results", tmp_path)
    assert line.startswith("error: ")
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_logger_is_refused_before_anything_is_trained(tmp_path):
    line = refused("run", "baseline", *SMOKE, "--logger", "mlflow", "--results", tmp_path)
    assert line.startswith("error: there is no logger 'mlflow': choose one of csv, tensorboard, wandb")
    assert list(tmp_path.iterdir()) == []


def test_results_that_are_a_file_are_said_in_one_line(tmp_path):
    (tmp_path / "results").write_text("")
    assert "results" in refused("run", "baseline", *SMOKE, "--seeds", "0", "--results", tmp_path / "results")


def test_the_package_is_a_command(tmp_path):
    """A process of its own: nothing but one line on the standard error, and the exit code."""
    asked = [sys.executable, "-m", "analysis", "show", "abc", "--results", tmp_path]
    result = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: there are no records in {tmp_path}: --results, or ")
    assert result.stderr.count("\n") == 1


def test_verdicts_are_a_line_per_claim_and_protocol_and_the_rules(monkeypatch):
    """On the committed records of the experiments that are whole."""
    claims = {key: claim for key, claim in verdicts.CLAIMS.items() if claim.experiments == ("directed-training",)}
    monkeypatch.setattr(verdicts, "CLAIMS", claims)
    monkeypatch.setattr(verdicts.table, "CLAIMS", claims)
    result = invoke("verdicts")
    assert result.exit_code == 0, result.stderr
    head, *lines = result.stdout.split("\n\n")[0].splitlines()
    assert head.split()[:3] == ["claim", "section", "the"]
    assert [line.split()[0] for line in lines if not line.startswith("stage2")] == [key for key in claims for _ in "ab"]
    assert any("held_out" in line for line in lines)
    assert f"\nh4: {verdicts.rule_of(verdicts.claims.h4)}" in result.stdout


def test_the_second_stage_is_judged_by_its_trials_and_their_seeds(monkeypatch):
    claims = {"stage2": verdicts.CLAIMS["stage2"]}
    monkeypatch.setattr(verdicts, "CLAIMS", claims)
    monkeypatch.setattr(verdicts.table, "CLAIMS", claims)
    shown = invoke("verdicts").stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("stage2  ")]
    assert line.split()[1:4] == ["5.2.1", "confirmed", "held_out"]
    monkeypatch.setattr(trials, "repeated", lambda *_, **__: [])
    assert "stage2 is not judged: " in invoke("verdicts").stdout


def test_verdicts_need_the_records(tmp_path):
    result = invoke("verdicts", "--results", tmp_path)
    assert result.exit_code == 1
    assert "runs of baseline are not recorded" in result.stderr
