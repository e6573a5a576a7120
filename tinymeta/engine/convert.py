"""Ways into a Tensor: from numbers, lists, arrays, and anything that speaks DLPack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from tinymeta.engine.errors import DtypeError, user_site
from tinymeta.engine.state import USER, state
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DType, DTypeLike


def tensor(data: ArrayLike, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A Tensor holding a copy of `data`.

    Shapes: any → the same.
    Raises: DtypeError for what isn't numbers: `tm.tensor("one")`, and if integers shall have a gradient.

    Parameters
    ----------
    data
        Numbers, nested lists, a NumPy array, anything with `__array__` or DLPack. Arrays keep their dtype.
    dtype
        The dtype wanted instead.
    requires_grad
        Make it a leaf whose derivative `tm.gradient` can ask for. It must be floating point.

    Examples
    --------
    >>> tm.tensor([[1, 2], [3, 4]], dtype=np.float32)
    tensor([[1., 2.],
            [3., 4.]], dtype=float32)
    """
    if isinstance(data, Tensor):
        data = data.numpy()
    array = _numbers(np.array(_array(data), dtype=dtype))
    if requires_grad and array.dtype.kind not in state.differentiable:
        raise DtypeError(f"only floating-point Tensors have gradients, and this is {array.dtype}: pass dtype=float")
    return Tensor(array, tracked=USER if requires_grad else 0)


def as_tensor(value: ArrayLike, like: DType | None = None) -> Tensor:
    """`value` as a Tensor; a Python number takes the dtype `like` where that can hold it."""
    if type(value) is Tensor:
        return value
    if (type(value) is float or type(value) is int) and like is not None and like.kind == "f":
        return Tensor(np.array(value, like))
    if isinstance(value, Tensor):
        return value if like is None else value.weak(like)  # type: ignore[attr-defined]
    if isinstance(value, (int, float, complex)) and like is not None:
        fits = like.kind == "f" and not isinstance(value, complex)
        number = value.item() if isinstance(value, np.generic) else value  # NumPy's float64 is as weak as a float
        return Tensor(np.array(number, like if fits else np.result_type(like, number)))
    array = _numbers(_array(value))
    # An array is copied at the door, also one that is read-only: the flag can be set back, and other views of the same
    # memory don't have it. What is recorded must not change when its owner fills it anew, and no result is a view.
    fresh = type(value) in (list, tuple, int, float, complex) or isinstance(value, np.generic)
    return Tensor(array if fresh else array.copy("K"))


def as_tensors(values: Sequence[ArrayLike]) -> list[Tensor]:
    """The values as Tensors; Python numbers take the dtype of the first array that is not a mask."""
    like = next((x.dtype for x in filter(_is_array, values) if x.dtype.kind != "b"), None)
    return [as_tensor(x, like) for x in values]


def _is_array(x: Any) -> TypeGuard[Tensor | Array]:
    """Whether x brings a dtype of its own: a Tensor (but no `Number`, which is one in form only), an array, or a
    scalar of NumPy's that is no Python number."""
    if isinstance(x, Tensor):
        return type(x) is Tensor or getattr(type(x), "strong", False)
    return isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, (float, complex))


def _numbers(array: Array) -> Array:
    """The array itself, which holds numbers."""
    if array.dtype.kind not in "fciub":
        raise DtypeError(f"a Tensor holds numbers, and dtype {array.dtype} is none: pass numbers or an array of them")
    return array


def _array(value: Any) -> Array:
    if isinstance(value, (list, tuple)) and any(isinstance(x, Tensor) for x in value):
        raise TypeError("a list of Tensors is no Tensor: join them with tm.stack(list) or tm.concat(list)")
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray) and not hasattr(value, "__array__"):
        value = np.from_dlpack(value)  # pyright: ignore[reportArgumentType]
    return plain(value)


def plain(value: Any) -> Array:
    """`value` as an array that every loop can read: no subclass, in the machine's byte order, aligned in memory.

    Raises: DtypeError for a masked array that masks something: a Tensor has no room for the mask.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DtypeError(
            f"a Tensor has no mask, and this masked array of shape {value.shape} hides some of its "
            f"numbers ({user_site()}): fill them with x.filled(0) and pass ~np.ma.getmaskarray(x) as an array "
            "beside it, for tm.where"
        )
    array = np.asarray(value)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.aligned else array.copy()
