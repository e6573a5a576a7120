"""How much of a result rounding may change: the program run again with other last bits, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.primitive import Primitive, aligned
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
        # A kernel that sums within (a normalisation) rounds in there as if its inputs had other last bits.
        arrays = aligned(inputs, max((x.batch for x in inputs), default=0), primitive.broadcasts)
        y = primitive.kernel(*(moved(np.asarray(x), self.rng) for x in arrays), **static)
        output.array = (
            tuple(moved(np.asarray(part), self.rng) for part in y)
            if type(y) is tuple
            else moved(np.asarray(y), self.rng)
        )


def moved(x: Any, rng: np.random.Generator) -> Any:
    """An array with other last bits."""
    if x.dtype.kind != "f":
        return x
    return np.asarray(x * (1 + BITS * np.finfo(x.dtype).eps * rng.uniform(-1, 1, x.shape))).astype(x.dtype)


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
