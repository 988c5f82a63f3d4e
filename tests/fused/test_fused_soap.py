"""Parameters updated together: the steps are the library's."""

import copy

import pytest
import torch
from pytorch_optimizer import SOAP

from fused.soap import GroupedSOAP

SHAPES = [(5, 4), (5, 4), (4, 5), (4,), (4,), (1, 3), (20, 6), (5, 4)]
SETTINGS = {"lr": 0.05, "max_precondition_dim": 10, "precondition_frequency": 3}


def parameters(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=draw, dtype=torch.float64)) for shape in SHAPES]


def descend(optimizer, moved, steps, start=0):
    """Steps down a bowl with noise; the noise depends on the step's number alone."""
    for step in range(start, start + steps):
        draw = torch.Generator().manual_seed(step)
        for parameter in moved:
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.grad = parameter.detach() + 0.3 * noise
        optimizer.step()


def library(moved, **settings):
    return SOAP(moved, weight_decay=0.0, **SETTINGS | settings)


def assert_same(some, others):
    for one, other in zip(some, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)  # its QR is in float32


@pytest.mark.parametrize("settings", [{}, {"betas": (0.8, 0.9)}, {"shampoo_beta": 0.7}, {"eps": 0.1}])
@pytest.mark.parametrize("steps", [1, 2, 4, 25])
def test_steps_are_the_librarys(steps, settings):
    ours, theirs = parameters(), parameters()
    descend(GroupedSOAP(ours, **SETTINGS, **settings), ours, steps)
    descend(library(theirs, **settings), theirs, steps)
    assert_same(ours, theirs)
    assert steps == 1 or not torch.equal(ours[0], parameters()[0])


def test_groups_have_rates_and_clocks_of_their_own():
    ours, theirs = parameters(), parameters()
    for moved, kind in ((ours, GroupedSOAP), (theirs, library)):
        groups = [{"params": moved[:3], "lr": 0.2}, {"params": moved[3:], "precondition_frequency": 2}]
        settings = SETTINGS if kind is GroupedSOAP else {}
        optimizer = kind(groups, **settings)
        descend(optimizer, moved, 5)
        optimizer.param_groups[1]["lr"] = 0.01
        descend(optimizer, moved, 5, start=5)
    assert_same(ours, theirs)


def test_a_parameter_without_a_gradient_waits():
    ours, theirs = parameters(), parameters()
    for moved, kind in ((ours, lambda all_: GroupedSOAP(all_, **SETTINGS)), (theirs, library)):
        optimizer = kind(moved)
        for turn, waiting in enumerate((None, 1, 0, None)):
            for parameter in moved:
                parameter.grad = None
            descend(optimizer, [one for place, one in enumerate(moved) if place != waiting], 5, start=5 * turn)
    assert_same(ours, theirs)


@pytest.mark.parametrize("of", [GroupedSOAP, SOAP])
def test_a_training_goes_on_from_a_state_of_either(of):
    ours = parameters()
    descend(GroupedSOAP(ours, **SETTINGS), ours, 12)
    halfway = parameters()
    first = of(halfway, **SETTINGS, **({} if of is GroupedSOAP else {"weight_decay": 0.0}))
    descend(first, halfway, 7)
    state, resumed = copy.deepcopy((first.state_dict(), halfway))
    second = GroupedSOAP(resumed, **SETTINGS)
    descend(second, resumed, 2)  # what it has learned by then must be forgotten
    with torch.no_grad():
        for parameter, value in zip(resumed, halfway, strict=True):
            parameter.copy_(value)
    second.load_state_dict(state)
    descend(second, resumed, 5, start=7)
    assert_same(ours, resumed)


def test_a_copy_has_a_state_of_its_own():
    moved = parameters()
    optimizer = GroupedSOAP(moved, **SETTINGS)
    descend(optimizer, moved, 5)
    copied = copy.deepcopy(optimizer)
    theirs = [parameter for group in copied.param_groups for parameter in group["params"]]
    descend(optimizer, moved, 5, start=5)
    descend(copied, theirs, 5, start=5)
    assert_same(moved, theirs)


def test_a_closure_says_the_loss_and_has_gradients():
    moved = parameters()
    optimizer = GroupedSOAP(moved, **SETTINGS)

    def closure():
        optimizer.zero_grad()
        loss = sum(parameter.square().sum() for parameter in moved)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(10)]
    assert losses[0] == losses[1] > losses[-1]


def test_more_than_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"a parameter of shape \(2, 3, 4\) has more than two axes"):
        GroupedSOAP([torch.nn.Parameter(torch.zeros(2, 3, 4))])
