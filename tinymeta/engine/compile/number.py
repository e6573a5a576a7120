"""Python numbers among the arguments of a compiled function: their value may change, their weakness must not.

In eager code `0.1 * x` has the dtype of x. While a function is recorded its number arguments are Tensors, so that
the next call may bring another value; `Number` is such a Tensor, and takes the dtype of whatever it meets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.primitive import bind
from tinymeta.engine.structure import astype
from tinymeta.engine.tensor import Tensor

_KINDS = "biufc"


class Number(Tensor):
    """A Tensor of shape () that stands for a Python number."""

    __slots__ = ()

    def weak(self, like: np.dtype[Any]) -> Tensor:
        """This number in the dtype `like`, or in the next wider one where that can't hold it."""
        mine = self.dtype
        wanted = like if _KINDS.index(like.kind) >= _KINDS.index(mine.kind) else np.result_type(like, mine)
        return bind(astype, self, dtype=wanted)  # type: ignore[no-any-return]


def _meeting(operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of Tensor, for a Number on its left."""

    def between(self: Number, other: Any) -> Any:
        if isinstance(other, (Number, int, float, complex)):
            result = operator(self, other)
            if result.dtype.kind != "b":
                result.__class__ = Number
            return result
        met = as_tensor(other)
        return operator(self.weak(met.dtype), met)

    return between


def number(value: Any) -> Number:
    """A Python number as a Tensor that remains as weak as it was."""
    if "__add__" not in vars(Number):
        _take_operators()
    return Number(np.asarray(value))


def _take_operators() -> None:
    """Give Number the operators that Tensor has by now, each with a Number's manners."""
    for name in ("add", "sub", "mul", "truediv", "pow", "matmul", "lt", "le", "gt", "ge", "eq", "ne"):
        for full in (f"__{name}__", f"__r{name}__"):
            if hasattr(Tensor, full):
                setattr(Number, full, _meeting(getattr(Tensor, full)))
    for name, value in {"__neg__": lambda self: self * -1, "__hash__": object.__hash__}.items():
        setattr(Number, name, value)
