"""What less than a neural network reaches on the study's split: numbers that put the networks' errors in proportion.

``python -m harness.baselines`` computes and records, in this order:

- ``composition``: an energy per element, by least squares.
- ``pairs``: ridge regression on how many pairs of each two elements lie at each distance.
- ``fchl19``: kernel ridge regression with local Gaussian kernels of FCHL19 representations (Christensen, Bratholm,
  Faber and von Lilienfeld, J. Chem. Phys. 152, 044107 (2020)), by qmllib.
- ``xtb``: GFN2-xTB (Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019)), by tblite: its energy of
  atomisation as it is, without zero-point vibrations, and with an energy per element fitted to the rest.

Widths and regularisations are chosen on molecules of the validation part. The test part is looked at once, with what
was chosen: all of it by the first two, `TESTED` molecules drawn from it by the others.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import ase.units
import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy import linalg
from sklearn.linear_model import Ridge

from analysis.data import offsets, qm9, splits, statistics
from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.evaluation import accuracy
from analysis.figures import style
from analysis.figures.words import mark, messages, say
from analysis.runs import checkout, measured, records
from analysis.runs.records import Record
from harness.kept import Kept
from harness.machine import Machine

TESTED, VALIDATED = 1000, 500
"""Molecules of the test and of the validation part that the slow methods predict."""
DRAWS = (0, 1, 2)
KERNEL_MOLECULES = (250, 500, 1000, 2000, 4000)
"""Training molecules of the kernel; the fewer are the first of the more."""
XTB_MOLECULES = 5000
"""Training molecules that the energies per element beside GFN2-xTB are fitted on."""
WIDTHS = (4.0, 8.0, 16.0, 32.0)
REGULARISATIONS = (1e-9, 1e-7, 1e-5)
PENALTIES = (1e-2, 1e-1, 1.0, 10.0, 100.0)
ELEMENTS = (1, 6, 7, 8, 9)

_DISTANCES = np.arange(0.7, 8.01, 0.1)  # Å, edges of the bins
_KINDS = np.zeros((len(ELEMENTS), len(ELEMENTS)), int)  # a number for each two elements, the first before the second
_KINDS[np.triu_indices(len(ELEMENTS))] = range(15)
_ROWS = 250  # of a kernel, computed in one go
_PACKAGES = ("numpy", "scikit-learn", "scipy", "qmllib", "tblite")
_NAMES = messages(
    {
        "composition": "composition alone",
        "pairs": "distances between pairs",
        "fchl19": "kernel with FCHL19",
        "xtb": "GFN2-xTB as it is",
        "xtb-corrected": "GFN2-xTB with an energy per element",
    }
)


class Baseline(measured.Frozen):
    """One method on one draw of training molecules: errors over `tested` molecules of the test part, eV.

    `deviation` is the standard error that the choice of these molecules gives the mean absolute error; `chosen` has the
    settings that the validation part chose.
    """

    method: str
    draw: NonNegativeInt
    molecules: NonNegativeInt
    tested: PositiveInt
    mae: PositiveFloat
    deviation: NonNegativeFloat
    rmse: PositiveFloat
    chosen: dict[str, float] = Field(default_factory=dict)


class Baselines(measured.Frozen):
    """The record of all of them."""

    machine: Machine
    git: measured.Git
    versions: dict[str, str]
    results: tuple[Baseline, ...]


class BaselinesError(RuntimeError):
    """There is no record of the baselines, or it was damaged; the message names the file."""


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
        deviation=float(absolute.std(ddof=1) / np.sqrt(len(errors))),
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


def representations(molecules: Molecules) -> tuple[np.ndarray, list[np.ndarray]]:
    """FCHL19 of each atom, [M, atoms, F], and the atomic numbers of each molecule."""
    from qmllib.representations import generate_fchl19

    numbers = [molecules.numbers[slice(*ends)].astype(int) for ends in _ends(molecules)]
    places = [molecules.positions[slice(*ends)] for ends in _ends(molecules)]
    settings = {"elements": list(ELEMENTS), "pad": statistics.LARGEST_SIZE}
    return np.array([generate_fchl19(z, r, **settings) for z, r in zip(numbers, places, strict=True)]), numbers


def _ends(molecules: Molecules) -> Iterator[tuple[int, int]]:
    return zip(molecules.offsets[:-1].tolist(), molecules.offsets[1:].tolist(), strict=True)


def kernel_regression(molecules: Molecules, parts: splits.Split, draw: int) -> list[Baseline]:
    """Kernel ridge regression of what the composition leaves, one per number of training molecules."""
    from qmllib.kernels import get_local_kernels

    left = molecules.energy - offsets.fit(molecules, parts.train, "least-squares").of(molecules)
    order = np.random.default_rng(draw).permutation(parts.train)[: max(KERNEL_MOLECULES)]
    looked_at = {
        "validation": splits.random_subset(parts.validation, VALIDATED, seed=0),
        "test": splits.random_subset(parts.test, TESTED, seed=0),
    }
    known = representations(molecules.select(order))

    def kernels(positions: np.ndarray) -> np.ndarray:
        """Of each width, [W, n, N]."""
        blocks = []
        for start in range(0, len(positions), _ROWS):
            given = representations(molecules.select(positions[start : start + _ROWS]))
            # What qmllib gives has the molecules of its second argument first.
            blocks.append(get_local_kernels(known[0], given[0], known[1], given[1], list(WIDTHS)))
        return np.concatenate(blocks, axis=1)

    among = kernels(order)
    others = {part: kernels(positions) for part, positions in looked_at.items()}
    found = []
    for number in KERNEL_MOLECULES:
        best: tuple[float, dict[str, float], np.ndarray] | None = None
        for place, width in enumerate(WIDTHS):
            for regularisation in REGULARISATIONS:
                own = among[place, :number, :number] + regularisation * np.eye(number)
                weights = linalg.solve(own, left[order[:number]], assume_a="pos")
                predicted = {part: of[place, :, :number] @ weights for part, of in others.items()}
                mae = float(np.abs(predicted["validation"] - left[looked_at["validation"]]).mean())
                if best is None or mae < best[0]:
                    chosen = {"width": width, "regularisation": regularisation}
                    best = mae, chosen, predicted["test"]
        errors = best[2] - left[looked_at["test"]]
        found.append(scored("fchl19", errors, number, draw=draw, chosen=best[1]))
    return found


def xtb_energies(molecules: Molecules) -> np.ndarray:
    """GFN2-xTB's total energy of each molecule, eV [M]."""
    return np.array(
        [_xtb(molecules.numbers[slice(*ends)], molecules.positions[slice(*ends)]) for ends in _ends(molecules)]
    )


def _xtb(numbers: np.ndarray, positions: np.ndarray, unpaired: int = 0) -> float:
    from tblite.interface import Calculator

    calculator = Calculator("GFN2-xTB", numbers.astype(int), positions / ase.units.Bohr, uhf=unpaired)
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
def comparison(record: Baselines, networks: dict[str, list[Record]], *, lang: str) -> style.BookFigure:
    """Mean absolute error over the test part against the number of training molecules: baselines and networks.

    `networks` has the records of each model, one per seed, by the name that it is shown under.
    """
    ours = [(one.method, one.draw, one.molecules, 1e3 * one.mae) for one in record.results]
    theirs = [
        (name, of.config.seed, of.about["molecules"]["train"], 1e3 * accuracy.scores(of).mae)
        for name, of_model in networks.items()
        for of in of_model
    ]
    data = pd.DataFrame(ours + theirs, columns=["method", "draw_or_seed", "training_molecules", "mae_meV"])
    alt = mark(
        "Plot of the mean absolute error against the number of training molecules, both on log scales: the kernel's "
        "falls in a line, with regressions on composition and distances above the networks and Beyond far below."
    )
    colours = {"composition": style.GREY, "pairs": style.ORANGE, "fchl19": style.BLUE, "xtb-corrected": style.GREEN}
    markers = {"composition": "s", "pairs": "D", "fchl19": "o", "xtb-corrected": "^"}
    with style.figure(say(alt, lang), data, height=4.8, legend=2) as figure:
        axes: Axes = figure.subplots()
        for method, colour in colours.items():
            of = data[data["method"] == method]
            look = {"color": colour, "marker": markers[method], "markersize": 5, "linestyle": ""}
            axes.plot(of["training_molecules"], of["mae_meV"], label=say(_NAMES[method], lang), **look)
            axes.plot(of.groupby("training_molecules")["mae_meV"].mean(), color=colour, linewidth=1)
        looks = zip(networks, (style.VERMILION, style.PURPLE, style.BLACK), "vP*", strict=False)
        for name, colour, marker in looks:
            of = data[data["method"] == name]
            axes.plot(of["training_molecules"], of["mae_meV"], marker, color=colour, markersize=6, label=name)
        style.log_axis(axes, lang, "x", name=say("Training molecules", lang), ticks=(1.0, 2.0, 5.0))
        style.log_axis(axes, lang, "y", name=say("Mean absolute error (meV)", lang))
    return figure


def table(record: Baselines, *, lang: str) -> style.WordTable:
    """A row per method with its most training molecules: the error (mean and deviation over draws), and on how many."""
    rows = {}
    for method, name in _NAMES.items():
        of = [one for one in record.results if one.method == method]
        most = max(one.molecules for one in of)
        of = [one for one in of if one.molecules == most]
        rows[say(name, lang)] = {
            say("Training molecules", lang): style.number(most, lang) if most else "–",
            say("Mean absolute error (meV)", lang): style.mean_and_deviation([1e3 * one.mae for one in of], lang, 0),
            say("Standard error from the test molecules (meV)", lang): style.number(1e3 * of[0].deviation, lang, 1),
            say("Root mean square (meV)", lang): style.mean_and_deviation([1e3 * one.rmse for one in of], lang, 0),
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Method", lang))


def facts(record: Baselines, *, lang: str) -> dict[str, str]:
    """Every number that the book's prose on the baselines quotes: `baseline_…` the mean absolute errors, meV.

    `baseline_fchl19_…` are those with so many training molecules, mean over draws; `baseline_tested` is how many test
    molecules the slow methods predict.
    """
    found: dict[str, list[float]] = {}
    for one in record.results:
        key = f"{one.method}_{one.molecules}" if one.method == "fchl19" else one.method
        found.setdefault(f"baseline_{key.replace('-', '_')}", []).append(1e3 * one.mae)
    tested = min(one.tested for one in record.results)
    return {key: style.number(float(np.mean(values)), lang) for key, values in found.items()} | {
        "baseline_tested": style.number(tested, lang)
    }


def main(out: Annotated[Path | None, typer.Argument(help="The record.")] = None) -> None:
    """Compute, or go on after a kill, and record."""
    out = out or default_path()
    folder = out.parent / f".{out.stem}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    git = checkout.git_state()
    kept = Kept(folder, {"versions": measured.versions(_PACKAGES), "git": git})
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
        machine=Machine.here(),
        git=git,
        versions=measured.versions(_PACKAGES),
        results=tuple(results),
    )
    out.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
