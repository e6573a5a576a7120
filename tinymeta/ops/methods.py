"""Operators and methods of Tensor, attached here so that the engine below needs no operation by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.ops import elementwise as e
from tinymeta.ops import extrema, index, linalg, logic, products, quantifiers, reduce, rounding, select, shape

Method = Callable[[Tensor, ArrayLike], Tensor]


def _binary(primitive: type[Primitive]) -> tuple[Method, Method]:
    def forward(self: Tensor, other: ArrayLike) -> Tensor:
        return bind(primitive, self, other if type(other) is Tensor else as_tensor(other, self.array.dtype))

    def reflected(self: Tensor, other: ArrayLike) -> Tensor:
        return bind(primitive, as_tensor(other, self.array.dtype), self)

    return forward, reflected


_operators: dict[str, type[Primitive]] = {
    "add": e.add,
    "sub": e.subtract,
    "mul": e.multiply,
    "truediv": e.divide,
    "floordiv": rounding.floor_divide,
    "mod": rounding.remainder,
    "pow": e.pow,
    "and": logic.bitwise_and,
    "or": logic.bitwise_or,
    "xor": logic.bitwise_xor,
    "lt": logic.less,
    "le": logic.less_equal,
    "gt": logic.greater,
    "ge": logic.greater_equal,
    "eq": logic.equal,
    "ne": logic.not_equal,
}
_mirrored = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}
for _name, _primitive in _operators.items():
    _forward, _reflected = _binary(_primitive)
    setattr(Tensor, f"__{_name}__", _forward)
    if _name not in _mirrored:
        setattr(Tensor, f"__r{_name}__", _reflected)
_UFUNCS = {p.kernel: name for name, p in _operators.items()} | {np.matmul: "matmul"}  # what an operator is for NumPy


def _power(self: Tensor, exponent: ArrayLike) -> Tensor:
    squared = isinstance(exponent, int) or (isinstance(exponent, float) and self.dtype.kind in "fc")
    if squared and self.dtype.kind != "b" and exponent == 2:
        return e.square(self)
    return bind(e.pow, self, as_tensor(exponent, self.dtype))


def _setitem(self: Tensor, key: object, value: object) -> NoReturn:
    raise TypeError(
        f"a Tensor never changes in place, for a record may hold it ({user_site()}): "
        "write x = tm.index_set(x, key, value) for x[key] = value, or tm.index_add for x[key] += value"
    )


def _reshape(self: Tensor, *shape_: Any) -> Tensor:
    """`tm.reshape`; the sizes may also come as arguments of their own.

    >>> tm.tensor([1, 2, 3, 4]).reshape(2, 2).shape
    (2, 2)
    """
    return shape.reshape(self, shape_[0] if len(shape_) == 1 else shape_)


def _no_data(self: Tensor, *new: object) -> NoReturn:
    """`data` isn't there: PyTorch's way around the record, where a gradient or a program would miss what is done."""
    raise AttributeError(
        f"a Tensor has no .data, and its numbers never change ({user_site()}): read them with .numpy() or .detach(), "
        "and in place of `w.data -= lr * g` make a new one, w = w - lr * g"
    )


def _array_function(self: Tensor, function: Any, types: Any, args: Any, options: Any) -> Any:
    """NumPy's functions make an array of a Tensor, or are refused one; two would take the refusal for a difference."""
    others = any(t.__array_function__ not in (_array_function, np.ndarray.__array_function__) for t in types)
    if others or not hasattr(function, "_implementation"):  # for those to do, or to make an array like=tensor
        return NotImplemented
    if function in (np.array_equal, np.array_equiv):
        args = [np.asarray(a) if isinstance(a, Tensor) else a for a in args]
        options = {name: np.asarray(a) if isinstance(a, Tensor) else a for name, a in options.items()}
    return function._implementation(*args, **options)


def _array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Operators of an array with a Tensor are the Tensor's; NumPy's functions would make arrays of it."""
    if method == "__call__" and ufunc in _UFUNCS and not options:
        a, b = inputs
        name = _UFUNCS[ufunc]
        if isinstance(a, Tensor):
            return getattr(a, f"__{name}__")(b)
        return getattr(b, f"__{_mirrored.get(name, f'r{name}')}__")(a)
    if "out" in options:
        raise UserError(
            f"an array can't take what is computed from {self._brief()} ({user_site()}): write a = a + x for a += x"
        )
    raise UserError(
        f"np.{ufunc.__name__} is a function of arrays, and {self._brief()} is none ({user_site()}): write tinymeta's "
        "function, as tm.exp(x) for np.exp(x), or x.numpy() for its numbers"
    )


def _reduction(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`f` as a method, with the further arguments that NumPy's function of the same name calls it with."""

    def method(
        self: Tensor, *args: Any, dtype: DTypeLike | None = None, out: Array | None = None, **options: Any
    ) -> Tensor:
        if out is not None:
            raise TypeError(f"a Tensor is not computed into an array, so {f.__name__} takes no out= ({user_site()})")
        if "ddof" in options:
            options["correction"] = options.pop("ddof")
        return f(self if dtype is None else shape.astype(self, dtype), *args, **options)

    method.__name__, method.__doc__ = f.__name__, f.__doc__
    return method


_reductions: list[Callable[..., Tensor]] = [reduce.sum, reduce.mean, reduce.var, reduce.std, products.prod]
_reductions += [quantifiers.all, quantifiers.any, extrema.max, extrema.min, extrema.argmax, extrema.argmin]
_methods: dict[str, Any] = {
    "__hash__": object.__hash__,
    "__neg__": lambda self: bind(e.negative, self),
    "__pos__": lambda self: self,
    "__abs__": lambda self: bind(select.abs, self),
    "__invert__": lambda self: bind(logic.bitwise_invert, self),
    "__pow__": _power,
    "__matmul__": linalg.matmul,
    "__rmatmul__": lambda self, other: linalg.matmul(as_tensor(other), self),
    "__getitem__": index.getitem,
    "__setitem__": _setitem,
    "__iter__": lambda self: (self[i] for i in range(len(self))),
    "__array_function__": _array_function,
    "__array_ufunc__": _array_ufunc,
    "data": property(_no_data, _no_data),
    "T": property(lambda self: shape.permute_dims(self, range(self.ndim)[::-1]), doc="The axes in reverse order."),
    "mT": property(shape.matrix_transpose),
    "detach": lambda self: stop_gradient(self),
    "__reduce__": lambda self: (Tensor, (self.numpy(),)),  # to worker processes and copies: the numbers alone
    "reshape": _reshape,
    "astype": shape.astype,
    "permute_dims": shape.permute_dims,
    "expand_dims": shape.expand_dims,
    "squeeze": shape.squeeze,
    "broadcast_to": shape.broadcast_to,
    **{f.__name__: _reduction(f) for f in _reductions},
}
for _name, _method in _methods.items():
    setattr(Tensor, _name, _method)
