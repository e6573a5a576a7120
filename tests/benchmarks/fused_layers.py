"""What fused layers and losses gain in whole networks: `python tests/benchmarks/fused_layers.py` prints it.

Every row is the median of 7 interleaved rounds, in microseconds, with the plain operations and with the fused ones.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.primitive import bind
from tinymeta.nn import layers, losses

ROUNDS = 7


def median_time(run: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def compare(name: str, run: Callable[[], Any], repeats: int) -> None:
    """Print a row of the table."""
    plainly = lambda primitive, *xs, **static: primitive.plain(*xs, **static)
    times: dict[Any, list[float]] = {bind: [], plainly: []}
    for _ in range(ROUNDS):
        for how in times:
            layers.bind = losses.bind = how
            times[how].append(median_time(run, repeats))
    fused, plain = (1e6 * float(np.median(t)) for t in times.values())
    print(f"| {name} | {plain:,.0f} | {fused:,.0f} | {plain / fused:.2f} |")


def main() -> None:
    rng = np.random.default_rng(0)

    def network(sizes: list[int], rows: int) -> tuple[Any, Callable[[Any], Any]]:
        x, labels = rng.standard_normal((rows, sizes[0])).astype(np.float32), rng.integers(0, sizes[-1], rows)
        return tm.nn.MLP(sizes, rng=rng), lambda model: tm.nn.cross_entropy(model(x), labels)

    print("| gradient of | plain, µs | fused, µs | ratio |\n|---|---|---|---|")
    for rows, classes in ((25, 5), (4000, 40)):
        z, labels = rng.standard_normal((rows, classes)).astype(np.float32), rng.integers(0, classes, rows)
        name = f"cross-entropy, {rows} rows of {classes}"
        compare(name, lambda z=z, k=labels: tm.grad(lambda z: tm.nn.cross_entropy(z, k))(z), 100)  # type: ignore[misc]
    small, omniglot, wide = [1, 40, 40, 2], [784, 256, 128, 64, 5], [256, 1024, 1024, 10]
    for sizes, rows, repeats in ((small, 10, 100), (omniglot, 25, 50), (wide, 512, 10)):
        model, loss = network(sizes, rows)
        name = f"a classifier {'-'.join(map(str, sizes))}, {rows} rows"
        compare(name, lambda m=model, f=loss: tm.grad(f)(m), repeats)  # type: ignore[misc]


if __name__ == "__main__":
    main()
