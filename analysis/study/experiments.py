"""Every experiment: its parameters, and its arms as differences from the baseline.

The experiments are those of the report, section 5.3, each with the controls that tell its effect from others'. Like the
report's baseline, all of them train the model "Default" and change one thing; only the final comparison has a second
model, and the last ones a third.
"""

from typing import Annotated, Literal, override

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from analysis.data import thesis
from analysis.data.molecules import Molecules
from analysis.runs.arms import CUSTOM, DEFAULT, Arm
from analysis.runs.config import FineTuning, Loss, Profile, RunConfig, Selection, adjust
from analysis.runs.devices import Device
from analysis.runs.selection import fine_tuned, loss_weights, training_part
from analysis.runs.weights import DEFAULT_FLOOR
from analysis.study.base import (
    MODEL_SEEDS,
    POSITIVE_INTEGER,
    ExperimentParameters,
    matched_updates,
    steps_per_epoch,
)
from analysis.study.parameters import NotebookParameters, check

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

FORCES = {
    "data": {"geometries": "xtb-md"},
    "model": BEYOND["model"],
    "training": BEYOND["training"] | {"batch_size": 32, "learning_rate": 1e-2},
}
"""What networks that learn forces have in common.

Of the rates 0.003, 0.01 and 0.02 this has the smallest error of forces on the validation part: "painn", one seed, 8
epochs.
"""
FORCES_EPOCHS = 40
"""On all molecules that have frames."""
_QUICK_FRAMES = 2000
_MADE = {"train_molecules": 60_000, "held_out_molecules": 8000}  # whose geometries are made: an hour of two cores
_RATE_OF_ENERGIES = BEYOND["training"]["learning_rate"]  # at that of the forces a training on energies alone exploded

EPOCHS_OF_BUDGET = {2: 4, 5: 11, 10: 22, 25: 55, 50: 110, 106: 235}
"""How many epochs of "Beyond" two cores of 2026 do in so many minutes, with a fifth of them to spare.

The last is the thesis's 1 h 46 min.
"""
_Budget = Literal[*EPOCHS_OF_BUDGET]
_BUDGETS = ", ".join(map(str, EPOCHS_OF_BUDGET))
SETTLED = 1 / 30
"""Of the steps, those at the end whose mean of weights is a training's second end: see `harness.endings`."""
BEST_TRIED = 2.0
"""Of the weight by size, the rate whose error on the validation part, 18 to 23 atoms, was the smallest."""
_MAIN = 25  # minutes: the budget that all seeds get
_SOME = "positive numbers, each once; or an empty list"


def _on(**selection: object) -> dict[str, dict[str, object]]:
    """Some of the training molecules."""
    return {"data": {"selection": Selection(**selection)}}


class BaselineParameters(ExperimentParameters):
    """Parameters of `03_baseline`: the model "Default", trained on the whole training part (section 5.3.1).

    `worst_of` is the size whose worst-predicted molecules are shown, `in_3d` whether in three dimensions too.
    """

    experiment = "baseline"
    seeds: list[NonNegativeInt] = Field(list(MODEL_SEEDS), min_length=1, description="at least one, each once")
    worst_of: PositiveInt | None = Field(None, description="a number of atoms, or None for molecules of any size")
    in_3d: bool = Field(default=False, description="True or False")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        sizes = np.unique(molecules.n_atoms)
        if self.worst_of is not None and self.worst_of not in sizes:
            raise ValueError(f"no molecule has {self.worst_of} atoms; there are some of {', '.join(map(str, sizes))}")
        return {DEFAULT: self.default(seed)}


class BalancingParameters(ExperimentParameters):
    """Parameters of `04_balancing`: at most so many molecules of each size (section 5.3.2).

    Two controls per cap: as many molecules drawn at random, and the capped set trained for as many updates as the
    baseline makes (to the nearest whole epoch). The baseline's own runs lie with it.
    """

    experiment = "balancing"
    caps: list[PositiveInt] = Field(list(thesis.CAPS), min_length=1, description="positive whole numbers, each once")
    controls: bool = Field(default=True, description="True or False")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found = {DEFAULT: self.default(seed)}
        for cap in self.caps:
            found[Arm("cap", cap)] = capped = self.run(seed, **_on(cap_per_size=cap))
            if self.controls:
                found[Arm("cap", cap, random=True)] = self.run(seed, **_on(cap_per_size=cap, random_control=True))
                found[Arm("cap", cap, same_updates=True)] = matched_updates(capped, found[DEFAULT], molecules)
        return found


class LossModificationParameters(ExperimentParameters):
    """Parameters of `05_loss_modification`: weighted losses on molecules of 13 to 23 atoms (section 5.3.4).

    `rates` are those of the report's two formulas (0 is the unmodified loss, which is always among the runs), `alphas`
    the exponents of the inverse frequency; an empty list leaves the function out. `floor` guards the two formulas where
    they are undefined or small; None switches the guard off.
    """

    experiment = "loss-modification"
    weightings: list[Literal["size", "size-frequency"]] = Field(
        ["size", "size-frequency"], description='out of "size" and "size-frequency", each once; or an empty list'
    )
    rates: list[NonNegativeFloat] = Field(
        list(thesis.RATES), min_length=1, description="numbers of 0 or more, at least one, each once"
    )
    alphas: list[PositiveFloat] = Field([0.5, 1.0], description=_SOME)
    floor: NonNegativeFloat | None = Field(DEFAULT_FLOOR, description="a number of 0 or more, or None for no guard")
    smallest: PositiveInt = Field(thesis.MODIFIED_SIZES[0], description="a number of atoms")
    largest: PositiveInt = Field(thesis.MODIFIED_SIZES[1], description="a number of atoms, at least `smallest`")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        losses = {Arm("unweighted"): Loss()}
        for weighting in self.weightings:
            for rate in filter(None, self.rates):
                losses[Arm(weighting, rate)] = Loss(weighting=weighting, rate=float(rate), floor=self.floor)
        for alpha in self.alphas:
            losses[Arm("inverse-frequency", alpha)] = Loss(weighting="inverse-frequency", rate=float(alpha))
        trained_on = _on(smallest=self.smallest, largest=self.largest)
        found = {arm: self.run(seed, **trained_on, loss=loss) for arm, loss in losses.items()}
        for config in found.values():  # an undefined weight is refused before anything is trained
            loss_weights(config.loss, molecules.n_atoms[training_part(molecules, config.data)])
        return found


class DirectedTrainingParameters(ExperimentParameters):
    """Parameters of `06_directed_training`: only molecules of more than 17 atoms (section 5.3.4).

    Controls: as many molecules drawn at random, and both sets trained for as many updates as the baseline makes (to the
    nearest whole epoch). The runs on all molecules lie with the baseline.
    """

    experiment = "directed-training"
    more_than: list[PositiveInt] = Field([thesis.LARGE], min_length=1, description="numbers of atoms, each once")
    controls: bool = Field(default=True, description="True or False")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found = {DEFAULT: self.default(seed)}
        for atoms in self.more_than:
            of_set = {
                random: self.run(seed, **_on(smallest=atoms + 1, random_control=random))
                for random in ((False, True) if self.controls else (False,))
            }
            found |= {Arm("more than", atoms, random=random): config for random, config in of_set.items()}
            if self.controls:
                for random, config in of_set.items():
                    longer = matched_updates(config, found[DEFAULT], molecules)
                    found[Arm("more than", atoms, random=random, same_updates=True)] = longer
        return found


class FinalComparisonParameters(ExperimentParameters):
    """Parameters of `07_final_comparison`: "Default" against "Custom" (section 5.3.4 of the report, the last).

    The runs of "Default" are the baseline's, and lie with them.
    """

    experiment = "final-comparison"
    seeds: list[NonNegativeInt] = Field(list(MODEL_SEEDS), min_length=1, description="at least one, each once")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        return {
            DEFAULT: self.default(seed),
            CUSTOM: self.run(seed, **_on(smallest=thesis.LARGE + 1), **thesis.CUSTOM),
        }


class ConfirmationParameters(ExperimentParameters):
    """The report's claims once more, with seeds that none of its rules had seen: the preregistered runs.

    Each training has two ends (`settled`, see `config.Training`). The arms are those that the claims compare, of the
    experiments before: "Default", "Custom", the strictest cap and directed training with their controls, and the
    weights at the rate claimed to be best and at the best of those tried. The arms of the three main claims are trained
    on further `splits` too, with `split_seeds`.
    """

    experiment = "confirmation"
    seeds: list[NonNegativeInt] = Field(list(range(100, 108)), min_length=1, description="at least one, each once")
    splits: list[NonNegativeInt] = Field([11, 12], description="seeds of the split, each once; or an empty list")
    split_seeds: list[NonNegativeInt] = Field(
        list(range(100, 103)), description="out of `seeds`, each once; or an empty list"
    )
    settled: PositiveFloat = Field(SETTLED, le=1, description="a fraction of the steps")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        given = {name: getattr(self, name) for name in ExperimentParameters.model_fields if name != "seeds"}
        main = [DirectedTrainingParameters(**given), FinalComparisonParameters(**given)]
        capped = BalancingParameters(caps=[thesis.CAPS[0]], **given)
        weighted = LossModificationParameters(rates=[BEST_TRIED, thesis.BEST_RATE], alphas=[], **given)
        usual = [*main, capped, weighted]
        found = {arm: config for one in usual for arm, config in one.arms(seed, molecules).items()}
        del found[Arm("size-frequency", BEST_TRIED)]  # 10 itself was the best of those tried
        if seed in self.split_seeds:
            for split in self.splits:
                of_split = ((arm, config) for one in main for arm, config in one.arms(seed, molecules).items())
                found |= {arm.on(split): adjust(config, data={"split_seed": split}) for arm, config in of_split}
        return {
            arm: adjust(config.model_copy(update={"experiment": self.experiment}), training={"settled": self.settled})
            for arm, config in found.items()
        }


class ExtrapolationParameters(ExperimentParameters):
    """Trained on molecules of at most `heavy` heavy atoms, tested on larger ones: open question 1 of the book.

    The models "Default", "Custom" and "Beyond" (of `minutes`, see `EPOCHS_OF_BUDGET`), each on the whole training part
    or the part that it has by its definition (those runs lie with their own experiments), and on the small molecules of
    that part for as many updates. Of "Default" and "Beyond" there is a control of equal size and as many updates too.
    """

    experiment = "extrapolation"
    heavy: PositiveInt = Field(8, description="a number of heavy atoms")
    minutes: _Budget = Field(5, description=f"one of {_BUDGETS}")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found = {}
        for model, elsewhere, parts, limits in (
            ("default", "baseline", {}, {}),
            ("custom", "final-comparison", thesis.CUSTOM, {"smallest": thesis.LARGE + 1}),
            ("beyond", "beyond", _beyond(self.profile, self.minutes), {}),
        ):
            whole = self.run(seed, experiment=elsewhere, **(_on(**limits) if limits else {}), **parts)
            found[Arm(model)] = whole
            for random in (False,) if limits else (False, True):
                few = self.run(seed, **_on(most_heavy=self.heavy, random_control=random, **limits), **parts)
                arm = Arm(model, f"to {self.heavy} heavy atoms", random=random, same_updates=True)
                found[arm] = matched_updates(few, whole, molecules)
        return found


class DefaultToCustomParameters(ExperimentParameters):
    """The models between "Default" and "Custom", a change more in each, and "Custom" with Default's number of updates.

    The report changes five things at once. Here they are added one after the other, in this order: training molecules
    of more than 17 atoms (the run lies with the directed training), batch size, n_atom_basis, data cut-off, weights
    (which makes the final comparison's Custom).
    """

    experiment = "default-to-custom"

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found, parts, custom = {DEFAULT: self.default(seed)}, _on(smallest=thesis.LARGE + 1), thesis.CUSTOM
        steps = {
            "large": {},
            "batch": {"training": custom["training"]},
            "features": {"model": {"n_atom_basis": custom["model"]["n_atom_basis"]}},
            "cutoff": {"model": custom["model"]},
            CUSTOM: {"loss": custom["loss"]},
        }
        elsewhere = {"large": "directed-training", CUSTOM: "final-comparison"}
        for name, change in steps.items():
            parts |= change
            found[Arm(name)] = self.run(seed, experiment=elsewhere.get(name), **parts)
        longer = matched_updates(self.run(seed, **parts), found[DEFAULT], molecules)
        return found | {Arm("custom", same_updates=True): longer}


class SensitivityParameters(ExperimentParameters):
    """How much depends on the split, and on the offsets taken from U0 before training: "Default" and "Custom" again.

    `offsets` are tried on "Default"; on "Custom" only the energies per element by least squares, if they are among
    them. The runs with split 0 and the report's offsets lie with the baseline and the final comparison.
    """

    experiment = "sensitivity"
    splits: list[NonNegativeInt] = Field([1, 2], description="seeds of the split, each once; or an empty list")
    offsets: list[Literal["least-squares", "references", "none"]] = Field(
        ["least-squares", "none"],
        description='out of "least-squares", "references" and "none", each once; or an empty list',
    )

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        parts = {DEFAULT: {}, CUSTOM: {**_on(smallest=thesis.LARGE + 1), **thesis.CUSTOM}}
        found = {DEFAULT: self.default(seed), CUSTOM: self.run(seed, experiment="final-comparison", **parts[CUSTOM])}
        changes = {f"split {split}": ("data", {"split_seed": split}) for split in self.splits}
        changes |= {f"offsets {offsets}": ("training", {"offsets": offsets}) for offsets in self.offsets}
        for name, (part, change) in changes.items():
            for model in (DEFAULT, CUSTOM) if part == "data" or name == "offsets least-squares" else (DEFAULT,):
                found[Arm(model, name)] = adjust(self.run(seed, **parts[model]), **{part: change})
        return found


class LargeMoleculesParameters(ExperimentParameters):
    """What might help molecules of more than 17 atoms without hurting the others, each at the baseline's updates.

    All train "Default" on the whole training part: with the report's two weights at `rates`, the inverse frequency at
    `alphas`, the loss per atom^p at `powers`, with SchNetPack's stratified sampling, or with the last `shares` of the
    updates on the large molecules alone (fine-tuning). The other end, all updates on them alone, lies with the directed
    training.
    """

    experiment = "large-molecules"
    more_than: PositiveInt = Field(thesis.LARGE, description="a number of atoms")
    rates: list[PositiveFloat] = Field([thesis.BEST_RATE], description=_SOME)
    alphas: list[PositiveFloat] = Field([1.0], description=_SOME)
    powers: list[PositiveFloat] = Field([2.0], description=_SOME)
    shares: list[Annotated[PositiveFloat, Field(lt=1)]] = Field(
        [0.2, 0.5], description="fractions of the updates below 1, each once; or an empty list"
    )
    stratified: bool = Field(default=True, description="True or False")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found = {DEFAULT: self.default(seed)}
        large = self.run(seed, experiment="directed-training", **_on(smallest=self.more_than + 1))
        directed = Arm("more than", self.more_than, same_updates=True)
        found[directed] = matched_updates(large, found[DEFAULT], molecules)
        fine = {"smallest": self.more_than + 1, "learning_rate": found[DEFAULT].training.learning_rate}
        for share in self.shares:
            found[Arm("fine-tuned, share", share)] = with_fine_tuning(self.run(seed), share, fine, molecules)
        of_weighting = {
            "per-atom": self.powers,
            "inverse-frequency": self.alphas,
            "size": self.rates,
            "size-frequency": self.rates,
        }
        for weighting, rates in of_weighting.items():
            for rate in rates:
                found[Arm(weighting, rate)] = self.run(seed, loss=Loss(weighting=weighting, rate=float(rate)))
        if self.stratified:
            found[Arm("stratified")] = self.run(seed, training={"sampling": "stratified"})
        return found


RECIPE = {
    "offsets": {"training": {"offsets": "least-squares"}},
    "loss": {"loss": BEYOND["loss"]},
    "schedule": {"training": {"learning_rate": 2e-3, "schedule": "cosine", "warm_up": 0.05}},
    "batch": {"training": {"batch_size": 128}},
    "size": {"model": {"n_atom_basis": 64, "n_interactions": 4, "n_rbf": 32}},
    "optimizer": {"training": {"optimizer": "soap", "learning_rate": 3e-3}},
    "representation": {"model": BEYOND["model"]},
}
"""What `RecipeParameters` changes, step by step: each on top of those before."""

VARIATIONS = {
    "adamw": {"training": {"optimizer": "adamw", "learning_rate": 2e-3}},
    "squared": {"loss": {"form": "squared"}},
    "averaging": {"training": {"averaging": 0.999}},
    "batch-growth": {"training": {"batch_growth": 4}},
    "cutoff": {"model": {"data_cutoff": 4.0, "training_cutoff": 4.0}},
    "gaussians": {"model": {"n_rbf": 40}},
    "layers": {"model": {"n_interactions": 2}},
    "width": {"model": {"n_atom_basis": 32}},
}
"""What else `RecipeParameters` tries, each in place of one setting of the last step."""


class RecipeParameters(ExperimentParameters):
    """From "Default" to the model "Beyond", a change more in each run, all with as many epochs.

    The changes are `RECIPE`, in that order; then come `variations` of the last step, out of `VARIATIONS`. The runs with
    the first change alone lie with the sensitivity.
    """

    experiment = "recipe"
    variations: list[Literal[*VARIATIONS]] = Field(
        list(VARIATIONS), description=f"out of {', '.join(VARIATIONS)}, each once; or an empty list"
    )

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        found = {DEFAULT: self.default(seed)}
        parts: dict[str, dict[str, object]] = {"training": {}, "model": {}, "loss": {}}
        for name, change in RECIPE.items():
            parts = {part: settings | change.get(part, {}) for part, settings in parts.items()}
            found[Arm("step", name)] = self.run(seed, experiment="sensitivity" if name == "offsets" else None, **parts)
        for name in self.variations:
            varied = {part: settings | VARIATIONS[name].get(part, {}) for part, settings in parts.items()}
            found[Arm("variation", name)] = self.run(seed, **varied)
        return found


class BeyondParameters(ExperimentParameters):
    """Parameters of `08_beyond`: the model "Beyond" trained for so many minutes on two cores (`EPOCHS_OF_BUDGET`).

    All seeds are trained for `main` minutes and, apart, for `brief` ones; `budget_seeds` for the other `budgets` too.
    """

    experiment = "beyond"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")
    main: _Budget = Field(_MAIN, description=f"one of {_BUDGETS} minutes")
    brief: _Budget | None = Field(5, description=f"one of {_BUDGETS} minutes, or None")
    budgets: list[_Budget] = Field([2, 10, 50, 106], description=f"out of {_BUDGETS}, each once; or an empty list")
    budget_seeds: list[NonNegativeInt] = Field([0], description="seeds, each once; or an empty list")

    def compared_with(self) -> FinalComparisonParameters:
        """The models "Default" and "Custom" for the same profile, seeds and, where they are given, epochs."""
        return FinalComparisonParameters(profile=self.profile, seeds=self.seeds, epochs=self.epochs)

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        of_all = [self.main] if self.brief is None else [self.main, self.brief]
        budgets = [*of_all, *(self.budgets if seed in self.budget_seeds else [])]
        return {Arm("minutes", budget): self.trained_for(budget, seed) for budget in budgets}

    def trained_for(self, minutes: int, seed: int) -> RunConfig:
        """The run of one budget (a key of `EPOCHS_OF_BUDGET`)."""
        return self.run(seed, **_beyond(self.profile, minutes))


class BeyondSplitsParameters(ExperimentParameters):
    """The model "Beyond" of `minutes` (`EPOCHS_OF_BUDGET`) on further `splits`; on the usual one it lies elsewhere."""

    experiment = "beyond-splits"
    minutes: _Budget = Field(5, description=f"one of {_BUDGETS}")
    splits: list[NonNegativeInt] = Field([1, 2], description="seeds of the split, each once; or an empty list")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        parts, arm = _beyond(self.profile, self.minutes), Arm("beyond")
        further = {arm.on(split): adjust(self.run(seed, **parts), data={"split_seed": split}) for split in self.splits}
        return {arm: self.run(seed, experiment="beyond", **parts)} | further


class LearningCurveParameters(ExperimentParameters):
    """The model "Beyond" on so many training molecules, drawn at random; on all of them the runs lie with `beyond`.

    The fewer there are, the more epochs: as the power −0.35 of their number, so that updates grow with it too.
    """

    experiment = "learning-curve"
    molecules: list[PositiveInt] = Field(
        [1_000, 2_000, 5_000, 10_000, 20_000, 50_000], min_length=1, description="positive whole numbers, each once"
    )

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        whole = self.run(seed, experiment="beyond", **_beyond(self.profile, _MAIN))
        everyone = len(training_part(molecules, whole.data))
        found = {}
        for number in self.molecules:
            if number > everyone and self.profile == "full":
                raise ValueError(f"{number:,} training molecules, but there are {everyone:,}")
            if number >= everyone:  # a profile has fewer
                continue
            epochs = round(whole.training.epochs * (everyone / number) ** 0.35)
            found[Arm("molecules", number)] = adjust(
                whole.model_copy(update={"experiment": self.experiment}),
                data={"train_molecules": number},
                training={"epochs": epochs if self.epochs is None else None},
            )
        return found | {Arm("molecules", everyone): whole}


class BeyondRemediesParameters(ExperimentParameters):
    """Does what the report tried help the model "Beyond"? All runs make the updates of `minutes` (`EPOCHS_OF_BUDGET`).

    The report's weight by size at `rates`, the loss per atom^p at `powers`, at most so many molecules of each size
    (`caps`), and the last `share` of the updates on molecules of at least `rings` rings, the group with the largest
    errors.
    """

    experiment = "beyond-remedies"
    minutes: _Budget = Field(5, description=f"one of {_BUDGETS}")
    rates: list[PositiveFloat] = Field([thesis.BEST_RATE], description=_SOME)
    powers: list[PositiveFloat] = Field([2.0], description=_SOME)
    caps: list[PositiveInt] = Field([4000], description="positive whole numbers, each once; or an empty list")
    share: PositiveFloat = Field(0.2, lt=1, description="a fraction of the updates below 1")
    rings: PositiveInt = Field(3, description="a positive whole number")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        parts = _beyond(self.profile, self.minutes)
        plain = self.run(seed, experiment="beyond", **parts)
        found = {Arm("plain"): plain}
        for weighting, rates in (("size", self.rates), ("per-atom", self.powers)):
            for rate in rates:
                loss = parts["loss"] | {"weighting": weighting, "rate": float(rate)}
                found[Arm(weighting, rate)] = self.run(seed, **parts | {"loss": loss})
        for cap in self.caps:
            capped = self.run(seed, **_on(cap_per_size=cap), **parts)
            found[Arm("cap", cap, same_updates=True)] = matched_updates(capped, plain, molecules)
        fine = {"rings": self.rings, "learning_rate": plain.training.learning_rate / 10}
        tuned = plain.model_copy(update={"experiment": self.experiment})
        return found | {Arm("fine-tuned, rings", self.rings): with_fine_tuning(tuned, self.share, fine, molecules)}


class GeometriesParameters(ExperimentParameters):
    """The model "Beyond" for geometries that are not QM9's: conformers from a SMILES, and what other methods relax.

    Each run begins with the weights of "Beyond", of `minutes` (`EPOCHS_OF_BUDGET`) and the same seed, and sees the
    energies of 60,000 of its training molecules, less those without a geometry, at the geometries of
    `analysis.data.geometries.mixed`, for `passes` epochs at `rate`. What was asked for before a run was made, as mean
    absolute errors of the five's mean over the test part: 45 meV from SMILES alone (and a median of 25), 60 meV at
    minima of GFN2-xTB.
    """

    experiment = "geometries"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")
    minutes: _Budget = Field(_MAIN, description=f"one of {_BUDGETS}")
    passes: PositiveInt = Field(15, description="a number of epochs")
    rate: PositiveFloat = Field(1e-3, description="a positive number")

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        beyond = self.run(seed, experiment="beyond", **_beyond(self.profile, self.minutes))
        return {Arm("beyond"): beyond, Arm("mixed"): self.going_on(beyond, molecules.fingerprint())}

    def going_on(self, beyond: RunConfig, data_fingerprint: str) -> RunConfig:
        """The run that begins with the weights of one of "Beyond", on the database of this fingerprint."""
        start = f"{beyond.experiment}/{beyond.run_id(data_fingerprint)}"
        whole = self.profile == "full"
        return adjust(
            beyond.model_copy(update={"experiment": self.experiment, "start": start}),
            training={"epochs": self.passes if whole and self.epochs is None else None, "learning_rate": self.rate},
            data={"geometries": "mixed"} | (_MADE if whole else {}),
        )


class ForcesParameters(ExperimentParameters):
    """Networks that have learnt forces: of geometries away from rest, with GFN2-xTB's energies and forces.

    The geometries are `analysis.data.frames`' "xtb-md". PaiNN with forces as `share` of the loss and, of the `others`,
    SchNet with the same, and PaiNN with the energies of the same frames alone: what forces as labels are worth.
    """

    experiment = "forces"
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")
    share: PositiveFloat = Field(0.99, lt=1, description="a fraction of the loss below 1")
    others: list[Literal["schnet", "energies alone"]] = Field(
        ["schnet", "energies alone"], description='"schnet" and "energies alone", each once; or an empty list'
    )

    @override
    def arms(self, seed: int, molecules: Molecules) -> dict[Arm, RunConfig]:
        epochs = {"epochs": FORCES_EPOCHS} if self.profile == "full" else {}
        parts, loss = FORCES | {"training": FORCES["training"] | epochs}, {"forces": self.share}
        schnet = {"model": parts["model"] | {"representation": "schnet"}}
        every = {
            Arm("painn"): self.run(seed, **parts, loss=loss),
            Arm("schnet"): self.run(seed, **parts | schnet, loss=loss),
            Arm("energies alone"): adjust(self.run(seed, **parts), training={"learning_rate": _RATE_OF_ENERGIES}),
        }
        found = {arm: config for arm, config in every.items() if arm == "painn" or arm in self.others}
        if self.profile != "quick":
            return found
        # fewer held-out molecules have a frame than the profile draws
        return {arm: adjust(config, data={"held_out_molecules": _QUICK_FRAMES}) for arm, config in found.items()}


class DynamicsParameters(NotebookParameters):
    """A molecule that networks with forces are tried on, for notebook 13: `ForcesParameters`' PaiNN, all its seeds.

    The molecule comes to rest and is moved for `ps` by Langevin's equation, and for as long at constant energy.
    """

    profile: Profile = Field("full", description='"smoke", "quick" or "full"')
    seeds: list[NonNegativeInt] = Field([0, 1, 2, 3, 4], min_length=1, description="at least one, each once")
    molecule: NonNegativeInt | str = Field(22, description="a molecule's number in QM9, or a SMILES")
    temperature: PositiveFloat = Field(300.0, description="a positive number, K")
    ps: PositiveFloat = Field(1.0, description="a positive number")
    timestep: PositiveFloat = Field(0.5, description="a positive number, fs")
    friction: PositiveFloat = Field(2.0, description="a positive number, 1/ps")
    seed: NonNegativeInt = Field(0, description="0 or a positive whole number")
    epochs: PositiveInt | None = Field(None, description=POSITIVE_INTEGER)
    learning_rate: PositiveFloat | None = Field(None, description="a positive number, or None for the profile's")
    batch_size: PositiveInt | None = Field(None, description=POSITIVE_INTEGER)
    device: Device = Field("auto", description='"auto", "cpu" or "cuda"')

    def networks(self) -> ForcesParameters:
        """The networks that move it; raises ParameterError if they can't be."""
        own = {name: getattr(self, name) for name in type(self).model_fields if name in ForcesParameters.model_fields}
        return check(ForcesParameters, own | {"others": []})


def with_fine_tuning(plain: RunConfig, share: float, settings: dict[str, object], molecules: Molecules) -> RunConfig:
    """The same epochs but for a share, whose updates (to the nearest epoch) go to the molecules that `settings` mean.

    `settings` are those of `config.FineTuning` but for the epochs.
    """
    whole = max(1, round(plain.training.epochs * (1 - share)))
    train = training_part(molecules, plain.data)
    chosen = fine_tuned(molecules, train, FineTuning(epochs=1, **settings))
    left = (plain.training.epochs - whole) * steps_per_epoch(plain, molecules)
    epochs = max(1, round(left / -(-len(chosen) // plain.training.batch_size)))
    return adjust(plain, training={"epochs": whole}, fine_tuning=FineTuning(epochs=epochs, **settings))


def _beyond(profile: Profile, minutes: int) -> dict[str, dict[str, object]]:
    """The settings of "Beyond" for a budget; like their learning rate, the epochs of small profiles are their own."""
    epochs = {"epochs": EPOCHS_OF_BUDGET[minutes]} if profile == "full" else {}
    return BEYOND | {"training": BEYOND["training"] | epochs}


EXPERIMENTS: dict[str, type[ExperimentParameters]] = {
    parameters.experiment: parameters for parameters in ExperimentParameters.__subclasses__()
}
"""The parameters of every experiment, by its name, in the order of the report; the last twelve are ours."""
