"""The one door for options that are whole numbers: axes, sizes, strides, counts, positions of arguments.

They come as Python's integers, as NumPy's (of a shape, of an `argmax`), whose own arithmetic would wrap around, or as a
Tensor. What a compiled function gets as an argument has no value yet: then the Tensor says that it can't be an option.
"""

from __future__ import annotations

import operator
from typing import Any

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Tensor


def whole(n: Any, what: str) -> int:
    """`n` as a Python integer."""
    try:
        return operator.index(n)
    except TypeError:
        if isinstance(n, Tensor):
            raise  # it has said why
        raise TypeError(f"{what} is a whole number, not {n!r} ({user_site()})") from None


def counted(n: object, what: str, least: int = 0) -> int:
    """`n` as a Python integer of `least` or more; a UserError says what it is not."""
    if isinstance(n, float) or whole(n, what) < least:
        raise UserError(f"{what} must be a whole number, {least} or more, not {n!r} ({user_site()})")
    return whole(n, what)


def several(option: Any) -> bool:
    """Whether an option lists numbers, in place of being one itself."""
    if isinstance(option, (tuple, list)):
        return True
    return hasattr(option, "__iter__") and not isinstance(option, str) and getattr(option, "ndim", 1) > 0


def wholes(option: Any, what: str) -> tuple[int, ...]:
    """The Python integers that `option` lists; a lone number is a list of one."""
    entries = option if several(option) else (option,)
    return tuple([n if type(n) is int else whole(n, what) for n in entries])
