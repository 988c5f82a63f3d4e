"""Tables of what was done to the compendium on purpose and what came of it, from the records.

Tables are data frames of strings. What the programs printed is shown as printed, in English.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.figures.words import counted, mark, messages, say
from analysis.training.repetition import Repetition, Training
from harness.robustness.record import PageRecord, ProcessUnderTest, Robustness, StudyMemory

_GB = 10**9
_MEV = 1000  # meV per eV
_MODELS = messages({"baseline": "Default", "beyond": "Beyond"})  # of experiments with a model of their own

_PROCESSES = messages(
    {
        "study": "Training and recording",
        "cache": "Cache of QM9",
        "search": "Search with two workers",
        "notebook": "Notebook under papermill",
        "book": "Build of the book",
    }
)
_FAULTS = messages(
    {
        "full-disk-run": "Room on the disk, in training",
        "full-disk-cache": "Room on the disk, for the cache",
        "full-disk-search": "Room on the disk, in a search",
        "read-only-results": "The right to write the results",
        "read-only-cache": "The right to write the cache",
        "no-home": "The home folder",
        "unknown-user": "The home folder, and the user’s name",
        "cut-off-installation": "Half of the installation",
    }
)
_FUZZ_TARGETS = messages(
    {
        "csv": "QM9’s CSV files",
        "extxyz": "extxyz files",
        "database": "ASE databases",
        "cache": "Cache of QM9",
        "config": "Configurations",
        "description": "Records edited by hand",
        "record": "Damaged records",
        "checkpoint": "Checkpoints",
        "sweep": "Sweep files",
        "parameters": "Parameters of notebooks",
        "geometry": "Molecules to predict, XYZ files",
        "smiles": "Molecules to predict, SMILES",
    }
)
_PAGE_TARGETS = messages({"smiles": "The book’s page, SMILES", "xyz": "The book’s page, XYZ"})
_PAGE_STEPS = messages(
    {
        "open": "Opening the page until it is ready",
        "geometry": "A geometry from a SMILES",
        "networks": "The five networks’ prediction",
        "slider": "A step of the slider of the means",
    }
)
_ANSWERS = messages(
    {
        "inputs": "Inputs tried",
        "refused": "Refused with a message",
        "same": "Taken: says the same",
        "other": "Taken: is valid, too",
        "wrong": "Answered wrongly",
    }
)

_GEOMETRIES = messages(
    {
        "test": "QM9’s, the test part",
        "g2": "G2’s, by MP2",
        "mmff": "By MMFF94",
        "scaled_0.99": "Distances × 0.99",
        "scaled_1.01": "Distances × 1.01",
        "shaken": "Coordinates moved by 0.01 Å",
        "bond_0.8": "A bond × 0.8",
        "bond_0.9": "A bond × 0.9",
        "bond_1.1": "A bond × 1.1",
        "bond_1.2": "A bond × 1.2",
        "torn": "A hydrogen 3 Å off its place",
        "lost": "Two hydrogens missing",
        "exchanged": "Two elements exchanged",
        "two": "Two molecules",
        "together": "Two atoms at one place",
        "bohr": "In bohr",
        "nm": "In nm",
    }
)
_WARNED = messages(
    {
        "refused": "Refused",
        "environment": "A new environment",
        "distance": "A new distance",
        "parts": "Several parts",
        "spread": "Large spread",
        "any": "Refused or warned of",
    }
)


def kills_table(record: Robustness, *, lang: str) -> style.WordTable:
    """A row per kind of command: how often it was killed, how often with work unfinished, and the outcome."""
    rows = {
        say(_PROCESSES[process.name], lang): {
            say("Kills", lang): style.number(len(process.kills), lang),
            say("with work unfinished", lang): style.number(_in_writing(process), lang),
            say("Half-written things read", lang): style.number(process.half_read, lang),
            say("Losses", lang): style.number(process.lost, lang),
            say("Starts that failed", lang): style.number(process.refused, lang),
            say("Times finished", lang): style.number(process.ends, lang),
            say("Final files that differ", lang): say(
                "{some} of {all}",
                lang,
                some=style.number(process.differing, lang),
                all=style.number(process.compared, lang),
            ),
        }
        for process in record.processes
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("What is killed", lang))


def faults_table(record: Robustness, *, lang: str) -> style.WordTable:
    """A row per injected fault: the exit code, the last line printed, and whether the command went on afterwards."""
    rows = {
        say(_FAULTS[fault.name], lang): {
            say("Tries", lang): style.number(fault.tries, lang),
            say("Exit code", lang): ", ".join(str(code) for code in sorted(set(fault.exit_codes))),
            say("Last line", lang): fault.said.replace("/", "/\N{ZERO WIDTH SPACE}"),  # a path may break there
            say("The same bits afterwards", lang): "–"
            if fault.went_on is None
            else say("yes" if fault.went_on else "no", lang),
        }
        for fault in record.faults
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("What is lacking", lang))


def fuzzing_table(record: Robustness, page: PageRecord | None = None, *, lang: str) -> style.WordTable:
    """A row per fuzz target, those of the book's page last: how many mutated inputs it got, and how it answered."""
    targets = {_FUZZ_TARGETS[target.name]: target for target in record.fuzz_targets}
    targets |= {_PAGE_TARGETS[target.name]: target for target in (page.answers if page else ())}
    rows = {
        say(named, lang): {
            say(answer, lang): style.number(getattr(target, name), lang) for name, answer in _ANSWERS.items()
        }
        for named, target in targets.items()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Input", lang))


def warnings_table(counts: pd.DataFrame, *, lang: str) -> style.WordTable:
    """A row per kind of geometry: the shares refused, and flagged by each warning."""
    rows = {
        say(_GEOMETRIES[name], lang): {say("How many", lang): style.number(row.number, lang)}
        | {
            say(_WARNED[kind], lang): style.percent(row[kind] / row.number, lang, decimals=1)
            for kind in ("refused", "environment", "distance", "parts", "spread", "any")
        }
        for name, row in counts.iterrows()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Geometries", lang))


def page_table(page: PageRecord, *, lang: str) -> style.WordTable:
    """A row per step of the book's page: its milliseconds at each speed of the processor, median and longest."""
    rows: dict[str, dict[str, str]] = {}
    for one in page.times:
        slower = say("{times} times slower (ms)", lang, times=style.number(one.slowdown, lang))
        column = say("As it is (ms)", lang) if one.slowdown == 1 else slower
        median, longest = (style.number(1000 * value, lang) for value in (np.median(one.seconds), max(one.seconds)))
        rows.setdefault(say(_PAGE_STEPS[one.what], lang), {})[column] = say(
            "{median} (at most {longest})", lang, median=median, longest=longest
        )
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("The page", lang))


TABLES = (kills_table, faults_table, fuzzing_table)


def repetitions_table(repetitions: Sequence[Repetition], *, lang: str) -> style.WordTable:
    """Two rows per run that was trained again: the record, and the repetition with what the comparison says."""
    rows = {}
    for one in repetitions:
        model = say(_MODELS[one.experiment], lang) if one.experiment in _MODELS else one.experiment
        trainings = (
            (mark("{model}, {epochs} epochs, seed {seed} ({run}): record"), one.recorded, "–"),
            (mark("{model}, {epochs} epochs, seed {seed} ({run}): repetition"), one.again, say(_outcome(one), lang)),
        )
        for which, training, outcome in trainings:
            numbers = {"seed": style.number(one.seed, lang), "epochs": style.number(one.epochs, lang)}
            name = say(which, lang, model=model, run=one.id, **numbers)
            rows[name] = _training(training, lang) | {say("Outcome", lang): outcome}
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Run", lang))


def _training(one: Training, lang: str) -> dict[str, str]:
    return {
        say("Processor", lang): one.processor.replace("(R)", ""),
        say("Threads", lang): style.number(one.threads, lang),
        say("Time (min)", lang): style.number(one.seconds / 60, lang, 1),
        say("MAE (meV)", lang): style.number(_MEV * one.mae, lang, 2),
    }


def _outcome(one: Repetition) -> str:
    if one.identical:
        return mark("the same bits")
    return mark("within the tolerance" if one.within_tolerance else "beyond the tolerance")


def repetition_facts(repetitions: Sequence[Repetition], runs: Sequence[str], *, lang: str) -> dict[str, str]:
    """What the prose says about the repetition of one of `runs` (ids), minutes and meV; the same keys in each language.

    Raises ValueError unless there is exactly one.
    """
    found = [one for one in repetitions if one.id in runs]
    if len(found) != 1:
        raise ValueError(f"{len(found)} repetitions of {', '.join(runs)}, where one is expected")
    (one,) = found
    return {
        "recorded_minutes": style.number(one.recorded.seconds / 60, lang, 1),
        "again_minutes": style.number(one.again.seconds / 60, lang, 1),
        "recorded_mae": style.number(_MEV * one.recorded.mae, lang, 2),
        "again_mae": style.number(_MEV * one.again.mae, lang, 2),
    }


def memory_facts(record: StudyMemory, *, lang: str) -> dict[str, str]:
    """Every number in the book's prose on the study in little memory; the same keys in both languages."""
    return {
        "study_runs": style.number(record.runs, lang),
        "study_epochs": style.number(record.epochs, lang),
        "study_memory": style.number(record.memory / _GB, lang, 1),
        "study_limit": "–" if record.memory_limit is None else style.number(record.memory_limit / _GB, lang),
        "study_commit": "–" if record.git is None else record.git.commit[:7],
    }


_HALF_READ = messages(
    {
        "none": "Nothing half-written was taken for whole",
        "one": "Once something half-written was taken for whole",
        "many": "{times} times something half-written was taken for whole",
    }
)
_LOST = messages(
    {
        "none": "nothing that had been recorded or checkpointed was lost",
        "one": "once something that had been recorded or checkpointed was lost",
        "many": "{times} times something that had been recorded or checkpointed was lost",
    }
)
_REFUSED = messages({"none": "no start failed", "one": "one start failed", "many": "{times} starts failed"})
_WRONG = messages({"none": "That never happened", "one": "That happened once", "many": "That happened {times} times"})


def _times(forms: Mapping[str, str], count: int, lang: str) -> str:
    return counted(forms, count, lang, times=style.number(count, lang))


def facts(record: Robustness, page: PageRecord, *, lang: str) -> dict[str, str]:
    """Every number in the book's prose on kills, faults and fuzzing; the same keys in both languages."""
    if record.load is None:
        raise ValueError("the record holds no measurement of many records and little memory")
    targets = [*record.fuzz_targets, *page.answers]
    machine, load = record.machine, record.load
    return {
        "kills": style.number(record.kills, lang),
        "alone": style.number(
            sum(not kill.all_processes for process in record.processes for kill in process.kills), lang
        ),
        "writing": style.number(sum(map(_in_writing, record.processes)), lang),
        "half_read": _times(_HALF_READ, sum(process.half_read for process in record.processes), lang),
        "lost": _times(_LOST, sum(process.lost for process in record.processes), lang),
        "refused": _times(_REFUSED, sum(process.refused for process in record.processes), lang),
        "compared": style.number(sum(process.compared for process in record.processes), lang),
        "differing": style.number(sum(process.differing for process in record.processes), lang),
        "inputs": style.number(sum(target.inputs for target in targets), lang),
        "wrong": _times(_WRONG, sum(target.wrong for target in targets), lang),
        "cores": style.number(machine.cores, lang),
        "memory_gib": style.number(machine.memory_gib, lang, 1),
        "commit": "–" if record.git is None else record.git.commit[:7],
        "page_commit": "–" if page.git is None else page.git.commit[:7],
        "page_repeats": style.number(min(len(one.seconds) for one in page.times), lang),
        "records": style.number(load.records, lang),
        "list_seconds": style.number(load.list_seconds, lang, 1),
        "start_seconds": style.number(load.start_seconds, lang, 1),
        "notebook_seconds": style.number(load.notebook_seconds, lang, 1),
        "memory": style.number(load.memory / _GB, lang, 1),
        "memory_limit": style.number(load.memory_limit / _GB, lang),
    }


def _in_writing(process: ProcessUnderTest) -> int:
    """Kills that left something under a temporary name: they came while it was being written."""
    return sum(kill.unfinished > 0 for kill in process.kills)
