# %% [markdown]
# # 02 · Tensors and broadcasting
#
# With arrays, one line of code does many sums at once, and small arrays are stretched to fit large ones. What
# was stretched on the way forward must be summed on the way back: that single sentence is the most common bug
# in home-made autograd, and this lesson makes you commit it and mend it.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import built, figure, page

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
# The same in a picture: `b` is copied down the rows on the way forward; on the way back every copy has a cotangent of
# its own, and what b gets is their sum.


# %%
def stretched(ahead, back, summed):
    for axes, array, said in (
        (ahead, np.broadcast_to(b, z.shape), "forwards: b in every row"),
        (back, gz, "backwards: gz, row by row"),
        (summed, gb[None], "gb: the sum of the rows"),
    ):
        most = abs(array).max(initial=1e-9)
        axes.imshow(array, cmap="PuOr", vmin=-2 * most, vmax=2 * most, aspect="auto", extent=(0, 2, len(array), 0))
        for (i, j), value in np.ndenumerate(array):
            axes.text(j + 0.5, i + 0.5, f"{value:+.3f}", ha="center", va="center")
        axes.set(title=said, xticks=[0.5, 1.5], xticklabels=["b₀", "b₁"], yticks=[], ylim=(max(n, 1), 0))
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)


figure(
    stretched,
    2,
    "Three tables. Forwards: b, two numbers, the same in each row. Backwards: gz, other numbers in each row. Then gb: one row, the sums of gz's columns.",
    columns=3,
    height=2.4,
)

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
# nudge: line the two shapes up at their right ends: which axes has g that `shape` lacks, and where is 1 against more?
# formula: lead = g.ndim − len(shape); sum over i < lead, and over i where shape[i − lead] == 1 != g.shape[i], with keepdims; then reshape
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
# ## Your engine, with arrays
#
# A Node of lesson 1 can hold an array as it stands, and `gradient` needs no change; `built` brings what an earlier
# lesson's exercises make. What changes are the rules: each cotangent must come back in its input's shape.

# %%
Node, gradient = built("a_derivative_by_hand", "Node", "gradient")


# %% exercise arrays
def add(a, b):
    """a + b for Nodes that hold arrays of any shapes that fit each other."""
    # BEGIN SOLUTION
    shapes = a.value.shape, b.value.shape
    return Node(a.value + b.value, (a, b), lambda g: tuple(unbroadcast(g, shape) for shape in shapes))
    # END SOLUTION


def mul(a, b):
    """a·b, entry by entry."""

    # BEGIN SOLUTION
    def rule(g):
        return unbroadcast(g * b.value, a.value.shape), unbroadcast(g * a.value, b.value.shape)

    return Node(a.value * b.value, (a, b), rule)
    # END SOLUTION


def matmul(a, b):
    """The product of two matrices."""
    # BEGIN SOLUTION
    return Node(a.value @ b.value, (a, b), lambda g: (g @ b.value.T, a.value.T @ g))
    # END SOLUTION


def tanh(a):
    """tanh, entry by entry."""
    # BEGIN SOLUTION
    y = np.tanh(a.value)
    return Node(y, (a,), lambda g: (g * (1 - y * y),))
    # END SOLUTION


def mean(a):
    """The mean of all entries, a Node that holds one number; every entry gets the same cotangent."""
    # BEGIN SOLUTION
    return Node(a.value.mean(), (a,), lambda g: (np.full(a.value.shape, g / a.value.size),))
    # END SOLUTION


# %% check arrays
# without: tm
# nudge: write the shape beside each name. A cotangent has its value's shape: which one does not come out of itself?
# formula: unbroadcast(g, a's shape); unbroadcast(g·b, a's shape); matmul (g bᵀ, aᵀ g); tanh g·(1 − y²); mean: g/size in every entry
row, column, tall, wide = (rng.normal(size=shape) for shape in ((3,), (2, 1), (3, 2), (2, 3)))
for operation, theirs, arrays in (
    (add, tm.add, (wide, wide)),
    (add, tm.add, (column, row)),
    (mul, tm.multiply, (wide, wide)),
    (mul, tm.multiply, (row, column)),
    (matmul, tm.matmul, (wide, tall)),
    (tanh, tm.tanh, (wide,)),
    (mean, tm.mean, (wide,)),
):
    name, made = operation.__name__, operation(*map(Node, arrays))
    assert isinstance(made, Node), f"{name} should return a Node, and returned {made!r}"
    value, back = tm.vjp(theirs, *arrays)
    assert np.allclose(made.value, value.numpy()), f"the value of {name} is not that of NumPy's {name}"
    g = np.asarray(rng.normal(size=np.shape(made.value)))
    given, right = made.rule(g), [x.numpy() for x in back(g)]
    assert isinstance(given, tuple | list) and len(given) == len(arrays), (
        f"the rule of {name} returns a cotangent for each of {len(arrays)} inputs"
    )
    for k, (x, y, a) in enumerate(zip(given, right, arrays)):
        said = f"cotangent {k} of {name} for shapes {[a.shape for a in arrays]}"
        assert np.shape(x) == a.shape, f"{said} has shape {np.shape(x)}, and its input {a.shape}: see unbroadcast"
        assert np.allclose(x, y) or not np.allclose(x, y * wide.size), (
            f"{said}: a mean divides by the number of entries"
        )
        assert np.allclose(x, y) or not np.allclose(x, right[k - 1]), f"{said} is that of the other input"
        assert np.allclose(x, y), f"{said} has other entries than {y.round(3).tolist()}"
print("Solved: a layer's worth of rules.")

# %% [markdown]
# ## Exercise: the loss of a classifier
#
# One rule more, and networks can choose: cross-entropy, the mean over rows of log Σ exp(z) − z[label], as *one*
# operation. Its rule is short: softmax minus 1 at the label, over the number of rows. Logits may be large: exp(1000)
# overflows, and taking the same number from all logits of a row changes nothing.


# %% exercise classify
def cross_entropy(logits, labels):
    """The mean cross-entropy, a Node that holds one number; logits is a Node (n, classes), labels an array (n,) of ints."""
    # BEGIN SOLUTION
    z = logits.value - logits.value.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows, right = np.arange(len(labels)), np.zeros(z.shape)
    right[rows, labels] = 1
    loss = (np.log(np.exp(z).sum(axis=1)) - z[rows, labels]).mean()
    return Node(loss, (logits,), lambda g: (g * (p - right) / len(labels),))
    # END SOLUTION


# %% check classify
# without: tm
# nudge: for one row of two logits, write the loss down and differentiate it by each. Where does the label come in?
# formula: z = logits − their row's largest;  loss = mean of log Σ exp(z) − z[label];  rule: g · (softmax − 1 at the label) / n
scores, kinds = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
for shift in (0.0, 1000.0, 1000 * np.sign(scores[:, :1])):
    given = Node(scores + shift)
    made = cross_entropy(given, kinds)
    assert isinstance(made, Node), f"cross_entropy should return a Node, and returned {made!r}"
    assert np.shape(made.value) == (), f"the Node holds one number, the mean, and its shape is {np.shape(made.value)}"
    assert np.isfinite(made.value), f"for large logits the loss is {made.value}: take off each row's largest"
    right, back = tm.vjp(lambda z: tm.nn.cross_entropy(z, kinds), scores)
    average, slope = float(right), back(1.0)[0].numpy()
    assert not np.isclose(made.value, -average), "the sign is turned round: log Σ exp(z) minus z[label]"
    assert not np.isclose(made.value, 5 * average), "that is the sum over the rows: take the mean"
    assert np.isclose(made.value, average), f"the loss should be {average:.4f}, and is {float(made.value):.4f}"
    assert [*made.inputs] == [given], "the Node is made of one other, the logits"
    answer = made.rule(2.0)
    assert isinstance(answer, tuple | list) and np.shape(answer[0]) == (5, 3), (
        "the rule returns a tuple of one array, (5, 3)"
    )
    for wrong, hint in (
        (slope, "the rule forgets g: it scales with it"),
        (10 * slope, "the loss is a mean: its rule divides by the number of rows"),
        (-2 * slope, "the sign is turned round"),
        (2 * slope + 0.4 * (np.arange(3) == kinds[:, None]), "that is softmax: 1 is to be taken off at the label"),
    ):
        assert not np.allclose(answer[0], wrong), hint
    assert np.allclose(answer[0], 2 * slope), f"row 0 should be {2 * slope[0].round(3)}, and is {answer[0][0].round(3)}"
print("Solved: five operations and a loss are a framework for networks.")

# %% [markdown]
# ## Exercise: train a network by it
#
# The open one. The four points of XOR can't be separated by a line: the best linear model has a mean squared error of
# 1 on labels of ±1. Train y = tanh(x W + b) V, or what you like, by gradient descent with your engine.

# %%
corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
signs = np.array([[1.0], [-1.0], [-1.0], [1.0]])


# %% exercise xor
def xor_error(rng):
    """Trains from random weights; the mean squared error at the end, and a Node of it whose Nodes are yours."""
    # BEGIN SOLUTION
    weights = [rng.normal(size=(2, 8)), rng.normal(size=8), rng.normal(size=(8, 1))]
    for _ in range(300):
        W, b, V = nodes = [Node(w) for w in weights]
        y = matmul(tanh(add(matmul(Node(corners), W), b)), V)
        e = add(y, Node(-signs))
        error = mean(mul(e, e))
        weights = [w - 0.1 * g for w, g in zip(weights, gradient(error, nodes))]
    return float(error.value), error
    # END SOLUTION


# %% check xor
# without: tm
# nudge: print the error every twenty steps: does it fall, and is it still falling when you stop?
# formula: weights ← w − 0.1·g for each w and g of gradient(error, nodes), with eight tanh units and three hundred steps
for seed in (1, 2, 3):
    answer = xor_error(np.random.default_rng(seed))
    assert isinstance(answer, tuple) and len(answer) == 2, "return two things: the error, and the Node that holds it"
    error, made = answer
    assert isinstance(made, Node), f"the second thing returned should be a Node, and is {made!r}"
    assert error == float(made.value), "the error returned is not that of the Node"
    assert np.isfinite(error), "the error is not finite: the step is too large"
    assert made.inputs, "the Node holds a number that nothing was made of: return the one that was differentiated"
    assert error < 0.99 or error > 1.01, "the error is 1: that of a linear model, or of weights that stay 0"
    assert error < 1.0, f"the error is {error:.3f}, worse than a line's 1: do the steps go down, and are they kept?"
    assert error < 0.05, f"the error is {error:.3f}, and should come below 0.05: more steps, or more hidden units?"
print("Solved: your engine trains networks.")

# %% [markdown]
# What has it learned? Here is the network's output over the whole plane, purple above 0 and orange below, while your
# rules train it: at the start a slope; in the end a hill at either triangle and a valley between, which no line can make.


# %%
def network(weights, points):
    W, b, V = nodes = [Node(w) for w in weights]
    return nodes, matmul(tanh(add(matmul(Node(points), W), b)), V)


def surfaces(*panels):
    some, lines, stops = np.random.default_rng(1), np.linspace(-1.6, 1.6, 81), (0, 5, 300)
    weights = [some.normal(size=shape) for shape in ((2, 8), 8, (8, 1))]
    plane = np.stack(np.meshgrid(lines, lines), axis=-1).reshape(-1, 2)
    for step in range(stops[-1] + 1):
        nodes, y = network(weights, corners)
        e = add(y, Node(-signs))
        error = mean(mul(e, e))
        if step in stops:
            axes, height = panels[stops.index(step)], network(weights, plane)[1].value.reshape(81, 81)
            axes.contourf(lines, lines, height, np.linspace(-2, 2, 17), cmap="PuOr", extend="both")
            axes.contour(lines, lines, height, [0.0], colors="black", linewidths=1)
            for sign, look in ((1, "^"), (-1, "o")):
                axes.plot(
                    *corners[signs[:, 0] == sign].T,
                    look + "w",
                    markersize=9,
                    markeredgecolor="black",
                    label=f"label {sign:+}",
                )
            axes.set(title=f"step {step}, error {error.value:.2f}", xlabel="x₀", ylabel="x₁", aspect="equal")
            axes.grid(visible=False)
        weights = [w - 0.1 * g for w, g in zip(weights, gradient(error, nodes))]


figure(
    surfaces,
    2,
    "Three maps of the network's output over the plane, with the four corners. At the start the zero line is bent by chance; after five steps it begins to go round two of the corners; in the end triangles lie on one side of it, and circles on the other.",
    columns=3,
    height=3.4,
)

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
