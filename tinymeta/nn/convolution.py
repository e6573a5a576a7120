"""Convolution layers, and the small network that few-shot papers share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole, wholes
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.nn import init
from tinymeta.nn.layers import Linear
from tinymeta.nn.module import Module
from tinymeta.nn.normalization import BatchNorm, GroupNorm
from tinymeta.ops.conv import conv2d, pair
from tinymeta.ops.pool import max_pool2d
from tinymeta.ops.reduce import mean
from tinymeta.ops.select import relu


class Conv2d(Module):
    """Filters slid over images; see `tm.nn.conv2d`.

    Shapes: (…, inputs, H, W) → (…, outputs, OH, OW); `weight` (outputs, inputs / groups, kh, kw), `bias` (outputs,).
    Raises: ValueError where the groups don't divide the channels: `tm.nn.Conv2d(3, 4, 3, groups=2, rng=None)`.

    Parameters
    ----------
    inputs, outputs
        Channels before and after.
    window
        The filters' size: one number, or (vertical, horizontal).

    Examples
    --------
    >>> tm.nn.Conv2d(1, 8, 3, padding="same", rng=np.random.default_rng(0))(np.ones((5, 1, 28, 28))).shape
    (5, 8, 28, 28)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: int | tuple[int, int],
        *,
        rng: np.random.Generator,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: init.Initializer = init.he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        inputs, outputs, groups = wholes((inputs, outputs, groups), "a number of channels or groups")
        if groups < 1 or inputs % groups or outputs % groups:
            raise ValueError(f"Conv2d: groups={groups} must divide {inputs} and {outputs} channels ({user_site()})")
        size = pair(window, "window")
        fan_in, fan_out = inputs // groups * math.prod(size), outputs // groups * math.prod(size)
        self.weight = weight_init(rng, (outputs, inputs // groups, *size), fan_in, fan_out, dtype)
        self.bias = init.zeros((outputs,), dtype) if bias else None
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def __call__(self, x: ArrayLike) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ResidualBlock(Module):
    """y = relu(x + norm(conv(relu(norm(conv x))))), where a 1×1 convolution brings x to the shape of y if need be.

    Normalised in groups of channels, so that no example sees another one.

    Shapes: (n, inputs, H, W) → (n, outputs, H/stride, W/stride), rounded up.
    Raises: ValueError where the groups don't divide the channels: `tm.nn.ResidualBlock(1, 4, rng=None)`.
    Source: He et al. 2016, fig. 2; Wu & He 2018.

    >>> tm.nn.ResidualBlock(1, 8, 2, rng=np.random.default_rng(0))(np.ones((5, 1, 7, 7), np.float32)).shape
    (5, 8, 4, 4)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        *,
        rng: np.random.Generator,
        groups: int = 8,
        dtype: DTypeLike = np.float32,
    ) -> None:
        inputs, outputs, stride = wholes((inputs, outputs, stride), "a number of channels or a stride")
        self.norms = [GroupNorm(groups, outputs, dtype=dtype) for _ in range(2)]
        self.first = Conv2d(inputs, outputs, 3, rng=rng, stride=stride, padding=1, bias=False, dtype=dtype)
        self.second = Conv2d(outputs, outputs, 3, rng=rng, padding=1, bias=False, dtype=dtype)
        same = stride == 1 and inputs == outputs
        self.short = None if same else Conv2d(inputs, outputs, 1, rng=rng, stride=stride, bias=False, dtype=dtype)

    def __call__(self, x: ArrayLike) -> Tensor:
        x = as_tensor(x)
        y = self.norms[1](self.second(relu(self.norms[0](self.first(x)))))
        return relu(y + (x if self.short is None else self.short(x)))


class ConvNet4(Module):
    """Four times convolution 3×3, normalisation and ReLU; then a linear head, or none: an embedding.

    With stride 2 it is the Omniglot network of Finn et al. (2017, § 5.2), whose features are the mean over
    the remaining pixels. With `pool=True` the stride is 1, a 2×2 maximum follows each ReLU, and the
    features are all that remains: the embedding of Snell et al. (2017, § 3) and Vinyals et al. (2016).
    Either way a 28×28 image has `channels` features. Convolutions have no bias where a normalisation,
    which would take it off again, follows.

    Shapes: (n, *image) → (n, outputs), or (n, features) without a head.
    Raises: ShapeError for images that can't be halved so often:
    `tm.nn.ConvNet4(5, image=(1, 0, 0), rng=None)`, or that it isn't built for.
    Source: Vinyals et al. 2016; Finn et al. 2017; Snell et al. 2017.

    Parameters
    ----------
    outputs
        Size of the linear head; None gives the features.
    image
        (channels, height, width) of an example.
    pool
        Halve the size by pooling instead of by the stride.
    halvings
        How many of the four, from the first on, halve the size.
    norm
        A normalisation layer, called `norm(channels, dtype=dtype)`; None leaves it out.

    Examples
    --------
    >>> net = tm.nn.ConvNet4(5, channels=4, image=(1, 16, 16), rng=np.random.default_rng(0))
    >>> net(np.ones((2, 1, 16, 16))).shape
    (2, 5)
    """

    def __init__(
        self,
        outputs: int | None = None,
        *,
        rng: np.random.Generator,
        image: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        pool: bool = False,
        halvings: int = 4,
        norm: Callable[..., Module] | None = BatchNorm,
        weight_init: init.Initializer = init.he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        sizes, halvings = wholes(image, "an image's size"), whole(halvings, "halvings")
        sides = sizes[1:]
        for _ in range(halvings):
            sides = tuple(n // 2 if pool else (n + 1) // 2 for n in sides)
        if min(sides) < 1:
            raise ShapeError(f"ConvNet4 halves images {halvings} times, and {image[1:]} is too small ({user_site()})")
        self.image, self.pool, self.halvings = sizes, pool, halvings
        self.convs = [
            Conv2d(
                sizes[0] if k == 0 else channels,
                channels,
                3,
                rng=rng,
                stride=1 if pool or k >= halvings else 2,
                padding=1,
                bias=norm is None,
                weight_init=weight_init,
                dtype=dtype,
            )
            for k in range(4)
        ]
        self.norms = None if norm is None else [norm(channels, dtype=dtype) for _ in range(4)]
        width = channels * math.prod(sides) if pool else channels
        head_init = init.glorot_uniform
        self.head = None if outputs is None else Linear(width, outputs, rng=rng, weight_init=head_init, dtype=dtype)

    def __call__(self, x: ArrayLike) -> Tensor:
        z = self.features(x)
        return z if self.head is None else self.head(z)

    def features(self, x: ArrayLike) -> Tensor:
        """(n, channels, height, width) to (n, features)."""
        x = as_tensor(x)
        if x.shape[1:] != self.image:
            raise ShapeError(
                f"this ConvNet4 needs images (n, {', '.join(map(str, self.image))}) and got {x.shape} ({user_site()}): "
                "x.reshape((-1, *image)) brings flattened ones into shape, and image= says what it is built for"
            )
        for k, conv in enumerate(self.convs):
            x = conv(x)
            x = relu(x if self.norms is None else self.norms[k](x))
            if self.pool and k < self.halvings:
                x = max_pool2d(x, 2)
        return x.reshape((len(x), math.prod(x.shape[1:]))) if self.pool else mean(x, (-2, -1))
