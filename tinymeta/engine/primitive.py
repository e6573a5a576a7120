"""Primitives, and `bind`, which every operation of the framework passes through.  (Read after `tensor.py`.)

A primitive is one declaration on one screen::

    class tanh(Primitive):
        \"\"\"y = tanh x,   dy = (1 − y²) dx.\"\"\"

        kernel = np.tanh                                 # arrays in, array out
        reference = np.tanh                              # the oracle: plain NumPy, takes complex numbers
        domain = (reals(-4, 4),)                         # where the property tests draw each input
        kinks = ()                                       # points with two one-sided derivatives, and the side taken
        vjp = lambda g, y, x: g * (1 - y * y)            # Tensors in, Tensors out: differentiable again

Calling the class binds it: `tanh(x)` is `bind(tanh, x)`. There is no context object to hide residuals in. A VJP sees
the cotangent `g`, the output `y`, the inputs and the static arguments, and nothing else; whatever more it needs must
be an output of the primitive. That is what makes second derivatives right by construction.

A VJP returns one entry per input, in order (a lone entry for a lone input). An entry is a Tensor, or None for "no
gradient", or a function of no arguments that is called only if that input's gradient is wanted. It needn't undo
broadcasting: the sweep sums each entry to its input's shape. With several outputs `g` and `y` are tuples, and `g`
has None for an output that nothing depends on.

An operation that does the work of several in one pass declares what it is in others, as in `plain = lambda x, w, b:
relu(x @ w + expand_dims(b, -2))`. A trace unfolds it to that, and the compiler writes that down. A reference and a VJP
that are not declared follow from it: the plain form run on arrays, and its derivative.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from tinymeta.engine.convert import as_tensors
from tinymeta.engine.domain import Domain, Kink, Sample
from tinymeta.engine.refusals import PLAIN, check_levels, check_static, check_threads, explained
from tinymeta.engine.state import setting, state
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Cotangents, Function


class Primitive:
    """An operation: subclass it to declare one (see the module's docstring)."""

    kernel: ClassVar[Function]
    reference: ClassVar[Function]
    vjp: ClassVar[Callable[..., Cotangents] | None]
    plain: ClassVar[Function | None] = None  # Tensors in and out; axes count from the last
    domain: ClassVar[tuple[Domain, ...]]
    kinks: ClassVar[tuple[Kink, ...]]
    samples: ClassVar[tuple[Sample, ...]] = ()  # shapes and static arguments to test with; (): any that broadcast
    broadcasts: ClassVar[bool] = True  # inputs of different rank line up at their last axes
    raises: ClassVar[bool] = False  # the kernel refuses some values: it runs even if nobody needs its result
    aligns: ClassVar[bool] = True  # hidden axes line up; if not, the output has those of the first input
    raw: ClassVar[bool] = False  # its rule sees the inputs as they are, and minds the `vmap`s around a sweep itself
    hides: ClassVar[bool] = False  # the static argument `rise` says how many hidden axes the output has more
    registry: ClassVar[dict[str, type[Primitive]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.plain is not None:
            cls.reference = staticmethod(getattr(cls, "reference", partial(_plainly, cls)))
            cls.vjp = getattr(cls, "vjp", cls.plain)  # the sweep differentiates it
        missing = [name for name in ("kernel", "reference", "vjp", "domain", "kinks") if not hasattr(cls, name)]
        if missing or not (cls.__doc__ or sys.flags.optimize > 1):  # python -OO drops docstrings
            raise TypeError(
                f"primitive {cls.__name__} declares no {', '.join(missing) or 'docstring'}: a primitive has a "
                "docstring with its mathematics, kernel, domain, kinks, reference and vjp (None if it has no gradient) "
                "or, for these two, plain"
            )
        namesake = Primitive.registry.get(cls.__name__, cls)
        named = cls.__name__ if namesake.__module__ == cls.__module__ else f"{cls.__module__}.{cls.__name__}"
        Primitive.registry[named] = cls  # declared anew it takes its own place, never that of another module's

    def __new__(cls, /, *inputs: ArrayLike, **static: Any) -> Tensor:  # type: ignore[misc]
        for x in inputs:
            if type(x) is not Tensor:
                inputs = tuple(as_tensors(inputs))
                break
        y = bind(cls, *inputs, **static)  # type: ignore[arg-type]
        return y if type(y.array) is ndarray else outputs_of(y)  # type: ignore[return-value]


def primitive(declaration: type) -> type[Primitive]:
    """Class decorator: an operation of your own from a plain class with a primitive's five parts (see this module's
    docstring). It is like any built-in one; `tm.testing.check_primitive` puts it through the suite's own properties.

    Shapes: those of its kernel.
    Raises: TypeError if a part is missing: `tm.primitive(type("half", (), {}))`.

    >>> parts = {"kernel": lambda x: x**3, "domain": (tm.testing.reals(-2, 2),), "kinks": (), "__doc__": "y = x³."}
    >>> cube = tm.primitive(type("cube", (), {**parts, "plain": lambda x: x * x * x}))
    >>> float(tm.grad(cube)(2.0))
    12.0
    """
    body = {k: v for k, v in vars(declaration).items() if k not in ("__dict__", "__weakref__")}
    return type(declaration.__name__, (Primitive,), body)


def bind(primitive: type[Primitive], /, *inputs: Tensor, **static: Any) -> Tensor:
    """Run `primitive` on `inputs`; record it if a differentiation follows one of them. Several outputs are a tuple."""
    for value in static.values():
        if type(value) not in PLAIN:
            check_static(primitive, value)
    batch = tracked = 0
    arrays = []
    for x in inputs:
        arrays.append(x.array)
        tracked |= x.tracked
        if x.batch > batch:
            batch = x.batch
    if batch and primitive.aligns:
        check_levels(primitive, inputs)
        arrays = aligned(inputs, batch, primitive.broadcasts)
    try:
        data: Array = primitive.kernel(*arrays, **static)
    except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
        raise explained(primitive, inputs, static, error) from error
    several = type(data) is tuple  # type: ignore[comparison-overlap]
    if type(data) is not ndarray and not several:
        data = np.asarray(data)
    output = Tensor(data, batch + static["rise"] if primitive.hides else batch)
    if not primitive.aligns:
        output.batch, output.opened = output.batch - batch + inputs[0].batch, inputs[0].opened
    if tracked and primitive.vjp is not None and (several or data.dtype.kind in "fc"):
        if tracked & ~state.mask:  # booleans and integers are constant between their jumps
            check_threads(primitive, inputs)
        if tracked := tracked & state.mask:
            output.tracked, output.primitive, output.inputs, output.static = tracked, primitive, inputs, static
    for watcher in state.watchers:
        watcher.saw(primitive, inputs, static, output)
    return output


def outputs_of(y: Tensor) -> tuple[Tensor, ...]:
    """All outputs of the operation that `bind` gave `y` for; of most that is `y` alone."""
    return tuple([bind(part, y, index=i) for i in range(len(y.array))]) if isinstance(y.array, tuple) else (y,)


def _plainly(primitive: type[Primitive], *arrays: Array, **static: Any) -> Array | tuple[Array, ...]:
    """The reference that a plain form is; with other references around it, it is made of those."""
    with setting(watchers=()):
        ys = primitive.plain(*map(Tensor, arrays), **static)  # type: ignore[misc]
    return tuple(y.array for y in ys) if type(ys) is tuple else ys.array


def aligned(inputs: tuple[Tensor, ...], batch: int, broadcasts: bool) -> list[Array]:
    """The inputs' arrays with `batch` hidden leading axes each (size 1 where an input has none),
    and, for primitives that broadcast, the visible axes lined up at their right ends."""
    rank = max(x.ndim for x in inputs) if broadcasts else 0
    arrays = []
    for x in inputs:
        new = batch - x.batch + (rank - x.ndim if broadcasts else 0)
        arrays.append(x.array[(slice(None),) * x.batch + (None,) * new] if new else x.array)
    return arrays


class part(Primitive):
    """One output of a primitive that has several; the sweep joins their cotangents."""

    kernel = reference = staticmethod(lambda bundle, index: bundle[index])
    domain, kinks, broadcasts, aligns = (), (), False, False
    vjp = lambda g, y, bundle, index: g
