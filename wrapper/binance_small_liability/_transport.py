"""The last step before the wire and the first after it."""

import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from typing import Any

import httpx

from ._answer import Answer
from ._redaction import SEAL, Seal

# Small enough that no piece can be inflated (about 1:1000) far beyond the bound on bodies.
_PIECE = 8 * 1024
_OF_THE_BODY = (b"content-encoding", b"content-length", b"transfer-encoding")


class Transport(httpx.BaseTransport):
    """Opens the seal of a request and bounds what comes back.

    `takes_target` says that `inner` sends the extension `target` instead of the URL's own path and
    query.
    """

    def __init__(self, inner: httpx.BaseTransport, *, takes_target: bool) -> None:
        self._inner = inner
        self._takes_target = takes_target

    def handle_request(self, request: httpx.Request) -> Answer:
        """Sends `request` signed, if it carries a signature."""
        try:
            response = self._inner.handle_request(_unsealed(request, self._takes_target))
        except BaseException as error:
            raise _without_frames(error) from None
        return _answer(response, _read_timeout(request))

    def close(self) -> None:
        """Closes the connections."""
        self._inner.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """As `Transport`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, takes_target: bool) -> None:
        self._inner = inner
        self._takes_target = takes_target

    async def handle_async_request(self, request: httpx.Request) -> Answer:
        """Sends `request` signed, if it carries a signature."""
        try:
            response = await self._inner.handle_async_request(
                _unsealed(request, self._takes_target)
            )
        except BaseException as error:
            raise _without_frames(error) from None
        return _answer(response, _read_timeout(request))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


class _BoundedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that must have arrived whole within a time, and comes in small pieces."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        deadline = time.monotonic() + self._seconds
        for chunk in self._stream:
            yield from _pieces(chunk, deadline)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        deadline = time.monotonic() + self._seconds
        async for chunk in self._stream:
            for piece in _pieces(chunk, deadline):
                yield piece

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await _to_the_end(self._stream.aclose())


def _to_the_end(closing: Coroutine[Any, Any, None]) -> Awaitable[None]:
    """`closing`, which goes on where its task is cancelled: httpcore would lose the connection.

    https://github.com/encode/httpcore/issues/658
    """
    import asyncio  # only here: a synchronous call does not need it

    try:
        return asyncio.shield(asyncio.get_running_loop().create_task(closing))
    except RuntimeError:  # another kind of event loop, whose shields httpcore uses itself
        return closing


def _pieces(chunk: bytes, deadline: float) -> Iterator[bytes]:
    if time.monotonic() > deadline:
        raise httpx.ReadTimeout("The answer did not arrive whole in time")
    for start in range(0, len(chunk), _PIECE):
        yield chunk[start : start + _PIECE]


def _unsealed(request: httpx.Request, takes_target: bool) -> httpx.Request:
    seal: Seal | None = request.extensions.get(SEAL)
    return request if seal is None else seal.open(request, takes_target=takes_target)


def _without_frames(error: BaseException) -> BaseException:
    """`error` without the frames that hold the signed request; httpx's where httpx missed one."""
    if isinstance(error, (OSError, UnicodeError)):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _read_timeout(request: httpx.Request) -> float:
    return float(request.extensions["timeout"]["read"])


def _answer(response: httpx.Response, seconds: float) -> Answer:
    headers = response.headers
    stream: httpx.SyncByteStream | httpx.AsyncByteStream
    if response.is_stream_consumed:
        # Some transports hand over a body that was read and decoded already.
        headers = httpx.Headers([(k, v) for k, v in headers.raw if k.lower() not in _OF_THE_BODY])
        stream = httpx.ByteStream(response.content)
    else:
        stream = _BoundedStream(response.stream, seconds)
    # httpx logs the reason phrase, which may be anything, and a server may echo the key there.
    extensions = {k: v for k, v in response.extensions.items() if k != "reason_phrase"}
    return Answer(response.status_code, headers=headers, stream=stream, extensions=extensions)
