"""Figures and tables of the baseline: how the default model learns, and its error by size and by element.

Every function takes the records of several seeds and shows all of them. Tables are data frames of strings, written as
the language writes numbers.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from analysis.data import statistics, thesis
from analysis.figures import style
from analysis.figures.words import mark, messages, say
from analysis.runs import protocols
from analysis.runs.records import Record

# colour and marker: told apart in grey, too
PROTOCOLS = {"held_out": (style.BLUE, "o"), "as_reported": (style.VERMILION, "s")}

NAMES = messages(
    {"held_out": "held-out molecules, the training set’s mean", "as_reported": "the whole set, with its own mean"}
)
SHORT_NAMES = messages({"held_out": "held-out molecules", "as_reported": "own mean"})
_MSE = messages({"held_out": "MSE, held out (eV²)", "as_reported": "MSE, own mean (eV²)"})
ELEMENTS = messages({"H": "H, hydrogen", "C": "C, carbon", "N": "N, nitrogen", "O": "O, oxygen", "F": "F, fluorine"})


def summary(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """A row per seed and one for all: errors over the held-out molecules, and the time that the run took."""
    errors = [record.errors["error"].astype(float) for record in records]
    columns = {
        say("MSE (eV²)", lang): (4, general(records)),
        say("RMSE (meV)", lang): (0, [style.MEV * np.sqrt(np.mean(of_run**2)) for of_run in errors]),
        say("MAE (meV)", lang): (0, [style.MEV * np.mean(np.abs(of_run)) for of_run in errors]),
        say("Time (min)", lang): (1, [minutes(record) for record in records]),
    }
    return by_run(records, columns, lang=lang)


def by_run(records: Sequence[Record], columns: Mapping[str, tuple[int, Sequence[float]]], *, lang: str) -> pd.DataFrame:
    """A row per run, by seed, and one for all: numbers with so many decimals, by the name of their column."""
    rows = {"Run": [*(record.id for record in records), say("mean ± deviation", lang)]}
    for name, (decimals, values) in columns.items():
        of_runs = [style.number(value, lang, decimals) for value in values]
        rows[name] = [*of_runs, style.mean_and_deviation(values, lang, decimals)]
    index = [*(str(record.config.seed) for record in records), ""]
    found = pd.DataFrame(rows, index=index).rename(columns={"Run": say("Run", lang)})
    return found.rename_axis(columns=say("Seed", lang))


def facts(records: Sequence[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the baseline quotes, as the language writes it; the same keys in both.

    `span_…` is the largest over the smallest MSE (mean over seeds) among the sizes that the report shows, `best_…` the
    size of the smallest.
    """
    molecules = records[0].about["molecules"]
    found = {
        "runs": style.number(len(records), lang),
        "ids": ", ".join(f"{record.config.seed}: {record.id}" for record in records),
        "train": style.number(molecules["train"], lang),
        "held_out": style.number(molecules["validation"] + molecules["test"], lang),
        "mse": style.mean_and_deviation(general(records), lang, 3),
        "minutes": style.number(float(np.mean([minutes(record) for record in records])), lang, 1),
    }
    for protocol in PROTOCOLS:
        by_size = by_seed(records, "size", protocol).mean(axis=1).reindex(thesis.COMMON_SIZES).dropna()
        by_element = by_seed(records, "element", protocol).mean(axis=1)
        found[f"span_{protocol}"] = style.number(by_size.max() / by_size.min(), lang)
        found[f"best_{protocol}"] = style.number(by_size.idxmin(), lang)
        found[f"carbon_{protocol}"] = style.number(by_element["C"], lang, 3)
        found[f"fluorine_{protocol}"] = style.number(by_element["F"], lang, 3)
    return found


def size_table(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """MSE per size under both protocols, mean and deviation over seeds, for the sizes that the report shows."""
    return _protocol_table(records, "size", list(thesis.COMMON_SIZES), lang)


def element_table(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """MSE per element under both protocols, mean and deviation over seeds."""
    return _protocol_table(records, "element", list(statistics.ELEMENTS), lang)


def learning_curves(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """Training and validation loss per epoch, a curve per seed."""
    losses = {"train_loss": "train_loss_eV2", "validation_loss": "validation_loss_eV2"}
    data = of_runs(records, lambda record: record.history[["epoch", *losses]].rename(columns=losses))
    alt = mark(
        "Training and validation loss per epoch on a log scale, with a curve per seed: all of them fall fast at "
        "first and more slowly afterwards."
    )
    with style.figure(say(alt, lang), data, legend=2) as figure:
        axes = figure.subplots()
        looks = {
            "train_loss": (style.SKY, "-", mark("training")),
            "validation_loss": (style.BLACK, "--", mark("validation")),
        }
        for which, (colour, line, said) in looks.items():
            for record in records:
                axes.plot(record.history["epoch"], record.history[which], line, color=colour, label=say(said, lang))
        axes.set(xlabel=say("Epoch", lang), ylabel=say("MSE (eV²)", lang))
        axes.xaxis.set_major_locator(MultipleLocator(max(1, len(records[0].history) // 6)))
        style.log_axis(axes, lang)
    return figure


def error_by_size(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms under both protocols (Figure 3 of the report), a band from the best to the worst seed."""
    data = mse_of_runs(records, "size", thesis.COMMON_SIZES)
    alt = mark(
        "Mean squared error by number of atoms on a log scale, with two curves from the same models: that of the "
        "held-out molecules falls gently with size; that of each set with its own mean has the shape of a valley, "
        "lowest at the most frequent sizes."
    )
    with style.figure(say(alt, lang), data, height=4.2, legend=1) as figure:
        axes = figure.subplots()
        for protocol, (colour, marker) in PROTOCOLS.items():
            table = by_seed(records, "size", protocol).reindex(thesis.COMMON_SIZES).dropna()
            style.band(axes, table, color=colour, marker=marker, markersize=4, label=say(NAMES[protocol], lang))
        style.size_axis(axes, lang)
        style.log_axis(axes, lang, name=say("MSE (eV²)", lang))
    return figure


def error_by_element(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """MSE by element under both protocols (Figure 4 of the report), a point per seed, rarest element last."""
    data = mse_of_runs(records, "element", statistics.ELEMENTS)
    alt = mark(
        "Mean squared error by element on a log scale, with a point per seed and protocol: the two protocols are "
        "alike on the elements that nearly all molecules hold and part ways above all on fluorine."
    )
    with style.figure(say(alt, lang), data, height=3.8, legend=1) as figure:
        axes = figure.subplots()
        order = by_frequency(records)
        for (protocol, (colour, marker)), shift in zip(PROTOCOLS.items(), (-0.12, 0.12), strict=True):
            table = by_seed(records, "element", protocol).loc[order]
            places = np.repeat(np.arange(len(order)) + shift, len(records))
            look = {"color": colour, "markersize": 6, "label": say(NAMES[protocol], lang)}
            axes.plot(places, table.to_numpy().ravel(), marker, **look)
        axes.set_xticks(np.arange(len(order)), [say(ELEMENTS[element], lang) for element in order])
        axes.tick_params(axis="x", labelsize=9)
        style.log_axis(axes, lang, name=say("MSE (eV²)", lang))
    return figure


def general(records: Sequence[Record], protocol: str = "held_out") -> list[float]:
    """MSE over all molecules, eV², per seed."""
    return [protocols.mse(record.groups, "all").loc["all", protocol] for record in records]


def training_sizes(record: Record) -> pd.Series:
    """How many molecules of each number of atoms a run was trained on."""
    rows = record.groups[(record.groups["kind"] == "size") & (record.groups["part"] == "train")]
    sizes = rows["group"].astype(int).rename("n_atoms")
    return rows.set_index(sizes)["molecules"].sort_index().rename("training_molecules")


def by_frequency(records: Sequence[Record]) -> list[str]:
    """The elements, that of the most held-out molecules first."""
    return list(protocols.mse(records[0].groups, "element")["molecules"].sort_values(ascending=False).index)


def minutes(record: Record) -> float:
    """Wall time of a run: training, validation and evaluation."""
    return sum(record.about["seconds"].values()) / 60


def by_seed(records: Sequence[Record], kind: str, protocol: str) -> pd.DataFrame:
    """MSE per group of one kind under one protocol, eV²: a row per group, a column per seed."""
    return pd.concat({record.config.seed: protocols.mse(record.groups, kind)[protocol] for record in records}, axis=1)


def of_runs(records: Sequence[Record], table: Callable[[Record], pd.DataFrame | dict[str, list]]) -> pd.DataFrame:
    """A table of each run, one below the other, with the run's id and seed in front: the data behind a figure."""
    tables, keys = [pd.DataFrame(table(record)) for record in records], [(r.id, r.config.seed) for r in records]
    return pd.concat(tables, keys=keys, names=["run", "seed"]).reset_index(["run", "seed"]).reset_index(drop=True)


def mse_of_runs(records: Sequence[Record], kind: str, groups: Collection) -> pd.DataFrame:
    """MSE of each run by size or by element, for some of the groups: the data behind a figure.

    A row per run and group, with the number of held-out molecules and the MSE (eV²) under both protocols.
    """
    names = {"molecules": "held_out_molecules"} | {protocol: f"mse_{protocol}_eV2" for protocol in PROTOCOLS}

    def table(record: Record) -> pd.DataFrame:
        found = protocols.mse(record.groups, kind).rename(columns=names)
        found = found[found.index.isin(groups)].rename_axis("n_atoms" if kind == "size" else kind)
        return found.reset_index()

    return of_runs(records, table)


def _protocol_table(records: Sequence[Record], kind: str, groups: list, lang: str) -> pd.DataFrame:
    molecules = protocols.mse(records[0].groups, kind)["molecules"]
    shown = [group for group in groups if group in molecules.index]
    columns = {say("Held out", lang): [style.number(molecules[group], lang) for group in shown]}
    for protocol, name in _MSE.items():
        table = by_seed(records, kind, protocol).loc[shown].to_numpy()
        columns[say(name, lang)] = [style.mean_and_deviation(of_seeds, lang, 3) for of_seeds in table]
    return by_group(columns, shown, kind, lang=lang)


def by_group(cells: Mapping | Sequence, groups: Iterable, kind: str, *, lang: str) -> pd.DataFrame:
    """A row per size or element, of cells by the name of their column; or of such a dictionary per row."""
    names = [say(ELEMENTS[group], lang) if kind == "element" else str(group) for group in groups]
    corner = say("Number of atoms" if kind == "size" else "Element", lang)
    return pd.DataFrame(cells, index=names).rename_axis(columns=corner)
