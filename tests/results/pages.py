"""Measured numbers in README, the changelog and the pages of `tutorials/` are links to the data that they come from:

    [0.559 ± 0.048](tutorials/results/main.json#maml), [18 s](tutorials/results/main.json#seconds)

`python -m tests.results.pages` writes what the data say into every such link; units stand outside.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from tinymeta.recipes import claims

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("tutorials/*.md")])
LINK = re.compile(r"\[([^\[\]]*)\]\(((?:tutorials/)?results/([\w-]+)\.json)#([\w-]+)\)")
INTERVAL = re.compile(r"[-−+]?\d[\d.,]* ± \d[\d.,]*\d|[-−+]?\d[\d.,]* ± \d")
HISTORY = "## [0.1.0]"  # what stands below was said of that version, and stays


def rendered(text: str) -> str:
    """The page with the numbers that the data have today."""
    return LINK.sub(lambda m: f"[{_claim(m[3]).shown(m[4])}]({m[2]}#{m[4]})", text)


def loose(text: str) -> list[str]:
    """The intervals of a page that are neither links to data nor published by others."""
    today = LINK.sub("", text.partition(HISTORY)[0])
    return [found for found in INTERVAL.findall(today) if tuple(map(float, found.split(" ± "))) not in published()]


@cache
def published() -> set[tuple[float, ...]]:
    """What stands in `published.toml`, mean and half-width."""
    there = tomllib.loads((ROOT / "tinymeta" / "recipes" / "published.toml").read_text(encoding="utf-8"))
    tables = [table for group in there.values() for table in group.values()]
    return {tuple(figure) for table in tables for figure in table.values() if isinstance(figure, list)}


@cache
def _claim(name: str) -> claims.Claim:
    return claims.load(name)


def main() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if rendered(text) != text:
            page.write_text(rendered(text), encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
