# %% [markdown]
# # 14 · Learning the data
#
# A training set is a setting of the learning algorithm too. So its gradient exists: which examples should count,
# and by how much? Or, further: which examples *should there be*? You find mislabelled examples by their
# gradient, and draw one example per class that teaches in five steps what sixty can't.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

flipped = 0.4  # share of wrong labels; try 0.1, then 0.45
n, trusted = 200, 10  # examples, and examples whose labels were checked; try 50 of them

# %% [markdown]
# ## Noisy labels, and a few clean ones
#
# Two classes that differ in one feature out of twenty (`cross_entropy_each` is the loss of each example). Four labels of ten are wrong; ten examples are known to be right.


# %%
def problem(rng, features):
    """Examples, given and right labels; trusted, validation and test examples with right labels."""
    parts = []
    for count in (n, trusted, 500, 2000):
        labels = rng.integers(0, 2, count)
        x = rng.normal(size=(count, features))
        x[:, 0] += 1.5 * (2 * labels - 1)
        parts += [x, labels]
    wrong = rng.random(n) < flipped
    return (parts[0], np.where(wrong, 1 - parts[1], parts[1]), *parts[1:])


x, given, labels, clean_x, clean_y, *_ = problem(np.random.default_rng(0), features=20)
wrong = given != labels
model = {"w": tm.tensor(np.zeros((20, 2))), "b": tm.tensor(np.zeros(2))}


def each(model, x, y):
    return tm.nn.cross_entropy_each(x @ model["w"] + model["b"], y)


def mean_loss(model, x, y):
    return each(model, x, y).mean()


# %% [markdown]
# ## A weight for each example, by its gradient
#
# Ren et al. (2018): give every example the weight ε = 0, take one step on Σ ε·loss, and ask how the clean loss
# would change. An example whose weight ought to grow has a negative derivative (eq. 9–11).
#
# **Predict, then run:** what is the derivative, roughly, for an example that agrees with the clean ones?


# %%
def clean_loss(epsilon):
    grads = tm.grad(lambda m: (epsilon * each(m, x, given)).sum())(model)
    stepped = tm.tree.map(lambda p, g: p - 1.0 * g, model, grads)
    return mean_loss(stepped, clean_x, clean_y)


derivative = tm.grad(clean_loss)(np.zeros(n)).numpy()
weights = np.maximum(-derivative, 0)
weights /= weights.sum()
print(f"mean weight of right examples {weights[~wrong].mean():.4f}, of wrong ones {weights[wrong].mean():.4f}")

# %% [markdown]
# ## Is it worth it?
#
# The baseline that is easily forgotten: train on the ten trusted examples and throw the others away. Eight problems, in
# 2 and in 20 features; each way to train is stopped where the validation examples say.
#
# **Predict, then run:** in which of the two does reweighting beat the ten clean examples?


# %%
def by_gradient(x, given, clean_x, clean_y):
    start = {"w": tm.zeros((x.shape[1], 2)), "b": tm.zeros(2)}

    def clean_loss(epsilon):
        grads = tm.grad(lambda m: (epsilon * each(m, x, given)).sum())(start)
        return mean_loss(tm.tree.map(lambda p, g: p - g, start, grads), clean_x, clean_y)

    helpful = tm.maximum(-tm.grad(clean_loss)(tm.zeros(n)), 0.0)
    return helpful / helpful.sum()


def hits(model, x, y):
    return (tm.argmax(x @ model["w"] + model["b"], axis=-1) == y).mean(axis=-1) * 100.0


def trained(x, y, weights, val_x, val_y, test_x, test_y):
    """Test accuracy in per cent, of whichever of 5, 30 and 100 steps the validation examples prefer."""
    start = {"w": tm.zeros((x.shape[1], 2)), "b": tm.zeros(2)}
    inner = lambda m, _: (weights * each(m, x, y)).sum()
    path = tm.meta.adapt(inner, start, None, rule=tm.optim.SGD(0.5), steps=100, path=True)
    ends = [path[k] for k in (5, 30, 100)]
    chosen = tm.argmax(tm.stack([hits(m, val_x, val_y) for m in ends]))
    return tm.take(tm.stack([hits(m, test_x, test_y) for m in ends]), chosen)


accuracy = {}
for features in (2, 20):
    columns = [np.stack(c) for c in zip(*(problem(np.random.default_rng(seed), features) for seed in range(8)))]
    xs, givens, rights, clean_xs, clean_ys, *judges = columns
    alike, few = np.full((8, n), 1 / n), np.full((8, trusted), 1 / trusted)
    ways = {
        "all, as given": (xs, givens, alike),
        "the trusted ten alone": (clean_xs, clean_ys, few),
        "both, half and half": tuple(
            np.concatenate(pair, axis=1) for pair in ((xs, clean_xs), (givens, clean_ys), (alike / 2, few / 2))
        ),
        "reweighted": (xs, givens, tm.vmap(by_gradient)(xs, givens, clean_xs, clean_ys).numpy()),
        "all, labels put right": (xs, rights, alike),
    }
    accuracy[features] = {name: tm.vmap(trained)(*data, *judges).numpy() for name, data in ways.items()}
    print(f"{features} features")
    for name, values in accuracy[features].items():
        more = interval(accuracy[features]["reweighted"] - values)
        print(f"  {name:22} {interval(values, '%')!s:14}" + f"  reweighting is {more} better" * (name != "reweighted"))

# %% [markdown]
# In the plane, ten examples say nearly all there is to say: reweighting gains less than two per cent. In twenty features
# they can't: there reweighting beats them, and a mixture, since what it asks of them is only which examples to trust.
#
# ## One example per class
#
# Dataset distillation (Wang et al. 2018): the examples themselves are φ. A disc inside a ring; the model sees each
# coordinate and its square. Train on two made-up points for five steps, judge on the real ones, and follow the gradient
# back into the points. Baselines: the mean of each class, and the best of 900 real pairs.


# %%
def rings(rng, count):
    labels, angle = np.arange(count) % 2, rng.uniform(0, 2 * np.pi, count)
    radius = np.where(labels == 0, 1.0, 2.5) + 0.3 * rng.normal(size=count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def seen(x):
    return 0.3 * tm.concat([x, tm.square(x)], axis=-1)


def taught(points, labels, steps=5):
    start = {"w": tm.zeros((4, 2)), "b": tm.zeros(2)}
    rule = tm.optim.SGD(1.0)
    return tm.meta.adapt(lambda m, _: mean_loss(m, seen(points), labels), start, None, rule=rule, steps=steps)


one_each, (rx, ry) = np.array([0, 1]), rings(np.random.default_rng(0), 60)


def distilled_loss(points):
    return mean_loss(taught(points, one_each), seen(rx), ry)


points, outer = tm.tensor(0.1 * np.random.default_rng(0).normal(size=(2, 2))), tm.optim.Adam(0.1)
state, slope = outer.init(points), tm.compile(tm.grad(distilled_loss))
for _ in range(200):
    points, state = outer.update(slope(points), state, points)
means = np.stack([rx[ry == k].mean(axis=0) for k in (0, 1)])
pairs = np.stack([np.stack([a, b]) for a in rx[ry == 0] for b in rx[ry == 1]])
best_pair = pairs[tm.vmap(distilled_loss)(pairs).numpy().argmin()]

tx, ty = rings(np.random.default_rng(1), 2000)
lessons = {
    "class means": (means, one_each, 5),
    "best real pair": (best_pair, one_each, 5),
    "all sixty": (rx, ry, 5),
    "distilled pair": (points.numpy(), one_each, 5),
    "all sixty, 100 steps": (rx, ry, 100),
    "distilled pair, 100 steps": (points.numpy(), one_each, 100),
}
losses = {name: each(taught(*data), seen(tx), ty).numpy() for name, data in lessons.items()}
for name, values in losses.items():
    print(f"{name:26} test loss {interval(values)}")
print("the points:", points.numpy().round(2).tolist())


# %%
def weights_and_points(left, right):
    agrees = x[:, 0] * (2 * given - 1)
    for name, those, mark in (("label right", ~wrong, "oC0"), ("label wrong", wrong, "xC1")):
        left.plot(agrees[those], weights[those], mark, markersize=5, alpha=0.8, label=name)
    left.set(
        xlabel="feature that tells the classes, towards the given label", ylabel="weight", title="Which examples count"
    )
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-4, 9, 160)]), axis=-1)
    taught_by = taught(points, one_each)
    scores = (seen(tm.tensor(grid.reshape(-1, 2))) @ taught_by["w"] + taught_by["b"]).numpy()
    right.contourf(
        *grid.T,
        (scores[:, 1] > scores[:, 0]).reshape(160, 160).T,
        levels=[-0.5, 0.5, 1.5],
        colors=["#dbe9f4", "#f9e3d2"],
    )
    for k, mark in ((0, "oC0"), (1, "sC1")):
        right.plot(*rx[ry == k].T, mark, markersize=4, alpha=0.6, label=f"real, class {k}")
        right.plot(*points.numpy()[k], mark, markersize=13, markeredgecolor="black", label=f"made up, class {k}")
    right.set(xlabel="x₁", ylabel="x₂", title="Two points that teach", aspect="equal")


alt = "Left: the weight of each example against how far the feature that tells the classes speaks for its label: wrong labels lie mostly where it speaks against them, with weight 0. Right: a disc in a ring, sixty points; the two made-up points, one for each class, and the border that a model trained on them alone draws, nearly a circle between disc and ring."
figure(weights_and_points, 14, alt, columns=2, height=4.2)

# %% [markdown]
# In five steps the made-up pair teaches more than all sixty, or than any real pair; the class means, both near the
# middle, teach nothing. But it was made for five steps: given a hundred, the sixty are the better teachers.
#
# ## Exercise: the weights, in closed form
#
# By the chain rule, at ε = 0 the derivative for example i is −(gradient of example i)·(gradient of the clean
# loss), for a step of size 1. Write it with `tm.vmap` and no second derivative.


# %% exercise influence
def influence(model, x, y, clean_x, clean_y):
    """d(clean loss)/dε_i at ε = 0 for a step of size 1: a Tensor of shape (n,)."""
    clean = tm.grad(mean_loss)(model, clean_x, clean_y)
    # BEGIN SOLUTION
    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])
    grads = tm.vmap(one)(x, y)
    return -((grads["w"] * clean["w"]).sum(axis=(1, 2)) + (grads["b"] * clean["b"]).sum(axis=1))
    # END SOLUTION


# %% check influence
# nudge: for a small ε_i the step moves the model by −ε_i times the gradient of example i: how much does the clean loss change?
# formula: −Σ (gradient of example i) · (gradient of the clean loss), over all leaves of the model
found = influence(model, x, given, clean_x, clean_y)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
found, clean = np.asarray(found), tm.grad(mean_loss)(model, clean_x, clean_y)
assert found.shape == (n,), f"one number per example: shape ({n},), and yours is {found.shape}"
own = tm.vmap(lambda a, b: tm.grad(mean_loss)(model, a[None], b[None]))(x, given)
shares = {k: -(own[k] * clean[k]).numpy().reshape(n, -1).sum(axis=1) for k in ("w", "b")}
for wrong, hint in (
    (-derivative, "the sign is turned round: a helpful example lowers the clean loss"),
    (derivative / n, "each example stands alone: don't divide by n"),
    (shares["w"], "the model has two leaves, w and b: the part of b is missing"),
    (shares["b"], "the model has two leaves, w and b: the part of w is missing"),
    (
        -sum((own[k] ** 2).numpy().reshape(n, -1).sum(axis=1) for k in own),
        "the other factor is the clean loss's gradient",
    ),
    (np.full(n, derivative.mean()), "that is the same for all: the gradient of each example by itself is asked for"),
):
    assert not np.allclose(found, wrong), hint
assert np.allclose(found, derivative), f"example 0 has {derivative[0]:.4f}, and yours {found[0]:.4f}"
print("Solved: an example is worth what its gradient shares with the goal's.")

# %% [markdown]
# ## Exercise: an example that was never there
#
# What would have been learned without example i? For ridge regression nothing need be trained again: with
# A = XᵀX + λ1 and θ = A⁻¹Xᵀy, the residuals r_i = y_i − x_i·θ and the leverages h_i = x_iᵀA⁻¹x_i, leaving out example i
# gives θ − A⁻¹x_i r_i/(1 − h_i), exactly (Sherman and Morrison 1950). Do it for all i, with one matrix inverted.


# %% exercise never
def without_each(X, y, ridge):
    """For each i the θ (d,) of ridge regression on all examples but i: (n, d), from X (n, d), y (n,). NumPy."""
    # BEGIN SOLUTION
    inverse = np.linalg.inv(X.T @ X + ridge * np.eye(X.shape[1]))
    theta = inverse @ X.T @ y
    pulls = X @ inverse
    leverage = (pulls * X).sum(axis=1)
    residual = y - X @ theta
    return theta - pulls * (residual / (1 - leverage))[:, None]
    # END SOLUTION


# %% check never
# without: tm, loops, np.delete
# nudge: compare your θ without example 0 with one that was really trained without it. By what factor is the step too short?
# formula: θ − A⁻¹x_i r_i/(1 − h_i): rows of X A⁻¹, each times its residual over one minus its leverage
X, y = np.random.default_rng(5).normal(size=(7, 3)), np.random.default_rng(6).normal(size=7)
kept = X.copy(), y.copy()
found = without_each(X, y, 0.5)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(X, kept[0]) and np.array_equal(y, kept[1]), "X or y was written into: make new arrays"
assert np.shape(found) == (7, 3), f"a θ for each example, (7, 3), and yours have shape {np.shape(found)}"
fit = lambda X, y, ridge=0.5: np.linalg.solve(X.T @ X + ridge * np.eye(3), X.T @ y)
pulls, residual = X @ np.linalg.inv(X.T @ X + 0.5 * np.eye(3)), y - X @ fit(X, y)
leverage = (pulls * X).sum(axis=1)
moved = lambda size: fit(X, y) - pulls * size[:, None]
left_out = lambda ridge: np.stack([fit(np.delete(X, i, 0), np.delete(y, i), ridge) for i in range(7)])
for wrong, hint in (
    (np.tile(fit(X, y), (7, 1)), "that is θ of all examples: nothing has been left out"),
    (moved(residual), "that is the derivative (influence functions): to be exact, divide by 1 − h_i"),
    (moved(residual / (1 + leverage)), "taking away is 1 − h_i; 1 + h_i is for one that is added"),
    (moved(residual / leverage), "divide by 1 − h_i, not by h_i"),
    (moved(-residual / (1 - leverage)), "the sign: without it θ moves away from where it pulled"),
    (moved(y / (1 - leverage)), "r_i is the residual y_i − x_i·θ, not y_i"),
    (left_out(0.0), "λ is missing: A = XᵀX + λ1"),
    (fit(X, y) - X * (residual / (1 - leverage))[:, None], "A⁻¹ is missing before x_i"),
    (pulls * (residual / (1 - leverage))[:, None], "that is by how much θ moves: subtract it from θ"),
):
    assert not np.allclose(found, wrong), hint
right = left_out(0.5)
assert np.allclose(found, right), (
    f"without example 0, θ is {right[0].round(3)}, and yours {np.asarray(found)[0].round(3)}"
)
print("Solved: a thousand trainings for the price of one.")

# %% [markdown]
# ## Exercise: who is wrong?
#
# Name the `count` examples whose labels are most likely wrong. The derivatives of one step are a beginning; but a model
# trained with those weights has an opinion of its own on every label, and may give new weights. Any way will do. Asked
# for: of 80 named on 16 problems, more wrong ones than the derivatives alone would name, with its interval.


# %% exercise suspects
def suspects(x, given, clean_x, clean_y, count):
    """The places of the `count` examples that are most likely wrong; x (n, features), labels 0 or 1; (count,)."""
    # BEGIN SOLUTION
    weights = by_gradient(x, given, clean_x, clean_y)
    start = {"w": tm.zeros((x.shape[1], 2)), "b": tm.zeros(2)}
    for _ in range(3):
        model = start
        for _ in range(30):
            grads = tm.grad(lambda m, w=weights: (w * each(m, x, given)).sum())(model)
            model = tm.tree.map(lambda p, g: p - 0.5 * g, model, grads)
        doubts = each(model, x, given).numpy()
        weights = np.exp(-3 * doubts) / np.exp(-3 * doubts).sum()
    return np.argsort(doubts)[-count:]
    # END SOLUTION


# %% check suspects
# without: labels, wrong
# nudge: which of the examples does a model believe that listens to the trusted ten? And would it believe others after that?
# formula: again and again: train on the examples by their weights; weights anew by how well the model explains each given label
def found_wrong(name, seed):
    """The share (in %) of the named whose label is wrong."""
    x, given, right, clean_x, clean_y, *_ = problem(np.random.default_rng(seed), 20)
    named = name(x.copy(), given.copy(), clean_x, clean_y, 80)
    assert named is not None, "the function returns nothing: return the places"
    named = np.asarray(named)
    assert named.shape == (80,), f"80 places are asked for, and yours have shape {named.shape}"
    assert named.dtype.kind in "iu", "places are whole numbers, from 0 to n − 1: see np.argsort"
    assert len(set(named.tolist())) == 80, "an example is named twice"
    return 100 * (given != right)[named].mean()


def by_derivative(x, given, clean_x, clean_y, count):
    start = {"w": tm.zeros((x.shape[1], 2)), "b": tm.zeros(2)}
    return np.argsort(influence(start, x, given, clean_x, clean_y).numpy())[-count:]


seeds = range(200, 216)
mine, simply = (np.array([found_wrong(name, seed) for seed in seeds]) for name in (suspects, by_derivative))
said = f"of those you name {interval(mine, '%')} are wrong, by the derivatives {interval(simply, '%')}: "
assert mine.mean() > 25, said + "are those the ones that are right? The doubtful come first"
assert mine.mean() > 50, said + "that is about what chance names"
assert not np.allclose(mine, simply), said + "the same: let a model that was trained with these weights judge"
gap = interval(mine - simply)
assert gap.mean - gap.half > 0, said + f"{gap} more is not surely more"
print(f"Solved: {said}the second look is better than the first.")

# %% [markdown]
# ## What to take along
#
# - Data are settings: weights on examples, and examples, have gradients through the training they cause.
# - Ask first what the clean examples can do alone, and the class means: often that is enough.
# - `tinymeta run reweight` and `tinymeta run distill-data` do this with networks and with images.
#
# On the trace page, the gradient reaches `epsilon` only through the inner gradient: all of its path is order 1 or 2.

# %%
with tm.trace() as trace:
    tm.grad(clean_loss)(np.zeros(n))
page(trace, 14)
