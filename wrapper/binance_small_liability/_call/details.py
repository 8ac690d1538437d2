"""What a client tells its caller about waits and limits."""

import attrs

from binance_small_liability._errors import SmallLiabilityError


@attrs.frozen
class RetryDetails:
    """What `on_retry` receives before each retry.

    Attributes:
        operation: the name of the operation, such as `list_coins`.
        attempt: the number of the attempt that failed, from 1.
        wait: seconds until the next attempt.
        error_class: the class of the attempt's error.
        status: the HTTP status, or None if no response arrived.
        code: Binance's error code, or None if it sent none.
    """

    operation: str
    attempt: int
    wait: float
    error_class: type[SmallLiabilityError]
    status: int | None
    code: int | None


@attrs.frozen
class WaitDetails:
    """What `on_wait` receives before each wait for a limit.

    Attributes:
        operation: the name of the operation that waits, such as `list_coins`.
        wait: seconds until it looks again whether it may be sent.
        reason: why it may not be sent yet, such as "the budget of list_coins … is used up".
    """

    operation: str
    wait: float
    reason: str


@attrs.frozen
class BudgetDetails:
    """The budget of one operation.

    Attributes:
        limit: the request weight that Binance allows per minute.
        used: what Binance counted last, or None before the first response. It includes other users
            of the address or account, and belongs to the minute of that response.
        left: the request weight that this client may send now, 0 during a cool-down. With
            RedisLimits, requests of other processes are not subtracted.
    """

    limit: int
    used: int | None
    left: int
