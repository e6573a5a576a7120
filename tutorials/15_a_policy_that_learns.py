# %% [markdown]
# # 15 · A policy that learns to navigate
#
# In reinforcement learning there are no labels: an agent acts, is paid, and must find out from the pay where it
# should have gone. Adapting to a new goal after one round of trying is few-shot learning with a twist: the
# data depend on the policy. So a loss can have the right gradient and the wrong Hessian, and MAML through it is
# first-order MAML without a word. You see it happen, mend it, and see what it changes.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

trials = 1000  # tries per goal before adapting; try 100, then 20
rng = np.random.default_rng(0)

# %% [markdown]
# ## One step, one goal
#
# The smallest navigation: the agent stands at the origin and jumps to a point a ~ N(μ, 0.3²). It is paid minus the
# squared distance to a goal that it can't see, times k: how much missing it costs. A task is a goal and its k; the
# policy is μ.

# %%
sigma = 0.3


def jump(mu, goal, k, noise):
    """Actions and pay of as many trials as there is noise: (n, 2) and (n,)."""
    actions = mu + sigma * noise
    return actions, -k * ((actions - goal) ** 2).sum(-1)


def log_probability(mu, actions):
    return -((actions - mu) ** 2).sum(-1) / (2 * sigma**2)


# %% [markdown]
# ## The gradient of expected pay
#
# ∇E[pay] = E[pay · ∇log p(action)] (Williams 1992). In code: a loss whose gradient is that estimate, with actions
# and pay as constants. To calm the noise one subtracts a baseline, the mean pay. But each action's own pay is in that
# mean, and that does change the expectation: by the factor 1 − 1/n.
#
# **Predict, then run:** how far off is the estimate from two tries each?


# %%
def surrogate(mu, actions, pay, baseline="mean of the others"):
    n = pay.shape[-1]
    advantage = (pay - pay.mean()) * (n / (n - 1) if baseline == "mean of the others" else 1.0)
    return -(log_probability(mu, actions) * advantage).mean()


goal, exact = np.array([1.0, -0.5]), np.array([-2.0, 1.0])
slopes = {}
for n in (2, 20):
    actions, pay = jump(np.zeros(2), goal, 1.0, rng.normal(size=(40_000 // n, n, 2)))
    for baseline in ("mean of all", "mean of the others"):
        one = lambda a, p, baseline=baseline: tm.grad(surrogate)(np.zeros(2), a, p, baseline)
        slopes[n, baseline] = tm.vmap(one)(actions, pay).numpy()[:, 0] / exact[0]
        print(f"n = {n:2}, {baseline:18} estimate / exact {interval(slopes[n, baseline])}")

# %% [markdown]
# Half the gradient is gone at n = 2. Leaving the action's own pay out of its baseline, a factor of n/(n − 1), puts it
# right.

# %% [markdown]
# ## Exercise: a baseline that doesn't bias
#
# Write what the factor does: the advantage of a try is its pay minus the mean pay of the *other* tries.


# %% exercise others
def advantages(pay):
    """Each pay minus the mean of the others', along the last axis; the shape of `pay`, (…, n)."""
    # BEGIN SOLUTION
    n = pay.shape[-1]
    others = (pay.sum(axis=-1, keepdims=True) - pay) / (n - 1)
    return pay - others
    # END SOLUTION


# %% check others
# nudge: for the pays 1, 2, 6: what is the baseline of each?
# formula: pay − (sum of all − pay)/(n − 1)
paid = np.array([[1.0, 2.0, 6.0], [0.0, -3.0, 0.0]])
kept = paid.copy()
found = advantages(paid)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(paid, kept), "the pay was written into: make an array of your own"
assert np.shape(found) == (2, 3), f"an advantage for each pay, (2, 3), and yours have shape {np.shape(found)}"
found, total, middle = np.asarray(found), paid.sum(axis=-1, keepdims=True), paid.mean(axis=-1, keepdims=True)
for wrong, hint in (
    (paid - middle, "its own pay is in that mean, and that is the bias: leave it out"),
    (paid - paid.mean(), "each row is a game of its own: the mean goes along the last axis"),
    (paid - (total - paid) / 3, "the others are n − 1, not n"),
    (paid - (total - paid), "their mean, not their sum: divide by n − 1"),
    ((total - paid) / 2, "that is the baseline: subtract it from the pay"),
    ((total - paid) / 2 - paid, "pay minus baseline, and not the other way round"),
    (paid - total / 2, "the sum of the others doesn't hold its own pay"),
    ((paid - middle) / paid.std(axis=-1, keepdims=True), "nothing is asked about the spread: don't divide by it"),
):
    assert not np.allclose(found, wrong), hint
assert np.allclose(found, 1.5 * (paid - middle)), f"for [1, 2, 6]: [−3, −1.5, 4.5], not {found[0]}"
print("Solved: a baseline may know everything but the action that it judges.")

# %% [markdown]
# ## A right gradient, a wrong Hessian
#
# The expected loss is k(‖μ − goal‖² + 2σ²), so its Hessian (`tm.hessian`) is 2k times the identity. What is the surrogate's?
#
# The actions are constants in it, yet their distribution moves with μ. DiCE (Foerster et al. 2018, eq. 5) says so by a
# factor that is always 1 and has the derivative of log p: exp(log p − stop_gradient(log p)).


# %%
def dice(mu, actions, pay):
    n = pay.shape[-1]
    advantage = (pay - pay.mean()) * (n / (n - 1))
    log_p = log_probability(mu, actions)
    return -(tm.exp(log_p - tm.stop_gradient(log_p)) * advantage).mean()


draws = rng.normal(size=(8, 20_000, 2))
hessians = {
    f.__name__: np.stack([tm.hessian(f)(np.zeros(2), *jump(np.zeros(2), goal, 1.0, z)).numpy() for z in draws])
    for f in (surrogate, dice)
}
for name, values in hessians.items():
    print(f"{name:9} Hessian {values.mean(axis=0).round(2).tolist()}, of the expected loss [[2, 0], [0, 2]]")

# %% [markdown]
# The surrogate's is 0: log p is a parabola in μ of the same curvature for every action, and the advantages add up to 0.
#
# ## Is this MAML really second order?
#
# Two kinds of goal: around (1, 0) missing costs four times what it costs around (−1, 0). One step of size α multiplies
# the distance to the goal by 1 − 2αk, so where to start can be computed by hand, each kind weighted by k or by
#
#     joint training, no step      k
#     first-order MAML             k (1 − 2αk)
#     MAML                         k (1 − 2αk)²
#
# **Predict, then run:** MAML through the surrogate: at which of the three starts does it end?

# %%
alpha = 0.1


def draw(rng, tasks):
    steep = rng.random(tasks) < 0.5
    goals = np.where(steep[:, None], [[1.0, 0.0]], [[-1.0, 0.0]]) + 0.2 * rng.normal(size=(tasks, 2))
    return goals, np.where(steep, 4.0, 1.0), *rng.normal(size=(2, tasks, trials, 2))


def adapted(mu, goal, k, noise, inner, lr=alpha, keep=lambda g: g):
    """One step on trials that the policy as it is has made."""
    return mu - lr * keep(tm.grad(inner)(mu, *jump(tm.stop_gradient(mu), goal, k, noise)))


def meta_loss(adapt):
    def one(mu, goal, k, first, second):
        new = adapt(mu, goal, k, first)
        return surrogate(new, *jump(tm.stop_gradient(new), goal, k, second))

    return lambda mu, *batch: tm.vmap(one, in_axes=(None, 0, 0, 0, 0))(mu, *batch).mean()


learners = {
    "joint training": meta_loss(lambda mu, *_: mu),
    "MAML, surrogate": meta_loss(lambda *task: adapted(*task, surrogate)),
    "MAML, DiCE": meta_loss(lambda *task: adapted(*task, dice)),
}
first_order = meta_loss(lambda *task: adapted(*task, surrogate, keep=tm.stop_gradient))
batch = draw(rng, 20)
missing = float(
    tm.abs(tm.grad(learners["MAML, surrogate"])(np.ones(2), *batch) - tm.grad(first_order)(np.ones(2), *batch)).max()
)
print(f"gradient of MAML through the surrogate minus that of first-order MAML: {missing}")

weights = {"joint training": lambda k: k, "MAML, surrogate": lambda k: k * (1 - 2 * alpha * k)}
weights["MAML, DiCE"] = lambda k: k * (1 - 2 * alpha * k) ** 2
starts = {}
for name, objective in learners.items():
    mu, outer = tm.tensor(np.zeros(2)), tm.optim.Adam(0.05)
    state, step, path = outer.init(mu), tm.compile(tm.grad(objective)), []
    for _ in range(300):
        mu, state = outer.update(step(mu, *draw(rng, 20)), state, mu)
        path.append(mu.numpy())
    starts[name] = np.mean(path[200:], axis=0)
    w = weights[name]
    print(f"{name:16} starts at {starts[name].round(2)}; by hand, at {(w(4) - w(1)) / (w(4) + w(1)):5.2f}")

# %% [markdown]
# MAML through the surrogate is first-order MAML: what is left is rounding, and nothing warned. With DiCE it goes to the
# other side, to the goals that one step doesn't reach. (Its Hessian is an estimate, too: it takes many tries.)
#
# ## After one step
#
# Each with the best of five step sizes, found on other goals.


# %%
def pay_after(mu, lr, tasks):
    one = lambda goal, k, first, second: jump(adapted(mu, goal, k, first, surrogate, lr), goal, k, second)[1].mean()
    return tm.vmap(one)(*tasks).numpy()


tuning, test = draw(np.random.default_rng(6), 200), draw(np.random.default_rng(5), 500)
pay = {}
for name, start in starts.items():
    lr = max((0.05, 0.1, 0.15, 0.2, 0.25), key=lambda lr: pay_after(start, lr, tuning).mean())
    pay[name] = pay_after(start, 0.0, test), pay_after(start, lr, test)
    print(f"{name:16} step size {lr:4}: pay before {interval(pay[name][0])}, after one step {interval(pay[name][1])}")
for name in ("joint training", "MAML, surrogate"):
    print(f"MAML with DiCE minus {name}, after one step: {interval(pay['MAML, DiCE'][1] - pay[name][1])}")


# %%
def starts_and_steps(*panels):
    goals, k, first, _ = draw(np.random.default_rng(5), 120)
    for panel, (name, start), colour in zip(panels, starts.items(), ("C0", "C1", "C2")):
        ends = tm.vmap(lambda *task, at=start: adapted(at, *task, surrogate))(goals, k, first).numpy()
        for cost, mark, said in ((4.0, "s", "missing costs four times"), (1.0, "o", "missing costs once")):
            panel.plot(*goals[k == cost].T, mark, color="0.65", markersize=4, alpha=0.6, label=f"goals, {said}")
            panel.plot(*ends[k == cost].T, mark, color=colour, markersize=3)
            to = ends[k == cost].mean(axis=0)
            panel.annotate("", to, start, arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 1.5})
        panel.plot(*start, "D", color=colour, markersize=10, markeredgecolor="black")
        panel.set(title=name, ylabel="μ₂")
    panels[-1].set_xlabel("μ₁")


alt = "Three maps with two clouds of goals, around (1, 0), where missing costs four times, and around (−1, 0). Joint training starts near the first cloud, MAML through the surrogate in the middle, MAML with DiCE near the second. One step leads far towards goals of the first kind, and a little way towards those of the second."
figure(starts_and_steps, 15, alt, rows=3, height=6.0, sharex=True, sharey=True)

# %% [markdown]
# MAML with DiCE starts worst and ends best: worse than joint training before the step, better than it after. Most of
# that the surrogate had, too; the Hessian's share is smaller, and is there.
#
# ## Exercise: returns
#
# In longer games each action is credited with the pay that comes after it. For rewards r₀ … r_T and a discount γ,
# the return is G_t = r_t + γ G_{t+1}. Write it for an array of rewards (n, T).


# %% exercise returns
def returns(rewards, gamma):
    """G_t = r_t + γ r_{t+1} + γ² r_{t+2} + … along the last axis; the shape of `rewards`."""
    # BEGIN SOLUTION
    found = np.zeros_like(rewards)
    later = np.zeros(rewards.shape[:-1])
    for t in range(rewards.shape[-1] - 1, -1, -1):
        later = rewards[..., t] + gamma * later
        found[..., t] = later
    return found
    # END SOLUTION


# %% check returns
# nudge: what is the return of the last step, and what of the one before it?
# formula: from the end: G_t = r_t + γ G_{t+1}, beginning with G = 0 after the last
r = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
kept = r.copy()
found = returns(r, 0.5)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(r, kept), "the rewards were written into: make an array of your own for the returns"
assert np.shape(found) == (2, 3), f"one return per reward: shape (2, 3), and yours is {np.shape(found)}"
for wrong, hint in (
    ([1, 3, 7], "an action is credited with what comes after it, not before"),
    ([1, 2.5, 5.25], "an action is credited with what comes after it, not before: go from the end"),
    ([7, 6, 4], "later rewards count less: γ is missing"),
    ([4, 4, 4], "two steps away the discount is γ², not γ"),
    ([3, 2, 1], "the discount counts from t on, not from the start of the game"),
    ([1.5, 2, 2], "the reward of the step itself is not discounted"),
    ([2, 2, 0], "the reward of the step itself belongs to its return"),
    ([2, 4, 4], "all later rewards count, not only the next one"),
):
    assert not np.allclose(np.asarray(found)[0], wrong), hint
assert np.allclose(found, [[3.0, 4.0, 4.0], [0.25, 0.5, 1.0]]), f"for [1, 2, 4] and γ = 0.5: [3, 4, 4], not {found[0]}"
print("Solved: credit flows backwards, like a cotangent.")

# %% [markdown]
# ## Exercise: advantages along a game
#
# In a long game a learned guess V(s) of what is still to come is a calmer baseline than other games. Generalized
# advantage estimation (Schulman et al. 2016, eq. 16) mixes one-step surprises, δ_t = r_t + γ V_{t+1} − V_t, into
# A_t = δ_t + γλ δ_{t+1} + (γλ)² δ_{t+2} + …: with λ = 0 the guess is trusted, with λ = 1 only what was really paid.
# `values` has one entry more than `rewards`, the guess for where the game stopped.


# %% exercise gae
def generalized_advantages(rewards, values, gamma, lam):
    """A_t for rewards (n, T) and values (n, T + 1): (n, T). NumPy arrays."""
    # BEGIN SOLUTION
    surprises = rewards + gamma * values[:, 1:] - values[:, :-1]
    found, later = np.zeros_like(surprises), np.zeros(len(surprises))
    for t in range(surprises.shape[1] - 1, -1, -1):
        later = surprises[:, t] + gamma * lam * later
        found[:, t] = later
    return found
    # END SOLUTION


# %% check gae
# without: tm
# nudge: what is A at the last step? From there, one step back at a time
# formula: δ_t = r_t + γ V_{t+1} − V_t; from the end: A_t = δ_t + γλ A_{t+1}
r, v = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]]), np.array([[3.0, 1.0, 2.0, 5.0], [1.0, 0.0, 2.0, 0.0]])
kept = r.copy(), v.copy()
found = generalized_advantages(r, v, 0.5, 0.8)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(r, kept[0]) and np.array_equal(v, kept[1]), "rewards or values were written into"
assert np.shape(found) == (2, 3), f"an advantage for each reward, (2, 3), and yours have shape {np.shape(found)}"


def mixed(delta, factor):
    powers = factor ** np.arange(3)
    return np.stack([(delta[:, t:] * powers[: 3 - t]).sum(axis=1) for t in range(3)], axis=1)


delta = r + 0.5 * v[:, 1:] - v[:, :-1]
for wrong, hint in (
    (delta, "those are the surprises δ: the later ones belong to A_t, too"),
    (mixed(delta, 0.8), "later surprises count by (γλ)ᵏ: γ is missing"),
    (mixed(delta, 0.5), "later surprises count by (γλ)ᵏ: λ is missing"),
    (mixed(r + v[:, 1:] - v[:, :-1], 0.4), "the next value is discounted, too: γ V_{t+1}"),
    (mixed(r - v[:, :-1], 0.4), "a surprise has three parts, and γ V_{t+1} is missing"),
    (mixed(r + 0.5 * v[:, 1:], 0.4), "a surprise has three parts, and − V_t is missing"),
    (mixed(r, 0.4), "those are discounted rewards: the values have no part in them"),
    (mixed(r + 0.5 * v[:, :-1] - v[:, 1:], 0.4), "r_t + γ V_{t+1} − V_t: the two values are exchanged"),
    (-mixed(delta, 0.4), "the sign is turned round"),
    (mixed(delta[:, ::-1], 0.4)[:, ::-1], "A_t is made of δ_t and what comes later, not of what came before"),
):
    assert not np.allclose(found, wrong), hint
right = mixed(delta, 0.4)
assert np.allclose(found, right), f"row 0 should be {right[0].round(3)}, and is {np.asarray(found)[0].round(3)}"
paid = generalized_advantages(r, v, 0.5, 1.0)
assert np.allclose(paid, returns(np.c_[r, v[:, -1]], 0.5)[:, :-1] - v[:, :-1]), "with λ = 1 it is the return minus V_t"
print("Solved: between what was guessed and what was paid.")

# %% [markdown]
# ## What to take along
#
# - A policy gradient is the gradient of an ordinary loss on data that the policy made.
# - Where data depend on the weights, a right gradient doesn't make a right Hessian. Compare with first-order MAML: if
#   nothing differs, there was no second order.
# - `tinymeta run navigation` plays the real game: 100 steps, a network, TRPO outside.
#
# On the trace page, `stop_gradient` has no cells above it: what was drawn is data.

# %%
with tm.trace() as trace:
    tm.grad(learners["MAML, DiCE"])(mu, *tm.tree.map(lambda a: a[:2], batch))
page(trace, 15)
