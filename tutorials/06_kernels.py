# %% [markdown]
# # 06 · Kernels: why Numba, and when not
#
# NumPy runs one loop per operation, and each loop reads and writes whole arrays. Numba compiles a loop that you
# write, so several operations can share one pass, and loops that NumPy has no name for become possible. But
# where NumPy already calls a tuned routine, a loop of one's own loses. This lesson measures both, and then counts
# what the order of a loop costs.

# %%
import math
import timeit

import numpy as np
import tinymeta_kernels as kernels
from tinymeta_kernels import cross_entropy

import tinymeta as tm
from tinymeta.view.lessons import figure, page

size = 2000  # rows; try 20, then 20_000
rng = np.random.default_rng(0)


def microseconds(f):
    f()  # the first call may compile
    return 1e6 * min(timeit.repeat(f, number=3, repeat=15)) / 3


# %% [markdown]
# ## Fusion: one pass instead of six
#
# Softmax cross-entropy (`tm.nn.cross_entropy`) with NumPy: a maximum, a difference, an exponential, a sum, a logarithm,
# a lookup; each a pass over memory with a fresh array. The kernel walks each row once while it is in the cache:
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
# nudge: take index = [1, 1]: what should out[1] be in the end, and what does your loop leave there?
# formula: for k over the rows of g, for j over its columns: out[index[k], j] += g[k, j]; then return out
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
# nudge: exp of what can overflow? The loss does not change if the same number is taken from all logits of a row.
# formula: top = largest of the row;  slope = exp(x − top), total its sum;  loss = log(total) − (x[label] − top);  slope /= total; slope[label] −= 1
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
# ## Where the time goes
#
# Arithmetic is cheap; waiting for memory is not. It comes in lines of eight numbers, and the processor keeps the few that
# it used last. So the same three loops cost more or less by their order alone. To see it without a clock, here is a
# memory that counts what it hadn't kept:


# %%
class Cache:
    """Keeps 32 lines of eight numbers; the one that was used longest ago goes first."""

    def __init__(self):
        self.kept, self.seen = {}, []

    def use(self, name, i, j):
        line = name, i, j // 8
        self.seen.append((name, i, j, line not in self.kept))
        self.kept.pop(line, None)
        self.kept[line] = True
        if len(self.kept) > 32:
            self.kept.pop(next(iter(self.kept)))

    def misses(self, name=""):
        return sum(missed for whose, _, _, missed in self.seen if name in ("", whose))


class Watched:
    """A matrix whose numbers are read and written one by one, through a cache."""

    def __init__(self, name, array, cache):
        self.name, self.array, self.cache = name, array, cache

    def __len__(self):
        return len(self.array)

    def __getitem__(self, place):
        self.cache.use(self.name, *place)
        return self.array[place]

    def __setitem__(self, place, value):
        self.cache.use(self.name, *place)
        self.array[place] = value


def watched(multiply, n=32):
    """What `multiply(a, b, out)` makes of two matrices, what is right, and the cache that it read them through."""
    a, b = rng.normal(size=(2, n, n))
    cache, out = Cache(), np.zeros((n, n))
    multiply(Watched("a", a, cache), Watched("b", b, cache), Watched("out", out, cache))
    return out, a @ b, cache


def i_j_k(a, b, out):
    for i in range(len(a)):
        for j in range(len(a)):
            for k in range(len(a)):
                out[i, j] += a[i, k] * b[k, j]


def i_k_j(a, b, out):
    for i in range(len(a)):
        for k in range(len(a)):
            for j in range(len(a)):
                out[i, j] += a[i, k] * b[k, j]


for order in (i_j_k, i_k_j):
    print(order.__name__, "misses", watched(order)[2].misses(), "lines")

# %% [markdown]
# ## Exercise: fewer trips to memory
#
# The open one. Multiply two matrices with fewer than 2,500 misses. The last index in the innermost loop reads along the
# lines; what is left is that all of b comes again for every row of a. What if you finish a small square of everything
# before you go on?


# %% exercise tiles
def tiled(a, b, out):
    """out[i, j] += Σₖ a[i, k] b[k, j], number by number, for square matrices whose size is a multiple of eight."""
    # BEGIN SOLUTION
    n = len(a)
    for i_tile in range(0, n, 8):
        for k_tile in range(0, n, 8):
            for j_tile in range(0, n, 8):
                for i in range(i_tile, i_tile + 8):
                    for k in range(k_tile, k_tile + 8):
                        for j in range(j_tile, j_tile + 8):
                            out[i, j] += a[i, k] * b[k, j]
    # END SOLUTION


# %% check tiles
# without: np, tm, rng, kernels
# nudge: how many lines has a square of eight by eight? Three of them are in use at a time; do they fit?
# formula: for i_tile, k_tile, j_tile in steps of 8: for i, k, j within the tile, in this order: out[i, j] += a[i, k] * b[k, j]
found, right, cache = watched(tiled, 16)
assert np.abs(found).max() > 0, "out is still zero: add the products to out[i, j]"
assert not np.allclose(found, right.T), (
    "that is the product transposed: out[i, j] belongs to row i of a and column j of b"
)
reads = max(sum(name == whose for name, *_ in cache.seen) for whose in "ab")
assert reads >= 16**3, f"16³ = 4096 products are to be added, number by number, and there were {reads} reads"
assert np.allclose(found, right), f"out[0, 0] should be {right[0, 0]:.4f}, and is {found[0, 0]:.4f}"
found, right, cache = watched(tiled)
assert np.allclose(found, right), "for 16 × 16 it is right, and for 32 × 32 it is not: go to the end of each index"
misses, by_b = cache.misses(), cache.misses("b")
said = f"{misses} misses, and fewer than 2500 are asked for: "
assert misses < 20_000, said + "the innermost loop jumps from line to line; let it run over the last index of b and out"
assert misses < 3_500 or by_b < 3_500, said + "all of b comes again for every row of a: work in tiles of eight by eight"
assert misses < 2_500, said + "do three tiles fit into 32 lines?"
print(f"Solved: {misses} misses. Every fast product of matrices does this, for each cache there is.")

# %% [markdown]
# Where each order reads b, for the first 256 reads. Down its columns, each read is a miss; along its rows, one in eight
# is, but the rows don't come again before they are forgotten; a tile is read over and over, and fetched once.


# %%
def reads_of_b(*panels):
    panels[0].set_ylabel("place in b")
    for axes, order in zip(panels, (i_j_k, i_k_j, tiled)):
        cache = watched(order)[2]
        places = np.array([(32 * i + j, missed) for name, i, j, missed in cache.seen if name == "b"][:256]).T
        for missed, colour, said in ((0, "C5", "kept"), (1, "C1", "missed: a line is fetched")):
            when = np.flatnonzero(places[1] == missed)
            axes.plot(when, places[0][when], ".", color=colour, markersize=3 + 3 * missed, label=said)
        name = order.__name__.replace("_", ", ")
        axes.set(title=f"{name}: {cache.misses('b')} misses in b", xlabel="read")
        axes.set(xticks=[0, 128, 256], yticks=[0, 512, 1024])


figure(
    reads_of_b,
    6,
    "Three panels, place in b against time. With k innermost the reads climb steeply through all of b, over and over, and all are misses. With j innermost they go along the rows, and one in eight is a miss. In tiles the same small square is read four times, and the misses are those of the first.",
    columns=3,
    height=3.4,
    sharey=True,
)

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
