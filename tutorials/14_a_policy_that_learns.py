# %% [markdown]
# # 14 · A policy that learns to navigate
#
# In reinforcement learning there are no labels: an agent acts, is paid, and must find out from the pay where it
# should have gone. Adapting to a new goal after one round of trying is few-shot learning with a twist: the
# data depend on the policy. You write the gradient of expected pay, and let MAML run through it.
#
# 强化学习没有标签：智能体行动、得到回报，再从回报中推断本该去哪里。尝试一轮之后就适应新目标，这也是小样本学习，只是多了一层：
# 数据取决于策略本身。你将写出期望回报的梯度，并让 MAML 穿过它。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

trials = 20  # tries per goal before adapting; try 5, then 100
rng = np.random.default_rng(0)

# %% [markdown]
# ## One step, one goal
#
# The smallest navigation: the agent stands at the origin and jumps to a point a ~ N(μ, 0.3²). It is paid minus the
# squared distance to a goal that it can't see. A task is a goal; the policy is μ.

# %%
sigma = 0.3


def jump(mu, goal, noise):
    """Actions and pay of as many trials as there is noise: (n, 2) and (n,)."""
    actions = mu + sigma * noise
    return actions, -((actions - goal) ** 2).sum(-1)


def log_probability(mu, actions):
    return -((actions - mu) ** 2).sum(-1) / (2 * sigma**2)


# %% [markdown]
# ## The gradient of expected pay
#
# ∇E[pay] = E[pay · ∇log p(action)] (Williams 1992). In code: a loss whose gradient is that estimate, with actions
# and pay as constants. Subtracting the mean pay changes no expectation and calms the noise.


# %%
def surrogate(mu, actions, pay):
    advantage = pay - pay.mean()
    return -(log_probability(mu, actions) * advantage).mean()


goal = np.array([1.0, -0.5])
actions, pay = jump(np.zeros(2), goal, rng.normal(size=(20_000, 2)))
estimate = tm.grad(surrogate)(np.zeros(2), actions, pay).numpy()
print("estimate", estimate.round(3), " exact", (-2 * goal).round(3))
assert np.allclose(estimate, -2 * goal, atol=0.1)

# %% [markdown]
# ## MAML over goals
#
# Goals lie around (0.8, 0.8): a good start is there, and one step on a few trials finds the rest. The trials for
# adapting are drawn with the current μ; `tm.stop_gradient` marks them as data.
#
# **Predict, then run:** where will the learned μ end?


# %%
def adapted(mu, goal, noise, lr=0.05):
    actions, pay = jump(tm.stop_gradient(mu), goal, noise)
    return mu - lr * tm.grad(surrogate)(mu, actions, pay)


def meta_loss(mu, goals, first, second):
    def one(mu, goal, first, second):
        new = adapted(mu, goal, first)
        actions, pay = jump(tm.stop_gradient(new), goal, second)
        return surrogate(new, actions, pay)

    return tm.vmap(one, in_axes=(None, 0, 0, 0))(mu, goals, first, second).mean()


def draw(rng, tasks):
    goals = 0.8 + 0.4 * rng.normal(size=(tasks, 2))
    return goals, rng.normal(size=(tasks, trials, 2)), rng.normal(size=(tasks, trials, 2))


mu, outer = tm.tensor(np.zeros(2)), tm.optim.Adam(0.05)
state = outer.init(mu)
step = tm.compile(tm.grad(meta_loss))
for _ in range(150):
    mu, state = outer.update(step(mu, *draw(rng, 40)), state, mu)
print("learned start", mu.numpy().round(2))

# %%
goals, first, second = draw(np.random.default_rng(5), 500)
for name, start in (("origin", tm.tensor(np.zeros(2))), ("learned start", mu)):
    before = tm.vmap(lambda g, z, s=start: jump(s, g, z)[1].mean())(goals, second).mean()
    after = tm.vmap(lambda g, a, z, s=start: jump(adapted(s, g, a), g, z)[1].mean())(goals, first, second).mean()
    print(f"{name:14} pay before {float(before):6.2f}, after one step {float(after):6.2f}")

# %% [markdown]
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
r = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
found = returns(r, 0.5)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.shape(found) == (2, 3), f"one return per reward: shape (2, 3), and yours is {np.shape(found)}"
assert not np.allclose(found, np.cumsum(r, -1)), "an action is credited with what comes after it, not before"
assert not np.allclose(found, np.cumsum(r[:, ::-1], -1)[:, ::-1]), "later rewards count less: γ is missing"
assert not np.allclose(found[0, 0], 1 + 0.5 * 2 + 0.5 * 4), "two steps away the discount is γ², not γ"
assert np.allclose(found, [[3.0, 4.0, 4.0], [0.25, 0.5, 1.0]]), f"for [1, 2, 4] and γ = 0.5: [3, 4, 4], not {found[0]}"
print("Solved: credit flows backwards, like a cotangent.")

# %% [markdown]
# ## What to take along
#
# - A policy gradient is the gradient of an ordinary loss on data that the policy made.
# - `tinymeta run navigation` plays the real game: 100 steps, a network, TRPO outside.
#
# On the trace page, `stop_gradient` has no cells above it: what was drawn is data.

# %%
with tm.trace() as trace:
    tm.grad(meta_loss)(mu, *draw(rng, 2))
page(trace, 14)
