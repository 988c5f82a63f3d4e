"""Training of one run: SchNetPack's task and model in a Lightning trainer, over packed batches."""

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from schnetpack.model import NeuralNetworkPotential
from schnetpack.task import AtomisticTask, ModelOutput

from analysis import offsets, schnet, subsets
from analysis.config import Data, RunConfig
from analysis.molecules import Molecules
from analysis.pairs import ENERGY, PackedLoader, PackedMolecules, neighbour_pairs

_EVALUATION_BATCH = 1024
CHECKPOINT = "last.ckpt"


class TrainingDivergedError(RuntimeError):
    """The loss stopped being a finite number."""


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves.

    `model` predicts total energies (its postprocessors add the offsets back); `molecules` are those of the run, and
    `parts` positions in them; `history` has a row per epoch with the mean training loss and the validation loss in
    eV²; `seconds` is the wall time of each phase.
    """

    model: NeuralNetworkPotential
    molecules: Molecules
    parts: subsets.Split
    packed: PackedMolecules
    offsets: offsets.Offsets
    history: pd.DataFrame
    seconds: dict[str, float] = field(default_factory=dict)


class PackedDataModule(pl.LightningDataModule):
    """Packed batches of the training and validation part; the order of epoch k depends on (seed, k) alone."""

    def __init__(self, packed: PackedMolecules, parts: subsets.Split, *, batch_size: int, seed: int, stock: bool):
        super().__init__()
        self._train = PackedLoader(packed, parts.train, batch_size=batch_size, seed=seed, shuffle=True, stock=stock)
        self._validation = PackedLoader(packed, parts.validation, batch_size=_EVALUATION_BATCH, stock=stock)

    def train_dataloader(self) -> PackedLoader:
        """Shuffled batches of the trainer's current epoch; the trainer asks anew before each."""
        self._train.epoch = self.trainer.current_epoch
        return self._train

    def val_dataloader(self) -> PackedLoader:
        """The validation part in its own order."""
        return self._validation


class History(Callback):
    """Losses per epoch, eV², and a checkpoint after each, which holds the losses too.

    Raises TrainingDivergedError at the first step whose loss is not finite.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self.rows: list[dict[str, float]] = []
        self._sum = 0.0
        self._molecules = 0

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the epoch's mean anew."""
        self._sum, self._molecules = 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, step: int) -> None:  # noqa: ARG002
        """Add one batch, weighted by its molecules."""
        loss = float(outputs["loss"])
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss became {loss} in epoch {trainer.current_epoch + 1}, step {step + 1}; "
                "try a smaller learning rate"
            )
        molecules = len(batch[ENERGY])
        self._sum += loss * molecules
        self._molecules += molecules

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Close the epoch, which Lightning has validated by now, and replace the checkpoint."""
        row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": self._sum / self._molecules,
            "validation_loss": float(trainer.callback_metrics["val_loss"]),
        }
        self.rows.append(row)
        trainer.save_checkpoint(self._checkpoint)

    def state_dict(self) -> dict[str, list]:
        """What the checkpoint keeps."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, list]) -> None:
        """Take up the curve where the checkpoint left it."""
        self.rows = list(state_dict["rows"])


def choose_molecules(molecules: Molecules, data: Data) -> tuple[Molecules, subsets.Split]:
    """The molecules of one run and their parts: the seeded split of the database, thinned at random where asked.

    Raises ValueError if a part holds fewer molecules than asked for.
    """
    whole = subsets.split(molecules, seed=data.split_seed, held_out=data.held_out)
    train, validation, test = whole.train, whole.validation, whole.test
    if data.train_molecules is not None:
        train = subsets.random_subset(train, data.train_molecules, seed=data.split_seed)
    if data.held_out_molecules is not None:
        half = data.held_out_molecules // 2
        validation = subsets.random_subset(validation, half, seed=data.split_seed)
        test = subsets.random_subset(test, data.held_out_molecules - half, seed=data.split_seed)
    used = np.sort(np.concatenate([train, validation, test]))
    parts = [np.searchsorted(used, part) for part in (train, validation, test)]
    return molecules.select(used), subsets.Split(*parts)


def train(config: RunConfig, molecules: Molecules, folder: Path, *, progress: bool = False) -> Trained:
    """Train one run, taking up the checkpoint in `folder` if there is one.

    Parameters
    ----------
    config
        The run.
    molecules
        The whole database.
    folder
        Where the checkpoint of the last finished epoch is kept.
    progress
        Show Lightning's progress bar.

    Raises
    ------
    TrainingDivergedError
        The loss became infinite or NaN.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "data"):
        molecules, parts = choose_molecules(molecules, config.data)
        fitted = offsets.fit(molecules, parts.train)
        packed = PackedMolecules(
            molecules,
            neighbour_pairs(molecules, config.model.data_cutoff),
            targets=molecules.energy - fitted.of(molecules),
        )
    stock = config.model.convolution == "stock"
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = schnet.build(
            n_atom_basis=config.model.n_atom_basis,
            n_interactions=config.model.n_interactions,
            n_rbf=config.model.n_rbf,
            cutoff=config.model.training_cutoff,
            shared_interactions=config.model.shared_interactions,
            fused=not stock,
            postprocessors=fitted.postprocessors(ENERGY),
        )
    task = _task(model, config.training.learning_rate)
    checkpoint = folder / CHECKPOINT
    history = History(checkpoint)
    module = PackedDataModule(packed, parts, batch_size=config.training.batch_size, seed=config.seed, stock=stock)
    with _timed(seconds, "training"), _quiet_lightning():
        trainer = pl.Trainer(
            max_epochs=config.training.epochs,
            callbacks=[history],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
        )
        trainer.fit(task, datamodule=module, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=True)
    return Trained(model, molecules, parts, packed, fitted, pd.DataFrame(history.rows), seconds)


def predict_errors(model: NeuralNetworkPotential, packed: PackedMolecules, positions: np.ndarray) -> np.ndarray:
    """Predicted − true U0 of the molecules at `positions`: float64 [n], eV.

    The offsets cancel, so they are left out on both sides: the difference of two numbers near −10⁴ eV would lose
    digits.
    """
    keep = model.do_postprocessing
    model.do_postprocessing = False
    model.eval()
    errors = []
    try:
        with torch.no_grad():
            for batch in PackedLoader(
                packed, positions, batch_size=_EVALUATION_BATCH, stock=not schnet.is_fused(model)
            ):
                target = batch[ENERGY].double()
                errors.append(model(batch)[ENERGY].double() - target)
    finally:
        model.do_postprocessing = keep
    return torch.cat(errors).numpy()


def _task(model: NeuralNetworkPotential, learning_rate: float) -> AtomisticTask:
    with warnings.catch_warnings():
        # The task saves its arguments as hyperparameters, and Lightning warns that this doubles the model in the
        # checkpoint. They are emptied below: a checkpoint then holds tensors and plain values alone.
        warnings.filterwarnings("ignore", "Attribute '.*' is an instance of `nn.Module`", UserWarning)
        task = AtomisticTask(
            model,
            outputs=[ModelOutput(ENERGY, loss_fn=torch.nn.MSELoss(), metrics={})],
            optimizer_cls=torch.optim.AdamW,
            optimizer_args={"lr": learning_rate, "fused": True},  # one kernel for all parameters
        )
    task.hparams.clear()
    return task


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's banners out of a notebook, and its one call that torch marks for removal."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - start
