"""httpx transports with one deadline per attempt that add the signature to the bytes they send.

This is the one module that uses a private attribute of a library: httpx offers no other way to
choose what its connections are made with.
"""

import os
import socket
import ssl
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpcore
import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

from .messages import Signature


class Wire:
    """The state of one connection's current request, shared by its streams.

    Attributes:
        sent: whether any byte of the request may have been sent.
    """

    def __init__(self) -> None:
        self.begin(None, 0.0)

    def begin(self, signature: Signature | None, deadline: float) -> None:
        """A request begins. `deadline` is a moment of `time.monotonic()`."""
        self.sent = False
        self._used = False
        self._signature = signature
        self._deadline = deadline

    def failed(self) -> None:
        """The request failed."""
        # Unused streams mean that a library such as respx replaced the network. It may have sent.
        self.sent = self.sent or not self._used

    def left(self, timed_out: type[Exception]) -> float:
        """The seconds left for this attempt. The streams ask before each step."""
        self._used = True
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise timed_out("The attempt took longer than its time-out")
        return seconds

    def outgoing(self, content: bytes) -> bytes:
        """`content` of the request, signed if it is its head."""
        if self._signature is None:
            self.sent = True
            return content
        signed = self._signature.attach(content)
        if signed is None:  # what a proxy receives before the request
            return content
        self._signature = None
        self.sent = True
        return signed


def transport(wire: Wire, proxy: Any) -> httpx.HTTPTransport:
    """A transport that opens one connection at a time."""
    opened = httpx.HTTPTransport(verify=tls(), proxy=proxy)
    opened._pool._network_backend = _Backend(opened._pool._network_backend, wire)
    return opened


def async_transport(wire: Wire, proxy: Any) -> httpx.AsyncHTTPTransport:
    """See `transport`."""
    opened = httpx.AsyncHTTPTransport(verify=tls(), proxy=proxy)
    opened._pool._network_backend = _AsyncBackend(opened._pool._network_backend, wire)
    return opened


def check(proxy: Hidden) -> None:
    """Raises ConfigurationError if no transport can be opened."""
    tls()
    try:
        httpx.HTTPTransport(verify=tls(), proxy=proxy.reveal())
    except ImportError:
        problem = "needs another package: pip install 'httpx[socks]'"
    else:
        return
    # Raised outside the handler, because the frames of the failure hold the proxy's password.
    raise ConfigurationError("proxy", problem)


@cache
def tls() -> ssl.SSLContext:
    """The authorities that all clients trust. Loading them takes about 20 ms."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if folder and not file and not Path(folder).is_dir():
        raise ConfigurationError("SSL_CERT_DIR", f"names {folder}, which is not a folder")
    try:
        return httpx.create_ssl_context()
    except ssl.SSLError:
        problem = "holds no certificates in PEM"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise ConfigurationError("SSL_CERT_FILE", f"names {file}, which {problem}")


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *options: Any, **more: Any
    ) -> httpcore.NetworkStream:
        self._wire.left(httpcore.ConnectTimeout)
        addresses = _addresses(host)
        while True:
            # Each address has its share of the time that is left.
            seconds = self._wire.left(httpcore.ConnectTimeout) / len(addresses)
            try:
                stream = self._inner.connect_tcp(addresses.pop(0), port, seconds, *options, **more)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise
            else:
                return _Stream(stream, self._wire)


def _addresses(host: str) -> list[str]:
    found = (str(address[0]) for *_, address in socket.getaddrinfo(host, None))
    return list(dict.fromkeys(found))


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *options: Any, **more: Any
    ) -> httpcore.AsyncNetworkStream:
        left = self._wire.left(httpcore.ConnectTimeout)
        stream = await self._inner.connect_tcp(host, port, left, *options, **more)
        return _AsyncStream(stream, self._wire)


class _AnyStream:
    """A stream of either kind: the methods of an asynchronous one return awaitables."""

    def __init__(self, inner: Any, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._inner.read(max_bytes, self._wire.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> Any:
        left = self._wire.left(httpcore.WriteTimeout)
        return self._inner.write(self._wire.outgoing(buffer), left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Stream(_AnyStream, httpcore.NetworkStream):
    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._wire.left(httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._wire)


class _AsyncStream(_AnyStream, httpcore.AsyncNetworkStream):
    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = self._wire.left(httpcore.ConnectTimeout)
        return _AsyncStream(
            await self._inner.start_tls(ssl_context, server_hostname, left), self._wire
        )
