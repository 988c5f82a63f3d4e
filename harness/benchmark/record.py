"""The record of the benchmark: what was measured, read and checked, and what follows from it.

`python -m harness.benchmark` writes the record; nothing is measured here. Ways of training the same network are told
apart by name (`CONTESTANTS`); every ratio is taken between measurements of one repeat, which follow each other closely,
so that a machine that slows down for a while hits both sides. A `Spread` is the median over repeats with the lowest and
the highest.
"""

import os
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from analysis.data.errors import UserError
from analysis.runs.measured import Frozen, Git, read
from analysis.runs.records import results_folder
from analysis.training.repetition import Repetition
from harness.machine import Machine

SCHEMA_VERSION = 2

Variant = Literal["schnetpack", "accelerated", "half_list", "in_memory"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
"""(a) stock SchNetPack; with `fused.accelerate`; with the half list, too; with the data kept in memory, too."""

Contestant = Literal[Variant, "packed", "geometric", "ours"]
CONTESTANTS: tuple[Contestant, ...] = get_args(Contestant)
"""(a) and its variants, (b) its modules fed by packed batches, (c) PyTorch Geometric, (d) this compendium."""

GIGABYTE = 10**9


class BenchmarkError(UserError, RuntimeError):
    """There is no record, or one that can't be trusted; the message names the file and what to do."""


class Settings(Frozen):
    """What was asked for.

    Distances in Å. Each measurement leaves out its first `warm_up` steps and goes on until it has seen at least
    `min_steps` steps and `seconds` seconds. `quick` marks a check that the benchmark runs, which is no result.
    `variants` are the widths and batches at which all of VARIANTS are measured; elsewhere the first two are. (Old
    records have none of them but the first.)
    """

    quick: bool
    repeats: PositiveInt
    seconds: PositiveFloat
    min_steps: PositiveInt
    warm_up: PositiveInt
    widths: tuple[PositiveInt, ...] = Field(min_length=1)
    batches: tuple[PositiveInt, ...] = Field(min_length=1)
    variants: tuple[tuple[PositiveInt, PositiveInt], ...] = ()
    molecules: PositiveInt
    cutoff: PositiveFloat = 5.0
    n_interactions: PositiveInt = 3
    n_rbf: PositiveInt = 20
    learning_rate: PositiveFloat = 1e-3
    seed: int = 0
    workers: PositiveInt = 2
    scaling: tuple[PositiveInt, ...] = Field(min_length=1)
    scaling_schnetpack: tuple[PositiveInt, ...] = ()
    scaling_width: PositiveInt = 38
    scaling_batch: PositiveInt = 512
    full_molecules: PositiveInt | None = None
    full_epochs: PositiveInt = 22


class Steps(Frozen):
    """One measurement: a fresh process that trains for a while.

    `molecules` were trained on in `seconds` of wall time, in `steps` steps, data loading included; `step_seconds` is
    the median of a step, from the end of one to the end of the next in the same epoch. `first_batch` and `first_step`
    are the seconds from the end of the imports to the first batch in hand and to the end of the first step. `memory`
    is the highest resident memory of the process and `workers_memory` the memory that belongs to its data-loader
    workers alone, at the end; `imports_memory` is the process's resident memory once everything was imported (all in
    bytes).
    Losses are of the first and the last step, eV². `way` is how our loops worked (`fused.choice`), "" where they did
    not work and in old records.
    """

    contestant: Contestant
    width: PositiveInt
    batch: PositiveInt
    repeat: int = Field(ge=0)
    molecules: PositiveInt
    seconds: PositiveFloat
    steps: PositiveInt
    step_seconds: PositiveFloat
    first_batch: PositiveFloat
    first_step: PositiveFloat
    memory: PositiveInt
    workers_memory: int = Field(ge=0)
    imports_memory: PositiveInt
    parameters: PositiveInt
    first_loss: NonNegativeFloat
    last_loss: NonNegativeFloat
    way: str = ""

    @property
    def rate(self) -> float:
        """Molecules trained on per second."""
        return self.molecules / self.seconds

    @property
    def whole_memory(self) -> int:
        """Memory of the process and its workers, bytes."""
        return self.memory + self.workers_memory


class Floor(Frozen):
    """The least that a step of `width` features and `batch` molecules can take on this machine, see `seconds`.

    A batch has `atoms` atoms and `pairs` pairs nearer than the cut-off, each counted once (means over the molecules).
    `products` is the time of the dense products, s, and `product_multiply_adds` what they compute; `multiply_adds` and
    `moved` (bytes) are what the convolutions must compute and move, at `multiply_add_rate` (1/s) and `copy_rate`
    (bytes/s).
    """

    width: PositiveInt
    batch: PositiveInt
    repeat: int = Field(ge=0)
    atoms: PositiveFloat
    pairs: PositiveFloat
    products: PositiveFloat
    product_multiply_adds: PositiveFloat
    multiply_adds: PositiveFloat
    multiply_add_rate: PositiveFloat
    moved: PositiveFloat
    copy_rate: PositiveFloat

    @property
    def arithmetic(self) -> float:
        """Seconds for the convolutions' multiply-adds."""
        return self.multiply_adds / self.multiply_add_rate

    @property
    def traffic(self) -> float:
        """Seconds for the convolutions' bytes."""
        return self.moved / self.copy_rate

    @property
    def seconds(self) -> float:
        """Seconds per step: the dense products, and the slower of the convolutions' arithmetic and traffic.

        The products were timed with what they read and write; a convolution can compute while it moves data, so only
        the larger of its two terms counts. Left out: the filter network, activation functions, the optimiser, data
        loading and Python.
        """
        return self.products + max(self.arithmetic, self.traffic)

    @property
    def peak(self) -> float:
        """Seconds for all multiply-adds, the dense products' too, at the rate of a large product: no floor is lower."""
        return (self.product_multiply_adds + self.multiply_adds) / self.multiply_add_rate


class Scaling(Frozen):
    """One training on `molecules` molecules, in seconds.

    `load` reads the molecules; `prepare` finds pairs and packs (for SchNetPack: opens the database, its statistics, up
    to the first batch); `epoch` is one epoch, the second where there are two.
    """

    contestant: Contestant
    molecules: PositiveInt
    repeat: int = Field(ge=0)
    load: NonNegativeFloat
    prepare: NonNegativeFloat
    epoch: PositiveFloat


class Full(Frozen):
    """A whole run through `runs.load_or_train`: peak memory (bytes), last validation loss (eV²).

    `phases` holds the wall time of each phase, s: `load` for reading the molecules, and those of the run's own record.
    """

    molecules: PositiveInt
    validation: PositiveInt
    epochs: PositiveInt
    width: PositiveInt
    batch: PositiveInt
    phases: dict[str, NonNegativeFloat]
    memory: PositiveInt
    validation_loss: NonNegativeFloat

    @property
    def seconds(self) -> float:
        """Wall time from reading the molecules to the record."""
        return sum(self.phases.values())


class Turns(Frozen):
    """Steps of (d), and of the same model, batches and optimiser in a loop of four lines, by turns in one process.

    `with_lightning` and `bare` are the medians of `steps` steps each, s.
    """

    width: PositiveInt
    batch: PositiveInt
    repeat: int = Field(ge=0)
    steps: PositiveInt
    with_lightning: PositiveFloat
    bare: PositiveFloat


class Lightning(Frozen):
    """What Lightning costs; it can be measured again by itself, so that it names the code by its own commit."""

    git: Git | None
    turns: tuple[Turns, ...] = Field(min_length=1)


class Benchmark(Frozen):
    """The whole record."""

    schema_version: Literal[2] = SCHEMA_VERSION
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    settings: Settings
    neighbour_list: str
    steps: tuple[Steps, ...] = Field(min_length=1)
    floor: tuple[Floor, ...] = Field(min_length=1)
    scaling: tuple[Scaling, ...] = Field(min_length=1)
    full: Full
    lightning: Lightning


class Trial(Frozen):
    """The step of one network (forward and backward, without optimiser and loading) in one way of working.

    `seconds` is processor time, all threads together: the least of the repeats, in which all ways took turns. `chosen`
    marks the way that this machine had chosen.
    """

    network: Literal["schnet", "painn"]
    width: PositiveInt
    batch: PositiveInt
    way: str
    seconds: PositiveFloat
    chosen: bool


class _Measured(Frozen):
    """What was measured where and with what: the head of the records of one machine."""

    schema_version: Literal[1] = 1
    machine: Machine
    versions: dict[str, str]
    git: Git | None
    repeats: PositiveInt


class Ways(_Measured):
    """What choosing a way of working is worth on one machine; `load` is the machine's load average at its highest."""

    load: NonNegativeFloat
    trials: tuple[Trial, ...] = Field(min_length=1)


class ForceStep(Frozen):
    """Energies and forces with one network, as SchNetPack has it and accelerated, by turns.

    Training is a step without optimiser and loading: forward, forces, and the gradient of a loss of both; prediction is
    energies and forces. The network has `n_interactions` interactions of `width` features. `molecules` of `atoms` atoms
    go together. Seconds of processor time, all threads together: the least of each repeat.
    """

    network: Literal["schnet", "painn"]
    work: Literal["training", "prediction"]
    width: PositiveInt
    n_interactions: PositiveInt
    atoms: PositiveInt
    molecules: PositiveInt
    schnetpack: tuple[PositiveFloat, ...] = Field(min_length=1)
    accelerated: tuple[PositiveFloat, ...] = Field(min_length=1)

    def gain(self) -> "Spread":
        """How many times faster the accelerated one is, repeat by repeat."""
        return Spread.over(stock / ours for stock, ours in zip(self.schnetpack, self.accelerated, strict=True))


class ForceTimes(_Measured):
    """What forces cost on one machine; `load` is the machine's load average at its highest."""

    load: NonNegativeFloat
    steps: tuple[ForceStep, ...] = Field(min_length=1)


class Program(Frozen):
    """One of SchNetPack's own programs: its tutorial on QM9, or `spktrain` with its experiment on QM9.

    The network has `n_interactions` interactions of `width` features. Each epoch trains on `train` molecules, `workers`
    processes reading them in batches of `batch`, and validates on `validation` others.
    """

    program: Literal["tutorial", "spktrain"]
    network: Literal["schnet", "painn"]
    width: PositiveInt
    n_interactions: PositiveInt
    batch: PositiveInt
    workers: PositiveInt
    train: PositiveInt
    validation: PositiveInt


class Training(Frozen):
    """One training with a program, in a process of its own, in seconds of wall time.

    `first` is the first epoch, which also loads the compiled loops; `epochs` are the later ones, validation included.
    `validation_loss` is the last, eV². Trainings of one program and repeat have the same seed.
    """

    program: Literal["tutorial", "spktrain"]
    network: Literal["schnet", "painn"]
    contestant: Variant
    repeat: int = Field(ge=0)
    first: PositiveFloat
    epochs: tuple[PositiveFloat, ...] = Field(min_length=1)
    validation_loss: NonNegativeFloat


class Programs(_Measured):
    """SchNetPack's own programs on one machine, in all variants; `quick` as in `Settings`."""

    quick: bool
    programs: tuple[Program, ...] = Field(min_length=1)
    trainings: tuple[Training, ...] = Field(min_length=1)


class Spread(NamedTuple):
    """The median over repeats, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> Self | None:
        """The spread of some values; None of none."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found)) if found else None


class Bar(NamedTuple):
    """One demand: `measured` is to be at least `demand`, or at most, as `at_most` says.

    `kind` is the contestant that we are to be faster than (by a factor), "floor" (times its duration), "lightning" (a
    share of the step) or "memory" (GB); the last has no width and batch.
    """

    kind: Literal["schnetpack", "geometric", "floor", "lightning", "memory"]
    demand: float
    at_most: bool
    measured: Spread | None
    width: int | None = None
    batch: int | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the demand; None where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured.median <= self.demand if self.at_most else self.measured.median >= self.demand


def default_path() -> Path:
    """Where the record that the book shows lies."""
    return results_folder() / "benchmark" / "benchmark.json"


def load(path: str | os.PathLike[str] | None = None) -> Benchmark:
    """Read the record (by default the one that the book shows) and check it.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    return read(Path(path or default_path()), Benchmark, BenchmarkError, "make bench")


class GpuStep(Frozen):
    """A training on a GPU for a while: how many `molecules` in how many `seconds` of wall time.

    `layers` are "schnetpack" for SchNetPack as it is, data loading included; "stock" for its modules and "fused" for
    ours, both fed by packed batches.
    """

    network: Literal["schnet", "painn"]
    layers: Literal["schnetpack", "stock", "fused"]
    width: PositiveInt
    batch: PositiveInt
    repeat: int = Field(ge=0)
    molecules: PositiveInt
    seconds: PositiveFloat


class GpuCheck(Frozen):
    """What `make gpu-check` found on the GPU `device`: recorded runs trained again there, and how fast it trains."""

    machine: Machine
    device: str
    versions: dict[str, str]
    git: Git | None
    agreement: tuple[Repetition, ...]
    steps: tuple[GpuStep, ...]

    @property
    def agrees(self) -> bool:
        """Whether every run that was trained again is within the tolerance."""
        return all(one.within_tolerance for one in self.agreement)

    def rate(self, network: str, layers: str, width: int, batch: int) -> float | None:
        """Molecules per second, the median over repeats; None if that was not measured."""
        sizes = (network, layers, width, batch)
        found = [one for one in self.steps if (one.network, one.layers, one.width, one.batch) == sizes]
        return statistics.median(one.molecules / one.seconds for one in found) if found else None


def load_gpu(folder: str | os.PathLike[str] | None = None) -> list[GpuCheck]:
    """The records of `make gpu-check`, by default the book's: one per card, by file name.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    found = sorted(Path(folder or default_path().parent).glob("gpu-*.json"))
    return [read(path, GpuCheck, BenchmarkError, "make gpu-check") for path in found]


class WorkerTurn(Frozen):
    """So many workers at once, and the wall time from the start of the first to the end of the last, s."""

    workers: PositiveInt
    repeat: int = Field(ge=0)
    seconds: PositiveFloat


class WorkerTimes(Frozen):
    """The same `runs` with one worker and with two; `load` is that of the machine before."""

    machine: Machine
    versions: dict[str, str]
    git: Git | None
    profile: str
    runs: PositiveInt
    load: NonNegativeFloat
    turns: tuple[WorkerTurn, ...]

    @property
    def gain(self) -> float:
        """How many times as fast two workers are as one, the median over repeats."""
        seconds = {(one.workers, one.repeat): one.seconds for one in self.turns}
        repeats = {one.repeat for one in self.turns}
        return statistics.median(seconds[1, repeat] / seconds[2, repeat] for repeat in repeats)


def load_workers(folder: str | os.PathLike[str] | None = None) -> list[WorkerTimes]:
    """The records of `python -m harness.benchmark workers`, by default the book's: one per machine, by file name.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    found = sorted(Path(folder or default_path().parent).glob("workers-*.json"))
    return [read(path, WorkerTimes, BenchmarkError, "python -m harness.benchmark workers") for path in found]


def load_ways(folder: str | os.PathLike[str] | None = None) -> list[Ways]:
    """The records of `python -m harness.benchmark ways`, by default the book's: one per machine, by file name.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    found = sorted(Path(folder or default_path().parent).glob("ways-*.json"))
    return [read(path, Ways, BenchmarkError, "python -m harness.benchmark ways") for path in found]


def load_force_times(folder: str | os.PathLike[str] | None = None) -> list[ForceTimes]:
    """The records of `python -m harness.benchmark forces`, by default the book's: one per machine, by file name.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    found = sorted(Path(folder or default_path().parent).glob("forces-*.json"))
    return [read(path, ForceTimes, BenchmarkError, "python -m harness.benchmark forces") for path in found]


def load_programs(folder: str | os.PathLike[str] | None = None) -> list[Programs]:
    """The records of `python -m harness.benchmark tutorial`, by default the book's: one per machine, by file name.

    Raises BenchmarkError, which names the file and what is wrong with it.
    """
    found = sorted(Path(folder or default_path().parent).glob("tutorial-*.json"))
    return [read(path, Programs, BenchmarkError, "python -m harness.benchmark tutorial") for path in found]


def epoch(record: Programs, program: Program, contestant: str, which: Literal["first", "later"]) -> Spread | None:
    """Seconds of the first epoch, or the median of the later ones, over repeats; None if it was not measured."""
    return Spread.over(_epochs(record, program, contestant, which).values())


def gain(record: Programs, program: Program, contestant: str, which: Literal["first", "later"]) -> Spread | None:
    """How many times faster the first epoch, or the later ones, are than stock SchNetPack's, repeat by repeat."""
    stock, other = (_epochs(record, program, name, which) for name in ("schnetpack", contestant))
    return Spread.over(stock[repeat] / other[repeat] for repeat in sorted(stock.keys() & other))


def loss_difference(record: Programs) -> float:
    """The largest difference, as a share, between a validation loss and stock SchNetPack's in the same repeat."""
    losses = {(one.program, one.network, one.repeat, one.contestant): one.validation_loss for one in record.trainings}
    return max(abs(loss / losses[*key, "schnetpack"] - 1) for (*key, _), loss in losses.items())


def _epochs(record: Programs, program: Program, contestant: str, which: str) -> dict[int, float]:
    found = (one for one in record.trainings if (one.program, one.network) == (program.program, program.network))
    return {
        one.repeat: one.first if which == "first" else statistics.median(one.epochs)
        for one in found
        if one.contestant == contestant
    }


def spread(record: Benchmark, contestant: str, quantity: str, *, width: int, batch: int) -> Spread | None:
    """A quantity of `Steps`, such as "rate" or "first_batch", over repeats; None if it was not measured."""
    return Spread.over(getattr(one, quantity) for one in _steps(record, contestant, width, batch).values())


def ratio(record: Benchmark, contestant: str, other: str, *, width: int, batch: int) -> Spread | None:
    """How many times faster one contestant is than another, repeat by repeat."""
    return _compare(record, contestant, other, width, batch, lambda one, two: one.rate / two.rate)


def over_floor(record: Benchmark, *, width: int, batch: int) -> Spread | None:
    """Time of our step (all in: wall time over full batches' worth of molecules) over the floor's, by repeat."""
    floors = {one.repeat: one for one in record.floor if (one.width, one.batch) == (width, batch)}
    ours = _steps(record, "ours", width, batch)
    return Spread.over(batch / ours[repeat].rate / floors[repeat].seconds for repeat in sorted(floors.keys() & ours))


def lightning_share(record: Benchmark, *, width: int, batch: int) -> Spread | None:
    """What Lightning adds to the median step of a bare loop, as a share of that step (0.1 is 10 %), by repeat."""
    turns = [one for one in record.lightning.turns if (one.width, one.batch) == (width, batch)]
    return Spread.over(one.with_lightning / one.bare - 1 for one in turns)


def bars(record: Benchmark) -> list[Bar]:
    """Every demand made on the speed and memory of training, with what was measured."""

    def faster_than(other: Literal["schnetpack", "geometric"], demand: float, width: int, batch: int) -> Bar:
        measured = ratio(record, "ours", other, width=width, batch=batch)
        return Bar(other, demand, at_most=False, measured=measured, width=width, batch=batch)

    def at_most(kind: Literal["floor", "lightning"], demand: float, width: int, batch: int) -> Bar:
        compare = {"floor": over_floor, "lightning": lightning_share}[kind]
        measured = compare(record, width=width, batch=batch)
        return Bar(kind, demand, at_most=True, measured=measured, width=width, batch=batch)

    # A run on a part of the training molecules says nothing about the memory that all of them need.
    memory = Spread.over([record.full.memory / GIGABYTE] if record.settings.full_molecules is None else [])
    return [
        faster_than("schnetpack", 25, 38, 512),
        faster_than("geometric", 10, 38, 512),
        faster_than("schnetpack", 12, 128, 512),
        faster_than("schnetpack", 12, 38, 128),
        at_most("floor", 2, 64, 512),
        at_most("lightning", 0.1, 38, 512),
        at_most("lightning", 0.1, 64, 512),
        Bar("memory", 2, at_most=True, measured=memory),
    ]


def _steps(record: Benchmark, contestant: str, width: int, batch: int) -> dict[int, Steps]:
    """Measurements by repeat."""
    return {
        one.repeat: one for one in record.steps if (one.contestant, one.width, one.batch) == (contestant, width, batch)
    }


def _compare(
    record: Benchmark, contestant: str, other: str, width: int, batch: int, how: Callable[[Steps, Steps], float]
) -> Spread | None:
    ones, others = (_steps(record, name, width, batch) for name in (contestant, other))
    return Spread.over(how(ones[repeat], others[repeat]) for repeat in sorted(ones.keys() & others))


def parameters(record: Benchmark, width: int) -> dict[str, int]:
    """Number of parameters of each contestant's network at one width."""
    return {one.contestant: one.parameters for one in record.steps if one.width == width}
