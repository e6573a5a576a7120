"""The compiler's vocabulary: a dozen kinds of operations, on arrays whose axes are all visible.

A recorded program speaks in the framework's primitives, with hidden axes for `vmap`. The compiler translates it
(`translate.py`) into the few operations below. Each says what it computes (calling it runs it with NumPy: that
is the plain replay, and the oracle of the tests), the shape of its result, and how many floating-point
operations it takes. They are values: equal ones are the same operation, which is how common subexpressions meet.

    Input, Constant                      where numbers come from
    Ufunc, Scale, Where, Erf, Cast, Copy element by element, broadcasting
    Reduce                               sum or maximum over axes
    Contract                             a product of two arrays, summed over the axes that the result lacks
    Reshape, Permute, Broadcast, Slice   the same numbers seen in another way (`views.py`)
    Gather, Scatter                      windows of an image as the rows of a matrix, and back (`views.py`)
    Call, Part                           anything else: a primitive's own kernel
    Check                                an error, if values won't do
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from tinymeta_kernels import erf

from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.refusals import explained
from tinymeta.engine.tensor import Array, Tensor

Shape: TypeAlias = tuple[int, ...]


class Operation:
    """What a node of a program does to the results of its inputs."""

    view = False  # whether the result shares its numbers with the input
    effect = False  # whether it may raise an error by value, so that it runs even if nobody reads its result

    def shape(self, *shapes: Shape) -> Shape:
        raise TypeError(f"{type(self).__name__} does not know its result's shape")

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        """Floating-point operations for a result of `shape` from inputs of `shapes`."""
        return 0


@dataclass(frozen=True)
class Input(Operation):
    """The program's argument number `position`."""

    position: int


@dataclass(frozen=True)
class Constant(Operation):
    """Numbers that were there when the program was recorded; `key` tells equal ones."""

    key: Any


@dataclass(frozen=True)
class Ufunc(Operation):
    """NumPy's function of this name, element by element."""

    name: str

    def __call__(self, *xs: Array, out: Array | None = None) -> Array:
        return getattr(np, self.name)(*xs, out=out)  # type: ignore[no-any-return]

    def shape(self, *shapes: Shape) -> Shape:
        return np.broadcast_shapes(*shapes)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shape)


@dataclass(frozen=True)
class Scale(Operation):
    """g·d, except that 0 times anything is 0, on either side."""

    def __call__(self, g: Array, d: Array, out: Array | None = None) -> Array:
        y = np.multiply(g, d, out=out)
        if math.isnan(abs(np.vdot(y, y))):
            np.copyto(y, 0, where=np.broadcast_to((g == 0) | (d == 0), y.shape))
        return y

    def shape(self, *shapes: Shape) -> Shape:
        return np.broadcast_shapes(*shapes)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shape)


@dataclass(frozen=True)
class Where(Operation):
    """a where c, else b."""

    def __call__(self, c: Array, a: Array, b: Array) -> Array:
        return np.where(c, a, b)

    def shape(self, *shapes: Shape) -> Shape:
        return np.broadcast_shapes(*shapes)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shape)


@dataclass(frozen=True)
class Erf(Operation):
    """The error function, which NumPy lacks."""

    def __call__(self, x: Array) -> Array:
        return np.asarray(erf(x))

    def shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shape)


@dataclass(frozen=True)
class Cast(Operation):
    """The same numbers in another dtype."""

    to: Any

    def __call__(self, x: Array) -> Array:
        return x.astype(self.to)

    def shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


@dataclass(frozen=True)
class Copy(Operation):
    """The same numbers in row-major order in memory, which a reshape needs."""

    def __call__(self, x: Array) -> Array:
        return np.array(x, order="C")

    def shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


@dataclass(frozen=True)
class Reduce(Operation):
    """The ufunc `name` (add, maximum) applied along `axes`, which disappear."""

    name: str
    axes: tuple[int, ...]

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        y: Array = getattr(np, self.name).reduce(x, axis=self.axes, out=out)
        return y

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(n for i, n in enumerate(shapes[0]) if i not in self.axes)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shapes[0])


@dataclass(frozen=True)
class Contract(Operation):
    """out[…] = Σ a[…]·b[…], with one letter for each axis; letters that `out` lacks are summed over.

    `Contract("tmk", "kn", "tmn")` multiplies the matrices of all tasks t by one shared matrix, and
    `Contract("tni", "tno", "io")` sums over tasks within the product. A summed letter stands in both operands.
    """

    a: str
    b: str
    out: str

    def __call__(self, a: Array, b: Array) -> Array:
        size = dict(zip(self.a + self.b, a.shape + b.shape))
        batch, m, n, k = self.groups()
        rows, columns, inner = (math.prod(size[i] for i in letters) for letters in (m, n, k))
        lead = tuple(size[i] for i in batch)
        left = np.transpose(a, [self.a.index(i) for i in batch + m + k]).reshape(*lead, rows, inner)
        right = np.transpose(b, [self.b.index(i) for i in batch + k + n]).reshape(*lead, inner, columns)
        product = np.matmul(left, right).reshape([size[i] for i in batch + m + n])
        return np.transpose(product, [(batch + m + n).index(i) for i in self.out])

    def groups(self) -> tuple[str, str, str, str]:
        """The letters by their part in the product: batch (in all three), rows, columns, and summed over."""
        batch = "".join(i for i in self.out if i in self.a and i in self.b)
        m = "".join(i for i in self.a if i in self.out and i not in self.b)
        n = "".join(i for i in self.b if i in self.out and i not in self.a)
        k = "".join(i for i in self.a if i not in self.out)
        return batch, m, n, k

    def shape(self, *shapes: Shape) -> Shape:
        size = dict(zip(self.a + self.b, shapes[0] + shapes[1]))
        return tuple(size[i] for i in self.out)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return 2 * math.prod(dict(zip(self.a + self.b, shapes[0] + shapes[1])).values())


@dataclass(frozen=True)
class Call(Operation):
    """A primitive's own kernel. `key` is its static arguments in a form that can be compared; the first `hidden`
    axes of everything are `vmap`'s, one and the same for inputs and results."""

    primitive: type[Primitive]
    key: Any
    static: Any
    hidden: int = 0

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.primitive.raises

    def __eq__(self, other: object) -> bool:
        alike = isinstance(other, Call) and self.primitive is other.primitive and self.key == other.key
        return alike and self.hidden == other.hidden  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self.primitive, self.key))

    def __call__(self, *xs: Array) -> Any:
        try:
            y = self.primitive.kernel(*xs, **self.static)
        except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:  # as in eager code
            given = [Tensor(x, self.hidden) for x in xs]
            raise by_value(explained(self.primitive, given, self.static, error)) from error
        return tuple(_own(np.asarray(part), xs) for part in y) if type(y) is tuple else _own(np.asarray(y), xs)


@dataclass(frozen=True)
class Check(Operation):
    """Raises an error if values won't do (`engine/demand.py`); it has no result."""

    check: Callable[..., None]
    key: Any
    static: Any = field(compare=False)
    effect = True

    def __call__(self, *xs: Array) -> None:
        try:
            self.check(*xs, **self.static)
        except Exception as error:
            raise by_value(error) from None


@dataclass(frozen=True)
class Part(Operation):
    """One output of a kernel that has several."""

    index: int

    def __call__(self, bundle: tuple[Array, ...]) -> Array:
        return bundle[self.index]


def by_value(error: Exception) -> Exception:
    """Mark an error as one that eager code raises, too: it is the user's, and no failure of the compiler."""
    setattr(error, "by_value", True)  # noqa: B010
    return error


def is_by_value(error: Exception) -> bool:
    """Whether it is such an error."""
    return isinstance(error, UserError) or getattr(error, "by_value", False)


def _own(y: Array, xs: tuple[Array, ...]) -> Array:
    """A result in memory of its own: a kernel may return a view of an input, whose buffer is soon used again."""
    return y.copy() if any(np.may_share_memory(y, x) for x in xs) else y
