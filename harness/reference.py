"""B3LYP/6-31G(2df,p) as QM9 computed it, by PySCF (Sun et al., J. Chem. Phys. 153, 024109 (2020)), and G2 beside it.

``python -m harness.reference`` relaxes the molecules of ASE's G2 set (Curtiss et al., J. Chem. Phys. 106, 1063 (1997))
that the models may be asked for, computes their harmonic frequencies, and records U0 in `results/reference/`; one
that QM9 holds keeps QM9's. It goes on after a kill with the molecules that are missing, the smallest first, and
``--compare`` then records what `predict` says of all that are there. It measures the package from outside, as the
other parts of the harness: no prediction needs it.

Gaussian, with which QM9 was made, differs from PySCF's names in three things: its local correlation is VWN3, the
polarisation of 6-31G(2df,p) has two d shells of exponents 1.6 and 0.4, and these are Cartesian while f is pure.
"""

import time
from functools import cache
from pathlib import Path
from typing import Annotated

import ase.units
import numpy as np
import pandas as pd
import scipy.linalg
import typer
from ase import Atoms
from ase.calculators.calculator import Calculator, SCFError, all_changes
from ase.collections import g2
from ase.optimize import BFGS
from pyscf import dft, gto, lib
from pyscf.hessian import thermo
from pyscf.scf import diis

from analysis.data import qm9, splits
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.reference import COLUMNS, Found, Reference, default_folder, distances, write_compared
from analysis.predict import applicability
from analysis.predict.ensemble import Ensemble, default_records
from analysis.runs import checkout, measured
from fused.choice import processor

LEVEL = "B3LYP/6-31G(2df,p)"
START = "ASE's G2 set, MP2(full)/6-31G(d)"
D_EXPONENTS = (1.6, 0.4)
"""Of the two d shells of C, N, O and F in Gaussian's basis."""
FITTED = "def2-universal-jkfit"
"""The basis in which densities are fitted, if they are."""
GRID = 3  # PySCF's level of the grid of energies and gradients
COARSE = 1  # … of the Hessian, whose zero-point energy it changes by less than 0.1 meV
FORCE = 0.01  # eV/Å, where a minimum is found
STEPS = 100
SAME = 0.2
"""Å: two molecules of one composition are one and the same if none of their distances differ by more."""
_STIFFEST_LAX = 3.0  # eV/Å²: no softer a mode is believed when the first step is made
_SHIFT = 0.005  # Å
_PACKAGES = ("pyscf", "ase", "tblite", "qm9pack")


@cache
def _git() -> measured.Git:
    """The code as it was when this process began to use it."""
    return measured.Git.model_validate(checkout.git_state())


def molecule(atoms: Atoms) -> gto.Mole:
    """A molecule in Gaussian's 6-31G(2df,p), all shells Cartesian; `solved` makes f pure."""
    basis = {}
    for symbol in set(atoms.get_chemical_symbols()):
        shells = gto.basis.load("6-31g(2df,p)", symbol)
        if symbol != "H":
            shells = [shell for shell in shells if shell[0] != 2] + [[2, [one, 1.0]] for one in D_EXPONENTS]
        basis[symbol] = sorted(shells, key=lambda shell: shell[0])
    placed = list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True))
    return gto.M(atom=placed, basis=basis, cart=True, verbose=0)


def solved(atoms: Atoms, guess: np.ndarray | None = None, *, fitted: bool = False) -> dft.rks.RKS:
    """The Kohn–Sham orbitals of a closed shell, from a density matrix if there is one.

    With `fitted`, the Coulomb and exchange energy is that of fitted densities, and not quite QM9's. Raises ASE's
    SCFError if the cycles do not converge.
    """
    mol = molecule(atoms)
    shells = [
        gto.cart2sph(mol.bas_angular(shell), normalized="sp")
        if mol.bas_angular(shell) >= 3
        else np.eye((mol.bas_angular(shell) + 1) * (mol.bas_angular(shell) + 2) // 2)
        for shell in range(mol.nbas)
        for _ in range(mol.bas_nctr(shell))
    ]
    pure = scipy.linalg.block_diag(*shells)

    class Projected(diis.CDIIS):
        """Its error is that of the pure functions: of the others the density matrix says nothing."""

        def update(self, overlap: np.ndarray, density: np.ndarray, fock: np.ndarray, *_: object, **__: object):
            error = pure.T @ fock @ density @ overlap @ pure
            return lib.diis.DIIS.update(self, fock, xerr=(error - error.T).ravel())

    def eigenstates(fock: np.ndarray, overlap: np.ndarray, *_: object, **__: object) -> tuple[np.ndarray, np.ndarray]:
        energies, states = scipy.linalg.eigh(pure.T @ fock @ pure, pure.T @ overlap @ pure)
        return energies, pure @ states

    found = dft.RKS(mol).density_fit(FITTED) if fitted else dft.RKS(mol)
    found.xc, found.grids.level, found.conv_tol = "b3lypg", GRID, 1e-9  # b3lypg: with VWN3
    found.eig, found.DIIS = eigenstates, Projected
    found.kernel(guess)
    if not found.converged:
        raise SCFError(f"{atoms.get_chemical_formula()}: the cycles did not converge")
    return found


class B3LYP(Calculator):
    """`solved` for ASE: the energy, eV, and the forces, eV/Å; each geometry begins with the density of the last."""

    implemented_properties = ("energy", "forces")

    def __init__(self) -> None:
        super().__init__()
        self.field: dft.rks.RKS | None = None

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        """Fill `results`."""
        super().calculate(atoms, properties, system_changes)
        guess = None if self.field is None or len(atoms) != self.field.mol.natm else self.field.make_rdm1()
        self.field = solved(atoms, guess)
        gradient = self.field.nuc_grad_method().kernel()
        self.results["energy"] = float(self.field.e_tot) * ase.units.Hartree
        self.results["forces"] = -gradient * ase.units.Hartree / ase.units.Bohr


def frequencies(field: dft.rks.RKS) -> np.ndarray:
    """Harmonic ones, cm⁻¹, imaginary ones negative, without translations and rotations; changes the field's grid."""
    field.grids = dft.gen_grid.Grids(field.mol)
    field.grids.level = COARSE
    found = thermo.harmonic_analysis(field.mol, field.Hessian().kernel())["freq_wavenumber"]
    return np.sort(np.where(np.abs(found.imag) > 0, -np.abs(found.imag), found.real))


def zero_point(wavenumbers: np.ndarray) -> float:
    """The energy of the vibrations at 0 K, eV, from harmonic frequencies, cm⁻¹; imaginary ones have none."""
    return float(wavenumbers[wavenumbers > 0].sum() / 2 * ase.units.invcm)


def relaxed(atoms: Atoms) -> Atoms:
    """The minimum of B3LYP found from a geometry, with its calculator; raises SCFError if there is none."""
    found = Atoms(atoms.numbers, atoms.positions, calculator=B3LYP())
    search = BFGS(found, logfile=None)
    search.H0 = _first_curvature(atoms)
    if not search.run(fmax=FORCE, steps=STEPS):
        raise SCFError(f"{atoms.get_chemical_formula()}: no minimum in {STEPS} steps")
    return found


def _first_curvature(atoms: Atoms) -> np.ndarray:
    """What the search takes for the second derivatives at first, eV/Å²: GFN2-xTB's, without soft directions."""
    from tblite.ase import TBLite

    probe = Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method="GFN2-xTB", verbosity=0))
    rows = []
    for place in range(3 * len(atoms)):
        forces = []
        for sign in (1, -1):
            probe.positions = atoms.positions
            probe.positions.flat[place] += sign * _SHIFT
            forces.append(probe.get_forces().ravel())
        rows.append((forces[1] - forces[0]) / (2 * _SHIFT))
    curvature, modes = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
    return modes @ np.diag(np.maximum(curvature, _STIFFEST_LAX)) @ modes.T


def computed(atoms: Atoms) -> Found:
    """U0 of a molecule at the minimum that is found from a geometry."""
    begun = time.process_time()
    found = relaxed(atoms)
    electronic, force = found.get_potential_energy(), np.linalg.norm(found.get_forces(), axis=1).max()
    waves = frequencies(found.calc.field)
    return Found(
        source="computed",
        numbers=found.numbers.tolist(),
        positions=found.positions.round(6).tolist(),
        U0=electronic + zero_point(waves),
        electronic=electronic,
        zpve=zero_point(waves),
        frequencies=waves.round(2).tolist(),
        force=float(force),
        seconds=round(time.process_time() - begun, 1),
        git=_git(),
        versions=measured.versions(_PACKAGES),
    )


def given() -> dict[str, Atoms]:
    """The molecules of G2 that are neutral closed shells of H, C, N, O and F, the smallest first."""
    every = {name: g2[name] for name in g2.names}
    known = {
        name: Atoms(one.numbers, one.positions)
        for name, one in every.items()
        if not one.get_initial_magnetic_moments().sum() and not applicability.refused_anywhere(Atoms(one.numbers))
    }
    return dict(sorted(known.items(), key=lambda item: (len(item[1]), item[1].numbers.sum(), item[0])))


def held(molecules: Molecules, wanted: dict[str, Atoms]) -> dict[str, Found]:
    """Those that QM9 holds, with its geometry and U0."""
    largest = max(map(len, wanted.values()))
    few = molecules.select(np.flatnonzero(molecules.n_atoms <= largest))
    by_formula: dict[str, list[tuple[int, Atoms, float]]] = {}
    for index, one, energy in zip(few.index.tolist(), to_ase(few), few.energy.tolist(), strict=True):
        by_formula.setdefault(one.get_chemical_formula(), []).append((index, one, energy))
    found = {}
    for name, atoms in wanted.items():
        alike = [
            (np.abs(distances(atoms) - distances(one)).max(), index, one, energy)
            for index, one, energy in by_formula.get(atoms.get_chemical_formula(), [])
        ]
        if alike and (best := min(alike, key=lambda each: each[0]))[0] <= SAME:
            found[name] = Found(
                source="QM9",
                qm9_index=best[1],
                numbers=best[2].numbers.tolist(),
                positions=best[2].positions.round(10).tolist(),
                U0=best[3],
                frequencies=[],
                git=_git(),
                versions=measured.versions(_PACKAGES),
            )
    return found


def compared(reference: Reference, ensemble: Ensemble, molecules: Molecules) -> pd.DataFrame:
    """What `predict` says of each molecule at the reference's geometry, refused or not: see `COLUMNS`."""
    names, every = list(reference.molecules), list(reference.molecules.values())
    atoms = [one.atoms for one in every]
    parts = splits.split(molecules, ensemble.records[0].config.data.split_seed)
    part_of = {int(i): part for part in ("train", "validation", "test") for i in molecules.index[getattr(parts, part)]}
    kinds = ["dft"] * len(every)
    shown = ensemble.answers(atoms, names, kinds, outside=True)
    strict = ensemble.answers(atoms, names, kinds)
    rows = []
    for name, one, seen, answer in zip(names, every, shown, strict, strict=True):
        number = not isinstance(seen, str)
        low, high = (seen.interval if number and seen.interval else None) or (np.nan, np.nan)
        energy = seen.energy if number else np.nan
        rows.append(
            {
                "molecule": name,
                "formula": one.atoms.get_chemical_formula(),
                "source": one.source,
                "qm9_index": one.qm9_index,
                "part": part_of.get(one.qm9_index, ""),
                "U0_eV": one.U0,
                "predicted_eV": energy,
                "error_eV": energy - one.U0,
                "spread_eV": seen.spread if number else np.nan,
                "low_eV": low,
                "high_eV": high,
                "refused": answer if isinstance(answer, str) else "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def main(
    out: Annotated[Path | None, typer.Argument(help="The records' folder.")] = None,
    *,
    compare: Annotated[bool, typer.Option("--compare", help="Compute nothing, and record what predict says.")] = False,
    only: Annotated[str, typer.Option(help="Compute these alone, names of G2 with commas between.")] = "",
) -> None:
    """Compute what is missing, or compare what is there."""
    out = out or default_folder()
    out.mkdir(parents=True, exist_ok=True)
    _git()
    molecules = qm9.load()
    if compare:
        ensemble = Ensemble(default_records(molecules), molecules)
        write_compared(out, compared(Reference.load(out), ensemble, molecules))
        return
    lib.num_threads(1)
    wanted = given()
    known = Reference.load(out).molecules if (out / "g2.json").is_file() else held(molecules, wanted)
    chosen = only.split(",") if only else list(wanted)

    def write() -> None:
        kept = {name: known[name] for name in wanted if name in known}
        missing = [name for name in wanted if name not in known]
        Reference(level=LEVEL, start=START, processor=processor(), molecules=kept, missing=missing).write(out)

    write()
    for name in (name for name in chosen if name not in known):
        try:
            known[name] = computed(wanted[name])
        except SCFError as error:
            typer.echo(f"{name}: {error}", err=True)
            continue
        write()
        one = known[name]
        typer.echo(f"{name}: U0 {one.U0:.4f} eV, lowest {one.frequencies[0]:.0f}/cm, {one.seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
