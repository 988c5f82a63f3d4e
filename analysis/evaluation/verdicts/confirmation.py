"""The claims judged once more, as was preregistered: new seeds, both protocols, both ends of a training."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from analysis.data import thesis
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.evaluation.verdicts.claims import INDEPENDENT
from analysis.evaluation.verdicts.curves import curves_of, estimates, log_ratios
from analysis.evaluation.verdicts.decisions import ALPHA, Verdict, holm, part_of
from analysis.evaluation.verdicts.intervals import RESAMPLES
from analysis.evaluation.verdicts.table import CLAIMS, OURS, Claim, Evidence, all_claims
from analysis.runs.arms import Arms
from analysis.runs.measured import Frozen, read
from analysis.runs.records import ENDS, End, Record, results_folder

REGISTERED = "fb30abc591ac6e1a8a70550087f1c9c9fcfbaf48"
"""The commit since which the plan is as it is; every run of it is younger."""
_NOT_AGAIN = ("run_time", "stage2")  # times of runs beside others'; another search

CLAIMED: Mapping[str, Claim] = MappingProxyType(
    {name: claim for name, claim in {**CLAIMS, **OURS}.items() if name not in _NOT_AGAIN}
)
"""Every claim that is judged again, by its key: the report's, then ours."""


class Power(Frozen):
    """How probably one comparison of a claim is decided, from the spread of the records that were there.

    The effect is a logarithm of a ratio, or a correlation; `deviation` is that between seeds and `molecules` the
    standard error that the held-out molecules add. `chances` has, for so many seeds, the chance of "confirmed" and of
    "rejected" if the effect is what the old records say.
    """

    part: str
    end: End
    effect: float
    threshold: float
    side: Literal["below", "above"]
    deviation: float
    molecules: float
    chances: dict[str, tuple[float, float]]


class Planned(Frozen):
    """A claim as it was preregistered: its rule, word for word, and what it is judged by."""

    section: str
    said: str
    rule: str
    protocols: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    note: str = ""
    power: tuple[Power, ...] = ()


class Plan(Frozen):
    """The preregistration: what is asked of which runs, and how it is decided.

    `thresholds` are the constants of the rules by name; `failures` say, by claim, which outcome would count against our
    own explanation of the report's curves.
    """

    schema_version: Literal[1] = 1
    experiment: str
    settled: float
    seeds: tuple[int, ...]
    splits: tuple[int, ...]
    split_seeds: tuple[int, ...]
    thresholds: dict[str, float]
    claims: dict[str, Planned]
    failures: dict[str, str]


class PlanError(UserError, RuntimeError):
    """There is no preregistration, or it was damaged; the message names the file."""


def plan_path() -> Path:
    """Where the preregistration lies."""
    return results_folder() / "preregistration" / "plan.json"


def load_plan(path: str | os.PathLike[str] | None = None) -> Plan:
    """Read the preregistration; raises PlanError if it is missing or damaged."""
    return read(path or plan_path(), Plan, PlanError, "git checkout -- results/preregistration")


def judged(
    arms: Arms[Record], molecules: Molecules, claims: Collection[str] = CLAIMED.keys()
) -> dict[End, list[Verdict]]:
    """The verdicts of claims by end of the training, each end's corrected together (see `decisions.together`).

    `arms` are those of the experiment `confirmation` on one split, `claims` keys of `CLAIMED`, by default all. What
    depends on no protocol follows from the course of the training alone and is judged at its last step; but for
    `means_alone`, which is judged at both.
    """
    found = {}
    chosen = {name: claim for name, claim in CLAIMED.items() if name in claims}
    names = {name for claim in chosen.values() for name in claim.experiments}
    for end in ENDS:
        asked = {
            name: claim
            for name, claim in chosen.items()
            if end == "last" or name in OURS or claim.protocols != (INDEPENDENT,)
        }
        found[end] = all_claims(Evidence(dict.fromkeys(names, arms.at(end)), molecules), asked)
    return found


def judged_on_splits(plan: Plan, arms: Arms[Record], molecules: Molecules) -> dict[int, dict[End, list[Verdict]]]:
    """The verdicts on each further split of the plan, of the claims all of whose arms are trained on it."""
    found = {}
    for split in plan.splits:
        of_split = arms.on(split)
        claims = [name for name, planned in plan.claims.items() if set(planned.arms) <= of_split.keys()]
        found[split] = judged(of_split, molecules, claims)
    return found


def sizes_apart(
    arms: Arms[Record],
    first: str,
    other: str,
    sizes: Collection[int] = thesis.COMMON_SIZES,
    *,
    end: End = "settled",
    resamples: int = RESAMPLES,
) -> tuple[list[int], list[int]]:
    """The sizes at which an arm's error over held-out molecules is surely below another's, and those where it is above.

    That is at the level of a verdict, after Holm's correction over the sizes. It is no claim, and none was registered.
    """
    at_end = arms.at(end)
    curves = curves_of([at_end[first], at_end[other]], "size", sizes, "held_out", resamples)
    found = estimates(curves, lambda logs: log_ratios(logs)[..., 0, :])
    parts = [
        part_of(f"size_{size}", estimate, 0.0, "below", "ratio")
        for size, estimate in zip(curves.groups, found, strict=True)
    ]
    sure = holm([min(part.p_confirmed, part.p_rejected) for part in parts]) <= ALPHA
    below = [part.effect < 1 for part in parts]
    return (
        [size for size, is_sure, is_below in zip(curves.groups, sure, below, strict=True) if is_sure and is_below],
        [size for size, is_sure, is_below in zip(curves.groups, sure, below, strict=True) if is_sure and not is_below],
    )


def failed(plan: Plan, found: Mapping[End, Sequence[Verdict]]) -> dict[str, tuple[End, ...]]:
    """The ends at which each of the plan's failures of our own explanation came about; none: it did not.

    A failure's first word is the verdict that it fails with. It counts at the claim's own level, without the correction
    over the table, and not where each set keeps its own mean: there the curves are the ones that we explain.
    """
    return {
        name: tuple(
            end
            for end, verdicts in found.items()
            if any(
                verdict.claim == name and verdict.protocol != "as_reported" and verdict.verdict == said.split()[0]
                for verdict in verdicts
            )
        )
        for name, said in plan.failures.items()
    }


def planned_chance(planned: Planned, end: End) -> float | None:
    """The least chance with which a claim is decided at an end, if the effects are those of the first records.

    All of its comparisons have to be confirmed, or one of them rejected; None for a claim without a power of its own.
    """
    of_end = [one.chances[str(len(planned.seeds))] for one in planned.power if one.end == end]
    if not of_end:
        return None
    confirmed, rejected = zip(*of_end, strict=True)
    return max(min(confirmed), max(rejected))
