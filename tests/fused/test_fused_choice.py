"""How the choice of a way of working is made and kept; that all ways compute the same is tested with the networks."""

import threading
from dataclasses import replace
from itertools import count

import llvmlite.binding
import numpy as np
import pytest
import torch

from fused import choice, trials
from fused.choice import Way

LIBRARY = Way(64, 8, 2, 4, library=True, block=2048)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A cache folder of its own."""
    path = tmp_path / "cache" / "processor"
    monkeypatch.setattr(choice, "folder", lambda: path)
    return path


def never() -> Way:
    raise AssertionError("nothing was to be measured")


@pytest.mark.parametrize("way", [*choice.candidates(), LIBRARY], ids=str)
def test_a_way_comes_back_from_its_text(way):
    assert Way.parse(str(way)) == way


@pytest.mark.parametrize(
    "text", ["", "fast", "vector=48,tile=4x4,pairs=4,products=own,block=4096", "vector=64,tile=4x4"]
)
def test_a_value_that_describes_no_way_is_refused_with_an_example(text):
    with pytest.raises(choice.WayError, match="no way of working: write 'default' or, for example, 'vector="):
        Way.parse(text)


@pytest.mark.parametrize(
    ("features", "vectors"), [(["avx512f", "avx"], {64, 32}), (["avx"], {32}), (["neon"], {16}), ([], {16})]
)
def test_each_processor_has_ways_that_its_registers_hold_and_the_library_to_try(features, vectors, monkeypatch):
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: dict.fromkeys(features, True))
    ways = choice.candidates()
    assert {way.vector for way in ways} == vectors
    assert [way.library for way in ways] == [False] * (len(ways) - 1) + [True]
    registers = 32 if features and features != ["avx"] else 16
    for way in ways:
        assert way.rows * way.columns + way.columns < registers
        assert choice.BLOCKS[0] == way.block


def test_the_environment_chooses_and_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(choice, "_measured", lambda *_: never())
    monkeypatch.setenv(choice.VARIABLE, "default")
    assert choice.way("schnet", 38) == choice.default()
    monkeypatch.setenv(choice.VARIABLE, str(LIBRARY))
    assert choice.way("painn", 38) == LIBRARY
    monkeypatch.setenv(choice.VARIABLE, "quick")
    with pytest.raises(choice.WayError, match="FUSED_LOOPS = 'quick' describes no way of working"):
        choice.way("schnet", 38)


def test_what_was_measured_is_kept_for_the_next_process(folder):
    assert choice.kept("schnet-38", lambda: LIBRARY) == LIBRARY
    assert choice.kept("schnet-38", never) == LIBRARY
    assert choice.kept("schnet-64", choice.default) == choice.default()
    assert choice.kept("schnet-38", never) == LIBRARY
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".lock"}


def test_of_two_that_start_at_once_one_measures_and_the_other_takes_what_it_found(folder):  # noqa: ARG001
    others = iter([LIBRARY, choice.default()])
    first_measures, found = threading.Event(), []

    def measure() -> Way:
        first_measures.set()
        second.start()
        return next(others)

    second = threading.Thread(target=lambda: found.append(choice.kept("schnet-38", lambda: next(others))))
    found.append(choice.kept("schnet-38", measure))
    assert first_measures.is_set()
    second.join()
    assert found == [LIBRARY, LIBRARY]


@pytest.mark.parametrize("content", [b"", b"{", b'{"way": 3}', b"[]", b'{"way": "fast"}', b"\xff\xfe"])
def test_a_damaged_file_is_measured_and_written_anew(content, folder):
    folder.mkdir(parents=True)
    (folder / "painn-64.json").write_bytes(content)
    assert choice.kept("painn-64", lambda: LIBRARY) == LIBRARY
    assert choice.kept("painn-64", never) == LIBRARY


def test_where_nothing_can_be_kept_it_is_measured_and_said(folder, caplog):
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be", encoding="utf-8")
    assert choice.kept("schnet-38", lambda: LIBRARY) == LIBRARY
    assert "can't be kept" in caplog.text
    assert "FUSED_LOOPS=default" in caplog.text


def test_a_full_disk_is_measured_once_and_said(folder, full_disk, caplog):
    measured = []
    with full_disk(10):
        assert choice.kept("schnet-38", lambda: measured.append(1) or LIBRARY) == LIBRARY
    assert measured == [1]
    assert "can't be kept" in caplog.text
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_other_processors_and_instructions_have_folders_of_their_own(monkeypatch):
    here = choice.folder()
    assert choice.folder() == here
    monkeypatch.setattr(choice, "processor", lambda: "an abacus")
    abacus = choice.folder()
    monkeypatch.setenv("NUMBA_CPU_NAME", "beads")
    assert len({here, abacus, choice.folder()}) == 3


@pytest.mark.parametrize(("times", "best"), [([1.0, 0.9, 0.8], 2), ([1.0, 0.97, 1.2], 0), ([1.0, 2.0, 0.9], 2)])
def test_the_fastest_is_chosen_if_it_is_clearly_faster_than_the_first(times, best, monkeypatch):
    """By a clock that is made up: in every other repeat something else slows all down tenfold."""
    now, repeats = [0.0], count()

    def work(k: int) -> None:
        repeat = next(repeats) // len(times)
        now[0] += times[k] * (10 if repeat % 2 else 1)

    monkeypatch.setattr(trials.time, "thread_time", lambda: now[0])
    ways = [replace(LIBRARY, block=1000 + k) for k in range(len(times))]
    assert trials._best(ways, [lambda k=k: work(k) for k in range(len(times))]) == ways[best]


@pytest.mark.parametrize("kind", ["schnet", "painn"])
def test_what_is_timed_runs_and_one_of_the_candidates_comes_out(kind, monkeypatch):
    """How long it takes is none of the test's business: the first one is taken."""
    tried = []
    monkeypatch.setattr(
        trials, "_best", lambda ways, works: tried.extend(ways) or ([work() for work in works] and ways[0])
    )
    found = trials.block(kind, 8, trials.tiles(8))
    assert found == choice.default()
    assert set(choice.candidates()) <= set(tried)
    assert {way.block for way in tried} == set(choice.BLOCKS)


@pytest.mark.parametrize("kind", ["schnet", "painn"])
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_a_first_network_that_only_predicts_is_measured_too(kind, without, monkeypatch):
    monkeypatch.setattr(trials, "_best", lambda ways, works: works[0]() or ways[0])
    with without():
        assert trials.block(kind, 8, choice.default()) == choice.default()
        assert not torch.is_grad_enabled()


def test_the_layer_that_is_timed_stays_finite_however_often():
    work = trials._loops(choice.default(), 8)
    with np.errstate(all="raise"):
        for _ in range(3):
            work()
