"""What the ensemble that `predict` uses is wrong by, by kind of geometry: what intervals are made of.

``python -m harness.calibration`` predicts molecules that no model was trained on, at

- ``dft``: QM9's own geometries (B3LYP/6-31G(2df,p)), all of the validation and the test part;
- ``xtb``: minima of GFN2-xTB (Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019)), found from QM9's
  geometries;
- ``mmff``: conformers made of nothing but QM9's SMILES, which have no stereochemistry, by ETKDG and MMFF94;
- ``relaxed``: minima of the models with forces, found from such conformers;
- ``unknown``: QM9's own geometries once more, by the models that predict all but these;

but for the first of molecules drawn from both parts. The truth is QM9's U0 each time: what is asked is how far the
energy of the molecule is missed by someone who has such a geometry. Intervals are fitted on the validation part alone;
the test part tells how often they hold. With ``--refit`` nothing is predicted: intervals are fitted anew on the errors
that are recorded.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from itertools import batched
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from ase import Atoms

from analysis.data import geometries, qm9, splits
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.prediction_intervals import DFT, RELAXED, UNKNOWN, About, default_folder, fit, write
from analysis.predict import dynamics
from analysis.predict.answers import relaxed
from analysis.predict.applicability import refusal
from analysis.predict.ensemble import Ensemble, default_records, without_energies
from analysis.predict.geometries import Geometry, all_from_smiles
from analysis.runs import checkout, measured
from harness.kept import Kept

DRAWN = {"validation": 2000, "test": 2000}
"""Molecules of each part whose geometries are made anew."""
_CHUNK = 100
_PACKAGES = ("torch", "schnetpack", "rdkit", "tblite", "ase", "qm9pack")


def _xtb(molecules: Molecules) -> list[Atoms | None]:
    found = geometries.gfn2_xtb(molecules)
    by_index = dict(zip(found.index.tolist(), to_ase(found), strict=True))
    return [by_index.get(index) for index in molecules.index.tolist()]


@lru_cache(maxsize=1)  # two kinds begin with them
def _conformers(molecules: Molecules) -> list[Geometry]:
    return list(all_from_smiles(molecules.smiles.tolist()))


def _mmff(molecules: Molecules) -> list[Atoms | None]:
    """As `predict` makes them; None where the SMILES gives none, or another composition."""
    return _of_same(_conformers(molecules), molecules)


def _relaxed(molecules: Molecules) -> list[Atoms | None]:
    """As `predict --relax` does it; None for what it refuses, too."""
    return _of_same(relaxed(_conformers(molecules), _calculator()), molecules)


@cache
def _calculator() -> dynamics.ForceCalculator:
    return dynamics.ForceCalculator(dynamics.default_records())


def _of_same(given: list[Geometry], molecules: Molecules) -> list[Atoms | None]:
    return [
        None if one.trouble or sorted(one.atoms.numbers) != sorted(truth.numbers) else one.atoms
        for one, truth in zip(given, to_ase(molecules), strict=True)
    ]


MADE: dict[str, Callable[[Molecules], list[Atoms | None]]] = {
    "mmff": _mmff,
    "xtb": _xtb,
    RELAXED: _relaxed,
    UNKNOWN: to_ase,
}


def of_geometries(ensemble: Ensemble, kind: str, given: list[Atoms | None], truth: Molecules) -> pd.DataFrame:
    """A row per molecule that has a geometry and is not refused: see `intervals.COLUMNS`, but for the part."""
    kept = [place for place, one in enumerate(given) if one is not None and not refusal(one)]
    molecules, truth = without_energies([given[place] for place in kept]), truth.select(np.array(kept, dtype=int))
    models = ensemble.at(kind)
    energies = models.energies(molecules)
    untaught = energies if models is ensemble else ensemble.energies(molecules)
    spread = energies.std(axis=0, ddof=1)
    warned = models.domain.warnings_by_kind(molecules, spread)
    return pd.DataFrame(
        {
            "index": truth.index.astype(np.int32),
            "geometry": kind,
            "error": (energies.mean(axis=0) - truth.energy).astype(np.float32),
            "spread": spread.astype(np.float32),
            "warnings": [" ".join(one) for one in warned],
            "untaught": (untaught.mean(axis=0) - truth.energy).astype(np.float32),
        }
    )


def main(
    out: Annotated[Path | None, typer.Argument(help="The record's folder.")] = None,
    *,
    refit: Annotated[bool, typer.Option("--refit", help="Predict nothing, and fit the recorded errors anew.")] = False,
) -> None:
    """Predict, or go on after a kill, and record the errors and the intervals."""
    out = out or default_folder()
    if refit:
        fit(out, qm9.load())
        return
    partial = out.parent / f".{out.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    molecules = qm9.load()
    ensemble = Ensemble(default_records(molecules), molecules)
    parts = splits.split(molecules, ensemble.records[0].config.data.split_seed)
    git = checkout.git_state()
    kept = Kept(partial, {"git": git, "drawn": DRAWN})
    tables, missing = [], {}
    for part, positions in (("validation", parts.validation), ("test", parts.test)):
        whole = molecules.select(positions)
        tables.append(of_geometries(ensemble, DFT, to_ase(whole), whole).assign(part=part))
        drawn = splits.random_subset(positions, DRAWN[part], seed=0)
        for number, chunk in enumerate(batched(drawn.tolist(), _CHUNK)):
            of_chunk = molecules.select(np.array(chunk))
            for name, made in MADE.items():
                job = {"part": part, "geometry": name, "chunk": number}
                found = kept.get(job)
                if found is None:
                    table = of_geometries(ensemble, name, made(of_chunk), of_chunk)
                    found = kept.keep(job, table.to_dict("list"))
                tables.append(pd.DataFrame(found).assign(part=part))
                missing[f"{part}, {name}"] = missing.get(f"{part}, {name}", 0) + len(chunk) - len(tables[-1])
            typer.echo(f"{part}: {number * _CHUNK + len(chunk)} of {len(drawn)}")
    write(
        out,
        pd.concat(tables, ignore_index=True),
        About(
            git=git,
            versions=measured.versions(_PACKAGES),
            models=[record.id for record in ensemble.records],
            approximate=[record.id for record in ensemble.at(UNKNOWN).records],
            missing=missing,
        ),
        molecules,
    )


if __name__ == "__main__":
    typer.run(main)
