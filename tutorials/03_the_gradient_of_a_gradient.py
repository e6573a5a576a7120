# %% [markdown]
# # 03 · The gradient of a gradient
#
# A gradient is computed by a program, so it can be differentiated like any program, if the walk backwards
# was itself written down. Here it is: the rules are made of the same operations as everything else. This is
# the one idea that MAML needs, and the place where many engines quietly go wrong.
#
# 梯度也是由程序算出来的，所以它可以像任何程序一样再被求导，只要反向的过程本身也被记录下来。在这里正是如此：
# 求导规则由同样的运算写成。MAML 所需要的就是这一个想法，也正是许多框架悄悄出错的地方。

# %%
import tinymeta as tm
from tinymeta.view.lessons import page

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

# %%
with tm.trace() as trace:
    tm.grad(tm.grad(tm.tanh))(tm.tensor(x0))
print(trace.counts(), "operations by order")
assert max(trace.counts()) == 2

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


for name, tanh in (("honest", tm.tanh), ("careless", careless_tanh)):
    first, second = tm.grad(tanh), tm.grad(tm.grad(tanh))
    print(f"{name:9} first {float(first(x0)):.6f}   second {float(second(x0)):.6f}")

# %% [markdown]
# The first column agrees to the last digit, so no first-order test would notice. In this engine a rule sees
# only the cotangent, the output and the inputs, all of them recorded; to hide a number one has to say so.
#
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
assert float(tm.grad(outer)(1.0)) == 1.0

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
# ## What to take along
#
# - `order` counts how often something was differentiated; the second derivative is made of order-2 nodes.
# - A rule must see everything it depends on. Otherwise the first order is right and the second is wrong.
#
# On the trace page, the column of `tanh` has a third band: that is the second derivative being made.

# %%
page(trace, 3)
