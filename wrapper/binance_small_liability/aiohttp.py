"""An httpx transport over aiohttp, for asynchronous clients; needs the extra `aiohttp`::

    async with AsyncSmallLiabilityClient.from_env(transport=AiohttpTransport()) as client:
        coins = await client.list_coins()

It is quicker than httpx's own. Other transports over aiohttp will not do: aiohttp decodes what need
not be encoded in a URL, so that what is sent is not what was signed; where a connection breaks it
sends again what was signed for one attempt; and not all of its errors become errors of httpx.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx

from ._network import MAX_CONNECTIONS, tls

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise ImportError(
        "AiohttpTransport needs another package: pip install 'binance-small-liability[aiohttp]'"
    ) from None


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests over aiohttp, as they were signed and once each.

    Raises httpx.TransportError where a request or its answer fails.
    """

    # Instead of the URL's own path and query.
    takes_target = True

    def __init__(self) -> None:
        """Opens nothing yet. It belongs to the event loop of its first request."""
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request`."""
        if self._session is None:
            self._session = _session()
        url = request.url
        target = request.extensions.get("target", url.raw_path)
        origin = b"%b://%b" % (url.raw_scheme, url.netloc)
        timeout = request.extensions["timeout"]
        with _errors_of_httpx():
            answer = await self._session.request(
                request.method,
                URL((origin + target).decode("ascii"), encoded=True),
                headers=[(k.decode("ascii"), v.decode("latin-1")) for k, v in request.headers.raw],
                data=request.content or None,
                allow_redirects=False,
                middlewares=(_once(),),
                timeout=aiohttp.ClientTimeout(
                    # Each of the others counts anew with every piece that arrives.
                    total=sum(timeout.values()),
                    connect=timeout["pool"],
                    sock_connect=timeout["connect"],
                    sock_read=timeout["read"],
                ),
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=tls(), limit=MAX_CONNECTIONS)
    return aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )


def _once() -> aiohttp.ClientMiddlewareType:
    """Lets one request pass; aiohttp would send it again where the connection breaks."""
    sent = False

    async def send(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        nonlocal sent
        if sent:
            raise aiohttp.ServerDisconnectedError
        sent = True
        return await handler(request)

    return send


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._answer.release()


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(_told(error)) from None
    except TimeoutError as error:
        raise httpx.ReadTimeout(_told(error)) from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(_told(error)) from None
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(_told(error)) from None


def _told(error: Exception) -> str:
    # Those of answers quote the signed URL.
    return type(error).__name__ if isinstance(error, aiohttp.ClientResponseError) else str(error)
