"""What was found in a folder of pictures, in words and in numbers: what was read, what was passed over, what is odd."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from unicodedata import normalize

NAMED = 5  # of each kind in a sentence; there may be thousands


@dataclass(frozen=True)
class Found:
    """A folder of pictures.

    Attributes
    ----------
    pictures : mapping of str to int
        How many were read of each class.
    passed : mapping of str to int
        How many files were passed over, by suffix, or by what is wrong with them.
    notes : tuple of str
        What a user should know: damaged files by name, duplicates, classes of a picture or two, how a layout was read.
    prints : mapping of str to str
        A fingerprint of each class: of its files' contents, whatever they are called and wherever they lie.
    parts : mapping of str to str
        Of each class, "train", "validation" or "test", if the folder is split so; else empty.
    levels : (float, float), optional
        Black and white of the greys of more than 8 bits.
    """

    pictures: Mapping[str, int]
    passed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    prints: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    levels: tuple[float, float] | None = None

    def __str__(self) -> str:
        said = f"{counted(sum(self.pictures.values()), 'picture')} in {counted(len(self.pictures), 'class', 'classes')}"
        if self.passed:
            kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.passed.items(), key=lambda item: -item[1]))
            said += f"; {counted(sum(self.passed.values()), 'file')} passed over: {kinds}"
        return said

    @property
    def sentences(self) -> tuple[str, ...]:
        """The summary, and what is odd."""
        return (str(self), *self.notes)

    def written(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Found:
        """From what `written` gave."""
        said = json.loads(text)
        levels = said.pop("levels")
        return cls(**said | {"notes": tuple(said["notes"]), "levels": levels and (levels[0], levels[1])})


def counted(n: int, one: str, many: str = "") -> str:
    """`1 picture`, `2 pictures`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def some(names: Iterable[str]) -> str:
    """The first names of many."""
    listed = list(names)
    more = len(listed) - NAMED
    return ", ".join(listed[:NAMED]) + (f" and {more} more" if more > 0 else "")


def same_pictures(digests: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Sentences about files that occur twice: digests by file, by class."""
    where: dict[str, dict[str, list[str]]] = {}
    for name, files in digests.items():
        for file, digest in files.items():
            where.setdefault(digest, {}).setdefault(name, []).append(file)
    across: Counter[tuple[str, ...]] = Counter()
    within: Counter[str] = Counter()
    for classes in where.values():
        across.update([tuple(classes)] if len(classes) > 1 else [])
        within.update({name: len(files) - 1 for name, files in classes.items() if len(files) > 1})
    pairs = [f"{' and '.join(names)} ({n})" for names, n in across.most_common()]
    twice = [f"{name} ({n})" for name, n in within.most_common()]
    return [
        *([f"classes that hold the same pictures: {some(pairs)}"] if pairs else []),
        *([f"pictures that a class holds twice: {some(twice)}"] if twice else []),
    ]


def odd_classes(pictures: Mapping[str, int]) -> list[str]:
    """Sentences about classes that are nearly empty, or hard to tell apart by their names."""
    few = [f"{name} ({n})" for name, n in pictures.items() if n < 2]
    seen = {name: normalize("NFKC", name).casefold().strip() for name in pictures}
    times = Counter(seen.values())
    alike = [name for name in pictures if times[seen[name]] > 1]
    return [
        *([f"classes of a single picture, which no task can ask about: {some(few)}"] if few else []),
        *([f"classes whose names look alike: {some(alike)}"] if alike else []),
    ]
