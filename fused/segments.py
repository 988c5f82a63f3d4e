"""Segments of packed arrays, joined: how a batch is made of molecules from anywhere in the data set.

Compiled: it takes a quarter of the time of fancy indexing.
"""

import numpy as np
import numpy.typing as npt

from fused.compiled import compiled


def join(
    values: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    *,
    shift: np.ndarray | None = None,
    dtype: npt.DTypeLike | None = None,
) -> np.ndarray:
    """values[starts[0] : starts[0] + counts[0]], then the next segment, and so forth, as one array.

    `values` is any packed array, [n, ...]; `starts` and `counts` are int64 [m], ≥ 0, and `shift` [m] is added to each
    segment. The result is of type `dtype`, by default that of the values.

    Raises IndexError if a segment reaches beyond `values`.
    """
    if len(starts) and not (starts.min() >= 0 and counts.min() >= 0 and (starts + counts).max() <= len(values)):
        raise IndexError(f"a segment reaches beyond the {len(values)} values")
    shift = np.zeros(len(starts), np.int64) if shift is None else shift
    dtype = np.dtype(dtype or values.dtype)
    out = np.empty((int(counts.sum()), *values.shape[1:]), dtype)
    size = int(np.prod(values.shape[1:]))
    _join(np.ascontiguousarray(values).reshape(-1), starts * size, counts * size, shift.astype(dtype), out.reshape(-1))
    return out


@compiled()
def _join(values, starts, counts, shift, out) -> None:
    end = 0
    for m in range(len(starts)):
        segment = out[end : end + counts[m]]
        for k in range(counts[m]):
            segment[k] = values[starts[m] + k] + shift[m]
        end += counts[m]
