"""The whole potential of Figure 2 of the report, from SchNetPack's modules or from the fast ones of `fused`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import AddOffsets, CastTo64

from analysis.data.offsets import Z_MAX, Offsets
from analysis.runs.config import Model
from analysis.training.batches import ENERGY
from fused.halflist import PairVectors
from fused.painn import FusedPaiNN
from fused.schnet import FusedSchNet, Readout


def build(
    *,
    representation: Literal["schnet", "painn"] = "schnet",
    n_atom_basis: int = 30,
    n_interactions: int = 3,
    n_rbf: int = 20,
    cutoff: float = 5.0,
    shared_interactions: bool = False,
    fused: bool = True,
    postprocessors: Sequence[torch.nn.Module] = (),
) -> NeuralNetworkPotential:
    """The report's model (Figure 2): distances, SchNet with Gaussians and a cosine cut-off, a sum over atoms; or PaiNN.

    The weights are drawn from torch's global generator, the same for `fused` or not.

    Parameters
    ----------
    n_atom_basis, n_interactions, n_rbf, shared_interactions
        As SchNetPack names them; `n_rbf` is the number of Gaussians.
    cutoff
        Radius of the cosine cut-off function, Å (the report's "training cut-off"). The data cut-off is that of the
        batches' neighbour list.
    fused
        `FusedSchNet` or `FusedPaiNN`, or SchNetPack's own modules for batches with the directed list.
    postprocessors
        SchNetPack transforms applied to predictions.
    """
    kinds = {"schnet": (SchNet, FusedSchNet), "painn": (PaiNN, FusedPaiNN)}
    layers = kinds[representation][fused](
        n_atom_basis=n_atom_basis,
        n_interactions=n_interactions,
        radial_basis=GaussianRBF(n_rbf=n_rbf, cutoff=cutoff),
        cutoff_fn=CosineCutoff(cutoff),
        shared_interactions=shared_interactions,
    )
    return NeuralNetworkPotential(
        representation=layers,
        input_modules=[PairVectors() if fused else PairwiseDistances()],
        output_modules=[(Readout if fused else Atomwise)(n_in=n_atom_basis, output_key=ENERGY)],
        postprocessors=list(postprocessors),
    )


def build_from(
    settings: Model, *, fused: bool | None = None, postprocessors: Sequence[torch.nn.Module] = ()
) -> NeuralNetworkPotential:
    """The model that a configuration describes; `fused` overrules its choice of modules, see `build`."""
    shape = settings.model_dump(exclude={"data_cutoff", "training_cutoff", "convolution"})
    fused = settings.convolution == "fused" if fused is None else fused
    return build(**shape, cutoff=settings.training_cutoff, fused=fused, postprocessors=postprocessors)


def postprocessors(offsets: Offsets, energy_key: str) -> list[torch.nn.Module]:
    """SchNetPack's own transforms that add offsets back, in float64: U0 needs eight digits."""
    atomrefs = torch.zeros(Z_MAX, dtype=torch.float64)
    for number, energy in offsets.references.items():
        atomrefs[number] = energy
    add = AddOffsets(
        energy_key,
        add_mean=True,
        add_atomrefs=True,
        atomrefs=atomrefs,
        property_mean=torch.tensor([offsets.mean], dtype=torch.float64),
    )
    return [CastTo64(), add]


def is_fused(model: NeuralNetworkPotential) -> bool:
    """Whether the model takes batches with the half list."""
    return isinstance(model.representation, FusedSchNet | FusedPaiNN)


@contextmanager
def own_threads(model: NeuralNetworkPotential) -> Iterator[None]:
    """Within it, torch's threads are the fused convolution's alone, and torch itself has one.

    What is left to torch then is small, and waking its threads for each operation takes longer than they save. Beside
    another busy process its threads, which spin while they wait, slow a training down many times. Without effect on a
    model with the stock path, and on an accelerator.
    """
    if not is_fused(model) or model.representation.embedding.weight.device.type != "cpu":
        yield
        return
    fast = [module for module in model.modules() if isinstance(module, FusedSchNet | FusedPaiNN | Readout)]
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
