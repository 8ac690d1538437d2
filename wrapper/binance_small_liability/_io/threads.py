"""The `Io` of the synchronous client. It never suspends: `run` runs a coroutine to its end."""

import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden, bare

from . import network, real_time
from .connections import MOST_IN_FLIGHT, Lending, Place
from .http import Body, HttpxConnection
from .messages import Connection

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    except Exception:
        raise
    except BaseException as error:
        # A signal interrupts any line, also where a local variable is a secret.
        interruption = bare(error)
    else:
        coroutine.close()
        raise RuntimeError("A synchronous call suspended; please report this bug.")
    raise interruption


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

    async def _close_stream(self, stream: Any) -> None:
        stream.close()


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
        return ThreadConnection(network.transport(wire, proxy), wire)

    return connect


class _Process(Place):
    def __init__(self) -> None:
        super().__init__()
        # Not a Semaphore: it is Python code, and a signal's exception within it would leave it
        # locked.
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(MOST_IN_FLIGHT):
            self._turns.put(None)
        self.correcting = threading.Lock()

    async def take_turn(self, timeout: float) -> None:
        try:
            self._turns.get(timeout=timeout)
        except Empty:
            raise httpx.PoolTimeout("No connection became free in time") from None

    def give_turn_back(self) -> None:
        self._turns.put(None)


class ThreadIo(Lending[_Process]):
    """Threads share it. Each process has its own connections."""

    def _here(self) -> _Process:
        # Asked each time, because uWSGI forks without Python's hooks.
        process = os.getpid()
        # `setdefault` is atomic, and needs no lock that a fork could leave locked.
        return self._places.get(process) or self._places.setdefault(process, _Process())

    async def _discard(self, connection: Connection) -> None:
        await connection.close()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        real_time.sleep(seconds)

    @asynccontextmanager
    async def correcting_clock(self) -> AsyncIterator[None]:
        """One thread at a time."""
        with self._here().correcting:
            yield

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when they are given back."""
        self.closed = True
        run(self._discard_idle(self._here()))
