"""The benchmark's figures and tables, on a record made by hand; the pages that show them."""

import json
import re
from pathlib import Path

import jupytext
import pandas as pd
import pytest

from analysis.figures import benchmark_workers, style
from analysis.figures.words import LANGUAGES, say
from harness.benchmark import figures
from harness.benchmark import record as benchmark
from harness.benchmark.record import Benchmark, Programs, Ways

ROOT = Path(__file__).resolve().parents[2]
DRAWN = [figures.throughput, figures.scaling]
EACH_LANGUAGE = pytest.mark.parametrize("lang", ["ca", "en"])
WIDTHS, BATCHES = (38, 64, 128), (128, 512)
RATES = {"schnetpack": 600, "accelerated": 1500, "packed": 900, "geometric": 1200, "ours": 18_000}
ONLY_SOMEWHERE = {"half_list": 2400, "in_memory": 12_000}


def made(*, quick: bool = False, clean: bool = True, ours: int = RATES["ours"], variants: bool = True) -> Benchmark:
    """Two repeats, the second 10 % slower for all; ours 30 times (a) unless said otherwise.

    Without `variants`, a record of before there were any.
    """
    rates = RATES | {"ours": ours} | ONLY_SOMEWHERE
    if not variants:
        rates = {name: rate for name, rate in rates.items() if name not in benchmark.VARIANTS[1:]}
    steps = [
        {"contestant": name, "width": width, "batch": batch, "repeat": repeat, "steps": 9, "seconds": 1.0}
        | {"molecules": rate * (10 - repeat) // 10, "step_seconds": 512 / rate, "first_batch": 1.0, "first_step": 2.0}
        | {"memory": 1_500_000_000, "workers_memory": 250_000_000, "imports_memory": 10**9, "parameters": 24_625}
        | {"first_loss": 2.0, "last_loss": 1.0}
        for name, rate in rates.items()
        for width in WIDTHS
        for batch in BATCHES
        for repeat in (0, 1)
        if name not in ONLY_SOMEWHERE or (width, batch) == (38, 512)
    ]
    floors = [
        {"width": width, "batch": 512, "repeat": repeat, "atoms": 9216.0, "pairs": 71_680.0, "products": 0.010}
        | {"product_multiply_adds": 1e9}
        | {"multiply_adds": 2e8, "multiply_add_rate": 1e11, "moved": 1e8, "copy_rate": 2e10}
        for width in WIDTHS
        for repeat in (0, 1)
    ]
    settings = {"quick": quick, "repeats": 2, "seconds": 4.0, "min_steps": 6, "warm_up": 3, "molecules": 20_000}
    settings |= {"variants": [[38, 512]]} if variants else {}
    content = {
        "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_gib": 23.5, "threads": 2},
        "versions": {"python": "3.12"},
        "git": {"commit": "0123456789abcdef", "clean": clean},
        "settings": settings | {"widths": WIDTHS, "batches": BATCHES, "scaling": [1000]},
        "neighbour_list": "VesinNeighborList",
        "steps": steps,
        "floor": floors,
        "scaling": [
            {"contestant": name, "molecules": count, "repeat": 0, "load": 0.5, "prepare": 1.0, "epoch": count / rate}
            for name, rate, counts in (("schnetpack", 500, (1000, 10_000)), ("ours", 20_000, (1000, 10_000, 130_000)))
            for count in counts
        ],
        "full": {"molecules": 104_664, "validation": 13_083, "epochs": 22, "width": 38, "batch": 512}
        | {"phases": {"load": 0.5, "data": 4.5, "training": 95.0}, "memory": 1_600_000_000, "validation_loss": 0.0512},
        "lightning": {
            "git": None,
            "turns": [
                {
                    "width": width,
                    "batch": 512,
                    "repeat": 0,
                    "steps": 300,
                    "with_lightning": 512 / ours,
                    "bare": 512 / 20_000,
                }
                for width in (38, 64)
            ],
        },
    }
    return Benchmark.model_validate_json(json.dumps(content))


@EACH_LANGUAGE
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_a_figure_is_the_same_picture_each_time(draw, lang):
    first = draw(made(), lang=lang)
    assert first.png() == draw(made(), lang=lang).png()


@EACH_LANGUAGE
def test_the_throughput_figure_shows_every_contestant_at_every_size(lang):
    figure = figures.throughput(made(), lang=lang)
    panels = figure.axes
    word = {"ca": "lots de", "en": "batches of"}[lang]
    assert [axes.get_title() for axes in panels] == [f"{word} {batch}" for batch in BATCHES]
    for axes in panels:
        assert axes.get_yscale() == "log"
        assert [text.get_text() for text in axes.get_xticklabels()] == [str(width) for width in WIDTHS]
        for container, name in zip(axes.containers, RATES, strict=True):
            assert list(container.lines[0].get_ydata()) == [0.95 * RATES[name]] * len(WIDTHS)
            (bars,) = container.lines[2]
            assert [tuple(segment[:, 1]) for segment in bars.get_segments()] == [
                pytest.approx((0.9 * RATES[name], RATES[name]))
            ] * len(WIDTHS)
    assert panels[0].get_ylabel() == {"ca": "Molècules per segon", "en": "Molecules per second"}[lang]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [name[:3] for name in names] == ["(a)", "(a)", "(b)", "(c)", "(d)"]
    assert "accelera" in names[1]
    data = figure.data.set_index(["contestant", "width", "batch"])
    assert len(data) == len(RATES) * len(WIDTHS) * len(BATCHES)
    medians = {name: data.loc[(name, 38, 128), "molecules_per_s_median"] for name in RATES}
    assert medians == {name: pytest.approx(0.95 * rate) for name, rate in RATES.items()}


@EACH_LANGUAGE
def test_the_scaling_figure_shows_epochs_and_preparation(lang):
    figure = figures.scaling(made(), lang=lang)
    stock, ours, before = figure.axes[0].lines
    assert dict(zip(stock.get_xdata(), stock.get_ydata(), strict=True)) == {1000: 2.0, 10_000: 20.0}
    assert dict(zip(ours.get_xdata(), ours.get_ydata(), strict=True)) == {1000: 0.05, 10_000: 0.5, 130_000: 6.5}
    assert set(before.get_ydata()) == {1.5}
    data = figure.data.set_index(["contestant", "molecules"])
    assert data.loc[("ours", 130_000), ["load_s", "prepare_s", "epoch_s"]].tolist() == [0.5, 1.0, 6.5]
    assert figure.axes[0].get_ylabel() == {"ca": "Temps (s)", "en": "Time (s)"}[lang]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0].startswith({"ca": "una època, (a)", "en": "one epoch, (a)"}[lang])


@EACH_LANGUAGE
@pytest.mark.parametrize("table", figures.TABLES, ids=lambda table: table.__name__)
def test_a_table_is_text_in_its_language(table, lang):
    frame = table(made(), lang=lang)
    assert frame.map(lambda cell: isinstance(cell, str)).all(axis=None)
    wrong = r"\d\.\d{1,2}(?!\d)" if lang == "ca" else r"\d,\d{1,2}(?!\d)"
    assert not frame.map(lambda cell: re.search(wrong, cell) is not None).any(axis=None)
    other = table(made(), lang={"ca": "en", "en": "ca"}[lang])
    assert frame.shape == other.shape
    assert set(frame.columns) - {"(a) SchNetPack", "(c) PyTorch Geometric", "(d)/(a)", "(d)/(c)"} != set(other.columns)


def test_the_tables_hold_the_record():
    rates = figures.rate_table(made(), lang="en")
    assert list(rates.index) == ["128"] * 3 + ["512"] * 3
    assert rates.iloc[0].to_dict() == {
        "Features": "38",
        "(a) SchNetPack": "570",
        "(a) accelerated": "1,425",
        "(b) packed batches": "855",
        "(c) PyTorch Geometric": "1,140",
        "(d) this compendium": "17,100",
        "(d)/(a)": "30.0",
        "(d)/(c)": "15.0",
        "(d) / floor": "–",
    }
    floor = figures.floor_table(made(), lang="ca").loc["64"].to_dict()
    assert floor == {
        "Productes densos (ms)": "10,00",
        "Aritmètica (ms)": "2,00",
        "Trànsit (ms)": "5,00",
        "Cota inferior (ms)": "15,0",
        "Tot al màxim (ms)": "12,0",
        "Pas de (d) (ms)": "29,9",
        "(d) / cota inferior": "2,00",
    }
    cost = figures.cost_table(made(), lang="ca").loc["(d) aquest compendi"]
    assert list(cost) == ["1,75", "1,00", "1,0", "2,0", "24.625"]


def test_the_bars_say_whether_they_are_met():
    table = figures.bars_table(made(), lang="en")
    first = table.loc["(d) against (a), 38 features, batches of 512"]
    assert list(first) == ["≥ 25 ×", "30.0 ×", "met"]
    missed = [name for name, met in table["Met"].items() if met == "missed"]  # the floor's by a hair
    assert [name.partition(",")[0] for name in missed] == ["(d) against the floor", *["what Lightning adds"] * 2]
    assert table.loc["memory of a training on all of QM9", "Measured"] == "1.60 GB"
    slow = figures.bars_table(made(ours=6000), lang="ca")
    assert list(slow.loc["(d) contra (a), 38 característiques, lots de 512"]) == ["≥ 25 ×", "10,0 ×", "no"]


def test_the_facts_are_those_of_the_record():
    ca, en = (figures.facts(made(), lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert all(isinstance(value, str) and value for value in [*ca.values(), *en.values()])
    assert (ca["rate_ours"], en["rate_ours"]) == ("17.100", "17,100")
    assert (ca["times_schnetpack"], en["packed_over_stock"]) == ("30,0", "1.5")
    assert (en["most_molecules"], en["most_epoch"], en["most_prepare"]) == ("130,000", "6.5", "1.5")
    assert (en["full_seconds"], en["full_memory"], ca["full_mse"]) == ("100", "1.60", "0,051")
    assert en["code"] == "commit 0123456789"
    assert en["accelerated"].startswith("(a) accelerated trains on 1,425 molecules per second, 2.5 times as many")
    assert "changes" in figures.facts(made(clean=False), lang="en")["code"]


def test_a_record_of_before_the_variants_is_shown_without_them():
    old = made(variants=False)
    assert [name[:3] for name in list(figures.rate_table(old, lang="en"))[1:5]] == ["(a)", "(b)", "(c)", "(d)"]
    assert len(figures.cost_table(old, lang="en")) == len(figures.throughput(old, lang="en").axes[0].containers) == 4
    assert "not measured" in figures.facts(old, lang="en")["accelerated"]
    assert figures.variants_table(old, lang="en") is None
    assert "none of them" in figures.programs_facts(old, [], lang="en")["variants"]


@EACH_LANGUAGE
def test_the_variants_of_schnetpack_stand_side_by_side_with_ours(lang):
    table = figures.variants_table(made(), lang=lang)
    assert list(table)[1:4] == ["+ accelerate", "+ HalfNeighborList", "+ in_memory=True"]
    shown = [(570, 1), (1425, 2.5), (2280, 4), (11_400, 20), (17_100, 30)]
    assert [list(table.iloc[row]) for row in range(len(table))] == [
        [f"{style.number(rate, lang)} ({style.number(times, lang, 1)} ×)" for rate, times in shown]
    ]


def test_the_prose_says_which_bars_are_missed_and_whether_the_record_counts():
    facts = figures.facts(made(ours=6000), lang="en")
    assert facts["verdict"].startswith("Missed: (d) against (a), 38 features, batches of 512;")
    fast = figures.facts(made(ours=19_900), lang="en")
    assert (fast["bars_met"], fast["verdict"]) == (fast["bars"], "None is missed.")
    assert "2 repeats" in fast["kind"]
    quick = figures.facts(made(quick=True), lang="en")
    assert "no result" in quick["kind"]


# ---- the pages


@EACH_LANGUAGE
def test_the_page_shows_every_figure_and_table(lang):
    book = jupytext.read(ROOT / "book" / lang / "benchmark.md", fmt="md:myst")
    called = set()
    for cell in book.cells:
        if found := re.search(r"^figures\.(\w+)\((?:record|ways), lang=\"(\w+)\"\)$", cell.source, re.MULTILINE):
            assert found[2] == lang
            called.add(found[1])
    assert called == {draw.__name__ for draw in (*DRAWN, *figures.TABLES, figures.ways_table)}


@EACH_LANGUAGE
def test_the_page_quotes_only_facts_and_all_that_it_needs(lang):
    text = (ROOT / "book" / lang / "benchmark.md").read_text(encoding="utf-8")
    quoted = set(re.findall(rf"\{{glue:text\}}`{lang}-(\w+)`", text))
    known = figures.facts(made(), lang=lang).keys() | figures.ways_facts([ways()], lang=lang).keys()
    known |= figures.gpu_facts([], lang=lang).keys() | figures.worker_facts([], lang=lang).keys()
    known |= benchmark_workers.facts(pd.Series([60.0, 90.0]), lang=lang).keys()
    assert quoted == set(known) - {"repeats"}


def programs(*, quick: bool = False) -> Programs:
    """One repeat of the tutorial and three of `spktrain`: variants are 2, 4 and 40 times as fast as stock's."""
    sizes = {"n_interactions": 3, "batch": 100, "workers": 1, "train": 1000, "validation": 500}
    known = [
        {"program": "tutorial", "network": "schnet", "width": 30} | sizes,
        {"program": "spktrain", "network": "painn", "width": 128} | sizes,
    ]
    trainings = [
        {"program": one["program"], "network": one["network"], "contestant": variant, "repeat": repeat}
        | {"first": 30 / times, "epochs": [20 / times, 8 / times, 10 / times], "validation_loss": 2.0 + loss}
        for one in known
        for repeat in range(3 if one["program"] == "spktrain" else 1)
        for variant, times, loss in zip(benchmark.VARIANTS, (1, 2, 4, 40), (0, 0, 0.0011, 0), strict=True)
    ]
    machine = {"processor": "An abacus", "system": "L", "architecture": "x", "cores": 2, "memory_gib": 1.0}
    content = {"machine": machine | {"threads": 2}, "versions": {}, "git": None, "quick": quick, "repeats": 3}
    return Programs.model_validate_json(json.dumps(content | {"programs": known, "trainings": trainings}))


@EACH_LANGUAGE
def test_schnetpacks_programs_are_shown_by_epoch_and_by_what_each_line_gains(lang):
    table = figures.programs_table([programs()], lang=lang)
    assert list(table.index) == ["An abacus"] * 4
    assert list(table[say("Program", lang)]) == ["tutorial"] * 2 + ["spktrain"] * 2
    assert list(table[say("Network", lang)]) == ["SchNet"] * 2 + ["PaiNN"] * 2
    expected = [
        [f"{style.number(stock / times, lang, 2)} ({style.number(times, lang, 1)} ×)" for times in (1, 2, 4, 40)]
        for stock in (30, 10)
    ]
    assert [list(table.iloc[row])[-4:] for row in range(4)] == expected * 2
    facts = figures.programs_facts(made(), [programs()], lang=lang)
    assert style.threshold(0.0006, lang) in facts["programs"]
    assert "An abacus" in facts["programs"]
    assert style.number(1000, lang) in facts["programs"]


def test_the_page_on_fused_says_what_was_not_measured():
    assert figures.programs_table([], lang="en") is None
    none = figures.programs_facts(made(), [], lang="en")
    assert none.keys() == figures.programs_facts(made(), [programs()], lang="en").keys()
    assert none["programs"] == "It was not measured yet."
    assert "Beware" in figures.programs_facts(made(), [programs(quick=True)], lang="en")["programs"]


def ways(**machine: str) -> Ways:
    """Own products in vectors of 64 bytes are the fastest for SchNet, the library's are for PaiNN and not chosen."""
    tile = "tile=8x2,pairs=4"
    seconds = {f"vector=64,{tile},products=own,block=4096": (0.020, 0.120)}
    seconds[f"vector=32,{tile},products=own,block=4096"] = (0.030, 0.150)
    seconds[f"vector=64,{tile},products=library,block=4096"] = (0.025, 0.100)
    trials = [
        {
            "network": network,
            "width": 38,
            "batch": 512,
            "way": way,
            "seconds": both[k],
            "chosen": way == next(iter(seconds)),
        }
        for k, network in enumerate(("schnet", "painn"))
        for way, both in seconds.items()
    ]
    base = {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_gib": 23.5, "threads": 2} | machine
    content = {"machine": base, "versions": {"numba": "1"}, "git": None, "repeats": 5, "load": 3.0, "trials": trials}
    return Ways.model_validate_json(json.dumps(content))


@EACH_LANGUAGE
def test_the_table_of_ways_compares_the_chosen_one_with_the_others_on_each_machine(lang):
    table = figures.ways_table([ways(processor="An abacus"), ways()], lang=lang)
    unknown = say("processor not recorded", lang)
    assert list(table.index) == ["An abacus", "An abacus", unknown, unknown]
    assert list(table[say("Network", lang)]) == ["SchNet", "PaiNN"] * 2
    columns = ("Chosen / best", "Library / own", "32 bytes / 64 bytes")
    found = [[table[say(name, lang)].iloc[row] for name in columns] for row in (0, 1)]
    expected = [[1.0, 1.25, 1.5], [1.2, 100 / 120, 1.5]]
    assert found == [[style.number(value, lang, 2) for value in row] for row in expected]
    assert "8 × 2" in table[say("Way chosen", lang)].iloc[0]
    facts = figures.ways_facts([ways(), ways()], lang=lang)
    assert facts == {
        "ways_machines": "2",
        "ways_processors": f"{unknown}; {unknown}",
        "ways_worst": style.number(1.2, lang, 2),
        "ways_repeats": "5",
        "ways_load": style.number(1.5, lang, 1),
    }


@EACH_LANGUAGE
def test_the_only_machine_is_named_in_the_prose_and_not_in_each_row(lang):
    only = [ways(processor="An abacus")]
    table = figures.ways_table(only, lang=lang)
    assert (table.columns.name, *table.index) == (say("Network", lang), "SchNet", "PaiNN")
    assert "abacus" not in table.to_string()
    assert figures.ways_facts(only, lang=lang)["ways_processors"] == "An abacus"


def test_the_ways_of_the_machines_that_the_book_shows_can_be_read():
    records = benchmark.load_ways()
    assert records
    for record in records:
        assert record.machine.processor
        for trials in figures._trials(record).values():
            assert sum(one.chosen for one in trials.values()) == 1


def test_the_record_that_the_book_shows_can_be_read():
    record = benchmark.load()
    assert {one.contestant for one in record.steps} >= {"schnetpack", "packed", "geometric", "ours"}
    text = benchmark.default_path().read_text(encoding="utf-8")
    assert str(ROOT) not in text
