# %% [markdown]
# # 11 · Learned step sizes, losses, optimizers
#
# A learning algorithm is a function f(θ; φ) with settings φ: step sizes, a loss, an update rule. If the
# algorithm can be differentiated, its settings can be learned by gradient descent, like weights. Three kinds
# of φ, one mechanism: `adapt`, then the loss on other data.
#
# 学习算法是一个带有设置 φ 的函数 f(θ; φ)：φ 可以是步长、损失函数或更新规则。只要算法可导，它的设置就能像权重一样用梯度
# 下降来学习。三种 φ，同一个机制：先 `adapt`，再看另一份数据上的损失。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

condition = 50.0  # how much steeper the steepest direction is; try 1.0, then 1000.0
rng = np.random.default_rng(0)

# %% [markdown]
# ## φ = step sizes
#
# A bowl that is steep in one direction and flat in the other. One step size for both is a compromise; one for
# each is learned below, by differentiating the loss after three steps with respect to the step sizes.

# %%
curvature = np.array([1.0, condition])
bowl = lambda theta, _=None: 0.5 * (curvature * theta * theta).sum()
start = np.array([1.0, 1.0])


def after_three_steps(log_lr):
    theta = tm.meta.adapt(bowl, tm.tensor(start), None, rule=tm.optim.SGD(tm.exp(log_lr)), steps=3)
    return tm.log(bowl(theta) + 1e-12)


log_lr = tm.tensor(np.log([0.01, 0.01]))
state, outer = None, tm.optim.Adam(0.1)
state = outer.init(log_lr)
for _ in range(150):
    log_lr, state = outer.update(tm.grad(after_three_steps)(log_lr), state, log_lr)
print("learned step sizes", np.exp(log_lr.numpy()).round(4), " 1/curvature", (1 / curvature).round(4))

# %% [markdown]
# It has found Newton's step, 1/curvature, with nobody mentioning second derivatives of the bowl.
#
# ## φ = a loss
#
# Data with outliers. Plain squares chase them. Let the inner loop minimise |r|^p with a learned p, and judge the
# result on clean data. **Predict, then run:** will p end above or below 2?

# %%
x = rng.normal(size=(40, 1))
clean = 2.0 * x[:, 0]
dirty = clean + np.where((rng.random(40) < 0.5) & (x[:, 0] > 0.5), 6.0, 0.0)


def judged(raw):
    p = 1.0 + 2.0 * tm.sigmoid(raw)  # between 1 and 3
    inner = lambda w, _: ((tm.square(x @ w - dirty) + 1e-3) ** (p / 2)).mean()
    w = tm.meta.adapt(inner, tm.tensor([0.0]), None, rule=tm.optim.SGD(0.3), steps=25)
    return ((x @ w - clean) ** 2).mean()


raw, outer = tm.tensor(0.0), tm.optim.Adam(0.2)
state = outer.init(raw)
before = float(judged(raw))
for _ in range(25):
    raw, state = outer.update(tm.grad(judged)(raw), state, raw)
print(f"p = {1 + 2 / (1 + np.exp(-float(raw))):.2f}; error on clean data {before:.4f} → {float(judged(raw)):.4f}")

# %% [markdown]
# ## φ = an update rule
#
# A rule is two functions, `init` and `update`. With weights inside, it is a learned optimizer: here the smallest
# one, momentum whose two numbers are learned. `tinymeta run learned-optimizer` trains an LSTM in this place.


# %%
class LearnedMomentum:
    """v ← σ(a) v + g,  θ ← θ − exp(b) v, for φ = (a, b)."""

    def __init__(self, phi):
        self.phi = phi

    def init(self, theta):
        return theta * 0.0

    def update(self, grads, velocity, theta):
        velocity = tm.sigmoid(self.phi[0]) * velocity + grads
        return theta - tm.exp(self.phi[1]) * velocity, velocity


def unrolled(phi):
    path = tm.meta.adapt(bowl, tm.tensor(start), None, rule=LearnedMomentum(phi), steps=10, path=True)
    return sum(tm.log(bowl(theta) + 1e-12) for theta in path[1:]) / 10


phi, outer = tm.tensor([0.0, np.log(0.01)]), tm.optim.Adam(0.1)
state = outer.init(phi)
first = float(unrolled(phi))
for _ in range(60):
    phi, state = outer.update(tm.grad(unrolled)(phi), state, phi)
print(f"mean log loss {first:.2f} → {float(unrolled(phi)):.2f}")

# %% [markdown]
# ## Exercise: the gradient of a step size, by hand
#
# After one step θ′ = θ − αg the loss L(θ′) has dL/dα = −g · ∇L(θ′) (Baydin et al. 2018, eq. 5). Write it for a
# quadratic bowl with NumPy alone.


# %% exercise hypergradient
def step_size_gradient(theta, alpha, curvature):
    """d/dα of L(θ − α∇L(θ)) for L(θ) = ½ Σ curvature·θ²; a float."""
    # BEGIN SOLUTION
    g = curvature * theta
    return float(-g @ (curvature * (theta - alpha * g)))
    # END SOLUTION


# %% check hypergradient
theta, c = np.array([1.0, -2.0]), np.array([1.0, 3.0])
right = float(tm.grad(lambda a: 0.5 * (c * (theta - a * (c * theta)) ** 2).sum())(0.1))
found = step_size_gradient(theta, 0.1, c)
assert isinstance(found, float), f"the answer is one number, a float, and yours is {found!r}"
g = c * theta
assert abs(found + right) > 1e-9, "the sign is turned round: a larger step lowers the loss here, so dL/dα < 0"
assert abs(found + g @ g) > 1e-9, "the second gradient is taken after the step, at θ − αg, not at θ"
assert abs(found - g @ (c * (theta - 0.1 * g)) / 0.1) > 1e-9, "dθ′/dα is −g: there is no division by α"
assert abs(found - right) < 1e-9, f"the derivative is {right:.4f}, and yours {found:.4f}"
print("Solved: learning the learning rate is one inner product.")

# %% [markdown]
# ## What to take along
#
# - Whatever an algorithm does by arithmetic can be learned through it: rates, losses, rules.
# - It costs a record as long as the inner loop; that is why such loops are short, or cut into pieces.
#
# On the trace page, follow the columns of the step size: every inner step reads it, so its cotangents add up.

# %%
with tm.trace() as trace:
    tm.grad(after_three_steps)(log_lr)
page(trace, 11)
