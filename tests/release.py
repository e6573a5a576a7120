"""`python -m tests.release`: build the wheel and the sdist, look into them, and run what is installed from each.

`python -m tests.release --version 0.3.0` writes a version wherever it stands, and the date of today where that does.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
# Where the version stands: the pattern's one group is replaced, and it is found once.
PLACES = {
    "pyproject.toml": rf'(?m)^version = "({VERSION})"$',
    "tinymeta/__init__.py": rf'(?m)^__version__ = "({VERSION})"$',
    "CITATION.cff": rf"(?m)^version: ({VERSION})$",
    "CHANGELOG.md": rf"(?m)^## \[({VERSION})\] - unreleased$",
}
DATES = {
    "CITATION.cff": r"(?m)^date-released: (\d{4}-\d\d-\d\d)$",
    "CHANGELOG.md": rf"(?m)^## \[{VERSION}\] - (unreleased)$",
}
NEEDED = ("tinymeta/__init__.py", "tinymeta/py.typed", "tinymeta/view/page.js", "tinymeta_kernels/conv.py")
NEEDED += ("tinymeta/lessons/01_a_derivative_by_hand.py",)
# One sentence of the README that needs no extra: the second derivative, by a kernel and by a compiled function.
PROGRAM = """
import numpy as np, tinymeta as tm
assert float(tm.grad(tm.grad(lambda x: x * x * x))(2.0)) == 12.0
x = np.ones((2, 3, 5, 5), np.float32)
f = lambda x: tm.nn.conv2d(x, np.ones((4, 3, 3, 3), np.float32)).sum()
assert float(f(x)) == float(tm.compile(f)(x)) == 2 * 4 * 9 * 27
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("--version", help="the version to write, such as 0.3.0; builds nothing")
    parser.add_argument("--out", type=Path, help="keep the wheel and the sdist here (in no folder, if left out)")
    given = parser.parse_args()
    if given.version:
        for path, text in released(_texts(), given.version, datetime.date.today().isoformat()).items():
            (ROOT / path).write_text(text, encoding="utf-8")
            print(f"{path}: {given.version}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), given.out or Path(folder) / "dist")
    print("built, looked into, installed and run")
    return 0


def released(texts: Mapping[str, str], version: str, date: str) -> dict[str, str]:
    """The files with another version and date; the changelog's heading of what is unreleased becomes its own."""
    if not re.fullmatch(VERSION, version):
        raise SystemExit(f"a version is three numbers, such as 0.3.0 or 0.3.0rc1, not {version}")
    new = dict(texts)
    for places, value in ((DATES, date), (PLACES, version)):
        for path, pattern in places.items():
            pattern = pattern.replace("unreleased", date) if places is PLACES else pattern
            new[path] = _replaced(path, new[path], pattern, value)
    return new


def _replaced(path: str, text: str, pattern: str, value: str) -> str:
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise SystemExit(f"{path} holds {len(found)} lines like {pattern}, and one is expected")
    return text[: found[0].start(1)] + value + text[found[0].end(1) :]


def _texts() -> dict[str, str]:
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in PLACES}


def check(work: Path, out: Path) -> None:
    """Build in a fresh environment what pip would, look into it, and run it in others without extras."""
    tools = environment(work / "tools", "build", "twine")
    run(tools, "-m", "build", "--outdir", str(out), str(ROOT))
    (wheel,), (sdist,) = sorted(out.glob("*.whl")), sorted(out.glob("*.tar.gz"))
    run(tools, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    with zipfile.ZipFile(wheel) as built, tarfile.open(sdist) as packed:
        faults = [*wheel_faults(built.namelist()), *sdist_faults(packed.getnames())]
    if faults:
        raise SystemExit("\n".join(faults))
    for name, file in (("wheel", wheel), ("sdist", sdist)):
        python = environment(work / name, str(file))
        run(python, "-c", PROGRAM, cwd=work)
        run(python, "-m", "tinymeta", "--help", cwd=work)
        run(python, "-m", "tinymeta", "learn", "1", "--no-input", cwd=work)
        run(python, "-m", "tinymeta", "--iterations", "20", "--quiet", "--out", str(work / f"{name}-run"), cwd=work)
        if not (work / f"{name}-run" / "result.json").is_file():
            raise SystemExit(f"the main job of the installed {name} wrote no result.json")


def wheel_faults(names: Iterable[str]) -> Iterator[str]:
    """What a wheel must hold, and what it must not."""
    held = set(names)
    yield from (f"the wheel lacks {name}" for name in NEEDED if name not in held)
    if not any(name.endswith("licenses/LICENSE") for name in held):
        yield "the wheel lacks the licence"
    roots = {name.split("/")[0] for name in held if ".dist-info/" not in name}
    yield from (f"the wheel holds {name}" for name in sorted(roots - {"tinymeta", "tinymeta_kernels"}))
    yield from (f"the wheel holds {name}" for name in sorted(held) if "/tests/" in name or "__pycache__" in name)


def sdist_faults(names: Iterable[str]) -> Iterator[str]:
    """An sdist holds what is built and what tests it."""
    held = {name.partition("/")[2] for name in names}
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py", "tutorials/compile.md"):
        if name not in held:
            yield f"the sdist lacks {name}"
    yield from (f"the sdist holds {name}" for name in sorted(held) if "__pycache__" in name or name.startswith("runs/"))


def environment(folder: Path, *packages: str) -> Path:
    """A fresh environment with some packages; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return python


def run(python: Path, *arguments: str, cwd: Path = ROOT) -> None:
    """Run Python away from this checkout, which it would import otherwise."""
    print(
        f"+ {python.parent.parent.name}: python {' '.join(a.strip().partition(chr(10))[0] for a in arguments)}",
        flush=True,
    )
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    quiet = subprocess.DEVNULL if "--help" in arguments else None
    if status := subprocess.run([str(python), *arguments], cwd=cwd, env=outside, stdout=quiet).returncode:
        raise SystemExit(f"that ended with status {status}")


if __name__ == "__main__":
    sys.exit(main())
