"""The answers to the chapters' exercises, from the CSV file under a figure or from what a rerun notebook shows.

A function per chapter: it takes the data of figures (`style.BookFigure.data`) or a notebook's table and gives the
numbers of the solutions as the language writes them, the same keys in both.
"""

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from analysis.data import thesis
from analysis.evaluation.force_claims import ARM
from analysis.evaluation.prediction_intervals import MMFF
from analysis.evaluation.verdicts.curves import LEAST_MOLECULES
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


def baseline(curves: pd.DataFrame, worst: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """The first epoch at which the mean validation loss is at most the report's error; index and formula of a molecule.

    It is the first of the table of the worst predictions (`structures.worst`).
    """
    losses = curves.groupby("epoch")["validation_loss_eV2"].mean()
    return {
        "epoch": style.number(losses.index[losses <= thesis.MSE["default"]][0], lang),
        "index": worst.index[0],
        "formula": worst.iloc[0, 0],
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
    """The report's r: the weight by size at the largest size over that at the smallest; from where the other is one.

    The other formula, by size and frequency, is negative or undefined below that size.
    """
    strongest = weights[weights["rate"] == thesis.BEST_RATE].set_index("n_atoms")
    by_size, by_both = (strongest.loc[strongest["weighting"] == name, "weight"] for name in ("size", "size-frequency"))
    smallest, largest = thesis.MODIFIED_SIZES
    return {
        "times": style.number(by_size[largest] / by_size[smallest], lang),
        "from": style.number(by_both.index[by_both >= 0].min(), lang),
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


def final_comparison(steps: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """Custom's error over Default's with each seed, the first one apart; the largest factor of a change.

    Series stand in the figure's order: Default comes first, Custom last but one, and then no change but more updates.
    """
    changes = [_series(steps, place).set_index("seed")["mse_eV2"] for place in range(steps["series"].nunique() - 1)]
    means = [of_seeds.mean() for of_seeds in changes]
    single, *others = (style.number(ratio, lang, 1) for ratio in changes[-1] / changes[0])
    return {
        "single": single,
        "others": style.listed(others, lang),
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


def confirmation(effects: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How much narrower H4's interval is at the settled end, with the same updates; how many claims' intervals are."""
    indexed = effects.set_index("claim")
    of_end = (indexed[indexed["end"] == end] for end in ("last", "settled"))
    last, settled = (each["high"] / each["low"] - 1 for each in of_end)
    times = last / settled
    return {
        "narrower": style.number(times["h4_same_updates"], lang, 1),
        "claims": style.number(sum(times > 1), lang),
        "of": style.number(len(times), lang),
    }


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


def forces(sizes: pd.DataFrame, elements: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How many times PaiNN's error at the worst size is that at the best; and on atoms of the worst element.

    Of the sizes, those of which at least `LEAST_MOLECULES` were held out; errors are means over seeds.
    """
    enough = sizes[sizes["held_out_molecules"] >= LEAST_MOLECULES]
    of_sizes, of_elements = (
        table[table["arm"] == ARM].groupby(group)["mae_meV_per_A"].mean()
        for table, group in ((enough, "n_atoms"), (elements, "atomic_number"))
    )
    return {
        "worst_size": style.number(of_sizes.idxmax(), lang),
        "times_size": style.number(of_sizes.max() / of_sizes.min(), lang, 1),
        "worst_element": chemical_symbols[of_elements.idxmax()],
        "times_element": style.number(of_elements.max() / of_elements.min(), lang, 1),
    }


def extrapolation(errors: pd.DataFrame, *, lang: str) -> dict[str, str]:
    """How much of the error above the limit is a mean error; the error within it, over that of as many at random.

    The first of "Default", the second of "Beyond"; means over seeds.
    """
    means = errors.groupby(["model", "trained_on", "heavy_atoms"])[["mae_meV", "mean_error_meV"]].mean()
    within, above = sorted(errors["heavy_atoms"].unique())
    default, few, random = (
        means.loc[key] for key in (("default", "few", above), *(("beyond", each, within) for each in ("few", "random")))
    )
    return {
        "biased": style.percent(abs(default["mean_error_meV"]) / default["mae_meV"], lang),
        "within": style.number(few["mae_meV"] / random["mae_meV"], lang, 2),
    }


def _series(data: pd.DataFrame, place: int) -> pd.DataFrame:
    """The rows of one of a figure's series, by its place."""
    return data[data["series"] == data["series"].unique()[place]]
