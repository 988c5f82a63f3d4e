# ruff: noqa: E402
"""The benchmark: the contestants train one network on the same molecules, the record is checked, the bars follow."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_module
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from analysis.data.neighbours import neighbour_pairs
from analysis.runs import checkout
from analysis.runs.config import Model, adjust
from analysis.runs.selection import choose_molecules
from analysis.training import loop, networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused import choice as fused_choice
from fused.callback import InMemory
from fused.schnet import FusedSchNet
from harness.benchmark import contestants, floor, forces, geometric, measure, plan, programs, ways, workers
from harness.benchmark import record as benchmark
from harness.benchmark.__main__ import app
from harness.benchmark.record import Benchmark, BenchmarkError, Spread
from harness.benchmark.window import Window, WindowClosedError

WIDTH, BATCH, COUNT = 16, 50, 200
SETTINGS = plan.settings(
    quick=True, molecules=1000, widths=(WIDTH,), batches=(BATCH,), scaling=(COUNT,), scaling_schnetpack=(COUNT,)
).model_copy(update={"molecules": COUNT, "seconds": 0.01, "min_steps": 6, "warm_up": 1})


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """SchNetPack leaves a lock in the working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What `prepare` leaves."""
    path = tmp_path_factory.mktemp("benchmark")
    prepared = measure.run({"kind": "prepare"}, SETTINGS, path)
    assert benchmark.Machine.model_validate(prepared["machine"]).processor == fused_choice.processor()
    return path


@pytest.fixture(scope="module")
def packed(qm9_molecules) -> tuple[PackedMolecules, np.ndarray]:
    """The packed molecules of (b) and (d), and which of them are trained on."""
    molecules, parts, targets = contestants.chosen(qm9_molecules, COUNT)
    return PackedMolecules(molecules, neighbour_pairs(molecules, SETTINGS.cutoff), targets=targets), parts.train


def copied(stock: torch.nn.Module, width: int) -> torch.nn.Module:
    """PyTorch Geometric's SchNet with the weights of SchNetPack's."""
    model = geometric.build(SETTINGS, width)
    source = stock.state_dict()
    names = {"embedding.weight": "representation.embedding.weight"}
    for layer in range(SETTINGS.n_interactions):
        theirs, ours = f"interactions.{layer}", f"representation.interactions.{layer}"
        names[f"{theirs}.conv.lin1.weight"] = f"{ours}.in2f.weight"
        layers = {"mlp.0": "filter_network.0", "mlp.2": "filter_network.1", "conv.lin2": "f2out.0", "lin": "f2out.1"}
        for one, other in layers.items():
            names |= {f"{theirs}.{one}.{part}": f"{ours}.{other}.{part}" for part in ("weight", "bias")}
    for one, other in {"lin1": "outnet.0", "lin2": "outnet.1"}.items():
        names |= {f"{one}.{part}": f"output_modules.0.{other}.{part}" for part in ("weight", "bias")}
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        assert parameters.keys() == names.keys()
        for name, other in names.items():
            parameters[name].copy_(source[other])
    return model


# ---- the contestants


def test_every_contestant_trains_the_same_network_and_its_loss_falls(folder):
    found = {
        name: measure.run(
            {"kind": "steps", "contestant": name, "width": WIDTH, "batch": BATCH, "repeat": 0}, SETTINGS, folder
        )
        for name in benchmark.CONTESTANTS
    }
    for name, values in found.items():
        one = benchmark.Steps.model_validate_json(json.dumps(values))
        assert one.contestant == name
        assert one.last_loss < one.first_loss, name
        assert one.molecules == BATCH * one.steps, name
        assert 0 < one.first_batch < one.first_step, name
    assert len({values["parameters"] for values in found.values()}) == 1
    with_workers = {name for name, values in found.items() if values["workers_memory"] > 0}
    assert with_workers == {"schnetpack", "accelerated", "half_list"} == set(plan._SLEEPERS)
    ways_taken = {name: values["way"] for name, values in found.items() if "way" in values}
    assert ways_taken == dict.fromkeys(("accelerated", "half_list", "in_memory", "ours"), str(fused_choice.default()))


def test_the_variants_of_schnetpack_learn_what_it_learns_each_with_its_own_lists_and_data(folder):
    """After an epoch from the same beginnings; that they are quicker nobody can test."""
    seen = {}

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, step):  # noqa: ARG002
            kinds = (type(trainer.datamodule.train_dataloader().dataset), type(module.model.representation))
            seen[variant] = (*kinds, "_n_pairs" in batch, float(outputs["loss"]))

    for variant in benchmark.VARIANTS:
        contestants.schnetpack(
            SETTINGS, folder, width=WIDTH, batch=BATCH, molecules=COUNT, callbacks=[Look()], epochs=1, variant=variant
        )
    assert [(kept is InMemory, network is FusedSchNet, half) for kept, network, half, _ in seen.values()] == [
        (False, False, False),
        (False, True, False),
        (False, True, True),
        (True, True, True),
    ]
    losses = [loss for *_, loss in seen.values()]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-3)


def test_every_contestant_sees_the_same_molecules(folder, packed):
    """By their targets, which tell molecules apart."""
    inputs, train = packed
    expected = np.sort(inputs.targets[train])
    data = contestants.data_module(SETTINGS, folder, batch=BATCH, molecules=COUNT)
    data.num_workers = 0
    data.setup()
    stock = np.sort(torch.cat([batch[ENERGY] for batch in data.train_dataloader()]).numpy())
    edges = np.sort([one.y.item() for one in geometric.read(folder / "edges.npz")])
    np.testing.assert_allclose(stock, expected, atol=6e-3)  # SchNetPack takes its offsets away in float32
    np.testing.assert_allclose(edges, expected, rtol=1e-6)


def test_all_four_predict_the_same_energies(folder, packed):
    inputs, train = packed
    stock = contestants.stock_model(SETTINGS, WIDTH, [])
    fused = networks.build_from(Model(n_atom_basis=WIDTH, training_cutoff=SETTINGS.cutoff))
    fused.load_state_dict(stock.state_dict())
    theirs = copied(stock, WIDTH)
    everything = geometric.read(folder / "edges.npz")
    loader = geometric.DataLoader(everything, batch_size=COUNT)
    with torch.no_grad():
        b = stock(inputs.batch(train, stock=True))[ENERGY]
        d = fused(inputs.batch(train))[ENERGY]
        c = torch.cat([geometric.predict(theirs, batch) for batch in loader])
    torch.testing.assert_close(d, b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(c, b, rtol=1e-4, atol=1e-4)


def test_stock_and_ours_follow_the_same_losses_on_the_same_molecules(packed, qm9_molecules, tmp_path):
    trained = {}
    for convolution in ("stock", "fused"):
        config = contestants.config_of(SETTINGS, width=WIDTH, batch=BATCH, molecules=COUNT, epochs=2)
        config = adjust(config, model={"convolution": convolution})
        trained[convolution] = loop.train(config, qm9_molecules, tmp_path / convolution)
    stock, fused = trained["stock"].history, trained["fused"].history
    np.testing.assert_allclose(fused["train_loss"], stock["train_loss"], rtol=1e-4)
    inputs, train = packed
    for one in trained.values():
        np.testing.assert_array_equal(one.molecules.index[one.parts.train], inputs.molecules.index[train])
        np.testing.assert_array_equal(one.packed.targets, inputs.targets)


def test_the_bare_loop_learns_what_ours_learns(qm9_molecules, tmp_path):
    config = contestants.config_of(SETTINGS, width=WIDTH, batch=BATCH, molecules=COUNT, epochs=2)
    trained = loop.train(config, qm9_molecules, tmp_path)
    losses, numbers = [], []
    original = torch.nn.functional.mse_loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "mse_loss", lambda *x: (losses.append(original(*x).item()), original(*x))[1])
        steps = contestants.bare(SETTINGS, width=WIDTH, batch=BATCH)
        numbers += [next(steps) for _ in range(len(trained.steps))]
    np.testing.assert_allclose(losses, trained.steps["loss"], rtol=1e-4)
    assert numbers == list(range(COUNT // BATCH)) * 2


def test_lightning_and_the_bare_loop_take_turns(folder):
    job = {"kind": "lightning", "width": WIDTH, "batch": BATCH, "repeat": 1}
    found = benchmark.Turns.model_validate_json(json.dumps(measure.run(job, SETTINGS, folder)))
    assert (found.width, found.batch, found.repeat) == (WIDTH, BATCH, 1)
    assert found.steps >= 10
    assert 0 < found.bare < 1
    assert 0 < found.with_lightning < 1


def test_turns_leave_out_their_first_steps_and_tell_the_two_apart(monkeypatch):
    """A clock that a Lightning step moves by 3 s and a bare one by 2; 50 s pass at each epoch's end."""
    now = [0.0]
    monkeypatch.setattr(contestants.time, "perf_counter", lambda: now[0])

    def other():
        for number in range(1000):
            now[0] += 2 if number % 60 else 30
            yield number % 60

    turns = contestants.Turns(other(), steps=50)

    def train() -> None:
        for step in range(1000):
            if step % 30 == 0:
                now[0] += 50
                turns.on_train_epoch_start()
            now[0] += 3
            turns.on_train_batch_end()

    with pytest.raises(WindowClosedError):
        train()
    assert set(turns.with_lightning) == {3}
    assert set(turns.bare) == {2}
    assert min(len(turns.with_lightning), len(turns.bare)) >= 50


def test_a_draw_can_take_nearly_all_molecules(qm9_molecules):
    for count in (1000, 104_664, 130_000):
        chosen = choose_molecules(qm9_molecules, contestants.data_of(count))
        assert len(chosen.parts.train) == count


# ---- SchNetPack's own programs


@pytest.fixture(scope="module")
def beside_qm9(tmp_path_factory) -> Path:
    """A folder in which `spktrain` finds a database of a few molecules."""
    path = tmp_path_factory.mktemp("programs")
    programs.write_database(path, 30)
    return path


FEW = {"train": 20, "validation": 5, "epochs": 2, "seed": 3}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_tutorial_learns_the_same_with_each_line_more(beside_qm9):
    found = {
        variant: programs.run(beside_qm9, program="tutorial", network="schnet", contestant=variant, **FEW)
        for variant in benchmark.VARIANTS
    }
    for one in found.values():
        assert len(one["seconds"]) == 2
        assert one["validation_loss"] == pytest.approx(found["schnetpack"]["validation_loss"], rel=1e-4)
    assert sorted(path.name for path in beside_qm9.iterdir()) == ["data"]


def test_spktrain_goes_through_with_all_lines_more(beside_qm9):
    job = {"kind": "program", "program": "spktrain", "network": "schnet", "contestant": "in_memory", "repeat": 3}
    found = measure.run(job | {key: FEW[key] for key in ("train", "validation", "epochs")}, SETTINGS, beside_qm9)
    one = benchmark.Training.model_validate_json(json.dumps(found))
    assert (one.contestant, one.repeat, len(one.epochs)) == ("in_memory", 3, 1)
    assert sorted(path.name for path in beside_qm9.iterdir()) == ["data"]


def test_spktrain_is_told_a_line_more_for_each_variant(beside_qm9, monkeypatch):
    told = {}

    def start(command, **_):
        told[variant] = set(command[1:])
        return subprocess.CompletedProcess(command, 1, "", "no such luck")

    monkeypatch.setattr(programs.subprocess, "run", start)
    for variant in benchmark.VARIANTS:
        with pytest.raises(RuntimeError, match="no such luck"):
            programs.run(beside_qm9, program="spktrain", network="painn", contestant=variant, **FEW)
    more = [told[variant] - told["schnetpack"] for variant in benchmark.VARIANTS]
    lines = [
        "+callbacks.fused._target_=fused.Accelerate",
        "data.transforms.2._target_=fused.HalfNeighborList",
        "+callbacks.fused.in_memory=true",
    ]
    assert [{one for one in each if not one.startswith("run.path=")} for each in more] == [
        set(lines[:count]) for count in range(4)
    ]


@pytest.mark.filterwarnings("ignore:provider=hydra.searchpath")
def test_the_programs_of_the_record_are_as_schnetpack_has_them():
    """Sizes that the record states and SchNetPack's own files decide."""
    known = {(one.program, one.network): one for one in plan.programs()}
    with initialize_config_module("schnetpack.configs", version_base="1.2"):
        for network in ("painn", "schnet"):
            overrides = ["experiment=qm9_atomwise", f"model/representation={network}"]
            config = compose("train", overrides=overrides)
            one, representation = known["spktrain", network], config.model.representation
            assert (one.width, one.n_interactions) == (representation.n_atom_basis, representation.n_interactions)
            assert (one.batch, one.workers) == (config.data.batch_size, config.data.num_workers)
            assert config.data.transforms[2]._target_.endswith("NeighborList")
        assert "PaiNN" in compose("train", overrides=["experiment=qm9_atomwise"]).model.representation._target_


def test_programs_take_turns_and_a_killed_measurement_goes_on(monkeypatch, tmp_path):
    out, done = tmp_path / "tutorial-here.json", []

    def measured(job, asked, folder):  # noqa: ARG001
        if len(done) == 3:
            done.append(None)
            raise KeyboardInterrupt
        done.append(job)
        if job["kind"] == "programs":
            return {"machine": made().machine.model_dump()}
        names = {key: job[key] for key in ("program", "network", "contestant", "repeat")}
        return names | {"first": 2.0, "epochs": [1.0], "validation_loss": 0.5}

    monkeypatch.setattr(plan, "_run", measured)
    with pytest.raises(KeyboardInterrupt):
        plan.measure_programs(out, repeats=2, quick=False, say=lambda _: None)
    record = plan.measure_programs(out, repeats=2, quick=False, say=lambda _: None)
    jobs = list(plan.program_jobs(repeats=2, quick=False))
    assert [job for job in done if job] == [{"kind": "programs"}, *jobs]
    assert [job["contestant"] for job in jobs] == [*benchmark.VARIANTS] * 6
    assert benchmark.load_programs(tmp_path) == [record]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    with pytest.raises(plan.BenchmarkFailedError, match="exists"):
        plan.measure_programs(out, repeats=2, quick=False, say=lambda _: None)


# ---- the stopwatch and the floor


def test_the_window_leaves_out_the_warm_up_and_steps_across_epochs(monkeypatch):
    times = iter([0.0, 1.0, 2.0, 5.0, 7.0, 17.0, 20.0])
    monkeypatch.setattr("harness.benchmark.window.time.perf_counter", lambda: next(times))
    window = Window(warm_up=2, min_steps=3, seconds=4)
    window.network(torch.nn.Linear(3, 1))
    window.epoch_begins()
    window.batch_in_hand()  # at 1 s
    window.step_done(10, 5.0)  # 2 s
    window.step_done(10, 4.0)  # 5 s: the window opens
    window.step_done(10, 3.0)  # 7 s
    window.epoch_begins()
    window.step_done(10, 2.0)  # 17 s
    with pytest.raises(WindowClosedError):
        window.step_done(6, 1.0)  # 20 s
    assert window.result() == {
        "molecules": 26,
        "seconds": 15.0,
        "steps": 3,
        "step_seconds": 2.5,
        "first_batch": 1.0,
        "first_step": 2.0,
        "parameters": 4,
        "workers_memory": 0,
        "first_loss": 5.0,
        "last_loss": 1.0,
    }


def test_the_floor_counts_what_its_definition_says(monkeypatch):
    shapes = []
    monkeypatch.setattr(floor, "_layer", lambda *shape: shapes.append(shape[:3]) or 1.0)
    monkeypatch.setattr(floor, "copy_rate", lambda moved, seconds: 2.0 * moved)  # noqa: ARG005
    found = floor.measure(width=64, batch=10, n_interactions=3, atoms=18.0, pairs=140.0, rate=1e6, seconds=0)
    assert shapes == [(180, 64, 64), (180, 64, 32), (180, 32, 1)]
    assert found["products"] == 3 * 3 + 2
    assert found["product_multiply_adds"] == 3 * 180 * (9 * 64 * 64 + 64 * 32 + 32)
    assert found["multiply_adds"] == 3 * 6 * 1400 * 64
    assert found["moved"] == 3 * 5 * 180 * 64 * 4 + 12 * 1400
    one = benchmark.Floor.model_validate({"repeat": 0} | found)
    assert one.traffic == pytest.approx(0.5)
    assert one.seconds == pytest.approx(one.products + max(one.arithmetic, 0.5))


def test_the_floors_rates_are_those_of_something_computed():
    assert floor.multiply_add_rate(seconds=0) > 1e6
    assert floor.copy_rate(1000, seconds=0) > 1e3


# ---- the record


@pytest.fixture
def record() -> Benchmark:
    """Two repeats, made by hand: ours 30 and 26 times (a), 12 and 8 times (c), at 1.5 times the floor."""
    return made()


def made(**changes: object) -> Benchmark:
    rates = {"schnetpack": (100, 100), "packed": (200, 200), "geometric": (250, 325), "ours": (3000, 2600)}
    common = {"step_seconds": 0.12, "first_batch": 1.0, "first_step": 2.0, "workers_memory": 0, "parameters": 10}
    common |= {"memory": 10**9, "imports_memory": 5 * 10**8, "first_loss": 2.0, "last_loss": 1.0, "steps": 9}
    steps = [
        {"contestant": name, "width": width, "batch": batch, "repeat": repeat, "molecules": rate, "seconds": 1.0}
        | common
        for width, batch in ((38, 512), (64, 512), (38, 128))
        for name, both in rates.items()
        for repeat, rate in enumerate(both)
    ]
    floors = [
        {"width": 64, "batch": 512, "repeat": repeat, "atoms": 9216.0, "pairs": 71680.0, "products": 0.1}
        | {"product_multiply_adds": 1e6}
        | {"multiply_adds": 1e6, "multiply_add_rate": 1e8, "moved": 512e6 / both, "copy_rate": 1e6 / 1.0}
        for repeat, both in enumerate(rates["ours"])
    ]
    # Floor = 0.1 s + traffic; make the traffic so that our step is 1.5 times the floor.
    for one, ours in zip(floors, rates["ours"], strict=True):
        one["moved"] = (512 / ours / 1.5 - 0.1) * 1e6
    content = {
        "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_gib": 23.5, "threads": 2},
        "versions": {"python": "3.12"},
        "git": {"commit": "0123456789abcdef", "clean": True},
        "settings": plan.settings(repeats=2, widths=(38, 64), batches=(128, 512)).model_dump(mode="json"),
        "neighbour_list": "VesinNeighborList",
        "steps": steps,
        "floor": floors,
        "scaling": [
            {"contestant": name, "molecules": count, "repeat": 0, "load": 0.1, "prepare": 1.0, "epoch": count / 1000}
            for name, count in (("schnetpack", 1000), ("ours", 1000), ("ours", 130_000))
        ],
        "full": {"molecules": 104_664, "validation": 13_083, "epochs": 22, "width": 38, "batch": 512}
        | {"phases": {"load": 1.0, "training": 99.0}, "memory": 1_500_000_000, "validation_loss": 0.05},
        "lightning": {
            "git": {"commit": "fedcba9876543210", "clean": True},
            "turns": [
                {"width": width, "batch": 512, "repeat": repeat, "steps": 300, "with_lightning": 0.12, "bare": bare}
                for width, bare in ((38, 0.1), (64, 0.115))
                for repeat in range(2)
            ],
        },
    }
    return Benchmark.model_validate_json(json.dumps(content | changes))


def test_the_record_comes_back_from_its_file(record, tmp_path):
    path = tmp_path / "benchmark.json"
    path.write_text(record.model_dump_json(), encoding="utf-8")
    assert benchmark.load(path) == record


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "Invalid JSON"),
        (lambda text: text.replace('"schema_version":2', '"schema_version":1'), "schema_version"),
        (lambda text: text.replace('"parameters":10', '"parameters":-1'), r"steps\.0\.parameters"),
        (lambda text: text.replace('"cores":2', '"kernels":2'), r"machine\.cores"),
        (lambda text: text.replace('"memory_gib":23.5', '"memory_gib":NaN'), r"machine\.memory_gib"),
    ],
)
def test_a_damaged_record_is_refused_with_one_message_that_names_the_file(damage, says, record, tmp_path):
    path = tmp_path / "benchmark.json"
    path.write_text(damage(record.model_dump_json()), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=says) as raised:
        benchmark.load(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_missing_record_says_how_to_make_one(tmp_path):
    with pytest.raises(BenchmarkError, match=r"nowhere\.json is missing: run `make bench` to make it"):
        benchmark.load(tmp_path / "nowhere.json")


def test_the_ways_to_work_take_turns_and_the_record_names_processor_and_choice(tmp_path, monkeypatch):
    two = fused_choice.candidates()[:2]  # that each of them works is tested where they are compiled
    monkeypatch.setattr(fused_choice, "candidates", lambda: two)
    out, said = tmp_path / "ways-here.json", []
    record = ways.measure(out, repeats=1, widths=(WIDTH,), batches=(BATCH,), say=said.append)
    assert benchmark.load_ways(tmp_path) == [record]
    assert record.machine.processor == fused_choice.processor()
    tried = [str(way) for way in fused_choice.candidates()]
    for network in ("schnet", "painn"):
        assert [one.way for one in record.trials if one.network == network] == tried
        assert [one.chosen for one in record.trials if one.network == network] == [True] + [False] * (len(tried) - 1)
    assert len(said) == 2 * len(tried)


def test_a_damaged_record_of_ways_is_refused_by_name(tmp_path):
    (tmp_path / "ways-here.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"ways-here\.json is damaged or of another version: machine: "):
        benchmark.load_ways(tmp_path)


def test_forces_are_measured_as_they_are_and_accelerated(tmp_path):
    out, said = tmp_path / "forces-here.json", []
    record = forces.measure(out, repeats=2, say=said.append, size=5, batch=2)
    assert benchmark.load_force_times(tmp_path) == [record]
    found = [(step.network, step.work, step.atoms, step.molecules) for step in record.steps]
    sets = [("training", 5, 2), ("training", 9, 10), ("prediction", 9, 1)]
    assert found == [(network, *one) for network in ("schnet", "painn") for one in sets]
    assert all(len(step.schnetpack) == len(step.accelerated) == 2 for step in record.steps)
    assert len(said) == len(found)


def test_the_gain_in_forces_is_taken_within_a_repeat():
    given = {"network": "schnet", "work": "training", "width": 64, "n_interactions": 3, "atoms": 18, "molecules": 32}
    step = benchmark.ForceStep(**given, schnetpack=(4.0, 9.0, 6.0), accelerated=(1.0, 3.0, 1.0))
    assert step.gain() == (4, 3, 6)


def test_a_damaged_record_of_forces_is_refused_by_name(tmp_path):
    (tmp_path / "forces-here.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"forces-here\.json is damaged or of another version: machine: "):
        benchmark.load_force_times(tmp_path)


def test_one_worker_and_two_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_seconds", lambda count, *_, **__: 30.0 / count)
    done = CliRunner().invoke(app, ["workers", str(tmp_path / "workers-here.json"), "--repeats", "2"])
    assert done.exit_code == 0, done.output
    (record,) = benchmark.load_workers(tmp_path)
    assert [(one.workers, one.repeat) for one in record.turns] == [(1, 0), (2, 0), (1, 1), (2, 1)]
    assert record.gain == 2


def test_a_worker_that_fails_is_told_in_a_line_and_nothing_is_recorded(tmp_path):
    failed = CliRunner().invoke(app, ["workers", str(tmp_path / "workers.json"), "--profile", "huge"])
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: a worker failed: python -m analysis run baseline --profile huge ")
    assert failed.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ratios_are_taken_within_a_repeat(record):
    assert benchmark.ratio(record, "ours", "schnetpack", width=38, batch=512) == (28, 26, 30)
    assert benchmark.ratio(record, "ours", "geometric", width=38, batch=512) == (10, 8, 12)
    assert benchmark.ratio(record, "ours", "schnetpack", width=128, batch=512) is None
    assert benchmark.over_floor(record, width=64, batch=512) == pytest.approx((1.5, 1.5, 1.5))
    assert benchmark.lightning_share(record, width=38, batch=512) == pytest.approx((0.2, 0.2, 0.2))
    assert benchmark.spread(record, "ours", "rate", width=38, batch=128) == (2800, 2600, 3000)


def test_bars_are_met_missed_or_not_measured(record):
    met = {(bar.kind, bar.width, bar.batch): bar.met for bar in benchmark.bars(record)}
    assert met == {
        ("schnetpack", 38, 512): True,
        ("geometric", 38, 512): True,  # at the bar itself
        ("schnetpack", 128, 512): None,
        ("schnetpack", 38, 128): True,
        ("floor", 64, 512): True,
        ("lightning", 38, 512): False,
        ("lightning", 64, 512): True,
        ("memory", None, None): True,
    }


@pytest.mark.parametrize(
    ("values", "at_least", "at_most"), [((24, 26, 30), True, False), ((20, 24, 26), False, True), ((25,), True, True)]
)
def test_a_bar_is_judged_by_its_median(values, at_least, at_most):
    measured = Spread.over(values)
    assert benchmark.Bar("floor", 25, at_most=False, measured=measured).met is at_least
    assert benchmark.Bar("floor", 25, at_most=True, measured=measured).met is at_most


def test_a_run_on_a_part_says_nothing_about_the_memory_of_all():
    asked = plan.settings(quick=True).model_dump(mode="json")
    assert benchmark.bars(made(settings=asked))[-1].met is None
    assert benchmark.bars(made(full=made().full.model_dump() | {"memory": 3 * 10**9}))[-1].met is False


# ---- the plan


def test_the_contestants_take_turns_within_each_repeat():
    asked = plan.settings(repeats=2, widths=(30, 38), batches=(100, 512))
    steps = [job for job in plan.jobs(asked) if job["kind"] == "steps"]
    names = [job["contestant"] for job in steps if job["repeat"] == 1]
    fewer = [name for name in benchmark.CONTESTANTS if name not in ("half_list", "in_memory")]
    assert names == [*fewer * 3, *benchmark.CONTESTANTS]  # all of them with 38 features in batches of 512
    assert [job["repeat"] for job in steps] == sorted(job["repeat"] for job in steps)
    everything = [json.dumps(job) for job in plan.jobs(asked)]
    assert len(set(everything)) == len(everything)


def test_a_killed_benchmark_goes_on_and_a_finished_one_is_left_alone(monkeypatch, tmp_path):
    """With measurements made up, the second start does only what the first had not done."""
    out = tmp_path / "benchmark.json"
    done = []
    whole = made()
    answers = {
        "steps": lambda job: whole.steps[0].model_dump() | {key: job[key] for key in ("contestant", "width", "batch")},
        "floor": lambda job: [whole.floor[0].model_dump() | {"repeat": job["repeat"]}],
        "scaling": lambda job: whole.scaling[0].model_dump() | {key: job[key] for key in ("contestant", "molecules")},
        "lightning": lambda job: whole.lightning.turns[0].model_dump() | {key: job[key] for key in ("width", "repeat")},
        "full": lambda job: whole.full.model_dump(),  # noqa: ARG005
        "prepare": lambda job: {  # noqa: ARG005
            "machine": whole.machine.model_dump(),
            "neighbour_list": "A",
            "atoms": 18.0,
            "pairs": 140.0,
        },
    }

    def measured(job, asked, folder):  # noqa: ARG001
        if len(done) == 4:
            done.append(None)
            raise KeyboardInterrupt
        done.append(job)
        return answers[job["kind"]](job)

    monkeypatch.setattr(plan, "_run", measured)
    asked = plan.settings(quick=True)
    with pytest.raises(KeyboardInterrupt):
        plan.measure(out, asked, say=lambda _: None)
    assert not out.exists()
    kept = out.with_name("benchmark.json.partial") / "measured.jsonl"
    kept.write_text(kept.read_text(encoding="utf-8") + '\n{"job": {"ki', encoding="utf-8")  # cut in a line
    with pytest.raises(plan.BenchmarkFailedError, match="other settings"):
        plan.measure(out, plan.settings(quick=True, repeats=2), say=lambda _: None)
    record = plan.measure(out, asked, say=lambda _: None)
    assert [job for job in done if job] == [{"kind": "prepare"}, *_with_extra(plan.jobs(asked))]
    assert benchmark.load(out) == record
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    with pytest.raises(plan.BenchmarkFailedError, match="exists"):
        plan.measure(out, asked, say=lambda _: None)


def test_lightnings_share_can_be_measured_again_by_itself(record, monkeypatch, tmp_path):
    path = tmp_path / "benchmark.json"
    path.write_text(record.model_dump_json(), encoding="utf-8")
    turns = {"steps": 300, "with_lightning": 0.105, "bare": 0.1}
    sizes = ("width", "batch", "repeat")
    monkeypatch.setattr(plan, "_run", lambda job, *_: turns | {size: job[size] for size in sizes})
    found = plan.measure_lightning(path, say=lambda _: None)
    assert benchmark.load(path) == found
    assert benchmark.lightning_share(found, width=64, batch=512) == pytest.approx((0.05, 0.05, 0.05))
    assert found.lightning.git.commit == checkout.git_state()["commit"]
    assert found.model_copy(update={"lightning": record.lightning}) == record
    with pytest.raises(BenchmarkError, match="is missing"):
        plan.measure_lightning(tmp_path / "nowhere.json", say=lambda _: None)


def _with_extra(jobs):
    return [job | ({"atoms": 18.0, "pairs": 140.0} if job["kind"] == "floor" else {}) for job in jobs]


def test_a_measurement_that_fails_says_why(tmp_path):
    with pytest.raises(plan.BenchmarkFailedError, match="KeyError: 'dance'"):
        plan._run({"kind": "dance"}, SETTINGS, tmp_path)


def test_the_command_prints_a_records_tables(record, tmp_path):
    path = tmp_path / "benchmark.json"
    path.write_text(record.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "harness.benchmark"]
    shown = subprocess.run([*command, "show", path], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "30" in shown
    assert "molecules" not in shown.splitlines()[0]
    again = CliRunner().invoke(app, ["run", "--out", str(path)])
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert benchmark.load(path) == record


def test_only_schnetpacks_threads_sleep_while_they_wait_and_nobody_sees_a_gpu(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    stock = plan._environment({"kind": "steps", "contestant": "schnetpack"})
    ours = plan._environment({"kind": "steps", "contestant": "ours"})
    assert stock["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in ours
    assert stock["CUDA_VISIBLE_DEVICES"] == ours["CUDA_VISIBLE_DEVICES"] == ""
