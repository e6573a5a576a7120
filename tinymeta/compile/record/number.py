"""Python numbers among the arguments of a compiled function: their value may change, their weakness must not.

In eager code `0.1 * x` has the dtype of x. While a function is recorded its number arguments are Tensors, so that
the next call may bring another value; `Number` is such a Tensor, and takes the dtype of whatever it meets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.demand import demand
from tinymeta.engine.primitive import bind
from tinymeta.engine.structure import astype
from tinymeta.engine.tensor import Array, Tensor

_WEAK: dict[str, Any] = {"b": False, "i": 0, "f": 0.0, "c": 0j}  # Python's numbers, by the kind of their dtype


class Number(Tensor):
    """A Tensor of shape () that stands for a Python number."""

    __slots__ = ()

    def weak(self, like: np.dtype[Any]) -> Tensor:
        """This number in the dtype `like`, or in the next wider one where that can't hold it."""
        kind = self.dtype.kind
        fits = like.kind == "f" and kind != "c"
        wanted = like if fits else np.result_type(like, _WEAK[kind])
        if kind == "i" and wanted.kind in "iu" and wanted != self.dtype:
            demand(_within, self, dtype=wanted)
        return bind(astype, self, dtype=wanted)  # type: ignore[no-any-return]


def _within(n: Array, dtype: np.dtype[Any]) -> None:
    """Raises what `np.array(n, dtype)` does in eager code where a Python integer is too large for its partner."""
    np.array(int(n), dtype)


def _unwrapped(a: Array, b: Array, result: Array, name: str) -> None:
    """Raises where Python's integers have a result that 64 bits can't hold."""
    exact = getattr(int(a), name)(int(b))
    if exact != int(result):
        raise OverflowError(
            f"{a} and {b} are Python integers, and {name.strip('_')} makes {exact} of them, which a compiled program "
            "can't hold in 64 bits: make one of them a float, or a static argument"
        )


def _meeting(name: str, operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of Tensor, for a Number on its left."""

    def between(self: Number, other: Any) -> Any:
        if isinstance(other, (Number, int, float, complex)):
            result = operator(self, other)
            if isinstance(result, Tensor) and result.dtype.kind == "i":
                demand(_unwrapped, self, as_tensor(other), result, name=name)
            return _weak(result)
        met = as_tensor(other)
        return operator(self.weak(met.dtype), met)

    return between


def _alone(operator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An operator of Tensor on a lone Number."""
    return lambda self: _weak(operator(self))


def _weak(result: Any) -> Any:
    """The result of Python's arithmetic on numbers is a Number (a comparison's is none: nothing is weaker)."""
    if isinstance(result, Tensor) and result.dtype.kind != "b":
        result.__class__ = Number
    return result


def number(value: Any) -> Number:
    """A Python number as a Tensor that remains as weak as it was."""
    if "__add__" not in vars(Number):
        _take_operators()
    return Number(np.asarray(value))


def _take_operators() -> None:
    """Give Number the operators that Tensor has by now, each with a Number's manners."""
    for name in _OPERATORS:
        for full in (f"__{name}__", f"__r{name}__"):
            if hasattr(Tensor, full):
                setattr(Number, full, _meeting(full, getattr(Tensor, full)))
    for name in ("abs", "neg", "pos", "invert"):
        setattr(Number, f"__{name}__", _alone(getattr(Tensor, f"__{name}__")))
    Number.__hash__ = object.__hash__  # type: ignore[assignment]


_OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
_OPERATORS += ["lt", "le", "gt", "ge", "eq", "ne"]
