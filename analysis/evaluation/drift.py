"""How trainings that differ in nothing but their seed come to differ: by an error per atom in common, and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.runs.records import Record, held_out_errors


@dataclass(frozen=True)
class Drift:
    """The variance of held-out errors between S seeds, mean over the molecules, in two parts that add up.

    `per_atom` is each seed's common error per atom, eV [S]: the least-squares slope of its errors over the numbers of
    atoms, through 0. `common` is the variance that these make and `rest` what is left without them, eV²; `of_seeds` is
    each seed's share of the rest, its root mean square distance from the mean over seeds, eV [S]. `mse` is each seed's
    mean squared error, and `mse_without` the same without its common error per atom, eV² [S].
    """

    per_atom: np.ndarray
    common: float
    rest: float
    of_seeds: np.ndarray
    mse: np.ndarray
    mse_without: np.ndarray


def drift(records: Sequence[Record], *, more_than: int = 0) -> Drift:
    """The drift of one arm, from its records, one per seed, over the held-out molecules of more than so many atoms.

    A least-squares slope leaves a rest that has no product with the numbers of atoms: so the two variances add up to
    the whole. Raises ValueError for fewer than two records, or if they hold out different molecules.
    """
    if len(records) < 2:
        raise ValueError(f"a variance between seeds needs two of them; there is {len(records)}")
    sizes = records[0].errors["n_atoms"].to_numpy(dtype=float)
    chosen = sizes > more_than
    sizes, errors = sizes[chosen], np.compress(chosen, held_out_errors(records), axis=1)
    per_atom = errors @ sizes / (sizes @ sizes)
    rest = errors - per_atom[:, None] * sizes
    return Drift(
        per_atom,
        common=float(per_atom.var(ddof=1) * np.mean(sizes**2)),
        rest=float(rest.var(axis=0, ddof=1).mean()),
        of_seeds=np.sqrt(np.mean((rest - rest.mean(axis=0)) ** 2, axis=1)),
        mse=np.mean(errors**2, axis=1),
        mse_without=np.mean(rest**2, axis=1),
    )
