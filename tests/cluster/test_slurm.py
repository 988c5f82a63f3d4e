"""The study on a real SLURM of one node: workers that are cancelled and requeued, and Snakemake's jobs."""

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
ASKED = ["baseline", "--profile", "smoke", "--seeds", "0,1", "--logger", "none"]
SURROUNDINGS = {"OMP_NUM_THREADS": "1", "FUSED_LOOPS": "default", "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[OneNode]:
    with one_node(tmp_path_factory.mktemp("slurm")) as node:
        yield OneNode(node.environment | SURROUNDINGS)


@pytest.fixture(scope="module")
def alone(slurm, tmp_path_factory) -> Path:
    """What one worker records that nothing disturbs."""
    results = tmp_path_factory.mktemp("alone")
    command = [ROOT / "workflow" / "workers.sh", *ASKED, "--results", results]
    subprocess.run(command, env=slurm.environment, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    assert len(list(records.recorded_folders(results))) == 2
    return results


def same_bits(alone: Path, shared: Path, said: str) -> None:
    """Assert that the same runs are recorded in both folders, with the same bytes."""
    ours = {one.relative_to(alone) for one in records.recorded_folders(alone)}
    assert {one.relative_to(shared) for one in records.recorded_folders(shared)} == ours, said
    for run in ours:
        one, other = records.load(alone / run), records.load(shared / run)
        assert other.about["machine"] == one.about["machine"]
        for name in records.FILES:
            assert (other.folder / name).read_bytes() == (one.folder / name).read_bytes(), f"{run}/{name}"


def until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.1)


def test_workers_that_are_cancelled_and_requeued_come_to_the_bits_of_one_that_is_not(slurm, alone, tmp_path):
    shared, log = tmp_path / "shared", tmp_path / "workers.out"
    sent = ["workflow/workers.sh", *ASKED, "--results", str(shared)]
    cores = ["--cpus-per-task=1", "--mem=1G", f"--output={log}"]
    job = slurm("sbatch", "--parsable", "--array=0-1", *cores, *sent, cwd=ROOT)
    # In the middle of a training: its lease is there.
    until(lambda: any((shared / ".locks").glob("*.lease")) or not slurm("squeue", "--noheader"))
    time.sleep(random.random() * 2)
    cancelled = random.randrange(2)
    with suppress(SlurmError):  # it has ended
        slurm("scancel", f"{job}_{cancelled}")
    with suppress(SlurmError):
        slurm("scontrol", "requeue", f"{job}_{1 - cancelled}")
    until(lambda: not slurm("squeue", "--noheader"))
    same_bits(alone, shared, log.read_text())


def test_snakemake_hands_each_run_to_slurm_as_a_job_of_its_own(slurm, alone, tmp_path):
    """With the profile for clusters, but for what a cluster with accounting has: `sacct`, and time."""
    results = tmp_path / "results"
    command = [
        Path(sys.executable).with_name("snakemake"), "--profile", ROOT / "workflow" / "profiles" / "slurm",
        "study", "--snakefile", ROOT / "workflow" / "Snakefile", "--directory", tmp_path,
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
        "--seconds-between-status-checks", "1",
        "--config", "experiment=baseline", "profile=smoke", "seeds=0,1", "threads=1", f"results={results}",
        f"python={sys.executable}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=slurm.environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    same_bits(alone, results, said)
    ours = {f"rule_train_wildcards_{one.parent.name}_{one.name}" for one in records.recorded_folders(alone)}
    jobs = slurm("squeue", "--noheader", "--states=all", "--format=%k %T").splitlines()
    assert {f"{run} COMPLETED" for run in ours} <= set(jobs), jobs
