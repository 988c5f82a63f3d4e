from dataclasses import replace

import pytest

from analysis import study
from analysis.figures import provenance
from analysis.figures.words import LANGUAGES, say
from analysis.runs.records import Record


@pytest.fixture(scope="module")
def records(qm9_molecules) -> list[Record]:
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


def on(record: Record, *, threads: int, minutes: float) -> Record:
    machine = record.about["machine"] | {"threads": threads, "processor": "A processor"}
    seconds = {"data": 6.0, "training": 60 * minutes - 12, "validation": 4.0, "evaluation": 2.0}
    return replace(record, about=record.about | {"machine": machine, "seconds": seconds})


def test_runs_of_one_machine_are_counted_together(records):
    given = [on(records[0], threads=1, minutes=3), on(records[1], threads=2, minutes=10)]
    given.append(on(records[2], threads=1, minutes=4))
    table = provenance.took(given, lang="en")
    assert list(table.columns) == ["Threads", "Runs", "Minutes per run", "Minutes in all"]
    assert table.index.tolist() == ["A processor", "A processor"]
    assert table.to_numpy().tolist() == [["1", "2", "3.5", "7"], ["2", "1", "10.0", "10"]]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_time_is_that_of_the_records(records, lang):
    table = provenance.took(records, lang=lang)
    said = sum(map(int, table[say("Minutes in all", lang)]))
    assert said == pytest.approx(sum(sum(r.about["seconds"].values()) for r in records) / 60, abs=0.5 * len(table))


@pytest.mark.parametrize(("lang", "day"), [("ca", "22 de novembre del 2026"), ("en", "22 November 2026")])
def test_the_edition_is_that_of_the_citation_file(tmp_path, monkeypatch, lang, day):
    monkeypatch.setattr(provenance.checkout, "folder", lambda: tmp_path)
    (tmp_path / "CITATION.cff").write_text("version: 1.2.3\ndate-released: 2026-11-22\n", encoding="utf-8")
    assert provenance.edition(lang=lang) == {"version": "1.2.3", "date": day, "year": "2026"}
    monkeypatch.setattr(provenance.checkout, "folder", lambda: None)
    with pytest.raises(FileNotFoundError, match="run this in a clone"):
        provenance.edition(lang=lang)
