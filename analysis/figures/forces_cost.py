"""What an energy with its forces costs on one core: the reference beside tight binding and the networks.

Costs are a data frame with a row per repeat: `method` (see `METHODS`), `molecule`, `atoms`, and `seconds` of processor
time: `evaluation.cost.Costs.table`.
"""

import numpy as np
import pandas as pd
import scipy  # its statistics, which take half a second to import, come with their first use

from analysis.evaluation.verdicts.intervals import LEVEL
from analysis.figures import style
from analysis.figures.words import mark, messages, say

METHODS = messages(
    {
        "b3lyp": "B3LYP/6-31G(2df,p)",
        "b3lyp-fitted": "the same, densities fitted",
        "xtb": "GFN2-xTB",
        "schnetpack": "network, by SchNetPack",
        "network": "network, accelerated",
    }
)
"""From the dearest to the cheapest, as one expects it."""
_LOOKS = {
    "b3lyp": (style.BLACK, "o"),
    "b3lyp-fitted": (style.PURPLE, "s"),
    "xtb": (style.ORANGE, "^"),
    "schnetpack": (style.VERMILION, "v"),
    "network": (style.BLUE, "D"),
}
_DIGITS = 2  # of a time


def times(costs: pd.DataFrame) -> pd.DataFrame:
    """A row per method and molecule, the smallest first: the median of its `seconds`, and its `atoms`."""
    found = costs.groupby(["method", "molecule"], as_index=False).agg(atoms=("atoms", "first"), s=("seconds", "median"))
    order = {method: place for place, method in enumerate(METHODS)}
    found = found.sort_values(["atoms", "molecule"]).sort_values("method", key=lambda of: of.map(order), kind="stable")
    return found.rename(columns={"s": "seconds"}).reset_index(drop=True)


def growth(costs: pd.DataFrame) -> pd.DataFrame:
    """By method, `factor` c and `exponent` p of c·Nᵖ, by least squares in logarithms.

    `half` is half of the exponent's interval, by Student's t over molecules; infinite for two.
    """
    rows = {}
    for method, of_method in times(costs).groupby("method", sort=False):
        line = scipy.stats.linregress(np.log(of_method["atoms"]), np.log(of_method["seconds"]))
        freedom = len(of_method) - 2
        half = line.stderr * scipy.stats.t.ppf((1 + LEVEL) / 2, freedom) if freedom > 0 else np.inf
        rows[method] = {"factor": np.exp(line.intercept), "exponent": line.slope, "half": half}
    return pd.DataFrame.from_dict(rows, orient="index")


def cost(costs: pd.DataFrame, *, lang: str) -> style.BookFigure:
    """Seconds against atoms, a point per molecule and a line per method."""
    alt = mark(
        "Plot of the seconds that an energy with its forces takes on one core against the number of atoms, both on log "
        "scales: a point per molecule and a line per method, which are the density functional with and without fitted "
        "densities, tight binding, and a network by SchNetPack and accelerated."
    )
    data = times(costs)
    lines = growth(costs)
    with style.figure(say(alt, lang), data, height=4.4, legend=2) as figure:
        axes = figure.subplots()
        for method, of_method in data.groupby("method", sort=False):
            colour, marker = _LOOKS[method]
            name = say(METHODS[method], lang)
            axes.plot(of_method["atoms"], of_method["seconds"], marker, color=colour, markersize=5, label=name)
            ends = np.array([of_method["atoms"].min(), of_method["atoms"].max()])
            factor, exponent = lines.loc[method, ["factor", "exponent"]]
            axes.plot(ends, factor * ends**exponent, color=colour, linewidth=1)
        style.log_axis(axes, lang, "y", name=say("Seconds of one core", lang), ticks=(1.0,))
        style.log_axis(axes, lang, "x", name=say("Number of atoms", lang), ticks=(1.0, 2.0, 3.0, 5.0))
    return figure


def table(costs: pd.DataFrame, *, lang: str) -> style.WordTable:
    """A row per size: seconds by method, the mean of a size's molecules; the last row is how they grow."""
    by_size = times(costs).pivot_table(index="atoms", columns="method", values="seconds", sort=False).sort_index()
    lines = growth(costs)
    methods = [method for method in METHODS if method in by_size]
    rows = {
        style.number(atoms, lang): {say(METHODS[method], lang): _time(row[method], lang) for method in methods}
        for atoms, row in by_size.iterrows()
    }
    rows[say("Exponent of growth", lang)] = {
        say(METHODS[method], lang): f"{style.number(line['exponent'], lang, 1)} ± {style.number(line['half'], lang, 1)}"
        for method, line in lines.loc[methods].iterrows()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Seconds, by number of atoms", lang))


def facts(costs: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Every number that the prose quotes; the same keys in both languages.

    `cost_least` and `cost_most` atoms of the smallest and the largest molecules. By method, `cost_growth_…`, the
    exponent; `cost_small_…` and `cost_large_…`, seconds at these sizes by the line; `cost_times_…`, how many times the
    accelerated network's time that is for the largest.
    """
    lines, atoms = growth(costs), costs["atoms"]
    least, most = atoms.min(), atoms.max()
    small, large = (lines["factor"] * size ** lines["exponent"] for size in (least, most))
    found = {"cost_least": style.number(least, lang), "cost_most": style.number(most, lang)}
    for method in lines.index:
        name = method.replace("-", "_")
        found |= {
            f"cost_growth_{name}": style.number(lines.loc[method, "exponent"], lang, 1),
            f"cost_small_{name}": _time(small[method], lang),
            f"cost_large_{name}": _time(large[method], lang),
            f"cost_times_{name}": _time(large[method] / large.get("network", np.nan), lang),
        }
    return found


def _time(value: float, lang: str) -> str:
    if not np.isfinite(value):
        return style.number(value, lang)
    return style.plain_number(float(f"{value:.{_DIGITS}g}"), lang)
