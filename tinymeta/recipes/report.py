"""What a run measured, how sure it is, and what others published: the numbers of `result.json` and of the table.

Every interval of the project is made here, by `interval`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.table import Row, Table


@dataclass(frozen=True)
class Interval:
    """A mean over tasks and the half-width of its 95 % confidence interval (NaN for a single task)."""

    mean: float
    half: float
    n: int
    unit: str = ""

    def __str__(self) -> str:
        return number(self.mean, self.half, self.unit)


@dataclass(frozen=True)
class Published:
    """A figure from the literature: `mean` ± `half` in the unit of the metric beside it, and its `source`."""

    mean: float
    half: float = math.nan
    source: str = ""


def published(recipe: str, case: str) -> dict[str, Published]:
    """The figures of `published.toml` for one case of a recipe, by row; none where nobody has published any."""
    found: dict[str, Any] = dict(_literature().get(recipe, {}).get(case, {}))
    source = found.pop("source", "")
    return {row: Published(figure[0], [*figure, math.nan][1], source) for row, figure in found.items()}


@cache
def _literature() -> dict[str, Any]:
    return tomllib.loads(files("tinymeta.recipes").joinpath("published.toml").read_text(encoding="utf-8"))


Metric = Interval | float | int
Metrics = Mapping[str, Metric | Mapping[str, Metric]]
Figures = Published | Sequence[Published]
Literature = Mapping[str, Figures | Mapping[str, Figures]]


@dataclass(frozen=True)
class Result:
    """What a recipe returns.

    Attributes
    ----------
    protocol : mapping
        How the numbers were measured, so that they may be compared: split, steps, tasks, transduction, budget.
    metrics : mapping
        Name to `Interval` or number. A mapping of mappings, `metrics["MAML"]["1 step"]`, prints as a grid.
    published : mapping
        The figures beside them under the same names; a name without a metric is printed too (`"people"`).
    next : str
        The command worth trying next; by default the run's evaluation on fresh tasks.
    """

    protocol: Mapping[str, object]
    metrics: Metrics
    published: Literature = field(default_factory=dict)
    next: str = ""


def interval(values: ArrayLike, unit: str = "") -> Interval:
    """Mean of one number per task with its 95 % half-width, t · s / √n, s and Student's t of n − 1 degrees of freedom.

    Raises: ValueError where there is no value, or more than one axis.

    Parameters
    ----------
    values : array_like, shape (n,)
        One number per independent task, in `unit`: for per cent, hand over `100 * accuracy` and `"%"`.

    Examples
    --------
    >>> print(interval([1.0, 2.0, 3.0]))
    2.0 ± 2.5
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"interval needs one number per task, an array of shape (n,), not {sample.shape}")
    n = sample.size
    half = student(n - 1) * sample.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return Interval(float(sample.mean()), float(half), n, unit)


def ahead(values: Mapping[str, ArrayLike], ours: str, unit: str = "") -> dict[str, Interval]:
    """What one method has more than each other on the same tasks, a row `ours − other` each: paired differences.

    >>> print(ahead({"a": [1.0, 5.0, 9.0], "b": [0.0, 4.5, 8.0]}, "a")["a − b"])
    0.83 ± 0.72
    """
    return {
        f"{ours} − {other}": interval(np.subtract(values[ours], sample), unit)
        for other, sample in values.items()
        if other != ours
    }


@cache
def student(freedom: int) -> float:
    """t with P(|T| < t) = 0.95 for Student's T of `freedom` ≥ 1 degrees of freedom ν, by bisection.

    With t = √ν tan θ the probability is a finite sum (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4): for even ν,
    sin θ (1 + ½ cos² θ + ½·¾ cos⁴ θ + …) up to cosᵛ⁻²; for odd ν, (θ + sin θ (cos θ + ⅔ cos³ θ + …)) · 2/π.

    >>> [round(student(n), 3) for n in (1, 4, 15, 599)]
    [12.706, 2.776, 2.131, 1.964]
    """
    odd = freedom % 2
    k = np.arange(1 + odd, freedom - 1, 2)
    factors = np.cumprod([1.0, *(k / (k + 1))])[: freedom // 2]

    def within(angle: float) -> float:
        total = math.sin(angle) * float(factors @ math.cos(angle) ** (odd + 2 * np.arange(len(factors))))
        return (angle + total) * 2 / math.pi if odd else total

    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return math.sqrt(freedom) * math.tan(middle)


def by_steps(values: Mapping[int, ArrayLike], unit: str = "") -> dict[str, Interval]:
    """A row of the table: from numbers of steps, each with one number per task, to columns with their intervals."""
    return {after(k): interval(sample, unit) for k, sample in values.items()}


def after(steps: int) -> str:
    """The name of the column: `1 step`, `5 steps`."""
    return f"{steps} step{'s' * (steps != 1)}"


def number(mean: float, half: float = math.nan, unit: str = "") -> str:
    """`mean ± half` to the two digits of `half` that mean something; four digits where it is unknown.

    A mean that is no finite number is that of something that diverges.

    >>> number(0.84731, 0.0712), number(89.7, 1.1, "%"), number(1.0, 0.0), number(3.2e-16)
    ('0.847 ± 0.071', '89.7 ± 1.1 %', '1 ± 0', '3.2e-16')
    """
    if not math.isfinite(mean):
        return "diverges"
    text = f"{mean:.4g}"
    if math.isfinite(half) and half > 0:
        digits = 1 - math.floor(math.log10(half))
        # Rounding may carry into the next power of ten: 0.0996 has two digits as 0.10.
        digits = 1 - math.floor(math.log10(round(half, digits)))
        places = max(digits, 0)
        readable = places <= 5 and abs(mean) < 1e6
        text = f"{mean:.{places}f} ± {half:.{places}f}" if readable else f"{mean:.2e} ± {half:.1e}"
    elif half == 0:
        text += " ± 0"
    return f"{text} {unit}".rstrip()


def tables(result: Result) -> list[Table]:
    """The result as tables: one for the plain metrics, one for those that form a grid."""
    grid = {name: line for name, line in result.metrics.items() if isinstance(line, Mapping)}
    flat = {name: metric for name, metric in result.metrics.items() if not isinstance(metric, Mapping)}
    beside = {name: figures for name, figures in result.published.items() if not isinstance(figures, Mapping)}
    within = {name: figures for name, figures in result.published.items() if isinstance(figures, Mapping)}
    if (set(beside) & set(grid)) or not set(within) <= set(grid):
        raise TypeError("published has the shape of metrics: a mapping of columns exactly where metrics has one")
    return [*([_list(flat, beside)] if flat or beside else []), *([_grid(grid, within)] if grid else [])]


def _list(metrics: Mapping[str, Metric], published: Mapping[str, Figures]) -> Table:
    """A row per metric with the first published figure beside it; further figures on rows of their own."""
    rows = []
    for name in dict.fromkeys([*metrics, *published]):
        own = _cell(metrics[name]) if name in metrics else ""
        unit = getattr(metrics.get(name), "unit", "")
        quoted = [(number(f.mean, f.half, unit), f.source) for f in _each(published.get(name, ()))]
        rows.append(Row((name, own, *(quoted or [("", "")])[0]), faint=not own))
        rows += [Row(("", "", *further), faint=True) for further in quoted[1:]]
    if published:
        return Table(("", "this run", "published", "source"), tuple(rows))
    return Table(("", "this run"), tuple(Row(row.cells[:2]) for row in rows))


def _grid(metrics: Mapping[str, Mapping[str, Metric]], published: Mapping[str, Mapping[str, Figures]]) -> Table:
    """A row per outer name, a column per inner one; under each row one fainter row per source."""
    columns = list(dict.fromkeys(column for line in metrics.values() for column in line))
    rows = []
    for name, line in metrics.items():
        rows.append(Row((name, *(_cell(line[column]) if column in line else "" for column in columns))))
        by_source: dict[str, dict[str, str]] = {}
        for column, figures in published.get(name, {}).items():
            unit = getattr(line.get(column), "unit", "")
            for figure in _each(figures):
                by_source.setdefault(figure.source, {})[column] = number(figure.mean, figure.half, unit)
        for source, cells in by_source.items():
            rows.append(Row((f"  {source or 'published'}", *(cells.get(c, "") for c in columns)), faint=True))
    return Table(("", *columns), tuple(rows))


def _cell(metric: Metric) -> str:
    return str(metric) if isinstance(metric, Interval) else number(metric)


def _each(figures: Figures) -> Sequence[Published]:
    return [figures] if isinstance(figures, Published) else figures
