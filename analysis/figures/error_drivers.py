"""Figures and tables of what drives the error, from the records that `analysis.evaluation.error_sources` makes.

Tables are data frames of strings, written as the language writes numbers. Those that compare the models take both
records, by the model's name.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator, MultipleLocator, NullLocator

from analysis.evaluation.error_sources import COMPARISONS, STRUCTURAL, TARGETS, ErrorSources
from analysis.figures import style
from analysis.figures.final_comparison import MODELS, NAMES
from analysis.figures.words import mark, messages, say

_LEAST = {"n_atoms": 30, "unsaturation": 50}  # molecules, for a point in a figure
_ATOMS = 3  # more, for a factor: a CH2 group has as many

_SIDES = {
    "rmse": (style.BLUE, "o", mark("root of the mean squared error")),
    "median": (style.VERMILION, "s", mark("median absolute error")),
    "per_atom": (style.GREEN, "D", mark("mean absolute error per atom")),
}
_SCORES = ((style.BLUE, "o"), (style.VERMILION, "s"))
_DECIMALS = {"distance": 1, "hydrogen_share": 2, "sp3_share": 2, "longest_bond": 2}
_LINE_WIDTH = 30  # characters
_JOINT = "\N{NO-BREAK SPACE}"  # keeps a name on one line
_POINT = ["value", "low", "high"]
_LINES = (style.BLACK, style.BLUE, style.GREEN, style.ORANGE, style.VERMILION, style.PURPLE)

_VALUES = messages({"heavy_atoms": "{value} heavy", "unsaturation": "unsaturation {value}"})
_FIXED = messages(
    {
        "nothing": "nothing",
        "heavy": "number of heavy atoms",
        "skeleton": "C, N, O and F:\nmore hydrogen",
        "saturation": "unsaturation, N, O and F:\nmore CH₂",
        "structure": "rings and bonds too:\nmore CH₂",
    }
)
_LOSSES = messages({"typical": "Loss of R²\n(log |e|)", "squared": "Loss of D²\n(e²)"})
_DESCRIPTORS = messages(
    {
        "n_atoms": "atoms",
        "heavy_atoms": "heavy atoms",
        "hydrogen_share": "share of H",
        "hydrogens": "hydrogens",
        "carbons": "carbons",
        "nitrogens": "nitrogens",
        "oxygens": "oxygens",
        "fluorines": "fluorines",
        "unsaturation": "unsaturation",
        "rings": "rings",
        "smallest_ring": "smallest ring",
        "three_rings": "3\N{NON-BREAKING HYPHEN}membered rings",
        "four_rings": "4\N{NON-BREAKING HYPHEN}membered rings",
        "shared_ring_atoms": "atoms in several rings",
        "aromatic_atoms": "aromatic atoms",
        "triple_bonds": "triple bonds",
        "sp3_share": "share of sp³ C",
        "hetero_bonds": "heteroatom bonds",
        "longest_bond": "most stretched bond",
        "zwitterion": "zwitterion",
        "distance": "distance to training",
        "rarest_environment": "rarest environment",
    }
)
_CLASSES = messages(
    {
        "zwitterions": "Zwitterions",
        "three_or_more_rings": "Three rings or more",
        "three_rings": "With a 3\N{NON-BREAKING HYPHEN}membered ring",
        "four_rings": "With a 4\N{NON-BREAKING HYPHEN}membered ring",
        "aromatic": "Aromatic",
        "triple_bonds": "With a triple bond",
        "hetero_bonds": "With bonded heteroatoms",
        "stretched_bond": "With a stretched bond",
        "fluorine": "With fluorine",
        "few_heavy_atoms": "Fewer than 9 heavy atoms",
        "infrequent_sizes": "Infrequent sizes",
        "farthest": "The farthest tenth",
        "rarest": "The tenth of rarest environments",
    }
)
_REASONS = messages(
    {
        "high": "{name}: {value} (highest {beyond})",
        "low": "{name}: {value} (lowest {beyond})",
        "zwitterions": "it is a zwitterion",
        "three_or_more_rings": "three rings or more",
        "three_rings": "a 3\N{NON-BREAKING HYPHEN}membered ring",
        "four_rings": "a 4\N{NON-BREAKING HYPHEN}membered ring",
        "aromatic": "it is aromatic",
        "triple_bonds": "a triple bond",
        "hetero_bonds": "bonded heteroatoms",
        "fluorine": "it holds fluorine",
        "few_heavy_atoms": "few heavy atoms",
    }
)


# ---- size


def errors_by_size(drivers: ErrorSources, *, lang: str) -> style.BookFigure:
    """Three errors by number of atoms, meV: RMSE, the median of |e|, and |e| per atom; a band over seeds."""
    table = drivers.sizes[drivers.sizes["molecules"] >= _LEAST["n_atoms"]]
    shown = {"rmse": np.sqrt(table["mse"]), "median": table["median"], "per_atom": table["per_atom"]}
    data = table.rename(columns={"mse": "mse_eV2", "median": "median_error_eV", "per_atom": "mean_error_per_atom_eV"})
    alt = mark(
        "Three errors by number of atoms on a log scale: the root of the mean squared error falls with size, the "
        "median absolute error falls less, and the error per atom falls steadily."
    )
    with style.figure(say(alt, lang), _with_runs(drivers, data), height=4.4, legend=1) as figure:
        axes = figure.subplots()
        for name, (colour, marker, said) in _SIDES.items():
            of_seeds = style.MEV * table.assign(error=shown[name]).pivot_table("error", "n_atoms", "seed")
            style.band(axes, of_seeds, color=colour, marker=marker, markersize=4, label=say(said, lang))
        style.size_axis(axes, lang, minor=None)
        style.log_axis(axes, lang, name=say("Error in meV", lang))
    return figure


def unsaturation(drivers: ErrorSources, *, lang: str) -> style.BookFigure:
    """MSE by degree of unsaturation with the number of heavy atoms fixed, and the other way round; bands over seeds."""
    table = drivers.unsaturation[drivers.unsaturation["molecules"] >= _LEAST["unsaturation"]]
    data = _with_runs(drivers, table.rename(columns={"mse": "mse_eV2"}))
    alt = mark(
        "Two plots of mean squared error on a log scale: on the left by degree of unsaturation, with a line per "
        "number of heavy atoms; on the right by number of heavy atoms, with a line per degree of unsaturation. On "
        "the left the lines climb; on the right they rise less."
    )
    with style.figure(say(alt, lang), data, height=4.6) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        _lines(left, table, "unsaturation", "heavy_atoms", lang, shown=sorted(table["heavy_atoms"].unique())[-3:])
        _lines(right, table, "heavy_atoms", "unsaturation", lang, shown=range(1, 6))
        left.set_ylabel(say("MSE (eV²)", lang))
        for axes in (left, right):
            axes.xaxis.set_major_locator(MultipleLocator(1))
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handlelength=1.4, columnspacing=1)
        style.log_axis(left, lang)
    return figure


def _lines(axes: Axes, table: pd.DataFrame, along: str, fixed: str, lang: str, *, shown: Sequence[float]) -> None:
    """A line per value of `fixed` that has more than one point."""
    of_values = {value: table[table[fixed] == value].pivot_table("mse", along, "seed") for value in shown}
    longer = [(value, seeds) for value, seeds in of_values.items() if len(seeds) > 1]
    for (value, seeds), colour, marker in zip(longer, _LINES, "osD^vP", strict=False):
        name = say(_VALUES[fixed], lang, value=style.plain_number(value, lang))
        style.band(axes, seeds, alpha=0.12, color=colour, marker=marker, markersize=4.5, label=name)
    axes.set_xlabel(say("Degree of unsaturation" if along == "unsaturation" else "Heavy atoms", lang))


def size_effects(drivers: Mapping[str, ErrorSources], *, lang: str) -> style.BookFigure:
    """The factor in the MSE for three atoms more, by what is held fixed; a point with its interval per model."""
    rows = list(COMPARISONS)
    factors = {
        model: of_model.size_effects.set_index(["target", "comparison"]).loc["squared"].loc[rows, _POINT] ** _ATOMS
        for model, of_model in drivers.items()
    }
    data = _of_models(drivers, factors, "factor_in_mse")
    alt = mark(
        "A point with an interval per model and comparison: the factor by which the mean squared error changes when "
        "the molecule has more atoms. For Default it lies below one if nothing or the heavy atoms are held fixed, "
        "and at one or above if unsaturation and heteroatoms are; for Custom it always lies below one."
    )
    with style.figure(say(alt, lang), data, height=3.9, legend=2) as figure:
        axes = _factors(figure, factors, _FIXED, lang, (0.4, 0.5, 0.7, 1, 1.4), right=1.45)
        axes.set_ylabel(say("Held fixed", lang))
        axes.set_xlabel(say("Factor in the MSE for {atoms} more atoms", lang, atoms=style.number(_ATOMS, lang)))
    return figure


# ---- descriptors


def correlations(drivers: ErrorSources, *, lang: str) -> style.BookFigure:
    """Spearman's correlation of each descriptor with each; those of a group stand together, in a frame."""
    grouped = drivers.about["groups"]
    order = [name for names in grouped for name in names]
    table = drivers.correlations.loc[order, order]
    names = [say(_DESCRIPTORS[name], lang) for name in order]
    data = _with_runs(drivers, table.rename_axis("descriptor").reset_index())
    alt = mark(
        "Heat map of the Spearman correlation of each descriptor with each of the others; those that go together "
        "form framed blocks of strong colour. The largest block is that of the number of atoms, hydrogen and "
        "unsaturation."
    )
    with style.figure(say(alt, lang), data, height=6.3) as figure:
        axes = figure.subplots()
        mesh = axes.pcolormesh(table.to_numpy(), vmin=-1, vmax=1, cmap="PuOr", edgecolors="white", linewidth=0.3)
        sizes = list(map(len, grouped))
        for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
            if size > 1:
                axes.add_patch(Rectangle((start, start), size, size, fill=False, edgecolor=style.BLACK, linewidth=1.5))
        places = np.arange(len(order)) + 0.5
        axes.set_xticks(places, names, rotation=90)
        axes.set_yticks(places, names)
        axes.tick_params(length=0)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.grid(visible=False)
        ticks = {"ticks": [-1, -0.5, 0, 0.5, 1], "format": style.number_axis(lang, 1)}
        name = say("Spearman correlation", lang)
        figure.colorbar(mesh, ax=axes, location="top", pad=0.02, aspect=40, label=name, **ticks)
    return figure


def importance(drivers: ErrorSources, *, lang: str) -> style.BookFigure:
    """What is lost when a group of descriptors is permuted, in the score for log |e| (left) and for e² (right)."""
    lost = {target: drivers.importance.loc[target].loc["permuted"] for target in TARGETS}
    groups = sorted(drivers.about["groups"], key=lambda members: -lost["squared"].loc[members[0], "value"])
    names = [_group_name(members, lang) for members in groups]
    # Rows as high as their names
    heights = np.array([0.6 + name.count("\n") for name in names])
    places = np.cumsum(heights) - heights / 2
    rows = drivers.importance.rename(columns={"value": "loss_of_score"}).reset_index()
    data = _with_runs(drivers, rows[rows["what"] == "permuted"].drop(columns="what"))
    alt = mark(
        "Two dot plots side by side with a row per group of descriptors: what is lost when the group is permuted, "
        "on the left for the typical error and on the right for the squared error, with intervals."
    )
    with style.figure(say(alt, lang), data, height=1.1 + 0.235 * heights.sum()) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (target, table), (colour, marker) in zip(panels, lost.items(), _SCORES, strict=True):
            _points(axes, places, table.loc[[members[0] for members in groups]], colour, marker, None)
            axes.axvline(0, color=style.BLACK, linewidth=1)
            axes.set_xlabel(say(_LOSSES[target], lang))
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(style.number_axis(lang, 2))
            axes.grid(visible=True, axis="x")
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(places, names)
        panels[0].set_ylim(heights.sum(), 0)
    return figure


def rank_table(drivers: ErrorSources, *, lang: str) -> pd.DataFrame:
    """A row per descriptor: Spearman's correlation with |e|, plain and with the other groups held fixed."""
    rows = {
        say(_DESCRIPTORS[row.Index], lang): {
            say("Correlation with |e|", lang): _interval(row.plain, row.plain_low, row.plain_high, lang, 2),
            say("Other groups held fixed", lang): _interval(row.partial, row.partial_low, row.partial_high, lang, 2),
        }
        for row in drivers.ranks.itertuples()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Descriptor", lang))


# ---- classes and the worst


def classes(drivers: Mapping[str, ErrorSources], *, lang: str) -> style.BookFigure:
    """The MSE of each class over that of all other molecules; a point with its interval per model."""
    rows = _by_ratio(next(iter(drivers.values())))
    ratios = {
        model: of_model.classes.rename(columns={"ratio": "value"}).loc[rows, _POINT]
        for model, of_model in drivers.items()
    }
    data = _of_models(drivers, ratios, "ratio_of_mse")
    alt = mark(
        "A point with an interval per class of molecules and model on a log scale: the mean squared error of the "
        "class over that of all others. Zwitterions lie far above everything else."
    )
    with style.figure(say(alt, lang), data, height=5.6, legend=2) as figure:
        axes = _factors(figure, ratios, _CLASSES, lang, (0.5, 1, 2, 5, 10, 20, 50))
        axes.set_xlabel(say("MSE over that of the rest", lang))
    return figure


def class_table(drivers: ErrorSources, *, lang: str) -> pd.DataFrame:
    """A row per class: molecules, what part of the molecules and of the squared error it is, and its MSE's ratio."""
    table = drivers.classes.loc[_by_ratio(drivers)]
    rows = {
        say(_CLASSES[row.Index], lang): {
            say("Molecules", lang): style.number(row.molecules, lang),
            say("Of the molecules", lang): style.percent(row.share, lang, 1),
            say("Of the squared error", lang): style.percent(row.share_of_error, lang, 1),
            say("Attributable error", lang): style.percent(row.attributable, lang, 1),
            say("MSE over that of the rest", lang): _ratio(row, lang),
        }
        for row in table.itertuples()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Class", lang))


def worst_table(drivers: ErrorSources, *, lang: str, reasons: int = 4) -> style.WordTable:
    """A row per worst-predicted molecule, by QM9 index and SMILES: atoms, error, and what is out of the ordinary.

    At most `reasons` of these. Errors are predicted − true U0, meV, mean ± standard deviation over seeds.
    """
    rows = {}
    for index, row in drivers.worst.iterrows():
        why = drivers.reasons[drivers.reasons["index"] == index].head(reasons)
        words = [_reason(reason, lang) for reason in why.itertuples()] or [say("nothing", lang)]
        error, deviation = (style.number(style.MEV * row[name], lang) for name in ("signed", "deviation"))
        rows[f"{index} {row['smiles']}"] = {
            say("Number of atoms", lang): style.number(row["n_atoms"], lang),
            say("Prediction − reference (meV)", lang): f"{error} ± {deviation}".replace(" ", "\N{NO-BREAK SPACE}"),
            say("What is out of the ordinary", lang): "; ".join(words),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("QM9 index and SMILES", lang))


def _reason(reason: Any, lang: str) -> str:
    if reason.kind == "class":
        return say(_REASONS[reason.name], lang)
    value = style.number(reason.value, lang, _DECIMALS.get(reason.name, 0))
    beyond = style.percent(reason.beyond, lang, 2 if reason.beyond < 0.001 else 1)
    return say(_REASONS[reason.kind], lang, name=say(_DESCRIPTORS[reason.name], lang), value=value, beyond=beyond)


def facts(drivers: Mapping[str, ErrorSources], *, lang: str) -> dict[str, str]:
    """Every number that the prose quotes, `default_…` and `custom_…`; the same keys in both languages.

    `part_…` are the shares of the squared error; `worst_…` what its worst 1 and 10 % of the molecules bear;
    `explained_…` what the trees explain of the typical error and of e², `explained_alone_…` what the number of atoms
    and what goes with it do by themselves, `explained_without_…` what is lost without them, `most_…` the group that
    matters most; `repeated` what a seed repeats of another's log |e|; `factor_…` the factors in the MSE for three atoms
    more; `rms_…` and `median_…` errors at the first and the last size that the report shows; `weak` is the weak group,
    and `of_worst_…` how many of the worst molecules a class holds.
    """
    found = {f"{model}_{key}": value for model, one in drivers.items() for key, value in _facts(one, lang).items()}
    first = next(iter(drivers.values())).about
    return found | {
        "seeds": style.number(len(first["runs"]), lang),
        "molecules": style.number(first["molecules"], lang),
        "descriptors": style.number(sum(map(len, first["groups"])), lang),
        "groups": style.number(len(first["groups"]), lang),
        "atoms": style.number(_ATOMS, lang),
    }


def _facts(drivers: ErrorSources, lang: str) -> dict[str, str]:
    about = drivers.about
    found = {f"part_{name}": _percents(row, lang) for name, row in drivers.parts.iterrows()}
    found |= {f"worst_{share.replace('0.', '')}": style.percent(v, lang) for share, v in about["worst_share"].items()}
    found |= {
        "repeated": style.percent(about["repeated"], lang),
        "mean_errors": ", ".join(style.number(style.MEV * value, lang) for value in about["mean_error"]),
        "training": style.number(about["training_molecules"], lang),
        "weak": say(_CLASSES[about["weak_group"]], lang).lower() if about["weak_group"] else say("none", lang),
    }
    names = {members[0]: _group_name(members, lang, wide=True) for members in about["groups"]}
    for target in TARGETS:
        of_target = drivers.importance.loc[target]
        found[f"explained_{target}"] = _percents(of_target.loc["score"].iloc[0], lang)
        for way in ("alone", "without"):
            found[f"explained_{way}_{target}"] = _percents(of_target.loc[way].loc["n_atoms"], lang)
        found[f"most_{target}"] = names[of_target.loc["permuted"]["value"].idxmax()]
    effects = drivers.size_effects.set_index(["target", "comparison"])[_POINT] ** _ATOMS
    found |= {f"factor_{target}_{name}": _interval(*row, lang, 2) for (target, name), *row in effects.itertuples()}
    sizes = drivers.sizes.groupby("n_atoms")[["mse", "median"]].mean()
    for size in (10, 25):
        found[f"rms_{size}"] = style.number(style.MEV * float(np.sqrt(sizes.loc[size, "mse"])), lang)
        found[f"median_{size}"] = style.number(style.MEV * float(sizes.loc[size, "median"]), lang)
    ranks = drivers.ranks.loc["n_atoms"]
    for way in ("plain", "partial"):
        found[f"{way}_n_atoms"] = _interval(ranks[way], ranks[f"{way}_low"], ranks[f"{way}_high"], lang, 2)
    for name, row in drivers.classes.iterrows():
        found[f"ratio_{name}"] = _ratio(row, lang)
        for share in ("share", "share_of_error", "attributable"):
            found[f"{share}_{name}"] = style.percent(row[share], lang, 1)
    of_worst = drivers.reasons.groupby("name")["index"].nunique()
    for name in (*STRUCTURAL, "longest_bond"):
        found[f"of_worst_{name}"] = style.number(of_worst.get(name, 0), lang)
    found["of_worst"] = style.number(len(drivers.worst), lang)
    found["of_worst_too_low"] = style.number((drivers.worst["signed"] < 0).sum(), lang)
    return found


def _with_runs(drivers: ErrorSources, table: pd.DataFrame) -> pd.DataFrame:
    """A table with the run of each row in front; a row of no single seed names all runs."""
    runs = {one["seed"]: one["id"] for one in drivers.about["runs"]}
    run = table["seed"].map(runs) if "seed" in table else " ".join(runs.values())
    return pd.concat([pd.DataFrame({"run": run}, index=table.index), table], axis=1).reset_index(drop=True)


def _of_models(drivers: Mapping[str, ErrorSources], tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """One table per model, one below the other, with model and runs in front, and `value` by its name."""
    rows = [
        _with_runs(drivers[model], table.rename(columns={"value": name}).reset_index().assign(model=model))
        for model, table in tables.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _by_ratio(drivers: ErrorSources) -> list[str]:
    return drivers.classes.sort_values("ratio", ascending=False).index.tolist()


def _group_name(members: Sequence[str], lang: str, *, wide: bool = False) -> str:
    """The names of a group's descriptors; in a figure, on lines of no more than `_LINE_WIDTH` characters."""
    names = ", ".join(say(_DESCRIPTORS[name], lang).replace(" ", _JOINT) for name in members)
    lines = [names] if wide else textwrap.wrap(names, _LINE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(_JOINT, " ")


def _factors(
    figure: Figure, tables: Mapping[str, pd.DataFrame], words: Mapping, lang: str, ticks: tuple, right: float = 0
) -> Axes:
    """Factors with their intervals on a log scale, a row each, downwards; in it a point per model, the first on top."""
    axes, rows = figure.subplots(), next(iter(tables.values())).index
    for place, (model, table) in enumerate(tables.items()):
        shift = 0.22 * (place - (len(tables) - 1) / 2)
        _points(axes, np.arange(len(rows)) + shift, table, *MODELS[model], say(NAMES[model], lang))
    axes.axvline(1, color=style.BLACK, linewidth=1)
    axes.set_yticks(range(len(rows)), [say(words[name], lang) for name in rows])
    if right:
        axes.set_xlim(right=right)  # before the scale: the other end stays where the points leave it
    style.log_axis(axes, lang, "x")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    return axes


def _points(axes: Axes, places: np.ndarray, table: pd.DataFrame, colour: str, marker: str, name: str | None) -> None:
    value = table["value"].to_numpy()
    bars = [value - table["low"].to_numpy(), table["high"].to_numpy() - value]
    axes.errorbar(value, places, xerr=bars, fmt=marker, color=colour, markersize=5, elinewidth=1.5, label=name)


def _ratio(row: Any, lang: str) -> str:
    return _interval(row.ratio, row.low, row.high, lang, 1 if row.ratio >= 10 else 2)


def _interval(value: float, low: float, high: float, lang: str, decimals: int) -> str:
    # + 0.0: no minus before a zero
    value, low, high = (style.number(round(each, decimals) + 0.0, lang, decimals) for each in (value, low, high))
    return f"{value}\N{NO-BREAK SPACE}({low}\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}{high})"


def _percents(row: pd.Series, lang: str) -> str:
    value, low, high = row[_POINT]
    low, high = (style.number(round(100 * each) + 0.0, lang) for each in (low, high))  # as in `_interval`
    return f"{style.percent(value, lang)}\N{NO-BREAK SPACE}({low}\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}{high})"
