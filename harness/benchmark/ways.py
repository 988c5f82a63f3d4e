"""What choosing a way of working is worth: the same step in each of them, by turns, in one process."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from analysis.data import qm9
from analysis.data.neighbours import neighbour_pairs
from analysis.runs import checkout, measured
from analysis.runs.config import Model
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules
from fused import choice
from fused.threads import own_threads
from harness.benchmark import plan
from harness.benchmark.record import Ways
from harness.machine import Machine

_NETWORKS = ("schnet", "painn")
_CUTOFF = 5.0  # Å


def measure(
    out: Path, *, repeats: int, widths: Sequence[int], batches: Sequence[int], say: Callable[[str], None]
) -> Ways:
    """Time every way for each network, width and batch, tell `say` of each, and write the record to `out`."""
    everything = qm9.load()
    drawn = np.random.default_rng(0).choice(len(everything), max(batches), replace=False)
    molecules = everything.select(np.sort(drawn))
    packed = PackedMolecules(molecules, neighbour_pairs(molecules, _CUTOFF), targets=np.zeros(len(molecules)))
    trials, loads = [], [os.getloadavg()[0]]
    for network in _NETWORKS:
        for width in widths:
            torch.manual_seed(0)
            model = networks.build_from(Model(representation=network, n_atom_basis=width, training_cutoff=_CUTOFF))
            chosen = choice.way(network, width)
            ways = list(dict.fromkeys([chosen, *choice.candidates()]))
            for size in batches:
                batch = packed.batch(np.arange(size))
                with own_threads(model):
                    found = _least(model, batch, ways, repeats)
                for way, seconds in zip(ways, found, strict=True):
                    trials.append(
                        {"network": network, "width": width, "batch": size, "way": str(way)}
                        | {"seconds": seconds, "chosen": way == chosen}
                    )
                    mark = "  *" if way == chosen else ""
                    say(f"{network:<7}{width:>4}{size:>5}  {1000 * seconds:8.1f} ms  {way}{mark}")
            loads.append(os.getloadavg()[0])
    content = {
        "machine": Machine.here().model_dump(),
        "versions": plan.versions(),
        "git": checkout.git_state(),
        "repeats": repeats,
        "load": max(loads),
        "trials": trials,
    }
    record = Ways.model_validate_json(json.dumps(content))
    measured.write(out, record)
    return record


def _least(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], ways: Sequence[choice.Way], repeats: int
) -> list[float]:
    """The least processor time of a step in each way, s; the first step of each is not counted."""
    times = np.zeros((repeats + 1, len(ways)))
    for repeat in range(repeats + 1):
        for k, way in enumerate(ways):
            with choice.forced(way):
                start = time.process_time()
                model(dict(batch))[ENERGY].square().mean().backward()
                times[repeat, k] = time.process_time() - start
    return times[1:].min(axis=0).tolist()
