"""A search on a real PostgreSQL, started here: the storage that several machines can share."""

import glob
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
import yaml
from waiting import join_all

from analysis.study import search, sweeps, trials
from analysis.training import recording

SWEEP = {
    "program": "analysis/study/search.py",
    "method": "grid",
    "metric": {"name": "validation_loss", "goal": "minimize"},
    "parameters": {"epochs": {"value": 1}, "learning_rate": {"values": [n / 1000 for n in range(1, 7)]}},
}


def program(name: str) -> str:
    """Debian has them outside the path, by version."""
    places = [os.environ["PATH"], *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # noqa: PTH207 - absolute
    found = shutil.which(name, path=os.pathsep.join(places))
    assert found is not None, f"{name} is missing: `make system` installs postgresql"
    return found


@pytest.fixture
def url() -> Iterator[str]:
    """Of the storage; the server has a socket in a folder of its own and no port, and refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="search-"))  # a socket's path is short
    them = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        them = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(name: str, *arguments: str) -> None:
        command = [program(name), "-D", folder / "data", *arguments]
        with (folder / "said").open("a") as said:
            subprocess.run(command, check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, **them)

    try:
        run("initdb", "-A", "trust", "-U", "searcher", "-N")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses='' -F", "start")
        try:
            yield f"postgresql+psycopg://searcher@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _work(path: Path, results: Path, url: str, barrier, dies: bool) -> None:
    """As one of two machines would; one of them dies in its second trial."""
    search.HEARTBEAT_SECONDS = 1
    asked = []

    def answer(config, *_, **__):
        asked.append(config)
        if len(asked) == 1:
            barrier.wait()
        if dies and len(asked) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return SimpleNamespace(
            history=pd.DataFrame({"validation_loss": [config.training.learning_rate]}),
            about={"seconds": {"data": 1.0, "training": 1.0, "validation": 1.0}},
        )

    recording.load_or_train = answer
    search.search(sweeps.load_sweep(path), search.qm9.load(), profile="smoke", storage=url, results=results)


def test_machines_share_a_search_and_one_takes_up_the_trial_of_one_that_died(url, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(SWEEP))
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(2)
    first, second = (
        context.Process(target=_work, args=(path, tmp_path / f"results{number}", url, barrier, number == 0))
        for number in range(2)
    )
    first.start()
    second.start()
    first.join()
    assert first.exitcode == -signal.SIGKILL
    join_all([second])
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name=None, storage=storage)
    try:
        done = trials.trials_of(study).query("state == 'complete'")
        assert sorted(done["learning_rate"]) == SWEEP["parameters"]["learning_rate"]["values"]
        assert len({trial.user_attrs["machine"] for trial in study.trials if trial.user_attrs}) == 2
        assert [trial.user_attrs["again"] for trial in study.trials if "again" in trial.user_attrs]
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert not list(tmp_path.glob("*/search.db"))
