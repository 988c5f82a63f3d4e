"""The whole potential of Figure 2 of the report, from SchNetPack's modules or from the fast ones of `fused`."""

from collections.abc import Sequence

import torch
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import AddOffsets, CastTo64

from analysis.data.offsets import Z_MAX, Offsets
from analysis.runs.config import Model
from analysis.training.batches import ENERGY, FORCES
from fused.halflist import PairVectors
from fused.painn import FusedPaiNN
from fused.schnet import FusedSchNet, Readout


def build_from(
    settings: Model,
    *,
    fused: bool | None = None,
    forces: bool = False,
    postprocessors: Sequence[torch.nn.Module] = (),
) -> NeuralNetworkPotential:
    """The report's model (Figure 2): distances, SchNet with Gaussians and a cosine cut-off, a sum over atoms; or PaiNN.

    The weights are drawn from torch's global generator, the same for `fused` or not: `FusedSchNet` or `FusedPaiNN`, or
    SchNetPack's own modules for batches with the directed list, by default as the settings say. With `forces` it
    gives the energy's negative gradient too, by SchNetPack's own module. `postprocessors` are SchNetPack transforms
    applied to predictions.
    """
    fused = settings.convolution == "fused" if fused is None else fused
    kinds = {"schnet": (SchNet, FusedSchNet), "painn": (PaiNN, FusedPaiNN)}
    layers = kinds[settings.representation][fused](
        n_atom_basis=settings.n_atom_basis,
        n_interactions=settings.n_interactions,
        radial_basis=GaussianRBF(n_rbf=settings.n_rbf, cutoff=settings.training_cutoff),
        cutoff_fn=CosineCutoff(settings.training_cutoff),
        shared_interactions=settings.shared_interactions,
    )
    return NeuralNetworkPotential(
        representation=layers,
        input_modules=[PairVectors() if fused else PairwiseDistances()],
        output_modules=[
            (Readout if fused else Atomwise)(n_in=settings.n_atom_basis, output_key=ENERGY),
            *([Forces(energy_key=ENERGY, force_key=FORCES)] if forces else []),
        ],
        postprocessors=list(postprocessors),
    )


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
