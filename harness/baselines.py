"""What less than a neural network reaches on the study's split: numbers that put the networks' errors in proportion.

``python -m harness.baselines`` computes and records, in this order:

- ``composition``: an energy per element, by least squares.
- ``pairs``: ridge regression on how many pairs of each two elements lie at each distance.
- ``fchl19``: kernel ridge regression with local Gaussian kernels of FCHL19 representations (Christensen, Bratholm,
  Faber and von Lilienfeld, J. Chem. Phys. 152, 044107 (2020)), which qmllib computes.
- ``xtb``: GFN2-xTB (Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019)), by tblite: its energy of
  atomisation as it is, without zero-point vibrations; and ``xtb-corrected``, with an energy per element fitted to what
  it leaves.

Widths and regularisations are chosen on molecules of the validation part. The test part is looked at once, with what
was chosen: all of it by the first two, `TESTED` molecules drawn from it by the others.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import ase.units
import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy import linalg, sparse, stats
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import euclidean_distances

from analysis.data import offsets, qm9, splits
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.evaluation import accuracy
from analysis.figures import beyond, final_comparison, style
from analysis.figures.words import mark, messages, say
from analysis.runs import checkout, measured, records
from analysis.runs.records import Record
from harness.kept import ForeignError, Kept
from harness.machine import Machine

TESTED, VALIDATED = 1000, 500
"""Molecules of the test and of the validation part that the slow methods predict."""
DRAWS = (0, 1, 2)
KERNEL_MOLECULES = (250, 500, 1000, 2000, 4000)
"""Training molecules of the kernel; the fewer are the first of the more."""
XTB_MOLECULES = 1000
"""Training molecules that the energies per element beside GFN2-xTB are fitted on."""
WIDTHS = tuple(32.0 / 2**halved for halved in range(5))
"""Of the kernel's Gaussians, each half the one before."""
REGULARISATIONS = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)
PENALTIES = (1e-2, 1e-1, 1.0, 10.0, 100.0)
ELEMENTS = (1, 6, 7, 8, 9)

_DISTANCES = np.arange(0.7, 8.01, 0.1)  # Å, edges of the bins
_KINDS = np.zeros((len(ELEMENTS), len(ELEMENTS)), int)  # a number for each two elements, the first before the second
_KINDS[np.triu_indices(len(ELEMENTS))] = range(15)
_ROWS = 50  # molecules of a kernel's rows in one go: its atoms' part takes some 10 MB for each
_Z = float(stats.norm.ppf(0.975))  # standard errors to either side in 95 % of samples
_PACKAGES = ("numpy", "scikit-learn", "scipy", "qmllib", "tblite")
_NAMES = messages(
    {
        "composition": "Composition alone",
        "pairs": "Pair distances",
        "fchl19": "Kernel with FCHL19",
        "xtb": "GFN2-xTB as it is",
        "xtb-corrected": "GFN2-xTB with an energy per element",
        "default": "Default",
        "beyond": "Beyond",
    }
)


class Baseline(measured.Frozen):
    """One method on one draw of training molecules: errors over `tested` molecules of the test part, eV.

    `standard_error` is that of the mean absolute error, from the choice of these molecules; `chosen` has the settings
    that the validation part chose.
    """

    method: str
    draw: NonNegativeInt
    molecules: NonNegativeInt
    tested: PositiveInt
    mae: PositiveFloat
    standard_error: NonNegativeFloat
    rmse: PositiveFloat
    chosen: dict[str, float] = Field(default_factory=dict)


class Baselines(measured.Frozen):
    """The record of all of them; `split_fingerprint` says on which split, as the runs' records do."""

    split_fingerprint: str
    machine: Machine
    git: measured.Git | None
    versions: dict[str, str]
    results: tuple[Baseline, ...]


class BaselinesError(UserError, RuntimeError):
    """There is no record of the baselines, or it was damaged, or is in the way; the message names the file."""


def default_path() -> Path:
    """Where the record lies."""
    return records.results_folder() / "baselines" / "baselines.json"


def read_record(path: Path | None = None) -> Baselines:
    """Read the record; raises BaselinesError if it is missing or damaged."""
    return measured.read(path or default_path(), Baselines, BaselinesError, "python -m harness.baselines")


# ---- the methods --------------------------------------------------------------------------------------------------
def scored(
    method: str, errors: np.ndarray, molecules: int, *, draw: int = 0, chosen: dict[str, float] | None = None
) -> Baseline:
    """The scores of errors [n], eV, of a method that learnt from so many molecules."""
    absolute = np.abs(errors)
    return Baseline(
        method=method,
        draw=draw,
        molecules=molecules,
        tested=len(errors),
        mae=float(absolute.mean()),
        standard_error=float(absolute.std(ddof=1) / np.sqrt(len(errors))),
        rmse=float(np.sqrt(np.mean(errors**2))),
        chosen=chosen or {},
    )


def composition(molecules: Molecules, parts: splits.Split) -> Baseline:
    """An energy per element, fitted on the training part."""
    left = molecules.energy - offsets.fit(molecules, parts.train, "least-squares").of(molecules)
    return scored("composition", -left[parts.test], len(parts.train))


def pair_counts(molecules: Molecules) -> np.ndarray:
    """How many pairs of each two elements lie at each distance, beside the atoms of each element: float64 [M, F]."""
    pairs = neighbour_pairs(molecules, float(_DISTANCES[-1]))
    place = np.full(max(ELEMENTS) + 1, -1)
    place[list(ELEMENTS)] = range(len(ELEMENTS))
    whose = np.repeat(np.arange(len(molecules)), np.diff(pairs.offsets))
    first, second = (
        place[molecules.numbers[molecules.offsets[whose] + inside]] for inside in (pairs.first, pairs.second)
    )
    low, high = np.minimum(first, second), np.maximum(first, second)
    bins = np.clip(np.digitize(pairs.distance, _DISTANCES) - 1, 0, len(_DISTANCES) - 2)
    counted = np.zeros((len(molecules), _KINDS.max() + 1, len(_DISTANCES) - 1), np.float32)
    np.add.at(counted, (whose, _KINDS[low, high], bins), 1)
    return np.hstack([molecules.element_counts(ELEMENTS), counted.reshape(len(molecules), -1)], dtype=np.float64)


def pair_regression(molecules: Molecules, parts: splits.Split) -> Baseline:
    """Ridge regression on `pair_counts`, of what the composition leaves."""
    left = molecules.energy - offsets.fit(molecules, parts.train, "least-squares").of(molecules)
    counts = pair_counts(molecules)
    fitted = {}
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, solver="cholesky").fit(counts[parts.train], left[parts.train])
        error = model.predict(counts[parts.validation]) - left[parts.validation]
        fitted[penalty] = float(np.abs(error).mean()), model
    penalty = min(fitted, key=lambda each: fitted[each][0])
    errors = fitted[penalty][1].predict(counts[parts.test]) - left[parts.test]
    return scored("pairs", errors, len(parts.train), chosen={"penalty": penalty})


def environments(molecules: Molecules) -> np.ndarray:
    """FCHL19 of every atom, float64 [A, F], packed as the atoms are."""
    from qmllib.representations import generate_fchl19

    return np.concatenate([generate_fchl19(z, r, elements=list(ELEMENTS), pad=False) for z, r in _each(molecules)])


def local_kernels(rows: Molecules, of_rows: np.ndarray, columns: Molecules, of_columns: np.ndarray) -> np.ndarray:
    """Kernels between molecules, one for each of `WIDTHS`, float64 [W, M, N], from the `environments` of both.

    As Christensen and others define it: the sum, over all pairs of an atom of the one and an atom of the other of the
    same element, of a Gaussian of the distance between their environments. It is qmllib's `get_local_kernels`, from
    matrix products, which on a few thousand molecules saves hours.
    """
    found = np.zeros((len(WIDTHS), len(rows), len(columns)))
    for element in ELEMENTS:
        of_row, of_column = rows.numbers == element, columns.numbers == element
        if not (of_row.any() and of_column.any()):
            continue
        distances = euclidean_distances(of_rows[of_row], of_columns[of_column], squared=True)
        gaussians = np.exp(distances / (-2 * WIDTHS[0] ** 2))
        row_of, column_of = _membership(rows)[:, of_row], _membership(columns)[:, of_column]
        for kernel in found:
            kernel += row_of @ gaussians @ column_of.T
            for _ in range(2):  # to the fourth power: half as wide, for less than another exponential
                np.square(gaussians, out=gaussians)
    return found


def _membership(molecules: Molecules) -> sparse.csr_array:
    """Which atom is of which molecule: 1 or 0, [M, A]."""
    atoms = len(molecules.numbers)
    return sparse.csr_array((np.ones(atoms), np.arange(atoms), molecules.offsets), shape=(len(molecules), atoms))


def _each(molecules: Molecules) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Atomic numbers and positions (Å) of one molecule after the other."""
    packed = (molecules.numbers.astype(int), molecules.positions)
    return zip(*(np.split(of_atoms, molecules.offsets[1:-1]) for of_atoms in packed), strict=True)


def kernel_regression(molecules: Molecules, parts: splits.Split, draw: int) -> list[Baseline]:
    """Kernel ridge regression of what the composition leaves, one per number of training molecules.

    The composition's energies are fitted on the same training molecules.
    """
    order = np.random.default_rng(draw).permutation(parts.train)[: max(KERNEL_MOLECULES)]
    learnt = molecules.select(order)
    known = environments(learnt)

    def kernels(positions: np.ndarray, *, lower: bool = False) -> np.ndarray:
        """Of each width, between the molecules at `positions` and those that are learnt from: [W, n, N].

        With `lower`, of a square one, what lies above the blocks on the diagonal is left at 0.
        """
        whole = np.zeros((len(WIDTHS), len(positions), len(learnt)))
        for start in range(0, len(positions), _ROWS):
            block = molecules.select(positions[start : start + _ROWS])
            columns = learnt.select(np.arange(start + len(block) if lower else len(learnt)))
            of_columns = known[: len(columns.numbers)]
            rows = slice(start, start + len(block))
            whole[:, rows, : len(columns)] = local_kernels(block, environments(block), columns, of_columns)
        return whole

    among = kernels(order, lower=True)
    validation = splits.random_subset(parts.validation, VALIDATED, seed=0)
    test = splits.random_subset(parts.test, TESTED, seed=0)
    to_validation, to_test = kernels(validation), kernels(test)
    found = []
    for number in KERNEL_MOLECULES:
        left = molecules.energy - offsets.fit(molecules, order[:number], "least-squares").of(molecules)
        tried = []
        for place, width in enumerate(WIDTHS):
            for regularisation in REGULARISATIONS:
                own = among[place, :number, :number] + regularisation * np.eye(number)
                try:
                    weights = linalg.cho_solve(linalg.cho_factor(own, lower=True), left[order[:number]])
                except linalg.LinAlgError:
                    continue  # rounding has left it no kernel: too little regularisation for this width
                mae = np.abs(to_validation[place, :, :number] @ weights - left[validation]).mean()
                errors = to_test[place, :, :number] @ weights - left[test]
                tried.append((mae, {"width": width, "regularisation": regularisation}, errors))
        _, chosen, errors = min(tried, key=lambda each: each[0])
        found.append(scored("fchl19", errors, number, draw=draw, chosen=chosen))
    return found


def xtb_energies(molecules: Molecules) -> np.ndarray:
    """GFN2-xTB's total energy of each molecule, eV [M]."""
    return np.array([_xtb(*each) for each in _each(molecules)])


def _xtb(numbers: np.ndarray, positions: np.ndarray, unpaired: int = 0) -> float:
    from tblite.interface import Calculator

    calculator = Calculator("GFN2-xTB", numbers, positions / ase.units.Bohr, uhf=unpaired)
    calculator.set("verbosity", 0)
    return float(calculator.singlepoint()["energy"]) * ase.units.Hartree


_UNPAIRED = {1: 1, 6: 2, 7: 3, 8: 2, 9: 1}  # electrons of the free atoms


def xtb(molecules: Molecules, parts: splits.Split) -> list[Baseline]:
    """GFN2-xTB's energy of atomisation as it is, and with an energy per element fitted to what it leaves."""
    test = molecules.select(splits.random_subset(parts.test, TESTED, seed=0))
    train = molecules.select(splits.random_subset(parts.train, XTB_MOLECULES, seed=0))
    atoms = np.array([_xtb(np.array([z]), np.zeros((1, 3)), _UNPAIRED[z]) for z in ELEMENTS])
    counts = {name: some.element_counts(ELEMENTS) for name, some in (("test", test), ("train", train))}
    left = {
        name: some.energy - offsets.reference_energies(some) - (xtb_energies(some) - counts[name] @ atoms)
        for name, some in (("test", test), ("train", train))
    }
    fitted = np.linalg.lstsq(counts["train"].astype(float), left["train"], rcond=None)[0]
    return [
        scored("xtb", -left["test"], 0),
        scored("xtb-corrected", counts["test"] @ fitted - left["test"], len(train)),
    ]


# ---- figures ------------------------------------------------------------------------------------------------------
_LOOKS = {  # colour, marker, and on which side of it the name stands
    "composition": (style.GREY, "s", "left"),
    "pairs": (style.PURPLE, "P", "left"),
    "fchl19": (style.BLUE, "o", "right"),
    "xtb-corrected": (style.VERMILION, "^", "right"),
    "default": (*final_comparison.MODELS["default"], "left"),
    "beyond": (*beyond.LOOK, "left"),
}


def compared(record: Baselines, networks: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """A row per method and draw, or network and seed; errors in meV over test molecules.

    `networks` has the records of "default" and of "beyond", one per seed.
    """
    of_runs = {
        of.id: scored(model, accuracy.test_errors([of])[0], of.about["molecules"]["train"], draw=of.config.seed)
        for model, of_model in networks.items()
        for of in of_model
    }
    return pd.DataFrame(
        {
            "method": one.method,
            "draw_or_seed": one.draw,
            "run": run,
            "training_molecules": one.molecules,
            "test_molecules": one.tested,
            "mae_meV": 1e3 * one.mae,
            "standard_error_meV": 1e3 * one.standard_error,
            "rmse_meV": 1e3 * one.rmse,
        }
        for run, one in [*(("", one) for one in record.results), *of_runs.items()]
    )


def comparison(record: Baselines, networks: Mapping[str, Sequence[Record]], *, lang: str) -> style.BookFigure:
    """Mean absolute error against the number of training molecules, of what `compared` compares.

    GFN2-xTB as it is has none, and is left out.
    """
    data = compared(record, networks).query("training_molecules > 0")
    alt = mark(
        "Plot of the mean absolute error against the number of training molecules, both on log scales: the kernel’s "
        "falls in a line and reaches Default’s with far fewer molecules. Composition, tight binding and pair distances "
        "lie above Default, and Beyond lies far below."
    )
    with style.figure(say(alt, lang), data, height=4.6) as figure:
        axes: Axes = figure.subplots()
        for method, (colour, marker, side) in _LOOKS.items():
            of = data[data["method"] == method]
            means = of.groupby("training_molecules")["mae_meV"].mean()
            axes.plot(means, color=colour, linewidth=1)
            shown = {"color": colour, "marker": marker, "markersize": 5, "linestyle": ""}
            axes.errorbar(of["training_molecules"], of["mae_meV"], _Z * of["standard_error_meV"], **shown)
            last = (means.index[-1], means.iloc[-1])
            offset, align = {"left": ((-8, 0), "right"), "right": ((8, 0), "left")}[side]
            look = {"ha": align, "va": "center", "bbox": {"color": "white", "pad": 0.5}}
            axes.annotate(say(_NAMES[method], lang), last, offset, textcoords="offset points", **look)
        style.log_axis(axes, lang, "x", name=say("Training molecules", lang))
        style.log_axis(axes, lang, "y", name=say("Mean absolute error (meV)", lang), ticks=(1.0, 2.0, 5.0))
    return figure


def table(record: Baselines, networks: Mapping[str, Sequence[Record]], *, lang: str) -> style.WordTable:
    """A row per method and network with its most training molecules: errors, mean and deviation over draws or seeds."""
    rows = {}
    for method, of in compared(record, networks).groupby("method", sort=False):
        most = of[of["training_molecules"] == of["training_molecules"].max()]
        tenths = most["mae_meV"].mean() < beyond.WHOLE
        rows[say(_NAMES[method], lang)] = {
            say("Training molecules", lang): style.number(most["training_molecules"].iloc[0], lang),
            say("MAE (meV)", lang): style.mean_and_deviation(most["mae_meV"], lang, int(tenths)),
            say("Standard error (meV)", lang): style.number(most["standard_error_meV"].max(), lang, 1),
            say("RMSE (meV)", lang): style.mean_and_deviation(most["rmse_meV"], lang, int(tenths)),
            say("Test molecules", lang): style.number(most["test_molecules"].iloc[0], lang),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Method", lang))


def facts(record: Baselines, networks: Mapping[str, Sequence[Record]], *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the baselines quotes; the same keys in both languages.

    `baseline_METHOD` is a mean absolute error, meV, mean over draws or seeds: of the kernel, with so many training
    molecules, `baseline_fchl19_NUMBER`. The kernel errs as much as Default with `baseline_as_default` training
    molecules, found between two of its numbers by a line on log scales; Default has `baseline_share` times as many.
    Both are rounded to two digits. `baseline_xtb` alone is in eV.
    """
    data = compared(record, networks)
    means = data.groupby(["method", "training_molecules"], sort=False)["mae_meV"].mean()
    curve = means["fchl19"].sort_index(ascending=False)
    train, default = means["default"].index[0], means["default"].iloc[0]
    as_default = float(np.exp(np.interp(np.log(default), np.log(curve), np.log(curve.index))))
    found = {
        "as_default": style.number(float(f"{as_default:.2g}"), lang),
        "share": style.number(float(f"{train / as_default:.2g}"), lang),
        "tested": style.number(data["test_molecules"].min(), lang),
        "draws": style.number(data.loc[data["method"] == "fchl19", "draw_or_seed"].nunique(), lang),
        "fewest": style.number(curve.index.min(), lang),
        "most": style.number(curve.index.max(), lang),
        "xtb_molecules": style.number(means["xtb-corrected"].index[0], lang),
        "train": style.number(train, lang),
    }
    for (method, number), mean in means.items():
        key = f"{method}_{number}" if method == "fchl19" else method.replace("-", "_")
        found[key] = beyond.whole_or_tenths(mean, lang)
    found["xtb"] = style.number(means["xtb"].iloc[0] / 1e3, lang)  # eV
    return {f"baseline_{key}": value for key, value in found.items()}


# ---- the record ---------------------------------------------------------------------------------------------------
def main(out: Annotated[Path | None, typer.Argument(help="The record.")] = None) -> None:
    """Compute and record; started again after a kill, it goes on where it was."""
    try:
        _record(out or default_path())
    except (BaselinesError, ForeignError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _record(out: Path) -> None:
    if out.exists():
        raise BaselinesError(f"{out} exists: name another file, or remove it to compute it again")
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    git, versions = checkout.git_state(), measured.versions(_PACKAGES)
    kept = Kept(folder, {"versions": versions, "git": git})
    molecules = qm9.load()
    parts = splits.split(molecules)
    jobs = {
        "composition": lambda: [composition(molecules, parts)],
        "pairs": lambda: [pair_regression(molecules, parts)],
    }
    jobs |= {f"fchl19, draw {draw}": lambda draw=draw: kernel_regression(molecules, parts, draw) for draw in DRAWS}
    jobs["xtb"] = lambda: xtb(molecules, parts)
    results: list[Baseline] = []
    for name, job in jobs.items():
        found = kept.get({"job": name})
        if found is None:
            found = kept.keep({"job": name}, [one.model_dump() for one in job()])
        results += [Baseline.model_validate(one) for one in found]
        typer.echo(f"{name}: " + ", ".join(f"{one['molecules']}: {1e3 * one['mae']:.1f} meV" for one in found))
    record = Baselines(
        split_fingerprint=parts.fingerprint(molecules),
        machine=Machine.here(),
        git=git and measured.Git.model_validate(git),
        versions=versions,
        results=tuple(results),
    )
    measured.write(out, record)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
