# %% [markdown]
# # 07 · Batching tasks: vmap
#
# Meta-learning runs the same small program for many tasks. A Python loop pays Python's price for each of
# them; `vmap` runs them all at once, and you still write the program for one. Its trick fits into one
# sentence: the task axis is hidden in front, and every operation counts its axes from the back.
#
# 元学习要为许多任务运行同一个小程序。Python 循环要为每个任务付一次代价；`vmap` 把它们一次算完，而你只需为一个任务写程序。
# 它的诀窍只有一句话：任务轴藏在最前面，而每个运算都从后往前数自己的轴。

# %%
import timeit

import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

tasks = 25  # try 1, then 200
rng = np.random.default_rng(0)

# %% [markdown]
# ## For one, then for all

# %%
X, Y = rng.normal(size=(tasks, 10, 3)), rng.normal(size=(tasks, 10))
w = rng.normal(size=3)


def loss(w, x, y):
    return ((x @ w - y) ** 2).mean()


def meta_loss(w, x, y):  # one MAML step for one task
    return loss(w - 0.1 * tm.grad(loss)(w, x[:5], y[:5]), x[5:], y[5:])


def looped(w):
    return sum((meta_loss(w, X[t], Y[t]) for t in range(tasks)), start=tm.tensor(0.0)) / tasks


def batched(w):
    return tm.vmap(meta_loss, in_axes=(None, 0, 0))(w, X, Y).mean()


a, b = tm.grad(looped)(w), tm.grad(batched)(w)
print("largest difference", float(np.abs(a.numpy() - b.numpy()).max()))
timed = {f.__name__: min(timeit.repeat(lambda f=f: tm.grad(f)(w), number=3, repeat=3)) / 3 for f in (looped, batched)}
print({name: f"{1e3 * seconds:.1f} ms" for name, seconds in timed.items()})

# %% [markdown]
# ## What is shared, and what is not
#
# `in_axes=None` says that all tasks share an argument. Inside, each task has its own gradient of the shared
# weights; at the border, where the shared w meets the batch, the gradients are summed.
#
# **Predict, then run:** which shape has the gradient below, and which has its sum?

# %%
per_task = tm.vmap(tm.grad(loss), in_axes=(None, 0, 0))(w, X, Y)
total = tm.grad(lambda w: tm.vmap(loss, in_axes=(None, 0, 0))(w, X, Y).sum())(w)
print(per_task.shape, total.shape)
assert np.allclose(per_task.numpy().sum(axis=0), total.numpy())

# %% [markdown]
# ## How it works
#
# Look at a Tensor from the inside: `array` has the hidden axis, `shape` does not show it, and `batch` counts it.


# %%
def peek(x):
    print("array", x.array.shape, " shape", x.shape, " batch", x.batch)
    return x.sum()


tm.vmap(peek)(X)
tm.vmap(tm.vmap(peek))(X)  # and again

# %% [markdown]
# ## Exercise: gradients per example
#
# The norm of each example's own gradient is used in privacy and in curricula. Without a loop: for one task with
# x (n, 3) and y (n,), return the n norms.


# %% exercise norms
def gradient_norms(w, x, y):
    """‖∇_w loss on example i alone‖ for every i: shape (n,)."""
    # BEGIN SOLUTION
    one = lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None])
    grads = tm.vmap(one)(x, y)
    return tm.sqrt((grads * grads).sum(axis=-1))
    # END SOLUTION


# %% check norms
x, y = X[0], Y[0]
found = gradient_norms(w, x, y)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
found, each = np.asarray(found), 2 * (x @ w - y)[:, None] * x
right = np.linalg.norm(each, axis=1)
assert found.shape != (10, 3), "those are the gradients: take the norm of each, over the last axis"
assert found.shape == (10,), f"there are 10 examples, so 10 norms, and the result has shape {found.shape}"
for wrong, hint in (
    (right**2, "those are the squares of the norms: a root is missing"),
    (right / 10, "each example stands alone: its loss is not divided by n"),
    (np.abs(2 * (x @ w - y)), "that is the derivative by the prediction, not by w"),
    (np.abs(each).sum(axis=1), "those are sums of absolute values: the norm squares, sums, and takes the root"),
    (each.sum(axis=1), "those are sums: the norm squares, sums, and takes the root"),
    (np.full(10, np.linalg.norm(each.mean(axis=0))), "that is the gradient of the mean loss, for each the same"),
):
    assert not np.allclose(found, wrong), hint
assert np.allclose(found, right), f"the first norm is {right[0]:.4f}, and yours {found[0]:.4f}"
print("Solved: one program for one example is enough.")

# %% [markdown]
# ## Exercise: vmap by hand
#
# What must come out can be had by a loop: take each argument's i-th part along its axis, or all of it where the axis is
# None, and stack the results. It is slow, and it is the definition.


# %% exercise mapped
def looped_vmap(f, in_axes):
    """A function like tm.vmap(f, in_axes), for NumPy arrays; its results are stacked along a new first axis."""

    # BEGIN SOLUTION
    def mapped(*arguments):
        pairs = list(zip(arguments, in_axes))
        count = next(argument.shape[axis] for argument, axis in pairs if axis is not None)
        results = []
        for i in range(count):
            parts = [argument if axis is None else np.take(argument, i, axis=axis) for argument, axis in pairs]
            results.append(np.asarray(f(*parts)))
        return np.stack(results)

    return mapped
    # END SOLUTION


# %% check mapped
# without: tm
f = lambda a, b, c: a @ b + c
a, b, c = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
mapped = looped_vmap(f, (0, None, 1))
assert callable(mapped), f"looped_vmap should return a function, and returned {mapped!r}"
found, right = mapped(a, b, c), tm.vmap(f, in_axes=(0, None, 1))(a, b, c).numpy()
assert found is not None, "the function that you return returns nothing"
assert isinstance(found, np.ndarray), f"the results are stacked to one array, and yours is a {type(found).__name__}"
assert found.shape != right[0].shape, "one result is there: stack those of all i"
assert found.shape != (2, 4, 5), "the new axis comes first"
assert found.shape == right.shape, f"four results of shape (2, 5) are stacked to (4, 2, 5), and yours has {found.shape}"
assert np.allclose(found, right), "the numbers differ: is the right axis taken of each argument?"
shared = looped_vmap(lambda a, b: a * b, (None, 0))(np.ones(3), np.arange(4.0))
assert shared.shape == (4, 3), "None says that all share the argument: the count comes from one that is mapped"
print("Solved: vmap is this, without the loop.")

# %% [markdown]
# ## What to take along
#
# - Write for one task; `vmap` runs all. `in_axes` says which arguments they share.
# - No operation has a batching rule: negative axes are enough.
#
# On the trace page, the values inside carry a batch of tasks; the picture is that of a single task.

# %%
with tm.trace() as trace:
    tm.grad(batched)(w)
print(trace.counts())
page(trace, 7)
