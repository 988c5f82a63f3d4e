"""What a prediction is worth by the kind of its geometry: how often its interval holds, and for which molecules."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rdkit import Chem

from analysis.data.descriptors import structure
from analysis.data.geometries import sources
from analysis.data.molecules import Molecules
from analysis.evaluation.prediction_intervals import (
    DFT,
    KINDS,
    MMFF,
    RELAXED,
    UNKNOWN,
    Intervals,
    calibrated,
    inside,
    scales_of,
    told,
)
from analysis.figures import style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record, held_out_errors

LEAST = 20
"""Test molecules; of fewer a share says too little."""
DRAWN = 1000
"""Test molecules that the figure shows."""
KIND_NAMES = messages(
    {
        "dft": "QM9’s own (B3LYP)",
        "xtb": "GFN2-xTB",
        "mmff": "from SMILES (MMFF94)",
        RELAXED: "from SMILES, relaxed on networks",
        UNKNOWN: "QM9’s own, its kind not said",
    }
)
SHOWN = (*KINDS, RELAXED)
"""The kinds of geometry that have a row or a column each."""
DEMANDED = 0.85
"""Share of each group and kind of geometry for which intervals should hold."""
_GROUPS = messages(
    {
        "all": "all",
        "small": "6 heavy atoms or fewer",
        "9": "9 heavy atoms",
        "fluorine": "with fluorine",
        "nn": "with N bonded to N",
        "oo": "with O bonded to O",
        "rings": "three rings or more",
        "zwitterions": "zwitterions",
    }
)
_COLOURS = dict(
    zip(SHOWN, ((style.BLUE, "o"), (style.ORANGE, "s"), (style.GREEN, "^"), (style.VERMILION, "v")), strict=True)
)
ASKED = {MMFF: (45.0, 25.0), "xtb": (60.0, None), RELAXED: (30.0, None)}
"""meV: mean and median absolute errors that were asked for before the networks were taught, None for none."""


def tested(errors: pd.DataFrame, intervals: Intervals) -> pd.DataFrame:
    """The errors of the test part that have an interval.

    `half_width` of it and `off`, how far the truth lies from its middle, eV; `inside`, whether it holds.
    """
    known = errors[(errors["part"] == "test") & told(errors, intervals.scales)].reset_index(drop=True)
    scale = scales_of(known, intervals.scales)
    unit = known["spread"].astype(float) + scale["floor"]
    return known.assign(
        half_width=unit * (scale["high"] - scale["low"]) / 2,
        off=(known["error"].astype(float) - unit * (scale["high"] + scale["low"]) / 2).abs(),
        inside=inside(known, intervals.scales),
    )


def table(errors: pd.DataFrame, intervals: Intervals, *, lang: str) -> style.WordTable:
    """A row per kind of geometry: errors of the test part, the models' spread, and what the intervals are worth."""
    known, rows = tested(errors, intervals), {}
    for kind in SHOWN:
        every = errors[(errors["part"] == "test") & (errors["geometry"] == kind)]
        of_kind = known[known["geometry"] == kind]
        size, half = every["error"].abs(), of_kind["half_width"].median()
        rows[say(KIND_NAMES[kind], lang)] = {
            say("Molecules", lang): style.number(len(every), lang),
            say("MAE (meV)", lang): style.number(style.MEV * size.mean(), lang, 1),
            say("Median error (meV)", lang): style.number(round(style.MEV * every["error"].median(), 1) + 0.0, lang, 1),
            say("Median spread (meV)", lang): style.number(style.MEV * every["spread"].median(), lang, 1),
            say("Half of the interval, median (meV)", lang): style.number(style.MEV * half, lang),
            say("It holds for", lang): style.percent(of_kind["inside"].mean(), lang, 1),
            say("No interval", lang): style.percent(1 - len(of_kind) / len(every), lang, 1),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Geometry", lang))


def tuned(records: Arms[Record], *, lang: str) -> style.WordTable:
    """A row per run that was taught other geometries: its mean absolute error over the test part, by kind (meV)."""
    rows = {}
    for record in records["mixed"]:
        test = record.errors[record.errors["test"]]
        size = style.MEV * test["error"].abs()
        by_source = size.groupby(sources(test["index"].to_numpy())).mean()
        rows[style.number(record.config.seed, lang)] = {
            say(KIND_NAMES[kind], lang): style.number(by_source.get(source, np.nan), lang, 1)
            for kind, source in (("dft", "qm9"), ("xtb", "gfn2-xtb"), (MMFF, "mmff94"))
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Seed", lang))


def taught(errors: pd.DataFrame, *, lang: str) -> style.WordTable:
    """A row per kind of geometry but QM9's: errors of the test part by the networks that have seen such, and not.

    Beside them what was asked for, where something was.
    """
    rows = {}
    for kind in (*SHOWN[1:], UNKNOWN):
        before, now = (_absolute(errors, kind, column) for column in ("untaught", "error"))
        asked = [style.number(one, lang) if one else "–" for one in ASKED.get(kind, (None, None))]
        rows[say(KIND_NAMES[kind], lang)] = {
            say("MAE, not taught (meV)", lang): style.number(before.mean(), lang, 1),
            say("MAE (meV)", lang): style.number(now.mean(), lang, 1),
            say("MAE asked for (meV)", lang): asked[0],
            say("Median, not taught (meV)", lang): style.number(before.median(), lang, 1),
            say("Median (meV)", lang): style.number(now.median(), lang, 1),
            say("Median asked for (meV)", lang): asked[1],
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Geometry", lang))


def _absolute(errors: pd.DataFrame, kind: str, column: str = "error") -> pd.Series:
    """Absolute errors of the test part at a kind of geometry, meV."""
    return style.MEV * errors.loc[(errors["part"] == "test") & (errors["geometry"] == kind), column].abs()


def taught_facts(records: Sequence[Record], errors: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The numbers of the prose on networks for other geometries; the same keys in both languages.

    `epochs`, that each was taught; by kind of geometry `before_…` and `mae_…`, `before_median_…` and `median_…` (meV),
    `asked_…` and `asked_median_…`, and whether that is met, `met_…` and `met_median_…`; `stereo`, the mean error (meV)
    of their mean for the held-out test molecules that a record has as conformers, which have the stereochemistry of
    QM9's geometry.
    """
    test = held_out_errors(records)[:, records[0].errors["test"].to_numpy()].mean(axis=0)
    index = records[0].errors["index"].to_numpy()[records[0].errors["test"].to_numpy()]
    found = {
        "epochs": style.number(records[0].config.training.epochs, lang),
        "stereo": style.number(style.MEV * np.abs(test[sources(index) == "mmff94"]).mean(), lang),
    }
    for kind in (*SHOWN[1:], UNKNOWN):
        before, now = (_absolute(errors, kind, column) for column in ("untaught", "error"))
        mean, median = ASKED.get(kind, (None, None))
        found |= {
            f"before_{kind}": style.number(before.mean(), lang),
            f"mae_{kind}": style.number(now.mean(), lang),
            f"before_median_{kind}": style.number(before.median(), lang),
            f"median_{kind}": style.number(now.median(), lang),
            f"asked_{kind}": style.number(mean, lang) if mean else "–",
            f"asked_median_{kind}": style.number(median, lang) if median else "–",
            f"met_{kind}": _met(now.mean(), mean, lang),
            f"met_median_{kind}": _met(now.median(), median, lang),
        }
    return found


def _met(value: float, asked: float | None, lang: str) -> str:
    return say("it is met", lang) if asked is None or value <= asked else say("it is not met", lang)


def groups(molecules: Molecules) -> dict[str, np.ndarray]:
    """Which molecules are of each group: bool [n], by the group's key."""
    heavy = molecules.heavy_atoms
    found = structure(molecules)
    read = [Chem.MolFromSmiles(smiles) for smiles in molecules.smiles.tolist()]

    def holds(pattern: str) -> np.ndarray:
        query = Chem.MolFromSmarts(pattern)
        return np.array([one.HasSubstructMatch(query) for one in read])

    return {
        "all": np.ones(len(molecules), bool),
        "small": heavy <= 6,
        "9": heavy == 9,
        "fluorine": molecules.element_counts((9,))[:, 0] > 0,
        "nn": holds("[#7]~[#7]"),
        "oo": holds("[#8]~[#8]"),
        "rings": found["rings"].to_numpy() >= 3,
        "zwitterions": found["zwitterion"].to_numpy() == 1,
    }


def by_group(errors: pd.DataFrame, intervals: Intervals, molecules: Molecules, *, lang: str) -> style.WordTable:
    """How often the intervals hold, by group of test molecules and kind of geometry, with how many molecules.

    `molecules` is the whole database. A share of fewer than `LEAST` molecules is left out.
    """
    known = tested(errors, intervals)
    rows = {
        say(_GROUPS[name], lang): {say(KIND_NAMES[kind], lang): cell for kind, cell in cells.items()}
        for name, cells in _cells(known, _members(known, molecules), lambda *one: _cell(*one, lang)).items()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Test molecules", lang))


def _members(known: pd.DataFrame, molecules: Molecules) -> dict[str, np.ndarray]:
    """QM9's indices of those of some errors' molecules that are of each group."""
    chosen = molecules.select(np.flatnonzero(np.isin(molecules.index, known["index"])))
    return {name: chosen.index[members] for name, members in groups(chosen).items()}


def _cells[Cell](
    known: pd.DataFrame, members: dict[str, np.ndarray], cell: Callable[[int, int], Cell]
) -> dict[str, dict[str, Cell]]:
    """By group and kind, what `cell` makes of how many intervals hold, of how many."""
    found: dict[str, dict[str, Cell]] = {}
    for name, indices in members.items():
        of_group = known[known["index"].isin(indices)]
        counted = of_group.groupby("geometry")["inside"].agg(["sum", "size"]).reindex(list(SHOWN), fill_value=0)
        found[name] = {kind: cell(int(row["sum"]), int(row["size"])) for kind, row in counted.iterrows()}
    return found


def _share(holding: int, number: int) -> float:
    return holding / number if number >= LEAST else np.nan


def _cell(holding: int, number: int, lang: str) -> str:
    if number < LEAST:
        return "–"
    return f"{style.percent(holding / number, lang)} ({style.number(number, lang)})"


def facts(errors: pd.DataFrame, intervals: Intervals, molecules: Molecules, *, lang: str) -> dict[str, str]:
    """The numbers that the book's prose quotes; the same keys in both languages.

    `level`; `drawn`, how many the figure shows; of each kind of geometry `mae_…`, `spread_…` (median), `half_…` (of the
    interval, median), meV, and `holds_…`; `least_holds_…`, the smallest share among groups of at least `LEAST`
    molecules, and `least_group_…`; `alike_fluorine_…` and `alike_rings_…`, for which share of these groups intervals
    would hold with one pair of quantiles for all molecules. `short` are the groups, with their kinds of geometry, of
    which a share of less than `demanded` holds.
    """
    known = tested(errors, intervals)
    members = _members(known, molecules)
    shares = _cells(known, members, _share)
    alike = errors.assign(taxon="all")
    same = intervals.model_copy(update={"scales": calibrated(alike)})
    before = _cells(tested(alike, same), members, _share)
    short = [
        f"{say(_GROUPS[name], lang)}, {say(KIND_NAMES[kind], lang)} ({style.percent(share, lang, 1)})"
        for name, cells in shares.items()
        for kind, share in cells.items()
        if share < DEMANDED
    ]
    found = {
        "level": style.percent(intervals.level, lang),
        "drawn": style.number(DRAWN, lang),
        "demanded": style.percent(DEMANDED, lang),
        "short": "; ".join(short) or say("none", lang),
    }
    for kind in SHOWN:
        every = errors[(errors["part"] == "test") & (errors["geometry"] == kind)]
        of_kind = known[known["geometry"] == kind]
        least = min((cells[kind], name) for name, cells in shares.items() if not np.isnan(cells[kind]))
        found |= {
            f"mae_{kind}": style.number(style.MEV * every["error"].abs().mean(), lang, 1 if kind == "dft" else 0),
            f"spread_{kind}": style.number(style.MEV * every["spread"].median(), lang),
            f"half_{kind}": style.number(style.MEV * of_kind["half_width"].median(), lang),
            f"holds_{kind}": style.percent(of_kind["inside"].mean(), lang, 1),
            f"least_holds_{kind}": style.percent(least[0], lang),
            f"least_group_{kind}": say(_GROUPS[least[1]], lang),
            f"alike_fluorine_{kind}": style.percent(before["fluorine"][kind], lang),
            f"alike_rings_{kind}": style.percent(before["rings"][kind], lang),
        }
    return found


def errors_and_intervals(errors: pd.DataFrame, intervals: Intervals, *, lang: str) -> style.BookFigure:
    """How far the true energy of test molecules lies from the middle of their interval, against half of that.

    `DRAWN` molecules are drawn at random, the same ones for each kind of geometry.
    """
    known = tested(errors, intervals)
    known, about = known[known["geometry"].isin(SHOWN)], intervals.about
    every_kind = known["index"].value_counts()
    common = np.sort(every_kind.index[every_kind == len(SHOWN)])
    drawn = np.random.default_rng(0).permutation(common)[:DRAWN]
    known = known[known["index"].isin(drawn)]
    alt = mark(
        "Four plots on log scales, one per kind of geometry: distances from the middle of the interval against half "
        "of it. Nine in ten points lie below the diagonal; with the database’s own geometries they reach down to "
        "tenths of a meV, with the other kinds most lie between ten and a hundred."
    )
    data = pd.DataFrame(
        {
            "geometry": known["geometry"],
            "qm9_index": known["index"],
            "error_meV": (style.MEV * known["error"].astype(float)).round(2),
            "off_the_middle_meV": (style.MEV * known["off"]).round(2),
            "half_interval_meV": (style.MEV * known["half_width"]).round(2),
            "run": np.where(known["geometry"] == DFT, *map(" ".join, (about.models, about.approximate))),
        }
    )
    with style.figure(say(alt, lang), data, height=6.4) as figure:
        for axes, kind in zip(figure.subplots(2, 2, sharex=True, sharey=True).ravel(), SHOWN, strict=True):
            of_kind = data[data["geometry"] == kind]
            colour, marker = _COLOURS[kind]
            size = of_kind["off_the_middle_meV"].clip(lower=0.1)
            axes.plot(
                of_kind["half_interval_meV"], size, marker, color=colour, markersize=2, alpha=0.3, rasterized=True
            )
            axes.plot([1, 3e3], [1, 3e3], "--", color=style.BLACK, linewidth=1)
            axes.set_title(say(KIND_NAMES[kind], lang), fontsize=10)
            for which in ("x", "y"):
                style.log_axis(axes, lang, which, every=1)
        figure.supxlabel(say("Half of the interval (meV)", lang), fontsize=11)
        figure.supylabel(say("Distance from its middle (meV)", lang), fontsize=11)
    return figure
