"""Geometries that someone hands in, to be predicted: from XYZ files and from SMILES. Lengths in Å.

Nothing is raised for a file or a SMILES that can't be read: what is wrong is said beside its name.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ase import Atoms
from rdkit import Chem, rdBase

from analysis.data import extxyz
from analysis.data.files import reason
from analysis.predict.applicability import refused_anywhere
from analysis.predict.conformers import ConformerError, Conformers

_ENDINGS = " or ".join(extxyz.SUFFIXES)
_BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
_NOT_DFT = "geometry by ETKDG and MMFF94, not by DFT as QM9's"


@dataclass(frozen=True)
class Geometry:
    """One molecule handed in: `name` tells it from the others, `notes` are warnings about where it comes from.

    `trouble` says why there are no `atoms`, if there are none.
    """

    name: str
    atoms: Atoms | None = None
    notes: tuple[str, ...] = ()
    trouble: str = ""


def read_file(path: str | os.PathLike[str]) -> list[Geometry]:
    """The molecules of an XYZ file (see `extxyz.frames`), or of all those in a folder, in their order.

    Each is read on its own: a damaged one spoils no other. What an extended XYZ comment says, of charge and spin
    too, is kept in the atoms' `info`.
    """
    path = Path(path)
    if path.is_dir():
        inside = [one for file in extxyz.files(path) for one in read_file(file)]
        return inside or [Geometry(str(path), trouble=f"it holds no file whose name ends in {_ENDINGS}")]
    if path.suffix.lower() not in extxyz.SUFFIXES:
        return [Geometry(str(path), trouble=f"its name does not end in {_ENDINGS}")]
    try:
        found = [
            Geometry(
                f"{path}, molecule {number}",
                frame.atoms,
                trouble=frame.trouble and f"line {frame.first}: {frame.trouble}",
            )
            for number, frame in enumerate(extxyz.frames(path), start=1)
        ]
    except (OSError, UnicodeError) as error:
        why = reason(error).removeprefix(f"{path}: ")
        return [Geometry(str(path), trouble=f"it can't be read ({why})")]
    if not found:
        return [Geometry(str(path), trouble="it holds no molecules")]
    return [replace(found[0], name=str(path))] if len(found) == 1 else found


def all_from_smiles(several: Iterable[str]) -> Iterator[Geometry]:
    """One conformer of each SMILES: embedded with ETKDG, then relaxed with MMFF94; always the same one.

    ETKDG version 3: Wang, Witek, Landrum and Riniker, J. Chem. Inf. Model. 60, 2044 (2020). MMFF94: Halgren, J. Comput.
    Chem. 17, 490 (1996). Charge and multiplicity are kept in the atoms' `info`.

    What RDKit would read as something else than it says is refused (text after a space, signs outside ASCII), and so
    are isotopes, since U0 holds the zero-point vibrations of the usual ones. Numbers of an atom map are passed over.
    """
    with Conformers() as conformers:
        for smiles in several:
            name = smiles if smiles.strip() and smiles.isprintable() else repr(smiles)
            with rdBase.BlockLogs():
                atoms, trouble = _unplaced(smiles.strip())
            if trouble:
                yield Geometry(name, trouble=trouble)
                continue
            try:
                atoms.positions, notes = conformers.of(smiles.strip())
            except ConformerError as error:
                yield Geometry(name, trouble=str(error))
            else:
                yield Geometry(name, atoms, (_NOT_DFT, *notes))


def _unplaced(smiles: str) -> tuple[Atoms, str]:
    """A SMILES' atoms, all at one place, and why they can't be predicted; hydrogens are added as by RDKit."""
    signs = (sign for sign in smiles if not (sign.isascii() and (sign.isprintable() or sign.isspace())))
    if foreign := next(signs, ""):
        return Atoms(), f"no SMILES holds {foreign!r}"
    if len(smiles.split()) > 1:
        return Atoms(), "a SMILES ends at the first space: leave out what stands after it"
    try:
        structure = Chem.MolFromSmiles(smiles)
        if structure is None or structure.GetNumAtoms() == 0:
            return Atoms(), "RDKit reads no structure from this SMILES"
        structure = Chem.AddHs(structure)
        fragments = len(Chem.GetMolFrags(structure))
    except (RuntimeError, ValueError) as error:
        return Atoms(), f"RDKit can't read it ({' '.join(str(error).split()[:8])})"
    every = list(structure.GetAtoms())
    atoms = Atoms(
        numbers=[atom.GetAtomicNum() for atom in every],
        info={
            "charge": Chem.GetFormalCharge(structure),
            "multiplicity": 1 + sum(atom.GetNumRadicalElectrons() for atom in every),
        },
    )
    if fragments > 1:
        return atoms, "it is several molecules: predict each on its own"
    if why := refused_anywhere(atoms):
        return atoms, why
    usual = Chem.GetPeriodicTable().GetMostCommonIsotope
    if other := next((atom for atom in every if atom.GetIsotope() not in (0, usual(atom.GetAtomicNum()))), None):
        return atoms, f"it holds {other.GetIsotope()}{other.GetSymbol()}; the models know only the usual isotopes"
    if odd := next((bond for bond in structure.GetBonds() if not _usual(bond)), None):
        return atoms, f"it holds a bond that is {odd.GetBondType().name.lower()}: write single, double or triple ones"
    return atoms, ""


def _usual(bond: Chem.Bond) -> bool:
    kind = bond.GetBondType()
    return bond.IsInRing() if kind == Chem.BondType.AROMATIC else kind in _BONDS
