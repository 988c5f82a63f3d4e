"""The validated description of one run, and its id; the settings' descriptions are words for `study.describe`."""

import hashlib
import json
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from analysis.data.offsets import OffsetsKind
from analysis.runs.measured import Frozen
from analysis.runs.weights import DEFAULT_FLOOR, UNGUARDED, Weighting

LARGEST_SEED = 2**32 - 1
"""What torch, NumPy and Optuna all take."""

_HUBER_DELTA = 0.1  # eV
LABELLED = ("xtb-md",)
"""The geometries that have energies and forces of their own."""

SHORTEST_CUTOFF = 1.0
"""Å. Below it hardly an atom has a neighbour."""

LOGS = "logs"
"""The folder beside the experiments where loggers write; no experiment may have its name."""


class _Sizes(Frozen):
    smallest: PositiveInt | None = None
    largest: PositiveInt | None = None

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.smallest is not None and self.largest is not None and self.smallest > self.largest:
            raise ValueError(f"no molecule has at least {self.smallest} and at most {self.largest} atoms")
        return self


class Selection(_Sizes):
    """Which molecules of the training part a run trains on: those that meet every condition; None sets none.

    `smallest` and `largest` are numbers of atoms, both included, and `most_heavy` is the largest number of heavy atoms,
    all but hydrogen; `cap_per_size` keeps at most that many molecules of each size, drawn at random. With
    `random_control` as many molecules as all that leaves are drawn from the whole training part instead: the control of
    equal size.
    """

    most_heavy: PositiveInt | None = None
    cap_per_size: PositiveInt | None = None
    random_control: bool = False

    @model_validator(mode="after")
    def _conditions_fit(self) -> Self:
        if self.random_control and not self.model_dump(exclude={"random_control"}, exclude_none=True):
            raise ValueError("a random control needs a condition: it is as large as what the condition leaves")
        return self


class Data(Frozen):
    """Which molecules a run sees: a seeded split, what is selected of its training part, and how many of each part.

    `train_molecules` and `held_out_molecules` draw that many at random; None takes all. `geometries` says where all of
    them have their positions from: QM9; "mixed", `analysis.data.geometries.mixed`; or "xtb-md", frames of short
    molecular dynamics by GFN2-xTB with energies and forces of their own (`analysis.data.frames`). Molecules that have
    none there are left out.
    """

    split_seed: int = Field(0, ge=0, le=LARGEST_SEED, description="split seed {}")
    held_out: float = Field(0.2, gt=0, lt=1, description="{:g} of the molecules held out")
    selection: Selection = Selection()
    train_molecules: PositiveInt | None = Field(None, description="{:,} training molecules")
    held_out_molecules: int | None = Field(None, ge=2, description="{:,} held-out molecules")
    geometries: Literal["qm9", "mixed", "xtb-md"] = Field("qm9", description="geometries: {}")


class Model(Frozen):
    """SchNet as in Figure 2 of the report, or PaiNN with the same settings; distances in Å.

    `data_cutoff` is the radius of the neighbour list and `training_cutoff` that of the cosine cut-off function
    (the report, section 5.2.1, calls the first a number of neighbours). `convolution` chooses SchNetPack's own
    modules ("stock") or the fused operator with the same parameters ("fused").
    """

    representation: Literal["schnet", "painn"] = Field("schnet", description="representation: {}")
    n_atom_basis: PositiveInt = Field(30, description="{} features")
    n_interactions: PositiveInt = Field(3, description="{} interactions")
    n_rbf: int = Field(20, ge=2, description="{} Gaussians")
    data_cutoff: float = Field(5.0, ge=SHORTEST_CUTOFF, description="data cut-off {:g} Å")
    training_cutoff: float = Field(5.0, ge=SHORTEST_CUTOFF, description="training cut-off {:g} Å")
    shared_interactions: bool = Field(default=False, description="shared interactions: {}")
    convolution: Literal["stock", "fused"] = Field("fused", description="{} convolution")


class Training(Frozen):
    """How the network's weights are found: by default AdamW on the mean squared error of U0, in eV².

    The defaults are those of SchNetPack's QM9 tutorial, which the report calls "Default". The tutorial stops after 3
    epochs; the 30 are the report's own, given for its model "Custom".

    `schedule` is what becomes of the learning rate: "constant", or "cosine", down to nearly 0 at the last step; in the
    first `warm_up` of the steps (a fraction) it rises in a straight line. `offsets` is what is taken from U0 before
    (see `analysis.data.offsets`). `sampling` is how an epoch is put together: "shuffled", every molecule once, or
    "stratified", as many draws with repetition, with the chances that SchNetPack's `StratifiedSampler` gives ten equal
    ranges of the number of atoms.

    `optimizer` is "adamw" with torch's settings, or "soap": Adam in the eigenbases of Shampoo's preconditioner (Vyas et
    al. 2024, arXiv:2409.11321), which are recomputed every ten steps for the sides of matrices up to 256, with β = 0.95
    and no weight decay. `averaging` is the decay per step of an exponential moving average of the weights, which takes
    the weights' place when the run is validated and in the end; 0 is none. In the second half of the epochs a batch is
    `batch_growth` times as large.

    With `settled` the same training has a second end beside the last step: the mean of the weights after each of the
    last steps, this fraction of them all. It changes nothing in the training. Such a run is recorded for comparisons,
    in a slim form without weights (see `analysis.runs.records`).
    """

    optimizer: Literal["adamw", "soap"] = Field("adamw", description="optimizer: {}")
    batch_size: PositiveInt = Field(100, description="batch {}")
    batch_growth: PositiveInt = Field(1, description="batch {} times as large in the second half")
    learning_rate: PositiveFloat = Field(1e-4, description="learning rate {:g}")
    epochs: PositiveInt = Field(30, description="{} epochs")
    schedule: Literal["constant", "cosine"] = Field("constant", description="{} schedule")
    warm_up: float = Field(0.0, ge=0, lt=1, description="warm-up over {:.0%} of the steps")
    averaging: float = Field(0.0, ge=0, lt=1, description="weights averaged with decay {:g}")
    settled: float = Field(0.0, ge=0, le=1, description="second end: mean weights of the last {:.0%} of the steps")
    offsets: OffsetsKind = Field("references-mean", description="offsets: {}")
    sampling: Literal["shuffled", "stratified"] = Field("shuffled", description="{} sampling")


class FineTuning(_Sizes):
    """Further epochs after `Training`, with a learning rate of their own, on some of the training molecules alone.

    `smallest` and `largest` are numbers of atoms, both included, and `rings` is the least number of independent rings;
    None sets no limit.
    """

    rings: PositiveInt | None = None
    epochs: PositiveInt
    learning_rate: PositiveFloat = 1e-4


class Loss(Frozen):
    """How much each training molecule counts in the loss, by its number of atoms; see `analysis.runs.weights`.

    `rate` is the report's r, or the exponent of the inverse frequency or of the loss per atom; 0 is the unmodified
    loss. `floor` guards the report's two formulas where they are small, negative or undefined; None switches the guard
    off, and a weight that is undefined or negative is then an error. `form` is what a molecule's error Δ gives:
    "squared", Δ², or "huber", Δ²/2 where |Δ| is below `huber_delta` (eV) and δ·(|Δ| − δ/2) beyond. The validation loss
    is of that form too, never weighted.

    `forces` is the share w of forces, where there are any to learn: (1 − w)·ΔE² + w·ΔF², of energies in eV and of the
    components of forces in eV/Å, each a mean over its batch.
    """

    weighting: Literal["none"] | Weighting = "none"
    rate: float = Field(0.0, ge=0)
    floor: float | None = Field(DEFAULT_FLOOR, ge=0)
    form: Literal["squared", "huber"] = "squared"
    huber_delta: PositiveFloat = _HUBER_DELTA
    forces: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _rate_has_a_weighting(self) -> "Loss":
        if self.weighting == "none" and self.rate != 0:
            raise ValueError(f"rate {self.rate:g} without a weighting: say which, or leave the rate at 0")
        if self.weighting in ("none", *UNGUARDED) and self.floor != DEFAULT_FLOOR:
            raise ValueError(
                f"floor {self.floor} with weighting {self.weighting!r}, which ignores it: the floor guards "
                "'size' and 'size-frequency' only; leave it out"
            )
        if self.form != "huber" and self.huber_delta != _HUBER_DELTA:
            raise ValueError(f"huber_delta {self.huber_delta:g} with form {self.form!r}, which ignores it")
        if self.forces and (self.weighting != "none" or self.form != "squared"):
            raise ValueError(f"forces {self.forces:g}: their loss is squared and has no weighting")
        return self


class RunConfig(Frozen):
    """Everything that changes the result of one run; `experiment` only says where its record lies.

    With `start`, a record's name ("beyond/0123456789ab"), the training begins with that run's weights and keeps its
    offsets; both networks have to be of one shape.
    """

    experiment: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()
    loss: Loss = Loss()
    fine_tuning: FineTuning | None = None
    start: str | None = Field(None, pattern=r"^[a-z][a-z0-9-]*/[0-9a-f]{12}$")

    @field_validator("experiment")
    @classmethod
    def _not_the_logs(cls, experiment: str) -> str:
        if experiment == LOGS:
            raise ValueError(f"{experiment!r} is the folder of the loggers; give the experiment another name")
        return experiment

    @model_validator(mode="after")
    def _batch_fits(self) -> "RunConfig":
        molecules = self.data.train_molecules
        if molecules is not None and self.training.batch_size > molecules:
            raise ValueError(f"batch_size {self.training.batch_size} is larger than the {molecules} training molecules")
        if self.training.batch_growth > 1 and self.training.epochs < 2:
            raise ValueError(f"batch_growth {self.training.batch_growth} needs two epochs: it changes the second half")
        if self.loss.forces and self.data.geometries not in LABELLED:
            raise ValueError(
                f"forces {self.loss.forces:g}: geometries {self.data.geometries!r} have no forces to learn"
            )
        if self.data.geometries in LABELLED and self.training.offsets != "least-squares":
            raise ValueError(
                f"offsets {self.training.offsets!r} with geometries {self.data.geometries!r}, whose energies are of "
                "another level than QM9's atoms: 'least-squares' fits them"
            )
        if self.data.geometries in LABELLED and self.training.settled:
            raise ValueError(f"settled with geometries {self.data.geometries!r}: a run with two ends records no forces")
        return self

    @property
    def epochs(self) -> int:
        """Of training and fine-tuning together."""
        return self.training.epochs + (0 if self.fine_tuning is None else self.fine_tuning.epochs)

    def run_id(self, data_fingerprint: str) -> str:
        """Twelve hexadecimal digits: a hash of what changes the result, and of the molecules.

        Settings at their default are left out, so that a setting that is new in a later version does not give old
        records another id; `records.load` compares the whole configuration anyway. `data_fingerprint` is
        `Molecules.fingerprint()` of the whole database that the run splits.
        """
        content = self.model_dump(mode="json", exclude={"experiment"}, exclude_defaults=True)
        text = json.dumps({"config": content, "data": data_fingerprint}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


Profile = Literal["smoke", "quick", "full"]


def apply_profile(config: RunConfig, profile: Profile) -> RunConfig:
    """Scale a run down to a profile: `smoke` (seconds), `quick` (a minute or two), `full` (all of QM9).

    Quick runs take a ten times larger learning rate: with some hundred steps, the report's would hardly move the
    weights. What a caller sets by hand goes on top, with `adjust`.
    """
    if profile == "full":
        return config
    train, held_out, epochs = {"quick": (4000, 4000, None), "smoke": (200, 300, 2)}[profile]
    thinned = {"train_molecules": train, "held_out_molecules": held_out}
    return adjust(config, data=thinned, training={"epochs": epochs, "learning_rate": 1e-3})


def adjust(config: RunConfig, **parts: Mapping[str, object] | BaseModel) -> RunConfig:
    """A copy with some settings changed, and validated; a setting given as None stays as it is.

    A part given whole replaces the old one: the way to a setting that is None.

    Example: ``adjust(config, training={"epochs": 5}, loss=Loss(weighting="size", rate=10, floor=None))``.
    """
    content = config.model_dump()
    for part, settings in parts.items():
        if isinstance(settings, BaseModel):
            content[part] = settings.model_dump()
        else:
            content[part] |= {name: value for name, value in settings.items() if value is not None}
    return RunConfig.model_validate(content)
