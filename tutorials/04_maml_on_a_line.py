# %% [markdown]
# # 04 · MAML on a line, by hand
#
# MAML looks for weights from which one gradient step does well. Its gradient goes through that step, and so
# meets the Hessian. On linear regression everything can be written down with a pencil: here you do it, and
# see which part first-order MAML leaves out.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import built, figure, page

alpha = 0.1  # the inner step size; try 0.0, then 0.5
rng = np.random.default_rng(1)

# %% [markdown]
# ## One task
#
# y = x·w with two features; five points to adapt on (the support set), five to be judged by (the query set).

# %%
truth = np.array([1.0, -2.0])
xs, xq = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
ys, yq = xs @ truth, xq @ truth
w = np.zeros(2)


def loss(w, x, y):
    return ((x @ w - y) ** 2).mean()


# %% [markdown]
# ## The pencil's version
#
#     g = ∇L_support(w) = 2/n Xᵀ(Xw − y)        the inner gradient
#     w′ = w − α g                               the adapted weights
#     q = ∇L_query(w′)                           what the query set wants of w′
#
# By the chain rule, w has dw′/dw = I − αH of a say in w′, where H = 2/n XᵀX is the support loss's Hessian:
#
#     ∇_w L_query(w′) = (I − αH) q = q − αHq

# %%
n = len(xs)
H = 2 / n * xs.T @ xs
g = 2 / n * xs.T @ (xs @ w - ys)
w_adapted = w - alpha * g
q = 2 / len(xq) * xq.T @ (xq @ w_adapted - yq)
first_order, hessian_part = q, -alpha * H @ q
print("first-order part", first_order.round(4), "  Hessian part", hessian_part.round(4))

# %% [markdown]
# ## The machine's version
#
# The inner step written out is an ordinary line of code, and `tm.grad` goes through it.
#
# **Predict, then run:** with alpha = 0.0 at the top, what are the two parts?


# %%
def adapted(w):
    return w - alpha * tm.grad(loss)(w, xs, ys)


def meta_loss(w):
    return loss(adapted(w), xq, yq)


def first_order_loss(w):
    return loss(w - alpha * tm.stop_gradient(tm.grad(loss)(w, xs, ys)), xq, yq)


compare("adapted", w_adapted, adapted(tm.tensor(w)))
compare("MAML", first_order + hessian_part, tm.grad(meta_loss)(w))
compare("FOMAML", first_order, tm.grad(first_order_loss)(w))

# %% [markdown]
# ## The Hessian, seen
#
# First-order MAML is MAML without the nodes of order 2. Not fewer of them: none.

# %%
counts = {}
for name, objective in (("MAML", meta_loss), ("first-order MAML", first_order_loss)):
    with tm.trace() as trace:
        tm.grad(objective)(tm.tensor(w))
    counts[name] = trace.counts()
    print(f"{name:17} {counts[name]}")
assert 2 in counts["MAML"] and 2 not in counts["first-order MAML"]

# %% [markdown]
# ## Exercise: k steps
#
# For a line the Hessian does not change from step to step. What is the exact meta-gradient after k inner
# steps? Write it with NumPy, and no `tm.grad`.


# %% exercise k_steps
def meta_gradient(w, k):
    """∇_w of the query loss after k inner steps of size alpha, in closed form; shape (2,)."""
    # BEGIN SOLUTION
    w_k = w
    for _ in range(k):
        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)
    q = 2 / len(xq) * xq.T @ (xq @ w_k - yq)
    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q
    # END SOLUTION


# %% check k_steps
# without: tm
# nudge: how much say has w in w₁, w₁ in w₂, and so on? The chain rule multiplies them; and where does the query set judge?
# formula: (I − αH)ᵏ q, with q = 2/n xqᵀ(xq w_k − yq) at the weights after k steps, and np.linalg.matrix_power for the power
def unrolled(w, k):
    for _ in range(k):
        w = w - alpha * tm.grad(loss)(w, xs, ys)
    return loss(w, xq, yq)


for k in (1, 3, 0):
    at = np.array([0.3, 0.1])
    found = meta_gradient(at, k)
    assert np.shape(found) == (2,), f"the gradient has the shape of w, (2,), and yours has {np.shape(found)}"
    right = tm.grad(unrolled)(at, k).numpy()
    start, keeps = 2 / len(xq) * xq.T @ (xq @ at - yq), np.eye(2) - alpha * H
    jacobian = np.linalg.matrix_power(keeps, k)
    q = np.linalg.solve(jacobian, right)
    wrong = {
        "q must be taken at the adapted weights, not at w": jacobian @ start,
        "that is the gradient at w itself: q is taken after k steps, and (I − αH)ᵏ is missing": start,
        "that is the first-order part; (I − αH)ᵏ is missing": q,
        "one factor (I − αH) per step: that makes k of them": keeps @ q,
        "`**` takes powers entry by entry: np.linalg.matrix_power multiplies": keeps**k @ q,
        "a step takes αH away: (I − αH), with a minus": np.linalg.matrix_power(np.eye(2) + alpha * H, k) @ q,
        "α belongs to H: (I − αH)": np.linalg.matrix_power(np.eye(2) - H, k) @ q,
        "that is what first-order MAML leaves out: q itself belongs to it": right - q,
    }
    if k and not np.allclose(found, right):
        for hint, answer in wrong.items():
            assert not np.allclose(found, answer), f"k = {k}: {hint}"
    assert np.allclose(found, right, rtol=1e-10), f"k = {k}: it is {right.round(4)}, yours {found.round(4)}"
print("Solved: you have differentiated through learning, with a pencil.")

# %% [markdown]
# ## A family, and where its gradients point
#
# Forty tasks of two kinds: in one the loss is steep, and a step of size alpha mends nearly all of it; in the other it is
# flat, and a step changes little. Where should one start? Whoever doesn't adapt must listen to the steep tasks. Whoever
# does may leave those to the step, and start where the flat ones want to be.

# %%
several, steep, flat = np.random.default_rng(5), np.array([1.5, 0.5]), np.array([-1.0, -0.5])


def drawn(curvature, centre):
    """A task: ten points to adapt on, ten to be judged by; H is `curvature` times the identity for both."""
    x, x_query = (np.linalg.qr(several.normal(size=(10, 2)))[0] * np.sqrt(5 * curvature) for _ in range(2))
    truth = centre + 0.3 * several.normal(size=2)
    return x, x @ truth, x_query, x_query @ truth


family = [drawn(9.0, steep) if k % 2 else drawn(1.0, flat) for k in range(40)]


def on_family(tasks, w, size):
    """The mean query loss after a step of that size, the exact gradient and the first-order one; w of shape (2, …)."""
    found = []
    for x, y, x_query, y_query in tasks:
        step = size * 2 / len(x) * x.T
        e = x_query @ (w - step @ (x @ w - y[:, None])) - y_query[:, None]
        q = 2 / len(e) * x_query.T @ e
        found.append(((e * e).mean(axis=0), q - step @ x @ q, q))
    return [np.mean(each, axis=0) for each in zip(*found)]


def at_rest(tasks, which, size):
    """Where that gradient is 0: it is a linear map and a constant."""
    at = on_family(tasks, np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), size)[which]
    return np.linalg.solve(at[:, 1:] - at[:, :1], -at[:, :1])


starts = {"joint training": at_rest(family, 1, 0.0), "MAML": at_rest(family, 1, alpha)}
starts["first-order MAML"] = at_rest(family, 2, alpha)
for name, start in starts.items():
    before, after = (float(on_family(family, start, size)[0][0]) for size in (0.0, alpha))
    print(f"{name:17} starts at {start[:, 0].round(2)}: loss {before:.3f}, and after the step {after:.3f}")


def landscapes(*panels):
    lines = np.linspace(-2.1, 2.1, 61), np.linspace(-1.6, 1.6, 61)
    plane = np.stack(np.meshgrid(*lines)).reshape(2, -1)
    few = np.stack(np.meshgrid([-1.7, 0.0, 1.7], [-1.2, 0.0, 1.2])).reshape(2, -1)
    for axes, size, title in zip(panels, (0.0, alpha), ("loss before the step", "loss after the step")):
        axes.contourf(*lines, on_family(family, plane, size)[0].reshape(61, 61), 14, cmap="Greys", alpha=0.6)
        for which, look, name in ((2, "C1", "− first-order gradient"), (1, "C0", "− exact gradient")):
            g = on_family(family, few, size)[which]
            axes.quiver(*few, *-g / abs(g).max(), color=look, angles="xy", scale=5, width=0.009, label=name)
        for (name, start), look in zip(starts.items(), ("sC2", "*C0", "DC1")):
            axes.plot(*start, look, markersize=12, markeredgecolor="white", label=name)
        axes.set(title=title, xlabel="w₀", ylabel="w₁", aspect="equal")
        axes.grid(visible=False)


figure(
    landscapes,
    4,
    "Two maps of the mean loss over the two weights. Before the step the valley lies where the steep tasks want to be, and joint training ends there. After the step it lies on the other side, near the flat tasks; MAML's arrows point there, first-order MAML's turn away from it towards the steep tasks, and it ends between the two.",
    columns=2,
    height=3.8,
)

# %% [markdown]
# Joint training ends with the steep tasks, MAML with the flat ones, and first-order MAML half way between: it hears what
# the query set wants, and not what the step will have mended.
#
# ## Exercise: learn to start
#
# The open one. Find that start yourself, from the tasks alone, by whatever means: your meta-gradient and patience, or a
# system of equations. The checker measures the loss after one step, on a family whose steep tasks are steeper still.


# %% exercise start
def learned_start(tasks):
    """w of shape (2,) from which one step of size alpha does best on the mean of tasks (xs, ys, xq, yq)."""
    # BEGIN SOLUTION
    w = np.zeros(2)
    for _ in range(500):
        total = np.zeros(2)
        for xs, ys, xq, yq in tasks:
            H = 2 / len(xs) * xs.T @ xs
            adapted = w - alpha * 2 / len(xs) * xs.T @ (xs @ w - ys)
            q = 2 / len(xq) * xq.T @ (xq @ adapted - yq)
            total = total + (q - alpha * H @ q) / len(tasks)
        w = w - 0.5 * total
    return w
    # END SOLUTION


# %% check start
# without: tm, on_family, at_rest, starts
# nudge: which loss should be small at the start that you return: the one before the step, or the one after it?
# formula: w ← w − 0.5 · mean over tasks of (I − αH) q, with q = 2/n xqᵀ(xq w′ − yq) at w′ = w − α · 2/n xsᵀ(xs w − ys), some hundred times
tasks = [drawn(9.5, steep) if k % 2 else drawn(1.0, flat) for k in range(60)]
found = learned_start(tasks)
assert np.shape(found) == (2,), f"a start has the shape (2,), and yours has {np.shape(found)}"
found = np.asarray(found, dtype=float)[:, None]
assert np.isfinite(found).all() and abs(found).max() < 100, "the start is far away: do the steps go down, or too far?"
best, joint, first = at_rest(tasks, 1, alpha), at_rest(tasks, 1, 0.0), at_rest(tasks, 2, alpha)
reached, least = (float(on_family(tasks, w, alpha)[0][0]) for w in (found, best))
said = f"after the step the loss is {reached:.4f}, and {least:.4f} can be had: "
near = lambda other: np.abs(found - other).max() < 0.1 * np.abs(best - other).max()
assert not near(joint), said + "this start is that of joint training, good before the step and not after it"
assert not near(first), said + "first-order MAML ends there: (I − αH) comes twice, once in w′ and once before q"
assert not near(0.0), said + "that is near 0: has anything been learned?"
assert reached < 1.02 * least, said + "more steps, or is a factor wrong?"
print(f"Solved: {reached:.4f}, and no start does better than {least:.4f}.")

# %% [markdown]
# ## Exercise: MAML on your engine
#
# Sixty lines differentiate twice, so the same gradient comes out of them. In your engine the weights are a Node of
# shape (2, 1). First-order MAML differs by one thing: it takes the inner gradient's number, and forgets how it was made.

# %%
Node, gradient, sum_to = built("the_gradient_of_a_gradient", "Node", "gradient", "sum_to")


# %% exercise engine
def by_engine(w, steps, first_order):
    """∇_w of the query loss after `steps` inner steps of size alpha, by your engine; w and result of shape (2,)."""

    # BEGIN SOLUTION
    def loss(w, x, y):
        e = Node(x) @ w - y[:, None]
        return sum_to(e * e, ()) * (1 / len(y))

    start = adapted = Node(w[:, None])
    for _ in range(steps):
        [g] = gradient(loss(adapted, xs, ys), [adapted])
        adapted = adapted - (Node(g.value) if first_order else g) * alpha
    [g] = gradient(loss(adapted, xq, yq), [start])
    return g.value[:, 0]
    # END SOLUTION


# %% check engine
# without: tm
# nudge: which Node is it that everything was made of, and by which Nodes does the last loss lead back to it?
# formula: adapted = adapted − (Node(g.value) if first_order else g) * alpha;  [g] = gradient(loss(adapted, xq, yq), [start])
def after(w, k, keep):
    for _ in range(k):
        w = w - alpha * keep(tm.grad(loss)(w, xs, ys))
    return loss(w, xq, yq)


others = "the inner gradient is cut off, or y is not traced to w", "the inner gradient's Node is kept"
for k in (0, 1, 3):
    at, slope = np.array([0.3, 0.1]), tm.grad(after)
    right = [slope(at, k, keep).numpy() for keep in (lambda g: g, tm.stop_gradient)]
    for first in (False, True):
        found, said = by_engine(at, k, first), f"{k} steps, first_order={first}: "
        assert isinstance(found, np.ndarray), f"{said}the result should be the value of a Node, and is {found!r}"
        assert found.shape == (2,), f"{said}the gradient has shape (2,), and yours {found.shape}"
        if k:
            assert not np.allclose(found, right[not first]), f"{said}that is the other of the two: {others[first]}"
        assert not np.allclose(found, -right[first]), f"{said}the sign is turned round"
        assert not np.allclose(found, right[first] * len(yq)), f"{said}a mean: divide by the number of points"
        assert np.allclose(found, right[first]), f"{said}it should be {right[first].round(4)}, and is {found.round(4)}"
print("Solved: second-order MAML, on an engine that you can read in ten minutes.")

# %% [markdown]
# ## Is this MAML really second order?
#
# People have asked that of every implementation. The answer needs no look at the code: only what it adapts, what it
# loses, and what it calls its gradient. Move w a little along some v, and see what the loss after adapting does: once
# with everything following (`adapt` again at the moved w), and once with the adapted weights moved by the same amount,
# as if the inner step were a constant. A gradient g claims that it does g·v. Which of the two does g·v agree with?
#
# The trap: where αH is tiny, both agree with anything. Then the honest verdict is that one can't tell, and one has to
# ask again at other weights, or with a larger step. **Predict, then run:** at α = 0, what is the verdict?


# %% exercise order
def order_of(meta_gradient, adapt, query_loss, w, v):
    """ "second", "first", "can't tell" or "wrong": what `meta_gradient(w)` is, by central differences along v.

    w and v are arrays of one shape, adapt(w) is such an array, query_loss(w) a number. Agree means to 1e-6 of the larger.
    """
    # BEGIN SOLUTION
    h, adapted, found = 1e-5, adapt(w), (meta_gradient(w) * v).sum()
    followed = (query_loss(adapt(w + h * v)) - query_loss(adapt(w - h * v))) / (2 * h)
    constant = (query_loss(adapted + h * v) - query_loss(adapted - h * v)) / (2 * h)
    second, first = (abs(found - x) <= 1e-6 * max(abs(found), abs(x)) for x in (followed, constant))
    if second and first:
        return "can't tell"
    return "second" if second else "first" if first else "wrong"
    # END SOLUTION


# %% check order
# without: tm
# nudge: there are two derivatives along v to compare with: what moves by ± hv in each, and what stays?
# formula: (L(adapt(w + hv)) − L(adapt(w − hv))) / 2h  against  (L(adapt(w) + hv) − L(adapt(w) − hv)) / 2h
A, B = (np.random.default_rng(seed).normal(size=(4, 3)) for seed in (1, 2))
bent = lambda w, data: float((np.tanh(data @ w) - np.arange(4) / 4) @ (np.tanh(data @ w) - np.arange(4) / 4))
slope = lambda w, data: 2 * data.T @ ((np.tanh(data @ w) - np.arange(4) / 4) * (1 - np.tanh(data @ w) ** 2))
curve = lambda w, data: np.stack([(slope(w + 1e-6 * e, data) - slope(w - 1e-6 * e, data)) / 2e-6 for e in np.eye(3)])
at, along = np.array([0.3, -0.2, 0.5]), np.array([1.0, 0.5, -0.7])
move = lambda w: w - 0.2 * slope(w, A)
cut = lambda w: slope(move(w), B)
whole = lambda w: cut(w) - 0.2 * curve(w, A) @ cut(w)
judge = lambda code, move=move, k=1.0: order_of(lambda w: k * code(w), move, lambda w: k * bent(w, B), at, along)
words = judge(whole), judge(cut)
assert set(words) <= {"second", "first", "can't tell", "wrong"}, f"the answer is one of four words, not {words[0]!r}"
assert words != ("first", "second"), "the two are turned round: exact means that adapt follows"
assert words[0] == "second", f"an exact meta-gradient was called {words[0]!r}: is `adapt` called at w ± hv?"
assert words[1] == "first", f"a first-order one was called {words[1]!r}: the adapted weights are moved by ± hv"
told = judge(lambda w: slope(w, B), lambda w: w)
assert told == "can't tell", f"where adapt changes nothing the two are one: nobody can tell, not {told!r}"
for name, code in (("half", lambda w: whole(w) / 2), ("minus", lambda w: -whole(w)), ("plain", lambda w: slope(w, B))):
    assert judge(code) == "wrong", f"a gradient that is wrong ({name}) was called {judge(code)!r}"
nearly = judge(lambda w: whole(w) * (1 + 1e-4))
assert nearly == "wrong", "a gradient that is off by 1e-4 of itself passed: agree means to 1e-6"
assert (judge(whole, k=1e-7), judge(cut, k=1e-7)) == ("second", "first"), (
    "a loss a millionth the size got another verdict: compare relative to the larger number"
)
print("Solved: ask it of any code that calls itself MAML.")

# %% [markdown]
# The same question, asked of three: tinymeta's exact gradient, its first-order one, and your engine.

# %%
move, judged, verdicts = lambda w: adapted(tm.tensor(w)).numpy(), lambda w: float(loss(tm.tensor(w), xq, yq)), {}
for name, code in (
    ("tinymeta, exact", lambda w: tm.grad(meta_loss)(w).numpy()),
    ("tinymeta, first order", lambda w: tm.grad(first_order_loss)(w).numpy()),
    ("your engine", lambda w: by_engine(w, 1, first_order=False)),
):
    verdicts[name] = order_of(code, move, judged, np.array([0.3, 0.1]), np.array([0.6, 0.8]))
    print(f"{name:22} {verdicts[name]}")

# %% [markdown]
# ## What to take along
#
# - Whether a MAML is second order can be measured from outside, where the step is large enough to matter.
# - MAML's gradient is (I − αH) q; first-order MAML keeps q.
# - H shrinks what the inner step will mend anyway: directions of high curvature matter less to where we start.
#
# The trace page shows MAML's three bands. All of band 2 stands over the *support* pass: the query pass is
# differentiated only once. `tinymeta run linear` lays the same numbers side by side for one to five steps.

# %%
with tm.trace() as trace:
    tm.grad(meta_loss)(tm.tensor(w))
page(trace, 4)
