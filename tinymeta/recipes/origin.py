"""Of which code, and of which machine, a measurement is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import zlib
from pathlib import Path

from tinymeta_kernels import threads

from tinymeta import __version__
from tinymeta.view import lessons


def checkout() -> Path | None:
    """The git checkout that this package runs from, if it does."""
    root = lessons.folder().parent
    return root if (root / ".git").exists() and lessons.folder().name == "tutorials" else None


def commit() -> str:
    """The commit of the code that runs, with a + where product files differ from it; elsewhere the version."""
    root = checkout()
    git = ["git", "-C", str(root)]
    try:
        if root is None:
            raise OSError
        head, changed = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--", "tinymeta", "kernels"))
        )
    except (OSError, subprocess.CalledProcessError):
        return f"v{__version__}"
    return head + "+" * bool(changed)


def sources() -> int:
    """A digest of the product's files, which a commit with a + does not name."""
    root, digest = checkout() or Path(), 0
    for file in sorted(file for part in ("tinymeta", "kernels") for file in (root / part).rglob("*.py")):
        digest = zlib.crc32(file.read_bytes(), digest)
    return digest


def machine() -> str:
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    name = named[1].strip() if named else platform.processor() or platform.machine()
    return f"{name}, {threads.cores()} of {os.cpu_count()} cores"
