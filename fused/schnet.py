"""SchNetPack's SchNet with a fast convolution, and its readout.

`FusedSchNet` has the parameters, the initialisation and the `state_dict` of `schnetpack.representation.SchNet`. It
takes the fast path for a batch that carries the half list of `fused.halflist`; for every other batch it is the stock
SchNet.
"""

import torch
from schnetpack import properties
from schnetpack.atomistic import Atomwise
from schnetpack.nn.activations import shifted_softplus
from schnetpack.representation import SchNet
from schnetpack.representation.schnet import SchNetInteraction
from torch.nn import functional

from fused import choice
from fused._lists import in_order
from fused.convolution import Dense, Grid, HalfList, Interaction, Spare, can_interact, convolve, energies, interact
from fused.fineness import INTERVALS_PER_GAUSSIAN
from fused.forces import Atoms, Link, Prepared
from fused.halflist import Half, half_list, has_half_list, needs_forces, with_vectors
from fused.standin import StandIn, hooked
from fused.tables import checked_fineness, grid

_INTERVALS_PER_GAUSSIAN = INTERVALS_PER_GAUSSIAN["schnet"]


class Readout(StandIn, Atomwise):
    """SchNetPack's `Atomwise`, compiled for a sum over atoms of one dense layer with a SiLU and one without.

    Everything else takes the stock path, as do batches without a half list unless `any_batch` is set, and those whose
    positions need a gradient: torch differentiates it as often as one likes, and with forces it is a small part.
    """

    stock = Atomwise
    own = ("threads", "any_batch")
    threads: int | None = None
    """Threads of the fast path; None for as many as torch has."""
    any_batch: bool = False
    """Whether SchNetPack's own batches take the fast path, too."""

    def fast(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add the sum over each molecule's atoms, [M], under `output_key`."""
        fits = has_half_list(inputs) or (self.any_batch and self._can_sum(inputs))
        if needs_forces(inputs) or not (fits and self.is_plain()):
            return Atomwise.forward(self, inputs)
        hidden, output = (Dense(layer.weight, layer.bias) for layer in self.outnet)
        inputs[self.output_key] = energies(
            inputs["scalar_representation"],
            inputs[properties.n_atoms],
            hidden,
            output,
            threads=self.threads or torch.get_num_threads(),
        )
        return inputs

    def _can_sum(self, inputs: dict[str, torch.Tensor]) -> bool:
        """Whether a batch's molecules lie one after the other, on the CPU."""
        x, weight = inputs["scalar_representation"], self.outnet[0].weight
        if properties.n_atoms not in inputs or x.device.type != "cpu":
            return False
        same = x.dtype == weight.dtype == torch.float32
        return same and in_order(inputs[properties.idx_m].numpy(), inputs[properties.n_atoms].numpy())

    def is_plain(self) -> bool:
        """Whether it is a sum over atoms of two dense layers as `energies` has them."""
        whole = self.aggregation_mode == "sum" and self.per_atom_output_key is None and self.n_out == 1
        if not whole or len(self.outnet) != 2 or hooked(self):
            return False
        hidden, output = self.outnet
        usual = hidden.activation is functional.silu and isinstance(output.activation, torch.nn.Identity)
        return usual and hidden.bias is not None and output.bias is not None


class FusedSchNet(StandIn, SchNet):
    """A `schnetpack.representation.SchNet`, fast for batches with the half list of `fused.halflist`.

    Parameters
    ----------
    *args, **kwargs
        As for SchNetPack's SchNet.
    intervals_per_gaussian
        Fineness of the table: the grid step is the training cut-off divided by this number and by the number of
        Gaussians.
    """

    stock = SchNet
    own = ("intervals_per_gaussian", "threads", "any_batch", "_spare", "_prepared")
    threads: int | None = None
    """Threads of the fast path; None for as many as torch has."""
    any_batch: bool = False
    """Whether SchNetPack's own batches take the fast path, too."""

    def __init__(self, *args: object, intervals_per_gaussian: int = _INTERVALS_PER_GAUSSIAN, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.intervals_per_gaussian = checked_fineness(intervals_per_gaussian)
        self._spare, self._prepared = Spare(), Prepared()

    def fast(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `scalar_representation` [A, n_atom_basis]."""
        compiled = has_plain_blocks(self) and has_fixed_grid(self) and can_interact(self.embedding.weight)
        half = half_list(self, inputs, with_forces=compiled)
        if half is None:
            return SchNet.forward(self, with_vectors(inputs))
        way = choice.way("schnet", self.n_atom_basis)
        pairs = HalfList.share_out(
            half.first,
            half.second,
            half.distance,
            atoms=half.atoms,
            pairs=half.pairs,
            threads=self.threads or torch.get_num_threads(),
            block=way.block,
        )
        numbers, positions = inputs[properties.Z], inputs[properties.R]
        if self.training or not compiled:
            inputs["scalar_representation"] = self._through(inputs, half, pairs, positions, Link())
            return inputs
        inputs["scalar_representation"] = self._prepared.features(
            self,
            (way, half.cutoff, half.distance.dtype, self.intervals_per_gaussian, self.radial_basis, self.cutoff_fn),
            Atoms.of(numbers, positions if positions.requires_grad else None, pairs),
            positions,
            # Of `inputs` the numbers alone: they get the features, which would hold themselves through torch's graph.
            lambda positions, link: self._through({properties.Z: numbers}, half, pairs, positions, link),
        )
        return inputs

    def _through(
        self, inputs: dict[str, torch.Tensor], half: Half, pairs: HalfList, positions: torch.Tensor, link: Link
    ) -> torch.Tensor:
        """The features, [A, n_atom_basis], differentiable."""
        table = grid(
            self.radial_basis,
            self.cutoff_fn,
            data_cutoff=half.cutoff,
            intervals_per_gaussian=self.intervals_per_gaussian,
            like=next(self.parameters()),
        )
        numbers = inputs[properties.Z]
        if self._is_plain(table):
            blocks = [_interaction(interaction) for interaction in self.interactions]
            given = self.embedding.weight, numbers, blocks, pairs, table
            return interact(*given, positions=positions, spare=self._spare, link=link)
        x = self.embedding(numbers)
        for embedding in self.electronic_embeddings:
            x = x + embedding(x, inputs)
        for interaction in self.interactions:
            filters = interaction.filter_network(table.basis) * table.cutoff[:, None]
            x = x + interaction.f2out(convolve(interaction.in2f(x), filters, pairs, end=table.end))
        return x

    def _is_plain(self, table: Grid) -> bool:
        """Whether the grid is fixed, and everything else as in the paper."""
        return not (table.basis.requires_grad or table.cutoff.requires_grad) and has_plain_blocks(self)


def has_plain_blocks(network: SchNet) -> bool:
    """Whether an atom begins with its element's features, and the blocks are as in the paper."""
    plain = isinstance(network.embedding, torch.nn.Embedding) and not network.electronic_embeddings
    return plain and all(_is_plain(interaction) for interaction in network.interactions)


def has_fixed_grid(network: SchNet) -> bool:
    """Whether neither the radial basis nor the cut-off function is trained."""
    return not any(part.requires_grad for of in (network.radial_basis, network.cutoff_fn) for part in of.parameters())


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
