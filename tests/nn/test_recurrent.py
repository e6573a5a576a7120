"""Recurrent cells against their equations, and through time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_an_lstm_cell_follows_its_equations() -> None:
    cell = tm.nn.LSTMCell(3, 2, rng=rng(), dtype=np.float64)
    x, h, c = rng().normal(size=(4, 3)), rng().normal(size=(4, 2)), rng().normal(size=(4, 2))
    z = x @ cell.from_input.numpy() + h @ cell.from_state.numpy() + cell.bias.numpy()
    i, f, g, o = np.split(z, 4, axis=-1)
    c_next = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    new_h, new_c = cell(x, (tm.tensor(h), tm.tensor(c)))
    np.testing.assert_allclose(new_c.numpy(), c_next, rtol=1e-13)
    np.testing.assert_allclose(new_h.numpy(), sigmoid(o) * np.tanh(c_next), rtol=1e-13)


def test_an_lstm_cell_remembers_at_first() -> None:
    cell = tm.nn.LSTMCell(3, 2, rng=rng())
    np.testing.assert_array_equal(cell.bias.numpy(), [0, 0, 1, 1, 0, 0, 0, 0])


def test_a_gru_cell_follows_its_equations() -> None:
    cell = tm.nn.GRUCell(3, 2, rng=rng(), dtype=np.float64)
    cell.bias, cell.state_bias = tm.tensor(np.arange(6.0) / 10), tm.tensor([0.3, -0.2])
    x, h = rng().normal(size=(4, 3)), rng().normal(size=(4, 2))
    (xr, xz, xn), (hr, hz, hn) = (
        np.split(a, 3, axis=-1) for a in (x @ cell.from_input.numpy() + cell.bias.numpy(), h @ cell.from_state.numpy())
    )
    z = sigmoid(xz + hz)
    n = np.tanh(xn + sigmoid(xr + hr) * (hn + [0.3, -0.2]))
    np.testing.assert_allclose(cell(x, tm.tensor(h)).numpy(), (1 - z) * n + z * h, rtol=1e-13)


@pytest.mark.parametrize("kind", [tm.nn.LSTMCell, tm.nn.GRUCell])
def test_a_gradient_through_time_is_right_to_second_order(kind: Any) -> None:
    cell = kind(2, 3, rng=rng(), dtype=np.float64)
    xs = rng().normal(size=(4, 2))

    def last(cell: Any, xs: Any) -> Any:
        state = cell.start()
        for t in range(4):
            state = cell(xs[t], state)
        return tm.sum(tm.tree.leaves(state)[0])

    tm.testing.check_grad(last, cell, xs, order=2, elements=10)


def test_the_recurrent_weights_of_each_gate_are_orthogonal() -> None:
    blocks = np.split(tm.nn.LSTMCell(3, 5, rng=rng(), dtype=np.float64).from_state.numpy(), 4, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(5), atol=1e-14)


@pytest.mark.parametrize("kind", [tm.nn.LSTMCell, tm.nn.GRUCell])
def test_a_wrong_input_or_state_is_refused_with_the_way_to_start(kind: Any) -> None:
    cell = kind(3, 2, rng=rng())
    with pytest.raises(ValueError, match=r"cell\.start"):
        cell(np.zeros((4, 5), np.float32), cell.start(4))
    with pytest.raises(ValueError, match=r"cell\.start"):
        cell(np.zeros((4, 3), np.float32), cell.start(5))
    with pytest.raises(ValueError, match=r"cell\.start"):
        cell(0.0, cell.start())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("keep", [False, True, 3])
@pytest.mark.parametrize("kind", [tm.nn.LSTM, tm.nn.GRU])
def test_a_layer_leads_its_cell_along_the_sequence(kind: Any, keep: Any, reverse: bool) -> None:
    layer, xs = kind(2, 3, rng=rng(), dtype=np.float64), rng().normal(size=(4, 5, 2))

    def step_by_step(layer: Any, xs: Any) -> Any:
        state, seen = layer.start(4), {}
        for t in reversed(range(5)) if reverse else range(5):
            state = layer.cell(xs[:, t], state)
            seen[t] = tm.tree.leaves(state)[0]
        return tm.stack([seen[t] for t in range(5)], 1), state

    def at_once(layer: Any, xs: Any) -> Any:
        return layer(xs, reverse=reverse, checkpoint=keep)

    for ours, theirs in zip(tm.tree.leaves(at_once(layer, xs)), tm.tree.leaves(step_by_step(layer, xs))):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-13, atol=1e-15)
    loss = lambda run: lambda layer, xs: tm.sum(run(layer, xs)[0] ** 3)
    ours, theirs = (tm.tree.leaves(tm.grad(loss(run))(layer, xs)) for run in (at_once, step_by_step))
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-14)
    tm.testing.check_grad(lambda layer, xs: loss(at_once)(layer, xs), layer, xs, order=2, elements=6)


@pytest.mark.parametrize("kind", [tm.nn.LSTM, tm.nn.GRU])
def test_a_sequence_that_does_not_fit_is_refused(kind: Any) -> None:
    layer = kind(3, 2, rng=rng())
    with pytest.raises(ValueError, match=r"\(…, time, inputs\)"):
        layer(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"cell\.start"):
        layer(np.zeros((4, 5, 2), np.float32))
    with pytest.raises(ValueError, match=r"cell\.start"):
        layer(np.zeros((4, 6, 3), np.float32), layer.start(5))


@pytest.mark.parametrize("kind", [tm.nn.LSTM, tm.nn.GRU])
def test_of_no_times_a_layer_gives_the_state_that_came(kind: Any) -> None:
    layer = kind(3, 2, rng=rng())
    outputs, state = layer(np.zeros((4, 0, 3), np.float32))
    assert outputs.shape == (4, 0, 2)
    assert all(not leaf.numpy().any() for leaf in tm.tree.leaves(state))


@pytest.mark.parametrize("kind", [tm.nn.GRU, tm.nn.LSTM])
def test_a_sequence_of_doubles_is_read_in_doubles_whatever_the_weights_are(kind: Any) -> None:
    layer, xs = kind(3, 4, rng=np.random.default_rng(0)), np.random.default_rng(1).normal(size=(2, 5, 3))
    wide = tm.tree.map(lambda w: w.astype(np.float64), layer)
    assert layer(xs)[0].dtype == np.float64
    assert (layer(xs)[0] == wide(xs)[0]).all()


def test_how_many_states_are_kept_is_the_scans_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, asked = tm.nn.GRU(2, 3, rng=np.random.default_rng(0)), []

    def scan(*args: Any, checkpoint: bool | int, **how: Any) -> Any:
        asked.append(checkpoint)
        return tm.scan(*args, checkpoint=checkpoint, **how)

    monkeypatch.setattr("tinymeta.nn.recurrent.scan", scan)
    layer(np.ones((4, 2), np.float32), checkpoint=2)
    assert asked == [2]
