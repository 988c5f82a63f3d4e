"""Sweep files: what a search tries, in the format of Weights & Biases, so that ``wandb sweep`` reads them as well."""

import importlib.resources
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BeforeValidator, Field, PositiveInt, ValidationError, model_validator

from analysis.data.errors import UserError
from analysis.data.files import reason
from analysis.runs.config import Profile, RunConfig, adjust, apply_profile
from analysis.runs.measured import Frozen
from analysis.study.parameters import meant, refusal

PARAMETERS: dict[str, tuple[str, type]] = {
    "batch_size": ("training", int),
    "learning_rate": ("training", float),
    "epochs": ("training", int),
    "n_atom_basis": ("model", int),
    "n_interactions": ("model", int),
    "n_rbf": ("model", int),
    "data_cutoff": ("model", float),
    "training_cutoff": ("model", float),
}
"""What a sweep can set: the part of `RunConfig` where it lies, and its type. Cut-offs in Å."""


class SweepError(UserError, ValueError):
    """A sweep that can't be searched; the message names the file and the key."""


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, Real):  # NumPy's numbers too
        raise ValueError("no number")  # noqa: TRY004 - what pydantic wants
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


Number = Annotated[int | float, BeforeValidator(_number)]
_Range = Literal["uniform", "int_uniform", "q_uniform", "log_uniform_values", "q_log_uniform_values"]


class _Parameter(Frozen):
    """One entry of `parameters`: a value, a list of values, or a range."""

    value: Number | None = None
    choices: list[Number] | None = Field(None, alias="values", min_length=1)
    min: Number | None = None
    max: Number | None = None
    q: Number | None = None
    distribution: Literal["constant", "categorical", _Range] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "_Parameter":
        if (self.min is None) != (self.max is None):
            raise ValueError("min and max go together")
        given = [self.value is not None, self.choices is not None, self.min is not None]
        if sum(given) != 1:
            raise ValueError("give one of value, values, or min and max")
        allowed = [("constant",), ("categorical",), get_args(_Range)][given.index(True)]
        if self.distribution not in (None, *allowed):
            raise ValueError(f"distribution {self.distribution!r} does not go with what is given")
        if self.choices is not None and len(set(self.choices)) != len(self.choices):
            raise ValueError(f"a value is given twice: {self.choices}")
        if self.min is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        if "log" in self.kind and self.min <= 0:
            raise ValueError(f"min {self.min} has no logarithm")
        if (self.q is not None) != self.kind.startswith("q_"):
            raise ValueError(f"q goes with the distributions that begin with q_, and they need it; here: {self.kind}")
        if self.q is not None and self.q <= 0:
            raise ValueError(f"q {self.q} is not positive")
        return self

    @property
    def kind(self) -> str:
        """The distribution, by Weights & Biases' rule where none is named."""
        if self.distribution is not None:
            return self.distribution
        if self.min is None:
            return "constant" if self.choices is None else "categorical"
        whole = isinstance(self.min, int) and isinstance(self.max, int)
        return "int_uniform" if whole else "uniform"


class _Metric(Frozen):
    name: Literal["validation_loss"]
    goal: Literal["minimize"]


class _SweepFile(Frozen):
    """`name` to `entity` and `command` matter to Weights & Biases alone."""

    program: str
    method: Literal["grid", "random", "bayes"]
    metric: _Metric
    parameters: dict[str, _Parameter] = Field(min_length=1)
    run_cap: PositiveInt | None = None
    name: str | None = None
    description: str | None = None
    project: str | None = None
    entity: str | None = None
    command: list[str] | None = None


@dataclass(frozen=True)
class Sweep:
    """What is searched, and how.

    `constants` are the file's fixed values: a thinned profile can change them. `fixed` were set by hand, above
    everything. `space` has a distribution per parameter that is searched. `run_cap` is the number of trials; None
    with `method` "grid" means the whole grid.
    """

    name: str
    file: str
    method: Literal["grid", "random", "bayes"]
    space: dict[str, BaseDistribution]
    constants: dict[str, float] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    run_cap: int | None = None

    @property
    def experiment(self) -> str:
        """The experiment whose records are the trials."""
        return f"search-{self.name}"

    def fixing(self, values: Mapping[str, float]) -> "Sweep":
        """The sweep with some parameters set by hand instead: neither searched nor changed by a profile.

        Raises SweepError for an unknown parameter, or if nothing is left to search.
        """
        values = {name: typed(name, value, f"{self.file}: {name}") for name, value in values.items()}
        space = {name: distribution for name, distribution in self.space.items() if name not in values}
        if not space:
            raise SweepError(f"{self.file}: every parameter is fixed: nothing is left to search")
        constants = {name: value for name, value in self.constants.items() if name not in values}
        return replace(self, space=space, constants=constants, fixed=self.fixed | values)

    def fitting(self, profile: Profile) -> "Sweep":
        """The sweep without batch sizes that are larger than the profile's training part.

        If none is left, and where the batch size is a constant, the whole training part is one batch.
        """
        molecules = apply_profile(RunConfig(experiment=self.experiment), profile).data.train_molecules
        name = "batch_size"
        if molecules is None:
            return self
        constants, space = dict(self.constants), dict(self.space)
        if name in constants:
            constants[name] = min(constants[name], molecules)
        match space.get(name):
            case CategoricalDistribution(choices=choices):
                space[name] = CategoricalDistribution([size for size in choices if size <= molecules] or [molecules])
            case IntDistribution(high=high) if high > molecules:
                raise SweepError(
                    f"{self.file}: parameters.{name}.max {high} is larger than the {molecules} training molecules of "
                    f"profile {profile!r}; use another profile, or fix the batch size"
                )
        return replace(self, constants=constants, space=space)

    def config(self, values: Mapping[str, float], *, profile: Profile = "full", seed: int = 0) -> RunConfig:
        """The run of one trial.

        `values` are the searched parameters; one that repeats a constant is one. `profile` scales the constants down;
        what is searched or fixed goes on top. Raises SweepError if the values make no valid run.
        """
        above = {name: value for name, value in values.items() if self.constants.get(name) != value}
        try:
            base = RunConfig(experiment=self.experiment, seed=seed)
            base = adjust(base, **_parts(self.fitting(profile).constants))
            return adjust(apply_profile(base, profile), **_parts(self.fixed | above))
        except ValidationError as error:
            shown = ", ".join(f"{name} {value}" for name, value in (self.fixed | above).items())
            raise SweepError(
                f"{self.file}: {shown} with profile {profile!r}: {refusal(error, RunConfig, None)}"
            ) from error

    def grid(self) -> dict[str, list[float]]:
        """The values of every searched parameter; raises SweepError for one that has a range without steps."""
        values = {}
        for name, of in self.space.items():
            if isinstance(of, CategoricalDistribution):
                values[name] = list(of.choices)
            elif of.log or of.step is None:
                raise SweepError(
                    f"{self.file}: parameters.{name}: method grid needs values, or a range with steps (int_uniform, "
                    "q_uniform)"
                )
            else:
                values[name] = [of.low + of.step * n for n in range(round((of.high - of.low) / of.step) + 1)]
        return values


_SHIPPED = importlib.resources.files("analysis.study.sweeps")


def shipped() -> list[str]:
    """The names of the sweeps that come with the package, in order."""
    return sorted(Path(file.name).stem for file in _SHIPPED.iterdir() if file.name.endswith(".yaml"))


def load_sweep(sweep: str | os.PathLike[str]) -> Sweep:
    """Read a sweep: "stage1", "stage2", or the path of a YAML file in Weights & Biases' sweep format.

    Of the distributions those in `_Parameter` are known, and of the metrics `validation_loss`.
    Raises SweepError if the file is missing, or something in it is wrong or unknown.
    """
    path = Path(sweep)
    if path.suffix not in (".yaml", ".yml"):
        if str(sweep) not in shipped():
            raise SweepError(f"there is no sweep {str(sweep)!r}: give one of {', '.join(shipped())}, or a .yaml file")
        source, name, file = _SHIPPED / f"{sweep}.yaml", str(sweep), f"{sweep}.yaml"
    else:
        source, name, file = path, path.stem, str(path)
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SweepError(f"{file} can't be read: {reason(error)}") from error
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise SweepError(f"{file}: its name becomes the experiment's; use lower-case letters, digits and hyphens")
    if not isinstance(content, dict):
        raise SweepError(f"{file} holds no keys; a sweep has program, method, metric and parameters")
    try:
        parsed = _SweepFile.model_validate(content)
    except ValidationError as error:
        raise SweepError(f"{file}: {refusal(error, _SweepFile, content)}") from error
    constants, space = {}, {}
    for name_, parameter in parsed.parameters.items():
        if parameter.kind == "constant":
            constants[name_] = typed(name_, parameter.value, f"{file}: parameters.{name_}.value")
        else:
            space[name_] = _distribution(name_, parameter, f"{file}: parameters.{name_}")
    if not space:
        raise SweepError(f"{file}: parameters: every one has a single value: nothing is left to search")
    found = Sweep(name=name, file=file, method=parsed.method, space=space, constants=constants, run_cap=parsed.run_cap)
    if found.method == "grid":
        found.grid()
    return found


def typed(name: str, value: float, where: str) -> float:
    """The value as its parameter wants it: int or float."""
    if name not in PARAMETERS:
        known = f"a sweep can set {', '.join(PARAMETERS)}{meant(name, PARAMETERS)}"
        raise SweepError(f"{where}: unknown parameter {name!r}; {known}")
    try:
        _number(value)
    except ValueError as error:
        raise SweepError(f"{where}: {value!r} is {error}") from error
    kind = PARAMETERS[name][1]
    if value != kind(value):
        raise SweepError(f"{where}: {name} takes whole numbers, not {value}")
    return kind(value)


def _distribution(name: str, parameter: _Parameter, where: str) -> BaseDistribution:
    if parameter.choices is not None:
        return CategoricalDistribution([typed(name, value, f"{where}.values") for value in parameter.choices])
    low, high = typed(name, parameter.min, f"{where}.min"), typed(name, parameter.max, f"{where}.max")
    step = {"int_uniform": 1, "uniform": None, "log_uniform_values": None}.get(parameter.kind, parameter.q)
    log = "log" in parameter.kind
    if step is not None and any(abs(end / step - round(end / step)) > 1e-9 for end in (low, high)):
        # Weights & Biases rounds to multiples of q, Optuna steps from the lower end: the same for multiples only.
        raise SweepError(f"{where}: min and max have to be multiples of q {step}")
    if PARAMETERS[name][1] is float:
        if log and step is not None:
            raise SweepError(f"{where}.distribution: {parameter.kind} is for whole numbers; use log_uniform_values")
        return FloatDistribution(low, high, log=log, step=step)
    if step is None:
        other = "q_log_uniform_values with q: 1" if log else "int_uniform"
        raise SweepError(f"{where}.distribution: {name} takes whole numbers, not {parameter.kind}; use {other}")
    if log and step != 1:
        raise SweepError(f"{where}.q: Optuna has q_log_uniform_values for q 1 only")
    return IntDistribution(low, high, log=log, step=typed(name, step, f"{where}.q"))


def _parts(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    parts: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        parts.setdefault(PARAMETERS[name][0], {})[name] = value
    return parts


def parameters_of(config: RunConfig) -> dict[str, float]:
    """What a sweep can set, as a run has it."""
    return {name: getattr(getattr(config, part), name) for name, (part, _) in PARAMETERS.items()}
