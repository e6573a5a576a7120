# %% [markdown]
# # 08 · Training a network
#
# Before learning to learn comes learning. A model is a tree of numbers, its gradient is a tree of the same form, and
# an optimizer is a function from trees to trees. You write two of them, watch a network learn the noise of twenty
# points along with the curve behind them, and stop it in time. Then look at what somebody achieves who knows more.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

noise = 2.0  # standard deviation of what is added to each point; try 0.0, then 0.5
problems = 40
rng = np.random.default_rng(0)

# %% [markdown]
# ## Forty problems
#
# Each is a sine wave of its own height and phase: twenty noisy points to train on, twenty to validate, five hundred
# without noise to test. Nobody tells the network that it is a sine. Means stand with their confidence `interval`.

# %%
height, phase = rng.uniform(0.5, 4, (problems, 1, 1)), rng.uniform(0, np.pi, (problems, 1, 1))


def points(count, noise):
    x = rng.uniform(-5, 5, (problems, count, 1))
    return x, height * np.sin(x + phase) + noise * rng.normal(size=x.shape)


train, validation, test = points(20, noise), points(20, noise), points(500, 0.0)

# %% [markdown]
# ## A model is a tree
#
# `tm.nn.MLP` is a network: a tree whose leaves are Tensors, and which can be called. `tm.tree.map` does something leaf
# by leaf, for several trees of one form at once; `tm.tree.leaves` lists them. The gradient of a loss is such a tree.

# %%
start = tm.nn.MLP([1, 40, 40, 1], rng=np.random.default_rng(0), activation=tm.tanh, dtype=np.float64)


def loss(model, batch):
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


one = tuple(a[0] for a in train)  # the first problem
grads = tm.grad(loss)(start, one)
print([leaf.shape for leaf in tm.tree.leaves(start)])
assert [g.shape for g in tm.tree.leaves(grads)] == [p.shape for p in tm.tree.leaves(start)]

# %% [markdown]
# ## Exercise: a step
#
# The warm-up: one step of gradient descent, for any tree.


# %% exercise descend
def descend(model, grads, lr):
    """θ − lr · gradient, leaf by leaf: a tree of the model's form."""
    # BEGIN SOLUTION
    return tm.tree.map(lambda p, g: p - lr * g, model, grads)
    # END SOLUTION


# %% check descend
# nudge: a model is a tree, and so are the gradients: which function goes through both at once, leaf by leaf?
# formula: tm.tree.map(lambda p, g: p − lr · g, model, grads)
model, slope = {"w": tm.tensor([1.0, 2.0]), "b": tm.tensor(3.0)}, {"w": tm.tensor([0.5, -1.0]), "b": tm.tensor(2.0)}
found = descend(model, slope, 0.1)
assert isinstance(found, dict) and set(found) == {"w", "b"}, "the result is a tree of the model's form: see tm.tree.map"
w, b = np.asarray(found["w"]), float(found["b"])
for wrong, hint in (
    ([1.05, 1.9], "a step goes against the gradient: a minus"),
    ([0.5, 3.0], "lr scales the gradient: it is missing"),
    ([-0.05, 0.1], "that is the step: add it to θ"),
    ([0.9, 1.8], "the gradient is missing: θ − lr · gradient"),
    ([1.0, 2.0], "nothing has moved"),
):
    assert not np.allclose(w, wrong), hint
assert not np.isclose(b, 3.0), "b stays where it was: each leaf is moved"
assert np.allclose(w, [0.95, 2.1]) and np.isclose(b, 2.8), f"w should be [0.95, 2.1] and b 2.8, and they are {w}, {b}"
print("Solved: trees make it one line, whatever the model.")

# %% [markdown]
# ## Exercise: small batches
#
# Large data doesn't fit into one gradient. One goes through it in small batches: each example once, and every time
# through in another order. Write that walk.


# %% exercise batches
def minibatches(batch, size, rng):
    """Yields (x, y) of `size` examples each, all of them once, in random order; the last may be smaller."""
    # BEGIN SOLUTION
    x, y = batch
    order = rng.permutation(len(x))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield x[chosen], y[chosen]
    # END SOLUTION


# %% check batches
# without: tm
# nudge: number ten examples, and write down what your function yields for batches of four, twice. What must each time hold?
# formula: order = rng.permutation(len(x));  for start in range(0, len(x), size): yield x[order[start : start + size]], and so y
numbered = np.arange(10.0)[:, None], np.arange(10.0)[:, None] * 3
rng_here, seen = np.random.default_rng(3), []
for _ in range(20):
    found = minibatches(numbered, 4, rng_here)
    assert hasattr(found, "__iter__"), f"one goes through what minibatches returns, and it is {found!r}: see yield"
    found = list(found)
    assert all(isinstance(pair, tuple) and len(pair) == 2 for pair in found), "each batch is a pair (x, y)"
    sizes = [len(x) for x, _ in found]
    assert sum(sizes) >= 10, f"ten examples in batches of four: 4, 4 and 2, and yours have {sizes}: none is left out"
    assert sizes == [4, 4, 2], f"ten examples in batches of four: 4, 4 and 2, and yours have {sizes}"
    assert all(np.array_equal(y, 3 * x) for x, y in found), "x and y go apart: both are taken by the same order"
    seen.append([int(n) for x, _ in found for n in x[:, 0]])
    assert len(set(seen[-1])) == 10, f"each example comes once, and {10 - len(set(seen[-1]))} never came"
assert seen[0] != list(range(10)), "they come in the order that they lie in: rng.permutation"
assert len({tuple(order) for order in seen}) > 15, "each time through has an order of its own: draw it anew, by `rng`"
assert len({order[0] for order in seen}) > 4, "the examples of a batch are always the same ones: permute all of them"
print("Solved: three lines that every training loop in the world begins with.")

# %% [markdown]
# ## Exercise: Adam
#
# Gradient descent takes one step size for all. Adam (Kingma & Ba 2015, algorithm 1) divides by each number's usual
# size, from running means of g and of g². They begin at 0, and are too small at first by the factor 1 − βᵗ. Write it
# for trees; the docstring has the formulas.


# %% exercise adam
def adam(grads, state, params, lr):
    """One step: the new parameters, and the new state (m, v, t), which begins as (zeros, zeros, 0).

    m ← 0.9 m + 0.1 g,  v ← 0.999 v + 0.001 g²,  m̂ = m / (1 − 0.9ᵗ),  v̂ = v / (1 − 0.999ᵗ),  θ ← θ − lr m̂ / (√v̂ + 1e-8)
    """
    m, v, t = state
    # BEGIN SOLUTION
    t = t + 1
    m = tm.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = tm.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)

    def moved(p, m, v):
        unbiased_m, unbiased_v = m / (1 - 0.9**t), v / (1 - 0.999**t)
        return p - lr * unbiased_m / (tm.sqrt(unbiased_v) + 1e-8)

    return tm.tree.map(moved, params, m, v), (m, v, t)
    # END SOLUTION


# %% check adam
# nudge: do the first step with pencil: m = 0.1 g, v = 0.001 g², t = 1. What are m̂ and v̂, and how long is the step?
# formula: t + 1 first;  m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g²;  θ − lr · (m / (1 − 0.9ᵗ)) / (√(v / (1 − 0.999ᵗ)) + 1e-8)
at = lambda values: {"w": tm.tensor(values)}
params, zero, given = at([1.0, -2.0]), at([0.0, 0.0]), ([3.0, -0.5], [-1.0, -0.5], [0.2, 4.0])
theirs, rule, state = params, tm.optim.Adam(0.1), (zero, zero, 0)
kept = rule.init(theirs)
for k, g in enumerate(given):
    params, state = adam(at(g), state, params, 0.1)
    theirs, kept = rule.update(at(g), kept, theirs)
    found, right = np.asarray(params["w"]), theirs["w"].numpy()
    step = [1.0, -2.0] - found if k == 0 else np.full(2, np.nan)
    for wrong, hint in (
        (0.01 * np.sign(g) / np.sqrt(0.001), "m and v begin at 0: divide by 1 − 0.9ᵗ and by 1 − 0.999ᵗ"),
        (-0.1 * np.sign(g), "a step goes against m: a minus"),
        (0.1 / np.array(g), "v is the mean of squares: take its root"),
        (0.1 * np.array(g), "divide by √v̂: it is missing"),
        (0.01 * np.sign(g), "m̂ is m / (1 − 0.9ᵗ): that part is missing"),
        (0.1 * np.sign(g) / np.sqrt(0.001), "v̂ is v / (1 − 0.999ᵗ): that part is missing"),
        (0.9 * np.sign(g), "m keeps 0.9 of itself and takes 0.1 of g"),
    ):
        assert not np.allclose(step, wrong, rtol=1e-6), hint
    assert int(state[2]) == k + 1, f"t counts the steps: after {k + 1} it is {k + 1}, and yours is {state[2]}"
    assert np.allclose(found, right, rtol=1e-6), f"after step {k + 1} w should be {right}, and yours is {found}"
print("Solved: tm.optim.Adam is this, and can be differentiated, too.")

# %% [markdown]
# ## Training
#
# `tm.optim.SGD` and `tm.optim.Adam` are pairs of functions: `init`, and `update`, which you just wrote. All problems
# train at once, each with weights of its own (lesson 7). `tm.tree.stack` makes one tree with an axis in front of many.
#
# **Predict, then run:** the test points are without noise. Which error is lowest at the end: on the points trained on,
# on the noisy validation points, or on the test points?

# %%
each = tm.vmap(loss)
batches = {"train": train, "validation": validation, "test": test}


def trained(rule, steps):
    """The errors of each problem after 0, 20, 40 … steps: (steps / 20 + 1, problems) for each batch."""
    models = tm.tree.stack([start] * problems)
    slope, state = tm.grad(lambda models: each(models, train).sum()), rule.init(models)
    seen = {name: [] for name in batches}
    for k in range(steps + 1):
        if k % 20 == 0:
            for name, batch in batches.items():
                seen[name].append(each(models, batch).numpy())
        models, state = rule.update(slope(models), state, models)
    return {name: np.stack(values) for name, values in seen.items()}


curves = {"descent": trained(tm.optim.SGD(0.03), 600), "Adam": trained(tm.optim.Adam(0.01), 600)}
for name, seen in curves.items():
    for k in (0, 5, 30):
        print(f"{name:8} after {20 * k:4} steps:", *[f"  {b} {interval(v[k])}" for b, v in seen.items()])

# %% [markdown]
# Adam is quicker than plain descent: after 100 steps it is ahead on all three. Then it learns the noise: the error on the
# points trained on sinks below the noise's own, 4.00, and on the test points it rises nearly to where it began.

# %% [markdown]
# The whole story in a picture: the three errors as they fall and rise, and what the network says where it should have been
# stopped, and what it says at the end, for the problem that lost most by going on.


# %%
def in_time_and_too_late(errors, fits):
    steps = 20 * np.arange(31)
    for (name, values), look in zip(curves["Adam"].items(), ("C0", "C1", "C2")):
        errors.plot(steps, values.mean(axis=1), look, label=f"{name} points")
    errors.axhline(noise**2, color="grey", linestyle=":", label="the noise alone")
    errors.set(title="Adam, mean of all problems", xlabel="steps", ylabel="squared error", ylim=(0, None))
    best = curves["Adam"]["validation"].argmin(axis=0)
    lost = curves["Adam"]["test"][-1] - curves["Adam"]["test"][best, np.arange(problems)]
    k, line = int(lost.argmax()), np.linspace(-5, 5, 201)[:, None]
    mine, rule = tuple(a[k] for a in train), tm.optim.Adam(0.01)
    model, state, slope = start, rule.init(start), tm.grad(loss)
    stop = 20 * best[k]
    for step in range(601):
        if step in (stop, 600):
            look, name = ("C2", "stopped in time") if step == stop else ("C0", "after 600 steps")
            fits.plot(line, model(line).numpy(), look, label=name)
        model, state = rule.update(slope(model, mine), state, model)
    fits.plot(line, height[k] * np.sin(line + phase[k]), "k--", linewidth=1, label="the curve behind the points")
    fits.plot(*mine, "ok", markersize=4, label="points trained on")
    fits.set(title="the problem that lost most", xlabel="x", ylabel="y")


figure(
    in_time_and_too_late,
    8,
    "Left, error against steps: on the points trained on it falls below the noise and on; on validation and test points it falls at first, and then rises again. Right, the problem that lost most: the network that was stopped in time draws a smooth line not far from the true curve; after all steps it bends to pass through single noisy points.",
    columns=2,
)

# %% [markdown]
# ## Exercise: stop in time
#
# The open one. Train on `train`, and use `validation` as you like, to return a model whose error on points that you
# don't see is small, by some hundreds of gradients. The checker averages the test errors of three problems.


# %% exercise stop
def fitted(start, train, validation):
    """A model trained from `start` that does well on points of neither batch."""
    # BEGIN SOLUTION
    model, best, lowest = start, start, np.inf
    rule = tm.optim.Adam(0.02)
    state = rule.init(model)
    slope = tm.grad(loss)
    for _ in range(300):
        model, state = rule.update(slope(model, train), state, model)
        error = float(loss(model, validation))
        if error < lowest:
            best, lowest = model, error
    return best
    # END SOLUTION


# %% check stop
# nudge: at which step is the error on points that you don't train on smallest, and which weights does your function return?
# formula: after each update: error = loss(model, validation); if it is the lowest so far, keep the model; return the one kept
errors = []
for k in (0, 3, 5):
    mine, held, unseen = (tuple(a[k] for a in batch) for batch in (train, validation, test))
    model = fitted(start, mine, held)
    assert isinstance(model, tm.nn.MLP), "the function should return a model of the form of `start`"
    errors.append(float(loss(model, unseen)))
zero = float(np.mean([loss(start, tuple(a[k] for a in test)) for k in (0, 3, 5)]))
mean = float(np.mean(errors))
assert not 0.99 * zero < mean < 1.01 * zero, (
    f"the mean error is {mean:.3f}, that of `start`, {zero:.3f}: has it been trained?"
)
assert mean < 2.2, (
    f"the mean error is {mean:.3f}, and 2.2 is asked for: keep the weights with the smallest error on `validation`"
)
print(f"Solved: {mean:.3f} on points that you never saw.")

# %% [markdown]
# ## Who knows more
#
# Two baselines on the same twenty points: the polynomial whose degree does best on the validation points, and
# somebody who knows that it is a sine: two numbers, a sin x + b cos x, by least squares.

# %%
chosen = curves["Adam"]["validation"].argmin(axis=0)
result = {"network, stopped in time": curves["Adam"]["test"][chosen, np.arange(problems)]}


def tested(features):
    """Validation and test error of least squares on features of x, by problem: (2, problems)."""
    errors = []
    for k in range(problems):
        weights = np.linalg.lstsq(features(train[0][k, :, 0]), train[1][k, :, 0], rcond=None)[0]
        errors.append([((features(x[k, :, 0]) @ weights - y[k, :, 0]) ** 2).mean() for x, y in (validation, test)])
    return np.array(errors).T


degrees = np.stack([tested(lambda x, d=d: np.vander(x / 5, d + 1)) for d in range(1, 10)])
result["polynomial, best degree"] = degrees[degrees[:, 0].argmin(axis=0), 1, np.arange(problems)]
result["a sin x + b cos x"] = tested(lambda x: np.stack([np.sin(x), np.cos(x)], axis=1))[1]
for name, values in result.items():
    print(f"{name:26} test error {interval(values)}")

# %% [markdown]
# On forty problems the network can't be told from the polynomial. Whoever knows that waves are waves is far ahead of
# both, with two numbers. Nothing in twenty points says so; a hundred other waves would. To learn *that* from them is
# meta-learning.
#
# ## What to take along
#
# - A model is a tree; its gradient is one, too; an optimizer maps trees to trees.
# - A low training error proves nothing; the points that decide must be others.
# - Compare with somebody who knows more: the gap is what experience with other tasks could give.
#
# On the trace page: plain training has two bands, forwards and backwards, and no third.

# %%
with tm.trace() as trace:
    tm.grad(loss)(start, one)
print(trace.counts())
page(trace, 8)
