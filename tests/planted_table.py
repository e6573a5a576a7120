"""The end of the suite's report: which faults were planted, and what caught them.

A test says it by pytest's `record_property`, which goes with its result from whichever process it ran in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

IN_A_RULE = "planted in a primitive"  # a `Verdict`
IN_THE_COMPILER = "planted in the compiler"  # what was planted, and what caught it


class Verdict(NamedTuple):
    """What became of a fault planted in a primitive."""

    primitive: str
    fault: str
    entry: int  # the input whose gradient is wrong
    caught: str  # the number of the property that noticed first; "" if none did, "–" if the fault changes nothing


def recorded(terminalreporter: Any, name: str) -> Iterator[Any]:
    """What the tests recorded under this name, in the order of their names: that of the results is by chance."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "when")]
    for report in sorted(reports, key=lambda report: report.nodeid):
        if report.when == "call":
            yield from (value for key, value in report.user_properties if key == name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The faults of the compiler one by one; of the primitives' (P15) how many of each kind each property caught."""
    faults = list(recorded(terminalreporter, IN_THE_COMPILER))
    if faults:
        terminalreporter.section("faults planted in the compiler: what caught them")
    for fault, catcher in faults:
        terminalreporter.write_line(f"{fault:58} {catcher or 'MISSED'}")
    verdicts = [Verdict(*value) for value in recorded(terminalreporter, IN_A_RULE)]
    if verdicts:
        terminalreporter.section("planted faults: the property that caught them first")
    for line in counted(verdicts) if verdicts else ():
        terminalreporter.write_line(line)


def counted(found: list[Verdict]) -> Iterator[str]:
    """The table of P15: a line for each kind of fault, a column for each property."""
    counts = Counter((v.fault, v.caught) for v in found)
    names = sorted({v.caught for v in found} - {"–", ""})
    yield f"{'fault':24}{'planted':>8}" + "".join(f"{n:>6}" for n in names) + f"{'missed':>8}"
    for fault in dict.fromkeys(v.fault for v in found):
        row = [counts[fault, name] for name in names]
        missed = counts[fault, ""]
        cells = "".join(f"{n or '·':>6}" for n in row)
        yield f"{fault:24}{sum(row) + missed:8}{cells}{missed:8}"
    tried = len({v.primitive for v in found})
    same = sum(counts[fault, "–"] for fault in {v.fault for v in found})
    yield f"{tried} primitives; {same} further plantings change nothing and are not counted"
