"""The claims on forces and on survival, on made-up records whose truth is known, and how often they err."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from moving_records import CARBON, FLUORINE, FREQUENCY, HELD_OUT, HYDROGEN, OXYGEN, SIZES, even, simulated, survival_of
from moving_records import force_arms as made_up

from analysis.evaluation import force_claims as claims
from analysis.evaluation.verdicts import rule_of

QUICK = {"resamples": 200}


def times(factor: float, when: Callable) -> Callable:
    return lambda n_atoms, element: even(n_atoms, element) * np.where(when(n_atoms, element), factor, 1.0)


def large(n_atoms: np.ndarray, _: np.ndarray) -> np.ndarray:
    return n_atoms > 17


def test_the_error_of_a_group_is_that_of_all_components_on_its_atoms():
    record = made_up(seeds=1)["painn"][0]
    of_carbon = record.forces[record.forces["element"] == CARBON]
    expected = of_carbon["absolute"].sum() / (3 * of_carbon["atoms"].sum())
    assert claims.mae(record, "element")[CARBON] == pytest.approx(expected)
    whole = record.forces["absolute"].sum() / (3 * record.forces["atoms"].sum())
    assert claims.mae(record).item() == pytest.approx(whole)
    with pytest.raises(ValueError, match="run run-0 has no forces"):
        claims.mae(replace(record, forces=None))


def test_rare_sizes_with_large_errors_are_seen_and_even_errors_are_not():
    rarely = dict(zip(SIZES.tolist(), (0.05 * np.sqrt(100 / FREQUENCY)).tolist(), strict=True))
    found = claims.forces_by_frequency(made_up(lambda n, _: np.array([rarely[one] for one in n.tolist()])), **QUICK)
    assert (found.verdict, found.unit) == ("confirmed", "correlation")
    assert found.effect < -0.8
    assert found.details["sizes"] == 16  # of 10 to 25 atoms
    with_size = claims.forces_by_frequency(made_up(lambda n, _: 0.01 + 0.002 * n), **QUICK)
    assert with_size.verdict != "confirmed"
    assert with_size.details["correlation_with_size"] > 0.9


def test_large_molecules_are_compared_with_small_ones():
    found = claims.forces_by_size(made_up(times(1.3, large)), **QUICK)
    assert found.verdict == "confirmed"
    assert found.effect == pytest.approx(1.3, rel=0.1)
    alike = claims.forces_by_size(made_up(), **QUICK)
    assert alike.verdict == "rejected"
    assert alike.no_difference
    smaller = claims.forces_by_size(made_up(times(0.7, large)), **QUICK)
    assert smaller.verdict == "rejected"
    assert not smaller.no_difference


def test_the_effect_is_the_ratio_of_the_errors_of_each_seed():
    records = made_up(times(1.3, large), seeds=3)
    ratios = []
    for record in records["painn"]:
        table = claims.errors(record)
        sums = table.groupby(table["n_atoms"] > 17)[["absolute", "components"]].sum()
        ratios.append(np.divide(*(sums.loc[side, "absolute"] / sums.loc[side, "components"] for side in (True, False))))
    found = claims.forces_by_size(records, **QUICK)
    assert found.effect == pytest.approx(np.exp(np.mean(np.log(ratios))))
    assert (found.n_seeds, found.n_molecules) == (3, HELD_OUT)
    assert claims.forces_by_size(made_up(seeds=1), **QUICK).interval == (0, np.inf)


def test_it_is_the_atoms_of_the_rarest_element_that_count():
    found = claims.forces_by_element(made_up(times(2, lambda _, z: z == FLUORINE)), **QUICK)
    assert found.verdict == "confirmed"
    assert found.effect == pytest.approx(2, rel=0.2)
    for other in (HYDROGEN, OXYGEN):
        assert (
            claims.forces_by_element(made_up(times(3, lambda _, z, other=other: z == other)), **QUICK).verdict
            == "rejected"
        )


def test_without_enough_molecules_of_an_element_or_a_size_nothing_is_judged():
    records = made_up(seeds=2)
    for record in records["painn"]:
        forces = record.forces
        without = forces[(forces["element"] != FLUORINE) | (forces["index"] < 100)]
        object.__setattr__(record, "forces", without)
    with pytest.raises(ValueError, match="fewer than 10 held-out molecules have forces of element F"):
        claims.forces_by_element(records, **QUICK)
    with pytest.raises(claims.TooFewError, match="a correlation over sizes needs three of them"):
        claims.forces_by_frequency(records, sizes=(10, 11), **QUICK)
    with pytest.raises(ValueError, match="n_atoms 40, 41"):
        claims.forces_by_frequency(records, sizes=(40, 41), **QUICK)
    possible = [verdict.claim for verdict in claims.possible_claims(records)]
    assert possible == ["forces_by_frequency", "forces_by_size", "forces_bar"]


def test_records_of_other_molecules_are_refused():
    records = made_up(seeds=2)
    last = records["painn"][1]
    object.__setattr__(last, "forces", last.forces.iloc[1:])
    with pytest.raises(ValueError, match="runs run-0 and run-1 hold out different molecules"):
        claims.forces_by_size(records, **QUICK)


def test_the_demand_is_met_on_the_test_part_alone():
    for level, verdict in ((0.03, "confirmed"), (0.043, "undecided"), (0.06, "rejected")):
        found = claims.forces_bar(made_up(lambda n, _, level=level: np.full(len(n), level)), **QUICK)
        assert found.verdict == verdict
        assert found.effect == pytest.approx(level / 0.043, rel=0.06)
    records = made_up()
    for record in records["painn"]:
        validation = ~record.forces["index"].isin(record.errors["index"][record.errors["test"]])
        forces = record.forces.assign(absolute=record.forces["absolute"].where(~validation, 100.0))
        object.__setattr__(record, "forces", forces)
    assert claims.forces_bar(records, **QUICK).verdict == "confirmed"
    assert claims.mae(records["painn"][0]).item() > 1


def test_at_the_threshold_each_direction_errs_as_seldom_as_it_says():
    found = [
        claims.forces_by_size(made_up(times(1.1, large), seeds=3, draw=draw), resamples=60).verdict
        for draw in range(120)
    ]
    for direction in ("confirmed", "rejected"):  # 2.5 % each: 8 of 120 or more come in 1 % of the cases
        assert found.count(direction) <= 8


def test_who_is_stopped_is_compared_by_odds():
    molecules = [
        *(simulated(n_atoms=20, stopped="bond") for _ in range(12)),
        *(simulated(n_atoms=20) for _ in range(38)),
        *(simulated(n_atoms=12, stopped="heat") for _ in range(2)),
        *(simulated(n_atoms=12) for _ in range(48)),
        *(simulated(n_atoms=12, drawn="fluorine", elements=("C", "F"), stopped="bond") for _ in range(9)),
        simulated(n_atoms=12, drawn="fluorine", elements=("C", "F")),
    ]
    survival = survival_of(molecules)
    found = claims.survival_by_size(survival)
    odds = (12.5 / 38.5) / (2.5 / 48.5)
    assert found.effect == pytest.approx(odds)
    width = 1.959964 * np.sqrt(1 / 12.5 + 1 / 38.5 + 1 / 2.5 + 1 / 48.5)
    assert found.interval == pytest.approx((odds * np.exp(-width), odds * np.exp(width)), rel=1e-5)
    assert (found.verdict, found.n_molecules, found.details["stopped"]) == ("confirmed", 100, 14)
    with_fluorine = claims.survival_by_element(survival)
    assert (with_fluorine.verdict, with_fluorine.n_molecules) == ("confirmed", 110)
    assert with_fluorine.effect == pytest.approx((9.5 / 1.5) / (14.5 / 86.5))
    nobody = survival_of([simulated(n_atoms=size) for size in (12, 20) for _ in range(50)])
    assert claims.survival_by_size(nobody).verdict == "undecided"


def test_who_is_stopped_by_chance_alone_is_seldom_judged():
    rng, found = np.random.default_rng(0), []
    for chance in (0.05, 0.3):
        for _ in range(400):
            stopped = rng.random(100) < chance
            ones = [simulated(n_atoms=20 if k < 60 else 12, stopped="bond" * bool(so)) for k, so in enumerate(stopped)]
            found.append(claims.survival_by_size(survival_of(ones)).verdict)
    assert found.count("confirmed") <= 0.035 * len(found)
    assert found.count("rejected") <= 0.035 * len(found)


def test_each_claim_has_a_rule_and_all_are_corrected_together():
    for claim in (*claims.OF_ERRORS, *claims.OF_SURVIVAL):
        assert rule_of(claim).startswith("the effect is ")
    records = made_up(times(1.3, large))
    survival = survival_of([simulated(n_atoms=size) for size in (12, 20) for _ in range(20)])
    found = claims.all_claims(records, survival)
    assert [one.claim for one in found] == [claim.__name__ for claim in (*claims.OF_ERRORS, *claims.OF_SURVIVAL)]
    assert len(claims.all_claims(records)) == len(claims.OF_ERRORS)
    assert all(one.p_in_table >= one.p for one in found)
