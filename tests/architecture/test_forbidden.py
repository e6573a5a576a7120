"""What no file may do: swallow every error, unpickle, reorder sums, or leave its purpose untold."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import PRODUCT, ROOT, TESTS, Source

UNSAFE = {"pickle", "marshal", "shelve"}
# Compiled loops are pickles of Numba's; they lie where only the user may write (SECURITY.md). A process that starts
# others sends them functions, through a pipe that nobody else has.
UNPICKLES = {"tinymeta_kernels/_cache.py", "tinymeta/meta/spread/sending.py"}


def forbidden(source: Source) -> list[str]:
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: a bare except")
        if isinstance(node, ast.Import | ast.ImportFrom) and str(source) not in UNPICKLES:
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{node.lineno}: unpickles" for n in names if n.split(".")[0] in UNSAFE]
        if (
            isinstance(node, ast.keyword)
            and node.arg in ("fastmath", "allow_pickle")
            and ast.unparse(node.value) != "False"
        ):
            found.append(f"{node.value.lineno}: {node.arg}")
    return found


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_nothing_forbidden_is_in_the_source(source: Source) -> None:
    assert forbidden(source) == []


def test_what_is_forbidden_is_found() -> None:
    text = "import pickle\ntry:\n    f(fastmath=True)\nexcept:\n    np.load(x, allow_pickle=flag)"
    found = forbidden(Source(ROOT / "tinymeta" / "moved.py", text))
    assert sorted(found) == ["1: unpickles", "3: fastmath", "4: a bare except", "5: allow_pickle"]


@pytest.mark.parametrize("source", [*PRODUCT, *TESTS], ids=str)
def test_a_file_begins_by_saying_what_it_is(source: Source) -> None:
    assert not source.text or ast.get_docstring(source.tree)
