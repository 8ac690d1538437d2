"""The `Io` of the synchronous client. It never suspends: `run` runs a coroutine to its end."""

import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from binance_small_liability._errors import ConfigurationError

from . import network, real_time
from .connections import MOST_IN_FLIGHT, IdleConnections
from .http import Body, HttpxConnection
from .messages import Connection

if TYPE_CHECKING:
    from binance_small_liability._config import Config

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


def connector(config: "Config") -> Callable[[], Connection]:
    """Returns the function that makes a client's connections. Raises ConfigurationError."""
    given = config.transport
    if isinstance(given, httpx.BaseTransport):
        return lambda: ThreadConnection(given)
    if given is not None:
        raise ConfigurationError("transport", "must be an httpx.BaseTransport")
    network.check(config.proxy)

    def connect() -> ThreadConnection:
        wire = network.Wire()
        return ThreadConnection(network.transport(wire, config.proxy.reveal()), wire)

    return connect


class _Process:
    """The state of a client in one process. A forked child starts without connections."""

    def __init__(self) -> None:
        self.idle: IdleConnections[Connection] = IdleConnections()
        self.turns = threading.Semaphore(MOST_IN_FLIGHT)
        self.correcting = threading.Lock()


class ThreadIo:
    """Threads share it."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` makes a connection that is not open yet."""
        self._connect = connect
        self._closed = False
        self._processes: dict[int, _Process] = {}

    def _process(self) -> _Process:
        pid = os.getpid()
        # setdefault is atomic, and a lock could be held by another thread during a fork.
        return self._processes.get(pid) or self._processes.setdefault(pid, _Process())

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        real_time.sleep(seconds)

    async def borrow(self, timeout: float, *, fresh: bool) -> Connection:
        """Lends a connection."""
        process = self._process()
        if not process.turns.acquire(timeout=timeout):
            raise httpx.PoolTimeout("No connection became free in time")
        if self._closed:
            process.turns.release()
            raise ConfigurationError("The client", "is closed; make a new one")
        try:
            return (None if fresh else process.idle.take()) or self._connect()
        except BaseException:
            process.turns.release()
            raise

    async def give_back(self, connection: Connection) -> None:
        """Takes a connection back."""
        process = self._process()
        if connection.usable and not self._closed:
            process.idle.put(connection)
        else:
            await connection.close()
        process.turns.release()
        while (stale := process.idle.take_stale()) is not None:
            await stale.close()

    @asynccontextmanager
    async def correcting_clock(self) -> AsyncIterator[None]:
        """One thread at a time."""
        with self._process().correcting:
            yield

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when they are given back."""
        self._closed = True
        idle = self._process().idle
        while (connection := idle.take_any()) is not None:
            run(connection.close())
