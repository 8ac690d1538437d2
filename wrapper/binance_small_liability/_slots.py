"""How many requests an asynchronous session has under way."""

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import anyio

# The time that httpx's asynchronous pool takes for a request grows with the number of connections
# and of requests that wait, so the latter wait here. The limit of the API is 120 calls a minute.
MOST = 20


class Slots:
    """At most 20 at a time; who waits longer than `timeout` seconds gets httpx.PoolTimeout."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._free: anyio.Semaphore | None = None

    async def __aenter__(self) -> None:
        """Take a slot."""
        import anyio  # httpx needs it only for asynchronous calls, and so does this

        if self._free is None:
            self._free = anyio.Semaphore(MOST, fast_acquire=True)
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(self._timeout):
                await self._free.acquire()
                return
            raise httpx.PoolTimeout("No connection became free in time") from None

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        if self._free is not None:
            self._free.release()
