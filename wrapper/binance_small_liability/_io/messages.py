"""What passes between a call and the network: requests, signatures, answers, and `Io` itself."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal, DecimalException
from typing import Any, NamedTuple, NoReturn, Protocol

import attrs
import httpx

from binance_small_liability._errors import ContractError
from binance_small_liability._secrets import Hidden

from .version import __version__

API_KEY_HEADER = "X-MBX-APIKEY"
_KEY_HEADER = API_KEY_HEADER.encode("ascii")
HEADERS = {
    "Accept": "*/*",
    # A small compressed answer could expand to a very large one.
    "Accept-Encoding": "identity",
    "User-Agent": f"binance-small-liability/{__version__}",
}
# No 64-bit integer is longer. int() refuses more than 4300 digits and turns -0 into 0; Decimal
# keeps both.
_LONGEST_INT = 20


def _integer(digits: str) -> int | Decimal:
    fits = len(digits) <= _LONGEST_INT and digits != "-0"
    return int(digits) if fits else Decimal(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# No number passes through a binary float.
_decoder = json.JSONDecoder(
    parse_float=Decimal, parse_int=_integer, parse_constant=_refuse_constant
)


@attrs.define(eq=False)
class Answer:
    """Status, headers and body of one response.

    Attributes:
        status_code: the HTTP status.
        headers: names are matched case-insensitively.
        content: the body, as far as it arrived.
        broken: why the body cannot be relied on: it is incomplete, encoded or too large, its
            length is unknown, or more bytes arrived than it has.
    """

    status_code: int
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    broken: httpx.HTTPError | None = None
    _payload: Any = attrs.field(init=False, repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code <= 299

    @property
    def is_client_error(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status_code <= 499

    def json(self) -> Any:
        """The body, with exact numbers. Raises ContractError if it is not JSON."""
        try:
            return self._payload
        except AttributeError:
            self._payload = self._decode()
            return self._payload

    def _decode(self) -> Any:
        try:
            return _decoder.decode(self.content.decode("utf-8-sig"))
        except (ValueError, DecimalException, RecursionError) as cause:
            reason = type(cause).__name__
        # Raised outside the handler, because the cause quotes the body.
        raise ContractError(f"The response breaks the contract: its body is not JSON ({reason})")


class Signature:
    """Key and, if the request is signed, signature of one request. Only its methods show them.

    They are added to the bytes just before these are sent, below everything that logs or traces.
    httpx, aiohttp and their instrumentation see the request without them.
    """

    # A closure, because `vars()` and reprs of containers show attributes.
    __slots__ = ("_reveal",)

    def __init__(self, api_key: str, target: bytes, value: str | None) -> None:
        """Keeps them.

        Args:
            api_key: the API key.
            target: the end of the URL: path and query.
            value: the percent-encoded signature of the query, or None.
        """
        self._reveal: Callable[[], tuple[str, bytes, str | None]] = lambda: (api_key, target, value)

    def attach(self, head: bytes) -> bytes | None:
        """`head` with signature and key, or None if it is not the head of this request.

        Args:
            head: the first bytes of a request: request line and headers.
        """
        key, target, value = self._reveal()
        before, found, after = head.partition(b"%b HTTP/1.1\r\n" % target)
        if not found:
            return None
        signature = b"" if value is None else b"&signature=%b" % value.encode("ascii")
        line = b"%b%b%b HTTP/1.1\r\n" % (before, target, signature)
        return b"%b%b: %b\r\n%b" % (line, _KEY_HEADER, key.encode("ascii"), after)

    @property
    def api_key(self) -> str:
        """The API key."""
        return self._reveal()[0]

    @property
    def value(self) -> str | None:
        """The signature, percent-encoded; None if the request is not signed."""
        return self._reveal()[2]

    def __repr__(self) -> str:
        return "Signature([hidden])"


class Request(NamedTuple):
    """One request, before it is sent.

    Attributes:
        method: the HTTP method.
        url: with the query, without signature.
        signature: None for a request without API key.
    """

    method: str
    url: str
    signature: Signature | None

    def signed_head(self, head: bytes) -> bytes | None:
        """`head`, signed if need be, or None if it is not the head of this request."""
        if self.signature is not None:
            return self.signature.attach(head)
        return head if head.startswith(self.method.encode() + b" ") else None

    @property
    def signed_url(self) -> str:
        """The URL with the signature, for a transport of the caller."""
        value = None if self.signature is None else self.signature.value
        return self.url if value is None else f"{self.url}&signature={value}"


def do_nothing() -> None:
    """Allows a request to be sent."""


class Connection(Protocol):
    """A connection that is lent to one call."""

    @property
    def usable(self) -> bool:
        """Whether a request was answered, nothing has arrived since, and another can follow."""

    @property
    def sent(self) -> bool:
        """Whether any byte of the last request may have been sent."""

    async def exchange(
        self, request: Request, timeout: float, before_sending: Callable[[], None] = do_nothing
    ) -> Answer:
        """Sends one request and receives its answer, both within `timeout` seconds.

        Raises httpx.TransportError, unless the headers of the answer were complete.

        Args:
            request: what to send.
            timeout: in seconds.
            before_sending: called once the connection is open, just before the first byte of the
                request leaves. If it raises, nothing was sent. It is not called if a library such
                as respx replaces the network.
        """

    async def close(self) -> None:
        """Closes it."""


class Connector(ABC):
    """A transport that makes connections without httpx.

    Attributes:
        proxy: the URL of the proxy that they use, or None, hidden.
    """

    proxy: Hidden

    @abstractmethod
    def connect(self) -> Connection:
        """A connection that is not open yet. Raises ConfigurationError."""

    @abstractmethod
    async def aclose(self) -> None:
        """Closes what the connections share."""


class Io(Protocol):
    """What a call needs: sleep, connections, and a lock."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""

    async def borrow(self, timeout: float, *, fresh: bool) -> Connection:
        """Lends a connection: a new one if `fresh`, else the most recently used one.

        Waits up to `timeout` seconds while too many requests are in flight. Raises
        httpx.PoolTimeout, or ConfigurationError if the client is closed.
        """

    async def give_back(self, connection: Connection) -> None:
        """Takes a connection back. One that is not usable is closed."""

    def correcting_clock(self) -> AbstractAsyncContextManager[None]:
        """A lock for the one call that asks for Binance's time."""
