"""The report's loss weights v(s; r): how much a molecule of s atoms counts in the loss, at rate r.

The report gives two formulas. They are here as printed, and so are a third one, which does what the report's words
describe, and a fourth, the loss per atom.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from analysis.data.errors import UserError

Weighting = Literal["size", "size-frequency", "inverse-frequency", "per-atom"]
UNGUARDED: tuple[Weighting, ...] = ("inverse-frequency", "per-atom")
"""Those that are positive everywhere: no floor guards them."""

LOSS_WEIGHT = "loss_weight"
"""Key of a training batch's loss weights: float32 [B]; not there if the loss is unmodified."""

DEFAULT_FLOOR = 1.0
_LARGEST = float(np.finfo(np.float32).max)  # the loss is computed in single precision


class WeightError(UserError, ValueError):
    """An impossible loss weight: not finite, or negative. The message names s and r."""


def size_based(s: np.ndarray | int, r: float) -> np.ndarray:
    """The report's "size based" weight of molecules of s atoms, as printed: (s − 7)^r / 10^(r + 1) + 1.

    float64, the shape of `s`; NaN where the power is undefined (s < 7 and a rate that is not whole). By the report's
    convention the rate 0 is the unmodified loss, weight 1 (as printed it would be 1.1).

    Raises WeightError if the rate is negative or not finite.
    """
    s, r = np.asarray(s, np.float64), _rate(r)
    if r == 0:
        return np.ones_like(s)
    with np.errstate(invalid="ignore", over="ignore"):
        # One power of a quotient: the two powers alone overflow at rates where the weight is still finite.
        return ((s - 7) / 10) ** r / 10 + 1


def size_and_frequency_based(s: np.ndarray | int, r: float) -> np.ndarray:
    """The report's "size and frequency based" weight, as printed: ln(s^r / 10^(r + 1) − r / 4.5).

    The report says that it takes the frequency of a size into account; there is no frequency in the formula. float64,
    the shape of `s`; NaN where the logarithm is undefined, and negative where its argument is below 1. The rate 0 is
    the unmodified loss, weight 1 (as printed it would be ln 0.1).

    Raises WeightError if the rate is negative or not finite.
    """
    s, r = np.asarray(s, np.float64), _rate(r)
    if r == 0:
        return np.ones_like(s)
    with np.errstate(over="ignore"):
        argument = (s / 10) ** r / 10 - r / 4.5
    return np.log(argument, out=np.full_like(s, np.nan), where=argument > 0)


def inverse_frequency(sizes: np.ndarray, alpha: float) -> np.ndarray:
    """What the report's words describe: (f_max / f(s))^α of each training molecule, scaled to mean 1; float64 [n].

    `sizes` are their numbers of atoms, int [n], and f(s) is how many of them have s atoms. α = 1 gives every size the
    same share of the loss.

    Raises WeightError if α is negative or not finite.
    """
    alpha = _rate(alpha)
    _, which, frequency = np.unique(np.asarray(sizes), return_inverse=True, return_counts=True)
    if len(frequency) == 0 or alpha == 0:
        return np.ones(len(which))
    logarithm = -alpha * np.log(frequency)
    # Against the rarest size in place of the most frequent one: the same after the mean is set to 1, and no overflow.
    weight = np.exp(logarithm - logarithm.max())
    return (weight * len(which) / (weight @ frequency))[which]


def per_atom(sizes: np.ndarray, power: float) -> np.ndarray:
    """s^−p of each training molecule, scaled to mean 1; with p = 2 the loss is that of the energy per atom, (Δ/s)².

    `sizes` and result as for `inverse_frequency`.

    Raises WeightError if p is negative or not finite.
    """
    power = _rate(power)
    s = np.asarray(sizes, np.float64)
    if len(s) == 0:
        return np.ones(0)
    weight = (s.min() / s) ** power  # at most 1: no overflow
    return weight / weight.mean()


_FORMULAS: dict[Weighting, Callable[[np.ndarray, float], np.ndarray]] = {
    "size": size_based,
    "size-frequency": size_and_frequency_based,
    "inverse-frequency": inverse_frequency,
    "per-atom": per_atom,
}


def loss_weights(
    weighting: Weighting, sizes: np.ndarray, rate: float, *, floor: float | None = DEFAULT_FLOOR
) -> np.ndarray:
    """The weight of each training molecule in the loss.

    `sizes` are their numbers of atoms, int [n]; the result is float64 [n], finite and ≥ 0, in single precision too.
    `rate` is the report's r, α of the inverse frequency, or p of the loss per atom; 0 is the unmodified loss, whatever
    the floor. `floor` guards the report's two formulas: a weight that is below it or undefined is raised to it. Without
    one (None) a formula outside its domain is an error. The other weightings (`UNGUARDED`) ignore it.

    Raises WeightError if a weight, the rate or the floor is negative or not finite.
    """
    if floor is not None and not (np.isfinite(floor) and floor >= 0):
        raise WeightError(f"the floor of the loss weights must be a finite number ≥ 0, or None, not {floor}")
    v = _FORMULAS[weighting](sizes, rate)
    if floor is not None and rate != 0 and weighting not in UNGUARDED:
        v = np.fmax(v, floor)  # fmax takes the floor for NaN
    fine = (v >= 0) & (v <= _LARGEST)  # false for NaN
    if not fine.all():
        worst = int(np.argmin(fine))
        at = v[worst]
        said = "undefined" if np.isnan(at) else "negative" if at < 0 else "too large for single precision"
        remedy = "take a smaller rate" if at > 0 else "set a floor, another rate, or leave out molecules of that size"
        raise WeightError(
            f"the loss weight {weighting!r} is {said} ({at:.4g}) at s = {np.asarray(sizes)[worst]} atoms and rate "
            f"r = {rate:g}: {remedy}"
        )
    return v


def _rate(r: float) -> float:
    if not (np.isfinite(r) and r >= 0):
        raise WeightError(f"the rate of a loss weight must be a finite number ≥ 0, not r = {r}")
    return float(r)
