"""Who may import whom."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.sources import KERNELS, LOOPS, PRODUCT, ROOMS, ROOT, Source, imports, room

# What a room may import beside itself; what those may, it may too. Nearer to the ground comes first.
BELOW = {
    KERNELS: (),
    "trees": (),
    "engine": (KERNELS, "trees"),
    "ops": ("engine",),
    "io": ("engine",),
    "watch": ("ops",),
    "compile": ("ops", "io"),
    "nn": ("ops", "io"),  # io, for models come from files of PyTorch
    "optim": ("ops",),
    "tasks": ("ops", "io"),
    "view": ("watch", "io"),  # io, for a page is written whole or not at all
    # tasks, for a learner is given episodes; view, for a training shows how far it is
    "meta": ("nn", "optim", "compile", "tasks", "watch", "view"),
    "testing": ("compile", "watch"),
    "recipes": ("meta", "testing"),
    "fewshot": ("recipes",),  # what a run has learned, and how it is calibrated
    "bench": ("recipes",),
    "cli": ("bench",),
}
AS_A_USER = {"recipes", "bench", "cli", "__main__"}  # these use the package as its users do: `import tinymeta as tm`
BESIDE = {"", "moved", "__main__"}  # the package itself names everything that there is


def lower(name: str) -> set[str]:
    """All rooms that a room may import."""
    return {name}.union(*(lower(other) for other in BELOW[name]))


def above(source: Source) -> list[str]:
    """What a file imports and may not."""
    if source.room in BESIDE:
        return []
    found = [name for name, _ in imports(source) if name.startswith("tinymeta") and room(name) not in BESIDE]
    whole = [name for name, _ in imports(source) if name == "tinymeta" and source.room not in AS_A_USER]
    return [name for name in found if room(name) not in lower(source.room)] + whole


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_imports_point_down(source: Source) -> None:
    assert above(source) == []


def test_an_import_that_points_up_is_found() -> None:
    path = ROOT / "tinymeta" / "ops" / "reduce.py"
    assert above(Source(path, "from tinymeta.engine import tree\nfrom tinymeta.nn import layers")) == [
        "tinymeta.nn.layers"
    ]
    assert above(Source(path, "def f():\n    import tinymeta")) == ["tinymeta"]
    kernels = ROOT / "kernels" / KERNELS / "norm.py"
    assert above(Source(kernels, "from tinymeta.engine import tensor")) == ["tinymeta.engine.tensor"]


def test_every_room_has_its_place() -> None:
    assert {source.room for source in PRODUCT} - BESIDE == BELOW.keys()


def first_circle(graph: dict[str, set[str]]) -> str:
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


def test_no_rooms_and_no_modules_import_each_other() -> None:
    """At run time; what is imported for type checkers alone is no dependence."""
    modules = {s.module: {name for name, real in imports(s) if real} for s in PRODUCT if s.room}
    assert first_circle({name: others & modules.keys() - {name} for name, others in modules.items()}) == ""
    rooms: dict[str, set[str]] = {}
    for name, others in modules.items():
        rooms.setdefault(room(name), set()).update({room(other) for other in others & modules.keys()} - {room(name)})
    assert first_circle(rooms) == ""


def test_the_test_for_circles_finds_one() -> None:
    assert first_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == "b → c → b"
    assert first_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ""


@pytest.mark.parametrize("source", LOOPS, ids=str)
def test_kernels_know_arrays_and_numba_alone(source: Source) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "numba", "llvmlite", KERNELS}
    assert [name for name, _ in imports(source) if name.split(".")[0] not in allowed] == []


def test_importing_the_package_imports_no_test_tool_and_no_plotting() -> None:
    """`tm.testing` is there; hypothesis, matplotlib, rich and the rest wait until something asks for them."""
    late = {"hypothesis", "pytest", "matplotlib", "rich", "PIL", "safetensors", "torch", "jax"}
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import tinymeta; print({late} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_rooms_are_there() -> None:
    assert len(ROOMS) > 100 and len(LOOPS) > 10
