"""Runs that were trained again: what is kept of it and what the book shows, which speaks of committed records."""

import json

import pytest

from analysis.figures.words import LANGUAGES
from analysis.runs import records
from analysis.training import repetitions
from harness.robustness import figures

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


def made(**changes: object) -> repetitions.Repetition:
    return repetitions.Repetition.model_validate_json(json.dumps(ONE | changes))


def test_repetitions_come_back_in_the_order_of_their_names(tmp_path):
    for name, seed in (("b", 1), ("a", 2)):
        (tmp_path / f"{name}.json").write_text(made(seed=seed).model_dump_json())
    assert repetitions.load_all(tmp_path) == [made(seed=2), made(seed=1)]


def test_no_repetition_is_said(tmp_path):
    with pytest.raises(repetitions.RepetitionError, match=r"holds no repetition: `python -m analysis verify RUN --out"):
        repetitions.load_all(tmp_path)


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
    with pytest.raises(repetitions.RepetitionError, match=said):
        repetitions.load_all(tmp_path)


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


KEPT = sorted(repetitions.default_folder().glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_committed_repetition_is_of_a_committed_record_and_within_its_tolerance(path):
    (one,) = (one for one in repetitions.load_all() if f"{one.experiment}-{one.id}" == path.stem)
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
    assert {one.experiment for one in repetitions.load_all()} >= {"baseline", "beyond"}
