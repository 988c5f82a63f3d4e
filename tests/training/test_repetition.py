"""Recorded runs trained again: the comparison, what is kept of it, and what the book shows."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.figures.words import LANGUAGES
from analysis.runs import records
from analysis.runs.config import RunConfig, adjust
from analysis.training import repetition
from analysis.training.repetition import SCORE_TOLERANCE, TOLERANCE, compare
from harness.robustness import figures

ABOUT = {
    "machine": {"system": "Linux", "architecture": "x86_64", "processor": "A", "device": "cpu", "threads": 1},
    "versions": {"torch": "2.15.0", "numpy": "2.5.5"},
    "git": {"commit": "a" * 40, "clean": True},
}


def record(**changed) -> SimpleNamespace:
    """What `compare` looks at."""
    parts = {
        "history": pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "validation_loss": [3.0, 2.0]}),
        "steps": pd.DataFrame({"step": [10, 20], "loss": np.array([2.0, 1.0], np.float32)}),
        "errors": pd.DataFrame({"index": [5, 7, 9], "error": np.array([0.5, -0.5, 0.1], np.float32)}),
        "groups": pd.DataFrame(
            {
                "group": ["all", "3"],
                "molecules": [100, 0],
                "sum_e": [1e-6, 0.0],
                "sum_ee": [4.0, 0.0],
                "sum_en": [1e-6, 0.0],
                "sum_nn": [900.0, 0.0],
                "shift": [0.5, np.nan],
            }
        ),
        "forces": None,
        "state": {
            "representation.weight": np.ones(10, np.float32),
            "representation.bias": np.full(2, 1e-9, np.float32),
            "postprocessors.1.mean": np.array([-4.25]),
        },
        "about": ABOUT,
        "config": RunConfig(experiment="baseline"),
    } | changed
    state = parts.pop("state")
    return SimpleNamespace(**parts, has_weights=True, state_dict=lambda: state)


def with_column(part: str, name: str, values) -> SimpleNamespace:
    return record(**{part: getattr(record(), part).assign(**{name: values})})


def on_another_machine(one: SimpleNamespace) -> SimpleNamespace:
    one.about = ABOUT | {"machine": ABOUT["machine"] | {"processor": "B"}}
    return one


def the_one_that_differs(compared) -> repetition.Difference:
    (part,) = [part for part in compared.parts if not part.none]
    return part


def test_the_same_is_identical_even_where_nothing_is_a_number():
    compared = compare(record(), record())
    assert compared.identical
    assert compared.within_tolerance
    assert compared.surroundings == []


def test_the_column_that_differs_most_is_named():
    again = record(history=record().history.assign(train_loss=[2.0, 1.001], validation_loss=[3.0, 2.01]))
    part = the_one_that_differs(compare(record(), again))
    assert (part.part, part.where, part.unit) == ("history", "validation_loss", "eV²")
    assert part.relative == pytest.approx(0.01 / np.hypot(3, 2))
    assert part.largest == pytest.approx(0.01)


@pytest.mark.parametrize(("factor", "allowed"), [(1 + 0.9 * TOLERANCE, True), (1 + 1.1 * TOLERANCE, False)])
def test_a_small_difference_needs_a_reason(factor, allowed):
    again = with_column("steps", "loss", np.array([2.0, 1.0], np.float32) * np.float32(factor))
    assert not compare(record(), again).within_tolerance
    compared = compare(record(), on_another_machine(again))
    assert compared.surroundings == ["processor A, here B"]
    assert compared.within_tolerance is allowed


SOAP = adjust(RunConfig(experiment="beyond"), training={"optimizer": "soap"})


@pytest.mark.parametrize(("factor", "allowed"), [(1 + 0.9 * SCORE_TOLERANCE, True), (1 + 1.1 * SCORE_TOLERANCE, False)])
def test_with_soap_the_size_of_the_errors_counts_on_another_machine(factor, allowed):
    one, again = record(config=SOAP), with_column("errors", "error", np.array([0.1, 0.5, -0.5], np.float32) * factor)
    compared = compare(one, on_another_machine(again))
    assert the_one_that_differs(compared).relative > 0.5
    assert compared.score.relative == pytest.approx(factor - 1, rel=1e-4)
    assert compared.within_tolerance is allowed
    assert "SOAP" in compared.allowed
    # Without a reason around it, not even that; and with AdamW, not single errors either.
    assert not compare(one, with_column("errors", "error", again.errors["error"])).within_tolerance
    assert not compare(record(), on_another_machine(again)).within_tolerance


@pytest.mark.parametrize(
    "again",
    [
        record(state=record().state_dict() | {"postprocessors.1.mean": np.array([-4.0])}),
        record(errors=record().errors.iloc[:2]),
        record(errors=record().errors.rename(columns={"error": "e"})),
        with_column("errors", "index", [5, 7, 8]),
        with_column("errors", "error", [0.5, np.nan, 0.1]),
    ],
)
def test_even_with_soap_offsets_and_molecules_must_agree_and_numbers_be_finite(again):
    assert not compare(record(config=SOAP), on_another_machine(again)).within_tolerance


def test_sums_of_signed_errors_are_measured_by_what_they_could_be():
    compared = compare(record(), on_another_machine(with_column("groups", "sum_e", [2e-6, 0.0])))
    assert the_one_that_differs(compared).relative == pytest.approx(1e-6 / 20)
    assert compared.within_tolerance


def test_weights_are_measured_together():
    state = record().state_dict()
    again = record(state=state | {"representation.bias": np.full(2, 3e-9, np.float32)})
    part = the_one_that_differs(compare(record(), again))
    assert (part.part, part.where) == ("weights", "representation.bias")
    assert part.relative < 1e-8
    part = the_one_that_differs(compare(record(), record(state=state | {"postprocessors.1.mean": np.array([-4.0])})))
    assert (part.part, part.where, part.largest) == ("offsets", "postprocessors.1.mean", 0.25)


@pytest.mark.parametrize(
    ("again", "part", "where"),
    [
        (record(history=record().history.iloc[:1]), "history", "its rows or columns"),
        (record(errors=record().errors.rename(columns={"error": "e"})), "held-out errors", "its rows or columns"),
        (with_column("errors", "index", [5, 7, 8]), "held-out errors", "index"),
        (with_column("groups", "group", ["all", "4"]), "group sums", "group"),
        (with_column("history", "train_loss", [2.0, np.nan]), "history", "train_loss"),
        (record(state={"postprocessors.1.mean": np.array([-4.25])}), "weights", "its tensors' names"),
    ],
)
def test_what_cannot_be_compared_is_no_rounding(again, part, where):
    compared = compare(record(), on_another_machine(again))
    found = the_one_that_differs(compared)
    assert found.part == part
    assert found.where.startswith(where)
    assert found.relative == np.inf
    assert not compared.within_tolerance


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"machine": ABOUT["machine"] | {"threads": 2}}, "threads 1, here 2"),
        ({"machine": {name: v for name, v in ABOUT["machine"].items() if name != "processor"}}, "A, here not recorded"),
        ({"machine": ABOUT["machine"] | {"loops": "vector=32"}}, "loops not recorded, here vector=32"),
        ({"versions": ABOUT["versions"] | {"torch": "3.0"}}, "torch 2.15.0, here 3.0"),
        ({"versions": ABOUT["versions"] | {"numba": "1.0"}}, "numba not recorded, here 1.0"),
        ({"git": {"commit": "b" * 40, "clean": True}}, "code aaaaaaa, here bbbbbbb"),
        ({"git": ABOUT["git"] | {"clean": False}}, "code that was not as committed"),
        ({"git": None}, "code aaaaaaa, here outside git"),
    ],
)
def test_what_differed_between_the_circumstances_of_two_runs_is_reported(changed, words):
    (found,) = compare(record(), record(about=ABOUT | changed)).surroundings
    assert found.endswith(words)


ONE = {
    "schema_version": 2,
    "experiment": "beyond",
    "id": "181384c8f449",
    "seed": 0,
    "epochs": 55,
    "recorded": {
        "processor": "AMD EPYC",
        "threads": 2,
        "seconds": 1250.0,
        "git": {"commit": "a" * 40, "clean": True},
        "mae": 0.0075,
    },
    "again": {"processor": "Intel(R) Xeon(R)", "threads": 2, "seconds": 1638.0, "git": None, "mae": 0.00755},
    "differences": {"history": 0.3, "weights": None},
    "surroundings": ["processor AMD EPYC, here Intel(R) Xeon(R)"],
    "identical": False,
    "within_tolerance": True,
}


def made(**changes: object) -> repetition.Repetition:
    return repetition.Repetition.model_validate_json(json.dumps(ONE | changes))


def test_repetitions_come_back_in_the_order_of_their_names(tmp_path):
    for name, seed in (("b", 1), ("a", 2)):
        (tmp_path / f"{name}.json").write_text(made(seed=seed).model_dump_json())
    assert repetition.load_all(tmp_path) == [made(seed=2), made(seed=1)]


def test_a_folder_without_repetitions_is_refused(tmp_path):
    with pytest.raises(repetition.RepetitionError, match=r"holds no repetition: `python -m analysis verify RUN --out"):
        repetition.load_all(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"a\.json is damaged or of another version: the file: Invalid JSON"),
        (
            json.dumps(ONE | {"identical": None}),
            r"a\.json is damaged .*: identical: .*; restore it, or run `python -m analysis verify",
        ),
        (json.dumps(ONE | {"schema_version": 1}), r"schema_version: "),
        (json.dumps(ONE | {"more": 1}), r"more: "),
        (json.dumps(ONE).replace("0.0075}", "NaN}"), r"recorded\.mae: "),
        (b"\xff", r"a\.json can't be read"),
    ],
)
def test_a_repetition_that_cannot_be_trusted_is_refused(content, said, tmp_path):
    (tmp_path / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(repetition.RepetitionError, match=said):
        repetition.load_all(tmp_path)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, {"ca": "dins de la tolerància", "en": "within the tolerance"}),
        ({"identical": True}, {"ca": "els mateixos bits", "en": "the same bits"}),
        ({"within_tolerance": False}, {"ca": "fora de la tolerància", "en": "beyond the tolerance"}),
    ],
)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_table_has_the_record_and_the_repetition_of_each_run(changes, outcome, lang):
    table = figures.repetitions_table([made(**changes), made(experiment="baseline", id="f" * 12)], lang=lang)
    assert len(table) == 4
    assert list(table.iloc[1]) == [
        "Intel Xeon",
        "2",
        *{"ca": ("27,3", "7,55"), "en": ("27.3", "7.55")}[lang],
        outcome[lang],
    ]
    assert table.iloc[0, -1] == "–"
    assert all("Beyond, 55 " in name and "181384c8f449" in name for name in table.index[:2])
    assert all("Default" in name for name in table.index[2:])


def test_the_prose_tells_of_one_repetition():
    other = made(id="f" * 12)
    found = figures.repetition_facts([other, made()], ["0" * 12, "181384c8f449"], lang="en")
    assert found == {
        "recorded_minutes": "20.8",
        "again_minutes": "27.3",
        "recorded_mae": "7.50",
        "again_mae": "7.55",
    }
    for several in ([], [made(), made()]):
        with pytest.raises(ValueError, match=f"{len(several)} repetitions of 181384c8f449"):
            figures.repetition_facts([other, *several], ["181384c8f449"], lang="en")


KEPT = sorted((records.results_folder() / "repetitions").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_committed_repetition_is_of_a_committed_record_and_within_its_tolerance(path):
    (one,) = (one for one in repetition.load_all() if f"{one.experiment}-{one.id}" == path.stem)
    record = records.load(records.results_folder() / one.experiment / one.id)
    assert (one.seed, one.epochs) == (record.config.seed, record.config.epochs)
    assert one.recorded.processor == record.about["machine"]["processor"]
    assert one.recorded.threads == record.about["machine"]["threads"]
    assert one.recorded.git.model_dump() == record.about["git"]
    seconds = record.about["seconds"]
    assert one.recorded.seconds == pytest.approx(seconds["training"] + seconds["validation"])
    test = record.errors[record.errors["test"]]
    assert one.recorded.mae == pytest.approx(float(test["error"].abs().mean()), rel=1e-6)
    assert one.again.git.clean
    assert one.within_tolerance
    assert set(one.differences) == {
        "history",
        "learning curve per step",
        "held-out errors",
        "group sums",
        "weights",
        "offsets",
    }


def test_both_a_model_of_the_thesis_and_one_of_ours_were_trained_again():
    assert {one.experiment for one in repetition.load_all()} >= {"baseline", "beyond"}
