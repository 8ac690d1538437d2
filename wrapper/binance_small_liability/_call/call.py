"""One call from start to end: attempts, the corrected clock, and retries.

`sending.py` sends one request. Nothing here does I/O: the call is a coroutine that uses an `Io`.
The asynchronous client awaits it. The synchronous client runs it with an `Io` that never suspends.
"""

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

from binance_small_liability._errors import (
    ApiError,
    ClockSkewError,
    NetworkError,
    SmallLiabilityError,
)
from binance_small_liability._io.messages import Io, Signature

from .clock import Clock, Correction
from .limits import Limits
from .operation import Operation
from .retry import RetryDetails, may_retry, wait_before_retry
from .sending import Sending
from .signing import Signer

if TYPE_CHECKING:
    from binance_small_liability._config import Config

T = TypeVar("T")

log = logging.getLogger("binance_small_liability")


class Caller:
    """What the calls of one client share.

    Attributes:
        clock: the estimate of Binance's clock.
        max_wait: the longest wait for a limit, in seconds.
        used_weight: Binance's latest count of request weight, by the name of the operation.
    """

    def __init__(
        self,
        config: "Config",
        signer: Signer,
        limits: Limits,
        io: Io,
        server_time: Operation[int],
    ) -> None:
        self.config = config
        self.signer = signer
        self.limits = limits
        self.io = io
        self.clock = Clock()
        self.used_weight: dict[str, int] = {}
        self.base_url = config.base_url.rstrip("/")
        self.host = httpx.URL(config.base_url).host
        self.max_wait = config.max_retry_wait if config.max_attempts > 1 else 0.0
        self._server_time = server_time

    async def call(
        self,
        operation: Operation[T],
        subject: tuple[str, ...] = (),
        *,
        at_sending: Callable[[], dict[str, Any]] = dict,
        **arguments: Any,
    ) -> T:
        """Makes one call. Raises SmallLiabilityError.

        Args:
            operation: the endpoint.
            subject: the assets whose debts the call exchanges.
            at_sending: returns arguments that depend on the clock; called for each request.
            arguments: for the generated function, without `client` and `timestamp`.
        """
        call = Call(self, operation, subject, lambda: {**arguments, **at_sending()})
        while True:
            try:
                return await call.attempt()
            except SmallLiabilityError as error:
                error.attempts = call.attempts
                wait = call.wait_after(error)
                if wait is None:
                    raise
                self._report(call.attempts, wait, error)
            await self.io.sleep(wait)

    async def correct_clock(self, before: Correction) -> Correction:
        """Asks for Binance's time, unless another call has corrected the clock since `before`."""
        async with self.io.correcting_clock():
            if self.clock.correction is before:
                call = Call(self, self._server_time)
                try:
                    time = await call.send(1, fresh=False)
                    call.stop(time)
                    log.warning("The clock is corrected by %+d ms", self.clock.correction.offset)
                except SmallLiabilityError as error:
                    self.clock.fail(f"{self._server_time.name} failed: {_reason(error)}")
            return self.clock.correction

    def _report(self, attempt: int, wait: float, error: SmallLiabilityError) -> None:
        status = error.status_code if isinstance(error, ApiError) else None
        log.info(
            "Attempt %d failed with %s (HTTP status %s); trying again in %.3f s",
            attempt,
            type(error).__name__,
            status,
            wait,
        )
        if self.config.on_retry is not None:
            try:
                self.config.on_retry(RetryDetails(attempt, wait, type(error), status))
            except Exception:  # an error in a service's statistics must not fail its call
                log.exception("on_retry failed")


class Call(Generic[T]):
    """The state of one call.

    Attributes:
        attempts: the number of attempts so far. A request that is repeated with a corrected clock
            belongs to the same attempt. An attempt that a limit stopped does not count.
        signatures: the signatures of all requests so far. An answer may repeat any of them.
        timestamp: the timestamp of the last request, in milliseconds.
    """

    def __init__(
        self,
        caller: Caller,
        operation: Operation[T],
        subject: tuple[str, ...] = (),
        arguments: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.caller = caller
        self.operation = operation
        self.subject = subject
        self.arguments = arguments
        self.attempts = 0
        self.signatures: list[Signature] = []
        self.timestamp = 0
        self.stop: Callable[[int], None] = self.caller.clock.stopwatch()
        self._begun = 0
        self._correction: Correction | None = None

    async def attempt(self) -> T:
        """One attempt, and its repetition if the clock had to be corrected."""
        self._begun += 1
        fresh = self._begun > 1 or not self.operation.repeatable
        while True:
            before = self.caller.clock.correction
            try:
                return await self.send(self._begun, fresh=fresh)
            except ClockSkewError as error:
                if self._correction is None:
                    self._correction = await self.caller.correct_clock(before)
                    if self._correction.problem is None:
                        continue
                error.problem = self._correction.problem
                error.offset = None if error.problem else self._correction.offset
                raise

    async def send(self, number: int, *, fresh: bool) -> T:
        """Sends the request of attempt `number`, over a new connection if `fresh`."""
        return await Sending(self, number).run(fresh=fresh)

    def wait_after(self, error: SmallLiabilityError) -> float | None:
        """Seconds until the next attempt, or None if there is none."""
        config = self.caller.config
        longest = config.max_retry_wait
        # A limit held the last attempt back: the call has waited as long as it may.
        was_held_back = self.attempts < self._begun
        is_last = self._begun >= config.max_attempts
        if is_last or was_held_back or not may_retry(error, longest):
            return None
        jitter = random.random()  # noqa: S311 - it need not be secret
        return wait_before_retry(error, self.attempts, longest, jitter)


def _reason(error: SmallLiabilityError) -> str:
    if isinstance(error, ApiError) and error.status_code is not None:
        return f"HTTP {error.status_code}"
    if isinstance(error, NetworkError):
        return type(error.__cause__).__name__
    return error.message
