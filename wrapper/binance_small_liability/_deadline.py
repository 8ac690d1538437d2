"""httpx's transports, on whose connections an answer must arrive whole in time.

httpx counts a time-out anew with every piece that arrives, so that an answer which drips, be it in
its headers, its body or what frames them, would never end.
"""

import ssl
from collections.abc import Iterable
from time import monotonic
from typing import Any

import httpcore
import httpx


class HTTPTransport(httpx.HTTPTransport):
    """Over connections with a deadline."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpx has no other way to choose what its pool connects with.
        self._pool._network_backend = _Backend(self._pool._network_backend)


class AsyncHTTPTransport(httpx.AsyncHTTPTransport):
    """Over connections with a deadline."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool._network_backend = _AsyncBackend(self._pool._network_backend)


class _Deadline:
    """The time-out of the first read after a write is that of all reads until the next write."""

    def __init__(self) -> None:
        self._end: float | None = None

    def restart(self) -> None:
        self._end = None

    def left(self, timeout: float | None) -> float | None:
        if timeout is None:
            return None
        now = monotonic()
        if self._end is None:
            self._end = now + timeout
        if now >= self._end:
            raise httpcore.ReadTimeout("The answer did not arrive whole in time")
        return self._end - now


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._deadline = _Deadline()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline.restart()
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _AsyncStream(stream)


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._deadline = _Deadline()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, self._deadline.left(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline.restart()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
