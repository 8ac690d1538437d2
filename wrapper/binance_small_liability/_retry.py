"""May a read be tried again, and after how long: pure functions."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

from ._errors import IpBanError, NetworkError, RateLimitError, ServerError, SmallLiabilityError

FIRST_BACKOFF = 0.5  # seconds
LONGEST_BACKOFF = 8.0  # seconds

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@attrs.frozen
class RetryDetails:
    """What `on_retry` is told before each retry.

    Attributes:
        attempt: the attempt that failed, counted from 1.
        wait: seconds until the next one.
        error_class: what it failed with.
        status: the HTTP status, or None where no answer arrived.
    """

    attempt: int
    wait: float
    error_class: type[SmallLiabilityError]
    status: int | None


def may_retry(error: BaseException | None, method: str, max_retry_wait: float) -> bool:
    """Whether a request that failed with `error` may be tried again.

    Args:
        error: what the attempt failed with.
        method: the HTTP method; what may change something is never tried again.
        max_retry_wait: how many seconds a retry may be waited for.
    """
    if method not in ("GET", "HEAD") or isinstance(error, IpBanError):
        return False
    if isinstance(error, RateLimitError):
        return error.retry_after is None or error.retry_after <= max_retry_wait
    return isinstance(error, (NetworkError, ServerError))


def wait_before_retry(
    error: BaseException | None, attempt: int, max_retry_wait: float, jitter: float
) -> float:
    """Seconds to wait after attempt number `attempt` failed with an `error` that may be retried.

    What `Retry-After` says, or else 0.5 s, doubled per attempt, at most 8 s; of that, `jitter`
    (0 to 1) takes away up to a half, so that clients which failed together do not return together.
    """
    if isinstance(error, RateLimitError) and error.retry_after:
        return error.retry_after
    # Compared in the exponent, since powers of two outgrow a float.
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
    """The moment that an HTTP date tells, or None where it is no date."""
    try:
        moment = parsedate_to_datetime(value)
        # A date without a zone, "-0000", means UTC all the same.
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
