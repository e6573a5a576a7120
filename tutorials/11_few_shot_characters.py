# %% [markdown]
# # 11 · Few-shot characters
#
# Five characters that nobody has seen, one drawing of each; then: which of the five is this? You compare
# pixels as well as pixels can be compared, then an embedding that has learned what makes two drawings the same
# character, and you meet a detail that raises a number without any learning: whether the examples to classify may look
# at each other.

# %%
import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.lessons import figure, page

ways, shots = 5, 1  # characters per task and drawings of each; try 10, 1, then 5, 5
iterations = 300  # try 60, then 3000

# %% [markdown]
# ## Tasks without data
#
# `glyphs` invents alphabets and has them drawn by several hands; `load_omniglot` reads the real ones, if you have
# them. `split` keeps test characters out of training, `FewShotImages` draws tasks.

# %%
classes = tm.tasks.glyphs(alphabets=8, characters=12, hands=12)
parts = tm.tasks.split(classes, "random", np.random.default_rng(0), sizes=(72, 4, 20))
training = tm.tasks.FewShotImages(parts.train, ways, shots, 3, rotations=True)
testing = tm.tasks.FewShotImages(parts.test, ways, shots, 3)
episodes = testing.sample(np.random.default_rng(1), tasks=200)
print("support", episodes.support[0].shape, episodes.support[1].shape)

# %% [markdown]
# ## The baseline that must be beaten
#
# The nearest neighbour in pixels; and the same after blurring both drawings, for two hands never meet on the same
# pixel. How much to blur is tuned on the *training* characters.
#
# **Predict, then run:** how often is each right? Chance is 1 in 5.


# %%
def blurred(x, width):
    """Images (..., 784), smoothed with a Gaussian of `width` pixels."""
    if width == 0:
        return x
    place = np.arange(28)
    smooth = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2).astype(x.dtype)
    return (smooth @ x.reshape(*x.shape[:-1], 28, 28) @ smooth.T).reshape(x.shape)


def nearest(episodes, width):
    """Per task, the share (in %) that the nearest neighbour gets right."""
    (xs, ys), (xq, yq) = episodes
    xs, xq = blurred(xs, width), blurred(xq, width)
    distance = (xs**2).sum(-1)[:, None] - 2 * xq @ np.swapaxes(xs, -1, -2)
    return 100 * (np.take_along_axis(ys, distance.argmin(-1), -1) == yq).mean(axis=-1)


tuning = training.sample(np.random.default_rng(2), tasks=200)
width = max((0, 0.5, 1, 1.5, 2, 3), key=lambda width: nearest(tuning, width).mean())
pixels, blur = nearest(episodes, 0), nearest(episodes, width)
print(f"nearest neighbour in pixels {interval(pixels, '%')}, blurred by {width} {interval(blur, '%')}")

# %% [markdown]
# ## Learning what "the same" means
#
# A prototypical network (Snell et al. 2017) averages the embeddings of each class and picks the nearest mean.
# Its gradient is first order: nothing is adapted, only compared. `ProtoNet` has the loss, `evaluate` measures it,
# here by its `accuracy`.


# %%
def trained(learner):
    return tm.meta.fit(
        learner,
        learner.init(np.random.default_rng(0)),
        training,
        optimizer=tm.optim.Adam(2e-3),
        iterations=iterations,
        meta_batch=8,
        compiled=True,
    )


def accuracy(learner, phi, kind):
    """Per task, the share (in %) of the query set that is classified rightly."""
    return 100 * tm.meta.evaluate(learner, kind(tm.nn.accuracy), phi, episodes)[:, -1]


learner = tm.meta.ProtoNet(ways=ways, network=lambda rng: tm.nn.MLP([784, 128, 64], rng=rng))
phi = trained(learner)
learned = accuracy(learner, phi, tm.meta.inductive)
print(f"ProtoNet after {iterations} iterations {interval(learned, '%')}: {interval(learned - blur)} more than the blur")

# %% [markdown]
# A map of one task, of those where the embedding helps most, in the two directions in which its drawings differ most:


# %%
def maps(*axes):
    task = (learned - blur).argmax()
    (xs, ys), (xq, yq) = ((x[task], y[task]) for x, y in episodes)
    for panel, name, embed in zip(axes, ("pixels, blurred", "learned embedding"), (lambda x: blurred(x, width), phi)):
        support, query = np.asarray(embed(xs)), np.asarray(embed(xq))
        centre = np.concatenate([support, query]).mean(axis=0)
        *_, directions = np.linalg.svd(np.concatenate([support, query]) - centre, full_matrices=False)
        place = lambda e, c=centre, d=directions: ((e - c) @ d[:2].T).T
        said = ys[((query[:, None] - support) ** 2).sum(axis=-1).argmin(axis=1)]
        for k in range(ways):
            mark, colour = "osD^v"[k % 5], f"C{k % 6}"
            panel.plot(*place(support[ys == k]), mark, color=colour, markersize=12, markeredgecolor="black")
            panel.plot(*place(query[yq == k]), mark, color=colour, markersize=6)
        for size, name_of in ((12, "the example of a character"), (6, "a drawing to classify")):
            panel.plot([], [], "o", color="0.6", markersize=size, label=name_of)
        wrong = place(query[said != yq])
        panel.plot(*wrong, "x", color="black", markersize=11, label="nearest to another character's example")
        panel.set(title=name, xlabel="direction 1", ylabel="direction 2")


alt = "Two maps of the same task: large marks are the five examples, small ones the drawings to classify, a shape and colour for each character. In pixels the characters overlap; in the embedding they stand in groups, each around its example, and fewer are crossed out."
figure(maps, 11, alt, columns=2, height=4.2)

# %% [markdown]
# On the same tasks: the difference is surer than the two numbers. Against bare pixels the gain would look more than
# twice as large, and most of that a blur does, too.
#
# ## Who may look at whom
#
# Batch normalisation uses the mean and variance of the batch. Classify a balanced query set at once, and every
# example tells the others something: `transductive`. One at a time is what a user with one photograph has:
# `inductive`. (Above it made no difference: that network has no normalisation.)

# %%
normed = tm.meta.ProtoNet(ways=ways, network=lambda rng: tm.nn.MLP([784, 64, 64], rng=rng, norm=True))
gap = {}
for name, weights in (("random", normed.init(np.random.default_rng(0))), ("trained", trained(normed))):
    together, alone = (accuracy(normed, weights, kind) for kind in (tm.meta.transductive, tm.meta.inductive))
    gap[name] = together - alone
    print(f"{name:8} transductive {interval(together, '%')}, inductive {interval(alone, '%')}: {interval(gap[name])}")

# %% [markdown]
# The same weights, the same drawings: the last column is made by company alone. Training in company widens it, since
# the network comes to count on it.
#
# ## Exercise: prototypes
#
# Given embeddings e (n, d) with labels (n,), and queries q (m, d), return logits (m, ways): minus the squared
# distance of each query to each class's mean embedding.


# %% exercise prototypes
def prototype_logits(e, labels, q, ways):
    """−‖q_i − mean of class k‖² for all i, k; Tensors in, a Tensor of shape (m, ways) out."""
    # BEGIN SOLUTION
    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).mean(axis=0) for k in range(ways)])
    return -((q[:, None] - means[None]) ** 2).sum(axis=-1)
    # END SOLUTION


# %% check prototypes
# nudge: what is compared with what, and what number says that two are near?
# formula: −Σ (q_i − mean_k)², the sum over coordinates
rng = np.random.default_rng(3)
e, labels, q = tm.tensor(rng.normal(size=(6, 4))), np.array([0, 0, 0, 1, 1, 2]), tm.tensor(rng.normal(size=(5, 4)))
found = prototype_logits(e, labels, q, 3)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
found, sums = np.asarray(found), np.stack([e.numpy()[labels == k].sum(axis=0) for k in range(3)])
means, queries = sums / np.array([[3], [2], [1]]), q.numpy()[:, None]
squares = ((queries - means) ** 2).sum(-1)
assert found.shape != (5, 3, 4), "one number per query and class: sum over the coordinates, the last axis"
assert found.shape != (3, 5), "queries are the rows and classes the columns: yours is turned round"
assert found.shape == (5, 3), f"logits for 5 queries and 3 classes have shape (5, 3), yours {found.shape}"
for wrong, hint in (
    (squares, "the nearest class must have the largest logit: a minus is missing"),
    (-np.sqrt(squares), "those are distances; the paper's are squared (eq. 2)"),
    (-squares / 4, "sum over the coordinates: that is their mean"),
    ((queries * means).sum(-1), "those are inner products: the method compares distances"),
    (-((queries - sums) ** 2).sum(-1), "classes have different numbers of examples: take means, not sums"),
    (-np.abs(queries - means).sum(-1), "those are sums of absolute values; the paper's distances are squared (eq. 2)"),
):
    assert not np.allclose(found, wrong), hint
assert np.allclose(found, -squares), f"query 0 should have {-squares[0].round(3)}, not {found[0].round(3)}"
print("Solved: that is the whole method.")

# %% [markdown]
# ## Exercise: prototypes that look at the queries
#
# If the examples to classify may be looked at, do it openly (Ren et al. 2018, Meta-learning for semi-supervised few-shot
# classification, eq. 5): with p(k | q) the softmax of the logits from above, one step of soft k-means gives the prototype
# (Σ support of class k + Σ p(k | q) q) / (number of support examples of class k + Σ p(k | q)), sums over all queries q.


# %% exercise refine
def refined_prototypes(e, labels, q, ways):
    """Prototypes (ways, d) from embeddings e (n, d) with labels (n,) and q (m, d) without; NumPy arrays."""
    # BEGIN SOLUTION
    own = (labels[:, None] == np.arange(ways)).astype(e.dtype)
    means = own.T @ e / own.sum(axis=0)[:, None]
    logits = -((q[:, None] - means) ** 2).sum(axis=-1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    weight = own.sum(axis=0) + shares.sum(axis=0)
    return (own.T @ e + shares.T @ q) / weight[:, None]
    # END SOLUTION


# %% check refine
# without: tm
# nudge: how much does one query count for each class, and what do its shares add up to?
# formula: (Σ own e + Σ p q) / (how many own + Σ p), p the softmax over the classes of −‖q − mean‖²
rng = np.random.default_rng(6)
e, labels, q = rng.normal(size=(6, 4)), np.array([0, 0, 0, 1, 1, 2]), rng.normal(size=(5, 4))
kept = e.copy(), q.copy()
found = refined_prototypes(e, labels, q, 3)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert np.array_equal(e, kept[0]) and np.array_equal(q, kept[1]), "the embeddings were written into: make new arrays"
assert np.shape(found) == (3, 4), f"a prototype for each class, (3, 4), and yours have shape {np.shape(found)}"
counts = np.array([3.0, 2.0, 1.0])
sums = np.stack([e[labels == k].sum(axis=0) for k in range(3)])
squares = ((q[:, None] - sums / counts[:, None]) ** 2).sum(axis=-1)
softmax = lambda logits, axis=1: np.exp(logits) / np.exp(logits).sum(axis=axis, keepdims=True)
mixed = lambda shares, n=counts, of=sums: (of + shares.T @ q) / (n + shares.sum(axis=0))[:, None]
shares, least = softmax(-squares), squares.min(axis=1, keepdims=True)
for wrong, hint in (
    (sums / counts[:, None], "those are the means of the support alone: the queries have no part in them"),
    (mixed(softmax(squares)), "a query belongs most to the nearest class: the logits are minus the squared distances"),
    (mixed(softmax(-squares, 0)), "the softmax goes over the classes: each query's shares add up to 1"),
    (
        mixed(np.exp(least - squares) / np.exp(least - squares).sum(axis=0)),
        "each query's shares add up to 1, over classes",
    ),
    (
        sums / (counts + shares.sum(axis=0))[:, None],
        "the queries stand in the denominator only: add Σ p(k | q) q above",
    ),
    (mixed(np.eye(3)[squares.argmin(axis=1)]), "that is hard k-means: a query belongs to every class by its share"),
    ((sums + shares.T @ q) / (counts + 5)[:, None], "divide by the queries' shares of the class, not by their number"),
    ((sums + shares.T @ q) / counts[:, None], "the queries' shares count in the denominator, too"),
    ((shares.T @ q) / shares.sum(axis=0)[:, None], "the support examples belong to it, too"),
    (mixed(shares, np.ones(3), sums / counts[:, None]), "each support example counts as one: sums, not means"),
    (mixed(softmax(-np.sqrt(squares))), "the logits are minus the squared distances, and those are the distances"),
):
    assert not np.allclose(found, wrong), hint
right = mixed(shares)
assert np.allclose(found, right), f"prototype 0 should be {right[0].round(3)}, and is {np.asarray(found)[0].round(3)}"
assert np.isfinite(refined_prototypes(100 * e, labels, 100 * q, 3)).all(), (
    "far away the exponential is 0/0 or ∞/∞: subtract each query's largest logit first"
)
print("Solved: one step of clustering, begun from the labels.")

# %% [markdown]
# What is it worth on the learned embedding, in company of 15 queries?

# %%
shown, asked = (phi(x).numpy() for x, _ in episodes)


def classified(prototypes, task):
    """The share (in %) of a task's queries whose class has the nearest of the prototypes."""
    squares = ((asked[task][:, None] - prototypes) ** 2).sum(axis=-1)
    return 100 * (squares.argmin(axis=1) == episodes.query[1][task]).mean()


once = [refined_prototypes(e, y, q, ways) for e, y, q in zip(shown, episodes.support[1], asked)]
in_company = np.array([classified(prototypes, task) for task, prototypes in enumerate(once)])
print(f"refined once {interval(in_company, '%')}: {interval(in_company - learned)} more than by support alone")

# %% [markdown]
# Several per cent, and nothing was trained for it: company is worth that much.
#
# ## Exercise: drawing an episode
#
# Everything above rests on how tasks are drawn. From the classes of a data set, with any number of examples each, draw
# a task: `ways` classes, named anew 0, 1, …, and from each `shots` examples for support and `queries` others to ask.


# %% exercise episode
def draw_episode(labels, ways, shots, queries, rng):
    """Places and new labels, ((ways·shots,), the same) and ((ways·queries,), the same); class 0 first, and so on."""
    # BEGIN SOLUTION
    support, query = [], []
    chosen = rng.choice(np.unique(labels), ways, replace=False)
    for kind in chosen:
        places = rng.permutation(np.flatnonzero(labels == kind))
        support.append(places[:shots])
        query.append(places[shots : shots + queries])
    names = np.arange(ways)
    asked = np.concatenate(query), np.repeat(names, queries)
    return (np.concatenate(support), np.repeat(names, shots)), asked
    # END SOLUTION


# %% check episode
# without: tm
# nudge: draw two tasks and look at them: which classes, under which names, and does an example stand in both sets?
# formula: rng.choice(classes, ways, replace=False); of each, rng.permutation of its places: `shots` first, then `queries`
labels = np.repeat([3, 5, 7, 11, 20, 21, 40], [6, 7, 8, 6, 9, 6, 7])
shown = set()
for seed in range(60):
    drawn = draw_episode(labels, 4, 2, 3, np.random.default_rng(seed))
    assert drawn is not None, "the function returns nothing: put your lines in the dots' place"
    (sx, sy), (qx, qy) = drawn
    assert np.shape(sx) == np.shape(sy) == (8,), f"4 ways and 2 shots are 8 examples, and yours are {np.shape(sx)}"
    assert np.shape(qx) == np.shape(qy) == (12,), f"4 ways and 3 queries are 12 examples, and yours are {np.shape(qx)}"
    assert len(set(labels[sx])) == 4, "one class stands in the task under two names: draw classes without replacement"
    assert not set(sx) & set(qx), "an example is asked that was shown as support: they must differ"
    assert len(set(sx)) == 8 and len(set(qx)) == 12, "an example was drawn twice: draw without replacement"
    assert sorted(set(sy)) == sorted(set(qy)) == [0, 1, 2, 3], "the classes of a task are named anew: 0, 1, 2, 3"
    for k in range(4):
        own = {*labels[sx[sy == k]], *labels[qx[qy == k]]}
        assert len(own) == 1, f"class {k} of the task has examples of the classes {sorted(own)}"
    shown |= {(k, int(kind)) for k, kind in zip(sy, labels[sx])} | {("place", int(place)) for place in sx}
assert len([1 for k, _ in shown if k == 0]) == 7, (
    "a class always gets the same name, or never comes: draw them at random"
)
assert len([1 for k, _ in shown if k == "place"]) == len(labels), "some examples never come as support: draw at random"
print("Solved: few-shot learning is a way to draw.")

# %% [markdown]
# ## What to take along
#
# - Say how a number was made: ways, shots, which characters, transductive or not, how many test tasks.
# - Tune the baseline, too: the learned embedding is better than the best blur, by less than it seemed.
# - `tinymeta run omniglot --data FOLDER` does this on real characters, with MAML and with others.
#
# On the trace page: ProtoNet has two bands and no third. Nothing in it is differentiated twice.

# %%
with tm.trace() as trace:
    tm.grad(learner.task_loss)(phi, tm.tree.map(lambda a: a[0], episodes))
print(trace.counts())
page(trace, 11)
