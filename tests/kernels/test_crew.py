"""The crew: the same parts whoever takes them, callers that don't wait for each other, a fork that lives."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tinymeta_kernels import addresses, crew, machine

if not addresses.callable_from_loops():
    pytest.skip("the machine needs Numba", allow_module_level=True)

Program = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sums(tasks: int, cores: int) -> tuple[Program, np.ndarray]:
    """A loop that adds a number of each task to the sum of its part, and those sums."""
    add = addresses.loop("add", (np.dtype(float),) * 3)
    assert add is not None
    # opcode, length, address, data, operands, axes, size; slot, offset, step, stride of each operand
    operands = [2, 0, 0, 0, 1, 0, 8, 8, 2, 0, 0, 0]
    body = np.array([machine.LOOP, 7 + len(operands), *add, 3, 1, -1, *operands], np.int64)
    numbers, totals = np.random.default_rng(0).normal(size=tasks), np.zeros(cores)
    base = np.zeros((cores, 4), np.int64)
    base[:, 1] = numbers.ctypes.data
    base[:, 2] = [totals[k:].ctypes.data for k in range(cores)]
    work = np.zeros((cores, machine.WORK), np.int64)
    return (np.zeros(0, np.int64), body, base, work, numbers), totals


def shared(crew_: crew.Crew, program: Program, tasks: int, grain: int = 1, block: int = 4, patience: int = 0) -> None:
    before, body, base, work, _ = program
    crew_.share(before, body, base, work, tasks, grain, block, patience)


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end, "it never happened"


@pytest.mark.parametrize("cores", [2, 3, 5])
@pytest.mark.parametrize(("tasks", "grain"), [(0, 1), (1, 1), (7, 1), (64, 1), (130, 64), (64, 64)])
def test_every_task_is_done_once_and_parts_are_the_same_whoever_takes_them(cores: int, tasks: int, grain: int) -> None:
    team = crew.Crew(cores)
    program, totals = sums(tasks, cores)
    each = -(-tasks // (cores * grain)) * grain
    expected = [program[-1][k * each : (k + 1) * each].sum() for k in range(cores)]
    found = []
    for patience in (0, 0, 10**5, 10**5):  # alone at first, then as the helpers wake up
        totals[:] = 0
        shared(team, program, tasks, grain, patience=patience)
        found.append(totals.tobytes())
        np.testing.assert_allclose(totals, expected, rtol=1e-13, atol=1e-14)
    assert len(set(found)) == 1


def test_a_helper_does_its_part_goes_to_sleep_and_wakes_again() -> None:
    team = crew.Crew(2)
    program, totals = sums(6, 2)

    def helped() -> bool:
        team._boxes[0, 9] = -1  # where a caller writes the helper's first task
        totals[:] = 0
        shared(team, program, 6, patience=10**4)
        np.testing.assert_allclose(totals, [program[-1][:3].sum(), program[-1][3:].sum()], rtol=1e-13)
        return bool(team._boxes[0, 9] == 3)

    for _ in range(3):
        until(helped)
        until(lambda: team._boxes[0, 0] == crew.ASLEEP)


def test_a_caller_takes_back_what_no_helper_has_begun() -> None:
    team = crew.Crew(2)
    team._boxes[0, 0] = crew.FREE  # it looks awake, and sleeps: the system has put it aside
    program, totals = sums(6, 2)
    caller = threading.Thread(target=shared, args=(team, program, 6), daemon=True)
    caller.start()
    caller.join(60)
    assert not caller.is_alive(), "the caller waits for a helper that sleeps"
    np.testing.assert_allclose(totals, [program[-1][:3].sum(), program[-1][3:].sum()], rtol=1e-13)
    assert team._boxes[0, 0] == crew.FREE


def test_callers_on_several_threads_get_their_own_answers() -> None:
    team = crew.Crew(3)

    def call(_: int) -> bool:
        program, totals = sums(50, 3)
        shared(team, program, 50, patience=1000)
        return bool(np.isclose(totals.sum(), program[-1].sum(), rtol=1e-13))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(300)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_a_crew_of_its_own() -> None:
    program, totals = sums(8, 2)
    shared(crew.crew(2), program, 8, patience=10**4)
    expected = totals.copy()
    child = os.fork()
    if child == 0:
        totals[:] = 0
        shared(crew.crew(2), program, 8, patience=10**4)
        os._exit(0 if np.array_equal(totals, expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_there_is_one_crew_for_each_number_of_cores() -> None:
    assert crew.crew(2) is crew.crew(2) and crew.crew(2) is not crew.crew(3)
    assert sum(thread.name == "tinymeta-crew" for thread in threading.enumerate()) >= 3
