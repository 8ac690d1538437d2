"""The limits of one client, shared through Redis. If Redis fails, those of this process apply."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import redis

from binance_small_liability._call.limits import (
    MINUTE,
    MOST_AHEAD,
    SOON,
    LocalLimits,
    Outcome,
    Reservation,
    Wait,
    budget_used_up,
    cool_down_seconds,
)
from binance_small_liability._call.operation import Limiter, Operation
from binance_small_liability._errors import IpBanError, RateLimitError
from binance_small_liability._io.forks import renew_in_children
from binance_small_liability._io.threads import run

from . import _scripts

log = logging.getLogger("binance_small_liability")

TIMEOUT = 0.25  # seconds that a call waits for Redis
_PAUSE = 1.0  # seconds until Redis is tried again after a failure
_FLUSH = 0.1  # seconds after which answers are reported without waiting for another call
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


@attrs.frozen
class _Shared(Reservation):
    """A reservation in Redis, with the matching reservation of this process."""

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
        self._operations: dict[str, Operation[Any]] = {}
        self._is_down = False
        self._down_until = 0.0
        self._is_closed = False
        self._inherited: list[_Connected | None] = []
        self._connected: _Connected | None = None
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        # By operation: the outcomes of reservations that are not in Redis yet.
        self._unreported: dict[str, list[Any]] = {}
        self._flusher: threading.Thread | None = None
        self._wake = threading.Event()

    def renew(self) -> None:
        """Begins in a forked child. The parent reports what is not in Redis yet."""
        self._inherited.append(self._connected)
        self._connected = None
        self._begin()

    def cooling(self, operation: Operation[Any]) -> Wait | None:
        """The cool-down that this process knows, if there is one."""
        return self._local.cooling(operation)

    async def reserve(
        self, operation: Operation[Any], now: int, *, is_trusted: bool
    ) -> Reservation | Wait:
        """Reserves weight in this process and in Redis."""
        local = await self._local.reserve(operation, now, is_trusted=is_trusted)
        if isinstance(local, Wait):
            return local
        shared: Reservation | Wait | None = None
        try:
            limit = str(operation.weight_per_minute or 0)
            reply = await self._ask(operation, limit, now if is_trusted else "")
            shared = local if reply is None else self._read(operation, reply, local)
        except _FAILURES as error:  # a reply of another form
            self._failed(error)
            shared = local
        finally:
            if shared is None or isinstance(shared, Wait):
                self._local.settle(local, Outcome("released"))
        return shared

    def _read(
        self, operation: Operation[Any], reply: Any, local: Reservation
    ) -> Reservation | Wait:
        kind, *values = (each.decode() if isinstance(each, bytes) else each for each in reply)
        if kind == "reserved":
            minute, number = map(int, values)
            return _Shared(operation, number, minute, local=local)
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
        name = reservation.operation.name
        count, minute = ("" if each is None else each for each in (outcome.count, outcome.minute))
        report = [outcome.kind, reservation.minute, reservation.number, count, minute]
        with self._lock:
            self._operations[name] = reservation.operation
            self._unreported.setdefault(name, []).extend(report)
        self._flush_soon()

    async def cool_down(self, operation: Operation[Any], error: RateLimitError) -> None:
        """Sends nothing in the whole fleet before `Retry-After` has passed."""
        await self._local.cool_down(operation, error)
        seconds = cool_down_seconds(error)
        if not seconds or self._pausing():
            return
        budget, _, ban, cooling = self._keys(operation)
        refusal = f"{error.status_code} {'' if error.code is None else error.code}"
        key = ban if isinstance(error, IpBanError) else cooling
        try:
            await self._run("cool_down", [budget, key], [round(seconds * 1000), refusal])
        except _FAILURES as failure:
            self._failed(failure)

    def _keys(self, operation: Operation[Any]) -> list[str]:
        scope = f"{_PREFIX}:ip:{self._scope}"
        owner = scope if operation.limiter is Limiter.IP else f"{_PREFIX}:uid:{self._account}"
        return [f"{owner}:{operation.name}", f"{scope}:clock", f"{scope}:ban", f"{owner}:cooling"]

    async def _ask(self, operation: Operation[Any], limit: str, trusted: int | str) -> Any:
        """Reports outcomes and reserves weight; returns None if Redis failed."""
        if self._pausing():
            return None
        with self._lock:
            reports = self._unreported.pop(operation.name, [])
        arguments = [operation.weight, limit, trusted, MINUTE, MOST_AHEAD, *reports]
        try:
            reply = await self._run("reserve", self._keys(operation), arguments)
        except _FAILURES as error:
            self._failed(error)
            return None
        if self._is_down:
            self._is_down = False
            log.warning("Redis answers again; the limits are shared")
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

    def _failed(self, error: Exception) -> None:
        self._down_until = time.monotonic() + _PAUSE
        with self._lock:
            first, self._is_down = not self._is_down, True
        if first:
            # The error's text may contain the URL.
            log.warning(
                "Redis failed (%s); continuing with the limits of this process",
                type(error).__name__,
            )

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        if self._connected is None:
            self._connected = _Connected(self._connect)
        return getattr(self._connected, script)(keys=keys, args=arguments)

    async def close(self) -> None:
        """Reports what is left, and closes the connections."""
        self._is_closed = True
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
        while not self._is_closed:
            self._wake.wait()
            self._wake.clear()
            time.sleep(0 if self._is_closed else _FLUSH)
            run(self._flush())

    async def _flush(self) -> None:
        for name in list(self._unreported):
            await self._ask(self._operations[name], "", "")


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
        connected = self._loops.pop(asyncio.get_running_loop(), None) if self._loops else None
        if self._flushing is not None:
            with suppress(RuntimeError):  # it belongs to an event loop that is closed
                self._flushing.cancel()
        if connected is not None:
            self._loops[asyncio.get_running_loop()] = connected
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
        await asyncio.sleep(_FLUSH)
        await self._flush()
