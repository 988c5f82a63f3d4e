"""SchNetPack's SchNet and PaiNN, evaluated without torch, whose import takes longer than thousands of molecules do."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numba import config

from fused import _equivariant, _kernels, _lists, choice
from fused.choice import Way
from fused.fineness import INTERVALS_PER_GAUSSIAN, number_of_intervals

_EPSILON = 1e-8  # what SchNetPack's PaiNN adds to the square of a norm
_SMALLEST = np.sqrt(np.finfo(np.float32).tiny)


class Potential:
    """The energies of a model that SchNetPack trained, from the arrays of its `state_dict` alone.

    Such a model is a `NeuralNetworkPotential` of SchNet or PaiNN, with Gaussians, a cosine cut-off and SchNetPack's own
    activations, and with one `Atomwise` of two layers, summed. Its numbers are those of the model in float32 but for
    rounding. What postprocessors add, offsets above all, is left to the caller.

    The loops work in the way that FUSED_LOOPS names, or the first of `choice.candidates`: nothing is measured.

    Parameters
    ----------
    state
        The arrays by their names, as `safetensors.numpy.load_file` reads them.
    cutoff
        Radius of the neighbour list that the model was trained with, Å; by default the cut-off function's own.
    threads
        How many threads share the molecules; by default numba's number, as many as the processor has cores.

    Raises
    ------
    ValueError
        Arrays that are not those of such a model.
    """

    def __init__(
        self, state: Mapping[str, np.ndarray], *, cutoff: float | None = None, threads: int | None = None
    ) -> None:
        self._threads = threads or config.NUMBA_NUM_THREADS
        way = choice.asked() or choice.default()
        try:
            layers = _below(state, "representation")
            reach = layers["cutoff_fn.cutoff"].item()
            self._cutoff = reach if cutoff is None else float(cutoff)
            kind = _PaiNN if "filter_net.weight" in layers else _SchNet
            self._network = kind(way, layers, min(self._cutoff, reach))
            self._readout = _Readout(way, _below(state, "output_modules.0.outnet"))
        except (KeyError, ValueError) as error:
            raise ValueError(f"these are not the arrays of a SchNet or PaiNN with an Atomwise ({error})") from error

    def __call__(self, numbers: np.ndarray, positions: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
        """What the network says of each molecule: float32 [M], in the unit that it was trained in.

        Parameters
        ----------
        numbers
            Atomic numbers, integers [A], molecule by molecule.
        positions
            float [A, 3], Å, in the same order.
        n_atoms
            How many of the atoms each molecule has, integers [M].

        Raises
        ------
        ValueError
            Arrays that don't fit together, an element that the model has no row for, positions that are not finite, or
            two atoms at the same place.
        """
        numbers, positions = np.array(numbers, np.int64), np.array(positions, np.float64)
        n_atoms = np.array(n_atoms, np.int64)
        starts = np.concatenate([[0], np.cumsum(n_atoms)])
        if (n_atoms < 1).any() or not len(numbers) == len(positions) == starts[-1] or positions.shape[1:] != (3,):
            raise ValueError(
                f"{numbers.shape} numbers and {positions.shape} positions, for {len(n_atoms)} molecules of at least "
                f"one atom each, {starts[-1]} in all"
            )
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self._network.elements:
            raise ValueError(f"atomic numbers are 0 to {self._network.elements - 1}, not {np.unique(numbers).tolist()}")
        if not np.isfinite(positions).all():
            raise ValueError("positions must be finite")
        # Where the molecule's centre is the origin, float32 is fine enough, wherever the molecule is.
        centres = np.add.reduceat(positions, starts[:-1]) / n_atoms[:, None] if len(n_atoms) else positions
        positions -= np.repeat(centres, n_atoms, axis=0)

        work = np.concatenate([[0], np.cumsum(n_atoms * (n_atoms + 1) // 2)])  # atoms, and pairs at most
        cuts = np.unique(
            np.append(np.searchsorted(work, np.arange(0, work[-1], self._network.way.block)), len(n_atoms))
        )
        energies = np.empty(len(n_atoms), np.float32)
        threads = min(self._threads, len(cuts) - 1)

        def share(thread: int) -> None:
            # Each batch in the same memory: fresh one costs as much time as the computation.
            room = self._network.room(int(np.diff(starts[cuts]).max()))
            for first, last in list(pairwise(cuts))[thread::threads]:
                atoms = slice(starts[first], starts[last])
                offsets = starts[first : last + 1] - starts[first]
                *pairs, of_molecule = _lists.within(positions[atoms], offsets, float(self._cutoff))
                if not (pairs[2] > 0).all():
                    molecule = first + int(np.searchsorted(of_molecule, (pairs[2] == 0).argmax(), side="right")) - 1
                    raise ValueError(f"two atoms of molecule {molecule} are at the same place")
                x = self._network.features(numbers[atoms], positions[atoms].astype(np.float32), tuple(pairs), room)
                energies[first:last] = self._readout.energies(x, offsets)

        if threads:
            _kernels._each(self._network.way, share, threads)
        return energies


class _SchNet:
    """The network of `FusedSchNet` for inference; `end` is the last distance of its filters' tables, Å."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray], end: float) -> None:
        self.way = way
        self._embedding = _weights(state, "embedding")
        self.elements, width = self._embedding.shape
        blocks = [_below(state, f"interactions.{k}") for k in _places(state, "interactions")]

        def stacked(*names: str) -> np.ndarray:
            return _kernels.padded(way, np.array([[_weights(block, name).T for name in names] for block in blocks]))

        def biases(*names: str) -> np.ndarray:
            none = np.zeros(width, np.float32)
            rows = [[block.get(f"{name}.bias", none)[None] for name in names] for block in blocks]
            return _kernels.padded(way, np.array(rows))

        basis, cutoff, self._end = _grid(state, "schnet", end)
        self._last = len(cutoff) - 1
        basis = _kernels.padded(way, basis, more_rows=_kernels.ROWS - 1)
        expand, output = (stacked(f"filter_network.{k}")[:, 0] for k in (0, 1))
        of_filters = biases("filter_network.0", "filter_network.1")
        self._tables, _, _ = _kernels.tabulate(way, basis, cutoff, expand, output, of_filters, 1)
        self._into, self._biases = (made("in2f", "f2out.0", "f2out.1") for made in (stacked, biases))

    def room(self, atoms: int) -> list[np.ndarray]:
        """Memory for so many atoms."""
        layers, _, width = self._tables.shape
        return [_kernels.zeros(shape, np.float32) for shape in _kernels.kept_shapes([_all(atoms)], layers, width)]

    def features(
        self, numbers: np.ndarray, positions: np.ndarray, pairs: Sequence[np.ndarray], room: list[np.ndarray]
    ) -> np.ndarray:
        """Atoms' features after all interactions, [A, F]; `pairs` are first and second atoms, and distances."""
        del positions
        given = self._embedding, numbers, self._tables, self._last, self._into, self._biases, pairs
        return _kernels.interact(self.way, *given, [_all(len(numbers), len(pairs[0]))], self._end, room)


class _PaiNN:
    """The network of `FusedPaiNN` for inference; `end` is the last distance of its filters' tables, Å."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray], end: float) -> None:
        self.way = way
        embedding = _weights(state, "embedding")
        self.elements, width = embedding.shape
        full = _kernels.padded_width(way, width, embedding.itemsize)
        places = _places(state, "interactions")

        def widened(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
            """The same [rows · F, columns · F] with zeros after each F: [rows · W, columns · W]."""
            wide = np.zeros((rows, full, columns, full), np.float32)
            wide[:, :width, :, :width] = array.reshape(rows, width, columns, width)
            return wide.reshape(rows * full, columns * full)

        def row(array: np.ndarray, parts: int) -> np.ndarray:
            """The same [n, parts · F] with zeros after each F."""
            wide = np.zeros((len(array), parts, full), np.float32)
            wide[..., :width] = array.reshape(-1, parts, width)
            return wide.reshape(len(array), parts * full)

        def stacked(arrays: Iterator[np.ndarray]) -> np.ndarray:
            found = np.stack(list(arrays))
            aligned = _kernels.zeros(found.shape, np.float32)
            aligned[...] = found
            return aligned

        into, biases = [], []
        for name, (rows, columns) in zip(_PAINN_LAYERS, _equivariant.PARTS, strict=True):
            layers = [name.format(k) for k in places]
            none = np.zeros(rows * width, np.float32)
            into.append(stacked(widened(_weights(state, layer), rows, columns).T for layer in layers))
            biases.append(stacked(row(state.get(f"{layer}.bias", none)[None], rows) for layer in layers))
        basis, cutoff, self._end = _grid(state, "painn", end)
        filters = (basis @ _weights(state, "filter_net").T + state["filter_net.bias"]) * cutoff[:, None]
        filters = np.broadcast_to(filters.reshape(len(filters), -1, 3 * width), (len(filters), len(places), 3 * width))
        self._tables = stacked(row(filters[:, k], 3) for k in range(len(places)))
        self._embedding, self._width = row(embedding, 1), width
        self._into, self._biases = tuple(into), tuple(biases)

    def room(self, atoms: int) -> list[np.ndarray]:
        """Memory for so many atoms."""
        shapes = _equivariant.kept_shapes([_all(atoms)], len(self._tables), self._embedding.shape[1])
        return [_kernels.zeros(shape, np.float32) for shape in shapes]

    def features(
        self, numbers: np.ndarray, positions: np.ndarray, pairs: Sequence[np.ndarray], room: list[np.ndarray]
    ) -> np.ndarray:
        """Atoms' scalar features after all layers, [A, F]; `pairs` are first and second atoms, and distances."""
        given = self._embedding, numbers, positions, self._tables, self._into, self._biases, _EPSILON, pairs
        x = _equivariant.interact(self.way, *given, [_all(len(numbers), len(pairs[0]))], self._end, room)
        return np.ascontiguousarray(x[:, : self._width])


class _Readout:
    """SchNetPack's `Atomwise` of two layers, summed over each molecule's atoms."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray]) -> None:
        self._way = way
        output, self._bias = _weights(state, "1"), state["1.bias"].item()
        given = _weights(state, "0").T, state["0.bias"][None], output
        self._into, self._biases, (self._output,) = (_kernels.padded(way, array) for array in given)

    def energies(self, x: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Each molecule's, float32 [M], whose atoms begin at `offsets`, int64 [M + 1]."""
        shares = np.array([0, len(offsets) - 1])
        given = x, offsets, self._into, self._biases, self._output, shares
        total, _, _ = _kernels.energies(self._way, *given)
        return total + np.diff(offsets).astype(np.float32) * self._bias


_PAINN_LAYERS = (
    "interactions.{}.interatomic_context_net.0",
    "interactions.{}.interatomic_context_net.1",
    "mixing.{}.mu_channel_mix",
    "mixing.{}.intraatomic_context_net.0",
    "mixing.{}.intraatomic_context_net.1",
)


def _below(state: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays of a part of the model, by their names in it."""
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}


def _places(state: Mapping[str, np.ndarray], name: str) -> range:
    """Of the modules in a list."""
    return range(len({key.split(".")[1] for key in state if key.startswith(f"{name}.")}))


def _weights(state: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return np.array(state[f"{name}.weight"], np.float32)


def _all(atoms: int, pairs: int = 0) -> np.ndarray:
    """One block with all atoms and pairs, as the loops need it."""
    return np.array([[0, 0], [atoms, pairs]])


def _grid(state: Mapping[str, np.ndarray], kind: choice.Kind, end: float) -> tuple[np.ndarray, np.ndarray, float]:
    """As `tables.grid`: Gaussians [K + 1, G], cosine cut-off [K + 1], and the last distance, rounded as distances are.

    From Gaussians' tails that no sum notices come products that some processors take long for: they are zeros.
    """
    widths, offsets, reach = (
        state[name] for name in ("radial_basis.widths", "radial_basis.offsets", "cutoff_fn.cutoff")
    )
    intervals = number_of_intervals(INTERVALS_PER_GAUSSIAN[kind], len(offsets), end, reach.item())
    distances = np.linspace(0, end, intervals + 1).astype(np.float32)
    basis = np.exp(-0.5 / widths**2 * (distances[:, None] - offsets) ** 2)
    basis[basis < _SMALLEST] = 0
    cutoff = 0.5 * (np.cos(distances * np.pi / reach) + 1) * (distances < reach)
    return basis, cutoff, float(np.float32(end))
