"""`compare`: one line per intermediate, mine beside theirs, as one checks a derivation by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor


def compare(name: str, mine: Any, theirs: Any) -> bool:
    """Print how `mine` agrees with `theirs`: exact, close, or by how much not; True if exact or close.

    Close means to 1e-12 of the largest entry in float64, and 1e-5 in float32. A shape that is off is told
    with the axes to sum over, or to add.
    """
    a, b = (as_tensor(x).detach().numpy() for x in (mine, theirs))
    if a.shape != b.shape:
        print(f"{name:12} shape {a.shape}, and it should be {b.shape}: {_advice(a.shape, b.shape)}")
        return False
    difference = float(np.max(np.abs(a - b), initial=0.0))
    scale = float(np.max(np.abs(b), initial=0.0)) or 1.0
    close = difference <= (1e-5 if np.float32 in (a.dtype, b.dtype) else 1e-12) * scale
    verdict = "exact" if difference == 0 else "close" if close else "WRONG"
    print(f"{name:12} {verdict:6} largest difference {difference:.1e}")
    return close


def _advice(mine: tuple[int, ...], theirs: tuple[int, ...]) -> str:
    lead = len(mine) - len(theirs)
    if lead >= 0:
        axes = tuple(i for i, n in enumerate(mine) if i < lead or n != theirs[i - lead])
        fits = all(i < lead or theirs[i - lead] == 1 for i in axes)
        if fits:
            return f"sum over axis {axes if len(axes) > 1 else min(axes)}, along which it was broadcast"
    if mine[::-1] == theirs:
        return "a transpose is missing"
    if np.prod(mine) == np.prod(theirs):
        return "the same number of entries in another order: reshape"
    return "a broadcast or a sum is missing"
