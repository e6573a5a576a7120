"""Convolution and its adjoints against the sum that defines them."""

import hypothesis.strategies as st
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given
from tinymeta_kernels.windows import col2im, im2col

from tests.kernels import cases
from tests.kernels.case import Case, sizes, windows


def convolution_by_definition(x, w, stride, padding, dilation, groups):
    (n, _, h, width), (o, wc, kh, kw) = x.shape[-4:], w.shape[-4:]
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((*np.broadcast_shapes(x.shape[:-4], w.shape[:-4]), n, o, oh, ow), np.result_type(x, w))
    for k in range(o):
        group = k // (o // groups)
        for a, b, i, j in np.ndindex(oh, ow, kh, kw):
            row, column = a * sh - ph + i * dh, b * sw - pw + j * dw
            if 0 <= row < h and 0 <= column < width:
                seen = x[..., group * wc : (group + 1) * wc, row, column]
                y[..., k, a, b] += (seen * w[..., k, None, :, i, j]).sum(-1)
    return y


@given(case=cases.conv2d())
def test_conv2d_is_its_defining_sum(case: Case) -> None:
    (got,) = case(*case.arrays)
    expected = convolution_by_definition(*case.arrays, **case.rest)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=case.tolerance(np.float64))


@given(case=cases.conv2d(), seed=st.integers(0, 2**32 - 1))
def test_both_adjoints_satisfy_their_identity(case: Case, seed: int) -> None:
    x, w = case.arrays
    lead = np.broadcast_shapes(x.shape[:-4], w.shape[:-4])
    x, w = (np.broadcast_to(a, (*lead, *a.shape[-4:])) for a in (x, w))
    y = tk.conv2d(x, w, **case.rest)
    g = np.random.default_rng(seed).standard_normal(y.shape)
    gx = tk.conv2d_input(g, w, x.shape[-2:], **case.rest)
    gw = tk.conv2d_weight(x, g, w.shape[-2:], **case.rest)
    assert gx.shape == x.shape and gw.shape == w.shape
    # The three sums run over the same products; each is off by a few ulps of the sum of their sizes.
    products = np.vdot(np.abs(g), tk.conv2d(np.abs(x), np.abs(w), **case.rest))
    assert abs(np.vdot(g, y) - np.vdot(gx, x)) <= 1e-12 * products
    assert abs(np.vdot(g, y) - np.vdot(gw, w)) <= 1e-12 * products


@given(case=cases.conv2d())
def test_shared_filters_are_the_same_filters_for_each_task(case: Case) -> None:
    x, w = case.arrays
    shared = w[(0,) * (w.ndim - 4)] if w.size else np.zeros(w.shape[-4:])
    lead = np.broadcast_shapes(x.shape[:-4], w.shape[:-4])
    x = np.broadcast_to(x, (*lead, *x.shape[-4:]))
    one_by_one = tk.conv2d(x, np.broadcast_to(shared, (*lead, *shared.shape)), **case.rest)
    folded = tk.conv2d(x, shared, **case.rest)
    assert folded.shape == one_by_one.shape
    np.testing.assert_allclose(folded, one_by_one, rtol=0, atol=case.tolerance(np.float64))


@given(data=st.data(), dtype=st.sampled_from([np.float64, np.longdouble]))  # the loop and the NumPy form
def test_col2im_is_the_adjoint_of_im2col(data: st.DataObject, dtype: type) -> None:
    at = windows(data.draw)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((*data.draw(st.sampled_from([(), (2,), (2, 3)])), *at.size, data.draw(sizes))).astype(dtype)
    col = im2col(x, at.window, at.stride, at.padding, at.dilation)
    g, gx = rng.standard_normal(col.shape).astype(dtype), np.empty_like(x)
    col2im(g, at.stride, at.padding, at.dilation, gx)
    assert abs(np.vdot(g, col) - np.vdot(gx, x)) <= 1e-12 * np.vdot(np.abs(g), np.abs(col))


@pytest.mark.parametrize("argument", [0, 1])
def test_complex_step_through_conv2d_gives_its_derivative(argument: int) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 2, 5, 4)), rng.standard_normal((2, 3, 2, 3, 2))
    g, direction = rng.standard_normal((2, 3, 3, 3, 3)), rng.standard_normal((x, w)[argument].shape)
    settings = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 1)}
    moved = [x, w]
    moved[argument] = moved[argument] + 1e-30j * direction
    by_step = np.vdot(g, tk.conv2d(*moved, **settings).imag) / 1e-30
    adjoint = tk.conv2d_input(g, w, (5, 4), **settings) if argument == 0 else tk.conv2d_weight(x, g, (3, 2), **settings)
    np.testing.assert_allclose(np.vdot(adjoint, direction), by_step, rtol=1e-12)


def test_images_leave_in_channels_last_memory_and_filters_in_their_own() -> None:
    x, w = np.ones((2, 3, 4, 6, 6), np.float32), np.ones((2, 5, 4, 3, 3), np.float32)
    y = tk.conv2d(x, w)
    assert np.moveaxis(y, -3, -1).flags.c_contiguous
    assert np.moveaxis(tk.conv2d_input(y, w, (6, 6)), -3, -1).flags.c_contiguous
    assert tk.conv2d_weight(x, y, (3, 3)).flags.c_contiguous


def test_a_window_larger_than_the_padded_image_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"3x3 window .* fit into a 2x5 image .* smaller window or more padding"):
        tk.conv2d(np.ones((1, 1, 2, 5)), np.ones((1, 1, 3, 3)))


def test_channels_that_do_not_match_are_an_error() -> None:
    with pytest.raises(ValueError):
        tk.conv2d(np.ones((1, 3, 4, 4)), np.ones((2, 2, 3, 3)))
