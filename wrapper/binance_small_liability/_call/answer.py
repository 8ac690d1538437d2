"""What an answer says: pure functions of the answer."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import httpx
from binance_small_liability_api.operation import Operation

from binance_small_liability._errors import ApiError, ContractError, api_error_class
from binance_small_liability._io import real_time
from binance_small_liability._io.messages import Answer

from .retry import parse_http_date, parse_retry_after

_WEIGHT = re.compile("[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,9})?")
_LONGEST_CODE = 40  # digits; an `int` of 1E+999999999 would fill the memory
# The beginning of an error object, with its whole code, in a body that is not JSON as a whole.
_BROKEN_ERROR = re.compile(rb'\s*\{\s*"code"\s*:\s*(-[0-9]{1,10})\s*[,}]')

# With these codes Binance does not know whether the request took effect.
_OUTCOME_UNKNOWN = (-1006, -1007)
_MENTIONS_UNKNOWN = re.compile(rb"-100[67](?![0-9])")
# A negative code anywhere, for example deeper in the object, in a text, under a repeated name, or
# under a name such as errorCode.
_MENTIONS_CODE = re.compile(rb'(?i:code)[\\"]*\s*:[\s\[{\\"]*-')
# These statuses mean that a server in front of Binance did not wait for the outcome.
_NOT_AWAITED = (408, 499)
# A text that does not begin like JSON, such as the page of a firewall. Control characters are signs
# of UTF-16 and of compression.
_PAGE = re.compile(rb'(?![\s\xef\xbb\xbf]*[\[{"])[^\x00-\x08\x0e-\x1f]*')

Effect = Literal["accepted", "refused", "unknown"]


class Verdict(NamedTuple):
    """What one answer says.

    Attributes:
        error: the error that it reports, or None for a success.
        used_weight: the request weight used in the current minute, if it says so.
    """

    error: ApiError | None
    used_weight: int | None


def judge(answer: Answer, operation: Operation[..., Any], redact: Callable[[str], str]) -> Verdict:
    """What `answer` says about a request of `operation`.

    Args:
        answer: a success or a refusal.
        operation: what was requested.
        redact: removes the request's secrets, which an answer may repeat, from a text.
    """
    code, msg = _reported(answer)
    date = parse_http_date(answer.headers.get("Date", ""))
    used_weight = _used_weight(answer, operation.weight_header)
    error = None
    # Binance sometimes refuses with a 200.
    if not answer.is_success or (code is not None and code < 0):
        items = [(redact(name), redact(value)) for name, value in answer.headers.multi_items()]
        # A date is compared with the server's own, because this machine's clock may be wrong.
        now = date or datetime.fromtimestamp(real_time.unix_ns() / 1e9, UTC)
        error = api_error_class(answer.status_code, whole := _whole(code))(
            status_code=answer.status_code,
            code=whole,
            msg=redact(msg) if isinstance(msg, str) else "",
            headers=httpx.Headers(items, encoding=answer.headers.encoding),
            retry_after=parse_retry_after(answer.headers.get("Retry-After"), now),
            used_weight=used_weight,
        )
    return Verdict(error, used_weight)


def effect(answer: Answer) -> Effect:
    """What `answer` says about an exchange; only status, body and `broken` count.

    Whatever is not clearly an acceptance or a refusal is unknown. The guide "Errors and retries"
    has the table.
    """
    is_refusal = answer.is_client_error and answer.status_code not in _NOT_AWAITED
    if answer.broken is not None or not (is_refusal or answer.status_code == 200):
        return "unknown"
    if not answer.content.strip():
        return "refused" if is_refusal else "accepted"
    try:
        payload = answer.json()
    except ContractError:
        is_refusal &= _PAGE.fullmatch(answer.content) is not None
        payload = ""
    codes = [_number(each.get("code")) for each in _objects(payload)]
    negative = [code for code in codes if code is not None and code < 0]
    if _MENTIONS_UNKNOWN.search(answer.content) or any(c in _OUTCOME_UNKNOWN for c in negative):
        return "unknown"
    # A list may refuse only a part of the exchange.
    if is_refusal or (negative and len(negative) == len(codes)):
        return "refused"
    # A mere text, number or boolean says nothing.
    is_clear = payload is None or isinstance(payload, (dict, list))
    return "accepted" if is_clear and not _MENTIONS_CODE.search(answer.content) else "unknown"


def _objects(payload: Any) -> Iterator[dict[str, Any]]:
    """The object at the top, or those in a list."""
    for each in payload if isinstance(payload, list) else [payload]:
        if isinstance(each, dict):
            yield each


def _reported(answer: Answer) -> tuple[Decimal | None, object]:
    """Binance's error code and text, if the body has them."""
    try:
        first = next(_objects(answer.json()), {})
    except ContractError:
        found = _BROKEN_ERROR.match(answer.content)
        return (Decimal(found[1].decode()) if found else None), None
    return _number(first.get("code")), first.get("msg")


def _number(code: object) -> Decimal | None:
    """A code in any form: a number, or a text that is one."""
    if isinstance(code, str):
        code = code.strip()
        return Decimal(code) if _NUMBER.fullmatch(code) else None
    is_number = isinstance(code, (int, Decimal)) and not isinstance(code, bool)
    return Decimal(code) if is_number else None  # type: ignore[arg-type]  # it is checked above


def _whole(code: Decimal | None) -> int | None:
    """The code as an exact whole number, if it is one."""
    if code is None or code.adjusted() >= _LONGEST_CODE or code != code.to_integral_value():
        return None
    return int(code)


def _used_weight(answer: Answer, header: str | None) -> int | None:
    value = "" if header is None else answer.headers.get(header, "")
    return int(value) if _WEIGHT.fullmatch(value) else None
