"""Data from its public home, or from a server that drops, cuts, lies, stalls or leads astray."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.conftest import tinymeta
from tests.recipes.toy_console import Command
from tinymeta.tasks import DataError, download, omniglot
from tinymeta.tasks.download import fetch

__all__ = ["tinymeta"]
CONTENT = bytes(range(256)) * 4000  # a megabyte
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT, each time in the next of some manners, the last of which stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Reply)
        self.manners = ["well"]
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/a.zip"


class Reply(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        manners, asked = self.server.manners, self.headers.get("Range", "")
        self.server.asked.append(asked)
        manner = manners.pop(0) if len(manners) > 1 else manners[0]
        begin = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
        if manner == "lost":
            self.send_error(404)
        elif manner == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.org/a.zip")
            self.end_headers()
        elif begin >= len(CONTENT) and manner == "well":
            self.send_error(416)
        else:
            self.begin(manner, 0 if manner == "deaf" else begin)

    def begin(self, manner: str, begin: int) -> None:
        body = CONTENT[begin:] if manner != "lying" else bytes(len(CONTENT) - begin)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if manner != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if manner in ("dropping", "stalling"):
            body = body[: len(body) // 2]
        while manner == "endless" and not self.server.over.is_set():
            self.wfile.write(body)
        self.wfile.write(body)
        if manner == "stalling":
            self.server.over.wait()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the other side left
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.over.set()
        found.shutdown()
        thread.join()


@pytest.mark.parametrize("manner", ["dropping", "stalling", "lost", "deaf"])
def test_what_does_not_come_at_once_comes_in_pieces(server: Server, tmp_path: Path, manner: str) -> None:
    server.manners = ["dropping", manner, manner, "well"]
    fetch(server.url, tmp_path / "a.zip", MD5, timeout=0.5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_another_day_goes_on_where_the_last_one_ended(server: Server, tmp_path: Path) -> None:
    server.manners = ["dropping", "lost"]
    with pytest.raises(DataError, match="could not be fetched .*404.* copy it to .*a.zip"):
        fetch(server.url, tmp_path / "a.zip", MD5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.part"]
    server.manners, server.asked = ["well"], []
    fetch(server.url, tmp_path / "a.zip", MD5)
    assert server.asked == [f"bytes={len(CONTENT) // 2}-"]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_all_of_it_beside_the_place_is_only_compared(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "a.zip", MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_the_beginning_of_something_else_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"something else")
    fetch(server.url, tmp_path / "a.zip", MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("manner", "sentence"),
    [
        ("lying", f"is not the official archive, whose md5 is {MD5}"),
        ("endless", "goes on after"),
        ("elsewhere", "http://example.org/a.zip is no https address"),
    ],
)
def test_what_is_no_official_file_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str, sentence: str
) -> None:
    monkeypatch.setattr(download, "LARGEST", 3 * len(CONTENT))
    server.manners = [manner]
    with pytest.raises(DataError, match=sentence):
        fetch(server.url, tmp_path / "a.zip", MD5)
    assert not any(path.stat().st_size for path in tmp_path.iterdir())
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("url", ["http://example.org/a.zip", "file:///etc/passwd", "ftp://example.org/a.zip", "a.zip"])
def test_other_addresses_than_https_are_not_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="is no https address"):
        fetch(url, tmp_path / "a.zip", MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_link_beside_the_place_is_not_written_through(server: Server, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a.zip.part").symlink_to(tmp_path / "victim")
    with pytest.raises(ValueError, match=r"a\.zip\.part"):
        fetch(server.url, tmp_path / "a.zip", MD5)
    assert (tmp_path / "victim").read_text() == "mine"


def test_the_official_source_is_asked_over_https() -> None:
    assert omniglot.OFFICIAL_SOURCE.startswith("https://")
    assert all(len(archive.md5) == 32 for archive in omniglot.ARCHIVES.values())


def test_the_command_fetches_each_archive_once_and_says_what_comes_next(
    server: Server, tmp_path: Path, tinymeta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = {name: archive._replace(md5=MD5) for name, archive in omniglot.ARCHIVES.items()}
    monkeypatch.setattr(omniglot, "ARCHIVES", archives)
    monkeypatch.setattr(omniglot.download_omniglot, "__defaults__", (("background",), server.url.rpartition("/")[0]))
    for _ in range(2):
        status, out, err = tinymeta("data", "omniglot", "--data", "here")
        assert (status, err) == (0, "") and out.endswith("next:     tinymeta run omniglot --data here\n")
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "images_background.zip",
        "images_evaluation.zip",
    ]
    assert len(server.asked) == 2


def test_without_a_network_the_sentence_says_where_to_put_the_file(
    server: Server, tinymeta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.manners = ["lost"]
    monkeypatch.setattr(omniglot.download_omniglot, "__defaults__", (("background",), server.url.rpartition("/")[0]))
    status, out, err = tinymeta("data", "omniglot")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "download it with a browser" in err and "copy it to data/images_background.zip" in err


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        (["dropping", "stalling", "deaf", "well"], ""),
        (["stalling"], "could not be fetched"),
        (["dropping"], "could not be fetched"),
        (["lying"], "is not the official archive"),
        (["endless"], "goes on after"),
        (["elsewhere"], "is no https address"),
    ],
)
def test_the_command_has_the_archives_or_one_sentence_and_none(
    server: Server, tinymeta: Command, monkeypatch: pytest.MonkeyPatch, manners: list[str], said: str
) -> None:
    archives = {name: archive._replace(md5=MD5) for name, archive in omniglot.ARCHIVES.items()}
    monkeypatch.setattr(omniglot, "ARCHIVES", archives)
    monkeypatch.setattr(omniglot.download_omniglot, "__defaults__", (("background",), server.url.rpartition("/")[0]))
    monkeypatch.setattr(download, "LARGEST", 3 * len(CONTENT))
    monkeypatch.setitem(fetch.__kwdefaults__, "timeout", 0.2)
    server.manners = manners
    status, out, err = tinymeta("data", "omniglot", "--data", "here")
    assert (status, err.count("\n"), "Traceback" in err) == (2 if said else 0, 1 if said else 0, False)
    assert said in err and bool(out) is not bool(said)
    assert [path.read_bytes() == CONTENT for path in Path("here").glob("*.zip")] == ([] if said else [True, True])
