"""Derivatives of a network's compiled layers with respect to positions, and what it takes to train on them.

Forces are the layers' backward pass without gradients of parameters: where a filter is interpolated in its table, its
derivative is that of the very same polynomials. So the forces are those of the energies that the layers give, and not
of the network that the tables stand for.

A loss of forces F = −∂E/∂R needs second derivatives, but only along one direction: with v its gradient with respect to
what the first backward pass gave, and g the gradient that this pass began with, it needs the gradient of
v · ∂(g · x)/∂R, where x are the features that the layers give. That is the difference of two first derivatives,

    [∂(g · x)/∂θ (R + δ v̂) − ∂(g · x)/∂θ (R − δ v̂)] |v| / 2δ,

an ordinary backward pass of molecules that are there twice. The gradient that comes to x otherwise, u, goes with it,
half through each of the two, which gives u · ∂x/∂θ to second order in δ too. No loop has to know of second derivatives,
and any loss will do.

`of_positions` hangs this behind the layers' own node in torch's graph, which stays as it is. Torch passes through the
two one after the other; what the later one gives, its parameters' gradients, the earlier one has computed already.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import torch
from torch.autograd.function import FunctionCtx, once_differentiable

from fused import _lists

if TYPE_CHECKING:
    from fused.convolution import HalfList

STEP = 0.001
"""How far the atom that moves most is displaced, Å.

It is large against the rounding of features in float32, and small against what bends the energy. The gradient of a loss
of energies and forces, with respect to all parameters, is then within 1e-4 of its length of SchNetPack's in float64
(measured on 32 distorted molecules: SchNet 4e-5, PaiNN 8e-5; with half of it 8e-5 and 6e-5, with ten times as much 1e-4
and 3e-3). What bends PaiNN most are the norms of its vectors: where one vanishes by symmetry its norm has a kink that
SchNetPack rounds off over 1e-4, which is less than a displacement; there the difference is a mean across the kink.
"""

_MOST = 16  # forces that are trained on, from one pass


@dataclass(frozen=True, eq=False)
class Atoms:
    """A batch as compiled layers take it.

    Parameters
    ----------
    numbers
        int64 [A].
    positions
        float64 [A, 3], Å; None if nobody asks for them.
    pairs
        Which atoms see each other.
    """

    numbers: np.ndarray
    positions: np.ndarray | None
    pairs: "HalfList"

    @classmethod
    def of(cls, numbers: torch.Tensor, positions: torch.Tensor | None, pairs: "HalfList") -> Self:
        """The same from tensors."""
        return cls(_numbers(numbers), None if positions is None else _numbers(positions.double()), pairs)


class Layers(Protocol):
    """Compiled layers with the parameters that they have now."""

    def forward(self, atoms: Atoms) -> tuple[np.ndarray, Any]:
        """Atoms' features, float32 [A, F], and what the backward pass needs."""

    def backward(
        self, atoms: Atoms, kept: Any, gradient: np.ndarray, *, parameters: bool, positions: bool
    ) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
        """Gradients with respect to the parameters and to positions, float64 [A, 3], as far as they are asked for."""


class Pass:
    """A forward pass, and its backward passes."""

    def __init__(self, layers: Layers, atoms: Atoms) -> None:
        self.layers, self.atoms = layers, atoms
        self.out, self._kept = layers.forward(atoms)

    def gradients(
        self, gradient: np.ndarray, *, parameters: bool = False, positions: bool = False
    ) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
        """See `Layers.backward`."""
        return self.layers.backward(self.atoms, self._kept, gradient, parameters=parameters, positions=positions)


@dataclass(eq=False)
class Link:
    """What the layers' own node and the one behind it have in common."""

    only: Pass | None = None
    moved: "list[_Moved | None]" = field(default_factory=list)
    found: list[np.ndarray] | None = None
    """Gradients of parameters that the later node's backward pass has left for the earlier one's, just before it."""

    def take(self, number: int) -> "_Moved":
        """Displaced molecules, which are needed once."""
        moved, self.moved[number] = self.moved[number], None
        return moved

    def parameters(self, gradient: np.ndarray) -> list[np.ndarray]:
        """The gradients of parameters that the layers' own node gives."""
        found, self.found = self.found, None
        return self.only.gradients(gradient, parameters=True)[0] if found is None else found


class Prepared:
    """A network's layers as they were prepared last: filters tabulated, matrices padded.

    For a small molecule that is most of the work, and for a network that is not trained now it is the same every time.
    """

    def __init__(self) -> None:
        self._settings: Hashable = None
        self._numbers: list[torch.Tensor] = []
        self._layers: Layers | None = None

    def features(
        self,
        network: torch.nn.Module,
        settings: Hashable,
        atoms: Atoms,
        positions: torch.Tensor,
        through: Callable[[torch.Tensor, Link], torch.Tensor],
    ) -> torch.Tensor:
        """Atoms' features, [A, F or more].

        `through` is the way through torch's graph, from positions and with a link, that a training takes. It prepares
        layers and checks what is given, and gives the gradients of parameters should somebody ask. `settings` are what
        layers depend on beside the network's parameters and buffers.
        """
        # As `parameters` and `buffers` give them, which go through all modules once each.
        held = (kind for module in network.modules() for kind in (module._parameters, module._buffers))
        now = list({id(tensor): tensor for kind in held for tensor in kind.values() if tensor is not None}.values())
        same = (
            settings == self._settings and len(now) == len(self._numbers) and all(map(torch.equal, now, self._numbers))
        )
        link, rows = Link(), len(network.embedding.weight)
        if not (same and 0 <= atoms.numbers.min(initial=0) <= atoms.numbers.max(initial=0) < rows):
            x = through(positions, link)
            self._settings, self._layers = settings, link.only.layers
            self._numbers = [tensor.detach().clone() for tensor in now]
            return x
        link.only = Pass(self._layers, atoms)
        parameters = (tensor for tensor in now if isinstance(tensor, torch.nn.Parameter))
        x = _Prepared.apply(lambda again: through(positions.detach(), again), link, *parameters)
        return of_positions(x, positions, link) if positions.requires_grad else x

    def __deepcopy__(self, memo: dict) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple:
        return type(self), ()


class _Prepared(torch.autograd.Function):
    """Features from prepared layers; their backward pass goes through torch's graph, which is made then."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, through: Callable[[Link], torch.Tensor], link: Link, *parameters: torch.Tensor
    ) -> torch.Tensor:
        ctx.through, ctx.link, ctx.parameters = through, link, parameters
        return torch.from_numpy(link.only.out)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        again = Link()
        with torch.enable_grad():
            x = ctx.through(again)
        again.found, ctx.link.found = ctx.link.found, None
        asked = [parameter for parameter in ctx.parameters if parameter.requires_grad]
        found = iter(torch.autograd.grad(x, asked, gradient[:, : x.shape[1]], allow_unused=True))
        return None, None, *(next(found) if parameter.requires_grad else None for parameter in ctx.parameters)


def of_positions(features: torch.Tensor, positions: torch.Tensor, link: Link) -> torch.Tensor:
    """The same features, [A, F], which depend on positions, [A, 3], too: once in what is trained, and twice.

    `link` holds the pass that they are from.
    """
    return _Positions.apply(features, positions, link)[0]


class _Positions(torch.autograd.Function):
    """Nothing to do forward. The second output is a token, see `_Forces`."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, features: torch.Tensor, positions: torch.Tensor, link: Link
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.link, ctx.dtype = link, positions.dtype
        token = features.new_zeros(_MOST)
        ctx.save_for_backward(token)
        ctx.set_materialize_grads(False)
        return torch.from_numpy(link.only.out), token  # no view of the features: whoever likes may change it in place

    @staticmethod
    def backward(
        ctx: FunctionCtx, gradient: torch.Tensor | None, token: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        link, asked = ctx.link, [] if token is None else token.nonzero()[:, 0].tolist()
        if torch.is_grad_enabled():
            if asked:
                raise RuntimeError("the compiled layers have first and second derivatives, no third; see fused.forces")
            return gradient, _Forces.apply(gradient, *ctx.saved_tensors, link, ctx.dtype), None
        only, link.found = link.only, None
        gradient = torch.zeros(only.out.shape, dtype=torch.float32) if gradient is None else gradient
        given = _numbers(gradient)
        if not asked:
            d_positions = only.gradients(given, positions=True)[1]
        else:
            # Each of them has its own displaced molecules; what comes to the features otherwise goes with the first.
            parts = [given, *[np.zeros_like(given)] * (len(asked) - 1)]
            found = [link.take(number).gradients(part) for number, part in zip(asked, parts, strict=True)]
            link.found = [sum(of_one) for of_one in zip(*(parameters for parameters, _ in found), strict=True)]
            d_positions = sum(of_positions for _, of_positions in found)
        return gradient, torch.from_numpy(d_positions).to(ctx.dtype), None


class _Forces(torch.autograd.Function):
    """The gradient with respect to positions, differentiable.

    Its backward pass only makes the displaced molecules and goes forward with them. Their backward pass has to wait for
    what else comes to the features: it is that of `_Positions`, which torch always does later, and which knows by the
    token (a one at this one's number) whose it has to be.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, gradient: torch.Tensor, token: torch.Tensor, link: Link, dtype: torch.dtype
    ) -> torch.Tensor:
        if len(link.moved) == len(token):
            raise RuntimeError(f"forces were computed {_MOST} times from one pass through the compiled layers")
        ctx.link, ctx.number, ctx.given = link, len(link.moved), _numbers(gradient)
        link.moved.append(None)
        ctx.token = token.detach()
        return torch.from_numpy(link.only.gradients(ctx.given, positions=True)[1]).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        moved = ctx.link.moved[ctx.number] = _Moved(ctx.link.only, ctx.given, direction.detach().double().numpy())
        token = torch.zeros_like(ctx.token)
        token[ctx.number] = 1
        return torch.from_numpy(moved.derivative()), token, None, None


class _Moved:
    """The molecules of a pass twice, displaced along a direction, float64 [A, 3], and against it, block by block.

    What differs in sign is added up one right after the other, so that rounding stays that of the difference.
    """

    def __init__(self, only: Pass, gradient: np.ndarray, direction: np.ndarray) -> None:
        atoms, pairs = only.atoms, only.atoms.pairs
        blocks = pairs.blocks.numpy()
        counts = np.diff(blocks, axis=0)
        length = np.sqrt((direction**2).sum(axis=1))
        # One scale for each block: a block's molecules are displaced by `STEP` at most.
        largest = np.array([length[start:stop].max(initial=0) for start, stop in pairwise(blocks[:, 0])])
        scale = np.repeat(np.where(largest == 0, 1, largest), counts[:, 0])[:, None]
        self._gradient = (scale / (2 * STEP) * gradient).astype(gradient.dtype)
        self._scale = (scale / (2 * STEP)).astype(gradient.dtype)
        # Of a loss that is no number the gradient is none, but the molecules stay where they are: every pair must tell.
        step = np.nan_to_num(STEP / scale * direction, nan=0, posinf=0, neginf=0)

        def twice(column: int) -> tuple[np.ndarray, np.ndarray]:
            """Where atoms, or pairs, stand in the two copies of their block."""
            number = np.repeat(counts[:, column], counts[:, column])
            first = np.arange(blocks[-1, column]) + np.repeat(blocks[:-1, column], counts[:, column])
            return first, first + number

        (self._along, self._against), of_pairs = twice(0), twice(1)
        numbers = np.empty(2 * len(atoms.numbers), np.int64)
        positions = np.empty((len(numbers), 3))
        first, second = np.empty((2, 2 * len(pairs.first)), np.int32)
        for place, pair, sign in zip((self._along, self._against), of_pairs, (1, -1), strict=True):
            numbers[place], positions[place] = atoms.numbers, atoms.positions + sign * step
            first[pair], second[pair] = place[pairs.first.numpy()], place[pairs.second.numpy()]
        starts = np.stack([2 * blocks[:-1], 2 * blocks[:-1] + counts], axis=1).reshape(-1, 2)
        moved = replace(
            pairs,
            first=torch.from_numpy(first),
            second=torch.from_numpy(second),
            distance=torch.from_numpy(_lists.distances(first, second, positions)),
            blocks=torch.from_numpy(np.append(starts, 2 * blocks[-1:], axis=0)),
        )
        self._pass = Pass(only.layers, Atoms(numbers, positions, moved))

    def derivative(self) -> np.ndarray:
        """The features' derivative along the direction, times its length."""
        out = self._pass.out
        return (out[self._along] - out[self._against]) * self._scale

    def gradients(self, rest: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Gradients with respect to parameters and positions, with what else comes to the features."""
        given = np.empty_like(self._pass.out)
        given[self._along], given[self._against] = rest / 2 + self._gradient, rest / 2 - self._gradient
        parameters, positions = self._pass.gradients(given, parameters=True, positions=True)
        return parameters, positions[self._along] + positions[self._against]


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
