"""One request over an httpx transport, and its answer as a plain value."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import httpx

from .messages import API_KEY_HEADER, HEADERS, Answer, Request

MAX_BODY = 10 * 1024 * 1024  # bytes


def httpx_request(request: Request, timeout: float, *, signed: bool) -> httpx.Request:
    """The request for a transport; with key and signature only if `signed`."""
    headers = dict(HEADERS)
    if signed and request.signature is not None:
        headers[API_KEY_HEADER] = request.signature.api_key
    return httpx.Request(
        request.method,
        request.signed_url if signed else request.url,
        headers=headers,
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
    )


def receive(response: httpx.Response, deadline: float) -> Answer:
    """Reads the body until `deadline`, a moment of `time.monotonic()`."""
    body, broken = _Body(deadline), None
    try:
        if _is_unread(response):
            for piece in response.stream:  # type: ignore[union-attr]  # it is of the right kind
                body.add(piece)
        else:
            body.add(response.content)
    except httpx.HTTPError as error:
        broken = error
    finally:
        response.close()
    return body.answer(response, broken)


async def receive_async(
    response: httpx.Response, deadline: float, *, keep_transport: bool
) -> Answer:
    """As `receive`.

    A transport that is used again afterwards, whatever happens, must not lose a connection if the
    task is cancelled: then `keep_transport`.
    """
    body, broken = _Body(deadline), None
    try:
        if _is_unread(response):
            async for piece in response.stream:  # type: ignore[union-attr]
                body.add(piece)
        else:
            body.add(response.content)
    except httpx.HTTPError as error:
        broken = error
    finally:
        # Only if needed, because a task costs 30 µs.
        await (_to_the_end(response.aclose()) if keep_transport else response.aclose())
    return body.answer(response, broken)


def _is_unread(response: httpx.Response) -> bool:
    # Some transports hand over a body that was read and decoded already.
    if response.is_stream_consumed:
        return False
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise httpx.DecodingError("The answer is encoded, although no encoding was asked for")
    return True


class _Body:
    """The pieces of a body, within its bounds."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout("The answer did not arrive whole in time")
        self._size += len(piece)
        if self._size > MAX_BODY:
            raise httpx.ReadError(f"The answer is larger than {MAX_BODY} bytes")
        self._pieces.append(piece)

    def answer(self, response: httpx.Response, broken: httpx.HTTPError | None) -> Answer:
        return Answer(response.status_code, response.headers, b"".join(self._pieces), broken)


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Awaits `closing`, which continues if the task is cancelled.

    A cancelled httpcore connection is lost: https://github.com/encode/httpcore/issues/658
    """
    try:
        task = asyncio.get_running_loop().create_task(closing)
    except RuntimeError:  # trio, where httpcore shields itself
        await closing
    else:
        await asyncio.shield(task)
