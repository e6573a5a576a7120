"""Random programs in the compiler's own words: one way to add each kind of operation, on numbers whose sums are exact.

Numbers are whole and small: where an operation makes larger ones, the remainder by 7 follows. So two ways to run a
program must give equal numbers, in whichever order they add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tinymeta_kernels.special import LOOPS

from tinymeta.compile.program.operations import Cast, Contract, Copy, Operation, Reduce, Scale, Special, Ufunc, Where
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Windows

SIZES = [1, 1, 2, 3, 5, 8, 17, 33]
DTYPES = [np.dtype(c) for c in ("f4", "f8", "f4", "f8", "f4", "f8", "i8", "?")]
LARGEST = 1 << 13
WHOLE = (None, None, None)


class Growing:
    """A program that grows by an operation at a time."""

    def __init__(self, draw: Any, long: bool) -> None:
        self.draw, self.b = draw, Builder()
        shape = draw(st.lists(st.sampled_from(SIZES), min_size=draw(st.integers(0, 3)), max_size=3))
        self.pool = []
        for position in range(draw(st.integers(1, 3))):
            own = tuple(n if draw(st.integers(0, 3)) else 1 for n in shape)
            if long and draw(st.booleans()):  # several loops, of which only one is that of the tasks
                own = draw(st.sampled_from([(40_000,), (5000, 3), (9001,), (1, 9001), (64, 160)]))
            self.pool.append(self.b.input(position, own, draw(st.sampled_from(DTYPES))))

    def one(self, among: Any) -> Any:
        return self.draw(st.sampled_from(list(among)))

    def shape(self, x: int) -> tuple[int, ...]:
        return self.b.nodes[x].shape

    def dtype(self, x: int) -> Any:
        return self.b.nodes[x].dtype

    def number(self, x: int) -> int:
        """A node of floating point: x, or x cast."""
        return x if self.dtype(x).kind == "f" else self.b.add(Cast(self.one(DTYPES[:2])), x)

    def mate(self, x: int, same: bool = True) -> int:
        """A node that goes with x element by element; of one dtype, if they must be."""
        alike = [y for y in self.pool if self.meet(x, y) and (self.dtype(y) == self.dtype(x) or not same)]
        return self.one([x, *alike])

    def meet(self, x: int, y: int) -> bool:
        a, b = self.shape(x), self.shape(y)
        together = len(a) == len(b) and all(m == n or 1 in (m, n) for m, n in zip(a, b))
        return together and int(np.prod(np.broadcast_shapes(a, b))) <= max(LARGEST, np.prod(a), np.prod(b))

    def small(self, x: int) -> int:
        """x, or where it may be large the remainder."""
        rank, dtype = len(self.shape(x)), self.dtype(x)
        return (
            x if dtype.kind == "b" else self.b.add(Ufunc(np.fmod), x, self.b.constant(np.full((1,) * rank, 7, dtype)))
        )

    def condition(self, x: int) -> int:
        return (
            x if self.dtype(x).kind == "b" else self.b.add(Ufunc(self.one([np.greater, np.not_equal])), x, self.mate(x))
        )


def ufunc(grow: Growing, x: int) -> int:
    if grow.dtype(x).kind == "b":
        of_masks = grow.one([np.logical_not, np.logical_and, np.bitwise_or])
        return grow.b.add(Ufunc(of_masks), x, *[grow.mate(x)] * (of_masks.nin - 1))
    of_one, of_two = [np.negative, np.absolute, np.square, np.sign], [np.add, np.subtract, np.multiply, np.maximum]
    f = grow.one([*of_one, *of_two, np.minimum, np.isnan])
    y = grow.mate(x, same=f not in (np.add, np.multiply))
    return grow.small(grow.b.add(Ufunc(f), *[x, y][: f.nin]))


def scale(grow: Growing, x: int) -> int:
    x = grow.number(x)
    return grow.small(grow.b.add(Scale(), x, grow.mate(x)))


def where(grow: Growing, x: int) -> int:
    y = grow.mate(x)
    between = grow.b.add(Ufunc(np.greater_equal), x, y)
    masks = [z for z in (grow.condition(x), *grow.pool) if grow.dtype(z).kind == "b"]
    c = grow.one([between, *(z for z in masks if grow.meet(z, x) and grow.meet(z, y))])
    wide = np.broadcast_shapes(*map(grow.shape, (c, x, y)))
    return grow.b.add(Where(), c, x, y) if np.prod(wide) <= 8 * LARGEST else x


def special(grow: Growing, x: int) -> int:
    y = grow.b.add(Special(grow.one(sorted(LOOPS))), grow.number(x))  # of whole numbers: far from halves of eighths
    return grow.b.add(Ufunc(np.rint), grow.b.add(Ufunc(np.multiply), y, grow.b.constant_like(8, y)))


def cast(grow: Growing, x: int) -> int:
    to = grow.one(DTYPES)
    return x if to == grow.dtype(x) else grow.b.add(Cast(to), x)


def reduce(grow: Growing, x: int) -> int:
    x = grow.number(x)
    axes = tuple(k for k in range(len(grow.shape(x))) if grow.draw(st.booleans()))
    return grow.small(grow.b.add(Reduce(grow.one([np.add, np.maximum]), axes), x)) if axes else x


def contract(grow: Growing, x: int) -> int:
    x = grow.number(x)
    y = grow.one(y for y in [x, *grow.pool] if grow.dtype(y) == grow.dtype(x))
    shape, other = grow.shape(x), grow.shape(y)
    a = [chr(ord("a") + k) for k in range(len(shape))]
    free, b, size = list(zip(a, shape)), [], dict(zip(a, shape))
    for k, n in enumerate(other):
        fits = [pair for pair in free if pair[1] == n]
        letter = chr(ord("m") + k)
        if fits and grow.draw(st.integers(0, 3)):
            letter = grow.one(fits)[0]
            free.remove((letter, n))
        b.append(letter)
        size[letter] = n
    out = [i for i in dict.fromkeys(a + b) if not (i in a and i in b and grow.draw(st.booleans()))]
    if np.prod([size[i] for i in dict.fromkeys(a + b)], dtype=float) > 8 * LARGEST:
        return x
    return grow.small(grow.b.add(Contract("".join(a), "".join(b), "".join(grow.draw(st.permutations(out)))), x, y))


def reshape(grow: Growing, x: int) -> int:
    shape = list(grow.shape(x))
    if len(shape) > 1 and grow.draw(st.booleans()):
        k = grow.draw(st.integers(0, len(shape) - 2))
        shape[k : k + 2] = [shape[k] * shape[k + 1]]
    elif len(shape) < 4:
        shape.insert(grow.draw(st.integers(0, len(shape))), 1)
    return grow.b.reshape(x, tuple(shape))


def permute(grow: Growing, x: int) -> int:
    return grow.b.add(Permute(tuple(grow.draw(st.permutations(range(len(grow.shape(x))))))), x)


def broadcast(grow: Growing, x: int) -> int:
    to = tuple(grow.one([1, 3, 17]) if n == 1 else n for n in grow.shape(x))
    return grow.b.add(Broadcast(to), x) if np.prod(to) <= max(LARGEST, np.prod(grow.shape(x))) else x


def keys(grow: Growing, shape: tuple[int, ...]) -> tuple[Any, ...]:
    choice = lambda n: [WHOLE, WHOLE, (None, None, -1), (None, None, 2), (1, None, None), (None, None, -2), n - 1]
    return tuple(grow.one(choice(n)) if n > 1 else grow.one([WHOLE, 0]) for n in shape)


def slice_(grow: Growing, x: int) -> int:
    return grow.b.add(Slice(keys(grow, grow.shape(x))), x)


def windows(grow: Growing, n: int, axis: int) -> Windows:
    """Windows that fill an axis of n elements, or nearly."""
    width, stride, dilation = (grow.one([1, 2, 3]) for _ in range(3))
    room = n - (width - 1) * dilation
    return Windows(axis, (room - 1) // stride + 1, width, stride, dilation) if room > 0 else Windows(axis, n, 1, 1, 1)


def gather(grow: Growing, x: int) -> int:
    shape = grow.shape(x)
    if not shape or np.prod(shape) * 3 > LARGEST:
        return x
    axis = grow.draw(st.integers(0, len(shape) - 1))
    window = windows(grow, shape[axis], axis)
    order = tuple(grow.draw(st.permutations(range(len(shape) + 1))))
    return grow.b.add(Gather((window, Permute(order)) if len(shape) < 4 else (Slice(keys(grow, shape)),)), x)


def scatter(grow: Growing, x: int) -> int:
    x = grow.number(x)
    shape = grow.shape(x)
    pairs = range(len(shape) - 1)
    if pairs and grow.draw(st.booleans()):
        k = grow.one(pairs)
        stride, dilation = grow.one([1, 2, 3]), grow.one([1, 2])
        n = (shape[k] - 1) * stride + (shape[k + 1] - 1) * dilation + grow.one([1, 2])
        to = (*shape[:k], n, *shape[k + 2 :])
        return grow.small(grow.b.add(Scatter(to, (Windows(k, shape[k], shape[k + 1], stride, dilation),)), x))
    forms = [
        (grow.one([(n, WHOLE), (n + 2, (1, n + 1, None)), (2 * n, (None, None, -2)), (n + 1, (n, 0, -1))]))
        for n in shape
    ]
    return grow.b.add(Scatter(tuple(n for n, _ in forms), (Slice(tuple(key for _, key in forms)),)), x)


KINDS: dict[type[Operation], Callable[[Growing, int], int]] = {
    Ufunc: ufunc,
    Scale: scale,
    Where: where,
    Special: special,
    Cast: cast,
    Copy: lambda grow, x: grow.b.add(Copy(), x),
    Reduce: reduce,
    Contract: contract,
    Reshape: reshape,
    Permute: permute,
    Broadcast: broadcast,
    Slice: slice_,
    Gather: gather,
    Scatter: scatter,
}


@st.composite
def programs(draw: Any, long: bool = False, kind: type[Operation] | None = None) -> Program:
    """A program of up to a dozen operations, one of them of this kind."""
    grow = Growing(draw, long)
    count = draw(st.integers(1, 4)) + draw(st.integers(0, 8))
    at = draw(st.integers(0, count - 1))
    for k in range(count):
        x = grow.one(grow.pool)
        grow.pool.append(KINDS[kind if kind is not None and k == at else grow.one(KINDS)](grow, x))
    results = [grow.pool[-1], *draw(st.lists(st.sampled_from(grow.pool), max_size=3))]
    return grow.b.finished(results)


FORMS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "Fortran": lambda x: np.array(x, order="F"),
    "backwards": lambda x: x[::-1],
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
}


def argument(draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that lies in memory in one of the ways that arrays do; some can't be written into."""
    values = np.random.default_rng(draw(st.integers(0, 9999))).integers(-3, 4, shape)
    x = np.asarray(values % 2 if dtype.kind == "b" else values).astype(dtype)
    return FORMS[draw(st.sampled_from(list(FORMS)))](x) if shape else x
