"""Threads: a CPU's cores shared out between torch and the compiled layers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fused.painn import FusedPaiNN
from fused.schnet import FusedSchNet, Readout


@contextmanager
def own_threads(model: torch.nn.Module) -> Iterator[None]:
    """Within it, torch's threads are the compiled layers' alone, and torch itself has one.

    What is left to torch then is small, and waking its threads for each operation takes longer than they save; beside
    another busy process they spin while they wait, and slow a training down many times. Without effect on a model
    that has no compiled layers, and on an accelerator.
    """
    fast = [module for module in model.modules() if isinstance(module, FusedSchNet | FusedPaiNN | Readout)]
    if not fast or next(model.parameters()).device.type != "cpu":
        yield
        return
    torchs, before = torch.get_num_threads(), [module.threads for module in fast]
    for module in fast:
        module.threads = module.threads or torchs
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torchs)
        for module, threads in zip(fast, before, strict=True):
            module.threads = threads
