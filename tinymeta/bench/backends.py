"""The same few functions by each framework's name, so that a workload is written once.

A backend is a namespace: array functions (`mean(x, axis, keepdims)`, `relu`, …), `tree_map`, the transforms
`grad`, `value_and_grad` and `vmap`, and `finish(f)`, which makes a step of it: compiled, or as it is.
Normalisation is written from primitives in the workloads: one of the peers has a fused one whose
second derivative under `vmap` is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

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


def backend(contender: str, threads: int) -> Any:
    """The namespace of one contender."""
    kind = CONTENDERS[contender]
    return {"tinymeta": _tinymeta, "jax": _jax, "torch": _torch, "autograd": _autograd}[kind](contender, threads)


def _over_tasks(f: Callable[..., Any], axes: Any, stack: Callable[..., Any]) -> Callable[..., Any]:
    """`vmap` as a Python loop; what is mapped are arrays, along their first axis."""

    def run(*args: Any) -> Any:
        tasks = next(a.shape[0] for a, axis in zip(args, axes) if axis is not None)
        return stack([f(*[a if axis is None else a[t] for a, axis in zip(args, axes)]) for t in range(tasks)])

    return run


def _tinymeta(contender: str, threads: int) -> Any:
    import tinymeta_kernels

    import tinymeta as tm

    tinymeta_kernels.set_num_threads(threads)
    compiled = contender.endswith("compiled")
    return SimpleNamespace(
        array=lambda a: a,
        numpy=lambda t: t.numpy(),
        mean=lambda x, axis=None, keepdims=False: tm.mean(x, axis, keepdims),
        sum=lambda x, axis=None, keepdims=False: tm.sum(x, axis, keepdims),
        sqrt=tm.sqrt,
        square=tm.square,
        relu=tm.relu,
        tanh=tm.tanh,
        sigmoid=tm.sigmoid,
        log_softmax=lambda x: tm.log_softmax(x, axis=-1),
        conv2d=lambda x, w: tm.nn.conv2d(x, w, stride=2, padding=1),
        reshape=lambda x, shape: tm.reshape(x, shape),
        concat=lambda xs: tm.concat(xs, axis=-1),
        stack=lambda xs: tm.stack(xs),
        tree_map=tm.tree.map,
        grad=tm.grad,
        value_and_grad=tm.value_and_grad,
        hessian=tm.hessian,
        vmap=lambda f, axes: tm.vmap(f, in_axes=axes),
        finish=tm.compile if compiled else (lambda f: f),
        wait=lambda result: result,
    )


def _jax(contender: str, threads: int) -> Any:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def shifted(x: Any, w: Any) -> Any:
        """A convolution as a sum of nine products of strided slices: on CPUs faster than the native one."""
        n, c, h, width = x.shape
        x = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        oh, ow = (h + 1) // 2, (width + 1) // 2
        total = 0.0
        for i in range(3):
            for j in range(3):
                part = x[:, :, i : i + 2 * oh - 1 : 2, j : j + 2 * ow - 1 : 2]
                total = total + jnp.einsum("nchw,oc->nohw", part, w[:, :, i, j])
        return total

    def mapped(f: Callable[..., Any], axes: Any) -> Callable[..., Any]:
        shared = [k for k, a in enumerate(axes) if a is None]

        def run(*args: Any) -> Any:
            rest = tuple(a for k, a in enumerate(args) if k not in shared)

            def one(parts: Any) -> Any:
                given = iter(parts)
                return f(*[a if k in shared else next(given) for k, a in enumerate(args)])

            return jax.lax.map(one, rest)

        return run

    return SimpleNamespace(
        array=jnp.asarray,
        numpy=np.asarray,
        mean=lambda x, axis=None, keepdims=False: jnp.mean(x, axis, keepdims=keepdims),
        sum=lambda x, axis=None, keepdims=False: jnp.sum(x, axis, keepdims=keepdims),
        sqrt=jnp.sqrt,
        square=jnp.square,
        relu=lambda x: jnp.where(x > 0, x, 0.0),
        tanh=jnp.tanh,
        sigmoid=jax.nn.sigmoid,
        log_softmax=lambda x: jax.nn.log_softmax(x, axis=-1),
        conv2d=shifted,
        reshape=jnp.reshape,
        concat=lambda xs: jnp.concatenate(xs, axis=-1),
        stack=jnp.stack,
        tree_map=jax.tree.map,
        grad=jax.grad,
        value_and_grad=jax.value_and_grad,
        hessian=jax.hessian,
        vmap=mapped if "map over" in contender else (lambda f, axes: jax.vmap(f, in_axes=axes)),
        finish=(lambda f: f) if "eager" in contender else jax.jit,
        wait=jax.block_until_ready,
    )


def _torch(contender: str, threads: int) -> Any:
    import torch
    import torch.nn.functional as functional
    from torch.utils import _pytree as trees

    torch.set_num_threads(threads)

    def loop_grad(f: Callable[..., Any]) -> Callable[..., Any]:
        def grad(params: Any, *args: Any) -> Any:
            leaves, spec = trees.tree_flatten(params)
            leaves = [leaf if leaf.requires_grad else leaf.requires_grad_() for leaf in leaves]
            value = f(trees.tree_unflatten(leaves, spec), *args)
            return trees.tree_unflatten(torch.autograd.grad(value, leaves, create_graph=True), spec)

        return grad

    def loop_value_and_grad(f: Callable[..., Any]) -> Callable[..., Any]:
        def both(params: Any, *args: Any) -> Any:
            leaves, spec = trees.tree_flatten(params)
            leaves = [leaf.detach().requires_grad_() for leaf in leaves]
            value = f(trees.tree_unflatten(leaves, spec), *args)
            return value.detach(), trees.tree_unflatten(torch.autograd.grad(value, leaves), spec)

        return both

    looped = contender == "PyTorch loop"

    def by_value_and_grad(f: Callable[..., Any]) -> Callable[..., Any]:
        def both(*args: Any) -> Any:
            grads, value = torch.func.grad_and_value(f)(*args)
            return value, grads

        return both

    return SimpleNamespace(
        array=lambda a: torch.from_numpy(np.array(a)),
        numpy=lambda t: t.detach().numpy(),
        mean=lambda x, axis=None, keepdims=False: x.mean() if axis is None else x.mean(dim=axis, keepdim=keepdims),
        sum=lambda x, axis=None, keepdims=False: x.sum() if axis is None else x.sum(dim=axis, keepdim=keepdims),
        sqrt=torch.sqrt,
        square=torch.square,
        relu=torch.relu,
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        log_softmax=lambda x: functional.log_softmax(x, dim=-1),
        conv2d=lambda x, w: functional.conv2d(x, w, stride=2, padding=1),
        reshape=torch.reshape,
        concat=lambda xs: torch.cat(xs, dim=-1),
        stack=torch.stack,
        tree_map=trees.tree_map,
        grad=loop_grad if looped else torch.func.grad,
        value_and_grad=loop_value_and_grad if looped else by_value_and_grad,
        hessian=torch.func.hessian,
        vmap=(lambda f, axes: _over_tasks(f, axes, torch.stack))
        if looped
        else (lambda f, axes: torch.func.vmap(f, in_dims=tuple(axes))),
        finish=torch.compile if contender == "torch.compile" else (lambda f: f),
        wait=lambda result: result,
    )


def _autograd(contender: str, threads: int) -> Any:
    """NumPy, differentiated by HIPS autograd, task by task; the threads are the environment's.

    The gradients of its own `mean`, `where` and `maximum` turn float32 into float64, so these are written another way.
    """
    import autograd  # type: ignore[import-not-found, unused-ignore]

    anp, getval = autograd.numpy, autograd.tracer.getval

    def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
        return anp.sum(x, axis, keepdims=keepdims) / math.prod(x.shape[a] for a in axes)

    def log_softmax(x: Any) -> Any:
        shifted = x - getval(x).max(-1, keepdims=True)  # the shift cancels, also in every derivative
        return shifted - anp.log(anp.sum(anp.exp(shifted), -1, keepdims=True))

    def conv2d(x: Any, w: Any) -> Any:
        """Nine products of strided slices."""
        n, c, h, width = x.shape
        x = anp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        oh, ow = (h + 1) // 2, (width + 1) // 2
        taps = anp.reshape(anp.transpose(w, (2, 3, 0, 1)), (9, -1, c))
        total = 0.0
        for k in range(9):
            i, j = divmod(k, 3)
            part = x[:, :, i : i + 2 * oh - 1 : 2, j : j + 2 * ow - 1 : 2]
            total = total + taps[k] @ anp.reshape(part, (n, c, oh * ow))
        return anp.reshape(total, (n, -1, oh, ow))

    def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
        """Inside a gradient, its boxes are lists and dicts in all but type."""
        kind = type(getval(tree))
        if kind is dict:
            return {key: tree_map(f, tree[key], *(other[key] for other in others)) for key in sorted(tree)}
        if kind in (list, tuple):
            return kind([tree_map(f, *parts) for parts in zip(tree, *others)])
        return f(tree, *others)

    return SimpleNamespace(
        array=lambda a: a,
        numpy=np.asarray,
        mean=mean,
        sum=lambda x, axis=None, keepdims=False: anp.sum(x, axis, keepdims=keepdims),
        sqrt=anp.sqrt,
        square=anp.square,
        relu=lambda x: x * (x > 0),
        tanh=anp.tanh,
        sigmoid=lambda x: 0.5 * anp.tanh(0.5 * x) + 0.5,
        log_softmax=log_softmax,
        conv2d=conv2d,
        reshape=anp.reshape,
        concat=lambda xs: anp.concatenate(xs, axis=-1),
        stack=anp.stack,
        tree_map=tree_map,
        grad=autograd.grad,
        value_and_grad=autograd.value_and_grad,
        hessian=autograd.hessian,
        vmap=lambda f, axes: _over_tasks(f, axes, anp.stack),
        finish=lambda f: f,
        wait=lambda result: result,
    )
