"""The limits that a call respects: budgets of request weight, and cool-downs after a refusal.

Nothing here sends or waits. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import copy
import threading
from typing import Any, NamedTuple, Protocol

from binance_small_liability_api.operation import Operation

from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io import real_time
from binance_small_liability._io.forks import renew_in_children

from .pacing import Budget, Outcome, Reservation

# Bans last from 2 minutes to 3 days. Source: the page above.
SHORTEST_BAN = 2 * 60  # seconds
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds
LIMITERS = ("IP", "UID")


class Wait(NamedTuple):
    """Nothing may be sent for `seconds`; `error` is the reason."""

    seconds: float
    error: RateLimitError


class Limits(Protocol):
    """What a call asks before it sends a request, and what it reports afterwards."""

    def cooling(self, operation: Operation[..., Any]) -> Wait | None:
        """The cool-down that this client knows, if there is one."""

    async def reserve(
        self, operation: Operation[..., Any], now: int, *, is_trusted: bool
    ) -> Reservation | Wait:
        """Reserves the weight of one request.

        Args:
            operation: what will be requested.
            now: Binance's time in milliseconds, as far as known.
            is_trusted: whether Binance has accepted a timestamp of this clock.
        """

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request."""

    async def cool_down(self, operation: Operation[..., Any], error: RateLimitError) -> None:
        """Notes a refusal. A 429 stops the operation's limiter, a 418 stops every operation."""

    async def close(self) -> None:
        """Closes what it has opened."""


class LocalLimits:
    """The limits as one client knows them. Its threads and tasks share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[str, Budget] = {}
        # By limiter: when the cool-down ends, as `real_time.monotonic()` counts, and what began it.
        self._cooling: dict[str, tuple[float, RateLimitError]] = {}
        renew_in_children(self)

    def renew(self) -> None:
        """A forked child has nothing in flight. A thread of the parent may hold the lock."""
        self._lock = threading.Lock()
        for budget in self._budgets.values():
            budget.forget_in_flight()

    def cooling(self, operation: Operation[..., Any]) -> Wait | None:
        """The cool-down of the operation's limiter, if there is one."""
        if not self._cooling or operation.limiter not in self._cooling:
            return None
        end, error = self._cooling[operation.limiter]
        seconds = end - real_time.monotonic()
        return Wait(seconds, error) if seconds > 0 else None

    async def reserve(
        self,
        operation: Operation[..., Any],
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

    async def cool_down(self, operation: Operation[..., Any], error: RateLimitError) -> None:
        """Sends nothing before the `Retry-After` of `error` has passed."""
        seconds = cool_down_seconds(error)
        if not seconds:
            return
        end = real_time.monotonic() + seconds
        limiters = LIMITERS if isinstance(error, IpBanError) else (operation.limiter,)
        with self._lock:
            for limiter in limiters:
                if limiter not in self._cooling or end > self._cooling[limiter][0]:
                    # A copy, because the original keeps the frames that it passed through.
                    self._cooling[limiter] = end, copy.copy(error)

    async def close(self) -> None:
        """Nothing is open."""

    def _budget(self, operation: Operation[..., Any]) -> Budget:
        return self._budgets.setdefault(operation.name, Budget())


def cool_down_seconds(error: RateLimitError) -> float | None:
    """The seconds in which to send nothing after `error`, or None if they are not known."""
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_BAN)
    return SHORTEST_BAN if isinstance(error, IpBanError) else None


def budget_used_up(operation: Operation[..., Any]) -> RateLimitError:
    """The error of a call that would exceed the budget. Nothing was sent."""
    budget = f"{operation.weight_per_minute} per minute and {operation.limiter}"
    return RateLimitError(
        status_code=429,
        msg=f"Not sent: the budget of {operation.name}, {budget}, is used up.",
    )
