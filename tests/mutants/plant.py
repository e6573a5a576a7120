"""A mutation put into a running process: every function made from the code that it changes gets the changed code.

No file is written and nothing is imported again, so a process that has collected the tests can be forked for one
mutation after another.
"""

from __future__ import annotations

import gc
from importlib import import_module
from types import CodeType, FunctionType

from tests.mutants.mutations import ROOT, Site, parsed


def plant(site: Site) -> int:
    """Plant a mutation; in how many functions. 0: what it changes isn't in memory, or isn't the code of a function."""
    import_module(site.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))  # rooms are lazy
    changed = changed_by(site)
    count = 0
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__ in changed:
            function.__code__ = changed[function.__code__]
            count += 1
    return count


def changed_by(site: Site) -> dict[CodeType, CodeType]:
    """The codes of the file that the mutation changes, and what each becomes."""
    before = _codes(site)
    old = site.put(site.new)
    try:
        after = _codes(site)
    finally:
        site.put(old)
    return {old: new for key, olds in before.items() for old, new in zip(olds, after.get(key, ())) if old != new}


def _codes(site: Site) -> dict[tuple[str, int], list[CodeType]]:
    """The codes of all functions in a file by their name and line, as the interpreter makes them from the file."""
    found: dict[tuple[str, int], list[CodeType]] = {}
    stack = [compile(parsed(site.path), str(ROOT / site.path), "exec", dont_inherit=True)]
    while stack:
        code = stack.pop()
        found.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
        stack += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return found
