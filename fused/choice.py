"""How the compiled loops work: of several ways that are equally exact, the one that suits this processor best.

Which vectors, tiles and blocks are fastest, and whether the dense products are better left to a library, depends on the
processor, and not only on its instruction set: some execute a 512-bit instruction in two halves. So the first network
of a given width on a machine tries the ways of `candidates` (see `fused.trials`; this takes some seconds, compilation
included) and keeps the result in the user's cache folder for all later processes. Tiles and vectors do not change the
order of any sum; blocks and the library do, which changes the rounding.

The environment variable FUSED_LOOPS makes the choice for all networks, without any measurement: "default", or a way as
`str` writes it, such as "vector=64,tile=4x4,pairs=4,products=own,block=4096".
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, Self

import llvmlite.binding as llvm
import platformdirs
from filelock import FileLock

Kind = Literal["schnet", "painn"]
VARIABLE = "FUSED_LOOPS"
BLOCKS = (4096, 2048, 8192)
"""Pairs and atoms that a thread may take through all layers at a time: 4,096 are some 30 molecules of QM9."""

_DEFAULT = "default"
_log = logging.getLogger(__name__)


class WayError(ValueError):
    """FUSED_LOOPS has a value that describes no way of working; the message says what to write."""


@dataclass(frozen=True)
class Way:
    """How the loops work.

    Parameters
    ----------
    vector
        Bytes of a vector: 16, 32 or 64.
    rows, columns
        A tile of a dense product: rows (4 or 8), and vectors of columns, whose sums stay in registers.
    pairs
        Vectors of columns that the loops over pairs work on at a time.
    library
        Whether the dense products are the library's (SciPy's BLAS).
    block
        Pairs and atoms that a thread takes through all layers of SchNet at a time; through PaiNN's, which keep more of
        each atom, a quarter of it.
    """

    vector: int
    rows: int
    columns: int
    pairs: int
    library: bool = False
    block: int = BLOCKS[0]

    def __str__(self) -> str:
        products = "library" if self.library else "own"
        tile = f"{self.rows}x{self.columns}"
        return f"vector={self.vector},tile={tile},pairs={self.pairs},products={products},block={self.block}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The way that `str` writes like this. Raises WayError if there is none."""
        form = r"vector=(16|32|64),tile=(4|8)x([1-6]),pairs=([1-6]),products=(own|library),block=([1-9]\d{1,6})"
        found = re.fullmatch(form, text)
        if found is None:
            raise WayError(
                f"{VARIABLE} = {text!r} describes no way of working: write {_DEFAULT!r} or, for example, "
                f"{str(default())!r}"
            )
        vector, rows, columns, pairs, products, block = found.groups()
        return cls(int(vector), int(rows), int(columns), int(pairs), products == "library", int(block))

    @property
    def sgemm(self) -> int:
        """The address of the library's SGEMM; 0 for own products."""
        return _sgemm() if self.library else 0

    def running(self) -> AbstractContextManager:
        """A context in which the library uses a single thread in each of ours."""
        return _libraries().limit(limits=1, user_api="blas") if self.library else nullcontext()


def default() -> Way:
    """The first of the candidates: a good choice on most processors with these instructions."""
    return candidates()[0]


def candidates() -> list[Way]:
    """The ways worth trying with this processor's registers; the last one leaves its products to the library."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        ways = [Way(64, 4, 4, 4), Way(64, 8, 2, 4), Way(32, 8, 2, 4)]
    elif features.get("avx"):
        ways = [Way(32, 4, 2, 2), Way(32, 4, 3, 2)]
    elif features.get("neon"):
        ways = [Way(16, 4, 4, 4), Way(16, 8, 2, 4)]
    else:
        ways = [Way(16, 4, 2, 2)]
    return [*ways, replace(ways[0], library=True)]


def way(kind: Kind, width: int) -> Way:
    """The way of working for a network of this width: the one chosen earlier on this machine, or else measured now.

    Raises WayError if FUSED_LOOPS is set to anything else than "default" or a way.
    """
    return asked() or _measured(kind, width)


def asked() -> Way | None:
    """The way that `forced` or FUSED_LOOPS asks for; raises WayError if the latter's value describes none."""
    if _forced:
        return _forced[-1]
    named = os.environ.get(VARIABLE, "")
    return _named(named) if named else None


@cache  # asking for the processor's features takes as long as a small molecule
def _named(text: str) -> Way:
    return default() if text == _DEFAULT else Way.parse(text)


_forced: list[Way] = []


@contextmanager
def forced(chosen: Way) -> Iterator[None]:
    """Within this context, `way` returns this one, in all threads."""
    _forced.append(chosen)
    try:
        yield
    finally:
        _forced.pop()


@cache
def _measured(kind: Kind, width: int) -> Way:
    from fused import trials  # which needs the loops, and they need this module

    tiles = kept(f"tiles-{width}", lambda: trials.tiles(width))
    return kept(f"{kind}-{width}", lambda: trials.block(kind, width, tiles))


def kept(name: str, measure: Callable[[], Way]) -> Way:
    """The way kept under a name for this processor and these versions; if there is none, what `measure` finds.

    If several processes start at once, one of them measures and the others wait for it. If nothing can be kept, each
    process measures, and may find another way.
    """
    path, found = folder() / f"{name}.json", None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                found = measure()
                _write(path, found)
    except (OSError, NotImplementedError) as error:  # read-only, full, or a file system without locks
        _log.warning(
            "how the loops work best on this processor can't be kept (%s): each start measures it anew and may choose "
            "another way, which differs by rounding; with %s=%s nothing is measured",
            error,
            VARIABLE,
            _DEFAULT,
        )
    return found or measure()


def folder() -> Path:
    """Where this processor's choices are kept, for these versions of the code and of its compiler."""
    surroundings = {
        "processor": processor(),
        "instructions": sorted(name for name, has in llvm.get_host_cpu_features().items() if has),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_CPU")},
        "versions": [importlib.metadata.version(name) for name in ("numba", "llvmlite", "scipy")],
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(__file__).parent.glob("*.py"))],
    }
    digest = hashlib.sha256(json.dumps(surroundings).encode()).hexdigest()
    return platformdirs.user_cache_path("schnet-fused") / digest[:16]


def processor() -> str:
    """The processor's model; empty if the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _read(path: Path) -> Way | None:
    """The way that a file holds, or None."""
    try:
        return Way.parse(json.loads(path.read_text(encoding="utf-8"))["way"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, chosen: Way) -> None:
    temporary = path.with_suffix(".part")  # of whoever holds the lock
    try:
        temporary.write_text(json.dumps({"processor": processor(), "way": str(chosen)}) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@cache
def _sgemm() -> int:
    from numba.extending import get_cython_function_address

    return get_cython_function_address("scipy.linalg.cython_blas", "sgemm")


@cache
def _libraries():
    from threadpoolctl import ThreadpoolController

    _sgemm()  # loads it: what is not there yet would not be found
    return ThreadpoolController()
