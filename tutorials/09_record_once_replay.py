# %% [markdown]
# # 09 · Record once, replay: compile
#
# A meta-step does the same few hundred small operations every time, with other numbers. Deciding anew what to
# do costs more than doing it. `tm.compile` writes the list down once and replays it, after tidying it: what
# nobody uses is dropped, what is computed twice is computed once, and products take the cheapest order.

# %%
import timeit
import tracemalloc

import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import figure, page

rows = 5  # of x, the examples to be judged; try 100, then 500
rng = np.random.default_rng(0)

# %% [markdown]
# ## A meta-step, compiled
#
# The meta-step of lesson 4 for a network, on waves like those of lesson 8: `tm.tasks.Sinusoids` draws them, ten points
# to adapt to and ten to be judged by, as an `Episode`; `tm.meta.maml` makes the loss after adapting of any loss;
# `tm.value_and_grad` gives that loss along with its gradient.

# %%
model = tm.nn.MLP([1, 40, 40, 1], rng=rng)
family = tm.tasks.Sinusoids(shots=10, query=10)
optimizer = tm.optim.Adam(1e-3)


def loss(model, batch):
    return tm.nn.mse_loss(model(batch[0]), batch[1])


objective = tm.meta.maml(loss, rule=tm.optim.SGD(0.01), steps=1)


def step(model, state, episodes):
    value, grads = tm.value_and_grad(objective)(model, episodes)
    model, state = optimizer.update(grads, state, model)
    return model, state, value


fast = tm.compile(step)
episodes, state = family.sample(rng, 25), optimizer.init(model)
eager_loss, replayed_loss = float(step(model, state, episodes)[2]), float(fast(model, state, episodes)[2])
assert abs(eager_loss - replayed_loss) < 1e-5 * eager_loss
for name, f in (("eager", step), ("compiled", fast)):
    seconds = min(timeit.repeat(lambda f=f: f(model, state, episodes), number=5, repeat=3)) / 5
    print(f"{name:9} {1e3 * seconds:6.2f} ms")

# %% [markdown]
# ## What it can't know
#
# The recording is made with one set of numbers. A Python `if` on a value would be frozen into it, so asking is
# an error that names your line. `tm.where` is the way to choose by value.
#
# **Predict, then run:** does `if x.shape[0] > 3` raise too?


# %%
def by_value(x):
    return x if x.sum() > 0 else -x


def by_shape(x):
    return x if x.shape[0] > 3 else -x


for f in (by_value, by_shape):
    try:
        print(f.__name__, tm.compile(f)(np.ones(5)).tolist())
    except Exception as error:
        print(f.__name__, "→", type(error).__name__, str(error)[:150])

# %% [markdown]
# ## An update that need not be made
#
# One step on n examples changes a weight matrix by a product: W′ = W − α aᵀδ, with a (n, in) and δ (n, out).
# Applying W′ to x needs no W′:   x W′ = x W − α (x aᵀ) δ. And x W, which has no task in it, is computed for all at once.
#
# **Predict, then run:** with more examples n the update's rank grows. Does the saving shrink?


# %%
def products(rows, n_in, n_out, n):
    """Multiplications for x W′ by way of W′, and without making it; x has `rows` rows."""
    making = n_in * n * n_out + rows * n_in * n_out
    factored = rows * n_in * n_out + rows * n_in * n + rows * n * n_out
    return making, factored


saving = {n: making / factored for n in (1, 5, 50, 500) for making, factored in [products(rows, 784, 256, n)]}
print("784 → 256, times fewer multiplications:", {n: round(times, 1) for n, times in saving.items()})
print(f"it pays for fewer rows than {784 * 256 / (784 + 256):.0f}")

# %% [markdown]
# It grows: aᵀδ costs n·in·out, and (x aᵀ)δ costs n·rows·(in + out). So what must be few are the rows of x, fewer
# than in·out/(in + out); how many examples the step was made of does not matter for whether it pays.
#
# ## Exercise: the factored form
#
# Compute x W′ for W′ = W − α aᵀδ without ever making a matrix of W's shape other than W itself.


# %% exercise factored
def adapted_product(x, W, a, delta, alpha):
    """x (W − α aᵀδ), with x (m, in), W (in, out), a (n, in), delta (n, out); never makes an (in, out) matrix."""
    # BEGIN SOLUTION
    return x @ W - alpha * ((x @ a.mT) @ delta)
    # END SOLUTION


# %% check factored
# nudge: which product makes a matrix of W's shape? Three matrices in a row can be multiplied in two orders
# formula: x W − α (x aᵀ) δ
x, W, a, delta = (tm.tensor(rng.normal(size=s)) for s in ((4, 600), (600, 400), (3, 600), (3, 400)))
tracemalloc.start()
found = adapted_product(x, W, a, delta, 0.1)
made = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()
assert found is not None, "the function returns nothing: put your line in the dots' place"
copies = isinstance(found, np.ndarray)  # of W: a Tensor gives NumPy its numbers as a copy
found, update = np.asarray(found), ((x @ a.mT) @ delta).numpy()
assert found.shape == (4, 400), f"the result has shape {found.shape}, and x W′ has (4, 400)"
for wrong, hint in (
    (0.1 * update, "the sign: the step goes down, x W − α …"),
    (-update, "the step size is missing: α (x aᵀ) δ"),
    (0.0 * update, "that is x W: the update is missing"),
    (-0.01 * update, "α is there twice"),
):
    assert not np.allclose(found, (x @ W).numpy() + wrong), hint
assert not np.allclose(found, -0.1 * update), "that is the update's part alone: x W is missing"
assert np.allclose(found, (x @ W).numpy() - 0.1 * update), "the numbers differ from x (W − α aᵀδ)"
assert made < 8 * 600 * 400 * (1 + copies), "a matrix of W's shape was made: multiply x with aᵀ first"
print("Solved: and this is what the compiler does by itself.")

# %% [markdown]
# ## The recording, before and after
#
# `programs()` holds what was recorded and what runs. Here is x (W − α aᵀδ), written plainly; views are left out, for
# they cost nothing.


# %%
def listing(program):
    for i, node in enumerate(program.nodes):
        if program.moved(node):
            print(f"  {i:3} = {str(node.op):42} of {node.inputs!s:8} {node.shape}")
    print(f"  {program.flops()} operations on numbers")


plainly = tm.compile(lambda x, W, a, delta: x @ (W - 0.1 * (a.mT @ delta)))
plainly(*(rng.normal(size=shape) for shape in ((4, 30), (30, 20), (3, 30), (3, 20))))
recorded, running = plainly.programs()[0]
for name, program in (("recorded", recorded), ("as it runs", running)):
    print(name)
    listing(program)


# %%
def what_each_step_makes(*panels):
    names = {"Contract": "product", "multiply": "· α", "subtract": "−"}
    for panel, title, program in zip(panels, ("recorded", "as it runs"), (recorded, running)):
        left = 0
        for node in program.nodes:
            if program.moved(node):
                rows, columns = node.shape
                panel.fill_between([left, left + columns], 0, rows, color="C1" if rows == 30 else "C0", alpha=0.7)
                said = next(name for op, name in names.items() if op in str(node.op))
                panel.text(left + columns / 2, rows + 1, said, ha="center", color="0.3")
                left += max(columns, 12) + 6
        panel.set(title=title, xlim=(0, 112), ylim=(0, 36), ylabel="rows", aspect="equal")
        panel.grid(visible=False)
    panels[-1].set_xlabel("columns of the results, step after step")


alt = "The result of each step, drawn to scale. As recorded, three are as large as W, 30 by 20, before the last of 4 by 20; as it runs, five are small: 4 by 20, 4 by 3, 4 by 3 and twice 4 by 20."
figure(what_each_step_makes, 9, alt, rows=2, height=5.2, sharex=True)

# %% [markdown]
# The letters of a Contract are axes: what both factors have and the result lacks is summed over. (30, 20) is W's shape:
# the recording makes three matrices of it, the program that runs makes none.
#
# ## The compiler's own count
#
# The pass that does this (`compile/rewrite/factor.py`) works on the whole recording, derivatives of both orders
# included: it pushes transposes to the leaves, distributes a product over a sum when a term is itself a product,
# and puts each chain of products in the cheapest order. `factor=False` leaves them as they were written.
#
# **Predict, then run:** for a network that begins with 784 → 256, which falls further: the operations, or the bytes
# that they read and write?

# %%
wide = tm.nn.MLP([784, 256, 5], rng=rng)
images = rng.random((4, 5, 784), dtype=np.float32)
labels = np.tile(np.arange(5), (4, 1))
characters = tm.tasks.Episode((images, labels), (images[:, ::-1].copy(), labels[:, ::-1].copy()))


def characters_loss(model, batch):
    return tm.nn.cross_entropy(model(batch[0]), batch[1])


gradient = tm.grad(tm.meta.maml(characters_loss, rule=tm.optim.SGD(0.1), steps=1))
short, plain = tm.compile(gradient), tm.compile(gradient, factor=False)
for one, other in zip(tm.tree.leaves(short(wide, characters)), tm.tree.leaves(plain(wide, characters))):
    assert np.allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-6)
print(short.report())
before, after = short.programs()[0]
fall = before.flops() / after.flops(), before.bytes() / after.bytes()
print(f"the operations fall by a factor of {fall[0]:.1f}, the bytes by {fall[1]:.1f}")

# %% [markdown]
# The bytes: a W′ for every task is what the machine would have to write and read again.

# %% [markdown]
# ## Exercise: the cheapest order
#
# A product of many matrices may be bracketed in many ways. Find the cheapest: the product that is done last joins a left
# part and a right part, and each of them is done in its own cheapest way (Bellman's principle). (p, q) times (q, r) takes
# p·q·r multiplications. `sizes` (4, 600, 3, 400) stands for matrices (4, 600), (600, 3), (3, 400); the order is nested
# pairs of places, ((0, 1), 2) for (first · second) · third; a single matrix, 0, takes none.


# %% exercise chain
def cheapest(sizes):
    """The fewest multiplications for len(sizes) − 1 matrices, and the order that takes them: an int, nested pairs."""
    # BEGIN SOLUTION
    count = len(sizes) - 1
    best = {(i, i + 1): (0, i) for i in range(count)}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j, ways = i + length, []
            for k in range(i + 1, j):
                (left, first), (right, second) = best[i, k], best[k, j]
                ways.append((left + right + sizes[i] * sizes[k] * sizes[j], (first, second)))
            best[i, j] = min(ways, key=lambda way: way[0])
    return best[0, count]
    # END SOLUTION


# %% check chain
# without: tm
# nudge: three matrices have two orders: what does each cost? With more, the last product joins two parts that you have done before
# formula: best(i, j) = the least over k of best(i, k) + best(k, j) + sizes[i]·sizes[k]·sizes[j], from short parts to long ones
class Sizes(tuple):
    """Sizes that count how often they are read."""

    reads = 0

    def __getitem__(self, place):
        Sizes.reads += 1
        return super().__getitem__(place)


def priced(order, sizes):
    """The first matrix of a bracketing, the one after its last, and what it costs."""
    if not isinstance(order, tuple):
        return order, order + 1, 0
    (a, b, left), (c, d, right) = (priced(part, sizes) for part in order)
    assert b == c, f"in {order} matrix {c} comes after matrix {b - 1}: brackets move, the matrices keep their places"
    return a, d, left + right + sizes[a] * sizes[b] * sizes[d]


def greedy(sizes):
    """The cost of doing whatever product is the smallest now."""
    left, cost = list(sizes), 0
    while len(left) > 2:
        k = min(range(1, len(left) - 1), key=lambda k: left[k - 1] * left[k] * left[k + 1])
        cost += left[k - 1] * left[k] * left[k + 1]
        del left[k]
    return cost


single = cheapest((5, 7))
assert single is not None, "the function returns nothing: return the multiplications and the order"
assert isinstance(single, tuple) and len(single) == 2, "return two things: the multiplications and the order"
assert single == (0, 0), f"a single matrix is no product, (0, 0), and yours is {single}"
both = cheapest((4, 600, 3))
assert both[0] == 4 * 600 * 3, f"(4, 600) times (600, 3) takes 4·600·3 = 7200 multiplications, and yours {both[0]}"
for sizes, best in (
    ((4, 600, 3, 400), 12_000),
    ((30, 35, 15, 5, 10, 20, 25), 15_125),  # Cormen et al., Introduction to Algorithms, § 15.2
    ((5, 3, 6, 2, 9), 156),
    ((600, 400, 3, 400, 600, 4), 1_454_400),
):
    cost, order = cheapest(sizes)
    start, stop, takes = priced(order, sizes)
    assert (start, stop) == (0, len(sizes) - 1), f"{order} doesn't have each of the {len(sizes) - 1} matrices once"
    from_left = sum(sizes[0] * sizes[k] * sizes[k + 1] for k in range(1, len(sizes) - 1))
    assert takes == cost, (
        f"the order {order} takes {takes} multiplications, and you say {cost}: add what the parts take"
    )
    assert cost == best or cost != from_left, "that is from left to right: try every place for the last product"
    assert cost == best or cost != greedy(sizes), "the smallest product first is not always the best: try every place"
    assert cost == best, f"sizes {sizes} can be done with {best} multiplications, and yours takes {cost}"
cheapest(Sizes(range(2, 16)))
assert Sizes.reads < 20_000, "the same parts are searched again and again: keep what has been found for each (i, j)"
print("Solved: the compiler asks this of every chain of products.")

# %% [markdown]
# ## Exercise: tidy a recording
#
# A recording is a list of (operation, inputs); inputs are places in the list. Make two of the compiler's rewritings:
# what is computed twice is computed once (and what was made of the second now reads the first), and what the result,
# the last entry, doesn't need is dropped.


# %% exercise tidy
def tidied(recording):
    """The recording, a list of (name, tuple of places), without repetitions and without what the last entry needs not."""
    # BEGIN SOLUTION
    places, first, once = {}, {}, []
    for k, (name, inputs) in enumerate(recording):
        entry = (name, tuple(places[i] for i in inputs))
        if entry not in first:
            first[entry] = len(once)
            once.append(entry)
        places[k] = first[entry]
    last = places[len(recording) - 1]
    needed = {last}
    for k in range(last, -1, -1):
        if k in needed:
            needed |= set(once[k][1])
    kept = sorted(needed)
    return [(name, tuple(kept.index(i) for i in inputs)) for name, inputs in (once[k] for k in kept)]
    # END SOLUTION


# %% check tidy
# without: tm
# nudge: where does each old place stand in the new list, and who reads it? One walk forwards, one walk back
# formula: forwards: places[k] = the first entry with this name and these inputs, moved; back from the last: what is needed, and its inputs
def tree(recording):
    """The result as an expression, whatever the places are."""
    made = []
    for name, inputs in recording:
        assert all(0 <= i < len(made) for i in inputs), (
            f"{name} reads place {inputs}, which is not before it: places move"
        )
        made.append((name, *(made[i] for i in inputs)))
    return made[-1]


plain = [("x", ()), ("y", ()), ("mul", (0, 1)), ("exp", (0,)), ("mul", (0, 1)), ("add", (2, 4))]
kept = list(plain)
found = tidied(plain)
assert found is not None, "the function returns nothing: return the new recording"
assert plain == kept, "the recording was changed: make a list of your own"
assert tree(found) == tree(plain), f"the result is another one: {tree(found)} for {tree(plain)}"
names = [name for name, _ in found]
assert "exp" not in names, "nobody reads exp, and it is still there"
assert names.count("mul") == 1, "mul of the same two is there twice"
assert len(found) == 4, f"four entries are needed, and yours has {len(found)}"
early = [("x", ()), ("exp", (0,)), ("y", ()), ("mul", (0, 2)), ("sin", (3,))]
assert tree(tidied(early)) == tree(early), "where an early entry is dropped, the places of the later ones move"
chain = [
    ("x", ()),
    ("sin", (0,)),
    ("sin", (0,)),
    ("cos", (1,)),
    ("cos", (2,)),
    ("exp", (3,)),
    ("tan", (5,)),
    ("sub", (3, 4)),
]
found = tidied(chain)
assert tree(found) == tree(chain), f"the result is another one: {tree(found)} for {tree(chain)}"
assert [name for name, _ in found].count("cos") == 1, "cos of two sines that were the same is the same, too"
assert len(found) == 4, f"exp is read by tan alone, which nobody reads: four entries, and yours has {len(found)}"
assert tidied([("x", ()), ("sub", (0, 0))]) == [("x", ()), ("sub", (0, 0))], (
    "nothing was to be done, and something changed"
)
assert tree(tidied([("x", ()), ("y", ()), ("sub", (1, 0))])) == ("sub", ("y",), ("x",)), (
    "y − x is not x − y: keep the order"
)
print("Solved: two of the compiler's passes.")

# %% [markdown]
# ## What to take along
#
# - Shapes may decide in Python; values may not: the recording holds for all numbers of these shapes.
# - Products associate: (x aᵀ) δ and x (aᵀ δ) are equal, and cost very different work.
#
# The trace page shows the eager run of that gradient, not the recording: there a fused operation is one column, in the
# recording it is what it is made of; there every view is shown, in the list none.

# %%
with tm.trace() as trace:
    gradient(wide, characters)
ran = sum(after.moved(node) > 0 for node in after.nodes)
print("eager", sum(trace.counts().values()), "operations; compiled", ran, "steps")
page(trace, 9)
