"""Geometries that someone hands in, to be predicted: from files of several formats and from SMILES. Lengths in Å.

Nothing is raised for a file or a molecule that can't be read: what is wrong is said beside its name.
"""

import csv
import gzip
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, tee
from pathlib import Path

from ase import Atoms
from rdkit import Chem, rdBase

from analysis.data import extxyz
from analysis.data.conformers import ConformerError, Conformers
from analysis.data.files import naming, reason
from analysis.evaluation.prediction_intervals import MMFF, UNKNOWN
from analysis.predict.applicability import refused_anywhere

_BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
_INCHI = "InChI="
_SDF_END = "$$$$"


@dataclass(frozen=True)
class Geometry:
    """One molecule handed in: `name` tells it from the others, `notes` are warnings about where it comes from.

    `kind` is one of `prediction_intervals.KINDS`, or "unknown". `trouble` says why there are no `atoms`, if there are
    none.
    """

    name: str
    atoms: Atoms | None = None
    notes: tuple[str, ...] = ()
    trouble: str = ""
    kind: str = UNKNOWN


def read_file(path: str | os.PathLike[str], *, form: str = "", column: str = "smiles") -> Iterator[Geometry]:
    """The molecules of a file, or of a folder's files of a known format, in their order; "-" is the standard input.

    XYZ (plain, extended or QM9's own, see `extxyz.frames`); SDF and MOL, where one without a geometry in space gets a
    conformer; a SMILES or InChI per line, with a name behind it; CSV, whose `column` holds SMILES. All of them also
    compressed with gzip. `form`, a file's ending without the point, says the format where the name does not.

    Each molecule is read when it is asked for, and on its own: a damaged one spoils no other. It is called as the file
    calls it (`name` in the comment of an extended XYZ), or by its place. What an extended XYZ comment says, of charge
    and spin too, is kept in the atoms' `info`.
    """
    path = Path(path)
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _form(file) in _READERS]
        yield from (one for file in files for one in read_file(file))
        if not files:
            yield Geometry(str(path), trouble=f"it holds no file whose name ends in {_ENDINGS}")
        return
    shown = "standard input" if str(path) == "-" else str(path)
    form = form.removeprefix(".") or ("xyz" if str(path) == "-" else _form(path))
    if form not in _READERS:
        yield Geometry(shown, trouble=f"its name does not end in {_ENDINGS}; --format says what else it is")
        return
    before, place = None, 0
    try:
        with _plain(path) as plain:
            for place, one in enumerate(_READERS[form](plain, column), start=1):
                if before is not None:
                    yield before
                before = one if one.name else replace(one, name=f"{shown}, molecule {place}")
    except (OSError, EOFError, ValueError, RuntimeError, csv.Error, zlib.error) as error:
        if before is not None:
            yield before
        yield Geometry(shown, trouble=f"it can't be read ({reason(error).removeprefix(f'{path}: ')})")
        return
    if before is None:
        yield Geometry(shown, trouble="it holds no molecules")
    elif place == 1 and before.name == f"{shown}, molecule 1":
        yield replace(before, name=shown)
    else:
        yield before


def _form(path: Path) -> str:
    """What a name's ending says, without the point and in small letters."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower().removeprefix(".")


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file itself, or one that holds what is compressed in it, or what the standard input says."""
    if str(path) != "-" and path.suffix.lower() != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        with naming(path), sys.stdin.buffer if str(path) == "-" else gzip.open(path) as given, plain.open("wb") as file:
            shutil.copyfileobj(given, file)
        yield plain


def _xyz(path: Path, _: str) -> Iterator[Geometry]:
    for frame in extxyz.frames(path):
        name = "" if frame.atoms is None else frame.atoms.info.get("name", "")
        trouble = frame.trouble and f"line {frame.first}: {frame.trouble}"
        yield Geometry(name if isinstance(name, str) else "", frame.atoms, trouble=trouble)


def _sdf(path: Path, _: str) -> Iterator[Geometry]:
    with path.open(encoding="utf-8", errors="replace") as file:
        # RDKit's own reader takes the molecule after a damaged one along with it.
        for end, lines in groupby(file, lambda line: line.startswith(_SDF_END)):
            if not end and (block := "".join(lines)).strip():
                with rdBase.BlockLogs():
                    yield _of_structure(Chem.MolFromMolBlock(block, removeHs=False))


def _of_structure(structure: Chem.Mol | None) -> Geometry:
    if structure is None:
        return Geometry("", trouble="RDKit reads no structure from it")
    name = structure.GetProp("_Name").strip()
    if not (structure.GetNumConformers() and structure.GetConformer().Is3D()):
        (found,) = all_from_smiles([Chem.MolToSmiles(Chem.RemoveHs(structure))])
        return replace(found, name=name)
    if missing := sum(atom.GetTotalNumHs() for atom in structure.GetAtoms()):
        return Geometry(name, trouble=f"it lacks {missing} of its hydrogens: add them, or hand in its SMILES")
    atoms, trouble = _unplaced(structure)
    atoms.positions = structure.GetConformer().GetPositions()
    return Geometry(name, None if trouble else atoms, trouble=trouble)


def _smiles(path: Path, _: str) -> Iterator[Geometry]:
    with path.open(encoding="utf-8-sig") as file:
        words = (line.split(maxsplit=1) for line in file if line.strip())
        words = (each for place, each in enumerate(words) if place or each[0].lower() not in ("smiles", "inchi"))
        these, those = tee(words)  # a heading is left out
        names = (rest[0].strip() if rest else first for first, *rest in those)
        for name, found in zip(names, all_from_smiles(first for first, *_ in these), strict=True):
            yield replace(found, name=name)


def _csv(path: Path, column: str) -> Iterator[Geometry]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        names = table.fieldnames or []
        wanted = next((name for name in names if name.strip().lower() == column.lower()), None)
        if wanted is None:
            raise ValueError(f"it has no column {column!r}, only {', '.join(names)}: --column names another")
        yield from all_from_smiles(row[wanted] or "" for row in table)


_READERS: Mapping[str, Callable[[Path, str], Iterator[Geometry]]] = {
    "xyz": _xyz,
    "extxyz": _xyz,
    "sdf": _sdf,
    "mol": _sdf,
    "smi": _smiles,
    "smiles": _smiles,
    "csv": _csv,
}
FORMATS = tuple(_READERS)
"""Of the files that `read_file` knows, as their names end."""
_ENDINGS = f"{', '.join(f'.{form}' for form in FORMATS)} or one of these and .gz"


def all_from_smiles(several: Iterable[str]) -> Iterator[Geometry]:
    """One conformer of each SMILES or InChI: embedded with ETKDG, then relaxed with MMFF94; always the same one.

    ETKDG version 3: Wang, Witek, Landrum and Riniker, J. Chem. Inf. Model. 60, 2044 (2020). MMFF94: Halgren, J. Comput.
    Chem. 17, 490 (1996). Charge and multiplicity are kept in the atoms' `info`.

    What RDKit would read as something else than it says is refused (text after a space, signs outside ASCII), and so
    are isotopes, since U0 holds the zero-point vibrations of the usual ones. Numbers of an atom map are passed over.
    """
    with Conformers() as conformers:
        for text in several:
            name = text if text.strip() and text.isprintable() else repr(text)
            with rdBase.BlockLogs():
                structure, trouble = _read(text.strip())
                if structure is not None:
                    atoms, trouble = _unplaced(structure)
            if trouble:
                yield Geometry(name, trouble=trouble)
                continue
            smiles = Chem.MolToSmiles(Chem.RemoveHs(structure)) if text.strip().startswith(_INCHI) else text.strip()
            try:
                if smiles != text.strip():  # an InChI's atoms come in another order
                    atoms, _ = _unplaced(_read(smiles)[0])  # type: ignore[arg-type] # RDKit reads what it wrote
                atoms.positions, notes = conformers.of(smiles)
            except ConformerError as error:
                yield Geometry(name, trouble=str(error))
            else:
                yield Geometry(name, atoms, notes, kind=MMFF)


def _read(text: str) -> tuple[Chem.Mol | None, str]:
    """What a SMILES or InChI describes, with its hydrogens, and what is wrong if it is None."""
    signs = (sign for sign in text if not (sign.isascii() and (sign.isprintable() or sign.isspace())))
    kind, parse = ("InChI", Chem.MolFromInchi) if text.startswith(_INCHI) else ("SMILES", Chem.MolFromSmiles)
    if foreign := next(signs, ""):
        return None, f"no {kind} holds {foreign!r}"
    if len(text.split()) > 1:
        return None, f"its {kind} ends at the first space: leave out what stands after it"
    try:
        structure = parse(text)
        if structure is None or structure.GetNumAtoms() == 0:
            return None, f"RDKit reads no structure from this {kind}"
        return Chem.AddHs(structure), ""
    except (RuntimeError, ValueError) as error:
        return None, f"RDKit can't read it ({' '.join(str(error).split()[:8])})"


def _unplaced(structure: Chem.Mol) -> tuple[Atoms, str]:
    """The atoms of a structure with its hydrogens, all at one place, and why they can't be predicted."""
    every = list(structure.GetAtoms())
    atoms = Atoms(
        numbers=[atom.GetAtomicNum() for atom in every],
        info={
            "charge": Chem.GetFormalCharge(structure),
            "multiplicity": 1 + sum(atom.GetNumRadicalElectrons() for atom in every),
        },
    )
    if len(Chem.GetMolFrags(structure)) > 1:
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
