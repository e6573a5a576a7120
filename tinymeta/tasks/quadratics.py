"""Quadratic problems: where a learned optimizer learns to optimize.

A problem is f(theta) = |W theta - y|^2. As an episode, the rows of W are the inputs and y the targets of a
linear model, whose mean squared error is f divided by their number. Support and query are the same points: what
is learned here is to minimise, not to generalise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, Episode, at_least


@dataclass(frozen=True)
class Quadratics:
    """Random quadratics, as of Andrychowicz et al. 2016 or with a chosen condition number.

    Shapes: x = W (tasks, dimensions, dimensions), y (tasks, dimensions, 1); θ (tasks, dimensions, 1).
    Raises: ValueError for no dimension, or a condition below 1: `tm.tasks.Quadratics(dimensions=0)`.
    Source: Andrychowicz et al. 2016, section 3.1.

    Parameters
    ----------
    dimensions : int
        Length of theta; W is square.
    condition : float or None
        None: the entries of W and y are uniform on [0, 1], as in the paper's code. A number: the
        eigenvalues of W^T W spread evenly in logarithm from 1 / condition to 1 in random directions, and y
        = W theta* with a normal theta*, so that the minimum is 0. Gradient descent takes a number of steps
        proportional to it.
    dtype : NumPy dtype
        Of W and y.

    Examples
    --------
    >>> tm.tasks.Quadratics(dimensions=4).sample(np.random.default_rng(0), tasks=3).support[0].shape
    (3, 4, 4)
    """

    dimensions: int = 10
    condition: float | None = None
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        at_least(self, dimensions=1, **({} if self.condition is None else {"condition": 1}))

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw problems: x = W is (tasks, dimensions, dimensions), y is (tasks, dimensions, 1)."""
        shape = (tasks, self.dimensions, self.dimensions)
        if self.condition is None:
            w, y = rng.random(shape), rng.random((*shape[:2], 1))
        else:
            # The factor Q of a normal matrix is a random rotation, up to signs that do not matter here.
            left, right = np.linalg.qr(rng.standard_normal((2, *shape))).Q
            singular = np.geomspace(1.0, self.condition**-0.5, self.dimensions)
            w = left * singular @ right
            y = w @ rng.standard_normal((*shape[:2], 1))
        pair = w.astype(self.dtype), y.astype(self.dtype)
        return Episode(pair, pair)

    def start(self, rng: np.random.Generator, tasks: int) -> Array:
        """Where optimizers start: theta of shape (tasks, dimensions, 1) with standard deviation 0.01."""
        return (0.01 * rng.standard_normal((tasks, self.dimensions, 1))).astype(self.dtype)
