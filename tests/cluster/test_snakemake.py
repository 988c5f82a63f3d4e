"""The workflow knows the runs of the study from the package's own list, and what each will take."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_what_is_missing_is_a_job_with_the_time_and_the_memory_that_records_say(profile, tmp_path):
    """One seed of the baseline is recorded, another one is not."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    listing = [sys.executable, "-m", "analysis", "list", "baseline", "--seeds", "0,77", "--json"]
    done = subprocess.run(listing, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True)
    recorded, missing = json.loads(done.stdout)
    assert (recorded["state"], missing["state"]) == ("recorded", "missing")
    command = [
        Path(sys.executable).with_name("snakemake"), "--dry-run", "--profile", ROOT / "workflow" / "profiles" / profile,
        "study", "--snakefile", ROOT / "workflow" / "Snakefile", "--directory", tmp_path,
        "--config", "experiment=baseline", "seeds=0,77", f"results={ROOT / 'results'}", f"python={sys.executable}",
    ]  # fmt: skip
    planned = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    said = planned.stdout + planned.stderr
    assert planned.returncode == 0, said
    assert f"runs/baseline/{missing['id']}" in said
    assert f"runs/baseline/{recorded['id']}" not in said
    minutes = max(10, round(2 * missing["expected_seconds"] / 60))
    assert f"runtime={minutes}," in said
    measured = json.loads((ROOT / "results" / "benchmark" / "benchmark.json").read_text())["full"]["memory"]
    assert f"mem_mb={measured // 10**6 + 1024}" in said
