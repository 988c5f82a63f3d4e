"""Molecules in XYZ files, plain, extended or in QM9's own layout: lengths in Å, energies in eV."""

import codecs
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.io.extxyz import XYZError, key_val_str_to_dict, read_xyz

from analysis.data.files import naming, whole_file
from analysis.data.molecules import Molecules, MoleculesError, from_ase

SUFFIXES = (".xyz", ".extxyz")
"""How the names of XYZ files end."""

_COUNT = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)
_PRINTABLE = re.compile(r"[\t -~]*")
_UNDECODED = re.compile("[\udc80-\udcff]")
_MOST_COLUMNS = 1000

# QM9's comment line: "gdb", the molecule's number and 15 properties (Ramakrishnan et al. 2014, Table 3).
_QM9_WORDS = 17
_QM9_U0 = 12  # in Hartree
_QM9_TAIL = 3  # lines after the atoms: frequencies, SMILES, InChI

# What ASE's reader raises for a damaged molecule; AttributeError is what becomes of elements that are no words.
_ERRORS = (XYZError, ValueError, IndexError, TypeError, AttributeError)


@dataclass(frozen=True)
class Frame:
    """A molecule of an XYZ file, or something else in its place: `trouble` then says why there are no `atoms`.

    `first` is the number of its first line, counted from 1.
    """

    first: int
    atoms: Atoms | None = None
    trouble: str = ""


def frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """What an XYZ file holds, each molecule on its own; every line that is not blank belongs to a frame.

    Plain XYZ, extended XYZ, and QM9's own files, whose number and SMILES (GDB-17's) go to `info`, U0 (eV) to the
    calculator. Blank lines may stand between molecules. A line ends at LF, CR LF or CR and at nothing else. The text is
    UTF-8 or, with a byte-order mark, UTF-16; a line that is not UTF-8 is read as Latin-1. Only a comment may hold
    anything but printable ASCII. Raises OSError if the file can't be opened, UnicodeError for damaged UTF-16.
    """
    first = 1
    for block in _blocks(_lines(Path(path))):
        if block[0].strip():
            yield _frame(block, first)
        first += len(block)


def files(path: str | os.PathLike[str]) -> list[Path]:
    """The file itself, or a folder's XYZ files by name."""
    path = Path(path)
    return sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES) if path.is_dir() else [path]


def read(path: str | os.PathLike[str], energy_key: str = "energy_U0") -> Molecules:
    """Molecules of an XYZ file or of a folder of them, in Å; U0 in eV under `energy_key` or `energy`, or as QM9 has it.

    Raises MoleculesError for something in a file that is no whole and legible molecule (names file, line and reason),
    and for what `from_ase` refuses.
    """
    atoms = [one for file in files(path) for one in _read(file)]
    if not atoms:
        raise MoleculesError(f"{path} holds no file whose name ends in {' or '.join(SUFFIXES)}")
    return from_ase(atoms, energy_key)


def write(path: str | os.PathLike[str], molecules: Molecules) -> None:
    """Write an extended XYZ file that ASE reads back to the last digit; a failure leaves what was there before.

    ASE's own writer keeps eight decimals of a coordinate, where QM9 has ten, and loses the backslashes of a SMILES.
    """
    symbols = np.array(chemical_symbols)[molecules.numbers].tolist()
    positions = molecules.positions.tolist()
    with whole_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        for m in range(len(molecules)):
            smiles = f" smiles={_quoted(str(molecules.smiles[m]))}" if molecules.smiles[m] else ""
            file.write(
                f"{molecules.n_atoms[m]}\nProperties=species:S:1:pos:R:3 index={molecules.index[m]}"
                f' energy={float(molecules.energy[m])!r}{smiles} pbc="F F F"\n'
            )
            for a in range(*molecules.offsets[m : m + 2]):
                file.write(f"{symbols[a]} {' '.join(map(repr, positions[a]))}\n")


def _quoted(text: str) -> str:
    """`text` as the value of a key in an extended XYZ comment."""
    quoted = _escaped(text)
    # ASE takes "F" (hydrogen fluoride) for a truth value and digits for numbers; behind this prefix they stay text.
    read = key_val_str_to_dict(f"x={quoted}")["x"]
    return quoted if isinstance(read, str) and read == text else _escaped(f"_JSON {json.dumps(text)}")


def _escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read(path: Path) -> list[Atoms]:
    atoms: list[Atoms] = []
    try:
        for frame in frames(path):
            if frame.atoms is None:
                place = f"{path}, line {frame.first}, molecule {len(atoms) + 1} of the file"
                raise MoleculesError(f"{place}: {frame.trouble}")
            atoms.append(frame.atoms)
    except UnicodeError as error:
        raise MoleculesError(f"{path}: it can't be read ({error})") from error
    if not atoms:
        raise MoleculesError(f"{path} holds no molecules")
    return atoms


def _lines(path: Path) -> Iterator[str]:
    with naming(path):
        with path.open("rb") as file:
            utf16 = file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
        with path.open(encoding="utf-16" if utf16 else "utf-8", errors="surrogateescape") as file:
            for end in file:
                line = end.rstrip("\n").removeprefix("\ufeff")
                yield line.encode("utf-8", "surrogateescape").decode("latin-1") if _UNDECODED.search(line) else line


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    """The lines of each molecule, of what stands in the place of one, and each blank line between them.

    A molecule ends at a line that is blank or holds only a number, as no atom's line does: a wrong number of atoms
    spoils no other molecule. Anything else ends at the next such number.
    """
    block: list[str] = []
    for line in lines:
        if block and _ends(block, line):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _ends(block: list[str], line: str) -> bool:
    """Whether a block ends before this line."""
    is_molecule = _COUNT.fullmatch(block[0])
    if is_molecule and len(block) == 1:
        return False  # its comment, whatever it holds
    return bool(not block[0].strip() or _COUNT.fullmatch(line) or (is_molecule and not line.strip()))


def _frame(lines: list[str], first: int) -> Frame:
    try:
        return Frame(first, _molecule(lines))
    except MoleculesError as error:
        return Frame(first, trouble=str(error))
    except KeyError as error:
        return Frame(first, trouble=f"there is no element {error}")
    except _ERRORS as error:
        return Frame(first, trouble=f"it can't be read ({error})")


def _molecule(lines: list[str]) -> Atoms:
    """A molecule; for anything else raises MoleculesError, KeyError of an unknown element, or one of `_ERRORS`."""
    count, comment, *rest = lines if len(lines) > 1 else (*lines, "")
    if not _COUNT.fullmatch(count):
        raise MoleculesError(f"its number of atoms is expected in place of {count!r}")
    n_atoms, words = int(count), comment.split()
    if len(rest) < n_atoms:
        raise MoleculesError(
            f"its number of atoms is {n_atoms}, and after the comment there are lines for {len(rest)}: "
            "the number is wrong, or the file was cut"
        )
    after = rest[n_atoms:]
    qm9 = len(words) == _QM9_WORDS and words[0] == "gdb"
    if not (all(line.startswith("VEC") for line in after) or (qm9 and len(after) == _QM9_TAIL)):
        raise MoleculesError(f"its number of atoms is {n_atoms}, but {after[0]!r} follows them")
    if wrong := [line for line in rest if not _PRINTABLE.fullmatch(line)]:
        raise MoleculesError(f"{wrong[0]!r} holds signs that only a comment may hold")
    if qm9:
        return _of_qm9(words, rest, after)
    return next(read_xyz(StringIO("\n".join([count, comment, *rest, ""])), 0, properties_parser=_of_comment))


def _of_qm9(words: list[str], rest: list[str], after: list[str]) -> Atoms:
    """A molecule of QM9's own files, in which 1.2*^-6 is 1.2e-6 and a charge stands behind each atom's coordinates."""
    plain = [line.replace("*^", "e") for line in rest[: len(rest) - len(after)]]
    atoms = next(read_xyz(StringIO("\n".join([str(len(plain)), "", *plain, ""])), 0))
    atoms.info = {"index": int(words[1])}
    if after and (smiles := after[1].split()):
        atoms.info["smiles"] = smiles[0]
    atoms.calc = SinglePointCalculator(atoms, energy=float(words[_QM9_U0].replace("*^", "e")) * ase.units.Hartree)
    return atoms


def _of_comment(comment: str) -> dict[str, object]:
    """What a comment line of extended XYZ says; raises ValueError if it declares too many columns.

    ASE makes room for all of them before it reads an atom: a digit too many and the memory is full.
    """
    said = key_val_str_to_dict(comment)
    declared = str(said.get("Properties", "")).split(":")[2::3]
    if sum(map(int, declared)) > _MOST_COLUMNS:
        raise MoleculesError(f"its Properties declare more than {_MOST_COLUMNS:,} columns")
    return said
