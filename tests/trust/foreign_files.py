"""Files of every kind that a user may be given, and who reads them: whatever the bytes, numbers or one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.journal import Journal
from tinymeta.io.save import contents, save
from tinymeta.recipes.run import recorded
from tinymeta.tasks import load_languages
from tinymeta.tasks.folder import picture


class Kind(NamedTuple):
    """A kind of file: its name, what a whole one holds, and its reader."""

    file: str
    whole: Callable[[], bytes]
    read: Callable[[Path], object]


def _model(suffix: str) -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"m{suffix}"
        save(path, {"w": np.ones((2, 3), np.float32), "b": [np.zeros(2), np.int64(1)]}, {"a": "b"})
        return path.read_bytes()


def _picture(format: str) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.frombytes("L", (16, 16), np.random.default_rng(0).bytes(256)).save(stream, format)
    return stream.getvalue()


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("latin.txt", "omnes homines liberi " * 3)
        archive.writestr("b/french.txt", "égaux en dignité " * 3, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _config() -> bytes:
    run = {"recipe": "sine", "seed": 0, "data": None, "config": {"shots": 5, "inner_lr": 0.01}}
    return json.dumps(run, indent=1).encode()


def _journal() -> bytes:
    lines = [{"stage": "MAML", "iteration": k, "seconds": 0.5 * k, "loss": 1 / k} for k in (1, 2, 3)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


KINDS = {
    "npz": Kind("m.npz", lambda: _model(".npz"), contents),
    "safetensors": Kind("m.safetensors", lambda: _model(".safetensors"), contents),
    "png": Kind("p.png", lambda: _picture("PNG"), lambda path: picture(path, 8)),
    "jpeg": Kind("p.jpg", lambda: _picture("JPEG"), lambda path: picture(path, 8, "colour")),
    "archive": Kind("texts.zip", _archive, load_languages),
    "config": Kind("config.json", _config, lambda path: recorded(path.parent)),
    "journal": Kind("metrics.jsonl", _journal, lambda path: Journal(path).lines()),
}


@cache
def whole(kind: str) -> bytes:
    return KINDS[kind].whole()


def tried(kind: str, content: bytes, folder: Path) -> bool:
    """Have a file of these bytes read; whether it was taken. Refused in any other way than by UserError, it raises."""
    path = folder / KINDS[kind].file
    path.write_bytes(content)
    try:
        KINDS[kind].read(path)
    except UserError as refused:
        assert "\n" not in str(refused), refused
        return False
    return True
