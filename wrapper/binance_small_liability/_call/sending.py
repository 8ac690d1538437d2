"""Sends one request: reserves weight, borrows a connection, signs, and judges the answer."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import httpx

from binance_small_liability._errors import (
    ClockSkewError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeout,
    SmallLiabilityError,
)
from binance_small_liability._io.messages import Answer, Connection, Request
from binance_small_liability._secrets import redact

from . import answer as judge
from .clock import MOST_AHEAD
from .limits import Reservation, Wait
from .pacing import Outcome
from .signing import encode

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")

log = logging.getLogger("binance_small_liability")
request_log = logging.getLogger("binance_small_liability.requests")

_SOON = 100  # milliseconds; a timestamp farther ahead was made before the clock was corrected
_MOST_REPORTS = 100
# The unknown fields that this process has already logged.
_reported: set[str] = set()


class Sending(Generic[T]):
    """One request of a call. The generated function sends it as if through an httpx client."""

    def __init__(self, call: "Call[T]", number: int) -> None:
        """`number` is the number of the attempt."""
        self._call = call
        self._caller = call.caller
        self._operation = call.operation
        self._number = number
        self._connection: Connection | None = None
        self._outcome: Outcome | None = None
        self._result: T | None = None

    async def run(self, *, fresh: bool) -> T:
        """Sends the request; returns the operation's result. Raises SmallLiabilityError."""
        # Imported by the first client; the reason is in `Operation.function`.
        from binance_small_liability_api import Client

        reservation = await self._turn(fresh)
        connection = cast(Connection, self._connection)
        self._call.attempts = self._number
        error: SmallLiabilityError | None = None
        try:
            client = Client(base_url="").set_async_httpx_client(cast(httpx.AsyncClient, self))
            await self._operation.function(client=client, **self._arguments())
        except httpx.HTTPError as cause:
            error = self._network_error(cause, sent=connection.sent)
        except SmallLiabilityError:
            raise
        except BaseException:
            self._warn(connection.sent)
            raise
        finally:
            await self._end(reservation, connection)
        if error is not None:
            # Raised outside the handler: the transport's own error may show secrets.
            raise error from error.__cause__
        return cast(T, self._result)

    async def _end(self, reservation: Reservation, connection: Connection) -> None:
        unanswered = Outcome("lost" if connection.sent else "released")
        try:
            try:
                await self._caller.io.give_back(connection)
            finally:
                await self._caller.limits.settle(reservation, self._outcome or unanswered)
        except BaseException:
            # The call ends without its result.
            self._warn(connection.sent)
            raise

    async def _turn(self, fresh: bool) -> Reservation:
        """Reserves weight and borrows a connection, as soon as the limits allow it."""
        caller, limits = self._caller, self._caller.limits
        waited = 0.0
        while True:
            wait = limits.cooling(self._operation)
            if wait is None:
                connection = await self._borrow(fresh)
                reserved: Reservation | Wait | None = None
                try:
                    # Checked only now, because a limit may be reached while a call waits for a
                    # connection.
                    reserved = await limits.reserve(self._operation)
                finally:
                    if not isinstance(reserved, Reservation):
                        await caller.io.give_back(connection)
                if isinstance(reserved, Reservation):
                    self._connection = connection
                    return reserved
                wait = reserved
            waited += wait.seconds
            if waited > caller.max_wait:
                raise wait.error()
            await caller.io.sleep(wait.seconds)

    async def _borrow(self, fresh: bool) -> Connection:
        caller = self._caller
        try:
            return await caller.io.borrow(caller.config.timeout, fresh=fresh)
        except httpx.PoolTimeout as cause:
            self._call.attempts = self._number
            error = self._network_error(cause, sent=False)
        raise error from error.__cause__

    def _arguments(self) -> dict[str, Any]:
        if not self._operation.signed:
            return self._call.arguments()
        now, before = self._caller.clock.now(), self._call.timestamp
        # A retry within the same millisecond must not look like a replay.
        self._call.timestamp = before + 1 if 0 <= before - now < _SOON else now
        return {**self._call.arguments(), "timestamp": self._call.timestamp}

    async def request(self, method: str, url: str, params: dict[str, Any] | None = None) -> Answer:
        """Signs and sends the request of the generated function, and judges the answer."""
        query = encode(params or {})
        signature = None
        if self._operation.signed:
            signature = self._caller.signer.sign(query)
            self._call.signatures.append(signature)
        target = f"{self._caller.base_url}{url}"
        if query:
            target = f"{target}?{query.decode('ascii')}"
        request = Request(method.upper(), target, signature)
        connection = cast(Connection, self._connection)
        if not self._operation.signed:
            # Only now, because the wait for a turn is not part of the round trip.
            self._call.stop = self._caller.clock.stopwatch()
        answer = await connection.exchange(request, self._caller.config.timeout)
        request_log.info("%s %s: HTTP %d", request.method, url, answer.status_code)
        return await self._judged(answer)

    async def _judged(self, answer: Answer) -> Answer:
        """Returns the answer if it is a success. The generated parser reads it again."""
        operation = self._operation
        count = judge.used_weight(answer, operation.limiter)
        self._outcome = Outcome("answered", count)
        if count is not None:
            self._caller.used_weight[operation.name] = count
        error = judge.refusal(answer, operation.limiter, self._redact)
        if isinstance(error, RateLimitError):
            if error.retry_after:
                self._outcome = Outcome("refused")
            error.attempts = self._number
            await self._caller.limits.cool_down(operation, error)
        if error is not None and not operation.repeatable and judge.leaves_outcome_unknown(answer):
            raise self._outcome_unknown(error) from error
        if answer.broken is not None and operation.repeatable and not answer.is_client_error:
            raise answer.broken
        if isinstance(error, ClockSkewError):
            self._caller.clock.accepted = False
        if error is not None:
            raise error
        self._result, unknown = operation.result(answer)
        self._caller.clock.accepted |= operation.signed
        self._report(unknown)
        return answer

    def _redact(self, text: str) -> str:
        signer, signatures = self._caller.signer, self._call.signatures
        return redact(text, [signer.api_key.reveal(), *(each.value for each in signatures)])

    def _report(self, unknown: Iterable[str]) -> None:
        """Logs fields that are not in the contract, each once per process."""
        for name in unknown:
            if name not in _reported and len(_reported) < _MOST_REPORTS:
                _reported.add(name)
                log.warning(
                    "The API has changed: %s has a new field %.80r; regenerate",
                    self._operation.name,
                    self._redact(name),
                )

    def _network_error(self, cause: httpx.HTTPError, *, sent: bool) -> SmallLiabilityError:
        # A new error, because the frames, causes and request of the original may show secrets.
        transport_kind = type(cause) if isinstance(cause, httpx.TransportError) else httpx.ReadError
        cause = transport_kind(self._redact(str(cause)))
        kind = RequestTimeout if isinstance(cause, httpx.TimeoutException) else NetworkError
        host = self._caller.host
        error = kind(f"No usable answer from {host}: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
        if self._operation.repeatable or not sent:
            return error
        return self._outcome_unknown(error)

    def _outcome_unknown(self, cause: SmallLiabilityError) -> OutcomeUnknownError:
        cause.attempts = self._number
        error = OutcomeUnknownError(assets=self._call.subject, sent_at=self._sent_at())
        error.__cause__ = cause
        return error

    def _sent_at(self) -> datetime:
        earliest = self._call.timestamp - MOST_AHEAD
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=earliest)

    def _warn(self, sent: bool) -> None:
        if sent and not self._operation.repeatable:
            log.warning(
                "%s of %s was interrupted after sending began at %s; its outcome is unknown",
                self._operation.name,
                ", ".join(self._call.subject),
                self._sent_at().isoformat(),
            )
