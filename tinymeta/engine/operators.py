"""What a Tensor can do with operators, for type checkers.

The engine computes nothing by itself: `tinymeta.ops.methods` attaches these to Tensor, with the
methods (`sum`, `reshape`, …) that `__getattr__` stands for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinymeta.engine.tensor import ArrayLike, Tensor


class Operators:
    """The operators of Tensor, declared."""

    __slots__ = ()

    if TYPE_CHECKING:
        T: Tensor
        mT: Tensor

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __add__(self, other: ArrayLike) -> Tensor: ...

        __hash__ = object.__hash__
        __pos__ = __invert__ = __abs__ = __neg__
        __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __add__
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __add__
        __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __add__  # type: ignore[assignment]
