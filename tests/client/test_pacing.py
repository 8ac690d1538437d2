"""Reservations of request weight in simulated time, without a network."""

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from binance_small_liability import RateLimitError, operations
from binance_small_liability._call.limits import Limits, LocalLimits, Wait
from binance_small_liability._call.pacing import (
    LONGEST_DELAY,
    MINUTE,
    MOST_AHEAD,
    REORDERING,
    SOON,
    Budget,
    Outcome,
    Reservation,
)
from binance_small_liability._io import real_time
from binance_small_liability._io.threads import run

WEIGHT = operations.list_coins.weight
BUDGET = operations.list_coins.weight_per_minute or 0
UNCOUNTED, LOST = Outcome("answered"), Outcome("lost")
START = 29_000_000 * MINUTE + 20_000  # milliseconds; in the middle of a minute


class Simulation:
    """Processes that call as fast as the limits allow, and a Binance that counts.

    It begins at `start`, and all workers begin within `spread` milliseconds. The shares `lost`,
    `silent` and `cancelled` of the requests get no answer, one without a count, or are given up
    before they arrive. In the first `outage` milliseconds no answer arrives. Binance
    refuses requests that exceed the budget. With `refusals` it also refuses all requests for some
    seconds in each minute.
    """

    def __init__(
        self,
        seed: int,
        *,
        start: int = START,
        spread: int = 5_000,
        lost: float = 0.0,
        silent: float = 0.0,
        cancelled: float = 0.0,
        outage: int = 0,
        refusals: bool = False,
    ) -> None:
        self.start = start
        self.now = float(start)
        self._spread = spread
        self.counts: Counter[int] = Counter()
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost = lost
        self._silent = silent
        self._cancelled = cancelled
        self._outage_until = start + outage
        self._refusals = refusals
        self._refusing_until = 0.0
        # The processes know that they may not send before this time.
        self._cooling_until = 0.0
        self.refused: Counter[int] = Counter()

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._serial), event))

    def worker(self, process: "Process") -> None:
        """One thread of a process, which calls repeatedly."""

        def call() -> None:
            reserved = process.reserve(round(self.now + process.skew))
            if not isinstance(reserved, Reservation):
                self.at(max(reserved, 0.001) * 1000 + self._random.random(), call)
                return
            assert self.now >= self._cooling_until, "reserved during a cool-down"
            is_cancelled = self._random.random() < self._cancelled
            self.at(self._random.uniform(1, 120), lambda: arrive(reserved, is_cancelled))
            if is_cancelled:
                self.at(1, lambda: settle(reserved, LOST))

        def arrive(reservation: Reservation, is_cancelled: bool) -> None:
            minute = int(self.now // MINUTE)
            self.counts[minute] += WEIGHT
            count, refusal = self.counts[minute], self._refusal(minute)
            if not is_cancelled:
                self.at(self._random.uniform(0, 40), lambda: answer(reservation, count, refusal))

        def answer(reservation: Reservation, count: int, refusal: RateLimitError | None) -> None:
            outcome = self._outcome(count, is_refused=refusal is not None)
            self.at(self._random.uniform(1, 120), lambda: settle(reservation, outcome, refusal))

        def settle(
            reservation: Reservation, outcome: Outcome, refusal: RateLimitError | None = None
        ) -> None:
            if refusal is not None and outcome.kind == "refused":
                process.cool_down(refusal)
                # 1 ms less, because the simulated clock of Redis is rounded to milliseconds.
                end = self.now + (refusal.retry_after or 0) * 1000 - 1
                self._cooling_until = max(self._cooling_until, end)
            process.settle(reservation, outcome)
            self.at(self._random.uniform(0, 50), call)

        self.at(self._random.uniform(0, self._spread), call)

    def _refusal(self, minute: int) -> RateLimitError | None:
        if self._refusals and not self.refused[minute] and self._random.random() < 0.05:
            self._refusing_until = self.now + self._random.uniform(500, 12_000)
        over = self.counts[minute] > BUDGET
        end = (minute + 1) * MINUTE if over else self._refusing_until
        if end <= self.now:
            return None
        self.refused[minute] += 1
        return RateLimitError(status_code=429, retry_after=math.ceil((end - self.now) / 1000))

    def _outcome(self, count: int, *, is_refused: bool) -> Outcome:
        minute, chance = int(self.now // MINUTE), self._random.random()
        if chance < self._lost or self.now < self._outage_until:
            return LOST
        is_silent = chance < self._lost + self._silent
        if is_refused:
            return Outcome("refused", None if is_silent or count >= BUDGET else count, minute)
        return Outcome("answered", None if is_silent else count, minute)

    def run(self, minutes: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(real_time, "monotonic", lambda: self.now / 1000)
            while self._events and self._events[0][0] < self.start + minutes * MINUTE:
                self.now, _, event = heapq.heappop(self._events)
                event()

    def assert_used(self, minutes: int, least: float = 0.99) -> None:
        assert max(self.counts.values()) <= BUDGET, self.counts
        first = self.start // MINUTE
        full = [self.counts[minute] for minute in range(first + 1, first + minutes)]
        assert len(full) == minutes - 1
        assert min(full) >= least * BUDGET, self.counts


class Process:
    """A process with limits of its own. Its clock is `skew` milliseconds ahead."""

    def __init__(self, skew: float) -> None:
        self.skew = skew
        self._limits: Limits = LocalLimits()

    def reserve(self, now: int) -> Reservation | float:
        reserved = run(self._limits.reserve(operations.list_coins, now, is_trusted=True))
        return reserved.seconds if isinstance(reserved, Wait) else reserved

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        self._limits.settle(reservation, outcome)

    def cool_down(self, error: RateLimitError) -> None:
        run(self._limits.cool_down(operations.list_coins, error))


@pytest.mark.no_cover
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


@pytest.mark.no_cover
@pytest.mark.parametrize("skew", [-4_900, -2_000, 0, 999])
@pytest.mark.parametrize("begin", [-100, 0, 200, 500, 999, 2_500, 6_000])
@pytest.mark.parametrize("workers", [40, 100])
def test_a_burst_after_the_minute_began_stays_within_the_budget(
    skew: int, begin: int, workers: int
) -> None:
    simulation = Simulation(begin, start=START - START % MINUTE + begin, spread=30)
    process = Process(skew)
    for _ in range(workers):
        simulation.worker(process)
    simulation.run(minutes=3)
    simulation.assert_used(minutes=3)


@pytest.mark.no_cover
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


@pytest.mark.no_cover
@pytest.mark.parametrize("skew", [-4_900, 0, 999])
@pytest.mark.parametrize("begin", [0, 100, 20_000])
def test_requests_that_are_given_up_count(skew: int, begin: int) -> None:
    for troubles in ({"cancelled": 0.2}, {"outage": 900}):
        start = START - START % MINUTE + begin
        simulation = Simulation(begin, start=start, spread=30, **troubles)
        process = Process(skew)
        for _ in range(100):
            simulation.worker(process)
        simulation.run(minutes=3)
        assert max(simulation.counts.values()) <= BUDGET, (troubles, simulation.counts)


@pytest.mark.no_cover
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


@pytest.mark.no_cover
@pytest.mark.parametrize("skew", [-4_900, 0, 999])
@pytest.mark.parametrize("workers", [1, 8, 100])
@pytest.mark.parametrize("seed", range(4))
def test_a_process_continues_within_its_budget_after_refusals(
    skew: int, workers: int, seed: int
) -> None:
    simulation = Simulation(seed, refusals=True)
    process = Process(skew)
    for _ in range(workers):
        simulation.worker(process)
    simulation.run(minutes=4)
    simulation.assert_used(minutes=4)
    assert len(simulation.refused) >= 3


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(4))
def test_after_other_users_exceed_the_budget_nothing_is_sent_in_that_minute(seed: int) -> None:
    simulation = Simulation(seed)
    process = Process(0)
    for minute in range(1, 4):
        others = START // MINUTE + minute
        taken = partial(simulation.counts.update, {others: BUDGET})
        simulation.at(others * MINUTE - START + 1_500, taken)
    for _ in range(8):
        simulation.worker(process)
    simulation.run(minutes=4)
    assert sum(simulation.refused.values()) <= 3 * 8, "more than were in flight"
    assert len(simulation.refused) == 3


def _counted(count: int) -> Outcome:
    return Outcome("answered", count)


def _reserved(budget: Budget, now: int) -> Reservation:
    reservation = budget.reserve(operations.list_coins, now)
    assert isinstance(reservation, Reservation)
    return reservation


def test_the_wait_ends_when_the_next_minute_has_begun_on_every_clock() -> None:
    budget = Budget()
    reservation = _reserved(budget, START)
    budget.settle(reservation, _counted(BUDGET))
    assert budget.reserve(operations.list_coins, START) == (40_000 + 1_000) / 1000
    assert budget.reserve(operations.list_coins, START + 40_999) == 0.001
    _reserved(budget, START + 41_000)


def test_a_clock_that_was_an_hour_ahead_does_not_block_for_an_hour() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START + 60 * MINUTE), UNCOUNTED)
    reservation = _reserved(budget, START)
    budget.settle(reservation, _counted(BUDGET))
    wait = budget.reserve(operations.list_coins, START)
    assert isinstance(wait, float)
    assert wait <= 60


def test_a_server_that_reports_no_counts_is_not_paced() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.settle(_reserved(budget, START), UNCOUNTED)


def test_what_was_not_sent_does_not_count() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.settle(_reserved(budget, START), Outcome("released"))


def test_the_budget_can_be_used_to_the_last_unit() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START), _counted(0))
    requests = BUDGET // WEIGHT
    in_flight = [_reserved(budget, START) for _ in range(requests)]
    assert budget.reserve(operations.list_coins, START) == SOON
    for number, reservation in enumerate(in_flight, 1):
        budget.settle(reservation, _counted(number * WEIGHT))
    assert budget.reserve(operations.list_coins, START) == (40_000 + 1_000) / 1000
    # In the next minute they come one after the other.
    now = START + MINUTE
    for number in range(1, requests + 1):
        budget.settle(_reserved(budget, now), _counted(number * WEIGHT))
    assert budget.reserve(operations.list_coins, now) == (40_000 + 1_000) / 1000


def test_after_a_refusal_the_count_is_still_known() -> None:
    budget = Budget()
    refused = _reserved(budget, START)
    budget.settle(_reserved(budget, START), _counted(BUDGET - 3 * WEIGHT))
    budget.settle(refused, Outcome("refused"))
    # Binance may have counted the refused one.
    _reserved(budget, START)
    _reserved(budget, START)
    assert budget.reserve(operations.list_coins, START) == SOON


def test_refusals_count_before_binance_reported_a_count() -> None:
    budget = Budget()
    for _ in range(BUDGET // WEIGHT):
        budget.settle(_reserved(budget, START), Outcome("refused"))
    assert budget.reserve(operations.list_coins, START) == 41


def test_only_the_answer_to_a_later_request_counts_a_lost_one() -> None:
    budget = Budget()
    lost, beside = _reserved(budget, START), _reserved(budget, START)
    budget.settle(lost, LOST)
    budget.settle(beside, _counted(BUDGET - WEIGHT))
    assert isinstance(budget.reserve(operations.list_coins, START), float), (
        "the lost one is counted besides"
    )


@pytest.mark.parametrize(
    ("outcome", "later", "is_included"),
    # A lost one may still be on its way.
    [(LOST, REORDERING, True), (LOST, REORDERING - 1, False), (UNCOUNTED, 0, True)],
)
def test_an_answer_includes_what_was_made_long_enough_before(
    outcome: Outcome, later: int, is_included: bool
) -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START), _counted(WEIGHT))
    budget.settle(_reserved(budget, START), outcome)
    now = START + later
    budget.settle(_reserved(budget, now), _counted(BUDGET - WEIGHT))
    assert isinstance(budget.reserve(operations.list_coins, now), Reservation) is is_included


def test_answers_without_a_count_are_counted_in_each_minute() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START), _counted(WEIGHT))
    for _ in range(BUDGET // WEIGHT):
        budget.settle(_reserved(budget, START + MINUTE), UNCOUNTED)
    assert isinstance(budget.reserve(operations.list_coins, START + MINUTE), float)


@pytest.mark.parametrize("before", [LONGEST_DELAY, LONGEST_DELAY + 1])
def test_a_request_lost_shortly_before_a_minute_may_be_counted_in_it(before: int) -> None:
    budget = Budget()
    begin = START - START % MINUTE + MINUTE
    for _ in range(BUDGET // WEIGHT):
        budget.settle(_reserved(budget, begin - before), LOST)
    reserved = budget.reserve(operations.list_coins, begin + MOST_AHEAD)
    assert isinstance(reserved, Reservation) is (before > LONGEST_DELAY)
    _reserved(budget, begin + MINUTE + MOST_AHEAD)


def test_a_clock_that_was_ahead_does_not_block_the_next_minute() -> None:
    budget = Budget()
    ahead = _reserved(budget, START + MINUTE)
    budget.settle(ahead, Outcome("answered", WEIGHT, ahead.minute - 1))
    # The clock has been corrected.
    budget.settle(_reserved(budget, START), _counted(BUDGET))
    assert budget.reserve(operations.list_coins, START) == 41
    _reserved(budget, START + 41_000)


def test_an_answer_dated_in_the_next_minute_begins_it() -> None:
    budget = Budget()
    first, beside = _reserved(budget, START), _reserved(budget, START)
    # It was counted in this minute or in the next.
    budget.settle(first, Outcome("answered", BUDGET, first.minute + 1))
    following = _reserved(budget, START)
    assert following.minute == first.minute + 1
    # The requests of both minutes count until the answer to a later one.
    budget.settle(following, Outcome("answered", BUDGET - 3 * WEIGHT, following.minute))
    _reserved(budget, START)
    _reserved(budget, START)
    assert budget.reserve(operations.list_coins, START) == SOON
    budget.settle(beside, Outcome("released"))
    _reserved(budget, START)


@pytest.mark.parametrize("ahead", [-60, -1, 2, 60])
def test_a_date_of_another_minute_is_not_believed(ahead: int) -> None:
    budget = Budget()
    reservation = _reserved(budget, START)
    budget.settle(reservation, Outcome("answered", BUDGET, reservation.minute + ahead))
    assert budget.reserve(operations.list_coins, START) == 41


@pytest.mark.parametrize(
    ("count", "dated", "is_included"),
    [
        (BUDGET, 0, False),
        (BUDGET, None, False),
        (BUDGET, -1, True),
        # Two requests of one minute have different counts.
        (BUDGET - WEIGHT, 0, True),
    ],
)
def test_a_late_answer_of_the_minute_before(
    count: int, dated: int | None, is_included: bool
) -> None:
    budget = Budget()
    late = _reserved(budget, START)
    current = _reserved(budget, START + MINUTE)
    budget.settle(current, _counted(BUDGET - WEIGHT))
    minute = None if dated is None else current.minute + dated
    budget.settle(late, Outcome("answered", count, minute))
    # If it was counted after the current one, one more would exceed the budget.
    assert (
        isinstance(budget.reserve(operations.list_coins, START + MINUTE), Reservation)
        is is_included
    )


def test_the_answer_to_a_later_request_includes_a_late_one() -> None:
    budget = Budget()
    late = _reserved(budget, START)
    budget.settle(late, Outcome("answered", BUDGET, late.minute + 1))
    later = _reserved(budget, START)
    budget.settle(later, _counted(BUDGET - WEIGHT))
    _reserved(budget, START)


def test_a_count_includes_late_answers_with_smaller_counts() -> None:
    budget = Budget()
    late = _reserved(budget, START)
    current = _reserved(budget, START + MINUTE)
    budget.settle(late, Outcome("answered", BUDGET - WEIGHT, current.minute))
    budget.settle(current, _counted(BUDGET - WEIGHT))
    _reserved(budget, START + MINUTE)


def test_a_request_in_flight_for_two_minutes_is_forgotten() -> None:
    budget = Budget()
    for minute, most in enumerate([120, 0, 120]):
        now = START + minute * MINUTE
        for _ in range(most):
            _reserved(budget, now)
        assert budget.reserve(operations.list_coins, now) == SOON


@pytest.mark.parametrize("later", [2, 3])
def test_a_request_in_flight_before_a_pause_is_forgotten(later: int) -> None:
    budget = Budget()
    for now in (START, START + later * MINUTE):
        for _ in range(120):
            _reserved(budget, now)


def test_a_forked_child_waits_for_no_answers() -> None:
    limits = LocalLimits()
    for _ in range(2):
        for _ in range(120):
            reserved = run(limits.reserve(operations.list_coins, START, is_trusted=True))
            assert isinstance(reserved, Reservation)
        limits._lock.acquire()  # another thread could hold it
        limits.renew()


def test_a_clock_that_is_set_back_by_a_minute_begins_its_own_minute() -> None:
    budget = Budget()
    reservation = _reserved(budget, START)
    budget.settle(reservation, Outcome("answered", WEIGHT, reservation.minute + 1))
    assert _reserved(budget, START).minute == reservation.minute + 1
    assert _reserved(budget, START - MINUTE).minute == reservation.minute - 1


def test_a_clock_that_was_two_minutes_ahead_is_forgotten() -> None:
    budget = Budget()
    budget.settle(_reserved(budget, START + 2 * MINUTE), Outcome("released"))
    assert _reserved(budget, START).minute == (START - 1_000) // MINUTE
