"""What it is worth to relax on the models with forces, where there is a SMILES alone.

``python -m harness.relaxation`` draws molecules of the test part (or, for a choice, of the validation part), makes a
conformer of each from QM9's SMILES, and predicts its U0 twice, as `predict` and as `predict --relax` do; the truth is
QM9's U0. Molecules that both answer are compared, and of the others it is recorded what refuses them. QM9's SMILES
have no stereochemistry: part of what is missed is the energy of another stereoisomer.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from analysis.data import qm9, splits
from analysis.data.errors import UserError
from analysis.data.files import check_output
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.relaxation import WAYS, Mean, Relaxation, RelaxationError, default_path
from analysis.predict import dynamics
from analysis.predict.answers import answered
from analysis.predict.ensemble import Ensemble, default_records
from analysis.predict.geometries import all_from_smiles
from analysis.runs import checkout, measured
from analysis.runs.measured import Git
from fused.choice import processor

_MEV = 1000  # meV per eV
_FEWEST = 20  # molecules of which a mean is worth its interval
_PACKAGES = ("ase", "qm9pack", "rdkit")


def predicted(ensemble: Ensemble, calculator: dynamics.ForceCalculator | None, molecules: Molecules) -> pd.DataFrame:
    """A row per molecule, by QM9's index: `error`, predicted − true U0, eV, NaN where `refused` says why there is none.

    Relaxed on the calculator's models, if there is one.
    """
    given = [
        one
        if one.atoms is None or sorted(one.atoms.numbers) == sorted(truth.numbers)
        else replace(one, trouble="its SMILES is of another composition")
        for one, truth in zip(all_from_smiles(molecules.smiles.tolist()), to_ase(molecules), strict=True)
    ]
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
    git = checkout.git_state()
    return Relaxation(
        processor=processor(),
        git=git and Git.model_validate(git),
        versions=measured.versions(_PACKAGES),
        models=[record.id for record in ensemble.records],
        relaxed_on=[record.id for record in calculator.records],
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


def _by_index(values: pd.Series) -> dict[str, float | str]:
    return dict(zip(map(str, values.index), values.tolist(), strict=True))


def main(
    out: Annotated[Path | None, typer.Argument(help="The record, by default in results/prediction.")] = None,
    molecules: Annotated[int, typer.Option(min=_FEWEST, help="How many are drawn.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
) -> None:
    """Predict, compare and record."""
    try:
        out = out or default_path()
        check_output(out)
        if part not in ("test", "validation"):
            raise RelaxationError(f"there is no part {part!r} to draw from: test or validation")
        calculator = dynamics.ForceCalculator(dynamics.default_records())
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
