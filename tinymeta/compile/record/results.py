"""What a compiled function returns besides Tensors: what it was given, what it reaches, and plain values.

An object that the function makes is made once, while recording. Returned again and again it would hold the first call's
Tensors, and carry to one caller what another has written into it. So it is copied for each call, or refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from types import BuiltinFunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinymeta.compile.key import holds_numbers
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor

_VALUES = (str, bytes, bool, int, float, complex, type(None), type(...), range, slice, type, Enum, ModuleType)
_NUMPY = (np.dtype, np.ufunc)


class Given(NamedTuple):
    """The argument at a position among the leaves of a call."""

    position: int


class Kept(NamedTuple):
    """An object that the function reaches, as it is in the state that the recording is for."""

    value: Any


class Fresh(NamedTuple):
    """An object that each call gets a copy of."""

    pattern: Any


def others(results: Sequence[Any], leaves: Sequence[Any], reached: Callable[[object], bool], shown: bool) -> list[Any]:
    """How each result that is no Tensor comes about; None for a Tensor.

    Parameters
    ----------
    results, leaves
        What the function returned and was given, leaf by leaf.
    reached
        Whether the function reaches an object besides its arguments.
    shown
        Whether a Tensor's value became text while recording.
    """
    positions = {id(x): k for k, x in enumerate(leaves)}

    def of(y: object) -> Any:
        if isinstance(y, Tensor):
            return None
        if isinstance(y, str) and shown:
            raise UserError(
                "the function returns a text while it shows a Tensor's value, and tm.compile makes the text once: "
                "return the Tensor, and write the text where it is called"
            )
        if isinstance(y, (*_VALUES, *_NUMPY)):
            return y
        if isinstance(y, (np.ndarray, np.generic)):  # of texts or dates
            return Fresh(copy.deepcopy(y))
        if id(y) in positions:
            return Given(positions[id(y)])
        return Kept(y) if reached(y) else _fresh(y)

    return [of(y) for y in results]


def returned(recorded: Sequence[Any], tensors: Iterator[Any], leaves: Sequence[Any]) -> list[Any]:
    """The leaves of one call's results."""
    return [
        Tensor(next(tensors)) if y is None
        else leaves[y.position] if type(y) is Given
        else copy.deepcopy(y.pattern) if type(y) is Fresh
        else y.value if type(y) is Kept
        else y
        for y in recorded
    ]  # fmt: skip


def _fresh(y: object) -> Fresh:
    bound = isinstance(y, BuiltinFunctionType) and not isinstance(y.__self__, ModuleType)
    if not (bound or isinstance(y, Iterator) or holds_numbers(y)):
        try:
            return Fresh(copy.deepcopy(y))
        except Exception:  # an object may refuse in any way it likes
            pass
    raise UserError(
        f"the function returns an object of class {type(y).__name__} that it makes itself, and tm.compile runs Python "
        "code only once, so each call would get the first one's numbers: return Tensors in a dict, list, tuple, "
        "dataclass or Module, and make the object where the function is called"
    )
