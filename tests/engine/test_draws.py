"""A mapped function runs once: what it draws from a generator would be one number for all examples, and is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.ops import draws

RNG = np.random.default_rng(0)
XS = np.ones((4, 3))


def noisy(x: Any, rng: Any) -> Any:
    return x + rng.normal(size=3)


def through_a_helper(x: Any) -> Any:
    return noisy(x, RNG)


class Model(tm.nn.Module):
    def __init__(self) -> None:
        self.w, self.rng = tm.ones(3), np.random.default_rng(1)

    def __call__(self, x: Any) -> Any:
        return self.w * noisy(x, self.rng)

    def twice(self, x: Any) -> Any:
        return self(x) + self(x)


class Global:
    def __call__(self, x: Any) -> Any:
        return noisy(x, RNG)


def with_closure() -> Callable[[Any], Any]:
    rng = np.random.default_rng(2)
    return lambda x: noisy(x, rng)


def mapped(f: Callable[..., Any], *shared: Any) -> Callable[[], Any]:
    return lambda: tm.vmap(f, in_axes=(0, *(None,) * len(shared)))(XS, *shared)


DRAWN: dict[str, Callable[[], Any]] = {
    "a global": mapped(lambda x: noisy(x, RNG)),
    "an argument": mapped(noisy, RNG),
    "a default": mapped(lambda x, rng=RNG: noisy(x, rng)),
    "of a closure": mapped(with_closure()),
    "of a partial": mapped(partial(noisy, rng=RNG)),
    "of an argument's parts": mapped(lambda x, parts: noisy(x, parts["rng"]), {"rng": RNG}),
    "of a model": mapped(lambda x, model: model(x), Model()),
    "of a method": mapped(Model().twice),
    "named in a call": mapped(Global()),
    "named in a helper": mapped(through_a_helper),
    "in a gradient": mapped(tm.grad(lambda x: tm.sum(noisy(x, RNG) ** 2))),
    "NumPy's own": mapped(lambda x: x + np.random.normal(size=3)),
    "Python's own": mapped(lambda x: x + random.random()),
    "a bit generator": mapped(lambda x, bits: x + bits.random_raw(), np.random.PCG64(0)),
    "in the inner one of two": lambda: tm.vmap(lambda x: tm.vmap(lambda y: y + RNG.normal())(x))(XS),
    "beside Dropout": mapped(lambda x: tm.nn.Dropout(0.5)(x, RNG) + RNG.normal()),
    "before Dropout": mapped(lambda x: tm.nn.Dropout(0.5)(x + RNG.normal(), RNG)),
}


@pytest.mark.parametrize("where", DRAWN)
def test_drawing_inside_of_vmap_is_refused(where: str) -> None:
    for f in (DRAWN[where], tm.compile(DRAWN[where])):
        with pytest.raises(tm.UserError, match=r"draw.*random numbers"):
            f()


ALLOWED: dict[str, Callable[[], Any]] = {
    "drawn before, for each": lambda: tm.vmap(lambda x, noise: x + noise)(XS, RNG.normal(size=(4, 3))),
    "drawn before, for all": lambda: tm.vmap(lambda x, noise: x + noise, in_axes=(0, None))(XS, RNG.normal(size=3)),
    "a generator that nobody asks": mapped(lambda x, rng: x, RNG),
    "entries that each example drops": mapped(lambda x, rng: tm.nn.Dropout(0.5)(tm.nn.Dropout(0.5)(x, rng), rng), RNG),
    "a seed of its own": mapped(lambda x: noisy(x, np.random.default_rng(3))),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_drawn_elsewhere_or_for_each_example_is_not(what: str) -> None:
    assert ALLOWED[what]().shape == (4, 3)


def test_a_jacobian_is_that_of_one_draw() -> None:
    f = lambda x, rng: x * rng.normal(size=3)
    right = np.random.default_rng(5).normal(size=3)
    np.testing.assert_array_equal(tm.jacobian(f)(np.ones(3), np.random.default_rng(5)).numpy(), np.diag(right))
    kept = tm.nn.Dropout(0.5)(tm.ones(64), np.random.default_rng(5)).numpy()
    found = tm.jacobian(lambda x: tm.nn.Dropout(0.5)(x, np.random.default_rng(5)))(np.ones(64))
    np.testing.assert_array_equal(found.numpy(), np.diag(kept))


def test_a_draw_that_nobody_looks_for_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(draws, "_named", lambda f: [])
    with pytest.raises(pytest.fail.Exception):
        test_drawing_inside_of_vmap_is_refused("of a closure")
