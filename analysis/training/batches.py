"""Packed batches of molecules with SchNetPack's keys."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from schnetpack import properties

from analysis.data.molecules import Molecules, packed_starts
from analysis.data.neighbours import Pairs
from analysis.runs.weights import LOSS_WEIGHT
from fused.halflist import PAIR_CUTOFF, PAIR_DISTANCE, PAIR_FIRST, PAIR_OFFSETS, PAIR_SECOND, directed_list
from fused.segments import join

ENERGY = "energy_U0"
"""Key of the target and of the prediction, as SchNetPack's QM9 data module names U0."""

_FAR = 20.0  # Å: QM9's coordinates are below 11, and stay as they are to the bit


class PackedMolecules:
    """M molecules, their neighbour pairs and their targets, ready to be put together in batches.

    `pairs` are those of `neighbours.neighbour_pairs`. `targets`, float64 [M] in eV, are what the network learns: U0
    without its offsets; None for molecules to predict only.

    Raises ValueError if molecules, pairs and targets do not belong together, or a target is not a finite number.
    """

    def __init__(self, molecules: Molecules, pairs: Pairs, *, targets: np.ndarray | None = None) -> None:
        if len(pairs.offsets) != len(molecules) + 1:
            raise ValueError(f"pairs of {len(pairs.offsets) - 1} molecules, but there are {len(molecules)}")
        if targets is not None and np.shape(targets) != (len(molecules),):
            raise ValueError(f"targets of shape {np.shape(targets)}, but there are {len(molecules)} molecules")
        if targets is not None and not np.isfinite(targets).all():
            molecule = int(np.argmin(np.isfinite(targets)))
            raise ValueError(f"molecule {molecules.index[molecule]}: its target is {targets[molecule]}")
        self.molecules = molecules
        self.pairs = pairs
        self.targets = None if targets is None else np.asarray(targets, np.float64)
        self._targets32 = None if targets is None else self.targets.astype(np.float32)
        self._pair_counts = np.diff(pairs.offsets)
        self._positions = _near_the_origin(molecules).astype(np.float32)

    def __len__(self) -> int:
        return len(self.molecules)

    def batch(self, positions: np.ndarray, *, stock: bool = False) -> dict[str, torch.Tensor]:
        """One batch: the molecules at `positions` (integers), in that order.

        The dictionary holds SchNetPack's `idx` (the molecule's position), `n_atoms`, `idx_m`, `Z` (int64), `R`
        (float32 [A, 3], Å; a molecule that lies far from the origin is moved there, where float32 is fine enough) and,
        if there are targets, `ENERGY` (float32 [B], eV). Beside them it has

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
        n_atoms = self.molecules.n_atoms[chosen]
        starts = packed_starts(n_atoms)
        first_atoms = self.molecules.offsets[chosen]
        counts = self._pair_counts[chosen]
        segments = self.pairs.offsets[chosen], counts
        arrays = {
            properties.idx: chosen,
            properties.n_atoms: n_atoms,
            properties.idx_m: np.repeat(np.arange(len(chosen)), n_atoms),
            properties.Z: join(self.molecules.numbers, first_atoms, n_atoms, dtype=np.int64),
            properties.R: join(self._positions, first_atoms, n_atoms),
            PAIR_FIRST: join(self.pairs.first, *segments, shift=starts[:-1], dtype=np.int32),
            PAIR_SECOND: join(self.pairs.second, *segments, shift=starts[:-1], dtype=np.int32),
            PAIR_DISTANCE: join(self.pairs.distance, *segments),
            PAIR_OFFSETS: packed_starts(counts),
            PAIR_CUTOFF: np.array([self.pairs.cutoff]),
        }
        if self._targets32 is not None:
            arrays[ENERGY] = self._targets32[chosen]
        batch = {key: torch.from_numpy(array) for key, array in arrays.items()}
        return _as_stock(batch) if stock else batch


def _near_the_origin(molecules: Molecules) -> np.ndarray:
    """Positions with each molecule that has a coordinate beyond `_FAR` moved, its centre to the origin: [A, 3], Å."""
    starts = molecules.offsets[:-1]
    far = np.maximum.reduceat(np.abs(molecules.positions).max(axis=1), starts) > _FAR
    centres = np.add.reduceat(molecules.positions, starts) / molecules.n_atoms[:, None]
    shift = np.where(far[:, None], centres, 0)
    return molecules.positions - np.repeat(shift, molecules.n_atoms, axis=0)


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

    `positions`, int [n], are those of the molecules; the last batch holds what is left over. With `shuffle` every epoch
    has a new order, otherwise that of `positions`. `stock` is for `PackedMolecules.batch`. With `chances`, float [n],
    sum 1, an epoch draws as many molecules as there are, with repetition, each with its chance; it needs `shuffle`.
    `loss_weights`, float [n], are in the batches under `LOSS_WEIGHT`, float32 [B].

    Raises ValueError if there are no molecules, the batch size is below 1, or the chances don't fit the positions or
    would never be used.
    """

    def __init__(
        self,
        packed: PackedMolecules,
        positions: np.ndarray,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        stock: bool = False,
        chances: np.ndarray | None = None,
        loss_weights: np.ndarray | None = None,
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
        self._loss_weights = None
        if loss_weights is not None:
            # By position in `packed`. NaN elsewhere: a molecule that has no weight can't slip into the loss.
            self._loss_weights = np.full(len(packed), np.nan, np.float32)
            self._loss_weights[self.positions] = loss_weights

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        order = self.order()
        parts = [order[start:stop] for start, stop in pairwise([*range(0, len(order), self.batch_size), len(order)])]
        if self.stock:
            # put together with torch's operations, whose threads would get into each other's way
            yield from map(self._batch, parts)
            return
        # The next batch is put together while the caller works on this one.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as helper:
            ahead = helper.submit(self._batch, parts[0])
            for part in parts[1:]:
                ready, ahead = ahead.result(), helper.submit(self._batch, part)
                yield ready
            yield ahead.result()

    def _batch(self, part: np.ndarray) -> dict[str, torch.Tensor]:
        batch = self.packed.batch(part, stock=self.stock)
        if self._loss_weights is not None:
            batch[LOSS_WEIGHT] = torch.from_numpy(self._loss_weights[part])
        return batch

    def order(self) -> np.ndarray:
        """The molecules' positions in the order of the current epoch: int [n]."""
        if not self.shuffle:
            return self.positions
        draw = np.random.default_rng([self.seed, self.epoch])
        if self.chances is not None:
            return draw.choice(self.positions, len(self.positions), p=self.chances)
        return draw.permutation(self.positions)
