# %% [markdown]
# # 06 · Kernels: why Numba, and when not
#
# NumPy runs one loop per operation, and each loop reads and writes whole arrays. Numba compiles a loop that you
# write, so several operations can share one pass, and loops that NumPy has no name for become possible. But
# where NumPy already calls a tuned routine, a loop of one's own loses. This lesson measures both.
#
# NumPy 对每个运算各跑一个循环，每个循环都要读写整个数组。Numba 把你写的循环（计算核，kernel）编译成机器码，于是几个运算可以共用一趟，
# 也能写出 NumPy 没有的循环。但 NumPy 已有精调例程的地方，自己写的循环只会更慢。本课把两者都测量一遍。

# %%
import math
import timeit

import numpy as np
import tinymeta_kernels as kernels
from tinymeta_kernels import cross_entropy

import tinymeta as tm
from tinymeta.view.lessons import page

size = 2000  # rows; try 20, then 20_000
rng = np.random.default_rng(0)


def microseconds(f):
    f()  # the first call may compile
    return 1e6 * min(timeit.repeat(f, number=3, repeat=15)) / 3


# %% [markdown]
# ## Fusion: one pass instead of six
#
# Softmax cross-entropy (`tm.nn.cross_entropy`) with NumPy: a maximum, a difference, an exponential, a sum, a logarithm, a lookup; each
# a pass over memory with a fresh array. The kernel walks each row once while it is in the cache:
#
#     for each row:  top ← max;  s ← Σ exp(x − top);  loss ← log s − (x[label] − top)

# %%
logits, labels = rng.normal(size=(size, 10)).astype(np.float32), rng.integers(0, 10, size)


def with_numpy():
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(size), labels]


def with_kernel():
    return kernels.softmax_cross_entropy(logits, labels)


assert np.allclose(with_numpy(), with_kernel(), atol=1e-5)
print(f"NumPy {microseconds(with_numpy):7.0f} µs   kernel {microseconds(with_kernel):7.0f} µs")
print("the kernel's own words:", cross_entropy.__doc__.split("\n")[0])

# %% [markdown]
# ## Where NumPy wins
#
# A large product is BLAS's business. **Predict, then run:** by what factor does the plain triple loop lose?

# %%
square = rng.normal(size=(120, 120))


def triple_loop(a, b):
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


try:
    import numba

    compiled = numba.njit(triple_loop)
except ImportError:
    compiled = triple_loop
assert np.allclose(compiled(square, square), square @ square)
ratio = microseconds(lambda: compiled(square, square)) / microseconds(lambda: square @ square)
print(f"the compiled triple loop takes {ratio:.1f} times as long as BLAS")

# %% [markdown]
# ## Loops with no name: scattering
#
# Reading rows by index, `x[i]`, has the adjoint "add each row back where it came from". A row that was read
# twice must get both cotangents. `x[i] += g` in NumPy keeps only the last of them, silently.

# %%
index, g = np.array([0, 2, 0]), np.ones((3, 2))
silently_wrong = np.zeros((3, 2))
silently_wrong[index] += g
print("x[i] += g     ", silently_wrong[:, 0], " scatter_add", kernels.scatter_add(g, index, 3, axis=0)[:, 0])

# %% [markdown]
# ## Exercise: a loop of your own
#
# Write the adjoint of taking rows as plain loops, the way a kernel is written: `out` is given, and is zero.


# %% exercise scatter
def scatter_rows(g, index, out):
    """out[index[k], :] += g[k, :] for every k, with loops over numbers; returns out."""
    # BEGIN SOLUTION
    for k in range(g.shape[0]):
        for j in range(g.shape[1]):
            out[index[k], j] += g[k, j]
    return out
    # END SOLUTION


# %% check scatter
# without: kernels, np.add
g, index = rng.normal(size=(5, 3)), np.array([1, 1, 0, 3, 1])
kept = g.copy()
found = scatter_rows(g, index, np.zeros((4, 3)))
right = kernels.scatter_add(kept, index, 4, axis=0)
assert found is not None, "the function returns nothing: end it with return out"
assert np.array_equal(g, kept), "the kernel wrote into its input g: a kernel writes only into out"
assert found.shape == (4, 3), f"the result has the shape of out, (4, 3), and yours has {found.shape}"
assert np.allclose(found[2], 0), "row 2 got something, and nothing was read from it: index[k] says which row of out"
assert not np.allclose(found[1], kept[4]), (
    "row 1 was read three times, and only the last is there: add, one by one (`out[index] += g` keeps the last, too)"
)
assert not np.allclose(found, -right), "the sign is turned round: add g, don't subtract it"
assert not np.allclose(found[1], right[1] - kept[4]), "the last row of g is left out: k runs over the rows of g"
assert not np.allclose(found[:, 2], 0), "the last column is left out: j runs over the columns of g"
assert np.allclose(found, right), f"row 1 should be {right[1].round(3)} and is {found[1].round(3)}"
print("Solved: that is a kernel; @jit in kernels/tinymeta_kernels/_jit.py would compile it as it stands.")

# %% [markdown]
# ## Exercise: a fused kernel
#
# Cross-entropy and its gradient in one walk over each row. The gradient by the logits is softmax − 1 at the label. A
# kernel knows numbers alone: loops and `math`, and what is asked for goes into `loss` and `slope`.


# %% exercise fused
def cross_entropy_rows(logits, labels, loss, slope):
    """loss[i] = log Σⱼ exp(logits[i, j]) − logits[i, labels[i]], and its gradient in slope[i, :]; for logits of any size."""
    # BEGIN SOLUTION
    for i in range(logits.shape[0]):
        top = logits[i, 0]
        for j in range(logits.shape[1]):
            top = max(top, logits[i, j])
        total = 0.0
        for j in range(logits.shape[1]):
            slope[i, j] = math.exp(logits[i, j] - top)
            total += slope[i, j]
        loss[i] = math.log(total) - (logits[i, labels[i]] - top)
        for j in range(logits.shape[1]):
            slope[i, j] /= total
        slope[i, labels[i]] -= 1.0
    # END SOLUTION


# %% check fused
# without: kernels, np, tm
table, of = rng.normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0])
for shift, why in (
    (0.0, ""),
    (900.0, "for large logits: subtract the row's largest one first; "),
    (-900.0, "for small ones; "),
):
    given, loss, slope = table + shift, np.full(6, 7.0), np.full((6, 4), 7.0)
    try:
        cross_entropy_rows(given, of, loss, slope)
    except OverflowError:
        raise AssertionError(why + "the exponential overflows") from None
    assert np.array_equal(given, table + shift), (
        "the kernel wrote into logits: a kernel writes only where it is asked to"
    )
    right = np.log(np.exp(table).sum(axis=1)) - table[np.arange(6), of]
    share = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    assert np.isfinite(loss).all() and np.isfinite(slope).all(), why + "the loss is not finite"
    assert not np.allclose(loss, 7.0), "loss[i] is not written"
    assert not np.allclose(loss, -right), "the sign of the loss is turned round: log Σ exp minus the label's logit"
    assert np.allclose(loss, right), why + f"row 0 loses {right[0]:.4f}, and yours {loss[0]:.4f}"
    assert not np.allclose(slope, share), "that is softmax: 1 is to be taken off at the label"
    assert not np.allclose(slope, 7.0), "slope is not written"
    share[np.arange(6), of] -= 1
    assert np.allclose(slope, share), f"row 0 of the gradient is {share[0].round(3)}, and yours {slope[0].round(3)}"
print("Solved: six passes in one, and the gradient for nothing.")

# %% [markdown]
# ## What to take along
#
# - Write a kernel where several passes become one, or where NumPy has no loop at all; measure before and after.
# - `kernels/README.md` holds the measured table of every kernel here, with where each one loses.
#
# The trace page shows what the engine makes of `cross_entropy`: one column, one operation.

# %%
with tm.trace() as trace:
    tm.grad(lambda z: tm.nn.cross_entropy(z, labels[:4]))(logits[:4])
page(trace, 6)
