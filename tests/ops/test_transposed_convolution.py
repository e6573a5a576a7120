"""Transposed convolution against its definition, whatever its stride, dilation, padding and output padding."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st

import tinymeta as tm


def _defined(x, w, size, stride, padding, dilation, groups):
    """y[o, a·s − p + i·d, …] += x[c, a, …] w[c, o, i, …], entry by entry."""
    channels, per_group = w.shape[:2]
    y = np.zeros((groups * per_group, *size))
    for c, o in itertools.product(range(channels), range(per_group)):
        out = c // (channels // groups) * per_group + o
        for at in np.ndindex(x.shape[1:]):
            for k in np.ndindex(w.shape[2:]):
                row, column = (a * s - p + i * d for a, s, p, i, d in zip(at, stride, padding, k, dilation))
                if 0 <= row < size[0] and 0 <= column < size[1]:
                    y[out, row, column] += x[(c, *at)] * w[(c, o, *k)]
    return y


@given(data=st.data())
def test_it_is_what_its_definition_says_and_so_are_its_derivatives(data):
    pair = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(2))
    stride, dilation, padding, groups = pair(1, 3), pair(1, 3), pair(0, 2), data.draw(st.integers(1, 2))
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    x, w = rng.normal(size=(2 * groups, *pair(1, 3))), rng.normal(size=(2 * groups, 2, *pair(1, 3)))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    f = lambda x, w: tm.conv_transpose2d(x, w, output_padding=extra, **how)
    try:
        y = f(x, w)
    except ValueError as error:
        assert "leaves no image" in str(error)
        reject()
    terms = 4 * x.size * w.size
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=terms * 1e-15 * max(1, np.abs(b).max(initial=0)))
    close(y.numpy(), _defined(x, w, y.shape[-2:], **how))
    g, v, u = rng.normal(size=y.shape), rng.normal(size=x.shape), rng.normal(size=w.shape)
    gx, gw = tm.grad(lambda x, w: (f(x, w) * g).sum(), (0, 1))(x, w)
    close((gx * v).sum().item(), (f(v, w) * g).sum().item())  # it is linear in each: the adjoint pairs up
    close((gw * u).sum().item(), (f(x, u) * g).sum().item())
