"""What an answer says: a pure function of the answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
from binance_small_liability_api.operation import Operation

from binance_small_liability._errors import ApiError, api_error_class
from binance_small_liability._io import real_time
from binance_small_liability._io.messages import Answer

from .retry import parse_http_date, parse_retry_after

_WEIGHT = re.compile("[0-9]{1,20}")
# The beginning of an error object, with its whole code, in a body that is not JSON as a whole.
_BROKEN_ERROR = re.compile(rb'\s*\{\s*"code"\s*:\s*(-[0-9]{1,10})\s*[,}]')
# With these codes Binance does not know whether the request took effect.
_OUTCOME_UNKNOWN = (-1006, -1007)


class Verdict(NamedTuple):
    """What one answer says.

    Attributes:
        error: the error that it reports, or None for a success.
        used_weight: the request weight used in the current minute, if it says so.
        date: the time at which the server answered, in whole seconds, if it says so.
        leaves_outcome_unknown: whether a request that is not repeatable may have taken effect,
            although it failed.
    """

    error: ApiError | None
    used_weight: int | None
    date: datetime | None
    leaves_outcome_unknown: bool


def judge(answer: Answer, operation: Operation[..., Any], redact: Callable[[str], str]) -> Verdict:
    """What `answer` says about a request of `operation`.

    Args:
        answer: a success or a refusal.
        operation: what was requested.
        redact: removes the request's secrets, which an answer may repeat, from a text.
    """
    code = _error_code(answer)
    date = parse_http_date(answer.headers.get("Date", ""))
    used_weight = _used_weight(answer, operation.weight_header)
    unusual = answer.status_code < 200 or answer.status_code >= 500
    error = None
    # Binance sometimes refuses with a 200.
    if not answer.is_success or (code is not None and code < 0):
        msg = answer.field("msg")
        items = [(redact(name), redact(value)) for name, value in answer.headers.multi_items()]
        # A date is compared with the server's own, because this machine's clock may be wrong.
        now = date or datetime.fromtimestamp(real_time.unix_ns() / 1e9, UTC)
        error = api_error_class(answer.status_code, code)(
            status_code=answer.status_code,
            code=code,
            msg=redact(msg) if isinstance(msg, str) else "",
            headers=httpx.Headers(items, encoding=answer.headers.encoding),
            retry_after=parse_retry_after(answer.headers.get("Retry-After"), now),
            used_weight=used_weight,
        )
    return Verdict(error, used_weight, date, unusual or code in _OUTCOME_UNKNOWN)


def _error_code(answer: Answer) -> int | None:
    """Binance's error code, if the body has one."""
    code = answer.field("code")
    if code is None:
        found = _BROKEN_ERROR.match(answer.content)
        code = int(found[1]) if found else None
    return code if type(code) is int else None


def _used_weight(answer: Answer, header: str | None) -> int | None:
    value = "" if header is None else answer.headers.get(header, "")
    return int(value) if _WEIGHT.fullmatch(value) else None
