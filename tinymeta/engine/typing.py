"""The words of signatures: what Python's own types say at length, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike as DTypeLike

from tinymeta.trees.containers import Tree as Tree

if TYPE_CHECKING:
    from tinymeta.engine.tensor import Tensor

DType: TypeAlias = np.dtype[Any]
Shape: TypeAlias = tuple[int, ...]
Array: TypeAlias = np.ndarray[Shape, DType]
Axis: TypeAlias = int | Sequence[int] | None  # None: all of them
Function: TypeAlias = Callable[..., Tree]  # of pytrees
Static: TypeAlias = dict[str, Any]  # the static arguments of a primitive: what is no Tensor
Options: TypeAlias = dict[str, Any]  # keyword arguments

# What a VJP says of one input (a function is called if it is wanted), and of all of them.
Cotangent: TypeAlias = "Tensor | Callable[[], Tensor | None] | None"
Cotangents: TypeAlias = "Cotangent | tuple[Cotangent, ...]"

X = TypeVar("X", bound=Any)
Y = TypeVar("Y", bound=Any)
Xs = TypeVar("Xs", bound="Tensor | Sequence[Tensor]")
