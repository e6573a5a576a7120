# %% [markdown]
# # 03 · The gradient of a gradient
#
# A gradient is computed by a program, so it can be differentiated like any program, if the walk backwards
# was itself written down. Here it is: the rules are made of the same operations as everything else. This is
# the one idea that MAML needs, and the place where many engines quietly go wrong.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import built, figure, page

x0 = 0.7  # try 0.0, then 3.0

# %% [markdown]
# ## Orders
#
# `tm.grad` takes a function and gives a function, so it can be applied again. Every operation carries its
# order: how many times something was differentiated to make it.
#
# **Predict, then run:** x³ has the derivatives 3x², 6x, 6. What does the fourth give?

# %%
f = lambda x: x * x * x
for order in range(5):
    print(f"order {order}: {float(f(tm.tensor(x0))):.4f}")
    f = tm.grad(f)

with tm.trace() as trace:
    tm.grad(tm.grad(tm.tanh))(tm.tensor(x0))
print(trace.counts(), "operations by order")

# %% [markdown]
# ## A rule that hides something
#
# Suppose the rule of tanh kept `1 − y²` aside as a plain number when going forwards, as engines with a
# "context" like to do. First derivatives are perfect. Second ones are not: the number does not know that it
# depends on x. Here is such a tanh, beside the honest one. `tm.primitive` makes an operation of what it needs: the
# `kernel` that computes it, a `reference` to test it by, its `domain` and `kinks`, and its rule, `vjp`, in which
# `tm.stop_gradient` makes a plain number of a Tensor:


# %%
@tm.primitive
class careless_tanh:
    """y = tanh x, with a rule that treats the slope as a constant."""

    kernel = reference = tm.tanh.kernel
    domain, kinks = tm.tanh.domain, ()
    vjp = lambda g, y, x: g * tm.stop_gradient(1 - y * y)


for name, rule in (("honest", tm.tanh), ("careless", careless_tanh)):
    print(f"{name:9} first {float(tm.grad(rule)(x0)):.6f}   second {float(tm.grad(tm.grad(rule))(x0)):.6f}")

# %% [markdown]
# The first column agrees in every digit printed, so no first-order test would notice. In this engine a rule sees
# only the cotangent, the output and the inputs, all recorded; to hide a number one has to say so.


# %%
def two_orders(first, second):
    xs = np.linspace(-3, 3, 121)
    for rule, look, name in ((tm.tanh, {"linewidth": 6, "alpha": 0.4}, "honest"), (careless_tanh, {}, "careless")):
        slope = tm.grad(rule)
        for axes, f in ((first, slope), (second, tm.grad(slope))):
            axes.plot(xs, [float(f(x)) for x in xs], label=name, **look)
    first.set(title="first derivative of tanh", xlabel="x")
    second.set(title="second derivative", xlabel="x")


figure(
    two_orders,
    3,
    "Left: the first derivative by both rules, one curve on top of the other. Right: the second derivative; the honest rule gives a wave, first up and then down, the careless one is 0 everywhere.",
    columns=2,
)

# %% [markdown]
# ## Two derivatives at once: perturbation confusion
#
# Inside a function that is being differentiated, differentiate another one that uses its variable:
#
#     d/dx [ x · d/dy (x + y) ] = d/dx [x · 1] = 1
#
# An engine that mixes up the two "small changes" says 2. **Predict** what ours says, then run.


# %%
def outer(x):
    return x * tm.grad(lambda y: x + y)(1.0)


print(float(tm.grad(outer)(1.0)))

# %% [markdown]
# ## Exercise: Newton's method in one line each
#
# Find where f′ is 0 by x ← x − f′(x)/f″(x). Use `tm.grad` twice; return x after `steps` steps, as a float.


# %% exercise newton
def newton(f, x, steps):
    """x after `steps` steps of Newton's method on f′."""
    slope = tm.grad(f)
    # BEGIN SOLUTION
    curvature = tm.grad(slope)
    for _ in range(steps):
        x = x - slope(x) / curvature(x)
    return float(x)
    # END SOLUTION


# %% check newton
# nudge: on a parabola one step lands at the bottom. On paper: what must be taken from x = 5 in 3x² − 6x, and made of which two?
# formula: curvature = tm.grad(slope);  x = x − slope(x) / curvature(x), once per step;  return float(x)
quadratic = lambda x: 3 * x * x - 6 * x
one = newton(quadratic, 5.0, 1)
assert isinstance(one, float), f"newton should return a float, and returned {one!r}"
for wrong, hint in {
    5.0: "x has not moved: is the result of the step assigned to x, and returned?",
    -19.0: "that is a step of gradient descent: divide the slope by the second derivative",
    9.0: "Newton's method goes down: x minus slope over curvature, not plus",
    -139.0: "the slope is divided by the curvature, not multiplied with it",
    4.75: "the fraction is upside down: slope over curvature",
    3.125: "f over slope finds where f is 0; where the slope is 0, slope over curvature does",
    4.0: "that is what is subtracted from x: return x minus slope over curvature",
}.items():
    assert abs(one - wrong) > 1e-9, hint
assert abs(one - 1.0) < 1e-9, f"on a parabola one step lands at the bottom, x = 1, and yours landed at {one:.4f}"
quartic = lambda x: x * x * x * x + tm.exp(-x)
two = newton(quartic, 1.0, 2)
assert abs(two - newton(quartic, 1.0, 1)) > 1e-9, "two steps give what one step gives: is the loop there?"
assert abs(float(tm.grad(quartic)(newton(quartic, 1.0, 20)))) < 1e-9, (
    "after 20 steps the slope should be 0: are slope and curvature taken anew at each x?"
)
print("Solved: curvature is only one more grad.")

# %% [markdown]
# ## Your engine, twice
#
# The rules of lesson 2 took plain arrays out of the Nodes: they hide something. Made of Nodes, a gradient is a program
# like any other. Stretching and summing are operations, too, and each is the other's rule; `gradient` does the summing.

# %%
[ordered], [unbroadcast] = built("a_derivative_by_hand", "ordered"), built("tensors_and_broadcasting", "unbroadcast")


# %% exercise recorded
class Node:
    """An array, the Nodes that it was made of, and the rule that makes Nodes of its cotangent, a Node."""

    def __init__(self, value, inputs=(), rule=None):
        self.value, self.inputs, self.rule = np.asarray(value, dtype=float), inputs, rule
        self.shape = self.value.shape

    def __add__(self, other):
        return add(self, other if isinstance(other, Node) else Node(other))

    def __mul__(self, other):
        return mul(self, other if isinstance(other, Node) else Node(other))

    def __sub__(self, other):
        return self + (other if isinstance(other, Node) else Node(other)) * -1.0

    def __matmul__(self, other):
        return matmul(self, other)


def add(a, b):
    """a + b; no rule needs to undo broadcasting here."""
    # BEGIN SOLUTION
    return Node(a.value + b.value, (a, b), lambda g: (g, g))
    # END SOLUTION


def mul(a, b):
    """a·b, entry by entry."""
    # BEGIN SOLUTION
    return Node(a.value * b.value, (a, b), lambda g: (g * b, g * a))
    # END SOLUTION


def transposed(a):
    """aᵀ for a matrix."""
    # BEGIN SOLUTION
    return Node(a.value.T, (a,), lambda g: (transposed(g),))
    # END SOLUTION


def matmul(a, b):
    """The product of two matrices."""
    # BEGIN SOLUTION
    return Node(a.value @ b.value, (a, b), lambda g: (g @ transposed(b), transposed(a) @ g))
    # END SOLUTION


def tanh(a):
    """tanh, entry by entry. Its slope 1 − y² depends on a: by way of the Node y."""
    # BEGIN SOLUTION
    y = Node(np.tanh(a.value), (a,), lambda g: (g - g * y * y,))
    return y
    # END SOLUTION


def spread(a, shape):
    """a stretched to `shape`, as NumPy's broadcast_to does."""
    # BEGIN SOLUTION
    return Node(np.broadcast_to(a.value, shape), (a,), lambda g: (sum_to(g, a.shape),))
    # END SOLUTION


def sum_to(a, shape):
    """a summed to `shape` (lesson 2's unbroadcast does it for arrays); a itself if it has that shape."""
    # BEGIN SOLUTION
    if a.shape == shape:
        return a
    return Node(unbroadcast(a.value, shape), (a,), lambda g: (spread(g, a.shape),))
    # END SOLUTION


# %% check recorded
# without: tm
# nudge: in each rule, look for `.value`: what is taken out of its Node there can't be differentiated any more.
# formula: mul (g * b, g * a);  matmul (g @ transposed(b), transposed(a) @ g);  tanh (g − g * y * y,);  spread and sum_to: each other, to a.shape
rng = np.random.default_rng(0)
row, column, tall, wide = (rng.normal(size=shape) for shape in ((3,), (2, 1), (3, 2), (2, 3)))
for operation, theirs, arrays in (
    (add, tm.add, (wide, row)),
    (mul, tm.multiply, (wide, wide + 1)),
    (matmul, tm.matmul, (wide, tall)),
    (transposed, lambda a: a.T, (wide,)),
    (tanh, tm.tanh, (wide,)),
    (lambda a: spread(a, (2, 3)), lambda a: tm.broadcast_to(a, (2, 3)), (column,)),
    (lambda a: sum_to(a, (3,)), lambda a: tm.sum(a, axis=0), (wide,)),
):
    name = operation.__name__.replace("<lambda>", "spread" if arrays[0] is column else "sum_to")
    made, (value, back) = operation(*(inputs := [Node(a) for a in arrays])), tm.vjp(theirs, *arrays)
    assert isinstance(made, Node), f"{name} should return a Node, and returned {made!r}"
    same = made.shape == value.shape and np.allclose(made.value, value.numpy())
    assert same, f"the value of {name} is not NumPy's, or its shape is not: {made.shape} for {value.shape}"
    g = Node(rng.normal(size=made.shape))
    given = made.rule(g)
    assert isinstance(given, tuple) and len(given) == len(arrays), (
        f"the rule of {name}: a tuple, one Node for each input"
    )
    assert all(isinstance(x, Node) for x in given), f"the rule of {name} should make Nodes"
    for k, (x, y, a) in enumerate(zip(given, back(g.value), inputs)):
        x = sum_to(x, a.shape)
        assert np.allclose(x.value, y.numpy()), f"the rule of {name}: cotangent {k} should be {y.numpy().round(3)}"
        made_of = ordered(x)
        assert g in made_of, f"the rule of {name} hides g: use the Node g, not g.value"
        hidden = {mul: inputs[1 - k :][:1], matmul: inputs[1 - k :][:1], tanh: inputs}.get(operation, [])
        assert all(n in made_of for n in hidden), f"the rule of {name} takes inputs as constants: second order is lost"
print("Solved: rules that can be differentiated.")


# %% exercise twice
def gradient(y, xs):
    """dy/dx for each x of the list xs, as Nodes: each of its x's shape, and made so that it can be differentiated."""
    # BEGIN SOLUTION
    cotangents = {y: Node(np.ones(y.shape))}
    for node in reversed(ordered(y)):
        if node.rule is not None:
            for each, g in zip(node.inputs, node.rule(cotangents[node])):
                g = sum_to(g, each.shape)
                cotangents[each] = cotangents[each] + g if each in cotangents else g
    return [cotangents.get(x, Node(np.zeros(x.shape))) for x in xs]
    # END SOLUTION


# %% check twice
# without: tm
# nudge: it is the sweep of lesson 1, in Nodes. Which numbers were plain there, and must be Nodes here?
# formula: begin with Node(np.ones(y.shape));  g = sum_to(g, each.shape) before it is added;  Node(np.zeros(x.shape)) where nothing came
def random_program(rng, inputs, matmul, tanh, spread):
    """A random program of ten operations on arrays of shapes (2, 2), (2, 1), (2,), in whosever operations."""
    made = [*inputs]
    for _ in range(10):
        a, b = (made[k] for k in rng.integers(len(made), size=2))
        kinds = a + b, a * tanh(b), tanh(a), matmul(spread(tanh(a), (2, 2)), spread(b, (2, 2))), a * b - tanh(b)
        made.append(kinds[rng.integers(5)])
    return tanh(made[-1] * 0.3)


total = lambda a: sum_to(a, ())
x, z = Node([1.0, 2.0]), Node(3.0)
[found], [missing], [summed] = gradient(x * x, [x]), gradient(x * x, [z]), gradient(x * z, [z])
assert isinstance(found, Node), f"gradient should return Nodes, and returned {found!r}"
assert not np.allclose(found.value, x.value), (
    "x is used twice: its cotangents add up, the second doesn't replace the first"
)
assert isinstance(missing, Node) and missing.value == 0, "dy/dz is a Node of zeros where y has no z"
assert summed.shape == (), f"z has shape (), and its gradient {summed.shape}: sum_to belongs into the sweep"
second = gradient(total(gradient(x * x * x, [x])[0]), [x])[0].value
assert not np.allclose(second, 0), "the second derivative of x³ is 0: is the gradient made of Nodes all the way?"
assert np.allclose(second, 6 * x.value), f"the second derivative of x³ is 6x, and at {x.value} yours is {second}"
for seed in range(40):
    arrays = [np.random.default_rng(seed).normal(size=shape) for shape in ((2, 2), (2, 1), (2,))]
    mine, theirs = [Node(a) for a in arrays], [tm.tensor(a, requires_grad=True) for a in arrays]
    ours = total(random_program(np.random.default_rng(seed), mine, matmul, tanh, spread))
    right = tm.sum(random_program(np.random.default_rng(seed), theirs, tm.matmul, tm.tanh, tm.broadcast_to))
    for order in (1, 2):
        grads, answers = gradient(ours, mine), tm.gradient(right, theirs)
        for g, r in zip(grads, answers):
            r = r.detach().numpy()
            assert np.allclose(g.value, r, atol=1e-9 * (1 + abs(r).max())), f"program {seed}: order {order} differs"
        ours = sum((total(g * g) for g in grads), start=Node(0.0))
        right = sum((tm.sum(g * g) for g in answers), start=tm.tensor(0.0))
print("Solved: forty random programs agree with tinymeta, to the second order.")

# %% [markdown]
# ## Exercise: the sharpest direction
#
# The open one. A Hessian has n² numbers; its product with a vector needs none of them: it is the gradient of ∇f·v, one
# more walk. With that alone one finds the direction in which f bends most: start anywhere, and let v ← Hv, brought to
# length 1, again and again. In the end Hv = λv, and λ, the curvature of largest size, says how long a step of gradient
# descent may be: beyond 2/λ it flies apart.


# %% exercise sharpest
def hessian_times(f, x, v):
    """H v, where H is the Hessian of f at x; f makes a Node of shape () of a Node, x and v are arrays of one shape."""
    # BEGIN SOLUTION
    node = Node(x)
    [slope] = gradient(f(node), [node])
    [bend] = gradient(sum_to(slope * Node(v), ()), [node])
    return bend.value
    # END SOLUTION


def sharpest(f, x):
    """The curvature of f at x that is largest in size, with its sign: a float, right to 1e-6 of itself."""
    # BEGIN SOLUTION
    v = np.random.default_rng(0).normal(size=x.shape)
    for _ in range(200):
        v = v / np.sqrt((v * v).sum())
        product = hessian_times(f, x, v)
        curvature, v = float((v * product).sum()), product
    return curvature
    # END SOLUTION


# %% check sharpest
# without: tm
# nudge: try f = x·x·x·x by hand: what is ∇f·v, and what is its gradient? Then: v·Hv for a v of length 1 is a curvature.
# formula: H v = gradient(sum_to(slope * Node(v), ()), [node]) with [slope] = gradient(f(node), [node]);  λ = v·Hv after v ← Hv/‖Hv‖
turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
bowl = turn @ np.diag([3.0, -5.0, 1.0, 0.5]) @ turn.T
half = lambda x: sum_to(x * (Node(bowl) @ x), ()) * 0.5
bent = lambda x: sum_to(tanh(Node(bowl) @ x) * x * x, ())
theirs = lambda x: tm.sum(tm.tanh(tm.tensor(bowl) @ x) * x * x)
at, along = np.random.default_rng(4).normal(size=(2, 4, 1))
for f, right in ((half, bowl @ along), (bent, tm.hvp(theirs, at, along).numpy())):
    found = hessian_times(f, at, along)
    assert isinstance(found, np.ndarray), f"hessian_times should return an array, the value of a Node, not {found!r}"
    assert found.shape == (4, 1), f"Hv has the shape of v, (4, 1), and yours has {found.shape}"
    node = Node(at)
    slope = gradient(f(node), [node])[0].value
    assert not np.allclose(found, slope), "that is the gradient: its product with v is to be differentiated once more"
    assert not np.allclose(found, slope * along), "that is ∇f, times v: its sum is to be differentiated once more"
    assert not np.allclose(found, hessian_times(f, at, np.ones((4, 1)))), (
        "v makes no difference: ∇f·v, not the sum of ∇f"
    )
    assert np.allclose(found, right), f"Hv should be {right[:, 0].round(3)}, and is {found[:, 0].round(3)}"
curvature = sharpest(half, at)
assert isinstance(curvature, float), f"sharpest should return a float, and returned {curvature!r}"
assert abs(curvature) < 100, f"{curvature:.1e} is far too large: bring v to length 1 in each step"
assert abs(curvature - 5.0) > 1e-4, "the curvature has a sign, here a minus: v·Hv, not the length of Hv"
assert abs(curvature - 3.0) > 1e-4, "3 is the largest, and −5 is larger in size"
assert abs(curvature + 5.0) < 5e-6, f"the curvatures are 3, −5, 1 and 0.5, and yours is {curvature:.6f}: more steps?"
right = min(np.linalg.eigvalsh(tm.hessian(theirs)(at).numpy().reshape(4, 4)), key=lambda x: -abs(x))
found = sharpest(bent, at)
assert abs(found - right) < 1e-6 * abs(right), f"for a bent f it should be {right:.6f}, and is {found:.6f}"
print("Solved: a Hessian that nobody ever wrote down.")

# %% [markdown]
# ## What to take along
#
# - `order` counts how often something was differentiated; the second derivative is made of order-2 nodes.
# - A rule must see all it depends on, or the first order is right and the second wrong. Yours do, in sixty lines.
#
# On the trace page, the column of `tanh` has a third band: that is the second derivative being made.

# %%
page(trace, 3)
