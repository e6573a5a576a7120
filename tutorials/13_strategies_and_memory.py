# %% [markdown]
# # 13 · A strategy network and a memory of gradients
#
# No single update rule is best for all tasks. A *strategy network* looks at a task's first gradients and
# mixes rules to suit it; a *gradient memory* asks what past tasks want now, so that a new one doesn't undo them.
# Both are small here, and both are learned or used through the same engine.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

steps = 5  # inner steps that the strategy is chosen for; try 2, then 15
rng = np.random.default_rng(0)

# %% [markdown]
# ## Two families of tasks, two rules
#
# Bowls whose two directions are alike, begun anywhere; and bowls forty times as steep in one direction, begun at about
# the same distance in both. One rule steps along the gradient, the other along its sign.


# %%
def sample(rng, tasks):
    scaled = rng.random(tasks) < 0.5
    theta = rng.normal(size=(tasks, 2))
    theta = np.where(scaled[:, None], np.sign(theta) * (1 + 0.03 * rng.normal(size=(tasks, 2))), theta)
    return np.where(scaled[:, None], [[0.5, 20.0]], [[1.0, 1.3]]), theta, scaled


def loss(theta, curvature):
    return 0.5 * (curvature * theta * theta).sum()


def run(curvature, theta, weight, lr):
    """Log loss after `steps` steps of a mixture: weight·gradient + (1 − weight)·sign of the gradient."""
    for _ in range(steps):
        g = tm.grad(loss)(theta, curvature)
        theta = theta - lr[0] * weight * g - lr[1] * (1 - weight) * tm.stop_gradient(tm.sign(g))
    return tm.log(loss(theta, curvature) + 1e-6)


# %% [markdown]
# ## Baselines
#
# Every fixed mixture with every pair of step sizes, on tasks for tuning; and, family by family, each rule alone.

# %%
curvature, theta, scaled = sample(np.random.default_rng(8), 300)
fixed = tm.vmap(run, in_axes=(0, 0, None, None))
tried = {
    (weight, a, b): fixed(curvature, theta, weight, np.array([a, b])).numpy()
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0)
    for a in (0.02, 0.05, 0.1, 0.3, 0.6, 0.9)
    for b in (0.03, 0.1, 0.2, 0.3)
}
best = min(tried, key=lambda rule: tried[rule].mean())
alone = {}
for family, member in (("alike", ~scaled), ("badly scaled", scaled)):
    for rule, weight in (("gradient", 1.0), ("sign", 0.0)):
        alone[family, rule] = min((v[member].mean(), r) for r, v in tried.items() if r[0] == weight)
    print(f"{family:13} best by gradient {alone[family, 'gradient'][0]:6.2f}, by sign {alone[family, 'sign'][0]:6.2f}")

# %% [markdown]
# Each family has its rule: no mixture can be right for both.
#
# ## The strategy network
#
# It sees what a support set tells: the logarithms of the first gradient's two sizes. It answers with a weight. The two
# step sizes are learned with it.
#
# **Predict, then run:** after training, which family gets the larger weight on the plain gradient?

# %%
network = tm.nn.MLP([2, 8, 1], rng=rng, activation=tm.tanh, dtype=np.float64)


def weight_for(phi, curvature, theta):
    g = tm.grad(loss)(theta, curvature)
    return tm.sigmoid(phi["net"](tm.log(tm.abs(tm.stop_gradient(g)) + 1e-6))[0])


def task_loss(phi, curvature, theta):
    return run(curvature, theta, weight_for(phi, curvature, theta), tm.exp(phi["log_lr"]))


over_tasks = lambda f: tm.vmap(f, in_axes=(None, 0, 0))
phi = {"net": network, "log_lr": tm.tensor(np.log([0.3, 0.3]))}
outer = tm.optim.Adam(0.03)
state = outer.init(phi)
step = tm.compile(tm.grad(lambda phi, curvature, theta: over_tasks(task_loss)(phi, curvature, theta).mean()))
for _ in range(400):
    curvature, theta, _ = sample(rng, 32)
    phi, state = outer.update(step(phi, curvature, theta), state, phi)

curvature, theta, scaled = sample(np.random.default_rng(9), 300)
weights = over_tasks(weight_for)(phi, curvature, theta).numpy()
print(f"mean weight on the gradient: alike {weights[~scaled].mean():.2f}, badly scaled {weights[scaled].mean():.2f}")

# %%
rates = np.array([alone["alike", "gradient"][1][1], alone["badly scaled", "sign"][1][2]])
result = {
    "best fixed mixture": fixed(curvature, theta, best[0], np.array(best[1:])).numpy(),
    "strategy": over_tasks(task_loss)(phi, curvature, theta).numpy(),
    "both rules, the better kept": np.minimum(*(fixed(curvature, theta, w, rates).numpy() for w in (0.0, 1.0))),
}
for name, values in result.items():
    print(f"{name:28} log loss {interval(values)}")

# %% [markdown]
# The strategy is far ahead of every fixed mixture. Running both rules and keeping the better is better still, and takes
# twice the steps: with two rules, do that. The network has to look once, however many rules there are to mix.
#
# ## The gradient memory
#
# Keep a few examples of each past task; m is their gradient at the weights of now. If a new gradient g points against
# it, g·m < 0, a step along g makes the old task worse. A-GEM (Chaudhry et al. 2019, eq. 11) takes that component out.
#
# ## Exercise: the projection


# %% exercise project
def project(g, m):
    """g, without the part that points against m: nothing changes where g·m ≥ 0. NumPy arrays."""
    # BEGIN SOLUTION
    along = g @ m
    return g if along >= 0 else g - along / (m @ m) * m
    # END SOLUTION


# %% check project
# nudge: draw g and m on paper: what is left of g when its shadow on m is taken away, and when need nothing be done?
# formula: g − (g·m)/(m·m) m where g·m < 0, else g
g, m = np.array([1.0, -2.0]), np.array([0.5, 3.0])
found = project(g, m)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.shape(found) == (2,), f"the result is a gradient of shape (2,), and yours has shape {np.shape(found)}"
found, along = np.asarray(found), g @ m
assert np.allclose(project(g, -m), g), "g and −m agree (g·m ≥ 0): then g must stay as it is"
assert project(g, 0 * m) is not None and np.isfinite(project(g, 0 * m)).all(), (
    "a memory of 0 divides by 0: ask g·m < 0 first"
)
assert not np.allclose(found, g), "g·m < 0, so the part along m must go, and nothing has changed"
assert not np.allclose(found, along / (m @ m) * m), "that is the part that must go: subtract it from g"
assert not np.allclose(found, g - along / np.sqrt(m @ m) * m), "m has a length: divide by m·m, not by its root"
assert not np.allclose(found, g + along / (m @ m) * m), (
    "the part along m is subtracted, not added: there is a sign wrong"
)
assert not np.allclose(found, 0), "only the part along m goes, not all of g"
assert abs(found @ m) < 1e-12, f"after the projection g·m should be 0, and it is {found @ m:.3f}: divide by m·m"
assert np.allclose(found, g - along / (m @ m) * m), f"only the part along m goes, and you have {found}"
print("Solved: one inner product protects the past.")

# %% [markdown]
# ## The memory at work
#
# Two tasks that pull one parameter vector in nearly opposite directions, learned one after the other:

# %%
targets = [np.array([1.0, 1.0]), np.array([1.0, -1.0])]
rows = [np.array([[1.0, 0.2]]), np.array([[0.3, 1.0]])]
square = lambda w, k: ((rows[k] @ (w - targets[k])) ** 2).sum()
uses = {
    "forgetting": lambda g, m: g,
    "projection": project,
    "replay": lambda g, m: g + m,  # the kept examples are learned again
}
ends = {}
for name, use in uses.items():
    w = np.zeros(2)
    for k in (0, 1):
        for _ in range(100):
            g = tm.grad(square)(w, k).numpy()
            w = w - 0.1 * (use(g, tm.grad(square)(w, 0).numpy()) if k == 1 else g)
    ends[name] = [float(square(w, k)) for k in (0, 1)]
    print(f"{name:11} task 1 {ends[name][0]:.4f}, task 2 {ends[name][1]:.4f}")

# %% [markdown]
# Both uses of the memory keep task 1. Here, where one solution suits both tasks, plain replay does as well as the
# projection. `tinymeta run memory` measures the forgetting over many tasks.

# %% [markdown]
# ## Exercise: what to keep
#
# A memory of `size` examples, and a stream of unknown length: how does each example come to have the same chance of
# being kept? Reservoir sampling (Vitter 1985): the first `size` are kept; the k-th after that, counted from 1 for the
# stream's first, is kept with the chance size/k, in the place of one that is drawn at random.


# %% exercise reservoir
def kept_of(stream, size, rng):
    """A list of `size` examples of an iterable, each kept with the same chance; fewer where it is shorter."""
    # BEGIN SOLUTION
    kept = []
    for k, example in enumerate(stream, start=1):
        if len(kept) < size:
            kept.append(example)
        else:
            place = rng.integers(k)
            if place < size:
                kept[place] = example
    return kept
    # END SOLUTION


# %% check reservoir
# without: rng.choice, rng.permutation, rng.shuffle
# nudge: the k-th is kept with the chance size/k: how does one draw of a whole number below k decide it, and the place, too?
# formula: place = rng.integers(k); where place < size, kept[place] = example
short = kept_of(iter(range(3)), 5, np.random.default_rng(0))
assert short is not None, "the function returns nothing: return the list"
assert list(short) == [0, 1, 2], f"a stream shorter than the memory is kept whole, and of [0, 1, 2] you keep {short}"
runs = [kept_of(iter(range(20)), 5, np.random.default_rng(seed)) for seed in range(2000)]
assert all(len(run) == 5 for run in runs), "the memory holds `size` examples, no more and no fewer"
assert all(len(set(run)) == 5 for run in runs), "an example is kept twice"
often = np.bincount(np.concatenate(runs), minlength=20) / 2000
# each is kept with the chance p = 1/4: five standard deviations of 2,000 draws are 5 √(p (1 − p) / 2000) = 0.048
assert often[19] > 0, "the last example never comes in: the first five are kept forever"
assert often[0] > 0, "the first example never stays: the last ones always replace it"
assert often[-5:].mean() < 0.3, f"late ones are kept too often, {often[-5:].mean():.2f} for 0.25: the chance is size/k"
assert often[-5:].mean() > 0.2, f"late ones are kept too seldom, {often[-5:].mean():.2f} for 0.25: the chance is size/k"
assert np.abs(often - 0.25).max() < 0.048, f"not all have the chance 1/4: {often.round(2)}"
print("Solved: a fair memory, whatever comes.")

# %% [markdown]
# ## One pass over five tasks
#
# Forgetting needs no conflict: here one w suits all tasks, but each shows four directions of twelve only, askew to those
# of the others, and none comes back.


# %%
def five_tasks(rng, each=40):
    """Examples (x, y), x (12,), task after task; and of each task 200 to test by, x (200, 12) and y (200,)."""
    right, views = rng.normal(size=12), rng.normal(size=(5, 4, 12)) / np.sqrt(12)
    draw = lambda view, n: rng.normal(size=(n, 4)) @ view
    stream = [(x, x @ right + 0.1 * rng.normal()) for view in views for x in draw(view, each)]
    return stream, [(x, x @ right) for x in (draw(view, 200) for view in views)]


def gradient(w, examples):
    """The gradient (12,) of the mean squared error on a list of examples; NumPy."""
    x, y = (np.array(column) for column in zip(*examples))
    return 2 * x.T @ (x @ w - y) / len(y)


def left_of(w, tests):
    """The squared error on each task: (5,)."""
    return np.array([((x @ w - y) ** 2).mean() for x, y in tests])


def plain_descent(stream, gradient, w, size=0, rng=None, rate=0.1):
    for example in stream:
        w = w - rate * gradient(w, [example])
    return w


others = [five_tasks(np.random.default_rng(seed)) for seed in range(100, 120)]
remains = lambda rate: np.mean([left_of(plain_descent(s, gradient, np.zeros(12), rate=rate), t) for s, t in others])
print(*(f"plain descent, step size {rate}: {remains(rate):.3f}\n" for rate in (0.02, 0.05, 0.1, 0.15)), sep="")


# %% [markdown]
# ## Exercise: a memory that works
#
# Learn from such a stream: each example comes once, and no more than `size` of those that have passed may be used
# again, ever. How they are chosen, and what is done with them (replay, projection, both), is up to you. Asked for: from a
# memory of 20, over all five tasks, less than a fifth of the error of plain descent.


# %% exercise stream
def learn_stream(stream, gradient, w, size, rng):
    """w after one pass over the examples of `stream`; `gradient(w, examples)` is the mean over a list of them."""
    # BEGIN SOLUTION
    kept = []
    for k, example in enumerate(stream, start=1):
        for _ in range(5):
            w = w - 0.1 * gradient(w, [example, *kept])
        if len(kept) < size:
            kept.append(example)
        elif (place := rng.integers(k)) < size:
            kept[place] = example
    return w
    # END SOLUTION


# %% check stream
# without: five_tasks, plain_descent
# nudge: after the fourth task, what says anything about the first? And of how many examples is the gradient that you step along?
# formula: w −= 0.1 · gradient(w, [example, *kept]), five times for each example; kept by reservoir sampling
def learned_from(seed, learn):
    """The error on each task, and how many passed examples were still to be used, at most."""
    stream, tests = five_tasks(np.random.default_rng(seed))
    place, last, came = {x.tobytes(): k for k, (x, _) in enumerate(stream)}, {}, []

    def passing():
        for example in stream:
            came.append(example)
            yield example

    def asked(w, examples):
        assert len(examples) > 0, "gradient was asked for the mean of no examples: at first the memory is empty"
        last.update({place[x.tobytes()]: len(came) - 1 for x, _ in examples})
        return gradient(w, examples)

    w = learn(passing(), asked, np.zeros(12), 20, np.random.default_rng(0))
    assert w is not None, "the function returns nothing: return w"
    assert np.shape(w) == (12,), f"w has shape (12,), and yours {np.shape(w)}"
    assert len(came) == len(stream), f"{len(stream)} examples came, and it looked at {len(came)}"
    assert np.isfinite(np.asarray(w)).all(), "w is not finite: are the steps too long?"
    held = max(sum(k < now <= until for k, until in last.items()) for now in range(len(stream)))
    return left_of(np.asarray(w), tests), held


seeds = range(30, 46)
mine, held = zip(*(learned_from(seed, learn_stream) for seed in seeds))
mine, plainly = np.array(mine), np.array([learned_from(seed, plain_descent)[0] for seed in seeds])
nothing = np.array([left_of(np.zeros(12), five_tasks(np.random.default_rng(seed))[1]) for seed in seeds])
assert max(held) <= 20, f"the memory holds 20, and {max(held)} that had passed were used again"
assert max(held) > 0, "nothing that has passed is used again: keep some examples, and learn from them, too"
said = f"your error is {mine.mean():.3g}, plain descent's {plainly.mean():.3g}: "
assert mine.mean() < 0.9 * nothing.mean(), said + "nothing is learned: do the steps go down, and are they short?"
assert mine[:, 0].mean() < plainly[:, 0].mean() / 5, (
    said + "the first task is forgotten: does the memory still hold some of it?"
)
assert mine.mean() < plainly.mean() / 5 or mine[:, 1:4].mean() < 5 * mine[:, 0].mean(), (
    said + "the tasks in the middle are forgotten: does the memory take in later ones, too?"
)
assert mine.mean() < plainly.mean() / 5, said + "less than a fifth is asked for: more steps for each example?"
print(f"Solved: {said}twenty examples stand for two hundred.")

# %% [markdown]
# Task by task, on other streams: the error on each after each, by plain descent and by yours.

# %%
histories = {"plain descent": [], "a memory of 20": []}
for seed in range(8):
    stream, tests = five_tasks(np.random.default_rng(seed))
    for name, learn in zip(histories, (plain_descent, learn_stream)):
        reached = [learn(stream[: 40 * k], gradient, np.zeros(12), 20, np.random.default_rng(0)) for k in range(1, 6)]
        histories[name].append([left_of(w, tests) for w in reached])
for name, history in histories.items():
    print(f"{name:15} after the last, over all five: {interval(np.mean(history, axis=2)[:, -1])}")


def forgetting(*panels):
    for panel, (name, history) in zip(panels, histories.items()):
        errors = np.mean(history, axis=0)
        shade = panel.imshow(np.log10(errors), cmap="Blues", vmin=-3, vmax=0.5)
        for (row, column), error in np.ndenumerate(errors):
            ink = "white" if error > 0.3 else "black"
            panel.text(column, row, f"{error:.2g}", ha="center", va="center", color=ink, fontsize=8.5)
        panel.set(title=name, xlabel="error on task", xticks=range(5), xticklabels=range(1, 6), yticks=range(5))
        panel.set_yticklabels(range(1, 6))
        panel.grid(visible=False)
    panels[0].set_ylabel("after task")
    panel.figure.colorbar(shade, ax=list(panels), label="log₁₀ of the squared error", shrink=0.8)


alt = "Two tables, the error on each of five tasks after each of them, light where it is small. By plain descent a task is light just after it was learned and darkens as others come; with a memory of twenty examples what has become light stays light."
figure(forgetting, 13, alt, columns=2)

# %% [markdown]
# ## What to take along
#
# - Choosing a rule can be learned as soon as the choice is soft. `tinymeta run strategy` has six rules, per layer.
# - A bounded memory is enough to notice a conflict; and twenty examples keep five tasks that plain descent forgets.
#
# On the trace page: the weight's cotangent gathers from every inner step.

# %%
with tm.trace() as trace:
    tm.grad(task_loss)(phi, curvature[0], theta[0])
page(trace, 13)
