# %% [markdown]
# # 12 · Learned step sizes, losses, optimizers
#
# A learning algorithm is a function f(θ; φ) with settings φ: step sizes, a loss, an update rule. If the
# algorithm can be differentiated, its settings can be learned by gradient descent, like weights. Three kinds
# of φ, one mechanism: `adapt`, then the loss on other data.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

condition = 50.0  # how much steeper the steepest direction is; try 2.0, then 1000.0
steps = 20  # of the learned momentum; try 5

# %% [markdown]
# ## φ = step sizes
#
# A bowl with fifty directions, from flat to steep. One step size for all is a compromise; one for each is learned
# below, by differentiating the loss after three steps with respect to all fifty.
#
# The baseline is the best single step size, found by trying eighty.

# %%
curvature = np.exp(np.linspace(0, np.log(condition), 50))
bowl = lambda theta, _=None: 0.5 * (curvature * theta * theta).sum()
start = np.ones(50)
tried = np.exp(np.linspace(np.log(0.002), np.log(0.2), 80))


def after_three_steps(log_lr):
    theta = tm.meta.adapt(bowl, tm.tensor(start), None, rule=tm.optim.SGD(tm.exp(log_lr)), steps=3)
    return tm.log(bowl(theta) + 1e-12)


def learned(objective, phi, lr, iterations):
    """φ after `iterations` steps of Adam down the objective."""
    phi, outer = tm.tensor(phi), tm.optim.Adam(lr)
    state, slope = outer.init(phi), tm.compile(tm.grad(objective))
    for _ in range(iterations):
        phi, state = outer.update(slope(phi), state, phi)
    return phi


log_lr = learned(after_three_steps, np.full(50, np.log(0.01)), lr=0.1, iterations=150)
newton = np.exp(log_lr.numpy()) * curvature
single = min(float(after_three_steps(np.full(50, np.log(lr)))) for lr in tried)
print(f"log loss after three steps: best single step size {single:.1f}, learned {float(after_three_steps(log_lr)):.1f}")
print(f"learned step size · curvature, direction by direction: {newton.min():.2f} to {newton.max():.2f}")

# %% [markdown]
# It has come close to Newton's step, 1/curvature, with nobody mentioning second derivatives of the bowl. This is where
# learning is needed: a grid over fifty numbers can't be walked, a gradient has fifty entries at the price of one.
#
# ## φ = an update rule
#
# A rule is two functions, `init` and `update`. With weights inside, it is a learned optimizer: here the smallest
# one, momentum whose two numbers are learned (`tm.sigmoid` keeps one between 0 and 1). `tinymeta run learned-optimizer` trains an LSTM in this place.
#
# **Predict, then run:** momentum starts at one half. Judged by the loss after the last step, will it be kept?


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


def at_the_end(phi):
    return tm.log(bowl(tm.meta.adapt(bowl, tm.tensor(start), None, rule=LearnedMomentum(phi), steps=steps)) + 1e-12)


def heavy_ball(momentum, lr):
    """The same with plain numbers."""
    return float(at_the_end(np.array([np.log(momentum / (1 - momentum)), np.log(lr)])))


phi = learned(at_the_end, np.array([0.0, np.log(0.01)]), lr=0.03, iterations=200)
momentum, lr = float(tm.sigmoid(phi[0])), float(tm.exp(phi[1]))
final = {"learned": float(at_the_end(phi))}
final["plain descent, best step size"] = min(heavy_ball(1e-9, lr) for lr in tried)
with np.errstate(all="ignore"):
    grid = [(heavy_ball(m, lr), m) for m in np.linspace(0.05, 0.95, 19) for lr in tried[::4]]
final["momentum, best of a grid"] = min(grid)[0]
print(f"learned momentum {momentum:.2f}, step size {lr:.3f}; log loss after {steps} steps:")
print(*(f"  {name:30} {value:6.2f}\n" for name, value in final.items()), sep="")

# %% [markdown]
# It is kept, and far ahead of plain descent with its best step size. But it is no better than a grid of 380 pairs: for
# two numbers a grid will do.

# %% [markdown]
# ## Exercise: the cell of a learned optimizer
#
# Here is a rule with more in it (Andrychowicz et al. 2016): a small recurrent network that looks at each coordinate by
# itself. Gradients span many powers of ten, so of each it sees two numbers (their appendix A, with p = 10):
#
#     |g| ≥ e⁻ᵖ     log|g|/p  and  sign g
#     otherwise     −1        and  eᵖ g
#
# And it sees its own state h, a row for each coordinate: h′ = tanh([two numbers, h] W + b). The step is eˢ h′u.


# %% exercise cell
def cell(phi, g, h):
    """Steps (n,) to add to θ, and h′ (n, units), for g (n,), h (n, units), φ = {W (2 + units, units), b, u, s}."""
    # BEGIN SOLUTION
    size, least = tm.abs(g), np.exp(-10.0)
    logs = tm.where(size < least, -1.0, tm.log(size) / 10)
    signs = tm.where(size < least, g / least, tm.sign(g))
    read = tm.concat([tm.stack([logs, signs], axis=-1), h], axis=-1)
    h = tm.tanh(read @ phi["W"] + phi["b"])
    return tm.exp(phi["s"]) * (h @ phi["u"]), h
    # END SOLUTION


# %% check cell
# without: tm.meta
# nudge: print the two numbers for g = 1, 10⁻³ and 10⁻⁶: do all three keep between −1 and 1?
# formula: h′ = tanh([where(|g| < e⁻¹⁰, −1, log|g|/10), where(|g| < e⁻¹⁰, e¹⁰g, sign g), h] W + b); the step is eˢ h′u
draw = np.random.default_rng(1).normal
own = {"W": draw(size=(5, 3)), "b": draw(size=3), "u": draw(size=3), "s": np.array(0.3)}
g, h = np.array([2.0, -0.5, 1e-3, -1e-6, 3e-5, 0.0]), draw(size=(6, 3))
with np.errstate(divide="ignore"):
    made = cell(own, g, h)
assert isinstance(made, tuple) and len(made) == 2, f"return two things, the steps and h′, and not {made!r}"
assert np.shape(made[1]) == (6, 3), f"h′ has a row for each coordinate, (6, 3), and yours has {np.shape(made[1])}"
assert np.shape(made[0]) == (6,), f"a step for each coordinate, (6,), and yours have {np.shape(made[0])}"
small, logs = np.abs(g) < np.exp(-10), np.log(np.maximum(np.abs(g), np.exp(-10)))
first, second = np.where(small, -1.0, logs / 10), np.where(small, np.exp(10) * g, np.sign(g))

state = lambda *columns, bend=np.tanh, bias=own["b"]: bend(np.column_stack(columns) @ own["W"] + bias)
for wrong, hint in (
    (state(first, second, h, bend=lambda z: z), "tanh is missing: h′ = tanh(… W + b)"),
    (state(first, second, h, bias=0.0), "b is missing"),
    (state(np.where(small, -1.0, logs), second, h), "the logarithm is divided by p = 10"),
    (state(first, np.sign(g), h), "a gradient smaller than e⁻¹⁰ has eᵖ g in the sign's place"),
    (state(first, np.exp(10) * g, h), "a gradient that is not tiny has its sign as the second number"),
    (state(second, first, h), "the logarithm comes first, the sign second"),
    (state(first, second, 0 * h), "the state h is read as well: without it the cell remembers nothing"),
):
    assert not np.allclose(np.asarray(made[1]), wrong), hint
right = state(first, second, h)
assert np.allclose(np.asarray(made[1]), right), f"row 0 of h′ should be {right[0].round(3)}, not {made[1][0]}"
assert not np.allclose(np.asarray(made[0]), right @ own["u"]), "eˢ is missing: it says how long steps are"
assert not np.allclose(np.asarray(made[0]), 0.3 * (right @ own["u"])), "the step is eˢ h′u, and s stands there as it is"
assert not np.allclose(np.asarray(made[0]), np.exp(0.3) * (h @ own["u"])), "the step is made of h′, not of h"
assert np.allclose(np.asarray(made[0]), np.exp(0.3) * (right @ own["u"])), "the step is eˢ h′u"
print("Solved: a rule that is not written down, but learned.")

# %% [markdown]
# What does it learn? Bowls whose axes lie anywhere, some of them hundreds of times as steep as others, and eight steps for
# each; judged by the mean logarithm of the loss on the way. The cell learns from 16,000 of them, its gradients clipped
# (`clip_by_global_norm`) and its step size lowered (`cosine`); the others get their best step size of twelve, by trying.
#
# **Predict, then run:** plain descent, momentum, Adam, RMSProp: which of them will it beat?

# %%
few, units = 8, 8


def bowls(rng, count):
    """Matrices (count, 10, 10) with eigenvalues from e⁻³ to e³, those of one within e² of each other; starts (count, 10)."""
    turn, _ = np.linalg.qr(rng.normal(size=(count, 10, 10)))
    steep = np.exp(rng.uniform(-2, 2, (count, 1)) + rng.uniform(-1, 1, (count, 10)))
    return (turn * steep[:, None]) @ np.swapaxes(turn, 1, 2), rng.normal(size=(count, 10))


def quadratic(theta, A):
    return 0.5 * (theta * (A @ theta)).sum()


class LearnedCell(LearnedMomentum):
    """θ ← θ + cell(φ, g, h), with its state h."""

    def init(self, theta):
        return tm.zeros((*theta.shape, units))

    def update(self, grads, h, theta):
        step, h = cell(self.phi, grads, h)
        return theta + step, h


def on_the_way(rule, A, theta):
    """The logarithm of loss / first loss after each step."""
    path = tm.meta.adapt(quadratic, theta, A, rule=rule, steps=few, path=True)
    return tm.log(tm.stack([quadratic(each, A) for each in path[1:]]) / quadratic(theta, A) + 1e-12)


draw, rng = np.random.default_rng(4).normal, np.random.default_rng(5)
learner = {
    "W": 0.3 * draw(size=(2 + units, units)),
    "b": np.zeros(units),
    "u": 0.1 * draw(size=units),
    "s": np.log(0.1),
}
learner = tm.tree.map(tm.tensor, learner)
outer = tm.optim.Adam(tm.optim.schedules.cosine(0.02, 500))


@tm.compile
def improve(phi, state, *batch):
    mean = lambda phi: tm.vmap(lambda A, theta: on_the_way(LearnedCell(phi), A, theta))(*batch).mean()
    return outer.update(tm.optim.clip_by_global_norm(tm.grad(mean)(phi), 1.0), state, phi)


state = outer.init(learner)
for _ in range(500):
    learner, state = improve(learner, state, *bowls(rng, 32))

tuning, test_bowls = bowls(np.random.default_rng(6), 200), bowls(np.random.default_rng(7), 300)
heavy = lambda lr: tm.optim.SGD(lr, momentum=0.5)
ways = {"plain descent": tm.optim.SGD, "momentum 0.5": heavy, "Adam": tm.optim.Adam, "RMSProp": tm.optim.RMSProp}
along = lambda rule, batch: tm.vmap(lambda A, theta: on_the_way(rule, A, theta))(*batch).numpy()
curves = {"learned cell": along(LearnedCell(learner), test_bowls)}
for name, rule in ways.items():
    lr = min(np.geomspace(0.01, 1, 12), key=lambda lr: along(rule(lr), tuning).mean())
    curves[name] = along(rule(lr), test_bowls)
for name, values in curves.items():
    more = (
        ""
        if name == "learned cell"
        else f"   minus learned {interval(values.mean(1) - curves['learned cell'].mean(1))}"
    )
    print(f"{name:14} {interval(values.mean(axis=1))}{more}")


# %%
def step_sizes_and_paths(left, right):
    left.plot(curvature, 1 / curvature, "k--", linewidth=1, label="1/curvature")
    left.plot(curvature, np.exp(log_lr.numpy()), "oC0", markersize=5, alpha=0.7, label="learned step size")
    left.set(
        xscale="log", yscale="log", xlabel="curvature of a direction", ylabel="step size", title="Fifty step sizes"
    )
    for (name, values), line in zip(curves.items(), ("o-C0", "--C1", "-.C2", "s:C3", "^-C4")):
        right.plot(range(1, few + 1), values.mean(axis=0), line, markersize=4, label=name)
    right.set(xlabel="steps", ylabel="mean log of loss / first loss", title="Bowls nobody has seen")


alt = "Left: the learned step sizes of fifty directions lie on the line 1/curvature. Right: the loss on new bowls falls fastest by RMSProp with its best step size; then come the learned cell, momentum, plain descent and Adam."
figure(step_sizes_and_paths, 12, alt, columns=2)

# %% [markdown]
# All but one: `RMSProp`, once its step size is tuned, is ahead of the cell, which had to find out by itself that steps should
# not depend on how steep it is. A learned rule pays where nobody has tuned one: `tinymeta run learned-optimizer`.
#
# ## φ = a loss
#
# Points on a line, some of them far above it. Squares chase those. Let the inner loop minimise |r|^p with a learned p,
# and judge the result by points without them: a hundred tasks to learn p from, two hundred others to test it.
#
# **Predict, then run:** will p end above or below 2?


# %%
def lines(rng, tasks):
    """x, y with outliers, y without: (tasks, 40) each."""
    x, slope = rng.normal(size=(tasks, 40)), 2 * rng.normal(size=(tasks, 1))
    outliers = (rng.random((tasks, 40)) < 0.5) & (x > 0.5)
    return x, slope * x + 6.0 * outliers, slope * x


def power(raw):
    return 3.0 * tm.sigmoid(raw)  # p, between 0 and 3


def judged(raw, x, dirty, clean):
    inner = lambda w, _: ((tm.square(x * w - dirty) + 0.1) ** (power(raw) / 2)).mean()
    w = tm.meta.adapt(inner, tm.tensor(0.0), None, rule=tm.optim.SGD(0.2), steps=40)
    return tm.square(x * w - clean).mean()


each = tm.vmap(judged, in_axes=(None, 0, 0, 0))
training, test = lines(np.random.default_rng(1), 100), lines(np.random.default_rng(2), 200)
squares, absolute = np.log(2.0), -np.log(2.0)  # p = 2 and p = 1
raw = learned(lambda raw: each(raw, *training).mean(), squares, lr=0.1, iterations=80)
errors = {"squares, p = 2": each(squares, *test).numpy(), "absolute values, p = 1": each(absolute, *test).numpy()}
errors[f"learned, p = {float(power(raw)):.2f}"] = each(raw, *test).numpy()
for name, values in errors.items():
    print(f"{name:22} error {interval(values)}")

# %% [markdown]
# Far better than squares; no better than p = 1, which statisticians have used against outliers since the 18th century.
# A learned loss is worth its price where nobody has such a formula: `tinymeta run learned-loss` learns a network.
#
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
# without: tm
# nudge: α moves θ′, and θ′ moves L: what are these two slopes?
# formula: −g · (curvature·(θ − αg)) with g = curvature·θ
theta, c = np.array([1.0, -2.0]), np.array([1.0, 3.0])
right = float(tm.grad(lambda a: 0.5 * (c * (theta - a * (c * theta)) ** 2).sum())(0.1))
found = step_size_gradient(theta, 0.1, c)
assert np.shape(found) == () and found is not None, f"the answer is one number, a float, and yours is {found!r}"
g, found = c * theta, float(found)
for wrong, hint in {
    -right: "the sign is turned round: a larger step lowers the loss here, so dL/dα < 0",
    -g @ g: "the second gradient is taken after the step, at θ − αg, not at θ",
    -g @ (c * (theta - 0.1 * g)) / 0.1: "dθ′/dα is −g: there is no division by α",
    g @ (c * (theta - 0.1 * g)) / 0.1: "dθ′/dα is −g: there is no division by α",
    -0.1 * (g @ (c * (theta - 0.1 * g))): "dθ′/dα is −g: α is no factor of it",
    -g @ (theta - 0.1 * g): "∇L(θ′) is curvature·θ′: the curvature is missing",
    -g @ (c * (theta + 0.1 * g)): "the step goes down: θ′ = θ − αg",
    0.5 * (c * (theta - 0.1 * g) ** 2).sum(): "that is the loss after the step, not its derivative by α",
}.items():
    assert abs(found - wrong) > 1e-9, hint
assert abs(found - right) < 1e-9, f"the derivative is {right:.4f}, and yours {found:.4f}"
print("Solved: learning the learning rate is one inner product.")

# %% [markdown]
# ## Exercise: a step size that learns as it goes
#
# Hypergradient descent (Baydin et al. 2018, algorithm 1) needs no outer loop: the gradient of this step and that of the
# last one say whether the last step was too long. Before each step, α ← α + β g·g_before; before the first, g_before
# is 0.


# %% exercise online
def hypergradient_descent(gradient, theta, alpha, beta, steps):
    """θ after `steps` steps of θ ← θ − α gradient(θ), and the last α; NumPy arrays, a float."""
    # BEGIN SOLUTION
    before = np.zeros_like(theta)
    for _ in range(steps):
        g = gradient(theta)
        alpha = alpha + beta * float(g @ before)
        theta = theta - alpha * g
        before = g
    return theta, alpha
    # END SOLUTION


# %% check online
# without: tm
# nudge: which two gradients meet in the product, and is α changed before the step or after it?
# formula: α += β g·g_before; θ −= α g; g_before = g
steep = np.array([1.0, 4.0])
pull = lambda theta: steep * theta
begin = np.array([1.0, -0.5])
answer = hypergradient_descent(pull, begin.copy(), 0.01, 0.002, 2)
assert isinstance(answer, tuple) and len(answer) == 2, "return two things: θ and α"
theta, alpha = answer
first, one = pull(begin), begin - 0.01 * pull(begin)
second = pull(one)
right, early = 0.01 + 0.002 * first @ second, 0.01 + 0.002 * first @ first
for wrong, hint in {
    0.01: "α has not changed after two steps: is g_before kept from step to step?",
    0.01 - 0.002 * first @ second: "the sign is turned round: gradients that agree ask for longer steps",
    early + 0.002 * pull(begin - early * first) @ pull(begin - early * first): "that is g·g: keep the step before's",
    early + 0.002 * first @ pull(begin - early * first): "before the first step g_before is 0",
    0.01 + first @ second: "β is missing",
}.items():
    assert abs(alpha - wrong) > 1e-12, hint
assert abs(alpha - right) < 1e-12, f"after two steps α is {right:.6f}, and yours is {alpha:.6f}"
assert not np.allclose(theta, one - 0.01 * second), "the step is taken with the new α"
assert np.allclose(theta, one - right * second), f"after two steps θ is {one - right * second}, and yours {theta}"
far, rate = hypergradient_descent(pull, begin.copy(), 0.01, 0.002, 60)
plain = begin * (1 - 0.01 * steep) ** 60
assert rate > 0.02 and np.abs(far).max() < np.abs(plain).max(), (
    "sixty steps should make α grow and end nearer the bottom"
)
print("Solved: it learns its step size on the way.")

# %% [markdown]
# ## What to take along
#
# - Whatever an algorithm does by arithmetic can be learned through it: rates, losses, rules.
# - One or two numbers are found by a grid as well. The gradient pays where φ has many.
# - It costs a record as long as the inner loop; that is why such loops are short, or cut into pieces.
#
# On the trace page, follow the columns of the step size: every inner step reads it, so its cotangents add up.

# %%
with tm.trace() as trace:
    tm.grad(after_three_steps)(log_lr)
page(trace, 12)
