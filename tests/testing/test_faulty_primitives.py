"""`check_primitive` catches every kind of fault that a user's primitive can have, and passes what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta import optim
from tinymeta.engine.primitive import Primitive
from tinymeta.ops.logic import greater
from tinymeta.testing import Kink, Sample, check_primitive, reals
from tinymeta.testing.faults import planted

WIDE = reals(-2, 2)


def cube(**parts: Any) -> dict[str, Any]:
    """y = x³, with other parts."""
    kernel = staticmethod(lambda x: x * x * x)
    right = {"kernel": kernel, "reference": kernel, "domain": (WIDE,), "kinks": ()}
    return {"__doc__": "y = x³.", **right, "vjp": lambda g, y, x: g * 3 * x * x, **parts}


def product(**parts: Any) -> dict[str, Any]:
    """y = a sin b, with other parts."""
    kernel = staticmethod(lambda a, b: a * np.sin(b))
    right = {"kernel": kernel, "reference": kernel, "domain": (WIDE, WIDE), "kinks": ()}
    rule = lambda g, y, a, b: (g * tm.sin(b), g * a * tm.cos(b))
    return {"__doc__": "y = a sin b.", **right, "vjp": rule, **parts}


def weighted(**parts: Any) -> dict[str, Any]:
    """y = Σ x² w along an axis, in declared shapes, with other parts."""
    kernel = staticmethod(lambda x, w, axis: np.sum(x * x * w, axis=axis))
    right = {"kernel": kernel, "reference": kernel, "domain": (WIDE, WIDE), "kinks": ()}
    samples = (Sample(((2, 3), (2, 3)), {"axis": -1}),)

    def rule(g: Any, y: Any, x: Any, w: Any, axis: int) -> Any:
        g = g.expand_dims(axis)
        return g * 2 * x * w, g * x * x

    return {"__doc__": "y = Σ x² w.", **right, "samples": samples, "vjp": rule, **parts}


def ramp(**parts: Any) -> dict[str, Any]:
    """y = max(x, 0), 0 taken at the kink, with other parts."""
    kernel, reference = (
        staticmethod(lambda x: np.maximum(x, 0)),
        staticmethod(lambda x: np.where(np.real(x) <= 0, 0, x)),
    )
    right = {"kernel": kernel, "reference": reference, "domain": (WIDE,), "kinks": (Kink((0.0,), (0.0,), "left"),)}
    rule = lambda g, y, x: tm.scale(g, (x > 0).astype(x.dtype))
    return {"__doc__": "y = max(x, 0).", **right, "vjp": rule, **parts}


def mean_to(h: Any, x: Any) -> Any:
    """A mean where the sum over the axes that x lacks is due."""
    while h.ndim > x.ndim:
        h = h.mean(0)
    return h


def mean_along(axis: int) -> Callable[..., Any]:
    """A rule that takes the mean, where a sum is due, along an axis of length 1 of the second input."""

    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        h = g * a * tm.cos(b)
        stretched = b.ndim == h.ndim == 2 and b.shape[axis] == 1
        return g * tm.sin(b), h.mean(axis, keepdims=True) if stretched else h

    return rule


def written_over(g: Any, y: Any, x: Any) -> Any:
    h = g * 3 * x * x
    if y.array.flags.writeable:
        y.array[...] = 0
    return h


def writing(x: Any) -> Any:
    y = x * x * x
    if x.flags.writeable:
        x *= 2
    return y


def only(where: Callable[[Any], bool], factor: float) -> Any:
    """A kernel that is wrong for some arrays only."""
    return staticmethod(lambda x: (x * x * x * (factor if where(x) else 1)).astype(x.dtype))


cosine = tm.custom_vjp(lambda x: tm.cos(x), lambda g, y, x: -g * tm.sin(x).detach())  # wrong at its order 2


FAULTS: dict[str, dict[str, Any]] = {
    "wrong sign": cube(vjp=lambda g, y, x: -g * 3 * x * x),
    "a factor of 1.001": cube(vjp=lambda g, y, x: g * 3.003 * x * x),
    "a factor of 1 + 1e-9": cube(vjp=lambda g, y, x: g * (3 + 3e-9) * x * x),
    "a factor missing": product(vjp=lambda g, y, a, b: (g * tm.sin(b), g * tm.cos(b))),
    "mean for sum in the second": product(vjp=lambda g, y, a, b: (g * tm.sin(b), mean_to(g * a * tm.cos(b), b))),
    "mean for sum in the first": product(vjp=lambda g, y, a, b: (mean_to(g * tm.sin(b), a), g * a * tm.cos(b))),
    "mean along a first axis of 1": product(vjp=mean_along(0)),
    "mean along a last axis of 1": product(vjp=mean_along(1)),
    "mean for sum in a sample": weighted(
        vjp=lambda g, y, x, w, axis: (2 * g.expand_dims(-1) * x * w, mean_to(g.expand_dims(-1) * x * x, w))
    ),
    "swapped": product(vjp=lambda g, y, a, b: (g * a * tm.cos(b), g * tm.sin(b))),
    "wrong in the second alone": product(vjp=lambda g, y, a, b: (g * tm.sin(b), g * a * tm.cos(b) * 1.001)),
    "none for the second": product(vjp=lambda g, y, a, b: (g * tm.sin(b), None)),
    "single precision on the way": cube(vjp=lambda g, y, x: (g * 3 * x * x).astype("f4").astype(x.dtype)),
    "detached": cube(vjp=lambda g, y, x: g * 3 * (x * x).detach()),
    "wrong at order 2": cube(vjp=lambda g, y, x: g * 3 * x * x.detach()),
    "wrong at order 3": cube(
        kernel=staticmethod(np.sin), reference=staticmethod(np.sin), vjp=lambda g, y, x: g * cosine(x)
    ),
    "not linear in g": cube(vjp=lambda g, y, x: g * tm.abs(g) * 3 * x * x),
    "wrong near 0": cube(vjp=lambda g, y, x: g * tm.where(tm.abs(x) < 1e-2, 6.0, 3.0) * x * x),
    "an input written over": cube(kernel=staticmethod(writing)),
    "an output written over": cube(vjp=written_over),
    "float32 made float64": cube(kernel=staticmethod(lambda x: x.astype(float) ** 3)),
    "float64 made float32": cube(kernel=staticmethod(lambda x: x.astype(np.float32) ** 3)),
    "rounded to float32": cube(kernel=staticmethod(lambda x: (x.astype(np.float32) ** 3).astype(x.dtype))),
    "wrong in float32": cube(kernel=only(lambda x: x.dtype == np.float32, 1.001)),
    "wrong in float16": cube(kernel=only(lambda x: x.dtype == np.float16, 1.5)),
    "wrong for one number": cube(kernel=only(lambda x: x.size == 1, -1)),
    "wrong for many numbers": cube(kernel=only(lambda x: x.size > 16, -1)),
    "no shape when empty": cube(kernel=staticmethod(lambda x: x**3 if x.size else np.zeros(0))),
    "wrong for a first step below 0": cube(kernel=only(lambda x: bool(x.ndim and x.size > 1 and x.strides[0] < 0), 2)),
    "memory read as it lies": cube(kernel=staticmethod(lambda x: (np.ravel(x, order="K") ** 3).reshape(x.shape))),
    "NaN at the kink": ramp(vjp=lambda g, y, x: g * (y / x)),
    "half at the kink": ramp(vjp=lambda g, y, x: g * ((x > 0).astype(x.dtype) + 0.5 * (x == 0).astype(x.dtype))),
    "a value of NaN at the kink": ramp(
        kernel=staticmethod(lambda x: np.where(x == 0, np.nan, np.maximum(x, 0)).astype(x.dtype))
    ),
    "every task in one sum": cube(
        kernel=staticmethod(lambda x: x - x.sum()),
        reference=staticmethod(lambda x: x - x.sum()),
        vjp=lambda g, y, x: g - g.sum(),
    ),
}

RIGHT: dict[str, dict[str, Any]] = {
    "cube": cube(),
    "product": product(),
    "weighted": weighted(),
    "ramp": ramp(),
    "a constant of float64 in the rule": cube(vjp=lambda g, y, x: g * np.full(1, 3.0) * x * x),
    "a rule that undoes broadcasting": product(
        vjp=lambda g, y, a, b: (summed(g * tm.sin(b), a), summed(g * a * tm.cos(b), b))
    ),
    "saturated": cube(
        kernel=staticmethod(np.tanh),
        reference=staticmethod(np.tanh),
        domain=(reals(-9, 9),),
        vjp=lambda g, y, x: g * (1 - y * y),
    ),
    "a shift": cube(
        kernel=staticmethod(lambda x: x + 1), reference=staticmethod(lambda x: x + 1), vjp=lambda g, y, x: g
    ),
    "ill-conditioned": cube(
        kernel=staticmethod(np.log),
        reference=staticmethod(np.log),
        domain=(reals(0.9, 1.1),),
        vjp=lambda g, y, x: g / x,
    ),
}


def summed(h: Any, x: Any) -> Any:
    while h.ndim > x.ndim:
        h = h.sum(0)
    for axis, n in enumerate(x.shape):
        if n == 1:
            h = h.sum(axis, keepdims=True)
    return h


@contextmanager
def declared(parts: dict[str, Any]) -> Iterator[type[Primitive]]:
    """A primitive that leaves nothing behind."""
    try:
        yield type("declared_here", (Primitive,), dict(parts))
    finally:
        del Primitive.registry["declared_here"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_primitive_is_caught(name: str) -> None:
    with declared(FAULTS[name]) as p, pytest.raises(AssertionError, match=r"fails|kink"):
        check_primitive(p)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", [0, 100, 200])
def test_a_right_primitive_passes(name: str, seed: int) -> None:
    with declared(RIGHT[name]) as p:
        check_primitive(p, seed=seed)


def test_the_writer_is_named() -> None:
    with declared(FAULTS["an input written over"]) as p, pytest.raises(AssertionError, match="wrote into its input 0"):
        check_primitive(p)


def test_no_fault_is_planted_where_there_is_no_rule() -> None:
    for primitive in (greater, optim.fused.sgd_step):  # without a derivative, and with that of its plain form
        with pytest.raises(ValueError, match="declares no rule of its own"), planted(primitive, "result detached"):
            pass
