"""Languages: windows are text, support and query do not overlap, and invented languages can be learned."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import (
    DataError,
    Languages,
    Vocabulary,
    load_languages,
    markov_languages,
    split_languages,
)
from tinymeta.tasks.languages import near_copies

# Text i consists of characters of its own, each at one place only.
UNIQUE = {f"language{i}": "".join(chr(1000 * (i + 1) + k) for k in range(60 + 17 * i)) for i in range(4)}
VOCABULARY = Vocabulary.of(UNIQUE.values())


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), shots=st.integers(1, 3), query=st.integers(1, 3), length=st.integers(1, 9))
def test_windows_are_pieces_of_one_text_and_no_character_is_in_two(seed, shots, query, length):
    family = Languages(UNIQUE, VOCABULARY, shots, query, length)
    (xs, ys), (xq, yq) = family.sample(np.random.default_rng(seed), 5)
    assert xs.shape == ys.shape == (5, shots, length) and xq.shape == yq.shape == (5, query, length)
    for t in range(5):
        windows = [*zip(xs[t], ys[t]), *zip(xq[t], yq[t])]
        pieces = [VOCABULARY.decode(x) + VOCABULARY.decode(y[-1:]) for x, y in windows]
        assert sum(all(piece in text for piece in pieces) for text in UNIQUE.values()) == 1
        assert len(set("".join(pieces))) == (shots + query) * (length + 1)


def test_targets_are_the_inputs_one_character_on(rng):
    x, y = Languages(UNIQUE, VOCABULARY, length=5, shots=2, query=2).sample(rng, 9).query
    np.testing.assert_array_equal(x[..., 1:], y[..., :-1])


def test_every_place_of_a_text_is_reached(rng):
    family = Languages({"one": UNIQUE["language0"]}, VOCABULARY, shots=1, query=1, length=6)
    (x, y), _ = family.sample(rng, 5000)
    # 8 slots of 7 leave 5 offsets: the rarest character, the first, is seen with probability 1/5 * 1/8 per
    # task.
    assert len(np.union1d(x, y)) == 60


@settings(deadline=None)
@given(st.text())
def test_decoding_undoes_encoding(text):
    vocabulary = Vocabulary.of([text])
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_an_unknown_character_is_code_0():
    vocabulary = Vocabulary.of(["abba", "cab"], minimum=2)
    assert vocabulary.characters == "ab" and vocabulary.size == 3
    assert vocabulary.encode("abcz𝄞").tolist() == [1, 2, 0, 0, 0]
    assert vocabulary.decode(np.array([0, 1])) == "\ufffda"
    assert Vocabulary("").encode("ab").tolist() == [0, 0]


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_split_deals_every_language_once(seed):
    train, validation, test = split_languages(UNIQUE, np.random.default_rng(seed), 1, 2)
    assert [len(train), len(validation), len(test)] == [1, 1, 2]
    assert {**train, **validation, **test} == UNIQUE


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_no_near_copy_of_a_language_that_is_held_out_is_trained_on(seed):
    texts = markov_languages(6, seed=seed % 100)
    texts |= {f"{name}, spelled anew": text[:2000] + text[2000:].replace("a", "ä") for name, text in texts.items()}
    train, validation, test = split_languages(texts, np.random.default_rng(seed), 3, 3)
    assert len(test) == 3 and len(train) + len(validation) < 9  # of three, one at least has its copy elsewhere
    for ours, others in ((train, [*validation, *test]), (validation, test)):
        assert not {name.split(",")[0] for name in ours} & {name.split(",")[0] for name in others}


def test_languages_that_share_a_few_pieces_are_no_copies():
    a, b = markov_languages(2).values()
    few, half = b[:400] + a[400:], b[:2000] + a[2000:]  # of 250 pieces that are looked at, 24 and 124 are of b
    near = near_copies({"a": a, "b": b, "few": few, "half": half})
    assert near == {"a": {"few", "half"}, "b": {"half"}, "few": {"a", "half"}, "half": {"a", "b", "few"}}


def test_splitting_away_all_training_is_an_error(rng):
    with pytest.raises(ValueError, match=r"asked for 2 \+ 2 of 4 languages"):
        split_languages(UNIQUE, rng, 2, 2)


def test_a_short_text_is_named_with_the_fix():
    with pytest.raises(ValueError, match=r"needs 70 characters per text.*'language0' has 60: lower shots"):
        Languages(UNIQUE, VOCABULARY, 5, 5, 6)


def test_a_folder_and_an_archive_of_texts_read_the_same(tmp_path):
    (tmp_path / "texts").mkdir()
    for name in ("b", "a"):
        (tmp_path / f"texts/{name}.txt").write_text(f"{name} ä\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "udhr.zip", "w") as archive:
        for name in ("b", "a"):
            archive.write(tmp_path / f"texts/{name}.txt", f"udhr/{name}.txt")
    expected = [("a", "a ä\n"), ("b", "b ä\n")]
    for source in (tmp_path / "texts", tmp_path / "udhr.zip", tmp_path):
        assert list(load_languages(source).items()) == expected


def test_text_files_deep_in_a_data_folder_are_no_languages(tmp_path):
    (tmp_path / "splits/vinyals").mkdir(parents=True)
    (tmp_path / "splits/vinyals/train.txt").write_text("Greek/character01/rot000")
    with pytest.raises(DataError, match="holds no .txt files"):
        load_languages(tmp_path)


def test_no_texts_and_foreign_encodings_are_errors(tmp_path):
    with pytest.raises(DataError, match="holds no .txt files"):
        load_languages(tmp_path)
    (tmp_path / "a.txt").write_bytes("ä".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        load_languages(tmp_path)


def test_a_file_that_is_no_archive_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("a single text", encoding="utf-8")
    with pytest.raises(DataError, match="neither a folder nor a zip archive: name one that holds a .txt file per"):
        load_languages(tmp_path / "a.txt")


def test_a_byte_order_mark_is_no_character(tmp_path):
    (tmp_path / "a.txt").write_text("abc", encoding="utf-8-sig")
    assert load_languages(tmp_path) == {"a": "abc"}


def test_the_real_texts_make_tasks(data, rng):
    texts = load_languages(data)
    assert len(texts) == 301
    train, _, test = split_languages(texts, rng, 30, 60)
    vocabulary = Vocabulary.of(train.values(), minimum=20)
    x = Languages(test, vocabulary).sample(rng, 50).support[0]
    assert x.max() < vocabulary.size and (x == 0).mean() < 0.05


def test_invented_languages_are_reproducible():
    assert markov_languages(3, seed=4, length=100) == markov_languages(3, seed=4, length=100)
    assert markov_languages(3, seed=4, length=100) != markov_languages(3, seed=5, length=100)


def bigrams(text, vocabulary):
    codes = vocabulary.encode(text)
    counts = np.ones((vocabulary.size, vocabulary.size))
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def test_knowing_an_invented_language_helps_to_predict_it():
    texts = markov_languages(6, letters=8, length=4000)
    vocabulary = Vocabulary.of(texts.values())
    models = [bigrams(text[:2000], vocabulary) for text in texts.values()]
    pooled = np.mean(models, axis=0)

    def loss(model, text):
        codes = vocabulary.encode(text[2000:])
        return -np.log(model[codes[:-1], codes[1:]]).mean()

    own = np.mean([loss(model, text) for model, text in zip(models, texts.values())])
    shared = np.mean([loss(pooled, text) for text in texts.values()])
    # Nats per character, of at most log(10) = 2.3.
    assert own < shared - 0.5


def test_texts_of_one_name_in_different_folders_are_kept_apart(tmp_path):
    for author in ("austen", "dickens"):
        for book in ("1", "2"):
            (tmp_path / author).mkdir(exist_ok=True)
            (tmp_path / author / f"{book}.txt").write_text(f"{author} wrote {book}")
    texts = load_languages(tmp_path)
    assert list(texts) == ["austen/1", "austen/2", "dickens/1", "dickens/2"]
    assert all(text == name.replace("/", " wrote ") for name, text in texts.items())
    (tmp_path / "austen/1.TXT").write_text("shouted")
    assert {"austen/1.TXT": "shouted", "austen/1.txt": "austen wrote 1"}.items() <= load_languages(tmp_path).items()


def test_the_folder_around_all_texts_is_no_part_of_their_names(tmp_path):
    (tmp_path / "corpus").mkdir()
    for name in ("en", "fr"):
        (tmp_path / "corpus" / f"{name}.txt").write_text(name)
    assert load_languages(tmp_path) == {"en": "en", "fr": "fr"}


def test_ends_of_lines_are_newlines_and_deep_texts_are_told(tmp_path):
    (tmp_path / "win.txt").write_bytes(b"a\r\nb\rc\n")
    (tmp_path / "en/uk").mkdir(parents=True)
    (tmp_path / "en/uk/x.txt").write_text("deep")
    with pytest.warns(UserWarning, match="passed over: en/uk/x.txt"):
        assert load_languages(tmp_path) == {"win": "a\nb\nc\n"}
