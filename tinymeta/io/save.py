"""`save` and `load`: a tree of numbers as a file, and back. Nothing is ever pickled.

Two formats, chosen by the suffix of the path. `.npz` is NumPy's own: a zip of arrays, which `np.load`
opens. `.safetensors` is the format of the package of that name: the length of a JSON header (8 bytes,
little-endian), the header (for every array its dtype, shape and place), then the numbers. Arrays go
by the names that `tree.paths` gives them; the tree itself is not written, so that `load` needs one like it.
The number of the format stands among the metadata.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinymeta.engine import tree as trees
from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import bind
from tinymeta.engine.state import USER
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.io.files import FORMAT, check_format, whole

Arrays = dict[str, Array]
Texts = dict[str, str]

_METADATA = "__metadata__"
_FORMAT = "tinymeta_format"  # the text in the metadata that is not the user's
_DTYPES = {"BOOL": np.dtype(bool), "C64": np.dtype("<c8")} | {
    f"{letter}{8 * size}": np.dtype(f"<{kind}{size}")
    for letter, kind, sizes in (("U", "u", (1, 2, 4, 8)), ("I", "i", (1, 2, 4, 8)), ("F", "f", (2, 4, 8)))
    for size in sizes
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def save(path: str | os.PathLike[str], tree: Tree, metadata: Mapping[str, str] | None = None) -> None:
    """Write the leaves of `tree` to a `.npz` or `.safetensors` file, whole or not at all.

    Shapes: any leaves.
    Raises: UserError if the suffix is neither: `tm.save("model.pkl", [1.0])`, a leaf is no number, two leaves have one
    name, or the system refuses to write.

    Parameters
    ----------
    path
        Where to; its suffix chooses the format.
    tree
        Its leaves are Tensors, NumPy arrays and Python numbers.
    metadata
        Strings to keep beside the numbers; `tinymeta.io.save.metadata(path)` reads them back.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.save(f"{folder}/model.npz", {"w": np.array([1.0, 2.0])})
    ...     tm.load(f"{folder}/model.npz", like={"w": np.zeros(2)})["w"]
    array([1., 2.])
    """
    path = Path(path)
    write, _ = _format(path)
    arrays: Arrays = {}
    for name, leaf in zip(trees.paths(tree), trees.leaves(tree)):
        if name in arrays or name == _METADATA:
            raise UserError(f"two things in the tree would be called '{name}' in {path.name}: rename one of them")
        arrays[name] = _array(name, leaf)
    texts = {**(metadata or {}), _FORMAT: str(FORMAT)}
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):
        raise UserError(f"metadata holds strings by name, not {texts!r}: convert its values with str() or json.dumps()")
    with whole(path) as file:
        write(file, arrays, texts)


def load(path: str | os.PathLike[str], like: X, within: str = "") -> X:
    """The tree that `save` wrote: the structure of `like`, and its kinds of leaf, with the numbers of the file.

    Shapes: those of `like`, and its dtypes.
    Raises: UserError if the file is missing, damaged or cut short, or is no such file: `tm.load("no.npz", [1.0])`, and
    if it holds other leaves than `like`, or a leaf has another shape or dtype. The message names the leaf.

    Parameters
    ----------
    path
        Where from; its suffix tells the format.
    like
        A tree of the structure, shapes and dtypes wanted.
    within
        Load only the part of the saved tree under this name, such as `"phi"` of `{"phi": …, "state": …}`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.save(f"{folder}/run.npz", {"phi": {"b": 3.0}, "state": 0})
    ...     tm.load(f"{folder}/run.npz", {"b": 0.0}, within="phi")
    {'b': 3.0}
    """
    path = Path(path)
    arrays, _ = contents(path)
    if within:
        kept = {name: a for name, a in arrays.items() if name == within or name.startswith(f"{within}.")}
        arrays = {name[len(within) + 1 :]: a for name, a in kept.items()}
    leaves, structure = trees.flatten(like)
    names = trees.paths(like)
    for wrong, what in ((set(names) - set(arrays), "lacks"), (set(arrays) - set(names), "holds")):
        if wrong:
            raise UserError(
                f"{path} {what} the leaf '{min(wrong)}', so it was saved from another structure than the one to "
                f"load into ({len(arrays)} leaves in the file, {len(names)} wanted)"
            )
    return trees.unflatten(structure, [_leaf(path, name, arrays[name], x) for name, x in zip(names, leaves)])  # type: ignore[no-any-return]


def metadata(path: str | os.PathLike[str]) -> Texts:
    """The strings that were saved beside the numbers; empty if there were none."""
    return contents(Path(path))[1]


def _array(name: str, leaf: object) -> Array:
    array = bind(stop_gradient, leaf).numpy() if isinstance(leaf, Tensor) else np.asarray(leaf)
    if array.dtype.kind not in "fciub":
        raise UserError(f"the leaf '{name}' is {leaf!r:.60}, and a model file holds numbers: leave it out of the tree")
    return array


def _leaf(path: Path, name: str, array: Array, like: Any) -> Any:
    """`array` as the kind of leaf that `like` is, if the two agree."""
    wanted = _array(name, like)
    for what, found, expected in (("shape", array.shape, wanted.shape), ("dtype", array.dtype, wanted.dtype)):
        if found != expected:
            raise UserError(f"the leaf '{name}' of {path} has {what} {found} and {expected} is wanted: another model?")
    if isinstance(like, Tensor):
        return Tensor(array, tracked=like.tracked & USER)
    return array if isinstance(like, np.ndarray) else type(like)(array[()])


def _format(path: Path) -> tuple[Any, Any]:
    try:
        return {".npz": (_write_npz, _read_npz), ".safetensors": (_write_safetensors, _read_safetensors)}[path.suffix]
    except KeyError:
        raise UserError(f"a model file ends in .npz or .safetensors, and {path} in neither: rename it") from None


def contents(path: Path) -> tuple[Arrays, Texts]:
    """Every array of a model file by its name, and the metadata."""
    _, read = _format(path)
    try:
        found: tuple[Arrays, Texts] = read(path.read_bytes())
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except Exception as error:  # foreign bytes can trip the zip, JSON and header parsers in a dozen ways
        reason = "is empty" if not path.stat().st_size else f"is damaged, cut short, or no {path.suffix} file"
        raise UserError(f"{path} {reason} ({error}): save it again") from error
    check_format(path, found[1].pop(_FORMAT, None))
    return found


def _write_npz(file: BinaryIO, arrays: Arrays, texts: Texts) -> None:
    # Not np.savez: its parameter names (`file`) could not be leaves, and it stamps the time into the file.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in {**arrays, _METADATA: np.array(json.dumps(texts))}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read_npz(content: bytes) -> tuple[Arrays, Texts]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {
            # read() compares the checksum before NumPy believes the header
            info.filename.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(info)))
            for info in archive.infolist()
        }
    texts = arrays.pop(_METADATA, None)
    return arrays, {} if texts is None else json.loads(str(texts))


def _write_safetensors(file: BinaryIO, arrays: Arrays, texts: Texts) -> None:
    header: dict[str, Any] = {_METADATA: texts} if texts else {}
    parts: list[bytes] = []
    end = 0
    # Wide dtypes first, so that every array starts at a multiple of its item size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _CODES:
            raise UserError(f"the leaf '{name}' is {array.dtype}, which .safetensors can't hold: save it as .npz")
        parts.append(array.astype(dtype).tobytes())
        header[name] = {"dtype": _CODES[dtype], "shape": array.shape, "data_offsets": (end, end + len(parts[-1]))}
        end += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    file.writelines(parts)


def _read_safetensors(content: bytes) -> tuple[Arrays, Texts]:
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= len(content):
        raise ValueError("its header is not whole")
    header: dict[str, Any] = json.loads(content[8:start])
    texts = header.pop(_METADATA, {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= len(content) - start:
            raise ValueError(f"the numbers of '{name}' are not all there")
        flat = np.frombuffer(content[start + begin : start + end], _DTYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"]).copy()
    return arrays, texts
