"""What the engine refuses, because the number that came out would be wrong: each with the reason and the fix.

A shape is known when a function is recorded, a value only when it runs. So a check of values that an operation makes in
Python (labels lie within their classes) goes through `demand`, and becomes a part of the compiled program; one that a
kernel makes itself is kept because its primitive says `raises = True`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.state import elsewhere, shared, state
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Static

if TYPE_CHECKING:
    from tinymeta.engine.primitive import Primitive

PLAIN = {int, float, bool, str, type(None), FunctionType}  # no Tensor hides in these


def demand(check: Callable[..., None], *inputs: Tensor, **static: Any) -> None:
    """Run `check(*arrays, **static)`, which raises where the values won't do; recorders write it down.

    The arrays come as they are, `vmap`'s hidden axes in front.
    """
    try:
        check(*[x.array for x in inputs], **static)
    except Exception as error:
        for watcher in state.watchers:
            watcher.refused(inputs, error, raises=True)
        raise
    for watcher in state.watchers:
        watcher.demanded(check, inputs, static)


def check_static(primitive: type[Primitive], value: object) -> None:
    """A static argument is part of the program, so no Tensor may hide in it: its gradient would be lost."""
    if isinstance(value, Tensor):
        raise TypeError(
            f"{primitive.__name__} at {user_site()} got {value._brief()} as a static argument, which has no gradient: "
            "pass a Python number (x.detach().item()), or write the operation with the Tensor as an operand"
        )
    if type(value) is slice:
        value = (value.start, value.stop, value.step)
    elif isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        for entry in value:
            check_static(primitive, entry)


def check_levels(primitive: type[Primitive], inputs: Sequence[Tensor]) -> None:
    """No input may carry the hidden axis of a `vmap` that we are not inside of: nobody would make it visible again."""
    opened = state.opened
    for x in inputs:
        if x.opened is not opened and x.batch > shared(x.opened, opened):
            why = "is over" if x.opened[-1].over else "runs in another thread"
            raise TypeError(
                f"{primitive.__name__} at {user_site()} uses {x._brief()}, which holds one value per example of a vmap "
                f"that {why}: return it from the function that was mapped, or pass it as an argument"
            )


def check_threads(primitive: type[Primitive], inputs: Sequence[Tensor]) -> None:
    """No input may be followed by a differentiation in another thread, which would not see what is made of it here."""
    for x in inputs:
        if elsewhere(x):
            raise TypeError(
                f"{primitive.__name__} at {user_site()} uses {x._brief()}, which another thread is differentiating: "
                "that thread does not see what is computed here, and the gradient would be lost. Take the gradient "
                "inside of this thread, or pass x.detach() to it"
            )


def check_differentiable(what: str, y: Tensor) -> None:
    """The result of a function that is differentiated is a real number."""
    if y.dtype.kind not in state.differentiable:
        why = "complex" if y.dtype.kind == "c" else "constant between its jumps"
        raise DtypeError(
            f"{what} needs a floating-point result, and this one is {y.dtype} of shape {y.shape} ({user_site()}), "
            f"which is {why} and has no gradient: differentiate a real loss, and return counts and choices beside it, "
            "as in grad(f, has_aux=True)"
        )


def check_followed(x: object) -> None:
    """What a gradient is asked for has been followed from the start, or some of its uses are in no record."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"gradient takes the derivative with respect to Tensors that y was made from, and got a {type(x).__name__} "
            f"({user_site()}): make it a leaf with x = tm.tensor(x, requires_grad=True) and compute y from that, or "
            "write tm.grad(f)(x)"
        )
    if not x.requires_grad:
        raise TypeError(
            f"nothing follows {x._brief()}, so what was computed from it is in no record and its gradient would be 0 "
            f"({user_site()}): make it with tm.tensor(x, requires_grad=True) before y is computed, or use tm.grad(f)(x)"
        )


def explained(primitive: type[Primitive], inputs: Sequence[Tensor], static: Static, error: Exception) -> Exception:
    """The kernel's error, retold with the operation, its arguments and the user's line; recorders write it down."""
    for watcher in state.watchers:
        watcher.refused(tuple(inputs), error, primitive.raises)
    if isinstance(error, (ShapeError, DtypeError)):
        return error
    given = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
    options = "".join(f", {k}={v!r}" for k, v in static.items() if not (primitive.hides or callable(v)))
    kind = ShapeError if type(error) is ValueError else type(error)
    kind = DtypeError if isinstance(error, TypeError) else kind  # NumPy's own are not made of a sentence
    return kind(f"{primitive.__name__}({given}{options}) at {user_site()}: {error}")
