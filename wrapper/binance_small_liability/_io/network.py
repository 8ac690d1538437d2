"""httpx transports that use one connection, have one deadline per attempt, and sign requests.

This is the one module that uses private attributes of libraries. httpx offers no public way to
choose how connections are made. httpcore offers none to detect surplus bytes. Parsing a URL again
for each call takes 50 µs.
"""

import copy
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden, without_frames

from .messages import Request


class Wire:
    """The state of one connection and its current request, shared by its streams.

    Attributes:
        sent: whether any byte of the request may have been sent.
        used: whether the request needed the network. Libraries such as respx replace it.
        refusal: what `before_sending` raised.
    """

    def __init__(self) -> None:
        self.connection: Any = None  # httpcore's
        self.stream: Any = None  # the latest: over TLS, the one that encrypts
        self._request: Request | None = None
        self._deadline = 0.0
        self.sent = self.used = False

    def begin(self, request: Request, deadline: float, before_sending: Callable[[], None]) -> None:
        """A request begins.

        Args:
            request: it is signed as it leaves.
            deadline: a moment of `time.monotonic()`.
            before_sending: called just before the first byte leaves. If it raises, none does.
        """
        self.sent = self.used = False
        self.refusal: BaseException | None = None
        self._request = request
        self._deadline = deadline
        self._before_sending = before_sending

    def left(self, timed_out: type[Exception]) -> float:
        """The seconds left for this attempt. The streams ask before each step."""
        self.used = True
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise timed_out("The attempt took longer than its timeout")
        return seconds

    def outgoing(self, content: bytes) -> bytes:
        """`content` of the request, signed if it is its head."""
        signed = None if self._request is None else self._request.signed_head(content)
        if signed is None:  # what a proxy receives before the request
            return content
        self._request = None
        try:
            self._before_sending()
        except BaseException as refusal:
            self.refusal = refusal
            raise
        self.sent = True
        return signed

    def has_surplus(self) -> bool:
        """Whether more bytes arrived than the answer has."""
        connection = self.connection
        while connection is not None and not hasattr(connection, "_h11_state"):
            connection = connection._connection
        if connection is not None and connection._h11_state.trailing_data[0]:
            return True
        return self.stream is not None and has_records(self.stream.get_extra_info("ssl_object"))

    def has_received(self) -> bool:
        """Whether unexpected bytes have arrived, or the connection has ended."""
        if self.stream is None:
            return False
        return is_readable(self.stream.get_extra_info("socket")) or self.has_surplus()


def is_readable(sock: Any) -> bool:
    """Whether a socket has received bytes, or its connection has ended."""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


def has_records(tls_object: Any) -> bool:
    """Whether TLS has received, but not yet handed over, any data."""
    # An ssl.SSLSocket leaves them in the socket.
    if not isinstance(tls_object, ssl.SSLObject):
        return False
    try:
        tls_object.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return True


class _OneConnection:
    """Replaces the pool of an httpx transport, which takes 0.1 ms of each call."""

    def __init__(self, pool: Any, wire: Wire) -> None:
        self._pool = pool
        self._wire = wire

    def handle_request(self, request: httpcore.Request) -> Any:
        if _is_replaced(self._pool.handle_request):
            return self._pool.handle_request(request)
        return self._connection(request).handle_request(request)

    def handle_async_request(self, request: httpcore.Request) -> Any:
        if _is_replaced(self._pool.handle_async_request):
            return self._pool.handle_async_request(request)
        return self._connection(request).handle_async_request(request)

    def _connection(self, request: httpcore.Request) -> Any:
        connection = self._wire.connection
        if connection is None or not connection.is_available():
            connection = self._pool.create_connection(request.url.origin)
            self._wire.connection = connection
        return connection


def _is_replaced(method: Any) -> bool:
    # vcrpy (8.0 to 9.3) and respx put a function of their own into the class of the pool.
    code = getattr(method, "__code__", None)
    return code is None or "ConnectionPool." not in code.co_qualname


def transport(wire: Wire, proxy: Hidden) -> httpx.HTTPTransport:
    """A transport that opens one connection at a time."""
    opened: httpx.HTTPTransport = _opened(httpx.HTTPTransport, _Backend, wire, proxy)
    return opened


def async_transport(wire: Wire, proxy: Hidden) -> httpx.AsyncHTTPTransport:
    """See `transport`."""
    opened: httpx.AsyncHTTPTransport = _opened(httpx.AsyncHTTPTransport, _AsyncBackend, wire, proxy)
    return opened


def _opened(kind: Any, backend: Any, wire: Wire, proxy: Hidden) -> Any:
    opened = without_frames(lambda: kind(verify=tls(), proxy=proxy.reveal()))
    pool = opened._pool
    pool._network_backend = backend(pool._network_backend, wire)
    opened._pool = _OneConnection(pool, wire)
    return opened


@lru_cache
def _parsed(base: str) -> httpx.URL:
    return httpx.URL(base)


def url(text: str) -> httpx.URL:
    """The same as `httpx.URL(text)`, if only the query differs from those before."""
    base, _, query = text.partition("?")
    made = copy.copy(_parsed(base))
    made._uri_reference = made._uri_reference._replace(query=query or None)
    return made


def check(proxy: Hidden) -> None:
    """Raises ConfigurationError if no transport can be opened."""
    try:
        transport(Wire(), proxy)
    except ImportError:
        problem = 'needs another package: pip install "httpx[socks]"'
    else:
        return
    # Raised outside the handler, because the frames of the failure hold the proxy's password.
    raise ConfigurationError("proxy", problem)


@cache
def tls() -> ssl.SSLContext:
    """The CAs that all clients trust. Loading them takes about 20 ms."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if folder and not file and not Path(folder).is_dir():
        raise ConfigurationError("SSL_CERT_DIR", f"names {folder}, which is not a folder")
    try:
        return httpx.create_ssl_context()
    except ssl.SSLError:
        problem = "holds no certificates in PEM"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    # ssl writes the keys of connections to the file of the second.
    option = "SSL_CERT_FILE" if file else "SSLKEYLOGFILE"
    raise ConfigurationError(option, f"names {os.environ.get(option)}, which {problem}")


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
        wire.stream = self

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
        stream = _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._wire)
        # Python skips the handshake if the connection was reset, and would write plain text.
        if stream.get_extra_info("ssl_object") is None:
            raise httpcore.ConnectError("The connection ended before the TLS handshake")
        return stream


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
