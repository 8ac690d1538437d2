"""The `Io` of the synchronous client. It never suspends: `run` runs a coroutine to its end."""

import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

from . import network, real_time
from .connections import MOST_IN_FLIGHT, IdleConnections
from .forks import renew_in_children
from .http import Body, HttpxConnection
from .messages import Connection

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    coroutine.close()
    raise RuntimeError("A synchronous call suspended; please report this bug.")


class ThreadConnection(HttpxConnection):
    """A connection over a synchronous httpx transport."""

    def __init__(self, transport: httpx.BaseTransport, wire: network.Wire | None = None) -> None:
        super().__init__(wire)
        self._transport = transport

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)

    async def _read(self, response: httpx.Response, body: Body) -> None:
        for piece in response.stream:  # type: ignore[union-attr]  # it is of the right kind
            body.add(piece)

    async def _finish(self, response: httpx.Response) -> None:
        response.close()

    async def _close_transport(self) -> None:
        self._transport.close()


def connector(given: Any, proxy: Hidden) -> Callable[[], Connection]:
    """Returns the function that makes a client's connections. Raises ConfigurationError.

    Args:
        given: the caller's transport, or None.
        proxy: the URL of the proxy of our own connections, or None.
    """
    if isinstance(given, httpx.BaseTransport):
        return lambda: ThreadConnection(given)
    if given is not None:
        raise ConfigurationError("transport", "must be an httpx.BaseTransport")
    network.check(proxy)

    def connect() -> ThreadConnection:
        wire = network.Wire()
        return ThreadConnection(network.transport(wire, proxy.reveal()), wire)

    return connect


class ThreadIo:
    """Threads share it. A forked child starts without connections."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` makes a connection that is not open yet."""
        self._connect = connect
        self._closed = False
        self._inherited: list[IdleConnections[Connection]] = []
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        self._idle: IdleConnections[Connection] = IdleConnections()
        # Not a Semaphore: it is Python code, and a signal's exception within it would leave it
        # locked.
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(MOST_IN_FLIGHT):
            self._turns.put(None)
        self._correcting = threading.Lock()

    def renew(self) -> None:
        """Begins without connections. The parent's stay open, because it still uses them."""
        self._inherited.append(self._idle)
        self._begin()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        real_time.sleep(seconds)

    async def borrow(self, timeout: float, *, fresh: bool) -> Connection:
        """Lends a connection."""
        try:
            self._turns.get(timeout=timeout)
        except Empty:
            raise httpx.PoolTimeout("No connection became free in time") from None
        try:
            return self._lend(fresh)
        except BaseException:
            self._turns.put(None)
            raise

    def _lend(self, fresh: bool) -> Connection:
        if self._closed:
            raise ConfigurationError("The client", "is closed; make a new one")
        return (None if fresh else self._idle.take()) or self._connect()

    async def give_back(self, connection: Connection) -> None:
        """Takes a connection back."""
        try:
            if connection.usable and not self._closed:
                self._idle.put(connection)
            else:
                await connection.close()
        finally:
            self._turns.put(None)
        while (stale := self._idle.take_stale()) is not None:
            await stale.close()

    @asynccontextmanager
    async def correcting_clock(self) -> AsyncIterator[None]:
        """One thread at a time."""
        with self._correcting:
            yield

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when they are given back."""
        self._closed = True
        while (connection := self._idle.take_any()) is not None:
            run(connection.close())
