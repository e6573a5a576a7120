# %% [markdown]
# # 05 · Kinks, NaN, and how to test a gradient
#
# A derivative can be wrong in ways that no loss curve shows: at a corner it may be neither of the two slopes,
# a branch that was not taken may poison it with NaN, and a test may be too kind to notice. Three short
# stories, and then you write a test that a wrong gradient can't pass.
#
# 导数可能以损失曲线看不出的方式出错：在尖点处它可能不是任何一侧的斜率；没有被选中的分支可能用 NaN 污染它；
# 而测试可能过于宽松，发现不了问题。本课讲三个小故事，然后由你写出一个错误梯度通不过的测试。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

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
# (`tm.hvp` below gives the product of the second derivatives with a vector.) where(x > 0, log x, 0) never uses log 0, but the rule of log divides by x. In most engines the gradient at 0
# is 0 · ∞ = NaN. Here a cotangent of 0 stays 0 whatever it is multiplied with.

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
