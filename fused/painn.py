"""SchNetPack's PaiNN with fast layers."""

import torch
from schnetpack import properties
from schnetpack.representation import PaiNN
from schnetpack.representation.painn import PaiNNInteraction, PaiNNMixing
from torch.nn import functional

from fused import choice
from fused.convolution import Dense, HalfList, Spare, can_interact
from fused.equivariant import Layer, interact, share_out
from fused.fineness import INTERVALS_PER_GAUSSIAN
from fused.forces import Atoms, Link, Prepared
from fused.halflist import half_list, with_vectors
from fused.standin import StandIn
from fused.tables import checked_fineness, grid

_INTERVALS_PER_GAUSSIAN = INTERVALS_PER_GAUSSIAN["painn"]


class FusedPaiNN(StandIn, PaiNN):
    """A `schnetpack.representation.PaiNN`, fast for batches with the half list of `fused.halflist`.

    It has the stock PaiNN's parameters, initialisation and `state_dict`. Such a batch takes the fast path on the CPU in
    float32, without `vector_representation`; every other batch is the stock PaiNN's.

    Parameters
    ----------
    *args, **kwargs
        As for SchNetPack's PaiNN.
    intervals_per_gaussian
        Fineness of the tables: the grid step is the training cut-off divided by this number and by the number of
        Gaussians. With the default of 16 the interpolation error is at most 1.9e-6 of a Gaussian's height. For forces,
        which the tables' slopes give, it is half as long.
    """

    stock = PaiNN
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
        """Add `scalar_representation` [A, n_atom_basis], and on the stock path `vector_representation`."""
        half = half_list(self, inputs, with_forces=True) if self._can_interact() else None
        if half is None:
            return PaiNN.forward(self, with_vectors(inputs))
        numbers, positions = inputs[properties.Z], inputs[properties.R]
        pairs = share_out(
            half.first,
            half.second,
            half.distance,
            atoms=half.atoms,
            pairs=half.pairs,
            threads=self.threads or torch.get_num_threads(),
            width=self.n_atom_basis,
        )
        fineness = self.intervals_per_gaussian * (2 if positions.requires_grad else 1)

        def through(positions: torch.Tensor, link: Link) -> torch.Tensor:
            return self._through(numbers, positions, pairs, link, data_cutoff=half.cutoff, fineness=fineness)

        if self.training:
            x = through(positions, Link())
        else:
            way, of_grid = choice.way("painn", self.n_atom_basis), (half.cutoff, fineness)
            settings = way, *of_grid, half.distance.dtype, self.radial_basis, self.cutoff_fn, self.mixing[0].epsilon
            x = self._prepared.features(self, settings, Atoms.of(numbers, positions, pairs), positions, through)
        inputs["scalar_representation"] = x[:, : self.n_atom_basis]
        return inputs

    def _through(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        pairs: HalfList,
        link: Link,
        *,
        data_cutoff: float,
        fineness: int,
    ) -> torch.Tensor:
        """The features, [A, n_atom_basis], differentiable."""
        table = grid(
            self.radial_basis,
            self.cutoff_fn,
            data_cutoff=data_cutoff,
            intervals_per_gaussian=fineness,
            like=self.embedding.weight,
        )
        filters = self.filter_net(table.basis) * table.cutoff[:, None]
        layers = [_layer(*two) for two in zip(self.interactions, self.mixing, strict=True)]
        filters = filters.reshape(len(filters), -1, 3 * self.n_atom_basis).transpose(0, 1)
        return interact(
            self.embedding.weight,
            numbers,
            positions,
            layers,
            filters.expand(len(layers), -1, -1),
            pairs,
            end=table.end,
            epsilon=self.mixing[0].epsilon,
            spare=self._spare,
            link=link,
        )

    def _can_interact(self) -> bool:
        return self.has_usual_layers() and can_interact(self.embedding.weight)

    def has_usual_layers(self) -> bool:
        """Whether an atom begins with its element's features, and activations are the paper's."""
        embedded = isinstance(self.embedding, torch.nn.Embedding) and not self.electronic_embeddings
        hidden = [block.interatomic_context_net[0] for block in self.interactions]
        hidden += [block.intraatomic_context_net[0] for block in self.mixing]
        return embedded and all(layer.activation is functional.silu for layer in hidden)


def _layer(interaction: PaiNNInteraction, mixing: PaiNNMixing) -> Layer:
    context, mixture = interaction.interatomic_context_net, mixing.mu_channel_mix
    layers = *context, mixture, *mixing.intraatomic_context_net
    return Layer(*(Dense(layer.weight, layer.bias) for layer in layers))
