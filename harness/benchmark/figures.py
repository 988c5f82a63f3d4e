"""Figures and tables of the benchmark, from its record.

Tables are data frames of strings, written as the language writes numbers. A number over repeats is their median; what
was not measured is a dash.
"""

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType

import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from analysis.figures import style
from analysis.figures.words import mark, messages, say
from analysis.runs.measured import Git
from harness.benchmark import record as benchmark
from harness.benchmark.record import Bar, Benchmark, GpuCheck, Programs, Spread, Trial, Ways, WorkerTimes
from harness.machine import Machine

# colour, marker and line: told apart in grey, too
LOOKS = MappingProxyType(
    {
        "schnetpack": (style.VERMILION, "s", "--"),
        "accelerated": (style.PURPLE, "v", "--"),
        "packed": (style.ORANGE, "^", "-."),
        "geometric": (style.GREEN, "D", ":"),
        "ours": (style.BLUE, "o", "-"),
    }
)
REFERENCE = (38, 512)
"""Features and batch size that the prose and the table of costs quote: the report's own choice (section 5.2.1)."""

_MS = 1000  # per second

_CONTESTANTS = messages(
    {
        "schnetpack": "(a) SchNetPack as it is",
        "accelerated": "(a) accelerated",
        "packed": "(b) SchNetPack, packed batches",
        "geometric": "(c) PyTorch Geometric’s SchNet",
        "ours": "(d) this compendium",
    }
)
_IN_A_HEAD = messages(
    {
        "schnetpack": "(a) SchNetPack",
        "accelerated": "(a) accelerated",
        "packed": "(b) packed batches",
        "geometric": "(c) PyTorch Geometric",
        "ours": "(d) this compendium",
    }
)
"""The same, short, for the head of a column."""
_VARIANTS = messages({"schnetpack": "SchNetPack as it is", "ours": "this compendium"})
_LINES = MappingProxyType(
    {"accelerated": "+ accelerate", "half_list": "+ HalfNeighborList", "in_memory": "+ in_memory=True"}
)
"""What each variant adds to the one before, as it is written in a program."""
_BARS = messages(
    {
        "schnetpack": "(d) against (a), {width} features, batches of {batch}",
        "geometric": "(d) against (c), {width} features, batches of {batch}",
        "floor": "(d) against the floor, {width} features, batches of {batch}",
        "lightning": "what Lightning adds, {width} features, batches of {batch}",
        "memory": "memory of a training on all of QM9",
    }
)

_NETWORKS = MappingProxyType({"schnet": "SchNet", "painn": "PaiNN"})
_WAYS = messages(
    {
        "own": "vectors of {bytes} bytes, tiles of {rows} × {columns}",
        "library": "vectors of {bytes} bytes, the library’s products",
    }
)


def throughput(record: Benchmark, *, lang: str) -> style.BookFigure:
    """Molecules per second by width, a panel per batch size, a line per contestant; bars from lowest to highest."""
    widths, batches = sorted(record.settings.widths), sorted(record.settings.batches)
    alt = say(
        "Molecules per second on a log scale by number of features, with a plot per batch size and a line per way "
        "of training: that of this compendium runs far above the others, and all are slowest with the most "
        "features.",
        lang,
    )
    with style.figure(alt, _rates(record), height=4.4) as figure:
        panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
        for axes, batch in zip(panels, batches, strict=True):
            for contestant in _shown(record):
                colour, marker, line = LOOKS[contestant]
                spreads = {
                    place: found
                    for place, width in enumerate(widths)
                    if (found := benchmark.spread(record, contestant, "rate", width=width, batch=batch))
                }
                middle = [found.median for found in spreads.values()]
                below = [found.median - found.low for found in spreads.values()]
                above = [found.high - found.median for found in spreads.values()]
                axes.errorbar(
                    list(spreads),
                    middle,
                    yerr=[below, above],
                    color=colour,
                    marker=marker,
                    markersize=5,
                    linestyle=line,
                    label=say(_CONTESTANTS[contestant], lang),
                )
            axes.set_title(say("batches of {batch}", lang, batch=style.number(batch, lang)), fontsize=10)
            axes.set_xticks(range(len(widths)), [style.number(width, lang) for width in widths])
            axes.margins(x=0.12)
            axes.set_yscale("log")
            _log_ticks(axes.yaxis, lang)
        panels[0].set_ylabel(say("Molecules per second", lang))
        figure.supxlabel(say("Features", lang), fontsize=11)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure


def scaling(record: Benchmark, *, lang: str) -> style.BookFigure:
    """Seconds against molecules: an epoch of SchNetPack's and of ours, and what ours does once before the first."""
    data = pd.DataFrame([one.model_dump() for one in record.scaling])
    data = data.rename(columns={name: f"{name}_s" for name in ("load", "prepare", "epoch")})
    alt = say(
        "Time in seconds against the number of molecules, both axes logarithmic: the epochs rise almost in a "
        "straight line, and SchNetPack’s stays far above the compendium’s. The preparation, which is done only "
        "once, does not grow as fast.",
        lang,
    )
    with style.figure(alt, data, height=4.2) as figure:
        axes = figure.subplots()
        for contestant in ("schnetpack", "ours"):
            colour, marker, line = LOOKS[contestant]
            epochs = {one.molecules: one.epoch for one in record.scaling if one.contestant == contestant}
            name = say("one epoch, {contestant}", lang, contestant=say(_CONTESTANTS[contestant], lang))
            axes.plot(list(epochs), list(epochs.values()), line, color=colour, marker=marker, markersize=5, label=name)
        before = {one.molecules: one.load + one.prepare for one in record.scaling if one.contestant == "ours"}
        axes.plot(
            list(before),
            list(before.values()),
            ":",
            color=style.SKY,
            marker="v",
            label=say("reading, neighbours and packing, (d)", lang),
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, lang)
        axes.xaxis.set_major_locator(FixedLocator([1_000, 3_000, 10_000, 30_000, 100_000]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(style.number_axis(lang))
        axes.set_xlabel(say("Molecules", lang))
        axes.set_ylabel(say("Time (s)", lang))
        figure.legend(loc="outside upper center", ncols=1)
    return figure


def rate_table(record: Benchmark, *, lang: str) -> pd.DataFrame:
    """Molecules per second of every contestant at every size, and how many times faster ours is."""
    rows, names = [], []
    for batch in sorted(record.settings.batches):
        for width in sorted(record.settings.widths):
            sizes = {"width": width, "batch": batch}
            rates = {name: benchmark.spread(record, name, "rate", **sizes) for name in _shown(record)}
            ratios = {
                f"(d)/({letter})": _number(benchmark.ratio(record, "ours", name, **sizes), lang, 1)
                for letter, name in (("a", "schnetpack"), ("c", "geometric"))
            }
            floor = {say("(d) / floor", lang): _number(benchmark.over_floor(record, **sizes), lang, 1)}
            shown = {_short(name, lang): _number(found, lang) for name, found in rates.items()}
            rows.append({say("Features", lang): style.number(width, lang)} | shown | ratios | floor)
            names.append(style.number(batch, lang))
    return _table(rows, names, say("Batch", lang))


def cost_table(record: Benchmark, *, lang: str) -> pd.DataFrame:
    """Memory, time to the first batch and step, and size of the network, at the size of REFERENCE."""
    sizes = {"width": REFERENCE[0], "batch": REFERENCE[1]}

    def show(contestant: str, quantity: str, decimals: int, unit: float = 1) -> str:
        return _number(benchmark.spread(record, contestant, quantity, **sizes), lang, decimals, unit)

    rows = [
        {
            say("Memory (GB)", lang): show(name, "whole_memory", 2, benchmark.GIGABYTE),
            say("Libraries (GB)", lang): show(name, "imports_memory", 2, benchmark.GIGABYTE),
            say("First batch (s)", lang): show(name, "first_batch", 1),
            say("First step (s)", lang): show(name, "first_step", 1),
            say("Parameters", lang): show(name, "parameters", 0),
        }
        for name in _shown(record)
    ]
    return _table(rows, [say(_CONTESTANTS[name], lang) for name in _shown(record)], say("Way", lang))


def floor_table(record: Benchmark, *, lang: str) -> pd.DataFrame:
    """The floor's terms by width at the largest batch, the bound by arithmetic alone, and our step."""
    batch = max(record.settings.batches)
    rows, names = [], []
    for width in sorted(record.settings.widths):
        floors = [one for one in record.floor if (one.width, one.batch) == (width, batch)]
        terms = {
            say(name, lang): _number(Spread.over(getattr(one, term) for one in floors), lang, 2, 1 / _MS)
            for term, name in messages(
                {"products": "Dense products (ms)", "arithmetic": "Arithmetic (ms)", "traffic": "Traffic (ms)"}
            ).items()
        }
        total, peak = (
            _number(Spread.over(getattr(one, bound) for one in floors), lang, 1, 1 / _MS)
            for bound in ("seconds", "peak")
        )
        rate = benchmark.spread(record, "ours", "rate", width=width, batch=batch)
        step = style.number(_MS * batch / rate.median if rate else math.nan, lang, 1)
        over = _number(benchmark.over_floor(record, width=width, batch=batch), lang, 2)
        ours = {say("Step of (d) (ms)", lang): step, say("(d) / floor", lang): over}
        rows.append(terms | {say("Floor (ms)", lang): total, say("All at peak (ms)", lang): peak} | ours)
        names.append(style.number(width, lang))
    return _table(rows, names, say("Features", lang))


def bars_table(record: Benchmark, *, lang: str) -> pd.DataFrame:
    """Every bar: what it demands, the median that was measured with lowest and highest, and whether it is met."""
    rows, names = [], []
    for bar in benchmark.bars(record):
        sign = "≤" if bar.at_most else "≥"
        verdict = messages({True: "met", False: "missed", None: "not measured"})[bar.met]
        rows.append(
            {
                say("Demand", lang): f"{sign} {_in_unit(bar.demand, bar, lang, exact=True)}",
                say("Measured", lang): _with_range(bar, lang),
                say("Met", lang): say(verdict, lang),
            }
        )
        names.append(_bar_name(bar, lang))
    return _table(rows, names, say("Bar", lang))


def variants_table(record: Benchmark, *, lang: str) -> pd.DataFrame | None:
    """Molecules per second of each variant of (a) and of ours, and how many times stock's; None if not measured."""
    rows, names = [], []
    for width, batch in record.settings.variants:
        sizes = {"width": width, "batch": batch}
        row = {
            _variant(way, lang): _with_gain(
                _number(benchmark.spread(record, way, "rate", **sizes), lang),
                benchmark.ratio(record, way, "schnetpack", **sizes),
                lang,
            )
            for way in (*benchmark.VARIANTS, "ours")
        }
        rows.append(row)
        names.append(
            say("{width} features, batches of {batch}", lang, width=str(width), batch=style.number(batch, lang))
        )
    return _table(rows, names, say("Network", lang)) if rows else None


def programs_table(records: Sequence[Programs], *, lang: str) -> pd.DataFrame | None:
    """Seconds per epoch of SchNetPack's programs in each variant, and the factor it gains; None without records."""
    rows, names = [], []
    for record in records:
        for program in record.programs:
            for which, epoch in messages({"first": "first", "later": "later ones"}).items():
                seconds = {
                    _variant(way, lang): _with_gain(
                        _number(benchmark.epoch(record, program, way, which), lang, 2),
                        benchmark.gain(record, program, way, which),
                        lang,
                    )
                    for way in benchmark.VARIANTS
                }
                sizes = {
                    say("Program", lang): program.program,
                    say("Network", lang): _NETWORKS[program.network],
                    say("Features", lang): style.number(program.width, lang),
                    say("Epochs", lang): say(epoch, lang),
                }
                rows.append(sizes | seconds)
                names.append(record.machine.processor or say("processor not recorded", lang))
    return _table(rows, names, say("Processor", lang)) if rows else None


def programs_facts(record: Benchmark, records: Sequence[Programs], *, lang: str) -> dict[str, str]:
    """The sentences of the page on `fused` that depend on what was measured; the same keys in both languages."""
    variants = say("The benchmark’s record that is shown here has none of them yet.", lang)
    if record.settings.variants:
        variants = say(
            "Measured on {cores} cores ({processor}) with {repeats} repeats; code: {code}.",
            lang,
            **_measured_on(record.machine, record.settings.repeats, record.git, lang),
        )
    if not records:
        return {"programs": say("It was not measured yet.", lang), "variants": variants}
    sentences = [
        say(
            "Measured on {cores} cores ({processor}) with {repeats} repeats; code: {code}.",
            lang,
            **_measured_on(one.machine, one.repeats, one.git, lang),
        )
        for one in records
    ]
    if any(one.quick for one in records):
        sentences.append(say("Beware: a record of a quick check is among them, and its figures are no result.", lang))
    sentences += [
        say(
            "{program}: {train} molecules for training and {validation} for validation.",
            lang,
            program=name,
            train=style.number(train, lang),
            validation=style.number(validation, lang),
        )
        for name, train, validation in dict.fromkeys(
            (program.program, program.train, program.validation) for one in records for program in one.programs
        )
    ]
    sentences.append(
        say(
            "The last validation losses differ by at most {share} from those of SchNetPack as it is.",
            lang,
            share=_small_share(max(map(benchmark.loss_difference, records)), lang),
        )
    )
    return {"programs": " ".join(sentences), "variants": variants}


def _variant(way: str, lang: str) -> str:
    return _LINES[way] if way in _LINES else say(_VARIANTS[way], lang)


def _measured_on(machine: Machine, repeats: int, git: Git | None, lang: str) -> dict[str, str]:
    return {
        "cores": style.number(machine.cores, lang),
        "processor": machine.processor or say("processor not recorded", lang),
        "repeats": style.number(repeats, lang),
        "code": _code(git, lang),
    }


def _with_gain(measured: str, times: Spread | None, lang: str) -> str:
    return measured if times is None else f"{measured} ({style.number(times.median, lang, 1)} ×)"


def _small_share(share: float, lang: str) -> str:
    """A share in per cent, rounded up to its first digit."""
    if share == 0:
        return style.percent(0, lang)
    unit = 10.0 ** math.floor(math.log10(share))
    return style.threshold(math.ceil(share / unit) * unit, lang)


def gpu_facts(records: Sequence[GpuCheck], *, lang: str) -> dict[str, str]:
    """A sentence: on which cards `make gpu-check` was run, and whether they agree; or that none was at hand."""
    if not records:
        none = mark("No graphics card was at hand, neither for this page nor for any run of the book.")
        return {"gpu": say(none, lang)}
    cards = ", ".join(dict.fromkeys(record.device for record in records))
    agree = mark("{cards}: the runs that were trained again there agree with the records.")
    differ = mark("{cards}: not all runs that were trained again there agree with the records.")
    return {"gpu": say(agree if all(record.agrees for record in records) else differ, lang, cards=cards)}


def gpu_table(records: Sequence[GpuCheck], *, lang: str) -> pd.DataFrame | None:
    """Molecules per second on each card, a row per number of features and batch size; None without a record."""
    rows, names = [], []
    for record in records:
        for width, batch in dict.fromkeys((one.width, one.batch) for one in record.steps):
            rates = {
                mark("(a) SchNetPack as it is"): record.rate("schnet", "schnetpack", width, batch),
                mark("(b) SchNetPack, packed batches"): record.rate("schnet", "stock", width, batch),
                mark("(d) this compendium"): record.rate("schnet", "fused", width, batch),
                mark("PaiNN, packed batches"): record.rate("painn", "stock", width, batch),
            }
            names.append(record.device)
            sizes = {say("Features", lang): style.number(width, lang), say("Batch", lang): style.number(batch, lang)}
            rows.append(
                sizes
                | {say(name, lang): "–" if one is None else style.number(one, lang) for name, one in rates.items()}
            )
    return pd.DataFrame(rows, index=names) if rows else None


def worker_facts(records: Sequence[WorkerTimes], *, lang: str) -> dict[str, str]:
    """A sentence that says what two workers gained where it was measured; or that it was not."""
    if not records:
        return {"workers_measured": say(mark("It was not measured with real workers yet."), lang)}
    said = mark("Two workers of one thread each trained the same runs {times} times as fast as one ({processors}).")
    times = ", ".join(style.number(record.gain, lang, 2) for record in records)
    processors = ", ".join(record.machine.processor for record in records)
    return {"workers_measured": say(said, lang, times=times, processors=processors)}


def ways_table(records: Sequence[Ways], *, lang: str) -> pd.DataFrame:
    """The way of working that each machine chose for each network, and how long the others take in comparison.

    Rows are headed by the processor where there is more than one machine.
    """
    rows, names = [], []
    for record in records:
        for (network, width, batch), trials in _trials(record).items():
            chosen = next(way for way, one in trials.items() if one.chosen)
            rows.append(
                {
                    say("Network", lang): _NETWORKS[network],
                    say("Features", lang): style.number(width, lang),
                    say("Batch", lang): style.number(batch, lang),
                    say("Way chosen", lang): _way(chosen, lang),
                    say("Chosen / best", lang): _ratio(trials, lang, lambda _, one: one.chosen, lambda *_: True),
                    say("Library / own", lang): _ratio(
                        trials,
                        lang,
                        lambda way, _: way["products"] == "library",
                        lambda way, _: way["products"] == "own",
                    ),
                    say("32 bytes / 64 bytes", lang): _ratio(
                        trials, lang, lambda way, _: way["vector"] == "32", lambda way, _: way["vector"] == "64"
                    ),
                }
            )
            names.append(_processor(record, lang))
    if len(records) == 1:
        network = say("Network", lang)
        return _table(rows, [row.pop(network) for row in rows], network)
    return _table(rows, names, say("Processor", lang))


def _processor(record: Ways, lang: str) -> str:
    return record.machine.processor or say("processor not recorded", lang)


def ways_facts(records: Sequence[Ways], *, lang: str) -> dict[str, str]:
    """The numbers of the prose on the ways of working."""
    worst = max(_over_best(trials) for record in records for trials in _trials(record).values())
    return {
        "ways_machines": style.number(len(records), lang),
        "ways_processors": "; ".join(_processor(record, lang) for record in records),
        "ways_worst": style.number(worst, lang, 2),
        "ways_repeats": style.number(min(record.repeats for record in records), lang),
        "ways_load": style.number(max(record.load / record.machine.cores for record in records), lang, 1),
    }


def _trials(record: Ways) -> dict[tuple[str, int, int], dict[str, Trial]]:
    """A record's trials by network, width and batch, and by way."""
    found: dict[tuple[str, int, int], dict[str, Trial]] = {}
    for one in record.trials:
        found.setdefault((one.network, one.width, one.batch), {})[one.way] = one
    return found


def _over_best(trials: dict[str, Trial]) -> float:
    return next(one.seconds for one in trials.values() if one.chosen) / min(one.seconds for one in trials.values())


def _ratio(
    trials: dict[str, Trial],
    lang: str,
    above: Callable[[dict[str, str], Trial], bool],
    below: Callable[[dict[str, str], Trial], bool],
) -> str:
    """The best time of some of the ways over that of some others; a dash if there are none."""
    best = [
        min((one.seconds for way, one in trials.items() if which(_parts(way), one)), default=math.nan)
        for which in (above, below)
    ]
    return style.number(best[0] / best[1], lang, 2)


def _parts(way: str) -> dict[str, str]:
    return dict(part.split("=") for part in way.split(","))


def _way(way: str, lang: str) -> str:
    parts = _parts(way)
    rows, columns = parts["tile"].split("x")
    return say(_WAYS[parts["products"]], lang, bytes=parts["vector"], rows=rows, columns=columns)


TABLES = (rate_table, cost_table, floor_table, bars_table)


def facts(record: Benchmark, *, lang: str) -> dict[str, str]:
    """Every number, and every sentence that depends on one, of the book's prose on the benchmark.

    The same keys in both languages. Ratios and rates are at the size of REFERENCE.
    """
    settings, machine, full = record.settings, record.machine, record.full
    width, batch = REFERENCE
    sizes = {"width": width, "batch": batch}
    bars = benchmark.bars(record)
    most = max((one for one in record.scaling if one.contestant == "ours"), key=lambda one: one.molecules)
    stock = [one for one in record.scaling if one.contestant == "schnetpack"]
    return {
        "kind": say(
            "Beware: the record is that of a quick check, which only shows that the measurement works; its figures are "
            "no result."
            if settings.quick
            else "The record is that of the whole measurement, with {repeats} repeats.",
            lang,
            repeats=str(settings.repeats),
        ),
        "code": _code(record.git, lang),
        "lightning_code": _code(record.lightning.git, lang),
        "cores": style.number(machine.cores, lang),
        "threads": style.number(machine.threads, lang),
        "memory_gib": style.number(machine.memory_gib, lang, 1),
        "architecture": machine.architecture,
        "processor": machine.processor or say("processor not recorded", lang),
        "repeats": style.number(settings.repeats, lang),
        "seconds": style.plain_number(settings.seconds, lang),
        "min_steps": style.number(settings.min_steps, lang),
        "warm_up": style.number(settings.warm_up, lang),
        "molecules": style.number(settings.molecules, lang),
        "cutoff": style.plain_number(settings.cutoff, lang),
        "interactions": style.number(settings.n_interactions, lang),
        "gaussians": style.number(settings.n_rbf, lang),
        "workers": style.number(settings.workers, lang),
        "width": style.number(width, lang),
        "batch": style.number(batch, lang),
        "parameters": _number(benchmark.spread(record, "ours", "parameters", **sizes), lang),
        "rate_ours": _number(benchmark.spread(record, "ours", "rate", **sizes), lang),
        **{
            f"times_{name}": _number(benchmark.ratio(record, "ours", name, **sizes), lang, 1)
            for name in ("schnetpack", "packed", "geometric")
        },
        "accelerated": _accelerated(record, lang),
        "packed_over_stock": _number(benchmark.ratio(record, "packed", "schnetpack", **sizes), lang, 1),
        "over_floor": _number(benchmark.over_floor(record, width=64, batch=batch), lang, 2),
        "lightning_38": _percent(benchmark.lightning_share(record, width=38, batch=batch), lang),
        "lightning_64": _percent(benchmark.lightning_share(record, width=64, batch=batch), lang),
        "bars": style.number(len(bars), lang),
        "bars_met": style.number(sum(bar.met is True for bar in bars), lang),
        "verdict": _verdict(bars, lang),
        "most_molecules": style.number(most.molecules, lang),
        "most_prepare": style.number(most.load + most.prepare, lang, 1),
        "most_epoch": style.number(most.epoch, lang, 1),
        "stock_molecules": style.number(max(one.molecules for one in stock), lang) if stock else "–",
        "stock_epoch": style.number(max(one.epoch for one in stock), lang, 1) if stock else "–",
        "full_molecules": style.number(full.molecules, lang),
        "full_validation": style.number(full.validation, lang),
        "full_epochs": style.number(full.epochs, lang),
        "full_seconds": style.number(full.seconds, lang),
        "full_memory": style.number(full.memory / benchmark.GIGABYTE, lang, 2),
        "full_mse": style.number(full.validation_loss, lang, 3),
    }


def _accelerated(record: Benchmark, lang: str) -> str:
    """What `accelerate` makes of (a), in a sentence."""
    sizes = {"width": REFERENCE[0], "batch": REFERENCE[1]}
    times = benchmark.ratio(record, "accelerated", "schnetpack", **sizes)
    if times is None:
        return say("(a) accelerated was not measured yet when this record was made.", lang)
    return say(
        "(a) accelerated trains on {rate} molecules per second, {times} times as many as (a).",
        lang,
        rate=_number(benchmark.spread(record, "accelerated", "rate", **sizes), lang),
        times=_number(times, lang, 1),
    )


def _shown(record: Benchmark) -> list[str]:
    """The contestants of the figure and the tables that were measured."""
    measured = {one.contestant for one in record.steps}
    return [name for name in LOOKS if name in measured]


def _short(contestant: str, lang: str) -> str:
    """A contestant in a table's head."""
    return say(_IN_A_HEAD[contestant], lang)


def _rates(record: Benchmark) -> pd.DataFrame:
    """Molecules per second of every contestant at every size, median, lowest and highest: the data of a figure."""
    rows = [
        {"contestant": name, "width": width, "batch": batch}
        | {f"molecules_per_s_{part}": getattr(found, part) for part in ("median", "low", "high")}
        for name in _shown(record)
        for width in sorted(record.settings.widths)
        for batch in sorted(record.settings.batches)
        if (found := benchmark.spread(record, name, "rate", width=width, batch=batch))
    ]
    return pd.DataFrame(rows)


def _number(spread: Spread | None, lang: str, decimals: int = 0, unit: float = 1) -> str:
    """The median in a unit."""
    return style.number(spread.median / unit if spread else math.nan, lang, decimals)


def _percent(spread: Spread | None, lang: str) -> str:
    return style.percent(spread.median if spread else math.nan, lang, 1)


def _in_unit(value: float, bar: Bar, lang: str, *, exact: bool = False) -> str:
    """A bar's value with its unit; `exact` for a round number."""
    if bar.kind == "lightning":
        return style.threshold(value, lang) if exact else style.percent(value, lang, 1)
    shown = style.plain_number(value, lang) if exact else style.number(value, lang, 2 if bar.at_most else 1)
    return f"{shown} GB" if bar.kind == "memory" else f"{shown} ×"


def _with_range(bar: Bar, lang: str) -> str:
    if bar.measured is None:
        return "–"
    median, low, high = (_in_unit(value, bar, lang) for value in bar.measured)
    return median if bar.measured.low == bar.measured.high else f"{median} ({low} … {high})"


def _bar_name(bar: Bar, lang: str) -> str:
    return say(_BARS[bar.kind], lang, width=str(bar.width), batch=str(bar.batch))


def _verdict(bars: list[Bar], lang: str) -> str:
    """Which bars are missed or not measured, in a sentence or two."""
    missed = [_bar_name(bar, lang) for bar in bars if bar.met is False]
    unknown = [_bar_name(bar, lang) for bar in bars if bar.met is None]
    sentences = [say("Missed: {bars}.", lang, bars="; ".join(missed))] if missed else []
    sentences += [say("Not measured: {bars}.", lang, bars="; ".join(unknown))] if unknown else []
    return " ".join(sentences) or say("None is missed.", lang)


def _code(git: Git | None, lang: str) -> str:
    if git is None:
        return say("version unknown", lang)
    return say(
        "commit {commit}" if git.clean else "commit {commit}, with uncommitted changes", lang, commit=git.commit[:10]
    )


def _table(rows: list[dict[str, str]], names: list[str], corner: str) -> pd.DataFrame:
    return pd.DataFrame(rows, index=names).rename_axis(columns=corner)


def _log_ticks(axis: Axis, lang: str) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: style.plain_number(value, lang)))
    axis.set_minor_formatter(NullFormatter())
