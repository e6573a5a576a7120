"""Weights from PyTorch and to it: names, layouts, values and gradients, and what can't be carried.

`from_torch/` holds what PyTorch 2.13 said of two networks that have every row of the table (`in_torch.py` wrote it).
Where TINYMETA_TORCH names a Python that has torch, or this one has it, networks drawn at random are tried, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.nn.networks import Net, drawn
from tinymeta.io.save import contents
from tinymeta.nn import exchange

STORED = Path(__file__).with_name("from_torch")
TORCH = os.environ.get("TINYMETA_TORCH") or (sys.executable if find_spec("torch") else None)
# Both sides are float64: at most six parts that amplify by 10 (a normalisation), with sums of at most 64 terms.
BOUND = 6 * 10 * 64 * np.finfo(np.float64).eps


def state_of(path: Path) -> Path:
    """The file of a network's weights: .npz where PyTorch had no safetensors."""
    return next(p for p in (path.with_suffix(".safetensors"), path.with_suffix(".npz")) if p.exists())


def close(a: Any, b: Any, size: float = 1.0) -> bool:
    """`size` is that of the largest numbers on the way: a gradient may be a sum of such that is 0."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool((np.abs(a - b) <= BOUND * max(size, np.abs(b).max(initial=0))).all())


def loaded(path: Path) -> tuple[Net, Any]:
    """A network with PyTorch's weights, and what PyTorch said of it."""
    net = Net(json.loads(path.read_text(encoding="utf-8"))["parts"])
    with np.load(path.with_suffix(".said.npz")) as said:
        return tm.nn.load_torch(state_of(path), net), dict(said)


def check(path: Path, tmp_path: Path) -> None:
    """Output and all gradients are PyTorch's."""
    net, said = loaded(path)
    weights = np.cos(np.arange(said["y"].size)).reshape(said["y"].shape)
    largest = max(float(np.abs(a).max()) for name, a in said.items() if name.startswith("grad"))
    wanted = (0, 1) if "grad x" in said else 0
    assert close(net(said["x"]), said["y"])
    grads: Any = tm.grad(lambda net, x: (net(x) * weights).sum(), argnums=wanted)(net, said["x"])
    if wanted:
        grads, gx = grads
        assert close(gx, said["grad x"], largest)
    tm.nn.save_torch(tmp_path / "grads.safetensors", grads)
    ours = contents(tmp_path / "grads.safetensors")[0]
    for name in [name for name in said if name.startswith("grad parts")]:
        mine, theirs = ours[name.removeprefix("grad ")], said[name]
        if "bias_hh" in name:  # a sum's gradient is that of both
            mine = np.where(mine == 0, said[name.replace("_hh", "_ih")], mine)
        assert close(mine, theirs, largest), name


def check_back(path: Path, tmp_path: Path) -> None:
    """What is written again is what PyTorch wrote, but for biases that are added up, of which the sum is."""
    tm.nn.save_torch(tmp_path / "back.safetensors", loaded(path)[0])
    back, theirs = contents(tmp_path / "back.safetensors")[0], contents(state_of(path))[0]
    assert back.keys() == {name for name in theirs if "num_batches" not in name}
    for name, mine in back.items():
        if "bias_ih" in name or "bias_hh" in name:
            other = name.replace("_ih", "_HH").replace("_hh", "_ih").replace("_HH", "_hh")
            assert np.array_equal(mine + back[other], theirs[name] + theirs[other])
        else:
            assert np.array_equal(mine, theirs[name])


@pytest.mark.parametrize("name", ["words", "images"])
def test_a_network_of_pytorch_has_its_values_and_gradients_here(name: str, tmp_path: Path) -> None:
    check(STORED / f"{name}.json", tmp_path)
    check_back(STORED / f"{name}.json", tmp_path)


def test_the_stored_networks_have_every_row_of_the_table() -> None:
    kinds = {part[0] for name in ("words", "images") for part in loaded_parts(name)}
    assert kinds >= {"linear", "gru", "lstm", "gru_cell", "lstm_cell", "attention", "frozen_norm", "batch_norm", "conv"}
    assert len(exchange.TABLE) == 7


def loaded_parts(name: str) -> list[Any]:
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))["parts"]  # type: ignore[no-any-return]


def gates_swapped(rows: tuple[exchange.Row, ...]) -> tuple[exchange.Row, ...]:
    def swapped(a: Any) -> Any:
        gates = np.split(a, 3 if len(a) % 4 else 4)
        return np.concatenate([gates[1], gates[0], *gates[2:]])

    return tuple(
        row._replace(into=lambda *a, row=row: row.into(*map(swapped, a)))
        if row.theirs[0].startswith(("w", "b"))
        else row
        for row in rows
    )


def not_turned(rows: tuple[exchange.Row, ...]) -> tuple[exchange.Row, ...]:
    return tuple(row._replace(into=lambda *a: a, back=lambda *a: a) for row in rows)


def first_two_swapped(rows: tuple[exchange.Row, ...]) -> tuple[exchange.Row, ...]:
    return tuple(row._replace(ours=(*row.ours[1::-1], *row.ours[2:])) for row in rows)


Fault = Callable[[tuple[exchange.Row, ...]], tuple[exchange.Row, ...]]
FAULTS: list[tuple[str, type, Fault]] = [
    ("words", tm.nn.GRU, gates_swapped),
    ("words", tm.nn.GRUCell, gates_swapped),
    ("words", tm.nn.LSTM, gates_swapped),
    ("words", tm.nn.LSTMCell, gates_swapped),
    ("words", tm.nn.MultiHeadAttention, first_two_swapped),
    ("words", tm.nn.MultiHeadAttention, lambda rows: (rows[0], rows[1], *not_turned(rows[2:3]), rows[3])),
    ("words", tm.nn.Linear, not_turned),
    ("images", tm.nn.FrozenBatchNorm, lambda rows: (rows[0]._replace(into=lambda mean, var: (mean, mean**2)),)),
]


@pytest.mark.parametrize("which", range(len(FAULTS)), ids=lambda which: f"{which}-{FAULTS[which][1].__name__}")
def test_a_layout_that_is_wrong_is_seen(which: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name, kind, fault = FAULTS[which]
    monkeypatch.setitem(exchange.TABLE, kind, fault(exchange.TABLE[kind]))
    with pytest.raises((AssertionError, tm.UserError)):
        check(STORED / f"{name}.json", tmp_path)


@pytest.mark.skipif(not TORCH, reason="TINYMETA_TORCH names no Python that has torch, and this one has none")
def test_networks_drawn_at_random_are_the_same_in_pytorch_and_here_and_back(tmp_path: Path) -> None:
    in_torch = [str(TORCH), str(STORED.with_name("in_torch.py")), str(tmp_path)]
    files = [tmp_path / f"net{seed}.json" for seed in range(int(os.environ.get("TINYMETA_NETWORKS", "24")))]
    for seed, file in enumerate(files):
        file.write_text(json.dumps(drawn(seed)), encoding="utf-8")
    subprocess.run(in_torch, check=True)
    for file in files:
        check(file, tmp_path)
        check_back(file, tmp_path)
        tm.nn.save_torch(file.with_suffix(f".back{state_of(file).suffix}"), loaded(file)[0])
    subprocess.run(in_torch, check=True)
    for file in files:
        with np.load(file.with_suffix(".back.said.npz")) as said:
            assert close(said["y"], loaded(file)[1]["y"]), file


def test_a_linear_layer_and_a_gru_cell_are_the_formulas_of_pytorchs_manual() -> None:
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(5, 2))
    linear = tm.nn.load_torch({"weight": w, "bias": b}, tm.nn.Linear(2, 3, rng=rng, dtype=np.float64))
    assert close(linear(x), x @ w.T + b)
    held = {name: rng.normal(size=s) for name, s in (("weight_ih", (9, 2)), ("weight_hh", (9, 3)))}
    held |= {"bias_ih": rng.normal(size=9), "bias_hh": rng.normal(size=9)}
    cell, h = tm.nn.load_torch(held, tm.nn.GRUCell(2, 3, rng=rng, dtype=np.float64)), rng.normal(size=(5, 3))
    sigmoid: Any = lambda a: 1 / (1 + np.exp(-a))
    ir, iz, i_n = np.split(x @ held["weight_ih"].T + held["bias_ih"], 3, 1)
    hr, hz, h_n = np.split(h @ held["weight_hh"].T + held["bias_hh"], 3, 1)
    r, z = sigmoid(ir + hr), sigmoid(iz + hz)
    n = np.tanh(i_n + r * h_n)
    assert close(cell(x, tm.tensor(h)), (1 - z) * n + z * h)


def test_half_precision_is_widened_and_keeps_its_values() -> None:
    linear = tm.nn.load_torch(STORED / "half.safetensors", tm.nn.Linear(2, 3, rng=np.random.default_rng(0)))
    assert linear.weight.dtype == np.float32
    assert np.array_equal(linear.weight, (np.arange(6).reshape(3, 2) / 8 - 0.25).T)
    assert np.array_equal(linear.bias, [1.5, -2.0, 0.25])


class Scaled(tm.nn.Module):
    """A parameter and a buffer of one's own, beside a layer."""

    def __init__(self) -> None:
        self.fc, self.scale, self.mean = tm.nn.Linear(2, 1, rng=np.random.default_rng(0)), tm.ones(2), np.zeros(2)
        self.mean, self.order = tm.nn.constant(self.mean), np.array([1, 0])


def test_parameters_and_buffers_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    f = np.float32
    state = {"fc.weight": np.array([[1, 2]], f), "fc.bias": np.array([3], f), "scale": np.array([4, 5], f)}
    state |= {"mean": np.array([6.0, 7.0]), "order": np.array([0, 1])}
    net = tm.nn.load_torch(state, Scaled())
    assert net.fc.weight.tolist() == [[1], [2]] and net.scale.tolist() == [4, 5]
    assert (
        net.mean.tolist() == [6, 7] and net.order.tolist() == [0, 1] and tm.tree.paths(net) == tm.tree.paths(Scaled())
    )
    tm.nn.save_torch(tmp_path / "s.safetensors", net)
    back, told = contents(tmp_path / "s.safetensors")
    assert {k: v.tolist() for k, v in back.items()} == {k: v.tolist() for k, v in state.items()}
    assert told["format"] == "pt"


STATE = {"0.weight": np.ones((3, 2), np.float32), "0.bias": np.ones(3, np.float32)}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"0.weight": STATE["0.weight"]}, r"lacks '0.bias', which the model has.*\(1 keys, 2 wanted\)"),
        ({**STATE, "2.weight": STATE["0.bias"]}, "holds '2.weight', which the model has no place for: leave it out"),
        ({**STATE, "1.running_mean": np.ones(3)}, "holds '1.running_mean'.*FrozenBatchNorm those that PyTorch uses"),
        ({**STATE, "0.weight": np.ones((2, 3), np.float32)}, r"'0.weight' of .* has shape \(2, 3\), and \(3, 2\) is"),
        ({**STATE, "0.bias": np.ones(3)}, "'0.bias' of .* is float64, and the model's float32 can't hold that"),
        ({**STATE, "0.bias": np.ones(3, np.int8)}, "'0.bias' of .* is int8, and the model's float32 can't hold that"),
        ({**STATE, "0.bias": "ones"}, "'0.bias' is 'ones', and a model file holds numbers"),
    ],
)
def test_what_cant_be_carried_is_told_with_its_key(state: Any, said: str) -> None:
    net = tm.nn.Sequential(tm.nn.Linear(2, 3, rng=np.random.default_rng(0)), tm.nn.relu)
    with pytest.raises(tm.UserError, match=said) as told:
        tm.nn.load_torch(state, net)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("source", [3, [1], {0: 1}, {"w": 1, 0: 1}, tm.nn.relu])
def test_what_is_no_state_dict_is_told(source: Any) -> None:
    with pytest.raises(tm.UserError, match=r"a state_dict holds arrays by name, and this is .*net.state_dict\(\)"):
        tm.nn.load_torch(source, Scaled())
    with pytest.raises(tm.UserError, match="safetensors.torch.save_file"):
        tm.nn.load_torch("net.pt", Scaled())


def test_tied_weights_are_told_and_so_is_a_norm_without_statistics() -> None:
    net = Scaled()
    net.scale = net.fc.bias
    with pytest.raises(tm.UserError, match="one array in two places"):
        tm.nn.load_torch(STATE, net)
    with pytest.raises(ValueError, match="FrozenBatchNorm has no mean and variance"):
        tm.nn.FrozenBatchNorm(2)(np.ones((3, 2)))


def test_two_parts_of_one_name_are_told(tmp_path: Path) -> None:
    model = {"a": {"b": np.zeros(1)}, "a.b": np.ones(1)}
    with pytest.raises(tm.UserError, match="two parts of the model would be called 'a.b'"):
        tm.nn.save_torch(tmp_path / "m.safetensors", model)
