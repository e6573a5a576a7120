"""`tinymeta bench`: the workloads, each run by every contender in turn, as a table.

A row says the median over rounds of each round's median. All contenders must agree on the gradients.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.bench.backends import CONTENDERS
from tinymeta.bench.contender import Contender, present, race
from tinymeta.bench.workloads import WORKLOADS, Workload
from tinymeta.engine.errors import UserError
from tinymeta.engine.files import write_text

ROUNDS = 5


def bench(parser: ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta bench [W1 …] [--peers [PYTHON]]`."""
    parser.add_argument(
        "workloads", nargs="*", metavar="W", help=f"of {', '.join([*WORKLOADS, 'micro'])} (default: all)"
    )
    parser.add_argument(
        "--peers", nargs="?", const=sys.executable, metavar="PYTHON",
        help="also JAX and PyTorch, as far as this interpreter (default: our own) has them",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads for each contender (default 2)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds (default {ROUNDS})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument(
        "--curves", type=Path, metavar="PNG", help="draw W1's time against tasks, inner steps and width instead"
    )
    options = parser.parse_args(arguments)
    if options.curves:
        from tinymeta.bench.curves import draw

        draw(options.curves, options.peers, options.threads, options.rounds)
        return
    chosen = options.workloads or [*WORKLOADS, "micro"]
    unknown = [name for name in chosen if name not in WORKLOADS and name != "micro"]
    if unknown:
        raise UserError(f"there is no workload '{unknown[0]}': they are {', '.join([*WORKLOADS, 'micro'])}")
    rows = [["workload", "contender", "ms", "ratio to ours", "first call, s", "peak, MB", "gradient differs by"]]
    for name in chosen:
        if name == "micro":
            from tinymeta.bench.micro import micro

            rows += micro(options.peers)
        else:
            rows += measure(WORKLOADS[name], options.peers, options.threads, options.rounds)
        print(_aligned(rows if name == chosen[0] else rows[-1:] if name == "micro" else rows), flush=True)
    if options.markdown:
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        write_text(options.markdown, "\n".join([head, "|---" * len(rows[0]) + "|", *body]) + "\n")


def measure(workload: Workload, peers: str | None, threads: int, rounds: int) -> list[list[str]]:
    """The rows of one workload."""
    contenders = present(workload, peers, threads, CONTENDERS)
    try:
        differences = _agreement(contenders)
        alive = race(contenders, rounds)
    finally:
        for c in contenders:
            c.close()
    ours = {c.name: float(np.median(c.rounds)) for c in alive}
    rows = []
    for c in contenders:
        if c not in alive:
            rows.append([workload.name, c.name, "can't run it", "", "", "", ""])
            continue
        ratio = ours[c.name] / ours["tinymeta compiled"]
        numbers = [f"{1e3 * ours[c.name]:.3g}", f"{ratio:.2f}", f"{c.first:.2f}", f"{c.peak:.0f}", differences[c.name]]
        rows.append([workload.name, c.name, *numbers])
    return rows


def _agreement(contenders: list[Contender]) -> dict[str, str]:
    """How far each contender's gradient in float64 is from ours, relative to the largest entry."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for k, c in enumerate(contenders):
            file = Path(folder) / f"{k}.npy"
            if c.ask(f"check {file}") is not None:
                found[c.name] = np.load(file, allow_pickle=False)
    ours = found.get("tinymeta eager")
    if ours is None:
        return {c.name: "?" for c in contenders}
    scale = np.abs(ours).max()
    return {c.name: f"{np.abs(found[c.name] - ours).max() / scale:.0e}" if c.name in found else "?" for c in contenders}


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
