"""What the compiler leaves to Python: a primitive's own kernel, and the checks of values.

Both may raise an error that eager code would raise, too: such a one is marked, for it is the user's, and no failure
of the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymeta.compile.program.operations import Operation
from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.refusals import explained
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import DType, Static


class Untyped(Operation):
    """An operation that can't tell the dtype of its result: who writes it down says it."""

    def dtype(self, *dtypes: DType) -> Any:
        return None


@dataclass(frozen=True)
class Call(Untyped):
    """A primitive's own kernel. `key` is its static arguments in a form that can be compared; the first `hidden`
    axes of everything are `vmap`'s, one and the same for inputs and results."""

    primitive: type[Primitive]
    key: Any
    static: Static
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
class Check(Untyped):
    """Raises an error if values won't do (`demand` in `engine/refusals.py`); it has no result."""

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
class Part(Untyped):
    """One output of a kernel that has several."""

    index: int

    def __call__(self, bundle: tuple[Array, ...]) -> Array:
        return bundle[self.index]


def by_value(error: Exception) -> Exception:
    """Mark an error as one that eager code raises, too."""
    setattr(error, "by_value", True)  # noqa: B010
    return error


def is_by_value(error: Exception) -> bool:
    """Whether it is such an error."""
    return isinstance(error, UserError) or getattr(error, "by_value", False)


def _own(y: Array, xs: tuple[Array, ...]) -> Array:
    """A result in memory of its own: a kernel may return a view of an input, whose buffer is soon used again."""
    return y.copy() if any(np.may_share_memory(y, x) for x in xs) else y
