"""Compiled loops on disk: a file for each loop and its types, whole, and compared before anything believes it.

Numba's own cache unpickles what it finds, in any folder that holds the sources, and hands it to LLVM, which ends the
process over a damaged byte. Here a file begins with the sum of the rest: one that is cut short or changed is compiled
anew. The sum keeps out damage, not malice, for a file is a pickle: so the folder belongs to the user and nobody else
may write to it (mode 0700), or nothing is cached.
"""

import hashlib
import os
import pickle
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Cache", "folder"]

_DIGEST = hashlib.sha256().digest_size


def folder() -> Path | None:
    """Where compiled loops are kept, in NUMBA_CACHE_DIR or the user's cache folder; None if there is no safe place."""
    named = import_module("numba").config.CACHE_DIR or os.environ.get("XDG_CACHE_HOME")
    try:
        path = (Path(named) if named else Path.home() / ".cache") / "tinymeta-kernels"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat(follow_symlinks=False)
        if sys.platform != "win32":  # where the user's folders are the user's
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                return None
            if found.st_mode & 0o077:
                path.chmod(0o700)
    except (OSError, RuntimeError):  # no home, a full disk, a file in its place
        return None
    return path


@cache
def _sources() -> bytes:
    """The sum of all loops' sources: one may be made of another's."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()


class Cache:
    """What Numba's dispatcher asks before it compiles a loop, and tells afterwards."""

    def __init__(self, path: Path, loop: Callable[..., None]) -> None:
        self.cache_path, self._loop = str(path), loop

    def load_overload(self, sig: object, target_context: Any) -> object:
        """The compiled loop for a signature, or None if there is none that is whole."""
        target_context.refresh()
        try:
            content = self._file(sig, target_context.codegen()).read_bytes()
            digest, payload = content[:_DIGEST], content[_DIGEST:]
            if hashlib.sha256(payload).digest() != digest:
                return None
            return import_module("numba.core.compiler").CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # what can't be read, or another version wrote: compiling is always right
            return None

    def save_overload(self, sig: object, compiled: Any) -> None:
        """Keep a compiled loop, whole or not at all; where that can't be, it is compiled again another time."""
        if compiled.library.has_dynamic_globals:  # it holds addresses of this process
            return
        payload = import_module("numba.core.serialize").dumps(compiled._reduce())
        beside = Path(self.cache_path) / f".{secrets.token_hex(8)}.part"
        with suppress(OSError):
            try:
                with open(beside, "xb") as stream:
                    stream.write(hashlib.sha256(payload).digest() + payload)
                os.replace(beside, self._file(sig, compiled.library.codegen))
            finally:
                beside.unlink(missing_ok=True)

    def _file(self, sig: object, codegen: Any) -> Path:
        """By everything that decides the machine code: source, types, processor, versions."""
        code = self._loop.__code__
        versions = (sys.version, import_module("numba").__version__)
        decides = (code.co_qualname, code.co_firstlineno, repr(sig), repr(codegen.magic_tuple()), versions)
        source = Path(code.co_filename).read_bytes()
        name = hashlib.sha256(repr(decides).encode() + source + _sources()).hexdigest()
        return Path(self.cache_path) / f"{self._loop.__name__}-{name[:32]}"

    def enable(self) -> None:
        """Numba's switch, which nobody uses here."""

    disable = flush = enable
