"""`tinymeta bench`: the workloads, each run by every contender in turn, as a table.

A row says the median over rounds of each round's median. All contenders must agree on the gradients; that is
checked first, in processes that have ended when the timing begins. The share of the peak is what peak.py says:
all contenders are judged by the operations of our program, so one that does more work has a lower share.
"""

from __future__ import annotations

import math
import sys
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter

import numpy as np

from tinymeta.bench import peak
from tinymeta.bench.against import COLUMNS as AGAINST_COLUMNS
from tinymeta.bench.against import ROUNDS as AGAINST
from tinymeta.bench.against import against, checkout
from tinymeta.bench.backends import CONTENDERS
from tinymeta.bench.contender import COMPILED, PATIENCE, checked, present, race
from tinymeta.bench.networks import Workload
from tinymeta.bench.workloads import WORKLOADS
from tinymeta.engine.errors import UserError
from tinymeta.io.files import named, write_text
from tinymeta.view.table import Row, Table

ROUNDS = 5
COLUMNS = {  # and what `--help` says of them
    "workload": "what is computed",
    "contender": "a framework, and the way in which it runs the workload",
    "ms": "median over rounds of a round's median time of a float32 step (micro: of one operation)",
    "ratio to ours": "ms over those of tinymeta compiled (micro: of tinymeta eager)",
    "first call, s": "with drawing the data and compiling",
    "checked, and not": "the first call alone, with its self-check and without, in seconds; kernels and code are warm",
    "peak, MB": "memory of the process that was timed, which did nothing else",
    "share of peak": "operations of our program / time / speed of a large float32 product, NumPy's or ours",
    "gradient differs by": "in float64, from tinymeta eager, relative to the largest entry",
}


def bench(parser: ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta bench [W1 …] [--peers [PYTHON]] [--against CHECKOUT]`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = _explanation()
    parser.add_argument(
        "workloads", nargs="*", metavar="W", help=f"of {', '.join([*WORKLOADS, 'micro'])} (default: all)"
    )
    parser.add_argument(
        "--peers", nargs="?", const=sys.executable, metavar="PYTHON",
        help="also JAX, PyTorch and HIPS autograd, as far as this interpreter (default: our own) has them",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads for each contender (default 2)")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"rounds (default {ROUNDS}, or {AGAINST} for --against)"
    )
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, metavar="S",
        help=f"seconds that a contender may take for an answer, compiling included (default {PATIENCE:.0f})",
    )  # fmt: skip
    parser.add_argument("--markdown", type=named, metavar="FILE", help="write the table there, too, and the peak")
    parser.add_argument(
        "--map",
        type=named,
        metavar="PNG",
        help="instead, vary one size at a time, and draw the ratios to the best peer",
    )
    parser.add_argument(
        "--against", type=named, metavar="CHECKOUT", help="instead, beside the version in that folder, round by round"
    )
    parser.add_argument("--curves", help=SUPPRESS)
    options = parser.parse_args(arguments)
    if options.curves:
        raise UserError("there is no --curves any more: --map PNG draws every size beside the best peer instead")
    if options.map:
        from tinymeta.bench.heatmap import draw

        rounds, only = options.rounds or ROUNDS, tuple(options.workloads)
        draw(options.map, options.peers, options.threads, rounds, options.patience, only)
        return
    chosen = options.workloads or [*WORKLOADS, "micro"]
    unknown = [name for name in chosen if name not in WORKLOADS and name != "micro"]
    if unknown:
        raise UserError(f"there is no workload '{unknown[0]}': they are {', '.join([*WORKLOADS, 'micro'])}")
    said, rows = "", list[list[str]]()
    if options.against:
        there, rounds = checkout(options.against), options.rounds or AGAINST
        rows.append([*AGAINST_COLUMNS])
        for name in chosen:
            if name != "micro":
                rows.append(against(WORKLOADS[name], there, options.threads, rounds, options.patience))
                print(_table(rows), flush=True)
    else:
        speed = peak.measured(options.threads)
        said = f"Measured peak: {speed / 1e9:.3g} GFLOP/s (float32, {options.threads} threads)."
        print(said, flush=True)
        rows.append([*COLUMNS])
        for name in chosen:
            if name == "micro":
                from tinymeta.bench.micro import micro

                rows += micro(options.peers)
            else:
                rounds = options.rounds or ROUNDS
                rows += measure(WORKLOADS[name], options.peers, options.threads, rounds, speed, options.patience)
            print(_table(rows), flush=True)
    if options.markdown:
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        lines = [*([said, ""] if said else []), head, "|---" * len(rows[0]) + "|", *body]
        write_text(options.markdown, "\n".join(lines) + "\n")


def measure(
    workload: Workload, peers: str | None, threads: int, rounds: int, speed: float, patience: float = PATIENCE
) -> list[list[str]]:
    """The rows of one workload, on a machine whose measured peak is `speed` operations per second."""
    contenders = present(workload, peers, threads, CONTENDERS, patience)
    differences, told = checked(contenders)
    flops = told.get("flops", math.nan)
    alive = race(contenders, rounds)
    seconds = {c.name: float(np.median(c.rounds)) for c in alive}
    rows = []
    for c in contenders:
        if c not in alive:
            rows.append([workload.name, c.name, c.trouble, *[""] * (len(COLUMNS) - 3)])
            continue
        took = seconds[c.name]
        numbers = [f"{1e3 * took:.3g}", f"{took / seconds[COMPILED]:.2f}", f"{c.first:.2f}"]
        checks = f"{told['checked']:.3f}, {told['unchecked']:.3f}" if "checked" in told and c.name == COMPILED else ""
        rest = [f"{c.peak:.0f}", peak.share(flops, took, speed), differences[c.name]]
        rows.append([workload.name, c.name, *numbers, checks, *rest])
    return rows


def _explanation() -> str:
    """What the table's rows and columns are, for `--help`."""
    workloads = {w.name: w.what for w in WORKLOADS.values()} | {"micro": "one small operation and its derivative"}
    parts = {"workloads": workloads, "contenders, and the module each needs": CONTENDERS, "columns": COLUMNS}
    return "\n\n".join(
        f"{title}:\n" + "\n".join(f"  {name:23}  {what}" for name, what in part.items())
        for title, part in parts.items()
    )


def _table(rows: list[list[str]]) -> str:
    return Table(tuple(rows[0]), tuple(Row(tuple(row)) for row in rows[1:])).plain()
