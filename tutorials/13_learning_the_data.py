# %% [markdown]
# # 13 · Learning the data
#
# A training set is a setting of the learning algorithm too. So its gradient exists: which examples should count,
# and by how much? Or, further: which examples *should there be*? You find mislabelled examples by their
# gradient, and draw one example per class that teaches what sixty did.
#
# 训练集也是学习算法的一种设置，因此它也有梯度：哪些样本应当算数，算多少？更进一步：*应当有*哪些样本？你将用梯度找出错标的
# 样本，并为每个类别画出一个样本，让它教会原来六十个样本所教的东西。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

flipped = 0.4  # share of wrong labels; try 0.1, then 0.5
rng = np.random.default_rng(0)

# %% [markdown]
# ## Noisy labels, and a few clean ones

# %%
n = 60
labels = rng.integers(0, 2, n)
x = rng.normal(size=(n, 2)) + 2.0 * (2 * labels[:, None] - 1)
wrong = rng.random(n) < flipped
given = np.where(wrong, 1 - labels, labels)
clean_x, clean_y = x[:7] + 0.1, labels[:7]
model = {"w": tm.tensor(np.zeros((2, 2))), "b": tm.tensor(np.zeros(2))}


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


# %%
def train(example_weights):
    m, rule = model, tm.optim.SGD(0.5)
    return tm.meta.adapt(lambda m, _: (example_weights * each(m, x, given)).sum(), m, None, rule=rule, steps=30)


test_y = rng.integers(0, 2, 1000)
test_x = rng.normal(size=(1000, 2)) + 2.0 * (2 * test_y[:, None] - 1)
for name, w in (("plain", np.full(n, 1 / n)), ("reweighted", weights)):
    m = train(w)
    print(f"{name:11} test loss {float(mean_loss(m, test_x, test_y)):.3f}")

# %% [markdown]
# ## One example per class
#
# Dataset distillation (Wang et al. 2018): the examples themselves are φ. Train on two made-up points for five
# steps, judge on the real ones, and follow the gradient back into the points.


# %%
def distilled_loss(points):
    inner = lambda m, _: mean_loss(m, points, np.array([0, 1]))
    m = tm.meta.adapt(inner, model, None, rule=tm.optim.SGD(0.5), steps=5)
    return mean_loss(m, x, labels)


points, outer = tm.tensor(0.1 * rng.normal(size=(2, 2))), tm.optim.Adam(0.1)
state = outer.init(points)
before = float(distilled_loss(points))
for _ in range(60):
    points, state = outer.update(tm.grad(distilled_loss)(points), state, points)
print(f"loss after training on two points {before:.3f} → {float(distilled_loss(points)):.3f}")
print("the points:", points.numpy().round(2).tolist())

# %% [markdown]
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
found = influence(model, x, given, clean_x, clean_y)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert tuple(found.shape) == (n,), f"one number per example: shape ({n},), and yours is {tuple(found.shape)}"
assert not np.allclose(found.numpy(), -derivative), "the sign is turned round: a helpful example lowers the clean loss"
assert not np.allclose(found.numpy(), derivative / n), "each example stands alone: don't divide by n"
alone = -np.einsum("nij,ij->n", tm.vmap(lambda a, b: tm.grad(mean_loss)(model, a[None], b[None])["w"])(x, given).numpy(),
                   tm.grad(mean_loss)(model, clean_x, clean_y)["w"].numpy())  # fmt: skip
assert not np.allclose(found.numpy(), alone), "the model has two leaves, w and b: the part of b is missing"
assert np.allclose(found.numpy(), derivative), f"example 0 has {derivative[0]:.4f}, and yours {float(found[0]):.4f}"
print("Solved: an example is worth what its gradient shares with the goal's.")

# %% [markdown]
# ## What to take along
#
# - Data are settings: weights on examples, and examples, have gradients through the training they cause.
# - `tinymeta run reweight` and `tinymeta run distill-data` do this with networks and with images.
#
# On the trace page, the gradient reaches `epsilon` only through the inner gradient: all of its path is order 1 or 2.

# %%
with tm.trace() as trace:
    tm.grad(clean_loss)(np.zeros(n))
page(trace, 13)
