"""Binance's limits: budgets of request weight, and cool-downs.

Only rules: nothing here waits or sends. Each endpoint has a budget per limiter and calendar minute
of Binance's clock. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import copy
import threading
from datetime import datetime
from typing import Any, Literal, Protocol

import attrs

from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io import real_time
from binance_small_liability._io.forks import renew_in_children

from .operation import Limiter, Operation

# Bans last from 2 minutes to 3 days. Source: the page above.
SHORTEST_BAN = 2 * 60  # seconds
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds
MINUTE = 60_000  # milliseconds
# Binance refuses a timestamp that is 1000 ms ahead of its clock. So 1000 ms after a minute began on
# our clock, it has begun on Binance's too.
MOST_AHEAD = 1_000  # milliseconds
# Binance may count a request in a minute that begins up to this much after the request was made:
# our clock may be behind, and a request takes some time.
LONGEST_DELAY = 10_000  # milliseconds
# Requests can arrive in another order only if they were made within this time of each other.
REORDERING = 500  # milliseconds
# Binance's count may or may not include the requests in flight. Their answers will show it.
SOON = 0.05  # seconds


@attrs.frozen
class Wait:
    """Nothing may be sent for `seconds`; `error` is the reason."""

    seconds: float
    error: RateLimitError


@attrs.frozen
class Reservation:
    """Weight that was reserved for one request.

    Attributes:
        number: its number within the budget, from 1.
        minute: the minute in which it was made, counted from the epoch. On Binance's clock that
            minute had begun.
        at: when it was made, in milliseconds.
    """

    operation: Operation[Any]
    number: int
    minute: int
    at: int


@attrs.frozen
class Outcome:
    """What became of a request.

    Attributes:
        kind: `released` if nothing was sent, `answered`, or `lost` if no answer arrived.
        count: the used weight that the answer reported, if any.
        minute: the minute of the answer's `Date`, counted from the epoch, if there was one.
    """

    kind: Literal["released", "lost", "answered"]
    count: int | None = None
    minute: int | None = None


def minute_of(moment: datetime) -> int:
    """The calendar minute of an aware datetime, counted from the epoch."""
    return int(moment.timestamp() * 1000) // MINUTE


class Budget:
    """The weight of one endpoint in one calendar minute.

    Binance's count is at most the sum of its last reported count, the requests in flight, and the
    requests that the reported count may lack. A request waits only if it would exceed the budget
    together with these.
    """

    def __init__(self) -> None:
        self._minute = 0
        # Whether an answer's `Date` began the minute; our clock may still be in the one before.
        self._is_dated = False
        self._counted = 0
        # If the server never reports a count, its budget is unknown.
        self._is_reported = False
        self._number = 0
        # Weight in flight, reserved in this minute and in the one before. Older is forgotten.
        self._in_flight = 0
        self._in_flight_before = 0
        # Requests that the last count may not include. The lost ones and those without a count, by
        # the time at which they were made:
        self._uncounted: list[int] = []
        # Those that may belong to the minute before, by the count in their answer:
        self._late_counts: list[int] = []
        # The last reservation that was made before the latest of these became known.
        self._last_unclear = 0

    def reserve(self, operation: Operation[Any], now: int) -> Reservation | float:
        """A reservation at `now` (milliseconds), or the seconds after which to ask again."""
        minute = (now - MOST_AHEAD) // MINUTE
        # A `Date` may begin a minute before our clock does. If our clock is further behind, it was
        # corrected.
        earliest = self._minute - 1 if self._is_dated else self._minute
        if minute < earliest or minute > self._minute:
            self._begin(minute, is_dated=False)
        weight = operation.weight
        used = self._counted + (len(self._uncounted) + len(self._late_counts) + 1) * weight
        if operation.weight_per_minute is not None:
            if used > operation.weight_per_minute:
                return ((self._minute + 1) * MINUTE + MOST_AHEAD - now) / 1000
            if used + self._in_flight + self._in_flight_before > operation.weight_per_minute:
                return SOON
        self._in_flight += weight
        self._number += 1
        return Reservation(operation, self._number, self._minute, now)

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request."""
        weight = reservation.operation.weight
        if reservation.minute == self._minute:
            self._in_flight = max(0, self._in_flight - weight)
        elif reservation.minute == self._minute - 1:
            self._in_flight_before = max(0, self._in_flight_before - weight)
        else:
            return  # forgotten
        if outcome.kind == "released":
            return
        if outcome.minute == self._minute + 1:
            self._begin(self._minute + 1, is_dated=True)
        if outcome.count is None:
            if outcome.kind == "lost":
                self._uncounted.append(reservation.at)
            elif self._is_reported:  # It has arrived, so the count of a later request includes it.
                self._uncounted.append(reservation.at - REORDERING)
            self._last_unclear = self._number
            return
        self._is_reported = True
        if reservation.minute == self._minute:
            self._counted = max(self._counted, outcome.count)
            if reservation.number > self._last_unclear:
                self._uncounted = [at for at in self._uncounted if at > reservation.at - REORDERING]
                self._late_counts = []
            # A count includes all requests with smaller counts.
            self._late_counts = [count for count in self._late_counts if count > self._counted]
        elif outcome.minute in (None, self._minute) and outcome.count > self._counted:
            self._late_counts.append(outcome.count)
            self._last_unclear = self._number

    def forget(self) -> None:
        """Binance has said when it accepts requests again; its count no longer matters."""
        self._counted, self._uncounted, self._late_counts = 0, [], []

    def forget_in_flight(self) -> None:
        """In a forked child: the answers will arrive in the parent."""
        self._in_flight = self._in_flight_before = 0

    def _begin(self, minute: int, *, is_dated: bool) -> None:
        self._in_flight_before = self._in_flight if minute == self._minute + 1 else 0
        self._uncounted = [at for at in self._uncounted if at >= minute * MINUTE - LONGEST_DELAY]
        self._minute, self._is_dated = minute, is_dated
        self._counted, self._in_flight, self._late_counts = 0, 0, []


class Limits(Protocol):
    """What a call asks before it sends a request, and what it reports afterwards."""

    def cooling(self, operation: Operation[Any]) -> Wait | None:
        """The cool-down that this client knows, if there is one."""

    async def reserve(
        self, operation: Operation[Any], now: int, *, is_trusted: bool
    ) -> Reservation | Wait:
        """Reserves the weight of one request.

        Args:
            operation: what will be requested.
            now: Binance's time in milliseconds, as far as known.
            is_trusted: whether Binance has accepted a timestamp of this clock.
        """

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request."""

    async def cool_down(self, operation: Operation[Any], error: RateLimitError) -> None:
        """Notes a refusal. A 429 stops the operation's limiter, a 418 stops every operation."""

    async def close(self) -> None:
        """Closes what it has opened."""


class LocalLimits:
    """The limits as one client knows them. Its threads and tasks share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[str, Budget] = {}
        # By limiter: when the cool-down ends, as `real_time.monotonic()` counts, and what began it.
        self._cooling: dict[Limiter, tuple[float, RateLimitError]] = {}
        renew_in_children(self)

    def renew(self) -> None:
        """A forked child has nothing in flight. A thread of the parent may hold the lock."""
        self._lock = threading.Lock()
        for budget in self._budgets.values():
            budget.forget_in_flight()

    def cooling(self, operation: Operation[Any]) -> Wait | None:
        """The cool-down of the operation's limiter, if there is one."""
        if not self._cooling or operation.limiter not in self._cooling:
            return None
        end, error = self._cooling[operation.limiter]
        seconds = end - real_time.monotonic()
        return Wait(seconds, error) if seconds > 0 else None

    async def reserve(
        self,
        operation: Operation[Any],
        now: int,
        *,
        is_trusted: bool,  # noqa: ARG002 - one client has one clock
    ) -> Reservation | Wait:
        """A reservation, or the wait for a cool-down or the next minute."""
        if (wait := self.cooling(operation)) is not None:
            return wait
        with self._lock:
            reserved = self._budget(operation).reserve(operation, now)
        if isinstance(reserved, Reservation):
            return reserved
        return Wait(reserved, budget_used_up(operation))

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request."""
        with self._lock:
            self._budget(reservation.operation).settle(reservation, outcome)

    async def cool_down(self, operation: Operation[Any], error: RateLimitError) -> None:
        """Sends nothing before the `Retry-After` of `error` has passed."""
        seconds = cool_down_seconds(error)
        if not seconds:
            return
        end = real_time.monotonic() + seconds
        limiters = Limiter if isinstance(error, IpBanError) else (operation.limiter,)
        with self._lock:
            self._budget(operation).forget()
            for limiter in limiters:
                if limiter not in self._cooling or end > self._cooling[limiter][0]:
                    # A copy, because the original keeps the frames that it passed through.
                    self._cooling[limiter] = end, copy.copy(error)

    async def close(self) -> None:
        """Nothing is open."""

    def _budget(self, operation: Operation[Any]) -> Budget:
        return self._budgets.setdefault(operation.name, Budget())


def cool_down_seconds(error: RateLimitError) -> float | None:
    """The seconds in which to send nothing after `error`, or None if they are not known."""
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_BAN)
    return SHORTEST_BAN if isinstance(error, IpBanError) else None


def budget_used_up(operation: Operation[Any]) -> RateLimitError:
    """The error of a call that would exceed the budget. Nothing was sent."""
    budget = f"{operation.weight_per_minute} per minute and {operation.limiter}"
    return RateLimitError(
        status_code=429,
        msg=f"Not sent: the budget of {operation.name}, {budget}, is used up.",
    )
