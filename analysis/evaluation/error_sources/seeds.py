"""Errors of several seeds side by side: which part is due to the molecules and which to the seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.evaluation.verdicts.intervals import Estimate
from analysis.runs.records import Record

_DRAWS = 400


def errors_by_seed(records: Sequence[Record]) -> pd.DataFrame:
    """Predicted − true U0 (eV) of the molecules that are held out in every record, by QM9 index; a column per seed.

    Raises ValueError if there is no record, if two are of one seed, or if no molecule is held out in all of them.
    """
    if not records:
        raise ValueError("there is no record: give those of the seeds of one configuration")
    of_seeds = {record.config.seed: record.errors.set_index("index")["error"].astype(float) for record in records}
    if len(of_seeds) < len(records):
        raise ValueError("two of the records are of one seed: give those of the seeds of one configuration")
    found = pd.concat(of_seeds, axis=1, join="inner")
    if found.empty:
        raise ValueError(f"no molecule is held out in all of the {len(records)} records: their splits differ")
    return found


def by_size(errors: pd.DataFrame, n_atoms: pd.Series) -> pd.DataFrame:
    """A row per number of atoms and seed.

    `molecules`; `mse`, eV²; `median`, of the absolute errors, eV; `per_atom`, the mean of |e| / N, eV.
    """
    rows = []
    for seed, e in errors.items():
        grouped = pd.DataFrame({"squared": e**2, "absolute": e.abs(), "per_atom": e.abs() / n_atoms}).groupby(n_atoms)
        table = grouped.agg(
            molecules=("squared", "size"),
            mse=("squared", "mean"),
            median=("absolute", "median"),
            per_atom=("per_atom", "mean"),
        )
        rows.append(table.assign(seed=seed))
    return pd.concat(rows).rename_axis("n_atoms").reset_index()


def parts(errors: pd.DataFrame, *, resamples: int = _DRAWS) -> dict[str, Estimate]:
    """What the mean squared error is made of, as shares of it that sum to 1.

    - `molecules`: what every seed would repeat. With e the error of a molecule in one seed and f in another, the mean
      of e · f over molecules and pairs of seeds: unbiased, where the square of a mean over seeds would still hold a
      part of their noise.
    - `shift`: what differs between seeds and is common to all molecules: the variance over seeds of the mean error.
    - `rest`: the noise of single molecules.

    The error of each share combines the jackknife over seeds with the bootstrap over molecules, as in `verdicts`; the
    degrees of freedom are those of the seeds. Raises ValueError for fewer than three seeds: without one, a pair must be
    left.
    """
    e = errors.to_numpy()
    n = e.shape[1]
    if n < 3:
        raise ValueError(f"{n} seeds: it takes three to tell molecules from seeds, with an interval")
    everyone = np.ones(len(e))
    value = _parts(e, everyone)
    without = np.array([_parts(np.delete(e, place, axis=1), everyone) for place in range(n)])
    over_seeds = (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    rng = np.random.default_rng(0)
    draws = np.array([_parts(e, rng.standard_exponential(len(e))) for _ in range(resamples)])
    deviation = np.sqrt(over_seeds + draws.var(axis=0, ddof=1))
    shares = zip(("molecules", "shift", "rest"), value.tolist(), deviation.tolist(), strict=True)
    return {name: Estimate(share, error, n - 1) for name, share, error in shares}


def _parts(e: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The three shares, with a weight per molecule."""
    weights = weights / weights.sum()
    n = e.shape[1]
    whole = float(weights @ (e**2).mean(axis=1))
    # Σ_{s≠t} e_s e_t = (Σ e)² − Σ e²
    both = float(weights @ ((e.sum(axis=1) ** 2 - (e**2).sum(axis=1)) / (n * (n - 1))))
    shift = float((weights @ e).var(ddof=1))
    return np.array([both, shift, whole - both - shift]) / whole


def worst_share(errors: pd.DataFrame, share: float) -> float:
    """How much of the squared error (mean over seeds) the worst `share` of the molecules bears."""
    squared = np.sort((errors**2).mean(axis=1).to_numpy())[::-1]
    return float(squared[: round(share * len(squared))].sum() / squared.sum())


def repeated(errors: pd.DataFrame) -> float:
    """Correlation of log |e| between two seeds, mean over their pairs.

    No function of the molecule alone can explain more than this share of one seed's variance of log |e|.
    """
    return float(np.corrcoef(logarithm(errors).to_numpy().T)[np.triu_indices(errors.shape[1], 1)].mean())


def logarithm(errors: pd.DataFrame) -> pd.DataFrame:
    """log₁₀ of |e| in eV; anything below 0.1 meV, which is negligible, counts as 0.1 meV."""
    return np.log10(errors.abs().clip(lower=1e-4))
