"""Who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# From the ground up. A package imports from its own level's package and from lower levels only.
LEVELS = [{"engine"}, {"ops"}, {"nn", "optim", "testing"}, {"meta", "tasks", "view"}, {"recipes"}, {"cli", "__main__"}]
# The few files that may reach further, and why.
EXCEPTIONS: dict[str, set[str]] = {}
MODULES = sorted(p for p in (ROOT / "tinymeta").rglob("*.py"))
KERNELS = sorted((ROOT / "kernels" / "tinymeta_kernels").rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether it needs them at run time."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    typing = {
        id(inner)
        for node in ast.walk(module)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write absolute imports"
            names = [node.module or ""]
            if node.module == "tinymeta":
                names = [f"tinymeta.{alias.name}" for alias in node.names]
            yield from ((name, id(node) not in typing) for name in names)


def _package(path: Path) -> str:
    parts = path.relative_to(ROOT / "tinymeta").with_suffix("").parts
    return parts[0]


def _level(package: str) -> int:
    return next(i for i, packages in enumerate(LEVELS) if package in packages)


@pytest.mark.parametrize("path", [p for p in MODULES if _package(p) != "__init__"], ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    mine = _package(path)
    for name, _ in _imports(path):
        if not name.startswith("tinymeta."):
            assert name != "tinymeta" or mine in ("recipes", "cli", "__main__", "testing"), f"{path} imports the whole package"
            continue
        other = name.split(".")[1]
        if other.startswith("_") or other in EXCEPTIONS.get(path.name, set()):
            continue
        assert other == mine or _level(other) < _level(mine), f"{path.name} ({mine}) imports {name}, which is not below it"


def test_no_two_modules_import_each_other() -> None:
    """Cycles at run time, over whole modules; imports for type checkers alone are no dependence."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {other for other, real in _imports(path) if real and other.startswith("tinymeta")}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' → '.join((*above[above.index(name) :], name))}"
        if name not in done:
            for other in sorted(graph.get(name, ())):
                if other != "tinymeta":
                    visit(other, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_kernels_know_arrays_and_numba_alone(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "numba", "llvmlite", "tinymeta_kernels"}
    for name, _ in _imports(path):
        assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [*MODULES, *KERNELS], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", [*MODULES, *KERNELS], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_begins_by_saying_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text))


def test_what_a_student_reads_first_has_at_most_450_lines() -> None:
    files = [ROOT / "tinymeta" / "engine" / f"{name}.py" for name in ("tensor", "primitive", "sweep")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 450


@pytest.mark.parametrize("path", [*MODULES, *KERNELS], ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_forbidden_is_in_the_source(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path.name}:{node.lineno}: a bare except"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "marshal", "shelve"} & {n.split(".")[0] for n in names}, f"{path.name} unpickles"
        if isinstance(node, ast.keyword) and node.arg == "fastmath":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{path.name}: fastmath"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{path.name}: allow_pickle"


def test_importing_the_package_imports_no_test_tool_and_no_plotting() -> None:
    """`tm.testing` is there; hypothesis, matplotlib, rich and the rest wait until something asks for them."""
    code = "import tinymeta, sys; print(sorted({'hypothesis', 'pytest', 'matplotlib', 'rich', 'PIL'} & set(sys.modules)))"
    path = [str(ROOT), str(ROOT / "kernels")]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
