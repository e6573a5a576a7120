"""What is claimed of a system, from the runs that measured it: how sure it is, whether it beats its rival, and holds.

Nothing says that one method is better than another: that is what `Claim.verdict` finds. The files are in `claims.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinymeta.engine.errors import UserError
from tinymeta.recipes.config import closest
from tinymeta.recipes.report import Interval, interval, number, student

Found = list[float] | str  # mean, half-width, n; the mean alone; or the text that was published


@dataclass(frozen=True)
class Measured:
    """One run of a claim's command: `seed` may be a text where the recipe goes through several."""

    seed: int | str
    commit: str
    seconds: float | None
    memory: float | None
    machine: str
    found: dict[str, Found]
    carried: bool = False


@dataclass(frozen=True)
class Claim:
    """What was measured of a system, beside its strongest rival or what others published.

    Attributes
    ----------
    system, claim, unit, less : what was measured of what, in which unit, and whether less is better
    recipe, keys, then : `tinymeta run RECIPE --set KEYS`, and, after it, `tinymeta eval RUN --set THEN`
    numbers : the row and column of each number
    ours, rival, difference : names of numbers; `difference` is ours less the rival's, where the runs have it, paired
    published : another's figure in the same unit, for systems without a rival of ours
    at_most : a bound that holds for each run, where the claim is one
    runs : one for each seed
    trainings : whether the n of a run are trainings, each with its tasks: then those of several runs are pooled
    note : what a reader has to know of it
    """

    system: str
    claim: str
    less: bool
    recipe: str
    numbers: dict[str, list[str]]
    ours: str
    runs: list[Measured]
    unit: str = ""
    keys: dict[str, str] | None = None
    then: dict[str, str] | None = None
    rival: str = ""
    difference: str = ""
    published: str = ""
    at_most: float | None = None
    trainings: bool = False
    note: str = ""

    @property
    def command(self) -> str:
        words = ["tinymeta", *([] if self.recipe == "main" else ["run", self.recipe])]
        words += ["--set", *(f"{key}={value}" for key, value in self.keys.items())] if self.keys else []
        words += ["; tinymeta eval RUN --set", *(f"{k}={v}" for k, v in self.then.items())] if self.then else []
        return " ".join(words).replace(" ;", ";")

    def of(self, name: str) -> Interval:
        """A number: over the seeds where there are several, so with what training and test tasks add; else one run's.

        Raises: UserError where no run has it.
        """
        found = [read_number(run.found[name], self.unit) for run in self.runs if name in run.found]
        if not found:
            raise UserError(f"no run of this claim ({self.system}) has a number {name}{closest(name, self.numbers)}")
        if len(found) == 1:
            return found[0]
        return _pooled(found) if self.trainings else interval([one.mean for one in found], self.unit)

    def shown(self, name: str) -> str:
        """A number without its unit, `seconds`, `memory`, `commit`, `seeds`, `command`, as pages and tables show it."""
        if name == "command":
            return self.command
        if name == "commit":
            return ", ".join(dict.fromkeys(run.commit for run in self.runs))
        if name == "seeds":
            seeds = [run.seed for run in self.runs]
            row = len(seeds) > 2 and seeds == [*range(len(seeds))]
            told = f"0 to {seeds[-1]}" if row else ", ".join(map(str, seeds)) or "none"
            return f"{told} ({self.of(self.ours).n} trainings)" if self.trainings else told
        if name in ("seconds", "memory"):
            known = [value for run in self.runs if (value := getattr(run, name)) is not None]
            if not known:
                return "–"
            return f"{sum(known) / len(known):.0f} s" if name == "seconds" else f"{max(known):.0f} MB"
        texts = [run.found[name] for run in self.runs if name in run.found]
        if len(texts) == 1 and isinstance(texts[0], str):
            return texts[0]
        return number(self.of(name).mean, self.of(name).half)

    def gain(self) -> Interval | None:
        """How much better ours is than its rival, seed by seed or task by task where they met the same; else than what
        was published, as if independent (an interval of two: √(h₁² + h₂²)). None where there is neither."""
        sign = -1.0 if self.less else 1.0
        if self.difference and all(self.difference in run.found for run in self.runs):
            paired = self.of(self.difference)
            return Interval(sign * paired.mean, paired.half, paired.n, self.unit)
        other = self.rival or self.published
        if not other:
            return None
        if self.rival and len(self.runs) > 1 and not self.trainings:
            each = [[read_number(run.found[name]).mean for name in (self.ours, self.rival)] for run in self.runs]
            return interval([sign * (ours - rival) for ours, rival in each], self.unit)
        a, b = self.of(self.ours), self.of(self.rival) if self.rival else read_number(self.published)
        half = math.hypot(a.half, b.half if self.rival or "±" in self.published else 0.0)  # others tell a mean alone
        return None if math.isnan(half) else Interval(sign * (a.mean - b.mean), half, 1, self.unit)

    @property
    def verdict(self) -> str:
        """`better` and `worse` where the interval of the difference excludes 0, else `no difference`."""
        if self.at_most is not None:
            return (
                "holds" if all(read_number(run.found[self.ours]).mean <= self.at_most for run in self.runs) else "fails"
            )
        gain = self.gain()
        if gain is None:
            return ""
        return "better" if gain.mean > gain.half else "worse" if -gain.mean > gain.half else "no difference"

    def doubts(self, again: Claim) -> list[str]:
        """What of this claim new runs of it don't confirm, in a sentence each; nothing where it holds.

        With k seeds here and m there, a mean over m is expected within h·√(1 + k/m) of this one's, where h is the
        half-width here, t·s·√(1/k + 1/m): so fewer seeds are allowed more. An interval over one run's tasks says
        nothing of other seeds: there the two are held against each other, √(h₁² + h₂²). With as many runs as here the
        verdict has to be the same, with fewer not the contrary.
        """
        found = []
        for name in () if self.at_most is not None else filter(None, (self.ours, self.rival)):
            old, new = self.of(name), again.of(name)
            k, m = (old.n, new.n) if self.trainings else (len(self.runs), len(again.runs))
            allowed = old.half * math.sqrt(1 + k / m) if k > 1 else math.hypot(old.half, new.half)
            if math.isnan(allowed):
                found.append(f"{name} was claimed without an interval, {self.shown(name)}, and is {again.shown(name)}")
            elif not abs(new.mean - old.mean) <= allowed:
                found.append(f"{name} is {again.shown(name)}, {self.shown(name)} was claimed, {allowed:.2g} is allowed")
        contrary = {"better": "worse", "worse": "better", "holds": "fails"}.get(self.verdict)
        if again.verdict != self.verdict and (len(again.runs) >= len(self.runs) or again.verdict == contrary):
            found.append(f"it came out '{again.verdict}', '{self.verdict}' was claimed")
        return found


def read_number(found: Found, unit: str = "") -> Interval:
    """A number as a run of a claim has it.

    Raises: ValueError where it is none.
    """
    if isinstance(found, str):
        found = [float(part) for part in found.split("±")]
    mean, half, n = [*found, *[math.nan, 1.0][len(found) - 1 :]]
    return Interval(mean, half, int(n), unit)


def _pooled(found: list[Interval]) -> Interval:
    """The interval of all values of independent samples: Σ(x − m)² is Σᵢ (nᵢ − 1) sᵢ² + nᵢ (mᵢ − m)²."""
    n = sum(one.n for one in found)
    mean = sum(one.n * one.mean for one in found) / n
    squares = 0.0
    for one in found:
        s = one.half * math.sqrt(one.n) / student(one.n - 1) if one.n > 1 else 0.0
        squares += (one.n - 1) * s**2 + one.n * (one.mean - mean) ** 2
    return Interval(mean, student(n - 1) * math.sqrt(squares / (n - 1) / n), n, found[0].unit)
