"""SchNetPack's SchNet and PaiNN, evaluated without torch, whose import takes longer than thousands of molecules do."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
from numba import config

from fused import _equivariant, _kernels, _lists, choice
from fused.choice import Way
from fused.fineness import INTERVALS_PER_GAUSSIAN, number_of_intervals

_EPSILON = 1e-8  # what SchNetPack's PaiNN adds to the square of a norm
_WITHOUT_BIAS = ("in2f", "mu_channel_mix")
_SMALLEST = np.sqrt(np.finfo(np.float32).tiny)


class Potential:
    """The energies and forces of a model that SchNetPack trained, from the arrays of its `state_dict` alone.

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
            # Made when forces are asked for; a closure here would keep a potential from being pickled.
            self._finer = partial(_PaiNN, way, layers, min(self._cutoff, reach), finer=2) if kind is _PaiNN else None
            self._readout = _Readout(way, _below(state, "output_modules.0.outnet"), self._network.width)
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
        return self._found(self._network, numbers, positions, n_atoms, None)

    def with_forces(
        self, numbers: np.ndarray, positions: np.ndarray, n_atoms: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Energies, float32 [M], and the force on each atom, float64 [A, 3]: parameters and errors as for a call.

        Forces are minus the energies' slopes, in the model's unit per Å. PaiNN's filters have a table of their own for
        them, with half the step: so energies may differ from a call's in their last digits.
        """
        forces = np.empty((len(numbers), 3))
        return self._found(self._moving, numbers, positions, n_atoms, forces), forces

    @cached_property
    def _moving(self) -> "_SchNet | _PaiNN":
        """The network that forces are asked of; see `painn.FusedPaiNN` for its tables."""
        return self._network if self._finer is None else self._finer()

    def _found(
        self,
        network: "_SchNet | _PaiNN",
        numbers: np.ndarray,
        positions: np.ndarray,
        n_atoms: np.ndarray,
        forces: np.ndarray | None,
    ) -> np.ndarray:
        """Energies; forces are written into what is given for them."""
        numbers, positions = np.array(numbers, np.int64), np.array(positions, np.float64)
        n_atoms = np.array(n_atoms, np.int64)
        starts = np.concatenate([[0], np.cumsum(n_atoms)])
        if (n_atoms < 1).any() or not len(numbers) == len(positions) == starts[-1] or positions.shape[1:] != (3,):
            raise ValueError(
                f"{numbers.shape} numbers and {positions.shape} positions, for {len(n_atoms)} molecules of at least "
                f"one atom each, {starts[-1]} in all"
            )
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < network.elements:
            raise ValueError(f"atomic numbers are 0 to {network.elements - 1}, not {np.unique(numbers).tolist()}")
        if not np.isfinite(positions).all():
            raise ValueError("positions must be finite")
        # Where the molecule's centre is the origin, float32 is fine enough, wherever the molecule is.
        centres = np.add.reduceat(positions, starts[:-1]) / n_atoms[:, None] if len(n_atoms) else positions
        positions -= np.repeat(centres, n_atoms, axis=0)

        work = np.concatenate([[0], np.cumsum(n_atoms * (n_atoms + 1) // 2)])  # atoms, and pairs at most
        cuts = np.unique(np.append(np.searchsorted(work, np.arange(0, work[-1], network.way.block)), len(n_atoms)))
        energies = np.empty(len(n_atoms), np.float32)
        threads = min(self._threads, len(cuts) - 1)

        def share(thread: int) -> None:
            # Each batch in the same memory: fresh one costs as much time as the computation.
            room = network.room(int(np.diff(starts[cuts]).max()))
            for first, last in list(pairwise(cuts))[thread::threads]:
                atoms = slice(starts[first], starts[last])
                offsets = starts[first : last + 1] - starts[first]
                *local, distance, of_molecule = _lists.within(
                    positions[atoms], offsets, float(self._cutoff), np.empty(0, np.int32)
                )
                if not (distance > 0).all():
                    molecule = first + int(np.searchsorted(of_molecule, (distance == 0).argmax(), side="right")) - 1
                    raise ValueError(f"two atoms of molecule {molecule} are at the same place")
                pairs = (*_lists.placed(*local, offsets, of_molecule), distance)
                given = numbers[atoms], positions[atoms]
                x = network.features(*given, pairs, room)
                energies[first:last], kept = self._readout.energies(x, offsets)
                if forces is not None:
                    forces[atoms] = -network.slopes(self._readout.slopes(x, offsets, kept), *given, pairs, room)

        if threads:
            _kernels._each(network.way, share, threads)
        return energies


class _SchNet:
    """The network of `FusedSchNet` for inference; `end` is the last distance of its filters' tables, Å."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray], end: float) -> None:
        self.way = way
        self._embedding = state["embedding.weight"].astype(np.float32)
        self.elements, self.width = self._embedding.shape
        blocks = [_below(state, f"interactions.{k}") for k in range(_number_of(state, "interactions"))]
        basis, cutoff, self._end = _grid(state, "schnet", end)
        self._last = len(cutoff) - 1

        def stacked(*names: str, inputs: int = self.width, back: bool = False) -> np.ndarray:
            """The layers' matrices from input to output, or `back`, of all blocks."""
            found = [[_read(block, f"{name}.weight", self.width, inputs) for name in names] for block in blocks]
            return _kernels.padded(way, np.array(found) if back else np.array(found).swapaxes(-2, -1))

        def biases(*names: str) -> np.ndarray:
            found = [[_bias(block, name, self.width)[None] for name in names] for block in blocks]
            return _kernels.padded(way, np.array(found))

        hidden, output = stacked("filter_network.0", inputs=basis.shape[1]), stacked("filter_network.1")
        of_filters = biases("filter_network.0", "filter_network.1")
        basis = _kernels.padded(way, basis, more_rows=_kernels.ROWS - 1)
        self._tables, _, _ = _kernels.tabulate(way, basis, cutoff, hidden[:, 0], output[:, 0], of_filters, 1)
        layers = "in2f", "f2out.0", "f2out.1"
        self._into, self._back, self._biases = stacked(*layers), stacked(*layers, back=True), biases(*layers)

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

    def slopes(
        self,
        gradient: np.ndarray,
        numbers: np.ndarray,
        positions: np.ndarray,
        pairs: Sequence[np.ndarray],
        room: list[np.ndarray],
    ) -> np.ndarray:
        """The gradient with respect to positions, float64 [A, 3], from that of the features, [A, F]."""
        given = gradient, numbers, positions, self.elements, self._tables, self._last, self._back, pairs
        blocks = [_all(len(numbers), len(pairs[0]))]
        return _kernels.interact_gradients(self.way, *given, blocks, self._end, room, parameters=False)[1]


class _PaiNN:
    """The network of `FusedPaiNN` for inference; `end` is the last distance of its filters' tables, Å."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray], end: float, *, finer: int = 1) -> None:
        self.way = way
        embedding = state["embedding.weight"].astype(np.float32)
        self.elements, self.width = embedding.shape
        width, full = self.width, _kernels.padded_width(way, self.width, embedding.itemsize)
        number = _number_of(state, "interactions")

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

        into, back, biases = [], [], []
        for name, (rows, columns) in zip(_PAINN_LAYERS, _equivariant.PARTS, strict=True):
            layers, shape = [name.format(k) for k in range(number)], (rows * width, columns * width)
            matrices = [widened(_read(state, f"{layer}.weight", *shape), rows, columns) for layer in layers]
            into.append(stacked(matrix.T for matrix in matrices))
            back.append(stacked(iter(matrices)))
            biases.append(stacked(row(_bias(state, layer, shape[0])[None], rows) for layer in layers))
        basis, cutoff, self._end = _grid(state, "painn", end, finer)
        # One network gives the filters of all layers; where they share theirs, it gives one.
        outputs = 3 * width if len(state["filter_net.bias"]) == 3 * width else number * 3 * width
        weight, bias = _read(state, "filter_net.weight", outputs, basis.shape[1]), _bias(state, "filter_net", outputs)
        filters = ((basis @ weight.T + bias) * cutoff[:, None]).reshape(len(basis), -1, 3 * width)
        self._tables = stacked(row(filters[:, k % filters.shape[1]], 3) for k in range(number))
        self._embedding = row(embedding, 1)
        self._into, self._back, self._biases = tuple(into), tuple(back), tuple(biases)

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
        return np.ascontiguousarray(x[:, : self.width])

    def slopes(
        self,
        gradient: np.ndarray,
        numbers: np.ndarray,
        positions: np.ndarray,
        pairs: Sequence[np.ndarray],
        room: list[np.ndarray],
    ) -> np.ndarray:
        """The gradient with respect to positions, float64 [A, 3], from that of the scalar features, [A, F]."""
        full = _kernels.padded(self.way, gradient)
        given = full, numbers, positions, self.elements, self._tables, self._back, pairs
        blocks = [_all(len(numbers), len(pairs[0]))]
        settings = {"parameters": False, "moving": True}
        return _equivariant.interact_gradients(self.way, *given, blocks, self._end, room, **settings)[1]


class _Readout:
    """SchNetPack's `Atomwise` of two layers, summed over each molecule's atoms."""

    def __init__(self, way: Way, state: Mapping[str, np.ndarray], width: int) -> None:
        self._way, hidden = way, len(state["0.bias"])
        given = (
            _read(state, "0.weight", hidden, width).T,
            _bias(state, "0", hidden)[None],
            _read(state, "1.weight", 1, hidden),
        )
        self._into, self._biases, (self._output,) = (_kernels.padded(way, array) for array in given)
        self._back = _kernels.padded(way, given[0].T)
        self._bias = _bias(state, "1", 1)[0]

    def energies(self, x: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each molecule's, float32 [M], whose atoms begin at `offsets`, int64 [M + 1]; and what `slopes` needs."""
        shares = np.array([0, len(offsets) - 1])
        given = x, offsets, self._into, self._biases, self._output, shares
        total, slope, _ = _kernels.energies(self._way, *given)
        return total + np.diff(offsets).astype(np.float32) * self._bias, slope

    def slopes(self, x: np.ndarray, offsets: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """The gradient of the energies' sum with respect to the features, [A, F]."""
        ones, shares = np.ones(len(offsets) - 1, x.dtype), np.array([0, len(offsets) - 1])
        given = ones, x, offsets, self._back, self._output, shares, slope
        return _kernels.energies_gradients(self._way, *given)[0]


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


def _number_of(state: Mapping[str, np.ndarray], name: str) -> int:
    """How many modules a list of them has; raises ValueError if it has none."""
    found = len({key.split(".")[1] for key in state if key.startswith(f"{name}.")})
    if not found:
        raise ValueError(f"no {name}")
    return found


def _read(state: Mapping[str, np.ndarray], name: str, *shape: int) -> np.ndarray:
    """An array in float32; raises ValueError if it is not of this shape, which the compiled loops trust."""
    array = np.asarray(state[name], np.float32)
    if array.shape != shape:
        raise ValueError(f"{name} is of shape {list(array.shape)} and not {list(shape)}")
    return array


def _bias(state: Mapping[str, np.ndarray], layer: str, width: int) -> np.ndarray:
    """Zeros for a layer that has none in SchNetPack."""
    return np.zeros(width, np.float32) if layer.endswith(_WITHOUT_BIAS) else _read(state, f"{layer}.bias", width)


def _all(atoms: int, pairs: int = 0) -> np.ndarray:
    """One block with all atoms and pairs, as the loops need it."""
    return np.array([[0, 0], [atoms, pairs]])


def _grid(
    state: Mapping[str, np.ndarray], kind: choice.Kind, end: float, finer: int = 1
) -> tuple[np.ndarray, np.ndarray, float]:
    """As `tables.grid`, with `finer` times as many intervals.

    Gaussians [K + 1, G], cosine cut-off [K + 1], and the last distance, rounded as distances are.

    From Gaussians' tails that no sum notices come products that some processors take long for: they are zeros.
    """
    offsets, reach = state["radial_basis.offsets"], state["cutoff_fn.cutoff"]
    widths = _read(state, "radial_basis.widths", len(offsets))
    intervals = number_of_intervals(finer * INTERVALS_PER_GAUSSIAN[kind], len(offsets), end, reach.item())
    distances = np.linspace(0, end, intervals + 1).astype(np.float32)
    basis = np.exp(np.float32(-0.5) / widths**2 * (distances[:, None] - offsets.astype(np.float32)) ** 2)
    basis[basis < _SMALLEST] = 0
    cutoff = 0.5 * (np.cos(distances * np.pi / reach) + 1)  # no distance is beyond its reach
    return basis, cutoff.astype(np.float32), float(np.float32(end))
