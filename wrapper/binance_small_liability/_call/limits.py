"""The limits that a call respects: budgets of request weight, and cool-downs after a refusal.

Nothing here sends or waits. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import copy
import math
import os
import threading
from typing import Any, NamedTuple

from binance_small_liability_api.operation import Operation
from binance_small_liability_api.operations import ALL

from binance_small_liability._config import LONGEST_BAN
from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io import real_time

from .pacing import Budget, Outcome

# Bans last from this time to `LONGEST_BAN`. Source: the page above.
SHORTEST_BAN = 2 * 60  # seconds
LIMITERS = {each.limiter for each in ALL.values()}


class Wait(NamedTuple):
    """Nothing may be sent for some time.

    Attributes:
        seconds: when to ask again.
        reason: why, for a message.
        status: the HTTP status of the refusal; 418 for a ban.
        refusal: the refusal that is the reason, if this client received it.
    """

    seconds: float
    reason: str
    status: int = 429
    refusal: RateLimitError | None = None

    def error(self) -> RateLimitError:
        """The error of a call that does not wait."""
        kind = IpBanError if self.status == 418 else RateLimitError
        error = kind(self.status, retry_after=math.ceil(self.seconds * 1000) / 1000)
        error.not_sent = self.reason
        error.__cause__ = self.refusal
        return error


class Reservation(NamedTuple):
    """The weight of one request.

    Attributes:
        operation: what will be requested.
        made: when, as `real_time.monotonic()` counts.
        name: what a limit that is shared calls it.
    """

    operation: Operation[..., Any]
    made: float
    name: bytes = b""


class Limits:
    """What a call asks before it sends a request. The threads and tasks of a client share it."""

    def __init__(self) -> None:
        self._budgets: dict[str, Budget] = {}
        # By limiter: when the cool-down ends, as `real_time.monotonic()` counts, and what began it.
        self._cooling: dict[str, tuple[float, RateLimitError]] = {}
        # By process id, because a thread of the parent may hold the lock forever in a forked
        # child, and some servers fork without Python's hooks.
        self._locks: dict[int, threading.Lock] = {}

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _budget(self, operation: Operation[..., Any]) -> Budget:
        if operation.name not in self._budgets:
            new = Budget(operation.weight, operation.weight_per_minute or math.inf)
            self._budgets.setdefault(operation.name, new)
        return self._budgets[operation.name]

    def cooling(self, operation: Operation[..., Any]) -> Wait | None:
        """The cool-down that this client knows, if there is one."""
        if operation.limiter not in self._cooling:
            return None
        end, error = self._cooling[operation.limiter]
        seconds = end - real_time.monotonic()
        return refused(seconds, error.status_code, error.code, error) if seconds > 0 else None

    async def reserve(self, operation: Operation[..., Any]) -> Reservation | Wait:
        """Reserves the weight of one request, or returns how long not to send it."""
        if (wait := self.cooling(operation)) is not None:
            return wait
        with self._lock():
            now = real_time.monotonic()
            seconds = self._budget(operation).reserve(now)
        return used_up(seconds, operation) if seconds else Reservation(operation, now)

    async def settle(self, reservation: Reservation, outcome: Outcome) -> bool:
        """Notes what became of the request. Returns whether it still occupies its weight."""
        with self._lock():
            now = real_time.monotonic()
            return self._budget(reservation.operation).settle(reservation.made, outcome, now)

    async def cool_down(self, operation: Operation[..., Any], error: RateLimitError) -> None:
        """Notes a refusal. A 429 stops the operation's limiter, a 418 stops every operation."""
        end = real_time.monotonic() + cool_down_seconds(error)
        with self._lock():
            for limiter in LIMITERS if isinstance(error, IpBanError) else (operation.limiter,):
                if limiter not in self._cooling or end > self._cooling[limiter][0]:
                    # A copy, because the original keeps the frames that it passed through.
                    self._cooling[limiter] = end, copy.copy(error)

    def left(self, operation: Operation[..., Any]) -> int:
        """The weight that this client may send now, for an operation with a budget."""
        with self._lock():
            left = self._budget(operation).left(real_time.monotonic())
        return 0 if self.cooling(operation) else max(0, int(left))

    async def close(self) -> None:
        """Closes what it has opened."""


def used_up(seconds: float, operation: Operation[..., Any]) -> Wait:
    """The wait of a request that would exceed its budget."""
    budget = f"{operation.weight_per_minute} per minute and {operation.limiter}"
    return Wait(seconds, f"the budget of {operation.name}, {budget}, is used up")


def refused(
    seconds: float, status: int, code: int | None, refusal: RateLimitError | None = None
) -> Wait:
    """The wait after a refusal."""
    response = f"HTTP {status}" if code is None else f"HTTP {status}, code {code}"
    what = "this IP address is banned" if status == 418 else "Binance refused a request"
    return Wait(seconds, f"{what} ({response})", status, refusal)


def cool_down_seconds(error: RateLimitError) -> float:
    """The seconds in which to send nothing after `error`; 0 if they are not known."""
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_BAN)
    return SHORTEST_BAN if isinstance(error, IpBanError) else 0
