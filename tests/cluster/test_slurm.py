"""The study on a real SLURM of one node, whose workers are cancelled and requeued."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from analysis.runs import records
from tests.cluster.one_node import OneNode, SlurmError, one_node

ROOT = Path(__file__).resolve().parents[2]
ASKED = ["baseline", "--profile", "smoke", "--seeds", "0,1"]


@pytest.fixture
def slurm(tmp_path) -> Iterator[OneNode]:
    with one_node(tmp_path) as node:
        yield node


def until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.1)


def test_workers_that_are_cancelled_and_requeued_come_to_the_bits_of_one_that_is_not(slurm, tmp_path):
    surroundings = slurm.environment | {
        "OMP_NUM_THREADS": "1",
        "FUSED_LOOPS": "default",
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    subprocess.run(
        [ROOT / "workflow" / "workers.sh", *ASKED, "--results", alone, "--logger", "none"],
        env=surroundings, cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    node = OneNode(surroundings)
    log = tmp_path / "workers.out"
    sent = ["workflow/workers.sh", *ASKED, "--results", str(shared), "--logger", "none"]
    cores = ["--cpus-per-task=1", "--mem=1G", f"--output={log}"]
    job = node("sbatch", "--parsable", "--array=0-1", *cores, *sent, cwd=ROOT)
    # In the middle of a training: its lease is there.
    until(lambda: any((shared / ".locks").glob("*.lease")) or not node("squeue", "--noheader"))
    time.sleep(random.random() * 2)
    cancelled = random.randrange(2)
    with suppress(SlurmError):  # it has ended
        node("scancel", f"{job}_{cancelled}")
    with suppress(SlurmError):
        node("scontrol", "requeue", f"{job}_{1 - cancelled}")
    until(lambda: not node("squeue", "--noheader"))
    said = log.read_text()
    ours = {one.relative_to(alone) for one in records.recorded_folders(alone)}
    assert len(ours) == 2, said
    assert {one.relative_to(shared) for one in records.recorded_folders(shared)} == ours, said
    for run in ours:
        one, other = records.load(alone / run), records.load(shared / run)
        assert other.about["machine"] == one.about["machine"]
        for name in records.FILES:
            assert (other.folder / name).read_bytes() == (one.folder / name).read_bytes(), f"{run}/{name}"
