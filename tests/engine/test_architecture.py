"""Who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# From the ground up. A package imports from its own level and from lower ones, and no two import each other.
LEVELS = [
    {"engine"},
    {"ops", "io"},
    {"watch", "compile"},
    {"nn", "optim", "testing"},
    {"meta", "tasks", "view"},
    {"recipes"},
    {"bench"},
    {"cli"},
]
TOP = {"recipes", "bench", "cli", "__main__"}  # these use the package as its users do: `import tinymeta as tm`
A_USERS_PROGRAM = "trace_maml.py"  # shipped to be stepped through, and never imported
MODULES = [p for p in sorted((ROOT / "tinymeta").rglob("*.py")) if p.name != A_USERS_PROGRAM]
KERNELS = sorted((ROOT / "kernels" / "tinymeta_kernels").rglob("*.py"))
everywhere = pytest.mark.parametrize("path", [*MODULES, *KERNELS], ids=lambda p: str(p.relative_to(ROOT)))


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
        real = id(node) not in typing
        if isinstance(node, ast.Import):
            yield from ((alias.name, real) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[1 if path in KERNELS else 0 : -1]
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, [start, node.module]))
            for alias in node.names:  # `from package import x` may mean the module package.x
                yield (f"{name}.{alias.name}" if _is_module(f"{name}.{alias.name}") else name), real


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return name.startswith("tinymeta.") and (path.with_suffix(".py").is_file() or path.is_dir())


def _package(name: str) -> str:
    """The part of tinymeta that a module is in: "engine", "ops", …"""
    return name.split(".")[1] if "." in name else ""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _level(package: str) -> int:
    return next((i for i, packages in enumerate(LEVELS) if package in packages), len(LEVELS))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    mine = _package(_name(path))
    if not mine:
        return  # tinymeta/__init__.py names everything that there is
    for name, _ in _imports(path):
        assert name != "tinymeta" or mine in TOP or path.name == "kinks.py", f"{path.name} imports the whole package"
        if name.startswith("tinymeta.") and not _package(name).startswith("__"):
            assert _level(_package(name)) <= _level(mine), f"{mine} imports {name}, which is above it"


def _first_circle(graph: dict[str, set[str]]) -> str:
    """The first circle of a graph in words, or an empty string."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> str:
        if name in above:
            return " → ".join((*above[above.index(name) :], name))
        if name in done:
            return ""
        done.add(name)
        return next(filter(None, (visit(other, (*above, name)) for other in sorted(graph.get(name, ())))), "")

    return next(filter(None, (visit(name, ()) for name in sorted(graph))), "")


def test_no_packages_and_no_modules_import_each_other() -> None:
    """At run time; what is imported for type checkers alone is no dependence."""
    modules = {_name(p): {other for other, real in _imports(p) if real and _package(other)} for p in MODULES}
    del modules["tinymeta"]
    assert _first_circle({name: others & modules.keys() - {name} for name, others in modules.items()}) == ""
    packages: dict[str, set[str]] = {}
    for name, others in modules.items():
        packages.setdefault(_package(name), set()).update({_package(other) for other in others} - {_package(name)})
    assert _first_circle(packages) == ""


def test_the_test_for_circles_finds_one() -> None:
    assert _first_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == "b → c → b"
    assert _first_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ""


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_kernels_know_arrays_and_numba_alone(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "numba", "llvmlite", "tinymeta_kernels"}
    for name, _ in _imports(path):
        assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


@everywhere
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@everywhere
def test_a_file_begins_by_saying_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text))


def test_what_a_student_reads_first_has_at_most_500_lines() -> None:
    files = [ROOT / "tinymeta" / "engine" / f"{name}.py" for name in ("tensor", "primitive", "sweep")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 500


@everywhere
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
    late = {"hypothesis", "pytest", "matplotlib", "rich", "PIL", "safetensors", "torch", "jax"}
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import tinymeta; print({late} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
