"""Limits that a fleet of processes shares through Redis or Valkey; needs the extra `redis`::

    limits = RedisLimits("redis://localhost", scope="address-1")
    client = SmallLiabilityClient.from_env(limits=limits)

The processes share reservations of request weight, Binance's counts, and cool-downs. A call
waits for one round trip to Redis, which reserves weight and reports earlier answers. Without
another call, answers are reported after 0.1 s. If Redis fails, the client continues with limits of
its own, and tries Redis again every second.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from binance_small_liability._call.limits import Limits
from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

try:
    import redis
    import redis.asyncio
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise ImportError(
        "RedisLimits needs another package: pip install 'binance-small-liability[redis]'"
    ) from None

from ._shared import TIMEOUT, AsyncSharedLimits, SharedLimits

__all__ = ["RedisLimits"]


class RedisLimits:
    """Limits shared by all clients with the same Redis and scope. Threads may share it."""

    def __init__(self, url_or_client: Any, *, scope: str = "default") -> None:
        """Does not connect yet. Raises ConfigurationError.

        Args:
            url_or_client: URL of Redis or Valkey (`redis://`, `rediss://` or `unix://`), or a
                client of the package `redis`: a synchronous one for a synchronous client, one of
                `redis.asyncio` for an asynchronous one. The time-outs of a synchronous
                one are the caller's; a call waits at most 0.25 s for an asynchronous one.
            scope: a name for the IP address from which the processes send.
        """
        if not isinstance(scope, str) or not scope:
            raise ConfigurationError("scope", "must be a name for the IP address")
        self._given = Hidden.of(url_or_client)
        self._scope = scope
        del url_or_client
        self._check()

    def _check(self) -> None:
        # No local variable holds the URL: frames of the error show them.
        if isinstance(self._given.reveal(), (redis.Redis, redis.asyncio.Redis)):
            return
        try:
            redis.ConnectionPool.from_url(self._given.reveal())
        except (ValueError, TypeError, AttributeError):
            problem = "must be a URL such as redis://localhost:6379, or a client of redis"
        else:
            return
        raise ConfigurationError("limits", problem)

    def open(self, api_key: str, *, is_async: bool) -> Limits:
        """The limits of one client. UID budgets belong to its API key."""
        account = hashlib.sha256(api_key.encode()).hexdigest()[:32]
        given, kind = self._given.reveal(), redis.asyncio.Redis if is_async else redis.Redis
        if not isinstance(given, (str, bytes, kind)):
            raise ConfigurationError(
                "limits", "has a redis client of the other kind (sync or async); give it a URL"
            )
        shared = AsyncSharedLimits if is_async else SharedLimits
        owns_client = isinstance(given, (str, bytes))
        return shared(self._connector(kind), self._scope, account, owns_client=owns_client)

    def _connector(self, kind: Any) -> Callable[[], Any]:
        def connect() -> Any:
            given = self._given.reveal()
            if isinstance(given, kind):
                return given
            return kind.from_url(
                given,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )

        return connect

    def __repr__(self) -> str:
        return f"RedisLimits(scope={self._scope!r})"
