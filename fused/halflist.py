"""The half list of a batch: each pair of atoms once.

Three kinds of batches have one: those that carry it whole (under the keys PAIR_…, every atom counted through the
batch), those that carry each molecule's (from `HalfNeighborList`; SchNetPack's own collating joins them), and those
with SchNetPack's directed list, in which it is found.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from schnetpack import properties
from schnetpack.atomistic import PairwiseDistances
from schnetpack.transform import Transform

from fused import _lists
from fused.standin import StandIn, hooked

PAIR_FIRST = "_pair_first"
"""Half list, int32 [P]: the first atom of each pair, counted through the batch."""
PAIR_SECOND = "_pair_second"
"""Half list, int32 [P]: the second atom of each pair, counted through the batch."""
PAIR_DISTANCE = "_pair_distance"
"""Half list, float32 [P]: the distance of the pair, Å."""
PAIR_OFFSETS = "_pair_offsets"
"""Half list, int64 [M + 1]: the pairs of molecule m are offsets[m]:offsets[m + 1]."""
PAIR_CUTOFF = "_pair_cutoff"
"""Half list, float64 [1]: the data cut-off, Å; no distance is larger."""

LOCAL_FIRST = "_pair_first_local"
"""Half list of `HalfNeighborList`, int32 [P]: the first atom of each pair, counted in its molecule."""
LOCAL_SECOND = "_pair_second_local"
"""Half list of `HalfNeighborList`, int32 [P]: the second atom of each pair, counted in its molecule."""
N_PAIRS = "_n_pairs"
"""Half list of `HalfNeighborList`, int64 [M]: how many pairs each molecule has."""


@dataclass(frozen=True, eq=False)
class Half:
    """The half list of a batch of M molecules with P pairs.

    `first` and `second` are int32 [P], `distance` is [P] in Å; `atoms` and `pairs`, int64 [M + 1], say where each
    molecule's atoms and pairs begin. No distance that matters is larger than `cutoff`, Å.
    """

    first: torch.Tensor
    second: torch.Tensor
    distance: torch.Tensor
    atoms: torch.Tensor
    pairs: torch.Tensor
    cutoff: float = float("inf")

    @classmethod
    def of(cls, batch: dict[str, torch.Tensor]) -> Self:
        """The one that a batch carries whole."""
        parts = batch[PAIR_FIRST], batch[PAIR_SECOND], batch[PAIR_DISTANCE]
        return cls(*parts, _starts(batch[properties.n_atoms]), batch[PAIR_OFFSETS], batch[PAIR_CUTOFF].item())

    @classmethod
    def found(cls, batch: dict[str, torch.Tensor], like: torch.Tensor) -> Self | None:
        """The one found in a batch of SchNetPack's, for a network whose parameters are `like` these.

        None if there is none, or it would not do: not on the CPU, of another type than the network, periodic, or a pair
        in one direction only.
        """
        positions = batch[properties.R].detach()
        if properties.n_atoms not in batch:
            return None
        if positions.dtype != like.dtype or like.device.type != "cpu" or positions.device.type != "cpu":
            return None
        atoms = _starts(batch[properties.n_atoms])
        if atoms[-1] != len(positions):
            return None
        if N_PAIRS in batch:
            pairs = _starts(batch[N_PAIRS])
            first, second = _placed(batch, atoms, pairs)
        elif properties.offsets in batch and len(batch[properties.offsets]) == len(batch[properties.idx_i]):
            directed = (batch[key].long().numpy() for key in (properties.idx_i, properties.idx_j))
            good, *half = _lists.halved(*directed, batch[properties.offsets].numpy(), atoms.numpy())
            if not good:
                return None
            first, second, pairs = (torch.from_numpy(array) for array in half)
        else:
            return None
        return cls(first, second, _distances(first, second, positions), atoms, pairs)

    def measured(self, positions: torch.Tensor) -> Self:
        """The same pairs with distances in float64, which forces are taken from."""
        return replace(self, distance=_distances(self.first, self.second, positions.detach().double()))


def _distances(first: torch.Tensor, second: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(_lists.distances(first.numpy(), second.numpy(), positions.contiguous().numpy()))


def _starts(counts: torch.Tensor) -> torch.Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def _placed(
    batch: dict[str, torch.Tensor], atoms: torch.Tensor, pairs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    local = (batch[key].numpy() for key in (LOCAL_FIRST, LOCAL_SECOND))
    return tuple(torch.from_numpy(array) for array in _lists.placed(*local, atoms.numpy(), pairs.numpy()))


def has_half_list(batch: dict[str, torch.Tensor]) -> bool:
    """Whether a batch carries the half list whole."""
    return PAIR_FIRST in batch


def needs_forces(batch: dict[str, torch.Tensor]) -> bool:
    """Whether somebody asks for derivatives with respect to positions, or to what is made of them."""
    return any(batch[key].requires_grad for key in (properties.R, properties.Rij, properties.offsets) if key in batch)


def needs_vectors(batch: dict[str, torch.Tensor]) -> bool:
    """Whether somebody asks for derivatives with respect to more than positions, which SchNetPack's own layers have."""
    return any(batch[key].requires_grad for key in (properties.Rij, properties.offsets) if key in batch)


def half_list(network: torch.nn.Module, batch: dict[str, torch.Tensor], *, with_forces: bool) -> Half | None:
    """The half list that a fused network can compute a batch with; None if it has to do as SchNetPack's own.

    `with_forces` says whether the network has derivatives with respect to positions.
    """
    forces = needs_forces(batch)
    if hooked(network) or (forces and (needs_vectors(batch) or not with_forces)):
        return None
    if has_half_list(batch):
        half: Half | None = Half.of(batch)
    elif network.any_batch:
        half = Half.found(batch, next(network.parameters()))
    else:
        return None
    return half.measured(batch[properties.R]) if half is not None and forces else half


def directed_list(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """SchNetPack's full directed list from either half list: `idx_i`, `idx_j` (int64 [2P]), `offsets` (zeros [2P, 3]).

    Ordered by i, then j, as ASE's neighbour list. Molecules are not periodic, so that every cell offset is zero.
    """
    if has_half_list(batch):
        first, second = batch[PAIR_FIRST].long(), batch[PAIR_SECOND].long()
    else:
        atoms = _starts(batch[properties.n_atoms])[:-1].repeat_interleave(batch[N_PAIRS])
        first, second = atoms + batch[LOCAL_FIRST], atoms + batch[LOCAL_SECOND]
    # One integer for (i, j): sorting these is all it takes to order the list.
    directed = torch.cat([first << 32 | second, second << 32 | first]).sort().values
    positions = batch[properties.R]
    return {
        properties.idx_i: directed >> 32,
        properties.idx_j: directed & 0xFFFFFFFF,
        properties.offsets: positions.new_zeros((len(directed), 3)),
    }


def with_vectors(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch with the directed list and the vectors, `Rij`, that SchNetPack's own layers need."""
    if properties.idx_i not in batch:
        batch.update(directed_list(batch))
    return batch if properties.Rij in batch else PairwiseDistances()(batch)


class PairVectors(StandIn, PairwiseDistances):
    """SchNetPack's `PairwiseDistances`, which leaves alone a batch that needs no vectors between atoms.

    If a batch has only the half list of its molecules, and somebody reads vectors, the directed list is made here.
    """

    stock = PairwiseDistances
    own = ("unneeded",)
    unneeded: bool = False
    """Whether nobody but a fused network reads the vectors, which then makes those that it needs."""

    def fast(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add `Rij` [2P, 3] in Å, unless the fused network will do without."""
        if self.unneeded or has_half_list(inputs):
            return inputs
        if properties.idx_i not in inputs:
            inputs.update(directed_list(inputs))
        return PairwiseDistances.forward(self, inputs)


class HalfNeighborList(Transform):
    """SchNetPack's neighbour list transform for molecules, each pair of atoms once: for models that are accelerated.

    It takes the place of `ASENeighborList`, `MatScipyNeighborList` and the like in a data module or an
    `AtomsConverter`.

    Parameters
    ----------
    cutoff
        Radius, Å; a pair at the cut-off itself is left out, as by SchNetPack's own lists.

    Raises
    ------
    ValueError
        A molecule is periodic.
    """

    is_preprocessor: bool = True
    is_postprocessor: bool = False

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add the pairs of one molecule, counted in it."""
        if properties.pbc in inputs and bool(inputs[properties.pbc].any()):
            raise ValueError("periodic: HalfNeighborList is for molecules; use SchNetPack's MatScipyNeighborList")
        positions = inputs[properties.R].detach().cpu().contiguous().numpy()
        atoms = np.array([0, len(positions)])
        first, second, _, _ = _lists.within(positions, atoms, float(self.cutoff), np.empty(0, np.int32))
        inputs[LOCAL_FIRST], inputs[LOCAL_SECOND] = torch.from_numpy(first), torch.from_numpy(second)
        inputs[N_PAIRS] = torch.tensor([len(first)])
        return inputs
