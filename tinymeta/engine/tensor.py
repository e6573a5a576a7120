"""The Tensor: an array that remembers how it was made.  (Read this file first.)

A Tensor *is* its node in the record: it keeps the primitive that made it, that primitive's inputs, and its static
arguments. References point backwards only (a result knows its inputs, never the other way round), so Python's
reference counting frees a record as soon as nobody needs it.

Three numbers make second-order learning visible and cheap:

`order`    how many times something was differentiated to make this number: 0 for what the user calls, 1 for a
           gradient, 2 for what only the gradient of a gradient needs.
`batch`    how many leading axes of `array` belong to `vmap`, hidden from the user: `shape` is `array.shape[batch:]`.
`tracked`  the set (as bits) of the differentiations that this value takes part in. Only tracked values keep their
           inputs, so nothing is recorded outside `grad`.

Read on in `primitive.py` (how an operation runs) and `sweep.py` (how it is differentiated).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinymeta.engine.errors import user_site
from tinymeta.engine.operators import Operators
from tinymeta.engine.state import elsewhere, next_id, state
from tinymeta.engine.typing import Array as Array
from tinymeta.engine.typing import DType, DTypeLike, Shape, Static

if TYPE_CHECKING:
    from tinymeta.engine.primitive import Primitive

ArrayLike: TypeAlias = "Tensor | Array | np.generic | complex | list[Any] | tuple[Any, ...]"


class Tensor(Operators):
    """An array of numbers and how it was made: `primitive`, `inputs`, `static`, `made_by`. Make one with `tm.tensor`.

    Shapes: any; `shape`, `ndim`, `size` and `dtype` are those of `array` without the axes that `vmap` hides.

    >>> x = tm.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x.T).shape, float(x.sum())
    ((2, 2), 10.0)
    """

    __slots__ = (
        *("__weakref__", "array", "batch", "opened", "id", "order", "made_by"),
        *("tracked", "primitive", "inputs", "static"),
    )
    __array_priority__ = 1000

    array: Array  # for kernels; for a primitive with several outputs, the tuple of their arrays
    primitive: type[Primitive] | None
    inputs: tuple[Tensor, ...]
    static: Static

    def __init__(self, array: Array, batch: int = 0, tracked: int = 0) -> None:
        self.array, self.batch, self.tracked = array, batch, tracked
        self.opened = state.opened
        self.id = next_id()
        self.order, self.made_by = state.order, state.maker
        self.primitive, self.inputs = None, ()

    @property
    def shape(self) -> Shape:
        return self.array.shape[self.batch :] if self.batch else self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim - self.batch

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def dtype(self) -> DType:
        return self.array.dtype

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
        """The values as a NumPy array: a copy, so that nobody can change a Tensor, and read-only, to say so.

        Raises: TypeError if it is recorded, for the gradient would be lost: `detach` it first. So `item` and `tolist`.
        """
        array = self._read("array").copy("K")
        array.flags.writeable = False
        return array

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{self._brief()} hands out copies of its numbers only: leave copy=False away")
        return self.numpy() if copy is None and dtype is None else self._read("array").astype(dtype or self.dtype)

    def item(self) -> Any:
        """The single number in the Tensor, as a Python scalar."""
        return self._read("float").item()

    def tolist(self) -> Any:
        return self._read("list").tolist()

    def __float__(self) -> float:
        return float(self._read("float").item())

    def __int__(self) -> int:
        return int(self._read("int").item())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._read("float").item(), digits)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"{self._brief()} is not an integer, so it can't be an index")
        return int(self._read("int").item())

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        return np.array2string(self._show(), separator=", ", formatter={"all": lambda x: format(x, spec)})

    def __bool__(self) -> bool:
        return bool(self._read("bool"))

    def __dlpack__(self, **options: Any) -> Any:
        return self._read("array").copy("K").__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def _read(self, how: str) -> Array:
        """The numbers, for someone outside of the record; a choice (`bool`) has no gradient that could be lost."""
        if self.tracked and how != "bool" and (self.tracked & state.mask or elsewhere(self)):
            raise TypeError(
                f"{self._brief()} is recorded for a gradient, which a plain {how} would lose "
                f"({user_site()}): write .detach() first if that is what you want"
            )
        if self.batch:
            raise TypeError(
                f"{self._brief()} holds one value per example inside vmap, so Python can't take its "
                f"{how} ({user_site()}): use tm.where for a choice, or return the value from vmap"
            )
        for watcher in state.watchers:
            watcher.read(self, how)
        return self.array

    def _show(self) -> Array:
        """The numbers, for a reader: that is allowed everywhere."""
        for watcher in state.watchers:
            watcher.shown(self)
        return self.array

    def _brief(self) -> str:
        return f"Tensor(shape={self.shape}, {self.dtype})"

    def __repr__(self) -> str:
        notes = [f"dtype={self.dtype}"] if self.dtype not in (np.float64, np.int64, np.bool_) else []
        notes += [f"order={self.order}"] if self.order else []
        notes += [f"by={self.primitive.__name__}"] if self.primitive else []
        notes += [f"batch={self.array.shape[: self.batch]}"] if self.batch else []
        notes += ["requires_grad"] if self.tracked and not self.primitive else []
        body = np.array2string(self._show(), separator=", ", prefix="tensor(", threshold=50)
        return f"tensor({', '.join([body, *notes])})"
