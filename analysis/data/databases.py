"""Molecules in ASE databases, in the layout of SchNetPack's `QM9` data module."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import ase.db
import ase.units
import numpy as np
from ase import Atoms

from analysis.data import qm9
from analysis.data.files import whole_file
from analysis.data.molecules import Molecules, MoleculesError, from_ase, to_ase

# Units of SchNetPack's metadata (`schnetpack.units`), of an energy and of a length only.
_KCAL, _KJ = ase.units.kcal / ase.units.mol, ase.units.kJ / ase.units.mol
_ENERGY_UNITS = MappingProxyType(
    {"eV": 1.0, "meV": 1e-3, **dict.fromkeys(("Ha", "Hartree"), ase.units.Hartree), "kcal/mol": _KCAL, "kJ/mol": _KJ}
)
_LENGTH_UNITS = MappingProxyType(
    {**dict.fromkeys(("Ang", "Angstrom"), 1.0), **dict.fromkeys(("Bohr", "a0"), ase.units.Bohr), "nm": ase.units.nm}
)


def read(path: str | os.PathLike[str], energy_property: str = "energy_U0") -> Molecules:
    """Molecules of an ASE database in the layout of SchNetPack's `QM9` data module.

    A molecule's index is the row's `molecule_index` where `write` has left one, otherwise the row's id. (In a QM9
    database that SchNetPack made without the uncharacterised molecules, ids are not QM9's indices.)

    `energy_property` is the name of the total energy among the database's properties.

    Raises FileNotFoundError, and MoleculesError without SchNetPack metadata, for an unknown property or unit, a row
    without the property, or what `from_ase` refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no database {path}")
    try:
        _refuse_foreign_database(path)
        with ase.db.connect(path, type="db", use_lock_file=False) as database:
            energy_unit, length_unit = _units(database.metadata, energy_property, path)
            atoms = [_molecule(row, energy_property, energy_unit, length_unit) for row in database.select()]
    except MoleculesError:
        raise
    except Exception as error:  # ASE's reader raises whatever it stumbles over
        raise MoleculesError(f"{path} is no ASE database, or a damaged one ({error})") from error
    if not atoms:
        raise MoleculesError(f"{path} holds no molecules")
    return from_ase(atoms)


def write(path: str | os.PathLike[str], molecules: Molecules, energy_unit: str = "Ha") -> None:
    """Write an ASE database that SchNetPack's `ASEAtomsData` reads: U0 as `energy_U0`, Å, with QM9's atomic references.

    Stock SchNetPack numbers molecules by their place; their own index is kept beside, as the row's `molecule_index`,
    their SMILES in the row's data. Rows stand in the order of `molecules`.

    Raises ValueError for a path that does not end in .db, as SchNetPack needs it to, or an unknown unit, and
    FileExistsError if there is a file of that name already.
    """
    path = Path(path)
    if path.suffix != ".db":
        raise ValueError(f"{path}: SchNetPack takes databases whose name ends in .db")
    if path.exists():
        raise FileExistsError(f"{path} exists; remove it first, or write to another file")
    factor = _unit(_ENERGY_UNITS, energy_unit, "energy")
    references = np.zeros(100)
    references[list(qm9.ATOMIC_REFERENCES_U0)] = np.array(list(qm9.ATOMIC_REFERENCES_U0.values())) / factor
    with whole_file(path) as temporary:
        with ase.db.connect(temporary, type="db", use_lock_file=False) as database:
            for atoms, energy in zip(to_ase(molecules), molecules.energy / factor, strict=True):
                data = {"energy_U0": np.array([energy])}
                if "smiles" in atoms.info:
                    data["smiles"] = atoms.info["smiles"]
                # SchNetPack keeps energies in `data`; ASE would store the calculator's beside it.
                atoms.calc = None
                database.write(atoms, data=data, key_value_pairs={"molecule_index": atoms.info["index"]})
        # Outside the transaction of the rows: ASE stores metadata in one of its own.
        database.metadata = {
            "_property_unit_dict": {"energy_U0": energy_unit},
            "_distance_unit": "Ang",
            "atomrefs": {"energy_U0": references.tolist()},
        }


def _refuse_foreign_database(path: Path) -> None:
    """Raise MoleculesError unless this is an ASE database: ASE would write its tables into any other."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'systems'").fetchone() is None:
            raise MoleculesError(f"{path} is no ASE database: it has no table of systems")


def _units(metadata: dict, energy_property: str, path: Path) -> tuple[float, float]:
    """The database's units of energy and length, in eV and Å."""
    missing = {"_property_unit_dict", "_distance_unit"} - metadata.keys()
    if missing:
        raise MoleculesError(f"{path} has no SchNetPack metadata: {', '.join(sorted(missing))} missing")
    properties = metadata["_property_unit_dict"]
    if energy_property not in properties:
        raise MoleculesError(f"{path} has no property {energy_property}; it has {', '.join(properties) or 'none'}")
    try:
        return (
            _unit(_ENERGY_UNITS, properties[energy_property], "energy"),
            _unit(_LENGTH_UNITS, metadata["_distance_unit"], "length"),
        )
    except ValueError as error:
        raise MoleculesError(f"{path}: {error}") from error


def _unit(known: MappingProxyType[str, float], name: str | None, what: str) -> float:
    spelled = str(name).replace(" ", "")
    if spelled not in known:
        raise ValueError(f"unknown unit of {what}: {name}; known are {', '.join(known)}")
    return known[spelled]


def _molecule(row: ase.db.row.AtomsRow, energy_property: str, energy_unit: float, length_unit: float) -> Atoms:
    index = row.get("molecule_index", row.id)
    energy = np.asarray(row.data.get(energy_property, ()))
    if energy.size != 1 or energy.dtype.kind not in "iuf":
        raise MoleculesError(f"molecule {index}: its {energy_property} is {energy.tolist()}; one number is needed")
    info = {"index": index, "energy_U0": float(energy.item()) * energy_unit, "smiles": row.data.get("smiles", "")}
    return Atoms(row.numbers, row.positions * length_unit, cell=row.cell * length_unit, pbc=row.pbc, info=info)
