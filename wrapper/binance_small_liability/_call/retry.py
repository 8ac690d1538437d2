"""Whether a call is tried again, and after how long: pure functions."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

from binance_small_liability._errors import (
    IpBanError,
    NetworkError,
    RateLimitError,
    ServerError,
    SmallLiabilityError,
)

FIRST_BACKOFF = 0.5  # seconds
LONGEST_BACKOFF = 8.0  # seconds

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@attrs.frozen
class RetryDetails:
    """What `on_retry` receives before each retry.

    Attributes:
        attempt: the number of the attempt that failed, from 1.
        wait: seconds until the next attempt.
        error_class: the class of the attempt's error.
        status: the HTTP status, or None where no answer arrived.
    """

    attempt: int
    wait: float
    error_class: type[SmallLiabilityError]
    status: int | None


def may_retry(error: SmallLiabilityError, max_retry_wait: float) -> bool:
    """Whether a call that failed with `error` may be tried again.

    An exchange that may have taken effect fails with OutcomeUnknownError, which is not on the list.

    Args:
        error: the error of the attempt.
        max_retry_wait: how many seconds a call waits at most before a retry.
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
    `jitter` (0 to 1) takes away up to half of it, so that clients that failed together do not
    return together.
    """
    if isinstance(error, RateLimitError) and error.retry_after:
        return error.retry_after
    # Compared in the exponent, because powers of two outgrow a float.
    doublings = min(attempt - 1, math.log2(LONGEST_BACKOFF / FIRST_BACKOFF))
    return min(FIRST_BACKOFF * 2**doublings * (1 - jitter / 2), max_retry_wait)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, or None where it makes no sense.

    It holds either seconds or an HTTP date (RFC 9110, section 10.2.3). A date in the past is 0.
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    moment = parse_http_date(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """The moment of an HTTP date, or None where `value` is not one."""
    try:
        moment = parsedate_to_datetime(value)
        # A date without a zone, "-0000", means UTC all the same.
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
