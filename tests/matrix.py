"""The suite on other machines, imitated on this one: `python -m tests.matrix [--quick] [--whole] [NAME …]`.

Each environment runs the tests that can tell it from this machine (`--whole`: the suite). One that can't be made
here, such as another Python that isn't installed, is told as "not made": README claims no such thing. The table at
the end is what README quotes; the exit status is 1 if any environment failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.trust.stored import store

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ("tests/ops", "tests/kernels", "tests/engine/test_primitives.py", "tests/compile/test_machine_programs.py")
STEPS = ("tests/compile/test_every_dtype.py", "tests/compile/test_random_programs.py", "tests/optim", "tests/nn")
WORDS = ("tests/cli", "tests/view", "tests/test_readme.py", "tests/io")
INSTALLED = ("tests/cli", "tests/view")
SMALL = ("tests/engine", "tests/io", "tests/compile/test_compiled_functions.py", "tests/meta/test_fit.py")
NO_VECTORS = "SSE3 SSSE3 SSE41 POPCNT SSE42 AVX F16C FMA3 AVX2 " + (
    AVX512 := "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
)
# Runs before anything else of a test process: Numba can't be imported there.
WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"


@dataclass(frozen=True)
class Environment:
    """One machine to imitate: variables, other packages, or another way to start the tests."""

    why: str
    tests: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # a virtual environment of its own, with these versions
    python: str = ""  # another interpreter's name
    quick: bool = False


ENVIRONMENTS = {
    "old-processor": Environment(
        "no vector instructions beyond the baseline, Nehalem's BLAS, generic machine code",
        NUMBERS,
        {"NPY_DISABLE_CPU_FEATURES": NO_VECTORS, "OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "generic"},
        quick=True,
    ),
    "avx2-processor": Environment(
        "no AVX-512, Haswell's BLAS",
        NUMBERS,
        {"NPY_DISABLE_CPU_FEATURES": AVX512, "OPENBLAS_CORETYPE": "Haswell"},
        quick=True,
    ),
    "sandybridge-blas": Environment("another BLAS kernel", NUMBERS, {"OPENBLAS_CORETYPE": "Sandybridge"}),
    "one-thread": Environment(
        "one core",
        NUMBERS + STEPS,
        {"TINYMETA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    ),
    "interpreted": Environment("kernels as plain Python", SMALL, {"NUMBA_DISABLE_JIT": "1"}),
    "no-numba": Environment("Numba can't be imported", SMALL, {"PYTHONPATH": "{site}"}),
    "narrow-terminal": Environment("40 columns", WORDS, {"COLUMNS": "40"}),
    "c-locale": Environment(
        "no UTF-8", WORDS, {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "read-only-home": Environment("nothing can be written at home", SMALL, {"HOME": "/proc", "NUMBA_CACHE_DIR": ""}),
    "random-order": Environment(
        "no test leans on another",
        ("tests/engine", "tests/io", "tests/watch", "tests/compile/test_keys.py", "tests/meta"),
        options=("-p", "randomly"),
        packages=("pytest-randomly",),
        quick=True,
    ),
    "one-process": Environment("no test leans on the other process", SMALL, options=("-n", "0")),
    "wheel": Environment("installed, not a checkout", SMALL + INSTALLED, packages=("{wheel}",), quick=True),
    "oldest": Environment("the oldest versions allowed", NUMBERS + STEPS, packages=("numpy==2.0.*", "numba==0.61.*")),
    "numpy-2.2": Environment("NumPy between", NUMBERS, packages=("numpy==2.2.*",)),
    "newest": Environment("the newest versions there are", NUMBERS + STEPS, packages=("-U", "numpy", "numba")),
    "python-3.12": Environment("Python 3.12", SMALL, python="python3.12"),
    "python-3.13": Environment("Python 3.13", SMALL, python="python3.13"),
    "python-3.14": Environment("Python 3.14", SMALL, python="python3.14"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (all): {', '.join(ENVIRONMENTS)}")
    parser.add_argument("--quick", action="store_true", help="those that a commit has to pass")
    parser.add_argument("--whole", action="store_true", help="the whole suite in each")
    parser.add_argument("--keep", action="store_true", help="for the table of tests.trust")
    given = parser.parse_args()
    unknown = set(given.names) - set(ENVIRONMENTS)
    if unknown:
        parser.error(f"no environment is called {', '.join(sorted(unknown))}: there are {', '.join(ENVIRONMENTS)}")
    chosen = given.names or [name for name, each in ENVIRONMENTS.items() if each.quick or not given.quick]
    table = []
    for name in chosen:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            verdict = tried(ENVIRONMENTS[name], Path(scratch), given.whole)
        table.append((name, verdict, time.monotonic() - start))
        print(f"{name}: {verdict}", flush=True)
    print()
    for name, verdict, seconds in table:
        print(f"{name:18} {verdict:44} {seconds:6.0f} s   {ENVIRONMENTS[name].why}")
    made = [verdict for _, verdict, _ in table if not verdict.startswith("not made")]
    passed = sum(verdict.startswith("passed") for verdict in made)
    if given.keep:
        store("environments passed", passed, len(made), " ".join(["python -m tests.matrix", *sys.argv[1:]]))
    return int(passed < len(made))


def tried(environment: Environment, scratch: Path, whole: bool) -> str:
    """What came of one environment, in a few words."""
    python = interpreter(environment, scratch)
    if python is None:
        return "not made: no such Python, or no such versions for it"
    (scratch / "sitecustomize.py").write_text(WITHOUT_NUMBA)
    variables = {name: value.replace("{site}", str(scratch)) for name, value in environment.variables.items()}
    tests = ["tests"] if whole else environment.tests
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", *environment.options]
    where = ROOT
    if "{wheel}" in environment.packages:  # the package must come from where pip put it
        where = scratch
        shutil.copytree(ROOT / "tests", scratch / "tests")
        command += ["-c", os.devnull, "--rootdir", str(scratch), "--import-mode=importlib"]
    done = subprocess.run(
        [*command, *tests], cwd=where, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "no output")
    if done.returncode:
        print(done.stdout[-8000:])
        return f"FAILED: {last.strip('= ')}"
    return f"passed: {last.strip('= ')}"


def interpreter(environment: Environment, scratch: Path) -> str | None:
    """The Python that runs an environment's tests: this one, or that of a virtual environment of its own."""
    if not (environment.packages or environment.python):
        return sys.executable
    base = shutil.which(environment.python) if environment.python else sys.executable
    if base is None:
        return None
    subprocess.run([base, "-m", "venv", str(scratch / "venv")], check=True)
    python = str(scratch / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    wheel = "{wheel}" in environment.packages
    packages = [package for package in environment.packages if package != "{wheel}"]
    installed = [f"{ROOT}[all]"] if wheel else ["-e", f"{ROOT}[all]"]
    for wanted in (installed, packages):
        if wanted and subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted]).returncode:
            return None
    return python


if __name__ == "__main__":
    sys.exit(main())
