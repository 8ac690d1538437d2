"""A transport over aiohttp, for asynchronous clients; needs the extra `aiohttp`::

    async with AsyncSmallLiabilityClient.from_env(transport=AiohttpTransport()) as client:
        coins = await client.list_coins()

A call takes about half as long as over httpx. Other transports over aiohttp do not work: aiohttp
decodes parts of a URL and so sends other bytes than were signed; it repeats a request if the
connection breaks; and not all of its errors become httpx errors.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import NoneType
from typing import Any

import httpx

from ._config import check_proxy
from ._errors import ConfigurationError
from ._io.http import Body, check_encoding
from ._io.messages import HEADERS, Answer, Connector, Request, Signature
from ._io.network import tls
from ._secrets import Hidden

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise ImportError(
        "AiohttpTransport needs another package: pip install 'binance-small-liability[aiohttp]'"
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

    def connect(self) -> "AiohttpConnection":
        """A connection that is not open yet. Raises ConfigurationError."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "transport", "needs asyncio; leave out AiohttpTransport to run on trio"
            ) from None
        return AiohttpConnection(self.proxy)

    async def aclose(self) -> None:
        """Does nothing: the connections share nothing."""


class AiohttpConnection:
    """A connection that is lent to one call at a time."""

    def __init__(self, proxy: Hidden) -> None:
        self.usable = self.sent = False
        self._proxy = proxy
        self._signature: Signature | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls(), limit=1, keepalive_timeout=3600),
            request_class=_Request,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._hand_over,),
            headers=HEADERS,
            skip_auto_headers=("Content-Type",),
        )

    async def exchange(self, request: Request, timeout: float) -> Answer:
        """Sends one request and receives its answer."""
        self.usable = self.sent = False
        self._signature = request.signature
        deadline = time.monotonic() + timeout
        with _errors_of_httpx():
            answer = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                allow_redirects=False,
                proxy=self._proxy.reveal(),
                timeout=aiohttp.ClientTimeout(total=timeout, connect=None),
            )
        content, broken = await _body(answer, deadline)
        self.usable = broken is None
        headers = httpx.Headers(list(answer.raw_headers))
        return Answer(answer.status, headers, content, broken)

    async def close(self) -> None:
        """Closes it."""
        await self._session.close()

    async def _hand_over(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # aiohttp would repeat a request if its connection breaks.
        if self.sent:
            raise aiohttp.ServerDisconnectedError
        if isinstance(request, _Request):
            request.connection = self
        return await handler(request)

    def outgoing(self, head: bytes) -> bytes:
        """The head of the request, signed."""
        self.sent = True
        signed = None if self._signature is None else self._signature.attach(head)
        return head if signed is None else signed


class _Request(aiohttp.ClientRequest):
    """A request whose key and signature are added to its bytes, below aiohttp's tracing."""

    connection: AiohttpConnection

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        conn.protocol.transport = _SigningTransport(conn.protocol, self.connection)
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


async def _body(
    answer: aiohttp.ClientResponse, deadline: float
) -> tuple[bytes, httpx.HTTPError | None]:
    body = Body(deadline)
    try:
        with _errors_of_httpx():
            check_encoding(answer.headers.get("Content-Encoding", ""))
            async for piece in answer.content.iter_any():
                body.add(piece)
    except httpx.HTTPError as error:
        answer.close()
        return body.content, error
    answer.release()
    return body.content, None


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(_text(error)) from None
    except TimeoutError as error:
        raise httpx.ReadTimeout(_text(error)) from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(_text(error)) from None
    except (aiohttp.ClientError, OSError, RuntimeError) as error:
        raise httpx.ReadError(_text(error)) from None


def _text(error: Exception) -> str:
    # Errors of answers quote the URL.
    return type(error).__name__ if isinstance(error, aiohttp.ClientResponseError) else str(error)
