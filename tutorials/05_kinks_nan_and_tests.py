# %% [markdown]
# # 05 · Kinks, NaN, and how to test a gradient
#
# A derivative can be wrong in ways that no loss curve shows: at a corner it may be neither of the two slopes,
# a branch that was not taken may poison it with NaN, and a test may be too kind to notice. Three short
# stories; then you write a test that a wrong gradient can't pass, give your engine corners, and find out who of five
# is wrong.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import built, figure, page

x0 = 0.0  # where the corner is; try 0.5, then -0.5

# %% [markdown]
# ## A corner has one side
#
# max(x, 0)² has the slopes 0 and 0 at x = 0, but the curvatures 0 (left) and 2 (right). An engine that splits
# a tie in halves, 0.5 and 0.5, multiplies the halves and reports a curvature of 0.5: neither side, nor their
# mean. Here each primitive takes one side, written in its declaration, the same at all orders.
#
# **Predict, then run:** which of 0 and 2 will it be at x = 0, given that relu takes its left side (its `kinks` say so)?


# %%
def squared_relu(x):
    return tm.relu(x) ** 2


print("slope", float(tm.grad(squared_relu)(x0)), " curvature", float(tm.grad(tm.grad(squared_relu))(x0)))
print("the declaration:", tm.relu.kinks[0])

# %% [markdown]
# ## The branch not taken
#
# where(x > 0, log x, 0) never uses log 0, but the rule of log divides by x. In most engines the gradient at 0 is
# 0 · ∞ = NaN. Here a cotangent of 0 stays 0 whatever it is multiplied with. (`tm.hvp` gives the product of the second
# derivatives with a vector.)

# %%
safe_log = lambda x: tm.sum(tm.where(x > 0, tm.log(x), 0.0))
points = np.array([0.0, 1.0, 4.0])
with np.errstate(all="ignore"):
    print("gradient ", tm.grad(safe_log)(points).tolist())
    print("curvature", tm.hvp(safe_log, points, np.ones(3)).tolist())

# %% [markdown]
# ## Where did the NaN come from?
#
# When a NaN is your own, `tm.checked()` names the operation, the place in the array, and your line.

# %%
try:
    with tm.checked(), np.errstate(all="ignore"):
        tm.sum(tm.sqrt(np.array([4.0, -1.0])))
except FloatingPointError as error:
    print(error)

# %% [markdown]
# ## A test that can fail
#
# Central differences carry an error of their own, about 1e-10 here, so a tolerance below that is superstition
# and one far above it is blind. The complex step has no such error: f(x + ih) = f(x) + ih f′(x) + …, so the
# imaginary part over h is f′(x) to the last digit, with h = 1e-30, since nothing is subtracted.

# %%
f = lambda x: np.tanh(x) * x
exact = float(tm.grad(lambda x: tm.tanh(x) * x)(0.7))
central = (f(0.7 + 1e-6) - f(0.7 - 1e-6)) / 2e-6
complex_step = (f(0.7 + 1e-30j) / 1e-30).imag
print(f"central difference off by {abs(central - exact):.1e}, complex step by {abs(complex_step - exact):.1e}")

# %% [markdown]
# How small should h be? Large ones are off because f bends, small ones because two nearly equal numbers are subtracted and
# their last digits are all that is left. For the complex step there is no such choice:


# %%
def choice_of_h(axes):
    steps = 10.0 ** np.arange(-15, 0, 0.25)
    one_sided = [abs((f(0.7 + h) - f(0.7)) / h - exact) for h in steps]
    both_sides = [abs((f(0.7 + h) - f(0.7 - h)) / (2 * h) - exact) for h in steps]
    complex_steps = [abs((f(0.7 + 1j * h) / h).imag - exact) for h in steps]
    for errors, look, name in (
        (one_sided, "oC1", "(f(x + h) − f(x)) / h"),
        (both_sides, "sC0", "(f(x + h) − f(x − h)) / 2h"),
        (complex_steps, "^C2", "Im f(x + ih) / h"),
    ):
        axes.loglog(steps, np.maximum(errors, 1e-17), look, markersize=5, label=name)
    axes.set(xlabel="h", ylabel="error of the slope", title="the slope of tanh(x)·x at 0.7")


figure(
    choice_of_h,
    5,
    "Error against h, both logarithmic. Differences to one side and to both make a V each, with a rough left arm: the error of both sides is smallest near the cube root of the precision, and that of one side, which is larger, near the square root. The complex step's error falls with h until it is nothing but rounding, and stays there.",
)

# %% [markdown]
# `tm.testing.check_grad(f, *args, order=2)` does this for every order, also through the gradient itself.
#
# ## Exercise: a checker
#
# Write `slope_is_right(f, slope, x)`: True if `slope(x)` is f′(x) to 1e-10 relative to its size, by the complex
# step. `f` takes complex numbers.


# %% exercise checker
def slope_is_right(f, slope, x):
    """Whether slope(x) agrees with f′(x), judged by the complex step."""
    # BEGIN SOLUTION
    right = (f(x + 1e-30j) / 1e-30).imag
    return abs(slope(x) - right) <= 1e-10 * max(abs(right), 1e-300)
    # END SOLUTION


# %% check checker
# nudge: what would a slope have to be, to be refused by your test although it is right, or to pass although it is wrong?
# formula: right = (f(x + 1e-30j) / 1e-30).imag;  abs(slope(x) − right) <= 1e-10 · abs(right)
cases = [(np.tanh, lambda x: 1 - np.tanh(x) ** 2), (lambda x: np.exp(-200 + x), lambda x: np.exp(-200 + x))]
given = lambda value: lambda _: value
for g, slope in cases:
    for x in (0.3, -1.2):
        answer = slope_is_right(g, slope, x)
        assert answer is not None, "the function returns nothing: put your test in the dots' place"
        if not answer:
            said, step = "a right slope was refused: ", g(x + 1e-30j) / 1e-30
            rough = [(g(x + 10.0**-k) - g(x - 10.0**-k)) / (2 * 10.0**-k) for k in range(3, 9)]
            rough += [(g(x + 10.0**-k) - g(x)) / 10.0**-k for k in range(3, 9)]
            assert not slope_is_right(g, given(2 * slope(x)), x), said + "the answer is turned round"
            assert not slope_is_right(g, given(step.real), x), said + "f′ is the imaginary part, not the real one"
            assert not slope_is_right(g, given(step.imag * 1e-30), x), said + "divide the imaginary part by h"
            assert not any(slope_is_right(g, given(f), x) for f in rough), (
                said + "differences are off by more than 1e-10"
            )
            assert not slope_is_right(g, given(step.imag), x), said + "it may be off by rounding: allow 1e-10"
            raise AssertionError(said + "is the formula right?")
assert not slope_is_right(np.tanh, lambda x: 1.001 * (1 - np.tanh(x) ** 2), 0.3), (
    "a slope that is off by a thousandth passed: that tolerance is blind"
)
assert not slope_is_right(np.tanh, lambda x: -(1 - np.tanh(x) ** 2), 0.3), "a slope of the wrong sign passed: see abs"
assert not slope_is_right(np.tanh, lambda x: 0.9 * (1 - np.tanh(x) ** 2), 0.3), "too small a slope passed: see abs"
assert not slope_is_right(np.tanh, lambda x: (1 + 1e-8) * (1 - np.tanh(x) ** 2), 0.3), (
    "a slope off by 1e-8 passed: central differences can't see that, the complex step can"
)
assert not slope_is_right(cases[1][0], lambda x: 0.0, 0.3), (
    "exp(x − 200) has a tiny slope, and a slope of zero passed: make the tolerance relative to the right value"
)
print("Solved: now wrong gradients have nowhere to hide.")

# %% [markdown]
# ## Exercise: corners for your engine
#
# The engine of lesson 3 has no corner yet. Give it two operations with one, and log, whose rule meets 0 · ∞ on the
# branch that was not taken. The rules are made of Nodes, as before; on which side x is, is a plain array of 0s and 1s.
# Wherever one factor of a product may be infinite, that product is a `scale`, also within a slope.

# %%
Node, gradient, sum_to = built("the_gradient_of_a_gradient", "Node", "gradient", "sum_to")


# %% exercise corners
def scale(g, d):
    """g·d for Nodes, but 0 wherever g is 0, even where d is infinite or NaN; its own rule is made of `scale`, too."""

    # BEGIN SOLUTION
    def product(a, b):
        with np.errstate(invalid="ignore"):
            return np.where(a == 0, 0.0, a * b)

    return Node(product(g.value, d.value), (g, d), lambda h: (scale(h, d), scale(h, g)))
    # END SOLUTION


def relu(x):
    """max(x, 0); at 0 it takes its left side, at every order."""
    # BEGIN SOLUTION
    right = Node(x.value > 0)
    return Node(np.maximum(x.value, 0.0), (x,), lambda g: (g * right,))
    # END SOLUTION


def where(chosen, a, b):
    """a where the array `chosen` is True, b elsewhere; a, b and chosen have one shape."""
    # BEGIN SOLUTION
    yes, no = Node(chosen), Node(~chosen)
    return Node(np.where(chosen, a.value, b.value), (a, b), lambda g: (g * yes, g * no))
    # END SOLUTION


def log(x):
    """log x, whose slope is 1/x: a Node that depends on x, see `inverse`."""
    # BEGIN SOLUTION
    return Node(np.log(x.value), (x,), lambda g: (scale(g, inverse(x)),))
    # END SOLUTION


def inverse(x):
    """1/x; its slope is −1/x²."""
    # BEGIN SOLUTION
    y = Node(1 / x.value, (x,), lambda g: (scale(g, scale(y, y) * -1.0),))
    return y
    # END SOLUTION


# %% check corners
# without: tm
# nudge: take x = 0 and write down, factor by factor, what the rule multiplies. Where does a 0 meet an infinity?
# formula: scale: np.where(g.value == 0, 0, g.value·d.value), rule (scale(h, d), scale(h, g));  relu g * Node(x.value > 0);  log scale(g, inverse(x));  inverse scale(g, scale(y, y) * −1)
ends, total = np.array([0.0, 1.0, 4.0]), lambda a: sum_to(a, ())


def derivatives(f, x):
    """f′ and f″ of the sum of f's entries."""
    with np.errstate(all="ignore"):
        node = Node(x)
        [first] = gradient(total(f(node)), [node])
        return first.value, gradient(total(first), [node])[0].value


zero, infinite = Node([0.0, 2.0]), Node([np.inf, 3.0])
found = scale(zero, infinite)
assert isinstance(found, Node), f"scale should return a Node, and returned {found!r}"
assert np.allclose(found.value, [0.0, 6.0]), f"0 · ∞ and 2 · 3 by scale should be [0, 6], and are {found.value}"
assert zero in found.inputs and infinite in found.inputs, (
    "scale should keep both g and d: a second derivative needs them"
)
slope = scale(Node([2.0]), Node([np.inf])).rule(Node([0.0]))[0].value
back = [x.value for x in scale(Node([2.0]), Node([5.0])).rule(Node([1.0]))]
assert np.allclose(back, [[5.0], [2.0]]), (
    f"the rule of scale gives g the cotangent h·d and d h·g: (5, 2), not {np.ravel(back)}"
)
assert np.isfinite(slope).all(), "the rule of scale multiplies a 0 with an infinity: make it of scale, too"
y, (first, second) = relu(Node([-1.0, 0.0, 2.0])).value, derivatives(relu, np.array([-1.0, 0.0, 2.0]))
assert np.allclose(y, [0, 0, 2]), f"relu of −1, 0 and 2 is 0, 0, 2, and yours is {y}"
assert first[1] != 1, "at 0 relu should take its left side, where it is flat"
assert first[1] != 0.5, "half of one side and half of the other is the slope of neither"
assert np.allclose(first, [0, 0, 1]) and np.allclose(second, 0), f"its slopes are 0, 0, 1, and yours {first}"
squared = derivatives(lambda x: relu(x) * relu(x), np.array([-1.0, 0.0, 2.0]))[1]
assert np.allclose(squared, [0, 0, 2]), f"the curvature of relu(x)² is 0, 0, 2, and yours {squared}"
x = np.array([0.5, 3.0])
for f, right in ((inverse, (-1 / x**2, 2 / x**3)), (log, (1 / x, -1 / x**2))):
    name = "log" if f is log else "inverse"
    for order, (mine, true) in enumerate(zip(derivatives(f, x), right), 1):
        assert np.allclose(mine, true), (
            f"derivative {order} of {name} at {x} should be {true.round(3)}, and is {mine.round(3)}"
        )
pick = derivatives(lambda x: where(x.value > 1, x * x, x * 3.0), np.array([0.5, 2.0]))[0]
assert not np.allclose(pick, [1.0, 3.0]), "the cotangents of where are in the wrong order"
assert np.allclose(pick, [3.0, 4.0]), f"where hands g to the one that was taken and 0 to the other: [3, 4], not {pick}"
safe = derivatives(lambda x: where(x.value > 0, log(x) + inverse(x), Node(np.zeros(3))), ends)
for order, mine in enumerate(safe, 1):
    assert not np.isnan(mine).any(), (
        f"derivative {order} of where(x > 0, log x + 1/x, 0) is NaN at 0: is each product with 1/x a `scale`?"
    )
assert np.allclose(safe, [[0, 0, 3 / 16], [0, 1, -1 / 32]]), (
    f"where(x > 0, log x + 1/x, 0) has other derivatives than {safe}"
)
print("Solved: no NaN comes through a branch that was not taken.")

# %% [markdown]
# ## Exercise: who is wrong?
#
# The open one. Five operations for your engine, written in haste: some have a wrong rule, and one of them is wrong at
# second order only. Find them by testing. Each comes with its function for NumPy, which takes complex numbers.


# %%
def operation(f, rule):
    """An operation whose rule is `rule(g, x, y)`, in Nodes."""

    def made(x):
        y = Node(f(x.value), (x,), lambda g: (rule(g, x, y),))
        return y

    return made


suspects = {
    "tanh": (np.tanh, operation(np.tanh, lambda g, x, y: g - g * y * y)),
    "exp": (np.exp, operation(np.exp, lambda g, x, y: g * y)),
    "square": (np.square, operation(np.square, lambda g, x, y: g * x)),
    "cube": (lambda x: x**3, operation(lambda x: x**3, lambda g, x, y: g * Node(x.value) * Node(x.value) * 3.0)),
    "inverse": (np.reciprocal, operation(np.reciprocal, lambda g, x, y: g * y * y * -1.0)),
}


# %% exercise culprits
def wrong_ones(suspects, points):
    """The names whose first or second derivative is wrong at one of the points: {name: the lowest order that is}."""
    # BEGIN SOLUTION
    wrong = {}
    for name, (f, operation) in suspects.items():
        exact = lambda x, f=f: (f(x + 1e-30j) / 1e-30).imag
        for x in points:
            node = Node(x)
            [first] = gradient(operation(node), [node])
            [second] = gradient(first, [node])
            bend = (exact(x + 1e-5) - exact(x - 1e-5)) / 2e-5
            if abs(first.value - exact(x)) > 1e-10 * abs(exact(x)):
                wrong[name] = 1
            elif abs(second.value - bend) > 1e-6 * max(abs(bend), abs(exact(x))):
                wrong.setdefault(name, 2)
    return wrong
    # END SOLUTION


# %% check culprits
# without: tm
# nudge: an operation is right if it is right at every point and at both orders. Do you look at all of them, and at each order?
# formula: first = gradient(operation(node), [node])[0] against Im f(x + ih)/h; second = gradient(first, [node])[0] against a difference of those
tried = [0.7, -1.3, 2.1]
found = wrong_ones(suspects, tried)
assert isinstance(found, dict), f"wrong_ones should return a dictionary, and returned {found!r}"
assert set(found) <= set(suspects), f"its keys are names of suspects, and not {[*set(found) - set(suspects)]}"
assert "tanh" not in found and "exp" not in found and "inverse" not in found, (
    f"{sorted(set(found) & {'tanh', 'exp', 'inverse'})} is right: is the tolerance so small that rounding looks like a mistake?"
)
assert "square" in found, "square is wrong at first order, and got through"
assert "cube" in found, "cube is right at first order and wrong at second, and got through"
assert found == {"square": 1, "cube": 2}, f"square fails at order 1 and cube at order 2, and you say {found}"
nearly = {"a": (np.exp, operation(np.exp, lambda g, x, y: g * y * (1 + 1e-7)))}
assert wrong_ones(nearly, tried) == {"a": 1}, "a rule that is off by 1e-7 got through: that tolerance is blind"
kinked = {"a": (lambda x: x * x, operation(np.square, lambda g, x, y: g * Node(abs(x.value)) * 2.0))}
assert wrong_ones(kinked, [-1.3, 0.7]) == {"a": 1}, "what is wrong at the first point stays wrong at the next"
assert wrong_ones(kinked, [0.7, -1.3]) == {"a": 1}, (
    "a rule that is right for positive x alone got through: try every point"
)
print("Solved: two of five, and one of them no first-order test would have found.")

# %% [markdown]
# ## What to take along
#
# - One side per corner, at every order. `tutorials/kinks.md` lists them all.
# - 0 · anything is 0 for a cotangent, so `where` is safe as it stands.
# - A test must be shown a wrong gradient once, and refuse it.
#
# On the trace page, find `scale`: the multiplication for which zero wins.

# %%
with tm.trace() as trace, np.errstate(all="ignore"):
    tm.grad(safe_log)(points)
page(trace, 5)
