"""One request over an httpx transport, and its answer as a plain value."""

import time
from abc import ABC, abstractmethod
from contextlib import suppress

import httpx

from .messages import API_KEY_HEADER, HEADERS, Answer, Request
from .network import Wire
from .transport_errors import transport_error

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


class HttpxConnection(ABC):
    """A connection over an httpx transport: one of ours, or the caller's.

    Its methods are coroutines for both clients; those of a synchronous transport never suspend.
    """

    def __init__(self, wire: Wire | None) -> None:
        """`wire` is None for a caller's transport, which receives signed requests."""
        self._wire = wire
        self.usable = False

    @property
    def sent(self) -> bool:
        """Whether any byte may have been sent; always true for a caller's transport."""
        return self._wire is None or self._wire.sent

    async def exchange(self, request: Request, timeout: float) -> Answer:
        """Sends one request and receives its answer."""
        self.usable = False
        deadline = time.monotonic() + timeout
        if self._wire is not None:
            self._wire.begin(request.signature, deadline)
        sending = httpx_request(request, timeout, signed=self._wire is None)
        try:
            response = await self._send(sending)
        except BaseException as error:
            if self._wire is not None and isinstance(error, Exception):
                self._wire.failed()
            raise transport_error(error) from None
        answer = await self._receive(response, deadline)
        self.usable = answer.broken is None
        return answer

    async def _receive(self, response: httpx.Response, deadline: float) -> Answer:
        body = Body(deadline)
        broken: httpx.HTTPError | None = None
        try:
            if _is_unread(response):
                await self._read(response, body)
            else:
                body.add(response.content)
        except httpx.HTTPError as error:
            broken = error
        except (OSError, RuntimeError) as error:  # httpcore does not map every ssl.SSLError
            broken = httpx.ReadError(f"{type(error).__name__}: {error}")
        finally:
            await self._finish(response)
        return Answer(response.status_code, response.headers, body.content, broken)

    async def close(self) -> None:
        """Closes it; the caller's transport stays open."""
        if self._wire is not None:
            with suppress(Exception):  # it may be broken
                await self._close_transport()

    @abstractmethod
    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Hands the request to the transport."""

    @abstractmethod
    async def _read(self, response: httpx.Response, body: "Body") -> None:
        """Adds the pieces of the response to `body`."""

    @abstractmethod
    async def _finish(self, response: httpx.Response) -> None:
        """Closes the response, so that the transport can be used again."""

    @abstractmethod
    async def _close_transport(self) -> None:
        """Closes the transport."""


def _is_unread(response: httpx.Response) -> bool:
    # Some transports return a body that was already read and decoded.
    if response.is_stream_consumed:
        return False
    check_encoding(response.headers.get("Content-Encoding", ""))
    return True


def check_encoding(encoding: str) -> None:
    """Raises httpx.DecodingError unless the body is sent as it is."""
    if encoding.strip().lower() not in ("", "identity"):
        raise httpx.DecodingError("The answer is encoded, although no encoding was asked for")


class Body:
    """The pieces of a body, which must arrive by `deadline`, a moment of `time.monotonic()`."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Adds a piece. Raises httpx.ReadTimeout or httpx.ReadError."""
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout("The answer did not arrive whole in time")
        self._size += len(piece)
        if self._size > MAX_BODY:
            raise httpx.ReadError(f"The answer is larger than {MAX_BODY} bytes")
        self._pieces.append(piece)

    @property
    def content(self) -> bytes:
        """What has arrived."""
        return b"".join(self._pieces)
