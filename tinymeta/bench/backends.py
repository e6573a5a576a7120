"""The same few functions by each framework's name, so that a workload is written once.

A backend is a namespace: array functions (`mean(x, axis, keepdims)`, `relu`, …), `tree_map`, the transforms
`grad`, `value_and_grad` and `vmap`, and `finish(f)`, which makes a step of it: compiled, or as it is.
Normalisation is written from primitives in the workloads: one of the peers has a fused one whose
second derivative under `vmap` is wrong.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinymeta.bench.networks import Backend, Foreign
from tinymeta.engine.typing import Function, Tree

CONTENDERS = {
    "tinymeta compiled": "tinymeta",
    "tinymeta eager": "tinymeta",
    "JAX jit": "jax",
    "JAX jit, map over tasks": "jax",
    "JAX eager": "jax",
    "torch.compile": "torch",
    "torch.func": "torch",
    "PyTorch loop": "torch",
    "HIPS autograd": "autograd",
}


_USUAL: dict[str, Function] = {  # what most frameworks do so
    "array": lambda a: a,
    "numpy": np.asarray,
    "take": lambda table, ids: table[ids],
    "dtype": lambda x: x.dtype,
    "finish": lambda f: f,
    "wait": lambda result: result,
}


def backend(contender: str, threads: int) -> Backend:
    """The namespace of one contender."""
    names = {"tinymeta": _tinymeta, "jax": _jax, "torch": _torch, "autograd": _autograd}[CONTENDERS[contender]]
    return SimpleNamespace(**_USUAL | names(contender, threads))


def _alike(module: Foreign, names: str) -> dict[str, Function]:
    """The functions that a framework calls as we do."""
    return {name: getattr(module, name) for name in names.split()}


def _over_tasks(loop: Function) -> Function:
    """`vmap` as a loop: `loop(one, mapped)` calls `one` with a task's part of each mapped array, and stacks."""

    def vmap(f: Function, axes: Tree) -> Function:
        def run(*args: Tree) -> Tree:
            def one(parts: Tree) -> Tree:
                given = iter(parts)
                return f(*[a if axis is None else next(given) for a, axis in zip(args, axes)])

            return loop(one, tuple(a for a, axis in zip(args, axes) if axis is not None))

        return run

    return vmap


def _one_by_one(stack: Function) -> Function:
    """A loop in Python over the first axis of arrays."""
    return lambda one, mapped: stack([one([a[t] for a in mapped]) for t in range(mapped[0].shape[0])])


def _each(f: Function, carry: Foreign, xs: Foreign) -> list[Any]:
    """What `f(carry, x)` says of each x in turn."""
    said = []
    for x in xs:
        carry, y = f(carry, x)
        said.append(y)
    return said


def _halved(reshape: Function, x: Foreign) -> Foreign:
    """Images (n, c, h, w) as (n, c, h/2, 2, w/2, 2), without a last odd row or column."""
    n, c, h, w = x.shape
    return reshape(x[:, :, : h // 2 * 2, : w // 2 * 2], (n, c, h // 2, 2, w // 2, 2))


_PADDING = ((0, 0), (0, 0), (1, 1), (1, 1))


def _taps(x: Foreign, stride: int) -> list[Foreign]:
    """What each of the nine places of a 3 × 3 filter meets of padded images (n, c, h, w), row by row."""
    high, wide = (stride * ((side - 3) // stride) + 1 for side in x.shape[2:])
    return [x[:, :, i : i + high : stride, j : j + wide : stride] for i in range(3) for j in range(3)]


def _tinymeta(contender: str, threads: int) -> dict[str, Function]:
    import tinymeta_kernels

    import tinymeta as tm

    tinymeta_kernels.set_num_threads(threads)
    return dict(
        _alike(tm, "mean sum sqrt square relu tanh sigmoid reshape grad value_and_grad hessian"),
        numpy=lambda t: t.numpy(),
        log_softmax=lambda x: tm.log_softmax(x, axis=-1),
        conv2d=lambda x, w, stride: tm.nn.conv2d(x, w, stride=stride, padding=1),
        max_pool=lambda x: tm.nn.max_pool2d(x, 2),
        softmax=lambda x: tm.nn.softmax(x, axis=-1),
        gelu=tm.nn.gelu,
        take=lambda table, ids: tm.take(table, ids, 0),
        zeros=lambda shape, like: tm.zeros(shape, dtype=like.dtype),
        scan=lambda f, carry, xs: tm.scan(f, carry, xs)[1],
        transpose=tm.permute_dims,
        tree_map=tm.tree.map,
        vmap=lambda f, axes: tm.vmap(f, in_axes=axes),
        **({"finish": tm.compile} if contender.endswith("compiled") else {}),
    )


def _jax(contender: str, threads: int) -> dict[str, Function]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def conv2d(x: Foreign, w: Foreign, stride: int) -> Foreign:
        """Nine products of strided slices, which on CPUs beat the native one where its gradient is strided."""
        if stride == 1:
            return jax.lax.conv(x, w, (1, 1), "SAME")
        parts = enumerate(_taps(jnp.pad(x, _PADDING), stride))
        return sum(jnp.einsum("nchw,oc->nohw", part, w[:, :, k // 3, k % 3]) for k, part in parts)

    return dict(
        _alike(jnp, "mean sum sqrt square tanh transpose reshape") | _alike(jax, "grad value_and_grad hessian"),
        array=jnp.asarray,
        relu=lambda x: jnp.where(x > 0, x, 0.0),
        sigmoid=jax.nn.sigmoid,
        log_softmax=lambda x: jax.nn.log_softmax(x, axis=-1),
        conv2d=conv2d,
        max_pool=lambda x: _halved(jnp.reshape, x).max((3, 5)),
        softmax=lambda x: jax.nn.softmax(x, axis=-1),
        gelu=lambda x: jax.nn.gelu(x, approximate=False),
        zeros=lambda shape, like: jnp.zeros(shape, like.dtype),
        scan=lambda f, carry, xs: jax.lax.scan(f, carry, xs)[1],
        tree_map=jax.tree.map,
        vmap=_over_tasks(jax.lax.map) if "map over" in contender else (lambda f, axes: jax.vmap(f, in_axes=axes)),
        **({} if "eager" in contender else {"finish": jax.jit}),
        wait=jax.block_until_ready,
    )


def _torch(contender: str, threads: int) -> dict[str, Function]:
    import torch
    import torch.nn.functional as functional
    from torch.utils import _pytree as trees

    torch.set_num_threads(threads)

    def looped(f: Function, inside: bool) -> Function:
        """Value and gradient by the tape; `inside` another gradient, leaves stay connected to what they came from."""

        def both(params: Tree, *args: Tree) -> Tree:
            leaves, spec = trees.tree_flatten(params)
            if not inside:
                leaves = [leaf.detach() for leaf in leaves]
            leaves = [leaf if leaf.requires_grad else leaf.requires_grad_() for leaf in leaves]
            value = f(trees.tree_unflatten(leaves, spec), *args)
            grads = torch.autograd.grad(value, leaves, create_graph=inside)
            return value if inside else value.detach(), trees.tree_unflatten(grads, spec)

        return both

    loop: dict[str, Function] = {
        "grad": lambda f: lambda *args: looped(f, True)(*args)[1],
        "value_and_grad": lambda f: looped(f, False),
        "vmap": _over_tasks(_one_by_one(torch.stack)),
    }
    functional_way: dict[str, Function] = {
        "grad": torch.func.grad,
        "value_and_grad": lambda f: lambda *args: torch.func.grad_and_value(f)(*args)[::-1],
        "vmap": lambda f, axes: torch.func.vmap(f, in_dims=tuple(axes)),
    }
    return dict(
        _alike(torch, "sqrt square relu tanh sigmoid reshape")
        | (loop if contender == "PyTorch loop" else functional_way),
        array=lambda a: torch.from_numpy(np.array(a)),
        numpy=lambda t: t.detach().numpy(),
        mean=lambda x, axis=None, keepdims=False: x.mean() if axis is None else x.mean(dim=axis, keepdim=keepdims),
        sum=lambda x, axis=None, keepdims=False: x.sum() if axis is None else x.sum(dim=axis, keepdim=keepdims),
        log_softmax=lambda x: functional.log_softmax(x, dim=-1),
        conv2d=lambda x, w, stride: functional.conv2d(x, w, stride=stride, padding=1),
        max_pool=lambda x: functional.max_pool2d(x, 2),
        softmax=lambda x: torch.softmax(x, -1),
        gelu=functional.gelu,
        take=lambda table, ids: functional.embedding(ids, table),
        zeros=lambda shape, like: torch.zeros(shape, dtype=like.dtype),
        dtype=lambda x: str(x.dtype).removeprefix("torch."),
        scan=lambda f, carry, xs: torch.stack(_each(f, carry, xs)),
        transpose=lambda x, axes: x.permute(axes),
        tree_map=trees.tree_map,
        hessian=torch.func.hessian,
        **({"finish": torch.compile} if contender == "torch.compile" else {}),
    )


def _autograd(contender: str, threads: int) -> dict[str, Function]:
    """NumPy, differentiated by HIPS autograd, task by task; the threads are the environment's.

    The gradients of its own `mean`, `where` and `maximum` turn float32 into float64, so these are written another way.
    """
    import autograd  # type: ignore[import-not-found, unused-ignore]

    anp, getval = autograd.numpy, autograd.tracer.getval

    def mean(x: Foreign, axis: Any = None, keepdims: bool = False) -> Foreign:
        axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
        return anp.sum(x, axis, keepdims=keepdims) / math.prod(x.shape[a] for a in axes)

    def log_softmax(x: Foreign) -> Foreign:
        shifted = x - getval(x).max(-1, keepdims=True)  # the shift cancels, also in every derivative
        return shifted - anp.log(anp.sum(anp.exp(shifted), -1, keepdims=True))

    def conv2d(x: Foreign, w: Foreign, stride: int) -> Foreign:
        """Nine products of strided slices."""
        parts = _taps(anp.pad(x, _PADDING, "constant"), stride)
        taps = anp.reshape(anp.transpose(w, (2, 3, 0, 1)), (9, *w.shape[:2]))
        total = sum(taps[k] @ anp.reshape(part, (*part.shape[:2], -1)) for k, part in enumerate(parts))
        return anp.reshape(total, (x.shape[0], -1, *parts[0].shape[2:]))

    def tree_map(f: Function, tree: Tree, *others: Tree) -> Tree:
        """Inside a gradient, its boxes are lists and dicts in all but type."""
        kind = type(getval(tree))
        if kind is dict:
            return {key: tree_map(f, tree[key], *(other[key] for other in others)) for key in sorted(tree)}
        if kind in (list, tuple):
            return kind([tree_map(f, *parts) for parts in zip(tree, *others)])
        return f(tree, *others)

    return dict(
        _alike(anp, "sum sqrt square tanh transpose reshape") | _alike(autograd, "grad value_and_grad hessian"),
        mean=mean,
        relu=lambda x: x * (x > 0),
        sigmoid=lambda x: 0.5 * anp.tanh(0.5 * x) + 0.5,
        log_softmax=log_softmax,
        conv2d=conv2d,
        max_pool=lambda x: anp.max(_halved(anp.reshape, x), axis=(3, 5)),
        zeros=lambda shape, like: np.zeros(shape, like.dtype),
        scan=lambda f, carry, xs: anp.stack(_each(f, carry, xs)),
        tree_map=tree_map,
        vmap=_over_tasks(_one_by_one(anp.stack)),
    )
