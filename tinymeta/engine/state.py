"""What is going on right now, in this thread: one small object, restored by `try/finally`.

Everything that a `bind` needs to know besides its inputs stands here, so that two threads never
meet and an exception leaves nothing behind.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinymeta.engine.primitive import Primitive
    from tinymeta.engine.tensor import Tensor
    from tinymeta.engine.typing import Static


class Watcher:
    """Someone who looks on while operations pass through `bind`: the tracer, the recorder, NaN mode."""

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        """An operation has run."""

    rolls = False  # whether it wants a scan as one operation (`ops/loop.py`),

    def body(self, f: object, run: Callable[[list[Tensor]], list[Tensor]], leaves: list[Tensor]) -> Any:
        """whose body it records: what `run` makes of `leaves`, where `f` is the user's."""

    def demanded(self, check: Callable[..., None], inputs: tuple[Tensor, ...], static: Static) -> None:
        """Values have been checked (`demand` in `refusals.py`)."""

    def refused(self, inputs: tuple[Tensor, ...], error: Exception, raises: bool) -> None:
        """An operation has raised an error; with `raises` it is one that refuses values."""

    def sweeping(self, nodes: dict[int, Tensor]) -> None:
        """A sweep over `nodes` (by id; it visits the latest first) begins."""

    def collected(self, node: Tensor, contribution: Tensor, total: Tensor) -> None:
        """The sweep has added `contribution` to the cotangent of `node`, which is now `total`."""

    def read(self, tensor: Tensor, how: str) -> None:
        """The value of `tensor` is about to leave the record (`how`: "array", "list", "bool", "int", "float")."""

    def shown(self, tensor: Tensor) -> None:
        """The value of `tensor` becomes text."""


class Opened:
    """One run of a `vmap`: hidden axis k of a Tensor belongs to entry k of the `opened` that it was made under."""

    over = False

    def __init__(self, size: int) -> None:
        self.size = size  # how many examples there are


def inside(outer: tuple[Opened, ...], inner: tuple[Opened, ...]) -> tuple[Opened, ...]:
    """The runs `outer`, and inside of them those of `inner` that they lack."""
    return outer if outer is inner else outer + inner[shared(outer, inner) :]


def shared(a: tuple[Opened, ...], b: tuple[Opened, ...]) -> int:
    """How many runs of `vmap` two places in a program are both inside of: the first ones of each."""
    if a is b:
        return len(a)
    return next((k for k, (one, other) in enumerate(zip(a, b)) if one is not other), min(len(a), len(b)))


USER = 1  # the mark of leaves made with `requires_grad=True`; `grad` and `vjp` use higher bits


next_id = count(1).__next__  # of Tensors, in the order of their making
_running: dict[int, int] = {}  # the mark of each differentiation in any thread, and an id below those of its Tensors
_beginning = threading.Lock()


class State(threading.local):
    """The thread's current state; the class attributes are its defaults."""

    order = 0  # derivative order of the operations made now
    maker: int | None = None  # id of the node that is being differentiated
    opened: tuple[Opened, ...] = ()  # the `vmap`s that we are inside of, the outermost first
    differentiable = "f"  # dtype kinds that have gradients; for an oracle complex numbers stand for real ones: "fc"
    highest = math.inf  # nodes of a higher order than this are constants to a sweep: see `meta/core/explain.py`
    mask = USER  # the marks of the differentiations that record what happens now
    watchers: tuple[Watcher, ...] = ()

    @property
    def level(self) -> int:
        """How many `vmap`s we are inside of."""
        return len(self.opened)


state = State()


@contextmanager
def setting(**changes: Any) -> Iterator[State]:
    """Change some attributes of the state for the duration of a `with` block."""
    before = {name: getattr(state, name) for name in changes}
    try:
        for name, value in changes.items():
            setattr(state, name, value)
        yield state
    finally:
        for name, value in before.items():
            setattr(state, name, value)


@contextmanager
def differentiating() -> Iterator[int]:
    """Record what happens in the `with` block; gives the mark (a bit) for the leaves of this differentiation.

    Nested differentiations get different marks, and so do those of different threads. When one is over its mark is
    no longer in `state.mask`, so Tensors that still carry it are constants to everybody else.
    """
    with _beginning:
        used = sum(_running) | state.mask
        mark = ~used & (used + 1)  # the lowest bit not in use
        _running[mark] = next_id()
    try:
        with setting(mask=state.mask | mark):
            yield mark
    finally:
        with _beginning:
            del _running[mark]


def elsewhere(x: Tensor) -> bool:
    """Whether a differentiation that runs in another thread follows `x`: what this thread does with it is unseen."""
    foreign = x.tracked & ~state.mask
    return any(foreign & mark and x.id > birth for mark, birth in list(_running.items()))
