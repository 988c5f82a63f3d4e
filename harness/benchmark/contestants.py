"""Ways of training the same SchNet on the same molecules: SchNetPack's own, its variants, and this compendium's.

Each trains without end: a window (see `window`) stops it. (c), PyTorch Geometric's, is in `geometric`, so that no
contestant's memory holds another's libraries.
"""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from schnetpack import transform
from schnetpack.data import AtomsDataFormat, AtomsDataModule
from schnetpack.model import NeuralNetworkPotential
from schnetpack.task import AtomisticTask, ModelOutput

import fused
from analysis.data import databases, offsets, qm9
from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.data.splits import Split
from analysis.runs import selection
from analysis.runs.config import Data, Model, RunConfig, adjust
from analysis.training import loop, networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused.packed import PackedLoader
from fused.schnet import FusedSchNet, Readout
from harness.benchmark.record import Settings, Variant
from harness.benchmark.window import Window, WindowClosedError

NEIGHBOUR_LIST = transform.VesinNeighborList
"""The quickest of SchNetPack's neighbour lists on QM9 here: 2,050 molecules/s with two workers, matscipy's 1,610,
ASE's 1,310; cached on disk 1,010."""

_ENDLESS = 1_000_000  # epochs


class Clock(Callback):
    """Tells a window of a Lightning training's steps."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:  # noqa: ARG002
        """Show the window the network."""
        self._window.network(module.model)

    def on_train_epoch_start(self, *_: object) -> None:
        """Mark the next step as one that begins an epoch."""
        self._window.epoch_begins()

    def on_train_batch_start(self, *_: object) -> None:
        """The batch is there."""
        self._window.batch_in_hand()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, step: int) -> None:  # noqa: ARG002
        """The step is made."""
        self._window.step_done(len(batch[ENERGY]), float(outputs["loss"]))


class EpochTimes(Callback):
    """Wall time of each epoch in `seconds`; `first_batch` is when the first batch was there (`time.perf_counter`)."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.first_batch = 0.0
        self._start = 0.0

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the watch; SchNetPack's workers have not been started yet."""
        self._start = time.perf_counter()

    def on_train_batch_start(self, *_: object) -> None:
        """Note the first batch."""
        self.first_batch = self.first_batch or time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        """Stop the watch."""
        self.seconds.append(time.perf_counter() - self._start)


def data_of(molecules: int) -> Data:
    """A seeded draw of this number of training molecules; two others are held out, because a run needs some."""
    share = molecules / qm9.N_MOLECULES
    held_out = 0.2 if share <= 0.8 else (1 - share) / 2
    return Data(held_out=held_out, train_molecules=molecules, held_out_molecules=2)


def config_of(settings: Settings, *, width: int, batch: int, molecules: int, epochs: int = _ENDLESS) -> RunConfig:
    """The run that (d) does, as any user of the package would describe it."""
    return adjust(
        RunConfig(experiment="benchmark", seed=settings.seed, data=data_of(molecules)),
        model={
            "n_atom_basis": width,
            "n_interactions": settings.n_interactions,
            "n_rbf": settings.n_rbf,
            "data_cutoff": settings.cutoff,
            "training_cutoff": settings.cutoff,
        },
        training={"batch_size": batch, "learning_rate": settings.learning_rate, "epochs": epochs},
    )


def chosen(molecules: Molecules, count: int) -> tuple[Molecules, Split, np.ndarray]:
    """The molecules that every contestant sees, their parts, and the targets without offsets (float64 [M], eV)."""
    picked = selection.choose_molecules(molecules, data_of(count))
    used, parts = picked.molecules, picked.parts
    return used, parts, used.energy - offsets.fit(used, parts.train).of(used)


def write_database(folder: Path, molecules: Molecules, count: int) -> None:
    """Leave `count` training molecules in `folder` as SchNetPack's data module reads them: a database and a split."""
    database, split = _files(folder, count)
    if not (database.exists() and split.exists()):
        used, parts, _ = chosen(molecules, count)
        database.unlink(missing_ok=True)
        databases.write(database, used)
        np.savez(split, train_idx=parts.train, val_idx=parts.validation, test_idx=parts.test)


def stock_model(settings: Settings, width: int, postprocessors: list[torch.nn.Module]) -> NeuralNetworkPotential:
    """SchNetPack's modules and nothing else."""
    torch.manual_seed(settings.seed)
    return networks.build_from(_shape(settings, width), fused=False, postprocessors=postprocessors)


def _shape(settings: Settings, width: int) -> Model:
    return Model(
        n_atom_basis=width,
        n_interactions=settings.n_interactions,
        n_rbf=settings.n_rbf,
        data_cutoff=settings.cutoff,
        training_cutoff=settings.cutoff,
    )


def data_module(
    settings: Settings, folder: Path, *, batch: int, molecules: int, variant: Variant = "schnetpack"
) -> AtomsDataModule:
    """SchNetPack's data module on an ASE database, as in its QM9 tutorial but for the neighbour list."""
    database, split = _files(folder, molecules)
    return AtomsDataModule(
        str(database),
        batch_size=batch,
        split_file=str(split),
        format=AtomsDataFormat.ASE,
        load_properties=[ENERGY],
        property_units={ENERGY: "eV"},
        distance_unit="Ang",
        transforms=[
            transform.RemoveOffsets(ENERGY, remove_mean=True, remove_atomrefs=True),
            neighbour_list(variant, NEIGHBOUR_LIST)(cutoff=settings.cutoff),
            transform.CastTo32(),
        ],
        num_workers=settings.workers,
    )


def neighbour_list(variant: Variant, stock: type[transform.Transform]) -> type[transform.Transform]:
    """The neighbour list that a variant has in place of the stock one."""
    return fused.HalfNeighborList if variant in ("half_list", "in_memory") else stock


def acceleration(variant: Variant) -> list[Callback]:
    """The callback that a variant has and stock SchNetPack has not."""
    return [] if variant == "schnetpack" else [fused.Accelerate(in_memory=variant == "in_memory")]


def schnetpack(
    settings: Settings,
    folder: Path,
    *,
    width: int,
    batch: int,
    molecules: int,
    callbacks: list[Callback],
    epochs: int = _ENDLESS,
    variant: Variant = "schnetpack",
) -> NeuralNetworkPotential:
    """(a) SchNetPack: `AtomsDataModule`, `AtomisticTask`, `Trainer`, with nothing written while it trains.

    It is stock, or one of its faster variants.
    """
    data = data_module(settings, folder, batch=batch, molecules=molecules, variant=variant)
    model = stock_model(
        settings, width, [transform.CastTo64(), transform.AddOffsets(ENERGY, add_mean=True, add_atomrefs=True)]
    )
    with _quiet():
        task = AtomisticTask(
            model,
            outputs=[ModelOutput(ENERGY, loss_fn=torch.nn.MSELoss(), metrics={})],
            optimizer_cls=torch.optim.AdamW,
            optimizer_args={"lr": settings.learning_rate, "fused": True},
        )
        trainer = loop.lone_trainer(
            max_epochs=epochs,
            callbacks=[*callbacks, *acceleration(variant)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(task, datamodule=data)
    return model


def packed(settings: Settings, folder: Path, *, width: int, batch: int, callbacks: list[Callback]) -> None:
    """(b) SchNetPack's modules, fed by our packed batches."""
    config = config_of(settings, width=width, batch=batch, molecules=settings.molecules)
    loop.train(adjust(config, model={"convolution": "stock"}), qm9.load(), folder, callbacks=callbacks)


def ours(settings: Settings, folder: Path, *, width: int, batch: int, callbacks: list[Callback]) -> None:
    """(d) This compendium, through its public interface."""
    config = config_of(settings, width=width, batch=batch, molecules=settings.molecules)
    loop.train(config, qm9.load(), folder, callbacks=callbacks)


class Turns(Callback):
    """Makes a step of `other` for each of Lightning's, some at a time, and times both (`with_lightning`, `bare`, s).

    A machine's speed changes by more than Lightning costs from one process to the next; within a second it does not.
    Raises WindowClosedError, as a `Window` does, once there are `steps` of each.
    """

    _TOGETHER = 20
    _LEFT_OUT = 3  # at the beginning of each turn: caches and the loader's helper are not in step yet

    def __init__(self, other: Iterator[int], *, steps: int) -> None:
        self.with_lightning: list[float] = []
        self.bare: list[float] = []
        self._other = other
        self._steps = steps
        self._last = 0.0
        self._made = 0
        self._fresh = True

    def on_train_epoch_start(self, *_: object) -> None:
        """The next step also holds what an epoch's end and start cost."""
        self._fresh = True

    def on_train_batch_end(self, *_: object) -> None:
        """Note the step; at the end of a turn, give the other its turn."""
        now = time.perf_counter()
        self._made += 1
        if self._made > self._LEFT_OUT and not self._fresh:
            self.with_lightning.append(now - self._last)
        self._fresh = False
        if self._made == self._LEFT_OUT + self._TOGETHER:
            self._turn()
            self._made = 0
            if min(len(self.with_lightning), len(self.bare)) >= self._steps:
                raise WindowClosedError
        self._last = time.perf_counter()

    def _turn(self) -> None:
        for made in range(self._LEFT_OUT + self._TOGETHER):
            start = time.perf_counter()
            # Number 0 is an epoch's first step, which also starts the loader's helper.
            if next(self._other) and made >= self._LEFT_OUT:
                self.bare.append(time.perf_counter() - start)


def bare(settings: Settings, *, width: int, batch: int) -> Iterator[int]:
    """The model, loader, loss and optimiser of (d) without Lightning, task and callbacks: each step's number.

    To be made before torch's threads are taken away from it, see `fused.threads`.
    """
    threads = torch.get_num_threads()
    molecules, parts, targets = chosen(qm9.load(), settings.molecules)
    packed_molecules = PackedMolecules(molecules, neighbour_pairs(molecules, settings.cutoff), targets=targets)
    loader = PackedLoader(packed_molecules, parts.train, batch_size=batch, seed=settings.seed, shuffle=True)
    torch.manual_seed(settings.seed)
    model = networks.build_from(_shape(settings, width))
    for module in model.modules():
        if isinstance(module, FusedSchNet | Readout):
            module.threads = threads
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, fused=True)

    def steps() -> Iterator[int]:
        while True:
            for number, inputs in enumerate(loader):
                target = inputs[ENERGY]  # the model writes its prediction under the same key
                loss = torch.nn.functional.mse_loss(model(inputs)[ENERGY], target)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                yield number
            loader.epoch += 1

    return steps()


def _files(folder: Path, count: int) -> tuple[Path, Path]:
    return folder / f"schnetpack-{count}.db", folder / f"schnetpack-{count}.npz"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's banners and advice out of the measurement's log."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
