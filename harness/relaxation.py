"""What it is worth to relax on the models with forces, where there is a SMILES alone.

``python -m harness.relaxation`` draws molecules of the test part (or, for a choice, of the validation part), makes a
conformer of each from QM9's SMILES, and predicts its U0 twice, as `predict` and as `predict --relax` do; the truth is
QM9's U0. Molecules that both answer are compared, and of the others it is recorded what refuses them. QM9's SMILES
have no stereochemistry: part of what is missed is the energy of another stereoisomer.

With ``--g2`` it does so with the molecules of G2 that QM9 lacks and whose U0 `harness.reference` has computed, and
records of each what is said of it, and what `--outside` would say.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from ase import Atoms
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds

from analysis.data import qm9, splits
from analysis.data.errors import UserError
from analysis.data.files import check_output
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.prediction_intervals import RELAXED
from analysis.evaluation.reference import Reference
from analysis.evaluation.relaxation import (
    PLACES,
    WAYS,
    Answer,
    Lacking,
    Mean,
    Relaxation,
    RelaxationError,
    RelaxationLacking,
    default_path,
)
from analysis.predict import dynamics
from analysis.predict.answers import answered
from analysis.predict.ensemble import Ensemble, Prediction, default_records
from analysis.predict.geometries import Geometry, all_from_smiles
from analysis.runs import checkout, measured
from analysis.runs.measured import Git
from fused.choice import processor

_MEV = 1000  # meV per eV
_FEWEST = 20  # molecules of which a mean is worth its interval
_PACKAGES = ("ase", "qm9pack", "rdkit")


def conformers(smiles: Iterable[str], truths: Iterable[Atoms]) -> list[Geometry]:
    """A conformer of each SMILES, in trouble if its atoms are not those of the molecule that it stands for."""
    return [
        one
        if one.atoms is None or sorted(one.atoms.numbers) == sorted(truth.numbers)
        else replace(one, trouble="its SMILES is of another composition")
        for one, truth in zip(all_from_smiles(smiles), truths, strict=True)
    ]


def predicted(ensemble: Ensemble, calculator: dynamics.ForceCalculator | None, molecules: Molecules) -> pd.DataFrame:
    """A row per molecule, by QM9's index: `error`, predicted − true U0, eV, NaN where `refused` says why there is none.

    Relaxed on the calculator's models, if there is one.
    """
    given = conformers(molecules.smiles.tolist(), to_ase(molecules))
    answers = [answer for _, answer in answered(ensemble, given, relax=calculator)]
    energies = np.array([np.nan if isinstance(answer, str) else answer.energy for answer in answers])
    return pd.DataFrame(
        {
            "error": energies - molecules.energy,
            "refused": [answer if isinstance(answer, str) else "" for answer in answers],
        },
        index=molecules.index,
    )


def compared(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Errors, eV, of the molecules that both ways answer; raises RelaxationError if they are too few."""
    both = pd.DataFrame({way: table["error"] for way, table in found.items()}).dropna()
    if len(both) < _FEWEST:
        raise RelaxationError(f"both ways answer {len(both)} molecules, fewer than {_FEWEST}: draw more")
    return both


def measure(
    ensemble: Ensemble, calculator: dynamics.ForceCalculator, molecules: Molecules, *, part: str, seed: int
) -> Relaxation:
    """Both ways of molecules that were drawn out of a part with a seed."""
    found = {"conformer": predicted(ensemble, None, molecules)}
    begun = time.process_time()
    found["relaxed"] = predicted(ensemble, calculator, molecules)
    seconds = (time.process_time() - begun) / len(molecules)
    both = compared(found)
    size = both.abs()
    return Relaxation(
        **_source(ensemble, calculator),
        part=part,
        drawn=len(molecules),
        seed=seed,
        compared=len(both),
        absolute={way: Mean.over(size[way].to_numpy()) for way in WAYS},
        signed={way: Mean.over(both[way].to_numpy()) for way in WAYS},
        change=Mean.over((size["relaxed"] - size["conformer"]).to_numpy()),
        seconds=round(seconds, 4),
        errors={way: _by_index((_MEV * table["error"]).dropna().round(2)) for way, table in found.items()},
        refused={way: _by_index(table["refused"][table["refused"] != ""]) for way, table in found.items()},
    )


def _source(ensemble: Ensemble, calculator: dynamics.ForceCalculator) -> dict[str, Any]:
    """Where a record comes from."""
    git = checkout.git_state()
    return {
        "processor": processor(),
        "git": git and Git.model_validate(git),
        "versions": measured.versions(_PACKAGES),
        "models": [record.id for record in ensemble.at(RELAXED).records],
        "relaxed_on": [record.id for record in calculator.records],
    }


def _by_index(values: pd.Series) -> dict[str, float | str]:
    return dict(zip(map(str, values.index), values.tolist(), strict=True))


def perceived(atoms: Atoms) -> str:
    """The SMILES of a neutral molecule by its geometry, Å; raises ValueError if RDKit finds no bonds that fit.

    Two electrons that are not in bonds are unpaired in a SMILES: singlet methylene has none of its own.
    """
    symbols, positions = atoms.get_chemical_symbols(), atoms.positions.tolist()
    # RDKit reads no exponents.
    lines = [f"{symbol} {x:.6f} {y:.6f} {z:.6f}" for symbol, (x, y, z) in zip(symbols, positions, strict=True)]
    structure = Chem.MolFromXYZBlock("\n".join([str(len(lines)), "", *lines]))
    rdDetermineBonds.DetermineBonds(structure, charge=0)
    return Chem.MolToSmiles(Chem.RemoveHs(structure))


def lacking(ensemble: Ensemble, calculator: dynamics.ForceCalculator, reference: Reference) -> RelaxationLacking:
    """The molecules of a reference that QM9 lacks: at its geometries, at conformers, and at these relaxed."""
    wanted = {name: one for name, one in reference.molecules.items() if one.source == "computed"}
    atoms = [one.atoms for one in wanted.values()]
    smiles = [perceived(one) for one in atoms]
    given = dict.fromkeys(WAYS, conformers(smiles, atoms))
    given["reference"] = [Geometry(name, one, kind="dft") for name, one in zip(wanted, atoms, strict=True)]
    found: dict[str, dict[str, Answer]] = {name: {} for name in wanted}
    for place in PLACES:
        relax = calculator if place == "relaxed" else None
        said, shown = (answered(ensemble, given[place], relax=relax, outside=outside) for outside in (False, True))
        for (name, one), (_, answer), (_, number) in zip(wanted.items(), said, shown, strict=True):
            found[name][place] = _answer(answer, number, one.U0)
    return RelaxationLacking(
        **_source(ensemble, calculator),
        molecules={
            name: Lacking(smiles=written, answers=found[name]) for name, written in zip(wanted, smiles, strict=True)
        },
    )


def _answer(answer: Prediction | str, number: Prediction | str, true: float) -> Answer:
    """What is said, and what is said with `--outside`, beside the true U0, eV."""
    interval = None if isinstance(answer, str) else answer.interval
    return Answer(
        error=None if isinstance(number, str) else round(_MEV * (number.energy - true), 2),
        refused=answer if isinstance(answer, str) else "",
        numberless=number if isinstance(number, str) else "",
        interval=interval and tuple(round(_MEV * (end - true), 2) for end in interval),
    )


def main(
    out: Annotated[Path | None, typer.Argument(help="The record, by default in results/prediction.")] = None,
    molecules: Annotated[int, typer.Option(min=_FEWEST, help="How many are drawn.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    *,
    g2: Annotated[bool, typer.Option("--g2", help="Draw none, but take those of G2 that QM9 lacks.")] = False,
) -> None:
    """Predict, compare and record."""
    try:
        out = out or default_path(lacking=g2)
        check_output(out)
        if part not in ("test", "validation"):
            raise RelaxationError(f"there is no part {part!r} to draw from: test or validation")
        calculator = dynamics.ForceCalculator(dynamics.default_records())
        if g2:
            measured.write(out, lacking(Ensemble(default_records()), calculator, Reference.load()))
            return
        everything = qm9.load()
        ensemble = Ensemble(default_records(everything), everything)
        among = getattr(splits.split(everything, ensemble.records[0].config.data.split_seed), part)
        drawn = everything.select(splits.random_subset(among, molecules, seed))
        record = measure(ensemble, calculator, drawn, part=part, seed=seed)
        measured.write(out, record)
    except (UserError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for way, mean in record.absolute.items():
        typer.echo(
            f"{way}: mean absolute error {mean.mean:.0f} meV ({mean.mean_interval[0]:.0f} to "
            f"{mean.mean_interval[1]:.0f}), median {mean.median:.0f} meV; {record.signed[way].mean:+.0f} meV with signs"
        )
    typer.echo(f"of {record.drawn} molecules, {record.compared} are answered both ways; {record.seconds:.2f} s each")


if __name__ == "__main__":
    typer.run(main)
