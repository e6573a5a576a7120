# %% [markdown]
# # 10 · MAML on sinusoids; first-order, Reptile, and what is lost
#
# A network that has seen a thousand sine waves still can't guess the next one from its average. It can learn
# to *become* any of them in a few steps. You train four learners for a few seconds each, and find out when
# first-order MAML follows the gradient of MAML, and when it no longer does.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

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

# %% [markdown]
# ## Exercise: second order without differentiating the loop
#
# In lesson 4 every step had the same H. A network has another at each of its steps: after k steps
# θ_{j+1} = θ_j − α∇L(θ_j) the gradient of MAML is (I − αH₀)(I − αH₁) … (I − αH_{k−1}) q, with H_j the Hessian of the
# support loss at θ_j, and q the gradient of the query loss at θ_k. Nobody builds an H: `tm.hvp(f, θ, v)` is H v. Walk
# forwards by `adapt` and keep the path, then backwards along it with q.


# %% exercise backwards
def maml_gradient(model, support, query, steps):
    """The gradient of MAML after `steps` of `adapt`, a tree of the model's form; no loop is differentiated."""
    # BEGIN SOLUTION
    path = [model]
    for _ in range(steps):
        path.append(adapt(path[-1], support))
    v = tm.grad(loss)(path[-1], query)
    for here in reversed(path[:-1]):
        bent = tm.hvp(lambda m: loss(m, support), here, v)
        v = tm.tree.map(lambda a, b: a - inner_lr * b, v, bent)
    return v
    # END SOLUTION


# %% check backwards
# without: objective, tm.meta, tm.vjp, tm.value_and_grad
# nudge: write the factors down for two steps: which H meets q first, and at which weights was it taken?
# formula: v = q; for θ_j from the last step's start back to the first: v ← v − α · hvp(support loss, θ_j, v)
wavy = tm.nn.MLP([1, 8, 1], rng=np.random.default_rng(4), activation=tm.tanh, dtype=np.float64)
support, query = tm.tree.map(lambda a: a[0].astype(np.float64), family.sample(np.random.default_rng(5), 1))
followed, plainly = [], adapt
maml_gradient.__globals__["adapt"] = lambda model, data, *how: (
    followed.append(tm.tree.leaves(model)[0].requires_grad) or plainly(model, data, *how)
)
found = maml_gradient(wavy, support, query, 3)
maml_gradient.__globals__["adapt"] = plainly
assert isinstance(found, tm.nn.MLP), "the result should be a tree of the model's form: tm.tree.map makes one"
assert not any(followed), "that differentiates the inner loop: walk back along the path with tm.hvp"
ends = [wavy]
for _ in range(3):
    ends.append(adapt(ends[-1], support))


def walk(v, places, sign=1.0, rate=inner_lr, data=support):
    for k in places:
        bent = tm.hvp(lambda m: loss(m, data), ends[k], v)
        v = tm.tree.map(lambda a, b: a - sign * rate * b, v, bent)
    return flat(v)


like = lambda a, b: np.linalg.norm(a - b) < 1e-6 * np.linalg.norm(b)
found, q = flat(found), tm.grad(loss)(ends[3], query)
for wrong, hint in (
    (flat(q), "that is q, the gradient of first-order MAML: the factors (I − αH) are missing"),
    (walk(tm.grad(loss)(wavy, query), (2, 1, 0)), "q is taken at the end of the path, not at its start"),
    (walk(q, (0, 0, 0)), "every step has an H of its own, at the weights where the step began"),
    (walk(q, (0, 1, 2)), "the last step comes first on the way back: go along the path in reverse"),
    (walk(q, (3, 2, 1)), "H belongs to the weights where a step began: the end of the path began none"),
    (walk(q, (3, 2, 1, 0)), "that is a factor too many: the end of the path began no step"),
    (walk(q, (2,)), "one factor (I − αH) for each step, and this is one in all"),
    (walk(q, (2, 1, 0), -1.0), "the factor is I − αH, with a minus"),
    (walk(q, (2, 1, 0), 1.0, 1.0), "α is missing: I − αH"),
    (walk(q, (2, 1, 0), data=query), "a step goes down the support loss: H is that loss's Hessian, not the query's"),
):
    assert not like(found, wrong), hint


def through_the_loop(model):
    for _ in range(3):
        model = adapt(model, support)
    return loss(model, query)


assert like(found, flat(tm.grad(through_the_loop)(wavy))), "it should be the gradient of the query loss after 3 steps"
print("Solved: that is the reverse sweep, one inner step at a time.")

# %% [markdown]
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
# ## Exercise: the outer loop
#
# `tm.meta.fit` hides some ten lines: draw tasks, take the gradient, let an optimizer move the start, again. Write them
# yourself; which gradient, how many tasks at a time, which optimizer and for how long, is up to you. Asked for: after one
# step of `adapt`, less than half of the error that joint training leaves, on tasks that the checker draws; from
# 25,000 tasks at most.


# %% exercise outer
def meta_train(start, family, rng):
    """Weights from which one step of `adapt` goes far, trained from `start` on tasks of `family.sample(rng, tasks)`."""
    # BEGIN SOLUTION
    optimizer, slope = tm.optim.Adam(outer_lr), tm.grad(objective("exact"))

    @tm.compile
    def step(model, state, episodes):
        return optimizer.update(slope(model, episodes), state, model)

    model, state = start, optimizer.init(start)
    for _ in range(1000):
        model, state = step(model, state, family.sample(rng, 25))
    return model
    # END SOLUTION


# %% check outer
# without: tm.meta, trained, learners
# nudge: print a loss every hundred iterations: which loss is it, taken before or after adapting, and does it fall?
# formula: again and again: model, state = optimizer.update(tm.grad(objective("exact"))(model, family.sample(rng, 25)), state, model)
class Counted:
    """The family, which counts the tasks that it hands out."""

    drawn = 0

    def sample(self, rng, tasks):
        Counted.drawn += tasks
        return family.sample(rng, tasks)


def left(model):
    after = lambda m, e: loss(adapt(m, e.support), e.query)
    return tm.vmap(after, in_axes=(None, 0))(model, fresh).numpy()


fresh = family.sample(np.random.default_rng(1234), 300)
mine = meta_train(start, Counted(), np.random.default_rng(0))
assert mine is not None, "the function returns nothing: return the weights"
assert isinstance(mine, tm.nn.MLP), f"return the weights, a model, and nothing with them: yours is a {type(mine)}"
assert np.isfinite(flat(mine)).all(), "some weights are not finite: is the outer step size too large?"
assert Counted.drawn > 0, "no task was drawn: family.sample(rng, tasks)"
assert Counted.drawn <= 25_000, f"25,000 tasks at most, and it drew {Counted.drawn:,}"
assert not np.array_equal(flat(mine), flat(start)), "the weights have not moved from the start"
errors_of = {"yours": left(mine), "at the start": left(start), "joint": left(learners["joint training"])}
said = f"after one step your error is {interval(errors_of['yours'])}, joint training's {interval(errors_of['joint'])}: "
assert errors_of["yours"].mean() < errors_of["at the start"].mean(), (
    said + "worse than untrained: do the steps go down?"
)
assert errors_of["yours"].mean() < 0.9 * errors_of["joint"].mean(), (
    said + "is the loss taken after adapting, and is it trained for long enough?"
)
gap = interval(errors_of["yours"] - 0.5 * errors_of["joint"])
assert gap.mean + gap.half < 0, said + "less than half is asked for: longer, or with larger steps?"
print("Solved: an outer loop is an ordinary training loop around an unusual loss.")

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
# nudge: how far have `steps` steps moved the weights, and which way does an optimizer go that subtracts?
# formula: θ − θ̃, leaf by leaf, with θ̃ after `steps` of adapt
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
error, rates = {}, {}
for name, model in learners.items():
    rate = rates[name] = min((0.003, 0.005, 0.01, 0.02), key=lambda rate: errors(model, tuning, rate)[:, 1].mean())
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
# One of the test tasks, each learner with its own step size; and the cosines, batch by batch:


# %%
def waves_and_angles(*panels):
    x, curves = np.linspace(-5, 5, 200, dtype=np.float32)[:, None], family.draw(np.random.default_rng(99), 400)
    shown = tuple(a[3] for a in test.support)
    for panel, name in zip(panels, ("MAML", "Reptile", "joint training")):
        panel.plot(x, curves(np.tile(x, (400, 1, 1)))[3], color="0.8", linewidth=5, label="the wave")
        for steps, line, said in ((0, "C0:", "before"), (1, "C1--", "after 1 step"), (5, "C2-", "after 5 steps")):
            rule = tm.optim.SGD(rates[name])
            adapted = tm.meta.adapt(loss, learners[name], shown, rule=rule, steps=steps)
            panel.plot(x, adapted(x).numpy(), line, label=said)
        panel.plot(*shown, "o", color="black", markersize=5, label="ten points")
        panel.set(title=name, xlabel="x", ylabel="y")
    for k, (name, cosine) in enumerate({"at random weights": at_start, **at_end}.items()):
        place = np.full(8, shortening(learners.get(name, start)))
        panels[3].plot(place, cosine, "osD^v"[k], color=f"C{k}", alpha=0.6, label=name)
    panels[3].set(title="Where the gradients point", xlim=(0, None), xlabel="αλ", ylabel="cosine of the two")


alt = "Three panels, a learner each, and the same wave of amplitude 5. Before adapting all draw the same low wave; after one step MAML and Reptile come near the ten points, after five Reptile is nearly on the wave; joint training stays low. Fourth panel: the cosine of the gradients of MAML and first-order MAML against αλ, 1 at random weights, where αλ is small; at trained weights, where αλ is beyond 1, far below 1 for some batches."
figure(waves_and_angles, 10, alt, rows=2, columns=2, height=6.2)

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
