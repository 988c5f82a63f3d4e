"""The thesis's questions, asked of forces: what size, elements and their frequency do to errors and to survival.

Each docstring holds a rule, written before any model of the experiment `forces` was trained and before anything was
simulated with one. The commits that proved it were lost before they were published; what `git log` shows is the order
in which rules and records were committed again, hours after the last record, so it is our word. Effects, intervals and
decisions are those of `analysis.evaluation.verdicts`, with one difference: an error is the *mean absolute* error of the
components of forces, eV/Å, as forces are compared in the literature, so that a tenth more is a tenth of the error and
not of its square.

Errors of forces are of PaiNN that was trained on them, over the held-out molecules that have a frame, except in
`forces_bar`, which takes their test part: a demand is met on molecules that no choice has looked at. Survival is that
of the mean of its models, which all molecules share: only molecules vary. In a random draw rare sizes are rare; so
nothing is asked of survival by their frequency.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from analysis.data import statistics, thesis
from analysis.evaluation.dynamics import Simulated, Survival
from analysis.evaluation.verdicts.claims import CLEAR, LOG_FACTOR
from analysis.evaluation.verdicts.curves import LEAST_MOLECULES, Curves, estimates, frequency_of
from analysis.evaluation.verdicts.decisions import Verdict, judge, part_of, together
from analysis.evaluation.verdicts.intervals import RESAMPLES, Estimate, permutation_p, resampled_means, spearman
from analysis.runs.arms import Arms
from analysis.runs.records import Record

ARM = "painn"
"""Whose forces are judged."""
DEMANDED = 0.043
"""eV/Å (1 kcal/mol/Å): the mean absolute error of forces that was demanded of held-out molecules."""
HELD_OUT = "held_out"
"""The protocol of all these claims."""


class TooFewError(ValueError):
    """A claim can't be judged: too few held-out molecules have what it asks about, or of too few sizes."""


def errors(record: Record, *, test: bool = False) -> pd.DataFrame:
    """`Record.forces` with the `n_atoms` of each molecule and the number of `components`; of the test part, if asked.

    Raises ValueError for a record without forces.
    """
    if record.forces is None:
        raise ValueError(f"run {record.id} has no forces to compare with: its geometries have none")
    of_molecules = record.errors.set_index("index")[["n_atoms", "test"]]
    found = record.forces.join(of_molecules, on="index").astype({"absolute": float})
    return (found[found["test"]] if test else found).assign(components=3 * found["atoms"].astype(int))


def mae(record: Record, by: str | None = None, *, test: bool = False) -> pd.Series:
    """Mean absolute error of the components of forces, eV/Å, by "n_atoms" or "element" (atomic number), or of all."""
    found = errors(record, test=test)
    sums = found.groupby(found[by] if by else np.zeros(len(found), int))[["absolute", "components"]].sum()
    return sums["absolute"] / sums["components"]


def forces_by_frequency(
    records: Arms[Record], *, sizes: Collection[int] = thesis.COMMON_SIZES, resamples: int = RESAMPLES
) -> Verdict:
    """Sizes that few molecules have give poor forces: hypothesis 1 of the thesis.

    Rule: the effect is Spearman's correlation, over the sizes of 10 to 25 atoms with at least ten held-out molecules,
    between the number of molecules that have a frame and the error of forces, mean over seeds. Confirmed if its
    interval lies wholly below −0.5 and the one-sided permutation test over sizes gives p ≤ 2.5 %; rejected if the
    interval lies wholly above −0.5; else undecided.

    It is the rule of `claims.h1`, whose docstring says how often it errs, and that a smooth curve may look like this.
    Raises TooFewError if fewer than three sizes are left.
    """
    curves = _curves(records[ARM], "n_atoms", {size: [size] for size in sizes}, resamples, every=False)
    if len(curves.groups) < 3:
        raise TooFewError(f"a correlation over sizes needs three of them; there are {curves.groups}")
    frequency = frequency_of(curves.first, "size").loc[curves.groups].to_numpy()
    by_frequency, by_size = (
        estimates(curves, lambda logs, given=given: spearman(given, logs[..., 0, :]))[0]
        for given in (frequency, np.array(curves.groups))
    )
    chance = permutation_p(frequency, curves.logs[:, 0])
    part = part_of("frequency", by_frequency, -CLEAR, "below", "correlation", p_chance=2 * chance)
    details = {"p_permutation": chance, "correlation_with_size": by_size.value, "sizes": len(curves.groups)}
    return judge(forces_by_frequency, HELD_OUT, curves.counts, [part], details)


def forces_by_size(records: Arms[Record], *, resamples: int = RESAMPLES) -> Verdict:
    """The forces on atoms of large molecules are missed by more than those of small ones.

    Rule: the effect is the ratio of the errors of forces, molecules of more than 17 atoms over the others, geometric
    mean over seeds. Confirmed if its interval lies wholly above 1.1, rejected if wholly below, else undecided.

    A rejection is not yet "they are alike": that is `Verdict.no_difference`, an interval within 1/1.1 and 1.1.
    """
    largest = statistics.LARGEST_SIZE + 1
    sides = {"large": range(thesis.LARGE + 1, largest), "small": range(thesis.LARGE + 1)}
    curves = _curves(records[ARM], "n_atoms", sides, resamples)
    ratio = estimates(curves, lambda logs: logs[..., 0, 0, :] - logs[..., 1, 0, :])[0]
    return judge(forces_by_size, HELD_OUT, curves.counts, [part_of("large", ratio, LOG_FACTOR, "above", "ratio")])


def forces_by_element(records: Arms[Record], *, resamples: int = RESAMPLES) -> Verdict:
    """The forces on atoms of a rare element are poor: hypothesis 2 of the thesis.

    Rule: the effect is the ratio of the error of forces on atoms of the element with the fewest atoms to the geometric
    mean of those of the other four, mean over seeds. Confirmed if its interval lies wholly above 1.1, rejected if
    wholly below, else undecided.

    Unlike an energy, a force has an atom, and so an element. Whether atoms of the rarest one are hard because they are
    few or for another reason, no test on one element can tell. Raises ValueError if an element has too few molecules.
    """
    groups = {element: [atomic_numbers[element]] for element in statistics.ELEMENTS}
    curves = _curves(records[ARM], "element", groups, resamples)
    atoms = curves.first.forces.groupby("element")["atoms"].sum()
    rare = min(range(len(curves.groups)), key=lambda place: atoms[groups[curves.groups[place]][0]])
    others = [place for place in range(len(curves.groups)) if place != rare]
    ratio = estimates(curves, lambda logs: logs[..., rare, 0, :] - logs[..., others, 0, :].mean(axis=-2))[0]
    part = part_of("rarest_element", ratio, LOG_FACTOR, "above", "ratio")
    return judge(forces_by_element, HELD_OUT, curves.counts, [part])


def forces_bar(records: Arms[Record], *, resamples: int = RESAMPLES) -> Verdict:
    """The forces are good enough: within 43 meV/Å of their labels, GFN2-xTB's.

    Rule: the effect is the ratio of the error of forces over the test part to 43 meV/Å, geometric mean over seeds.
    Confirmed if its interval lies wholly below 1, rejected if wholly above, else undecided.
    """
    sizes = range(statistics.LARGEST_SIZE + 1)
    curves = _curves(records[ARM], "n_atoms", {"all": sizes}, resamples, test=True)
    ratio = estimates(curves, lambda logs: logs[..., 0, 0, :] - np.log(DEMANDED))[0]
    return judge(forces_bar, HELD_OUT, curves.counts, [part_of("bar", ratio, 0.0, "below", "ratio")])


def survival_by_size(survival: Survival) -> Verdict:
    """Large molecules survive less often in dynamics than small ones.

    Rule: the effect is the ratio of the odds of being stopped, molecules of more than 17 atoms over the others, among
    the molecules drawn at random. Confirmed if its interval lies wholly above 1, rejected if wholly below, else
    undecided.

    The odds have a half added to each count, and the interval is Woolf's (Ann. Hum. Genet. 19, 251 (1955); Gart, J. R.
    Stat. Soc. B 28, 164 (1966)): with few molecules stopped it is wide, and all is then undecided. A large molecule has
    more bonds that may break, and one that is broken is enough: what is asked is who survives, and not which bond does.
    """
    return _odds(survival_by_size, survival, survival.at_random, lambda one: one.n_atoms > thesis.LARGE, "large")


def survival_by_element(survival: Survival) -> Verdict:
    """Molecules with the rarest element, fluorine, survive less often in dynamics than others.

    Rule: the effect is the ratio of the odds of being stopped, molecules with fluorine over those without, among all
    that were simulated, those drawn for their fluorine included. Confirmed if its interval lies wholly above 1,
    rejected if wholly below, else undecided.

    Odds and interval are those of `survival_by_size`.
    """
    return _odds(survival_by_element, survival, survival.molecules, lambda one: "F" in one.elements, "fluorine")


OF_ERRORS: tuple[Callable[[Arms[Record]], Verdict], ...] = (
    forces_by_frequency,
    forces_by_size,
    forces_by_element,
    forces_bar,
)
OF_SURVIVAL: tuple[Callable[[Survival], Verdict], ...] = (survival_by_size, survival_by_element)


def all_claims(records: Arms[Record], survival: Survival | None = None) -> list[Verdict]:
    """The verdicts on all claims, those on survival if it was measured, corrected together."""
    return together([*(claim(records) for claim in OF_ERRORS), *_of_survival(survival)])


def possible_claims(records: Arms[Record], survival: Survival | None = None) -> list[Verdict]:
    """`all_claims` but those for which too few molecules are held out, as in small profiles."""
    found = []
    for claim in OF_ERRORS:
        with suppress(TooFewError):
            found.append(claim(records))
    return together([*found, *_of_survival(survival)])


def _of_survival(survival: Survival | None) -> list[Verdict]:
    return [] if survival is None else [claim(survival) for claim in OF_SURVIVAL]


def _curves(
    records: Sequence[Record],
    by: str,
    groups: Mapping[Hashable, Collection[int]],
    resamples: int,
    *,
    test: bool = False,
    every: bool = True,
) -> Curves:
    """Logarithms of the errors of groups of sizes, or of elements; without `every` of those with enough molecules.

    With a molecule that is drawn come all its atoms: an error is a ratio of two sums over the same molecules. Raises
    TooFewError if a group has too few, and ValueError if the records hold out different molecules.
    """
    tables = [errors(record, test=test) for record in records]
    first = tables[0]
    for record, table in zip(records, tables, strict=True):
        if not np.array_equal(table[["index", "element"]], first[["index", "element"]]):
            raise ValueError(f"runs {records[0].id} and {record.id} hold out different molecules")
    columns = [*(table["absolute"] for table in tables), first["components"].astype(float)]
    of_rows = np.stack(columns, axis=1)  # [R, S + 1]
    row, molecules = first["index"].factorize()
    kept, sums, counts = [], [], []
    for group, members in groups.items():
        inside = first[by].isin(list(members)).to_numpy()
        counted = len(np.unique(row[inside]))
        if counted >= LEAST_MOLECULES:
            summed = np.zeros((len(molecules), of_rows.shape[1]))
            np.add.at(summed, row[inside], of_rows[inside])
            kept.append(group)
            sums.append(summed)
            counts.append(counted)
    missing = [str(group) for group in groups if group not in kept]
    if missing and (every or not kept):
        raise TooFewError(f"fewer than {LEAST_MOLECULES} held-out molecules have forces of {by} {', '.join(missing)}")
    summed = np.stack(sums, axis=1)  # [M, G, S + 1]

    def logs(means: np.ndarray) -> np.ndarray:
        return np.log(means[..., None, :-1] / means[..., None, -1:])  # [..., G, 1, S]

    return Curves(
        groups=kept,
        logs=logs(summed.mean(axis=0)),
        draws=logs(resampled_means(summed, [np.arange(len(molecules))], resamples)[:, 0]),
        molecules=int((summed[..., -1] > 0).any(axis=1).sum()),
        fewest=min(counts),
        first=records[0],
    )


def _odds(
    claim: Callable, survival: Survival, among: Sequence[Simulated], is_so: Callable[[Simulated], bool], name: str
) -> Verdict:
    """Judge the odds of being stopped of those for which something is so, over those of the others."""
    stopped, so = (np.array([bool(of(one)) for one in among]) for of in (lambda one: one.stopped, is_so))
    counts = np.array([[(stopped & so).sum(), (~stopped & so).sum()], [(stopped & ~so).sum(), (~stopped & ~so).sum()]])
    logs = np.log(counts + 0.5)
    ratio = (logs[0, 0] - logs[0, 1]) - (logs[1, 0] - logs[1, 1])
    estimate = Estimate(float(ratio), float(np.sqrt((1 / (counts + 0.5)).sum())), np.inf)
    models = sum(map(len, survival.models.values()))
    details = {"stopped": stopped.sum(), f"stopped_{name}": counts[0, 0], name: so.sum()}
    return judge(claim, HELD_OUT, (models, len(among)), [part_of(name, estimate, 0.0, "above", "odds_ratio")], details)
