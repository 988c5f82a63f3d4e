"""Geometries away from equilibrium, one per molecule, labelled with a potential energy and forces. Å, eV, eV/Å.

They lie in shards, `NAME-00.parquet`, `NAME-01.parquet` …, each a row per molecule: its `index`; `molecule`, a checksum
of its elements and of its own geometry; `time_fs`, how far into its trajectory the frame is; `energy`, eV; and lists of
x, y, z per atom: `displacement` from the own geometry, 1e-4 Å, and `force`, 1e-3 eV/Å. The file's metadata say the
level of theory, the protocol, the versions and which molecules were left out.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.data.errors import UserError
from analysis.data.files import reason, whole_file
from analysis.data.molecules import Molecules
from analysis.data.tables import write_table

LENGTH = 1e-4
"""Å. Positions are multiples of it."""
FORCE = 1e-3
"""eV/Å. Forces are rounded to multiples of it."""
_PER_LENGTH, _PER_FORCE = 10_000, 1_000  # whole numbers, by which division rounds alike everywhere
_LARGEST = np.iinfo(np.int16).max

_FORMAT = "1"
_LISTS = ("displacement", "force")
_SCHEMA = pa.schema(
    {
        "index": pa.int64(),
        "molecule": pa.uint32(),
        "time_fs": pa.float32(),
        "energy": pa.float64(),
        **dict.fromkeys(_LISTS, pa.list_(pa.int16())),
    }
)


class FramesError(UserError, ValueError):
    """Frames that are missing, damaged, of other molecules, or that no file can hold; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Molecules at geometries of their own, with the forces there: float64 [A, 3], eV/Å, read-only.

    `molecules` have the database's indices, elements and SMILES, but the frames' positions and, as energy, the
    potential energy at `level`, without zero-point vibrations. Raises FramesError for forces of another shape than the
    positions, or that are not finite.
    """

    molecules: Molecules
    forces: np.ndarray
    level: str

    def __post_init__(self):
        forces = np.array(self.forces, dtype=np.float64)  # a copy: nobody else can change it
        if forces.shape != self.molecules.positions.shape:
            raise FramesError(f"forces {forces.shape} do not fit positions {self.molecules.positions.shape}")
        if not (finite := np.isfinite(forces).all(axis=1)).all():
            raise FramesError(f"{_atom(self.molecules, int(finite.argmin()))}: the force on it is not finite")
        forces.flags.writeable = False
        object.__setattr__(self, "forces", forces)

    def __len__(self) -> int:
        return len(self.molecules)

    def select(self, which: np.ndarray) -> Self:
        """Some of them, in the order asked for: see `Molecules.select`."""
        forces = replace(self.molecules, positions=self.forces).select(which).positions  # packed as positions are
        return type(self)(self.molecules.select(which), forces, self.level)


@dataclass(frozen=True)
class About:
    """What a shard says of itself; `left_out` are the indices of molecules that have no frame although asked for."""

    level: str
    protocol: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[int] = ()


def rounded(positions: np.ndarray) -> np.ndarray:
    """Positions as a file holds them, Å: where the label has to be computed."""
    return _steps(positions) / _PER_LENGTH


def beyond(labelled: Labelled, own: Molecules) -> np.ndarray:
    """Which frames have an atom too far from its `own` place, or too large a force, for a file: bool [M]."""
    moved, pull = _whole_numbers(labelled, own)
    of_atoms = (np.abs(moved) > _LARGEST).any(axis=1) | (np.abs(pull) > _LARGEST).any(axis=1)
    return np.logical_or.reduceat(of_atoms, labelled.molecules.offsets[:-1]) if len(own) else np.zeros(0, dtype=bool)


def write(
    path: str | os.PathLike[str],
    labelled: Labelled,
    own: Molecules,
    time_fs: np.ndarray,
    *,
    protocol: Mapping[str, Any],
    versions: Mapping[str, str],
    left_out: Sequence[int] = (),
) -> None:
    """Write a shard, whole or not at all, from which `read` gets energies and positions exactly, forces rounded.

    `own` are the same molecules at the geometries from which displacements count; `time_fs` [M], how far into its
    trajectory each frame is. `protocol`, JSON, says how the frames were made.

    Raises FramesError for other molecules than `own`, positions that are not `rounded`, and values beyond the range of
    the file, by the molecule's name.
    """
    path = Path(path)
    molecules = labelled.molecules
    same = ("index", "n_atoms", "numbers")
    if not all(np.array_equal(getattr(molecules, name), getattr(own, name)) for name in same):
        raise FramesError("the frames are not of the molecules that they are said to be of")
    if len(time_fs) != len(molecules):
        raise FramesError(f"{len(molecules)} frames but {len(time_fs)} times")
    if (off := (rounded(molecules.positions) != molecules.positions).any(axis=1)).any():
        raise FramesError(
            f"{_atom(molecules, int(off.argmax()))}: its place is no multiple of {LENGTH} Å: compute labels at "
            "frames.rounded(positions)"
        )
    moved, pull = _whole_numbers(labelled, own)
    for values, unit, what in ((moved, LENGTH, "moved by {} Å"), (pull, FORCE, "pulled by {} eV/Å")):
        if (wrong := (np.abs(values) > _LARGEST).any(axis=1)).any():
            atom = int(wrong.argmax())
            said = what.format(f"{unit * np.abs(values[atom]).max():.4g}")
            raise FramesError(f"{_atom(molecules, atom)}: it is {said}, and a file holds {unit * _LARGEST:.4g} at most")
    ends = pa.array((3 * molecules.offsets).astype(np.int32))
    content = {
        "index": molecules.index,
        "molecule": _checksums(own),
        "time_fs": np.asarray(time_fs, dtype=np.float32),
        "energy": molecules.energy,
        **{
            name: pa.ListArray.from_arrays(ends, pa.array(values.astype(np.int16).ravel()))
            for name, values in zip(_LISTS, (moved, pull), strict=True)
        },
    }
    table = pa.table(content, schema=_SCHEMA)
    about = json.dumps(
        {
            "level": labelled.level,
            "protocol": dict(protocol),
            "versions": dict(versions),
            "left_out": [int(index) for index in left_out],
        }
    )
    with whole_file(path) as temporary:
        write_table(table, temporary, {"format": _FORMAT, "about": about, "sha256": _fingerprint(table, about)})


def about(path: str | os.PathLike[str]) -> About:
    """What a shard says of itself; raises FramesError if it is missing or damaged."""
    return _read(Path(path))[1]


def read(folder: str | os.PathLike[str], name: str, molecules: Molecules) -> Labelled:
    """The frames of those of the given molecules that have one, in their order.

    Raises FramesError if there is no file of that name, one is missing among the others, damaged or of another level,
    the frames are of other molecules than these or start from another geometry, or none of the molecules has one.
    """
    folder = Path(folder)
    shards = [(path, *_read(path)) for path in _shards(folder, name)]
    levels = {of.level for _, _, of in shards}
    if len(levels) > 1:
        raise FramesError(f"{folder}: the files of {name} are of several levels ({', '.join(sorted(levels))})")
    table = pa.concat_tables([table for _, table, _ in shards]).combine_chunks()
    index = table["index"].to_numpy()
    if len(np.unique(index)) < len(index):
        raise FramesError(f"{folder}: a molecule has several frames in the files of {name}; {_advice(folder, name)}")
    order = np.argsort(index)
    place = np.searchsorted(index, molecules.index, sorter=order)
    row = order[np.minimum(place, len(index) - 1)] if len(index) else np.zeros(len(molecules), dtype=np.int64)
    has = np.isin(molecules.index, index)
    if not has.any():
        raise FramesError(f"none of the {len(molecules):,} molecules has a frame in the files of {name} in {folder}")
    own, row = molecules.select(has), row[has]
    moved, pull = (table[name].take(pa.array(row)).combine_chunks() for name in _LISTS)
    n_atoms = moved.value_lengths().to_numpy() // 3
    of_others = (n_atoms != own.n_atoms) | (table["molecule"].to_numpy()[row] != _checksums(own))
    if of_others.any():
        first = int(of_others.argmax())
        why = (
            f"it has {own.n_atoms[first]} atoms, and its frame {n_atoms[first]}"
            if n_atoms[first] != own.n_atoms[first]
            else "its elements, or the geometry that displacements count from, are others"
        )
        raise FramesError(
            f"{folder}: the frames of {name} are not of these molecules: molecule {own.index[first]}: {why}"
        )
    positions = (_steps(own.positions) + moved.flatten().to_numpy().reshape(-1, 3)) / _PER_LENGTH
    return Labelled(
        replace(own, positions=positions, energy=table["energy"].to_numpy()[row]),
        pull.flatten().to_numpy().reshape(-1, 3) / _PER_FORCE,
        levels.pop(),
    )


def fingerprint(folder: str | os.PathLike[str], name: str) -> str:
    """SHA-256 of the files of a name; raises FramesError if there is none, or one is missing among the others."""
    digest = hashlib.sha256()
    for path in _shards(Path(folder), name):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def path_of(folder: str | os.PathLike[str], name: str, number: int) -> Path:
    """Where a shard lies."""
    return Path(folder) / f"{name}-{number:02d}.parquet"


def _shards(folder: Path, name: str) -> list[Path]:
    """All of them, by number."""
    found = []
    if folder.is_dir():
        named = (re.fullmatch(rf"{re.escape(name)}-(\d\d+)\.parquet", one.name) for one in folder.iterdir())
        found = sorted(int(match[1]) for match in named if match)
    for number in range(found[-1] + 1 if found else 1):
        if number not in found:
            raise FramesError(f"{path_of(folder, name, number)} is missing: {_advice(folder, name)}")
    return [path_of(folder, name, number) for number in found]


def _advice(folder: Path, name: str) -> str:
    return f"restore it, or make it with `python -m harness.frames {name} --out {folder}`"


def _read(path: Path) -> tuple[pa.Table, About]:
    """A shard as it was written."""
    name = path.stem.rpartition("-")[0]
    with _reading(path, f"restore it, or remove it and make it again with `python -m harness.frames {name}`"):
        with pq.ParquetFile(path) as file:
            table = file.read().combine_chunks()
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if metadata.get("format") != _FORMAT or not table.schema.equals(_SCHEMA):
            raise ValueError("it holds no frames of this version")
        if metadata["sha256"] != _fingerprint(table, metadata["about"]):
            raise ValueError("its content does not match its checksum")
        return table, About(**json.loads(metadata["about"]))


@contextmanager
def _reading(path: Path, advice: str) -> Iterator[None]:
    """Raise FramesError for whatever Parquet's reader stumbles over."""
    try:
        yield
    except FileNotFoundError as error:
        raise FramesError(f"{path} is missing: {advice}") from error
    except Exception as error:
        raise FramesError(f"{path} can't be read ({reason(error)}): {advice}") from error


def _fingerprint(table: pa.Table, about: str) -> str:
    """SHA-256 of what a shard holds and says."""
    digest = hashlib.sha256(about.encode())
    for name in _SCHEMA.names:
        column = table[name].combine_chunks()
        if column.null_count:
            raise ValueError(f"{name} has gaps")
        if name in _LISTS:
            digest.update(_bytes(column.value_lengths().to_numpy()))
            column = column.flatten()
        digest.update(_bytes(column.to_numpy()))
    return digest.hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    """The same on every machine."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _steps(positions: np.ndarray) -> np.ndarray:
    """Positions in units of `LENGTH`, int64."""
    return np.rint(_PER_LENGTH * positions).astype(np.int64)


def _whole_numbers(labelled: Labelled, own: Molecules) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and forces in the file's units, int64 [A, 3] each."""
    moved = _steps(labelled.molecules.positions) - _steps(own.positions)
    return moved, np.rint(_PER_FORCE * labelled.forces).astype(np.int64)


def _checksums(own: Molecules) -> np.ndarray:
    """Of the elements and the geometry of each molecule: uint32 [M]."""
    steps = _steps(own.positions)
    ends = own.offsets.tolist()
    return np.array(
        [zlib.crc32(own.numbers[start:end].tobytes() + _bytes(steps[start:end])) for start, end in pairwise(ends)],
        dtype=np.uint32,
    )


def _atom(molecules: Molecules, atom: int) -> str:
    """An atom by its molecule's name and its number there."""
    molecule = int(np.searchsorted(molecules.offsets, atom, side="right") - 1)
    return f"molecule {molecules.index[molecule]}, atom {atom - molecules.offsets[molecule] + 1}"
