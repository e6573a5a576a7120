"""What a Tensor can do with operators and methods, for type checkers and editors.

The engine computes nothing by itself: `tinymeta.ops.methods` attaches what is declared here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tinymeta.engine.tensor import ArrayLike, Tensor
    from tinymeta.engine.typing import Axis, DTypeLike


class Operators:
    """The operators and methods of Tensor, declared."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _unary(self) -> Tensor: ...
        def _binary(self, other: ArrayLike) -> Tensor: ...
        def _reduced(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def _spread(self, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor: ...
        def _place(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...

        __neg__ = __pos__ = __abs__ = __invert__ = _unary
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _binary
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _binary
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary
        __hash__ = object.__hash__
        sum = mean = prod = max = min = all = any = _reduced
        var = std = _spread
        argmax = argmin = _place
        T: Tensor
        mT: Tensor

        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __getitem__(self, key: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def __setitem__(self, key: Any, value: Any) -> NoReturn: ...
        def detach(self) -> Tensor: ...
        def reshape(self, *shape: int | Sequence[int]) -> Tensor: ...
        def astype(self, dtype: DTypeLike) -> Tensor: ...
        def permute_dims(self, axes: Sequence[int]) -> Tensor: ...
        def expand_dims(self, axis: int = 0) -> Tensor: ...
        def squeeze(self, axis: Axis = None) -> Tensor: ...
        def broadcast_to(self, shape: int | Sequence[int]) -> Tensor: ...
