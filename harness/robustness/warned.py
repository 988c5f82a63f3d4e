"""How many good geometries each warning of a prediction names, and how many wrong ones it, or a refusal, catches."""

from collections.abc import Callable, Iterator

import ase.units
import numpy as np
import pandas as pd
from ase import Atoms
from ase.collections import g2
from ase.data import covalent_radii
from scipy.sparse.csgraph import connected_components

from analysis.data import qm9
from analysis.data.molecules import to_ase
from analysis.predict import geometries
from analysis.predict.applicability import KINDS, refusal
from analysis.predict.ensemble import Ensemble, default_records, without_energies

_BOND = 1.3  # times the sum of the covalent radii, as in `analysis.predict.applicability`
_APART = 3.0  # Å


def measure(some: int, seed: int = 0) -> pd.DataFrame:
    """A row per kind of geometry: how many there are, and the shares refused and warned of.

    All of QM9's test part and all of ASE's G2 set (MP2 geometries) that is neutral, closed-shell and of H, C, N, O and
    F; the others are made of `some` test molecules.
    """
    molecules = qm9.load()
    ensemble = Ensemble(default_records(molecules), molecules)
    errors = ensemble.records[0].errors
    test = molecules.select(np.isin(molecules.index, errors["index"][errors["test"]]))
    rng = np.random.default_rng(seed)
    chosen = test.select(np.sort(rng.choice(len(test), some, replace=False)))
    everything = {
        "test": to_ase(test),
        "g2": [Atoms(one.numbers, one.positions) for one in map(g2.__getitem__, g2.names) if not refusal(one)],
        "mmff": [one.atoms for one in geometries.all_from_smiles(chosen.smiles.tolist()) if one.atoms is not None],
    }
    for name, change in CHANGES.items():
        everything[name] = [new for one in to_ase(chosen) if (new := change(one, rng)) is not None]
    return pd.DataFrame(list(_rows(ensemble, everything)))


def _rows(ensemble: Ensemble, everything: dict[str, list[Atoms]]) -> Iterator[dict[str, object]]:
    for name, given in everything.items():
        known = [one for one in given if not refusal(one)]
        row = {"geometries": name, "number": len(given), "refused": len(given) - len(known)}
        if not known:
            yield row | dict.fromkeys(KINDS, 0) | {"any": len(given)}
            continue
        molecules = without_energies(known)
        spread = ensemble.energies(molecules).std(axis=0, ddof=1)
        kinds = ensemble.domain.warnings_by_kind(molecules, spread)
        row |= {kind: sum(kind in one for one in kinds) for kind in KINDS}
        yield row | {"any": len(given) - len(known) + sum(map(bool, kinds))}


def _scaled(factor: float) -> Callable[[Atoms, np.random.Generator], Atoms]:
    return lambda one, _: Atoms(one.numbers, one.positions * factor)


def _shaken(width: float) -> Callable[[Atoms, np.random.Generator], Atoms]:
    return lambda one, rng: Atoms(one.numbers, one.positions + rng.normal(0, width, one.positions.shape))


def _bond(factor: float) -> Callable[[Atoms, np.random.Generator], Atoms]:
    """One bond longer or shorter, with all that hangs on its second atom; in a ring, with that atom alone."""

    def change(one: Atoms, rng: np.random.Generator) -> Atoms:
        bonded = one.get_all_distances() < _BOND * (covalent_radii[one.numbers][:, None] + covalent_radii[one.numbers])
        np.fill_diagonal(bonded, val=False)
        first, second = rng.choice(np.argwhere(bonded))
        vector = one.positions[second] - one.positions[first]
        bonded[first, second] = bonded[second, first] = False
        part = connected_components(bonded, directed=False)[1]
        moved = part == part[second] if part[first] != part[second] else np.arange(len(one)) == second
        return Atoms(one.numbers, one.positions + np.outer(moved, (factor - 1) * vector))

    return change


def _torn(one: Atoms, rng: np.random.Generator) -> Atoms | None:
    """A hydrogen far away."""
    return _with_hydrogens(one, 1, lambda which: _moved(one, which), rng)


def _lost(one: Atoms, rng: np.random.Generator) -> Atoms | None:
    """Two hydrogens missing."""
    return _with_hydrogens(one, 2, lambda which: one[np.setdiff1d(np.arange(len(one)), which)], rng)


def _with_hydrogens(
    one: Atoms, many: int, change: Callable[[np.ndarray], Atoms], rng: np.random.Generator
) -> Atoms | None:
    hydrogens = np.flatnonzero(one.numbers == 1)
    if len(hydrogens) < many or len(one) < many + 2:
        return None
    return change(rng.choice(hydrogens, many, replace=False))


def _moved(one: Atoms, which: np.ndarray) -> Atoms:
    away = one.positions[which] - one.positions.mean(axis=0)
    positions = one.positions.copy()
    positions[which] += _APART * away / np.linalg.norm(away)
    return Atoms(one.numbers, positions)


def _two(one: Atoms, _: np.random.Generator) -> Atoms:
    """Two of them, one beside the other."""
    beside = Atoms(one.numbers, one.positions)
    beside.positions[:, 0] += np.ptp(one.positions[:, 0]) + _APART
    return Atoms(one.numbers, one.positions) + beside


def _exchanged(one: Atoms, rng: np.random.Generator) -> Atoms | None:
    """Two elements other than hydrogen exchanged."""
    heavy = np.flatnonzero(one.numbers > 1)
    if len(set(one.numbers[heavy].tolist())) < 2:
        return None
    first = rng.choice(heavy)
    second = rng.choice(heavy[one.numbers[heavy] != one.numbers[first]])
    numbers = one.numbers.copy()
    numbers[[first, second]] = numbers[[second, first]]
    return Atoms(numbers, one.positions)


def _together(one: Atoms, rng: np.random.Generator) -> Atoms:
    """Two atoms at one place."""
    first, second = rng.choice(len(one), 2, replace=False)
    positions = one.positions.copy()
    positions[first] = positions[second]
    return Atoms(one.numbers, positions)


CHANGES: dict[str, Callable[[Atoms, np.random.Generator], Atoms | None]] = {
    "scaled_0.99": _scaled(0.99),
    "scaled_1.01": _scaled(1.01),
    "shaken": _shaken(0.01),
    "bond_0.8": _bond(0.8),
    "bond_0.9": _bond(0.9),
    "bond_1.1": _bond(1.1),
    "bond_1.2": _bond(1.2),
    "torn": _torn,
    "lost": _lost,
    "exchanged": _exchanged,
    "two": _two,
    "together": _together,
    "bohr": _scaled(1 / ase.units.Bohr),
    "nm": _scaled(0.1),
}
"""What is done to test molecules: first what leaves them good, then what does not."""
