# %% [markdown]
# # 07 · MAML on sinusoids; first-order, Reptile, and what is lost
#
# A network that has seen a thousand sine waves still can't guess the next one from its average. It can learn
# to *become* any of them in one step. You train three learners of that kind for a few seconds each, and
# measure what leaving out the second derivative costs.
#
# 一个见过上千条正弦曲线的网络，仍无法凭平均值猜出下一条；但它可以学会只用一步就*变成*其中任意一条。
# 你将用几秒钟分别训练三种这样的学习者，并测量省略二阶导数的代价。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

iterations = 400  # per method; try 4000 when you have half a minute
inner_lr, outer_lr = 0.01, 0.002

# %% [markdown]
# ## Tasks, a network, a loss

# %%
family = tm.tasks.Sinusoids(shots=10, query=10)
start = tm.nn.MLP([1, 40, 40, 1], rng=np.random.default_rng(0), weight_init=tm.nn.init.truncated_normal(0.1))
episode = family.sample(np.random.default_rng(0), tasks=3)
print("support x, y:", episode.support[0].shape, episode.support[1].shape)


def loss(model, batch):
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


# %% [markdown]
# ## The inner step, written out
#
# A model is a tree of Tensors, and the gradient of a loss is a tree of the same form: the step is one line.


# %%
def adapt(model, support, differentiate="exact"):
    grads = tm.grad(loss)(model, support)
    if differentiate == "first_order":
        grads = tm.tree.map(tm.stop_gradient, grads)
    return tm.tree.map(lambda p, g: p - inner_lr * g, model, grads)


def objective(differentiate):
    one = lambda model, e: loss(adapt(model, e.support, differentiate), e.query)
    return lambda model, episodes: tm.vmap(one, in_axes=(None, 0))(model, episodes).mean()


# %% [markdown]
# **Predict, then run:** both gradients at the same weights, for the same tasks. Do they point the same way?

# %%
batch = family.sample(np.random.default_rng(1), tasks=25)
flat = lambda tree: np.concatenate([leaf.numpy().ravel() for leaf in tm.tree.leaves(tree)])
exact, cheap = (flat(tm.grad(objective(d))(start, batch)) for d in ("exact", "first_order"))
cosine = exact @ cheap / np.linalg.norm(exact) / np.linalg.norm(cheap)
print(f"cosine {cosine:.3f}, lengths {np.linalg.norm(exact):.3f} and {np.linalg.norm(cheap):.3f}")

# %% [markdown]
# ## Three learners
#
# Reptile needs no query set: it takes a few ordinary steps and moves the start a little towards where it ended
# up. `tm.meta.fit` is the outer loop: tasks, gradient, Adam, repeat.


# %%
def trained(objective):
    return tm.meta.fit(
        objective, start, family, optimizer=tm.optim.Adam(outer_lr), iterations=iterations, meta_batch=25, compiled=True
    )


def joint(model, episodes):
    return tm.vmap(loss, in_axes=(None, 0))(model, episodes.query).mean()


learners = {"MAML": trained(objective("exact")), "first-order": trained(objective("first_order"))}
learners["joint training"] = trained(joint)

# %% [markdown]
# ## What each can do with ten new points

# %%
test = family.sample(np.random.default_rng(99), tasks=200)
for name, model in learners.items():
    curve = tm.meta.adaptation_curve(
        loss, tm.meta.on_query(loss), model, test, rule=tm.optim.SGD(inner_lr), steps=5
    ).mean(axis=0)
    print(f"{name:15}" + "".join(f"   {k} steps {curve[k]:5.2f}" for k in (0, 1, 5)))

# %% [markdown]
# With so few iterations the numbers are still high; `tinymeta` (the main job) trains longer and draws them.
#
# ## Exercise: Reptile's gradient
#
# Reptile moves the start θ towards the adapted weights θ̃. As a gradient for an optimizer that *subtracts*, what
# is it? Take `steps` ordinary steps on the support set, and return a tree of the model's form.


# %% exercise reptile
def reptile_gradient(model, support, steps):
    """What to hand to an optimizer so that the weights move towards those adapted to `support`."""
    # BEGIN SOLUTION
    adapted = model
    for _ in range(steps):
        adapted = adapt(adapted, support)
    return tm.tree.map(lambda p, q: p - q, model, adapted)
    # END SOLUTION


# %% check reptile
support = tuple(a[0] for a in test.support)
once, thrice = (reptile_gradient(start, support, k) for k in (1, 3))
assert isinstance(once, tm.nn.MLP), "the result should be a tree of the model's form: tm.tree.map makes one"
step = flat(tm.grad(loss)(start, support)) * inner_lr
assert not np.allclose(flat(once), -step, rtol=1e-3, atol=1e-7), "the sign is turned round: an optimizer subtracts"
assert not np.allclose(flat(once), flat(adapt(start, support))), "those are the adapted weights: take the difference"
assert not np.allclose(flat(once), flat(thrice), atol=1e-7), "three steps give what one step gives: is the loop there?"
assert np.allclose(flat(once), step, rtol=1e-3, atol=1e-6), (
    "after one step it should be the step size times the gradient"
)
print("Solved: Reptile is the simplest of them all.")

# %% [markdown]
# ## What to take along
#
# - MAML, first-order MAML and Reptile differ in how the adapted weights depend on the start, and in nothing else.
# - First-order MAML often does nearly as well: its gradient points nearly the same way. Not always; measure.
#
# On the trace page, MAML on one task: the third band is what the first-order method never computes.

# %%
one_task = tm.tasks.Episode(support, tuple(a[0] for a in test.query))
with tm.trace() as trace:
    tm.grad(lambda model: loss(adapt(model, one_task.support), one_task.query))(start)
print(trace.counts())
page(trace, 7)
