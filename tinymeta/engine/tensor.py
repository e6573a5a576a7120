"""The Tensor: an array that remembers how it was made.  (Read this file first.)

A Tensor *is* its node in the record: it keeps the primitive that made it, that primitive's inputs,
and its static arguments. References point backwards only (a result knows its inputs, never the
other way round), so Python's reference counting frees a record as soon as nobody needs it.

Three numbers make second-order learning visible and cheap:

`order`    how many times something was differentiated to make this number: 0 for what the user
           calls, 1 for a gradient, 2 for what only the gradient of a gradient needs.
`batch`    how many leading axes of `data` belong to `vmap`, hidden from the user: `shape` is
           `data.shape[batch:]`.
`tracked`  the set (as bits) of the differentiations that this value takes part in. Only tracked
           values keep their inputs, so nothing is recorded outside `grad`.

Read on in `primitive.py` (how an operation runs) and `sweep.py` (how it is differentiated).
"""

from __future__ import annotations

from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinymeta.engine.errors import user_site
from tinymeta.engine.operators import Operators
from tinymeta.engine.state import state

if TYPE_CHECKING:
    from tinymeta.engine.primitive import Primitive

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
ArrayLike: TypeAlias = "Tensor | Array | np.generic | complex | list[Any] | tuple[Any, ...]"

_next_id = count(1).__next__


class Tensor(Operators):
    """An array of numbers with its history. Make one with `tm.tensor`."""

    __slots__ = (
        *("__weakref__", "data", "batch", "opened", "id", "order", "made_by"),
        *("tracked", "primitive", "inputs", "static"),
    )
    __array_ufunc__ = None  # so that `ndarray * Tensor` asks us, instead of looping over objects
    __array_priority__ = 1000

    data: Any  # an Array; for a primitive with several outputs, the tuple of their arrays
    primitive: type[Primitive] | None
    inputs: tuple[Tensor, ...]
    static: dict[str, Any]

    def __init__(self, data: Any, batch: int = 0, tracked: int = 0) -> None:
        self.data = data
        self.batch = batch
        self.opened = state.opened
        self.tracked = tracked
        self.id = _next_id()
        self.order = state.order
        self.made_by = state.maker
        self.primitive = None
        self.inputs = ()

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.data.shape
        return shape[self.batch :] if self.batch else shape

    @property
    def ndim(self) -> int:
        return int(self.data.ndim) - self.batch

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype  # type: ignore[no-any-return]

    @property
    def requires_grad(self) -> bool:
        """Whether some differentiation is following this value."""
        return self.tracked & state.mask != 0

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a Tensor of shape () has no length")
        return self.shape[0]

    # Leaving the record. Only these methods hand the numbers out; watchers may object.

    def numpy(self) -> Array:
        """The values as a read-only NumPy array (no copy).

        Raises
        ------
        TypeError
            If the Tensor is recorded: the array would silently lose the gradient.
        """
        if self.tracked & state.mask:
            raise TypeError(
                f"{self._brief()} is recorded for a gradient, which a NumPy array would lose "
                f"({user_site()}): write .detach() first if that is what you want"
            )
        view = self._read("array").view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if copy or (dtype is not None and array.dtype != dtype):
            return array.astype(dtype or array.dtype)
        return array

    def item(self) -> Any:
        """The single number in the Tensor, as a Python scalar. It carries no gradient."""
        return self._read("float").item()

    def tolist(self) -> Any:
        return self._read("array").tolist()

    def __float__(self) -> float:
        return float(self._read("float").item())

    def __int__(self) -> int:
        return int(self._read("int").item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"{self._brief()} is not an integer, so it can't be an index")
        return int(self._read("int").item())

    def __bool__(self) -> bool:
        return bool(self._read("bool"))

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self.data.__dlpack_device__()  # type: ignore[no-any-return]

    def _read(self, how: str) -> Array:
        if self.batch:
            raise TypeError(
                f"{self._brief()} holds one value per example inside vmap, so Python can't take its "
                f"{how} ({user_site()}): use tm.where for a choice, or return the value from vmap"
            )
        for watcher in state.watchers:
            watcher.read(self, how)
        return self.data  # type: ignore[no-any-return]

    def _brief(self) -> str:
        return f"Tensor(shape={self.shape}, {self.dtype})"

    def __repr__(self) -> str:
        notes = [f"dtype={self.dtype}"] if self.dtype not in (np.float64, np.int64, np.bool_) else []
        notes += [f"order={self.order}"] if self.order else []
        notes += [f"by={self.primitive.__name__}"] if self.primitive else []
        notes += [f"batch={self.data.shape[: self.batch]}"] if self.batch else []
        notes += ["requires_grad"] if self.tracked and not self.primitive else []
        body = np.array2string(self.data, separator=", ", prefix="tensor(", threshold=50)
        return f"tensor({', '.join([body, *notes])})"
