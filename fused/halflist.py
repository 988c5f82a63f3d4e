"""The half list in a batch: each pair of atoms once, under keys of its own beside SchNetPack's."""

import torch
from schnetpack import properties
from schnetpack.atomistic import PairwiseDistances

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


def has_half_list(batch: dict[str, torch.Tensor]) -> bool:
    """Whether a batch carries the half list that the fused convolution needs."""
    return PAIR_FIRST in batch


def can_fuse(batch: dict[str, torch.Tensor]) -> bool:
    """Whether the fused networks take a batch: it has the half list, and nobody asks for forces."""
    return has_half_list(batch) and not batch[properties.R].requires_grad


def directed_list(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """SchNetPack's full directed list from the half list: `idx_i`, `idx_j` (int64 [2P]) and `offsets` (zeros [2P, 3]).

    Ordered by i, then j, as ASE's neighbour list. Molecules are not periodic, so that every cell offset is zero.
    """
    first, second = batch[PAIR_FIRST].long(), batch[PAIR_SECOND].long()
    # One integer for (i, j): sorting these is all it takes to order the list.
    directed = torch.cat([first << 32 | second, second << 32 | first]).sort().values
    positions = batch[properties.R]
    return {
        properties.idx_i: directed >> 32,
        properties.idx_j: directed & 0xFFFFFFFF,
        properties.offsets: positions.new_zeros((len(directed), 3)),
    }


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
