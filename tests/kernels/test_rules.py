"""The rules that kernels keep so that caches stay right, imports stay cheap, and NaN stays NaN."""

import ast
import builtins
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tinymeta_kernels as tk
from tinymeta_kernels import _jit

PACKAGE = Path(tk.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))


def jitted_loops(source: str) -> list[ast.FunctionDef]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "jit" for d in node.decorator_list)
    ]


def names_read(loop: ast.FunctionDef) -> set[str]:
    """Global names that the body reads: neither parameters, nor assigned in it, nor built in."""
    body = [node for statement in loop.body for node in ast.walk(statement)]
    local = {a.arg for a in loop.args.args}
    local |= {node.id for node in body if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    read = {node.id for node in body if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - local - set(dir(builtins))


def names_of_own_file(source: str) -> set[str]:
    """Names that a file defines itself, or takes from NumPy, Numba or math."""
    own: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign):
            own |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import):
            own |= {a.asname or a.name for a in node.names if a.name in ("numpy", "math")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
            own |= {a.asname or a.name for a in node.names}
    return own


def parameters_written(loop: ast.FunctionDef) -> set[str]:
    """Parameters that the body assigns to, whole or by an index."""
    written = set()
    for node in ast.walk(loop):
        if isinstance(node, ast.Name | ast.Subscript) and isinstance(node.ctx, ast.Store):
            target = node
            while isinstance(target, ast.Subscript):
                target = target.value
            written.add(target.id)
    return written & {a.arg for a in loop.args.args}


LOOPS = [(path, loop) for path in SOURCES for loop in jitted_loops(path.read_text())]
every_loop = pytest.mark.parametrize(("path", "loop"), LOOPS, ids=[loop.name for _, loop in LOOPS])

# Built on Numba's intrinsics, so they must import Numba; nothing else in the package imports them.
MACHINE = [
    PACKAGE / f"{name}.py" for name in ("machine", "crew", "contract", "located", "loops", "products", "vectors")
]


@every_loop
def test_loop_reads_nothing_from_another_file_so_its_cache_cannot_go_stale(path: Path, loop: ast.FunctionDef) -> None:
    assert names_read(loop) <= names_of_own_file(path.read_text())


@every_loop
def test_loop_writes_only_into_out_parameters(path: Path, loop: ast.FunctionDef) -> None:
    assert all(name.startswith("out") for name in parameters_written(loop))


@every_loop
def test_loop_takes_from_math_only_what_numpy_lacks(path: Path, loop: ast.FunctionDef) -> None:
    # math.log(0) raises in Python and gives -inf when compiled; NumPy's functions do the same in both.
    used = {n.attr for n in ast.walk(loop) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "math"}
    assert not {name for name in used if hasattr(np, name)}


def test_a_loop_that_calls_another_file_or_writes_into_its_input_is_caught() -> None:
    source = "from .other import helper\n@jit\ndef f(x, out):\n    y = helper(x)\n    x[0] += y\n    out[0] = y\n"
    (loop,) = jitted_loops(source)
    assert names_read(loop) - names_of_own_file(source) == {"helper"}
    assert parameters_written(loop) == {"x", "out"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_the_decorator_and_its_cache_speak_to_numba_and_nobody_to_tinymeta(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").split(".")[0])
    compilers = {"numba", "llvmlite"} if path in MACHINE else set()
    assert imported <= set(sys.stdlib_module_names) | {"numpy"} | compilers
    assert "fastmath" not in path.read_text().replace("``fastmath``", "")
    assert ('import_module("numba' in path.read_text()) == (path.name in ("_jit.py", "_cache.py"))


def run_python(program: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_DISABLE", "TINYMETA_DISABLE"))}
    env = {**keep, "PYTHONPATH": str(PACKAGE.parent), **environment}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_every_module_but_the_machine_imports_no_numba() -> None:
    modules = [f"tinymeta_kernels.{path.stem}" for path in SOURCES if path.stem != "__init__" and path not in MACHINE]
    program = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nprint('numba' in sys.modules)"
    assert run_python(program) == "False"


CLIPPED = "import numpy as np, tinymeta_kernels as tk, sys\nprint(tk.relu_input(np.ones(3), np.arange(3.0)).tolist())\n"
EXPECTED = str([0.0, 1.0, 1.0])


@pytest.mark.parametrize("variable", ["TINYMETA_DISABLE_JIT", "NUMBA_DISABLE_JIT"])
def test_loops_run_as_plain_python_when_asked(variable: str) -> None:
    program = (
        CLIPPED
        + "from tinymeta_kernels import _jit\n"
        + "print('numba' in sys.modules, all(k.entries.get('d', k.py_func) is k.py_func for k in _jit.KERNELS))"
    )
    assert run_python(program, **{variable: "1"}).splitlines() == [EXPECTED, "False True"]


def test_without_numba_the_numpy_forms_answer() -> None:
    hide = (
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'numba' else find(name, *a)\n"
    )
    program = hide + CLIPPED + "print('numba' in sys.modules, tk._jit.has_kernel('d'))"
    assert run_python(program).splitlines() == [EXPECTED, "False False"]


def test_a_loop_is_compiled_once_and_loaded_from_the_cache_after(tmp_path: Path) -> None:
    program = (
        "import numpy as np, tinymeta_kernels as tk\nfrom tinymeta_kernels import _jit\n"
        "x = np.ones(3, np.float32)\ntk.relu_input(x, x)\ntk.relu_input(x, x)\n"
        "(kernel,) = [k for k in _jit.KERNELS if k.__name__ == '_keep_where_positive']\n"
        "stats = kernel.entries['f'].stats\nprint(sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))\n"
    )
    assert run_python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "1 0"
    assert run_python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "0 1"


def test_what_had_no_caller_is_gone_and_the_error_names_what_to_use() -> None:
    for name, instead in {"softmax": "tinymeta.nn.softmax", "sum_to": "keepdims", "im2col": "conv2d"}.items():
        with pytest.raises(AttributeError, match=f"tinymeta_kernels.{name} .* use .*{instead}"):
            getattr(tk, name)
    with pytest.raises(AttributeError, match="no attribute 'conv4d'"):
        _ = tk.conv4d


def test_other_errors_of_the_compiler_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")

    def broken(*args, **options):
        raise RuntimeError("out of registers")

    monkeypatch.setattr(_jit, "_interpret", False)
    monkeypatch.setattr(numba, "njit", broken)
    kernel = _jit.Kernel(lambda x, out: None)
    with pytest.raises(RuntimeError, match="out of registers"):
        kernel(np.zeros(1), np.zeros(1))


def test_read_only_and_writable_inputs_share_one_compilation() -> None:
    pytest.importorskip("numba")
    if _jit._interpret:
        pytest.skip("how often Numba compiles, and here it is switched off")
    x = np.ones(3)
    frozen = x.copy()
    frozen.flags.writeable = False
    tk.relu_input(x, x)
    tk.relu_input(frozen, x)
    kernel = next(k for k in _jit.KERNELS if k.__name__ == "_keep_where_positive")
    assert len(kernel.entries["d"].signatures) == 1


def test_warmup_compiles_every_kernel_for_both_dtypes() -> None:
    tk.warmup()
    ready = {kernel.__name__: set(kernel.entries) for kernel in _jit.KERNELS}
    loops = {loop.name for path, loop in LOOPS if path not in MACHINE}
    assert {name: ready.get(name) for name in loops} == dict.fromkeys(loops, {"f", "d"})


def test_the_readme_has_an_entry_for_every_kernel() -> None:
    text = (PACKAGE.parent / "README.md").read_text()
    public = set(tk.__all__) - {"set_num_threads", "warmup"}
    assert {name for name in public if f"`{name}`" not in text} == set()


def test_kernels_do_not_know_tinymeta() -> None:
    for path in sorted(PACKAGE.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "tinymeta"], path
