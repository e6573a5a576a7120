"""What a Tensor holds is its own: arrays that the caller fills anew change nothing, and no result is a view of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import convert

W = np.array([1.0, -2.0, 0.5, 3.0])


def buffer_of(dtype: Any) -> Any:
    """What a loader fills: a view of the array that owns the memory."""
    return W.astype(dtype)[:]


def fill(x: Any) -> None:
    """What a loader does with its buffer, whatever its flag says: its owner may set that back."""
    if not x.flags.writeable:
        x.flags.writeable = True
    x[...] = -7.0


class Foreign:
    """An array of another library: it hands out its own memory."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.x


class Exchanged:
    """The same through DLPack."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __dlpack__(self, **options: Any) -> Any:
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.x.__dlpack_device__()


def read_only(x: Any) -> Any:
    view = x[:]
    view.flags.writeable = False
    return view


def frozen(x: Any) -> Any:
    x.flags.writeable = False
    return x


# How the caller's buffer, of shape (4,), is handed in.
DOORS: dict[str, Callable[[Any], Any]] = {
    "the array": lambda x: x,
    "a slice": lambda x: x[::-1],
    "a read-only view": read_only,
    "read-only for a while": frozen,
    "its owner, read-only": lambda x: frozen(x.base),
    "a broadcast view": lambda x: np.broadcast_to(x, (2, 4)),
    "another library's": Foreign,
    "through DLPack": Exchanged,
    "a Tensor made of it": tm.tensor,
}
# What is done with it: results that could be views of it, and what is recorded with it.
VIEWS: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda x: tm.reshape(x, (-1, 2)),
    "permute_dims": lambda x: tm.permute_dims(tm.reshape(x, (2, -1)), (1, 0)),
    "broadcast_to": lambda x: tm.broadcast_to(x, (3, 2, 4)),
    "flip": lambda x: tm.flip(x),
    "squeeze": lambda x: tm.squeeze(tm.expand_dims(x, axis=0), axis=0),
    "astype": lambda x: tm.astype(x, float),
    "stop_gradient": lambda x: tm.stop_gradient(x),
    "vmap": lambda x: tm.vmap(lambda a: a)(x),
    "vmap over the last axis": lambda x: tm.vmap(lambda a: a, in_axes=-1, out_axes=-1)(x),
    "nested vmap": lambda x: tm.vmap(lambda a: tm.vmap(lambda b: b)(a))(tm.reshape(x, (2, -1))),
    "index": lambda x: tm.astype(x, float)[..., 1:],
    "take": lambda x: tm.take(x, [0, 1], axis=-1),
    "index_set of nothing": lambda x: tm.index_set(x, np.zeros((0,), int), 1.0),
    "value of vjp": lambda x: tm.vjp(lambda a: a, x)[0],
    "value_and_grad with aux": lambda x: tm.value_and_grad(lambda a: (tm.sum(a), a), has_aux=True)(x)[0][1],
    "checkpoint": lambda x: tm.checkpoint(lambda a: tm.reshape(a, (-1,)))(x),
}
RECORDS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "vjp of a product": lambda x: (lambda pull: lambda: pull(np.ones(pull.shape)))(Pull(lambda w: tm.square(w) * x)),
    "tape": lambda x: (lambda w: (lambda y: lambda: tm.gradient(y, w).detach())(tm.sum(tm.square(w) * x)))(
        tm.tensor(W, requires_grad=True)
    ),
    "the argument itself": lambda x: (lambda pull: lambda: pull(np.ones(pull.shape)))(Pull(tm.square, x)),
    "inside vmap": lambda x: (lambda pull: lambda: pull(np.ones(pull.shape)))(
        Pull(lambda w: tm.vmap(lambda a: w * w * a)(tm.astype(x, float)))
    ),
    "custom rule": lambda x: (lambda pull: lambda: pull(np.ones(pull.shape)))(
        Pull(lambda w: tm.custom_vjp(lambda w, a: w * tm.sum(a), lambda g, y, w, a: (g * tm.sum(a), None))(w, x))
    ),
    "checkpoint": lambda x: (lambda pull: lambda: pull(np.ones(pull.shape)))(
        Pull(lambda w: tm.checkpoint(lambda w, a: w * w * tm.sum(a))(w, x))
    ),
}


class Pull:
    """A pull-back that is kept for later."""

    def __init__(self, f: Callable[[Any], Any], x: Any = W) -> None:
        y, self.pull = tm.vjp(f, x)
        self.shape = y.shape

    def __call__(self, g: Any) -> Any:
        return self.pull(g)[0]


@pytest.mark.parametrize("door", DOORS)
@given(view=st.sampled_from(sorted(VIEWS)), dtype=st.sampled_from([np.float64, np.float32]))
def test_a_result_is_no_view_of_what_the_caller_handed_in(door: str, view: str, dtype: Any) -> None:
    buffer = buffer_of(dtype)
    result = VIEWS[view](DOORS[door](buffer))
    before = result.numpy().copy()
    fill(buffer)
    assert np.array_equal(result.numpy(), before)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("record", RECORDS)
def test_a_gradient_is_that_of_the_values_at_recording(record: str, door: str) -> None:
    right = RECORDS[record](DOORS[door](buffer_of(float)))().numpy()
    buffer = buffer_of(float)
    later = RECORDS[record](DOORS[door](buffer))
    fill(buffer)
    assert np.array_equal(later().numpy(), right)


@pytest.mark.parametrize(
    "way", [np.asarray, np.from_dlpack, lambda t: t.numpy(), np.array, lambda t: t.__array__(float)]
)
def test_what_goes_out_changes_no_tensor(way: Callable[[Any], Any]) -> None:
    for t in (tm.tensor(W), tm.tensor(W)[1:], tm.reshape(tm.tensor(W), (2, 2)), tm.broadcast_to(tm.tensor(W), (2, 4))):
        before, out = t.tolist(), way(t)
        while isinstance(out, np.ndarray):
            if out.flags.owndata:
                out.flags.writeable = True
            if out.flags.writeable:
                fill(out)
            out = out.base
        assert t.tolist() == before


@pytest.mark.parametrize(
    "make", [tm.optim.SGD, lambda lr: tm.optim.SGD(lr, 0.9), tm.optim.Adam, tm.optim.RMSProp, tm.optim.Adagrad]
)
def test_an_optimizer_writes_into_nothing_that_it_was_given(make: Callable[[float], Any]) -> None:
    rule, params, grads = make(0.1), {"w": W.copy()}, {"w": np.ones(4)}
    state = rule.init(params)
    first = rule.update(grads, state, params)
    kept = [np.array(x) for x in tm.tree.leaves((params, grads, first))]
    rule.update(first[0], first[1], first[0])
    again = rule.update(grads, state, params)
    fill(params["w"])
    fill(grads["w"])
    for now, before in zip(tm.tree.leaves((first, again)), [*kept[2:], *kept[2:]]):
        assert np.array_equal(np.asarray(now), before)


def test_a_file_read_into_a_model_shares_nothing_with_it(tmp_path: Any) -> None:
    buffer = W.copy()
    tm.save(tmp_path / "w.npz", {"w": buffer})
    loaded = tm.load(tmp_path / "w.npz", {"w": tm.tensor(buffer)})
    fill(buffer)
    assert np.array_equal(loaded["w"].numpy(), W)


# Operations that have nothing to do.
IDENTITIES: dict[str, Callable[[Any], Any]] = {
    "clip without limits": tm.clip,
    "dropout of nothing": lambda x: tm.nn.Dropout(0.0)(x, np.random.default_rng(0)),
    "dropout without a generator": tm.nn.Dropout(0.5),
    "no layers": tm.nn.Sequential(),
    "a function that returns its argument": tm.nn.Sequential(lambda x: x),
    "a sum over no axes": lambda x: tm.sum(x, ()),
    "max over no axes": lambda x: tm.max(x, ()),
    "the same shape": lambda x: tm.reshape(x, (4,)),
    "the same dtype": lambda x: tm.astype(x, float),
    "roll by nothing": lambda x: tm.roll(x, 0),
    "flip of no axis": lambda x: tm.flip(x, ()),
    "pad by nothing": lambda x: tm.pad(x, 0),
    "one part": lambda x: tm.split(x, 1)[0],
    "one array joined": lambda x: tm.concat([x]),
    "all of it": lambda x: tm.index_set(x, slice(0), 0.0),
    "compiled": tm.compile(lambda x: x),
    "average over no axes": lambda x: tm.mean(x, ()),
}


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("door", ["the array", "a slice", "read-only for a while", "its owner, read-only"])
def test_an_operation_that_does_nothing_gives_a_tensor_of_its_own(name: str, door: str) -> None:
    buffer = buffer_of(float)
    y = IDENTITIES[name](DOORS[door](buffer))
    assert type(y) is tm.Tensor
    before = y.tolist()
    fill(buffer)
    assert y.tolist() == before


WAYS_OUT = [np.asarray, lambda t: t.numpy()]
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # NumPy 2.0 lets nobody write into what came by DLPack
    WAYS_OUT.append(np.from_dlpack)


@pytest.mark.parametrize("way", WAYS_OUT)
def test_what_went_out_and_comes_back_is_copied_again(way: Callable[[Any], Any]) -> None:
    out = way(tm.tensor(W))
    y = tm.reshape(out, (2, 2))
    fill(out)
    assert y.tolist() == W.reshape(2, 2).tolist()


def test_a_door_without_a_copy_is_caught(monkeypatch: Any) -> None:
    class Uncopied(np.ndarray[Any, Any]):
        copy = lambda self, order="C": self  # type: ignore[assignment]

    monkeypatch.setattr(convert, "_array", lambda value: np.asarray(value).view(Uncopied))
    for door in ("the array", "a read-only view", "read-only for a while", "its owner, read-only"):
        with pytest.raises(AssertionError):
            test_a_gradient_is_that_of_the_values_at_recording("tape", door)
