"""The error of the model "Beyond" against the number of molecules that it was trained on.

Every function takes the records of `study.LearningCurveParameters`. Errors are those of the test part.
"""

import numpy as np
import pandas as pd
from scipy import stats

from analysis.figures import baseline, published, style
from analysis.figures.beyond import LOOK, error_axis, mev, scores, whole_or_tenths
from analysis.figures.words import mark, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

_COLOURS = (style.PURPLE, style.BLUE, style.ORANGE, style.SKY, style.VERMILION)  # of published models
_MARKERS = "so^vP"


def summary(records: Arms[Record], *, lang: str) -> pd.DataFrame:
    """A row per number of training molecules: epochs, and errors over the test part, over seeds."""
    rows = {}
    for number, of in _by_number(records).items():
        rows[style.number(number, lang)] = {say("Epochs", lang): style.number(of[0].config.training.epochs, lang)} | {
            name: style.mean_and_deviation(values, lang, 1) for name, values in scores(of, lang).items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Training molecules", lang))


def curve(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """Mean absolute error over the test part against training molecules: a point per run, and published models.

    Published models are those with several numbers of training molecules in `published.POINTS`.
    """
    ours = baseline.of_runs(
        records.runs, lambda record: {"molecules": [record.about["molecules"]["train"]], "mae_meV": mev([record])}
    ).sort_values(["molecules", "seed"], ignore_index=True)
    theirs = {name: points for name, points in published.by_model().items() if len(points) > 1}
    data = pd.concat([ours, *theirs.values()], keys=[say("Beyond", lang), *theirs], names=["series"])
    data = data.reset_index("series")
    colour, marker = LOOK
    alt = mark(
        "Plot of the mean absolute error against the number of training molecules, both on log scales, beside "
        "published models: it falls and crosses the line of chemical accuracy."
    )
    with style.figure(say(alt, lang), data, height=4.6, legend=3) as figure:
        axes = figure.subplots()
        axes.plot(ours.groupby("molecules")["mae_meV"].mean(), color=colour, linewidth=1)
        axes.plot(ours["molecules"], ours["mae_meV"], marker, color=colour, label=say("Beyond", lang))
        for (name, points), colour, marker in zip(theirs.items(), _COLOURS, _MARKERS, strict=True):
            look = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1, "linestyle": ":"}
            axes.plot(points["molecules"], points["mae_meV"], label=name, **look)
        look = {"color": style.BLACK, "linestyle": "--", "linewidth": 1}
        axes.axhline(published.CHEMICAL_ACCURACY, label=say("chemical accuracy", lang), **look)
        style.log_axis(axes, lang, "x", name=say("Training molecules", lang), ticks=(1.0, 2.0, 5.0))
        error_axis(axes, lang)
    return figure


def facts(records: Arms[Record], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the learning curve quotes; the same keys in both languages.

    `curve_mae_…` is the mean absolute error over the test part (meV) with so many training molecules, `curve_epochs_…`
    the epochs that it took; `curve_whole` is the largest number, with `curve_mae_whole`. By least squares on logarithms
    the error falls with the power `curve_power` of the number (Cortes, Jackel, Solla, Vapnik and Denker, Learning
    Curves: Asymptotic Values and Rate of Convergence, NeurIPS 6, 1993), by `curve_doubled` with twice as many; "–" for
    a single number. `curve_accurate` is the smallest number below chemical accuracy, "–" if none is.
    """
    by_number = _by_number(records)
    means = {number: float(np.mean(mev(of))) for number, of in by_number.items()}
    accurate = [number for number, mean in means.items() if mean < published.CHEMICAL_ACCURACY]
    whole = max(means)
    found = {
        "curve_seeds": style.number(min(len(of) for of in by_number.values()), lang),
        "curve_whole": style.number(whole, lang),
        "curve_mae_whole": style.number(means[whole], lang, 1),
        "curve_power": "–",
        "curve_doubled": "–",
        "curve_accurate": style.number(accurate[0], lang) if accurate else "–",
    }
    if len(means) > 1:
        power = stats.linregress(np.log(list(means)), np.log(list(means.values()))).slope
        found["curve_power"], found["curve_doubled"] = style.number(power, lang, 2), style.percent(1 - 2**power, lang)
    for number, of in by_number.items():
        found[f"curve_mae_{number}"] = whole_or_tenths(means[number], lang)
        found[f"curve_epochs_{number}"] = style.number(of[0].config.training.epochs, lang)
    return found


def _by_number(records: Arms[Record]) -> dict[int, list[Record]]:
    return {arm.value: of for arm, of in records.of("molecules").items()}
