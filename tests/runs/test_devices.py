"""On which device a run is trained, as far as that can be seen without a GPU."""

import pytest
import torch
from typer.testing import CliRunner

from analysis.cli import commands
from analysis.runs import devices
from analysis.training import recording


@pytest.fixture
def gpu(monkeypatch):
    """torch says that it can use one."""
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")


@pytest.mark.parametrize(("given", "variable", "found"), [
    ("auto", None, "cuda"), ("cpu", None, "cpu"), ("cuda", "cpu", "cuda"), ("auto", "cpu", "cpu"), ("auto", "", "cuda"),
])  # fmt: skip
@pytest.mark.usefixtures("gpu")
def test_what_is_asked_for_comes_before_the_variable_and_that_before_what_is_there(given, variable, found, monkeypatch):
    if variable is not None:
        monkeypatch.setenv(devices.VARIABLE, variable)
    with devices.using(given):
        assert devices.accelerator() == found
        assert recording.machine()["device"] == ("a card" if found == "cuda" else "cpu")
    assert devices.asked() == (variable or "auto")


def test_a_device_that_there_is_not_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = ["run", "baseline", "--profile", "smoke", "--results", str(tmp_path / "results"), "--device"]
    for device, said in (("gpu", "there is no device 'gpu': write auto, cpu, cuda"), ("cuda", "torch can use no GPU")):
        refused = CliRunner().invoke(commands.app, [*asked, device])
        assert refused.exit_code == 1
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"error: {said}")
    monkeypatch.setenv(devices.VARIABLE, "gpu")
    with pytest.raises(devices.DeviceError, match="no device 'gpu'"):
        devices.accelerator()
    assert not (tmp_path / "results").exists()
