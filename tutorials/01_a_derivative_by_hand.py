# %% [markdown]
# # 01 · A derivative by hand and by tape
#
# How does a program differentiate a program? It writes down every operation as it happens, and then walks
# back over the list, asking each one the same small question: *if your output moves a little, how much do
# your inputs matter?* Everything in this framework is that walk. By the end of this lesson you have done it
# by hand once, and seen that the machine does nothing else.
#
# 程序怎样对程序求导？它把每一步运算记录下来，然后沿着记录倒着走，对每一步问同一个小问题：*如果你的输出变动一点，
# 你的输入有多大影响？* 整个框架就是这样一次倒着走的过程。学完本课，你会亲手走一遍，并看到机器所做的不过如此。

# %%
import math

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import page

x0 = 0.5  # try -1.0, then 0.0

# %% [markdown]
# ## Forwards: a value per line
#
# Take f(x) = tanh(x²) · x. Written with one operation per line, every intermediate has a name:

# %%
a = x0 * x0  # a = x²
b = math.tanh(a)  # b = tanh a
y = b * x0  # y = b·x
print(f"f({x0}) = {y:.6f}")

# %% [markdown]
# ## Backwards: a cotangent per line
#
# The *cotangent* of a value is dy/d(value). It is 1 for y itself. Walking back, each line hands its own
# cotangent on to its inputs:
#
#     y = b·x       gb = gy·x          gx = gy·b
#     b = tanh a    ga = gb·(1 − b²)
#     a = x·x       gx = gx + ga·2x    (x was used twice: the two cotangents add up)
#
# **Predict, then run:** is the derivative at x = 0.5 larger or smaller than b = tanh(0.25) ≈ 0.245?

# %%
gy = 1.0
gb = gy * x0
ga = gb * (1 - b * b)
gx = gy * b + ga * (2 * x0)
print(f"f'({x0}) = {gx:.6f}")
assert x0 != 0.5 or gx > b, "the second path, through a, only adds"

# %% [markdown]
# ## The machine does the same walk
#
# A `Tensor` keeps the operation that made it and that operation's inputs. `tm.grad` walks back over them.
# `compare` puts your number beside the machine's:


# %%
def f(x):
    return tm.tanh(x * x) * x


compare("df/dx", gx, tm.grad(f)(x0))

# %% [markdown]
# And here is the record itself. `tm.tensor` makes a Tensor; each knows its maker, so one can follow it by hand, from y
# back to x:

# %%
x = tm.tensor(x0, requires_grad=True)
node = f(x)
while node.primitive is not None:
    print(f"{node.primitive.__name__:9} of {[i.primitive.__name__ if i.primitive else 'x' for i in node.inputs]}")
    node = node.inputs[0]

# %% [markdown]
# ## Exercise: another walk
#
# h(x) = exp(−x²)/x. Fill in the cotangents by hand, as above: one line for each line of the forward pass.


# %% exercise walk
def h_and_slope(x):
    """h(x) = exp(−x²)/x and h′(x), by hand, with `math` alone."""
    a = x * x
    b = math.exp(-a)
    y = b / x
    gy = 1.0
    # BEGIN SOLUTION
    gb = gy / x
    ga = gb * -b
    gx = -gy * b / (x * x) + ga * 2 * x
    # END SOLUTION
    return y, gx


# %% check walk
# without: tm
for point in (0.7, 1.3, -2.0):
    value, slope = h_and_slope(point)
    right = float(tm.grad(lambda x: tm.exp(-(x * x)) / x)(point))
    through_a, through_x = -2 * math.exp(-point * point), -math.exp(-point * point) / point**2
    assert isinstance(slope, float), f"gx should be a plain number, and it is {slope!r}"
    for wrong, hint in {
        through_x: "x is used twice, in x·x and in b/x: the path through a is missing",
        through_a: "x is used twice: the path through the division, −b/x², is missing",
        -right: "the sign is turned round: d exp(−a) = −exp(−a) da, and d(b/x) = … − b/x² dx",
        through_a - through_x: "the rule of b/x has a minus: d(b/x) = … − b/x² dx",
        through_x - through_a: "the rule of exp(−a) has a minus: d exp(−a) = −exp(−a) da",
        through_a / 2 + through_x: "x·x uses x twice: its slope is 2x",
        math.exp(-point * point): "gy·b is the rule of a product, b·x; here b is divided by x",
    }.items():
        assert abs(slope - wrong) > 1e-9, hint
    assert abs(slope - right) < 1e-9 * abs(right), f"at x = {point} the slope is {right:.6f} and you have {slope:.6f}"
print("Solved: that walk is all there is to it.")

# %% [markdown]
# ## What to take along
#
# - A derivative is a walk back over the record of a computation, with one small rule per operation.
# - A value that was used twice collects two cotangents, and they add up.
#
# `page` writes a page that lets you step through that walk: look for the three rows that belong to `tanh`, and at how
# `x` gets its cotangent in two parts. Next: what changes when the numbers become arrays.

# %%
with tm.trace() as trace:
    tm.grad(f)(tm.tensor(x0))
print(trace.counts())
page(trace, 1)
