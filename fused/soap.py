"""SOAP, with parameters of one shape updated together."""

from collections.abc import Callable
from typing import Any

import torch
from pytorch_optimizer import SOAP


class GroupedSOAP(SOAP):
    """pytorch_optimizer's SOAP (Vyas et al. 2024, arXiv:2409.11321), the same to rounding, in fewer and larger steps.

    Parameters of one shape are stacked: most of an update's time goes by between two operations. `state_dict` and the
    parameters are the library's, but without weight decay; the library's further options have no effect.

    Raises ValueError if a parameter has more than two axes.
    """

    def __init__(self, params: object, **settings: object) -> None:
        super().__init__(params, weight_decay=0.0, **settings)
        shapes = {tuple(parameter.shape) for group in self.param_groups for parameter in group["params"]}
        if deep := [shape for shape in shapes if len(shape) > 2]:
            raise ValueError(f"a parameter of shape {deep[0]} has more than two axes")
        self._stacks: dict[int, tuple[list[torch.Tensor], list[_Stack]]] = {}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take a state, of `load_state_dict` too."""
        super().__setstate__(state)
        self._stacks = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """One update; as in the library, the first gradient only says where to begin."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            self.init_group(group)
            group["step"] += 1
            if (step := group["step"] - 1) == 0:
                continue
            of_mean, of_square = group["betas"]
            size = group["lr"] * self.debias(of_square, step) ** 0.5 / self.debias(of_mean, step)
            for stack in self._stacked(number):
                stack.update(size, betas=group["betas"], eps=group["eps"], step=step)
        return loss

    def _stacked(self, number: int) -> list["_Stack"]:
        """The parameters of a group that have a gradient, shape by shape; their states are parts of the last stacks."""
        moving = [parameter for parameter in self.param_groups[number]["params"] if parameter.grad is not None]
        before, stacks = self._stacks.get(number, ([], []))
        if len(before) != len(moving) or any(one is not other for one, other in zip(before, moving, strict=True)):
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for parameter in moving:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            stacks = [_Stack(alike, [self.state[one] for one in alike]) for alike in by_shape.values()]
            self._stacks[number] = moving, stacks
        return stacks


class _Stack:
    """n parameters of one shape, and the library's state of each as one tensor, which the states keep views of.

    For each axis that SOAP turns, `_bases` and `_statistics` have matrices [n, side, side]: Q, and the running mean of
    G·Gᵀ (paper, algorithm 3).
    """

    def __init__(self, parameters: list[torch.Tensor], states: list[dict[str, Any]]) -> None:
        self._parameters = parameters
        self._mean = _joined(states, "exp_avg")
        self._square = _joined(states, "exp_avg_sq")
        turned = [axis for axis, matrix in enumerate(states[0]["GG"]) if len(matrix)]
        self._statistics = {axis: _joined([state["GG"] for state in states], axis) for axis in turned}
        self._bases = {axis: _joined([state["Q"] for state in states], axis) for axis in turned}
        self._frequency, self._slowness = states[0]["precondition_frequency"], states[0]["shampoo_beta"]

    def update(self, size: float, *, betas: tuple[float, float], eps: float, step: int) -> None:
        """Move the parameters by Adam's step in the bases, turned back; then the statistics learn, and maybe the bases.

        `size` is the length of Adam's step, `step` counts from 1.
        """
        gradients = torch.stack([parameter.grad for parameter in self._parameters])
        self._mean.lerp_(gradients, weight=1 - betas[0])
        self._square.lerp_(self._turned(gradients).square(), weight=1 - betas[1])
        ahead = self._turned(self._mean) / self._square.sqrt().add_(eps)
        for parameter, of_one in zip(self._parameters, self._turned(ahead, back=True), strict=True):
            parameter.add_(of_one, alpha=-size)
        for axis, statistics in self._statistics.items():
            first, second = (gradients, gradients.mT) if axis == 0 else (gradients.mT, gradients)
            statistics.lerp_(torch.bmm(first, second), weight=1 - self._slowness)
            if step % self._frequency == 0:
                self._turn_bases(axis)

    def _turned(self, values: torch.Tensor, *, back: bool = False) -> torch.Tensor:
        """Values [n, …] in the bases, or from there."""
        for axis, basis in self._bases.items():
            if axis == 0:
                values = torch.bmm(basis if back else basis.mT, values)
            else:
                values = torch.bmm(values, basis.mT if back else basis)
        return values

    def _turn_bases(self, axis: int) -> None:
        """One round of power iteration (paper, algorithm 4), largest variance first, as in the library."""
        basis = self._bases[axis]
        product = self._statistics[axis] @ basis
        order = (basis * product).sum(dim=1).argsort(dim=1, descending=True)
        there = order[:, :, None] if axis == 0 else order[:, None, :]
        self._square.copy_(self._square.take_along_dim(there, dim=axis + 1))
        basis.copy_(torch.linalg.qr(product.take_along_dim(order[:, None, :], dim=2)).Q)


def _joined(holders: list, key: object) -> torch.Tensor:
    """What each holder has under `key`, as one tensor; the holders have its parts from now on."""
    joined = torch.stack([holder[key] for holder in holders])
    for holder, part in zip(holders, joined, strict=True):
        holder[key] = part
    return joined
