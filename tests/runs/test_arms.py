import copy
import pickle
from types import SimpleNamespace

import pytest

from analysis.runs.arms import Arm, Arms, MissingArmError


def runs(*ids: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(id=one) for one in ids]


def test_an_arm_is_its_name_and_knows_its_parts():
    arm = Arm("cap", 2000, random=True, same_updates=True)
    assert arm == "cap 2000, random control, same updates"
    assert (arm.role, arm.value, arm.random, arm.same_updates) == ("cap", 2000, True, True)
    assert (Arm("size", 10), Arm("size", 0.5), Arm("stratified")) == (Arm("size", 10.0), "size 0.5", "stratified")
    for again in (copy.deepcopy(arm), pickle.loads(pickle.dumps(arm))):  # noqa: S301 - our own
        assert (again, again.value, again.random) == (arm, 2000, True)


def test_records_are_found_by_the_arm_or_its_name():
    (one,) = runs("a")
    found = Arms("balancing", {Arm("cap", 2000): [one], Arm("cap", 4000): []})
    assert found["cap 2000"] == found[Arm("cap", 2000)] == [one]
    assert "cap 4000" not in found, "an arm without records is none"


def test_a_run_of_two_arms_is_counted_once():
    """Budgets of a small profile are all as long."""
    first, second = runs("a", "b")
    found = Arms("beyond", {Arm("minutes", 25): [first, second], Arm("minutes", 5): [first]})
    assert found.runs == [first, second]


def test_arms_of_a_role_come_by_value_each_before_its_controls():
    arms = [Arm("cap", 4000), Arm("cap", 2000, same_updates=True), Arm("default"), Arm("cap", 2000, random=True)]
    found = Arms("balancing", {arm: runs("a") for arm in [*arms, Arm("cap", 2000)]})
    expected = ["cap 2000", "cap 2000, same updates", "cap 2000, random control", "cap 4000"]
    assert list(found.of("cap")) == expected


@pytest.mark.parametrize("look", [lambda found: found["cap 4000"], lambda found: found.of("more than")])
def test_a_missing_arm_is_named_with_the_recorded_ones_and_the_command_that_trains_it(look):
    found = Arms("balancing", {Arm("default"): runs("a"), Arm("cap", 2000): runs("b")})
    said = "the experiment balancing has no record of the arm '(cap 4000|more than)', only of default; cap 2000: "
    with pytest.raises(MissingArmError, match=f"{said}`python -m analysis run balancing` trains"):
        look(found)
