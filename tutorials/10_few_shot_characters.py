# %% [markdown]
# # 10 · Few-shot characters
#
# Five characters that nobody has seen, one drawing of each; then: which of the five is this? You compare
# pixels, then an embedding that has learned what makes two drawings the same character, and you meet the
# detail that inflates published numbers: whether the examples to classify may look at each other.
#
# 五个从未见过的字符，每个只有一张图；然后问：这张新图是五个中的哪一个？你将先比较像素，再比较学来的嵌入，
# 并遇到那个让论文数字虚高的细节：待分类的样本能否互相参照。

# %%
import numpy as np

import tinymeta as tm
from tinymeta.view.lessons import page

ways, shots = 5, 1  # characters per task and drawings of each; try 10, 1, then 5, 5
iterations = 60  # try 600

# %% [markdown]
# ## Tasks without data
#
# `glyphs` invents alphabets and has them drawn by several hands; `load_omniglot` reads the real ones, if you have
# them. Test characters never occur in training.

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
# **Predict, then run:** how often is the nearest neighbour in pixels right? Chance is 1 in 5.

# %%
(xs, ys), (xq, yq) = episodes
distance = ((xq[:, :, None] - xs[:, None]) ** 2).sum(-1)
nearest = np.take_along_axis(ys, distance.argmin(-1), -1)
print(f"nearest neighbour in pixels {100 * (nearest == yq).mean():.1f} %")

# %% [markdown]
# ## Learning what "the same" means
#
# A prototypical network (Snell et al. 2017) averages the embeddings of each class and picks the nearest mean.
# Its gradient is first order: nothing is adapted, only compared.

# %%
network = lambda rng: tm.nn.MLP([784, 128, 64], rng=rng)
learner = tm.meta.ProtoNet(ways=ways, network=network)
phi = tm.meta.fit(
    learner,
    learner.init(np.random.default_rng(0)),
    training,
    optimizer=tm.optim.Adam(2e-3),
    iterations=iterations,
    meta_batch=8,
    compiled=True,
)
accuracy = tm.meta.evaluate(learner, tm.meta.transductive(tm.nn.accuracy), phi, episodes)[:, -1]
half = 1.96 * accuracy.std() / len(accuracy) ** 0.5
print(f"ProtoNet after {iterations} iterations {100 * accuracy.mean():.1f} ± {100 * half:.1f} %")

# %% [markdown]
# ## Who may look at whom
#
# Batch normalisation uses the mean and variance of the batch. Classify a balanced query set at once, and every
# example tells the others something: *transductive*. One at a time is what a user with one photograph has:
# *inductive*. A random embedding is enough to see the difference:

# %%
normed = tm.meta.ProtoNet(ways=ways, network=lambda rng: tm.nn.MLP([784, 64, 64], rng=rng, norm=True))
weights = normed.init(np.random.default_rng(0))
for kind in (tm.meta.transductive, tm.meta.inductive):
    share = tm.meta.evaluate(normed, kind(tm.nn.accuracy), weights, episodes)[:, -1].mean()
    print(f"{kind.__name__:13} {100 * share:.1f} %")

# %% [markdown]
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
rng = np.random.default_rng(3)
e, labels, q = tm.tensor(rng.normal(size=(6, 4))), np.array([0, 0, 0, 1, 1, 2]), tm.tensor(rng.normal(size=(5, 4)))
found = prototype_logits(e, labels, q, 3)
means = np.stack([e.numpy()[labels == k].mean(axis=0) for k in range(3)])
squares = ((q.numpy()[:, None] - means) ** 2).sum(-1)
assert found is not None, "the function returns nothing: put your lines in the dots' place"
assert tuple(found.shape) == (5, 3), f"logits for 5 queries and 3 classes have shape (5, 3), yours {tuple(found.shape)}"
assert not np.allclose(found.numpy(), squares), "the nearest class must have the largest logit: a minus is missing"
assert not np.allclose(found.numpy(), -np.sqrt(squares)), "those are distances; the paper's are squared (eq. 2)"
sums = np.stack([e.numpy()[labels == k].sum(axis=0) for k in range(3)])
wrong = -((q.numpy()[:, None] - sums) ** 2).sum(-1)
assert not np.allclose(found.numpy(), wrong), "classes have different numbers of examples: take means, not sums"
assert np.allclose(found.numpy(), -squares), (
    f"query 0 should have {-squares[0].round(3)}, not {found.numpy()[0].round(3)}"
)
print("Solved: that is the whole method.")

# %% [markdown]
# ## What to take along
#
# - Say how a number was made: ways, shots, which characters, transductive or not, how many test tasks.
# - `tinymeta run omniglot --data FOLDER` does this on real characters, with MAML and with others.
#
# On the trace page: ProtoNet has two bands and no third. Nothing in it is differentiated twice.

# %%
with tm.trace() as trace:
    tm.grad(learner.task_loss)(phi, tm.tree.map(lambda a: a[0], episodes))
print(trace.counts())
page(trace, 10)
