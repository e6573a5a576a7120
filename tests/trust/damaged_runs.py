"""Folders of runs that are damaged, or that somebody made up: every command answers in a sentence.

`damages(folder)` yields, by name, what makes one of a whole run's folder. What a command may answer: its numbers, or
one sentence and status 2; never a traceback, and no character that a terminal would obey.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.cli import main
from tinymeta.io.save import contents, save

Damage = Callable[[Path], None]
Commands = Callable[[Path], list[tuple[str, ...]]]

FILES = ("config.json", "metrics.jsonl", "checkpoint.npz", "result.json")
# A value of JSON that is not what was there, as text: some are none of strict JSON, some end lesser parsers.
VALUES = {
    "null": "null",
    "a list": "[1, [2]]",
    "a mapping": '{"a": {}}',
    "yes": "true",
    "a negative number": "-3",
    "half a number": "0.5",
    "a large number": "1" + "0" * 30,
    "a larger number": "1" + "0" * 5000,
    "an infinite number": "1e999",
    "no number": "NaN",
    "red": '"\\u001b[31mred\\u0007"',
    "turned around": '"\\u202eabc"',
    "half of a character": '"\\ud800"',
    "another place": '"../../../etc/passwd"',
    "a zero byte": '"a\\u0000b"',
    "nothing": '""',
    "much": '"' + "x" * 100_000 + '"',
}
CONTENTS = {
    "empty": b"",
    "zeros": bytes(1000),
    "no text": bytes(range(256)) * 9,
    "deep": b"[" * 100_000,
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "a mapping": b"{}",
    "a mapping twice": b'{"seed": 0, "seed": 1}\n{"seed": 0}\n',
    "a mark first": b"\xef\xbb\xbf{}",
    "red": b'"\x1b[31m"\n',
    "half a zip": b"PK\x03\x04" + bytes(60),
}
WHOLE = ("seconds", "stage", "iteration", "loss")


def damages(folder: Path) -> dict[str, Damage]:
    """What can be done to a copy of `folder`, by name."""
    found: dict[str, Damage] = {}
    for file in filter(lambda file: (folder / file).exists(), FILES):
        for name, content in CONTENTS.items():
            found[f"{file} is {name}"] = partial(_write, file, content)
        for part in (1, 2, 3):
            found[f"{file} is cut at {part}/4"] = partial(_cut, file, part)
        found |= {f"{file} is {name}": partial(change, file) for name, change in PLACES.items()}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key in config:
        for name, value in VALUES.items():
            found[f"config.json, {key}: {name}"] = partial(_json, (key,), value)
        found[f"config.json lacks {key}"] = partial(_json, (key,), None)
    for key in config["config"]:
        for name, value in VALUES.items():
            found[f"config.json, config, {key}: {name}"] = partial(_json, ("config", key), value)
    for key in WHOLE if (folder / "metrics.jsonl").exists() else ():
        for name, value in VALUES.items():
            found[f"metrics.jsonl, {key}: {name}"] = partial(_line, key, value)
    return found | {f"checkpoint.npz {name}": change for name, change in CHECKPOINTS.items()}


def answered(folder: Path, arguments: tuple[str, ...]) -> str:
    """What is wrong with what a command answers, or an empty string."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("default")
        try:
            status = main([*arguments])
        except Exception as error:
            return f"{type(error).__name__}: {error!s:.100}"
    said = out.getvalue() + err.getvalue()
    if bad := {c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"}:
        return f"a terminal would obey {bad}"
    if status not in (0, 2) or (status == 2 and err.getvalue().count("\n") != 1):
        return f"status {status}, said {err.getvalue()!r:.200}"
    return "" if len(said) < 20_000 else "it says too much"


def tried(folder: Path, names: list[str], commands: Commands, work: Path) -> Iterator[str]:
    """For every damage of `folder` by name and every command, what is wrong with the answer, or an empty string."""
    possible = damages(folder)
    for name in names:
        for k in range(len(commands(folder))):
            copy = Path(shutil.copytree(folder, work / "run"))
            possible[name](copy)
            wrong = answered(copy, commands(copy)[k])
            yield f"{name}: {' '.join(commands(copy)[k][:2])}: {wrong}" if wrong else ""
            for path in (copy, *copy.iterdir()) if copy.exists() else ():
                if not path.is_symlink():
                    path.chmod(0o700)
            shutil.rmtree(copy, ignore_errors=True)


def of_sine(run: Path) -> list[tuple[str, ...]]:
    return [
        ("eval", str(run), "--quiet"),
        ("run", "sine", "--out", str(run), "--resume", "--quiet"),
        ("runs", "--compare", str(run), str(run)),
        ("runs", "--clean", "--yes", str(run)),
    ]


def of_images(support: Path, query: Path, run: Path) -> list[tuple[str, ...]]:
    """`support` has a folder of pictures per class, and `query` is one picture."""
    return [
        ("classify", str(run), "--support", str(support), "--query", str(query)),
        ("eval", str(run), "--quiet"),
        ("run", "images", "--out", str(run), "--resume", "--iterations", "9", "--data", str(support), "--quiet"),
    ]


def _write(file: str, content: bytes, run: Path) -> None:
    (run / file).write_bytes(content)


def _cut(file: str, part: int, run: Path) -> None:
    content = (run / file).read_bytes()
    (run / file).write_bytes(content[: len(content) * part // 4])


def _json(keys: tuple[str, ...], value: str | None, run: Path) -> None:
    """Put the text of a value at a key of config.json, or take the key away."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    holder: Any = config
    for key in keys[:-1]:
        holder = holder[key]
    del holder[keys[-1]]
    if value is not None:
        holder[keys[-1]] = "VALUE"
    (run / "config.json").write_text(json.dumps(config).replace('"VALUE"', value or ""), encoding="utf-8")


def _line(key: str, value: str, run: Path) -> None:
    first, *rest = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    line = json.dumps({**json.loads(first), key: "VALUE"}).replace('"VALUE"', value)
    (run / "metrics.jsonl").write_text("\n".join([line, *rest, ""]), encoding="utf-8")


def _folder(file: str, run: Path) -> None:
    (run / file).unlink()
    (run / file).mkdir()


def _link(file: str, run: Path) -> None:
    (run / file).rename(run.with_name("elsewhere"))
    (run / file).symlink_to(run.with_name("elsewhere"))


def _pipe(file: str, run: Path) -> None:
    (run / file).unlink()
    os.mkfifo(run / file)


def _endless(file: str, run: Path) -> None:
    with open(run / file, "wb") as stream:
        stream.truncate(1 << 40)


def _gone(file: str, run: Path) -> None:
    (run / file).unlink()


PLACES: dict[str, Callable[[str, Path], None]] = {"gone": _gone, "a folder": _folder, "endless": _endless}
if os.name == "posix":
    PLACES |= {"a link": _link, "a pipe": _pipe}


def _held(change: Callable[[dict[str, Any]], None], run: Path) -> None:
    """Change the arrays of a checkpoint."""
    arrays, texts = contents(run / "checkpoint.npz")
    change(arrays)
    save(run / "checkpoint.npz", arrays, texts)


def _pickled(run: Path) -> None:
    np.savez(run / "checkpoint.npz", iteration=np.array([{"an": "object"}], dtype=object))


def _rezipped(run: Path, packing: int = zipfile.ZIP_STORED, bits: int = 0, extra: str = "", size: int = 0) -> None:
    """The same arrays in another zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(run / "checkpoint.npz") as old, zipfile.ZipFile(content, "w", packing) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        if extra:
            new.writestr(extra, bytes(size) or old.read("iteration.npy"))
    raw = bytearray(content.getvalue())
    at = raw.find(b"PK\x01\x02")
    while at >= 0:
        raw[at + 8] |= bits
        at = raw.find(b"PK\x01\x02", at + 1)
    (run / "checkpoint.npz").write_bytes(raw)


def _first_nan(arrays: dict[str, Any]) -> None:
    name = next(name for name in arrays if name.startswith("phi"))
    arrays[name] = arrays[name] * np.float32(np.nan)


def _claiming(run: Path) -> None:
    """A zip whose first array says that it has 8 GB."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 30,)})
    with zipfile.ZipFile(run / "checkpoint.npz", "w") as archive:
        archive.writestr("iteration.npy", head.getvalue())


CHECKPOINTS: dict[str, Damage] = {
    "holds a pickle": _pickled,
    "is encrypted": partial(_rezipped, bits=1),
    "is packed by bzip2": partial(_rezipped, packing=zipfile.ZIP_BZIP2),
    "is packed by lzma": partial(_rezipped, packing=zipfile.ZIP_LZMA),
    "has another leaf": partial(_rezipped, extra="phi.\x1b[31mred.npy"),
    "has a leaf twice": partial(_rezipped, extra="iteration.npy"),
    "has a path": partial(_rezipped, extra="../../etc/passwd.npy"),
    "has a megabyte of zeros": partial(_rezipped, extra="zeros.npy", size=1 << 20, packing=zipfile.ZIP_DEFLATED),
    "says 8 GB": _claiming,
    "has gone -1 iterations": partial(_held, lambda held: held.update(iteration=np.int64(-1))),
    "has gone far": partial(_held, lambda held: held.update(iteration=np.int64(2**62))),
    "counts by halves": partial(_held, lambda held: held.update(iteration=np.float64(0.5))),
    "is NaN": partial(_held, _first_nan),
    "lacks a leaf": partial(_held, lambda held: held.pop(max(held))),
    "is of another shape": partial(_held, lambda held: held.update({max(held): np.zeros((3, 1, 2))})),
}
