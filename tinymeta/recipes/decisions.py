"""The decision table of `tutorials/systems.md`: method by method, what it gains, what it costs, and when it fails.

    python -m tinymeta.recipes.decisions RUN ... --page tutorials/systems.md

reads the `result.json` of each run's folder and writes its numbers into the row of its recipe, between the page's two
markers. The words of a row, what a method is and what the runs showed of its failures, are written on the page.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinymeta.engine.errors import UserError
from tinymeta.io.files import read_json, write_text
from tinymeta.recipes.report import number

BEGIN, END = "<!-- decisions -->", "<!-- end of decisions -->"
# Of each recipe its number and its rival's: the beginnings of rows of `metrics`, and the column.
PLACES = {
    "main": ("MAML", "joint training", "1 step"),
    "stream": ("meta-learned weights and step sizes", "MAML's weights", "sum over 200 times"),
    "learned-optimizer": (
        "badly scaled quadratics: learned, LSTM",
        "badly scaled quadratics: Adam",
        "log₁₀ loss after 60",
    ),
    "learned-loss": ("learned loss", "own loss, Adam", "5 steps"),
    "hypergradient": ("Adam, tuned online", "Adam, step size fixed", "from 0.01", "best of 11"),
    "memory": ("PCGrad against every gradient", "replay of 200", "average accuracy"),
    "strategy": ("strategy network, mixture", "one learned mixture for all", "the four"),
    "reweight": ("Ren et al.", "plain, then clean alone", "accuracy, flipped to one class"),
    "distill-data": ("one synthetic image per class", "mean image of each class", "glyphs"),
    "teacher": ("MetaDistil", "fine-tuned teacher", "student"),
    "domains": ("MLDG", "the pool, without the hint", "unseen families"),
    "games": ("grid game, return", "grid game, return", "adapted", "from scratch, 10 ×"),
    "navigation": ("MAML", "pre-trained", "after 1 step"),
    "language": ("joint training, then learned Adam", "joint training, fine-tuned", "10 steps"),
    "unsupervised": ("UMTRA", "nearest neighbour in pixels", "5-way 1-shot"),
}


def updated(page: str, folders: Sequence[Path]) -> str:
    """The text of the page with the numbers of the runs in these folders.

    Raises: UserError where a folder holds no finished run, or one of a recipe that the table does not know, or
    its numbers lack a row.
    """
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    rows = [row.split(" | ") for row in table.split("\n")]
    for folder in folders:
        try:
            result = read_json(folder / "result.json")
        except UserError as error:
            raise UserError(f"{folder} holds no finished run (result.json): {error}") from error
        name = result["recipe"]
        row = next((cells for cells in rows if f"`{name}`" in cells), None)
        if name not in PLACES or row is None:
            raise UserError(f"{folder} is a run of {name}, of which the table says nothing")
        ours, rival, *columns = PLACES[name]
        numbers = [_number(result["metrics"], ours, columns[0]), _number(result["metrics"], rival, columns[-1])]
        row[3:7] = [*numbers, f"{result['seconds']:.0f} s", f"{result.get('peak_mb') or '?'} MB"]
    return before + begin + "\n".join(map(" | ".join, rows)) + end + after


def _number(metrics: Mapping[str, Any], start: str, column: str) -> str:
    row = next((name for name in metrics if name.startswith(start)), None)
    value = None if row is None else metrics[row].get(column)
    if value is None:
        raise UserError(f"the run has no number '{start}, {column}': its keys differ from the defaults")
    return number(value["mean"], value["half"]) if isinstance(value, Mapping) else number(value)


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m tinymeta.recipes.decisions", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--page", type=Path, required=True, help="the page whose table to bring up to date")
    options = parser.parse_args(arguments)
    write_text(options.page, updated(options.page.read_text(encoding="utf-8"), options.runs))


if __name__ == "__main__":
    main(sys.argv[1:])
