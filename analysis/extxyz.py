"""Molecules in extended XYZ files: lengths in Å, energies in eV."""

import json
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from ase.io import iread
from ase.io.extxyz import XYZError, key_val_str_to_dict

from analysis.molecules import Molecules, MoleculesError, from_ase, whole_file

_MOST_COLUMNS = 1000

ERRORS = (XYZError, ValueError, KeyError, IndexError, TypeError, RuntimeError, AttributeError)
"""What ASE's reader of extended XYZ raises for a damaged file.

RuntimeError is what becomes of one that ends before a comment line, AttributeError of elements that are no words.
"""


def check_columns(line: str) -> None:
    """Raise one of `ERRORS` for the comment line of an extended XYZ file that declares too many columns.

    ASE makes room for all of them before it reads an atom: a digit too many and the memory is full.
    """
    if "Properties" not in line:
        return
    declared = str(key_val_str_to_dict(line).get("Properties", "")).split(":")[2::3]
    if sum(map(int, declared)) > _MOST_COLUMNS:
        raise ValueError(f"its Properties declare more than {_MOST_COLUMNS:,} columns")


def read(path: Path, energy_key: str = "energy_U0") -> Molecules:
    """Molecules of an extended XYZ file (Å; U0 in eV under `energy_key` or `energy`).

    Raises
    ------
    MoleculesError
        A damaged or truncated file (names the molecule by its place in the file), or what `from_ase` refuses.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):  # noqa: B007 - the message names it
                check_columns(line)
    except ERRORS as error:
        raise MoleculesError(f"{path}, line {number}: it can't be read ({error})") from error
    atoms = []
    try:
        atoms.extend(iread(path, ":", format="extxyz"))
    except ERRORS as error:
        raise MoleculesError(f"{path}, molecule {len(atoms) + 1} of the file: it can't be read ({error})") from error
    if not atoms:
        raise MoleculesError(f"{path} holds no molecules")
    return from_ase(atoms, energy_key)


def write(path: Path, molecules: Molecules) -> None:
    """Write an extended XYZ file that ASE reads back to the last digit; a failure leaves what was there before.

    ASE's own writer keeps eight decimals of a coordinate, where QM9 has ten, and loses the backslashes of a SMILES.
    """
    symbols = np.array(chemical_symbols)[molecules.numbers].tolist()
    positions = molecules.positions.tolist()
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for m in range(len(molecules)):
            smiles = f" smiles={_quoted(str(molecules.smiles[m]))}" if molecules.smiles[m] else ""
            file.write(
                f"{molecules.n_atoms[m]}\nProperties=species:S:1:pos:R:3 index={molecules.index[m]}"
                f' energy={float(molecules.energy[m])!r}{smiles} pbc="F F F"\n'
            )
            file.writelines(
                f"{symbols[a]} {positions[a][0]!r} {positions[a][1]!r} {positions[a][2]!r}\n"
                for a in range(molecules.offsets[m], molecules.offsets[m + 1])
            )


def _quoted(text: str) -> str:
    """`text` as the value of a key in an extended XYZ comment."""
    quoted = _escaped(text)
    # ASE takes "F" (hydrogen fluoride) for a truth value and digits for numbers; behind this prefix they stay text.
    read = key_val_str_to_dict(f"x={quoted}")["x"]
    return quoted if isinstance(read, str) and read == text else _escaped(f"_JSON {json.dumps(text)}")


def _escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
