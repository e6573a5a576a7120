# %% [markdown]
# # 16 · A language model meets a new language
#
# A model that has read many languages meets one that it has never seen, with a few hundred characters to learn
# from. The measure is honest and old: how many bits per character does it need? You build the smallest such
# model, a table of next characters, and meta-learn first where it should start, then in which directions it moves.
# Against them stands the oldest method of all: counting.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

seen = 100  # characters to adapt on; try 30, then 1000
steps = 3

# %% [markdown]
# ## Languages
#
# Each "language" is a habit of following one letter by another. All share a family likeness, and they differ in three
# traits, each more or less pronounced. With real texts, `tm.tasks.load_languages` reads a folder of files.

# %%
letters, traits = 8, 3
rng = np.random.default_rng(0)
likeness = 1.5 * rng.normal(size=(letters, letters))
trait = 0.8 * rng.normal(size=(traits, letters, letters))


def languages(rng, count):
    """Probabilities of the next letter, (count, letters, letters)."""
    odds = np.exp(likeness + np.tensordot(rng.normal(size=(count, traits)), trait, 1))
    return odds / odds.sum(-1, keepdims=True)


def read(rng, habits, length):
    """(count, length + 1) letters of text from each language."""
    text = [rng.integers(0, letters, len(habits))]
    for _ in range(length):
        chances = np.cumsum(habits[np.arange(len(habits)), text[-1]], axis=-1)
        text.append((rng.random((len(habits), 1)) > chances).sum(-1).clip(max=letters - 1))
    return np.stack(text, axis=1)


print(read(rng, languages(rng, 2), 20))

# %% [markdown]
# ## The model: a table of logits
#
# Row i says what follows letter i. Bits per character are the cross-entropy over log 2.
#
# **Predict, then run:** how many bits does a table of zeros need for 8 letters?


# %%
def bits(table, text):
    return tm.nn.cross_entropy(tm.take(table, text[:-1]), text[1:]) / np.log(2)


text = read(rng, languages(rng, 1), 500)[0]
print(f"{float(bits(tm.tensor(np.zeros((letters, letters))), text)):.3f} bits")

# %% [markdown]
# ## Baselines: counting
#
# Count which letter follows which in the first `seen` characters, beginning from a little of everything, `a`, or from
# what is usual in the family. How much of it, is tuned on other languages; the measure is bits on *later* text.


# %%
def batch(rng, count):
    habits = languages(rng, count)
    text = read(rng, habits, seen + 200)
    return text[:, : seen + 1], text[:, seen:], habits


def bits_of(habits, late):
    """Bits per character, for each language: habits (count, letters, letters)."""
    return np.array([-np.log2(h[text[:-1], text[1:]]).mean() for h, text in zip(habits, late)])


def counted(prior, early):
    habits = np.tile(prior, (len(early), 1, 1)).astype(float)
    for table, text in zip(habits, early):
        np.add.at(table, (text[:-1], text[1:]), 1)
    return habits / habits.sum(-1, keepdims=True)


early, late, truth = batch(np.random.default_rng(7), 200)
tune_early, tune_late, _ = batch(np.random.default_rng(8), 200)
usual = languages(np.random.default_rng(9), 1000).mean(axis=0)
needed, tuned = {"the language itself": bits_of(truth, late)}, {}
for name, prior in (("counting", np.ones((letters, letters))), ("counting on the family's mean", usual)):
    a = min((0.1, 0.25, 0.5, 1, 2, 4, 8, 16), key=lambda a: bits_of(counted(a * prior, tune_early), tune_late).mean())
    needed[name], tuned[name] = bits_of(counted(a * prior, early), late), a * prior

# %% [markdown]
# ## Where to start, and how fast to learn
#
# φ is the starting table and one step size for each of its entries (Meta-SGD). The objective: bits on later text
# after `steps` steps on the early text. Its baseline: joint training, φ the table alone and no step; then a single
# step size, tuned.


# %%
def table_alone(phi, early):
    return phi["table"]


def from_the_table(phi, early):
    return tm.meta.adapt(bits, phi["table"], early, rule=tm.optim.SGD(tm.exp(phi["log_lr"])), steps=steps)


def over_languages(learn, phi, early, late):
    return tm.vmap(lambda p, a, b: bits(learn(p, a), b), in_axes=(None, 0, 0))(phi, early, late)


def trained(learn, phi):
    outer, rng = tm.optim.Adam(0.1), np.random.default_rng(1)
    state, step = outer.init(phi), tm.compile(tm.grad(lambda *args: over_languages(learn, *args).mean()))
    for _ in range(150):
        phi, state = outer.update(step(phi, *batch(rng, 16)[:2]), state, phi)
    return phi


flat = tm.zeros((letters, letters))
joint = trained(table_alone, {"table": flat})
needed["joint training, no step"] = over_languages(table_alone, joint, early, late).numpy()
uniform = lambda lr: {"table": joint["table"], "log_lr": np.full((letters, letters), np.log(lr))}
measured = lambda lr, *text: over_languages(from_the_table, uniform(lr), *text).numpy()
lr = min((1, 2, 3, 5, 8, 12, 20), key=lambda lr: measured(lr, tune_early, tune_late).mean())
needed["joint training, tuned step"] = measured(lr, early, late)
phi = trained(from_the_table, {"table": flat, "log_lr": flat})
needed["meta-learned start and steps"] = over_languages(from_the_table, phi, early, late).numpy()

# %% [markdown]
# ## In which directions to move
#
# A step on the table changes only the rows of letters that were seen. But languages that differ in three traits can be
# told apart by any letters. So let φ hold directions as well, and let only three numbers adapt, one for each direction
# (CAVIA, Zintgraf et al. 2019): table + z₁·direction₁ + z₂·direction₂ + z₃·direction₃.
#
# **Predict, then run:** how near does it come to the bits that the language itself needs?


# %%
def by_directions(phi, early):
    table = lambda z: phi["table"] + tm.tensordot(z, phi["directions"], 1)
    rule = tm.optim.SGD(tm.exp(phi["log_lr"]))
    return table(tm.meta.adapt(lambda z, text: bits(table(z), text), tm.zeros(traits), early, rule=rule, steps=steps))


directions = tm.tensor(0.1 * np.random.default_rng(2).normal(size=(traits, letters, letters)))
moved = trained(by_directions, {"table": flat, "directions": directions, "log_lr": tm.zeros(traits)})
needed["meta-learned directions"] = over_languages(by_directions, moved, early, late).numpy()
for name, values in needed.items():
    extra = interval(values - needed["the language itself"])
    print(f"{name:30} {interval(values)} bits per character, {extra} too many")

# %% [markdown]
# One language, as it is, as a hundred letters of it count, and as three numbers adapt the learned table:


# %%
def tables(*axes):
    language = 0
    adapted = by_directions(moved, early[language]).numpy()
    learned = np.exp(adapted) / np.exp(adapted).sum(axis=1, keepdims=True)
    named = "abcdefgh"[:letters]
    for panel, (name, habit) in zip(
        axes,
        {
            "the language itself": truth[language],
            "counted": counted(tuned["counting"], early[language : language + 1])[0],
            "three numbers adapted": learned,
        }.items(),
    ):
        shade = panel.imshow(habit, cmap="Blues", vmin=0, vmax=1)
        panel.set(title=name, xticks=range(letters), yticks=range(letters), xlabel="next letter")
        panel.set_xticklabels(named)
        panel.set_yticklabels(named)
        panel.grid(visible=False)
    axes[0].set_ylabel("letter")
    panel.figure.colorbar(shade, ax=list(axes), label="probability", shrink=0.8)


alt = "Three tables of probabilities of the next letter, eight by eight. Counting a hundred letters finds the frequent pairs and leaves the rows of rare letters pale; the learned table with three adapted numbers can hardly be told from the language itself."
figure(tables, 16, alt, columns=3, height=3.4)

# %% [markdown]
# The meta-learned table is little better than joint training with a tuned step, and counting comes near both. The
# directions are another matter: they need a small part of the extra bits of any other. What was learned there is not
# an answer but what answers look like; no count of a single language contains it.
#
# ## Exercise: perplexity
#
# Papers also report perplexity: the size of a fair die that is as hard to guess. From a matrix of probabilities of
# next letters and a text, compute it with NumPy.


# %% exercise perplexity
def perplexity(habit, text):
    """exp of the mean of −log habit[this, next] over the text; habit (letters, letters), text (n,)."""
    # BEGIN SOLUTION
    return float(np.exp(-np.log(habit[text[:-1], text[1:]]).mean()))
    # END SOLUTION


# %% check perplexity
# nudge: a fair die with eight sides: what should the answer be, and what is yours?
# formula: exp of the mean of −log habit[text[:-1], text[1:]]
fair = np.full((letters, letters), 1 / letters)
with np.errstate(all="ignore"):
    found = perplexity(fair, text)
assert found is not None, "the function returns nothing: put your line in the dots' place"
assert np.shape(found) == (), f"perplexity is one number for the text, and yours has shape {np.shape(found)}"
assert np.isfinite(found) and found < 1e6, "take the mean over the text, not the sum"
for wrong, hint in {
    np.log(letters): "that is the mean −log, in nats: perplexity is its exponential",
    np.log2(letters): "those are bits per character: perplexity is 2 to that power",
    2 ** np.log(letters): "logarithm and power have two bases: exp goes with log, 2** with log2",
    np.exp(np.log2(letters)): "logarithm and power have two bases: exp goes with log, 2** with log2",
    1 / letters: "that is a mean probability: a minus is missing before the logarithm",
}.items():
    assert abs(found - wrong) > 1e-6, hint
assert abs(found - letters) < 1e-6, (
    f"a fair die with {letters} sides has perplexity {letters}, and yours is {found:.4f}"
)
habit = languages(np.random.default_rng(2), 1)[0]
right, found = float(2 ** float(bits(tm.tensor(np.log(habit)), text))), perplexity(habit, text)
for wrong, hint in {
    float(
        np.mean(1 / habit[text[:-1], text[1:]])
    ): "the mean of the logarithms, then the exponential: you take a mean of 1/p",
    float(
        1 / np.mean(habit[text[:-1], text[1:]])
    ): "the mean of the logarithms, then the exponential: you take a mean of p",
    float(np.exp(-np.log(habit[text[1:], text[:-1]]).mean())): "is it habit[this letter, next letter], in this order?",
    float(np.exp(-(habit * np.log(habit)).sum(-1).mean())): "that is the language's own: measure it on the text",
}.items():
    assert abs(found - wrong) > 1e-6, hint
assert abs(found - right) < 1e-6 * right, f"this language has {right:.4f} on this text, and yours is {found:.4f}"
print("Solved: bits, nats and dice say the same thing.")

# %% [markdown]
# ## Exercise: counting, backed off
#
# The oldest language model: p(next | this) mixes what followed this letter, as often as it was seen, with how common
# the next letter is at all (Jelinek & Mercer 1980): λ · n(this, next)/n(this) + (1 − λ) · n(next)/n. Where `this` was
# never seen, the second part alone.


# %% exercise backoff
def backed_off(text, size, weight):
    """p[this, next] (size, size) from a text of letters 0 … size − 1; `weight` is λ; n(next) counts text[1:]. NumPy."""
    # BEGIN SOLUTION
    pairs = np.zeros((size, size))
    for this, following in zip(text[:-1], text[1:]):
        pairs[this, following] += 1
    common = pairs.sum(axis=0) / pairs.sum()
    habits = np.tile(common, (size, 1))
    for this in range(size):
        if pairs[this].sum() > 0:
            habits[this] = weight * pairs[this] / pairs[this].sum() + (1 - weight) * common
    return habits
    # END SOLUTION


# %% check backoff
# without: tm
# nudge: a letter that was seen three times: what are its two parts? And one that was never seen?
# formula: λ n(this, next)/n(this) + (1 − λ) n(next)/n, rows `this`; the second part alone where n(this) is 0
short = np.array([0, 1, 0, 2, 0, 1, 1])
with np.errstate(all="ignore"):
    found = backed_off(short, 4, 0.75)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.shape(found) == (4, 4), f"p has a row for each letter, (4, 4), and yours is {np.shape(found)}"
assert np.isfinite(found).all(), "letter 3 was never seen, and its row divides by 0: take how common letters are"
common = np.array([2, 3, 1, 0]) / 6
seen = np.array([[0, 2, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]) / np.array([[3], [2], [1]])
right = np.concatenate([0.75 * seen + 0.25 * common, common[None]])
assert not np.allclose(found, right.T), "p[this, next]: rows are what a letter is followed by"
assert not np.allclose(found[:3], 0.25 * seen + 0.75 * common), (
    "λ goes with what followed the letter, 1 − λ with the rest"
)
assert not np.allclose(found[:3], seen), "that is counting alone: the second part is missing"
assert not np.allclose(found[3], np.array([3, 2, 1, 0]) / 6), "n(next) counts text[1:]: is an axis turned round?"
assert np.allclose(found.sum(axis=1), 1), f"each row adds up to 1, and yours to {found.sum(axis=1).round(3)}"
assert np.allclose(found[3], common), "for a letter never seen, how common the letters of text[1:] are is all there is"
assert np.allclose(found, right), f"row 0 should be {right[0].round(3)}, and is {found[0].round(3)}"
print("Solved: the model that neural ones had to beat.")

# %% [markdown]
# ## Exercise: a few steps, by hand
#
# What does a step on the table do? The gradient of the mean cross-entropy with respect to row i is
# (n(i) · softmax(row i) − n(i, ·)) / n, with n(i, j) the number of times that j followed i, n(i) their sum over j, and n
# the number of all pairs. Adapt a table of logits by `steps` of plain descent on the bits per character of a text.


# %% exercise steps
def adapted_table(table, text, lr, steps):
    """The table (size, size) after `steps` of θ ← θ − lr · ∇bits(θ); bits are nats over log 2; NumPy."""
    # BEGIN SOLUTION
    pairs = np.zeros(table.shape)
    np.add.at(pairs, (text[:-1], text[1:]), 1)
    for _ in range(steps):
        odds = np.exp(table - table.max(axis=1, keepdims=True))
        guessed = odds / odds.sum(axis=1, keepdims=True)
        nats = (guessed * pairs.sum(axis=1, keepdims=True) - pairs) / pairs.sum()
        table = table - lr * nats / np.log(2)
    return table
    # END SOLUTION


# %% check steps
# without: tm, bits
# nudge: for a table of zeros: what does it guess after letter i, and what was seen? A step goes from one towards the other
# formula: row i of the gradient in nats: (n(i) · softmax(row i) − n(i, ·))/n; bits are that over log 2
begin, short = np.random.default_rng(4).normal(size=(4, 4)), np.array([0, 1, 0, 2, 0, 1, 1, 2, 0, 1, 3, 0])
kept = begin.copy()
found = adapted_table(begin, short, 2.0, 3)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(begin, kept), "the table that was passed was written into: make a new one"
assert np.shape(found) == (4, 4), f"the result is a table, (4, 4), and yours has shape {np.shape(found)}"
slope = lambda table: tm.grad(bits)(table, short).numpy()
pairs = np.zeros((4, 4))
np.add.at(pairs, (short[:-1], short[1:]), 1)
topped = lambda table: np.exp(table - table.max(axis=1, keepdims=True))
softmax = lambda table, axis=1: np.exp(table) / np.exp(table).sum(axis=axis, keepdims=True)
often = pairs.sum(axis=1, keepdims=True)


def going(slope, steps=3):
    table = kept
    for _ in range(steps):
        table = table - 2.0 * slope(table) / np.log(2)
    return table


for wrong, hint in (
    (kept, "nothing has moved"),
    (
        going(lambda table: np.log(2) * slope(table), 1),
        "that is one step: are there `steps`, each from where the last ended?",
    ),
    (going(lambda table: np.log(2) * slope(kept)), "the gradient is taken anew after each step"),
    (going(lambda table: -np.log(2) * slope(table)), "the sign: a step goes down, and raises what was seen"),
    (going(lambda table: np.log(2) ** 2 * slope(table)), "that goes down the nats: bits are nats over log 2"),
    (going(lambda table: 11 * np.log(2) * slope(table)), "the mean over the text: divide by the number of pairs"),
    (going(lambda table: softmax(table) - pairs / often), "a row counts as often as its letter was seen: n(i) and n"),
    (going(lambda table: (softmax(table) - pairs) / 11), "n(i) is missing: softmax(row i) is guessed n(i) times"),
    (
        going(lambda table: (topped(table) / topped(table).sum(axis=0) * often - pairs) / 11),
        "rows are what a letter is followed by: softmax along them",
    ),
    (
        going(lambda table: (softmax(table, 0) * often - pairs) / 11),
        "rows are what a letter is followed by: softmax along them",
    ),
    (
        going(lambda table: (softmax(table) * pairs.sum(axis=0)[:, None] - pairs.T) / 11),
        "n(i, j): j follows i, and i is the row",
    ),
    (going(lambda table: (softmax(table) * often - pairs) / 12), "12 letters are 11 pairs"),
    (going(lambda table: -pairs / 11), "what is guessed already is missing: n(i) · softmax(row i)"),
):
    assert not np.allclose(found, wrong), hint
right = going(lambda table: np.log(2) * slope(table))
assert np.allclose(found, right), f"row 0 should be {right[0].round(3)}, and is {np.asarray(found)[0].round(3)}"
assert np.isfinite(adapted_table(kept + 1000.0, short, 2.0, 1)).all(), (
    "logits of 1000 overflow: subtract each row's largest before the exponential"
)
print("Solved: a step raises what was seen by what had not been expected.")

# %% [markdown]
# ## What to take along
#
# - Adapting a language model is few-shot learning: early text is the support set, later text the query set.
# - Learning to learn pays where tasks share a structure that one task can't show.
# - `tinymeta run language --data FOLDER` does it with a recurrent network and 301 real languages.
#
# On the trace page, `gather` reads rows of the table, and its adjoint adds cotangents back where they came from.

# %%
with tm.trace() as trace:
    tm.grad(lambda phi: over_languages(from_the_table, phi, early[:2, :10], late[:2, :10]).mean())(phi)
page(trace, 16)
