"""Is it size? How the error changes with the number of atoms while something else is held fixed.

The number of atoms is not an independent quantity. It is heavy atoms + hydrogens, and with U the degree of unsaturation
(rings and π bonds) H = 2 C + 2 + N − F − 2 U. A molecule can be larger because it has fewer rings and π bonds,
more carbon, or other heavy atoms; nothing else can make it larger. QM9 stops at nine heavy atoms, so most of its sizes
differ in the first way. `COMPARISONS` hold all but one of these ways fixed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.evaluation.error_sources.seeds import logarithm
from analysis.evaluation.verdicts.intervals import over_seeds

_HETERO = ("nitrogens", "oxygens", "fluorines")
_KIND = ("rings", "three_rings", "four_rings", "shared_ring_atoms", "aromatic_atoms", "triple_bonds", "zwitterion")

COMPARISONS: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "heavy": ("heavy_atoms",),
    "skeleton": ("carbons", *_HETERO),
    "saturation": ("unsaturation", *_HETERO),
    "structure": ("unsaturation", *_HETERO, *_KIND),
}
"""What is held fixed, by the name of the comparison.

`heavy`: the number of heavy atoms. `skeleton`: the heavy atoms of each element; sizes differ by hydrogens alone, two
for each ring or π bond fewer. `saturation`: unsaturation and heteroatoms; sizes differ by CH₂ groups alone.
`structure`: the same, with the kind of rings and bonds.
"""

_DRAWS = 200
_STEPS = 50


def size_effects(
    descriptors: pd.DataFrame,
    errors: pd.DataFrame,
    comparisons: Mapping[str, Sequence[str]] = COMPARISONS,
    *,
    resamples: int = _DRAWS,
) -> pd.DataFrame:
    """By what factor the error changes per additional atom, between molecules that are alike in what is held fixed.

    For e² it is the b of E[e²] = a · b^N, with an a for every stratum of like molecules (Poisson regression with fixed
    effects, which needs no more than this mean: Wooldridge, J. Econometrics 90, 77 (1999)); for the typical error that
    of log |e|, by least squares with an intercept per stratum. A stratum of a single size says nothing.

    `descriptors` has a row per molecule, with `n_atoms` and what is held fixed, `errors` the same rows, a column per
    seed, eV. The result has a row per comparison and `target` ("typical", "squared"), with `molecules` (in strata of
    more than one size) and the factor per atom: `value` and its interval `low` to `high`, over seeds and molecules as
    in `verdicts`.
    """
    n_atoms = descriptors["n_atoms"].to_numpy(dtype=float)
    fits = {
        "typical": (_linear_slope, np.log(10) * logarithm(errors).to_numpy()),
        "squared": (_poisson_slope, (errors**2).to_numpy()),
    }
    rows = []
    for name, fixed in comparisons.items():
        strata = descriptors.groupby(list(fixed)).ngroup().to_numpy() if fixed else np.zeros(len(n_atoms), np.int64)
        used = descriptors["n_atoms"].groupby(strata).transform("nunique").to_numpy() > 1
        x, codes = n_atoms[used], np.unique(strata[used], return_inverse=True)[1]
        rng = np.random.default_rng(0)
        draws = [rng.standard_exponential(len(descriptors))[used] for _ in range(resamples)]
        for target, (fit, values) in fits.items():
            of_seeds = np.array([fit(x, column, codes, np.ones(len(x))) for column in values[used].T])
            drawn = np.array([fit(x, values[used].mean(axis=1), codes, weights) for weights in draws])
            factor = over_seeds(of_seeds, drawn.var(ddof=1), resamples - 1).factor()
            rows.append((name, target, int(used.sum()), *factor))
    return pd.DataFrame(rows, columns=["comparison", "target", "molecules", "value", "low", "high"])


def by_unsaturation(descriptors: pd.DataFrame, errors: pd.DataFrame, *, least: int = 30) -> pd.DataFrame:
    """MSE (eV²) per `heavy_atoms`, `unsaturation` and `seed`, where at least `least` `molecules` have both."""
    keys = [descriptors["heavy_atoms"], descriptors["unsaturation"]]
    rows = [
        (e**2).groupby(keys).agg(molecules="size", mse="mean").reset_index().assign(seed=seed)
        for seed, e in errors.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    return table[table["molecules"] >= least].reset_index(drop=True)


def _linear_slope(x: np.ndarray, y: np.ndarray, strata: np.ndarray, weights: np.ndarray) -> float:
    total = np.bincount(strata, weights)
    within = x - (np.bincount(strata, weights * x) / total)[strata]
    return float((weights * within) @ y / ((weights * within) @ within))


def _poisson_slope(x: np.ndarray, y: np.ndarray, strata: np.ndarray, weights: np.ndarray) -> float:
    """Newton's method on the likelihood that is left when every stratum's level is fitted."""
    x = x - x.mean()  # exp(b x) stays near 1
    heavy = weights * y
    of_stratum = np.bincount(strata, heavy)
    slope = 0.0
    for _ in range(_STEPS):
        share = weights * np.exp(slope * x)
        total = np.bincount(strata, share)
        mean = np.bincount(strata, share * x) / total
        variance = np.bincount(strata, share * x * x) / total - mean**2
        step = (heavy @ x - of_stratum @ mean) / (of_stratum @ variance)
        slope += float(np.clip(step, -0.5, 0.5))
        if abs(step) < 1e-10:
            return slope
    raise RuntimeError(f"no slope found in {_STEPS} steps; the last was {step:g}")
