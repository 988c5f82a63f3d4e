"""QM9's molecules in geometries of another source, made when they are first asked for and kept in the cache folder.

A network that is to know a molecule's U0 from such a geometry has to have seen some.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import batched, pairwise
from pathlib import Path

import ase
import numpy as np
import platformdirs
import rdkit
from ase import Atoms
from ase.data import covalent_radii
from filelock import FileLock
from rdkit import Chem
from rdkit.Chem.rdchem import Conformer
from rdkit.Geometry import Point3D
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from analysis.data.conformers import ConformerError, Conformers
from analysis.data.errors import UserError
from analysis.data.files import reason, whole_file
from analysis.data.molecules import Molecules, to_ase

_log = logging.getLogger(__name__)

FORCE = 0.01
"""eV/Å, where a minimum of GFN2-xTB is found."""
STEPS = 300
"""Of the optimiser, within which it is found or given up."""
SHARES = {"gfn2-xtb": 0.05, "qm9": 0.05}
"""Of the molecules, where `mixed` takes their geometries from; the rest are conformers."""

_FORMAT = "1"
_CHUNK = 200  # so many molecules are one process's at a time
_KEPT_EVERY = 4000  # molecules: what a kill costs
_NONE = np.empty((0, 4), np.float32)
_BOND = 1.25  # times the sum of covalent radii, as far as a bond of QM9 is long


class GeometriesError(UserError, ValueError):
    """None of the molecules has a geometry, or what makes them is missing; the message says how many, or what."""


def mmff94(
    molecules: Molecules, *, cache_dir: str | os.PathLike[str] | None = None, told: Callable[[str], None] = _log.info
) -> Molecules:
    """The molecules as conformers by ETKDG and MMFF94, without those that have none; index, energy and SMILES stay.

    It takes a fortieth of a second per molecule and core when it is asked for it for the first time. The SMILES gets
    the stereochemistry of the molecule's own geometry before, so that its energy stays that of the molecule; where
    RDKit's geometry has other atoms than the molecule there is none. What is made is kept in `cache_dir`, by default
    the user's cache folder for this project, every `_KEPT_EVERY` molecules; `told` hears how far it is.

    Raises GeometriesError if none of them is left.
    """
    return _kept(_CONFORMERS, molecules, told, cache_dir=cache_dir)


def gfn2_xtb(
    molecules: Molecules, *, cache_dir: str | os.PathLike[str] | None = None, told: Callable[[str], None] = _log.info
) -> Molecules:
    """The same at the minima of GFN2-xTB that their geometries lead to, without those that lead to none.

    A third of a second per molecule and core; kept as those of `mmff94` are. The method: Bannwarth, Ehlert and Grimme,
    J. Chem. Theory Comput. 15, 1652 (2019).

    Raises GeometriesError if none of them is left, or if a minimum is to be found and tblite is not installed.
    """
    return _kept(_MINIMA, molecules, told, cache_dir=cache_dir)


def mixed(
    molecules: Molecules, *, cache_dir: str | os.PathLike[str] | None = None, told: Callable[[str], None] = _log.info
) -> Molecules:
    """The molecules in their order, each with a geometry of one source: `SHARES` of them, drawn by index, and `mmff94`.

    Raises what `mmff94` and `gfn2_xtb` raise.
    """
    source = sources(molecules.index)
    parts = [
        made(molecules.select(np.flatnonzero(source == name)), cache_dir=cache_dir, told=told)
        for name, made in (("gfn2-xtb", gfn2_xtb), ("qm9", _unchanged), ("mmff94", mmff94))
        if (source == name).any()
    ]
    fields = ("index", "n_atoms", "numbers", "positions", "energy", "smiles")
    found = Molecules(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})
    place = {index: number for number, index in enumerate(molecules.index.tolist())}
    return found.select(np.argsort([place[index] for index in found.index.tolist()]))


def sources(index: np.ndarray) -> np.ndarray:
    """Where `mixed` takes the geometries of molecules from, by their index: "mmff94", or a key of `SHARES`; str [M]."""
    drawn = index.astype(np.uint64) * np.uint64(2_654_435_761) % np.uint64(2**32) / 2**32
    limits = np.cumsum(list(SHARES.values()))
    return np.array([*SHARES, "mmff94"])[np.searchsorted(limits, drawn, side="right")]


def _unchanged(molecules: Molecules, **_: object) -> Molecules:
    return molecules


def stereo_smiles(molecules: Molecules) -> list[str]:
    """Each molecule's SMILES with the stereochemistry of its geometry.

    QM9's heavy atoms lie in the order of its SMILES. Where they don't (bonds would be too long) it stays as it is.
    """
    atoms = [slice(*ends) for ends in pairwise(molecules.offsets)]
    return [
        _isomer(smiles, molecules.numbers[of], molecules.positions[of])
        for smiles, of in zip(molecules.smiles.tolist(), atoms, strict=True)
    ]


def _isomer(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> str:
    heavy, structure = numbers > 1, Chem.MolFromSmiles(smiles)
    if structure is None or not _fits(structure, numbers[heavy], positions[heavy]):
        return smiles
    conformer = Conformer(structure.GetNumAtoms())
    for atom, position in enumerate(positions[heavy].tolist()):
        conformer.SetAtomPosition(atom, Point3D(*position))
    structure.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(structure)
    return Chem.MolToSmiles(structure)


def _fits(structure: Chem.Mol, numbers: np.ndarray, positions: np.ndarray) -> bool:
    """Whether atoms are those of a structure, in its order, and near enough to each other where it has bonds."""
    if [atom.GetAtomicNum() for atom in structure.GetAtoms()] != numbers.tolist():
        return False
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in structure.GetBonds()]
    ends = np.array(bonds, dtype=int).reshape(-1, 2)
    lengths = np.linalg.norm(positions[ends[:, 0]] - positions[ends[:, 1]], axis=1)
    return bool((lengths < _BOND * covalent_radii[numbers[ends]].sum(axis=1)).all())


@dataclass(frozen=True)
class _Source:
    """Where geometries are from: the file that keeps them, with what, and how those of some molecules are found."""

    name: str
    made_by: Callable[[], str]
    of_chunk: Callable[[Molecules], list[np.ndarray]]


def _kept(
    source: _Source, molecules: Molecules, told: Callable[[str], None], *, cache_dir: str | os.PathLike[str] | None
) -> Molecules:
    try:
        folder = Path(cache_dir or platformdirs.user_cache_path("schnet-qm9-compendium"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"geometries-{source.name}.safetensors"
        made = _read(path, source)
        if not made.keys() >= set(_keys(molecules)):  # or else nobody waits for one who makes others
            with FileLock(path.with_suffix(".lock")):
                made = _with_missing(source, _read(path, source), molecules, path, told)
    except (OSError, RuntimeError) as error:
        told(f"geometries can't be kept ({reason(error)}): they are made anew every time")
        made = _with_missing(source, {}, molecules, None, told)
    has = np.array([made[key].size > 0 for key in _keys(molecules)], dtype=bool)
    if not has.any():
        raise GeometriesError(f"there is a geometry by {source.name} for none of {len(molecules):,} molecules")
    left = molecules.select(has)
    atoms = [made[key] for key in _keys(left)]
    return replace(
        left,
        numbers=np.concatenate([one[:, 0] for one in atoms]).astype(np.uint8),
        positions=np.concatenate([one[:, 1:] for one in atoms]).astype(float),
    )


def _with_missing(
    source: _Source,
    made: dict[str, np.ndarray],
    molecules: Molecules,
    path: Path | None,
    told: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """All that were made, those of the molecules among them; what is missing is made and, with a path, kept."""
    source.made_by()  # raises before the work if what makes them is missing
    missing = [place for place, key in enumerate(_keys(molecules)) if key not in made]
    for number, some in enumerate(batched(missing, _KEPT_EVERY)):
        told(f"geometries by {source.name}: {number * _KEPT_EVERY:,} of {len(missing):,}")
        chosen = molecules.select(np.array(some))
        made |= dict(zip(_keys(chosen), _made(source, chosen), strict=True))
        if path is not None:
            _write(path, made, source)
    return made


def _keys(molecules: Molecules) -> list[str]:
    """What tells molecules apart, in whatever database they are."""
    return [f"{index} {smiles}" for index, smiles in zip(molecules.index, molecules.smiles, strict=True)]


def _made(source: _Source, molecules: Molecules) -> Iterator[np.ndarray]:
    """Of each molecule atomic numbers and positions, Å: float32 [N, 4]; [0, 4] without a geometry."""
    chunks = [molecules.select(np.array(some)) for some in batched(range(len(molecules)), _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for of_chunk in workers.map(source.of_chunk, chunks):
            yield from of_chunk


def _conformers(molecules: Molecules) -> list[np.ndarray]:
    found = []
    with Conformers() as conformers:
        for one, isomer in enumerate(stereo_smiles(molecules)):
            own = molecules.numbers[molecules.offsets[one] : molecules.offsets[one + 1]]
            atoms = _conformer(conformers, isomer)
            if not len(atoms):
                atoms = _like(isomer, molecules.smiles[one], _conformer(conformers, molecules.smiles[one]))
            found.append(atoms if sorted(atoms[:, 0]) == sorted(own) else _NONE)
    return found


def _conformer(conformers: Conformers, smiles: str) -> np.ndarray:
    try:
        positions, _ = conformers.of(smiles)
    except ConformerError:
        return _NONE
    numbers = [atom.GetAtomicNum() for atom in Chem.AddHs(Chem.MolFromSmiles(smiles)).GetAtoms()]
    return np.column_stack([numbers, positions]).astype(np.float32)


def _like(isomer: str, smiles: str, atoms: np.ndarray) -> np.ndarray:
    """The atoms of a SMILES without stereochemistry, if they came to lie as the isomer's or their mirror image.

    In strained cages RDKit's embedding often fails with the stereochemistry given, and finds it without.
    """
    images = ((atoms[:, 0].astype(np.uint8), sign * atoms[:, 1:]) for sign in (1, -1))
    return atoms if len(atoms) and isomer in {_isomer(smiles, *image) for image in images} else _NONE


def _minima(molecules: Molecules) -> list[np.ndarray]:
    found = [_minimum(one) for one in to_ase(molecules)]
    return [_NONE if one is None else np.column_stack([one.numbers, one.positions]).astype(np.float32) for one in found]


def _minimum(atoms: Atoms) -> Atoms | None:
    from ase.calculators.calculator import CalculationFailed
    from ase.optimize import BFGS  # which takes a second to import
    from tblite.ase import TBLite  # an extra, see `_tblite`

    found = Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method="GFN2-xTB", verbosity=0))
    try:
        done = BFGS(found, logfile=None).run(fmax=FORCE, steps=STEPS)
    except CalculationFailed:  # xTB's own cycles did not converge
        return None
    return found if done else None


def _tblite() -> str:
    try:
        return f"tblite {version('tblite')}, ase {ase.__version__}"
    except PackageNotFoundError as error:
        raise GeometriesError("tblite, which relaxes by GFN2-xTB, is not installed: `pip install tblite`") from error


_CONFORMERS = _Source("mmff94", lambda: f"rdkit {rdkit.__version__}", _conformers)
_MINIMA = _Source("gfn2-xtb", _tblite, _minima)


def _write(path: Path, made: Mapping[str, np.ndarray], source: _Source) -> None:
    arrays = {
        "keys": np.frombuffer(json.dumps(list(made)).encode(), dtype=np.uint8),
        "n_atoms": np.array([len(one) for one in made.values()], dtype=np.int64),
        "atoms": np.concatenate(list(made.values())),
    }
    with whole_file(path) as temporary:
        save_file(arrays, temporary, {"format": _FORMAT, "made_by": source.made_by()})


def _read(path: Path, source: _Source) -> dict[str, np.ndarray]:
    """What `_write` wrote; nothing without such a file or, with a warning, if it is damaged or another version's."""
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            keys, n_atoms, atoms = (file.get_tensor(name) for name in ("keys", "n_atoms", "atoms"))
        parts = np.split(atoms.reshape(-1, 4), np.cumsum(n_atoms)[:-1])
        made = dict(zip(json.loads(keys.tobytes()), parts, strict=True))
    except (SafetensorError, OSError, ValueError) as error:
        _log.warning("the geometries in %s are made anew: it can't be read (%s)", path, reason(error))
        return {}
    if [len(part) for part in parts] != n_atoms.tolist() or metadata.get("format") != _FORMAT:
        _log.warning("the geometries in %s are made anew: its parts don't fit together", path)
        return {}
    if metadata.get("made_by") != source.made_by():
        _log.warning("the geometries in %s are made anew: they are those of %s", path, metadata.get("made_by"))
        return {}
    return made
