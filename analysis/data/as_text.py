"""Arrays as text, for scripts that can read no file: a page from a disk may load a script, and nothing else."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def packed(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Several arrays in one text.

    `arrays` holds name, type ("u1", "i2", "f4", …) and shape of each. They lie one behind the other in `packed`, each
    as the first (lowest) bytes of all its values, then the second ones, and so on, which compress well; compressed with
    zlib, and written in base64.
    """
    little = {name: np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    planes = b"".join(
        each.reshape(-1).view(np.uint8).reshape(-1, each.itemsize).T.tobytes() for each in little.values()
    )
    return {
        "arrays": [[name, each.dtype.str[1:], list(each.shape)] for name, each in little.items()],
        "packed": base64.b64encode(zlib.compress(planes, 9)).decode("ascii"),
    }
