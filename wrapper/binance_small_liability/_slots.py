"""How many requests a session has under way.

Who must wait for a turn waits here and not in httpx's pool, so that it can look once more, before
it sends, whether it still may.
"""

import threading
from typing import TYPE_CHECKING

import httpx

from ._network import MAX_CONNECTIONS

if TYPE_CHECKING:
    import anyio

# The time that httpx's asynchronous pool takes for a request grows with the number of connections:
# with 50 of them a call costs half as much again. The limit of the API is 120 calls a minute.
ASYNC_MOST = 20


class Slots:
    """As many threads as there may be connections; who waits too long gets httpx.PoolTimeout."""

    def __init__(self, timeout: float) -> None:
        """`timeout`: for how many seconds a thread waits at most."""
        self._timeout = timeout
        self._free = threading.Semaphore(MAX_CONNECTIONS)

    def __enter__(self) -> None:
        """Take a slot."""
        if not self._free.acquire(timeout=self._timeout):
            raise _timeout()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._free.release()


class AsyncSlots:
    """At most 20 tasks; who waits too long gets httpx.PoolTimeout."""

    def __init__(self, timeout: float) -> None:
        """`timeout`: for how many seconds a task waits at most."""
        self._timeout = timeout
        self._free: anyio.Semaphore | None = None

    async def __aenter__(self) -> None:
        """Take a slot."""
        import anyio  # httpx needs it only for asynchronous calls, and so does this

        if self._free is None:
            self._free = anyio.Semaphore(ASYNC_MOST, fast_acquire=True)
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(self._timeout):
                await self._free.acquire()
                return
            raise _timeout() from None

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        if self._free is not None:
            self._free.release()


def _timeout() -> httpx.PoolTimeout:
    return httpx.PoolTimeout("No connection became free in time")
