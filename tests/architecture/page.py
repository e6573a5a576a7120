"""The facts in ARCHITECTURE.md: `python -m tests.architecture.page` writes what rooms import and how large they are."""

from __future__ import annotations

import re

from tests.architecture.sources import KERNELS, ROOT, sizes
from tests.architecture.test_imports import BELOW

PAGE = ROOT / "ARCHITECTURE.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| ([\d,]+) \|$", re.M)


def rows(text: str) -> dict[str, tuple[str, int]]:
    """What the page says of each room: what it may import, and its lines of code."""
    return {name: (below, int(lines.replace(",", ""))) for name, _, below, lines in ROW.findall(text)}


def below(room: str) -> str:
    """The cell of what a room may import."""
    return "NumPy, Numba" if room == KERNELS else ", ".join(f"`{name}`" for name in BELOW[room]) or "NumPy"


def main() -> None:
    lines = sizes()
    text = ROW.sub(
        lambda m: f"| `{m[1]}` | {m[2]} | {below(m[1])} | {round(lines[m[1]], -1):,} |",
        PAGE.read_text(encoding="utf-8"),
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
