"""Every claim of the report with its section and the records it needs; and the table of all verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.data.molecules import Molecules
from analysis.evaluation.verdicts import claims
from analysis.evaluation.verdicts.curves import PROTOCOLS
from analysis.evaluation.verdicts.decisions import Decision, Verdict, together
from analysis.runs.arms import Arms
from analysis.runs.records import Record

Outcome = Literal["stands", "falls", "open"]


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by: the records of experiments by their names, the database, the search's second stage.

    Of that stage `trials` are all trials, or None, and `repeats` the records of its points that were run in several
    seeds. These differ in the seed alone and are trained as the trials are, with one batch size, learning rate and
    number of epochs, which the final comparison's runs, the other candidates, are not. (Settled before any trial of the
    stage was looked at.) One of the points was chosen for its loss in one seed, which makes the deviation larger if
    anything: that favours the claim.
    """

    records: Mapping[str, Arms[Record]]
    molecules: Molecules
    trials: pd.DataFrame | None = None
    repeats: Sequence[Sequence[Record]] = ()


@dataclass(frozen=True)
class Claim:
    """A claim of the report.

    `section` is where the report makes it, and `said` what the report concludes ("partly": confirmed in part;
    "nothing": the claim is ours).
    `control` marks what the report does not say itself: its claim once more, with the number of updates held fixed.
    `experiments` are those whose records it needs, `needs_trials` whether it needs the trials of the search's second
    stage and its repeats, and `protocols` those under which `test` judges it.
    """

    section: str
    said: Literal["confirmed", "rejected", "partly", "nothing"]
    experiments: tuple[str, ...]
    test: Callable[[Evidence, str], Verdict]
    protocols: tuple[str, ...] = PROTOCOLS
    needs_trials: bool = False
    control: bool = False

    def outcome(self, decision: Decision) -> Outcome:
        """What becomes of the report's conclusion: one that discards a claim stands where the claim is rejected."""
        if decision == "undecided":
            return "open"
        return "stands" if (decision == "confirmed") == (self.said != "rejected") else "falls"


def _claim(
    section: str,
    said: str,
    experiment: str,
    test: Callable[..., Verdict],
    *,
    control: bool = False,
    **settings: object,
) -> Claim:
    """A claim whose test takes one experiment's records and a protocol."""

    def judged(evidence: Evidence, protocol: str) -> Verdict:
        return test(evidence.records[experiment], protocol=protocol, **settings)

    return Claim(section, said, (experiment,), judged, control=control)


def _independent(section: str, said: str, experiment: str, test: Callable[[Arms[Record]], Verdict]) -> Claim:
    """A claim whose test takes one experiment's records and no protocol."""
    protocols = (claims.INDEPENDENT,)
    return Claim(section, said, (experiment,), lambda evidence, _: test(evidence.records[experiment]), protocols)


CLAIMS: Mapping[str, Claim] = {
    "h1": _claim("5.3.1", "confirmed", "baseline", claims.h1),
    "h2": Claim(
        "5.3.1",
        "confirmed",
        ("baseline",),
        lambda evidence, protocol: claims.h2(evidence.records["baseline"], evidence.molecules, protocol),
    ),
    "h3": _claim("5.3.2", "rejected", "balancing", claims.h3),
    "threshold_2000": _claim("5.3.2", "confirmed", "balancing", claims.threshold_2000),
    "threshold_2000_same_updates": _claim(
        "5.3.2", "confirmed", "balancing", claims.threshold_2000, longer=True, control=True
    ),
    "best_rate_size": _claim("5.3.4", "confirmed", "loss-modification", claims.best_rate, weighting="size"),
    "best_rate_size_frequency": _claim(
        "5.3.4", "confirmed", "loss-modification", claims.best_rate, weighting="size-frequency"
    ),
    "h4": _claim("5.3.4", "partly", "directed-training", claims.h4),
    "h4_same_updates": _claim("5.3.4", "partly", "directed-training", claims.h4, longer=True, control=True),
    "directed_by_size": _claim("5.3.4", "confirmed", "directed-training", claims.directed_by_size),
    "general_mse": _claim("5.3.4", "confirmed", "final-comparison", claims.general_mse),
    "custom_by_size": _claim("5.3.4", "confirmed", "final-comparison", claims.custom_by_size),
    "run_time": _independent("5.3.4", "confirmed", "final-comparison", claims.run_time),
    "convergence": _independent("5.3.4", "confirmed", "final-comparison", claims.convergence),
    "stability": _independent("5.3.4", "confirmed", "final-comparison", claims.stability),
    "stage2": Claim(
        "5.2.1",
        "confirmed",
        (),
        lambda evidence, _: claims.stage2(evidence.trials, claims.seed_deviation(evidence.repeats)),
        ("held_out",),
        needs_trials=True,
    ),
}
"""Every claim of the report that is judged, each with its control if it has one, by its key, in the report's order."""

OURS: Mapping[str, Claim] = {
    "directed_crossing": _claim("", "nothing", "confirmation", claims.directed_crossing),
    "means_alone": _independent("", "nothing", "confirmation", claims.means_alone),
}
"""What we expect or fear ourselves, preregistered with the report's claims: either can fail our explanation."""


def all_claims(evidence: Evidence, asked: Mapping[str, Claim] | None = None) -> list[Verdict]:
    """The verdicts of claims, by default of `CLAIMS`, under each of their protocols, corrected together.

    A claim whose experiments or trials are not in the evidence is left out. Errors are those of the claims' tests.
    """
    judged = [
        claim.test(evidence, protocol)
        for claim in (CLAIMS if asked is None else asked).values()
        if set(claim.experiments) <= evidence.records.keys()
        and (not claim.needs_trials or (evidence.trials is not None and evidence.repeats))
        for protocol in claim.protocols
    ]
    return together(judged)
