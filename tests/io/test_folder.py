"""A folder of a run has one writer, and nothing in it leads elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinymeta.engine.errors import UserError
from tinymeta.io import folder as folders
from tinymeta.io.files import append, read, settle, whole, write_text
from tinymeta.io.folder import check_plain, sole_writer

ROOT = Path(__file__).parents[2]
HOLD = "import sys, pathlib; from tinymeta.io.folder import sole_writer\n"
HOLD += "with sole_writer(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are made as POSIX systems do")


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of `folder` until its input ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], env=environment, text=True, **pipes)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_writer_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        told = f"is being written by process {first.pid} on {socket.gethostname()}: wait for it, or stop it"
        with pytest.raises(UserError, match=told), sole_writer(tmp_path):
            pass
        first.communicate("")
    with sole_writer(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        first.kill()
        first.communicate()
    assert os.listdir(tmp_path) == [folders.LOCK]
    with sole_writer(tmp_path):
        assert (tmp_path / folders.LOCK).read_text().startswith(f"{os.getpid()} on ")


def test_two_writers_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with sole_writer(tmp_path), pytest.raises(UserError, match="is being written"), sole_writer(tmp_path):
        pass


@posix
def test_a_lock_of_a_file_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first owner goes between our opening of its file and our locking it: we lock the file that is there then."""
    lock, tries = folders._lock, []

    def late(handle: int) -> None:
        if not tries:
            (tmp_path / folders.LOCK).unlink()
        tries.append(handle)
        lock(handle)

    monkeypatch.setattr(folders, "_lock", late)
    with sole_writer(tmp_path):
        assert len(tries) == 2 and (tmp_path / folders.LOCK).exists()


def test_what_a_killed_process_left_half_written_goes_and_nothing_else(tmp_path: Path) -> None:
    for name in (".0123456789abcdef.part", ".mine.part", "notes.part"):
        (tmp_path / name).write_text("half")
    with sole_writer(tmp_path):
        pass
    assert sorted(os.listdir(tmp_path)) == [".mine.part", "notes.part"]


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


HOSTILE: dict[str, Callable[[Path], None]] = {"a link": link, "a pipe": os.mkfifo} if os.name == "posix" else {}


@posix
@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "checkpoint.npz", folders.LOCK, "anything"])
def test_what_is_no_plain_file_is_refused_and_nothing_is_written_through_it(
    tmp_path: Path, what: str, name: str
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "run").mkdir()
    HOSTILE[what](tmp_path / "run" / name)
    with pytest.raises(UserError, match=f"{name} is {what}, and a run's folder holds plain files"):
        check_plain(tmp_path / "run")
    with pytest.raises(UserError), sole_writer(tmp_path / "run"):
        pass
    assert (tmp_path / "victim").read_text() == "mine"


@posix
def test_writing_replaces_a_link_and_leaves_what_it_led_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "model.npz").symlink_to(tmp_path / "victim")
    write_text(tmp_path / "model.npz", "new")
    assert (tmp_path / "victim").read_text() == "mine" and not (tmp_path / "model.npz").is_symlink()


@posix
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """`--html /dev/stdout` would take the system's own away, where the user may do that."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(UserError, match="is a pipe, and a file is written"), whole(path):
            pass
    assert pipe.is_fifo() and link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_file_in_the_making_has_a_name_that_nobody_foresees_and_must_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole(tmp_path / "a"), whole(tmp_path / "a"):
        names = os.listdir(tmp_path)
    assert len(names) == 2 and all(name.endswith(".part") and len(name) == 22 for name in names)
    monkeypatch.setattr("secrets.token_hex", lambda n: "00" * n)
    (tmp_path / ".0000000000000000.part").write_text("mine")
    with pytest.raises(UserError):
        write_text(tmp_path / "b", "new")
    assert (tmp_path / ".0000000000000000.part").read_text() == "mine"


@posix
@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("deed", [lambda path: append(path, "x"), settle], ids=["append", "settle"])
def test_nothing_is_added_to_a_link_or_a_pipe(tmp_path: Path, what: str, deed: Callable[[Path], None]) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "run").mkdir()
    HOSTILE[what](tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(UserError, match="metrics.jsonl"):
        deed(tmp_path / "run" / "metrics.jsonl")
    assert (tmp_path / "victim").read_text() == "mine"


@posix
def test_a_pipe_is_not_read_and_a_large_file_neither(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a pipe, and a file is wanted"):
        read(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a device"):
        read(Path("/dev/zero"))
    with open(tmp_path / "large", "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UserError, match="has 1099511627776 bytes, and at most"):
        read(tmp_path / "large")


def test_a_folder_without_write_bits_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(UserError, match="may not be written to"), sole_writer(tmp_path):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_lock_does_not_outlive_an_interrupt(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background begins without
    with pytest.raises(KeyboardInterrupt), sole_writer(tmp_path):
        signal.raise_signal(signal.SIGINT)
    assert os.listdir(tmp_path) == []
