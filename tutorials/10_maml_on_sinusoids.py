# %% [markdown]
# # 10 · MAML on sinusoids; first-order, Reptile, and what is lost
#
# A network that has seen a thousand sine waves still can't guess the next one from its average. It can learn
# to *become* any of them in a few steps. You train four learners for a few seconds each, and find out when
# first-order MAML follows the gradient of MAML, and when it no longer does.
#
# 一个见过上千条正弦曲线的网络，仍无法凭平均值猜出下一条；但它可以学会只用几步就*变成*其中任意一条。
# 你将用几秒钟分别训练四种学习者，并弄清一阶 MAML 何时还跟随 MAML 的梯度，何时不再跟随。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import page

iterations = 1500  # per method; try 200, then 6000 when you have a minute
inner_lr, outer_lr = 0.01, 0.002

# %% [markdown]
# ## Tasks, a network, a loss
#
# A task is a sine wave: ten points to learn from (support), ten to be judged by (query). The weights start small: `truncated_normal`.

# %%
family = tm.tasks.Sinusoids(shots=10, query=10)
start = tm.nn.MLP([1, 40, 40, 1], rng=np.random.default_rng(0), weight_init=tm.nn.init.truncated_normal(0.1))


def loss(model, batch):
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


# %% [markdown]
# ## The inner step, written out
#
# A model is a tree of Tensors, and the gradient of a loss is a tree of the same form: the step is one line.
# `tm.vmap` runs it for all tasks at once (lesson 7).


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
# ## Do the two gradients point the same way?
#
# The gradient of MAML is (I − αH) q, and first-order MAML keeps q (lesson 4). The cosine of the angle between them,
# over eight batches of tasks; and αλ, the most that αH shortens any direction, λ being H's largest eigenvalue.


# %%
def flat(tree):
    return np.concatenate([leaf.numpy().ravel() for leaf in tm.tree.leaves(tree)])


def cosines(model):
    found = []
    for seed in range(8):
        batch = family.sample(np.random.default_rng(100 + seed), 25)
        exact, cheap = (flat(tm.grad(objective(d))(model, batch)) for d in ("exact", "first_order"))
        found.append(exact @ cheap / np.linalg.norm(exact) / np.linalg.norm(cheap))
    return np.array(found)


def shortening(model):
    """αλ of one task's support loss, λ found by multiplying a direction with H again and again."""
    batch = tuple(a[0] for a in family.sample(np.random.default_rng(2), 1).support)
    v = tm.grad(loss)(model, batch)
    for _ in range(20):
        size = np.linalg.norm(flat(v))
        v = tm.hvp(lambda m: loss(m, batch), model, tm.tree.map(lambda leaf, size=size: leaf / size, v))
    return inner_lr * np.linalg.norm(flat(v))


at_start = cosines(start)
print(f"at small random weights: cosine {interval(at_start)}, αλ {shortening(start):.3f}")

# %% [markdown]
# So far the same: there, H is too small to turn anything. Many write-ups stop here.
#
# ## Three learners and a baseline
#
# Joint training is plain training on all tasks together: its loss is that *before* adapting. `tm.meta.fit` is the
# outer loop: tasks, gradient, Adam, repeat (`compiled=True`: lesson 9).


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
# ## Exercise: Reptile's gradient
#
# Reptile (Nichol et al. 2018) needs no query set: it takes a few ordinary steps, and moves the start θ towards the
# adapted weights θ̃. As a gradient for an optimizer that *subtracts*, what is that? Take `steps` steps of `adapt`, and
# return a tree of the model's form.


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
support = tuple(a[0] for a in family.sample(np.random.default_rng(99), 1).support)
once, thrice = (reptile_gradient(start, support, k) for k in (1, 3))
assert isinstance(once, tm.nn.MLP), "the result should be a tree of the model's form: tm.tree.map makes one"
ends = [start]
for _ in range(3):
    ends.append(adapt(ends[-1], support))
once, thrice, one, three = flat(once), flat(thrice), *(flat(start) - flat(ends[k]) for k in (1, 3))
like = lambda a, b: np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(b)
slope = flat(tm.grad(loss)(start, support))
assert not like(once, -one), "the sign is turned round: an optimizer subtracts"
assert not like(once, flat(ends[1])), "those are the adapted weights: take the difference"
assert not like(thrice, slope), "that is the gradient at θ: Reptile's is what `steps` steps have moved the weights by"
assert not like(once, one / inner_lr), "the displacement is taken as it is, not divided by the step size"
assert not like(thrice, one), "three steps give what one step gives: does each step begin where the last one has ended?"
assert not like(thrice, three / 3), "the displacement is taken as it is, not divided by the number of steps"
assert not like(thrice, flat(ends[2]) - flat(ends[3])), "that is the last step alone: how far is it from the start?"
assert like(once, one), "after one step it should be the step size times the gradient"
assert like(thrice, three), "after three steps it should be the start minus the weights adapted by three steps"
print("Solved: Reptile is the simplest of them all.")

# %% [markdown]
# Your function trains the fourth learner: five inner steps, on all twenty points, since there is no query set.

# %%
outer = tm.optim.Adam(outer_lr)


def towards(model, state, batch):
    grads = tm.vmap(lambda m, b: reptile_gradient(m, b, 5), in_axes=(None, 0))(model, batch)
    return outer.update(tm.tree.map(lambda g: g.mean(axis=0), grads), state, model)


reptile, state, rng = start, outer.init(start), np.random.default_rng(0)
step = tm.compile(towards)
for _ in range(iterations):
    episodes = family.sample(rng, 25)
    batch = tuple(np.concatenate(pair, axis=1) for pair in zip(episodes.support, episodes.query))
    reptile, state = step(reptile, state, batch)
learners["Reptile"] = reptile

# %% [markdown]
# ## What each can do with ten new points
#
# Each gets the step size that suits it best, found on other tasks: a baseline that wasn't tuned proves nothing.
# `adaptation_curve` has the error after each number of steps, `on_query` makes it the one on the query set.


# %%
def errors(model, tasks, rate):
    curve = tm.meta.adaptation_curve(loss, tm.meta.on_query(loss), model, tasks, rule=tm.optim.SGD(rate), steps=5)
    return curve[:, [0, 1, 5]]


tuning, test = (family.sample(np.random.default_rng(seed), tasks) for seed, tasks in ((98, 100), (99, 400)))
error = {}
for name, model in learners.items():
    rate = min((0.003, 0.005, 0.01, 0.02), key=lambda rate: errors(model, tuning, rate)[:, 1].mean())
    error[name] = errors(model, test, rate)
    print(f"{name:15} step size {rate:5}:", *[f"  after {k}: {interval(e)}" for k, e in zip((0, 1, 5), error[name].T)])

# %% [markdown]
# Before the first step all are alike: nobody can know which wave it will be. The same tasks for all, so the
# difference is surer than each of the numbers:

# %%
for name, steps, k in (("first-order", 1, 1), ("Reptile", 1, 1), ("Reptile", 5, 2)):
    more = interval(error[name][:, k] - error["MAML"][:, k])
    print(f"{name} minus MAML after {steps} steps: {more}")

# %% [markdown]
# ## The turning point
#
# **Predict, then run:** the cosine was 1.000 at random weights. What is it where MAML has been?

# %%
at_end = {name: cosines(model) for name, model in learners.items()}
for name, values in at_end.items():
    print(f"at the weights of {name:15} cosine {interval(values)}, αλ {shortening(learners[name]):.2f}")

# %% [markdown]
# Training for fast adaptation makes the loss steep where a step should move far: αλ grows until (I − αH) turns
# whatever meets it.
#
# ## What to take along
#
# - MAML, first-order MAML and Reptile differ in how the adapted weights depend on the start, and in nothing else.
# - First-order MAML follows the gradient of MAML at the start of training and leaves it later: at random weights
#   the two are the same, at weights that MAML has trained they are not.
# - What that costs is another question, and was measured: after one step, first-order MAML is behind MAML.
# - Second order is not the only way. Reptile never looks at the step that it is judged by; it sees more points, takes
#   more steps, and is ahead of MAML after five of them.
#
# On the trace page, MAML on one task: the third band is what the first-order method never computes.

# %%
one_task = tm.tree.map(lambda a: a[0], test)
with tm.trace() as trace:
    tm.grad(lambda model: loss(adapt(model, one_task.support), one_task.query))(start)
print(trace.counts())
page(trace, 10)
