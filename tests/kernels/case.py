"""One call of a kernel, ready to be repeated in other layouts, dtypes and modes, and what cases are drawn from."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from tinymeta_kernels import _jit


@dataclass
class Case:
    """A function, its floating-point arrays, and all the rest (whole numbers, settings)."""

    function: Callable[..., Any]
    arrays: list[np.ndarray]
    rest: dict[str, Any] = field(default_factory=dict)
    terms: int = 1
    """Length of the longest sum behind one entry of the answer."""
    scale: float = 1.0
    """How much the function can enlarge a rounding error of a sum, beyond multiplying by its arguments."""

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        answer = self.function(*arrays, **self.rest)
        return list(answer) if isinstance(answer, tuple) else [answer]

    def tolerance(self, dtype: type) -> float:
        """Protocol P1 (4 ε log₂n Σ|x| for a sum), for two computations that both round, Σ|x| ≤ n · max|x|."""
        largest = math.prod(max(1.0, np.abs(a).max(initial=0)) for a in self.arrays)
        n = max(2, self.terms)
        return 8 * float(np.finfo(dtype).eps) * math.log2(n) * n * largest * self.scale


class Guarded(np.ndarray):
    """An array that refuses the negative indices which Python would wrap around and a compiled loop would not see."""

    def __getitem__(self, index):
        self._refuse(index)
        return super().__getitem__(index)

    def __setitem__(self, index, value):
        self._refuse(index)
        super().__setitem__(index, value)

    @staticmethod
    def _refuse(index) -> None:
        for i in index if isinstance(index, tuple) else (index,):
            if not isinstance(i, slice) and i < 0:
                raise IndexError(f"negative index {index}")


@contextmanager
def plain_python() -> Iterator[None]:
    """All loops as Python, with guarded arrays."""

    def guarded(kernel: _jit.Kernel) -> Callable[..., None]:
        return lambda *args: kernel.py_func(*(a.view(Guarded) if isinstance(a, np.ndarray) else a for a in args))

    before = {kernel: kernel.entries for kernel in _jit.KERNELS}
    try:
        for kernel in before:
            kernel.entries = dict.fromkeys("fd", guarded(kernel))
        with np.errstate(all="ignore"):
            yield
    finally:
        for kernel, entries in before.items():
            kernel.entries = entries


pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))
sizes = st.integers(0, 4)


def random(draw: st.DrawFn, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(rng.standard_normal(shape))


def broadcastable(draw: st.DrawFn, n: int) -> tuple[tuple[int, ...], ...]:
    shapes = mutually_broadcastable_shapes(num_shapes=n, max_dims=2, min_side=0, max_side=3)
    return draw(shapes).input_shapes


@dataclass
class Windows:
    """Sizes of an image and of windows that fit into it."""

    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(self.size, self.window, self.stride, self.padding, self.dilation)
        )


def windows(draw: st.DrawFn, min_size: int = 0, dilated: bool = True) -> Windows:
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, 2 if dilated else k - 1)) for k in window)
    dilation = draw(pairs) if dilated else (1, 1)
    size = tuple(
        max(min_size, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3)) for k, p, d in zip(window, padding, dilation)
    )
    return Windows(size, window, draw(pairs), padding, dilation)
