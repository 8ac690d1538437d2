"""Connections to Redis, each lent to one call, with one deadline for each use.

The clients of redis-py limit each read of a socket alone, and a use takes twice as long.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any
from weakref import WeakKeyDictionary

import redis

TIMEOUT = 0.25  # seconds for connecting, sending and receiving together
# The timeout is counted in so many timers of the event loop. A busy loop runs them late, so the
# command still gets its turns.
_STEPS = 15
_MOST = 10  # connections; opening one for each of 100 calls would take longer than waiting for one
# Another try is decided here, and within the same deadline. Notices of maintenance refer to a pool.
_LEFT_OUT = ("retry", "health_check", "maint", "orig_", "oss_cluster")
_OWN = {"protocol": 2, "decode_responses": False, "socket_timeout": None}
_thread = threading.local()  # `deadline`: of its use of Redis, a moment of `time.monotonic()`


class Connections:
    """The connections of one client. Each process and each event loop has its own."""

    def __init__(self, pool: Any, *, is_async: bool) -> None:
        """They are made as `pool` of redis-py makes them. Raises errors of redis-py."""
        kind = pool.connection_class
        kind = kind if is_async else type("Bounded", (_Bounded, kind), {})

        # A closure, because the arguments contain the password.
        def make() -> Any:
            given = pool.connection_kwargs
            arguments = {k: given[k] for k in given if not k.startswith(_LEFT_OUT)}
            connection = kind(**arguments | _OWN)
            # It does not send CLIENT SETINFO, which would take two round trips. Each version of
            # redis-py has one of these.
            connection.driver_info = connection.lib_name = connection.lib_version = None
            return connection

        make()
        self._make = make
        self._is_async = is_async
        self._owners: dict[int, WeakKeyDictionary[Any, Any]] = {}

    async def run(self, *command: Any) -> Any:
        """The reply to a command, which may run twice. Raises an error within `TIMEOUT`."""
        if not self._is_async:
            _thread.deadline = time.monotonic() + TIMEOUT
            return await self._use(command)
        import anyio  # the synchronous client does not need it

        loop = asyncio.get_running_loop()
        # Not asyncio.timeout: in Python 3.11.2 it cancels a task that handles its cancellation.
        scope = anyio.CancelScope()
        timer: asyncio.TimerHandle

        def step(number: int) -> None:
            nonlocal timer
            if number < _STEPS:
                timer = loop.call_later(TIMEOUT / _STEPS, step, number + 1)
            else:
                scope.cancel()

        with scope:
            timer = loop.call_later(TIMEOUT / _STEPS, step, 1)
            try:
                return await self._use(command)
            finally:
                timer.cancel()
        raise TimeoutError

    async def _use(self, command: tuple[Any, ...]) -> Any:
        idle, _ = await self._here()
        connection = await _result(idle.get() if self._is_async else idle.get(timeout=TIMEOUT))
        try:
            return await _run(connection, command)
        except redis.ConnectionError:
            # Redis may have closed an idle connection.
            return await _run(connection, command)
        finally:
            idle.put_nowait(connection)

    async def close(self) -> None:
        """Closes the connections that are idle here."""
        await (await self._here())[1].aclose()

    async def _here(self) -> Any:
        owner = asyncio.get_running_loop() if self._is_async else self._make
        try:
            return self._owners[os.getpid()][owner]
        except KeyError:
            idle: Any = asyncio.LifoQueue() if self._is_async else queue.LifoQueue()
            connections = _fill(idle, self._make)
            await anext(connections)
            owners = self._owners.setdefault(os.getpid(), WeakKeyDictionary())
            return owners.setdefault(owner, (idle, connections))


async def _fill(idle: Any, make: Callable[[], Any]) -> AsyncGenerator[None, None]:
    """Fills a queue with connections. An event loop that ends closes its generators."""
    for _ in range(_MOST):
        idle.put_nowait(make())
    try:
        yield
    finally:
        while not idle.empty():
            await _result(idle.get_nowait().disconnect(True))


async def _run(connection: Any, command: tuple[Any, ...]) -> Any:
    items = [each if isinstance(each, bytes) else str(each).encode() for each in command]
    # redis-py takes much longer to pack it.
    packed = b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in items)
    try:
        if not getattr(connection, "is_connected", False):
            await _result(connection.connect())
        await _result(connection.send_packed_command([b"*%d\r\n%b" % (len(items), packed)]))
        return await _result(connection.read_response())
    except BaseException as error:
        await _result(connection.disconnect(True))  # without waiting for its end
        # The frames of redis-py contain the password.
        raise error.with_traceback(None) from None


async def _result(returned: Any) -> Any:
    """What a method of either kind returns."""
    return await returned if hasattr(returned, "__await__") else returned


class _Bounded:
    """A connection of redis-py whose uses end at the deadline of the thread."""

    # This replaces a private method: redis-py offers no other way to its socket.
    def _connect(self) -> "_Socket":
        # Half of what is left for each of two addresses, and for a handshake of TLS.
        self.socket_timeout = self.socket_connect_timeout = _left() / 2
        return _Socket(super()._connect())  # type: ignore[misc]  # of the other base class


class _Socket:
    """A socket whose uses end at the deadline of the thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name in ("recv", "recv_into", "sendall"):
            self._inner.settimeout(_left())
        return getattr(self._inner, name)


def _left() -> Any:
    if (seconds := _thread.deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds
