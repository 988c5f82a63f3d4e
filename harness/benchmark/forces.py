"""What forces cost: SchNetPack's own networks as they are and accelerated, by turns, in one process."""

import copy
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import ASENeighborList

import fused
from analysis.data import qm9
from analysis.data.molecules import to_ase
from analysis.runs import checkout, measured
from harness.benchmark import plan
from harness.benchmark.record import ForceStep, ForceTimes
from harness.machine import Machine

_NETWORKS = {"schnet": SchNet, "painn": PaiNN}
_SHAPE = {"width": 64, "n_interactions": 3}
_CUTOFF = 5.0  # Å
_SIZE, _BATCH = 18, 32  # the most frequent size of QM9
_TURNS = 3  # of each repeat, whose least counts


def measure(
    out: Path, *, repeats: int, say: Callable[[str], None], size: int = _SIZE, batch: int = _BATCH
) -> ForceTimes:
    """Time SchNet and PaiNN on QM9's molecules of one size and on ethanol, and write the record to `out`.

    One thread: with more, torch's and the compiled layers' would be compared as well.
    """
    everything = qm9.load()
    drawn = np.random.default_rng(0).choice(np.flatnonzero(everything.n_atoms == size), batch, replace=False)
    ethanol = molecule("CH3CH2OH")
    sets = (
        ("training", to_ase(everything.select(np.sort(drawn)))),
        ("training", [ethanol] * 10),
        ("prediction", [ethanol]),
    )
    steps, loads, threads = [], [os.getloadavg()[0]], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for network in _NETWORKS:
            for work, atoms in sets:
                steps.append(_measured(network, work, atoms, repeats))
                loads.append(os.getloadavg()[0])
                say(_line(ForceStep.model_validate_json(json.dumps(steps[-1]))))
        content = {
            "machine": Machine.here().model_dump(),
            "versions": plan.versions(),
            "git": checkout.git_state(),
            "repeats": repeats,
            "load": max(loads),
            "steps": steps,
        }
    finally:
        torch.set_num_threads(threads)
    record = ForceTimes.model_validate_json(json.dumps(content))
    measured.write(out, record)
    return record


def _line(step: ForceStep) -> str:
    seconds = (f"{1000 * min(times):9.2f} ms" for times in (step.schnetpack, step.accelerated))
    what = f"{step.network:<7}{step.work:<11}{step.molecules:>3} of {step.atoms} atoms"
    return f"{what}  {'  '.join(seconds)}  {step.gain().median:5.1f} times as fast"


def _measured(network: str, work: str, atoms: list[Atoms], repeats: int) -> dict[str, object]:
    torch.manual_seed(0)
    stock = NeuralNetworkPotential(
        representation=_NETWORKS[network](
            n_atom_basis=_SHAPE["width"],
            n_interactions=_SHAPE["n_interactions"],
            radial_basis=GaussianRBF(20, _CUTOFF),
            cutoff_fn=CosineCutoff(_CUTOFF),
        ),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(_SHAPE["width"], output_key="energy"), Forces()],
    )
    accelerated = copy.deepcopy(stock)
    fused.accelerate(accelerated)
    given = AtomsConverter(neighbor_list=ASENeighborList(_CUTOFF), dtype=torch.float32)(atoms)
    models = {"schnetpack": stock, "accelerated": accelerated}
    times = {name: [] for name in models}
    for repeat in range(repeats + 1):
        for name, model in models.items():
            least = min(_seconds(model.train(work == "training"), given) for _ in range(_TURNS))
            if repeat:  # the first ones load the compiled loops
                times[name].append(least)
    return {"network": network, "work": work, "atoms": len(atoms[0]), "molecules": len(atoms), **_SHAPE, **times}


def _seconds(model: NeuralNetworkPotential, given: dict[str, torch.Tensor]) -> float:
    """Processor time of a step, or of a prediction."""
    batch = {key: tensor.clone() for key, tensor in given.items()}
    start = time.process_time()
    found = model(batch)
    if model.training:
        model.zero_grad()
        (found["energy"].square().mean() + found["forces"].square().mean()).backward()
    return time.process_time() - start
