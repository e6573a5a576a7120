"""How much of a result rounding may change: the program run again with other last bits, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.primitive import Primitive, aligned, bind
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Tensor

BITS = 4  # by how many units in the last place
MOVES = {  # results that are numbers of the inputs, as they are
    *("astype", "broadcast_to", "enter", "first_max", "first_min", "gather", "index", "join", "leave", "lift"),
    *("max_axes", "maximum", "min_axes", "minimum", "negative", "part", "permute", "put_along", "put_at", "relu"),
    *("repeat_axes", "reshape", "spread", "stop_gradient", "take_along", "take_pixels", "unrecorded", "where"),
}


class Rounding(Watcher):
    """Changes the last bits of what every operation computes, as another order of its additions might."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def saw(
        self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: dict[str, Any], output: Tensor
    ) -> None:
        if primitive.__name__ in MOVES:
            return
        if primitive.plain is not None and _is_what_it_says(primitive, inputs, static):
            # What several operations do in one, each rounds: a mean moves all that it centres.
            output.array = _like(primitive.plain(*[Tensor(x.array, x.batch) for x in inputs], **static), output.array)
            return
        # A kernel that sums within rounds in there as if its inputs had other last bits.
        operands = aligned(inputs, max((x.batch for x in inputs), default=0), primitive.broadcasts)
        near, y = primitive.kernel(*(moved(np.asarray(x), self.rng) for x in operands), **static), output.array
        both = [(np.asarray(a), b) for a, b in (zip(near, y) if type(y) is tuple else [(near, y)])]
        parts = tuple(_vanished(moved(a, self.rng), b, self.rng) for a, b in both)
        output.array = parts if type(y) is tuple else parts[0]


def _is_what_it_says(primitive: Any, inputs: tuple[Tensor, ...], static: dict[str, Any]) -> bool:
    """Whether the plain form is the same function: a fault in it is no rounding, and stands in float64, too."""
    wide = [Tensor(x.array.astype(float) if x.dtype.kind == "f" else x.array, x.batch) for x in inputs]
    with setting(watchers=()):
        fused = bind(primitive, *wide, **static).array
        plain = _like(primitive.plain(*wide, **static), fused)
    pairs = zip(plain, fused) if type(fused) is tuple else [(plain, fused)]
    return all(np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True) for a, b in pairs)


def _like(ys: Any, arrays: Any) -> Any:
    """The arrays of Tensors, in the shapes of these."""
    if type(ys) is tuple:
        return tuple(_like(y, x) for y, x in zip(ys, arrays))
    return np.array(np.broadcast_to(ys.array, arrays.shape))


def moved(x: Any, rng: np.random.Generator) -> Any:
    """An array with other last bits."""
    if x.dtype.kind != "f":
        return x
    return np.asarray(x * (1 + BITS * np.finfo(x.dtype).eps * rng.uniform(-1, 1, x.shape))).astype(x.dtype)


def _vanished(near: Any, y: Any, rng: np.random.Generator) -> Any:
    """`near`, with 0 for half of the numbers that are 0 but for rounding: other last bits change them by an eighth. A
    rewritten program may find that they are none, and what a sign makes of 0 is like neither of its sides."""
    if y.dtype.kind != "f":
        return near
    return np.where((np.abs(near - y) > np.abs(y) / 8) & (rng.random(y.shape) < 0.5), y.dtype.type(0), near)


def with_other_bits(f: Any, arguments: tuple[Any, ...], seed: int) -> Any:
    """`f` of arguments that differ in their last bits, as does everything that it computes."""
    rounding = Rounding(seed)

    def one(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return tm.Tensor(moved(x, rounding.rng))
        return tm.Tensor(moved(x.numpy(), rounding.rng)) if isinstance(x, tm.Tensor) else x

    given = tm.tree.map(one, arguments)
    with setting(watchers=(*state.watchers, rounding)):
        return f(*given)
