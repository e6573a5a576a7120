"""Random scans: two carries that may change places and one that counts, in a body of words, each what a line of it
might do; some are scans themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm
from tests.fuzz.shaping import Arguments
from tests.fuzz.values import Values

Word = Callable[[Any, Any, Any], tuple[Any, Any]]  # of carries h and g, and a slice x


def _on_h(f: Callable[[Any, Any, Any], Any]) -> Word:
    return lambda h, g, x: (f(h, g, x), g)


def _turned(h: Any) -> Any:
    return tm.permute_dims(h, tuple(range(h.ndim))[::-1]) if h.shape == h.shape[::-1] else h


WORDS: dict[str, Word] = {
    "tanh": _on_h(lambda h, g, x: tm.tanh(h)),
    "+ x": _on_h(lambda h, g, x: h + x),
    "* x": _on_h(lambda h, g, x: h * x),
    "+ g": _on_h(lambda h, g, x: h + g),
    "swap": lambda h, g, x: (g, h),
    "g is tanh(h)": lambda h, g, x: (h, tm.tanh(h)),
    "the other way round": _on_h(lambda h, g, x: _turned(h)),
    "from the last": _on_h(lambda h, g, x: tm.flip(h, axis=0) if h.ndim else h),
    "moved on": _on_h(lambda h, g, x: tm.roll(h, 1, axis=-1) if h.ndim else h),
    "its first": _on_h(lambda h, g, x: h[:1] + g if h.ndim else h),
    "less its mean": _on_h(lambda h, g, x: h - tm.mean(h, axis=0) if h.ndim else h),
    "over all": _on_h(lambda h, g, x: h + tm.sum(tm.tanh(g))),
    "product": _on_h(lambda h, g, x: tm.tanh(_turned(h) @ g) if h.ndim == 2 and h.shape[0] == h.shape[1] else h),
    "products": _on_h(lambda h, g, x: tm.tanh(g @ (h.T @ x)) if h.ndim == 2 else h),
    "a constant": lambda h, g, x: (h, tm.ones(h.shape, dtype=h.dtype)),
    "three turns": _on_h(lambda h, g, x: tm.scan(lambda c, _: (tm.sin(c + g), None), h, length=3)[0]),
    "over rows": lambda h, g, x: (tm.scan(lambda c, r: (c * 0.5 + r, c + x[0]), h[0], g)[1], h) if _rows(h) else (h, g),
    "back over rows": _on_h(lambda h, g, x: h + tm.scan(_decayed, g[0], h, reverse=True)[0] if _rows(h) else h),
}


def _rows(h: Any) -> bool:
    return h.ndim > 0 and 0 < h.shape[0] <= 20  # eager code goes through them one by one


def _decayed(c: Any, r: Any) -> tuple[Any, Any]:
    return tm.tanh(c - r), c


def drawn(v: Values) -> Arguments:
    """The arguments of `scanned`."""
    h = v.floating()
    words = tuple(v.one(*WORDS) for _ in range(v.integer(1, 5)))
    turns = v.one(0, 1, 2, 3, 4)
    options = {"reverse": v.maybe(0.3), "checkpoint": v.one(False, False, True, 2)}
    return (h, words, turns), {"result": v.one("carry", "said", "both"), **options}


def scanned(h: Any, words: tuple[str, ...], turns: int, result: str, **options: Any) -> Any:
    """A scan over so many slices, made of h, from h and another carry."""
    h = h * tm.ones(()) if isinstance(h, float) else h
    scale = np.cos(np.arange(turns)).astype(h.dtype).reshape(turns, *(1,) * h.ndim)

    def body(carry: Any, x: Any) -> Any:
        (a, b, n), g = carry, carry[0]
        for word in words:
            a, b = WORDS[word](a, b, x)
        return (a, b, n + (x > 0)), a * g + n.astype(h.dtype)

    (a, b, n), said = tm.scan(body, (h, h * 0.5, tm.zeros(h.shape, dtype=np.int32)), scale * tm.sin(h), **options)
    return {"carry": a + b + n.astype(h.dtype), "said": said, "both": tm.sum(said, axis=0) + a * b}[result]
