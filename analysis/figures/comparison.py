"""Figures and tables of the final comparison: the model "Default" against the model "Custom".

Every function takes the records of `study.FinalComparisonParameters` and shows all seeds of both models.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from analysis import census, errors
from analysis.figures import baseline, style
from analysis.figures.labels import alt, label
from analysis.runs import Record

MODELS = MappingProxyType({"default": (style.ORANGE, "o"), "custom": (style.BLUE, "s")})
"""Colour, as in Figure 10 of the report, and marker."""


def by_model(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each model: "Default" are those that lie with the baseline."""
    found = {
        "default": [record for record in records if record.config.experiment == "baseline"],
        "custom": [record for record in records if record.config.experiment != "baseline"],
    }
    if missing := [name for name, of_model in found.items() if not of_model]:
        raise ValueError(f"a comparison needs records of both models; there are none of {', '.join(missing)}")
    return found


def summary(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """A row per model: general MSE over all held-out molecules and over the test part, and the time of a run."""
    rows = {
        label(name, lang): {
            label("mse_whole", lang): style.mean_and_deviation(_general(of_model), lang, 4),
            label("mse_test", lang): style.mean_and_deviation([_test(record) for record in of_model], lang, 4),
            label("minutes", lang): style.mean_and_deviation(
                [baseline.minutes(record) for record in of_model], lang, 1
            ),
        }
        for name, of_model in by_model(records).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=label("model", lang))


def facts(records: Sequence[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the final comparison quotes; the same keys in both languages.

    `better_…` are the sizes, among those that the report shows, at which Custom's mean MSE is the smaller one.
    """
    models = by_model(records)
    general = {name: float(np.mean(_general(of_model))) for name, of_model in models.items()}
    minutes = {name: float(np.mean([baseline.minutes(r) for r in of_model])) for name, of_model in models.items()}
    found = {
        "seeds": style.number(min(map(len, models.values())), lang),
        "mse_default": style.mean_and_deviation(_general(models["default"]), lang, 3),
        "mse_custom": style.mean_and_deviation(_general(models["custom"]), lang, 3),
        "mse_ratio": style.number(general["custom"] / general["default"], lang, 1),
        "minutes_default": style.number(minutes["default"], lang, 1),
        "minutes_custom": style.number(minutes["custom"], lang, 1),
        "minutes_ratio": style.percent(minutes["custom"] / minutes["default"], lang),
    }
    for protocol in baseline.PROTOCOLS:
        means = _means(models, protocol)
        better = means.index[means["custom"] < means["default"]]
        found[f"better_{protocol}"] = style.ranges(better, lang) or label("none", lang)
    return found


def error_by_size(records: Sequence[Record], *, lang: str) -> style.BookFigure:
    """MSE by number of atoms of both models (Figure 10 of the report), a plot per protocol; bands over seeds."""
    with style.figure(alt("final_comparison", lang), height=6.4) as figure:
        plots = figure.subplots(2, sharex=True)
        for axes, protocol in zip(plots, baseline.PROTOCOLS, strict=True):
            for name, of_model in by_model(records).items():
                colour, marker = MODELS[name]
                table = baseline.by_seed(of_model, "size", protocol).reindex(census.REPORT_COMMON_SIZES).dropna()
                lowest, highest = table.min(axis=1), table.max(axis=1)
                axes.fill_between(table.index, lowest, highest, color=colour, alpha=0.3, linewidth=0)
                axes.plot(table.mean(axis=1), f"{marker}-", color=colour, markersize=4, label=label(name, lang))
            axes.set_title(label(protocol, lang), fontsize=11)
            axes.set_ylabel(label("mse", lang))
            style.log_axis(axes, lang)
        plots[-1].set_xlabel(label("n_atoms", lang))
        plots[-1].xaxis.set_major_locator(MultipleLocator(2))
        plots[-1].xaxis.set_minor_locator(MultipleLocator(1))
        figure.legend(*plots[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _general(records: Sequence[Record]) -> list[float]:
    return [errors.mse(record.groups, "all").loc["all", "held_out"] for record in records]


def _test(record: Record) -> float:
    return float(np.mean(record.errors.loc[record.errors["test"], "error"].astype(float) ** 2))


def _means(models: Mapping[str, Sequence[Record]], protocol: str) -> pd.DataFrame:
    """Mean MSE over seeds per size, a column per model."""
    means = {name: baseline.by_seed(of_model, "size", protocol).mean(axis=1) for name, of_model in models.items()}
    return pd.DataFrame(means).reindex(census.REPORT_COMMON_SIZES).dropna()
