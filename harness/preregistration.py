"""Writes the preregistration: ``python -m harness.preregistration``, once, before the first of its runs.

Rules, thresholds and arms are read from the code as it stands; the power is computed from the spread between the seeds
that were there, as they are for the last end of a training, and for the settled end with the error per atom taken out
that a whole run has in common: fitted on one half of the held-out molecules and judged on the other, since no run had
a settled end yet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import typer
from scipy import stats

from analysis import study
from analysis.data import qm9, statistics, thesis
from analysis.data.molecules import Molecules
from analysis.evaluation.verdicts import claims, confirmation
from analysis.evaluation.verdicts.curves import LEAST_MOLECULES, curves_of, frequency_of, log_ratios
from analysis.evaluation.verdicts.decisions import ALPHA, FACTOR, Verdict, rule_of
from analysis.evaluation.verdicts.intervals import LEVEL, RESAMPLES, Side, spearman
from analysis.runs import measured
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.records import Record, results_folder
from analysis.study.experiments import BEST_TRIED, ConfirmationParameters

SEEDS = (4, 8, 12, 16)
_ABOVE = range(thesis.LARGE + 1, thesis.COMMON_SIZES.stop)
_CAP, _DIRECTED, _UNWEIGHTED = Arm("cap", thesis.CAPS[0]), Arm("more than", thesis.LARGE), Arm("unweighted")


def _control(arm: Arm, *, same_updates: bool = False) -> Arm:
    return Arm(arm.role, arm.value, random=True, same_updates=same_updates)


def _longer(arm: Arm) -> Arm:
    return Arm(arm.role, arm.value, same_updates=True)


ARMS: dict[str, tuple[Arm, ...]] = {
    "h1": (DEFAULT,),
    "h2": (DEFAULT,),
    "h3": (_CAP, _control(_CAP)),
    "threshold_2000": (_CAP, DEFAULT, _control(_CAP)),
    "threshold_2000_same_updates": (_longer(_CAP), DEFAULT),
    "best_rate_size": (Arm("size", thesis.BEST_RATE), _UNWEIGHTED, Arm("size", BEST_TRIED)),
    "best_rate_size_frequency": (Arm("size-frequency", thesis.BEST_RATE), _UNWEIGHTED),
    "h4": (_DIRECTED, DEFAULT, _control(_DIRECTED)),
    "h4_same_updates": (_longer(_DIRECTED), DEFAULT, _control(_DIRECTED, same_updates=True)),
    "directed_by_size": (_DIRECTED, DEFAULT),
    "general_mse": (CUSTOM, DEFAULT),
    "custom_by_size": (CUSTOM, DEFAULT),
    "convergence": (CUSTOM, DEFAULT),
    "stability": (CUSTOM, DEFAULT),
    "directed_crossing": (_longer(_DIRECTED), DEFAULT),
    "means_alone": (DEFAULT,),
}
"""What each claim is judged by; a test holds it against what the rules look up."""

NOTES = {
    "best_rate_size": f"Of the other rates only {BEST_TRIED:g}, the best of those tried, is trained: that rate or the "
    "unmodified loss can reject the claim; confirmed, it would hold against these two alone.",
    "best_rate_size_frequency": "Of the other rates only 0 is trained, since 10 itself had the smallest validation "
    "error of those tried; confirmed, the claim would hold against the unmodified loss alone.",
}
FAILURES = {
    "h1": "confirmed on held-out molecules at either end: the network itself would then make the valley of Figure 3",
    "custom_by_size": "confirmed on held-out molecules at either end: Figure 10's crossing would be the networks'",
    "directed_by_size": "confirmed on held-out molecules at either end: Figure 9's crossing would be the networks'",
    "directed_crossing": "confirmed on held-out molecules at either end: beside the crossing at 19 atoms that the "
    "means make there would be a real one, and the place of a crossing would no longer tell the two apart",
    "means_alone": "rejected at either end: the means would not order the curve that they are said to make",
}


@dataclass(frozen=True)
class Compared:
    """A comparison whose power is asked: of which arms, over which groups, and what is made of the logarithms."""

    claim: str
    part: str
    arms: tuple[Arm, ...]
    groups: Sequence
    statistic: Callable[[np.ndarray], np.ndarray]  # of [..., G, C, S], gives [..., S]
    threshold: float
    side: Side
    kind: str = "size"
    molecules: Molecules | None = None  # where the kind is "element"


def _ratio(claim: str, part: str, one: Arm, two: Arm, groups: Sequence, side: Side, *, by: float = 1.0) -> Compared:
    threshold = by * claims.LOG_FACTOR * (1 if side == "above" else -1)
    return Compared(
        claim, part, (one, two), groups, lambda logs: log_ratios(logs)[..., 0, :].mean(axis=-2), threshold, side
    )


def comparisons(frequency: pd.Series, molecules: Molecules) -> Iterator[Compared]:
    """The deciding comparisons of the claims; of those by size, either side as a whole and the sizes next to 19."""
    sizes = np.array(thesis.COMMON_SIZES)
    counts = frequency.loc[sizes].to_numpy()
    rarest = statistics.ELEMENTS.index("F")
    others = [place for place in range(len(statistics.ELEMENTS)) if place != rarest]
    yield Compared(
        "h1", "frequency", (DEFAULT,), sizes, lambda logs: spearman(counts, logs[..., 0, :]), -claims.CLEAR, "below"
    )
    yield Compared(
        "h2",
        "rarest_element",
        (DEFAULT,),
        statistics.ELEMENTS,
        lambda logs: logs[..., rarest, 0, :] - logs[..., others, 0, :].mean(axis=-2),
        claims.LOG_FACTOR,
        "above",
        "element",
        molecules,
    )
    yield Compared(
        "h3",
        "random",
        (_CAP, _control(_CAP)),
        sizes,
        lambda logs: -np.diff(np.log(logs.std(axis=-3)), axis=-2)[..., 0, :],
        -claims.LOG_FACTOR,
        "below",
    )
    above_cap = range(thesis.CAP_HELPS_ABOVE + 1, thesis.COMMON_SIZES.stop)
    yield _ratio("threshold_2000", "baseline", _CAP, DEFAULT, above_cap, "below")
    yield _ratio("threshold_2000_same_updates", "baseline", _longer(_CAP), DEFAULT, above_cap, "below")
    shown = range(thesis.LARGE + 1, thesis.MODIFIED_SIZES[1] + 1)
    rate = Arm("size", thesis.BEST_RATE)
    yield _ratio("best_rate_size", "rate_0", rate, _UNWEIGHTED, shown, "below")
    yield _ratio("best_rate_size", f"rate_{BEST_TRIED:g}", rate, Arm("size", BEST_TRIED), shown, "below", by=0)
    rate = Arm("size-frequency", thesis.BEST_RATE)
    yield _ratio("best_rate_size_frequency", "rate_0", rate, _UNWEIGHTED, shown, "below")
    for claim, longer in (("h4", False), ("h4_same_updates", True)):
        arm = _longer(_DIRECTED) if longer else _DIRECTED
        yield _ratio(claim, "baseline", arm, DEFAULT, _ABOVE, "below")
        yield _ratio(claim, "random", arm, _control(_DIRECTED, same_updates=longer), _ABOVE, "below")
    over, under = range(thesis.CROSSOVER + 1, thesis.COMMON_SIZES.stop), range(10, thesis.CROSSOVER)
    by_size = {"directed_by_size": _DIRECTED, "custom_by_size": CUSTOM, "directed_crossing": _longer(_DIRECTED)}
    for claim, arm in by_size.items():
        yield _ratio(claim, "sizes_above", arm, DEFAULT, over, "below")
        yield _ratio(claim, "sizes_below", arm, DEFAULT, under, "above")
        if claim != "directed_crossing":
            yield _ratio(claim, "size_20", arm, DEFAULT, [20], "below")
            yield _ratio(claim, "size_18", arm, DEFAULT, [18], "above")
    yield replace(_ratio("general_mse", "default", CUSTOM, DEFAULT, ["all"], "above"), kind="all")


def powers(compared: Compared, arms: Arms[Record]) -> Iterator[confirmation.Power]:
    """The power of a comparison at both ends, on held-out molecules."""
    for end, change in (("last", lambda record: record), ("settled", without_common_error)):
        of_arms = [[change(record) for record in arms[arm]] for arm in compared.arms]
        groups, molecules = list(compared.groups), compared.molecules
        curves = curves_of(of_arms, compared.kind, groups, "held_out", RESAMPLES, molecules=molecules)
        of_seeds = compared.statistic(curves.logs)
        of_molecules = float(compared.statistic(curves.draws).mean(axis=-1).std(ddof=1))
        effect, deviation = float(of_seeds.mean()), float(of_seeds.std(ddof=1))
        yield confirmation.Power(
            part=compared.part,
            end=end,
            effect=round(effect, 4),
            threshold=round(compared.threshold, 4),
            side=compared.side,
            deviation=round(deviation, 4),
            molecules=round(of_molecules, 4),
            chances={
                str(n): chances(effect, compared.threshold, compared.side, deviation, of_molecules, n) for n in SEEDS
            },
        )


def chances(
    effect: float, threshold: float, side: Side, deviation: float, molecules: float, seeds: int
) -> tuple[float, float]:
    """The chances of "confirmed" and "rejected": Student's noncentral t with the seeds' degrees of freedom."""
    error = np.hypot(deviation / np.sqrt(seeds), molecules)
    beyond = (effect - threshold) * (1 if side == "above" else -1) / error
    critical = stats.t.ppf(1 - ALPHA / 2, seeds - 1)
    confirmed, rejected = (float(stats.nct.sf(critical, seeds - 1, towards)) for towards in (beyond, -beyond))
    return round(confirmed, 3), round(rejected, 3)


def without_common_error(record: Record) -> Record:
    """Half of the held-out molecules, without the error per atom that those above 17 atoms of the other half have."""
    errors = record.errors
    fitted_on = errors["index"].to_numpy() % 2 == 0
    sizes, e = errors["n_atoms"].to_numpy(dtype=float), errors["error"].to_numpy(dtype=float)
    large = fitted_on & (sizes > thesis.LARGE)
    per_atom = e[large] @ sizes[large] / (sizes[large] @ sizes[large])
    return replace(record, errors=errors.assign(error=e - per_atom * sizes)[~fitted_on])


def seen(molecules: Molecules) -> Arms[Record]:
    """The arms of the experiments that were there, under the names that they have in the new one."""
    names = ("balancing", "loss-modification", "directed-training", "final-comparison")
    found: dict[Arm, list[Record]] = {}
    for name in names:
        found |= study.recorded(study.EXPERIMENTS[name](), molecules)
    return Arms("the experiments before", found)


def plan(molecules: Molecules) -> confirmation.Plan:
    """The preregistration as code and records have it."""
    arms, asked = seen(molecules), ConfirmationParameters()
    found: dict[str, list[confirmation.Power]] = {}
    for compared in comparisons(frequency_of(arms[DEFAULT][0], "size"), molecules):
        found.setdefault(compared.claim, []).extend(powers(compared, arms))
        typer.echo(f"{compared.claim}, {compared.part}")
    planned = {}
    for name, claim in confirmation.CLAIMED.items():
        planned[name] = confirmation.Planned(
            section=claim.section,
            said=claim.said,
            rule=rule_of(rule_function(name)),
            protocols=claim.protocols,
            arms=tuple(map(str, ARMS[name])),
            seeds=tuple(asked.seeds),
            note=NOTES.get(name, ""),
            power=tuple(found.get(name, ())),
        )
    return confirmation.Plan(
        experiment=asked.experiment,
        settled=asked.settled,
        seeds=tuple(asked.seeds),
        splits=tuple(asked.splits),
        split_seeds=tuple(asked.split_seeds),
        thresholds=thresholds(),
        claims=planned,
        failures=FAILURES,
    )


def thresholds() -> dict[str, float]:
    """The constants of the rules."""
    return {
        "factor": FACTOR,
        "clear_correlation": claims.CLEAR,
        "nearly_one_order": claims.NEARLY,
        "settled_curve": claims.SETTLED,
        "level": LEVEL,
        "least_molecules": float(LEAST_MOLECULES),
        "equivalence_margin": FACTOR,
    }


def rule_function(claim: str) -> Callable[..., Verdict]:
    """The test of a claim, whose docstring holds its rule."""
    name = claim.removesuffix("_same_updates")
    return getattr(claims, "best_rate" if name.startswith("best_rate") else name)


def main() -> None:
    """Write the plan; refused once one of its runs is recorded."""
    path = confirmation.plan_path()
    if any((results_folder() / ConfirmationParameters.experiment).glob("[0-9a-f]*")):
        typer.echo(f"error: runs of the plan are recorded: {path} must not change any more", err=True)
        raise typer.Exit(1)
    path.parent.mkdir(exist_ok=True)
    measured.write(path, plan(qm9.load()))


if __name__ == "__main__":
    typer.run(main)
