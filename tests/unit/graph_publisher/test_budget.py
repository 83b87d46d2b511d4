"""How fast a mailbox may be called, with a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph_publisher.budget import Budget, Budgets


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.floats(0.1, 11),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 60), st.integers(1, 5)), max_size=60),
)
def test_no_sequence_of_calls_exceeds_rate_and_burst(
    rate: float, burst: int, visits: list[tuple[float, int]]
) -> None:
    clock = Clock()
    budget = Budget(rate, burst, clock)
    used: list[float] = []
    for pause, calls in visits:
        clock.now += pause
        used.extend(clock.now + budget.reserve() for _ in range(calls))

    for first, since in enumerate(used):
        for last in range(first, len(used)):
            assert last - first + 1 <= rate * (used[last] - since) + burst + 1 + 1e-6
    for number, when in enumerate(used, 1):
        assert number <= rate * when + 1e-6


def test_a_new_budget_is_empty() -> None:
    assert Budget(10, 5, Clock()).reserve() == 0.1


def test_a_quiet_mailbox_saves_up_no_more_than_the_burst() -> None:
    clock = Clock()
    budget = Budget(10, 3, clock)
    clock.now = 3600.0

    assert [budget.reserve() for _ in range(4)] == [0.0, 0.0, 0.0, 0.1]


def test_lanes_of_one_mailbox_share_a_budget() -> None:
    budgets = Budgets(1, 1)

    assert budgets.of("a") is budgets.of("a")
    assert budgets.of("a") is not budgets.of("b")


def test_budgets_that_nobody_used_lately_are_dropped() -> None:
    budgets = Budgets(1, 1, keep=2)
    first = budgets.of("a")
    second = budgets.of("b")
    budgets.of("a")
    budgets.of("c")

    assert budgets.of("a") is first
    assert budgets.of("b") is not second
