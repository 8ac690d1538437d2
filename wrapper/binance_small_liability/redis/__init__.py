"""Limits that a fleet of processes shares through Redis or Valkey; needs the extra `redis`::

    limits = RedisLimits("redis://localhost", scope="address-1")
    client = SmallLiabilityClient.from_env(limits=limits)

The processes share reservations of request weight, Binance's counts, and cool-downs. A call
waits for two round trips to Redis: one reserves weight, and one notes what became of the request.
If Redis fails, the client continues with limits of its own, and tries Redis again every second.
"""

import hashlib
from contextlib import suppress
from typing import Any

from binance_small_liability._call.limits import Limits
from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

try:
    import redis
except ImportError:
    raise ImportError(
        'RedisLimits needs another package: pip install "binance-small-liability[redis]"'
    ) from None

from ._connections import Connections
from ._limits import SharedLimits

__all__ = ["RedisLimits"]


class RedisLimits:
    """Limits shared by all clients with the same Redis and scope. Threads may share it."""

    def __init__(self, url_or_client: Any, *, scope: str = "default") -> None:
        """Does not connect yet. Raises ConfigurationError.

        Args:
            url_or_client: URL of Redis or Valkey (`redis://`, `rediss://` or `unix://`), or a
                client of the package `redis`: a synchronous one for a synchronous client, one of
                `redis.asyncio` for an asynchronous one. Connections like those of the client
                are opened. Each use takes at most 0.25 s, whatever timeouts it has.
            scope: a name for the IP address from which the processes send.
        """
        self._given = Hidden.of(url_or_client)
        self._scope = scope
        # Tracebacks may print the local variables of this frame.
        del url_or_client
        if not isinstance(scope, str) or not scope:
            raise ConfigurationError("scope", "must be a name for the IP address")
        self._connections(is_async=isinstance(self._given.reveal(), redis.asyncio.Redis))

    def open(self, api_key: str, *, is_async: bool) -> Limits:
        """The limits of one client. UID budgets belong to its API key."""
        account = hashlib.sha256(api_key.encode()).hexdigest()[:32]
        del api_key
        return SharedLimits(self._connections(is_async=is_async), self._scope, account)

    def _connections(self, *, is_async: bool) -> Connections:
        # No local variable holds the URL: frames of the error show them.
        with suppress(Exception):
            return Connections(self._pool(is_async=is_async), is_async=is_async)
        raise ConfigurationError(
            "limits",
            "must be a redis:// URL with options that redis-py knows, or a client of redis-py of"
            " the same kind (sync or async); a RedisCluster is not supported",
        )

    def _pool(self, *, is_async: bool) -> Any:
        kind, given = redis.asyncio.Redis if is_async else redis.Redis, self._given.reveal()
        return (given if isinstance(given, kind) else kind.from_url(given)).connection_pool
