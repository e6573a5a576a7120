"""`save` and `load`: a tree of numbers as a file, and back. Nothing is ever pickled.

Two formats, chosen by the suffix of the path: NumPy's `.npz` (npz.py) and `.safetensors` (safetensors.py). Arrays go by
the names that `tree.paths` gives them; the tree itself is not written, so that `load` needs one like it, and knows from
that how much it reads. The number of the format stands among the metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from tinymeta.engine import tree as trees
from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import bind
from tinymeta.engine.state import USER
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.io import npz, safetensors
from tinymeta.io.files import FORMAT, check_format, opened, told, whole
from tinymeta.io.stored import METADATA, Arrays, Kind, Stored, Texts

LARGEST = 1 << 30  # bytes of arrays of which nobody has said that they are wanted
_FORMAT = "tinymeta_format"  # the text in the metadata that is not the user's


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
    module = _format(path)
    arrays: Arrays = {}
    for name, leaf in zip(trees.paths(tree), trees.leaves(tree)):
        if name in arrays or name == METADATA:
            raise UserError(f"two things in the tree would be called '{name}' in {path.name}: rename one of them")
        arrays[name] = as_array(name, leaf)
    texts = {**(metadata or {}), _FORMAT: str(FORMAT)}
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):
        raise UserError(f"metadata holds strings by name, not {texts!r}: convert its values with str() or json.dumps()")
    with whole(path) as file:
        module.write(file, arrays, texts)


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
    leaves, structure = trees.flatten(like)
    names = [_join(within, name) for name in trees.paths(like)]
    with _opened(path) as stored:
        held = {name for name in stored.kinds if not within or name == within or name.startswith(f"{within}.")}
        for wrong, what in ((set(names) - held, "lacks"), (held - set(names), "holds")):
            if wrong:
                raise UserError(
                    f"{path} {what} the leaf '{min(wrong)}', so it was saved from another structure than the one to "
                    f"load into ({len(held)} leaves in the file, {len(names)} wanted)"
                )
        for name, leaf in zip(names, leaves):
            _check_kind(path, name, stored.kinds[name], as_array(name, leaf))
        return trees.unflatten(structure, [as_leaf(stored.read(name), x) for name, x in zip(names, leaves)])  # type: ignore[no-any-return]


def metadata(path: str | os.PathLike[str]) -> Texts:
    """The strings that were saved beside the numbers; empty if there were none."""
    with _opened(Path(path)) as stored:
        return stored.texts


def as_array(name: str, leaf: object) -> Array:
    """The numbers of a leaf; UserError, which names it, if it has none."""
    array = bind(stop_gradient, leaf).numpy() if isinstance(leaf, Tensor) else np.asarray(leaf)
    if array.dtype.kind not in "fciub":
        raise UserError(f"the leaf '{name}' is {leaf!r:.60}, and a model file holds numbers: leave it out of the tree")
    return array


def _join(within: str, name: str) -> str:
    return f"{within}.{name}" if within and name else within or name


def _check_kind(path: Path, name: str, kind: Kind, wanted: Array) -> None:
    """Refuse numbers of another kind than is wanted, before they are read."""
    for what, found, expected in (("shape", kind.shape, wanted.shape), ("dtype", kind.dtype, wanted.dtype)):
        if found != expected:
            raise UserError(f"the leaf '{name}' of {path} has {what} {found} and {expected} is wanted: another model?")


def as_leaf(array: Array, like: Tree) -> Tree:
    """`array` as the kind of leaf that `like` is: Tensor, array or Python number."""
    if isinstance(like, Tensor):
        return Tensor(array, tracked=like.tracked & USER)
    return array if isinstance(like, np.ndarray) else type(like)(array[()])


def _format(path: Path) -> ModuleType:
    """The module that knows the format of a file."""
    try:
        return {".npz": npz, ".safetensors": safetensors}[path.suffix]
    except KeyError:
        raise UserError(
            f"a model file ends in .npz or .safetensors, and {path} in neither: name one that does (in PyTorch "
            "safetensors.torch.save_file writes it)"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[Stored]:
    """What a model file holds; what trips its parsers, then or when it is read, is told in one sentence."""
    module = _format(path)
    with opened(path) as stream:
        with _foreign(path):
            stored = module.open_stored(stream)
        check_format(path, stored.texts.pop(_FORMAT, None))

        def read(name: str) -> Array:
            with _foreign(path), told(path, "read"):
                array: Array = stored.read(name)
                return array

        yield stored._replace(read=read)


@contextmanager
def _foreign(path: Path) -> Iterator[None]:
    """Foreign bytes can trip the zip, JSON and header parsers in a dozen ways, all of which mean the same."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = "is damaged, cut short, or no" if path.stat().st_size else "is empty, and no"
        raise UserError(f"{path} {reason} {path.suffix} file ({error}): save it again") from error


def contents(path: Path) -> tuple[Arrays, Texts]:
    """Every array of a model file by its name, and the metadata; at most a gigabyte."""
    with _opened(path) as stored:
        size = sum(kind.nbytes for kind in stored.kinds.values())
        if size > LARGEST:
            raise UserError(
                f"{path} holds {size} bytes of numbers, and at most {LARGEST} are read unasked: name another"
            )
        return {name: stored.read(name) for name in stored.kinds}, stored.texts
