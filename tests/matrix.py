"""The suite on other machines, imitated on this one: `python -m tests.matrix [--quick] [--whole] [--write] [NAME …]`.

Each environment runs the tests that can tell it from this machine (`--whole`: the suite). One that can't be made here,
such as a Python that isn't installed, is told as "not made". The table at the end says what was run in each: the
versions, and the processor as NumPy, BLAS and Numba took it, each told by the environment itself. `--write` puts those
that passed into `tests/matrix.md`, which README quotes. The exit status is 1 if any environment failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "matrix.md"
NUMBERS = ("tests/ops", "tests/kernels", "tests/engine/test_primitives.py", "tests/compile/test_machine_programs.py")
STEPS = ("tests/compile/test_every_dtype.py", "tests/compile/test_random_programs.py", "tests/optim", "tests/nn")
SMALL = ("tests/engine", "tests/io", "tests/compile/test_compiled_functions.py", "tests/meta/test_fit.py")
WORDS = ("tests/cli", "tests/view", "tests/io", "tests/test_readme.py", "tests/recipes/test_run_folder.py")
LANGUAGE = (*SMALL, *WORDS, "tests/watch", "tests/tasks", "tests/testing", "tests/compile/test_keys.py")
VERSIONS = (*NUMBERS, *STEPS, "tests/engine", "tests/tasks", "tests/recipes/test_run_folder.py")
ORDER = ("tests/engine", "tests/io", "tests/watch", "tests/compile/test_keys.py", "tests/nn", "tests/tasks")
INSTALLED = ("tests/cli", "tests/view", "tests/watch", "tests/io", "tests/engine/test_errors.py", "tests/tutorials")
BESIDE = ("tests", "tutorials", "pyproject.toml", "README.md", "README.zh-CN.md", "CHANGELOG.md")  # the product
# Runs before anything else of a test process: Numba can't be imported there.
WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"
# What a Python says of itself. OpenBLAS names its kernels; NumPy's parts for a processor stand behind its baseline.
FACTS = """
import ctypes, json, platform, numpy
from numpy._core import _multiarray_umath as core
import tinymeta
from tinymeta_kernels.addresses import callable_from_loops
blas = getattr(ctypes.CDLL(core.__file__), "scipy_openblas_get_corename64_", None)
if blas: blas.restype = ctypes.c_char_p
try:
    import numba, llvmlite.binding as llvm
    numba, cpu = numba.__version__, numba.config.CPU_NAME or llvm.get_host_cpu_name()
except ImportError:
    numba, cpu = "none", ""
print(json.dumps({
    "python": platform.python_version(), "numpy": numpy.__version__, "numba": numba,
    "parts": core.__cpu_dispatch__, "on": [p for p in core.__cpu_dispatch__ if core.__cpu_features__.get(p)],
    "blas": blas().decode() if blas else "another", "code": cpu if callable_from_loops() else "none",
    "tinymeta": tinymeta.__file__,
}))
"""


@dataclass(frozen=True)
class Environment:
    """One machine to imitate: variables, other packages, or another way to start the tests."""

    why: str
    tests: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # a virtual environment of its own, with these versions
    beside: tuple[str, ...] = ()  # packages beside those of this environment
    first: str = ""  # what runs before anything else of each process
    python: str = ""  # another interpreter's name
    without: str | None = None  # of NumPy's parts for a processor, those that match
    wheel: bool = False
    quick: bool = False


ENVIRONMENTS = {
    "old-processor": Environment(
        "no vector instructions beyond the baseline, Nehalem's BLAS, generic machine code",
        NUMBERS,
        {"OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "generic"},
        without="",
        quick=True,
    ),
    "avx2-processor": Environment(
        "no AVX-512, Haswell's BLAS",
        NUMBERS,
        {"OPENBLAS_CORETYPE": "Haswell", "NUMBA_CPU_NAME": "haswell"},
        without="AVX512|X86_V4",
        quick=True,
    ),
    "sandybridge-blas": Environment("another BLAS kernel", NUMBERS, {"OPENBLAS_CORETYPE": "Sandybridge"}),
    "one-thread": Environment(
        "one core", (*NUMBERS, *STEPS), {"TINYMETA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ),
    "interpreted": Environment("kernels as plain Python", SMALL, {"NUMBA_DISABLE_JIT": "1"}),
    "no-numba": Environment("Numba can't be imported", SMALL, first=WITHOUT_NUMBA),
    "narrow-terminal": Environment("40 columns", WORDS, {"COLUMNS": "40"}),
    "c-locale": Environment(
        "no UTF-8", WORDS, {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "read-only-home": Environment(
        "nothing can be written at home", SMALL, {"HOME": "/proc", "XDG_CACHE_HOME": "", "NUMBA_CACHE_DIR": ""}
    ),
    "random-order": Environment(
        "no test leans on another",
        ORDER,
        options=(f"--randomly-seed={random.randrange(10**6)}",),
        beside=("pytest-randomly",),
        quick=True,
    ),
    "one-process": Environment("no test leans on the other process", SMALL, options=("-n", "0")),
    "wheel": Environment(
        "installed, not a checkout (of which the site is built)",
        INSTALLED,
        wheel=True,
        quick=True,
        options=("--ignore=tests/tutorials/test_site.py",),
    ),  # fmt: skip
    "oldest": Environment("the oldest versions allowed", VERSIONS, packages=("numpy==2.0.*", "numba==0.61.*")),
    "numpy-2.2": Environment("NumPy between", VERSIONS, packages=("numpy==2.2.*",)),
    "python-3.12": Environment("newest of all for it", LANGUAGE, python="python3.12"),
    "python-3.13": Environment("newest of all for it", (*LANGUAGE, *NUMBERS, *STEPS), python="python3.13"),
    "python-3.14": Environment("newest of all for it", LANGUAGE, python="python3.14"),
}


class Row(NamedTuple):
    """What came of an environment."""

    name: str
    python: str
    numpy: str
    numba: str
    processor: str
    passed: str
    verdict: str
    commit: str


HEAD = (
    "environment",
    "Python",
    "NumPy",
    "Numba",
    "NumPy's parts, BLAS, machine code for",
    "tests",
    "verdict",
    "commit",
)
TITLE = """# Environments that were run

`python -m tests.matrix --write` writes this; what makes each is in `matrix.py`.

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (all): {', '.join(ENVIRONMENTS)}")
    parser.add_argument("--quick", action="store_true", help="those that a commit has to pass")
    parser.add_argument("--whole", action="store_true", help="the whole suite in each")
    parser.add_argument("--write", action="store_true", help="put the rows into tests/matrix.md")
    given = parser.parse_args()
    unknown = set(given.names) - set(ENVIRONMENTS)
    if unknown:
        parser.error(f"no environment is called {', '.join(sorted(unknown))}: there are {', '.join(ENVIRONMENTS)}")
    chosen = given.names or [name for name, each in ENVIRONMENTS.items() if each.quick or not given.quick]
    rows = []
    for name in chosen:
        start, before = time.monotonic(), os.times()
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(tried(name, Path(scratch), given.whole))
        now, after = time.monotonic(), os.times()
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        print(f"{' · '.join(rows[-1])} · {now - start:.0f} s, of all cores {spent:.0f} s", flush=True)
    text = table(rows)
    print(f"\n{text}")
    if given.write:
        kept = read(TABLE.read_text(encoding="utf-8")) | {row.name: row for row in rows if row.verdict == "passed"}
        TABLE.write_text(table([kept[name] for name in ENVIRONMENTS if name in kept]), encoding="utf-8")
    return int(any(row.verdict == "FAILED" for row in rows))


def tried(name: str, scratch: Path, whole: bool) -> Row:
    """Make an environment and run its tests; what fails is printed."""
    environment = ENVIRONMENTS[name]
    python = interpreter(environment, scratch)
    if python is None:
        return Row(name, "", "", "", "", "", "not made", "")
    variables, where = dict(environment.variables), ROOT
    if environment.wheel:  # the package comes from where pip put it: it isn't here
        where = scratch / "beside"
        for part in BESIDE:
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile)(ROOT / part, where / part)
    else:
        variables["PYTHONPATH"] = os.pathsep.join(map(str, (scratch / "first", ROOT, ROOT / "kernels")))
    if environment.without is not None:
        parts = [part for part in facts(python, where, variables)["parts"] if re.search(environment.without, part)]
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(parts)
    tests = ["tests"] if whole else environment.tests
    command = ["-m", "pytest", "-p", "no:cacheprovider", "--color=no", *environment.options, *tests]
    print(f"+ {' '.join(f'{k}={v!r}' for k, v in variables.items())} python {' '.join(command)}", flush=True)
    known = facts(python, where, variables)
    if (Path(known["tinymeta"]).parents[1] == ROOT) is environment.wheel:
        raise SystemExit(f"{name} would test {known['tinymeta']}")
    status, said = run([python, *command], where, variables)
    if status:
        print(said[-20000:])
    passed = re.findall(r"(\d+) passed", said)
    processor = f"{' '.join(known['on']) or 'baseline'}, {known['blas']}, {known['code']}"
    verdict, now = (
        "FAILED" if status else "passed",
        run(["git", "describe", "--always", "--dirty", "--exclude=*"], ROOT, {})[1].strip(),
    )
    return Row(
        name, known["python"], known["numpy"], known["numba"], processor, passed[-1] if passed else "0", verdict, now
    )


def run(command: list[str], where: Path, variables: dict[str, str]) -> tuple[int, str]:
    """A command's status, and what it said."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COLUMNS")}
    done = subprocess.run(
        command, cwd=where, env=inherited | variables, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    return done.returncode, done.stdout


def facts(python: str, where: Path, variables: dict[str, str]) -> dict[str, Any]:
    """What a Python says of itself in an environment."""
    status, said = run([python, "-c", FACTS], where, variables)
    if status:
        raise SystemExit(said)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def interpreter(environment: Environment, scratch: Path) -> str | None:
    """The Python that runs an environment's tests: this one, or that of a virtual environment of its own."""
    (scratch / "first").mkdir()
    (scratch / "first" / "sitecustomize.py").write_text(environment.first)
    if environment.beside:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(scratch / "first")]
        return None if subprocess.run([*pip, *environment.beside]).returncode else sys.executable
    if not (environment.packages or environment.python or environment.wheel):
        return sys.executable
    base = found(environment.python) if environment.python else sys.executable
    if base is None:
        return None
    subprocess.run([base, "-m", "venv", str(scratch / "venv")], check=True)
    python = str(scratch / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    product = [f"{ROOT}[all]"] if environment.wheel else ["-e", f"{ROOT}[all]"]
    installed = subprocess.run([python, "-m", "pip", "install", "--quiet", *product, *environment.packages])
    return None if installed.returncode else python


def found(name: str) -> str | None:
    """Where a Python of this name is: on the path, or one of pyenv's; one that starts."""
    shown = [shutil.which(name), *Path.home().glob(f".pyenv/versions/*/bin/{name}")]
    return next(
        (str(p) for p in shown if p and not subprocess.run([p, "-c", ""], capture_output=True).returncode), None
    )


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (Row(*HEAD), Row(*["---"] * len(HEAD)), *rows)]
    return TITLE + "\n".join(lines) + "\n"


def read(text: str) -> dict[str, Row]:
    """The rows of a table, by name."""
    rows = [Row(*line[2:-2].split(" | ")) for line in text.splitlines() if line.startswith("| ")]
    return {row.name: row for row in rows[2:]}


def claim(rows: list[Row]) -> str:
    """The versions that these environments had, as README tells them."""
    parts = []
    for title, column in (("Python", "python"), ("NumPy", "numpy"), ("Numba", "numba")):
        versions = sorted({str(getattr(row, column)) for row in rows} - {"none"}, key=_by_number)
        parts.append(f"{title} {', '.join(versions)}")
    return "; ".join(parts)


def _by_number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


if __name__ == "__main__":
    sys.exit(main())
