"""The implicit meta-gradient: conjugate gradients, and how its error falls with the work spent on it."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import SGD, flat


def spd(rng: np.random.Generator, n: int, low: float = 0.5, high: float = 5.0) -> Any:
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return q @ np.diag(np.linspace(low, high, n)) @ q.T


def test_conjugate_gradients_solve_a_system_in_as_many_iterations_as_it_has_dimensions() -> None:
    rng = np.random.default_rng(0)
    a, b = spd(rng, 6), rng.normal(size=6)
    x = tm.meta.conjugate_gradients(lambda v: tm.matmul(a, v), tm.tensor(b), 6)
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(a, b), rtol=1e-11)  # condition 10: a few digits at most


def test_every_iteration_brings_the_solution_closer_in_the_norm_of_the_matrix() -> None:
    rng = np.random.default_rng(1)
    a, b = spd(rng, 8), rng.normal(size=8)
    solution = np.linalg.solve(a, b)
    errors = []
    for k in range(8):
        e = tm.meta.conjugate_gradients(lambda v: tm.matmul(a, v), tm.tensor(b), k).numpy() - solution
        errors.append(e @ a @ e)
    assert errors == sorted(errors, reverse=True)


def test_more_iterations_than_needed_change_nothing() -> None:
    x = tm.meta.conjugate_gradients(lambda v: 2.0 * v, tm.tensor([1.0, 2.0]), 10)
    np.testing.assert_array_equal(x.numpy(), [0.5, 1.0])
    zero = tm.meta.conjugate_gradients(lambda v: 2.0 * v, tm.tensor([0.0]), 3)
    np.testing.assert_array_equal(zero.numpy(), [0.0])


def test_a_direction_of_negative_curvature_is_not_followed() -> None:
    a, b = np.diag([4.0, 1.0, -8.0]), np.array([1.0, 1.0, 0.25])
    solve = lambda k: tm.meta.conjugate_gradients(lambda v: tm.matmul(a, v), tm.tensor(b), k).numpy()
    once = solve(1)
    np.testing.assert_allclose(once, b * (b @ b) / (b @ a @ b), rtol=1e-15)  # b·Ab > 0: a step of steepest descent
    r = b - a @ once
    d = r + b * (r @ r) / (b @ b)
    assert d @ a @ d < 0  # so that the second direction leads nowhere
    for k in (2, 3, 10):
        np.testing.assert_array_equal(solve(k), once)
    no_minimum = tm.meta.conjugate_gradients(lambda v: -v, tm.tensor(b), 3)
    np.testing.assert_array_equal(no_minimum.numpy(), np.zeros(3))


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf, 1e308])
def test_a_product_that_is_not_finite_is_no_direction_to_leave_out(entry: float) -> None:
    """1e308 is finite, and its curvature along (3, 4) isn't."""
    with np.errstate(over="ignore", invalid="ignore"):
        for k in (1, 2, 3):
            x = tm.meta.conjugate_gradients(lambda v: v * [entry, 1.0], tm.tensor([3.0, 4.0]), k)
            assert not np.isfinite(x.numpy()).any()


def test_every_example_of_a_vmap_has_its_own_system() -> None:
    rng = np.random.default_rng(2)
    a, b = np.stack([spd(rng, 3) for _ in range(4)]), rng.normal(size=(4, 3))
    x = tm.vmap(lambda a, b: tm.meta.conjugate_gradients(lambda v: tm.matmul(a, v), b, 3))(a, b).numpy()
    np.testing.assert_allclose(x, np.linalg.solve(a, b[..., None])[..., 0], rtol=1e-11)


SOLVED = {  # where the steps' own derivative is wrong: the residual is 0, or a rounding error, after one or two steps
    "an eigenvector": [1.0, 0.0, 0.0],
    "nearly an eigenvector": [1.0, 1e-20, 0.0],
    "two eigenvectors": [3.0, 0.1, 0.0],
    "nothing": [0.0, 0.0, 0.0],
    "anything": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize("b", SOLVED.values(), ids=SOLVED)
def test_the_steps_of_conjugate_gradients_are_not_differentiated_and_the_error_names_the_program_that_is(
    b: list[float],
) -> None:
    a = np.diag([1.0, 2.0, 5.0])
    solved = lambda a, b: tm.meta.conjugate_gradients(lambda v: tm.matmul(a, v), b, 4)
    several = lambda a, b: tm.vmap(lambda b: solved(a, b))(b[None])
    for f, of in itertools.product((solved, several, tm.compile(solved)), (0, 1)):
        with pytest.raises(tm.UserError, match=r"tm\.custom_vjp"):
            tm.grad(lambda a, b, f=f: tm.sum(f(a, b)), argnums=of)(a, np.array(b))
    solve = tm.custom_vjp(solved, lambda g, x, a, b: (lambda y: (-y[:, None] * x, y))(solve(a, g)))
    tm.testing.check_grad(lambda a, b: solve(a + a.mT, b), a / 2, np.array(b), order=2)


LAM = 2.0


def problem() -> tuple[Any, Any, Any, Any]:
    """A quadratic task: its loss, φ, an episode, and the exact meta-gradient (I + H/λ)⁻¹ ∇L_query(θ*)."""
    rng = np.random.default_rng(3)
    hessian, goal, query_goal, phi = spd(rng, 8, 0.1, 4.0), *rng.normal(size=(3, 8))
    minimum = np.linalg.solve(hessian + LAM * np.eye(8), hessian @ goal + LAM * phi)
    exact = np.linalg.solve(np.eye(8) + hessian / LAM, hessian @ (minimum - query_goal))

    def loss(theta: Any, goal: Any) -> Any:
        d = theta - goal
        return 0.5 * tm.sum(d * tm.matmul(hessian, d))

    return loss, tm.tensor(phi), tm.tasks.Episode(goal, query_goal), tm.tensor(exact)


def errors(steps: Any, cg: Any) -> dict[str, list[float]]:
    loss, phi, episode, exact = problem()
    return tm.meta.meta_gradient_errors(loss, phi, episode, exact, rule=SGD(0.2), lam=LAM, steps=steps, cg=cg)


def test_the_error_falls_with_inner_steps_as_fast_as_they_converge() -> None:
    # Gradient steps of 0.2 on a problem with curvatures from λ + 0.1 to λ + 4 shrink the distance to the minimum
    # by 1 − 0.2·2.1 = 0.58 each; 20 of them by 2e-5.
    curve = errors([0, 5, 20, 100], [8])["implicit, 8 CG"]
    assert curve == sorted(curve, reverse=True)
    assert curve[2] / curve[1] < 2 * 0.58**15
    assert curve[3] < 1e-12


def test_the_error_falls_with_conjugate_gradient_iterations() -> None:
    curves = errors([100], [1, 2, 4, 8])
    found = [curves[f"implicit, {k} CG"][0] for k in (1, 2, 4, 8)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 1e-2 > 1e-12 > found[-1]


def test_unrolling_gets_there_too_and_first_order_never_does() -> None:
    curves = errors([5, 100], [5])
    assert curves["unrolled"][1] < 1e-12 < curves["unrolled"][0]
    assert curves["first-order"][1] > 0.1


def test_the_word_means_the_default_settings() -> None:
    loss, phi, episode, _ = problem()
    named, spelled = (
        tm.grad(lambda p, how=how: tm.meta.query_loss(loss, p, episode, rule=SGD(0.2), steps=4, differentiate=how))(phi)
        for how in ("implicit", tm.meta.Implicit(lam=2.0, cg=5))
    )
    np.testing.assert_array_equal(flat(named), flat(spelled))


def test_the_record_does_not_grow_with_the_inner_steps() -> None:
    loss, phi, episode, _ = problem()

    def nodes(steps: int) -> int:
        start = tm.tensor(phi, requires_grad=True)
        how: dict[str, Any] = {"rule": SGD(0.2), "steps": steps, "differentiate": "implicit"}
        return sum(tm.orders(tm.meta.query_loss(loss, start, episode, **how)).values())

    assert nodes(50) == nodes(1)


def test_no_inner_step_is_kept_in_memory() -> None:
    seen: list[Any] = []

    class Watched(tm.optim.SGD):
        def update(self, grads: Any, state: Any, params: Any) -> Any:
            alive.append(sum(ref() is not None for ref in seen))
            seen.append(weakref.ref(params))
            return super().update(grads, state, params)

    alive: list[int] = []
    loss, phi, episode, _ = problem()
    how: dict[str, Any] = {"rule": Watched(0.2), "steps": 10, "differentiate": "implicit"}
    tm.grad(lambda p: tm.meta.query_loss(loss, p, episode, **how))(phi)
    assert len(alive) == 10 and max(alive) == 0


def solution_of(phi: Any, weight: Any, lam: Any = LAM, damping: Any = 0.5) -> Any:
    """Where a task's quartic inner problem ends, as a function of everything it depends on: two parameters."""
    loss = lambda theta, goal: tm.sum(weight * (theta["a"] - goal) ** 4) / 4 + tm.sum(theta["b"] ** 2 * theta["a"])
    how: dict[str, Any] = {"rule": SGD(0.05), "steps": 3, "differentiate": tm.meta.Implicit(lam, 4, damping)}
    return tm.meta.adapt(loss, phi, tm.tensor(1.5), **how)


def quartic() -> list[Any]:
    rng = np.random.default_rng(4)
    phi = {name: tm.tensor(rng.uniform(0.5, 1.0, 2)) for name in ("a", "b")}
    return [phi, tm.tensor(rng.uniform(0.5, 1.0, 2)), tm.tensor(LAM), tm.tensor(0.5)]


def linear(*args: Any) -> Any:
    """A value whose own derivatives of the second order are 0: what is left is the solution's."""
    return tm.sum(solution_of(*args)["a"] + 2.0 * solution_of(*args)["b"])


@pytest.mark.parametrize("value", [linear, lambda *args: linear(*args) ** 3])
@pytest.mark.parametrize("inner", range(3))
@pytest.mark.parametrize("outer", range(4))
def test_a_second_derivative_is_an_error_whatever_it_is_taken_in(value: Any, inner: int, outer: int) -> None:
    first = tm.grad(value, inner)
    with pytest.raises(tm.UserError, match="first derivatives only.*differentiate='exact'"):
        tm.grad(lambda *args: sum(tm.sum(g) for g in tm.tree.leaves(first(*args))), outer)(*quartic())


def test_a_second_derivative_that_nobody_takes_is_no_error() -> None:
    def outer(phi: Any, weight: Any) -> Any:
        meta = tm.tree.map(lambda g: g.detach(), tm.grad(linear)(phi, weight))
        return tm.sum(meta["a"] * phi["a"] * weight)

    phi, weight, *_ = quartic()
    slope = tm.grad(linear)(phi, weight)["a"].numpy()
    np.testing.assert_array_equal(tm.grad(outer)(phi, weight)["a"].numpy(), slope * weight.numpy())


def test_on_damping_the_solution_does_not_depend() -> None:
    phi, weight, lam, damping = quartic()
    assert float(tm.grad(linear, 3)(phi, weight, lam, damping)) == 0.0
    start = tm.grad(linear)(phi, weight, lam, damping)  # which it does depend on, with more damping the more
    assert (flat(start) != flat(tm.grad(linear)(phi, weight, lam, 0.0))).all()


def test_forwards_and_backwards_the_derivative_is_the_same() -> None:
    (phi, *rest), rng = quartic(), np.random.default_rng(5)
    along = {name: tm.tensor(rng.normal(size=2)) for name in phi}
    f = lambda phi: linear(phi, *rest)
    # Eight products and sums of a few numbers near 1, after four conjugate gradient iterations for four unknowns.
    expected = float(tm.tree.dot(tm.grad(f)(phi), along))
    assert expected != 0.0
    np.testing.assert_allclose(float(tm.jvp(f, [phi], [along])[1]), expected, rtol=1e-11)
