"""The compiler's vocabulary: a dozen kinds of operations, on arrays whose axes are all visible.

A recorded program speaks in the framework's primitives, with hidden axes for `vmap`. The compiler translates it
(`translate.py`) into the few operations below. Each says all about itself: what it computes (calling it runs it with
NumPy: that is the plain replay, and the oracle of the tests), the inputs that it takes, the shape and dtype of its
result, which axes of that are its input's, and how many floating-point operations it takes. They are values: equal
ones are the same operation, which is how common subexpressions meet.

    Input, Constant                      where numbers come from
    Ufunc, Special, Scale, Where, Cast, Copy element by element, broadcasting
    Reduce                               sum or maximum over axes
    Contract                             a product of two arrays, summed over the axes that the result lacks
    Reshape, Permute, Broadcast, Slice   the same numbers seen in another way (`views.py`)
    Gather, Scatter                      windows of an image as the rows of a matrix, and back (`views.py`)
    Call, Part                           anything else: a primitive's own kernel (`calls.py`)
    Check                                an error, if values won't do (`calls.py`)
    Loop                                 a program of its own, turn after turn (`loop.py`)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from tinymeta_kernels.special import LOOPS

from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType, Function
from tinymeta.ops.elementwise import scale

Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = tuple[Shape, DType]


class Operation:
    """What a node of a program does to the results of its inputs."""

    view: ClassVar[bool] = False  # whether the result shares its numbers with the input
    effect = False  # whether it may raise an error by value, so that it runs even if nobody reads its result
    inputs = 1  # how many arrays it takes
    __call__: ClassVar[Function]  # what it makes of them, by NumPy: of those that compute something

    def misfit(self, *shapes: Shape) -> str | None:
        """Why it can't take inputs of these shapes, if it can't."""
        return None

    def shape(self, *shapes: Shape) -> Shape:
        raise TypeError(f"{type(self).__name__} does not know its result's shape")

    def dtype(self, *dtypes: DType) -> DType:
        return np.result_type(*dtypes)

    def kinds(self) -> tuple[list[Kind], list[Kind]]:
        """The shapes and dtypes of its inputs and of its results, if it has several and knows them."""
        raise TypeError(f"{type(self).__name__} does not know its results")

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        """Floating-point operations for a result of `shape` from inputs of `shapes`."""
        return 0

    def bytes(self) -> int:
        """Bytes that it moves besides its inputs and its result."""
        return 0

    def steps(self) -> int:
        """Operations that it is described by besides itself."""
        return 0

    def same_axes(self, before: Shape, after: Shape) -> list[tuple[int, int]]:
        """Which axes of the result are which of its (only) input's; those of size 1 don't count."""
        return [(k, j) for k, j in self._axes(before, after) if after[k] != 1]

    def _axes(self, before: Shape, after: Shape) -> Iterable[tuple[int, int]]:
        return ()


@dataclass(frozen=True)
class Input(Operation):
    """The program's argument number `position`."""

    position: int


@dataclass(frozen=True)
class Constant(Operation):
    """Numbers that were there when the program was recorded; `key` tells equal ones."""

    key: Any


class Elementwise(Operation):
    """One number of the result from one of each input, which broadcast axis by axis."""

    def misfit(self, *shapes: Shape) -> str | None:
        one_rank = len({len(shape) for shape in shapes}) == 1
        fit = one_rank and all(len(set(axis) - {1}) <= 1 for axis in zip(*shapes))
        return None if fit else "its inputs don't broadcast, axis by axis"

    def shape(self, *shapes: Shape) -> Shape:
        return np.broadcast_shapes(*shapes)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shape)


_SIGNS = {np.add: (1, 1), np.subtract: (1, -1), np.negative: (-1,)}


@dataclass(frozen=True)
class Ufunc(Elementwise):
    """A function of NumPy's."""

    ufunc: np.ufunc

    def __call__(self, *xs: Array) -> Array:
        return self.ufunc(*xs)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Ufunc(np.{self.name})"

    @property
    def name(self) -> str:
        return self.ufunc.__name__

    @property
    def inputs(self) -> int:  # type: ignore[override]
        return self.ufunc.nin

    @property
    def signs(self) -> tuple[int, ...]:
        """Those of its inputs, if it adds them up."""
        return _SIGNS.get(self.ufunc, ())

    def dtype(self, *dtypes: DType) -> DType:
        return self.ufunc.resolve_dtypes((*dtypes, *(None,) * self.ufunc.nout))[self.ufunc.nin]


@dataclass(frozen=True)
class Scale(Elementwise):
    """g·d, except that 0 times anything is 0, on either side."""

    inputs = 2

    def __call__(self, g: Array, d: Array) -> Array:
        return scale.kernel(g, d)


@dataclass(frozen=True)
class Where(Elementwise):
    """a where c, else b."""

    inputs = 3

    def __call__(self, c: Array, a: Array, b: Array) -> Array:
        return np.where(c, a, b)

    def dtype(self, *dtypes: DType) -> DType:
        return np.result_type(*dtypes[1:])


@dataclass(frozen=True)
class Special(Elementwise):
    """A function that NumPy lacks, by its name."""

    name: str

    def __call__(self, x: Array) -> Array:
        return np.asarray(LOOPS[self.name](x))


@dataclass(frozen=True)
class Cast(Elementwise):
    """The same numbers in another dtype."""

    to: DType

    def __call__(self, x: Array) -> Array:
        return x.astype(self.to)

    def dtype(self, *dtypes: DType) -> DType:
        return self.to

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return 0


@dataclass(frozen=True)
class Copy(Elementwise):
    """The same numbers in row-major order in memory, which a reshape needs."""

    def __call__(self, x: Array) -> Array:
        return np.array(x, order="C")

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return 0


@dataclass(frozen=True)
class Reduce(Operation):
    """The ufunc (add, maximum) applied along `axes`, which disappear."""

    ufunc: np.ufunc
    axes: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        y: Array = self.ufunc.reduce(x, axis=self.axes)
        return y

    def __repr__(self) -> str:
        return f"Reduce(np.{self.name}, {self.axes})"

    @property
    def name(self) -> str:
        return self.ufunc.__name__

    @property
    def adds(self) -> bool:
        return self.ufunc is np.add

    def misfit(self, *shapes: Shape) -> str | None:
        fit = len(set(self.axes)) == len(self.axes) and all(0 <= k < len(shapes[0]) for k in self.axes)
        return None if fit else "it reduces axes that aren't there"

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(n for i, n in enumerate(shapes[0]) if i not in self.axes)

    def dtype(self, *dtypes: DType) -> Any:  # a sum of booleans is a number
        return self.ufunc.reduce(np.ones(1, dtypes[0])).dtype

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shapes[0])

    def _axes(self, before: Shape, after: Shape) -> Iterable[tuple[int, int]]:
        return enumerate(k for k in range(len(before)) if k not in self.axes)


@dataclass(frozen=True)
class Contract(Operation):
    """out[…] = Σ a[…]·b[…], with one letter for each axis; letters that `out` lacks are summed over.

    `Contract("tmk", "kn", "tmn")` multiplies the matrices of all tasks t by one shared matrix, and
    `Contract("tni", "tno", "io")` sums over tasks within the product. A summed letter stands in both operands.
    """

    a: str
    b: str
    out: str
    inputs = 2

    def __call__(self, a: Array, b: Array) -> Array:
        size = self._sizes(a.shape, b.shape)
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

    def misfit(self, *shapes: Shape) -> str | None:
        for letters in (self.a, self.b, self.out):
            if len(set(letters)) != len(letters):
                return "a letter stands twice in one array"
        if (len(self.a), len(self.b)) != tuple(map(len, shapes)):
            return "it names another number of axes"
        size = self._sizes(*shapes)
        if any(size[letter] != n for letter, n in zip(self.a, shapes[0])):
            return "one letter has two lengths"
        if set(self.out) - set(self.a + self.b):
            return "the result has a letter that no operand has"
        alone = (set(self.a) ^ set(self.b)) - set(self.out)
        return "a letter is summed in one operand alone" if alone else None

    def shape(self, *shapes: Shape) -> Shape:
        size = self._sizes(*shapes)
        return tuple(size[i] for i in self.out)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return 2 * math.prod(self._sizes(*shapes).values())

    def _sizes(self, a: Shape, b: Shape) -> dict[str, int]:
        return dict(zip(self.a + self.b, a + b))
