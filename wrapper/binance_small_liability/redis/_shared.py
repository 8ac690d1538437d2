"""The limits of one client, shared through Redis. If Redis fails, its own limits apply."""

import asyncio
import itertools
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import redis
from binance_small_liability_api.operation import Operation

from binance_small_liability._call.limits import (
    LocalLimits,
    Wait,
    budget_used_up,
    cool_down_seconds,
)
from binance_small_liability._call.pacing import (
    LONGEST_DELAY,
    MINUTE,
    MOST_AHEAD,
    REORDERING,
    SOON,
    Outcome,
    Reservation,
)
from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io.forks import renew_in_children
from binance_small_liability._io.threads import run

from . import _scripts

log = logging.getLogger("binance_small_liability")

TIMEOUT = 0.25  # seconds that a call waits for Redis
_PAUSE = 1.0  # seconds until Redis is tried again after a failure
_FLUSH = 0.1  # seconds after which answers are reported without waiting for another call
# By operation. A reservation whose report is dropped ends after two minutes.
_MOST_REPORTS = 1_000
_PREFIX = "{binance-small-liability}"
# Errors of Redis, and of reading a reply with an unexpected form.
_FAILURES = (
    redis.RedisError,
    OSError,
    TimeoutError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


# Name, kind of outcome, number, minute and time of a reservation; used weight and minute of its
# answer.
Report = tuple[str | int, ...]


def _released(name: str) -> Report:
    return (name, "released", *[""] * 5)


@attrs.frozen
class _Shared(Reservation):
    """A reservation in Redis, its name there, and the matching reservation of this process."""

    name: str = attrs.field(kw_only=True)
    local: Reservation = attrs.field(kw_only=True)


class _Connected:
    """A connected client of Redis, and the scripts that it runs."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.client = connect()
        self.reserve = self.client.register_script(_scripts.RESERVE)
        self.cool_down = self.client.register_script(_scripts.COOL_DOWN)


class SharedLimits:
    """The limits of a synchronous client."""

    def __init__(
        self, connect: Callable[[], Any], scope: str, account: str, *, owns_client: bool
    ) -> None:
        self._connect = connect
        self._owns_client = owns_client
        self._scope = scope
        self._account = account
        self._local = LocalLimits()
        self._operations: dict[str, Operation[..., Any]] = {}
        self._is_down = False
        self._down_until = 0.0
        self._inherited: list[_Connected | None] = []
        self._connected: _Connected | None = None
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count()
        # By operation: what became of reservations, as far as Redis may not know it.
        self._unreported: dict[str, deque[Report]] = {}
        self._flusher: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()

    def renew(self) -> None:
        """A forked child opens its own connections. The parent reports its own reservations."""
        self._inherited.append(self._connected)
        self._connected = None
        self._begin()

    def cooling(self, operation: Operation[..., Any]) -> Wait | None:
        """The cool-down that this client knows, if there is one."""
        return self._local.cooling(operation)

    async def reserve(
        self, operation: Operation[..., Any], now: int, *, is_trusted: bool
    ) -> Reservation | Wait:
        """Reserves weight in this process and in Redis."""
        local = await self._local.reserve(operation, now, is_trusted=is_trusted)
        if isinstance(local, Wait):
            return local
        shared: Reservation | Wait | None = None
        name = f"{self._name}-{next(self._numbers)}"
        try:
            reply = await self._round_trip(operation, name, now, is_trusted=is_trusted)
            if reply is None:
                shared = local
            else:
                shared = self._read(operation, name, reply, local)
                self._succeeded()
        except _FAILURES as error:  # a reply of another form
            self._keep(operation, _released(name))
            self._failed(error)
            shared = local
        finally:
            if shared is None or isinstance(shared, Wait):
                self._local.settle(local, Outcome("released"))
        return shared

    def _read(
        self, operation: Operation[..., Any], name: str, reply: Any, local: Reservation
    ) -> Reservation | Wait:
        kind, *values = (each.decode() if isinstance(each, bytes) else each for each in reply)
        if kind == "reserved":
            number, minute, at = map(int, values)
            return _Shared(operation, number, minute, at, name=name, local=local)
        if kind == "cooling":
            milliseconds, refusal = values
            status, _, code = refusal.partition(" ")
            kind_of_error = IpBanError if status == "418" else RateLimitError
            error = kind_of_error(
                status_code=int(status),
                code=int(code) if code else None,
                msg="Not sent: another process of this fleet was refused.",
            )
            return Wait(int(milliseconds) / 1000, error)
        if kind not in ("soon", "wait"):
            raise ValueError("the reply is of an unknown kind")
        seconds = SOON if kind == "soon" else max(0, int(values[0])) / 1000
        return Wait(seconds, budget_used_up(operation))

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request; the next round trip reports it."""
        if not isinstance(reservation, _Shared):
            self._local.settle(reservation, outcome)
            return
        self._local.settle(reservation.local, outcome)
        count, minute = (
            "" if each is None else each for each in (outcome.used_weight, outcome.minute)
        )
        then = reservation.number, reservation.minute, reservation.at
        report = (reservation.name, outcome.kind, *then, count, minute)
        self._keep(reservation.operation, report)

    def _keep(self, operation: Operation[..., Any], *reports: Report) -> None:
        """Keeps reports for the next round trip."""
        with self._lock:
            self._operations[operation.name] = operation
            unreported = self._unreported.setdefault(operation.name, deque(maxlen=_MOST_REPORTS))
            unreported.extend(reports)
        if not self._closing.is_set():
            self._flush_soon()

    async def cool_down(self, operation: Operation[..., Any], error: RateLimitError) -> None:
        """Stops the limiter, or after a 418 the whole scope, until `Retry-After` has passed."""
        await self._local.cool_down(operation, error)
        seconds = cool_down_seconds(error)
        if not seconds or self._pausing():
            return
        *_, ban, cooling = self._keys(operation)
        refusal = f"{error.status_code} {'' if error.code is None else error.code}"
        key = ban if isinstance(error, IpBanError) else cooling
        try:
            await self._run("cool_down", [key], [math.ceil(seconds * 1000), refusal])
        except _FAILURES as failure:
            self._failed(failure)

    def _keys(self, operation: Operation[..., Any]) -> list[str]:
        scope = f"{_PREFIX}:ip:{self._scope}"
        owner = scope if operation.limiter == "IP" else f"{_PREFIX}:uid:{self._account}"
        budget = f"{owner}:{operation.name}"
        return [budget, f"{budget}:in-flight", f"{scope}:clock", f"{scope}:ban", f"{owner}:cooling"]

    async def _round_trip(
        self, operation: Operation[..., Any], name: str, now: int, *, is_trusted: bool
    ) -> Any:
        """Reports outcomes and, unless `name` is empty, reserves weight.

        Returns None if Redis failed.
        """
        if self._pausing():
            return None
        with self._lock:
            reports = self._unreported.pop(operation.name, ())
        reply = None
        try:
            constants = MINUTE, MOST_AHEAD, LONGEST_DELAY, REORDERING
            limit = operation.weight_per_minute or 0  # 0: without a budget
            arguments = [name, operation.weight, limit, now, int(is_trusted), *constants]
            arguments += chain(*reports)
            reply = await self._run("reserve", self._keys(operation), arguments)
        except _FAILURES as error:
            self._failed(error)
        finally:
            if reply is None:
                # The script may have run. A report that arrives twice counts once.
                released = [_released(name)] if name else []
                self._keep(operation, *reports, *released)
        return reply

    def _pausing(self) -> bool:
        """Whether Redis failed in the last second. After that, one call at a time tries it."""
        if not self._is_down:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._down_until:
                return True
            self._down_until = now + _PAUSE
        return False

    def _succeeded(self) -> None:
        if self._is_down:
            self._is_down = False
            log.warning("Redis answers again; the limits are shared")

    def _failed(self, error: Exception) -> None:
        self._down_until = time.monotonic() + _PAUSE
        with self._lock:
            first, self._is_down = not self._is_down, True
        if first:
            # The error's text may contain the URL.
            log.warning(
                "Redis failed (%s); continuing with the limits of this client",
                type(error).__name__,
            )

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        if self._connected is None:
            self._connected = _Connected(self._connect)
        return getattr(self._connected, script)(keys=keys, args=arguments)

    async def close(self) -> None:
        """Reports what is left, and closes the connections."""
        self._closing.set()
        if self._flusher is not None and self._flusher.is_alive():
            self._wake.set()
            self._flusher.join()
        if self._connected is not None:
            await self._flush()
            if self._owns_client:
                self._connected.client.close()

    def _flush_soon(self) -> None:
        if self._flusher is None or not self._flusher.is_alive():
            self._flusher = threading.Thread(target=self._flush_for_ever, daemon=True)
            with suppress(RuntimeError):  # no more threads: the next call carries the report
                self._flusher.start()
        self._wake.set()

    def _flush_for_ever(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            while self._unreported and not self._closing.wait(self._until_flush()):
                run(self._flush())

    def _until_flush(self) -> float:
        return _PAUSE if self._is_down else _FLUSH

    async def _flush(self) -> None:
        for name in list(self._unreported):
            operation = self._operations[name]
            if await self._round_trip(operation, "", 0, is_trusted=False) is not None:
                self._down_until = 0.0  # the next call may try Redis at once


class AsyncSharedLimits(SharedLimits):
    """The limits of an asynchronous client. Each event loop has its own connections."""

    def __init__(
        self, connect: Callable[[], Any], scope: str, account: str, *, owns_client: bool
    ) -> None:
        super().__init__(connect, scope, account, owns_client=owns_client)
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connected] = WeakKeyDictionary()
        self._flushing: asyncio.Task[None] | None = None

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        loop = asyncio.get_running_loop()  # RuntimeError on trio, where the limits stay local
        if loop not in self._loops:
            self._loops[loop] = _Connected(self._connect)
        async with asyncio.timeout(TIMEOUT):
            return await getattr(self._loops[loop], script)(keys=keys, args=arguments)

    async def close(self) -> None:
        """Reports what is left, and closes the connections."""
        self._closing.set()
        connected = self._loops.get(asyncio.get_running_loop()) if self._loops else None
        if self._flushing is not None:
            with suppress(RuntimeError):  # it belongs to an event loop that is closed
                self._flushing.cancel()
        if connected is not None:
            await self._flush()
            if self._owns_client:
                await connected.client.aclose()

    def _flush_soon(self) -> None:
        with suppress(RuntimeError):  # not asyncio
            loop = asyncio.get_running_loop()
            task = self._flushing
            if task is None or task.done() or task.get_loop() is not loop:
                self._flushing = loop.create_task(self._flush_later())

    async def _flush_later(self) -> None:
        while self._unreported:
            await asyncio.sleep(self._until_flush())
            await self._flush()
