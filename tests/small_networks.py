"""Records of small networks with random weights."""

from types import SimpleNamespace

import torch

from analysis.data.offsets import Offsets
from analysis.runs.config import Loss, Model, RunConfig
from analysis.training import networks


def made_up_record(seed: int, *, forces: float = 0.9) -> SimpleNamespace:
    """A record of a small network with random weights."""
    torch.manual_seed(seed)
    config = RunConfig(experiment="forces", model=Model(representation="painn", n_atom_basis=16, n_interactions=2))
    weights = networks.build_from(config.model, fused=False).state_dict()
    return SimpleNamespace(
        id=f"record-{seed}",
        config=config.model_copy(update={"seed": seed, "loss": Loss(forces=forces)}),
        about={"molecules_fingerprint": "these"},
        state_dict=lambda: {name: tensor.numpy() for name, tensor in weights.items()},
        offsets=lambda: Offsets(mean=-1.5 - seed),
    )
