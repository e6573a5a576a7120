"""`tinymeta bench micro`: the price of one small operation, forwards and backwards, on tensors of 10 elements."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys, timeit
import numpy as np
REPEATS, CHAIN = 40, 50
x0, y0 = np.linspace(0.1, 0.9, 10), np.linspace(1.0, 2.0, 10)
if sys.argv[1] == "torch":
    import torch
    torch.set_num_threads(1)
    y = torch.from_numpy(y0)
    def run():
        x = h = torch.from_numpy(x0).requires_grad_()
        for _ in range(CHAIN):
            h = torch.tanh(h * y) + h
        return torch.autograd.grad(h.sum(), x)
else:
    import tinymeta as tm
    y = tm.tensor(y0)
    def chain(x):
        for _ in range(CHAIN):
            x = tm.tanh(x * y) + x
        return x.sum()
    both = tm.value_and_grad(chain)
    def run():
        return both(x0)
run()
print(json.dumps(min(timeit.repeat(run, number=5, repeat=REPEATS)) / 5 / (3 * CHAIN)))
"""


def micro(peers: str | None) -> list[list[str]]:
    """Rows of microseconds per operation (of tanh, multiply and add in a chain), in alternating rounds."""
    jobs = {"tinymeta eager": (sys.executable, "tinymeta")} | ({"PyTorch eager": (peers, "torch")} if peers else {})
    best: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(3):
        for name, (interpreter, framework) in jobs.items():
            done = subprocess.run([interpreter, "-c", PROGRAM, framework], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                best[name].append(json.loads(done.stdout))
    ours = min(best["tinymeta eager"])
    return [
        ["micro", name, f"{1e3 * min(times):.4f}", f"{min(times) / ours:.2f}", "", "", "", "", ""]
        for name, times in best.items()
        if times
    ]
