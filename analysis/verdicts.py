"""The statistical test behind each claim of the report: confirmed, rejected or undecided.

Every rule was written before the records that it judges were looked at. A rule stands in its function's docstring, in
the paragraph that begins with "Rule:", and `Verdict.rule` is that paragraph.

**What is estimated.** Effects are mean values over seeds of one number per seed: the logarithm of a ratio of mean
squared errors, or a rank correlation. Two configurations are compared seed by seed and molecule by molecule, since
both see the same held-out molecules.

**Intervals.** All seeds of a study share the held-out molecules. Which molecules those are is thus noise that all
seeds have in common: it does not show in the spread over seeds, and a t interval over seeds leaves it out. The
percentile bootstrap of a few seeds, on the other hand, is too narrow. So the variance of an effect is the sum of two:
that over seeds (their variance over their number) and that over molecules (the bootstrap variance of the mean over
seeds, with the molecules of every size resampled, the same ones for all seeds and configurations, as in Owen, Ann.
Appl. Stat. 1, 386 (2007)). What seeds and molecules do together is counted in both, which errs on the safe side. The
interval is Student's, with the degrees of freedom of Welch and Satterthwaite (Satterthwaite, Biometrics Bulletin 2,
110 (1946)). Molecules are resampled with exponential weights (Rubin, Ann. Stat. 9, 130 (1981)), so that no size loses
all of its molecules.

*Measured* on synthetic log ratios, 1,000 for each of 48 cases (3 and 5 seeds; 40, 100 and 400 molecules; seeds that
differ by 0 to 30 %; errors with the tails of Student's t with 5 degrees of freedom; molecules that are hard for one of
the two configurations in every seed, or are not), an interval of 95 % misses the truth in

| interval | 3 seeds | 5 seeds |
| --- | --- | --- |
| Student's t over seeds alone | 4 to 27 % | 4 to 49 % |
| percentile bootstrap of seeds and molecules | 1 to 15 % | 1 to 11 % |
| the one used here | 1 to 7 % | 1 to 8 % |

with the largest values for 40 molecules. One seed gives an infinite interval.

**Protocols.** `held_out` has an error per held-out molecule. `as_reported` is known as sums over each set alone; only
seeds vary, and its sets are all molecules of QM9 of a size or with an element, of which none is drawn. Where a claim is
about neither, its protocol is `independent`.

**Decisions.** A claim is confirmed if the interval of 95 % lies wholly on its side of a threshold, rejected if it lies
wholly on the other, else undecided. The threshold is a factor of 1.1 in the mean squared error, in the direction that
the report says: a difference of a tenth is what the hyperparameter search calls too small to count
(`search.TOLERANCE`), and a claim of an improvement that is smaller says nothing to a user. Each direction errs in 2.5 %
of the cases at the threshold itself, and less often away from it.

**Several comparisons in a claim.** A claim that has several parts is confirmed if each part is, without a correction
(an intersection-union test: Berger, Technometrics 24, 295 (1982)), and rejected if at least one part is, after Holm's
correction over its parts (Holm, Scand. J. Stat. 6, 65 (1979)). What is said of a single part (`Part.verdict`) is
corrected by Holm over the parts of its family.

**Several claims in a table.** Each verdict keeps its own level: a reader asks of one claim whether it holds. So of a
table of true nulls one in twenty would be decided. `together` therefore corrects by Holm over all verdicts that it is
given, and `Verdict.verdict_in_table` says which of them still stand.
"""

import inspect
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis import census, errors
from analysis.molecules import Molecules
from analysis.runs import Record

PROTOCOLS = ("held_out", "as_reported")
INDEPENDENT = "independent"
"""The protocol of claims that are about no error of a model."""

LEVEL = 0.95
FACTOR = 1.1
"""The smallest ratio of two mean squared errors that counts."""
CLEAR = 0.5
"""The smallest rank correlation that is called clear; see `h1`."""
SETTLED = 1.5
"""A learning curve has settled where it is at most so many times its last value."""
RESAMPLES = 1000
LEAST_MOLECULES = 10
"""Sizes with fewer held-out molecules are left out: resampling them says too little of their error."""

_PERMUTATIONS = 9999
_ALPHA = 1 - LEVEL
_FACTOR = float(np.log(FACTOR))
_BATCH = 50  # draws of all molecules' weights at a time: some MB

Decision = Literal["confirmed", "rejected", "undecided"]
Side = Literal["below", "above"]
Family = Literal["claim", "controls", "sizes", "parameters"]


# ---- what comes back -------------------------------------------------------------------------------------------------


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

    Attributes
    ----------
    claim
        A key of `CLAIMS`.
    protocol
        "held_out", "as_reported" or "independent".
    verdict
        "confirmed", "rejected" or "undecided", at the claim's own level.
    effect, interval
        In `unit`, the interval with `level`. Of a claim with several parts those of the least favourable one.
    unit
        "ratio" (of mean squared errors or of times, of the first configuration to the second, geometric mean over seeds
        and sizes), "spread_ratio" or "correlation".
    threshold, side
        The claim is that the effect lies on this side of the threshold.
    p
        Of the direction in which the evidence points: the smallest 1 − level at which the verdict would still be
        decided that way.
    n_seeds, n_molecules
        How many there were; molecules whose errors the effect follows from, 0 if it follows from none.
    rule
        How it was decided: the docstring's paragraph.
    parts
        The comparisons that the claim is made of, and others of interest.
    details
        Further numbers, by key.
    p_in_table
        After Holm's correction over a table of verdicts; NaN before `together`.
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
    details: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    p_in_table: float = np.nan

    @property
    def verdict_in_table(self) -> Decision:
        """The verdict, if it stands with all others of its table; else "undecided"."""
        return self.verdict if self.p_in_table <= 1 - self.level else "undecided"


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected for their number: float [n], in the order given (Holm, Scand. J. Stat. 6, 65 (1979))."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts, corrected by Holm over all of them: see `Verdict.verdict_in_table`."""
    corrected = holm([verdict.p for verdict in verdicts])
    return [replace(verdict, p_in_table=float(p)) for verdict, p in zip(verdicts, corrected, strict=True)]


# ---- hypotheses on the baseline --------------------------------------------------------------------------------------


def h1(
    baseline: Sequence[Record],
    protocol: str,
    *,
    sizes: Collection[int] = census.REPORT_COMMON_SIZES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """Hypothesis 1: sizes that few molecules have give poor results (section 5.3.1, Figure 3: "clear correlation").

    Rule: the effect is Spearman's correlation, over the sizes of 10 to 25 atoms, between the number of molecules and
    the mean squared error, mean over seeds. Confirmed if its interval lies wholly below −0.5 and the one-sided
    permutation test over sizes gives p ≤ 2.5 %; rejected if the interval lies wholly above −0.5; else undecided.

    A correlation of 0.5 is what Cohen (Statistical Power Analysis, 1988) calls large, and within rounding the smallest
    that 16 sizes tell from none (two-sided 5 %: 0.503). The interval holds what seeds and molecules do to the
    correlation over *these* sizes: no others are claimed. The permutation test asks whether sizes whose errors have
    nothing to do with their frequency would look like this. It takes sizes as exchangeable, which they are not if the
    error is a smooth function of the size: a curve with its minimum near the most frequent sizes correlates with the
    frequency, whatever its cause. So a confirmed correlation is no cause; `details` has the correlation of the error
    with the size itself beside it.

    *Measured*: of 400 nulls with errors that have nothing to do with the frequency, 3 seeds and 40 to 400 molecules per
    size, see the tests: at most 2.5 % are confirmed.

    Parameters
    ----------
    baseline
        Records of the baseline, one per seed; others are left out.
    protocol
        "held_out" or "as_reported".
    sizes
        Numbers of atoms; those with fewer than `LEAST_MOLECULES` held-out molecules are left out.
    resamples, seed
        Of the bootstrap and of the permutations.

    Raises
    ------
    ValueError
        There is no record of the baseline, fewer than three sizes are left, or there is no such protocol.
    """
    curves = _curves([_baseline(baseline)], "size", sizes, protocol, resamples, seed)
    if len(curves.groups) < 3:
        raise ValueError(f"a correlation over sizes needs three of them; there are {curves.groups}")
    frequency = _frequency(curves.first, "size").loc[curves.groups].to_numpy()
    estimate = _estimate(curves, lambda logs: _spearman(frequency, logs[..., 0, :]))[0]
    by_size = _estimate(curves, lambda logs: _spearman(np.array(curves.groups), logs[..., 0, :]))[0]
    chance = _permutation_p(frequency, curves.logs[:, 0], seed)
    part = _part("frequency", estimate, -CLEAR, "below", "correlation", p_chance=2 * chance)
    details = {"p_permutation": chance, "correlation_with_size": by_size.value, "sizes": len(curves.groups)}
    return _verdict(h1, "h1", protocol, curves, [part], details)


def h2(
    baseline: Sequence[Record], molecules: Molecules, protocol: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Verdict:
    """Hypothesis 2: elements that few molecules hold give poor results (section 5.3.1, Figure 4).

    Rule: the effect is the ratio of the mean squared error of the molecules with the rarest element (F) to the
    geometric mean of those of the other four elements. Confirmed if its interval lies wholly above 1.1, rejected if
    wholly below, else undecided. The correlation over elements between frequency and error is shown, and decides
    nothing: five points are too few.

    They are but four: H and C are held by all molecules, to two decimals (as in Table 1 of the report), so that their
    sets are one; elements of one frequency count as one point, with the mean of their logarithms. The smallest
    permutation p of four points is 1/24 = 4.2 %, that of the perfect inverse order, and the next 4/24 = 17 %: at the
    2.5 % of the other rules nothing could be confirmed. And even 4.2 % is too good, because the sets overlap: the rarer
    the element, the further its set strays from the mean of all. *Measured*: where N, O and F each multiply the error
    by a factor that has nothing to do with their frequency, the order is perfect in 10 % of the cases. `details` has
    the correlation and the permutation p.

    So what is judged is the one element that the hypothesis calls little represented, under which molecules with F are
    hard because they are few. Whether they are hard for another reason, no test on one element can tell.

    Parameters
    ----------
    baseline
        Records of the baseline, one per seed; others are left out.
    molecules
        The database of the runs: it says which molecule holds which elements.
    protocol
        "held_out" or "as_reported".
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        There is no record of the baseline, an element has too few held-out molecules, a held-out molecule is not in
        the database, or there is no such protocol.
    """
    arms = [_baseline(baseline)]
    curves = _curves(arms, "element", census.ELEMENTS, protocol, resamples, seed, molecules=molecules)
    if missing := sorted(set(census.ELEMENTS) - set(curves.groups)):
        raise ValueError(
            f"too few held-out molecules with {', '.join(missing)}: at least {LEAST_MOLECULES} are needed of each"
        )
    counts = _frequency(curves.first, "element").loc[curves.groups]
    whole = _frequency(curves.first, "all").loc["all"]
    frequency = np.round(counts.to_numpy() / whole, 2)
    rare = curves.groups.index(counts.idxmin())
    others = [place for place in range(len(curves.groups)) if place != rare]

    rarest = _estimate(curves, lambda logs: logs[..., rare, 0, :] - logs[..., others, 0, :].mean(axis=-2))[0]
    points = np.unique(frequency)
    means = np.array([curves.logs[frequency == point, 0].mean(axis=0) for point in points])
    chance = _permutation_p(points, means, seed)
    part = _part("rarest_element", rarest, _FACTOR, "above", "ratio")
    correlation = float(_spearman(points, means).mean())
    details = {"correlation": correlation, "p_permutation": chance, "points": len(points)}
    return _verdict(h2, "h2", protocol, curves, [part], details)


# ---- balancing -------------------------------------------------------------------------------------------------------


def h3(
    balancing: Sequence[Record],
    protocol: str,
    *,
    cap: int = 2000,
    sizes: Collection[int] = census.REPORT_COMMON_SIZES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """Hypothesis 3: as many molecules of every size make the results even (section 5.3.2, which discards it).

    Rule: the effect is the ratio of the spreads of the error over the sizes of 10 to 25 atoms (standard deviation of
    the logarithm of the mean squared error), training with at most 2,000 molecules per size over training with as many
    molecules drawn at random. Confirmed if its interval lies wholly below 1/1.1, rejected if wholly above, else
    undecided.

    The control of equal size makes as many updates, so that neither the number of molecules nor that of updates is in
    the effect. 2,000 is the cap that the report calls the most balanced. A spread that is a tenth smaller is the
    weakest reading of "even": what fails it fails every stronger one, and what passes it may still be far from even,
    which the effect tells. Noise of the molecules adds to both spreads and draws the ratio towards 1.

    Parameters
    ----------
    balancing
        Records of the balancing.
    protocol
        "held_out" or "as_reported".
    cap
        Molecules per size.
    sizes
        Numbers of atoms; those with fewer than `LEAST_MOLECULES` held-out molecules are left out.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        Records of the cap or of its control are missing, the two have no seed in common, or there is no such protocol.
    """
    arms = [_capped(balancing, cap), _capped(balancing, cap, random_control=True)]
    curves = _curves(arms, "size", sizes, protocol, resamples, seed)

    def log_spread(logs: np.ndarray) -> np.ndarray:
        return np.log(logs.std(axis=-3))

    estimate = _estimate(curves, lambda logs: log_spread(logs)[..., 0, :] - log_spread(logs)[..., 1, :])[0]
    part = _part("random", estimate, -_FACTOR, "below", "spread_ratio")
    spreads = np.exp(log_spread(curves.logs).mean(axis=-1)) / np.log(10)
    details = {"spread": spreads[0], "spread_random": spreads[1], "sizes": len(curves.groups)}
    return _verdict(h3, "h3", protocol, curves, [part], details)


def threshold_2000(
    balancing: Sequence[Record],
    protocol: str,
    *,
    cap: int = 2000,
    above: int = 18,
    longer: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """A cap of 2,000 molecules per size helps molecules of more than 18 atoms (section 5.3.2, Figure 6).

    Rule: the effect is the ratio of the mean squared errors, training with at most 2,000 molecules per size over the
    baseline, geometric mean over the sizes of 19 to 25 atoms. Confirmed if its interval lies wholly below 1/1.1,
    rejected if wholly above, else undecided.

    Sizes count alike, as in a figure with a point per size. The comparison is the report's: both train for as many
    epochs, so that the capped set makes fewer updates; `longer` takes the capped set that makes as many. Beside it,
    `parts` has the control of equal size, which tells whether it is the balance that helps, and single sizes.

    Parameters
    ----------
    balancing
        Records of the balancing, the baseline's among them.
    protocol
        "held_out" or "as_reported".
    cap, above
        Molecules per size; the sizes with more atoms than that, up to 25, are compared.
    longer
        Take the runs that make as many updates as the baseline.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        Records are missing, two configurations have no seed in common, or there is no such protocol.
    """
    arms = {"baseline": _baseline(balancing)}
    if not longer:
        arms["random"] = _capped(balancing, cap, random_control=True)
    first = _capped(balancing, cap, longer=longer)
    curves = _curves([first, *arms.values()], "size", _larger(above), protocol, resamples, seed)
    parts = _means(curves, arms, deciding={"baseline"}) + _single_sizes(curves, {"baseline": 1})
    claim = "threshold_2000_same_updates" if longer else "threshold_2000"
    return _verdict(threshold_2000, claim, protocol, curves, parts)


# ---- loss modification -----------------------------------------------------------------------------------------------


def best_rate(
    loss_modification: Sequence[Record],
    weighting: str,
    protocol: str,
    *,
    rate: float = 10.0,
    above: int = 17,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """Rate 10 is the best of those tried, for molecules of more than 17 atoms (section 5.3.4, Figures 7 and 8).

    Rule: a part for every other rate; its effect is the ratio of the mean squared errors, rate 10 over the other,
    geometric mean over the sizes of 18 to 23 atoms. Against the unmodified loss the ratio must be below 1/1.1, against
    every other rate below 1. Confirmed if each part's interval lies wholly below, rejected if one lies wholly above
    after Holm's correction over the parts, else undecided.

    "Best" is an order, for which no smallest difference is asked; but a rate that gains less than a tenth on no
    modification at all is none to recommend. Rates that can't be told apart leave the claim undecided. The report
    judges the rates by the sizes that it wants to improve, those of more than 17 atoms; the runs hold up to 23.

    Parameters
    ----------
    loss_modification
        Records of the loss modification, those of the unmodified loss among them.
    weighting
        "size" or "size-frequency".
    protocol
        "held_out" or "as_reported".
    rate
        The rate that is claimed to be best.
    above
        Sizes with more atoms than that are compared, up to the largest that the runs are trained on.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        There is no record of the rate or of the unmodified loss, two rates have no seed in common, or there is no such
        protocol.
    """
    arms = {0.0: [record for record in loss_modification if record.config.loss.weighting == "none"]}
    for record in sorted(loss_modification, key=lambda record: record.config.loss.rate):
        if record.config.loss.weighting == weighting:
            arms.setdefault(record.config.loss.rate, []).append(record)
    if not arms[0.0]:
        raise ValueError("there is no record of the unmodified loss to compare with")
    if rate not in arms or not rate:
        raise ValueError(f"there is no record with the weights {weighting!r} and rate {rate:g}")
    claimed = arms.pop(rate)
    largest = claimed[0].config.data.selection.largest or census.REPORT_COMMON_SIZES[-1]
    curves = _curves([claimed, *arms.values()], "size", range(above + 1, largest + 1), protocol, resamples, seed)
    found = _estimate(curves, lambda logs: _log_ratios(logs).mean(axis=-3))
    parts = [
        _part(f"rate_{other:g}", estimate, 0.0 if other else -_FACTOR, "below", "ratio")
        for other, estimate in zip(arms, found, strict=True)
    ]
    return _verdict(best_rate, f"best_rate_{weighting.replace('-', '_')}", protocol, curves, parts)


# ---- directed training -----------------------------------------------------------------------------------------------


def h4(
    directed: Sequence[Record],
    protocol: str,
    *,
    above: int = 17,
    longer: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """Hypothesis 4: for molecules of more than 17 atoms, smaller ones are redundant in training (section 5.3.4).

    Rule: two parts, each a ratio of mean squared errors, geometric mean over the sizes of 18 to 25 atoms: training on
    molecules of more than 17 atoms over training on the whole training part, and over training on as many molecules
    drawn at random. Confirmed if both intervals lie wholly below 1/1.1, rejected if one lies wholly above after Holm's
    correction over the two, else undecided.

    The report compares with the whole training part; the control of equal size tells what the choice of molecules does
    from what their number does. Sizes count alike. `parts` has every size against both beside it, a family of its own
    under Holm. At as many epochs the directed training makes fewer updates than the baseline; `longer` takes the runs
    that make as many, of the directed training and of its control.

    Parameters
    ----------
    directed
        Records of the directed training, the baseline's among them.
    protocol
        "held_out" or "as_reported".
    above
        Molecules with more atoms than that are trained on, and compared up to 25 atoms.
    longer
        Take the runs that make as many updates as the baseline.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        Records are missing, two configurations have no seed in common, or there is no such protocol.
    """
    arms = {
        "baseline": _baseline(directed),
        "random": _directed(directed, above, random_control=True, longer=longer),
    }
    first = _directed(directed, above, longer=longer)
    curves = _curves([first, *arms.values()], "size", _larger(above), protocol, resamples, seed)
    parts = _means(curves, arms, deciding=set(arms)) + _single_sizes(curves, {"baseline": 1, "random": 2})
    return _verdict(h4, "h4_same_updates" if longer else "h4", protocol, curves, parts)


def directed_by_size(
    directed: Sequence[Record],
    protocol: str,
    *,
    above: int = 17,
    boundary: int = 19,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """Directed training is better at every size above 19 atoms, worse at every size below (section 5.3.4, Figure 9).

    Rule: a part for each of the sizes of 20 to 25 atoms, where the ratio of the mean squared errors, directed training
    over baseline, must be below 1/1.1, and for each of 10 to 18 atoms, where it must be above 1.1. Confirmed if every
    part's interval lies wholly on its side, rejected if one lies wholly on the other after Holm's correction over the
    sizes, else undecided.

    Parameters are those of `h4`, with `boundary` the size of which nothing is claimed; errors, too.
    """
    arms = [_directed(directed, above), _baseline(directed)]
    return _by_size(directed_by_size, "directed_by_size", arms, protocol, boundary, resamples, seed)


# ---- final comparison ------------------------------------------------------------------------------------------------


def general_mse(comparison: Sequence[Record], protocol: str, *, resamples: int = RESAMPLES, seed: int = 0) -> Verdict:
    """Over all molecules Default has the smaller error than Custom (section 5.3.4, last table and "MSE general").

    Rule: the effect is the ratio of the mean squared errors over all molecules, Custom over Default (the report's is
    0.0925 / 0.0643). Confirmed if its interval lies wholly above 1.1, rejected if wholly below, else undecided.

    Parameters
    ----------
    comparison
        Records of the final comparison; those of Default lie with the baseline.
    protocol
        "held_out" (the whole 20 %) or "as_reported".
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        Records of one of the models are missing, the two have no seed in common, or there is no such protocol.
    """
    curves = _curves([_custom(comparison), _baseline(comparison)], "all", ["all"], protocol, resamples, seed)
    estimate = _estimate(curves, lambda logs: _log_ratios(logs)[..., 0, :, :])[0]
    part = _part("default", estimate, _FACTOR, "above", "ratio")
    return _verdict(general_mse, "general_mse", protocol, curves, [part])


def custom_by_size(
    comparison: Sequence[Record], protocol: str, *, boundary: int = 19, resamples: int = RESAMPLES, seed: int = 0
) -> Verdict:
    """Custom is better than Default at every size above 19 atoms, worse at every size below (5.3.4, Figure 10).

    Rule: a part for each of the sizes of 20 to 25 atoms, where the ratio of the mean squared errors, Custom over
    Default, must be below 1/1.1, and for each of 10 to 18 atoms, where it must be above 1.1. Confirmed if every part's
    interval lies wholly on its side, rejected if one lies wholly on the other after Holm's correction over the sizes,
    else undecided.

    Parameters are those of `general_mse`, with `boundary` the size of which nothing is claimed; errors, too.
    """
    arms = [_custom(comparison), _baseline(comparison)]
    return _by_size(custom_by_size, "custom_by_size", arms, protocol, boundary, resamples, seed)


def run_time(comparison: Sequence[Record]) -> Verdict:
    """Custom takes less time than Default (section 5.3.4, last table and "Runtime").

    Rule: the effect is the ratio of the wall times of training, validation and evaluation, Custom over Default (the
    report's is 88 / 106). Confirmed if its interval lies wholly below 1/1.1, rejected if wholly above, else undecided;
    undecided as well if the two runs of a seed were not made on the same machine.

    Depends on no protocol, and only seeds vary. Times within a tenth of each other are none apart on a machine that
    has other work. `details` has the ratio of the numbers of training molecules, which the report says is the only
    cause, and the number of pairs on different machines.

    Raises ValueError if records of one of the models are missing or the two have no seed in common.
    """
    pairs = _paired([_custom(comparison), _baseline(comparison)])
    logs = np.array([[np.log(sum(record.about["seconds"].values())) for record in of_seed] for of_seed in pairs])
    estimate = _over_seeds(logs[:, 0] - logs[:, 1])
    elsewhere = sum(_place(custom) != _place(default) for custom, default in pairs)
    part = _part("default", estimate, -_FACTOR, "below", "ratio", p_chance=1.0 if elsewhere else 0.0)
    if elsewhere:
        part = replace(part, p_rejected=1.0)
    trained = [custom.about["molecules"]["train"] / default.about["molecules"]["train"] for custom, default in pairs]
    details = {"molecules_ratio": float(np.mean(trained)), "pairs_on_two_machines": elsewhere}
    return _verdict(run_time, "run_time", INDEPENDENT, _Counts(len(pairs), 0), [part], details)


def convergence(comparison: Sequence[Record]) -> Verdict:
    """Default converges in fewer steps than Custom (section 5.3.4, "Estabilitat"; appendix Figures 3 and 4).

    Rule: the effect is the ratio, Custom over Default, of the numbers of updates after which the training loss is at
    most 1.5 times that of the last epoch. Confirmed if its interval lies wholly above 1.1, rejected if wholly below,
    else undecided.

    Updates ("trainer steps") are what the report's figures show on the axis, and their curve is that of the training
    loss; here it is the unweighted one. The loss of an epoch is a mean over it, so it stands at the epoch's middle;
    between epochs its logarithm is taken as a straight line. 1.5 is what the book's chapter calls settled. `details`
    has the same ratio in epochs, since Custom's have fewer updates. Depends on no protocol, and only seeds vary.

    Raises ValueError if records of one of the models are missing or the two have no seed in common.
    """
    pairs = _paired([_custom(comparison), _baseline(comparison)])
    epochs = np.array([[_settled(record) for record in of_seed] for of_seed in pairs])
    per_epoch = np.array([[_updates(record) / len(record.history) for record in of_seed] for of_seed in pairs])
    in_epochs, in_updates = np.log(epochs), np.log(epochs * per_epoch)
    part = _part("default", _over_seeds(in_updates[:, 0] - in_updates[:, 1]), _FACTOR, "above", "ratio")
    details = {"ratio_in_epochs": float(np.exp((in_epochs[:, 0] - in_epochs[:, 1]).mean()))}
    return _verdict(convergence, "convergence", INDEPENDENT, _Counts(len(pairs), _trained(pairs)), [part], details)


def stability(comparison: Sequence[Record]) -> Verdict:
    """In training Custom's losses lie closer together than Default's (5.3.4, "Estabilitat"; appendix Figures 3 and 4).

    Rule: the effect is the ratio, Custom over Default, of the difference between the mean of the five largest and the
    mean of the five smallest squared errors of a step, geometric mean over the epochs. Confirmed if its interval lies
    wholly below 1/1.1, rejected if wholly above, else undecided.

    Squared errors are unweighted; the report's losses of Custom hold its weights, and it says itself that the scales
    differ. So `details` has the ratio of the quotients of largest and smallest, on which no scale has an effect. The
    geometric mean keeps the first epochs from being all that counts. Depends on no protocol, and only seeds vary.

    Raises ValueError if records of one of the models are missing or the two have no seed in common.
    """
    pairs = _paired([_custom(comparison), _baseline(comparison)])

    def mean_logs(of: Callable[[pd.DataFrame], pd.Series]) -> np.ndarray:
        return np.array([[np.log(of(record.history)).mean() for record in of_seed] for of_seed in pairs])

    gaps = mean_logs(lambda history: history["highest"] - history["lowest"])
    quotients = mean_logs(lambda history: history["highest"] / history["lowest"])
    part = _part("default", _over_seeds(gaps[:, 0] - gaps[:, 1]), -_FACTOR, "below", "ratio")
    details = {"ratio_of_quotients": float(np.exp((quotients[:, 0] - quotients[:, 1]).mean()))}
    return _verdict(stability, "stability", INDEPENDENT, _Counts(len(pairs), _trained(pairs)), [part], details)


# ---- hyperparameters -------------------------------------------------------------------------------------------------


def stage2(
    trials: pd.DataFrame,
    seed_deviation: float,
    *,
    parameters: Sequence[str] = ("data_cutoff", "training_cutoff", "n_atom_basis"),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verdict:
    """The parameters of the second stage of the search matter little (section 5.2.1).

    Rule: the effect is the ratio of the ninth to the first decile of the validation loss of the complete trials.
    Confirmed if its interval lies wholly below 1.1 times the ratio that seeds alone would give (normal logarithms with
    the deviation measured between runs that differ in nothing but their seed), rejected if wholly above, else
    undecided.

    The report does not say how little. A tenth is what the choice between trials calls too small to count. Deciles,
    because one bad trial is no reason against the others. The interval is the bias-corrected and accelerated bootstrap
    over trials (Efron, JASA 82, 171 (1987)). *Measured* with 30 trials and three laws of the loss, its upper end lies
    below the truth in 3 to 6 % and its lower end above it in 1 to 2 % (nominal: 2.5 %; percentile interval: 6 to 14 %
    and none). It takes trials as independent, which a sampler that learns from earlier ones does not give: it tries
    good values more often, and so the effect understates what the parameters can do over their whole range. That is in
    favour of the claim. `parts` has Spearman's correlation of each parameter with the loss, a family of its own under
    Holm, by its permutation p alone: its interval is not looked at.

    Parameters
    ----------
    trials
        A row per trial, as `search.trials_of` gives them; incomplete ones are left out, and a run that several trials
        asked for counts once.
    seed_deviation
        Standard deviation of the logarithm of the validation loss between seeds: see `seed_deviation`.
    parameters
        Columns of `trials`.
    resamples, seed
        Of the bootstrap and of the permutations.

    Raises
    ------
    ValueError
        Fewer than ten trials are complete.
    """
    complete = trials[trials["state"] == "complete"].drop_duplicates("run")
    if len(complete) < 10:
        raise ValueError(f"deciles need ten complete trials; there are {len(complete)}")
    logs = np.log(complete["validation_mse"].to_numpy(dtype=float))
    interval, p_below, p_above = _bca(logs, _deciles_apart, seed_deviation, resamples, seed)
    effect = float(np.exp(_deciles_apart(logs)))
    threshold = float(np.exp(_deciles_threshold(seed_deviation)))
    parts = [Part("trials", effect, interval, threshold, "below", "ratio", p_below, p_above)]
    parts += [_parameter_part(name, complete[name].to_numpy(dtype=float), logs, seed) for name in parameters]
    details = {"trials": len(complete), "ratio_by_seeds": threshold / FACTOR}
    return _verdict(stage2, "stage2", "held_out", _Counts(1, 0), parts, details)


def seed_deviation(records: Iterable[Record]) -> float:
    """Standard deviation of the logarithm of the last validation loss between runs that differ only in their seed.

    Pooled over all configurations with at least two seeds. Raises ValueError if there is none.
    """
    losses = {}
    for record in records:
        config = json.dumps(record.config.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
        of_config = losses.setdefault(config, {})
        of_config[record.config.seed] = np.log(float(record.history["validation_loss"].iloc[-1]))
    several = [np.array(list(of_config.values())) for of_config in losses.values() if len(of_config) > 1]
    if not several:
        raise ValueError("no configuration has two seeds: the deviation between them is unknown")
    squares = sum(((logs - logs.mean()) ** 2).sum() for logs in several)
    return float(np.sqrt(squares / sum(len(logs) - 1 for logs in several)))


# ---- the whole table -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by: the records of experiments by their names, the database, the trials of stage 2."""

    records: Mapping[str, Sequence[Record]]
    molecules: Molecules
    trials: pd.DataFrame | None = None


@dataclass(frozen=True)
class Claim:
    """A claim of the report.

    `section` is where it stands; `said` what the report says of it ("partly": confirmed in part); `experiments` whose
    records it needs, and `needs_trials` whether it needs those of the search's second stage; `protocols` those under
    which `test` judges it.
    """

    section: str
    said: Literal["confirmed", "rejected", "partly"]
    experiments: tuple[str, ...]
    test: Callable[[Evidence, str], Verdict]
    protocols: tuple[str, ...] = PROTOCOLS
    needs_trials: bool = False


def _of(experiment: str, test: Callable[..., Verdict], **settings: object) -> dict[str, object]:
    """What a claim needs whose test takes one experiment's records and a protocol."""
    return {
        "experiments": (experiment,),
        "test": lambda evidence, protocol: test(evidence.records[experiment], protocol=protocol, **settings),
    }


def _of_curves(test: Callable[[Sequence[Record]], Verdict]) -> dict[str, object]:
    """What a claim needs that compares Default and Custom under no protocol."""
    return {
        "experiments": ("final-comparison",),
        "test": lambda evidence, protocol: test(evidence.records["final-comparison"]),  # noqa: ARG005
        "protocols": (INDEPENDENT,),
    }


CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        "h1": Claim("5.3.1", "confirmed", **_of("baseline", h1)),
        "h2": Claim(
            "5.3.1",
            "confirmed",
            ("baseline",),
            lambda evidence, protocol: h2(evidence.records["baseline"], evidence.molecules, protocol),
        ),
        "h3": Claim("5.3.2", "rejected", **_of("balancing", h3)),
        "threshold_2000": Claim("5.3.2", "confirmed", **_of("balancing", threshold_2000)),
        "threshold_2000_same_updates": Claim("5.3.2", "confirmed", **_of("balancing", threshold_2000, longer=True)),
        "best_rate_size": Claim("5.3.4", "confirmed", **_of("loss-modification", best_rate, weighting="size")),
        "best_rate_size_frequency": Claim(
            "5.3.4", "confirmed", **_of("loss-modification", best_rate, weighting="size-frequency")
        ),
        "h4": Claim("5.3.4", "partly", **_of("directed-training", h4)),
        "h4_same_updates": Claim("5.3.4", "partly", **_of("directed-training", h4, longer=True)),
        "directed_by_size": Claim("5.3.4", "confirmed", **_of("directed-training", directed_by_size)),
        "general_mse": Claim("5.3.4", "confirmed", **_of("final-comparison", general_mse)),
        "custom_by_size": Claim("5.3.4", "confirmed", **_of("final-comparison", custom_by_size)),
        "run_time": Claim("5.3.4", "confirmed", **_of_curves(run_time)),
        "convergence": Claim("5.3.4", "confirmed", **_of_curves(convergence)),
        "stability": Claim("5.3.4", "confirmed", **_of_curves(stability)),
        "stage2": Claim(
            "5.2.1",
            "confirmed",
            ("final-comparison",),
            lambda evidence, protocol: stage2(  # noqa: ARG005
                evidence.trials, seed_deviation(evidence.records["final-comparison"])
            ),
            ("held_out",),
            needs_trials=True,
        ),
    }
)
"""Every claim that is judged, by its key, in the order of the report."""


def all_claims(evidence: Evidence) -> list[Verdict]:
    """The verdicts of all claims under each of their protocols, corrected together (see `together`).

    A claim whose experiments or trials are not in the evidence is left out. Errors are those of the claims' tests.
    """
    judged = [
        claim.test(evidence, protocol)
        for claim in CLAIMS.values()
        if set(claim.experiments) <= evidence.records.keys() and (evidence.trials is not None or not claim.needs_trials)
        for protocol in claim.protocols
    ]
    return together(judged)


# ---- which records ---------------------------------------------------------------------------------------------------


def _baseline(records: Sequence[Record]) -> list[Record]:
    return _some([record for record in records if record.config.experiment == "baseline"], "of the baseline")


def _custom(records: Sequence[Record]) -> list[Record]:
    return _some([record for record in records if record.config.experiment == "final-comparison"], "of Custom")


def _capped(records: Sequence[Record], cap: int, *, random_control: bool = False, longer: bool = False) -> list[Record]:
    found = [record for record in records if record.config.data.selection.cap_per_size == cap]
    return _kind(found, f"with at most {cap} molecules per size", random_control=random_control, longer=longer)


def _directed(
    records: Sequence[Record], above: int, *, random_control: bool = False, longer: bool = False
) -> list[Record]:
    found = [record for record in records if record.config.data.selection.smallest == above + 1]
    return _kind(found, f"of training with more than {above} atoms", random_control=random_control, longer=longer)


def _kind(records: Sequence[Record], what: str, *, random_control: bool, longer: bool) -> list[Record]:
    """Those that are a random control or not, with the fewest epochs that there are or (`longer`) with more."""
    fewest = min((record.config.training.epochs for record in records), default=0)
    kind = f"{'the random control ' if random_control else ''}{'with as many updates ' if longer else ''}"
    return _some(
        [
            record
            for record in records
            if record.config.data.selection.random_control == random_control
            and (record.config.training.epochs > fewest) == longer
        ],
        f"{kind}{what}",
    )


def _some(records: list[Record], what: str) -> list[Record]:
    if not records:
        raise ValueError(f"there is no record {what}")
    return records


def _paired(arms: Sequence[Sequence[Record]]) -> list[tuple[Record, ...]]:
    """The records of all arms by seed, for the seeds that all of them have: a tuple per seed, in the order of arms."""
    of_arms = []
    for arm in arms:
        by_seed = {record.config.seed: record for record in arm}
        if len(by_seed) < len(arm):
            raise ValueError(f"{len(arm)} records have {len(by_seed)} seeds: they are not of one configuration")
        of_arms.append(by_seed)
    common = sorted(set.intersection(*(set(by_seed) for by_seed in of_arms)))
    if not common:
        raise ValueError(f"no seed has a record of each of the {len(arms)} configurations that are compared")
    return [tuple(by_seed[each] for by_seed in of_arms) for each in common]


def _larger(above: int) -> range:
    return range(above + 1, census.REPORT_COMMON_SIZES[-1] + 1)


def _frequency(record: Record, kind: str) -> pd.Series:
    """How many molecules of the database are in each group of one kind, those trained on included."""
    rows = record.groups[record.groups["kind"] == kind]
    counts = rows.groupby("group")["molecules"].sum()
    return counts.rename(index=int) if kind == "size" else counts


def _place(record: Record) -> tuple:
    machine = record.about["machine"]
    return tuple(machine[key] for key in ("processor", "cores", "threads", "device"))


def _updates(record: Record) -> int:
    return int(record.steps["step"].iloc[-1])


def _settled(record: Record) -> float:
    """Epochs until the training loss is at most `SETTLED` times that of the last one."""
    loss = np.log(record.history["train_loss"].to_numpy(dtype=float))
    middle = record.history["epoch"].to_numpy(dtype=float) - 0.5
    wanted = loss[-1] + np.log(SETTLED)
    reached = int(np.argmax(loss <= wanted))
    if reached == 0:
        return float(middle[0])
    share = (loss[reached - 1] - wanted) / (loss[reached - 1] - loss[reached])
    return float(middle[reached - 1] + share * (middle[reached] - middle[reached - 1]))


def _trained(pairs: Sequence[tuple[Record, ...]]) -> int:
    return min(int(record.about["molecules"]["train"]) for of_seed in pairs for record in of_seed)


# ---- curves and what follows from them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counts:
    seeds: int
    molecules: int


@dataclass(frozen=True)
class _Curves:
    """Logarithms of mean squared errors: `logs` [G, C, S] by group, configuration and seed.

    `draws` [B, G, C, S] are the same with resampled molecules, None where there is nothing to resample; `fewest` is how
    many molecules the smallest group has, `first` one of the records.
    """

    groups: list
    logs: np.ndarray
    draws: np.ndarray | None
    seeds: int
    molecules: int
    fewest: int
    first: Record


@dataclass(frozen=True)
class _Estimate:
    """A mean over seeds, its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        half = self.error * stats.t.ppf((1 + LEVEL) / 2, self.freedom)
        return self.value - half, self.value + half

    def p(self, threshold: float, side: Side) -> float:
        """Twice the one-sided p of the null that the mean is not on this side of the threshold, at most 1."""
        beyond = (self.value - threshold) * (1 if side == "above" else -1)
        t = beyond / self.error if self.error else np.copysign(np.inf, beyond) if beyond else 0.0
        return float(min(1.0, 2 * stats.t.sf(t, self.freedom)))


def _curves(
    arms: Sequence[Sequence[Record]],
    kind: str,
    groups: Collection,
    protocol: str,
    resamples: int,
    seed: int,
    *,
    molecules: Molecules | None = None,
) -> _Curves:
    """The curves of configurations over those of some groups that have enough molecules."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    pairs = _paired(arms)
    columns = [[of_seed[arm] for of_seed in pairs] for arm in range(len(arms))]
    make = _held_out if protocol == "held_out" else _as_reported
    found = make(columns, kind, list(groups), resamples, seed, molecules)
    if not found.groups:
        raise ValueError(f"no {kind} of {list(groups)} has enough molecules")
    return found


def _as_reported(
    columns: list[list[Record]], kind: str, groups: list, resamples: int, seed: int, molecules: Molecules | None
) -> _Curves:
    del resamples, seed, molecules
    tables = [[errors.mse(record.groups, kind)["as_reported"].reindex(groups) for record in arm] for arm in columns]
    table = np.log(np.array([[of_record.to_numpy(dtype=float) for of_record in arm] for arm in tables]))  # [C, S, G]
    known = np.isfinite(table).all(axis=(0, 1))
    kept = [group for group, is_known in zip(groups, known, strict=True) if is_known]
    logs = np.moveaxis(table[..., known], -1, 0)
    first = columns[0][0]
    # The sets of elements overlap
    counted = _frequency(first, "all").loc[["all"]] if kind == "element" else _frequency(first, kind).loc[kept]
    return _Curves(kept, logs, None, logs.shape[-1], int(counted.sum()), 0, first)


def _held_out(
    columns: list[list[Record]], kind: str, groups: list, resamples: int, seed: int, molecules: Molecules | None
) -> _Curves:
    first = columns[0][0]
    index = first.errors["index"].to_numpy()
    for record in (record for arm in columns for record in arm):
        if not np.array_equal(record.errors["index"].to_numpy(), index):
            raise ValueError(f"runs {first.id} and {record.id} hold out other molecules: they can't be compared")
    squared = np.array([[record.errors["error"].to_numpy(dtype=float) ** 2 for record in arm] for arm in columns])
    squared = np.moveaxis(squared, -1, 0)  # [M, C, S]
    members = {group: np.flatnonzero(inside) for group, inside in _inside(first, kind, groups, molecules).items()}
    members = {group: positions for group, positions in members.items() if len(positions) >= LEAST_MOLECULES}
    if not members:
        return _Curves([], squared, None, 0, 0, 0, first)
    logs = np.log(np.array([squared[positions].mean(axis=0) for positions in members.values()]))
    draws = np.log(_resampled(squared, list(members.values()), resamples, seed))
    used = len(np.unique(np.concatenate(list(members.values()))))
    return _Curves(list(members), logs, draws, logs.shape[-1], used, min(map(len, members.values())), first)


def _inside(record: Record, kind: str, groups: list, molecules: Molecules | None) -> dict[object, np.ndarray]:
    """Which of a record's held-out molecules are in each group."""
    found = record.errors
    if kind == "all":
        return {"all": np.ones(len(found), dtype=bool)}
    if kind == "size":
        return {size: found["n_atoms"].to_numpy() == size for size in groups}
    positions = pd.Index(molecules.index).get_indexer(found["index"])
    if (positions < 0).any():
        missing = found["index"].to_numpy()[positions < 0]
        raise ValueError(f"run {record.id} holds out molecule {missing[0]}, which is not in the database given")
    holds = molecules.element_counts()[positions] > 0
    return {element: holds[:, census.ELEMENTS.index(element)] for element in groups}


def _resampled(squared: np.ndarray, members: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Means over each group of [M, C, S] with random weights of the molecules: [B, G, C, S]."""
    rng = np.random.default_rng(seed)
    flat = squared.reshape(len(squared), -1)
    draws = np.empty((resamples, len(members), flat.shape[1]))
    for start in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - start)
        weights = rng.standard_exponential((size, len(flat)))
        for place, positions in enumerate(members):
            of_group = weights[:, positions]
            draws[start : start + size, place] = (of_group @ flat[positions]) / of_group.sum(axis=1, keepdims=True)
    return draws.reshape(resamples, len(members), *squared.shape[1:])


def _estimate(curves: _Curves, statistic: Callable[[np.ndarray], np.ndarray]) -> list[_Estimate]:
    """One estimate per row of a statistic that takes logarithms [..., G, C, S] to [..., S] or [..., K, S]."""
    of_seeds = np.atleast_2d(statistic(curves.logs))
    over_molecules = np.zeros(len(of_seeds))
    if curves.draws is not None:
        over_molecules = np.atleast_1d(statistic(curves.draws).mean(axis=-1).var(axis=0, ddof=1))
    return [
        _over_seeds(row, float(variance), curves.fewest - 1)
        for row, variance in zip(of_seeds, over_molecules, strict=True)
    ]


def _over_seeds(of_seeds: np.ndarray, over_molecules: float = 0.0, molecules_freedom: float = 1.0) -> _Estimate:
    """The mean over seeds, with Satterthwaite's degrees of freedom for the sum of both variances."""
    n = len(of_seeds)
    value = float(of_seeds.mean())
    if n < 2:
        return _Estimate(value, np.inf, 1)
    over_seeds = float(of_seeds.var(ddof=1)) / n
    both = over_seeds + over_molecules
    if both == 0:
        return _Estimate(value, 0.0, n - 1)
    freedom = both**2 / (over_seeds**2 / (n - 1) + over_molecules**2 / molecules_freedom)
    return _Estimate(value, float(np.sqrt(both)), freedom)


def _log_ratios(logs: np.ndarray) -> np.ndarray:
    """The first configuration against each of the others: [..., G, C, S] to [..., G, C − 1, S]."""
    return logs[..., :1, :] - logs[..., 1:, :]


def _spearman(given: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Spearman's correlation of [G] with each of [..., G, S]: [..., S]."""
    ranks = stats.rankdata(given)
    ranks = (ranks - ranks.mean()) / ranks.std()
    others = stats.rankdata(curve, axis=-2)
    others = others - others.mean(axis=-2, keepdims=True)
    return np.einsum("g,...gs->...s", ranks, others) / len(ranks) / others.std(axis=-2)


def _permutation_p(given: np.ndarray, curve: np.ndarray, seed: int) -> float:
    """One-sided p of a mean correlation over seeds this low, of [G] with [G, S]; exact for up to seven groups."""

    def statistic(permuted: np.ndarray, axis: int) -> np.ndarray:
        return (np.moveaxis(permuted, axis, -1) * ranks).sum(axis=-1)

    # Ranks of single seeds scaled alike: the mean correlation is linear in their sum.
    ranks = stats.rankdata(curve, axis=0)
    ranks = ((ranks - ranks.mean(axis=0)) / ranks.std(axis=0)).mean(axis=1)
    found = stats.permutation_test(
        (stats.rankdata(given),),
        statistic,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        alternative="less",
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


# ---- deciles of trials -----------------------------------------------------------------------------------------------


def _deciles_apart(logs: np.ndarray, axis: int = -1) -> np.ndarray:
    first, ninth = np.quantile(logs, [0.1, 0.9], axis=axis)
    return ninth - first


def _deciles_threshold(deviation: float) -> float:
    """How far apart the deciles may be: what seeds give, and `FACTOR` on top."""
    return 2 * float(stats.norm.ppf(0.9)) * deviation + _FACTOR


def _bca(
    logs: np.ndarray, statistic: Callable[..., np.ndarray], deviation: float, resamples: int, seed: int
) -> tuple[tuple[float, float], float, float]:
    """The interval of exp(statistic), and the p-values of lying below and above the threshold.

    A p-value is the largest 1 − level at which the interval still holds the threshold, found by halving.
    """
    threshold = _deciles_threshold(deviation)
    settings = {"statistic": statistic, "vectorized": True, "method": "BCa", "rng": np.random.default_rng(seed)}
    found = stats.bootstrap((logs,), n_resamples=resamples, confidence_level=LEVEL, **settings)

    def ends(level: float) -> tuple[float, float]:
        again = stats.bootstrap((logs,), n_resamples=0, bootstrap_result=found, confidence_level=level, **settings)
        return again.confidence_interval.low, again.confidence_interval.high

    low, high = np.exp(found.confidence_interval)
    p = {}
    for side in ("below", "above"):
        least, most = 1 / resamples, 1.0
        while most - least > 1e-4:
            middle = (least + most) / 2
            end_low, end_high = ends(1 - middle)
            beyond = end_high < threshold if side == "below" else end_low > threshold
            least, most = (least, middle) if beyond else (middle, most)
        p[side] = most
    return (float(low), float(high)), p["below"], p["above"]


def _parameter_part(name: str, values: np.ndarray, logs: np.ndarray, seed: int) -> Part:
    """Whether a parameter goes with the loss at all, which speaks against the claim."""
    correlation = float(_spearman(values, logs[:, None])[0]) if np.ptp(values) else 0.0
    p = _permutation_p(-np.sign(correlation) * values, logs[:, None], seed) if correlation else 1.0
    side = "below" if correlation > 0 else "above"
    none = (float("nan"), float("nan"))
    return Part(name, correlation, none, 0.0, side, "correlation", 1.0, min(1.0, 2 * p), family="parameters")


# ---- verdicts from parts ---------------------------------------------------------------------------------------------


def _part(
    name: str,
    estimate: _Estimate,
    threshold: float,
    side: Side,
    unit: str,
    *,
    p_chance: float = 0.0,
    family: Family = "claim",
) -> Part:
    """A comparison of an estimate with a threshold; `p_chance` is a second p-value that confirming has to pass."""
    other = "below" if side == "above" else "above"

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


def _means(curves: _Curves, arms: Mapping[str, object], deciding: Collection[str]) -> list[Part]:
    """The first configuration against each other one, over all sizes together: lower is claimed."""
    found = _estimate(curves, lambda logs: _log_ratios(logs).mean(axis=-3))
    return [
        _part(name, estimate, -_FACTOR, "below", "ratio", family="claim" if name in deciding else "controls")
        for name, estimate in zip(arms, found, strict=True)
    ]


def _single_sizes(curves: _Curves, arms: Mapping[str, int]) -> list[Part]:
    """The first configuration against some others at each size: lower is claimed, and nothing decided."""
    parts = []
    for name, arm in arms.items():
        found = _estimate(curves, lambda logs, arm=arm: _log_ratios(logs)[..., arm - 1, :])
        parts += [
            _part(f"{name}_{size}", estimate, -_FACTOR, "below", "ratio", family="sizes")
            for size, estimate in zip(curves.groups, found, strict=True)
        ]
    return parts


def _by_size(
    function: Callable,
    claim: str,
    arms: Sequence[list[Record]],
    protocol: str,
    boundary: int,
    resamples: int,
    seed: int,
) -> Verdict:
    """The first arm against the second: lower at every size above a boundary, higher at every size below."""
    sizes = [size for size in census.REPORT_COMMON_SIZES if size != boundary]
    curves = _curves(arms, "size", sizes, protocol, resamples, seed)
    found = _estimate(curves, lambda logs: _log_ratios(logs)[..., 0, :])
    parts = [
        _part(f"size_{size}", estimate, -_FACTOR, "below", "ratio")
        if size > boundary
        else _part(f"size_{size}", estimate, _FACTOR, "above", "ratio")
        for size, estimate in zip(curves.groups, found, strict=True)
    ]
    for name, side in (("sizes_above", "below"), ("sizes_below", "above")):
        inside = [place for place, size in enumerate(curves.groups) if (size > boundary) == (name == "sizes_above")]
        if inside:
            mean = _estimate(curves, lambda logs, of=inside: _log_ratios(logs)[..., of, 0, :].mean(axis=-2))[0]
            threshold = -_FACTOR if side == "below" else _FACTOR
            parts.append(_part(name, mean, threshold, side, "ratio", family="controls"))
    return _verdict(function, claim, protocol, curves, parts)


def _verdict(
    function: Callable,
    claim: str,
    protocol: str,
    counts: _Curves | _Counts,
    parts: Sequence[Part],
    details: Mapping[str, float] | None = None,
) -> Verdict:
    """Confirmed if every part of the claim is; rejected if one is, after Holm. Every family is corrected by itself."""
    families = {part.family: [] for part in parts}
    for part in parts:
        families[part.family].append(part)
    decided = {family: _decided(of_family) for family, of_family in families.items()}
    deciding = decided["claim"]
    p_confirmed = max(part.p_confirmed for part in deciding)
    p_rejected = float(holm([part.p_rejected for part in deciding]).min())
    worst = min(deciding, key=lambda part: (part.p_rejected, -part.p_confirmed))
    verdict = "undecided"
    if p_confirmed <= _ALPHA:
        verdict = "confirmed"
    elif p_rejected <= _ALPHA:
        verdict = "rejected"
    return Verdict(
        claim=claim,
        protocol=protocol,
        verdict=verdict,
        effect=worst.effect,
        interval=worst.interval,
        unit=worst.unit,
        threshold=worst.threshold,
        side=worst.side,
        p=min(p_confirmed, p_rejected),
        n_seeds=counts.seeds,
        n_molecules=counts.molecules,
        rule=rule_of(function),
        parts=tuple(part for of_family in decided.values() for part in of_family),
        details=MappingProxyType({key: float(value) for key, value in (details or {}).items()}),
    )


def _decided(family: Sequence[Part]) -> list[Part]:
    """The parts of a family with their verdicts, corrected by Holm over it."""
    corrected = holm([min(part.p_confirmed, part.p_rejected) for part in family])
    return [
        replace(
            part,
            verdict="undecided" if p > _ALPHA else "confirmed" if part.p_confirmed < part.p_rejected else "rejected",
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
