"""The `Io` of the asynchronous client, for asyncio and trio."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

from . import network, real_time
from .connections import MOST_IN_FLIGHT, IdleConnections
from .http import Body, HttpxConnection
from .messages import Connection, Connector

try:
    import sniffio  # noqa: F401 - only to know whether it is installed
except ImportError:
    # httpcore tries to import it several times per request. A search that finds nothing takes 40 µs
    # each time, 0.18 ms per call; this entry ends it at once. It applies to the whole process: a
    # sniffio that is added to the path later is not found.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class TaskConnection(HttpxConnection):
    """A connection over an asynchronous httpx transport."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, wire: network.Wire | None = None
    ) -> None:
        super().__init__(wire)
        self._transport = transport

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)

    async def _read(self, response: httpx.Response, body: Body) -> None:
        async for piece in response.stream:  # type: ignore[union-attr]  # it is of the right kind
            body.add(piece)

    async def _finish(self, response: httpx.Response) -> None:
        # A connection of ours that a cancellation interrupts is discarded. The caller's transport
        # is used again, and must not lose a connection.
        await (response.aclose() if self._wire else _to_the_end(response.aclose()))

    async def _close_transport(self) -> None:
        await self._transport.aclose()


def connector(given: Any, proxy: Hidden) -> Callable[[], Connection]:
    """Returns the function that makes a client's connections. Raises ConfigurationError.

    Args:
        given: the caller's transport, or None.
        proxy: the URL of the proxy of our own connections, or None.
    """
    if isinstance(given, Connector):
        return given.connect
    if isinstance(given, httpx.AsyncBaseTransport):
        return lambda: TaskConnection(given)
    if given is not None:
        raise ConfigurationError(
            "transport", "must be an httpx.AsyncBaseTransport or an AiohttpTransport"
        )
    network.check(proxy)

    def connect() -> TaskConnection:
        wire = network.Wire()
        return TaskConnection(network.async_transport(wire, proxy.reveal()), wire)

    return connect


class _EventLoop:
    """The state of a client in one event loop."""

    def __init__(self) -> None:
        self.idle: IdleConnections[Connection] = IdleConnections()
        self.turns = anyio.Semaphore(MOST_IN_FLIGHT)
        self.correcting = anyio.Lock()


class TaskIo:
    """Tasks share it. Each event loop has its own connections."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` makes a connection that is not open yet."""
        self._connect = connect
        self._closed = False
        self._loops: WeakKeyDictionary[Any, _EventLoop] = WeakKeyDictionary()

    def _loop(self) -> _EventLoop:
        try:
            key: Any = asyncio.get_running_loop()
        except RuntimeError:
            key = _trio_token()
        if key not in self._loops:
            self._loops[key] = _EventLoop()
        return self._loops[key]

    async def sleep(self, seconds: float) -> None:
        """Waits, and lets other tasks run."""
        await real_time.async_sleep(seconds)

    async def borrow(self, timeout: float, *, fresh: bool) -> Connection:
        """Lends a connection."""
        loop = self._loop()
        try:
            loop.turns.acquire_nowait()
        except anyio.WouldBlock:
            await _acquire(loop.turns, timeout)
        try:
            return self._lend(loop.idle, fresh)
        except BaseException:
            loop.turns.release()
            raise

    def _lend(self, idle: IdleConnections[Connection], fresh: bool) -> Connection:
        if self._closed:
            raise ConfigurationError("The client", "is closed; make a new one")
        return (None if fresh else idle.take()) or self._connect()

    async def give_back(self, connection: Connection) -> None:
        """Takes a connection back."""
        loop = self._loop()
        # Released first, because a cancelled task ends at the next await.
        loop.turns.release()
        if connection.usable and not self._closed:
            loop.idle.put(connection)
        else:
            await _to_the_end(connection.close())
        while (stale := loop.idle.take_stale()) is not None:
            await _to_the_end(stale.close())

    @asynccontextmanager
    async def correcting_clock(self) -> AsyncIterator[None]:
        """One task at a time."""
        async with self._loop().correcting:
            yield

    async def close(self) -> None:
        """Closes the idle connections; those in use are closed when they are given back."""
        self._closed = True
        idle = self._loop().idle
        while (connection := idle.take_any()) is not None:
            await _to_the_end(connection.close())


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Awaits `closing`, which continues if the task is cancelled.

    A cancelled httpcore connection is lost: https://github.com/encode/httpcore/issues/658
    """
    try:
        task = asyncio.get_running_loop().create_task(closing)
    except RuntimeError:  # trio
        with anyio.CancelScope(shield=True):
            await closing
    else:
        # A scope would not stop `task.cancel()`.
        await asyncio.shield(task)


async def _acquire(turns: anyio.Semaphore, timeout: float) -> None:
    with anyio.move_on_after(timeout):
        await turns.acquire()
        return
    raise httpx.PoolTimeout("No connection became free in time")


def _trio_token() -> Any:
    try:
        import trio

        return trio.lowlevel.current_trio_token()
    except (ImportError, RuntimeError):
        raise ConfigurationError(
            "AsyncSmallLiabilityClient", "needs a running event loop; await it in a coroutine"
        ) from None
