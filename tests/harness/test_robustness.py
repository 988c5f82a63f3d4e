# ruff: noqa: E402
"""Kills, faults and fuzzing: a short run of the harness, and the record of the long one that the book shows."""

import json
import random
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from analysis.runs import records
from analysis.runs.config import RunConfig, adjust
from analysis.training import loop, recording
from analysis.training.callbacks import read_checkpoint
from harness.robustness import faults, fuzzing, kills, load, plan, processes
from harness.robustness import record as robustness
from harness.robustness.__main__ import app as harness
from harness.robustness.processes import HalfReadError, Look

SMALL = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 2, "learning_rate": 1e-3},
)


# ---- the harness itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "times", "files"),
    [(processes.training("baseline"), 1, 5), (processes.CACHE, 2, 1)],
    ids=["training", "cache"],
)
def test_a_command_that_is_killed_goes_on_and_comes_to_the_same_bits(process, times, files, tmp_path):
    """Killed in the middle of what it writes; `make kills` does it more often, and to more of them."""
    expected = kills.undisturbed(process, tmp_path / "peace")
    assert len(expected["result"]) == files
    rng = random.Random(0)
    tally = kills.disturb(process, times, expected, tmp_path / "killed", rng, say=print, always_aim=True)
    assert tally.troubles == []
    assert len(tally.kills) == times
    assert (tally.half_read, tally.lost, tally.refused, tally.differing) == (0, 0, 0, 0)
    assert tally.compared == files * tally.ends >= files
    assert not (tmp_path / "killed").exists()


@pytest.fixture(scope="module")
def recorded(qm9_molecules, tmp_path_factory) -> Path:
    """A folder with a record and the checkpoint of the same run."""
    folder = tmp_path_factory.mktemp("robustness")
    recording.load_or_train(SMALL, qm9_molecules, results=folder / "results", logger=None)
    loop.train(SMALL, qm9_molecules, folder / "training", logger=None)
    return folder


@pytest.fixture
def copy(recorded, tmp_path) -> Path:
    """The same folder, free to be damaged."""
    shutil.copytree(recorded, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_harness_notices_a_half_written_file_in_place_of_a_whole_one(copy):
    assert len(processes.look_at_records(copy).whole) == 6
    (record,) = records.recorded_folders(copy / "results")
    (record / "history.csv").write_text("epoch\n")
    with pytest.raises(HalfReadError, match=r"history\.csv is not what was recorded"):
        processes.look_at_records(copy)


def test_the_harness_notices_a_half_written_checkpoint(copy):
    (record,) = records.recorded_folders(copy / "results")
    partial = record.with_name(f".{record.name}.partial")
    partial.mkdir()
    shutil.rmtree(record)
    shutil.copy(copy / "training" / "last.ckpt", partial)
    look = processes.look_at_records(copy)
    assert look.epochs == {f"tests/{record.name}": 2}
    assert look.unfinished == 1
    (partial / "last.ckpt").write_bytes((partial / "last.ckpt").read_bytes()[:-100])
    with pytest.raises(HalfReadError, match=r"last\.ckpt can't be read"):
        processes.look_at_records(copy)


@pytest.mark.parametrize(
    ("later", "lost"),
    [
        (Look(), True),
        (Look({"a/1/x": "0"}, {"a/2": 3}), False),
        (Look({"a/1/x": "1"}, {"a/2": 3}), True),
        (Look({"a/1/x": "0"}, {"a/2": 2}), True),
        (Look({"a/1/x": "0"}, {"a/2": 4, "a/3": 0}), False),
        (Look({"a/1/x": "0", "a/2/x": "0"}), False),
    ],
)
def test_records_and_epochs_in_checkpoints_must_not_be_lost(later, lost):
    assert Look({"a/1/x": "0"}, {"a/2": 3}).lost(later) is lost


def test_a_command_that_fails_by_itself_is_noticed(tmp_path):
    process = processes.ProcessUnderTest(
        name="study",
        prepare=lambda _: None,
        commands=lambda _: [[sys.executable, "-c", "import sys; sys.exit('the disk is on fire')"]],
        environment=lambda _: {},
        aims=(),
        look=lambda _: Look(),
        result=lambda _: {},
    )
    with pytest.raises(kills.UndisturbedError, match="the disk is on fire"):
        kills.undisturbed(process, tmp_path / "peace")
    tally = kills.disturb(process, 0, {"seconds": 1.0, "result": {}}, tmp_path / "killed", random.Random(0), say=print)
    assert tally.refused == 1


def test_a_study_that_cannot_go_on_is_reported(monkeypatch):
    monkeypatch.setattr(load, "_STUDY", "raise MemoryError")
    with pytest.raises(load.StudyMemoryError, match=r"ended with status \d+ after 0 that were recorded"):
        load.memory_of_study(1, few=1)


def test_the_study_in_little_memory_is_measured_and_recorded(tmp_path):
    out = tmp_path / "memory.json"
    result = CliRunner().invoke(harness, ["memory", "--quick", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = robustness.load_memory(out)
    assert (found.quick, found.runs, found.epochs) == (True, 2, 1)
    assert 3e8 < found.memory < 4e9
    assert found.memory_limit == load.memory_limit()
    out.write_text(out.read_text().replace('"runs": 2', '"runs": 0'))
    with pytest.raises(
        robustness.RobustnessError, match=r"runs: .*; restore it, or run `python -m harness.robustness memory`"
    ):
        robustness.load_memory(out)


def test_the_committed_record_of_the_studys_memory_is_of_all_of_it():
    found = robustness.load_memory()
    assert not found.quick
    assert found.git.clean
    assert found.memory < found.memory_limit <= 4e9
    assert found.runs > 60


def test_a_harness_that_was_stopped_goes_on_with_the_next_job(tmp_path, monkeypatch):
    done = []

    def do(job, _expected, _seed, _say):
        done.append(job)
        counts = {"half_read": 0, "lost": 0, "refused": 0, "compared": 1, "differing": 0, "ends": 1}
        return {
            "undisturbed": {"seconds": 1.0, "result": {}},
            "kills": {"kills": [], **counts},
            "fault": {"tries": 1, "exit_codes": [1], "said": "", "left": 0, "went_on": None, "name": job.get("name")},
            "fuzz": {"inputs": 1, "refused": 1, "same": 0, "other": 0, "wrong": 0, "said": "", "name": job.get("name")},
            "load": RECORD["load"],
        }[job["kind"]]

    monkeypatch.setattr(plan, "_do", do)
    out = tmp_path / "robustness.json"
    asked = {"quick": True, "seed": 0, "say": lambda _: None}
    assert plan.carry_out(out, minutes=0, **asked) is None
    assert done == []
    record = plan.carry_out(out, minutes=5, **asked)
    assert len(done) == len(list(plan.jobs(quick=True)))
    assert robustness.load(out) == record
    assert [path.name for path in tmp_path.iterdir()] == ["robustness.json"]
    with pytest.raises(plan.RobustnessFailedError, match="exists"):
        plan.carry_out(out, minutes=5, **asked)


def test_the_whole_harness_kills_more_than_fifty_times_and_everything_that_it_should():
    asked = list(plan.jobs(quick=False))
    killed = {job["process"] for job in asked if job["kind"] == "kills"}
    assert killed == set(robustness.PROCESSES)
    assert sum(job["times"] for job in asked if job["kind"] == "kills") >= 50
    assert {job["name"] for job in asked if job["kind"] == "fault"} == set(robustness.FAULTS) == set(faults.FAULTS)
    assert {job["name"] for job in asked if job["kind"] == "fuzz"} == set(robustness.FUZZ_TARGETS)


ROW = re.compile(r"^\| [^|]+ \| [^|]+ \| `(\w+\.py)::(\w+)` \|$", re.MULTILINE)


def test_every_row_of_the_table_of_refusals_is_backed_by_a_test():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("## What is refused, and how")[1].split("\n## ")[0]
    rows = ROW.findall(table)
    assert len(rows) == table.count("\n| ") - 2 > 20
    for file, name in rows:
        (found,) = (ROOT / "tests").rglob(file)
        assert f"\ndef {name}(" in found.read_text(encoding="utf-8"), f"{file} has no {name}"


# ---- fuzzing -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def targets(qm9_molecules, recorded) -> fuzzing.FuzzTargets:
    (record,) = records.recorded_folders(recorded / "results")
    return fuzzing.FuzzTargets(recorded / "targets", qm9_molecules, record, recorded / "training" / loop.CHECKPOINT)


@pytest.mark.parametrize("name", robustness.FUZZ_TARGETS)
def test_every_mutated_input_is_refused_with_one_message_or_is_valid(name, targets):
    few = 8 if name == "parameters" else 40

    @settings(max_examples=few, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def fuzzed(rng):
        answer, said = targets.fuzz(name, rng)
        assert answer in ("refused", "same", "other"), said

    fuzzed()


def test_a_target_that_crashes_writes_or_is_deceived_is_noticed(targets, monkeypatch):
    def writes(_rng):
        (targets.folder / "more").write_text("")
        return "refused", "but it was written"

    for wrong in (writes, lambda _: 1 / 0, lambda _: ("wrong", "deceived"), lambda _: ("refused", " ")):
        monkeypatch.setitem(targets._targets, "csv", wrong)
        assert targets.fuzz("csv", random.Random(0))[0] == "wrong"
    (targets.folder / "more").unlink()


@pytest.mark.parametrize("name", ["geometry", "smiles"])
def test_an_energy_that_is_no_number_is_a_wrong_answer(name, targets, monkeypatch):
    def nothing_known(_ensemble, atoms, _names, _kinds, **_):
        return [SimpleNamespace(energy=float("nan")) for _ in atoms]

    monkeypatch.setattr("analysis.predict.ensemble.Ensemble.answers", nothing_known)
    answers = [targets.fuzz(name, random.Random(seed)) for seed in range(30)]
    assert any(answer == "wrong" and "nan" in said for answer, said in answers)


def test_edits_change_something_and_leave_the_original(recorded):
    (record,) = records.recorded_folders(recorded / "results")
    about = json.loads((record / "run.json").read_text())
    before = json.dumps(about)
    edits = [fuzzing.edited(about, random.Random(seed)) for seed in range(50)]
    assert json.dumps(about) == before
    assert sum(json.dumps(one) != before for one in edits) > 40
    content = (recorded / "training" / loop.CHECKPOINT).read_bytes()
    assert sum(fuzzing.damaged(content, random.Random(seed)) != content for seed in range(50)) > 40
    assert read_checkpoint(recorded / "training" / loop.CHECKPOINT)["epoch"] == 1


# ---- faults --------------------------------------------------------------------------------------------------------


def test_an_interrupted_installation_starts_over():
    found = faults.inject("cut-off-installation")
    assert found["exit_codes"] == [0, 0, 0]
    assert found["said"] == "The last installation was cut off: it begins anew"
    assert (found["left"], found["went_on"]) == (0, True)


def test_results_that_may_not_be_written_are_one_line_and_can_still_be_listed():
    found = faults.inject("read-only-results")
    assert found["exit_codes"] == [1]
    assert re.match(r"error: …/results/\S+: no permission to .* place; once that is mended", found["said"])
    assert found["left"] == 0


# ---- the record ----------------------------------------------------------------------------------------------------

RECORD = {
    "schema_version": 1,
    "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_gib": 23.5, "threads": 2},
    "versions": {"python": "3.12"},
    "git": {"commit": "a" * 40, "clean": True},
    "seed": 0,
    "quick": True,
    "processes": [
        {
            "name": "study",
            "seconds": 10.0,
            "kills": [
                {"after": 1.5, "aim": "", "all_processes": True, "whole": 6, "epochs": 1, "unfinished": 1},
                {"after": 2.5, "aim": "x", "all_processes": False, "whole": 0, "epochs": 0, "unfinished": 0},
            ],
            "ends": 1,
            "half_read": 0,
            "lost": 0,
            "refused": 0,
            "compared": 1200,
            "differing": 0,
        }
    ],
    "faults": [
        {"name": "no-home", "tries": 1, "exit_codes": [0], "said": "done", "left": 0, "went_on": None},
        {"name": "full-disk-run", "tries": 2, "exit_codes": [1, 1], "said": "error", "left": 0, "went_on": True},
    ],
    "fuzz_targets": [
        {"name": "csv", "inputs": 1000, "refused": 900, "same": 60, "other": 40, "wrong": 0, "said": "no"}
    ],
    "load": {
        "records": 10_000,
        "list_seconds": 1.5,
        "start_seconds": 6.0,
        "notebook_seconds": 8.0,
        "memory": 1_700_000_000,
        "memory_limit": 4_000_000_000,
        "epochs": 2,
    },
}


def made(**changes: object) -> robustness.Robustness:
    return robustness.Robustness.model_validate_json(json.dumps(RECORD | changes))


def test_a_record_comes_back(tmp_path):
    path = tmp_path / "robustness.json"
    path.write_text(made().model_dump_json())
    assert robustness.load(path) == made()
    assert made().kills == 2
    assert robustness.troubles(made()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing: run `make kills`"),
        ("{", "the file: Invalid JSON"),
        ('{"seed": -1}', "machine: Field required"),
    ],
)
def test_a_record_that_cannot_be_trusted_is_refused(tmp_path, content, said):
    path = tmp_path / "robustness.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(robustness.RobustnessError, match=said):
        robustness.load(path)


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("processes", {"half_read": 1}, "study: 1 half-written things"),
        ("processes", {"lost": 2}, "study: 2 kills after which"),
        ("processes", {"refused": 1}, "study: 1 starts that ended"),
        ("processes", {"differing": 1}, "study: 1 files that differ"),
        ("faults", {"left": 1}, "no-home: 1 things left behind"),
        ("faults", {"went_on": False}, "no-home: it did not go on"),
        ("fuzz_targets", {"wrong": 3}, "csv: 3 of 1000 went wrong"),
    ],
)
def test_everything_that_should_not_have_happened_is_reported(part, changes, said):
    first, *others = RECORD[part]
    (trouble,) = robustness.troubles(made(**{part: [first | changes, *others]}))
    assert trouble.startswith(said)


def test_exceeding_the_memory_limit_is_reported():
    load = RECORD["load"] | {"memory": 5_000_000_000}
    assert robustness.troubles(made(load=load)) == ["a training took 5000000000 bytes"]


def test_the_committed_record_is_of_a_whole_harness_and_nothing_went_wrong():
    record = robustness.load()
    assert not record.quick
    assert record.git is not None
    assert record.git.clean
    assert record.kills >= 50
    assert [process.name for process in record.processes] == list(robustness.PROCESSES)
    assert [fault.name for fault in record.faults] == list(robustness.FAULTS)
    assert [target.name for target in record.fuzz_targets] == list(robustness.FUZZ_TARGETS)
    assert robustness.troubles(record) == []
    assert record.load.records == 10_000


def test_the_committed_record_is_what_the_code_would_write():
    """To the byte: its keys are older than the names in the code, and so is its machine without a processor."""
    written = robustness.load().model_dump_json(indent=1, exclude_unset=True) + "\n"
    assert written == robustness.default_path().read_text(encoding="utf-8")
    assert set(json.loads(written)) > {"victims", "straits", "feeds"}
