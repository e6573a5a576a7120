"""The machine's measured peak, and how much of it a contender reaches.

The peak is that of a float32 product of two 1024 × 1024 matrices, by NumPy's BLAS or compiled by us, whichever is
faster, the best of several, in a process with the contenders' number of threads. What a workload costs is counted once,
in our compiled program of it (`Program.flops()`), and all contenders are judged by that number: one that does more work
for the same result has a lower share.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from tinymeta.bench.contender import environment

PROGRAM = """
import json, timeit
import numpy as np
import tinymeta as tm
REPEATS, SIDE = 20, 1024
a, b = np.random.default_rng(0).random((2, SIDE, SIDE), dtype=np.float32)
out, ours = np.empty_like(a), tm.compile(lambda a, b: a @ b)
x, y = tm.tensor(a), tm.tensor(b)
ways = (lambda: np.matmul(a, b, out=out), lambda: ours(x, y))
seconds = min(s for way in ways for s in timeit.repeat(way, number=1, repeat=REPEATS))
print(json.dumps(2 * SIDE**3 / seconds))
"""


def measured(threads: int) -> float:
    """Floating-point operations per second."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(threads), capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


def share(flops: float, seconds: float, peak: float) -> str:
    """The part of the peak (operations per second) that `flops` in `seconds` is, per cent with two digits."""
    per_cent = 100 * flops / seconds / peak
    return np.format_float_positional(per_cent, precision=2, fractional=False, trim="-") + "%"
