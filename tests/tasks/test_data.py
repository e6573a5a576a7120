"""Data folders, archives read in place, and the cache."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from tinymeta.tasks import DataError
from tinymeta.tasks.data import cached, data_folder, find_source, fingerprint, pillow, read_files, write_npz


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data" / "source.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b/two.TXT", "2" * 1000)
        archive.writestr("b/one.txt", "1")
        archive.writestr("__MACOSX/b/._one.txt", "junk")
        archive.writestr("b/.hidden.txt", "junk")
        archive.writestr("b/other.png", "junk")
    return path


class Counting:
    """A maker of arrays that counts how often it is asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"a": np.arange(3) * self.calls}


def test_the_named_folder_comes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYMETA_DATA", str(tmp_path / "missing"))
    assert data_folder(tmp_path) == tmp_path
    monkeypatch.setenv("TINYMETA_DATA", str(tmp_path))
    assert data_folder() == tmp_path


def test_no_folder_and_a_missing_folder_name_the_fix(tmp_path, monkeypatch):
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    with pytest.raises(DataError, match="pass --data DIR or set TINYMETA_DATA"):
        data_folder()
    with pytest.raises(DataError, match="missing does not exist"):
        data_folder(tmp_path / "missing")


@pytest.mark.parametrize("where", ["set", "set.zip", "python/set", "python/set.zip"])
def test_sources_are_found_in_the_folder_and_one_level_down(tmp_path, where):
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if path.suffix == "" else path.touch()
    assert find_source(tmp_path, "set") == path
    assert find_source(path, "set") == path
    assert find_source(tmp_path, "other") is None


def test_an_archive_and_its_unpacked_folder_read_the_same(source, tmp_path):
    zipfile.ZipFile(source).extractall(tmp_path / "unpacked")
    expected = [(PurePosixPath("b/one.txt"), b"1"), (PurePosixPath("b/two.TXT"), b"2" * 1000)]
    assert list(read_files(source, ".txt")) == expected
    assert list(read_files(tmp_path / "unpacked", ".txt")) == expected


@pytest.mark.parametrize("keep", [0, 50, 1050, -10])
def test_a_truncated_archive_is_one_clear_error(source, keep):
    source.write_bytes(source.read_bytes()[:keep])
    with pytest.raises(DataError, match="source.zip is not a whole zip archive"):
        list(read_files(source, ".txt"))


def test_a_damaged_archive_is_one_clear_error(source):
    content = bytearray(source.read_bytes())
    content[content.index(b"2" * 100)] ^= 1
    source.write_bytes(content)
    with pytest.raises(DataError, match="not a whole zip archive"):
        list(read_files(source, ".txt"))


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"needs Pillow: pip install 'tinymeta\[images\]'"):
        pillow()


def test_a_cache_is_made_once_beside_the_source(source):
    make = Counting()
    for _ in range(2):
        np.testing.assert_array_equal(cached(source, "made", "key", make)["a"], np.arange(3))
    assert make.calls == 1
    assert sorted(p.name for p in source.parent.iterdir()) == ["made.npz", "source.zip"]


def test_a_cache_of_another_key_is_made_anew(source):
    make = Counting()
    cached(source, "made", "key", make)
    np.testing.assert_array_equal(cached(source, "made", "other", make)["a"], 2 * np.arange(3))
    assert cached(source, "made", "other", make)["a"][1] == 2


@pytest.mark.parametrize("broken", [b"", b"no zip at all", None])
def test_a_broken_cache_warns_and_is_made_anew(source, broken):
    make = Counting()
    cached(source, "made", "key", make)
    cache = source.parent / "made.npz"
    cache.write_bytes(cache.read_bytes()[:-30] if broken is None else broken)
    with pytest.warns(UserWarning, match="made.npz is not a readable cache and is made anew"):
        cached(source, "made", "key", make)
    assert make.calls == 2
    cached(source, "made", "key", make)
    assert make.calls == 2


def test_a_foreign_npz_or_a_pickle_in_place_of_the_cache_is_never_loaded(source):
    make = Counting()
    cache = source.parent / "made.npz"
    np.savez(cache, other=np.arange(2))
    with pytest.warns(UserWarning, match="not a readable cache"):
        cached(source, "made", "key", make)
    np.savez(cache, key=np.array({"never": "unpickled"}, dtype=object))
    with pytest.warns(UserWarning, match="not a readable cache"):
        cached(source, "made", "key", make)
    assert make.calls == 2


def test_beside_a_read_only_source_the_cache_goes_to_the_users_folder(source, private_cache):
    make = Counting()
    source.parent.chmod(0o555)
    try:
        cached(source, "made", "key", make)
        cached(source, "made", "key", make)
        assert [p.name for p in source.parent.iterdir()] == ["source.zip"]
    finally:
        source.parent.chmod(0o755)
    assert (private_cache / "made.npz").exists() and make.calls == 1


def test_where_no_cache_can_be_kept_the_arrays_come_all_the_same(source, private_cache):
    source.parent.chmod(0o555)
    private_cache.parent.parent.joinpath("cache").write_text("a file, where a folder should be")
    try:
        with pytest.warns(UserWarning, match="decoded every time"):
            assert cached(source, "made", "key", Counting())["a"][2] == 2
    finally:
        source.parent.chmod(0o755)


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_npz(tmp_path / "x.npz", {"a": np.arange(3)})
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_changes_with_content_of_a_file_or_a_folder(source):
    for path in (source, source.parent):
        before = fingerprint(path)
        source.write_bytes(source.read_bytes() + b"x")
        assert fingerprint(path) != before
        before = fingerprint(path)
        os.utime(source, ns=(0, Path(source).stat().st_mtime_ns + 1))
        assert fingerprint(path) != before
