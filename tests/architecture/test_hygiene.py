"""Tests that can fail: each asserts something, itself or by a function that does. They import each other in one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from tests.architecture.sources import PRODUCT, ROOT, TESTS, Source

CHECKS = {"raises", "warns", "fail", "check"}  # of pytest, and of objects that hold what they expect
# The property that it is handed raises where it doesn't hold; P15 plants what each has to see.
BY_RAISING = {"tests/engine/test_primitives.py: test_property_of_a_primitive"}


def functions(source: Source) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef))


def called(function: ast.FunctionDef) -> set[str]:
    """What the body calls: `f`, `a.f`."""
    calls = [node.func for line in function.body for node in ast.walk(line) if isinstance(node, ast.Call)]
    return {ast.unparse(call) for call in calls}


def asserts(function: ast.FunctionDef) -> bool:
    """Whether the function itself asserts."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    names = {name.rpartition(".")[2] for name in called(function)}
    return any(name in CHECKS or name.startswith(("assert_", "check_")) for name in names)


def origins(source: Source) -> dict[str, str]:
    """Where the functions come from that a file may call: `f` and `a.f` to "tests.engine.programs.f"."""
    found: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found | {function.name: f"{source.module}.{function.name}" for function in functions(source)}


def idle(tests: Sequence[Source], libraries: Sequence[Source]) -> list[str]:
    """Tests that assert nothing. A function of the tests, or of `tinymeta.testing`, may do it for them."""
    calls: dict[str, set[str]] = {}
    doing: set[str] = set()
    for source in (*tests, *libraries):
        known = origins(source)
        for function in functions(source):
            name = f"{source.module}.{function.name}"
            heads = {call: call.partition(".") for call in called(function)}
            calls.setdefault(name, set()).update(known.get(h, h) + dot + rest for h, dot, rest in heads.values())
            if asserts(function) or any(isinstance(node, ast.Raise) for node in ast.walk(function)):
                doing.add(name)
    before = -1
    while len(doing) > before:
        before = len(doing)
        doing |= {name for name, others in calls.items() if others & doing}
    return [
        f"{source}: {function.name}"
        for source in tests
        for function in functions(source)
        if function.name.startswith("test_") and f"{source.module}.{function.name}" not in doing
    ]


def test_every_test_asserts_something() -> None:
    tests = [source for source in TESTS if "benchmarks" not in source.parts]
    assert set(idle(tests, [source for source in PRODUCT if source.room == "testing"])) == BY_RAISING


def test_a_test_that_asserts_nothing_is_found() -> None:
    text = (
        "def same(a, b):\n    assert a == b\ndef test_a():\n    same(1, 1)\ndef test_b():\n    f(1)\n"
        "def test_c():\n    with pytest.raises(E): f()\ndef test_d():\n    np.testing.assert_array_equal(1, 1)\n"
    )
    assert idle([Source(ROOT / "tests" / "planted.py", text)], []) == ["tests/planted.py: test_b"]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What a function does itself, without what the functions inside of it do."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield child
            yield from own_nodes(child)


def left_early(source: Source) -> list[str]:
    """Tests that end by a `return`: they pass for having looked at nothing. hypothesis has `assume`, which counts."""
    return [
        f"{source}: {function.name}"
        for function in functions(source)
        if function.name.startswith("test_") and any(isinstance(node, ast.Return) for node in own_nodes(function))
    ]


def test_no_test_passes_by_leaving_early() -> None:
    assert [name for source in TESTS for name in left_early(source)] == []


def test_a_test_that_leaves_early_is_found() -> None:
    text = (
        "def test_a():\n    if x:\n        return\n    assert x\n"
        "def test_b():\n    f = lambda: 1\n    def g():\n        return 1\n    assert f() == g()\n"
    )
    assert left_early(Source(ROOT / "tests" / "planted.py", text)) == ["tests/planted.py: test_a"]


def test_tests_import_each_other_by_their_whole_path() -> None:
    own = {source.path.stem for source in TESTS}
    for source in TESTS:
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name for name in names if name in own - {"pytest"} and not name.startswith("tests")}, source
