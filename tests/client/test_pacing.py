"""Reservations of request weight in simulated time, without a network."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from binance_small_liability._call.limits import MINUTE, SOON, Budget, Reservation
from binance_small_liability._operations import LIST_COINS

WEIGHT = LIST_COINS.weight
BUDGET = LIST_COINS.weight_per_minute or 0
START = 29_000_000 * MINUTE + 20_000  # milliseconds; in the middle of a minute


class Simulation:
    """Processes that call as fast as the limits allow, and a Binance that counts.

    A process is a function that reserves at its own time, and one that reports an outcome.
    """

    def __init__(self, seed: int, *, lost: float = 0.0, silent: float = 0.0) -> None:
        self.now = float(START)
        self.counts: Counter[int] = Counter()
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost = lost
        self._silent = silent

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._serial), event))

    def worker(self, process: "Process") -> None:
        """One thread of a process, which calls repeatedly."""

        def call() -> None:
            reserved = process.reserve(round(self.now + process.skew))
            if not isinstance(reserved, Reservation):
                self.at(max(reserved, 0.001) * 1000 + self._random.random(), call)
                return
            self.at(self._random.uniform(1, 120), lambda: arrive(reserved))

        def arrive(reservation: Reservation) -> None:
            minute = int(self.now // MINUTE)
            self.counts[minute] += WEIGHT
            count = self.counts[minute]
            self.at(self._random.uniform(1, 120), lambda: answer(reservation, count))

        def answer(reservation: Reservation, count: int) -> None:
            chance = self._random.random()
            if chance < self._lost:
                process.lose(reservation)
            else:
                silent = chance < self._lost + self._silent
                process.settle(reservation, None if silent else count)
            self.at(self._random.uniform(0, 50), call)

        self.at(self._random.uniform(0, 5_000), call)

    def run(self, minutes: int) -> None:
        while self._events and self._events[0][0] < START + minutes * MINUTE:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def assert_used(self, minutes: int, least: float = 0.99) -> None:
        assert max(self.counts.values()) <= BUDGET, self.counts
        first = START // MINUTE
        full = [self.counts[minute] for minute in range(first + 1, first + minutes)]
        assert len(full) == minutes - 1
        assert min(full) >= least * BUDGET, self.counts


class Process:
    """A process with its own budget. Its clock is `skew` milliseconds ahead."""

    def __init__(self, skew: float) -> None:
        self.skew = skew
        self._budget = Budget()

    def reserve(self, now: int) -> Reservation | float:
        return self._budget.reserve(LIST_COINS, now)

    def settle(self, reservation: Reservation, count: int | None) -> None:
        self._budget.settle(reservation, count)

    def lose(self, reservation: Reservation) -> None:
        self._budget.lose(reservation)


@pytest.mark.parametrize("skew", [-4_900, -2_000, -1, 0, 500, 999])
@pytest.mark.parametrize("workers", [1, 4, 64])
@pytest.mark.parametrize("seed", range(3))
def test_one_process_uses_its_budget_and_never_more(skew: int, workers: int, seed: int) -> None:
    simulation = Simulation(seed)
    process = Process(skew)
    for _ in range(workers):
        simulation.worker(process)
    simulation.run(minutes=4)
    simulation.assert_used(minutes=4)


@pytest.mark.parametrize("skew", [-4_900, 0, 999])
@pytest.mark.parametrize("seed", range(5))
def test_lost_and_silent_answers_count(skew: int, seed: int) -> None:
    simulation = Simulation(seed, lost=0.05, silent=0.05)
    process = Process(skew)
    for _ in range(8):
        simulation.worker(process)
    simulation.run(minutes=4)
    # The last lost request of a minute stays reserved, because Binance may have counted it.
    simulation.assert_used(minutes=4, least=0.95)


def test_the_count_includes_other_users_of_the_address() -> None:
    simulation = Simulation(1)
    process = Process(0)
    for minute in range(1, 4):
        others = START // MINUTE + minute
        taken = partial(simulation.counts.update, {others: 5_000})
        simulation.at(others * MINUTE - START + 1, taken)
    for _ in range(4):
        simulation.worker(process)
    simulation.run(minutes=4)
    simulation.assert_used(minutes=4)


def _reserved(budget: Budget, now: int) -> Reservation:
    reservation = budget.reserve(LIST_COINS, now)
    assert isinstance(reservation, Reservation)
    return reservation


def test_the_wait_ends_when_the_next_minute_has_begun_on_every_clock() -> None:
    budget = Budget()
    reservation = _reserved(budget, START)
    budget.settle(reservation, BUDGET)
    assert budget.reserve(LIST_COINS, START) == (40_000 + 1_000) / 1000
    assert budget.reserve(LIST_COINS, START + 40_999) == 0.001
    _reserved(budget, START + 41_000)


def test_a_clock_that_was_an_hour_ahead_does_not_block_for_an_hour() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START + 60 * MINUTE), None)
    reservation = _reserved(budget, START)
    budget.settle(reservation, BUDGET)
    wait = budget.reserve(LIST_COINS, START)
    assert isinstance(wait, float)
    assert wait <= 60


def test_a_server_that_reports_no_counts_is_not_paced() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.settle(_reserved(budget, START), None)


def test_what_was_not_sent_does_not_count() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.release(_reserved(budget, START))


def test_the_budget_can_be_used_to_the_last_unit() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START), 5_000)
    budget.forget()
    requests = BUDGET // WEIGHT
    in_flight = [_reserved(budget, START) for _ in range(requests)]
    assert budget.reserve(LIST_COINS, START) == SOON
    for number, reservation in enumerate(in_flight, 1):
        budget.settle(reservation, number * WEIGHT)
    assert budget.reserve(LIST_COINS, START) == (40_000 + 1_000) / 1000
    # In the next minute they come one after the other.
    now = START + MINUTE
    for number in range(1, requests + 1):
        budget.settle(_reserved(budget, now), number * WEIGHT)
    assert budget.reserve(LIST_COINS, now) == (40_000 + 1_000) / 1000


def test_only_the_answer_to_a_later_request_counts_a_lost_one() -> None:
    budget = Budget()
    lost, beside = _reserved(budget, START), _reserved(budget, START)
    budget.lose(lost)
    budget.settle(beside, BUDGET - WEIGHT)
    assert isinstance(budget.reserve(LIST_COINS, START), float), "the lost one is counted besides"
    budget = Budget()
    budget.lose(_reserved(budget, START))
    budget.settle(_reserved(budget, START), BUDGET - WEIGHT)
    _reserved(budget, START)


def test_a_count_that_has_not_grown_belongs_to_the_next_minute() -> None:
    budget = Budget()
    first = _reserved(budget, START)
    budget.settle(first, WEIGHT)
    budget.settle(_reserved(budget, START), WEIGHT)
    # Our clock is behind: it is still in the minute before.
    following = _reserved(budget, START)
    assert (following.minute, following.counted) == (first.minute + 1, WEIGHT)


def test_a_late_answer_of_the_minute_before_counts_in_this_one() -> None:
    budget = Budget()
    late = _reserved(budget, START)
    current = _reserved(budget, START + MINUTE)
    budget.settle(late, WEIGHT)
    budget.settle(current, BUDGET - WEIGHT)
    assert isinstance(budget.reserve(LIST_COINS, START + MINUTE), float)


def test_a_clock_that_was_two_minutes_ahead_is_forgotten() -> None:
    budget = Budget()
    budget.release(_reserved(budget, START + 2 * MINUTE))
    assert _reserved(budget, START).minute == (START - 1_000) // MINUTE
