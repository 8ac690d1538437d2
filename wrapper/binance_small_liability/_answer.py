"""What came back: read exactly, within bounds, and judged."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any, NoReturn

import httpx

from . import _time
from ._coin import find_fault
from ._errors import ApiError, ClockSkewError, ContractError, api_error_class
from ._retry import parse_http_date, parse_retry_after

MAX_BODY = 10 * 1024 * 1024
# The contract's bounds, in milliseconds: 2017, when Binance began, to 2100.
EARLIEST_TIME, LATEST_TIME = 1_483_228_800_000, 4_102_444_800_000
# Those that cannot inflate a piece of a body more than about a thousandfold.
ENCODINGS = ("gzip", "deflate")
USED_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M"
_WEIGHT = re.compile("[0-9]{1,20}")
# No 64-bit integer is longer. Of very many digits Python refuses to make an int, and of -0 it makes
# a 0; Decimal keeps both.
_LONGEST_INT = 20


def _integer(digits: str) -> int | Decimal:
    fits = len(digits) <= _LONGEST_INT and digits != "-0"
    return int(digits) if fits else Decimal(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Numbers go from their digits straight to Decimal.
_decoder = json.JSONDecoder(
    parse_float=Decimal, parse_int=_integer, parse_constant=_refuse_constant
)


class Answer(httpx.Response):
    """A response whose numbers are exact, whose body is bounded, and that is never a redirect."""

    def json(self, **_: Any) -> Any:
        """The body. Raises ContractError where it is not JSON."""
        if not hasattr(self, "_payload"):
            self._payload = self._decode()
        return self._payload

    def _decode(self) -> Any:
        try:
            return _decoder.decode(self.content.decode("utf-8"))
        except (ValueError, DecimalException, RecursionError) as cause:
            reason = type(cause).__name__
        # Outside the handler: the cause quotes the body.
        raise ContractError(f"The answer breaks the contract: its body is not JSON ({reason})")

    @property
    def has_redirect_location(self) -> bool:
        """False: httpx must not even prepare a request to another host."""
        return False

    def read(self) -> bytes:
        """The body. A refusal remains one where its body is broken."""
        try:
            return super().read()
        except httpx.HTTPError:
            if not self.is_client_error:
                raise
            self.close()
            self._content = b""
            return self._content

    async def aread(self) -> bytes:
        """The body. A refusal remains one where its body is broken."""
        try:
            return await super().aread()
        except httpx.HTTPError:
            if not self.is_client_error:
                raise
            await self.aclose()
            self._content = b""
            return self._content

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The decoded body, as far as the bound."""
        self._refuse_encoding()
        size = 0
        for chunk in super().iter_bytes(chunk_size):
            size = _bounded(size + len(chunk))
            yield chunk

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The decoded body, as far as the bound."""
        self._refuse_encoding()
        size = 0
        async for chunk in super().aiter_bytes(chunk_size):
            size = _bounded(size + len(chunk))
            yield chunk

    def _refuse_encoding(self) -> None:
        # Of several, each may inflate what the one below it inflated, all in one step.
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", *ENCODINGS):
            raise httpx.DecodingError("The answer is encoded in a way that was not asked for")

    @property
    def error_code(self) -> int | None:
        """Binance's error code, where the body holds one."""
        code = self._field("code")
        return code if type(code) is int else None

    @property
    def error_msg(self) -> str:
        """Binance's text for people, or "" where the body holds none."""
        msg = self._field("msg")
        return msg if isinstance(msg, str) else ""

    @property
    def used_weight(self) -> int | None:
        """The request weight that this IP address used in the current minute, where it is said."""
        value = self.headers.get(USED_WEIGHT, "")
        return int(value) if _WEIGHT.fullmatch(value) else None

    @property
    def refuses_clock(self) -> bool:
        """Whether the request was refused because of its timestamp."""
        return api_error_class(self.status_code, self.error_code) is ClockSkewError

    @property
    def server_time(self) -> int | None:
        """The exchange's time in milliseconds, where this answer tells it."""
        time = self._field("serverTime") if self.status_code == 200 else None
        return time if type(time) is int and EARLIEST_TIME <= time <= LATEST_TIME else None

    def _field(self, name: str) -> object:
        try:
            payload = self.json()
        except ContractError:
            return None
        return payload.get(name) if isinstance(payload, dict) else None

    def refusal(self, redact: Callable[[str], str]) -> ApiError | None:
        """The error that this answer reports, or None for a success.

        `redact` removes what an answer may echo of the request.
        """
        code = self.error_code
        # The API has been seen to refuse with a 200.
        if self.is_success and (code is None or code >= 0):
            return None
        return api_error_class(self.status_code, code)(
            status_code=self.status_code,
            code=code,
            msg=redact(self.error_msg),
            headers=self._headers_to_show(redact),
            retry_after=self._retry_after(),
            used_weight=self.used_weight,
        )

    def fault(self) -> ContractError | None:
        """Where this success departs from the one that the contract documents."""
        if self.status_code != 200:
            return ContractError(f"HTTP {self.status_code} is not in the contract")
        try:
            fault = find_fault(self.json())
        except ContractError as error:
            return error
        return ContractError(f"The answer breaks the contract at {fault}") if fault else None

    def _headers_to_show(self, redact: Callable[[str], str]) -> httpx.Headers:
        items = [(redact(name), redact(value)) for name, value in self.headers.multi_items()]
        return httpx.Headers(items, encoding=self.headers.encoding)

    def _retry_after(self) -> float | None:
        # By the clock of who wrote it: that of this machine may be off.
        date = parse_http_date(self.headers.get("Date", ""))
        now = date or datetime.fromtimestamp(_time.unix_ns() / 1e9, UTC)
        return parse_retry_after(self.headers.get("Retry-After"), now)


def _bounded(size: int) -> int:
    if size > MAX_BODY:
        raise httpx.ReadError(f"The answer is larger than {MAX_BODY} bytes")
    return size
