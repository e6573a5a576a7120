# %% [markdown]
# # 01 · A derivative by hand and by tape
#
# How does a program differentiate a program? It writes down every operation as it happens, and then walks
# back over the list, asking each one the same small question: *if your output moves a little, how much do
# your inputs matter?* Everything in this framework is that walk. By the end of this lesson you have done it
# by hand once, and seen that the machine does nothing else.

# %%
import math
import random

import tinymeta as tm
from tinymeta.testing.compare import compare
from tinymeta.view.lessons import figure, page

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
# `figure` shows what you just did by hand for every x at once: on the left f with its tangent, on the right its slope,
# the sum of the two paths by which x reaches y.


# %%
def two_paths(left, right):
    xs = [k / 50 for k in range(-100, 101)]
    left.plot(xs, [math.tanh(x * x) * x for x in xs], "C0", label="f")
    near = [x0 - 0.8, x0, x0 + 0.8]
    left.plot(near, [y + gx * (x - x0) for x in near], "o-C1", markevery=[1], label="tangent at x0, of slope gx")
    by_b, by_a = zip(*((math.tanh(x * x), x * (1 - math.tanh(x * x) ** 2) * 2 * x) for x in xs))
    right.plot(xs, [*map(sum, zip(by_b, by_a))], "C0", linewidth=4, label="f′, their sum")
    right.plot(xs, by_b, "--C2", label="by y = b·x: gy·b")
    right.plot(xs, by_a, ":C3", label="by a = x·x: ga·2x")
    left.set(xlabel="x", title="f(x) = tanh(x²)·x")
    right.set(xlabel="x", title="its slope")


figure(
    two_paths,
    1,
    "Left: f, flat at 0 and rising on both sides, with its tangent at x0. Right: its slope, which is never negative, and its two parts: that of the product grows towards 1, that of the square has two bumps and is 0 at x = 0.",
    columns=2,
)

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
# nudge: on how many paths does x get to y? Each line of the forward pass that uses x sends a part back.
# formula: gb = gy/x,  ga = −gb·b,  gx = −gy·b/x² + ga·2x
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
# ## An engine of your own
#
# In this lesson and the next three you build one: about sixty lines that differentiate twice, and MAML on top. It
# begins with a number that remembers how it was made: its `rule` takes its cotangent, and returns one for each input,
# as the table above has it.


# %% exercise operations
class Node:
    """A number, the Nodes that it was made of, and the rule that hands its cotangent on to them."""

    def __init__(self, value, inputs=(), rule=None):
        self.value, self.inputs, self.rule = value, inputs, rule


def add(a, b):
    """a + b for Nodes a and b: a Node whose rule returns two plain numbers."""
    # BEGIN SOLUTION
    return Node(a.value + b.value, (a, b), lambda g: (g, g))
    # END SOLUTION


def mul(a, b):
    """a·b."""
    # BEGIN SOLUTION
    return Node(a.value * b.value, (a, b), lambda g: (g * b.value, g * a.value))
    # END SOLUTION


def div(a, b):
    """a/b."""
    # BEGIN SOLUTION
    y = a.value / b.value
    return Node(y, (a, b), lambda g: (g / b.value, -g * y / b.value))
    # END SOLUTION


def tanh(a):
    """tanh a, by `math.tanh`; its rule returns a tuple of one."""
    # BEGIN SOLUTION
    y = math.tanh(a.value)
    return Node(y, (a,), lambda g: (g * (1 - y * y),))
    # END SOLUTION


# %% check operations
# without: tm
# nudge: if the output moves by dy, how does each input come into dy? The rule gives g times that, input by input.
# formula: add (g, g);  mul (g·b, g·a);  div (g/b, −g·y/b);  tanh (g·(1 − y²),): all of them numbers, g.value there is none
p, q, g = 0.7, -1.6, 2.0
for operation, theirs in ((add, tm.add), (mul, tm.multiply), (div, tm.divide), (tanh, tm.tanh)):
    name, numbers = operation.__name__, (p,) if operation is tanh else (p, q)
    made = operation(*map(Node, numbers))
    assert isinstance(made, Node), f"{name} should return a Node, and returned {made!r}"
    value, back = tm.vjp(theirs, *numbers)
    assert isinstance(made.value, float), f"the value of {name} should be a number: that of a Node is a.value"
    assert math.isclose(made.value, float(value)), f"{name} of {numbers} is {float(value):.4f}, not {made.value:.4f}"
    assert [node.value for node in made.inputs] == [*numbers], f"{name} should keep its inputs, in their order"
    given = made.rule(g)
    assert isinstance(given, tuple | list) and len(given) == len(numbers), (
        f"the rule of {name} returns a cotangent for each of {len(numbers)} inputs"
    )
    right, at_one = [float(x) for x in back(g)], [float(x) for x in back(1.0)]
    assert all(isinstance(x, float) for x in given), f"the cotangents in the rule of {name} should be plain numbers"
    near = lambda a, b: all(math.isclose(x, y, rel_tol=1e-9) for x, y in zip(a, b))
    assert near(given, right) or not near(given, at_one), f"the rule of {name} forgets g: its cotangents scale with it"
    assert near(given, right) or not near(given, right[::-1]), f"the cotangents of {name} are in the wrong order"
    for x, y, place in zip(given, right, ("first", "second")):
        assert not math.isclose(x, -y, rel_tol=1e-9), f"the {place} cotangent of {name} has the wrong sign"
        assert math.isclose(x, y, rel_tol=1e-9), f"the {place} cotangent of {name} should be {y:.4f}, and is {x:.4f}"
print("Solved: four rules, and no operation knows of any other.")

# %% [markdown]
# ## Exercise: the walk, for any program
#
# Two functions. `ordered` lists y and all that it was made of, each once, inputs before what they are used in.
# `gradient` walks that list from the back: by the time a node is asked, all that used it have been.
#
# (`program` makes random programs, on which the checker compares.)


# %%
def program(random, inputs, add, mul, div, tanh):
    """A random program of twelve operations, in whosever operations it is written."""
    made = [*inputs]
    for _ in range(12):
        a, b = random.choices(made, k=2)
        kinds = (add(a, b), mul(a, tanh(b)), tanh(a), div(tanh(a), add(inputs[-1], mul(tanh(b), tanh(b)))))
        made.append(random.choice(kinds))
    return made[-1]


# %% exercise sweep
def ordered(y):
    """y and all Nodes that it was made of, each once, inputs first."""
    # BEGIN SOLUTION
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for each in node.inputs:
                visit(each)
            order.append(node)

    visit(y)
    return order
    # END SOLUTION


def gradient(y, xs):
    """dy/dx for each x of the list xs: plain numbers; 0.0 where y doesn't depend on x."""
    # BEGIN SOLUTION
    cotangents = {y: 1.0}
    for node in reversed(ordered(y)):
        if node.rule is not None:
            for each, g in zip(node.inputs, node.rule(cotangents[node])):
                cotangents[each] = cotangents.get(each, 0.0) + g
    return [cotangents.get(x, 0.0) for x in xs]
    # END SOLUTION


# %% check sweep
# without: tm
# nudge: draw y = x·x + x on paper: in which order may the three be asked, and what has x got when all are?
# formula: for node in reversed(ordered(y)): for each, g in zip(node.inputs, node.rule(its cotangent)): each's cotangent += g
x, z = Node(0.5), Node(2.0)
a = mul(x, x)
y = mul(a, tanh(a))
order = ordered(y)
assert order is not None, "ordered returns nothing: return the list"
assert set(order) == {x, a, y.inputs[1], y}, "ordered should list y and all that it was made of, inputs included"
assert len(order) == 4, f"each Node stands in the list once: {len(order)} stand there, and 4 are different"
places = {node: k for k, node in enumerate(order)}
assert all(places[i] < places[n] for n in order for i in n.inputs), "inputs come before what they are used in"
found = gradient(x, [x, z])
assert found is not None, "gradient returns nothing: return the list of cotangents"
assert found[0] == 1.0, "dx/dx is 1: the walk begins with the cotangent 1 of y"
assert found[1] == 0.0, "y doesn't depend on z, so its cotangent is 0.0"
assert gradient(add(x, x), [x]) != [1.0], "x is used twice: its cotangents add up, the second doesn't replace the first"
asked = []
counted = lambda a: Node(a.value, (a,), lambda g: (asked.append(g) or g,))
gradient(mul(counted(x), x), [x])
assert asked, "the rule of each Node on the way is asked"
asked.clear()
shared = counted(x)
gradient(add(mul(shared, shared), shared), [x])
assert len(asked) == 1, (
    f"a Node that is used three times is asked once, when its cotangent is whole; not {len(asked)} times"
)
for seed in range(60):
    numbers = [random.Random(seed).uniform(-1, 1) for _ in range(3)] + [1.5]
    inputs = [Node(n) for n in numbers]
    mine = gradient(program(random.Random(seed), inputs, add, mul, div, tanh), inputs)
    theirs = lambda *xs, seed=seed: program(random.Random(seed), xs, tm.add, tm.multiply, tm.divide, tm.tanh)
    right = [float(g) for g in tm.vjp(theirs, *numbers)[1](1.0)]
    for m, r in zip(mine, right):
        assert math.isclose(m, r, rel_tol=1e-9, abs_tol=1e-12), f"random program {seed}: {r:.6f}, and yours is {m:.6f}"
print("Solved: sixty random programs agree with tinymeta.")

# %% [markdown]
# ## Exercise: the other direction
#
# The same rules also work forwards: carry a pair along, a value and how fast it grows with the *one* input that moves,
# its slope. A walk forwards finds the slope of everything by one input; a walk back, those of one output by everything.
# A network has a million inputs and one loss: that is why this framework walks back.


# %% exercise forward
def pair_add(a, b):
    """a + b for pairs (value, slope): this one is given."""
    return a[0] + b[0], a[1] + b[1]


def pair_mul(a, b):
    """a·b."""
    # BEGIN SOLUTION
    return a[0] * b[0], a[1] * b[0] + a[0] * b[1]
    # END SOLUTION


def pair_tanh(a):
    """tanh a."""
    # BEGIN SOLUTION
    y = math.tanh(a[0])
    return y, (1 - y * y) * a[1]
    # END SOLUTION


def slopes(f, numbers):
    """[∂y/∂x for each of the numbers]; f takes a list of pairs, calls the functions above, and returns y, a pair."""
    # BEGIN SOLUTION
    found = []
    for k in range(len(numbers)):
        pairs = [(x, 1.0 if i == k else 0.0) for i, x in enumerate(numbers)]
        found.append(f(pairs)[1])
    return found
    # END SOLUTION


# %% check forward
# without: tm, gradient
# nudge: d(a·b) = da·b + a·db: the slopes stand where the da and db do. And which input moves in which walk?
# formula: (a·b)′ = a′b + ab′,  (tanh a)′ = (1 − y²) a′;  in walk k the slopes are 0, but that of input k, 1
a, b = (0.7, 2.0), (-1.6, 3.0)
for operation, theirs in ((pair_add, tm.add), (pair_mul, tm.multiply), (pair_tanh, tm.tanh)):
    name, given = operation.__name__, (a,) if operation is pair_tanh else (a, b)
    made = operation(*given)
    assert isinstance(made, tuple) and len(made) == 2, f"{name} returns a pair (value, slope), and not {made!r}"
    value, back = tm.vjp(theirs, *(pair[0] for pair in given))
    parts = [float(g) * pair[1] for g, pair in zip(back(1.0), given)]
    assert math.isclose(made[0], float(value)), f"the value of {name} should be {float(value):.4f}, not {made[0]:.4f}"
    near = lambda x, made=made: math.isclose(made[1], x, rel_tol=1e-9)
    for wrong, hint in (
        (parts[0], "it forgets that the second of its inputs may move"),
        (parts[-1], "it forgets that the first of its inputs may move"),
        (parts[0] - parts[-1], "its second part has the wrong sign"),
        (sum(map(float, back(1.0))), "it forgets the slopes of its inputs: multiply each part with one"),
        (a[1] * b[1], "the slope of a product is not the product of the slopes"),
    ):
        assert near(sum(parts)) or not near(wrong), f"the slope of {name}: {hint}"
    assert near(sum(parts)), f"the slope of {name} should be {sum(parts):.4f}, and is {made[1]:.4f}"
walks = []
polynomial = lambda two: walks.append([pair[1] for pair in two]) or pair_mul(pair_mul(two[0], two[0]), two[1])
over = lambda a, b: pair_mul(a, (1 / b[0], -b[1] / b[0] ** 2))
dual = lambda seed: lambda xs: program(random.Random(seed), xs, pair_add, pair_mul, over, pair_tanh)
found = slopes(polynomial, [2.0, 5.0])
assert walks != [[1.0, 1.0]], "a walk in which both move gives the sum of the slopes: one input moves at a time"
assert len(walks) == 2, f"two inputs are two walks, and f was called {len(walks)} times"
assert sorted(walks) == [[0.0, 1.0], [1.0, 0.0]], f"in each walk one slope is 1 and all others 0, and yours are {walks}"
assert found == [20.0, 4.0], f"the slopes of x²z at (2, 5) are [20.0, 4.0], and yours are {found}"
for seed in range(60):
    numbers = [random.Random(seed).uniform(-1, 1) for _ in range(3)] + [1.5]
    mine = slopes(dual(seed), numbers)
    inputs = [Node(n) for n in numbers]
    right = gradient(program(random.Random(seed), inputs, add, mul, div, tanh), inputs)
    for m, r in zip(mine, right):
        assert math.isclose(m, r, rel_tol=1e-9, abs_tol=1e-12), f"random program {seed}: {r:.6f}, and yours is {m:.6f}"
print("Solved: four walks forwards say what one walk back did.")

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
