"""The model of what workers cost and save, against a simulation of 2 to 1,000 of them."""

from __future__ import annotations

import heapq

import pytest

from tests.benchmarks.workers import PAGE, PLACE, report
from tests.benchmarks.workers_model import Costs, at_least, at_most, worth

CASES = {
    "a large step": (Costs(0.5, 0.002, 0.003, 0.01), 1000),
    "few parts": (Costs(0.1, 0.001, 0.001, 0.001), 8),
    "a small step": (Costs(0.001, 0.0005, 0.0002, 0.0001), 32),
    "a slow network": (Costs(0.2, 0.1, 0.05, 0.01), 256),
}


def simulated(costs: Costs, parts: int, workers: int) -> float:
    """One process that does one thing at a time, in the order in which it is asked for, and workers that compute."""
    now, left = 0.0, parts
    asked = [(0.0, worker, False) for worker in range(min(workers, parts))]  # when, who, and whether with a result
    fresh = set(range(workers))
    while asked:
        when, worker, result = heapq.heappop(asked)
        now = max(now, when)
        if result:
            now += costs.hand / 2
        if left:
            now += costs.hand / 2 + costs.send * (worker in fresh)
            fresh.discard(worker)
            left -= 1
            heapq.heappush(asked, (now + costs.part, worker, True))
    return now + costs.finish


@pytest.mark.parametrize("name", CASES)
def test_a_step_takes_what_the_model_says_for_2_to_1000_workers(name: str) -> None:
    costs, parts = CASES[name]
    rounding = 1 + 4 * parts * 2.0**-53  # of so many sums
    for workers in range(2, 1001):
        found = simulated(costs, parts, workers)
        assert at_least(costs, parts, workers) <= found * rounding
        assert found <= at_most(costs, parts, workers) * rounding


@pytest.mark.parametrize("name", CASES)
def test_more_workers_than_the_model_says_stop_paying(name: str) -> None:
    """The bounds are less than three times apart, and so are the best number of workers and the model's choice; beyond
    that number, the upper bound only grows."""
    costs, parts = CASES[name]
    chosen = worth(costs, parts)
    assert simulated(costs, parts, chosen) <= 3 * min(simulated(costs, parts, w) for w in range(1, 1001))
    bounds = [at_most(costs, parts, w) for w in range(1, parts + 1)]
    assert min(bounds) >= (1 - 1e-12) * min(bounds[max(0, chosen - 2) : chosen + 1])


def test_a_worker_alone_takes_as_long_as_its_parts() -> None:
    costs = Costs(1.0, 0.5, 0.25, 0.125)
    assert simulated(costs, 4, 1) == 0.5 + 4 * 1.25 + 0.125 <= at_most(costs, 4, 1)


def test_the_page_has_a_place_for_what_is_measured_and_stays_as_it_is_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.benchmarks.workers.commit", lambda: "1234567")
    monkeypatch.setattr("tests.benchmarks.workers.threads.count", 2)
    took = {"1 workers": 0.9, "2 workers": 0.5, "1 thread": 0.8, "threads": 0.4}
    text = report([1, 2], Costs(0.1, 0.001, 0.002, 0.003), took)
    assert "| 2 | 500.0 | 406.0 | 471.0 | 1.80 |" in text  # 4 t + s + h, and 2 s + 8 h + 4.5 t; both and the finish
    assert "a ratio of 2.00" in text and "1.80 times as fast as one, 0.90 of that ratio" in text
    before, after = PLACE.split(PAGE.read_text(encoding="utf-8"))
    written = PLACE.sub(lambda _: text, PAGE.read_text(encoding="utf-8"))
    assert written == before + text + after and PLACE.sub(lambda _: text, written) == written
