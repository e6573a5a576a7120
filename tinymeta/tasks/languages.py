"""Languages as tasks: adapt a character model to a language from a few hundred of its characters.

A task is one language. Support and query are windows of its text that do not overlap; in each, y is x one
character on. Texts come from a folder or archive of .txt files, such as the Universal Declaration of Human
Rights in 301 languages, or from `markov_languages`, which invents some.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple
from zlib import crc32

import numpy as np

from tinymeta.tasks.data import DataError, data_folder, find_source, read_files
from tinymeta.tasks.episode import Array, Episode, at_least
from tinymeta.tasks.found import some
from tinymeta.tasks.images import choose

Texts = Mapping[str, str]
KNOWN = "udhr"  # a data set that brings a table beside its texts
DEEPEST = 2  # names in a text's path: a data folder holds lists of files, too, in folders of folders


class Vocabulary(NamedTuple):
    """Characters as integers: 0 is the unknown character, `characters[i]` is i + 1.

    Shapes: text of n characters → (n,) int64, and back.

    >>> letters = tm.tasks.Vocabulary.of(["abba"])
    >>> letters.encode("abc"), letters.decode(np.array([1, 2]))
    (array([1, 2, 0]), 'ab')
    """

    characters: str

    @classmethod
    def of(cls, texts: Iterable[str], minimum: int = 1) -> Vocabulary:
        """The characters that occur at least `minimum` times in the (training) texts, in code point order."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        return cls("".join(sorted(c for c, n in counts.items() if n >= minimum)))

    @property
    def size(self) -> int:
        """How many symbols a model has to know, the unknown one included."""
        return len(self.characters) + 1

    def encode(self, text: str) -> Array:
        """Text to int64 codes; what is not in the vocabulary becomes 0."""
        known = np.array([ord(c) for c in self.characters], np.int64)
        points = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
        if not len(known):
            return np.zeros(len(points), np.int64)
        place = np.minimum(np.searchsorted(known, points), len(known) - 1)
        return np.where(known[place] == points, place + 1, 0)

    def decode(self, codes: Array) -> str:
        """Codes to text; the unknown character shows as U+FFFD."""
        table = "\N{REPLACEMENT CHARACTER}" + self.characters
        return "".join(table[code] for code in np.ravel(codes))


@dataclass(frozen=True)
class Languages:
    """Next-character tasks, one language each.

    Shapes: x and y (tasks, shots or query, length) of int64, y one character on.
    Raises: ValueError when a text is too short for shots + query windows:
    `tm.tasks.Languages({"en": "short"}, tm.tasks.Vocabulary("short"))`.

    Parameters
    ----------
    texts : mapping of name to text
        The languages of this family: those of training, or those of test.
    vocabulary : Vocabulary
        Made from the training languages, and shared by all families of an experiment.
    shots, query : int
        Windows per task in the support and in the query set.
    length : int
        Characters per window.

    Examples
    --------
    >>> texts = tm.tasks.markov_languages(3, length=1000)
    >>> family = tm.tasks.Languages(texts, tm.tasks.Vocabulary.of(texts.values()), shots=2, query=2, length=16)
    >>> family.sample(np.random.default_rng(0), tasks=4).support[0].shape
    (4, 2, 16)
    """

    texts: Texts
    vocabulary: Vocabulary
    shots: int = 5
    query: int = 5
    length: int = 64

    def __post_init__(self) -> None:
        at_least(self, shots=1, query=1, length=1)
        if not self.texts:
            raise ValueError("Languages needs at least one text.")
        needed = (self.shots + self.query) * (self.length + 1)
        for name, text in self.texts.items():
            if len(text) < needed:
                raise ValueError(
                    f"Languages needs {needed} characters per text, (shots + query) * (length + 1), and {name!r} "
                    f"has {len(text)}: lower shots, query or length, or leave it out."
                )

    @cached_property
    def codes(self) -> Array:
        """All texts, encoded, one after the other."""
        return np.concatenate([self.vocabulary.encode(text) for text in self.texts.values()])

    @cached_property
    def lengths(self) -> Array:
        """Characters per language: (languages,)."""
        return np.array([len(text) for text in self.texts.values()])

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw languages and windows: x and y are int64 (tasks, shots or query, length)."""
        language = rng.integers(len(self.lengths), size=tasks)
        span = self.length + 1
        lengths = self.lengths[language]
        slots = lengths // span
        slot = choose(rng, np.arange(slots.max()) < slots[:, None], self.shots + self.query)
        # The slots tile the text from a random offset on, so that windows begin at any character.
        offset = rng.integers(lengths - slots * span + 1)
        start = (np.cumsum(self.lengths) - self.lengths)[language] + offset
        windows = self.codes[(start[:, None] + slot * span)[..., None] + np.arange(span)]
        x, y = windows[..., :-1], windows[..., 1:]
        return Episode((x[:, : self.shots], y[:, : self.shots]), (x[:, self.shots :], y[:, self.shots :]))


def load_languages(source: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Read a folder or zip archive of UTF-8 .txt files, one language each, in the order of their names.

    A text is called as its file, without the suffix, and where there are several folders, with their names before it.
    All ends of lines become newlines.

    Shapes: texts of any lengths, by name.
    Raises: DataError for a folder without texts, or a text that is not UTF-8: `tm.tasks.load_languages("nowhere")`.

    Parameters
    ----------
    source : path, optional
        The folder or archive, or a data folder with `udhr.zip` in it; TINYMETA_DATA where not given.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "english.txt").write_text("All human beings are born free", encoding="utf-8")
    ...     tm.tasks.load_languages(folder)
    {'english': 'All human beings are born free'}
    """
    path = data_folder(source)
    if path.is_dir():
        path = find_source(path, KNOWN) or path
    elif path.suffix.lower() != ".zip":
        raise DataError(f"{path} is neither a folder nor a zip archive: name one that holds a .txt file per language.")
    texts, deeper, others = {}, [], list[PurePosixPath]()
    for name, content in read_files(path, ".txt", others.append):
        if len(name.parts) > DEEPEST:
            deeper.append(str(name))
            continue
        try:
            texts[name] = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
            if "\0" in texts[name]:
                raise ValueError("it holds NUL, as UTF-16 does")
        except ValueError as fault:
            raise DataError(f"{path} holds {name}, which is not UTF-8 ({fault}): convert it.") from fault
    if not texts:
        where = f" but {some(deeper)}" if deeper else ""
        raise DataError(f"{path} holds no .txt files{where}: put one text per language there, or in folders of it.")
    if deeper:
        warnings.warn(f"{path}: texts in folders of folders are passed over: {some(deeper)}", stacklevel=2)
    if others and path.stem != KNOWN:
        warnings.warn(f"{path}: files that are no .txt are passed over: {some(map(str, others))}", stacklevel=2)
    return _named(texts)


def _named(texts: Mapping[PurePosixPath, str]) -> dict[str, str]:
    """By file names without suffix, after the folders that not all of them have in common; no two are the same."""
    common = 0
    while len({path.parts[:-1][: common + 1] for path in texts}) == 1 and all(len(p.parts) > common + 1 for p in texts):
        common += 1
    short = {path: PurePosixPath(*path.parts[common:]) for path in texts}
    plain = Counter(str(path.with_suffix("")) for path in short.values())
    names = {path: str(name.with_suffix("")) for path, name in short.items()}
    return {names[path] if plain[names[path]] == 1 else str(short[path]): text for path, text in texts.items()}


def split_languages(
    texts: Texts, rng: np.random.Generator, validation: int, test: int
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Deal languages into training (what remains), validation and test.

    The same `rng` state gives the same split. Training has no near-copy of a language that is held out, as of the same
    text in two spellings (`near_copies`), and validation none of one that is tested on: they are left out.

    Shapes: n texts → n − validation − test, validation, and test of them, or fewer of the first two.
    Raises: ValueError when none remains for training:
    `tm.tasks.split_languages({"en": "text"}, np.random.default_rng(0), validation=0, test=1)`.

    >>> texts = tm.tasks.markov_languages(5, length=10)
    >>> [len(part) for part in tm.tasks.split_languages(texts, np.random.default_rng(0), validation=1, test=1)]
    [3, 1, 1]
    """
    if validation + test >= len(texts):
        raise ValueError(
            f"split_languages was asked for {validation} + {test} of {len(texts)} languages, and training needs some."
        )
    names, near = sorted(texts), near_copies(texts)
    order = [names[i] for i in rng.permutation(len(names))]
    held_out = validation + test
    for_test = {*order[validation:held_out]}
    for_validation = {name for name in order[:validation] if not near[name] & for_test}
    training = {name for name in order[held_out:] if not near[name] & (for_test | for_validation)}
    train, validation_texts, test_texts = (
        {name: texts[name] for name in sorted(part)} for part in (training, for_validation, for_test)
    )
    return train, validation_texts, test_texts


def near_copies(texts: Texts) -> dict[str, set[str]]:
    """Of each text those others that share a fifth of the shorter one's pieces of 12 characters with it.

    Which pieces are looked at, one in 16, depends on themselves alone, so two texts keep the same ones.
    """
    kept = {name: {piece for piece in _pieces(text) if crc32(piece.encode()) % 16 == 0} for name, text in texts.items()}
    where: dict[str, list[str]] = {}
    for name, pieces in kept.items():
        for piece in pieces:
            where.setdefault(piece, []).append(name)
    shared = Counter(pair for names in where.values() for pair in combinations(names, 2))
    near: dict[str, set[str]] = {name: set() for name in texts}
    for (a, b), count in shared.items():
        if 5 * count >= min(len(kept[a]), len(kept[b])):
            near[a].add(b)
            near[b].add(a)
    return near


def _pieces(text: str, length: int = 12, most: int = 20_000) -> Iterator[str]:
    """Its pieces from every character on, of a long text of its beginning."""
    return (text[start : start + length] for start in range(min(len(text), most) - length + 1))


def markov_languages(count: int, seed: int = 0, letters: int = 12, length: int = 4000) -> dict[str, str]:
    """Invent languages: Markov chains over one alphabet and the space, each with its own habits.

    A letter is mostly followed by two or three others, and which ones differs between languages: the rows
    of a language's transition matrix are Dirichlet draws of concentration 0.15. Knowing the language is
    worth most of the entropy of a character.

    Shapes: `count` texts of `length` characters.
    Raises: ValueError for no language, or other than 2 to 26 letters: `tm.tasks.markov_languages(0)`.

    >>> {name: len(text) for name, text in tm.tasks.markov_languages(2, length=50).items()}
    {'markov0-000': 50, 'markov0-001': 50}
    """
    if count < 1 or not 2 <= letters <= 26 or length < 1:
        raise ValueError("markov_languages needs count >= 1, 2 to 26 letters and length >= 1.")
    rng = np.random.default_rng(seed)
    symbols = np.array([*"abcdefghijklmnopqrstuvwxyz"[:letters], " "])
    # A little of every transition keeps all chains ergodic.
    chance = 0.98 * rng.dirichlet(np.full(letters + 1, 0.15), (count, letters + 1)) + 0.02 / (letters + 1)
    ladder = np.cumsum(chance, axis=-1)
    state = rng.integers(letters + 1, size=count)
    steps = np.empty((length, count), np.int64)
    for t, luck in enumerate(rng.random((length, count))):
        state = np.minimum((ladder[np.arange(count), state] < luck[:, None]).sum(axis=-1), letters)
        steps[t] = state
    return {f"markov{seed}-{i:03d}": "".join(symbols[steps[:, i]]) for i in range(count)}
