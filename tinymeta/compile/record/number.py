"""Numbers among the arguments of a compiled function: their value may change, their manners must not.

In eager code `0.1 * x` has the dtype of x, and `1 / 0.0` is an error. While a function is recorded its number arguments
are Tensors, so that the next call may bring another value; `Number` is such a Tensor, takes the dtype of whatever it
meets, and meets other numbers as Python's do. What Python asks it silently (its hash, its text), it answers as the
number would, and the recording is for that number alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile.record.library import is_own
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import demand
from tinymeta.engine.structure import astype
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import DType

_WEAK: dict[str, Any] = {"b": False, "i": 0, "f": 0.0, "c": 0j}  # Python's numbers, by the kind of their dtype


class Number(Tensor):
    """A Tensor of shape () that stands for a Python number."""

    __slots__ = ()

    def weak(self, like: DType) -> Tensor:
        """This number in the dtype `like`, or in the next wider one where that can't hold it."""
        kind = self.dtype.kind
        fits = like.kind == "f" and kind != "c"
        wanted = like if fits else np.result_type(like, _WEAK[kind])
        if kind == "i" and wanted.kind in "iu" and wanted != self.dtype:
            demand(_within, self, dtype=wanted)
        return bind(astype, self, dtype=wanted)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What `isinstance` asks for, besides the type: the user's code sees a number."""
        return type(self._itself(self.array)) if _asked_by_user() else Number

    def _itself(self, array: Array) -> Any:
        """The number in an array of shape (), of the kind that was handed in."""
        return array.item() if type(self) is Number else array[()]

    def __hash__(self) -> int:
        return hash(self._itself(self._show())) if _asked_by_user() else id(self)

    def __repr__(self) -> str:
        return repr(self._itself(self._show()))

    def __str__(self) -> str:
        return str(self._itself(self._show()))

    def __format__(self, spec: str) -> str:
        return format(self._itself(self._show()), spec)


class Double(Number):
    """A Number that stands for NumPy's float64 or complex128: as weak as Python's, but divided by 0 as NumPy's are."""

    __slots__ = ()


class Scalar(Number):
    """A Tensor of shape () that stands for another scalar of NumPy's: it keeps its dtype."""

    __slots__ = ()
    strong = True

    def weak(self, like: DType) -> Tensor:
        return self


def _asked_by_user() -> bool:
    """Also on the user's behalf: by an abstract class, a function that dispatches, or another of Python's."""
    return not is_own(sys._getframe(2).f_globals.get("__name__"))


def _within(n: Array, dtype: DType) -> None:
    """Raises what `np.array(n, dtype)` does in eager code where a Python integer is too large for its partner."""
    np.array(int(n), dtype)


def _as_python(a: Array, b: Array, name: str) -> None:
    """Raises what Python's arithmetic does, and where its result is of another kind than a program can have."""
    result = getattr(a.item(), name)(b.item())
    if result is NotImplemented:  # a is an integer and b is none
        result = getattr(type(b.item())(a.item()), name)(b.item())
    kind = np.result_type(a, b).kind
    if isinstance(result, int) and not -(1 << 63) <= result < 1 << 63:
        raise OverflowError(
            f"{a} and {b} are Python integers, and {name.strip('_')} makes {result} of them, which a compiled program "
            "can't hold in 64 bits: make one of them a float, or a static argument"
        )
    if (type(result) is complex and kind != "c") or (name == "__pow__" and type(result) is float and kind == "i"):
        wider = type(result).__name__
        raise UserError(
            f"{a} and {b} are Python numbers, and {name.strip('_')} makes the {wider} {result} of them, where the "
            f"program that was recorded has none: make one of them a {wider}, or a static argument"
        )


def _meeting(name: str, operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of Tensor, for a Number on its left."""

    def between(self: Number, other: Any) -> Any:
        other = scalar(other) if isinstance(other, np.generic) else other
        if isinstance(other, (list, tuple)):
            int(self)  # a list times 3 is longer: that is for Python, which has no number yet
        if not isinstance(other, (Number, int, float, complex)):
            met = as_tensor(other)
            return operator(self.weak(met.dtype), met)
        kinds = {type(self), type(other)}
        if Scalar in kinds:
            return _of_scalars(self, other, operator)
        if Double in kinds:
            return _become(operator(self, other), Double)
        partner = as_tensor(other)
        if name == "__pow__" and self.dtype.kind == partner.dtype.kind == "i" and partner.array < 0:
            return _negative_power(self, other)
        if name in _PYTHONS:
            demand(_as_python, self, partner, name=name)
        return _become(operator(self, other), Number)

    return between


def _of_scalars(a: Any, b: Any, operator: Callable[[Any, Any], Any]) -> Any:
    """Arithmetic of NumPy's scalars with one another and with Python's numbers."""
    if type(a) is not Scalar:
        a = a.weak(b.dtype)
    elif isinstance(b, Number):
        b = b.weak(a.dtype)
    result = operator(a, b)
    return _become(result, Double if result.dtype in (np.float64, np.complex128) else Scalar)


def _negative_power(a: Number, b: Any) -> Any:
    """Python's integers to a negative power are floats. That the exponent stays negative is asked of each call."""
    if isinstance(b, Number):
        demand(_is_negative, b)
    return a.weak(np.dtype(float)) ** b


def _is_negative(b: Array) -> None:
    if b >= 0:
        raise UserError(
            f"an integer to the power {b} is an integer, and to the negative power that tm.compile recorded a float: "
            "make the exponent a static argument, or one of the two a float"
        )


def _alone(operator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An operator of Tensor on a lone Number."""
    return lambda self: _become(operator(self), type(self))


def _become(result: object, kind: type[Number]) -> Any:
    """The result of arithmetic on numbers is a number (a comparison's is none: nothing is weaker)."""
    if isinstance(result, Tensor) and result.dtype.kind != "b":
        vars(object)["__class__"].__set__(result, kind)  # of a Number, whose own answer is for users
    return result


def number(value: object) -> Number:
    """A Python number as a Tensor that remains as weak as it was."""
    return _made(Number, value)


def scalar(value: np.generic) -> Number:
    """A NumPy scalar as a Tensor with its manners."""
    return _made(Double if isinstance(value, (np.float64, np.complex128)) else Scalar, value)


def _made(kind: type[Number], value: object) -> Number:
    if "__add__" not in vars(Number):
        _take_operators()
    return kind(np.asarray(value))


def _take_operators() -> None:
    """Give Number the operators that Tensor has by now, each with a Number's manners."""
    for name in _OPERATORS:
        for full in (f"__{name}__", f"__r{name}__"):
            if hasattr(Tensor, full):
                setattr(Number, full, _meeting(full, getattr(Tensor, full)))
    for name in ("abs", "neg", "pos", "invert"):
        setattr(Number, f"__{name}__", _alone(getattr(Tensor, f"__{name}__")))


_OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
_OPERATORS += ["lt", "le", "gt", "ge", "eq", "ne"]
_PYTHONS = {f"__{r}{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow") for r in ("", "r")}
