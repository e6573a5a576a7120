# %% [markdown]
# # 07 · Batching tasks: vmap
#
# Meta-learning runs the same small program for many tasks. A Python loop pays Python's price for each of
# them; `vmap` runs them all at once, and you still write the program for one. Its trick fits into one
# sentence: the task axis is hidden in front, and every operation counts its axes from the back.

# %%
import timeit

import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import built, figure, page

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


def looped(w, x, y):
    return sum((meta_loss(w, *task) for task in zip(x, y)), start=tm.tensor(0.0)) / len(x)


def batched(w, x, y):
    return tm.vmap(meta_loss, in_axes=(None, 0, 0))(w, x, y).mean()


a, b = tm.grad(looped)(w, X, Y), tm.grad(batched)(w, X, Y)
print("largest difference", float(np.abs(a.numpy() - b.numpy()).max()))
timed = {
    f.__name__: min(timeit.repeat(lambda f=f: tm.grad(f)(w, X, Y), number=3, repeat=3)) / 3 for f in (looped, batched)
}
print({name: f"{1e3 * seconds:.1f} ms" for name, seconds in timed.items()})

# %% [markdown]
# In a picture, for more and more tasks: how many operations pass through the engine, and how long they take. The loop
# pays for each task anew; with `vmap` the engine has no more to do for fifty tasks than for one.


# %%
def price(operations, clock):
    counts = [1, 2, 5, 10, 25, 50]
    for f, look in ((looped, "o-C1"), (batched, "s-C0")):
        passed, needed = [], []
        for count in counts:
            x, y = rng.normal(size=(count, 10, 3)), rng.normal(size=(count, 10))
            slope = tm.grad(lambda w, f=f, x=x, y=y: f(w, x, y))
            with tm.trace() as trace:
                slope(w)
            passed.append(sum(trace.counts().values()))
            needed.append(1e3 * min(timeit.repeat(lambda slope=slope: slope(w), number=3, repeat=5)) / 3)
        name = {"looped": "a loop over the tasks", "batched": "vmap"}[f.__name__]
        operations.loglog(counts, passed, look, label=name)
        clock.loglog(counts, needed, look, label=name)
    for axes, title in ((operations, "operations"), (clock, "milliseconds")):
        axes.set(title=title, xlabel="tasks", xticks=counts, xticklabels=counts)
        axes.minorticks_off()


figure(
    price,
    7,
    "Against the number of tasks, both axes logarithmic. With a loop, operations and time grow in step with the tasks; with vmap the operations stay as few as for one task, and the time hardly grows.",
    columns=2,
)

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
# without: loops
# nudge: write the gradient for one example first. Which function makes of it one that runs for all?
# formula: tm.vmap(lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None]))(x, y), and of each row √Σ g²
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
# nudge: which arguments have an i-th part, along which axis, and where does the result's new axis stand?
# formula: np.stack([f(*[a if axis is None else np.take(a, i, axis=axis) for a, axis in zip(arguments, in_axes)]) for i in range(count)])
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
# ## Exercise: your engine, for all tasks
#
# The open one. Two rules of your engine count axes from the front, by `.T`: made to count from the back, they run any
# number of tasks at once, and no other rule changes. The trap is in MAML itself: the start is shared, and the adapted
# weights are not. In which of the two does each task take its inner gradient? (`spread` is your broadcast of lesson 3.)

# %%
Node, gradient, sum_to, spread = built("the_gradient_of_a_gradient", "Node", "gradient", "sum_to", "spread")


# %% exercise together
def transposed(a):
    """The last two axes exchanged, whatever stands before them."""
    # BEGIN SOLUTION
    return Node(np.swapaxes(a.value, -1, -2), (a,), lambda g: (transposed(g),))
    # END SOLUTION


def matmul(a, b):
    """The product over the last two axes; axes before them are stretched to fit, as in NumPy."""
    # BEGIN SOLUTION
    return Node(a.value @ b.value, (a, b), lambda g: (matmul(g, transposed(b)), matmul(transposed(a), g)))
    # END SOLUTION


def all_tasks(w, x, y):
    """∇_w of the mean meta-loss, for x (tasks, 10, 3) and y (tasks, 10): one step of 0.1 on the first five points each."""

    # BEGIN SOLUTION
    def losses(w, x, y):
        e = matmul(Node(x), w) - y[..., None]
        return sum_to(e * e, ()) * (1 / y.shape[1])

    start = Node(w[:, None])
    own = spread(start, (len(x), 3, 1))
    [g] = gradient(losses(own, x[:, :5], y[:, :5]), [own])
    adapted = own - g * 0.1
    [g] = gradient(losses(adapted, x[:, 5:], y[:, 5:]) * (1 / len(x)), [start])
    return g.value[:, 0]
    # END SOLUTION


# %% check together
# without: tm, loops, built
# nudge: what is the shape of the inner gradient? There are as many inner steps as tasks, each by a gradient of its own.
# formula: own = spread(start, (len(x), 3, 1));  [g] = gradient(inner losses of own, [own]);  adapted = own − g · 0.1;  then gradient(…, [start])
pile, single = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 5))
turned = transposed(Node(pile))
assert isinstance(turned, Node), f"transposed should return a Node, and returned {turned!r}"
assert turned.shape == (4, 3, 2), (
    f"(4, 2, 3) with its last two axes exchanged is (4, 3, 2), and yours is {turned.shape}"
)
assert turned.rule(Node(turned.value))[0].shape == (4, 2, 3), "the rule of transposed turns the last two axes back"
product = matmul(Node(pile), Node(single))
assert isinstance(product, Node), f"matmul should return a Node, and returned {product!r}"
assert np.allclose(product.value, pile @ single), "the value of matmul is that of NumPy's @"
g = rng.normal(size=(4, 2, 5))
back = [sum_to(x, a.shape).value for x, a in zip(product.rule(Node(g)), (Node(pile), Node(single)))]
right = tm.vjp(tm.matmul, pile, single)[1](g)
for k in (0, 1):
    assert np.allclose(back[k], right[k].numpy()), (
        f"cotangent {k} of matmul has other entries than {right[k].numpy().round(2)}"
    )
found, right = all_tasks(w, X, Y), tm.grad(lambda w: batched(w, X, Y))(w).numpy()
assert isinstance(found, np.ndarray), f"the result should be an array, and is {found!r}"
assert found.shape == (3,), f"the gradient has the shape of w, (3,), and yours has {found.shape}"
kept = tm.stop_gradient
first = lambda w, x, y: loss(w - 0.1 * kept(tm.grad(loss)(w, x[:5], y[:5])), x[5:], y[5:])
pooled = lambda w: tm.vmap(loss, in_axes=(None, 0, 0))(
    w - 0.1 * tm.grad(lambda w: tm.vmap(loss, in_axes=(None, 0, 0))(w, X[:, :5], Y[:, :5]).sum())(w), X[:, 5:], Y[:, 5:]
).mean()
said = "the gradient is another one: "
for wrong, hint in (
    (right * len(X), "that is the sum over the tasks: the meta-loss is their mean"),
    (tm.grad(lambda w: tm.vmap(first, in_axes=(None, 0, 0))(w, X, Y).mean())(w).numpy(), "that is first-order MAML's"),
    (tm.grad(pooled)(w).numpy(), "all tasks stepped by the sum of their gradients: give each weights of its own"),
    (
        tm.grad(lambda w: tm.vmap(loss, in_axes=(None, 0, 0))(w, X[:, 5:], Y[:, 5:]).mean())(w).numpy(),
        "no task has moved",
    ),
):
    assert np.allclose(found, right) or not np.allclose(found, wrong), said + hint
assert np.allclose(found, right), f"it should be {right.round(4)}, and is {found.round(4)}"
print(f"Solved: {len(X)} tasks, on an engine that has never heard of tasks.")

# %% [markdown]
# ## What to take along
#
# - Write for one task; `vmap` runs all. `in_axes` says which arguments they share.
# - No operation has a batching rule: negative axes are enough.
#
# On the trace page, the values inside carry a batch of tasks; the picture is that of a single task.

# %%
with tm.trace() as trace:
    tm.grad(batched)(w, X, Y)
print(trace.counts())
page(trace, 7)
