"""Windows and macOS have not all that Linux has: what one of them lacks is asked for behind a guard.

The type checker knows what the standard library holds on each (`sys.platform`), so it is asked.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from mypy import api

from tests.architecture.sources import PRODUCT, Source, imports

# Modules of the standard library that are not the same everywhere, or are not everywhere.
UNLIKE = {
    "asyncio",
    "ctypes",
    "fcntl",
    "locale",
    "mmap",
    "msvcrt",
    "multiprocessing",
    "os",
    "pwd",
    "resource",
    "select",
}
UNLIKE |= {"shutil", "signal", "socket", "stat", "subprocess", "sys", "termios", "threading", "time", "winreg"}


def lacking(platform: str, files: list[Path]) -> list[str]:
    """What these files ask for, without a guard, that a platform doesn't have."""
    alone = ["--config-file=", "--follow-imports=skip", "--ignore-missing-imports", "--explicit-package-bases"]
    told = api.run(
        [*alone, "--check-untyped-defs", f"--cache-dir={os.devnull}", "--platform", platform, *map(str, files)]
    )[0]
    return [line for line in told.splitlines() if re.search(r"odule .*has no attribute|Cannot find|No library", line)]


def unlike(source: Source) -> bool:
    return any(name.split(".")[0] in UNLIKE for name, _ in imports(source))


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_what_a_platform_lacks_is_asked_for_behind_a_guard(platform: str) -> None:
    assert lacking(platform, [source.path for source in PRODUCT if unlike(source)]) == []


def test_a_call_that_windows_lacks_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, resource, signal, sys\nresource.getrusage(resource.RUSAGE_SELF)\nsignal.SIGHUP\n"
        "def f():\n    return os.getuid()\nif sys.platform != 'win32':\n    os.getuid()\n"
    )
    assert len(lacking("win32", [program])) == 4
    assert lacking("darwin", [program]) == []
