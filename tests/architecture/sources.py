"""The Python files of the project as these tests see them, and how their lines are counted.

`python -m tests.architecture.sources` prints lines of code, room by room.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
A_USERS_PROGRAM = "trace_maml.py"  # shipped to be stepped through, and never imported
KERNELS = "tinymeta_kernels"

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Source:
    """One file; `text` may be given to see what a planted fault would do."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if text is None else text
        parts = path.relative_to(ROOT).parts
        self.parts = parts[1:] if parts[0] == "kernels" else parts

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        """Its name for an import: "tinymeta.engine.tensor"."""
        return ".".join(self.parts).removesuffix(".py").removesuffix(".__init__")

    @property
    def room(self) -> str:
        """ "engine", "ops", …; the kernels are one; a file beside the rooms is its own."""
        return room(self.module)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def __str__(self) -> str:
        return "/".join(self.parts)


def room(module: str) -> str:
    """The room that a module is in; "" for the package itself."""
    package, _, rest = module.partition(".")
    return KERNELS if package == KERNELS else rest.partition(".")[0]


def _found(*parts: str) -> list[Source]:
    return [Source(path) for path in sorted(ROOT.joinpath(*parts).rglob("*.py"))]


LOOPS = _found("kernels", KERNELS)
ROOMS = [source for source in _found("tinymeta") if source.path.name != A_USERS_PROGRAM]
PRODUCT = [*ROOMS, *LOOPS]
TESTS = _found("tests")
OF_THE_PROJECT = {source.module for source in PRODUCT}


def forget_trees() -> None:
    """Let go of what was parsed."""
    for source in (*PRODUCT, *TESTS):
        for name in ("tree", "parents"):
            vars(source).pop(name, None)


def imports(source: Source) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether it needs them at run time."""
    typing = {
        inner
        for node in ast.walk(source.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node not in typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = source.parts[:-1]
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, [start, node.module]))
            for alias in node.names:  # `from package import x` may mean the module package.x
                longer = f"{name}.{alias.name}"
                yield (longer if longer in OF_THE_PROJECT else name), node not in typing


def lines_of_code(source: Source) -> int:
    """Lines that hold code: no blanks, comments and docstrings."""
    docstrings: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in _LAYOUT:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


@cache
def sizes() -> Counter[str]:
    """Lines of code of the product by room, what is shipped to be stepped through included."""
    found: Counter[str] = Counter()
    for source in [*_found("tinymeta"), *_found("kernels")]:
        found[source.room] += lines_of_code(source)
    return found


if __name__ == "__main__":
    for name, lines in sizes().most_common():
        print(f"{name or 'tinymeta':18}{lines:7,}")
    scripts = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob("tinymeta/**/*.js"))
    print(f"{'the product':18}{sizes().total():7,}\n{'JavaScript':18}{scripts:7,} lines, counted apart")
