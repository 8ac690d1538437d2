"""Which error an answer reports, if any."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from binance_small_liability._errors import ApiError, api_error_class
from binance_small_liability._io import real_time
from binance_small_liability._io.messages import Answer

from .operation import Limiter
from .retry import parse_http_date, parse_retry_after

_WEIGHT = re.compile("[0-9]{1,20}")
# The beginning of an error object, with its whole code, in a body that is not JSON as a whole.
_BROKEN_ERROR = re.compile(rb'\s*\{\s*"code"\s*:\s*(-[0-9]{1,10})\s*[,}]')
# With these codes Binance does not know whether the request took effect.
_OUTCOME_UNKNOWN = (-1006, -1007)


def refusal(answer: Answer, limiter: Limiter, redact: Callable[[str], str]) -> ApiError | None:
    """The error that `answer` reports, or None for a success.

    Args:
        answer: a success or a refusal.
        limiter: what the weight of the operation is counted by.
        redact: removes the request's secrets, which an answer may repeat, from a text.
    """
    code = error_code(answer)
    # Binance sometimes refuses with a 200.
    if answer.is_success and (code is None or code >= 0):
        return None
    msg = answer.field("msg")
    items = [(redact(name), redact(value)) for name, value in answer.headers.multi_items()]
    return api_error_class(answer.status_code, code)(
        status_code=answer.status_code,
        code=code,
        msg=redact(msg) if isinstance(msg, str) else "",
        headers=httpx.Headers(items, encoding=answer.headers.encoding),
        retry_after=_retry_after(answer),
        used_weight=used_weight(answer, limiter),
    )


def error_code(answer: Answer) -> int | None:
    """Binance's error code, if the body has one."""
    code = answer.field("code")
    if code is None:
        found = _BROKEN_ERROR.match(answer.content)
        code = int(found[1]) if found else None
    return code if type(code) is int else None


def leaves_outcome_unknown(answer: Answer) -> bool:
    """Whether a request that is not repeatable may have taken effect, although it failed."""
    unusual = answer.status_code < 200 or answer.status_code >= 500
    return unusual or error_code(answer) in _OUTCOME_UNKNOWN


def used_weight(answer: Answer, limiter: Limiter) -> int | None:
    """The request weight used in the current minute, if `answer` reports it."""
    value = answer.headers.get(limiter.header, "")
    return int(value) if _WEIGHT.fullmatch(value) else None


def date(answer: Answer) -> datetime | None:
    """The time at which the server answered, in whole seconds, if it says so."""
    return parse_http_date(answer.headers.get("Date", ""))


def _retry_after(answer: Answer) -> float | None:
    # A date is compared with the server's own, because this machine's clock may be wrong.
    now = date(answer) or datetime.fromtimestamp(real_time.unix_ns() / 1e9, UTC)
    return parse_retry_after(answer.headers.get("Retry-After"), now)
