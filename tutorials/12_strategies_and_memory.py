# %% [markdown]
# # 12 · A strategy network and a memory of gradients
#
# No single update rule is best for all tasks. A *strategy network* looks at a task's first gradients and
# mixes rules to suit it; a *gradient memory* keeps what past tasks wanted, so that a new one doesn't undo it.
# Both are small here, and both are learned or used through the same engine.
#
# 没有一种更新规则适合所有任务。*策略网络*观察任务最初的梯度，据此混合出合适的规则；*梯度记忆*保存过去任务的需要，
# 使新任务不至于抹去它们。两者在这里都很小，也都通过同一个引擎来学习或使用。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

steps = 5  # inner steps that the strategy is chosen for; try 1, then 15
rng = np.random.default_rng(0)

# %% [markdown]
# ## Two families of tasks
#
# Bowls whose two directions are alike, and bowls that are badly scaled. Plain gradient steps suit the first; steps
# that look only at signs suit the second.


# %%
def sample(rng, tasks):
    scaled = rng.random(tasks) < 0.5
    curvature = np.where(scaled[:, None], [[0.02, 5.0]], [[1.0, 1.3]])
    return curvature, rng.normal(size=(tasks, 2)), scaled


def loss(theta, curvature):
    return 0.5 * (curvature * theta * theta).sum()


def run(theta, curvature, weight, lr):
    """`steps` steps of a mixture: weight·gradient + (1 − weight)·sign of the gradient."""
    for _ in range(steps):
        g = tm.grad(loss)(theta, curvature)
        theta = theta - lr[0] * weight * g - lr[1] * (1 - weight) * tm.stop_gradient(tm.sign(g))
    return tm.log(loss(theta, curvature) + 1e-6)


# %% [markdown]
# ## The strategy network
#
# It sees what a support set tells: the logarithms of the first gradient's two sizes. It answers with a weight.
#
# **Predict, then run:** after training, which family gets the larger weight on the plain gradient?

# %%
network = tm.nn.MLP([2, 8, 1], rng=rng, activation=tm.tanh, dtype=np.float64)


def task_loss(phi, curvature, theta):
    g = tm.grad(loss)(theta, curvature)
    features = tm.log(tm.abs(tm.stop_gradient(g)) + 1e-6)
    return run(theta, curvature, tm.sigmoid(phi["net"](features)[0]), tm.exp(phi["log_lr"]))


def objective(phi, curvature, theta):
    return tm.vmap(task_loss, in_axes=(None, 0, 0))(phi, curvature, theta).mean()


phi = {"net": network, "log_lr": tm.tensor(np.log([0.3, 0.3]))}
fixed = lambda weight, lr, c, t: tm.vmap(lambda ci, ti: run(ti, ci, weight, np.array([lr, lr])))(c, t).mean()
outer = tm.optim.Adam(0.03)
state = outer.init(phi)
step = tm.compile(tm.value_and_grad(objective))
for _ in range(200):
    curvature, theta, _ = sample(rng, 32)
    _, grads = step(phi, curvature, theta)
    phi, state = outer.update(grads, state, phi)

curvature, theta, scaled = sample(np.random.default_rng(9), 300)
best = min(
    (float(fixed(weight, lr, curvature, theta)), weight, lr)
    for weight in (0.0, 0.5, 1.0)
    for lr in (0.03, 0.1, 0.3, 0.6)
)
print(
    f"best fixed rule {best[0]:.2f} (weight {best[1]}, step {best[2]}), strategy {float(objective(phi, curvature, theta)):.2f}"
)

# %% [markdown]
# ## The gradient memory
#
# Keep the last gradient of each past task. If a new gradient g points against a remembered one m, g·m < 0, a step
# along g makes the old task worse. A-GEM (Chaudhry et al. 2019, eq. 11) takes that component out.
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
g, m = np.array([1.0, -2.0]), np.array([0.0, 3.0])
found = project(g, m)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.shape(found) == (2,), f"the result is a gradient of shape (2,), and yours has shape {np.shape(found)}"
assert np.allclose(project(g, -m), g), "g and −m agree (g·m ≥ 0): then g must stay as it is"
assert not np.allclose(found, g), "g·m < 0, so the part along m must go, and nothing has changed"
assert abs(found @ m) < 1e-12, f"after the projection g·m should be 0, and it is {found @ m:.3f}: divide by m·m"
assert np.allclose(found, [1.0, 0.0]), f"only the part along m goes: [1, 0], and you have {found}"
print("Solved: one inner product protects the past.")

# %% [markdown]
# ## The memory at work
#
# Two tasks that pull one parameter vector in nearly opposite directions, learned one after the other:

# %%
targets = [np.array([1.0, 1.0]), np.array([1.0, -1.0])]
rows = [np.array([[1.0, 0.2]]), np.array([[0.3, 1.0]])]
square = lambda w, k: ((rows[k] @ (w - targets[k])) ** 2).sum()
for remember in (False, True):
    w = np.zeros(2)
    for k in (0, 1):
        for _ in range(100):
            g = tm.grad(square)(w, k).numpy()
            if remember and k == 1:
                g = project(g, tm.grad(square)(w, 0).numpy())
            w = w - 0.1 * g
    print(
        f"{'with' if remember else 'without'} memory: task 1 {float(square(w, 0)):.4f}, task 2 {float(square(w, 1)):.4f}"
    )

# %% [markdown]
# ## What to take along
#
# - Choosing a rule can be learned as soon as the choice is soft. `tinymeta run strategy` has six rules, per layer.
# - A bounded memory of gradients is enough to notice a conflict. `tinymeta run memory` measures the forgetting.
#
# On the trace page: the weight's cotangent gathers from every inner step.

# %%
with tm.trace() as trace:
    tm.grad(task_loss)(phi, curvature[0], theta[0])
page(trace, 12)
