"""Convolution layers and the four-layer network of the few-shot papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


IMAGES = rng().uniform(size=(5, 1, 28, 28)).astype(np.float32)


def test_a_convolution_layer_holds_filters_and_a_bias_for_the_function() -> None:
    layer = tm.nn.Conv2d(2, 4, (3, 2), rng=rng(), stride=2, padding=1, groups=2)
    x = rng().normal(size=(3, 2, 6, 5)).astype(np.float32)
    assert layer.weight.shape == (4, 1, 3, 2)
    expected = tm.nn.conv2d(x, layer.weight, layer.bias, stride=2, padding=1, groups=2)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())


def test_filters_are_drawn_by_how_many_numbers_meet_in_one_and_how_many_a_number_reaches() -> None:
    def drawn(rng: Any, shape: Any, fan_in: int, fan_out: int, dtype: Any) -> Any:
        assert (shape, fan_in, fan_out) == ((8, 2, 3, 2), 2 * 3 * 2, 4 * 3 * 2)
        assert type(fan_in) is type(fan_out) is int
        return tm.nn.init.zeros(shape, dtype)

    layer = tm.nn.Conv2d(4, 8, (3, 2), rng=rng(), groups=2, weight_init=drawn)
    assert layer.weight.shape == (8, 2, 3, 2)


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="groups=2 must divide"):
        tm.nn.Conv2d(3, 4, 3, rng=rng(), groups=2)
    with pytest.raises(ValueError, match="groups"):
        tm.nn.Conv2d(4, 6, 3, groups=0, rng=rng())


@pytest.mark.parametrize("pool", [False, True])
def test_an_omniglot_image_has_64_features(pool: bool) -> None:
    assert tm.nn.ConvNet4(rng=rng(), pool=pool)(IMAGES).shape == (5, 64)
    assert tm.nn.ConvNet4(20, rng=rng(), pool=pool)(IMAGES).shape == (5, 20)


def test_pooled_features_are_all_that_remains_of_larger_images() -> None:
    net = tm.nn.ConvNet4(3, rng=rng(), image=(3, 84, 84), channels=8, pool=True)
    images = np.zeros((2, 3, 84, 84), np.float32)
    assert net.features(images).shape == (2, 8 * 5 * 5)
    assert net(images).shape == (2, 3)


def test_the_stride_2_network_has_the_parameters_of_the_paper_but_the_redundant_biases() -> None:
    net = tm.nn.ConvNet4(5, rng=rng())
    count = sum(leaf.size for leaf in tm.tree.leaves(net))
    assert count == 9 * 64 + 3 * 9 * 64 * 64 + 4 * 2 * 64 + 64 * 5 + 5


def test_the_norm_can_be_exchanged_or_left_out() -> None:
    grouped = tm.nn.ConvNet4(rng=rng(), norm=lambda channels, dtype: tm.nn.GroupNorm(8, channels, dtype=dtype))
    alone = grouped(IMAGES[:1]).numpy()
    np.testing.assert_allclose(grouped(IMAGES).numpy()[:1], alone, rtol=1e-4, atol=1e-5)  # float32, no batch statistics
    assert all(conv.bias is not None for conv in tm.nn.ConvNet4(rng=rng(), norm=None).convs)


def test_the_gradient_of_a_small_network_is_right_to_second_order() -> None:
    net = tm.nn.ConvNet4(2, rng=rng(), image=(1, 8, 8), channels=2, dtype=np.float64)
    x = rng().normal(size=(3, 1, 8, 8))
    tm.testing.check_grad(lambda net: tm.sin(net(x)), net, order=2, elements=10)


def test_images_of_another_shape_are_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"\(n, 1, 28, 28\).*reshape"):
        tm.nn.ConvNet4(rng=rng())(IMAGES.reshape(5, -1))
    with pytest.raises(ValueError, match=r"\(n, 1, 28, 28\)"):
        tm.nn.ConvNet4(rng=rng())(IMAGES[..., :27])
    with pytest.raises(ValueError, match="too small"):
        tm.nn.ConvNet4(rng=rng(), image=(1, 8, 8), pool=True)


def test_many_tasks_have_many_networks_under_vmap() -> None:
    def first_step(net: Any, x: Any) -> Any:
        return tm.tree.map(lambda p, g: p - 0.1 * g, net, tm.grad(lambda n: tm.sum(tm.tanh(n(x))))(net))(x)

    net = tm.nn.ConvNet4(2, rng=rng(), image=(1, 8, 8), channels=3, dtype=np.float64)
    x = rng().normal(size=(3, 4, 1, 8, 8))
    together = tm.vmap(first_step, in_axes=(None, 0))(net, x).numpy()
    for i in range(3):
        np.testing.assert_allclose(together[i], first_step(net, x[i]).numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("pool", "features"), [(True, 9 * 8), (False, 8)])
def test_three_halvings_leave_3_by_3_places(pool, features):
    network = tm.nn.ConvNet4(rng=np.random.default_rng(0), channels=8, pool=pool, halvings=3)
    x = np.random.default_rng(1).standard_normal((2, 1, 28, 28)).astype(np.float32)
    assert network(x).shape == (2, features)
    moved = np.roll(x, 8, axis=-1)
    assert not np.allclose(network(moved).numpy(), network(x).numpy(), atol=1e-3)


def test_one_side_that_is_too_small_is_enough() -> None:
    with pytest.raises(ValueError, match="too small"):
        tm.nn.ConvNet4(rng=np.random.default_rng(0), image=(1, 28, 1), pool=True)


def test_a_residual_block_halves_in_its_first_convolution_and_has_no_bias_before_a_norm() -> None:
    block = tm.nn.ResidualBlock(2, 8, 2, rng=np.random.default_rng(0), dtype=float)
    assert block.short is not None and block.first.bias is block.second.bias is block.short.bias is None
    assert [conv.weight.shape for conv in (block.first, block.short)] == [(8, 2, 3, 3), (8, 2, 1, 1)]
    y = block(np.ones((1, 2, 7, 7)))
    assert y.shape == (1, 8, 4, 4) and y.dtype == float
    assert all(leaf.dtype == float for leaf in tm.tree.leaves(block))
    assert len(tm.tree.leaves(block)) == 3 + 2 * 2  # convolutions, and weight and bias of norms


def test_a_residual_block_goes_round_by_a_convolution_only_where_the_shape_changes() -> None:
    blocks = [tm.nn.ResidualBlock(*shape, rng=rng(), groups=2) for shape in ((4, 4), (4, 4, 2), (2, 4))]
    assert [block.short is None for block in blocks] == [True, False, False]


def test_as_many_convolutions_have_a_stride_of_2_as_halve_and_the_head_is_glorots() -> None:
    net = tm.nn.ConvNet4(5, rng=rng(), halvings=3)
    assert [conv.stride for conv in net.convs] == [2, 2, 2, 1]
    largest = float(tm.max(tm.abs(net.head.weight)))  # of 320 numbers, uniform up to √(6/(64 + 5))
    assert 0.9 * (6 / 69) ** 0.5 < largest <= (6 / 69) ** 0.5


def test_a_residual_block_adds_what_it_computes_to_what_it_was_given() -> None:
    block = tm.nn.ResidualBlock(2, 2, rng=rng(), groups=1, dtype=float)
    block.norms[1].weight = block.norms[1].weight * 0
    x = np.random.default_rng(0).uniform(size=(1, 2, 3, 3))
    np.testing.assert_array_equal(block(x).numpy(), x)


def test_a_network_is_of_one_dtype() -> None:
    net = tm.nn.ConvNet4(5, rng=rng(), dtype=float)
    assert {leaf.dtype for leaf in tm.tree.leaves(net)} == {np.dtype(float)}
