import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from analysis.data import qm9
from analysis.data.molecules import Molecules

os.environ["FUSED_LOOPS"] = "default"  # no test measures how fast this machine is, nor keeps what it found

# Processes that tests start are forked from one that has imported this, which takes 8 s of processor time.
multiprocessing.set_forkserver_preload(["pytest", "analysis.study.search", "analysis.training.loop"])

# A slow machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


LONGEST = (
    "cluster/test_slurm",
    "study/test_search",
    "test_notebooks",
    "harness/test_robustness",
    "harness/test_benchmark",
    "training/test_loop",
    "fused/test_fused_convolution",
    "evaluation/test_verdicts",
    "predict/test_ensemble",
    "training/test_networks",
    "fused/test_fused_accelerate",
    "evaluation/test_error_sources",
    "cli/test_install",
)
"""The files that take a minute or more: begun last, one of them would leave the other core with nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files go to the workers in the order in which they are found: first those that take longest, then notebooks."""
    tests = Path(__file__).parent
    first = {tests / f"{name}.py": place for place, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in first), "a file of LONGEST is gone"
    items.sort(key=lambda item: first.get(item.path, len(first) + (tests in item.path.parents)))


@pytest.fixture(scope="session")
def qm9_molecules() -> Molecules:
    """All of QM9, through the user's own cache."""
    return qm9.load()


@pytest.fixture(scope="session")
def few_molecules(qm9_molecules: Molecules) -> Molecules:
    """About 200 real molecules: up to eight of every size, spread evenly over QM9."""
    sizes = np.unique(qm9_molecules.n_atoms)
    members = [np.flatnonzero(qm9_molecules.n_atoms == size) for size in sizes]
    spread = [m[np.unique(np.linspace(0, len(m) - 1, 8).astype(int))] for m in members]
    return qm9_molecules.select(np.sort(np.concatenate(spread)))


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Within it no file may grow beyond so many bytes, as on a disk that is nearly full; it holds for root too."""

    @contextmanager
    def limit(allowed: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
