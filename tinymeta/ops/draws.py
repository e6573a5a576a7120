"""Random numbers inside `vmap`: the mapped function runs once, so what it draws is one number for all examples.

In a loop over the examples each one would have its own, and nobody can tell from an array whether that was meant. So
the generators that the function can reach (its arguments, what it closes over, what its code names) must be afterwards
what they were before; only who draws for each example, as `Dropout` does, may use them (`for_each`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.refusals import PLAIN
from tinymeta.engine.state import Opened, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree, Y
from tinymeta.engine.vmap import vmap as unwatched
from tinymeta.ops.generators import GENERATORS, SHARED, Watched, bits, state_of

DEPTH, MANY = 4, 64  # how far into objects to look, and how much in one of them is data
_CLOSED = (*(PLAIN - {FunctionType}), Tensor, np.ndarray, np.generic, type, ModuleType)  # no generator hides in these


_watched: WeakKeyDictionary[Opened, Watched] = WeakKeyDictionary()


def vmap(f: Callable[..., Y], in_axes: Tree = 0, out_axes: Tree = 0) -> Callable[..., Y]:
    def f_without_draws(*args: Tree) -> Y:
        run = state.opened[-1]
        _watched[run] = {id(bits(g)): (g, state_of(g)) for g in _reached(f, args)}
        result = f(*args)
        _check(run)
        return result

    return unwatched(f_without_draws, in_axes, out_axes)


vmap.__doc__ = unwatched.__doc__


def _check(run: Opened) -> None:
    for g, before in _watched.get(run, {}).values():
        if state_of(g) != before:
            raise UserError(
                f"a function under vmap ({user_site()}) draws random numbers, and it runs once: all examples would get "
                "the same. Draw them before, one for each: vmap(f)(xs, rng.normal(size=(len(xs), …))); or one for all, "
                "with None in in_axes"
            )


def for_each(rng: Any, draw: Callable[[tuple[int, ...]], Array]) -> Tensor:
    """`draw(axes)`, an array with these axes in front, as what each example has drawn for itself."""
    axes = tuple([run.size for run in state.opened])
    for run in state.opened:
        _check(run)
    drawn = Tensor(draw(axes), len(axes))
    for run in state.opened:
        if id(bits(rng)) in (watched := _watched.get(run, {})):
            watched[id(bits(rng))] = rng, state_of(rng)
    return drawn


def _reached(*roots: object) -> Iterator[Any]:
    seen: set[int] = set()
    stack = [(x, 0) for x in roots]
    while stack:
        x, depth = stack.pop()
        if isinstance(x, _CLOSED) or id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, GENERATORS):
            yield x
        elif isinstance(x, FunctionType):
            stack += [(part, depth) for part in _named(x)]
        elif depth < DEPTH and len(parts := _parts(x)) <= MANY:
            stack += [(part, depth + 1) for part in parts]


def _parts(x: Any) -> Sequence[Any]:
    if isinstance(x, MethodType):
        return x.__self__, x.__func__
    if isinstance(x, partial):
        return x.func, x.args, x.keywords
    if isinstance(x, (list, tuple)):
        return x
    held = x if isinstance(x, dict) else getattr(x, "__dict__", {})
    return *held.values(), *[vars(kind).get("__call__") for kind in type(x).__mro__]


def _named(f: FunctionType) -> list[Any]:
    """What a function closes over, its defaults, and the globals that its code names."""
    found = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    for cell in f.__closure__ or ():
        with suppress(ValueError):  # not assigned yet
            found.append(cell.cell_contents)
    if not (f.__module__ or "").startswith("tinymeta."):
        names = f.__code__.co_names
        found += [f.__globals__[name] for name in names if name in f.__globals__]
        found += SHARED if "random" in names else ()
    return found
