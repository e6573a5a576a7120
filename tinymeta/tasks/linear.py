"""Random linear regressions: the family whose meta-gradient has a closed form.

For the mean squared error of f(x) = x w + b the Hessian does not depend on the parameters, so one inner
step theta' = theta - a g(theta) has the constant Jacobian I - a H with H = 2/n X^T X (X with a column of
ones). The exact meta-gradient is (I - a H) g_query(theta'), and a second-order engine must give it to
rounding error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, Episode, at_least


class Planes(NamedTuple):
    """The true functions of a batch of tasks: `weight` (tasks, features), `bias` (tasks,)."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Evaluate plane t at `x[t]`: (tasks, n, features) in, (tasks, n, 1) out."""
        return x @ self.weight[:, :, None] + self.bias[:, None, None]


@dataclass(frozen=True)
class LinearRegressions:
    """Tasks y = x w + b with Gaussian x, w and b, and Gaussian noise on all targets.

    Shapes: x (tasks, n, features), y (tasks, n, 1), n shots or query.
    Raises: ValueError for no shots, query or features: `tm.tasks.LinearRegressions(shots=0)`.

    Parameters
    ----------
    shots, query : int
        Points per task in the support and in the query set.
    features : int
        Length of x and of w.
    weight, bias : float
        Standard deviations of the entries of w, and of b. A family whose tasks resemble each other has
        small ones.
    mean : float
        Mean of every entry of w and of b: what an initialisation can learn.
    noise : float
        Standard deviation of the noise on y.
    dtype : NumPy dtype
        Of the arrays in the episodes. Closed-form checks want `np.float64`.

    Examples
    --------
    >>> episode = tm.tasks.LinearRegressions(shots=5, features=2).sample(np.random.default_rng(0), tasks=3)
    >>> episode.support[0].shape, episode.query[1].shape
    ((3, 5, 2), (3, 10, 1))
    """

    shots: int = 10
    query: int = 10
    features: int = 1
    weight: float = 1.0
    bias: float = 1.0
    mean: float = 0.0
    noise: float = 0.0
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        at_least(self, shots=1, query=1, features=1)

    def draw(self, rng: np.random.Generator, tasks: int) -> Planes:
        """Draw the functions alone; `sample` on an equal `rng` draws the same ones first."""
        weight = rng.normal(self.mean, self.weight, (tasks, self.features))
        return Planes(weight, rng.normal(self.mean, self.bias, tasks))

    def observe(self, rng: np.random.Generator, planes: Planes) -> Episode:
        """Draw the points at which given functions are seen."""

        def points(number: int) -> tuple[Array, Array]:
            x = rng.standard_normal((len(planes.bias), number, self.features))
            y = planes(x)
            y = y + self.noise * rng.standard_normal(y.shape)
            return x.astype(self.dtype), y.astype(self.dtype)

        return Episode(points(self.shots), points(self.query))

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw functions and points: x (tasks, n, features), y (tasks, n, 1)."""
        return self.observe(rng, self.draw(rng, tasks))
