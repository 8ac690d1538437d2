"""One request over an httpx transport, and its answer as a plain value."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from binance_small_liability._secrets import bare

from .messages import API_KEY_HEADER, HEADERS, Answer, Request, do_nothing
from .network import Wire, url
from .transport_errors import broken_body, transport_error

_HEADERS = httpx.Headers(HEADERS)
MAX_BODY = 10 * 1024 * 1024  # bytes
_ENCODINGS = {b"content-encoding": ("", "identity"), b"transfer-encoding": ("chunked",)}


def httpx_request(request: Request, timeout: float, *, signed: bool) -> httpx.Request:
    """The request for a transport; with key and signature only if `signed`."""
    headers = _HEADERS
    if signed and request.signature is not None:
        headers = httpx.Headers({**HEADERS, API_KEY_HEADER: request.signature.api_key})
    return httpx.Request(
        request.method,
        url(request.signed_url if signed else request.url),
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
        self._answered = False

    @property
    def usable(self) -> bool:
        """Whether a request was answered, and nothing has arrived since."""
        return self._answered and not (self._wire is not None and self._wire.has_received())

    @property
    def sent(self) -> bool:
        """Whether any byte may have been sent; always true for a caller's transport."""
        return self._wire is None or self._wire.sent

    async def exchange(
        self, request: Request, timeout: float, before_sending: Callable[[], None] = do_nothing
    ) -> Answer:
        """Sends one request and receives its answer."""
        self._answered = False
        deadline = time.monotonic() + timeout
        if self._wire is None:
            before_sending()
        else:
            self._wire.begin(request, deadline, before_sending)
        try:
            response = await self._send(httpx_request(request, timeout, signed=self._wire is None))
            answer = await self._receive(response, deadline)
        except BaseException as error:
            failure = self._failure(error)
        else:
            self._answered = answer.broken is None
            return answer
        # Raised outside the handler, because the frames of the error hold signed bytes.
        raise failure

    def _failure(self, error: BaseException) -> BaseException:
        wire = self._wire
        if wire is not None and error is wire.refusal:
            return bare(error)
        if wire is not None and isinstance(error, Exception):
            # Unused streams mean that a library such as respx replaced the network, and may have
            # sent.
            wire.sent |= not wire.used
        return transport_error(error)

    async def _receive(self, response: httpx.Response, deadline: float) -> Answer:
        body = Body(deadline, response.status_code, response.headers)
        broken: httpx.HTTPError | None = None
        try:
            if response.is_stream_consumed:  # some transports return it read and decoded
                body.add(response.content)
            else:
                body.check_encoding()
                await self._read(response, body)
            wire = self._wire if self._wire is not None and self._wire.used else None
            # HTTP/2 marks the end itself, and mocks have no version.
            if wire or response.extensions.get("http_version", b"").startswith(b"HTTP/1"):
                body.check_end(surplus=wire is not None and wire.has_surplus())
        except Exception as error:
            broken = broken_body(error)
        finally:
            await self._finish(response)
        return Answer(response.status_code, response.headers, body.content, broken)

    async def close(self) -> None:
        """Closes it, even while it is being opened; the caller's transport stays open."""
        if self._wire is not None and self._wire.stream is not None:
            with suppress(Exception):  # it may be broken
                await self._close_stream(self._wire.stream)

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
    async def _close_stream(self, stream: Any) -> None:
        """Closes the stream of a transport of ours."""


class Body:
    """The body of an answer, which must arrive by `deadline`, a moment of `time.monotonic()`."""

    def __init__(self, deadline: float, status: int, headers: httpx.Headers) -> None:
        self.deadline = deadline
        self._status = status
        self._headers = headers
        self._names = {name.lower() for name, _ in headers.raw}
        self._pieces: list[bytes] = []
        self._size = 0

    def check_encoding(self) -> None:
        """Raises httpx.DecodingError unless the body is sent as it is."""
        for name, allowed in _ENCODINGS.items():
            if name in self._names:
                # Only these signs may surround a value.
                encoding = self._headers[name.decode()].strip(" \t").lower()
                if encoding not in allowed:
                    raise httpx.DecodingError(
                        "The response is encoded, although no encoding was requested"
                    )

    def add(self, piece: bytes) -> None:
        """Adds a piece. Raises httpx.ReadTimeout or httpx.ReadError."""
        if time.monotonic() > self.deadline:
            raise httpx.ReadTimeout("The whole response did not arrive in time")
        self._size += len(piece)
        if self._size > MAX_BODY:
            raise httpx.ReadError(f"The response is larger than {MAX_BODY} bytes")
        self._pieces.append(piece)

    def check_end(self, *, surplus: bool) -> None:
        """Raises httpx.RemoteProtocolError unless the answer ended where it said.

        Args:
            surplus: whether more bytes than the answer has have arrived.
        """
        if surplus:
            raise httpx.RemoteProtocolError("More bytes arrived than the response has")
        if self._status < 200 or self._status in (204, 304):
            return
        # Without a length, a body that the network cut looks like a whole one. Binance sends one.
        if (b"content-length" in self._names) == (b"transfer-encoding" in self._names):
            raise httpx.RemoteProtocolError("The response does not say how long it is")

    @property
    def content(self) -> bytes:
        """What has arrived."""
        return b"".join(self._pieces)
