"""What an experiment is: its parameters, and the arms that they mean."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from analysis.data.molecules import Molecules
from analysis.runs import selection
from analysis.runs.arms import Arm
from analysis.runs.config import Profile, RunConfig, adjust, apply_profile
from analysis.runs.devices import Device
from analysis.study.parameters import NotebookParameters, refused

MODEL_SEEDS = (0, 1, 2, 3, 4)
"""The seeds of the models "Default" and "Custom" where they stand for themselves.

What is compared with them has the first three, and is compared seed by seed: the error per atom that a training ends
with differs so much between seeds that a mean over other seeds would decide the comparison.
"""
POSITIVE_INTEGER = "a positive whole number, or None for the profile's"


class ExperimentParameters(NotebookParameters):
    """What every experiment's notebook can be asked for."""

    experiment: ClassVar[str]
    profile: Profile = Field("full", description='"smoke", "quick" or "full"')
    seeds: list[NonNegativeInt] = Field([0, 1, 2], min_length=1, description="at least one, each once")
    epochs: PositiveInt | None = Field(None, description=POSITIVE_INTEGER)
    learning_rate: PositiveFloat | None = Field(None, description="a positive number, or None for the profile's")
    batch_size: PositiveInt | None = Field(None, description=POSITIVE_INTEGER)
    device: Device = Field("auto", description='"auto", "cpu" or "cuda"')

    @field_validator("*", mode="after")
    @classmethod
    def _each_once(cls, value: object) -> object:
        if isinstance(value, list) and len(set(value)) != len(value):
            raise ValueError(f"a value is given twice: {value}")
        return value

    @abstractmethod
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        """The experiment's arms on the database `molecules`, and the run of each with this seed."""

    def by_arm(self, molecules: Molecules) -> dict[Arm, list[RunConfig]]:
        """The runs of each arm, one per seed that has it.

        Raises ParameterError if one of them could not be trained: a weight that is undefined, a selection that leaves
        no molecule, or fewer than the profile draws from it, a batch larger than the training set.
        """
        found: dict[Arm, list[RunConfig]] = {}
        try:
            for seed in self.seeds:
                for arm, config in self.arms(seed, molecules).items():
                    found.setdefault(arm, []).append(config)
            _check_batches({config for configs in found.values() for config in configs}, molecules)
        except ValueError as error:
            raise refused(self, error) from error
        return found

    def configs(self, molecules: Molecules) -> list[RunConfig]:
        """The runs of all arms, each once, seed by seed; errors are those of `by_arm`."""
        return each_once(self.by_arm(molecules))

    def run(self, seed: int, *, experiment: str | None = None, **parts: object) -> RunConfig:
        """The model Default but for `parts`, in the profile asked for; the record may lie with another experiment."""
        config = adjust(RunConfig(experiment=experiment or self.experiment, seed=seed), **parts)
        asked = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size}
        return adjust(apply_profile(config, self.profile), training=asked)

    def default(self, seed: int) -> RunConfig:
        """The baseline's run with these settings, which experiments are compared with."""
        return self.run(seed, experiment="baseline")


def each_once(by_arm: Mapping[Arm, Sequence[RunConfig]]) -> list[RunConfig]:
    """The runs of arms, each once, seed by seed."""
    return seed_by_seed(dict.fromkeys(config for configs in by_arm.values() for config in configs))


def seed_by_seed(configs: Collection[RunConfig]) -> list[RunConfig]:
    """The same runs, first all those of the seed that comes first: a study that is stopped early has whole seeds."""
    seeds = list(dict.fromkeys(config.seed for config in configs))
    return sorted(configs, key=lambda config: seeds.index(config.seed))


def matched_updates(config: RunConfig, reference: RunConfig, molecules: Molecules) -> RunConfig:
    """`config` with as many epochs as bring it nearest to the number of updates that `reference` makes."""
    updates = reference.training.epochs * steps_per_epoch(reference, molecules)
    epochs = max(1, round(updates / steps_per_epoch(config, molecules)))
    return adjust(config, training={"epochs": epochs})


def steps_per_epoch(config: RunConfig, molecules: Molecules) -> int:
    """How many updates an epoch over a run's training molecules makes."""
    return -(-len(selection.training_part(molecules, config.data)) // config.training.batch_size)


def work(config: RunConfig, molecules: Molecules) -> float:
    """How long a run takes next to others, in any unit: per molecule, and per step for what doesn't grow with it."""
    chosen = len(selection.training_part(molecules, config.data))
    per_molecule = 1 + (config.model.n_atom_basis / 64) ** 2
    if config.model.representation == "painn":
        per_molecule *= 2.5
    # an epoch of fine-tuning counts as one over all molecules: more than it takes
    return config.epochs * (chosen * per_molecule + 60 * steps_per_epoch(config, molecules))


def _check_batches(configs: Collection[RunConfig], molecules: Molecules) -> None:
    """Raise ValueError for a run without molecules to train on, or with fewer than a batch."""
    sizes = {data: len(selection.training_part(molecules, data)) for data in {config.data for config in configs}}
    for config in configs:
        batch, there = config.training.batch_size, sizes[config.data]
        if batch > there:
            raise ValueError(f"batch_size {batch:,} is larger than the {there:,} training molecules")
