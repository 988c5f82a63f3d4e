"""SchNetPack's command line with the callback: one process trains a network as it is, and the same one accelerated."""

import csv
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from schnetpack.atomistic import Atomwise
from schnetpack.representation import SchNet

from analysis.data import databases
from analysis.data.molecules import Molecules

SPKTRAIN = Path(sysconfig.get_path("scripts")) / "spktrain"
OVERRIDES = """
experiment=qm9_atomwise ~data.property_units +data.property_units.energy_U0=eV
data.num_train=8 data.num_val=2 +data.num_test=2 data.batch_size=4 data.num_workers=0
model/representation=schnet model.representation.n_atom_basis=16 model.representation.n_interactions=1
trainer.max_epochs=1 trainer.accelerator=cpu +trainer.enable_progress_bar=false +seed=1
logger=csv print_config=false hydra.sweep.dir=. hydra.sweep.subdir=${hydra.job.num}
+callbacks.fused._target_=pytorch_lightning.Callback,fused.Accelerate
"""
"""The database has U0 alone. The two callbacks are two trainings; the first callback does nothing."""


@pytest.fixture(scope="module")
def trained(few_molecules: Molecules, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `spktrain` leaves of a training as it is, and of an accelerated one."""
    folder = tmp_path_factory.mktemp("spktrain")
    (folder / "data").mkdir()
    databases.write(folder / "data" / "qm9.db", few_molecules.select(np.arange(0, 180, 15)))
    # What it has written itself it loads again as a pickle, which torch since 2.6 refuses unless it is told to.
    environment = os.environ | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "CUDA_VISIBLE_DEVICES": "", "PWD": str(folder)}
    done = subprocess.run(
        [SPKTRAIN, "--multirun", *OVERRIDES.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [folder / "0", folder / "1"]


def metrics(run: Path) -> dict[str, float]:
    """The losses and errors of a training, eV² and eV, each as it was logged last."""
    with (run / "csv" / "version_0" / "metrics.csv").open(encoding="utf-8") as file:
        found = {name: value for row in csv.DictReader(file) for name, value in row.items() if value}
    return {name: float(value) for name, value in found.items() if name.startswith(("val_", "test_"))}


def test_the_losses_are_those_of_the_network_as_it_is(trained):
    stock, accelerated = map(metrics, trained)
    assert {"val_loss", "test_loss", "val_energy_U0_mae", "test_energy_U0_mae"} <= stock.keys()
    assert accelerated == pytest.approx(stock, rel=1e-4)


def test_its_log_says_what_was_accelerated(trained):
    stock, accelerated = ((run / "cli.log").read_text(encoding="utf-8") for run in trained)
    for line in ("representation: SchNet", "input_modules.0: PairwiseDistances", "output_modules.0: Atomwise"):
        assert f"model.{line}, accelerated" in accelerated
    assert "accelerated" not in stock


def test_the_model_that_it_leaves_is_schnetpacks_with_the_parameters_of_the_network_as_it_is(trained):
    stock, accelerated = (torch.load(run / "best_model", weights_only=False) for run in trained)
    assert (type(accelerated.representation), type(accelerated.output_modules[0])) == (SchNet, Atomwise)
    expected, found = stock.state_dict(), accelerated.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5)
