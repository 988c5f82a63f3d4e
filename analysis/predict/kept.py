"""Arrays kept in the user's cache folder for this project from one start to the next: what takes seconds to find."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from analysis.data.files import reason, remove_leftovers, whole_file

_SUM = "sha256"
_log = logging.getLogger(__name__)


def kept(what: str, key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that are kept under a key, which has to name all that they depend on; if none are, what `make` makes.

    `what` names their file. One that is damaged is made anew, with a warning in the log that says why; a folder that
    can't be written, or a user without a home, costs a warning and nothing else.
    """
    try:
        folder = platformdirs.user_cache_path("schnet-qm9-compendium")
    except RuntimeError:
        _log.warning("the %s can't be kept: this user has no home folder; it is found every time", what)
        return make()
    path = folder / f"{what}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"
    remove_leftovers(path)
    found = read_cache(path, key)
    if found is None:
        found = make()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_cache(path, found, key)
        except (OSError, SafetensorError) as error:
            _log.warning("the %s can't be kept in %s (%s): it is found every time", what, folder, error)
    return found


def write_cache(path: str | os.PathLike[str], arrays: dict[str, np.ndarray], key: str) -> None:
    """Write arrays with a checksum of them and of their key; raises OSError or SafetensorError."""
    with whole_file(path) as temporary:
        save_file(arrays | {_SUM: _sum(key, arrays)}, temporary)


def read_cache(path: str | os.PathLike[str], key: str) -> dict[str, np.ndarray] | None:
    """Arrays that `write_cache` wrote; None without such a file or, with a warning that says why, if it won't do."""
    path = Path(path)
    if not path.is_file():
        return None
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        trouble = f"it can't be read ({reason(error)})"
    else:
        if np.array_equal(arrays.pop(_SUM, None), _sum(key, arrays)):
            return arrays
        trouble = "its content does not match its checksum"
    _log.warning("what %s holds is found anew: %s", path, trouble)
    return None


def _sum(key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """SHA-256, uint8 [32]."""
    digest = hashlib.sha256(key.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
