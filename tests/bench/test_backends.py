"""HIPS autograd, where it is installed, computes what we do, and in the precision that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

from tinymeta.bench.backends import backend
from tinymeta.bench.networks import Workload, cross_entropy
from tinymeta.bench.worker import prepared
from tinymeta.bench.workloads import characters, maml, workload
from tinymeta.engine.tree import leaves

SINE = workload("W1:tasks=3,steps=2,width=8")  # W1 with fewer tasks, another inner step, smaller layers
DENSE = Workload("dense", "an MLP with batch normalisation", characters(2, 3, 1, True), maml(cross_entropy, 1, 0.4))
CONV = Workload("conv", "a conv net", characters(1, 3, 1, False), maml(cross_entropy, 1, 0.4))
ROUNDING = 1e-9  # some thousand operations on numbers of size 1, in another order, in float64


def gradients(contender: str, job: Workload, dtype: Any) -> list[Any]:
    b = backend(contender, threads.count)
    step, arguments = prepared(job, b, dtype)
    return [np.asarray(b.numpy(g)) for g in leaves(step(*arguments)[2])]


@pytest.mark.parametrize("job", [SINE, DENSE, CONV, workload("hessian")], ids=lambda job: job.name)
def test_autograd_agrees_with_us(job: Workload) -> None:
    pytest.importorskip("autograd", reason="HIPS autograd is not installed: nothing to compare with")
    ours, theirs = (gradients(name, job, np.float64) for name in ("tinymeta eager", "HIPS autograd"))
    scale = max(np.abs(g).max() for g in ours)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=ROUNDING * scale)


@pytest.mark.parametrize("job", [SINE, DENSE, CONV, workload("hessian")], ids=lambda job: job.name)
def test_autograd_stays_in_float32(job: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between: a cotangent of float64 would slow what follows, and be cast back before the end."""
    reason = "HIPS autograd is not installed: nothing to look at"
    core = pytest.importorskip("autograd.core", reason=reason)
    add, seen = core.add_outgrads, set()

    def noted(before: Any, g: Any) -> Any:
        seen.add(getattr(g, "dtype", np.dtype(np.float32)))  # a gradient of a container has none
        return add(before, g)

    monkeypatch.setattr(core, "add_outgrads", noted)
    seen |= {g.dtype for g in gradients("HIPS autograd", job, np.float32)}
    assert seen == {np.dtype(np.float32)}
