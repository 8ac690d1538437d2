"""Budgets of request weight in simulated time, without a network."""

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest
from binance_small_liability import RateLimitError
from binance_small_liability._call.limits import Limits, Reservation, Wait
from binance_small_liability._call.pacing import MINUTE, SOON, Budget, Outcome
from binance_small_liability._io import real_time
from binance_small_liability._io.threads import run

from tests.clients import PACED

WEIGHT, BUDGET = PACED.weight, PACED.weight_per_minute or 0
UNCOUNTED, LOST, RELEASED = Outcome("answered"), Outcome("lost"), Outcome("released")


class Process:
    """A process with limits of its own. Its clock is `skew` seconds ahead."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew
        self.limits = Limits()

    def reserve(self) -> Reservation | Wait:
        return run(self.limits.reserve(PACED))

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        run(self.limits.settle(reservation, outcome))

    def cool_down(self, error: RateLimitError) -> None:
        run(self.limits.cool_down(PACED, error))


class Simulation:
    """Processes that call as fast as the limits allow, and a Binance that counts.

    It begins at `start`, in seconds of Binance's clock, and all workers begin within `spread`
    seconds. The shares `lost`, `silent` and `cancelled` of the requests get no answer, one without
    a count, or are given up before they arrive. In the first `outage` seconds no answer arrives.
    Binance refuses requests that exceed the budget. With `refusals` it also refuses all requests
    for some seconds in each minute.
    """

    def __init__(
        self,
        seed: int,
        *,
        start: float = 20.0,
        spread: float = 5.0,
        lost: float = 0.0,
        silent: float = 0.0,
        cancelled: float = 0.0,
        outage: float = 0.0,
        refusals: bool = False,
    ) -> None:
        self.now = self._start = 1_000 * MINUTE + start
        self._spread = spread
        self.counts: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost, self._silent, self._cancelled = lost, silent, cancelled
        self._outage_until = self.now + outage
        self._refusals = refusals
        self._refusing_until = 0.0
        self.cooling_until = 0.0  # The processes know that they may not send before.
        self.skew = 0.0  # of the process that acts

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._serial), event))

    def at_minute(self, minute: int, second: float, weight: int) -> None:
        """Other users of the address send."""
        moment = (self._start // MINUTE + minute) * MINUTE + second
        use = partial(self.counts.update, {int(moment // MINUTE): weight})
        self.at(moment - self.now, use)

    def worker(self, process: Process) -> None:
        """One thread of a process, which calls repeatedly."""

        def call() -> None:
            self.skew = process.skew
            reserved = process.reserve()
            if isinstance(reserved, Wait):
                assert reserved.seconds > 0
                self.at(reserved.seconds + self._random.random() / 1000, call)
                return
            assert self.now >= self.cooling_until, "reserved during a cool-down"
            is_cancelled = self._random.random() < self._cancelled
            self.at(self._random.uniform(0.001, 0.12), lambda: arrive(reserved, is_cancelled))
            if is_cancelled:
                self.at(0.001, lambda: settle(reserved, LOST))

        def arrive(reservation: Reservation, is_cancelled: bool) -> None:
            minute = int(self.now // MINUTE)
            self.counts[minute] += WEIGHT
            count, refusal = self.counts[minute], self._refusal(minute)
            if not is_cancelled:
                delay = self._random.uniform(0.001, 0.16)
                outcome = self._outcome(count, is_refused=refusal is not None)
                self.at(delay, lambda: settle(reservation, outcome, refusal))

        def settle(
            reservation: Reservation, outcome: Outcome, refusal: RateLimitError | None = None
        ) -> None:
            self.skew = process.skew
            if refusal is not None and outcome.kind == "refused":
                process.cool_down(refusal)
                # 1 ms less, because times in Redis are whole milliseconds.
                end = self.now + (refusal.retry_after or 0) - 0.001
                self.cooling_until = max(self.cooling_until, end)
            process.settle(reservation, outcome)
            self.at(self._random.uniform(0, 0.05), call)

        self.at(self._random.uniform(0, self._spread), call)

    def _refusal(self, minute: int) -> RateLimitError | None:
        if self._refusals and not self.refused[minute] and self._random.random() < 0.05:
            self._refusing_until = self.now + self._random.uniform(0.5, 12)
        over = self.counts[minute] > BUDGET
        end = (minute + 1) * MINUTE if over else self._refusing_until
        if end <= self.now:
            return None
        self.refused[minute] += 1
        return RateLimitError(status_code=429, retry_after=math.ceil(end - self.now))

    def _outcome(self, count: int, *, is_refused: bool) -> Outcome:
        chance = self._random.random()
        if chance < self._lost or self.now < self._outage_until:
            return LOST
        if is_refused:
            return Outcome("refused")
        return UNCOUNTED if chance < self._lost + self._silent else Outcome("answered", count)

    def run(self, minutes: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(real_time, "monotonic", lambda: self.now + self.skew)
            while self._events and self._events[0][0] < self._start + minutes * MINUTE:
                self.now, _, event = heapq.heappop(self._events)
                event()

    def assert_used(self, minutes: int, least: float = 0.99) -> None:
        """No minute exceeds the budget, and the whole ones use this share of it on average."""
        assert max(self.counts.values()) <= BUDGET, self.counts
        first = int(self._start // MINUTE)
        full = [self.counts[minute] for minute in range(first + 1, first + minutes)]
        assert sum(full) >= least * BUDGET * len(full), self.counts


BURST = {"start": 60, "spread": 0.03}
BEHIND, AHEAD = -0.7, 1e9  # seconds


@pytest.mark.parametrize(
    ("skew", "workers", "minutes", "least", "options"),
    [
        *((AHEAD, workers, 3, 0.99, {}) for workers in (1, 4, 64)),
        # Bursts that begin at, or just after, the beginning of a minute.
        *((BEHIND, 60, 3, 0.99, BURST | {"start": start}) for start in (60, 60.2, 60.999, 66)),
        # The exception: a burst at the very end of a minute counts in both.
        *((AHEAD, 60, 4, 0.75, BURST | {"start": start}) for start in (59.9, 59.95)),
        (BEHIND, 8, 30, 0.98, {"start": 58}),
        (AHEAD, 8, 3, 0.99, {"lost": 0.05, "silent": 0.05}),
        (BEHIND, 20, 3, 0.95, {"cancelled": 0.2}),
        (AHEAD, 40, 3, 0.95, BURST | {"cancelled": 0.2}),
        (BEHIND, 40, 3, 0.95, BURST | {"outage": 0.9, "start": 60.1}),
        *((AHEAD, workers, 4, 0.9, {"refusals": True}) for workers in (1, 8, 40)),
    ],
    ids=str,
)
def test_a_process_uses_its_budget_and_never_more(
    skew: float, workers: int, minutes: int, least: float, options: dict[str, Any]
) -> None:
    simulation = Simulation(workers, **options)
    process = Process(skew)
    for _ in range(workers):
        simulation.worker(process)
    simulation.run(minutes)
    simulation.assert_used(minutes, least)
    assert bool(simulation.refused) == ("refusals" in options)


@pytest.mark.parametrize(("second", "weight", "refused"), [(0.001, 5_000, 0), (1.5, BUDGET, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_the_count_includes_other_users_of_the_address(
    seed: int, second: float, weight: int, refused: int
) -> None:
    simulation = Simulation(seed)
    for minute in (1, 2, 3):
        simulation.at_minute(minute, second, weight)
    process = Process()
    for _ in range(8):
        simulation.worker(process)
    simulation.run(minutes=4)
    # After they have used up a minute, nothing more is sent in it than was in flight.
    assert len(simulation.refused) == refused
    assert sum(simulation.refused.values()) <= 8 * refused
    if not refused:
        simulation.assert_used(minutes=4)


def _counted(count: int) -> Outcome:
    return Outcome("answered", count)


# When a request was sent, when it ended, and how; None if its end was never noted.
Request: TypeAlias = tuple[float, float, Outcome | None]


def _budget(limit: int, requests: list[Request]) -> Budget:
    """A budget of `limit` requests after these, which overlap as their times say."""
    budget = Budget(1, limit)
    events: list[tuple[float, int, float, Outcome | None]]
    events = [(sent, 0, sent, None) for sent, _, _ in requests]
    events += [(end, 1, sent, outcome) for sent, end, outcome in requests if outcome]
    for moment, _, sent, outcome in sorted(events, key=lambda event: event[:2]):
        if outcome is None:
            assert budget.reserve(moment) == 0
        else:
            budget.settle(sent, outcome, moment)
    return budget


@pytest.mark.parametrize(
    ("limit", "requests", "waits"),
    [
        # It occupies its weight until a minute after its end.
        (1, [(0, 5, _counted(1))], {5: 60, 64.5: 0.5, 65: 0}),
        (1, [(0, 5, Outcome("refused"))], {5: 60, 64.5: 0.5, 65: 0}),
        (2, [(0, 0, _counted(1)), (1, 5, UNCOUNTED)], {6: 54, 60: 0}),
        (1, [(0, 5, RELEASED)], {5: 0}),
        # A lost request may still be on its way.
        (1, [(0, 5, LOST)], {5: SOON, 14: SOON, 15: 60, 75: 0}),
        (1, [(0, 0, None)], {5: SOON, 10: 60, 69.5: 0.5, 70: 0}),
        # Others have used the budget. Their minute is over a minute after the first count in it.
        (3, [(0, 0, _counted(3))], {0: 60, 59.5: 0.5, 60: 0}),
        (4, [(0, 0, _counted(1)), (50, 50, _counted(4))], {50: 10, 60: 0}),
        # A lower count of a later request begins a minute.
        (4, [(0, 0, _counted(3)), (30, 30, _counted(1)), (31, 31, _counted(4))], {61: 29, 90: 0}),
        # So does a count long after the first one.
        (4, [(0, 0, _counted(3)), (60, 61, _counted(4))], {62: 59, 121: 0}),
        # An old request reports the old minute.
        (3, [(0, 0, _counted(1)), (59, 61, _counted(3))], {62: 0}),
        # The count may lack what is in flight.
        (3, [(0, 0, _counted(2)), (1, 1, None)], {2: SOON, 11: 0}),
        # A server that reports no count does not count.
        (1, [(0, 0, UNCOUNTED)], {0: 0}),
    ],
)
def test_how_long_a_request_waits(
    limit: int, requests: list[Request], waits: dict[float, float]
) -> None:
    for now, wait in waits.items():
        assert _budget(limit, requests).reserve(now) == pytest.approx(wait), now


@pytest.mark.parametrize(
    ("requests", "left"),
    [
        ([], 99),
        ([(0, 0, _counted(9)), (1, 1, _counted(10)), (45, 45, None)], 88),
        # Responses can overtake each other.
        ([(0, 2, _counted(30)), (1, 3, _counted(20))], 69),
        ([(0, 0, _counted(100))], -1),
        # Counts that do not grow are a mock's.
        ([(i, i, _counted(7)) for i in range(10)], 89),
        ([(i, i, _counted(7)) for i in range(11)], 99),
        ([(i, i, _counted(7)) for i in range(20)] + [(20, 20, _counted(8))], 88),
        ([(i, i, _counted(7 + i // 10)) for i in range(40)], 59),
        # A count that has grown is Binance's, also if refusals do not raise it.
        ([(i, i, _counted(min(i, 5))) for i in range(20)], 79),
        # Nor does a server count that reports nothing, whatever was lost before.
        ([(i, i, LOST if i < 5 else UNCOUNTED) for i in range(14)], 94),
        ([(i, i, LOST if i < 5 else UNCOUNTED) for i in range(15)], 99),
    ],
)
def test_what_is_left(requests: list[Request], left: int) -> None:
    assert _budget(99, requests).left(50) == left
