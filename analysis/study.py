"""Every run of every experiment: which runs a notebook's parameters mean, and their records.

The experiments are those of the report, section 5.3, each with the controls that tell its effect from others'. Like the
report's baseline, all of them train the model "Default" and change one thing; only the final comparison has a second
model.
"""

import os
import sys
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)
from tqdm import tqdm

from analysis import choice, records
from analysis.config import FineTuning, Loss, Profile, RunConfig, Selection, adjust, apply_profile
from analysis.console import in_notebook, one_line
from analysis.failures import CheckpointError, TrainingDivergedError
from analysis.molecules import Molecules
from analysis.parameters import NotebookParameters, check, refused
from analysis.weights import DEFAULT_FLOOR, UNGUARDED

PROFILE = '"smoke", "quick" or "full"'
_POSITIVE_INTEGER = "a positive whole number, or None for the profile's"

CUSTOM = {
    "model": {"n_atom_basis": 38, "data_cutoff": 4.0, "training_cutoff": 5.0},
    "training": {"batch_size": 128, "learning_rate": 1e-4, "epochs": 30},
    "loss": {"weighting": "size", "rate": 10.0},
}
"""The model "Custom" of the report's final experiment, but for its training molecules: those of more than 17 atoms."""


BEYOND = {
    "model": {"representation": "painn", "n_atom_basis": 64, "n_interactions": 3, "n_rbf": 20},
    "training": {
        "optimizer": "soap",
        "batch_size": 128,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "warm_up": 0.05,
        "offsets": "least-squares",
    },
    "loss": {"form": "huber", "huber_delta": 0.1},
}
"""The model "Beyond", chosen on the validation part: how it was found is the experiment `recipe`."""

EPOCHS_OF_BUDGET = MappingProxyType({2: 4, 5: 11, 10: 22, 25: 55, 50: 110, 106: 235})
"""How many epochs of "Beyond" two cores of 2026 do in so many minutes, with a fifth of them to spare.

The last is the thesis's 1 h 46 min.
"""

_MAIN = 25  # minutes: the budget that all seeds get


def _out_of(known: Collection[str], kind: str) -> AfterValidator:
    """A parameter's names must be among the known ones."""

    def checked(names: list[str]) -> list[str]:
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f"no such {kind}: {', '.join(unknown)}")
        return names

    return AfterValidator(checked)


def _known_budget(minutes: int | None) -> int | None:
    if minutes not in (None, *EPOCHS_OF_BUDGET):
        raise ValueError(f"no such budget: {minutes} minutes")
    return minutes


_budget = AfterValidator(_known_budget)


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
        """The runs that these parameters mean on the database `molecules`, each once.

        Raises ParameterError if they mean none that could be trained: a weight that is undefined, a selection that
        leaves no molecule, or fewer than the profile draws from it, a batch larger than the training set.
        """
        try:
            found = [config for seed in self.seeds for config in self._runs(seed, molecules)]
            _check_batches(found, molecules)
        except ValueError as error:
            raise refused(self, error) from error
        return list(dict.fromkeys(found))

    @abstractmethod
    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        """The runs of one seed."""

    def _baseline(self, seed: int) -> RunConfig:
        """The baseline's run with these settings, which experiments are compared with."""
        return self._run(seed, experiment=BaselineParameters.experiment)

    def _run(self, seed: int, *, experiment: str | None = None, **parts: object) -> RunConfig:
        """The model "Default" but for `parts`, in the profile asked for."""
        config = adjust(RunConfig(experiment=experiment or self.experiment, seed=seed), **parts)
        asked = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size}
        return adjust(apply_profile(config, self.profile), training=asked)


class BaselineParameters(ExperimentParameters):
    """Parameters of `03_baseline`: the model "Default", trained on the whole training part (section 5.3.1).

    `worst_of` is the size whose worst-predicted molecules are shown, `in_3d` whether in three dimensions too.
    """

    experiment = "baseline"
    worst_of: PositiveInt | None = Field(None, description="a number of atoms, or None for molecules of any size")
    in_3d: bool = Field(default=False, description="True or False")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        sizes = np.unique(molecules.n_atoms)
        if self.worst_of is not None and self.worst_of not in sizes:
            raise ValueError(f"no molecule has {self.worst_of} atoms; there are some of {', '.join(map(str, sizes))}")
        yield self._run(seed)


class BalancingParameters(ExperimentParameters):
    """Parameters of `04_balancing`: at most so many molecules of each size (section 5.3.2).

    Two controls per cap: as many molecules drawn at random, and the capped set trained for as many updates as the
    baseline makes (to the nearest whole epoch). The baseline's own runs lie with it.
    """

    experiment = "balancing"
    caps: list[PositiveInt] = Field([2000, 4000, 6000], min_length=1, description="positive whole numbers, each once")
    controls: bool = Field(default=True, description="True or False")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        yield self._baseline(seed)
        for cap in self.caps:
            capped = self._run(seed, data={"selection": Selection(cap_per_size=cap)})
            yield capped
            if self.controls:
                yield self._run(seed, data={"selection": Selection(cap_per_size=cap, random_control=True)})
                yield matched_updates(capped, self._baseline(seed), molecules)


class LossModificationParameters(ExperimentParameters):
    """Parameters of `05_loss_modification`: weighted losses on molecules of 13 to 23 atoms (section 5.3.4).

    `rates` are those of the report's two formulas (0 is the unmodified loss, which is always among the runs), `alphas`
    the exponents of the inverse frequency; an empty list leaves the function out. `floor` guards the two formulas where
    they are undefined or small; None switches the guard off.
    """

    experiment = "loss-modification"
    weightings: Annotated[list[str], _out_of(("size", "size-frequency"), "weighting")] = Field(
        ["size", "size-frequency"], description='out of "size" and "size-frequency", each once; or an empty list'
    )
    rates: list[NonNegativeFloat] = Field(
        [0, 2, 4, 6, 8, 10], min_length=1, description="numbers of 0 or more, at least one, each once"
    )
    alphas: list[PositiveFloat] = Field([0.5, 1.0], description="positive numbers, each once; or an empty list")
    floor: NonNegativeFloat | None = Field(DEFAULT_FLOOR, description="a number of 0 or more, or None for no guard")
    smallest: PositiveInt = Field(13, description="a number of atoms")
    largest: PositiveInt = Field(23, description="a number of atoms, at least `smallest`")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        selection = Selection(smallest=self.smallest, largest=self.largest)
        losses = [Loss()]  # which all are compared with
        losses += [
            Loss(weighting=weighting, rate=float(rate), floor=self.floor)
            for weighting in self.weightings
            for rate in self.rates
            if rate
        ]
        losses += [Loss(weighting="inverse-frequency", rate=float(alpha)) for alpha in self.alphas]
        for loss in losses:
            config = self._run(seed, data={"selection": selection}, loss=loss)
            # An undefined weight is said before anything is trained.
            choice.loss_weights(loss, molecules.n_atoms[choice.training_part(molecules, config.data)])
            yield config


class DirectedTrainingParameters(ExperimentParameters):
    """Parameters of `06_directed_training`: only molecules of more than 17 atoms (section 5.3.4).

    Controls: as many molecules drawn at random, and both sets trained for as many updates as the baseline makes (to the
    nearest whole epoch). The runs on all molecules lie with the baseline.
    """

    experiment = "directed-training"
    more_than: list[PositiveInt] = Field([17], min_length=1, description="numbers of atoms, each once")
    controls: bool = Field(default=True, description="True or False")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        yield self._baseline(seed)
        for atoms in self.more_than:
            large = self._run(seed, data={"selection": Selection(smallest=atoms + 1)})
            yield large
            if self.controls:
                control = self._run(seed, data={"selection": Selection(smallest=atoms + 1, random_control=True)})
                yield control
                yield from (matched_updates(each, self._baseline(seed), molecules) for each in (large, control))


class FinalComparisonParameters(ExperimentParameters):
    """Parameters of `07_final_comparison`: "Default" against "Custom" (section 5.3.4 of the report, the last).

    The runs of "Default" are the baseline's, and lie with them.
    """

    experiment = "final-comparison"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        yield self._baseline(seed)
        yield self._run(seed, data={"selection": Selection(smallest=18)}, **CUSTOM)


class DefaultToCustomParameters(ExperimentParameters):
    """The models between "Default" and "Custom", a change more in each, and "Custom" with Default's number of updates.

    The report changes five things at once. Here they are added one after the other, in this order: training molecules
    of more than 17 atoms (the run lies with the directed training), batch size, n_atom_basis, data cut-off, weights
    (which makes the final comparison's Custom).
    """

    experiment = "default-to-custom"

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        default = self._baseline(seed)
        parts = {"data": {"selection": Selection(smallest=18)}}
        yield default
        yield self._run(seed, experiment=DirectedTrainingParameters.experiment, **parts)
        parts["training"] = CUSTOM["training"]
        yield self._run(seed, **parts)
        parts["model"] = {"n_atom_basis": CUSTOM["model"]["n_atom_basis"]}
        yield self._run(seed, **parts)
        parts["model"] = CUSTOM["model"]
        yield self._run(seed, **parts)
        parts["loss"] = CUSTOM["loss"]
        yield self._run(seed, experiment=FinalComparisonParameters.experiment, **parts)
        yield matched_updates(self._run(seed, **parts), default, molecules)


class SensitivityParameters(ExperimentParameters):
    """How much hangs on the split, and on the offsets taken from U0 before training: "Default" and "Custom" once more.

    `offsets` are tried on "Default"; on "Custom" only the energies per element by least squares, if they are among
    them. The runs with split 0 and the report's offsets lie with the baseline and the final comparison.
    """

    experiment = "sensitivity"
    splits: list[NonNegativeInt] = Field([1, 2], description="seeds of the split, each once; or an empty list")
    offsets: Annotated[list[str], _out_of(("least-squares", "references", "none"), "offsets")] = Field(
        ["least-squares", "none"],
        description='out of "least-squares", "references" and "none", each once; or an empty list',
    )

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        custom = self._run(seed, data={"selection": Selection(smallest=18)}, **CUSTOM)
        yield self._baseline(seed)
        yield custom.model_copy(update={"experiment": FinalComparisonParameters.experiment})
        for split in self.splits:
            yield adjust(self._run(seed), data={"split_seed": split})
            yield adjust(custom, data={"split_seed": split})
        for offsets in self.offsets:
            yield adjust(self._run(seed), training={"offsets": offsets})
            if offsets == "least-squares":
                yield adjust(custom, training={"offsets": offsets})


class LargeMoleculesParameters(ExperimentParameters):
    """What might help molecules of more than 17 atoms without hurting the others, each at the baseline's updates.

    All train "Default" on the whole training part: with the report's two weights at `rates`, the inverse frequency at
    `alphas`, the loss per atom^p at `powers`, with SchNetPack's stratified sampling, or with the last `shares` of the
    updates on the large molecules alone (fine-tuning). The other end, all updates on them alone, lies with the directed
    training.
    """

    experiment = "large-molecules"
    more_than: PositiveInt = Field(17, description="a number of atoms")
    rates: list[PositiveFloat] = Field([10.0], description="positive numbers, each once; or an empty list")
    alphas: list[PositiveFloat] = Field([1.0], description="positive numbers, each once; or an empty list")
    powers: list[PositiveFloat] = Field([2.0], description="positive numbers, each once; or an empty list")
    shares: list[PositiveFloat] = Field(
        [0.2, 0.5], description="fractions of the updates below 1, each once; or an empty list"
    )
    stratified: bool = Field(default=True, description="True or False")

    @field_validator("shares")
    @classmethod
    def _fractions(cls, shares: list[float]) -> list[float]:
        if too_large := [share for share in shares if share >= 1]:
            raise ValueError(f"not a fraction below 1: {', '.join(map(str, too_large))}")
        return shares

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        baseline = self._baseline(seed)
        yield baseline
        large = {"data": {"selection": Selection(smallest=self.more_than + 1)}}
        directed = self._run(seed, experiment=DirectedTrainingParameters.experiment, **large)
        yield matched_updates(directed, baseline, molecules)
        for share in self.shares:
            yield self._fine_tuned(seed, share, directed, molecules)
        for weighting, rates in (("per-atom", self.powers), ("inverse-frequency", self.alphas)):
            for rate in rates:
                yield self._run(seed, loss=Loss(weighting=weighting, rate=float(rate)))
        for weighting in ("size", "size-frequency"):
            for rate in self.rates:
                yield self._run(seed, loss=Loss(weighting=weighting, rate=float(rate)))
        if self.stratified:
            yield self._run(seed, training={"sampling": "stratified"})

    def _fine_tuned(self, seed: int, share: float, directed: RunConfig, molecules: Molecules) -> RunConfig:
        """The baseline's epochs but for a share, whose updates (to the nearest epoch) go to the large molecules."""
        baseline = self._run(seed)
        per_epoch = _steps_per_epoch(baseline, molecules)
        whole = max(1, round(baseline.training.epochs * (1 - share)))
        left = (baseline.training.epochs - whole) * per_epoch
        settings = {
            "smallest": self.more_than + 1,
            "epochs": max(1, round(left / self._steps_on_large(baseline, directed, molecules))),
            "learning_rate": baseline.training.learning_rate,
        }
        return adjust(baseline, training={"epochs": whole}, fine_tuning=FineTuning(**settings))

    def _steps_on_large(self, baseline: RunConfig, directed: RunConfig, molecules: Molecules) -> int:
        """Steps of an epoch over those of the run's own training molecules that are large; a thinned run has few."""
        if baseline.data.train_molecules is None:
            return _steps_per_epoch(directed, molecules)
        train = choice.training_part(molecules, baseline.data)
        return -(-int((molecules.n_atoms[train] > self.more_than).sum()) // baseline.training.batch_size)


RECIPE = MappingProxyType(
    {
        "offsets": {"training": {"offsets": "least-squares"}},
        "loss": {"loss": BEYOND["loss"]},
        "schedule": {"training": {"learning_rate": 2e-3, "schedule": "cosine", "warm_up": 0.05}},
        "batch": {"training": {"batch_size": 128}},
        "size": {"model": {"n_atom_basis": 64, "n_interactions": 4, "n_rbf": 32}},
        "optimizer": {"training": {"optimizer": "soap", "learning_rate": 3e-3}},
        "representation": {"model": BEYOND["model"]},
    }
)
"""What `RecipeParameters` changes, step by step: each on top of those before."""

VARIATIONS = MappingProxyType(
    {
        "adamw": {"training": {"optimizer": "adamw", "learning_rate": 2e-3}},
        "squared": {"loss": {"form": "squared"}},
        "averaging": {"training": {"averaging": 0.999}},
        "batch-growth": {"training": {"batch_growth": 4}},
        "cutoff": {"model": {"data_cutoff": 4.0, "training_cutoff": 4.0}},
        "gaussians": {"model": {"n_rbf": 40}},
        "layers": {"model": {"n_interactions": 2}},
        "width": {"model": {"n_atom_basis": 32}},
    }
)
"""What else `RecipeParameters` tries, each in place of one setting of the last step."""


class RecipeParameters(ExperimentParameters):
    """From "Default" to the model "Beyond", a change more in each run, all with as many epochs.

    The changes are `RECIPE`, in that order; then come `variations` of the last step, out of `VARIATIONS`. The runs with
    the first change alone lie with the sensitivity.
    """

    experiment = "recipe"
    variations: Annotated[list[str], _out_of(VARIATIONS, "variation")] = Field(
        list(VARIATIONS), description=f"out of {', '.join(VARIATIONS)}, each once; or an empty list"
    )

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        yield self._baseline(seed)
        parts: dict[str, dict[str, object]] = {"training": {}, "model": {}, "loss": {}}
        for name, change in RECIPE.items():
            parts = {part: settings | change.get(part, {}) for part, settings in parts.items()}
            known = SensitivityParameters.experiment if name == "offsets" else None
            yield self._run(seed, experiment=known, **parts)
        for name in self.variations:
            change = VARIATIONS[name]
            yield self._run(seed, **{part: settings | change.get(part, {}) for part, settings in parts.items()})


class BeyondParameters(ExperimentParameters):
    """Parameters of `08_beyond`: the model "Beyond" trained for so many minutes on two cores (`EPOCHS_OF_BUDGET`).

    All seeds are trained for `main` minutes and, apart, for `brief` ones; `budget_seeds` for the other `budgets` too.
    """

    experiment = "beyond"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")
    main: Annotated[int, _budget] = Field(_MAIN, description=f"one of {', '.join(map(str, EPOCHS_OF_BUDGET))} minutes")
    brief: Annotated[int | None, _budget] = Field(
        5, description=f"one of {', '.join(map(str, EPOCHS_OF_BUDGET))} minutes, or None"
    )
    budgets: list[Annotated[int, _budget]] = Field(
        [2, 10, 50, 106], description=f"out of {', '.join(map(str, EPOCHS_OF_BUDGET))}, each once; or an empty list"
    )
    budget_seeds: list[NonNegativeInt] = Field([0], description="seeds, each once; or an empty list")

    def compared_with(self) -> FinalComparisonParameters:
        """The models "Default" and "Custom" for the same profile, seeds and, where they are given, epochs."""
        return FinalComparisonParameters(profile=self.profile, seeds=self.seeds, epochs=self.epochs)

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:  # noqa: ARG002
        of_all = [self.main] if self.brief is None else [self.main, self.brief]
        budgets = [*of_all, *(self.budgets if seed in self.budget_seeds else [])]
        for minutes in dict.fromkeys(budgets):
            yield self._run(seed, **_beyond(self.profile, minutes))


class LearningCurveParameters(ExperimentParameters):
    """The model "Beyond" on so many training molecules, drawn at random; on all of them the runs lie with `beyond`.

    The fewer there are, the more epochs: as the power −0.35 of their number, so that updates grow with it too.
    """

    experiment = "learning-curve"
    molecules: list[PositiveInt] = Field(
        [1_000, 2_000, 5_000, 10_000, 20_000, 50_000], min_length=1, description="positive whole numbers, each once"
    )

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        whole = self._run(seed, experiment=BeyondParameters.experiment, **_beyond(self.profile, _MAIN))
        everyone = len(choice.training_part(molecules, whole.data))
        for number in self.molecules:
            if number > everyone and self.profile == "full":
                raise ValueError(f"{number:,} training molecules, but there are {everyone:,}")
            if number >= everyone:  # a profile has fewer
                continue
            epochs = round(whole.training.epochs * (everyone / number) ** 0.35)
            yield adjust(
                whole.model_copy(update={"experiment": self.experiment}),
                data={"train_molecules": number},
                training={"epochs": epochs if self.epochs is None else None},
            )
        yield whole


class BeyondRemediesParameters(ExperimentParameters):
    """Does what the report tried help the model "Beyond"? All runs make the updates of `minutes` (`EPOCHS_OF_BUDGET`).

    The report's weight by size at `rates`, the loss per atom^p at `powers`, at most so many molecules of each size
    (`caps`), and the last `share` of the updates on molecules of at least `rings` rings, the group with the largest
    errors.
    """

    experiment = "beyond-remedies"
    minutes: Annotated[int, _budget] = Field(5, description=f"one of {', '.join(map(str, EPOCHS_OF_BUDGET))}")
    rates: list[PositiveFloat] = Field([10.0], description="positive numbers, each once; or an empty list")
    powers: list[PositiveFloat] = Field([2.0], description="positive numbers, each once; or an empty list")
    caps: list[PositiveInt] = Field([4000], description="positive whole numbers, each once; or an empty list")
    share: PositiveFloat = Field(0.2, lt=1, description="a fraction of the updates below 1")
    rings: PositiveInt = Field(3, description="a positive whole number")

    def _runs(self, seed: int, molecules: Molecules) -> Iterator[RunConfig]:
        parts = _beyond(self.profile, self.minutes)
        plain = self._run(seed, experiment=BeyondParameters.experiment, **parts)
        yield plain
        for weighting, rates in (("size", self.rates), ("per-atom", self.powers)):
            for rate in rates:
                loss = parts["loss"] | {"weighting": weighting, "rate": float(rate)}
                yield self._run(seed, **parts | {"loss": loss})
        for cap in self.caps:
            capped = self._run(seed, data={"selection": Selection(cap_per_size=cap)}, **parts)
            yield matched_updates(capped, plain, molecules)
        yield self._fine_tuned(plain, molecules)

    def _fine_tuned(self, plain: RunConfig, molecules: Molecules) -> RunConfig:
        """The same epochs but for a share, whose updates (to the nearest epoch) go to molecules with rings."""
        whole = max(1, round(plain.training.epochs * (1 - self.share)))
        fine = FineTuning(rings=self.rings, epochs=1, learning_rate=plain.training.learning_rate / 10)
        train = choice.training_part(molecules, plain.data)
        steps = -(-len(choice.fine_tuned(molecules, train, fine)) // plain.training.batch_size)
        left = (plain.training.epochs - whole) * _steps_per_epoch(plain, molecules)
        fine = fine.model_copy(update={"epochs": max(1, round(left / steps))})
        tuned = plain.model_copy(update={"experiment": self.experiment})
        return adjust(tuned, training={"epochs": whole}, fine_tuning=fine)


def _beyond(profile: Profile, minutes: int) -> dict[str, dict[str, object]]:
    """The settings of "Beyond" for a budget; like their learning rate, the epochs of small profiles are their own."""
    epochs = {"epochs": EPOCHS_OF_BUDGET[minutes]} if profile == "full" else {}
    return BEYOND | {"training": BEYOND["training"] | epochs}


EXPERIMENTS: dict[str, type[ExperimentParameters]] = {
    parameters.experiment: parameters
    for parameters in (
        BaselineParameters,
        BalancingParameters,
        LossModificationParameters,
        DirectedTrainingParameters,
        FinalComparisonParameters,
        DefaultToCustomParameters,
        SensitivityParameters,
        LargeMoleculesParameters,
        RecipeParameters,
        BeyondParameters,
        LearningCurveParameters,
        BeyondRemediesParameters,
    )
}
"""The parameters of every experiment, by its name, in the order of the report; the last seven are ours."""


def matched_updates(config: RunConfig, reference: RunConfig, molecules: Molecules) -> RunConfig:
    """`config` with as many epochs as bring it nearest to the number of updates that `reference` makes."""
    updates = reference.training.epochs * _steps_per_epoch(reference, molecules)
    epochs = max(1, round(updates / _steps_per_epoch(config, molecules)))
    return adjust(config, training={"epochs": epochs})


def work(config: RunConfig, molecules: Molecules) -> float:
    """How long a run takes next to others, in any unit: per molecule, and per step for what doesn't grow with it."""
    chosen = len(choice.training_part(molecules, config.data))
    per_molecule = 1 + (config.model.n_atom_basis / 64) ** 2
    if config.model.representation == "painn":
        per_molecule *= 2.5
    # an epoch of fine-tuning counts as one over all molecules: more than it takes
    return config.epochs * (chosen * per_molecule + 60 * _steps_per_epoch(config, molecules))


def _check_batches(configs: Collection[RunConfig], molecules: Molecules) -> None:
    """Raise ValueError for a run without molecules to train on, or with fewer than a batch."""
    sizes = {data: len(choice.training_part(molecules, data)) for data in {config.data for config in configs}}
    for config in configs:
        batch, there = config.training.batch_size, sizes[config.data]
        if batch > there:
            raise ValueError(f"batch_size {batch:,} is larger than the {there:,} training molecules")


def _steps_per_epoch(config: RunConfig, molecules: Molecules) -> int:
    return -(-len(choice.training_part(molecules, config.data)) // config.training.batch_size)


def load_or_train(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> list[records.Record]:
    """The records of an experiment's runs, in order; a progress bar counts them if one of them has to be trained.

    `results` is where records lie, by default `records.results_folder()`; errors are those of `runs.load_or_train`. A
    run that diverges does not keep the others from being trained: its error is raised when they are.
    """
    configs = parameters.configs(molecules)
    results = Path(results or records.results_folder())
    data = molecules.fingerprint()
    recorded = [(results / config.experiment / config.run_id(data)).exists() for config in configs]
    # In a log file the runs' own lines are all; a bar would fill it with carriage returns.
    seen = sys.stderr.isatty() or in_notebook()
    bar = tqdm(configs, desc="runs", unit="run", disable=all(recorded) or not seen)
    found, diverged = [], []
    for config in bar:
        try:
            record = records.find(config, data, results)
            if record is None:
                record = _runs().load_or_train(config, molecules, results=results, progress=True)
            found.append(record)
        except TrainingDivergedError as error:
            diverged.append(f"{describe(config, parameters.profile)}, seed {config.seed}: {error}")
    if diverged:
        raise TrainingDivergedError(
            "\n".join([f"{len(diverged)} of {len(configs)} runs diverged, the others are recorded:", *diverged])
        )
    return found


def _runs() -> ModuleType:
    """The module `analysis.runs`, for what is not recorded yet."""
    # Training needs torch, which takes seconds to import; reading records, which most want, does not.
    from analysis import runs

    return runs


def recorded(
    parameters: ExperimentParameters, molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> list[records.Record]:
    """The records of an experiment's runs, in order; nothing is trained.

    Raises
    ------
    StudyError
        Some of the runs are not recorded.
    records.RecordError
        A record is damaged.
    """
    results, data = Path(results or records.results_folder()), molecules.fingerprint()
    folders = {results / config.experiment / config.run_id(data): config for config in parameters.configs(molecules)}
    if missing := [folder for folder in folders if not folder.exists()]:
        raise StudyError(
            f"{len(missing)} of the {len(folders)} runs of {parameters.experiment} are not recorded in {results}: "
            f"`python -m analysis run {parameters.experiment}` trains them; --results, or "
            f"{records.RESULTS_VARIABLE}, names another folder"
        )
    return [records.load(folder, expected=config) for folder, config in folders.items()]


# ---- the study as a whole --------------------------------------------------------------------------------------------


class StudyError(ValueError):
    """Something was asked for that the study does not have; the message says what there is."""


State = Literal["recorded", "under way", "missing", "damaged"]


@dataclass(frozen=True)
class Standing:
    """How it stands with one run.

    `config` is None for a damaged record that does not say what was run; `outline` what is recorded, if it is; `epochs`
    how many epochs a run under way has finished, None if it was never started; `trouble` what is wrong with a damaged
    record or checkpoint.
    """

    folder: Path
    config: RunConfig | None
    outline: records.Outline | None = None
    epochs: int | None = None
    trouble: str = ""

    @property
    def state(self) -> State:
        """In a word."""
        if self.trouble:
            return "damaged"
        if self.outline is not None:
            return "recorded"
        return "missing" if self.epochs is None else "under way"


def plan(
    molecules: Molecules, experiment: str | None = None, *, profile: str = "full", seeds: Sequence[int] | None = None
) -> list[RunConfig]:
    """The runs of one experiment, or of all, each once, in the order of the report.

    Parameters
    ----------
    molecules
        The whole database.
    experiment
        A key of `EXPERIMENTS`; None and "all" mean all of them.
    profile
        "smoke", "quick" or "full".
    seeds
        Seeds of every configuration, each once; None for each experiment's own.

    Raises
    ------
    StudyError
        There is no such experiment.
    ParameterError
        There is no such profile, or a seed is negative or stands there twice.
    """
    if experiment in (None, "all"):
        chosen = list(EXPERIMENTS.values())
    elif experiment in EXPERIMENTS:
        chosen = [EXPERIMENTS[experiment]]
    else:
        raise StudyError(f"there is no experiment {experiment!r}: choose one of {', '.join(EXPERIMENTS)}, or all")
    given = {"profile": profile} | ({} if seeds is None else {"seeds": list(seeds)})
    asked = [check(parameters, given) for parameters in chosen]
    return list(dict.fromkeys(config for parameters in asked for config in parameters.configs(molecules)))


def seed_by_seed(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """The same runs, first all those of the seed that comes first: a study that is stopped early has whole seeds."""
    seeds = list(dict.fromkeys(config.seed for config in configs))
    return sorted(configs, key=lambda config: seeds.index(config.seed))


def standing(
    config: RunConfig, data_fingerprint: str, results: str | os.PathLike[str], *, whole: bool = False
) -> Standing:
    """How it stands with a run: from its `run.json` alone, or (`whole`) with the checksums of all its files."""
    results = Path(results)
    folder = results / config.experiment / config.run_id(data_fingerprint)
    try:
        if folder.exists():
            return Standing(folder, config, outline=_outline(folder, config, whole=whole))
        begun = records.partial_folder(folder).is_dir()
        return Standing(folder, config, epochs=_runs().finished_epochs(folder) if begun else None)
    except (records.RecordError, CheckpointError) as error:
        return Standing(folder, config, trouble=one_line(error))


def other_records(
    known: Collection[str | os.PathLike[str]], results: str | os.PathLike[str], *, whole: bool = False
) -> list[Standing]:
    """The records in `results` whose folders are not among `known`: of other profiles, seeds or experiments."""
    found, left_out = [], {Path(one) for one in known}
    for folder in records.recorded_folders(results):
        if folder in left_out:
            continue
        try:
            outline = _outline(folder, None, whole=whole)
            found.append(Standing(folder, outline.config, outline=outline))
        except records.RecordError as error:
            found.append(Standing(folder, None, trouble=one_line(error)))
    return found


def _outline(folder: Path, expected: RunConfig | None, *, whole: bool) -> records.Outline:
    if whole:
        record = records.load(folder, expected=expected)
        return records.Outline(folder, record.config, record.about)
    return records.outline(folder, expected=expected)


_SETTINGS = {
    "data": {
        "split_seed": "split seed {}",
        "held_out": "{:g} of the molecules held out",
        "train_molecules": "{:,} training molecules",
        "held_out_molecules": "{:,} held-out molecules",
    },
    "model": {
        "representation": "representation: {}",
        "n_atom_basis": "{} features",
        "n_interactions": "{} interactions",
        "n_rbf": "{} Gaussians",
        "data_cutoff": "data cut-off {:g} Å",
        "training_cutoff": "training cut-off {:g} Å",
        "shared_interactions": "shared interactions: {}",
        "convolution": "{} convolution",
    },
    "training": {
        "optimizer": "optimizer: {}",
        "batch_size": "batch {}",
        "batch_growth": "batch {} times as large in the second half",
        "learning_rate": "learning rate {:g}",
        "epochs": "{} epochs",
        "schedule": "{} schedule",
        "warm_up": "warm-up over {:.0%} of the steps",
        "averaging": "weights averaged with decay {:g}",
        "offsets": "offsets: {}",
        "sampling": "{} sampling",
    },
}
"""Words for every setting that has none in `_selection_words` and `_loss_words`."""


def describe(config: RunConfig, profile: Profile = "full") -> str:
    """What is special about a run, in words: all but its seed in which it differs from the baseline of a profile."""
    usual = apply_profile(RunConfig(experiment=config.experiment, seed=config.seed), profile)
    words = [*_selection_words(config.data.selection), *_loss_words(config.loss)]
    for part, settings in _SETTINGS.items():
        for name, text in settings.items():
            value = getattr(getattr(config, part), name)
            if value != getattr(getattr(usual, part), name):
                # None is the setting of a part that is not thinned
                words.append(text.replace("{:,}", "all").format() if value is None else text.format(value))
    if (fine := config.fine_tuning) is not None:
        sizes = _sizes_words(fine.smallest, fine.largest) or "all sizes"
        rings = "" if fine.rings is None else f" and {fine.rings} rings or more"
        words.append(f"then {fine.epochs} epochs on {sizes}{rings}, learning rate {fine.learning_rate:g}")
    return "; ".join(words) or "the model Default on all training molecules"


def _sizes_words(smallest: int | None, largest: int | None) -> str:
    if smallest is not None and largest is not None:
        return f"{smallest} to {largest} atoms"
    if smallest is not None:
        return f"{smallest} atoms or more"
    return "" if largest is None else f"{largest} atoms or fewer"


def _selection_words(selection: Selection) -> list[str]:
    words = [sizes] if (sizes := _sizes_words(selection.smallest, selection.largest)) else []
    if selection.cap_per_size is not None:
        words.append(f"at most {selection.cap_per_size:,} molecules per size")
    if selection.random_control:
        return [f"random control, as many molecules as: {', '.join(words)}"]
    return words


def _loss_words(loss: Loss) -> list[str]:
    form = [f"Huber's loss, delta {loss.huber_delta:g} eV"] if loss.form == "huber" else []
    if loss.weighting == "none":
        return form
    if loss.weighting in UNGUARDED:
        name = {"inverse-frequency": "inverse frequency", "per-atom": "size to a negative power"}[loss.weighting]
        return [*form, f"loss weighted by {name}, exponent {loss.rate:g}"]
    floor = {DEFAULT_FLOOR: "", None: ", no floor"}.get(loss.floor, f", floor {loss.floor}")
    return [*form, f"loss weighted by {loss.weighting.replace('-', ' and ')}, rate {loss.rate:g}{floor}"]
