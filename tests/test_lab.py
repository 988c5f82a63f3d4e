"""`make lab`: JupyterLab, whose kernels are this environment whatever else the user has installed."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Asks a server for what its API knows. A kernel of another environment lies in the user's folder."""
    folder = tmp_path_factory.mktemp("lab")
    foreign = {"argv": ["/usr/bin/false"], "display_name": "Somebody else's", "language": "python"}
    for name in ("python3", "schnet-qm9"):
        (folder / "data" / "kernels" / name).mkdir(parents=True)
        (folder / "data" / "kernels" / name / "kernel.json").write_text(json.dumps(foreign))
    places = {name: str(folder / name.lower()) for name in ("DATA", "RUNTIME", "CONFIG")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {f"JUPYTER_{name}_DIR": place for name, place in places.items()}
    options = "--no-browser --ServerApp.port=0 --allow-root --IdentityProvider.token=secret"
    started = subprocess.Popen(
        ["make", "lab", "--assume-old", "env", f"ARGS={options}"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not (about := list((folder / "runtime").glob("jpserver-*.json"))):
            assert started.poll() is None, started.stderr.read()
            time.sleep(0.1)
        while not (text := about[0].read_text()).endswith("}"):
            time.sleep(0.1)
        url = json.loads(text)["url"]

        def ask(what: str) -> dict:
            with urllib.request.urlopen(f"{url}api/{what}?token=secret", timeout=600) as answer:  # noqa: S310
                return json.load(answer)

        yield ask
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.communicate()


def test_the_kernel_is_this_environment_by_name(lab):
    found = lab("kernelspecs")
    assert found["default"] == "schnet-qm9"
    ours = found["kernelspecs"]["schnet-qm9"]["spec"]
    assert ours["display_name"] == "SchNet on QM9"
    assert Path(ours["argv"][0]).parent == Path(sys.prefix, "bin")
    assert "/usr/bin/false" not in found["kernelspecs"]["python3"]["spec"]["argv"]  # which the notebooks name


def test_the_notebooks_are_there(lab):
    names = {one["name"] for one in lab("contents/notebooks")["content"]}
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= names
