"""Binance's limits: budgets of request weight, and cool-downs.

Only rules: nothing here waits or sends. Each endpoint has a budget per limiter and calendar minute
of Binance's clock. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import copy
import threading
from typing import Any, Protocol

import attrs

from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io import real_time

from .operation import Limiter, Operation

# Bans last from 2 minutes to 3 days. Source: the page above.
SHORTEST_BAN = 2 * 60  # seconds
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds
MINUTE = 60_000  # milliseconds
# Binance refuses a timestamp that is 1000 ms ahead of its clock. So 1000 ms after a minute began on
# our clock, it has begun on Binance's too.
MOST_AHEAD = 1_000  # milliseconds
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
        minute: the minute in which it was made, counted from the epoch.
        counted: Binance's last count when it was made.
    """

    operation: Operation[Any]
    number: int = 0
    minute: int = 0
    counted: int = 0


class Budget:
    """The weight of one endpoint in one calendar minute.

    Binance has counted at most its last reported count, plus the requests in flight, plus the
    requests that were lost since. A request waits only if it would exceed the budget together with
    these.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._counted = 0
        self._in_flight = 0
        self._lost = 0
        self._number = 0
        self._last_lost = 0

    def reserve(self, operation: Operation[Any], now: int) -> Reservation | float:
        """A reservation at `now` (milliseconds), or the seconds after which to ask again."""
        minute = (now - MOST_AHEAD) // MINUTE
        # If the minute goes back, the clock was corrected.
        if minute > self._minute or minute < self._minute - 1:
            self._begin(minute, 0)
        known = self._counted + self._lost + operation.weight
        if operation.weight_per_minute is not None:
            if known > operation.weight_per_minute:
                return ((self._minute + 1) * MINUTE + MOST_AHEAD - now) / 1000
            if known + self._in_flight > operation.weight_per_minute:
                return SOON
        self._in_flight += operation.weight
        self._number += 1
        return Reservation(operation, self._number, self._minute, self._counted)

    def release(self, reservation: Reservation) -> None:
        """The request was not sent."""
        self._in_flight -= reservation.operation.weight

    def lose(self, reservation: Reservation) -> None:
        """The request was sent and no answer arrived: Binance may count it."""
        self.release(reservation)
        self._keep(reservation)

    def settle(self, reservation: Reservation, count: int | None) -> None:
        """The request was answered; `count` is the used weight that the answer reported, if any."""
        self.release(reservation)
        if reservation.number > self._last_lost:
            # The answer's count includes the requests that were lost earlier.
            self._lost = 0
        if count is None:
            # If the server never reports a count, its budget is unknown.
            if self._counted:
                self._keep(reservation)
            return
        # Within a minute the count has grown at least by this request. A smaller one belongs to the
        # next minute: Binance's clock is ahead of ours.
        in_next_minute = count < reservation.counted + reservation.operation.weight
        if reservation.minute == self._minute and in_next_minute:
            self._begin(self._minute + 1, count)
        elif reservation.minute == self._minute or in_next_minute:
            self._counted = max(self._counted, count)
        else:  # it may belong to either minute
            self._keep(reservation)

    def _keep(self, reservation: Reservation) -> None:
        """The request counts until an answer to a later one includes it."""
        self._lost += reservation.operation.weight
        self._last_lost = self._number

    def forget(self) -> None:
        """Binance has said when it accepts requests again; its count no longer matters."""
        self._begin(self._minute, 0)

    def _begin(self, minute: int, counted: int) -> None:
        self._minute, self._counted, self._lost = minute, counted, 0


class Limits(Protocol):
    """What a call asks before it sends a request, and what it reports afterwards."""

    def cooling(self, operation: Operation[Any]) -> Wait | None:
        """The cool-down that this process knows, if there is one."""

    async def reserve(
        self, operation: Operation[Any], now: int, *, is_trusted: bool
    ) -> Reservation | Wait:
        """Reserves the weight of one request.

        Args:
            operation: what will be requested.
            now: Binance's time in milliseconds, as far as known.
            is_trusted: whether Binance has accepted a timestamp of this clock.
        """

    def release(self, reservation: Reservation) -> None:
        """Gives a reservation back: nothing was sent."""

    def lose(self, reservation: Reservation) -> None:
        """Notes that a request was sent and not answered."""

    def settle(self, reservation: Reservation, count: int | None) -> None:
        """Notes Binance's count after a request was answered; None if it reported none."""

    async def cool_down(self, operation: Operation[Any], error: RateLimitError) -> None:
        """Notes a refusal. A 429 stops the operation's limiter, a 418 stops every operation."""

    async def close(self) -> None:
        """Closes what it has opened."""


class LocalLimits:
    """The limits as one process knows them. Threads and tasks share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[str, Budget] = {}
        # By limiter: when the cool-down ends, as `real_time.monotonic()` counts, and what began it.
        self._cooling: dict[Limiter, tuple[float, RateLimitError]] = {}

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
        is_trusted: bool,  # noqa: ARG002 - one process has one clock
    ) -> Reservation | Wait:
        """A reservation, or the wait for a cool-down or the next minute."""
        if (wait := self.cooling(operation)) is not None:
            return wait
        with self._lock:
            reserved = self._budget(operation).reserve(operation, now)
        if isinstance(reserved, Reservation):
            return reserved
        return Wait(reserved, budget_used_up(operation))

    def release(self, reservation: Reservation) -> None:
        """Gives a reservation back."""
        with self._lock:
            self._budget(reservation.operation).release(reservation)

    def lose(self, reservation: Reservation) -> None:
        """Notes a lost request."""
        with self._lock:
            self._budget(reservation.operation).lose(reservation)

    def settle(self, reservation: Reservation, count: int | None) -> None:
        """Notes Binance's count."""
        with self._lock:
            self._budget(reservation.operation).settle(reservation, count)

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
