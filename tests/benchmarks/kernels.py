"""The table of kernels/README.md: each kernel against the same thing in NumPy.

    python tests/benchmarks/kernels.py               prints the table (about two minutes)
    python tests/benchmarks/kernels.py conv2d …      only these kernels
    python tests/benchmarks/kernels.py --readme      writes it into the README

Both forms run in turn, and the medians are compared, so that whatever else the machine does meets both alike.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
sys.path.insert(0, str(KERNELS))

import tinymeta_kernels as tk  # noqa: E402
from tinymeta_kernels import _jit, threads  # noqa: E402

SECONDS = 0.25  # for one comparison
MARK = "<!-- table -->\n"
rng = np.random.default_rng(0)


@dataclass
class Row:
    """A kernel at one size, ready to be called."""

    name: str
    size: str
    operations: int
    numbers: int
    ours: Callable[[], Any]
    numpy: Callable[[], Any] | None = None
    """What to compare with; None for the kernel's own NumPy form."""


def images(dtype: type, tasks: int, n: int, c: int, size: int) -> np.ndarray:
    """(tasks, n, c, size, size) in channels-last memory, as convolutions leave them."""
    return np.moveaxis(rng.standard_normal((tasks, n, size, size, c)).astype(dtype), -1, -3)


def numpy_windows(x: np.ndarray) -> np.ndarray:
    """All 3x3 windows with stride 2 and padding 1, as rows: (tasks, n·OH·OW, C·9)."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(-2, -1))[..., ::2, ::2, :, :]
    t, n, c, oh, ow = view.shape[:5]
    return np.moveaxis(view, 2, 4).reshape(t, n * oh * ow, c * 9)


def convolutions(dtype: type) -> Iterator[Row]:
    how: Any = {"stride": (2, 2), "padding": (1, 1)}
    for tasks, n, c, o, size in [(4, 5, 8, 8, 7), (32, 5, 64, 64, 14)]:
        x, w = images(dtype, tasks, n, c, size), rng.standard_normal((tasks, o, c, 3, 3)).astype(dtype)
        y = tk.conv2d(x, w, **how)
        g, out = rng.standard_normal(y.shape).astype(dtype), y.shape[-1]
        g = np.moveaxis(np.ascontiguousarray(np.moveaxis(g, -3, -1)), -1, -3)
        rows, k = n * out * out, 9 * c
        label = f"{tasks} tasks, {n} images {c}×{size}×{size}, {o} filters 3×3/2"
        operations, numbers = 2 * tasks * rows * k * o, x.size + w.size + y.size
        in_rows = np.moveaxis(g, 2, -1).reshape(tasks, rows, o)

        def numpy_input(g=in_rows, w=w, n=n, c=c, o=o, size=size, out=out) -> np.ndarray:
            col = (g @ w.reshape(-1, o, c * 9)).reshape(-1, n, out, out, c, 3, 3)
            padded = np.zeros((len(col), n, size + 2, size + 2, c), col.dtype)
            for i, j in np.ndindex(3, 3):
                padded[:, :, i : i + 2 * out - 1 : 2, j : j + 2 * out - 1 : 2] += col[..., i, j]
            return padded[:, :, 1:-1, 1:-1]

        yield Row(
            "conv2d", label, operations, numbers,
            lambda x=x, w=w: tk.conv2d(x, w, **how),
            lambda x=x, w=w, o=o, k=k: numpy_windows(x) @ w.reshape(-1, o, k).mT,
        )  # fmt: skip
        yield Row(
            "conv2d_input", label, operations, numbers,
            lambda g=g, w=w, size=size: tk.conv2d_input(g, w, (size, size), **how),
            numpy_input,
        )  # fmt: skip
        yield Row(
            "conv2d_weight", label, operations, numbers,
            lambda x=x, g=g: tk.conv2d_weight(x, g, (3, 3), **how),
            lambda x=x, g=in_rows: g.mT @ numpy_windows(x),
        )  # fmt: skip


def pooling(dtype: type) -> Iterator[Row]:
    pool: Any = {"window": (2, 2), "stride": (2, 2)}
    for n, c, size in [(5, 8, 8), (160, 64, 14)]:
        x = images(dtype, 1, n, c, size)[0]
        label, quarter = f"{n} images {c}×{size}×{size}, 2×2/2", x.size // 4
        index, y = tk.max_pool2d_index(x, **pool), tk.avg_pool2d(x, **pool)
        yield Row("max_pool2d_index", label, x.size, x.size + quarter, lambda x=x: tk.max_pool2d_index(x, **pool))
        yield Row("take_flat", label, 0, 3 * quarter, lambda x=x, i=index: tk.take_flat(x, i))
        yield Row(
            "scatter_flat", label, quarter, 2 * quarter + x.size,
            lambda y=y, i=index, size=size: tk.scatter_flat(y, i, (size, size)),
        )  # fmt: skip
        yield Row("avg_pool2d", label, x.size, x.size + quarter, lambda x=x: tk.avg_pool2d(x, **pool))
        yield Row(
            "avg_pool2d_input", label, x.size, x.size + quarter,
            lambda y=y, size=size: tk.avg_pool2d_input(y, (size, size), **pool),
        )  # fmt: skip


def rows(dtype: type) -> Iterator[Row]:
    for lead, k in [((25, 10), 5), ((1000,), 1000)]:
        x = rng.standard_normal((*lead, k)).astype(dtype)
        labels, g = rng.integers(0, k, lead), rng.standard_normal(lead).astype(dtype)
        size = f"{x.size // k} rows of {k}"
        yield Row(
            "softmax_cross_entropy", size, 3 * x.size, x.size, lambda x=x, k=labels: tk.softmax_cross_entropy(x, k)
        )
        yield Row(
            "softmax_cross_entropy_grad", size, 5 * x.size, 2 * x.size,
            lambda x=x, k=labels, g=g: tk.softmax_cross_entropy_grad(x, k, g),
        )  # fmt: skip


def normalisation(dtype: type) -> Iterator[Row]:
    sizes: list[tuple[str, np.ndarray, tuple[int, ...]]] = [
        ("batch norm of (25, 10, 40)", rng.standard_normal((25, 10, 40)).astype(dtype), (-2,)),
        ("batch norm of (32, 5, 64, 14, 14)", images(dtype, 32, 5, 64, 14), (-4, -2, -1)),
        ("layer norm of (4096, 64)", rng.standard_normal((4096, 64)).astype(dtype), (-1,)),
    ]
    for size, x, axes in sizes:
        y, s = tk.normalize(x, axes, 1e-5)
        yield Row("normalize", size, 6 * x.size, 2 * x.size, lambda x=x, axes=axes: tk.normalize(x, axes, 1e-5))
        yield Row(
            "normalize_input", size, 8 * x.size, 3 * x.size,
            lambda x=x, y=y, s=s, axes=axes: tk.normalize_input(x, y, s, axes),
        )  # fmt: skip
        yield Row(
            "normalize_input_grad", size, 12 * x.size, 4 * x.size,
            lambda x=x, y=y, s=s, axes=axes: tk.normalize_input_grad(x, x, y, s, axes),
        )  # fmt: skip


def scattering(dtype: type) -> Iterator[Row]:
    for n, size, width in [(250, 100, 16), (100_000, 1000, 64)]:
        values, index = rng.standard_normal((n, width)).astype(dtype), rng.integers(0, size, n)
        yield Row(
            "scatter_add", f"{n} rows of {width} into {size}", values.size, 3 * values.size,
            lambda v=values, i=index, size=size: tk.scatter_add(v, i, size, axis=-2),
        )  # fmt: skip


def products(dtype: type) -> Iterator[Row]:
    for tasks, m, k, n, shared in [
        (25, 10, 1, 40, False),
        (25, 10, 40, 40, False),
        (25, 10, 40, 40, True),
        (32, 5, 784, 256, False),
        (32, 5, 784, 256, True),
    ]:
        a = rng.standard_normal((tasks, m, k)).astype(dtype)
        b = rng.standard_normal((k, n) if shared else (tasks, k, n)).astype(dtype)
        bias = rng.standard_normal((tasks, n)).astype(dtype)
        size = f"{tasks} tasks, {m}×{k} by {k}×{n}{' shared' if shared else ''}"
        work, numbers = 2 * tasks * m * k * n, a.size + b.size + tasks * m * n
        yield Row("matmul", size, work, numbers, lambda a=a, b=b: tk.matmul(a, b), lambda a=a, b=b: np.matmul(a, b))
        if not shared:
            yield Row(
                "linear_relu", size, work, numbers,
                lambda a=a, b=b, c=bias: tk.linear_relu(a, b, c),
                lambda a=a, b=b, c=bias: np.maximum(a @ b + c[:, None], 0),
            )  # fmt: skip


def elementwise(dtype: type) -> Iterator[Row]:
    for n in (2_000, 2_000_000):
        p, g = rng.standard_normal((2, n)).astype(dtype)
        v = g * g
        yield Row("relu_input", f"{n}", n, 3 * n, lambda p=p, g=g: tk.relu_input(g, p))
        yield Row("sgd_update", f"{n}", 4 * n, 5 * n, lambda p=p, g=g, v=v: tk.sgd_update(p, g, v, 0.1, 0.9))
        yield Row("adam_update", f"{n}", 14 * n, 7 * n, lambda p=p, g=g, v=v: tk.adam_update(p, g, g, v, 1, 0.1))
        yield Row("erf", f"{n}", n, 2 * n, lambda p=p: tk.erf(p))


FAMILIES = [convolutions, pooling, rows, normalisation, scattering, products, elementwise]


@contextmanager
def numpy_forms() -> Iterator[None]:
    """As on a machine without Numba."""
    _jit._has_numba = False
    try:
        yield
    finally:
        _jit._has_numba = True


def medians(row: Row) -> tuple[float, float]:
    """Seconds in NumPy and in ours, called in turn."""

    def in_numpy() -> None:
        if row.numpy is not None:
            row.numpy()
        else:
            with numpy_forms():
                row.ours()

    spent: tuple[list[float], list[float]] = ([], [])
    in_numpy(), row.ours()
    started = time.perf_counter()
    while time.perf_counter() - started < SECONDS or len(spent[0]) < 7:
        for form, times in zip((in_numpy, row.ours), spent):
            begin = time.perf_counter()
            form()
            times.append(time.perf_counter() - begin)
    return statistics.median(spent[0]), statistics.median(spent[1])


def quantity(x: float, unit: str) -> str:
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if x >= factor:
            return f"{x / factor:.3g} {prefix}{unit}"
    return f"{x:.3g} {unit}".strip()


def duration(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def table(only: set[str]) -> Iterator[str]:
    yield "| kernel | at | operations | float32: bytes, NumPy → ours | gain | float64: NumPy → ours | gain |"
    yield "|---|---|---|---|---|---|---|"
    for family in FAMILIES:
        for single, double in zip(family(np.float32), family(np.float64), strict=True):
            if only and single.name not in only:
                continue
            (n32, o32), (n64, o64) = medians(single), medians(double)
            yield (
                f"| `{single.name}` | {single.size} | {quantity(single.operations, '') if single.operations else '–'} "
                f"| {quantity(4 * single.numbers, 'B')}, {duration(n32)} → {duration(o32)} | {n32 / o32:.1f} "
                f"| {duration(n64)} → {duration(o64)} | {n64 / o64:.1f} |"
            )


def conditions() -> str:
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    get = threads.blas_function("get_num_threads")
    blas = f" ({get()} in NumPy's BLAS)" if get else ""
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, "
        f"threads: {threads.count}{blas}{load}. Medians of calls in turn.\n\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="*")
    parser.add_argument("--readme", action="store_true", help="write the table into kernels/README.md")
    options = parser.parse_args()
    tk.warmup()
    lines = []
    for line in table(set(options.kernels)):
        print(line, flush=True)
        lines.append(line + "\n")
    print("\n" + conditions().strip())
    if options.readme:
        readme = KERNELS / "README.md"
        before, _, after = readme.read_text().split(MARK)
        readme.write_text(MARK.join([before, conditions() + "".join(lines), after]))


if __name__ == "__main__":
    main()
