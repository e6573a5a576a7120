# %% [markdown]
# # 15 · A language model meets a new language
#
# A model that has read many languages meets one that it has never seen, with a few hundred characters to learn
# from. The measure is honest and old: how many bits per character does it need? You build the smallest such
# model, a table of next characters, and meta-learn where it should start.
#
# 一个读过许多语言的模型遇到从未见过的语言，只有几百个字符可学。衡量标准既诚实又古老：平均每个字符需要多少比特？
# 你将搭建最小的这种模型（下一个字符的表），并用元学习找到它应有的起点。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

seen = 100  # characters to adapt on; try 20, then 1000
steps = 3

# %% [markdown]
# ## Languages
#
# Each "language" is a random habit of following one letter by another; all of them share a family likeness. With
# real texts, `tm.tasks.load_languages` reads a folder of files.

# %%
letters = 8
rng = np.random.default_rng(0)
family_habit = rng.normal(size=(letters, letters))


def languages(rng, count):
    logits = 1.5 * family_habit + 0.8 * rng.normal(size=(count, letters, letters))
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


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
# ## Where to start, and how fast to learn
#
# φ is the starting table and one step size for each of its entries (Meta-SGD). The objective: bits on *later* text
# after `steps` steps on the first `seen` characters.


# %%
def adapt(phi, support):
    rule = tm.optim.SGD(tm.exp(phi["log_lr"]))
    return tm.meta.adapt(bits, phi["table"], support, rule=rule, steps=steps)


def objective(phi, early, late):
    return tm.vmap(lambda p, a, b: bits(adapt(p, a), b), in_axes=(None, 0, 0))(phi, early, late).mean()


def batch(rng, count):
    text = read(rng, languages(rng, count), seen + 200)
    return text[:, : seen + 1], text[:, seen:]


phi = {"table": tm.tensor(np.zeros((letters, letters))), "log_lr": tm.tensor(np.zeros((letters, letters)))}
outer = tm.optim.Adam(0.1)
state = outer.init(phi)
step = tm.compile(tm.value_and_grad(objective))
for _ in range(100):
    _, grads = step(phi, *batch(rng, 16))
    phi, state = outer.update(grads, state, phi)

early, late = batch(np.random.default_rng(7), 200)
untrained = tm.tree.map(lambda p: p * 0.0, phi)
for name, p in (("from nothing", untrained), ("meta-learned", phi)):
    fresh = tm.vmap(lambda b, p=p: bits(p["table"], b))(late).mean()
    print(f"{name:13} before {float(fresh):.3f}, after {steps} steps {float(objective(p, early, late)):.3f} bits")

# %% [markdown]
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
fair = np.full((letters, letters), 1 / letters)
found = perplexity(fair, text)
assert found is not None, "the function returns nothing: put your line in the dots' place"
assert abs(found - np.log(letters)) > 1e-6, "that is the mean −log, in nats: perplexity is its exponential"
assert abs(found - np.log2(letters)) > 1e-6, "those are bits per character: perplexity is 2 to that power"
assert abs(found - letters) < 1e-6, (
    f"a fair die with {letters} sides has perplexity {letters}, and yours is {found:.4f}"
)
habit = languages(np.random.default_rng(2), 1)[0]
right = float(2 ** float(bits(tm.tensor(np.log(habit)), text)))
assert abs(perplexity(habit, text) - float(np.mean(1 / habit[text[:-1], text[1:]]))) > 1e-6, (
    "take the mean of the logarithms, then the exponential: a mean of 1/p is something else"
)
assert abs(perplexity(habit, text) - right) < 1e-6 * right, "is it habit[this letter, next letter], in this order?"
print("Solved: bits, nats and dice say the same thing.")

# %% [markdown]
# ## What to take along
#
# - Adapting a language model is few-shot learning: early text is the support set, later text the query set.
# - `tinymeta run language --data FOLDER` does it with a recurrent network and 301 real languages.
#
# On the trace page, `gather` reads rows of the table, and its adjoint adds cotangents back where they came from.

# %%
with tm.trace() as trace:
    tm.grad(objective)(phi, early[:2, :10], late[:2, :10])
page(trace, 15)
