"""Products of ours beside those of NumPy's BLAS, call by call from compiled code, in turns, on one core.

    python tests/benchmarks/products.py [--bytes 32]

prints nanoseconds, the best of many turns, for ordinary (N) and transposed (T) factors; `--bytes` makes vectors of so
many bytes, as a processor without wider ones has them.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

import numpy as np
from numba import njit
from tinymeta_kernels import addresses, threads, vectors

SHAPES = (  # m, n, k
    (10, 40, 40), (10, 1, 40), (10, 40, 1), (25, 5, 64), (25, 64, 64), (64, 64, 64), (128, 128, 128), (128, 256, 784),
    (512, 512, 512),
)  # fmt: skip
TURNS, WORK = 15, 10_000_000  # multiply-adds in each of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, choices=(32, 64), default=vectors.VECTOR)
    vectors.VECTOR = parser.parse_args().bytes
    from tinymeta_kernels import products  # made for these vectors

    @njit
    def run(calls, blas, item, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc, panel):  # type: ignore[no-untyped-def]
        for _ in range(calls):
            products.multiply(blas, item, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc, panel)

    rng, panel = np.random.default_rng(0), np.zeros(products.PANEL, np.int64)
    print(f"vectors of {vectors.VECTOR} bytes\n| m, n, k | factors | dtype | BLAS, ns | ours, ns | ratio |")
    print("|---" * 6 + "|")
    with threads.one_blas_thread():
        for char, (m, n, k), turned in product("fd", SHAPES, product((False, True), repeat=2)):
            dtype = np.dtype(char)
            a, b, c = (rng.standard_normal(form).astype(dtype) for form in ((m, k), (k, n), (m, n)))
            a, b = (np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned))
            how = [products.TRANSPOSED if turn else products.ORDINARY for turn in turned]
            given = [dtype.itemsize, *how, m, n, k, dtype.type(1), a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1]]
            given += [dtype.type(0), c.ctypes.data, n, panel.ctypes.data]
            calls, best = max(20, WORK // (m * n * k + 2000)), dict.fromkeys((addresses.gemm(dtype) or 0, 0), np.inf)
            run(1, 0, *given)
            for _, address in product(range(TURNS), best):
                start = time.perf_counter()
                run(calls, address, *given)
                best[address] = min(best[address], (time.perf_counter() - start) / calls)
            blas, ours = (1e9 * seconds for seconds in best.values())
            form = "".join("NT"[turn] for turn in turned)
            print(f"| {m}, {n}, {k} | {form} | {dtype} | {blas:.0f} | {ours:.0f} | {ours / blas:.2f} |", flush=True)


if __name__ == "__main__":
    main()
