"""The used request weight, and the refusals and bans for using too much."""

import attrs

from ._contract import Operation

SHORTEST_BAN = 2 * 60  # seconds
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds


@attrs.frozen
class Charge:
    """The charge for one request.

    Attributes:
        used: the weight that its operation has used in this minute.
        status: the status to refuse it with: 429, 418, or None.
        retry_after: for how many seconds it is refused.
    """

    used: int
    status: int | None = None
    retry_after: int = 0


class Weights:
    """Weight by operation, limiter and calendar minute.

    It counts calendar minutes, not the last 60 seconds, because the headers that report the weight
    are documented to count the current minute. Each operation has its own budget. All requests come
    from one IP address. The API key identifies the account (UID).

    The first request over the budget is refused with 429. Another one in the same minute leads to a
    ban, 418, of every operation. Each ban is twice as long as the one before, from 2 minutes to 3
    days.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._used: dict[tuple[str, str], int] = {}
        self._bans = 0
        self._banned_until = 0  # milliseconds

    def charge(
        self, operation: Operation, key: str, *, budget: int | None, now: int, minute: int
    ) -> Charge:
        """Counts a request.

        Args:
            operation: what was requested.
            key: the API key of the request.
            budget: the weight that the operation may use in a minute; None means any.
            now: Unix time in milliseconds.
            minute: the length of a minute, in milliseconds.
        """
        if now // minute != self._minute:
            self._minute = now // minute
            self._used.clear()
        counter = operation.id, key if operation.limiter == "UID" else ""
        before = self._used.get(counter, 0)
        if now < self._banned_until:
            return Charge(before, 418, _seconds(self._banned_until - now))
        if budget is None:
            return Charge(before)
        used = self._used[counter] = before + operation.weight
        if used <= budget:
            return Charge(used)
        if before <= budget:
            return Charge(used, 429, _seconds(minute - now % minute))
        seconds = min(SHORTEST_BAN * 2**self._bans, LONGEST_BAN)
        self._bans += 1
        self._banned_until = now + seconds * 1000
        return Charge(used, 418, seconds)


def _seconds(milliseconds: int) -> int:
    return -(-milliseconds // 1000)
