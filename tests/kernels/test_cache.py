"""Compiled loops on disk: nobody else's, never half of one, and a damaged one is compiled anew."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import _cache, _jit

numba = pytest.importorskip("numba")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder, of this test alone."""
    monkeypatch.setattr(_jit, "_interpret", False)  # who switched the compiler off has this one
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path / "tinymeta-kernels"


def doubled(dtype: Any = np.float64) -> tuple[float, int]:
    """What a fresh kernel computes, and how often it was loaded instead of compiled."""

    def double(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = 2 * x[i]

    kernel, out = _jit.Kernel(double), np.empty(3, dtype)
    kernel(np.ones(3, dtype), out)
    (entry,) = kernel.entries.values()
    return float(out.sum()), sum(entry.stats.cache_hits.values())  # type: ignore[attr-defined]


def test_a_loop_is_compiled_once_for_each_dtype_and_then_loaded(kept: Path) -> None:
    assert [doubled(), doubled(np.float32), doubled(), doubled(np.float32)] == [(6, 0), (6, 0), (6, 1), (6, 1)]
    assert len(list(kept.iterdir())) == 2


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def foreign(content: bytes) -> bytes:
    """Whole by its sum, and no compiled loop."""
    payload = pickle.dumps(("another", "version"))
    return _cache.hashlib.sha256(payload).digest() + payload


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": cut,
    "cut to its sum": lambda content: content[:32],
    "changed": changed,
    "zeros": lambda content: bytes(len(content)),
    "foreign": foreign,
    "longer": lambda content: content + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_anew_and_written_whole(kept: Path, damage: str) -> None:
    doubled()
    (file,) = kept.iterdir()
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert [doubled(), doubled()] == [(6, 0), (6, 1)]


def test_a_folder_in_place_of_a_file_is_no_cache(kept: Path) -> None:
    doubled()
    (file,) = kept.iterdir()
    file.unlink()
    file.mkdir()
    assert doubled() == (6, 0)


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's folders by other means")
def test_only_the_user_may_write_where_compiled_loops_are(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doubled()
    assert kept.stat().st_mode & 0o777 == 0o700
    kept.chmod(0o777)
    assert _cache.folder() == kept and kept.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: kept.stat().st_uid + 1)
    assert _cache.folder() is None
    assert doubled() == (6, 0)


@pytest.mark.skipif(os.name != "posix", reason="links are made as POSIX systems do")
def test_a_link_is_no_folder_for_compiled_loops(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    kept.symlink_to(tmp_path / "elsewhere")
    assert _cache.folder() is None
    assert doubled() == (6, 0) and list((tmp_path / "elsewhere").iterdir()) == []


def test_without_a_folder_for_it_a_loop_is_compiled_each_time(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.write_text("a file")
    assert [doubled(), doubled()] == [(6, 0), (6, 0)]
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert _cache.folder() is None and doubled() == (6, 0)


def test_a_full_disk_leaves_no_half_of_a_file(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        assert doubled() == (6, 0)
    assert list(kept.iterdir()) == []
