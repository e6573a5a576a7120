"""NaN mode: `with checked():` stops at the first number that is not finite, and says where it came from.

Outside the mode nothing is looked at and nothing is noted. Inside, every operation's result is looked
at, and so is every cotangent of the sweep; for each Tensor the line of the user's code is noted
that called the *forward* operation concerned, however many differentiations later the NaN appears.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinymeta.engine.errors import Site, user_site
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Static

if TYPE_CHECKING:
    from tinymeta.engine.primitive import Primitive


@contextmanager
def checked() -> Iterator[None]:
    """Raise at the first operation or cotangent that is not finite while the `with` block runs.

    A NaN is always an error. An infinity is one where it arises; one that was handed in (a mask of −inf,
    say) may be passed on.

    Shapes: of any operation.
    Raises: FloatingPointError (in the block) with the operation, its derivative order, the shapes, the first bad index,
    the inputs' values there, and the user's line.

    >>> with tm.checked():
    ...     tm.log(tm.tensor([1.0, 0.0]))
    Traceback (most recent call last):
    ...
    FloatingPointError: log (order 0) gave -inf at index (1,) of shape (2,), where its input float64[2] is 0.0: ...
    """
    with setting(watchers=(*state.watchers, _Checker())):
        yield


class _Origin(NamedTuple):
    """The forward operation behind a Tensor, and the line that called it."""

    operation: str
    site: Site


class _Checker(Watcher):
    def __init__(self) -> None:
        # Each entry goes when its Tensor does, so that a long training in this mode keeps its memory flat.
        self.origins: dict[int, tuple[weakref.ref[Tensor], _Origin]] = {}

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        # What is made while a node is differentiated concerns the line that made the node.
        maker = self.origins.get(output.made_by or 0)
        origin = maker[1] if maker else _Origin(primitive.__name__, user_site())
        self._note(output, origin)
        parts = output.array if isinstance(output.array, tuple) else (output.array,)
        for data in parts:
            at = _first_bad(data, [x.array for x in inputs])
            if at is None:
                continue
            where = f", while differentiating {origin.operation}" if maker else ""
            raise FloatingPointError(
                f"{primitive.__name__} (order {output.order}) gave {data[at]} at index {at} of shape {data.shape}, "
                f"where {_told(primitive, inputs, data, at)}{where}: the line is {origin.site}"
            )

    def collected(self, node: Tensor, contribution: Tensor, total: Tensor) -> None:
        at = _first_bad(total.array, ())
        if at is not None and np.isnan(total.array[at]):
            entry = self.origins.get(node.id)
            place = f" of {entry[1].operation}: the line is {entry[1].site}" if entry else ""
            raise FloatingPointError(
                f"a cotangent (order {total.order}) is {total.array[at]} at index {at} of shape {total.shape}{place}"
            )

    def _note(self, output: Tensor, origin: _Origin) -> None:
        key = output.id
        self.origins[key] = weakref.ref(output, lambda _: self.origins.pop(key, None)), origin


def _first_bad(data: Array, inputs: Sequence[Any]) -> tuple[int, ...] | None:
    """The first index of a NaN, or of an infinity that no input holds; None if there is none."""
    if data.dtype.kind not in "fc" or np.isfinite(data).all():
        return None
    passed_on = any(x.dtype.kind in "fc" and np.isinf(x).any() for x in inputs if type(x) is not tuple)
    bad = np.isnan(data) if passed_on else ~np.isfinite(data)
    return tuple(int(i) for i in np.argwhere(bad)[0]) if bad.any() else None


def _told(primitive: type[Primitive], inputs: tuple[Tensor, ...], data: Array, at: tuple[int, ...]) -> str:
    """The inputs by dtype and shape: their values at the index of an elementwise output, else their ranges."""
    texts = []
    for x in inputs:
        array = x.array[0] if isinstance(x.array, tuple) else x.array
        if (
            not primitive.samples and array is x.array
        ):  # elementwise: index `at` of the output belongs to one element of each input
            value = f"is {np.broadcast_to(array, data.shape)[at]}"
        else:
            finite = array[np.isfinite(array)] if array.dtype.kind in "fc" else array
            lost = array.size - finite.size
            value = f"lies in [{finite.min()}, {finite.max()}]" if finite.size else "has no finite value"
            value += f" and holds {lost} that are not finite" if lost and finite.size else ""
        texts.append(f"{array.dtype}{list(array.shape)} {value}")
    return ("its input " if len(texts) == 1 else "its inputs ") + " and ".join(texts)
