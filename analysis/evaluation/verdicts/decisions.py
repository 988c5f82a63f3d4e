"""From comparisons to verdicts: what a part and a verdict are, how parts decide, and Holm's correction."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from analysis.evaluation.verdicts.intervals import LEVEL, Estimate, Side

ALPHA = 1 - LEVEL
FACTOR = 1.1
"""The smallest ratio of two mean squared errors that counts."""

Decision = Literal["confirmed", "rejected", "undecided"]
Family = Literal["claim", "controls", "sizes", "parameters"]


@dataclass(frozen=True)
class Part:
    """One of the comparisons that a claim is made of.

    `effect`, `interval` and `threshold` are in the unit of the verdict (`unit`); the claim is that the effect lies on
    `side` of the threshold. `p_confirmed` and `p_rejected` are twice the one-sided p-values for and against it, not
    corrected; `verdict` is what Holm's correction over the part's family leaves. The claim's verdict follows from the
    parts of the family "claim"; "controls", "sizes" and "parameters" are shown beside them.
    """

    name: str
    effect: float
    interval: tuple[float, float]
    threshold: float
    side: Side
    unit: str
    p_confirmed: float
    p_rejected: float
    family: Family = "claim"
    verdict: Decision = "undecided"


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    - `claim` is a key of `CLAIMS`; `protocol` "held_out", "as_reported" or "independent".
    - `verdict` is at the claim's own level. `rule` is how it was decided: the docstring's paragraph.
    - `effect` and `interval`, with `level`, are in `unit`: "ratio" (of errors or of times, of the first configuration
      to the second, geometric mean over seeds and sizes), "spread_ratio", "odds_ratio" or "correlation". Of a claim
      with several parts they are those of the least favourable one. The claim is that the effect lies on `side` of the
      `threshold`.
    - `p` is of the direction in which the evidence points: the smallest 1 − level at which the verdict would still be
      decided that way. `p_in_table` is corrected by Holm over a table of verdicts; NaN before `together`.
    - `n_molecules` counts the molecules whose errors the effect follows from, 0 if it follows from none.
    - `parts` are the comparisons that the claim consists of, and others of interest; `details` are further numbers.
    """

    claim: str
    protocol: str
    verdict: Decision
    effect: float
    interval: tuple[float, float]
    unit: str
    threshold: float
    side: Side
    p: float
    n_seeds: int
    n_molecules: int
    rule: str
    level: float = LEVEL
    parts: tuple[Part, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)
    p_in_table: float = np.nan

    @property
    def no_difference(self) -> bool:
        """Whether every ratio that the claim consists of is within a tenth of 1, by its interval.

        Two one-sided tests for equivalence (Schuirmann, J. Pharmacokin. Biopharm. 15, 657 (1987)) with the margin
        `FACTOR` on either side, each at the level of a verdict.
        """
        deciding = [part for part in self.parts if part.family == "claim"]
        inside = (part.interval[0] > 1 / FACTOR and part.interval[1] < FACTOR for part in deciding)
        return bool(deciding) and all(part.unit == "ratio" for part in deciding) and all(inside)

    @property
    def verdict_in_table(self) -> Decision:
        """The verdict, if it survives the correction over its table; else "undecided"."""
        return self.verdict if self.p_in_table <= 1 - self.level else "undecided"


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected for their number: float [n], in the order given (Holm, Scand. J. Stat. 6, 65 (1979))."""
    given = np.asarray(p, dtype=float)
    order = np.argsort(given, kind="stable")
    corrected = np.empty(len(given))
    corrected[order] = np.minimum(1, np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)))
    return corrected


def together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts, corrected by Holm over all of them: see `Verdict.verdict_in_table`."""
    corrected = holm([verdict.p for verdict in verdicts])
    return [replace(verdict, p_in_table=float(p)) for verdict, p in zip(verdicts, corrected, strict=True)]


def part_of(
    name: str,
    estimate: Estimate,
    threshold: float,
    side: Side,
    unit: str,
    *,
    p_chance: float = 0.0,
    family: Family = "claim",
) -> Part:
    """A comparison of an estimate with a threshold; `p_chance` is a second p-value that confirming has to pass."""
    other: Side = "below" if side == "above" else "above"

    def shown(value: float) -> float:
        return float(np.clip(value, -1, 1) if unit == "correlation" else np.exp(value))

    low, high = estimate.interval()
    return Part(
        name=name,
        effect=shown(estimate.value),
        interval=(shown(low), shown(high)),
        threshold=shown(threshold),
        side=side,
        unit=unit,
        p_confirmed=min(1.0, max(estimate.p(threshold, side), p_chance)),
        p_rejected=estimate.p(threshold, other),
        family=family,
    )


def judge(
    function: Callable,
    protocol: str,
    counts: tuple[int, int],
    parts: Sequence[Part],
    details: Mapping[str, float] | None = None,
    *,
    suffix: str = "",
) -> Verdict:
    """Confirmed if every part of the claim is; rejected if one is, after Holm. Every family is corrected by itself.

    `function` is the claim's test: its docstring holds the rule, and its name, with `suffix`, is the claim's. `counts`
    are the numbers of seeds and of molecules.
    """
    families = dict.fromkeys(part.family for part in parts)
    decided = {family: _decided([part for part in parts if part.family == family]) for family in families}
    deciding = decided["claim"]
    p_confirmed = max(part.p_confirmed for part in deciding)
    p_rejected = float(holm([part.p_rejected for part in deciding]).min())
    worst = min(deciding, key=lambda part: (part.p_rejected, -part.p_confirmed))
    return Verdict(
        claim=function.__name__ + suffix,
        protocol=protocol,
        verdict="confirmed" if p_confirmed <= ALPHA else "rejected" if p_rejected <= ALPHA else "undecided",
        effect=worst.effect,
        interval=worst.interval,
        unit=worst.unit,
        threshold=worst.threshold,
        side=worst.side,
        p=min(p_confirmed, p_rejected),
        n_seeds=counts[0],
        n_molecules=counts[1],
        rule=rule_of(function),
        parts=tuple(part for of_family in decided.values() for part in of_family),
        details={key: float(value) for key, value in (details or {}).items()},
    )


def _decided(family: Sequence[Part]) -> list[Part]:
    """The parts of a family with their verdicts, corrected by Holm over it."""
    corrected = holm([min(part.p_confirmed, part.p_rejected) for part in family])
    return [
        replace(
            part,
            verdict="undecided" if p > ALPHA else "confirmed" if part.p_confirmed < part.p_rejected else "rejected",
        )
        for part, p in zip(family, corrected, strict=True)
    ]


def rule_of(function: Callable) -> str:
    """The paragraph of a test's docstring that begins with "Rule:", in one line and without that word."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    rule = next((each for each in paragraphs if each.startswith("Rule:")), None)
    if rule is None:
        raise ValueError(f"the docstring of {function.__name__} has no paragraph that begins with 'Rule:'")
    return " ".join(rule.removeprefix("Rule:").split())
