"""SchNetPack's SchNet with a fast convolution, and the whole potential of Figure 2 of the report.

`FusedSchNet` has the parameters, the initialisation and the `state_dict` of `schnetpack.representation.SchNet`. It
takes the fast path for a batch that carries the half list of `analysis.pairs`, as long as nobody asks for derivatives
with respect to positions; for every other batch it is the stock SchNet.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from schnetpack import properties
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.nn.activations import shifted_softplus
from schnetpack.representation import PaiNN, SchNet
from schnetpack.representation.schnet import SchNetInteraction
from schnetpack.transform import AddOffsets, CastTo64
from torch.nn import functional

from analysis.batches import (
    ENERGY,
    PAIR_CUTOFF,
    PAIR_DISTANCE,
    PAIR_FIRST,
    PAIR_OFFSETS,
    PAIR_SECOND,
    can_fuse,
    directed_list,
)
from analysis.cfconv import Dense, Grid, HalfList, Interaction, Spare, convolve, energies, interact
from analysis.config import Model
from analysis.grids import INTERVALS_PER_GAUSSIAN, checked_fineness, grid
from analysis.offsets import Z_MAX, Offsets
from analysis.painn import FusedPaiNN


class Readout(Atomwise):
    """SchNetPack's `Atomwise`, compiled for a sum over atoms of one dense layer with a SiLU and one without.

    Everything else, and batches without the half list of `analysis.pairs`, take the stock path.
    """

    threads: int | None = None
    """Threads of the fast path; None for as many as torch has."""

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add the sum over each molecule's atoms, [M], under `output_key`."""
        if not (self._is_plain() and can_fuse(inputs)):
            return super().forward(inputs)
        hidden, output = (Dense(layer.weight, layer.bias) for layer in self.outnet)
        inputs[self.output_key] = energies(
            inputs["scalar_representation"],
            inputs[properties.n_atoms],
            hidden,
            output,
            threads=self.threads or torch.get_num_threads(),
        )
        return inputs

    def _is_plain(self) -> bool:
        whole = self.aggregation_mode == "sum" and self.per_atom_output_key is None and self.n_out == 1
        if not whole or len(self.outnet) != 2:
            return False
        hidden, output = self.outnet
        usual = hidden.activation is functional.silu and isinstance(output.activation, torch.nn.Identity)
        return usual and hidden.bias is not None and output.bias is not None


class PairVectors(PairwiseDistances):
    """SchNetPack's `PairwiseDistances`, which leaves alone a batch that needs no vectors between atoms.

    If a batch has only the half list and positions need a gradient (forces), the directed list is made here.
    """

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `Rij` [2P, 3] in Å, unless the fused convolution will do without."""
        if can_fuse(inputs):
            return inputs
        if properties.idx_i not in inputs:
            inputs.update(directed_list(inputs))
        return super().forward(inputs)


class FusedSchNet(SchNet):
    """A `schnetpack.representation.SchNet`, fast for batches with the half list of `analysis.pairs`.

    Parameters
    ----------
    *args, **kwargs
        As for SchNetPack's SchNet.
    intervals_per_gaussian
        Fineness of the table: the grid step is the training cut-off divided by this number and by the number of
        Gaussians.
    """

    def __init__(self, *args: object, intervals_per_gaussian: int = INTERVALS_PER_GAUSSIAN, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.intervals_per_gaussian = checked_fineness(intervals_per_gaussian)
        self.threads: int | None = None
        """Threads of the fast path; None for as many as torch has."""
        self._spare = Spare()

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `scalar_representation` [A, n_atom_basis]."""
        if not can_fuse(inputs):
            return super().forward(inputs)
        n_atoms = inputs[properties.n_atoms]
        pairs = HalfList.share_out(
            inputs[PAIR_FIRST],
            inputs[PAIR_SECOND],
            inputs[PAIR_DISTANCE],
            atoms=torch.cat([n_atoms.new_zeros(1), n_atoms.cumsum(0)]),
            pairs=inputs[PAIR_OFFSETS],
            threads=self.threads or torch.get_num_threads(),
        )
        table = grid(
            self.radial_basis,
            self.cutoff_fn,
            data_cutoff=inputs[PAIR_CUTOFF].item(),
            intervals_per_gaussian=self.intervals_per_gaussian,
            like=self.embedding.weight,
        )
        numbers = inputs[properties.Z]
        if self._is_plain(table):
            blocks = [_interaction(interaction) for interaction in self.interactions]
            x = interact(self.embedding.weight, numbers, blocks, pairs, table, spare=self._spare)
        else:
            x = self.embedding(numbers)
            for embedding in self.electronic_embeddings:
                x = x + embedding(x, inputs)
            for interaction in self.interactions:
                filters = interaction.filter_network(table.basis) * table.cutoff[:, None]
                x = x + interaction.f2out(convolve(interaction.in2f(x), filters, pairs, end=table.end))
        inputs["scalar_representation"] = x
        return inputs

    def _is_plain(self, table: Grid) -> bool:
        """Whether the grid is fixed, an atom begins with its element's features, and the blocks are as in the paper."""
        fixed = not (table.basis.requires_grad or table.cutoff.requires_grad)
        plain = isinstance(self.embedding, torch.nn.Embedding) and not self.electronic_embeddings
        return fixed and plain and all(_is_plain(interaction) for interaction in self.interactions)


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
    representation
        What makes features of atoms: SchNet, or PaiNN with the same settings in its place.
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
    return build(
        representation=settings.representation,
        n_atom_basis=settings.n_atom_basis,
        n_interactions=settings.n_interactions,
        n_rbf=settings.n_rbf,
        cutoff=settings.training_cutoff,
        shared_interactions=settings.shared_interactions,
        fused=settings.convolution == "fused" if fused is None else fused,
        postprocessors=postprocessors,
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


def _is_plain(interaction: SchNetInteraction) -> bool:
    """Whether an interaction block is as in the paper: one width, and a shifted softplus between two dense layers."""
    in2f, pairs_of_layers = interaction.in2f, (interaction.filter_network, interaction.f2out)
    return (
        in2f.out_features == in2f.in_features
        and in2f.bias is None
        and all(first.activation is shifted_softplus for first, _ in pairs_of_layers)
        and all(layer.bias is not None for layers in pairs_of_layers for layer in layers)
    )


def _interaction(block: SchNetInteraction) -> Interaction:
    layers = (*block.filter_network, block.in2f, *block.f2out)
    return Interaction(*(Dense(layer.weight, layer.bias) for layer in layers))
