"""A transport over aiohttp, for asynchronous clients; needs the extra `aiohttp`::

    async with AsyncSmallLiabilityClient.from_env(transport=AiohttpTransport()) as client:
        coins = await client.list_coins()

A call takes about half as long as over httpx. Other transports over aiohttp do not work: aiohttp
decodes parts of a URL and so sends other bytes than were signed; it retries a request if the
connection breaks; and not all of its errors become httpx errors.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from math import inf
from types import NoneType
from typing import Any

import httpx

from ._config import check_proxy
from ._errors import ConfigurationError
from ._io.http import Body
from ._io.messages import HEADERS, Answer, Connector, Request, do_nothing
from ._io.network import is_readable, tls
from ._io.transport_errors import broken_body, transport_error
from ._secrets import Hidden, bare, without_frames

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise ImportError(
        'AiohttpTransport needs another package: pip install "binance-small-liability[aiohttp]"'
    ) from None


class AiohttpTransport(Connector):
    """Gives a client connections over aiohttp. Each event loop gets its own."""

    def __init__(self, *, proxy: str | None = None) -> None:
        """Does not connect yet. Raises ConfigurationError.

        Args:
            proxy: URL of an HTTP proxy.
        """
        self.proxy = Hidden.of(proxy)
        # Tracebacks may print the local variables of this frame.
        del proxy
        if not isinstance(self.proxy.reveal(), (str, NoneType)):
            raise ConfigurationError("proxy", "must be a URL such as http://host:3128")
        if self.proxy.reveal() is not None:
            check_proxy(self.proxy, ("http", "https"))
        self._proxy_options = Hidden(without_frames(lambda: _proxy_options(self.proxy)))

    def connect(self) -> "AiohttpConnection":
        """A connection that is not open yet. Raises ConfigurationError."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "transport", "needs asyncio; leave out AiohttpTransport to run on trio"
            ) from None
        return AiohttpConnection(self._proxy_options)

    async def aclose(self) -> None:
        """Does nothing: the connections share nothing."""


def _proxy_options(proxy: Hidden) -> dict[str, Any]:
    """Options of a request. No URL contains the password, because aiohttp logs and quotes URLs."""
    if proxy.reveal() is None:
        return {}
    parsed = httpx.Proxy(proxy.reveal())
    options: dict[str, Any] = {"proxy": URL(str(parsed.url))}
    if parsed.raw_auth is not None:
        # aiohttp sends it to the proxy alone, as Proxy-Authorization.
        basic = b64encode(b":".join(parsed.raw_auth)).decode("ascii")
        options["proxy_headers"] = {"Authorization": f"Basic {basic}"}
    return options


class AiohttpConnection:
    """A connection that is lent to one call at a time."""

    def __init__(self, proxy_options: Hidden) -> None:
        self.sent = False
        self._proxy_options = proxy_options
        self._answered = self._used = False
        self._request: Request | None = None
        self._before_sending = do_nothing
        self._refusal: BaseException | None = None
        self._protocol: Any = None  # aiohttp's, once it is connected
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls(), limit=1, keepalive_timeout=3600),
            request_class=_Request,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._hand_over,),
            headers=HEADERS,
            skip_auto_headers=("Content-Type",),
        )

    @property
    def usable(self) -> bool:
        """Whether a request was answered, nothing has arrived since, and another can follow."""
        return self._answered and not (self._protocol is not None and _has_received(self._protocol))

    async def exchange(
        self, request: Request, timeout: float, before_sending: Callable[[], None] = do_nothing
    ) -> Answer:
        """Sends one request and receives its answer."""
        self._answered = self._used = self.sent = False
        self._request = request
        self._before_sending = before_sending
        self._refusal = None
        deadline = time.monotonic() + timeout
        try:
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                allow_redirects=False,
                # Above its threshold, aiohttp would round it up.
                timeout=aiohttp.ClientTimeout(total=timeout, connect=None, ceil_threshold=inf),
                **self._proxy_options.reveal(),
            )
            answer = await self._receive(response, deadline)
        except BaseException as error:
            failure = self._failure(error)
        else:
            self._answered = answer.broken is None
            return answer
        # Raised outside the handler, because the frames of the error hold signed bytes.
        raise failure

    def _failure(self, error: BaseException) -> BaseException:
        if not isinstance(error, Exception) or error is self._refusal:
            return bare(error)
        # aiohttp calls no middleware if a library such as aioresponses replaces the network, which
        # may have sent.
        self.sent |= not self._used
        return transport_error(_error_of_httpx(error))

    async def _receive(self, response: aiohttp.ClientResponse, deadline: float) -> Answer:
        headers = httpx.Headers(list(response.raw_headers))
        body = Body(deadline, response.status, headers)
        broken: httpx.HTTPError | None = None
        try:
            body.check_encoding()
            async for piece in response.content.iter_any():
                body.add(piece)
            if self._used:
                body.check_end(surplus=self._has_surplus())
        except Exception as error:
            broken = broken_body(_error_of_httpx(error))
        finally:
            # Without effect once the body has arrived.
            response.close()
        return Answer(response.status, headers, body.content, broken)

    def _has_surplus(self) -> bool:
        """Whether more than the answer has arrived: another one, or bytes that are not HTTP."""
        wrong = isinstance(self._protocol.exception(), aiohttp.http_exceptions.HttpProcessingError)
        return wrong or len(self._protocol) > 0

    async def close(self) -> None:
        """Closes it."""
        await self._session.close()

    async def _hand_over(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # aiohttp would repeat a request if its connection breaks.
        if self.sent:
            raise aiohttp.ServerDisconnectedError
        self._used = True
        if isinstance(request, _Request):
            request.connection = self
        return await handler(request)

    def connected(self, protocol: Any) -> None:
        """The next bytes written to `protocol` are the head of the request."""
        self._protocol = protocol
        protocol.transport = _SigningTransport(protocol, self)

    def outgoing(self, head: bytes) -> bytes:
        """The head of the request, signed."""
        signed = None if self._request is None else self._request.signed_head(head)
        self._request = None
        try:
            self._before_sending()
        except BaseException as refusal:
            self._refusal = refusal
            raise
        self.sent = True
        return head if signed is None else signed


def _has_received(protocol: Any) -> bool:
    """Whether unexpected bytes have arrived, or the connection has ended."""
    return (
        protocol.should_close
        or not protocol.is_connected()
        # The event loop has not read them yet.
        or is_readable(protocol.transport.get_extra_info("socket"))
    )


class _Request(aiohttp.ClientRequest):
    """A request whose key and signature are added to its bytes, below aiohttp's tracing."""

    connection: AiohttpConnection

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        self.connection.connected(conn.protocol)
        return await super().send(conn)


class _SigningTransport:
    """Forwards everything to the transport of a protocol, and signs the first bytes written."""

    def __init__(self, protocol: Any, connection: AiohttpConnection) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._connection = connection

    def write(self, content: bytes) -> None:
        # Only the first bytes pass through here.
        self._protocol.transport = self._transport
        self._transport.write(self._connection.outgoing(bytes(content)))

    def writelines(self, contents: Any) -> None:
        self.write(b"".join(contents))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _error_of_httpx(error: Exception) -> Exception:
    """The error that httpx raises instead of one of aiohttp."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return httpx.ProxyError(f"{error.status} {error.message}")
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(str(error))
        case TimeoutError():
            return httpx.ReadTimeout(str(error) or "The whole response did not arrive in time")
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(str(error))
        case aiohttp.ClientResponseError():  # its text quotes the URL
            return httpx.ReadError(type(error).__name__)
        case aiohttp.ClientError() | OSError() | RuntimeError():
            return httpx.ReadError(str(error))
        case AttributeError(name="_abort"):  # of asyncio in Python 3.11.2: TLS within TLS failed
            return httpx.ConnectError("The TLS handshake failed")
    return error
