"""The gallery: each recipe with its question, what was measured of it, how, and what others published.

Every number comes from `tutorials/results/*.json`, which says command, commit, seeds and machine. An interval's place on
its line is a style of its cell, so that the plot is the table.
"""

from __future__ import annotations

import dataclasses
import json
import math
from html import escape
from pathlib import Path

from tinymeta import recipes
from tinymeta.recipes import claims
from tinymeta.recipes.claim import Claim
from tinymeta.recipes.report import Interval, _literature
from tutorials.site.pages import Site, claim_names, toctree

FIGURES = Path(__file__).with_name("figures")


def add(site: Site) -> None:
    """A page per recipe, and one with all of them."""
    measured: dict[str, list[str]] = {name: [] for name in recipes.RECIPES}
    for name in claims.names():
        measured[claims.load(name).recipe].append(name)
    cards = []
    for recipe, entry in recipes.RECIPES.items():
        found = [_claim(name, claims.load(name)) for name in measured[recipe]]
        parts = [_question(recipe), _figure(recipe, measured[recipe]), *found, _keys(recipe), _published(recipe)]
        site.add(f"gallery/{recipe}", "\n\n".join(filter(None, parts)))
        cards.append(f"- [**{recipe}**](/gallery/{recipe}.md) {entry.idea}")
    listed = "\n".join(f"/gallery/{recipe}" for recipe in recipes.RECIPES)
    intro = "`tinymeta run NAME` runs one and prints its numbers beside the published ones. "
    intro += "Each page has what was measured, how, and how to run it again."
    site.add("gallery/index", f"# Recipes\n\n{intro}\n\n" + "\n".join(cards) + f"\n\n{toctree(listed, ':hidden:')}")


def _question(recipe: str) -> str:
    module, idea = recipes.RECIPES[recipe]
    file = f"{module.replace('.', '/')}.py"
    docstring = __import__(module, fromlist=["_"]).__doc__.strip()
    command = "tinymeta" if recipe == "main" else f"tinymeta run {recipe}"
    return f"# {recipe}\n\n*{_capital(idea)}.*\n\n{docstring}\n\n```bash\n{command}\n```\n\nIts code: [{file}]({file})"


def _figure(recipe: str, names: list[str]) -> str:
    """What the first run of the recipe's claim drew, where that was kept."""
    alt = json.loads((FIGURES / "alt.json").read_text(encoding="utf-8"))
    if recipe not in alt:
        return ""
    claim = claims.load(names[0])
    drawn = f"Drawn by `{claim.command} --seed {claim.runs[0].seed}` on `{claim.runs[0].commit}`."
    return f"![{alt[recipe]}](tutorials/site/figures/{recipe}.png)\n\n{drawn}"


def _claim(name: str, claim: Claim) -> str:
    """What was measured of one system: numbers on a line, and the runs that they are of."""
    targets = "\n".join(f"({name}-{number})=" for number in claim_names(name))
    shown = {number: claim.of(number) for number in claim.numbers if any(number in run.found for run in claim.runs)}
    unit = f" in {claim.unit}" if claim.unit else ""
    said = f"{_capital(claim.claim)}{unit}, {'less' if claim.less else 'more'} is better"
    said += f"; beside its rival: {claim.verdict}." if claim.verdict else "."
    heading = f"{targets}\n## {_capital(claim.system)}: {claim.claim}"
    return "\n\n".join(filter(None, [heading, said, _plot(claim, shown), claim.note, _runs(name, claim)]))


def _plot(claim: Claim, shown: dict[str, Interval]) -> str:
    """A row for each number: its name, the interval in digits, and where it lies between the least and the most."""
    low = min(one.mean - _half(one) for one in shown.values())
    high = max(one.mean + _half(one) for one in shown.values())
    place = lambda x: 100 * (x - low) / ((high - low) or 1)
    rows = []
    for number, one in shown.items():
        start, stop = place(one.mean - _half(one)), place(one.mean + _half(one))
        kind = "ours" if number == claim.ours else "rival" if number == claim.rival else ""
        line = f'<span class="reach" style="left:{start:.1f}%;width:{stop - start:.1f}%"></span>'
        line += f'<span class="mean" style="left:{place(one.mean):.1f}%"></span>'
        cells = f'<th scope="row">{escape(", ".join(claim.numbers[number]))}</th><td>{claim.shown(number)}</td>'
        rows.append(f'<tr class="{kind}">{cells}<td class="line">{line}</td></tr>')
    head = '<tr><th scope="col">what</th><th scope="col">measured</th><th scope="col">mean and 95 % interval</th></tr>'
    return f'<table class="intervals"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _half(one: Interval) -> float:
    return 0.0 if math.isnan(one.half) else one.half


def _runs(name: str, claim: Claim) -> str:
    lines = ["| seed | commit | time | memory | machine |", "|---|---|---|---|---|"]
    for run in claim.runs:
        time = "–" if run.seconds is None else f"{run.seconds:.0f} s"
        memory = "–" if run.memory is None else f"{run.memory:.0f} MB"
        carried = ", carried over from an earlier page" * run.carried
        lines.append(f"| {run.seed} | `{run.commit}` | {time} | {memory} | {run.machine}{carried} |")
    said = f"`{claim.command}`; again, with a verdict: `tinymeta reproduce {name}`."
    table = "\n".join(lines)
    return f"{said}\n\n<details><summary>The runs</summary>\n\n{table}\n\n</details>"


def _keys(recipe: str) -> str:
    """The protocol: what `--set` changes, and what holds where nothing is said."""
    lines = ["## Protocol", "| key | default | what it is |", "|---|---|---|"]
    for entry in dataclasses.fields(recipes.find(recipe).config):
        lines.append(f"| `{entry.name}` | {_cell(entry.default)} | {_cell(entry.metadata['help'])} |")
    return "\n".join([lines[0], "", *lines[1:]])


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text.replace("|", "\\|")


def _published(recipe: str) -> str:
    cases = _literature().get(recipe, {})
    lines = ["## Published", "", "| case | row | figure | source |", "|---|---|---|---|"]
    for case, rows in cases.items():
        for row, figure in rows.items():
            if row != "source":
                lines.append(f"| {case} | {row} | {' ± '.join(map(str, figure))} | {_cell(rows.get('source', ''))} |")
    return "\n".join(lines) + "\n" if cases else ""
