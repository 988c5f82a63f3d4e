"""What a class that takes the place of one of SchNetPack's has to do for the rest of the world not to notice."""

import copy
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar, Self, SupportsIndex

import torch


class StandIn:
    """A class with the parameters of its base `stock`, whose results it computes faster in `fast`.

    TorchScript compiles the stock class's `forward`. Pickled, the module is one of the stock class, so that files can
    be read where this package is not installed; a deep copy stays what it is.
    """

    stock: ClassVar[type[torch.nn.Module]]
    own: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that the stock class doesn't have."""
    _stock: ClassVar[Callable[..., dict[str, torch.Tensor]]]

    def __init_subclass__(cls, **settings: object) -> None:
        super().__init_subclass__(**settings)
        cls._stock = _renamed(cls.stock.forward, "_stock")

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the stock module adds to a batch."""
        if torch.jit.is_scripting():
            return self._stock(inputs)
        else:  # noqa: RET505 - TorchScript leaves out what stands here
            return self.fast(inputs)

    def fast(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What `forward` does outside TorchScript."""
        raise NotImplementedError

    @classmethod
    def adopt(cls, module: torch.nn.Module, **own: object) -> None:
        """Make a module of the stock class one of this class, in place, with these attributes."""
        module.__class__ = cls
        module.__dict__.update(own)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        own = object.__new__(self.stock)
        own.__dict__ = {name: value for name, value in self.__dict__.items() if name not in self.own}
        return own.__reduce_ex__(1)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = memo[id(self)] = type(self).__new__(type(self))
        new.__dict__ = copy.deepcopy(self.__dict__, memo)
        return new


def hooked(module: torch.nn.Module) -> bool:
    """Whether somebody watches a module inside this one, which the fast path passes over."""
    inner = (part for part in module.modules() if part is not module)
    return any(
        part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks
        for part in inner
    )


def _renamed(function: FunctionType, name: str) -> FunctionType:
    """The same function: TorchScript, which names what it compiles after it, has a `forward` already."""
    new = FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
    new.__annotations__, new.__module__ = function.__annotations__, function.__module__
    return new
