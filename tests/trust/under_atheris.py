"""One kind of file under atheris, in a process of its own, which it ends: see `fuzzing.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tinymeta.io", "tinymeta.tasks", "tinymeta.recipes"]):
    from tests.trust.foreign_files import tried, whole

if __name__ == "__main__":
    kind, runs, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    (folder / "corpus").mkdir()
    (folder / "corpus" / "whole").write_bytes(whole(kind))
    options = [f"-runs={runs}", f"-seed={seed + 1}", f"-artifact_prefix={folder}/", "-timeout=30", "-rss_limit_mb=2048"]

    def one(content: bytes) -> None:
        tried(kind, content, folder)

    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], one)
    atheris.Fuzz()
