"""Compiled loops, and where their machine code is kept from one start to the next."""

import logging
from collections.abc import Callable
from functools import cache

from numba import njit

_log = logging.getLogger(__name__)


def compiled[**P, R](**settings: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a loop that numba compiles, and that lets go of Python's lock; further `settings` are `njit`'s.

    numba keeps what it has compiled beside the module or in the user's cache folder. Where neither may be written (an
    installation that is read-only, and no home) it would refuse; then the loop is compiled at each start.
    """

    def decorate(loop: Callable[P, R]) -> Callable[P, R]:
        try:
            return njit(cache=True, nogil=True, **settings)(loop)
        except RuntimeError as error:
            if "no locator" not in str(error):
                raise
            _warn()
            return njit(nogil=True, **settings)(loop)

    return decorate


@cache
def _warn() -> None:
    _log.warning(
        "compiled loops can't be kept, neither beside the package nor in a cache folder: each start compiles them, "
        "which takes half a minute; set NUMBA_CACHE_DIR to a folder that may be written"
    )
