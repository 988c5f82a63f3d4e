"""Every run of every experiment: which runs a notebook's parameters mean, and their records.

The experiments are those of the report, section 5.3, each with the controls that tell its effect from others'. Like the
report's baseline, all of them train the model "Default" and change one thing; only the final comparison has a second
model.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from tqdm import tqdm

from analysis import runs, training
from analysis.config import Loss, Profile, RunConfig, Selection, adjust, apply_profile
from analysis.molecules import Molecules
from analysis.parameters import NotebookParameters
from analysis.weights import DEFAULT_FLOOR

PROFILE = '"smoke", "quick" or "full"'
_POSITIVE_INTEGER = "a positive whole number, or None for the profile's"

CUSTOM = {
    "model": {"n_atom_basis": 38, "data_cutoff": 4.0, "training_cutoff": 5.0},
    "training": {"batch_size": 128, "learning_rate": 1e-4, "epochs": 30},
    "loss": {"weighting": "size", "rate": 10.0},
}
"""The model "Custom" of the report's final experiment, but for its training molecules: those of more than 17 atoms."""


class ExperimentParameters(NotebookParameters):
    """What every experiment's notebook can be asked for."""

    experiment: ClassVar[str]
    profile: Profile = Field("full", description=PROFILE)
    seeds: list[NonNegativeInt] = Field([0, 1, 2], min_length=1, description="at least one, each once")
    epochs: PositiveInt | None = Field(None, description=_POSITIVE_INTEGER)
    learning_rate: PositiveFloat | None = Field(None, description="a positive number, or None for the profile's")
    batch_size: PositiveInt | None = Field(None, description=_POSITIVE_INTEGER)

    @field_validator("*", mode="after")
    @classmethod
    def _each_once(cls, value: object) -> object:
        if isinstance(value, list) and len(set(value)) != len(value):
            raise ValueError(f"a value stands there twice: {value}")
        return value

    def configs(self, molecules: Molecules) -> list[RunConfig]:
        """The runs that these parameters mean on the database `molecules`, each once."""
        found = [config for seed in self.seeds for config in self._runs(seed, molecules)]
        return list(dict.fromkeys(found))

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        """The runs of one seed."""
        raise NotImplementedError

    def _run(self, seed: int, *, experiment: str | None = None, **parts: object) -> RunConfig:
        """The model "Default" but for `parts`, in the profile asked for."""
        config = adjust(RunConfig(experiment=experiment or self.experiment, seed=seed), **parts)
        asked = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size}
        return adjust(apply_profile(config, self.profile), training=asked)


class BaselineParameters(ExperimentParameters):
    """Parameters of `03_baseline`: the model "Default", trained on the whole training part (section 5.3.1)."""

    experiment = "baseline"

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        yield self._run(seed)


class BalancingParameters(ExperimentParameters):
    """Parameters of `04_balancing`: at most so many molecules of each size (section 5.3.2).

    Two controls per cap: as many molecules drawn at random, and the capped set trained for as many updates as the
    baseline makes (to the nearest whole epoch).
    """

    experiment = "balancing"
    caps: list[PositiveInt] = Field([2000, 4000, 6000], min_length=1, description="positive whole numbers, each once")
    controls: bool = Field(default=True, description="True or False")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        for cap in self.caps:
            capped = self._run(seed, data={"selection": Selection(cap_per_size=cap)})
            yield capped
            if self.controls:
                yield self._run(seed, data={"selection": Selection(cap_per_size=cap, random_control=True)})
                yield matched_updates(capped, self._run(seed), molecules)


class LossModificationParameters(ExperimentParameters):
    """Parameters of `05_loss_modification`: weighted losses on molecules of 13 to 23 atoms (section 5.3.4).

    `rates` are those of the report's two formulas (0 is the unmodified loss), `alphas` the exponents of the inverse
    frequency; an empty list leaves the function out. `floor` guards the two formulas where they are undefined or small;
    None switches the guard off.
    """

    experiment = "loss-modification"
    weightings: list[str] = Field(
        ["size", "size-frequency"], description='out of "size" and "size-frequency", each once; or an empty list'
    )
    rates: list[NonNegativeFloat] = Field(
        [0, 2, 4, 6, 8, 10], min_length=1, description="numbers of 0 or more, at least one, each once"
    )
    alphas: list[PositiveFloat] = Field([0.5, 1.0], description="positive numbers, each once; or an empty list")
    floor: NonNegativeFloat | None = Field(DEFAULT_FLOOR, description="a number of 0 or more, or None for no guard")
    smallest: PositiveInt = Field(13, description="a number of atoms")
    largest: PositiveInt = Field(23, description="a number of atoms, at least `smallest`")

    @field_validator("weightings")
    @classmethod
    def _known(cls, weightings: list[str]) -> list[str]:
        if unknown := sorted(set(weightings) - {"size", "size-frequency"}):
            raise ValueError(f"no such weighting: {', '.join(unknown)}")
        return weightings

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        selection = Selection(smallest=self.smallest, largest=self.largest)
        losses = [
            Loss(weighting=weighting, rate=float(rate), floor=self.floor) if rate else Loss()
            for weighting in self.weightings
            for rate in self.rates
        ]
        losses += [Loss(weighting="inverse-frequency", rate=float(alpha)) for alpha in self.alphas]
        for loss in losses:
            config = self._run(seed, data={"selection": selection}, loss=loss)
            # An undefined weight is said before anything is trained.
            training.loss_weights(loss, molecules.n_atoms[training.training_part(molecules, config.data)])
            yield config


class DirectedTrainingParameters(ExperimentParameters):
    """Parameters of `06_directed_training`: only molecules of more than 17 atoms (section 5.3.4).

    The control trains on as many molecules drawn at random.
    """

    experiment = "directed-training"
    more_than: list[PositiveInt] = Field([17], min_length=1, description="numbers of atoms, each once")
    controls: bool = Field(default=True, description="True or False")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        for atoms in self.more_than:
            yield self._run(seed, data={"selection": Selection(smallest=atoms + 1)})
            if self.controls:
                yield self._run(seed, data={"selection": Selection(smallest=atoms + 1, random_control=True)})


class FinalComparisonParameters(ExperimentParameters):
    """Parameters of `07_final_comparison`: "Default" against "Custom" (section 5.3.4 of the report, the last).

    The runs of "Default" are the baseline's, and lie with them.
    """

    experiment = "final-comparison"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        yield self._run(seed, experiment=BaselineParameters.experiment)
        yield self._run(seed, data={"selection": Selection(smallest=18)}, **CUSTOM)


EXPERIMENTS: dict[str, type[ExperimentParameters]] = {
    parameters.experiment: parameters
    for parameters in (
        BaselineParameters,
        BalancingParameters,
        LossModificationParameters,
        DirectedTrainingParameters,
        FinalComparisonParameters,
    )
}
"""The parameters of every experiment, by its name, in the order of the report."""


def matched_updates(config: RunConfig, reference: RunConfig, molecules: Molecules) -> RunConfig:
    """`config` with as many epochs as bring it nearest to the number of updates that `reference` makes."""
    updates = reference.training.epochs * _steps_per_epoch(reference, molecules)
    epochs = max(1, round(updates / _steps_per_epoch(config, molecules)))
    return adjust(config, training={"epochs": epochs})


def work(config: RunConfig, molecules: Molecules) -> float:
    """How long a run takes next to others, in any unit: per molecule, and per step for what doesn't grow with it."""
    chosen = len(training.training_part(molecules, config.data))
    per_molecule = 1 + (config.model.n_atom_basis / 64) ** 2
    return config.training.epochs * (chosen * per_molecule + 60 * _steps_per_epoch(config, molecules))


def _steps_per_epoch(config: RunConfig, molecules: Molecules) -> int:
    return -(-len(training.training_part(molecules, config.data)) // config.training.batch_size)


def load_or_train(
    parameters: ExperimentParameters, molecules: Molecules, *, results: Path | None = None
) -> list[runs.Record]:
    """The records of an experiment's runs, in order; a progress bar counts them if one of them has to be trained.

    `results` is where records lie, by default `runs.results_folder()`; errors are those of `runs.load_or_train`.
    """
    configs = parameters.configs(molecules)
    results = results or runs.results_folder()
    data = molecules.fingerprint()
    recorded = [(results / config.experiment / config.run_id(data)).exists() for config in configs]
    bar = tqdm(configs, desc="runs", unit="run", disable=all(recorded))
    return [
        runs.load_or_train(config, molecules, results=results, progress=not done)
        for config, done in zip(bar, recorded, strict=True)
    ]
