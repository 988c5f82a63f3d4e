"""Training of one run: SchNetPack's task and model in a Lightning trainer, over packed batches."""

import copy
import importlib.util
import inspect
import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from schnetpack import properties
from schnetpack.data.sampler import StratifiedSampler
from schnetpack.model import NeuralNetworkPotential
from schnetpack.task import AtomisticTask, ModelOutput
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from analysis.data import offsets, splits
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.data.neighbours import check_units, neighbour_pairs
from analysis.runs.config import LABELLED, RunConfig, Training
from analysis.runs.devices import accelerator
from analysis.runs.records import Record
from analysis.runs.selection import Chosen, choose_molecules, fine_tuned, loss_weights
from analysis.runs.weights import LOSS_WEIGHT
from analysis.training import networks
from analysis.training.batches import ENERGY, FORCES, PackedMolecules
from analysis.training.callbacks import (
    SQUARED_ERRORS,
    EpochLog,
    KeepLast,
    LearningCurves,
    Progress,
    Stopwatch,
    WholeCheckpoints,
)
from fused.packed import PackedLoader
from fused.threads import own_threads

CHECKPOINT = "last.ckpt"
LoggerName = Literal["csv", "tensorboard", "wandb"]

_EVALUATION_BATCH = 1024
_LONGEST_SIDE = 256  # of a matrix that SOAP turns: the eigenvectors of a longer one cost more than they gave


class LoggerError(UserError, ValueError):
    """An unknown logger, or one whose package is not installed."""


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves.

    `model` predicts total energies (its postprocessors add the offsets back), and so does `settled`, the training's
    second end, if the configuration asks for one; `molecules` are those of the run, and `parts` and `left_out`
    positions in them (see `selection.Chosen`); `history` has a row per epoch and `steps` one per block of steps, with
    squared errors in eV² that are never weighted (see `callbacks.LearningCurves`); `seconds` is the wall time of the
    phases `data`, `training` and `validation`, and `preparation_seconds` what came before the last two: on a machine
    that has never trained such a network, numba compiles its loops then.
    """

    model: NeuralNetworkPotential
    molecules: Molecules
    parts: splits.Split
    left_out: np.ndarray
    packed: PackedMolecules
    offsets: offsets.Offsets
    history: pd.DataFrame
    steps: pd.DataFrame
    seconds: dict[str, float] = field(default_factory=dict)
    preparation_seconds: float = 0.0
    settled: NeuralNetworkPotential | None = None


@dataclass(frozen=True)
class Phase:
    """Epochs over the same training molecules, with one learning rate schedule; `of_epochs` has their batches."""

    of_epochs: tuple[PackedLoader, ...]
    learning_rate: float


class PackedDataModule(pl.LightningDataModule):
    """Packed batches of the training molecules, phase by phase, and of the validation part.

    The order of epoch k depends on (seed, k) alone.
    """

    def __init__(self, phases: Sequence[Phase], validation: PackedLoader) -> None:
        super().__init__()
        self._validation = validation
        self._of_epochs = [part for phase in phases for part in phase.of_epochs]

    @property
    def steps_of_epochs(self) -> list[int]:
        """The number of steps of each epoch."""
        return [len(part) for part in self._of_epochs]

    def train_dataloader(self) -> PackedLoader:
        """Shuffled batches of the trainer's current epoch; the trainer asks before each."""
        # after the last epoch Lightning asks again
        part = self._of_epochs[min(self.trainer.current_epoch, len(self._of_epochs) - 1)]
        part.epoch = self.trainer.current_epoch
        return part

    def val_dataloader(self) -> PackedLoader:
        """The validation part in its own order."""
        return self._validation

    def transfer_batch_to_device(
        self,
        batch: dict[str, torch.Tensor],
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002 - the name is Lightning's
    ) -> dict[str, torch.Tensor]:
        """The batch on an accelerator; on a CPU it is already there (Lightning takes 0.5 ms to find that out)."""
        if device.type == "cpu":
            return batch
        return {key: tensor.to(device, non_blocking=True) for key, tensor in batch.items()}


class WeightedOutput(ModelOutput):
    """A model output whose loss is the mean over the molecules of v·Δ²: v the batch's loss weights, Δ in eV.

    Without weights among the targets it is the mean squared error. With a `huber_delta`, eV, Huber's loss takes the
    place of Δ² (see `config.Loss`). `squared_errors` keeps Δ² of the last batch, float32 [B], eV². `share` is the
    energies' in a loss that has forces as well.
    """

    def __init__(self, name: str, *, huber_delta: float | None = None, share: float = 1.0) -> None:
        super().__init__(name, loss_fn=torch.nn.MSELoss(reduction="none"), loss_weight=share, metrics={})
        self.squared_errors: torch.Tensor | None = None
        self._robust = None if huber_delta is None else torch.nn.HuberLoss(reduction="none", delta=huber_delta)

    def calculate_loss(self, pred: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of one batch, a scalar."""
        predicted, true = pred[self.name], target[self.target_property]
        losses = squared = self.loss_fn(predicted, true)
        self.squared_errors = squared.detach()
        if self._robust is not None:
            losses = self._robust(predicted, true)
        weighted = losses * target[LOSS_WEIGHT] if LOSS_WEIGHT in target else losses
        return self.loss_weight * weighted.mean()


class EnergyTask(AtomisticTask):
    """SchNetPack's task for one `WeightedOutput`; the validation loss is SchNetPack's own, unweighted.

    With a share of `forces` in the loss (see `config.Loss`) these are an output of their own, and what is said of the
    losses below holds for the sum of both.

    `settings` say which optimizer and what average of the weights (see `config.Training`). `schedule` is the learning
    rate of each step, counted from 0; without it that of the settings stays as it is. The model has the average of its
    weights while it is validated, and from the end of the training on. `settled` is the mean of its weights after each
    of the last steps, all of those from number `settled_from` on, counted from 0; None without such a number.

    A training step returns the batch's squared errors beside the loss, and leaves logging to the callbacks:
    SchNetPack's logs at every step, which takes 0.3 ms. Of a callback's hooks within a step, those at its beginning and
    end and `on_before_optimizer_step` are called.
    """

    def __init__(
        self,
        model: NeuralNetworkPotential,
        output: WeightedOutput,
        *,
        settings: Training,
        forces: float = 0.0,
        schedule: Callable[[int], float] | None = None,
        settled_from: int | None = None,
    ) -> None:
        kind, arguments = _optimizer(settings)
        outputs = [output]
        if forces:
            outputs.append(ModelOutput(FORCES, torch.nn.MSELoss(), loss_weight=forces, metrics={}))
        super().__init__(model, outputs=outputs, optimizer_cls=kind, optimizer_args=arguments)
        self._schedule = schedule
        self.average = None
        if settings.averaging:
            self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
        self._settled_from = settled_from
        self.settled = None if settled_from is None else AveragedModel(model)
        # The step below is Lightning's own without the closures and hooks around each of its lines, which take 0.4 ms.
        self.automatic_optimization = False

    def save_hyperparameters(self, *_args: object, **_settings: object) -> None:
        """Save none: a checkpoint would hold the model twice, and more than tensors and plain values."""

    def log(self, name: str, value: torch.Tensor, **settings: object) -> None:
        """As Lightning's, but the loggers get their one row per epoch from `callbacks.EpochLog`."""
        super().log(name, value, **settings | {"logger": False})

    def batch_loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """SchNetPack's loss of a batch, a scalar in eV², with the loss weights among the targets."""
        learnt = (output.target_property for output in self.outputs)
        targets = {key: batch[key] for key in (*learnt, LOSS_WEIGHT) if key in batch}
        return self.loss_fn(self.predict_without_postprocessing(batch), targets)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """One update of the parameters."""
        loss = self.batch_loss(batch)
        energies, optimizer = self.outputs[0], self.optimizers()
        if self._schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = self._schedule(self.global_step)
        step = self.global_step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        if self.settled is not None and step >= self._settled_from:
            self.settled.update_parameters(self.model)
        loss, squared = loss.detach(), energies.squared_errors
        if len(self.outputs) > 1:  # each molecule's share of the loss, that of forces evenly
            squared = energies.loss_weight * squared
            squared = squared + (loss - squared.mean())
        return {"loss": loss, SQUARED_ERRORS: squared}

    def on_validation_start(self) -> None:
        """The model gets the average of its weights, or those of the last step back."""
        if self.average is not None:
            for last, mean in zip(self.model.parameters(), self.average.module.parameters(), strict=True):
                last.data, mean.data = mean.data, last.data

    on_validation_end = on_train_end = on_validation_start


def _optimizer(settings: Training) -> tuple[type[torch.optim.Optimizer], dict[str, object]]:
    """The optimizer's class and its arguments."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW, {"lr": settings.learning_rate, "fused": True}  # one kernel for all parameters
    from fused.soap import GroupedSOAP  # its import takes a second

    return GroupedSOAP, {"lr": settings.learning_rate, "max_precondition_dim": _LONGEST_SIDE}


def pack(
    config: RunConfig, molecules: Molecules, known: offsets.Offsets | None = None
) -> tuple[Chosen, offsets.Offsets, PackedMolecules]:
    """The molecules of a run, of `molecules`, the whole database; their energies' offsets; and the molecules packed.

    The offsets are fitted as the configuration says unless they are `known`.
    """
    chosen = choose_molecules(molecules, config.data)
    molecules = chosen.molecules
    fitted = known or offsets.fit(molecules, chosen.parts.train, config.training.offsets)
    pairs = neighbour_pairs(molecules, config.model.data_cutoff)
    if config.data.geometries not in LABELLED:  # whose energies may be those of valence electrons alone
        check_units(molecules, pairs)
    learnt = molecules.energy - fitted.of(molecules)
    return chosen, fitted, PackedMolecules(molecules, pairs, targets=learnt, forces=chosen.forces)


def learning_rate_schedule(phases: Sequence[Phase], settings: Training) -> Callable[[int], float] | None:
    """The learning rate of each step, counted from 0; None if it never changes.

    Each phase has a schedule of its own. A cosine's k-th of n steps after the warm-up has (1 + cos(π·k/n))/2 of the
    phase's learning rate (Loshchilov and Hutter 2017, eq. 5, without restarts), k from 0.
    """
    if settings.schedule == "constant" and settings.warm_up == 0 and len(phases) == 1:
        return None
    of_steps = []
    for phase in phases:
        steps = sum(len(part) for part in phase.of_epochs)
        rising = math.ceil(settings.warm_up * steps)
        share = np.ones(steps)
        share[:rising] = (np.arange(rising) + 1) / max(1, rising)
        if settings.schedule == "cosine":
            share[rising:] = (1 + np.cos(np.pi * np.arange(steps - rising) / (steps - rising))) / 2
        of_steps.append(share * phase.learning_rate)
    return np.concatenate(of_steps).tolist().__getitem__


def _phases(config: RunConfig, packed: PackedMolecules, train: np.ndarray) -> list[Phase]:
    training = config.training
    small = (training.epochs + 1) // 2 if training.batch_growth > 1 else training.epochs
    of_epochs = [_train_part(config, packed, train, training.batch_size)] * small
    if small < training.epochs:
        large = _train_part(config, packed, train, training.batch_size * training.batch_growth)
        of_epochs += [large] * (training.epochs - small)
    found = [Phase(tuple(of_epochs), training.learning_rate)]
    if (fine := config.fine_tuning) is not None:
        among = _train_part(config, packed, fine_tuned(packed.molecules, train, fine), training.batch_size)
        found.append(Phase((among,) * fine.epochs, fine.learning_rate))
    return found


def _train_part(config: RunConfig, packed: PackedMolecules, among: np.ndarray, batch_size: int) -> PackedLoader:
    sizes = packed.n_atoms[among]
    weights = loss_weights(config.loss, sizes)
    return PackedLoader(
        packed,
        among,
        batch_size=batch_size,
        seed=config.seed,
        shuffle=True,
        stock=config.model.convolution == "stock",
        chances=stratified(sizes) if config.training.sampling == "stratified" else None,
        beside={} if weights is None else {LOSS_WEIGHT: weights},
    )


def stratified(sizes: np.ndarray) -> np.ndarray:
    """The chance of each molecule in SchNetPack's `StratifiedSampler` by number of atoms: float64 [n], sum 1.

    `sizes` are the numbers of atoms, int [n]. Each of ten equal ranges of them that holds a molecule has the same
    chance (SchNetPack's default).
    """
    sampler = StratifiedSampler(None, lambda _: sizes, num_samples=len(sizes), verbose=False)
    chances = sampler.weights.numpy()
    return chances / chances.sum()


def train(
    config: RunConfig,
    molecules: Molecules,
    folder: str | os.PathLike[str],
    *,
    start: Record | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    logger: LoggerName | None = "csv",
    logs: str | os.PathLike[str] | None = None,
) -> Trained:
    """Train one run on its part of `molecules`, the whole database.

    `folder` is where the checkpoint of the last finished epoch is kept; if there is one, the training goes on from it.
    `start` is the record whose weights the network begins with, and whose offsets it keeps: the configuration's.
    `progress` shows how far the training is, see `callbacks.Progress`. Further `callbacks` can look, and they can stop
    the training; one that changes what is learned makes a result that the configuration does not describe. Their
    `state_dict` may hold tensors and plain values only. Lightning's `logger` gets a row per epoch (losses in eV²,
    learning rate) in `logs`, by default `folder / "logs"`, None for no log: each start writes a new `version_<n>`,
    Weights & Biases a new `wandb/offline-run-…` ("wandb" works offline unless WANDB_MODE says otherwise).

    Raises failures.TrainingDivergedError if the loss became infinite or NaN, or exploded; failures.CheckpointError for
    a checkpoint that is damaged, of another run or of another version of the code; weights.WeightError for a loss
    weight that is not finite, or negative; LoggerError for an unknown logger, or one that is not installed; and
    devices.DeviceError if it is to be trained on a GPU and there is none.
    """
    folder = Path(folder)
    check_logger(logger)
    accelerator()
    whole = molecules.fingerprint()
    seconds: dict[str, float] = {}
    with _timed(seconds, "preparation"):
        neighbour_pairs(molecules.select([0]), config.model.data_cutoff)  # compiled when it is first called
    with _timed(seconds, "data"):
        chosen, fitted, packed = pack(config, molecules, start.offsets() if start else None)
        molecules, parts = chosen.molecules, chosen.parts
        phases = _phases(config, packed, parts.train)
        validation = PackedLoader(
            packed, parts.validation, batch_size=_EVALUATION_BATCH, stock=config.model.convolution == "stock"
        )
        module = PackedDataModule(phases, validation)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        adding = networks.postprocessors(fitted, ENERGY)
        model = networks.build_from(config.model, forces=bool(config.loss.forces), postprocessors=adding)
    if start:
        model.load_state_dict({name: torch.from_numpy(value) for name, value in start.state_dict().items()})
    delta = config.loss.huber_delta if config.loss.form == "huber" else None
    output = WeightedOutput(ENERGY, huber_delta=delta, share=1 - config.loss.forces)
    schedule = learning_rate_schedule(phases, config.training)
    all_steps, share = sum(module.steps_of_epochs), config.training.settled
    settled_from = min(all_steps - 1, round(all_steps * (1 - share))) if share else None
    task = EnergyTask(
        model,
        output,
        settings=config.training,
        forces=config.loss.forces,
        schedule=schedule,
        settled_from=settled_from,
    )
    with _timed(seconds, "preparation"):
        _prepare(task, phases[0].of_epochs[0], validation)
    checkpoint = folder / CHECKPOINT
    curves, stopwatch = LearningCurves(module.steps_of_epochs), Stopwatch()
    keep = KeepLast(checkpoint, config.run_id(whole))
    ours = [curves, stopwatch, EpochLog(curves), keep, *([Progress(curves)] if progress else [])]
    with _quiet_lightning(), _logging_to(logger, Path(logs or folder / "logs"), config) as log:
        trainer = lone_trainer(
            max_epochs=config.epochs,
            callbacks=[*ours, *callbacks],
            plugins=[WholeCheckpoints()],
            logger=log or False,
            # For callbacks that log per step themselves; Lightning warns if no step of an epoch would be logged.
            log_every_n_steps=min(50, *module.steps_of_epochs),
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            inference_mode=not task.grad_enabled,  # forces are gradients in the validation too
            reload_dataloaders_every_n_epochs=1,
        )
        with own_threads(model), keep.resuming():
            trainer.fit(task, datamodule=module, ckpt_path=checkpoint if checkpoint.exists() else None)
    prepared = seconds.pop("preparation")
    seconds |= stopwatch.seconds
    history, steps = pd.DataFrame(curves.rows), curves.steps()
    settled = None if task.settled is None else task.settled.module
    return Trained(model, molecules, parts, chosen.left_out, packed, fitted, history, steps, seconds, prepared, settled)


def lone_trainer(*, plugins: Sequence[object] = (), **settings: object) -> pl.Trainer:
    """Lightning's trainer for one process with one device, see `devices.accelerator`.

    Lightning by itself looks at its surroundings: it takes every GPU there is, a scheduler's number of tasks for that
    of its own processes, and PL_TRAINER_… variables for settings. Here none of them counts. `plugins` and `settings`
    are as for `pytorch_lightning.Trainer`, whose defaults are the others.
    """
    usual = {name: parameter.default for name, parameter in inspect.signature(pl.Trainer).parameters.items()}
    alone = LightningEnvironment()
    alone.set_global_rank(0)  # loggers write nothing in what a launcher's variables call a later process
    ours = {"accelerator": accelerator(), "devices": 1, "plugins": [alone, *plugins]}
    return pl.Trainer(**usual | ours | settings)


def _prepare(task: EnergyTask, training: PackedLoader, validation: PackedLoader) -> None:
    """Let a copy take the first step and validate the first batch: numba compiles a loop when it is first called."""
    twin = copy.deepcopy(task).to(device := torch.device(accelerator()))
    first, of_validation = (
        {key: tensor.to(device) for key, tensor in next(iter(loader)).items()} for loader in (training, validation)
    )
    if not networks.is_fused(twin.model):
        return  # in the batches is all that is compiled
    with own_threads(twin.model):
        twin.batch_loss(first).backward()
        with torch.set_grad_enabled(twin.grad_enabled):
            twin.predict_without_postprocessing(of_validation)


def predict_errors(model: NeuralNetworkPotential, packed: PackedMolecules, positions: np.ndarray) -> np.ndarray:
    """Predicted − true U0 of the molecules at `positions`: float64 [n], eV.

    The offsets cancel, so they are left out on both sides: the difference of two numbers near −10⁴ eV would lose
    digits.
    """
    errors = []
    with _evaluating(model), torch.set_grad_enabled(bool(model.required_derivatives)):
        for batch in _batches(model, packed, positions):
            target = batch[ENERGY].double()
            errors.append(model(batch)[ENERGY].detach().double() - target)
    return torch.cat(errors).numpy()


def force_errors(model: NeuralNetworkPotential, packed: PackedMolecules, positions: np.ndarray) -> np.ndarray:
    """Predicted − true forces on the atoms of the molecules at `positions`, one after the other: [a, 3], eV/Å.

    A model that gives none has the negative gradient of its energy.
    """
    errors = []
    with _evaluating(model):
        for batch in _batches(model, packed, positions):
            true, place = batch.pop(FORCES), batch[properties.R].requires_grad_()
            found = model(batch)
            forces = found[FORCES] if FORCES in found else -torch.autograd.grad(found[ENERGY].sum(), place)[0]
            errors.append(forces.detach().double() - true)
    return torch.cat(errors).numpy()


@contextmanager
def _evaluating(model: NeuralNetworkPotential) -> Iterator[None]:
    """Within it the model leaves out its offsets."""
    keep = model.do_postprocessing
    model.do_postprocessing = False
    model.eval()
    try:
        with own_threads(model):
            yield
    finally:
        model.do_postprocessing = keep


def _batches(model: NeuralNetworkPotential, packed: PackedMolecules, positions: np.ndarray) -> PackedLoader:
    return PackedLoader(packed, positions, batch_size=_EVALUATION_BATCH, stock=not networks.is_fused(model))


def check_logger(name: str | None) -> None:
    """Raise LoggerError if the logger is unknown or its package is not installed; None is no logger."""
    if name is None:
        return
    if name not in get_args(LoggerName):
        raise LoggerError(f"there is no logger {name!r}: choose one of {', '.join(get_args(LoggerName))}, or None")
    if name != "csv" and importlib.util.find_spec(name) is None:
        raise LoggerError(
            f"the logger {name!r} needs the package {name}, which is not installed: pip install -e '.[loggers]'"
        )


@contextmanager
def _logging_to(name: LoggerName | None, folder: Path, config: RunConfig) -> Iterator[Logger | None]:
    if name is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    if name == "csv":
        log = CSVLogger(folder, name="")
    elif name == "tensorboard":
        log = TensorBoardLogger(folder, name="", default_hp_metric=False)
    else:
        import wandb  # the import of a package that few need takes a second

        run = wandb.init(
            dir=folder,
            project="schnet-qm9",
            group=config.experiment,
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(silent=True, console="off"),
        )
        log = WandbLogger(experiment=run)
    log.log_hyperparams(config.model_dump(mode="json"))
    try:
        yield log
    finally:
        if name == "wandb":
            log.experiment.finish()  # otherwise the next training would write to the same run


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's banners and advice out of a notebook, and its one call that torch marks for removal."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # Where SLURM is installed it asks for srun, whose tasks don't count here, see `lone_trainer`.
            warnings.filterwarnings("ignore", "The `srun` command is available on your system but is not used")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
