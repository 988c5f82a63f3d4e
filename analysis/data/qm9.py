"""Where QM9 (Ramakrishnan et al., Sci. Data 1, 140022 (2014)) comes from: the package qm9pack, or a cache of it."""

import importlib.metadata
import importlib.util
import json
import logging
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import MappingProxyType

import ase.units
import numpy as np
import platformdirs
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from ase.data import atomic_numbers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from analysis.data.errors import UserError
from analysis.data.files import naming, reason, remove_leftovers, whole_file
from analysis.data.molecules import Molecules, MoleculesError, check_separation

_log = logging.getLogger(__name__)

# 133,885 molecules less the 3,054 that QM9's authors flag as uncharacterised.
N_MOLECULES = 130_831

FINGERPRINT = "8a2d52e1e89560935e03ba7bd5049b642fabec6241f2e62bb165db6995070b19"
"""`Molecules.fingerprint` of all of them, as records name it."""

_REFERENCES_HARTREE = {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730}
ATOMIC_REFERENCES_U0 = MappingProxyType({z: e * ase.units.Hartree for z, e in _REFERENCES_HARTREE.items()})
"""U0 of the free atoms by atomic number, eV: QM9's `atomref.txt` (Ramakrishnan et al. 2014)."""

_PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
_COLUMNS = ("Index", "SMILES", "N_atoms", "Elements", "XYZ_Ang", "InternalEnergy_0K_au")

_SAME_ZERO_POINT = 1e-5  # Ha

_CACHE_FORMAT = "1"
_CACHE_FILE = "qm9.safetensors"
_ARRAYS = ("index", "n_atoms", "numbers", "positions", "energy")


class QM9NotInstalledError(UserError, ImportError):
    """The package that carries QM9 is not installed, or holds no data."""


def load(cache_dir: str | os.PathLike[str] | None = None) -> Molecules:
    """All 130,831 molecules of QM9, by index, from the cache or (the first time) from the installed qm9pack.

    The cache lies in `cache_dir`, by default the user's cache folder for this project. One that is damaged or of
    another version is made anew, with a warning in the log that says why. A folder that can't be written, or a user
    without a home, costs a warning and nothing else.

    Raises QM9NotInstalledError without qm9pack, and MoleculesError, which names file or molecule and the reason, if the
    installed data are not what they should be.
    """
    try:
        version = importlib.metadata.version("qm9pack")
    except importlib.metadata.PackageNotFoundError as error:
        raise QM9NotInstalledError(
            "QM9 comes from the package qm9pack, which is not installed here: pip install qm9pack"
        ) from error
    try:
        folder = Path(cache_dir or platformdirs.user_cache_path("schnet-qm9-compendium"))
    except RuntimeError:
        _log.warning("QM9 can't be kept: this user has no home folder; it is read from its CSV files every time")
        return _read_installed()
    path = folder / _CACHE_FILE
    remove_leftovers(path)
    cached = read_cache(path, version)
    if cached is not None:
        return cached
    molecules = _read_installed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_cache(path, molecules, version)
    except (OSError, SafetensorError) as error:
        _log.warning("QM9 can't be kept in %s (%s): it will be read from its CSV files every time", folder, error)
    return molecules


def read_csv_parts(paths: Iterable[str | os.PathLike[str]]) -> Molecules:
    """Molecules of CSV files in qm9pack's layout, by index.

    Columns `Index`, `SMILES`, `N_atoms`, `Elements` (``"['C','H']"``), `XYZ_Ang` (``"[[x,y,z],[x,y,z]]"``, Å) and
    `InternalEnergy_0K_au` (Hartree); others are ignored.

    Raises FileNotFoundError, and MoleculesError, which names the file, or the molecule's index, and the reason: a
    missing column, a line that was cut, numbers that can't be read, counts that don't fit together, or what `Molecules`
    and `check_separation` refuse.
    """
    parts = [_read_csv(Path(path)) for path in paths]
    if not parts:
        raise MoleculesError("no CSV file to read molecules from")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    molecules = Molecules(**columns)
    if not len(molecules):
        raise MoleculesError("the CSV files hold no molecules")
    if (np.diff(molecules.index) < 0).any():
        molecules = molecules.select(np.argsort(molecules.index))
    return check_separation(molecules)


def harmonic_frequencies(indices: Collection[int]) -> dict[int, np.ndarray]:
    """Harmonic frequencies, cm⁻¹, ascending, of those of these molecules whose list is whole, from qm9pack.

    QM9 computed them at its own geometries and level, and its zero-point energy is half their sum. About a thousand
    lists do not give it, to 1e-5 Ha: they are left out. Raises QM9NotInstalledError, and MoleculesError for a list that
    can't be read.
    """
    columns = ("Index", "Harmonic_Freq_cmi", "ZPVE_au")
    options = pyarrow.csv.ConvertOptions(
        include_columns=columns, column_types=dict(zip(columns, (pa.int64(), pa.string(), pa.float64()), strict=True))
    )
    wanted = pa.array(sorted(indices), pa.int64())
    found: dict[int, np.ndarray] = {}
    for part in _PARTS:
        path = _installed() / part
        try:
            table = pyarrow.csv.read_csv(path, convert_options=options)
            rows = table.filter(pc.is_in(table["Index"], wanted)).to_pylist()
            lists = {row["Index"]: (_numbers(row["Harmonic_Freq_cmi"]), row["ZPVE_au"]) for row in rows}
        except (FileNotFoundError, pa.ArrowInvalid, pa.ArrowKeyError, ValueError) as error:
            raise MoleculesError(f"{path} has no harmonic frequencies that can be read: {reason(error)}") from error
        found |= {
            index: waves
            for index, (waves, zero_point) in lists.items()
            if abs(waves.sum() / 2 * ase.units.invcm / ase.units.Hartree - zero_point) < _SAME_ZERO_POINT
        }
    return found


def _numbers(cell: str) -> np.ndarray:
    """Those of ``[3,1,2]``, ascending."""
    return np.sort(np.array(cell.strip("[]").split(","), dtype=float))


def _installed() -> Path:
    """The folder of qm9pack's files; found, not imported: it imports pkg_resources, which setuptools has removed."""
    spec = importlib.util.find_spec("qm9pack")
    if spec is None or not spec.submodule_search_locations:
        raise QM9NotInstalledError("qm9pack's files are missing: pip install --force-reinstall qm9pack")
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_installed() -> Molecules:
    folder = _installed()
    try:
        molecules = read_csv_parts(folder / part for part in _PARTS)
    except FileNotFoundError as error:
        raise QM9NotInstalledError(f"{error}: pip install --force-reinstall qm9pack") from error
    if len(molecules) != N_MOLECULES:
        raise MoleculesError(
            f"{folder} holds {len(molecules)} molecules instead of {N_MOLECULES}; a file of it is truncated or "
            "changed: pip install --force-reinstall qm9pack"
        )
    return molecules


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    """One file's columns as the arrays of `Molecules`."""
    # As text, so that a value that can't be read is reported with its molecule.
    options = pyarrow.csv.ConvertOptions(
        include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False
    )
    # A number cut short would still be one.
    with naming(path), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        last = file.read()
    if last not in (b"", b"\n"):
        raise MoleculesError(f"{path} is truncated: its last line has no end")
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise MoleculesError(f"{path} is truncated or not in qm9pack's layout: {error}") from error
    text = {name: table[name].combine_chunks() for name in _COLUMNS}
    del table
    index = _cast(text["Index"], pa.int64(), lambda row: f"{path}, molecule number {row + 1} of the file: its Index")
    n_atoms = _cast(text["N_atoms"], pa.int64(), lambda row: f"molecule {index[row]}: its N_atoms")
    energy = _cast(
        text["InternalEnergy_0K_au"], pa.float64(), lambda row: f"molecule {index[row]}: its InternalEnergy_0K_au"
    )
    return {
        "index": index,
        "n_atoms": n_atoms,
        "numbers": _parse_elements(text["Elements"], index, n_atoms),
        "positions": _parse_coordinates(text["XYZ_Ang"], index, n_atoms),
        "energy": energy * ase.units.Hartree,
        "smiles": np.array(text["SMILES"].to_pylist(), dtype=str),
    }


def _parse_elements(cells: pa.StringArray, index: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
    """Atomic numbers of all ``['C','H']``: uint8 [A]."""
    symbols = _split(cells, "['", "','", "']", index, n_atoms, "Elements")
    encoded = pc.list_flatten(symbols).dictionary_encode()
    # Few different symbols: look each up once. 0 is no element.
    table = np.array([atomic_numbers.get(s, 0) for s in encoded.dictionary.to_pylist()], dtype=np.uint8)
    numbers = table[encoded.indices.to_numpy()]
    if (numbers == 0).any():
        atom = int((numbers == 0).argmax())
        row = np.searchsorted(np.cumsum(n_atoms), atom, side="right")
        raise MoleculesError(f"molecule {index[row]}: unknown element {encoded[atom].as_py()!r}")
    return numbers


def _parse_coordinates(cells: pa.StringArray, index: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
    """Coordinates of all ``[[x,y,z],[x,y,z]]``: float64 [A, 3], Å."""
    atoms = _split(cells, "[[", "],[", "]]", index, n_atoms, "XYZ_Ang")
    row_of = np.repeat(np.arange(len(index)), n_atoms)
    coordinates = pc.split_pattern(pc.list_flatten(atoms), ",")
    wrong = pc.list_value_length(coordinates).to_numpy() != 3
    if wrong.any():
        atom = int(wrong.argmax())
        raise MoleculesError(
            f"molecule {index[row_of[atom]]}: XYZ_Ang holds {len(coordinates[atom])} coordinates for one atom"
        )
    values = _cast(
        pc.list_flatten(coordinates),
        pa.float64(),
        lambda k: f"molecule {index[row_of[k // 3]]}: in XYZ_Ang, coordinate",
    )
    return values.reshape(-1, 3)


def _split(
    cells: pa.StringArray, start: str, between: str, end: str, index: np.ndarray, n_atoms: np.ndarray, name: str
) -> pa.ListArray:
    """What lists hold as texts, an item per atom."""
    cells = pc.replace_substring(cells, " ", "")
    whole = pc.and_(pc.starts_with(cells, start), pc.ends_with(cells, end)).to_numpy(zero_copy_only=False)
    if not whole.all():
        row = int((~whole).argmax())
        raise MoleculesError(f"molecule {index[row]}: {name} is not a list of the form {start}…{end}")
    lists = pc.split_pattern(pc.utf8_slice_codeunits(cells, len(start), -len(end)), between)
    lengths = pc.list_value_length(lists).to_numpy()
    wrong = lengths != n_atoms
    if wrong.any():
        row = int(wrong.argmax())
        raise MoleculesError(
            f"molecule {index[row]}: its N_atoms is {n_atoms[row]}, but {name} holds {lengths[row]} atoms"
        )
    return lists


def _cast(text: pa.StringArray, kind: pa.DataType, where: Callable[[int], str]) -> np.ndarray:
    try:
        return pc.cast(text, kind).to_numpy()
    except pa.ArrowInvalid:
        # Slow, but it happens once and finds the culprit.
        for position, value in enumerate(text.to_pylist()):
            try:
                pc.cast(pa.scalar(value), kind)
            except pa.ArrowInvalid as error:
                raise MoleculesError(f"{where(position)} {value!r} is not a number") from error
        raise


def write_cache(path: str | os.PathLike[str], molecules: Molecules, version: str) -> None:
    """Write molecules that came from a version of qm9pack, with their checksum; raises OSError or SafetensorError."""
    path = Path(path)
    text = json.dumps(molecules.smiles.tolist()).encode()
    arrays = {name: getattr(molecules, name) for name in _ARRAYS} | {"smiles": np.frombuffer(text, dtype=np.uint8)}
    metadata = {"format": _CACHE_FORMAT, "source": f"qm9pack {version}", "sha256": molecules.fingerprint()}
    with whole_file(path) as temporary:
        save_file(arrays, temporary, metadata)


def read_cache(path: str | os.PathLike[str], version: str) -> Molecules | None:
    """Molecules that `write_cache` wrote; None without such a file or, with a warning that says why, if it won't do."""
    path = Path(path)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _CACHE_FORMAT:
                return _rebuild(path, f"its format is {metadata.get('format')}, not {_CACHE_FORMAT}")
            if metadata.get("source") != f"qm9pack {version}":
                return _rebuild(path, f"it was made from {metadata.get('source')}, installed is qm9pack {version}")
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
            smiles = np.array(json.loads(file.get_tensor("smiles").tobytes()), dtype=str)
        molecules = Molecules(**arrays, smiles=smiles)
    except (SafetensorError, OSError, ValueError) as error:
        return _rebuild(path, f"it can't be read ({reason(error)})")
    if molecules.fingerprint() != metadata.get("sha256"):
        return _rebuild(path, "its content does not match its checksum")
    return molecules


def _rebuild(path: Path, reason: str) -> None:
    _log.warning("the cached QM9 in %s is made anew: %s", path, reason)
