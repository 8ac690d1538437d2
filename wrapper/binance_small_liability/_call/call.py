"""One call from start to end. Read it from top to bottom.

    run       attempts, and the waits between them
    attempt   one request, and a second one if the clock had to be corrected
    send      one request, in four steps:
      turn      reserves request weight and borrows a connection
      request   encodes, stamps and signs
      judge     decides what the answer says
      result    reads a success

Nothing here does I/O: a call is a coroutine that uses an `Io`. The asynchronous client awaits it.
The synchronous client runs it with an `Io` that never suspends.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

import attrs
import httpx
from binance_small_liability_api.operation import Operation
from binance_small_liability_api.operations import server_time
from binance_small_liability_api.values import Mismatch, milliseconds, moment

from binance_small_liability._config import Config
from binance_small_liability._errors import (
    ApiError,
    ClockSkewError,
    ContractError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    SmallLiabilityError,
)
from binance_small_liability._io.messages import Answer, Connection, Io, Request, Signature
from binance_small_liability._secrets import redact

from .answer import Verdict, effect, judge
from .arguments import checked_query
from .clock import MOST_AHEAD, Clock, Correction
from .details import RetryDetails, WaitDetails
from .limits import Limits, Reservation, Wait
from .pacing import Outcome
from .retry import may_retry, wait_before_retry
from .signing import Signer, encode

T = TypeVar("T")

log = logging.getLogger("binance_small_liability")
request_log = logging.getLogger("binance_small_liability.requests")

# Binance gives up on a request, with -1007, after this time. Source: "General Information" on
# https://developers.binance.com/docs/margin_trading/general-info
LONGEST_PROCESSING = 10_000  # milliseconds
_SOON = 100  # milliseconds; a timestamp farther ahead was made before the clock was corrected
_MARGIN = 0.001  # seconds; clocks are rounded, and a call should not wait again for the rest
_MOST_REPORTS = 100
_UNCLEAR = "The response breaks the contract: it neither accepts nor refuses the exchange"
# The unknown fields that this process has already logged.
_reported: set[str] = set()


class Caller:
    """What the calls of one client share.

    Attributes:
        config: the client's options.
        clock: the estimate of Binance's clock.
        used_weight: Binance's latest count of request weight, by the name of the operation.
    """

    def __init__(self, signer: Signer, limits: Limits, io: Io, config: Config) -> None:
        self.signer = signer
        self.limits = limits
        self.io = io
        self.config = config
        self.clock = Clock()
        self.used_weight: dict[str, int] = {}

    async def call(
        self,
        operation: Operation[..., T],
        parameters: Mapping[str, object],
    ) -> T:
        """Makes one call. Raises SmallLiabilityError.

        Args:
            operation: the endpoint.
            parameters: by their Python names.
        """
        return await Call(self, operation, parameters).run()

    async def correct_clock(self, before: Correction) -> Correction:
        """Asks for Binance's time, unless another call has corrected the clock since `before`."""
        async with self.io.correcting_clock():
            if self.clock.correction is before:
                call = Call(self, server_time, {})
                try:
                    time = await call.send(fresh=False)
                    call.stop(milliseconds(time.server_time))
                    offset = self.clock.correction.offset
                    fields = {"operation": server_time.name, "offset": offset}
                    log.warning("The clock is corrected by %+d ms", offset, extra=fields)
                except SmallLiabilityError as error:
                    self.clock.fail(f"{server_time.path} failed: {_reason(error)}")
            return self.clock.correction


class Call(Generic[T]):
    """The state of one call.

    Attributes:
        attempts: the number of attempts so far. A request that is repeated with a corrected clock
            belongs to the same attempt. An attempt that a limit stopped does not count.
        signatures: the signatures of all requests so far. An answer may repeat any of them.
        timestamp: the timestamp of the last request, in milliseconds.
        recv_window: milliseconds for which the last request stays valid.
        in_doubt: whether it may have changed the account. It stays true after a success.
        stop: ends the measurement of the clock that the last request began.
    """

    def __init__(
        self,
        caller: Caller,
        operation: Operation[..., T],
        parameters: Mapping[str, object],
        subject: tuple[str, ...] = (),
    ) -> None:
        self.caller = caller
        self.operation = operation
        self.parameters = parameters
        self.subject = subject
        # A request that changes an account is not retried after its response was lost.
        self.repeatable = operation.method == "GET"
        self.attempts = 0
        self.signatures: list[Signature] = []
        self.timestamp = 0
        self.recv_window = caller.config.recv_window
        self.in_doubt = False
        self.stop: Callable[[int], None] = caller.clock.stopwatch()
        self._begun = 0
        self._waited = 0.0  # seconds of this attempt, for limits
        self._correction: Correction | None = None

    @property
    def receipt(self) -> Receipt:
        """What finds out whether the last request took effect."""
        return Receipt(
            self.subject,
            moment(self.timestamp - MOST_AHEAD),
            moment(self.timestamp + self.recv_window + LONGEST_PROCESSING),
        )

    async def run(self) -> T:
        """All attempts. Raises SmallLiabilityError."""
        while True:
            try:
                return await self._attempt()
            except SmallLiabilityError as error:
                error.attempts = self.attempts
                wait = self._wait_after(error)
                if wait is None:
                    raise
                self._report_retry(wait, error)
            await self.caller.io.sleep(wait)

    def leave_receipt(self, interrupt: BaseException) -> None:
        """Adds the receipt to a cancellation, Ctrl-C or a signal that may have come too late."""
        if isinstance(interrupt, SmallLiabilityError) or not self.in_doubt:
            return
        receipt = self.receipt
        text = (
            f"{self.operation.name} of {', '.join(receipt.assets)} was interrupted after sending"
            f" began at {receipt.sent_at.isoformat()}; its outcome is unknown. The history is"
            f" conclusive from {receipt.conclusive_at.isoformat()} on"
        )
        fields = {"operation": self.operation.name, "attempt": self.attempts, "receipt": receipt}
        log.warning(text, extra=fields)
        interrupt.add_note(text)
        vars(interrupt)["receipt"] = receipt

    async def _attempt(self) -> T:
        """One attempt, and its repetition if the clock had to be corrected."""
        self._begun += 1
        self._waited = 0.0
        fresh = self._begun > 1 or not self.repeatable
        while True:
            before = self.caller.clock.correction
            try:
                return await self.send(fresh=fresh)
            except ClockSkewError as error:
                if self._correction is None:
                    self._correction = await self.caller.correct_clock(before)
                    if self._correction.problem is None:
                        continue
                error.problem = self._correction.problem
                error.offset = None if error.problem else self._correction.offset
                raise

    async def send(self, *, fresh: bool) -> T:
        """Sends one request, over a new connection if `fresh`. Raises SmallLiabilityError."""
        while True:
            with suppress(_HeldBackError):
                return await self._send(fresh)

    async def _send(self, fresh: bool) -> T:
        reservation, connection = await self._turn(fresh)
        before, self.attempts = self.attempts, max(self._begun, 1)
        outcome: Outcome | None = None
        error: SmallLiabilityError
        try:
            request = self._request()
            self.in_doubt = not self.repeatable
            begun = time.monotonic()
            answer = await connection.exchange(request, self.caller.config.timeout, self._look)
            self._log_response(answer.status_code, time.monotonic() - begun)
            verdict = judge(answer, self.operation, self._redact)
            outcome = _outcome(answer, verdict)
            await self._judge(answer, verdict)
            return self._result(answer)
        except _HeldBackError:
            outcome, self.in_doubt, self.attempts = Outcome("released"), False, before
            raise
        except httpx.HTTPError as cause:
            error = self._network_error(cause)
        except SmallLiabilityError as raised:
            error = raised
        finally:
            try:
                await self.caller.io.give_back(connection)
            finally:
                # No other call uses a connection without an answer: `sent` is about this request.
                unanswered = Outcome("lost" if connection.sent else "released")
                self.in_doubt &= outcome is not None or connection.sent
                await self.caller.limits.settle(reservation, outcome or unanswered)
        # Raised outside the handler: the transport's own error may show secrets.
        if self.in_doubt:
            error.attempts = self.attempts
            raise OutcomeUnknownError(self.receipt) from error
        raise error from error.__cause__

    # The steps of `send`.

    async def _turn(self, fresh: bool) -> tuple[Reservation, Connection]:
        """Reserves weight and borrows a connection, as soon as the limits allow it."""
        caller, limits = self.caller, self.caller.limits
        longest = caller.config.max_retry_wait if caller.config.max_attempts > 1 else 0.0
        while True:
            wait = limits.cooling(self.operation)
            if wait is None:
                connection = await self._borrow(fresh)
                reserved: Reservation | Wait | None = None
                try:
                    # Checked only now, because a limit may be reached while a call waits for a
                    # connection.
                    reserved = await limits.reserve(self.operation)
                finally:
                    if not isinstance(reserved, Reservation):
                        await caller.io.give_back(connection)
                if isinstance(reserved, Reservation):
                    return reserved, connection
                wait = reserved
            self._waited += wait.seconds
            if self._waited > longest:
                raise wait.error()
            self._report_wait(wait)
            await caller.io.sleep(wait.seconds + _MARGIN)

    def _look(self) -> None:
        """Checks the cool-downs once more, just before the first byte of a request is sent."""
        if self.caller.limits.cooling(self.operation) is not None:
            raise _HeldBackError

    def _request(self) -> Request:
        """Encodes, stamps and signs the request."""
        caller, operation = self.caller, self.operation
        parameters = self.parameters
        if "recv_window" in operation.parameters and parameters.get("recv_window") is None:
            parameters = {**parameters, "recv_window": caller.config.recv_window}
        query = checked_query(operation, parameters)
        if isinstance(window := parameters.get("recv_window"), int):
            self.recv_window = window
        if operation.signed:
            now, before = caller.clock.now(), self.timestamp
            # A retry within the same millisecond must not look like a replay.
            self.timestamp = before + 1 if 0 <= before - now < _SOON else now
            query["timestamp"] = str(self.timestamp)
        else:
            # Only now, because the wait for a turn is not part of the round trip.
            self.stop = caller.clock.stopwatch()
        encoded = encode(query)
        signature = None
        if operation.has_key:
            signature = caller.signer.sign(encoded, operation)
            self.signatures.append(signature)
        url = caller.config.base_url.rstrip("/") + operation.path
        if encoded:
            url = f"{url}?{encoded.decode('ascii')}"
        return Request(operation.method, url, signature)

    async def _judge(self, answer: Answer, verdict: Verdict) -> None:
        """Raises the error that the answer reports, if any."""
        caller, operation, error = self.caller, self.operation, verdict.error
        if verdict.used_weight is not None:
            caller.used_weight[operation.name] = verdict.used_weight
        if isinstance(error, RateLimitError):
            error.attempts = self.attempts
            await caller.limits.cool_down(operation, error)
        if self.in_doubt:
            said = effect(answer)
            if said == "unknown":
                raise error or answer.broken or ContractError(_UNCLEAR)
            self.in_doubt = said == "accepted"
        elif answer.broken is not None and not answer.is_client_error:
            raise answer.broken
        if isinstance(error, ClockSkewError):
            caller.clock.accepted = False
        if error is not None:
            raise error

    def _result(self, answer: Answer) -> T:
        """Reads a success. Raises ContractError."""
        unknown: set[str] = set()
        if not self.operation.is_documented:
            result = self.operation.read(None, unknown)
        elif answer.status_code != 200:
            raise ContractError(f"HTTP {answer.status_code} is not in the contract")
        else:
            result = self._read(answer, unknown)
        self.caller.clock.accepted |= self.operation.signed
        self._report_unknown(unknown)
        return result

    # What the steps use.

    def _read(self, answer: Answer, unknown: set[str]) -> T:
        try:
            return self.operation.read(answer.json(), unknown)
        except Mismatch as mismatch:
            problem = str(mismatch)
        raise ContractError(f"The response breaks the contract at {problem}")

    async def _borrow(self, fresh: bool) -> Connection:
        try:
            return await self.caller.io.borrow(self.caller.config.timeout, fresh=fresh)
        except httpx.PoolTimeout as cause:
            self.attempts = max(self._begun, 1)
            error = self._network_error(cause)
        raise error from error.__cause__

    def _wait_after(self, error: SmallLiabilityError) -> float | None:
        """Seconds until the next attempt, or None if there is none."""
        longest = self.caller.config.max_retry_wait
        # A limit held the last attempt back: the call has waited as long as it may.
        was_held_back = self.attempts < self._begun
        is_last = self._begun >= self.caller.config.max_attempts
        if is_last or was_held_back or not may_retry(error, longest):
            return None
        jitter = random.random()  # noqa: S311 - it need not be secret
        return wait_before_retry(error, self.attempts, longest, jitter)

    def _log_response(self, status: int, seconds: float) -> None:
        operation = self.operation
        fields = {"operation": operation.name, "attempt": self.attempts, "status": status}
        fields["seconds"] = round(seconds, 3)
        request_log.info("%s %s: HTTP %d", operation.method, operation.path, status, extra=fields)

    def _report_retry(self, wait: float, error: SmallLiabilityError) -> None:
        refusal = error if isinstance(error, ApiError) else None
        status, code = (refusal.status_code, refusal.code) if refusal else (None, None)
        kind, name, number = type(error), self.operation.name, self.attempts
        details = RetryDetails(name, number, wait, kind, status, code)
        log.info(
            "Attempt %d failed with %s (%s); trying again in %.1f s",
            *(number, kind.__name__, f"HTTP {status}" if status else "no response", wait),
            extra=attrs.asdict(details) | {"error_class": kind.__name__},
        )
        _tell(self.caller.config.on_retry, details, "on_retry")

    def _report_wait(self, wait: Wait) -> None:
        details = WaitDetails(self.operation.name, wait.seconds, wait.reason)
        fields = attrs.asdict(details)
        log.info("%(operation)s waits for %(wait).1f s: %(reason)s", fields, extra=fields)
        _tell(self.caller.config.on_wait, details, "on_wait")

    def _report_unknown(self, unknown: Iterable[str]) -> None:
        """Logs fields that are not in the contract, each once per process."""
        for name in unknown:
            if name not in _reported and len(_reported) < _MOST_REPORTS:
                _reported.add(name)
                log.warning(
                    "%s has a new field %.80r; this version ignores it, a newer one may have it",
                    self.operation.name,
                    self._redact(name),
                    extra={"operation": self.operation.name},
                )

    def _redact(self, text: str) -> str:
        secrets = [self.caller.signer.api_key.reveal()]
        return redact(text, [*secrets, *(each.value for each in self.signatures if each.value)])

    def _network_error(self, cause: httpx.HTTPError) -> NetworkError:
        # A new error, because the frames, causes and request of the original may show secrets.
        transport_kind = type(cause) if isinstance(cause, httpx.TransportError) else httpx.ReadError
        cause = transport_kind(self._redact(str(cause)))
        kind = RequestTimeout if isinstance(cause, httpx.TimeoutException) else NetworkError
        host = httpx.URL(self.caller.config.base_url).host
        error = kind(f"No usable response from {host}: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
        return error


class _HeldBackError(Exception):
    """A cool-down began before the request was sent. The call takes another turn."""


def _outcome(answer: Answer, verdict: Verdict) -> Outcome:
    if isinstance(verdict.error, RateLimitError) and verdict.error.retry_after:
        return Outcome("refused")
    # A 5xx without a count may be a gateway's. Binance may still receive the request.
    is_lost = answer.status_code >= 500 and verdict.used_weight is None
    return Outcome("lost" if is_lost else "answered", verdict.used_weight)


def _tell(
    hook: Callable[[Any], object] | None, details: RetryDetails | WaitDetails, name: str
) -> None:
    if hook is not None:
        try:
            hook(details)
        except Exception:  # an error in a service's statistics must not fail its call
            log.exception("%s failed", name, extra={"operation": details.operation})


def _reason(error: SmallLiabilityError) -> str:
    if isinstance(error, ApiError):
        return f"HTTP {error.status_code}"
    if isinstance(error, NetworkError):
        return type(error.__cause__).__name__
    return error.message
