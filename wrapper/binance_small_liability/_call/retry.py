"""Whether and when a call is retried: pure functions."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from binance_small_liability._errors import (
    IpBanError,
    NetworkError,
    RateLimitError,
    ServerError,
    SmallLiabilityError,
)

FIRST_BACKOFF = 0.5  # seconds
LONGEST_BACKOFF = 8.0  # seconds

# Several values are joined by commas, and a date has a comma after its day of the week.
_VALUES = re.compile(r"\s*(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,)?[^,]+")
_LONGEST = 500  # characters of all values; a text that is not a number takes 6 µs
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def may_retry(error: SmallLiabilityError, max_retry_wait: float) -> bool:
    """Whether a call that failed with `error` may be retried.

    An exchange that may have taken effect fails with OutcomeUnknownError, which is never retried.

    Args:
        error: the error of the attempt.
        max_retry_wait: the longest wait before a retry, in seconds.
    """
    if isinstance(error, IpBanError):
        return False
    if isinstance(error, RateLimitError):
        return error.retry_after is None or error.retry_after <= max_retry_wait
    return isinstance(error, (NetworkError, ServerError))


def wait_before_retry(
    error: SmallLiabilityError, attempt: int, max_retry_wait: float, jitter: float
) -> float:
    """Seconds to wait after attempt number `attempt` failed with an `error` that may be retried.

    That is the `Retry-After` of a rate limit, or else 0.5 s, doubled per attempt, at most 8 s.
    `jitter` (0 to 1) shortens it by up to half, so that clients that failed together do not retry
    together.
    """
    if isinstance(error, RateLimitError) and error.retry_after:
        return error.retry_after
    # The exponent is bounded first, because a float overflows at 2 ** 1024.
    doublings = min(attempt - 1, math.log2(LONGEST_BACKOFF / FIRST_BACKOFF))
    return min(FIRST_BACKOFF * 2**doublings * (1 - jitter / 2), max_retry_wait)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds of a `Retry-After` header, or None if it is missing or malformed.

    It contains seconds or an HTTP date (RFC 9110, section 10.2.3). A date in the past gives 0. If
    it contains several values, the largest counts: servers on the way may have added theirs.
    """
    waits = [_seconds(text.strip(" \t"), now) for text in _VALUES.findall((value or "")[:_LONGEST])]
    return max((each for each in waits if each is not None), default=None)


def _seconds(text: str, now: datetime) -> float | None:
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    moment = parse_http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


@lru_cache(maxsize=16)  # parsing takes 6 µs, and all answers of a second have the same date
def parse_http_date(value: str) -> datetime | None:
    """The moment of an HTTP date, or None if `value` is not one."""
    try:
        moment = parsedate_to_datetime(value)
        # The zone "-0000" also means UTC, but is parsed to a naive datetime.
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
