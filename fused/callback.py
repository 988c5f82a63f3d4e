"""Acceleration as a callback of PyTorch Lightning, for those who train with `spktrain`."""

import logging

from pytorch_lightning import Callback, LightningModule, Trainer

from fused.acceleration import accelerate

_log = logging.getLogger(__name__)


class Accelerate(Callback):
    """Accelerates the model of an `AtomisticTask` before it is trained, validated or tested.

    ``spktrain … +callbacks.fused._target_=fused.Accelerate`` is all it takes on SchNetPack's command line.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Accelerate in place, and log what `accelerate` says."""
        for line in str(accelerate(pl_module)).splitlines():
            _log.info("%s", line)
