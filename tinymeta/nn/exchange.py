"""Weights from PyTorch and to it: a `state_dict`, as safetensors keep it, and a model of the same parts.

A model matches if its parts have the names that PyTorch's have: attributes by their names, and the entries of
`Sequential` and of lists by their numbers. What a layer calls its own arrays, and how they lie, is one table:

| PyTorch | here | layout |
|---|---|---|
| `Linear`: weight (outputs, inputs) | weight (inputs, outputs) | transposed |
| `GRUCell`: weight_ih, weight_hh | from_input, from_state | transposed; gates in the order r, z, n |
| the same: bias_ih, bias_hh | bias, state_bias | r and z added up; that of n stays in two |
| `LSTMCell`: weight_ih, weight_hh | from_input, from_state | transposed; gates in the order i, f, g, o |
| the same: bias_ih, bias_hh | bias | added up |
| `GRU`, `LSTM` of one layer: …_l0 | cell.… | as the cells |
| `MultiheadAttention`: in_proj_…, out_proj | query, key, value, out | transposed, the three below one another |
| `BatchNorm` in `eval()`: running_mean, running_var | mean, var of `FrozenBatchNorm` | as it is |
| all others | the same names | as it is |

The last row holds convolutions (outputs, inputs / groups, …), embeddings, layer and group norm, `BatchNorm` of the
batch's own statistics (`track_running_stats=False`), parameters and buffers (constants) of one's own modules. A
`state_dict` doesn't say what has no weights: activations, strides, numbers of heads and `eps` are the model's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as Names
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree as trees
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array, ArrayLike
from tinymeta.engine.tree import Structure, Tie
from tinymeta.engine.typing import Tree, X
from tinymeta.io.save import as_array, as_leaf, contents, save
from tinymeta.nn.attention import MultiHeadAttention
from tinymeta.nn.layers import Linear, Sequential
from tinymeta.nn.module import constant
from tinymeta.nn.normalization import FrozenBatchNorm
from tinymeta.nn.recurrent import GRU, LSTM, GRUCell, LSTMCell
from tinymeta.trees.containers import Constant, Held

Layout = Callable[..., Sequence[Array]]


class Row(NamedTuple):
    """What PyTorch calls `theirs` is, after `into`, what a model here calls `ours`; `back` is the inverse."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    into: Layout
    back: Layout

    def within(self, theirs: str, ours: str, suffix: str = "") -> Row:
        """The row of a part, in the names of the whole."""
        outer = tuple([_joined(theirs, name) + suffix for name in self.theirs])
        return self._replace(theirs=outer, ours=tuple([_joined(ours, name) for name in self.ours]))


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at and name else at or name


def _row(theirs: str, ours: str, into: Layout, back: Layout | None = None) -> Row:
    return Row(tuple(theirs.split()), tuple(ours.split()), into, back or into)


def _as_it_is(*arrays: Array) -> Sequence[Array]:
    return arrays


def _turned(*arrays: Array) -> Sequence[Array]:
    return [a.T for a in arrays]


def _last_apart(b: Array, d: Array) -> Sequence[Array]:
    """From the biases (r, z, n) of input and state: r and z are added up anyhow, n of the state is reset before."""
    width = len(b) // 3
    return b + np.concatenate([d[: 2 * width], np.zeros_like(d[2 * width :])]), d[2 * width :]


def _three(a: Array) -> Sequence[Array]:
    return [part.T for part in np.split(a, 3)]


def _one(*parts: Array) -> Sequence[Array]:
    return [np.concatenate([part.T for part in parts])]


_CELL = (_row("weight_ih", "from_input", _turned), _row("weight_hh", "from_state", _turned))
_OF_GRU = _row(
    "bias_ih bias_hh", "bias state_bias", _last_apart, lambda b, d: (b, np.concatenate([np.zeros_like(d)] * 2 + [d]))
)
_OF_LSTM = _row("bias_ih bias_hh", "bias", lambda b, d: [b + d], lambda b: (b, np.zeros_like(b)))
TABLE: dict[type, tuple[Row, ...]] = {
    Linear: (_row("weight", "weight", _turned),),
    GRUCell: (*_CELL, _OF_GRU),
    LSTMCell: (*_CELL, _OF_LSTM),
    GRU: tuple(row.within("", "cell", "_l0") for row in (*_CELL, _OF_GRU)),
    LSTM: tuple(row.within("", "cell", "_l0") for row in (*_CELL, _OF_LSTM)),
    MultiHeadAttention: (
        _row("in_proj_weight", "query.weight key.weight value.weight", _three, _one),
        _row("in_proj_bias", "query.bias key.bias value.bias", _three, _one),
        _row("out_proj.weight", "out.weight", _turned),
        _row("out_proj.bias", "out.bias", _as_it_is),
    ),
    FrozenBatchNorm: (_row("running_mean running_var", "mean var", _as_it_is),),
}
NO_NUMBERS = "num_batches_tracked"  # of PyTorch's BatchNorm: how often it was called


def load_torch(source: str | os.PathLike[str] | Mapping[str, ArrayLike], like: X) -> X:
    """The model that a PyTorch `state_dict` holds: the parts of `like` with the numbers of `source`.

    Names and layouts are those of the table in `tinymeta.nn.exchange`. Half precision is widened, which changes no
    value; nothing is narrowed.

    Shapes: those of `like`, and its dtypes.
    Raises: UserError where a key is missing or left over, or has another shape, or a dtype that the model's can't
    hold (it names the key), where weights are tied, or the file is none:
    `tm.nn.load_torch({}, tm.nn.Linear(1, 1, rng=np.random.default_rng(0)))`.

    Parameters
    ----------
    source
        What `safetensors.torch.save_file(net.state_dict(), path)` wrote, or the arrays by name.
    like
        A model whose parts have the names that they have in PyTorch.

    Examples
    --------
    >>> state = {"0.weight": np.array([[1.0, 2.0]]), "0.bias": np.array([3.0])}
    >>> net = tm.nn.Sequential(tm.nn.Linear(2, 1, rng=np.random.default_rng(0), dtype=np.float64), tm.nn.relu)
    >>> tm.nn.load_torch(state, net)([1.0, 10.0])
    tensor([24.])
    """
    if isinstance(source, (str, os.PathLike)):
        where, found = str(source), contents(Path(source))[0]
    elif not isinstance(source, Mapping) or not all(isinstance(name, str) for name in source):
        raise UserError(
            f"a state_dict holds arrays by name, and this is {source!r:.60}: pass net.state_dict(), or its file"
        )
    else:
        where, found = "the state_dict", {name: as_array(name, leaf) for name, leaf in source.items()}
    found = {name: a for name, a in found.items() if name.rpartition(".")[2] != NO_NUMBERS}
    plan, held = _plan(like), _held(like)
    _check_names(where, found.keys(), {name for row in plan for name in row.theirs})
    made: dict[str, Array] = {}
    for row in plan:
        wanted = row.back(*[held[name] for name in row.ours])
        given = [_fitting(where, name, found[name], array) for name, array in zip(row.theirs, wanted)]
        made.update(zip(row.ours, map(np.array, row.into(*given))))
    leaves, structure = trees.flatten(like)
    filled = [as_leaf(made.pop(name), leaf) for name, leaf in zip(trees.places(structure), leaves)]
    return trees.unflatten(_with_constants(structure, made), filled)  # type: ignore[no-any-return]


def save_torch(path: str | os.PathLike[str], model: Tree) -> None:
    """Write a model as the `state_dict` of the PyTorch model that `load_torch` reads it from.

    There `net.load_state_dict(safetensors.torch.load_file(path))` takes it. A gradient with respect to a model is one,
    too, and is written as PyTorch's `.grad`s are laid out, but for the second of two biases that are added up: 0 here.

    Shapes: any leaves.
    Raises: UserError if weights are tied, or what `tm.save` refuses:
    `tm.nn.save_torch("net.pt", tm.nn.Linear(1, 1, rng=np.random.default_rng(0)))`.

    Parameters
    ----------
    path
        Where to: a `.safetensors` file.
    model
        A module, or a tree of them.

    Examples
    --------
    >>> import tempfile
    >>> net = tm.nn.Linear(2, 3, rng=np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.nn.save_torch(f"{folder}/net.safetensors", net)
    ...     bool((tm.nn.load_torch(f"{folder}/net.safetensors", net).weight == net.weight).all())
    True
    """
    held = _held(model)
    state: dict[str, Array] = {}
    for row in _plan(model):
        state.update(zip(row.theirs, row.back(*[held[name] for name in row.ours])))
    save(path, state, metadata={"format": "pt"})


def _plan(model: Tree) -> list[Row]:
    """What belongs to what, by the names of the whole model."""
    rows = list(_rows(trees.flatten(model)[1]))
    names = [name for row in rows for name in row.theirs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two parts of the model would be called '{min(twice)}' in PyTorch: rename one of them")
    return rows


def _rows(part: Structure) -> Iterator[Row]:
    """The rows of one part of a model: those of its kind, and for what these don't speak of those of its own parts."""
    kind: type = part.kind or object
    if kind is Tie:
        raise UserError(
            "the model holds one array in two places, and a state_dict has a name for each: "
            "untie them (`model.second = tm.tensor(model.first.numpy())`) to load or save them as PyTorch's"
        )
    if part.kind is None or kind is Constant:
        yield Row(("",), ("",), _as_it_is, _as_it_is)
    inner = [
        row.within("" if kind is Sequential else str(name), str(name))
        for name, child in zip(trees.names(part), part.children)
        for row in _rows(child)
    ]
    there = {name for row in inner for name in row.ours}
    own = [row for row in next((TABLE[k] for k in kind.__mro__ if k in TABLE), ()) if there.issuperset(row.ours)]
    told = {name for row in own for name in row.ours}
    yield from (*own, *[row for row in inner if told.isdisjoint(row.ours)])


def _held(model: Tree) -> dict[str, Array]:
    """The leaves of a model and its constants, by name."""
    leaves, structure = trees.flatten(model)
    named = zip(trees.places(structure), leaves)
    return {name: as_array(name, leaf) for name, leaf in named} | dict(_constants(structure))


def _constants(part: Structure, at: str = "") -> Iterator[tuple[str, Array]]:
    if part.kind is Constant:
        yield at, np.asarray(part.meta.array)
    for name, child in zip(trees.names(part), part.children):
        yield from _constants(child, _joined(at, str(name)))


def _with_constants(part: Structure, made: Mapping[str, Array], at: str = "") -> Structure:
    """The structure with other constants: those of their names."""
    if part.kind is Constant:
        return part._replace(meta=Held(constant(made[at])))
    named = zip(trees.names(part), part.children)
    return part._replace(children=tuple([_with_constants(c, made, _joined(at, str(n))) for n, c in named]))


def _check_names(where: str, found: Names[str], wanted: Names[str]) -> None:
    for name in sorted(wanted - found):
        raise UserError(
            f"{where} lacks '{name}', which the model has: it is another model's, or its parts have other names there "
            f"({len(found)} keys, {len(wanted)} wanted)"
        )
    for name in sorted(found - wanted):
        raise UserError(f"{where} holds '{name}', which the model has no place for{_why(name)}")


def _why(name: str) -> str:
    own = name.rpartition(".")[2]
    if own in ("running_mean", "running_var"):
        return ": BatchNorm takes the batch's own statistics, and FrozenBatchNorm those that PyTorch uses in eval()"
    return ": leave it out of what you pass, or give the model that part"


def _fitting(where: str, name: str, found: Array, wanted: Array) -> Array:
    """Numbers of a shape and dtype that the model can hold as they are."""
    if found.shape != wanted.shape:
        raise UserError(f"'{name}' of {where} has shape {found.shape}, and {wanted.shape} is wanted: another model?")
    if found.dtype.kind != wanted.dtype.kind or not np.can_cast(found.dtype, wanted.dtype):
        raise UserError(
            f"'{name}' of {where} is {found.dtype}, and the model's {wanted.dtype} can't hold that: convert it in "
            f"PyTorch, or make the model with dtype=np.{found.dtype}"
        )
    return found.astype(wanted.dtype)
