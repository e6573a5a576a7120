"""What PyTorch says of networks: `python in_torch.py FOLDER`, by a Python that has torch and need not have tinymeta.

FOLDER holds `NAME.json` files, each a network as `networks.py` describes it. Beside each it writes the `state_dict`,
random numbers all, and in `NAME.said.npz` an input, the output, and the gradients of Σ output · cos(0, 1, 2, …). Where
a `NAME.back.safetensors` (or .npz) is found, what the network says with those weights goes to `NAME.back.said.npz`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

try:
    from safetensors.torch import load_file, save_file
except ImportError:
    load_file = save_file = None

f64 = torch.float64
NORMS = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 2: nn.BatchNorm1d}
MAKERS: dict[str, Any] = {
    "linear": lambda i, o, bias: nn.Linear(i, o, bias, dtype=f64),
    "conv": lambda i, o, window, how: nn.Conv2d(i, o, window, dtype=f64, **how),
    "batch_norm": lambda n, axes: NORMS[axes](n, track_running_stats=False, dtype=f64),
    "frozen_norm": lambda n, axes: NORMS[axes](n, dtype=f64).eval(),
    "layer_norm": lambda n: nn.LayerNorm(n, dtype=f64),
    "group_norm": lambda groups, n: nn.GroupNorm(groups, n, dtype=f64),
    "embedding": lambda n, width: nn.Embedding(n, width, dtype=f64),
    "gru": lambda i, width: nn.GRU(i, width, batch_first=True, dtype=f64),
    "lstm": lambda i, width: nn.LSTM(i, width, batch_first=True, dtype=f64),
    "gru_cell": lambda i, width: nn.GRUCell(i, width, dtype=f64),
    "lstm_cell": lambda i, width: nn.LSTMCell(i, width, dtype=f64),
    "attention": lambda width, heads: nn.MultiheadAttention(width, heads, batch_first=True, dtype=f64),
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "flatten": nn.Flatten,
    "block": lambda parts: nn.Sequential(*map(made, parts)),
}


def made(part: list[Any]) -> Any:
    return MAKERS[part[0]](*part[1:])


class Net(nn.Module):  # type: ignore[misc]
    def __init__(self, parts: list[Any]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(map(made, parts))

    def forward(self, x: Any) -> Any:
        for part in self.parts:
            if isinstance(part, (nn.GRUCell, nn.LSTMCell)):
                x = part(x, part(x))  # from a state that is not 0
                x = x[0] if isinstance(x, tuple) else x
            elif isinstance(part, (nn.GRU, nn.LSTM)):
                x = part(x)[0]
            elif isinstance(part, nn.MultiheadAttention):
                x = part(x, x, x, need_weights=False)[0]
            else:
                x = part(x)
        return x


def judged(path: Path) -> None:
    told = json.loads(path.read_text())
    torch.manual_seed(told["seed"])
    net = Net(told["parts"])
    with torch.no_grad():
        for name, held in net.state_dict().items():
            if held.is_floating_point():
                held.copy_(torch.rand_like(held) + 0.5 if "var" in name else 0.6 * torch.randn_like(held))
    shape = told["input"]
    x = torch.randint(0, told["entries"], shape) if "entries" in told else torch.randn(shape, dtype=f64)
    x.requires_grad_(x.is_floating_point())
    y = net(x)
    (y * torch.arange(y.numel(), dtype=f64).cos().reshape(y.shape)).sum().backward()
    found = {f"grad {name}": p.grad for name, p in net.named_parameters()}
    found |= {"x": x.detach(), "y": y.detach()} | ({} if x.grad is None else {"grad x": x.grad})
    np.savez(path.with_suffix(".said.npz"), **{name: np.asarray(a) for name, a in found.items()})
    state = net.state_dict()
    if save_file:
        save_file(state, path.with_suffix(".safetensors"))
    else:
        np.savez(path.with_suffix(".npz"), **{name: np.asarray(a) for name, a in state.items()})


def judged_again(path: Path, back: Path) -> None:
    if load_file and back.suffix == ".safetensors":
        state = load_file(back)
    else:
        held = np.load(back)
        state = {name: torch.from_numpy(held[name]) for name in held.files if not name.startswith("__")}
    net = Net(json.loads(path.read_text())["parts"])
    net.load_state_dict(state, strict=True)
    x = np.load(path.with_suffix(".said.npz"))["x"]
    np.savez(path.with_suffix(".back.said.npz"), y=net(torch.from_numpy(x)).detach().numpy())


if __name__ == "__main__":
    for file in sorted(Path(sys.argv[1]).glob("*.json")):
        backs = [p for p in (file.with_suffix(".back.safetensors"), file.with_suffix(".back.npz")) if p.exists()]
        if backs:
            judged_again(file, backs[0])
        else:
            judged(file)
