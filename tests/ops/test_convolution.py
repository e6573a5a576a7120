"""Convolution against its definition, a sum over windows, and its transpose against the adjoint identity."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import same, vmap_is_a_loop

RNG = np.random.default_rng(5)


def by_definition(x, w, stride, padding, dilation, groups):
    """y[n, o, a, b] = Σ over c, i, j of x[n, c, a·s − p + i·d, b·s − p + j·d] · w[o, c, i, j], entry by entry."""
    (n, _, height, width), (out, each, kh, kw) = x.shape, w.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    oh = (height + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((n, out, oh, ow))
    for o, a, b, c, i, j in itertools.product(*map(range, (out, oh, ow, each, kh, kw))):
        row, column = a * sh - ph + i * dh, b * sw - pw + j * dw
        if 0 <= row < height and 0 <= column < width:
            y[:, o, a, b] += x[:, o // (out // groups) * each + c, row, column] * w[o, c, i, j]
    return y


@st.composite
def convolutions(draw):
    groups, each, out = draw(st.sampled_from([(1, 1, 1), (1, 2, 3), (2, 1, 2), (3, 1, 3), (2, 2, 4)]))
    pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
    stride, padding, dilation, window = draw(st.tuples(pairs(1, 3), pairs(0, 2), pairs(1, 2), pairs(1, 3)))
    spare = draw(pairs(0, 3))
    size = [max(1, d * (k - 1) + 1 - 2 * p) + extra for d, k, p, extra in zip(dilation, window, padding, spare)]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(draw(st.integers(0, 2)), groups * each, *size))
    w = rng.normal(size=(out, each, *window))
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


CASES = {
    "plain": ((2, 2, 4, 4), (3, 2, 3, 3), {}),
    "one by one": ((1, 2, 2, 3), (2, 2, 1, 1), {}),
    "strided": ((1, 2, 5, 5), (2, 2, 3, 3), {"stride": 2, "padding": 1}),
    "all at once": ((1, 4, 5, 4), (2, 2, 2, 3), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}),
    "depthwise": ((1, 3, 3, 3), (3, 1, 2, 2), {"groups": 3}),
    "same": ((1, 1, 3, 4), (2, 1, 3, 1), {"padding": "same"}),
}


@given(case=convolutions())
def test_conv2d_is_its_definition(case):
    x, w, how = case
    same(tm.conv2d(x, w, **how), by_definition(x, w, **how), operations=100)


@pytest.mark.parametrize(("image", "filters", "how"), CASES.values(), ids=CASES.keys())
def test_conv2d_is_right_at_orders_one_to_three(image, filters, how):
    x, w, b = RNG.normal(size=image), RNG.normal(size=filters), RNG.normal(size=filters[0])
    tm.testing.check_grad(lambda x, w, b: tm.sin(tm.conv2d(x, w, b, **how)), x, w, b, order=3, elements=8)


@pytest.mark.parametrize(("image", "filters", "how"), CASES.values(), ids=CASES.keys())
def test_vmap_of_conv2d_is_a_loop_whichever_side_is_batched(image, filters, how):
    x, w = RNG.normal(size=(3, *image)), RNG.normal(size=(3, *filters))
    f = lambda x, w: tm.conv2d(x, w, **how)
    vmap_is_a_loop(f, (x, w), (0, 0))
    vmap_is_a_loop(f, (x, w[0]), (0, None))
    vmap_is_a_loop(f, (x[0], w), (None, 0))


def test_vmap_over_images_and_within_it_over_filters():
    x, w = RNG.normal(size=(2, 2, 4, 4)), RNG.normal(size=(3, 1, 2, 3, 3))
    nested = tm.vmap(tm.vmap(tm.conv2d, (None, 0)), (0, None))(x, w)
    looped = np.array([[tm.conv2d(image, one).numpy() for one in w] for image in x])
    np.testing.assert_allclose(nested.numpy(), looped, rtol=1e-12, atol=1e-13)


TRANSPOSED = {
    "plain": {},
    "strided": {"stride": 2},
    "all at once": {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 0), "dilation": (1, 2)},
    "in groups": {"groups": 2, "padding": 1},
}


@pytest.mark.parametrize("how", TRANSPOSED.values(), ids=TRANSPOSED.keys())
def test_the_transposed_convolution_is_the_adjoint_of_the_convolution(how):
    groups = how.get("groups", 1)
    x, w = RNG.normal(size=(2, 4, 3, 4)), RNG.normal(size=(4, 4 // groups, 3, 2))
    y = tm.conv_transpose2d(x, w, **how)
    z = RNG.normal(size=y.shape)
    forward = {k: v for k, v in how.items() if k != "output_padding"}
    assert float((y * z).sum()) == pytest.approx(float((tm.conv2d(z, w, **forward) * x).sum()), rel=1e-12)


@pytest.mark.parametrize("how", TRANSPOSED.values(), ids=TRANSPOSED.keys())
def test_the_transposed_convolution_is_right_at_orders_one_to_three_and_under_vmap(how):
    w = RNG.normal(size=(2, 2 // how.get("groups", 1), 3, 2))
    x, b = RNG.normal(size=(1, 2, 3, 3)), RNG.normal(size=2)
    f = lambda x, w: tm.conv_transpose2d(x, w, b, **how)
    tm.testing.check_grad(lambda x, w: tm.sin(f(x, w)), x, w, order=3, elements=8)
    vmap_is_a_loop(f, (np.stack([x, -x]), w), (0, None))
    vmap_is_a_loop(f, (x, np.stack([w, -w])), (None, 0))


def test_one_dimensional_convolution_is_numpys_correlation():
    x, w, b = RNG.normal(size=7), RNG.normal(size=3), 0.5
    y = tm.conv1d(x[None], w[None, None], np.array([b]))
    np.testing.assert_allclose(y.numpy()[0], np.correlate(x, w) + b, rtol=1e-13)
    full = tm.conv_transpose1d(x[None], w[None, None])
    np.testing.assert_allclose(full.numpy()[0], np.convolve(x, w), rtol=1e-12, atol=1e-14)


def test_one_dimensional_convolution_takes_every_option_of_two():
    x, w = RNG.normal(size=(2, 4, 9)), RNG.normal(size=(4, 2, 3))
    how = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    wide = {"stride": (1, 2), "padding": (0, 1), "dilation": (1, 2), "groups": 2}
    same(tm.conv1d(x, w, **how), tm.conv2d(x[:, :, None], w[:, :, None], **wide).numpy()[:, :, 0])
    tm.testing.check_grad(lambda x, w: tm.sin(tm.conv1d(x, w, **how)), x, w, order=2, elements=10)


def test_an_image_may_stand_alone_or_have_many_leading_axes():
    x, w, b = RNG.normal(size=(2, 3, 2, 4, 4)), RNG.normal(size=(5, 2, 3, 3)), RNG.normal(size=5)
    y = tm.conv2d(x, w, b).numpy()
    assert y.shape == (2, 3, 5, 2, 2)
    np.testing.assert_allclose(tm.conv2d(x[1, 2], w, b).numpy(), y[1, 2], rtol=1e-13)
    assert tm.conv2d(np.zeros((0, 2, 4, 4)), w).shape == (0, 5, 2, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolution_keeps_the_dtype_and_two_dtypes_meet_in_the_wider(dtype):
    x, w = RNG.normal(size=(1, 2, 4, 4)).astype(dtype), RNG.normal(size=(3, 2, 3, 3)).astype(dtype)
    assert tm.conv2d(x, w).dtype == dtype
    assert tm.conv2d(x, w.astype(np.float64)).dtype == np.float64
    assert tm.grad(lambda w: tm.conv2d(x, w).sum())(w).dtype == dtype


IMAGE, FILTERS = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.conv2d(np.ones((2, 4)), FILTERS), ValueError, "images"),
        (lambda: tm.conv2d(IMAGE, np.ones((3, 3))), ValueError, "filters"),
        (lambda: tm.conv2d(IMAGE, np.ones((3, 4, 3, 3))), ValueError, "4 channels"),
        (lambda: tm.conv2d(IMAGE, np.ones((3, 1, 3, 3)), groups=2), ValueError, "groups=2"),
        (lambda: tm.conv2d(IMAGE, np.ones((3, 2, 5, 5))), ValueError, "does not fit"),
        (lambda: tm.conv2d(IMAGE, FILTERS, stride=0), ValueError, "stride"),
        (lambda: tm.conv2d(IMAGE, FILTERS, padding=(1, 1, 1)), ValueError, "vertical, horizontal"),
        (lambda: tm.conv2d(IMAGE, FILTERS, padding="same", stride=2), ValueError, "stride 1"),
        (lambda: tm.conv2d(IMAGE.astype(np.uint8), FILTERS), TypeError, "astype"),
        (lambda: tm.conv1d(np.ones(4), np.ones((1, 1, 2))), ValueError, "signals"),
        (lambda: tm.conv_transpose2d(IMAGE, FILTERS), ValueError, "3 channels"),
        (lambda: tm.conv_transpose2d(IMAGE, np.ones((2, 3, 3, 3)), output_padding=1), ValueError, "output_padding"),
        (lambda: tm.conv_transpose2d(IMAGE, np.ones((2, 3, 1, 1)), padding=2), ValueError, "less padding"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "test_convolution.py" in str(caught.value)


def test_valid_padding_is_none_and_no_other_word_is_padding():
    assert np.array_equal(tm.conv2d(IMAGE, FILTERS, padding="valid").numpy(), tm.conv2d(IMAGE, FILTERS).numpy())
    pair = tm.conv2d(IMAGE, FILTERS, padding=np.array([1, 1]))  # which no word is compared with
    assert np.array_equal(pair.numpy(), tm.conv2d(IMAGE, FILTERS, padding=1).numpy())
    for word in ("full", "VALID", ""):
        with pytest.raises((TypeError, ValueError), match="padding"):
            tm.conv2d(IMAGE, FILTERS, padding=word)
