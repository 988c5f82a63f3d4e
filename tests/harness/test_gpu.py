"""What `make gpu-check` does, as far as that can be seen without a GPU, and what the page says of its records."""
# ruff: noqa: E402

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the harness is no part of the installed package

from analysis.figures.words import LANGUAGES
from analysis.runs.config import RunConfig, adjust
from analysis.training import recording
from harness.benchmark import figures, gpu, plan
from harness.benchmark import record as benchmark
from harness.benchmark.__main__ import app

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
TINY = adjust(
    RunConfig(experiment="tests"),
    data={"train_molecules": 100, "held_out_molecules": 50},
    model={"n_atom_basis": 8, "n_interactions": 1},
    training={"batch_size": 25, "epochs": 1, "learning_rate": 1e-3},
)
OUR_OWN = (("schnet", "fused"), ("painn", "stock"))


@pytest.fixture(scope="module")
def checked(qm9_molecules, tmp_path_factory):
    """Its record, with the processor in the place of a card, and without SchNetPack as it is."""
    folder = tmp_path_factory.mktemp("gpu")
    few = qm9_molecules.select(np.arange(0, len(qm9_molecules), 20))
    run = recording.load_or_train(TINY, few, results=folder / "results", logger=None)
    asked = plan.settings(quick=True, widths=(8,), batches=(25,), molecules=1000, seconds=0.1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gpu, "NETWORKS", OUR_OWN)
        patched.setattr(gpu.contestants, "write_database", lambda *_: None)
        found = gpu.check(folder / "gpu-here.json", [run], few, asked, device="cpu", say=lambda _: None)
    assert benchmark.load_gpu(folder) == [found]
    return found


def test_runs_are_trained_again_and_steps_measured(checked):
    (again,) = checked.agreement
    assert again.identical  # on the same processor
    assert checked.agrees
    assert checked.device == "cpu"
    assert [(one.network, one.layers, one.width, one.batch) for one in checked.steps] == [
        (*of, 8, 25) for of in OUR_OWN
    ]
    assert checked.rate("schnet", "fused", 8, 25) > 0
    assert checked.rate("schnet", "schnetpack", 8, 25) is None


@EACH_LANGUAGE
def test_the_page_says_which_card_it_was_and_whether_it_agrees_or_that_there_was_none(checked, lang):
    (row,) = figures.gpu_table([checked], lang=lang).to_numpy()
    assert list(row[:3]) == ["8", "25", "–"]
    differing = checked.model_copy(
        update={"agreement": (checked.agreement[0].model_copy(update={"within_tolerance": False}),)}
    )
    said = [figures.gpu_facts(of, lang=lang)["gpu"] for of in ([], [checked], [checked, differing])]
    assert len(set(said)) == 3
    assert [one.startswith("cpu: ") for one in said] == [False, True, True]
    assert figures.gpu_table([], lang=lang) is None


@EACH_LANGUAGE
def test_the_page_says_what_two_workers_gained_or_that_it_was_not_measured(checked, lang):
    turns = [
        {"workers": n, "repeat": r, "seconds": s} for n, r, s in [(1, 0, 30.0), (2, 0, 20.0), (1, 1, 9.0), (2, 1, 6.0)]
    ]
    record = benchmark.WorkerTimes(
        machine=checked.machine, versions={}, git=None, profile="quick", runs=8, load=0.0,
        turns=tuple(benchmark.WorkerTurn(**turn) for turn in turns),
    )  # fmt: skip
    assert record.gain == 1.5
    assert ("1,50" if lang == "ca" else "1.50") in figures.worker_facts([record], lang=lang)["workers_measured"]
    assert figures.worker_facts([], lang=lang)["workers_measured"].endswith(".")


def test_without_a_gpu_it_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused = CliRunner().invoke(app, ["gpu", str(tmp_path / "gpu.json")])
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: torch can use no GPU here")
    assert not list(tmp_path.iterdir())
