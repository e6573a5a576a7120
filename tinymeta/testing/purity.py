"""Kernels and functions that write where they only may read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinymeta.engine.primitive import Primitive
from tinymeta.engine.typing import Array, Function
from tinymeta.testing.oracle import exchanged


@contextmanager
def guarded() -> Iterator[None]:
    """Every kernel's inputs are compared with what they were before it ran: an AssertionError names the writer."""

    def change(primitive: type[Primitive]) -> Function:
        kernel = primitive.kernel

        def watched(*arrays: Any, **static: Any) -> Any:
            flat = [x for given in arrays for x in (given if isinstance(given, tuple) else (given,))]
            before = [x.copy() for x in flat]
            result = kernel(*arrays, **static)
            for i, (x, saved) in enumerate(zip(flat, before)):
                if not same_bits(x, saved):
                    raise AssertionError(f"the kernel of {primitive.__name__} wrote into its input {i}")
            return result

        return watched

    with exchanged(change):
        yield


def unchanged(arrays: Sequence[Array], before: Sequence[Array], names: Sequence[str], who: str) -> None:
    """Raise an AssertionError that names the first of `arrays` that is no longer what it was before."""
    for x, saved, name in zip(arrays, before, names):
        if not same_bits(x, saved):
            raise AssertionError(f"{who} wrote into {name}")


def same_bits(x: Array, y: Array) -> bool:
    """Equal in every byte: a −0.0 that was written over a 0.0 counts."""
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
