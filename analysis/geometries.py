"""Geometries that someone hands in, to be predicted: from XYZ files and from SMILES. Lengths in Å.

Nothing is raised for a file or a SMILES that can't be read: what is wrong is said beside its name, so that the others
can go on.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ase import Atoms
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from analysis import extxyz

LARGEST = 1000
"""Atoms. Whatever is larger is not looked at: it is 30 times the size of the largest molecule that a model has seen."""

_ENDINGS = " or ".join(extxyz.SUFFIXES)
_SEED = 2023  # of the conformer's embedding
_STEPS = 2000  # of MMFF's minimiser
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

    Each is read on its own: a damaged one keeps none from it. `charge` and `multiplicity` of an extended XYZ comment
    are kept, in the atoms' `info`.
    """
    path = Path(path)
    if path.is_dir():
        inside = [one for file in extxyz.files(path) for one in read_file(file)]
        return inside or [Geometry(str(path), trouble=f"it holds no file whose name ends in {_ENDINGS}")]
    if path.suffix.lower() not in extxyz.SUFFIXES:
        return [Geometry(str(path), trouble=f"its name does not end in {_ENDINGS}")]
    try:
        found = [
            Geometry(f"{path}, molecule {number}", frame.atoms, trouble=_placed(frame))
            for number, frame in enumerate(extxyz.frames(path), start=1)
        ]
    except (OSError, UnicodeError) as error:
        return [Geometry(str(path), trouble=f"it can't be read ({error})")]
    if not found:
        return [Geometry(str(path), trouble="it holds no molecules")]
    return [replace(found[0], name=str(path))] if len(found) == 1 else found


def _placed(frame: extxyz.Frame) -> str:
    return f"line {frame.first}: {frame.trouble}" if frame.trouble else ""


def from_smiles(smiles: str) -> Geometry:
    """One conformer of a SMILES: embedded with ETKDG, then relaxed with MMFF94; always the same one.

    ETKDG version 3: Wang, Witek, Landrum and Riniker, J. Chem. Inf. Model. 60, 2044 (2020). MMFF94: Halgren, J. Comput.
    Chem. 17, 490 (1996). Charge and multiplicity are kept in the atoms' `info`.
    """
    name = smiles if smiles.strip() and smiles.isprintable() else repr(smiles)
    with rdBase.BlockLogs():
        structure = Chem.MolFromSmiles(smiles)
        if structure is None or structure.GetNumAtoms() == 0:
            return Geometry(name, trouble="RDKit reads no structure from this SMILES")
        structure = Chem.AddHs(structure)
        if len(Chem.GetMolFrags(structure)) > 1:
            return Geometry(name, trouble="it is several molecules: predict each on its own")
        info = {
            "charge": Chem.GetFormalCharge(structure),
            "multiplicity": 1 + sum(atom.GetNumRadicalElectrons() for atom in structure.GetAtoms()),
        }
        numbers = [atom.GetAtomicNum() for atom in structure.GetAtoms()]
        if len(numbers) > LARGEST:
            return Geometry(name, trouble=f"it has {len(numbers):,} atoms, more than {LARGEST:,}")
        if rdDistGeom.EmbedMolecule(structure, _embedding()) != 0:
            return Geometry(name, trouble="RDKit finds no geometry for it: hand in one as an XYZ file")
        notes = (_NOT_DFT, *_relaxed(structure))
    positions = structure.GetConformer().GetPositions()
    return Geometry(name, Atoms(numbers=numbers, positions=positions, info=info), notes)


def _embedding() -> rdDistGeom.EmbedParameters:
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = _SEED
    return settings


def _relaxed(structure: Chem.Mol) -> Sequence[str]:
    """Relax a structure's conformer in place; what is to be said if that did not succeed."""
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(structure):
        return ("MMFF94 does not know all its atoms: the geometry is ETKDG's alone",)
    if rdForceFieldHelpers.MMFFOptimizeMolecule(structure, maxIters=_STEPS) != 0:
        return (f"MMFF94 was not done after {_STEPS} steps",)
    return ()
