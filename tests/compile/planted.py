"""To plant a fault in the compiler: a piece of its own text put another way.

A fault's witness compiles something, and runs it. It has to pass as the code stands, and to fail with the fault: at the
hands of the verifier, of a comparison, or of a crash.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tinymeta.compile.verify import Broken


class Fault(NamedTuple):
    """In the function or method `name` of `owner`, `right` becomes `wrong`; `witness` sees it."""

    owner: Any
    name: str
    right: str
    wrong: str
    witness: Callable[[], None]


def plant(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    f = inspect.unwrap(inspect.getattr_static(fault.owner, fault.name))
    source = textwrap.dedent(inspect.getsource(f))
    assert source.count(fault.right) == 1, f"{fault.name} reads otherwise now"
    made: dict[str, Any] = {}
    exec(source.replace(fault.right, fault.wrong), f.__globals__, made)
    monkeypatch.setattr(fault.owner, fault.name, made[fault.name])


def caught_by(witness: Callable[[], None]) -> str:
    """What a witness fails by, "" if it passes."""
    try:
        witness()
    except Broken as broken:
        return f"verifier: {broken.stage}"
    except AssertionError:
        return f"comparison: {witness.__name__.replace('_', ' ')}"
    except Exception as error:  # a crash is seen, too
        return f"crash: {type(error).__name__}"
    return ""
