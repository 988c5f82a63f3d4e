"""What an energy with its forces costs on one core, by method and size: the reference, and what takes its place.

``python -m harness.cost`` measures, at QM9's own geometries of alkanes and of other molecules of 9 to 29 atoms, the
processor time of one energy and its gradient by

- ``b3lyp``: B3LYP/6-31G(2df,p) as QM9 computed it (`reference.solved`, from PySCF's first guess);
- ``b3lyp-fitted``: the same with densities fitted;
- ``xtb``: GFN2-xTB by tblite, each time from the start;
- ``network``: a PaiNN of the experiment `forces`, by `fused.Potential`;
- ``schnetpack``: the same network as SchNetPack computes it, through its calculator for ASE.

A network's weights do not matter for the time: they are drawn. It goes on after a kill with what is missing, the
slowest last.
"""

import os
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from ase import Atoms
from schnetpack.interfaces import SpkCalculator
from schnetpack.transform import MatScipyNeighborList
from threadpoolctl import threadpool_limits

from analysis import study
from analysis.data import qm9
from analysis.data.errors import UserError
from analysis.data.files import check_output
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.cost import Cost, CostError, Costs, default_path
from analysis.runs import checkout, measured
from analysis.runs.arms import Arm
from analysis.runs.config import Model
from analysis.runs.measured import Git
from analysis.training import networks
from analysis.training.batches import ENERGY, FORCES
from fused.choice import processor
from fused.potential import Potential
from harness.kept import Kept

ALKANES = ("CCC", "CCCC", "CCCCC", "CCCCCCC", "CCCCCCCCC")
"""Propane, butane, pentane, heptane and nonane: 11 to 29 atoms."""
SIZES = (9, 14, 18, 24, 29)
"""Numbers of atoms, of each of which another molecule is drawn."""
REPEATS = 5
_SLOW = 5.0  # s; what takes longer is computed once
_PACKAGES = ("ase", "numpy", "pyscf", "schnetpack", "tblite", "torch")

type Compute = Callable[[Atoms], np.ndarray]
"""Gives the forces on the atoms, or their negative, in the method's own units."""


def _reference(*, fitted: bool) -> Compute:
    from harness import reference

    return lambda atoms: reference.solved(atoms, fitted=fitted).nuc_grad_method().kernel()


def _xtb() -> Compute:
    from tblite.ase import TBLite

    def compute(atoms: Atoms) -> np.ndarray:
        return Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method="GFN2-xTB", verbosity=0)).get_forces()

    return compute


def _settings() -> Model:
    return study.ForcesParameters().arms(0, None)[Arm("painn")].model


def _network() -> Compute:
    settings = _settings()
    state = {name: array.numpy() for name, array in networks.build_from(settings, fused=False).state_dict().items()}
    potential = Potential(state, cutoff=settings.data_cutoff, threads=1)
    return lambda atoms: potential.with_forces(atoms.numbers, atoms.positions, [len(atoms)])[1]


def _schnetpack() -> Compute:
    settings = _settings()
    calculator = SpkCalculator(
        networks.build_from(settings, fused=False, forces=True),
        MatScipyNeighborList(cutoff=settings.data_cutoff),
        energy_key=ENERGY,
        force_key=FORCES,
        energy_unit="eV",
        position_unit="Ang",
    )

    def compute(atoms: Atoms) -> np.ndarray:
        calculator.reset()  # or else it remembers
        calculator.calculate(atoms)
        return calculator.results["forces"]

    return compute


METHODS: dict[str, Callable[[], Compute]] = {
    "network": _network,
    "schnetpack": _schnetpack,
    "xtb": _xtb,
    "b3lyp-fitted": lambda: _reference(fitted=True),
    "b3lyp": lambda: _reference(fitted=False),
}


def chosen(molecules: Molecules, seed: int = 0) -> dict[str, Atoms]:
    """The alkanes, and a molecule of each size that is drawn from the others, by SMILES, the smallest first."""
    alkanes = np.isin(molecules.smiles, ALKANES)
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero((molecules.n_atoms == size) & ~alkanes)) for size in SIZES]
    found = molecules.select(np.concatenate([np.flatnonzero(alkanes), drawn]))
    by_name = dict(zip(found.smiles.tolist(), to_ase(found), strict=True))
    return dict(sorted(by_name.items(), key=lambda item: len(item[1])))


def seconds(compute: Compute, atoms: Atoms, repeats: int = REPEATS) -> list[float]:
    """Processor time of one call, s: means over as many as last a fifth of a second; of a slow one, a single call's."""
    timer = timeit.Timer(lambda: compute(atoms), timer=time.process_time)
    number, whole = timer.autorange()
    if whole / number > _SLOW:
        return [whole / number]
    return [of_repeat / number for of_repeat in timer.repeat(repeats, number)]


def measure(out: Path, molecules: dict[str, Atoms], methods: Sequence[str] = tuple(METHODS)) -> Costs:
    """Measure what is missing, one thread each, and write the record to `out`.

    What is done is kept beside it, in a folder that may be removed afterwards.
    """
    partial = out.parent / f".{out.stem}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    git, versions = checkout.git_state(), measured.versions(_PACKAGES)
    kept = Kept(partial, {"git": git, "processor": processor(), "versions": versions})
    threads, found = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for method in methods:
            compute: Compute | None = None
            for name, atoms in molecules.items():
                job = {"method": method, "molecule": name}
                result = kept.get(job)
                if result is None:
                    fresh, compute = compute is None, compute or METHODS[method]()
                    with threadpool_limits(1):  # of the libraries that it has loaded by now
                        if fresh:
                            compute(next(iter(molecules.values())))  # compiles, and reads what the others find
                        times = seconds(compute, atoms)
                    result = kept.keep(job, {"seconds": times, "load": os.getloadavg()[0]})
                    typer.echo(f"{method:<13}{len(atoms):>3} atoms {min(times):11.5f} s  {name}")
                found.append(job | {"atoms": len(atoms), **result, "seconds": tuple(result["seconds"])})
    finally:
        torch.set_num_threads(threads)
    record = Costs(
        processor=processor(),
        git=git and Git.model_validate(git),
        versions=versions,
        costs=tuple(Cost.model_validate(one) for one in found),
    )
    measured.write(out, record)
    return record


def main(
    out: Annotated[Path | None, typer.Argument(help="The record, by default in results/reference.")] = None,
    methods: Annotated[str, typer.Option(help="These alone, with commas between.")] = ",".join(METHODS),
) -> None:
    """Measure what is missing."""
    try:
        if unknown := [name for name in methods.split(",") if name not in METHODS]:
            raise CostError(f"there is no method {unknown[0]!r}: choose out of {', '.join(METHODS)}")
        out = out or default_path()
        check_output(out)
        measure(out, chosen(qm9.load()), methods.split(","))
    except (UserError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
