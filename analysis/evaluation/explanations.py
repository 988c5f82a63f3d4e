"""How well each explanation of the report's curves predicts what the report says of them.

The report trained each of its models once, and its curves are known from its words alone. So an explanation is asked
how often the words would be true: of trainings drawn one per curve, each independently of the others, in which share.
A statement that is never true speaks against the explanation, and one that is always true for it, the more so the
fewer of the other explanations it is true of.

The surprise at a share p out of n trainings (of the curve that has the fewest) is −log₂ of (n p + ½) / (n + 1), in
bits: shrunk as by Jeffreys' prior, since n trainings can't show that something never happens. Its sum over statements
compares explanations; it is no likelihood, since statements on one figure go together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.data import thesis
from analysis.data.molecules import Molecules
from analysis.data.offsets import fit
from analysis.data.splits import first_per_size
from analysis.evaluation import decomposition
from analysis.evaluation.verdicts import CLEAR, FACTOR
from analysis.runs import protocols
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.config import Loss
from analysis.runs.records import ENDS, End, Record
from analysis.runs.weights import loss_weights

Case = tuple[str, Arm]
"""A curve of the report: an experiment and its arm."""
SIZES = list(thesis.COMMON_SIZES)

_DEFAULT = ("final-comparison", DEFAULT)
_CUSTOM = ("final-comparison", CUSTOM)
_LARGE = ("directed-training", Arm("more than", thesis.LARGE))
_CAPS = tuple(("balancing", Arm("cap", cap)) for cap in thesis.CAPS)
_LONGER = {_CUSTOM: "default-to-custom"}  # where the arm with as many updates lies elsewhere


# ---- what the report says --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Statement:
    """What the report says of a figure, or of its last table.

    `cases` are the curves that it is about; `holds` says whether it is true of them: it takes how many molecules each
    set of the `kind` has, and the mean squared error of each set, eV², of one training of each case; or, in place of
    that curve, what `summary` makes of it. Sizes are those that the report shows.
    """

    cases: tuple[Case, ...]
    holds: Callable[..., bool]
    kind: Literal["all", "size", "element"] = "size"
    summary: Callable[[pd.Series], object] = lambda curve: curve

    def true_of(self, frequency: pd.Series, *curves: pd.Series) -> bool:
        """Whether it is true of one curve of each case."""
        return self.holds(frequency, *map(self.summary, curves))


def _inverse(frequency: pd.Series, curve: pd.Series) -> bool:
    return bool(stats.spearmanr(frequency[curve.index], curve).statistic <= -CLEAR)


def _lowest_where_frequent(_: pd.Series, curve: pd.Series) -> bool:
    return curve.idxmin() in thesis.FREQUENT_SIZES


def _rarest_worst(frequency: pd.Series, curve: pd.Series) -> bool:
    """The three rarest: of carbon and hydrogen the report gives the same frequency, 1, and their order is open."""
    return list(curve.nlargest(3).index) == list(frequency.nsmallest(3).index)


def _better(_: pd.Series, curve: pd.Series, default: pd.Series, *, at: range, nowhere_else: bool) -> bool:
    """Whether a curve is below Default's at these sizes; of 19 atoms, where curves cross, the report says nothing."""
    below = set(curve.index[curve < default]) - ({thesis.CROSSOVER} if nowhere_else else set())
    return below == set(at) if nowhere_else else set(at) <= below


def _only_the_strictest(_: pd.Series, *errors: float) -> bool:
    """Of the caps, whose errors come before Default's, the first alone is visibly better."""
    *caps, default = errors
    return [cap - default < -np.log(FACTOR) for cap in caps] == [cap == thesis.CAPS[0] for cap in thesis.CAPS]


def _log_mean(curve: pd.Series, *, at: range) -> float:
    """The mean over these sizes of the error's logarithm."""
    return float(np.log(curve[list(at)]).mean())


def _first_is_best(_: pd.Series, *errors: float) -> bool:
    return min(errors) == errors[0]


def _crosses_once(_: pd.Series, curve: pd.Series, default: pd.Series) -> bool:
    return list(map(round, decomposition.crossings(curve, default))) == [thesis.CROSSOVER]


def _larger(_: pd.Series, one: pd.Series, other: pd.Series) -> bool:
    return bool(one["all"] > other["all"])


def _best_rate(weighting: str) -> Statement:
    others = [rate for rate in thesis.RATES if rate not in (0, thesis.BEST_RATE)]
    arms = [*(Arm(weighting, rate) for rate in (thesis.BEST_RATE, *others)), Arm("unweighted")]
    shown = range(thesis.LARGE + 1, thesis.MODIFIED_SIZES[1] + 1)
    cases = tuple(("loss-modification", arm) for arm in arms)
    return Statement(cases, _first_is_best, summary=partial(_log_mean, at=shown))


def _better_at(model: str, *, nowhere_else: bool = True) -> Callable[..., bool]:
    return partial(_better, at=thesis.BETTER[model], nowhere_else=nowhere_else)


STATEMENTS: Mapping[str, Statement] = {
    "fig3_correlation": Statement((_DEFAULT,), _inverse),
    "fig3_best": Statement((_DEFAULT,), _lowest_where_frequent),
    "fig4_order": Statement((_DEFAULT,), _rarest_worst, "element"),
    "fig6_cap": Statement((_CAPS[0], _DEFAULT), _better_at("cap", nowhere_else=False)),
    "fig6_cap_change": Statement(
        (*_CAPS, _DEFAULT), _only_the_strictest, summary=partial(_log_mean, at=thesis.BETTER["cap"])
    ),
    "fig7": _best_rate("size"),
    "fig8": _best_rate("size-frequency"),
    "fig9_better": Statement((_LARGE, _DEFAULT), _better_at("directed")),
    "fig9_crossing": Statement((_LARGE, _DEFAULT), _crosses_once),
    "fig10_better": Statement((_CUSTOM, _DEFAULT), _better_at("custom")),
    "fig10_crossing": Statement((_CUSTOM, _DEFAULT), _crosses_once),
    "last_table": Statement((_CUSTOM, _DEFAULT), _larger, "all"),
}
"""What the report says of its Figures 3 to 10 and its last table, in their order."""


# ---- what may explain it ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Explanation:
    """What the report's curves would show if it were right.

    Errors under the `protocol`. `same_updates`: what is compared with Default was trained for as many updates, where
    there is such an arm. `weighted`: a modified loss's weights are in the error too. `in_order`: a cap keeps the first
    molecules of each size in the database, of which there are no runs: the offset alone stands for the error.
    """

    protocol: Literal["held_out", "as_reported"]
    same_updates: bool = False
    weighted: bool = False
    in_order: bool = False


EXPLANATIONS: Mapping[str, Explanation] = {
    "networks": Explanation("held_out"),
    "updates": Explanation("held_out", same_updates=True),
    "weighted": Explanation("held_out", weighted=True),
    "means": Explanation("as_reported"),
    "in_order": Explanation("as_reported", in_order=True),
}
"""The networks themselves: as the report says, with as many updates, with a weighted validation; and the sets' own
means, with caps drawn at random or in the database's order."""


def scores(records: Mapping[str, Arms[Record]], molecules: Molecules) -> pd.DataFrame:
    """A row per statement and explanation: `share` of trainings in which it is true, `trainings`, and `surprise`, bits.

    Indexed by statement and explanation. `records` are those of the experiments in `STATEMENTS` and of
    `default-to-custom`, by the experiment's name. Raises arms.MissingArmError if an arm has no record.
    """
    return _scores(records, molecules, product(STATEMENTS, EXPLANATIONS))


AGAIN = ("networks", "updates", "means")
"""The explanations that the preregistered runs can be asked about: no weight but the best ones was trained again."""


def scores_again(arms: Arms[Record], molecules: Molecules) -> dict[End, pd.DataFrame]:
    """`scores` by end of the training, of the experiment `confirmation` on one split.

    Only of the statements whose arms it has, as each explanation takes them.
    """
    pairs = [
        (key, name)
        for key, name in product(STATEMENTS, AGAIN)
        if all(_arm(case, EXPLANATIONS[name])[1] in arms for case in STATEMENTS[key].cases)
    ]
    experiments = {_arm(case, EXPLANATIONS[name])[0] for key, name in pairs for case in STATEMENTS[key].cases}
    return {end: _scores(dict.fromkeys(experiments, arms.at(end)), molecules, pairs) for end in ENDS}


def _scores(
    records: Mapping[str, Arms[Record]], molecules: Molecules, pairs: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    sets = {kind: decomposition.sets_of(molecules, kind) for kind in ("all", "size", "element")}

    @cache
    def tables(experiment: str, arm: Arm, kind: str) -> list[tuple[Loss, pd.DataFrame]]:
        return [(record.config.loss, protocols.mse(record.groups, kind)) for record in records[experiment][arm]]

    rows = {}
    for key, name in pairs:
        statement, explanation = STATEMENTS[key], EXPLANATIONS[name]
        if explanation.in_order and set(_CAPS) & set(statement.cases):
            curves = [[_offset(arm, molecules, sets["size"])] for _, arm in statement.cases]
        else:
            trained = (_arm(case, explanation) for case in statement.cases)
            curves = [
                [_curve(table, loss, explanation) for loss, table in tables(*case, statement.kind)] for case in trained
            ]
        of_each = [list(map(statement.summary, of_case)) for of_case in curves]
        found = [statement.holds(sets[statement.kind]["molecules"], *drawn) for drawn in product(*of_each)]
        share, trainings = float(np.mean(found)), min(map(len, curves))
        rows[key, name] = (share, trainings, surprise(share, trainings))
    columns = ["share", "trainings", "surprise"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).set_axis(
        pd.MultiIndex.from_tuples(rows, names=["statement", "explanation"])
    )


def surprise(share: float, trainings: int) -> float:
    """−log₂ of a share out of so many trainings, shrunk as by Jeffreys' prior: bits."""
    return -float(np.log2((trainings * share + 0.5) / (trainings + 1)))


def _arm(case: Case, explanation: Explanation) -> Case:
    """What an explanation takes the report's curve for."""
    experiment, arm = case
    if not explanation.same_updates or case not in (*_CAPS, _LARGE, _CUSTOM):
        return case
    return _LONGER.get(case, experiment), Arm(arm.role, arm.value, same_updates=True)


def _curve(table: pd.DataFrame, loss: Loss, explanation: Explanation) -> pd.Series:
    """The mean squared error of each set in one training, eV²; of the sizes, those that it was validated on."""
    curve = table[explanation.protocol]
    if set(SIZES) <= set(curve.index):
        curve = curve[SIZES]
        if explanation.weighted and loss.weighting != "none":
            curve = curve * loss_weights(loss.weighting, curve.index.to_numpy(), loss.rate, floor=loss.floor)
    return curve


def _offset(arm: Arm, molecules: Molecules, sets: pd.DataFrame) -> pd.Series:
    """The offset term of a cap that keeps the first molecules of each size, or of Default: eV² by size."""
    mean = decomposition.training_mean(molecules)
    if arm.role == "cap":
        mean = fit(molecules, first_per_size(molecules, arm.value)).mean
    return decomposition.offset_of(sets.loc[SIZES], mean)
