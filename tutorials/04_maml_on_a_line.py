# %% [markdown]
# # 04 · MAML on a line, by hand
#
# MAML looks for weights from which one gradient step does well. Its gradient goes through that step, and so
# meets the Hessian. On linear regression everything can be written down with a pencil: here you do it, and
# see which part first-order MAML leaves out.
#
# MAML 寻找这样的初始权重：从它出发，走一步梯度下降就能学好新任务。它的梯度要穿过这一步，因此会遇到 Hessian 矩阵。
# 对线性回归，一切都可以用笔写出来：你将亲手推导，并看清一阶 MAML 省略了哪一部分。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import page

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
    assert np.allclose(found, right, rtol=1e-10), (
        f"k = {k}: the exact answer is {right.round(4)}, yours {found.round(4)}"
    )
print("Solved: you have differentiated through learning, with a pencil.")

# %% [markdown]
# ## What to take along
#
# - MAML's gradient is (I − αH) q; first-order MAML keeps q.
# - H shrinks what the inner step will mend anyway: directions of high curvature matter less to where we start.
#
# The trace page shows MAML's three bands. All of band 2 stands over the *support* pass: the query pass is
# differentiated only once. `tinymeta run linear` lays the same numbers side by side for one to five steps.

# %%
with tm.trace() as trace:
    tm.grad(meta_loss)(tm.tensor(w))
page(trace, 4)
