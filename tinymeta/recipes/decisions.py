"""The decision table of `tutorials/systems.md`: method by method, what it gains, what it costs, and when it fails.

    python -m tinymeta.recipes.decisions RUN ... --page tutorials/systems.md

reads the `result.json` of each run's folder and writes the table between the page's two markers. The numbers are the
runs'; what is said of failure here is what the runs showed.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinymeta.engine.errors import UserError
from tinymeta.io.files import write_text
from tinymeta.recipes.report import number

BEGIN, END = "<!-- decisions -->", "<!-- end of decisions -->"
Place = tuple[str, str]  # the beginning of a row's name in `metrics`, and the column


class Decision(NamedTuple):
    """What the table says of one system: its number and its rival's, and what the run can't say by itself."""

    method: str
    measure: str
    ours: Place
    rival: Place
    fails: str


DECISIONS: dict[str, Decision] = {
    "main": Decision(
        "initial weights (MAML)",
        "error after 1 step, less is better",
        ("MAML", "1 step"),
        ("joint training", "1 step"),
        "where tasks share no structure, or many steps and examples are at hand",
    ),
    "stream": Decision(
        "initial weights and step sizes, online",
        "summed error, less is better",
        ("meta-learned weights and step sizes", "sum over 200 times"),
        ("MAML's weights", "sum over 200 times"),
        "on streams far longer than the training's, if step sizes were learned too large to settle",
    ),
    "learned-optimizer": Decision(
        "learned update rule (LSTM)",
        "log₁₀ loss after 60 steps, less is better",
        ("badly scaled quadratics: learned, LSTM", "log₁₀ loss after 60"),
        ("badly scaled quadratics: Adam", "log₁₀ loss after 60"),
        "the paper's own quadratics: a tie with tuned momentum; past its horizon, which momentum wins",
    ),
    "learned-loss": Decision(
        "learned loss",
        "error after 5 steps, less is better",
        ("learned loss", "5 steps"),
        ("own loss, Adam", "5 steps"),
        "past the steps that it was trained for, and on a deeper network",
    ),
    "hypergradient": Decision(
        "step size by its own gradient",
        "final loss, less is better",
        ("Adam, tuned online", "from 0.01"),
        ("Adam, step size fixed", "best of 11"),
        "plain SGD on noisy batches: 7 % above the grid's best (it looks one step ahead)",
    ),
    "memory": Decision(
        "memory of gradients, projection",
        "average accuracy, %",
        ("PCGrad against every gradient", "average accuracy"),
        ("no memory", "average accuracy"),
        "where tasks do not conflict there is nothing to project",
    ),
    "reweight": Decision(
        "weights on examples",
        "accuracy with 40 % flipped labels, %",
        ("Ren et al.", "accuracy, flipped to one class"),
        ("robust loss", "accuracy, flipped to one class"),
        "labels flipped to any class alike: a tuned robust loss does as well",
    ),
    "distill-data": Decision(
        "learned examples",
        "accuracy from one image per class, %",
        ("one synthetic image per class", "glyphs"),
        ("one real image per class", "glyphs"),
        "for another network or a longer training than they were made for",
    ),
    "teacher": Decision(
        "a teacher that learns to teach",
        "the student's accuracy, %",
        ("MetaDistil", "student"),
        ("fixed teacher", "student"),
        "a teacher fine-tuned on the same quiz set does as well",
    ),
    "domains": Decision(
        "weights for domains unseen",
        "error on unseen families, less is better",
        ("MLDG", "unseen families"),
        ("the pool", "unseen families"),
        "where domains do not disagree, or weight decay does the same",
    ),
    "games": Decision(
        "a policy's initial weights",
        "return in the grid game",
        ("grid game, return", "adapted"),
        ("grid game, return", "from scratch, 10 ×"),
        "games whose rules share nothing: on plain bandits ten times the pulls win",
    ),
    "navigation": Decision(
        "a policy's initial weights (MAML, TRPO)",
        "return after 1 step",
        ("MAML", "after 1 step"),
        ("pre-trained", "after 1 step"),
        "one step finds the goal's direction, hardly its distance: short of the published −9.12",
    ),
    "language": Decision(
        "learned Adam on a joint model",
        "bits per character after 10 steps, less is better",
        ("joint training, then learned Adam", "10 steps"),
        ("joint training, fine-tuned", "10 steps"),
        "with no step at all; where languages share most of their structure the gain is small",
    ),
    "unsupervised": Decision(
        "pseudo-tasks without labels (UMTRA)",
        "5-way 1-shot accuracy, %",
        ("UMTRA", "5-way 1-shot"),
        ("nearest neighbour in pixels", "5-way 1-shot"),
        "where distortions change the class",
    ),
}


def table(folders: Sequence[Path]) -> str:
    """The table in Markdown, a row for each run, in the order of `DECISIONS`.

    Raises
    ------
    UserError
        A folder holds no finished run, one of a recipe that the table does not know, or its numbers lack a row.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for folder in folders:
        try:
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no finished run (result.json): {error}") from error
        if result["recipe"] not in DECISIONS:
            raise UserError(f"{folder} is a run of {result['recipe']}, of which the table says nothing")
        found[result["recipe"]] = result
    lines = [
        "| method | recipe | measure | with it | without | time | memory | when it fails |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, decision in DECISIONS.items():
        if name in found:
            result = found[name]
            ours, rival = (_number(result["metrics"], place) for place in (decision.ours, decision.rival))
            cost = f"{result['seconds']:.0f} s | {result.get('peak_mb') or '?'} MB"
            cells = [decision.method, f"`{name}`", decision.measure, ours, rival, cost, decision.fails]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(metrics: Mapping[str, Any], place: Place) -> str:
    start, column = place
    row = next((name for name in metrics if name.startswith(start)), None)
    value = None if row is None else metrics[row].get(column)
    if value is None:
        raise UserError(f"the run has no number '{start}, {column}': its keys differ from the defaults")
    return number(value["mean"], value["half"]) if isinstance(value, Mapping) else number(value)


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m tinymeta.recipes.decisions", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--page", type=Path, help="the page to write the table into; else it is printed")
    options = parser.parse_args(arguments)
    text = table(options.runs)
    if options.page is None:
        print(text)
        return
    before, _, rest = options.page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text(options.page, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
