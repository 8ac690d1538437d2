"""The `Io` of the asynchronous client, for asyncio and trio."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

from . import network, real_time
from .connections import MOST_IN_FLIGHT, Lending, Place
from .http import Body, HttpxConnection
from .messages import Connection, Connector


class TaskConnection(HttpxConnection):
    """A connection over an asynchronous httpx transport."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, wire: network.Wire | None = None
    ) -> None:
        super().__init__(wire)
        self._transport = transport

    async def _send(self, request: httpx.Request) -> httpx.Response:
        with self._within(request.extensions["timeout"]["read"]):
            return await self._transport.handle_async_request(request)

    async def _read(self, response: httpx.Response, body: Body) -> None:
        with self._within(body.deadline - time.monotonic()):
            async for piece in response.stream:  # type: ignore[union-attr]  # of the right kind
                body.add(piece)

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        if self._wire is not None:  # its streams know the deadline
            yield
            return
        with anyio.move_on_after(seconds):
            yield
            return
        raise httpx.ReadTimeout("The whole response did not arrive in time")

    async def _finish(self, response: httpx.Response) -> None:
        # A connection of ours that a cancellation interrupts is discarded. The caller's transport
        # is used again, and must not lose a connection.
        await (response.aclose() if self._wire else _to_the_end(response.aclose()))

    async def _close_stream(self, stream: Any) -> None:
        await stream.aclose()


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
        return TaskConnection(network.async_transport(wire, proxy), wire)

    return connect


class _EventLoop(Place):
    """The state of a client in one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = anyio.Semaphore(MOST_IN_FLIGHT)
        self.correcting = anyio.Lock()
        self.end: AsyncGenerator[None]

    async def take_turn(self, timeout: float) -> None:
        try:
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(timeout):
                await self._turns.acquire()
                return
            raise httpx.PoolTimeout("No connection became free in time") from None

    def give_turn_back(self) -> None:
        self._turns.release()


class TaskIo(Lending[_EventLoop]):
    """Tasks share it. Each event loop has its own connections."""

    def _key(self) -> tuple[int, Any]:
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:
            loop = _trio_token()
        # An event loop that was made before a fork runs in each process.
        return os.getpid(), loop

    def _here(self) -> _EventLoop:
        key = self._key()
        place = self._places.get(key)
        return self._arrive(key) if place is None else place

    def _arrive(self, key: tuple[int, Any]) -> _EventLoop:
        # An event loop that ended without finishing its generators left its connections open.
        for process, loop in list(self._places):
            if process == key[0] and getattr(loop, "is_closed", bool)():
                del self._places[process, loop]
        place = self._places[key] = _EventLoop()
        place.end = self._at_the_end(key, place)
        with suppress(StopIteration):
            anext(place.end).send(None)
        return place

    async def _at_the_end(self, key: object, place: _EventLoop) -> AsyncGenerator[None]:
        # asyncio and trio finish the generators that were begun in an event loop before it ends.
        try:
            yield
        finally:
            self._places.pop(key, None)
            await self._discard_idle(place)

    async def _discard(self, connection: Connection) -> None:
        await _to_the_end(connection.close())

    async def sleep(self, seconds: float) -> None:
        """Waits, and lets other tasks run."""
        await real_time.async_sleep(seconds)

    @asynccontextmanager
    async def correcting_clock(self) -> AsyncIterator[None]:
        """One task at a time."""
        async with self._here().correcting:
            yield

    async def close(self) -> None:
        """Closes the idle connections; those in use are closed when they are given back."""
        self.closed = True
        with suppress(ConfigurationError):  # at the end of Python there is no event loop
            place = self._places.get(self._key())
            if place is not None:
                # Before it ends, because the event loop may end it at the same time.
                await self._discard_idle(place)
                with suppress(RuntimeError):
                    await place.end.aclose()


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


def _trio_token() -> Any:
    try:
        import trio

        return trio.lowlevel.current_trio_token()
    except (ImportError, RuntimeError):
        raise ConfigurationError(
            "AsyncSmallLiabilityClient", "needs a running event loop; await it in a coroutine"
        ) from None
