# %% [markdown]
# # 17 · A meta-learner of your own
#
# The last lesson is yours. Here is a family of tasks that no lesson has used, and a baseline that knows nothing of it
# but is tuned. Write whatever learns to learn it: you decide what φ is, how it adapts, and how it is trained. The
# checker trains your learner, hands it tasks that it has not seen, and measures.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

points = 5  # that a task shows; try 3, then 20
iterations = 800  # of the reference solution; try 100, then 3000

# %% [markdown]
# ## The family
#
# Each task is a ringing that fades away from the middle, seen at five noisy points. Two numbers tell one task from
# another. `sample` draws tasks; the grader draws its own.


# %%
def sample(rng, tasks):
    """Support x and y (tasks, points) with noise, query x and y (tasks, 40) without."""
    mixture = rng.normal(size=(2, tasks, 1))
    x = rng.uniform(-4, 4, (tasks, points + 40))
    y = np.exp(-(x**2) / 8) * (mixture[0] * np.sin(3 * x) + mixture[1] * np.cos(3 * x))
    noise = 0.1 * rng.normal(size=(tasks, points))
    return x[:, :points], y[:, :points] + noise, x[:, points:], y[:, points:]


def errors(predict, batch):
    """The mean squared error of predict(xs, ys, xq) on each task: (tasks,)."""
    xs, ys, xq, yq = batch
    return ((predict(xs, ys, xq) - yq) ** 2).mean(axis=1)


tuning, test = (sample(np.random.default_rng(seed), 300) for seed in (1, 2))

# %% [markdown]
# ## Exercise: the baseline
#
# The warm-up: kernel ridge regression, one task at a time and with nothing learned. With k(a, b) = exp(−(a − b)²/2w²)
# it predicts k(q, s) (k(s, s) + λ·1)⁻¹ y, for support points s and query points q.


# %% exercise kernel
def kernel_ridge(xs, ys, xq, width, ridge):
    """Predictions (tasks, m) for xs, ys (tasks, n) and xq (tasks, m), each task by itself; NumPy."""

    # BEGIN SOLUTION
    def near(a, b):
        return np.exp(-((a[:, :, None] - b[:, None, :]) ** 2) / (2 * width**2))

    within = near(xs, xs) + ridge * np.eye(xs.shape[1])
    weights = np.linalg.solve(within, ys[..., None])
    return (near(xq, xs) @ weights)[..., 0]
    # END SOLUTION


# %% check kernel
# without: tm
# nudge: what is k(a, a), and what is k far away? Where does λ stand?
# formula: k(q, s) (k(s, s) + λ·1)⁻¹ y with k(a, b) = exp(−(a − b)²/2w²); np.linalg.solve takes many tasks at once
xs, ys, xq, _ = sample(np.random.default_rng(3), 4)
found = kernel_ridge(xs, ys, xq, 0.7, 0.2)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.shape(found) == (4, 40), f"a prediction for each query point: shape (4, 40), and yours is {np.shape(found)}"


def plainly(s, y, q, width, ridge):
    k = lambda a, b: np.exp(-((a[:, None] - b[None]) ** 2) / (2 * width**2))
    return k(q, s) @ np.linalg.inv(k(s, s) + ridge * np.eye(len(s))) @ y


by_width = lambda width, ridge: np.stack([plainly(*task, width, ridge) for task in zip(xs, ys, xq)])
for wrong, hint in (
    (by_width(0.7, 0.0), "λ is missing: it stands on the diagonal of k(s, s)"),
    (by_width(0.7 / np.sqrt(2), 0.2), "the exponent is −(a − b)²/2w²: a 2 is missing"),
    (by_width(np.sqrt(0.7), 0.2), "w is squared in the exponent"),
    (by_width(0.2, 0.7), "width and ridge are exchanged"),
):
    assert not np.allclose(found, wrong), hint
assert np.allclose(found, by_width(0.7, 0.2)), (
    f"task 0 begins with {by_width(0.7, 0.2)[0, :2]}, yours with {found[0, :2]}"
)
print("Solved: a baseline worth beating, once it is tuned.")

# %% [markdown]
# It is tuned on other tasks of the family, as is right for a baseline.

# %%
width, ridge = min(
    ((w, r) for w in (0.1, 0.2, 0.3, 0.5, 0.8, 1.2) for r in (0.01, 0.1, 0.3, 1.0)),
    key=lambda pair: errors(lambda *task: kernel_ridge(*task, *pair), tuning).mean(),
)
baseline = errors(lambda *task: kernel_ridge(*task, width, ridge), test)
print(
    f"kernel ridge with width {width}, ridge {ridge}: {interval(baseline)}; always 0: {interval((test[3] ** 2).mean(1))}"
)

# %% [markdown]
# ## Exercise: is it better, and how sure is that?
#
# Before the last exercise, its judge. Two methods have been measured on the same tasks. The bootstrap (Efron 1979) needs
# no formula: draw as many tasks as there are, with replacement, take the mean difference on them, and do that `draws`
# times. The interval goes from the 1/40 quantile of these means to the 39/40 one.


# %% exercise bootstrap
def difference(mine, theirs, draws, rng):
    """Low and high end of the 95 % interval of the mean of mine − theirs; errors on the same tasks, (tasks,) each."""
    # BEGIN SOLUTION
    apart = mine - theirs
    drawn = rng.integers(len(apart), size=(draws, len(apart)))
    low, high = np.quantile(apart[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
    # END SOLUTION


# %% check bootstrap
# without: tm, interval
# nudge: what is drawn: numbers, or places? And how many means are there in the end?
# formula: apart = mine − theirs; quantiles 0.025 and 0.975 of apart[rng.integers(n, size=(draws, n))].mean(axis=1)
rng = np.random.default_rng(8)
hard = 10 * rng.random(200)  # what makes a task hard for both
mine, theirs = hard + rng.normal(size=200) - 0.3, hard + rng.normal(size=200)
ends = difference(mine, theirs, 4000, np.random.default_rng(0))
assert ends is not None, "the function returns nothing: return the two ends"
assert np.shape(ends) == (2,), f"an interval has two ends, and yours is {ends!r}"
low, high = map(float, np.asarray(ends))
assert low < high, "the low end comes first, and the two differ: is it the same draw each time?"
sure = interval(mine - theirs)  # the formula: mean ± 1.96 s/√n
width, wide = 2 * sure.half, 2 * np.hypot(interval(mine).half, interval(theirs).half)
# the ends of 4,000 draws are off by 1.96 √(0.025 · 0.975/4000)/0.058 ≈ 0.083 of a standard error, 2 % of the width
assert abs(high - low - wide) > 0.3 * wide, "each task is drawn for both methods at once: the same places in both"
assert abs(high - low - width * np.sqrt(200)) > 0.3 * width * np.sqrt(200), (
    "of the means of the draws, not of the tasks"
)
assert abs(high - low - width) < 0.1 * width or high - low > width, "too narrow: draw as many tasks as there are, 95 %"
assert abs(high - low - width) < 0.1 * width, (
    f"too wide, {high - low:.3f} for {width:.3f}: as many tasks as there are, 95 %"
)
assert abs((low + high) / 2 + sure.mean) > 0.2 * width, "the difference is mine − theirs: below 0, mine is better"
assert abs((low + high) / 2 - sure.mean) < 0.1 * width, (
    f"the middle should be near {sure.mean:.3f}: the mean difference"
)
few = difference(mine, theirs, 1, np.random.default_rng(0)), difference(mine, theirs, 1, np.random.default_rng(1))
assert float(few[0][0]) != float(few[1][0]), "another generator gives another interval: draw with rng"
print("Solved: where it doesn't hold 0, the difference is more than luck.")

# %% [markdown]
# ## Exercise: your meta-learner
#
# The open one. Any way will do: an initialization, features with a fitted head (`tm.solve` solves linear systems, and
# can be differentiated), a network that reads the support set. Asked for: an error of less than 0.6 of the baseline's,
# with its confidence interval, on tasks that the checker draws, within five minutes.
#
# **Predict, then run:** somebody who knows the two functions fits two numbers. How near will yours come?


# %% exercise learner
def meta_learner(sample, rng):
    """Trains on tasks of `sample(rng, tasks)`; returns predict(xs, ys, xq) for arrays (tasks, points) → (tasks, m)."""
    # BEGIN SOLUTION
    features = 8
    network = tm.nn.MLP([1, 32, 32, features], rng=rng, activation=tm.tanh, dtype=np.float64)
    phi = {"features": network, "log_ridge": tm.tensor(np.log(0.1))}

    def predict(phi, xs, ys, xq):
        seen, asked = phi["features"](xs[:, None]), phi["features"](xq[:, None])
        within = seen.mT @ seen + tm.exp(phi["log_ridge"]) * np.eye(features)
        return (asked @ tm.solve(within, seen.mT @ ys[:, None]))[:, 0]

    each = tm.vmap(predict, in_axes=(None, 0, 0, 0))

    def loss(phi, xs, ys, xq, yq):
        return tm.square(each(phi, xs, ys, xq) - yq).mean()

    outer, slope = tm.optim.Adam(5e-3), tm.compile(tm.grad(loss))
    state = outer.init(phi)
    for _ in range(iterations):
        phi, state = outer.update(slope(phi, *sample(rng, 32)), state, phi)
    return lambda xs, ys, xq: each(phi, xs, ys, xq).numpy()
    # END SOLUTION


# %% check learner
# seconds: 300
# nudge: give it a task with other labels: does what it predicts change? And how does it fare on tasks that it was trained on?
# formula: features by a network, a head fitted to each task by tm.solve(FᵀF + λ·1, Fᵀy), and both trained by the error on the query points
predict = meta_learner(sample, np.random.default_rng(0))
assert callable(predict), f"meta_learner should return a function, predict(xs, ys, xq), and returned {predict!r}"
fresh = xs, ys, xq, yq = sample(np.random.default_rng(123), 300)
found = predict(xs, ys, xq)
assert isinstance(found, np.ndarray | tm.Tensor), f"predict should return an array, and returned {found!r}"
found = np.asarray(found)
assert found.shape == yq.shape, f"a prediction for each query point: shape {yq.shape}, and yours is {found.shape}"
assert np.isfinite(found).all(), "some predictions are not finite: is the step size too large, or a matrix singular?"
again = np.asarray(predict(xs, ys[::-1], xq))
assert not np.allclose(found, again), (
    "with the labels of other tasks it predicts the same: it does not learn from the support set"
)
alone = np.asarray(predict(xs[:1], ys[:1], xq[:1]))
assert np.allclose(alone, found[:1], atol=1e-6), (
    "a task alone gets other predictions: tasks must not look at each other"
)
mine = ((found - yq) ** 2).mean(axis=1)
theirs = errors(lambda *task: kernel_ridge(*task, width, ridge), fresh)
said = f"your error is {interval(mine)}, the baseline's {interval(theirs)}: "
assert mine.mean() < (yq**2).mean(), said + "worse than always saying 0"
assert mine.mean() < 0.9 * theirs.mean(), said + "has anything been learned from other tasks?"
gap = interval(mine - 0.6 * theirs)
assert gap.mean + gap.half < 0, said + "on the way; 0.6 of the baseline is asked for: longer, or another φ?"
print(f"Solved: {said}it learned what its family is like.")

# %% [markdown]
# ## Where it stands
#
# The reference solution learns features, and fits a ridge regression on them to each task: it adapts in closed form,
# and the gradient goes through the solution of the linear system.

# %%
ours = meta_learner(sample, np.random.default_rng(0))


def knows_the_family(xs, ys, xq):
    """Least squares on the two functions, with the ridge that the noise asks for."""
    f = lambda x: np.exp(-(x[..., None] ** 2) / 8) * np.stack([np.sin(3 * x), np.cos(3 * x)], axis=-1)
    within = np.swapaxes(f(xs), 1, 2) @ f(xs) + 0.01 * np.eye(2)
    return (f(xq) @ np.linalg.solve(within, np.swapaxes(f(xs), 1, 2) @ ys[..., None]))[..., 0]


result = {"kernel ridge, tuned": baseline, "learned features": errors(ours, test)}
result["knows the family"] = errors(knows_the_family, test)
for name, values in result.items():
    print(f"{name:20} error {interval(values)}")


# %%
def three_tasks(*axes):
    x = np.linspace(-4, 4, 300)
    xs, ys = (a[:3] for a in test[:2])
    asked = np.tile(x, (3, 1))
    rows = {
        "kernel ridge": (kernel_ridge(xs, ys, asked, width, ridge), "C1--"),
        "learned features": (ours(xs, ys, asked), "C0-"),
        "knows the family": (knows_the_family(xs, ys, asked), "C2:"),
    }
    for k, panel in enumerate(axes):
        for name, (says, line) in rows.items():
            panel.plot(x, says[k], line, label=name)
        panel.plot(*(a[k] for a in test[2:]), "x", color="0.5", markersize=4, label="to predict")
        panel.plot(xs[k], ys[k], "o", color="black", markersize=5, label="five points shown")
        panel.set_xlabel("x")
    axes[0].set_ylabel("y")


alt = "Three tasks. Kernel ridge bends near the five points and goes back to 0 between them; the learned features ring as the family does, also where no point is; whoever knows the family goes through the points to predict."
figure(three_tasks, 17, alt, columns=3, sharey=True)

# %% [markdown]
# Learned features need less than 0.6 of the baseline's error, and are still far from what somebody does who knows the
# family. There is room between the two for a better learner than this one.
#
# ## What to take along
#
# - Three numbers make a result: a tuned baseline, your learner, and somebody who knows.
# - Judge by tasks that took no part in any choice.
#
# On the trace page: the adaptation is a linear system, `solve`, and its rule is another one.

# %%
network = tm.nn.MLP([1, 8, 2], rng=np.random.default_rng(0), activation=tm.tanh, dtype=np.float64)


def one_task(network, xs, ys):
    seen = network(xs[:, None])
    return tm.square(seen @ tm.solve(seen.mT @ seen + 0.1 * np.eye(2), seen.mT @ ys[:, None])).mean()


with tm.trace() as trace:
    tm.grad(one_task)(network, test[0][0], test[1][0])
print(trace.counts())
page(trace, 17)
