"""The limits of one client, shared through Redis. If Redis fails, its own limits apply."""

import logging
import os
import time
from contextlib import suppress
from typing import Any

from binance_small_liability_api.operation import Operation

from binance_small_liability._call import limits
from binance_small_liability._call.limits import Limits, Reservation, Wait
from binance_small_liability._call.pacing import LATE, MINUTE, Outcome
from binance_small_liability._config import LONGEST_BAN
from binance_small_liability._errors import RateLimitError

from . import _scripts as scripts
from ._connections import Connections

log = logging.getLogger("binance_small_liability")

PAUSE = 1.0  # seconds until Redis is tried again after a failure
_PREFIX = "{binance-small-liability}"


class SharedLimits(Limits):
    """The limits of this client, and those that it shares."""

    def __init__(self, connections: Connections, scope: str, account: str) -> None:
        super().__init__()
        self._connections = connections
        self._scope, self._account = f"{_PREFIX}:ip:{scope}", f"{_PREFIX}:uid:{account}"
        self._down_until = 0.0  # if Redis fails: when it is tried again

    async def reserve(self, operation: Operation[..., Any]) -> Reservation | Wait:
        """Reserves the weight of one request, here and in Redis."""
        local = await super().reserve(operation)
        if isinstance(local, Wait):
            return local
        # Random, because a copy of a process, such as a restored snapshot, would go on counting.
        shared = local._replace(name=os.urandom(9))
        values = shared.name, operation.weight, operation.weight_per_minute or 10**12
        keys, read = self._keys(operation), lambda reply: _read(shared, reply)
        reserved: Reservation | Wait = await self._run(scripts.RESERVE, keys, values, read) or local
        if isinstance(reserved, Wait):
            await super().settle(local, Outcome("released"))
        return reserved

    async def settle(self, reservation: Reservation, outcome: Outcome) -> bool:
        """Notes what became of the request, here and in Redis."""
        stays = await super().settle(reservation, outcome)
        if reservation.name:
            seconds = MINUTE + LATE if outcome.kind == "lost" else MINUTE
            count = "" if outcome.used_weight is None or not stays else outcome.used_weight
            values = reservation.name, round(stays * seconds * 1000), count
            await self._run(scripts.SETTLE, self._keys(reservation.operation)[:2], values)
        return stays

    async def cool_down(self, operation: Operation[..., Any], error: RateLimitError) -> None:
        """Notes a refusal, here and in Redis."""
        await super().cool_down(operation, error)
        if seconds := limits.cool_down_seconds(error):
            key = self._keys(operation)[2 if error.status_code == 418 else 3]
            refusal = f"{error.status_code} {'' if error.code is None else error.code}"
            await self._run(scripts.COOL_DOWN, [key], (round(seconds * 1000 + 0.5), refusal))

    async def close(self) -> None:
        """Closes the connections."""
        with suppress(Exception):  # such as on trio, where none is open
            await self._connections.close()

    def _keys(self, operation: Operation[..., Any]) -> list[str]:
        owner = self._scope if operation.limiter == "IP" else self._account
        budget = f"{owner}:{operation.name}"
        return [budget, f"{budget}:count", f"{self._scope}:ban", f"{owner}:pause"]

    async def _run(self, script: str, keys: list[str], values: Any, read: Any = bool) -> Any:
        """What `read` makes of the reply to a script, or None if Redis fails.

        After a failure Redis is left alone for a second. Then one call at a time tries it.
        """
        if self._down_until:
            if time.monotonic() < self._down_until:
                return None
            self._down_until = time.monotonic() + PAUSE
        try:
            result = read(await self._connections.run("EVAL", script, len(keys), *keys, *values))
        except Exception as error:  # whatever it is, the call goes on
            if not self._down_until:
                kind = type(error).__name__  # its text may contain the URL
                log.warning("Redis failed (%s); continuing with the limits of this client", kind)
            self._down_until = time.monotonic() + PAUSE
            return None
        if self._down_until:
            self._down_until = 0.0
            log.warning("Redis answers again; the limits are shared")
        return result


def _read(shared: Reservation, reply: Any) -> Reservation | Wait:
    """What a reply means. Raises an error if it has another form."""
    milliseconds, *refusal = reply
    longest = LONGEST_BAN if refusal else MINUTE + LATE
    if not bool(refusal) <= milliseconds <= longest * 1000:
        raise ValueError("the wait is too short or too long")
    if refusal:
        status, code = b" ".join(refusal).decode().split(" ")
        return limits.refused(milliseconds / 1000, int(status), int(code) if code else None)
    return limits.used_up(milliseconds / 1000, shared.operation) if milliseconds else shared
