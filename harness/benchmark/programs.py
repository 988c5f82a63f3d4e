"""SchNetPack's own programs, its tutorial on QM9 and `spktrain`, as they are and in each faster variant.

Both are run as SchNetPack 2.2 has them, on a few molecules of QM9 in a database like that which its `QM9` class would
download.
"""

import json
import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torchmetrics
from schnetpack import transform
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.datasets import QM9
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import SchNet
from schnetpack.task import AtomisticTask, ModelOutput
from schnetpack.train import ModelCheckpoint

import fused
from analysis.data import databases, qm9
from fused import choice
from harness.benchmark.contestants import EpochTimes, neighbour_list
from harness.benchmark.record import Variant

_SPKTRAIN = Path(sysconfig.get_path("scripts")) / "spktrain"
_UNITS = ("~data.property_units", "+data.property_units.energy_U0=eV")
"""The database has U0 alone."""
_SAID = 2000  # characters of a failed process's last words


class Watch(EpochTimes):
    """Writes to a file how long each epoch took, its validation included, and the last validation loss."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Write the file, JSON."""
        found = {"seconds": self.seconds, "validation_loss": float(trainer.callback_metrics["val_loss"])}
        Path(self.path).write_text(json.dumps(found), encoding="utf-8")


def write_database(folder: Path, molecules: int) -> None:
    """Leave a seeded draw of molecules where `spktrain` looks for QM9 when it is started in `folder`."""
    path = _database(folder)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        everything = qm9.load()
        drawn = np.random.default_rng(0).choice(len(everything), molecules, replace=False)
        databases.write(path, everything.select(np.sort(drawn)))


def run(
    folder: Path,
    *,
    program: str,
    network: choice.Kind,
    contestant: Variant,
    train: int,
    validation: int,
    epochs: int,
    seed: int,
) -> dict[str, Any]:
    """Train with one of the programs, in a folder with a database; what `Watch` writes.

    Raises RuntimeError, with its last words, if `spktrain` fails.
    """
    sizes = {"train": train, "validation": validation, "epochs": epochs, "seed": seed}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        out = Path(scratch) / "run" / "epochs.json"
        if program == "tutorial":
            out.parent.mkdir()
            _tutorial(_database(folder), contestant, out, **sizes)
        else:
            _spktrain(folder, network, contestant, out, **sizes)
        return json.loads(out.read_text(encoding="utf-8"))


def _tutorial(
    database: Path, variant: Variant, out: Path, *, train: int, validation: int, epochs: int, seed: int
) -> None:
    """SchNetPack's tutorial on QM9, up to its training."""
    pl.seed_everything(seed)
    data = QM9(
        str(database),
        batch_size=100,
        num_train=train,
        num_val=validation,
        transforms=[
            neighbour_list(variant, transform.ASENeighborList)(cutoff=5.0),
            transform.RemoveOffsets(QM9.U0, remove_mean=True, remove_atomrefs=True),
            transform.CastTo32(),
        ],
        remove_uncharacterized=True,  # they are not in the database
        property_units={QM9.U0: "eV"},
        num_workers=1,
        split_file=str(out.with_name("split.npz")),
        load_properties=[QM9.U0],
    )
    data.prepare_data()
    data.setup()
    model = NeuralNetworkPotential(
        representation=SchNet(
            n_atom_basis=30,
            n_interactions=3,
            radial_basis=GaussianRBF(n_rbf=20, cutoff=5.0),
            cutoff_fn=CosineCutoff(5.0),
        ),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=30, output_key=QM9.U0)],
        postprocessors=[transform.CastTo64(), transform.AddOffsets(QM9.U0, add_mean=True, add_atomrefs=True)],
    )
    task = AtomisticTask(
        model,
        outputs=[ModelOutput(QM9.U0, loss_fn=torch.nn.MSELoss(), metrics={"MAE": torchmetrics.MeanAbsoluteError()})],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": 1e-4},
    )
    callbacks = [ModelCheckpoint(str(out.with_name("best_model")), save_top_k=1, monitor="val_loss"), Watch(str(out))]
    if variant == "in_memory":
        callbacks.append(fused.Accelerate(in_memory=True))
    elif variant != "schnetpack":
        fused.accelerate(model)
    trainer = pl.Trainer(
        callbacks=callbacks,
        logger=pl.loggers.TensorBoardLogger(save_dir=out.parent),
        default_root_dir=out.parent,
        max_epochs=epochs,
    )
    trainer.fit(task, datamodule=data)


def _spktrain(
    folder: Path,
    network: choice.Kind,
    variant: Variant,
    out: Path,
    *,
    train: int,
    validation: int,
    epochs: int,
    seed: int,
) -> None:
    """SchNetPack's command, with its experiment on QM9."""
    run = out.parent
    overrides = [
        *("experiment=qm9_atomwise", f"model/representation={network}", f"+seed={seed}", *_UNITS),
        *(f"data.num_train={train}", f"data.num_val={validation}", f"trainer.max_epochs={epochs}"),
        *(f"run.path={run.parent.name}", f"run.id={run.name}"),
        *("+callbacks.watch._target_=harness.benchmark.programs.Watch", f"+callbacks.watch.path={out.name}"),
    ]
    if variant != "schnetpack":
        overrides.append("+callbacks.fused._target_=fused.Accelerate")
    if variant in ("half_list", "in_memory"):
        overrides.append("data.transforms.2._target_=fused.HalfNeighborList")
    if variant == "in_memory":
        overrides.append("+callbacks.fused.in_memory=true")
    # It loads its own checkpoint at the end, a pickle, which torch since 2.6 refuses unless it is told to.
    environment = os.environ | {"PWD": str(folder), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    done = subprocess.run(  # noqa: S603
        [_SPKTRAIN, *overrides], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"spktrain {' '.join(overrides)} ended with {done.returncode}:\n{done.stderr[-_SAID:]}")


def _database(folder: Path) -> Path:
    return folder / "data" / "qm9.db"
