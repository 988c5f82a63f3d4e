"""SchNetPack's SchNet with a fast convolution, and the whole potential of Figure 2 of the report.

`FusedSchNet` has the parameters, the initialisation and the `state_dict` of `schnetpack.representation.SchNet`. It
takes the fast path for a batch that carries the half list of `analysis.pairs`, as long as nobody asks for derivatives
with respect to positions; for every other batch it is the stock SchNet.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from schnetpack import properties
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.nn.activations import shifted_softplus
from schnetpack.representation import SchNet
from schnetpack.representation.schnet import SchNetInteraction

from analysis.cfconv import MIN_INTERVALS, HalfList, Interaction, Spare, convolve, interact
from analysis.cfconv import shifted_softplus as fast_shifted_softplus
from analysis.pairs import (
    ENERGY,
    PAIR_CUTOFF,
    PAIR_DISTANCE,
    PAIR_FIRST,
    PAIR_OFFSETS,
    PAIR_SECOND,
    directed_list,
    has_half_list,
)

INTERVALS_PER_GAUSSIAN = 32
"""Default fineness of the filter's table, see `FusedSchNet`."""

_FEWEST_GAUSSIANS = 8  # with very wide Gaussians it is the cut-off function and the filter network that bend the filter


class PairVectors(PairwiseDistances):
    """SchNetPack's `PairwiseDistances`, which leaves alone a batch that needs no vectors between atoms.

    If a batch has only the half list and positions need a gradient (forces), the directed list is made here.
    """

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `Rij` [2P, 3] in Å, unless the fused convolution will do without."""
        if _can_fuse(inputs):
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
        Gaussians. With the default of 32 the interpolation error is at most 1.2e-7 of a Gaussian's height, 6.7e-8 away
        from the ends: float32's own rounding.
    """

    def __init__(self, *args: object, intervals_per_gaussian: int = INTERVALS_PER_GAUSSIAN, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if intervals_per_gaussian < 1:
            raise ValueError(f"the table needs at least one interval per Gaussian, not {intervals_per_gaussian}")
        self.intervals_per_gaussian = intervals_per_gaussian
        self.threads: int | None = None
        """Threads of the fast path; None for as many as torch has."""
        self._spare = Spare()

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `scalar_representation` [A, n_atom_basis]."""
        if not _can_fuse(inputs):
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
        grid, end = self._grid(inputs[PAIR_CUTOFF].item())
        basis, cutoff = self.radial_basis(grid), self.cutoff_fn(grid)[:, None]
        x = self.embedding(inputs[properties.Z])
        for embedding in self.electronic_embeddings:
            x = x + embedding(x, inputs)
        tables = _filters(self.interactions, basis, cutoff)
        if all(_is_plain(interaction) for interaction in self.interactions):
            blocks = [_interaction(*given) for given in zip(tables, self.interactions, strict=True)]
            x = interact(x, blocks, pairs, end=end, spare=self._spare)
        else:
            for table, interaction in zip(tables, self.interactions, strict=True):
                x = x + interaction.f2out(convolve(interaction.in2f(x), table, pairs, end=end))
        inputs["scalar_representation"] = x
        return inputs

    def _grid(self, data_cutoff: float) -> tuple[torch.Tensor, float]:
        """The distances to tabulate the filter at and the last of them, Å: a pair farther apart would add nothing."""
        training_cutoff = self.cutoff_fn.cutoff.item()
        end = min(data_cutoff, training_cutoff)
        per_cutoff = self.intervals_per_gaussian * max(self.radial_basis.n_rbf, _FEWEST_GAUSSIANS)
        intervals = max(MIN_INTERVALS, -int(-per_cutoff * end // training_cutoff))
        parameter = self.embedding.weight
        grid = torch.linspace(0, end, intervals + 1, dtype=torch.float64, device=parameter.device)
        return grid.to(parameter.dtype), end


def build(
    *,
    n_atom_basis: int = 30,
    n_interactions: int = 3,
    n_rbf: int = 20,
    cutoff: float = 5.0,
    shared_interactions: bool = False,
    fused: bool = True,
    postprocessors: Sequence[torch.nn.Module] = (),
) -> NeuralNetworkPotential:
    """The report's model (Figure 2): distances, SchNet with Gaussians and a cosine cut-off, a sum over atoms.

    The weights are drawn from torch's global generator, the same for `fused` or not.

    Parameters
    ----------
    n_atom_basis, n_interactions, n_rbf, shared_interactions
        As SchNetPack names them; `n_rbf` is the number of Gaussians.
    cutoff
        Radius of the cosine cut-off function, Å (the report's "training cut-off"). The data cut-off is that of the
        batches' neighbour list.
    fused
        `FusedSchNet`, or SchNetPack's own modules for batches with the directed list.
    postprocessors
        SchNetPack transforms applied to predictions.
    """
    representation = (FusedSchNet if fused else SchNet)(
        n_atom_basis=n_atom_basis,
        n_interactions=n_interactions,
        radial_basis=GaussianRBF(n_rbf=n_rbf, cutoff=cutoff),
        cutoff_fn=CosineCutoff(cutoff),
        shared_interactions=shared_interactions,
    )
    return NeuralNetworkPotential(
        representation=representation,
        input_modules=[PairVectors() if fused else PairwiseDistances()],
        output_modules=[Atomwise(n_in=n_atom_basis, output_key=ENERGY)],
        postprocessors=list(postprocessors),
    )


def is_fused(model: NeuralNetworkPotential) -> bool:
    """Whether the model takes batches with the half list."""
    return isinstance(model.representation, FusedSchNet)


@contextmanager
def own_threads(model: NeuralNetworkPotential) -> Iterator[None]:
    """Within it, torch's threads are the fused convolution's alone, and torch itself has one.

    What is left to torch then is small, and waking its threads for each operation takes longer than they save. Beside
    another busy process its threads, which spin while they wait, slow a training down many times. Without effect on a
    model with the stock path, and on an accelerator.
    """
    representation = model.representation
    if not is_fused(model) or representation.embedding.weight.device.type != "cpu":
        yield
        return
    before, representation.threads = representation.threads, representation.threads or torch.get_num_threads()
    torchs = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torchs)
        representation.threads = before


def _can_fuse(inputs: dict[str, torch.Tensor]) -> bool:
    return has_half_list(inputs) and not inputs[properties.R].requires_grad


def _filters(
    interactions: Sequence[SchNetInteraction], basis: torch.Tensor, cutoff: torch.Tensor
) -> Sequence[torch.Tensor]:
    """Each interaction's filter [K + 1, F], from the Gaussians [K + 1, n_rbf] and cut-offs [K + 1, 1] of the distances.

    The same layers of all interactions go in one product: they are small, and each operation has a cost of its own.
    """
    networks = [interaction.filter_network for interaction in interactions]
    if not all(network[0].activation is shifted_softplus for network in networks):
        return [network(basis) * cutoff for network in networks]
    hidden, output = ([network[k] for network in networks] for k in (0, 1))
    values = fast_shifted_softplus(_side_by_side(hidden, basis.expand(len(networks), *basis.shape)))
    return (_side_by_side(output, values) * cutoff).unbind()


def _side_by_side(layers: Sequence[torch.nn.Linear], x: torch.Tensor) -> torch.Tensor:
    """Each of L layers on its own of the inputs [L, n, n_in]: [L, n, n_out]."""
    biases = torch.stack([layer.bias for layer in layers])[:, None]
    return torch.baddbmm(biases, x, torch.stack([layer.weight for layer in layers]).mT)


def _is_plain(interaction: SchNetInteraction) -> bool:
    """Whether an interaction block is as in the paper: one width, and a shifted softplus between the last layers."""
    width = interaction.in2f.in_features
    return interaction.in2f.out_features == width and interaction.f2out[0].activation is shifted_softplus


def _interaction(table: torch.Tensor, block: SchNetInteraction) -> Interaction:
    hidden, output = block.f2out
    return Interaction(table, block.in2f.weight, hidden.weight, hidden.bias, output.weight, output.bias)
