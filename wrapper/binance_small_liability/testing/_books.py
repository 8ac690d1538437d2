"""The request weight that one IP address has used, and what comes of using too much."""

import attrs

MINUTE = 60_000  # milliseconds
LIMIT = 12_000
SHORTEST_BAN = 2 * 60  # seconds
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds


@attrs.frozen
class Refused:
    """The status to refuse with, and for how many seconds."""

    status: int
    retry_after: int


class Books:
    """Weight by endpoint and calendar minute.

    The minute is that of the clock and does not slide, because the header that tells the weight is
    said to count the current minute. Each endpoint has a budget of its own. All callers are one IP
    address, as they would be behind one gateway.

    The first call over the limit is refused with 429. Another in the same minute leads to a ban,
    418; each ban is twice as long as the one before, from 2 minutes to 3 days.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._used: dict[str, int] = {}
        self._bans = 0
        self._banned_until = 0  # milliseconds

    def charge(self, endpoint: str, weight: int, now: int, limit: int) -> Refused | None:
        """Enters a call at `now`, in milliseconds; says if it is one too many."""
        if now < self._banned_until:
            return Refused(418, _seconds(self._banned_until - now))
        if now // MINUTE != self._minute:
            self._minute = now // MINUTE
            self._used.clear()
        was_told = self.used(endpoint) > limit
        self._used[endpoint] = self.used(endpoint) + weight
        if self.used(endpoint) <= limit:
            return None
        if not was_told:
            return Refused(429, _seconds(MINUTE - now % MINUTE))
        seconds = min(SHORTEST_BAN * 2**self._bans, LONGEST_BAN)
        self._bans += 1
        self._banned_until = now + seconds * 1000
        return Refused(418, seconds)

    def used(self, endpoint: str) -> int:
        """The weight used in the minute of the last call."""
        return self._used.get(endpoint, 0)


def _seconds(milliseconds: int) -> int:
    return -(-milliseconds // 1000)
