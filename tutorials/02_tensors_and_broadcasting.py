# %% [markdown]
# # 02 · Tensors and broadcasting
#
# With arrays, one line of code does many sums at once, and small arrays are stretched to fit large ones. What
# was stretched on the way forward must be summed on the way back: that single sentence is the most common bug
# in home-made autograd, and this lesson makes you commit it and mend it.
#
# 有了数组，一行代码就能同时做许多运算，小数组会被拉伸以配合大数组。前向时被拉伸的维度，反向时必须求和：
# 这句话正是自制自动求导中最常见的错误，本课让你先犯一次，再改正它。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import page

rng = np.random.default_rng(0)
n = 4  # examples; try 1, then 0

# %% [markdown]
# ## A layer, with every intermediate named
#
# loss = mean((tanh(x W + b) − t)²), with x (n, 3), W (3, 2), b (2,): the bias is stretched over n rows.

# %%
x, t = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
W, b = rng.normal(size=(3, 2)), rng.normal(size=2)

z = x @ W + b
h = np.tanh(z)
e = h - t
loss = (e * e).mean()
print(f"loss {loss:.4f}")

# %% [markdown]
# ## Backwards
#
# Each cotangent has the shape of its value. For the product, `z = x W` gives gW = xᵀ gz: check that no other
# order of the two factors has the shape of W.
#
# (From here on: what is called as in NumPy, `tm.tanh`, `tm.sum`, does what it does there; `tm.nn.mse_loss` is the mean
# of the squared errors.)
#
# **Predict, then run:** gz has shape (n, 2) and b has shape (2,). Which axis must go?

# %%
ge = 2 * e / e.size
gh = ge
gz = gh * (1 - h * h)
gW = x.T @ gz
gb = gz.sum(axis=0)  # b was used in every row: its n cotangents add up
assert gb.shape == b.shape


# %%
def f(W, b):
    return tm.nn.mse_loss(tm.tanh(x @ W + b), t)


theirs_W, theirs_b = tm.grad(f, argnums=(0, 1))(W, b)
compare("gW", gW, theirs_W)
compare("gb", gb, theirs_b)
compare("gb, unsummed", gz, theirs_b)  # the classic mistake; read what it says

# %% [markdown]
# ## Once, in the engine
#
# No rule in this framework undoes broadcasting. The rule for `a + b` says: both cotangents are g. The sweep
# then sums each over whatever its input lacks, and it does so with an ordinary, recorded operation. That is
# why second derivatives through a broadcast are right without anybody having thought of them.

# %%
with tm.trace() as trace:
    tm.grad(f, argnums=1)(W, b)
print([step.op for step in trace.steps if step.op == "sum_to"], "appears without being written")

# %% [markdown]
# ## Exercise: undo any broadcast
#
# Write `unbroadcast(g, shape)`: sum the array g to `shape`. New leading axes go; axes that were of size 1 stay,
# with size 1. (The check asks `tm.vjp`, which gives a function's value and the walk back from it.)


# %% exercise unbroadcast
def unbroadcast(g, shape):
    """g summed over the axes along which `shape` was stretched; the result has that shape."""
    # BEGIN SOLUTION
    lead = g.ndim - len(shape)
    axes = tuple(i for i in range(g.ndim) if i < lead or shape[i - lead] == 1 != g.shape[i])
    return g.sum(axis=axes, keepdims=True).reshape(shape)
    # END SOLUTION


# %% check unbroadcast
for shape, big in [
    ((2,), (4, 2)),
    ((1, 3), (5, 3)),
    ((), (2, 2)),
    ((3, 1), (2, 3, 4)),
    ((2, 3), (2, 3)),
    ((1,), (0, 1)),
]:
    g = rng.normal(size=big)
    found = unbroadcast(g, shape)
    assert isinstance(found, np.ndarray | np.floating), f"from {big} to {shape}: the function returned {found!r}"
    said = f"from {big} to {shape}: the result has shape {np.shape(found)}: "
    assert np.ndim(found) <= len(shape), said + "new leading axes are summed and go"
    assert np.size(found) <= np.prod(shape), said + "an axis of size 1 that was stretched is summed, too"
    assert np.size(found) == np.prod(shape), said + "only what was stretched is summed"
    assert np.shape(found) == shape, said + "axes of size 1 stay; see keepdims"
    right = tm.vjp(lambda v, big=big: tm.broadcast_to(v, big), np.zeros(shape))[1](g)[0]
    assert np.allclose(found, right.numpy()), f"from {big} to {shape}: the entries are not the sums (a mean, perhaps?)"
print("Solved: the adjoint of stretching is summing.")

# %% [markdown]
# ## What to take along
#
# - A cotangent has the shape of its value, always: when in doubt, let the shapes decide.
# - Stretched forwards, summed backwards. In this engine that happens once, in `conform` (engine/structure.py).
#
# On the trace page of this lesson, find `sum_to`: it belongs to the column of the `add` that stretched b.

# %%
print(trace.counts())
page(trace, 2)
