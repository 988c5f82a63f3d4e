"""Molecules packed in memory, and batches of them with SchNetPack's keys.

SchNetPack reads each molecule from its database and collates it in every epoch; with a small network that takes most of
a step. Here a batch is joined from arrays, in a third of a millisecond.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import torch
from schnetpack import properties

from fused.halflist import PAIR_CUTOFF, PAIR_DISTANCE, PAIR_FIRST, PAIR_OFFSETS, PAIR_SECOND, directed_list
from fused.pairs import Pairs
from fused.segments import join

_FAR = 20.0  # Å: the coordinates of nearer molecules stay as they are to the bit
_NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


class Packed:
    """M molecules with A atoms in all, their neighbour pairs and targets, ready to be put together in batches.

    Parameters
    ----------
    numbers
        Atomic numbers, molecule by molecule, int [A].
    n_atoms
        Each molecule's number of atoms, at least 1: int [M].
    positions
        float [A, 3], Å.
    pairs
        The molecules' neighbour pairs, `Pairs.within`.
    targets
        What is to be learnt of each molecule, float [M], by its key in the batches; none by default.
    of_atoms
        What is to be learnt of each atom, float [A, 3], by its key in the batches: forces, say; none by default.

    Raises
    ------
    ValueError
        Atoms, pairs and targets do not belong together.
    """

    def __init__(
        self,
        numbers: np.ndarray,
        n_atoms: np.ndarray,
        positions: np.ndarray,
        pairs: Pairs,
        targets: Mapping[str, np.ndarray] = _NOTHING,
        of_atoms: Mapping[str, np.ndarray] = _NOTHING,
    ) -> None:
        self.n_atoms = np.asarray(n_atoms, np.int64)
        self.pairs = pairs
        self._numbers = np.asarray(numbers)
        if len(pairs.offsets) != len(self) + 1:
            raise ValueError(f"pairs of {len(pairs.offsets) - 1} molecules, but there are {len(self)}")
        atoms = int(self.n_atoms.sum())
        if len(self._numbers) != atoms or np.shape(positions) != (atoms, 3):
            raise ValueError(f"{len(self._numbers)} numbers and positions {np.shape(positions)} of {atoms} atoms")
        for values in targets.values():
            if np.shape(values) != (len(self),):
                raise ValueError(f"targets of shape {np.shape(values)}, but there are {len(self)} molecules")
        for values in of_atoms.values():
            if np.shape(values) != (atoms, 3):
                raise ValueError(f"targets of shape {np.shape(values)}, but there are {atoms} atoms")
        self._targets = {key: np.asarray(values, np.float32) for key, values in targets.items()}
        self._of_atoms = {key: np.asarray(values, np.float32) for key, values in of_atoms.items()}
        self._pair_counts = np.diff(pairs.offsets)
        self._starts = self.n_atoms.cumsum() - self.n_atoms
        self._positions = self._near_the_origin(np.asarray(positions)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.n_atoms)

    def batch(self, positions: np.ndarray, *, stock: bool = False) -> dict[str, torch.Tensor]:
        """One batch: the molecules at `positions` (integers), in that order.

        The dictionary holds SchNetPack's `idx` (the molecule's position), `n_atoms`, `idx_m`, `Z` (int64), `R`
        (float32 [A, 3], Å; a molecule that lies far from the origin is moved there, where float32 is fine enough) and
        the targets, float32 [B] and [A, 3]. Beside them it has

        - with `stock=False`: the half list for the fused convolution, under the keys PAIR_…;
        - with `stock=True`: what SchNetPack's `AtomsLoader` gives after a neighbour list and a cast to float32:
          `idx_i`, `idx_j`, `offsets` of the full directed list ordered by i, then j, `cell` and `pbc`. `Rij` is left
          to `PairwiseDistances`, as there.

        Raises ValueError if `positions` is empty or not a row of integers, IndexError if one is not in 0 … M − 1.
        """
        chosen = np.asarray(positions)
        if chosen.ndim != 1 or len(chosen) == 0 or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"a batch needs a row of at least one integer, not {chosen.dtype} {chosen.shape}")
        if chosen.min() < 0 or chosen.max() >= len(self):
            raise IndexError(f"positions {chosen.min()} … {chosen.max()} do not all lie in 0 … {len(self) - 1}")
        chosen = chosen.astype(np.int64)
        n_atoms, counts = self.n_atoms[chosen], self._pair_counts[chosen]
        atoms, pairs = (self._starts[chosen], n_atoms), (self.pairs.offsets[chosen], counts)
        starts = n_atoms.cumsum() - n_atoms
        arrays = {
            properties.idx: chosen,
            properties.n_atoms: n_atoms,
            properties.idx_m: np.repeat(np.arange(len(chosen)), n_atoms),
            properties.Z: join(self._numbers, *atoms, dtype=np.int64),
            properties.R: join(self._positions, *atoms),
            PAIR_FIRST: join(self.pairs.first, *pairs, shift=starts, dtype=np.int32),
            PAIR_SECOND: join(self.pairs.second, *pairs, shift=starts, dtype=np.int32),
            PAIR_DISTANCE: join(self.pairs.distance, *pairs),
            PAIR_OFFSETS: np.concatenate([[0], counts.cumsum()]),
            PAIR_CUTOFF: np.array([self.pairs.cutoff]),
        }
        arrays |= {key: values[chosen] for key, values in self._targets.items()}
        arrays |= {key: join(values, *atoms) for key, values in self._of_atoms.items()}
        batch = {key: torch.from_numpy(array) for key, array in arrays.items()}
        return _as_stock(batch) if stock else batch

    def _near_the_origin(self, positions: np.ndarray) -> np.ndarray:
        """Each molecule that has a coordinate beyond `_FAR` moved, its centre to the origin: [A, 3], Å."""
        far = np.maximum.reduceat(np.abs(positions).max(axis=1), self._starts) > _FAR
        centres = np.add.reduceat(positions, self._starts) / self.n_atoms[:, None]
        return positions - np.repeat(np.where(far[:, None], centres, 0), self.n_atoms, axis=0)


def _as_stock(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    half = {PAIR_FIRST, PAIR_SECOND, PAIR_DISTANCE, PAIR_OFFSETS, PAIR_CUTOFF}
    stock = {key: tensor for key, tensor in batch.items() if key not in half} | directed_list(batch)
    n_atoms = stock[properties.n_atoms]
    start = (n_atoms.cumsum(0) - n_atoms)[stock[properties.idx_m]][stock[properties.idx_i]]
    stock[properties.lidx_i] = stock[properties.idx_i] - start
    stock[properties.lidx_j] = stock[properties.idx_j] - start
    stock[properties.cell] = stock[properties.R].new_zeros((len(n_atoms), 3, 3))
    stock[properties.pbc] = torch.zeros(3 * len(n_atoms), dtype=torch.bool)
    return stock


class PackedLoader:
    """Batches of a subset of packed molecules: an iterable that Lightning takes as a data loader.

    The order of an epoch depends on (`seed`, `epoch`) alone, so that a run resumed after any epoch goes on exactly
    as if it had never stopped. Set `epoch` before each one.

    Parameters
    ----------
    packed, positions
        The molecules, and the positions in them, int [n], of those to be in the batches.
    batch_size
        Molecules in a batch; the last one holds what is left over.
    shuffle
        Whether every epoch has a new order; otherwise it is that of `positions`.
    seed
        Of the order.
    stock
        For `Packed.batch`.
    chances
        float [n], sum 1: an epoch draws as many molecules as there are, with repetition, each with its chance. It needs
        `shuffle`.
    beside
        Further numbers of these molecules, float [n], by their key in the batches, float32 [B]; weights in a loss, say.

    Raises
    ------
    ValueError
        There are no molecules, the batch size is below 1, or the chances don't fit the positions, or would never be
        used.
    """

    def __init__(
        self,
        packed: Packed,
        positions: np.ndarray,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        stock: bool = False,
        chances: np.ndarray | None = None,
        beside: Mapping[str, np.ndarray] = _NOTHING,
    ) -> None:
        if len(positions) == 0:
            raise ValueError("a loader needs at least one molecule; the set is empty")
        if chances is not None and (np.shape(chances) != np.shape(positions) or not shuffle):
            raise ValueError(f"{np.shape(chances)} chances for {np.shape(positions)} positions, shuffle={shuffle}")
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, not {batch_size}")
        self.packed = packed
        self.positions = np.array(positions)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.stock = stock
        self.chances = chances
        self.epoch = 0
        # By position in `packed`. NaN elsewhere: a molecule that has no weight can't slip into the loss.
        self._beside = {key: np.full(len(packed), np.nan, np.float32) for key in beside}
        for key, values in beside.items():
            self._beside[key][self.positions] = values

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        order = self.order()
        # Not in a thread of its own: to wait for it takes longer than the batch.
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size])

    def _batch(self, part: np.ndarray) -> dict[str, torch.Tensor]:
        beside = {key: torch.from_numpy(values[part]) for key, values in self._beside.items()}
        return self.packed.batch(part, stock=self.stock) | beside

    def order(self) -> np.ndarray:
        """The molecules' positions in the order of the current epoch: int [n]."""
        if not self.shuffle:
            return self.positions
        draw = np.random.default_rng([self.seed, self.epoch])
        if self.chances is not None:
            return draw.choice(self.positions, len(self.positions), p=self.chances)
        return draw.permutation(self.positions)
