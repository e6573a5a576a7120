"""What a mutation is: one node of a function's syntax tree in place of another, so that it means something else.

    n < m      n <= m, n > m             axis=-1     axis=0, axis=-2
    a + b      a - b                     f(x, y)     f(x)
    a and b    a or b                    return y    return x, the first argument
    if a:      if not a:                 raise E     pass

Left alone is what no test should ask about: the text of an error, annotations; and what runs once, at import, before a
fault can be planted: the module's and the class's own lines, decorators, defaults.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_NOT_INSIDE = {"annotation", "returns", "decorator_list", "defaults", "kw_defaults"}
_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Site:
    """One mutation of one file. `path:line:column what` is its name."""

    path: str  # from the root of the repository
    line: int
    column: int
    what: str
    text: str  # the line as it stands, without its indentation
    parent: ast.AST = field(repr=False, compare=False)
    slot: tuple[str, int | None] = field(repr=False, compare=False)
    new: ast.AST = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}:{self.column} {self.what}"

    @property
    def room(self) -> str:
        return Path(self.path).parts[1]

    def put(self, node: Any) -> Any:
        """Put a node into the tree at this place; the one that was there."""
        name, index = self.slot
        held = getattr(self.parent, name)
        if index is None:
            setattr(self.parent, name, node)
            return held
        held[index], before = node, held[index]
        return before


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def sites(path: str) -> list[Site]:
    """All mutations of a file, in the order of its lines."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()

    def walk(node: ast.AST, inside: ast.AST | None) -> Iterator[Site]:
        for name, value in ast.iter_fields(node):
            children = enumerate(value) if isinstance(value, list) else ((None, value),)
            for index, child in children if name not in _NOT_INSIDE else ():
                if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                    continue
                for what, new in variants(child, inside) if inside else ():
                    line, column = child.lineno, child.col_offset  # type: ignore[attr-defined]
                    ast.fix_missing_locations(ast.copy_location(new, child))
                    yield Site(path, line, column, what, lines[line - 1].strip(), node, (name, index), new)
                if not isinstance(child, ast.Raise):
                    yield from walk(child, child if isinstance(child, (ast.FunctionDef, ast.Lambda)) else inside)

    return list(walk(parsed(path), None))


def variants(node: ast.AST, function: ast.AST | None = None) -> Iterator[tuple[str, ast.AST]]:
    """What can stand in a node's place, each with its name, `before → after`."""
    for new in _variants(node, function):
        yield f"{_brief(node)} → {_brief(new)}", new


def _brief(node: ast.AST) -> str:
    """A node in one line: of a compound statement, its head."""
    return ast.unparse(node).partition("\n")[0]


def _variants(node: ast.AST, function: ast.AST | None) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operation]):
            for other in _COMPARED[type(operation)]:
                yield _with(node, ops=[other()])
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _CALCULATED:
            yield _with(node, op=_CALCULATED[type(node.op)]())
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
            yield from (
                _with(node, values=rest) if len(rest) > 1 else copy.deepcopy(rest[0])
                for rest in ([v for v in node.values if v is not dropped] for dropped in node.values)
            )
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            if not isinstance(node.operand, ast.Constant):
                yield copy.deepcopy(node.operand)
        case ast.Constant(value=bool()):
            yield _with(node, value=not node.value)
        case ast.Constant(value=int() | float()):
            yield _with(node, value=node.value + 1)  # type: ignore[operator]
            if node.value:
                yield _with(node, value=node.value - 1)  # type: ignore[operator]
        case ast.If() | ast.IfExp():
            yield _with(node, test=ast.UnaryOp(ast.Not(), copy.deepcopy(node.test)))
        case ast.Call():
            if len(node.args) > 1 and not any(isinstance(x, ast.Starred) for x in node.args):
                yield _with(node, args=node.args[:-1])
            for keyword in node.keywords:
                if keyword.arg is not None:
                    yield _with(node, keywords=[k for k in node.keywords if k is not keyword])
        case ast.Name(ctx=ast.Load()) if node.id in _NAMED:
            yield _with(node, id=_NAMED[node.id])
        case ast.Return(value=ast.expr()) if isinstance(function, ast.FunctionDef):
            first = next((a.arg for a in (*function.args.posonlyargs, *function.args.args)), None)
            if first and ast.unparse(node.value) != first:
                yield ast.Return(ast.Name(first, ast.Load()))
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield ast.Pass()


def _with(node: ast.AST, **parts: Any) -> ast.AST:
    """A copy of a node with other parts."""
    new = copy.deepcopy(node)
    for name, value in parts.items():
        setattr(new, name, copy.deepcopy(value))
    return new
