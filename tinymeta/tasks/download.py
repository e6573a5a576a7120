"""A file from its public home: over https, whole and as it was published, or not at all.

What has come stays beside the place until all of it is there, so that a broken connection, a stop or another day goes
on where it ended. Then its sum is compared, and it is renamed.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from tinymeta.io.files import longer, read
from tinymeta.tasks.data import DataError

TRIES = 5
PIECE = 1 << 16
LARGEST = 1 << 26  # bytes; more are no file that we know
HERE = ("127.0.0.1", "localhost", "::1")  # where nobody listens in between


def fetch(url: str, path: Path, md5: str, *, timeout: float = 30.0) -> None:
    """Put what `url` names at `path`, going on with what an earlier try left beside it.

    Raises: DataError for another address than https, if nothing can be fetched in some tries, each of which waits
    `timeout` seconds for the next piece, or if it is not the file of this md5 sum; nothing of that is kept.
    """
    part = path.with_name(f"{path.name}.part")
    before = _size(part)
    last: Exception | None = None
    for _ in range(TRIES):
        try:
            if _more(url, part, timeout):
                break
        except (OSError, http.client.HTTPException) as fault:
            last = fault
    else:
        raise DataError(
            f"{url} could not be fetched ({last or 'it ended too early'}): try again, or download it with a browser, "
            f"there or on another machine, and copy it to {path}"
        )
    if _md5(part) == md5:
        os.replace(part, path)
        return
    part.unlink()
    if before:  # it may have been the beginning of something else
        fetch(url, path, md5, timeout=timeout)
        return
    raise DataError(f"{url} is not the official archive, whose md5 is {md5}: nothing was kept.")


def _more(url: str, part: Path, timeout: float) -> bool:
    """Add to `part` what is missing of it; whether that was all."""
    done = _size(part)
    _check(url)
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        reply: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
    except HTTPError as refused:
        if refused.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return True  # nothing is missing; the sum will tell
        raise
    with reply:
        if done and not reply.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            part.unlink()  # it begins from the beginning
            done = 0
        announced = reply.headers.get("Content-Length", "")
        with longer(part) as stream:
            come = 0
            while piece := _piece(reply):
                come += len(piece)
                if done + come > LARGEST:
                    stream.truncate(0)
                    raise DataError(f"{url} goes on after {LARGEST} bytes, which the official archive doesn't")
                stream.write(piece)
        return not announced.isdecimal() or come == int(announced)


def _piece(reply: http.client.HTTPResponse) -> bytes:
    """The next bytes of a reply; what breaks off is the network's, and no fault of the file that they go to."""
    try:
        return reply.read(PIECE)
    except OSError as fault:
        raise http.client.HTTPException(str(fault)) from fault


class _Guarded(urllib.request.HTTPRedirectHandler):
    """Follows nobody to an address that can be listened to or changed on the way."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str) -> None:
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in HERE):
        raise DataError(f"{url} is no https address: what comes from it could be changed on the way")


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Guarded())


def _size(part: Path) -> int:
    return part.stat(follow_symlinks=False).st_size if os.path.lexists(part) else 0


def _md5(path: Path) -> str:
    return hashlib.md5(read(path, LARGEST), usedforsecurity=False).hexdigest()
