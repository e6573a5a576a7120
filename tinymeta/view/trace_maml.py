"""MAML on one sinusoid, written out: the program that `tinymeta step sine` walks through."""

import numpy as np

import tinymeta as tm

FIRST_ORDER = False  # True: the inner gradient counts as a constant (Finn et al. 2017, section 5.2)

rng = np.random.default_rng(0)
x = rng.uniform(-5, 5, (10, 1))
y = 2 * np.sin(x + 0.5)
support, query = (x[:5], y[:5]), (x[5:], y[5:])
params = {
    "w1": rng.normal(size=(1, 6)),
    "b1": rng.normal(size=6),
    "w2": rng.normal(size=(6, 1)) / 2,
    "b2": np.zeros(1),
}


def net(params, x):
    hidden = tm.tanh(x @ params["w1"] + params["b1"])
    return hidden @ params["w2"] + params["b2"]


def loss(params, batch):
    x, y = batch
    error = net(params, x) - y
    return tm.mean(error * error)


def descend(p, g):
    return p - 0.1 * g


def adapt(params, support):
    grads = tm.grad(loss)(params, support)
    if FIRST_ORDER:
        grads = tm.tree.map(tm.stop_gradient, grads)
    return tm.tree.map(descend, params, grads)


def objective(params):
    return loss(adapt(params, support), query)


value, meta_gradient = tm.value_and_grad(objective)(params)

# mypy: allow-untyped-defs, allow-untyped-calls
