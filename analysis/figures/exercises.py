"""The answers to the chapters' exercises, each from the data that stand as a CSV file under a figure.

A function per chapter: it takes the data of figures (`style.BookFigure.data`) and gives the numbers of the solutions as
the language writes them, the same keys in both.
"""

import numpy as np
import pandas as pd

from analysis.data import thesis
from analysis.evaluation.prediction_intervals import MMFF
from analysis.figures import style
from analysis.figures.published import CHEMICAL_ACCURACY
from analysis.study import RECIPE


def state_of_the_art(sizes: pd.DataFrame, shares: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The part of QM9 within one atom of the most frequent sizes, 17 to 19; and fluorine's most frequent size."""
    middle = sizes.loc[sizes["n_atoms"].between(thesis.LARGE, thesis.CROSSOVER), "molecules"].sum()
    fluorine = shares[shares["element"] == "F"].set_index("n_atoms")["share_of_row"]
    return {
        "middle": style.percent(middle / sizes["molecules"].sum(), lang),
        "fluorine": style.number(fluorine.idxmax(), lang),
    }


def hyperparameters(first: pd.DataFrame, second: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How much larger the median error is with the largest batch than with the smallest; the best trial's features."""
    medians = first.groupby("batch_size")["validation_mse_eV2"].median()
    best = second.sort_values("validation_mse_eV2").iloc[0]
    return {
        "batches": style.number(medians.iloc[-1] / medians.iloc[0], lang, 1),
        "features": style.number(best["n_atom_basis"], lang),
    }


def baseline(curves: pd.DataFrame, by_size: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The first epoch at which the mean validation loss is at most the report's error; sizes with ten times the error.

    These are the sizes whose error with their own mean is more than ten times that of held-out molecules.
    """
    losses = curves.groupby("epoch")["validation_loss_eV2"].mean()
    means = by_size.groupby("n_atoms")[["mse_held_out_eV2", "mse_as_reported_eV2"]].mean()
    return {
        "epoch": style.number(losses.index[losses <= thesis.MSE["default"]][0], lang),
        "sizes": style.number(sum(means["mse_as_reported_eV2"] > 10 * means["mse_held_out_eV2"]), lang),
    }


def balancing(sizes: pd.DataFrame, spread: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The part of the molecules of 18 atoms that the strictest cap leaves; its seeds evener than any at random.

    Series stand in the order of the figures: the whole part, then the strictest cap and its random control.
    """
    whole, capped = _series(sizes, 0), _series(sizes, 1)
    of_18 = [each.loc[each["n_atoms"] == thesis.LARGE + 1, "training_molecules"].iloc[0] for each in (capped, whole)]
    ours, random = (_series(spread, place)["spread_held_out"] for place in (1, 2))
    return {
        "left": style.percent(of_18[0] / of_18[1], lang),
        "even": style.number(sum(ours < random.min()), lang),
    }


def loss_modification(weights: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The report's r: the weight by size at the largest size over that at the smallest; where the other exceeds 1."""
    strongest = weights[weights["rate"] == thesis.BEST_RATE].set_index("n_atoms")
    by_size, by_both = (strongest.loc[strongest["weighting"] == name, "weight"] for name in ("size", "size-frequency"))
    smallest, largest = thesis.MODIFIED_SIZES
    return {
        "times": style.number(by_size[largest] / by_size[smallest], lang),
        "from": style.number(by_both.index[by_both > 1].min(), lang),
    }


def directed_training(by_size: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Directed training with as many updates against the whole part: its error at 10 atoms, its better seeds at 20.

    Series stand in the figure's order: the whole part, the large molecules, the random control, and both for longer.
    """
    whole, longer = _series(by_size, 0), _series(by_size, 3)
    smallest, boundary = thesis.COMMON_SIZES[0], thesis.CROSSOVER + 1
    of_smallest = [each.loc[each["n_atoms"] == smallest, "mse_held_out_eV2"].mean() for each in (longer, whole)]
    ours, theirs = (each[each["n_atoms"] == boundary].set_index("seed")["mse_held_out_eV2"] for each in (longer, whole))
    return {
        "times": style.number(of_smallest[0] / of_smallest[1], lang),
        "seeds": style.number(sum(ours < theirs.reindex(ours.index)), lang),
        "of": style.number(len(ours), lang),
    }


def final_comparison(learning: pd.DataFrame, steps: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Default's largest errors of a batch over its smallest, at the end; the largest factor of a change.

    Series stand in the figures' order: Default comes first, and the last of the steps is no change but more updates.
    """
    last = _series(learning, 0).iloc[-1]
    means = [_series(steps, place)["mse_eV2"].mean() for place in range(steps["series"].nunique() - 1)]
    return {
        "quotient": style.number(float(f"{last['highest_eV2'] / last['lowest_eV2']:.1g}"), lang),
        "factor": style.number(max(np.divide(means[1:], means[:-1])), lang, 1),
    }


def artefact(terms: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Where Custom's error with own means is smallest, and how far that size's mean is from Default's training's."""
    default, custom = (terms[terms["series"] == name] for name in ("Default", "Custom"))
    best = custom.groupby("n_atoms")["as_reported_eV2"].mean().idxmin()
    shift = default.loc[default["n_atoms"] == best, "shift_eV_per_atom"].mean()
    return {"best": style.number(best, lang), "shift": style.number(1e3 * abs(shift), lang)}


def error_drivers(by_size: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How many times larger two errors are at the smallest size that the report shows than at the largest."""
    errors = {"root": np.sqrt(by_size["mse_eV2"]), "median": by_size["median_error_eV"]}
    means = {name: values.groupby(by_size["n_atoms"]).mean() for name, values in errors.items()}
    smallest, largest = thesis.COMMON_SIZES[0], thesis.COMMON_SIZES[-1]
    return {name: style.number(of[smallest] / of[largest], lang, 1) for name, of in means.items()}


def large_molecules(trade_off: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The remedies better than none on both sides; what directed training, the second of them, costs the others."""
    sides = [f"mse_{side}_{thesis.LARGE}_atoms_eV2" for side in ("up_to", "above")]
    means = trade_off.groupby("series", sort=False)[sides].mean()
    none, directed = means.iloc[0], means.iloc[1]
    return {
        "both": style.number((means < none).all(axis=1).sum(), lang),
        "cost": style.number(directed[sides[0]] / none[sides[0]], lang, 1),
    }


def beyond_recipe(way: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The first row, Default, against the last change: how much smaller its error, how much longer its training."""
    means = way.groupby("series", sort=False)[["validation_mae_meV", "minutes"]].mean()
    first, last = means.iloc[0], means.iloc[len(RECIPE)]
    return {
        "error": style.number(first["validation_mae_meV"] / last["validation_mae_meV"], lang),
        "time": style.number(last["minutes"] / first["minutes"], lang, 1),
    }


def predictions(curves: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Where Default's error with own means is within a tenth of what the data alone predict; fluorine's predicted part.

    Default's is the first of the figure's series.
    """
    default = _series(curves, 0)
    both = ["predicted_eV2", "mse_as_reported_eV2"]
    by_size, by_element = (default.groupby(group)[both].mean() for group in ("n_atoms", "element"))
    off = by_size["mse_as_reported_eV2"] / by_size["predicted_eV2"] - 1
    return {
        "close": style.number(sum(off.abs() < 0.1), lang),
        "sizes": style.number(len(off), lang),
        "fluorine": style.percent(by_element.loc["F", both[0]] / by_element.loc["F", both[1]], lang),
    }


def model_card(shown: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How many conformers lie in their interval; its median width over that at QM9's own geometries."""
    conformers = shown[shown["geometry"] == MMFF]
    medians = shown.groupby("geometry")["half_interval_meV"].median()
    return {
        "holds": style.percent((conformers["off_the_middle_meV"] <= conformers["half_interval_meV"]).mean(), lang, 1),
        "wider": style.number(medians[MMFF] / medians["dft"], lang),
    }


def preregistration(drifts: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """What drift alone makes two seeds of Default, and of Beyond, differ in a molecule of 18 atoms, meV.

    Series stand in the figure's order: Default first, Beyond last.
    """
    per_atom = drifts.groupby("arm", sort=False)["per_atom_meV"]
    apart = (thesis.LARGE + 1) * (per_atom.max() - per_atom.min())
    return {"default": style.number(apart.iloc[0], lang), "beyond": style.number(apart.iloc[-1], lang, 1)}


def beyond(budget: pd.DataFrame, curve: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The quickest run below chemical accuracy, minutes; the power law between the last two numbers of molecules."""
    ours = budget[budget["run"].notna()]
    quick = ours.loc[ours["mae_meV"] < CHEMICAL_ACCURACY, "minutes"].min()
    mae = curve[curve["run"].notna()].groupby("molecules")["mae_meV"].mean()
    (few, many), (before, after) = mae.index[-2:], mae.iloc[-2:]
    return {
        "minutes": style.number(quick, lang, 1),
        "power": style.number(np.log(after / before) / np.log(many / few), lang, 2),
    }


def _series(data: pd.DataFrame, place: int) -> pd.DataFrame:
    """The rows of one of a figure's series, by its place."""
    return data[data["series"] == data["series"].unique()[place]]
