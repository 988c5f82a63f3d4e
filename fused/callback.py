"""Acceleration as a callback of PyTorch Lightning, for those who train with SchNetPack's data module or `spktrain`."""

import logging
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from schnetpack.data import AtomsDataModule

from fused.acceleration import accelerate

_log = logging.getLogger(__name__)


class InMemory(torch.utils.data.Dataset):
    """A data set of SchNetPack's whose molecules are read and transformed once, and then kept.

    Transforms that draw at random do so once.
    """

    def __init__(self, dataset: torch.utils.data.Dataset) -> None:
        self.dataset = dataset
        self._kept: dict[int, dict[str, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index not in self._kept:
            self._kept[index] = self.dataset[index]
        return dict(self._kept[index])

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not there yet: a copy is being made
            raise AttributeError(name)
        return getattr(self.dataset, name)


class Accelerate(Callback):
    """Accelerates the model of an `AtomisticTask` before it is trained, validated or tested.

    ``spktrain … +callbacks.fused._target_=fused.Accelerate`` is all it takes on SchNetPack's command line.

    Parameters
    ----------
    in_memory
        Also keep in memory what an `AtomsDataModule` has read and transformed, so that all epochs but the first find it
        there (all of QM9 takes about a gigabyte). It is then read in the process itself, without workers: the first
        epoch takes longer.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        self.in_memory = in_memory

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Accelerate in place, and log what `accelerate` says."""
        for line in str(accelerate(pl_module)).splitlines():
            _log.info("%s", line)
        data = trainer.datamodule
        if not (self.in_memory and isinstance(data, AtomsDataModule)):
            return
        for part in ("train", "val", "test"):
            dataset = getattr(data, f"_{part}_dataset")
            if dataset is not None and not isinstance(dataset, InMemory):
                setattr(data, f"_{part}_dataset", InMemory(dataset))
                # RemoveOffsets has read the training molecules for their mean, and that loader would be used again.
                setattr(data, f"_{part}_dataloader", None)
        data.num_workers = data.num_val_workers = data.num_test_workers = 0
