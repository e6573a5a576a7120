"""State that a function only writes: counters and lists for whoever calls it.

`runs += 1`, `seen.append(x)`, `log["loss"] = y` as statements of their own don't touch the function's result, so they
may happen once, while recording. The source tells: a name that is read anywhere else isn't only written.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Sequence
from types import FunctionType

from tinymeta.compile.record.names import codes_of


def only_written(path: str, functions: Sequence[FunctionType]) -> bool:
    """Whether the code of these functions names what the last name of `path` stands for, and never reads it."""
    words = re.findall(r"[^\W\d]\w*", path.partition("[")[0])
    naming = [f for f in functions if words and words[-1] in _words(f)]  # without any, a library's code changes it
    return bool(naming) and all(_only_writes(words[-1], f) for f in naming)


def _words(f: FunctionType) -> set[str]:
    """The names in a function's code and in that of the functions inside of it, and of its parameters with defaults."""
    parameters = inspect.signature(f, follow_wrapped=False).parameters.values()
    found = {p.name for p in parameters if p.default is not p.empty}
    for code in codes_of(f.__code__):
        found |= {*code.co_names, *code.co_freevars, *(c for c in code.co_consts if isinstance(c, str))}
    return found


def _only_writes(name: str, f: FunctionType) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(f.__code__)))  # f itself would be what it wraps
    except (OSError, TypeError, SyntaxError):  # no source, or a lambda in the middle of a line
        return False
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == name:
            return False  # getattr(self, "name")
        if isinstance(node, (ast.Name, ast.Attribute)):
            named = node.id if isinstance(node, ast.Name) else node.attr
            if named == name and isinstance(node.ctx, ast.Load) and not _is_written(node, above):
                return False
    return True


def _is_written(node: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    """Whether an expression is what a statement changes: `x.append(…)`, `x[k] = …`, `x[k] += …`, `x.a = …`."""
    while isinstance(around := above[node], ast.Subscript) and node is around.value:
        node = around
        if isinstance(around.ctx, (ast.Store, ast.Del)):
            return True
    if not isinstance(method := above[node], ast.Attribute) or not isinstance(call := above[method], ast.Call):
        return False
    return call.func is method and isinstance(above[call], ast.Expr)
