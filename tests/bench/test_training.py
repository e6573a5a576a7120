"""Plain training steps of the benchmark: compiled they are what they are in eager code, and train every weight."""

from __future__ import annotations

import numpy as np
import pytest
from tinymeta_kernels import threads

from tinymeta.bench.backends import backend
from tinymeta.bench.networks import Workload
from tinymeta.bench.training import TRAINING
from tinymeta.bench.worker import prepared
from tinymeta.engine.tree import leaves

ROUNDING = 1e-11  # sums of 10⁵ terms and chains of some thousand operations, in another order, in float64


@pytest.mark.parametrize("job", TRAINING, ids=lambda job: job.name)
def test_compiled_steps_agree_with_eager_ones(job: Workload) -> None:
    found = []
    for contender in ("tinymeta eager", "tinymeta compiled"):
        b = backend(contender, threads.count)
        step, arguments = prepared(job, b, np.float64)
        found.append([b.numpy(leaf) for leaf in leaves(step(*arguments)[2])])
    scale = max(np.abs(g).max() for g in found[0])
    for eager, compiled in zip(*found, strict=True):
        assert np.abs(eager).max() > 0, "a weight without a gradient is trained by nobody"
        np.testing.assert_allclose(compiled, eager, rtol=0, atol=ROUNDING * scale)
